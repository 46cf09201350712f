"""The register of who answers IIIDAP for whom, fetched from the national top-level node and kept as long as it says."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

import structlog

from node.link import Link, LinkError
from proto.bootstrap import Bootstrap
from proto.errors import ProtoError
from registry.errors import UnavailableError

PATH: Final = "/bootstrap/iiidap.json"
"""Where the top-level node publishes it."""
FETCH_SECONDS: Final = 3.0
LIFE_LEAST: Final = 60.0
"""However soon a copy expires, it is not fetched again before: the top-level node is asked once a minute at most."""
LIFE_MOST: Final = 86_400.0
"""However late it expires: a node that moved is found the next day."""
AGAIN_SECONDS: Final = 10.0
"""After it could not be had: what is known is used on meanwhile."""

log = structlog.get_logger("iiidap")


class Register:
    """The register as this process knows it. `clock` gives monotonic seconds, `utc` the present moment."""

    def __init__(self, link: Link, toplevel: str, clock: Callable[[], float], utc: Callable[[], datetime]) -> None:
        self._link = link
        self._url = toplevel.rstrip("/") + PATH if toplevel else ""
        self._clock = clock
        self._utc = utc
        self._known = None if toplevel else Bootstrap({})
        self._stale = -1.0
        self._fetching = asyncio.Lock()

    async def base(self, prefix: str) -> str | None:
        """The URL below which `prefix` is asked for; None when nobody answers for it.

        Raises UnavailableError before it could be fetched for the first time.
        """
        async with self._fetching:
            if self._url and self._clock() >= self._stale:
                self._stale = self._clock() + await self._fetch()
        if self._known is None:
            raise UnavailableError("the register of IIIDAP was never fetched")
        return self._known.base(prefix)

    async def _fetch(self) -> float:
        """Fetches it; seconds until it is fetched again."""
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                status, body, headers = await self._link.fetch(self._url, {})
            if status != 200:
                raise LinkError(f"HTTP {status}")
            self._known = Bootstrap.from_octets(body)
        except (TimeoutError, LinkError, ProtoError) as error:
            log.warning("register_not_fetched", kind=type(error).__name__, error=str(error))
            return AGAIN_SECONDS
        return self._life(headers)

    def _life(self, headers: Mapping[str, str]) -> float:
        """Seconds until it expires, by its own clock if it says (RFC 9111 §5.3: what is no date has expired)."""
        try:
            expires = parsedate_to_datetime(headers.get("Expires", ""))
            began = parsedate_to_datetime(headers["Date"]) if "Date" in headers else self._utc()
            return min(LIFE_MOST, max(LIFE_LEAST, (expires - began).total_seconds()))
        except (ValueError, TypeError, OverflowError):  # TypeError: one of them names no zone
            return LIFE_LEAST
