"""`python -m loadtest writing`: the node's writing beside PostgreSQL's own, in turn, told as ratios.

The wiring and the command line; what each side does is said in files of its own. docs/loadtest.md says what it means.
"""

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from loadtest.crowd import CrowdError
from loadtest.mix import Mix, Place
from loadtest.mix import World as Asked
from loadtest.nodes import NodeError, folder, up
from loadtest.population import Population
from loadtest.processes import Run, ran
from loadtest.registering import RegisteringError, Registrar
from loadtest.settings import Number, add_number
from loadtest.tally import Tally
from loadtest.target import Target, TargetError, from_ready
from loadtest.telling import kept, say
from loadtest.wire import LostError, RefusedError
from loadtest.writing import report
from loadtest.writing.bare import Bare, bare_table
from loadtest.writing.batches import endless, made, sent, singles, stormed
from loadtest.writing.importing import imported, write_file
from loadtest.writing.pgbench import inserted
from loadtest.writing.problem import WritingError
from loadtest.writing.report import Pair, Part
from loadtest.writing.shares import a_row, spent
from loadtest.wrk import Counted, Line, listed, wrk

COLD: Final = 50.0
"""Cold reads a second beside a storm: enough for a p99 of some seconds, too few to be a load of their own."""
HOT: Final = 1000
_SUM: Final = "CPU µs Σ"
RECEIPTS_MOST: Final = 120.0
"""Seconds the top-level node's receipts are waited for after an import."""
GLANCE: Final = 0.25
"""Seconds between two looks at how many changes still wait for theirs."""
TROUBLES: Final = (WritingError, NodeError, TargetError, RegisteringError, CrowdError, LostError, RefusedError)
"""What ends it with a sentence."""


@dataclass(frozen=True, slots=True)
class Site:
    """The node that is measured: where it is, its data folder, its topmost process, its database, and a token."""

    target: Target
    data: Path
    root: int
    database_url: str
    token: str


NUMBERS: Final[Mapping[str, Number]] = {
    "pairs": Number(3, 1, 100, "轮数", "turns of both sides"),
    "connections": Number(4, 1, 64, "批量写入的连接数", "connections that send batches, or COPY"),
    "batches": Number(40, 1, 10_000, "每轮的批数", "batches of a turn"),
    "rows": Number(1000, 1, 2000, "每批的行数", "rows of a batch"),
    "clients": Number(64, 1, 90, "逐个注册的客户数", "clients that register one at a time"),
    "seconds": Number(6.0, 1.0, 3600.0, "逐个注册与风暴每轮的秒数", "seconds of a turn of singles or a storm"),
    "import-rows": Number(50_000, 1000, 20_000_000, "导入的行数", "rows of an import"),
    "storm": Number(4, 1, 64, "风暴的连接数", "connections of a storm"),
    "workers": Number(2, 1, 64, "自己启动的节点的工作进程数", "workers of a node of its own"),
}
"""The options that take a number."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 measured, 2 not. `arguments` are those of the process unless given."""
    options = _options(arguments)
    try:
        parts = asyncio.run(_measured(options))
    except TROUBLES as error:
        print(error, file=sys.stderr)
        return 2
    except ExceptionGroup as group:
        print(group.exceptions[0], file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("已中止。 Stopped.", file=sys.stderr)
        return 2
    print(report.table(parts))
    settings = {name: value for name, value in vars(options).items() if name not in {"report", "data"}}
    return 0 if kept(options.report, report.document(parts, settings), report.html(parts, settings)) else 2


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    about = "写入与PostgreSQL自己的轮流比较。 Writing, in turn with PostgreSQL's own."
    parser = argparse.ArgumentParser(prog="python -m loadtest writing", description=about)
    add = parser.add_argument
    add("--data", type=Path, help="运行中的up的数据目录；不给则自己启动一个 of a running up; else one is started")
    add("--parts", default=",".join(PARTS), help="比较什么 what is compared (%(default)s)")
    add("--report", type=Path, metavar="FILE", help="结果写成JSON the result as JSON")
    for name, number in NUMBERS.items():
        add_number(parser, name, number)
    given = parser.parse_args(arguments)
    if unknown := set(given.parts.split(",")) - PARTS.keys():
        parser.error(f"--parts: {', '.join(unknown)}")
    return given


async def _measured(options: argparse.Namespace) -> list[Part]:
    async with _node(options) as place, bare_table(place.database_url) as bare:
        parts = []
        for name in options.parts.split(","):
            say(name)
            parts.append(await PARTS[name](options, place, bare))
        return parts


@asynccontextmanager
async def _node(options: argparse.Namespace) -> AsyncIterator[Site]:
    """The node of `--data`, or one of our own in a folder that goes with it."""
    if options.data:
        yield await _place(options.data)
        return
    with folder() as data:
        async with up(data, options.workers):
            yield await _place(data)


async def _place(data: Path) -> Site:
    """What the files of an `up` say of it, signed in."""
    target = from_ready(data / "ready.json")
    try:
        servers: Any = json.loads((data / "servers.json").read_text(encoding="utf-8"))
        root = int(json.loads((data / "ready.json").read_text(encoding="utf-8"))["pid"])
    except (OSError, ValueError, KeyError) as error:
        raise WritingError(f"{data}: {error}") from None
    registrar = Registrar(target.node)
    await registrar.sign_in(target.username, target.password)
    # One member under each prefix: with it comes the template.
    population = Population(target.prefixes, 0, 1000 * len(target.prefixes))
    await registrar.register(population, lambda _: None)
    return Site(target, data, root, servers["database_url"], registrar.token)


async def _batches(options: argparse.Namespace, place: Site, bare: Bare) -> Part:
    pairs = []
    notes: dict[str, float] = {}
    rows = options.batches * options.rows
    for _ in range(options.pairs):
        batches = made(place.target.prefixes, secrets.token_hex(4), options.batches, options.rows)
        before = spent(place.root)
        took = await sent(place.target.node, place.token, batches, options.connections)
        await _receipts(bare)  # what telling the top-level node costs is part of it
        notes = _shares(before, place, rows)
        groups = [await bare.rows(batch) for batch in batches]
        before = spent(place.root)
        notes["行/秒 rows/s PostgreSQL: commit_changes()"] = rows / await bare.committed(
            batches, groups, options.connections
        )
        notes["CPU µs PostgreSQL: commit_changes()"] = _of_postgresql(before, place, rows)
        await _receipts(bare)
        before = spent(place.root)
        theirs = rows / await bare.copied(groups, options.connections)
        copying = notes["CPU µs PostgreSQL: COPY"] = _of_postgresql(before, place, rows)
        pairs.append(Pair(rows / took, theirs, (notes[_SUM], copying)))
        say(f"{pairs[-1].ours:,.0f} : {pairs[-1].theirs:,.0f}")
    return Part("batches", "批量注册÷COPY，行/秒", "batchCreate by COPY, rows/s", pairs, notes)


def _shares(before: Counter[str], place: Site, rows: int) -> dict[str, float]:
    """Microseconds of processor time a row since `before`, by process, and of all."""
    each = a_row(before, spent(place.root), rows)
    return {f"CPU µs {kind}": micros for kind, micros in each.items()} | {_SUM: sum(each.values())}


def _of_postgresql(before: Counter[str], place: Site, rows: int) -> float:
    """Microseconds of its processor time a row since `before`."""
    return a_row(before, spent(place.root), rows).get("PostgreSQL", 0.0)


async def _singles(options: argparse.Namespace, place: Site, bare: Bare) -> Part:
    pairs, counted, shares = [], list[Counted](), dict[str, float]()
    prefixes, node = place.target.prefixes, place.target.node
    like = made(prefixes[:1], secrets.token_hex(4), 1, 1)
    await sent(node, place.token, like, 1)
    with tempfile.TemporaryDirectory(prefix="idnode-singles-") as name:
        for turn in range(options.pairs):
            mark, file = f"S-{secrets.token_hex(4)}-", Path(name) / "requests"
            await asyncio.to_thread(file.write_text, singles(prefixes, mark, node, place.token), encoding="utf-8")
            before = spent(place.root)
            seconds = round(options.seconds)
            done = await wrk(node, file, seconds=seconds, threads=1, connections=options.clients)
            shares = _shares(before, place, done.requests)
            # What is not refused is told with HTTP 200, and so is what is: only the table knows.
            written = await bare.registered(mark)
            if done.statuses or done.lost or not done.requests <= written <= done.requests + options.clients:
                raise WritingError(f"答错 wrong: {done}, {written}")
            counted.append(done)
            await _receipts(bare)
            before = spent(place.root)
            theirs = await inserted(place.database_url, bare, like[0], options.clients, options.seconds, turn)
            shares["CPU µs PostgreSQL: INSERT"] = _of_postgresql(before, place, round(theirs * seconds))
            pairs.append(Pair(done.rate, theirs, (shares[_SUM], shares["CPU µs PostgreSQL: INSERT"])))
            say(f"{pairs[-1].ours:,.0f} : {pairs[-1].theirs:,.0f}")
    notes = shares | {"ms p50": median(done.p50 for done in counted), "ms p99": median(done.p99 for done in counted)}
    return Part("singles", "逐个注册÷pgbench，个/秒", "one at a time by pgbench, per s", pairs, notes)


async def _import(options: argparse.Namespace, place: Site, bare: Bare) -> Part:
    rows, prefix = options.import_rows, place.target.prefixes[0]
    with tempfile.TemporaryDirectory(prefix="idnode-import-") as name:
        file = Path(name) / "rows.csv"
        await asyncio.to_thread(write_file, file, rows)
        before = spent(place.root)
        done = await imported(file, place.data, prefix, secrets.token_hex(4))
    receipts = await _receipts(bare)
    shares = _shares(before, place, rows) | {"CPU µs idnode import": done.cpu / rows * 1e6}
    # The same number of rows such as these; all of them at once would not be flat in our own memory.
    batches = made((prefix,), secrets.token_hex(4), options.batches, options.rows)
    await sent(place.target.node, place.token, batches, options.connections)
    groups = [await bare.rows(batch) for batch in batches]
    await _receipts(bare)
    before, copied = spent(place.root), len(batches) * options.rows
    took = await bare.copied(groups, options.connections)
    cost = (shares[_SUM] + shares["CPU µs idnode import"], _of_postgresql(before, place, copied))
    pair = Pair(rows / done.seconds, copied / took, cost)
    notes = {"MB ¼": done.quarter, "MB max": done.most, "s 回执 receipts": receipts} | shares
    return Part("import", "导入÷COPY，行/秒", "idnode import by COPY, rows/s", [pair], notes)


async def _receipts(bare: Bare) -> float:
    """Seconds until the top-level node has receipted every change; RECEIPTS_MOST when some still wait."""
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < RECEIPTS_MOST and await bare.unreceipted():  # noqa: ASYNC110
        await asyncio.sleep(GLANCE)
    return min(passed, RECEIPTS_MOST)


async def _storm(options: argparse.Namespace, place: Site, bare: Bare) -> Part:
    """Hot reads beside a storm of batches, by hot reads alone; cold ones come at their own times beside it."""
    pairs, cold, rows, seconds = [], Tally(), 0, 0.0
    node = place.target.node
    batches = endless(place.target.prefixes, options.rows)
    with tempfile.TemporaryDirectory(prefix="idnode-storm-") as name:
        file = Path(name) / "requests"
        population = Population(place.target.prefixes, 0, 1000 * len(place.target.prefixes))
        handles = [f"{population.prefix(each)}/{population.serial(each)}" for each in range(HOT)]
        lines = [Line(0, f"/api/handles/{handle}") for handle in handles]
        await asyncio.to_thread(file.write_text, listed([f"Host: {node}\r\n"], lines), encoding="utf-8")
        hot = partial(wrk, node, file, seconds=round(options.seconds), threads=1, connections=options.clients)
        await hot()
        for turn in range(options.pairs):
            quiet = await hot()
            stormy, others, (registered, took) = await asyncio.gather(
                hot(),
                ran(_cold(options, place, turn, cold.cold_reached), 1),
                stormed(node, place.token, batches, options.storm, options.seconds),
            )
            _check(others)
            if quiet.statuses or stormy.statuses:
                raise WritingError(f"答错 wrong: {quiet.statuses}, {stormy.statuses}")
            pairs.append(Pair(stormy.rate, quiet.rate))
            say(f"{pairs[-1].ours:,.0f} : {pairs[-1].theirs:,.0f}")
            cold.merge(others)
            rows, seconds = rows + registered, seconds + took
    notes = {f"ms cold p{s * 100:g}": (cold.total.latency.percentile(s) or 0.0) * 1000 for s in (0.5, 0.99)}
    notes["行/秒 rows/s"] = rows / seconds
    return Part("storm", "热读，风暴中÷平静时", "hot reads in a storm by quiet ones", pairs, notes)


def _cold(options: argparse.Namespace, place: Site, turn: int, reached: int) -> Run:
    """COLD reads a second, each of what nobody asked for before: the first ones `reached` are over."""
    target = place.target
    population = Population(target.prefixes, 0, 1000 * len(target.prefixes))
    asked = Asked(population, HOT, 1.0, options.rows, "", place.token, str(target.node))
    stand = Place(run=secrets.token_hex(4), round=turn, number=0, of=1, cold_from=reached)
    return Run(target.node.host, target.node.port, 16, COLD, options.seconds, asked, Mix({"cold": 1.0}), stand)


def _check(tally: Tally) -> None:
    total = tally.total
    if total.wrong or not total.answered:
        raise WritingError(f"答错 wrong: {total.wrong}, 答对 right: {total.answered}; {tally.examples}")


PARTS: Final[Mapping[str, Callable[[argparse.Namespace, Site, Bare], Awaitable[Part]]]] = {
    "batches": _batches,
    "singles": _singles,
    "storm": _storm,
    "import": _import,
}
"""What can be compared, by name."""

if __name__ == "__main__":
    sys.exit(main())
