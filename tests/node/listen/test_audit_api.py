"""The doors of the auditor on a node in this process: what everybody did is told to the audit role, and to it alone."""

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError

from node.access_log import BLOCK_TURNS
from node.listen import audit_api
from registry.account import Account, new_token
from registry.application import form as application_form
from registry.application import user
from registry.auditor import Auditor
from registry.rights import Role
from tests.fakes import applicant
from tests.fakes.in_process import PASSWORD, Node, node
from tests.fakes.small_registry import PREFIX
from tests.fakes.snms import BAG_TEMPLATE, item
from tests.waiting import until

DETAIL = f"/identityv2/data/detail?handle={PREFIX}/A"
STOP = (f"/api/v1/prefixes/{PREFIX}", {"state": "stopped"})


async def enrolled(at: Node, **more: Role) -> None:
    """An auditor, and whoever else is wanted, with tokens."""
    for name, role in ({"auditor": Role.AUDIT_ADMIN} | more).items():
        await at.registry.steward.put_account(Account(0, name, "person", role, None), password="$argon2id$")
        known = await at.registry.steward.account(name)
        assert known is not None
        at.tokens[name], digest = new_token()
        await at.registry.steward.issue_token(known.number, digest)


@pytest.fixture
async def at(database: str, tmp_path: Path) -> AsyncIterator[Node]:
    async with node(database, log_folder=str(tmp_path / "log")) as made:
        await enrolled(made)
        yield made


async def audit(at: Node, **wanted: str) -> list[dict[str, Any]]:
    """What the auditor is told, newest first."""
    status, told = await at.call(
        "GET", "/api/v1/audit?" + "&".join(f"{k}={v}" for k, v in wanted.items()), who="auditor"
    )
    assert status == 200, told
    return list(told["entries"])


async def text(at: Node, path: str, who: str = "auditor") -> str:
    async with at.client.get(path, headers={"Authorization": f"Bearer {at.tokens[who]}"}) as response:
        assert response.status == 200
        return await response.text()


async def logged(at: Node, query: str = "") -> list[dict[str, Any]]:
    """What stands in the access log, once everything is written."""
    access_log = at.house.recording.access_log
    for _ in range(BLOCK_TURNS):
        access_log.turn()
    await until(lambda: access_log._writing is None)
    return [json.loads(line) for line in (await text(at, f"/api/v1/access-log?{query}")).splitlines()]


# --- Who may -----------------------------------------------------------------------------------------------

PATHS = ("/api/v1/audit", "/api/v1/audit/verify", "/api/v1/audit/export", "/api/v1/access-log")


async def test_nobody_reads_but_the_audit_role(at: Node) -> None:
    others = {"s": Role.SECURITY_ADMIN, "v": Role.VERIFIER, "r": Role.REVIEWER}
    await enrolled(at, **others)
    before = (await Auditor(at.registry.pool).head())[0].number
    for path in PATHS:
        assert (await at.call("GET", f"{path}?since=x&account=nobody", who=None))[0] == 401, path
        for who in ("admin", "leather", "program", *others):
            assert (await at.call("GET", path, who=who))[0] == 403, (path, who)
    assert (await Auditor(at.registry.pool).head())[0].number == before
    for path in PATHS:
        await text(at, path)
    read = [entry["action"] for entry in await audit(at, actor="auditor")]
    assert read == ["audit_read", "access_log_read", "audit_read", "audit_read", "audit_read"], "newest first"


# --- What is told ------------------------------------------------------------------------------------------


async def test_a_change_says_who_and_from_where(at: Node) -> None:
    assert (await at.call("PUT", *STOP, who="admin"))[0] == 200
    (entry,) = await audit(at, action="prefix_changed")
    about = {name: entry[name] for name in ("actor", "role", "peer", "objects", "before", "after")}
    assert about == {
        **{"actor": "admin", "role": "system_admin", "peer": "127.0.0.1", "objects": [PREFIX]},
        **{"before": {"state": "enabled"}, "after": {"state": "stopped"}},
    }
    assert entry["account"] > 0
    assert entry == (await audit(at, object=PREFIX, actor="admin"))[0]
    body = {"prefix": PREFIX, **BAG_TEMPLATE, "items": [item(2000, "styleNo", "款号")]}
    assert (await at.call("POST", "/snms/api/v3/template", body))[1]["status"] == 1
    assert (await at.call("PUT", "/snms/api/v5/template", body | {"description": "y"}))[1]["status"] == 1
    assert (await at.call("DELETE", "/snms/api/v3/template", body))[1]["status"] == 1
    assert (await at.call("DELETE", "/api/v1/accounts/AK-leather/tokens", who="admin"))[0] == 200
    mine = {"Authorization": f"Bearer {at.tokens['leather']}"}
    async with at.client.delete("/api/v1/tokens/this", headers=mine) as gone:
        assert gone.status == 204
    told = [(e["actor"], e["action"]) for e in await audit(at, since="2026-01-01", size="6")]
    assert told == [
        ("auditor", "audit_read"),
        ("leather", "token_revoked"),
        ("admin", "tokens_revoked"),
        ("leather", "template_removed"),
        ("leather", "template_changed"),
        ("leather", "template_added"),
    ]


async def test_readings_of_what_is_not_public_stand_there_in_blocks(at: Node) -> None:
    await at.create("A", "B")
    for path in (DETAIL, DETAIL, DETAIL.replace("/A", "/none"), f"/api/v1/history/{PREFIX}/A", "/api/v1/batches"):
        await at.call("GET", path)
    row = {"handle": f"{PREFIX}/B", "templateVersion": "x", "value": []}
    assert (await at.call("POST", "/api/v1/reconcile", [row]))[0] == 200
    assert (await at.call("GET", f"/api/handles/{PREFIX}/B"))[0] == 200
    assert (await at.call("GET", f"/api/handles/{PREFIX}/B", who=None))[0] == 200
    assert (await at.call("GET", DETAIL, who="stranger"))[1]["status"] == -3
    for suffix in ("A", "none"):
        assert (await at.call("GET", f"/api/handles/{PREFIX}/{suffix}", who="stranger"))[0] in {200, 404}
    assert await audit(at, action="data_read") == [], "no reading is a write"
    await at.house.recording.witness.turn()
    told = [(e["actor"], e["after"]["as"], e["objects"]) for e in reversed(await audit(at, action="data_read"))]
    a, b = f"{PREFIX}/A", f"{PREFIX}/B"
    assert told == [
        ("leather", "detail", [a]),
        ("leather", "history", [a]),
        ("leather", "reconcile", [b]),
        ("leather", "resolve", [b]),
    ]
    assert [e["after"]["as"] for e in await audit(at, object=a)] == ["history", "detail"]
    told = [(e["account"] > 0, e["identifier"]) for e in await logged(at) if e["operation"] == "resolve"]
    assert told == [(True, b), (False, b), (True, a), (True, f"{PREFIX}/none")]


async def applied(at: Node) -> int:
    """The number of an application of a firm of its own."""
    admin = await at.registry.steward.account("admin")
    assert admin is not None
    await at.registry.pool.executemany(
        "INSERT INTO file (number, account_no, kind, octets, sha256, created) VALUES ($1, $2, 'png', 1, $3, now())",
        [(number, admin.number, bytes(32)) for number in (11, 12, 13)],
    )
    person, form = user(applicant.user("firm1")), application_form(applicant.form(), date(2026, 11, 23), "88.999")
    assert await at.house.examiner.apply(person, "hash", form, admin) is None
    return int(await at.registry.pool.fetchval("SELECT max(number) FROM application"))


async def test_readings_of_enterprises_and_traces_stand_there_too(at: Node) -> None:
    await at.create("A")
    await enrolled(at, he=Role.VERIFIER)
    number, mine = await applied(at), await at.registry.lookup.prefix(PREFIX)
    assert mine is not None
    for path in ("/snms/api/v3/ent/detail", f"/iiidap/identifier/{PREFIX}", f"/api/v1/trace/{PREFIX}/A"):
        assert (await at.call("GET", path))[0] == 200
    for path in (f"/iiidap/identifier/{PREFIX}", f"/api/v1/trace/{PREFIX}/A"):
        assert (await at.call("GET", path, who=None))[0] == 200
        assert (await at.call("GET", path, who="stranger"))[0] == 200
    assert (await at.call("GET", f"/api/v1/applications/{number}", who="he"))[0] == 200
    await at.house.recording.witness.turn()
    told = [(e["actor"], e["after"]["as"], e["objects"]) for e in reversed(await audit(at, action="data_read"))]
    assert told == [
        ("leather", "enterprise", [f"enterprise {mine.enterprise}"]),
        ("leather", "iiidap", [PREFIX]),
        ("leather", "trace", [f"{PREFIX}/A"]),
        ("he", "application", [f"application {number}"]),
    ]


async def test_decisions_quotas_and_what_is_forgotten_stand_there(at: Node) -> None:
    await at.create("A", styleNo="S1", colour="张三丰")
    await enrolled(at, he=Role.VERIFIER)
    number = await applied(at)
    body: Any = {"passed": False, "reason": "证照不符"}
    assert (await at.call("PUT", f"/api/v1/applications/{number}/verification", body, "he"))[0] == 200
    assert (await at.call("PUT", f"/api/v1/quota/{PREFIX}", {"calls": 7000}, "admin"))[0] == 200
    body = {"identifiers": [f"{PREFIX}/A"], "attributes": ["colour"], "reason": "本人请求"}
    assert (await at.call("POST", "/api/v1/forget", body))[1]["results"][0]["result"] == "blanked"
    blanked, quota, decided = (await audit(at, size="4"))[1:]
    assert {each["peer"] for each in (blanked, quota, decided)} == {"127.0.0.1"}
    assert (blanked["actor"], blanked["action"], blanked["objects"]) == ("leather", "values_blanked", [f"{PREFIX}/A"])
    assert blanked["after"] == {"attributes": ["colour"], "versions": [1], "reason": "本人请求"}
    assert (quota["actor"], quota["before"], quota["after"]) == ("admin", {"calls": None}, {"calls": 7000})
    assert (decided["actor"], decided["action"], decided["before"]) == (
        "he",
        "application_decided",
        {"state": "unverified"},
    )
    shown = {"state": "refused", "step": "verification", "passed": False, "reason": "证照不符", "by": "he"}
    assert decided["after"] == shown


async def test_all_of_it_is_paged_exported_and_proven(at: Node) -> None:
    status, first = await at.call("GET", "/api/v1/audit?size=3", who="auditor")
    assert status == 200
    _, second = await at.call("GET", f"/api/v1/audit?size=3&below={first['next']}", who="auditor")
    numbers = [entry["number"] for told in (first, second) for entry in told["entries"]]
    assert numbers == list(range(numbers[0], numbers[0] - 6, -1))
    assert (await at.call("GET", "/api/v1/audit?below=2&size=3", who="auditor"))[1]["next"] is None
    lines = [json.loads(line) for line in (await text(at, "/api/v1/audit/export")).splitlines()]
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[-1]["action"] == "audit_read", "this reading is the last thing in it"
    rows = list(csv.DictReader(io.StringIO(await text(at, "/api/v1/audit/export?format=csv&action=account_put"))))
    assert {row["action"] for row in rows} == {"account_put"}
    assert "auditor" in {row["objects"] for row in rows}
    told = json.loads(await text(at, "/api/v1/audit/verify"))
    assert told["holds"]
    assert told["number"] == len(lines) + 2
    await at.registry.pool.execute(
        "ALTER TABLE audit DISABLE TRIGGER USER; UPDATE audit SET actor = 'nobody' WHERE number = 2"
    )
    told = json.loads(await text(at, "/api/v1/audit/verify"))
    assert (told["holds"], told["number"]) == (False, 2)


async def test_lists_of_what_is_not_public_stand_there_too(at: Node) -> None:
    await at.create("A")
    await enrolled(at, he=Role.VERIFIER)
    number, mine = await applied(at), await at.registry.lookup.prefix(PREFIX)
    assert mine is not None
    for path, who in (
        ("/api/v1/applications", "he"),
        ("/snms/api/v3/ent/page", "leather"),
        (f"/snms/api/prefix/query?prefix={PREFIX}", "he"),
        (f"/api/v1/open/handle/page?metaHandle={PREFIX}/META_bag", "leather"),
    ):
        assert (await at.call("GET", path, who=who))[0] == 200
    await at.house.recording.witness.turn()
    told = {(e["actor"], e["after"]["as"], *e["objects"]) for e in await audit(at, action="data_read")}
    assert told == {
        ("he", "application", f"application {number}"),
        ("leather", "enterprise", f"enterprise {mine.enterprise}"),
        ("he", "enterprise", PREFIX),
        ("leather", "identifiers", f"{PREFIX}/META_bag"),
    }


async def test_an_export_ends_with_the_right_of_who_reads(at: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = at.house.recording.auditor.all

    async def revoked(wanted: Any) -> AsyncIterator[Any]:
        async for each in rows(wanted):
            yield each
            await at.house.steward.revoke_tokens("auditor")
            yield each

    monkeypatch.setattr(at.house.recording.auditor, "all", revoked)
    with pytest.raises(ClientError):
        await text(at, "/api/v1/audit/export")


WRONG = {
    "audit?since=yesterday": "since",
    "audit?until=": "until",
    "audit?action=nothing": "action",
    "audit?size=501": "size",
    "audit?below=0": "below",
    "audit?actor=%00": None,
    "audit/export?format=xml": "format",
    "access-log?identifier=nonsense": "identifier",
    "access-log?account=nobody": "account",
    "access-log?since=x": "since",
}


async def test_what_is_wrong_is_named(at: Node) -> None:
    for query, field in WRONG.items():
        status, told = await at.call("GET", f"/api/v1/{query}", who="auditor", **{"Accept-Language": "en"})
        assert status == (404 if field == "account" else 400), query
        assert told["error"]["field"] == field
    streams = at.client.app[audit_api._STREAMS]  # type: ignore[index]
    for _ in range(audit_api.STREAMS_MOST):
        await streams.acquire()
    for path in PATHS[1:]:
        assert (await at.call("GET", path, who="auditor"))[0] == 503, "so many are read to already"
    streams.release()
    await text(at, "/api/v1/audit/export")


# --- The access log ----------------------------------------------------------------------------------------


async def test_resolutions_and_registrations_are_logged(at: Node) -> None:
    await at.create("A")
    async with at.client.get(f"/api/handles/{PREFIX}/A") as found:
        assert found.status == 200
    async with at.client.get(f"/{PREFIX}/none", headers={"Accept": "text/html"}) as absent:
        assert absent.status == 404
    await at.call("POST", "/api/v1/resolve", {"identifiers": [f"{PREFIX}/A"]}, who=None)
    row = {"handle": f"{PREFIX}/C", "templateVersion": "x", "value": []}
    await at.call("POST", "/identityv2/data", row)
    await at.call("POST", "/identityv2/data/batchCreate", [row])
    for handle in ("A", "none"):
        await at.call("GET", DETAIL.replace("/A", f"/{handle}"))
    await at.call("GET", DETAIL, who="stranger")
    for secret in (PASSWORD, "wrong"):
        await at.call("POST", "/identity/token", {"username": "leather", "password": secret}, who=None)
    told = await logged(at)
    assert [(e["operation"], e["outcome"], e["identifier"]) for e in told] == [
        ("resolve", "found", f"{PREFIX}/A"),
        ("resolve", "absent", f"{PREFIX}/none"),
        ("resolve", "found", f"{PREFIX}/A"),
        ("create", "refused", f"{PREFIX}/C"),
        ("create", "refused", f"{PREFIX}/C"),
        ("detail", "found", f"{PREFIX}/A"),
        ("detail", "absent", f"{PREFIX}/none"),
        ("detail", "refused", f"{PREFIX}/A"),
        ("sign_in", "found", "leather"),
        ("sign_in", "refused", "leather"),
    ]
    leather = await at.registry.steward.account("leather")
    assert leather is not None
    assert [e["account"] for e in told[:7]] == [0, 0, 0, *[leather.number] * 4]
    assert {e["source"] for e in told} == {"127.0.0.1"}
    assert all(1024 <= e["port"] < 65_536 for e in told)
    assert [e["operation"] for e in await logged(at, "account=leather")] == ["create", "create", "detail", "detail"]
    assert [e["outcome"] for e in await logged(at, f"identifier={PREFIX}/none")] == ["absent", "absent"]
    assert await logged(at, "until=2026-01-01") == []
    folder = Path(at.house.config.log_folder)
    (folder / "2026-11-23-strange-1.log").write_bytes(b"nothing of ours")
    assert "2026-11-23-strange-1.log" in {e["unreadable"]["file"] for e in await logged(at) if "unreadable" in e}


# --- The journal is full -----------------------------------------------------------------------------------


async def test_a_full_journal_stops_changes_and_no_public_reading(database: str, tmp_path: Path) -> None:
    async with node(database, audit_octets=65_536, log_folder=str(tmp_path)) as at:
        await enrolled(at)
        await at.create("A")
        at.house.recording.auditor.most = 1
        at.registry.steward._audit_octets = 1
        status, told = await at.call("PUT", *STOP, who="admin")
        assert (status, told["error"]["message"]) == (
            503,
            "审计账已写满，变更停止。 The audit journal is full: changes are stopped.",
        )
        await at.house.recording.witness.turn()
        for method, path in (("POST", "/identityv2/data"), ("POST", "/identityv2/data/batchCreate"), ("GET", DETAIL)):
            row: Any = {"handle": f"{PREFIX}/C", "templateVersion": "x", "value": []}
            status, told = await at.call(method, path, [row] if "batch" in path else row if method == "POST" else None)
            assert (status, told["message"]) == (503, "审计账已写满，变更停止"), path
        async with at.client.get(f"/api/handles/{PREFIX}/A") as found:
            assert found.status == 200
        await text(at, "/api/v1/audit/export")
