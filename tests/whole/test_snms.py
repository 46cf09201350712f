"""The SNMS OpenAPI word for word, against a whole node: what an integration that exists today sends and relies on."""

import asyncio
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from proto.credit_code import check_character
from registry.account import token_digest
from tests.fakes.snms import BAG_TEMPLATE
from tests.waiting import wait_until
from tests.whole.calls import Caller, idnode
from tests.whole.uplink_world import PARTICULARS

DATA = "/identityv2/data"
DETAIL = f"{DATA}/detail"
V3, V5 = "/snms/api/v3/template", "/snms/api/v5/template"
PREFIX = "88.999.7001"
MINE = ("测试皮具有限公司", "AK-test-7001")
NOT_SIGNED_IN = {"status": -1, "message": "未登录或登录已过期", "data": None}
NO_PERMISSION = {"status": -3, "message": "没有操作权限", "data": None}
_numbers = itertools.count(1)


def done(answer: Any) -> bool:
    return bool(answer == {"status": 1, "message": "success", "data": True})


def refused(answer: Any) -> str:
    """The sentence of a refusal, which has status -2 and no data."""
    assert (answer["status"], answer["data"]) == (-2, None), answer
    return str(answer["message"])


def approved(listed: str) -> bool:
    """Whether our prefix stands in the list as approved."""
    return any(line.startswith(f"{PREFIX} ") and "approved" in line for line in listed.splitlines())


@pytest.fixture(scope="session")
def secret(world: Any) -> str:
    """A firm with a prefix and a program of its own in the world, made as an administrator makes them."""
    code = "91440114MA5TE8T01" + check_character("91440114MA5TE8T01")
    words = ("enterprise", "add", MINE[0], "--prefix", PREFIX, "--industry", "leather", "--credit-code", code)
    idnode(world.data, *words, *PARTICULARS)
    wait_until(lambda: approved(idnode(world.data, "enterprise", "list")), "the top-level node has approved it")
    said = idnode(world.data, "user", "add", MINE[1], "--program", "--enterprise", PREFIX)
    return said.split()[-1]


@pytest.fixture(scope="session")
def mine(world: Any, secret: str) -> Caller:
    """The firm's program, signed in."""
    return Caller(world.http).signed(MINE[1], secret)


@pytest.fixture(scope="session")
def admin(world: Any) -> Caller:
    known = world.ready["admin"]
    return Caller(world.http).signed(known["username"], known["password"])


@pytest.fixture(scope="session")
def stranger(world: Any) -> Caller:
    """A person of another firm."""
    known = world.ready["enterprises"][1]
    return Caller(world.http).signed(known["username"], known["password"])


def item(index: int | str, name: str, zh: str, **more: Any) -> dict[str, Any]:
    metadata = {"type": "string", "minLength": more.pop("least", 0), "maxLength": more.pop("most", 255)}
    return {"name": zh, "idType": name, "idIndex": index, "required": False, "metadata": metadata} | more


ITEMS = [
    item("2000", "styleNo", "款号", required=True, least=1),
    item("2001", "colour", "颜色"),
    item("2002", "story", "故事", most=4096),
    item("2003", "old", "旧属性", state=0),
]


def template(version: str, **changes: Any) -> dict[str, Any]:
    return BAG_TEMPLATE | {"prefix": PREFIX, "version": version, "items": ITEMS} | changes


@pytest.fixture(scope="session")
def bag(mine: Caller) -> str:
    """The version of a template made through the OpenAPI."""
    assert done(mine.call("POST", V5, template("bag")).json)
    return "bag"


@pytest.fixture
def suffix() -> str:
    return f"T-{next(_numbers)}"


Row = Callable[..., dict[str, Any]]


@pytest.fixture
def row(bag: str) -> Row:
    indexes = {each["idType"]: each["idIndex"] for each in ITEMS}

    def made(suffix: str, **values: str) -> dict[str, Any]:
        given = values or {"styleNo": "S1"}
        told = [
            {"index": int(indexes[name]), "type": name, "data": {"format": "string", "value": text}}
            for name, text in given.items()
        ]
        return {"handle": f"{PREFIX}/{suffix}", "templateVersion": bag, "value": told}

    return made


def values(caller: Caller, suffix: str) -> dict[str, str]:
    """What the owner is shown of an identifier."""
    answer = caller.call("GET", f"{DETAIL}?handle={PREFIX}/{suffix}").json
    assert answer["status"] == 1, answer
    return {value["type"]: value["data"]["value"] for value in answer["data"]["value"]}


def versions(caller: Caller, suffix: str) -> list[str]:
    answer = caller.call("GET", f"/api/v1/history/{PREFIX}/{suffix}").json
    return [version["kind"] for version in answer["versions"]]


# -- signing in


def test_people_programs_and_administrators_sign_in_the_same_way(world: Any, secret: str) -> None:
    leather = world.ready["enterprises"][0]
    accounts = [
        (leather["username"], leather["password"]),
        (leather["access_key"], leather["secret_key"]),
        (world.ready["admin"]["username"], world.ready["admin"]["password"]),
        (MINE[1], secret),
    ]
    tokens = set()
    for username, password in accounts:
        reply = Caller(world.http).call("POST", "/identity/token", {"username": username, "password": password})
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json;charset=utf-8")
        assert (reply.json["status"], reply.json["message"], list(reply.json["data"])) == (1, "success", ["token"])
        tokens.add(reply.json["data"]["token"])
    assert len(tokens) == len(accounts)


def test_a_wrong_secret_is_told_in_the_words_clients_know(world: Any, secret: str) -> None:
    caller = Caller(world.http)
    leather = world.ready["enterprises"][0]
    for username, password in (
        (MINE[1], "wrong"),
        ("nobody", secret),
        (leather["username"], leather["secret_key"]),
        (leather["access_key"], leather["password"]),
        (leather["username"], hashlib.sha256(leather["password"].encode()).hexdigest()),
    ):
        for path in ("/identity/token", "/identity/token/v1"):
            answer = caller.call("POST", path, {"username": username, "password": password}).json
            assert answer == {"status": -2, "message": "用户名/密码错误！", "data": None}
    for body, name in (
        ({}, "username"),
        ({"username": "x"}, "password"),
        ({"username": "", "password": "x"}, "username"),
    ):
        assert refused(caller.call("POST", "/identity/token", body).json) == f"缺少必要的请求参数: {name}"
    for octets in (b"", b"[]", b"nonsense", b'{"username":"\xff"}', b'{"username":7}', b"[" * 99_999):
        assert refused(caller.call("POST", "/identity/token", octets).json)


def dated(secret: str, days: int) -> str:
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date() + timedelta(days=days)
    inner = hashlib.sha256(secret.encode()).hexdigest()
    return hashlib.sha256(f"{inner}{today:%Y-%m-%d}".encode()).hexdigest()


def test_programs_may_sign_in_with_a_digest_of_the_day(world: Any, secret: str) -> None:
    caller = Caller(world.http)
    for days in (-1, 0, 1):
        caller.signed(MINE[1], dated(secret, days), "/identity/token/v1")
    wrong = [dated(secret, -3), dated(secret, 3), secret, hashlib.sha256(secret.encode()).hexdigest()]
    for password in wrong:
        answer = caller.call("POST", "/identity/token/v1", {"username": MINE[1], "password": password}).json
        assert refused(answer) == "用户名/密码错误！"
    leather = world.ready["enterprises"][0]
    answer = caller.call(
        "POST", "/identity/token/v1", {"username": leather["username"], "password": dated(leather["password"], 0)}
    ).json
    assert refused(answer) == "用户名/密码错误！", "people cannot: of their password only argon2 is kept"


EVERYTHING = [
    ("GET", f"{DETAIL}?handle=x"),
    ("GET", f"{DATA}?handle=x"),
    ("POST", DATA),
    ("PUT", DATA),
    ("DELETE", DATA),
    ("POST", f"{DATA}/batchCreate"),
    ("PUT", f"{DATA}/batchUpdate"),
    ("DELETE", f"{DATA}/batchDelete"),
    *((method, V3) for method in ("GET", "POST", "DELETE")),
    *((method, V5) for method in ("GET", "POST", "PUT", "DELETE")),
]


@pytest.mark.parametrize("base", ["", "/snmsapi"])
def test_without_a_live_token_every_call_says_so_with_200(world: Any, base: str) -> None:
    for method, path in EVERYTHING:
        for header in (
            {},
            {"Authorization": "Bearer garbage"},
            {"Authorization": "Basic eDp5"},
            {"Authorization": "x"},
        ):
            reply = Caller(world.http).call(method, base + path, None if method == "GET" else {}, **header)
            assert (reply.status, reply.json) == (200, NOT_SIGNED_IN), (method, path, header)


def test_a_token_that_is_revoked_or_past_its_day_says_the_same(world: Any, secret: str, row: Row, suffix: str) -> None:
    revoked = Caller(world.http).signed(MINE[1], secret)
    assert revoked.call("DELETE", "/api/v1/tokens/this").status == 204
    expired = Caller(world.http).signed(MINE[1], secret)

    async def expire() -> None:
        url = json.loads((world.data / "servers.json").read_text())["database_url"]
        connection = await asyncpg.connect(url)
        done = await connection.execute(
            "UPDATE token SET expires = now() WHERE digest = $1", token_digest(expired.token)
        )
        assert done == "UPDATE 1"
        await connection.close()

    asyncio.run(expire())
    for caller in (revoked, expired):
        reply = caller.call("POST", DATA, row(suffix))
        assert (reply.status, reply.json) == (200, NOT_SIGNED_IN)


def test_the_scheme_may_be_written_in_any_case(world: Any, mine: Caller) -> None:
    reply = Caller(world.http).call("GET", f"{DETAIL}?handle={PREFIX}/no", Authorization=f"bearer {mine.token}")
    assert reply.json["message"] == "没有找到标识"


# -- one identifier


def test_from_registered_to_deleted_and_back(mine: Caller, row: Row, suffix: str) -> None:
    handle = f"{PREFIX}/{suffix}"
    assert refused(mine.call("GET", f"{DETAIL}?handle={handle}").json) == "没有找到标识"
    assert refused(mine.call("PUT", DATA, row(suffix)).json) == "标识不存在"
    assert refused(mine.call("DELETE", DATA, {"handle": handle}).json) == "标识不存在"
    assert done(mine.call("POST", DATA, row(suffix, styleNo="S1", colour="红")).json)
    assert mine.call("GET", f"{DETAIL}?handle={handle}").json == {
        "status": 1,
        "message": "success",
        "data": {
            "prefix": PREFIX,
            "handle": handle,
            "templateVersion": "bag",
            "value": [
                {"auth": "", "index": 2000, "type": "styleNo", "data": {"format": "string", "value": "S1"}},
                {"auth": "", "index": 2001, "type": "colour", "data": {"format": "string", "value": "红"}},
            ],
            "code": "200",
        },
    }
    assert done(mine.call("PUT", DATA, row(suffix, colour="蓝")).json), "only what changes is sent"
    assert values(mine, suffix) == {"styleNo": "S1", "colour": "蓝"}
    assert done(mine.call("DELETE", DATA, {"handle": handle}).json)
    assert refused(mine.call("GET", f"{DETAIL}?handle={handle}").json) == "没有找到标识"
    assert refused(mine.call("PUT", DATA, row(suffix)).json) == "标识不存在"
    assert refused(mine.call("DELETE", DATA, {"handle": handle}).json) == "标识不存在"
    assert done(mine.call("POST", DATA, row(suffix, styleNo="S9")).json)
    assert values(mine, suffix) == {"styleNo": "S9"}
    assert versions(mine, suffix) == ["revived", "deleted", "updated", "created"]


def test_what_is_there_already_says_in_what_it_differs(mine: Caller, row: Row, suffix: str) -> None:
    assert done(mine.call("POST", DATA, row(suffix, styleNo="S1", colour="红")).json)
    for sent, differs in (
        (row(suffix, styleNo="S1", colour="红"), []),
        (row(suffix, styleNo="S2", colour="红"), ["styleNo"]),
        (row(suffix, styleNo="S2", story="新"), ["styleNo", "colour", "story"]),
    ):
        answer = mine.call("POST", DATA, sent).json
        assert answer == {"status": -2, "message": "标识已存在", "data": None, "differs": differs}
    assert values(mine, suffix) == {"styleNo": "S1", "colour": "红"}


def test_a_put_that_changes_nothing_makes_no_version(mine: Caller, row: Row, suffix: str) -> None:
    assert done(mine.call("POST", DATA, row(suffix, styleNo="S1", colour="红")).json)
    for sent in (row(suffix, styleNo="S1", colour="红"), row(suffix, colour="红"), row(suffix) | {"value": []}):
        assert done(mine.call("PUT", DATA, sent).json)
    assert versions(mine, suffix) == ["created"]


def test_what_real_clients_write_is_taken(mine: Caller, row: Row, suffix: str) -> None:
    def telling(**value: Any) -> dict[str, Any]:
        return row(suffix) | {"value": [{"index": 2000, "type": "styleNo", "data": {"value": "S1"}} | value]}

    assert done(mine.call("POST", DATA, telling(index="2000")).json)
    for n, sent in enumerate(
        (
            telling(data={"format": "String", "value": "v0"}),
            telling(auth="", data={"format": "string", "value": "v1"}),
            telling(data={"format": "string", "vlaue": "v2"}),
            telling(data={"value": "v3"}) | {"extra": {"deep": [1]}},
        )
    ):
        assert done(mine.call("PUT", DATA, sent).json)
        assert values(mine, suffix) == {"styleNo": f"v{n}"}
    for content_type in ("application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense"):
        assert done(mine.call("PUT", DATA, telling(), Content_Type=content_type).json)


def test_the_other_base_is_the_same_place(mine: Caller, row: Row, suffix: str) -> None:
    assert done(mine.call("POST", f"/snmsapi{DATA}", row(suffix)).json)
    assert mine.call("GET", f"/snmsapi{DETAIL}?handle={PREFIX}/{suffix}").json["status"] == 1
    assert mine.call("GET", f"/snmsapi{DATA}?handle={PREFIX}/{suffix}").json["status"] == 1
    assert mine.call("POST", f"/snmsapi{DATA}/batchCreate", [row(suffix)]).json["data"][0]["msg"] == "标识已存在"
    assert mine.call("GET", f"/snmsapi{V5}?prefix={PREFIX}&version=bag").json["status"] == 1
    assert done(mine.call("DELETE", f"/snmsapi{DATA}", {"handle": f"{PREFIX}/{suffix}"}).json)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"templateVersion": "nothing"}, "模板nothing不存在"),
        ({"templateVersion": "a\0b"}, "不存在"),
        ({"handle": "77.1/x"}, "前缀77.1不属于本节点"),
        ({"handle": "nonsense"}, "标识应由前缀、“/”和后缀组成"),
        ({"handle": f"{PREFIX}/META_x"}, "后缀以META_开头的标识保留给模板"),
        ({"value": []}, "缺少必填属性款号（styleNo）"),
        ({"value": None}, "缺少必要的请求参数: value"),
    ],
)
def test_what_cannot_be_registered_is_one_sentence(
    mine: Caller, row: Row, suffix: str, changes: dict[str, Any], sentence: str
) -> None:
    assert sentence in refused(mine.call("POST", DATA, row(suffix) | changes).json)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"index": 1000, "type": "TEMPLATE_ID"}, "非法操作，索引1000在模板中不存在"),
        ({"index": 1001, "type": "TEMPLATE"}, "非法操作，索引1001在模板中不存在"),
        ({"index": 2999}, "非法操作，索引2999在模板中不存在"),
        ({"type": "colour"}, "索引2000的类型应为styleNo，实为colour"),
        ({"index": 2003, "type": "old"}, "旧属性（old）已禁用，不能写入"),
        ({"data": {"value": "x" * 256}}, "款号（styleNo）长度应在1到255之间，实为256"),
        ({"data": {"value": ""}}, "款号（styleNo）长度应在1到255之间，实为0"),
        ({"index": 2002, "type": "story", "data": {"value": "长" * 4097}}, "长度应在0到4096之间，实为4097"),
        ({"data": {"format": "base64", "value": "eA=="}}, "索引2000的数据格式只支持string"),
    ],
)
def test_a_value_that_its_template_does_not_allow_is_one_sentence(
    mine: Caller, row: Row, suffix: str, value: dict[str, Any], sentence: str
) -> None:
    given = {"index": 2000, "type": "styleNo", "data": {"format": "string", "value": "S1"}} | value
    answer = mine.call("POST", DATA, row(suffix) | {"value": [given]}, Accept_Language="en-US,en;q=0.9").json
    assert sentence in refused(answer), "and it is Chinese whatever is asked for"


def test_texts_are_as_long_as_the_template_says_and_counted_in_characters(mine: Caller, row: Row, suffix: str) -> None:
    told = {"styleNo": "款" * 255, "story": "😀" * 4096}
    assert done(mine.call("POST", DATA, row(suffix, **told)).json)
    assert values(mine, suffix) == told


def test_a_prefix_of_another_firm_is_not_yours(mine: Caller, stranger: Caller, row: Row, suffix: str) -> None:
    assert done(mine.call("POST", DATA, row(suffix)).json)
    handle = f"{PREFIX}/{suffix}"
    for method, body in (("POST", row(suffix)), ("PUT", row(suffix)), ("DELETE", {"handle": handle})):
        answer = stranger.call(method, DATA, body).json
        assert (answer["status"], answer["data"]) == (-3, None)
        assert answer["message"] == f"没有前缀{PREFIX}的操作权限"
    assert stranger.call("GET", f"{DETAIL}?handle={handle}").json == NO_PERMISSION
    answer = stranger.call("POST", f"{DATA}/batchCreate", [row(suffix)]).json
    assert answer["data"] == [{"handle": handle, "msg": f"没有前缀{PREFIX}的操作权限"}]
    for path in (V3, V5):
        assert stranger.call("GET", f"{path}?prefix={PREFIX}&version=bag").json == NO_PERMISSION
        assert stranger.call("POST", path, template("x")).json == NO_PERMISSION
        assert stranger.call("DELETE", path, {"prefix": PREFIX, "version": "bag"}).json == NO_PERMISSION
    assert stranger.call("PUT", V5, template("bag")).json == NO_PERMISSION


def test_administrators_may_everything(admin: Caller, row: Row, suffix: str) -> None:
    assert done(admin.call("POST", DATA, row(suffix)).json)
    assert done(admin.call("PUT", DATA, row(suffix, colour="蓝")).json)
    assert values(admin, suffix)["colour"] == "蓝"
    assert done(admin.call("DELETE", DATA, {"handle": f"{PREFIX}/{suffix}"}).json)


@pytest.fixture
def stopped(admin: Caller, mine: Caller, row: Row, suffix: str) -> Iterator[str]:
    """An identifier whose prefix is stopped meanwhile."""
    assert done(mine.call("POST", DATA, row(suffix)).json)
    assert admin.call("PUT", f"/api/v1/prefixes/{PREFIX}", {"state": "stopped"}).status == 200
    yield suffix
    assert admin.call("PUT", f"/api/v1/prefixes/{PREFIX}", {"state": "enabled"}).status == 200


def test_a_stopped_prefix_takes_no_writes(mine: Caller, admin: Caller, row: Row, stopped: str) -> None:
    sentence = f"前缀{PREFIX}已停用，不能写入"
    for caller in (mine, admin):
        for method, body in (
            ("POST", row(f"{stopped}-new")),
            ("PUT", row(stopped)),
            ("DELETE", {"handle": f"{PREFIX}/{stopped}"}),
        ):
            assert refused(caller.call(method, DATA, body).json) == sentence
    answer = mine.call("POST", f"{DATA}/batchCreate", [row(f"{stopped}-new")]).json
    assert answer["data"][0]["msg"] == sentence
    for _ in range(6):  # whichever worker answers
        assert mine.call("GET", f"/api/handles/{PREFIX}/{stopped}").json["responseCode"] == 301


# -- batches


def test_a_batch_tells_every_row_its_fate_in_the_order_sent(mine: Caller, row: Row, suffix: str) -> None:
    assert done(mine.call("POST", DATA, row(f"{suffix}-there", styleNo="S1")).json)
    rows: list[Any] = [
        row(f"{suffix}-1"),
        row(f"{suffix}-there"),
        row(f"{suffix}-there", styleNo="S2") | {"handle": f"{PREFIX}/{suffix}-there"},
        {"handle": f"{PREFIX}/{suffix}-2"},
        row(f"{suffix}-1", styleNo="S2"),
        7,
        row(f"{suffix}-3", styleNo="x" * 256),
        row(f"{suffix}-4"),
        row(f"{suffix}-3"),
    ]
    reply = mine.call("POST", f"{DATA}/batchCreate", rows)
    assert (reply.status, reply.json["status"], reply.json["message"]) == (200, 1, "success")
    assert reply.json["data"] == [
        {"handle": f"{PREFIX}/{suffix}-1", "msg": "success"},
        {"handle": f"{PREFIX}/{suffix}-there", "msg": "标识已存在", "differs": []},
        {"handle": f"{PREFIX}/{suffix}-there", "msg": "标识已存在", "differs": ["styleNo"]},
        {"handle": f"{PREFIX}/{suffix}-2", "msg": "缺少必要的请求参数: templateVersion"},
        {"handle": f"{PREFIX}/{suffix}-1", "msg": "标识已存在", "differs": ["styleNo"]},
        {"handle": "", "msg": "请求体格式不正确"},
        {"handle": f"{PREFIX}/{suffix}-3", "msg": "款号（styleNo）长度应在1到255之间，实为256"},
        {"handle": f"{PREFIX}/{suffix}-4", "msg": "success"},
        {"handle": f"{PREFIX}/{suffix}-3", "msg": "与本批第7行重复，且第7行未成功"},
    ]
    assert values(mine, f"{suffix}-1") == {"styleNo": "S1"}, "the first one won"
    kept = mine.call("GET", "/api/v1/batches?size=1").json["batches"][0]
    counts = {name: kept[name] for name in ("rows", "succeeded", "existed_alike", "existed_different", "refused")}
    assert counts == {"rows": 9, "succeeded": 2, "existed_alike": 1, "existed_different": 2, "refused": 4}
    assert (kept["username"], kept["operation"]) == (MINE[1], "create")
    assert kept["reasons"][0] == [4, f"{PREFIX}/{suffix}-2", "缺少必要的请求参数: templateVersion"]
    assert mine.call("GET", f"/api/v1/batches/{kept['number']}").json == kept


def test_a_row_that_is_not_even_text_does_not_touch_its_neighbours(mine: Caller, row: Row, suffix: str) -> None:
    good = json.dumps(row(f"{suffix}-1")).encode()
    deep = b"[" * 500 + b"]" * 500
    answer = mine.call("POST", f"{DATA}/batchCreate", b'[{"handle":"\xff"},' + good + b',"\xff",' + deep + b"]").json
    assert [each["msg"] for each in answer["data"]] == [
        "请求体不是UTF-8",
        "success",
        "请求体格式不正确",
        "请求体格式不正确",
    ]


def test_a_batch_of_updates(mine: Caller, row: Row, suffix: str) -> None:
    rows = [row(f"{suffix}-{n}", styleNo="S1", colour="红") for n in range(3)]
    assert {each["msg"] for each in mine.call("POST", f"{DATA}/batchCreate", rows).json["data"]} == {"success"}
    changes = [
        row(f"{suffix}-0", colour="蓝"),
        row(f"{suffix}-no", colour="蓝"),
        row(f"{suffix}-1", styleNo="S1", colour="红"),
        row(f"{suffix}-0", colour="绿"),
    ]
    assert [each["msg"] for each in mine.call("PUT", f"{DATA}/batchUpdate", changes).json["data"]] == [
        "success",
        "标识不存在",
        "success",
        "与本批第1行重复",
    ]
    assert values(mine, f"{suffix}-0") == {"styleNo": "S1", "colour": "蓝"}
    assert versions(mine, f"{suffix}-1") == ["created"]


@pytest.mark.parametrize("form", ["array", "table"])
def test_a_batch_of_deletions(mine: Caller, row: Row, suffix: str, form: str) -> None:
    rows = [row(f"{suffix}-{n}") for n in range(2)]
    assert {each["msg"] for each in mine.call("POST", f"{DATA}/batchCreate", rows).json["data"]} == {"success"}
    handles = [rows[0]["handle"], f"{PREFIX}/{suffix}-no", rows[0]["handle"], rows[1]["handle"], "nonsense"]
    body: Any = handles if form == "array" else {"handles": handles}
    answer = mine.call("DELETE", f"{DATA}/batchDelete", body).json
    assert (answer["status"], answer["message"]) == (1, "success")
    told = [(each["handle"], each["code"], each["msg"]) for each in answer["data"]]
    assert told[:4] == [
        (rows[0]["handle"], 1, "success"),
        (f"{PREFIX}/{suffix}-no", -2, "标识不存在"),
        (rows[0]["handle"], -2, "与本批第1行重复"),
        (rows[1]["handle"], 1, "success"),
    ]
    assert told[4][:2] == ("nonsense", -2)
    for sent in rows:
        assert mine.call("GET", f"/api/handles/{sent['handle']}").status == 404


def test_two_thousand_rows_are_taken_and_one_more_is_not(mine: Caller, row: Row, suffix: str) -> None:
    rows = [row(f"{suffix}-{n:04d}") for n in range(2001)]
    assert "2000" in refused(mine.call("POST", f"{DATA}/batchCreate", rows).json)
    assert mine.call("GET", f"/api/handles/{rows[0]['handle']}").status == 404, "nothing of it was done"
    answer = mine.call("POST", f"{DATA}/batchCreate", rows[:2000]).json
    assert [each["handle"] for each in answer["data"]] == [each["handle"] for each in rows[:2000]]
    assert {each["msg"] for each in answer["data"]} == {"success"}
    again = mine.call("POST", f"{DATA}/batchCreate", rows[:2000]).json
    assert {(each["msg"], len(each["differs"])) for each in again["data"]} == {("标识已存在", 0)}
    gone = mine.call("DELETE", f"{DATA}/batchDelete", [each["handle"] for each in rows[:2000]]).json
    assert {(each["code"], each["msg"]) for each in gone["data"]} == {(1, "success")}
    assert "2000" in refused(mine.call("DELETE", f"{DATA}/batchDelete", [each["handle"] for each in rows]).json)


def test_a_batch_over_several_prefixes_is_parted(admin: Caller, mine: Caller, row: Row, suffix: str) -> None:
    other = row(f"{suffix}-2") | {"handle": f"88.999.2001/{suffix}", "templateVersion": "nothing"}
    rows = [row(f"{suffix}-1"), other, row(f"{suffix}-3"), row("x") | {"handle": "77.1/x"}]
    answer = admin.call("POST", f"{DATA}/batchCreate", rows).json
    assert [each["msg"] for each in answer["data"]] == [
        "success",
        "模板nothing不存在",
        "success",
        "前缀77.1不属于本节点",
    ]
    assert values(mine, f"{suffix}-3") == {"styleNo": "S1"}


def test_what_is_no_batch_is_one_sentence(mine: Caller) -> None:
    for method, path in (("POST", "batchCreate"), ("PUT", "batchUpdate"), ("DELETE", "batchDelete")):
        for octets in (b"", b"{}", b"7", b'"x"', b"nonsense", b"[" * 99_999):
            assert refused(mine.call(method, f"{DATA}/{path}", octets).json)
        assert mine.call(method, f"{DATA}/{path}", b"[]").json == {"status": 1, "message": "success", "data": []}


def test_too_large_a_body_is_one_sentence(mine: Caller) -> None:
    most = 32 * 1024 * 1024
    reply = mine.call("POST", f"{DATA}/batchCreate", b" " * (most + 1))
    assert reply.status == 200
    assert refused(reply.json) == f"请求体不能超过{most}字节"


# -- templates


def test_a_template_from_made_to_forgotten(mine: Caller) -> None:
    version = f"t-{next(_numbers)}"
    query = f"?prefix={PREFIX}&version={version}"
    assert refused(mine.call("GET", V5 + query).json) == f"模板{version}不存在"
    assert done(mine.call("POST", V3, template(version, name="手袋")).json)
    assert refused(mine.call("POST", V5, template(version)).json) == f"模板{version}已存在"
    old, new = mine.call("GET", V3 + query).json["data"], mine.call("GET", V5 + query).json["data"]
    assert (new["handle"], new["name"]) == (f"{PREFIX}/META_{version}", "手袋")
    assert [each["state"] for each in new["items"]] == [1, 1, 1, 0]
    assert "state" not in old["items"][0]
    assert [each["idIndex"] for each in old["items"]] == [2000, 2001, 2002, 2003]
    assert done(mine.call("DELETE", V5, {"prefix": PREFIX, "version": version}).json)
    assert refused(mine.call("DELETE", V5, {"prefix": PREFIX, "version": version}).json) == f"模板{version}不存在"
    assert done(mine.call("POST", V5, template(version)).json)
    assert done(mine.call("DELETE", V3 + query).json), "the key may stand in the query too"


def test_a_template_in_use_cannot_be_forgotten_even_when_nothing_uses_it_any_more(
    mine: Caller, row: Row, suffix: str
) -> None:
    version = f"t-{next(_numbers)}"
    assert done(mine.call("POST", V5, template(version)).json)
    sent = row(suffix) | {"templateVersion": version}
    assert done(mine.call("POST", DATA, sent).json)
    key = {"prefix": PREFIX, "version": version}
    assert refused(mine.call("DELETE", V5, key).json) == f"模板{version}已被标识使用，不能删除"
    assert done(mine.call("DELETE", DATA, {"handle": sent["handle"]}).json)
    assert refused(mine.call("DELETE", V5, key).json) == f"模板{version}已被标识使用，不能删除"


def test_a_put_changes_what_it_names_and_closing_an_attribute_is_seen_at_once(
    world: Any, mine: Caller, row: Row, suffix: str
) -> None:
    version = f"t-{next(_numbers)}"
    assert done(mine.call("POST", V5, template(version)).json)
    sent = row(suffix, styleNo="S1", colour="红") | {"templateVersion": version}
    assert done(mine.call("POST", DATA, sent).json)
    anybody = Caller(world.http)

    def seen(caller: Caller) -> set[str]:
        return {value["type"] for value in caller.call("GET", f"/api/handles/{sent['handle']}").json["values"]}

    for _ in range(6):
        assert "colour" in seen(anybody)
    closed = {
        "prefix": PREFIX,
        "version": version,
        "items": [{"idType": "colour", "idIndex": 2001, "class": "internal"}],
    }
    assert done(mine.call("PUT", V5, closed).json)
    for _ in range(6):  # whichever worker answers
        assert seen(anybody) == {"TEMPLATE_ID", "TEMPLATE", "styleNo"}
        assert "colour" in seen(mine), "its owner still sees it"
    assert values(mine, suffix)["colour"] == "红"
    items = [
        {"idType": "colour", "idIndex": "2001", "state": 0},
        {"idType": "size", "name": "尺寸"},
    ]
    assert done(mine.call("PUT", V5, {"prefix": PREFIX, "version": version, "items": items}).json)
    shown = mine.call("GET", f"{V5}?prefix={PREFIX}&version={version}").json["data"]["items"]
    assert [(each["idIndex"], each["idType"], each["state"]) for each in shown] == [
        (2000, "styleNo", 1),
        (2001, "colour", 0),
        (2002, "story", 1),
        (2003, "old", 0),
        (2004, "size", 1),
    ]
    answer = mine.call("PUT", DATA, row(suffix, colour="蓝") | {"templateVersion": version}).json
    assert refused(answer) == "颜色（colour）已禁用，不能写入"
    bad = {"prefix": PREFIX, "version": version, "items": [{"idType": "other", "name": "别的", "idIndex": 2000}]}
    assert "索引2000已用于属性styleNo" in refused(mine.call("PUT", V5, bad).json)
    assert refused(mine.call("PUT", V5, {"prefix": PREFIX, "version": "none"}).json) == "模板none不存在"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"industryCategory": "Z"}, "参数industryCategory不正确：门类代码应为A到T的一个字母（GB/T 4754）"),
        ({"industrySubclass": "2922"}, "参数industrySubclass不正确：小类、中类、大类代码应逐级包含（GB/T 4754）"),
        ({"type": 3}, "参数type应为1到2之间的整数"),
        ({"items": []}, "缺少必要的请求参数: items"),
        ({"prefix": "77.1"}, "前缀77.1不属于本节点"),
        ({"prefix": "88\0"}, "不属于本节点"),
    ],
)
def test_a_template_that_cannot_be_is_one_sentence(mine: Caller, changes: dict[str, Any], sentence: str) -> None:
    assert sentence in refused(mine.call("POST", V5, template("never", **changes), Accept_Language="en").json)


def test_what_the_face_does_not_have_is_an_envelope_too(mine: Caller) -> None:
    for method, path in (("PUT", V3), ("PUT", "/snms/api/v3/ent/apply"), ("GET", "/identity/token"), ("PATCH", DATA)):
        reply = mine.call(method, path)
        assert reply.status == 200
        assert f"{method} {path}" in refused(reply.json)
