"""A nursery of a process of its own: one of the tests' has threads and a loop, and cannot be forked."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from node.nursery import Nursery

ROOT = Path(__file__).parents[2]
PROGRAM = """
import socket, sys
from node import nursery
nursery.stand(int(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])), sys.argv[3:])
"""


@asynccontextmanager
async def own_nursery(*modules: str, kind: type[Nursery] = Nursery) -> AsyncIterator[Nursery]:
    """Like Nursery.opened."""
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    words = [sys.executable, "-c", PROGRAM, str(os.getpid()), str(theirs.fileno()), *modules]
    with control:
        with theirs:
            running = await asyncio.create_subprocess_exec(*words, pass_fds=[theirs.fileno()], cwd=ROOT)
        try:
            yield kind(control, running.pid)
        finally:
            with suppress(ProcessLookupError):
                running.kill()
            await running.wait()
