"""Real proxies before a real node, configured word for word as docs/operations.md advises: each client is itself.

Only ports and addresses are replaced. Clients are told apart by their addresses in 127.0.0.0/8.
"""

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.waiting import PATIENCE, wait_until
from tests.whole.calls import ROOT, Caller, free_port
from tests.whole.serving import readiness, serving

PATH = "/"
NGINX = """daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {server}
}}
"""
"""What an example of a server stands in when nginx runs in a folder of its own."""


def example(language: str) -> str:
    """The example of the manual that is written in this language."""
    found = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs/operations.md").read_text("utf-8"), re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def replaced(text: str, words: dict[str, object]) -> str:
    """`text` with each word replaced, all of which it must hold."""
    for word, by in words.items():
        assert word in text, f"the example does not say {word}"
        text = text.replace(word, str(by))
    return text


def port_of(caller: Caller) -> str:
    return caller.base.rpartition(":")[2]


@dataclass(frozen=True)
class Node:
    """A running node that trusts 127.0.0.1 and lets each peer ask once a second; who calls at its doors."""

    folder: Path
    direct: Caller
    operator: Caller

    @contextmanager
    def before(self, *command: str, ports: tuple[int, ...]) -> Iterator[list[Caller]]:
        """A proxy before the node, listening on these ports; who calls there."""
        log = self.folder / f"{Path(command[0]).name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, cwd=self.folder)
        callers = [Caller(f"http://127.0.0.1:{port}", address="127.0.0.5") for port in ports]

        def up() -> bool:
            assert process.poll() is None, log.read_text()
            return all(caller.status(PATH) in {200, 429} for caller in callers)

        try:
            wait_until(up, "the proxy finds the node")
            yield callers
        finally:
            process.terminate()
            process.wait(PATIENCE)


@pytest.fixture
def node(folder: Path, database: str, tmp_path: Path) -> Iterator[Node]:
    settings = {"IDNODE_TRUSTED_PROXIES": "127.0.0.1", "IDNODE_PEER_RATE": "1", "IDNODE_WORKERS": "1"}
    with serving(folder / "proxied.log", database, **settings) as (_, direct, operator):
        wait_until(lambda: readiness(operator)["ready"], "ready")
        yield Node(tmp_path, direct, operator)


def uses_up(caller: Caller) -> bool:
    """Whether so many calls at once, each with another claim, are too many of one peer."""
    lies = (f"203.0.113.{n}, 192.0.2.{n}, 127.0.0.1" for n in range(50))
    return any(caller.call("GET", PATH, X_Forwarded_For=lie).status == 429 for lie in lies)


def each_is_itself(door: Caller, clients: tuple[str, str]) -> None:
    """One client uses up its share, whatever it claims; the other still has its own."""
    one, other = (replace(door, address=client) for client in clients)
    assert uses_up(one)
    assert other.call("GET", PATH).status == 200


def test_behind_haproxy_each_client_has_its_own_share(node: Node, program: Callable[[str], str]) -> None:
    haproxy = program("haproxy")
    words = {"127.0.0.1:8000": f"127.0.0.1:{port_of(node.direct)}", "port 9600": f"port {port_of(node.operator)}"}
    for version in ("send-proxy-v2", "send-proxy"):
        web, relayed = free_port(), free_port()
        config = node.folder / f"{version}.cfg"
        binds = {"bind :8080": f"bind 127.0.0.1:{relayed}", "bind :80": f"bind 127.0.0.1:{web}"}
        config.write_text(replaced(example("haproxy"), words | binds | {"send-proxy-v2": version}))
        third = len(version)
        with node.before(haproxy, "-db", "-f", str(config), ports=(web, relayed)) as (by_header, by_protocol):
            each_is_itself(by_header, (f"127.1.{third}.2", f"127.1.{third}.3"))
            each_is_itself(by_protocol, (f"127.2.{third}.2", f"127.2.{third}.3"))


def test_behind_nginx_each_client_has_its_own_share(node: Node, program: Callable[[str], str]) -> None:
    nginx = program("nginx")
    port = free_port()
    words = {"listen 80": f"listen 127.0.0.1:{port}", "127.0.0.1:8000": f"127.0.0.1:{port_of(node.direct)}"}
    config = node.folder / "nginx.conf"
    config.write_text(NGINX.format(folder=node.folder, server=replaced(example("nginx"), words)))
    with node.before(nginx, "-p", str(node.folder), "-c", str(config), ports=(port,)) as (door,):
        each_is_itself(door, ("127.3.0.2", "127.3.0.3"))


def test_who_is_no_proxy_is_not_believed(node: Node) -> None:
    each_is_itself(node.direct, ("127.4.0.2", "127.4.0.3"))
    stranger = replace(node.direct, address="127.4.0.4")
    assert stranger.call("PROXY", "TCP4").status == 400
