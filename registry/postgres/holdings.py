"""What records hold beyond themselves: references and claims, written in the statement that commits the record."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from registry.claim import Claim
from registry.postgres.connection import Connection
from registry.reference import Link


class Held(NamedTuple):
    """What a change gains (`new`) or loses, as `keep_held` takes it.

    `of` is the position of the change among those it is committed with, from 1. A reference has no `template` (0) and
    points to the key `target`; of a claim that is the digest in hex.
    """

    of: int
    new: bool
    prefix: int
    suffix: str
    template: int
    item: int
    target: str


def held(of: int, new: bool, prefix: int, suffix: str, what: Link | Claim) -> Held:
    """`what` a change of an identifier gains or loses."""
    if isinstance(what, Claim):
        return Held(of, new, prefix, suffix, what.template, what.item, what.digest.hex())
    return Held(of, new, prefix, suffix, 0, what.item, what.target)


class Referrer(NamedTuple):
    """Who points to `target`: an identifier, by an attribute."""

    target: str
    prefix: str
    suffix: str
    item: int


def committing(call: str, given: int) -> str:
    """The statement that commits by `call`, a function of parameters 1 to `given`, and keeps what is held with it."""
    return f"SELECT keep_held(won, {_columns(given)}) FROM {call} won"  # noqa: S608 - names and numbers of ours


def _columns(given: int) -> str:
    return ", ".join(f"${n}" for n in range(given + 1, given + 1 + len(Held._fields)))


async def keep(connection: Connection, held: Sequence[Held]) -> None:
    """Keeps what records hold that were written in this transaction, all of them."""
    if held:
        await connection.execute(f"SELECT keep_held(NULL, {_columns(0)})", *zip(*held, strict=True))


async def referrers(connection: Connection, targets: Sequence[str], most: int, rows: int) -> list[Referrer]:
    """At most `most` references to each of these keys and `rows` in all, in the order of who holds them."""
    found: list[Any] = await connection.fetch(
        """
        SELECT q.target, p.name, r.suffix, r.item FROM unnest($1::text[]) WITH ORDINALITY q(target, n)
        CROSS JOIN LATERAL (
            SELECT prefix_no, suffix, item FROM reference WHERE target = q.target
            ORDER BY prefix_no, suffix, item LIMIT $2
        ) r
        JOIN prefix p ON p.number = r.prefix_no AND NOT p.elsewhere ORDER BY q.n, r.prefix_no, r.suffix, r.item LIMIT $3
        """,
        list(targets),
        most,
        rows,
    )
    return [Referrer(*row) for row in found]


async def holders(connection: Connection, claims: Sequence[Claim]) -> dict[Claim, str]:
    """The suffixes (under the prefix of their template) that hold these claims; those nobody holds are left out."""
    rows: list[Any] = await connection.fetch(
        """
        SELECT c.template_no, c.item, c.digest, c.suffix
        FROM unnest($1::integer[], $2::integer[], $3::bytea[]) q(template_no, item, digest)
        JOIN template t ON t.number = q.template_no
        CROSS JOIN LATERAL (
            SELECT * FROM claim WHERE prefix_no = t.prefix_no AND template_no = q.template_no AND item = q.item
                AND digest = q.digest LIMIT 1
        ) c
        """,
        *zip(*claims, strict=True),
    )
    return {Claim(*row[:3]): row[3] for row in rows}


async def pointing(connection: Connection, templates: Sequence[int], after: tuple[int, str], most: int) -> list[Any]:
    """Live records of these templates after (prefix number, suffix), in that order, as rows of (prefix_no, suffix,
    version, template_no, updated, body).
    """
    return list(
        await connection.fetch(
            """
            SELECT prefix_no, suffix, version, template_no, updated + 2147483648 AS updated, body FROM record
            WHERE (prefix_no, suffix) > ($2, $3) AND template_no = ANY ($1) AND body IS NOT NULL
            ORDER BY prefix_no, suffix LIMIT $4
            """,
            templates,
            *after,
            most,
        )
    )


async def refer(connection: Connection, found: Sequence[tuple[int, str, int, Link]]) -> None:
    """Notes what records (prefix number, suffix, version) point to, unless they are of another version by now."""
    await connection.execute(
        """
        INSERT INTO reference (target, prefix_no, suffix, item)
        SELECT l.target, l.prefix_no, l.suffix, l.item
        FROM unnest($1::integer[], $2::text[], $3::integer[], $4::integer[], $5::text[])
            l(prefix_no, suffix, version, item, target)
        CROSS JOIN LATERAL (
            SELECT 1 FROM record WHERE prefix_no = l.prefix_no AND suffix = l.suffix AND version = l.version FOR SHARE
        ) r
        ON CONFLICT DO NOTHING
        """,
        [prefix for prefix, _, _, _ in found],
        [suffix for _, suffix, _, _ in found],
        [version for _, _, version, _ in found],
        [link.item for _, _, _, link in found],
        [link.target for _, _, _, link in found],
    )
