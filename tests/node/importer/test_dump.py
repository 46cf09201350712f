"""Dumps of other servers: what is read out of JSON lines and batch files, what is refused and why, and the whole road
into a node and back, field by field.
"""

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.importer import run
from node.importer.dump import open_dump
from node.importer.problem import Problem
from node.importer.units import Repeats, Tally, Unit
from proto.limits import VALUES_PER_RECORD
from tests.fakes.in_process import PASSWORD, Node, node
from tests.fakes.small_registry import PREFIX

BATCH = f"""\ufeffAUTHENTICATE PUBKEY:300:0.NA/{PREFIX}
/home/op/key.bin|CREATE

CREATE {PREFIX}/A
100 HS_ADMIN 86400 1110 ADMIN 300:111111111111:0.NA/{PREFIX}
1 URL 3600 1110 UTF8 https://example.com/a b
200 HS_VLIST 86400 1100 LIST 300:0.NA/{PREFIX};301:0.NA/1
2 EMAIL 86400 1100 UTF8

DELETE {PREFIX}/OLD
CREATE {PREFIX}/B
1 URL 86400 1110 UTF8 b
"""


def read(path: Path, content: str | bytes) -> list[Unit]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with open_dump(path) as dump:
        return list(dump.units(PREFIX, Repeats(), Tally()))


def shown(unit: Unit) -> Any:
    return json.loads(unit.body)


def test_a_batch_file_is_read_value_by_value(tmp_path: Path) -> None:
    first, other, second = read(tmp_path / "b.txt", BATCH)
    assert (first.row, first.identifier) == (4, f"{PREFIX}/A")
    admin = {"handle": f"0.NA/{PREFIX}", "index": 300, "permissions": "1" * 12}
    group = [{"index": 300, "handle": f"0.NA/{PREFIX}"}, {"index": 301, "handle": "0.NA/1"}]
    assert [(v["index"], v["type"], v["ttl"], v["permissions"], v["data"]) for v in shown(first)["values"]] == [
        (100, "HS_ADMIN", 86400, "1110", {"format": "admin", "value": admin}),
        (1, "URL", 3600, "1110", {"format": "string", "value": "https://example.com/a b"}),
        (
            200,
            "HS_VLIST",
            86400,
            "1100",
            {"format": "vlist", "value": group},
        ),
        (2, "EMAIL", 86400, "1100", {"format": "string", "value": ""}),
    ]
    assert (other.row, other.refusal) == (10, "只读取CREATE语句，不是DELETE")
    assert (second.row, second.identifier, second.refusal) == (11, f"{PREFIX}/B", "")


def test_no_record_is_lost_where_the_empty_line_was_left_out(tmp_path: Path) -> None:
    units = read(
        tmp_path / "b.txt", f"AUTHENTICATE SECKEY:301:0.NA/1\nsecret\nCREATE {PREFIX}/A\n1 URL 1 1110 UTF8 a\n"
    )
    assert [(unit.row, unit.identifier, len(shown(unit)["values"])) for unit in units] == [(3, f"{PREFIX}/A", 1)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 URL", "第2行应为"),
        ("1 URL x 1110 UTF8 a", "第2行应为"),
        ("1 URL 86400 1110 FILE /etc/passwd", "第2行的FILE"),
        ("1 HS_ADMIN 86400 1110 ADMIN x:111111111111:h", "第2行的ADMIN"),
        ("1 HS_ADMIN 86400 1110 ADMIN 1:1:h", "permissions"),
        ("1 HS_VLIST 86400 1110 LIST 1", "第2行的LIST"),
        ("1 URL 86400 11 UTF8 a", "permissions"),
        ("9999999999 URL 86400 1110 UTF8 a", "索引"),
        ("", "values应为"),
    ],
)
def test_a_line_that_cannot_be_read_refuses_its_record_and_no_other(tmp_path: Path, line: str, said: str) -> None:
    content = f"CREATE {PREFIX}/A\n{line}\n\nCREATE {PREFIX}/B\n1 URL 86400 1110 UTF8 b\n"
    refused, fine = read(tmp_path / "b.txt", content)
    assert said in refused.refusal
    assert (refused.body, fine.refusal) == (b"", "")


def test_octets_that_are_no_text_refuse_their_record(tmp_path: Path) -> None:
    content = f"CREATE {PREFIX}/A\n1 URL 86400 1110 UTF8 ".encode() + b"\xff\n\nCREATE x/B\n"
    assert [unit.refusal[:6] for unit in read(tmp_path / "b.txt", content)] == ["第2行：这一", "标识的前缀是"]


def test_lines_of_json_are_read_one_by_one(tmp_path: Path) -> None:
    value = {"index": 1, "type": "URL", "data": {"format": "string", "value": "a"}}
    record = {"responseCode": 1, "handle": f"{PREFIX}/A", "values": [value]}
    lines = [
        json.dumps(record),
        "",
        json.dumps(record | {"handle": f"{PREFIX}/a/B", "values": [value] * (VALUES_PER_RECORD + 1)}),
        json.dumps({"responseCode": 100, "handle": f"{PREFIX}/C"}),
        "[" * 100_000,
        '{"handle":"\\ud800","values":[]}',
        json.dumps(record),
        json.dumps(record | {"handle": 7}),
        json.dumps(record | {"handle": "88.1.1/A"}),
        json.dumps(record | {"handle": f"{PREFIX}/D", "values": [value | {"data": {"format": "site", "value": 7}}]}),
    ]
    units = read(tmp_path / "d.ndjson", "\n".join(lines))
    assert [unit.row for unit in units] == [1, 3, 4, 5, 6, 7, 8, 9, 10]
    said = [unit.refusal for unit in units]
    assert (said[0], [bool(each) for each in said[1:]]) == ("", [True] * 8)
    assert said[5] == "与第1行的标识重复"
    assert shown(units[0]) == {"handle": f"{PREFIX}/A", "values": [value]}


@settings(deadline=None)  # it writes files
@given(
    st.lists(
        st.sampled_from([b"CREATE 88.999.1001/A", b"1 URL 86400 1110 UTF8 a", b"", b"\xff", b"x", b"AUTHENTICATE"])
    )
)
def test_any_lines_end_in_units_and_none_is_lost(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    units = read(tmp_path_factory.getbasetemp() / "any.txt", b"\n".join(lines))
    assert all(bool(unit.body) != bool(unit.refusal) for unit in units)
    assert [unit.row for unit in units] == sorted(unit.row for unit in units)


def test_a_file_that_cannot_be_opened_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem), open_dump(tmp_path / "nothing"):
        pass


# -- into a node and back


def parsed(made: Node, file: Path, *options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    run.add_arguments(parser, "import")
    access = ["--url", str(made.client.make_url("")), "--username", "leather", "--password", PASSWORD]
    return parser.parse_args([str(file), "--enterprise", PREFIX, *access, *options])


def told(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [row[1:3] for row in csv.reader(file)][1:]


def value(index: int, type_: str, data: dict[str, Any], **more: Any) -> dict[str, Any]:
    usual = {"ttl": 86400, "timestamp": "2019-05-06T07:08:09Z"}
    return {"index": index, "type": type_, "data": data} | usual | more


async def test_what_moves_in_is_read_back_as_it_was_as_far_as_its_bits_say(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    admin = {"handle": f"0.NA/{PREFIX}", "index": 300, "permissions": "010011110011"}
    values = [
        value(1, "URL", {"format": "string", "value": "https://e.cn/é"}, ttl=3600),
        value(2, "EMAIL", {"format": "string", "value": "张三"}, permissions="1100"),
        value(
            7,
            "BIN",
            {"format": "base64", "value": "/w=="},
            ttl="2030-01-01T00:00:00Z",
            references=[{"handle": "0.NA/88", "index": 3}],
        ),
        value(100, "HS_ADMIN", {"format": "admin", "value": admin}, permissions="1111"),
        value(2000, "styleNo", {"format": "string", "value": "x"}),
    ]
    file = tmp_path / "dump.ndjson"
    file.write_text(json.dumps({"handle": f"{PREFIX}/A", "values": values}) + f'\n{{"handle":"{PREFIX}/B"}}\n', "utf-8")
    async with node(database) as made:
        assert await run.run_import(parsed(made, file, "--dry-run")) == 1
        assert told(tmp_path / "dump.dry-run.csv") == [[f"{PREFIX}/A", "将登记"], [f"{PREFIX}/B", "将被拒绝"]]
        assert await run.run_import(parsed(made, file)) == 1
        assert told(tmp_path / "dump.result.csv") == [[f"{PREFIX}/A", "已登记"], [f"{PREFIX}/B", "已拒绝"]]
        status, answer = await made.call("GET", f"/api/handles/{PREFIX}/A", who=None)
        assert (status, answer["values"]) == (200, [v for v in values if v["index"] != 2])
        assert await run.run_import(parsed(made, file, "--restart")) == 1
        assert told(tmp_path / "dump.result.csv")[0] == [f"{PREFIX}/A", "已存在且一致"]
        file.write_text(file.read_text("utf-8").replace('"1100"', '"1110"'), "utf-8")
        assert await run.run_import(parsed(made, file, "--dry-run")) == 1
        assert told(tmp_path / "dump.dry-run.csv")[0] == [f"{PREFIX}/A", "已存在但不同"]
        assert await run.run_import(parsed(made, file, "--map", "m.toml")) == 2


async def test_a_batch_file_moves_in(database: str, tmp_path: Path) -> None:
    file = tmp_path / "batch.txt"
    file.write_text(BATCH, "utf-8")
    async with node(database) as made:
        assert await run.run_import(parsed(made, file)) == 1
        assert [row[1] for row in told(tmp_path / "batch.result.csv")] == ["已登记", "已拒绝", "已登记"]
        _, answer = await made.call("GET", f"/api/handles/{PREFIX}/A", who=None)
        assert [value["index"] for value in answer["values"]] == [1, 100]
