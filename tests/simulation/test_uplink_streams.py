"""Bad days of the uplink in one thread, drawn from a seed: outbox and intake against the rules of the top-level node.

The wire loses requests and answers, says things twice and late; both sides lose what they do not keep; the books must
agree in the end, and what does not agree must be told and left as it is.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from node.toplevel import rules
from node.uplink import intake, outbox
from node.uplink.outbox import BROKEN, REFUSED, Outbox
from proto import uplink_pb2 as pb
from proto.chain import HEAD_FIRST
from tests.fakes.streams import NAMES, row


@dataclass
class Books:
    """The other side: what it keeps, and an older copy it may fall back to."""

    changes: dict[str, list[rules.Change]] = field(default_factory=dict)

    def push(self, request: pb.PushChangesRequest) -> pb.PushChangesResponse:
        response = pb.PushChangesResponse()
        for each in request.streams:
            known = self.changes.setdefault(each.prefix, [])
            heads = {change.number: change.head for change in known}
            judged = rules.stream(each.prefix, self.standing(each.prefix), heads, each.changes)
            known += judged.accepted
            response.receipts.add(
                place=pb.Place(prefix=each.prefix, number=judged.standing.number, head=judged.standing.head),
                verdict=pb.Verdict.Name(judged.verdict),
                zh=judged.zh,
                en=judged.en,
            )
        return response

    def standing(self, prefix: str) -> rules.Standing:
        known = self.changes.get(prefix, [])
        return rules.Standing(known[-1].number, known[-1].head) if known else rules.Standing(0, HEAD_FIRST)


@dataclass
class Rehearsal:
    """One seed: rows that are committed here, what is told, and what happens to it on the way."""

    chance: random.Random
    rows: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    receipts: dict[int, int] = field(default_factory=dict)
    box: Outbox = field(default_factory=Outbox)
    books: Books = field(default_factory=Books)
    now: float = 0.0
    late: list[pb.PushChangesRequest] = field(default_factory=list)

    def commit(self) -> None:
        n = self.chance.randint(1, 5)
        mine = self.rows.setdefault(n, [])
        head = mine[-1]["head"] if mine else HEAD_FIRST
        mine.append(row(n, len(mine) + 1, head, self.chance.choice((1, 1, 3, 300))))

    def step(self, calm: bool) -> None:
        """What streams.py does in one round, with a wire that may lose and repeat."""
        self.now += self.chance.choice((0.1, 1.0, 20.0))
        self.box.wake(self.now)
        for n, mine in self.rows.items():
            self.box.saw(n, NAMES[n], len(mine))
        for n in self.box.unknown:
            self.compare(n, self.books.standing(NAMES[n]))
        turn = self.box.turn()
        batch = self.box.pack(list(self.waiting(turn)), {})
        if not batch.prefixes:
            return
        fate = "passes" if calm else self.chance.choice(("passes", "passes", "lost", "unanswered", "late", "twice"))
        if fate == "late":
            self.late.append(batch.request)
        if fate in {"lost", "late"}:
            self.box.lost(batch.prefixes)
            return
        response = self.books.push(batch.request)
        if fate == "twice":
            response = self.books.push(batch.request)
        if fate == "unanswered":
            self.box.lost(batch.prefixes)
            return
        for n, given in zip(batch.prefixes, response.receipts, strict=True):
            self.take(n, given, batch.heads.get((n, given.place.number)))

    def waiting(self, turn: outbox.Turn) -> Iterator[dict[str, Any]]:
        for n, after in turn.wanted:
            entries = 0
            for each in self.rows[n][after:]:
                if entries >= turn.share:
                    break
                entries += len(each["suffixes"])
                yield each

    def take(self, n: int, given: pb.Receipt, sent: bytes | None) -> None:
        meant = intake.receipt(given, NAMES[n], sent)
        if isinstance(meant, intake.Received):
            self.receipts[n] = max(self.receipts.get(n, 0), meant.number)
            self.box.received(n, meant.number)
        elif isinstance(meant, intake.Gap):
            self.compare(n, rules.Standing(meant.number, meant.head))
        else:
            self.box.set_aside(n, BROKEN if meant.broken else REFUSED, self.now)

    def compare(self, n: int, place: rules.Standing) -> None:
        mine = self.rows[n]
        ours = mine[place.number - 1]["head"] if 0 < place.number <= len(mine) else None
        fits = outbox.agrees(place.number, place.head, ours)
        if fits:
            self.receipts[n] = max(self.receipts.get(n, 0), place.number)
        self.box.stood(n, place.number, fits, self.now)

    def storm(self) -> None:
        for _ in range(120):
            match self.chance.randrange(12):
                case 0:
                    self.box = Outbox()
                case 1 if self.late:
                    self.books.push(self.late.pop(self.chance.randrange(len(self.late))))
                case 2:
                    # The other side is restored from an older copy: it was away, and is asked again.
                    self.box.lost(list(self.box.lines))
                    self.books = Books(
                        {p: known[: self.chance.randint(0, len(known))] for p, known in self.books.changes.items()}
                    )
                case 3 | 4 | 5:
                    self.commit()
                case _:
                    self.step(calm=False)


@pytest.mark.parametrize("seed", range(60))
def test_after_the_storm_the_books_agree(seed: int):
    day = Rehearsal(random.Random(seed))
    day.commit()
    day.storm()
    for each in day.late:
        day.books.push(each)
    for _ in range(400):
        day.step(calm=True)
    assert day.box.broken == []
    for n, mine in day.rows.items():
        theirs = day.books.changes[NAMES[n]]
        assert [(c.number, c.head, c.digests) for c in theirs] == [
            (each["number"], each["head"], each["digests"]) for each in mine
        ], f"seed {seed}"
        assert day.receipts[n] == len(mine)


@pytest.mark.parametrize("seed", range(10))
def test_a_stream_whose_past_was_changed_is_told_and_never_overwritten(seed: int):
    day = Rehearsal(random.Random(seed))
    for _ in range(20):
        day.commit()
    for _ in range(100):
        day.step(calm=True)
    victim = next(iter(day.rows))
    before = list(day.books.changes[NAMES[victim]])
    day.rows[victim] = [row(victim, 1, HEAD_FIRST, name="T")]
    for number in range(2, len(before) + 3):
        day.rows[victim].append(row(victim, number, day.rows[victim][-1]["head"], name="T"))
    day.box = Outbox()
    day.commit()
    for _ in range(100):
        day.step(calm=True)
    assert day.box.lines[victim].theirs is None or NAMES[victim] in day.box.broken
    assert day.books.changes[NAMES[victim]] == before
    for n, mine in day.rows.items():
        if n != victim:
            assert day.books.standing(NAMES[n]).head == mine[-1]["head"]
