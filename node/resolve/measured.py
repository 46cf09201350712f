"""The first stage: counts every resolution a client asked for, with what came of it, where, and how long it took, and
notes it for the access log.

It changes no answer and no error.
"""

from collections.abc import Callable
from typing import Final

from node import metrics
from node.gather import BusyError
from node.meter import Meter
from node.resolve.answer import Answer, Outcome
from node.resolve.hot import Hot
from proto.identifier import Identifier
from registry.access_log import NOWHERE, Note, Source, unnoted
from registry.errors import UnavailableError

_FAILURES: Final[dict[type[Exception], str]] = {UnavailableError: metrics.UNAVAILABLE, BusyError: metrics.BUSY}

WORDS: Final = {outcome: f"resolve {outcome.name.lower()}" for outcome in Outcome}
"""What the access log calls a resolution, by its outcome."""


class Measured:
    """Asks `next_`, counts with `meter` and tells `note`; `clock` gives monotonic seconds."""

    def __init__(self, next_: Hot, meter: Meter, clock: Callable[[], float], note: Note = unnoted) -> None:
        self._next = next_
        self._meter = meter
        self._clock = clock
        self._note = note

    async def ask(self, identifier: Identifier, *, onward: bool = True, source: Source = NOWHERE) -> Answer:
        """What the next stage answers, and raises what it raises. Without `onward` no other node is asked."""
        began = self._clock()
        try:
            answer = await self._next.ask(identifier, onward=onward)
        except Exception as error:
            self.count(error, began)
            self.note(began, source, str(identifier), error)
            raise
        self.count(answer, began)
        self.note(began, source, str(identifier), answer)
        return answer

    def note(
        self, began: float, source: Source, identifier: str | bytes, answer: Answer | Exception, account: int = 0
    ) -> None:
        """Tells the access log, as `count`; `account` is the number of who has signed in."""
        if isinstance(answer, Exception):
            words = f"resolve {_FAILURES.get(type(answer), metrics.FAILED)}"
        else:
            words = WORDS[answer.outcome]
        self._note((began, *source, account, identifier, words))

    def count(self, answer: Answer | Exception, began: float) -> None:
        """A question asked of the next stage at `began` has this answer, or none because of this."""
        seconds = self._clock() - began
        if not isinstance(answer, Exception):
            self._meter.resolved(answer, seconds)
            return
        self._meter.count(metrics.RESOLUTIONS, metrics.NOWHERE, _FAILURES.get(type(answer), metrics.FAILED))
        self._meter.observe(metrics.RESOLUTION_SECONDS, seconds, metrics.NOWHERE)
