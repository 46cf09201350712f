"""IIIDAP: who is behind a prefix, GET and HEAD /iiidap/… (drafts draft-mcd-identifier-access-*, facts §4.4).

What may be seen of an enterprise is registry/disclosure.py's. Every answer is asked of PostgreSQL and kept by nobody.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final
from unicodedata import normalize

import structlog
from aiohttp import web

from node.files.folder import FolderError
from node.listen.handle_api import asked_for, options, raw_path
from node.listen.http import ACCOUNT, HOUSE, is_secure, json_response, peer, witnessed
from node.listen.snms_api import token_of
from proto.errors import ProtoError
from proto.identifier import Prefix
from proto.iiidap import MEDIA_TYPE, NAME_CHARACTERS, Pattern, answer, failed, folded, link, remark
from registry.account import Account
from registry.disclosure import Entry, shown
from registry.rights import Right

BASE: Final = "/iiidap/"
IDENTIFIER: Final = BASE + "identifier/"
NAME: Final = BASE + "name/"
RESULTS_MOST: Final = 50
"""Objects a search shows; who needs more names more of the name."""
_REMARKS: Final = {"hold": remark("状态 status", "该前缀已停用 the prefix is stopped")}
"""What is said with a status."""
_QUERIES: Final = {
    "identifier/{prefix}": "一个前缀 one prefix",
    "name/{name}": "一个企业，按名称 one enterprise, by its name",
    "names?name={beginning}*": f"名称以此开头的企业，至多{RESULTS_MOST}条 enterprises whose names begin so",
}

log = structlog.get_logger("iiidap")

Handler = Callable[[web.Request], Awaitable[web.Response]]


class _Refused(Exception):
    """A question that is not answered: HTTP status, what it is called, and why, in one sentence each."""

    def __init__(self, status: int, title: str, zh: str, en: str) -> None:
        super().__init__(en)
        self.status = status
        self.body = failed(status, title, zh, en)


_NOT_FOUND: Final = partial(_Refused, 404, "Not Found")
_CHALLENGE: Final = 'Bearer realm="iiidap", Basic realm="iiidap", charset="UTF-8"'


def _explained(handler: Handler) -> Handler:
    async def explained(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except _Refused as error:
            headers = {"WWW-Authenticate": _CHALLENGE} if error.status == 401 else {}
            return _said(error.body, error.status, headers)
        except ProtoError as error:
            return _said(failed(400, "Bad Request", error.zh, error.en), 400)

    return explained


def _said(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return json_response(body, status, {"Content-Type": MEDIA_TYPE} | (headers or {}))


async def _reader(request: web.Request) -> Account | None:
    """Who asks; None for anybody. A header that proves nothing is refused, so that nobody takes less for all."""
    given = request.headers.get("Authorization")
    if given is None:
        return None
    doorkeeper = request.app[HOUSE].doorkeeper
    if token := token_of(given):
        account = await doorkeeper.account(token)
    else:
        account = await doorkeeper.program(*_basic(request, given), peer(request))
    if account is None:
        zh, en = "未登录、登录已过期，或密钥有误", "the token is expired or revoked, or the secret is wrong"
        raise _Refused(401, "Unauthorized", zh, en)
    request[ACCOUNT] = account
    return account


def _basic(request: web.Request, given: str) -> tuple[str, str]:
    """User name and secret (RFC 7617). Over TLS only: they are in the clear."""
    scheme, _, coded = given.partition(" ")
    if scheme.lower() != "basic":
        raise ProtoError("Authorization", "Authorization应为Bearer或Basic", "Authorization must be Bearer or Basic")
    if not is_secure(request):
        raise ProtoError("Authorization", "Basic只能经HTTPS使用", "Basic may be used over HTTPS only")
    try:
        name, colon, secret = b64decode(coded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if not colon:
        raise ProtoError("Authorization", "Basic的内容无法读取", "the credentials of Basic cannot be read")
    return name, secret


def _object(
    request: web.Request, entry: Entry, reader: Account | None, photo: Mapping[str, str] | None = None
) -> dict[str, Any]:
    full = _sees_all(reader, entry)
    if full:
        witnessed(request, "iiidap", [entry.prefix])
    found = shown(entry, full=full, photo=photo)
    if found["status"] in _REMARKS:
        found["remarks"] = [_REMARKS[found["status"]], *found["remarks"]]
    return found


def _sees_all(reader: Account | None, entry: Entry) -> bool:
    return reader is not None and reader.may_in(Right.READ_ENTERPRISES, entry.enterprise)


async def _with_photo(request: web.Request, entry: Entry, reader: Account | None) -> dict[str, Any]:
    """The object of one entry, with the picture of its certificate for who may see all, if that can be had."""
    house, photo = request.app[HOUSE], None
    if entry.photo and house.files and _sees_all(reader, entry) and (file := await house.lookup.file(entry.photo)):
        try:
            data = b64encode(await house.files.content(entry.photo)).decode()
            photo = {"mime": file.kind.media_type, "data": data}
        except FolderError as error:
            log.warning("photo_missing", file=entry.photo, error=str(error))
    return _object(request, entry, reader, photo)


def _href(request: web.Request, path: str) -> str:
    return request.app[HOUSE].config.public_url.rstrip("/") + BASE + path


def _help_notice(request: web.Request) -> dict[str, Any]:
    return remark("帮助 help", "如何查询 how to ask", links=[link(_href(request, "help"), "help")])


@_explained
async def identifier(request: web.Request) -> web.Response:
    """GET /iiidap/identifier/{prefix}: a prefix of ours, or 307 to the node that answers for it."""
    house = request.app[HOUSE]
    reader = await _reader(request)
    prefix = Prefix(normalize("NFC", asked_for(raw_path(request).removeprefix(IDENTIFIER)))).name
    entry = await house.lookup.entry(prefix)
    if entry is not None:
        return _said(answer(await _with_photo(request, entry, reader), _help_notice(request)))
    ours = house.config.prefix in {prefix, Prefix(prefix).parent}
    if ours and await house.lookup.prefix(prefix, anywhere=True) is None:
        raise _NOT_FOUND(f"前缀{prefix}未分配", f"prefix {prefix} is not allocated")
    base = await house.register.base(prefix)
    if base is None or base == await house.register.base(house.config.prefix):
        raise _NOT_FOUND(f"没有节点负责前缀{prefix}", f"no node answers for prefix {prefix}")
    elsewhere = f"{base}identifier/{prefix}"
    notice = remark(
        "转介 referral", f"前缀{prefix}由另一节点负责 another node answers", links=[link(elsewhere, "related")]
    )
    return _said(answer({}, notice), 307, {"Location": elsewhere})


async def _found(request: web.Request, pattern: Pattern) -> tuple[list[Entry], bool]:
    """The entries of enterprises with such a name, RESULTS_MOST at most, and whether there are more."""
    house = request.app[HOUSE]
    numbers = await house.names.find(pattern, RESULTS_MOST + 1)
    entries = await house.lookup.entries(numbers[:RESULTS_MOST], RESULTS_MOST + 1)
    fitting = [each for each in entries if _fits(pattern, (each.name, each.name_en))]
    return fitting[:RESULTS_MOST], max(len(numbers), len(entries)) > RESULTS_MOST


def _fits(pattern: Pattern, names: Iterable[str]) -> bool:
    return any(pattern.fits(folded(name)) for name in names)


@_explained
async def name(request: web.Request) -> web.Response:
    """GET /iiidap/name/{name}: the enterprise of that name, by the first of its prefixes."""
    reader = await _reader(request)
    asked = asked_for(raw_path(request).removeprefix(NAME))
    if len(asked) > NAME_CHARACTERS:
        zh, en = f"名称最多{NAME_CHARACTERS}个字符", f"a name has at most {NAME_CHARACTERS} characters"
        raise ProtoError("name", zh, en)
    entries, _ = await _found(request, Pattern(folded(asked), open=False))
    if not entries:
        raise _NOT_FOUND("没有这个名称的企业", "there is no enterprise of that name")
    first, *others = entries
    found = await _with_photo(request, first, reader)
    if others:
        links = [link(_href(request, f"identifier/{each.prefix}"), "related") for each in others]
        found["remarks"] += [remark("其他前缀 other prefixes", *(each.prefix for each in others), links=links)]
    return _said(answer(found, _help_notice(request)))


@_explained
async def names(request: web.Request) -> web.Response:
    """GET /iiidap/names?name=beginning*: the enterprises whose names begin so; 422 for any other pattern."""
    reader = await _reader(request)
    pattern = Pattern.parse(request.query.get("name", ""))
    if pattern is None:
        zh, en = "只支持末尾一个*，且前面有文字", "only one * at the end, with something before it, is supported"
        raise _Refused(422, "Unprocessable Content", zh, en)
    entries, more = await _found(request, pattern)
    notices = [_help_notice(request)]
    if more:
        notices.append(
            remark("结果不完整 truncated", f"只列出前{RESULTS_MOST}条 only the first {RESULTS_MOST} are listed")
        )
    return _said(answer({"NodeSearchResults": [_object(request, each, reader) for each in entries]}, *notices))


@_explained
async def help_(request: web.Request) -> web.Response:
    """GET /iiidap/help: what can be asked, and what is shown to whom."""
    links = [{"href": _href(request, path), "rel": "search", "title": title} for path, title in _QUERIES.items()]
    shown_to = (
        "前缀、名称、类型、简介始终公开；其余由企业决定，remarks列出未公开（private、removed）与已遮蔽（obscured）的字段",
        "prefix, name, type and introduction are public; all else is its enterprise's choice: remarks name what is "
        "withheld (private, removed) or masked (obscured)",
        "本企业与审核人员以Bearer令牌、程序以HTTPS上的Basic，可见全部",
        "its own enterprise and reviewers see all, by a Bearer token, programs also by Basic over HTTPS",
    )
    return _said(answer({}, remark("查询 queries", *_QUERIES.values(), links=links), remark("隐私 privacy", *shown_to)))


async def unknown(request: web.Request) -> web.Response:
    """Anything else under this face's path."""
    raise web.HTTPNotFound


def add_routes(app: web.Application) -> None:
    """The routes of this face."""
    app.router.add_get(IDENTIFIER + "{prefix:(?s:.*)}", identifier)
    app.router.add_get(NAME + "{name:(?s:.*)}", name)
    app.router.add_get(BASE + "names", names)
    app.router.add_get(BASE + "help", help_)
    app.router.add_route("OPTIONS", BASE + "{rest:(?s:.*)}", options)
    app.router.add_route("*", BASE + "{rest:(?s:.*)}", unknown)
