"""Grants and groups in a real database: what holds for whom, and that no write lands behind the end of a grant."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from registry import steward as rules
from registry.account import Account
from registry.granting import NOBODY, Grantee, Kind, Object, Wish, Wishes
from registry.postgres import grants
from registry.postgres.grants import Given
from registry.prefix import PrefixState
from registry.registrar import Job, Written
from registry.rights import Role
from registry.rules import Refused, Rule
from registry.sight import Grant, Reach
from tests.registry.world import NOW, OTHER, PREFIX, Interrupted, World, identifier, request, values

FOR_GOOD = Grant(False, None, False)


@dataclass
class Partner:
    """A partner's group with one member, imported by the owner of PREFIX."""

    world: World
    account: Account
    group: int
    owner: int

    async def far(self, suffix: str = "A", now: int = NOW) -> Reach:
        prefix = await self.world.lookup.prefix(PREFIX)
        assert prefix is not None
        asked = (prefix.number, suffix, self.world.bag.number)
        return (await self.world.lookup.reaches(self.account, [asked], now))[0]

    async def grant(
        self, suffix: str | None = None, *, to_group: bool = True, until: int | None = None, edit: bool = False
    ) -> object:
        prefix = await self.world.lookup.prefix(PREFIX)
        assert prefix is not None
        template = None if suffix else self.world.bag.number
        group = self.group if to_group else None
        end = datetime.fromtimestamp(until, UTC) if until else None
        given = Given(prefix.number, template, suffix, None, group, None, edit, end, self.account.number)
        return await self.world.steward.add_grant(prefix, given, "" if to_group else self.account.username)

    @property
    def to(self) -> Grantee:
        """The partner, as grants name it."""
        return Grantee(self.account.number, None)

    async def regrant(self, wish: Wish, kind: Kind, more: Wishes | None = None) -> object:
        """What is wished for the partner of the class, and `more`."""
        prefix = await self.world.lookup.prefix(PREFIX)
        assert prefix is not None
        on = Object(prefix, self.world.bag.number, None, frozenset({"productName", "weight", "colour"}))
        wishes: Wishes = {(self.to, kind): wish} | (more or {})
        return await self.world.steward.regrant(on, wishes, self.world.owner.number)


@pytest.fixture
async def partner(world: World) -> Partner:
    """The partner of a world."""
    steward, lookup = world.steward, world.lookup
    number = await steward.enrol("星禾", "Xinghe", "automotive", OTHER)
    await steward.put_account(Account(0, "xinghe", "person", Role.ENTERPRISE_USER, number), password="-")
    account, prefix = await steward.account("xinghe"), await lookup.prefix(OTHER)
    mine = await lookup.prefix(PREFIX)
    assert account is not None
    assert prefix is not None
    assert mine is not None
    assert mine.enterprise is not None
    assert await steward.add_group(prefix, "buyers")
    group, _ = await steward.group(OTHER, "buyers") or (0, 0)
    assert await steward.set_members(group, number, ["xinghe"]) == []
    await steward.import_group(group, mine.enterprise)
    return Partner(world, account, group, mine.enterprise)


async def test_to_a_group_while_it_is_imported_and_until_it_ends(partner: Partner) -> None:
    assert await partner.far() == Reach(False)
    await partner.grant(until=NOW + 10)
    assert await partner.far() == Reach(False, (FOR_GOOD,))
    assert await partner.far(now=NOW + 10) == Reach(False)
    for state, far in ((PrefixState.STOPPED, Reach(False)), (PrefixState.ENABLED, Reach(False, (FOR_GOOD,)))):
        await partner.world.steward.set_prefix_state(PREFIX, state)
        assert await partner.far() == far
    await partner.world.steward.drop_import(partner.group, partner.owner)
    assert await partner.far() == Reach(False)
    await partner.world.steward.import_group(partner.group, partner.owner)
    assert await partner.far() == Reach(False), "what ended with the import does not come back with it"


async def test_to_an_identity_while_a_group_brings_it_within_reach(partner: Partner) -> None:
    assert isinstance(await partner.grant(to_group=False), int)
    assert await partner.far() == Reach(False, (FOR_GOOD,))
    assert await partner.world.steward.set_members(partner.group, partner.account.enterprise or 0, []) == []
    assert await partner.far() == Reach(False)
    assert await partner.grant(to_group=False) == "unreachable"


async def test_who_leaves_the_enterprise_leaves_its_groups(partner: Partner) -> None:
    await partner.grant()
    steward = partner.world.steward
    elsewhere = await steward.enrol("别家", "Another", "cosmetics", "88.999.3001")
    await steward.put_account(
        Account(0, "xinghe", "person", Role.ENTERPRISE_USER, elsewhere),
        password="-",
    )
    partner.account = await steward.account("xinghe") or partner.account
    assert partner.account.enterprise == elsewhere
    assert await partner.far() == Reach(False)


async def test_an_identifier_with_a_grant_to_anybody_goes_by_its_own(partner: Partner) -> None:
    await partner.grant()
    steward, world = partner.world.steward, partner.world
    prefix = await world.lookup.prefix(PREFIX)
    assert prefix is not None
    assert await steward.add_group(prefix, "own")
    own, _ = await steward.group(PREFIX, "own") or (0, 0)
    given = Given(prefix.number, None, "A", None, own, None, False, None, partner.account.number)
    number = await steward.add_grant(prefix, given)
    assert isinstance(number, int)
    assert [await partner.far("A"), await partner.far("B")] == [Reach(False), Reach(False, (FOR_GOOD,))]
    assert await steward.remove_grant(number, partner.owner)
    assert await partner.far("A") == Reach(False, (FOR_GOOD,))


async def test_only_ones_own_grants_are_taken_back_and_members_are_ones_own(partner: Partner) -> None:
    number = await partner.grant()
    assert isinstance(number, int)
    enterprise = partner.account.enterprise or 0
    assert not await partner.world.steward.remove_grant(number, enterprise)
    assert await partner.far() == Reach(False, (FOR_GOOD,))
    missing = await partner.world.steward.set_members(partner.group, enterprise, ["xinghe", "tianma"])
    assert missing == ["tianma"]
    assert await partner.far() == Reach(False, (FOR_GOOD,))


async def _goes_by_its_own(of: Partner, _: int) -> None:
    prefix = await of.world.lookup.prefix(PREFIX)
    assert prefix is not None
    alone = {(NOBODY, "itself"): Wish(add=None)}
    assert await of.world.steward.regrant(Object(prefix, None, "A", frozenset()), alone, of.account.number) == "done"


ENDS: dict[str, tuple[bool, Callable[[Partner, int], Awaitable[object]]]] = {
    "the identifier goes by its own": (True, _goes_by_its_own),
    "taken back": (True, lambda of, number: of.world.steward.remove_grant(number, of.owner)),
    "a member no more": (False, lambda of, _: of.world.steward.set_members(of.group, of.account.enterprise or 0, [])),
    "imported no more": (False, lambda of, _: of.world.steward.drop_import(of.group, of.owner)),
    "the group is gone": (False, lambda of, _: of.world.steward.remove_group(of.group)),
}


@pytest.mark.parametrize("how", ENDS)
async def test_a_write_that_was_judged_on_a_grant_does_not_land_behind_its_end(partner: Partner, how: str) -> None:
    world, (to_group, end) = partner.world, ENDS[how]
    await world.write(request("create", "A", *values("一")))
    number = await partner.grant(None if end is _goes_by_its_own else "A", to_group=to_group, edit=True)
    assert isinstance(number, int)
    job = Job(request("update", "A", *values("二")), partner.account)
    assert await world.registrar().write([job], NOW) == [Written(2, 2)]  # type: ignore[arg-type]

    async def ends() -> None:
        await end(partner, number)

    between = Interrupted(world.pool, ends)
    told = await world.registrar(pool=between).write([Job(request("update", "A", *values("三")), partner.account)], NOW)
    assert isinstance(told[0], Refused)
    assert told[0].rule is Rule.PERMISSION
    entries = await world.lookup.history(identifier("A"))
    assert [entry.by for entry in entries][:1] == ["xinghe"]
    assert len(entries) == 2


async def test_it_does_not_land_behind_the_loss_of_an_attribute_either(partner: Partner) -> None:
    world = partner.world
    await world.write(request("create", "A", *values("一")))
    assert await partner.regrant(Wish(frozenset({"productName", "colour"})), "edit") == "done"

    async def narrowed() -> None:
        assert await partner.regrant(Wish(remove=frozenset({"productName"})), "edit") == "done"

    between = Interrupted(world.pool, narrowed)
    told = await world.registrar(pool=between).write([Job(request("update", "A", *values("二")), partner.account)], NOW)
    assert isinstance(told[0], Refused)
    assert await partner.far() == Reach(False, (Grant(False, frozenset({"colour"}), True),))


async def test_all_is_granted_that_is_wished_or_nothing(partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = await partner.world.steward.account("tianma")
    assert stranger is not None
    nobody = Grantee(0, None)
    for more in ({(nobody, "view"): Wish(None)}, {(Grantee(None, 0), "view"): Wish(None)}):
        assert await partner.regrant(Wish(None), "view", more) in {nobody, Grantee(None, 0)}  # type: ignore[arg-type]
        assert await partner.far() == Reach(False)
    monkeypatch.setattr(rules, "GRANTS_MOST", 1)
    assert await partner.regrant(Wish(None), "view", {(Grantee(stranger.number, None), "view"): Wish(None)}) == "full"
    assert await partner.far() == Reach(False)
    assert await partner.regrant(Wish(None), "view") == "done"
    assert await partner.regrant(Wish(None, None), "edit", {(partner.to, "view"): Wish(remove=None)}) == "done"
    assert await partner.far() == Reach(False, (Grant(False, None, True),)), "what goes makes room first"


async def test_each_is_told_of_the_newest(partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "NOTICES_MOST", 2)
    for _ in range(2):
        await partner.grant("A")
        await partner.regrant(Wish(frozenset({"colour"})), "view")
        await partner.regrant(Wish(frozenset({"weight"}), frozenset({"colour"})), "view")
        await partner.regrant(Wish(remove=None), "view")
    lookup = partner.world.lookup
    count, found = await lookup.notices(partner.account, 0, 9)
    assert (count, [(each.title, each.handle) for each in found]) == (
        2,
        [(6, f"{PREFIX}/META_bag"), (3, f"{PREFIX}/META_bag")],
    )
    assert (await lookup.notices(partner.account, 1, 1))[1] == found[1:]
    assert (await lookup.notices(partner.world.owner, 0, 9))[0] == 0


@pytest.mark.parametrize(
    ("operation", "template"), [("create", "bag"), ("delete", "bag"), ("update", "other")], ids=str
)
async def test_editing_is_neither_creating_nor_deleting_nor_another_template(
    partner: Partner, operation: str, template: str
) -> None:
    world = partner.world
    await world.write(request("create", "A", *values("一")))
    await partner.grant(edit=True)
    suffix = "B" if operation == "create" else "A"
    wanted = request(operation, suffix, *values("二"), template=template)  # type: ignore[arg-type]
    told = await world.registrar().write([Job(wanted, partner.account)], NOW)
    assert isinstance(told[0], Refused)
    assert told[0].rule is Rule.PERMISSION
