"""The SNMS OpenAPI v3/v5: enterprises and their users, prefixes, hosting. Rules are registry/application.py's.

Chinese messages whatever is asked for, as on the whole face.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, time
from typing import Any, Final

import msgspec
from aiohttp import web

from node.listen import replies, snms_words
from node.listen.bodies import body as read_body
from node.listen.http import HOUSE, examiner, witnessed
from node.listen.snms_api import BASES, Answer, envelope, refused, signed, success
from node.listen.snms_words import SnmsError
from proto.errors import ProtoError
from proto.limits import PREFIX_CHARACTERS
from registry import application
from registry.account import Account, hash_digest
from registry.application import BASIC_INFO, SEALED, Refusal, masked
from registry.examiner import Enterprise, Form
from registry.hosting import SERVER, site
from registry.postgres.applications import prefix_standing
from registry.postgres.enterprises import Wanted
from registry.prefix import PrefixState
from registry.rights import OF_ENTERPRISES, Right

PAGE_SIZE: Final = 10
PAGE_MOST: Final = 100
"""Rows of a page: when it is not said, and at most."""
PAGES_MOST: Final = 1_000_000
"""The last page that can be asked for: rows before it are passed over one by one."""
REGISTRY_ZH: Final = "工业互联网标识解析国家顶级节点"
"""`ghrName`: who registers prefixes of enterprises. Which of its nodes does, the top-level node does not tell us."""
MOMENT: Final = "%Y-%m-%d %H:%M:%S"

_DENIED: Final = (replies.SNMS_NO_PERMISSION, replies.SNMS_NO_PERMISSION_TEXT)


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        return msgspec.json.decode(await read_body(request), type=dict[str, Any])
    except snms_words.UNREADABLE as error:
        raise SnmsError(snms_words.sentence(error)) from None


def _done(refusal: Refusal | None) -> Answer:
    return refused(refusal.zh) if refusal else success(True)


def _form(request: web.Request, given: Mapping[str, Any]) -> Form:
    house = request.app[HOUSE]
    return application.form(given, house.doorkeeper.today(), house.config.prefix)


# -- users and applications


@signed
async def _register(request: web.Request, account: Account) -> Answer:
    """POST /identity/registry: a person who will act for an enterprise; administrators only."""
    if not account.may_in(Right.APPLY, None):
        return envelope(*_DENIED)
    given = await _object(request)
    given["userName"] = given.get("userName") or given.get("username")
    try:
        user = application.user(given, application.REGISTRY_USER, "")
    except ProtoError as error:
        return refused(error.zh)
    password = await asyncio.to_thread(hash_digest, user["password"])
    return _done(await examiner(request).register(user, password))


@signed
async def _apply(request: web.Request, account: Account) -> Answer:
    """POST /snms/api/v3/ent/apply: an enterprise together with a new person who acts for it; administrators only."""
    if not account.may_in(Right.APPLY, None):
        return envelope(*_DENIED)
    given = await _object(request)
    try:
        user, form = application.user(given.get("sysUser")), _form(request, given)
    except ProtoError as error:
        return refused(error.zh)
    password = await asyncio.to_thread(hash_digest, user["password"])
    return _done(await examiner(request).apply(user, password, form, account))


@signed
async def _upgrade(request: web.Request, account: Account) -> Answer:
    """POST /snms/api/v3/ent/upgrade-apply: the enterprise of a known person; administrators, or that person."""
    given = await _object(request)
    username = given.get("username") or given.get("userName")
    if not isinstance(username, str):
        return refused(replies.SNMS_MISSING_TEXT.format("username"))
    if not (account.may_in(Right.APPLY, None) or (account.may(Right.APPLY) and username == account.username)):
        return envelope(*_DENIED)
    try:
        form = _form(request, given)
    except ProtoError as error:
        return refused(error.zh)
    return _done(await examiner(request).upgrade(username, form, account))


# -- pages


def _text(request: web.Request, name: str) -> str:
    text = request.query.get(name, "").strip()
    if not text.isprintable():
        raise SnmsError(f"参数{name}含有不允许的字符")
    return text


def _number(request: web.Request, name: str, default: int, last: int) -> int:
    text = _text(request, name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= last):
        raise SnmsError(f"参数{name}应为1到{last}的整数")
    return int(text)


def _moment(request: web.Request, name: str, *, last: bool = False) -> datetime | None:
    """A moment of the query; of a day alone its first one, or its `last`."""
    text = _text(request, name)
    try:
        made = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise SnmsError(f"参数{name}应为yyyy-MM-dd HH:mm:ss") from None
    if made and last and len(text) <= len("yyyy-MM-dd"):
        made = datetime.combine(made, time.max)
    return made.replace(tzinfo=made.tzinfo or request.app[HOUSE].config.zone) if made else None


def _wanted(request: web.Request, account: Account, name: str) -> Wanted:
    return Wanted(
        enterprise=account.enterprise if account.role in OF_ENTERPRISES else None,
        name=_text(request, name),
        first=_moment(request, "startDate"),
        last=_moment(request, "endDate", last=True),
        number=_number(request, "currentPage", 1, PAGES_MOST),
        size=_number(request, "pageSize", PAGE_SIZE, PAGE_MOST),
        prefix=_text(request, "entPrefix"),
    )


def _page(wanted: Wanted, total: int, content: Sequence[Mapping[str, Any]]) -> Answer:
    pages = -(-total // wanted.size)
    return success(
        {
            "first": wanted.number == 1,
            "last": wanted.number >= pages,
            "totalPages": pages,
            "totalElements": total,
            "number": wanted.number,
            "size": wanted.size,
            "sort": None,
            "numberOfElements": len(content),
            "content": content,
        }
    )


def _nobody(account: Account) -> bool:
    """Whether it sees no enterprise: it waits for its own, or has no right to any."""
    mine = account.role in OF_ENTERPRISES and account.enterprise is None
    return mine or not account.may(Right.READ_ENTERPRISES)


def _date(request: web.Request, moment: datetime) -> str:
    return moment.astimezone(request.app[HOUSE].config.zone).strftime(MOMENT)


@signed
async def _enterprises(request: web.Request, account: Account) -> Answer:
    """GET /snms/api/v3/ent/page: all enterprises, or one's own; nothing for anybody else."""
    wanted = _wanted(request, account, "orgName")
    if _nobody(account):
        return _page(wanted, 0, ())
    total, found = await request.app[HOUSE].examiner.enterprises(wanted)
    witnessed(request, "enterprise", [f"enterprise {each.row['number']}" for each in found])
    return _page(wanted, total, [_row(request, each) for each in found])


def _row(request: web.Request, shown: Enterprise) -> dict[str, Any]:
    row, basic = shown.row, shown.form[BASIC_INFO]
    told = {name: basic.get(name) for name in ("orgNature", "orgCrtType", "orgCrtCode", "orgDesc", "website")}
    return {
        "id": row["number"],
        "createDate": _date(request, row["created"]),
        "updateDate": _date(request, row["updated"]),
        "orgName": row["name"],
        **told,
        "entGeneralId": row["ent_id"] or None,
        "openIds": row["open_ids"],
    }


@signed
async def _enterprise(request: web.Request, account: Account) -> Answer:
    """GET /snms/api/v3/ent/detail?id=: all an enterprise gave; one's own when nothing is said."""
    if not account.enterprise and not _text(request, "id"):
        return refused(replies.SNMS_MISSING_TEXT.format("id"))
    number = _number(request, "id", account.enterprise or 0, 2**31 - 1)
    if not account.may_in(Right.READ_ENTERPRISES, number):
        return envelope(*_DENIED)
    shown = await request.app[HOUSE].examiner.enterprise(number)
    if shown is None:
        return refused("没有这个企业")
    witnessed(request, "enterprise", [f"enterprise {number}"])
    form = application.whole(shown.form)
    if not any(account.may(right) for right in _OF_DOCUMENTS):
        basic = form[BASIC_INFO]
        form[BASIC_INFO] = basic | {name: masked(basic[name]) for name in SEALED if basic.get(name)}
    return success(form)


_OF_DOCUMENTS: Final = (Right.APPLY, Right.VERIFY, Right.REVIEW)
"""Rights that take whole numbers of people's documents; everybody else sees how they begin and end."""


# -- prefixes


@signed
async def _prefix(request: web.Request, account: Account) -> Answer:
    """GET /snms/api/prefix/query?prefix=: a prefix, from its application on."""
    name = _text(request, "prefix")
    if not name:
        return refused(replies.SNMS_MISSING_TEXT.format("prefix"))
    shown = await request.app[HOUSE].examiner.prefix(name)
    if not account.may_in(Right.READ_ENTERPRISES, shown.row["enterprise"] if shown else account.enterprise):
        return envelope(*_DENIED)
    if shown is None:
        return refused(f"没有前缀{name[:PREFIX_CHARACTERS]}")
    witnessed(request, "enterprise", [name])
    row, basic = shown.row, shown.form[BASIC_INFO]
    return success(
        {
            "prefix": row["prefix"],
            "createDate": _date(request, row["created"]),
            "ghrName": REGISTRY_ZH,
            "status": prefix_standing(row).snms,
            "entNameCn": row["entity"],
            "entWebSite": basic.get("website"),
            "entIndustry": basic.get("industryCategory"),
            "entAddrCn": basic.get("orgAddr"),
            "entDesc": basic.get("orgDesc"),
        }
    )


@signed
async def _prefixes(request: web.Request, account: Account) -> Answer:
    """GET /snms/api/prefix/page: all prefixes, or one's own; nothing for anybody else."""
    wanted = _wanted(request, account, "entName")
    if _nobody(account):
        return _page(wanted, 0, ())
    total, rows = await request.app[HOUSE].examiner.prefixes(wanted)
    content = [
        {
            "id": row["number"],
            "createDate": _date(request, row["created"]),
            "updateDate": _date(request, row["updated"]),
            "entPrefix": row["name"],
            "entId": row["enterprise"],
            "state": int(PrefixState(row["state"]).open),
            "entName": row["entity"],
            "proxyState": row["proxy"],
        }
        for row in rows
    ]
    return _page(wanted, total, content)


@signed
async def _configure(request: web.Request, account: Account) -> Answer:
    """POST /snms/api/ent/config: the prefix is to be hosted here, or the enterprise's own node answers for it."""
    given = await _object(request)
    config, server = given.get("entPrefixConfig"), given.get("proxyServerId")
    name = config.get("entPrefix") if isinstance(config, dict) else None
    if not isinstance(config, dict) or not isinstance(name, str) or not name.isprintable():
        return refused(replies.SNMS_MISSING_TEXT.format("entPrefixConfig.entPrefix"))
    if server is not None and str(server) != str(SERVER):
        return refused(f"没有托管服务器{str(server)[:20]}：本节点的编号为{SERVER}")
    known = await request.app[HOUSE].lookup.prefix(name, anywhere=True)
    if not account.may_in(Right.ROUTES, known.enterprise if known else account.enterprise):
        return envelope(*_DENIED)
    try:
        own = site(config) if server is None else None
    except ProtoError as error:
        return refused(error.zh)
    return _done(await examiner(request).configure(name, own, account))


def add_routes(app: web.Application) -> None:
    """The routes of these calls."""
    for base in BASES:
        app.router.add_post(f"{base}/identity/registry", _register)
        app.router.add_post(f"{base}/snms/api/v3/ent/apply", _apply)
        app.router.add_post(f"{base}/snms/api/v3/ent/upgrade-apply", _upgrade)
        app.router.add_get(f"{base}/snms/api/v3/ent/page", _enterprises)
        app.router.add_get(f"{base}/snms/api/v3/ent/detail", _enterprise)
        app.router.add_get(f"{base}/snms/api/prefix/query", _prefix)
        app.router.add_get(f"{base}/snms/api/prefix/page", _prefixes)
        app.router.add_post(f"{base}/snms/api/ent/config", _configure)
