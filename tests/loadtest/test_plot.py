"""Proves loadtest/plot.py: values stand where they should, ticks are round, names cannot become markup."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.plot import (
    BAR_LEFT,
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    SCALES,
    TOP,
    WIDTH,
    Axis,
    Bar,
    Bars,
    Line,
    Plot,
    _Placed,
    shown,
)

X, Y = Axis("秒", "seconds", "s"), Axis("每秒", "a second")


def texts(svg: str) -> list[str]:
    """The words of a drawing, which must be well-formed."""
    return [each.text or "" for each in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def places(svg: str) -> list[tuple[float, float]]:
    """Where the points of the first line stand."""
    found = re.search(r'<polyline[^>]*points="([^"]*)"', svg)
    assert found
    return [tuple(map(float, pair.split(","))) for pair in found[1].split()]  # type: ignore[misc]


def test_a_line_goes_from_corner_to_corner() -> None:
    svg = Plot("甲", "a", X, Y, [Line("one", [(0.0, 0.0), (5.0, 50.0), (10.0, 100.0)])]).svg()
    left, middle, right = places(svg)
    assert left == (LEFT, HEIGHT - BOTTOM)
    assert right == (WIDTH - RIGHT, TOP)
    assert middle == pytest.approx(((left[0] + right[0]) / 2, (left[1] + right[1]) / 2))
    assert {"0", "2", "4", "6", "8", "10", "20", "100"} <= set(texts(svg))
    assert "秒 seconds · s" in texts(svg)


def test_percentiles_have_as_much_room_for_each_nine() -> None:
    axis = _Placed.of(Axis("", "", scale="percentile"), [0.5, 0.999], 0, 300)
    assert [axis(share) for share in (0.0, 0.9, 0.99, 0.999)] == [0, 100, 200, 300]
    assert [axis.told(tick) for tick in axis.ticks] == ["0 %", "50 %", "90 %", "99 %", "99.9 %"]


def test_a_logarithmic_axis_has_as_much_room_for_each_power() -> None:
    axis = _Placed.of(Axis("", "", scale="log"), [0.1, 10.0], 0, 200)
    assert [axis(value) for value in (0.1, 1.0, 10.0)] == [0, 100, 200]
    assert [axis.told(tick) for tick in axis.ticks] == ["0.1", "0.2", "0.5", "1", "2", "5", "10"]
    wide = _Placed.of(Axis("", "", scale="log"), [0.01, 1000.0], 0, 200)
    assert len(wide.ticks) == 6


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.20014928969852425], ["0.2", "0.3", "0.4"]),
        ([0.1001, 0.2002], ["0.12", "0.14", "0.16", "0.18", "0.2"]),
        ([0.10005, 0.10006], ["0.1", "0.2"]),
        ([0.101, 0.107], ["0.102", "0.104", "0.106"]),
    ],
)
def test_a_logarithmic_axis_has_ticks_within_it_however_short_it_is(values: list[float], ticks: list[str]) -> None:
    axis = _Placed.of(Axis("", "", scale="log"), values, 0, 200)
    assert all(0 <= axis(value) <= 200 for value in axis.ticks)
    assert [axis.told(tick) for tick in axis.ticks] == ticks


@example("log", [0.20014928969852425])
@given(
    st.sampled_from(sorted(SCALES)),
    st.lists(st.floats(1e-6, 0.999999), min_size=1, max_size=20),
)
def test_everything_stands_within_the_drawing(scale: str, values: list[float]) -> None:
    axis = _Placed.of(Axis("", "", scale=scale), values, LEFT, WIDTH)
    assert all(LEFT <= axis(value) <= WIDTH for value in [*values, *axis.ticks])
    assert len(axis.ticks) <= 20


def test_a_name_is_no_markup() -> None:
    lines = [Line("<b>&", [(1.0, 1.0)]), Line("two", [(2.0, 3.0)])]
    plot = Plot("<", '"', Axis("<i>", "x"), Y, lines)
    root = ElementTree.fromstring(plot.svg())
    assert "<b>&" in "".join(root.itertext())
    assert "<i> x" in texts(plot.svg())
    assert plot.legend() == ["<b>&", "two"]


def test_nothing_is_drawn_of_nothing() -> None:
    assert Plot("甲", "a", X, Y, [Line("none", [])]).svg() == ""
    assert Bars("甲", "a", [], 1.0, "").svg() == ""


def test_bars_begin_at_zero_and_tell_what_was_promised() -> None:
    svg = Bars("甲", "a", [Bar("hot", 0.5, 0.4, 0.6, 0.8), Bar("cold", 0.25, 0.2, 0.3)], 1.0, "promised").svg()
    root = ElementTree.fromstring(svg)
    first, second = root.iter("{http://www.w3.org/2000/svg}rect")
    assert float(first.get("x", "")) == BAR_LEFT
    assert float(first.get("width", "")) == pytest.approx((WIDTH - RIGHT - BAR_LEFT) / 2, abs=0.2)
    assert float(second.get("width", "")) == pytest.approx((WIDTH - RIGHT - BAR_LEFT) / 4, abs=0.2)
    marks = [each for each in root.iter("{http://www.w3.org/2000/svg}line") if each.get("class") == "mark"]
    assert [float(mark.get("x1", "")) for mark in marks] == [BAR_LEFT + 0.8 * (WIDTH - RIGHT - BAR_LEFT)]
    assert {"hot", "cold", "0.50", "0.25"} <= set(texts(svg))


def test_figures_are_short() -> None:
    assert [shown(value) for value in (0, 0.12345, 12.345, 123.45, 1234567.8)] == [
        "0",
        "0.123",
        "12.3",
        "123",
        "1,234,568",
    ]
