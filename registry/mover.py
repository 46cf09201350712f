"""The door for moving out and in: packs a stopped prefix with all its past, and unpacks it at another node.

One transaction each: what is packed is of one moment, and a parcel is taken in whole or not at all.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any, Final

import asyncpg
import msgspec

from registry import clerk, record
from registry.account import Vault
from registry.audit import NODE, OCTETS_MOST, Action, Actor, Entry, Minutes
from registry.holding import holds
from registry.parcel import (
    LINE_OCTETS,
    BlankedLine,
    Chain,
    ChangeLine,
    Head,
    Line,
    ParcelError,
    Seal,
    TemplateLine,
    VersionLine,
    Way,
    read,
    release,
    seal,
    unreadable,
)
from registry.postgres import audit, catalogue, holdings, parcels, prefix_handles, templates
from registry.postgres.connection import BROKEN, Connection
from registry.postgres.holdings import Held
from registry.prefix import PrefixState
from registry.template import Template

LINES_AT_ONCE: Final = 1000
"""Lines that are written to the database together; fewer when they come to LINE_OCTETS."""


async def pack(
    connection: Connection, prefix: str, way: Way, private: bytes, actor: Actor = NODE, audit_octets: int = OCTETS_MOST
) -> AsyncIterator[bytes]:
    """The octets of a parcel, line by line, sealed with the node's private key. It is written down before the first
    line is told that `actor` takes them, and to whom.

    Raises AuditFullError, or ParcelError for a prefix that is none of an enterprise here, or open: what is written
    meanwhile would stay.
    """
    async with connection.transaction():
        _, head = await _closed(connection, prefix, way)
        entry = Entry(actor, Action.PREFIX_MOVED_OUT, (prefix,), {}, {"number": head.number, "to": way.to})
        await audit.append(connection, [entry], audit_octets)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        number, head = await _closed(connection, prefix, way)
        digest, octets = sha256(), msgspec.json.encode(head) + b"\n"
        digest.update(octets)
        yield octets
        for lines in (parcels.templates, parcels.changes, parcels.versions, parcels.blanked):
            async for line in lines(connection, number):
                octets = msgspec.json.encode(line) + b"\n"
                digest.update(octets)
                yield octets
        yield seal(digest.digest(), head, private)


async def _closed(connection: Connection, prefix: str, way: Way) -> tuple[int, Head]:
    found = await parcels.head(connection, prefix, way)
    if found is None:
        raise ParcelError(f"前缀{prefix}不属于本节点的企业", f"no enterprise here has prefix {prefix}")
    number, open_, head = found
    if open_:
        raise ParcelError(f"请先停用前缀{prefix}", f"stop prefix {prefix} first")
    return number, head


async def erase(connection: Connection, prefix: str, actor: Actor = NODE, audit_octets: int = OCTETS_MOST) -> None:
    """Lets go of all that is kept of a prefix that has moved away, or has come and was never approved.

    Raises AuditFullError, or ParcelError for any other prefix.
    """
    async with connection.transaction():
        known = await catalogue.prefix(connection, prefix, held=True)
        if known is None or not await parcels.is_left_over(connection, known.number):
            raise ParcelError(
                f"前缀{prefix}没有迁出，也不是迁入后未获通过的",
                f"prefix {prefix} has not moved away, nor come and been refused",
            )
        await catalogue.set_state(connection, prefix, PrefixState.STOPPED)
        await catalogue.set_elsewhere(connection, known, True)
        await prefix_handles.drop(connection, prefix)
        await parcels.erase(connection, known.number)
        entry = Entry(actor, Action.PREFIX_ERASED, (prefix,), {}, {})
        await audit.append(connection, [entry], audit_octets)


async def signing_key(
    connection: Connection, vault: Vault, fresh: bytes, actor: Actor = NODE, audit_octets: int = OCTETS_MOST
) -> bytes:
    """The private key the node signs with: `fresh`, unless one was kept before. Empty: sealed with another node key."""
    async with connection.transaction():
        note = Minutes(actor)
        key = await clerk.signing_key(connection, vault, fresh, note)
        await audit.append(connection, note.entries, audit_octets)
    return key


async def unpack(
    connection: Connection,
    lines: Iterable[bytes],
    node: str,
    actor: Actor = NODE,
    audit_octets: int = OCTETS_MOST,
    *,
    filed: bool = False,
) -> Head:
    """Takes in a parcel for `node`, which is this one, and whose signature is known to hold; its stream goes on where
    it stood. Its prefix is stopped, or to be `filed`: then it opens when the top-level node has approved that it moves.

    Takes in nothing and raises AuditFullError, or ParcelError when it is for another node, the prefix is here already,
    the chain is broken, or versions and chain do not agree.
    """
    try:
        async with connection.transaction():
            note = Minutes(actor)
            head = await _unpacked(connection, iter(lines), node, note, filed)
            await audit.append(connection, note.entries, audit_octets)
            return head
    except (asyncpg.PostgresError, ValueError) as error:  # ValueError: a date, a number that is none for the database
        if isinstance(error, BROKEN):
            raise
        raise ParcelError("文件中有数据库不接受的内容", f"the database takes not all of the file: {error}") from None


async def _unpacked(connection: Connection, incoming: Iterator[bytes], node: str, note: Minutes, filed: bool) -> Head:
    head = read(next(incoming))
    assert isinstance(head, Head)
    if head.to != node:
        raise ParcelError(f"文件是给节点{head.to}的，本节点是{node}", f"the file is for node {head.to}, not for {node}")
    enterprise, new = await catalogue.add_enterprise(connection, head.enterprise, head.enterprise_en, head.industry)
    if new:
        shown = {"number": enterprise, "industry": head.industry}
        note(Action.ENTERPRISE_ENROLLED, head.enterprise, after=shown)
    state = PrefixState.PENDING if filed else PrefixState.STOPPED
    if not (
        await catalogue.add_prefix(connection, head.prefix, enterprise, state)
        or await parcels.take_again(connection, head.prefix, enterprise, state)
    ):
        raise ParcelError(f"前缀{head.prefix}已在本节点", f"prefix {head.prefix} lives at this node already")
    note(
        Action.PREFIX_MOVED_IN, head.prefix, after={"enterprise": enterprise, "number": head.number, "node": head.node}
    )
    prefix = await catalogue.prefix(connection, head.prefix)
    assert prefix is not None
    chain = Chain(head.prefix)
    sealed = await _Unpacking(connection, prefix.number, chain).run(incoming)
    chain.end(head)
    if (suffix := await parcels.astray(connection, prefix.number)) is not None:
        raise ParcelError(
            f"标识{head.prefix}/{suffix}的版本与变更链不符",
            f"the versions of {head.prefix}/{suffix} are not those of the chain",
        )
    await parcels.begin_at(connection, prefix.number, head)
    await parcels.keep_release(connection, prefix.number, release(head, sealed.release))
    return head


class _Unpacking:
    """Writes lines of one kind after the other, many at once."""

    def __init__(self, connection: Connection, prefix: int, chain: Chain) -> None:
        self._connection = connection
        self._prefix = prefix
        self._chain = chain
        self._numbers: dict[str, int] = {}  # of templates, by version name
        self._holding: dict[str, Template] = {}  # those whose records hold anything
        self._kind: type = TemplateLine
        self._waiting: list[Any] = []
        self._octets = 0

    async def run(self, incoming: Iterable[bytes]) -> Seal:
        """Writes all of them; the last one, which seals them."""
        line: Line | Seal | None = None
        for octets in incoming:
            line = read(octets)
            if isinstance(line, ChangeLine):
                self._chain.add(line)
            full = len(self._waiting) == LINES_AT_ONCE or self._octets >= LINE_OCTETS
            if full or type(line) is not self._kind:
                await self._write()
                self._kind = type(line)
            self._octets += len(octets)
            if not isinstance(line, Seal):
                self._waiting.append(line)
        await self._write()
        assert isinstance(line, Seal)
        return line

    async def _write(self) -> None:
        lines, self._waiting, self._octets = self._waiting, [], 0
        write: dict[type, Callable[[], Any]] = {
            TemplateLine: lambda: self._templates(lines),
            ChangeLine: lambda: parcels.add_changes(self._connection, self._prefix, lines, self._numbers),
            VersionLine: lambda: self._versions(lines),
            BlankedLine: lambda: parcels.add_blanked(self._connection, self._prefix, lines),
        }
        if lines and self._kind not in write:
            raise unreadable()
        if lines:
            await write[self._kind]()

    async def _templates(self, lines: list[TemplateLine]) -> None:
        numbers = self._numbers
        for line in lines:
            lineage = numbers.get(line.lineage, 0)
            numbers[line.version] = await parcels.add_template(self._connection, self._prefix, line, lineage)
        try:
            made = await templates.by_numbers(self._connection, list(numbers.values()))
        except msgspec.DecodeError:
            raise unreadable() from None
        self._holding = {each.version: each for each in made if each.holds}

    async def _versions(self, lines: list[VersionLine]) -> None:
        if missing := {line.template for line in lines} - self._numbers.keys() - {""}:
            version = min(missing)
            raise ParcelError(f"文件缺少模板{version}", f"the file lacks template {version}")
        await parcels.add_versions(self._connection, self._prefix, lines, self._numbers)
        await holdings.keep(self._connection, [held for line in lines if line.newest for held in self._held(line)])

    def _held(self, line: VersionLine) -> list[Held]:
        template = self._holding.get(line.template)
        if template is None or line.body is None:
            return []
        try:
            values = record.unpack(line.body, {item.index: item.name for item in template.items}, line.updated)
        except (LookupError, ValueError):
            raise unreadable() from None
        return [holdings.held(1, True, self._prefix, line.suffix, what) for what in holds(template, values)]
