"""Proves node/toplevel/proof.py: whole books are whole, and every way of spoiling them is found."""

from typing import Any

import pytest

from node.toplevel.proof import Proof, prove
from proto.chain import Kind
from tests.fakes.secondary_node import Chain, entry

LEATHER = "88.999.1001"


@pytest.fixture
async def chain(top: Any) -> Chain:
    """What was pushed: five changes, three live identifiers."""
    node = await top.enrolled()
    await node.file(LEATHER)
    made = Chain(LEATHER)
    made.add(entry("", 7, Kind.PREFIX_ENABLED, ""))
    made.add(entry("A"), entry("B"), entry("C"))
    made.add(entry("B", 2, Kind.DELETED), entry("A", 2, Kind.UPDATED))
    made.add(entry("B", 3, Kind.REVIVED))
    made.add(entry("C", 2, Kind.UPDATED), entry("D"), entry("D", 2, Kind.DELETED))
    assert (await node.push(made.stream()))[0].place.number == 5
    return made


async def proven(top: Any) -> Proof:
    (found,) = await prove(top.office.pool, LEATHER, top.clock[0])
    kept = await top.office.pool.fetchrow("SELECT proven, proven_number, flaw_en FROM toplevel.stream")
    assert tuple(kept) == (top.clock[0], found.standing.number, found.flaw.en if found.flaw else "")
    return found


async def test_whole_books_are_whole(top: Any, chain: Chain):
    found = await proven(top)
    assert (found.flaw, found.live, found.standing.number, found.standing.head) == (None, 3, 5, chain.head)


SPOILT = {
    "a change lost": "DELETE FROM toplevel.change WHERE number = 3",
    "the last change lost": "DELETE FROM toplevel.change WHERE number = 5",
    "a version told otherwise": "UPDATE toplevel.change SET versions[1] = 9 WHERE number = 2",
    "a suffix told otherwise": "UPDATE toplevel.change SET suffixes[1] = 'Z' WHERE number = 2",
    "a kind told otherwise": "UPDATE toplevel.change SET kinds[1] = 2 WHERE number = 4",
    "a template told otherwise": "UPDATE toplevel.change SET templates[1] = 'x' WHERE number = 2",
    "a digest told otherwise": "UPDATE toplevel.change SET digests = set_byte(digests, 3, 0) WHERE number = 2",
    "a head told otherwise": "UPDATE toplevel.change SET head = sha256('x') WHERE number = 2",
    "the standing told otherwise": "UPDATE toplevel.stream SET head = sha256('x')",
    "a count told otherwise": "UPDATE toplevel.stream SET created = created + 1",
}


@pytest.mark.parametrize("how", SPOILT)
async def test_every_way_of_spoiling_them_is_found(top: Any, chain: Chain, how: str):
    await top.office.pool.execute(SPOILT[how])
    found = await proven(top)
    assert found.flaw is not None
    assert found.flaw.zh


async def test_versions_that_do_not_follow_are_found_though_the_chain_is_whole(top: Any):
    node = await top.enrolled()
    await node.file(LEATHER)
    made = Chain(LEATHER)
    made.add(entry("A"), entry("B"))
    made.add(entry("B", 3, Kind.UPDATED))
    await node.push(made.stream())
    found = await proven(top)
    assert found.flaw is not None
    assert "versions of B" in found.flaw.en


async def test_a_prefix_without_changes_has_nothing_to_prove(top: Any):
    assert await prove(top.office.pool, LEATHER, top.clock[0]) == []
