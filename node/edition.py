"""The edition of the program a process runs: what supervisor and children must share to share memory and orders.

Only how things lie is told here, not what they mean; `node/process.py` compares.
"""

from hashlib import sha256
from importlib import metadata
from typing import Final

from node import meter, stamps


def _edition() -> str:
    said = (metadata.version("idnode"), stamps.Layout(1).__dict__, stamps.Layout(2).__dict__, meter.layout())
    return sha256(repr(said).encode()).hexdigest()[:16]


EDITION: Final = _edition()
"""Of the program as it was loaded, 16 hexadecimal digits: of its version, and of where each word of the shared memory
lies. Taken when it is loaded, for on the disk another one may lie a minute later."""
