"""The parts of `up` one by one: credentials, ready.json, the table, what is missing of the sample world, its end.

A whole `up` is lived with in tests/whole/test_up.py.
"""

import asyncio
import json
import re
import shlex
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from node import up as upping
from node.config import Config
from node.samples import ENTERPRISES, sample_records
from node.site_key import SiteKeyError
from node.up import UpError
from proto.value import Value
from registry.account import Vault
from registry.industries import templates_for
from registry.lookup import Lookup
from registry.postgres.connection import open_pool
from registry.prefix import PrefixState
from registry.registrar import Job, Registrar
from registry.rules import Operation, Request
from registry.steward import Steward
from tests.fakes.small_registry import ADMIN, NOW, Deaf
from tests.registry.world import all_at_once
from tests.waiting import until


@pytest.fixture
def known(tmp_path: Path) -> dict[str, Any]:
    return upping._credentials(tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- credentials and ready.json


def test_credentials_are_drawn_once_and_kept_for_their_owner_alone(tmp_path: Path) -> None:
    drawn = upping._credentials(tmp_path)
    assert mode(tmp_path / "credentials.json") == 0o600
    assert upping._credentials(tmp_path) == drawn
    (tmp_path / "other").mkdir()
    other = upping._credentials(tmp_path / "other")
    secrets = [drawn["secret_key"], drawn["admin"]["password"]]
    secrets += [value for each in drawn["enterprises"].values() for value in each.values()]
    again = [other["secret_key"], other["admin"]["password"]]
    again += [value for each in other["enterprises"].values() for value in each.values()]
    assert len(set(secrets + again)) == 2 * len(secrets) == 2 * 14
    assert Config(secret_key=drawn["secret_key"]).key()


def test_credentials_of_before_are_given_their_officers(tmp_path: Path, known: dict[str, Any]) -> None:
    before = {name: value for name, value in known.items() if name != "officers"}
    (tmp_path / "credentials.json").write_text(json.dumps(before))
    drawn = upping._credentials(tmp_path)
    assert len(set(drawn["officers"].values())) == len(upping.OFFICERS) == 4
    assert {name: value for name, value in drawn.items() if name != "officers"} == before
    assert upping._credentials(tmp_path) == drawn


@pytest.mark.parametrize("content", ["", "nonsense", "[]", "{}", "7", '{"secret_key": "x", "admin": 7}', "\udcff"])
def test_credentials_that_were_spoilt_are_a_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "credentials.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises((ValueError, LookupError)):  # whatever it says: `up` makes a sentence of it
        upping._credentials(tmp_path)


@pytest.mark.parametrize(
    "path",
    [("secret_key",), ("admin", "password"), ("officers", "auditor"), ("enterprises", "88.999.3001", "access_key")],
)
def test_so_are_credentials_with_something_missing(
    tmp_path: Path, known: dict[str, Any], path: tuple[str, ...]
) -> None:
    *above, name = path
    at = known
    for step in above:
        at = at[step]
    for broken in ({k: v for k, v in at.items() if k != name}, at | {name: None}):
        spoilt = json.loads(json.dumps(known))
        place = spoilt
        for step in above[:-1]:
            place = place[step]
        if above:
            place[above[-1]] = broken
        else:
            spoilt = broken
        (tmp_path / "credentials.json").write_text(json.dumps(spoilt))
        with pytest.raises(ValueError, match=r"credentials\.json"):
            upping._credentials(tmp_path)


def test_what_is_written_is_whole_and_private(tmp_path: Path) -> None:
    file = tmp_path / "ready.json"
    upping._write_private(file, {"name": "皮具"})
    assert json.loads(file.read_text()) == {"name": "皮具"}
    assert mode(file) == 0o600
    before = file.stat().st_ino
    with pytest.raises(TypeError):
        upping._write_private(file, {"bad": object()})
    assert json.loads(file.read_text()) == {"name": "皮具"}
    upping._write_private(file, [1])
    assert file.stat().st_ino != before, "replaced, never written over"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://0.0.0.0:8000"),
        ("::1", "http://[::1]:8000"),
        ("node.example", "http://node.example:8000"),
    ],
)
def test_addresses_are_urls(known: dict[str, Any], host: str, url: str) -> None:
    ready = upping._ready(Config(host=host, operator_host=host, operator_port=8000), known)
    assert ready["http"] == ready["operator"] == url
    assert upping._ready(Config(toplevel_url="http://192.0.2.1:8100"), known)["toplevel"] == "http://192.0.2.1:8100"


# -- the site key


def test_a_site_key_is_made_where_none_is_set(tmp_path: Path) -> None:
    made = upping._keyed(Config(), tmp_path)
    assert made.site_key == str(tmp_path / "site.key")
    assert upping._keyed(Config(), tmp_path) == upping._keyed(made, tmp_path / "other") == made
    (tmp_path / "site.key").write_bytes(b"")
    with pytest.raises(SiteKeyError):  # it is not made anew in silence: clients know it
        upping._keyed(Config(), tmp_path)


# -- the table


def commands(config: Config, known: dict[str, Any]) -> dict[str, str]:
    table = upping._table(config, known, Path("here"))
    return dict(re.findall(r"· (open|resolve|sign in|register|operator|accounts) +(.+)", table))


def test_the_table_says_what_to_open_and_try(known: dict[str, Any]) -> None:
    said = commands(Config(http_port=8001), known)
    sample = "88.999.1001/BAG-2026-000017"
    assert said["open"] == f"http://127.0.0.1:8001/{sample}"
    assert said["resolve"] == f"curl 'http://127.0.0.1:8001/api/handles/{sample}?pretty'"
    assert sample in {record.identifier for record in sample_records("88.999.1001")}
    body = json.loads(shlex.split(said["register"])[-1])
    template = next(t for t in templates_for("leather", "") if t.version == body["templateVersion"])
    assert {item.index for item in template.required} <= {value["index"] for value in body["value"]}
    assert template.suffix.admits(body["handle"].partition("/")[2])


def test_the_table_names_the_public_address_where_there_is_one(known: dict[str, Any]) -> None:
    said = commands(Config(public_url="https://标识.example"), known)
    assert said["open"].startswith("https://标识.example/88.999.1001/")


# -- what is missing of the sample world


async def test_only_what_was_never_registered_is_missing(database: str, tmp_path: Path) -> None:
    known = upping._credentials(tmp_path)
    config = Config(database_url=database, secret_key=known["secret_key"])
    await upping._found_world(config, known)
    missing = await upping._missing_samples(config)
    assert {prefix: len(records) for prefix, records in missing.items()} == {
        each.prefix: len(sample_records(each.prefix)) for each in ENTERPRISES
    }
    pool = await open_pool(database, size=2, name="idnode-test")
    steward, lookup = Steward(pool), Lookup(pool)
    registrar = Registrar(pool, lookup, Deaf(), all_at_once, reuse_deleted=True)
    prefix = ENTERPRISES[0].prefix

    async def write(operation: Operation, *texts: str) -> None:
        for text in texts:
            record = next(r for r in sample_records(prefix) if r.identifier == text)
            template = next(t for t in templates_for("leather", prefix) if t.version == record.template)
            by_name = {item.name: item.index for item in template.items}
            values = [upping._sample_row(text, record.template, record.values, by_name)["value"]]
            told = tuple(_value(each) for each in values[0])
            request = Request(operation, upping.Identifier.parse(text), record.template, told)
            await registrar.write([Job(request, ADMIN)], NOW)

    first, second, third = (record.identifier for record in sample_records(prefix)[:3])
    await write("create", first, second)
    await write("delete", second)
    again = await upping._missing_samples(config)
    left = {record.identifier for record in again[prefix]}
    assert first not in left
    assert second not in left, "somebody deleted it: it stays deleted"
    assert third in left
    await steward.set_prefix_state(prefix, PrefixState.STOPPED)
    assert (await upping._missing_samples(config))[prefix] == [], "a stopped prefix takes nothing"
    await pool.close()


def _value(given: dict[str, Any]) -> Any:
    return Value(given["index"], given["type"], given["data"]["value"].encode())


async def test_founding_the_world_twice_changes_nobody(database: str, tmp_path: Path) -> None:
    known = upping._credentials(tmp_path)
    config = Config(database_url=database, secret_key=known["secret_key"])
    pool = await open_pool(database, size=1, name="idnode-test")

    async def state() -> list[Any]:
        async with pool.acquire() as connection:
            return [
                await connection.fetch(f"SELECT * FROM {table} ORDER BY 1")
                for table in ("enterprise", "prefix", "account", "template", "stream")
            ]

    await upping._found_world(config, known)
    before = await state()
    await upping._found_world(config, known)
    assert await state() == before
    roles = {row["username"]: row["role"] for table in before for row in table if "role" in row.keys()}  # noqa: SIM118
    assert upping.OFFICERS.items() <= roles.items()
    program = known["enterprises"][ENTERPRISES[0].prefix]
    credentials = await Steward(pool).credentials(program["access_key"])
    assert credentials is not None
    assert credentials.secret is not None
    assert Vault(config.key()).secret_proves(program["access_key"], credentials.secret, program["secret_key"])
    await pool.close()


async def test_under_a_top_level_node_it_waits_until_every_prefix_is_decided(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upping, "APPROVAL_PATIENCE", 0.0)
    known = upping._credentials(tmp_path)
    config = Config(
        database_url=database, secret_key=known["secret_key"], toplevel_url="http://127.0.0.1:9", prefix="88.999"
    )
    await upping._found_world(config, known)
    pool = await open_pool(database, size=1, name="idnode-test")
    states = {row["prefix"]: row["state"] for row in await Steward(pool).filings()}
    assert set(states.values()) == {PrefixState.PENDING}
    said: list[str] = []
    waiting = asyncio.create_task(upping._decided(config, said.append))
    await until(lambda: said, "it says what it waits for")
    assert "http://127.0.0.1:9" in said[0]
    assert all(prefix in said[0] for prefix in states)
    await pool.execute("UPDATE prefix SET state = 1 WHERE name <> $1", ENTERPRISES[0].prefix)
    assert not waiting.done()
    await pool.execute("UPDATE prefix SET state = 3 WHERE name = $1", ENTERPRISES[0].prefix)
    await waiting
    assert len(said) == 1
    assert (await upping._missing_samples(config))[ENTERPRISES[0].prefix] == []
    await pool.close()


# -- the front door is busy


@asynccontextmanager
async def answering(*answers: tuple[int, dict[str, Any]]) -> AsyncIterator[tuple[aiohttp.ClientSession, list[str]]]:
    """A node that gives these answers, then the last one for ever; and the paths it was asked for."""
    left, asked = list(answers), []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        status, answer = left.pop(0) if len(left) > 1 else left[0]
        return web.json_response(answer, status=status)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handler)
    async with TestServer(app) as server, aiohttp.ClientSession(server.make_url("/")) as session:
        yield session, asked


BUSY = {"status": -1, "message": "系统繁忙", "data": None}


async def test_a_busy_node_is_asked_again_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upping.replies, "BUSY_RETRY_SECONDS", 0)
    async with answering((429, BUSY), (503, BUSY), (200, {"status": 1, "data": [7]})) as (session, asked):
        assert await upping._post(session, "/x", {}) == [7]
        assert asked == ["/x"] * 3
    monkeypatch.setattr(upping, "BUSY_MOST", 3)
    async with answering((429, BUSY)) as (session, asked):
        with pytest.raises(UpError, match="系统繁忙"):
            await upping._post(session, "/x", {})
        assert asked == ["/x"] * 3
    async with answering((200, {"status": -2, "message": "不行", "data": None})) as (session, asked):
        with pytest.raises(UpError, match="不行"):
            await upping._post(session, "/x", {})
        assert asked == ["/x"]


# -- waiting and ending


class Machine:
    """A supervisor as far as waiting for it goes."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    def reasons(self) -> list[str]:
        self.left -= 1
        return ["database_unreachable", "worker_silent"] if self.left >= 0 else []


async def test_it_says_once_what_it_waits_for_when_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(upping, "READY_PATIENCE", -1.0)
    await upping.until_ready(Machine(3), said.append)  # type: ignore[arg-type]
    assert len(said) == 1
    assert "database_unreachable" in said[0]
    monkeypatch.setattr(upping, "READY_PATIENCE", 3600.0)
    await upping.until_ready(Machine(2), said.append)  # type: ignore[arg-type]
    assert len(said) == 1


async def for_ever() -> None:
    await asyncio.Event().wait()


async def dies() -> None:
    await asyncio.sleep(0)
    raise OSError("no more processes")


@pytest.mark.parametrize("which", ["others", "work"])
async def test_what_ends_one_of_them_is_not_kept_secret(which: str) -> None:
    other = asyncio.create_task(dies() if which == "others" else for_ever())
    with pytest.raises(OSError, match="no more processes"):
        await upping.beside({other}, for_ever() if which == "others" else dies())
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)


async def test_work_that_ends_well_ends_well() -> None:
    other = asyncio.create_task(for_ever())
    await upping.beside({other}, asyncio.sleep(0))
    assert not other.done(), "who started it ends it"
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)


async def test_a_stop_stops_the_work() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await for_ever()
        finally:
            ended.set()

    other = asyncio.create_task(for_ever())
    task = asyncio.create_task(upping.beside({other}, work()))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
