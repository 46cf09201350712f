"""What a crowd counted: per class of the mix, and of its connections. Pure; tallies of several processes add up."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from loadtest.histogram import Histogram
from loadtest.response import Kind

EXAMPLES_MOST: Final = 3
"""Wrong answers shown: enough to see what is wrong."""


@dataclass(slots=True)
class Line:
    """One class. Every request that was due is answered, wrong, an error of a kind, or shed.

    `sent` were written to a connection; `shed` never were; `octets` are those of the bodies of right answers, `latency`
    is theirs, too.
    """

    sent: int = 0
    wrong: int = 0
    shed: int = 0
    octets: int = 0
    errors: Counter[Kind] = field(default_factory=Counter)
    latency: Histogram = field(default_factory=Histogram)

    @property
    def answered(self) -> int:
        """Right answers."""
        return self.latency.count

    def merge(self, other: "Line") -> None:
        """Counts all that `other` counted."""
        self.sent += other.sent
        self.wrong += other.wrong
        self.shed += other.shed
        self.octets += other.octets
        self.errors.update(other.errors)
        self.latency.merge(other.latency)


@dataclass(slots=True)
class Tally:
    """A run of one process, or of several.

    `seconds` is how long it took until the last answer; of that time, `cpu` is the share each process was busy and
    `stalled` the share it wanted a processor and got none. `late` is how long after they were due the crowd came to its
    open arrivals, whether or not a connection was free. `by_second` counts right answers by the whole second
    since the beginning in which they came. `opened` counts connections, `refused` attempts that failed;
    `cold_reached` is how far the cold members were asked.
    """

    lines: dict[str, Line] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    seconds: float = 0.0
    cpu: list[float] = field(default_factory=list)
    stalled: list[float] = field(default_factory=list)
    late: Histogram = field(default_factory=Histogram)
    by_second: Counter[int] = field(default_factory=Counter)
    opened: int = 0
    refused: int = 0
    cold_reached: int = 0

    @property
    def total(self) -> Line:
        """All classes together."""
        total = Line()
        for line in self.lines.values():
            total.merge(line)
        return total

    def line(self, name: str) -> Line:
        """The line of a class."""
        line = self.lines.get(name)
        if line is None:
            line = self.lines[name] = Line()
        return line

    def example(self, text: str) -> None:
        """Keeps a wrong answer while there are few."""
        if len(self.examples) < EXAMPLES_MOST:
            self.examples.append(text)

    def merge(self, other: "Tally") -> None:
        """Counts all that `other` counted, of a process beside this one or of a run after it."""
        for name, line in other.lines.items():
            self.line(name).merge(line)
        for text in other.examples:
            self.example(text)
        self.seconds = max(self.seconds, other.seconds)
        self.cpu += other.cpu
        self.stalled += other.stalled
        self.late.merge(other.late)
        self.by_second.update(other.by_second)
        self.opened += other.opened
        self.refused += other.refused
        self.cold_reached = max(self.cold_reached, other.cold_reached)
