"""Administrative divisions by their codes of six digits (GB/T 2260): what is one, and whether our table has it. Pure.

The table is data (gbt2260.toml). Divisions are made and abolished every year, so a code it lacks is no nonsense.
"""

import re
import tomllib
from functools import cache
from importlib import resources
from typing import Final, Literal

from proto.errors import ProtoError

Level = Literal["province", "city", "county"]

_FORMS: Final[dict[Level, tuple[re.Pattern[str], str, str]]] = {
    "province": (re.compile(r"[1-9][0-9]0000", re.ASCII), "省级代码（末四位为0000）", "a province, ending in 0000"),
    "city": (re.compile(r"[1-9][0-9](?!00)[0-9]{2}00", re.ASCII), "地级代码（末两位为00）", "a city, ending in 00"),
    "county": (re.compile(r"[1-9][0-9](?!00)[0-9]{2}(?!00)[0-9]{2}", re.ASCII), "县级代码", "a county"),
}
_ABOVE: Final[dict[Level, int]] = {"city": 2, "county": 4}
"""Digits a division has in common with the one it lies in."""


@cache
def names() -> dict[str, str]:
    """The name of every division of the table by its code."""
    file = resources.files(__package__) / "gbt2260.toml"
    return tomllib.loads(file.read_text("utf-8"))


def check_region(text: str, field: str, level: Level, within: str = "") -> bool:
    """Whether the table has that division; False: it may be one that is newer than the table, so people must look.

    Raises ProtoError, naming `field` and the rule, for what can be none: not six digits of that level, in no province
    there is, or not in the division `within`.
    """
    form, zh, en = _FORMS[level]
    if not form.fullmatch(text) or f"{text[:2]}0000" not in names():
        raise ProtoError(field, f"{field}应为GB/T 2260的6位{zh}", f"{field} must be the 6 digits of {en} (GB/T 2260)")
    if within and text[: _ABOVE[level]] != within[: _ABOVE[level]]:
        raise ProtoError(field, f"{field}的{text}不在{within}之内", f"{field}: {text} is not within {within}")
    return text in names()
