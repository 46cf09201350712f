"""Holds what is written to what is there: head docstrings, paths and settings named in documents, generated pages.

Run as a program (`python tests/house/test_documents.py`) it writes docs/settings.md, docs/metrics.md and the
table of docs/roles.md, which tests keep true.
"""

import ast
import re
from dataclasses import Field, fields
from pathlib import Path

import pytest

from node.config import Config, variable
from node.metrics import METRICS, PREFIX_SERIES_MOST, Metric
from registry.rights import HOLDERS, MEANINGS, OF_PROGRAMS, Right, Role

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "settings.md"
METRICS_PAGE = ROOT / "docs" / "metrics.md"
ROLES_PAGE = ROOT / "docs" / "roles.md"
ROOMS = ("proto", "registry", "node", "loadtest", "tests")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
MODULES = sorted(str(f.relative_to(ROOT)) for room in ROOMS for f in (ROOT / room).rglob("*.py") if f.read_bytes())

NAMED = re.compile(r"`((?:proto|registry|node|loadtest|tests|docs|deploy|\.ci)/[\w./*-]*)`")
LINKED = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
WITHIN = re.compile(r"`([\w./]+(?:\.(?:py|toml|sql)|/))`")
"""In a row of ARCHITECTURE.md that is about a room: what stands in it."""
ROOM_ROW = re.compile(r"^\| `([\w./]+/)`[^|]*\|([^|]*)\|")
SETTING = re.compile(r"\bIDNODE_[A-Z0-9_]+\b")
NO_SETTINGS = {"IDNODE_PASSWORD", "IDNODE_TEST_STRICT"}
"""Variables that other programs of the house read: `import` and the tests."""


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_module_says_at_its_head_what_lives_in_it():
    assert [name for name in MODULES if not ast.get_docstring(ast.parse((ROOT / name).read_text("utf-8")))] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_path_a_document_names_is_there(document: Path):
    text = document.read_text("utf-8")
    missing = [path for path in NAMED.findall(text) if not list(ROOT.glob(path.rstrip("/")))]
    missing += [path for path in LINKED.findall(text) if not (document.parent / path).exists()]
    assert missing == []


def room_rows() -> list[re.Match[str]]:
    """The rows of ARCHITECTURE.md that are about a room."""
    lines = (ROOT / "ARCHITECTURE.md").read_text("utf-8").splitlines()
    return [match for line in lines if (match := ROOM_ROW.match(line))]


def test_the_architecture_names_every_file_of_the_node_itself():
    named = [name for row in room_rows() if row[1] == "node/" for name in WITHIN.findall(row[2])]
    assert sorted(named) == sorted(f.name for f in (ROOT / "node").glob("*.py") if f.name != "__init__.py")


def test_every_file_the_architecture_puts_into_a_room_is_there():
    rows = room_rows()
    assert {row[1] for row in rows} >= {"proto/", "registry/", "node/", "loadtest/history/", "tests/"}
    missing = [
        f"{row[1]}{name}"
        for row in rows
        for name in WITHIN.findall(row[2])
        if not (ROOT / row[1] / name).exists() and not (ROOT / name).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_setting_a_document_names_is_one(document: Path):
    known = {variable(entry.name) for entry in fields(Config)} | NO_SETTINGS
    named = {name for name in SETTING.findall(document.read_text("utf-8")) if not name.endswith("_")}
    assert named - known == set()


def test_every_setting_is_explained_in_both_languages():
    for entry in fields(Config):
        notes = entry.metadata
        assert re.search(r"[\u4e00-\u9fff]", notes["zh"]), entry.name
        assert re.search(r"[a-z]", notes["en"]), entry.name
        assert (notes["low"] is None) == (notes["high"] is None) == (not isinstance(entry.default, int | float)), (
            entry.name
        )


# --- The page ----------------------------------------------------------------------------------------------

HEAD = """# 设置 · Settings

由 `tests/house/test_documents.py` 根据 `node/config.py` 写成，同一测试检查两者一致。
Written from `node/config.py` by `tests/house/test_documents.py`, which also checks that it is true.

每项设置来自环境变量，或来自 `--config FILE.toml`（键为小写、不带 `IDNODE_`，如 `http_port = 8000`）。
命令行参数优先于环境变量，环境变量优先于文件。
不认识的设置或超出范围的值会使启动停止，并用一句话说明原因。🔒 表示机密。

Each setting comes from the environment, or from `--config FILE.toml` (keys in lower case without `IDNODE_`, such as
`http_port = 8000`); the command line wins over the environment, the environment over the file. An unknown setting or a
value out of bounds stops the start with a sentence. 🔒 marks a secret.

| 环境变量 variable | 默认 default | 范围 bounds | 单位 unit | 说明 meaning |
|---|---|---|---|---|
"""


def _row(entry: "Field[object]") -> str:
    notes, default = entry.metadata, entry.default
    bounds = " / ".join(f"`{choice}`" for choice in (*notes["among"], *(f"{s}…" for s in notes["schemes"])))
    if notes["low"] is not None:
        bounds = f"{notes['low']} – {notes['high']}"
    shown = "空 empty" if default == "" else f"`{default}`"
    name = f"`{variable(entry.name)}`" + (" 🔒" if notes["secret"] else "")
    return f"| {name} | {shown} | {bounds} | {notes['unit']} | {notes['zh']}<br>{notes['en']} |"


def page() -> str:
    """docs/settings.md as it must be."""
    return HEAD + "\n".join(map(_row, fields(Config))) + "\n"


def test_the_page_of_settings_is_true():
    assert PAGE.read_text("utf-8") == page(), "write it anew: python tests/house/test_documents.py"


METRICS_HEAD = f"""# 指标 · Metrics

由 `tests/house/test_documents.py` 根据 `node/metrics.py` 写成，同一测试检查两者一致。
Written from `node/metrics.py` by `tests/house/test_documents.py`, which also checks that it is true.

运维端口的 `/metrics` 给出本机全部进程的合计；工作进程死亡不丢失计数，整个节点重启后从 0 开始。
标签只取下列词，绝不含标识、账号或地址；企业前缀最多 {PREFIX_SERIES_MOST} 个，其余计入 `other`。
告警与处置见 [runbook.md](runbook.md)，接线见 [operations.md](operations.md)。

`/metrics` on the operator port tells the totals of all processes of its machine. A worker's death loses no count; a
restart of the whole node begins at 0. Labels hold only the words below, never an identifier, an account or an address;
at most {PREFIX_SERIES_MOST} enterprise prefixes have series of their own, the rest is `other`. What to do when an alert
fires: [runbook.md](runbook.md); how to wire it: [operations.md](operations.md).

| 指标 metric | 类型 type | 标签 labels | 说明 meaning |
|---|---|---|---|
"""


def _metric_row(metric: Metric) -> str:
    labels = "<br>".join(
        f"`{name}`: {', '.join(f'`{value}`' for value in values) or '…'}" for name, values in metric.labels
    )
    kind = {"age": "gauge"}.get(metric.kind, metric.kind)
    return f"| `{metric.name}` | {kind} | {labels} | {metric.zh}<br>{metric.en} |"


def metrics_page() -> str:
    """docs/metrics.md as it must be."""
    return METRICS_HEAD + "\n".join(map(_metric_row, METRICS)) + "\n"


def test_the_page_of_metrics_is_true():
    assert METRICS_PAGE.read_text("utf-8") == metrics_page(), "write it anew: python tests/house/test_documents.py"


def rights_table() -> str:
    """How docs/roles.md must end."""
    head = "| 权限 right | " + " | ".join(f"{role.zh}<br>`{role}`" for role in Role) + " |\n|---|" + "---|" * len(Role)
    return head + "".join(f"\n{_right_row(right)}" for right in Right) + "\n"


def _right_row(right: Right) -> str:
    mark = "●" if right in OF_PROGRAMS else "○"
    zh, en = MEANINGS[right]
    return f"| {zh}<br>{en} | " + " | ".join(mark if role in HOLDERS[right] else "" for role in Role) + " |"


def test_the_table_of_rights_is_true():
    assert ROLES_PAGE.read_text("utf-8").endswith(rights_table()), "write it: python tests/house/test_documents.py"


if __name__ == "__main__":
    told = ROLES_PAGE.read_text("utf-8")
    ROLES_PAGE.write_text(told.partition("| 权限 right |")[0] + rights_table(), "utf-8")
    PAGE.write_text(page(), "utf-8")
    METRICS_PAGE.write_text(metrics_page(), "utf-8")
