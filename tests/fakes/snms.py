"""A small real server that speaks the part of the SNMS OpenAPI an import uses, with faults on order.

It keeps records in memory and judges like a node: required attributes, lengths, a suffix pattern, what exists.
"""

import json
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiohttp import web

PREFIX = "88.999.1001"
TEMPLATE = "bag"
USERNAME, PASSWORD = "leather", "a long secret"


BAG_TEMPLATE = {
    "version": "bag-v1",
    "description": "一只包",
    "industryCategory": "C",
    "industrySpecific": "19",
    "industryTrade": "192",
    "industrySubclass": "1922",
    "type": 2,
}
"""What a template says of itself before its items, as clients send it and nodes show it."""


def item(index: int, name: str, zh: str, required: bool = False, most: int = 64, state: int = 1) -> dict[str, Any]:
    """One item of a template as the SNMS OpenAPI gives it (the index as text, as some nodes do)."""
    metadata = {"type": "string", "minLength": 1 if required else 0, "maxLength": most}
    return {
        "name": zh,
        "idType": name,
        "idIndex": str(index),
        "required": required,
        "state": state,
        "metadata": metadata,
    }


ITEMS = [
    item(2000, "styleNo", "款号", required=True),
    item(2001, "colour", "颜色", required=True, most=20),
    item(2002, "cylinders", "气缸数"),
    item(2003, "note", "备注"),
    item(2004, "old", "旧属性", state=0),
]
OWN_ITEMS = [
    {
        "index": int(i["idIndex"]),
        "name": i["idType"],
        "zh": i["name"],
        "required": i["required"],
        "enabled": bool(i["state"]),
        "least": i["metadata"]["minLength"],
        "most": i["metadata"]["maxLength"],
    }
    for i in ITEMS
]
"""The same as GET /api/v1/templates/{prefix}/{version} gives them."""


@dataclass
class FakeNode:
    """What the server knows and what shall go wrong.

    `faults` are taken one a request to a batch: `busy`, `limited`, `lost` (done, then 504), `dropped` (done, then
    the connection is cut), `expired`, `internal`, `crowded` (done but for the first row, which is told to come
    back), `refused`. `stored` is called after each batch that was done.
    """

    suffix: str = r"[A-Za-z0-9._/-]+"
    faults: deque[str] = field(default_factory=deque)
    stored: Callable[[], None] = lambda: None
    records: dict[str, dict[str, str]] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    tokens: int = 0
    url: str = ""

    def create(self, handle: str, values: dict[str, str]) -> dict[str, Any]:
        """One row of batchCreate."""
        if handle in self.records:
            return {"handle": handle, "msg": "标识已存在", "differs": self.differs(handle, values)}
        if refusal := self.refusal(handle, values):
            return {"handle": handle, "msg": refusal}
        self.records[handle] = values
        self.created.append(handle)
        return {"handle": handle, "msg": "success"}

    def compare(self, handle: str, values: dict[str, str]) -> dict[str, Any]:
        """One row of reconcile."""
        if handle in self.records:
            differs = self.differs(handle, values)
            return {"handle": handle, "result": "different" if differs else "same", "differs": differs}
        if refusal := self.refusal(handle, values):
            return {"handle": handle, "result": "invalid", "differs": [], "message": refusal}
        return {"handle": handle, "result": "missing", "differs": []}

    def differs(self, handle: str, values: dict[str, str]) -> list[str]:
        """The types in which the record and `values` differ."""
        kept = self.records[handle]
        return [i["idType"] for i in ITEMS if kept.get(i["idType"]) != values.get(i["idType"])]

    def refusal(self, handle: str, values: dict[str, str]) -> str:
        """Why it may not be created, if so."""
        if not re.fullmatch(self.suffix, handle.partition("/")[2]):
            return "后缀不符合编码规则"
        for i in ITEMS:
            if i["required"] and not values.get(i["idType"]):
                return f"缺少必填属性{i['name']}（{i['idType']}）"
            if len(values.get(i["idType"], "")) > i["metadata"]["maxLength"]:
                return f"{i['name']}（{i['idType']}）长度应在…"
        return ""


def _envelope(data: Any, status: int = 1, message: str = "success", http: int = 200, **headers: str) -> web.Response:
    body = {"status": status, "message": message, "data": data}
    return web.json_response(body, status=http, headers=headers, dumps=_compact)


_compact = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))
"""JSON as our nodes write it."""


def _application(node: FakeNode) -> web.Application:
    async def token(request: web.Request) -> web.Response:
        if await request.json() != {"username": USERNAME, "password": PASSWORD}:
            return _envelope(None, -2, "用户名/密码错误！")
        node.tokens += 1
        return _envelope({"token": f"token-{node.tokens}"})

    def signed_in(request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer token-{node.tokens}"

    async def template(request: web.Request) -> web.Response:
        if not signed_in(request):
            return web.json_response({"error": {"field": "token", "message": "未登录"}}, status=401)
        if (request.match_info["prefix"], request.match_info["version"]) != (PREFIX, TEMPLATE):
            return web.json_response({"error": {"field": "version", "message": "模板不存在"}}, status=404)
        return web.json_response({"version": TEMPLATE, "items": OWN_ITEMS})

    async def rows(request: web.Request) -> list[tuple[str, dict[str, str]]]:
        body = await request.json()
        assert all(row["templateVersion"] == TEMPLATE for row in body)
        return [(row["handle"], {v["type"]: v["data"]["value"] for v in row["value"]}) for row in body]

    async def batch(request: web.Request) -> web.Response:
        fault = node.faults.popleft() if node.faults else ""
        refusals = {
            "busy": lambda: _envelope(None, -1, "系统繁忙", 503, **{"Retry-After": "0"}),
            "limited": lambda: _envelope(None, -1, "系统繁忙", 429),
            "internal": lambda: _envelope(None, -4, "内部错误"),
            "refused": lambda: _envelope(None, -3, "没有权限"),
        }
        if fault == "expired":
            node.tokens += 1
        if fault == "expired" or not signed_in(request):
            return _envelope(None, -1, "未登录")
        if fault in refusals:
            return refusals[fault]()
        asked = await rows(request)
        node.batches.append(len(asked))
        crowded = fault == "crowded"
        answers = [{"handle": handle, "msg": "系统繁忙"} for handle, _ in asked[:crowded]]
        answers += [node.create(*row) for row in asked[crowded:]]
        node.stored()
        if fault == "lost":
            return _envelope(None, -4, "结果未知", 504)
        if fault == "dropped":
            assert request.transport is not None
            request.transport.abort()
        return _envelope(answers)

    async def reconcile(request: web.Request) -> web.Response:
        if not signed_in(request):
            return web.json_response({"error": {"field": "token", "message": "未登录"}}, status=401)
        return web.json_response({"results": [node.compare(*row) for row in await rows(request)]})

    async def home(_: web.Request) -> web.Response:
        return web.Response(text="a node")

    application = web.Application(client_max_size=8 << 20)
    application.router.add_get("/", home)
    application.router.add_post("/identity/token", token)
    application.router.add_get("/api/v1/templates/{prefix}/{version}", template)
    application.router.add_post("/identityv2/data/batchCreate", batch)
    application.router.add_post("/api/v1/reconcile", reconcile)
    return application


@asynccontextmanager
async def running(node: FakeNode) -> AsyncIterator[FakeNode]:
    """`node` on a free port of 127.0.0.1, its address in `url`."""
    runner = web.AppRunner(_application(node), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    node.url = f"http://{host}:{port}"
    try:
        yield node
    finally:
        await runner.cleanup()
