"""Proves node/listen/skeleton.py: whatever a row is, it is read as `snms_words.request` reads it."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.listen import skeleton, snms_words
from node.listen.skeleton import Skeletons
from node.listen.snms_words import SnmsError
from registry.block import AT_ONCE, OCTETS_AT_ONCE, Block
from registry.record import Texts
from registry.rules import Operation, Request

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
    monkeypatch.setattr(skeleton, "LOOKED_AT_EACH", 1)
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


def count(known: Skeletons, times: int) -> None:
    """Lets so many rows of each known kind have been read exactly."""
    for kind in known._known:
        known._counts[kind % skeleton.COUNTS] = times


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
    monkeypatch.setattr(skeleton, "LOOKED_AT_EACH", 1)
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
    other = octets(row(indexes=(2000, 2001, 2002)))
    known.request("create", other)
    (second,) = known._known.values()
    assert second.read("create", other) is not None


def test_a_skeleton_that_fits_few_is_let_go() -> None:
    known = Skeletons()
    known.request("create", octets(row()))
    for n in range(skeleton.MISFITS_MOST + 1):
        assert len(known._known) == 1
        count(known, 4)  # so that nothing is due to be learned
        other = row(indexes=(2000, 2001, 2100 + n))
        assert [value.index for value in known.request("create", octets(other)).values][2] == 2100 + n
    assert not known._known
    assert known._last is None


def of_prefix(n: int, suffix: str = "BAG-1") -> bytes:
    return octets(row(suffix, prefix=f"88.{n}"))


def ask(known: Skeletons, given_: bytes) -> None:
    assert outcome(known.request, given_) == outcome(snms_words.request, given_)


def exactly(known: Skeletons, given_: bytes, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a row is read exactly, after all that was learned."""
    asked: list[bytes] = []
    read = snms_words.request

    def noted(operation: Operation, given_: bytes) -> Request:
        asked.append(given_)
        return read(operation, given_)

    with monkeypatch.context() as patch:
        patch.setattr(snms_words, "request", noted)
        known.request("update", given_)
    return bool(asked)


def test_many_kinds_in_turn_are_all_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skeleton, "LEARNED_AFTER", 4)
    known = Skeletons()
    kinds = range(1200)
    for turn in range(8):  # twice as many as needed, so that kinds which share a count are learned too
        for n in kinds:
            ask(known, of_prefix(n, f"BAG-{turn}"))
    in_vain = sum(exactly(known, of_prefix(n, "BAG-X"), monkeypatch) for n in kinds)
    assert in_vain < len(kinds) // 20


def test_only_the_kind_longest_unused_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skeleton, "KINDS_MOST", 4)
    known = Skeletons()
    for n in range(4):
        known.request("update", of_prefix(n))
        count(known, 0)
    (_, second, third, fourth) = known._known.values()
    ask(known, of_prefix(0, "BAG-2"))  # is used again
    known.request("update", of_prefix(4))
    assert len(known._known) == 4
    assert second not in known._known.values()
    assert {third, fourth} < set(known._known.values())
    count(known, 4)  # so that nothing is due to be learned
    assert [exactly(known, of_prefix(n, "BAG-3"), monkeypatch) for n in (0, 2, 3, 4)] == [False] * 4


def test_whoever_sends_ever_other_kinds_makes_nobody_elses_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skeleton, "LEARNED_AFTER", 64)  # more than the kinds that may share a count
    known = Skeletons()
    for n in range(64):
        known.request("update", of_prefix(0, f"BAG-{n}"))
    for n in range(32):
        known.request("update", of_prefix(1, f"BAG-{n}"))
    (first,) = known._known.values()
    for n in range(2, 2 * skeleton.KINDS_MOST):
        known.request("update", of_prefix(n))
    assert list(known._known.values()) == [first]
    for n in range(32):
        known.request("update", of_prefix(1, f"BAG-{n}"))
    assert len(known._known) == 2  # what was counted before is not begun anew
    assert not exactly(known, of_prefix(0, "BAG-X"), monkeypatch)


def test_the_forgotten_one_is_tried_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skeleton, "KINDS_MOST", 1)
    known = Skeletons()
    known.request("update", of_prefix(0))
    (first,) = known._known.values()
    assert known._last is first
    count(known, 4)  # so that it is learned again after the next row only because it was forgotten
    known.request("update", of_prefix(1))
    (second,) = known._known.values()
    assert known._last is second
    assert exactly(known, of_prefix(0, "BAG-2"), monkeypatch)
    assert first.fits == 0
    assert len(known._known) == 1
    assert second not in known._known.values()


def test_each_fourth_row_of_unknown_kinds_is_looked_at_and_counts_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    most, known = skeleton.LEARNED_AFTER, Skeletons()
    for _ in range(most - 1):
        ask(known, of_prefix(0))
    assert not known._known
    ask(known, of_prefix(0))
    assert len(known._known) == 1
    for n in range(skeleton.LOOKED_AT_EACH):
        assert not exactly(known, of_prefix(0, "BAG-2"), monkeypatch)
        assert exactly(known, of_prefix(1, f"BAG-{n}"), monkeypatch)
        assert known._last is None
        for _ in range(skeleton.LOOKED_AT_EACH):  # one of them is looked at
            known.request("update", of_prefix(0, "BAG-3"))
        assert known._last is not None


def test_nothing_is_tried_on_rows_of_a_kind_that_is_not_known() -> None:
    known = Skeletons()
    known.request("update", of_prefix(0))
    short = row()
    del short["value"][0]
    for other in (octets(short), octets(row(prefix="8" * 64), indent=99)):
        known.request("update", of_prefix(0, "BAG-2"))
        assert known._last is not None
        known._counts = type(known._counts)("H", [4]) * skeleton.COUNTS  # so that nothing is due to be learned
        known.request("update", other)
        assert known._last is None


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


def block(known: Skeletons, batch: bytes) -> Block | None:
    """What a batch is read as."""
    reader = known.reader(batch)
    if reader is None:
        return None
    for turn in reader.turns:
        reader.read([turn])
    return reader.block()


def same_batch(taught: bytes, batch: bytes) -> bool:
    """Whether it is a block to whoever has learned from the one row: then its rows are what they are one by one."""
    known = Skeletons()
    with suppress(SnmsError):
        known.request("create", taught)
    read = block(known, batch)
    if read is not None:
        by_row = [snms_words.request("create", each) for each in snms_words.rows(batch)]
        of_block = read.requests(read.parts)
        assert [said_of(each) for each in of_block] == [said_of(each) for each in by_row]
        assert len({each.identifier.key for each in by_row}) == len(by_row) <= snms_words.BATCH_MOST
        assert read.keys == [each.identifier.text for each in by_row]
    return read is not None


def said_of(request: Request) -> Any:
    return outcome(lambda *_: request, b"")


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are read two rows at a time."""
    monkeypatch.setattr(skeleton, "AT_ONCE", 2)


def batch_of(*suffixes_: str, texts: Any = TEXTS, **how: Any) -> bytes:
    return octets([row(suffix, texts) for suffix in suffixes_], **how)


@pytest.mark.usefixtures("few_at_once")
@given(
    st.lists(st.tuples(suffixes, st.tuples(said, said, said | st.just(""))), min_size=1, max_size=7),
    st.sampled_from(STYLES),
    st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batches_of_rows_that_are_alike(
    drawn: list[tuple[str, tuple[str, ...]]], style: dict[str, Any], plain: bool
) -> None:
    rows = [row(f"B-{n}" if plain else suffix, texts) for n, (suffix, texts) in enumerate(drawn)]
    same_batch(octets(row(), **style), octets(rows, **style))


@pytest.mark.usefixtures("few_at_once")
@given(
    st.sampled_from(STYLES),
    st.lists(
        st.tuples(
            st.integers(0, 1600),
            st.integers(0, 12),
            st.binary(max_size=4)
            | st.sampled_from([b"", b" ", b"]", b"[", b",", b"},{", b'"', b"\\", b"\xc3", b"\x0b"]),
        ),
        min_size=1,
        max_size=3,
    ),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_changed_in_a_batch_it_is_a_block_only_if_its_rows_say_the_same(
    style: dict[str, Any], changes: list[tuple[int, int, bytes]]
) -> None:
    changed = batch_of("A", "B", "C", "D", "E", **style)
    for at, gone, come in changes:
        changed = changed[:at] + come + changed[at + gone :]
    same_batch(octets(row(), **style), changed)


@pytest.mark.parametrize("style", [each for each in STYLES if not each.get("ensure_ascii")])
@pytest.mark.parametrize("size", [2, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 2 * AT_ONCE, 2000])
def test_a_batch_of_everyday_rows_is_a_block(style: dict[str, Any], size: int) -> None:
    rows = [row(f"BAG-{n}", (f"S-{n}", "手工缝制", "~" * (1 + n % 3))) for n in range(size)]
    taught = json.loads(octets(row()))
    # Rows within an array are indented one step further, as those that were learned from will have been.
    batch = octets(rows, **style)
    (first, *_) = snms_words.rows(batch)
    assert json.loads(bytes(first)).keys() == taught.keys()
    assert same_batch(bytes(first), batch)
    assert same_batch(bytes(first), b" \n" + batch + b"\n ")


def test_what_is_no_block_is_none() -> None:
    taught = octets(row())
    good = batch_of("A", "B", "C")
    assert same_batch(taught, good)
    for odd in (
        batch_of("A"),
        batch_of("A", "B", "A"),
        batch_of(*map(str, range(snms_words.BATCH_MOST + 1))),
        good[:-1],
        good[1:],
        good + b"]",
        good + b"x",
        b"[" + good,
        good.replace(b"]}, {", b"]} {"),
        good.replace(b"]}, {", b"]},, {"),
        good.replace(b"]}, {", b"]},\x0b{"),
        good[:-1] + b",]",
        b'{"handles": ' + good + b"}",
        batch_of("A", "B", "袋"),
        batch_of("A", "B", texts=("a", "b\n", "c")),
        batch_of("A", "B", texts=("a", "b", "")),
        octets([row("A"), row("B", prefix="88.999.1002")]),
        octets([row("A"), row("B") | {"templateVersion": "hat"}]),
        octets([row("A"), {"handle": "88.999.1001/B"}]),
        b"[]",
        b"",
        b"[{/",
    ):
        assert not same_batch(taught, odd), odd[:200]


def test_long_rows_are_read_few_at_a_time() -> None:
    known = Skeletons()
    known.request("create", octets(row()))
    rows = [row(f"B-{n}", ("x" * 5000, "y", "z")) for n in range(2 * AT_ONCE)]
    read = block(known, octets(rows))
    assert read is not None
    assert read.size == len(rows)
    assert max(len(part.suffixes) for part in read.parts) <= OCTETS_AT_ONCE // 5000 + 1


def test_templates_of_one_prefix_are_kinds_of_their_own() -> None:
    known, rows = Skeletons(), [row("A"), row("B")]
    others = [each | {"templateVersion": "hat"} for each in rows]
    known.request("create", octets(rows[0]))
    known.request("create", octets(others[0]))
    assert len(known._known) == 2
    for batch in (rows, others):
        read = block(known, octets(batch))
        assert read is not None
        assert read.template == batch[0]["templateVersion"]


def test_a_kind_that_came_in_blocks_is_not_the_one_longest_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skeleton, "KINDS_MOST", 2)
    known = Skeletons()
    known.request("create", of_prefix(1))
    count(known, 0)
    known.request("create", of_prefix(2))
    (first, second) = known._known.values()
    assert block(known, octets([row(suffix, prefix="88.1") for suffix in "AB"])) is not None
    assert list(known._known.values()) == [second, first]
    assert first.fits == 2
