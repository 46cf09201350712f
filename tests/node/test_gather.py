"""Many questions of one moment become one call; nobody gets an answer fetched before he asked; bounds hold."""

import asyncio
from collections.abc import Sequence

import pytest

from node import gather as gather_module
from node.gather import BusyError, Gatherer, answered
from tests.waiting import PATIENCE


class Called:
    """Stands for whoever is asked: keeps the calls, and answers each when the test lets it."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self._open: list[asyncio.Future[Exception | None]] = []
        self._bell = asyncio.Event()

    async def __call__(self, questions: Sequence[str]) -> list[str]:
        self.calls.append(list(questions))
        number = len(self.calls)
        self._open.append(asyncio.get_running_loop().create_future())
        self._bell.set()
        error = await self._open[-1]
        if error is not None:
            raise error
        return [f"{question} by call {number}" for question in questions]

    async def asked(self, calls: int) -> None:
        """Returns when so many calls were made."""
        while len(self.calls) < calls:
            self._bell.clear()
            await self._bell.wait()

    def answer(self, call: int, error: Exception | None = None) -> None:
        """Lets call number `call` end."""
        self._open[call - 1].set_result(error)


def gatherer(called: Called, *, size: int = 10, lanes: int = 1, most: int = 100) -> Gatherer[str, str]:
    return Gatherer(called, size=size, lanes=lanes, most=most)


async def ask(gather: Gatherer[str, str], question: str) -> str:
    return await answered(lambda then: gather.ask([question], lambda _, answers: then(answers[0])))


async def test_what_is_asked_while_a_call_is_under_way_goes_into_one_call() -> None:
    called = Called()
    gather = gatherer(called)
    first = asyncio.create_task(ask(gather, "a"))
    await called.asked(1)
    others = [asyncio.create_task(ask(gather, each)) for each in "bcd"]
    await asyncio.sleep(0)
    called.answer(1)
    await called.asked(2)
    called.answer(2)
    assert await first == "a by call 1"
    assert await asyncio.gather(*others) == ["b by call 2", "c by call 2", "d by call 2"]
    assert called.calls == [["a"], ["b", "c", "d"]]


async def test_a_call_takes_no_more_than_its_size() -> None:
    called = Called()
    gather = gatherer(called, size=2)
    asked = [asyncio.create_task(ask(gather, each)) for each in "abcde"]
    for call in (1, 2, 3):
        await called.asked(call)
        called.answer(call)
    await asyncio.gather(*asked)
    assert called.calls == [["a", "b"], ["c", "d"], ["e"]]


async def test_so_many_calls_at_once_as_there_are_lanes() -> None:
    called = Called()
    gather = gatherer(called, size=1, lanes=2)
    asked = [asyncio.create_task(ask(gather, each)) for each in "abc"]
    await called.asked(2)
    assert called.calls == [["a"], ["b"]]
    called.answer(2)
    await called.asked(3)
    called.answer(1)
    called.answer(3)
    assert await asyncio.gather(*asked) == ["a by call 1", "b by call 2", "c by call 3"]


async def test_a_further_lane_opens_for_many_or_for_those_who_have_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather_module, "WORTHWHILE", 3)
    monkeypatch.setattr(gather_module, "PATIENCE_SECONDS", PATIENCE)
    called = Called()
    gather = gatherer(called, lanes=3)
    asked = [asyncio.create_task(ask(gather, "a"))]
    await called.asked(1)
    asked += [asyncio.create_task(ask(gather, each)) for each in "bc"]
    for _ in range(10):
        await asyncio.sleep(0)
    assert called.calls == [["a"]], "two are not worth a call of their own"
    asked.append(asyncio.create_task(ask(gather, "d")))
    await called.asked(2)
    assert called.calls[1] == ["b", "c", "d"]
    monkeypatch.setattr(gather_module, "PATIENCE_SECONDS", 0)
    asked.append(asyncio.create_task(ask(gather, "e")))
    await called.asked(3)
    for call in (1, 2, 3):
        called.answer(call)
    await asyncio.gather(*asked)
    assert called.calls[2:] == [["e"]]


async def test_while_one_hangs_the_others_go_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    called = Called()
    gather = gatherer(called, lanes=2)
    hanging = asyncio.create_task(ask(gather, "a"))
    await called.asked(1)
    monkeypatch.setattr(gather_module, "PATIENCE_SECONDS", 0)  # it is over for this one
    for call, question in enumerate("bc", 2):
        asking = asyncio.create_task(ask(gather, question))
        await asyncio.sleep(0)
        assert gather._impatient is None
        await called.asked(call)
        called.answer(call)
        await asking
    called.answer(1)
    await hanging


async def test_who_is_taken_by_a_lane_that_came_free_opens_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    called = Called()
    gather = gatherer(called, lanes=2)
    asked = [asyncio.create_task(ask(gather, "a"))]
    await called.asked(1)
    asked.append(asyncio.create_task(ask(gather, "b")))
    await asyncio.sleep(0)
    assert gather._impatient is not None
    called.answer(1)
    await called.asked(2)
    assert gather._impatient is None
    called.answer(2)
    await asyncio.gather(*asked)


async def test_a_question_does_not_join_a_call_that_has_begun() -> None:
    called = Called()
    gather = gatherer(called, lanes=2)
    first = asyncio.create_task(ask(gather, "x"))
    await called.asked(1)
    second = asyncio.create_task(ask(gather, "x"))
    await called.asked(2)
    called.answer(1)
    called.answer(2)
    assert await first == "x by call 1"
    assert await second == "x by call 2"


async def test_beyond_the_bound_one_is_told_so_and_nothing_is_asked() -> None:
    called = Called()
    gather = gatherer(called, most=2)
    first = asyncio.create_task(ask(gather, "a"))
    await called.asked(1)
    waiting = [asyncio.create_task(ask(gather, each)) for each in "bc"]
    await asyncio.sleep(0)
    with pytest.raises(BusyError):
        await ask(gather, "d")
    called.answer(1)
    await called.asked(2)
    called.answer(2)
    assert await first == "a by call 1"
    assert await asyncio.gather(*waiting) == ["b by call 2", "c by call 2"]
    assert await asyncio.gather(asyncio.create_task(ask(gather, "d")), _let(called, 3)) == ["d by call 3", None]


async def _let(called: Called, call: int) -> None:
    await called.asked(call)
    called.answer(call)


async def test_an_error_goes_to_everyone_of_the_call_and_to_nobody_else() -> None:
    called = Called()
    gather = gatherer(called, size=2)
    asked = [asyncio.create_task(ask(gather, each)) for each in "abc"]
    await called.asked(1)
    called.answer(1, OSError("away"))
    await called.asked(2)
    called.answer(2)
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(each) for each in results] == ["away", "away", "c by call 2"]


async def test_who_goes_away_takes_the_answer_from_nobody() -> None:
    called = Called()
    gather = gatherer(called)
    gone, stays = (asyncio.create_task(ask(gather, "x")) for _ in range(2))
    await called.asked(1)
    gone.cancel()
    called.answer(1)
    assert await stays == "x by call 1"
    assert gone.cancelled()


async def test_an_error_nobody_waits_for_is_not_complained_of() -> None:
    called = Called()
    gather = gatherer(called)
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    gone = asyncio.create_task(ask(gather, "x"))
    await called.asked(1)
    gone.cancel()
    called.answer(1, OSError("away"))
    again = asyncio.create_task(ask(gather, "y"))
    await called.asked(2)
    called.answer(2)
    await again
    assert not complaints


async def test_who_asks_just_when_the_last_call_ends_is_not_forgotten() -> None:
    called = Called()
    gather = gatherer(called)
    first = asyncio.create_task(ask(gather, "x"))
    await called.asked(1)
    called.answer(1)
    late = asyncio.create_task(ask(gather, "y"))  # runs when the call has ended and its task is not yet called done
    assert await first == "x by call 1"
    await called.asked(2)
    called.answer(2)
    assert await late == "y by call 2"


async def test_what_one_turn_of_the_loop_brings_goes_into_one_call_though_more_lanes_are_free() -> None:
    called = Called()
    gather = gatherer(called, lanes=3)
    told: list[object] = []
    gather.ask("ab", lambda _, answers: told.extend(answers))
    gather.ask("cd", lambda _, answers: told.extend(answers))
    await called.asked(1)
    assert called.calls == [["a", "b", "c", "d"]]
    called.answer(1)
    last = asyncio.create_task(ask(gather, "e"))
    await called.asked(2)
    called.answer(2)
    assert await last == "e by call 2"
    assert told == [f"{each} by call 1" for each in "abcd"]
    assert called.calls == [["a", "b", "c", "d"], ["e"]], "no other lane was started for nothing"


async def test_each_is_told_once_at_once_when_too_many_wait() -> None:
    called = Called()
    gather = gatherer(called, most=2)
    told: list[object] = []
    gather.ask("z", lambda _, answers: told.extend(answers))
    gather.ask("abc", lambda asked, answers: told.extend(zip(asked, map(type, answers), strict=True)))
    assert told == [("b", BusyError), ("c", BusyError)]
    await called.asked(1)
    called.answer(1)
    assert await ask_next(called, gather) == "c by call 2"
    assert told[2:] == ["z by call 1", ("a", str)]


async def ask_next(called: Called, gather: Gatherer[str, str]) -> str:
    asking = asyncio.create_task(ask(gather, "c"))
    await called.asked(2)
    called.answer(2)
    return await asking


async def test_one_that_raises_when_told_takes_the_answer_from_nobody() -> None:
    called = Called()
    gather = gatherer(called)
    told: list[object] = []

    def raises(_: Sequence[str], answers: Sequence[object]) -> None:
        told.extend(answers)
        raise ZeroDivisionError

    gather.ask("xx", raises)
    gather.ask("y", lambda _, answers: told.extend(answers))
    await called.asked(1)
    called.answer(1)
    assert await ask_next(called, gather) == "c by call 2"
    assert told == ["x by call 1", "x by call 1", "y by call 1"]
