"""Proves node/listen/skeleton.py: whatever a row is, it is read as `snms_words.request` reads it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.listen import skeleton, snms_words
from node.listen.skeleton import Skeletons
from node.listen.snms_words import SnmsError
from registry.record import Texts

TEXTS = ("S-1", "手工缝制 hand-stitched", "~")
TYPES = ("styleNo", "productName", "colour")


def row(
    suffix: str = "BAG-1",
    texts: tuple[str, ...] = TEXTS,
    indexes: tuple[int, ...] = (2000, 2001, 2003),
    prefix: str = "88.999.1001",
    **more: Any,
) -> dict[str, Any]:
    values = [
        {"index": index, "type": type_, "data": {"format": "string", "value": text}}
        for index, type_, text in zip(indexes, TYPES, texts, strict=True)
    ]
    return {"handle": f"{prefix}/{suffix}", "templateVersion": "bag", "value": values} | more


def octets(of: Any, **how: Any) -> bytes:
    return json.dumps(of, **{"ensure_ascii": False, **how}).encode(errors="surrogatepass")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is learned is learned from the first row."""
    monkeypatch.setattr(skeleton, "LEARNED_AFTER", 1)


def outcome(read: Any, given_: bytes) -> Any:
    try:
        request = read("update", given_)
    except SnmsError as error:
        return str(error)
    identifier, values = request.identifier, request.values
    said: tuple[Any, ...] = tuple(values)
    if type(values) is Texts:
        said = (said, values.shape, values.body, values.lengths, values.texts, values.pack())
    spelt = [getattr(identifier, name) for name in identifier.__struct_fields__]
    return request._replace(identifier=None, values=None), spelt, said


def same(taught: bytes, given_: bytes) -> None:
    """Whoever has learned from the one reads the other as whoever has not."""
    learned = Skeletons()
    assert outcome(learned.request, taught) == outcome(snms_words.request, taught)
    assert outcome(learned.request, given_) == outcome(snms_words.request, given_)


def fits(taught: bytes, given_: bytes) -> bool:
    """Whether the one is read by what was learned from the other."""
    known = Skeletons()
    known.request("create", taught)
    return any(each.read("create", given_) is not None for each in known._known.values())


STYLES = [{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": True}, {"sort_keys": True}]
said = st.text(min_size=1, max_size=9) | st.sampled_from(
    ["x" * 16384, "袋" * 6000, "x" * 16385, "\ufeff", "a\x1fb", "\x7f"]
)
suffixes = st.text(min_size=1, max_size=9) | st.sampled_from(
    ["A/B", "A B", "A'", "袋", "x" * 243, "x" * 244, "META_x", " "]
)


@given(suffixes, st.tuples(said, said, said | st.just("")), st.sampled_from(STYLES))
def test_other_suffixes_and_texts_are_read_the_same(suffix: str, texts: tuple[str, ...], style: dict[str, Any]) -> None:
    same(octets(row(), **style), octets(row(suffix, texts), **style))


@given(
    st.sampled_from(STYLES),
    st.lists(
        st.tuples(
            st.integers(0, 500),
            st.integers(0, 12),
            st.binary(max_size=6)
            | st.sampled_from(
                [
                    b'"',
                    b"\\",
                    b"\x00",
                    b"\n",
                    b"\xed\xa0\x80",
                    b"\xff",
                    b"\xc3",
                    b"/",
                    b"}",
                    b",",
                    b'"value":"x",',
                    b'"handle":"8/9",',
                ]
            ),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_whatever_is_changed_in_a_row_it_is_read_the_same(
    style: dict[str, Any], changes: list[tuple[int, int, bytes]]
) -> None:
    changed = octets(row(), **style)
    for at, gone, come in changes:
        changed = changed[:at] + come + changed[at + gone :]
    same(octets(row(), **style), changed)
    same(changed, octets(row(), **style))


VALUE = '{"index":2000,"type":"styleNo","data":{"format":"string","value":"S1"}}'
PLAIN = f'{{"handle":"88.1/A","templateVersion":"bag","value":[{VALUE}]}}'


@pytest.mark.parametrize(
    "taught",
    [
        PLAIN.replace('"handle":', '"handle":"88.1/B","handle":'),
        PLAIN.replace('"handle":', '"handle":"88.1/A","handle":'),
        PLAIN.replace('"value":[', '"more":{"value":"S1"},"value":['),
        PLAIN.replace('"value":[', '"more":{"value":"~1"},"value":[').replace("S1", "~1"),
        PLAIN.replace('"value":[', '"more":{"handle":"88.1/~0"},"value":[').replace("88.1/A", "88.1/~0"),
        PLAIN.replace('"handle":', '"more":{"handle":"88.1/~0"},"handle":').replace("88.1/A", "88.1/~0"),
        PLAIN.replace('"value":"', '"value":"S1","value":"'),
        PLAIN.replace('"value":"', '"valu\\u0065":"'),
        PLAIN.replace('"value":[', '"template":{"value":["A"]},"value":['),
        f'{{"templateVersion":"bag","value":[{VALUE}],"handle":"88.1/A"}}',
        PLAIN.replace("88.1/A", "0.NA/A"),
        PLAIN.replace("88.1/A", "88.a/A"),
        PLAIN.replace("88.1/A", "甲 /A"),
        PLAIN.replace("88.1/A", "甲/A"),
        PLAIN.replace(VALUE, ""),
        PLAIN.replace(VALUE, f"{VALUE},{VALUE}"),
        PLAIN.replace("2000", "1999"),
        PLAIN.replace("2000", '"2000"'),
        PLAIN.replace("S1", ""),
        PLAIN.replace("string", "String"),
        '{"handle":"88.1/A"}',
        '"88.1/A"',
    ],
)
@pytest.mark.parametrize("change", [("A", "B"), ("S1", "S2"), ("~1", "~2"), ("~0", "~3")])
def test_odd_rows_are_read_the_same_when_they_are_learned_from(taught: str, change: tuple[str, str]) -> None:
    old, new = change
    parts = taught.split(old)
    for at in range(1, len(parts)):
        same(taught.encode(), (old.join(parts[:at]) + new + old.join(parts[at:])).encode())


@pytest.mark.parametrize("style", [each for each in STYLES if not each.get("ensure_ascii")])
@pytest.mark.parametrize("indexes", [(2000, 2001, 2002), (2000, 2001, 2005), (2001, 2002, 2003)])
def test_everyday_rows_need_not_be_read_exactly(style: dict[str, Any], indexes: tuple[int, ...]) -> None:
    taught = octets(row(indexes=indexes, remark={"auth": ""}), **style)
    other = octets(row("BAG-2/y", ("value", "string", "2000 号"), indexes, remark={"auth": ""}), **style)
    assert fits(taught, other)
    same(taught, other)


def test_a_row_is_learned_from_after_so_many_and_another_after_as_many_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    most, known = skeleton.LEARNED_AFTER, Skeletons()
    for _ in range(most - 1):
        known.request("create", octets(row()))
    assert not known._known
    known.request("create", octets(row()))
    (first,) = known._known.values()
    for n in range(most - 1):
        known.request("create", octets(row(texts=(f"\u2003{n}", "", ""))))
        assert known.request("create", octets(row())).template == "bag"
    assert list(known._known.values()) == [first]
    known.request("create", octets(row() | {"templateVersion": "hat"}))
    (second,) = known._known.values()
    assert second.read("create", octets(row() | {"templateVersion": "hat"})) is not None


def test_a_skeleton_that_fits_few_is_let_go() -> None:
    known = Skeletons()
    known.request("create", octets(row()))
    for n in range(skeleton.MISFITS_MOST + 1):
        assert len(known._known) == 1
        known._read.update(dict.fromkeys(known._known, 4))  # so that nothing is due to be learned
        assert known.request("create", octets(row() | {"templateVersion": f"{n:03d}"})).template == f"{n:03d}"
    assert not known._known
    assert known._last is None


def test_kinds_are_told_apart_and_only_so_many_are_known() -> None:
    known = Skeletons()
    for n in range(2 * skeleton.KINDS_MOST + 1):
        for texts in (TEXTS, ("a", "b", "c")):
            assert known.request("create", octets(row(texts=texts, prefix=f"88.{n}"))).template == "bag"
        assert len(known._known) <= skeleton.KINDS_MOST >= len(known._read)
    assert len(known._known) == 1


def test_what_is_too_large_is_not_learned_from() -> None:
    long = row(remark="x" * skeleton.OCTETS_MOST)
    assert not fits(octets(long), octets(long))
    many = row()
    many["value"] = [many["value"][0] | {"index": 2000 + n} for n in range(skeleton.TEXTS_MOST + 1)]
    assert not fits(octets(many), octets(many))
    many["value"].pop()
    assert fits(octets(many), octets(many))
    no_kind = octets(row(prefix="8" * 64), indent=99)
    assert no_kind.index(b"/") >= skeleton.PREFIX_WITHIN
    assert not fits(no_kind, no_kind)
