"""The table of conditions: codes of one kind, both languages, and each of them explained to operators."""

import re
from pathlib import Path

from node.health import CONDITIONS, DATABASE_UNREACHABLE, REDIS_DISTRUSTED, explained

MANUAL = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")


def test_each_has_a_code_of_its_own_and_a_sentence_in_both_languages() -> None:
    assert len({condition.code for condition in CONDITIONS}) == len(CONDITIONS)
    for condition in CONDITIONS:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", condition.code)
        assert re.search(r"[\u4e00-\u9fff]", condition.zh)
        assert re.search(r"[a-z]", condition.en)


def test_only_what_keeps_it_from_answering_makes_a_node_unready() -> None:
    reasons = {condition.code for condition in CONDITIONS if condition.reason}
    assert reasons == {"database_unreachable", "follower_not_caught_up", "worker_silent"}


def test_the_manual_explains_each_as_the_table_does() -> None:
    for condition in CONDITIONS:
        kind = "reason" if condition.reason else "warning"
        assert f"| `{condition.code}` | {kind} | {condition.zh}<br>{condition.en} |" in MANUAL


def test_they_are_told_with_their_sentences() -> None:
    assert explained([]) == []
    told = explained([DATABASE_UNREACHABLE, REDIS_DISTRUSTED])
    assert [each["code"] for each in told] == ["database_unreachable", "redis_distrusted"]
    assert told[0] == {
        "code": "database_unreachable",
        "zh": DATABASE_UNREACHABLE.zh,
        "en": DATABASE_UNREACHABLE.en,
    }
