"""Whether the values of a record are as somebody trusted said: HS_SIGNATURE, and the chain of HS_CERT to a root.

Pure: who wants to know loads the certificates step by step, `issuer_of` says which one is next.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from enum import Enum
from typing import Final, NamedTuple, Self, TypeVar

from proto.errors import ProtoError
from proto.identifier import PREFIX_HANDLES, Identifier, fold, prefix_of
from proto.keys import public
from proto.value import Value
from proto.values.claims import Certificate, Signature, digest

CHAIN_MOST: Final = 8
"""Longest chain: the country, the top-level node, this node and an enterprise are four."""
SIGNATURES_MOST: Final = 8
"""Signatures of one record, and certificates of one issuer, that are looked at: deployed records have one, perhaps a
second while keys change. Each may cost some milliseconds."""

_PREFIX: Final = f"{PREFIX_HANDLES}/"
_FINGERPRINT: Final = re.compile(r"[0-9A-Fa-f]{64}")
Claim = TypeVar("Claim", Signature, Certificate)


class Trust(Enum):
    """What a trusted query answers."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    UNKNOWN = "unknown"


class Finding(Enum):
    """What was found, in a word for the journal, and what it means."""

    PROVEN = "proven", Trust.TRUSTED
    NO_ROOTS = "no_roots", Trust.UNKNOWN
    UNSIGNED = "unsigned", Trust.UNKNOWN
    NOT_COVERED = "not_covered", Trust.UNKNOWN
    CHAIN_INCOMPLETE = "chain_incomplete", Trust.UNKNOWN
    OTHER_IDENTIFIER = "other_identifier", Trust.UNTRUSTED
    CHANGED = "changed", Trust.UNTRUSTED
    OUT_OF_TERM = "out_of_term", Trust.UNTRUSTED
    WRONG_SIGNATURE = "wrong_signature", Trust.UNTRUSTED
    NOT_PERMITTED = "not_permitted", Trust.UNTRUSTED
    OTHER_ROOT = "other_root", Trust.UNTRUSTED

    @property
    def word(self) -> str:
        """For the journal."""
        return self.value[0]

    @property
    def trust(self) -> Trust:
        """What a trusted query answers."""
        return self.value[1]


class Root(NamedTuple):
    """Who is trusted by setting: the identifier whose key it is, as kept, and the key's fingerprint."""

    handle: str
    fingerprint: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """As it is set: `88/ROOT=` and the fingerprint in hexadecimal characters. Raises ProtoError."""
        handle, _, digits = text.rpartition("=")
        if not _FINGERPRINT.fullmatch(digits):
            raise ProtoError("root", "根应形如88/ROOT=指纹", "a root must look like 88/ROOT=fingerprint")
        return cls(Identifier.parse(handle).key, bytes.fromhex(digits))

    def __str__(self) -> str:
        return f"{self.handle}={self.fingerprint.hex()}"


def signatures(values: Iterable[Value]) -> list[Signature]:
    """Those of a record that can be read."""
    return list(_readable(values, "HS_SIGNATURE", Signature.from_octets))


def is_signature(value: Value) -> bool:
    """Whether it signs others."""
    return fold(value.type) == "HS_SIGNATURE"


def is_covered(value: Value) -> bool:
    """Whether signatures are about it: not about themselves."""
    return fold(value.type) not in {"HS_SIGNATURE", "HS_CERT"}


def issuer_of(claim: Signature | Certificate, values: Iterable[Value]) -> Certificate | None:
    """The certificate among `values`, those of the identifier `claim.issuer.handle`, of whoever signed `claim`; if none
    is, one of whom the claim names.
    """
    named = [each for each in _readable(values, "HS_CERT", Certificate.from_octets) if each.subject == claim.issuer]
    return next((each for each in named if claim.jws.signed_with(each.key)), next(iter(named), None))


def _readable(values: Iterable[Value], type_: str, read: Callable[[bytes], Claim]) -> Iterator[Claim]:
    for value in [each for each in values if fold(each.type) == type_][:SIGNATURES_MOST]:
        with suppress(ProtoError):  # one that is no good hides no good one
            yield read(value.data)


def judge(
    identifier: Identifier,
    values: Collection[Value],
    claim: Signature | None,
    chain: Sequence[Certificate],
    roots: Collection[Root],
    now: int,
) -> Finding:
    """What `claim` says of `values`, those told of `identifier`; values that only sign are left out.

    `chain` begins with the certificate of who made the claim and ends with a root; `now` is in seconds since 1970 UTC.
    """
    if claim is None:
        return Finding.UNSIGNED
    if claim.subject != identifier.key:
        return Finding.OTHER_IDENTIFIER
    return _covered(values, claim) or _vouched(identifier, claim, chain[:CHAIN_MOST], roots, now)


def best(findings: Iterable[Finding]) -> Finding:
    """What is found of a record with several signatures: one that holds is enough, and one that is broken says more
    than one of which nothing is known.
    """
    order = (Trust.UNKNOWN, Trust.UNTRUSTED, Trust.TRUSTED)
    return max(findings, key=lambda each: order.index(each.trust), default=Finding.UNSIGNED)


def _covered(values: Collection[Value], claim: Signature) -> Finding | None:
    said = dict(claim.digests)
    told = [value for value in values if is_covered(value)]
    if any(said.get(v.index, b"") != digest(v, claim.algorithm) for v in told if v.index in said):
        return Finding.CHANGED
    return None if all(value.index in said for value in told) else Finding.NOT_COVERED


def _vouched(
    identifier: Identifier, claim: Signature, chain: Sequence[Certificate], roots: Collection[Root], now: int
) -> Finding:
    below: Signature | Certificate = claim
    for each in chain:
        if below.issuer != each.subject or not below.jws.signed_with(each.key):
            return Finding.WRONG_SIGNATURE
        if not (below.term.holds(now) and each.term.holds(now)):
            return Finding.OUT_OF_TERM
        if not permits(each.permissions, identifier):
            return Finding.NOT_PERMITTED
        if Root(each.subject.handle, public.fingerprint(each.key)) in roots:
            return Finding.PROVEN
        if each.self_signed:
            return Finding.OTHER_ROOT
        below = each
    return Finding.CHAIN_INCOMPLETE


def permits(permissions: Iterable[tuple[str, str]], identifier: Identifier) -> bool:
    """Whether a certificate with these covers what is said of `identifier`."""
    return any(PERMISSIONS[what](identifier, of) for what, of in permissions if what in PERMISSIONS)


def _this(identifier: Identifier, of: str) -> bool:
    """Whether it is the identifier `of`, whose suffix is another one in other letters."""
    with suppress(ProtoError):
        return identifier == Identifier.parse(of)
    return False


def _under(identifier: Identifier, of: str) -> bool:
    of = fold(of)
    return of.startswith(_PREFIX) and identifier.prefix_key == of.removeprefix(_PREFIX)


def _derived(identifier: Identifier, of: str) -> bool:
    """Whether it is a prefix derived from that of `of`, or lies under one."""
    of = fold(of)
    return of.startswith(_PREFIX) and prefix_of(identifier).startswith(of.removeprefix(_PREFIX) + ".")


PERMISSIONS: Final = {
    "everything": lambda identifier, of: True,
    "thisHandle": lambda identifier, of: _this(identifier, of) or _under(identifier, of),
    "handlesUnderThisPrefix": _under,
    "derivedPrefixes": _derived,
}
"""What a certificate may permit, and whether that covers an identifier."""
