"""Enterprises and prefixes in the database, and the catalogue's number their epochs are taken from."""

from hashlib import sha256
from typing import Any, Final

from proto.chain import HEAD_FIRST, Kind, entry_digest
from registry.postgres.connection import Connection
from registry.prefix import PREFIX_HANDLES_NUMBER, PrefixState, RegisteredPrefix


async def number(connection: Connection) -> int:
    """The catalogue's number: it grows with every change of a prefix or template."""
    return int(await connection.fetchval("SELECT number FROM catalogue"))


async def epochs_after(connection: Connection, mine: int) -> tuple[int, list[tuple[int, int]], list[tuple[int, int]]]:
    """The catalogue's number, and (number, epoch) of the prefixes and of the templates that changed after `mine`."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        at = await number(connection)
        prefixes = await connection.fetch("SELECT number, epoch FROM prefix WHERE epoch > $1", mine)
        templates = await connection.fetch("SELECT number, epoch FROM template WHERE epoch > $1", mine)
    return at, [tuple(row) for row in prefixes], [tuple(row) for row in templates]


async def add_enterprise(connection: Connection, name: str, name_en: str, industry: str) -> tuple[int, bool]:
    """The number of the enterprise called `name`, registering it if it is new, and whether it is."""
    done = await connection.execute(
        "INSERT INTO enterprise (name, name_en, industry) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
        name,
        name_en,
        industry,
    )
    return int(await connection.fetchval("SELECT number FROM enterprise WHERE name = $1", name)), done == "INSERT 0 1"


async def rename(connection: Connection, enterprise: int, name: str) -> str | None:
    """Gives an enterprise another name; the one before, None when it bears it already."""
    before = await connection.fetchval(
        "UPDATE enterprise e SET name = $2, name_en = CASE WHEN e.name_en = e.name THEN $2 ELSE e.name_en END "
        "FROM enterprise b WHERE e.number = $1 AND b.number = $1 AND b.name <> $2 RETURNING b.name",
        enterprise,
        name,
    )
    return str(before) if before is not None else None


async def has_prefix(connection: Connection, enterprise: int) -> bool:
    """Whether an enterprise has a prefix, in whatever state."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM prefix WHERE enterprise_no = $1)", enterprise))


async def enterprises(connection: Connection) -> list[Any]:
    """Rows of (number, name, name_en, industry, prefix, state), a row for each prefix."""
    return list(
        await connection.fetch(
            """
            SELECT e.number, e.name, e.name_en, e.industry, p.name AS prefix, p.state
            FROM enterprise e LEFT JOIN prefix p ON p.enterprise_no = e.number ORDER BY p.name
            """
        )
    )


_PREFIX: Final = f"""
    SELECT number, name, state, epoch, enterprise_no, elsewhere FROM prefix
    WHERE name = $1 AND number <> {PREFIX_HANDLES_NUMBER}
"""  # noqa: S608 - a number of ours
_NAMES: Final = "SELECT number, name FROM prefix WHERE number = ANY ($1)"
_PREFIX_HELD: Final = f"{_PREFIX} FOR NO KEY UPDATE"


async def prefix(connection: Connection, name: str, *, held: bool = False) -> RegisteredPrefix | None:
    """The prefix called `name`, whatever a client calls so; that of the handles of prefixes is none of them.

    `held`: nobody else changes it before the caller's transaction ends; two who want the same do not both do it.
    """
    if "\0" in name:  # PostgreSQL refuses such text
        return None
    row = await connection.fetchrow(_PREFIX_HELD if held else _PREFIX, name)
    return RegisteredPrefix(row[0], row[1], PrefixState(row[2]), *row[3:]) if row else None


async def having_handles(connection: Connection, names: list[str]) -> set[str]:
    """Those of `names` that are open prefixes, here or at their enterprises' own nodes."""
    found = await connection.fetch(
        "SELECT name FROM prefix WHERE name = ANY ($1) AND state = $2 AND number <> $3",
        names,
        PrefixState.ENABLED,
        PREFIX_HANDLES_NUMBER,
    )
    return {row[0] for row in found}


async def industry(connection: Connection, name: str) -> str | None:
    """The industry of the enterprise that has the prefix called `name`."""
    found = await connection.fetchval(
        "SELECT e.industry FROM prefix p JOIN enterprise e ON e.number = p.enterprise_no WHERE p.name = $1", name
    )
    return str(found) if found is not None else None


async def names(connection: Connection, numbers: list[int]) -> dict[int, str]:
    """The names of the prefixes with these numbers; those that do not exist are left out."""
    return {row[0]: row[1] for row in await connection.fetch(_NAMES, numbers)}


async def add_prefix(
    connection: Connection, name: str, enterprise: int | None, state: PrefixState = PrefixState.ENABLED
) -> bool:
    """Registers a prefix in `state` and begins its stream; False when it exists."""
    async with connection.transaction():
        row = await connection.fetchrow(
            """
            INSERT INTO prefix (name, enterprise_no, state, epoch) VALUES ($1, $2, $3, next_epoch())
            ON CONFLICT (name) DO NOTHING RETURNING number, epoch
            """,
            name,
            enterprise,
            state,
        )
        if row is None:
            return False
        await connection.execute(
            "INSERT INTO stream (prefix_no, number, head, prefix_epoch, limited) VALUES ($1, 0, $2, $3, EXISTS ("
            "SELECT FROM quota WHERE enterprise_no = $4 AND num_nonnulls(identifiers, room) > 0))",
            row[0],
            HEAD_FIRST,
            row[1],
            enterprise,
        )
        if state.open:
            await _announce(connection, row[0], name, row[1], state)
    return True


AT_ITS_OWN_NODE: Final = """EXISTS (
    SELECT FROM hosting h JOIN route r ON r.prefix = p.name WHERE h.prefix_no = p.number AND r.told = r.serial
        AND (r.address, r.tcp_port, r.udp_port, r.http_port) = (h.address, h.tcp_port, h.udp_port, h.http_port)
)"""
"""Of a prefix p: the top-level node refers to its enterprise's own node."""


async def set_state(connection: Connection, name: str, state: PrefixState) -> int | None:
    """Brings a prefix into `state`; the new epoch (or the present one if it was so already), None if unknown.

    One that is closed says so, wherever it lives while it is open.
    """
    async with connection.transaction():
        before = await prefix(connection, name, held=True)
        if before is None or before.state is state:
            return before.epoch if before else None
        epoch = await _next_epoch(connection, before.number)
        await connection.execute(
            f"UPDATE prefix p SET state = $2, elsewhere = $3 AND {AT_ITS_OWN_NODE} WHERE number = $1",  # noqa: S608
            before.number,
            state,
            state.open,
        )
        if state.open is not before.state.open:
            await _announce(connection, before.number, name, epoch, state)
    return epoch


async def set_elsewhere(connection: Connection, prefix: RegisteredPrefix, elsewhere: bool) -> None:
    """Lets a prefix, which is held, live elsewhere from now on, or here again."""
    if prefix.elsewhere is not elsewhere:
        await _next_epoch(connection, prefix.number)
        await connection.execute("UPDATE prefix SET elsewhere = $2 WHERE number = $1", prefix.number, elsewhere)


async def _next_epoch(connection: Connection, prefix_no: int) -> int:
    """A new epoch for a prefix, and for the handles of prefixes: what is written at its own was judged by its state."""
    epoch: int = await connection.fetchval(
        "UPDATE prefix SET epoch = next_epoch() WHERE number = $1 RETURNING epoch", prefix_no
    )
    await connection.execute("UPDATE prefix SET epoch = $2 WHERE number = $1", PREFIX_HANDLES_NUMBER, epoch)
    for number in (prefix_no, PREFIX_HANDLES_NUMBER):  # streams are taken in the order of their numbers
        await connection.execute("UPDATE stream SET prefix_epoch = $2 WHERE prefix_no = $1", number, epoch)
    return epoch


async def _announce(connection: Connection, prefix_no: int, name: str, epoch: int, state: PrefixState) -> None:
    """That a prefix opens or closes stands in its own stream: empty suffix, its epoch as version. It begins closed."""
    kind = Kind.PREFIX_ENABLED if state.open else Kind.PREFIX_STOPPED
    entry = entry_digest(name, epoch, kind, "", sha256(b"").digest())
    await connection.execute(
        "SELECT append_change($1, $2, ARRAY[1], ARRAY[''], ARRAY[$3::integer - 1], ARRAY[$4::smallint], ARRAY[0], "
        "ARRAY[''::bytea], ARRAY[$5::bytea])",
        prefix_no,
        epoch,
        epoch,
        kind,
        entry,
    )
