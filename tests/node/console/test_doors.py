"""Proves node/console/doors.py on a real socket, before rooms that answer as they are told (conftest.py)."""

from urllib.parse import urlsplit

import pytest

from node import clock
from node.config import Config
from node.console import pages
from node.resolve.answer import Answer, Outcome
from node.samples import ENTERPRISES, sample_records
from proto.errors import ProtoError
from proto.identifier import Identifier
from registry.errors import UnavailableError
from tests.node.console.pages_seen import BAG, TEMPLATE, WHOLE, Ask, Page, Rooms, shown


async def test_a_browser_gets_a_page_with_the_tag_of_the_answer_and_its_language(ask: Ask) -> None:
    answer = await ask(f"/{BAG}", Accept_Language="en")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["ETag"] == f'"5.2.3.en.{pages.EDITION}"'
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert answer.headers["Vary"] == "Accept, Accept-Language, Authorization"
    assert answer.headers["Content-Language"] == "en"
    assert Page(answer.text).rows()["Colour"] == "曜石黑"


async def test_whoever_has_the_page_is_not_sent_it_again(ask: Ask) -> None:
    first = await ask(f"/{BAG}")
    for known in (first.headers["ETag"], f'"x", W/{first.headers["ETag"]}', "*"):
        again = await ask(f"/{BAG}", If_None_Match=known)
        assert (again.status, again.text) == (304, "")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert again.headers["Vary"] == "Accept, Accept-Language, Authorization"
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
    assert here.headers["Vary"] == "Accept, Accept-Language, Authorization"


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
