"""Who saw it: readings of what is not public are collected here and written into the audit journal in blocks.

A reading is no write of its own. What waits is bounded: when the journal cannot be written, reading of what is not
public is refused, for nobody shall read it unseen; public answers never come by here.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import structlog

from node.kept_head import KeptHead
from node.meter import Meter
from node.metrics import AUDIT_BROKEN, AUDIT_BYTES, AUDIT_FULL, AUDIT_ROOM_BYTES, AUDIT_WAITING
from registry.audit import OBJECTS_MOST, Action, Actor, Entry, Kept
from registry.auditor import Auditor
from registry.errors import AuditFullError, UnavailableError

WRITE_SECONDS: Final = 1.0
"""Readings wait so long for others of the same account; so many may be missing after a `kill -9`."""
LOOK_BEATS: Final = 5
"""Once in so many turns the journal is looked at: how full it is, and whether it still holds what was its head."""
HEAD_BEATS: Final = 60
"""And once in so many its head is kept on this machine, and told to the log."""
SPARE: Final = 64
"""The journal counts as full when one part in so many is left: that is for what was read already and waits."""
WAITING_MOST: Final = 20_000
"""Identifiers that may wait to be written: ten of the largest batches, some 2 MB."""
ENTRIES_MOST: Final = 50
"""Entries of one transaction: it holds the head of the journal while they are written."""

log = structlog.get_logger("audit")


class Witness:
    """Collects for one worker and tells `auditor`. `halt` is told when changes are to stop, and when they may go on.

    `head` is given to one worker of a machine: it keeps the head.
    """

    def __init__(
        self, auditor: Auditor, meter: Meter, halt: Callable[[bool], None], head: KeptHead | None = None
    ) -> None:
        self._auditor = auditor
        self._meter = meter
        self._halt = halt
        self._head = head
        self._seen: dict[tuple[Actor, str], dict[str, None]] = {}
        self._waiting = 0
        self._in_hand: list[Entry] = []
        self._full = False
        self._beat = 0

    def saw(self, actor: Actor, as_: str, objects: Iterable[str]) -> None:
        """`actor` is about to be told what is not public of `objects`, `as_` what.

        Raises AuditFullError when the journal is full, UnavailableError when too many wait for it: tell nothing then.
        """
        if self._full:
            raise AuditFullError
        if self._waiting >= WAITING_MOST:
            raise UnavailableError("too many readings wait for the audit journal")
        seen = self._seen.setdefault((actor, as_), {})
        before = len(seen)
        seen.update(dict.fromkeys(objects))
        self._waiting += len(seen) - before

    async def run(self) -> None:
        """Writes for ever."""
        while True:
            await self.turn()
            await asyncio.sleep(WRITE_SECONDS)

    async def finish(self) -> None:
        """Writes what waits, once `run` is over: what it had in hand then may stand there twice."""
        self._put_back(self._in_hand)
        await self._write()

    async def turn(self) -> None:
        """What is done once in WRITE_SECONDS. Raises nothing."""
        await self._write()
        try:
            if self._beat % LOOK_BEATS == 0:
                await self._look()
            if self._head is not None and self._beat % HEAD_BEATS == 0:
                await self._keep(self._head)
        except Exception as error:  # noqa: BLE001 - it is looked at again
            log.warning("audit_not_seen", error=str(error), kind=type(error).__name__)
        self._beat += 1

    async def _write(self) -> None:
        seen, self._seen, self._waiting = self._seen, {}, 0
        self._in_hand = entries = list(_entries(seen))
        while entries:
            try:
                await self._auditor.record(entries[:ENTRIES_MOST])
            except Exception as error:  # noqa: BLE001 - whatever it is, what was seen waits
                # It may have been written all the same: twice is better than never.
                log.warning("audit_not_written", entries=len(entries), error=str(error), kind=type(error).__name__)
                self._put_back(entries)
                break
            del entries[:ENTRIES_MOST]
        self._in_hand = []
        self._meter.set(AUDIT_WAITING, self._waiting)

    def _put_back(self, entries: list[Entry]) -> None:
        """Before what was seen meanwhile; nothing of it is let go, so this is the one place where bounds are passed."""
        later, self._seen = self._seen, {}
        for entry in entries:
            self._seen.setdefault((entry.actor, str(entry.after["as"])), {}).update(dict.fromkeys(entry.objects))
        for key, objects in later.items():
            self._seen.setdefault(key, {}).update(objects)
        self._waiting = sum(map(len, self._seen.values()))

    async def _look(self) -> None:
        _, octets = await self._auditor.head()
        self._full = octets * SPARE > self._auditor.most * (SPARE - 1)
        self._halt(self._full)
        self._meter.set(AUDIT_FULL, self._full)
        if self._head is not None:
            self._meter.set(AUDIT_BYTES, octets)
            self._meter.set(AUDIT_ROOM_BYTES, self._auditor.most)

    async def _keep(self, kept: KeptHead) -> None:
        """Keeps the head, unless the journal is not the one it was kept of: that is evidence, and stays."""
        before, (head, _), first = kept.read(), await self._auditor.head(), await self._auditor.first()
        broken = (
            before is None
            or (before.first and before.first != first)
            or head.number < before.head.number
            or not await self._auditor.goes_through(before.head)
        )
        self._meter.set(AUDIT_BROKEN, bool(broken))
        if broken:
            number = before and before.head.number
            log.error("audit_broken", kept=number, head=head.number, mend="idnode audit verify")
        elif Kept(head, first) != before:
            kept.write(Kept(head, first))
            log.info("audit_head", number=head.number, digest=head.digest.hex())


def _entries(seen: dict[tuple[Actor, str], dict[str, None]]) -> Iterator[Entry]:
    for (actor, as_), objects in seen.items():
        named = tuple(objects)
        for at in range(0, len(named), OBJECTS_MOST):
            yield Entry(actor, Action.DATA_READ, named[at : at + OBJECTS_MOST], {}, {"as": as_})
