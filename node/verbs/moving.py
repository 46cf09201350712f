"""A prefix that moves from node to node: `export`, and what `import` and `enterprise erase` do with it."""

import argparse
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from node import audit_verbs, clock
from node.config import Config
from node.verbs import given
from node.verbs.shell import UsageError, Verbs, say, with_data
from proto.identifier import Prefix
from proto.signed import KEY_OCTETS, public_key
from registry import mover, parcel
from registry.account import Vault
from registry.postgres.connection import connected
from registry.steward import Steward

SENTENCES: Final = (*given.SENTENCES, parcel.ParcelError)


async def _export(arguments: argparse.Namespace) -> int:
    """Packs a prefix into a file only its owner may read; what is there when it is interrupted is no parcel."""
    config, prefix, who = given.with_servers(arguments), Prefix(arguments.prefix).name, audit_verbs.shell()
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


async def take_in(arguments: argparse.Namespace) -> int:
    """`idnode import` of a prefix that moved out of another node: it is taken into the database."""
    config = given.with_servers(arguments)
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


async def erase(config: Config, steward: Steward, arguments: argparse.Namespace) -> int:
    """`idnode enterprise erase`."""
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


def _add_export(made: argparse.ArgumentParser) -> None:
    with_data(made).set_defaults(run=_export)
    made.add_argument("prefix")
    made.add_argument("file", type=Path)
    made.add_argument("--to", metavar="NODE", required=True, help="迁往的节点的前缀 · prefix of the node it moves to")


VERBS: Final[Verbs] = {"export": _add_export}
