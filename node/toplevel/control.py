"""The doors by which people and tests move the top-level node: faults, orders, audits, proofs. Loopback only.

Bodies are JSON and say so: no form of a foreign page can send that, and no name of a foreign page leads here.
"""

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Annotated, Any, Final, Literal

import msgspec
import structlog
from aiohttp import web
from msgspec import Meta, Struct
from msgspec.structs import replace

from node.toplevel import books, rules
from node.toplevel.faults import REFUSED_MOST, Faults, PrefixName, Reason
from node.toplevel.office import OFFICE, Office
from node.toplevel.proof import Proof, prove
from node.toplevel.rules import Refusal
from proto import uplink_pb2 as pb
from registry.errors import UnavailableError
from registry.postgres.connection import borrowed

log = structlog.get_logger("control")

Handler = Callable[[web.Request], Awaitable[web.Response]]


class OrderGiven(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /control/orders."""

    kind: Literal["suspend", "resume", "verify"]
    prefix: PrefixName
    reason: Annotated[Reason, Meta(min_length=1)]


class AuditGiven(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /control/audit: what the next audit of a prefix shall find."""

    prefix: PrefixName
    refuse: bool
    reason: Reason = ""


def _refused(status: int, zh: str, en: str) -> web.Response:
    return web.json_response({"error": {"message": f"{zh}。 {en}."}}, status=status)


def _local(text: str) -> bool:
    """Whether an address, or the host part of an address bar, means this machine."""
    host = text.rpartition(":")[0] if text.count(":") == 1 or (text.startswith("[") and "]:" in text) else text
    if host == "localhost":
        return True
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if address.version == 6 else None
    return (mapped or address).is_loopback


def operators(handler: Handler) -> Handler:
    """`handler` for whoever is on this machine and knows it: 403 for others, 415 for a body that is not JSON."""

    async def guarded(request: web.Request) -> web.Response:
        # The Host as well: a page elsewhere may have its own name lead to this machine.
        if not (_local(request.remote or "") and _local(request.host)):
            return _refused(403, "只接受来自本机的请求", "Only requests from this machine are taken")
        if request.method != "GET" and request.content_type != "application/json":
            return _refused(415, "Content-Type应为application/json", "Content-Type must be application/json")
        try:
            return await handler(request)
        except msgspec.MsgspecError as error:
            return _refused(400, f"请求体不可用：{error}", f"The body is of no use: {error}")
        except UnavailableError as error:
            log.warning("books_unreachable", error=str(error))
            return _refused(503, "账簿暂时不可用", "The books cannot be reached")

    return guarded


def _encoded(value: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


async def get_faults(request: web.Request) -> web.Response:
    """GET /control/faults: all of them, on or off."""
    return _encoded(request.app[OFFICE].switches.faults)


async def put_faults(request: web.Request) -> web.Response:
    """PUT /control/faults: these from now on; what is not named is off."""
    switches = request.app[OFFICE].switches
    switches.faults = msgspec.json.decode(await request.read(), type=Faults)
    log.warning("faults_set", **switches.faults.on)
    return _encoded(switches.faults)


async def post_audit(request: web.Request) -> web.Response:
    """POST /control/audit: the next audit of a prefix refuses it, or no longer does. 409 when it is past that."""
    office = request.app[OFFICE]
    given = msgspec.json.decode(await request.read(), type=AuditGiven)
    async with borrowed(office.pool) as connection:
        known = (await books.prefixes(connection, [given.prefix])).get(given.prefix)
    if known and known.state in {pb.PREFIX_STATE_NORMAL, pb.PREFIX_STATE_SUSPENDED}:
        return _refused(
            409,
            f"前缀{given.prefix}已通过审核，可用/control/orders停用",
            f"Prefix {given.prefix} has passed its audit; suspend it by /control/orders",
        )
    named = {name: why for name, why in office.switches.faults.refused_prefixes.items() if name != given.prefix}
    if given.refuse:
        named[given.prefix] = given.reason
    if len(named) > REFUSED_MOST:
        return _refused(409, f"最多指定{REFUSED_MOST}个前缀", f"At most {REFUSED_MOST} prefixes can be named")
    office.switches.faults = replace(office.switches.faults, refused_prefixes=named)
    return _encoded(office.switches.faults)


async def post_order(request: web.Request) -> web.Response:
    """POST /control/orders: carries an order out in the books and puts it into the queue of the node it is for."""
    office = request.app[OFFICE]
    given = msgspec.json.decode(await request.read(), type=OrderGiven)
    async with borrowed(office.pool) as connection, connection.transaction():
        refusal = await _order(connection, given, office.now())
    if refusal:
        return refusal
    log.info("ordered", kind=given.kind, prefix=given.prefix)
    return _encoded(given, 202)


async def _order(connection: Any, given: OrderGiven, now: int) -> web.Response | None:
    known = await books.prefix(connection, given.prefix)
    if known is None:
        return _refused(404, f"没有前缀{given.prefix}", f"There is no prefix {given.prefix}")
    state = rules.order(given.kind, known.state)
    if isinstance(state, Refusal):
        return _refused(409, state.zh, state.en)
    order = pb.Order(
        kind=rules.ORDER_KINDS[given.kind],
        prefix=given.prefix,
        ent_id=await books.enterprise_behind(connection, known.number),
        reason_zh=given.reason,
        reason_en=given.reason,
    )
    if not await books.tell(connection, known.node, pb.Message(order=order), now):
        return _refused(409, "该节点的消息队列已满", "The message queue of that node is full")
    if state != known.state:
        await books.set_state(connection, known.number, state, given.reason, given.reason, now)
    return None


async def get_verify(request: web.Request) -> web.Response:
    """GET /control/verify?prefix=: computes the chains of a prefix anew; JSON, or back to the page for a browser."""
    office, prefix = request.app[OFFICE], request.query.get("prefix", "")
    if rules.allocated("prefix", prefix, labels=3):
        return _refused(400, "prefix应为三段数字", "prefix must be three labels of digits")
    if office.proving.locked():
        return _refused(429, "正在验证，请稍后再试", "A proof is under way; try again shortly")
    async with office.proving:
        proofs = await prove(office.pool, prefix, office.now())
    if not proofs:
        return _refused(404, f"前缀{prefix}没有变更", f"Prefix {prefix} has no changes")
    if "text/html" in request.headers.get("Accept", ""):
        lang = "?lang=en" if request.query.get("lang") == "en" else ""
        return web.Response(status=303, headers={"Location": f"/{lang}#{prefix}"})
    return _encoded({"prefix": prefix, "streams": [_shown(each, office) for each in proofs]})


def _shown(proof: Proof, office: Office) -> dict[str, object]:
    return {
        "sub": proof.stream[1],
        "number": proof.standing.number,
        "head": proof.standing.head.hex(),
        "live": proof.live,
        "whole": proof.flaw is None,
        "flaw": f"{proof.flaw.zh}。 {proof.flaw.en}." if proof.flaw else None,
    }


ROUTES: Final = (
    web.get("/control/faults", operators(get_faults)),
    web.put("/control/faults", operators(put_faults)),
    web.post("/control/audit", operators(post_audit)),
    web.post("/control/orders", operators(post_order)),
    web.get("/control/verify", operators(get_verify)),
)
