"""Requests and answers of the uplink as they travel: signed, named, dated, fenced. Pure: time and nonces are given.

What the methods mean is said in uplink.proto; whether a nonce was seen before, whoever receives it must remember.
"""

from dataclasses import dataclass
from typing import Final, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from google.protobuf.message import DecodeError, Message

from proto import uplink_pb2 as pb
from proto.errors import ProtoError

KEY_OCTETS: Final = 32
"""An Ed25519 key, private seed or public (RFC 8032 §5.1)."""
NONCE_OCTETS: Final = 16
"""Drawn by chance: two alike in a node's life are not to be feared."""
SKEW_SECONDS: Final = 300
"""How far the two clocks may be apart (what Kerberos allows, RFC 4120); nonces are remembered twice as long."""
MESSAGE_OCTETS: Final = 8 * 1024 * 1024
"""Longest request or answer: 20,000 entries of 255 characters and a digest are some 6 MB."""
SENTENCE_MOST: Final = 500
"""Characters of a sentence, a name or a number that is kept or logged: far more than an honest one has."""

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says. `made` is milliseconds since 1970 UTC, `request` the octets of its message."""

    method: str
    shr_prefix: str
    made: int
    nonce: bytes
    fence: int
    request: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer whose signature holds and that belongs to the request asked."""

    code: int
    zh: str
    en: str
    response: bytes


def public_key(private: bytes) -> bytes:
    """The public key of a private one, both 32 octets."""
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def ask(asked: Asked, private: bytes) -> bytes:
    """The octets of a signed request."""
    payload = pb.RequestPayload(
        method=asked.method,
        shr_prefix=asked.shr_prefix,
        made=asked.made,
        nonce=asked.nonce,
        fence=asked.fence,
        request=asked.request,
    ).SerializeToString()
    return pb.SignedRequest(payload=payload, signature=_sign(payload, private)).SerializeToString()


def claimed(octets: bytes) -> Asked:
    """What a request says, before any signature is verified: whose key to try, whom a refusal is addressed to.

    Raises ProtoError for what is no request, or has no nonce.
    """
    return _said(_payload(_read(pb.SignedRequest, octets, "request").payload))


def asked(octets: bytes, public: bytes, method: str, now: int) -> Asked:
    """The request in `octets` if `public` signed it for `method` within SKEW_SECONDS of `now` (milliseconds).

    Raises ProtoError naming what is wrong: request, signature, method, made, nonce.
    """
    signed = _read(pb.SignedRequest, octets, "request")
    _verify(signed.payload, signed.signature, public)
    payload = _payload(signed.payload)
    if payload.method != method:
        raise ProtoError("method", "请求签名用于另一个方法", "the request was signed for another method")
    if abs(payload.made - now) > SKEW_SECONDS * 1000:
        raise ProtoError(
            "made",
            f"请求时间与本机相差超过{SKEW_SECONDS}秒",
            f"the request was made more than {SKEW_SECONDS} s from the time here",
        )
    return _said(payload)


def _said(payload: pb.RequestPayload) -> Asked:
    if len(payload.nonce) != NONCE_OCTETS:
        raise ProtoError("nonce", f"nonce应为{NONCE_OCTETS}字节", f"nonce must be {NONCE_OCTETS} octets")
    return Asked(payload.method, payload.shr_prefix, payload.made, payload.nonce, payload.fence, payload.request)


def answer(nonce: bytes, given: Answered, private: bytes) -> bytes:
    """The octets of a signed answer to the request with `nonce`."""
    payload = pb.ResponsePayload(
        nonce=nonce, result=pb.Result(code=given.code, zh=given.zh, en=given.en), response=given.response
    ).SerializeToString()
    return pb.SignedResponse(payload=payload, signature=_sign(payload, private)).SerializeToString()


def answered(octets: bytes, public: bytes, nonce: bytes) -> Answered:
    """The answer in `octets` if `public` signed it for the request with `nonce`.

    Raises ProtoError naming what is wrong: response, signature, nonce.
    """
    signed = _read(pb.SignedResponse, octets, "response")
    _verify(signed.payload, signed.signature, public)
    payload = _read(pb.ResponsePayload, signed.payload, "response")
    if payload.nonce != nonce:
        raise ProtoError("nonce", "应答属于另一个请求", "the answer belongs to another request")
    return Answered(payload.result.code, sentence(payload.result.zh), sentence(payload.result.en), payload.response)


def introduced(octets: bytes, nonce: bytes) -> bytes:
    """The key an answer to Enrol names, if that very key signed it: what is believed at the first meeting.

    Raises ProtoError as `answered` does.
    """
    payload = _read(pb.ResponsePayload, _read(pb.SignedResponse, octets, "response").payload, "response")
    key = _read(pb.EnrolResponse, payload.response, "response").public_key
    answered(octets, key, nonce)
    return key


def let_go(prefix: str, to: str, release: pb.Release, private: bytes) -> bytes:
    """The signature of a node that lets `prefix` go to the node `to`, over all that `release` says."""
    return _sign(_letting_go(prefix, to, release), private)


def lets_go(prefix: str, to: str, release: pb.Release, public: bytes) -> None:
    """Returns when `release` is signed so. Raises ProtoError naming the signature."""
    _verify(_letting_go(prefix, to, release), release.signature, public)


def _letting_go(prefix: str, to: str, release: pb.Release) -> bytes:
    words = ("idnode release", prefix, to, release.node, release.number, release.head.hex(), release.made)
    return " ".join(map(str, words)).encode()


def sentence(text: str) -> str:
    """What somebody else has said, fit to be kept, logged and shown: SENTENCE_MOST characters of it, in one line."""
    return "".join(each if each.isprintable() else " " for each in text[:SENTENCE_MOST])


def _payload(octets: bytes) -> pb.RequestPayload:
    return _read(pb.RequestPayload, octets, "request")


def _read(kind: type[M], octets: bytes, field: str) -> M:
    if len(octets) > MESSAGE_OCTETS:
        raise ProtoError(field, f"{field}超过{MESSAGE_OCTETS}字节", f"{field} has more than {MESSAGE_OCTETS} octets")
    try:
        return kind.FromString(octets)
    except DecodeError:
        raise ProtoError(field, f"{field}不是有效的protobuf", f"{field} is not valid protobuf") from None


def _sign(payload: bytes, private: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(private).sign(payload)


def _verify(payload: bytes, signature: bytes, public: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, payload)
    except (InvalidSignature, ValueError):
        raise ProtoError("signature", "签名无效", "the signature is not valid") from None
