"""`Gatherer`: many questions of one moment become one call. Used for PostgreSQL and tokens alike.

It knows nothing of what it gathers.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

import structlog

WORTHWHILE: Final = 64
"""Questions that are worth a further lane at once: fewer go together more cheaply when the call before has ended."""
PATIENCE_SECONDS: Final = 0.005
"""They wait no longer than this for it, from when it began: some ten times a usual call."""

Q = TypeVar("Q")
A = TypeVar("A")

Told: TypeAlias = Callable[[Sequence[Q], Sequence[A | Exception]], None]
"""Who asked: told the answers to some of the questions, of each once."""

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
        self._waiting: deque[tuple[Sequence[Q], Told[Q, A]]] = deque()
        self._count = 0  # of these questions
        self._busy: dict[asyncio.Task[None] | None, float] = {}  # and when its call began, in the seconds of the loop
        self._starting = False
        self._impatient: asyncio.TimerHandle | None = None

    def ask(self, questions: Sequence[Q], told: Told[Q, A]) -> None:
        """Tells the answers to `questions`, or what the call raised; BusyError, at once, of those that are too many."""
        room = max(0, self._most - self._count)
        waits, refused = questions[:room], questions[room:]
        if waits:
            self._waiting.append((waits, told))
            self._count += len(waits)
        if refused:
            told(refused, [BusyError()] * len(refused))
        self._start()

    def _start(self) -> None:
        if not self._waiting or self._starting or len(self._busy) >= self._lanes:
            return
        loop = asyncio.get_running_loop()
        left = max(self._busy.values(), default=0.0) + PATIENCE_SECONDS - loop.time()
        if not self._busy or left <= 0 or self._count >= min(WORTHWHILE, self._size):
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
                taken = self._taken()
                if self._impatient is not None:
                    self._impatient.cancel()
                    self._impatient = None
                self._busy[asyncio.current_task()] = asyncio.get_running_loop().time()
                self._start()
                await self._asked(taken)
        finally:
            # Not when the task is called done: who asks in between would find the lane taken and wait for ever.
            del self._busy[asyncio.current_task()]

    def _taken(self) -> list[tuple[Sequence[Q], Told[Q, A]]]:
        """The first questions that wait, as many as go into a call; they wait no more."""
        taken, room = [], self._size
        while room and self._waiting:
            questions, told = self._waiting.popleft()
            if len(questions) > room:
                self._waiting.appendleft((questions[room:], told))
            taken.append((questions[:room], told))
            room -= len(taken[-1][0])
        self._count -= self._size - room
        return taken

    async def _asked(self, taken: Sequence[tuple[Sequence[Q], Told[Q, A]]]) -> None:
        asked = [question for questions, _ in taken for question in questions]
        answers: Sequence[A | Exception]
        try:
            answers = await self._call(asked)
        except Exception as error:  # noqa: BLE001 - handed to everyone who asked
            answers = [error] * len(asked)
        at = 0
        for questions, told in taken:
            try:
                told(questions, answers[at : at + len(questions)])
            except Exception:  # a mistake of ours, and not theirs who wait beside it
                log.exception("told_in_vain")
            at += len(questions)
