"""The calls of IDHub on templates (元数据), /api/v1/open/meta/…, and on the identifiers of one, …/handle/page.

What may be changed when is registry/drafting.py's to say; field names are idhub_words.py's.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aiohttp import web

from node.house import House
from node.listen import idhub_words as words
from node.listen.bodies import body as read_body
from node.listen.doip_api import known_template, moment, signed, user_handle
from node.listen.http import HOUSE, in_name_of, witnessed
from node.listen.idhub_words import IdhubError, MetaIn
from node.listen.replies import Idhub
from registry import drafting
from registry.account import Account, application_prefix
from registry.errors import UnavailableError
from registry.postgres.listings import Asked
from registry.postgres.templates import Wanted
from registry.prefix import RegisteredPrefix
from registry.rights import Right
from registry.rules import Refused
from registry.template import State, Template

OPEN: Final = "/api/v1/open"
META: Final = OPEN + "/meta"
HANDLES_MOST: Final = 100
"""Templates of one call that publishes, withdraws or removes several."""
PAGE_MOST: Final = 100
"""Rows of one page."""
PAGE_USUAL: Final = 10
ROWS_MOST: Final = 10_000
"""Rows that are counted, and pages reach: who looks for more narrows the question. Each page counts anew."""
CLASSES_MOST: Final = 1000
"""Classes one answer lists."""
_TIMES: Final = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")


# -- which template


async def owned(
    house: House, account: Account, key: tuple[str, str], right: Right = Right.TEMPLATES
) -> tuple[RegisteredPrefix, Template]:
    """The template of prefix and version, over which the account has that right. Raises IdhubError."""
    prefix, version = key
    found = await house.lookup.prefix(prefix)
    if found is None:
        raise IdhubError(Idhub.META_ABSENT)
    if not account.may_in(right, found.enterprise):
        raise IdhubError(Idhub.META_NO_RIGHT)
    kept = await house.lookup.named_template(prefix, version)
    if kept is None:
        raise IdhubError(Idhub.META_ABSENT)
    return found, kept


async def replaced(request: web.Request, template: Template) -> None:
    """Keeps a changed template, in the name of who asks."""
    house = request.app[HOUSE]
    async with house.announcer.catalogue_change(house.steward.catalogue_number):
        done = await in_name_of(request).replace_template(template)
    if not done:
        raise UnavailableError("the template changed meanwhile")


async def _added(request: web.Request, template: Template) -> dict[str, str]:
    house = request.app[HOUSE]
    if flaw := drafting.flaw(template):
        raise words.refused(flaw)
    async with house.announcer.catalogue_change(house.steward.catalogue_number):
        added = await in_name_of(request).add_template(template)
    if not added:
        raise IdhubError(Idhub.META_CODE, f"元数据{template.handle}已存在")
    return {"metaHandle": template.handle}


async def _new_prefix(house: House, account: Account, handle: str | None) -> str:
    """The prefix a new template is to stand under: that of `handle`, else that of the application that asks."""
    prefix = words.meta_key(handle)[0] if handle else application_prefix(account.username)
    if prefix is None:
        raise words.bound("metaHandle", "metaHandle不能为空：只有应用身份可以省略")
    found = await house.lookup.prefix(prefix)
    if found is None or not account.may_in(Right.TEMPLATES, found.enterprise):
        raise IdhubError(Idhub.META_NO_RIGHT)
    return prefix


async def _read(request: web.Request) -> MetaIn:
    given: MetaIn = words.decoded(await read_body(request), MetaIn)
    given.meta_handle = given.meta_handle or given.meta_hanlde
    return given


# -- its life


async def _create(request: web.Request, account: Account) -> Any:
    """POST /meta/create: a draft, called `<prefix>/META_<metaCode>` unless `metaHandle` says otherwise."""
    given, house = await _read(request), request.app[HOUSE]
    return await _added(request, words.created(given, await _new_prefix(house, account, given.meta_handle)))


async def _info(request: web.Request, account: Account) -> Any:
    """GET /meta/info?metaHandle=."""
    house = request.app[HOUSE]
    kept = await known_template(house, account, *words.meta_key(request.query.get("metaHandle")))
    if kept is None:
        raise IdhubError(Idhub.META_ABSENT)
    return words.info(kept) | {"createdTime": _at(house, kept.created), "updatedTime": _at(house, kept.updated)}


def _at(house: House, seconds: int) -> str:
    return moment(house, datetime.fromtimestamp(seconds, UTC))


async def _changed(request: web.Request, kept: Template, wanted: Template) -> None:
    earlier = [each for each in await request.app[HOUSE].lookup.line(kept) if each.revision < kept.revision]
    if refusal := drafting.changed(kept, wanted, earlier[-1] if earlier else None):
        raise words.refused(refusal, Idhub.META_FAILED if refusal.field == "items" else Idhub.BIND)
    await replaced(request, wanted)


async def _update_basic(request: web.Request, account: Account) -> Any:
    """PUT /meta/update-basic-info."""
    given, house = await _read(request), request.app[HOUSE]
    _, kept = await owned(house, account, words.meta_key(given.meta_handle))
    await _changed(request, kept, words.with_basics(kept, given))


async def _update_items(request: web.Request, account: Account) -> Any:
    """PUT /meta/update-item: what is not named stays. The attributes of a copy are frozen (IDHub)."""
    given, house = await _read(request), request.app[HOUSE]
    _, kept = await owned(house, account, words.meta_key(given.meta_handle))
    if kept.origin:
        raise IdhubError(Idhub.META_FAILED, f"元数据{kept.handle}是副本，不能编辑实体")
    await _changed(request, kept, words.with_items(kept, given.changed or given.items or (), "metaItemDTOS"))


async def _delete(request: web.Request, account: Account) -> Any:
    """DELETE /meta/delete?metaHandleList=…: none of them if one may not be removed."""
    house, body = request.app[HOUSE], await read_body(request)
    handles = [each for part in request.query.getall("metaHandleList", ()) for each in part.strip("[]").split(",")]
    handles += words.decoded(body, _HandlesIn).meta_handle_list if body else []
    found = [(await owned(house, account, words.meta_key(each)))[1] for each in _some(handles)]
    for kept in found:
        if refusal := drafting.removable(kept):
            raise IdhubError(Idhub.META_FAILED, f"元数据删除失败：{refusal.zh}")
    used = []
    for kept in found:
        async with house.announcer.catalogue_change(house.steward.catalogue_number):
            if not await in_name_of(request).remove_template(kept.number):
                used.append(kept.handle)
    if used:
        raise IdhubError(Idhub.META_FAILED, f"元数据删除失败：{used}已被标识使用，不能删除")


class _HandlesIn(msgspec.Struct, rename="camel"):
    meta_handle_list: list[str] = []
    op_type: str = ""


def _some(handles: list[str]) -> list[str]:
    named = list(dict.fromkeys(each.strip() for each in handles))
    if not named or len(named) > HANDLES_MOST:
        raise words.bound("metaHandleList", f"metaHandleList应有1到{HANDLES_MOST}个元数据标识")
    return named


_ACTS: Final = {"publish": State.PUBLISHED, "withdraw": State.WITHDRAWN}


async def _move(request: web.Request, account: Account) -> Any:
    """PUT /meta/publish-or-withdraw: each for itself, and what came of it."""
    given: _HandlesIn = words.decoded(await read_body(request), _HandlesIn)
    if given.op_type not in _ACTS:
        raise words.bound("opType", f"opType应为{'、'.join(_ACTS)}之一")
    return [await _moved(request, account, each, _ACTS[given.op_type]) for each in _some(given.meta_handle_list)]


async def _moved(request: web.Request, account: Account, handle: str, to: State) -> dict[str, str]:
    reason = ""
    try:
        _, kept = await owned(request.app[HOUSE], account, words.meta_key(handle))
        moved = drafting.moved(kept, to)
        if isinstance(moved, Refused):
            reason = moved.zh
        else:
            await replaced(request, moved)
    except IdhubError as error:
        if error.code is Idhub.META_NO_RIGHT:
            raise
        reason = f"元数据标识{handle}不存在" if error.code is Idhub.META_ABSENT else str(error)
    return {"metaHandle": handle, "state": "failed" if reason else "success", "reason": reason}


class _CopyIn(msgspec.Struct, rename="camel"):
    baseon_handle: str | None = None
    base_info: MetaIn = msgspec.field(default_factory=MetaIn)


async def _copy(request: web.Request, account: Account) -> Any:
    """POST /meta/baseon-create: a draft that says the same as any template this account may see."""
    given: _CopyIn = words.decoded(await read_body(request), _CopyIn)
    house, info = request.app[HOUSE], given.base_info
    prefix = await _new_prefix(house, account, info.meta_handle)
    kept = await known_template(house, account, *words.meta_key(given.baseon_handle, "baseonHandle"))
    if kept is None:
        raise IdhubError(Idhub.META_ABSENT)
    version = words.meta_key(info.meta_handle)[1] if info.meta_handle else info.meta_code or ""
    return await _added(request, words.copied(drafting.copied(kept, prefix, version), info))


# -- lists


class Page:
    """Which page is asked for; 0 is the first. Raises IdhubError."""

    def __init__(self, request: web.Request) -> None:
        self._query, self._zone = request.query, request.app[HOUSE].config.zone
        self.number = self._whole("page", 0, 0, ROWS_MOST)
        self.size = self._whole("size", PAGE_USUAL, 1, PAGE_MOST)
        self.skipped = self.number * self.size
        if self.skipped >= ROWS_MOST:
            raise IdhubError(Idhub.PARAMETERS, f"请求入参错误：最多翻到第{ROWS_MOST}条，请缩小范围")

    def _whole(self, name: str, usual: int, low: int, high: int) -> int:
        text = self._query.get(name, "")
        if text and not (text.isascii() and text.isdigit() and len(text) < 10):
            raise IdhubError(Idhub.PARAMETERS, f"请求入参错误：{name}应为整数")
        return max(low, min(int(text), high)) if text else usual

    def text(self, name: str) -> str | None:
        """A text that is looked for; None when there is none."""
        text = self._query.get(name, "").strip('"')
        if "\0" in text:
            raise IdhubError(Idhub.PARAMETERS, f"请求入参错误：{name}不能含有U+0000")
        return text or None

    def moment(self, name: str) -> datetime | None:
        """A time in the node's own zone; of a day alone its beginning."""
        text = self._query.get(name, "")
        for form in _TIMES if text else ():
            try:
                return datetime.strptime(text, form).replace(tzinfo=self._zone)
            except ValueError:
                continue
        if text:
            raise IdhubError(Idhub.PARAMETERS, f"请求入参错误：{name}应写作yyyy-MM-dd HH:mm:ss")
        return None

    def told(self, count: int, content: Iterable[dict[str, Any]]) -> dict[str, Any]:
        """The page; samples count it from 1 in the answer although it is asked for from 0."""
        return {
            "pageSize": self.size,
            "pageNumber": self.number + 1,
            "totalCount": count,
            "totalPage": -(-count // self.size),
            "content": list(content),
        }


async def _page(request: web.Request, account: Account) -> Any:
    """GET /meta/page: templates of one's enterprise (of all, for the node's own accounts), newest first."""
    page, house = Page(request), request.app[HOUSE]
    state, code = page.text("metaState"), page.text("classifyCode")
    if state not in {None, "0", "1"}:
        raise IdhubError(Idhub.PARAMETERS, "请求入参错误：metaState应为0或1")
    of = Wanted(
        account.enterprise,
        account.may(Right.TEMPLATES),
        "" if code == words.UNCLASSIFIED else code,
        page.text("metaHandle"),
        None if state is None else state == "1",
        page.moment("startTime"),
        page.moment("endTime"),
    )
    count, found = await house.lookup.templates_wanted(of, page.skipped, page.size)
    return page.told(count, (_row(house, each) for each in found))


def _row(house: House, template: Template) -> dict[str, Any]:
    code, basic = words.classify(template), words.basic(template)
    return {
        "id": template.number,
        "metaHandle": template.handle,
        **{name: basic[name] for name in ("metaName", "metaCode", "metaState", "isQuote")},
        "classifyName": words.class_name(code),
        "classifyCode": code,
        "createdTime": _at(house, template.created),
    }


async def _classes(request: web.Request, account: Account) -> Any:
    """GET /meta/classify-query: the classes in use, and that of templates without one."""
    codes = await request.app[HOUSE].lookup.template_classes(account.enterprise, CLASSES_MOST)
    return [
        {
            "id": n,
            "parentId": 0,
            "sort": n,
            "children": [],
            "classifyName": words.class_name(code),
            "classifyCode": code,
            "ancestors": "0",
            "level": 1,
        }
        for n, code in enumerate((words.UNCLASSIFIED, *codes), 1)
    ]


async def _handles(request: web.Request, account: Account) -> Any:
    """GET /api/v1/open/handle/page?metaHandle=: the identifiers of a template, for their owner."""
    page, house = Page(request), request.app[HOUSE]
    prefix, kept = await owned(house, account, words.meta_key(page.text("metaHandle")), Right.READ_RECORDS)
    since, until = (page.moment(name) for name in ("startTime", "endTime"))
    asked = Asked(
        prefix.number,
        kept.number,
        (page.text("handleName") or "").removeprefix(f"{prefix.name}/"),
        int(since.timestamp()) if since else 0,
        int(until.timestamp()) if until else 2**32 - 1,
    )
    witnessed(request, "identifiers", [kept.handle])
    count, suffixes = await house.lookup.identifiers_of(asked, page.skipped, page.size, ROWS_MOST)
    written = await house.lookup.authors(prefix.number, suffixes)
    return page.told(
        count,
        (
            {
                "handleName": f"{prefix.name}/{suffix}",
                "createTime": moment(house, by.created),
                "updateTime": moment(house, by.updated),
                "createdBy": user_handle(by.creator, prefix.name),
            }
            for suffix, by in zip(suffixes, written, strict=True)
            if by is not None
        ),
    )


def add_routes(app: web.Application) -> None:
    """The routes of this part of the face."""
    app.router.add_post(META + "/create", signed(_create, Right.TEMPLATES))
    app.router.add_get(META + "/info", signed(_info))
    app.router.add_put(META + "/update-basic-info", signed(_update_basic, Right.TEMPLATES))
    app.router.add_put(META + "/update-item", signed(_update_items, Right.TEMPLATES))
    app.router.add_delete(META + "/delete", signed(_delete, Right.TEMPLATES))
    app.router.add_put(META + "/publish-or-withdraw", signed(_move, Right.TEMPLATES))
    app.router.add_post(META + "/baseon-create", signed(_copy, Right.TEMPLATES))
    app.router.add_get(META + "/classify-query", signed(_classes))
    app.router.add_get(META + "/page", signed(_page))
    app.router.add_get(OPEN + "/handle/page", signed(_handles, Right.READ_RECORDS))
