"""The types of attributes: what text each takes, and how that is said. Pure; a table, one row a type.

How long a text is, and whether there must be one, is for rules.py: it is the same for all types.
"""

import re
from collections.abc import Callable, Iterable
from datetime import date
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from proto.errors import ProtoError
from proto.identifier import Identifier

if TYPE_CHECKING:
    from registry.template import Item

Kind = Literal["text", "number", "date", "file", "picture", "reference"]
"""文本、数值、日期、文件、图片、引用 (IDHub, `dataType`); audio and video are files."""

SEPARATOR: Final = ";"
"""Between the values of an attribute that has several."""
COUNT_MOST: Final = 500
"""Values of one attribute: the cells of a battery pack, with room."""
CHOICES_MOST: Final = 200
"""Values a list of allowed ones holds: the colours of a season, the departments of a firm."""
CHOICE_CHARACTERS: Final = 64
"""So that an attribute with all its allowed values is no longer than one value of an identifier may be."""
ACCURACY_MOST: Final = 15
"""Digits after the point: what a double can keep apart."""
CHOICES_SAID: Final = 10
"""Allowed values a sentence names."""
PICTURES: Final = ("jpg", "jpeg", "png", "gif", "webp", "bmp")

_NUMERALS: Final = frozenset("0123456789.+-")
_PLACE: Final = re.compile(r"[^\s;\x00-\x1f\x7f]{1,1024}")
"""Where a file is: an address, or the key under which it was uploaded."""
_EXTENSION: Final = re.compile(r"[a-z0-9]{1,10}", re.ASCII)


def as_number(text: str) -> float | None:
    """`text` as a decimal number; None when it is anything else (exponents, inf and nan included)."""
    if not text or set(text) - _NUMERALS:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def is_date(text: str) -> bool:
    """Whether `text` is a day of the calendar, written yyyy-MM-dd."""
    if len(text) != 10 or not text[4] == text[7] == "-":  # fromisoformat takes 20260228 and 2026-W09-6, too
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def identified(text: str) -> Identifier | None:
    """The identifier `text` spells, if it does."""
    try:
        return Identifier.parse(text)
    except ProtoError:
        return None


def parts(item: "Item", text: str) -> list[str]:
    """The values of an attribute that are in `text`."""
    return [part.strip() for part in text.split(SEPARATOR)] if item.count > 1 else [text]


# -- what each takes


def _text(item: "Item", text: str) -> bool:
    return not item.choices or text in item.choices


def _number(item: "Item", text: str) -> bool:
    number = as_number(text)
    return (
        number is not None
        and (item.low is None or item.low <= number)
        and (item.high is None or number <= item.high)
        and (item.accuracy is None or len(text.partition(".")[2]) <= item.accuracy)
        and (not item.choices or text in item.choices)
    )


def _day(item: "Item", text: str) -> bool:
    return is_date(text) and item.since <= text and (not item.until or text <= item.until)


def _file(item: "Item", text: str) -> bool:
    if not _PLACE.fullmatch(text):
        return False
    allowed = _extensions(item)
    _, dot, ending = text.partition("?")[0].rpartition(".")
    return not allowed or (bool(dot) and ending.lower() in allowed)


def _reference(item: "Item", text: str) -> bool:
    return identified(text) is not None


# -- how it is said: after 应为, and after "must be"


def _text_said(item: "Item") -> tuple[str, str]:
    shown = item.choices[:CHOICES_SAID]
    more_zh, more_en = (f"等{len(item.choices)}项", ", …") if len(item.choices) > CHOICES_SAID else ("", "")
    return f"{'、'.join(shown)}{more_zh}之一", f"one of {', '.join(shown)}{more_en}"


def _number_said(item: "Item") -> tuple[str, str]:
    low, high = ("" if bound is None else f"{bound:.15g}" for bound in (item.low, item.high))
    zh, en = _between(low, high)
    if item.accuracy is not None:
        zh = f"{zh}{'、' if zh else ''}小数点后最多{item.accuracy}位"
        en += f" with at most {item.accuracy} digits after the point"
    if item.choices:
        said_zh, said_en = _text_said(item)
        zh, en = f"{zh}{'、' if zh else ''}{said_zh}", f"{en}, {said_en}"
    return f"{zh}的数字" if zh else "数字", f"a number{en}"


def _between(low: str, high: str) -> tuple[str, str]:
    """Two ends in words, of which either may be empty."""
    if low and high:
        return f"{low}到{high}之间", f" from {low} to {high}"
    if low:
        return f"不小于{low}", f" of at least {low}"
    return (f"不大于{high}", f" of at most {high}") if high else ("", "")


def _day_said(item: "Item") -> tuple[str, str]:
    zh, en = "", ""
    if item.since:
        zh, en = f"不早于{item.since}、", f" not before {item.since}"
    if item.until:
        zh, en = f"{zh}不晚于{item.until}、", f"{en}{' and' if en else ''} not after {item.until}"
    return f"{zh}写作yyyy-MM-dd的日期", f"a date written yyyy-MM-dd{en}"


def _file_said(item: "Item") -> tuple[str, str]:
    allowed = _extensions(item)
    zh, en = (f"扩展名为{'、'.join(allowed)}的", f" ending in {', '.join(allowed)}") if allowed else ("", "")
    what_zh, what_en = ("图片", "picture") if item.kind == "picture" else ("文件", "file")
    return f"{zh}{what_zh}的地址，不含空格和“;”", f"where a {what_en} is{en}, without blanks and “;”"


def _reference_said(item: "Item") -> tuple[str, str]:
    return "标识（前缀/后缀）", "an identifier (prefix/suffix)"


def _extensions(item: "Item") -> tuple[str, ...]:
    return item.extensions or (PICTURES if item.kind == "picture" else ())


class _Rule(NamedTuple):
    takes: "Callable[[Item, str], bool]"
    said: "Callable[[Item], tuple[str, str]]"


_RULES: Final[dict[Kind, _Rule]] = {
    "text": _Rule(_text, _text_said),
    "number": _Rule(_number, _number_said),
    "date": _Rule(_day, _day_said),
    "file": _Rule(_file, _file_said),
    "picture": _Rule(_file, _file_said),
    "reference": _Rule(_reference, _reference_said),
}
KIND_WORDS: Final[dict[Kind, tuple[str, str]]] = {
    "text": ("文本", "text"),
    "number": ("数值", "number"),
    "date": ("日期", "date"),
    "file": ("文件", "file"),
    "picture": ("图片", "picture"),
    "reference": ("引用", "reference"),
}
"""What each is called, Chinese and English."""


def _each(item: "Item", takes: "Callable[[Item, str], bool]", text: str) -> bool:
    found = parts(item, text)
    return len(found) <= item.count and all(part and takes(item, part) for part in found)


def taker(item: "Item") -> Callable[[str], bool] | None:
    """What tells whether `item` takes a text that is not empty; None if it takes any."""
    if item.kind == "text" and not item.choices:
        return partial(_each, item, _text) if item.count > 1 else None
    takes = _RULES[item.kind].takes
    if item.count > 1:
        return partial(_each, item, takes)
    if item.kind == "number" and item.accuracy is None and not item.choices:
        return _between_ends(-inf if item.low is None else item.low, inf if item.high is None else item.high)
    return partial(takes, item)


def _between_ends(low: float, high: float) -> Callable[[str], bool]:
    """`_number` for what only has ends: a third of the price, and nearly every number is so."""

    def takes(text: str) -> bool:
        number = as_number(text)
        return number is not None and low <= number <= high

    return takes


def said(item: "Item") -> tuple[str, str]:
    """What a text of `item` must be, in Chinese and English, to follow 应为 and "must be"."""
    if item.kind == "text" and not item.choices:
        zh, en = "文本", "text"
    else:
        zh, en = _RULES[item.kind].said(item)
    if item.count > 1:
        return f"{zh}，最多{item.count}个，以“{SEPARATOR}”分隔", f"{en}, at most {item.count} joined by “{SEPARATOR}”"
    return zh, en


# -- whether an attribute is well made


def flaws(item: "Item") -> Iterable[tuple[str, str, str]]:
    """What is wrong with the rules of an attribute: field, and the rule it breaks in Chinese and English."""
    number, day = item.kind == "number", item.kind == "date"
    file, listed = item.kind in {"file", "picture"}, item.kind in {"text", "number"}
    rows = (
        ("kind", item.kind in _RULES, f"应为{'、'.join(_RULES)}之一", f"must be one of {', '.join(_RULES)}"),
        ("low", number or item.low is item.high is None, "只用于数值", "is for numbers only"),
        (
            "low",
            item.low is None or item.high is None or item.low <= item.high,
            "不能大于high",
            "must not be above high",
        ),
        (
            "accuracy",
            item.accuracy is None or (number and 0 <= item.accuracy <= ACCURACY_MOST),
            f"应为0到{ACCURACY_MOST}，只用于数值",
            f"must be 0 to {ACCURACY_MOST}, of a number",
        ),
        *(
            (
                name,
                not text or (day and is_date(text)),
                "应为写作yyyy-MM-dd的日期，只用于日期",
                "must be a date, of a date",
            )
            for name, text in (("since", item.since), ("until", item.until))
        ),
        (
            "since",
            not item.until or item.since <= item.until,
            "不能晚于until",
            "must not be after until",
        ),
        (
            "choices",
            not item.choices or (listed and _choices(item)),
            f"最多{CHOICES_MOST}个不同的非空值，每个最长{CHOICE_CHARACTERS}个字符且合乎属性的其他规则，只用于文本和数值",
            f"are at most {CHOICES_MOST} different values of up to {CHOICE_CHARACTERS} characters that the other rules "
            "allow, of a text or number",
        ),
        (
            "extensions",
            not item.extensions or (file and all(map(_EXTENSION.fullmatch, item.extensions))),
            "应为小写的扩展名，如pdf，只用于文件和图片",
            "are endings such as pdf in lower case, of a file or picture",
        ),
        ("count", 1 <= item.count <= COUNT_MOST, f"应为1到{COUNT_MOST}", f"must be 1 to {COUNT_MOST}"),
        ("unique", not item.unique or item.count == 1, "的属性只能有一个值", "is for attributes of one value"),
        ("reference", not item.reference or item.kind == "reference", "只用于引用", "is for references only"),
        ("existing", not item.existing or item.kind == "reference", "只用于引用", "is for references only"),
    )
    return ((field, zh, en) for field, kept, zh, en in rows if not kept)


def _choices(item: "Item") -> bool:
    usual = len(set(item.choices)) == len(item.choices) <= CHOICES_MOST
    return usual and all(
        0 < len(choice) <= min(CHOICE_CHARACTERS, item.most)
        and (item.count == 1 or SEPARATOR not in choice)
        and choice.isprintable()
        and _RULES[item.kind].takes(item, choice)
        for choice in item.choices
    )
