"""Proves registry/examiner.py on a real PostgreSQL: who applies, what is unique, and that two people decide."""

import asyncio
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from proto.identifier import Identifier
from registry.account import Account, Vault, hash_digest, password_proves
from registry.application import Refusal, form, user
from registry.clerk import Clerk
from registry.examiner import Examiner, Form, Shown
from registry.filing import Filing, Told
from registry.hosting import ProxyState, Site
from registry.industries import industry
from registry.postgres import applications
from registry.postgres.records import Stored
from registry.prefix import PrefixState
from registry.rights import Role
from registry.template import State
from tests.fakes import applicant
from tests.registry.world import OTHER, PARTICULARS, VAULT, World

PENDING, REVIEW, REFUSED = PrefixState.PENDING, PrefixState.IN_REVIEW, PrefixState.REFUSED


@dataclass
class Desk:
    """An examiner, and the people around it."""

    world: World
    examiner: Examiner
    verifier: Account
    reviewer: Account

    def form(self, number: int = 1, **basic: Any) -> Form:
        return form(applicant.form(number, **basic), date(2026, 11, 23), "88.999")

    async def files(self, *numbers: int, owner: Account | None = None) -> None:
        """Files that were sent, by the administrator unless said."""
        await self.world.pool.executemany(
            "INSERT INTO file (number, account_no, kind, octets, sha256, created) VALUES ($1, $2, 'png', 1, $3, now())",
            [(number, (owner or self.world.admin).number, bytes(32)) for number in numbers],
        )

    async def apply(self, number: int = 1, name: str = "", **basic: Any) -> Refusal | None:
        given = user(applicant.user(name or f"firm{number}", number))
        return await self.examiner.apply(given, "hash", self.form(number, **basic), self.world.admin)

    async def applied(self, number: int = 1, **basic: Any) -> int:
        """The number of an application of firm `number`, with files of its own."""
        await self.files(*(10 * number + n for n in (1, 2, 3)))
        assert await self.apply(number, **basic) is None
        return int(await self.world.one("SELECT max(number) FROM application"))

    async def again(self, number: int = 1, **basic: Any) -> Refusal | int | None:
        refusal = await self.examiner.upgrade(f"firm{number}", self.form(number, **basic), self.world.admin)
        return refusal or int(await self.world.one("SELECT max(number) FROM application"))

    async def verify(self, number: int, passed: bool = True, reason: str = "") -> PrefixState | Refusal | None:
        return await self.examiner.decide(number, "verification", passed, reason, self.verifier, filed=True)

    async def review(self, number: int, passed: bool = True, reason: str = "", filed: bool = True) -> Any:
        return await self.examiner.decide(number, "review", passed, reason, self.reviewer, filed=filed)

    async def passed(self, number: int = 1, **basic: Any) -> int:
        made = await self.applied(number, **basic)
        assert await self.verify(made) is PENDING
        assert await self.review(made) is REVIEW
        return made

    async def shown(self, number: int) -> Shown:
        found = await self.examiner.shown(number)
        assert found
        return found

    async def prefix_standing(self, name: str = "88.999.6001") -> PrefixState:
        found = await self.examiner.prefix(name)
        assert found
        return applications.prefix_standing(found.row)

    async def standing(self, number: int) -> PrefixState:
        return applications.standing((await self.shown(number)).row)


@pytest.fixture
async def desk(world: World) -> Desk:
    people = []
    for name, role in (("he", Role.VERIFIER), ("shen", Role.REVIEWER)):
        await world.steward.put_account(Account(0, name, "person", role, None), password="x")
        account = await world.steward.account(name)
        assert account
        people.append(account)
    return Desk(world, Examiner(world.pool, VAULT), *people)


async def test_an_application_keeps_all_that_was_given_and_waits(desk: Desk):
    number = await desk.applied()
    found = await desk.shown(number)
    assert found.form == desk.form()
    assert (found.row["state"], found.row["kind"], found.row["applicant"]) == (PrefixState.UNVERIFIED, 1, "admin")
    account = await desk.world.steward.account("firm1")
    assert account
    assert (account.role, account.enterprise) == (Role.ENTERPRISE_ADMIN, found.row["enterprise_no"])
    kept = (await desk.world.ask("SELECT form::text, sealed FROM application"))[0]
    for document in ("440114200011091238", "E00000001"):
        assert document not in kept["form"]
        assert document.encode() not in kept["sealed"]


async def test_a_new_prefix_finds_the_templates_of_its_industry_ready_as_drafts(desk: Desk):
    async def drafts(prefix: str) -> list[str]:
        found = await desk.world.lookup.templates_page(prefix, desk.world.admin, ("", ""), 99)
        assert all(each.state is State.DRAFT for each in found)
        return [each.version for each in found]

    await desk.passed()
    assert await drafts("88.999.6001") == sorted(each.version for each in industry("leather").templates)
    told = await desk.world.ask("SELECT objects, after FROM audit WHERE action = 'template_added' AND account = 0")
    laid = {f"88.999.6001/META_{version}" for version in await drafts("88.999.6001")}
    assert {row["objects"][0] for row in told if '"state":"draft"' in row["after"]} == laid
    await desk.world.ask("DELETE FROM template WHERE version <> 'leather-batch'")
    number = await desk.again(orgAddr="新址")
    assert isinstance(number, int)
    await desk.verify(number)
    assert await desk.review(number) is REVIEW
    assert await drafts("88.999.6001") == ["leather-batch"], "what it has removed stays away"
    await desk.passed(2, industryCategory="I", industrySpecific="65")
    assert await drafts("88.999.6002") == []


async def test_nothing_of_an_application_is_filed_before_both_have_passed_it(desk: Desk):
    number = await desk.applied()
    for decision in (desk.verify, desk.review):
        assert await desk.world.lookup.prefix("88.999.6001") is None
        assert await desk.world.one("SELECT count(*) FROM particulars") == 0
        await decision(number)
    prefix = await desk.world.lookup.prefix("88.999.6001")
    assert prefix
    assert (prefix.state, prefix.enterprise) == (PENDING, (await desk.shown(number)).row["enterprise_no"])
    assert await desk.world.one("SELECT state FROM filing") == Filing.WAITING
    assert await desk.world.one("SELECT industry FROM enterprise WHERE name LIKE '花都%'") == "leather"
    assert await desk.standing(number) is REVIEW


async def test_without_a_top_level_node_a_prefix_opens_at_once(desk: Desk):
    number = await desk.applied()
    await desk.verify(number)
    await desk.review(number, filed=False)
    assert await desk.standing(number) is PrefixState.ENABLED


async def test_decisions_are_two_peoples_in_order_and_kept(desk: Desk):
    number = await desk.applied()
    assert isinstance(await desk.review(number), Refusal)
    await desk.verify(number)
    assert isinstance(await desk.verify(number), Refusal)
    assert await desk.review(number, passed=False, reason="证照与名称不符") is REFUSED
    told = [(d["step"], d["username"], d["passed"], d["reason"]) for d in (await desk.shown(number)).decisions]
    assert told == [("verification", "he", True, ""), ("review", "shen", False, "证照与名称不符")]
    assert await desk.verify(99) is None


async def test_who_has_two_accounts_decides_once(desk: Desk):
    number, steward, reviewer = await desk.applied(), desk.world.steward, desk.reviewer
    for account in (desk.verifier, reviewer):
        await steward.put_account(account, password="x", person="何某 0042")
    await steward.put_account(Account(0, "lu", "person", Role.REVIEWER, None), password="x", person="陆某 0043")
    assert await desk.verify(number) is PENDING
    refused = await desk.review(number)
    assert isinstance(refused, Refusal)
    assert "不同的人" in refused.zh
    other = await steward.account("lu")
    assert other is not None
    desk.reviewer = other
    assert await desk.review(number, filed=False) is REVIEW
    prefix = desk.form()["entBasicInfo"]["entPrefix"]
    await desk.world.pool.execute("UPDATE account SET person = '何某 0042' WHERE number = $1", desk.world.admin.number)
    assert await desk.examiner.configure(prefix, None, desk.world.admin) is None
    assert isinstance(await desk.examiner.decide_hosting(prefix, True, "", reviewer), Refusal)
    assert await desk.examiner.decide_hosting(prefix, True, "", other) is ProxyState.HOSTED


async def test_of_two_who_decide_at_once_one_does(desk: Desk):
    number = await desk.applied()
    outcomes = await asyncio.gather(*(desk.verify(number) for _ in range(4)))
    assert [outcome for outcome in outcomes if outcome is PENDING] == [PENDING]
    assert await desk.world.one("SELECT count(*) FROM decision") == 1


@pytest.mark.parametrize(
    ("basic", "field"),
    [
        ({"orgName": "花都测试皮具1厂"}, "orgName"),
        ({"orgCrtCode": applicant.credit_code(1)}, "orgCrtCode"),
        ({"entPrefix": "88.999.6001"}, "entPrefix"),
        ({"entPrefix": "88.999.1001"}, "entPrefix"),
    ],
)
async def test_name_certificate_and_prefix_are_one_enterprises(desk: Desk, basic: dict[str, Any], field: str):
    await desk.applied()
    await desk.files(21, 22, 23)
    refusal = await desk.apply(2, **basic)
    assert refusal
    assert refusal.field == f"entBasicInfo.{field}"
    assert await desk.world.one("SELECT count(*) FROM application") == 1
    assert await desk.world.steward.account("firm2") is None


async def test_what_was_refused_is_free_for_others(desk: Desk):
    number = await desk.applied(orgName="花都测试皮具2厂", orgCrtCode=applicant.credit_code(2))
    await desk.verify(number, passed=False, reason="冒用")
    assert await desk.applied(2, entPrefix="88.999.6001")
    (freed,) = await desk.world.ask("SELECT before, after FROM audit WHERE action = 'enterprise_renamed'")
    n = await desk.world.one("SELECT enterprise_no FROM application WHERE number = $1", number)
    assert [*freed] == [f'{{"name":"花都测试皮具2厂{more}","number":{n}}}' for more in ("", f"#{n}")]
    for basic, field in (
        ({"orgName": "花都测试皮具2厂"}, "orgName"),
        ({"orgCrtCode": applicant.credit_code(2)}, "orgCrtCode"),
    ):
        refusal = await desk.again(**basic)
        assert isinstance(refusal, Refusal)
        assert refusal.field == f"entBasicInfo.{field}"
    assert isinstance(await desk.again(entPrefix="88.999.6009"), int)


async def test_documents_sealed_with_another_key_are_no_particulars(desk: Desk):
    number = await desk.applied()
    await desk.verify(number)
    desk.examiner = Examiner(desk.world.pool, Vault(b"x" * 32))
    refusal = await desk.review(number)
    assert isinstance(refusal, Refusal)
    assert "IDNODE_SECRET_KEY" in refusal.zh
    assert await desk.world.one("SELECT count(*) FROM decision") == 1


async def test_what_an_enrolled_enterprise_has_is_taken_too(desk: Desk):
    await desk.world.steward.enrol("新厂", "New", "leather", OTHER, PARTICULARS)
    await desk.files(11, 12, 13)
    refusal = await desk.apply(orgCrtCode=PARTICULARS.ent_crt_code)
    assert refusal
    assert refusal.field == "entBasicInfo.orgCrtCode"


@pytest.mark.parametrize(("name", "number", "field"), [("firm1", 2, "userName"), ("other", 1, "mobile")])
async def test_a_user_is_one_person(desk: Desk, name: str, number: int, field: str):
    given = user(applicant.user("firm1", 1))
    assert await desk.examiner.register(given, "hash") is None
    refusal = await desk.examiner.register(user(applicant.user(name, number)), "hash")
    assert refusal
    assert refusal.field == field
    refusal = await desk.examiner.register(user(applicant.user("third", 3)) | {"email": given["email"]}, "hash")
    assert refusal
    assert refusal.field == "email"


async def test_the_digest_that_registers_a_user_is_what_its_password_proves():
    kept = hash_digest(applicant.user("x")["password"].upper())
    assert password_proves(kept, applicant.PASSWORD)


async def test_a_file_is_of_whoever_sent_it_and_of_one_application(desk: Desk):
    await desk.files(11, 12)
    await desk.files(13, owner=desk.world.owner)
    for file in (13, 99):
        refusal = await desk.apply(legalCrtBackImgRid=file)
        assert refusal
        assert refusal.field == "legalCrtBackImgRid"
    assert await desk.world.one("SELECT count(*) FROM file WHERE linked IS NOT NULL") == 0
    await desk.files(14)
    assert await desk.apply(legalCrtBackImgRid=14) is None
    refusal = await desk.apply(2, orgCrtImgRid=11)
    assert refusal
    assert refusal.field == "orgCrtImgRid"


async def test_who_was_refused_applies_again_with_the_same_files(desk: Desk):
    number = await desk.applied()
    assert isinstance(await desk.again(), Refusal)
    await desk.verify(number, passed=False, reason="缺公章")
    second = await desk.again(entPrefix="88.999.6002")
    assert isinstance(second, int)
    assert second > number
    assert (await desk.shown(second)).row["kind"] == 1
    assert (await desk.shown(second)).row["enterprise_no"] == (await desk.shown(number)).row["enterprise_no"]
    assert isinstance(await desk.applied(3, entPrefix="88.999.6001"), int)


async def test_a_registered_user_applies_for_an_enterprise_of_its_own(desk: Desk):
    await desk.examiner.register(user(applicant.user("firm1")), "hash")
    account = await desk.world.steward.account("firm1")
    assert account
    await desk.files(11, 12, owner=account)
    await desk.files(13)
    assert isinstance(await desk.examiner.upgrade("firm1", desk.form(), account), Refusal)
    assert await desk.examiner.upgrade("firm1", desk.form(), desk.world.admin) is None
    joined = await desk.world.steward.account("firm1")
    assert joined
    assert joined.enterprise == await desk.world.one("SELECT enterprise_no FROM application")
    for nobody in ("nobody", "admin"):
        assert isinstance(await desk.examiner.upgrade(nobody, desk.form(), account), Refusal)


async def test_a_change_that_passed_renames_the_enterprise_and_is_filed(desk: Desk):
    clerk = Clerk(desk.world.pool, 0, 300, VAULT)
    await desk.passed()
    (first,), _ = await clerk.to_file()
    await clerk.enterprise_filed(first, "E1")
    for basic, wholly in (({"orgAddr": "新址"}, False), ({"orgAddr": "新址", "orgName": "花都新名皮具厂"}, True)):
        number = await desk.again(**basic)
        assert isinstance(number, int)
        assert (await desk.shown(number)).row["kind"] == 2
        assert (await clerk.to_file())[0] == []
        await desk.verify(number)
        await desk.review(number)
        (told,), _ = await clerk.to_file()
        assert (told.particulars.ent_addr_cn, told.whole, told.ent_id) == ("新址", wholly, "E1")
        await clerk.enterprise_filed(told, "E1")
    assert await desk.world.one("SELECT name FROM enterprise WHERE name LIKE '花都%'") == "花都新名皮具厂"
    (renamed,) = await desk.world.ask("SELECT before, after FROM audit WHERE action = 'enterprise_renamed'")
    assert ["花都测试皮具1厂" in renamed[0], "花都新名皮具厂" in renamed[1]] == [True, True]
    await desk.files(99)
    number = await desk.again(orgName="花都新名皮具厂", orgAddr="新址", orgCrtImgRid=99)
    assert isinstance(number, int)
    await desk.verify(number)
    await desk.review(number)
    assert [each.whole for each in (await clerk.to_file())[0]] == [True]


async def test_what_the_top_level_node_says_of_it_is_shown(desk: Desk):
    clerk = Clerk(desk.world.pool, 0, 300, VAULT)
    number = await desk.passed()
    (enterprise,), _ = await clerk.to_file()
    assert await desk.prefix_standing() is REVIEW
    await clerk.enterprise_refused(enterprise, "证照不清", "illegible")
    assert await desk.standing(number) is REFUSED
    assert await desk.prefix_standing() is REFUSED
    assert (await desk.shown(number)).row["reason_zh"] == "证照不清"
    number = await desk.again()
    assert isinstance(number, int)
    assert await desk.prefix_standing() is PrefixState.UNVERIFIED
    await desk.verify(number)
    await desk.review(number)
    (enterprise,), _ = await clerk.to_file()
    await clerk.enterprise_filed(enterprise, "E1")
    assert await desk.standing(number) is REVIEW
    await clerk.in_review("88.999.6001")
    await clerk.take_in(Told("88.999.6001", "refused", b"", "前缀不当", "unfit"))
    assert await desk.standing(number) is REFUSED
    assert (await desk.shown(number)).row["reason_zh"] == "前缀不当"
    number = await desk.again()
    assert isinstance(number, int)
    await desk.verify(number)
    await desk.review(number)
    assert await desk.world.one("SELECT state FROM filing") == Filing.WAITING
    await clerk.take_in(Told("88.999.6001", "approved"))
    assert await desk.standing(number) is PrefixState.ENABLED
    assert isinstance(await desk.again(orgAddr="新址"), int)
    assert await desk.prefix_standing() is PrefixState.ENABLED


async def test_the_route_of_a_prefix_is_that_of_whoever_answers_for_it(desk: Desk):
    clerk, prefix = Clerk(desk.world.pool, 0, 300, VAULT), "88.999.6001"

    async def route() -> tuple[str, int, int]:
        told = {each.prefix: each for each in await clerk.routes("88.999", "10.0.0.1", 2641, 8000, ())}
        return told[prefix].address, told[prefix].tcp_port, told[prefix].http_port

    await desk.passed()
    assert "88.999.6001" not in [each.prefix for each in await clerk.routes("88.999", "10.0.0.1", 2641, 8000, ())]
    owner = await desk.world.steward.account("firm1")
    assert owner
    site = Site("192.0.2.7", 2641, 0, 0)
    assert isinstance(await desk.examiner.configure(prefix, site, owner), Refusal)
    await clerk.take_in(Told(prefix, "approved"))
    assert await route() == ("10.0.0.1", 2641, 8000)
    assert await desk.examiner.configure(prefix, site, owner) is None
    assert await clerk.settle_hosting() == [], "nobody is referred there yet"
    assert await route() == ("192.0.2.7", 2641, 0)
    asked = Identifier.parse(f"{prefix}/A")
    (here,) = await desk.world.lookup.look([asked])
    for told in await clerk.routes("88.999", "10.0.0.1", 2641, 8000, ()):
        await clerk.route_told(told)
    assert (await clerk.settle_hosting(), await clerk.settle_hosting()) == ([prefix], [])
    (there,) = await desk.world.lookup.look([asked])
    at = await desk.world.steward.catalogue_number()
    assert (here.prefix > 0, there) == (True, Stored(0, 0, at)), "every answer from before is void"
    assert await desk.world.lookup.prefix(prefix) is None
    for state, lives in ((PrefixState.STOPPED, True), (PrefixState.ENABLED, False)):
        await desk.world.steward.set_prefix_state(prefix, state)
        assert (await desk.world.lookup.prefix(prefix) is not None) is lives, "what is stopped says so"
    assert await desk.examiner.configure(prefix, None, owner) is None
    for passed in (False, True):
        await desk.examiner.configure(prefix, None, owner)
        assert isinstance(await desk.examiner.decide_hosting(prefix, passed, "x", desk.reviewer), ProxyState)
        assert (await desk.world.lookup.prefix(prefix) is not None) is passed
    (back,) = await desk.world.lookup.look([asked])
    assert (back.prefix, back.epoch) == (here.prefix, at + 3)
    assert (await clerk.settle_hosting(), (await route())[0]) == ([], "10.0.0.1")
    assert await desk.examiner.decide_hosting(prefix, True, "", desk.reviewer) is None
    assert isinstance(await desk.examiner.configure(prefix, site, desk.world.owner), Refusal)


async def test_an_order_to_verify_again_brings_both_decisions_back(desk: Desk):
    clerk = Clerk(desk.world.pool, 0, 300, VAULT)
    number = await desk.passed()
    (first,), _ = await clerk.to_file()
    await clerk.enterprise_filed(first, "E1")
    await clerk.take_in(Told("88.999.6001", "approved"))
    for _ in range(2):
        assert await clerk.verify_again("E1", "", 7)
    assert await desk.standing(number) is PrefixState.UNVERIFIED
    assert (await clerk.to_file())[0] == []
    prefix = await desk.world.lookup.prefix("88.999.6001")
    assert prefix
    assert prefix.state.open
    assert await desk.verify(number) is PENDING
    assert await clerk.verify_again("", "88.999.6001", 8)
    assert await desk.standing(number) is PrefixState.UNVERIFIED
    await desk.verify(number)
    await desk.review(number)
    assert [each.whole for each in (await clerk.to_file())[0]] == [True]
    assert [d["round"] for d in (await desk.shown(number)).decisions] == [1, 1, 2, 3, 3]


async def test_applications_are_listed_newest_first_by_what_they_wait_for(desk: Desk):
    numbers = [await desk.applied(n) for n in (1, 2, 3)]
    await desk.verify(numbers[1])
    listed = desk.examiner.listed
    assert [row["number"] for row in await listed(None, 2**31 - 1, 2)] == numbers[:0:-1]
    assert [row["number"] for row in await listed(PrefixState.UNVERIFIED, numbers[2], 9)] == numbers[:1]
    assert [row["number"] for row in await listed(PENDING, 2**31 - 1, 9)] == [numbers[1]]
    assert await desk.examiner.shown(99) is None
