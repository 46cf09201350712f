"""Proves node/verifier.py: certificates are found step by step, within bounds; findings are kept for a while."""

import asyncio
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from node import verifier
from node.gather import BusyError
from node.resolve.answer import Answer, Outcome
from node.verifier import KEPT_MOST, KEPT_SECONDS, LINES_MOST, LOOKS_MOST, UNKNOWN_SECONDS, Verifier
from proto.identifier import Identifier
from proto.keys.public import fingerprint
from proto.trust import Finding, Root
from proto.value import Reference, Value
from proto.values.claims import Term, certificate, signature
from proto.web_json import array
from registry.errors import UnavailableError
from tests.proto.keys.made import private
from tests.waiting import until

COUNTRY, NODE, ENTERPRISE = private("rsa"), private("ec"), private("dsa")
ROOT, ABOVE, HERE = Reference("88/ROOT", 300), Reference("88.1/NODE", 300), Reference("88.1.2/ADMIN", 301)
NAME = Identifier.parse("88.1.2/甲")
TERM, NOW = Term(1000, 2000), 1500
ALL = (("everything", ""),)
VALUES = (Value(1, "URL", b"http://x/"), Value(2, "DESC", b"x"))
ROOTS = frozenset({Root("88/ROOT", fingerprint(COUNTRY.public()))})


def cert(issuer, subject, key, signer) -> Value:
    return Value(400, "HS_CERT", certificate(issuer, subject, key.public(), ALL, TERM, signer))


def sign(values=VALUES, issuer=HERE, signer=ENTERPRISE, index=400) -> Value:
    return Value(index, "HS_SIGNATURE", signature(issuer, NAME, values, TERM, signer))


BOOK = {
    "88/ROOT": (cert(ROOT, ROOT, COUNTRY, COUNTRY),),
    "88.1/NODE": (cert(ROOT, ABOVE, NODE, COUNTRY), Value(1, "URL", b"x")),
    "88.1.2/ADMIN": (cert(ABOVE, HERE, ENTERPRISE, NODE),),
}
RECORD = (*VALUES, sign())


@dataclass
class World:
    """A resolver that knows a book, and the time."""

    book: dict[str, tuple[Value, ...] | Exception] = field(default_factory=lambda: dict(BOOK))
    asked: list[tuple[str, bool]] = field(default_factory=list)
    passed: float = 1000.0
    holds: asyncio.Event | None = None

    async def ask(self, identifier: Identifier, *, onward: bool = True) -> Answer:
        self.asked.append((identifier.key, onward))
        if self.holds:
            await self.holds.wait()
        found = self.book.get(identifier.key)
        if isinstance(found, Exception):
            raise found
        if found is None:
            return Answer(Outcome.ABSENT, 0, 3, 11)
        return Answer(Outcome.FOUND, 7, 3, 11, shown=array(found))

    def verifier(self, roots: frozenset[Root] = ROOTS) -> Verifier:
        return Verifier(self, roots, lambda: self.passed, lambda: NOW)


async def test_a_chain_is_followed_to_a_root_and_the_finding_kept_and_told_in_the_journal() -> None:
    world = World()
    made = world.verifier()
    with capture_logs() as lines:
        for _ in range(3):
            assert await made.found(NAME, RECORD) is Finding.PROVEN
    assert [name for name, _ in world.asked] == ["88.1.2/ADMIN", "88.1/NODE", "88/ROOT"]
    assert lines == [
        {
            "event": "trusted_query",
            "log_level": "info",
            "identifier": str(NAME),
            "trust": "trusted",
            "reason": "proven",
            "by": "301:88.1.2/ADMIN",
        }
    ]
    world.passed += KEPT_SECONDS
    assert await made.found(NAME, RECORD) is Finding.PROVEN
    assert len(world.asked) == 6


async def test_the_journal_is_not_flooded() -> None:
    made = World().verifier()
    with capture_logs() as lines:
        for n in range(LINES_MOST + 5):
            await made.found(NAME, (Value(1, "URL", str(n).encode()),))
        await made.found(NAME, RECORD)
    assert [line["log_level"] for line in lines] == ["info"] * LINES_MOST + ["debug"] * 5 + ["info"]


async def test_it_ends_at_a_root_in_the_middle() -> None:
    world = World()
    roots = frozenset({Root("88.1/NODE", fingerprint(NODE.public()))})
    assert await world.verifier(roots).found(NAME, RECORD, onward=False) is Finding.PROVEN
    assert world.asked == [("88.1.2/ADMIN", False), ("88.1/NODE", False)]


async def test_without_roots_nobody_is_asked() -> None:
    world = World()
    assert await world.verifier(frozenset()).found(NAME, RECORD) is Finding.NO_ROOTS
    assert world.asked == []


@pytest.mark.parametrize(
    ("case", "told", "missing", "finding"),
    [
        ("nobody signed", VALUES, {}, Finding.UNSIGNED),
        ("a value was changed", (Value(1, "URL", b"http://y/"), RECORD[2]), {}, Finding.CHANGED),
        ("a value was added", (*RECORD, Value(3, "URL", b"z")), {}, Finding.NOT_COVERED),
        ("another's key", (*VALUES, sign(signer=NODE)), {}, Finding.WRONG_SIGNATURE),
        ("an old signature beside a good one", (*RECORD, sign(VALUES[:1], index=401)), {}, Finding.PROVEN),
        ("no certificate", RECORD, {"88.1/NODE": ()}, Finding.CHAIN_INCOMPLETE),
        ("no identifier", RECORD, {"88.1.2/ADMIN": None}, Finding.CHAIN_INCOMPLETE),
        ("a database away", RECORD, {"88/ROOT": UnavailableError("away")}, Finding.CHAIN_INCOMPLETE),
        ("busy", RECORD, {"88/ROOT": BusyError()}, Finding.CHAIN_INCOMPLETE),
    ],
)
async def test_what_breaks_it(case: str, told: tuple[Value, ...], missing: dict, finding: Finding) -> None:
    world = World(BOOK | missing)
    assert await world.verifier().found(NAME, told) is finding, case


async def test_what_is_not_known_is_looked_for_again_soon() -> None:
    world = World(BOOK | {"88/ROOT": None})
    made = world.verifier()
    assert await made.found(NAME, RECORD) is Finding.CHAIN_INCOMPLETE
    world.book = dict(BOOK)
    assert await made.found(NAME, RECORD) is Finding.CHAIN_INCOMPLETE
    world.passed += UNKNOWN_SECONDS
    assert await made.found(NAME, RECORD) is Finding.PROVEN


async def test_the_signature_may_stand_beside_what_was_asked_for() -> None:
    world = World(BOOK | {NAME.key: RECORD})
    made = world.verifier()
    assert await made.found(NAME, VALUES[:1]) is Finding.PROVEN
    hidden = Value(9, "NOTE", b"x", permissions=0x0C)
    assert await made.found(NAME, (VALUES[0], hidden)) is Finding.NOT_COVERED
    before = Value(1, "URL", b"http://before/")
    assert await made.found(NAME, (before,)) is Finding.UNSIGNED, (
        "of what has changed since it was told nothing is said"
    )


async def test_a_hostile_record_costs_no_more_than_so_many_questions() -> None:
    ends = [Reference(f"88.1.{n}/X", 301) for n in range(9)]
    book = {each.handle: (cert(Reference(f"{each.handle}-", 1), each, ENTERPRISE, NODE),) for each in ends}
    claims = tuple(sign(issuer=each, index=400 + n) for n, each in enumerate(ends))
    world = World(book)
    assert await world.verifier().found(NAME, (*VALUES, *claims)) is Finding.CHAIN_INCOMPLETE
    assert len(world.asked) == LOOKS_MOST == len(set(world.asked))


async def test_who_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier, "SECONDS", 0.05)
    world = World(holds=asyncio.Event())
    assert await world.verifier().found(NAME, RECORD) is Finding.CHAIN_INCOMPLETE


async def test_the_same_is_verified_once_and_not_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier, "UNDER_WAY_MOST", 1)
    world = World(holds=asyncio.Event())
    made = world.verifier()
    both = [asyncio.create_task(made.found(NAME, RECORD)) for _ in range(2)]
    await until(lambda: world.asked)
    with pytest.raises(BusyError):
        await made.found(NAME, VALUES)
    both[0].cancel()
    assert world.holds is not None
    world.holds.set()
    assert await both[1] is Finding.PROVEN, "though the first to ask has gone"
    assert [name for name, _ in world.asked] == ["88.1.2/ADMIN", "88.1/NODE", "88/ROOT"]


async def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier, "KEPT_MOST", 1)
    world = World()
    made = world.verifier()
    for told in (RECORD, VALUES, RECORD):
        await made.found(NAME, told)
    assert [name for name, _ in world.asked].count("88/ROOT") == 2
    assert KEPT_MOST == 4096


async def test_steps_take_turns_with_pauses() -> None:
    """With a clock that runs the turn comes back later than the step ended."""
    world = World()
    made = world.verifier()

    def step() -> None:
        world.passed += 0.01

    await made._aside(step)
    assert made._turns.taken
    await made._aside(step)
