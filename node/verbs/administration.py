"""The verbs of who runs the node and asks nobody's leave: `enterprise`, `user`, `uplink`, `template`."""

import argparse
import dataclasses
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

from node import audit_verbs, clock, users
from node.config import Config
from node.doorkeeper import Doorkeeper, DueError
from node.verbs import given, moving
from node.verbs.shell import Run, UsageError, Verbs, say, with_data
from proto.identifier import Prefix
from registry.account import Account, Vault, token_digest
from registry.application import STEPS, Occasion, Refusal, remarks
from registry.audit import Action, Entry
from registry.auditor import Auditor
from registry.examiner import Examiner
from registry.filing import Filing, Particulars, ParticularsError
from registry.industries import load, templates_for
from registry.lookup import Lookup
from registry.postgres.applications import standing
from registry.postgres.connection import open_pool
from registry.prefix import PrefixState
from registry.quota import QUOTA_MOST
from registry.steward import Steward

SENTENCES: Final = (*moving.SENTENCES, users.UserError, ParticularsError)

Task = Callable[[Config, Steward, argparse.Namespace], Awaitable[int]]


def _administration(task: Task) -> Run:
    async def run(arguments: argparse.Namespace) -> int:
        config = given.with_servers(arguments)
        pool = await open_pool(config.database_url, size=1, name="idnode-admin")
        try:
            steward = Steward(pool, Vault(config.key()), audit_verbs.shell(), config.audit_octets)
            return await task(config, steward, arguments)
        finally:
            await pool.close()

    return run


async def _enterprise_add(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    prefix, lookup = Prefix(arguments.prefix), Lookup(steward.pool)
    ours = prefix.parent == config.prefix
    if not ours and await lookup.prefix(prefix.name) is None:
        raise UsageError(
            f"前缀{prefix.name}不在本节点的{config.prefix}之下。 Prefix {prefix.name} is not under {config.prefix}."
        )
    await steward.enrol(
        arguments.name,
        arguments.name_en or arguments.name,
        arguments.industry,
        prefix.name,
        _particulars(arguments),
        filed=bool(config.toplevel_url),
    )
    # What has moved in brought its own.
    for template in templates_for(arguments.industry, prefix.name) if ours else ():
        if await lookup.named_template(prefix.name, template.version) is None:
            await steward.add_template(template)
    return 0


PARTICULARS: Final = {
    "credit_code": ("ent_crt_code", str, "统一社会信用代码 · unified social credit code"),
    "type": ("ent_type", int, "1国有 2民营 3外商 4事业单位 5民营非盈利 · kind of enterprise"),
    "province": ("ent_province_code", str, "省级代码 · province, 6 digits (GB/T 2260)"),
    "city": ("ent_city_code", str, "市级代码 · city, 6 digits"),
    "county": ("ent_county_code", str, "县级代码 · county, 6 digits"),
    "address": ("ent_addr_cn", str, "地址 · address"),
    "address_en": ("ent_addr_en", str, "英文地址 · address in English"),
    "website": ("ent_web_site", str, "网站 · web site"),
    "description": ("ent_desc", str, "简介 · description"),
    "contact": ("contact_name", str, "联系人 · contact person"),
    "email": ("contact_email", str, "联系邮箱 · e-mail of the contact"),
    "phone": ("contact_phone", str, "联系电话 · telephone of the contact"),
    "legal_person": ("legal_name", str, "法定代表人 · legal person"),
    "legal_id_type": ("legal_id_type", int, "法人证件类型1身份证…6护照 · 1 ID card … 6 passport"),
    "legal_id": ("legal_id_no", str, "法人证件号 · number of that document"),
}
"""What the top-level node wants to know of an enterprise: flag to field, kind and meaning."""


def _particulars(arguments: argparse.Namespace) -> Particulars | None:
    """What is to be filed; None when nothing of it is given. Raises UsageError for what is missing."""
    given = {field: getattr(arguments, flag) for flag, (field, _, _) in PARTICULARS.items()}
    given = {field: value for field, value in given.items() if value is not None}
    if not given:
        return None
    needed = {entry.name for entry in dataclasses.fields(Particulars) if entry.default is dataclasses.MISSING}
    flags = [
        f"--{flag.replace('_', '-')}" for flag, (field, _, _) in PARTICULARS.items() if field in needed - set(given)
    ]
    if flags:
        raise UsageError(f"报送还需要{'、'.join(flags)}。 Filing needs {', '.join(flags)}, too.")
    return Particulars(**given)


async def _enterprise_list(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    for row in await steward.filings():
        state = PrefixState(row["state"]).zh if row["state"] is not None else "-"
        say(f"{row['prefix'] or '-':<20} {row['industry']:<12} {state:<4} {filing_text(row):<24} {row['enterprise']}")
    return 0


APPLICATIONS_MOST: Final = 100
"""Applications of one list."""


async def _applications(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    rows = await _examiner(config, steward).listed(None, 2**31 - 1, APPLICATIONS_MOST)
    for row in rows:
        waiting = STEPS.get(PrefixState(row["state"]))
        if waiting or arguments.all:
            state = f"{Occasion(row['kind']).zh} {standing(row).zh}"
            say(f"{row['number']:>6} {row['prefix']:<20} {state:<8} {row['applied']:%Y-%m-%d} {row['org_name']}")
    return 0


async def _application_show(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    found = await _examiner(config, steward).shown(arguments.number)
    if found is None:
        raise UsageError(f"没有申请{arguments.number}。 There is no application {arguments.number}.")
    await Auditor(steward.pool, config.audit_octets).record(
        [Entry(audit_verbs.shell(), Action.DATA_READ, (f"application {arguments.number}",), {}, {"as": "application"})]
    )
    say(json.dumps(found.form, ensure_ascii=False, indent=2))
    for zh, en in remarks(found.form):
        say(f"！{zh}  {en}")
    for each in found.decisions:
        passed = "通过 passed" if each["passed"] else f"驳回 refused：{each['reason']}"
        say(f"{each['made']:%Y-%m-%d %H:%M}  {each['step']:<12} {each['username']}  {passed}")
    say(f"{standing(found.row).zh}  {found.row['reason_zh']}")
    return 0


async def _decide(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    """One of the two decisions, in the name of a person who proves who it is."""
    account = await _proven(config, steward, arguments.username)
    then = await _examiner(config, steward).decide(
        arguments.number,
        arguments.step,
        arguments.refuse is None,
        arguments.refuse or "",
        account,
        filed=bool(config.toplevel_url),
    )
    if then is None:
        raise UsageError(f"没有申请{arguments.number}。 There is no application {arguments.number}.")
    if isinstance(then, Refusal):
        raise UsageError(f"{then.zh}。 {then.en}.")
    say(then.zh)
    return 0


async def _proven(config: Config, steward: Steward, username: str) -> Account:
    """Who `username` is, once it has signed in as at any door; a one-time code follows the password."""
    doorkeeper = Doorkeeper.of(config, Lookup(steward.pool), steward)
    secret = getpass.getpass("密码 password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    token = await doorkeeper.sign_in(username, secret, "127.0.0.1")
    try:
        account = await doorkeeper.account(token or "")
    except DueError:
        raise UsageError("请先登录并修改密码。 Sign in and change the password first.") from None
    if token is None or account is None:
        raise UsageError("用户名或密码错误。 The user name or the password is wrong.")
    await steward.revoke_token(token_digest(token))
    return account


def _examiner(config: Config, steward: Steward) -> Examiner:
    return Examiner(steward.pool, Vault(config.key()), audit_verbs.shell(), config.audit_octets)


QUOTAS: Final = {
    "identifiers": "标识数量 · identifiers",
    "calls": "每日调用次数 · calls a day",
    "room": "存储空间，字节 · room, octets",
}
"""What a quota is of: field of Quota, and what it means."""


async def _enterprise_quota(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    enterprise = await steward.enterprise_of(arguments.enterprise)
    if enterprise is None:
        raise UsageError(f"没有企业{arguments.enterprise}。 There is no enterprise {arguments.enterprise}.")
    wanted = {field: getattr(arguments, field) for field in QUOTAS if getattr(arguments, field) is not None}
    if wanted:
        await steward.set_quota(enterprise, {field: None if text == "none" else text for field, text in wanted.items()})
    name, quota, usage = await steward.quota(enterprise, clock.today(config.zone))
    say(name)
    for text, limit, used in zip(QUOTAS.values(), quota, usage, strict=True):
        say(f"  {text:<28} {used:>16}  /  {'不限 none' if limit is None else limit}")
    return 0


def _most(text: str) -> int | str:
    """A quota as people give it: a whole number, or none."""
    if text == "none" or (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= QUOTA_MOST):
        return text if text == "none" else int(text)
    raise argparse.ArgumentTypeError(
        f"应为0到{QUOTA_MOST}的整数或none · a whole number from 0 to {QUOTA_MOST}, or none"
    )


async def _uplink_forget(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    await steward.forget_toplevel()
    say("已忘记顶级节点：将重新登记并重新上报 · the top-level node is forgotten: the node enrols and tells all anew")
    return 0


async def _template_refer(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    async for count in steward.refer():
        say(f"已查看{count}个标识 · {count} identifiers looked at")
    return 0


def filing_text(row: Any) -> str:
    """How a prefix stands with the top-level node, and why."""
    if row["filing"] is None:
        return "未报送 not filed"
    filing = Filing(row["filing"])
    text = f"{filing.zh} {filing.en}"
    if row["suspended"]:
        text += "，被停用 suspended"
    if filing is Filing.WAITING and row["unnamed"]:
        text += "：缺少企业资料 no particulars"
    # An officer's own words stand once for both languages.
    reason = " ".join(dict.fromkeys(filter(None, (row["reason_zh"], row["reason_en"]))))
    return f"{text}：{reason}" if reason else text


async def _run(arguments: argparse.Namespace) -> int:
    return await _administration(arguments.task)(arguments)


def _actions(made: argparse.ArgumentParser) -> Any:
    with_data(made).set_defaults(run=_run)
    return made.add_subparsers(required=True, metavar="ACTION")


def _add_user(made: argparse.ArgumentParser) -> None:
    users.add_arguments(_actions(made))


def _add_enterprise(made: argparse.ArgumentParser) -> None:
    firm = _actions(made)
    made = firm.add_parser("add", help="登记企业与前缀 · register a firm with its prefix")
    made.set_defaults(task=_enterprise_add)
    made.add_argument("name")
    made.add_argument("--name-en")
    made.add_argument("--prefix", required=True)
    made.add_argument("--industry", required=True, choices=[industry.key for industry in load()])
    for flag, (_, kind, text) in PARTICULARS.items():
        made.add_argument(f"--{flag.replace('_', '-')}", type=kind, help=text)
    firm.add_parser("list", help="列出 · list").set_defaults(task=_enterprise_list)
    made = firm.add_parser("applications", help="等待核验或审核的申请 · applications that wait to be decided on")
    made.set_defaults(task=_applications)
    made.add_argument("--all", action="store_true", help="包括已决定的 · those that are decided, too")
    made = firm.add_parser("show", help="一份申请的全部内容 · all of an application")
    made.set_defaults(task=_application_show)
    made.add_argument("number", type=int)
    for name, waiting in (("verify", STEPS[PrefixState.UNVERIFIED]), ("review", STEPS[PrefixState.PENDING])):
        made = firm.add_parser(name, help=f"{waiting.zh}，需输入本人密码 · {waiting.word}, with one's own password")
        made.set_defaults(task=_decide, step=waiting.word)
        made.add_argument("number", type=int)
        made.add_argument("--as", dest="username", required=True, help="谁决定 · who decides")
        made.add_argument("--refuse", metavar="REASON", help="驳回及理由 · refuse, and why")
    made = firm.add_parser("quota", help="查看或设置配额 · show or set what a firm may have")
    made.set_defaults(task=_enterprise_quota)
    made.add_argument("enterprise", help="名称或前缀 · name or prefix")
    for field, text in QUOTAS.items():
        made.add_argument(f"--{field}", type=_most, metavar="N", help=f"{text}；none为不限")
    text = "清除已迁出或迁入未获通过的前缀的全部内容 · erase all of a prefix that moved away, or came and was refused"
    made = firm.add_parser("erase", help=text, description=text)
    made.set_defaults(task=moving.erase)
    made.add_argument("prefix")


def _add_uplink(made: argparse.ArgumentParser) -> None:
    text = "忘记已登记的顶级节点，全部重新上报 · forget the top-level node enrolled with: all of it is told anew"
    _actions(made).add_parser("forget", help=text).set_defaults(task=_uplink_forget)


def _add_template(made: argparse.ArgumentParser) -> None:
    text = "为升级前注册的标识补记引用，供反向追溯 · note references of identifiers from before an upgrade, for tracing"
    _actions(made).add_parser("refer", help=text).set_defaults(task=_template_refer)


VERBS: Final[Verbs] = {
    "user": _add_user,
    "enterprise": _add_enterprise,
    "uplink": _add_uplink,
    "template": _add_template,
}
