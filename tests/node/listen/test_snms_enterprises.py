"""The SNMS calls about enterprises on a node in this process: who may, what is told, and what a mistake is called."""

from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import pytest

from registry.account import Vault
from registry.filing import Particulars
from registry.prefix import PrefixState
from registry.rights import Role
from registry.steward import Steward
from tests.fakes import applicant
from tests.fakes.in_process import STRANGER_PREFIX, Node, node
from tests.fakes.small_registry import PREFIX

APPLY, UPGRADE = "/snms/api/v3/ent/apply", "/snms/api/v3/ent/upgrade-apply"
PAGE, DETAIL, REGISTRY = "/snms/api/v3/ent/page", "/snms/api/v3/ent/detail", "/identity/registry"
QUERY, PREFIXES, CONFIG = "/snms/api/prefix/query", "/snms/api/prefix/page", "/snms/api/ent/config"
WANTED = "88.999.6001"
DONE = (1, "success", True)
OWN = {"entPrefix": PREFIX, "hdlType": "HS_SITE", "ipType": 4, "ip": "192.0.2.7", "tcpPort": "2641"}


NONSENSE = [b"", b"[]", b"{", b"\xff", b"{}", b'{"sysUser":7}', b'{"username":"leather"}']


class Office:
    """A node with a verifier and a reviewer, and files the administrator has sent."""

    def __init__(self, running: Node) -> None:
        self.node = running

    async def ask(self, method: str, path: str, body: Any = None, who: str = "admin") -> tuple[int, str, Any]:
        status, answer = await self.node.call(method, path, body, who)
        assert status == 200
        return answer["status"], answer["message"], answer["data"]

    async def data(self, path: str, who: str = "admin") -> Any:
        status, message, data = await self.ask("GET", path, None, who)
        assert (status, message) == (1, "success")
        return data

    async def files(self, *numbers: int, owner: str = "admin") -> None:
        await self.node.registry.pool.executemany(
            "INSERT INTO file (number, account_no, kind, octets, sha256, created) "
            "SELECT $1, number, 'png', 1, $3, now() FROM account WHERE username = $2",
            [(number, owner, bytes(32)) for number in numbers],
        )

    async def sign_in(self, name: str) -> None:
        body = {"username": name, "password": applicant.PASSWORD}
        self.node.tokens[name] = (await self.ask("POST", "/identity/token", body))[2]["token"]

    async def pass_it(self) -> None:
        number = await self.node.registry.pool.fetchval("SELECT max(number) FROM application")
        for step, who in (("verification", "he"), ("review", "shen")):
            path = f"/api/v1/applications/{number}/{step}"
            assert (await self.node.call("PUT", path, {"passed": True}, who))[0] == 200


@pytest.fixture
async def office(database: str) -> AsyncIterator[Office]:
    async with node(database) as running:
        await running.join("he", Role.VERIFIER)
        await running.join("shen", Role.REVIEWER)
        made = Office(running)
        await made.files(11, 12, 13)
        yield made


async def test_an_enterprise_comes_in_and_sees_how_it_stands(office: Office) -> None:
    assert await office.ask("POST", APPLY, applicant.applicant()) == DONE
    await office.sign_in("firm1")
    assert (await office.data(f"{QUERY}?prefix={WANTED}", "firm1"))["status"] == PrefixState.PENDING
    detail = await office.data(DETAIL, "firm1")
    basic = detail["entBasicInfo"]
    assert (basic["orgName"], basic["orgNature"], basic["legalCrtNo"]) == ("花都测试皮具1厂", "2", "E00000001")
    assert (basic["legalFax"], basic["regCapital"], basic["establishDate"]) == (None, 1200, "2012-01-06")
    assert [each["sysType"] for each in detail["entRegisterManageInfo"]["entInfoSyses"]] == [1, 2, 3, 4]
    await office.pass_it()
    told = await office.data(f"{QUERY}?prefix={WANTED}", "firm1")
    assert told["ghrName"]
    assert {name: told[name] for name in ("prefix", "status", "entNameCn", "entWebSite", "entIndustry", "entDesc")} == {
        "prefix": WANTED,
        "status": PrefixState.ENABLED,
        "entNameCn": "花都测试皮具1厂",
        "entWebSite": "www.firm.example",
        "entIndustry": "C",
        "entDesc": "示例企业 纯属虚构",
    }
    (row,) = (await office.data(PREFIXES, "firm1"))["content"]
    assert (row["entPrefix"], row["state"], row["proxyState"]) == (WANTED, 1, 1)
    assert (await office.data(f"{PREFIXES}?entPrefix={PREFIX}"))["content"][0]["proxyState"] == 4
    assert await office.ask("POST", CONFIG, {"entPrefixConfig": OWN}, "leather") == DONE
    assert (await office.data(PREFIXES, "leather"))["content"][0]["proxyState"] == 1
    hosted = {"proxyServerId": 1, "entPrefixConfig": {"entPrefix": PREFIX}}
    assert await office.ask("POST", CONFIG, hosted, "leather") == DONE
    assert (await office.data(PREFIXES, "leather"))["content"][0]["proxyState"] == 2
    await office.node.join("an", Role.SECURITY_ADMIN)
    for who, number in (("an", "E*******1"), ("he", "E00000001")):
        told = await office.data(f"{DETAIL}?id={row['entId']}", who)
        assert told["entBasicInfo"]["legalCrtNo"] == number


async def test_who_may_apply_for_whom(office: Office) -> None:
    for who in ("leather", "he", "shen"):
        assert (await office.ask("POST", APPLY, applicant.applicant(), who))[0] == -3
        assert (await office.ask("POST", REGISTRY, applicant.user("firm1"), who))[0] == -3
        assert (await office.ask("POST", UPGRADE, {"username": "firm1"} | applicant.form(), who))[0] == -3
    given = applicant.user("firm1") | {"openId": "1001", "openUserName": "李四"}
    assert await office.ask("POST", f"/snmsapi{REGISTRY}", given) == DONE
    await office.sign_in("firm1")
    assert (await office.data(PAGE, "firm1"))["content"] == []
    assert (await office.ask("GET", DETAIL, None, "firm1"))[0] != 1
    await office.files(21, 22, 23, owner="firm1")
    wanted = {"username": "firm1"} | applicant.form(2)
    assert await office.ask("POST", UPGRADE, wanted, "firm1") == DONE
    assert (await office.ask("POST", UPGRADE, wanted, "firm1"))[1] == "企业已有申请在等待核验或审核"
    (row,) = (await office.data(PAGE, "firm1"))["content"]
    assert (row["openIds"], row["orgCrtType"], row["entGeneralId"]) == (["1001"], "1", None)


async def test_mistakes_are_named(office: Office) -> None:
    for path, body in product((APPLY, UPGRADE, REGISTRY, CONFIG), NONSENSE):
        status, message, data = await office.ask("POST", path, body)
        assert (status, data) == (-2, None)
        assert message
    for given, part in (
        (applicant.applicant(orgNature=9), "entBasicInfo.orgNature"),
        (applicant.applicant(orgName=""), "缺少必要的请求参数: entBasicInfo.orgName"),
        (applicant.applicant(entPrefix=PREFIX), "entPrefix"),
        (applicant.applicant(orgCrtImgRid=77), "文件77"),
        (applicant.applicant() | {"sysUser": applicant.user("leather")}, "userName已被使用"),
    ):
        status, message, _ = await office.ask("POST", APPLY, given)
        assert status == -2
        assert part in message
    short = applicant.user("firm1") | {"password": "123456"}
    assert "sha256" in (await office.ask("POST", REGISTRY, short))[1]
    for query in ("currentPage=0", "pageSize=101", "pageSize=x", "startDate=yesterday", "orgName=%00"):
        assert (await office.ask("GET", f"{PAGE}?{query}"))[0] == -2
        assert (await office.ask("GET", f"{PREFIXES}?{query}&entName=%00"))[0] == -2
    hosted = {"proxyServerId": 1, "entPrefixConfig": {"entPrefix": PREFIX}}
    for body, part in (
        (hosted | {"proxyServerId": 2}, "托管服务器2"),
        ({"entPrefixConfig": OWN | {"tcpPort": ""}}, "至少填写一个"),
        ({"entPrefixConfig": OWN | {"entPrefix": "88.999.9999"}}, "没有前缀88.999.9999"),
        ({"entPrefixConfig": OWN | {"entPrefix": "88.999.1\0"}}, "entPrefix"),
    ):
        status, message, _ = await office.ask("POST", CONFIG, body, "leather")
        assert status == -2
        assert part in message
    await office.node.house.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    assert "已停用" in (await office.ask("POST", CONFIG, hosted, "leather"))[1]


async def test_lists_are_bounded_paged_and_ones_own(office: Office) -> None:
    steward = Steward(office.node.registry.pool, Vault(bytes(32)))
    for n in range(2, 5):
        await steward.enrol(f"皮具{n}厂", "x", "leather", f"88.999.700{n}", _particulars(n))
    page = await office.data(f"{PAGE}?orgName=皮具&pageSize=2&currentPage=2&startDate=&endDate=2999-01-01 00:00:00")
    assert {name: page[name] for name in page if name != "content"} == {
        "first": False,
        "last": True,
        "totalPages": 2,
        "totalElements": 4,
        "number": 2,
        "size": 2,
        "sort": None,
        "numberOfElements": 2,
    }
    assert [row["orgName"] for row in page["content"]] == ["皮具2厂", "云岫皮具"]
    assert page["content"][0]["orgCrtCode"] == applicant.credit_code(2)
    assert (await office.data(f"{PAGE}?startDate=2999-01-01"))["totalElements"] == 0
    made = (await office.data(f"{PAGE}?pageSize=1"))["content"][0]["createDate"][:10]
    assert (await office.data(f"{PAGE}?startDate={made}&endDate={made}"))["totalElements"] > 0, "the whole last day"
    assert (await office.data(f"{PAGE}?startDate={made}&endDate={made} 00:00:00"))["totalElements"] == 0
    assert [row["entPrefix"] for row in (await office.data(PREFIXES, "leather"))["content"]] == [PREFIX]
    assert [row["orgName"] for row in (await office.data(PAGE, "leather"))["content"]] == ["云岫皮具"]
    number = await office.node.registry.pool.fetchval(
        "SELECT enterprise_no FROM prefix WHERE name = $1", STRANGER_PREFIX
    )
    assert (await office.ask("GET", f"{DETAIL}?id={number}", None, "leather"))[0] == -3
    assert (await office.data(f"{DETAIL}?id={number}"))["entBasicInfo"]["orgName"] == "星禾"
    assert (await office.ask("GET", f"{DETAIL}?id=2147483647"))[1] == "没有这个企业"
    assert (await office.ask("GET", f"{QUERY}?prefix={STRANGER_PREFIX}", None, "leather"))[0] == -3
    assert (await office.ask("GET", f"{QUERY}?prefix=88.999.9999", None, "leather"))[1] == "没有前缀88.999.9999"
    foreign = {"entPrefixConfig": OWN | {"entPrefix": STRANGER_PREFIX}}
    assert [(await office.ask("POST", CONFIG, foreign, who))[0] for who in ("leather", "he")] == [-3, -3]
    assert (await office.ask("GET", QUERY))[1] == "缺少必要的请求参数: prefix"


def _particulars(number: int) -> Particulars:
    return Particulars(
        ent_crt_code=applicant.credit_code(number),
        ent_type=2,
        ent_province_code="440000",
        ent_city_code="440100",
        ent_addr_cn="狮岭镇",
        contact_name="张三",
        contact_email="a@b.example",
        contact_phone="020-12345678",
        legal_name="李四",
        legal_id_type=1,
        legal_id_no="440114200011091238",
    )
