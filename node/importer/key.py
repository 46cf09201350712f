"""The verb `key add`: a public key comes to lie in an identifier, where the Handle system looks for it.

A client like any other: the node judges whether whoever signs in may do that.
"""

import argparse
import sys
from base64 import b64encode
from pathlib import Path
from typing import Final
from urllib.parse import quote

import aiohttp
import msgspec

from node.clock import monotonic
from node.importer import client, run
from node.importer.problem import Problem, speaks_chinese
from node.importer.progress import Progress
from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.keys import public

_PATH: Final = "/api/handles/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `idnode key add` to `parser`."""
    add = parser.add_argument
    add(
        "identifier",
        metavar="HANDLE",
        help="密钥所在的标识，没有则登记 · where the key shall lie; made where there is none",
    )
    add("index", type=int, metavar="INDEX", help="值的索引 · index of the value")
    add("file", type=Path, metavar="PUBLIC_KEY.pem", help="公钥 · the public key: RSA, DSA, SM2")
    add("--replace", action="store_true", help="替换该索引上的值 · replace what is there at that index")
    add("--enterprise", help="企业；省略则取标识的前缀 · default: the prefix of the identifier")
    run.add_sign_in(parser)


async def run_add(arguments: argparse.Namespace) -> int:
    """`idnode key add`. Returns 0 when the key is there, 2 when it is not, with one sentence."""
    shown = Progress(sys.stderr, speaks_chinese(), monotonic)
    return await run.finished(_add(arguments, shown), shown)


async def _add(arguments: argparse.Namespace, shown: Progress) -> int:
    identifier = Identifier.parse(arguments.identifier)
    arguments.enterprise = arguments.enterprise or identifier.prefix_key
    key = _read(arguments.file)
    data = {"format": "base64", "value": b64encode(public.to_octets(key)).decode()}
    body = msgspec.json.encode([{"index": arguments.index, "type": "HS_PUBKEY", "data": data}])
    path = _PATH + quote(str(identifier))
    over = "true" if arguments.replace else "false"
    async with aiohttp.ClientSession() as session:
        node = client.Node(session, run.access_of(arguments), shown.say)
        await node.reach()
        await node.sign_in()
        try:
            await node.put(path, {"index": str(arguments.index), "overwrite": over}, body)
        except Problem as problem:
            if problem.code != ResponseCode.HANDLE_NOT_FOUND:
                raise
            await node.put(path, {"overwrite": "false"}, body)
    print(f"{arguments.index}:{identifier}  {public.kind(key)}  {public.fingerprint(key).hex()}")
    return 0


def _read(path: Path) -> public.Key:
    try:
        with path.open("rb") as file:
            return public.of_pem(file.read(public.KEY_OCTETS + 1))
    except OSError as error:
        raise Problem(f"读不了文件{path}：{error}", f"cannot read {path}: {error}") from None
    except ProtoError as error:
        raise Problem(f"{path}：{error.zh}", f"{path}: {error.en}") from None
