"""Reads the vectors beside it, and makes what tests of keys need in common."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proto.errors import ProtoError
from proto.keys import sm2
from proto.keys.private import PrivateKey

_FOLDER = Path(__file__).parent / "vectors"


def vectors(name: str) -> list[Any]:
    """The lines of a file, each a parameter of its name."""
    rows = [json.loads(line) for line in (_FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines()]
    return [pytest.param(row, id=row["name"]) for row in rows]


def key(name: str) -> dict[str, Any]:
    """The key pair of this name."""
    return next(p.values[0] for p in vectors("keys") if p.values[0]["name"] == name)


def private(name: str) -> PrivateKey:
    """The private half of it."""
    return PrivateKey.read(key(name)["pem"].encode())


def lacks(vector: dict[str, Any]) -> bool:
    """Whether it needs SM2, and this machine has none."""
    return vector.get("needs") == "SM2" and not sm2.available()


def told(ask: Callable[[], Any]) -> Any:
    """What `ask` gives, or the ProtoError it raises: whatever else it raises fails the test."""
    try:
        return ask()
    except ProtoError as error:
        return error
