"""Proves node/importer/verify.py: every finding has words; what a node says is read as hostile."""

import pytest

from node.importer import verify
from proto.identifier import Identifier
from proto.trust import Finding
from tests.fakes.other_node import Saying, knows, other_node, says, value

NAME = Identifier.parse("88.1.2/甲")


def test_every_finding_has_words() -> None:
    assert verify.REASONS.keys() == set(Finding)
    assert len(set(verify.REASONS.values())) == len(Finding)


@pytest.mark.parametrize(
    ("saying", "code", "why"),
    [
        (knows(value("http://x/")), 1, "没有签名。 it is not signed."),
        (says(404, {"responseCode": 100, "handle": str(NAME)}), 2, f"没有标识{NAME}。 there is no identifier {NAME}."),
        (says(200, b"<html>"), 2, "cannot be read"),
        (says(400, {"responseCode": 301}), 2, "does not live there"),
    ],
    ids=["unsigned", "absent", "nonsense", "foreign"],
)
async def test_what_a_node_says_is_told(saying: Saying, code: int, why: str) -> None:
    said: list[str] = []
    async with other_node(saying) as made:
        assert await verify.run(made.url, NAME, frozenset(), said.append) == code
    assert why in "\n".join(said)


async def test_a_node_that_is_away_is_named() -> None:
    async with other_node(knows()) as made:
        url = made.url
    said: list[str] = []
    assert await verify.run(url, NAME, frozenset(), said.append) == 2
    assert f"cannot reach {url}" in said[0]
