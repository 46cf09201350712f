"""10320/loc: XML that says of an identifier at which addresses its thing is, and how one of them is chosen (handle
manual §12).

Pure: chance is given in. Whether an address is one to send a browser to is said in proto/proxy.py.
"""

import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Final, NamedTuple, Self
from urllib.parse import quote

from proto.identifier import Identifier
from proto.values.namespace import parse

TYPE: Final = "10320/loc"
STATUSES: Final = frozenset({301, 302, 303, 307, 308})
"""What `http_sc` may say: the statuses by which a browser goes on (RFC 9110 §15.4)."""
_CHOOSE_BY: Final = "locatt,address,country,score,weighted"
"""Where `chooseby` is missing. `address` and `score` choose nothing here: whence a browser asks is not looked up."""
_WEIGHT: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)


class Location(NamedTuple):
    """One address, by its attributes."""

    attributes: dict[str, str]

    @property
    def weight(self) -> float:
        """How often it is chosen, measured by the others; 1 where that is not said, or not with a number."""
        said = self.attributes.get("weight", "")
        return float(said) if _WEIGHT.fullmatch(said) else 1.0

    @property
    def country(self) -> str:
        """The country it is for, in small letters; empty: for all."""
        return self.attributes.get("country", "").lower()

    @property
    def status(self) -> int | None:
        """The status of a redirect to it, where it asks for one."""
        said = self.attributes.get("http_sc", "")
        return int(said) if said in map(str, STATUSES) else None

    @property
    def negotiated(self) -> bool:
        """Whether it is for those only who ask for a media type."""
        return self.attributes.get("http_role", "").lower() == "conneg"

    def address(self, identifier: Identifier) -> str:
        """Its `href`, or its `href_template` with `{hdl}` filled in; empty when it has neither."""
        template = self.attributes.get("href_template", "")
        return self.attributes.get("href") or template.replace("{hdl}", quote(str(identifier)))

    def suits(self, asker: "Asker") -> bool:
        """Whether it is just what was asked for: an attribute, or the country."""
        wished = any(self.attributes.get(name) == value for name, value in asker.attributes)
        return wished or (bool(self.country) and self.country == asker.country.lower())


class Asker(NamedTuple):
    """What is known of who asks: the attributes wished for (`locatt=name:value`), a country, and the `media_types`
    liked better than a page, in small letters, best first.
    """

    attributes: Sequence[tuple[str, str]] = ()
    country: str = ""
    media_types: Sequence[str] = ()


class Locations(NamedTuple):
    """All of them, with the methods by which one is chosen, in turn."""

    choose_by: tuple[str, ...]
    all_: tuple[Location, ...]

    @classmethod
    def from_octets(cls, octets: bytes) -> Self:
        """Reads the data of a 10320/loc value. Raises ProtoError."""
        root = parse(octets, "locations")
        methods = root.attributes.get("chooseby", _CHOOSE_BY).lower().split(",")
        found = (Location(each.attributes) for each in root.children if each.name == "location")
        return cls(tuple(each.strip() for each in methods), tuple(found))

    def chosen(self, asker: Asker, chance: float) -> Location | None:
        """The location for `asker`, whatever media type they like; `chance` is from 0 to below 1. None: there is none.

        One of weight 0 is chosen only where it `suits`.
        """
        left = [each for each in self.all_ if not each.negotiated and not each.attributes.keys().isdisjoint(_ADDRESSES)]
        for method in takewhile("weighted".__ne__, self.choose_by):
            left = _METHODS.get(method, _all)(left, asker)
        left = [each for each in left if each.weight] or [each for each in left if each.suits(asker)]
        return _drawn(left, chance) if "weighted" in self.choose_by else next(iter(left), None)

    def negotiated(self, media_types: Sequence[str]) -> Location | None:
        """The location for who likes these media types, best first."""
        return next(
            (
                each
                for wanted in media_types
                for each in self.all_
                if each.negotiated and each.attributes.get("media_type", wanted).lower() == wanted
            ),
            None,
        )


_ADDRESSES: Final = ("href", "href_template")


def _all(left: list[Location], _: Asker) -> list[Location]:
    return left


def _wished(left: list[Location], asker: Asker) -> list[Location]:
    for name, value in asker.attributes:
        left = [each for each in left if each.attributes.get(name) == value] or left
    return left


def _of_country(left: list[Location], asker: Asker) -> list[Location]:
    theirs = [each for each in left if each.country and each.country == asker.country.lower()]
    return theirs or [each for each in left if not each.country] or left


_METHODS: Final = {"locatt": _wished, "country": _of_country}


def _drawn(left: list[Location], chance: float) -> Location | None:
    point = chance * sum(each.weight for each in left)
    for each in left:
        point -= each.weight
        if point < 0:
            return each
    return left[-1] if left else None
