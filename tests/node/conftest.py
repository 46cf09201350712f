"""What tests of the node share: the shared memory of a machine."""

import os
from collections.abc import Iterator

import pytest

from node import stamps


@pytest.fixture
def descriptor() -> Iterator[int]:
    """The shared memory of a machine with one worker, by its file descriptor."""
    made = stamps.create(1)
    yield made
    os.close(made)
