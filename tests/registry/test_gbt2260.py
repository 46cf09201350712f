"""Proves registry/gbt2260.py: the table is whole, and what it lacks is told apart from what cannot be."""

import pytest

from proto.errors import ProtoError
from registry.gbt2260 import check_region, names


def test_every_division_of_the_table_lies_in_one_of_the_table():
    table = names()
    assert len([code for code in table if code.endswith("0000")]) == 34
    assert {code for code in table if code[:2] + "0000" not in table or code[:4] + "00" not in table} == set()


def test_guangdong_is_there_down_to_its_counties():
    counties = {name for code, name in names().items() if code.startswith("44") and not code.endswith("00")}
    assert {"花都区", "南山区", "顺德区", "陆丰市", "连南瑶族自治县", "南澳县"} <= counties
    assert len(counties) == 122


@pytest.mark.parametrize(
    ("text", "level", "within", "listed"),
    [
        ("440000", "province", "", True),
        ("440100", "city", "440000", True),
        ("440114", "county", "440100", True),
        ("440199", "county", "440100", False),  # a district made next year
        ("449900", "city", "440000", False),
        ("429004", "county", "429000", True),  # a county directly under its province
    ],
)
def test_a_division_newer_than_the_table_is_told_apart(text: str, level: str, within: str, listed: bool):
    assert check_region(text, "orgAddrCounty", level, within) is listed


@pytest.mark.parametrize(
    ("text", "level", "within"),
    [
        ("", "province", ""),
        ("44", "province", ""),
        ("990000", "province", ""),
        ("440100", "province", ""),
        ("440000", "city", ""),
        ("440114", "city", ""),
        ("450100", "city", "440000"),
        ("440100", "county", "440100"),
        ("440304", "county", "440100"),
        ("990114", "county", ""),
        ("44011４", "county", ""),
    ],
)
def test_nonsense_is_refused_naming_the_field(text: str, level: str, within: str):
    with pytest.raises(ProtoError) as refused:
        check_region(text, "orgAddrCounty", level, within)
    assert refused.value.field == "orgAddrCounty"
