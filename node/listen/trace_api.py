"""GET /api/v1/trace/{identifier}: what an identifier is made of and what is made with it, as far as its asker may see.

Every node and reference shown is one its asker could have read; what is hidden leads nowhere.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import web

from node.house import House
from node.listen.handle_api import asked_for, raw_path
from node.listen.http import HOUSE, encoded, witnessed
from node.listen.own_door import OwnError, explained, signed_in, whole_number
from proto.identifier import Identifier
from proto.value import Value
from proto.web_json import array
from registry import reference
from registry.account import Account
from registry.postgres.records import Stored
from registry.prefix import PrefixState
from registry.reference import Links
from registry.sight import NOTHING, Reach, visible_values
from registry.template import Template

TRACE: Final = "/api/v1/trace/"
DEPTH_USUAL: Final = 3
DEPTH_MOST: Final = 10
"""Steps from the identifier asked for: the longest chain of the industries has four."""
BREADTH_MOST: Final = 100
"""References of one identifier that are followed, in either direction: a pack's cells, a carton's bags."""
NODES_MOST: Final = 500
"""Identifiers of one answer: some 2 MB when they are rich, and a fifth of a second of a worker."""
LOOK_MOST: Final = 50
"""Identifiers asked for at once: others have their turn in between."""
OCTETS_MOST: Final = 4 * 1024 * 1024
"""Octets of all records of one answer, after which no more are met."""
ROWS_MOST: Final = 5000
"""References read backwards for one step, however many holders there are."""
DIRECTIONS: Final = ("both", "forwards", "backwards")


@dataclass(frozen=True, slots=True)
class _Seen:
    """An identifier as its asker sees it."""

    identifier: Identifier
    state: str
    template: Template | None = None
    values: tuple[Value, ...] = ()
    links: Links = reference.NONE
    beyond: bool = False

    def shown(self) -> dict[str, Any]:
        told: dict[str, Any] = {"handle": str(self.identifier), "state": self.state}
        if self.template is not None:
            told |= {"template": self.template.version, "zh": self.template.zh, "en": self.template.en}
            told["values"] = msgspec.Raw(array(self.values))
        return told


@dataclass(slots=True)
class _Walk:
    """What was met so far. `cut`: there is more than the bounds let in."""

    house: House
    who: Account | None
    met: dict[str, _Seen] = field(default_factory=dict)
    edges: dict[tuple[str, str, int], None] = field(default_factory=dict)
    cut: bool = False
    octets: int = 0

    async def meet(self, keys: Iterable[str]) -> list[_Seen]:
        """Those of `keys` that were not met before, as far as there is room for them."""
        new = [Identifier.parse(key) for key in dict.fromkeys(keys) if key not in self.met]
        seen: list[_Seen] = []
        for at in range(0, len(new), LOOK_MOST):
            room = min(LOOK_MOST, NODES_MOST - len(self.met)) if self.octets < OCTETS_MOST else 0
            self.cut = self.cut or len(new) - at > room < LOOK_MOST
            identifiers = new[at : at + room]
            found = await self.house.lookup.look(identifiers) if identifiers else []
            reaches = await self._reaches(identifiers, found)
            for identifier, stored, far in zip(identifiers, found, reaches, strict=True):
                self.met[identifier.key] = await self._seen(identifier, stored, far)
                self.octets += len(stored.body)
            seen += [self.met[identifier.key] for identifier in identifiers]
        return seen

    async def _reaches(self, identifiers: Sequence[Identifier], found: Sequence[Stored]) -> Sequence[Reach]:
        if self.who is None:
            return [NOTHING] * len(found)
        asked = [(stored.prefix, i.suffix_key, stored.template) for i, stored in zip(identifiers, found, strict=True)]
        return await self.house.lookup.reaches(self.who, asked, self.house.sight.now())

    async def _seen(self, identifier: Identifier, stored: Stored, far: Reach) -> _Seen:
        if not stored.prefix:
            return _Seen(identifier, "elsewhere")
        if not PrefixState(stored.state).open:
            return _Seen(identifier, "stopped")
        if not stored.live:
            return _Seen(identifier, "deleted" if stored.version else "absent")
        record, template = await self.house.lookup.record(stored)
        values = visible_values(record, template, far)
        return _Seen(identifier, "live", template, values, reference.links(template, values), far.beyond)

    async def forwards(self, seen: Sequence[_Seen]) -> list[_Seen]:
        """What these point to."""
        targets = []
        for each in seen:
            links = sorted(each.links)
            self.cut = self.cut or len(links) > BREADTH_MOST
            for link in links[:BREADTH_MOST]:
                self.edges[each.identifier.key, link.target, link.item] = None
                targets.append(link.target)
        return await self.meet(targets)

    async def backwards(self, seen: Sequence[_Seen]) -> list[_Seen]:
        """What points to these. Who holds a reference must be seen with it: only then it counts."""
        rows = await self.house.lookup.referrers([each.identifier.key for each in seen], BREADTH_MOST, ROWS_MOST)
        self.cut = self.cut or len(rows) == ROWS_MOST
        counts = Counter(row.target for row in rows)
        # Hidden ones count, too: beyond them others may come that would be seen.
        self.cut = self.cut or any(count >= BREADTH_MOST for count in counts.values())
        held = [(f"{row.prefix}/{row.suffix}", row) for row in rows]
        new = await self.meet(key for key, _ in held)
        for key, row in held:
            holder = self.met.get(key)
            if holder is not None and reference.Link(row.item, row.target) in holder.links:
                self.edges[key, row.target, row.item] = None
        holders = {key for key, _, _ in self.edges}
        for each in new:  # met for nothing: its asker may not see why
            if each.identifier.key not in holders:
                del self.met[each.identifier.key]
        return [each for each in new if each.identifier.key in holders]

    async def shown(self) -> dict[str, Any]:
        """Nodes in the order they were met, and the edges among them."""
        return {
            "nodes": await self.house.slices.each(_Seen.shown, list(self.met.values())),
            "edges": [
                {
                    "from": str(holder.identifier),
                    "to": str(target.identifier),
                    "index": item,
                    "type": _name(holder, item),
                }
                for key, aim, item in self.edges
                if (holder := self.met.get(key)) is not None and (target := self.met.get(aim)) is not None
            ],
            "complete": not self.cut,
        }


def _name(holder: _Seen, item: int) -> str:
    assert holder.template is not None  # nothing else has references
    return holder.template.by_index[item].name


@explained
async def trace(request: web.Request) -> web.Response:
    """GET /api/v1/trace/{identifier}?depth=&direction=: anybody; who is signed in sees what is theirs as well."""
    identifier = Identifier.parse(asked_for(raw_path(request).removeprefix(TRACE)))
    depth, direction = whole_number(request, "depth", DEPTH_USUAL), request.query.get("direction", DIRECTIONS[0])
    if depth > DEPTH_MOST:
        raise OwnError(400, "depth", f"depth最大为{DEPTH_MOST}", f"depth is at most {DEPTH_MOST}")
    if direction not in DIRECTIONS:
        said = ", ".join(DIRECTIONS)
        raise OwnError(400, "direction", f"direction应为{said}之一", f"direction must be one of {said}")
    who = await signed_in(request) if "Authorization" in request.headers else None
    walk = _Walk(request.app[HOUSE], who)
    root = await walk.meet([identifier.key])
    for turn in (walk.forwards, walk.backwards):
        if direction in {"both", turn.__name__}:
            front = root
            for _ in range(depth):
                front = await turn(front)
    if who is not None:
        witnessed(request, "trace", [key for key, node in walk.met.items() if node.beyond])
    return encoded({"handle": str(identifier), "direction": direction, "depth": depth} | await walk.shown())


def add_routes(app: web.Application) -> None:
    """The routes of this face."""
    app.router.add_get(TRACE + "{identifier:(?s:.+)}", trace)
