"""Sees how a pool of connections to PostgreSQL is used, and counts it: who waits, how long, and for what it is asked.

No statement is seen here, only its purpose.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from node.meter import Meter
from node.metrics import DATABASE_CONNECTIONS, DATABASE_QUERY_SECONDS, DATABASE_WAIT_SECONDS, DATABASE_WAITING
from registry.postgres.connection import Purpose


class PoolWatch:
    """Counts for the pool operators know as `name` (a value of metrics.POOLS); `clock` gives monotonic seconds."""

    def __init__(self, meter: Meter, name: str, clock: Callable[[], float]) -> None:
        self._meter = meter
        self._name = name
        self._clock = clock
        self._waiting = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around a wait for a connection, counted even when it is in vain."""
        began = self._clock()
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            self._meter.observe(DATABASE_WAIT_SECONDS, self._clock() - began, self._name)

    @contextmanager
    def using(self, purpose: Purpose) -> Iterator[None]:
        """Around what is asked, counted even when it fails."""
        began = self._clock()
        try:
            yield
        finally:
            self._meter.observe(DATABASE_QUERY_SECONDS, self._clock() - began, purpose)

    def show(self, size: int, idle: int) -> None:
        """Sets the gauges to how the pool is now."""
        self._meter.set(DATABASE_CONNECTIONS, size - idle, self._name, "in_use")
        self._meter.set(DATABASE_CONNECTIONS, idle, self._name, "idle")
        self._meter.set(DATABASE_WAITING, self._waiting, self._name)
