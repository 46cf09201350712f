"""Looks into a running worker by py-spy and draws what it does as a flame graph (SVG).

Only processes that a program here has started itself are looked into: it stops them for moments.
"""

import asyncio
import shutil
import sys
from pathlib import Path
from typing import Final

SAMPLES: Final = 200
"""Looks a second: each stops the worker for a fraction of a millisecond."""
PATIENCE: Final = 30.0
"""Seconds beyond its time by which py-spy has drawn."""


class ProfileError(Exception):
    """Nothing could be seen; the text is for people."""


def program() -> str:
    """Where py-spy is: beside this Python, or on the path. Raises ProfileError."""
    found = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if found is None:
        raise ProfileError("没有py-spy：pip install py-spy。 There is no py-spy: pip install py-spy.")
    return found


async def flame_graph(pid: int, seconds: int, file: Path) -> None:
    """Draws into `file` what process `pid` does in the next `seconds`. Raises ProfileError."""
    words = ["record", "--pid", str(pid), "--duration", str(seconds), "--rate", str(SAMPLES), "--output", str(file)]
    process = await asyncio.create_subprocess_exec(
        program(), *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(seconds + PATIENCE):
            output, _ = await process.communicate()
    except TimeoutError:
        raise ProfileError("py-spy没有结束。 py-spy does not end.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = output.decode(errors="replace").strip()[-200:]
        raise ProfileError(f"py-spy看不到进程{pid}：{said}。 py-spy cannot look into process {pid}: {said}.")
