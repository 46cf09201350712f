"""What `idnode audit` and `idnode access-log` do. Who reads at the shell is written into the audit journal first."""

import argparse
import csv
import io
import os
import pwd
import socket
import sys
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from node.access_log import Unreadable, read
from node.config import Config, ConfigError
from node.kept_head import KeptHead
from proto.errors import ProtoError
from proto.identifier import Identifier
from registry.access_log import Access, Sealer
from registry.audit import SHOWN, Action, Actor, Broken, Entry, Head, Kept, Row
from registry.auditor import Auditor
from registry.postgres.audit import Wanted
from registry.postgres.connection import open_pool

FORMATS: Final = ("ndjson", "csv")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula."""

Say = Callable[[str], None]


def shell() -> Actor:
    """Who is at the shell: the user of the operating system, on this machine."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container there may be no such user
        name = str(os.getuid())
    return Actor(0, name, "shell", socket.gethostname())


def line(row: Row, form: str) -> str:
    """An entry in one of FORMATS, without the end of the line."""
    shown = row.shown
    if form == "ndjson":
        return msgspec.json.encode(shown).decode()
    told = shown | {"objects": " ".join(row.objects), "before": row.before, "after": row.after}
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(map(_cell, told.values()))
    return out.getvalue()


def _cell(value: object) -> str:
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


HEADINGS: Final = {"ndjson": None, "csv": ",".join(Row._fields)}
"""The first line of an export."""


def moment(text: str) -> int:
    """Milliseconds since 1970 UTC of a date, or of a date and time (ISO 8601); local when it names no zone."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


async def verified(config: Config, auditor: Auditor) -> Head | Broken:
    """Whether the journal holds, measured by the head kept on this machine, too."""
    kept = KeptHead(Path(config.log_folder), config.key()).read() if config.secret_key else Kept()
    if kept is None or (kept.first and kept.first != await auditor.first()):
        return Broken(
            0,
            f"IDNODE_LOG_FOLDER（{config.log_folder}）中留存的链头属于另一数据库或密钥，每个数据库应有自己的目录",
            f"the head kept in IDNODE_LOG_FOLDER ({config.log_folder}) is of another database or key: each database "
            "needs a folder of its own",
        )
    return await auditor.verify(kept.head)


async def run(config: Config, arguments: argparse.Namespace, say: Say) -> int:
    """`audit verify` or `audit export`, as `arguments` say. Raises UnavailableError, ConfigError."""
    pool = await open_pool(config.database_url, size=1, name="idnode-audit")
    try:
        return int(await arguments.task(config, Auditor(pool, config.audit_octets), arguments, say))
    except OSError as error:
        raise ConfigError(f"{config.log_folder}不可读。 {config.log_folder} cannot be read: {error}.") from None
    finally:
        await pool.close()


async def _verify(config: Config, auditor: Auditor, arguments: argparse.Namespace, say: Say) -> int:
    found = await verified(config, auditor)
    if isinstance(found, Broken):
        say(f"✘ {found.told}")
        return 1
    say(f"✔ {found.number}  {found.digest.hex()}")
    return 0


async def _export(config: Config, auditor: Auditor, arguments: argparse.Namespace, say: Say) -> int:
    wanted = Wanted(**{entry.name: getattr(arguments, entry.name) for entry in fields(Wanted)})
    await _written_down(auditor, Action.AUDIT_READ, arguments)
    if heading := HEADINGS[arguments.format]:
        say(heading)
    async for rows in auditor.all(wanted):
        say("\n".join(line(row, arguments.format) for row in rows))
    return 0


async def _written_down(auditor: Auditor, action: Action, arguments: argparse.Namespace) -> None:
    given = {name: getattr(arguments, name, None) for name in SHOWN[action]}
    shown = {name: value for name, value in given.items() if value is not None}
    await auditor.record([Entry(shell(), action, (), {}, shown)])


class Sought(NamedTuple):
    """Which entries of the access log: of an identifier (by its key), of an account (by its number). None: any."""

    identifier: str | None
    account: int | None


def matching(access: Access, sought: Sought) -> bool:
    """Whether it is one that is sought."""
    if sought.account is not None and access.account != sought.account:
        return False
    return sought.identifier is None or _key(access.identifier) == sought.identifier


@lru_cache(maxsize=4096)
def _key(name: str) -> str:
    """None is that of a sign-in, whose name is an account's."""
    try:
        return Identifier.parse(name).key
    except ProtoError:
        return ""


async def _read(config: Config, auditor: Auditor, arguments: argparse.Namespace, say: Say) -> int:
    await _written_down(auditor, Action.ACCESS_LOG_READ, arguments)
    account = None
    if arguments.account is not None and (account := await auditor.account(arguments.account)) is None:
        raise ConfigError(f"没有账号{arguments.account}。 There is no account {arguments.account}.")
    key = Identifier.parse(arguments.identifier).key if arguments.identifier is not None else None
    span = (arguments.since or 0, 2**62 if arguments.until is None else arguments.until)
    whole = True
    for block in read(Path(config.log_folder), Sealer(config.key()), *span):
        if isinstance(block, Unreadable):
            whole = False
            print(f"{block.file} #{block.block}: {block.why}", file=sys.stderr)
            continue
        for each in block:
            if matching(each, Sought(key, account)):
                say(msgspec.json.encode(each._asdict()).decode())
    return int(not whole)


def add_access_arguments(verb: argparse.ArgumentParser) -> None:
    """What may be said behind `access-log`."""
    made = verb.add_subparsers(required=True, metavar="ACTION").add_parser("read", help="读出 · read")
    made.set_defaults(task=_read)
    _add_span(made, "--from", "--to")
    made.add_argument("--identifier", help="标识 · of this identifier")
    made.add_argument("--account", help="账号 · of this account")


def _add_span(made: argparse.ArgumentParser, since: str, until: str) -> None:
    made.add_argument(since, dest="since", type=moment, help="起 · from (2026-11-23, 2026-11-23T08:00+08:00)")
    made.add_argument(until, dest="until", type=moment, help="止（不含）· before")


def add_audit_arguments(verb: argparse.ArgumentParser) -> None:
    """What may be said behind `audit`."""
    actions = verb.add_subparsers(required=True, metavar="ACTION")
    made = actions.add_parser("verify", help="验证链 · prove the chain")
    made.set_defaults(task=_verify)
    made = actions.add_parser("export", help="导出 · export")
    made.set_defaults(task=_export)
    made.add_argument("--format", choices=FORMATS, default=FORMATS[0])
    made.add_argument("--actor", help="账号 · by this account")
    made.add_argument("--action", choices=[str(action) for action in Action], help="动作 · of this kind")
    made.add_argument("--object", help="对象 · that names this object")
    _add_span(made, "--since", "--until")
