"""How every command here tells: a line on how far it is, and a report in a file. What it tells is said elsewhere."""

import json
import platform
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any


def say(text: str) -> None:
    """A line on how far it is, apart from the result."""
    print(time.strftime("%T"), text, file=sys.stderr, flush=True)


def versions() -> dict[str, str | None]:
    """What measured: this program, Python, the system."""
    return {"loadtest": version("idnode"), "python": platform.python_version(), "system": platform.platform()}


def kept(file: Path | None, document: Mapping[str, Any], page: str = "") -> bool:
    """Writes a report as JSON, and its page beside it as .html, if they are wanted; whether there was no trouble."""
    if file is None:
        return True
    try:
        file.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        if page:
            file.with_suffix(".html").write_text(page, encoding="utf-8")
    except OSError as error:
        say(f"结果没有写成：{error}。 The result could not be written: {error}.")
        return False
    return True
