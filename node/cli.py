"""The command `idnode`: verbs, their options, and what each hands on to. No road and no rule lives here."""

import argparse
import asyncio
import dataclasses
import getpass
import json
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote

import aiohttp

from node import audit_verbs, certificate, clock, doctor, journal, site_key, up, users
from node import config as settings
from node.brake import Brake
from node.calls import Calls
from node.config import Config, ConfigError
from node.doorkeeper import Doorkeeper, DueError
from node.embedded import EmbeddedError
from node.importer import claims, forget, key, verify
from node.importer import run as importer
from node.nursery import Nursery, NurseryError
from node.supervisor import (
    FOLLOWER,
    UPLINK,
    WORKER,
    PortTakenError,
    Supervisor,
    client_cert_sockets,
    listening_sockets,
    native_sockets,
    secure_sockets,
)
from node.toplevel import keeper
from node.toplevel import server as toplevel
from proto.errors import ProtoError
from proto.identifier import Identifier, Prefix
from proto.signed import KEY_OCTETS, public_key
from proto.trust import Root
from registry import mover, parcel
from registry.account import Account, Vault, token_digest
from registry.application import STEPS, Occasion, Refusal, remarks
from registry.audit import Action, Entry
from registry.auditor import Auditor
from registry.errors import RegistryError, UnavailableError
from registry.examiner import Examiner
from registry.filing import Filing, Particulars, ParticularsError
from registry.industries import load, templates_for
from registry.lookup import Lookup
from registry.postgres.applications import standing
from registry.postgres.connection import connect, connected, open_pool
from registry.postgres.migrate import current, migrate, migrations
from registry.prefix import PrefixState
from registry.quota import QUOTA_MOST
from registry.steward import Steward

DEFAULT_DATA: Final = Path(".idnode")
NODE_FLAGS: Final = (
    "http_port",
    "https_port",
    "client_cert_port",
    "native_port",
    "host",
    "operator_port",
    "operator_host",
    "public_url",
    "workers",
)
SETTING_FLAGS: Final = {
    "up": (*NODE_FLAGS, "toplevel_port"),
    "serve": NODE_FLAGS,
    "toplevel": ("host", "toplevel_port"),
}
"""Settings that may be given on the command line, by verb."""
BORN: Final = {"up": (WORKER, FOLLOWER, UPLINK, keeper.MODULE), "serve": (WORKER, FOLLOWER)}
"""Modules of the processes that are born to a node, by verb; of some nodes others, too, and those are loaded then."""
FROM_UP: Final = ("log_folder", "audit_octets", "files", "certificate", "certificate_key", "site_key")
"""Settings of a running `up` that other commands go by, where it has said them."""


class UsageError(Exception):
    """What was asked cannot be done as asked; one sentence, Chinese and English."""


SENTENCES: Final = (
    UsageError,
    users.UserError,
    ConfigError,
    certificate.CertificateError,
    site_key.SiteKeyError,
    EmbeddedError,
    NurseryError,
    PortTakenError,
    RegistryError,
    up.UpError,
    ProtoError,
    ParticularsError,
    parcel.ParcelError,
)


PIPE_SHUT: Final = 141
"""Exit code where whoever read what is said reads no further, as `head` does: what shells make of SIGPIPE."""


def say(text: str) -> None:
    """Tells people something, at once; ends the program where nobody listens any more."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # What is left unsaid would be tried once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(PIPE_SHUT)


def _config(arguments: argparse.Namespace) -> Config:
    given = {name: getattr(arguments, name) for name in SETTING_FLAGS.get(arguments.verb, ())}
    return settings.from_environment(arguments.config, given)


def _with_servers(arguments: argparse.Namespace) -> Config:
    """Settings, with the servers of a running `up` where none are given."""
    config = _config(arguments)
    if config.database_url:
        return config
    path = arguments.data / "servers.json"
    try:
        running = json.loads(path.read_text(encoding="utf-8"))
        servers = {name: running[name] for name in ("database_url", "redis_url", "secret_key")}
        servers["toplevel_url"] = config.toplevel_url or running.get("toplevel_url", "")
        servers |= {name: running.get(name, getattr(config, name)) for name in FROM_UP}
    except (OSError, ValueError, LookupError, TypeError):
        raise UsageError(
            f"没有IDNODE_DATABASE_URL，{path}也不可读：请先运行idnode up，或设置该变量。 "
            f"There is no IDNODE_DATABASE_URL and {path} cannot be read: run `idnode up` first, or set it."
        ) from None
    return replace(config, **servers)


async def _up(arguments: argparse.Namespace) -> int:
    options = up.Options(arguments.data, not arguments.no_samples)
    await up.until_told(asyncio.create_task(up.up(_config(arguments), options, arguments.nursery, say)))
    return 0


async def _serve(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    for name in ("database_url", "secret_key"):
        if not getattr(config, name):
            variable = settings.variable(name)
            raise UsageError(f"serve需要设置{variable}。 serve needs {variable}.")
    journal.open_(config.log_level)
    await _check_schema(config)
    if config.certificate:
        certificate.read(config)
    if config.site_key:
        site_key.read(config.site_key)
    sockets = listening_sockets(config), secure_sockets(config), native_sockets(config), client_cert_sockets(config)
    supervisor = Supervisor(config, *sockets)
    async with up.operator_door(config, supervisor):
        await up.until_told(asyncio.create_task(supervisor.run(arguments.nursery)))
    return 0


async def _toplevel(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    if not toplevel.database_url(config):
        raise UsageError(
            "toplevel需要设置IDNODE_TOPLEVEL_DATABASE_URL或IDNODE_DATABASE_URL。 "
            "toplevel needs IDNODE_TOPLEVEL_DATABASE_URL or IDNODE_DATABASE_URL."
        )
    journal.open_(config.log_level)
    with toplevel.listening(config) as sock:
        say(f"国家顶级节点（模拟） · simulated national top-level node: {toplevel.url(config)}")
        await up.until_told(asyncio.create_task(toplevel.serve(config, sock)))
    return 0


async def _check_schema(config: Config) -> None:
    """Raises UsageError when the database lacks the schema; one that is away may come later."""
    try:
        connection = await connect(config.database_url, "idnode-serve")
    except UnavailableError:
        return
    try:
        if await current(connection) < migrations()[-1].number:
            raise UsageError(
                "数据库结构不是最新：请先运行idnode migrate。 The schema is not current: run `idnode migrate`."
            )
    finally:
        await connection.close()


async def _migrate(arguments: argparse.Namespace) -> int:
    connection = await connect(_with_servers(arguments).database_url, "idnode-migrate", None)
    try:
        taken = await migrate(connection)
    finally:
        await connection.close()
    for step in taken:
        say(f"{step.number:04d} {step.name}")
    say("数据库结构已是最新 · the schema is up to date")
    return 0


async def _doctor(arguments: argparse.Namespace) -> int:
    given = config = _config(arguments)
    with suppress(UsageError):
        config = _with_servers(arguments)
    findings = await doctor.examine(config, ports=config == given)
    for each in findings:
        say(f"{'✘' if each.mend else '✔'} {each.name:<14} {each.state}{'  → ' + each.mend if each.mend else ''}")
    return int(any(each.mend for each in findings))


async def _audit(arguments: argparse.Namespace) -> int:
    return await audit_verbs.run(_with_servers(arguments), arguments, say)


async def _resolve(arguments: argparse.Namespace) -> int:
    identifier = Identifier.parse(arguments.identifier)
    base = arguments.url or _running(arguments.data)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{base}/api/handles/{quote(str(identifier))}?pretty") as response,
    ):
        say(await response.text())
        return int(response.status != 200)


async def _verify(arguments: argparse.Namespace) -> int:
    roots = frozenset(arguments.root) or _config(arguments).roots
    return await verify.run(
        arguments.url or _running(arguments.data), Identifier.parse(arguments.identifier), roots, say
    )


def _root(text: str) -> Root:
    try:
        return Root.parse(text)
    except ProtoError as error:
        raise argparse.ArgumentTypeError(f"{error.zh}。 {error.en}.") from None


def _running(data: Path) -> str:
    """Where the node of that data folder is."""
    try:
        return str(json.loads((data / "ready.json").read_text(encoding="utf-8"))["http"])
    except (OSError, ValueError, LookupError, TypeError):
        raise UsageError(
            f"{data / 'ready.json'}不可读：节点没有在运行？请用--data或--url指明。 "
            f"{data / 'ready.json'} cannot be read: is the node running? Name it with --data or --url."
        ) from None


Task = Callable[[Config, Steward, argparse.Namespace], Awaitable[int]]


def _administration(task: Task) -> Callable[[argparse.Namespace], Awaitable[int]]:
    async def run(arguments: argparse.Namespace) -> int:
        config = _with_servers(arguments)
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
        say(f"{row['prefix'] or '-':<20} {row['industry']:<12} {state:<4} {_filing_text(row):<24} {row['enterprise']}")
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
    doorkeeper = Doorkeeper(
        Lookup(steward.pool),
        steward,
        Vault(config.key()),
        partial(clock.today, config.zone),
        Brake(clock.monotonic),
        clock.seconds,
        Calls(steward, partial(clock.local, config.zone)),
        second_factor=config.second_factor != "enrolled",
    )
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


async def _export(arguments: argparse.Namespace) -> int:
    """Packs a prefix into a file only its owner may read; what is there when it is interrupted is no parcel."""
    config, prefix, who = _with_servers(arguments), Prefix(arguments.prefix).name, audit_verbs.shell()
    way = parcel.Way(config.prefix, Prefix(arguments.to).name, clock.milliseconds())
    part = arguments.file.with_name(f"{arguments.file.name}.part")
    async with connected(config.database_url, "idnode-export", None) as connection:
        fresh = secrets.token_bytes(KEY_OCTETS)
        key = await mover.signing_key(connection, Vault(config.key()), fresh, who, config.audit_octets)
        if not key:
            raise UsageError(
                "节点的签名密钥由另一个IDNODE_SECRET_KEY封存。 "
                "The node's signing key was sealed with another IDNODE_SECRET_KEY."
            )
        part.unlink(missing_ok=True)  # it may be somebody else's, who would read what is written
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: ASYNC230
            async for octets in mover.pack(connection, prefix, way, key, who, config.audit_octets):
                file.write(octets)
    part.replace(arguments.file)
    say(f"{arguments.file}  签名 signed by {public_key(key).hex()}")
    return 0


async def _import(arguments: argparse.Namespace) -> int:
    """A prefix that moved out of another node is taken into the database; all else goes through the node's doors."""
    if not is_parcel(arguments.file):
        return await importer.run_import(arguments)
    config = _with_servers(arguments)
    with arguments.file.open("rb") as file:
        head, key = parcel.sealed(_lines(file))
        if arguments.signed_by != key.hex():
            raise UsageError(
                f"前缀{head.prefix}由密钥{key.hex()}签名：向迁出方核对后，加--signed-by和该密钥。 "
                f"Prefix {head.prefix} is signed by {key.hex()}: ask whom it comes from, then add --signed-by with it."
            )
        async with connected(config.database_url, "idnode-import", None) as connection:
            who, filed = audit_verbs.shell(), bool(config.toplevel_url)
            await mover.unpack(connection, _lines(file), config.prefix, who, config.audit_octets, filed=filed)
    state = "待报送 to be filed" if filed else "停用 stopped"
    say(f"{head.prefix}  {head.enterprise}  第 number {head.number}  {state}")
    return 0


async def _erase(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    prefix = Prefix(arguments.prefix).name
    async with connected(config.database_url, "idnode-erase", None) as connection:
        await mover.erase(connection, prefix, audit_verbs.shell(), config.audit_octets)
    say(f"{prefix}  已清除 erased")
    return 0


def is_parcel(path: Path) -> bool:
    """Whether a file begins as a prefix that moved out does."""
    try:
        with path.open("rb") as file:
            return isinstance(parcel.read(file.readline(parcel.LINE_OCTETS)), parcel.Head)
    except (OSError, parcel.ParcelError):
        return False


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while line := file.readline(parcel.LINE_OCTETS + 1):
        yield line


def _filing_text(row: Any) -> str:
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


_CONFIG: Final = "设置文件 · settings file (TOML)"
_DATA: Final = "数据目录 · data folder (.idnode)"


class _Action(argparse.ArgumentParser):
    """What a verb does: its --config and --data may stand behind it, too, where people put them."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        for flag, text in (("--config", _CONFIG), ("--data", _DATA)):
            self.add_argument(flag, type=Path, default=argparse.SUPPRESS, help=text)


class _Verb(argparse.ArgumentParser):
    """A verb, which may have actions."""

    def add_subparsers(self, **given: Any) -> Any:
        return super().add_subparsers(parser_class=_Action, **given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="idnode", description="工业互联网标识解析二级节点 · a secondary node of the industrial identifier system"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Verb)

    def verb(name: str, text: str, run: Callable[[argparse.Namespace], Awaitable[int]]) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        made.add_argument("--config", type=Path, help=_CONFIG)
        return made

    def with_data(made: argparse.ArgumentParser) -> argparse.ArgumentParser:
        made.add_argument("--data", type=Path, default=DEFAULT_DATA, help=_DATA)
        return made

    for name, text, run in (
        ("up", "在一台机器上运行全部 · all of it on one machine", _up),
        ("serve", "只运行节点 · the node alone", _serve),
        ("toplevel", "只运行模拟的国家顶级节点 · the simulated national top-level node alone", _toplevel),
    ):
        made = verb(name, text, run)
        for flag in SETTING_FLAGS[name]:
            kind = int if isinstance(Config.__dataclass_fields__[flag].default, int) else str
            made.add_argument(f"--{flag.replace('_', '-')}", type=kind)
        if name == "up":
            with_data(made).add_argument("--no-samples", action="store_true", help="不注册示例 · no sample products")
    with_data(verb("migrate", "更新数据库结构 · bring the schema up to date", _migrate))
    with_data(verb("doctor", "检查启动所需 · check what a start needs", _doctor))
    made = with_data(verb("resolve", "解析一个标识 · resolve an identifier", _resolve))
    made.add_argument("identifier")
    made.add_argument("--url")
    text = "核验一个标识的签名与证书链 · verify the signature of an identifier and its chain of certificates"
    made = with_data(verb("verify", text, _verify))
    made.add_argument("identifier")
    made.add_argument("--url")
    text = "受信的根，可重复；省略则取IDNODE_TRUST_ROOTS · a trusted root, repeatable; default: IDNODE_TRUST_ROOTS"
    made.add_argument("--root", type=_root, action="append", default=[], metavar="HANDLE=FINGERPRINT", help=text)
    made = verb("import", "导入CSV、Excel、导出的记录或迁出的前缀 · import CSV, Excel, a dump, or a prefix", _import)
    importer.add_arguments(made, "import")
    made.add_argument("--signed-by", metavar="KEY", help="迁出的前缀由此密钥签名 · who signed a prefix that moved out")
    made = with_data(verb("export", "把停用的前缀连同历史迁出到文件 · pack a stopped prefix with its history", _export))
    made.add_argument("prefix")
    made.add_argument("file", type=Path)
    made.add_argument("--to", metavar="NODE", required=True, help="迁往的节点的前缀 · prefix of the node it moves to")
    importer.add_arguments(
        verb("reconcile", "对账 · compare a file with the registry", importer.run_reconcile), "reconcile"
    )
    text = "清除标识及其历史中的个人信息 · blank personal data in identifiers and their history"
    forget.add_arguments(verb("forget", text, forget.run_forget))
    of_keys = with_data(verb("key", "Handle体系的密钥 · keys of the Handle system", key.run_add))
    text = "把公钥放入标识 · put a public key into an identifier"
    key.add_arguments(of_keys.add_subparsers(required=True, metavar="ACTION").add_parser("add", help=text))
    text = "为标识的值签名 · sign the values of an identifier (HS_SIGNATURE)"
    claims.add_sign_arguments(with_data(verb("sign", text, claims.run_sign)))
    text = "为他人的密钥作证，或自签为根 · certify a key of another, or one's own as a root (HS_CERT)"
    claims.add_certify_arguments(with_data(verb("certify", text, claims.run_certify)))
    _add_administration(with_data, verb)
    audit_verbs.add_audit_arguments(with_data(verb("audit", "审计账 · the audit journal", _audit)))
    audit_verbs.add_access_arguments(with_data(verb("access-log", "访问日志 · the access log", _audit)))
    return parser


def _add_administration(with_data: Any, verb: Any) -> None:
    async def choose(arguments: argparse.Namespace) -> int:
        return await _administration(arguments.task)(arguments)

    users.add_arguments(
        with_data(verb("user", "账号 · accounts", choose)).add_subparsers(required=True, metavar="ACTION")
    )
    firm = with_data(verb("enterprise", "企业 · enterprises", choose)).add_subparsers(required=True, metavar="ACTION")
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
    made.set_defaults(task=_erase)
    made.add_argument("prefix")
    upwards = with_data(verb("uplink", "上报 · the uplink", choose)).add_subparsers(required=True, metavar="ACTION")
    text = "忘记已登记的顶级节点，全部重新上报 · forget the top-level node enrolled with: all of it is told anew"
    upwards.add_parser("forget", help=text).set_defaults(task=_uplink_forget)
    kinds = with_data(verb("template", "模板 · templates", choose)).add_subparsers(required=True, metavar="ACTION")
    text = "为升级前注册的标识补记引用，供反向追溯 · note references of identifiers from before an upgrade, for tracing"
    kinds.add_parser("refer", help=text).set_defaults(task=_template_refer)


@contextmanager
def _nursery(arguments: argparse.Namespace) -> Iterator[None]:
    """What a verb that runs a node has its processes from, as `arguments.nursery`."""
    if arguments.verb not in BORN:
        yield
        return
    with Nursery.opened(*BORN[arguments.verb]) as arguments.nursery:
        yield


def main() -> None:
    """The console command. Exit code 2 with one sentence when it cannot be done."""
    arguments = _parser().parse_args()
    try:
        with _nursery(arguments):
            sys.exit(asyncio.run(arguments.run(arguments)))
    except SENTENCES as error:
        text = f"{error.zh}。 {error.en}." if isinstance(error, ProtoError) else str(error)
        print(f"idnode: {text}", file=sys.stderr)
        sys.exit(2)
    except aiohttp.ClientError as error:
        print(f"idnode: 节点无法访问。 The node cannot be reached: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
