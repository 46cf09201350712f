"""What one tenure of the voice has in hand: its books, whom it speaks to, and what it needs of its machine.

Nothing is done here.
"""

import asyncio
from dataclasses import dataclass, field

from node.bell import Bell
from node.config import Config
from node.meter import Meter
from node.stamps import Shared
from node.uplink.client import TopLevelNode
from registry.clerk import Clerk


@dataclass(frozen=True, slots=True)
class Around:
    """What of this machine the voice needs. `address`: where the node is resolved, empty: nowhere."""

    config: Config
    machine: str
    shared: Shared
    meter: Meter
    ring: Bell
    changed: asyncio.Event
    address: str
    started: int


@dataclass(frozen=True, slots=True)
class Tenure:
    """What every step is done with. `mail` is set when a message is to be expected."""

    clerk: Clerk
    node: TopLevelNode
    around: Around
    mail: asyncio.Event = field(default_factory=asyncio.Event)
