"""Proves proto/octets.py: fields come off the front in order, and nothing is ever read past the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.octets import Reader, string


def test_fields_come_off_the_front():
    reader = Reader(bytes.fromhex("07 0102 00000003 e6a087 ff"))
    assert reader.unsigned(1, "a") == 7
    assert reader.unsigned(2, "b") == 0x0102
    assert reader.string("c") == "标"
    assert reader.rest == 1
    assert reader.take(0, "d") == b""
    assert reader.take(1, "d") == b"\xff"
    assert reader.rest == 0


@pytest.mark.parametrize(
    ("octets", "read"),
    [
        (b"", lambda r: r.unsigned(1, "part")),
        (b"\0\0\0", lambda r: r.unsigned(4, "part")),
        (b"abc", lambda r: r.take(4, "part")),
        (b"\0\0\0\4abc", lambda r: r.string("part")),
        (b"\xff\xff\xff\xffabc", lambda r: r.string("part")),
        (b"\0\0\0", lambda r: r.string("part")),
    ],
)
def test_what_is_cut_short_is_told(octets: bytes, read):
    with pytest.raises(ProtoError, match="part is cut short") as refused:
        read(Reader(octets))
    assert (refused.value.field, refused.value.zh) == ("part", "part不完整")


def test_a_refused_field_stays_where_it_is():
    reader = Reader(b"abc")
    with pytest.raises(ProtoError):
        reader.take(4, "part")
    assert reader.take(3, "part") == b"abc"


@pytest.mark.parametrize("octets", [b"\xc3\x28", b"\xff", b"\xed\xa0\x80"])
def test_what_is_no_utf8_is_told(octets: bytes):
    with pytest.raises(ProtoError, match="part is not UTF-8") as refused:
        Reader(len(octets).to_bytes(4) + octets).string("part")
    assert refused.value.zh == "part不是UTF-8"


@given(st.lists(st.text()))
def test_strings_come_back(texts: list[str]):
    reader = Reader(b"".join(map(string, texts)))
    assert [reader.string("text") for _ in texts] == texts
    assert reader.rest == 0


@given(st.lists(st.binary()), st.data())
def test_octets_come_back_in_pieces_of_any_size(pieces: list[bytes], data: st.DataObject):
    whole = b"".join(pieces)
    reader = Reader(whole)
    taken = b""
    while reader.rest:
        taken += reader.take(data.draw(st.integers(0, reader.rest)) or 1, "piece")
        assert reader.rest == len(whole) - len(taken)
    assert taken == whole
