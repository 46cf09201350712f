"""What an answer of the top-level node means: a receipt for a stream, a message for a prefix. Pure.

Nothing is done here; streams.py and filings.py do what it says, and the registry judges what becomes of a prefix
(registry/filing.py).
"""

from dataclasses import dataclass
from typing import Final

from proto import uplink_pb2 as pb
from proto.signed import sentence
from registry.filing import Told


@dataclass(frozen=True, slots=True)
class Received:
    """The top-level node has the stream as far as (number, head)."""

    number: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """It stands elsewhere than we thought; its place is to be compared."""

    number: int
    head: bytes


@dataclass(frozen=True, slots=True)
class NotTaken:
    """It does not take the stream. `broken`: the books do not agree. `text` is its sentence, Chinese and English."""

    broken: bool
    text: str


_BROKEN: Final = frozenset({pb.VERDICT_WRONG_HEAD, pb.VERDICT_DIVERGED, pb.VERDICT_MALFORMED})


def receipt(given: pb.Receipt, prefix: str, sent: bytes | None) -> Received | Gap | NotTaken:
    """What a receipt says of the stream of `prefix`; `sent` is the head we told under the number it stands at, if any.

    A receipt for another stream, or with a head that we have not told, is none.
    """
    place = given.place
    if place.prefix != prefix or place.sub:
        other = sentence(place.prefix)
        return NotTaken(False, f"回执属于{other}。 The receipt is for {other}.")
    if given.verdict == pb.VERDICT_ACCEPTED:
        return Received(place.number, place.head) if sent == place.head else Gap(place.number, place.head)
    if given.verdict == pb.VERDICT_GAP:
        return Gap(place.number, place.head)
    return NotTaken(given.verdict in _BROKEN, f"{sentence(given.zh)}。 {sentence(given.en)}.")


@dataclass(frozen=True, slots=True)
class VerifyAgain:
    """The particulars of an enterprise are to be filed again."""

    ent_id: str
    prefix: str


_STATES: Final = {
    pb.PREFIX_STATE_NORMAL: "approved",
    pb.PREFIX_STATE_REFUSED: "refused",
    pb.PREFIX_STATE_SUSPENDED: "suspended",
}
_ORDERS: Final = {
    pb.ORDER_KIND_SUSPEND_PREFIX: "suspended",
    pb.ORDER_KIND_RESUME_PREFIX: "resumed",
    pb.ORDER_KIND_RELEASE_PREFIX: "moved",
}


def message(given: pb.Message) -> Told | VerifyAgain | None:
    """What is to be done; None: nothing this program knows of."""
    if given.WhichOneof("body") == "audit":
        audit = given.audit
        return _told(audit.prefix, _STATES.get(audit.state), audit.nonce, audit)
    order = given.order
    if order.kind == pb.ORDER_KIND_VERIFY_ENTERPRISE:
        return VerifyAgain(sentence(order.ent_id), sentence(order.prefix))
    return _told(order.prefix, _ORDERS.get(order.kind), b"", order)


def _told(prefix: str, word: str | None, nonce: bytes, why: pb.AuditResult | pb.Order) -> Told | None:
    return Told(sentence(prefix), word, nonce, sentence(why.reason_zh), sentence(why.reason_en)) if word else None


def state(prefix: str, given: pb.PrefixState) -> Told | None:
    """What the state a prefix has there tells of a filing whose answer was lost; None: it is still in review."""
    word = _STATES.get(given)
    return Told(prefix, word) if word else None
