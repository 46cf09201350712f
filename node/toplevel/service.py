"""The door of the uplink: POST /uplink/v1/{method}. Each request is one transaction; its answer is signed.

What may be done is for rules.py, how it is kept for books.py; here is who speaks, once, and in which order.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiohttp import web
from google.protobuf.message import DecodeError, Message

from node.toplevel import books, rules
from node.toplevel.books import Progress, Stream
from node.toplevel.office import OFFICE, Office
from node.toplevel.rules import Change, Code, Filed, Judgement, Refusal, Standing
from proto import signed
from proto import uplink_pb2 as pb
from proto.chain import HEAD_FIRST, Kind
from proto.errors import ProtoError
from proto.signed import Answered, Asked
from registry.errors import UnavailableError
from registry.postgres.connection import Connection, borrowed

BODY_SECONDS: Final = 60.0
"""A request may take this long to arrive: the largest one at some 1 Mbit/s."""
REQUESTS_MOST: Final = 64
"""Requests in hand at once: a country's nodes speak with one voice each and wait for their answers."""
DELAY_STEP: Final = 0.1
"""Seconds between two looks whether whoever waits for a delayed answer is still there."""
RETRY_SECONDS: Final = 1
"""What Retry-After says with 503."""

log = structlog.get_logger("toplevel")


@dataclass(frozen=True, slots=True)
class Visit:
    """Who speaks, and where what is said is kept."""

    office: Office
    connection: Connection
    node: books.Node
    asked: Asked
    now: int


@dataclass(frozen=True, slots=True)
class Done:
    """What a method answers when it is carried out."""

    response: Message
    code: Code = Code.DONE


Outcome = Done | Refusal
Method = Callable[[Visit, Any], Awaitable[Outcome]]

_WORDS: Final = {
    Code.DONE: ("完成", "Done"),
    Code.PENDING: ("已受理，等待审核", "Accepted, the audit is pending"),
    Code.NO_MESSAGES: ("没有消息", "No messages"),
    Code.MESSAGE: ("有一条消息", "A message"),
}


class UnheardError(Exception):
    """Who speaks cannot be told, or the method is not known: an HTTP status and one sentence in each language."""

    def __init__(self, status: int, zh: str, en: str) -> None:
        super().__init__(en)
        self.status, self.zh, self.en = status, zh, en


# -- the methods


async def _enrol(visit: Visit, given: pb.EnrolRequest) -> Outcome:
    return Done(pb.EnrolResponse(public_key=signed.public_key(visit.office.seed)))


async def _check_enterprise(visit: Visit, given: pb.CheckEnterpriseRequest) -> Outcome:
    found = await books.enterprise_of(visit.connection, visit.node.number, given.ent_crt_code.replace("\0", ""))
    return Done(pb.CheckEnterpriseResponse(ent_id=found))


async def _create_enterprise(visit: Visit, given: pb.CreateEnterpriseRequest) -> Outcome:
    if refusal := rules.enterprise(given.enterprise):
        return refusal
    made = await books.add_enterprise(visit.connection, visit.node.number, given.enterprise, visit.now)
    return Done(pb.CreateEnterpriseResponse(ent_id=made)) if made else _same_code()


def _same_code() -> Refusal:
    return Refusal(Code.EXISTS, "ent_crt_code已报送", "ent_crt_code has been filed already")


async def _update_enterprise(visit: Visit, given: pb.UpdateEnterpriseRequest) -> Outcome:
    owner = await books.enterprise_owner(visit.connection, given.ent_id)
    if refusal := rules.of_speaker(visit.node.number, owner, "这个ent_id", "that ent_id"):
        return refusal
    wanted = given.enterprise
    if given.partial:
        if refusal := rules.in_part(wanted):
            return refusal
        wanted = rules.changed(await books.particulars(visit.connection, given.ent_id), wanted)
    if refusal := rules.enterprise(wanted):
        return refusal
    if not await books.update_enterprise(visit.connection, given.ent_id, wanted, visit.now):
        return _same_code()
    return Done(pb.UpdateEnterpriseResponse())


async def _check_prefix(visit: Visit, given: pb.CheckPrefixRequest) -> Outcome:
    if refusal := rules.allocated("prefix", given.prefix, labels=3):
        return refusal
    known = await books.prefix(visit.connection, given.prefix)
    if known is None:
        return Done(pb.CheckPrefixResponse(available=True))
    coming = known.heir == visit.node.number
    yours, state = coming or known.node == visit.node.number, pb.PREFIX_STATE_PENDING if coming else known.state
    available = yours and state == pb.PREFIX_STATE_REFUSED
    return Done(pb.CheckPrefixResponse(available=available, yours=yours, state=state))  # type: ignore[arg-type]


async def _create_prefix(visit: Visit, given: pb.CreatePrefixRequest) -> Outcome:
    owner = await books.enterprise_owner(visit.connection, given.ent_id)
    known = await books.prefix(visit.connection, given.prefix) if "\0" not in given.prefix else None
    due = visit.now + visit.office.audit_milliseconds
    comes = given.HasField("release") and (known is None or known.node != visit.node.number)
    refusal = (
        await _moving(visit, given, owner, known)
        if comes
        else rules.filing(visit.node.prefix, visit.node.number, given.prefix, owner, known)
    )
    if refusal:
        return refusal
    if comes and known is not None:
        await books.begin_move(visit.connection, known.number, visit.node.number, given, visit.asked.nonce, due)
    elif not await books.file_prefix(
        visit.connection, visit.node.number, given.prefix, given.ent_id, visit.asked.nonce, visit.now, due
    ):
        return Refusal(Code.EXISTS, f"前缀{given.prefix}已报送", f"prefix {given.prefix} has been filed already")
    return Done(pb.CreatePrefixResponse(), Code.PENDING)


async def _moving(
    visit: Visit, given: pb.CreatePrefixRequest, owner: int | None, known: Filed | None
) -> Refusal | None:
    leaver = await books.node(visit.connection, given.release.node.replace("\0", ""))
    code = (await books.particulars(visit.connection, given.ent_id)).ent_crt_code if owner is not None else ""
    mover = rules.Mover(visit.node.prefix, visit.node.number, owner, code)
    at = [standing for _, standing, _ in await books.streams_of(visit.connection, given.prefix)] if known else []
    return rules.moving(mover, given, known, (leaver.number, leaver.public_key) if leaver else None, at)


async def _poll(visit: Visit, given: pb.PollRequest) -> Outcome:
    message = await books.oldest_message(visit.connection, visit.node.number)
    if message is None:
        return Done(pb.PollResponse(), Code.NO_MESSAGES)
    count = await books.waiting(visit.connection, visit.node.number)
    return Done(pb.PollResponse(count=count, message=message), Code.MESSAGE)


async def _acknowledge(visit: Visit, given: pb.AcknowledgeRequest) -> Outcome:
    again = visit.office.switches.delivers_again()
    if not await books.acknowledge(visit.connection, visit.node.number, given.id, visit.now, again=again):
        return Refusal(Code.UNKNOWN, f"没有消息{given.id}", f"there is no message {given.id}")
    return Done(pb.AcknowledgeResponse(count=await books.waiting(visit.connection, visit.node.number)))


async def _put_route(visit: Visit, given: pb.PutRouteRequest) -> Outcome:
    route = given.route
    if route.prefix != visit.node.prefix and (refusal := await _not_routable(visit, route.prefix)):
        return refusal
    if refusal := rules.route(route, await books.route(visit.connection, route.prefix)):
        return refusal
    await books.put_route(visit.connection, visit.node.number, route, visit.now)
    return Done(pb.PutRouteResponse())


async def _not_routable(visit: Visit, prefix: str) -> Refusal | None:
    if refusal := rules.allocated("prefix", prefix, labels=3):
        return refusal
    known = await books.prefix(visit.connection, prefix)
    name = (f"前缀{prefix}", f"prefix {prefix}")
    return rules.of_speaker(visit.node.number, known.node if known else None, *name) or rules.audited(
        known.state if known else 0
    )


async def _standing(visit: Visit, given: pb.StandingRequest) -> Outcome:
    after = given.after.replace("\0", "")
    return Done(
        pb.StandingResponse(
            places=await books.standings(visit.connection, visit.node.number, after, rules.STREAMS_MOST)
        )
    )


async def _push_changes(visit: Visit, given: pb.PushChangesRequest) -> Outcome:
    entries = sum(len(change.entries) for stream in given.streams for change in stream.changes)
    if refusal := rules.too_many("streams", len(given.streams), rules.STREAMS_MOST) or rules.too_many(
        "entries", entries, rules.ENTRIES_MOST
    ):
        return refusal
    mine = await _mine(visit, [stream.prefix for stream in given.streams])
    places: list[Stream | None] = [
        (mine[s.prefix].number, s.sub) if s.prefix in mine and 0 <= s.sub <= rules.SUB_LAST else None
        for s in given.streams
    ]
    at = await books.hold_streams(visit.connection, sorted({place for place in places if place}))
    receipts = []
    for stream, place in zip(given.streams, places, strict=True):
        if place is None:
            receipts.append(_not_yours(stream))
            continue
        judgement = await _judged(visit, place, at[place], stream)
        await _keep(visit, place, judgement)
        at[place] = judgement.standing
        receipts.append(_receipt(stream, judgement))
        if judgement.verdict != pb.VERDICT_ACCEPTED:
            log.warning("stream_refused", node=visit.node.prefix, prefix=stream.prefix, why=judgement.en)
    return Done(pb.PushChangesResponse(receipts=receipts))


async def _mine(visit: Visit, names: list[str]) -> dict[str, Filed]:
    found = await books.prefixes(visit.connection, [name for name in names if "\0" not in name])
    return {name: filed for name, filed in found.items() if filed.node == visit.node.number}


async def _judged(visit: Visit, place: Stream, at: Standing, stream: pb.Stream) -> Judgement:
    repeated = {n for change in stream.changes for n in (change.number - 1, change.number) if 0 < n <= at.number}
    known = await books.heads(visit.connection, place, sorted(repeated)) if repeated else {}
    # In a thread: a second's worth of digests must not keep the other nodes waiting.
    return await asyncio.to_thread(rules.stream, stream.prefix, at, known, stream.changes)


async def _keep(visit: Visit, place: Stream, judgement: Judgement) -> None:
    accepted = judgement.accepted
    if not accepted:
        return
    await books.add_changes(visit.connection, place, accepted, visit.now)
    await books.move_stream(
        visit.connection, Progress(place, judgement.standing, accepted[-1].made, *_counts(accepted))
    )


def _counts(accepted: tuple[Change, ...]) -> tuple[int, int, int, int]:
    created, updated, deleted, revived = (
        rules.counted(accepted, kind) for kind in (Kind.CREATED, Kind.UPDATED, Kind.DELETED, Kind.REVIVED)
    )
    return created, updated, deleted, revived


def _receipt(stream: pb.Stream, judgement: Judgement) -> pb.Receipt:
    place = pb.Place(
        prefix=stream.prefix, sub=stream.sub, number=judgement.standing.number, head=judgement.standing.head
    )
    return pb.Receipt(place=place, verdict=judgement.verdict, zh=judgement.zh, en=judgement.en)  # type: ignore[arg-type]


def _not_yours(stream: pb.Stream) -> pb.Receipt:
    return pb.Receipt(
        place=pb.Place(prefix=stream.prefix, sub=stream.sub, head=HEAD_FIRST),
        verdict=pb.VERDICT_NOT_YOURS,
        zh="本节点没有报送过这个前缀",
        en="no such prefix was filed by this node",
    )


async def _push_templates(visit: Visit, given: pb.PushTemplatesRequest) -> Outcome:
    if refusal := rules.too_many("templates", len(given.templates), rules.TEMPLATES_MOST):
        return refusal
    mine = await _mine(visit, sorted({each.prefix for each in given.templates}))
    kept, refused = [], []
    for place, each in enumerate(given.templates):
        owner = visit.node.number if each.prefix in mine else None
        name = (f"本节点报送的前缀{each.prefix}", f"prefix {each.prefix} filed by this node")
        if refusal := rules.of_speaker(visit.node.number, owner, *name) or rules.template(each):
            refused.append(pb.RefusedTemplate(place=place, zh=refusal.zh, en=refusal.en))
        else:
            kept.append((mine[each.prefix].number, each))
    await books.put_templates(visit.connection, kept, visit.now)
    return Done(pb.PushTemplatesResponse(refused=refused))


async def _report_statistics(visit: Visit, given: pb.ReportStatisticsRequest) -> Outcome:
    if refusal := rules.too_many("windows", len(given.windows), rules.WINDOWS_MOST):
        return refusal
    mine = await _mine(visit, sorted({window.prefix for window in given.windows}))
    kept, refused = [], []
    for place, window in enumerate(given.windows):
        owner = visit.node.number if window.prefix in mine else None
        name = (f"本节点报送的前缀{window.prefix}", f"prefix {window.prefix} filed by this node")
        if refusal := rules.of_speaker(visit.node.number, owner, *name) or rules.window(window):
            refused.append(pb.RefusedWindow(place=place, zh=refusal.zh, en=refusal.en))
        else:
            kept.append((mine[window.prefix].number, window))
    await books.add_windows(visit.connection, kept, visit.now)
    return Done(pb.ReportStatisticsResponse(refused=refused))


async def _heartbeat(visit: Visit, given: pb.HeartbeatRequest) -> Outcome:
    if refusal := rules.heartbeat(given):
        return refusal
    await books.beat(visit.connection, visit.node.number, given, visit.now)
    return Done(pb.HeartbeatResponse(messages=await books.waiting(visit.connection, visit.node.number)))


METHODS: Final[dict[str, tuple[type[Message], Method]]] = {
    "Enrol": (pb.EnrolRequest, _enrol),
    "CheckEnterprise": (pb.CheckEnterpriseRequest, _check_enterprise),
    "CreateEnterprise": (pb.CreateEnterpriseRequest, _create_enterprise),
    "UpdateEnterprise": (pb.UpdateEnterpriseRequest, _update_enterprise),
    "CheckPrefix": (pb.CheckPrefixRequest, _check_prefix),
    "CreatePrefix": (pb.CreatePrefixRequest, _create_prefix),
    "Poll": (pb.PollRequest, _poll),
    "Acknowledge": (pb.AcknowledgeRequest, _acknowledge),
    "PutRoute": (pb.PutRouteRequest, _put_route),
    "Standing": (pb.StandingRequest, _standing),
    "PushChanges": (pb.PushChangesRequest, _push_changes),
    "PushTemplates": (pb.PushTemplatesRequest, _push_templates),
    "ReportStatistics": (pb.ReportStatisticsRequest, _report_statistics),
    "Heartbeat": (pb.HeartbeatRequest, _heartbeat),
}
"""The methods of uplink.proto, all of them."""


# -- who speaks


async def carried_out(office: Office, method: str, octets: bytes) -> bytes:
    """Carries a request out, at most once; the signed answer. Raises UnheardError, UnavailableError."""
    if method not in METHODS:
        raise UnheardError(404, f"没有方法{method}", f"there is no method {method}")
    try:
        claimed = signed.claimed(octets)
    except ProtoError as error:
        raise UnheardError(400, error.zh, error.en) from None
    now = office.now()
    async with borrowed(office.pool) as connection:
        outcome = await _heard(office, connection, method, octets, claimed, now)
    if isinstance(outcome, Refusal):
        log.warning("refused", node=claimed.shr_prefix[:64], method=method, code=int(outcome.code), why=outcome.en)
        return signed.answer(claimed.nonce, Answered(outcome.code, outcome.zh, outcome.en, b""), office.seed)
    if outcome.code is Code.PENDING:
        office.filed.set()
    answered = Answered(outcome.code, *_WORDS[outcome.code], outcome.response.SerializeToString())
    return signed.answer(claimed.nonce, answered, office.seed)


async def _heard(
    office: Office, connection: Connection, method: str, octets: bytes, claimed: Asked, now: int
) -> Outcome:
    """What comes of a request whose speaker is still to be told; nothing is done for one that cannot prove itself."""
    node = await books.node(connection, claimed.shr_prefix.replace("\0", ""))
    kind, carry_out = METHODS[method]
    message = _message(kind, claimed.request)
    public_key = _key(method, message, node)
    if public_key is None:
        raise UnheardError(401, f"节点{claimed.shr_prefix}没有登记", f"no node {claimed.shr_prefix} has enrolled")
    try:
        asked = signed.asked(octets, public_key, method, now)
    except ProtoError as error:
        code = Code.NOT_AUTHENTICATED if error.field == "signature" else Code.POLICY
        return Refusal(code, error.zh, error.en)
    if isinstance(message, Refusal):
        return message
    if isinstance(message, pb.EnrolRequest):
        refusal = rules.enrolment(asked.shr_prefix, message, node.public_key if node else None)
        if refusal:
            return refusal
    async with connection.transaction():
        if isinstance(message, pb.EnrolRequest):
            node = await books.enrol(connection, asked.shr_prefix, message, now)
        if node is None:
            return Refusal(Code.FAILED, "节点数已达上限", "no more nodes are taken")
        if refusal := await _once(connection, node, asked, now):
            return refusal
        return await carry_out(Visit(office, connection, node, asked, now), message)


def _message(kind: type[Message], octets: bytes) -> Message | Refusal:
    try:
        return kind.FromString(octets)
    except DecodeError:
        return Refusal(Code.SYNTAX, "request不是有效的protobuf", "request is not valid protobuf")


def _key(method: str, message: Message | Refusal, node: books.Node | None) -> bytes | None:
    """The key a request must be signed with: that of the node, or for Enrol the very one it makes known."""
    if method == "Enrol":
        return message.public_key if isinstance(message, pb.EnrolRequest) else b""
    return node.public_key if node else None


async def _once(connection: Connection, node: books.Node, asked: Asked, now: int) -> Refusal | None:
    """Refuses a voice that was voted out, and a request that was carried out already."""
    highest = await books.hold_fence(connection, node.number, asked.fence)
    if refusal := rules.fence(asked.fence, highest):
        return refusal
    if not await books.use_nonce(connection, node.number, asked.nonce, now):
        return Refusal(Code.POLICY, "nonce已用过", "nonce was used before")
    return None


# -- the door


def cut(request: web.Request) -> web.Response:
    """Ends the connection; the response goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def unheard(status: int, zh: str, en: str) -> web.Response:
    """An answer nobody signed, for whoever cannot be told."""
    headers = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}
    return web.json_response({"error": {"message": f"{zh}。 {en}."}}, status=status, headers=headers)


class Door:
    """POST /uplink/v1/{method}, at most REQUESTS_MOST at once."""

    def __init__(self) -> None:
        self._in_hand = 0

    async def post(self, request: web.Request) -> web.StreamResponse:
        """200 with a signed answer; 400, 401, 404, 408, 413, 503 with a sentence where nothing can be signed for."""
        office = request.app[OFFICE]
        if office.switches.faults.outage:
            return cut(request)
        if self._in_hand >= REQUESTS_MOST:
            return unheard(503, "系统繁忙，请稍后再试", "Busy; try again shortly")
        self._in_hand += 1
        try:
            return await self._answered(request, office)
        except UnheardError as error:
            log.warning("unheard", path=request.path, status=error.status, why=error.en)
            return unheard(error.status, error.zh, error.en)
        except UnavailableError as error:
            log.warning("books_unreachable", error=str(error))
            return unheard(503, "账簿暂时不可用", "The books cannot be reached")
        finally:
            self._in_hand -= 1

    async def _answered(self, request: web.Request, office: Office) -> web.StreamResponse:
        answer = await carried_out(office, request.match_info["method"], await _body(request))
        await _delay(request, office.switches.faults.delay_seconds)
        if office.switches.faults.outage or office.switches.loses_receipt():
            return cut(request)
        return web.Response(body=answer, content_type="application/x-protobuf")


async def _delay(request: web.Request, seconds: float) -> None:
    """Waits so long, or until whoever asked has hung up: a place among REQUESTS_MOST is not held for nobody."""
    while seconds > 0 and request.transport is not None:
        await asyncio.sleep(min(seconds, DELAY_STEP))
        seconds -= DELAY_STEP


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise UnheardError(408, "请求体没有及时收到", "The body did not arrive in time") from None
    except web.HTTPRequestEntityTooLarge:
        most = signed.MESSAGE_OCTETS
        raise UnheardError(413, f"请求体不能超过{most}字节", f"The body may have at most {most} octets") from None
