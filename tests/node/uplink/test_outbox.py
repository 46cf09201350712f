"""Proves node/uplink/outbox.py by literals: whose turn it is, what fits, what rests. tests/simulation rehearses it."""

from typing import Any

import pytest

from node.uplink import outbox
from node.uplink.outbox import ASIDE_SECONDS, BROKEN, ENTRIES_MOST, REFUSED, Outbox
from proto.chain import HEAD_FIRST
from tests.fakes.streams import NAMES, row, stream


def box_of(**ours: int) -> Outbox:
    box = Outbox()
    for name, number in ours.items():
        n = int(name[1:])
        box.saw(n, NAMES[n], number)
        box.stood(n, 0, True, 0.0)
    return box


# -- by literals


def test_it_asks_first_and_sends_from_where_the_other_side_stands():
    box = Outbox()
    box.saw(1, NAMES[1], 5)
    assert (box.unknown, box.turn().wanted) == ([1], ())
    box.stood(1, 3, True, 0.0)
    assert (box.unknown, box.turn().wanted) == ([], ((1, 3),))
    box.stood(1, 5, True, 0.0)
    assert box.turn().wanted == ()
    box.saw(1, NAMES[1], 6)
    assert box.turn().wanted == ((1, 5),)


def test_what_is_no_more_to_be_told_is_let_go():
    box = box_of(p1=1, p2=1)
    box.set_aside(1, REFUSED, 0.0)
    box.only({2})
    box.wake(ASIDE_SECONDS[0])
    assert (box.unknown, box.turn().wanted) == ([], ((2, 0),))


def test_turns_come_round_and_a_share_is_fair():
    box = box_of(p1=1_000_000, p2=1, p3=1)
    assert box.turn().wanted == ((1, 0), (2, 0), (3, 0))
    assert box.turn().share == ENTRIES_MOST // 3
    box.pack([row(1, 1, HEAD_FIRST)], {})
    assert box.turn().wanted == ((2, 0), (3, 0), (1, 0))
    crowd = box_of(**{f"p{n}": 1 for n in range(1, 1201)})
    assert len(crowd.turn().wanted) == outbox.STREAMS_MOST
    assert crowd.turn().share * outbox.STREAMS_MOST == ENTRIES_MOST


def test_a_request_is_bounded_in_entries():
    box = box_of(p1=30)
    batch = box.pack(stream(1, 30, entries=2000), {})
    assert len(batch.heads) == 10
    assert batch.entries == ENTRIES_MOST
    assert sum(len(change.entries) for change in batch.request.streams[0].changes) == ENTRIES_MOST


def test_a_request_is_bounded_in_octets_but_never_empty(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outbox, "OCTETS_MOST", 1000)
    box = box_of(p1=30)
    assert len(box.pack(stream(1, 30, entries=100), {}).heads) == 1
    assert 1 < len(box.pack(stream(1, 30), {}).heads) < 30


@pytest.mark.parametrize("rows", [stream(1, 30), [*stream(1, 1, entries=100), *stream(2, 1)]])
def test_what_finds_no_room_is_not_in_the_request(monkeypatch: pytest.MonkeyPatch, rows: list[Any]):
    monkeypatch.setattr(outbox, "OCTETS_MOST", 1000)
    batch = box_of(p1=30, p2=1).pack(rows, {})
    told = [(each.prefix, change.number) for each in batch.request.streams for change in each.changes]
    assert told == [(NAMES[prefix], number) for prefix, number in batch.heads]
    assert len(batch.prefixes) == len(batch.request.streams) == 1
    assert batch.entries == sum(len(change.entries) for change in batch.request.streams[0].changes)


def test_a_request_says_every_field_as_it_is_kept():
    box = box_of(p1=1, p2=2)
    rows = [row(1, 1, HEAD_FIRST, 2, template=7), *stream(2, 2)]
    batch = box.pack(rows, {7: "bag"})
    assert batch.prefixes == (1, 2)
    assert [each.prefix for each in batch.request.streams] == [NAMES[1], NAMES[2]]
    (change,) = batch.request.streams[0].changes
    assert (change.number, change.made, change.head) == (1, 1_795_330_554_001, rows[0]["head"])
    assert [(e.suffix, e.version, e.kind, e.template) for e in change.entries] == [
        ("S1-0", 1, 1, "bag"),
        ("S1-1", 1, 1, "bag"),
    ]
    assert b"".join(e.digest for e in change.entries) == rows[0]["digests"]
    assert batch.heads == {(each["prefix_no"], each["number"]): each["head"] for each in rows}
    assert box.pack([], {}).prefixes == ()


def test_what_is_set_aside_rests_longer_each_time_while_others_go_on():
    box = box_of(p1=5, p2=5)
    now = 0.0
    for seconds in (*ASIDE_SECONDS, ASIDE_SECONDS[-1]):
        box.set_aside(1, REFUSED, now)
        assert box.turn().wanted == ((2, 0),)
        box.wake(now + seconds - 0.1)
        assert box.unknown == []
        box.wake(now + seconds)
        assert box.unknown == [1]
        now += seconds
    box.stood(1, 0, True, now)
    box.set_aside(1, REFUSED, now)
    box.wake(now + ASIDE_SECONDS[-1] - 0.1)
    assert box.unknown == [], "to agree about the past is not enough"
    box.received(1, 1)
    box.set_aside(1, REFUSED, now)
    box.wake(now + ASIDE_SECONDS[0])
    assert box.unknown == [1], "who has received something begins anew"


def test_gaps_are_followed_but_not_in_circles():
    box = box_of(p1=5)
    assert not box.follows(1, 0), "that is where we began"
    assert [box.follows(1, number) for number in (1, 2, 3)] == [True, True, False]
    box.received(1, 3)
    assert box.follows(1, 1)


def test_books_that_do_not_agree_are_told_and_touched_no_more():
    box = box_of(p1=5, p2=5)
    box.stood(1, 7, False, 0.0)
    assert box.broken == [NAMES[1]]
    assert box.turn().wanted == ((2, 0),)
    box.wake(ASIDE_SECONDS[0])
    box.stood(1, 5, True, 10.0)
    assert box.broken == []


def test_what_was_lost_must_be_asked():
    box = box_of(p1=5, p2=5)
    box.set_aside(2, BROKEN, 0.0)
    box.lost([1])
    assert (box.unknown, box.turn().wanted) == ([1], ())


def test_a_place_agrees_only_where_the_heads_are_alike():
    assert outbox.agrees(0, b"", HEAD_FIRST)
    assert outbox.agrees(0, HEAD_FIRST, HEAD_FIRST)
    assert not outbox.agrees(0, b"x" * 32, HEAD_FIRST)
    assert outbox.agrees(3, b"x" * 32, b"x" * 32)
    assert not outbox.agrees(3, b"x" * 32, b"y" * 32)
    assert not outbox.agrees(3, b"x" * 32, None)
