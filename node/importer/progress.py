"""What a person sees while an import runs: a bar on a terminal, a line now and then elsewhere, a table at the end.

It counts nothing itself, and writes to streams given.
"""

import unicodedata
from collections.abc import Callable, Iterable
from typing import Final, TextIO

BAR_SECONDS: Final = 0.2
"""A bar is drawn at most this often: faster than that nobody reads."""
LINE_SECONDS: Final = 10.0
"""Without a terminal a line is written at most this often: a log of an hour stays a few pages."""
BAR_CELLS: Final = 24


def bar(done: int, total: int, seconds: float, done_before: int = 0) -> str:
    """One line: how far, how fast (units per second of this run), how long still; `total` may be an estimate."""
    share = min(done / total, 1.0) if total else 1.0
    full = int(share * BAR_CELLS)
    speed = (done - done_before) / seconds if seconds > 0 else 0.0
    left = f"  {_minutes(max(total - done, 0) / speed)}" if speed > 0 else ""
    return f"[{'#' * full}{'.' * (BAR_CELLS - full)}] {share:4.0%}  {done:,}/{total:,}  {speed:,.0f}/s{left}"


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Progress:
    """Shows how far the work is. `clock` gives seconds that only grow."""

    def __init__(self, stream: TextIO, chinese: bool, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._chinese = chinese
        self._clock = clock
        self._live = stream.isatty()
        self._start = self._shown = clock()
        self._said = ""
        self._begun = False
        self.done_before = 0

    @property
    def seconds(self) -> float:
        """Seconds since the beginning of the work."""
        return self._clock() - self._start

    def begin(self, done_before: int) -> None:
        """The work begins now; `done_before` units were done earlier."""
        self._start = self._shown = self._clock()
        self._begun, self.done_before = True, done_before

    def show(self, done: int, total: int) -> None:
        """Shows the state, if it is time again."""
        now = self._clock()
        if now - self._shown < (BAR_SECONDS if self._live else LINE_SECONDS):
            return
        self._shown = now
        line = bar(done, total, now - self._start, self.done_before)
        self._stream.write(f"\r{line}\x1b[K" if self._live else f"{line}\n")
        self._stream.flush()

    def say(self, zh: str, en: str) -> None:
        """Says a sentence in the person's language, once if several roads say the same; a bar gives way to it."""
        if zh == self._said:
            return
        self._said = zh
        clear = "\r\x1b[K" if self._live and self._begun else ""
        self._stream.write(f"{clear}{plain(zh if self._chinese else en, self._stream.encoding)}\n")
        self._stream.flush()

    def end(self) -> None:
        """Takes the bar away."""
        if self._live and self._begun:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def plain(text: str, encoding: str | None) -> str:
    """`text` as a terminal of this encoding can show it: names of columns come from files, and may hold anything."""
    shown = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
    return shown.encode(encoding or "utf-8", "replace").decode(encoding or "utf-8")


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Two columns, the second to the right; Chinese characters take two places."""
    listed = list(rows)
    first = max(_places(name) for name, _ in listed)
    second = max(_places(value) for _, value in listed)
    return "\n".join(
        name + " " * (first - _places(name) + 2 + second - _places(value)) + value for name, value in listed
    )


def _places(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
