"""What a proxy of the Handle system does with a record (handle reference §3.6): whether it goes on to another
identifier, and to which address it sends a browser.

Pure: time and chance are given in. Pages and headers are a door's.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import quoteattr

from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.value import Value, type_matches
from proto.values import locations, pointer
from proto.values.locations import Asker, Location, Locations

ALIASES_MOST: Final = 8
"""Aliases followed one after another: whoever needs more has made a circle, or will not find the way back."""
ADDRESS_OCTETS: Final = 4096
"""Longest address sent to: half of what servers take as the first line of a request (RFC 9110 §4.1 asks for 8000)."""
_SAFE: Final = "%/:?#[]@!$&'()*+,;=~"
"""What stands in an address as it is (RFC 3986 §2); all else is encoded, line ends and backslashes too."""
_HOST: Final = re.compile(r"[^\s/?#\\]+", re.ASCII)
_PAGE: Final = re.compile(r"/[0-9][0-9.]*(/|%2F)", re.IGNORECASE)
"""How the path of an identifier's page begins."""


class Target(NamedTuple):
    """Where a browser is sent: address, the status its owner asks for if any, and for how many seconds that holds."""

    address: str
    status: int | None
    seconds: int


def alias(values: Sequence[Value]) -> Identifier | None:
    """The identifier a record says is to be asked for instead (HS_ALIAS); what spells none is passed over."""
    for value in values:
        if type_matches("HS_ALIAS", value.type):
            with suppress(ProtoError):
                return pointer.from_octets(value.data, "HS_ALIAS")
    return None


def negotiated(values: Sequence[Value], identifier: Identifier, media_types: Sequence[str], now: int) -> Target | None:
    """Where who likes these media types better than a page is sent; None without a location for them."""
    return next(_chosen(values, identifier, now, lambda found: found.negotiated(media_types)), None)


def target(values: Sequence[Value], identifier: Identifier, asker: Asker, now: int, chance: float) -> Target | None:
    """Where `values` send who asks: the location chosen for them, else the first URL, else the first of its sub-types.

    `now`: seconds since 1970 UTC; `chance`: from 0 to below 1.
    """
    if found := negotiated(values, identifier, asker.media_types, now):
        return found
    located = _chosen(values, identifier, now, lambda found: found.chosen(asker, chance))
    return next(chain(located, (sent for value in _urls(values) if (sent := by_value(value, now)))), None)


def _chosen(
    values: Sequence[Value], identifier: Identifier, now: int, choose: Callable[[Locations], Location | None]
) -> Iterator[Target]:
    for value in values:
        if type_matches(locations.TYPE, value.type):
            with suppress(ProtoError):  # the next one, or a URL, may say where to go
                chosen = choose(Locations.from_octets(value.data))
                if chosen is not None and (found := address(chosen.address(identifier))):
                    yield Target(found, chosen.status, _seconds(value, now))


def by_value(value: Value, now: int) -> Target | None:
    """Where a value sends whose data is an address."""
    with suppress(UnicodeDecodeError):
        if found := address(value.data.decode()):
            return Target(found, None, _seconds(value, now))
    return None


def _urls(values: Sequence[Value]) -> list[Value]:
    urls = [value for value in values if type_matches("URL.", value.type)]
    return sorted(urls, key=lambda value: not type_matches("URL", value.type))


def _seconds(value: Value, now: int) -> int:
    return max(0, value.ttl - now) if value.ttl_absolute else value.ttl


def address(text: str) -> str | None:
    """`text` as an address that may stand in a header and be opened: http or https, with a host, of ADDRESS_OCTETS at
    most. None: it is no such.
    """
    try:
        parts = urlsplit(text.strip())
        host, port = parts.netloc, parts.port
        if not host.isascii():
            host = (parts.hostname or "").encode("idna").decode() + (f":{port}" if port else "")
    except ValueError:  # UnicodeError and ports that are none among them
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not _HOST.fullmatch(host):
        return None
    found = quote(parts._replace(netloc=host).geturl(), safe=_SAFE)
    return found if len(found) <= ADDRESS_OCTETS else None


def appended(given: str, more: str) -> str | None:
    """The address `given` with `more` behind it (`urlappend`); None when that is too long.

    Who asks chooses what is appended, so it never touches the host.
    """
    bare = not any(urlsplit(given)[2:]) and more[:1] not in "/?#"
    found = given + "/" * bare + quote(more, safe=_SAFE)
    return found if len(found) <= ADDRESS_OCTETS else None


def halted(given: str, hosts: Iterable[str]) -> str:
    """`given`, with `noredirect` where it is an identifier's page on one of our own `hosts` (with or without port):
    nobody is sent round in a circle.
    """
    parts = urlsplit(given)
    if not _PAGE.match(parts.path) or parts.hostname not in map(_hostname, hosts):
        return given
    return parts._replace(query="&".join(filter(None, (parts.query, "noredirect")))).geturl()


def _hostname(host: str) -> str | None:
    with suppress(ValueError):
        return urlsplit(f"//{host}").hostname
    return None


def listed(values: Sequence[Value], attribute: int) -> bytes:
    """All addresses of a record, that at the index `attribute` too, as one 10320/loc (`action=showurls`)."""
    lines = [
        f"<location {' '.join(f'{n}={quoteattr(t)}' for n, t in each.items())}/>"
        for each in _located(values, attribute)
    ]
    return "\n".join(('<?xml version="1.0" encoding="UTF-8"?>', "<locations>", *lines, "</locations>\n")).encode()


def _located(values: Sequence[Value], attribute: int) -> Iterator[dict[str, str]]:
    for value in values:
        if type_matches(locations.TYPE, value.type):
            with suppress(ProtoError):
                yield from (each.attributes for each in Locations.from_octets(value.data).all_)
    urls = chain((value for value in values if value.index == attribute), _urls(values))
    yield from ({"href": sent.address} for value in urls if (sent := by_value(value, 0)))
