"""Where prefixes are answered for, as their handles `0.NA/…` say it, and whom to ask instead of this node.

Nothing is followed here: whoever is referred asks there themselves.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Final, NamedTuple

from node.site import site_of_route
from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import PREFIX_HANDLES, Identifier, Prefix, fold, is_prefix_handle
from proto.value import Value
from proto.values.site import Site
from registry.lookup import Lookup

SITE_INDEX: Final = 500
"""Where deployed nodes keep the site of a prefix (secondary-node facts §4.2)."""
STRANGERS_MOST: Final = 4096
"""Prefixes remembered to be none of ours, some 100 octets each: more than nodes ask each other for in a minute."""

_SITE: Final = "HS_SITE"
_SERVICE: Final = "HS_SERV"


class Referral(NamedTuple):
    """Who answers instead: the values that say so, and the code they go with."""

    code: ResponseCode
    values: tuple[Value, ...]


async def _nowhere(_: Identifier) -> tuple[Site, ...]:
    return ()


class Signposts:
    """Tells where to ask. `here` is the site of this node, where the settings name its address.

    `pointed` says where the national top-level node has identifiers resolved that are not ours. Raises UnavailableError
    or BusyError.
    """

    def __init__(self, lookup: Lookup, here: Site | None) -> None:
        self._lookup = lookup
        self._here = here
        self._strangers: OrderedDict[str, int] = OrderedDict()
        self.pointed: Callable[[Identifier], Awaitable[tuple[Site, ...]]] = _nowhere

    async def completed(self, identifier: Identifier, values: Sequence[Value]) -> tuple[Value, ...]:
        """The values of a record; to those of the handle of a prefix belongs the site where the prefix is answered for,
        unless they say themselves where that is.
        """
        told = is_prefix_handle(identifier.key) and not any(fold(v.type) in {_SITE, _SERVICE} for v in values)
        site = await self._site(identifier.suffix_key) if told else None
        if site is None:
            return tuple(values)
        taken = {value.index for value in values}
        index = next(n for n in count(SITE_INDEX) if n not in taken)
        return tuple(sorted((*values, Value(index, _SITE, site.to_octets())), key=lambda value: value.index))

    async def _site(self, name: str) -> Site | None:
        prefix = await self._lookup.prefix(name, anywhere=True)
        if prefix is None or not prefix.elsewhere:
            return self._here
        route = await self._lookup.route(name)
        return site_of_route(route) if route is not None else None

    async def referral(self, name: str, at: int = 0) -> Referral | None:
        """Whom to ask about what is under the prefix `name`; None when it lives here, or nobody is known.

        `at` is the number of the catalogue as whoever asks knows it: what was none of ours then is not looked up again.
        """
        if at and self._strangers.get(name) == at:
            return None
        prefix = await self._lookup.prefix(name, anywhere=True)
        if prefix is not None and not prefix.elsewhere:
            return None
        if prefix is not None and prefix.state.open:
            return await self._stored(name)
        if prefix is not None or self._below(name):
            return await self._of_toplevel(name)
        if at:
            self._strangers[name] = at
            while len(self._strangers) > STRANGERS_MOST:
                self._strangers.popitem(last=False)
        return None

    def _below(self, name: str) -> bool:
        try:
            return Prefix(name).parent == self._lookup.node
        except ProtoError:
            return False

    async def _stored(self, name: str) -> Referral | None:
        """What the handle of a prefix says, that lives at its enterprise's own node."""
        handle = Identifier.parse(f"{PREFIX_HANDLES}/{name}")
        stored = (await self._lookup.look([handle]))[0]
        kept = (await self._lookup.record(stored))[0].values if stored.live else ()
        values = [value for value in await self.completed(handle, kept) if value.public]
        for type_, code in ((_SERVICE, ResponseCode.SERVICE_REFERRAL), (_SITE, ResponseCode.PREFIX_REFERRAL)):
            if said := tuple(value for value in values if fold(value.type) == type_):
                return Referral(code, said)
        return None

    async def _of_toplevel(self, name: str) -> Referral | None:
        sites = await self.pointed(Identifier.parse(f"{name}/0"))
        values = tuple(Value(SITE_INDEX + n, _SITE, site.to_octets()) for n, site in enumerate(sites))
        return Referral(ResponseCode.PREFIX_REFERRAL, values) if values else None
