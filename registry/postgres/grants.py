"""Identity groups, grants, and what is told of them to whom they were given, in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from registry.granting import NOBODY, TAKEN_BACK, Grantee, Kept, Names, Notice
from registry.postgres import records
from registry.postgres.connection import Connection
from registry.postgres.records import Stored
from registry.sight import Grant
from registry.template import RESERVED_SUFFIX

NOTICES_MOST: Final = 1000
"""Notices kept for one account, the newest: who looks once a day misses none of a busy partner."""

_GRANTED: Final = """
    p.enterprise_no,
    EXISTS (
        SELECT 1 FROM access_grant g
        WHERE g.prefix_no = p.number AND g.suffix = q.suffix AND (g.until IS NULL OR g.until > $1)
    ),
    ARRAY (
        SELECT ROW (g.suffix IS NOT NULL, g.attributes, g.edit) FROM (
            SELECT * FROM access_grant WHERE prefix_no = p.number AND suffix = q.suffix
            UNION ALL
            SELECT * FROM access_grant WHERE template_no = {template}
        ) g
        WHERE p.state = 1 AND (g.until IS NULL OR g.until > $1) AND (
            g.account_no = w.account_no AND p.enterprise_no = w.enterprise_no OR EXISTS (
                SELECT 1 FROM identity_group_member m JOIN identity_group i ON i.number = m.group_no
                WHERE m.account_no = w.account_no AND i.enterprise_no = w.enterprise_no
                    AND (g.account_no = w.account_no OR g.group_no = m.group_no)
                    AND (i.enterprise_no = p.enterprise_no OR EXISTS (
                        SELECT 1 FROM identity_group_import o
                        WHERE o.group_no = m.group_no AND o.enterprise_no = p.enterprise_no))
            )
        )
    )
"""
"""The columns of `Granted`: what account `w` was granted on identifier `q`, under prefix `p`, that holds at $1: nothing
while the prefix is closed."""
_REACHES: Final = f"""
    SELECT {_GRANTED.format(template="q.template_no")}
    FROM (SELECT $2::integer, $3::integer) w(account_no, enterprise_no)
    CROSS JOIN unnest($4::integer[], $5::text[], $6::integer[]) WITH ORDINALITY q(prefix_no, suffix, template_no, n)
    LEFT JOIN prefix p ON p.number = q.prefix_no
    ORDER BY q.n
"""  # noqa: S608 - constants of this file
_LOOK: Final = f"""
    SELECT {records.STORED}, {_GRANTED.format(template="r.template_no")}
    FROM unnest($2::text[], $3::text[], $4::integer[], $5::integer[])
        WITH ORDINALITY q(prefix, suffix, account_no, enterprise_no, n)
    CROSS JOIN LATERAL (SELECT q.account_no, q.enterprise_no) w
    {records.STORED_FROM}
    ORDER BY q.n
"""  # noqa: S608 - constants of this room


class Granted(NamedTuple):
    """What is known of one identifier and who asks: whose it is, whether it has grants of its own, which hold for who
    asks.
    """

    enterprise: int | None
    single: bool
    grants: tuple[Grant, ...]


async def granted(
    connection: Connection,
    asked: Sequence[tuple[int, str, int]],
    account: int,
    enterprise: int | None,
    now: datetime,
) -> list[Granted]:
    """What was granted to an account of that enterprise on each of `asked` (prefix number, suffix key, number of the
    template), in order, and holds at `now`. A grant to an account of another enterprise holds while a group it is in is
    imported.
    """
    columns = [list(column) for column in zip(*asked, strict=True)] or [[], [], []]
    rows = await connection.fetch(_REACHES, now, account, enterprise, *columns)
    return [_granted(*row) for row in rows]


class Asking(NamedTuple):
    """An identifier, and who asks for it: number of the account and of its enterprise."""

    prefix_key: str
    suffix_key: str
    account: int
    enterprise: int | None


async def look(connection: Connection, asked: Sequence[Asking], now: datetime) -> list[tuple[Stored, Granted]]:
    """What stands behind each identifier, and what was granted on it to who asks; in order, all in one snapshot."""
    rows = await connection.fetch(_LOOK, now, *map(list, zip(*asked, strict=True)))
    return [(Stored(*row[: len(Stored._fields)]), _granted(*row[len(Stored._fields) :])) for row in rows]


def _granted(enterprise: int | None, single: bool, grants: Sequence[Any]) -> Granted:
    return Granted(enterprise, single, tuple(_grant(*each) for each in grants))


def _grant(single: bool, attributes: list[str] | None, edit: bool) -> Grant:
    return Grant(single, _names(attributes), edit)


def _names(attributes: list[str] | None) -> Names:
    return None if attributes is None else frozenset(attributes)


# -- groups


class Group(NamedTuple):
    """A group: its handle, and the user names of its members, in order."""

    handle: str
    members: list[str]


def group_handle(prefix: str, name: str) -> str:
    """What the group called `name` under `prefix` is known by to others."""
    return f"{prefix}/Group_{name}"


async def known(connection: Connection, number: int) -> Group | None:
    """The group with that number."""
    row = await connection.fetchrow(
        """
        SELECT p.name, g.name AS called, ARRAY (
            SELECT a.username FROM identity_group_member m JOIN account a ON a.number = m.account_no
            WHERE m.group_no = g.number ORDER BY 1
        ) FROM identity_group g JOIN prefix p ON p.number = g.prefix_no WHERE g.number = $1
        """,
        number,
    )
    return Group(group_handle(row[0], row[1]), row[2]) if row else None


async def group(connection: Connection, prefix: str, name: str) -> tuple[int, int] | None:
    """(number, number of its enterprise) of the group called `name` under `prefix`."""
    row = await connection.fetchrow(
        "SELECT g.number, g.enterprise_no FROM identity_group g JOIN prefix p ON p.number = g.prefix_no "
        "WHERE p.name = $1 AND g.name = $2",
        prefix,
        name,
    )
    return (row[0], row[1]) if row else None


async def add_group(connection: Connection, prefix: int, enterprise: int, name: str, most: int) -> bool | None:
    """Makes a group; False when there is one called so, None when the enterprise has `most`."""
    if await connection.fetchval("SELECT count(*) FROM identity_group WHERE enterprise_no = $1", enterprise) >= most:
        return None
    done = await connection.execute(
        "INSERT INTO identity_group (prefix_no, enterprise_no, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        *(prefix, enterprise, name),
    )
    return bool(done == "INSERT 0 1")


async def remove_group(connection: Connection, number: int) -> None:
    """Removes a group, and all that was granted to it."""
    await _edits_end(connection, group=number)
    await connection.execute("DELETE FROM identity_group WHERE number = $1", number)


async def set_members(connection: Connection, number: int, enterprise: int, usernames: Sequence[str]) -> list[str]:
    """Makes these identities of the enterprise the members of a group; those it does not have: then nothing is done."""
    found = await connection.fetch(
        "SELECT number, username FROM account WHERE enterprise_no = $1 AND username = ANY ($2)", enterprise, usernames
    )
    if missing := sorted(set(usernames) - {row[1] for row in found}):
        return missing
    await _edits_end(connection, group=number)
    await connection.execute("DELETE FROM identity_group_member WHERE group_no = $1", number)
    await connection.execute(
        "INSERT INTO identity_group_member (group_no, account_no) SELECT $1, unnest($2::integer[])",
        *(number, [row[0] for row in found]),
    )
    return []


async def import_group(connection: Connection, number: int, enterprise: int) -> bool:
    """Lets an enterprise grant to the group of another one; False when it may already."""
    done = await connection.execute(
        "INSERT INTO identity_group_import (group_no, enterprise_no) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        *(number, enterprise),
    )
    return bool(done == "INSERT 0 1")


async def drop_import(connection: Connection, number: int, enterprise: int) -> bool:
    """Ends that, and with it what the enterprise granted to the group; False when it could not."""
    await _edits_end(connection, group=number)
    given = await connection.fetch(
        "SELECT number FROM access_grant WHERE group_no = $1 "
        "AND prefix_no IN (SELECT number FROM prefix WHERE enterprise_no = $2)",
        *(number, enterprise),
    )
    numbers = [row[0] for row in given]
    await _tell(connection, numbers, back=True)
    await connection.execute("DELETE FROM access_grant WHERE number = ANY ($1)", numbers)
    done = await connection.execute(
        "DELETE FROM identity_group_import WHERE group_no = $1 AND enterprise_no = $2", number, enterprise
    )
    return bool(done == "DELETE 1")


async def groups(connection: Connection, enterprise: int) -> list[Any]:
    """Rows of (prefix, name, members, imported, enterprise): an enterprise's own groups with their members, and those
    it imported, whose members are nobody else's to know; `enterprise` is the name of whose group it is.
    """
    return list(
        await connection.fetch(
            """
            SELECT p.name AS prefix, g.name, g.enterprise_no <> $1 AS imported, e.name AS enterprise,
                CASE WHEN g.enterprise_no = $1 THEN ARRAY (
                    SELECT a.username FROM identity_group_member m JOIN account a ON a.number = m.account_no
                    WHERE m.group_no = g.number ORDER BY 1
                ) END AS members
            FROM identity_group g
            JOIN prefix p ON p.number = g.prefix_no
            JOIN enterprise e ON e.number = g.enterprise_no
            WHERE g.enterprise_no = $1
                OR g.number IN (SELECT group_no FROM identity_group_import WHERE enterprise_no = $1)
            ORDER BY 3, 1, 2
            """,
            enterprise,
        )
    )


# -- grants


class Given(NamedTuple):
    """A grant as it is kept. Either `template` or `suffix`, either `account` or `group`; numbers. Neither of the latter
    where it only keeps the grants of its template from an identifier.
    """

    prefix: int
    template: int | None
    suffix: str | None
    account: int | None
    group: int | None
    attributes: list[str] | None
    edit: bool
    until: datetime | None
    made_by: int


_IN_REACH: Final = """
    SELECT a.number FROM account a WHERE a.{} = $1 AND (a.enterprise_no = $2 OR EXISTS (
        SELECT 1 FROM identity_group_member m JOIN identity_group i ON i.number = m.group_no
        JOIN identity_group_import o ON o.group_no = m.group_no
        WHERE m.account_no = a.number AND i.enterprise_no = a.enterprise_no AND o.enterprise_no = $2))
"""


async def reachable(connection: Connection, username: str, enterprise: int) -> int | None:
    """The number of the identity called `username`, if that enterprise may grant to it: its own, or one in a group it
    has imported.
    """
    if "\0" in username:  # PostgreSQL refuses such text
        return None
    found = await connection.fetchval(_IN_REACH.format("username"), username, enterprise)
    return None if found is None else int(found)


async def within_reach(connection: Connection, to: Grantee, enterprise: int) -> bool:
    """Whether that enterprise may grant to an identity or group; to nobody it may."""
    if to == NOBODY:
        return True
    if to.group is not None:
        return await imported(connection, to.group, enterprise)
    return await connection.fetchval(_IN_REACH.format("number"), to.account, enterprise) is not None


async def imported(connection: Connection, group: int, enterprise: int) -> bool:
    """Whether that enterprise may grant to a group: its own, or one it has imported."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT 1 FROM identity_group WHERE number = $1 AND enterprise_no = $2) OR EXISTS "
            "(SELECT 1 FROM identity_group_import WHERE group_no = $1 AND enterprise_no = $2)",
            *(group, enterprise),
        )
    )


async def add(connection: Connection, given: Given, most: int) -> int | None:
    """Keeps a grant; its number, None when what it is given on has `most`."""
    there = await connection.fetchval(
        "SELECT count(*) FROM access_grant WHERE template_no = $1 OR (suffix = $2 AND prefix_no = $3)",
        *(given.template, given.suffix, given.prefix),
    )
    if there >= most:
        return None
    if given.suffix is not None:
        await _edits_end(connection, classes=given.prefix)
    number = await connection.fetchval(
        """
        INSERT INTO access_grant
            (prefix_no, template_no, suffix, account_no, group_no, attributes, edit, until, made_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING number
        """,
        *given,
    )
    await _tell(connection, [number], back=False)
    return int(number)


async def shown(connection: Connection, number: int) -> tuple[str, dict[str, Any]]:
    """On what a grant is, by its handle, and what it says; empty when there is none of that number."""
    row = await connection.fetchrow(
        """
        SELECT p.name || '/' || coalesce(g.suffix, t.version), coalesce(a.username, gp.name || '/Group_' || i.name),
            g.attributes, g.edit, g.until
        FROM access_grant g
        JOIN prefix p ON p.number = g.prefix_no
        LEFT JOIN template t ON t.number = g.template_no
        LEFT JOIN account a ON a.number = g.account_no
        LEFT JOIN identity_group i ON i.number = g.group_no
        LEFT JOIN prefix gp ON gp.number = i.prefix_no
        WHERE g.number = $1
        """,
        number,
    )
    if row is None:
        return "", {}
    return row[0], {"number": number, "to": row[1], "attributes": row[2], "edit": row[3], "until": row[4]}


async def remove(connection: Connection, number: int, enterprise: int) -> bool:
    """Takes a grant back; False when that enterprise has given none of that number."""
    mine = await connection.fetchval(
        "SELECT EXISTS (SELECT 1 FROM access_grant g JOIN prefix p ON p.number = g.prefix_no "
        "WHERE g.number = $1 AND p.enterprise_no = $2)",
        *(number, enterprise),
    )
    if not mine:
        return False
    await _edits_end(connection, grant=number)
    await _tell(connection, [number], back=True)
    await connection.execute("DELETE FROM access_grant WHERE number = $1", number)
    return True


async def alter(
    connection: Connection, number: int, attributes: list[str] | None, made_by: int, *, more: bool, less: bool
) -> None:
    """Changes the attributes of a grant; they are `more`, `less`, or some others."""
    if less:
        await _edits_end(connection, grant=number)
        await _tell(connection, [number], back=True)
    await connection.execute(
        "UPDATE access_grant SET attributes = $2, made = now(), made_by = $3 WHERE number = $1",
        *(number, attributes, made_by),
    )
    if more:
        await _tell(connection, [number], back=False)


async def on(connection: Connection, prefix: int, template: int | None, suffix: str | None) -> list[Kept]:
    """What is granted on a template, or on the identifier of that suffix key, oldest first."""
    rows = await connection.fetch(
        "SELECT number, account_no, group_no, edit, attributes, until FROM access_grant "
        "WHERE template_no = $2 OR (suffix = $3 AND prefix_no = $1) ORDER BY number",
        *(prefix, template, suffix),
    )
    return [_kept(*row) for row in rows]


def _kept(
    number: int, account: int | None, group: int | None, edit: bool, names: list[str] | None, until: datetime | None
) -> Kept:
    if names == []:
        return Kept(number, Grantee(account, group), "itself", None, until)
    return Kept(number, Grantee(account, group), "edit" if edit else "view", _names(names), until)


async def listed(connection: Connection, enterprise: int, below: int, most: int) -> list[Any]:
    """Grants an enterprise has given, newest first, those below a number."""
    return list(
        await connection.fetch(
            """
            SELECT g.number, p.name AS prefix, t.version AS template, g.suffix, a.username,
                gp.name || '/Group_' || i.name AS group, g.attributes, g.edit, g.until, g.made, b.username AS made_by
            FROM access_grant g
            JOIN prefix p ON p.number = g.prefix_no
            JOIN account b ON b.number = g.made_by
            LEFT JOIN template t ON t.number = g.template_no
            LEFT JOIN account a ON a.number = g.account_no
            LEFT JOIN identity_group i ON i.number = g.group_no
            LEFT JOIN prefix gp ON gp.number = i.prefix_no
            WHERE p.enterprise_no = $1 AND g.number < $2 ORDER BY g.number DESC LIMIT $3
            """,
            *(enterprise, below, most),
        )
    )


# -- notices


async def _tell(connection: Connection, grants: Sequence[int], *, back: bool) -> None:
    """Notes for all to whom these were given that they were, or are taken `back`."""
    await connection.execute(
        """
        WITH told AS (
            INSERT INTO grant_notice (account_no, prefix_no, suffix, title, edit)
            SELECT coalesce(g.account_no, m.account_no), g.prefix_no, coalesce(g.suffix, $3 || t.version),
                CASE WHEN g.suffix IS NOT NULL THEN 2 WHEN g.attributes = '{}' THEN 1 ELSE 3 END + $2, g.edit
            FROM access_grant g
            LEFT JOIN template t ON t.number = g.template_no
            LEFT JOIN identity_group_member m ON m.group_no = g.group_no
            WHERE g.number = ANY ($1) AND coalesce(g.account_no, m.account_no) IS NOT NULL
            RETURNING account_no
        )
        DELETE FROM grant_notice n USING (SELECT DISTINCT account_no FROM told) a
        WHERE n.account_no = a.account_no AND n.number <= (
            SELECT number FROM grant_notice WHERE account_no = a.account_no ORDER BY number DESC OFFSET $4 LIMIT 1)
        """,
        *(grants, TAKEN_BACK if back else 0, RESERVED_SUFFIX, NOTICES_MOST - 1),
    )


async def notices(connection: Connection, account: int, skipped: int, size: int) -> tuple[int, list[Notice]]:
    """How many notices there are for an account, and `size` of them, newest first, after the first `skipped`."""
    count = await connection.fetchval("SELECT count(*) FROM grant_notice WHERE account_no = $1", account)
    rows = await connection.fetch(
        """
        SELECT n.number, n.title, n.edit, n.made, p.name || '/' || n.suffix, coalesce(e.name, p.name)
        FROM grant_notice n JOIN prefix p ON p.number = n.prefix_no LEFT JOIN enterprise e ON e.number = p.enterprise_no
        WHERE n.account_no = $1 ORDER BY n.number DESC OFFSET $2 LIMIT $3
        """,
        *(account, skipped, size),
    )
    return count, [Notice(*row) for row in rows]


async def _edits_end(
    connection: Connection, *, group: int | None = None, grant: int | None = None, classes: int | None = None
) -> None:
    """Where a grant to edit ends, or the group through which it reached an account, or where an identifier goes by its
    own instead of one of those to `classes`, templates of that prefix, the prefix takes a new epoch: no write that was
    judged on it lands behind its end.
    """
    held = await connection.fetch(
        """
        SELECT number FROM prefix WHERE number IN (
            SELECT prefix_no FROM access_grant WHERE edit AND (group_no = $1 OR number = $2 OR account_no IN (
                SELECT account_no FROM identity_group_member WHERE group_no = $1)
                OR (prefix_no = $3 AND template_no IS NOT NULL)))
        ORDER BY number FOR NO KEY UPDATE
        """,
        *(group, grant, classes),
    )
    if prefixes := [row[0] for row in held]:
        epoch = await connection.fetchval("SELECT next_epoch()")
        await connection.execute("UPDATE prefix SET epoch = $2 WHERE number = ANY ($1)", prefixes, epoch)
        await connection.execute("UPDATE stream SET prefix_epoch = $2 WHERE prefix_no = ANY ($1)", prefixes, epoch)
