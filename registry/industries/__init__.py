"""The industries: which templates and suffix rules each brings, read out of the TOML files beside this one.

No code here knows an industry, and nothing is registered here: the templates have no prefix yet.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Final

import msgspec

from registry import kinds, upkeep
from registry.template import ITEM_INDEX_FIRST, ITEMS_MOST, LENGTH_MOST, Item, Template

_NAME: Final = re.compile(r"[a-z][A-Za-z0-9]{0,49}", re.ASCII)
"""camelCase, at most 50 characters (IDHub, `englishName`): the name becomes the type of a handle value."""
_VERSION: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,127}", re.ASCII)
"""What `Template.handle` can carry; 128 is the SNMS bound of `version`."""
_CARRIERS: Final = (1, 2)
_EMPTY: Final = "must not be empty"


@dataclass(frozen=True)
class Industry:
    """One industry. `key` is the name of its file, `zh` and `en` its names for people."""

    key: str
    zh: str
    en: str
    templates: tuple[Template, ...]


@cache
def load() -> tuple[Industry, ...]:
    """All industries by key, their templates with an empty prefix.

    Raises AssertionError naming file and field: the files are part of the program, a bad one is a broken promise.
    """
    files = (f for f in resources.files(__name__).iterdir() if f.name.endswith(".toml"))
    return read({f.name: f.read_text("utf-8") for f in files})


def read(files: dict[str, str]) -> tuple[Industry, ...]:
    """The industries said in `files`, TOML text by file name. Raises AssertionError like `load`."""
    found = tuple(_industry(name, text) for name, text in sorted(files.items()))
    versions = [template.version for each in found for template in each.templates]
    for each in found:
        for place, why in _faults(each, versions):
            raise AssertionError(f"{each.key}.toml: {place}: {why}")
    return found


def of_division(division: str) -> str:
    """The industry that makes things of that division (GB/T 4754); empty when none of ours does."""
    return next((each.key for each in load() if any(t.category.specific == division for t in each.templates)), "")


def industry(key: str) -> Industry:
    """The industry `key`. Raises LookupError that names the known ones."""
    for each in load():
        if each.key == key:
            return each
    raise LookupError(f"no industry {key!r}; there are {', '.join(each.key for each in load())}")


def templates_for(key: str, prefix: str) -> tuple[Template, ...]:
    """The templates of industry `key` as those of `prefix`. Raises LookupError like `industry`."""
    return tuple(replace(template, prefix=prefix) for template in industry(key).templates)


def _industry(name: str, text: str) -> Industry:
    """One file as an `Industry`, every key known and every value of its type."""
    try:
        said: dict[str, Any] = tomllib.loads(text)
        templates = [{"prefix": "", **each} for each in said.get("templates", [])]
        made = msgspec.convert({**said, "key": name.removesuffix(".toml"), "templates": templates}, Industry)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, TypeError) as error:
        raise AssertionError(f"{name}: {error}") from error
    fields = msgspec.to_builtins(made)
    del fields["key"]  # said by the file's name alone
    for place in _unknown(said, fields):
        raise AssertionError(f"{name}: {place}: unknown key")
    return made


def _unknown(said: object, made: object, place: str = "") -> Iterator[str]:
    """Where `said` holds a key that did not become a field of `made`."""
    if isinstance(said, dict) and isinstance(made, dict):
        for key, value in said.items():
            if key in made:
                yield from _unknown(value, made[key], f"{place}.{key}".lstrip("."))
            else:
                yield f"{place}.{key}".lstrip(".")
    elif isinstance(said, list) and isinstance(made, list | tuple):
        for number, (value, each) in enumerate(zip(said, made, strict=True)):
            yield from _unknown(value, each, f"{place}[{number}]")


def _faults(each: Industry, versions: list[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with an industry, as place and reason; `versions` are those of all industries."""
    yield from _broken("", ((what, bool(getattr(each, what)), _EMPTY) for what in ("zh", "en", "templates")))
    for number, template in enumerate(each.templates):
        place = f"templates[{number}]."
        yield from _template_faults(place, template, versions)
        for n, item in enumerate(template.items):
            yield from _item_faults(f"{place}items[{n}].", item, template.items[:n], versions)
        for n, segment in enumerate(template.suffix.segments):
            yield from ((f"{place}suffix.segments[{n}].{field}", why) for field, _, why in segment.flaws)


def _broken(place: str, rules: Iterable[tuple[str, bool, str]]) -> Iterator[tuple[str, str]]:
    """Of `rules`, each a field, whether its rule is kept, and the rule: those that are not, with their place."""
    return ((place + field, why) for field, kept, why in rules if not kept)


def _template_faults(place: str, template: Template, versions: list[str]) -> Iterator[tuple[str, str]]:
    code = template.category
    given = (template.prefix, template.number, template.epoch)
    return _broken(
        place,
        (
            ("version", _VERSION.fullmatch(template.version) is not None, f"must match {_VERSION.pattern}"),
            ("version", versions.count(template.version) == 1, f"{template.version} is given twice"),
            ("number", given == ("", 0, 0), "prefix, number and epoch are the registry's"),
            ("zh", bool(template.zh), _EMPTY),
            ("en", bool(template.en), _EMPTY),
            ("category", code.trade[:2] == code.specific and code.subclass[:3] == code.trade, "not nested"),
            ("carrier", template.carrier in _CARRIERS, "must be 1 or 2"),
            ("items", 0 < len(template.items) <= ITEMS_MOST, f"must be 1 to {ITEMS_MOST}"),
        ),
    )


def _item_faults(place: str, item: Item, before: tuple[Item, ...], versions: list[str]) -> Iterator[tuple[str, str]]:
    index = ITEM_INDEX_FIRST + len(before)
    return _broken(
        place,
        (
            ("index", item.index == index, f"must be {index}: no gap, none twice"),
            ("name", _NAME.fullmatch(item.name) is not None, f"must match {_NAME.pattern}"),
            ("name", item.name not in {each.name for each in before}, f"{item.name} is given twice"),
            ("zh", bool(item.zh), _EMPTY),
            ("zh", item.zh not in {each.zh for each in before}, f"{item.zh} is given twice"),
            ("en", bool(item.en), _EMPTY),
            ("most", 0 <= item.least <= item.most <= LENGTH_MOST, f"0 <= least <= most <= {LENGTH_MOST}"),
            ("reference", item.reference in ("", *versions), f"no template is called {item.reference}"),
            *((field, False, why) for rules in (kinds, upkeep) for field, _, why in rules.flaws(item)),
        ),
    )
