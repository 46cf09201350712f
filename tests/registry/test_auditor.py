"""Proves registry/auditor.py on a real PostgreSQL, and that no writing door changes anything without its entry."""

import asyncio
import base64
import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest

from registry import mover
from registry.account import Account, new_token
from registry.application import BASIC_INFO, SEALED, form, user
from registry.audit import EMPTY, NODE, RESERVE_OCTETS, TOPLEVEL, Action, Actor, Broken, Entry, Head
from registry.auditor import PAGE, Auditor
from registry.blanker import Blanker
from registry.clerk import Clerk
from registry.disclosure import Disclosure
from registry.errors import AuditFullError
from registry.examiner import Examiner
from registry.filing import Told
from registry.granting import Grantee, Object, Wish, Wishes
from registry.hosting import Site
from registry.parcel import Way
from registry.postgres import audit, uplink
from registry.postgres.audit import Wanted
from registry.postgres.connection import connect, connected
from registry.postgres.grants import Given
from registry.prefix import PrefixState
from registry.rights import Role
from registry.steward import Steward
from registry.template import Item
from tests.fakes import applicant
from tests.registry.world import (
    BAG,
    NO_VOICE,
    NOW,
    OTHER,
    PARTICULARS,
    PREFIX,
    VAULT,
    World,
    changed,
    eventually,
    holding,
    identifier,
    request,
    values,
)

WAY = Way("88.999", "88.777", 1)
LI = Actor(7, "li", "admin", "192.0.2.1")
HUSH = "h4sh-of-a-Secret"
"""Stands wherever something is secret."""
DIGEST = HUSH.encode()


PERSON = user(applicant.user("firm1", 1))
FORM = form(applicant.form(1), date(2026, 11, 23), "88.999")
DOCUMENTS = [FORM[BASIC_INFO][name] for name in SEALED]


def reading(*objects: str, action: Action = Action.DATA_READ, actor: Actor = LI) -> Entry:
    return Entry(actor, action, objects, {}, {})


async def entries(world: World) -> list[tuple[str, str, list[str]]]:
    rows = await Auditor(world.pool).page(Wanted(), 2**62, PAGE)
    return [(row.actor, row.action, row.objects) for row in reversed(rows)]


# --- Every writing method leaves its entry -----------------------------------------------------------------


class Doors(NamedTuple):
    """The doors before a world, opened by somebody."""

    world: World
    steward: Steward
    clerk: Clerk
    examiner: Examiner
    blanker: Blanker

    async def filed(self, prefix: str = PREFIX) -> None:
        await self.clerk.to_file()
        await self.clerk.in_review(prefix)

    async def template(self) -> int:
        assert await self.steward.add_template(replace(BAG, version="bag2"))
        kept = await self.world.lookup.named_template(PREFIX, "bag2")
        assert kept is not None
        return kept.number

    async def group(self, *, imported: bool = False) -> int:
        prefix = await self.world.lookup.prefix(PREFIX)
        assert prefix is not None
        assert await self.steward.add_group(prefix, "buyers")
        number, enterprise = await self.steward.group(PREFIX, "buyers") or (0, 0)
        if imported:
            await self.steward.import_group(number, enterprise)
        return number

    async def totp(self) -> None:
        await self.steward.offer_totp(self.world.admin, DIGEST)
        await self.steward.confirm_totp(self.world.admin, DIGEST, 1, DIGEST)

    async def grant(self) -> object:
        prefix = await self.world.lookup.prefix(PREFIX)
        assert prefix is not None
        end = datetime(2027, 1, 1, tzinfo=UTC)
        given = Given(prefix.number, None, "A", None, None, ["weight"], True, end, self.world.owner.number)
        return await self.steward.add_grant(prefix, given, "tianma")

    async def regrant(self, wish: Wish) -> object:
        prefix = await self.world.lookup.prefix(PREFIX)
        assert prefix is not None
        on = Object(prefix, None, "A", frozenset({"weight", "colour"}))
        wishes: Wishes = {(Grantee(self.world.owner.number, None), "edit"): wish}
        return await self.steward.regrant(on, wishes, self.world.owner.number)

    async def remove_single_grants(self) -> int:
        prefix = await self.world.lookup.prefix(PREFIX)
        assert prefix is not None
        return await self.steward.remove_single_grants(prefix, "A")

    async def applied(self) -> int:
        """The number of an application of a new enterprise."""
        files = [(11, self.world.admin.number), (12, self.world.admin.number), (13, self.world.admin.number)]
        await self.world.pool.executemany(
            "INSERT INTO file (number, account_no, kind, octets, sha256, created) "
            "VALUES ($1, $2, 'png', 1, decode(repeat('00', 32), 'hex'), now())",
            files,
        )
        assert await self.examiner.apply(PERSON, HUSH, FORM, self.world.admin) is None
        return int(await self.world.one("SELECT max(number) FROM application"))

    async def refused(self) -> None:
        number = await self.applied()
        await self.decided(number, "verification", passed=False)

    async def decided(self, number: int, step: str, *, passed: bool = True) -> object:
        role = Role.VERIFIER if step == "verification" else Role.REVIEWER
        who = Account(0, step, "person", role, None)
        await self.steward.put_account(who, password=f"$argon2id${HUSH}")
        known = await self.steward.account(step)
        assert known
        return await self.examiner.decide(number, step, passed, "证照不符", known, filed=True)

    async def hosting_decided(self) -> object:
        await self.steward.put_account(Account(0, "shen", "person", Role.REVIEWER, None), password=f"$argon2id${HUSH}")
        known = await self.steward.account("shen")
        assert known
        return await self.examiner.decide_hosting(PREFIX, True, "", known)

    async def routed(self) -> None:
        """The top-level node knows that an own node answers for the prefix."""
        await self.filed()
        await self.clerk.take_in(Told(PREFIX, "approved"))
        await self.examiner.configure(PREFIX, Site("192.0.2.7", 2641, 0, 8000), self.world.owner)
        for route in await self.clerk.routes("88.999", "10.0.0.1", 2641, 8000, ()):
            await self.clerk.route_told(route)

    async def signing_key(self) -> bytes:
        async with connected(self.world.url, "idnode-test") as connection:
            return await mover.signing_key(connection, VAULT, DIGEST * 2, LI)

    async def blank(self) -> object:
        await self.world.write(request("create", "A", *values(HUSH)))
        await self.world.write(request("update", "A", *values(f"{HUSH}2")))
        return await self.blanker.blank(identifier("A"), {"productName"}, self.world.owner, "本人请求", NOW, LI.peer)

    async def packed(self) -> list[bytes]:
        """A stopped prefix, packed and gone from here."""
        await self.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
        async with connected(self.world.url, "idnode-test") as connection:
            return [octets async for octets in mover.pack(connection, PREFIX, WAY, bytes(32), LI)]

    async def enterprise(self) -> Any:
        await self.steward.enrol("新厂", "New", "leather", OTHER, PARTICULARS, filed=True)
        return (await self.clerk.to_file())[0][0]


class Write(NamedTuple):
    """A change, after what has to be there first, and what stands in the journal then."""

    change: Callable[[Doors, Any], Awaitable[object]]
    actions: tuple[Action, ...]
    before: Callable[[Doors], Awaitable[Any]] | None = None


A = Action
WRITES: dict[str, Write] = {
    "Steward.enrol": Write(
        lambda d, _: d.steward.enrol("新厂", "New", "leather", OTHER, PARTICULARS),
        (A.ENTERPRISE_ENROLLED, A.PREFIX_ADDED),
    ),
    "Steward.forget_toplevel": Write(lambda d, _: d.steward.forget_toplevel(), (A.TOPLEVEL_FORGOTTEN,)),
    "Steward.set_prefix_state": Write(
        lambda d, _: d.steward.set_prefix_state(PREFIX, PrefixState.STOPPED), (A.PREFIX_CHANGED,)
    ),
    "Steward.add_template": Write(lambda d, _: d.template(), (A.TEMPLATE_ADDED,)),
    "Steward.replace_template": Write(
        lambda d, _: d.steward.replace_template(changed(d.world.bag, Item(2003, "strap", "肩带"))),
        (A.TEMPLATE_CHANGED,),
    ),
    "Steward.remove_template": Write(
        lambda d, number: d.steward.remove_template(number), (A.TEMPLATE_REMOVED,), Doors.template
    ),
    "Steward.put_account": Write(
        lambda d, _: d.steward.put_account(Account(0, "AK", "program", Role.VERIFIER, None), secret=DIGEST),
        (A.ACCOUNT_PUT,),
    ),
    "Steward.disable_account": Write(lambda d, _: d.steward.disable_account("tianma"), (A.ACCOUNT_DISABLED,)),
    "Steward.revoke_token": Write(
        lambda d, _: d.steward.revoke_token(DIGEST),
        (A.TOKEN_REVOKED,),
        lambda d: d.steward.issue_token(d.world.owner.number, DIGEST),
    ),
    "Steward.revoke_tokens": Write(
        lambda d, _: d.steward.revoke_tokens("tianma"),
        (A.TOKENS_REVOKED,),
        lambda d: d.steward.issue_token(d.world.owner.number, DIGEST),
    ),
    "Steward.add_group": Write(lambda d, _: d.group(), (A.GROUP_ADDED,)),
    "Steward.set_members": Write(
        lambda d, group: d.steward.set_members(group, d.world.owner.enterprise or 0, ["tianma"]),
        (A.GROUP_CHANGED,),
        lambda d: d.group(),
    ),
    "Steward.import_group": Write(
        lambda d, group: d.steward.import_group(group, d.world.owner.enterprise or 0),
        (A.GROUP_IMPORTED,),
        lambda d: d.group(),
    ),
    "Steward.drop_import": Write(
        lambda d, group: d.steward.drop_import(group, d.world.owner.enterprise or 0),
        (A.GROUP_DROPPED,),
        lambda d: d.group(imported=True),
    ),
    "Steward.remove_group": Write(
        lambda d, group: d.steward.remove_group(group), (A.GROUP_REMOVED,), lambda d: d.group()
    ),
    "Steward.add_grant": Write(lambda d, _: d.grant(), (A.GRANT_ADDED,)),
    "Steward.remove_grant": Write(
        lambda d, number: d.steward.remove_grant(number, d.world.owner.enterprise or 0),
        (A.GRANT_REMOVED,),
        lambda d: d.grant(),
    ),
    "Steward.regrant": Write(
        lambda d, _: d.regrant(Wish(frozenset({"colour"}))),
        (A.GRANT_CHANGED,),
        lambda d: d.regrant(Wish(frozenset({"weight"}))),
    ),
    "Steward.remove_single_grants": Write(
        lambda d, _: d.remove_single_grants(), (A.GRANT_REMOVED,), lambda d: d.grant()
    ),
    "Steward.add_account": Write(
        lambda d, _: d.steward.add_account(Account(0, "AK", "program", Role.VERIFIER, None), secret=DIGEST),
        (A.ACCOUNT_PUT,),
    ),
    "Steward.change_account": Write(
        lambda d, _: d.steward.change_account(d.world.owner, None, False), (A.ACCOUNT_CHANGED,)
    ),
    "Steward.set_password": Write(
        lambda d, _: d.steward.set_password(d.world.admin, f"$argon2id${HUSH}", due=True, keep=DIGEST),
        (A.PASSWORD_SET,),
    ),
    "Steward.set_key": Write(lambda d, _: d.steward.set_key(d.world.owner, DIGEST), (A.KEY_SET,)),
    "Steward.confirm_totp": Write(
        lambda d, _: d.steward.confirm_totp(d.world.admin, DIGEST, 1, DIGEST),
        (A.TOTP_SET,),
        lambda d: d.steward.offer_totp(d.world.admin, DIGEST),
    ),
    "Steward.remove_totp": Write(
        lambda d, _: d.steward.remove_totp(d.world.admin), (A.TOTP_REMOVED,), lambda d: d.totp()
    ),
    "Steward.rotate_secret": Write(
        lambda d, _: d.steward.rotate_secret(d.world.owner, DIGEST, 60), (A.SECRET_ROTATED,)
    ),
    "Steward.revoke_token_of": Write(
        lambda d, _: d.steward.revoke_token_of(d.world.owner, DIGEST),
        (A.TOKEN_REVOKED,),
        lambda d: d.steward.issue_token(d.world.owner.number, DIGEST),
    ),
    "Steward.disclose": Write(
        lambda d, _: d.steward.disclose(d.world.owner.enterprise or 0, Disclosure({"contact": "public"})),
        (A.DISCLOSURE_CHANGED,),
    ),
    "Steward.note_settings": Write(
        lambda d, _: d.steward.note_settings("a:8000", {"workers": 3}),
        (A.SETTINGS_CHANGED,),
        lambda d: d.steward.note_settings("a:8000", {"workers": 2}),
    ),
    "Steward.set_quota": Write(
        lambda d, _: d.steward.set_quota(d.world.owner.enterprise or 0, {"calls": 7}), (A.QUOTA_SET,)
    ),
    "Examiner.register": Write(lambda d, _: d.examiner.register(PERSON, HUSH), (A.ACCOUNT_PUT,)),
    "Examiner.apply": Write(lambda d, _: d.applied(), (A.ENTERPRISE_ENROLLED, A.ACCOUNT_PUT, A.APPLICATION_MADE)),
    "Examiner.upgrade": Write(
        lambda d, _: d.examiner.upgrade("firm1", FORM, d.world.admin), (A.APPLICATION_MADE,), Doors.refused
    ),
    "Examiner.decide": Write(
        lambda d, number: d.decided(number, "verification"), (A.ACCOUNT_PUT, A.APPLICATION_DECIDED), Doors.applied
    ),
    "Examiner.configure": Write(
        lambda d, _: d.examiner.configure(PREFIX, Site("192.0.2.7", 2641, 0, 0), d.world.owner), (A.HOSTING_CHANGED,)
    ),
    "Examiner.decide_hosting": Write(
        lambda d, _: d.hosting_decided(),
        (A.ACCOUNT_PUT, A.HOSTING_CHANGED),
        lambda d: d.examiner.configure(PREFIX, None, d.world.owner),
    ),
    "Blanker.blank": Write(lambda d, _: d.blank(), (A.VALUES_BLANKED, A.VALUES_BLANKED)),
    "mover.pack": Write(lambda d, _: d.packed(), (A.PREFIX_CHANGED, A.PREFIX_MOVED_OUT)),
    "mover.signing_key": Write(lambda d, _: d.signing_key(), (A.NODE_KEY_MADE,)),
    "Clerk.key": Write(lambda d, _: d.clerk.key(DIGEST * 2), (A.NODE_KEY_MADE,)),
    "Clerk.pin": Write(
        lambda d, _: d.clerk.pin(DIGEST),
        (A.TOPLEVEL_PINNED,),
        lambda d: d.clerk.key(DIGEST * 2),
    ),
    "Clerk.settle_hosting": Write(
        lambda d, _: d.clerk.settle_hosting(),
        (A.PREFIX_CHANGED,),
        Doors.routed,
    ),
    "Clerk.enterprise_filed": Write(
        lambda d, known: d.clerk.enterprise_filed(known, "E1"), (A.ENTERPRISE_FILED,), Doors.enterprise
    ),
    "Clerk.enterprise_refused": Write(
        lambda d, known: d.clerk.enterprise_refused(known, "不符", ""), (A.ENTERPRISE_REFUSED,), Doors.enterprise
    ),
    "Clerk.in_review": Write(lambda d, _: d.filed(), (A.PREFIX_CHANGED,)),
    "Clerk.take_in": Write(lambda d, _: d.clerk.take_in(Told(PREFIX, "approved")), (A.PREFIX_CHANGED,), Doors.filed),
    "Clerk.verify_again": Write(
        lambda d, _: d.clerk.verify_again("", OTHER, 3), (A.ENTERPRISE_VERIFY_AGAIN,), Doors.enterprise
    ),
}
TOLD_OTHERWISE = {
    "Steward.issue_token": "signing in changes no right",
    "Steward.challenge": "the same",
    "Steward.take_challenge": "the same",
    "Steward.take_totp": "the same",
    "Steward.begin_key_session": "the same",
    "Steward.end_key_session": "the same",
    "Steward.keep_native_challenge": "the same",
    "Steward.take_native_challenge": "the same",
    "Steward.begin_native_session": "the same",
    "Steward.use_native_session": "the same",
    "Steward.prove_native_session": "the same",
    "Steward.end_native_session": "the same",
    "Steward.keep_native_login": "the same",
    "Steward.native_login": "the same",
    "Steward.end_native_login": "the same",
    "Steward.offer_totp": "it is told when it is confirmed",
    "Steward.reserve_file": "a file is no right, and its record says whose it is",
    "Steward.add_file": "the same",
    "Steward.remove_unlinked_files": "what is needed no more, by its age",
    "Steward.count_calls": "statistics",
    "Steward.refer": "it notes again what records say themselves",
    "Steward.record_batch": "it is itself the record of a batch; identifiers have the chain of their stream",
    "Clerk.to_file": "what is filed is told when the top-level node has answered",
    "Clerk.keep_nonce": "the same",
    "mover.erase": "it does: tests/registry/test_mover.py",
    "mover.unpack": "it does, at another node: tests/registry/test_mover.py",
    "Clerk.templates_told": "what a template says is told when it changes, whoever knows of it",
    "Clerk.templates_lost": "the same",
    "Clerk.receive": "a receipt is proven by the chain of its stream",
    "Clerk.routes": "they follow from settings and approved prefixes",
    "Clerk.route_told": "the same",
    "Clerk.windows_told": "statistics",
    "Clerk.forget_old": "what is needed no more, by its age",
}
"""Writing methods that leave no entry, and why."""
WRITING = ("self._audited(", "self._change(", "self._office(", "connection.transaction():", "self._renew(")


def writing(door: Any) -> set[str]:
    """The public methods of a door that open a transaction to change something."""
    methods = inspect.getmembers(door, lambda it: inspect.iscoroutinefunction(it) or inspect.isasyncgenfunction(it))
    return {
        f"{door.__name__.removeprefix('registry.')}.{name}"
        for name, method in methods
        if inspect.getmodule(method) is inspect.getmodule(door)
        and not name.startswith("_")
        and any(words in inspect.getsource(method) for words in WRITING)
    }


def test_every_writing_method_is_listed() -> None:
    doors = (Steward, Clerk, Examiner, Blanker, mover)
    assert set().union(*map(writing, doors)) == WRITES.keys() | TOLD_OTHERWISE.keys()
    assert not WRITES.keys() & TOLD_OTHERWISE.keys()


def test_no_other_door_of_the_registry_writes() -> None:
    """One that is new must be listed above."""
    room = Path(inspect.getfile(Steward)).parent
    doors = {file.stem for file in room.glob("*.py") if "borrowed(" in file.read_text("utf-8")}
    assert doors == {"auditor", "blanker", "clerk", "examiner", "lookup", "registrar", "steward"}


ROOT = Path(inspect.getfile(Steward)).parents[1]


def test_every_door_changes_things_in_somebodys_name() -> None:
    """Not by the node's own steward."""
    names = {name.partition(".")[2] for name in WRITES if name.startswith(("Steward.", "Examiner."))}
    nobodys = re.compile(rf"\b(steward|examiner)\.({'|'.join(names)})\(")
    doors = [file for room in ("listen", "console") for file in (ROOT / "node" / room).rglob("*.py")]
    assert len(doors) > 10
    assert [(file.name, found[0]) for file in doors for found in nobodys.finditer(file.read_text("utf-8"))] == []


def test_every_action_is_explained() -> None:
    told = re.findall(r"`(\w+)`", (ROOT / "docs" / "audit.md").read_text("utf-8"))
    assert set(Action) - set(told) == set()


@pytest.mark.parametrize("name", WRITES)
async def test_a_change_leaves_its_entry_and_no_secret(world: World, name: str) -> None:
    connection = await connect(world.url, "idnode-voice")
    fence = await uplink.claim(connection, "one")
    connection.terminate()
    await eventually(world.pool, NO_VOICE)
    assert fence is not None
    examiner, blanker = Examiner(world.pool, VAULT).by(LI), Blanker(world.pool, world.lookup, world.ear)
    doors = Doors(world, world.steward.by(LI), Clerk(world.pool, fence, 300, VAULT), examiner, blanker)
    write = WRITES[name]
    given = await write.before(doors) if write.before else None
    before = await entries(world)
    await write.change(doors, given)
    told = (await entries(world))[len(before) :]
    assert tuple(action for _, action, _ in told) == write.actions
    who = {"Clerk": {NODE.name, TOPLEVEL.name}, "Blanker": {"tianma"}}.get(name.partition(".")[0], {LI.name})
    assert {actor for actor, _, _ in told} <= who
    assert all(object_ for _, _, objects in told for object_ in objects)
    dump = str(await world.ask("SELECT * FROM audit"))
    personal = (
        PERSON["email"],
        PERSON["mobile"],
        "张三",
        *DOCUMENTS,
        PARTICULARS.legal_id_no,
        PARTICULARS.contact_phone,
        PARTICULARS.legal_name,
    )
    for secret in (HUSH, DIGEST.hex(), base64.b64encode(DIGEST).decode()[:16], "$argon2", "sealed", *personal):
        assert secret not in dump
    assert isinstance(await Auditor(world.pool).verify(), Head)


async def test_what_changes_nothing_leaves_no_entry(world: World) -> None:
    before = await entries(world)
    await world.steward.enrol("天马皮具", "Tianma Leather", "leather", PREFIX)
    await world.steward.set_prefix_state(PREFIX, PrefixState.ENABLED)
    await world.steward.set_prefix_state(OTHER, PrefixState.STOPPED)
    assert not await world.steward.add_template(BAG)
    assert not await world.steward.disable_account("nobody")
    await world.steward.revoke_token(new_token()[1])
    assert await world.steward.revoke_tokens("nobody") == 0
    for _ in range(2):
        await world.steward.note_settings("a:8000", {})
    assert await entries(world) == before


async def test_entries_say_what_was_before_and_after(world: World) -> None:
    await world.steward.by(LI).set_prefix_state(PREFIX, PrefixState.STOPPED)
    await world.steward.by(LI).disable_account("tianma")
    for workers in (2, 3):
        await world.steward.note_settings("a:8000", {"workers": workers, "lane": "on"})
    (set_,) = await Auditor(world.pool).page(Wanted(object="a:8000"), 2**62, 1)
    assert (set_.before, set_.after) == ('{"settings":{"workers":2}}', '{"settings":{"workers":3}}')
    disabled, stopped = await Auditor(world.pool).page(Wanted(actor="li"), 2**62, 2)
    assert (stopped.before, stopped.after) == ('{"state":"enabled"}', '{"state":"stopped"}')
    assert (disabled.before.count('"enabled":true'), disabled.after.count('"enabled":false')) == (1, 1)
    assert stopped[2:6] == (7, "li", "admin", "192.0.2.1")


# --- One transaction ---------------------------------------------------------------------------------------


async def test_neither_a_change_nor_its_entry_is_there_without_the_other(world: World) -> None:
    before = await entries(world)
    async with holding(world.url, "SELECT FROM audit_head FOR UPDATE"):
        stopping = asyncio.create_task(world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED))
        await eventually(world.pool, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted")
        prefix = await world.lookup.prefix(PREFIX)
        assert prefix is not None
        assert prefix.state is PrefixState.ENABLED, "nothing is there before its entry is"
    await stopping
    assert [action for _, action, _ in (await entries(world))[len(before) :]] == ["prefix_changed"]


async def test_a_full_journal_stops_changes_and_not_the_auditor(world: World) -> None:
    before, taken = await entries(world), (await Auditor(world.pool).head())[1]
    steward = Steward(world.pool, None, LI, taken)
    with pytest.raises(AuditFullError, match="IDNODE_AUDIT_OCTETS"):
        await steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    prefix = await world.lookup.prefix(PREFIX)
    assert prefix is not None
    assert prefix.state is PrefixState.ENABLED
    auditor = Auditor(world.pool, taken)
    with pytest.raises(AuditFullError):
        await auditor.record([reading("88.999.1001/A")])
    await auditor.record([reading(action=Action.AUDIT_READ)])
    assert [action for _, action, _ in await entries(world)] == [*(action for _, action, _ in before), "audit_read"]
    with pytest.raises(AuditFullError):
        await Auditor(world.pool, taken - RESERVE_OCTETS).record([reading(action=Action.AUDIT_READ)])


async def test_many_at_once_stand_one_behind_the_other(world: World) -> None:
    auditor = Auditor(world.pool)
    before = (await auditor.head())[0].number
    await asyncio.gather(*(auditor.record([reading(f"{n}/a"), reading(f"{n}/b")]) for n in range(20)))
    proven = await auditor.verify()
    assert isinstance(proven, Head)
    assert proven.number == before + 40
    named = [objects[0] for _, _, objects in (await entries(world))[before:]]
    assert [a.replace("/a", "/b") for a in named[::2]] == named[1::2], "what one transaction tells stands together"


# --- What protects it --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        *(
            f"{verb} {table}"
            for table in ("audit", "audit_object", "audit_head")
            for verb in ("DELETE FROM", "TRUNCATE")
        ),
        "UPDATE audit SET actor = 'nobody'",
        "UPDATE audit_object SET number = 0",
        "UPDATE audit_head SET number = number - 1",
        "UPDATE audit_head SET digest = ''",
    ],
)
async def test_nothing_of_it_is_changed_or_taken_out(world: World, statement: str) -> None:
    with pytest.raises(asyncpg.PostgresError, match="only ever added to"):
        await world.pool.execute(statement)


def unguarded(table: str, statement: str) -> str:
    """What who owns the tables can do all the same."""
    return f"ALTER TABLE {table} DISABLE TRIGGER USER; {statement}; ALTER TABLE {table} ENABLE TRIGGER USER"


async def test_what_was_changed_behind_its_back_is_found(world: World) -> None:
    auditor = Auditor(world.pool)
    kept = await auditor.verify()
    assert isinstance(kept, Head)
    assert await auditor.verify(kept) == kept
    await world.pool.execute(unguarded("audit", "UPDATE audit SET actor = 'nobody' WHERE number = 2"))
    assert await auditor.verify() == Broken(2, "内容与摘要不符", "the entry does not match its digest")


async def test_an_end_that_was_cut_off_with_its_head_is_found_by_what_was_kept_elsewhere(world: World) -> None:
    auditor = Auditor(world.pool)
    kept = await auditor.verify()
    assert isinstance(kept, Head)
    last = kept.number
    await world.pool.execute(unguarded("audit", f"DELETE FROM audit WHERE number = {last}"))
    assert await auditor.verify() == Broken(last, "末尾被截去", "the end is cut off")
    digest = await world.one("SELECT digest FROM audit WHERE number = $1", last - 1)
    await world.pool.execute(
        unguarded("audit_head", f"UPDATE audit_head SET number = {last - 1}, digest = '\\x{digest.hex()}'")
    )
    assert isinstance(await auditor.verify(), Head), "the database alone cannot tell"
    assert await auditor.verify(kept) == Broken(last, "末尾被截去", "the end is cut off")


# --- Reading -----------------------------------------------------------------------------------------------


async def test_pages_and_filters(world: World) -> None:
    auditor = Auditor(world.pool)
    first = (await auditor.head())[0].number
    for n in range(5):
        await auditor.record([reading(f"88.999.1001/{n % 2}", actor=replace(LI, name=f"p{n}"))])
    rows = await auditor.page(Wanted(), 2**62, 3)
    assert [row.number - first for row in rows] == [5, 4, 3]
    assert [row.number - first for row in await auditor.page(Wanted(), rows[-1].number, 2)] == [2, 1]

    async def found(**wanted: Any) -> list[int]:
        return [row.number - first for row in await auditor.page(Wanted(**wanted), 2**62, PAGE)]

    assert await found(actor="p2") == [3]
    assert await found(object="88.999.1001/1") == [4, 2]
    assert await found(object="88.999.1001/1", actor="p1") == [2]
    assert await found(action="data_read") == [5, 4, 3, 2, 1]
    assert await found(action="prefix_added", object="88.999.1001/1") == []
    at = rows[0].at
    assert await found(since=at + 1) == []
    assert await found(until=at + 1, action="data_read") == [5, 4, 3, 2, 1]
    assert await found(until=1) == []
    assert 5 in await found(since=at)


async def test_all_comes_in_order_page_by_page(world: World) -> None:
    auditor = Auditor(world.pool)
    await auditor.record([reading(str(n)) for n in range(PAGE + 1)])
    pages = [rows async for rows in auditor.all(Wanted())]
    numbers = [row.number for rows in pages for row in rows]
    assert numbers == list(range(1, numbers[-1] + 1))
    assert len(pages[0]) == PAGE
    assert isinstance(await auditor.verify(), Head)
    assert [rows async for rows in auditor.all(Wanted(actor="nobody"))] == []


async def test_an_empty_journal_holds(pool: asyncpg.Pool) -> None:
    assert await Auditor(pool).verify() == EMPTY
    async with pool.acquire() as connection:
        assert await audit.head(connection) == (EMPTY, 0)
