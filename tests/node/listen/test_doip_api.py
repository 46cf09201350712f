"""The calls of IDHub: sign-in by challenge, once, for a minute, and the operations on identifiers of who did so."""

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from registry import challenge as rules
from registry.kinds import COUNT_MOST
from registry.template import Item, State
from tests.fakes.in_process import PREFIX, STRANGER_PREFIX, Node, node
from tests.fakes.small_registry import TEMPLATE

KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
APP = f"{PREFIX}/App_mes"
PATH = f"/api/v1/accounts/{PREFIX}%2FApp_mes/key"
CHALLENGE, VERIFY = "/api/v1/doip/public/challenge", "/api/v1/doip/public/verify-response"


@pytest.fixture
async def made(database: str) -> AsyncIterator[Node]:
    async with node(database) as running:
        app = {"username": APP, "kind": "program", "role": "enterprise_admin"}
        assert (await running.call("POST", "/api/v1/accounts", app))[0] == 200
        await put_key(running, "PUT", {"publicKey": PEM})
        yield running


async def put_key(running: Node, method: str, body: object = None) -> None:
    headers = {"Authorization": f"Bearer {running.tokens['leather']}"}
    async with running.client.request(method, PATH, json=body, headers=headers) as response:
        assert response.status == 204


async def challenged(running: Node, handle: str = APP) -> str:
    _, told = await running.call("GET", f"{CHALLENGE}?handle={handle}", who=None)
    assert (told["code"], told["message"]) == (1, "operation was successfully processed")
    return str(told["data"])


def signed(text: str) -> str:
    return base64.b64encode(KEY.sign(text.encode(), PKCS1v15(), SHA256())).decode()


async def verified(running: Node, text: str, method: str = "POST", handle: str = APP) -> int:
    """The code that is told; a token that is given is kept as `app`."""
    status, told = await running.call(method, VERIFY, {"handle": handle, "signature": signed(text)}, who=None)
    assert status == 200
    if told["code"] == 1:
        running.tokens["app"] = told["data"]["token"]
    return int(told["code"])


async def test_a_signed_challenge_is_worth_a_token_once(made: Node) -> None:
    for method in ("POST", "GET"):  # the documents have the one, the SDK the other
        text = await challenged(made)
        assert await verified(made, text, method) == 1
        assert (await made.call("GET", "/api/v1/batches", who="app"))[0] == 200
        assert await verified(made, text, method) == 401, "used up"
    both = await challenged(made), await challenged(made)
    assert both[0] != both[1]
    told = await asyncio.gather(*(verified(made, text) for text in (*both, *both)))
    assert sorted(told) == [1, 1, 401, 401], "programs that sign in together do so each by its own"


async def test_it_ends_with_its_minute_and_with_its_key(made: Node) -> None:
    text = await challenged(made)
    async with made.registry.pool.acquire() as connection:
        left = await connection.fetchval("SELECT extract(epoch FROM expires - now()) FROM challenge")
        assert 0 < left <= rules.CHALLENGE_SECONDS
        await connection.execute("UPDATE challenge SET expires = now()")
    assert await verified(made, text) == 401
    text = await challenged(made)
    assert await verified(made, await challenged(made)) == 1
    await put_key(made, "DELETE")
    assert await verified(made, text) == 401
    assert (await made.call("GET", "/api/v1/batches", who="app"))[0] == 401, "nor is what it was worth before"


async def test_whoever_asks_for_many_takes_nobodys_away(made: Node) -> None:
    mine = await challenged(made)
    for _ in range(rules.CHALLENGES_MOST + 5):
        last = await made.house.doorkeeper.challenge(APP)
    async with made.registry.pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM challenge") == rules.CHALLENGES_MOST
        late = await challenged(made)
        assert late == last
        assert [await verified(made, each) for each in (mine, late)] == [1, 1]
        await connection.execute("UPDATE challenge SET expires = now()")
        await challenged(made)
        assert await connection.fetchval("SELECT count(*) FROM challenge") == 1, "what has ended goes"


async def test_only_application_identities_are_challenged_and_nothing_is_told_of_them(made: Node) -> None:
    real = await challenged(made)
    assert await verified(made, real) == 1
    await put_key(made, "DELETE")
    for handle in (f"{PREFIX}/App_nobody", APP):
        text = await challenged(made, handle)
        assert len(text) == len(real)
        assert await verified(made, text, handle=handle) == 401
    async with made.registry.pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM challenge") == 0
    for handle, code in (
        ("", 40508),
        ("leather", 40508),
        ("%00", 40508),
        (f"{PREFIX}/mes", 501),
        (f"{PREFIX}/%00", 40508),
    ):
        _, told = await made.call("GET", f"{CHALLENGE}?handle={handle}", who=None)
        assert (told["code"], told["data"]) == (code, None)
    for body, code in (
        (b"", 30000),
        (b"[]", 30000),
        (b'{"handle": 1, "signature": ""}', 30000),
        ({"handle": APP}, 30000),
        ({"handle": "leather", "signature": "x"}, 40508),
        ({"handle": f"{PREFIX}/User_leather", "signature": "x"}, 501),
        ({"handle": APP, "signature": "x"}, 401),
    ):
        status, told = await made.call("POST", VERIFY, body, who=None)
        assert (status, told["code"], told["data"]) == (200, code, None)
    for key in ("", "x", PEM[:-30]):
        status, told = await made.call("PUT", PATH, {"publicKey": key})
        assert (status, told["error"]["field"]) == (400, "publicKey")
    assert (await made.call("PUT", "/api/v1/accounts/leather/key", {"publicKey": PEM}, who="admin"))[0] == 400


# -- operations

META = f"{PREFIX}/META_{TEMPLATE}"
CREATE, UPDATE, DELETE = "0.DOIP/Op.Create", "0.DOIP/Op.Update", "0.DOIP/Op.Delete"
CHANGE, RETRIEVE = "0.DOIP.EXTEND/Op.Update.Non.Overlay", "0.DOIP/Op.Retrieve"


@pytest.fixture
async def app(made: Node) -> Node:
    """The same, the program signed in, and its template with an attribute for partners and one of several files."""
    assert await verified(made, await challenged(made)) == 1
    kept = await made.house.lookup.named_template(PREFIX, TEMPLATE)
    assert kept is not None
    items = [replace(item, access="partners") if item.name == "colour" else item for item in kept.items]
    items.append(Item(2003, "pictures", "图片", most=4000, kind="picture", count=COUNT_MOST))
    items.append(Item(2004, "old", "旧", enabled=False))
    await made.house.steward.replace_template(replace(kept, items=tuple(items)))
    return made


async def asked(
    running: Node, operation: str, target: str, who: str | None = "app", type_: str | None = META, **content: Any
) -> dict[str, Any]:
    """What is told of an operation on the suffix `target` of PREFIX; what only reads is asked by GET."""
    method = "GET" if operation in {RETRIEVE, "0.DOIP/Op.Hello", "0.DOIP/Op.ListOperations"} else "POST"
    query = f"/api/v1/doip?targetId={PREFIX}/{target}&operationId={operation}"
    body = {"type": type_, "attributes": {"content": content}} if method == "POST" else None
    status, told = await running.call(method, query, body, who=who)
    assert (status, list(told)) == (200, ["code", "message", "data"])
    assert told["message"]
    return dict(told)


async def held(running: Node, target: str, who: str = "app") -> dict[str, Any]:
    told = await asked(running, RETRIEVE, target, who)
    return {each["type"]: each.get("data") for each in told["data"]["attributes"]["elements"]}


async def test_an_instance_from_its_making_to_its_end(app: Node) -> None:
    given = {"styleNo": 1.50, "colour": "red", "costPrice": None, "pictures": ["a.jpg", "b.png"]}
    told = await asked(app, CREATE, "A", **given)
    assert told["code"] == 1
    assert told["data"] == {"id": f"{PREFIX}/A", "type": META, "attributes": {"content": given}}
    assert (await asked(app, CREATE, "A", **given | {"colour": "blue"}))["data"] == {"differs": ["colour"]}
    found = (await asked(app, RETRIEVE, "A"))["data"]
    assert (found["id"], found["type"]) == (f"{PREFIX}/A", META)
    assert found["attributes"]["elements"] == [
        {"index": 2000, "type": "styleNo", "name": "款号", "data": "1.5", "dataType": 1},
        {"index": 2001, "type": "colour", "name": "颜色", "data": "red", "dataType": 1},
        {"index": 2002, "type": "costPrice", "name": "成本价", "dataType": 1},
        {"index": 2003, "type": "pictures", "name": "图片", "data": ["a.jpg", "b.png"], "dataType": 8},
    ]
    meta = found["attributes"]["metaData"]  # registry/postgres/listings.py
    assert meta["createTime"] == meta["updateTime"] != ""
    assert (meta["creator"], meta["updater"]) == (APP, APP)
    assert (await asked(app, CHANGE, "A", "leather", colour="blue"))["code"] == 1
    assert (await held(app, "A"))["styleNo"] == "1.5", "incremental: what is not named stays"
    meta = (await asked(app, RETRIEVE, "A"))["data"]["attributes"]["metaData"]
    assert (meta["creator"], meta["updater"]) == (APP, f"{PREFIX}/User_leather")
    assert (await asked(app, UPDATE, "A", styleNo="S2"))["code"] == 1
    assert await held(app, "A") == {"styleNo": "S2", "colour": None, "costPrice": None, "pictures": None}
    refused = await asked(app, UPDATE, "A", colour="red")
    assert refused["code"] == 601, "overwriting leaves out what is required"
    assert (await asked(app, DELETE, "A"))["code"] == 1
    assert [(await asked(app, each, "A", styleNo="S"))["code"] for each in (RETRIEVE, UPDATE, DELETE)] == [104] * 3


async def test_a_partner_sees_and_changes_what_was_granted(app: Node) -> None:
    await asked(app, CREATE, "A", styleNo="S1", colour="red", costPrice="9")
    assert await held(app, "A", "visitor") == {"styleNo": "S1"}
    found = (await asked(app, RETRIEVE, "A", "visitor"))["data"]["attributes"]["metaData"]
    assert sorted(found) == ["createTime", "updateTime"]
    assert (await asked(app, CHANGE, "A", "visitor", colour="blue"))["code"] == 406
    group = f"{STRANGER_PREFIX}/Group_buyers"
    await app.call("POST", "/api/v1/groups", {"prefix": STRANGER_PREFIX, "name": "buyers"}, "stranger")
    await app.call("PUT", f"/api/v1/groups/{group}/members", {"members": ["visitor"]}, "stranger")
    await app.call("PUT", f"/api/v1/group-imports/{group}")
    grant = {"prefix": PREFIX, "template": TEMPLATE, "to": group, "attributes": ["colour"], "edit": True}
    assert (await app.call("POST", "/api/v1/grants", grant, "app"))[0] == 201
    assert (await asked(app, UPDATE, "A", "visitor", colour="blue"))["code"] == 1
    assert await held(app, "A", "visitor") == {"styleNo": "S1", "colour": "blue"}
    assert await held(app, "A") == {"styleNo": "S1", "colour": "blue", "costPrice": "9"}, "no further than it reaches"
    assert (await asked(app, CHANGE, "A", "visitor", styleNo="S2"))["code"] == 406
    assert (await asked(app, CHANGE, "A", "visitor", type_=None, colour="green"))["code"] == 1
    kept = await app.house.lookup.named_template(PREFIX, TEMPLATE)
    assert kept is not None
    secret = (Item(2000, "nextYear", "明年"),)
    await app.house.steward.add_template(replace(kept, version="plan", items=secret, state=State.DRAFT))
    for version, name in (("plan", "nextYear"), ("plan", "guess"), ("none", "guess")):
        told = await asked(app, CHANGE, "A", "visitor", type_=f"{PREFIX}/META_{version}", **{name: "x"})
        assert told["code"] == 406, "of what is no concern of theirs they are told nothing"


async def test_what_is_refused_has_its_code(app: Node) -> None:
    await asked(app, CREATE, "A", styleNo="S1")
    app.tokens["gone"] = "gone"
    for code, told in (
        (102, await asked(app, RETRIEVE, "A", None)),
        (101, await asked(app, RETRIEVE, "A", "gone")),
        (106, await asked(app, RETRIEVE, "%00")),
        (104, await asked(app, RETRIEVE, "META_none")),
        (105, await asked(app, CREATE, "A", styleNo="S1")),
        (106, await asked(app, CREATE, "META_x", styleNo="S1")),
        (701, await asked(app, CREATE, "B", "visitor", styleNo="S1")),
        (700, await asked(app, DELETE, "A", "visitor")),
        (604, await asked(app, CREATE, "B", type_=f"{PREFIX}/META_none", styleNo="S1")),
        (604, await asked(app, CREATE, "B", type_=f"{PREFIX}/{TEMPLATE}", styleNo="S1")),
        (106, await asked(app, CREATE, "B", type_=None, styleNo="S1")),
        (601, await asked(app, CREATE, "B", colour="red")),
        (601, await asked(app, CREATE, "B", styleNo=True)),
        (601, await asked(app, CREATE, "B", styleNo=["a;b"])),
        (601, await asked(app, CREATE, "B", styleNo={"a": 1})),
        (602, await asked(app, CREATE, "B", styleNo="S1", old="x")),
        (603, await asked(app, CREATE, "B", styleNo="S1", nothing="x")),
        (404, await asked(app, "0.DOIP/Op.None", "A")),
        (405, await asked(app, "0.DOIP/Op.Search", "A")),
    ):
        assert told["code"] == code, (code, told)
    query = f"/api/v1/doip?targetId={PREFIX}/A&operationId={DELETE}"
    assert (await app.call("GET", query, who="app"))[1]["code"] == 405
    assert (await app.call("POST", "/api/v1/doip", b"[", who="app"))[1]["code"] == 30000
    status, told = await app.call("POST", "/api/v1/doip", {}, "app", **{"Content-Encoding": "br"})
    assert (status, told["code"], told["data"]) == (415, 106, None), "trouble, too, comes in this envelope"
    kept = await app.house.lookup.named_template(PREFIX, TEMPLATE)
    assert kept is not None
    await app.house.steward.replace_template(replace(kept, state=State.WITHDRAWN))
    assert (await asked(app, CREATE, "B", styleNo="S1"))["code"] == 600
    assert (await asked(app, CHANGE, "A", styleNo="S2"))["code"] == 1, "records it has go on"
    await app.call("PUT", f"/api/v1/prefixes/{PREFIX}", {"state": "stopped"}, "admin")
    assert [(await asked(app, each, "A", styleNo="S"))["code"] for each in (RETRIEVE, CHANGE)] == [702] * 2


async def test_a_template_is_retrieved_and_the_service_says_what_it_does(app: Node) -> None:
    async with app.registry.pool.acquire() as connection:
        await connection.execute("UPDATE template SET created = '2026-01-02 03:04:05+08'")
    found = (await asked(app, RETRIEVE, f"META_{TEMPLATE}"))["data"]
    assert (found["id"], found["type"]) == (META, "0.TYPE/DO.DOIPMETA")
    times = found["attributes"]["metaData"]
    assert times["createTime"] == "2026-01-02 03:04:05" < times["updateTime"]
    content = found["attributes"]["content"]
    assert (content["basicInfo"]["metaState"], content["required"]) == (1, ["styleNo"])
    assert [each["itemBasicInfo"]["state"] for each in content["itemInfos"]] == [0, 0, 0, 0, 1]
    hello = await asked(app, "0.DOIP/Op.Hello", "DOIPServiceInfo")
    assert hello["data"]["type"] == "0.TYPE/DO.DOIPServiceInfo"
    listed = (await asked(app, "0.DOIP/Op.ListOperations", "DOIPServiceInfo"))["data"]
    assert {CREATE, CHANGE, RETRIEVE} <= set(listed)
    # What the query says may stand in the body, as the SDK's own message has it.
    body = {"targetId": f"{PREFIX}/A", "operationId": CREATE, "type": META} | {
        "attributes": {"content": {"styleNo": "S"}}
    }
    assert (await app.call("POST", "/api/v1/doip", body, who="app"))[1]["code"] == 1
    # And null where it has nothing to say.
    query = f"/api/v1/doip?targetId={PREFIX}/A&operationId="
    for operation, attributes, code in ((CHANGE, {"content": None}, 1), (UPDATE, None, 601), (DELETE, None, 1)):
        body = dict.fromkeys(("requestId", "clientId", "targetId", "operationId", "appHandle", "type"))
        told = await app.call("POST", query + operation, body | {"attributes": attributes}, who="app")
        assert told[1]["code"] == code, told
