"""Certificates of clients on real sockets: whose handshake is done, what is known of them then, and what they cost."""

import asyncio
import gc
import ssl
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from node import tls
from tests.fakes.certificate import client_certificate, own_certificate

HOLDER = "301:88.999.1001/ADMIN"
RSA = rsa.generate_private_key(65537, 2048)
FIRM = ec.generate_private_key(ec.SECP256R1())
Asked = Callable[..., Any]


@asynccontextmanager
async def asking(folder: Path) -> AsyncIterator[tuple[ssl.SSLContext, Asked]]:
    """A port that says what certificate it was shown, its context, and a way to ask it with the one in a file."""
    own_certificate(folder / "https.pem")
    context = tls.asking(str(folder / "https.pem"))

    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handshake = writer.get_extra_info("ssl_object")
        writer.write(b"+" + (handshake.getpeercert(binary_form=True) or b""))
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    async def asked(file: Path | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes | None:
        """What it says; None for whom it does not speak to."""
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode, client.maximum_version = False, ssl.CERT_NONE, version
        if file:
            client.load_cert_chain(file)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
            said = await reader.read()
        except (ssl.SSLError, ConnectionError):
            return None
        writer.close()
        return said[1:] if said else None

    try:
        yield context, asked
    finally:
        server.close()
        await server.wait_closed()


def der(file: Path) -> bytes:
    pem = file.read_bytes()
    return ssl.PEM_cert_to_DER_cert(pem[pem.index(b"-----BEGIN CERTIFICATE") :].decode())


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
async def test_whoever_signed_it_the_key_of_a_certificate_is_proven(tmp_path: Path, version: str) -> None:
    files = [tmp_path / f"{n}.pem" for n in range(4)]
    client_certificate(files[0], HOLDER)
    client_certificate(files[1], HOLDER, RSA)
    client_certificate(files[2], HOLDER, named_by=x509.NameOID.USER_ID)
    client_certificate(files[3], HOLDER, signer=FIRM)
    async with asking(tmp_path) as (_, asked):
        for _ in range(2):
            assert [await asked(file, ssl.TLSVersion[version]) for file in files] == [der(file) for file in files]
        assert await asked(None, ssl.TLSVersion[version]) == b""


async def test_what_nobody_could_be_signed_in_by_is_refused(tmp_path: Path) -> None:
    nameless, expired, curve = (tmp_path / f"{name}.pem" for name in ("nameless", "expired", "curve"))
    client_certificate(nameless, "")
    client_certificate(expired, HOLDER, days=-1)
    client_certificate(curve, HOLDER, ec.generate_private_key(ec.SECP384R1()))
    async with asking(tmp_path) as (context, asked):
        for file in (nameless, expired, curve):
            assert await asked(file) is None
        assert await asked(None) == b""
        assert context.cert_store_stats()["x509"] == 1, "only what expired came so far"


async def test_a_context_takes_so_many_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "CERTIFICATES_MOST", 2)
    files = [tmp_path / f"{n}.pem" for n in range(3)]
    for file in files:
        client_certificate(file, HOLDER)
    async with asking(tmp_path) as (context, asked):
        for file in (files[0], files[0], files[1]):
            assert not tls.is_full(context)
            assert await asked(file) == der(file)
        assert tls.is_full(context)
        assert [await asked(file) for file in files] == [der(files[0]), der(files[1]), None]


def test_what_strangers_have_shown_goes_with_the_last_connection(tmp_path: Path) -> None:
    own_certificate(tmp_path / "https.pem")
    client_certificate(tmp_path / "mine.pem", HOLDER)
    gc.disable()  # it runs too rarely for what a context keeps beside Python's own memory
    try:
        context = tls.asking(str(tmp_path / "https.pem"))
        context.load_verify_locations(cadata=der(tmp_path / "mine.pem"))
        gone = weakref.ref(context)
        del context
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_message_that_is_cut_short_or_empty_holds_none(version: ssl.TLSVersion) -> None:
    before = b"\x01x" if version is ssl.TLSVersion.TLSv1_3 else b""
    whole = bytes(4) + before + (9).to_bytes(3) + (6).to_bytes(3) + b"abcdef"
    assert tls._first(whole, version) == b"abcdef"
    assert {tls._first(whole[:length], version) for length in range(len(whole))} == {b""}
    assert tls._first(bytes(4) + before + bytes(3), version) == b""
