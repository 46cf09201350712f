"""How a call is said to the node: method, path and body. Pure; how it is answered is said in answers.py."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from loadtest.history.mix import Call, Face
from loadtest.history.operation import Act
from loadtest.said import JSON, Item, Said, body
from loadtest.said import template as said_template

TEMPLATE: Final = "history"
"""The version name of our template under each prefix."""
ITEMS: Final = (
    Item(2000, "token", "记号", True, 20),
    Item(2001, "tokenAgain", "记号再现", True, 20),
    Item(2002, "note", "附记", False, 20),
)
"""Its items."""

_PAGE: Final = {"Accept": "application/json"}
_LINES: Final = {"Content-Type": "application/x-ndjson"}


class Row(NamedTuple):
    """One identifier of a call, with the token and the note to write (0 = no note)."""

    handle: str
    token: int = 0
    note: int = 0


def template(prefix: str) -> Said:
    """Creates our template under `prefix`."""
    return said_template(prefix, TEMPLATE, "历史检查 history checker", ITEMS)


def state(prefix: str, act: Act) -> Said:
    """Stops or enables `prefix`."""
    wanted = {Act.STOP: "stopped", Act.ENABLE: "enabled"}[act]
    return Said("PUT", f"/api/v1/prefixes/{prefix}", JSON, body({"state": wanted}))


def history(identifier: str) -> Said:
    """Asks for every version of `identifier`."""
    return Said("GET", f"/api/v1/history/{quote(identifier)}", {})


def said(call: Call, rows: Sequence[Row]) -> Said:
    """The request that makes `call`, whose identifiers are `rows` in order."""
    return _FACES[call.face](call.act, rows)


def _record(act: Act, row: Row) -> dict[str, Any]:
    if act is Act.DELETE:
        return {"handle": row.handle}
    texts = [row.token, row.token, row.note]
    values = [
        {"index": item.index, "type": item.name, "data": {"format": "string", "value": str(text)}}
        for item, text in zip(ITEMS, texts, strict=True)
        if text
    ]
    return {"handle": row.handle, "templateVersion": TEMPLATE, "value": values}


def _single(act: Act, rows: Sequence[Row]) -> Said:
    method = {Act.CREATE: "POST", Act.UPDATE: "PUT", Act.DELETE: "DELETE"}[act]
    return Said(method, "/identityv2/data", JSON, body(_record(act, rows[0])))


def _batch(act: Act, rows: Sequence[Row]) -> Said:
    if act is Act.DELETE:
        return Said("DELETE", "/identityv2/data/batchDelete", JSON, body([row.handle for row in rows]))
    method, path = {Act.CREATE: ("POST", "batchCreate"), Act.UPDATE: ("PUT", "batchUpdate")}[act]
    return Said(method, f"/identityv2/data/{path}", JSON, body([_record(act, row) for row in rows]))


_FACES: Final[dict[Face, Callable[[Act, Sequence[Row]], Said]]] = {
    Face.SINGLE: _single,
    Face.BATCH: _batch,
    Face.HANDLE: lambda _, rows: Said("GET", f"/api/handles/{quote(rows[0].handle)}", {}),
    Face.PAGE: lambda _, rows: Said("GET", f"/{quote(rows[0].handle)}", _PAGE),
    Face.BULK: lambda _, rows: Said(
        "POST", "/api/v1/resolve", JSON, body({"identifiers": [row.handle for row in rows]})
    ),
    Face.NDJSON: lambda _, rows: Said(
        "POST", "/api/v1/resolve", _LINES, b"".join(body(row.handle) + b"\n" for row in rows)
    ),
    Face.DETAIL: lambda _, rows: Said("GET", f"/identityv2/data/detail?handle={quote(rows[0].handle)}", {}),
}
