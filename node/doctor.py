"""`doctor`: a check of everything a start needs, a line each with its mend. Changes nothing."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from node import audit_verbs, certificate, clock, site_key
from node.certificate import CertificateError
from node.config import Config
from node.files.folder import Folder, FolderError
from node.files.scanner import Scanner, ScannerAwayError
from node.link import Link, LinkError
from node.redis_wire import BROKEN, RedisWire
from node.site_key import SiteKeyError
from node.supervisor import PortTakenError, listening_socket, native_sockets
from proto import web_reply
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.keys import public
from registry.audit import Broken
from registry.auditor import Auditor
from registry.errors import UnavailableError
from registry.postgres.connection import connect, open_pool
from registry.postgres.migrate import current, migrations

OLDEST_POSTGRES: Final = 150_000
OLDEST_REDIS: Final = 7
_REDIS_VERSION: Final = re.compile(rb"redis_version:(\S+)")
AUDIT_SHARE: Final = 5
"""When less than one part in so many of the audit journal's room is left, it is told."""
TOPLEVEL_SECONDS: Final = 3
"""Patience with the top-level node; the node itself has no more of it for a question."""
_TOPLEVEL_MEND: Final = (
    "检查IDNODE_TOPLEVEL_URL与网络；不需要上报与转发时清空它  "
    "check the URL and the way there; empty it to tell and to ask others nothing"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `mend` is empty when all is well."""

    name: str
    state: str
    mend: str = ""


async def _python(config: Config) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", version)


async def _key(config: Config) -> Finding:
    if not config.secret_key:
        return Finding(
            "secret_key",
            "未设置 not set",
            "IDNODE_SECRET_KEY=$(head -c 32 /dev/urandom | base64)，各节点相同 the same on every node",
        )
    return Finding("secret_key", "32 B")


async def _postgres(config: Config) -> Finding:
    if not config.database_url:
        return Finding("postgresql", "未设置 not set", "设置IDNODE_DATABASE_URL，或用up  set it, or use `up`")
    try:
        connection = await connect(config.database_url, "idnode-doctor")
    except UnavailableError as error:
        return Finding("postgresql", str(error), "启动PostgreSQL，检查IDNODE_DATABASE_URL  start it, check the URL")
    try:
        return await _schema(connection)
    finally:
        await connection.close()


async def _schema(connection: Any) -> Finding:
    version = int(await connection.fetchval("SHOW server_version_num"))
    if version < OLDEST_POSTGRES:
        return Finding("postgresql", str(version), "需要15或更新 15 or newer is needed")
    at, newest = await current(connection), migrations()[-1].number
    mend = "" if at == newest else "运行idnode migrate  run `idnode migrate`"
    return Finding("postgresql", f"{version // 10000}, schema {at}/{newest}", mend)


async def _audit(config: Config) -> Finding:
    if (await _postgres(config)).mend:
        return Finding("audit", "无法检查 cannot be checked", "先修复postgresql  mend postgresql first")
    pool = await open_pool(config.database_url, size=1, name="idnode-doctor")
    try:
        auditor = Auditor(pool, config.audit_octets)
        found, (_, octets) = await audit_verbs.verified(config, auditor), await auditor.head()
    except (OSError, UnavailableError) as error:
        return Finding("audit", str(error), "检查IDNODE_LOG_FOLDER  check the folder")
    finally:
        await pool.close()
    state = f"{found.number}, {octets} B / {config.audit_octets} B"
    if isinstance(found, Broken):
        return Finding("audit", found.told, "docs/audit.md")
    full = octets * AUDIT_SHARE > config.audit_octets * (AUDIT_SHARE - 1)
    return Finding(
        "audit", state, "将满，调大IDNODE_AUDIT_OCTETS  nearly full: raise IDNODE_AUDIT_OCTETS" if full else ""
    )


async def _redis(config: Config) -> Finding:
    if not config.redis_url:
        return Finding("redis", "不使用 not used")
    met: list[bytes] = []
    wire = RedisWire(config.redis_url, met.append)
    try:
        await wire.ask([("PING",)])
    except BROKEN as error:
        return Finding("redis", str(error), "启动Redis或Valkey，或清空IDNODE_REDIS_URL  start it, or empty the setting")
    finally:
        await wire.close()
    told = _REDIS_VERSION.search(met[-1])
    version = told[1].decode() if told else "0"
    old = int(version.partition(".")[0]) < OLDEST_REDIS
    return Finding("redis", version, "需要Redis 7或Valkey  Redis 7 or Valkey is needed" if old else "")


async def _files(config: Config) -> Finding:
    if not config.files:
        return Finding("files", "不接收 none are taken")
    try:
        Folder(Path(config.files), bytes(32)).check()
    except FolderError as error:
        return Finding(
            "files", str(error), "让节点的用户可以读写该目录  let the node's user read and write that folder"
        )
    return Finding("files", config.files)


async def _clamd(config: Config) -> Finding:
    if not config.clamd:
        return Finding("clamd", "不使用 not used")
    try:
        return Finding("clamd", await Scanner(config.clamd).version())
    except ScannerAwayError as error:
        return Finding("clamd", str(error), "启动clamd，检查IDNODE_CLAMD  start it, check the path")


async def _toplevel(config: Config) -> Finding:
    if not config.toplevel_url:
        return Finding("toplevel", "不使用 not used")
    link = Link(urlsplit(config.toplevel_url).hostname or "")
    url = f"{config.toplevel_url.rstrip('/')}/api/handles/{config.prefix}/doctor"
    try:
        async with asyncio.timeout(TOPLEVEL_SECONDS):
            status, body = await link.get(url, {})
        web_reply.read(status, body, Identifier.parse(f"{config.prefix}/doctor"))
    except TimeoutError:
        return Finding("toplevel", f"> {TOPLEVEL_SECONDS} s", _TOPLEVEL_MEND)
    except (LinkError, ProtoError) as error:
        return Finding("toplevel", str(error), _TOPLEVEL_MEND)
    finally:
        await link.close()
    return Finding("toplevel", f"{config.toplevel_url} HTTP {status}")


async def _certificate(config: Config) -> Finding:
    if not config.certificate:
        vain = (
            "IDNODE_CLIENT_CERT_PORT需要IDNODE_CERTIFICATE  it needs a certificate" if config.client_cert_port else ""
        )
        return Finding("certificate", "无HTTPS no HTTPS", vain)
    try:
        found = certificate.read(config)
    except CertificateError as error:
        return Finding("certificate", str(error), "检查IDNODE_CERTIFICATE  check the files")
    left = found.ends - clock.utc()
    soon = "更换证书，无须重启  replace it, no restart is needed" if left < certificate.WARNED_BEFORE else ""
    return Finding("certificate", f"{found.ends:%Y-%m-%d}, {left.days} d: {' '.join(sorted(found.names))}", soon)


async def _site_key(config: Config) -> Finding:
    if not config.site_key:
        return Finding("site_key", "不签署应答 answers are not certified")
    try:
        return Finding("site_key", public.kind(site_key.read(config.site_key).public()))
    except SiteKeyError as error:
        return Finding("site_key", str(error), "检查IDNODE_SITE_KEY  check the file")


def _port(setting: str, host: str, port: int) -> Callable[[Config], Awaitable[Finding]]:
    async def check(config: Config) -> Finding:
        try:
            listening_socket(host, port, f"--{setting.replace('_', '-')}", shared=False).close()
        except PortTakenError as error:
            return _taken(setting, port, error)
        return Finding(setting, str(port))

    return check


async def _native(config: Config) -> Finding:
    if not config.native_port:
        return Finding("native_port", "不使用 not used")
    try:
        for sock in native_sockets(replace(config, workers=1))[0]:
            sock.close()
    except PortTakenError as error:
        return _taken("native_port", config.native_port, error)
    return Finding("native_port", str(config.native_port))


def _secure(config: Config) -> Iterator[tuple[str, int]]:
    """The settings of the ports of HTTPS that are used, and the ports."""
    if config.certificate:
        yield "https_port", config.https_port
        if config.client_cert_port:
            yield "client_cert_port", config.client_cert_port


def _taken(setting: str, port: int, error: PortTakenError) -> Finding:
    return Finding(setting, str(port), f"{error}（正在运行的节点也会占用 a running node of yours takes it too）")


async def examine(config: Config, *, ports: bool = True) -> list[Finding]:
    """All findings, in the order of a start; without those of `ports` for a node that runs, since it has its own."""
    checks: list[Callable[[Config], Awaitable[Finding]]] = [
        _python,
        _key,
        _postgres,
        _audit,
        _redis,
        _files,
        _clamd,
        _toplevel,
        _certificate,
        _site_key,
    ]
    if ports:
        checks += [
            _port("http_port", config.host, config.http_port),
            _native,
            *(_port(name, config.host, port) for name, port in _secure(config)),
            _port("operator_port", config.operator_host, config.operator_port),
            _port("toplevel_port", config.host, config.toplevel_port),
        ]
    return list(await asyncio.gather(*(check(config) for check in checks)))
