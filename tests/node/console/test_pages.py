"""The pages: rendered from literals, hostile ones too."""

import json
import re
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_to_bytes, urljoin, urlsplit
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from node.console import pages
from node.console.pages import BUSY, MALFORMED, NOTICES, UNITS, WORDS, Look, found_page, landing_page
from node.hypertext import LANGUAGES
from node.resolve.answer import Outcome
from node.samples import ENTERPRISES, sample_records
from proto.identifier import Identifier
from registry import drafting, industries
from registry.template import Item, State
from tests.node.console.pages_seen import BAG, EN, TEMPLATE, WHOLE, ZH, ZONE, Page, shown


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


@pytest.mark.parametrize(
    ("accept", "types"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", ()),
        ("*/*", ()),
        ("", ()),
        ("application/json, text/turtle", ()),
        ("text/turtle;q=0.5, Application/RDF+xml, text/*;q=0.1", ("application/rdf+xml", "text/turtle")),
        ("text/turtle;q=0", ()),
        (",".join(f"a/{n}" for n in range(99)), tuple(f"a/{n}" for n in range(pages.MEDIA_TYPES_MOST))),
    ],
)
def test_other_media_types_are_those_liked_better_than_a_page_and_json(accept: str, types: tuple[str, ...]) -> None:
    assert pages.other_types(accept) == types


def test_the_last_change_is_told_in_the_nodes_time_zone() -> None:
    assert Page(found_page(ZH, BAG, WHOLE, TEMPLATE, ZONE)).all("time") == ["2026-11-23 06:55 UTC+08:00"]
    page = Page(found_page(EN, BAG, WHOLE, TEMPLATE, ZoneInfo("America/St_Johns")))
    assert page.all("time") == ["2026-11-22 19:25 UTC-03:30"]
    assert page.attributes("time", "datetime") == ["2026-11-22T19:25:54-03:30"]


def test_reserved_indexes_are_no_attributes() -> None:
    html = found_page(ZH, BAG, WHOLE, TEMPLATE, ZONE)
    assert "TEMPLATE" not in html
    assert "META_" not in html


def test_a_template_is_told_in_words() -> None:
    items = (
        Item(2000, "size", "尺寸", "Size", kind="number", low=1, high=9, accuracy=1, unit="cm", required=True),
        Item(2001, "batch", "批次", "Batch", kind="reference", access="partners"),
        Item(2002, "serial", "序列号", unique=True),
        Item(2003, "site", "官网", redirect=True),
    )
    origin = "88.999.2001/META_belt"
    made = replace(TEMPLATE, items=items, state=State.PUBLISHED, origin=origin, description="示例")
    told = shown(*((each.index, each.type, each.data.decode()) for each in drafting.told(made)))
    zh, en = (Page(found_page(look, BAG, told, made, ZONE)) for look in (ZH, EN))
    rows = {label: text.strip() for label, text in zh.rows().items()}
    assert (rows["状态"], rows["复制自"], rows["说明"]) == ("已发布", origin, "示例")
    assert rows["尺寸"] == "数值；1到9之间、小数点后最多1位的数字；cm；必填"
    assert rows["批次"] == "引用；标识（前缀/后缀）；伙伴"
    assert rows["序列号"] == "文本；不重复"
    assert rows["官网"] == "文本；浏览器转到此网址"
    assert en.rows()["Size"].strip().endswith("; cm; required")
    assert f"/{origin}" in zh.attributes("a", "href")
    broken = Page(found_page(ZH, BAG, shown((2000, "ITEM", "{}"), (1, "STATE", "odd")), None, ZONE)).rows()
    assert {label: text.strip() for label, text in broken.items()} == {"ITEM": "{}", "状态": "odd"}


def test_a_reference_to_whatever_is_a_link_too() -> None:
    made = replace(TEMPLATE, items=(Item(2001, "batch", "批次", kind="reference"),))
    page = Page(found_page(ZH, BAG, shown((2001, "batch", "88.999.1001/X")), made, ZONE))
    assert "/88.999.1001/X" in page.attributes("a", "href")


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


SERVER = {"address": "203.0.113.7", "interfaces": [{"protocol": "TCP", "port": 2641}, {"protocol": "HTTP", "port": 80}]}
STRUCTURED = {
    "admin": (
        {"handle": "0.NA/88.999", "index": 300, "permissions": "011111110011"},
        "300:0.NA/88.999 011111110011",
    ),
    "vlist": (
        [{"handle": "0.NA/88", "index": 1}, {"handle": "88.1/A", "index": 2}],
        "1:0.NA/88 2:88.1/A",
    ),
    "site": ({"servers": [SERVER, SERVER]}, " ".join(["203.0.113.7 TCP 2641 · HTTP 80"] * 2)),
    "key": ({"kty": "RSA", "n": "w" * 342, "e": "AQAB"}, "RSA 2048 bit"),
}


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("kind", STRUCTURED)
def test_what_the_handle_system_keeps_is_told_and_not_dumped(kind: str, bare: bool) -> None:
    value, told = STRUCTURED[kind]
    html = found_page(ZH, BAG, shown((1, "HS_X", value), format=kind), None, ZONE, bare=bare)
    page = Page(html)
    (text,) = (text for label, text in page.rows().items() if label.endswith("HS_X"))
    assert " ".join(text.split()).startswith(told)
    assert ("/0.NA/88" in "".join(filter(None, page.attributes("a", "href")))) == ("0.NA" in told)


ODD = [{"handle": 1}, [["<i>"]], "<i>", 7, None, {"servers": [{"address": "<i>"}]}, {"n": 1}]


@pytest.mark.parametrize("kind", [*STRUCTURED, "odd"])
@pytest.mark.parametrize("value", ODD)
def test_what_is_not_what_its_format_says_is_told_as_it_is(kind: str, value: Any) -> None:
    page = Page(found_page(ZH, BAG, shown((1, "HS_X", value), format=kind), None, ZONE))
    assert page.rows() == {"HS_X": json.dumps(value, separators=(",", ":"))}
    assert "i" not in page.tags()


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


# -- who gets a page


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
