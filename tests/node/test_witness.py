"""The witness: readings are collected and written in blocks, none is lost, and none goes on unseen."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog

from node.kept_head import KeptHead
from node.metrics import AUDIT_BROKEN, AUDIT_BYTES, AUDIT_FULL, AUDIT_ROOM_BYTES, AUDIT_WAITING
from node.witness import ENTRIES_MOST, HEAD_BEATS, LOOK_BEATS, SPARE, WAITING_MOST, Witness
from registry.audit import EMPTY, OBJECTS_MOST, Actor, Entry, Head, Kept
from registry.errors import AuditFullError, UnavailableError, UnknownOutcomeError
from tests.fakes.counting import Counting

FIRST = bytes(31) + b"\1"
LI, WANG = (Actor(n, name, "enterprise_user", "192.0.2.1") for n, name in ((7, "li"), (8, "wang")))


@dataclass
class Auditor:
    """Takes what it is told, until it is told to fail."""

    most: int = SPARE * 1000
    octets: int = 0
    wrong: Exception | None = None
    written: list[list[Entry]] = field(default_factory=list)
    at: Head = EMPTY
    holds: bool = True

    async def record(self, entries: list[Entry]) -> None:
        if self.wrong is not None:
            raise self.wrong
        self.written.append(list(entries))

    async def head(self) -> tuple[Head, int]:
        if self.wrong is not None:
            raise self.wrong
        return self.at, self.octets

    async def first(self) -> bytes:
        return FIRST

    async def goes_through(self, kept: Head) -> bool:
        return self.holds

    def read(self) -> list[tuple[str, str, tuple[str, ...]]]:
        return [(e.actor.name, str(e.after["as"]), e.objects) for block in self.written for e in block]


class World:
    """A witness before an auditor."""

    def __init__(self, kept: KeptHead | None = None) -> None:
        self.auditor, self.counting, self.halts = Auditor(), Counting(), list[bool]()
        self.witness = Witness(self.auditor, self.counting.meter, self.halts.append, kept)  # type: ignore[arg-type]

    async def turns(self, count: int) -> None:
        for _ in range(count):
            await self.witness.turn()


async def test_readings_of_one_account_become_one_entry() -> None:
    world = World()
    for name in ("88.999.1/a", "88.999.1/b", "88.999.1/a"):
        world.witness.saw(LI, "detail", [name])
    world.witness.saw(LI, "history", ["88.999.1/a"])
    world.witness.saw(WANG, "detail", ["88.999.1/a"])
    world.witness.saw(WANG, "reconcile", [])
    assert world.auditor.written == [], "a reading is no write"
    await world.turns(2)
    assert world.auditor.read() == [
        ("li", "detail", ("88.999.1/a", "88.999.1/b")),
        ("li", "history", ("88.999.1/a",)),
        ("wang", "detail", ("88.999.1/a",)),
    ]
    assert len(world.auditor.written) == 1


async def test_entries_and_transactions_are_bounded() -> None:
    world = World()
    world.witness.saw(LI, "reconcile", map(str, range(OBJECTS_MOST + 1)))
    for n in range(ENTRIES_MOST):
        world.witness.saw(Actor(n, str(n), "enterprise_user"), "detail", ["x"])
    await world.turns(1)
    assert [len(block) for block in world.auditor.written] == [ENTRIES_MOST, 2]
    assert [len(objects) for _, as_, objects in world.auditor.read() if as_ == "reconcile"] == [OBJECTS_MOST, 1]


@pytest.mark.parametrize(
    "error", [UnavailableError("away"), UnknownOutcomeError("lost", 1), AuditFullError(), KeyError()]
)
async def test_what_could_not_be_written_waits(error: Exception) -> None:
    world = World()
    world.witness.saw(LI, "detail", ["a", "b"])
    world.auditor.wrong = error
    with structlog.testing.capture_logs() as told:
        await world.turns(2)
    assert {each["event"] for each in told} == {"audit_not_written", "audit_not_seen"}
    assert world.counting.told(AUDIT_WAITING) == {(): 2}
    world.auditor.wrong = None
    world.witness.saw(LI, "detail", ["b", "c"])
    await world.turns(1)
    assert world.auditor.read() == [("li", "detail", ("a", "b", "c"))]
    assert world.counting.told(AUDIT_WAITING) == {}


async def test_when_too_many_wait_nobody_reads_on() -> None:
    world = World()
    world.witness.saw(LI, "detail", map(str, range(WAITING_MOST)))
    with pytest.raises(UnavailableError, match="too many"):
        world.witness.saw(WANG, "detail", ["x"])
    await world.turns(1)
    world.witness.saw(WANG, "detail", ["x"])


async def test_a_full_journal_stops_changes_and_readings_until_there_is_room() -> None:
    world = World()
    world.auditor.octets = world.auditor.most - 999
    await world.turns(1)
    assert world.halts == [True]
    assert world.counting.told(AUDIT_FULL) == {(): 1}
    with pytest.raises(AuditFullError, match="IDNODE_AUDIT_OCTETS"):
        world.witness.saw(LI, "detail", ["x"])
    world.auditor.octets -= 1
    await world.turns(LOOK_BEATS)
    assert world.halts == [True, False]
    world.witness.saw(LI, "detail", ["x"])
    await world.turns(1)
    assert world.auditor.read() == [("li", "detail", ("x",))]
    assert world.counting.told(AUDIT_BYTES) == {}, "one worker of the machine tells it"


async def test_the_head_is_kept_and_told_to_the_log(tmp_path: Path) -> None:
    kept = KeptHead(tmp_path, bytes(32))
    world = World(kept)
    world.auditor.at, world.auditor.octets = Head(3, b"\3" * 32), 700
    with structlog.testing.capture_logs() as told:
        await world.turns(1)
        world.auditor.at = Head(4, b"\4" * 32)
        await world.turns(HEAD_BEATS - 1)
        assert kept.read() == Kept(Head(3, b"\3" * 32), FIRST)
        await world.turns(HEAD_BEATS + 1)
    assert kept.read() == Kept(world.auditor.at, FIRST)
    assert [(e["event"], e["number"], e["digest"][:4]) for e in told] == [
        ("audit_head", 3, "0303"),
        ("audit_head", 4, "0404"),
    ]
    assert world.counting.told(AUDIT_BYTES) == {(): 700}
    assert world.counting.told(AUDIT_ROOM_BYTES) == {(): world.auditor.most}


@pytest.mark.parametrize("how", ["another entry", "cut off", "another key", "another journal"])
async def test_what_speaks_against_the_journal_stays(tmp_path: Path, how: str) -> None:
    kept, first = KeptHead(tmp_path, bytes(32)), b"\7" * 32 if how == "another journal" else FIRST
    (KeptHead(tmp_path, b"\1" * 32) if how == "another key" else kept).write(Kept(Head(5, b"\5" * 32), first))
    written = kept.path.read_text()
    world = World(kept)
    world.auditor.at = Head(4 if how == "cut off" else 9, b"\0" * 32)
    world.auditor.holds = how != "another entry"
    with structlog.testing.capture_logs() as told:
        await world.turns(1)
    assert kept.path.read_text() == written
    assert world.counting.told(AUDIT_BROKEN) == {(): 1}
    assert [(each["event"], each["log_level"]) for each in told] == [("audit_broken", "error")]
