"""The rules a history must keep, and what the judge says of one that does not. Pure.

How each rule is checked is said in line.py, streams.py and judge.py.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from loadtest.bilingual import Bilingual
from loadtest.history.operation import Operation

SHOWN_MOST: Final = 200
"""Violations kept with their operations; later ones are only counted: nobody reads more than these."""


class Rule(Bilingual):
    """What is promised, in Chinese and in English."""

    LOST = ("已确认的写入必须存在", "every acknowledged write is there")
    HALF = ("写入不得只有一半", "no write is half there")
    UNWRITTEN = ("只能看到写过的内容", "nothing is there that nobody wrote")
    REFUSED_THERE = ("被拒绝的写入不得存在", "no refused write is there")
    TWICE = ("一次写入只生效一次", "a write takes effect once")
    KIND = ("版本的类别与写入相符", "a version is of the kind its write asked for")
    ORDER = ("先确认的写入版本在前", "a write acknowledged before another began has the earlier version")
    GROW = ("版本号逐一递增", "versions only grow, one by one")
    STALE_HERE = ("本机读取不旧于已确认的写入", "no read is older than a write acknowledged on its machine")
    WENT_BACK = ("本机读取不旧于更早的读取", "no read is older than an earlier read on its machine")
    STALE_THERE = ("他机读取在时限内跟上", "no read is older than the bound, wherever the write was made")
    FUTURE = ("读取不早于写入开始", "no read sees a write before it was begun")
    GATE = ("停用与启用立即对读取生效", "reads follow stopping and enabling of a prefix")
    STOPPED_WRITE = ("停用的前缀没有写入", "nothing is written under a stopped prefix")
    GAP = ("变更流没有缺号", "a stream has no gap")
    CHAIN = ("变更流的链完整", "the chain of a stream is whole")
    ACCOUNT = ("变更流与记录逐版本相符", "a stream accounts for exactly every version of every record")


@dataclass(frozen=True, slots=True)
class Violation:
    """One sentence that says what is wrong with which identifier or prefix, and the operations concerned."""

    rule: Rule
    subject: str
    detail: str
    operations: tuple[Operation, ...] = ()

    @property
    def sentence(self) -> str:
        """The violation for people."""
        told = "; ".join(map(str, self.operations))
        return f"{self.subject}: {self.rule.zh} / {self.rule.en} – {self.detail}" + (f" ({told})" if told else "")


@dataclass(slots=True)
class Verdict:
    """What the judge found. `tallies` counts what was looked at; `oldest_ns` is the worst lag of a read that
    was still within the bound, in nanoseconds.
    """

    violations: list[Violation] = field(default_factory=list)
    broken: Counter[Rule] = field(default_factory=Counter)
    tallies: Counter[str] = field(default_factory=Counter)
    oldest_ns: int = 0

    def add(self, violation: Violation) -> None:
        """Counts a violation and keeps it while there are fewer than SHOWN_MOST."""
        self.broken[violation.rule] += 1
        if len(self.violations) < SHOWN_MOST:
            self.violations.append(violation)

    @property
    def clean(self) -> bool:
        """Whether every rule was kept."""
        return not self.broken
