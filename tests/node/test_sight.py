"""No face, cache, history or page shows anybody a value they may not see, nor keeps one from them that they may.

A state machine does what people do; a plain model of a few lines says what each of them must see then, on every face,
and at the node the prefix moves to in the end.
"""

import asyncio
import io
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from python_calamine import CalamineWorkbook

from node.embedded import Servers
from node.listen.catalogue_sheet import COLUMNS
from node.sight import _within
from proto.web_json import moment
from registry import sight
from registry.lookup import BlankedValue, HistoryEntry
from registry.mover import pack, unpack
from registry.parcel import Way
from registry.postgres.connection import connected
from registry.prefix import PrefixState
from registry.record import Record
from registry.template import ACCESSES, Item, State
from registry.upkeep import ACCESS_WORDS
from tests.fakes.in_process import STRANGER_PREFIX, Node, node
from tests.fakes.small_registry import PREFIX, TEMPLATE

NOW = 1_795_000_000
REFERENCE = "madeOf"
ATTRIBUTES = ("styleNo", "colour", "costPrice", REFERENCE)
UNSEEN = (Item(2003, REFERENCE, "皮料", kind="reference"), Item(2004, "old", "旧", enabled=False))
"""What the small registry's template has not: whose values are traced, and one that is listed nowhere."""
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
        if not self.open:
            return []
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
    lived: ClassVar[list[Model]]
    """The models of all examples, for when the prefix moves."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(access=dict(zip(ATTRIBUTES, ("public", "partners", "internal", "partners"), strict=True)))
        self.lived.append(self.model)
        self.turn = 0
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
            assert [each for each in self.hidden(who) if each in text and each not in path] == []
            if who and response.status == 200:
                assert "no-store" in response.headers["Cache-Control"]
            return response.status, text if accept.startswith("text/html") else json.loads(text or "null")

    def hidden(self, who: str | None) -> Iterator[str]:
        """What `who` may be told nowhere, be it in a sentence: every text is written once."""
        for suffix, versions in self.model.versions.items():
            for name in ATTRIBUTES:
                if not self.model.sees(who, suffix, name):
                    yield from (version[name] for version in versions if version)

    def write(self, suffix: str) -> None:
        there = bool(self.model.versions[suffix] and self.model.versions[suffix][-1])
        texts = {name: _text(name) for name in ATTRIBUTES}
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
        items: tuple[Item, ...] = tuple(
            replace(item, access=access.get(item.name, item.access)) for item in template.items
        )
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
        text = _text(name)
        _, told = self.call("PUT", BATCH, self.body(suffix, {name: text}), who)
        may = before is not None and self.model.edits(who, suffix, name) and self.model.open
        assert (told["status"] == 1) is may
        if before is not None and may:
            self.model.versions[suffix].append(before | {name: text})

    @rule(which=st.integers(0, 1), who=st.sampled_from(["stranger", "visitor"]))
    def batches_tell_strangers_nothing(self, which: int, who: str) -> None:
        suffix = self.suffixes[which]
        body = self.body(suffix, self.model.versions[suffix][-1] or {"styleNo": "x"})
        _, told = self.call("POST", f"{BATCH}/batchCreate", [body], who)
        assert [(each.keys(), "权限" in each["msg"]) for each in told["data"]] == [({"handle", "msg"}, True)]
        _, told = self.call("DELETE", f"{BATCH}/batchDelete", [body["handle"]], who)
        assert ["权限" in each["msg"] for each in told["data"]] == [True]
        _, told = self.call("POST", "/api/v1/reconcile", [body], who)
        assert [(each["result"], each["differs"]) for each in told["results"]] == [("invalid", [])]
        _, told = self.call("GET", "/api/v1/batches?size=3", None, who)
        assert {each["username"] for each in told["batches"]} == {who}

    # -- what everybody sees then

    @invariant()
    def everybody_sees_what_they_may_and_nothing_else(self) -> None:
        self.runner.run(self._looked())

    async def _looked(self) -> None:
        self.turn += 1
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
        rarer = (self._traces, self._traces_back, self._retrieves, self._lists)
        await rarer[self.turn % len(rarer)](who, suffix, expected)

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
            assert who in ("leather", "admin") or {each["by"] for each in told["versions"]} == {None}
            shown_ = [{each["type"]: each["value"] for each in version["values"]} for version in told["versions"]]
            kept = [{name: version[name] for name in may} if version else {} for version in versions]
            assert shown_ == kept[::-1]

    async def _traces(self, who: str | None, suffix: str, expected: dict[str, str] | None) -> None:
        _, told = await self._call("GET", f"/api/v1/trace/{PREFIX}/{suffix}?direction=forwards", None, who)
        values = told["nodes"][0].get("values", ())
        assert _texts_of(values) == (expected or {})
        assert [each["to"] for each in told["edges"]] == [text for text in [(expected or {}).get(REFERENCE)] if text]

    async def _traces_back(self, who: str | None, suffix: str, expected: dict[str, str] | None) -> None:
        written = [version[REFERENCE] for version in self.model.versions[suffix] if version]
        _, told = await self._call("GET", f"/api/v1/trace/{written[-1]}?direction=backwards", None, who)
        found = [f"{PREFIX}/{suffix}"] if (expected or {}).get(REFERENCE) == written[-1] else []
        assert [each["from"] for each in told["edges"]] == found
        assert [each["handle"] for each in told["nodes"]] == [written[-1], *found]

    async def _retrieves(self, who: str | None, suffix: str, expected: dict[str, str] | None) -> None:
        query = f"/api/v1/doip?targetId={PREFIX}/{suffix}&operationId=0.DOIP/Op.Retrieve"
        _, told = await self._call("GET", query, None, who)
        gone = 104 if self.model.open else 702
        assert told["code"] == (102 if who is None else gone if expected is None else 1 if expected else 403)
        if told["code"] == 1:
            shown = told["data"]["attributes"]["elements"]
            assert {each["type"]: each["data"] for each in shown} == expected

    async def _lists(self, who: str | None, _: str, __: dict[str, str] | None) -> None:
        status, told = await self._call("GET", "/api/v1/catalogue", None, who)
        assert status == (401 if who is None else 200)
        if status == 200:
            assert [(each["name"], each["access"]) for each in told["resources"]] == [*self.model.access.items()]

    async def lists_as_a_file(self) -> None:
        """The list of data resources says what the catalogue does."""
        headers = {"Authorization": f"Bearer {self.running.tokens['visitor']}"}
        async with self.running.client.get("/api/v1/catalogue.xlsx", headers=headers) as response:
            rows = CalamineWorkbook.from_filelike(io.BytesIO(await response.read())).get_sheet_by_index(0).to_python()
        name, access = (list(COLUMNS).index(each) for each in ("name", "access"))
        listed = [(row[name], row[access]) for row in rows[1:]]
        assert listed == [(each, ACCESS_WORDS[class_][0]) for each, class_ in self.model.access.items()]

    async def moves(self, url: str) -> None:
        """The prefix, with the past of all examples, goes to another node, where nothing is granted to anybody."""
        await self.running.house.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
        async with connected(self.running.house.config.database_url, "idnode-test") as here:
            lines = [octets async for octets in pack(here, PREFIX, Way("88.999", "88.777", NOW), bytes(32))]
        async with connected(url, "idnode-test") as there:
            await unpack(there, lines, "88.777")
        async with node(url) as self.running:
            await self.running.house.steward.set_prefix_state(PREFIX, PrefixState.ENABLED)
            await self.running.follower.look()
            for lived in self.lived:
                self.model = Model(access=self.model.access, versions=lived.versions)
                self.suffixes = list(lived.versions)
                for _ in range(4):
                    await self._looked()


def _text(name: str) -> str:
    return f"{PREFIX}/{name}-{next(_texts)}-" if name == REFERENCE else f"{name}-{next(_texts)}-"


def _texts_of(values: Any) -> dict[str, str]:
    return {each["type"]: each["data"]["value"] for each in values if each["index"] >= 2000}


def _shown(told: dict[str, Any]) -> dict[str, str] | None:
    if told["responseCode"] != 1:
        return None
    return _texts_of(told["values"])


@pytest.fixture
def machine(database: str, servers: Servers) -> Iterator[type[Machine]]:
    """Machines at one node whose own memory holds one answer, so that Redis answers, too."""
    clock = [NOW]
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        running = runner.run(
            stack.enter_async_context(node(database, servers.redis_url, now=lambda: clock[0], hot_entries=1))
        )
        runner.run(_furnished(running))
        yield type("Running", (Machine,), {"running": running, "runner": runner, "clock": clock, "lived": []})
        runner.run(stack.aclose())
        runner.run(asyncio.sleep(0))  # a transport that was closed is gone one turn later


async def _furnished(running: Node) -> None:
    """Its template is given what it has not, and a draft stands beside it."""
    kept = await running.house.lookup.named_template(PREFIX, TEMPLATE)
    assert kept is not None
    assert await running.house.steward.replace_template(replace(kept, items=kept.items + UNSEEN))
    assert await running.house.steward.add_template(replace(kept, version="plan", state=State.DRAFT))


def test_everybody_sees_what_they_may_and_nothing_else(machine: type[Machine], other_database: str) -> None:
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
    last = machine()
    machine.runner.run(last.lists_as_a_file())
    machine.runner.run(last.moves(other_database))


def test_what_was_blanked_is_told_to_the_owner_alone() -> None:
    entry = HistoryEntry(Record(1, True, 0, 7, ()), "leather", None, (BlankedValue(2001, "colour", 9, "本人请求"),))
    assert _within(entry, sight.Reach(True)).blanked == entry.blanked
    assert _within(entry, sight.Reach(False, (sight.Grant(True, None, True),))).blanked == ()
