"""IIIDAP on a node in this process: what anybody sees of a prefix, what those see who may, and where one is sent."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from node.iiidap.register import PATH
from node.listen import iiidap_api
from proto.bootstrap import Bootstrap
from registry.account import Account
from registry.postgres import catalogue
from registry.prefix import PrefixState
from registry.rights import Role
from tests.fakes.in_process import KEPT, PASSWORD, SECRET, STRANGER_PREFIX, Node, node
from tests.fakes.other_node import OtherNode, other_node, says
from tests.fakes.papers import PDF, picture
from tests.fakes.small_registry import PREFIX
from tests.registry.world import PARTICULARS

THERE, HERE = "https://there.example/iiidap/", "https://here.example/iiidap/"
REGISTER = Bootstrap({"88.100": THERE, "88.999": HERE, "88.300": HERE}).to_octets("", "")
IDENTIFIER = f"/iiidap/identifier/{PREFIX}"
WITHHELD = {"idNumber", "legalPerson", "contact"}


@pytest.fixture
async def running(database: str) -> AsyncIterator[Node]:
    async with node(database, trusted_proxies="127.0.0.1", public_url="https://here.example") as made:
        await made.registry.steward.enrol("云岫皮具", "Yunxiu", "leather", PREFIX, PARTICULARS)
        yield made


async def ask(running: Node, path: str, status: int = 200, method: str = "GET", **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with running.client.request(method, path, headers=sent, allow_redirects=False) as response:
        assert response.status == status, await response.text()
        assert response.headers["Content-Type"] == "application/iiidap+json"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Cache-Control"] == "private, no-store"
        told = await response.json(content_type=None)
        assert told["iiidapConformance"] == ["iiidap_level_0"]
        if status >= 400:
            assert told["errorCode"] == status
            assert told["title"]
            assert len(told["description"]) == 2
        return told | {"headers": response.headers}


def bearer(running: Node, who: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {running.tokens[who]}"}


def basic(username: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{secret}".encode()).decode()}


TLS = {"X_Forwarded_Proto": "https"}


async def test_anybody_sees_what_is_public(running: Node) -> None:
    told = await ask(running, f"{IDENTIFIER}?what=ever&x")
    assert (told["identifier"], told["status"], told["country"], told["lang"]) == (PREFIX, "ok", "CN", "zh-CN")
    assert told["regTime"].endswith("Z")
    assert {"name", "type", "introduce", "nature", "address"} <= told["node"].keys()
    assert told["node"]["name"] == "云岫皮具"
    assert {name for remark in told["remarks"] for name in remark["description"]} == WITHHELD
    assert PARTICULARS.contact_email not in str(told)
    assert told["notices"][0]["links"][0]["href"] == "https://here.example/iiidap/help"
    async with running.client.head(IDENTIFIER) as response:
        assert response.status == 200
        assert await response.read() == b""
        assert int(response.headers["Content-Length"]) > 100


async def test_who_may_see_all_sees_all(running: Node) -> None:
    steward, doorkeeper = running.house.steward, running.house.doorkeeper
    for role in (Role.REVIEWER, Role.AUDIT_ADMIN):
        await steward.put_account(Account(0, role, "person", role, None), password=KEPT)
        running.tokens[role] = await doorkeeper.sign_in(role, PASSWORD, "192.0.2.1") or ""
    for who in ("leather", "reviewer", "admin", "program"):
        told = await ask(running, IDENTIFIER, **bearer(running, who))
        assert told["node"]["contact"][0]["email"] == PARTICULARS.contact_email
        assert (told["node"]["idNumber"], told["remarks"]) == (PARTICULARS.ent_crt_code, [])
    for who in ("stranger", "audit_admin"):
        told = await ask(running, IDENTIFIER, **bearer(running, who))
        assert "contact" not in told["node"]
    assert "contact" in (await ask(running, IDENTIFIER, **basic("AK-leather", SECRET), **TLS))["node"]


async def test_the_picture_of_the_certificate_is_shown_to_who_may_see_all(database: str, tmp_path: Path) -> None:
    async with node(database, files=str(tmp_path / "files")) as running:
        assert running.house.files is not None
        for octets, state in ((PDF, 3), (picture("PNG"), 5), (PDF, 6)):
            number = await running.house.files.take(1, octets, datetime.now(UTC))
            await running.registry.pool.execute(_APPLIED, PREFIX, state, number)
        told = await ask(running, IDENTIFIER)
        assert "idPhoto" not in told["node"]
        assert "idPhoto" in told["remarks"][0]["description"]
        for path in (IDENTIFIER, f"/iiidap/name/{quote(told['node']['name'])}"):
            photo = (await ask(running, path, **bearer(running, "leather")))["node"]["idPhoto"]
            assert photo["mime"] == "image/png", "of what both decisions have passed, not of what waits or was refused"
            assert base64.b64decode(photo["data"]).startswith(b"\x89PNG")
        found = await ask(running, f"/iiidap/names?name={quote(told['node']['name'])}", **bearer(running, "leather"))
        assert "idPhoto" not in found["NodeSearchResults"][0]["node"], "fifty of them are no search"
        assert "idPhoto" not in (await ask(running, IDENTIFIER, **bearer(running, "stranger")))["node"]
        (tmp_path / "files").rename(tmp_path / "away")
        told = await ask(running, IDENTIFIER, **bearer(running, "leather"))
        assert "idPhoto" not in told["node"], "all else is told without it"


_APPLIED = """
    INSERT INTO application (enterprise_no, kind, state, prefix, org_crt_type, org_crt_code, form, sealed, applicant_no)
    SELECT enterprise_no, 1, $2, name, 1, 'x', jsonb_build_object('entBasicInfo', jsonb_build_object('orgCrtImgRid',
        $3::bigint)), '', 1 FROM prefix WHERE name = $1
"""


async def test_who_proves_nothing_is_told(running: Node) -> None:
    wrong = [
        {"Authorization": "Bearer nonsense"},
        {**basic("AK-leather", "wrong"), **TLS},
        {**basic("leather", PASSWORD), **TLS},
        {**basic("nobody", SECRET), **TLS},
    ]
    for headers in wrong:
        told = await ask(running, IDENTIFIER, 401, **headers)
        assert told["headers"]["WWW-Authenticate"].startswith("Bearer ")
    for headers in (
        basic("AK-leather", SECRET),
        {**basic("AK-leather", SECRET), "X_Forwarded_Proto": "https, http"},
        {"Authorization": "Basic ???", **TLS},
        {"Authorization": "Basic " + base64.b64encode(b"no colon").decode(), **TLS},
        {"Authorization": "Basic /w==", **TLS},
        {"Authorization": "Digest x"},
    ):
        await ask(running, IDENTIFIER, 400, **headers)


async def test_what_is_no_question_is_told(running: Node) -> None:
    for path in ("88", "x", "88.999.1001%2FA", "", "%ff"):
        await ask(running, f"/iiidap/identifier/{path}", 400)
    for path in ("names", "names?name=", "name/" + "x" * 256):
        await ask(running, f"/iiidap/{path}", 400)
    for pattern in ("*", "*x", "a*b"):
        await ask(running, f"/iiidap/names?name={pattern}", 422)
    for path in ("/iiidap/", "/iiidap/domain/x"):
        await ask(running, path, 404)
    await ask(running, IDENTIFIER, 404, method="POST")
    told = await ask(running, "/iiidap/help")
    assert [len(each["description"]) for each in told["notices"]] == [3, 4]
    async with running.client.options(IDENTIFIER) as response:
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]


async def test_what_an_enterprise_chooses_holds_at_once(running: Node) -> None:
    url = "/api/v1/disclosure"
    status, told = await running.call("PUT", url, {"contact": "public", "address": "removed"})
    assert (status, told["contact"], told["idNumber"]) == (200, "public", "obscured")
    assert await running.call("GET", url) == (200, told)
    seen = await ask(running, IDENTIFIER)
    assert seen["node"]["contact"][0]["email"] == PARTICULARS.contact_email
    assert "address" not in seen["node"]
    assert {"title": "removed", "description": ["address"]} in seen["remarks"]
    status, told = await running.call("PUT", url, {"contact": "loud"}, **{"Accept-Language": "en"})
    assert (status, told["error"]["field"]) == (400, "contact")
    assert (await running.call("PUT", url, {"address": "public"}, who="admin"))[0] == 403
    assert (await running.call("GET", url, who="program"))[0] == 200
    assert (await running.call("GET", url, who="stranger"))[1]["contact"] == "private", "it is another's"


async def test_a_stopped_prefix_is_on_hold_and_one_to_come_is_none(running: Node) -> None:
    await running.registry.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    told = await ask(running, IDENTIFIER)
    assert told["status"] == "hold"
    assert told["remarks"][0]["title"] == "状态 status"
    async with running.registry.pool.acquire() as connection:
        await catalogue.set_state(connection, PREFIX, PrefixState.IN_REVIEW)
    await ask(running, IDENTIFIER, 404)


async def test_names_are_found_however_they_are_written(running: Node) -> None:
    for asked in ("云岫皮具", "YUNXIU", "ｙｕｎｘｉｕ"):
        assert (await ask(running, f"/iiidap/name/{quote(asked)}"))["identifier"] == PREFIX
    await ask(running, "/iiidap/name/" + quote("无此企业"), 404)
    await ask(running, "/iiidap/name/" + quote("云岫*"), 404)
    for asked, found in ((quote("云*"), [PREFIX]), ("XING*", [STRANGER_PREFIX]), ("y", []), ("z*", [])):
        told = await ask(running, f"/iiidap/names?name={asked}&more=x")
        assert [each["identifier"] for each in told["NodeSearchResults"]] == found
    assert PARTICULARS.contact_email not in str(await ask(running, f"/iiidap/names?name={quote('云*')}"))
    told = await ask(running, f"/iiidap/names?name={quote('云*')}", **bearer(running, "leather"))
    assert told["NodeSearchResults"][0]["node"]["contact"]


async def test_other_prefixes_of_an_enterprise_and_names_that_changed(
    running: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.registry.steward.enrol("云岫皮具", "Yunxiu", "leather", "88.999.1002")
    told = await ask(running, "/iiidap/name/Yunxiu")
    assert told["remarks"][-1]["description"] == ["88.999.1002"]
    assert told["remarks"][-1]["links"][0]["href"] == "https://here.example/iiidap/identifier/88.999.1002"
    monkeypatch.setattr(iiidap_api, "RESULTS_MOST", 1)
    told = await ask(running, "/iiidap/names?name=Yun*")
    assert len(told["NodeSearchResults"]) == 1
    assert "truncated" in told["notices"][-1]["title"]
    await running.registry.pool.execute(
        "UPDATE enterprise SET name = '岫云', name_en = 'Xiuyun' WHERE name_en = 'Yunxiu'"
    )
    assert (await ask(running, "/iiidap/names?name=Yun*"))["NodeSearchResults"] == []


@pytest.fixture
async def toplevel() -> AsyncIterator[OtherNode]:
    async with other_node(says(200, REGISTER)) as made:
        yield made


async def test_who_asks_for_anothers_prefix_is_sent_there(database: str, toplevel: OtherNode) -> None:
    async with node(database, toplevel_url=toplevel.url) as running:
        for prefix in ("88.100", "88.100.7"):
            told = await ask(running, f"/iiidap/identifier/{prefix}?x=1", 307)
            assert told["headers"]["Location"] == f"{THERE}identifier/{prefix}"
        for prefix in ("88.200", "88.300", "88.999", "88.999.7777"):
            await ask(running, f"/iiidap/identifier/{prefix}", 404)
        assert toplevel.asked == [PATH]


async def test_without_a_register_nobody_is_told_that_there_is_none(database: str, toplevel: OtherNode) -> None:
    toplevel.saying = says(503, b"")
    async with node(database, toplevel_url=toplevel.url) as running:
        told = await ask(running, "/iiidap/identifier/88.100", 503)
        assert told["headers"]["Retry-After"] == "1"
        await ask(running, "/iiidap/identifier/88.999.7777", 404)
        running.house.admission.admit = lambda peer: 429  # type: ignore[method-assign]
        told = await ask(running, "/iiidap/help", 429)
        assert told["headers"]["Retry-After"] == "1"
