"""`Record`: what an identifier stands for at one version, and the compact form it is kept in. Pure.

The compact form is read and written here only; faces render from `Record.values`, the commonest one from `texts`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, Self, TypeVar, overload

from proto.limits import TTL_DEFAULT
from proto.value import PERMISSIONS_DEFAULT, Reference, Value
from registry.template import ITEM_INDEX_FIRST, ITEMS_MOST

_TYPE: Final = 0x01
_TTL: Final = 0x02
_TIMESTAMP: Final = 0x04
_PERMISSIONS: Final = 0x08
_ABSOLUTE: Final = 0x10
_REFERENCES: Final = 0x20

_ROW: Final = 0
_ROW_OF_AGES: Final = 1
_LINE: Final = 2
"""First octets of a row and of a line. A list never begins with them: its first step of index is at least 1, and one
that no extension follows leads to an index of a template.
"""
_SEPARATOR: Final = "\x1f"
"""Between the texts of a line: nothing printable."""
ROW_INDEX_LAST: Final = ITEM_INDEX_FIRST + 2 * ITEMS_MOST
"""No index of a row or a line is greater."""
_LINE_OCTET: Final = bytes((_LINE,))
_SEPARATOR_OCTET: Final = _SEPARATOR.encode()

T = TypeVar("T")


class Record(NamedTuple):
    """One version of an identifier. Versions count from 1 and only grow; a deletion is a version too.

    `template` is the number of its template (0 = none), `updated` seconds since 1970 UTC.
    """

    version: int
    live: bool
    template: int
    updated: int
    values: Sequence[Value]


def _varint(number: int) -> bytes:
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


_SMALL: Final = tuple(_varint(n) for n in range(512))
"""Nearly every index step and length is small: look it up."""


def _number(number: int) -> bytes:
    return _SMALL[number] if number < 512 else _varint(number)


def _sized(octets: bytes) -> bytes:
    return _number(len(octets)) + octets


def _flags(value: Value, names: Mapping[int, str], updated: int) -> int:
    return (
        (_TYPE if names.get(value.index) != value.type else 0)
        | (_TTL if value.ttl != TTL_DEFAULT else 0)
        | (_TIMESTAMP if value.timestamp != updated else 0)
        | (_PERMISSIONS if value.permissions != PERMISSIONS_DEFAULT else 0)
        | (_ABSOLUTE if value.ttl_absolute else 0)
        | (_REFERENCES if value.references else 0)
    )


def _extension(value: Value, flags: int) -> bytes:
    octets = bytes((flags,))
    if flags & _TYPE:
        octets += _sized(value.type.encode())
    if flags & _TTL:
        octets += _number(value.ttl)
    if flags & _TIMESTAMP:
        octets += _number(value.timestamp)
    if flags & _PERMISSIONS:
        octets += bytes((value.permissions,))
    if flags & _REFERENCES:
        octets += _number(len(value.references))
        octets += b"".join(_sized(r.handle.encode()) + _number(r.index) for r in value.references)
    return octets


def pack(values: Sequence[Value], names: Mapping[int, str], updated: int) -> bytes:
    """`values` (indexes ascending and distinct) in the compact form: a line or a row where it can be, else a list.

    What the template says (`names`: index to type) and what is usual (ttl, permissions, a timestamp equal to
    `updated`) is left out.
    """
    ages = _ages(values, names, updated)
    if ages is None:
        return _list(values, names, updated)
    line = None if ages else _line_of([value.index for value in values], [value.data for value in values])
    return _row(values, updated, ages) if line is None else line


def _ages(values: Sequence[Value], names: Mapping[int, str], updated: int) -> list[int] | None:
    """Of values of a row or line: by how many seconds some are older than `updated`, ascending. None for others.

    They have an octet for each index they skip: they are for values that have few gaps, as those of a template do.
    """
    if not values or values[0].index < ITEM_INDEX_FIRST or values[-1].index > ITEM_INDEX_FIRST + 2 * len(values):
        return None
    times = set()
    for value in values:
        if (
            value.ttl != TTL_DEFAULT
            or value.permissions != PERMISSIONS_DEFAULT
            or value.ttl_absolute
            or value.references
            or names.get(value.index) != value.type
        ):
            return None
        times.add(value.timestamp)
    times.discard(updated)
    return sorted(updated - time for time in times) if not times or max(times) < updated else None


def _row(values: Sequence[Value], updated: int, ages: list[int]) -> bytes:
    """What comes index by index, from the first a template may have: 0 for none, else the length and the data.

    The length is kept as one plus (length times the number of times, plus which of them): `updated` is the first,
    those after it are `ages` older and stand at the front.
    """
    times = {updated - age: which for which, age in enumerate(ages, 1)}
    radix = len(ages) + 1
    parts = [bytes((_ROW_OF_AGES,)) + b"".join(map(_number, (len(ages), *ages))) if ages else bytes((_ROW,))]
    due = ITEM_INDEX_FIRST
    for value in values:
        if value.index != due:
            parts.append(bytes(value.index - due))
        due = value.index + 1
        data = value.data
        length = len(data) + 1 if radix == 1 else len(data) * radix + times.get(value.timestamp, 0) + 1
        parts.append(_number(length))
        parts.append(data)
    return b"".join(parts)


def _list(values: Sequence[Value], names: Mapping[int, str], updated: int) -> bytes:
    """Each value as: step of index times two, plus one if an extension follows; extension; length; data."""
    parts = []
    before = 0
    for value in values:
        flags = _flags(value, names, updated)
        assert flags or value.index >= ITEM_INDEX_FIRST, "else it could begin as a row or a line does"
        step = (value.index - before) << 1
        before = value.index
        parts.append(_number(step | 1) + _extension(value, flags) if flags else _number(step))
        parts.append(_sized(value.data))
    return b"".join(parts)


def _line_of(indexes: Sequence[int], data: Sequence[bytes]) -> bytes | None:
    """`_line` of octets, if they are text."""
    try:
        return _line(indexes, [octets.decode() for octets in data])
    except UnicodeDecodeError:
        return None


def _line(indexes: Sequence[int], texts: Sequence[str]) -> bytes | None:
    """The texts index by index, from the first a template may have; none where there is no value.

    Only of texts that are not empty and are in JSON what they are: who reads them need not look at them.
    """
    read = "".join(texts)
    if "" in texts or not read.isprintable() or '"' in read or "\\" in read:
        return None
    return _LINE_OCTET + _SEPARATOR.join(_spread(indexes, texts, "")).encode()


def are_lines(texts: Iterable[bytes]) -> bool:
    """Whether each of these, which are not empty and hold no quote, is a text that a line may hold."""
    try:
        read = b'"'.join(texts).decode()
    except UnicodeDecodeError:
        return False
    return read.isprintable() and "\\" not in read


def lines(shape: "Shape", columns: Sequence[Sequence[bytes]]) -> list[bytes]:
    """The lines of records of one `even` shape, whose texts, each as `are_lines` wants it, are given value by value."""
    spread = _spread(shape.indexes, columns, [b""] * len(columns[0]))
    return [_LINE_OCTET + line for line in map(_SEPARATOR_OCTET.join, zip(*spread, strict=True))]


def _spread(indexes: Sequence[int], texts: Sequence[T], none: T) -> Sequence[T]:
    """The texts index by index from the first a template may have, `none` where there is no value."""
    if indexes[-1] - ITEM_INDEX_FIRST < len(texts):
        return texts
    at = dict(zip(indexes, texts, strict=True))
    return [at.get(index, none) for index in range(ITEM_INDEX_FIRST, indexes[-1] + 1)]


def _few_gaps(indexes: Sequence[int]) -> bool:
    """Whether values of ascending indexes may be a row or a line: each index they skip takes an octet there."""
    return bool(indexes) and indexes[0] >= ITEM_INDEX_FIRST and indexes[-1] <= ITEM_INDEX_FIRST + 2 * len(indexes)


def pack_plain(indexes: Sequence[int], texts: Sequence[str]) -> bytes:
    """What `pack` makes of new values that have an index (ascending and distinct) and text, and else what is usual."""
    row = _few_gaps(indexes)
    if row and (line := _line(indexes, texts)) is not None:
        return line
    data = [text.encode() for text in texts]
    return _plain_row(indexes, data) if row else _plain_list(indexes, data)


def _plain_row(indexes: Sequence[int], data: Sequence[bytes]) -> bytes:
    """`_row` of values without ages."""
    heads = [_number(len(octets) + 1) for octets in data]
    due = ITEM_INDEX_FIRST
    if indexes[-1] - due >= len(data):
        for at, index in enumerate(indexes):
            heads[at] = bytes(index - due) + heads[at]
            due = index + 1
    parts = [bytes((_ROW,))] * (2 * len(data) + 1)
    parts[1::2] = heads
    parts[2::2] = data
    return b"".join(parts)


def _plain_list(indexes: Sequence[int], data: Sequence[bytes]) -> bytes:
    """`_list` of values without extensions."""
    parts: list[bytes] = []
    before = 0
    for index, octets in zip(indexes, data, strict=True):
        parts += (_number((index - before) << 1), _number(len(octets)), octets)
        before = index
    return b"".join(parts)


class Shape(NamedTuple):
    """Indexes and types of values, in order: nearly all rows of a batch share one. `even`: a line may have them."""

    indexes: tuple[int, ...]
    types: tuple[str, ...]
    even: bool

    @classmethod
    def of(cls, indexes: Sequence[int], types: Sequence[str]) -> Self:
        """The shape of values with these."""
        ascending = all(before < after for before, after in pairwise(indexes))
        return cls(tuple(indexes), tuple(types), ascending and _few_gaps(indexes))


class Texts(Sequence[Value]):
    """Values of which only index, type and text are said, each within the bounds a `Value` has.

    What can be a line is kept as one, `body`, made while the texts are at hand: a batch has too many of them to be
    near when it is judged. A `Value` is made when somebody looks at it.
    """

    __slots__ = ("_texts", "body", "lengths", "shape")

    def __init__(
        self, shape: Shape, texts: Sequence[str], line: bytes | None = None, lengths: list[int] | None = None
    ) -> None:
        self.shape: Final = shape
        self.lengths: Final = list(map(len, texts)) if lengths is None else lengths
        self.body: Final = _line(shape.indexes, texts) if line is None and shape.even else line
        self._texts: Final = texts if self.body is None else ()

    @classmethod
    def read(cls, shape: Shape, said: Sequence[bytes]) -> Self | None:
        """Those whose texts are `said`, in octets, none of which is a quote; None if they cannot be a line."""
        quoted = b'"'.join(said)
        try:
            read = quoted.decode()
        except UnicodeDecodeError:
            return None
        if not shape.even or b"" in said or not read.isprintable() or "\\" in read:
            return None
        lengths = list(map(len, said if read.isascii() else read.split('"')))
        line = _SEPARATOR_OCTET.join(_spread(shape.indexes, said, b""))
        return cls(shape, (), _LINE_OCTET + line, lengths)

    @property
    def data(self) -> list[bytes]:
        """The texts as octets."""
        if self.body is None:
            return [text.encode() for text in self._texts]
        said = self.body[1:].split(_SEPARATOR_OCTET)
        return [said[index - ITEM_INDEX_FIRST] for index in self.shape.indexes]

    @property
    def texts(self) -> Sequence[str]:
        """The texts."""
        return self._texts if self.body is None else [octets.decode() for octets in self.data]

    def pack(self) -> bytes:
        """What `pack` makes of them when they are new; indexes ascend."""
        return pack_plain(self.shape.indexes, self._texts) if self.body is None else self.body

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, at: int) -> Value: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Value, ...]: ...
    def __getitem__(self, at: int | slice) -> Value | tuple[Value, ...]:
        return tuple(self)[at]

    def __iter__(self) -> Iterator[Value]:
        return map(Value, self.shape.indexes, self.shape.types, self.data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Texts({self.shape!r}, {self.texts!r})"


class _Unpacker:
    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0

    def number(self) -> int:
        octet = self.body[self.at]
        self.at += 1
        if octet < 0x80:
            return octet
        number, shift = octet & 0x7F, 7
        while octet & 0x80:
            octet = self.body[self.at]
            self.at += 1
            number |= (octet & 0x7F) << shift
            shift += 7
        return number

    def sized(self) -> bytes:
        length = self.number()
        self.at += length
        return self.body[self.at - length : self.at]

    def octet(self) -> int:
        self.at += 1
        return self.body[self.at - 1]


def unpack(body: bytes, names: Mapping[int, str], updated: int) -> tuple[Value, ...]:
    """The values kept in `body`; the inverse of `pack` given the same `names` and `updated`."""
    if (said := texts(body)) is not None:
        values = ((index, data) for index, data in enumerate(said, ITEM_INDEX_FIRST) if data)
        return tuple([Value(index, names[index], data, timestamp=updated) for index, data in values])
    reader = _Unpacker(body)
    if not body or body[0] > _LINE:
        return _unpacked_list(reader, names, updated)
    times = [updated]
    if reader.octet() == _ROW_OF_AGES:
        times += [updated - reader.number() for _ in range(reader.number())]
    cells = _cells(body, reader.at, len(times))
    return tuple([Value(index, names[index], data, TTL_DEFAULT, times[which]) for index, data, which in cells])


def texts(body: bytes) -> list[bytes] | None:
    """What a line holds from index ITEM_INDEX_FIRST on, empty where there is no value; None for another form.

    Each is in JSON what it is, all else of its value is usual. Every cold answer comes through here.
    """
    return body[1:].split(_SEPARATOR_OCTET) if body[:1] == _LINE_OCTET else None


def _cells(body: bytes, at: int, radix: int) -> list[tuple[int, bytes, int]]:
    """What a row holds from `at` on: index, data, and which of `radix` times. No call for an octet."""
    cells = []
    index, end = ITEM_INDEX_FIRST, len(body)
    while at < end:
        length = body[at]
        at += 1
        if length > 0x7F:
            length &= 0x7F
            shift = 7
            while body[at] > 0x7F:
                length |= (body[at] & 0x7F) << shift
                shift += 7
                at += 1
            length |= body[at] << shift
            at += 1
        if length:
            which = 0
            if radix == 1:
                length -= 1
            else:
                length, which = divmod(length - 1, radix)
            begin = at
            at += length
            cells.append((index, body[begin:at], which))
        index += 1
    return cells


def _unpacked_list(reader: _Unpacker, names: Mapping[int, str], updated: int) -> tuple[Value, ...]:
    body = reader.body
    values = []
    index = 0
    while reader.at < len(body):
        step = reader.number()
        index += step >> 1
        flags = reader.octet() if step & 1 else 0
        type_ = reader.sized().decode() if flags & _TYPE else names[index]
        ttl = reader.number() if flags & _TTL else TTL_DEFAULT
        timestamp = reader.number() if flags & _TIMESTAMP else updated
        permissions = reader.octet() if flags & _PERMISSIONS else PERMISSIONS_DEFAULT
        references: tuple[Reference, ...] = ()
        if flags & _REFERENCES:
            count = reader.number()
            references = tuple(Reference(reader.sized().decode(), reader.number()) for _ in range(count))
        values.append(
            Value(index, type_, reader.sized(), ttl, timestamp, permissions, bool(flags & _ABSOLUTE), references)
        )
    return tuple(values)
