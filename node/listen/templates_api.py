"""Templates on the node's own API, /api/v1/templates…: drafts, versions, copies, and every type of attribute.

What may be changed when is registry/drafting.py's to say.
"""

from collections.abc import Sequence
from dataclasses import astuple, fields, replace
from typing import Any, Final

import msgspec
from aiohttp import web

from node import clock
from node.house import House
from node.listen import idhub_words
from node.listen.bodies import body as read_body
from node.listen.http import HOUSE, encoded, in_name_of
from node.listen.own_door import OwnError, decoded, explained, owner_of, signed_in, whole_number
from proto.web_json import moment
from registry import drafting
from registry.account import Account
from registry.errors import UnavailableError
from registry.gbt4754 import check_industry
from registry.kinds import is_date
from registry.rights import Right
from registry.rules import Refused
from registry.suffix import Segment, SuffixRule
from registry.template import Category, Item, State, Template

BASE: Final = "/api/v1/templates"
PAGE_MOST: Final = 100
"""Templates of one page: some 30 KB each when they are rich."""
_CATEGORY: Final = [f"category.{f.name}" for f in fields(Category)]
_FIELDS: Final = {"items": {f.name for f in fields(Item)}, "suffix": {f.name for f in fields(Segment)}}


class _ChangeIn(msgspec.Struct, forbid_unknown_fields=True):
    zh: str | None = None
    en: str | None = None
    description: str | None = None
    carrier: int | None = None
    items: tuple[Item, ...] | None = None
    suffix: tuple[Segment, ...] | None = None


class _DraftIn(msgspec.Struct, forbid_unknown_fields=True):
    prefix: str
    version: str
    zh: str
    category: Category
    items: tuple[Item, ...]
    carrier: int = 2
    en: str = ""
    description: str = ""
    suffix: tuple[Segment, ...] = ()


class _NameIn(msgspec.Struct, forbid_unknown_fields=True):
    version: str
    prefix: str = ""


def shown(template: Template) -> dict[str, Any]:
    """A template as this face tells of it."""
    return {
        "prefix": template.prefix,
        "version": template.version,
        "handle": template.handle,
        "state": template.state.en,
        "revision": template.revision,
        "origin": template.origin,
        "updated": moment(template.updated),
        "zh": template.zh,
        "en": template.en,
        "description": template.description,
        "category": msgspec.to_builtins(template.category),
        "carrier": template.carrier,
        "suffix": msgspec.to_builtins(template.suffix.segments),
        "items": [drafting.said(item) for item in template.items],
    }


def _checked(refusal: Refused | None, status: int = 400) -> None:
    if refusal is not None:
        raise OwnError(status, refusal.field, refusal.zh, refusal.en)


async def _read(request: web.Request, kind: Any) -> Any:
    """The body as a `kind`; what it says of an attribute that is none of its fields is told, not passed over."""
    body = await read_body(request)
    given = decoded(body, kind)
    for name, known in _FIELDS.items():
        for n, entry in enumerate(msgspec.json.decode(body).get(name) or ()):
            for field in entry.keys() - known:
                raise OwnError(400, f"{name}[{n}].{field}", f"没有字段{field}", f"there is no field {field}")
    return given


async def _may(house: House, account: Account, prefix: str) -> bool:
    found = await house.lookup.prefix(prefix)
    return found is not None and account.may_in(Right.TEMPLATES, found.enterprise)


async def _outward(house: House, account: Account, templates: Sequence[Template]) -> list[Template]:
    """The templates as this account may see them: whoever registers under their prefix needs their rules, and whomever
    they were granted to shall see them.
    """
    found = {name: await house.lookup.prefix(name) for name in {each.prefix for each in templates}}
    whole = {name for name, prefix in found.items() if prefix and account.may_in(Right.REGISTER, prefix.enterprise)}
    others = [
        (prefix.number, each.number)
        for each in templates
        if (prefix := found[each.prefix]) and each.prefix not in whole
    ]
    granted = await house.lookup.shown_whole(account, others, house.sight.now())
    return [
        each if each.prefix in whole or each.number in granted else idhub_words.outward(drafting.outward(each))
        for each in templates
    ]


async def _seen(request: web.Request, account: Account) -> Template:
    """The template of the path; a draft is there for those only who may change it."""
    prefix, version = request.match_info["prefix"], request.match_info["version"]
    house = request.app[HOUSE]
    kept = None if "\0" in prefix + version else await house.lookup.named_template(prefix, version)
    if kept is None or (kept.state is State.DRAFT and not await _may(house, account, prefix)):
        raise OwnError(404, "version", f"模板{version}不存在", f"there is no template {version} under this prefix")
    return (await _outward(house, account, [kept]))[0]


async def _owned(request: web.Request) -> Template:
    account, _ = await owner_of(request, Right.TEMPLATES, request.match_info["prefix"])
    return await _seen(request, account)


async def _added(request: web.Request, template: Template) -> web.Response:
    house = request.app[HOUSE]
    _checked(drafting.flaw(template))
    async with house.announcer.catalogue_change(house.steward.catalogue_number):
        added = await in_name_of(request).add_template(template)
    if not added:
        zh, en = f"模板{template.version}已存在", f"template {template.version} exists already"
        raise OwnError(409, "version", zh, en)
    kept = await house.lookup.named_template(template.prefix, template.version)
    return encoded(shown(kept or template), 201)


async def _replaced(request: web.Request, template: Template) -> web.Response:
    house = request.app[HOUSE]
    async with house.announcer.catalogue_change(house.steward.catalogue_number):
        replaced = await in_name_of(request).replace_template(template)
    if not replaced:
        raise UnavailableError("the template changed meanwhile")
    return encoded(shown(await house.lookup.named_template(template.prefix, template.version) or template))


@explained
async def page(request: web.Request) -> web.Response:
    """GET /api/v1/templates?prefix=&after=&size=: by prefix and version, those of a page after `prefix/version`."""
    account = await signed_in(request)
    size = min(whole_number(request, "size", PAGE_MOST), PAGE_MOST)
    given, after = request.query.get("prefix"), request.query.get("after", "")
    if "\0" in after + (given or ""):
        raise OwnError(400, "after", "不能含有U+0000", "must not hold U+0000")
    before, _, version = after.partition("/")
    found = await request.app[HOUSE].lookup.templates_page(given, account, (before, version), size)
    last = f"{found[-1].prefix}/{found[-1].version}" if len(found) == size else None
    told = await _outward(request.app[HOUSE], account, found)
    return encoded({"templates": [shown(each) for each in told], "next": last})


@explained
async def get(request: web.Request) -> web.Response:
    """GET /api/v1/templates/{prefix}/{version}."""
    return encoded(shown(await _seen(request, await signed_in(request))))


@explained
async def post(request: web.Request) -> web.Response:
    """POST /api/v1/templates: a new draft."""
    given = await _read(request, _DraftIn)
    await owner_of(request, Right.TEMPLATES, given.prefix)
    check_industry(astuple(given.category), _CATEGORY)
    made = Template(
        prefix=given.prefix,
        version=given.version,
        zh=given.zh,
        en=given.en,
        description=given.description,
        category=given.category,
        carrier=given.carrier,
        items=_ordered(given.items),
        suffix=SuffixRule(given.suffix),
        state=State.DRAFT,
    )
    return await _added(request, made)


def _ordered(items: tuple[Item, ...]) -> tuple[Item, ...]:
    return tuple(sorted(items, key=lambda item: item.index))


@explained
async def put(request: web.Request) -> web.Response:
    """PUT /api/v1/templates/{prefix}/{version}: what is left out stays; `items`, if given, are all of them."""
    kept = await _owned(request)
    given = await _read(request, _ChangeIn)
    said = {name: value for name in _ChangeIn.__struct_fields__ if (value := getattr(given, name)) is not None}
    if "items" in said:
        said["items"] = _ordered(said["items"])
    if "suffix" in said:
        said["suffix"] = SuffixRule(said["suffix"])
    house, wanted = request.app[HOUSE], replace(kept, **said)
    line = await house.lookup.line(kept)
    earlier = [each for each in line if each.revision < kept.revision]
    _checked(drafting.changed(kept, wanted, earlier[-1] if earlier else None))
    return await _replaced(request, wanted)


@explained
async def delete(request: web.Request) -> web.Response:
    """DELETE /api/v1/templates/{prefix}/{version}: one no identifier was ever made with."""
    kept = await _owned(request)
    _checked(drafting.removable(kept), 409)
    house = request.app[HOUSE]
    async with house.announcer.catalogue_change(house.steward.catalogue_number):
        removed = await in_name_of(request).remove_template(kept.number)
    if not removed:
        zh = f"模板{kept.version}已被标识使用，不能删除"
        raise OwnError(409, "version", zh, f"identifiers were made with template {kept.version}: it stays")
    return web.Response(status=204)


class _UpkeepIn(msgspec.Struct, forbid_unknown_fields=True):
    indexes: list[int] | None = None
    date: str | None = None


@explained
async def keep_up(request: web.Request) -> web.Response:
    """POST /api/v1/templates/{prefix}/{version}/upkeep {"indexes", "date"}: when these (all) were kept up."""
    kept, house = await _owned(request), request.app[HOUSE]
    given = await _read(request, _UpkeepIn)
    today = clock.utc().astimezone(house.config.zone).date().isoformat()
    day = given.date if given.date is not None else today
    if not is_date(day) or day > today:
        zh, en = "应为不晚于今天、写作yyyy-MM-dd的日期", "must be a date written yyyy-MM-dd, not after today"
        raise OwnError(400, "date", f"date{zh}", f"date {en}")
    wanted = set(given.indexes) if given.indexes is not None else kept.by_index.keys()
    for index in sorted(wanted - kept.by_index.keys()):
        raise OwnError(400, "indexes", f"索引{index}在模板中不存在", f"index {index} does not exist in the template")
    items = tuple(replace(item, upkept=day) if item.index in wanted else item for item in kept.items)
    return await _replaced(request, replace(kept, items=items))


_ACTS: Final = {"publish": State.PUBLISHED, "withdraw": State.WITHDRAWN}


@explained
async def move(request: web.Request) -> web.Response:
    """POST /api/v1/templates/{prefix}/{version}/publish or /withdraw."""
    moved = drafting.moved(await _owned(request), _ACTS[request.match_info["act"]])
    if isinstance(moved, Refused):
        raise OwnError(409, moved.field, moved.zh, moved.en)
    return await _replaced(request, moved)


@explained
async def versions(request: web.Request) -> web.Response:
    """GET /api/v1/templates/{prefix}/{version}/versions: the line it stands in, oldest first."""
    account = await signed_in(request)
    house, kept = request.app[HOUSE], await _seen(request, account)
    drafts = await _may(house, account, kept.prefix)
    line = [each for each in await house.lookup.line(kept) if drafts or each.state is not State.DRAFT]
    return encoded({"versions": [shown(each) for each in await _outward(house, account, line)]})


@explained
async def add_version(request: web.Request) -> web.Response:
    """POST /api/v1/templates/{prefix}/{version}/versions {"version"}: a draft that continues its line."""
    kept = await _owned(request)
    given = await _read(request, _NameIn)
    line = await request.app[HOUSE].lookup.line(kept)
    return await _added(request, drafting.next_version(line[-1], given.version))


@explained
async def copy(request: web.Request) -> web.Response:
    """POST /api/v1/templates/{prefix}/{version}/copies {"prefix", "version"}: a draft that says the same."""
    kept = await _seen(request, await signed_in(request))
    given = await _read(request, _NameIn)
    prefix = given.prefix or kept.prefix
    await owner_of(request, Right.TEMPLATES, prefix)
    return await _added(request, drafting.copied(kept, prefix, given.version))


def add_routes(app: web.Application) -> None:
    """The routes of this face."""
    one = BASE + "/{prefix}/{version}"
    app.router.add_get(BASE, page)
    app.router.add_post(BASE, post)
    app.router.add_get(one, get)
    app.router.add_put(one, put)
    app.router.add_delete(one, delete)
    app.router.add_post(one + "/upkeep", keep_up)
    app.router.add_post(one + f"/{{act:{'|'.join(_ACTS)}}}", move)
    app.router.add_get(one + "/versions", versions)
    app.router.add_post(one + "/versions", add_version)
    app.router.add_post(one + "/copies", copy)
