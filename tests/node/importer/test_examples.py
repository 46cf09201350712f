"""Proves that docs/import.md and docs/examples say what the program does."""

import argparse
import re
from pathlib import Path

import pytest

from node.importer import client, run, table, units
from node.importer.mapping import bind, read_map
from node.importer.results import CONFIRMED, HEADINGS, Result
from registry import industries
from registry.template import Item, Template

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "import.md").read_text("utf-8")
TEMPLATES = {template.version: template for each in industries.load() for template in each.templates}

ROWS = {
    "leather_goods": "700017,Women,Accessories,Bags,Handbags,Camel,Winter,2026,Casual",
    "vehicles": "900017,Lintong,E5/E5 Pro,2026,Compact Cars,Manual 6-spd,All-Wheel Drive,4.0,1.5,Regular,40.0,30.0",
    "cosmetics": "P800017,Crème de Jour,8017,Yuehe,195.5,Skincare",
}
"""A made-up row of each kind of list."""


def attributes(template: Template) -> tuple[Item, ...]:
    return tuple(item for item in template.items if item.enabled)


@pytest.mark.parametrize("name", ROWS)
def test_an_example_maps_every_column_of_its_list(name: str) -> None:
    path = DOCS / "examples" / f"{name}.toml"
    said = re.search(r"模板 (\S+)。列：(\S+)", path.read_text("utf-8"))
    assert said
    template, header = TEMPLATES[said[1]], tuple(said[2].split(","))
    binding = bind(header, attributes(template), read_map(path))
    assert set(binding.unused) <= {"id"}
    reading = binding.read(tuple(ROWS[name].split(",")))
    values = {item.name: text for item, text in zip(binding.attributes, reading.texts, strict=True) if text}
    assert {item.name for item in template.required} <= values.keys()
    assert template.suffix.admits(binding.handle(reading.cells, "88.999.1", 17).partition("/")[2])
    assert not any(text.endswith(".0") for field, text in values.items() if field in {"cylinders", "highwayMpg"})


@pytest.mark.parametrize("verb", ["import", "reconcile"])
def test_every_option_is_on_the_page(verb: run.Verb) -> None:
    parser = argparse.ArgumentParser(add_help=False)
    run.add_arguments(parser, verb)
    options = [option for action in parser._actions for option in action.option_strings]
    assert options
    assert [option for option in options if f"`{option}" not in PAGE] == []


def test_every_result_and_bound_is_on_the_page() -> None:
    words = [*HEADINGS, *(result.value for result in Result), CONFIRMED, run.FROM_ENVIRONMENT]
    bounds = [table.CELL_CHARACTERS, table.COLUMNS_MOST, units.IDENTIFIERS_MOST, int(client.PATIENCE_SECONDS)]
    words += [f"{bound:,}" for bound in [*bounds, run.CHUNK_UNITS]]
    for language in PAGE.split("\n# Import"):
        assert [word for word in words if word not in language] == []


def test_every_example_is_on_the_page() -> None:
    assert [path.name for path in (DOCS / "examples").glob("*.toml") if f"examples/{path.name}" not in PAGE] == []


def test_the_map_file_of_the_page_is_read(tmp_path: Path) -> None:
    shown = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert len(shown) == 2
    for n, text in enumerate(shown):
        (tmp_path / f"{n}.toml").write_text(text, "utf-8")
        map_ = read_map(tmp_path / f"{n}.toml")
        assert all([map_.suffix, map_.columns, map_.constants, map_.replace, map_.whole])
