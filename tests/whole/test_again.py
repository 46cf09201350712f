"""The next `up` on the same data: what was done is still so, whatever it was, and however the last one ended."""

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.samples import sample_records
from tests.waiting import PATIENCE, wait_until
from tests.whole.calls import Caller, Reply, idnode

LEATHER, EQUIPMENT = "88.999.1001", "88.999.4001"
BUSY = {"status": -1, "message": "系统繁忙", "data": None}
StartWorld = Callable[..., Any]


def patiently(caller: Caller, method: str, path: str, body: Any = None) -> Reply:
    """A call that comes back when it is told to."""
    replies: list[Reply] = []

    def taken() -> bool:
        replies.append(caller.call(method, path, body))
        return replies[-1].status != 429

    wait_until(taken, f"{path} is taken")
    assert all(reply.headers["retry-after"] == "1" for reply in replies[:-1])
    return replies[-1]


def signed(world: Any, account: dict[str, str], name: str, secret: str) -> Caller:
    anyone = Caller(world.http)
    reply = patiently(anyone, "POST", "/identity/token", {"username": account[name], "password": account[secret]})
    return Caller(world.http, reply.json["data"]["token"])


def test_what_was_done_stays_done(folder: Path, start_world: StartWorld) -> None:
    data = folder / "again"
    slow = folder / "slow.toml"
    slow.write_text("peer_rate = 3\n")
    deleted, changed, kept = (record.identifier for record in sample_records(LEATHER)[-3:])

    first = start_world(data, "--config", str(slow))
    try:
        assert "432 sample identifiers registered" in first.log.read_text(), "though it may ask only thrice a second"
        _is_told_to_come_back(first)
        mine = signed(first, first.ready["enterprises"][0], "access_key", "secret_key")
        assert patiently(mine, "DELETE", "/identityv2/data", {"handle": deleted}).json["message"] == "success"
        detail = patiently(mine, "GET", f"/identityv2/data/detail?handle={changed}").json["data"]
        detail["value"][0]["data"]["value"] = "CHANGED"
        assert patiently(mine, "PUT", "/identityv2/data", detail).json["message"] == "success"
        admin = signed(first, first.ready["admin"], "username", "password")
        assert patiently(admin, "PUT", f"/api/v1/prefixes/{EQUIPMENT}", {"state": "stopped"}).status == 200
        before = first.ready
    finally:
        first.stop()
    assert first.process.returncode == 0
    assert not (data / "ready.json").exists()

    second = start_world(data)
    try:
        assert second.log.read_text().count("sample identifiers registered") == 1, "nothing was registered again"
        again = second.ready
        assert (again["admin"], again["enterprises"]) == (before["admin"], before["enterprises"])
        anyone = Caller(second.http)
        answers = [anyone.call("GET", f"/api/handles/{handle}").json for handle in (deleted, changed, kept)]
        assert [answer["responseCode"] for answer in answers] == [100, 1, 1]
        assert "CHANGED" in json.dumps(answers[1])
        stopped = sample_records(EQUIPMENT)[0].identifier
        assert anyone.call("GET", f"/api/handles/{stopped}").json["responseCode"] == 301
        mine = signed(second, second.ready["enterprises"][0], "username", "password")
        assert [v["kind"] for v in mine.call("GET", f"/api/v1/history/{deleted}").json["versions"]] == [
            "deleted",
            "created",
        ]
        assert json.loads(idnode(data, "resolve", kept))["handle"] == kept
        assert "leather" in idnode(data, "user", "list")
    finally:
        os.kill(second.process.pid, signal.SIGKILL)
        second.process.wait(PATIENCE)
    assert (data / "ready.json").exists(), "nobody was left to remove it"

    third = start_world(data, "--host", "::1" if _has_ipv6() else "127.0.0.1", "--no-samples")
    try:
        assert Caller(third.http).call("GET", f"/api/handles/{kept}").json["responseCode"] == 1
        assert third.ready["pid"] == third.process.pid
    finally:
        third.stop()


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def _is_told_to_come_back(world: Any) -> None:
    anyone = Caller(world.http)
    replies = [anyone.call("POST", "/identity/token", {}) for _ in range(40)]
    refused = [reply for reply in replies if reply.status == 429]
    assert refused, "both workers together were not asked so much"
    assert all(reply.json == BUSY and reply.headers["retry-after"] == "1" for reply in refused)


def test_two_worlds_live_side_by_side(world: Any, folder: Path, start_world: StartWorld) -> None:
    other = start_world(folder / "beside", "--no-samples", "--workers", "1")
    try:
        assert other.http != world.http
        sample = sample_records(LEATHER)[0].identifier
        codes = [
            Caller(each.http).call("GET", f"/api/handles/{sample}").json["responseCode"] for each in (world, other)
        ]
        assert codes == [1, 100], "each has its own registry and its own caches"
    finally:
        other.stop()
    assert Caller(world.http).call("GET", f"/api/handles/{sample}").status == 200


@pytest.mark.parametrize(
    ("name", "content"),
    [("credentials.json", "{}"), ("credentials.json", "nonsense"), ("postgres/PG_VERSION", "9\n")],
)
def test_spoilt_data_is_a_sentence(folder: Path, start_world: StartWorld, name: str, content: str) -> None:
    data = folder / f"spoilt-{name.replace('/', '-')}-{len(content)}"
    (data / name).parent.mkdir(parents=True)
    (data / name).write_text(content)
    with pytest.raises(pytest.fail.Exception, match="did not become ready") as ended:
        start_world(data, "--no-samples")
    said = str(ended.value).partition("\n")[2]
    assert "Traceback" not in said
    assert "idnode: " in said
    assert not (data / "ready.json").exists()
