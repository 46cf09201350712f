"""The calls of IDHub, /api/v1/doip…, in their envelope: code, message, data. Programs sign in by their key, and read
and write identifiers by the operations of the Digital Object Interface Protocol.

Which code says what stands in replies.py; field names are idhub_words.py's.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aiohttp import web

from node.house import House
from node.listen import idhub_words as words
from node.listen.bodies import BODIES
from node.listen.bodies import body as read_body
from node.listen.http import ACCOUNT, HOUSE, encoded, noted, peer, source, witnessed
from node.listen.idhub_words import IdhubError, InstanceIn
from node.listen.replies import IDHUB_NOT_YOURS, IDHUB_REFUSED, Idhub
from node.listen.snms_api import bearer
from node.listen.snms_words import UNREADABLE
from node.listen.templates_api import _may, _outward
from proto.identifier import Identifier
from proto.value import Value
from registry.account import Account, application_prefix
from registry.challenge import SIGNATURE_CHARACTERS
from registry.kinds import identified
from registry.postgres.records import Stored
from registry.prefix import PrefixState
from registry.record import Record
from registry.registrar import Job
from registry.rights import Right
from registry.rules import Operation, Refused, Request, Rule, closed
from registry.sight import Reach, seen
from registry.template import RESERVED_SUFFIX, State, Template

DOIP: Final = "/api/v1/doip"
PUBLIC: Final = "/api/v1/doip/public"
ANSWER_OCTETS: Final = SIGNATURE_CHARACTERS + 4096
"""Largest body of an answer, which anybody may send: a signature and the longest name, all escaped."""
USER_PREFIX: Final = "User_"
"""What the suffix of a person's identity begins with (IDHub, data permission)."""

Signed = Callable[[web.Request, Account], Awaitable[Any]]


def told(code: Idhub, message: str = "", data: Any = None) -> web.Response:
    """An answer of this face."""
    return encoded({"code": code, "message": message or code.zh, "data": data})


def done(data: Any = None) -> web.Response:
    """An answer to what went well."""
    return told(Idhub.DONE, data=data)


def signed(handler: Signed, right: Right | None = None) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Hands the account to `handler`, and answers with what it returns as `data`; without a live token, or `right`,
    says so. Whose enterprise it is about `handler` judges.
    """

    async def with_account(request: web.Request) -> web.Response:
        token = bearer(request)
        account = await request.app[HOUSE].doorkeeper.account(token)
        if account is None:
            return told(Idhub.INVALID_TOKEN if token else Idhub.NOT_SIGNED_IN)
        request[ACCOUNT] = account
        if right is not None and not account.may(right):
            return told(Idhub.NO_RIGHT)
        try:
            return done(await handler(request, account))
        except IdhubError as error:
            return told(error.code, str(error), error.data)

    return with_account


def _no_application(handle: str) -> web.Response:
    code = Idhub.WRONG_IDENTITY if identified(handle) else Idhub.HANDLE_FORM
    return told(code, f"{code.zh}：handle应为应用身份，例如88.x.y/App_名称")


async def challenge(request: web.Request) -> web.Response:
    """GET /api/v1/doip/public/challenge?handle=: what an application identity shall sign, within a minute, once.

    Whether there is such an identity, or has a key, is not told.
    """
    handle = request.query.get("handle", "")
    if application_prefix(handle) is None:
        return _no_application(handle)
    return done(await request.app[HOUSE].doorkeeper.challenge(handle))


class _Answer(msgspec.Struct):
    handle: str
    signature: str


async def verify(request: web.Request) -> web.Response:
    """POST (and GET, as the SDK has it) /api/v1/doip/public/verify-response {"handle", "signature"}: a token."""
    try:
        given = msgspec.json.decode(await request.app[BODIES].of_stranger(request, ANSWER_OCTETS), type=_Answer)
    except UNREADABLE:
        return told(Idhub.BIND, "请求应为JSON对象，含handle与signature")
    if application_prefix(given.handle) is None:
        return _no_application(given.handle)
    token = await request.app[HOUSE].doorkeeper.sign_in_signed(given.handle, given.signature, peer(request))
    return done({"token": token}) if token else told(Idhub.NOT_PROVEN, "签名验证未通过，或挑战已过期")


# -- reading


def moment(house: House, at: datetime) -> str:
    """A time as this face writes it, in the node's own zone."""
    return f"{at.astimezone(house.config.zone):%Y-%m-%d %H:%M:%S}"


def user_handle(username: str | None, prefix: str) -> str | None:
    """The identity of a user name: an application bears its own, a person that of an enterprise's prefix."""
    return username if username is None or "/" in username else f"{prefix}/{USER_PREFIX}{username}"


async def known_template(house: House, account: Account, prefix: str, version: str) -> Template | None:
    """The template as this account may see it; a draft is there for those only who may change it."""
    kept = None if "\0" in prefix + version else await house.lookup.named_template(prefix, version)
    if kept is None or (kept.state is State.DRAFT and not await _may(house, account, prefix)):
        return None
    return (await _outward(house, account, [kept]))[0]


async def _hello(request: web.Request, account: Account, target: str, given: InstanceIn) -> Any:
    service = target or f"{request.app[HOUSE].config.prefix}/DOIPServiceInfo"
    return {
        "id": service,
        "type": "0.TYPE/DO.DOIPServiceInfo",
        "attributes": {"protocol": "HTTP", "protocolVersion": "2.0"},
    }


async def _list_operations(request: web.Request, account: Account, target: str, given: InstanceIn) -> Any:
    return list(OPERATIONS)


async def _retrieve(request: web.Request, account: Account, target: str, given: InstanceIn) -> Any:
    named, house = words.identifier(target, "targetId"), request.app[HOUSE]
    meta = named.suffix.startswith(RESERVED_SUFFIX)
    kept = await known_template(house, account, *words.meta_key(target, "targetId")) if meta else None
    if kept is not None:
        at = {"createTime": kept.created, "updateTime": kept.updated}
        times = {name: moment(house, datetime.fromtimestamp(time, UTC)) for name, time in at.items()}
        return _object(str(named), "0.TYPE/DO.DOIPMETA", {"content": words.retrieved(kept), "metaData": times})
    stored, record, template, far = await house.sight.look(account, named)
    noted(request, account.number, str(named), "detail found" if stored.live else "detail absent")
    _check_there(named, stored)
    shown = seen(record, template, far)
    if record.values and not shown:
        raise IdhubError(Idhub.NO_VIEW)
    if far.beyond:
        witnessed(request, "detail", [named.key])
    type_ = template.handle if template else ""
    more = {"id": str(named), "type": type_, "elements": words.elements(template, shown)}
    return _object(str(named), type_, more | {"metaData": await _meta_data(house, named, stored, far)})


def _object(id_: str, type_: str, attributes: dict[str, Any]) -> dict[str, Any]:
    return {"id": id_, "type": type_, "attributes": attributes}


def _check_there(named: Identifier, stored: Stored) -> None:
    if not stored.prefix:
        raise IdhubError(Idhub.ABSENT, f"前缀{named.prefix}不属于本节点")
    state = PrefixState(stored.state)
    if not state.open:
        raise IdhubError(Idhub.NOT_ALLOWED, f"前缀{named.prefix}已{state.zh}")
    if not stored.live:
        raise IdhubError(Idhub.ABSENT)


async def _meta_data(house: House, named: Identifier, stored: Stored, far: Reach) -> dict[str, Any]:
    """When it was written, and by whom: that only its owner is told, as in its history."""
    found = (await house.lookup.authors(stored.prefix, [named.suffix_key]))[0]
    if found is None:
        return {}
    times = {"createTime": moment(house, found.created), "updateTime": moment(house, found.updated)}
    people = {"creator": found.creator, "updater": found.updater} if far.whole else {}
    return times | {name: user_handle(user, named.prefix_key) for name, user in people.items()}


# -- writing


async def _write(request: web.Request, account: Account, wanted: Request) -> None:
    outcome = await request.app[HOUSE].batcher.write_one(Job(wanted, account), source(request))
    if isinstance(outcome, Refused):
        raise _refusal(account, wanted.operation, outcome)


def _refusal(account: Account, operation: Operation, refused: Refused) -> Exception:
    if refused.rule is Rule.PERMISSION:
        return IdhubError(IDHUB_NOT_YOURS[operation] if account.may(Right.REGISTER) else Idhub.NO_RIGHT, refused.zh)
    data = {"differs": refused.differs} if refused.rule is Rule.EXISTS else None
    return IdhubError(IDHUB_REFUSED[refused.rule], refused.zh, data)


async def _check_may(house: House, account: Account, wanted: Request) -> None:
    """Refuses who may write nothing under the prefix before it is told anything of templates there."""
    prefix = await house.lookup.prefix(wanted.identifier.prefix_key)
    if refused := closed(wanted, account, prefix):
        raise _refusal(account, wanted.operation, refused)


async def _template(house: House, named: Identifier, type_: str | None) -> Template:
    """The template an instance is to have, which stands under its own prefix."""
    prefix, version = words.meta_key(type_, "type")
    found = await house.lookup.named_template(prefix, version)
    if found is None:
        raise IdhubError(Idhub.META_ABSENT)
    if prefix != named.prefix_key:
        raise IdhubError(Idhub.META_ABSENT, f"元数据{type_}不在前缀{named.prefix}下，请先创建副本")
    return found


def _echo(named: Identifier, template: Template, given: InstanceIn) -> dict[str, Any]:
    return _object(str(named), template.handle, {"content": given.content})


async def _create(request: web.Request, account: Account, target: str, given: InstanceIn) -> Any:
    named, house = words.identifier(target, "targetId"), request.app[HOUSE]
    await _check_may(house, account, Request("create", named))
    template = await _template(house, named, given.type)
    await _write(
        request,
        account,
        Request("create", named, template.version, words.values(template, given.content)),
    )
    return _echo(named, template, given)


async def _overlay(request: web.Request, account: Account, target: str, given: InstanceIn) -> Any:
    return await _update(request, account, target, given, whole=True)


async def _non_overlay(request: web.Request, account: Account, target: str, given: InstanceIn) -> Any:
    return await _update(request, account, target, given, whole=False)


async def _update(request: web.Request, account: Account, target: str, given: InstanceIn, *, whole: bool) -> Any:
    """`whole`: what is left out of what this account may edit loses its value; attributes are never removed."""
    named, house = words.identifier(target, "targetId"), request.app[HOUSE]
    stored, record, kept, far = await house.sight.look(account, named)
    granted = kept is not None and given.type in {None, "", kept.handle} and any(each.edit for each in far.grants)
    if not granted:  # nor told anything of other templates
        await _check_may(house, account, Request("update", named))
    _check_there(named, stored)
    template = await _template(house, named, given.type) if given.type or kept is None else kept
    values = words.values(template, given.content)
    if whole:
        values += _emptied(record, template, far, {value.index for value in values})
    await _write(request, account, Request("update", named, template.version, values))
    return _echo(named, template, given)


def _emptied(record: Record, template: Template, far: Reach, given: set[int]) -> tuple[Value, ...]:
    items = template.by_index
    return tuple(
        Value(value.index, value.type, b"")
        for value in record.values
        if value.data
        and value.index not in given
        and (item := items.get(value.index))
        and item.enabled
        and far.edits(item)
    )


async def _delete(request: web.Request, account: Account, target: str, given: InstanceIn) -> Any:
    await _write(request, account, Request("delete", words.identifier(target, "targetId")))


Does = Callable[[web.Request, Account, str, InstanceIn], Awaitable[Any]]
OPERATIONS: Final[dict[str, Does]] = {
    "0.DOIP/Op.Hello": _hello,
    "0.DOIP/Op.ListOperations": _list_operations,
    "0.DOIP/Op.Retrieve": _retrieve,
    "0.DOIP/Op.Create": _create,
    "0.DOIP/Op.Update": _overlay,
    "0.DOIP.EXTEND/Op.Update.Non.Overlay": _non_overlay,
    "0.DOIP/Op.Delete": _delete,
}
READS: Final = frozenset({"0.DOIP/Op.Hello", "0.DOIP/Op.ListOperations", "0.DOIP/Op.Retrieve"})
"""What may be asked by GET; anything may by POST."""
UNSUPPORTED: Final = frozenset({"0.DOIP/Op.Search"})


async def _doip(request: web.Request, account: Account) -> Any:
    """GET and POST /api/v1/doip?targetId=&operationId=."""
    body = await read_body(request)
    given = words.decoded(body, InstanceIn) if body else InstanceIn()
    operation = request.query.get("operationId") or given.operation_id or ""
    does = OPERATIONS.get(operation)
    if operation in UNSUPPORTED or (does is not None and request.method == "GET" and operation not in READS):
        raise IdhubError(Idhub.UNSUPPORTED)
    if does is None:
        raise IdhubError(Idhub.NO_OPERATION)
    return await does(request, account, request.query.get("targetId") or given.target_id or "", given)


def add_routes(app: web.Application) -> None:
    """The routes of this face."""
    app.router.add_get(f"{PUBLIC}/challenge", challenge, allow_head=False)
    for method in ("GET", "POST"):
        app.router.add_route(method, f"{PUBLIC}/verify-response", verify)
        app.router.add_route(method, DOIP, signed(_doip))
