"""Proves loadtest/tally.py: what processes counted adds up."""

from collections import Counter

from loadtest.response import Kind
from loadtest.tally import EXAMPLES_MOST, Tally


def tally(name: str, seconds: float) -> Tally:
    made = Tally(seconds=seconds, cpu=[0.5], stalled=[0.1], opened=2, refused=1, cold_reached=10)
    line = made.line(name)
    line.sent, line.wrong, line.shed, line.octets = 5, 1, 2, 100
    line.errors[Kind.BUSY] += 1
    for each in (0.001, 0.002, 0.003):
        line.latency.add(each)
    made.late.add(0.5)
    made.example(f"{name} is wrong")
    return made


def test_tallies_add_up() -> None:
    total = Tally()
    for other in (tally("warm", 1.0), tally("warm", 3.0), tally("cold", 2.0)):
        total.merge(other)
    warm = total.lines["warm"]
    assert (warm.sent, warm.answered, warm.wrong, warm.shed, warm.octets) == (10, 6, 2, 4, 200)
    assert warm.errors == Counter({Kind.BUSY: 2})
    assert (total.total.sent, total.total.shed, total.total.answered) == (15, 6, 9)
    assert (total.late.count, total.late.most) == (3, 0.5)
    assert total.stalled == [0.1] * 3
    assert (total.seconds, total.cpu, total.opened, total.refused, total.cold_reached) == (3.0, [0.5] * 3, 6, 3, 10)


def test_few_examples_are_kept() -> None:
    total = Tally()
    for number in range(10):
        total.merge(tally(str(number), 1.0))
    assert total.examples == ["0 is wrong", "1 is wrong", "2 is wrong"]
    assert len(total.examples) == EXAMPLES_MOST
