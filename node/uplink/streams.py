"""The streams' way up: what waits is sent, its receipt noted, and where the other side stands is asked when in doubt.

Which stream comes next, and what a receipt means, is decided in outbox.py and intake.py.
"""

from collections.abc import Iterable, Mapping, Set
from typing import Any, Final

import structlog

from node import clock
from node.metrics import UPLINK_BATCHES, UPLINK_CHAIN_BROKEN, UPLINK_FAILURES
from node.uplink import intake, outbox
from node.uplink.client import AwayError, Reply
from node.uplink.intake import Gap, NotTaken, Received
from node.uplink.outbox import Batch, Outbox
from node.uplink.templates import Templates
from node.uplink.tenure import Tenure
from proto import uplink_pb2 as pb

LOOK_SECONDS: Final = 1.0
"""The truth for streams: they are looked at this often whether a bell rang or not."""
GATHER_SECONDS: Final = 0.5
"""Pause after a request with few entries, and before the bell is heard again: who registers one by one is told of
together, and many bells are two looks a second."""
FEW: Final = outbox.ENTRIES_MOST // 2
"""Fewer entries than that are few. A request has a price of its own, on both sides some 10 ms of a processor in all:
signing, two transactions there, one here. Shared by 1000 entries it is as much as all else that they cost."""
COMPARE_SECONDS: Final = 300.0
"""The top-level node is asked this often where it stands in all streams: it may have been restored unnoticed."""
STANDING_PAGES_MOST: Final = 100
"""Pages of places asked for in a row: a hundred thousand prefixes, eighty times an average node's."""
ROWS_MOST: Final = 2000
"""Change rows of one stream in a request: single writes come one a row."""

log = structlog.get_logger("uplink")


class Streams:
    """Sends them, in the order of the outbox."""

    def __init__(self, tenure: Tenure) -> None:
        self._clerk = tenure.clerk
        self._node = tenure.node
        self._meter = tenure.around.meter
        self._templates = Templates(tenure)
        self._receipted: dict[int, int] = {}
        self._box = Outbox()
        self._versions: dict[int, str] = {}
        self._full_look = True

    def look_at_all(self) -> None:
        """Has streams looked at that have nothing to tell, or may be told from now on, receipted once or not."""
        self._full_look = True

    def lost(self) -> None:
        """Somebody did not answer: the top-level node may have lost or gained something meanwhile, in any stream."""
        self._box.lost(list(self._box.lines))
        self.look_at_all()

    async def changes(self) -> float:
        """Sends what waits, one request; the streams' turns come round."""
        now, box = clock.monotonic(), self._box
        box.wake(now)
        full, self._full_look = self._full_look, False
        standings = await self._clerk.standings(behind=not full)
        for each in standings:
            box.saw(each.prefix_no, each.prefix, each.number)
            self._receipted[each.prefix_no] = each.receipted
        if full:
            box.only({each.prefix_no for each in standings})
        if box.unknown:
            await self._compare()
        turn = box.turn()
        # No more rows than entries: 500 streams of 2000 single writes each would be read for a fiftieth of them.
        rows = (
            await self._clerk.changes(turn.wanted, min(ROWS_MOST, turn.share), turn.share, outbox.ENTRIES_MOST)
            if turn.wanted
            else []
        )
        await self._templates.tell()  # now, when all that these rows name are there
        if not turn.wanted:
            self._meter.set(UPLINK_CHAIN_BROKEN, len(box.broken))
            return LOOK_SECONDS
        batch = box.pack(rows, await self._named(rows))
        try:
            reply = await self._node.ask("PushChanges", batch.request, pb.PushChangesResponse)
        except AwayError:
            self._meter.count(UPLINK_BATCHES, "failed")
            raise
        await self._receipts(batch, reply)
        self._meter.set(UPLINK_CHAIN_BROKEN, len(box.broken))
        return GATHER_SECONDS if batch.entries < FEW else 0.0

    async def compare(self) -> float:
        """Has every stream compared anew."""
        self.lost()
        return COMPARE_SECONDS

    async def _named(self, rows: Iterable[Any]) -> Mapping[int, str]:
        """The version names of all templates in `rows`; what a template is called never changes."""
        missing = {n for row in rows for n in row["templates"] if n} - self._versions.keys()
        if missing:
            self._versions |= await self._clerk.template_versions(sorted(missing))
        return self._versions

    async def _compare(self) -> None:
        """Asks where the top-level node stands, and goes on from there where its head is ours."""
        there = await self._places({line.prefix for line in self._box.lines.values()})
        places = {n: there.get(self._box.lines[n].prefix, pb.Place()) for n in self._box.unknown}
        await self._stand(places)

    async def _places(self, ours: Set[str]) -> dict[str, pb.Place]:
        found: dict[str, pb.Place] = {}
        after = ""
        for _ in range(STANDING_PAGES_MOST):
            reply = await self._node.ask("Standing", pb.StandingRequest(after=after), pb.StandingResponse)
            if not reply.ok:
                raise AwayError("status", f"Standing: {reply.code} {reply.en}")
            page = reply.message.places
            found |= {place.prefix: place for place in page if not place.sub and place.prefix in ours}
            if not page or page[-1].prefix <= after:
                return found
            after = page[-1].prefix
        raise AwayError("unreadable", f"Standing: more than {STANDING_PAGES_MOST} pages")

    async def _stand(self, places: Mapping[int, pb.Place]) -> None:
        now = clock.monotonic()
        heads = await self._clerk.heads({n: place.number for n, place in places.items()})
        known = {
            n: (place.number, place.head)
            for n, place in places.items()
            if outbox.agrees(place.number, place.head, heads.get(n))
        }
        await self._clerk.receive({n: place for n, place in known.items() if place[0]})
        if lost := [n for n, place in places.items() if place.number < self._receipted.get(n, 0)]:
            await self._clerk.templates_lost(lost)
        for n, place in places.items():
            self._box.stood(n, place.number, n in known, now)
            if n not in known:
                self._chain_broken(n, f"number {place.number}, head {place.head.hex()}")

    def _chain_broken(self, prefix_no: int, why: str) -> None:
        self._meter.count(UPLINK_FAILURES, "head")
        log.error("uplink_chain_broken", prefix=self._box.lines[prefix_no].prefix, why=why)

    async def _receipts(self, batch: Batch, reply: Reply[pb.PushChangesResponse]) -> None:
        receipts = reply.message.receipts
        if not reply.ok or len(receipts) != len(batch.prefixes):
            self._meter.count(UPLINK_BATCHES, "refused")
            log.error("batch_refused", code=reply.code, why=reply.en)
            for n in batch.prefixes:
                self._box.set_aside(n, outbox.REFUSED, clock.monotonic())
            return
        received: dict[int, tuple[int, bytes]] = {}
        gaps: dict[int, pb.Place] = {}
        for n, given in zip(batch.prefixes, receipts, strict=True):
            line = self._box.lines[n]
            meant = intake.receipt(given, line.prefix, batch.heads.get((n, given.place.number)))
            if isinstance(meant, Received):
                received[n] = (meant.number, meant.head)
            elif isinstance(meant, Gap) and self._box.follows(n, meant.number):
                gaps[n] = given.place
            else:
                self._not_taken(n, meant)
        await self._clerk.receive(received)
        for n, (number, _) in received.items():
            self._box.received(n, number)
        self._meter.count(UPLINK_BATCHES, "receipted")
        if gaps:
            self._meter.count(UPLINK_FAILURES, "gap", by=len(gaps))
            await self._stand(gaps)

    def _not_taken(self, prefix_no: int, meant: Gap | NotTaken) -> None:
        broken = isinstance(meant, NotTaken) and meant.broken
        why = meant.text if isinstance(meant, NotTaken) else "a gap again and again"
        if broken:
            self._chain_broken(prefix_no, why)
        else:
            log.warning("stream_refused", prefix=self._box.lines[prefix_no].prefix, why=why)
        self._box.set_aside(prefix_no, outbox.BROKEN if broken else outbox.REFUSED, clock.monotonic())
