"""The last stage: what lives under another node's prefix is asked of the top-level node, then of whom it names.

Nobody asked here is trusted: every answer is read as hostile, every wait and every count has a bound, and a failure is
an answer too. Nothing is kept here but where prefixes live; answers are kept by the stages before.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote, urlsplit

import structlog

from node import metrics
from node.config import Config
from node.gather import BusyError
from node.link import Link, LinkError
from node.meter import Meter
from node.resolve.answer import Answer, Outcome, Question, Stage, Tell, Where
from node.resolve.neighbours import Neighbours, Network, RestingError, acceptable
from node.resolve.referrals import Referrals
from proto import web_reply
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.values.site import Address, Protocol, Site
from proto.web_json import array
from proto.web_reply import Missing, NotResponsible, Referral, Reply, Told

FORWARD_SECONDS: Final = 3.0
"""The whole of a forward: half of what a person waits before asking again; two neighbours may hang within it."""
QUESTION_SECONDS: Final = 1.25
"""One question to one neighbour, once it has a place."""
READ_AT_ONCE: Final = 16_384
"""Octets of a body read without waiting for a turn: 2 ms of this process; usual records have some 2 kB."""
DEPTH_MOST: Final = 3
"""Referrals followed for one question: top-level node to secondary node to enterprise node, and one to spare."""
SERVERS_TRIED: Final = 2
"""Servers tried for one referral: a site and one mirror; more would not fit into FORWARD_SECONDS."""
FORWARDS_MOST: Final = 2048
"""Forwards of a worker at once, waiting ones included: two batches of 1000."""
ABSENT_SECONDS: Final = 10
"""How long `there is none` from elsewhere is kept: who registers there shall not wait long to be seen here."""
FAILED_SECONDS: Final = 2
"""How long a failure is kept: it spares those who ask the same meanwhile."""

HEADER: Final = "CDN-Loop"
"""What our questions carry, with our prefix in it (RFC 8586): who gets a question with it asks nobody else."""

MESSAGE_TYPE: Final = "application/x-hdl-message"
"""Messages of the Handle protocol inside HTTP (handle reference §2.12)."""

_FOREIGN: Final = Outcome.FOREIGN
_SCHEMES: Final = {Protocol.HTTP: "http", Protocol.HTTPS: "https"}
"""What of a site's interfaces is spoken here, the better first: few deployed ones have a certificate for an address."""
_PORTS: Final = {"http": 80, "https": 443}
_NOWHERE: Final = frozenset(
    {metrics.TIMEOUT, metrics.UNREACHABLE, metrics.RESTING, metrics.NOT_RESPONSIBLE, metrics.NO_SERVER}
)
"""Failures that may be the referral's fault."""
_FAILURES: Final = {metrics.LOOP: Outcome.FOREIGN, metrics.NOT_RESPONSIBLE: Outcome.FOREIGN}
"""What a failure is to who asked, if not UNREACHABLE: whom the top-level node sends to us, or to who says that it does
not have the prefix either, nobody else has."""

log = structlog.get_logger("forwarded")


class _Failed(Exception):
    """A question could not be answered; `reason` is a value of the label `outcome` of idnode_forwards_total."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class SilentError(Exception):
    """Another node gave no answer that can be used."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms is forwarded.

    `toplevel` is what the top-level node's URLs begin with, `prefix` ours, `seconds` the longest life of an answer,
    `networks` may be connected to though not public, `doors` are addresses and ports that are our own.
    """

    toplevel: str
    prefix: str
    seconds: int
    networks: tuple[Network, ...]
    doors: frozenset[tuple[Address, int]]

    @classmethod
    def of(cls, config: Config) -> "Terms":
        """What the settings say."""
        secure = (config.https_port, config.client_cert_port) if config.certificate else ()
        ports = (config.http_port, config.native_port, *secure)
        own = [(host, port) for host in (config.host, config.route_address) for port in ports if port]
        doors = frozenset(_doors([*own, _host_and_port(config.public_url)]))
        return cls(config.toplevel_url.rstrip("/"), config.prefix, config.cache_seconds, config.networks, doors)

    def is_ours(self, address: Address, port: int) -> bool:
        """Whether that is one of our own doors; one open on every address is, on loopback, too."""
        everywhere = any(door.is_unspecified and at == port for door, at in self.doors)
        return (address, port) in self.doors or (everywhere and address.is_loopback)


def _host_and_port(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return "", 0


def _doors(hosts: Sequence[tuple[str, int]]) -> Iterator[tuple[Address, int]]:
    """Those that are addresses: a referral never leads to a name."""
    for host, port in hosts:
        with suppress(ValueError):
            yield ip_address(host), port


class Forwarded:
    """Asks `next_` first, and other nodes for what it calls FOREIGN.

    `room` tells, given how many forwards are under way, whether one more may wait without taking the places of
    questions for what lives here.
    `clock` gives monotonic seconds, `now` those since 1970 UTC.
    """

    def __init__(
        self,
        next_: Stage,
        link: Link,
        terms: Terms,
        meter: Meter,
        room: Callable[[int], bool],
        clock: Callable[[], float],
        now: Callable[[], int],
    ) -> None:
        self._next = next_
        self._link = link
        self._terms = terms
        self._meter = meter
        self._room = room
        self._clock = clock
        self._now = now
        self._neighbours = Neighbours(clock, room)
        self._referrals = Referrals(clock)
        self._under_way: set[asyncio.Task[None]] = set()
        self._telling = 0
        self._pointing: dict[str, asyncio.Future[Referral | _Failed | None]] = {}

    def ask(self, questions: Sequence[Question], told: Tell) -> None:
        """Tells the answers, FORWARDED if from elsewhere; BusyError when there is no room to forward."""
        self._next.ask(questions, partial(self._own_said, told))

    def _own_said(self, told: Tell, questions: Sequence[Question], answers: Sequence[Answer | Exception]) -> None:
        said = zip(questions, answers, strict=True)
        on = {q: a for q, a in said if isinstance(a, Answer) and a.outcome is _FOREIGN and q.onward}
        if not on:
            told(questions, answers)
            return
        here = [each for each in zip(questions, answers, strict=True) if each[0] not in on]
        if here:
            told(*zip(*here, strict=True))
        for question, answer in on.items():
            self._go_on(told, question, answer.epoch)

    def _go_on(self, told: Tell, question: Question, epoch: int) -> None:
        if len(self._under_way) >= FORWARDS_MOST or not self._room(len(self._under_way)):
            self._failed(told, question, BusyError())
        else:
            task = asyncio.create_task(self._ask_on(told, question, epoch))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _ask_on(self, told: Tell, question: Question, epoch: int) -> None:
        began = self._clock()
        try:
            heard, outcome = await self._forward(question.identifier)
        except Exception as error:  # noqa: BLE001 - handed to who asked
            self._failed(told, question, error)
            return
        self._meter.count(metrics.FORWARDS, outcome)
        self._meter.observe(metrics.FORWARD_SECONDS, self._clock() - began)
        told([question], [heard._replace(epoch=epoch)])

    def _failed(self, told: Tell, question: Question, error: Exception) -> None:
        if isinstance(error, BusyError):
            self._meter.count(metrics.FORWARDS, metrics.BUSY)
        told([question], [error])

    async def _forward(self, identifier: Identifier) -> tuple[Answer, str]:
        """An answer without epoch, and what it is counted as."""
        try:
            async with asyncio.timeout(FORWARD_SECONDS):
                _, reply = await self._resolved(identifier)
        except TimeoutError:
            return self._answer(Outcome.UNREACHABLE, FAILED_SECONDS), metrics.TIMEOUT
        except _Failed as failure:
            log.debug("forward_failed", prefix=identifier.prefix_key, reason=failure.reason, error=str(failure))
            outcome = _FAILURES.get(failure.reason, Outcome.UNREACHABLE)
            return self._answer(outcome, FAILED_SECONDS), failure.reason
        if isinstance(reply, Told):
            found = self._answer(Outcome.FOUND, max(0, reply.until(self._now()) - self._now()))
            return found._replace(shown=array(reply.values)), metrics.FOUND
        if isinstance(reply, Missing):
            return self._answer(Outcome.ABSENT, ABSENT_SECONDS), metrics.ABSENT
        return self._answer(Outcome.FOREIGN, ABSENT_SECONDS), metrics.FOREIGN

    def _answer(self, outcome: Outcome, seconds: int) -> Answer:
        until = self._now() + min(seconds, self._terms.seconds)
        return Answer(outcome, 0, 0, 0, until=until, where=Where.FORWARDED)

    async def told(self, identifier: Identifier, message: bytes) -> bytes:
        """What the node where `identifier` lives answers to a message of the Handle protocol, inside HTTP.

        Raises SilentError, and BusyError when there is no room to ask.
        """
        if not self._room(self._telling):
            raise BusyError
        self._telling += 1
        try:
            async with asyncio.timeout(FORWARD_SECONDS):
                base, reply = await self._resolved(identifier)
                if isinstance(reply, NotResponsible):
                    raise _Failed(metrics.NOT_RESPONSIBLE, "nobody has the prefix")
                async with self._neighbours.place(base):
                    with self._neighbours.asking(base):
                        return await self._answered(base, message)
        except (TimeoutError, _Failed, RestingError, LinkError) as error:
            raise SilentError(f"{type(error).__name__}: {error}") from None
        finally:
            self._telling -= 1

    async def _answered(self, base: str, message: bytes) -> bytes:
        headers = {HEADER: self._terms.prefix, "Content-Type": MESSAGE_TYPE, "Accept": MESSAGE_TYPE}
        async with asyncio.timeout(QUESTION_SECONDS):
            status, body = await self._link.post(f"{base}/", headers, message)
        if status != 200:
            raise LinkError(f"{base}: HTTP status {status}")
        return body

    async def pointed(self, identifier: Identifier) -> tuple[Site, ...]:
        """Where the top-level node has others resolve an identifier; none when it refers to nobody, or to this node, or
        cannot be asked. Raises BusyError.
        """
        kept = self._referrals.find(identifier)
        sites = kept.sites if kept is not None else ()
        if kept is None or not self._referrals.is_fresh(kept):
            with suppress(TimeoutError, _Failed):
                async with asyncio.timeout(QUESTION_SECONDS):
                    reply = await self._pointed(identifier)
                sites = reply.sites if isinstance(reply, Referral) else ()
        return tuple(site for site in sites if not self._is_ours(site))

    def _is_ours(self, site: Site) -> bool:
        return any(self._terms.is_ours(each.address, way.port) for each in site.servers for way in each.interfaces)

    # -- the way

    async def _resolved(self, identifier: Identifier) -> tuple[str, Reply]:
        """Who answers at the end of the referrals, and what; NotResponsible only from the top-level node itself."""
        kept = self._referrals.find(identifier)
        if kept is not None and self._referrals.is_fresh(kept):
            try:
                return await self._follow(identifier, kept.sites)
            except _Failed as failure:
                if failure.reason not in _NOWHERE or not self._referrals.led_nowhere(kept):
                    raise
                kept = None
        try:
            reply = await self._pointed(identifier)
        except (_Failed, BusyError):
            if kept is None:
                raise
            return await self._follow(identifier, kept.sites)
        if isinstance(reply, Referral):
            return await self._follow(identifier, reply.sites)
        self._referrals.forget(identifier)
        return self._terms.toplevel, reply

    async def _pointed(self, identifier: Identifier) -> Reply:
        """What the top-level node says; asked once for all who want the same unknown prefix at one moment."""
        # Handles about prefixes, 0.NA/…, have nothing in common but these characters.
        key = identifier.key if identifier.prefix_key.startswith("0.") else identifier.prefix_key
        pointing = self._pointing.get(key)
        if pointing is None:
            return await self._point(identifier, key)
        heard = await asyncio.shield(pointing)
        if isinstance(heard, _Failed):
            raise _Failed(heard.reason, str(heard))
        return heard or await self._of_toplevel(identifier)

    async def _point(self, identifier: Identifier, key: str) -> Reply:
        pointing: asyncio.Future[Referral | _Failed | None] = asyncio.get_running_loop().create_future()
        self._pointing[key] = pointing
        heard: Referral | _Failed | None = None
        try:
            reply = await self._of_toplevel(identifier)
            if isinstance(reply, Referral) and reply.prefix is not None:
                self._referrals.keep(reply.prefix, reply)
                heard = reply
        except _Failed as failure:
            heard = failure
            raise
        finally:
            del self._pointing[key]
            pointing.set_result(heard)
        return reply

    async def _of_toplevel(self, identifier: Identifier) -> Reply:
        return await self._question(self._terms.toplevel, identifier, self._terms.toplevel)

    async def _follow(self, identifier: Identifier, sites: Sequence[Site]) -> tuple[str, Told | Missing]:
        because = ""
        for _ in range(DEPTH_MOST):
            base, reply = await self._any(identifier, sites, because)
            if isinstance(reply, Referral):
                sites, because = reply.sites, because or base
            elif isinstance(reply, NotResponsible):
                raise _Failed(metrics.NOT_RESPONSIBLE, "whom the referral names is not responsible")
            else:
                return base, reply
        raise _Failed(metrics.TOO_DEEP, f"more than {DEPTH_MOST} referrals")

    async def _any(self, identifier: Identifier, sites: Sequence[Site], because: str) -> tuple[str, Reply]:
        """Who answered, and what; `because`: the neighbour that referred to them, or empty for the top-level node."""
        *others, last = self._bases(identifier, sites)
        for base in others:
            with suppress(_Failed):
                return base, await self._question(base, identifier, because or base)
        return last, await self._question(last, identifier, because or last)

    def _bases(self, identifier: Identifier, sites: Sequence[Site]) -> list[str]:
        """Where to ask, at least one place. Raises _Failed."""
        bases = []
        refused = _Failed(metrics.NO_SERVER, "the referral names no server that takes questions by HTTP")
        for scheme, address, port in _ways(identifier, sites):
            if self._terms.is_ours(address, port):
                refused = _Failed(metrics.LOOP, "the referral names this node")
            elif not acceptable(address, self._terms.networks):
                refused = _Failed(metrics.ADDRESS, f"the referral names {address}")
            else:
                bases.append(f"{scheme}://{address if address.version == 4 else f'[{address}]'}:{port}")
        if not bases:
            raise refused
        return bases[:SERVERS_TRIED]

    async def _question(self, base: str, identifier: Identifier, because: str) -> Reply:
        """One question to the neighbour whose URLs begin with `base`, on the account of `because`."""
        try:
            async with self._neighbours.place(because):
                with self._neighbours.asking(base):
                    return await self._judged(base, identifier, because)
        except RestingError:
            raise _Failed(metrics.RESTING, f"{base} rests") from None

    async def _judged(self, base: str, identifier: Identifier, because: str) -> Reply:
        try:
            reply = await self._heard(base, identifier, because)
        except _Failed as failure:
            if self._neighbours.failed(base):
                log.warning("neighbour_rests", neighbour=base, reason=failure.reason, error=str(failure))
            raise
        self._neighbours.answered(base)
        return reply

    async def _heard(self, base: str, identifier: Identifier, because: str) -> Reply:
        # One segment, slashes encoded too: there is nothing in it that anybody could resolve or normalise.
        url = f"{base}/api/handles/{quote(str(identifier), safe='')}"
        try:
            async with asyncio.timeout(QUESTION_SECONDS):
                status, body = await self._link.get(url, {HEADER: self._terms.prefix})
            if status == 429 or status >= 500:
                raise _Failed(metrics.ERROR, f"{base}: HTTP status {status}")
            if len(body) <= READ_AT_ONCE:
                return web_reply.read(status, body, identifier)
            async with self._neighbours.reading(because):
                return web_reply.read(status, body, identifier)
        except TimeoutError:
            raise _Failed(metrics.TIMEOUT, f"{base}: no answer in {QUESTION_SECONDS} s") from None
        except LinkError as error:
            reason = metrics.TOO_LARGE if error.too_large else metrics.UNREACHABLE
            raise _Failed(reason, f"{base}: {error}") from None
        except ProtoError as error:
            raise _Failed(metrics.UNREADABLE, f"{base}: {error}") from None


def _ways(identifier: Identifier, sites: Sequence[Site]) -> Iterator[tuple[str, Address, int]]:
    """Of each site the server that holds `identifier`, by its best interface that is spoken here."""
    for site in sites:
        server = site.responsible(identifier)
        if server is None:
            continue
        ports = {each.protocol: each.port for each in reversed(server.interfaces) if each.query}
        protocol = next((each for each in _SCHEMES if each in ports), None)
        if protocol is not None:
            yield _SCHEMES[protocol], server.address, ports[protocol]
