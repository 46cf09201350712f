"""Proves proto/iiidap.py: what every answer carries, and which names are the same."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.iiidap import NAME_CHARACTERS, Pattern, answer, failed, folded, link, remark


def test_what_every_answer_carries() -> None:
    notice = remark("帮助", "一", "二", links=[link("/iiidap/help", "help")])
    assert json.loads(answer({"identifier": "88.999"}, notice)) == {
        "iiidapConformance": ["iiidap_level_0"],
        "lang": "zh-CN",
        "notices": [
            {
                "title": "帮助",
                "description": ["一", "二"],
                "links": [{"href": "/iiidap/help", "rel": "help", "type": "application/iiidap+json"}],
            }
        ],
        "identifier": "88.999",
    }


def test_what_an_error_says() -> None:
    told = json.loads(failed(404, "Not Found", "没有", "none"))
    assert told["errorCode"] == 404
    assert (told["title"], told["description"]) == ("Not Found", ["没有", "none"])
    assert told["iiidapConformance"] == ["iiidap_level_0"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("ＡＢＣ公司", "abc公司"), ("STRASSE", "straße"), ("Ⅳ", "iv"), ("e\u0301", "É"), ("ﬁrm", "FIRM"), ("㈱", "(株)")],
)
def test_names_that_are_the_same(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@given(st.text(max_size=20))
def test_what_is_folded_stays_so(name: str) -> None:
    assert folded(folded(name)) == folded(name)


@pytest.mark.parametrize(
    ("given", "fits", "not_"),
    [
        ("云岫*", ["云岫", "云岫皮具"], ["大云岫", ""]),
        ("YUN*", ["yunxiu", "yun"], ["yu"]),
        ("云岫", ["云岫"], ["云岫皮具"]),
        ("a b*", ["a bc"], ["ab"]),
    ],
)
def test_which_names_a_pattern_fits(given: str, fits: list[str], not_: list[str]) -> None:
    pattern = Pattern.parse(given)
    assert pattern is not None
    assert [pattern.fits(name) for name in (*fits, *not_)] == [True] * len(fits) + [False] * len(not_)


@pytest.mark.parametrize("given", ["*", "**", "*a", "a*b", "a**", "*a*", "ａ＊＊"])
def test_patterns_that_are_not_supported(given: str) -> None:
    assert Pattern.parse(given) is None


@pytest.mark.parametrize("given", ["", "x" * (NAME_CHARACTERS + 1)])
def test_what_is_no_name(given: str) -> None:
    with pytest.raises(ProtoError, match="1 to 255"):
        Pattern.parse(given)
