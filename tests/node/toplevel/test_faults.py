"""Proves node/toplevel/faults.py: what may be turned on, and that chance is what was given."""

from random import Random

import msgspec
import pytest

from node.toplevel.faults import NOT_PASSED, Faults, Switches


def test_nothing_is_wrong_by_default():
    assert Faults().on == {}
    switches = Switches(Random(1))
    assert not switches.loses_receipt()
    assert not switches.delivers_again()
    assert switches.refusal("88.999.1001") is None


def test_what_is_on_is_named():
    assert Faults(delay_seconds=0.5, outage=True).on == {"delay_seconds": 0.5, "outage": True}


@pytest.mark.parametrize(
    "body",
    [
        b'{"refusal_rate":1.5}',
        b'{"lost_receipt_rate":-1}',
        b'{"delay_seconds":601}',
        b'{"outage":"yes"}',
        b'{"outtage":true}',
        b'{"refused_prefixes":{"88.999":"x"}}',
        b'{"refused_prefixes":{"88.999.1":"a\\u0000"}}',
        b"[]",
        b"{",
    ],
)
def test_what_is_out_of_bounds_is_not_turned_on(body: bytes):
    with pytest.raises(msgspec.MsgspecError):
        msgspec.json.decode(body, type=Faults)


def test_a_rate_is_a_rate():
    switches = Switches(Random(20261122))
    switches.faults = Faults(lost_receipt_rate=0.25, duplicate_rate=0.5, refusal_rate=1.0)
    assert 200 < sum(switches.loses_receipt() for _ in range(1000)) < 300
    assert 440 < sum(switches.delivers_again() for _ in range(1000)) < 560
    assert switches.refusal("88.999.1001") == NOT_PASSED


def test_a_named_prefix_is_refused_for_its_reason():
    switches = Switches(Random(1))
    switches.faults = Faults(refused_prefixes={"88.999.1001": "材料不全", "88.999.2001": ""})
    assert switches.refusal("88.999.1001") == ("材料不全", "材料不全")
    assert switches.refusal("88.999.2001") == NOT_PASSED
    assert switches.refusal("88.999.3001") is None
