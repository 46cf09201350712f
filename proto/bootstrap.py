"""The register of who answers IIIDAP for which prefixes, as the national top-level node publishes it (IIIDAP-A).

Prefixes are matched by labels, the longest entry first; how long a copy is good for, HTTP says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

import msgspec

from proto.errors import ProtoError
from proto.identifier import Prefix

SERVICES_MOST: Final = 10_000
"""Entries of a register: the country has some 400 secondary nodes, and enterprises may move between them."""
URL_CHARACTERS: Final = 255
_VERSION: Final = "1.0"


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """`services` has the URL below which each prefix, and what is under it, is answered for; it ends with a slash."""

    services: Mapping[str, str]

    @classmethod
    def from_octets(cls, octets: bytes) -> Self:
        """Raises ProtoError. Entries that cannot be used are left out, as are all URLs but the best of each."""
        try:
            told = msgspec.json.decode(octets, type=_Told)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ProtoError("bootstrap", "引导注册表无法读取", "the bootstrap registry cannot be read") from None
        if sum(len(entries) for entries, _ in told.services) > SERVICES_MOST:
            raise ProtoError("bootstrap", "引导注册表过大", "the bootstrap registry is too large")
        best = [(entries, _best(urls)) for entries, urls in told.services]
        return cls({entry: url for entries, url in best if url for entry in entries if _is_prefix(entry)})

    def to_octets(self, publication: str, description: str) -> bytes:
        """The register as it is published; `publication` is when it last changed (RFC 3339)."""
        by_url: dict[str, list[str]] = {}
        for prefix, url in sorted(self.services.items()):
            by_url.setdefault(url, []).append(prefix)
        services: list[Any] = [[prefixes, [url]] for url, prefixes in by_url.items()]
        told = {"version": _VERSION, "publication": publication, "description": description, "services": services}
        return msgspec.json.encode(told)

    def base(self, prefix: str) -> str | None:
        """Where `prefix` is asked for: what the longest entry says it is under."""
        while prefix and prefix not in self.services:
            prefix = prefix.rpartition(".")[0]
        return self.services.get(prefix)


class _Told(msgspec.Struct):
    services: list[tuple[list[str], list[str]]]


def _best(urls: list[str]) -> str:
    usable = [url for url in urls if is_base(url)]
    return min(usable, key=lambda url: not url.startswith("https:"), default="")


def is_base(url: str) -> bool:
    """Whether a URL can be one below which prefixes are asked for."""
    if len(url) > URL_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        return False
    return named and parts.scheme in {"http", "https"} and url.endswith("/") and not set("@?#") & set(url)


def _is_prefix(text: str) -> bool:
    try:
        Prefix(text)
    except ProtoError:
        return False
    return True
