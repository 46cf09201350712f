"""What an answer of the node means for the one who writes it down: tables from statuses and messages to outcomes.

Pure. Whatever is not in a table is a surprise: it counts as unknown and is told at the end.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from loadtest.history.operation import ABROAD, Outcome

_HTTP: Final = {429: Outcome.REFUSED, 503: Outcome.REFUSED, 504: Outcome.UNKNOWN}
"""Statuses that say all by themselves, by whatever face."""

_MESSAGES: Final = (
    ("标识已存在", Outcome.EXISTS),
    ("标识不存在", Outcome.ABSENT),
    ("没有找到标识", Outcome.ABSENT),
    ("停用", Outcome.STOPPED),
    ("系统繁忙", Outcome.REFUSED),
    ("未知", Outcome.UNKNOWN),
)
"""What the Chinese messages of the SNMS OpenAPI mean, whole or as a part."""

_CODES: Final = {100: Outcome.ABSENT, 3: Outcome.REFUSED}
"""Response codes of the Handle HTTP API, besides 1 (found) and 301 (stopped, if it says so)."""


_DIGITS_MOST: Final = 18
"""Longer numbers are no tokens of ours, and would not fit a recorded one."""


class Told(NamedTuple):
    """What one identifier in one answer was told; `surprise` says what no table knows."""

    outcome: Outcome
    token: int = 0
    again: int = 0
    note: int = 0
    surprise: str = ""


def _by_message(message: Any) -> Told:
    for part, outcome in _MESSAGES:
        if part in str(message):
            return Told(outcome)
    return Told(Outcome.UNKNOWN, surprise=f"message {message}"[:200])


def _surprising(status: int, document: Any) -> Told:
    return Told(Outcome.UNKNOWN, surprise=f"HTTP {status}: {document}"[:200])


def by_status(status: int) -> Told | None:
    """What the HTTP status alone tells."""
    return Told(_HTTP[status]) if status in _HTTP else None


def write_told(status: int, document: Any) -> Told:
    """The outcome of a single write, or of a whole batch that was not taken."""
    if status != 200 or not isinstance(document, Mapping):
        return by_status(status) or _surprising(status, document)
    return Told(Outcome.DONE) if document.get("status") == 1 else _by_message(document.get("message"))


def batch_told(status: int, document: Any, handles: list[str]) -> list[Told]:
    """The outcome of each row of a batch that was sent with `handles`."""
    whole = write_told(status, document)
    if whole.outcome is not Outcome.DONE:
        return [whole] * len(handles)
    rows = document["data"]
    if [row["handle"] for row in rows] != handles:
        return [_surprising(status, "rows in another order")] * len(handles)
    return [Told(Outcome.DONE) if row["msg"] == "success" else _by_message(row["msg"]) for row in rows]


def resolve_told(status: int, document: Any) -> Told:
    """What an answer of the Handle HTTP API shows; `status` is 200 for an item of a bulk answer."""
    code = document.get("responseCode") if isinstance(document, Mapping) else None
    if code == 1:
        return found(document["values"])
    if code in _CODES:
        return Told(_CODES[code])
    if code == 301 and "stopped" in document.get("message", ""):
        return Told(Outcome.STOPPED)
    return by_status(status) or _surprising(status, document)


def detail_told(status: int, document: Any) -> Told:
    """What the detail of the SNMS OpenAPI shows."""
    told = write_told(status, document)
    return found(document["data"]["value"]) if told.outcome is Outcome.DONE else told


def found(values: list[Any]) -> Told:
    """The tokens among the values of a record, in the shape the faces share."""
    return tokens({value["type"]: value["data"]["value"] for value in values})


def tokens(texts: Mapping[str, Any]) -> Told:
    """The tokens among the texts of a record by type."""
    token, again, note = (_number(texts.get(name)) for name in ("token", "tokenAgain", "note"))
    return Told(Outcome.DONE, token, again, note)


def _number(text: Any) -> int:
    if text is None:
        return 0
    return int(text) if str(text).isdecimal() and len(str(text)) <= _DIGITS_MOST else ABROAD


def told_version(etag: str | None) -> int:
    """The version in an ETag `"<version>.<prefix epoch>.<template epoch>"`; 0 without one."""
    first = (etag or "").removeprefix("W/").strip('"').split(".")[0]
    return int(first) if first.isdecimal() else 0
