"""Proves node/importer/problem.py: a sentence in each language, and which one is spoken."""

import pytest

from node.importer.problem import Problem, speaks_chinese


def test_a_problem_has_a_sentence_in_each_language() -> None:
    problem = Problem("文件读不了", "the file cannot be read")
    assert (problem.zh, problem.en, str(problem)) == ("文件读不了", "the file cannot be read", problem.en)


@pytest.mark.parametrize(
    ("environment", "chinese"),
    [
        ({"LANG": "zh_CN.UTF-8"}, True),
        ({"LANG": "en_GB.UTF-8"}, False),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, False),
        ({"LANG": "C", "LC_ALL": "", "LC_MESSAGES": "zh_TW"}, True),
        ({}, False),
    ],
)
def test_the_terminal_is_spoken_to_in_its_language(environment: dict[str, str], chinese: bool) -> None:
    assert speaks_chinese(environment) is chinese
