"""The calls of IDHub on who else sees and edits what (数据权限): by class, by single identifier, and of templates; and
what is told to those.

They become grants as those of the node's own API are (grants_api.py); who sees what is registry/sight.py's to say.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Final

import msgspec
from aiohttp import web

from node.house import House
from node.listen import idhub_words as words
from node.listen.bodies import body as read_body
from node.listen.doip_api import USER_PREFIX, moment, signed
from node.listen.http import HOUSE, in_name_of
from node.listen.idhub_words import IdhubError, Number
from node.listen.meta_api import META, OPEN, Page, owned, replaced
from node.listen.replies import Idhub
from registry import drafting
from registry.account import ACCOUNTS_MOST, Account, application_prefix
from registry.granting import NOBODY, Grantee, Kind, Object, Wish, together
from registry.prefix import RegisteredPrefix
from registry.rights import Right
from registry.sight import GROUP_PREFIX, NO_NAMES
from registry.steward import GRANTS_MOST
from registry.template import ITEMS_MOST, Access, State, Template

SINGLE: Final = "/single-handle/authorization"
USERS_MOST: Final = 1000
"""Identities one call names: each is looked up."""
ASKED_MOST: Final = 10_000
"""What one call wishes, attribute by attribute and identity by identity: 100 attributes for each of 100 grants."""
KINDS: Final[dict[int, Kind]] = {1: "view", 2: "edit"}
"""`authType`."""
PUBLIC: Final = 1
"""`scope` and `readerScope`: everybody; 2 those who are named, or (batch-public) no longer everybody."""
ALL: Final = Wish(add=None)
NONE: Final = Wish(remove=None)

Asked = tuple[str, Kind, Wish]
"""What is wished for an identity or group, by its handle."""


# -- carrying it out


def _object(prefix: RegisteredPrefix, template: Template, suffix: str | None = None) -> Object:
    names = frozenset(item.name for item in template.items if item.access != "internal")
    return Object(prefix, template.number if suffix is None else None, suffix, names)


async def _regrant(
    request: web.Request, account: Account, on: Object, asked: Sequence[Asked], *, alone: bool = False
) -> None:
    """Grants what is asked and takes back what is, all or nothing. `alone`: grants of the template do not hold for this
    identifier any more, whoever is granted anything.
    """
    house = request.app[HOUSE]
    _check_bound("handleUsers", len(asked), ASKED_MOST)
    handles = await _grantees(house, {handle for handle, _, _ in asked})
    wishes = [(handles[handle], kind, wish) for handle, kind, wish in asked]
    wishes += [(NOBODY, "itself", ALL)] if alone else []
    if not wishes:
        return
    ends = any(wish.remove != NO_NAMES for _, _, wish in wishes)
    async with house.announcer.catalogue_change(house.steward.catalogue_number) if ends else nullcontext():
        outcome = await in_name_of(request).regrant(on, together(wishes), account.number)
    if outcome == "full":
        raise IdhubError(Idhub.DECLINED, f"一个对象最多{GRANTS_MOST}条授权")
    if outcome != "done":
        raise _no_application(next(handle for handle, to in handles.items() if to == outcome))


def _no_application(handle: str) -> IdhubError:
    zh = f"授权的标识用户{handle}不是应用身份、用户或身份组，或未经导入的身份组加入"
    return IdhubError(Idhub.NOT_AN_APPLICATION, zh)


async def _grantees(house: House, handles: set[str]) -> dict[str, Grantee]:
    """Whom handles name: `<prefix>/App_…`, `…/User_…` or `…/Group_…`. Raises IdhubError."""
    _check_bound("handleUsers", len(handles), USERS_MOST)
    return {handle: await _grantee(house, handle) for handle in sorted(handles)}


def _check_bound(name: str, count: int, most: int) -> None:
    if count > most:
        raise words.bound(name, f"{name}一次最多{most}项")


async def _grantee(house: House, handle: str) -> Grantee:
    named = words.identifier(handle, "handleUsers")
    if named.suffix.startswith(GROUP_PREFIX):
        group = await house.steward.group(named.prefix_key, named.suffix.removeprefix(GROUP_PREFIX))
        if group is None:
            raise _no_application(handle)
        return Grantee(None, group[0])
    username = named.suffix.removeprefix(USER_PREFIX) if named.suffix.startswith(USER_PREFIX) else str(named)
    account = await house.steward.account(username)
    prefix = await house.lookup.prefix(named.prefix_key)
    if account is None or prefix is None or prefix.enterprise is None or account.enterprise != prefix.enterprise:
        raise _no_application(handle)
    return Grantee(account.number, None)


# -- by class


class _UsersIn(msgspec.Struct, rename="camel"):
    scope: Number = None
    handle_users: list[str] | None = None
    handle_list: list[str] | None = None
    remove_handle_users: list[str] | None = None

    def asked(self, scope: int, kind: Kind, add: Wish, remove: Wish) -> list[Asked]:
        """What is wished for those it names; `handleList` is how a sample calls `handleUsers`."""
        added = () if scope == PUBLIC else (*(self.handle_users or ()), *(self.handle_list or ()))
        back = self.remove_handle_users or ()
        return [(each, kind, add) for each in added] + [(each, kind, remove) for each in back]


def _published(kept: Template) -> None:
    if kept.state is not State.PUBLISHED:
        raise IdhubError(Idhub.META_UNPUBLISHED, f"元数据{kept.handle}未发布")


def _some(kept: Template, given: str | list[str], field: str) -> frozenset[str]:
    """Attributes of a template that may be granted, by one name or several: of accessList the table has an array, the
    sample and the SDK one text. Raises IdhubError.
    """
    names = [given] if isinstance(given, str) else given
    if not names:
        raise words.bound(field, f"{field.rpartition('.')[2]}不能为空")
    _check_bound(field, len(names), ITEMS_MOST)
    items = {item.name: item for item in kept.items}
    for name in names:
        if name not in items:
            raise IdhubError(Idhub.ITEM_FOREIGN, f"实体{name[:50]}不属于该元数据")
        if items[name].access == "internal":
            raise IdhubError(Idhub.AUTH_TYPE, f"实体{name}仅限内部使用，不能公开或授权")
    return frozenset(names)


def _exposed(account: Account, prefix: RegisteredPrefix, kept: Template, accesses: dict[str, Access]) -> Template:
    """The template with other classes of access. Raises IdhubError."""
    wanted = replace(
        kept, items=tuple(replace(each, access=accesses.get(each.name, each.access)) for each in kept.items)
    )
    if wanted == kept:
        return kept
    if not account.may_in(Right.TEMPLATES, prefix.enterprise):
        raise IdhubError(Idhub.META_NO_RIGHT)
    if flaw := drafting.flaw(wanted):
        raise words.refused(flaw, Idhub.META_FAILED)
    return wanted


class _PublicIn(msgspec.Struct, rename="camel"):
    meta_handle: str | None = None
    scope: Number = None
    items: list[str] = []


async def _batch_public(request: web.Request, account: Account) -> Any:
    """POST …/classes-grant/item/batch-public: `scope` 1 lets everybody see values of these attributes, 2 no longer."""
    given: _PublicIn = words.decoded(await read_body(request), _PublicIn)
    prefix, kept = await owned(request.app[HOUSE], account, words.meta_key(given.meta_handle), Right.GRANTS)
    _published(kept)
    access = _access(words.whole(given.scope, "scope", 1, 2))
    wanted = _exposed(account, prefix, kept, dict.fromkeys(_some(kept, given.items, "items"), access))
    if wanted != kept:
        await replaced(request, wanted)


def _access(scope: int) -> Access:
    return "public" if scope == PUBLIC else "partners"


class _AccessIn(_UsersIn, rename="camel"):
    item: str | list[str] = []
    auth_type: Number = None


class _ClassIn(msgspec.Struct, rename="camel"):
    meta_handle: str | None = None
    access_list: list[_AccessIn] = []


async def _by_class(request: web.Request, account: Account) -> Any:
    """POST …/classes-grant/authorization: who sees or edits values of attributes, of all identifiers of a template."""
    given: _ClassIn = words.decoded(await read_body(request), _ClassIn)
    prefix, kept = await owned(request.app[HOUSE], account, words.meta_key(given.meta_handle), Right.GRANTS)
    _published(kept)
    if not given.access_list:
        raise words.bound("accessList", "accessList不能为空")
    _check_bound("accessList", len(given.access_list), 2 * ITEMS_MOST)
    asked: list[Asked] = []
    accesses: dict[str, Access] = {}
    for n, entry in enumerate(given.access_list):
        where = f"accessList[{n}]."
        kind = KINDS[words.whole(entry.auth_type, f"{where}authType", 1, 2)]
        names = _some(kept, entry.item, f"{where}item")
        scope = words.whole(entry.scope, f"{where}scope", 1, 2)
        if kind == "edit" and scope == PUBLIC:
            raise IdhubError(Idhub.AUTH_TYPE, f"实体{'、'.join(sorted(names))}授权类型与范围不匹配")
        asked += entry.asked(scope, kind, Wish(add=names), Wish(remove=names))
        accesses |= dict.fromkeys(names, _access(scope)) if kind == "view" else {}
    wanted = _exposed(account, prefix, kept, accesses)
    await _regrant(request, account, _object(prefix, kept), asked)
    if wanted != kept:
        await replaced(request, wanted)


# -- by single identifier


class _SingleIn(msgspec.Struct, rename="camel"):
    handle: str | None = None
    grant_type: Number = None
    reader_scope: Number = None
    handle_user_readers: list[str] | None = None
    handle_user_writers: list[str] | None = None
    del_handle_user_readers: list[str] | None = None
    del_handle_user_writers: list[str] | None = None

    @property
    def asked(self) -> list[Asked]:
        """What is wished for those it names."""
        named: tuple[tuple[list[str] | None, Kind, Wish], ...] = (
            (self.handle_user_readers, "view", ALL),
            (self.handle_user_writers, "edit", ALL),
            (self.del_handle_user_readers, "view", NONE),
            (self.del_handle_user_writers, "edit", NONE),
        )
        return [(each, kind, wish) for users, kind, wish in named for each in users or ()]


async def _single(request: web.Request, account: Account) -> Any:
    """POST …/single-handle/authorization: `grantType` 2 lets an identifier go by grants of its own, 1 by those of its
    template again.
    """
    given: _SingleIn = words.decoded(await read_body(request), _SingleIn)
    house, named = request.app[HOUSE], words.identifier(given.handle, "handle")
    prefix = await house.lookup.prefix(named.prefix_key)
    if prefix is None or not account.may_in(Right.GRANTS, prefix.enterprise):
        raise IdhubError(Idhub.FOREIGN)
    follows = words.whole(given.grant_type, "grantType", 1, 2) == 1
    stored = (await house.lookup.look([named]))[0]
    template = (await house.lookup.record(stored))[1] if stored.live else None
    if template is None:
        raise IdhubError(Idhub.ABSENT)
    if not follows:
        _check_readers(given.reader_scope, template)
        await _regrant(request, account, _object(prefix, template, named.suffix_key), given.asked, alone=True)
        return
    async with house.announcer.catalogue_change(house.steward.catalogue_number):
        ended = await in_name_of(request).remove_single_grants(prefix, named.suffix_key)
    if not ended:
        raise IdhubError(Idhub.CLASS_GRANT)


def _check_readers(scope: Number, template: Template) -> None:
    """What everybody sees, a template says for all its identifiers; one alone cannot be made public beyond that."""
    if scope in {None, ""}:
        raise IdhubError(Idhub.READER_SCOPE, "readerScope不能为空")
    withheld = [item.name for item in template.items if item.access == "partners"]
    if words.whole(scope, "readerScope", 1, 2) == PUBLIC and withheld:
        zh = f"单个标识不能单独公开：属性{'、'.join(withheld)}未公开，请按元数据公开（classes-grant/item/batch-public）"
        raise IdhubError(Idhub.DECLINED, zh)


# -- of templates


class _MetaGrantIn(_UsersIn, rename="camel"):
    meta_handle: str | None = None


async def _of_meta(request: web.Request, account: Account) -> Any:
    """POST /meta/grant/info (`/meta/grant-info` in the SDK): with `scope` 2 these see all of a published template, the
    rules of attributes that are not public included. What everybody sees of it (`scope` 1) needs no grant.
    """
    given: _MetaGrantIn = words.decoded(await read_body(request), _MetaGrantIn)
    prefix, kept = await owned(request.app[HOUSE], account, words.meta_key(given.meta_handle), Right.GRANTS)
    _published(kept)
    asked = given.asked(words.whole(given.scope, "scope", 1, 2), "itself", ALL, NONE)
    if kept.origin:
        await _check_within(request.app[HOUSE], prefix, [handle for handle, _, wish in asked if wish is ALL])
    await _regrant(request, account, _object(prefix, kept), asked)


async def _check_within(house: House, prefix: RegisteredPrefix, handles: Sequence[str]) -> None:
    """A copy is shown within its enterprise only: its rules were another's, who says who else sees them (IDHub)."""
    for name in {words.identifier(handle, "handleUsers").prefix_key for handle in handles}:
        found = await house.lookup.prefix(name)
        if found is None or found.enterprise != prefix.enterprise:
            raise IdhubError(
                Idhub.AUTH_TYPE, "副本元数据只能授权给本企业的身份或身份组，其他企业请向原元数据所有者申请"
            )


# -- to whom, and what they are told


async def _identities(request: web.Request, account: Account) -> Any:
    """GET …/handle-user-group/list: the application identities of one's enterprise, its groups and imported ones."""
    house, enterprise = request.app[HOUSE], account.enterprise
    if enterprise is None:
        raise IdhubError(Idhub.NO_RIGHT)
    accounts = await house.steward.account_page(enterprise, "", ACCOUNTS_MOST, firms=True)
    return [
        _identity(each["person"] or each["username"], each["username"], each["enterprise"])
        for each in accounts
        if each["enabled"] and application_prefix(each["username"])
    ] + [
        _identity(each["name"], f"{each['prefix']}/{GROUP_PREFIX}{each['name']}", each["enterprise"])
        for each in await house.lookup.groups(enterprise)
    ]


def _identity(name: str, handle: str, firm: str) -> dict[str, str]:
    return {"name": name, "userHandle": handle, "belongCompany": firm}


async def _messages(request: web.Request, account: Account) -> Any:
    """GET …/message/appMessage?page=&size=: what was granted to who asks, and taken back, newest first."""
    page, house = Page(request), request.app[HOUSE]
    count, found = await house.lookup.notices(account, page.skipped, page.size)
    return page.told(count, (words.notice(each) | {"createdTime": moment(house, each.made)} for each in found))


def add_routes(app: web.Application) -> None:
    """The routes of this part of the face; of two spellings one is the documents', one the SDK's."""
    app.router.add_get(OPEN + "/handle-user-group/list", signed(_identities, Right.GRANTS))
    app.router.add_post(OPEN + "/classes-grant/item/batch-public", signed(_batch_public, Right.GRANTS))
    app.router.add_post(OPEN + "/classes-grant/authorization", signed(_by_class, Right.GRANTS))
    for base in ("/api/v1", OPEN):
        app.router.add_post(base + SINGLE, signed(_single, Right.GRANTS))
    for path in ("/grant/info", "/grant-info"):
        app.router.add_post(META + path, signed(_of_meta, Right.GRANTS))
    app.router.add_get(OPEN + "/message/appMessage", signed(_messages))
