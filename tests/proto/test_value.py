"""Proves proto/value.py: a value that exists is within every bound, and types compare as deployed servers do.

How a value is written down is proven with web_json.
"""

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.identifier import fold
from proto.limits import DATA_OCTETS, INDEX_LAST, TTL_DEFAULT, TYPE_CHARACTERS
from proto.value import (
    ADMIN_READ,
    ADMIN_WRITE,
    PERMISSIONS_DEFAULT,
    PUBLIC_READ,
    PUBLIC_WRITE,
    TEMPLATE_ID_INDEX,
    TEMPLATE_INDEX,
    Reference,
    Value,
    names,
    type_matches,
)

LAST = 2**32 - 1


def test_what_is_not_said_is_the_usual():
    value = Value(1, "URL", b"http://example.com/")
    assert (value.ttl, value.timestamp, value.permissions, value.ttl_absolute) == (86_400, 0, 0b1110, False)
    assert value.references == ()
    assert TTL_DEFAULT == 86_400
    assert (TEMPLATE_ID_INDEX, TEMPLATE_INDEX) == (1000, 1001)


def test_permissions_are_the_bits_of_the_protocol():
    assert (ADMIN_READ, ADMIN_WRITE, PUBLIC_READ, PUBLIC_WRITE) == (8, 4, 2, 1)
    assert PERMISSIONS_DEFAULT == 0b1110


@pytest.mark.parametrize(
    "given",
    [
        {"index": 1},
        {"index": INDEX_LAST},
        {"type": ""},
        {"type": "型" * TYPE_CHARACTERS},
        {"data": b""},
        {"data": bytes(DATA_OCTETS)},
        {"ttl": 0},
        {"ttl": LAST},
        {"timestamp": LAST},
        {"permissions": 0},
        {"permissions": 15},
        {"references": (Reference("88.1/x", LAST),)},
    ],
    ids=str,
)
def test_bounds_are_reached(given: dict):
    value = Value(**({"index": 7, "type": "URL", "data": b"x"} | given))
    assert {name: getattr(value, name) for name in given} == given


@pytest.mark.parametrize(
    ("given", "field", "zh", "en"),
    [
        ({"index": 0}, "index", "1到2147483647之间", "from 1 to 2147483647"),
        ({"index": -1}, "index", "1到2147483647之间", "from 1 to 2147483647"),
        ({"index": 2**31}, "index", "1到2147483647之间", "from 1 to 2147483647"),
        ({"type": "x" * 129}, "type", "索引7的类型不能超过128个字符", "type of index 7 has at most 128"),
        ({"data": bytes(65_537)}, "data", "索引7的数据不能超过65536字节", "data of index 7 has at most 65536"),
        ({"ttl": -1}, "value", "索引7的权限、TTL或时间", "of index 7 is out of range"),
        ({"ttl": 2**32}, "value", "索引7的权限、TTL或时间", "of index 7 is out of range"),
        ({"timestamp": -1}, "value", "索引7的权限、TTL或时间", "of index 7 is out of range"),
        ({"timestamp": 2**32}, "value", "索引7的权限、TTL或时间", "of index 7 is out of range"),
        ({"permissions": 16}, "value", "索引7的权限、TTL或时间", "of index 7 is out of range"),
        ({"permissions": -1}, "value", "索引7的权限、TTL或时间", "of index 7 is out of range"),
    ],
    ids=str,
)
def test_bounds_are_not_passed(given: dict, field: str, zh: str, en: str):
    with pytest.raises(ProtoError) as refused:
        Value(**({"index": 7, "type": "URL", "data": b"x"} | given))
    assert refused.value.field == field
    assert zh in refused.value.zh
    assert en in refused.value.en


@pytest.mark.parametrize("permissions", range(16))
def test_a_value_is_public_by_one_bit(permissions: int):
    assert Value(1, "URL", b"", permissions=permissions).public is bool(permissions & 0b0010)


def test_a_value_cannot_be_changed():
    value = Value(1, "URL", b"")
    with pytest.raises(FrozenInstanceError):
        value.data = b"x"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("asked", "type_", "answered"),
    [
        ("URL", "URL", True),
        ("url", "URL", True),
        ("URL", "url", True),
        ("URL", "URL.MIRROR", False),
        ("URL.", "URL.MIRROR", True),
        ("url.", "URL.Mirror.cn", True),
        ("URL.", "URL", True),
        ("URL.", "URL.", True),
        ("URL.", "URLS", False),
        ("URL.MIRROR", "URL", False),
        ("描述", "描述", True),
        ("É", "é", False),
        ("", "URL", False),
    ],
)
def test_which_type_answers_which_question(asked: str, type_: str, answered: bool):
    assert type_matches(asked, type_) is answered


@given(st.text(max_size=20), st.text(max_size=20))
def test_letters_compare_whatever_their_case(type_: str, sub: str):
    assert type_matches(type_, fold(type_))
    assert type_matches(fold(type_), type_)
    assert type_matches(f"{type_}.", f"{fold(type_)}.{sub}")


@given(st.text("uU.x", max_size=6), st.text("uU.x", max_size=6))
def test_a_type_is_asked_for_by_its_names(asked: str, type_: str):
    assert (fold(asked) in names(type_)) is type_matches(asked, type_)
