"""Fills a database with the population, fast: rows equal to the node's to the last octet, chain and changes included.

The first members of each prefix are registered through the front door; bodies of the others are made in the form these
have (form.py) and written by the statement the node itself writes with. Only its judgement is left out, and HTTP.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import asyncpg

from loadtest.growth.form import Form
from loadtest.population import CHUNK, TEMPLATE, Population, texts
from proto.chain import Kind, entry_digest

CONNECTIONS: Final = 3
"""Connections that write: what makes the rows keeps about two busy."""
LOOKED_AT: Final = 100_000
"""Members looked for in one question whether they are there."""

_SPECIMENS: Final = """
    SELECT r.suffix, r.body, r.template_no, r.actor_no, p.number, p.epoch
    FROM record r JOIN prefix p ON p.number = r.prefix_no WHERE p.name = $1 AND r.suffix = ANY ($2)
"""
_THERE: Final = """
    SELECT q.suffix FROM unnest($1::text[], $2::text[]) q(prefix, suffix)
    JOIN prefix p ON p.name = q.prefix JOIN record r ON r.prefix_no = p.number AND r.suffix = q.suffix
"""
_COMMIT: Final = "SELECT commit_changes($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"


@dataclass(frozen=True, slots=True)
class Ground:
    """What rows of one prefix have in common."""

    name: str
    number: int
    epoch: int
    template: int
    actor: int


async def filled(url: str, population: Population, say: Callable[[int], None]) -> tuple[int, float]:
    """How many members were missing and are there now, and the seconds that took; `say` is told how many are there.

    The first chunk under each prefix must be there. Raises FormError, or what asyncpg raises.
    """
    connections = [await asyncpg.connect(url) for _ in range(CONNECTIONS)]
    try:
        form, grounds = await _learned(connections[0], population)
        chunks = await _missing(connections[0], population)
        began = time.perf_counter()
        there = population.size - sum(map(len, chunks))
        waiting = iter(chunks)

        async def some(connection: Any) -> None:
            nonlocal there
            # Nobody was told that it is durable; a run that breaks off is filled up by the next.
            await connection.execute("SET synchronous_commit = off")
            for chunk in waiting:
                ground = grounds[population.prefix(chunk[0])]
                await connection.execute(_COMMIT, *_changes(form, ground, population, chunk))
                there += len(chunk)
                say(there)

        async with asyncio.TaskGroup() as group:
            for connection in connections:
                group.create_task(some(connection))
        return sum(map(len, chunks)), time.perf_counter() - began
    finally:
        for connection in connections:
            await connection.close()


async def _learned(connection: Any, population: Population) -> tuple[Form, dict[str, Ground]]:
    rows: list[tuple[bytes, Sequence[str]]] = []
    grounds = {}
    for place, prefix in enumerate(population.prefixes):
        numbers = {population.serial(number): number for number in range(place * CHUNK, (place + 1) * CHUNK)}
        for suffix, body, template, actor, number, epoch in await connection.fetch(_SPECIMENS, prefix, list(numbers)):
            rows.append((body, texts(suffix, numbers[suffix])))
            grounds[prefix] = Ground(prefix, number, epoch, template, actor)
    return Form.learned(rows), grounds


async def _missing(connection: Any, population: Population) -> list[range]:
    """The chunks whose last member is not there: a chunk is written as a whole."""
    chunks = population.chunks()
    missing = []
    for at in range(0, len(chunks), LOOKED_AT):
        some = {population.serial(chunk[-1]): chunk for chunk in chunks[at : at + LOOKED_AT]}
        prefixes = [population.prefix(chunk[-1]) for chunk in some.values()]
        there = {row[0] for row in await connection.fetch(_THERE, prefixes, list(some))}
        missing += [chunk for serial, chunk in some.items() if serial not in there]
    return missing


def _changes(form: Form, ground: Ground, population: Population, chunk: range) -> tuple[Any, ...]:
    """The arguments of the statement; names of a chunk ascend with its numbers."""
    suffixes = [population.serial(number) for number in chunk]
    bodies = [form.body(texts(suffix, number)) for suffix, number in zip(suffixes, chunk, strict=True)]
    digests = [sha256(body).digest() for body in bodies]
    entries = [
        entry_digest(f"{ground.name}/{suffix}", 1, Kind.CREATED, TEMPLATE, digest)
        for suffix, digest in zip(suffixes, digests, strict=True)
    ]
    each = len(chunk)
    return (
        *(ground.number, ground.epoch, int(time.time())),
        *(suffixes, [0] * each, [int(Kind.CREATED)] * each),
        *([ground.template] * each, [ground.actor] * each, bodies, b"".join(entries), b"".join(digests)),
    )
