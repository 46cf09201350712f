"""A real Prometheus scrapes a real node by the files of deploy/, and fires the right alert alone for each trouble.

The rules are those of the file, only their patience is shortened. What they do over hours is seen by promtool.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
import pytest

from registry.prefix import PrefixState
from tests.fakes.valkey import OwnValkey, own_valkey
from tests.waiting import PATIENCE, wait_until
from tests.whole.calls import ROOT, Caller, children, free_port
from tests.whole.serving import command, readiness, serving
from tests.whole.uplink_world import Land, TopLevel, ended

DEPLOY = ROOT / "deploy"
PREFIX = "88.999.1001"
RESTARTS = 4
"""One more than IdnodeProcessRestarting lets pass."""


@dataclass
class Prometheus:
    """A running one."""

    api: Caller

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression says now; fails when Prometheus does not understand it."""
        answer = self.api.call("GET", f"/api/v1/query?query={quote(expression, safe='')}").json
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])

    @property
    def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        alerts = self.api.call("GET", "/api/v1/alerts").json["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def fires(self, *wanted: str) -> None:
        """Returns when these fire and no others."""
        wait_until(lambda: self.firing == set(wanted), f"{wanted or 'nothing'} fires")


def configured(folder: Path, operator: int) -> Path:
    """The files of deploy/ for this node, with a scrape each 0.2 s and rules that wait 1 s where they wait longer."""
    rules = (DEPLOY / "prometheus" / "idnode-alerts.yml").read_text("utf-8")
    (folder / "idnode-alerts.yml").write_text(re.sub(r"for: (?!0m)\w+", "for: 1s", rules), "utf-8")
    example = (DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8")
    assert "127.0.0.1:9600" in example
    quick = re.sub(r"_interval: 15s", "_interval: 200ms", example).replace("127.0.0.1:9600", f"127.0.0.1:{operator}")
    file = folder / "prometheus.yml"
    file.write_text(quick, "utf-8")
    return file


@contextmanager
def scraping(path: str, folder: Path, operator: int) -> Iterator[Prometheus]:
    """Prometheus at work on the node whose operator port is given; gone afterwards."""
    port = free_port()
    words = [path, f"--config.file={configured(folder, operator)}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [*words, f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    made = Prometheus(Caller(f"http://127.0.0.1:{port}"))
    try:
        wait_until(lambda: made.api.status("/-/ready") == 200 or process.poll() is not None, "prometheus is ready")
        yield made
    finally:
        process.terminate()
        process.wait(PATIENCE)


def sql(database: str, *statements: str, to: str = "") -> None:
    """Runs statements in `database`, or in another one of its server."""

    async def run() -> None:
        connection = await asyncpg.connect(database, **({"database": to} if to else {}))
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(run())


def name_of(database: str) -> str:
    return urlsplit(database).path[1:]


def shut(database: str) -> None:
    """The database lets nobody in, as if its server had stopped; the servers of other tests go on."""
    name = name_of(database)
    others = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = '{name}' AND backend_type = 'client backend'"
    )
    sql(database, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", others, to="idnode")


def open_(database: str) -> None:
    sql(database, f"ALTER DATABASE {name_of(database)} ALLOW_CONNECTIONS true", to="idnode")


@pytest.fixture
def valkey() -> Iterator[OwnValkey]:
    with own_valkey() as made:
        yield made


def test_it_sees_every_trouble_and_nothing_else(
    program: Callable[[str], str], tmp_path: Path, database: str, valkey: OwnValkey
) -> None:
    prometheus, promtool = program("prometheus"), program("promtool")
    command(database, "enterprise", "add", "甲皮具", "--prefix", PREFIX, "--industry", "leather")
    settings = {"IDNODE_REDIS_URL": valkey.url, "IDNODE_WORKERS": "1"}
    with serving(tmp_path / "node.log", database, **settings) as (process, anyone, operator):
        wait_until(lambda: readiness(operator) == {"ready": True, "reasons": [], "warnings": [], "explained": []})
        port = int(operator.base.rpartition(":")[2])
        with scraping(prometheus, tmp_path, port) as seen:
            wait_until(lambda: seen.query("idnode_ready"), "the first scrape")
            _is_understood(seen)
            _is_well_formed(promtool, operator)
            asked = "sum(idnode_resolutions_total)"
            before = float(seen.query(asked)[0]["value"][1])
            for n in range(10):
                assert anyone.status(f"/api/handles/{PREFIX}/{n}") == 404
            wait_until(lambda: float(seen.query(asked)[0]["value"][1]) == before + 10, "what was asked is seen")
            seen.fires()

            valkey.kill()
            seen.fires("IdnodeRedisUnreachable")
            assert anyone.status(f"/api/handles/{PREFIX}/new") == 404, "resolving goes on"
            valkey.start()
            seen.fires()

            name = name_of(database)
            sql(database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
            seen.fires("IdnodeDatabaseReadOnly")
            sql(database, "SET default_transaction_read_only = off", f"ALTER DATABASE {name} RESET ALL")
            seen.fires()

            shut(database)
            seen.fires("IdnodeDatabaseUnreachable")
            open_(database)
            seen.fires()

            for _ in range(RESTARTS):
                _killed(process.pid, "node.worker")
            wait_until(lambda: readiness(operator)["ready"])
            seen.fires("IdnodeProcessRestarting")

            process.terminate()
            process.wait(PATIENCE)
            wait_until(lambda: "IdnodeDown" in seen.firing, "IdnodeDown fires")
            assert seen.firing <= {"IdnodeDown", "IdnodeProcessRestarting"}


async def test_it_sees_what_the_uplink_misses(program: Callable[[str], str], tmp_path: Path, database: str) -> None:
    prometheus = program("prometheus")
    connection = await asyncpg.connect(database)
    land = Land(database, tmp_path, connection, TopLevel(database, tmp_path / "toplevel.log"))
    with ended(land):
        land.enterprise()
        land.toplevel.start()
        machine = land.machine()
        await land.until_state(PrefixState.ENABLED)
        with scraping(prometheus, tmp_path, machine.operator) as seen:
            wait_until(lambda: seen.query("idnode_uplink_is_voice == 1"), "the voice is seen")
            seen.fires()
            land.toplevel.kill()
            seen.fires("IdnodeUplinkUnreachable")
            land.toplevel.start()
            seen.fires()
    await connection.close()


def _killed(parent: int, word: str) -> None:
    """kill -9 for the child of that kind; returns when another stands in its place and Prometheus may have seen it."""
    (victim,) = children(parent, word)
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: (standing := children(parent, word)) and standing != [victim], f"{word} is replaced")


def _is_understood(seen: Prometheus) -> None:
    """Every expression of the dashboard is one for Prometheus, and finds something but where nothing has happened."""
    dashboard = json.loads((DEPLOY / "grafana" / "idnode.json").read_text("utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            seen.query(expression)
    rules = seen.api.call("GET", "/api/v1/rules").json["data"]["groups"][0]["rules"]
    assert len(rules) > 20
    wait_until(
        lambda: (
            {rule["health"] for rule in seen.api.call("GET", "/api/v1/rules").json["data"]["groups"][0]["rules"]}
            == {"ok"}
        ),
        "every rule was evaluated without an error",
    )


def _is_well_formed(promtool: str, operator: Caller) -> None:
    """promtool finds nothing to say of /metrics."""
    text = operator.call("GET", "/metrics").body
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")
