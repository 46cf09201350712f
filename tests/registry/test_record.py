"""Proves registry/record.py: the compact form gives back what was put in, and leaves out what is known anyway."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.limits import INDEX_LAST, TTL_DEFAULT
from proto.value import PERMISSIONS_DEFAULT, Reference, Value
from registry.record import pack, unpack

NAMES = {2000: "productName", 2001: "weight"}
NOW = 1_795_330_554
U32 = st.integers(0, 2**32 - 1)


@st.composite
def _bodies(draw: st.DrawFn) -> tuple[tuple[Value, ...], int]:
    updated = draw(U32)
    indexes = sorted(draw(st.sets(st.integers(1, INDEX_LAST) | st.integers(2000, 2600), max_size=8)))
    values = [
        Value(
            index,
            draw(st.sampled_from([NAMES.get(index, "URL"), "URL"]) | st.text(max_size=20)),
            draw(st.binary(max_size=700)),
            draw(st.just(TTL_DEFAULT) | U32),
            draw(st.just(updated) | U32),
            draw(st.just(PERMISSIONS_DEFAULT) | st.integers(0, 15)),
            draw(st.booleans()),
            tuple(draw(st.lists(st.builds(Reference, st.text(max_size=9), U32), max_size=2))),
        )
        for index in indexes
    ]
    return tuple(values), updated


@given(_bodies())
def test_values_come_back(made: tuple[tuple[Value, ...], int]):
    values, updated = made
    assert unpack(pack(values, NAMES, updated), NAMES, updated) == values
    assert unpack(pack(values, {}, updated), {}, updated) == values


@given(_bodies(), st.dictionaries(st.integers(3000, 3010), st.text(max_size=5), max_size=3))
def test_a_template_that_grew_still_reads_what_was_written_before(made, more: dict[int, str]):
    values, updated = made
    assert unpack(pack(values, NAMES, updated), NAMES | more, updated) == tuple(values)


@pytest.mark.parametrize(
    ("values", "octets"),
    [
        ((), ""),
        # step 2000 times two as a varint (a0 1f), length, data
        ((Value(2000, "productName", b"bag", timestamp=NOW),), "a01f 03 626167"),
        # a second value: step 1 times two
        (
            (Value(2000, "productName", b"", timestamp=NOW), Value(2001, "weight", b"1.5", timestamp=NOW)),
            "a01f 00  02 03 312e35",
        ),
        # an extension for the type, another for the timestamp
        ((Value(1, "URL", b"x", timestamp=NOW),), "03 01 03 55524c  01 78"),
        ((Value(2000, "productName", b"x", timestamp=5),), "a11f 04 05  01 78"),
        # ttl, permissions, absolute and a reference: flags 0x3a
        (
            (Value(2000, "productName", b"x", 60, NOW, 0, True, (Reference("88.1/a", 300),)),),
            "a11f 3a 3c 00 01 06 38382e312f61 ac02  01 78",
        ),
    ],
)
def test_the_form_octet_for_octet(values: tuple[Value, ...], octets: str):
    assert pack(values, NAMES, NOW).hex() == octets.replace(" ", "")
    assert unpack(bytes.fromhex(octets), NAMES, NOW) == values


def test_a_usual_value_costs_two_octets_beside_its_data():
    values = tuple(Value(2000 + n, f"name{n}", b"x" * 30, timestamp=NOW) for n in range(30))
    assert len(pack(values, {v.index: v.type for v in values}, NOW)) == 30 * 32 + 1  # the first step is larger


def test_what_a_template_says_is_not_written_down_and_is_needed_to_read_it():
    body = pack((Value(2000, "productName", b"bag", timestamp=NOW),), NAMES, NOW)
    assert b"productName" not in body
    with pytest.raises(KeyError):
        unpack(body, {}, NOW)
