"""No face, cache, history or page shows anybody a value they may not see, nor keeps one from them that they may.

A state machine does what people do; a plain model of a few lines says what each of them must see then, on every face.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from node.embedded import Servers
from node.sight import _within
from proto.web_json import moment
from registry import sight
from registry.lookup import BlankedValue, HistoryEntry
from registry.record import Record
from registry.template import ACCESSES, Item
from tests.fakes.in_process import STRANGER_PREFIX, Node, node
from tests.fakes.small_registry import PREFIX, TEMPLATE

NOW = 1_795_000_000
ATTRIBUTES = ("styleNo", "colour", "costPrice")
DETAIL, BATCH = "/identityv2/data/detail?handle=", "/identityv2/data"
VIEWERS = (None, "leather", "admin", "stranger", "visitor")


@dataclass
class Grant:
    """What the model knows of one: on a suffix or (None) the template, to whom, of what, and until when."""

    number: int
    suffix: str | None
    to: str
    attributes: list[str] | None
    edit: bool
    until: int


@dataclass
class Model:
    """What must be so, said as plainly as it goes."""

    now: int = NOW
    access: dict[str, str] = field(default_factory=dict)
    versions: dict[str, list[dict[str, str] | None]] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    imported: bool = False
    grants: list[Grant] = field(default_factory=list)
    open: bool = True

    def held(self, who: str | None, suffix: str) -> list[Grant]:
        """The grants that hold for `who` on an identifier."""
        alive = [each for each in self.grants if each.until > self.now and each.suffix in (None, suffix)]
        if any(each.suffix for each in alive):
            alive = [each for each in alive if each.suffix]
        if who not in ("stranger", "visitor") or who not in self.members or not self.imported:
            return []
        return [each for each in alive if each.to in (who, GROUP)]

    def sees(self, who: str | None, suffix: str, name: str) -> bool:
        """Whether `who` sees an attribute."""
        if who in ("leather", "admin") or self.access[name] == "public":
            return True
        named = any(each.attributes is None or name in each.attributes for each in self.held(who, suffix))
        return self.access[name] == "partners" and named

    def edits(self, who: str, suffix: str, name: str) -> bool:
        """Whether `who` may change it."""
        held = [each for each in self.held(who, suffix) if each.edit]
        return self.access[name] != "internal" and any(
            each.attributes is None or name in each.attributes for each in held
        )


GROUP = f"{STRANGER_PREFIX}/Group_buyers"
_texts = count()


class Machine(RuleBasedStateMachine):
    """People and programs at one node."""

    running: Node
    runner: asyncio.Runner
    clock: list[int]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(access=dict(zip(ATTRIBUTES, ("public", "partners", "internal"), strict=True)))
        self.clock[0] = NOW
        mark = next(_texts)
        self.suffixes = [f"{mark}-A", f"{mark}-B"]
        self.call("PUT", f"/api/v1/prefixes/{PREFIX}", {"state": "enabled"}, "admin")
        self.reclass(self.model.access)
        self.call("POST", "/api/v1/groups", {"prefix": STRANGER_PREFIX, "name": "buyers"}, "stranger")
        for suffix in self.suffixes:
            self.model.versions[suffix] = []
            self.write(suffix)
        self.members_come_and_go({"stranger", "visitor"})
        self.the_group_is_imported_or_let_go(True)

    def teardown(self) -> None:
        """The next example finds no grant of this one."""
        self.call("DELETE", f"/api/v1/groups/{GROUP}", None, "stranger")
        for each in self.model.grants:
            self.call("DELETE", f"/api/v1/grants/{each.number}", None, "leather")

    # -- how things are done

    def call(self, method: str, path: str, body: Any, who: str | None) -> tuple[int, Any]:
        return self.runner.run(self._call(method, path, body, who))

    async def _call(self, method: str, path: str, body: Any, who: str | None, accept: str = "*/*") -> tuple[int, Any]:
        headers = {"Accept": accept, "Content-Type": "application/json"}
        if who:
            headers["Authorization"] = f"Bearer {self.running.tokens[who]}"
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.running.client.request(method, path, headers=headers, data=data) as response:
            text = await response.text()
            if who and response.status == 200:
                assert "no-store" in response.headers["Cache-Control"]
            return response.status, text if accept.startswith("text/html") else json.loads(text or "null")

    def write(self, suffix: str) -> None:
        there = bool(self.model.versions[suffix] and self.model.versions[suffix][-1])
        texts = {name: f"{name}-{next(_texts)}-" for name in ATTRIBUTES}
        _, told = self.call("PUT" if there else "POST", BATCH, self.body(suffix, texts), "leather")
        assert (told["status"] == 1) is self.model.open
        if told["status"] == 1:
            self.model.versions[suffix].append(texts)

    def body(self, suffix: str, texts: dict[str, str]) -> dict[str, Any]:
        values = [
            {"index": 2000 + ATTRIBUTES.index(name), "type": name, "data": {"format": "string", "value": text}}
            for name, text in texts.items()
        ]
        return {"handle": f"{PREFIX}/{suffix}", "templateVersion": TEMPLATE, "value": values}

    def reclass(self, access: dict[str, str]) -> None:
        self.runner.run(self._reclass(access))

    async def _reclass(self, access: dict[str, str]) -> None:
        house = self.running.house
        template = await house.lookup.named_template(PREFIX, TEMPLATE)
        assert template is not None
        items: tuple[Item, ...] = tuple(replace(item, access=access[item.name]) for item in template.items)
        async with house.announcer.catalogue_change(house.steward.catalogue_number):
            assert await house.steward.replace_template(replace(template, items=items))

    # -- what people do

    @rule(which=st.integers(0, 1))
    def the_owner_writes(self, which: int) -> None:
        self.write(self.suffixes[which])

    @rule(which=st.integers(0, 1))
    def the_owner_deletes(self, which: int) -> None:
        versions = self.model.versions[self.suffixes[which]]
        _, told = self.call("DELETE", BATCH, {"handle": f"{PREFIX}/{self.suffixes[which]}"}, "leather")
        assert (told["status"] == 1) is (self.model.open and versions[-1] is not None)
        if told["status"] == 1:
            versions.append(None)

    @rule(name=st.sampled_from(ATTRIBUTES), access=st.sampled_from(ACCESSES))
    def a_class_of_access_changes(self, name: str, access: str) -> None:
        self.model.access[name] = access
        self.reclass(self.model.access)

    @rule(members=st.sets(st.sampled_from(["stranger", "visitor"])))
    def members_come_and_go(self, members: set[str]) -> None:
        status, _ = self.call("PUT", f"/api/v1/groups/{GROUP}/members", {"members": [*members]}, "stranger")
        assert status == 200
        self.model.members = members

    @rule(imported=st.booleans())
    def the_group_is_imported_or_let_go(self, imported: bool) -> None:
        status, _ = self.call("PUT" if imported else "DELETE", f"/api/v1/group-imports/{GROUP}", None, "leather")
        assert status in (200, 204)
        self.model.imported = imported
        if not imported:
            self.model.grants = [each for each in self.model.grants if each.to != GROUP]

    @rule(
        which=st.sampled_from([None, 0, 1]),
        to=st.sampled_from(["stranger", "visitor", GROUP, GROUP]),
        attributes=st.none() | st.lists(st.sampled_from(ATTRIBUTES), min_size=1, max_size=2, unique=True),
        edit=st.booleans(),
        lasts=st.sampled_from([10, 10**6, 10**6]),
    )
    def something_is_granted(
        self, which: int | None, to: str, attributes: list[str] | None, edit: bool, lasts: int
    ) -> None:
        suffix = None if which is None else self.suffixes[which]
        object_ = {"prefix": PREFIX, "template": TEMPLATE} if suffix is None else {"identifier": f"{PREFIX}/{suffix}"}
        until = self.model.now + lasts
        given = {"to": to, "attributes": attributes, "edit": edit, "until": moment(until)}
        status, told = self.call("POST", "/api/v1/grants", object_ | given, "leather")
        internal = any(self.model.access[name] == "internal" for name in attributes or ())
        gone = suffix is not None and self.model.versions[suffix][-1] is None
        reached = self.model.imported and (to == GROUP or to in self.model.members)
        assert status == (404 if gone else 400 if internal or not reached else 201)
        if status == 201:
            self.model.grants.append(Grant(told["number"], suffix, to, attributes, edit, until))

    @rule(which=st.integers(0, 9))
    def a_grant_is_taken_back(self, which: int) -> None:
        if self.model.grants:
            taken = self.model.grants.pop(which % len(self.model.grants))
            assert self.call("DELETE", f"/api/v1/grants/{taken.number}", None, "visitor")[0] == 403
            assert self.call("DELETE", f"/api/v1/grants/{taken.number}", None, "leather")[0] == 204

    @rule(seconds=st.sampled_from([5, 11]))
    def time_passes(self, seconds: int) -> None:
        self.model.now += seconds
        self.clock[0] = self.model.now

    @rule(stopped=st.booleans())
    def the_prefix_is_stopped_or_opened(self, stopped: bool) -> None:
        state = "stopped" if stopped else "enabled"
        assert self.call("PUT", f"/api/v1/prefixes/{PREFIX}", {"state": state}, "admin")[0] == 200
        self.model.open = not stopped

    @rule(which=st.integers(0, 1), who=st.sampled_from(["stranger", "visitor"]), name=st.sampled_from(ATTRIBUTES))
    def a_partner_edits(self, which: int, who: str, name: str) -> None:
        suffix = self.suffixes[which]
        before = self.model.versions[suffix][-1]
        text = f"{name}-{next(_texts)}-"
        _, told = self.call("PUT", BATCH, self.body(suffix, {name: text}), who)
        may = before is not None and self.model.edits(who, suffix, name) and self.model.open
        assert (told["status"] == 1) is may
        if before is not None and may:
            self.model.versions[suffix].append(before | {name: text})

    # -- what everybody sees then

    @invariant()
    def everybody_sees_what_they_may_and_nothing_else(self) -> None:
        self.runner.run(self._looked())

    async def _looked(self) -> None:
        await asyncio.gather(*(self._looks(who, suffix) for who in VIEWERS for suffix in self.suffixes))

    async def _looks(self, who: str | None, suffix: str) -> None:
        handle, versions = f"{PREFIX}/{suffix}", self.model.versions[suffix]
        may = [name for name in ATTRIBUTES if self.model.sees(who, suffix, name)]
        now = versions[-1]
        expected = {name: now[name] for name in may} if now is not None and self.model.open else None
        for method, path, body in (
            ("GET", f"/api/handles/{handle}", None),
            ("GET", f"/{handle}", None),
            ("POST", "/api/v1/resolve", {"identifiers": [handle]}),
        ):
            _, told = await self._call(method, path, body, who)
            assert _shown(told["results"][0] if body else told) == expected
        _, page = await self._call("GET", f"/{handle}", None, who, "text/html")
        every = [(version, name) for version in versions if version for name in ATTRIBUTES]
        assert {version[name] for version, name in every if version[name] in page} == set((expected or {}).values())
        if who is not None:
            await self._looks_back(who, suffix, may)

    async def _looks_back(self, who: str, suffix: str, may: list[str]) -> None:
        versions = self.model.versions[suffix]
        _, told = await self._call("GET", DETAIL + quote(f"{PREFIX}/{suffix}"), None, who)
        let_in = who in ("leather", "admin") or bool(self.model.held(who, suffix))
        now = versions[-1]
        assert told["status"] == (-3 if not let_in else 1 if now is not None else -2)
        if told["status"] == 1 and now is not None:
            shown = {each["type"]: each["data"]["value"] for each in told["data"]["value"]}
            assert shown == {name: now[name] for name in may}
        status, told = await self._call("GET", f"/api/v1/history/{PREFIX}/{suffix}", None, who)
        assert status == (200 if let_in else 403)
        if status == 200:
            shown_ = [{each["type"]: each["value"] for each in version["values"]} for version in told["versions"]]
            kept = [{name: version[name] for name in may} if version else {} for version in versions]
            assert shown_ == kept[::-1]


def _shown(told: dict[str, Any]) -> dict[str, str] | None:
    if told["responseCode"] != 1:
        return None
    return {each["type"]: each["data"]["value"] for each in told["values"] if each["index"] >= 2000}


@pytest.fixture
def machine(database: str, servers: Servers) -> Iterator[type[Machine]]:
    """Machines at one node whose own memory holds one answer, so that Redis answers, too."""
    clock = [NOW]
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        running = runner.run(
            stack.enter_async_context(node(database, servers.redis_url, now=lambda: clock[0], hot_entries=1))
        )
        yield type("Running", (Machine,), {"running": running, "runner": runner, "clock": clock})
        runner.run(stack.aclose())
        runner.run(asyncio.sleep(0))  # a transport that was closed is gone one turn later


def test_everybody_sees_what_they_may_and_nothing_else(machine: type[Machine]) -> None:
    """A short look each time; `max_examples` of 300 takes some ten minutes."""
    few = settings(
        max_examples=8,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.generate],  # each step asks every face: making a failure small takes minutes
    )
    run_state_machine_as_test(machine, settings=few)


def test_what_was_blanked_is_told_to_the_owner_alone() -> None:
    entry = HistoryEntry(Record(1, True, 0, 7, ()), "leather", None, (BlankedValue(2001, "colour", 9, "本人请求"),))
    assert _within(entry, sight.Reach(True)).blanked == entry.blanked
    assert _within(entry, sight.Reach(False, (sight.Grant(True, None, True),))).blanked == ()
