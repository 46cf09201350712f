"""Proves registry/audit.py: what can stand in the journal, that no secret can, and that its chain shows any change."""

import re
from dataclasses import replace
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.account import Account
from registry.audit import (
    DETAIL_OCTETS,
    EMPTY,
    FIELD_OCTETS,
    NODE,
    OBJECTS_MOST,
    SHOWN,
    Action,
    Actor,
    Broken,
    Entry,
    Head,
    Kept,
    Minutes,
    Row,
    Seal,
    detail_text,
    differing,
    ended,
    next_digest,
    of_account,
    of_standings,
    of_templates,
    prove,
)
from registry.filing import Filing, Standing
from registry.prefix import PrefixState
from registry.rights import Role
from tests.registry.world import BAG

LI = Account(7, "li", "person", Role.SYSTEM_ADMIN, None)
TEXT = st.text('ab"\\长', max_size=8)


def journal(count: int) -> list[Row]:
    """A journal of so many entries, as the database keeps it."""
    rows, digest = [], EMPTY.digest
    for number in range(1, count + 1):
        row = Row(number, 1000 + number, 7, "li", "admin", "192.0.2.1", "account_put", ["wang"], "{}", '{"a":1}', b"")
        digest = next_digest(digest, row)
        rows.append(row._replace(digest=digest))
    return rows


def head(rows: list[Row]) -> Head:
    return Head(rows[-1].number, rows[-1].digest) if rows else EMPTY


# --- What an entry can show --------------------------------------------------------------------------------

SECRET = re.compile(r"password|secret|token|key|digest|nonce|proof|legal|contact|phone|email")


def test_no_action_has_a_field_for_a_secret_or_for_a_person():
    assert SHOWN.keys() == set(Action)
    assert [name for names in SHOWN.values() for name in names if SECRET.search(name)] == []


@pytest.mark.parametrize("action", Action)
def test_what_is_not_on_the_list_of_an_action_cannot_be_written_down(action: Action):
    Entry(NODE, action, ("x",), {}, dict.fromkeys(SHOWN[action]))
    for before, after in (({"password": ""}, {}), ({}, {"secret": ""})):
        with pytest.raises(AssertionError):
            Entry(NODE, action, ("x",), before, after)


def test_an_entry_names_a_bounded_number_of_objects():
    Entry(NODE, Action.DATA_READ, ("x",) * OBJECTS_MOST, {}, {})
    with pytest.raises(AssertionError):
        Entry(NODE, Action.DATA_READ, ("x",) * (OBJECTS_MOST + 1), {}, {})


def test_an_entry_in_its_one_form():
    minutes = Minutes(Actor.of(LI, "192.0.2.1"))
    minutes(Action.PREFIX_CHANGED, "88.999.1", {"state": "enabled"}, {"suspended": False, "state": "stopped"})
    (entry,) = minutes.entries
    assert entry.octets == (
        b'[7,"li","system_admin","192.0.2.1","prefix_changed",["88.999.1"],'
        b'{"state":"enabled"},{"state":"stopped","suspended":false}]'
    )
    assert entry.room > len(entry.octets) + len("88.999.1")


def test_what_is_too_long_stands_there_by_its_digest():
    def digested(value: object) -> dict[str, object]:
        octets = msgspec.json.encode(value, order="deterministic")
        return {"octets": len(octets), "sha256": sha256(octets).hexdigest()}

    long = "长" * DETAIL_OCTETS
    assert msgspec.json.decode(detail_text({"zh": long, "state": "draft"})) == {"zh": digested(long), "state": "draft"}
    many = {f"name{n:03}": "x" * FIELD_OCTETS for n in range(300)}
    assert msgspec.json.decode(detail_text(many)) == digested(many)
    assert detail_text({"zh": "短"}) == '{"zh":"短"}'


def test_only_what_differs_is_shown():
    assert differing({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 3, "d": 4}) == ({"b": 2, "c": 3}, {"b": 3, "d": 4})
    items = (replace(BAG.items[0], most=99), *BAG.items[1:])
    before, after = of_templates(BAG, replace(BAG, en="Handbag", items=items, number=9, epoch=9))
    assert (before["en"], after["en"]) == ("Bag", "Handbag")
    assert before["items"]["productName"]["most"] == 64
    assert after["items"]["productName"]["most"] == 99
    assert before.keys() == after.keys() == {"en", "items"}
    assert before["items"].keys() == after["items"].keys() == {"productName"}
    assert of_templates(BAG, BAG) == ({}, {})
    assert of_templates(None, BAG)[1]["items"].keys() == {"productName", "weight", "colour"}


def test_accounts_and_prefixes_are_shown_so():
    assert of_account(None) == {}
    assert of_account((LI, True)) == {"kind": "person", "role": "system_admin", "enterprise": None, "enabled": True}
    now = Standing(PrefixState.ENABLED, Filing.APPROVED)
    then = Standing(PrefixState.STOPPED, Filing.APPROVED, suspended=True)
    assert of_standings(now, then, "欠费") == (
        {"state": "enabled", "suspended": False},
        {"state": "stopped", "suspended": True, "reason": "欠费"},
    )


# --- The chain ---------------------------------------------------------------------------------------------


def test_a_journal_holds_from_its_beginning_and_from_any_place_on():
    rows = journal(5)
    assert prove(EMPTY, []) == EMPTY == ended(EMPTY, EMPTY)
    for cut in range(6):
        before = prove(EMPTY, rows[:cut])
        assert isinstance(before, Head)
        assert before == head(rows[:cut])
        assert prove(before, rows[cut:], head(rows[:3])) == head(rows) == ended(head(rows), head(rows), head(rows[:3]))


FIELDS = [name for name in Row._fields if name != "objects"]


@given(st.integers(0, 4), st.sampled_from(FIELDS), st.data())
def test_a_changed_entry_is_found(place: int, name: str, data: st.DataObject):
    rows = journal(5)
    was = getattr(rows[place], name)
    kinds = {
        int: st.integers(0, 2**31 - 1),
        str: TEXT.map(lambda text: msgspec.json.encode(text).decode()),
        bytes: st.binary(),
    }
    rows[place] = rows[place]._replace(**{name: data.draw(kinds[type(was)].filter(lambda value: value != was))})
    broken = prove(EMPTY, rows)
    assert isinstance(broken, Broken)
    assert broken.number == place + 1


@given(st.integers(0, 4), st.lists(TEXT, max_size=3).filter(lambda objects: objects != ["wang"]))
def test_other_objects_are_found(place: int, objects: list[str]):
    rows = journal(5)
    rows[place] = rows[place]._replace(objects=objects)
    broken = prove(EMPTY, rows)
    assert isinstance(broken, Broken)
    assert broken.number == place + 1


@given(st.integers(0, 3))
def test_a_missing_entry_is_found(place: int):
    rows = journal(5)
    del rows[place]
    assert prove(EMPTY, rows) == Broken(place + 1, "缺少该条", "the entry is missing")


def test_a_cut_end_is_found_by_the_head_and_by_what_was_kept_elsewhere():
    rows = journal(5)
    cut = head(rows[:3])
    missing = Broken(4, "末尾被截去", "the end is cut off")
    assert ended(cut, head(rows)) == missing
    assert ended(cut, cut) == cut
    assert ended(cut, cut, head(rows)) == missing
    assert ended(head(rows), cut) == Broken(3, "与账目链头不符", "it is not what the head of the journal says")


def test_a_journal_written_anew_is_found_by_what_was_kept_elsewhere():
    rows, kept = journal(5), Head(3, sha256(b"as it was").digest())
    assert prove(EMPTY, rows, kept) == Broken(
        3, "与别处留存的摘要不符", "it is another one than what was kept elsewhere"
    )


# --- The head kept elsewhere -------------------------------------------------------------------------------


def test_a_head_is_believed_only_of_who_has_the_key():
    seal, mine = Seal(bytes(32)), Kept(head(journal(3)), bytes(31) + b"\1")
    line = seal.written(mine)
    assert seal.read(line) == seal.read(f"{line}\n") == mine
    assert Seal(b"\1" * 32).read(line) is None
    unnamed = mine._replace(first=b"")
    assert seal.read(seal.written(unnamed)) == unnamed, "as earlier editions wrote it"
    for other in ("", "x", line.replace("3 ", "2 ", 1), line[:-1], f"é{line}"):
        assert seal.read(other) is None


def test_an_entry_is_told_with_its_digest():
    row = journal(1)[0]
    told = msgspec.json.decode(msgspec.json.encode(row.shown))
    assert told | {"digest": ""} == {
        **{"number": 1, "at": 1001, "account": 7, "actor": "li", "role": "admin", "peer": "192.0.2.1"},
        **{"action": "account_put", "objects": ["wang"], "before": {}, "after": {"a": 1}, "digest": ""},
    }
    assert told["digest"] == row.digest.hex()
