"""The verbs `sign` and `certify`: HS_SIGNATURE and HS_CERT are made here and come to lie in identifiers.

Private keys are read where this runs and go nowhere. A client like any other: the node judges whether whoever signs in
may write there; whether a claim is believed says proto/trust.py.
"""

import argparse
import getpass
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

import aiohttp

from node import clock
from node.importer import client, key, run
from node.importer.problem import Problem, speaks_chinese
from node.importer.progress import Progress
from proto import trust
from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import PREFIX_HANDLES, Identifier, prefix_of
from proto.keys import public
from proto.keys.private import FILE_OCTETS, PrivateKey
from proto.trust import PERMISSIONS, Root
from proto.value import Reference, Value
from proto.values import claims
from proto.values.claims import Signature, Term
from proto.web_json import value_from_json
from registry.editing import keyholder

INDEX: Final = 400
"""Where signatures and certificates usually lie."""
DAYS: Final = 365
DAYS_MOST: Final = 36_500
"""A hundred years: what ends later is meant never to end."""
SKEW_SECONDS: Final = 600
"""A term begins so long before it is made: clocks of other nodes may be behind."""

Work = Callable[[argparse.Namespace, client.Node], Awaitable[None]]


def add_sign_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `idnode sign` to `parser`."""
    parser.add_argument("identifier", metavar="HANDLE", help="要签名的标识 · the identifier to sign")
    help_ = "只签这些索引的值；省略则全部公开的值 · sign these values alone; default: all public ones"
    parser.add_argument("--only", type=int, nargs="+", metavar="INDEX", help=help_)
    _add_common(parser)


def add_certify_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `idnode certify` to `parser`."""
    add = parser.add_argument
    add(
        "subject", metavar="INDEX:HANDLE", help="为谁的密钥作证，证书放在该标识 · whose key; the certificate lies there"
    )
    help_ = "其公钥；为自己作证时可省略 · the public key; not needed where somebody certifies himself"
    add("file", type=Path, nargs="?", metavar="PUBLIC_KEY.pem", help=help_)
    help_ = (
        "可签名的范围，如handlesUnderThisPrefix:0.NA/88.999.1001；省略则为其前缀下的标识，自签则为everything · "
        "what it may sign; default: what lies under its prefix, of who certifies himself everything"
    )
    add("--may", nargs="+", metavar="WHAT[:HANDLE]", help=help_)
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--by", required=True, metavar="INDEX:HANDLE", help="以谁的名义 · in whose name, such as 301:88.999.1001/ADMIN")
    help_ = "其私钥（PEM或Handle.Net的.bin） · that key: PEM, or a file of Handle.Net"
    add("--key", required=True, type=Path, metavar="PRIVATE_KEY", help=help_)
    help_ = "私钥有口令：提示输入，或读标准输入一行 · the key has a passphrase: asked for, or read from standard input"
    add("--passphrase", action="store_true", help=help_)
    add("--days", type=_days, default=DAYS, metavar="N", help=f"有效天数（{DAYS}） · days it holds")
    add("--index", type=int, default=INDEX, metavar="N", help=f"放在哪个索引（{INDEX}） · index it lies at")
    add("--replace", action="store_true", help="替换该索引上的值 · replace what is there at that index")
    add("--enterprise", help="企业；省略则取标识的前缀 · default: the prefix of the identifier")
    run.add_sign_in(parser)


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= DAYS_MOST:
        raise argparse.ArgumentTypeError(f"1…{DAYS_MOST}")
    return int(text)


async def run_sign(arguments: argparse.Namespace) -> int:
    """`idnode sign`. Returns 0 when the signature is there, 2 when it is not, with one sentence."""
    return await _run(arguments, Identifier.parse(arguments.identifier), _sign)


async def run_certify(arguments: argparse.Namespace) -> int:
    """`idnode certify`. Returns 0 when the certificate is there, 2 when it is not, with one sentence."""
    return await _run(arguments, Identifier.parse(keyholder(arguments.subject).handle), _certify)


async def _run(arguments: argparse.Namespace, identifier: Identifier, work: Work) -> int:
    shown = Progress(sys.stderr, speaks_chinese(), clock.monotonic)
    arguments.enterprise = arguments.enterprise or prefix_of(identifier)
    return await run.finished(_signed_in(arguments, shown, work), shown)


async def _signed_in(arguments: argparse.Namespace, shown: Progress, work: Work) -> int:
    async with aiohttp.ClientSession() as session:
        node = client.Node(session, run.access_of(arguments), shown.say)
        await node.reach()
        await node.sign_in()
        await work(arguments, node)
    return 0


async def _sign(arguments: argparse.Namespace, node: client.Node) -> None:
    identifier, by, signer = Identifier.parse(arguments.identifier), keyholder(arguments.by), _signer(arguments)
    values = _chosen(await _public(node, identifier), arguments.only)
    algorithm = "SM3" if public.kind(signer.public()) == "SM2" else "SHA-256"
    data = claims.signature(by, identifier, values, _term(arguments), signer, algorithm)
    await _deposit(arguments, node, identifier, "HS_SIGNATURE", data)
    indexes = ",".join(str(value.index) for value in values)
    print(f"{arguments.index}:{identifier}  HS_SIGNATURE  {indexes}  {claims.named(by)}")
    if not await _certified(node, by, Signature.from_octets(data)):
        name = claims.named(by)
        print(
            f"{name}还没有这把密钥的证书，请用idnode certify。 {name} has no certificate of this key: idnode certify."
        )


def _chosen(values: tuple[Value, ...], only: list[int] | None) -> tuple[Value, ...]:
    """Those that are signed: a digest of what is not public would help whoever guesses it."""
    chosen = tuple(v for v in values if trust.is_covered(v) and (only is None or v.index in only))
    missing = sorted(set(only or ()) - {value.index for value in chosen})
    if missing:
        raise Problem(f"没有公开的值{missing}", f"there are no public values {missing}")
    if not chosen:
        raise Problem("该标识没有公开的值可签名", "the identifier has no public values to sign")
    return chosen


async def _public(node: client.Node, identifier: Identifier) -> tuple[Value, ...]:
    told = await node.get(key.PATH + quote(str(identifier)), {"publicOnly": "true"})
    return tuple(value_from_json(each) for each in told["values"])


async def _certified(node: client.Node, by: Reference, claim: Signature) -> bool:
    """Whether there is a certificate of the key that signed, so that somebody may find whose it is."""
    try:
        found = trust.issuer_of(claim, await _public(node, Identifier.parse(by.handle)))
    except Problem as problem:
        if problem.code == ResponseCode.HANDLE_NOT_FOUND:
            return False
        raise
    return found is not None and claim.jws.signed_with(found.key)


async def _certify(arguments: argparse.Namespace, node: client.Node) -> None:
    subject, by, signer = keyholder(arguments.subject), keyholder(arguments.by), _signer(arguments)
    own = subject == by
    if arguments.file is None and not own:
        raise Problem("请给出要作证的公钥文件", "name the file of the public key to certify")
    held = signer.public() if arguments.file is None else key.read(arguments.file)
    data = claims.certificate(by, subject, held, _permissions(arguments, subject, own), _term(arguments), signer)
    await _deposit(arguments, node, Identifier.parse(subject.handle), "HS_CERT", data)
    print(f"{arguments.index}:{subject.handle}  HS_CERT  {claims.named(subject)}  {public.kind(held)}")
    if own:
        print(f"IDNODE_TRUST_ROOTS={Root(subject.handle, public.fingerprint(held))}")


def _permissions(arguments: argparse.Namespace, subject: Reference, own: bool) -> tuple[tuple[str, str], ...]:
    prefix = prefix_of(Identifier.parse(subject.handle))
    usual = "everything" if own else f"handlesUnderThisPrefix:{PREFIX_HANDLES}/{prefix}"
    found = [each.partition(":") for each in arguments.may or [usual]]
    unknown = [what for what, _, _ in found if what not in PERMISSIONS]
    if unknown:
        known = ", ".join(PERMISSIONS)
        raise Problem(f"--may应为{known}之一，而非{unknown[0]}", f"--may must be one of {known}, not {unknown[0]}")
    return tuple((what, of) for what, _, of in found)


def _term(arguments: argparse.Namespace) -> Term:
    now = clock.seconds()
    return Term(now - SKEW_SECONDS, now + arguments.days * 86_400, now)


async def _deposit(
    arguments: argparse.Namespace, node: client.Node, identifier: Identifier, type_: str, data: bytes
) -> None:
    value = {"index": arguments.index, "type": type_, "data": {"format": "string", "value": data.decode()}}
    await key.deposit(node, identifier, value, replace=arguments.replace)


def _signer(arguments: argparse.Namespace) -> PrivateKey:
    path = arguments.key
    passphrase = _passphrase().encode() if arguments.passphrase else None
    try:
        with path.open("rb") as file:
            return PrivateKey.read(file.read(FILE_OCTETS + 1), passphrase)
    except OSError as error:
        raise Problem(f"读不了文件{path}：{error}", f"cannot read {path}: {error}") from None
    except ProtoError as error:
        raise Problem(f"{path}：{error.zh}", f"{path}: {error.en}") from None


def _passphrase() -> str:
    return getpass.getpass("口令 passphrase: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
