"""The verbs that ask a node what everybody may: `resolve`, `verify`."""

import argparse
from typing import Final
from urllib.parse import quote

import aiohttp

from node.importer import verify
from node.verbs import given
from node.verbs.shell import Verbs, running, say, unreachable, with_data
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.trust import Root

SENTENCES: Final = given.SENTENCES


async def _resolve(arguments: argparse.Namespace) -> int:
    identifier = Identifier.parse(arguments.identifier)
    base = arguments.url or running(arguments.data)
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{base}/api/handles/{quote(str(identifier))}?pretty") as response,
        ):
            say(await response.text())
            return int(response.status != 200)
    except aiohttp.ClientError as error:
        raise unreachable(error) from None


async def _verify(arguments: argparse.Namespace) -> int:
    roots = frozenset(arguments.root) or given.config(arguments).roots
    return await verify.run(
        arguments.url or running(arguments.data), Identifier.parse(arguments.identifier), roots, say
    )


def _root(text: str) -> Root:
    try:
        return Root.parse(text)
    except ProtoError as error:
        raise argparse.ArgumentTypeError(f"{error.zh}。 {error.en}.") from None


def _add_resolve(made: argparse.ArgumentParser) -> None:
    with_data(made).set_defaults(run=_resolve)
    made.add_argument("identifier")
    made.add_argument("--url")


def _add_verify(made: argparse.ArgumentParser) -> None:
    with_data(made).set_defaults(run=_verify)
    made.add_argument("identifier")
    made.add_argument("--url")
    text = "受信的根，可重复；省略则取IDNODE_TRUST_ROOTS · a trusted root, repeatable; default: IDNODE_TRUST_ROOTS"
    made.add_argument("--root", type=_root, action="append", default=[], metavar="HANDLE=FINGERPRINT", help=text)


VERBS: Final[Verbs] = {"resolve": _add_resolve, "verify": _add_verify}
