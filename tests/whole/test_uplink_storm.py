"""The uplink through a storm: processes of both sides and their database die while receipts are lost and messages
repeated, prefixes are suspended and resumed, and somebody registers all the while. Then the books are compared.

The storm is drawn from a seed, which is printed; the machine decides how far each side has come when it strikes.
It takes most of a minute: ten starts of programs, and at its end windows that are told when over for 15 s.
"""

import asyncio
import http.client
import json
import os
import random
import signal
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from node.embedded import Embedded
from registry.postgres.migrate import migrate
from registry.prefix import PrefixState
from tests.waiting import until, wait_until
from tests.whole.calls import Caller, children
from tests.whole.uplink_world import OTHER, PREFIX, Land, Machine, TopLevel, ended, rows

SEED = int(os.environ.get("IDNODE_TEST_SEED", "3"))
BLOWS = 8
FAULTS = {"lost_receipt_rate": 0.3, "duplicate_rate": 0.5}
DOORS = {"POST": "/identityv2/data/batchCreate", "PUT": "/identityv2/data/batchUpdate"}


class Crowd:
    """Somebody who registers under a prefix until told to stop, and repeats whatever was not answered."""

    def __init__(self, machine: Machine, writer: Caller, prefix: str) -> None:
        self._machine, self._writer, self._prefix = machine, writer, prefix
        self._enough = threading.Event()
        self.registered = 0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._enough.set()
        self._thread.join()

    def _work(self) -> None:
        batch = 0
        while not self._enough.is_set():
            given = rows(f"{batch:05d}", 20, self._prefix)
            wait_until(lambda given=given: self._taken(given) or self._enough.is_set(), "a batch is registered")
            self.registered = batch = batch + 1

    def _taken(self, given: list[dict[str, Any]]) -> bool:
        try:
            reply = self._writer.call("POST", DOORS["POST"], given)
            return {row["msg"] for row in reply.json["data"]} <= {"success", "标识已存在"}
        except (OSError, http.client.HTTPException, json.JSONDecodeError, KeyError, TypeError):
            return False


class Storm:
    """What strikes, by name; each blow is survived before the next one falls."""

    def __init__(self, land: Land, embedded: Embedded, machine: Machine) -> None:
        self._land, self._embedded, self._machine = land, embedded, machine

    def uplink(self) -> None:
        pid = self._machine.process.pid if self._machine.process else 0
        wait_until(lambda: children(pid, "node.uplink"), "there is an uplink")
        os.kill(self._machine.uplink, signal.SIGKILL)

    def supervisor(self) -> None:
        self._machine.kill()
        self._machine.start()

    def toplevel(self) -> None:
        self._land.toplevel.kill()
        self._land.toplevel.start()
        self._land.toplevel.control("PUT", "faults", FAULTS)

    def postgres(self) -> None:
        before = self._embedded.pids()["postgres"]
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: self._embedded.pids().get("postgres", before) != before, "PostgreSQL is back")
        wait_until(lambda: Caller(self._land.toplevel.url).status("/health/ready") == 200, "the books are back")

    def suspend(self) -> None:
        self.order("suspend")

    def resume(self) -> None:
        self.order("resume")

    def verify(self) -> None:
        self.order("verify")

    def order(self, kind: str, prefix: str = PREFIX) -> int:
        """An order that may be refused, as one to resume what was not suspended is."""
        body = {"kind": kind, "prefix": prefix, "reason": "抽查"}
        door = Caller(self._land.toplevel.url)
        return door.call("POST", "/control/orders", body, Content_Type="application/json").status


@pytest.fixture
async def embedded(folder: Path) -> AsyncIterator[tuple[Embedded, str]]:
    """Servers of its own, started again when they die."""
    data = folder / "storm"
    data.mkdir(mode=0o755)
    made = Embedded(data, redis_url="redis://nobody", say=lambda _: None)
    url = (await made.start()).database_url
    watching = asyncio.create_task(made.watch())
    connection = await asyncpg.connect(url)
    await migrate(connection)
    await connection.close()
    yield made, url
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await made.stop()


@pytest.fixture
async def land(tmp_path: Path, embedded: tuple[Embedded, str]) -> AsyncIterator[Land]:
    url = embedded[1]
    made = Land(url, tmp_path, await asyncpg.connect(url), TopLevel(url, tmp_path / "toplevel.log"))
    with ended(made):
        made.enterprise()
        made.enterprise(OTHER)
        made.toplevel.start()
        made.toplevel.control("PUT", "faults", FAULTS)
        yield made
    await made.connection.close()


async def test_after_the_storm_the_books_agree_to_the_last_digest(land: Land, embedded: tuple[Embedded, str]) -> None:
    print(f"IDNODE_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    machine = land.machine()
    await land.until_state(PrefixState.ENABLED)
    await land.until_state(PrefixState.ENABLED, OTHER)
    crowds = [
        Crowd(machine, await asyncio.to_thread(land.writer, machine, prefix), prefix) for prefix in (PREFIX, OTHER)
    ]
    storm = Storm(land, embedded[0], machine)
    blows = [storm.uplink, storm.supervisor, storm.toplevel, storm.postgres, storm.suspend, storm.resume, storm.verify]
    drawn = [*blows, *chance.choices(blows, k=BLOWS - len(blows))]
    chance.shuffle(drawn)
    for blow in drawn:
        before = crowds[1].registered
        print(blow.__name__, before)
        await asyncio.to_thread(blow)
        much = before + chance.randrange(1, 8)
        await until(lambda much=much: crowds[1].registered >= much, "registering goes on")
    land.toplevel.control("PUT", "faults", {})
    await asyncio.to_thread(storm.order, "resume")
    if land.connection.is_closed():
        land.connection = await asyncpg.connect(land.url)
    await until(lambda: _all_acknowledged(land), "all orders are carried out")
    await land.until_state(PrefixState.ENABLED)
    until_more = [crowd.registered for crowd in crowds]
    await until(lambda: all(c.registered > n for c, n in zip(crowds, until_more, strict=True)), "all go on")
    for crowd in crowds:
        await asyncio.to_thread(crowd.stop)
    for prefix in (PREFIX, OTHER):
        await land.until_agreed(prefix)
    await _nothing_is_missing_or_twice(land)


async def _all_acknowledged(land: Land) -> bool:
    return not await land.connection.fetchval("SELECT count(*) FROM toplevel.message WHERE acknowledged IS NULL")


async def _all_windows_told(land: Land) -> bool:
    return not await land.connection.fetchval("SELECT count(*) FROM statistics WHERE sent < revision")


async def _nothing_is_missing_or_twice(land: Land) -> None:
    ask = land.connection.fetchval
    done = await ask("SELECT count(*) FROM change, unnest(kinds) kind WHERE kind = 1")
    assert done == await ask("SELECT count(*) FROM record")
    assert done == await ask("SELECT sum(registered) FROM statistics"), "each registration is counted once"
    orders = await ask("SELECT count(*) FROM toplevel.prefix_history WHERE state = 4")
    assert orders == await ask("SELECT count(*) FROM change, unnest(kinds) kind WHERE kind = 11"), "each order once"
    await until(lambda: _all_windows_told(land), "all windows are told")
    assert await ask("SELECT count(*) FROM toplevel.message") == await ask("SELECT count(*) FROM message")
    differing = await land.connection.fetch(
        """
        SELECT * FROM (SELECT p.name, s.start, s.seconds, s.registered, s.updated, s.deleted FROM statistics s
            JOIN prefix p ON p.number = s.prefix_no) ours
        FULL JOIN (SELECT p.name, w.start, w.seconds, w.registered, w.updated, w.deleted FROM toplevel.window w
            JOIN toplevel.prefix p ON p.number = w.prefix_no) theirs
            USING (name, start, seconds, registered, updated, deleted)
        WHERE ours IS NULL OR theirs IS NULL
        """
    )
    assert not differing
