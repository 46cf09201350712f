"""`idnode user …`: accounts at the server's shell, where nobody's rights are asked: who is there runs the node."""

import argparse
import getpass
import secrets
import sys
import unicodedata
from pathlib import Path
from typing import Any, Final

from node.config import Config
from registry.account import (
    OVERLAP_MOST,
    OVERLAP_SECONDS,
    USERNAME_CHARACTERS,
    Account,
    Vault,
    application_prefix,
    hash_password,
    is_username,
)
from registry.challenge import key_octets
from registry.password import problem
from registry.rights import ADMINISTRATORS, OF_ENTERPRISES, Kind, Role
from registry.steward import Steward

PERSON_CHARACTERS: Final = 64
"""Longest name and staff number of who stands behind an account."""


class UserError(Exception):
    """What was asked of an account cannot be done; one sentence, Chinese and English."""


def _say(text: str) -> None:
    print(text, flush=True)


async def _add(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    """People get a password, programs an access and secret key; what is not given is drawn and shown once."""
    name, kind = arguments.username, _KINDS_OF_ACCOUNT[arguments.program]
    firm = application_prefix(name) or arguments.enterprise
    known = await steward.account(name)
    if known is None and (not is_username(name) or (application_prefix(name) and not arguments.program)):
        raise UserError(
            f"用户名应为1到{USERNAME_CHARACTERS}个字符，不含空格和/%?#；88.x.y/App_名称只用于--program。 "
            f"A user name has 1 to {USERNAME_CHARACTERS} characters, no spaces and none of /%?#; "
            "88.x.y/App_name goes with --program."
        )
    if known is not None and (arguments.enterprise or (known.kind == "program") != arguments.program):
        raise UserError(
            f"账号{name}已存在（{known.kind}，{known.role}）：重置时不能改变类型或所属企业。 "
            f"Account {name} exists ({known.kind}, {known.role}): a reset changes neither its kind nor its firm."
        )
    enterprise = known.enterprise if known else await _enterprise_number(steward, firm)
    if known is None and arguments.enterprise and enterprise != await _enterprise_number(steward, arguments.enterprise):
        raise UserError(f"应用标识属于前缀{firm}的企业。 That identity belongs to the firm of prefix {firm}.")
    role = _role(arguments, known, enterprise)
    person = _person(arguments, role, new=known is None)
    secret = _chosen_secret(arguments)
    drawn = secret is None
    secret = secret or secrets.token_hex(20)
    account = Account(0, name, kind, role, enterprise)
    if arguments.program:
        await steward.put_account(account, secret=Vault(config.key()).seal(name, secret), person=person)
    else:
        await steward.put_account(account, password=hash_password(secret), due=drawn, person=person)
    _say(f"{name}  {kind}  {account.role}" + (f"  {secret}" if drawn else ""))
    return 0


_KINDS_OF_ACCOUNT: Final[tuple[Kind, Kind]] = ("person", "program")


def _role(arguments: argparse.Namespace, known: Account | None, enterprise: int | None) -> Role:
    """The role asked for, or the one it has, or what its enterprise makes of it."""
    if arguments.role is None:
        role = Role.SYSTEM_ADMIN if enterprise is None else Role.ENTERPRISE_ADMIN
        return known.role if known else role
    role = Role(arguments.role)
    if (role in OF_ENTERPRISES) != (enterprise is not None):
        raise UserError(
            f"角色{role}{'需要' if role in OF_ENTERPRISES else '不能有'}--enterprise。 "
            f"Role {role} {'needs' if role in OF_ENTERPRISES else 'does not go with'} --enterprise."
        )
    return role


def _person(arguments: argparse.Namespace, role: Role, *, new: bool) -> str | None:
    """Who stands behind the account, written in one way. Raises UserError where that must be said."""
    person = " ".join(unicodedata.normalize("NFKC", arguments.person or "").split())
    if len(person) > PERSON_CHARACTERS:
        raise UserError(f"--person最长{PERSON_CHARACTERS}个字符。 --person has at most {PERSON_CHARACTERS} characters.")
    said = arguments.role is not None or (new and not arguments.program)
    if not person and said and role in ADMINISTRATORS:
        raise UserError(
            f"角色{role}须用--person写明本人（姓名与工号）：三类管理员不得由一人兼任。 "
            f"Role {role} needs --person, who stands behind it (name and staff number): "
            "nobody holds two of the three."
        )
    return person or None


def _chosen_secret(arguments: argparse.Namespace) -> str | None:
    if not arguments.ask_password:
        return None
    secret = getpass.getpass("密码 password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if wrong := problem(arguments.username, secret):
        raise UserError("{}。 {}.".format(*wrong))
    return secret


async def _enterprise_number(steward: Steward, wanted: str | None) -> int | None:
    if wanted is None:
        return None
    for row in await steward.enterprises():
        if wanted in {row["name"], row["prefix"]}:
            return int(row["number"])
    raise UserError(f"没有企业{wanted}。 There is no enterprise {wanted}.")


async def _list(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    for username, kind, role, enterprise, enabled, person in await steward.accounts():
        more = f"  {person}" * (person is not None) + "  停用 disabled" * (not enabled)
        _say(f"{username:<32} {kind:<8} {role:<16} {enterprise or '-'}{more}")
    return 0


async def _disable(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    if not await steward.disable_account(arguments.username):
        raise UserError(f"没有账号{arguments.username}。 There is no account {arguments.username}.")
    return 0


async def _known(steward: Steward, arguments: argparse.Namespace) -> Account:
    if (known := await steward.account(arguments.username)) is None:
        raise UserError(f"没有账号{arguments.username}。 There is no account {arguments.username}.")
    return known


async def _named(steward: Steward, name: str) -> bool:
    """Whether it is known who stands behind an account; of programs nobody asks."""
    return any(row[0] == name and (row[1] == "program" or row[-1]) for row in await steward.accounts())


async def _set_role(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    known = await _known(steward, arguments)
    role = _role(arguments, known, known.enterprise)
    if role in ADMINISTRATORS and not await _named(steward, known.username):
        raise UserError(
            f"角色{role}须写明本人：user add {known.username} --role {role} --person。 "
            f"Role {role} needs somebody to stand behind it: user add {known.username} --role {role} --person."
        )
    await steward.change_account(known, role, None)
    _say(f"{known.username}  {known.kind}  {role}")
    return 0


async def _rotate(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    known = await _known(steward, arguments)
    if known.kind != "program":
        raise UserError("只有程序有密钥；密码用user add重置。 Only programs have secrets; `user add` resets passwords.")
    overlap = arguments.overlap
    if not 0 <= overlap <= OVERLAP_MOST:
        raise UserError(f"--overlap应为0到{OVERLAP_MOST}秒。 --overlap is 0 to {OVERLAP_MOST} seconds.")
    secret = secrets.token_hex(20)
    until = await steward.rotate_secret(known, Vault(config.key()).seal(known.username, secret), overlap)
    older = f"  原密钥至 the one before until {until:%Y-%m-%d %H:%M:%S%z}" if until else ""
    _say(f"{known.username}  {secret}{older}")
    return 0


async def _key(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    known = await _known(steward, arguments)
    try:
        key = key_octets(arguments.pem.read_text(encoding="ascii")) if known.kind == "program" else None
    except (OSError, ValueError) as error:
        raise UserError(f"{arguments.pem}无法读取。 {arguments.pem} cannot be read: {error}") from None
    if key is None:
        raise UserError(
            "只有程序用公钥登录，须为2048到8192位RSA公钥的PEM。 "
            "Only programs sign in with a key, which is PEM of an RSA public key of 2048 to 8192 bits."
        )
    await steward.set_key(known, key)
    return 0


async def _forget(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    known = await _known(steward, arguments)
    if not await steward.remove_totp(known):
        raise UserError(f"账号{known.username}没有动态口令。 Account {known.username} has no second factor.")
    return 0


async def _tokens(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    for each in await steward.tokens(await _known(steward, arguments)):
        _say(
            f"{each['id']}  {each['issued']:%Y-%m-%d %H:%M:%S%z}  {each['expires']:%Y-%m-%d %H:%M:%S%z}  {each['peer']}"
        )
    return 0


async def _revoke(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    known = await _known(steward, arguments)
    if arguments.token is None:
        _say(str(await steward.revoke_tokens(known.username)))
        return 0
    try:
        digest = bytes.fromhex(arguments.token)
    except ValueError:
        digest = b""
    if not await steward.revoke_token_of(known, digest):
        raise UserError(f"没有令牌{arguments.token}。 There is no token {arguments.token}.")
    return 0


def add_arguments(actions: Any) -> None:
    """The actions of the verb, each with its task."""
    made = actions.add_parser("add", help="新增或重置 · add or reset")
    made.set_defaults(task=_add)
    made.add_argument("username")
    made.add_argument("--program", action="store_true", help="程序账号（AK/SK）· a program (access and secret key)")
    made.add_argument("--enterprise", help="所属企业（名称或前缀）；省略为节点账号 · its firm; none: of the node")
    text = "角色；省略为系统管理员或企业管理员 · its role; none: system_admin, of a firm enterprise_admin"
    made.add_argument("--role", choices=[str(role) for role in Role], help=text)
    text = "本人（姓名与工号），三类管理员必填，核验员、审核员宜填 · who stands behind it (name and staff number)"
    made.add_argument("--person", help=text)
    made.add_argument("--ask-password", action="store_true", help="自定密码，从终端或标准输入读 · choose the password")
    actions.add_parser("list", help="列出 · list").set_defaults(task=_list)
    made = actions.add_parser("disable", help="停用 · disable")
    made.set_defaults(task=_disable)
    made.add_argument("username")
    made = actions.add_parser("role", help="改变角色 · change the role")
    made.set_defaults(task=_set_role)
    made.add_argument("username")
    made.add_argument("role", choices=[str(role) for role in Role])
    made = actions.add_parser("rotate", help="更换程序密钥 · draw a program a new secret")
    made.set_defaults(task=_rotate)
    made.add_argument("username")
    made.add_argument(
        "--overlap", type=int, default=OVERLAP_SECONDS, help="原密钥再用多少秒 · seconds the one before stays good"
    )
    made = actions.add_parser("key", help="程序登录用的RSA公钥（PEM）· the RSA public key a program signs in with")
    made.set_defaults(task=_key)
    made.add_argument("username")
    made.add_argument("pem", type=Path)
    text = "丢失手机时撤销动态口令 · forget the second factor of who lost its telephone"
    made = actions.add_parser("forget-second-factor", help=text)
    made.set_defaults(task=_forget)
    made.add_argument("username")
    made = actions.add_parser("tokens", help="列出令牌 · list tokens")
    made.set_defaults(task=_tokens)
    made.add_argument("username")
    made = actions.add_parser("revoke", help="撤销令牌 · revoke tokens")
    made.set_defaults(task=_revoke)
    made.add_argument("username")
    made.add_argument("token", nargs="?", help="省略为全部 · none: all")
