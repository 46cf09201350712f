"""Proves loadtest/nsd.py: NSD answers from the zone it is given, and ends with whoever wanted it."""

import os
import shutil
import socket
from collections.abc import Callable

import pytest

from loadtest.nsd import nsd
from loadtest.yardstick import YardstickError

ZONE = "$ORIGIN a.test.\n@ 60 SOA ns nobody 1 3600 600 86400 60\n@ 60 NS ns\nns 60 A 192.0.2.1\n"
ASKS = bytes.fromhex("0007 0000 0001 0000 0000 0000 026e73 0161 0474657374 00 0001 0001")


async def test_it_answers_from_the_zone_and_ends(need: Callable[[object, str], None]) -> None:
    need(shutil.which("nsd", path=f"{os.environ['PATH']}:/usr/sbin"), "nsd")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        async with nsd("a.test", ZONE) as standing:
            sock.connect((standing.address.host, standing.address.port))
            sock.send(ASKS)
            answer = sock.recv(512)
            assert answer[:4] == bytes.fromhex("00078400")
            assert bytes((192, 0, 2, 1)) in answer
        sock.send(ASKS)
        with pytest.raises(ConnectionRefusedError):
            sock.recv(512)


async def test_without_nsd_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(YardstickError, match="apt-get install"):
        async with nsd("a.test", ZONE):
            pytest.fail("there is none")
