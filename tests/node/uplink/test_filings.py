"""Proves node/uplink/filings.py under a top-level node that lies; under an honest one tests/whole/ does."""

from dataclasses import replace

from node.uplink import filings
from proto import uplink_pb2 as pb
from registry.filing import Filing, Particulars
from registry.postgres.filing import EnterpriseToFile
from registry.prefix import PrefixState
from tests.node.uplink.side import HUGE, Side, audit, order
from tests.registry.world import PARTICULARS, PREFIX


def test_every_particular_of_an_enterprise_is_told():
    filed = EnterpriseToFile(1, "某厂", "Some", PARTICULARS, "", 1)
    told = filings.enterprise(filed)
    assert (told.ent_name_cn, told.ent_name_en) == ("某厂", "Some")
    nested = {"contact": told.contact, "legal": told.legal_person}
    for name in Particulars.__dataclass_fields__:
        group, _, part = name.partition("_")
        where, field = (nested[group], part) if group in nested else (told, name)
        assert getattr(where, field) == getattr(PARTICULARS, name)


async def test_a_change_is_filed_in_part_or_whole_as_its_field_demands(side: Side):
    told: list[pb.UpdateEnterpriseRequest] = []

    def update(given: pb.UpdateEnterpriseRequest) -> tuple[int, pb.UpdateEnterpriseResponse]:
        told.append(given)
        return 1000, pb.UpdateEnterpriseResponse()

    side.liar.says |= {
        "CheckEnterprise": lambda _: (1000, pb.CheckEnterpriseResponse()),
        "CreateEnterprise": lambda _: (1000, pb.CreateEnterpriseResponse(ent_id="7")),
        "UpdateEnterprise": update,
        "CheckPrefix": lambda _: (2400, pb.CheckPrefixResponse()),
        "CreatePrefix": lambda _: (1001, pb.CreatePrefixResponse()),
    }
    await side.filings.file()
    moved = replace(PARTICULARS, ent_addr_cn="新址")
    for given in (moved, replace(moved, legal_name="新人"), replace(moved, legal_name="新人", contact_phone="12345")):
        await side.world.steward.enrol("天马皮具", "Tianma Leather", "leather", PREFIX, given)
        await side.filings.file()
    assert [each.partial for each in told] == [True, False, True]
    assert [each.enterprise.ent_name_cn for each in told] == ["", "天马皮具", ""]
    assert told[0].enterprise.ent_addr_cn == "新址"
    assert not told[0].enterprise.HasField("legal_person")
    assert side.liar.asked["CreateEnterprise"] == 1


async def test_what_came_from_another_node_is_filed_with_what_lets_it_go(side: Side):
    told: list[pb.CreatePrefixRequest] = []

    def create(given: pb.CreatePrefixRequest) -> tuple[int, pb.CreatePrefixResponse]:
        told.append(given)
        return 1001, pb.CreatePrefixResponse()

    side.liar.says |= {
        "CheckEnterprise": lambda _: (1000, pb.CheckEnterpriseResponse(ent_id="7")),
        "UpdateEnterprise": lambda _: (1000, pb.UpdateEnterpriseResponse()),
        "CreatePrefix": create,
    }
    release = pb.Release(node="88.555", number=3, head=bytes(32), made=9, signature=b"s")
    kept = "INSERT INTO release SELECT number, '88.555', 3, $1, 9, 's' FROM prefix WHERE name = $2"
    await side.world.pool.execute(kept, bytes(32), PREFIX)
    for _ in range(2):  # the enterprise first
        await side.filings.file()
    assert told == [pb.CreatePrefixRequest(ent_id="7", prefix=PREFIX, release=release)]


async def test_an_enterprise_its_books_have_lost_is_filed_anew(side: Side):
    side.liar.says |= {
        "CheckEnterprise": lambda _: (1000, pb.CheckEnterpriseResponse()),
        "CreateEnterprise": lambda _: (1000, pb.CreateEnterpriseResponse(ent_id="7")),
        "UpdateEnterprise": lambda _: (filings.UNKNOWN, pb.UpdateEnterpriseResponse()),
        "CheckPrefix": lambda _: (2400, pb.CheckPrefixResponse()),
        "CreatePrefix": lambda _: (1001, pb.CreatePrefixResponse()),
    }
    await side.filings.file()
    await side.world.steward.enrol(
        "天马皮具", "Tianma Leather", "leather", PREFIX, replace(PARTICULARS, ent_addr_cn="新址")
    )
    await side.filings.file()
    assert side.liar.asked["CreateEnterprise"] == 2
    assert await side.world.one("SELECT filed = revision FROM particulars")


async def test_a_filing_that_was_refused_while_its_answer_was_lost_is_filed_again_and_its_reason_kept(side: Side):
    await side.clerk.to_file()
    await side.clerk.keep_nonce(side.world.prefix_no, b"n" * 16)
    refused = pb.CheckPrefixResponse(yours=True, available=True, state=pb.PREFIX_STATE_REFUSED)
    nonces: list[bytes] = []
    side.liar.says |= {
        "CheckEnterprise": lambda _: (1000, pb.CheckEnterpriseResponse(ent_id="7" + HUGE)),
        "UpdateEnterprise": lambda _: (1000, pb.UpdateEnterpriseResponse()),
        "CheckPrefix": lambda _: (1000, refused),
        "CreatePrefix": lambda _: (1001, pb.CreatePrefixResponse()),
    }
    await side.filings.file()
    await side.filings.file()
    assert side.liar.asked["CreatePrefix"] == 1
    nonces.append(await side.world.one("SELECT nonce FROM filing"))
    told = audit(1)
    told.audit.nonce = nonces[0]
    side.queue(told)
    await side.messages.poll()
    assert (await side.standing())[1:] == (Filing.REFUSED, False, "why")


async def test_a_prefix_found_suspended_is_filed_once(side: Side):
    suspended = pb.CheckPrefixResponse(yours=True, state=pb.PREFIX_STATE_SUSPENDED)
    side.liar.says |= {
        "CheckEnterprise": lambda _: (1000, pb.CheckEnterpriseResponse(ent_id="7")),
        "UpdateEnterprise": lambda _: (1000, pb.UpdateEnterpriseResponse()),
        "CheckPrefix": lambda _: (1000, suspended),
        "CreatePrefix": lambda _: (filings.EXISTS, pb.CreatePrefixResponse()),
        "Poll": lambda _: (1300, pb.PollResponse()),
    }
    while not await side.filings.file():
        assert side.liar.asked["CreatePrefix"] < 3
    assert (await side.standing())[:3] == (PrefixState.STOPPED, Filing.APPROVED, True)
    resume = order(1, kind=pb.ORDER_KIND_RESUME_PREFIX)
    side.queue(resume)
    await side.messages.poll()
    assert (await side.standing())[:3] == (PrefixState.ENABLED, Filing.APPROVED, False)
