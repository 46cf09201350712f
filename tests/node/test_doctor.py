"""`doctor`: what it finds on real servers, and that whatever is wrong comes with its mend."""

import base64
import socket
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.ports import free_ports
from node import doctor, site_key
from node.config import Config
from node.doctor import Finding, examine
from node.embedded import Servers
from tests.fakes.certificate import own_certificate
from tests.fakes.clamd import clamd
from tests.fakes.other_node import hangs, other_node, says

KEY = base64.b64encode(bytes(32)).decode()
NOWHERE = "postgresql://idnode@/idnode?host=/nowhere&port=5432"
NAMES = [
    "python",
    "secret_key",
    "postgresql",
    "audit",
    "redis",
    "files",
    "clamd",
    "toplevel",
    "certificate",
    "site_key",
    "http_port",
    "native_port",
    "operator_port",
    "toplevel_port",
]


@pytest.fixture
def ports() -> list[int]:
    return free_ports(4)


async def found(config: Config) -> dict[str, Finding]:
    findings = await examine(config)
    tls = {"https_port", "client_cert_port"}
    assert [each.name for each in findings if each.name not in tls] == NAMES, "in the order of a start"
    return {each.name: each for each in findings}


async def test_all_is_well(servers: Servers, database: str, ports: list[int], tmp_path: Path) -> None:
    config = Config(
        database_url=database,
        redis_url=servers.redis_url,
        secret_key=KEY,
        http_port=ports[0],
        operator_port=ports[1],
        toplevel_port=ports[2],
        native_port=ports[3],
        log_folder=str(tmp_path),
    )
    findings = await found(config)
    assert [each.name for each in findings.values() if each.mend] == []
    assert findings["postgresql"].state.startswith("18, schema ")
    assert findings["redis"].state[0].isdigit()


async def test_nothing_is_set(ports: list[int]) -> None:
    findings = await found(Config(http_port=ports[0], native_port=0, operator_port=ports[1], toplevel_port=ports[2]))
    assert [each.name for each in findings.values() if each.mend] == ["secret_key", "postgresql", "audit"]
    assert "IDNODE_SECRET_KEY=" in findings["secret_key"].mend
    assert "IDNODE_DATABASE_URL" in findings["postgresql"].mend
    assert findings["redis"].state == "不使用 not used", "a node may do without"


async def test_whether_the_top_level_node_answers() -> None:
    assert (await found(Config()))["toplevel"].state == "不使用 not used", "a node may do without"
    async with other_node(says(400, {"responseCode": 301})) as top:
        finding = (await found(Config(toplevel_url=top.url + "/")))["toplevel"]
        assert (finding.state, finding.mend) == (f"{top.url}/ HTTP 400", "")
        assert top.asked == ["88.999/doctor"]
        top.saying = says(200, b"<html>")
        assert "IDNODE_TOPLEVEL_URL" in (await found(Config(toplevel_url=top.url)))["toplevel"].mend
    finding = (await found(Config(toplevel_url=top.url)))["toplevel"]
    assert "IDNODE_TOPLEVEL_URL" in finding.mend
    assert "ClientConnectorError" in finding.state


async def test_a_top_level_node_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "TOPLEVEL_SECONDS", 0.1)
    async with other_node(hangs) as top:
        assert "IDNODE_TOPLEVEL_URL" in (await found(Config(toplevel_url=top.url)))["toplevel"].mend


async def test_a_schema_that_is_behind(empty_database: str) -> None:
    finding = (await found(Config(database_url=empty_database)))["postgresql"]
    assert "idnode migrate" in finding.mend
    assert "schema 0/" in finding.state


async def test_servers_that_are_away() -> None:
    findings = await found(Config(database_url=NOWHERE, redis_url="unix:///nowhere/valkey.sock"))
    assert findings["postgresql"].mend
    assert findings["redis"].mend


async def test_a_port_in_use(ports: list[int]) -> None:
    with closing(socket.create_server(("127.0.0.1", ports[0]))):
        findings = await found(
            Config(http_port=ports[0], native_port=0, operator_port=ports[1], toplevel_port=ports[2])
        )
    assert "--http-port" in findings["http_port"].mend
    assert not findings["operator_port"].mend
    assert findings["native_port"].state == "不使用 not used"


async def test_a_native_port_in_use_by_either_protocol(ports: list[int]) -> None:
    with closing(socket.create_server(("127.0.0.1", ports[3]))):
        assert "--native-port" in (await found(Config(native_port=ports[3])))["native_port"].mend
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.bind(("127.0.0.1", ports[3]))
        assert "--native-port" in (await found(Config(native_port=ports[3])))["native_port"].mend


async def test_the_port_of_clients_certificates_is_looked_at_where_there_is_one(
    tmp_path: Path, ports: list[int]
) -> None:
    file = tmp_path / "https.pem"
    own_certificate(file)
    served = Config(certificate=str(file), https_port=ports[0], client_cert_port=ports[1])
    assert (await found(served))["client_cert_port"] == Finding("client_cert_port", str(ports[1]))
    with closing(socket.create_server(("127.0.0.1", ports[1]))):
        assert "--client-cert-port" in (await found(served))["client_cert_port"].mend
    for unserved in (replace(served, client_cert_port=0), replace(served, certificate="")):
        findings = await found(unserved)
        assert "client_cert_port" not in findings
        assert ("IDNODE_CLIENT_CERT_PORT" in findings["certificate"].mend) == (not unserved.certificate), "set in vain"


async def test_how_long_the_certificate_is_good(tmp_path: Path, ports: list[int]) -> None:
    assert (await found(Config()))["certificate"].state == "无HTTPS no HTTPS"
    file = tmp_path / "https.pem"
    for days, soon in ((20, False), (10, True), (-1, True)):
        own_certificate(file, days)
        findings = await found(Config(certificate=str(file), https_port=ports[0]))
        finding = findings["certificate"]
        assert f" {days - 1} d: 127.0.0.1" in finding.state
        assert ("replace" in finding.mend) == soon
        assert not findings["https_port"].mend
    file.unlink()
    assert str(file) in (await found(Config(certificate=str(file))))["certificate"].state


async def test_whether_answers_can_be_certified(tmp_path: Path) -> None:
    file = tmp_path / "site.key"
    assert not (await found(Config()))["site_key"].mend
    assert "IDNODE_SITE_KEY" in (await found(Config(site_key=str(file))))["site_key"].mend
    file.write_bytes(site_key.own(tmp_path).read_bytes())
    assert (await found(Config(site_key=str(file))))["site_key"] == Finding("site_key", "RSA")


async def test_nothing_is_changed(empty_database: str) -> None:
    config = Config(database_url=empty_database)
    assert (await found(config))["postgresql"] == (await found(config))["postgresql"]


async def test_whether_files_can_be_kept_and_scanned(tmp_path: Path) -> None:
    findings = await found(Config())
    assert (findings["files"].mend, findings["clamd"].state) == ("", "不使用 not used"), "a node may do without"
    (tmp_path / "file").touch()
    findings = await found(Config(files=str(tmp_path / "file"), clamd=str(tmp_path / "nobody")))
    assert "no folder" in findings["files"].state
    assert "FileNotFoundError" in findings["clamd"].state
    assert "" not in (findings["files"].mend, findings["clamd"].mend)
    async with clamd(tmp_path / "clamd") as scanner:
        findings = await found(Config(files=str(tmp_path / "new"), clamd=scanner.path))
    assert (findings["clamd"].state, findings["clamd"].mend) == ("ClamAV 1.4.6", "")
    assert (findings["files"].state, findings["files"].mend) == (str(tmp_path / "new"), "")
