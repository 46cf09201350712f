"""Holds deploy/ to the node: rules and dashboard name only metrics, labels and words of the table, and miss none.

Whether Prometheus fires them is seen with promtool here and with a real Prometheus in tests/whole/test_prometheus.py.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from node.metrics import METRICS, OPEN

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
RULES = (FOLDER / "idnode-alerts.yml").read_text("utf-8")
RULE_TESTS = (FOLDER / "idnode-alerts-test.yml").read_text("utf-8")
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "idnode.json").read_text("utf-8"))
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text("utf-8")
TABLE = {metric.name: metric for metric in METRICS}
ALERTS = re.findall(r"- alert: (\w+)\n", RULES)

SELECTOR = re.compile(r"\b(idnode_\w+?)(?:_(?:bucket|sum|count))?\b(?:\{([^}]*)\})?(?=[^\w])")
MATCHER = re.compile(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"')
PROMETHEUS_S_OWN = {"instance", "job", "le"}


def expressions() -> Iterator[str]:
    """Every expression of rules, their tests and the dashboard."""
    yield from re.findall(r"expr: '(.*)'\n", RULES)
    yield from re.findall(r"\{series: '(.*)', values", RULE_TESTS)
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def selectors(expression: str) -> list[tuple[str, dict[str, list[str]]]]:
    """The metrics an expression names, with the words it wants of each label."""
    found = []
    for name, matchers in SELECTOR.findall(expression + " "):
        whole = name if name in TABLE else re.sub(r"_(bucket|sum|count)$", "", name)
        found.append((whole, {label: words.split("|") for label, words in MATCHER.findall(matchers)}))
    return found


def test_every_metric_label_and_word_is_in_the_table() -> None:
    wrong = []
    for expression in expressions():
        for name, wanted in selectors(expression):
            labels = dict(TABLE[name].labels) if name in TABLE else {}
            strange = wanted.keys() - labels.keys() - PROMETHEUS_S_OWN
            words = {word for label, given in wanted.items() if labels.get(label, OPEN) for word in given}
            known = {word for values in labels.values() for word in values}
            if name not in TABLE or strange or words - known:
                wrong.append((name, strange, words - known))
    assert wrong == []


def test_what_is_wrong_is_seen() -> None:
    assert selectors('rate(idnode_forward_seconds_bucket{le="1", outcome=~"a|b"}[5m]) > idnode_ready') == [
        ("idnode_forward_seconds", {"le": ["1"], "outcome": ["a", "b"]}),
        ("idnode_ready", {}),
    ]


def test_the_dashboard_shows_every_metric() -> None:
    shown = {name for p in DASHBOARD["panels"] for t in p.get("targets", ()) for name, _ in selectors(t["expr"])}
    assert TABLE.keys() - shown == set()


def test_the_dashboard_can_be_used_with_any_data_source_and_in_both_languages() -> None:
    variables = {variable["name"]: variable["type"] for variable in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource": "datasource", "instance": "query"}
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        zh, _, en = panel["title"].partition(" · ")
        assert zh, panel["title"]
        assert re.search("[A-Za-z]", en), panel["title"]
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"
    places = [panel["gridPos"] for panel in panels]
    taken = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(set(taken)) == len(taken), "no panel covers another"
    assert max(x for x, _ in taken) < 24


def test_every_alert_is_explained_in_both_languages_and_has_its_section_in_the_runbook() -> None:
    assert len(set(ALERTS)) == len(ALERTS) > 20
    assert re.findall(r"^## (\w+)$", RUNBOOK, re.M) == ALERTS, "one section each, in the order of the rules"
    blocks = RULES.split("- alert: ")[1:]
    for name, block in zip(ALERTS, blocks, strict=True):
        assert re.search(r"severity: (critical|warning)\n", block), name
        assert f"runbook_url: docs/runbook.md#{name.lower()}\n" in block
        for text in re.findall(r"(?:summary|description): '(.*)'\n", block):
            zh, _, en = text.partition(" · ")
            assert re.search(r"[\u4e00-\u9fff]", zh), name
            assert re.search(r"[a-z]{3}", en), name
    sections = RUNBOOK.split("\n## ")[1:]
    for section in sections:
        assert [line[:6] for line in section.splitlines() if line.startswith("* ")] == ["* 意 · ", "* 看 · ", "* 做 · "]


def test_every_alert_is_seen_to_fire_by_a_test_of_the_rules() -> None:
    assert set(re.findall(r'alertname="(\w+)"', RULE_TESTS)) == set(ALERTS)


@pytest.mark.parametrize(
    "words",
    [
        ("check", "rules", "idnode-alerts.yml"),
        ("check", "config", "prometheus.yml"),
        ("test", "rules", "idnode-alerts-test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_is_content(words: tuple[str, ...], program: Callable[[str], str]) -> None:
    done = subprocess.run(
        [program("promtool"), *words], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
