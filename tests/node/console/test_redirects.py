"""Proves node/console/redirects.py: where browsers are sent, before rooms that answer as they are told (conftest.py),
and once before a whole node.
"""

from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from node import clock
from node.console import pages
from node.gather import BusyError
from node.resolve.answer import Answer, Outcome
from proto import proxy
from registry.errors import UnavailableError
from registry.template import Item
from tests.fakes.in_process import Node, node
from tests.fakes.small_registry import PREFIX
from tests.node.console.pages_seen import BAG, TEMPLATE, WHOLE, Ask, Page, Rooms

HERE = "88.999.1001/MOVED"
LOC = """<locations><location id="cn" href="https://cn.example.com/" country="cn" http_sc="303"/>
<location id="any" href="https://any.example.com/" role="metadata"/>
<location href_template="https://data.example.com/?{hdl}" http_role="conneg" media_type="text/turtle"/></locations>"""


LANGUAGES = {"any": "", "zh": 'language="zh-cn" weight="0"', "en": 'language="en" weight="0"'}


def record(*values: tuple[int, str, str], version: int = 1, ttl: int | str = 86400, **more: Any) -> Answer:
    """A record without template."""
    shown = [{"index": i, "type": t, "data": {"format": "string", "value": v}, "ttl": ttl} for i, t, v in values]
    return Answer(Outcome.FOUND, version, 1, 2, shown=msgspec.json.encode(shown), **more)


URL = (1, "URL", "https://example.com/a?b=<1>")
EMAIL = (2, "EMAIL", "a@example.com")


@pytest.fixture
def moved(rooms: Rooms) -> Rooms:
    rooms.answers[HERE] = record(EMAIL, URL, (3, "URL.EN", "https://example.com/en"))
    return rooms


async def test_a_record_without_template_sends_a_browser_to_its_url(ask: Ask, moved: Rooms) -> None:
    answer = await ask(f"/{HERE}")
    assert (answer.status, answer.headers["Location"]) == (302, "https://example.com/a?b=%3C1%3E")
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert parsedate_to_datetime(answer.headers["Expires"]).timestamp() == pytest.approx(clock.seconds() + 60, abs=5)
    assert answer.headers["Vary"] == "Accept, Accept-Language, Authorization"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert Page(answer.text).attributes("a", "href") == ["https://example.com/a?b=%3C1%3E"]
    head = await ask(f"/{HERE}", "HEAD")
    assert (head.status, head.headers["Location"]) == (302, answer.headers["Location"])


@pytest.mark.parametrize(
    ("ttl", "seconds"), [(7, 7), (0, 0), ("1970-01-02T00:00:00Z", 0), ("2099-01-01T00:00:00Z", 60)]
)
async def test_a_redirect_is_kept_no_longer_than_its_value(
    ask: Ask, rooms: Rooms, ttl: int | str, seconds: int
) -> None:
    rooms.answers[HERE] = record(URL, ttl=ttl)
    assert (await ask(f"/{HERE}")).headers["Cache-Control"] == f"public, max-age={seconds}"


@pytest.mark.parametrize(
    ("query", "to"),
    [
        ("index=3", "https://example.com/en"),
        ("type=url.en", "https://example.com/en"),
        ("type=URL.&index=2", "https://example.com/a?b=%3C1%3E"),
        ("noredirect=false&auth&cert&ignore_aliases", "https://example.com/a?b=%3C1%3E"),
        ("urlappend=%26c=%E4%BD%A0%0d%0aX:y", "https://example.com/a?b=%3C1%3E&c=%E4%BD%A0%0D%0AX:y"),
        ("urlappend=" + "x" * proxy.ADDRESS_OCTETS, None),
        ("type=EMAIL", None),
        ("index=2", None),
        ("noredirect", None),
        ("noredirect=TRUE", None),
        ("action=showvalues", None),
        ("action=redirect", "https://example.com/a?b=%3C1%3E"),
        ("action=Redirect&noredirect", "https://example.com/a?b=%3C1%3E"),
        ("action=toolbar", "https://example.com/a?b=%3C1%3E"),
    ],
)
async def test_what_is_asked_for_chooses_among_the_values(ask: Ask, moved: Rooms, query: str, to: str | None) -> None:
    answer = await ask(f"/{HERE}?{query}")
    assert answer.headers.get("Location") == to
    assert answer.status == (302 if to else 200)


async def test_what_would_be_sent_may_be_looked_at(ask: Ask, moved: Rooms) -> None:
    there = await ask(f"/{HERE}")
    for query in ("redirectionHeaders", "redirectionHeaders=x&action=redirect"):
        answer = await ask(f"/{HERE}?{query}")
        assert (answer.status, answer.text) == (200, there.text)
        assert [answer.headers[name] for name in ("Location", "Cache-Control", "Vary")] == [
            there.headers[name] for name in ("Location", "Cache-Control", "Vary")
        ]
        assert "Expires" in answer.headers


async def test_programs_may_ask_for_json_by_name(ask: Ask, moved: Rooms) -> None:
    there = await ask(f"/api/handles/{HERE}?index=2")
    assert (await ask(f"/{HERE}?action=API&index=2")).text == there.text


async def test_an_index_that_is_none_is_explained(ask: Ask) -> None:
    answer = await ask(f"/{HERE}?index=x&lang=en")
    assert (answer.status, "Index must be a whole number: &#34;x&#34;." in answer.text) == (400, True)


async def test_the_table_of_values_shows_them_as_they_are(ask: Ask, rooms: Rooms) -> None:
    rooms.answers[HERE] = record((1, "URL", "https://example.com/"), (7, "<b>", '"><script>alert(1)</script>'))
    answer = await ask(f"/{HERE}?noredirect&lang=en")
    page = Page(answer.text)
    assert page.rows() == {
        "1 URL": "https://example.com/TTL 86400 · 1110",
        "7 <b>": '"><script>alert(1)</script>TTL 86400 · 1110',
    }
    assert "script" not in page.tags()
    assert "https://example.com/" in page.attributes("a", "href")
    assert "?noredirect=&lang=zh" in page.attributes("a", "href"), "the other language shows the same"
    assert answer.headers["ETag"] == f'"1.2.0.en.{pages.EDITION}"'
    assert (await ask(f"/{HERE}?noredirect&lang=en", If_None_Match=answer.headers["ETag"])).status == 304
    assert (await ask(f"/{HERE}", If_None_Match="*")).status == 302, "a redirect is nothing that is kept so"
    only = await ask(f"/{HERE}?index=7")
    assert list(Page(only.text).rows()) == ["7 <b>"]


async def test_addresses_are_listed(ask: Ask, rooms: Rooms) -> None:
    rooms.answers[HERE] = record(URL, (9, "10320/loc", LOC))
    answer = await ask(f"/{HERE}?action=showurls")
    assert answer.headers["Content-Type"] == "application/xml"
    hrefs = [each.get("href") for each in ElementTree.fromstring(answer.text)]
    assert hrefs == ["https://cn.example.com/", "https://any.example.com/", None, "https://example.com/a?b=%3C1%3E"]


@pytest.mark.parametrize(
    ("query", "status", "to"),
    [
        ("", 302, "https://any.example.com/"),
        ("country=CN", 303, "https://cn.example.com/"),
        ("locatt=id:cn", 303, "https://cn.example.com/"),
        ("locatt=id:any&country=cn", 302, "https://any.example.com/"),
        ("type=URL", 302, "https://example.com/a?b=%3C1%3E"),
        ("locatt=country", 303, "https://cn.example.com/"),
        ("action=metadata", 302, "https://any.example.com/"),
    ],
)
async def test_of_several_locations_one_is_chosen(ask: Ask, rooms: Rooms, query: str, status: int, to: str) -> None:
    rooms.answers[HERE] = record(URL, (9, "10320/loc", LOC))
    answer = await ask(f"/{HERE}?{query}")
    assert (answer.status, answer.headers["Location"]) == (status, to)


@pytest.mark.parametrize(
    ("accepted", "query", "to"),
    [
        ("de, zh-CN;q=0.5, en;q=0.7", "", "en"),
        ("zh-CN", "", "zh"),
        ("fr", "", "any"),
        ("", "", "any"),
        ("en;q=0", "", "any"),
        ("en", "locatt=language:zh-cn", "zh"),
    ],
)
async def test_a_location_may_be_for_a_language(ask: Ask, rooms: Rooms, accepted: str, query: str, to: str) -> None:
    said = "".join(f'<location href="http://{name}/" {more}/>' for name, more in LANGUAGES.items())
    rooms.answers[HERE] = record((9, "10320/loc", f"<locations>{said}</locations>"))
    answer = await ask(f"/{HERE}?{query}", Accept_Language=accepted)
    assert answer.headers["Location"] == f"http://{to}/"
    assert "Accept-Language" in answer.headers["Vary"]


async def test_who_asks_for_a_media_type_is_sent_where_it_is(ask: Ask, rooms: Rooms) -> None:
    rooms.answers[HERE] = record(URL, (9, "10320/loc", LOC))
    turtle = "https://data.example.com/?88.999.1001%2FMOVED"
    for accept in ("text/turtle", "text/turtle, text/html;q=0.5", "application/x, text/turtle;q=0.9, */*;q=0.1"):
        answer = await ask(f"/{HERE}", Accept=accept)
        assert (answer.status, answer.headers["Location"]) == (302, turtle)
    there = await ask(f"/api/handles/{HERE}")
    for accept in ("application/json", "*/*", "application/json, text/turtle", "application/rdf+xml", "", "text/plain"):
        assert (await ask(f"/{HERE}", Accept=accept)).text == there.text, "programs get JSON"
    # Whatever it is that has no such location: JSON as before.
    rooms.answers[HERE] = record(URL)
    for path in (HERE, str(BAG), "88.999.1001/NEVER", "88.1/%FF"):
        here, there = await ask(f"/{path}", Accept="text/turtle"), await ask(f"/api/handles/{path}")
        assert (here.status, here.text) == (there.status, there.text)
    rooms.answers[HERE] = BusyError("full")
    assert (await ask(f"/{HERE}", Accept="text/turtle")).status == 503


async def test_an_alias_is_followed_to_the_identifier_it_is_of(ask: Ask, moved: Rooms) -> None:
    moved.answers["88.1/ALIAS"] = record((1, "HS_ALIAS", HERE), (2, "URL", "https://no.example.com/"))
    answer = await ask("/88.1/ALIAS")
    assert (answer.status, answer.headers["Location"]) == (301, f"/{HERE}")
    asked = "urlappend=%26c&locatt=a:b%22"
    assert (await ask(f"/88.1/ALIAS?{asked}")).headers["Location"] == f"/{HERE}?{asked}"
    assert (await ask(f"/{HERE}?{asked}")).headers["Location"] == "https://example.com/a?b=%3C1%3E&c"
    moved.answers["88.1/OTHER"] = record((1, "HS_ALIAS", "88.1/a b?c%"))
    moved.answers["88.1/a b?c%"] = record(URL)
    assert (await ask("/88.1/OTHER")).headers["Location"] == "/88.1/a%20b%3Fc%25"
    ignored = await ask("/88.1/ALIAS?ignore_aliases")
    assert (ignored.status, ignored.headers["Location"]) == (302, "https://no.example.com/")
    moved.answers["88.1/ALIAS"] = record((1, "HS_ALIAS", str(BAG)), version=4)
    page = await ask("/88.1/ALIAS?lang=en")
    assert Page(page.text).rows()["Colour"] == "曜石黑"
    assert page.headers["ETag"] == f'"4.2.0-5.2.3.en.{pages.EDITION}"', "it changes when either does"
    moved.answers["88.1/ALIAS"] = record((1, "HS_ALIAS", "88.999.1001/GONE"))
    assert (await ask("/88.1/ALIAS")).status == 410


async def test_what_is_shown_behind_an_alias_is_kept_no_longer_than_the_alias(ask: Ask, moved: Rooms) -> None:
    moved.answers["88.1/ALIAS"] = record((1, "HS_ALIAS", HERE), until=clock.seconds() + 20)
    for query in ("", "?noredirect"):
        seconds = (await ask(f"/88.1/ALIAS{query}")).headers["Cache-Control"].removeprefix("public, max-age=")
        assert 0 < int(seconds) <= 20


async def test_aliases_come_to_an_end(ask: Ask, rooms: Rooms) -> None:
    rooms.answers["88.1/A"] = record((1, "HS_ALIAS", "88.1/B"))
    rooms.answers["88.1/B"] = record((1, "HS_ALIAS", "88.1/A"))
    answer = await ask("/88.1/A?lang=en")
    assert (answer.status, Page(answer.text).all("h1")) == (404, ["Aliases without an end"])
    shown = await ask("/88.1/A?ignore_aliases")
    assert (shown.status, "/88.1/B" in Page(shown.text).attributes("a", "href")) == (200, True)
    for n in range(proxy.ALIASES_MOST + 1):
        rooms.answers[f"88.1/{n}"] = record((1, "HS_ALIAS", f"88.1/{n + 1}"))
    rooms.answers[f"88.1/{proxy.ALIASES_MOST + 1}"] = record(URL)
    assert [(await ask(f"/88.1/{n}")).status for n in (0, 1)] == [404, 301]


async def test_nobody_is_sent_round_in_a_circle(ask: Ask, rooms: Rooms) -> None:
    rooms.answers[HERE] = record((1, "URL", f"http://node.example/{HERE}"))
    first = await ask(f"/{HERE}", Host="node.example:8000")
    assert first.headers["Location"] == f"http://node.example/{HERE}?noredirect"
    assert (await ask(f"/{HERE}?noredirect", Host="node.example:8000")).status == 200


async def test_the_form_may_end_where_the_record_says(ask: Ask, moved: Rooms) -> None:
    # Chromium blocks what a form leads to by redirects, too, unless the policy of the form's page lets it.
    page = await ask("/")
    assert "form-action *" in page.headers["Content-Security-Policy"].split("; ")
    found = await ask((await ask(f"/?identifier={HERE}")).headers["Location"])
    assert found.headers["Location"].startswith("https://example.com/")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example", "http://", "http://a b/", "ftp://a/"])
async def test_what_is_no_address_of_the_web_is_shown_and_not_followed(ask: Ask, rooms: Rooms, url: str) -> None:
    rooms.answers[HERE] = record((1, "URL", url))
    answer = await ask(f"/{HERE}")
    assert (answer.status, "Location" in answer.headers) == (200, False)
    assert url in Page(answer.text).rows()["1 URL"]


async def test_a_template_says_whether_its_records_redirect(ask: Ask, rooms: Rooms) -> None:
    assert (await ask(f"/{BAG}")).status == 200
    items = [replace(item, redirect=item.name == "manual") for item in TEMPLATE.items]
    rooms.kind = replace(TEMPLATE, items=tuple(items))
    answer = await ask(f"/{BAG}")
    assert (answer.status, answer.headers["Location"]) == (302, "https://example.com/a?b=1&c=2")
    for query in ("noredirect", "index=2001", "type=colour"):
        page = Page((await ask(f"/{BAG}?{query}&lang=en")).text)
        assert page.rows()["Colour"] == "曜石黑", "its own page, with what was asked for"
    values = Page((await ask(f"/{BAG}?action=showvalues")).text).rows()
    assert values["2001 colour"].startswith("曜石黑TTL 86400 · 1110 · 2026-11-23 06:55")
    assert "1001 TEMPLATE" in values
    urls = ElementTree.fromstring((await ask(f"/{BAG}?action=showurls")).text)
    assert [each.get("href") for each in urls] == ["https://example.com/a?b=1&c=2"]
    rooms.kind = replace(TEMPLATE, items=(Item(2001, "colour", "颜色", redirect=True),))
    assert (await ask(f"/{BAG}")).status == 200, "what it holds is no address"
    rooms.away = True
    assert (await ask(f"/{BAG}")).status == 200


async def test_a_record_of_another_node_goes_by_whether_it_has_a_template(ask: Ask, rooms: Rooms) -> None:
    rooms.answers["88.777.1/BARE"] = record(URL, until=2**40)._replace(prefix=0)
    assert (await ask("/88.777.1/BARE")).status == 302
    bad = (
        b'[{"index":1,"type":"HS_ADMIN","data":{"format":"admin","value":{}}},'
        + rooms.answers["88.777.1/BARE"].shown[1:]
    )
    rooms.answers["88.777.1/BARE"] = rooms.answers["88.777.1/BARE"]._replace(shown=bad)
    assert (await ask("/88.777.1/BARE")).status == 302, "what cannot be read does not keep the rest from being so"
    rooms.answers["88.777.1/MADE"] = Answer(Outcome.FOUND, 0, 0, 2, shown=WHOLE, until=2**40)
    assert (await ask("/88.777.1/MADE")).status == 200


async def test_trouble_behind_an_alias_is_told(ask: Ask, rooms: Rooms) -> None:
    rooms.answers["88.1/ALIAS"] = record((1, "HS_ALIAS", HERE))
    rooms.answers[HERE] = UnavailableError("gone")
    assert (await ask("/88.1/ALIAS")).status == 503


# -- a whole node


async def opened(running: Node, path: str, who: str | None = None) -> tuple[int, dict[str, str]]:
    headers = {"Accept": "text/html"} | ({"Authorization": f"Bearer {running.tokens[who]}"} if who else {})
    async with running.client.get(path, headers=headers, allow_redirects=False) as response:
        return response.status, dict(response.headers)


async def test_records_of_a_node_redirect_as_soon_as_they_say_so(database: str) -> None:
    item = {"index": 2000, "name": "site", "zh": "网址"}
    made = {
        "prefix": PREFIX,
        "version": "linked",
        "zh": "链接",
        "category": {"category": "C", "specific": "19", "trade": "192", "subclass": "1922"},
    }
    one = f"/api/v1/templates/{PREFIX}/linked"
    async with node(database) as running:
        hidden = {
            "index": 1,
            "type": "URL",
            "data": {"format": "string", "value": "https://in/"},
            "permissions": "1100",
        }
        shown = {"index": 2, "type": "URL", "data": {"format": "string", "value": "https://out/"}}
        rows = [{"handle": f"{PREFIX}/BARE", "values": [hidden, shown]}]
        rows += [{"handle": f"{PREFIX}/ALIAS", "values": [shown | {"type": "HS_ALIAS", "data": f"{PREFIX}/BARE"}]}]
        assert (await running.call("POST", "/api/v1/handles", rows))[0] == 200
        status, headers = await opened(running, f"/{PREFIX}/BARE")
        assert (status, headers["Location"]) == (302, "https://out/")
        status, headers = await opened(running, f"/{PREFIX}/ALIAS", "leather")
        assert (status, headers["Location"], headers["Cache-Control"]) == (301, f"/{PREFIX}/BARE", "no-store")
        status, headers = await opened(running, headers["Location"], "leather")
        assert (status, headers["Location"], headers["Cache-Control"]) == (302, "https://in/", "no-store")
        assert "Expires" not in headers

        assert (await running.call("POST", "/api/v1/templates", made | {"items": [item]}))[0] == 201
        assert (await running.call("POST", f"{one}/publish"))[0] == 200
        value = [{"index": 2000, "type": "site", "data": {"value": "https://thing/"}}]
        row = {"handle": f"{PREFIX}/MADE", "templateVersion": "linked", "value": value}
        assert (await running.call("POST", "/identityv2/data", row))[1]["status"] == 1
        status, headers = await opened(running, f"/{PREFIX}/MADE")
        assert (status, "Location" in headers) == (200, False)
        status, kept = await running.call("PUT", one, {"items": [item | {"redirect": True}]})
        assert (status, kept["items"][0]["redirect"]) == (200, True)
        status, headers = await opened(running, f"/{PREFIX}/MADE")
        assert (status, headers["Location"]) == (302, "https://thing/")
        refused = await running.call("PUT", one, {"items": [item | {"redirect": True, "access": "partners"}]})
        assert (refused[0], refused[1]["error"]["field"]) == (400, "items[0].redirect")
