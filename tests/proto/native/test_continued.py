"""Proves proto/native/continued.py: a listing in parts is told whole, and none is longer than it may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.native.bodies import Listed
from proto.native.continued import NAMES_A_MESSAGE, Joined, parts


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, [0]), (1, [1]), (50, [50]), (51, [50, 1]), (100, [50, 50]), (101, [50, 50, 1])]
)
def test_all_parts_but_the_last_say_that_another_follows(count: int, sizes: list[int]):
    told = list(parts(tuple(map(str, range(count)))))
    assert [len(body.names) for body, _ in told] == sizes
    assert [follows for _, follows in told] == [True] * (len(sizes) - 1) + [False]
    assert NAMES_A_MESSAGE == 50


@given(st.lists(st.text(max_size=5), max_size=200).map(tuple))
def test_what_is_told_is_whole_with_the_last_part(names: tuple[str, ...]):
    joined = Joined(200)
    *before, last = [joined.take(body, follows) for body, follows in parts(names)]
    assert set(before) <= {None}
    assert last == names


def test_a_listing_without_end_is_given_up():
    joined = Joined(100)
    body = Listed(tuple("x" * 50))
    assert joined.take(body, True) is None
    assert joined.take(body, True) is None
    with pytest.raises(ProtoError, match="more than 100 names"):
        joined.take(body, True)
