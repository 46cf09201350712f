"""`Gatherer`: many questions of one moment become one call. Used for PostgreSQL and tokens alike.

It knows nothing of what it gathers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import repeat
from typing import Final, Generic, TypeVar

import structlog

WORTHWHILE: Final = 64
"""Questions that are worth a further lane at once: fewer go together more cheaply when the call before has ended."""
PATIENCE_SECONDS: Final = 0.005
"""They wait no longer than this for it, from when it began: some ten times a usual call."""

Q = TypeVar("Q")
A = TypeVar("A")

log = structlog.get_logger("gather")


class BusyError(Exception):
    """More is waiting already than the bound allows; nothing was done."""


def tell(thens: Iterable[Callable[[A | Exception], None]], answer: A | Exception) -> None:
    """Gives `answer` to each of `thens`; one that raises, which none may, takes it from none of the others."""
    for then in thens:
        try:
            then(answer)
        except Exception:  # a mistake of ours, and not theirs who wait beside it
            log.exception("told_in_vain")


async def answered(ask: Callable[[Callable[[A | Exception], None]], None]) -> A:
    """The answer `ask` gives to the callback it is called with. Raises what it gives instead."""
    future: asyncio.Future[A] = asyncio.get_running_loop().create_future()

    def then(answer: A | Exception) -> None:
        if future.done():  # who asked went away
            return
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    ask(then)
    return await future


class Gatherer(Generic[Q, A]):
    """Asks `call` with what waits: at most `size` questions a call, `lanes` calls at once, `most` waiting.

    A lane takes what the present turn of the loop brings, or what came while it was busy. A further one opens when
    many wait, or when the last call takes longer than PATIENCE_SECONDS.
    """

    def __init__(
        self, call: Callable[[Sequence[Q]], Awaitable[Sequence[A | Exception]]], *, size: int, lanes: int, most: int
    ) -> None:
        self._call = call
        self._size = size
        self._lanes = lanes
        self._most = most
        self._waiting: list[tuple[Q, Callable[[Q, A | Exception], None]]] = []
        self._busy: dict[asyncio.Task[None] | None, float] = {}  # and when its call began, in the seconds of the loop
        self._starting = False
        self._impatient: asyncio.TimerHandle | None = None

    def ask(self, questions: Sequence[Q], told: Callable[[Q, A | Exception], None]) -> None:
        """Tells the answer to each of `questions`, or what the call raised; BusyError, at once, if too many wait."""
        room = max(0, self._most - len(self._waiting))
        self._waiting += zip(questions[:room], repeat(told))
        for question in questions[room:]:
            told(question, BusyError())
        self._start()

    def _start(self) -> None:
        if not self._waiting or self._starting or len(self._busy) >= self._lanes:
            return
        loop = asyncio.get_running_loop()
        left = max(self._busy.values(), default=0.0) + PATIENCE_SECONDS - loop.time()
        if not self._busy or left <= 0 or len(self._waiting) >= min(WORTHWHILE, self._size):
            self._open()
        elif self._impatient is None:
            self._impatient = loop.call_later(left, self._waited)

    def _open(self) -> None:
        self._starting = True
        self._busy[asyncio.create_task(self._run())] = asyncio.get_running_loop().time()

    def _waited(self) -> None:
        self._impatient = None
        if self._waiting and not self._starting:
            self._open()

    async def _run(self) -> None:
        self._starting = False
        try:
            while self._waiting:
                taken, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
                if self._impatient is not None:
                    self._impatient.cancel()
                    self._impatient = None
                self._busy[asyncio.current_task()] = asyncio.get_running_loop().time()
                self._start()
                await self._asked(taken)
        finally:
            # Not when the task is called done: who asks in between would find the lane taken and wait for ever.
            del self._busy[asyncio.current_task()]

    async def _asked(self, taken: Sequence[tuple[Q, Callable[[Q, A | Exception], None]]]) -> None:
        answers: Iterable[A | Exception]
        try:
            answers = await self._call([question for question, _ in taken])
        except Exception as error:  # noqa: BLE001 - handed to everyone who asked
            answers = repeat(error, len(taken))
        for (question, told), answer in zip(taken, answers, strict=True):
            try:
                told(question, answer)
            except Exception:  # a mistake of ours, and not theirs who wait beside it
                log.exception("told_in_vain")
