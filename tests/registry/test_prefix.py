"""Proves registry/prefix.py: the states of a prefix, and that only one of them is open."""

import pytest

from registry.prefix import PrefixState


@pytest.mark.parametrize(
    ("number", "state", "zh"),
    [
        (0, PrefixState.STOPPED, "停用"),
        (1, PrefixState.ENABLED, "启用"),
        (2, PrefixState.TO_BE_DELETED, "待删除"),
        (3, PrefixState.REFUSED, "被驳回"),
        (4, PrefixState.PENDING, "待审核"),
        (5, PrefixState.IN_REVIEW, "审核中"),
    ],
)
def test_states_by_the_numbers_and_names_of_the_openapi(number: int, state: PrefixState, zh: str):
    assert PrefixState(number) is state
    assert state.zh == zh
    assert state.open is (state is PrefixState.ENABLED)


def test_there_is_no_other_state():
    assert [int(state) for state in PrefixState] == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="6"):
        PrefixState(6)
