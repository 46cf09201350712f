"""Proves loadtest/history/{operation,line,makers,streams,gate,judge,verdict}.py: literal histories, one fault each.

Times are in milliseconds here; the bound for the other machine is 1500 of them.
"""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.history.facts import Change, Entry, Facts, Row, Stream, Version
from loadtest.history.judge import judge
from loadtest.history.line import NOTHING, Bounds, Lag, Made, Sight, Stale, sweep
from loadtest.history.operation import NEVER, Act, Operation, Outcome, Recording
from loadtest.history.verdict import SHOWN_MOST, Rule, Verdict, Violation
from proto.chain import HEAD_FIRST, Kind, entry_digest, next_head

MS = 1_000_000
PREFIX, SUFFIX = "88.999.1001", "H0000-00"
KINDS = {"C": Kind.CREATED, "U": Kind.UPDATED, "D": Kind.DELETED, "R": Kind.REVIVED}
ACTS = {"C": Act.CREATE, "U": Act.UPDATE, "D": Act.DELETE, "R": Act.CREATE}


def write(act: Act, begin: int, end: int, token: int = 0, **more: Any) -> Operation:
    """A write of item 0, acknowledged by machine 0 unless said otherwise; a creation carries its token as note."""
    note = token if act is Act.CREATE else 0
    fields = {"outcome": Outcome.DONE, "machine": 0, "again": token, "note": note} | more
    return Operation(item=0, act=act, begin=begin * MS, end=end * MS, token=token, **fields)


def read(begin: int, end: int, token: int = 0, machine: int = 0, **more: Any) -> Operation:
    """A read of item 0: found with `token`, or absent when there is none."""
    outcome = Outcome.DONE if token else Outcome.ABSENT
    fields = {"outcome": outcome, "act": Act.RESOLVE, "again": token, "note": 1 if token else 0} | more
    return Operation(item=0, machine=machine, begin=begin * MS, end=end * MS, token=token, **fields)


def stream_of(entries: list[tuple[Entry, ...]], prefix: str = PREFIX) -> Stream:
    """A whole stream with one change for each of `entries`."""
    head, changes = HEAD_FIRST, []
    for number, row in enumerate(entries, 1):
        keys = [f"{prefix}/{e.suffix}" if e.suffix else prefix for e in row]
        head = next_head(head, [entry_digest(key, *e[1:]) for key, e in zip(keys, row, strict=True)])
        changes.append(Change(number, head, row))
    return Stream(prefix, len(changes), head, changes)


def entry(version: int, kind: Kind, suffix: str = SUFFIX) -> Entry:
    return Entry(suffix, version, kind, "bag", sha256(bytes([version % 256])).digest())


def row_of(kinds: str, versions: int | None = None, last: int | None = None, live: bool | None = None) -> Row:
    """The row that fits versions of `kinds`, unless said otherwise."""
    digests = b"".join(entry(n, Kind.CREATED).digest for n in range(1, len(kinds) + 1))
    fields = (versions, last, live)
    usual = (len(kinds), len(kinds), kinds[-1:] not in ("", "D"))
    return Row(*(u if f is None else f for f, u in zip(fields, usual, strict=True)), digests)


def facts_of(kinds: str, tokens: list[int] | None = None) -> Facts:
    """Facts of one identifier whose versions are of `kinds` ("CUD") and carry `tokens` (1, 2, … unless given)."""
    tokens = tokens or [0 if kind == "D" else n for n, kind in enumerate(kinds, 1)]
    versions, note = [], 0
    for n, (kind, token) in enumerate(zip(kinds, tokens, strict=True), 1):
        note = token if kind in "CR" else note
        versions.append(Version(n, KINDS[kind], token, token, note if token else 0))
    rows = {(PREFIX, SUFFIX): row_of(kinds)} if kinds else {}
    changes = [(entry(n, KINDS[kind]),) for n, kind in enumerate(kinds, 1)]
    return Facts({0: (PREFIX, SUFFIX)}, {0: versions}, [stream_of(changes)], rows)


def judged(facts: Facts, *operations: Operation, gate: tuple[Operation, ...] = ()) -> Verdict:
    return judge(Recording(operations), {PREFIX: gate}, facts, machines=2)


CREATED = write(Act.CREATE, 0, 10, 1)
UPDATED = write(Act.UPDATE, 100, 110, 2)
DELETED = write(Act.DELETE, 200, 210)
REVIVED = write(Act.CREATE, 300, 310, 4)
WHOLE = (CREATED, UPDATED, DELETED, REVIVED)


def test_a_whole_life_is_clean() -> None:
    verdict = judged(
        facts_of("CUDR"),
        *WHOLE,
        read(5, 6),
        read(5, 6, 1),
        read(20, 30, 1),
        read(105, 115, 1),
        read(105, 115, 2, told=2),
        read(250, 260),
        read(320, 330, 4, note=4),
        read(1000, 1001, 1, machine=1),
    )
    assert verdict.clean, verdict.violations
    assert verdict.tallies["versions"] == 4
    assert verdict.tallies["sights"] == 8
    assert verdict.tallies["lagging"] == 1
    assert verdict.tallies["late"] == 0
    assert verdict.oldest_ns == 890 * MS  # since version 2 was acknowledged at 110


READS = {
    "acknowledged here": (read(111, 120, 1), Rule.STALE_HERE),
    "absent though created": (read(11, 20), Rule.STALE_HERE),
    "found though deleted": (read(211, 220, 2), Rule.STALE_HERE),
    "absent though revived": (read(311, 320), Rule.STALE_HERE),
    "older than the bound there": (read(1611, 1620, 1, machine=1), Rule.STALE_THERE),
    "before it was written": (read(50, 60, 2), Rule.FUTURE),
    "a token nobody wrote": (read(400, 410, 9), Rule.UNWRITTEN),
    "two tokens": (read(120, 130, 2, again=1), Rule.HALF),
    "another's note": (read(120, 130, 2, note=4), Rule.HALF),
    "an ETag of another version": (read(120, 130, 2, told=1), Rule.HALF),
    "refused as existing though absent": (
        write(Act.CREATE, 211, 220, 8, outcome=Outcome.EXISTS),
        Rule.STALE_HERE,
    ),
    "refused as absent though live": (write(Act.UPDATE, 120, 130, 8, outcome=Outcome.ABSENT), Rule.STALE_HERE),
}


@pytest.mark.parametrize("name", READS)
def test_one_wrong_sight_is_told(name: str) -> None:
    operation, rule = READS[name]
    verdict = judged(facts_of("CUDR"), *WHOLE, operation)
    assert dict(verdict.broken) == {rule: 1}
    assert operation in verdict.violations[0].operations
    assert rule.zh in verdict.violations[0].sentence
    assert rule.en in verdict.violations[0].sentence


def test_what_touches_does_not_follow() -> None:
    assert judged(facts_of("CU"), CREATED, UPDATED, read(110, 120, 1)).clean
    assert judged(facts_of("CU"), CREATED, UPDATED, read(1610, 1620, 1, machine=1)).clean


def test_reads_do_not_go_back_on_the_machine_that_wrote() -> None:
    slow = write(Act.UPDATE, 100, 500, 2)
    back = judged(facts_of("CU"), CREATED, slow, read(200, 210, 2), read(211, 220, 1))
    assert dict(back.broken) == {Rule.WENT_BACK: 1}
    killed = write(Act.UPDATE, 100, 500, 2, outcome=Outcome.UNKNOWN)
    assert dict(judged(facts_of("CU"), CREATED, killed, read(200, 210, 2), read(211, 220, 1)).broken) == {
        Rule.WENT_BACK: 1
    }


def test_reads_may_differ_within_the_bound_on_the_other_machine() -> None:
    there = [read(200, 210, 2, machine=1), read(211, 220, 1, machine=1)]
    verdict = judged(facts_of("CU"), CREATED, UPDATED, *there)
    assert verdict.clean, verdict.violations
    assert verdict.tallies["lagging"] == 1


def test_late_but_within_the_bound_is_counted() -> None:
    verdict = judged(facts_of("CU"), CREATED, UPDATED, read(1111, 1112, 1, machine=1))
    assert verdict.clean
    assert (verdict.tallies["late"], verdict.oldest_ns) == (1, 1001 * MS)


def test_a_read_seen_anywhere_binds_everybody_after_the_bound() -> None:
    unknown = write(Act.UPDATE, 100, 5100, 2, outcome=Outcome.UNKNOWN)
    seen, late = read(200, 210, 2, machine=1), read(1711, 1720, 1, machine=0)
    assert dict(judged(facts_of("CU"), CREATED, unknown, seen, late).broken) == {Rule.STALE_THERE: 1}


def test_an_unknown_write_may_appear_late_or_never() -> None:
    unknown = write(Act.UPDATE, 100, 110, 2, outcome=Outcome.UNKNOWN)
    assert judged(facts_of("CU"), CREATED, unknown, read(9000, 9001, 1), read(9010, 9020, 2)).clean
    assert judged(facts_of("C"), CREATED, unknown, read(9000, 9001, 1)).clean


def test_an_absent_read_proves_the_deletion_to_later_reads() -> None:
    unknown = write(Act.DELETE, 200, 210, outcome=Outcome.UNKNOWN)
    absent, late = read(250, 260), read(3000, 3010, 2, machine=1)
    assert dict(judged(facts_of("CUD"), CREATED, UPDATED, unknown, late, absent).broken) == {Rule.STALE_THERE: 1}
    assert judged(facts_of("CUD"), CREATED, UPDATED, unknown, late).clean


WRITES = {
    "lost": (facts_of("C"), (CREATED, UPDATED), {Rule.LOST}),
    "lost deletion": (facts_of("CU"), (CREATED, UPDATED, DELETED), {Rule.LOST}),
    "refused and there": (
        facts_of("CU"),
        (CREATED, UPDATED._replace(outcome=Outcome.REFUSED)),
        {Rule.REFUSED_THERE},
    ),
    "never asked for": (facts_of("CU"), (CREATED,), {Rule.UNWRITTEN}),
    "deleted by nobody": (
        facts_of("CUD"),
        (CREATED, UPDATED, DELETED._replace(outcome=Outcome.REFUSED)),
        {Rule.UNWRITTEN},
    ),
    "one deletion for two acknowledged": (
        facts_of("CUD"),
        (CREATED, UPDATED, DELETED, write(Act.DELETE, 205, 220)),
        {Rule.LOST},
    ),
    "a deletion before its delete": (
        facts_of("CDR", [1, 0, 4]),
        (CREATED, write(Act.DELETE, 400, 410), REVIVED),
        {Rule.LOST, Rule.UNWRITTEN},
    ),
    "twice": (facts_of("CUU", [1, 2, 2]), (CREATED, UPDATED), {Rule.TWICE}),
    "an update that created": (facts_of("C", [2]), (UPDATED,), {Rule.KIND, Rule.HALF}),
    "against time": (
        facts_of("CUU", [1, 3, 2]),
        (CREATED, UPDATED, write(Act.UPDATE, 120, 130, 3)),
        {Rule.ORDER},
    ),
    "revived while live": (facts_of("CR", [1, 4]), (CREATED, REVIVED), {Rule.KIND}),
}


@pytest.mark.parametrize("name", WRITES)
def test_one_wrong_version_is_told(name: str) -> None:
    facts, operations, rules = WRITES[name]
    assert set(judged(facts, *operations).broken) == rules


def test_half_of_a_write_in_the_history_is_told() -> None:
    facts = facts_of("CU")
    for half in (Version(2, Kind.UPDATED, 2, 1, 1), Version(2, Kind.UPDATED, 2, 2, 2)):
        wrong = replace(facts, histories={0: [facts.histories[0][0], half]})
        assert dict(judged(wrong, CREATED, UPDATED).broken) == {Rule.HALF: 1}


def test_a_gap_between_versions_is_told() -> None:
    facts = facts_of("CU")
    wrong = replace(facts, histories={0: [facts.histories[0][0], facts.histories[0][1]._replace(number=3)]})
    assert dict(judged(wrong, CREATED, UPDATED).broken) == {Rule.GROW: 1}


def test_what_never_existed_cannot_be_refused_as_existing() -> None:
    refused = write(Act.CREATE, 0, 10, 1, outcome=Outcome.EXISTS)
    facts = Facts({0: (PREFIX, SUFFIX)}, {0: []}, [stream_of([])], {})
    assert dict(judged(facts, refused).broken) == {Rule.UNWRITTEN: 1}


def test_unknown_deletes_leave_certain_ones_certain() -> None:
    """One unknown delete early may be any later deletion, but where only one delete fits, it stays the maker."""
    unknown = write(Act.DELETE, 50, 60, outcome=Outcome.UNKNOWN)
    stale = read(211, 220, 2)
    verdict = judged(facts_of("CUDR"), *WHOLE, unknown, stale)
    assert dict(verdict.broken) == {Rule.STALE_HERE: 1}


# Streams


def test_a_missing_change_breaks_number_and_chain() -> None:
    facts = facts_of("CU")
    stream = facts.streams[0]
    verdict = judged(replace(facts, streams=[replace(stream, changes=stream.changes[1:])]), CREATED, UPDATED)
    assert {Rule.GAP, Rule.CHAIN, Rule.ACCOUNT} == set(verdict.broken)


def test_a_lost_last_change_is_told() -> None:
    facts = facts_of("CU")
    stream = facts.streams[0]
    verdict = judged(replace(facts, streams=[replace(stream, changes=stream.changes[:1])]), CREATED, UPDATED)
    assert set(verdict.broken) == {Rule.GAP, Rule.ACCOUNT}


@pytest.mark.parametrize(
    "altered",
    [
        {"version": 3},
        {"kind": Kind.REVIVED},
        {"template": "box"},
        {"digest": bytes(32)},
        {"suffix": "H0000-01"},
    ],
)
def test_an_altered_entry_breaks_the_chain(altered: dict[str, Any]) -> None:
    facts = facts_of("CU")
    stream = facts.streams[0]
    change = stream.changes[1]
    forged = replace(change, entries=(change.entries[0]._replace(**altered),))
    verdict = judged(replace(facts, streams=[replace(stream, changes=[stream.changes[0], forged])]), CREATED, UPDATED)
    assert Rule.CHAIN in verdict.broken


def test_one_identifier_twice_in_a_change_is_told() -> None:
    facts = facts_of("CU")
    both = stream_of([(entry(1, Kind.CREATED), entry(2, Kind.UPDATED))])
    assert dict(judged(replace(facts, streams=[both]), CREATED, UPDATED).broken) == {Rule.ACCOUNT: 1}


@pytest.mark.parametrize(
    "rows",
    [
        {},
        {(PREFIX, SUFFIX): row_of("CU", versions=1)},
        {(PREFIX, SUFFIX): row_of("CU", last=3)},
        {(PREFIX, SUFFIX): row_of("CU", live=False)},
        {(PREFIX, SUFFIX): row_of("CU")._replace(digests=bytes(64))},
        {(PREFIX, SUFFIX): row_of("CU"), (PREFIX, "X"): row_of("C")},
    ],
)
def test_tables_that_differ_from_the_stream_are_told(rows: dict[tuple[str, str], Row]) -> None:
    verdict = judged(replace(facts_of("CU"), rows=rows), CREATED, UPDATED)
    assert dict(verdict.broken) == {Rule.ACCOUNT: 1}


def test_a_history_that_differs_from_the_stream_is_told() -> None:
    facts = facts_of("CUD")
    wrong = replace(facts, histories={0: facts.histories[0][:2]})
    assert Rule.ACCOUNT in judged(wrong, CREATED, UPDATED).broken


# Gates


def gate(act: Act, begin: int, end: int, outcome: Outcome = Outcome.DONE) -> Operation:
    return Operation(0, act, outcome, 0, begin * MS, end * MS)


def gated(*between: str) -> Facts:
    """The facts of one creation, a stop and an enabling, with the entries named `between` the last two."""
    facts = facts_of("C" + "U" * len(between))
    bell = [Entry("", n, kind, "", bytes(32)) for n, kind in ((1, Kind.PREFIX_STOPPED), (2, Kind.PREFIX_ENABLED))]
    updates = [(entry(n, Kind.UPDATED),) for n, _ in enumerate(between, 2)]
    return replace(facts, streams=[stream_of([(entry(1, Kind.CREATED),), (bell[0],), *updates, (bell[1],)])])


def worked(*kinds: Kind) -> Facts:
    """The facts of one creation, and of a gate that was worked so afterwards."""
    entries = [(Entry("", n, kind, "", bytes(32)),) for n, kind in enumerate(kinds, 1)]
    return replace(facts_of("C"), streams=[stream_of([(entry(1, Kind.CREATED),), *entries])])


GATE = (gate(Act.STOP, 1000, 1010), gate(Act.ENABLE, 9000, 9010))
SIGHTS = {
    "open before": (read(900, 950, 1), True),
    "open while it is stopped": (read(1000, 1020, 1), True),
    "open after the stop": (read(1011, 1020, 1), False),
    "absent after the stop": (read(1011, 1020), False),
    "open on the other machine within the bound": (read(2509, 2520, 1, machine=1), True),
    "open on the other machine after it": (read(2511, 2520, 1, machine=1), False),
    "stopped before": (read(900, 950, outcome=Outcome.STOPPED), False),
    "stopped": (read(1005, 1009, outcome=Outcome.STOPPED), True),
    "stopped after the enabling": (read(9011, 9020, outcome=Outcome.STOPPED), False),
    "open after the enabling": (read(9011, 9020, 1), True),
    "a write refused as stopped before": (
        write(Act.UPDATE, 900, 950, 5, outcome=Outcome.STOPPED),
        False,
    ),
    "an owner's look under a stopped prefix": (read(1011, 1020, 1, act=Act.DETAIL), True),
}


@pytest.mark.parametrize("name", SIGHTS)
def test_sights_of_a_gate(name: str) -> None:
    sight, right = SIGHTS[name]
    verdict = judged(gated(), CREATED, sight, gate=GATE)
    broken = set(verdict.broken) - {Rule.STALE_HERE}  # absent after a creation is wrong for another reason too
    assert broken == (set() if right else {Rule.GATE})


def test_a_write_between_stop_and_enabling_is_told() -> None:
    late = write(Act.UPDATE, 1005, 1020, 2)
    assert dict(judged(gated("U"), CREATED, late, gate=GATE).broken) == {Rule.STOPPED_WRITE: 1}


def test_repeated_calls_of_the_warden_are_one() -> None:
    calls = (gate(Act.STOP, 800, 900, Outcome.UNKNOWN), gate(Act.STOP, 1000, 1010), GATE[1])
    sights = read(905, 990, 1), read(905, 990, outcome=Outcome.STOPPED)
    assert judged(gated(), CREATED, *sights, gate=calls).clean
    assert set(judged(gated(), CREATED, read(1011, 1020, 1), gate=calls).broken) == {Rule.GATE}


def test_a_stop_that_came_so_late_that_the_next_one_changed_nothing_may_be_seen() -> None:
    again = gate(Act.STOP, 12000, 12010), gate(Act.ENABLE, 15000, 15010)
    calls = (gate(Act.STOP, 800, 900, Outcome.UNKNOWN), *GATE, *again)
    facts = worked(*(Kind.PREFIX_STOPPED, Kind.PREFIX_ENABLED) * 2)
    assert judged(facts, CREATED, read(9100, 9200, outcome=Outcome.STOPPED), gate=calls).clean
    assert set(judged(facts, CREATED, read(700, 750, outcome=Outcome.STOPPED), gate=calls).broken) == {Rule.GATE}
    assert set(judged(facts, CREATED, read(12011, 12020, 1), gate=calls).broken) == {Rule.GATE}
    certain = (*GATE, *again)
    assert set(judged(facts, CREATED, read(9100, 9200, outcome=Outcome.STOPPED), gate=certain).broken) == {Rule.GATE}


def test_a_lost_stop_is_told() -> None:
    assert dict(judged(facts_of("C"), CREATED, gate=GATE).broken) == {Rule.LOST: 1}
    assert dict(judged(gated(), CREATED).broken) == {Rule.UNWRITTEN: 1}


def test_a_stop_that_came_late_leaves_the_gate_unjudged() -> None:
    calls = (gate(Act.STOP, 800, 900, Outcome.UNKNOWN), gate(Act.ENABLE, 1000, 1010))
    facts = worked(Kind.PREFIX_STOPPED, Kind.PREFIX_ENABLED, Kind.PREFIX_STOPPED)
    verdict = judged(facts, CREATED, read(3000, 3010, 1), gate=calls)
    assert verdict.clean
    assert verdict.tallies["gates not judged"] == 1


def test_an_unknown_last_call_may_be_missing() -> None:
    calls = (*GATE, gate(Act.STOP, 9500, 9600, Outcome.UNKNOWN))
    assert judged(gated(), CREATED, read(9700, 9710, 1), gate=calls).clean


# All of it


def test_violations_kept_are_bounded_and_all_are_counted() -> None:
    verdict = Verdict()
    for _ in range(SHOWN_MOST + 5):
        verdict.add(Violation(Rule.LOST, "x", "y"))
    assert (len(verdict.violations), verdict.broken[Rule.LOST]) == (SHOWN_MOST, SHOWN_MOST + 5)


rows = st.builds(
    Operation,
    st.integers(0, 3),
    st.sampled_from(Act),
    st.sampled_from(Outcome),
    st.integers(0, 1),
    *[st.integers(0, NEVER)] * 2,
    *[st.integers(-1, 2**40)] * 3,
    st.integers(0, 2**32 - 1),
)


@given(st.lists(rows))
def test_a_recording_gives_back_what_it_was_given(operations: list[Operation]) -> None:
    recording = Recording(operations)
    assert len(recording) == len(operations)
    assert [o for item in recording.items() for o in recording.of(item)] == sorted(
        operations, key=lambda operation: operation.item
    )


@st.composite
def lives(draw: st.DrawFn) -> tuple[Facts, list[Operation]]:
    """A true history: versions committed one after the other, acknowledged sometime after; workers that see the
    writes of their own machine at once and those of the other one after their own lag within the bound.
    """
    commits, kinds, operations, at = [], "", list[Operation](), 10
    for n in range(1, draw(st.integers(1, 8)) + 1):
        at += draw(st.integers(1, 1200))
        live = bool(kinds) and kinds[-1] != "D"
        kinds += draw(st.sampled_from("UD")) if live else ("R" if kinds else "C")
        machine, token = draw(st.integers(0, 1)), 0 if kinds[-1] == "D" else n
        begin, end = at - draw(st.integers(0, 300)), at + draw(st.integers(0, 300))
        outcome = draw(st.sampled_from([Outcome.DONE, Outcome.DONE, Outcome.UNKNOWN]))
        if outcome is Outcome.UNKNOWN:
            end = max(begin, at - draw(st.integers(-200, 200)))  # may take effect after its end
        operations.append(write(ACTS[kinds[-1]], max(0, begin), end, token, machine=machine, outcome=outcome))
        commits.append((at, machine))
    notes = {v.token: v.note for v in facts_of(kinds).histories[0]}
    workers = [(m, [draw(st.integers(0, 1490)) for _ in commits]) for m in (0, 0, 1, 1)]
    for _ in range(draw(st.integers(0, 12))):
        (machine, lags), moment = draw(st.sampled_from(workers)), draw(st.integers(0, at + 4000))
        due = [t + (0 if m == machine else lag) for (t, m), lag in zip(commits, lags, strict=True)]
        seen = max((n for n, time in enumerate(due, 1) if time <= moment), default=0)
        token = seen if seen and kinds[seen - 1] != "D" else 0
        begin, end = moment - draw(st.integers(0, 300)), moment + draw(st.integers(0, 300))
        operations.append(read(max(0, begin), end, token, machine, note=notes.get(token, 0)))
    return facts_of(kinds), operations


@given(lives())
def test_no_true_history_is_accused(life: tuple[Facts, list[Operation]]) -> None:
    facts, operations = life
    assert judged(facts, *operations).violations == []


@given(lives(), st.data())
def test_an_acknowledged_version_that_goes_missing_is_told(
    life: tuple[Facts, list[Operation]], data: st.DataObject
) -> None:
    facts, operations = life
    kinds = "".join("_CUDR"[version.kind] for version in facts.histories[0])
    keep = data.draw(st.integers(0, len(kinds) - 1))
    lost = [o for o in operations[keep : len(kinds)] if o.outcome is Outcome.DONE and o.token]
    rows = {(PREFIX, SUFFIX): row_of(kinds[:keep])} if keep else {}
    cut = replace(
        facts,
        histories={0: facts.histories[0][:keep]},
        streams=[stream_of([c.entries for c in facts.streams[0].changes[:keep]])],
        rows=rows,
    )
    assert not lost or judged(cut, *operations).broken[Rule.LOST]


moments = st.integers(0, 6)


@st.composite
def wild_lines(draw: st.DrawFn) -> tuple[list[Made], list[Sight]]:
    """Versions and sights at few, so often equal, times: right or wrong as it comes."""
    made = [NOTHING]
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(moments)
        acked = draw(st.one_of(st.just(NEVER), st.integers(begin, 7)))
        made.append(Made(begin, acked, draw(st.integers(-1, 1))))
    sights = []
    for _ in range(draw(st.integers(0, 5))):
        begin = draw(moments)
        operation = read(0, 0)._replace(begin=begin, end=draw(st.integers(begin, 7)), machine=draw(st.integers(0, 1)))
        sights.append(Sight(operation, (draw(st.integers(0, len(made) - 1)),)))
    return made, sights


def too_old(made: list[Made], sights: list[Sight], n: int, bound: int) -> bool:
    """The rule in so many words, each against each: what the sweep must agree with."""
    me, seen = sights[n].operation, sights[n].candidates[0]
    for version in range(seen + 1, len(made)):
        here = made[version].machine == me.machine
        if made[version].acked < me.begin - (0 if here else bound):
            return True
    for other, (their,) in sights:
        if max(made[v].begin for v in range(their + 1)) > other.end:
            continue  # it saw the future: no witness
        own = max(v for v in range(their + 1) if v == 0 or made[v].machine == me.machine)
        if their > seen and other.end < me.begin - bound:
            return True
        if other.machine == me.machine and own > seen and other.end < me.begin:
            return True
    return False


@given(wild_lines(), st.integers(0, 4))
def test_the_sweep_agrees_with_the_rule_in_so_many_words(line: tuple[list[Made], list[Sight]], bound: int) -> None:
    made, sights = line
    found = [f for f in sweep(made, sights, 2, Bounds(bound, 0)) if isinstance(f, Stale)]
    early = {
        n
        for n, sight in enumerate(sights)
        if max(m.begin for m in made[: sight.candidates[0] + 1]) > sight.operation.end
    }
    old = {n for n in range(len(sights)) if n not in early and too_old(made, sights, n, bound)}
    assert sorted(map(repr, (f.sight for f in found if f.rule is Rule.FUTURE))) == sorted(
        repr(sights[n]) for n in early
    )
    assert sorted(map(repr, (f.sight for f in found if f.rule is not Rule.FUTURE))) == sorted(
        repr(sights[n]) for n in old
    )


def test_lag_is_the_age_of_the_first_newer_version() -> None:
    made = [NOTHING, Made(0, 10, 0), Made(20, 30, 0)]
    sight = Sight(read(0, 0)._replace(begin=100, end=110, machine=1), (0,))
    assert list(sweep(made, [sight], 2, Bounds(1000, 50))) == [Lag(90)]
