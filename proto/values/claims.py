"""HS_CERT and HS_SIGNATURE: what a JWS in a value claims (handle reference §1.3): whose a key is and what it may sign,
and which values are as they should be.

Whether a claim is to be believed is said in proto/trust.py.
"""

import base64
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Self

import msgspec

from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.keys import jwk, public, sm2
from proto.keys.jws import Jws
from proto.keys.private import PrivateKey
from proto.native import values
from proto.value import Reference, Value

DIGESTS: Final = {"SHA-256": lambda octets: sha256(octets).digest(), "SM3": sm2.sm3}
"""By which values are digested."""
_PLACE_OCTETS: Final = 8
"""A value begins with its index and time, which are not digested."""


class _Permission(msgspec.Struct):
    perm: str
    handle: str = ""


class _Digest(msgspec.Struct):
    index: int
    digest: str


class _Digests(msgspec.Struct):
    alg: str
    digests: list[_Digest]


class _Claims(msgspec.Struct, omit_defaults=True):
    perms: list[_Permission] | None = None
    publicKey: dict[str, Any] | None = None
    digests: _Digests | None = None
    iss: str = ""
    sub: str = ""
    exp: int | None = None
    nbf: int | None = None
    iat: int | None = None


def _wrong(zh: str, en: str) -> ProtoError:
    return ProtoError("JWS", f"JWS{zh}", f"JWS {en}")


def _claims(jws: Jws) -> _Claims:
    try:
        return msgspec.json.decode(jws.payload, type=_Claims)
    except (msgspec.MsgspecError, RecursionError):
        raise _wrong("的内容不是HS_CERT或HS_SIGNATURE", "claims what no HS_CERT and no HS_SIGNATURE claims") from None


def reference(text: str) -> Reference:
    """A value as it is named in a claim: `301:88.100.1/ADMIN`. Raises ProtoError."""
    index, colon, handle = text.partition(":")
    if not (colon and index.isascii() and index.isdigit() and len(index) <= 10 and int(index) < 2**32):
        raise _wrong("中的引用应形如301:88.100.1/ADMIN", "must name values like 301:88.100.1/ADMIN")
    return Reference(Identifier.parse(handle).key, int(index))


def named(value: Reference) -> str:
    """The same the other way."""
    return f"{value.index}:{value.handle}"


@dataclass(frozen=True, slots=True)
class Term:
    """From when until when a claim holds: seconds since 1970 UTC, either end may be open, and when it was made."""

    not_before: int | None
    expires: int | None
    issued: int | None = None

    def holds(self, now: int) -> bool:
        """Whether `now` is within."""
        begun = self.not_before is None or self.not_before <= now
        return begun and (self.expires is None or now < self.expires)


def _term(claims: _Claims) -> Term:
    return Term(claims.nbf, claims.exp, claims.iat)


@dataclass(frozen=True, slots=True)
class Certificate:
    """HS_CERT: `issuer` says that `key` is that of `subject`, and that it may sign what `permissions` (what, of which
    identifier) cover.
    """

    issuer: Reference
    subject: Reference
    key: public.Key
    permissions: tuple[tuple[str, str], ...]
    term: Term
    jws: Jws

    @classmethod
    def from_octets(cls, octets: bytes) -> Self:
        """Reads the data of an HS_CERT value, believing nothing. Raises ProtoError."""
        jws = Jws.read(octets)
        claims = _claims(jws)
        permissions = tuple((each.perm, each.handle) for each in claims.perms or ())
        key = jwk.from_json(claims.publicKey)
        return cls(reference(claims.iss), reference(claims.sub), key, permissions, _term(claims), jws)

    @property
    def self_signed(self) -> bool:
        """Whether nobody else vouches for it: a root."""
        return self.issuer == self.subject


def certificate(
    issuer: Reference,
    subject: Reference,
    key: public.Key,
    permissions: tuple[tuple[str, str], ...],
    term: Term,
    signer: PrivateKey,
) -> bytes:
    """The data of an HS_CERT value that `signer`, the key of `issuer`, makes."""
    claims = _Claims(
        perms=[_Permission(perm, handle) for perm, handle in permissions],
        publicKey=jwk.to_json(key),
        iss=named(issuer),
        sub=named(subject),
        exp=term.expires,
        nbf=term.not_before,
        iat=term.issued,
    )
    return Jws.made(msgspec.json.encode(claims), signer).to_octets()


@dataclass(frozen=True, slots=True)
class Signature:
    """HS_SIGNATURE: `issuer` says that the values of the identifier `subject` have these `digests` (index, digest)."""

    issuer: Reference
    subject: str
    algorithm: str
    digests: tuple[tuple[int, bytes], ...]
    term: Term
    jws: Jws

    @classmethod
    def from_octets(cls, octets: bytes) -> Self:
        """Reads the data of an HS_SIGNATURE value, believing nothing. Raises ProtoError."""
        jws = Jws.read(octets)
        claims = _claims(jws)
        if claims.digests is None or claims.digests.alg not in DIGESTS:
            raise _wrong("的摘要应为SHA-256或SM3", "must digest values by SHA-256 or SM3")
        try:
            digests = tuple(
                (each.index, base64.b64decode(each.digest, validate=True)) for each in claims.digests.digests
            )
        except ValueError:
            raise _wrong("的摘要不是base64", "holds digests that are not base64") from None
        subject = Identifier.parse(claims.sub).key
        return cls(reference(claims.iss), subject, claims.digests.alg, digests, _term(claims), jws)


def signature(
    issuer: Reference,
    subject: Identifier,
    values: tuple[Value, ...],
    term: Term,
    signer: PrivateKey,
    algorithm: str = "SHA-256",
) -> bytes:
    """The data of an HS_SIGNATURE value over `values` of `subject` that `signer`, the key of `issuer`, makes."""
    digests = [_Digest(v.index, base64.b64encode(digest(v, algorithm)).decode()) for v in values]
    claims = _Claims(
        digests=_Digests(algorithm, digests),
        iss=named(issuer),
        sub=str(subject),
        exp=term.expires,
        nbf=term.not_before,
        iat=term.issued,
    )
    return Jws.made(msgspec.json.encode(claims), signer).to_octets()


def digest(value: Value, algorithm: str) -> bytes:
    """Of a value as it travels, but for where it stands and since when (its first 8 octets)."""
    return DIGESTS[algorithm](values.to_octets(value)[_PLACE_OCTETS:])
