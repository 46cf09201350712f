"""Grants on the node's own API: /api/v1/groups…, /api/v1/group-imports/…, /api/v1/grants…. Who sees what is
registry/sight.py's to say.
"""

import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aiohttp import web

from node.listen.bodies import body as read_body
from node.listen.handle_api import asked_for, raw_path
from node.listen.http import HOUSE, encoded, in_name_of
from node.listen.own_door import OwnError, decoded, explained, owner_of, signed_in, whole_number
from proto.identifier import Identifier
from registry.account import USERNAME_CHARACTERS, Account
from registry.postgres.grants import Given
from registry.prefix import RegisteredPrefix
from registry.rights import Right
from registry.sight import GROUP_PREFIX
from registry.steward import GRANTS_MOST, GROUPS_MOST
from registry.template import Template

GROUPS: Final = "/api/v1/groups"
IMPORTS: Final = "/api/v1/group-imports"
GRANTS: Final = "/api/v1/grants"
MEMBERS_MOST: Final = 1000
"""Identities of one group: the programs and people of a large firm that look at one partner's data."""
PAGE_MOST: Final = 1000
"""Grants of one page."""
_GROUP_NAME: Final = re.compile(r"[\w.-]{1,64}")


class _GroupIn(msgspec.Struct, forbid_unknown_fields=True):
    prefix: str
    name: str


class _MembersIn(msgspec.Struct, forbid_unknown_fields=True):
    members: list[str]


class _GrantIn(msgspec.Struct, forbid_unknown_fields=True):
    to: str
    prefix: str = ""
    template: str = ""
    identifier: str = ""
    attributes: list[str] | None = None
    edit: bool = False
    until: datetime | None = None


def _own_enterprise(account: Account) -> int:
    """The enterprise whose grants an account sees to. Raises OwnError for those who have no right to any."""
    if account.enterprise is None or not account.may(Right.GRANTS):
        raise OwnError(403, None, "只有企业管理员可以授权", "only administrators of an enterprise may grant")
    return account.enterprise


async def _group(request: web.Request, spelling: str) -> tuple[int, int]:
    """(number, number of its enterprise) of the group `spelling` names. Raises OwnError or ProtoError."""
    named = Identifier.parse(spelling)
    found = None
    if named.suffix.startswith(GROUP_PREFIX):
        found = await request.app[HOUSE].steward.group(named.prefix_key, named.suffix.removeprefix(GROUP_PREFIX))
    if found is None:
        raise OwnError(404, "group", f"身份组{spelling}不存在", f"there is no identity group {spelling}")
    return found


async def _own_group(request: web.Request, base: str, tail: str = "") -> tuple[int, int]:
    enterprise = _own_enterprise(await signed_in(request))
    spelling = asked_for(raw_path(request).removeprefix(f"{base}/").removesuffix(tail))
    number, owner = await _group(request, spelling)
    if owner != enterprise:
        raise OwnError(403, "group", f"身份组{spelling}不属于本企业", f"{spelling} is another enterprise's")
    return number, enterprise


@explained
async def groups(request: web.Request) -> web.Response:
    """GET /api/v1/groups: one's own identity groups with their members, and those that were imported."""
    enterprise = _own_enterprise(await signed_in(request))
    found = await request.app[HOUSE].lookup.groups(enterprise)
    return encoded(
        {
            "groups": [
                {"group": f"{row['prefix']}/{GROUP_PREFIX}{row['name']}", "imported": row["imported"]}
                | ({} if row["imported"] else {"members": row["members"]})
                for row in found
            ]
        }
    )


@explained
async def add_group(request: web.Request) -> web.Response:
    """POST /api/v1/groups {"prefix", "name"}: a new group `<prefix>/Group_<name>` without members."""
    _own_enterprise(await signed_in(request))
    given = decoded(await read_body(request), _GroupIn)
    _, prefix = await owner_of(request, Right.GRANTS, given.prefix)
    if not _GROUP_NAME.fullmatch(given.name):
        zh, en = "name应为1到64个字母、数字、点、横线或下划线", "name must be 1 to 64 letters, digits, dots, - or _"
        raise OwnError(400, "name", zh, en)
    spelling = f"{prefix.name}/{GROUP_PREFIX}{given.name}"
    made = await in_name_of(request).add_group(prefix, given.name)
    if made is None:
        zh, en = f"一个企业最多{GROUPS_MOST}个身份组", f"an enterprise has at most {GROUPS_MOST} identity groups"
        raise OwnError(409, "name", zh, en)
    if not made:
        raise OwnError(409, "name", f"身份组{spelling}已存在", f"there is an identity group {spelling} already")
    return encoded({"group": spelling}, 201)


@explained
async def set_members(request: web.Request) -> web.Response:
    """PUT /api/v1/groups/{group}/members {"members": [user names]}: who is in it, and nobody else."""
    number, enterprise = await _own_group(request, GROUPS, "/members")
    members = decoded(await read_body(request), _MembersIn).members
    if len(members) > MEMBERS_MOST:
        raise OwnError(400, "members", f"最多{MEMBERS_MOST}个成员", f"at most {MEMBERS_MOST} members")
    if bad := [name for name in members if len(name) > USERNAME_CHARACTERS or not name.isprintable()]:
        raise _no_identity("members", bad[0][:USERNAME_CHARACTERS])
    house = request.app[HOUSE]
    async with house.announcer.catalogue_change(house.steward.catalogue_number):
        missing = await in_name_of(request).set_members(number, enterprise, members)
    if missing:
        raise _no_identity("members", missing[0])
    return encoded({"members": sorted(set(members))})


def _no_identity(field: str, name: str) -> OwnError:
    return OwnError(400, field, f"本企业没有身份{name}", f"this enterprise has no identity {name}")


@explained
async def remove_group(request: web.Request) -> web.Response:
    """DELETE /api/v1/groups/{group}: the group, and with it whatever was granted to it."""
    number, _ = await _own_group(request, GROUPS)
    house = request.app[HOUSE]
    async with house.announcer.catalogue_change(house.steward.catalogue_number):
        await in_name_of(request).remove_group(number)
    return web.Response(status=204)


@explained
async def import_group(request: web.Request) -> web.Response:
    """PUT /api/v1/group-imports/{group}: lets one's own enterprise grant to a group of another one."""
    enterprise = _own_enterprise(await signed_in(request))
    spelling = asked_for(raw_path(request).removeprefix(f"{IMPORTS}/"))
    number, owner = await _group(request, spelling)
    if owner == enterprise:
        raise OwnError(400, "group", "本企业的身份组不需要导入", "a group of one's own needs no importing")
    await in_name_of(request).import_group(number, enterprise)
    return encoded({"group": spelling})


@explained
async def drop_import(request: web.Request) -> web.Response:
    """DELETE /api/v1/group-imports/{group}: ends that, and what one's enterprise has granted to the group."""
    enterprise = _own_enterprise(await signed_in(request))
    number, _ = await _group(request, asked_for(raw_path(request).removeprefix(f"{IMPORTS}/")))
    house = request.app[HOUSE]
    async with house.announcer.catalogue_change(house.steward.catalogue_number):
        await in_name_of(request).drop_import(number, enterprise)
    return web.Response(status=204)


@explained
async def grants(request: web.Request) -> web.Response:
    """GET /api/v1/grants?below=&size=: what one's enterprise has granted, newest first."""
    enterprise = _own_enterprise(await signed_in(request))
    size = min(whole_number(request, "size", 100), PAGE_MOST)
    rows = await request.app[HOUSE].lookup.grants(enterprise, whole_number(request, "below", 2**63 - 1), size)
    return encoded({"grants": [_shown(row) for row in rows]})


def _shown(row: Any) -> dict[str, Any]:
    object_ = {"prefix": row["prefix"], "template": row["template"]}
    if row["suffix"] is not None:
        object_ = {"identifier": f"{row['prefix']}/{row['suffix']}"}
    return object_ | {
        "number": row["number"],
        "to": row["group"] or row["username"],
        "attributes": row["attributes"],
        "edit": row["edit"],
        "until": row["until"],
        "made": row["made"],
        "by": row["made_by"],
    }


@explained
async def add_grant(request: web.Request) -> web.Response:
    """POST /api/v1/grants {"prefix", "template"} or {"identifier"}, "to" a group or user name, "attributes" (names; all
    that are not internal without it), "edit" (includes seeing), "until" (RFC 3339; for good without it).

    An identifier that has grants of its own is seen by these alone; those of its template do not hold for it.
    """
    given = decoded(await read_body(request), _GrantIn)
    if bool(given.identifier) is bool(given.template):
        zh, en = "template与identifier应有且只有一个", "one of template and identifier must be given, and not both"
        raise OwnError(400, "template", zh, en)
    single = Identifier.parse(given.identifier) if given.identifier else None
    account, prefix = await owner_of(request, Right.GRANTS, single.prefix_key if single else given.prefix)
    until = _until(request, given.until)
    template = await (_of_identifier(request, single) if single else _of_class(request, prefix, given.template))
    _check_attributes(template, given.attributes)
    group, username = (None, given.to) if "/" not in given.to else ((await _group(request, given.to))[0], "")
    number = template.number if single is None else None
    suffix = single.suffix_key if single else None
    kept = Given(prefix.number, number, suffix, None, group, given.attributes, given.edit, until, account.number)
    made = await in_name_of(request).add_grant(prefix, kept, username)
    if made == "full":
        zh, en = (
            f"一个对象最多{GRANTS_MOST}条授权",
            f"at most {GRANTS_MOST} grants are given on one template or identifier",
        )
        raise OwnError(409, None, zh, en)
    if made == "unreachable":
        raise OwnError(
            400,
            "to",
            f"{given.to}不是本企业的身份或身份组，也不在已导入的身份组中",
            f"{given.to} is no identity or group of this enterprise, nor comes with a group it has imported",
        )
    return encoded({"number": made}, 201)


def _until(request: web.Request, given: datetime | None) -> datetime | None:
    if given is None:
        return None
    until = given if given.tzinfo else given.replace(tzinfo=UTC)
    if until.timestamp() <= request.app[HOUSE].sight.now():
        raise OwnError(400, "until", "until应在将来", "until must lie in the future")
    return until


async def _of_class(request: web.Request, prefix: RegisteredPrefix, version: str) -> Template:
    found = await request.app[HOUSE].lookup.named_template(prefix.name, version) if "\0" not in version else None
    if found is None:
        raise OwnError(404, "template", f"模板{version}不存在", f"there is no template {version} under this prefix")
    return found


async def _of_identifier(request: web.Request, identifier: Identifier) -> Template:
    lookup = request.app[HOUSE].lookup
    stored = (await lookup.look([identifier]))[0]
    template = (await lookup.record(stored))[1] if stored.live else None
    if template is None:
        zh, en = f"标识{identifier}不存在或没有模板", f"{identifier} does not exist, or has no template"
        raise OwnError(404, "identifier", zh, en)
    return template


def _check_attributes(template: Template, names: list[str] | None) -> None:
    items = {item.name: item for item in template.items}
    for name in names or ():
        if name not in items:
            zh, en = f"模板{template.version}没有属性{name}", f"template {template.version} has no attribute {name}"
            raise OwnError(400, "attributes", zh, en)
        if items[name].access == "internal":
            zh, en = f"属性{name}仅限内部使用，不能授权", f"attribute {name} is internal and cannot be granted"
            raise OwnError(400, "attributes", zh, en)
    if names == []:
        raise OwnError(400, "attributes", "attributes不能为空", "attributes must not be empty")


@explained
async def remove_grant(request: web.Request) -> web.Response:
    """DELETE /api/v1/grants/{number}: takes it back, at once."""
    enterprise = _own_enterprise(await signed_in(request))
    number, house = int(request.match_info["number"]), request.app[HOUSE]
    async with house.announcer.catalogue_change(house.steward.catalogue_number):
        removed = await in_name_of(request).remove_grant(number, enterprise)
    if not removed:
        raise OwnError(404, "number", f"没有编号为{number}的授权", f"there is no grant {number}")
    return web.Response(status=204)


def add_routes(app: web.Application) -> None:
    """The routes of this part of the face."""
    app.router.add_get(GROUPS, groups)
    app.router.add_post(GROUPS, add_group)
    app.router.add_put(GROUPS + "/{group:.+}/members", set_members)
    app.router.add_delete(GROUPS + "/{group:.+}", remove_group)
    app.router.add_put(IMPORTS + "/{group:.+}", import_group)
    app.router.add_delete(IMPORTS + "/{group:.+}", drop_import)
    app.router.add_get(GRANTS, grants)
    app.router.add_post(GRANTS, add_grant)
    app.router.add_delete(GRANTS + "/{number:[0-9]{1,18}}", remove_grant)
