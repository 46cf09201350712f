"""`Identifier` and `Prefix`: the names everything here is about, frozen and born valid.

No rule of registration lives here: which prefixes are ours and which suffixes an industry wants is registry's.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import msgspec

from proto.errors import ProtoError
from proto.limits import IDENTIFIER_CHARACTERS, PREFIX_CHARACTERS

_FOLD: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
"""ASCII letters only: the deployed servers never fold others (handle reference §1.1)."""

_PLAIN: Final = re.compile(r"(?!0\.)([0-9][0-9.]{,63})/([!-~]+)", re.ASCII)
"""The everyday spelling, `88.999.1001/BAG-2026-000017`: nothing in it needs a closer look but its length."""

_VISIBLE: Final = re.compile("[!-~]+")
"""What such a suffix is made of."""

_EVERYDAY: Final = re.compile(rb"(?!0\.)([0-9][0-9.]{,63})/[A-Za-z0-9._~!$'()*+,;=:@/-]+")
"""Such spellings that have nothing to encode in a path (RFC 3986 section 3.3) or in JSON either."""

_ALLOCATED: Final = re.compile(r"[0-9]{2}(\.[0-9]{1,16}){1,2}", re.ASCII)
"""`88.118` (secondary node) or `88.118.8` (enterprise). Labels are digit strings: leading zeros occur."""

_REFUSED: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories nobody can type or scan: control, lone surrogate, line and paragraph separator."""


def fold(text: str) -> str:
    """`text` with its ASCII letters upper-cased and nothing else changed."""
    return text.translate(_FOLD)


def _check_characters(part: str, text: str) -> None:
    for character in text:
        if unicodedata.category(character) in _REFUSED:
            point = f"U+{ord(character):04X}"
            raise ProtoError(
                part,
                f"{part}含有不允许的字符{point}",
                f"{part} holds the character {point}, which is not allowed",
            )


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prefix as allocated by a top-level or secondary node: two or three labels of digits, ≤ 64 characters."""

    name: str

    def __post_init__(self) -> None:
        if len(self.name) > PREFIX_CHARACTERS or not _ALLOCATED.fullmatch(self.name):
            raise ProtoError(
                "prefix",
                "prefix应为两段或三段数字，例如88.999.1001，最长64个字符",
                "prefix must be two or three labels of digits such as 88.999.1001, at most 64 characters",
            )

    @property
    def parent(self) -> str:
        """The prefix this one is derived from: `88.999` of `88.999.1001`."""
        return self.name.rpartition(".")[0]


class Identifier(msgspec.Struct, frozen=True, eq=False, gc=False):
    """`prefix "/" suffix`, 3 to 255 characters, split at the first slash (secondary-node facts §1.1).

    Equality and hash go by `key`, the spelling under which the record is kept: ASCII letters of the prefix
    upper-cased, and all of them in a `0.…` handle. The suffix is case-sensitive otherwise. `text` is how it was
    spelt. Parts of both are kept beside them: each row of a batch is asked for them ten times.
    """

    text: str
    prefix: str
    suffix: str
    key: str
    prefix_key: str
    suffix_key: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The identifier spelt `text`. Raises ProtoError with one sentence naming the rule."""
        plain = _PLAIN.fullmatch(text)
        if plain is not None and len(text) <= IDENTIFIER_CHARACTERS:
            prefix, suffix = plain.groups()
            return cls(text, prefix, suffix, text, prefix, suffix)
        if len(text) > IDENTIFIER_CHARACTERS:
            raise ProtoError(
                "handle",
                f"标识长度不能超过{IDENTIFIER_CHARACTERS}个字符",
                f"an identifier has at most {IDENTIFIER_CHARACTERS} characters",
            )
        if not text:
            raise ProtoError("handle", "标识不能为空", "Empty handle invalid")
        prefix, slash, suffix = text.partition("/")
        if not slash or not prefix or not suffix:
            raise ProtoError(
                "handle",
                "标识应由前缀、“/”和后缀组成，例如88.999.1001/BAG-1",
                "an identifier is a prefix, a slash and a suffix, such as 88.999.1001/BAG-1",
            )
        if len(prefix) > PREFIX_CHARACTERS:
            raise ProtoError(
                "handle",
                f"标识的前缀不能超过{PREFIX_CHARACTERS}个字符",
                f"the prefix of an identifier has at most {PREFIX_CHARACTERS} characters",
            )
        _check_characters("handle", text)
        if any(c.isspace() for c in prefix) or suffix[0].isspace() or suffix[-1].isspace():
            raise ProtoError(
                "handle",
                "标识的前缀不能含空格，后缀首尾不能是空格",
                "the prefix of an identifier holds no space, and its suffix neither begins nor ends with one",
            )
        prefix_key, suffix_key = fold(prefix), fold(suffix) if prefix.startswith("0.") else suffix
        return cls(text, prefix, suffix, f"{prefix_key}/{suffix_key}", prefix_key, suffix_key)

    @classmethod
    def everyday(cls, octets: bytes) -> Self | None:
        """The identifier whose key is spelt `octets`, if nothing of that needs encoding in a path or in JSON."""
        said = _EVERYDAY.fullmatch(octets)
        if said is None or len(octets) > IDENTIFIER_CHARACTERS:
            return None
        text, slash = octets.decode(), said.end(1)
        prefix, suffix = text[:slash], text[slash + 1 :]
        return cls(text, prefix, suffix, text, prefix, suffix)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identifier) and self.key == other.key

    def __ne__(self, other: object) -> bool:  # what Struct has instead would compare the fields, or nothing
        return not self == other

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return self.text


def is_key(text: str) -> bool:
    """Whether `text` spells an identifier as it is kept. Raises ProtoError when it spells none."""
    if len(text) <= IDENTIFIER_CHARACTERS and _PLAIN.fullmatch(text) is not None:
        return True
    return Identifier.parse(text).key == text


def are_keys(start: str, ends: Sequence[str]) -> bool:
    """Whether `start`, a prefix and its slash, spells with each of `ends` an identifier as it is kept. Raises
    ProtoError when it spells none with one of them.
    """
    together = "".join(ends)
    if (
        all(ends)
        and _VISIBLE.fullmatch(together) is not None
        and len(start) + max(map(len, ends)) <= IDENTIFIER_CHARACTERS
        and _PLAIN.fullmatch(start + ends[0]) is not None
    ):
        return True
    return all(is_key(start + end) for end in ends)


def is_everyday(octets: bytes) -> bool:
    """Whether `octets` spell the key of an identifier of which nothing needs encoding in a path or in JSON."""
    return len(octets) <= IDENTIFIER_CHARACTERS and _EVERYDAY.fullmatch(octets) is not None


PREFIX_HANDLES: Final = "0.NA"
"""The prefix of what is known of prefixes: `0.NA/88.999.1001` is the handle of one (handle reference §1.1)."""
_HANDLE_OF: Final = f"{PREFIX_HANDLES}/"


def is_prefix_handle(key: str) -> bool:
    """Whether an identifier, by its key, is the handle of a prefix."""
    return key.startswith(_HANDLE_OF)


def prefix_of(identifier: Identifier) -> str:
    """The prefix an identifier is about: its own, and for the handle of a prefix that one."""
    return identifier.suffix_key if is_prefix_handle(identifier.key) else identifier.prefix_key


def prefix_named(text: str) -> str:
    """The prefix a text names, by itself or by its handle; as it is kept, and perhaps none at all."""
    return fold(text).removeprefix(_HANDLE_OF)
