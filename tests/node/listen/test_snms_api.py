"""The SNMS OpenAPI when something behind it fails: who is told what, on a node in this process.

What it says when all is well is in tests/whole/test_snms.py.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import slices
from node.gather import BusyError
from node.listen import skeleton, snms_api
from node.register.batcher import Told
from proto.chain import Kind
from registry import registrar
from registry.access_log import Source
from registry.account import Account
from registry.block import Block
from registry.errors import RegistryError, UnavailableError, UnknownOutcomeError
from registry.registrar import CONTENDED, Job, Outcome, Written
from registry.rules import EXISTS_ZH, Operation, Refused, Request, Rule, Unchanged
from registry.steward import Steward
from tests.fakes.in_process import PASSWORD, Node, node
from tests.fakes.small_registry import PREFIX

DATA = "/identityv2/data"
BUSY = {"status": -1, "message": "系统繁忙", "data": None}


def row(suffix: str, style: str = "S1") -> dict[str, Any]:
    value = [{"index": 2000, "type": "styleNo", "data": {"format": "string", "value": style}}]
    return {"handle": f"{PREFIX}/{suffix}", "templateVersion": "bag", "value": value}


def failing(running: Node, fates: dict[str, Outcome | RegistryError]) -> None:
    """Gives what is written under these suffixes another fate; the others are written as ever."""
    write = running.house.batcher.write

    async def written(jobs: Sequence[Job], source: Source) -> list[Outcome | RegistryError]:
        outcomes = iter(await write([job for job in jobs if job.request.identifier.suffix not in fates], source))
        return [fates.get(job.request.identifier.suffix) or next(outcomes) for job in jobs]

    ask = running.house.batcher.ask

    def asked(job: Job, told: Told, source: Source) -> None:
        fate = fates.get(job.request.identifier.suffix)
        ask(job, told, source) if fate is None else told(fate)

    running.house.batcher.write = written  # type: ignore[method-assign]
    running.house.batcher.ask = asked  # type: ignore[method-assign]


async def test_trouble_of_a_single_write_is_told_with_its_status(database: str) -> None:
    async with node(database) as running:
        fates: dict[str, Outcome | RegistryError] = {
            "away": UnavailableError("the name of a host"),
            "lost": UnknownOutcomeError("the name of a host", 7),
            "raced": CONTENDED,
        }
        failing(running, fates)
        for suffix, status in (("away", 503), ("lost", 504), ("raced", 503)):
            for method in ("POST", "PUT"):
                assert await running.call(method, DATA, row(suffix)) == (status, BUSY)
            assert await running.call("DELETE", DATA, {"handle": f"{PREFIX}/{suffix}"}) == (status, BUSY)


async def test_a_sign_in_is_small(database: str) -> None:
    async with node(database) as running:
        for path in ("/identity/token", "/snmsapi/identity/token/v1"):
            status, answer = await running.call("POST", path, b" " * (snms_api.TOKEN_OCTETS + 1), who=None)
            assert (status, answer["status"], "8192" in answer["message"]) == (200, -2, True)


async def test_who_guesses_is_told_to_come_again_later(database: str) -> None:
    async with node(database, trusted_proxies="127.0.0.1") as running:

        async def tried(password: str, peer: str) -> tuple[int, Any, int]:
            given, headers = {"username": "leather", "password": password}, {"X-Forwarded-For": peer}
            async with running.client.post("/identity/token", json=given, headers=headers) as response:
                again = int(response.headers.get("Retry-After", "0"))
                return response.status, await response.json(content_type=None), again

        for _ in range(10):
            assert (await tried("wrong", "192.0.2.7"))[0] == 200
        status, answer, again = await tried(PASSWORD, "192.0.2.7")
        assert (status, answer) == (429, BUSY)
        assert 1 <= again <= 6
        status, answer, _ = await tried(PASSWORD, "192.0.2.8")
        assert (status, answer["message"]) == (200, "success")


async def test_a_batch_tells_each_row_its_fate(database: str) -> None:
    async with node(database) as running:
        failing(running, {"away": UnavailableError("x"), "raced": CONTENDED, "lost": UnknownOutcomeError("x", 7)})
        rows = [row("A"), row("away"), row("raced"), row("B")]
        status, answer = await running.call("POST", f"{DATA}/batchCreate", rows)
        assert (status, answer["status"], answer["message"]) == (200, 1, "success")
        assert [each["msg"] for each in answer["data"]] == ["success", "系统繁忙", "系统繁忙", "success"]
        _, batches = await running.call("GET", "/api/v1/batches")
        assert [batches["batches"][0][name] for name in ("rows", "succeeded", "refused")] == [4, 2, 2]
        handles = [each["handle"] for each in rows]
        status, answer = await running.call("DELETE", f"{DATA}/batchDelete", handles)
        assert [(each["code"], each["msg"]) for each in answer["data"]] == [
            (1, "success"),
            (-2, "系统繁忙"),
            (-2, "系统繁忙"),
            (1, "success"),
        ]
        assert await running.call("POST", f"{DATA}/batchCreate", [row("away"), row("raced")]) == (503, BUSY)
        assert await running.call("POST", f"{DATA}/batchCreate", [row("C"), row("lost")]) == (504, BUSY)
        status, answer = await running.call("POST", f"{DATA}/batchCreate", [row("C")])
        assert answer["data"][0]["msg"] == "标识已存在", "repeated after 504: it is there, which is success"
        assert answer["data"][0]["differs"] == []


async def test_a_batch_is_read_and_judged_in_slices(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every slice is over after one row here: no two rows may be read, or judged, in one turn of the loop."""
    monkeypatch.setattr(slices, "SLICE_SECONDS", 1e-9)
    turns = 0

    def turn() -> None:
        nonlocal turns, handle
        turns += 1
        handle = asyncio.get_running_loop().call_soon(turn)

    def noted(module: Any, name: str) -> list[int]:
        real, seen = getattr(module, name), []

        def noting(*given: Any) -> Any:
            seen.append(turns)
            return real(*given)

        monkeypatch.setattr(module, name, noting)
        return seen

    async with node(database) as running:
        noting = [noted(snms_api, "_readable"), noted(registrar, "new_body")]
        handle = asyncio.get_running_loop().call_soon(turn)
        status, answer = await running.call("POST", f"{DATA}/batchCreate", [row(f"A{n}") for n in range(50)])
        handle.cancel()
    assert (status, {each["msg"] for each in answer["data"]}) == (200, {"success"})
    for seen in noting:
        assert len(seen) == len(set(seen)) == 50


async def test_503_is_said_only_when_nothing_was_done(database: str) -> None:
    async with node(database) as running:

        async def away(*_: object) -> Any:
            raise UnavailableError("x")

        record = running.house.steward.record_batch
        running.house.steward.record_batch = away  # type: ignore[method-assign]
        assert await running.call("POST", f"{DATA}/batchCreate", [row("A")]) == (504, BUSY)
        running.house.steward.record_batch = record  # type: ignore[method-assign]
        _, answer = await running.call("POST", f"{DATA}/batchCreate", [row("A")])
        assert answer["data"][0]["msg"] == "标识已存在"


async def test_a_queue_that_is_full_is_503_and_nothing_is_done(database: str) -> None:
    async with node(database) as running:

        async def busy(*_: object) -> Any:
            raise BusyError

        write, ask = running.house.batcher.write, running.house.batcher.ask
        running.house.batcher.write = busy  # type: ignore[method-assign]
        running.house.batcher.ask = lambda job, told, source: told(BusyError())  # type: ignore[method-assign]
        assert await running.call("POST", DATA, row("A")) == (503, BUSY)
        assert await running.call("POST", f"{DATA}/batchCreate", [row("A")]) == (503, BUSY)
        running.house.batcher.write, running.house.batcher.ask = write, ask  # type: ignore[method-assign]
        assert (await running.call("POST", DATA, row("A")))[1]["message"] == "success"


async def test_a_poisoned_row_is_an_internal_error_of_its_batch_only(database: str) -> None:
    async with node(database) as running:
        registrar = running.house.batcher._next._registrar
        judged = registrar._judged

        def poisoned(jobs: Sequence[Job], *given: Any) -> Any:
            if "poison" in {job.request.identifier.suffix for job in jobs}:
                raise ZeroDivisionError("secret")
            return judged(jobs, *given)

        registrar._judged = poisoned  # type: ignore[method-assign]
        calls = [running.call("POST", DATA, row(suffix)) for suffix in ("A", "poison", "B", "C")]
        answers = [answer for _, answer in await asyncio.gather(*calls)]
        assert [answer["status"] for answer in answers] == [1, -4, 1, 1]
        assert "secret" not in json.dumps(answers)


async def test_without_a_database_nobody_is_signed_in_and_nobody_is_turned_away(database: str) -> None:
    async with node(database) as running:

        async def away(*_: object) -> Any:
            raise UnavailableError("x")

        running.registry.lookup.holders = away  # type: ignore[method-assign]
        running.house.steward.credentials = away  # type: ignore[method-assign]
        assert await running.call("POST", DATA, row("A")) == (503, BUSY), "-1 would make clients sign in again"
        secret = {"username": "leather", "password": PASSWORD}
        assert await running.call("POST", "/identity/token", secret, who=None) == (503, BUSY)


async def test_a_template_changed_by_two_at_once_is_tried_again(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with node(database) as running:

        async def lost(*_: object) -> bool:
            return False

        monkeypatch.setattr(Steward, "replace_template", lost)
        body = {"prefix": PREFIX, "version": "bag", "items": []}
        assert await running.call("PUT", "/snms/api/v5/template", body) == (503, BUSY)


async def test_a_deleted_identifier_may_be_kept_from_coming_back(database: str) -> None:
    async with node(database, reuse_deleted="refuse") as running:
        for method, body in (("POST", row("A")), ("DELETE", {"handle": f"{PREFIX}/A"})):
            assert (await running.call(method, DATA, body))[1]["status"] == 1
        _, answer = await running.call("POST", DATA, row("A"))
        assert (answer["status"], answer["message"]) == (-2, "标识已被删除，不能重新注册")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_what_the_face_does_not_have_is_an_envelope(database: str, method: str) -> None:
    async with node(database) as running:
        for path in ("/identity/token", "/snmsapi/identity/nothing", "/snms/api/v3/ent/apply"):
            status, answer = await running.call(method, path, who=None)
            assert (status, answer["status"], answer["data"]) == (200, -2, None)
            assert f"{method} {path}" in answer["message"]


def test_a_request_is_what_a_row_becomes() -> None:
    """The tables of this face speak of every operation there is."""
    operations = set(Request.__annotations__["operation"].__args__)
    assert set(snms_api._ROW) == operations


async def test_a_database_that_takes_no_changes_is_busy_to_writers_and_goes_on_answering(database: str) -> None:
    async with node(database) as running, asyncpg_connection(database) as connection:
        await running.create("A")
        name = await connection.fetchval("SELECT current_database()")
        await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await until_reconnected(connection)
        assert await running.call("POST", DATA, row("B")) == (503, BUSY)
        assert await running.call("PUT", DATA, row("A", "S2")) == (503, BUSY)
        assert await running.call("POST", f"{DATA}/batchCreate", [row("B"), row("C")]) == (503, BUSY)
        signing = {"username": "leather", "password": PASSWORD}
        assert await running.call("POST", "/identity/token", signing, who=None) == (503, BUSY)
        stopping = await running.call("PUT", f"/api/v1/prefixes/{PREFIX}", {"state": "stopped"}, who="admin")
        assert stopping[0] == 503
        assert (await running.call("GET", f"/api/handles/{PREFIX}/A", who=None))[0] == 200
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await until_reconnected(connection)
        assert (await running.call("POST", DATA, row("B")))[1]["message"] == "success"


@asynccontextmanager
async def asyncpg_connection(database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def until_reconnected(connection: asyncpg.Connection) -> None:
    """Ends every other session of the database: what is asked next is asked under its new settings."""
    await connection.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )


results = st.sampled_from(
    [
        Written(Kind.CREATED, 1),
        Written(Kind.UPDATED, 2),
        Unchanged(2),
        UnavailableError("x"),
        "与本批第1行重复",
        Refused(Rule.EXISTS, "handle", "标识已存在", "it exists", ("colour", 'a"b')),
        Refused(Rule.VALUE, "colour", '颜色"\\', "colour"),
    ]
)
handles = st.text(max_size=5) | st.sampled_from(["88.1/A", '88.1/"', '88.1/","', "88.1/\\", "88.1/袋", "88.1/\x7f"])


@given(st.sampled_from(["create", "update", "delete"]), st.lists(handles, max_size=4), st.data())
def test_rows_that_are_told_the_same_are_written_as_others_are(
    operation: Operation, of: list[str], data: st.DataObject
) -> None:
    for told in (data.draw(st.lists(results, min_size=len(of), max_size=len(of))), [data.draw(results)] * len(of)):
        one_by_one = list(map(snms_api._ROW[operation], of, told))
        rows = snms_api._rows(operation, of, told)
        assert snms_api.enveloped(1, "x", rows) == snms_api.enveloped(1, "x", one_by_one)


async def test_batches_that_are_blocks_are_told_and_kept_as_others(database: str) -> None:
    async with node(database) as running, asyncpg_connection(database) as connection:
        blocks: list[int] = []
        write_block = running.house.batcher.write_block

        async def counted(block: Block, who: Account, source: Source) -> list[Outcome | RegistryError]:
            blocks.append(block.size)
            return await write_block(block, who, source)

        running.house.batcher.write_block = counted  # type: ignore[method-assign]

        async def sent(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
            status, answer = await running.call("POST", f"{DATA}/batchCreate", rows)
            assert (status, answer["status"]) == (200, 1)
            assert [each["handle"] for each in answer["data"]] == [each["handle"] for each in rows]
            return answer["data"]

        learned = [row(f"L-{n}", f"S{n}") for n in range(2 * skeleton.LEARNED_AFTER)]
        assert {each["msg"] for each in await sent(learned)} == {"success"}
        assert blocks == []
        rows = [row(f"B-{n}", f"S{n}") for n in range(300)]
        assert {each["msg"] for each in await sent(rows)} == {"success"}
        assert blocks == [300]
        kept = await connection.fetch(
            "SELECT version, actor_no, template_no, body FROM record WHERE suffix ~ '^[LB]-2..$'"
        )
        assert len(kept) == 200
        assert len(set(map(tuple, kept))) == 100
        # Again, with another text and a new one: as rows would be told.
        other = [*rows[:7], row("B-7", "other"), row("B-new"), *rows[8:]]
        told = await sent(other)
        assert blocks == [300, 301]
        assert told[0] | {"handle": ""} == {"handle": "", "msg": EXISTS_ZH, "differs": []}
        assert told[7]["differs"] == ["styleNo"]
        assert told[8]["msg"] == "success"
        # What is too long is said of the row; what a skeleton does not fit is no block.
        told = await sent([*rows[:3], row("C", "x" * 500)])
        assert [each["msg"] for each in told[:3]] == [EXISTS_ZH] * 3
        assert "实为500" in told[3]["msg"]
        assert (await sent([row("D"), row("E", 'x"y')]))[1]["msg"] == "success"
        assert blocks == [300, 301, 4]
        _, batches = await running.call("GET", "/api/v1/batches")
        counts = [tuple(each[name] for name in ("rows", "succeeded", "refused")) for each in batches["batches"]]
        assert counts == [(2, 2, 0), (4, 0, 1), (301, 1, 0), (300, 300, 0), (len(learned), len(learned), 0)]
