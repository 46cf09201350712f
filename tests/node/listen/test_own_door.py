"""Proves node/listen/own_door.py: what is wrong with a body is told by the field and its rule, in both languages."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
import pytest

from node.listen.own_door import OwnError, decoded
from registry.rights import Role


class _Part(msgspec.Struct):
    kind: Literal["text", "number"]
    low: float | None = None
    on: bool = False


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    to: str
    role: Role | None = None
    until: datetime | None = None
    parts: tuple[_Part, ...] | None = None
    reason: Annotated[str, msgspec.Meta(min_length=1)] = "x"
    size: Annotated[int, msgspec.Meta(ge=0, le=9)] | None = None


@pytest.mark.parametrize(
    ("body", "field", "zh", "en"),
    [
        (b"{}", "to", "缺少必要的请求参数: to", "Object missing required field `to`"),
        (b'{"to":"x","whom":1}', "whom", "没有参数whom", "Object contains unknown field `whom`"),
        (b'{"to":7}', "to", "to应为文本", "to must be text"),
        (b'{"to":"x","parts":7}', "parts", "parts应为数组", "parts must be an array"),
        (
            b'{"to":"x","parts":[{"kind":"text"},{"kind":"tex"}]}',
            "parts[1].kind",
            "parts[1].kind应为number、text之一",
            "parts[1].kind must be one of number, text",
        ),
        (b'{"to":"x","parts":[{}]}', "parts[0].kind", "缺少必要的请求参数: parts[0].kind", ""),
        (b'{"to":"x","parts":[{"kind":"text","low":"6"}]}', "parts[0].low", "parts[0].low应为数字", ""),
        (b'{"to":"x","parts":[{"kind":"text","on":1}]}', "parts[0].on", "parts[0].on应为true或false", ""),
        (
            b'{"to":"x","role":"boss"}',
            "role",
            f"role应为{'、'.join(Role)}之一",
            f"role must be one of {', '.join(Role)}",
        ),
        (
            b'{"to":"x","until":"2027-12-31"}',
            "until",
            "until应为带时区的时间，例如2027-12-31T16:00:00Z",
            "until must be a time with its zone, such as 2027-12-31T16:00:00Z",
        ),
        (b'{"to":"x","reason":""}', "reason", "reason的长度应不小于1", "reason must be at least 1 in length"),
        (b'{"to":"x","size":10}', "size", "size应不大于9", "size must be at most 9"),
        (b'{"to":"x","size":"many"}', "size", "size应为整数", "size must be a whole number"),
        (b"[]", None, "请求体应为对象", "the body must be an object"),
        (b"{", None, "请求体不是有效的JSON", "Input data was truncated"),
    ],
)
def test_what_is_wrong_with_a_body_is_told_by_field_and_rule(body: bytes, field: str | None, zh: str, en: str) -> None:
    with pytest.raises(OwnError) as caught:
        decoded(body, _Body)
    assert (caught.value.status, caught.value.field, caught.value.zh) == (400, field, zh)
    assert en in caught.value.en
