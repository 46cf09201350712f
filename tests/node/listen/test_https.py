"""The HTTPS port on real sockets: who is served, what stands before the handshake, how a certificate is replaced."""

import asyncio
import os
import re
import resource
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from node import tls
from node.listen import https
from node.listen.connection import Crowd
from node.listen.https import Door
from proto.forwarded_for import TrustedProxies
from tests.fakes.certificate import client_certificate, own_certificate, spoilt_certificate
from tests.waiting import PATIENCE, until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LINE = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
BLOCK = bytes.fromhex("0d0a0d0a000d0a515549540a 21 11 0010 c0000208 c6336401 dc04 01bb 04000100")
LOCAL = bytes.fromhex("0d0a0d0a000d0a515549540a 20 00 0000")

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Shown = Callable[[str, str], ssl.SSLContext]


async def who(request: web.BaseRequest) -> web.Response:
    """Says how it was asked, and by whom."""
    return web.Response(text=f"{request.scheme} {request.remote} {getattr(request.protocol, 'port', 0) > 0}")


class Port:
    """A listening HTTPS port, and ways to stand before it from 127.0.0.0/8."""

    def __init__(self, door: Door, server: web.Server, crowd: Crowd, at: tuple[str, int], refused: list[str]) -> None:
        self.door, self.server, self.crowd, self.at, self.refused = door, server, crowd, at, refused
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE

    async def connect(self, header: bytes = b"", address: str = "127.0.0.1") -> Ends:
        """A connection from `address`, its handshake done; `header` is sent before that."""
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind((address, 0))
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, self.at)
        await loop.sock_sendall(sock, header)
        return await asyncio.open_connection(sock=sock, ssl=self.context, server_hostname="")

    async def bare(self, octets: bytes = b"") -> Ends:
        """A connection on which `octets` are sent, and no handshake is begun."""
        ends = await asyncio.open_connection(*self.at)
        ends[1].write(octets)
        return ends

    async def asked(self, header: bytes = b"", address: str = "127.0.0.1") -> str:
        """What is said on a connection of its own."""
        ends = await self.connect(header, address)
        said = await answer(ends)
        ends[1].close()
        return said


async def answer(ends: Ends) -> str:
    """The body of the next answer on a connection."""
    reader, writer = ends
    writer.write(GET)
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    assert head.startswith("HTTP/1.1 200 ")
    length = next(line.split()[1] for line in head.split("\r\n") if line.lower().startswith("content-length"))
    return (await reader.readexactly(int(length))).decode()


async def ended(ends: Ends) -> bool:
    """Whether the other side closes the connection or breaks it off."""
    with suppress(ConnectionError):
        while await ends[0].read(4096):
            continue
    ends[1].close()
    return True


def shown(ends: Ends) -> int:
    """The serial number of the certificate a connection was shown."""
    found = ends[1].get_extra_info("ssl_object").getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(found).serial_number


@asynccontextmanager
async def port(
    file: Path, most: int = 100, proxies: str = "", key: str = "", shown: Shown = tls.context
) -> AsyncIterator[Port]:
    """An HTTPS port that shows the certificate in `file`."""
    runner = web.ServerRunner(web.Server(who))
    await runner.setup()
    assert runner.server is not None
    refused: list[str] = []
    trusted = TrustedProxies.parse(proxies)
    crowd = Crowd(runner.server, most, trusted, None, refused.append)
    listening = socket.create_server(("127.0.0.1", 0))
    at = listening.getsockname()
    door = Door(crowd, trusted, str(file), key, shown)
    serving = asyncio.create_task(door.serve(listening))
    try:
        yield Port(door, runner.server, crowd, at, refused)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await runner.cleanup()
        assert crowd.arriving == 0
        await until(lambda: not crowd._of_peer)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "https.pem"
    own_certificate(made)
    return made


async def test_whoever_speaks_tls_is_served_and_told_apart(file: Path) -> None:
    async with port(file) as opened:
        assert await opened.asked() == "https 127.0.0.1 True"
        assert await opened.asked(address="127.0.0.2") == "https 127.0.0.2 True"
        ends = await opened.connect()
        assert [await answer(ends) for _ in range(3)] == ["https 127.0.0.1 True"] * 3
        assert len(opened.server.connections) == 1
        ends[1].close()
        assert opened.refused == []


@pytest.mark.parametrize(("version", "served"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
async def test_versions_before_1_2_are_not_spoken(file: Path, version: str, served: bool) -> None:
    async with port(file) as opened:
        with warnings.catch_warnings(action="ignore"):  # of versions nobody should speak
            opened.context.minimum_version = opened.context.maximum_version = ssl.TLSVersion[version]
        opened.context.set_ciphers("DEFAULT:@SECLEVEL=0")
        if served:
            assert (await opened.asked()).startswith("https")
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await opened.connect()
            await until(lambda: opened.refused == ["handshake"])


@pytest.mark.parametrize("octets", [GET, b"\x16\x03\x01\xff\xff" + b"x" * 500, LINE])
async def test_what_is_no_tls_is_closed_and_counted(file: Path, octets: bytes) -> None:
    async with port(file) as opened:
        assert await ended(await opened.bare(octets))
        await until(lambda: opened.refused == ["handshake"])
        assert await opened.asked() == "https 127.0.0.1 True"


@pytest.mark.parametrize(
    ("beginning", "proxies"), [(b"", ""), (b"\x16\x03", ""), (b"", "127.0.0.1"), (LINE[:9], "127.0.0.1")]
)
async def test_a_handshake_that_does_not_come_ends_the_connection(
    file: Path, beginning: bytes, proxies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "HANDSHAKE_SECONDS", 0.1)
    async with port(file, proxies=proxies) as opened:
        assert await ended(await opened.bare(beginning))
        await until(lambda: opened.refused == ["handshake"])


# -- whom a proxy speaks for


@pytest.mark.parametrize(
    ("header", "source"), [(b"", "127.0.0.1"), (LINE, "192.0.2.7"), (BLOCK, "192.0.2.8"), (LOCAL, "127.0.0.1")]
)
async def test_a_proxy_names_whom_it_speaks_for_before_the_handshake(file: Path, header: bytes, source: str) -> None:
    async with port(file, proxies="127.0.0.1") as opened:
        assert await opened.asked(header) == f"https {source} True"
        assert opened.refused == []


async def test_its_header_may_come_in_pieces(file: Path) -> None:
    async with port(file, proxies="127.0.0.1") as opened:
        sock = socket.create_connection(opened.at)
        sock.sendall(LINE[:20])
        await until(lambda: opened.crowd.arriving == 1)
        sock.sendall(LINE[20:])
        ends = await asyncio.open_connection(sock=sock, ssl=opened.context, server_hostname="")
        assert await answer(ends) == "https 192.0.2.7 True"
        ends[1].close()


async def test_a_header_from_a_stranger_is_no_tls_and_a_wrong_one_from_a_proxy_ends_it(file: Path) -> None:
    async with port(file, proxies="127.0.0.1") as opened:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await opened.connect(LINE, "127.0.0.2")
        assert await ended(await opened.bare(b"PROXY TCP4 here there 1 2\r\n"))
        await until(lambda: sorted(opened.refused) == ["handshake", "proxy_header"])


# -- how many


async def test_connections_in_their_handshake_count(file: Path) -> None:
    async with port(file, most=8) as opened:
        held = [await opened.bare() for _ in range(2)]
        await until(lambda: opened.crowd.arriving == 2)
        assert await ended(await opened.bare()), "one address may hold a quarter"
        held += [await opened.connect(address=f"127.0.0.{n}") for n in range(2, 8)]
        await until(lambda: len(opened.server.connections) == 6)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await opened.connect(address="127.0.0.9")
        assert opened.refused == ["peer_connections", "connections"]
        held.pop(0)[1].close()
        await until(lambda: opened.crowd.arriving == 1)
        assert await opened.asked(address="127.0.0.9") == "https 127.0.0.9 True"
        for _, writer in held:
            writer.close()


async def test_want_of_descriptors_does_not_end_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with port(file) as opened:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        sock = socket.socket()
        resource.setrlimit(resource.RLIMIT_NOFILE, (sock.fileno() + 1, limits[1]))
        try:
            sock.connect(opened.at)
            await until(lambda: "connection_not_taken" in capsys.readouterr().err)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            sock.close()
        assert await opened.asked() == "https 127.0.0.1 True"


# -- the certificate


@pytest.mark.parametrize("shown_by", [tls.context, tls.asking], ids=["plain", "asking"])
async def test_a_new_certificate_is_shown_to_who_comes_and_open_connections_go_on(
    file: Path, monkeypatch: pytest.MonkeyPatch, shown_by: Shown
) -> None:
    monkeypatch.setattr(https, "LOOK_SECONDS", 0.01)
    client_certificate(file.with_name("client.pem"), "301:88.999.1001/ADMIN")
    async with port(file, shown=shown_by) as opened:
        opened.context.load_cert_chain(file.with_name("client.pem"))
        before = await opened.connect()
        assert await answer(before) == "https 127.0.0.1 True"
        own_certificate(file.with_suffix(".new"))
        file.with_suffix(".new").replace(file)
        state = opened.door._state
        await until(lambda: opened.door._state != state)
        after = await opened.connect()
        assert shown(after) != shown(before)
        for ends in (before, after, before):
            assert await answer(ends) == "https 127.0.0.1 True"
        before[1].close()
        after[1].close()


async def test_half_of_a_new_pair_changes_nothing_until_the_other_half_is_there(tmp_path: Path) -> None:
    first, second = tmp_path / "1.pem", tmp_path / "2.pem"
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    own_certificate(first)
    own_certificate(second)
    for file in (certificate, key):
        file.write_bytes(first.read_bytes())
    async with port(certificate, key=str(key)) as opened:
        ends = await opened.connect()
        serial = shown(ends)
        ends[1].close()
        key.write_bytes(second.read_bytes())
        for expected in (True, False):
            opened.door.look()
            ends = await opened.connect()
            assert (shown(ends) == serial) == expected
            ends[1].close()
            certificate.write_bytes(second.read_bytes())
        os.unlink(key)
        opened.door.look()
        assert await opened.asked() == "https 127.0.0.1 True"


def content(file: Path) -> bytes:
    return file.read_bytes()


def put(file: Path, octets: bytes) -> None:
    file.write_bytes(octets)


async def test_one_that_is_broken_is_told_once_and_the_one_before_stays(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = content(file)

    def told() -> list[str]:
        return re.findall(r"event=(certificate_\w+)", capsys.readouterr().err)

    async with port(file) as opened:
        assert told() == ["certificate_shown"]
        for broken in (b"", b"nonsense", good[:300]):
            put(file, broken)
            for _ in range(3):
                opened.door.look()
            assert told() == ["certificate_unusable"], broken
            assert await opened.asked() == "https 127.0.0.1 True"
        put(file, good)
        opened.door.look()
        opened.door.look()
        assert told() == ["certificate_shown"]
        put(file, b"")
        opened.door.look()
        assert told() == ["certificate_unusable"], "once for each time"


async def test_a_spoilt_certificate_of_a_client_ends_its_own_handshake_alone(file: Path) -> None:
    client = file.with_name("client.pem")
    spoilt_certificate(client, "301:88.999.1001/ADMIN")
    async with port(file, shown=tls.asking) as opened:
        before = await opened.connect()
        opened.context.load_cert_chain(client)
        opened.context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await opened.asked()
        await until(lambda: opened.refused == ["handshake"])
        assert await answer(before) == "https 127.0.0.1 True"
        before[1].close()


async def test_a_mistake_of_ours_in_a_handshake_ends_that_connection_alone(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with port(file) as opened:
        before = await opened.connect()
        with monkeypatch.context() as broken:
            broken.setattr(https, "is_full", lambda _: 1 / 0)
            assert await ended(await opened.bare())
        assert "ZeroDivisionError" in capsys.readouterr().err
        assert await answer(before) == "https 127.0.0.1 True"
        before[1].close()
        assert await opened.asked() == "https 127.0.0.1 True"


async def test_when_clients_have_shown_many_it_goes_on_with_a_new_context(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tls, "CERTIFICATES_MOST", 2)
    client = file.with_name("client.pem")

    async def asked(opened: Port) -> str:
        client_certificate(client, "301:88.999.1001/ADMIN")
        opened.context.load_cert_chain(client)
        return await opened.asked()

    async with port(file, shown=tls.asking) as opened:
        before = await opened.connect()
        for _ in range(5):
            assert await asked(opened) == "https 127.0.0.1 True"
        assert await answer(before) == "https 127.0.0.1 True"
        before[1].close()
        assert capsys.readouterr().err.count("certificate_shown") == 1
        good = content(file)
        put(file, b"nonsense")
        assert await asked(opened) == "https 127.0.0.1 True", "there was room for one more"
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await asked(opened)
        put(file, good)
        assert await asked(opened) == "https 127.0.0.1 True"


async def test_without_a_usable_certificate_nobody_is_kept_waiting_until_there_is_one(tmp_path: Path) -> None:
    file = tmp_path / "none.pem"
    async with port(file) as opened:
        assert await ended(await opened.bare())
        own_certificate(file)
        opened.door.look()
        async with asyncio.timeout(PATIENCE):
            assert await opened.asked() == "https 127.0.0.1 True"


def test_a_key_behind_a_password_is_refused_and_nobody_is_asked_for_it(tmp_path: Path, file: Path) -> None:
    locked = tmp_path / "locked.pem"
    pem, hidden = file.read_bytes(), BestAvailableEncryption(b"x")
    key = load_pem_private_key(pem, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)
    locked.write_bytes(key + pem[pem.index(b"-----BEGIN CERTIFICATE") :])
    with pytest.raises(ssl.SSLError):
        tls.context(str(locked))
