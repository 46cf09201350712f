"""The audit of filed prefixes: pending until due, then passed or refused, and a message for the node that filed.

Nobody looks at anything: how long it takes is a setting, who is refused is a fault that is turned on.
"""

import asyncio
from contextlib import suppress
from typing import Final

import asyncpg
import structlog

from node.toplevel import books, rules
from node.toplevel.books import Due
from node.toplevel.faults import Switches
from node.toplevel.office import Office
from proto import uplink_pb2 as pb
from registry.errors import UnavailableError
from registry.postgres.connection import Connection, borrowed

AUDITS_MOST: Final = 100
"""Filings of one transaction: a few milliseconds' work."""
LOOK_SECONDS: Final = 1.0
"""Longest pause between two looks, for filings of another process and for a database that comes back."""

log = structlog.get_logger("audit")


async def run(office: Office) -> None:
    """Audits what falls due, until cancelled."""
    while True:
        pause = LOOK_SECONDS
        try:
            while await audit(office.pool, office.switches, office.now()) == AUDITS_MOST:
                log.debug("audits_go_on")
            pause = await _until_next(office)
        except UnavailableError as error:
            log.warning("books_unreachable", error=str(error))
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await office.filed.wait()
        office.filed.clear()


async def _until_next(office: Office) -> float:
    async with borrowed(office.pool) as connection:
        due = await books.next_due(connection)
    if due is None:
        return LOOK_SECONDS
    return min(max(due - office.now(), 1) / 1000, LOOK_SECONDS)


async def audit(pool: asyncpg.Pool, switches: Switches, now: int) -> int:
    """Looks at no more than AUDITS_MOST filings that are due at `now`; how many there were."""
    async with borrowed(pool) as connection, connection.transaction():
        found = await books.due(connection, now, AUDITS_MOST)
        for each in found:
            await _decide(connection, each, switches.refusal(each.name), now)
    return len(found)


async def _outdated(connection: Connection, due: Due, release: pb.Release) -> tuple[str, str] | None:
    """Why a prefix that is on its way stays where it is after all."""
    known = await books.prefix(connection, due.name)
    assert known is not None
    at = [standing for _, standing, _ in await books.streams_of(connection, due.name)]
    refusal = rules.moves(due.name, known, release, at)
    return (refusal.zh, refusal.en) if refusal else None


def _let_go(due: Due) -> pb.Order:
    return pb.Order(
        kind=pb.ORDER_KIND_RELEASE_PREFIX,
        prefix=due.name,
        reason_zh="前缀已迁至另一节点",
        reason_en="the prefix has moved to another node",
    )


async def _decide(connection: Connection, due: Due, refusal: tuple[str, str] | None, now: int) -> None:
    if due.release is not None and refusal is None:
        refusal = await _outdated(connection, due, due.release)
    state = pb.PREFIX_STATE_REFUSED if refusal else pb.PREFIX_STATE_NORMAL
    zh, en = refusal or ("", "")
    result = pb.AuditResult(
        nonce=due.nonce, ent_id=due.ent_id, prefix=due.name, state=state, reason_zh=zh, reason_en=en
    )
    if not await books.tell(connection, due.node, pb.Message(audit=result), now):
        return  # its queue has filled up just now: it stays pending until there is room to tell of it
    if due.release is None:
        await books.set_state(connection, due.number, state, zh, en, now)
    else:
        await books.end_move(connection, due.number, None if refusal else due.release.made, now)
        if not refusal:
            await books.tell(connection, due.leaver, pb.Message(order=_let_go(due)), now, always=True)
    log.info("audited", prefix=due.name, refused=bool(refusal), reason=en)
