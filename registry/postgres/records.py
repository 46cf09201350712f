"""Records, history, changes and streams in the database: every statement over them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from typing import Any, Final, NamedTuple, Self

from proto.chain import Kind
from proto.identifier import PREFIX_HANDLES
from registry.holding import NONE, Holds
from registry.postgres import holdings
from registry.postgres.connection import Connection
from registry.postgres.holdings import Held
from registry.prefix import PREFIX_HANDLES_NUMBER, PrefixState

Row = Any

SEPARATOR: Final = "\x1f"
"""Between suffixes that are sent as one text, which takes a fifth of sending an array: an identifier holds nothing of
Unicode's category Cc (proto/identifier.py)."""
ALIKE_LEAST: Final = 100
"""So many changes are worth asking whether they are alike: the server fills its arrays as quickly as it reads them."""


class Stored(NamedTuple):
    """What stands behind one identifier, as one snapshot saw it.

    `prefix` 0: not ours; `epoch` is the catalogue's number then, else the prefix's. `version` 0: never registered.
    """

    prefix: int
    state: int
    epoch: int
    version: int = 0
    live: bool = False
    template: int = 0
    template_epoch: int = 0
    updated: int = 0
    body: bytes = b""


_stored: Final[Callable[[Row], Stored]] = partial(tuple.__new__, Stored)
"""`Stored._make`, without a call in Python for each row."""
_NOBODYS: Final = Stored(0, 0, 0)

# Times are kept less 2^31 (migrations/0004_room.sql), and a deleted record has no body.
# LIMIT 1 keeps the planner to the whole key: the plan is made while tables may still look empty, and a join could then
# be answered by reading all of a prefix for every identifier.
STORED: Final = """
    coalesce(p.number, 0), coalesce(p.state, 0), coalesce(p.epoch, (SELECT number FROM catalogue)),
    coalesce(r.version, 0), r.body IS NOT NULL, coalesce(r.template_no, 0), coalesce(t.epoch, 0),
    coalesce(r.updated + 2147483648, 0), coalesce(r.body, ''::bytea)
"""
"""The columns of `Stored`."""
STORED_FROM: Final = """
    LEFT JOIN prefix p ON p.name = q.prefix AND NOT p.elsewhere
    LEFT JOIN LATERAL (SELECT * FROM record WHERE prefix_no = p.number AND suffix = q.suffix LIMIT 1) r ON true
    LEFT JOIN template t ON t.number = r.template_no
"""
"""Where they come from, behind a `q` with prefix and suffix."""
_LOOK: Final = f"""
    SELECT q.n::integer, coalesce(r.m, 0)::integer, {STORED}
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY q(prefix, suffixes, n)
    LEFT JOIN prefix p ON p.name = q.prefix AND NOT p.elsewhere
    LEFT JOIN LATERAL (
        SELECT s.m, found.* FROM unnest(string_to_array(q.suffixes, chr(31))) WITH ORDINALITY s(suffix, m)
        CROSS JOIN LATERAL (SELECT * FROM record WHERE prefix_no = p.number AND suffix = s.suffix LIMIT 1) found
    ) r ON true
    LEFT JOIN template t ON t.number = r.template_no
"""  # noqa: S608 - constants of this file
"""Of each prefix, the `n`th, what stands behind its `m`th suffixes; a row with an `m` of 0 where there is nothing."""

_LOOK_WITH_HANDLES: Final = f"""
    SELECT {STORED} FROM unnest($1::text[], $2::text[]) WITH ORDINALITY q(prefix, suffix, n)
    LEFT JOIN prefix p ON
        p.name = CASE WHEN q.prefix <> '{PREFIX_HANDLES}' OR q.suffix = $3 THEN q.prefix
            ELSE nullif(q.suffix, '{PREFIX_HANDLES}') END
        AND (NOT p.elsewhere OR q.prefix = '{PREFIX_HANDLES}' AND p.state = {int(PrefixState.ENABLED)})
    LEFT JOIN LATERAL (
        SELECT * FROM record WHERE p.number IS NOT NULL AND suffix = q.suffix
            AND prefix_no = CASE q.prefix WHEN '{PREFIX_HANDLES}' THEN {PREFIX_HANDLES_NUMBER} ELSE p.number END LIMIT 1
    ) r ON true
    LEFT JOIN template t ON t.number = r.template_no
    ORDER BY q.n
"""  # noqa: S608 - constants of ours


async def look(
    connection: Connection, prefixes: Sequence[str], suffixes: Sequence[str], node: str = ""
) -> list[Stored]:
    """What stands behind each identifier (given as prefix key and suffix key), all in one snapshot, in order; one
    object for all of a prefix that were never registered.

    The handle of a prefix goes by number, state and epoch of the prefix it is about, also of one that is open at its
    enterprise's own node; that of the prefix `node`, which is this node's own and empty if it has none, by those of
    the handles of prefixes.
    """
    if PREFIX_HANDLES in prefixes:
        return list(map(_stored, await connection.fetch(_LOOK_WITH_HANDLES, prefixes, suffixes, node)))
    of: dict[str, list[int]] = {}
    for place, prefix in enumerate(prefixes):
        of.setdefault(prefix, []).append(place)
    named = [SEPARATOR.join([suffixes[place] for place in places]) for places in of.values()]
    rows = await connection.fetch(_LOOK, list(of), named)
    places_of, found = list(of.values()), [_NOBODYS] * len(suffixes)
    for n, row in {row[0]: row for row in rows}.items():
        nobodys = Stored(*row[2:5])
        for place in places_of[n - 1]:
            found[place] = nobodys
    for row in rows:
        if row[1]:
            found[places_of[row[0] - 1][row[1] - 1]] = _stored(row[2:])
    return found


@dataclass(frozen=True, slots=True)
class Ground:
    """What a group of writes under one prefix is judged on, of one moment.

    `quota` is what the enterprise of the prefix may have of identifiers and room, and then what it has of them; None
    if it may have any number of both.
    """

    prefix: tuple[int, int, int, int | None] | None
    templates: dict[str, tuple[int, int]]
    records: dict[str, Stored]
    quota: tuple[int | None, int | None, int, int] | None = None


_GROUNDS: Final = """
    SELECT q.n::integer, p.number, p.state, p.epoch, p.enterprise_no,
        ARRAY (
            SELECT ROW (t.version, t.number, t.epoch) FROM template t
            WHERE t.prefix_no = p.number AND t.version = ANY ($2)
        ),
        ARRAY (
            SELECT ROW (r.suffix, r.version, r.body IS NOT NULL, r.template_no, coalesce(t.epoch, 0),
                r.updated + 2147483648, coalesce(r.body, ''::bytea))
            FROM unnest(string_to_array($3, chr(31)), $4::integer[]) s(suffix, n)
            CROSS JOIN LATERAL (SELECT * FROM record WHERE prefix_no = p.number AND suffix = s.suffix LIMIT 1) r
            LEFT JOIN template t ON t.number = r.template_no
            WHERE s.n = q.n
        ),
        CASE WHEN (SELECT limited FROM stream WHERE prefix_no = p.number AND sub = 0 LIMIT 1)
            THEN quota_of(p.enterprise_no) END
    FROM unnest($1::text[]) WITH ORDINALITY q(name, n) JOIN prefix p ON p.name = q.name AND NOT p.elsewhere
"""


_GROUNDS_OF_ONE: Final = _GROUNDS.replace("$4::integer[]", "array_fill(1, ARRAY[$4::integer])")
"""The same of one prefix, which is not said of each suffix."""


async def grounds(
    connection: Connection, prefixes: list[str], versions: list[str], suffixes: Sequence[str], of: Sequence[int]
) -> list[Ground]:
    """What is registered of each of `prefixes`, of one moment: itself, its templates named `versions`, and those of its
    `suffixes`; `of` says which prefix each suffix belongs to, counted from 1.
    """
    found = [Ground(None, {}, {}) for _ in prefixes]
    statement, places = (_GROUNDS, of) if len(prefixes) > 1 else (_GROUNDS_OF_ONE, len(of))
    rows = await connection.fetch(statement, prefixes, versions, SEPARATOR.join(suffixes), places)
    for n, number, state, epoch, enterprise, templates, current, quota in rows:
        found[n - 1] = Ground(
            (number, state, epoch, enterprise),
            {version: (template, at) for version, template, at in templates},
            {suffix: Stored(number, state, epoch, *rest) for suffix, *rest in current},
            quota and tuple(quota),
        )
    return found


class Change(NamedTuple):
    """One judged change, ready to be written: number of the prefix; fields as `commit_changes` takes them, suffixes
    first; then what comes and goes with it (registry/holding.py).

    `base` is the version judged (0 = none), a `body` of None a deletion, `digest` that of the body, `entry` that of
    the change.
    """

    prefix: int
    suffix: str
    base: int
    kind: int
    template: int
    actor: int
    body: bytes | None
    digest: bytes
    entry: bytes
    gains: Holds = NONE
    loses: Holds = NONE


class Share(NamedTuple):
    """How many of the changes of a commit are of this prefix, known to be of this epoch."""

    prefix: int
    epoch: int
    size: int


async def commit(connection: Connection, share: Share, at: int, changes: Sequence[Change]) -> Sequence[int]:
    """Writes `changes` (suffixes ascending and distinct); returns the positions of those whose premise held."""
    return await _committed(connection, "commit_changes", (share.prefix, share.epoch, at), changes)


async def commit_together(
    connection: Connection, shares: Sequence[Share], at: int, changes: Sequence[Change]
) -> Sequence[int]:
    """Writes `changes`, share after share (prefixes ascending, suffixes of each ascending and distinct).

    Returns the positions of those whose premise held, without those of a prefix that could not be written at once.
    """
    return await _committed(connection, "commit_together", (*zip(*shares, strict=True), at), changes)


class New(NamedTuple):
    """New identifiers, ready to be written, column by column: what a `Change` calls suffix, body, digest and entry."""

    suffixes: Sequence[str]
    bodies: Sequence[bytes]
    digests: Sequence[bytes]
    entries: Sequence[bytes]

    @classmethod
    def of(cls, parts: Sequence["New"]) -> Self:
        """All of them, suffixes ascending."""
        new = cls(*[list(chain.from_iterable(column)) for column in zip(*parts, strict=True)])
        if new.suffixes == sorted(new.suffixes):
            return new
        return cls(*zip(*sorted(zip(*new, strict=True)), strict=True))


async def commit_new(
    connection: Connection, share: Share, at: int, template: int, actor: int, new: New
) -> Sequence[int]:
    """Writes new identifiers of one template by one account, suffixes ascending, as `commit` would."""
    common = (0, int(Kind.CREATED), template, actor)
    before, size = (share.prefix, share.epoch, at), len(new.suffixes)
    given = (*before, SEPARATOR.join(new.suffixes), *common, new.bodies, b"".join(new.entries), b"".join(new.digests))
    won = await connection.fetchval(f"SELECT {_call('commit_changes', len(before), alike=True)}", *given, size)
    return _positions(won, size)


async def _committed(
    connection: Connection, function: str, before: tuple[Any, ...], changes: Sequence[Change]
) -> Sequence[int]:
    _, suffixes, *columns, bodies, digests, entries, gains, loses = zip(*changes, strict=True)
    alike = len(changes) >= ALIKE_LEAST and all(column.count(column[0]) == len(column) for column in columns)
    given = [*before, SEPARATOR.join(suffixes), *([column[0] for column in columns] if alike else columns)]
    given += [bodies, b"".join(entries), b"".join(digests), *([len(changes)] if alike else [])]
    call = _call(function, len(before), alike)
    held = _held(changes) if any(gains) or any(loses) else []
    statement = holdings.committing(call, len(given)) if held else f"SELECT {call}"
    won = await connection.fetchval(statement, *given, *zip(*held, strict=True))
    return _positions(won, len(changes))


def _positions(won: Sequence[int] | None, size: int) -> Sequence[int]:
    """The positions of the changes that were written, of so many; None, said of them by the database: all."""
    return range(size) if won is None else [n - 1 for n in won]


@cache
def _call(function: str, before: int, alike: bool) -> str:
    """The call of a function that writes changes: so much is given before their suffixes. If they are `alike` in
    version, kind, template and account, each of that is given once, and last how many there are.
    """
    places = [f"${n}" for n in range(1, before + 9)]
    places[before] = f"string_to_array(${before + 1}, chr(31))"
    if alike:
        for n, type_ in enumerate(("integer", "smallint", "integer", "integer"), before + 1):
            places[n] = f"array_fill(${n + 1}::{type_}, ARRAY[${before + 9}::integer])"
    return f"{function}({', '.join(places)})"


def _held(changes: Sequence[Change]) -> list[Held]:
    return [
        holdings.held(of, new, change.prefix, change.suffix, what)
        for of, change in enumerate(changes, 1)
        for new, several in ((True, change.gains), (False, change.loses))
        for what in several
    ]


async def versions(connection: Connection, prefix: str, suffix: str, most: int, octets: int) -> list[Row]:
    """The newest `most` versions of an identifier, or as many as have `octets` together and the next one, newest first,
    each with who wrote it, its template, and what of it was blanked: (index, type, seconds since 1970 UTC, reason).
    """
    return list(
        await connection.fetch(
            """
            SELECT v.version, v.body IS NOT NULL AS live, v.template_no, coalesce(t.epoch, 0) AS template_epoch,
                v.updated + 2147483648 AS updated, coalesce(v.body, ''::bytea) AS body,
                a.username, t.version AS template, ARRAY (
                    SELECT ROW (b.index, b.type, extract(epoch FROM b.made)::bigint, b.reason) FROM blanked b
                    WHERE b.prefix_no = v.prefix_no AND b.suffix = $2 AND b.version = v.version ORDER BY b.index
                ) AS blanked
            FROM (
                SELECT *, coalesce(sum(octet_length(body)) OVER (
                    ORDER BY version DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS newer
                FROM (
                    SELECT prefix_no, version, template_no, updated, body, actor_no FROM record
                    WHERE prefix_no = (SELECT number FROM prefix WHERE name = $1) AND suffix = $2
                    UNION ALL
                    SELECT prefix_no, version, template_no, updated, body, actor_no FROM history
                    WHERE prefix_no = (SELECT number FROM prefix WHERE name = $1) AND suffix = $2
                    ORDER BY version DESC LIMIT $3
                ) newest
            ) v
            LEFT JOIN account a ON a.number = v.actor_no
            LEFT JOIN template t ON t.number = v.template_no
            WHERE v.newer < $4 ORDER BY v.version DESC
            """,
            prefix,
            suffix,
            most,
            octets,
        )
    )


async def changes_after(connection: Connection, places: dict[int, int], most: int) -> list[Row]:
    """Change rows beyond `places` (prefix number to the last number seen), at most `most` a prefix.

    Rows of (prefix_no, number, prefix, suffixes, versions), numbers ascending within a prefix.
    """
    return list(
        await connection.fetch(
            """
            SELECT c.prefix_no, c.number, p.name, c.suffixes, c.versions
            FROM unnest($1::integer[], $2::bigint[]) q(prefix_no, mine)
            JOIN prefix p ON p.number = q.prefix_no
            CROSS JOIN LATERAL changes_after(q.prefix_no, q.mine, $3) c
            ORDER BY c.prefix_no, c.number
            """,
            list(places),
            list(places.values()),
            most,
        )
    )


async def places(connection: Connection, seconds: int) -> dict[int, int]:
    """Where every stream stood `seconds` ago (at the latest): prefix number to number of its last change before.

    0 asks for the heads, which no clock that was put back may hide.
    """
    rows = await connection.fetch(
        """
        SELECT s.prefix_no, CASE WHEN $1::float8 = 0 THEN s.number ELSE coalesce((
            SELECT c.number FROM change c
            WHERE c.prefix_no = s.prefix_no AND c.sub = 0 AND c.made <= clock_timestamp() - make_interval(secs => $1)
            ORDER BY c.number DESC LIMIT 1), (
            SELECT max(v.last) FROM change_volume v WHERE v.prefix_no = s.prefix_no AND v.sub = 0), 0) END
        FROM stream s WHERE s.sub = 0
        """,
        float(seconds),
    )
    return {row[0]: row[1] for row in rows}
