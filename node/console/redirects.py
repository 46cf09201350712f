"""What GET /{identifier} does as a proxy of the Handle system: aliases followed, browsers sent on, addresses listed.

What a record's values come to stands in proto/proxy.py, pages in pages.py.
"""

from collections.abc import Sequence
from contextlib import suppress
from email.utils import formatdate
from html import escape
from random import SystemRandom
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from node import clock
from node.console.pages import page_path
from node.hypertext import SAFE, weighed
from node.listen import handle_api
from node.listen.http import HOUSE, onward
from node.resolve.answer import Answer, Outcome
from proto import proxy
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.proxy import Target
from proto.value import TEMPLATE_INDEX, Value
from proto.values.locations import Asker
from proto.web_json import selected, value_from_json

NOT_KEPT: Final = {"Cache-Control": "no-store"}
VARY: Final = {"Vary": "Accept, Accept-Language, Authorization"}

WISHES_MOST: Final = 8
"""Attributes of a location that are looked at: each is compared with those of a thousand locations."""

SHOWN: Final = frozenset({"showvalues", "showurls"})
"""What `action` says where nobody is to be sent on; by any other they are."""
METADATA: Final = "metadata"
"""The `action` that is short for `locatt=role:metadata`."""

_array: Final = msgspec.json.Decoder(list[dict[str, Any]]).decode
_chance: Final = SystemRandom().random


class Wish(NamedTuple):
    """What the query of a request asks for (handle reference §3.6).

    `auth` and `cert` are taken and change nothing, as in the Handle HTTP API. An `action` says more than `noredirect`.
    """

    redirect: bool
    aliases: bool
    action: str
    indexes: frozenset[int]
    types: tuple[str, ...]
    append: str
    asker: Asker

    @classmethod
    def of(cls, request: web.Request, media_types: Sequence[str]) -> Self:
        """Raises ProtoError naming the parameter that is wrong."""
        query = request.query
        attributes = (each.partition(":") for each in query.getall("locatt", ())[:WISHES_MOST])
        wishes = [(name, value if colon else None) for name, colon, value in attributes]
        action = query.get("action", "").lower()
        if action == METADATA:
            wishes.append(("role", "metadata"))
        wishes += [("language", each) for each in _languages(request)]
        return cls(
            redirect=action not in SHOWN if action else not handle_api.flag(query, "noredirect"),
            aliases=not handle_api.flag(query, "ignore_aliases"),
            action=action,
            indexes=frozenset(map(handle_api.index_of, query.getall("index", ()))),
            types=tuple(query.getall("type", ())),
            append=query.get("urlappend", ""),
            asker=Asker(wishes, query.get("country", ""), media_types),
        )

    def of_shown(self, shown: bytes) -> bytes:
        """Those of the values an answer shows that are asked for."""
        return selected(shown, self.indexes, self.types) if self.indexes or self.types else shown


def _languages(request: web.Request) -> list[str]:
    """The languages that are accepted, in small letters, best first; what is asked for by name goes before them."""
    said = weighed(",".join(request.headers.getall("Accept-Language", ())))
    liked = sorted((each for each in said if each[1] > 0), key=lambda each: -each[1])
    return [name for name, _ in liked[:WISHES_MOST]]


class Trail(NamedTuple):
    """Whom was asked last, what is told of it, to them alone (`private`) or not, and what was told of the aliases
    before it. `circle`: it is one alias too many.
    """

    identifier: Identifier
    answer: Answer
    private: bool
    aliases: tuple[Answer, ...] = ()
    circle: bool = False

    @property
    def tag(self) -> str:
        """The entity tag of all of it, without quotes."""
        return "-".join(each.tag[1:-1] for each in (*self.aliases, self.answer))

    def seconds(self, most: int) -> int:
        """How long others may keep what comes of it, `most` at most."""
        now = clock.seconds()
        return min(each.life(most, now) for each in (*self.aliases, self.answer))


async def follow(request: web.Request, wanted: Identifier, *, aliases: bool) -> Trail:
    """Asks for `wanted`, and for what it is an alias of. Each is a question of its own: counted, written down, and
    answered with what who asks may see. Raises as `handle_api.ask` does.
    """
    further, before = onward(request), {wanted.key}
    answer, private = await handle_api.ask(request, wanted, further=further)
    trail = Trail(wanted, answer, private)
    while aliases and (other := _alias(trail.answer)):
        if other.key in before or len(before) > proxy.ALIASES_MOST:
            return trail._replace(circle=True)
        before.add(other.key)
        answer, private = await handle_api.ask(request, other, further=further)
        trail = Trail(other, answer, trail.private or private, (*trail.aliases, trail.answer))
    return trail


def _alias(answer: Answer) -> Identifier | None:
    if answer.outcome is not Outcome.FOUND or is_templated(answer):
        return None
    return proxy.alias(values(answer.shown))


def is_templated(answer: Answer) -> bool:
    """Whether the record has a template, here or where it lives, or is one."""
    named = (TEMPLATE_INDEX, "TEMPLATE")
    return bool(answer.template) or any((each["index"], each["type"]) == named for each in _array(answer.shown))


def values(shown: bytes) -> list[Value]:
    """The values of an answer; what another node says that none could be made of is passed over."""
    found = []
    for each in _array(shown):
        with suppress(ProtoError):
            found.append(value_from_json(each))
    return found


async def negotiates(request: web.Request, raw: str, media_types: Sequence[str]) -> bool:
    """Whether what everybody sees of the identifier in the path has an address for these media types.

    This is asked for nobody, and so not counted: what they are told then, is.
    """
    try:
        wanted = Identifier.parse(handle_api.asked_for(raw))
    except ProtoError:
        return False
    answer = await request.app[HOUSE].hot.ask(wanted, onward=onward(request))
    if answer.outcome is not Outcome.FOUND or is_templated(answer):
        return False
    return proxy.negotiated(values(answer.shown), wanted, media_types, clock.seconds()) is not None


def target(trail: Trail, wish: Wish, attribute: int) -> Target | None:
    """Where a record sends a browser: by its value at the index `attribute`, or by all of them (0)."""
    if not wish.redirect:
        return None
    found, now = values(wish.of_shown(trail.answer.shown)), clock.seconds()
    if attribute:
        sent = next((proxy.by_value(value, now) for value in found if value.index == attribute), None)
    else:
        sent = proxy.target(found, trail.identifier, wish.asker, now, _chance())
    if sent is None or not wish.append:
        return sent
    longer = proxy.appended(sent.address, wish.append)
    return sent._replace(address=longer) if longer else None


def redirect(request: web.Request, trail: Trail, to: Target) -> web.Response:
    """The response that sends a browser there: 302, or what its owner asks for; behind an alias to the page of what it
    is of, with all that was asked for, and 301. With `redirectionHeaders` all of it is shown, and nobody sent (200).
    """
    config, query = request.app[HOUSE].config, request.rel_url.raw_query_string
    address = proxy.halted(to.address, (request.host, urlsplit(config.public_url).netloc))
    status = to.status or 302
    if trail.aliases:
        address, status = page_path(str(trail.identifier)) + (f"?{query}" if query else ""), 301
    seconds = min(to.seconds, trail.seconds(config.cache_seconds))
    kept = {
        "Cache-Control": f"public, max-age={seconds}",
        "Expires": formatdate(clock.seconds() + seconds, usegmt=True),
    }
    linked = escape(address)
    return web.Response(
        status=200 if "redirectionHeaders" in request.query else status,
        text=f'<!doctype html><title>{escape(str(trail.identifier))}</title><a href="{linked}">{linked}</a>\n',
        headers=SAFE | VARY | (NOT_KEPT if trail.private else kept) | {"Location": address},
        content_type="text/html",
    )
