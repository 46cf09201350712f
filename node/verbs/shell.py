"""What all verbs share: sentences, what is said, and where the node is. Light: every start loads it."""

import argparse
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

DEFAULT_DATA: Final = Path(".idnode")
CONFIG: Final = "设置文件 · settings file (TOML)"
DATA: Final = "数据目录 · data folder (.idnode)"

Run = Callable[[argparse.Namespace], Awaitable[int]]
Verbs = Mapping[str, Callable[[argparse.ArgumentParser], None]]
"""By name, what adds a verb's options, and what it does as the default of `run`."""


class UsageError(Exception):
    """What was asked cannot be done as asked; one sentence, Chinese and English."""


def unreachable(error: Exception) -> UsageError:
    """What is said of a node that does not answer."""
    return UsageError(f"节点无法访问。 The node cannot be reached: {error}")


PIPE_SHUT: Final = 141
"""Exit code where whoever read what is said reads no further, as `head` does: what shells make of SIGPIPE."""


def say(text: str) -> None:
    """Tells people something, at once; ends the program where nobody listens any more."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # What is left unsaid would be tried once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(PIPE_SHUT)


def with_data(made: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Adds --data to a verb."""
    made.add_argument("--data", type=Path, default=DEFAULT_DATA, help=DATA)
    return made


def running(data: Path) -> str:
    """Where the node of that data folder is."""
    try:
        return str(json.loads((data / "ready.json").read_text(encoding="utf-8"))["http"])
    except (OSError, ValueError, LookupError, TypeError):
        raise UsageError(
            f"{data / 'ready.json'}不可读：节点没有在运行？请用--data或--url指明。 "
            f"{data / 'ready.json'} cannot be read: is the node running? Name it with --data or --url."
        ) from None
