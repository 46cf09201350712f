"""Proves registry/prefix.py: the states of a prefix, and that only one of them is open."""

import pytest

from registry.prefix import LIFE, Event, PrefixState


@pytest.mark.parametrize(
    ("number", "state", "zh"),
    [
        (0, PrefixState.STOPPED, "停用"),
        (1, PrefixState.ENABLED, "启用"),
        (2, PrefixState.TO_BE_DELETED, "待删除"),
        (3, PrefixState.REFUSED, "被驳回"),
        (4, PrefixState.PENDING, "待审核"),
        (5, PrefixState.IN_REVIEW, "审核中"),
        (6, PrefixState.UNVERIFIED, "待核验"),
    ],
)
def test_states_by_the_numbers_and_names_of_the_openapi(number: int, state: PrefixState, zh: str):
    assert PrefixState(number) is state
    assert state.zh == zh
    assert state.open is (state is PrefixState.ENABLED)


def test_there_is_no_other_state():
    assert [int(state) for state in PrefixState] == [0, 1, 2, 3, 4, 5, 6]
    with pytest.raises(ValueError, match="7"):
        PrefixState(7)


def test_the_openapi_has_no_number_for_what_is_not_verified_yet():
    assert {state.snms for state in PrefixState} == set(range(6))
    assert PrefixState.UNVERIFIED.snms == PrefixState.PENDING


def test_every_state_has_its_row_and_every_event_its_place():
    assert set(LIFE) == set(PrefixState)
    assert {event for row in LIFE.values() for event in row} == set(Event)


def test_every_state_can_be_reached_and_left():
    for state, row in LIFE.items():
        assert state in {then for other, others in LIFE.items() if other is not state for then in others.values()}
        assert set(row.values()) - {state}


def test_a_prefix_opens_by_the_top_level_node_or_its_operator_alone():
    opening = {event for row in LIFE.values() for event, then in row.items() if then.open}
    assert opening == {Event.APPROVED, Event.RESUMED, Event.OPENED}


def test_the_way_from_an_application_to_the_end():
    state = PrefixState.UNVERIFIED
    way = [Event.NOT_VERIFIED, Event.APPLIED, Event.VERIFIED, Event.REVIEWED, Event.APPROVED, Event.STOPPED]
    for event in (*way, Event.GIVEN_UP, Event.STOPPED, Event.OPENED):
        state = LIFE[state][event]
    assert state is PrefixState.ENABLED
