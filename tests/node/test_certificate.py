"""The certificate of HTTPS: `up`'s own is made once and renewed in time; what cannot be used is a sentence."""

import asyncio
import socket
import ssl
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from node import certificate, clock, tls
from node.certificate import LIFE, RENEWED_BEFORE, CertificateError
from node.config import Config
from tests.fakes.certificate import own_certificate
from tests.waiting import until

NAMES = frozenset({"localhost", "127.0.0.1", "::1", "node.example"})


def config(files: tuple[Path, Path]) -> Config:
    return Config(certificate=str(files[0]), certificate_key=str(files[1]))


async def test_the_own_one_is_what_strict_clients_take_under_each_of_its_names(tmp_path: Path) -> None:
    files = certificate.own(tmp_path, NAMES, clock.utc())
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]
    found = certificate.read(config(files))
    assert found.names == NAMES
    assert timedelta(days=390) < found.ends - clock.utc() <= LIFE
    client = ssl.create_default_context(cafile=str(files[0]))
    client.verify_flags |= ssl.VERIFY_X509_STRICT

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=tls.context(*map(str, files)))
    port = server.sockets[0].getsockname()[1]
    for name in sorted(NAMES):
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name)
        writer.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="other.example")
    server.close()
    await server.wait_closed()


def test_it_is_made_once_and_anew_in_time_of_the_same_key(tmp_path: Path) -> None:
    begun = clock.utc()
    files = certificate.own(tmp_path, NAMES, begun)
    made = [file.read_bytes() for file in files]
    for moment in (begun, begun + LIFE - RENEWED_BEFORE - timedelta(minutes=1)):
        assert certificate.own(tmp_path, frozenset({"localhost"}), moment) == files
        assert [file.read_bytes() for file in files] == made
    certificate.own(tmp_path, NAMES, begun + LIFE - RENEWED_BEFORE)
    assert files[0].read_bytes() != made[0]
    assert files[1].read_bytes() == made[1], "whoever knows the key knows it still"
    certificate.own(tmp_path, NAMES | {"192.0.2.1"}, begun)
    assert certificate.read(config(files)).names == NAMES | {"192.0.2.1"}


@pytest.mark.parametrize("spoilt", [0, 1])
@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_what_was_spoilt_is_made_anew(tmp_path: Path, spoilt: int, content: bytes | None) -> None:
    files = certificate.own(tmp_path, NAMES, clock.utc())
    if content is None:
        files[spoilt].unlink()
    else:
        files[spoilt].write_bytes(content)
    assert certificate.own(tmp_path, NAMES, clock.utc()) == files
    assert certificate.read(config(files)).names == NAMES
    assert sorted(file.name for file in tmp_path.iterdir()) == ["https.crt", "https.key"]


async def test_it_is_kept_while_the_node_runs_and_a_full_disk_does_not_end_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(certificate, "KEEP_SECONDS", 0.001)
    keeping = asyncio.create_task(certificate.keep(tmp_path / "nowhere", NAMES))
    await until(lambda: "certificate_not_renewed" in capsys.readouterr().err)
    (tmp_path / "nowhere").mkdir()
    await until((tmp_path / "nowhere" / "https.crt").exists)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, {"localhost", "127.0.0.1", "::1"}),
        ({"host": "192.0.2.7"}, {"localhost", "127.0.0.1", "::1", "192.0.2.7"}),
        ({"host": "2001:DB8::7"}, {"localhost", "127.0.0.1", "::1", "2001:db8::7"}),
        ({"public_url": "https://Id.Example:8443/x"}, {"localhost", "127.0.0.1", "::1", "id.example"}),
        ({"public_url": "https://标识.example"}, {"localhost", "127.0.0.1", "::1", "xn--iwvr90f.example"}),
        ({"public_url": "https://x..y"}, {"localhost", "127.0.0.1", "::1"}),
    ],
)
def test_it_names_what_the_node_is_served_under(settings: dict[str, str], names: set[str]) -> None:
    assert certificate.names(Config(**settings)) == names


def test_on_all_addresses_it_names_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Factory-7")
    monkeypatch.setattr(certificate, "_outward", lambda: "192.0.2.9")
    found = certificate.names(Config(host="0.0.0.0"))
    assert found == {"localhost", "127.0.0.1", "::1", "factory-7", "192.0.2.9"}
    assert certificate.read(config(certificate.own(tmp_path, found, clock.utc()))).names == found


def test_the_way_outward_is_an_address_or_nothing() -> None:
    assert certificate._spelt(certificate._outward()) == certificate._outward()


def test_what_cannot_be_used_is_a_sentence_that_names_the_files(tmp_path: Path) -> None:
    one, other = tmp_path / "1.pem", tmp_path / "2.pem"
    own_certificate(one)
    own_certificate(other)
    key = tmp_path / "key.pem"
    key.write_bytes(other.read_bytes())
    for wrong in ((one, key), (tmp_path / "none", key), (key, tmp_path / "none")):
        with pytest.raises(CertificateError) as caught:
            certificate.read(config(wrong))
        assert str(wrong[0]) in str(caught.value)
        assert "cannot be used" in str(caught.value)
    assert certificate.read(Config(certificate=str(one))).names == {"127.0.0.1"}


def test_a_certificate_without_names_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(x509.CertificateBuilder, "add_extension", lambda made, *_, **__: made)
    own_certificate(tmp_path / "bare.pem")
    assert certificate.read(Config(certificate=str(tmp_path / "bare.pem"))).names == frozenset()
