"""Stands for a worker or a follower under a supervisor: beats, and misbehaves as FAKE_CHILD in the environment says.

silent: beats once. deaf: does not stop when told. short: dies at once. The follower's place sets a generation.
"""

import asyncio
import os
import sys

from node import clock, process
from node.config import Config
from node.stamps import Shared

BEAT_SECONDS = 0.02
"""Pause between two beats: many in the time after which a supervisor takes a child for stuck."""
MANNER = os.environ.get("FAKE_CHILD", "")


async def run(config: Config, place: process.Place) -> None:
    if MANNER == "short":
        sys.exit(3)
    shared = Shared(place.descriptor, config.workers, place.column, place.incarnation)
    if place.column == config.workers:
        shared.set_generation()
    shared.beat(clock.monotonic())
    while True:
        try:
            await asyncio.sleep(BEAT_SECONDS)
        except asyncio.CancelledError:
            if MANNER != "deaf":
                raise
        if MANNER != "silent":
            shared.beat(clock.monotonic())
