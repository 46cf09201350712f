"""Which column becomes which attribute, and how a row's identifier is made: a template, a header and a MAP.toml.

Pure but for reading MAP.toml. Whether values and suffix are right is the node's to judge, not ours.
"""

import re
import string
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from node.importer.problem import Problem
from proto.errors import ProtoError
from proto.identifier import fold
from registry.template import Item

T = TypeVar("T")

IDENTIFIER_HEADERS: Final = ("标识", "HANDLE", "IDENTIFIER")
"""Columns that hold the identifier, whole or the suffix alone (compared as `fold` spells them)."""
SERIAL: Final = "serial"
"""The placeholder of a suffix pattern that counts 1 … N within each row."""
MAP_OCTETS: Final = 1 << 20
"""Most octets of a MAP.toml: it names attributes and a few replacements, it is no data."""

_WHOLE: Final = re.compile(r"([+-]?[0-9]+)(?:\.0*)?", re.ASCII)
_SERIAL_SPEC: Final = re.compile(r"(0[1-9][0-9]?d)?", re.ASCII)
_OTHER_PREFIX: Final = re.compile(r"[0-9]{2}(\.[0-9]+){1,2}/", re.ASCII)


class MapFile(msgspec.Struct, forbid_unknown_fields=True):
    """A MAP.toml. `columns` and `constants` are by attribute, `replace` and `whole` by column."""

    suffix: str = ""
    columns: dict[str, str] = {}
    constants: dict[str, str] = {}
    replace: dict[str, dict[str, str]] = {}
    whole: list[str] = []


def attributes_of(items: object) -> tuple[Item, ...]:
    """The enabled attributes of a template as GET /api/v1/templates/{prefix}/{version} gives its `items`.

    Raises msgspec.ValidationError for what is none.
    """
    return tuple(item for item in msgspec.convert(items, tuple[Item, ...]) if item.enabled)


def read_map(path: Path | None) -> MapFile:
    """The MAP.toml at `path`, an empty one for None. Raises Problem naming what is wrong in it."""
    if path is None:
        return MapFile()
    try:
        with path.open("rb") as file:
            octets = file.read(MAP_OCTETS)
        return msgspec.convert(tomllib.loads(octets.decode()), MapFile)
    except OSError as error:
        raise Problem(f"读不了{path}：{error.strerror}", f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise Problem(f"映射文件{path}有误：{error}", f"the mapping {path} is wrong: {error}") from None


class Serial(NamedTuple):
    """The place of the serial in a suffix; `spec` is how it is written, such as `06d`."""

    spec: str


@dataclass(frozen=True)
class Pattern:
    """How a suffix is made: texts, columns by their place, and the serial, in order."""

    pieces: tuple[str | int | Serial, ...]

    @property
    def counts(self) -> bool:
        """Whether the serial is part of it."""
        return any(isinstance(piece, Serial) for piece in self.pieces)

    @cached_property
    def columns(self) -> tuple[int, ...]:
        """The places of the columns it takes something from."""
        return tuple(piece for piece in self.pieces if isinstance(piece, int))

    @cached_property
    def may_name_prefix(self) -> bool:
        """Whether a suffix may begin with a prefix, and so with a digit."""
        first = self.pieces[0] if self.pieces else ""
        return not isinstance(first, str) or first[:1].isdecimal()

    @cached_property
    def _form(self) -> str:
        return "".join(
            piece.replace("%", "%%") if isinstance(piece, str) else "%s" if isinstance(piece, int) else f"%{piece.spec}"
            for piece in self.pieces
        )

    @cached_property
    def _places(self) -> tuple[int | None, ...]:
        return tuple(piece if isinstance(piece, int) else None for piece in self.pieces if not isinstance(piece, str))

    def suffix(self, cells: tuple[str, ...], serial: int) -> str:
        """The suffix of one row with this serial."""
        return self._form % tuple([serial if place is None else cells[place] for place in self._places])

    def suffixes(self, columns: Mapping[int, Sequence[str]]) -> list[str]:
        """The suffixes of many rows, given by the columns they are made of, of which there is one; the serial is 1."""
        parts = [repeat(1) if place is None else columns[place] for place in self._places]
        return list(map(self._form.__mod__, zip(*parts, strict=False)))


class Reading(NamedTuple):
    """What a row says: its `cells`, mended, and a text for each of the binding's attributes, empty where it has none;
    or a `refusal`."""

    cells: tuple[str, ...]
    texts: tuple[str, ...]
    refusal: str = ""


@dataclass(frozen=True)
class Binding:
    """A template bound to a header: reads rows.

    `columns` pairs attributes with the places of their columns; `unused` names the columns nothing comes from.
    """

    header: tuple[str, ...]
    columns: tuple[tuple[Item, int], ...]
    constants: tuple[tuple[Item, str], ...]
    replace: Mapping[int, Mapping[str, str]]
    whole: frozenset[int]
    pattern: Pattern

    @property
    def unused(self) -> tuple[str, ...]:
        """The names of columns that are read for nothing."""
        used = {place for _, place in self.columns} | set(self.pattern.pieces)
        return tuple(name for place, name in enumerate(self.header) if place not in used and name)

    @cached_property
    def attributes(self) -> tuple[Item, ...]:
        """What readings have texts of, in this order."""
        return tuple(attribute for attribute, _ in (*self.columns, *self.constants))

    @cached_property
    def _picked(self) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
        """Takes the cells of `columns` out of a row."""
        return _picker([place for _, place in self.columns])

    @cached_property
    def _constant(self) -> tuple[str, ...]:
        return tuple(text for _, text in self.constants)

    def read(self, cells: tuple[str, ...]) -> Reading:
        """What the row of these `cells` (as many as the header has) says. Empty cells give no text."""
        if self.replace or self.whole:
            reading = self._mended(cells)
            if reading.refusal:
                return reading
            cells = reading.cells
        for place in self.pattern.columns:
            if not cells[place].strip():
                return Reading((), (), f"组成标识的“{self.header[place]}”是空的")
        texts = self._picked(cells)
        if not all(map(str.strip, texts)):
            texts = tuple(text if text.strip() else "" for text in texts)
        return Reading(cells, texts + self._constant)

    def _mended(self, cells: tuple[str, ...]) -> Reading:
        mended = list(cells)
        for place, texts in self.replace.items():
            mended[place] = texts.get(cells[place], cells[place])
        for place in self.whole:
            number = _WHOLE.fullmatch(mended[place])
            if mended[place].strip() and not number:
                return Reading((), (), f"“{self.header[place]}”应为整数，实为“{mended[place]}”")
            mended[place] = number[1] if number else ""
        return Reading(tuple(mended), ())

    def handle(self, cells: tuple[str, ...], prefix: str, serial: int) -> str:
        """How the identifier of a reading's `cells` is spelt with this serial. Raises ProtoError for another prefix."""
        return self._under(prefix, self.pattern.suffix(cells, serial))

    def handles(self, columns: Mapping[int, Sequence[str]], prefix: str) -> list[str]:
        """The same of many rows, given by the columns the suffix is made of, with serial 1. Raises ProtoError."""
        suffixes = self.pattern.suffixes(columns)
        if self.pattern.may_name_prefix:
            return [self._under(prefix, suffix) for suffix in suffixes]
        return [f"{prefix}/{suffix}" for suffix in suffixes]

    def _under(self, prefix: str, suffix: str) -> str:
        if self.pattern.may_name_prefix and _OTHER_PREFIX.match(suffix):
            own, _, suffix = suffix.partition("/")
            if own != prefix:
                raise ProtoError(
                    "handle",
                    f"标识的前缀是{own}，不是所导入企业的前缀{prefix}",
                    f"the prefix of the identifier is {own}, not {prefix} of the enterprise",
                )
        return f"{prefix}/{suffix}"


def _picker(places: Sequence[int]) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    # An itemgetter gives a tuple where there are several.
    return itemgetter(*places) if len(places) > 1 else lambda cells: tuple([cells[place] for place in places])


def bind(header: tuple[str, ...], attributes: tuple[Item, ...], map_: MapFile, suffix: str = "") -> Binding:
    """Binds a template's `attributes` to the columns of `header` as `map_` says, and by name where it says nothing.

    `suffix` overrules the pattern of `map_`. Raises Problem when a name is unknown or ambiguous, or there is
    neither a pattern nor a column with identifiers.
    """
    names = _Names(header, attributes)
    places = {names.attribute(a): names.column(c) if c else None for a, c in map_.columns.items()}
    constants = {names.attribute(a): text for a, text in map_.constants.items()}
    if both := [a.name for a in places.keys() & constants.keys()]:
        raise Problem(
            f"映射文件里{both[0]}既有列又有常量，只能留一个",
            f"the mapping gives {both[0]} both a column and a constant; keep one",
        )
    for attribute in attributes:
        if attribute not in places and attribute not in constants:
            places[attribute] = names.by_name(attribute)
    columns = tuple((a, place) for a, place in _by_index(places) if place is not None)
    if not columns and not constants:
        raise Problem(
            "表头里没有一列与模板的属性同名；请核对表头，或用--map指明各列",
            "no column of the header is named like an attribute of the template; see --map",
        )
    return Binding(
        header,
        columns,
        tuple((a, text) for a, text in _by_index(constants) if text),
        {names.column(column): texts for column, texts in map_.replace.items()},
        frozenset(names.column(column) for column in map_.whole),
        _pattern(suffix or map_.suffix, names),
    )


def _by_index(chosen: Mapping[Item, T]) -> list[tuple[Item, T]]:
    return sorted(chosen.items(), key=lambda pair: pair[0].index)


@dataclass(frozen=True, slots=True)
class _Names:
    """Finds columns and attributes by what people call them: ASCII letters in any case, spaces around ignored."""

    header: tuple[str, ...]
    attributes: tuple[Item, ...]

    def places(self, *names: str) -> list[int]:
        wanted = {fold(name.strip()) for name in names}
        return [place for place, name in enumerate(self.header) if name and fold(name) in wanted]

    def column(self, name: str) -> int:
        places = self.places(name)
        if len(places) != 1:
            have = "、".join(self.header)
            raise Problem(
                f"列“{name}”在表头里{'没有' if not places else '不止一个'}；表头有：{have}",
                f"column “{name}” is {'not' if not places else 'more than once'} in the header: {have}",
            )
        return places[0]

    def by_name(self, attribute: Item) -> int | None:
        places = self.places(attribute.name, attribute.zh, str(attribute.index))
        if len(places) > 1:
            raise Problem(
                f"表头里有{len(places)}列都是“{attribute.zh}”（{attribute.name}）；请用--map指明一列",
                f"{len(places)} columns of the header are {attribute.name}; name one by --map",
            )
        return places[0] if places else None

    def attribute(self, name: str) -> Item:
        wanted = fold(name.strip())
        for attribute in self.attributes:
            if wanted in (fold(attribute.name), fold(attribute.zh), str(attribute.index)):
                return attribute
        raise Problem(
            f"模板里没有属性“{name}”，或已禁用",
            f"the template has no attribute “{name}”, or it is disabled",
        )


def _pattern(text: str, names: _Names) -> Pattern:
    if text:
        return Pattern(tuple(_pieces(text, names)))
    places = names.places(*IDENTIFIER_HEADERS)
    if len(places) > 1:
        raise Problem(
            "表头里不止一列是标识；请只留一列", "more than one column of the header is the identifier; keep one"
        )
    if not places:
        raise Problem(
            "不知道标识怎么组成：请用--suffix给出后缀规则，例如--suffix 'BAG-{id}-{serial:06d}'，或给文件加“标识”列",
            "how is an identifier made? Give --suffix 'BAG-{id}-{serial:06d}', or a column named identifier",
        )
    return Pattern((places[0],))


def _pieces(text: str, names: _Names) -> Iterable[str | int | Serial]:
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError:
        raise Problem(
            f"后缀规则“{text}”的花括号没有成对", f"the braces of the suffix pattern “{text}” do not match"
        ) from None
    for literal, name, spec, conversion in parsed:
        if literal:
            yield literal
        if name is None:
            continue
        if conversion or not (_SERIAL_SPEC.fullmatch(spec or "") if name == SERIAL else not spec):
            raise Problem(
                f"后缀规则里的“{{{name}}}”写法不对：列名写作{{列名}}，序号写作{{serial}}或{{serial:06d}}",
                f"“{{{name}}}” of the suffix pattern is wrong: write {{column}}, {{serial}} or {{serial:06d}}",
            )
        yield _serial(spec, names) if name == SERIAL else names.column(name)


def _serial(spec: str | None, names: _Names) -> Serial:
    if names.places(SERIAL):
        raise Problem(
            "后缀规则里的{serial}是从1数起的序号，可是表头里也有一列叫serial；请给这一列改名",
            "{serial} counts from 1, but the header has a column of that name too; rename the column",
        )
    return Serial(spec or "d")
