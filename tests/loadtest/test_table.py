"""Proves loadtest/table.py: columns stand under each other whatever their words."""

import pytest

from loadtest.table import Table, width

COLUMNS = [("类", "class"), ("每秒", "rate/s")]


def test_words_stand_left_and_figures_right() -> None:
    told = Table(COLUMNS, [["warm 热", "1,000.5"], ["Σ", "7"]]).lines()
    assert told == [
        "类          每秒",
        "class     rate/s",
        "warm 热  1,000.5",
        "Σ              7",
    ]
    assert len({width(line) for line in told}) == 1


def test_more_columns_may_be_words() -> None:
    assert Table(COLUMNS, [["a", "b"]], names=2).lines()[-1] == "a      b     "


def test_a_row_has_a_cell_for_each_column() -> None:
    with pytest.raises(AssertionError):
        Table(COLUMNS, [["alone"]])
