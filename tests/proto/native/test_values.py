"""Proves proto/native/values.py: a value by hand, round trips, and that counts are bounded before they are believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.limits import DATA_OCTETS, VALUES_PER_RECORD
from proto.native import values
from proto.octets import Reader, data, string
from proto.value import Reference, Value
from tests.proto.native.seen import RECORDS, VALUES

OCTETS = bytes.fromhex(
    "00000001 6553f100 00 00015180 0e 00000003 55524c 0000000c 687474703a2f2f612e636e2f"
    "00000001 00000004 302e5441 0000012c"
)
MEANT = Value(1, "URL", b"http://a.cn/", timestamp=1_700_000_000, references=(Reference("0.TA", 300),))


def raw(index: int, *, ttl_type: int = 0, type_: str = "T", octets: bytes = b"") -> bytes:
    head = index.to_bytes(4) + bytes(4) + bytes((ttl_type,)) + bytes(4) + b"\x0e"
    return head + string(type_) + data(octets) + bytes(4)


def test_a_value_by_hand():
    assert values.read(Reader(OCTETS)) == MEANT
    assert values.to_octets(MEANT) == OCTETS


@given(VALUES)
def test_every_value_comes_back(value: Value):
    reader = Reader(values.to_octets(value) + b"behind")
    assert values.read(reader) == value
    assert reader.rest == len(b"behind")
    assert len(values.to_octets(value)) >= values.VALUE_OCTETS


@given(RECORDS)
def test_every_record_comes_back(record: tuple[Value, ...]):
    assert values.read_list(Reader(values.list_octets(record))) == record


@given(VALUES, st.data())
def test_a_part_of_one_is_refused(value: Value, drawn: st.DataObject):
    octets = values.to_octets(value)
    with pytest.raises(ProtoError) as refused:
        values.read(Reader(octets[: drawn.draw(st.integers(0, len(octets) - 1))]))
    assert refused.value.field == "value"


@pytest.mark.parametrize(
    ("octets", "field"),
    [
        (raw(0), "index"),
        (raw(2**31), "index"),
        (raw(1, ttl_type=2), "ttl"),
        (raw(1, type_="T" * 129), "type"),
        (raw(1, octets=bytes(DATA_OCTETS + 1)), "data"),
    ],
)
def test_what_cannot_be_is_named(octets: bytes, field: str):
    with pytest.raises(ProtoError) as refused:
        values.read(Reader(octets))
    assert refused.value.field == field


def test_bits_of_permission_that_mean_nothing_are_passed_over():
    octets = bytearray(values.to_octets(MEANT))
    octets[13] = 0xFE
    assert values.read(Reader(bytes(octets))) == MEANT


def test_a_record_has_so_many_values_and_no_more():
    most = tuple(Value(n + 1, "T", b"") for n in range(VALUES_PER_RECORD))
    assert values.read_list(Reader(values.list_octets(most))) == most
    more = (VALUES_PER_RECORD + 1).to_bytes(4) + values.list_octets(most)[4:] + raw(5000)
    with pytest.raises(ProtoError, match="a record has at most 2048 values"):
        values.read_list(Reader(more))


@pytest.mark.parametrize("count", [2, 2049, 2**31, 2**32 - 1])
def test_a_count_that_cannot_be_there_is_refused_unread(count: int):
    with pytest.raises(ProtoError, match="values is cut short"):
        values.read_list(Reader(count.to_bytes(4) + OCTETS[:51]))
