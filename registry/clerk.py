"""The door of the uplink: what is told to the top-level node, what it said, and who speaks for all machines.

Whatever it changes it changes in one transaction that holds the fence: a voice no longer in office changes nothing.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from registry.account import Vault
from registry.audit import NODE, OCTETS_MOST, TOPLEVEL, Action, Actor, Minutes, of_standings
from registry.errors import NotInOfficeError, UnavailableError
from registry.filing import Told, after, in_review
from registry.postgres import audit, catalogue, filing, hosting, templates, uplink
from registry.postgres.connection import BROKEN, Connection, Pool, borrowed, cut
from registry.postgres.filing import EnterpriseToFile, Route
from registry.postgres.uplink import Standing
from registry.template import Template

KEY_NAME: Final = "uplink"
"""What the node's sealed private key is bound to."""


async def signing_key(connection: Connection, vault: Vault, fresh: bytes, note: Minutes) -> bytes:
    """The node's private key of 32 octets: `fresh`, unless one was kept before. Empty: sealed with another key."""
    sealed = vault.close(KEY_NAME, fresh)
    kept = await uplink.keep_key(connection, sealed)
    if kept == sealed:
        note(Action.NODE_KEY_MADE, KEY_NAME)
    return vault.open(KEY_NAME, kept)


class Clerk:
    """Keeps the books of one voice; the audit journal takes `audit_octets` at most.

    Raises UnavailableError (maybe done: every step may be repeated), NotInOfficeError and AuditFullError (nothing
    done).
    """

    def __init__(
        self, pool: Pool, fence: int, window_seconds: int, vault: Vault, audit_octets: int = OCTETS_MOST
    ) -> None:
        self._pool = pool
        self._vault = vault
        self._fence = fence
        self._window = window_seconds
        self._audit_octets = audit_octets

    @asynccontextmanager
    async def _office(self) -> AsyncIterator[Connection]:
        async with borrowed(self._pool, "uplink") as connection:
            try:
                async with connection.transaction():
                    if not await uplink.hold_fence(connection, self._fence):
                        raise NotInOfficeError(f"fence {self._fence}")
                    yield connection
            except (*BROKEN, asyncpg.PostgresError) as error:
                cut(connection)
                raise UnavailableError(str(error)) from error

    @asynccontextmanager
    async def _audited(self, actor: Actor = TOPLEVEL) -> AsyncIterator[tuple[Connection, Minutes]]:
        """`_office`, and whom to tell what is done in it, in whose name; the audit journal is written last."""
        async with self._office() as connection:
            note = Minutes(actor)
            yield connection, note
            await audit.append(connection, note.entries, self._audit_octets)

    # -- whom we speak to

    async def key(self, fresh: bytes) -> bytes:
        """The node's private key of 32 octets: `fresh`, unless one was kept before. Empty: sealed with another key."""
        async with self._audited(NODE) as (connection, note):
            return await signing_key(connection, self._vault, fresh, note)

    async def toplevel_key(self) -> bytes | None:
        """The key of the top-level node; None before enrolment."""
        async with borrowed(self._pool, "uplink") as connection:
            return await uplink.toplevel_key(connection)

    async def pin(self, key: bytes) -> None:
        """Believes answers signed with `key` from now on."""
        async with self._audited() as (connection, note):
            if await uplink.pin(connection, key):
                note(Action.TOPLEVEL_PINNED, KEY_NAME)

    # -- streams

    async def standings(self, *, behind: bool) -> list[Standing]:
        """The streams the top-level node may be told of; only those with changes without receipt if `behind`."""
        async with borrowed(self._pool, "uplink") as connection:
            return await uplink.standings(connection, behind)

    async def unreceipted(self) -> tuple[int, int]:
        """How many changes have no receipt, and when the oldest was made (milliseconds; 0: there is none)."""
        async with borrowed(self._pool, "uplink") as connection:
            return await uplink.unreceipted(connection)

    async def heads(self, places: Mapping[int, int]) -> dict[int, bytes]:
        """Our head of each stream at that number; streams without such a change are left out."""
        async with borrowed(self._pool, "uplink") as connection:
            return await uplink.heads(connection, places)

    async def changes(self, wanted: Sequence[tuple[int, int]], rows: int, share: int, entries: int) -> list[Any]:
        """The changes after each (prefix number, change number) of `wanted` (registry/postgres/uplink.py)."""
        async with borrowed(self._pool, "uplink") as connection:
            return await uplink.changes(connection, wanted, rows, share, entries)

    async def template_versions(self, numbers: Sequence[int]) -> dict[int, str]:
        """The version names of templates by number."""
        async with borrowed(self._pool, "uplink") as connection:
            return await uplink.template_versions(connection, numbers)

    async def templates_to_tell(self, most: int) -> list[Template]:
        """Templates the top-level node does not know as they are, those that changed first before the others."""
        async with borrowed(self._pool, "uplink") as connection:
            numbers = await uplink.templates_to_tell(connection, most)
            found = await templates.by_numbers(connection, numbers) if numbers else []
        return sorted(found, key=lambda template: template.epoch)

    async def templates_told(self, told: Sequence[Template]) -> None:
        """The top-level node knows these as they are."""
        async with self._office() as connection:
            await uplink.templates_told(connection, {each.number: each.epoch for each in told})

    async def templates_lost(self, prefixes: Sequence[int]) -> None:
        """The top-level node has lost something of these prefixes (by number): their templates are told anew."""
        async with self._office() as connection:
            await uplink.templates_lost(connection, prefixes)

    async def receive(self, places: Mapping[int, tuple[int, bytes]]) -> None:
        """Notes how far the top-level node is (number, head), by prefix number, and counts what is new."""
        async with self._office() as connection:
            await uplink.receive(connection, places, self._window)

    async def bind_old(self, days: int) -> int:
        """Binds change rows with receipt that are older than that, a volume a stream; how many volumes there are new.

        Whoever is in office or not: the streams say the same before and after.
        """
        async with borrowed(self._pool, "uplink") as connection:
            streams = await uplink.bound_to_be(connection, days)
            return sum([await uplink.bind(connection, prefix, last, days) for prefix, last in streams])

    # -- filing

    async def to_file(self) -> tuple[list[EnterpriseToFile], list[Any]]:
        """Enterprises and prefixes to be filed; every prefix of an enterprise is taken up."""
        async with self._office() as connection:
            await filing.file_all(connection)
            return await filing.enterprises_to_file(connection, self._vault), await filing.prefixes_to_file(connection)

    async def enterprise_filed(self, enterprise: EnterpriseToFile, ent_id: str) -> None:
        """The top-level node knows it as it was read."""
        async with self._audited() as (connection, note):
            await filing.enterprise_filed(connection, enterprise.number, ent_id, enterprise.revision)
            shown = {"ent_id": ent_id, "revision": enterprise.revision}
            note(Action.ENTERPRISE_FILED, enterprise.name, after=shown)

    async def enterprise_refused(self, enterprise: EnterpriseToFile, zh: str, en: str) -> None:
        """The top-level node does not want it as it was read."""
        async with self._audited() as (connection, note):
            await filing.enterprise_refused(connection, enterprise.number, enterprise.revision, zh, en)
            shown = {"revision": enterprise.revision, "reason": zh or en}
            note(Action.ENTERPRISE_REFUSED, enterprise.name, after=shown)

    async def keep_nonce(self, prefix_no: int, nonce: bytes) -> None:
        """Names the filing of a prefix before it is sent."""
        async with self._office() as connection:
            await filing.keep_nonce(connection, prefix_no, nonce)

    async def in_review(self, prefix: str) -> None:
        """The top-level node has taken the filing of a prefix; a prefix that was pending is in review now."""
        async with self._audited() as (connection, note):
            known = await filing.filed(connection, prefix)
            if known is None:
                return
            then = in_review(known.standing)
            if then != known.standing:
                await filing.bring(connection, known, then)
                note(Action.PREFIX_CHANGED, known.prefix, *of_standings(known.standing, then))

    async def take_in(self, told: Told, number: int | None = None) -> bool | None:
        """Does to a prefix what the top-level node has told, once a message of that number (None: it is no message,
        but what it said when asked). Whether it was new to us; None when we have filed no such prefix.
        """
        async with self._audited() as (connection, note):
            if number is not None and not await filing.carry(connection, number):
                return False
            known = await filing.filed(connection, told.prefix)
            if known is None:
                return None
            then = after(known.standing, told, known.nonce)
            if then == known.standing:
                return False
            await filing.bring(connection, known, then, told.zh, told.en)
            note(Action.PREFIX_CHANGED, known.prefix, *of_standings(known.standing, then, told.zh or told.en))
            return True

    async def verify_again(self, ent_id: str, prefix: str, number: int) -> bool:
        """The enterprise is to be verified and told again, once a message of that number; False: there is none."""
        async with self._audited() as (connection, note):
            if not await filing.carry(connection, number):
                return True
            known = await filing.verify_again(connection, ent_id, prefix)
            if known:
                note(Action.ENTERPRISE_VERIFY_AGAIN, ent_id or prefix, after={"message": number})
            return known

    async def catalogue_number(self) -> int:
        """The number that grows with every change of a prefix."""
        async with borrowed(self._pool, "uplink") as connection:
            return await catalogue.number(connection)

    # -- routes and statistics

    async def routes(
        self, prefix: str, address: str, native_port: int, http_port: int, resting: Sequence[str]
    ) -> list[Route]:
        """The routes that are to be told, now that the node is resolved at `address` (empty: nowhere), by the Handle
        protocol at `native_port` (0: not by it).

        Those of the prefixes `resting` are left out.
        """
        async with self._office() as connection:
            if address:
                await filing.want_routes(connection, prefix, address, native_port, native_port, http_port)
            return await filing.routes_to_tell(connection, resting)

    async def route_told(self, route: Route) -> None:
        """The top-level node knows that route."""
        async with self._office() as connection:
            await filing.route_told(connection, route)

    async def settle_hosting(self) -> list[str]:
        """Lets prefixes live at their enterprises' own nodes, once the top-level node refers to those; which."""
        async with self._audited(NODE) as (connection, note):
            gone = await hosting.settle(connection)
            for prefix in gone:
                note(Action.PREFIX_CHANGED, prefix, {"elsewhere": False}, {"elsewhere": True})
            return gone

    async def windows(self, before: int, most: int) -> list[Any]:
        """Windows over at `before` (milliseconds) that are to be told (registry/postgres/uplink.py)."""
        async with borrowed(self._pool, "uplink") as connection:
            return await uplink.unsent(connection, before, most)

    async def windows_told(self, rows: Sequence[Any]) -> None:
        """The top-level node knows those windows as they were read."""
        async with self._office() as connection:
            await uplink.sent(connection, rows)

    async def forget_old(self, days: int) -> None:
        """Lets go of what is older than that and needed no more."""
        async with self._office() as connection:
            await uplink.forget_old(connection, days)


async def count_resolutions(
    pool: Pool, machine: str, totals: Mapping[int, tuple[int, int]], start: int, seconds: int
) -> None:
    """Adds what `machine` has resolved to the window `start`: totals (resolved, failed) by prefix number.

    Every machine does, the voice or not. Raises UnavailableError: it may be told again.
    """
    async with borrowed(pool, "uplink") as connection:
        try:
            await uplink.count_resolutions(connection, machine, totals, start, seconds)
        except (*BROKEN, asyncpg.PostgresError) as error:
            cut(connection)
            raise UnavailableError(str(error)) from error
