"""Proves node/hypertext.py: languages by literals, and that templates escape what they are given and miss nothing."""

import jinja2
import pytest

from node import hypertext


@pytest.mark.parametrize(
    ("named", "accepted", "expected"),
    [
        (None, "", "zh"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "en-GB,en;q=0.9,zh;q=0.8", "en"),
        (None, "EN", "en"),
        (None, "zh;q=0.2, en;q=0.8", "en"),
        (None, "fr,de;q=0.9", "zh"),
        (None, "ja,en;q=0.5", "en"),
        (None, "en;q=0,fr", "zh"),
        (None, "*", "zh"),
        (None, "english", "zh"),
        (None, ";;;q=,,", "zh"),
        ("en", "zh", "en"),
        ("zh", "en", "zh"),
        ("fr", "en", "en"),
        ("", "en", "en"),
    ],
)
def test_the_language_is_the_named_one_or_the_best_liked(named: str | None, accepted: str, expected: str) -> None:
    assert hypertext.language(named, accepted) == expected


@pytest.mark.parametrize("package", ["node.console", "node.toplevel"])
def test_values_are_escaped_and_names_nobody_gave_are_errors(package: str) -> None:
    templates = hypertext.environment(package)
    assert templates.from_string("{{ given }}").render(given="<b>") == "&lt;b&gt;"
    with pytest.raises(jinja2.UndefinedError):
        templates.from_string("{{ forgotten }}").render()


def test_a_page_runs_nothing_and_loads_nothing_from_elsewhere() -> None:
    policy = dict(rule.split(" ", 1) for rule in hypertext.SAFE["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert set(policy.values()) == {"'none'", "'self'"}
    assert not [name for name in policy if name.startswith("script")]
