"""The journal: one line of logfmt an event, on standard error, none below its level."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SAYING = """
import structlog
from node import journal
log = structlog.get_logger("test")  # before it is opened, as modules do
journal.open_(LEVEL)
log.debug("small")
log.info("middle", identifier="88.999.1001/皮料 1", text='two\\nlines "quoted"')
log.info("middle", path="/\\x1b[31m\\r\\x00\\u2028\\x9b red")
log.warning("large")
try:
    raise ValueError("the reason")
except ValueError:
    log.exception("worst")
"""


@pytest.mark.parametrize(
    ("level", "events"),
    [
        ("debug", ["small", "middle", "middle", "large", "worst"]),
        ("info", ["middle", "middle", "large", "worst"]),
        ("warning", ["large", "worst"]),
        ("error", ["worst"]),
    ],
)
def test_one_line_an_event_from_its_level_on(level: str, events: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAYING.replace("LEVEL", repr(level))],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert [line.split("event=")[1].split()[0] for line in lines] == events
    for line in lines:
        assert line.startswith("timestamp=2")
        assert " level=" in line
    assert "the reason" in lines[-1]
    if "middle" in events:
        line = next(line for line in lines if "event=middle" in line)
        assert 'identifier="88.999.1001/皮料 1"' in line
        assert "two\\nlines" in line
        assert not [c for c in done.stderr if not c.isprintable() and c != "\n"]
        assert "\\u001b[31m" in done.stderr


def test_opened_again_every_logger_goes_by_the_new_level() -> None:
    work = """
import structlog
from node import journal
log = structlog.get_logger("test")
for level in ("info", "debug", "info"):
    journal.open_(level)
    log.debug("small", under=level)
"""
    done = subprocess.run([sys.executable, "-c", work], capture_output=True, text=True, cwd=ROOT, check=True)
    assert [line.split()[-1] for line in done.stderr.splitlines()] == ["under=debug"]


@pytest.mark.parametrize("end", ["sys.stderr.close()", "os.close(2); os.dup2(os.open('/dev/full', os.O_WRONLY), 2)"])
def test_a_journal_nobody_can_read_any_more_stops_no_work(end: str) -> None:
    work = f"import os, sys\n{SAYING.replace('LEVEL', repr('info'))}\n{end}\nlog.info('unheard')\nprint('done')"
    done = subprocess.run([sys.executable, "-c", work], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout == "done\n", done.stderr
