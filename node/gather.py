"""`Gatherer`: many questions of one moment become one call. Used for PostgreSQL, Redis and tokens alike.

It knows nothing of what it gathers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class BusyError(Exception):
    """More is waiting already than the bound allows; nothing was done."""


class Gatherer(Generic[Q, A]):
    """Asks `call` with what waits: at most `size` questions a call, `lanes` calls at once, `most` waiting.

    Questions with the same `key` that still wait share one answer: it is fetched after all of them were asked.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Q]], Awaitable[Sequence[A]]],
        key: Callable[[Q], Hashable],
        *,
        size: int,
        lanes: int,
        most: int,
    ) -> None:
        self._call = call
        self._key = key
        self._size = size
        self._lanes = lanes
        self._most = most
        self._waiting: dict[Hashable, tuple[Q, asyncio.Future[A]]] = {}
        self._busy = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, question: Q) -> A:
        """The answer to `question`. Raises BusyError, or whatever the call raised."""
        key = self._key(question)
        waiting = self._waiting.get(key)
        if waiting is None:
            if len(self._waiting) >= self._most:
                raise BusyError
            waiting = question, asyncio.get_running_loop().create_future()
            self._waiting[key] = waiting
            self._start()
        # Shielded: who goes away must not take the answer from the others who wait for it.
        return await asyncio.shield(waiting[1])

    def _start(self) -> None:
        if self._busy < self._lanes:
            self._busy += 1
            task = asyncio.create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        try:
            await self._until_none_waits()
        finally:
            # Not when the task is called done: who asks in between would find the lane taken and wait for ever.
            self._busy -= 1

    async def _until_none_waits(self) -> None:
        while self._waiting:
            keys = list(self._waiting)[: self._size]
            taken = [self._waiting.pop(key) for key in keys]
            try:
                answers = await self._call([question for question, _ in taken])
            except Exception as error:  # noqa: BLE001 - handed to everyone who asked
                for _, future in taken:
                    _fail(future, error)
                continue
            for (_, future), answer in zip(taken, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


def _fail(future: "asyncio.Future[A]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # who asked may be gone: then nobody is left to be told
