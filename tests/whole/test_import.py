"""Import and reconcile against the real thing: `up` in a folder of its own, the command line, kill -9 in the middle."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import xlsxwriter

from node.importer.results import journal_path
from tests.waiting import PATIENCE, wait_until
from tests.whole.calls import ROOT, Caller, children

EXAMPLES = ROOT / "docs" / "examples"
LEATHER, AUTOMOTIVE, COSMETICS = "88.999.1001", "88.999.2001", "88.999.3001"


@dataclass(frozen=True)
class World:
    """A running node: its process, its folder, and what ready.json says."""

    pid: int
    data: Path
    ready: dict[str, Any]

    def command(self, verb: str, file: Path, enterprise: str, template: str, *options: str) -> list[str]:
        where = ["--data", str(self.data), "--enterprise", enterprise, "--template", template]
        return [sys.executable, "-m", "node.cli", verb, str(file), *where, *options]

    def run(self, verb: str, file: Path, *arguments: str) -> tuple[int, str]:
        """Exit code, and all that was said."""
        command = self.command(verb, file, *arguments)
        done = subprocess.run(command, cwd=ROOT, env=CHINESE, capture_output=True, text=True, check=False, timeout=300)
        return done.returncode, done.stdout + done.stderr

    def call(self, method: str, path: str, body: Any = None, who: dict[str, str] | None = None) -> Any:
        """The JSON of an answer, whatever its status."""
        caller = Caller(self.ready["http"])
        if who:
            caller = caller.signed(who["username"], who["password"])
        return caller.call(method, path, body).json

    def owner(self, prefix: str) -> dict[str, str]:
        return next(each for each in self.ready["enterprises"] if each["prefix"] == prefix)

    def values(self, identifier: str) -> dict[str, str]:
        """All attributes of an identifier, as its owner sees them."""
        answer = self.call("GET", f"/identityv2/data/detail?handle={identifier}", who=self.owner(identifier[:11]))
        return {value["type"]: value["data"]["value"] for value in answer["data"]["value"]}

    async def kept(self, prefix: str, start: str) -> tuple[int, int]:
        """How many records have a suffix beginning so, and their greatest version."""
        servers = json.loads((self.data / "servers.json").read_bytes())
        connection = await asyncpg.connect(servers["database_url"])
        try:
            row = await connection.fetchrow(
                "SELECT count(*), coalesce(max(version), 0) FROM record JOIN prefix ON prefix.number = prefix_no"
                " WHERE prefix.name = $1 AND starts_with(suffix, $2)",
                prefix,
                start,
            )
            return tuple(row)
        finally:
            await connection.close()


PLAIN = {name: text for name, text in os.environ.items() if not name.startswith("IDNODE_")}
CHINESE = PLAIN | {"LC_ALL": "zh_CN.UTF-8", "PYTHONUTF8": "1"}


@pytest.fixture(scope="session")
def world(folder: Path, start_world: Callable[..., Any]) -> Iterator[World]:
    """A world of our own: here workers are killed and a prefix is stopped."""
    started = start_world(folder / "import", "--no-samples", "--workers", "2")
    yield World(started.process.pid, started.data, started.ready)
    started.stop()


def results(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        heading, *rows = csv.reader(file)
    assert heading == ["行号", "标识", "结果", "原因"]
    return rows


LISTS = {
    "leather_goods": (
        "leather",
        "leather-handbag",
        f"{LEATHER}/BAG-{{}}-{{:06d}}",
        "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage\n"
        "700017,Women,Accessories,Bags,Handbags,Camel,Winter,2026,Casual\n"
        "700018,Men,Accessories,Wallets,Wallets,Navy Blue,Spring,2026,\n",
        {"styleNo": "700017", "articleType": "Handbags", "colour": "Camel", "designYear": "2026"},
    ),
    "vehicles": (
        "automotive",
        "auto-vehicle",
        f"{AUTOMOTIVE}/CAR-{{}}-{{:06d}}",
        "id,make,model,year,class,trans,drive,cyl,displ,fuel,hwy,cty\n"
        "900017,Lintong,E5/E5 Pro,2026,Compact Cars,Manual 6-spd,All-Wheel Drive,4.0,1.5,Regular,40.0,30.0\n"
        "900018,Lintong,E7 Électrique,2026,Compact Cars,Automatic (A1),Front-Wheel Drive,,,Electricity,102.0,98.0\n",
        {"brand": "Lintong", "model": "E5/E5 Pro", "cylinders": "4", "displacement": "1.5", "cityMpg": "30"},
    ),
    "cosmetics": (
        "cosmetics",
        "cosmetics-product",
        f"{COSMETICS}/PRD-{{}}-{{:06d}}",
        "product_id,product_name,brand_id,brand_name,price_usd,primary_category\n"
        'P800017,"Crème de Jour, 50 ml – ✨",8017,Yuehe,195.5,Skincare\n'
        "P800018,Brush #7 / Set,8017,Yuehe,20.0,Makeup\n",
        {"productName": "Crème de Jour, 50 ml – ✨", "price": "195.5", "currency": "USD", "brandCode": "8017"},
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_the_examples_bring_lists_in_and_out_again(world: World, tmp_path: Path, name: str) -> None:
    enterprise, template, shape, text, wanted = LISTS[name]
    file = tmp_path / "list.csv"
    file.write_text(text, "utf-8")
    options = (enterprise, template, "--map", str(EXAMPLES / f"{name}.toml"), "--serials", "10")
    keys = [line.split(",")[0] for line in text.splitlines()[1:]]
    identifiers = [shape.format(key, serial) for key in keys for serial in range(1, 11)]

    assert world.run("import", file, *options, "--dry-run")[0] == 0
    assert world.call("GET", f"/api/handles/{identifiers[0]}")["responseCode"] == 100
    code, said = world.run("import", file, *options)
    assert code == 0, said
    assert [row[1:] for row in results(tmp_path / "list.result.csv")] == [[i, "已登记", ""] for i in identifiers]

    found = world.values(identifiers[9])
    assert {key: found.get(key) for key in wanted} == wanted
    assert "" not in found.values()
    answers = world.call("POST", "/api/v1/resolve", {"identifiers": identifiers})["results"]
    assert {answer["responseCode"] for answer in answers} == {1}
    code, said = world.run("reconcile", file, *options)
    assert code == 0, said
    assert {row[2] for row in results(tmp_path / "list.reconcile.csv")} == {"一致"}


QUIRKS = (
    "款号,品类,颜色,备注列\r\n"
    '{0}1,手袋,深棕,"两\r\n行"\r\n'
    "\r\n"
    "{0}2,手袋,红\r\n"
    "{0}3,,红,x\r\n"
    "{0}1,手袋,黑,x\r\n"
    "{0} 4,手袋,黑,x\r\n"
    "{0}款,手袋,黑,x\r\n"
    "{0}5,手袋,黑\0,x\r\n"
    "{0}6,手袋,{1},x\r\n"
    '{0}7,"手"袋,黑,x\r\n'
    ",手袋,黑,x\r\n"
    "{0}8,手袋,黑,x\r\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_every_row_of_a_file_full_of_quirks_is_registered_or_told_why_not(
    world: World, tmp_path: Path, encoding: str
) -> None:
    key = "Q" + encoding.replace("-", "")
    file = tmp_path / "list.csv"
    file.write_bytes(QUIRKS.format(key, "很" * 65).encode(encoding))
    options = ("leather", "leather-handbag", "--suffix", "BAG-{款号}-{serial:06d}")
    code, said = world.run("import", file, *options)
    assert code == 1, said
    rule = "不符合模板leather-handbag的编码规则"
    rows = results(tmp_path / "list.result.csv")
    told = [(row[0], row[2], row[3].partition(rule)[1] or row[3]) for row in rows]
    assert told == [
        ("2", "已登记", ""),
        ("4", "已拒绝", "列数不符：应为4列，实为3列"),
        ("5", "已拒绝", "缺少必填属性品类（articleType）"),
        ("6", "已拒绝", "与第2行的标识重复"),
        ("7", "已拒绝", rule),
        ("8", "已拒绝", rule),
        ("9", "已拒绝", "含有NUL字符，文件可能损坏"),
        ("10", "已拒绝", "颜色（colour）长度应在0到64之间，实为65"),
        ("11", "已拒绝", "引号用得不对：引号内的引号要写两次（文本第12行）"),
        ("12", "已拒绝", "组成标识的“款号”是空的"),
        ("13", "已登记", ""),
    ]
    assert world.values(f"{LEATHER}/BAG-{key}1-000001") == {
        "styleNo": f"{key}1",
        "articleType": "手袋",
        "colour": "深棕",
    }
    code, said = world.run("import", file, *options, "--dry-run")
    rehearsed = [
        (row[0], row[2], row[3].partition(rule)[1] or row[3]) for row in results(tmp_path / "list.dry-run.csv")
    ]
    words = {"已登记": "已存在且一致", "已拒绝": "将被拒绝"}
    assert rehearsed == [(row, words[result], reason) for row, result, reason in told]


def test_a_workbook_with_whole_identifiers_comes_in(world: World, tmp_path: Path) -> None:
    book = xlsxwriter.Workbook(tmp_path / "list.xlsx")
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["标识", "款号", "品类", "颜色", "设计年份", "生产日期"])
    sheet.write_row(1, 0, [f"{LEATHER}/BAG-X1-000001", "007", "手袋", "黑", 2026.0, "2026-03-01"])
    sheet.write_row(2, 0, [f"{AUTOMOTIVE}/BAG-X1-000002", "007", "手袋", "黑", 2026.0])
    book.close()
    assert world.run("import", tmp_path / "list.xlsx", "leather", "leather-handbag")[0] == 1
    assert [row[2:] for row in results(tmp_path / "list.result.csv")] == [
        ["已登记", ""],
        ["已拒绝", f"标识的前缀是{AUTOMOTIVE}，不是所导入企业的前缀{LEATHER}"],
    ]
    assert world.values(f"{LEATHER}/BAG-X1-000001") == {
        "styleNo": "007",
        "articleType": "手袋",
        "colour": "黑",
        "designYear": "2026",
        "productionDate": "2026-03-01",
    }


def simple(folder: Path, key: str, rows: int = 2) -> tuple[Path, tuple[str, ...]]:
    """A list of `rows` bags, and the options to import it with."""
    file = folder / "list.csv"
    lines = [f"{key}{n},手袋,黑,2026\n" for n in range(rows)]
    file.write_text("款号,品类,颜色,设计年份\n" + "".join(lines), "utf-8")
    return file, ("leather", "leather-handbag", "--suffix", "BAG-{款号}-{serial:06d}")


def test_a_second_import_and_a_reconciliation_tell_what_differs(world: World, tmp_path: Path) -> None:
    file, options = simple(tmp_path, "D", rows=3)
    assert world.run("import", file, *options)[0] == 0
    owner = world.owner(LEATHER)
    colour = {"index": 2002, "type": "colour", "data": {"format": "string", "value": "白"}}
    change = {"handle": f"{LEATHER}/BAG-D1-000001", "templateVersion": "leather-handbag", "value": [colour]}
    assert world.call("PUT", "/identityv2/data", change, owner)["status"] == 1
    gone = {"handle": f"{LEATHER}/BAG-D2-000001"}
    assert world.call("DELETE", "/identityv2/data", gone, owner)["status"] == 1

    assert world.run("reconcile", file, *options)[0] == 1
    assert [row[2:] for row in results(tmp_path / "list.reconcile.csv")] == [
        ["一致", ""],
        ["不同", "不同的属性：颜色"],
        ["缺失", ""],
    ]
    assert world.run("import", file, *options, "--restart")[0] == 1
    assert [row[2:] for row in results(tmp_path / "list.result.csv")] == [
        ["已存在且一致", ""],
        ["已存在但不同", "不同的属性：颜色"],
        ["已登记", ""],
    ]


def test_a_stopped_prefix_is_told_to_every_row(world: World, tmp_path: Path) -> None:
    file, options = simple(tmp_path, "S")
    path, admin = f"/api/v1/prefixes/{LEATHER}", world.ready["admin"]
    assert world.call("PUT", path, {"state": "stopped"}, admin)["state"] == "stopped"
    try:
        assert world.run("import", file, *options)[0] == 1
    finally:
        assert world.call("PUT", path, {"state": "enabled"}, admin)["state"] == "enabled"
    assert {(row[2], row[3]) for row in results(tmp_path / "list.result.csv")} == {
        ("已拒绝", f"前缀{LEATHER}已停用，不能写入")
    }
    assert world.run("import", file, *options, "--restart")[0] == 0


MANY = 20
SERIALS = 1000


def begun(world: World, file: Path, options: tuple[str, ...]) -> "subprocess.Popen[bytes]":
    """An import that has noted some results of its own and is not done yet."""
    path = journal_path(file.with_suffix(".result.csv"))

    def noted() -> int:
        return int(json.loads(path.read_bytes())["units"]) if path.exists() else 0

    before = noted()
    process = subprocess.Popen(world.command("import", file, *options), cwd=ROOT, env=PLAIN, stdout=subprocess.DEVNULL)
    wait_until(lambda: process.poll() is not None or noted() > before)
    assert process.poll() is None, "the import was too fast or failed"
    return process


async def check_whole(world: World, file: Path, key: str) -> None:
    """Every line once, in order, all registered; every record once, in its first version."""
    rows = results(file.with_suffix(".result.csv"))
    assert [row[1] for row in rows] == [
        f"{LEATHER}/BAG-{key}{n}-{serial:06d}" for n in range(MANY) for serial in range(1, SERIALS + 1)
    ]
    assert {row[2] for row in rows} == {"已登记"}
    assert await world.kept(LEATHER, f"BAG-{key}") == (MANY * SERIALS, 1)


async def test_kill_9_in_the_middle_of_an_import_and_going_on(world: World, tmp_path: Path) -> None:
    file, options = simple(tmp_path, "K", MANY)
    options += ("--serials", str(SERIALS))
    for _ in range(2):
        process = begun(world, file, options)
        process.kill()
        process.wait()
    assert not json.loads(journal_path(tmp_path / "list.result.csv").read_bytes())["finished"]
    code, said = world.run("import", file, *options)
    assert code == 0, said
    assert "接着上次" in said
    await check_whole(world, file, "K")
    assert "没有再发送任何标识" in world.run("import", file, *options)[1]


async def test_workers_killed_during_an_import_cost_nothing(world: World, tmp_path: Path) -> None:
    file, options = simple(tmp_path, "W", MANY)
    process = begun(world, file, (*options, "--serials", str(SERIALS)))
    workers = children(world.pid, "node.worker")
    assert len(workers) == 2
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    assert process.wait(PATIENCE) == 0
    await check_whole(world, file, "W")
