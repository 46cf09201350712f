"""Proves what the crowd of the history checker chooses and reads: loadtest/history/{population,mix,timetable,requests,
answers,report}.py, and what it shares with the load, loadtest/{said,wire}.py.

The crowd itself, its faults and its world are proven against the real thing in tests/whole/test_history.py.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import islice, pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.history import answers, report, requests
from loadtest.history.answers import Told
from loadtest.history.line import Bounds
from loadtest.history.mix import Call, Face, calls
from loadtest.history.operation import WRITES, Act, Outcome
from loadtest.history.population import SECOND, WIDTH, Population
from loadtest.history.requests import Row
from loadtest.history.timetable import CALM, RACES, STORM, USUAL, Fault, FaultKind, Suffered, Weather, timetable
from loadtest.history.verdict import Rule, Verdict, Violation
from loadtest.said import Said
from loadtest.wire import Connection, LostError, RefusedError, Reply

POPULATION = Population(("88.999.1001", "88.999.2001"), 2 * SECOND)


# What is chosen


@given(st.integers(0, 10**6), st.integers(0, 2**32), st.sampled_from([1, 8, 20, WIDTH]))
def test_a_choice_is_of_different_identifiers_of_one_prefix(now_ms: int, seed: int, count: int) -> None:
    now = now_ms * 10**6
    items = POPULATION.choose(Random(seed), now, count)
    assert len(set(items)) == count
    assert len({POPULATION.name(item)[0] for item in items}) == 1
    assert max(items) in POPULATION.items(POPULATION.generation(now) + 1)


def test_every_item_has_a_name_of_its_own() -> None:
    items = POPULATION.items(3)
    assert len({POPULATION.name(item) for item in items}) == len(items) == 3 * 2 * WIDTH
    assert POPULATION.identifier(WIDTH + 1) == "88.999.2001/H00000-01"
    assert POPULATION.name(2 * WIDTH) == ("88.999.1001", "H00001-00")


def test_everybody_likes_the_same_identifier_for_a_while() -> None:
    chosen = Counter(POPULATION.choose(Random(seed), 0, 1) for seed in range(400))
    assert chosen.most_common(1)[0][0] == (POPULATION.favourite(0),)
    assert len({POPULATION.favourite(n * SECOND // 4) for n in range(8)}) == 8


def some_calls(seed: int, count: int) -> list[Call]:
    return list(islice(calls(Random(seed), POPULATION, 2, lambda: 5 * SECOND), count))


def test_a_client_does_everything_everywhere() -> None:
    made = some_calls(1, 3000)
    assert {call.act for call in made} == {Act.CREATE, Act.UPDATE, Act.DELETE, Act.RESOLVE, Act.DETAIL}
    assert {call.face for call in made} == set(Face)
    assert {call.machine for call in made} == {0, 1}
    assert {call.fresh for call in made} == {call.noted for call in made} == {True, False}
    assert {call.act in WRITES for call in made if call.escorted} == {True}


def test_chance_comes_from_the_seed_alone() -> None:
    assert some_calls(7, 200) == some_calls(7, 200) != some_calls(8, 200)


def test_most_writes_are_looked_at_right_afterwards() -> None:
    made = some_calls(3, 3000)
    pairs = [(a, b) for a, b in pairwise(made) if a.act in WRITES]
    chased = [(a, b) for a, b in pairs if b.fresh and b.face is Face.HANDLE and b.items == a.items[:1]]
    assert 0.6 < len(chased) / len(pairs) < 0.85
    assert {a.machine == b.machine for a, b in chased} == {True, False}


@given(st.integers(0, 2**32), st.floats(5, 4000), st.sampled_from([USUAL, STORM, RACES]))
def test_every_kind_of_fault_of_a_weather_happens_in_time(seed: int, seconds: float, weather: Weather) -> None:
    faults = timetable(Random(seed), seconds, 2, weather)
    assert {fault.kind for fault in faults} == set(weather.times)
    assert set(USUAL.times) == set(STORM.times) == set(FaultKind)
    assert faults == sorted(faults, key=lambda fault: fault.at)
    assert faults[0].at >= seconds * CALM / 2
    assert faults[-1].at <= seconds * (1 - CALM)
    assert all((fault.seconds > 0) == (fault.kind is FaultKind.FREEZE) for fault in faults)
    assert timetable(Random(seed), seconds, 2, weather) == faults


# What is said and answered

ROWS = [Row("88.999.1001/甲 1", 5, 5), Row("88.999.1001/B", 6)]
VALUES = [
    {"index": 2000, "type": "token", "data": {"format": "string", "value": "5"}},
    {"index": 2001, "type": "tokenAgain", "data": {"format": "string", "value": "5"}},
    {"index": 2002, "type": "note", "data": {"format": "string", "value": "5"}},
]


def said(act: Act, face: Face, rows: list[Row]) -> Said:
    return requests.said(Call(act, face, 0, (0,) * len(rows), fresh=False), rows)


def test_writes_are_said_as_the_openapi_has_them() -> None:
    create = said(Act.CREATE, Face.SINGLE, ROWS[:1])
    assert (create.method, create.path) == ("POST", "/identityv2/data")
    assert json.loads(create.body) == {"handle": ROWS[0].handle, "templateVersion": "history", "value": VALUES}
    update = said(Act.UPDATE, Face.BATCH, ROWS)
    assert (update.method, update.path) == ("PUT", "/identityv2/data/batchUpdate")
    assert [[v["type"] for v in row["value"]] for row in json.loads(update.body)] == [
        ["token", "tokenAgain", "note"],
        ["token", "tokenAgain"],
    ]
    assert json.loads(said(Act.DELETE, Face.SINGLE, ROWS[1:]).body) == {"handle": "88.999.1001/B"}
    assert json.loads(said(Act.DELETE, Face.BATCH, ROWS).body) == [row.handle for row in ROWS]


def test_reads_are_said_by_every_face() -> None:
    assert said(Act.RESOLVE, Face.HANDLE, ROWS[:1]).path == "/api/handles/88.999.1001/%E7%94%B2%201"
    assert said(Act.RESOLVE, Face.PAGE, ROWS[1:]).path == "/88.999.1001/B"
    assert json.loads(said(Act.RESOLVE, Face.BULK, ROWS).body) == {"identifiers": [r.handle for r in ROWS]}
    assert [json.loads(line) for line in said(Act.RESOLVE, Face.NDJSON, ROWS).body.splitlines()] == [
        row.handle for row in ROWS
    ]
    assert said(Act.DETAIL, Face.DETAIL, ROWS[1:]).path == "/identityv2/data/detail?handle=88.999.1001/B"


FOUND = Told(Outcome.DONE, 5, 5, 5)
TOLD: list[tuple[Callable[[int, Any], Told], int, Any, Told]] = [
    (answers.write_told, 200, {"status": 1, "message": "success", "data": True}, Told(Outcome.DONE)),
    (answers.write_told, 200, {"status": -2, "message": "标识已存在", "differs": []}, Told(Outcome.EXISTS)),
    (answers.write_told, 200, {"status": -2, "message": "标识不存在"}, Told(Outcome.ABSENT)),
    (answers.write_told, 200, {"status": -2, "message": "前缀88.999.1001已停用，不能写入"}, Told(Outcome.STOPPED)),
    (answers.write_told, 503, {"status": -1, "message": "系统繁忙", "data": None}, Told(Outcome.REFUSED)),
    (answers.write_told, 429, None, Told(Outcome.REFUSED)),
    (answers.write_told, 504, {"status": -1, "message": "系统繁忙"}, Told(Outcome.UNKNOWN)),
    (answers.resolve_told, 200, {"responseCode": 1, "handle": "h", "values": VALUES}, FOUND),
    (answers.resolve_told, 404, {"responseCode": 100, "handle": "h"}, Told(Outcome.ABSENT)),
    (answers.resolve_told, 400, {"responseCode": 301, "message": "Prefix 1 is stopped."}, Told(Outcome.STOPPED)),
    (answers.resolve_told, 200, {"responseCode": 3, "handle": "h"}, Told(Outcome.REFUSED)),
    (answers.resolve_told, 503, None, Told(Outcome.REFUSED)),
    (answers.detail_told, 200, {"status": 1, "data": {"value": VALUES}}, FOUND),
    (answers.detail_told, 200, {"status": -2, "message": "没有找到标识"}, Told(Outcome.ABSENT)),
]


@pytest.mark.parametrize(("reader", "status", "document", "told"), TOLD)
def test_an_answer_means(reader: Callable[[int, Any], Told], status: int, document: Any, told: Told) -> None:
    assert reader(status, document) == told


@pytest.mark.parametrize(
    ("reader", "status", "document"),
    [
        (answers.write_told, 200, {"status": -2, "message": "标识很奇怪"}),
        (answers.write_told, 500, "oops"),
        (answers.resolve_told, 400, {"responseCode": 301, "message": "That prefix doesn't live here"}),
        (answers.resolve_told, 400, {"responseCode": 102}),
    ],
)
def test_what_no_table_knows_is_unknown_and_told(
    reader: Callable[[int, Any], Told], status: int, document: Any
) -> None:
    told = reader(status, document)
    assert told.outcome is Outcome.UNKNOWN
    assert told.surprise


def test_each_row_of_a_batch_has_its_outcome() -> None:
    rows = [{"handle": "a", "msg": "success"}, {"handle": "b", "msg": "标识已存在", "differs": []}]
    document = {"status": 1, "message": "success", "data": rows}
    assert answers.batch_told(200, document, ["a", "b"]) == [Told(Outcome.DONE), Told(Outcome.EXISTS)]
    assert answers.batch_told(504, None, ["a", "b"]) == [Told(Outcome.UNKNOWN)] * 2
    assert {told.outcome for told in answers.batch_told(200, document, ["b", "a"])} == {Outcome.UNKNOWN}


def test_a_token_that_is_none_of_ours_is_told_apart() -> None:
    assert answers.tokens({"token": "x", "tokenAgain": "9" * 30}) == Told(Outcome.DONE, -1, -1, 0)


@pytest.mark.parametrize(("etag", "version"), [('"12.3.4"', 12), ('W/"7.1.1"', 7), (None, 0), ("", 0), ('"x"', 0)])
def test_the_version_in_an_etag(etag: str | None, version: int) -> None:
    assert answers.told_version(etag) == version


# The wire

Serve = Callable[[bytes], Awaitable[int]]


@pytest.fixture
async def serve() -> AsyncIterator[tuple[Serve, list[bytes]]]:
    """Starts a server that gives each request the same octets and then closes; and the heads of all requests."""
    heads: list[bytes] = []
    servers: list[asyncio.Server] = []

    async def start(octets: bytes) -> int:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(octets)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    yield start, heads
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("octets", "body"),
    [
        (b'HTTP/1.1 200 OK\r\nETag: "1.2.3"\r\nContent-Length: 2\r\n\r\n{}', b"{}"),
        (
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nEtag: "1.2.3"\r\n\r\n'
            b"2\r\n{}\r\n1;x=y\r\n\n\r\n0\r\n\r\n",
            b"{}\n",
        ),
    ],
)
async def test_a_reply_is_read(serve: tuple[Serve, list[bytes]], octets: bytes, body: bytes) -> None:
    start, heads = serve
    connection = await Connection.open(await start(octets))
    reply = await connection.ask("PUT", "/x", {"Authorization": "Bearer t"}, b"abc")
    await connection.close()
    assert (reply.status, reply.headers["etag"], reply.body) == (200, '"1.2.3"', body)
    assert heads[0].startswith(b"PUT /x HTTP/1.1\r\n")
    assert b"Content-Length: 3\r\nAuthorization: Bearer t\r\n" in heads[0]


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_a_lost_answer_is_lost_and_never_asked_again(serve: tuple[Serve, list[bytes]], octets: bytes) -> None:
    start, heads = serve
    connection = await Connection.open(await start(octets))
    with pytest.raises(LostError):
        await connection.ask("DELETE", "/x", {})
    await connection.close()
    assert len(heads) == 1


async def test_nobody_listening_is_a_refusal() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(RefusedError):
        await Connection.open(port)


def test_a_reply_is_a_value() -> None:
    assert Reply(200, {}, b"") == Reply(200, {}, b"")


# The report

ALL_DONE = Counter({(f"{act.name.lower()} single", "done"): 1 for act in Act})
ALL_SUFFERED = [Suffered(Fault(1.0, kind), "done") for kind in FaultKind]


def run(verdict: Verdict, tallies: Counter[tuple[str, str]] = ALL_DONE, suffered: Any = ALL_SUFFERED) -> report.Run:
    return report.Run(42, 20.0, False, Bounds(), tallies, Counter({"odd": 3}), suffered, verdict)


def test_a_clean_run_says_so() -> None:
    clean = run(Verdict())
    assert clean.exit_code == 0
    assert "clean" in report.table(clean).splitlines()[-1]
    assert "42" in report.table(clean)
    assert "unexpected answer ×3: odd" in report.table(clean)


def test_a_violated_run_names_rule_and_identifier() -> None:
    verdict = Verdict()
    verdict.add(Violation(Rule.LOST, "88.999.1001/A", "its token is in no version"))
    violated = run(verdict)
    assert violated.exit_code == 1
    table = report.table(violated)
    assert "88.999.1001/A" in table
    assert "VIOLATED" in table.splitlines()[-1]
    document = json.loads(json.dumps(report.document(violated)))
    assert document["broken"] == {"LOST": 1}
    assert document["violations"] == [verdict.violations[0].sentence]
    assert document["clean"] is False


def test_a_run_in_which_little_happened_proves_nothing() -> None:
    idle = run(Verdict(), Counter({("create single", "done"): 5}), ALL_SUFFERED[:-1])
    assert idle.exit_code == 2
    assert set(idle.missing) == {"update", "delete", "resolve", "detail", "stop", "enable", FaultKind.RESTART.value}
    assert "nothing proven" in report.table(idle)
