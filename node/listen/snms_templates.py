"""The SNMS OpenAPI v3/v5: templates. Incremental PUT, items that are disabled and never deleted. Rules first, pure."""

from dataclasses import replace
from typing import Any, Final

import msgspec
from aiohttp import web

from node.listen import replies, snms_words
from node.listen.bodies import body as read_body
from node.listen.http import HOUSE, in_name_of
from node.listen.snms_api import BASES, Answer, no_permission, refused, signed, success
from node.listen.snms_words import SnmsError
from proto.errors import ProtoError
from registry.account import Account
from registry.application import INDUSTRY
from registry.drafting import CODES, NAME_CHARACTERS, VERSION_CHARACTERS, WORD
from registry.errors import UnavailableError
from registry.gbt4754 import check_industry
from registry.rights import Right
from registry.template import (
    ACCESSES,
    ITEM_INDEX_FIRST,
    ITEMS_MOST,
    LENGTH_DEFAULT,
    LENGTH_MOST,
    Access,
    Category,
    Item,
    Template,
)


class MetadataIn(msgspec.Struct, rename="camel"):
    """What an attribute's text must be."""

    type: str = "string"
    min_length: int | str | None = None
    max_length: int | str | None = None


class ItemIn(msgspec.Struct, rename="camel"):
    """One attribute. `class` is ours: who may see it (public, partners, internal); public when left out."""

    name: str | None = None
    id_type: str | None = None
    id_index: int | str | None = None
    required: bool | None = None
    state: int | str | None = None
    metadata: MetadataIn | list[MetadataIn] | None = None
    access: str | None = msgspec.field(default=None, name="class")


class TemplateIn(msgspec.Struct, rename="camel"):
    """The body of POST, PUT and DELETE."""

    prefix: str | None = None
    version: str | None = None
    name: str | None = None
    description: str | None = None
    industry_category: str | None = None
    industry_specific: str | None = None
    industry_trade: str | None = None
    industry_subclass: str | None = None
    type: int | str | None = None
    items: list[ItemIn] | None = None


_CODES: Final = dict(zip(("门类", "大类", "中类", "小类"), CODES, strict=True))


def _whole(given: int | str | None, name: str, low: int, high: int) -> int:
    try:
        number = int(given if given is not None else "")
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise SnmsError(f"参数{name}应为{low}到{high}之间的整数")
    return number


def _present(given: str | None, name: str) -> str:
    if not given:
        raise SnmsError(replies.SNMS_MISSING_TEXT.format(name))
    return given


def _category(given: TemplateIn) -> Category:
    codes = []
    for what, (part, pattern, rule, _) in _CODES.items():
        name = f"industry{part.capitalize()}"
        code = _present(getattr(given, f"industry_{part}"), name)
        if not pattern.fullmatch(code):
            raise SnmsError(f"参数{name}不正确：{what}代码{rule}（GB/T 4754）")
        codes.append(code)
    if not (codes[3].startswith(codes[2]) and codes[2].startswith(codes[1])):
        raise SnmsError("参数industrySubclass不正确：小类、中类、大类代码应逐级包含（GB/T 4754）")
    try:
        check_industry(codes, INDUSTRY)
    except ProtoError as error:
        raise SnmsError(f"参数{error.zh}") from None
    return Category(*codes)


def _metadata(given: ItemIn) -> MetadataIn:
    """What is said of the text; the OpenAPI's table calls it an array, its examples show an object."""
    if isinstance(given.metadata, list):
        return given.metadata[0] if given.metadata else MetadataIn()
    return given.metadata or MetadataIn()


def _lengths(given: ItemIn, least: int, most: int) -> tuple[int, int]:
    """The bounds given, `least` and `most` where they are left out."""
    metadata = _metadata(given)
    if metadata.type.lower() != "string":
        raise SnmsError(f"属性{given.id_type}的metadata.type只支持string")
    if metadata.min_length is not None:
        least = _whole(metadata.min_length, "minLength", 0, LENGTH_MOST)
    if metadata.max_length is not None:
        most = _whole(metadata.max_length, "maxLength", 1, LENGTH_MOST)
    if least > most:
        raise SnmsError(f"属性{given.id_type}的minLength不能大于maxLength")
    return least, most


def _access(given: ItemIn) -> Access:
    for access in ACCESSES:
        if given.access in {access, None}:
            return access
    raise SnmsError(f"属性{given.id_type}的class应为{'、'.join(ACCESSES)}之一")


def _item(given: ItemIn, index: int, least: int = 0, most: int = LENGTH_DEFAULT) -> Item:
    name = _present(given.id_type, "idType")
    if len(name) > NAME_CHARACTERS or not WORD.fullmatch(name):
        raise SnmsError(f"参数idType不正确：{name[:40]}应为英文字母开头的字母、数字、下划线，最长{NAME_CHARACTERS}")
    zh = _present(given.name, "name")
    if len(zh) > NAME_CHARACTERS or "\0" in zh:
        raise SnmsError(f"属性{name}的name不能超过{NAME_CHARACTERS}个字符")
    least, most = _lengths(given, least, most)
    enabled = given.state is None or bool(_whole(given.state, "state", 0, 1))
    return Item(
        index, name, zh, required=bool(given.required), enabled=enabled, least=least, most=most, access=_access(given)
    )


def _check_unique(items: list[Item]) -> None:
    if len(items) > ITEMS_MOST:
        raise SnmsError(f"一个模板最多{ITEMS_MOST}个属性")
    for label, taken in (("idIndex", "index"), ("idType", "name"), ("name", "zh")):
        seen: set[Any] = set()
        for item in items:
            key = getattr(item, taken)
            if key in seen:
                raise SnmsError(f"参数{label}重复：{key}")
            seen.add(key)


def _index(given: ItemIn, next_free: int) -> int:
    if given.id_index is None:
        return next_free
    return _whole(given.id_index, "idIndex", ITEM_INDEX_FIRST, 2**31 - 1)


def new_template(given: TemplateIn) -> Template:
    """The template a POST describes. Raises SnmsError."""
    prefix, version = _key(given)
    items: list[Item] = []
    for entry in given.items or []:
        next_free = max((item.index for item in items), default=ITEM_INDEX_FIRST - 1) + 1
        items.append(_item(entry, _index(entry, next_free)))
    if not items:
        raise SnmsError(replies.SNMS_MISSING_TEXT.format("items"))
    _check_unique(items)
    return Template(
        prefix=prefix,
        version=version,
        zh=given.name or version,
        en=given.name or version,
        description=given.description or "",
        category=_category(given),
        carrier=_whole(given.type, "type", 1, 2),
        items=tuple(sorted(items, key=lambda item: item.index)),
    )


def changed_template(kept: Template, given: TemplateIn) -> Template:
    """`kept` after an incremental PUT: matched by idIndex and idType, the rest is new; nothing is ever removed."""
    items = {item.index: item for item in kept.items}
    for entry in given.items or []:
        item = _merged(items, entry)
        items[item.index] = item
    _check_unique(list(items.values()))
    return replace(
        kept,
        zh=given.name or kept.zh,
        description=given.description if given.description is not None else kept.description,
        carrier=_whole(given.type, "type", 1, 2) if given.type is not None else kept.carrier,
        items=tuple(items[index] for index in sorted(items)),
    )


def _merged(items: dict[int, Item], given: ItemIn) -> Item:
    index = _index(given, max(items) + 1)
    old = items.get(index)
    if old is None or old.name != given.id_type:
        if old is not None:
            raise SnmsError(f"索引{index}已用于属性{old.name}，不能改为{given.id_type}")
        return _item(given, index)
    new = _item(_filled(given, old), index, old.least, old.most)
    return replace(
        old,
        zh=new.zh,
        required=new.required,
        enabled=new.enabled,
        least=new.least,
        most=new.most,
        access=new.access,
    )


def _filled(given: ItemIn, old: Item) -> ItemIn:
    """`given` with what it leaves out taken from `old`."""
    return ItemIn(
        name=given.name or old.zh,
        id_type=given.id_type,
        required=old.required if given.required is None else given.required,
        state=int(old.enabled) if given.state is None else given.state,
        metadata=given.metadata,
        access=given.access or old.access,
    )


def _key(given: TemplateIn) -> tuple[str, str]:
    prefix, version = _present(given.prefix, "prefix"), _present(given.version, "version")
    if len(version) > VERSION_CHARACTERS or not version.isprintable() or "/" in version:
        raise SnmsError(f"参数version应为最长{VERSION_CHARACTERS}个可打印字符，不含“/”")
    return prefix, version


def shown(template: Template, v5: bool) -> dict[str, Any]:
    """A template as GET shows it; v5 adds its identifier and the state of items."""
    items = []
    for item in template.items:
        entry: dict[str, Any] = {
            "name": item.zh,
            "idType": item.name,
            "idIndex": item.index,
            "required": item.required,
            "metadata": {"type": "string", "minLength": item.least, "maxLength": item.most},
            "class": item.access,
        }
        items.append(entry | {"state": int(item.enabled), "metadataId": item.index} if v5 else entry)
    category = template.category
    answer = {
        "prefix": template.prefix,
        "version": template.version,
        "description": template.description,
        "industryCategory": category.category,
        "industrySpecific": category.specific,
        "industryTrade": category.trade,
        "industrySubclass": category.subclass,
        "type": template.carrier,
        "items": items,
    }
    return {"id": template.number, "handle": template.handle, "name": template.zh} | answer if v5 else answer


async def _given(request: web.Request) -> TemplateIn:
    body = await read_body(request)
    try:
        given = msgspec.json.decode(body, type=TemplateIn) if body else TemplateIn()
    except snms_words.UNREADABLE as error:
        raise SnmsError(snms_words.sentence(error)) from None
    if len(given.items or []) > ITEMS_MOST:
        raise SnmsError(f"一个模板最多{ITEMS_MOST}个属性")
    for name, text, most in (("name", given.name, NAME_CHARACTERS), ("description", given.description, LENGTH_MOST)):
        if text and (len(text) > most or "\0" in text):
            raise SnmsError(f"参数{name}应为最长{most}个字符，不含U+0000")
    given.prefix = given.prefix or request.query.get("prefix")
    given.version = given.version or request.query.get("version")
    return given


async def _permitted(request: web.Request, account: Account, right: Right, name: str) -> Answer | None:
    prefix = await request.app[HOUSE].lookup.prefix(name)
    if prefix is None:
        return refused(f"前缀{name}不属于本节点")
    if not account.may_in(right, prefix.enterprise):
        return no_permission()
    return None


async def _kept(request: web.Request, account: Account, right: Right, prefix: str, version: str) -> Template | Answer:
    """The template, if there is one and this account has that right there; else what it is told."""
    if problem := await _permitted(request, account, right, prefix):
        return problem
    template = await request.app[HOUSE].lookup.named_template(prefix, version)
    return template or refused(f"模板{version}不存在")


async def _get(request: web.Request, account: Account) -> Answer:
    prefix, version = _key(TemplateIn(prefix=request.query.get("prefix"), version=request.query.get("version")))
    kept = await _kept(request, account, Right.READ_RECORDS, prefix, version)
    if not isinstance(kept, Template):
        return kept
    v5 = "/v5/" in request.path
    if v5 and (other := next((item for item in kept.items if item.kind != "text"), None)):
        return refused(
            f"模板{version}的属性{other.name}不是字符串（{other.kind}），本接口不能显示；"
            f"请用GET /api/v1/templates/{prefix}/{version}"
        )
    return success(shown(kept, v5))


async def _post(request: web.Request, account: Account) -> Answer:
    template = new_template(await _given(request))
    if problem := await _permitted(request, account, Right.TEMPLATES, template.prefix):
        return problem
    house = request.app[HOUSE]
    async with house.announcer.catalogue_change(house.steward.catalogue_number):
        added = await in_name_of(request).add_template(template)
    return success(True) if added else refused(f"模板{template.version}已存在")


async def _put(request: web.Request, account: Account) -> Answer:
    given = await _given(request)
    kept = await _kept(request, account, Right.TEMPLATES, *_key(given))
    if not isinstance(kept, Template):
        return kept
    house = request.app[HOUSE]
    changed = changed_template(kept, given)
    async with house.announcer.catalogue_change(house.steward.catalogue_number):
        replaced = await in_name_of(request).replace_template(changed)
    if not replaced:
        raise UnavailableError("the template changed meanwhile")
    return success(True)


async def _delete(request: web.Request, account: Account) -> Answer:
    prefix, version = _key(await _given(request))
    kept = await _kept(request, account, Right.TEMPLATES, prefix, version)
    if not isinstance(kept, Template):
        return kept
    house = request.app[HOUSE]
    async with house.announcer.catalogue_change(house.steward.catalogue_number):
        removed = await in_name_of(request).remove_template(kept.number)
    return success(True) if removed else refused(f"模板{version}已被标识使用，不能删除")


def add_routes(app: web.Application) -> None:
    """The routes of this face."""
    for base in BASES:
        for level in ("v3", "v5"):
            path = f"{base}/snms/api/{level}/template"
            app.router.add_get(path, signed(_get, Right.READ_RECORDS))
            app.router.add_post(path, signed(_post, Right.TEMPLATES))
            app.router.add_delete(path, signed(_delete, Right.TEMPLATES))
        app.router.add_put(f"{base}/snms/api/v5/template", signed(_put, Right.TEMPLATES))
