"""Quotas on a real PostgreSQL: what is counted is what is there, and no race adds more than a quota allows."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from proto.chain import Kind
from registry.postgres import quota
from registry.prefix import PrefixState
from registry.quota import Quota, Usage
from registry.registrar import Job, Registrar, Written
from registry.rules import Refused, Rule, Unchanged
from tests.registry.world import BAG, NOW, OTHER, PREFIX, Interrupted, World, request, values

DAY = date(2026, 11, 23)
COUNTED = """
    SELECT (SELECT count(body) FROM record), (SELECT coalesce(sum(octet_length(body)), 0) FROM (
        SELECT body FROM record UNION ALL SELECT body FROM history) kept)
"""
SAID = "SELECT sum(live), sum(octets) FROM stream"


async def limited(world: World, **wanted: int | None) -> None:
    assert world.owner.enterprise is not None
    await world.steward.set_quota(world.owner.enterprise, wanted)


async def usage(world: World) -> Usage:
    assert world.owner.enterprise is not None
    return (await world.steward.quota(world.owner.enterprise, DAY))[2]


async def second_prefix(world: World) -> None:
    """Another prefix of the same enterprise, with a template of its own."""
    await world.steward.enrol("天马皮具", "Tianma Leather", "leather", OTHER)
    await world.steward.add_template(replace(BAG, prefix=OTHER))


def told(outcomes: Sequence[Any]) -> list[Any]:
    return [each.rule if isinstance(each, Refused) else type(each) for each in outcomes]


async def test_what_is_counted_is_what_is_there(world: World) -> None:
    """A life with every kind of change, in batches of which some lose a race or change nothing."""
    await world.write(*(request("create", f"A{n}", *values("包" * n)) for n in range(1, 6)))
    await world.write(request("update", "A1", *values("箱", "7")), request("create", "B"), request("delete", "A2"))
    await world.write(request("create", "A2"), request("update", "A3", *values("包" * 3)), request("create", "A4"))
    racing = Interrupted(world.pool, lambda: world.write(request("update", "A5", *values("快"))))
    assert told(await world.write(request("update", "A5", *values("慢慢")), request("create", "C"), pool=racing)) == [
        Written,
        Written,
    ]
    await world.write(request("delete", "C"))
    await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    assert await world.ask(SAID) == await world.ask(COUNTED)
    assert (await usage(world)).identifiers == 6


async def test_shared_transactions_count_by_prefix(world: World) -> None:
    await second_prefix(world)
    await limited(world, identifiers=3)
    jobs = [
        Job(request("create", f"S{n}", prefix=prefix), world.owner) for n, prefix in enumerate([PREFIX, OTHER, PREFIX])
    ]
    assert told(await world.registrar().write_together(jobs, NOW)) == [Written] * 3  # type: ignore[arg-type]
    assert await world.ask("SELECT live FROM stream ORDER BY prefix_no") == [(2,), (1,), (0,)]
    more = [Job(request("create", "T", prefix=prefix), world.owner) for prefix in (PREFIX, OTHER)]
    assert told(await world.registrar().write_together(more, NOW)) == [Rule.QUOTA_IDENTIFIERS] * 2  # type: ignore[arg-type]


async def test_a_batch_is_told_row_by_row_and_what_needs_no_place_goes_on(world: World) -> None:
    await limited(world, identifiers=2)
    rows = [request("create", suffix) for suffix in "ABC"]
    assert told(await world.write(*rows)) == [Written, Written, Rule.QUOTA_IDENTIFIERS]
    assert told(await world.write(request("update", "A", *values("新")), request("update", "B"))) == [
        Written,
        Unchanged,
    ]
    assert told(await world.write(request("delete", "B"), request("create", "C"))) == [Written, Rule.QUOTA_IDENTIFIERS]
    assert told(await world.write(request("create", "B"))) == [Written], "a deleted one made room, also for itself"
    await limited(world, identifiers=None)
    assert told(await world.write(request("create", "C"))) == [Written]


async def test_room_is_what_all_versions_take(world: World) -> None:
    await world.write(request("create", "A", *values("一二三四五")))
    taken = (await usage(world)).room
    await limited(world, room=taken + 20)
    assert told(await world.write(request("update", "A", *values("六七八九十")))) == [Written]
    assert told(await world.write(request("update", "A", *values("一二三四五")))) == [Rule.QUOTA_ROOM]
    assert told(await world.write(request("delete", "A"))) == [Written]
    assert (await usage(world)).room == 2 * taken


@pytest.mark.parametrize("prefix", [PREFIX, OTHER])
@pytest.mark.parametrize("wanted", ["identifiers", "room"])
async def test_two_at_the_edge_never_have_more_together(world: World, wanted: str, prefix: str) -> None:
    """Both were judged while there was room; the second to commit is judged again and told so."""
    await second_prefix(world)
    await world.write(request("create", "FIRST"))
    one = (await usage(world)).room
    await limited(world, **{"identifiers": 2} if wanted == "identifiers" else {"room": 2 * one})
    other = Job(request("create", "OTHER", prefix=prefix), world.owner)
    told_other: list[Any] = []

    async def meanwhile() -> None:
        told_other.extend(told(await world.registrar().write([other], NOW)))

    racing = Interrupted(world.pool, meanwhile)
    refused = Rule.QUOTA_IDENTIFIERS if wanted == "identifiers" else Rule.QUOTA_ROOM
    assert told(await world.write(request("create", "MINE"), pool=racing)) == [refused]
    assert told_other == [Written]


async def test_many_at_once_from_two_prefixes_fill_a_quota_to_the_last_place(world: World) -> None:
    await second_prefix(world)
    await limited(world, identifiers=10)
    registrars = [world.registrar() for _ in range(4)]

    async def fill(registrar: Registrar, prefix: str, name: str) -> list[Any]:
        done: list[Any] = []
        for n in range(8):
            job = Job(request("create", f"{name}{n}", prefix=prefix), world.owner)
            while (outcome := told(await registrar.write([job], NOW)))[0] is Rule.CONTENDED:
                continue
            done += outcome
        return done

    fillings = (fill(r, prefix, name) for r, prefix, name in zip(registrars, [PREFIX, OTHER] * 2, "abcd", strict=True))
    outcomes = [each for done in await asyncio.gather(*fillings) for each in done]
    assert (outcomes.count(Written), outcomes.count(Rule.QUOTA_IDENTIFIERS)) == (10, 22)
    assert await world.ask(SAID) == await world.ask(COUNTED)


async def test_a_quota_holds_for_prefixes_that_come_later(world: World) -> None:
    await limited(world, identifiers=1)
    await second_prefix(world)
    await world.write(request("create", "A"))
    job = Job(request("create", "B", prefix=OTHER), world.owner)
    assert told(await world.registrar().write([job], NOW)) == [Rule.QUOTA_IDENTIFIERS]


async def test_what_is_not_named_of_a_quota_stays(world: World) -> None:
    enterprise = await world.steward.enterprise_of(PREFIX)
    assert enterprise == world.owner.enterprise == await world.steward.enterprise_of("天马皮具")
    assert [await world.steward.enterprise_of(name) for name in ("88.999.9", "无", "a\0b")] == [None] * 3
    assert enterprise is not None
    assert (await world.steward.quota(enterprise, DAY))[:2] == ("天马皮具", Quota())
    await limited(world, identifiers=5, room=0)
    await limited(world, calls=7, room=None)
    assert (await world.steward.quota(enterprise, DAY))[1] == Quota(5, 7, None)


async def test_calls_are_summed_by_day_and_forgotten_in_time(world: World) -> None:
    mine = world.owner.enterprise
    assert mine is not None
    count = world.steward.count_calls
    assert await count(DAY, {mine: 3}, new_day=True) == {}
    await limited(world, calls=10)
    assert await count(DAY, {mine: 4}, new_day=False) == {mine: 3}
    assert await count(DAY, {mine: 5}, new_day=False) == {mine: -2}
    later = DAY + timedelta(days=quota.CALL_DAYS)
    assert await count(later, {}, new_day=True) == {mine: 10}
    assert await world.one("SELECT made FROM calls") == 12
    await count(later + timedelta(days=1), {}, new_day=True)
    assert await world.one("SELECT count(*) FROM calls") == 0


def test_all_kinds_that_are_counted_are_known() -> None:
    """The kinds `commit_changes` counts by number are those of the chain that an identifier goes through."""
    assert [(kind.value, kind.name) for kind in Kind if kind < 10] == [
        (1, "CREATED"),
        (2, "UPDATED"),
        (3, "DELETED"),
        (4, "REVIVED"),
    ]
