"""Industries by their codes (GB/T 4754-2017): category (门类), division (大类), group (中类), class (小类). Pure.

The table is data (gbt4754.toml). It has every category and division, groups and classes only where we need them.
"""

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any, Final

from proto.errors import ProtoError

_LEVELS: Final = (
    (re.compile(r"[A-T]", re.ASCII), "门类（A到T的一个字母）", "a category, one letter from A to T"),
    (re.compile(r"[0-9]{2}", re.ASCII), "大类（两位数字）", "a division of two digits"),
    (re.compile(r"[0-9]{3}", re.ASCII), "中类（三位数字）", "a group of three digits"),
    (re.compile(r"[0-9]{4}", re.ASCII), "小类（四位数字）", "a class of four digits"),
)


@cache
def _tables() -> dict[str, dict[str, Any]]:
    """Name and codes below it, by category."""
    return tomllib.loads((resources.files(__package__) / "gbt4754.toml").read_text("utf-8"))


def name(category: str, code: str = "") -> str:
    """What a category, or a code below it, is called; empty when the table has no such."""
    return str(_tables().get(category, {}).get(code or "name", ""))


def check_industry(codes: Sequence[str], fields: Sequence[str]) -> bool:
    """Whether the table has these codes, the category first, at most four; False: only people can tell.

    Raises ProtoError, naming the first of `fields` that is wrong and the rule: a code of another level, a category or
    division there is not, one that lies elsewhere, or a group or class missing where the table has the others.
    """
    category, above = codes[0], ""
    for code, field, (form, zh, en) in zip(codes, fields, _LEVELS, strict=False):
        nowhere = not code.startswith(above) or (_told(category, code) and not name(category, code))
        if code is category:
            nowhere = category not in _tables()
        if not form.fullmatch(code) or nowhere:
            raise ProtoError(
                field,
                f"{field}应为GB/T 4754-2017的{zh}，且属于上一级",
                f"{field} must be {en} of GB/T 4754-2017, in its place",
            )
        above = "" if code is category else code
    return all(name(category, code) for code in codes[1:])


def _told(category: str, code: str) -> bool:
    """Whether the table has all that are beside `code`: every division, and every group and class of some."""
    return len(code) == 2 or any(len(other) > 2 and other[:2] == code[:2] for other in _tables().get(category, {}))
