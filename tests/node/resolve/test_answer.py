"""`Answer`: what shared caches hold is read back as it was, and Redis finds the version where it looks for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.resolve.answer import Answer, Outcome, Question, Where

LONG = st.integers(0, 2**64 - 1)
WORD = st.integers(0, 2**32 - 1)
SHOWN = st.binary(max_size=300)
OWN = st.just(Where.OWN)
ANSWERS = st.builds(Answer, st.sampled_from(Outcome), LONG, WORD, LONG, WORD, LONG, SHOWN, LONG, where=OWN)


@given(ANSWERS)
def test_octets_are_read_back(answer: Answer) -> None:
    again = Answer.from_octets(answer.to_octets())
    assert again == answer
    assert (answer.where, again.where) == (Where.OWN, Where.CACHED)


def test_two_that_differ_in_where_they_come_from_only_are_equal() -> None:
    one = Answer(Outcome.FOUND, 1, 2, 3)
    other = one._replace(where=Where.HOT)
    assert one == other
    assert (one != other) is False
    assert hash(one) == hash(other)
    assert one != one._replace(version=2)
    assert one != tuple(one)


@pytest.mark.parametrize(("until", "life"), [(0, 60), (99, 0), (100, 0), (101, 1), (159, 59), (160, 60), (2**63, 60)])
def test_it_lives_as_long_as_is_kept_and_as_it_may_be_given(until: int, life: int) -> None:
    assert Answer(Outcome.FOUND, 1, 2, 3, until=until).life(60, 100) == life


@given(ANSWERS)
def test_the_version_stands_first_where_the_guard_in_redis_reads_it(answer: Answer) -> None:
    assert int.from_bytes(answer.to_octets()[:8]) == answer.version


def test_octets_in_shared_caches_stay_what_they_are() -> None:
    answer = Answer(Outcome.FOUND, 3, 7, 21, 9, 22, b"[]", 1_795_000_000)
    assert (
        answer.to_octets()
        == bytes.fromhex("000000000000000300000000000000150000000000000016010000000700000009000000006afd86c0") + b"[]"
    )


def test_numbers_of_outcomes_stay_what_they_are() -> None:
    assert {each.name: each.value for each in Outcome} == {
        "FOUND": 1,
        "ABSENT": 2,
        "GONE": 3,
        "STOPPED": 4,
        "FOREIGN": 5,
        "UNREACHABLE": 6,
    }


def test_the_tag_changes_with_version_and_epochs_only() -> None:
    answer = Answer(Outcome.FOUND, 3, 7, 21, 9, 22, b"[1]")
    assert answer.tag == '"3.21.22"'
    others = [
        Answer(Outcome.FOUND, 4, 7, 21, 9, 22, b"[1]"),
        Answer(Outcome.FOUND, 3, 7, 23, 9, 22, b"[1]"),
        Answer(Outcome.FOUND, 3, 7, 21, 9, 23, b"[1]"),
    ]
    assert len({answer.tag, *(each.tag for each in others)}) == 4


def test_the_tag_of_what_another_node_said_goes_by_what_it_said() -> None:
    one, other = (Answer(Outcome.FOUND, 0, 0, 11, shown=shown) for shown in (b"[1]", b"[2]"))
    assert one.tag != other.tag
    assert one._replace(epoch=12, until=99).tag == one.tag
    assert one.tag.startswith('"')


def test_other_nodes_are_told_nothing_of_what_lives_elsewhere() -> None:
    mine = Answer(Outcome.FOUND, 3, 7, 21, 9, 22, b"[1]")
    assert mine.at_home is mine
    for outcome in (Outcome.FOUND, Outcome.ABSENT, Outcome.UNREACHABLE, Outcome.FOREIGN):
        said = Answer(outcome, 0, 0, 11, shown=b"[1]", until=99)
        assert said.at_home == Answer(Outcome.FOREIGN, 0, 0, 11)


def test_what_is_told_to_other_nodes_is_kept_for_nobody_else() -> None:
    mine, said = Answer(Outcome.FOUND, 3, 7, 21), Answer(Outcome.FOREIGN, 0, 0, 11)
    for onward in (True, False):
        question = Question("88.1/a", 0, b"", b"", True, [], onward=onward)
        assert (question.may_keep(mine), question.may_keep(said)) == (True, onward)
