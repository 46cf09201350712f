"""Fetches the facts when all is quiet: the tables from PostgreSQL, the histories from the node.

Only SELECTs and GETs; what they mean is for the judge.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import asyncpg

from loadtest.history import answers, requests
from loadtest.history.facts import Change, Entry, Facts, Row, Stream, Version
from loadtest.history.population import Population
from loadtest.wire import Connection
from proto.chain import Kind

_KINDS: Final = {
    "created": Kind.CREATED,
    "updated": Kind.UPDATED,
    "deleted": Kind.DELETED,
    "revived": Kind.REVIVED,
}

_ROWS: Final = """
    SELECT p.name, v.suffix, count(*), max(v.version), (array_agg(v.body IS NOT NULL ORDER BY v.version DESC))[1],
           string_agg(sha256(coalesce(v.body, '')), ''::bytea ORDER BY v.version)
    FROM (
        SELECT prefix_no, suffix, version, body FROM record
        UNION ALL
        SELECT prefix_no, suffix, version, body FROM history
    ) v JOIN prefix p ON p.number = v.prefix_no
    GROUP BY p.name, v.suffix
"""
_STREAMS: Final = """
    SELECT p.name, s.number, s.head, p.number AS prefix_no
    FROM stream s JOIN prefix p ON p.number = s.prefix_no WHERE p.name = ANY ($1)
"""
_CHANGES: Final = """
    SELECT number, head, suffixes, versions, kinds, digests, ARRAY (
        SELECT coalesce(t.version, '') FROM unnest(c.templates) WITH ORDINALITY u(number, n)
        LEFT JOIN template t ON t.number = u.number ORDER BY n
    ) AS templates FROM change c WHERE prefix_no = $1 ORDER BY number
"""
_DIGEST: Final = 32
LANES: Final = 8
"""Histories asked for at once."""
PATIENCE: Final = 30.0
"""Seconds the history of one identifier may take when all is quiet."""


async def gather(
    database_url: str, port: int, token: str, population: Population, generations: int, say: Callable[[str], None]
) -> Facts:
    """The facts of the first `generations` generations of `population`, and of all that is in its prefixes.

    Raises TimeoutError, RefusedError or LostError when the node at `port` does not answer although all is quiet.
    """
    database = await asyncpg.connect(database_url)
    try:
        found = await database.fetch(_ROWS)
        rows = {(row[0], row[1]): Row(*row[2:]) for row in found if row[0] in population.prefixes}
        streams = [await _stream(database, row) for row in await database.fetch(_STREAMS, list(population.prefixes))]
    finally:
        await database.close()
    say(f"变更 {sum(len(s.changes) for s in streams)} changes, 标识 {len(rows)} identifiers")
    names = {item: population.name(item) for item in population.items(generations)}
    histories: dict[int, Sequence[Version]] = {}
    wanted = iter([(item, "/".join(name)) for item, name in names.items() if name in rows])
    await asyncio.gather(*(_histories(port, token, wanted, histories) for _ in range(LANES)))
    return Facts(names, histories, streams, rows)


async def _stream(database: Any, row: Any) -> Stream:
    changes = [_change(found) for found in await database.fetch(_CHANGES, row["prefix_no"])]
    return Stream(row["name"], row["number"], row["head"], changes)


def _change(row: Any) -> Change:
    digests = [row["digests"][at : at + _DIGEST] for at in range(0, len(row["digests"]), _DIGEST)]
    columns = zip(row["suffixes"], row["versions"], row["kinds"], row["templates"], digests, strict=True)
    return Change(row["number"], row["head"], tuple(Entry(*column) for column in columns))


async def _histories(
    port: int, token: str, wanted: Iterator[tuple[int, str]], histories: dict[int, Sequence[Version]]
) -> None:
    connection = await Connection.open(port)
    try:
        for item, identifier in wanted:
            histories[item] = await _history(connection, token, identifier)
    finally:
        await connection.close()


async def _history(connection: Connection, token: str, identifier: str) -> Sequence[Version]:
    said = requests.history(identifier)
    async with asyncio.timeout(PATIENCE):
        reply = await connection.ask(said.method, said.path, {"Authorization": f"Bearer {token}"})
    versions = [_version(version) for version in json.loads(reply.body)["versions"]]
    return versions[::-1]


def _version(document: Any) -> Version:
    found = answers.tokens({value["type"]: value["value"] for value in document["values"]})
    return Version(document["version"], _KINDS[document["kind"]], found.token, found.again, found.note)
