"""What SNMS clients send, read with the tolerance real ones need (SNMS OpenAPI v3 and v5, identifiers). Pure.

A row that cannot be read becomes a sentence of its own; its neighbours are not touched.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from node.listen.replies import SNMS_MISSING_TEXT
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.limits import DATA_OCTETS, INDEX_LAST, TYPE_CHARACTERS
from proto.value import Value
from registry.form import SHAPES_MOST
from registry.record import Shape, Texts
from registry.rules import Operation, Request

BATCH_MOST: Final = 2000
"""Most identifiers of one batch call (SNMS OpenAPI)."""


class SnmsError(Exception):
    """A request or row that cannot be read; the text is one Chinese sentence naming the field."""


class DataIn(msgspec.Struct):
    """`data` of a value; `vlaue` is how a published example spells it, and some clients with it."""

    format: str = "string"
    value: str | None = None
    vlaue: str | None = None


class ValueIn(msgspec.Struct):
    """One value. The index may come as a string; `auth` is accepted and means nothing here."""

    index: int | str | None = None
    type: str | None = None
    data: DataIn | None = None


class RecordIn(msgspec.Struct, rename="camel"):
    """The body of a create or update, or one row of a batch."""

    handle: str | None = None
    template_version: str | None = None
    value: list[ValueIn] | None = None


class HandleIn(msgspec.Struct):
    """The body of a delete."""

    handle: str | None = None


class HandlesIn(msgspec.Struct):
    """A batch delete as the parameter table has it; the examples send the bare array."""

    handles: list[msgspec.Raw]


class PlainData(msgspec.Struct, gc=False):
    """`data` as nearly everybody sends it."""

    value: Annotated[str, msgspec.Meta(max_length=DATA_OCTETS // 4)]
    format: Literal["string"] = "string"


class PlainValue(msgspec.Struct, gc=False):
    """A value within the bounds a `Value` has, whatever its octets are."""

    index: Annotated[int, msgspec.Meta(ge=1, le=INDEX_LAST)]
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=TYPE_CHARACTERS)]
    data: PlainData


class PlainRecord(msgspec.Struct, rename="camel", gc=False):
    """A `RecordIn` in which nothing needs tolerance: checked while it is decoded, which costs a fifth."""

    handle: str
    template_version: Annotated[str, msgspec.Meta(min_length=1)]
    value: list[PlainValue]


_plain: Final = msgspec.json.Decoder(PlainRecord).decode
_record: Final = msgspec.json.Decoder(RecordIn).decode
_handle: Final = msgspec.json.Decoder(HandleIn).decode
_rows: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_rows_or_table: Final = msgspec.json.Decoder(HandlesIn | list[msgspec.Raw]).decode
_text: Final = msgspec.json.Decoder(str).decode

_PLACE: Final = re.compile(r"`\$\.?([^`]*)`")
_FIELD: Final = re.compile(r"Object (missing required|contains unknown) field `([^`]+)`")
"""How msgspec says that a field is missing, or is none of those there are."""
_FIELD_ZH: Final = {"missing required": SNMS_MISSING_TEXT, "contains unknown": "没有参数{}"}
_INDEX_SHOWN: Final = 40
"""Characters of an index shown that is no number: it may be as long as a body."""

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What reading JSON raises; `sentence` explains each. Whoever reads what clients send expects all of them."""


def sentence(error: Exception) -> str:
    """What is wrong with the JSON, naming the place."""
    if isinstance(error, UnicodeDecodeError):
        return "请求体不是UTF-8"
    if isinstance(error, RecursionError):
        return "请求体嵌套过深"
    if not isinstance(error, msgspec.ValidationError):
        return "请求体不是有效的JSON"
    if field := _FIELD.match(str(error)):
        return _FIELD_ZH[field[1]].format(place(error))
    where = place(error)
    return f"参数{where}格式不正确" if where else "请求体格式不正确"


def place(error: Exception) -> str:
    """Where in the JSON something is wrong, a field that is missing included; empty when it is all of it."""
    found, field = _PLACE.search(str(error)), _FIELD.match(str(error))
    return ".".join(filter(None, (found[1] if found else "", field[2] if field else "")))


def _decoded(decode: Any, body: bytes | msgspec.Raw) -> Any:
    try:
        return decode(body)
    except UNREADABLE as error:
        raise SnmsError(sentence(error)) from None


def _present(value: Any, name: str) -> Any:
    if value is None or value == "":
        raise SnmsError(SNMS_MISSING_TEXT.format(name))
    return value


def identifier(text: str | None) -> Identifier:
    """The identifier a client names `handle`."""
    try:
        return Identifier.parse(_present(text, "handle"))
    except ProtoError as error:
        raise SnmsError(error.zh) from None


def _index(given: int | str | None) -> int:
    given = _present(given, "index")
    try:
        return int(given)
    except ValueError:
        text = str(given)
        shown = text if len(text) <= _INDEX_SHOWN else f"{text[:_INDEX_SHOWN]}…"
        raise SnmsError(f"索引{shown}不是整数") from None


def _value(given: ValueIn) -> Value:
    index = _index(given.index)
    type_ = _present(given.type, "type")
    data = _present(given.data, "data")
    if data.format.lower() != "string":
        raise SnmsError(f"索引{index}的数据格式只支持string")
    text = data.value if data.value is not None else data.vlaue
    if text is None:
        raise SnmsError(SNMS_MISSING_TEXT.format("data.value"))
    try:
        return Value(index, type_, text.encode())
    except ProtoError as error:
        raise SnmsError(error.zh) from None


def request(operation: Operation, body: bytes | msgspec.Raw) -> Request:
    """One create or update as the body says. Raises SnmsError."""
    try:
        plain = _plain(body)
    except UNREADABLE:
        return _tolerated(operation, body)
    values = plain.value
    shape = _shapes.of([value.index for value in values], [value.type for value in values])
    texts = Texts(shape, [value.data.value for value in values])
    return Request(operation, identifier(plain.handle), plain.template_version, texts)


class _Shapes:
    """The shapes of earlier rows: those that wait in a batch then hold their texts and little else."""

    __slots__ = ("_indexes", "_kept", "_last", "_types")

    def __init__(self) -> None:
        self._kept: dict[Shape, Shape] = {}
        self._last = Shape.of((), ())
        self._indexes: list[int] = []  # of the last one: comparing them costs half of finding it
        self._types: list[str] = []

    def of(self, indexes: list[int], types: list[str]) -> Shape:
        """The one that has these, always the same object."""
        if indexes != self._indexes or types != self._types:
            if len(self._kept) >= SHAPES_MOST:
                self._kept.clear()
            read = Shape.of(indexes, types)
            self._last, self._indexes, self._types = self._kept.setdefault(read, read), indexes, types
        return self._last


_shapes: Final = _Shapes()


def _tolerated(operation: Operation, body: bytes | msgspec.Raw) -> Request:
    given: RecordIn = _decoded(_record, body)
    who = identifier(given.handle)
    template = _present(given.template_version, "templateVersion")
    if given.value is None:
        raise SnmsError(SNMS_MISSING_TEXT.format("value"))
    return Request(operation, who, template, tuple(_value(v) for v in given.value))


def deletion(body: bytes | msgspec.Raw) -> Request:
    """One delete as the body says. Raises SnmsError."""
    return Request("delete", identifier(_decoded(_handle, body).handle))


def deletion_row(row: msgspec.Raw) -> Request:
    """One row of a batch delete: a bare string."""
    return Request("delete", identifier(_decoded(_text, row)))


def rows(body: bytes) -> Sequence[msgspec.Raw]:
    """The rows of a batch, each still to be read by itself. Raises SnmsError when that is no array of at most 2000."""
    found = _decoded(_rows_or_table, body) if body.lstrip()[:1] == b"{" else _decoded(_rows, body)
    listed = found.handles if isinstance(found, HandlesIn) else found
    if len(listed) > BATCH_MOST:
        raise SnmsError(f"批量操作的标识数量不能超过{BATCH_MOST}")
    return list(listed)


def spelled(row: msgspec.Raw) -> str:
    """The handle a row names, as far as that can be read: what its result is listed under."""
    try:
        found = msgspec.json.decode(row)
    except UNREADABLE:
        return ""
    handle = found.get("handle") if isinstance(found, dict) else found
    return handle if isinstance(handle, str) else ""
