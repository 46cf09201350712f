"""Proves registry/claim.py: what a record claims, and who is in its way."""

from dataclasses import replace
from hashlib import sha256

from proto.value import Value
from registry.claim import Claim, claims, taken
from registry.template import Item
from tests.registry.world import BAG

CAR = replace(BAG, number=7, items=(Item(2000, "vin", "车架号", unique=True), Item(2001, "colour", "颜色")))
VALUES = (Value(2000, "vin", b"V1"), Value(2001, "colour", b"red"))
MINE = Claim(7, 2000, sha256(b"V1").digest())


def test_values_of_unique_attributes_are_claimed_under_their_template():
    assert claims(CAR, VALUES) == {MINE}
    assert claims(CAR, (Value(2000, "vin", b""),)) == frozenset()
    assert claims(BAG, VALUES) == claims(None, VALUES) == frozenset()


def test_only_another_one_is_in_the_way():
    assert taken(CAR, VALUES, "A", {MINE: "B"}) == CAR.items[0]
    assert taken(CAR, VALUES, "A", {MINE: "A"}) is None
    assert taken(CAR, VALUES, "A", {}) is None
