"""What is said in IIIDAP, the data access protocol for prefixes (drafts draft-mcd-identifier-access-*, facts §4.4):
answers, errors, and names as they are compared.

Who may see what of a prefix is the registry's; the register of all nodes is in bootstrap.py.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec

from proto.errors import ProtoError

MEDIA_TYPE: Final = "application/iiidap+json"
CONFORMANCE: Final = ("iiidap_level_0",)
NAME_CHARACTERS: Final = 255
"""Longest name of an enterprise (SNMS OpenAPI, `orgName`), and so the longest one worth looking for."""


def answer(members: Mapping[str, Any], *notices: Mapping[str, Any]) -> bytes:
    """The body of an answer: `members`, and notices about the service."""
    return msgspec.json.encode({"iiidapConformance": CONFORMANCE, "notices": notices, "lang": "zh-CN"} | dict(members))


def remark(title: str, *description: str, **more: Any) -> dict[str, Any]:
    """A notice or remark."""
    return {"title": title, "description": description} | more


def link(href: str, rel: str) -> dict[str, str]:
    """A link in a notice or remark."""
    return {"href": href, "rel": rel, "type": MEDIA_TYPE}


def failed(status: int, title: str, *description: str) -> bytes:
    """The body of an answer that is none; `status` is that of HTTP."""
    return answer({"errorCode": status, "title": title, "description": description})


def folded(name: str) -> str:
    """How names are compared: NFKC and case-fold, in width and case alike (IIIDAP-Q §5.1)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which names are looked for: those equal to `text`, or beginning with it if `open`. `text` is folded."""

    text: str
    open: bool

    @classmethod
    def parse(cls, given: str) -> Self | None:
        """`name` or `beginning*`; None for any other pattern. Raises ProtoError for what is no name."""
        if not given or len(given) > NAME_CHARACTERS:
            raise ProtoError(
                "name", f"name应为1到{NAME_CHARACTERS}个字符", f"name must have 1 to {NAME_CHARACTERS} characters"
            )
        text = folded(given.removesuffix("*"))
        return cls(text, given.endswith("*")) if text and "*" not in text else None

    def fits(self, name: str) -> bool:
        """Whether a folded name is one of them."""
        return name.startswith(self.text) if self.open else name == self.text
