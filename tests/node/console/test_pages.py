"""The pages: rendered from literals, hostile ones too, and the doors in front of them on a real socket."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from html.parser import HTMLParser
from types import SimpleNamespace
from urllib.parse import unquote_to_bytes, urljoin, urlsplit
from zoneinfo import ZoneInfo

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import assume, example, given
from hypothesis import strategies as st
from yarl import URL

from node import clock
from node.config import Config
from node.console import pages
from node.console.pages import BUSY, LANGUAGES, MALFORMED, NOTICES, UNITS, WORDS, Look, found_page, landing_page
from node.gather import BusyError
from node.listen import handle_api, http
from node.resolve.answer import Answer, Outcome
from node.samples import ENTERPRISES, sample_records
from proto.errors import ProtoError
from proto.identifier import Identifier
from registry import industries
from registry.errors import UnavailableError
from registry.template import Category, Item, Template

ZH, EN = Look("zh", False, "88.999"), Look("en", False, "88.999")
ZONE = ZoneInfo("Asia/Shanghai")
BAG = Identifier.parse("88.999.1001/BAG-2026-000017")
MOMENT = "2026-11-22T22:55:54Z"
TEMPLATE = Template(
    "88.999.1001",
    "leather-handbag",
    "手袋",
    "Handbag",
    "",
    Category("C", "19", "192", "1922"),
    2,
    (
        Item(2000, "productName", "产品名称", "Product name"),
        Item(2001, "colour", "颜色", "Colour"),
        Item(2002, "weight", "重量", unit="g"),
        Item(2003, "warrantyMonths", "质保期", "Warranty", unit="month"),
        Item(2004, "leatherBatch", "皮料批次", "Leather batch", reference="leather-batch"),
        Item(2005, "manual", "说明书", "Manual"),
    ),
    number=7,
    epoch=3,
)


class Page(HTMLParser):
    """What a browser would see: elements with attributes, and the text of each."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[int] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        if tag not in {"meta", "link", "input", "col", "wbr", "path", "rect"}:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"path", "rect"}:
            return
        assert self.elements[self._open.pop()][0] == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        for number in self._open:
            self.texts[number] += data

    def all(self, tag: str) -> list[str]:
        return [text for (name, _), text in zip(self.elements, self.texts, strict=True) if name == tag]

    def attributes(self, tag: str, name: str) -> list[str | None]:
        return [attrs[name] for each, attrs in self.elements if each == tag and name in attrs]

    def rows(self) -> dict[str, str]:
        labels = [
            text
            for (tag, attrs), text in zip(self.elements, self.texts, strict=True)
            if tag == "th" and attrs["scope"] == "row"
        ]
        return dict(zip(labels, self.all("td"), strict=True))

    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]


def shown(*values: tuple[int, str, object], format: str = "string") -> bytes:
    reserved = [(1000, "TEMPLATE_ID", "88.999.1001/META_leather-handbag"), (1001, "TEMPLATE", "leather-handbag")]
    return msgspec.json.encode(
        [
            {"index": 1000 + n, "type": t, "data": {"format": "string", "value": v}, "ttl": 86400, "timestamp": MOMENT}
            for n, (_, t, v) in enumerate(reserved)
        ]
        + [
            {"index": i, "type": t, "data": {"format": format, "value": v}, "ttl": 86400, "timestamp": MOMENT}
            for i, t, v in values
        ]
    )


WHOLE = shown(
    (2000, "productName", "云岫望舒托特包"),
    (2001, "colour", "曜石黑"),
    (2002, "weight", "856"),
    (2003, "warrantyMonths", "24"),
    (2004, "leatherBatch", "88.999.1001/LB-20260108-01; 88.999.1001/LB-20260109-01"),
    (2005, "manual", "https://example.com/a?b=1&c=2"),
    (9000, "extra", "没有模板项"),
)


def of(value: str, index: int = 2001, look: Look = ZH) -> Page:
    """The page of a record with one value."""
    return Page(found_page(look, BAG, shown((index, TEMPLATE.by_index[index].name, value)), TEMPLATE, ZONE))


# -- a record


def test_a_record_is_a_table_in_the_language_of_the_page() -> None:
    zh, en = (Page(found_page(look, BAG, WHOLE, TEMPLATE, ZONE)) for look in (ZH, EN))
    batches = "88.999.1001/LB-20260108-01\n88.999.1001/LB-20260109-01"
    assert {label: text.strip() for label, text in zh.rows().items()} == {
        "产品名称": "云岫望舒托特包",
        "颜色": "曜石黑",
        "重量": "856 g",
        "质保期": "24 个月",
        "皮料批次": batches,
        "说明书": "https://example.com/a?b=1&c=2",
        "extra": "没有模板项",
    }
    assert list(en.rows()) == ["Product name", "Colour", "weight", "Warranty", "Leather batch", "Manual", "extra"]
    assert en.rows()["Warranty"] == "24 months"
    assert (zh.attributes("html", "lang"), en.attributes("html", "lang")) == (["zh-CN"], ["en"])


def test_its_head_says_what_it_is() -> None:
    html = found_page(ZH, BAG, WHOLE, TEMPLATE, ZONE)
    page = Page(html)
    assert page.all("h1") == ["云岫望舒托特包"]
    assert page.all("title") == ["云岫望舒托特包 · 88.999.1001/BAG-2026-000017"]
    assert "手袋" in page.all("p")
    assert "88.999.1001/BAG-2026-000017" in page.all("bdi"), "in one piece, so that it can be copied"
    assert "工业互联网标识" in html
    assert "Industrial Internet Identifier" in html
    assert "二级节点 88.999" in page.all("p")
    assert "88.999.1001" in page.all("dd")
    assert "/api/handles/88.999.1001/BAG-2026-000017" in page.attributes("a", "href")
    assert "Handbag" in Page(found_page(EN, BAG, WHOLE, TEMPLATE, ZONE)).all("p")


def test_the_last_change_is_told_in_the_nodes_time_zone() -> None:
    assert Page(found_page(ZH, BAG, WHOLE, TEMPLATE, ZONE)).all("time") == ["2026-11-23 06:55 UTC+08:00"]
    page = Page(found_page(EN, BAG, WHOLE, TEMPLATE, ZoneInfo("America/St_Johns")))
    assert page.all("time") == ["2026-11-22 19:25 UTC-03:30"]
    assert page.attributes("time", "datetime") == ["2026-11-22T19:25:54-03:30"]


def test_reserved_indexes_are_no_attributes() -> None:
    html = found_page(ZH, BAG, WHOLE, TEMPLATE, ZONE)
    assert "TEMPLATE" not in html
    assert "META_" not in html


def test_references_lead_to_their_pages_and_keep_the_language_chosen() -> None:
    chosen = Look("en", True, "88.999")
    html = found_page(chosen, BAG, WHOLE, TEMPLATE, ZONE)
    links = Page(html).attributes("a", "href")
    assert "/88.999.1001/LB-20260108-01?lang=en" in links
    assert "/88.999.1001/LB-20260109-01?lang=en" in links
    assert "/?lang=en" in links
    assert "/88.999.1001/LB-20260108-01" in Page(found_page(EN, BAG, WHOLE, TEMPLATE, ZONE)).attributes("a", "href")


def test_a_reference_that_is_no_identifier_stays_text() -> None:
    page = of("javascript:alert(1);88.999.1001/LB-1", 2004)
    assert page.rows()["皮料批次"].split() == ["javascript:alert(1)", "88.999.1001/LB-1"]
    assert [href for href in page.attributes("a", "href") if "LB" in str(href)] == ["/88.999.1001/LB-1"]
    assert not [href for href in page.attributes("a", "href") if "javascript" in str(href)]


def test_many_references_are_folded_up_and_all_there() -> None:
    many = [f"88.999.2001/CELL-{n}" for n in range(96)]
    page = of(";".join(many), 2004)
    assert page.all("summary") == ["96 个标识"]
    assert page.all("li") == many
    assert "details" not in of(";".join(many[: pages.LISTED_MOST]), 2004).tags()


def test_a_web_address_is_a_link_that_gives_nothing_away() -> None:
    page = of("https://example.com/a?b=1&c=2", 2005)
    link = next(attrs for tag, attrs in page.elements if tag == "a" and "example" in str(attrs["href"]))
    assert link == {"href": "https://example.com/a?b=1&c=2", "rel": "noopener nofollow"}


@pytest.mark.parametrize(
    "value",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://a/b",
        "https://",
        "http:// a",
        "//evil.example",
        "see https://a",
    ],
)
def test_nothing_else_is_a_link(value: str) -> None:
    page = of(value, 2005)
    assert page.rows() == {"说明书": value}
    assert [href for href in page.attributes("a", "href") if href == value] == []


def test_a_record_without_template_shows_its_types() -> None:
    page = Page(found_page(ZH, BAG, shown((1, "URL", "x"), (2, "EMAIL", "")), None, ZONE))
    assert page.rows() == {"URL": "x", "EMAIL": ""}
    assert page.all("h1") == []


def test_a_record_with_nothing_public_says_so() -> None:
    page = Page(found_page(ZH, BAG, b"[]", None, ZONE))
    assert "登记方没有公开更多信息。" in page.all("p")
    assert page.all("table") == page.all("time") == []
    assert "登记方没有公开更多信息。" in Page(found_page(ZH, BAG, shown(), TEMPLATE, ZONE)).all("p")


def test_values_that_are_no_text_are_described() -> None:
    octets = shown((2001, "colour", "AAECAw=="), format="base64")
    assert Page(found_page(ZH, BAG, octets, TEMPLATE, ZONE)).rows() == {"颜色": "4 字节的二进制数据"}
    groups = shown((2001, "colour", [{"handle": "0.NA/88", "index": 1}]), format="vlist")
    assert Page(found_page(EN, BAG, groups, TEMPLATE, ZONE)).rows() == {"Colour": '[{"handle":"0.NA/88","index":1}]'}


# -- hostile values

HOSTILE = [
    "<script>alert(1)</script>",
    "</td></table><h1>",
    "\"' onmouseover=alert(1) x='",
    "&lt;b&gt; &amp;",
    "{{ 7 * 7 }}{% raw %}",
    "长" * 4096,
    "w" * 4096,
    "\u202e\u062a\u0643\u0644\u0641\u0629\u200f ABC\u202c",
    "<!-- ",
    "]]>",
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("index", [2000, 2001, 2005])
def test_hostile_values_are_only_text(value: str, index: int) -> None:
    page = of(value, index)
    assert page.rows() == {TEMPLATE.by_index[index].zh: value}
    assert page.tags() == of("x", index).tags()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), min_size=1, max_size=200))
@example("https:")
def test_whatever_a_value_holds_the_page_is_built_alike(value: str) -> None:
    assume(not value.lower().startswith("http"))
    page = of(value)
    assert page.rows() == {"颜色": value}
    assert page.tags() == of("x").tags()


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_questions_are_only_text(value: str) -> None:
    notice = Page(pages.notice_page(ZH, MALFORMED, value, "x"))
    assert notice.all("bdi") == [value[: pages.REFLECTED_MOST]]
    assert notice.tags() == Page(pages.notice_page(ZH, MALFORMED, "x", "x")).tags()
    landing = Page(landing_page(ZH, value, "x"))
    assert landing.attributes("input", "value") == [value[: pages.REFLECTED_MOST]]
    assert landing.tags() == Page(landing_page(ZH, "x", "x")).tags()


def test_each_value_keeps_its_direction_to_itself() -> None:
    assert set(of("\u202eABC").attributes("td", "dir")) == {"auto"}


def test_chinese_in_an_english_page_is_marked() -> None:
    assert of("曜石黑", look=EN).attributes("td", "lang") == ["zh-CN"]
    assert of("black", look=EN).attributes("td", "lang") == []


# -- paths


@given(st.text(st.sampled_from("./%?#&\\ :;aé中\u202e\"'<>"), min_size=1, max_size=30))
@example("..")
@example("a/../b")
@example("a/./b")
def test_a_path_decoded_once_is_the_identifier_and_no_browser_changes_it(suffix: str) -> None:
    text = f"88.999.1001/{suffix}"
    path = pages.page_path(text)
    assert unquote_to_bytes(path).decode() == "/" + text
    assert urlsplit(urljoin("http://node/88.1/x", path))[2:] == (path, "", "")
    assert not {".", "..", "%2e", "%2e%2e"} & set(path.lower().split("/"))


def test_an_everyday_path_is_left_readable() -> None:
    assert pages.page_path("88.999.1001/BAG-2026-000017") == "/88.999.1001/BAG-2026-000017"
    assert pages.page_path("88.999.1001/a/b") == "/88.999.1001/a/b"


# -- language and form


@pytest.mark.parametrize(
    ("named", "accepted", "expected"),
    [
        (None, "", "zh"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "en-GB,en;q=0.9,zh;q=0.8", "en"),
        (None, "EN", "en"),
        (None, "zh;q=0.2, en;q=0.8", "en"),
        (None, "fr,de;q=0.9", "zh"),
        (None, "ja,en;q=0.5", "en"),
        (None, "en;q=0,fr", "zh"),
        (None, "*", "zh"),
        (None, "english", "zh"),
        (None, ";;;q=,,", "zh"),
        ("en", "zh", "en"),
        ("zh", "en", "zh"),
        ("fr", "en", "en"),
        ("", "en", "en"),
    ],
)
def test_the_language_is_the_named_one_or_the_best_liked(named: str | None, accepted: str, expected: str) -> None:
    assert pages.language(named, accepted) == expected


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", True),
        ("text/html", True),
        ("Text/HTML; level=1", True),
        ("text/*", True),
        ("application/json;q=0.5, text/html;q=0.6", True),
        ("*/*;q=0.1, text/html;q=0.2", True),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/json, text/html;q=0.9", False),
        ("text/html, application/json", False),
        ("text/html;q=0", False),
        ("image/png", False),
        (";q=1,,;", False),
    ],
)
def test_a_page_is_for_who_likes_pages_better(accept: str, page: bool) -> None:
    assert pages.wants_page(accept) is page


# -- what all pages have

ALL = [
    *(found_page(look, BAG, WHOLE, TEMPLATE, ZONE) for look in (ZH, EN)),
    *(pages.notice_page(look, notice, "88.1/x") for look in (ZH, EN) for notice in (*NOTICES.values(), BUSY)),
    pages.notice_page(EN, MALFORMED, "x", "Wrong."),
    *(landing_page(look, samples=[("手袋", str(BAG))]) for look in (ZH, EN)),
    landing_page(ZH, "x", "错。"),
]


@pytest.mark.parametrize("html", ALL)
def test_pages_run_no_script_and_load_nothing_from_elsewhere(html: str) -> None:
    page = Page(html)
    assert "script" not in page.tags()
    for tag, attrs in page.elements:
        assert not [name for name in attrs if name.startswith("on") or name == "style"], tag
        for name in {"src", "action"} & attrs.keys() | ({"href"} & attrs.keys() if tag == "link" else set()):
            assert str(attrs[name]).startswith("/"), attrs


@pytest.mark.parametrize("html", ALL)
def test_pages_can_be_read_by_everybody(html: str) -> None:
    page = Page(html)
    assert html.startswith("<!doctype html>\n")
    assert page.attributes("html", "lang") in (["zh-CN"], ["en"])
    assert page.all("title")[0].strip(" ·")
    assert len(page.all("h1")) == 1
    assert "width=device-width" in str(page.attributes("meta", "content"))
    assert len(page.attributes("a", "hreflang")) == 1, "one link to the other language"
    headings = [tag for tag in page.tags() if re.fullmatch("h[1-6]", tag)]
    assert headings == sorted(headings)
    assert set(page.attributes("label", "for")) == set(page.attributes("input", "id"))
    assert {scope for scope in page.attributes("th", "scope")} <= {"row", "col"}


SENTENCES = (*NOTICES.values(), pages.ABSENT_ELSEWHERE, pages.NOBODY_S, BUSY)


def test_every_word_is_there_in_both_languages() -> None:
    for pair in [*WORDS.values(), *UNITS.values(), *(n.title for n in (*SENTENCES, MALFORMED))]:
        assert len(pair) == len(LANGUAGES)
        assert all(pair)
    for notice in SENTENCES:
        assert re.search("[一-龥].*。$", notice.text[0])
        assert re.fullmatch("[A-Z][ -~]+[.]", notice.text[1])


def test_every_outcome_but_found_has_its_status() -> None:
    assert {outcome: notice.status for outcome, notice in NOTICES.items()} == {
        Outcome.ABSENT: 404,
        Outcome.GONE: 410,
        Outcome.STOPPED: 403,
        Outcome.FOREIGN: 404,
        Outcome.UNREACHABLE: 502,
    }
    assert set(Outcome) - NOTICES.keys() == {Outcome.FOUND}


def test_the_heaviest_page_of_the_sample_world_weighs_less_than_20_kb() -> None:
    templates = {each.version: each for industry in industries.load() for each in industry.templates}
    heaviest = 0
    for record in (each for enterprise in ENTERPRISES for each in sample_records(enterprise.prefix)[::20]):
        template = templates[record.template]
        items = [item for item in template.items if item.access == "public" and item.name in record.values]
        values = shown(*((item.index, item.name, record.values[item.name]) for item in items))
        html = found_page(EN, Identifier.parse(record.identifier), values, template, ZONE)
        heaviest = max(heaviest, len(html.encode()))
    assert heaviest > 4000
    assert heaviest + sum(len(octets) for octets in pages.STATIC.values()) < 20_000


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#") if len(colour) == 7 else "".join(2 * digit for digit in colour.lstrip("#"))
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_are_far_enough_apart_in_light_dark_and_print() -> None:
    css = pages.STATIC["page.css"].decode()
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    schemes = [dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6})", block)) for block in blocks]
    assert len(schemes) == 3
    for scheme in schemes:
        for ink, ground, least in [
            *((ink, ground, 4.5) for ink in ("ink", "soft", "deep") for ground in ("paper", "card", "tint")),
            ("ink", "warm", 4.5),
            ("card", "deep", 4.5),
        ]:
            assert _contrast(scheme[ink], scheme[ground]) >= least, (ink, ground, scheme)
    for scheme in schemes[:2]:  # nobody fills in a form on paper
        assert _contrast(scheme["alarm"], scheme["paper"]) >= 4.5
        assert _contrast(scheme["edge"], scheme["card"]) >= 2.9


# -- the doors


class Rooms:
    """What stands behind the doors here: answers by key, templates by number, and whether PostgreSQL is there."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer | Exception] = {
            str(BAG): Answer(Outcome.FOUND, 5, 1, 2, TEMPLATE.number, TEMPLATE.epoch, WHOLE),
            "88.999.1001/a/../b?c#d%": Answer(Outcome.FOUND, 1, 1, 2, 0, 0, b"[]"),
            "88.999.1001/GONE": Answer(Outcome.GONE, 2, 1, 2),
            "88.999.5001/X": Answer(Outcome.STOPPED, 1, 2, 2),
            "88.777.1/FOUND": Answer(Outcome.FOUND, 0, 0, 2, shown=shown((1, "productName", "别处的包")), until=2**40),
            "88.777.1/NEVER": Answer(Outcome.ABSENT, 0, 0, 2, until=2**40),
            "88.777.1/AWAY": Answer(Outcome.UNREACHABLE, 0, 0, 2, until=2**40),
            "88.999.1001/BUSY": BusyError("full"),
            "88.999.1001/AWAY": UnavailableError("gone"),
        }
        self.house = SimpleNamespace(config=Config(), hot=self, road=self, lookup=self)
        self.away = False
        self.onward = True

    async def ask(self, identifier: Identifier, *, onward: bool = True) -> Answer:
        self.onward = onward
        ours = identifier.prefix.startswith("88.999.")
        answer = self.answers.get(identifier.key, Answer(Outcome.ABSENT if ours else Outcome.FOREIGN, 0, 1, 2))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def template(self, number: int, epoch: int) -> Template | None:
        if self.away:
            raise UnavailableError("gone")
        return TEMPLATE if (number, epoch) == (TEMPLATE.number, TEMPLATE.epoch) else None


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


Ask = Callable[..., Awaitable[web.Response]]
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture
async def ask(rooms: Rooms) -> AsyncIterator[Ask]:
    """Sends a request as a browser would and gives status, headers and text; `path` is taken as it is."""
    app = web.Application(middlewares=[http._explaining])
    app[http.HOUSE] = rooms.house
    handle_api.add_routes(app)
    pages.add_routes(app)
    async with TestClient(TestServer(app)) as client:
        base = client.make_url("/")

        async def send(path: str, method: str = "GET", **headers: str) -> SimpleNamespace:
            url = URL(f"{base.origin()}{path}", encoded=True)
            headers = {"Accept": BROWSER} | {name.replace("_", "-"): text for name, text in headers.items()}
            async with client.session.request(method, url, headers=headers, allow_redirects=False) as response:
                return SimpleNamespace(status=response.status, headers=response.headers, text=await response.text())

        yield send


async def test_a_browser_gets_a_page_with_the_tag_of_the_answer_and_its_language(ask: Ask) -> None:
    answer = await ask(f"/{BAG}", Accept_Language="en")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["ETag"] == f'"5.2.3.en.{pages.EDITION}"'
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert answer.headers["Vary"] == "Accept, Accept-Language"
    assert answer.headers["Content-Language"] == "en"
    assert Page(answer.text).rows()["Colour"] == "曜石黑"


async def test_whoever_has_the_page_is_not_sent_it_again(ask: Ask) -> None:
    first = await ask(f"/{BAG}")
    for known in (first.headers["ETag"], f'"x", W/{first.headers["ETag"]}', "*"):
        again = await ask(f"/{BAG}", If_None_Match=known)
        assert (again.status, again.text) == (304, "")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert again.headers["Vary"] == "Accept, Accept-Language"
    assert (await ask(f"/{BAG}?lang=en", If_None_Match=first.headers["ETag"])).status == 200
    assert (await ask(f"/{BAG}", If_None_Match='"5.2.3"')).status == 200, "the tag of the JSON is another"


async def test_head_is_a_page_without_its_body(ask: Ask) -> None:
    whole, head = await ask(f"/{BAG}"), await ask(f"/{BAG}", "HEAD")
    assert (head.status, head.text) == (200, "")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"]


async def test_the_language_named_in_the_address_wins(ask: Ask) -> None:
    assert Page((await ask(f"/{BAG}?lang=zh", Accept_Language="en")).text).attributes("html", "lang") == ["zh-CN"]


@pytest.mark.parametrize("path", [f"/{BAG}", f"/{BAG}?index=2001&pretty", "/88.999.1001/NEVER", "/abc", "/88.1/%FF"])
@pytest.mark.parametrize("accept", ["application/json", "*/*"])
async def test_programs_get_what_the_handle_api_gives(ask: Ask, path: str, accept: str) -> None:
    here, there = await ask(path, Accept=accept), await ask("/api/handles" + path, Accept=accept)
    assert (here.status, here.text) == (there.status, there.text)
    assert here.headers.get("ETag") == there.headers.get("ETag")
    assert here.headers.get("Cache-Control") == there.headers.get("Cache-Control")
    assert here.headers["Vary"] == "Accept, Accept-Language"


@pytest.mark.parametrize(
    ("path", "status", "title"),
    [
        ("/88.999.1001/NEVER", 404, "没有登记过"),
        ("/88.999.1001/GONE", 410, "已注销"),
        ("/88.999.5001/X", 403, "前缀已停用"),
        ("/88.1/x", 404, "不属于本节点"),
        ("/88.777.1/NEVER", 404, "没有登记过"),
        ("/88.777.1/AWAY", 502, "暂时查不到"),
        ("/abc", 400, "这不是标识"),
        ("/88.1/%FF", 400, "这不是标识"),
        ("/88.999.1001/BUSY", 503, "系统繁忙"),
        ("/88.999.1001/AWAY", 503, "系统繁忙"),
    ],
)
async def test_what_is_not_found_says_why_and_is_not_kept(ask: Ask, path: str, status: int, title: str) -> None:
    answer = await ask(path)
    assert answer.status == status
    assert Page(answer.text).all("h1") == [title]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers
    assert answer.headers.get("Retry-After") == ("1" if status == 503 else None)
    assert "Content-Security-Policy" in answer.headers


async def test_what_another_node_answered_says_so(ask: Ask) -> None:
    zh, en = await ask("/88.777.1/FOUND"), await ask("/88.777.1/FOUND?lang=en")
    assert Page(zh.text).all("h1") == ["别处的包"]
    assert "88.777.1" in Page(zh.text).all("dd")
    assert "另一个节点" in Page(zh.text).all("dd")
    assert "another node" in Page(en.text).all("dd")
    assert "另一个节点" not in (await ask(f"/{BAG}")).text
    assert zh.headers["Cache-Control"] == "public, max-age=60"
    assert "所问的其他节点都没有登记过它" in (await ask("/88.777.1/NEVER")).text
    assert Page((await ask("/88.777.1/AWAY")).text).all("a").count("重试") == 1


async def test_a_record_of_another_node_is_shown_in_the_words_of_its_industry(ask: Ask, rooms: Rooms) -> None:
    def told(template: str, *values: tuple[int, str, str]) -> None:
        given = shown((1001, "TEMPLATE", template), *values)
        rooms.answers["88.777.1/FOUND"] = Answer(Outcome.FOUND, 0, 0, 2, shown=given, until=2**40)

    told("leather-handbag", (2000, "styleNo", "T-1"), (2002, "colour", "酒红"), (2001, "lie", "x"))
    page = Page((await ask("/88.777.1/FOUND")).text)
    rows = page.rows()
    assert (rows["款号"], rows["颜色"], rows["lie"]) == ("T-1", "酒红", "x")
    assert len(page.all("h1")) == 1
    for unknown in ("", "no-such-template", "META_leather-handbag"):
        told(unknown, (2002, "colour", "酒红"))
        assert Page((await ask("/88.777.1/FOUND")).text).rows() == {"colour": "酒红"}


async def test_a_prefix_that_no_node_has_is_said_to_be_none(ask: Ask, rooms: Rooms) -> None:
    rooms.house.config = Config(toplevel_url="http://127.0.0.1:8100")
    answer = await ask("/88.1/x?lang=en")
    assert (answer.status, Page(answer.text).all("h1")) == (404, ["Prefix not in use"])
    told = await ask("/88.1/x?lang=en", CDN_Loop="88.777")
    assert Page(told.text).all("h1") == ["Not of this node"], "nobody was asked"


async def test_a_page_is_kept_no_longer_than_what_it_shows(ask: Ask, rooms: Rooms) -> None:
    soon = Answer(Outcome.FOUND, 0, 0, 2, shown=b"[]", until=clock.seconds() + 20)
    rooms.answers["88.777.1/FOUND"] = soon
    for accept in ("text/html", "application/json"):
        keeping = (await ask("/88.777.1/FOUND", Accept=accept)).headers["Cache-Control"]
        assert 0 < int(keeping.removeprefix("public, max-age=")) <= 20


@pytest.mark.parametrize(
    ("header", "onward"),
    [
        (None, True),
        ("88.777", False),
        ("cloudflare; loops=1", True),
        ("cloudflare, 88.777;v=1", False),
        ("88.777, cloudflare", False),
        ("", True),
        (", ,", True),
        ("88.777.", True),
        ("fly.io", True),
    ],
)
async def test_the_question_of_another_node_is_known_by_its_header(
    ask: Ask, rooms: Rooms, header: str | None, onward: bool
) -> None:
    headers = {} if header is None else {"CDN_Loop": header}
    for accept in ("text/html", "application/json"):
        await ask(f"/{BAG}", Accept=accept, **headers)
        assert rooms.onward is onward


async def test_bad_syntax_is_explained_in_the_language_of_the_page(ask: Ask) -> None:
    with pytest.raises(ProtoError) as wrong:
        Identifier.parse("abc")
    assert wrong.value.zh + "。" in (await ask("/abc")).text
    english = (await ask("/abc", Accept_Language="en")).text
    assert "An identifier is a prefix, a slash and a suffix, such as 88.999.1001/BAG-1." in english


async def test_the_path_is_decoded_once(ask: Ask) -> None:
    wanted = "88.999.1001/a/../b?c#d%"
    answer = await ask(pages.page_path(wanted))
    assert answer.status == 200
    assert wanted in Page(answer.text).all("bdi")
    links = [link for link in Page(answer.text).attributes("a", "href") if "api/handles" in str(link)]
    assert '"handle":"88.999.1001/a/../b?c#d%"' in (await ask(str(links[0]), Accept="*/*")).text


async def test_without_postgresql_a_kept_answer_is_shown_with_bare_names_and_not_kept(ask: Ask, rooms: Rooms) -> None:
    rooms.away = True
    answer = await ask(f"/{BAG}")
    assert answer.status == 200
    assert Page(answer.text).rows()["colour"] == "曜石黑"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers


async def test_the_landing_page_offers_only_samples_that_exist(ask: Ask, rooms: Rooms) -> None:
    empty = await ask("/")
    assert empty.status == 200
    assert Page(empty.text).all("li") == []
    sample = sample_records(ENTERPRISES[0].prefix)[-1].identifier
    rooms.answers[sample] = Answer(Outcome.FOREIGN, 0, 0, 1)
    assert Page((await ask("/")).text).all("li") == [], "nor does a registry without the sample world break it"
    rooms.answers[sample] = Answer(Outcome.FOUND, 1, 1, 2, TEMPLATE.number, TEMPLATE.epoch, WHOLE)
    full = await ask("/")
    assert [text.split() for text in Page(full.text).all("li")] == [["手袋", sample]]
    assert f"/{sample}" in Page(full.text).attributes("a", "href")
    rooms.answers[sample] = UnavailableError("gone")
    assert Page((await ask("/")).text).all("li") == [], "a landing page needs no database"


async def test_the_form_leads_on_to_the_page(ask: Ask) -> None:
    answer = await ask("/?identifier=%20%2088.999.1001/a%20b%3F%20&lang=en")
    assert (answer.status, answer.headers["Location"]) == (303, "/88.999.1001/a%20b%3F?lang=en")
    assert (await ask("/?identifier=88.999.1001/x")).headers["Location"] == "/88.999.1001/x"
    assert (await ask("/?identifier=")).status == 200


@pytest.mark.parametrize("typed", ["//evil.example/x", "https://evil.example", "abc", "9" * 300])
async def test_the_form_leads_nowhere_else_and_says_what_is_wrong(ask: Ask, typed: str) -> None:
    answer = await ask(f"/?identifier={typed}")
    location = answer.headers.get("Location")
    assert location is None or (location.startswith("/") and not location.startswith("//"))
    if location is None:
        page = Page(answer.text)
        assert answer.status == 400
        assert page.attributes("input", "value") == [typed]
        assert page.attributes("input", "aria-describedby") == page.attributes("p", "id") == ["wrong"]


@pytest.mark.parametrize("path", ["/", f"/{BAG}", "/abc", "/static/page.css", "/favicon.ico"])
async def test_browsers_are_told_to_trust_nothing_but_us(ask: Ask, path: str) -> None:
    headers = (await ask(path)).headers
    policy = headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "style-src 'self'" in policy
    assert not [rule for rule in policy if rule.startswith("script-src") or "unsafe" in rule or "http" in rule]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


async def test_files_are_kept_for_long_under_the_address_pages_use(ask: Ask) -> None:
    page = Page((await ask(f"/{BAG}")).text)
    kinds = {}
    for link in page.attributes("link", "href"):
        answer = await ask(str(link))
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000"
        kinds[urlsplit(str(link)).path] = answer.headers["Content-Type"]
    assert kinds == {"/static/mark.svg": "image/svg+xml", "/static/page.css": "text/css; charset=utf-8"}
    assert (await ask("/static/page.css?v=older")).headers["Cache-Control"] == "public, max-age=60"
    assert (await ask("/favicon.ico")).text.startswith("<svg")


@pytest.mark.parametrize("name", ["nothing.css", "..%2Fpages.py", "pages.py", "%2Fetc%2Fpasswd", "__init__.py"])
async def test_no_other_file_is_served(ask: Ask, name: str) -> None:
    assert (await ask(f"/static/{name}")).status == 404
