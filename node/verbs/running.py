"""The verbs that run: `up`, `serve`, `toplevel`."""

import argparse
import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import aiohttp

from node import certificate, journal, site_key, up
from node import config as settings
from node.config import Config
from node.embedded import EmbeddedError
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
from node.verbs import given
from node.verbs.shell import Run, UsageError, Verbs, say, unreachable, with_data
from registry.errors import UnavailableError
from registry.postgres.connection import connect
from registry.postgres.migrate import current, migrations

BORN: Final = {"up": (WORKER, FOLLOWER, UPLINK, keeper.MODULE), "serve": (WORKER, FOLLOWER)}
"""Modules of the processes that are born to a node, by verb; of some nodes others, too, and those are loaded then."""
SENTENCES: Final = (
    *given.SENTENCES,
    certificate.CertificateError,
    site_key.SiteKeyError,
    EmbeddedError,
    NurseryError,
    PortTakenError,
    up.UpError,
)


@contextmanager
def _nursery(arguments: argparse.Namespace) -> Iterator[None]:
    """What a verb that runs a node has its processes from, as `arguments.nursery`."""
    with Nursery.opened(*BORN[arguments.verb]) as arguments.nursery:
        yield


async def _up(arguments: argparse.Namespace) -> int:
    options = up.Options(arguments.data, not arguments.no_samples)
    try:
        await up.until_told(asyncio.create_task(up.up(given.config(arguments), options, arguments.nursery, say)))
    except aiohttp.ClientError as error:
        raise unreachable(error) from None
    return 0


async def _serve(arguments: argparse.Namespace) -> int:
    config = given.config(arguments)
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
    config = given.config(arguments)
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


def _runs(run: Run, verb: str) -> Callable[[argparse.ArgumentParser], None]:
    def add(made: argparse.ArgumentParser) -> None:
        for flag in given.SETTING_FLAGS[verb]:
            kind = int if isinstance(Config.__dataclass_fields__[flag].default, int) else str
            made.add_argument(f"--{flag.replace('_', '-')}", type=kind)
        made.set_defaults(run=run)
        if verb in BORN:
            made.set_defaults(around=_nursery)

    return add


def _add_up(made: argparse.ArgumentParser) -> None:
    _runs(_up, "up")(made)
    with_data(made).add_argument("--no-samples", action="store_true", help="不注册示例 · no sample products")


VERBS: Final[Verbs] = {"up": _add_up, "serve": _runs(_serve, "serve"), "toplevel": _runs(_toplevel, "toplevel")}
