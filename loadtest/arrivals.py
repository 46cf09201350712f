"""When requests shall start: drawn beforehand from the seed, whether or not earlier ones are answered.

Pure; seconds since the start of a run. Nothing here waits.
"""

from collections.abc import Iterator
from random import Random


def poisson(random: Random, rate: float, seconds: float) -> Iterator[float]:
    """Arrivals of a Poisson process: `rate` a second in the mean, independent of each other, rising, below `seconds`.

    The union of the arrivals of several processes is again one, of their rates' sum: each process draws its own.
    """
    at = random.expovariate(rate)
    while at < seconds:
        yield at
        at += random.expovariate(rate)
