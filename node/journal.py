"""The journal: one line of logfmt an event on standard error. No value of a record is ever written into it."""

import logging
import sys
from contextlib import suppress
from typing import Final, TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

_CONTROLS: Final = {
    number: f"\\u{number:04x}" for number in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029) if number != 0x0A
}
"""What could move a terminal's cursor or end a line where none ends; the renderer itself writes line feeds as \\n."""


def _escaped(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The same event; what strangers sent cannot write lines of its own or colour them."""
    return {key: value.translate(_CONTROLS) if isinstance(value, str) else value for key, value in event.items()}


class _StandardError:
    """Standard error as it is at the moment. A journal nobody can read any more, as behind `| head`, stops no work."""

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # ValueError: it was closed
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def open_(level: str) -> None:
    """Begins the journal at `level` (debug, info, warning, error); opened again, every logger goes by the new level."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _escaped,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _StandardError())),
        cache_logger_on_first_use=False,  # a cached logger would stay with the level it was first used under
    )
