"""What a test needs and does not find: left out and told, never passed over; with IDNODE_TEST_STRICT=1 it fails."""

from collections.abc import Callable

import pytest

Need = Callable[[object, str], None]


@pytest.fixture
def missing(need: Need, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What is named at the end, of this test alone."""
    told: dict[str, int] = {}
    monkeypatch.setitem(need.__globals__, "_missing", told)  # type: ignore[attr-defined]
    return told


@pytest.mark.parametrize(("strict", "ending"), [(False, pytest.skip.Exception), (True, pytest.fail.Exception)])
def test_what_is_not_there_is_named(
    need: Need,
    program: Callable[[str], str],
    missing: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
    strict: bool,
    ending: type[BaseException],
) -> None:
    monkeypatch.setitem(need.__globals__, "STRICT", strict)  # type: ignore[attr-defined]
    for _ in range(2):
        with pytest.raises(ending, match="a moon"):
            need(None, "a moon")
    with pytest.raises(ending, match="no-such-program"):
        program("no-such-program")
    assert missing == {"a moon": 2, "no-such-program": 1}


def test_what_is_there_is_no_matter(need: Need, program: Callable[[str], str], missing: dict[str, int]) -> None:
    need("found", "anything")
    assert program("sh").endswith("/sh")
    assert missing == {}
