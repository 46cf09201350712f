"""How a call is said to the node: method, path and body. Pure; how it is answered is said in answers.py."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from loadtest.history.mix import Call, Face
from loadtest.history.operation import Act

TEMPLATE: Final = "history"
"""The version name of our template under each prefix."""
ITEMS: Final = ((2000, "token", "记号", True), (2001, "tokenAgain", "记号再现", True), (2002, "note", "附记", False))
"""Index, English and Chinese name of its items, and whether each is required."""

_JSON: Final = {"Content-Type": "application/json"}
_PAGE: Final = {"Accept": "application/json"}
_LINES: Final = {"Content-Type": "application/x-ndjson"}


class Said(NamedTuple):
    """One HTTP request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


class Row(NamedTuple):
    """One identifier of a call, with the token and the note to write (0 = no note)."""

    handle: str
    token: int = 0
    note: int = 0


def template(prefix: str) -> Said:
    """Creates our template under `prefix`."""
    items = [
        {
            "name": zh,
            "idType": name,
            "idIndex": index,
            "required": required,
            "state": 1,
            "class": "public",
            "metadata": {"type": "string", "minLength": 0, "maxLength": 20},
        }
        for index, name, zh, required in ITEMS
    ]
    document = {
        "prefix": prefix,
        "version": TEMPLATE,
        "description": "历史检查 history checker",
        "industryCategory": "C",
        "industrySpecific": "19",
        "industryTrade": "192",
        "industrySubclass": "1922",
        "type": 2,
        "items": items,
    }
    return Said("POST", "/snms/api/v5/template", _JSON, _body(document))


def state(prefix: str, act: Act) -> Said:
    """Stops or enables `prefix`."""
    wanted = {Act.STOP: "stopped", Act.ENABLE: "enabled"}[act]
    return Said("PUT", f"/api/v1/prefixes/{prefix}", _JSON, _body({"state": wanted}))


def token(username: str, password: str) -> Said:
    """Signs in."""
    return Said("POST", "/identity/token", _JSON, _body({"username": username, "password": password}))


def history(identifier: str) -> Said:
    """Asks for every version of `identifier`."""
    return Said("GET", f"/api/v1/history/{quote(identifier)}", {})


def said(call: Call, rows: Sequence[Row]) -> Said:
    """The request that makes `call`, whose identifiers are `rows` in order."""
    return _FACES[call.face](call.act, rows)


def _body(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _record(act: Act, row: Row) -> dict[str, Any]:
    if act is Act.DELETE:
        return {"handle": row.handle}
    texts = [row.token, row.token, row.note]
    values = [
        {"index": index, "type": name, "data": {"format": "string", "value": str(text)}}
        for (index, name, _, _), text in zip(ITEMS, texts, strict=True)
        if text
    ]
    return {"handle": row.handle, "templateVersion": TEMPLATE, "value": values}


def _single(act: Act, rows: Sequence[Row]) -> Said:
    method = {Act.CREATE: "POST", Act.UPDATE: "PUT", Act.DELETE: "DELETE"}[act]
    return Said(method, "/identityv2/data", _JSON, _body(_record(act, rows[0])))


def _batch(act: Act, rows: Sequence[Row]) -> Said:
    if act is Act.DELETE:
        return Said("DELETE", "/identityv2/data/batchDelete", _JSON, _body([row.handle for row in rows]))
    method, path = {Act.CREATE: ("POST", "batchCreate"), Act.UPDATE: ("PUT", "batchUpdate")}[act]
    return Said(method, f"/identityv2/data/{path}", _JSON, _body([_record(act, row) for row in rows]))


_FACES: Final[dict[Face, Callable[[Act, Sequence[Row]], Said]]] = {
    Face.SINGLE: _single,
    Face.BATCH: _batch,
    Face.HANDLE: lambda _, rows: Said("GET", f"/api/handles/{quote(rows[0].handle)}", {}),
    Face.PAGE: lambda _, rows: Said("GET", f"/{quote(rows[0].handle)}", _PAGE),
    Face.BULK: lambda _, rows: Said(
        "POST", "/api/v1/resolve", _JSON, _body({"identifiers": [row.handle for row in rows]})
    ),
    Face.NDJSON: lambda _, rows: Said(
        "POST", "/api/v1/resolve", _LINES, b"".join(_body(row.handle) + b"\n" for row in rows)
    ),
    Face.DETAIL: lambda _, rows: Said("GET", f"/identityv2/data/detail?handle={quote(rows[0].handle)}", {}),
}
