"""The verb `verify`: whether the public values of an identifier are as somebody trusted said, told to people.

Asks a node for records and nothing else; it is judged here, by the roots of whoever asks.
"""

from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote

import aiohttp

from node import clock, verifier
from node.importer.key import PATH
from node.importer.problem import Problem
from node.verifier import Proven
from proto import trust, web_reply
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.keys import public
from proto.trust import Finding, Root, Trust
from proto.value import Value
from proto.values.claims import Certificate, Term, named
from proto.web_json import moment
from proto.web_reply import Missing, Told

SECONDS: Final = aiohttp.ClientTimeout(total=30)
"""Longest wait for one answer: the node itself waits for others no longer than some seconds."""

_TRUST: Final = {Trust.TRUSTED: "可信 trusted", Trust.UNTRUSTED: "不可信 untrusted", Trust.UNKNOWN: "未知 unknown"}
REASONS: Final = {
    Finding.PROVEN: ("签名有效，证书链止于受信的根", "signed, and its chain of certificates ends with a trusted root"),
    Finding.NO_ROOTS: (
        "没有设置受信的根：IDNODE_TRUST_ROOTS或--root",
        "no root is trusted: set IDNODE_TRUST_ROOTS, or name one by --root",
    ),
    Finding.UNSIGNED: ("没有签名", "it is not signed"),
    Finding.NOT_COVERED: ("有的值没有签名", "some of its values are not signed"),
    Finding.CHAIN_INCOMPLETE: ("找不到签名者的证书", "a certificate of who signed cannot be found"),
    Finding.OTHER_IDENTIFIER: ("签名属于另一标识", "the signature is another identifier's"),
    Finding.CHANGED: ("签名之后值有变更", "values were changed after they were signed"),
    Finding.OUT_OF_TERM: ("签名或证书不在有效期内", "the signature or a certificate is not within its term"),
    Finding.WRONG_SIGNATURE: ("签名与证书中的密钥不符", "the signature is not by the key that is certified"),
    Finding.NOT_PERMITTED: ("证书不允许为该标识签名", "a certificate does not permit to sign this identifier"),
    Finding.OTHER_ROOT: ("证书链止于不受信的根", "the chain of certificates ends with a root that is not trusted"),
}


async def run(base: str, identifier: Identifier, roots: frozenset[Root], say: Callable[[str], None]) -> int:
    """Tells what is found by the node whose URLs begin with `base`. Returns 0 for what is trusted, else 1; 2 when it
    could not be asked.
    """
    try:
        proven = await _verified(base, identifier, roots)
    except Problem as problem:
        say(f"{problem.zh}。 {problem.en}.")
        return 2
    for line in _lines(identifier, proven):
        say(line)
    return int(proven.finding.trust is not Trust.TRUSTED)


async def _verified(base: str, identifier: Identifier, roots: frozenset[Root]) -> Proven:
    async with aiohttp.ClientSession(timeout=SECONDS) as session:

        async def look(of: Identifier) -> tuple[Value, ...]:
            return await _public(session, base, of) or ()

        told = await _public(session, base, identifier)
        if told is None:
            raise Problem(f"没有标识{identifier}", f"there is no identifier {identifier}")
        proven = await verifier.verify(identifier, told, trust.signatures(told), look, roots, clock.seconds())
    without = not roots and proven.finding is Finding.OTHER_ROOT
    return proven._replace(finding=Finding.NO_ROOTS) if without else proven


async def _public(session: aiohttp.ClientSession, base: str, identifier: Identifier) -> tuple[Value, ...] | None:
    """What everybody is told of an identifier; None where there is none. Raises Problem."""
    url = f"{base}{PATH}{quote(str(identifier), safe='')}"
    try:
        async with session.get(url, allow_redirects=False) as response:
            reply = web_reply.read(response.status, await response.read(), identifier)
    except ProtoError:
        raise Problem(f"读不了标识{identifier}", f"{identifier} cannot be read") from None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Problem(f"连不上节点{base}：{error}", f"cannot reach {base}: {error}") from None
    if isinstance(reply, Told):
        return reply.values
    if isinstance(reply, Missing):
        return None
    raise Problem(f"标识{identifier}不在该节点", f"{identifier} does not live there")


def _lines(identifier: Identifier, proven: Proven) -> Iterator[str]:
    finding, claim, chain = proven
    zh, en = REASONS[finding]
    yield f"{_TRUST[finding.trust]}  {identifier}"
    yield f"  {zh}。 {en}."
    if claim is not None:
        indexes = ", ".join(str(index) for index, _ in claim.digests)
        yield f"  HS_SIGNATURE  {named(claim.issuer)}  {claim.jws.algorithm}  {indexes}  {_until(claim.term)}"
    for each in chain:
        yield f"  HS_CERT  {named(each.subject)}  {_may(each)}  ← {named(each.issuer)}  {_until(each.term)}"
    if chain and chain[-1].self_signed:
        yield f"  根 root  {Root(chain[-1].subject.handle, public.fingerprint(chain[-1].key))}"


def _may(certificate: Certificate) -> str:
    return ", ".join(f"{what}:{of}" if of else what for what, of in certificate.permissions)


def _until(term: Term) -> str:
    return "" if term.expires is None else f"至 until {moment(term.expires)}"
