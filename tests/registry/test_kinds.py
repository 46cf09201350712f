"""Proves registry/kinds.py: what each type takes, how it is said, and which attributes are badly made."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.kinds import CHOICES_MOST, COUNT_MOST, PICTURES, Kind, flaws, said
from registry.template import Item


def item(**rules: Any) -> Item:
    return Item(2000, "a", "甲", **rules)


@pytest.mark.parametrize(
    ("rules", "takes", "not_"),
    [
        ({}, ["x", " ", "；;"], []),
        ({"choices": ("红", "黑")}, ["红", "黑"], ["白", "红;黑", "红 "]),
        ({"choices": ("红", "黑"), "count": 2}, ["红", "红;黑", "红; 黑"], ["红;白", "红;;", "红;黑;红"]),
        ({"kind": "number"}, ["1", "-1.5", "+.5", "0001", "9" * 38], ["1e3", "inf", "nan", "１", "1,5", "1 ", "--1"]),
        ({"low": 0.2, "high": 8}, ["0.2", "8", "8.0"], ["0.19", "8.01", "-1"]),
        ({"kind": "number", "accuracy": 2}, ["1", "1.", "1.25"], ["1.255", "1.250"]),
        ({"kind": "number", "accuracy": 0}, ["7", "-7"], ["7.5"]),
        ({"kind": "number", "choices": ("10", "20")}, ["10"], ["15", "10.0"]),
        ({"kind": "date"}, ["2026-02-28", "2024-02-29"], ["2026-02-29", "20260228", "2026-W01-1", "2026-2-8", "今天"]),
        ({"kind": "date", "since": "2020-01-01"}, ["2020-01-01"], ["2019-12-31"]),
        ({"kind": "date", "until": "2026-12-31"}, ["2026-12-31"], ["2027-01-01"]),
        ({"kind": "reference"}, ["88.1/A", "10.1000/1", "88.1/A;B"], ["A", "88.1/", "/A", "88 .1/A"]),
        ({"kind": "reference", "count": 2}, ["88.1/A", "88.1/A;88.1/B"], ["88.1/A;", "88.1/A;B", ";"]),
        ({"kind": "file"}, ["f/2026/a", "https://a.cn/x.pdf"], ["a b", "a;b", "x" * 1025, "a\x00"]),
        ({"kind": "file", "extensions": ("pdf", "doc")}, ["a.pdf", "a.DOC", "h://a/b.pdf?x=.y"], ["a.exe", "pdf", "a"]),
        ({"kind": "file", "extensions": ("pdf",), "count": 2}, ["a.pdf;b.pdf"], ["a.pdf;b.doc", "a.pdf;b.pdf;c.pdf"]),
        ({"kind": "picture"}, ["a.jpg", "a.PNG"], ["a.pdf", "a"]),
        ({"kind": "picture", "extensions": ("png",)}, ["a.png"], ["a.jpg"]),
    ],
)
def test_what_each_type_takes(rules: dict[str, Any], takes: list[str], not_: list[str]):
    made = item(**rules)
    assert [text for text in takes if not made.takes(text)] == []
    assert [text for text in not_ if made.takes(text)] == []
    assert list(flaws(made)) == []


@pytest.mark.parametrize(
    ("rules", "zh", "en"),
    [
        ({"kind": "number"}, "数字", "a number"),
        ({"low": 0.2, "high": 8}, "0.2到8之间的数字", "a number from 0.2 to 8"),
        ({"low": 1}, "不小于1的数字", "a number of at least 1"),
        ({"high": 1}, "不大于1的数字", "a number of at most 1"),
        (
            {"low": 1, "accuracy": 2},
            "不小于1、小数点后最多2位的数字",
            "a number of at least 1 with at most 2 digits after the point",
        ),
        ({"kind": "number", "choices": ("1", "2")}, "1、2之一的数字", "a number, one of 1, 2"),
        ({"choices": ("红", "黑")}, "红、黑之一", "one of 红, 黑"),
        (
            {"choices": tuple(map(str, range(12)))},
            "0、1、2、3、4、5、6、7、8、9等12项之一",
            "one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …",
        ),
        ({"kind": "date"}, "写作yyyy-MM-dd的日期", "a date written yyyy-MM-dd"),
        (
            {"kind": "date", "since": "2020-01-01", "until": "2021-01-01"},
            "不早于2020-01-01、不晚于2021-01-01、写作yyyy-MM-dd的日期",
            "a date written yyyy-MM-dd not before 2020-01-01 and not after 2021-01-01",
        ),
        ({"kind": "reference"}, "标识（前缀/后缀）", "an identifier (prefix/suffix)"),
        (
            {"kind": "file", "extensions": ("pdf",), "count": 3},
            "扩展名为pdf的文件的地址，不含空格和“;”，最多3个，以“;”分隔",
            "where a file is ending in pdf, without blanks and “;”, at most 3 joined by “;”",
        ),
        ({"count": 2}, "文本，最多2个，以“;”分隔", "text, at most 2 joined by “;”"),
    ],
)
def test_what_it_must_be_is_said(rules: dict[str, Any], zh: str, en: str):
    assert said(item(**rules)) == (zh, en)


def test_what_was_made_before_there_were_types_has_one():
    assert item(low=1).kind == item(high=1).kind == "number"
    old = item(reference="leather-batch")
    assert (old.kind, old.count) == ("reference", COUNT_MOST)
    assert item(kind="reference", reference="leather-batch").count == 1
    assert item().kind == "text"


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"kind": "date", "low": 1}, "low"),
        ({"low": 2, "high": 1}, "low"),
        ({"accuracy": 2}, "accuracy"),
        ({"kind": "number", "accuracy": 16}, "accuracy"),
        ({"since": "2026-01-01"}, "since"),
        ({"kind": "date", "since": "2026-02-30"}, "since"),
        ({"kind": "date", "until": "soon"}, "until"),
        ({"kind": "date", "since": "2026-02-02", "until": "2026-02-01"}, "since"),
        ({"kind": "date", "choices": ("2026-01-01",)}, "choices"),
        ({"choices": ("a", "a")}, "choices"),
        ({"choices": ("",)}, "choices"),
        ({"choices": ("a;b",), "count": 2}, "choices"),
        ({"choices": ("x" * 65,), "most": 300}, "choices"),
        ({"choices": ("ab",), "most": 1}, "choices"),
        ({"choices": tuple(map(str, range(CHOICES_MOST + 1)))}, "choices"),
        ({"low": 5, "choices": ("4",)}, "choices"),
        ({"extensions": ("pdf",)}, "extensions"),
        ({"kind": "file", "extensions": (".pdf",)}, "extensions"),
        ({"count": 0}, "count"),
        ({"count": COUNT_MOST + 1}, "count"),
        ({"kind": "date", "reference": "bag"}, "reference"),
        ({"existing": True}, "existing"),
        ({"unique": True, "count": 2}, "unique"),
    ],
)
def test_a_badly_made_attribute_is_told_by_its_field(rules: dict[str, Any], field: str):
    assert field in [flaw[0] for flaw in flaws(item(**rules))]


@given(st.sampled_from(get_args(Kind)), st.text(max_size=30), st.integers(1, 3))
def test_no_text_breaks_a_type(kind: Any, text: str, count: int):
    made = item(kind=kind, count=count)
    assert made.takes(text) in {True, False}
    assert all(said(made))


def test_pictures_are_files_of_known_endings():
    assert all(item(kind="picture").takes(f"a.{ending}") for ending in PICTURES)
