"""Proves loadtest/registering.py against a small real server that registers, with faults on order."""

from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from loadtest import registering
from loadtest.population import CHUNK, ITEMS, TEMPLATE, Population
from loadtest.ports import free_ports
from loadtest.registering import RegisteringError, Registrar
from loadtest.target import Address

PREFIXES = ("88.999.1001", "88.999.2001")


class Node:
    """Registers in memory. `faults` are taken one a batch: `busy` and `lost` (done, then 504), `crowded` (done but for
    the first row), `dropped` (done, then the connection is cut), `refused`, `html`.
    """

    def __init__(self) -> None:
        self.records: dict[str, dict[str, str]] = {}
        self.templates: dict[str, Any] = {}
        self.batches: list[int] = []
        self.faults: deque[str] = deque()
        self.port = 0

    async def token(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if asked != {"username": "admin", "password": "p"}:
            return said(None, -2, "用户名/密码错误！")
        return said({"token": "T"})

    async def template(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer T"
        if request.method == "POST":
            given = await request.json()
            self.templates[given["prefix"]] = given
            return said(True)
        assert request.query["version"] == TEMPLATE
        there = request.query["prefix"] in self.templates
        return said(self.templates[request.query["prefix"]]) if there else said(None, -2, "模板不存在")

    async def detail(self, request: web.Request) -> web.Response:
        return said({}) if request.query["handle"] in self.records else said(None, -2, "没有找到标识")

    async def batch(self, request: web.Request) -> web.Response:
        rows = await request.json()
        fault = self.faults.popleft() if self.faults else ""
        if fault == "busy":
            return said(None, -1, "系统繁忙", 503)
        if fault == "html":
            return web.Response(text="<html>", status=400)
        self.batches.append(len(rows))
        told = [self.create(row, n, fault) for n, row in enumerate(rows)]
        if fault == "dropped":
            assert request.transport
            request.transport.abort()
        return said(told, http=504 if fault == "lost" else 200)

    def create(self, row: Any, number: int, fault: str) -> dict[str, str]:
        handle = row["handle"]
        if number == 0 and fault in {"crowded", "refused"}:
            return {"handle": handle, "msg": "系统繁忙" if fault == "crowded" else "没有权限"}
        if handle in self.records:
            return {"handle": handle, "msg": "标识已存在"}
        assert handle.split("/")[0] in self.templates
        assert row["templateVersion"] == TEMPLATE
        self.records[handle] = {value["type"]: value["data"]["value"] for value in row["value"]}
        return {"handle": handle, "msg": "success"}


def said(data: Any, status: int = 1, message: str = "success", http: int = 200) -> web.Response:
    return web.json_response({"status": status, "message": message, "data": data}, status=http)


@pytest.fixture
async def node(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Node]:
    monkeypatch.setattr(registering, "PAUSE", 0)
    made = Node()
    application = web.Application(client_max_size=8 << 20)
    application.router.add_post("/identity/token", made.token)
    application.router.add_route("*", "/snms/api/v5/template", made.template)
    application.router.add_get("/identityv2/data/detail", made.detail)
    application.router.add_post("/identityv2/data/batchCreate", made.batch)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


async def registered(node: Node, size: int, seed: int = 7) -> tuple[int, list[int]]:
    """How many were new, and what was told on the way."""
    registrar, progress = Registrar(Address("127.0.0.1", node.port)), []
    await registrar.sign_in("admin", "p")
    new = await registrar.register(Population(PREFIXES, seed, size), progress.append)
    return new, progress


async def test_the_whole_population_is_there_and_a_second_time_nothing_is_done(node: Node) -> None:
    size = 2 * CHUNK + 5
    new, progress = await registered(node, size)
    population = Population(PREFIXES, 7, size)
    names = {f"{population.prefix(n)}/{population.serial(n)}" for n in range(size)}
    assert (new, set(node.records)) == (size, names)
    assert sorted(progress)[-1] == size
    assert set(node.templates) == set(PREFIXES)
    assert [i["idType"] for i in node.templates[PREFIXES[0]]["items"]] == [item.name for item in ITEMS]
    node.batches.clear()
    assert (await registered(node, size))[0] == 0
    assert node.batches == []


async def test_a_larger_population_adds_what_is_missing(node: Node) -> None:
    await registered(node, CHUNK // 2)
    assert (await registered(node, 2 * CHUNK))[0] == 2 * CHUNK - CHUNK // 2


async def test_the_last_of_a_chunk_comes_after_all_others_and_vouches_for_them(node: Node) -> None:
    node.faults.append("refused")
    with pytest.raises(ExceptionGroup) as error:
        await registered(node, CHUNK)
    assert "没有权限" in str(error.value.exceptions[0])
    population = Population(PREFIXES, 7, CHUNK)
    assert f"{PREFIXES[0]}/{population.serial(CHUNK - 1)}" not in node.records
    assert (await registered(node, CHUNK))[0] == 2
    assert len(node.records) == CHUNK


@pytest.mark.parametrize("fault", ["busy", "lost", "dropped", "crowded"])
async def test_what_is_busy_or_lost_is_sent_again(node: Node, fault: str) -> None:
    node.faults.extend([fault, fault])
    new, _ = await registered(node, 20)
    assert len(node.records) == 20
    # What was done although its answer was lost is found there the second time.
    assert new == {"busy": 20, "crowded": 20, "lost": 1, "dropped": 1}[fault]


async def test_a_node_that_stays_busy_is_given_up(node: Node) -> None:
    node.faults.extend(["crowded"] * 100)
    with pytest.raises(ExceptionGroup) as error:
        await registered(node, 2)
    assert "stays busy" in str(error.value.exceptions[0])


async def test_an_answer_of_another_kind_is_a_sentence(node: Node) -> None:
    node.faults.append("html")
    with pytest.raises(ExceptionGroup) as error:
        await registered(node, 2)
    assert "HTTP 400 <html>" in str(error.value.exceptions[0])


async def test_a_wrong_password_and_a_closed_door_are_sentences(node: Node) -> None:
    with pytest.raises(RegisteringError, match="密码错误"):
        await Registrar(Address("127.0.0.1", node.port)).sign_in("admin", "wrong")
    with pytest.raises(RegisteringError, match="Nobody listens"):
        await Registrar(Address("127.0.0.1", free_ports(1)[0])).sign_in("admin", "p")
