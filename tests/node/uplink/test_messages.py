"""Proves node/uplink/messages.py under a top-level node that lies; under an honest one tests/whole/ does."""

import pytest

from node.uplink import messages
from proto import signed
from proto import uplink_pb2 as pb
from registry.filing import Filing
from registry.prefix import PrefixState
from tests.node.uplink.side import HUGE, Side, audit, order


async def test_messages_without_sense_hold_up_no_others(side: Side):
    await side.approve()
    verify = order(4, kind=pb.ORDER_KIND_VERIFY_ENTERPRISE)
    side.queue(order(1, HUGE), audit(2, "88.999.7777"), pb.Message(id=3), verify, audit(5, reason=HUGE))
    for _ in range(5):
        assert await side.messages.poll() == 0.0
    assert await side.messages.poll() > 0
    state, filing, _, reason = await side.standing()
    assert (state, filing) == (PrefixState.REFUSED, Filing.REFUSED)
    assert len(reason) == signed.SENTENCE_MOST


async def test_who_repeats_one_message_for_ever_is_asked_slowly(side: Side):
    await side.approve()
    side.queue(order(1), order(1), order(1))
    assert await side.messages.poll() == 0.0
    assert [await side.messages.poll() for _ in range(2)] == [messages.EXPECT_SECONDS] * 2
    side.queue(order(2))
    side.liar.says["Acknowledge"] = lambda _: (2400 - 1, pb.AcknowledgeResponse())
    assert await side.messages.poll() == messages.POLL_SECONDS


async def test_messages_without_end_are_carried_out_slowly(side: Side, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(messages, "MESSAGES_AT_ONCE", 3)
    side.queue(*(pb.Message(id=n) for n in range(1, 6)))
    pauses = [await side.messages.poll() for _ in range(5)]
    assert pauses == [0.0, 0.0, 0.0, messages.EXPECT_SECONDS, messages.EXPECT_SECONDS]
