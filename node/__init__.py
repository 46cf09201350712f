"""What runs: doors, caches, follower, supervisor, embedded servers, command line."""

import gc
from typing import Final

GARBAGE: Final = (50_000, 20, 50)
"""When cycles are looked for: after so many new containers, then every so many looks one generation deeper. At Python's
own 700 a batch of 1000 rows is walked through again and again, two fifths of a worker's time, and a sixth of a start
goes into it; nothing on our roads makes cycles but an exception now and then."""

gc.set_threshold(*GARBAGE)
