"""Proves registry/postgres/binary_copy.py on a real PostgreSQL: what is copied so is what asyncpg copies."""

from typing import Any

import asyncpg

from registry.postgres import binary_copy

TABLE = "CREATE TEMP TABLE copied (a integer, b bigint, c bytea, d text[], e bigint[], f smallint[])"
ROWS: list[tuple[int, int, bytes, list[str], list[int], list[int]]] = [
    (1, 2**63 - 1, b"\0\xff", ["BAG-1", "手袋", "", 'a"b,{}\\', "NULL"], [1, 2, 1, 2**40, -5], [4, 4, 10, -1, 1]),
    (-(2**31), -1, b"", [], [], []),
    (7, 0, bytes(32), ["x"] * 3000, list(range(3000)), [1] * 3000),
]


async def kept(connection: Any) -> list[tuple[Any, ...]]:
    """What stands in the table, dimensions of the arrays included; the table is empty then."""
    rows = await connection.fetch("SELECT *, array_dims(d), array_dims(e), array_dims(f) FROM copied ORDER BY ctid")
    await connection.execute("TRUNCATE copied")
    return [tuple(row) for row in rows]


async def test_rows_are_kept_as_asyncpg_would_have_kept_them(database: str):
    connection: Any = await asyncpg.connect(database)
    await connection.execute(TABLE)
    await connection.copy_records_to_table("copied", records=ROWS)
    wanted = await kept(connection)
    rows = [
        binary_copy.row(
            (
                binary_copy.integer(a),
                binary_copy.bigint(b),
                c,
                binary_copy.texts(d),
                binary_copy.bigints(e),
                binary_copy.smallints(f),
            )
        )
        for a, b, c, d, e, f in ROWS
    ]
    octets = memoryview(b"".join([binary_copy.START, *rows, binary_copy.END]))
    await connection.copy_to_table("copied", source=octets, format="binary")
    assert await kept(connection) == wanted
    assert [row[:6] for row in wanted] == ROWS
    await connection.close()
