"""Waiting for what another process, or a task that tells nobody, brings about. The one place of the tests that pauses.

No outcome depends on the pause: a test goes on as soon as it is so, and fails when PATIENCE is over.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

PATIENCE = 120.0
"""Longest wait, seconds: far beyond what anything here takes on a machine that has other things to do."""
GLANCE = 0.01
"""Pause between two looks, seconds: who looks without one takes the core that the other process needs."""


def wait_until(happened: Callable[[], object], what: str = "what was waited for") -> None:
    """Returns when `happened()` is true; blocks this thread meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(GLANCE)  # another process tells nobody: the pause leaves it the core, and decides nothing


async def until(happened: Callable[[], object | Awaitable[object]], what: str = "what was waited for") -> None:
    """Returns when `happened()`, or what it awaits, is true; others of this loop go on meanwhile."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not await _seen(happened()):  # noqa: ASYNC110 - what tells nobody sets no event
                await asyncio.sleep(GLANCE)
    except TimeoutError as error:
        raise AssertionError(f"in vain: {what}") from error


async def _seen(sight: object) -> object:
    return await sight if inspect.isawaitable(sight) else sight
