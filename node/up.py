"""`up`: all of it on one machine. Embedded servers, the sample world, the node; ready.json tells others when.

Roads and rules are elsewhere; here is only what a first start needs and in which order.
"""

import asyncio
import base64
import fcntl
import json
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

import aiohttp
from aiohttp import web

from node import certificate, clock, journal, operator_port, site_key
from node.config import Config
from node.embedded import Embedded, Servers
from node.listen import replies
from node.nursery import Nursery
from node.samples import ENTERPRISES, SECONDARY, SampleRecord, particulars_of, sample_records
from node.supervisor import (
    Supervisor,
    client_cert_sockets,
    listening_socket,
    listening_sockets,
    native_sockets,
    secure_sockets,
)
from node.toplevel import server as toplevel
from node.toplevel.keeper import Keeper
from node.toplevel.keeper import until_ready as until_toplevel_ready
from proto.identifier import Identifier
from registry.account import Account, Vault, hash_password
from registry.industries import templates_for
from registry.lookup import Lookup
from registry.postgres.connection import connect, open_pool
from registry.postgres.migrate import migrate
from registry.prefix import PrefixState
from registry.rights import Role
from registry.steward import Steward

READY_PATIENCE: Final = 60.0
"""Seconds a node may take from its processes' start to being ready before `up` says what it waits for."""
LOOK_SECONDS: Final = 0.05
"""Pause between two looks at whether the node is ready: nobody notices it, and it costs nothing."""
APPROVAL_PATIENCE: Final = 10.0
"""Seconds the top-level node may take to approve the sample prefixes before `up` says that it waits for that."""
SAMPLE_BATCH: Final = 500
BUSY_MOST: Final = 60
"""Times a busy node is asked again for the samples, a second apart: a low IDNODE_PEER_RATE makes it so."""
OFFICERS: Final = {
    "security": Role.SECURITY_ADMIN,
    "auditor": Role.AUDIT_ADMIN,
    "verifier": Role.VERIFIER,
    "reviewer": Role.REVIEWER,
}
"""Who works at the node of the sample world, beside its system administrator, by user name."""

Say = Callable[[str], None]


class UpError(Exception):
    """Why `up` cannot go on; one sentence, Chinese and English."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `up` was told beyond settings."""

    data: Path
    samples: bool


def _write_private(path: Path, content: Any) -> None:
    """Writes JSON readable by its owner only, all of it or nothing."""
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=2)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _locked(data: Path) -> IO[str]:
    """Held for as long as this process lives: another `up` on the same data must not take ready.json away from us."""
    lock = open(data / "up.lock", "w", encoding="utf-8")  # noqa: SIM115 - closed by whoever holds it
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UpError(
            f"数据目录{data}正被另一个up使用：请先停止它，或换一个--data。 "
            f"Another `up` is using the data folder {data}: stop it, or choose another --data."
        ) from None
    return lock


def _credentials(data: Path) -> dict[str, Any]:
    """What this world's accounts are proven by: drawn at the first start, kept for the next."""
    path = data / "credentials.json"
    with suppress(FileNotFoundError):
        known = _complete_credentials(path, json.loads(path.read_text(encoding="utf-8")))
        if "officers" not in known:  # written before there were any
            known["officers"] = _officers()
            _write_private(path, known)
        return known
    drawn: dict[str, Any] = {
        "secret_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "admin": {"username": "admin", "password": secrets.token_urlsafe(12)},
        "officers": _officers(),
        "enterprises": {
            each.prefix: {
                "password": secrets.token_urlsafe(12),
                "access_key": f"AK{secrets.token_hex(10)}",
                "secret_key": secrets.token_hex(20),
            }
            for each in ENTERPRISES
        },
    }
    _write_private(path, drawn)
    return drawn


def _officers() -> dict[str, str]:
    return {username: secrets.token_urlsafe(12) for username in OFFICERS}


def _complete_credentials(path: Path, known: Any) -> dict[str, Any]:
    """`known` if nothing a start needs is missing in it. Raises ValueError."""
    with suppress(LookupError, TypeError, AttributeError):
        texts = [known["secret_key"], known["admin"]["username"], known["admin"]["password"]]
        texts += [each[name] for each in _enterprises(known) for name in ("password", "access_key", "secret_key")]
        texts += [known["officers"][username] for username in OFFICERS if "officers" in known]
        if all(isinstance(text, str) for text in texts):
            return dict(known)
    raise ValueError(f"{path.name} is not what an earlier start has written")


async def _found_world(config: Config, known: dict[str, Any]) -> None:
    """Brings the schema up to date and enrols the sample world's enterprises, accounts and templates where missing.

    Under a top-level node new prefixes are pending until it has approved them.
    """
    connection = await connect(config.database_url, "idnode-up", None)
    await migrate(connection)
    await connection.close()
    pool = await open_pool(config.database_url, size=2, name="idnode-up")
    vault = Vault(config.key())
    steward, lookup = Steward(pool, vault, audit_octets=config.audit_octets), Lookup(pool)
    await _account(
        steward, Account(0, known["admin"]["username"], "person", Role.SYSTEM_ADMIN, None), known["admin"]["password"]
    )
    for username, role in OFFICERS.items():
        await _account(steward, Account(0, username, "person", role, None), known["officers"][username])
    filed = bool(config.toplevel_url)
    for each in ENTERPRISES:
        number = await steward.enrol(
            each.name, each.name_en, each.industry, each.prefix, particulars_of(each.prefix), filed=filed
        )
        mine = known["enterprises"][each.prefix]
        await _account(steward, Account(0, each.username, "person", Role.ENTERPRISE_ADMIN, number), mine["password"])
        if await steward.account(mine["access_key"]) is None:
            program = Account(0, mine["access_key"], "program", Role.ENTERPRISE_ADMIN, number)
            await steward.put_account(program, secret=vault.seal(program.username, mine["secret_key"]))
        for template in templates_for(each.industry, each.prefix):
            if await lookup.named_template(each.prefix, template.version) is None:
                await steward.add_template(template)
    await pool.close()


async def _decided(config: Config, say: Say) -> None:
    """Returns when the top-level node has decided on every sample prefix; says what it waits for when it takes long.

    At a later start that is so already, wherever the top-level node is.
    """
    pool = await open_pool(config.database_url, size=1, name="idnode-up")
    steward, began, told = Steward(pool), clock.monotonic(), False
    ours = {each.prefix for each in ENTERPRISES}
    try:
        while waiting := [
            row["prefix"]
            for row in await steward.filings()
            if row["prefix"] in ours and row["state"] in {PrefixState.PENDING, PrefixState.IN_REVIEW}
        ]:
            await asyncio.sleep(LOOK_SECONDS)
            if not told and clock.monotonic() - began > APPROVAL_PATIENCE:
                told = True
                names = "、".join(waiting)
                say(
                    f"等待国家顶级节点{config.toplevel_url}审核前缀{names} · "
                    f"waiting for the top-level node {config.toplevel_url} to approve {', '.join(waiting)}"
                )
    finally:
        await pool.close()


async def _missing_samples(config: Config) -> dict[str, list[SampleRecord]]:
    """The samples of open prefixes that were never registered: what was changed or deleted since stays as it is."""
    pool = await open_pool(config.database_url, size=1, name="idnode-up")
    lookup = Lookup(pool)
    missing = {each.prefix: await _never_registered(lookup, sample_records(each.prefix)) for each in ENTERPRISES}
    await pool.close()
    return missing


async def _never_registered(lookup: Lookup, records: list[SampleRecord]) -> list[SampleRecord]:
    stored = await lookup.look([Identifier.parse(record.identifier) for record in records])
    return [r for r, s in zip(records, stored, strict=True) if not s.version and PrefixState(s.state).open]


async def _account(steward: Steward, account: Account, password: str) -> None:
    if await steward.account(account.username) is None:
        await steward.put_account(account, password=hash_password(password))


def _enterprises(known: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "name": each.name,
            "industry": each.industry,
            "prefix": each.prefix,
            "username": each.username,
            **known["enterprises"][each.prefix],
        }
        for each in ENTERPRISES
    ]


def _ready(config: Config, known: dict[str, Any]) -> dict[str, Any]:
    """What ready.json says; faces that are not built yet are null."""
    return {
        "http": _url(config.host, config.http_port),
        "https": _url(config.host, config.https_port, "https"),
        "client_cert": _url(config.host, config.client_cert_port, "https") if config.client_cert_port else None,
        "native": {"host": config.host, "port": config.native_port} if config.native_port else None,
        "operator": _url(config.operator_host, config.operator_port),
        "toplevel": config.toplevel_url,
        "admin": known["admin"],
        "officers": [
            {"role": role, "username": username, "password": known["officers"][username]}
            for username, role in OFFICERS.items()
        ],
        "enterprises": _enterprises(known),
        "pid": os.getpid(),
        "started": clock.utc().isoformat(),
    }


def _url(host: str, port: int, scheme: str = "http") -> str:
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


async def _register_samples(base: str, known: dict[str, Any], missing: dict[str, list[SampleRecord]], say: Say) -> None:
    """Registers what is missing of the sample world through the front door, as a factory's system would."""
    registered = 0
    async with aiohttp.ClientSession(base) as session:
        for each in _enterprises(known):
            records = missing[each["prefix"]]
            if not records:
                continue
            token = await _post(
                session, "/identity/token", {"username": each["access_key"], "password": each["secret_key"]}
            )
            headers = {"Authorization": f"Bearer {token['token']}"}
            indexes = {t.version: {i.name: i.index for i in t.items} for t in templates_for(each["industry"], "")}
            rows = [_sample_row(r.identifier, r.template, r.values, indexes[r.template]) for r in records]
            for at in range(0, len(rows), SAMPLE_BATCH):
                results = await _post(session, "/identityv2/data/batchCreate", rows[at : at + SAMPLE_BATCH], headers)
                wrong = [r for r in results if r["msg"] not in {"success", "标识已存在"}]
                if wrong:
                    raise UpError(f"示例数据未被接受：{wrong[0]}。 The sample world was refused: {wrong[0]}.")
                registered += sum(r["msg"] == "success" for r in results)
    if registered:
        say(f"已注册{registered}个示例标识 · {registered} sample identifiers registered")


def _sample_row(identifier: str, template: str, values: dict[str, str], indexes: dict[str, int]) -> dict[str, Any]:
    value = [
        {"index": indexes[name], "type": name, "data": {"format": "string", "value": text}}
        for name, text in values.items()
    ]
    return {"handle": identifier, "templateVersion": template, "value": value}


async def _post(session: aiohttp.ClientSession, path: str, body: Any, headers: Any = None) -> Any:
    for _ in range(BUSY_MOST):
        async with session.post(path, json=body, headers=headers) as response:
            answer = await response.json()
        if response.status not in {429, 503}:
            break
        await asyncio.sleep(replies.BUSY_RETRY_SECONDS)
    if answer["status"] != 1:
        raise UpError(f"{path}: {answer['message']}")
    return answer["data"]


@asynccontextmanager
async def _beside_toplevel(config: Config, nursery: Nursery, sock: socket.socket | None) -> AsyncIterator[None]:
    """Keeps the simulated national top-level node alive on `sock` inside the block, which begins when it is ready."""
    if sock is None:
        yield
        return
    await toplevel.found_books(config)
    with sock:
        others = {asyncio.create_task(Keeper(config, nursery, sock).run()), asyncio.create_task(nursery.watch())}
        try:
            await beside(others, until_toplevel_ready(toplevel.url(config)))
            yield
        finally:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)


@asynccontextmanager
async def operator_door(config: Config, supervisor: Supervisor) -> AsyncIterator[None]:
    """Serves the operator port around a running supervisor."""
    sock = listening_socket(config.operator_host, config.operator_port, "--operator-port", shared=False)
    runner = web.AppRunner(operator_port.application(supervisor), access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, sock).start()
        yield
    finally:
        await runner.cleanup()
        sock.close()


async def until_ready(supervisor: Supervisor, say: Say) -> None:
    """Returns when the node is ready; says what it waits for when that takes long."""
    began = clock.monotonic()
    told = False
    while reasons := supervisor.reasons():
        await asyncio.sleep(LOOK_SECONDS)
        if not told and clock.monotonic() - began > READY_PATIENCE:
            told = True
            say(f"仍在等待：{'、'.join(reasons)} · still waiting for: {', '.join(reasons)}")


async def until_told(work: "asyncio.Task[None]") -> None:
    """Awaits `work` until it ends or the process is told to stop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    with suppress(asyncio.CancelledError):
        await work


async def up(config: Config, options: Options, nursery: Nursery, say: Say) -> None:
    """Runs everything until told to stop.

    Raises UpError, EmbeddedError, NurseryError, PortTakenError or RegistryError.
    """
    data = options.data
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = _locked(data)
        (data / "ready.json").unlink(missing_ok=True)
        known = _credentials(data)
        proven = _keyed(_proven(config, data), data)
    except (OSError, ValueError) as error:
        raise UpError(f"数据目录{data}不可用：{error}。 The data folder {data} cannot be used: {error}.") from None
    journal.open_(config.log_level)
    of_ours, config = not config.certificate, proven
    sockets, secure, native = listening_sockets(config), secure_sockets(config), native_sockets(config)
    client_cert = client_cert_sockets(config)
    top = None if config.toplevel_url else toplevel.listening(config)
    embedded = Embedded(data, database_url=config.database_url or None, redis_url=config.redis_url or None, say=say)
    servers = await embedded.start()
    watching = {asyncio.create_task(embedded.watch())}
    if of_ours:
        watching.add(asyncio.create_task(certificate.keep(data.resolve(), certificate.names(config))))
    try:
        config = _complete(config, servers, known, data)
        await _found_world(config, known)
        _write_private(
            data / "servers.json",
            {
                "database_url": config.database_url,
                "redis_url": config.redis_url,
                "secret_key": config.secret_key,
                "toplevel_url": config.toplevel_url,
                "log_folder": config.log_folder,
                "audit_octets": config.audit_octets,
                "files": config.files,
                "certificate": config.certificate,
                "certificate_key": config.certificate_key,
                "site_key": config.site_key,
                "pid": os.getpid(),
            },
        )
        supervisor = Supervisor(config, sockets, secure, native, client_cert)
        async with _beside_toplevel(config, nursery, top), operator_door(config, supervisor):
            running = asyncio.create_task(supervisor.run(nursery))

            async def open_() -> None:
                await until_ready(supervisor, say)
                await _decided(config, say)
                if options.samples:
                    missing = await _missing_samples(config)
                    await _register_samples(_url(config.host, config.http_port), known, missing, say)
                _write_private(data / "ready.json", _ready(config, known))
                say(_table(config, known, data))
                await asyncio.Event().wait()

            try:
                await beside({running, *watching}, open_())
            finally:
                (data / "ready.json").unlink(missing_ok=True)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
    finally:
        (data / "servers.json").unlink(missing_ok=True)
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        await embedded.stop()
        lock.close()


async def beside(others: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    """Awaits `work` while the `others`, which shall never end, run; what one of them ended with is raised."""
    mine = asyncio.ensure_future(work)
    try:
        await asyncio.wait({mine, *others}, return_when=asyncio.FIRST_COMPLETED)
        for task in (mine, *others):
            if task.done():
                task.result()
    finally:
        mine.cancel()
        await asyncio.gather(mine, return_exceptions=True)


def _proven(config: Config, data: Path) -> Config:
    """With a certificate of its own in the data folder where none is set. Raises OSError or CertificateError."""
    if config.certificate:
        certificate.read(config)
        return config
    made, key = certificate.own(data.resolve(), certificate.names(config), clock.utc())
    return replace(config, certificate=str(made), certificate_key=str(key))


def _keyed(config: Config, data: Path) -> Config:
    """With a site key of its own in the data folder where none is set. Raises OSError or SiteKeyError."""
    keyed = replace(config, site_key=config.site_key or str(site_key.own(data.resolve())))
    site_key.read(keyed.site_key)
    return keyed


def _complete(config: Config, servers: Servers, known: dict[str, Any], data: Path) -> Config:
    return replace(
        config,
        database_url=servers.database_url,
        redis_url=servers.redis_url,
        secret_key=config.secret_key or known["secret_key"],
        second_factor="enrolled" if config.second_factor == "auto" else config.second_factor,
        toplevel_url=config.toplevel_url or toplevel.url(config),
        prefix=SECONDARY,
        files=config.files or str(data.resolve() / "files"),
        # Another node of this machine, tried out beside this one, is found on loopback.
        forward_networks=config.forward_networks or "127.0.0.0/8",
        log_folder=str(data.absolute() / "log" if config.log_folder == Config.log_folder else config.log_folder),
    )


def _table(config: Config, known: dict[str, Any], data: Path) -> str:
    """What to open and try, for people."""
    base = config.public_url or _url(config.host, config.http_port)
    leather = _enterprises(known)[0]
    sample = f"{leather['prefix']}/BAG-2026-000017"
    texts = {"styleNo": "TOTE-01", "articleType": "手袋", "colour": "酒红"}
    indexes = {i.name: i.index for t in templates_for("leather", "") if t.version == "leather-handbag" for i in t.items}
    row = json.dumps(
        _sample_row(f"{leather['prefix']}/BAG-MINE-000001", "leather-handbag", texts, indexes),
        ensure_ascii=False,
        separators=(",", ":"),
    )
    return f"""
  二级节点 {config.prefix} 已就绪 · secondary node {config.prefix} is ready          Ctrl-C 停止 · stops it

  打开 · open       {base}/{sample}
  解析 · resolve    curl '{base}/api/handles/{sample}?pretty'
  登录 · sign in    TOKEN=$(curl -s {base}/identity/token -d '{{"username":"{leather["username"]}","password":"{
        leather["password"]
    }"}}' | cut -d'"' -f12)
  注册 · register   curl {base}/identityv2/data -H "Authorization: Bearer $TOKEN" -d '{row}'
  Handle           {f"{config.host}:{config.native_port}  TCP, UDP" if config.native_port else "–"}
  HTTPS            {_url(config.host, config.https_port, "https")}  (curl --cacert {config.certificate})
  运维 · operator   {_url(config.operator_host, config.operator_port)}/health/ready 和 · and /metrics
  顶级 · top level  {config.toplevel_url}
  账号 · accounts   {data / "ready.json"}
"""
