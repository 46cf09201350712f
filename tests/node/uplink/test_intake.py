"""Proves node/uplink/intake.py by literals: what each answer of the top-level node means."""

import pytest

from node.uplink import intake
from node.uplink.intake import Gap, NotTaken, Received, VerifyAgain
from proto import uplink_pb2 as pb
from registry.filing import Told

P = "88.999.1001"
HEAD, OTHER = b"h" * 32, b"o" * 32


def receipt(verdict: pb.Verdict, head: bytes = HEAD, prefix: str = P, sub: int = 0) -> pb.Receipt:
    place = pb.Place(prefix=prefix, sub=sub, number=7, head=head)
    return pb.Receipt(place=place, verdict=verdict, zh="不行", en="it is not so")


def test_an_accepted_stream_is_received_only_with_the_head_that_was_told():
    assert intake.receipt(receipt(pb.VERDICT_ACCEPTED), P, HEAD) == Received(7, HEAD)
    assert intake.receipt(receipt(pb.VERDICT_ACCEPTED, OTHER), P, HEAD) == Gap(7, OTHER)
    assert intake.receipt(receipt(pb.VERDICT_ACCEPTED), P, None) == Gap(7, HEAD)


def test_a_gap_says_where_to_go_on():
    assert intake.receipt(receipt(pb.VERDICT_GAP, OTHER), P, HEAD) == Gap(7, OTHER)


@pytest.mark.parametrize("verdict", [pb.VERDICT_WRONG_HEAD, pb.VERDICT_DIVERGED, pb.VERDICT_MALFORMED])
def test_books_that_do_not_agree_are_called_broken(verdict: pb.Verdict):
    assert intake.receipt(receipt(verdict), P, HEAD) == NotTaken(True, "不行。 it is not so.")


@pytest.mark.parametrize("verdict", [pb.VERDICT_NOT_YOURS, pb.VERDICT_UNSPECIFIED])
def test_what_is_not_taken_now_is_not_broken(verdict: pb.Verdict):
    assert intake.receipt(receipt(verdict), P, HEAD) == NotTaken(False, "不行。 it is not so.")


def test_a_receipt_for_another_stream_is_none():
    for other in (receipt(pb.VERDICT_ACCEPTED, prefix="88.999.2"), receipt(pb.VERDICT_ACCEPTED, sub=1)):
        meant = intake.receipt(other, P, HEAD)
        assert isinstance(meant, NotTaken)
        assert not meant.broken


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (pb.PREFIX_STATE_NORMAL, "approved"),
        (pb.PREFIX_STATE_REFUSED, "refused"),
        (pb.PREFIX_STATE_SUSPENDED, "suspended"),
    ],
)
def test_the_result_of_an_audit(state: pb.PrefixState, word: str):
    audit = pb.AuditResult(nonce=b"n", ent_id="E1", prefix=P, state=state, reason_zh="因", reason_en="for")
    assert intake.message(pb.Message(id=1, audit=audit)) == Told(P, word, b"n", "因", "for")
    assert intake.state(P, state) == Told(P, word)


def test_orders():
    def order(kind: pb.OrderKind) -> pb.Message:
        return pb.Message(id=1, order=pb.Order(kind=kind, prefix=P, ent_id="E1", reason_zh="因", reason_en="for"))

    assert intake.message(order(pb.ORDER_KIND_SUSPEND_PREFIX)) == Told(P, "suspended", b"", "因", "for")
    assert intake.message(order(pb.ORDER_KIND_RESUME_PREFIX)) == Told(P, "resumed", b"", "因", "for")
    assert intake.message(order(pb.ORDER_KIND_RELEASE_PREFIX)) == Told(P, "moved", b"", "因", "for")
    assert intake.message(order(pb.ORDER_KIND_VERIFY_ENTERPRISE)) == VerifyAgain("E1", P)


def test_what_is_not_known_is_nothing():
    assert intake.message(pb.Message(id=1)) is None
    assert intake.message(pb.Message(id=1, audit=pb.AuditResult(prefix=P))) is None
    assert intake.state(P, pb.PREFIX_STATE_PENDING) is None
