"""`serve`: the node alone against servers of one's own – without Redis, without a database, told to stop."""

import base64
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from node import clock
from registry import totp
from tests.waiting import PATIENCE, wait_until
from tests.whole.calls import ROOT, free_port, kill_children
from tests.whole.serving import KEY, command, environment, readiness, serving

PREFIX = "88.999.1001"
NOWHERE = "postgresql://idnode@/idnode?host=/nowhere&port=5432"
BUSY = {"status": -1, "message": "系统繁忙", "data": None}


def test_without_redis_everything_works(folder: Path, database: str) -> None:
    command(database, "enterprise", "add", "甲皮具", "--prefix", PREFIX, "--industry", "leather")
    secret = command(database, "user", "add", "AK-a", "--program", "--enterprise", PREFIX).split()[-1]
    command(database, "user", "add", "chief", "--person", "周 1001", "--ask-password", typed="correct horse\n")
    with serving(folder / "serve.log", database, IDNODE_REDIS_URL="") as (process, anyone, operator):
        wait_until(lambda: readiness(operator)["ready"], "ready")
        assert readiness(operator)["warnings"] == []
        assert b"\nidnode_redis_trusted 1.0\n" in operator.call("GET", "/metrics").body
        mine = anyone.signed("AK-a", secret)
        value = [
            {"index": 2000 + n, "type": name, "data": {"value": "v0"}}
            for n, name in enumerate(("styleNo", "articleType", "colour"))
        ]
        row = {"handle": f"{PREFIX}/BAG-A-000001", "templateVersion": "leather-handbag", "value": value}
        assert mine.call("POST", "/identityv2/data", row).json["message"] == "success"

        def seen() -> set[str]:
            answers = [anyone.call("GET", f"/api/handles/{row['handle']}?index=2000").json for _ in range(8)]
            return {answer["values"][0]["data"]["value"] for answer in answers}

        for n in range(1, 6):
            value[0]["data"] = {"value": f"v{n}"}
            assert mine.call("PUT", "/identityv2/data", row).json["message"] == "success"
            assert seen() == {f"v{n}"}
        chief = anyone.signed("chief", "correct horse")
        factor = "/api/v1/accounts/this/second-factor"
        assert chief.call("PUT", f"/api/v1/prefixes/{PREFIX}", {"state": "stopped"}).status == 403
        key = base64.b32decode(chief.call("POST", factor, {"password": "correct horse"}).json["secret"])
        assert chief.call("PUT", factor, {"code": totp.hotp(key, clock.seconds() // totp.STEP_SECONDS)}).status == 204
        assert chief.call("PUT", f"/api/v1/prefixes/{PREFIX}", {"state": "stopped"}).status == 200
        codes = {anyone.call("GET", f"/api/handles/{row['handle']}").json["responseCode"] for _ in range(8)}
        assert codes == {301}
        assert chief.call("PUT", f"/api/v1/prefixes/{PREFIX}", {"state": "enabled"}).status == 200
        for word in ("node.worker", "node.follower"):
            kill_children(process.pid, word)
            wait_until(lambda: readiness(operator)["ready"], "ready again")
        assert seen() == {"v5"}
        value[0]["data"] = {"value": "v6"}
        assert mine.call("PUT", "/identityv2/data", row).json["message"] == "success"
        assert seen() == {"v6"}
        process.terminate()
        assert process.wait(PATIENCE) == 0
    journal = (folder / "serve.log").read_text()
    assert "Traceback" not in journal
    assert not [word for word in (KEY, secret, "correct horse", mine.token, "v5") if word in journal]


def test_without_a_database_it_waits_and_says_so(folder: Path) -> None:
    with serving(folder / "alone.log", NOWHERE) as (process, anyone, operator):
        wait_until(lambda: "database_unreachable" in readiness(operator)["reasons"], "the reason")
        assert operator.call("GET", "/health/live").json == {"live": True}
        assert {"database_unreachable", "follower_not_caught_up"} <= set(readiness(operator)["reasons"])
        wait_until(lambda: "worker_silent" not in readiness(operator)["reasons"], "a worker")
        reply = anyone.call("POST", "/identity/token", {"username": "x", "password": "y"})
        assert (reply.status, reply.json, reply.headers["retry-after"]) == (503, BUSY, "1")
        reply = anyone.call("GET", f"/api/handles/{PREFIX}/A")
        assert (reply.status, reply.json["responseCode"]) == (503, 3)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    assert "Traceback" not in (folder / "alone.log").read_text()


@pytest.mark.parametrize("port", ["http", "operator"])
def test_a_taken_port_is_a_sentence(folder: Path, database: str, port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1])
        other = str(free_port())
        words = ["--http-port", number, "--operator-port", other]
        if port == "operator":
            words = ["--http-port", other, "--operator-port", number]
        done = subprocess.run(
            [sys.executable, "-m", "node.cli", "serve", *words],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment(database),
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert f"--{port}-port" in done.stderr
    assert "Traceback" not in done.stderr
