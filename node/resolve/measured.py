"""The first stage: counts every resolution a client asked for, with what came of it, where, and how long it took.

It changes no answer and no error.
"""

from collections.abc import Callable
from typing import Final

from node import metrics
from node.gather import BusyError
from node.meter import Meter
from node.resolve.answer import Answer
from node.resolve.hot import Hot
from proto.identifier import Identifier
from registry.errors import UnavailableError

_FAILURES: Final[dict[type[Exception], str]] = {UnavailableError: metrics.UNAVAILABLE, BusyError: metrics.BUSY}


class Measured:
    """Asks `next_` and counts with `meter`; `clock` gives monotonic seconds."""

    def __init__(self, next_: Hot, meter: Meter, clock: Callable[[], float]) -> None:
        self._next = next_
        self._meter = meter
        self._clock = clock

    async def ask(self, identifier: Identifier, *, onward: bool = True) -> Answer:
        """What the next stage answers, and raises what it raises. Without `onward` no other node is asked."""
        began = self._clock()
        try:
            answer = await self._next.ask(identifier, onward=onward)
        except Exception as error:
            self.count(error, began)
            raise
        self.count(answer, began)
        return answer

    def count(self, answer: Answer | Exception, began: float) -> None:
        """A question asked of the next stage at `began` has this answer, or none because of this."""
        seconds = self._clock() - began
        if not isinstance(answer, Exception):
            self._meter.resolved(answer, seconds)
            return
        self._meter.count(metrics.RESOLUTIONS, metrics.NOWHERE, _FAILURES.get(type(answer), metrics.FAILED))
        self._meter.observe(metrics.RESOLUTION_SECONDS, seconds, metrics.NOWHERE)
