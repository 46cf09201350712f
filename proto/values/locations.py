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
"""Where none is said. `address` chooses nothing here: what is told one asker may be kept for others."""
_NUMBER: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_MEDIA_TYPES: Final = ("ctype", "media-type", "media_type")
"""What the attribute is called in deployed records."""


class Location(NamedTuple):
    """One address, by its attributes, and the status all of them ask for that ask for none."""

    attributes: dict[str, str]
    usual: str = ""

    @property
    def weight(self) -> float:
        """How often it is chosen, measured by the others; 1 where that is not said, or not with a number."""
        return _number(self.attributes.get("weight", ""), 1.0)

    @property
    def score(self) -> float:
        """How good it is, measured by the others; 0 where that is not said."""
        return _number(self.attributes.get("score", ""), 0.0)

    @property
    def country(self) -> str:
        """The country it is for, in small letters; empty: for all."""
        return self.attributes.get("country", "").lower()

    @property
    def status(self) -> int | None:
        """The status of a redirect to it, where it asks for one."""
        said = self.attributes.get("http_sc", self.usual)
        return int(said) if said in map(str, STATUSES) else None

    @property
    def negotiated(self) -> bool:
        """Whether it is for those only who ask for a media type."""
        return self.attributes.get("http_role", "").lower() == "conneg"

    @property
    def media_type(self) -> str:
        """The media type it is for, in small letters; empty: for all."""
        return next((self.attributes[name].lower() for name in _MEDIA_TYPES if name in self.attributes), "")

    def address(self, identifier: Identifier) -> str:
        """Its `href`, or its `href_template` with `{hdl}` filled in, as a part of a path or query, or `{hdl:path}`, as
        a path; empty when it has neither.
        """
        template = self.attributes.get("href_template", "")
        filled = template.replace("{hdl}", quote(str(identifier), safe=""))
        return self.attributes.get("href") or filled.replace("{hdl:path}", quote(str(identifier)))

    def has(self, name: str, value: str | None) -> bool:
        """Whether it has the attribute, of that value where one is asked for."""
        found = self.attributes.get(name)
        return found is not None and value in {None, found}

    def suits(self, asker: "Asker") -> bool:
        """Whether it is just what was asked for: an attribute, or the country."""
        wished = any(self.has(name, value) for name, value in asker.attributes)
        return wished or (bool(self.country) and self.country == asker.country.lower())


class Asker(NamedTuple):
    """What is known of who asks: the attributes wished for (`locatt=name:value`; None: of any value), a country, and
    the `media_types` liked better than a page, in small letters, best first.
    """

    attributes: Sequence[tuple[str, str | None]] = ()
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
        said = (root.attributes.get(name) for name in ("choose_by", "chooseby"))
        methods = next((each for each in said if each is not None), _CHOOSE_BY).lower().split(",")
        usual = root.attributes.get("http_sc", "")
        found = (Location(each.attributes, usual) for each in root.children if each.name == "location")
        return cls(tuple(each.strip() for each in methods), tuple(found))

    def chosen(self, asker: Asker, chance: float) -> Location | None:
        """The location for `asker`, whatever media type they like; `chance` is from 0 to below 1. None: there is none.

        One of weight 0 is chosen only where it `suits`.
        """
        left = [each for each in self.all_ if not each.negotiated and not each.attributes.keys().isdisjoint(_ADDRESSES)]
        for method in takewhile("weighted".__ne__, self.choose_by):
            left = _METHODS.get(method, _all)(left, asker)
        left = [each for each in left if each.weight] or [each for each in left if each.suits(asker)]
        return _drawn(left, chance)

    def negotiated(self, media_types: Sequence[str]) -> Location | None:
        """The location for who likes these media types, best first."""
        return next(
            (
                each
                for wanted in media_types
                for each in self.all_
                if each.negotiated and each.media_type in {"", wanted}
            ),
            None,
        )


_ADDRESSES: Final = ("href", "href_template")


def _all(left: list[Location], _: Asker) -> list[Location]:
    return left


def _wished(left: list[Location], asker: Asker) -> list[Location]:
    for name, value in asker.attributes:
        left = [each for each in left if each.has(name, value)] or left
    return left


def _of_country(left: list[Location], asker: Asker) -> list[Location]:
    theirs = [each for each in left if each.country and each.country == asker.country.lower()]
    return theirs or [each for each in left if not each.country] or left


def _best(left: list[Location], _: Asker) -> list[Location]:
    most = max((each.score for each in left), default=0.0)
    return [each for each in left if each.score == most]


_METHODS: Final = {"locatt": _wished, "country": _of_country, "score": _best}


def _number(said: str, otherwise: float) -> float:
    return float(said) if _NUMBER.fullmatch(said) else otherwise


def _drawn(left: list[Location], chance: float) -> Location | None:
    point = chance * sum(each.weight for each in left)
    for each in left:
        point -= each.weight
        if point < 0:
            return each
    return left[-1] if left else None
