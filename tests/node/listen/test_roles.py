"""Every role at every endpoint: it is let in, or told in the words of that face that it has no right, or to sign in.

The endpoints are those of the router itself: one without a row here fails.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from aiohttp import web

from node.listen import replies
from node.listen.replies import Idhub
from proto.codes import ResponseCode
from registry.account import Account, hash_password, new_token
from registry.rights import OF_ENTERPRISES, Right, Role
from tests.fakes.in_process import PREFIX, Node, node
from tests.fakes.small_registry import TEMPLATE

ROW = {
    "handle": f"{PREFIX}/A",
    "templateVersion": TEMPLATE,
    "value": [{"index": 2000, "type": "styleNo", "data": {"format": "string", "value": "S"}}],
}
MOVED = {
    "handle": f"{PREFIX}/MOVED",
    "values": [{"index": 1, "type": "URL", "data": {"format": "string", "value": "u"}}],
}
NEW = {
    "prefix": PREFIX,
    "version": "new",
    "industryCategory": "C",
    "industrySpecific": "19",
    "industryTrade": "192",
    "industrySubclass": "1922",
    "type": 2,
    "items": [
        {
            "name": "款号",
            "idType": "styleNo",
            "idIndex": 2000,
            "required": True,
            "state": 1,
            "metadata": {"type": "string", "minLength": 1, "maxLength": 9},
        }
    ],
}
KEY = {"prefix": PREFIX, "version": "new"}
DRAFT = {
    "prefix": PREFIX,
    "version": TEMPLATE,
    "zh": "手袋",
    "category": {"category": "C", "specific": "19", "trade": "192", "subclass": "1922"},
    "items": [{"index": 2000, "name": "styleNo", "zh": "款号"}],
}
ONE, BAG = "/api/v1/templates/{prefix}/{version}", f"/api/v1/templates/{PREFIX}/{TEMPLATE}"
META = f"{PREFIX}/META_{TEMPLATE}"
GROUP = f"{PREFIX}/Group_nobody"
ACCOUNT = "/api/v1/accounts/leather"
ANYONE, SIGNED_IN = "anyone", "signed in"
EXAMINING = (Right.VERIFY, Right.REVIEW, Right.APPLY)


class Row(NamedTuple):
    """Who is let in at an endpoint, and a request that gets so far. `per_row`: each row is judged for itself.
    `own`: it is about the enterprise of whoever asks; not `of_firm`: about none; `of_node`: for the node's own alone.
    Of several rights one is enough.
    """

    who: Right | str | tuple[Right, ...]
    path: str = ""
    body: Any = None
    per_row: bool = False
    own: bool = False
    of_firm: bool = True
    of_node: bool = False


def of_snms() -> Iterator[tuple[str, Row]]:
    data = "/identityv2/data"
    yield "POST /identity/token", Row(ANYONE, body={})
    yield "POST /identity/token/v1", Row(ANYONE, body={})
    yield f"GET {data}", Row(Right.READ_RECORDS, f"?handle={PREFIX}/A")
    yield f"GET {data}/detail", Row(Right.READ_RECORDS, f"?handle={PREFIX}/A")
    yield f"POST {data}", Row(Right.REGISTER, body=ROW)
    yield f"PUT {data}", Row(Right.REGISTER, body=ROW)
    yield f"DELETE {data}", Row(Right.REGISTER, body={"handle": f"{PREFIX}/A"})
    yield f"POST {data}/batchCreate", Row(Right.REGISTER, body=[ROW], per_row=True)
    yield f"PUT {data}/batchUpdate", Row(Right.REGISTER, body=[ROW], per_row=True)
    yield f"DELETE {data}/batchDelete", Row(Right.REGISTER, body=[f"{PREFIX}/A"], per_row=True)
    yield "POST /snms/api/file/upload", Row(Right.UPLOAD, of_firm=False)
    for level in ("v3", "v5"):
        template = f"/snms/api/{level}/template"
        yield f"GET {template}", Row(Right.READ_RECORDS, f"?prefix={PREFIX}&version=new")
        yield f"POST {template}", Row(Right.TEMPLATES, body=NEW)
        yield f"DELETE {template}", Row(Right.TEMPLATES, body=KEY)
    yield "POST /identity/registry", Row(Right.APPLY, body={}, of_node=True)
    yield "POST /snms/api/v3/ent/apply", Row(Right.APPLY, body={}, of_node=True)
    yield "POST /snms/api/v3/ent/upgrade-apply", Row(Right.APPLY, body={"username": "nobody"}, of_node=True)
    yield "GET /snms/api/v3/ent/page", Row(SIGNED_IN)  # who has no right to any enterprise sees none
    yield "GET /snms/api/v3/ent/detail", Row(Right.READ_ENTERPRISES, "?id=1")
    yield "GET /snms/api/prefix/query", Row(Right.READ_ENTERPRISES, f"?prefix={PREFIX}")
    yield "GET /snms/api/prefix/page", Row(SIGNED_IN)
    yield "POST /snms/api/ent/config", Row(Right.ROUTES, body={"entPrefixConfig": {"entPrefix": PREFIX}})
    yield "PUT /snms/api/v5/template", Row(Right.TEMPLATES, body=KEY | {"description": "新"})


ENDPOINTS = {f"{key.split()[0]} {base}{key.split()[1]}": row for key, row in of_snms() for base in ("", "/snmsapi")} | {
    "POST /api/v1/resolve": Row(ANYONE, body={"identifiers": []}),
    "OPTIONS /api/v1/resolve": Row(ANYONE),
    "POST /api/v1/reconcile": Row(Right.READ_RECORDS, body=[ROW], per_row=True),
    "GET /api/v1/history/{identifier}": Row(Right.READ_RECORDS, f"/api/v1/history/{PREFIX}/A"),
    "PUT /api/v1/prefixes/{prefix}": Row(Right.PREFIXES, f"/api/v1/prefixes/{PREFIX}", {"state": "enabled"}),
    "GET /api/v1/batches": Row(SIGNED_IN),
    "GET /api/v1/batches/{number}": Row(SIGNED_IN, "/api/v1/batches/1"),
    "GET /api/v1/groups": Row(Right.GRANTS, own=True),
    "POST /api/v1/groups": Row(Right.GRANTS, body={"prefix": "77.1", "name": "x"}, own=True),
    "PUT /api/v1/groups/{group}/members": Row(
        Right.GRANTS, f"/api/v1/groups/{GROUP}/members", {"members": []}, own=True
    ),
    "DELETE /api/v1/groups/{group}": Row(Right.GRANTS, f"/api/v1/groups/{GROUP}", own=True),
    "PUT /api/v1/group-imports/{group}": Row(Right.GRANTS, f"/api/v1/group-imports/{GROUP}", own=True),
    "DELETE /api/v1/group-imports/{group}": Row(Right.GRANTS, f"/api/v1/group-imports/{GROUP}", own=True),
    "GET /api/v1/grants": Row(Right.GRANTS, own=True),
    "POST /api/v1/grants": Row(Right.GRANTS, body={"to": "nobody", "identifier": f"{PREFIX}/A"}),
    "DELETE /api/v1/grants/{number}": Row(Right.GRANTS, "/api/v1/grants/1", own=True),
    "GET /api/v1/templates": Row(SIGNED_IN),
    "POST /api/v1/templates": Row(Right.TEMPLATES, body=DRAFT),
    f"GET {ONE}": Row(SIGNED_IN, BAG),
    f"PUT {ONE}": Row(Right.TEMPLATES, BAG, {"zh": ""}),
    f"DELETE {ONE}": Row(Right.TEMPLATES, BAG),  # it is published
    f"POST {ONE}/{{act}}": Row(Right.TEMPLATES, f"{BAG}/publish"),
    f"POST {ONE}/upkeep": Row(Right.TEMPLATES, f"{BAG}/upkeep", {"date": "soon"}),
    f"GET {ONE}/versions": Row(SIGNED_IN, f"{BAG}/versions"),
    f"POST {ONE}/versions": Row(Right.TEMPLATES, f"{BAG}/versions", {"version": TEMPLATE}),
    f"POST {ONE}/copies": Row(Right.TEMPLATES, f"{BAG}/copies", {"version": TEMPLATE}),
    "GET /api/v1/catalogue": Row(SIGNED_IN),
    "GET /api/v1/catalogue.xlsx": Row(SIGNED_IN),
    "GET /api/v1/trace/{identifier}": Row(ANYONE, f"/api/v1/trace/{PREFIX}/A"),
    "GET /api/v1/accounts": Row(Right.MEMBERS, of_firm=False),
    "POST /api/v1/accounts": Row(
        Right.MEMBERS, body={"username": "leather", "role": "enterprise_user"}, of_firm=False
    ),  # it is taken
    "PUT /api/v1/accounts/this/password": Row(SIGNED_IN, body={"password": "x", "new": "x"}),
    "POST /api/v1/accounts/this/second-factor": Row(SIGNED_IN, body={"password": "x"}),
    "PUT /api/v1/accounts/this/second-factor": Row(SIGNED_IN, body={"code": "x"}),
    "DELETE /api/v1/accounts/{username}/second-factor": Row(Right.MEMBERS, f"{ACCOUNT}/second-factor"),
    "PUT /api/v1/accounts/{username}": Row(Right.MEMBERS, ACCOUNT, {}),
    "POST /api/v1/accounts/{username}/password": Row(Right.MEMBERS, f"{ACCOUNT}/password"),
    "POST /api/v1/accounts/{username}/secret": Row(Right.MEMBERS, f"{ACCOUNT}/secret", {"overlap": -1}),
    "PUT /api/v1/accounts/{username}/key": Row(Right.MEMBERS, f"{ACCOUNT}/key", {}),
    "DELETE /api/v1/accounts/{username}/key": Row(Right.MEMBERS, f"{ACCOUNT}/key"),
    "GET /api/v1/accounts/{username}/tokens": Row(Right.REVOKE_TOKENS, f"{ACCOUNT}/tokens"),
    "DELETE /api/v1/accounts/{username}/tokens": Row(Right.REVOKE_TOKENS, f"{ACCOUNT}/tokens"),
    "DELETE /api/v1/accounts/{username}/tokens/{id}": Row(Right.REVOKE_TOKENS, f"{ACCOUNT}/tokens/{'0' * 64}"),
    "POST /api/v1/handles": Row(Right.MOVE, body=[MOVED], per_row=True),
    "POST /api/v1/handles/reconcile": Row(Right.READ_RECORDS, body=[MOVED], per_row=True),
    "POST /api/v1/forget": Row(
        Right.BLANK, body={"identifiers": [f"{PREFIX}/A"], "attributes": ["x"], "reason": "r"}, per_row=True
    ),
    "GET /api/v1/quota": Row(SIGNED_IN),
    "GET /api/v1/quota/{prefix}": Row(Right.QUOTAS, f"/api/v1/quota/{PREFIX}"),
    "PUT /api/v1/quota/{prefix}": Row(Right.QUOTAS, f"/api/v1/quota/{PREFIX}", {}),
    "GET /api/v1/files/{number}": Row(SIGNED_IN, "/api/v1/files/1"),
    "GET /api/v1/disclosure": Row(Right.GRANTS, of_firm=False),
    "PUT /api/v1/disclosure": Row(Right.GRANTS, body={}, of_firm=False),
    "GET /api/v1/audit": Row(Right.READ_AUDIT),
    "GET /api/v1/audit/verify": Row(Right.READ_AUDIT),
    "GET /api/v1/audit/export": Row(Right.EXPORT_AUDIT),
    "GET /api/v1/access-log": Row(Right.READ_ACCESS_LOG),
    "GET /iiidap/help": Row(ANYONE),
    "GET /iiidap/identifier/{prefix}": Row(ANYONE, f"/iiidap/identifier/{PREFIX}"),
    "GET /iiidap/name/{name}": Row(ANYONE, "/iiidap/name/x"),
    "GET /iiidap/names": Row(ANYONE, "?name=x*"),
    "GET /api/v1/doip/public/challenge": Row(ANYONE, f"?handle={PREFIX}/App_nobody"),
    "GET /api/v1/doip/public/verify-response": Row(ANYONE),
    "POST /api/v1/doip/public/verify-response": Row(ANYONE),
    "GET /api/v1/doip": Row(SIGNED_IN, f"?targetId={PREFIX}/A&operationId=0.DOIP/Op.Retrieve"),
    "POST /api/v1/doip": Row(
        Right.REGISTER,
        f"?targetId={PREFIX}/A&operationId=0.DOIP/Op.Create",
        {"type": META, "attributes": {"content": {"styleNo": "S"}}},
    ),
    "POST /api/v1/open/meta/create": Row(Right.TEMPLATES, body={"metaHandle": META}),
    "GET /api/v1/open/meta/info": Row(SIGNED_IN, f"?metaHandle={META}"),
    "PUT /api/v1/open/meta/update-basic-info": Row(Right.TEMPLATES, body={"metaHandle": META}),
    "PUT /api/v1/open/meta/update-item": Row(Right.TEMPLATES, body={"metaHanlde": META, "metaItemDTOS": [{}]}),
    "DELETE /api/v1/open/meta/delete": Row(Right.TEMPLATES, f"?metaHandleList={META}"),  # it is published
    "PUT /api/v1/open/meta/publish-or-withdraw": Row(
        Right.TEMPLATES, body={"metaHandleList": [META], "opType": "publish"}
    ),
    "POST /api/v1/open/meta/baseon-create": Row(
        Right.TEMPLATES, body={"baseonHandle": META, "baseInfo": {"metaHandle": META}}
    ),
    "GET /api/v1/open/meta/classify-query": Row(SIGNED_IN),
    "GET /api/v1/open/meta/page": Row(SIGNED_IN),
    "GET /api/v1/open/handle/page": Row(Right.READ_RECORDS, f"?metaHandle={META}"),
    "GET /api/v1/open/handle-user-group/list": Row(Right.GRANTS, own=True),
    "POST /api/v1/open/classes-grant/item/batch-public": Row(Right.GRANTS, body={"metaHandle": META}),
    "POST /api/v1/open/classes-grant/authorization": Row(Right.GRANTS, body={"metaHandle": META}),
    "POST /api/v1/single-handle/authorization": Row(Right.GRANTS, body={"handle": f"{PREFIX}/A", "grantType": 1}),
    "POST /api/v1/open/single-handle/authorization": Row(Right.GRANTS, body={"handle": f"{PREFIX}/A", "grantType": 1}),
    "POST /api/v1/open/meta/grant/info": Row(Right.GRANTS, body={"metaHandle": META}),
    "POST /api/v1/open/meta/grant-info": Row(Right.GRANTS, body={"metaHandle": META}),
    "GET /api/v1/open/message/appMessage": Row(SIGNED_IN),
    "GET /api/v1/applications": Row(EXAMINING, of_firm=False),
    "GET /api/v1/applications/{number}": Row(EXAMINING, "/api/v1/applications/1", of_firm=False),
    "PUT /api/v1/applications/{number}/{step}": Row(
        Right.VERIFY, "/api/v1/applications/1/verification", {"passed": True}, of_node=True
    ),
    "GET /api/v1/hostings": Row(EXAMINING, of_firm=False),
    "PUT /api/v1/hostings/{prefix}": Row(Right.REVIEW, f"/api/v1/hostings/{PREFIX}", {"passed": True}, of_node=True),
    "GET /api/handles/{identifier}": Row(ANYONE, f"/api/handles/{PREFIX}/A"),
    "GET /api/prefixes": Row(Right.READ_ENTERPRISES, of_node=True),
    "POST /api/prefixes/{prefix}": Row(Right.PREFIXES, f"/api/prefixes/{PREFIX}", of_node=True),
    "DELETE /api/prefixes/{prefix}": Row(Right.PREFIXES, "/api/prefixes/77.1", of_node=True),
    "POST /api/sessions": Row(ANYONE),
    "GET /api/sessions/this": Row(ANYONE),
    "PUT /api/sessions/this": Row(ANYONE),
    "DELETE /api/sessions/this": Row(ANYONE),
    "GET /api/verifications/{key}": Row(ANYONE, f"/api/verifications/300:{PREFIX}/A"),
    "PUT /api/handles/{identifier}": Row(Right.MOVE, f"/api/handles/{PREFIX}/PUT", []),
    "DELETE /api/handles/{identifier}": Row(Right.MOVE, f"/api/handles/{PREFIX}/PUT"),
    "GET /api/handles": Row(Right.READ_RECORDS, f"?prefix={PREFIX}"),
    "POST /api/handles/{identifier}": Row(ANYONE, f"/api/handles/{PREFIX}/A"),
    "GET /api/site": Row(ANYONE),
    "OPTIONS /api/handles/{identifier}": Row(ANYONE, f"/api/handles/{PREFIX}/A"),
    "GET /": Row(ANYONE),
    "POST /": Row(ANYONE, body={}),
    "GET /static/{name}": Row(ANYONE, "/static/page.css"),
    "GET /favicon.ico": Row(ANYONE),
    "GET /{identifier}": Row(ANYONE, f"/{PREFIX}/A"),
    "DELETE /api/v1/tokens/this": Row(SIGNED_IN),  # the last thing it is good for
}
"""Whom every endpoint lets in. A right of an enterprise's role holds in that enterprise, which here is `leather`'s."""

NOT_IN = dict.fromkeys((Idhub.INVALID_TOKEN, Idhub.NOT_SIGNED_IN), "sign in") | dict.fromkeys(
    (Idhub.NO_RIGHT, Idhub.META_NO_RIGHT, Idhub.NO_EDIT, Idhub.NO_DELETE, Idhub.FOREIGN), "no right"
)
"""What the codes of IDHub say of who asks."""
CATCH_ALL = {f"/{face}/{{rest}}" for face in ("identity", "identityv2", "snms", "snmsapi", "api", "iiidap")}
"""What answers that there is no such endpoint, to everybody."""


def endpoints(app: web.Application) -> set[str]:
    found = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource is not None}
    return {f"{method} {path}" for method, path in found if method != "HEAD" and path not in CATCH_ALL}


async def callers(running: Node) -> dict[str, tuple[Account | None, str]]:
    """Somebody of each role, of this and of another enterprise, a person and a program; and nobody."""
    mine, other = await running.registry.lookup.prefix(PREFIX), await running.house.steward.account("stranger")
    assert mine is not None
    assert other is not None
    found: dict[str, tuple[Account | None, str]] = {"nobody": (None, "")}
    kept = hash_password("correct horse")
    for role in Role:
        firms = (mine.enterprise, other.enterprise, None) if role in OF_ENTERPRISES else (None,)
        for n, firm in enumerate(firms):
            for kind in ("person", "program"):
                account = Account(0, f"{role}-{kind}-{n}", kind, role, firm)
                proof = {"password": kept} if kind == "person" else {"secret": b"sealed"}
                await running.house.steward.put_account(account, **proof)
                found[account.username] = (account, await token(running, account.username))
    return found


async def token(running: Node, username: str) -> str:
    known, (made, digest) = await running.house.steward.account(username), new_token()
    assert known is not None
    await running.house.steward.issue_token(known.number, digest)
    return made


async def outcome(running: Node, key: str, row: Row, sent: str) -> str:
    """What is said: in, no right, or sign in."""
    method, path = key.split()
    where = path + row.path if row.path.startswith("?") else row.path or path
    headers = {"Authorization": f"Bearer {sent}"} if sent else {}
    async with running.client.request(method, where, json=row.body, headers=headers) as response:
        if response.status in {401, 403}:
            if response.content_length == 0:
                return "in"  # for anyone, but over TLS alone
            said = await response.json()
            if "responseCode" in said:
                return "sign in" if said["responseCode"] == ResponseCode.AUTHENTICATION_NEEDED else "no right"
            assert said["error"]["message"]
            return "sign in" if response.status == 401 else "no right"
        assert response.status < 500, (key, response.status)
        is_one = "json" in response.content_type and "ndjson" not in response.content_type
        told = await response.json(content_type=None) if is_one else {}
    if (code := told.get("code")) in NOT_IN:
        return NOT_IN[code]
    status = told.get("status")
    if status in {replies.SNMS_NOT_SIGNED_IN, replies.SNMS_NO_PERMISSION}:
        return "sign in" if status == replies.SNMS_NOT_SIGNED_IN else "no right"
    rows = told.get("data") or told.get("results") if row.per_row else None
    said = (rows[0].get("msg") or rows[0].get("message") or "") if rows else ""
    return "no right" if said == f"没有前缀{PREFIX}的操作权限" else "in"


def wanted(row: Row, account: Account | None, enterprise: int | None) -> str:
    if row.who == ANYONE:
        return "in"
    if account is None:
        return "sign in"
    if row.who == SIGNED_IN:
        return "in"
    about = None if row.of_node else account.enterprise if row.own else enterprise
    rights = row.who if isinstance(row.who, tuple) else (Right(row.who),)
    may = any(account.may_in(right, about) if row.of_firm else account.may(right) for right in rights)
    return "in" if may else "no right"


async def test_every_role_at_every_endpoint(database: str) -> None:
    async with node(database) as running:
        mine = await running.registry.lookup.prefix(PREFIX)
        assert mine is not None
        assert endpoints(running.client.app) == set(ENDPOINTS), "every endpoint has its row, and every row its endpoint"
        wrong = {}
        for name, (account, sent) in (await callers(running)).items():
            for key, row in ENDPOINTS.items():
                told, right = await outcome(running, key, row, sent), wanted(row, account, mine.enterprise)
                if told != right:
                    wrong[name, key] = f"{told}, not {right}"
        assert wrong == {}
