"""Documents of people: which numbers can be one, by kind. Pure; whether a person bears it, a verifier sees.

Resident identity numbers are those of GB 11643-1999, passport numbers have the shape ICAO Doc 9303-3 §4 allows.
"""

import re
from collections.abc import Callable
from datetime import date
from enum import IntEnum
from typing import Final

from proto.errors import ProtoError
from registry.gbt2260 import names

NUMBER_MOST: Final = 32
"""Longest number of a document (SNMS OpenAPI, `legalCrtNo`)."""

_RESIDENT: Final = re.compile(r"([1-9][0-9])[0-9]{4}([0-9]{4})([0-9]{2})([0-9]{2})[0-9]{3}[0-9X]", re.ASCII)
_PASSPORT: Final = re.compile(r"(?=.*[0-9])[A-Z0-9]{6,9}", re.ASCII)
_TAIWAN: Final = "83"
"""Where residents from Taiwan are counted in their numbers (residence permits of 2018); GB/T 2260 says 71."""
_FIRST_YEAR: Final = 1880
"""Nobody alive was born before."""


class DocumentKind(IntEnum):
    """Kinds by the numbers of the SNMS OpenAPI (`legalCrtType`, `contactCrtType`)."""

    RESIDENT = 1
    PASSPORT = 2
    OTHER = 3


def check_digit(first: str) -> str:
    """The 18th character for the first 17 digits (ISO 7064, MOD 11-2)."""
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(first))
    return "10X98765432"[total % 11]


def check_document(kind: DocumentKind, number: str, field: str, today: date) -> None:
    """Raises ProtoError, naming `field` and the rule, for what is no number of such a document on `today`."""
    holds, zh, en = _RULES[kind]
    if not holds(number, today):
        raise ProtoError(field, f"{field}应为{zh}", f"{field} must be {en}")


def _resident(number: str, today: date) -> bool:
    found = _RESIDENT.fullmatch(number)
    if not found or not (f"{found[1]}0000" in names() or found[1] == _TAIWAN):
        return False
    try:
        born = date(int(found[2]), int(found[3]), int(found[4]))
    except ValueError:
        return False
    return born.year >= _FIRST_YEAR and born <= today and number[-1] == check_digit(number[:-1])


_RULES: Final[dict[DocumentKind, tuple[Callable[[str, date], object], str, str]]] = {
    DocumentKind.RESIDENT: (
        _resident,
        "18位居民身份证号码：地区、出生日期和校验码相符（GB 11643）",
        "a resident identity number of 18 characters whose region, date of birth and check digit are right (GB 11643)",
    ),
    DocumentKind.PASSPORT: (
        lambda number, _: _PASSPORT.fullmatch(number),
        "护照号码：6到9位大写字母和数字",
        "a passport number: 6 to 9 capitals and digits",
    ),
    DocumentKind.OTHER: (
        lambda number, _: 1 <= len(number) <= NUMBER_MOST and number.isprintable() and number == number.strip(),
        f"1到{NUMBER_MOST}个字符的证件号码",
        f"the number of a document, 1 to {NUMBER_MOST} characters",
    ),
}
