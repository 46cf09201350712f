"""Proves registry/record.py: the compact form gives back what was put in, and leaves out what is known anyway."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.limits import INDEX_LAST, TTL_DEFAULT
from proto.value import PERMISSIONS_DEFAULT, Reference, Value
from registry.record import pack, pack_plain, texts, unpack

NAMES = {2000: "productName", 2001: "weight"}
NOW = 1_795_330_554
U32 = st.integers(0, 2**32 - 1)
TEXTS = st.text("ab 9.é皮𠮷", min_size=1, max_size=5) | st.text('a皮"\\\t\x1f\u2028', max_size=3)


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


@st.composite
def _rows(draw: st.DrawFn) -> tuple[tuple[Value, ...], dict[int, str], int]:
    updated = draw(U32)
    names = {2000 + n: f"name{n}" for n in range(40)}
    times = draw(st.lists(st.just(updated) | st.integers(0, updated), min_size=1, max_size=4))
    indexes = sorted(draw(st.sets(st.sampled_from(sorted(names)), max_size=40)))
    values = (
        Value(index, names[index], draw(st.binary(max_size=300)), timestamp=draw(st.sampled_from(times)))
        for index in indexes
    )
    return tuple(values), names, updated


@settings(deadline=None)  # a busy machine takes its time to draw them
@given(_rows())
def test_values_of_a_template_come_back(made: tuple[tuple[Value, ...], dict[int, str], int]):
    values, names, updated = made
    assert unpack(pack(values, names, updated), names, updated) == values


@settings(deadline=None)  # a busy machine takes its time to draw them
@given(_bodies())
def test_values_come_back(made: tuple[tuple[Value, ...], int]):
    values, updated = made
    assert unpack(pack(values, NAMES, updated), NAMES, updated) == values
    assert unpack(pack(values, {}, updated), {}, updated) == values


@given(st.dictionaries(st.integers(2000, 2012), TEXTS))
def test_a_line_is_of_text_that_json_shows_as_it_is(given: dict[int, str]):
    names = {2000 + n: f"name{n}" for n in range(40)}
    indexes = sorted(given)
    values = tuple(Value(index, names[index], given[index].encode(), timestamp=NOW) for index in indexes)
    body = pack(values, names, NOW)
    assert unpack(body, names, NOW) == values
    assert pack_plain(indexes, [given[index] for index in indexes]) == body
    said = texts(body)
    if said is not None:
        assert {2000 + n: text.decode() for n, text in enumerate(said) if text} == given
        assert all(json.dumps(text.decode(), ensure_ascii=False) == f'"{text.decode()}"' for text in said)
    else:
        dense = bool(given) and indexes[-1] <= 2000 + 2 * len(given)
        assert not dense or not all(
            text and text.isprintable() and not set(text) & {'"', "\\"} for text in given.values()
        )


@settings(deadline=None)  # a busy machine takes its time to draw them
@given(_rows())
def test_what_is_of_several_times_is_no_line(made: tuple[tuple[Value, ...], dict[int, str], int]):
    values, names, updated = made
    assert texts(pack(values, names, updated)) is None or all(v.timestamp == updated for v in values)


@given(_bodies(), st.dictionaries(st.integers(3000, 3010), st.text(max_size=5), max_size=3))
def test_a_template_that_grew_still_reads_what_was_written_before(made, more: dict[int, str]):
    values, updated = made
    assert unpack(pack(values, NAMES, updated), NAMES | more, updated) == tuple(values)


@pytest.mark.parametrize(
    ("values", "octets"),
    [
        ((), ""),
        # a line: texts, 1f between them, nothing where there is no value
        ((Value(2000, "productName", b"bag", timestamp=NOW),), "02 626167"),
        ((Value(2000, "productName", b"b", timestamp=NOW), Value(2001, "weight", b"5", timestamp=NOW)), "02 62 1f 35"),
        ((Value(2001, "weight", "é".encode(), timestamp=NOW),), "02 1f c3a9"),
        # a row: length and one, data; for what JSON shows otherwise
        ((Value(2000, "productName", b'b"g', timestamp=NOW),), "00 04 622267"),
        # one without data, one that is not there at all, a length of two octets
        (
            (Value(2000, "productName", b"", timestamp=NOW), Value(2001, "weight", b"1" * 127, timestamp=NOW)),
            "00 01 8001" + "31" * 127,
        ),
        ((Value(2001, "weight", b"1\\5", timestamp=NOW),), "00 00 04 315c35"),
        # a row of one age, 256 seconds: length times two, plus one for what is that old, and one
        (
            (Value(2000, "productName", b"bag", timestamp=NOW - 256), Value(2001, "weight", b"1", timestamp=NOW)),
            "01 01 8002  08 626167  03 31",
        ),
        # a list, for the first index is far from where a row begins: step 3000 times two (f0 2e), an extension for the
        # type, length, data
        ((Value(3000, "URL", b"x", timestamp=NOW),), "f12e 01 03 55524c  01 78"),
        # an extension for the type, another for the timestamp
        ((Value(1, "URL", b"x", timestamp=NOW),), "03 01 03 55524c  01 78"),
        # one for the timestamp, when it lies ahead of the record's
        ((Value(2000, "productName", b"x", timestamp=NOW + 1),), "a11f 04 fba38ad806  01 78"),
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


@pytest.mark.parametrize(
    ("values", "octets"),
    [
        ((Value(2000, "productName", b"bag", timestamp=NOW),), "a01f 03 626167"),
        ((Value(2000, "productName", b"bag", timestamp=NOW),), "00 04 626167"),
        ((Value(2001, "weight", b"1.5", timestamp=NOW),), "00 00 04 312e35"),
        (
            (Value(2000, "productName", b"", timestamp=NOW - 5), Value(2001, "weight", b"1.5", timestamp=NOW)),
            "a11f 04 f5a38ad806 00  02 03 312e35",
        ),
    ],
)
def test_what_is_now_of_another_form_is_read_for_ever(values: tuple[Value, ...], octets: str):
    """Steps 1 to 3 of the schema had lists only, then came rows; the digests of the streams are of these octets."""
    assert unpack(bytes.fromhex(octets), NAMES, NOW) == values
    assert pack(values, NAMES, NOW) != bytes.fromhex(octets)


def test_a_usual_value_costs_one_octet_beside_its_data_and_an_older_one_no_more():
    names = {2000 + n: f"name{n}" for n in range(30)}
    values = [Value(index, name, b"x" * 30, timestamp=NOW) for index, name in names.items()]
    assert len(pack(tuple(values), names, NOW)) == 30 * 31
    values[7] = replace(values[7], timestamp=NOW + 86_400)
    assert len(pack(tuple(values), names, NOW + 86_400)) == 30 * 31 + 1 + 4


@given(st.sets(st.integers(2000, 2100), min_size=1))
def test_a_row_is_never_longer_than_the_list_by_more_than_it_has_gaps_to_spare(indexes: set[int]):
    names = {index: f"name{index}" for index in indexes}
    values = tuple(Value(index, names[index], b"x", timestamp=NOW) for index in sorted(indexes))
    assert len(pack(values, names, NOW)) <= 3 * len(values) + 3


def test_what_a_template_says_is_not_written_down_and_is_needed_to_read_it():
    body = pack((Value(2000, "productName", b"bag", timestamp=NOW),), NAMES, NOW)
    assert b"productName" not in body
    with pytest.raises(KeyError):
        unpack(body, {}, NOW)
