"""The life of a template: how it is made well, what of it may still be changed, its versions and copies. Pure.

What a template's state lets happen to records is said in rules.py.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import msgspec

from proto.value import TEMPLATE_INDEX, Value
from registry import kinds, upkeep
from registry.rules import Refused, Rule
from registry.suffix import SEGMENTS_MOST
from registry.template import ACCESSES, ITEM_INDEX_FIRST, ITEMS_MOST, LENGTH_MOST, Category, Item, State, Template

VERSION_CHARACTERS: Final = 128
"""Longest template version (SNMS OpenAPI)."""
NAME_CHARACTERS: Final = 128
"""Longest name of an attribute: it becomes the type of a value."""
UNIT_CHARACTERS: Final = 32
ITEMS_OCTETS: Final = 1024 * 1024
"""All attributes of a template as JSON: three times what 500 attributes with the longest names take, and small enough
to travel to the top-level node."""
CARRIERS: Final = (1, 2)
ITEM_TYPE: Final = "ITEM"
"""Type of a value that tells an attribute, among those of a template's own identifier."""
WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*", re.ASCII)
CODES: Final = (
    ("category", re.compile("[A-T]"), "应为A到T的一个字母", "must be one letter from A to T"),
    ("specific", re.compile("[0-9]{2}"), "应为两位数字", "must be two digits"),
    ("trade", re.compile("[0-9]{3}"), "应为三位数字", "must be three digits"),
    ("subclass", re.compile("[0-9]{4}"), "应为四位数字", "must be four digits"),
)
"""The codes of a category (GB/T 4754): 门类, 大类, 中类, 小类."""

_MOVES: Final = {
    (State.DRAFT, State.PUBLISHED),
    (State.PUBLISHED, State.WITHDRAWN),
    (State.WITHDRAWN, State.PUBLISHED),
}

Flaw = tuple[str, str, str]
"""A field, and the rule it breaks in Chinese and English."""


def flaw(template: Template) -> Refused | None:
    """The first thing wrong with a template, if anything is."""
    for field, zh, en in _flaws(template):
        return Refused(Rule.TEMPLATE, field, f"{field}{zh}", f"{field} {en}")
    return None


def _flaws(template: Template) -> Iterator[Flaw]:
    version = template.version
    yield from _broken(
        (
            (
                "version",
                0 < len(version) <= VERSION_CHARACTERS and version.isprintable() and "/" not in version,
                f"应为1到{VERSION_CHARACTERS}个可打印字符，不含“/”",
                f"must be 1 to {VERSION_CHARACTERS} printable characters without a slash",
            ),
            ("zh", *_named(template.zh, NAME_CHARACTERS, 1)),
            ("en", *_named(template.en, NAME_CHARACTERS)),
            (
                "description",
                len(template.description) <= LENGTH_MOST and "\0" not in template.description,
                f"最长{LENGTH_MOST}个字符，不含U+0000",
                f"must have at most {LENGTH_MOST} characters and no U+0000",
            ),
            ("carrier", template.carrier in CARRIERS, "应为1或2", "must be 1 or 2"),
            (
                "items",
                0 < len(template.items) <= ITEMS_MOST,
                f"应有1到{ITEMS_MOST}个属性",
                f"must be 1 to {ITEMS_MOST} attributes",
            ),
            (
                "suffix",
                len(template.suffix.segments) <= SEGMENTS_MOST,
                f"最多{SEGMENTS_MOST}段",
                f"must have at most {SEGMENTS_MOST} segments",
            ),
        )
    )
    if len(msgspec.json.encode(template.items)) > ITEMS_OCTETS:
        yield "items", f"合起来不能超过{ITEMS_OCTETS}字节", f"must have at most {ITEMS_OCTETS} octets together"
    yield from _category(template.category)
    for n, item in enumerate(template.items):
        yield from ((f"items[{n}].{field}", zh, en) for field, zh, en in _item(item))
    for field in ("index", "name", "zh"):
        seen: set[Any] = set()
        for n, item in enumerate(template.items):
            said = getattr(item, field)
            if said in seen:
                yield f"items[{n}].{field}", f"的{said}重复", f"{said} is given twice"
            seen.add(said)
    for n, item in enumerate(template.items):
        if item.redirect and item.enabled and item is not template.redirect:
            yield f"items[{n}].redirect", "只能有一个", "is for one attribute only"
    for n, segment in enumerate(template.suffix.segments):
        yield from ((f"suffix[{n}].{field}", zh, en) for field, zh, en in segment.flaws)


def _named(text: str, most: int, least: int = 0) -> tuple[bool, str, str]:
    kept = least <= len(text) <= most and (not text or text.isprintable())
    return kept, f"应为{least}到{most}个可打印字符", f"must be {least} to {most} printable characters"


def _category(given: Category) -> Iterator[Flaw]:
    for name, pattern, zh, en in CODES:
        if not pattern.fullmatch(getattr(given, name)):
            yield f"category.{name}", f"{zh}（GB/T 4754）", f"{en} (GB/T 4754)"
    if not (given.subclass.startswith(given.trade) and given.trade.startswith(given.specific)):
        yield (
            "category.subclass",
            "与大类、中类代码应逐级包含（GB/T 4754）",
            "must begin with trade and specific (GB/T 4754)",
        )


def _item(item: Item) -> Iterator[Flaw]:
    last = 2**31 - 1
    name_zh = f"应以英文字母开头，由字母、数字、下划线等组成，最长{NAME_CHARACTERS}"
    yield from _broken(
        (
            (
                "index",
                ITEM_INDEX_FIRST <= item.index <= last,
                f"应为{ITEM_INDEX_FIRST}到{last}",
                f"must be {ITEM_INDEX_FIRST} to {last}",
            ),
            (
                "name",
                len(item.name) <= NAME_CHARACTERS and WORD.fullmatch(item.name) is not None,
                name_zh,
                f"must begin with a letter and hold letters, digits and _ . -, at most {NAME_CHARACTERS}",
            ),
            ("zh", *_named(item.zh, NAME_CHARACTERS, 1)),
            ("en", *_named(item.en, NAME_CHARACTERS)),
            ("unit", *_named(item.unit, UNIT_CHARACTERS)),
            ("reference", *_named(item.reference, VERSION_CHARACTERS)),
            (
                "most",
                0 <= item.least <= item.most <= LENGTH_MOST and item.most > 0,
                f"应满足0≤least≤most≤{LENGTH_MOST}",
                f"0 <= least <= most <= {LENGTH_MOST}",
            ),
            (
                "access",
                item.access in ACCESSES,
                f"应为{'、'.join(ACCESSES)}之一",
                f"must be one of {', '.join(ACCESSES)}",
            ),
            (
                "redirect",
                not item.redirect or (item.kind, item.access, item.count) == ("text", "public", 1),
                "只能用于公开的单值文本属性",
                "is only for public attributes that are one text",
            ),
        )
    )
    yield from kinds.flaws(item)
    yield from upkeep.flaws(item)


def _broken(rows: tuple[tuple[str, bool, str, str], ...]) -> Iterator[Flaw]:
    return ((field, zh, en) for field, kept, zh, en in rows if not kept)


# -- changes


def changed(kept: Template, wanted: Template, earlier: Template | None) -> Refused | None:
    """Why `kept` cannot become `wanted`, if so; `earlier` is the version before it in its line.

    A draft is free but for the attributes of the version before it: in all versions of a line an index means the same.
    Once published a template only grows: attributes are disabled, never removed.
    """
    bound = kept if kept.state is not State.DRAFT else earlier
    items = wanted.by_index
    for item in bound.items if bound else ():
        now = items.get(item.index)
        if now is None:
            return _refuse(
                "items",
                f"属性{item.name}（{item.index}）不能删除，只能禁用",
                f"attribute {item.name} ({item.index}) cannot be removed, only disabled",
            )
        if (now.name, now.kind) != (item.name, item.kind):
            return _refuse(
                "items",
                f"索引{item.index}已用于属性{item.name}（{item.kind}），名称和类型不能改",
                f"index {item.index} is attribute {item.name} ({item.kind}): its name and type cannot change",
            )
        if bound is kept and now.unique is not item.unique:
            return _refuse(
                "items",
                f"属性{item.name}（{item.index}）是否唯一在发布后不能改",
                f"whether attribute {item.name} ({item.index}) is unique cannot change once it is published",
            )
        if bound is kept and item.kind == "reference" and (now.count > 1) is not (item.count > 1):
            # What records point to is read by this, and kept beside them (holding.py).
            return _refuse(
                "items",
                f"引用{item.name}（{item.index}）是否多值在发布后不能改",
                f"whether reference {item.name} ({item.index}) has several values cannot change once it is published",
            )
    return flaw(wanted)


def moved(kept: Template, to: State) -> Template | Refused:
    """`kept` in the state `to`, or why it cannot go there."""
    if (kept.state, to) not in _MOVES:
        return _refuse(
            "state",
            f"模板{kept.version}{kept.state.zh}，不能变为{to.zh}",
            f"template {kept.version} is {kept.state.en} and cannot become {to.en}",
        )
    return replace(kept, state=to)


def removable(kept: Template) -> Refused | None:
    """Why a template cannot be removed, if so: what is published is withdrawn first (IDHub)."""
    if kept.state is State.PUBLISHED:
        return _refuse(
            "state", f"模板{kept.version}已发布，请先撤回", f"template {kept.version} is published: withdraw it first"
        )
    return None


def next_version(kept: Template, version: str) -> Template:
    """A draft called `version` that continues the line of `kept`."""
    return replace(kept, version=version, state=State.DRAFT, lineage=kept.line, origin="", number=0, epoch=0)


def outward(template: Template) -> Template:
    """What strangers are told of it: of attributes that are not public no rules, which may name customers or prices."""
    return replace(template, items=tuple(map(_outward, template.items)))


def _outward(item: Item) -> Item:
    if item.access == "public":
        return item
    return Item(
        item.index,
        item.name,
        item.zh,
        item.en,
        enabled=item.enabled,
        most=item.most,
        access=item.access,
        kind=item.kind,
    )


def copied(kept: Template, prefix: str, version: str) -> Template:
    """A draft under `prefix` called `version` that begins a line of its own with what `kept` says."""
    return replace(next_version(kept, version), prefix=prefix, lineage=0, revision=1, origin=kept.handle)


def _refuse(field: str, zh: str, en: str) -> Refused:
    return Refused(Rule.TEMPLATE, field, zh, en)


# -- what its own identifier stands for


def told(template: Template) -> tuple[Value, ...]:
    """The values of a template's own identifier: what it is called, and each attribute at its index."""
    category = template.category
    texts = (
        ("TEMPLATE_NAME", template.zh),
        ("TEMPLATE_NAME_EN", template.en),
        ("DESCRIPTION", template.description),
        ("INDUSTRY", "/".join((category.category, category.specific, category.trade, category.subclass))),
        ("STATE", template.state.en),
        ("REVISION", str(template.revision)),
        ("ORIGIN", template.origin),
        ("SUFFIX", template.suffix.shape[1]),
    )
    head = [(index, type_, text) for index, (type_, text) in enumerate(texts, 1) if text]
    items = [
        (item.index, ITEM_TYPE, msgspec.json.encode(said(item)).decode())
        for item in outward(template).items
        if item.enabled
    ]
    own = (TEMPLATE_INDEX, "TEMPLATE", template.version)
    return tuple(
        Value(index, type_, text.encode(), timestamp=template.updated) for index, type_, text in (*head, own, *items)
    )


def said(item: Item) -> dict[str, Any]:
    """An attribute as clients are told of it: its fields, without those that say no more than usual."""
    fields = msgspec.to_builtins(item)
    return {name: value for name, value in fields.items() if name in _ALWAYS or value != _USUAL[name]}


_ALWAYS: Final = frozenset({"index", "name", "zh", "kind", "access"})
_USUAL: Final = msgspec.to_builtins(Item(0, "", ""))
