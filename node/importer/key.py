"""The verb `key add`: a public key comes to lie in an identifier, where the Handle system looks for it.

A client like any other: the node judges whether whoever signs in may do that.
"""

import argparse
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import msgspec

from node.clock import monotonic
from node.importer import client, run
from node.importer.problem import Problem, speaks_chinese
from node.importer.progress import Progress
from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import Identifier, prefix_of
from proto.keys import public
from registry.editing import keyholder

PATH: Final = "/api/handles/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `idnode key add` to `parser`."""
    add = parser.add_argument
    add(
        "identifier",
        metavar="HANDLE",
        help="密钥所在的标识，没有则登记 · where the key shall lie; made where there is none",
    )
    add("index", type=int, metavar="INDEX", help="值的索引 · index of the value")
    add("file", type=Path, metavar="PUBLIC_KEY.pem", help="公钥 · the public key: RSA, DSA, P-256, SM2")
    add(
        "--certificate",
        action="store_true",
        help="文件为客户端证书，其主体的UID或CN为INDEX:HANDLE · the file is a client's certificate, whose subject says "
        "INDEX:HANDLE as UID or CN",
    )
    add("--replace", action="store_true", help="替换该索引上的值 · replace what is there at that index")
    add("--enterprise", help="企业；省略则取标识的前缀 · default: the prefix of the identifier")
    run.add_sign_in(parser)


async def run_add(arguments: argparse.Namespace) -> int:
    """`idnode key add`. Returns 0 when the key is there, 2 when it is not, with one sentence."""
    shown = Progress(sys.stderr, speaks_chinese(), monotonic)
    return await run.finished(_add(arguments, shown), shown)


async def _add(arguments: argparse.Namespace, shown: Progress) -> int:
    identifier = Identifier.parse(arguments.identifier)
    arguments.enterprise = arguments.enterprise or prefix_of(identifier)
    key = read(arguments.file, f"{arguments.index}:{identifier}" if arguments.certificate else "")
    data = {"format": "base64", "value": b64encode(public.to_octets(key)).decode()}
    value = {"index": arguments.index, "type": "HS_PUBKEY", "data": data}
    async with aiohttp.ClientSession() as session:
        node = client.Node(session, run.access_of(arguments), shown.say)
        await node.reach()
        await node.sign_in()
        await deposit(node, identifier, value, replace=arguments.replace)
    print(f"{arguments.index}:{identifier}  {public.kind(key)}  {public.fingerprint(key).hex()}")
    return 0


async def deposit(node: client.Node, identifier: Identifier, value: dict[str, Any], *, replace: bool) -> None:
    """Puts one value, in the JSON of the Handle HTTP API, into an identifier, which is made where there is none; what
    is there at its index only when it is to be replaced. Raises Problem.
    """
    path, body = PATH + quote(str(identifier)), msgspec.json.encode([value])
    try:
        await node.put(path, {"index": str(value["index"]), "overwrite": "true" if replace else "false"}, body)
    except Problem as problem:
        if problem.code != ResponseCode.HANDLE_NOT_FOUND:
            raise
        await node.put(path, {"overwrite": "false"}, body)


def read(path: Path, holder: str = "") -> public.Key:
    """The public key in a file of PEM, of a certificate for `holder` where one is named. Raises Problem."""
    try:
        with path.open("rb") as file:
            octets = file.read(public.KEY_OCTETS + 1)
        return _certified(octets, holder) if holder else public.of_pem(octets)
    except OSError as error:
        raise Problem(f"读不了文件{path}：{error}", f"cannot read {path}: {error}") from None
    except ProtoError as error:
        raise Problem(f"{path}：{error.zh}", f"{path}: {error.en}") from None


def _certified(octets: bytes, holder: str) -> public.Key:
    """Raises ProtoError where nobody could sign in as `holder` by this certificate: its key would lie there in vain."""
    key, said = public.of_certificate(octets)
    if not _is_same(said, holder):
        raise ProtoError("subject", f"证书属于“{said}”，而非“{holder}”", f'it is for "{said}", not for "{holder}"')
    return key


def _is_same(one: str, other: str) -> bool:
    try:
        return keyholder(one) == keyholder(other)
    except ProtoError:
        return False
