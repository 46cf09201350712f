"""Proves node/importer/run.py: the whole road against a real small server, faults and kill -9 included."""

import argparse
import asyncio
import csv
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from node.importer import client, run, table
from node.importer.results import CONFIRMED, Line, Results, journal_path
from node.importer.units import Expansion, Tally, Together, Unit
from tests.fakes.snms import PASSWORD, PREFIX, TEMPLATE, USERNAME, FakeNode, running

LIST = "id,款号,colour,extra\n" + "".join(f"{n},S-{n},red,x\n" for n in range(1, 6))
Verb = Callable[[argparse.Namespace], Coroutine[Any, Any, int]]


@pytest.fixture
async def fake(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeNode]:
    monkeypatch.setattr(client, "WAIT_FIRST_SECONDS", 0.0)
    monkeypatch.setenv(run.FROM_ENVIRONMENT, PASSWORD)
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    async with running(FakeNode()) as node:
        yield node


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(LIST, "utf-8")
    return path


def rewrite(file: Path, text: str, encoding: str = "utf-8") -> None:
    file.write_bytes(text.encode(encoding))


def text_of(file: Path) -> str:
    return file.read_text("utf-8")


def parsed(verb: run.Verb, fake: FakeNode, file: Path, *options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    run.add_arguments(parser, verb)
    common = ["--enterprise", PREFIX, "--template", TEMPLATE, "--url", fake.url, "--username", USERNAME]
    suffix = [] if "--suffix" in options or "--map" in options else ["--suffix", "B-{id}"]
    return parser.parse_args([str(file), *common, *suffix, *options])


async def imported(fake: FakeNode, file: Path, *options: str) -> int:
    return await run.run_import(parsed("import", fake, file, *options))


async def reconciled(fake: FakeNode, file: Path, *options: str) -> int:
    return await run.run_reconcile(parsed("reconcile", fake, file, *options))


def results(path: Path) -> list[tuple[str, ...]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        heading, *rows = [tuple(row) for row in csv.reader(file)]
    assert heading == ("行号", "标识", "结果", "原因")
    return rows


def told(path: Path) -> list[tuple[str, ...]]:
    """The rows of a results file without their numbers."""
    return [row[1:] for row in results(path)]


def change(fake: FakeNode) -> None:
    """Somebody else has changed B-2 and removed B-4."""
    fake.records[f"{PREFIX}/B-2"]["colour"] = "blue"
    fake.records.pop(f"{PREFIX}/B-4")


async def test_every_row_is_registered_and_told(fake: FakeNode, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await imported(fake, file) == 0
    assert results(file.with_name("list.result.csv")) == [
        (str(n + 1), f"{PREFIX}/B-{n}", "已登记", "") for n in range(1, 6)
    ]
    assert fake.records[f"{PREFIX}/B-3"] == {"styleNo": "S-3", "colour": "red"}
    out, err = capsys.readouterr()
    assert err.splitlines() == [
        "read as UTF-8, separated by “,”, 4 columns, header in row 1",
        "styleNo from 款号, colour from colour; columns not used: extra",
    ]
    assert [line.split()[:-1] for line in out.splitlines()[:7]] == [
        ["rows"],
        ["empty", "rows", "(skipped)"],
        ["identifiers"],
        ["registered"],
        ["existed", "alike"],
        ["existed", "different"],
        ["refused"],
    ]
    assert [line.split()[-1] for line in out.splitlines()[:7]] == ["5", "0", "5", "5", "0", "0", "0"]


async def test_it_speaks_chinese(
    fake: FakeNode, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert await imported(fake, file, "--map", str(mapping(file, '[constants]\nnote = "n"\n'))) == 0
    out, err = capsys.readouterr()
    assert err.splitlines()[1] == "款号←款号、颜色←colour、备注=“n”；未使用的列：extra"
    assert "已登记" in out
    assert "结果文件: " in out


def mapping(file: Path, text: str) -> Path:
    path = file.with_name("map.toml")
    path.write_text('suffix = "B-{id}"\n' + text, "utf-8")
    return path


async def test_a_second_import_finds_what_exists_alike_and_different(fake: FakeNode, file: Path) -> None:
    assert await imported(fake, file) == 0
    fake.records[f"{PREFIX}/B-2"]["colour"] = "blue"
    assert await imported(fake, file, "--restart") == 1
    assert results(file.with_name("list.result.csv"))[:2] == [
        ("2", f"{PREFIX}/B-1", "已存在且一致", ""),
        ("3", f"{PREFIX}/B-2", "已存在但不同", "不同的属性：颜色"),
    ]
    assert len(fake.created) == 5


QUIRKS = (
    "编号;款号;颜色;备注\r\n"
    '1;007;深棕;"两\r\n行"\r\n'
    "\r\n"
    "2;S;红\r\n"
    "3;S;;x\r\n"
    "1;S;黑;x\r\n"
    "4 ;S;黑;x\r\n"
    "5;S;黑\0;x\r\n"
    "é;S;黑;=1+1\r\n"
    '6;"S" 1;黑;x\r\n'
    "7;S;黑;x"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
async def test_a_list_full_of_quirks(fake: FakeNode, file: Path, encoding: str) -> None:
    fake.suffix = r"B-[0-9]+"
    rewrite(file, QUIRKS, encoding)
    assert await imported(fake, file, "--suffix", "B-{编号}", "--result", str(file.with_name("r.csv"))) == 1
    assert results(file.with_name("r.csv")) == [
        ("2", f"{PREFIX}/B-1", "已登记", ""),
        ("4", "", "已拒绝", "列数不符：应为4列，实为3列"),
        ("5", f"{PREFIX}/B-3", "已拒绝", "缺少必填属性颜色（colour）"),
        ("6", f"{PREFIX}/B-1", "已拒绝", "与第2行的标识重复"),
        ("7", "", "已拒绝", "标识的前缀不能含空格，后缀首尾不能是空格"),
        ("8", "", "已拒绝", "含有NUL字符，文件可能损坏"),
        ("9", f"{PREFIX}/B-é", "已拒绝", "后缀不符合编码规则"),
        ("10", "", "已拒绝", "引号用得不对：引号内的引号要写两次（文本第11行）"),
        ("11", f"{PREFIX}/B-7", "已登记", ""),
    ]
    assert fake.records[f"{PREFIX}/B-1"] == {"styleNo": "007", "colour": "深棕", "note": "两\r\n行"}


async def test_a_workbook_is_imported(fake: FakeNode, tmp_path: Path) -> None:
    book = xlsxwriter.Workbook(tmp_path / "list.xlsx")
    sheet = book.add_worksheet("产品")
    sheet.write_row(0, 0, ["标识", "款号", "颜色", "气缸数"])
    sheet.write_row(1, 0, [48123.0, "007", "棕", 4.0])
    book.close()
    assert await imported(fake, tmp_path / "list.xlsx", "--sheet", "产品", "--suffix", "") == 0
    assert fake.records == {f"{PREFIX}/48123": {"styleNo": "007", "colour": "棕", "cylinders": "4"}}


async def test_serials_make_many_identifiers_of_a_row_in_bounded_requests(fake: FakeNode, file: Path) -> None:
    assert await imported(fake, file, "--suffix", "B-{id}-{serial:04d}", "--serials", "500") == 0
    assert (len(fake.records), fake.batches) == (2500, [1000, 1000, 500])
    assert results(file.with_name("list.result.csv"))[500] == ("3", f"{PREFIX}/B-2-0001", "已登记", "")


async def test_a_rehearsal_registers_nothing(fake: FakeNode, file: Path) -> None:
    assert await imported(fake, file, "--dry-run") == 0
    assert (fake.records, fake.batches) == ({}, [])
    assert {row[2] for row in results(file.with_name("list.dry-run.csv"))} == {"将登记"}


async def test_a_rehearsal_tells_what_would_come(fake: FakeNode, file: Path) -> None:
    assert await imported(fake, file) == 0
    change(fake)
    fake.suffix = "B-[1-5]"
    rewrite(file, LIST.replace("3,S-3", "3,") + f"6,S,{'x' * 21},x\n7,S,red,x\n")
    assert await imported(fake, file, "--dry-run") == 1
    assert told(file.with_name("list.dry-run.csv")) == [
        (f"{PREFIX}/B-1", "已存在且一致", ""),
        (f"{PREFIX}/B-2", "已存在但不同", "不同的属性：颜色"),
        (f"{PREFIX}/B-3", "将被拒绝", "缺少必填属性款号（styleNo）"),
        (f"{PREFIX}/B-4", "将登记", ""),
        (f"{PREFIX}/B-5", "已存在且一致", ""),
        (f"{PREFIX}/B-6", "将被拒绝", "颜色（colour）长度应在1到20之间，实为21"),
        (f"{PREFIX}/B-7", "将被拒绝", "后缀不符合编码规则"),
    ]


async def test_reconciling_tells_missing_different_and_same(fake: FakeNode, file: Path) -> None:
    assert await imported(fake, file) == 0
    assert await reconciled(fake, file) == 0
    change(fake)
    fake.records[f"{PREFIX}/B-2"]["note"] = "n"
    rewrite(file, LIST + "6,,red,x\n7,S\n")
    assert await reconciled(fake, file, "--restart") == 1
    assert told(file.with_name("list.reconcile.csv")) == [
        (f"{PREFIX}/B-1", "一致", ""),
        (f"{PREFIX}/B-2", "不同", "不同的属性：颜色、备注"),
        (f"{PREFIX}/B-3", "一致", ""),
        (f"{PREFIX}/B-4", "缺失", ""),
        (f"{PREFIX}/B-5", "一致", ""),
        (f"{PREFIX}/B-6", "无法对账", "缺少必填属性款号（styleNo）"),
        ("", "无法对账", "列数不符：应为4列，实为2列"),
    ]
    assert len(fake.created) == 5


@pytest.mark.parametrize("fault", ["busy", "limited", "internal", "expired", "crowded"])
async def test_what_was_not_done_is_done_on_asking_again(fake: FakeNode, file: Path, fault: str) -> None:
    fake.faults.append(fault)
    assert await imported(fake, file) == 0
    assert {row[2:] for row in results(file.with_name("list.result.csv"))} == {("已登记", "")}
    assert len(fake.created) == 5


@pytest.mark.parametrize("fault", ["lost", "dropped"])
async def test_what_may_have_been_done_is_never_left_unknown(
    fake: FakeNode, file: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.faults.append(fault)
    assert await imported(fake, file) == 0
    assert {row[2:] for row in results(file.with_name("list.result.csv"))} == {("已登记", CONFIRMED)}
    assert len(fake.created) == 5
    assert re.search(r"of these confirmed by asking again +5\n", capsys.readouterr().out)


async def test_a_finished_import_sends_nothing_again(
    fake: FakeNode, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await imported(fake, file) == 0
    before = capsys.readouterr().out
    assert await imported(fake, file) == 0
    out, err = capsys.readouterr()
    assert "finished before, nothing was sent" in err
    assert out.split()[:18] == before.split()[:18]
    assert fake.batches == [5]


async def test_it_stops_with_a_sentence_and_goes_on_later(
    fake: FakeNode, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "CHUNK_UNITS", 2)
    monkeypatch.setattr(run, "IN_FLIGHT", 1)
    fake.faults.extend(["", "refused"])
    assert await imported(fake, file) == 2
    assert "the node refuses: 没有权限" in capsys.readouterr().err
    path = file.with_name("list.result.csv")
    assert [row[0] for row in results(path)] == ["2", "3"]
    assert await imported(fake, file) == 0
    assert "going on: 2 were done before" in capsys.readouterr().err
    assert [row[0] for row in results(path)] == ["2", "3", "4", "5", "6"]
    assert fake.batches == [2, 2, 1]
    assert json.loads(journal_path(path).read_bytes())["finished"] is True


async def test_results_of_several_requests_reach_the_disk_together(
    fake: FakeNode, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CHUNK_UNITS", 1)
    monkeypatch.setattr(run, "IN_FLIGHT", 1)
    monkeypatch.setattr(run, "CHUNKS_SAVED", 2)
    journal = journal_path(file.with_name("list.result.csv"))
    known: list[int] = []
    fake.stored = lambda: known.append(json.loads(journal.read_bytes())["units"])
    assert await imported(fake, file) == 0
    assert known == [0, 0, 2, 2, 4]
    assert json.loads(journal.read_bytes())["units"] == 5


async def test_results_are_in_the_order_of_the_file_with_many_requests_under_way(
    fake: FakeNode, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CHUNK_UNITS", 3)
    fake.faults.extend(["busy", "", "lost", "busy", "dropped"])
    assert await imported(fake, file, "--suffix", "B-{id}-{serial}", "--serials", "9") == 0
    assert [row[1] for row in results(file.with_name("list.result.csv"))] == [
        f"{PREFIX}/B-{n}-{serial}" for n in range(1, 6) for serial in range(1, 10)
    ]
    assert len(fake.created) == 45


PROGRAM = """
import argparse, asyncio, sys
from node.importer import run
parser = argparse.ArgumentParser()
run.add_arguments(parser, "import")
sys.exit(asyncio.run(run.run_import(parser.parse_args())))
"""


@pytest.mark.parametrize("fault", ["", "lost", "crowded", "busy", "expired"])
async def test_the_answer_is_understood_alike_whether_it_was_expected_or_read(
    fake: FakeNode, file: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    # Always: requests, results and journal do not hang on how many rows are looked at together.
    rewrite(file, LIST + "".join(f"{n},S-{n},{'red' if n % 3 else ''},x\n" for n in [7, 8, 9, 3, 10, 11]))
    monkeypatch.setattr(table, "BLOCK_ROWS", 3)
    monkeypatch.setattr(table, "STEP_ROWS", 3)
    monkeypatch.setattr(run, "CHUNK_UNITS", 3)
    monkeypatch.setattr(run, "IN_FLIGHT", 1)
    told = []
    for way in (Expansion._together, lambda *_: None):
        monkeypatch.setattr(Expansion, "_together", way)
        fake.records.clear()
        fake.faults.append(fault)
        assert await imported(fake, file, "--restart") == 1
        path = file.with_name("list.result.csv")
        told.append((path.read_bytes(), journal_path(path).read_bytes(), dict(fake.records)))
    together, one_by_one = told
    assert together == one_by_one


ONE_BY_ONE = (LIST, ["--suffix", "B-{id}-{serial}", "--serials", "2000"])
TOGETHER = (
    "id,款号,colour,extra\n" + "".join(f"{n}-{serial},S,red,x\n" for n in range(1, 6) for serial in range(1, 2001)),
    ["--suffix", "B-{id}"],
)


@pytest.mark.parametrize("batch", [1, 4, 7])
@pytest.mark.parametrize(("text", "more"), [ONE_BY_ONE, TOGETHER])
async def test_kill_9_in_the_middle_leaves_no_doubles_and_no_gaps(
    fake: FakeNode, file: Path, text: str, more: list[str], batch: int
) -> None:
    rewrite(file, text)
    options = ["--enterprise", PREFIX, "--template", TEMPLATE, "--url", fake.url, "--username", USERNAME, *more]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(file), *options, stdout=asyncio.subprocess.DEVNULL
    )

    def kill() -> None:
        if len(fake.batches) == batch:
            os.kill(child.pid, signal.SIGKILL)

    fake.stored = kill
    assert await child.wait() == -signal.SIGKILL
    # What the journal does not know yet is cut off, half a line included.
    path = file.with_name("list.result.csv")
    with path.open("ab") as results_file:
        results_file.write(b"9,88.999.1001/half")
    assert await imported(fake, file, *more) == 0
    wanted = [f"{PREFIX}/B-{n}-{serial}" for n in range(1, 6) for serial in range(1, 2001)]
    rows = results(path)
    assert [row[1] for row in rows] == wanted
    assert {row[2] for row in rows} == {"已登记"}
    assert sorted(fake.created) == sorted(wanted)
    # What was stored and whose answer died with the program is confirmed, and said to be so.
    confirmed = sum(row[3] == CONFIRMED for row in rows)
    assert 1000 <= confirmed <= run.CHUNK_UNITS * (run.IN_FLIGHT + run.CHUNKS_SAVED)


async def test_an_interruption_tells_how_to_go_on(
    fake: FakeNode, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = asyncio.create_task(imported(fake, file))
    fake.stored = task.cancel
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "interrupted; the same command goes on from here" in capsys.readouterr().err
    fake.stored = lambda: None
    assert await imported(fake, file) == 0
    assert len(fake.created) == 5


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--serials", "2"], "--serials needs {serial} in the suffix pattern"),
        (["--template", "none"], "the node refuses: 模板不存在"),
        (["--suffix", "{nothing}"], "column “nothing” is not in the header"),
        (["--map", "none.toml"], "cannot read none.toml"),
        (["--password", "wrong"], "the node refuses: 用户名/密码错误！"),
        (["--enterprise", "leather"], "must be the prefix"),
        (["--url", "http://127.0.0.1:1"], "cannot reach http://127.0.0.1:1"),
        (["--url", "", "--data", "nowhere"], "no nowhere/ready.json"),
    ],
)
async def test_what_cannot_run_gets_one_sentence(
    fake: FakeNode, file: Path, options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await imported(fake, file, *options) == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]
    assert not file.with_name("list.result.csv").exists()


async def test_the_input_is_never_overwritten(fake: FakeNode, file: Path) -> None:
    assert await imported(fake, file, "--result", str(file), "--restart") == 2
    assert text_of(file) == LIST


async def test_another_map_is_another_import(fake: FakeNode, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await imported(fake, file, "--map", str(mapping(file, ""))) == 0
    assert await imported(fake, file, "--map", str(mapping(file, '[constants]\nnote = "x"\n'))) == 2
    assert "is of another import (different: 映射文件 · map)" in capsys.readouterr().err


async def test_credentials_come_from_the_ready_file(fake: FakeNode, file: Path) -> None:
    enterprise = {"name": "皮具", "industry": "leather", "prefix": PREFIX, "username": USERNAME, "password": PASSWORD}
    ready = {"http": fake.url, "enterprises": [enterprise]}
    (file.parent / "ready.json").write_text(json.dumps(ready), "utf-8")
    assert (
        await imported(fake, file, "--url", "", "--username", "", "--data", str(file.parent), "--enterprise", "leather")
        == 0
    )


async def test_a_list_without_rows_is_done_at_once(fake: FakeNode, file: Path) -> None:
    rewrite(file, "id,colour\n")
    assert await imported(fake, file) == 0
    assert (results(file.with_name("list.result.csv")), fake.batches) == ([], [])


async def test_answers_for_other_identifiers_are_not_believed(
    fake: FakeNode, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fake, "create", lambda handle, _: {"handle": handle + "0", "msg": "success"})
    assert await imported(fake, file) == 2
    assert "not for the identifiers sent" in capsys.readouterr().err


def test_requests_are_bounded_by_octets_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "CHUNK_OCTETS", 10)
    units = [Unit(2, n, str(n), b"x" * size) for n, size in enumerate([4, 4, 4, 99, 1, 0])]
    assert [[unit.serial for unit in chunk] for chunk in run.chunks(units)] == [[0, 1], [2], [3], [4, 5]]


def test_few_that_came_together_go_along_with_others_and_many_stay_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "CHUNK_UNITS", 4)
    one, few, many = Unit(2, 1, "", b"", "broken"), together(1), together(2)
    assert list(run.chunks([one, few, one, few, one])) == [[one, *few.units, one, *few.units], [one]]
    assert list(run.chunks([one, many, few])) == [[one], many, few.units]
    monkeypatch.setattr(run, "CHUNK_OCTETS", 2 * len(few.body))
    assert list(run.chunks([few, many, few])) == [few, many, few]


def together(rows: int) -> Together:
    return Together(2, ["h"] * rows, b"[" + b",".join([b'{"handle":"h"}'] * rows) + b"]")


async def test_broken_rows_make_no_more_requests_and_entries(
    fake: FakeNode, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CHUNK_UNITS", 100)
    entries: list[int] = []
    append = Results.append

    def counted(kept: Results, lines: Sequence[Line] | Together, tally: Tally, finished: bool = False) -> None:
        entries.append(len(lines))
        append(kept, lines, tally, finished)

    monkeypatch.setattr(Results, "append", counted)
    styles = ['"large"r', *["large"] * 9] * 30
    rewrite(file, "id,款号,colour\n" + "".join(f"{n},{style},red\n" for n, style in enumerate(styles)))
    assert await imported(fake, file) == 1
    assert (fake.batches, entries) == ([90] * 3, [100, 100, 100, 0])
    assert [row for row, _, result, _ in results(file.with_name("list.result.csv")) if result == "已拒绝"] == [
        str(n) for n in range(2, 302, 10)
    ]


@pytest.mark.parametrize("text", ["0", "-1", "x", "20000001", "1.5"])
def test_serials_are_bounded(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed("import", FakeNode(), Path("x"), "--serials", text)
    assert caught.value.code == 2
    assert "1…20000000" in capsys.readouterr().err


def test_reconcile_has_no_rehearsal() -> None:
    with pytest.raises(SystemExit):
        parsed("reconcile", FakeNode(), Path("x"), "--dry-run")
