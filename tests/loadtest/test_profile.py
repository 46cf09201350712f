"""Proves loadtest/profile.py: what a process does is drawn by names of functions, or a sentence says why not."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest import profile
from loadtest.profile import ProfileError, flame_graph, program

BUSY = "def spinning_round():\n    while True:\n        sum(range(1000))\nspinning_round()"


@pytest.fixture(autouse=True)
def installed(need: Callable[[object, str], None]) -> None:
    try:
        found = program()
    except ProfileError:
        found = ""
    need(found, "py-spy")


def test_what_a_process_does_is_drawn(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY]) as process:
        try:
            file = tmp_path / "flame.svg"
            asyncio.run(flame_graph(process.pid, 1, file))
        finally:
            process.kill()
    drawn = file.read_text()
    assert drawn.startswith("<?xml")
    assert "spinning_round" in drawn


def test_who_is_gone_cannot_be_looked_into(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    with pytest.raises(ProfileError, match="cannot look into"):
        asyncio.run(flame_graph(gone.pid, 1, tmp_path / "flame.svg"))


async def test_without_it_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(profile.shutil, "which", lambda *_, **__: None)
    with pytest.raises(ProfileError, match="pip install"):
        await flame_graph(1, 1, tmp_path / "flame.svg")
