"""`Recording`: what a worker writes down of who did what, and who keeps it at work: its witness and its access log."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from node import clock
from node.access_log import AccessLog, forgetting
from node.config import Config
from node.kept_head import KeptHead
from node.meter import Meter
from node.witness import Witness
from registry.access_log import Sealer
from registry.auditor import Auditor
from registry.errors import RegistryError
from registry.postgres.connection import Pool
from registry.steward import Steward

log = structlog.get_logger("recording")


class Recording:
    """Of the worker called `name`. The `first` of a machine sees to what is the machine's: head and old files.

    `halt` is told when changes are to stop, and when they may go on.
    """

    def __init__(
        self, config: Config, name: str, pool: Pool, meter: Meter, halt: Callable[[bool], None], *, first: bool
    ) -> None:
        folder, key = Path(config.log_folder), config.key()
        self.auditor = Auditor(pool, config.audit_octets)
        self.witness = Witness(self.auditor, meter, halt, KeptHead(folder, key) if first else None)
        logged = folder if config.access_log == "on" else None
        self.access_log = AccessLog(logged, Sealer(key), name, meter, clock.monotonic, clock.utc)
        self._config, self._pool, self._first = config, pool, first

    async def _tell_settings(self) -> None:
        """What this start sets otherwise than the last one stands in the audit journal."""
        machine = f"{socket.gethostname()}:{self._config.http_port}"
        try:
            steward = Steward(self._pool, audit_octets=self.auditor.most)
            await steward.note_settings(machine, self._config.shown)
        except RegistryError as error:
            log.warning("settings_not_told", error=str(error))

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Writes within it, and what is left at its end."""
        work = [self.witness.run(), self.access_log.run()]
        if self._first:
            days, today = self._config.access_log_days, lambda: clock.utc().date()
            work += [forgetting(Path(self._config.log_folder), days, today), self._tell_settings()]
        tasks = [asyncio.create_task(each) for each in work]
        for task in tasks:
            task.add_done_callback(_ended)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.witness.finish()
            await self.access_log.finish()


def _ended(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("internal_error", exc_info=error)
