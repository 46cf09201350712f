"""`up` as a stranger lives with it: what it prints, what it writes, what it survives, what it says when it cannot."""

import http.client
import json
import os
import re
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.waiting import PATIENCE, wait_until
from tests.whole.calls import ROOT, Caller, children, free_port, kill_children, runs

SAMPLE = "88.999.1001/BAG-2026-000017"


@pytest.fixture(scope="session")
def mine(folder: Path, start_world: Callable[..., Any]) -> Iterator[Any]:
    """A world of this module's own, with samples, whose processes may be killed."""
    world = start_world(folder / "up")
    yield world
    world.stop()


def answers(world: Any) -> bool:
    return Caller(world.http).status(f"/api/handles/{SAMPLE}") == 200


def is_ready(world: Any) -> bool:
    return all(Caller(world.ready[face]).status("/health/ready") == 200 for face in ("operator", "toplevel"))


def test_ready_json_is_the_contract(mine: Any) -> None:
    file = mine.data / "ready.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    ready = mine.ready
    assert {"http", "https", "client_cert", "native", "operator", "toplevel", "admin", "enterprises"} <= ready.keys()
    assert ready["native"]["host"] == "127.0.0.1"
    assert Caller(ready["toplevel"]).status("/health/ready") == 200
    assert ready["pid"] == mine.process.pid
    assert [(e["industry"], e["prefix"]) for e in ready["enterprises"]] == [
        ("leather", "88.999.1001"),
        ("automotive", "88.999.2001"),
        ("cosmetics", "88.999.3001"),
        ("equipment", "88.999.4001"),
    ]
    wanted = {"name", "industry", "prefix", "username", "password", "access_key", "secret_key"}
    assert all(each.keys() == wanted for each in ready["enterprises"])


def test_https_is_served_with_a_certificate_of_its_own(mine: Any) -> None:
    at = urlsplit(mine.ready["https"])
    own = mine.data / "https.crt"
    assert stat.S_IMODE(own.stat().st_mode) == stat.S_IMODE(own.with_suffix(".key").stat().st_mode) == 0o600
    trusting = ssl.create_default_context(cafile=str(own))
    for host in (at.hostname, "localhost"):
        connection = http.client.HTTPSConnection(host or "", at.port, context=trusting, timeout=PATIENCE)
        connection.request("GET", f"/api/handles/{SAMPLE}")
        assert json.loads(connection.getresponse().read())["responseCode"] == 1
        connection.close()


def test_the_printed_commands_work_as_they_stand(mine: Any) -> None:
    table = mine.log.read_text().rpartition("is ready")[2]
    commands = {
        name: re.search(rf"· {name} +(.+)", table)[1]  # type: ignore[index]
        for name in ("open", "resolve", "sign in", "register")
    }
    script = f"set -e; {commands['sign in']}; {commands['register']}; echo; {commands['resolve']}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    first, _, second = done.stdout.partition("\n")
    assert json.loads(first) == {"status": 1, "message": "success", "data": True}
    assert json.loads(second)["handle"] == SAMPLE
    assert commands["open"].startswith(mine.http)
    assert Caller(mine.http).status(commands["open"].removeprefix(mine.http)) == 200


def test_a_first_start_warns_of_nothing(mine: Any) -> None:
    until_ready = mine.log.read_text().partition("is ready          ")[0]
    assert "sample identifiers registered" in until_ready
    assert "level=warning" not in until_ready


def test_the_operator_port_tells_how_it_is(mine: Any) -> None:
    operator = Caller(mine.ready["operator"])
    assert operator.status("/health/live") == 200
    wait_until(lambda: is_ready(mine), "ready")
    metrics = operator.call("GET", "/metrics")
    assert metrics.status == 200
    assert b"idnode_build_info{" in metrics.body
    assert b"\nidnode_ready 1.0\n" in metrics.body
    assert b"idnode_" not in Caller(mine.http).call("GET", "/metrics").body, "never through the public door"


@pytest.mark.parametrize("word", ["node.worker", "node.follower", "node.toplevel", "postgres", "valkey"])
def test_what_is_killed_is_started_again(mine: Any, word: str) -> None:
    kill_children(mine.process.pid, word)
    wait_until(lambda: is_ready(mine) and answers(mine), "answers again")
    register(mine, f"BAG-K-{len(word):06d}")


def register(world: Any, suffix: str) -> None:
    """Registers a handbag through the front door; an unknown outcome is repeated, as clients do."""
    ready = world.ready["enterprises"][0]
    credentials = {"username": ready["access_key"], "password": ready["secret_key"]}
    anyone = Caller(world.http)
    wait_until(lambda: said(anyone, "/identity/token", credentials) == "success", "signed in")
    mine = anyone.signed(ready["access_key"], ready["secret_key"])
    value = [
        {"index": index, "type": name, "data": {"format": "string", "value": "x"}}
        for index, name in ((2000, "styleNo"), (2001, "articleType"), (2002, "colour"))
    ]
    handle = f"{ready['prefix']}/{suffix}"
    row = {"handle": handle, "templateVersion": "leather-handbag", "value": value}
    wait_until(lambda: said(mine, "/identityv2/data", row) in {"success", "标识已存在"}, "registered")
    assert anyone.status(f"/api/handles/{handle}") == 200


def said(caller: Caller, path: str, body: Any) -> str:
    """The message a POST is answered with; why there is none, when nobody answers."""
    try:
        return str(caller.call("POST", path, body).json["message"])
    except (OSError, http.client.HTTPException) as error:
        return str(error)


def test_after_kill_9_of_up_nothing_is_left_and_the_next_one_goes_on(
    folder: Path, start_world: Callable[..., Any]
) -> None:
    first = start_world(folder / "killed", "--no-samples")
    register(first, "BAG-STAYS-000001")
    near = children(first.process.pid)
    below = near + [each for child in near for each in children(child)]
    first.process.kill()
    first.process.wait(PATIENCE)
    wait_until(lambda: not any(map(runs, below)), "the end of all children")
    second = start_world(folder / "killed", "--no-samples")
    try:
        assert Caller(second.http).status("/api/handles/88.999.1001/BAG-STAYS-000001") == 200
        assert first.process.pid != second.ready["pid"] == second.process.pid
    finally:
        second.stop()
    assert not (second.data / "ready.json").exists()
    assert not (second.data / "servers.json").exists()
    assert second.process.returncode == 0


def refused(*arguments: str) -> str:
    """What `up` says when it cannot: one sentence, exit code 2, no trace."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("IDNODE_")}
    done = subprocess.run(
        [sys.executable, "-m", "node.cli", "up", "--https-port", str(free_port()), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env=environment,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_taken_port_gets_a_sentence(folder: Path, mine: Any) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = str(sock.getsockname()[1])
        said = refused("--data", str(folder / "port"), "--http-port", port)
    assert port in said
    assert "--http-port" in said
    node_port = mine.http.rpartition(":")[2]
    assert node_port in refused("--data", str(folder / "port"), "--http-port", node_port), "shared by no second node"


def test_a_taken_port_of_the_toplevel_node_gets_a_sentence(folder: Path, mine: Any) -> None:
    port = mine.ready["toplevel"].rpartition(":")[2]
    mine_alone = ("--http-port", str(free_port()), "--native-port", "0")
    said = refused("--data", str(folder / "port"), *mine_alone, "--toplevel-port", port)
    assert port in said
    assert "--toplevel-port" in said


def test_a_taken_port_of_https_gets_a_sentence(folder: Path, mine: Any) -> None:
    port = mine.ready["https"].rpartition(":")[2]
    said = refused("--data", str(folder / "port"), "--http-port", str(free_port()), "--https-port", port)
    assert port in said
    assert "--https-port" in said


def test_a_folder_in_use_gets_a_sentence_and_loses_nothing(mine: Any) -> None:
    assert str(mine.data) in refused("--data", str(mine.data), "--http-port", "1", "--operator-port", "2")
    assert mine.ready["pid"] == mine.process.pid


def test_a_broken_data_folder_gets_a_sentence(folder: Path) -> None:
    broken = folder / "broken"
    broken.write_text("a file")
    assert str(broken) in refused("--data", str(broken))


def test_an_unknown_setting_gets_a_sentence(folder: Path) -> None:
    file = folder / "settings.toml"
    file.write_text("wrokers = 3\n")
    assert "wrokers" in refused("--config", str(file), "--data", str(folder / "unused"))
