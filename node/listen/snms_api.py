"""The SNMS OpenAPI v3/v5: sign-in and identifiers, word for word as its clients know it.

HTTP 200 with an envelope for every outcome, Chinese messages whatever is asked for. Rules are registry's.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
from aiohttp import web

from node import clock
from node.listen import replies, snms_words
from node.listen.bodies import BODIES
from node.listen.bodies import body as read_body
from node.listen.http import ACCOUNT, HOUSE, json_response, noted, peer, source, witnessed
from node.listen.skeleton import Skeletons
from node.listen.snms_words import SnmsError
from proto.identifier import Identifier
from proto.value import Value
from registry import drafting
from registry.account import USERNAME_CHARACTERS, Account
from registry.block import Block
from registry.errors import RegistryError, UnavailableError, UnknownOutcomeError
from registry.postgres.batches import Batch
from registry.registrar import CONTENDED, Job, Outcome, Written
from registry.rights import Right
from registry.rules import EXISTS_ZH, Operation, Refused, Request, Rule, Unchanged, differences
from registry.sight import seen
from registry.steward import Steward
from registry.template import Template

BASES: Final = ("", "/snmsapi")
"""Both are in the field: some gateways put the second one before every path."""
DATA: Final = "/identityv2/data"
"""Where identifiers are."""
SINGLES: Final[dict[str, Operation]] = {"POST": "create", "PUT": "update", "DELETE": "delete"}
"""What a request there asks for, by its method."""

TOKEN_OCTETS: Final = 8192
"""Largest body of a sign-in, which anybody may send: three times the longest name and secret, all escaped."""

Answer = web.Response
Signed = Callable[[web.Request, Account], Awaitable[Answer]]


def enveloped(status: int, message: str, data: Any = None, **more: Any) -> bytes:
    """The body of an answer of this face."""
    return msgspec.json.encode({"status": status, "message": message, "data": data} | more)


def envelope(status: int, message: str, data: Any = None, **more: Any) -> web.Response:
    """An answer of this face."""
    return json_response(enveloped(status, message, data, **more))


def success(data: Any) -> web.Response:
    """An answer to what went well."""
    return envelope(replies.SNMS_OK, replies.SNMS_SUCCESS_TEXT, data)


def refused(message: str, **more: Any) -> web.Response:
    """An answer to what did not."""
    return envelope(replies.SNMS_REFUSED, message, **more)


def no_permission() -> web.Response:
    """An answer to who has no right to what it asks for."""
    return envelope(replies.SNMS_NO_PERMISSION, replies.SNMS_NO_PERMISSION_TEXT)


def token_of(authorization: str) -> str:
    """The token of a header Authorization, empty when it says none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def bearer(request: web.Request) -> str:
    """The token of a request, empty when it carries none."""
    return token_of(request.headers.get("Authorization", ""))


def signed(handler: Signed, right: Right | None = None) -> Callable[[web.Request], Awaitable[Answer]]:
    """Hands the account to `handler`; without a live token, or `right`, says so in the envelope.

    Whose enterprise it is about, and all of it where no right is named, `handler` judges.
    """

    async def with_account(request: web.Request) -> Answer:
        account = await request.app[HOUSE].doorkeeper.account(bearer(request))
        if account is None:
            return json_response(NOT_SIGNED_IN)
        request[ACCOUNT] = account
        if right is not None and not account.may(right):
            return no_permission()
        try:
            return await handler(request, account)
        except SnmsError as error:
            return refused(str(error))

    return with_account


class _Secret(msgspec.Struct):
    username: str | None = None
    password: str | None = None


async def _sign_in(request: web.Request, dated: bool) -> Answer:
    try:
        given = msgspec.json.decode(await request.app[BODIES].of_stranger(request, TOKEN_OCTETS), type=_Secret)
    except snms_words.UNREADABLE as error:
        return refused(snms_words.sentence(error))
    for name in ("username", "password"):
        if not getattr(given, name):
            return refused(replies.SNMS_MISSING_TEXT.format(name))
    doorkeeper = request.app[HOUSE].doorkeeper
    check = doorkeeper.sign_in_dated if dated else doorkeeper.sign_in
    token = await check(given.username or "", given.password or "", peer(request))
    who = (given.username or "")[:USERNAME_CHARACTERS]
    noted(request, 0, who, "sign_in found" if token else "sign_in refused")
    return success({"token": token}) if token else refused(replies.SNMS_WRONG_SECRET_TEXT)


async def sign_in(request: web.Request) -> Answer:
    """POST /identity/token: user name and password, or access key and secret key."""
    return await _sign_in(request, dated=False)


async def sign_in_dated(request: web.Request) -> Answer:
    """POST /identity/token/v1: the secret as sha256(sha256(secret) ‖ yyyy-MM-dd); programs only."""
    return await _sign_in(request, dated=True)


@signed
async def detail(request: web.Request, account: Account) -> Answer:
    """GET /identityv2/data/detail?handle=: everything its owner may see of an identifier, or somebody to whom something
    of it was granted.
    """
    identifier = snms_words.identifier(request.query.get("handle"))
    house = request.app[HOUSE]
    if own := await house.lookup.template_behind(identifier):
        return _detailed(identifier, None, drafting.told(own))
    stored, record, template, far = await house.sight.look(account, identifier)
    if stored.prefix and not far.beyond:
        noted(request, account.number, str(identifier), "detail refused")
        return no_permission()
    noted(request, account.number, str(identifier), "detail found" if stored.live else "detail absent")
    if not stored.live:
        return refused(replies.SNMS_NOT_FOUND_TEXT)
    witnessed(request, "detail", [identifier.key])
    return _detailed(identifier, template, seen(record, template, far))


def _detailed(identifier: Identifier, template: Template | None, shown: Sequence[Value]) -> Answer:
    values = [
        {
            "auth": "",
            "index": v.index,
            "type": v.type,
            "data": {"format": "string", "value": v.data.decode(errors="replace")},
        }
        for v in shown
    ]
    told = {"templateVersion": template.version if template else None, "value": values}
    return success({"prefix": identifier.prefix, "handle": str(identifier)} | told | {"code": "200"})


NOT_SIGNED_IN: Final = enveloped(replies.SNMS_NOT_SIGNED_IN, replies.SNMS_NOT_SIGNED_IN_TEXT)
_DONE: Final = enveloped(replies.SNMS_OK, replies.SNMS_SUCCESS_TEXT, data=True)


def single(operation: Operation, body: bytes) -> Request | bytes:
    """What one create, update or delete asks for, or the body of the answer that says why it cannot be read."""
    try:
        return snms_words.deletion(body) if operation == "delete" else snms_words.request(operation, body)
    except SnmsError as error:
        return enveloped(replies.SNMS_REFUSED, str(error))


def told(outcome: Outcome | Exception) -> bytes:
    """The body of the answer to it, which is told with HTTP 200. Raises what is one of http.TROUBLES, or a mistake."""
    if isinstance(outcome, Exception):
        raise outcome
    return _said(outcome) if isinstance(outcome, Refused) else _DONE


def _one(operation: Operation) -> Signed:
    async def handler(request: web.Request, account: Account) -> Answer:
        wanted = single(operation, await read_body(request))
        if isinstance(wanted, bytes):
            return json_response(wanted)
        return json_response(told((await request.app[HOUSE].batcher.write([Job(wanted, account)], source(request)))[0]))

    return handler


def _said(refused: Refused) -> bytes:
    if refused.rule is Rule.CONTENDED:
        raise UnavailableError("contended")
    if refused.rule is Rule.PERMISSION:
        return enveloped(replies.SNMS_NO_PERMISSION, refused.zh)
    if refused.rule is Rule.EXISTS:
        return enveloped(replies.SNMS_REFUSED, refused.zh, differs=refused.differs)
    return enveloped(replies.SNMS_REFUSED, refused.zh)


SKELETONS: Final = web.AppKey("skeletons", Skeletons)

_job: Final[Callable[[tuple[Request, Account]], Job]] = partial(tuple.__new__, Job)
"""`Job._make`, without a call in Python for each row."""

Row = Request | str
"""A row that could be read, or the sentence why not."""


def _readable(skeletons: Skeletons, operation: Operation, rows: Sequence[msgspec.Raw]) -> list[Row]:
    read: list[Row] = []
    for row in rows:
        try:
            read.append(
                snms_words.deletion_row(row) if operation == "delete" else skeletons.request(operation, bytes(row))
            )
        except SnmsError as error:
            read.append(str(error))
    return read


@dataclass(frozen=True, slots=True)
class _Again:
    """A row whose identifier an earlier row of the batch names: `first`, counted from 0."""

    first: int
    request: Request


def _first_wins(rows: Sequence[Row]) -> list[Row | _Again]:
    """The rows, every later one of an identifier as an `_Again`."""
    keys = [row.identifier.key for row in rows if isinstance(row, Request)]
    if len(set(keys)) == len(keys):
        return list(rows)
    first: dict[str, int] = {}
    result: list[Row | _Again] = []
    for n, row in enumerate(rows):
        if isinstance(row, Request) and first.setdefault(row.identifier.key, n) != n:
            result.append(_Again(first[row.identifier.key], row))
        else:
            result.append(row)
    return result


def _told_again(operation: Operation, again: _Again, rows: Sequence[Row | _Again], results: "list[Result]") -> "Result":
    """What a repeated row is told, once it is known what came of the first one."""
    n, outcome, first = again.first, results[again.first], rows[again.first]
    exists = isinstance(outcome, Written | Unchanged) or (isinstance(outcome, Refused) and outcome.rule is Rule.EXISTS)
    if operation != "create" or not exists or not isinstance(first, Request):
        return f"与本批第{n + 1}行重复" + ("" if exists else f"，且第{n + 1}行未成功")
    before = outcome.differs if isinstance(outcome, Refused) else ()
    more = differences(first.values, again.request.values, whole=again.request.moved)
    differs = dict.fromkeys((*before, *more))
    return Refused(Rule.EXISTS, "handle", EXISTS_ZH, "the identifier stands in this batch already", tuple(differs))


def _batch(operation: Operation) -> Signed:
    async def handler(request: web.Request, account: Account) -> Answer:
        house, given = request.app[HOUSE], await _given(request, operation)
        if isinstance(given, Block):
            handles = given.keys
            outcomes = await house.batcher.write_block(given, account, source(request))
            await _settled(house.steward, operation, account, handles, outcomes)
            return success(_rows(operation, handles, outcomes))
        rows = await house.slices.runs(partial(_readable, request.app[SKELETONS], operation), given)
        handles, results = await carried_out(request, operation, account, given, rows)
        return success(_rows(operation, handles, results))

    return handler


async def _given(request: web.Request, operation: Operation) -> Block | Sequence[msgspec.Raw]:
    """The rows of a batch, as a block if all are alike and everyday: the body is let go then."""
    body = await read_body(request)
    if operation == "create" and (reader := request.app[SKELETONS].reader(body)) is not None:
        await request.app[HOUSE].slices.runs(reader.read, reader.turns)
        if (block := reader.block()) is not None:
            return block
    return snms_words.rows(body)


async def carried_out(
    request: web.Request, operation: Operation, account: Account, raw: Sequence[msgspec.Raw], read: Sequence[Row]
) -> "tuple[list[str], Sequence[Result]]":
    """The handle each row of a batch names, and what came of it; the batch leaves its record."""
    house, rows = request.app[HOUSE], _first_wins(read)
    jobs = [_job((row, account)) for row in rows if isinstance(row, Request)]
    outcomes = await house.batcher.write(jobs, source(request))
    results = _results(operation, rows, outcomes) if len(jobs) < len(rows) else outcomes
    handles = [
        row.identifier.text if isinstance(row, Request) else snms_words.spelled(octets)
        for row, octets in zip(read, raw, strict=True)
    ]
    await _settled(house.steward, operation, account, handles, results)
    return handles, results


def _results(
    operation: Operation, rows: Sequence[Row | _Again], outcomes: Sequence[Outcome | RegistryError]
) -> "list[Result]":
    """What came of each row, given what came of those that could be read and are no repetition."""
    left = iter(outcomes)
    results: list[Result] = []
    for row in rows:
        if isinstance(row, _Again):
            results.append(_told_again(operation, row, rows, results))
        else:
            results.append(next(left) if isinstance(row, Request) else row)
    return results


async def _settled(
    steward: Steward, operation: Operation, account: Account, handles: Sequence[str], results: "Sequence[Result]"
) -> None:
    """Leaves the record of a batch whose rows were carried out; when that fails the client is told to repeat, not that
    nothing was done.
    """
    _raise_lost(results)
    try:
        await steward.record_batch(_record(operation, account, handles, results), clock.utc())
    except UnavailableError as error:
        raise UnknownOutcomeError(str(error), backend=0) from error


Result = Outcome | RegistryError | str


def _raise_lost(results: Sequence[Result]) -> None:
    """504 if a row's outcome is unknown; 503, which says that nothing was done, only if nothing was.

    Else a row that could not be written is told so in its place.
    """
    if results and results.count(results[0]) == len(results):
        results = results[:1]
    for result in results:
        if isinstance(result, UnknownOutcomeError):
            raise result
    if results and all(isinstance(result, UnavailableError) or result is CONTENDED for result in results):
        raise UnavailableError("no row could be written")


_WELL: Final = (Written, Unchanged)


def message(result: Result) -> str:
    """What a row is told, in Chinese."""
    if isinstance(result, _WELL):
        return replies.SNMS_SUCCESS_TEXT
    if isinstance(result, RegistryError):
        return replies.SNMS_BUSY_TEXT
    return result.zh if isinstance(result, Refused) else result


def _written_row(handle: str, result: Result) -> dict[str, Any]:
    row: dict[str, Any] = {"handle": handle, "msg": message(result)}
    if isinstance(result, Refused) and result.rule is Rule.EXISTS:
        row["differs"] = result.differs
    return row


def _deleted_row(handle: str, result: Result) -> dict[str, Any]:
    code = replies.SNMS_OK if isinstance(result, _WELL) else replies.SNMS_REFUSED
    return {"handle": handle, "code": code, "msg": message(result)}


def _rows(operation: Operation, handles: Sequence[str], results: "Sequence[Result]") -> Any:
    """What is said of each row, as what becomes JSON: if all are told the same, but for the handle, as JSON."""
    spelt = msgspec.json.encode(handles)
    if not results or results.count(results[0]) < len(results) or b"\\" in spelt:
        return list(map(_ROW[operation], handles, results))
    before, _, after = msgspec.json.encode(_ROW[operation]("", results[0])).partition(b'""')
    # No handle holds a quote here: those that do have a backslash before it.
    rows = spelt[1:-1].replace(b'","', b'"%b,%b"' % (after, before))
    return msgspec.Raw(b"[%b%b%b]" % (before, rows, after))


_ROW: Final = {"create": _written_row, "update": _written_row, "delete": _deleted_row}


def _record(operation: Operation, account: Account, handles: Sequence[str], results: Sequence[Result]) -> Batch:
    ill = [(n, result) for n, result in enumerate(results) if not isinstance(result, _WELL)]
    existed = [r for _, r in ill if isinstance(r, Refused) and r.rule is Rule.EXISTS]
    reasons = tuple(
        (n + 1, handles[n], message(result))
        for n, result in ill
        if not isinstance(result, Refused) or result.rule is not Rule.EXISTS
    )
    alike = sum(not r.differs for r in existed)
    return Batch(
        account=account.number,
        operation=operation,
        rows=len(results),
        succeeded=len(results) - len(ill),
        existed_alike=alike,
        existed_different=len(existed) - alike,
        refused=len(reasons),
        reasons=reasons,
    )


async def unknown(request: web.Request) -> Answer:
    """Anything else under this face's paths."""
    raise web.HTTPNotFound


def add_routes(app: web.Application) -> None:
    """The routes of this face."""
    app[SKELETONS] = Skeletons()
    for base in BASES:
        app.router.add_post(f"{base}/identity/token", sign_in)
        app.router.add_post(f"{base}/identity/token/v1", sign_in_dated)
        app.router.add_get(f"{base}{DATA}/detail", detail)
        app.router.add_get(f"{base}{DATA}", detail)
        for method, operation in SINGLES.items():
            app.router.add_route(method, f"{base}{DATA}", signed(_one(operation)))
        app.router.add_post(f"{base}{DATA}/batchCreate", signed(_batch("create"), Right.REGISTER))
        app.router.add_put(f"{base}{DATA}/batchUpdate", signed(_batch("update"), Right.REGISTER))
        app.router.add_delete(f"{base}{DATA}/batchDelete", signed(_batch("delete"), Right.REGISTER))
    for root in ("identity", "identityv2", "snms", "snmsapi"):
        app.router.add_route("*", f"/{root}/{{rest:.*}}", unknown)
