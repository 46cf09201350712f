"""The suffix rule of an industry: a list of segments that a suffix is made of, in order. Pure.

A rule is data (registry/industries/*.toml); this room only compiles, checks and explains it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

Kind = Literal["const", "code", "digits", "date", "serial"]

ALPHABETS: Final = {
    "code": "[A-Za-z0-9._-]",
    "digits": "[0-9]",
    "serial": "[0-9]",
}
DATES: Final = {
    "yyyy": "[0-9]{4}",
    "yyyyMM": "[0-9]{4}(?:0[1-9]|1[0-2])",
    "yyyyMMdd": "[0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])",
}
TEXT_CHARACTERS: Final = 64
"""Longest constant or name of a part."""
MOST: Final = 250
"""Longest part: an identifier has 255 characters."""
SEGMENTS_MOST: Final = 20
_NAMED: Final = (
    f"应为1到{TEXT_CHARACTERS}个可打印字符",
    f"must not be empty, nor longer than {TEXT_CHARACTERS} printable characters",
)


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a suffix.

    const: exactly `text`. date: `text` is yyyy, yyyyMM or yyyyMMdd. code, digits, serial: `least` to `most`
    characters of the kind's alphabet. `zh` and `en` name the part for people.
    """

    kind: Kind
    zh: str
    en: str
    text: str = ""
    least: int = 1
    most: int = 32

    @property
    def pattern(self) -> str:
        """The segment as a regular expression without groups."""
        if self.kind == "const":
            return re.escape(self.text)
        if self.kind == "date":
            return DATES[self.text]
        return f"{ALPHABETS[self.kind]}{{{self.least},{self.most}}}"

    @property
    def shape(self) -> tuple[str, str]:
        """The segment as people read it, in Chinese and English."""
        if self.kind == "const":
            return self.text, self.text
        return f"{{{self.zh}}}", f"{{{self.en}}}"

    @property
    def flaws(self) -> Iterator[tuple[str, str, str]]:
        """What is wrong with it: field, and the rule it breaks in Chinese and English."""
        suits = {"const": bool(self.text), "date": self.text in DATES}.get(self.kind, not self.text)
        rows = (
            (
                "text",
                suits and len(self.text) <= TEXT_CHARACTERS and (not self.text or self.text.isprintable()),
                "与段的类型不符",
                f"does not suit a {self.kind}",
            ),
            ("zh", 0 < len(self.zh) <= TEXT_CHARACTERS and self.zh.isprintable(), _NAMED[0], _NAMED[1]),
            ("en", 0 < len(self.en) <= TEXT_CHARACTERS and self.en.isprintable(), _NAMED[0], _NAMED[1]),
            (
                "most",
                1 <= self.least <= self.most <= MOST,
                f"应满足1≤least≤most≤{MOST}",
                f"1 <= least <= most <= {MOST}",
            ),
        )
        return ((field, zh, en) for field, kept, zh, en in rows if not kept)


@dataclass(frozen=True)
class SuffixRule:
    """Segments in order; an empty rule admits every suffix."""

    segments: tuple[Segment, ...] = ()

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile("".join(s.pattern for s in self.segments), re.ASCII)

    def admits(self, suffix: str) -> bool:
        """Whether `suffix` is made as the rule says."""
        return not self.segments or self._expression.fullmatch(suffix) is not None

    @property
    def shape(self) -> tuple[str, str]:
        """What a suffix looks like, in Chinese and English: `BAG-{款号}-{序列号}`."""
        zh, en = "", ""
        for segment in self.segments:
            zh += segment.shape[0]
            en += segment.shape[1]
        return zh, en
