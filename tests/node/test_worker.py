"""One worker, run in this process as its own would run it: opens its doors, inherits, drains."""

import asyncio
import base64
import json
import os
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import asyncpg

from node import meter, worker
from node.config import Config
from node.embedded import Servers
from node.process import Place
from node.stamps import Shared
from registry.account import Account, hash_password
from registry.rights import Role
from tests.fakes.certificate import own_certificate
from tests.fakes.small_registry import PREFIX, small_registry
from tests.waiting import until

KEY = base64.b64encode(bytes(32)).decode()


@asynccontextmanager
async def running(config: Config, descriptor: int, https: int = -1) -> AsyncIterator[tuple["asyncio.Task[None]", str]]:
    """A worker at work, and where it listens; it drains in the end."""
    with socket.create_server(("127.0.0.1", 0)) as sock, tempfile.TemporaryDirectory() as folder:
        config = replace(config, log_folder=folder)
        counting = meter.create(1)
        place = Place("test", 0, 3, descriptor, os.dup(sock.fileno()), counting, https)
        task = asyncio.create_task(worker.run(config, place))
        try:
            yield task, f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            if not task.cancelling():  # a second one would meet it while it writes down what is left
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            os.close(counting)


async def test_it_opens_its_doors_and_says_that_it_is_alive(database: str, descriptor: int) -> None:
    config = Config(database_url=database, secret_key=KEY, workers=1)
    reader = Shared(descriptor, 1, 1, 9)
    async with small_registry(database) as registry:
        await registry.write("create", "A")
    async with running(config, descriptor) as (_, url), aiohttp.ClientSession(url) as session:
        for path in (f"/api/handles/{PREFIX}/A", f"/{PREFIX}/A", "/", "/api/v1/nothing", "/identity/nothing"):
            async with session.get(path) as response:
                assert response.status in {200, 404}, path
                assert response.headers["Server"] == "idnode"
        await until(lambda: reader.beats()[0] > 0)
        async with session.get("/metrics") as response:
            assert b"idnode_ready" not in await response.read()


async def test_https_is_the_same_door(database: str, descriptor: int, tmp_path: Path) -> None:
    own_certificate(tmp_path / "https.pem")
    config = Config(database_url=database, secret_key=KEY, workers=1, certificate=str(tmp_path / "https.pem"))
    async with small_registry(database) as registry:
        await registry.write("create", "A")
    with socket.create_server(("127.0.0.1", 0)) as secure:
        async with running(config, descriptor, os.dup(secure.fileno())) as (_, url), aiohttp.ClientSession() as session:
            at = f"https://127.0.0.1:{secure.getsockname()[1]}"
            for path in (f"/api/handles/{PREFIX}/A", f"/api/handles/{PREFIX}/A", "/"):  # the door, the lane, a page
                async with session.get(at + path, ssl=False) as ours, session.get(url + path) as other:
                    assert ours.status == other.status == 200
                    assert await ours.read() == await other.read()


async def test_redis_is_met_before_the_doors_open(database: str, descriptor: int, servers: Servers) -> None:
    config = Config(database_url=database, redis_url=servers.redis_url, secret_key=KEY, workers=1)
    following = Shared(descriptor, 1, 1, 9)
    following.follow(1000, [], [])
    assert following.redis_trusted
    async with small_registry(database) as registry:
        await registry.write("create", "A")
    async with running(config, descriptor) as (_, url), aiohttp.ClientSession(url) as session:
        async with session.get("/api/v1/nothing") as response:
            assert response.status == 404
        assert not following.redis_trusted, "who is met for the first time is not trusted"
        seen = following.distrusts()
        following.absolve(seen)
        following.set_generation()
        async with session.get(f"/api/handles/{PREFIX}/A") as response:
            assert response.status == 200
        assert following.distrusts() == seen, "it was met already"


async def test_it_starts_without_redis(database: str, descriptor: int, tmp_path: Path) -> None:
    nobody = f"unix://{tmp_path}/nobody.sock"
    config = Config(database_url=database, redis_url=nobody, secret_key=KEY, workers=1)
    async with (
        running(config, descriptor) as (_, url),
        aiohttp.ClientSession(url) as session,
        session.get("/api/v1/nothing") as response,
    ):
        assert response.status == 404


async def test_it_settles_what_its_predecessor_left_in_doubt(database: str, descriptor: int) -> None:
    dead = Shared(descriptor, 1, 0, 2)
    slot = dead.slot(f"{PREFIX}/A")
    dead.begin([slot])
    dead.begin_doubt()
    following = Shared(descriptor, 1, 1, 9)
    following.follow(1000, [], [])
    # The predecessor's server process is not over yet: it may still be committing.
    lingering = await asyncpg.connect(database, server_settings={"application_name": "idnode-test-0-2"})
    async with running(Config(database_url=database, secret_key=KEY, workers=1), descriptor):
        await until(lambda: following.beats()[0] > 0)
        assert dead.is_pending(dead.stamp(slot))
        assert dead.in_doubt
        await lingering.close()
        await until(lambda: not dead.is_pending(dead.stamp(slot)))
        await until(lambda: not dead.in_doubt)
    assert not dead.redis_trusted


async def test_what_is_in_hand_at_a_stop_is_finished(database: str, descriptor: int) -> None:
    async with small_registry(database) as registry:
        account = Account(0, "chief", "person", Role.SYSTEM_ADMIN, None)
        await registry.steward.put_account(account, password=hash_password("long enough"))
    async with running(Config(database_url=database, secret_key=KEY, workers=1), descriptor) as (task, url):
        holding = await asyncpg.connect(database)
        await holding.execute("BEGIN; LOCK TABLE token IN EXCLUSIVE MODE")
        watching = await asyncpg.connect(database)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        body = json.dumps({"username": "chief", "password": "long enough"}).encode()
        writer.write(b"POST /identity/token HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        await until(lambda: watching.fetchval(waiting), "the request comes so far")
        task.cancel()
        await asyncio.sleep(0)
        await holding.execute("COMMIT")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b'"message":"success"' in answer
        writer.close()
        for connection in (holding, watching):
            await connection.close()


async def test_connections_are_bounded(database: str, descriptor: int) -> None:
    config = Config(database_url=database, secret_key=KEY, workers=1, connections=16, trusted_proxies="127.0.0.1")
    async with running(config, descriptor) as (_, url):
        port = int(url.rpartition(":")[2])
        held = []
        for _ in range(16):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /api/v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 404 " in await reader.readline()
            held.append(writer)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
        for each in (*held, writer):
            each.close()


def test_the_doors_stand_in_the_order_that_the_last_takes_what_is_left() -> None:
    source = Path(worker.__file__).read_text(encoding="utf-8")
    doors = source[source.index("def _doors") : source.index("async def run")]
    assert doors.index("doors.add_routes") > max(
        doors.index(f"{name}.add_routes") for name in ("snms_api", "snms_templates", "own_api", "handle_api")
    )
