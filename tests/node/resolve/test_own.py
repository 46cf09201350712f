"""The stage that knows, on real PostgreSQL: every outcome with the epochs it holds under, and nothing not public."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from node.resolve.answer import Answer, Outcome, Question
from node.resolve.own import Own
from node.resolve.signposts import Signposts
from proto.value import ADMIN_READ, ADMIN_WRITE, Value
from proto.web_json import moment
from registry.errors import UnavailableError
from registry.postgres.records import Stored
from registry.prefix import PrefixState
from registry.record import Record
from registry.sight import visible_values
from registry.template import Item
from tests.fakes.asking import asked_of
from tests.fakes.small_registry import ITEMS, NOW, PREFIX, TEMPLATE, SmallRegistry, small_registry, template


def question(text: str) -> Question:
    return Question(text, 0, b"", None, False, [])


async def ask(own: Own, asked: Question) -> Answer:
    return await asked_of(own, asked)


def counted_looks(registry: SmallRegistry) -> list[int]:
    """How many identifiers each query asks for, from now on."""
    looks: list[int] = []
    look = registry.lookup.look_keys

    async def counted(keys: Iterable[str]) -> list[Stored]:
        looks.append(len(list(keys)))
        return await look(keys)

    registry.lookup.look_keys = counted  # type: ignore[method-assign]
    return looks


def shown(answer: Answer) -> dict[str, Any]:
    return {value["type"]: value["data"]["value"] for value in json.loads(answer.shown)}


async def test_each_outcome_with_the_epochs_it_holds_under(database: str) -> None:
    async with small_registry(database) as registry:
        await registry.write("create", "a", "gone")
        await registry.write("delete", "gone")
        own = Own(registry.lookup, Signposts(registry.lookup, None))
        prefix = await registry.lookup.prefix(PREFIX)
        kept = await registry.lookup.named_template(PREFIX, TEMPLATE)
        assert prefix
        assert kept
        names = ("a", "gone", "never")
        found, gone, absent = await asyncio.gather(*(ask(own, question(f"{PREFIX}/{n}")) for n in names))
        assert (found.outcome, found.version, found.prefix, found.epoch) == (
            Outcome.FOUND,
            1,
            prefix.number,
            prefix.epoch,
        )
        assert (found.template, found.template_epoch) == (kept.number, kept.epoch)
        assert gone == Answer(Outcome.GONE, 2, prefix.number, prefix.epoch)
        assert absent == Answer(Outcome.ABSENT, 0, prefix.number, prefix.epoch)
        number = await registry.steward.catalogue_number()
        assert await ask(own, question("77.1/a")) == Answer(Outcome.FOREIGN, 0, 0, number)
        epoch = await registry.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
        stopped = await ask(own, question(f"{PREFIX}/a"))
        assert stopped == Answer(Outcome.STOPPED, 1, prefix.number, epoch or 0)


async def test_what_is_shown_is_what_today_is_public(database: str) -> None:
    async with small_registry(database) as registry:
        await registry.write("create", "a", styleNo="S1", colour="红", costPrice="99")
        own = Own(registry.lookup, Signposts(registry.lookup, None))
        asked = question(f"{PREFIX}/a")
        assert shown(await ask(own, asked)) == {
            "TEMPLATE_ID": f"{PREFIX}/META_{TEMPLATE}",
            "TEMPLATE": TEMPLATE,
            "styleNo": "S1",
            "colour": "红",
        }
        kept = await registry.lookup.named_template(PREFIX, TEMPLATE)
        assert kept is not None
        closed = tuple(
            Item(i.index, i.name, i.zh, required=i.required, access="internal" if i.name == "colour" else "public")
            for i in ITEMS
        )
        assert await registry.steward.replace_template(replace(kept, items=closed))
        answer = await ask(own, asked)
        assert shown(answer).keys() == {"TEMPLATE_ID", "TEMPLATE", "styleNo", "costPrice"}
        assert answer.template_epoch > kept.epoch


async def test_the_values_a_template_does_not_know_and_those_without_the_bit_stay_inside() -> None:
    values = (
        Value(2000, "styleNo", b"S1"),
        Value(2001, "colour", b"red", permissions=ADMIN_READ | ADMIN_WRITE),
        Value(2002, "costPrice", b"99"),
        Value(3000, "other", b"x"),
    )
    record = Record(1, True, 1, 1_795_000_000, values)
    assert [v.type for v in visible_values(record, template())] == ["TEMPLATE_ID", "TEMPLATE", "styleNo"]
    assert [v.type for v in visible_values(record, None)] == ["styleNo", "costPrice", "other"]


async def test_many_questions_of_a_moment_are_one_query(database: str) -> None:
    async with small_registry(database) as registry:
        await registry.write("create", *(f"b{n}" for n in range(40)))
        own = Own(registry.lookup, Signposts(registry.lookup, None))
        looks = counted_looks(registry)
        asked = [question(f"{PREFIX}/b{n}") for n in range(40)]
        answers = await asyncio.gather(*(ask(own, each) for each in asked))
        assert {answer.outcome for answer in answers} == {Outcome.FOUND}
        assert looks == [40]


async def test_a_database_that_is_away_is_said(database: str) -> None:
    async with small_registry(database) as registry:
        own = Own(registry.lookup, Signposts(registry.lookup, None))
        await registry.pool.close()
        with pytest.raises(UnavailableError):
            await ask(own, question(f"{PREFIX}/a"))


async def test_one_record_that_cannot_be_read_is_nobody_else_s_trouble(database: str) -> None:
    async with small_registry(database) as registry:
        await registry.write("create", "a", "b")
        own = Own(registry.lookup, Signposts(registry.lookup, None))
        record = registry.lookup.record

        async def unreadable(stored: Stored) -> Any:
            raise KeyError(2000)

        registry.lookup.record = unreadable  # type: ignore[method-assign]
        with pytest.raises(KeyError):
            await ask(own, question(f"{PREFIX}/a"))
        registry.lookup.record = record  # type: ignore[method-assign]
        await ask(own, question(f"{PREFIX}/a"))
        registry.lookup.record = unreadable  # type: ignore[method-assign]
        await registry.write("update", "b", colour="红")
        a, b = await asyncio.gather(*(ask(own, question(f"{PREFIX}/{n}")) for n in "ab"), return_exceptions=True)
        assert isinstance(a, Answer)
        assert isinstance(b, KeyError)


async def test_the_same_identifier_is_asked_for_once_a_query(database: str) -> None:
    async with small_registry(database) as registry:
        await registry.write("create", "a")
        own = Own(registry.lookup, Signposts(registry.lookup, None))
        looks = counted_looks(registry)
        names = ["a", "never", "a", "a"]
        answers = await asyncio.gather(*(ask(own, question(f"{PREFIX}/{n}")) for n in names))
        assert [answer.outcome.name for answer in answers] == ["FOUND", "ABSENT", "FOUND", "FOUND"]
        assert looks == [2]


async def test_a_record_out_of_the_common_is_shown_all_the_same(database: str) -> None:
    async with small_registry(database) as registry:
        await registry.write("create", "a", styleNo="S1", colour="\x01")
        await registry.write("create", "b", styleNo="S1")
        await registry.write("update", "b", colour="红")
        own = Own(registry.lookup, Signposts(registry.lookup, None))
        a, b = [json.loads((await ask(own, question(f"{PREFIX}/{n}"))).shown) for n in "ab"]
        assert a[3]["data"] == {"format": "base64", "value": "AQ=="}
        assert [each["timestamp"] for each in b[2:]] == [moment(NOW + 2), moment(NOW + 3)]
