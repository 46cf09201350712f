"""Proves registry/holding.py: references and claims of a record together."""

from dataclasses import replace
from hashlib import sha256

from proto.value import Value
from registry.claim import Claim
from registry.holding import NONE, holds
from registry.reference import Link
from registry.template import Item
from tests.registry.world import BAG


def test_a_record_holds_what_its_template_says():
    items = (Item(2000, "vin", "车架号", unique=True), Item(2001, "pack", "电池包", kind="reference"))
    values = (Value(2000, "vin", b"V1"), Value(2001, "pack", b"88.1/P"))
    both = replace(BAG, number=7, items=items)
    assert holds(both, values) == {Claim(7, 2000, sha256(b"V1").digest()), Link(2001, "88.1/P")}
    assert holds(BAG, values) == holds(None, values) == NONE
