"""The voice at work: a table of steps with their own pauses, each of which may be repeated without harm.

What is decided stands in outbox.py, intake.py and registry/filing.py; here it is asked, done and noted.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Final

import structlog

from node import clock
from node.bell import Bell
from node.config import Config
from node.meter import Meter
from node.metrics import (
    UPLINK_BATCHES,
    UPLINK_CHAIN_BROKEN,
    UPLINK_FAILURES,
    UPLINK_NOT_ENROLLED,
    UPLINK_OLDEST,
    UPLINK_QUEUE,
    UPLINK_UNREACHABLE,
)
from node.stamps import Shared
from node.uplink import intake, outbox, tally
from node.uplink.client import AwayError, Reply, TopLevelNode
from node.uplink.intake import Gap, NotTaken, Received, VerifyAgain
from node.uplink.outbox import Batch, Outbox
from proto import uplink_pb2 as pb
from proto.signed import sentence
from registry.clerk import Clerk
from registry.errors import UnavailableError
from registry.filing import Told
from registry.postgres.filing import EnterpriseToFile, Route

LOOK_SECONDS: Final = 1.0
"""The truth for streams and filings: they are looked at this often whether a bell rang or not."""
POLL_SECONDS: Final = 5.0
"""Pause between two looks into the queue of messages when nothing is expected."""
EXPECT_SECONDS: Final = 0.5
"""The same while a prefix is in review."""
MESSAGES_AT_ONCE: Final = 5000
"""Messages carried out without a pause: all that a large node's filings and an audit of all of them bring. Whoever
sends more of them than that gets one done in EXPECT_SECONDS."""
ROUTE_SECONDS: Final = 5.0
REPORT_SECONDS: Final = 5.0
HEARTBEAT_SECONDS: Final = 30.0
"""Three missed are taken for offline (secondary-node facts §4.5)."""
MEASURE_SECONDS: Final = 2.0
COMPARE_SECONDS: Final = 300.0
"""The top-level node is asked this often where it stands in all streams: it may have been restored unnoticed."""
FORGET_SECONDS: Final = 3600.0
KEEP_DAYS: Final = 90
"""What is told is kept so long."""
SETTLE_MILLISECONDS: Final = 15_000
"""A window is told when it is over for so long: each machine has told its resolutions of it by then."""
STANDING_PAGES_MOST: Final = 100
"""Pages of places asked for in a row: a hundred thousand prefixes, eighty times an average node's."""
WINDOWS_MOST: Final = 2000
"""Windows of one request (uplink.proto)."""
ROWS_MOST: Final = 2000
"""Change rows of one stream in a request: single writes come one a row."""
FOLLOW_SECONDS: Final = 0.01
"""Pause between two looks whether the follower knows a change of a prefix."""
FOLLOW_PATIENCE: Final = 10.0
"""How long an acknowledgement waits for that; the message is delivered again otherwise."""
BACKOFF_FIRST: Final = 0.25
BACKOFF_LAST: Final = 8.0
"""Longest pause, seconds, before a top-level node that is away is asked again: half a minute of outage costs at most
that much more."""

_ALWAYS_ASK: Final = frozenset({"poll", "heartbeat"})
"""Steps that do not succeed without an answer of the top-level node."""

EXISTS: Final = 2302
NO_MESSAGES: Final = 1300
"""Result codes (RFC 5730 §3)."""

log = structlog.get_logger("uplink")


def backoff(failures: int, chance: random.Random) -> float:
    """Seconds before the next try after so many failures in a row, from half to all of a doubling bound."""
    return min(BACKOFF_LAST, BACKOFF_FIRST * 2.0 ** min(failures - 1, 30)) * (0.5 + chance.random() / 2)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the voice does over and over. `work` returns the seconds until it is done again; `bell` shortens."""

    name: str
    work: Callable[[], Awaitable[float]]
    bell: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Around:
    """What of this machine the voice needs. `address`: where the node is resolved, empty: nowhere."""

    config: Config
    machine: str
    shared: Shared
    meter: Meter
    ring: Bell
    changed: asyncio.Event
    address: str
    started: int


class Sync:
    """One tenure. `run` ends with FencedError or NotInOfficeError when another voice was elected."""

    def __init__(self, clerk: Clerk, node: TopLevelNode, around: Around, chance: random.Random) -> None:
        self._clerk = clerk
        self._node = node
        self._around = around
        self._chance = chance
        self._box = Outbox()
        self._versions: dict[int, str] = {}
        self._in_review: set[str] = set()
        self._routes_refused: set[Route] = set()
        self._away: set[str] = set()
        self._mail = asyncio.Event()
        self._full_look = True
        self._taken = 0
        self._messages = 0

    async def run(self) -> None:
        """Enrols, then does every step for ever."""
        self._around.meter.set(UPLINK_NOT_ENROLLED, 1)
        await self._repeat(Step("enrol", self._enrol), until=lambda: self._node.public_key is not None)
        self._around.meter.set(UPLINK_NOT_ENROLLED, 0)
        steps = (
            Step("changes", self.changes, self._around.changed),
            Step("filing", self.filing),
            Step("poll", self.poll, self._mail),
            Step("routes", self.routes),
            Step("statistics", self.statistics),
            Step("heartbeat", self.heartbeat),
            Step("compare", self.compare),
            Step("measure", self.measure),
            Step("forget", self.forget),
        )
        tasks = [asyncio.create_task(self._repeat(step), name=step.name) for step in steps]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _repeat(self, step: Step, until: Callable[[], bool] = lambda: False) -> None:
        failures = 0
        while not until():
            step.bell.clear()
            try:
                pause = await step.work()
                failures = 0
                if step.name in _ALWAYS_ASK:
                    self._reached()
            except (AwayError, UnavailableError) as error:
                failures += 1
                pause = backoff(failures, self._chance)
                self._missed(step.name, error)
            if failures:
                await asyncio.sleep(pause)
            elif pause:
                await _rest(step.bell, pause)

    def _reached(self) -> None:
        self._around.meter.set(UPLINK_UNREACHABLE, 0)
        if self._away:
            self._away.clear()
            log.info("toplevel_reached")

    def _missed(self, step: str, error: Exception) -> None:
        reason = "database"
        if isinstance(error, AwayError):
            reason = error.reason
            self._around.meter.count(UPLINK_FAILURES, error.reason)
            self._around.meter.set(UPLINK_UNREACHABLE, 1)
            # Whatever it was that did not answer, it may have lost or gained something meanwhile.
            self._box.lost(list(self._box.lines))
            self._full_look = True
        # Each reason once: that nobody answered must not hide that whoever does now is a stranger.
        (log.debug if reason in self._away else log.warning)(
            "toplevel_away", step=step, reason=reason, error=str(error)
        )
        self._away.add(reason)

    # -- enrolment

    async def _enrol(self) -> float:
        self._node.public_key = await self._clerk.toplevel_key()
        self._around.meter.set(UPLINK_NOT_ENROLLED, self._node.public_key is None)
        if self._node.public_key is None:
            prefix = self._around.config.prefix
            key = await self._node.enrol(f"二级节点{prefix}", f"secondary node {prefix}")
            await self._clerk.pin(key)
            self._node.public_key = await self._clerk.toplevel_key()
            self._around.meter.set(UPLINK_NOT_ENROLLED, 0)
            log.info("enrolled", toplevel_key=key.hex())
        return 0.0

    # -- streams

    async def changes(self) -> float:
        """Sends what waits, one request; the streams' turns come round."""
        now, box = clock.monotonic(), self._box
        box.wake(now)
        full, self._full_look = self._full_look, False
        for each in await self._clerk.standings(behind=not full):
            box.saw(each.prefix_no, each.prefix, each.number)
        if box.unknown:
            await self._compare()
        turn = box.turn()
        if not turn.wanted:
            self._around.meter.set(UPLINK_CHAIN_BROKEN, len(box.broken))
            return LOOK_SECONDS
        # No more rows than entries: 500 streams of 2000 single writes each would be read for a fiftieth of them.
        rows = await self._clerk.changes(turn.wanted, min(ROWS_MOST, turn.share), turn.share, outbox.ENTRIES_MOST)
        batch = box.pack(rows, await self._named(rows))
        try:
            reply = await self._node.ask("PushChanges", batch.request, pb.PushChangesResponse)
        except AwayError:
            self._around.meter.count(UPLINK_BATCHES, "failed")
            raise
        await self._receipts(batch, reply)
        self._around.meter.set(UPLINK_CHAIN_BROKEN, len(box.broken))
        return 0.0

    async def compare(self) -> float:
        """Has every stream compared anew."""
        self._box.lost(list(self._box.lines))
        self._full_look = True
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
        for n, place in places.items():
            self._box.stood(n, place.number, n in known, now)
            if n not in known:
                self._chain_broken(n, f"number {place.number}, head {place.head.hex()}")

    def _chain_broken(self, prefix_no: int, why: str) -> None:
        self._around.meter.count(UPLINK_FAILURES, "head")
        log.error("uplink_chain_broken", prefix=self._box.lines[prefix_no].prefix, why=why)

    async def _receipts(self, batch: Batch, reply: Reply[pb.PushChangesResponse]) -> None:
        receipts = reply.message.receipts
        if not reply.ok or len(receipts) != len(batch.prefixes):
            self._around.meter.count(UPLINK_BATCHES, "refused")
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
        self._around.meter.count(UPLINK_BATCHES, "receipted")
        if gaps:
            self._around.meter.count(UPLINK_FAILURES, "gap", by=len(gaps))
            await self._stand(gaps)

    def _not_taken(self, prefix_no: int, meant: Gap | NotTaken) -> None:
        broken = isinstance(meant, NotTaken) and meant.broken
        why = meant.text if isinstance(meant, NotTaken) else "a gap again and again"
        if broken:
            self._chain_broken(prefix_no, why)
        else:
            log.warning("stream_refused", prefix=self._box.lines[prefix_no].prefix, why=why)
        self._box.set_aside(prefix_no, outbox.BROKEN if broken else outbox.REFUSED, clock.monotonic())

    # -- filing

    async def filing(self) -> float:
        """Files what is to be filed: enterprises, then prefixes of those that are."""
        enterprises, prefixes = await self._clerk.to_file()
        for enterprise in enterprises:
            await self._file_enterprise(enterprise)
        for row in prefixes:
            await self._file_prefix(row["prefix_no"], row["prefix"], row["ent_id"], bytes(row["nonce"]))
        return 0.0 if enterprises or prefixes else LOOK_SECONDS

    async def _file_enterprise(self, given: EnterpriseToFile) -> None:
        message = enterprise(given)
        check = pb.CheckEnterpriseRequest(ent_crt_code=message.ent_crt_code)
        found = await self._node.ask_about("CheckEnterprise", check, pb.CheckEnterpriseResponse)
        ent_id = sentence(found.message.ent_id)
        done: Reply[Any]
        if ent_id:
            update = pb.UpdateEnterpriseRequest(ent_id=ent_id, enterprise=message)
            done = await self._node.ask_about("UpdateEnterprise", update, pb.UpdateEnterpriseResponse)
        else:
            create = pb.CreateEnterpriseRequest(enterprise=message)
            done = await self._node.ask_about("CreateEnterprise", create, pb.CreateEnterpriseResponse)
            ent_id = sentence(done.message.ent_id)
        if done.ok and ent_id:
            await self._clerk.enterprise_filed(given, ent_id)
            log.info("enterprise_filed", ent_id=ent_id, revision=given.revision)
        else:
            await self._clerk.enterprise_refused(given, done.zh, done.en)
            log.warning("enterprise_refused", enterprise=given.name, code=done.code, why=done.en)

    async def _file_prefix(self, prefix_no: int, prefix: str, ent_id: str, nonce: bytes) -> None:
        if nonce and await self._filed_before(prefix):
            return
        nonce = self._node.nonce()
        await self._clerk.keep_nonce(prefix_no, nonce)
        request = pb.CreatePrefixRequest(ent_id=ent_id, prefix=prefix)
        reply = await self._node.ask_about("CreatePrefix", request, pb.CreatePrefixResponse, nonce)
        if reply.ok:
            await self._reviewing(prefix)
        elif reply.code != EXISTS or not await self._filed_before(prefix):
            await self._take_in(Told(prefix, "refused", b"", reply.zh, reply.en))

    async def _filed_before(self, prefix: str) -> bool:
        """Whether the top-level node has this filing already: its answer was lost, or an earlier life filed it."""
        check = pb.CheckPrefixRequest(prefix=prefix)
        reply = await self._node.ask_about("CheckPrefix", check, pb.CheckPrefixResponse)
        # What was refused may have been refused before this filing: it is filed, and its reason told, anew.
        if not reply.ok or not reply.message.yours or reply.message.state == pb.PREFIX_STATE_REFUSED:
            return False
        told = intake.state(prefix, reply.message.state)
        if told is None:
            await self._reviewing(prefix)
        else:
            await self._take_in(told)
        return True

    async def _reviewing(self, prefix: str) -> None:
        await self._clerk.in_review(prefix)
        self._in_review.add(prefix)
        self._full_look = True  # its stream may be told from now on, receipted once or not
        self._around.ring.ring()
        self._mail.set()
        log.info("prefix_in_review", prefix=prefix)

    # -- messages

    async def poll(self) -> float:
        """Carries out the oldest message and acknowledges it, once this machine's caches know what it changed."""
        reply = await self._node.ask("Poll", pb.PollRequest(), pb.PollResponse)
        if not reply.ok:
            log.warning("poll_refused", code=reply.code, why=reply.en)
            return POLL_SECONDS
        if reply.code == NO_MESSAGES or not reply.message.message.id:
            self._messages = 0
            return EXPECT_SECONDS if self._in_review else POLL_SECONDS
        return await self._carry_out(reply.message.message)

    async def _carry_out(self, given: pb.Message) -> float:
        meant = intake.message(given)
        if isinstance(meant, Told):
            await self._take_in(meant, given.id)
        elif isinstance(meant, VerifyAgain):
            if not await self._clerk.verify_again(meant.ent_id, meant.prefix, given.id):
                log.warning("message_about_nothing_of_ours", id=given.id, prefix=meant.prefix, ent_id=meant.ent_id)
        else:
            log.warning("message_not_understood", id=given.id)
        done = await self._node.ask("Acknowledge", pb.AcknowledgeRequest(id=given.id), pb.AcknowledgeResponse)
        if not done.ok:
            log.warning("acknowledgement_refused", id=given.id, code=done.code, why=done.en)
            return POLL_SECONDS
        log.info("message_acknowledged", id=given.id, meant=type(meant).__name__)
        again, self._taken = given.id == self._taken, given.id
        self._messages += 1
        return EXPECT_SECONDS if again or self._messages > MESSAGES_AT_ONCE else 0.0

    async def _take_in(self, told: Told, number: int | None = None) -> None:
        new = await self._clerk.take_in(told, number)
        if new is None:
            log.warning("message_about_nothing_of_ours", id=number, prefix=told.prefix, word=told.word)
            return
        if new:
            log.info("prefix_told", prefix=told.prefix, word=told.word, why=told.en)
        self._in_review.discard(told.prefix)
        self._around.ring.ring()
        target = await self._clerk.catalogue_number()
        patience = clock.monotonic() + FOLLOW_PATIENCE
        while self._around.shared.followed < target:  # another process's word, no event tells of it
            if clock.monotonic() > patience:
                raise UnavailableError("the follower of this machine does not follow")
            await asyncio.sleep(FOLLOW_SECONDS)

    # -- the rest

    async def routes(self) -> float:
        """Tells where the node and its approved prefixes are resolved."""
        around = self._around
        for route in await self._clerk.routes(around.config.prefix, around.address, around.config.http_port):
            if route not in self._routes_refused:
                await self._tell_route(route)
        return ROUTE_SECONDS

    async def _tell_route(self, route: Route) -> None:
        message = pb.Route(
            prefix=route.prefix,
            serial=route.serial,
            address=route.address,
            tcp_port=route.tcp_port,
            udp_port=route.udp_port,
            http_port=route.http_port,
        )
        reply = await self._node.ask_about("PutRoute", pb.PutRouteRequest(route=message), pb.PutRouteResponse)
        if reply.ok:
            await self._clerk.route_told(route)
        else:
            self._routes_refused.add(route)
            log.warning("route_refused", prefix=route.prefix, serial=route.serial, code=reply.code, why=reply.en)

    async def statistics(self) -> float:
        """Tells the windows that are over."""
        rows = await self._clerk.windows(clock.milliseconds() - SETTLE_MILLISECONDS, WINDOWS_MOST)
        if not rows:
            return REPORT_SECONDS
        reply = await self._node.ask("ReportStatistics", tally.report(rows), pb.ReportStatisticsResponse)
        if not reply.ok:
            log.warning("statistics_refused", code=reply.code, why=reply.en)
            return HEARTBEAT_SECONDS
        await self._clerk.windows_told(rows)
        return 0.0

    async def heartbeat(self) -> float:
        """Says that the node lives, and how far behind the top-level node is."""
        waiting, oldest = await self._clerk.unreceipted()
        beat = pb.HeartbeatRequest(
            version=metadata.version("idnode"),
            machine=self._around.machine,
            started=self._around.started,
            oldest_unreceipted=oldest,
            unreceipted=waiting,
        )
        reply = await self._node.ask("Heartbeat", beat, pb.HeartbeatResponse)
        if reply.ok and reply.message.messages:
            self._mail.set()
        return HEARTBEAT_SECONDS

    async def measure(self) -> float:
        """Tells the operator how far behind the top-level node is."""
        waiting, oldest = await self._clerk.unreceipted()
        self._around.meter.set(UPLINK_QUEUE, waiting)
        self._around.meter.set(UPLINK_OLDEST, oldest / 1000)
        return MEASURE_SECONDS

    async def forget(self) -> float:
        """Lets go of what was told long ago."""
        await self._clerk.forget_old(KEEP_DAYS)
        return FORGET_SECONDS


def enterprise(given: EnterpriseToFile) -> pb.Enterprise:
    """The message of an enterprise."""
    told = given.particulars
    plain = {name: getattr(told, name) for name in _PLAIN}
    return pb.Enterprise(
        ent_name_cn=given.name,
        ent_name_en=given.name_en,
        contact=pb.Contact(name=told.contact_name, email=told.contact_email, phone=told.contact_phone),
        legal_person=pb.LegalPerson(name=told.legal_name, id_type=told.legal_id_type, id_no=told.legal_id_no),
        **plain,
    )


_PLAIN: Final[Sequence[str]] = (
    "ent_type",
    "ent_crt_code",
    "ent_province_code",
    "ent_city_code",
    "ent_county_code",
    "ent_addr_cn",
    "ent_addr_en",
    "ent_web_site",
    "ent_desc",
)


async def _rest(bell: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(bell.wait(), seconds)
    except TimeoutError:
        return
