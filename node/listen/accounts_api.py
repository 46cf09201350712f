"""The own API's calls about accounts and tokens: who is managed by whom stands in registry/account.py and rights.py.

What is drawn here (passwords, secrets) is told once and kept nowhere as it is.
"""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import structlog
from aiohttp import web

from node.listen.bodies import body as read_body
from node.listen.http import HOUSE, encoded, in_name_of, peer
from node.listen.own_door import OwnError, decoded, explained, signed_in, whole_number
from node.listen.snms_api import bearer
from registry import totp
from registry.account import (
    ACCOUNTS_MOST,
    OVERLAP_MOST,
    OVERLAP_SECONDS,
    Account,
    application_prefix,
    is_username,
    token_digest,
)
from registry.challenge import key_octets
from registry.password import problem
from registry.rights import ADMINISTRATORS, OF_ENTERPRISES, Kind, Right, Role

PAGE_MOST: Final = 200
"""Accounts of one page."""
ACCOUNTS: Final = "/api/v1/accounts"
THIS: Final = "this"
"""Stands for the user name of who asks."""

Work = Callable[[web.Request, Account, Account], Awaitable[web.StreamResponse]]

log = structlog.get_logger("accounts")


def _forbidden(role: Role, field: str = "username") -> OwnError:
    if role in ADMINISTRATORS:
        zh, en = (
            "三类管理员的账号只在服务器上用idnode user管理",
            "administrators are made and reset at the server's shell",
        )
        return OwnError(403, field, zh, en)
    return OwnError(403, field, "没有操作权限", "this account has no right to that account or role")


async def _meant(request: web.Request, asker: Account) -> Account | None:
    """The account the path names."""
    username = request.match_info["username"]
    if username in {THIS, asker.username}:
        return asker
    if not username.isprintable():
        raise OwnError(400, "username", "用户名含有不允许的字符", "username holds a character that is not allowed")
    return await request.app[HOUSE].steward.account(username)


def managed(work: Work, right: Right | None = None, *, oneself: bool = False) -> Any:
    """Hands who asks, and whom it is about, to `work`, if the one manages the other, or has that `right` over its
    enterprise: over accounts of the node, who manages all of them. Nobody manages itself; what anybody may do for
    itself says `oneself`.
    """

    @explained
    async def judged(request: web.Request) -> web.StreamResponse:
        asker = await signed_in(request)
        found = await _meant(request, asker)
        if found is asker:
            if not oneself:
                raise OwnError(403, "username", "不能管理自己的账号", "nobody manages its own account")
            return await work(request, asker, asker)
        enterprise = found.enterprise if found else None
        role = found.role if found else Role.ENTERPRISE_USER
        reaches = role in OF_ENTERPRISES or asker.may(Right.ACCOUNTS)
        if not asker.may_manage(role, enterprise) and not (right and reaches and asker.may_in(right, enterprise)):
            raise _forbidden(role)
        if found is None:
            raise OwnError(404, "username", "没有这个账号", "there is no such account")
        return await work(request, asker, found)

    return judged


@explained
async def page(request: web.Request) -> web.Response:
    """GET /api/v1/accounts?after=&size=: the accounts one manages, by user name."""
    asker = await signed_in(request)
    if not asker.may(Right.MEMBERS):
        raise OwnError(403, None, "没有操作权限", "this account manages no others")
    size = whole_number(request, "size", 50)
    after = request.query.get("after", "")
    if "\0" in after:
        raise OwnError(400, "after", "after含有不允许的字符", "after holds a character that is not allowed")
    own = asker.enterprise if asker.role in OF_ENTERPRISES else None
    if own is None and asker.role in OF_ENTERPRISES:
        return encoded({"accounts": []})
    steward = request.app[HOUSE].steward
    found = await steward.account_page(own, after, min(size, PAGE_MOST), firms=not asker.may(Right.ACCOUNTS))
    return encoded({"accounts": found})


class _New(msgspec.Struct):
    username: str
    role: Role
    kind: Kind = "person"
    prefix: str | None = None


async def _enterprise(request: web.Request, asker: Account, given: _New) -> int | None:
    """The enterprise a new account shall belong to: of the prefix named, or the asker's own."""
    named = application_prefix(given.username) or given.prefix
    if named is None:
        return asker.enterprise
    if given.prefix not in {None, named}:
        raise OwnError(400, "prefix", f"应用标识以{named}开头", f"that application identity bears {named}")
    prefix = await request.app[HOUSE].lookup.prefix(named, anywhere=True) if "\0" not in named else None
    if prefix is None or prefix.enterprise is None or not asker.may_manage(given.role, prefix.enterprise):
        raise OwnError(400, "prefix", f"前缀{named}不属于可管理的企业", f"prefix {named} is no enterprise's you manage")
    return prefix.enterprise


@explained
async def create(request: web.Request) -> web.Response:
    """POST /api/v1/accounts {"username", "role", "kind"?, "prefix"?}: a new account, and what proves it, told once."""
    asker = await signed_in(request)
    if not asker.may(Right.MEMBERS):
        raise OwnError(403, None, "没有操作权限", "this account manages no others")
    given: _New = decoded(await read_body(request), _New)
    of_firm = given.role in OF_ENTERPRISES
    application = application_prefix(given.username) is not None
    if not is_username(given.username) or (application and (given.kind != "program" or not of_firm)):
        raise OwnError(
            400,
            "username",
            "用户名应为1到50个字符，不含空格和/%?#；88.x.y/App_名称是企业的应用标识，只用于程序",
            "username has 1 to 50 characters, no spaces and none of /%?#; 88.x.y/App_name is for programs of firms",
        )
    enterprise = await _enterprise(request, asker, given) if of_firm else None
    if of_firm and enterprise is None:
        raise OwnError(400, "prefix", "企业账号须用prefix指明企业", "name the enterprise of that account by its prefix")
    if not of_firm and given.prefix is not None:
        raise OwnError(400, "prefix", "节点账号不属于企业", "an account of the node belongs to no enterprise")
    if not asker.may_manage(given.role, enterprise):
        raise _forbidden(given.role, "role")
    account = Account(0, given.username, given.kind, given.role, enterprise)
    word, proof, told = await _drawn(request, account)
    if not await in_name_of(request).add_account(account, **proof):
        raise OwnError(
            409,
            "username",
            f"用户名已被使用，或企业已有{ACCOUNTS_MOST}个账号",
            f"that user name is taken, or the enterprise has {ACCOUNTS_MOST} accounts",
        )
    log.info("account_made", by=asker.username, username=account.username, kind=account.kind, role=account.role)
    return encoded({"username": account.username, "kind": account.kind, "role": account.role, word: told})


async def _drawn(request: web.Request, account: Account) -> tuple[str, dict[str, Any], str]:
    """What a new proof is called, what is kept of it, and what is told."""
    keeper = request.app[HOUSE].doorkeeper
    if account.kind == "program":
        told = secrets.token_hex(20)
        return "secret", {"secret": keeper.sealed(account.username, told)}, told
    told = secrets.token_urlsafe(12)
    return "password", {"password": await keeper.hashed(told)}, told


class _Change(msgspec.Struct):
    role: Role | None = None
    enabled: bool | None = None


async def _put(request: web.Request, asker: Account, found: Account) -> web.Response:
    """PUT /api/v1/accounts/{username} {"role"?, "enabled"?}: another role, shut, open; its tokens are revoked."""
    given: _Change = decoded(await read_body(request), _Change)
    if given.role is not None:
        if found.role in ADMINISTRATORS:
            raise _forbidden(found.role)
        if (given.role in OF_ENTERPRISES) != (found.role in OF_ENTERPRISES):
            raise OwnError(
                400, "role", "节点账号与企业账号不能互换", "accounts of the node and of enterprises do not change sides"
            )
        if not asker.may_manage(given.role, found.enterprise):
            raise _forbidden(given.role, "role")
    if given.role is None and given.enabled is None:
        raise OwnError(400, None, "请求应含role或enabled", "name a role, or whether it is enabled")
    if not await in_name_of(request).change_account(found, given.role, given.enabled):
        zh, en = (
            "该账号由节点管理员停用，只能由节点管理员恢复",
            "the node has shut that account: it opens it again",
        )
        raise OwnError(403, "enabled", zh, en)
    log.info("account_changed", by=asker.username, username=found.username, role=given.role, enabled=given.enabled)
    return web.Response(status=204)


async def _reset(request: web.Request, asker: Account, found: Account) -> web.Response:
    """POST /api/v1/accounts/{username}/password: draws a person's password anew; its tokens are revoked."""
    if found.kind != "person":
        raise OwnError(400, "username", "程序没有密码，请更换密钥", "a program has no password; draw it a new secret")
    _, proof, told = await _drawn(request, found)
    await in_name_of(request).set_password(found, **proof, due=True)
    log.info("password_drawn", by=asker.username, username=found.username)
    return encoded({"username": found.username, "password": told})


class _Rotation(msgspec.Struct):
    overlap: int = OVERLAP_SECONDS


async def _rotate(request: web.Request, asker: Account, found: Account) -> web.Response:
    """POST /api/v1/accounts/{username}/secret {"overlap"?: seconds}: draws a program's secret anew; the one before
    stays good for that long, the one before that ends.
    """
    if found.kind != "program":
        raise OwnError(400, "username", "只有程序有密钥", "only programs have secrets")
    body = await read_body(request)
    overlap = decoded(body, _Rotation).overlap if body else OVERLAP_SECONDS
    if not 0 <= overlap <= OVERLAP_MOST:
        raise OwnError(400, "overlap", f"overlap应为0到{OVERLAP_MOST}秒", f"overlap is 0 to {OVERLAP_MOST} seconds")
    _, proof, told = await _drawn(request, found)
    until = await in_name_of(request).rotate_secret(found, **proof, overlap=overlap)
    log.info("secret_drawn", by=asker.username, username=found.username, overlap=overlap)
    return encoded({"username": found.username, "secret": told, "olderSecretUntil": until})


async def _person(request: web.Request) -> Account:
    """Who asks, whatever is due."""
    asker = await request.app[HOUSE].doorkeeper.account_due(bearer(request)) or await signed_in(request)
    if asker.kind != "person":
        raise OwnError(400, "username", "程序只有密钥", "programs have secrets only")
    return asker


class _Key(msgspec.Struct):
    public_key: str = msgspec.field(name="publicKey")


async def _set_key(request: web.Request, asker: Account, found: Account) -> web.Response:
    """PUT /api/v1/accounts/{username}/key {"publicKey": PEM}: what a program may sign in with beside its secret."""
    if found.kind != "program":
        raise OwnError(400, "username", "只有程序用公钥登录", "only programs sign in with a key")
    key = key_octets(decoded(await read_body(request), _Key).public_key)
    if key is None:
        raise OwnError(
            400,
            "publicKey",
            "publicKey应为2048到8192位RSA公钥的PEM",
            "publicKey is PEM of an RSA key of 2048 to 8192 bits",
        )
    await in_name_of(request).set_key(found, key)
    log.info("key_set", by=asker.username, username=found.username)
    return web.Response(status=204)


async def _remove_key(request: web.Request, asker: Account, found: Account) -> web.Response:
    """DELETE /api/v1/accounts/{username}/key: it signs in with its secret alone from now on."""
    await in_name_of(request).set_key(found, None)
    log.info("key_removed", by=asker.username, username=found.username)
    return web.Response(status=204)


class _Password(msgspec.Struct):
    password: str
    new: str


@explained
async def change_password(request: web.Request) -> web.Response:
    """PUT /api/v1/accounts/this/password {"password", "new"}: a person's own; its other tokens are revoked."""
    keeper, token = request.app[HOUSE].doorkeeper, bearer(request)
    asker = await _person(request)
    given: _Password = decoded(await read_body(request), _Password)
    wrong = problem(asker.username, given.new)
    if wrong is None and given.new == given.password:
        wrong = ("新密码不能与原密码相同", "the new password must differ from the old one")
    if wrong is not None:
        raise OwnError(400, "new", *wrong)
    if not await keeper.change_password(asker, given.password, given.new, peer(request), token):
        raise OwnError(400, "password", "原密码错误", "the old password is wrong")
    log.info("password_changed", username=asker.username)
    return web.Response(status=204)


class _Secret(msgspec.Struct):
    password: str


@explained
async def offer_second_factor(request: web.Request) -> web.Response:
    """POST /api/v1/accounts/this/second-factor {"password"}: a key for an authenticator, told once.

    The password is what one signs in with, the present code behind it if there is one already.
    """
    asker = await _person(request)
    given: _Secret = decoded(await read_body(request), _Secret)
    house = request.app[HOUSE]
    key = await house.doorkeeper.offer_second_factor(asker, given.password, peer(request))
    if key is None:
        raise OwnError(400, "password", "密码错误", "the password is wrong")
    issuer = f"idnode {house.config.prefix}"
    return encoded({"secret": totp.base32(key), "uri": totp.uri(issuer, asker.username, key)})


class _Code(msgspec.Struct):
    code: str


@explained
async def confirm_second_factor(request: web.Request) -> web.Response:
    """PUT /api/v1/accounts/this/second-factor {"code"}: from now on the password is followed by such a code."""
    asker = await _person(request)
    given: _Code = decoded(await read_body(request), _Code)
    if not await request.app[HOUSE].doorkeeper.confirm_second_factor(asker, given.code, bearer(request), peer(request)):
        raise OwnError(400, "code", "动态口令错误，或尚未申请", "the code is wrong, or no key was asked for")
    log.info("second_factor_enrolled", username=asker.username)
    return web.Response(status=204)


async def _remove_second_factor(request: web.Request, asker: Account, found: Account) -> web.Response:
    """DELETE /api/v1/accounts/{username}/second-factor: for who lost its telephone; its tokens are revoked."""
    if not await in_name_of(request).remove_totp(found):
        raise OwnError(404, "username", "该账号没有动态口令", "that account has no second factor")
    log.info("second_factor_removed", by=asker.username, username=found.username)
    return web.Response(status=204)


async def _tokens(request: web.Request, asker: Account, found: Account) -> web.Response:
    """GET /api/v1/accounts/{username}/tokens: live tokens, newest first; `this` marks the one it is asked with."""
    mine = token_digest(bearer(request)).hex()
    listed = await request.app[HOUSE].steward.tokens(found)
    return encoded({"tokens": [each | {"this": each["id"] == mine} for each in listed]})


async def _revoke(request: web.Request, asker: Account, found: Account) -> web.Response:
    """DELETE /api/v1/accounts/{username}/tokens/{id}: makes one token worthless."""
    if not await in_name_of(request).revoke_token_of(found, bytes.fromhex(request.match_info["id"])):
        raise OwnError(404, "id", "没有这个令牌", "there is no such token")
    return web.Response(status=204)


async def _revoke_all(request: web.Request, asker: Account, found: Account) -> web.Response:
    """DELETE /api/v1/accounts/{username}/tokens: all tokens of an account."""
    return encoded({"revoked": await in_name_of(request).revoke_tokens(found.username)})


def add_routes(app: web.Application) -> None:
    """The routes of these calls."""
    one = f"{ACCOUNTS}/{{username}}"
    tokens = f"{one}/tokens"
    app.router.add_get(ACCOUNTS, page)
    app.router.add_post(ACCOUNTS, create)
    app.router.add_put(f"{ACCOUNTS}/{THIS}/password", change_password)
    app.router.add_post(f"{ACCOUNTS}/{THIS}/second-factor", offer_second_factor)
    app.router.add_put(f"{ACCOUNTS}/{THIS}/second-factor", confirm_second_factor)
    app.router.add_put(one, managed(_put, Right.ACCOUNTS))
    app.router.add_delete(f"{one}/second-factor", managed(_remove_second_factor))
    app.router.add_post(f"{one}/password", managed(_reset))
    app.router.add_post(f"{one}/secret", managed(_rotate))
    app.router.add_put(f"{one}/key", managed(_set_key))
    app.router.add_delete(f"{one}/key", managed(_remove_key))
    app.router.add_get(tokens, managed(_tokens, Right.REVOKE_TOKENS, oneself=True))
    app.router.add_delete(tokens, managed(_revoke_all, Right.REVOKE_TOKENS, oneself=True))
    app.router.add_delete(f"{tokens}/{{id:[0-9a-f]{{64}}}}", managed(_revoke, Right.REVOKE_TOKENS, oneself=True))
