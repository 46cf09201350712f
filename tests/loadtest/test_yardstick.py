"""Proves loadtest/yardstick.py: nginx answers everything alike, and ends with whoever wanted it."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.ports import free_ports
from loadtest.target import Address
from loadtest.wire import Connection, RefusedError
from loadtest.yardstick import OCTETS_MOST, YardstickError, nginx
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def installed(need: Callable[[object, str], None]) -> None:
    need(shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"), "nginx")


async def heard(address: Address, method: str = "GET", body: bytes = b"") -> tuple[int, int]:
    """Status and length of an answer."""
    connection = await Connection.open(address.port, address.host)
    reply = await connection.ask(method, "/api/handles/88.1.1/x", {}, body)
    await connection.close()
    return reply.status, len(reply.body)


async def silent(address: Address) -> bool:
    try:
        await (await Connection.open(address.port, address.host)).close()
    except RefusedError:
        return True
    return False


@pytest.mark.parametrize("octets", [1, 600, OCTETS_MOST])
async def test_everything_is_answered_with_as_many_octets(octets: int) -> None:
    async with nginx(octets, workers=1) as standing:
        assert await heard(standing.address) == (200, octets)
        assert await heard(standing.address, "POST", b"x" * 3_000_000) == (200, octets)
    assert await silent(standing.address)


async def test_a_port_that_is_taken_is_a_sentence() -> None:
    async with nginx(1, workers=1) as standing:
        with pytest.raises(YardstickError, match="nginx"):
            async with nginx(1, workers=1, port=standing.address.port):
                pytest.fail("two of them on one port")


async def test_without_nginx_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(YardstickError, match="apt-get install"):
        async with nginx(1, workers=1):
            pytest.fail("there is none")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_program_tells_its_address_and_takes_nginx_with_it(number: signal.Signals) -> None:
    address = Address("127.0.0.1", free_ports(1)[0])
    command = [sys.executable, "-m", "loadtest.yardstick", "--port", str(address.port), "--octets", "77"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == f"http://{address}\n"
        assert asyncio.run(heard(address)) == (200, 77)
        process.send_signal(number)
    wait_until(lambda: asyncio.run(silent(address)), "nginx ends")
    assert process.returncode == (0 if number != signal.SIGKILL else -signal.SIGKILL)
