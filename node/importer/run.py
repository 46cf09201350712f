"""The verbs `import` and `reconcile`: their options, and the road from file to results.

Reading, mapping, asking and recording are each said in a file of their own; here they are put in a row.
"""

import argparse
import asyncio
import hashlib
import os
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

import aiohttp
import msgspec

from node.clock import monotonic
from node.heap import keep_freed
from node.importer import client, progress, results
from node.importer.mapping import Binding, attributes_of, bind, read_map
from node.importer.problem import Problem, speaks_chinese
from node.importer.results import Line, Result, Results
from node.importer.table import Table, open_table
from node.importer.units import IDENTIFIERS_MOST, Expansion, Repeats, Tally, Target, Together, Unit
from registry.template import Item

CHUNK_UNITS: Final = 1000
"""Identifiers of one request: half of what the SNMS OpenAPI allows and within what it recommends (100 to 1500)."""
CHUNK_OCTETS: Final = 2 << 20
"""Most octets of one request, unless a single identifier is bigger: long texts make shorter chunks."""
IN_FLIGHT: Final = 4
"""Requests under way at a time: two keep the node's database busy while others are written and read."""
CHUNKS_SAVED: Final = 4
"""Requests whose results reach the disk at once, before the journal says so: that waits for the disk twice, which the
node's database wants too. They may be asked again after a crash."""
FROM_ENVIRONMENT: Final = "IDNODE_PASSWORD"

Verb = Literal["import", "reconcile"]


@dataclass(frozen=True, slots=True)
class Work:
    """One of the things that can be done with a file: whom to ask, how the results file ends, what is counted.

    `counted` stands in the order of the summary; `table` reads answers of reconcile and is empty where batchCreate
    is asked.
    """

    name: str
    path: str
    ending: str
    counted: tuple[Result, ...]
    table: Mapping[str, Result]

    @property
    def refused(self) -> Result:
        """What comes of a row the node need not be asked about; counted last."""
        return self.counted[-1]

    @property
    def rehearses(self) -> bool:
        """Whether values are checked here, as the node will not be told them for good."""
        return self.table is results.REHEARSED


_OF_BATCH: Final = (Result.REGISTERED, Result.SAME, Result.DIFFERENT, Result.REFUSED)
_WHAT_IS_THERE: Final = "/api/v1/reconcile"

IMPORT: Final = Work("import", "/identityv2/data/batchCreate", ".result.csv", _OF_BATCH, {})
REHEARSAL: Final = Work("dry-run", _WHAT_IS_THERE, ".dry-run.csv", (*results.REHEARSED.values(),), results.REHEARSED)
RECONCILIATION: Final = Work(
    "reconcile", _WHAT_IS_THERE, ".reconcile.csv", (*results.RECONCILED.values(),), results.RECONCILED
)

ENGLISH: Final = {
    Result.REGISTERED: "registered",
    Result.SAME: "existed alike",
    Result.DIFFERENT: "existed different",
    Result.REFUSED: "refused",
    Result.WOULD_REGISTER: "would be registered",
    Result.WOULD_REFUSE: "would be refused",
    Result.MISSING: "missing",
    Result.ALIKE: "same",
    Result.UNLIKE: "different",
    Result.INVALID: "cannot be compared",
}


def add_arguments(parser: argparse.ArgumentParser, verb: Verb) -> None:
    """Adds the options of `idnode import` or `idnode reconcile` to `parser`."""
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="CSV、Excel 或其他标识系统导出的文件 · a CSV or Excel file, or a dump")
    add("--enterprise", help="企业：名称、行业、前缀或用户名 · name, industry, prefix or username")
    add(
        "--template",
        help="模板版本，如 leather-handbag；省略则文件为导出的记录 · version of the template; none: a dump",
    )
    add("--map", type=Path, metavar="MAP.toml", help="列与属性的映射 · which column is which attribute")
    add("--suffix", metavar="PATTERN", help="后缀规则，如 'BAG-{id}-{serial:06d}' · how a suffix is made")
    add("--serials", type=_serials, default=1, metavar="N", help="每行登记 1…N 号 · serials 1…N of each row")
    add("--sheet", help="Excel 工作表（默认第一张）/ sheet of the workbook (default: the first)")
    add("--encoding", help="CSV 编码（默认自动识别）/ encoding of the CSV (default: detected)")
    add("--result", type=Path, metavar="FILE", help="结果文件 · file for the results")
    add("--restart", action="store_true", help="不接着上次，重新开始 · begin anew instead of going on")
    add_access(parser)
    if verb == "import":
        add("--dry-run", action="store_true", help="只检查，不登记 · check only, register nothing")


def add_access(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say where the node is and who signs in."""
    folder = "节点的数据目录 · folder of the node"
    parser.add_argument("--data", type=Path, default=Path(".idnode"), metavar="DIR", help=folder)
    add_sign_in(parser)


def add_sign_in(parser: argparse.ArgumentParser) -> None:
    """The same of an action, whose verb says the folder."""
    add = parser.add_argument
    add("--url", help="节点地址（代替 --data）/ address of the node (instead of --data)")
    add("--username", help="用户名，与 --url 一起用 · with --url")
    add("--password", help=f"密码；最好放在环境变量 {FROM_ENVIRONMENT} · better in the environment")


def _serials(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= IDENTIFIERS_MOST:
        raise argparse.ArgumentTypeError(f"1…{IDENTIFIERS_MOST}")
    return int(text)


async def run_import(arguments: argparse.Namespace) -> int:
    """`idnode import`. Returns 0 when all is registered or existed alike, 1 when something was refused or differs,
    2 when it could not run or go on (one sentence on stderr says why)."""
    return await _run(arguments, REHEARSAL if arguments.dry_run else IMPORT)


async def run_reconcile(arguments: argparse.Namespace) -> int:
    """`idnode reconcile`. Returns 0 when all is registered and the same, 1 when not, 2 when it could not run."""
    return await _run(arguments, RECONCILIATION)


async def _run(arguments: argparse.Namespace, work: Work) -> int:
    keep_freed()
    shown = progress.Progress(sys.stderr, speaks_chinese(), monotonic)
    try:
        if not arguments.template:
            return await finished(_move(arguments, replace(work, path=_MOVED[work.path]), shown), shown)
        return await finished(_carry_out(arguments, work, shown), shown)
    except asyncio.CancelledError:
        shown.say("已中断；再次运行同一命令会接着做", "interrupted; the same command goes on from here")
        raise


_MOVED: Final = {IMPORT.path: "/api/v1/handles", _WHAT_IS_THERE: "/api/v1/handles/reconcile"}
"""Where records without template go: what is asked for those of a template, and for these."""


async def _move(arguments: argparse.Namespace, work: Work, shown: progress.Progress) -> int:
    if arguments.map or arguments.suffix or arguments.serials > 1 or arguments.sheet or arguments.encoding:
        raise Problem(
            "没有--template时文件为导出的记录，不用--map、--suffix、--serials、--sheet、--encoding",
            "without --template the file is a dump: no --map, --suffix, --serials, --sheet or --encoding",
        )
    access = access_of(arguments)
    # Loaded for files like it alone.
    with import_module("node.importer.dump").open_dump(arguments.file) as dump:
        shown.say(dump.zh, dump.en)
        async with aiohttp.ClientSession() as session:
            node = client.Node(session, access, shown.say)
            await node.reach()
            await node.sign_in()
            with _kept(arguments, work, access, dump.digest) as kept:
                units = partial(dump.units, access.prefix, Repeats(dump.records_about))
                await _Import(work, node, {}, kept, shown).run(units, dump.records_about)
                return _done(work, kept, shown)


async def _carry_out(arguments: argparse.Namespace, work: Work, shown: progress.Progress) -> int:
    access = access_of(arguments)
    with open_table(arguments.file, arguments.sheet, arguments.encoding) as table:
        shown.say(table.zh, table.en)
        async with aiohttp.ClientSession() as session:
            node = client.Node(session, access, shown.say)
            await node.reach()
            await node.sign_in()
            attributes = await _attributes(node, access.prefix, arguments.template)
            binding = _bound(arguments, table, attributes)
            shown.say(*_told(binding))
            with _kept(arguments, work, access, table.digest) as kept:
                target = _target(arguments, work, access, attributes)
                about = table.rows_about * target.serials
                expansion = Expansion(binding, target, Repeats(about))
                units = partial(expansion.units, table.parts)
                await _Import(work, node, _names(attributes), kept, shown).run(units, about)
                return _done(work, kept, shown)


def _kept(
    arguments: argparse.Namespace, work: Work, access: client.Access, digest: str
) -> AbstractContextManager[Results]:
    path, options = _results_path(arguments, work), _options(arguments, work, access)
    # Who looks again wants to know how it is now; only what was written is not written twice.
    anew = arguments.restart or (bool(work.table) and results.finished(path))
    return results.open_results(path, digest, options, anew)


def _done(work: Work, kept: Results, shown: progress.Progress) -> int:
    print(progress.plain(_summary(work, kept, shown, speaks_chinese()), sys.stdout.encoding))
    return 0 if set(kept.journal.counts) <= results.FINE else 1


def access_of(arguments: argparse.Namespace) -> client.Access:
    """Access as those options say. Raises Problem."""
    if not arguments.enterprise:
        raise Problem("请用--enterprise指明企业", "name the enterprise by --enterprise")
    ready = arguments.data / "ready.json"
    if arguments.url or arguments.username:
        password = arguments.password or os.environ.get(FROM_ENVIRONMENT)
        return client.from_options(arguments.url, arguments.username, password, arguments.enterprise, ready)
    return client.from_ready(ready, arguments.enterprise)


async def _attributes(node: client.Node, prefix: str, template: str) -> tuple[Item, ...]:
    told = await node.get(f"/api/v1/templates/{quote(prefix, safe='')}/{quote(template, safe='')}", {})
    try:
        return attributes_of(told["items"])
    except (msgspec.ValidationError, KeyError):
        raise Problem("节点给出的模板无法理解", "the template the node gives cannot be understood") from None


def _bound(arguments: argparse.Namespace, table: Table, attributes: tuple[Item, ...]) -> Binding:
    binding = bind(table.header, attributes, read_map(arguments.map), arguments.suffix or "")
    if arguments.serials > 1 and not binding.pattern.counts:
        raise Problem(
            "--serials需要后缀规则里有{serial}，例如--suffix 'BAG-{id}-{serial:06d}'",
            "--serials needs {serial} in the suffix pattern, such as --suffix 'BAG-{id}-{serial:06d}'",
        )
    return binding


def _target(arguments: argparse.Namespace, work: Work, access: client.Access, attributes: tuple[Item, ...]) -> Target:
    checks = None
    if work.rehearses:
        # Loaded for that alone: it stands on the node's own rules, which take longer to load than many a file.
        rehearsal = import_module("node.importer.rehearsal")
        template = arguments.template
        checks = rehearsal.Rehearsal(attributes, template, rehearsal.suffix_rule(template))
    return Target(access.prefix, arguments.template, arguments.serials, checks)


def _names(attributes: tuple[Item, ...]) -> dict[str, str]:
    """What differs, in Chinese; the node names the template too when it is another one."""
    return {attribute.name: attribute.zh for attribute in attributes} | {"templateVersion": "模板"}


def _told(binding: Binding) -> tuple[str, str]:
    pairs = [(a, binding.header[place]) for a, place in binding.columns]
    zh = "、".join(f"{a.zh}←{column}" for a, column in pairs) + "".join(
        f"、{a.zh}=“{text}”" for a, text in binding.constants
    )
    en = ", ".join(f"{a.name} from {column}" for a, column in pairs) + "".join(
        f", {a.name} = “{text}”" for a, text in binding.constants
    )
    if binding.unused:
        zh += f"；未使用的列：{'、'.join(binding.unused)}"
        en += f"; columns not used: {', '.join(binding.unused)}"
    return zh, en


def _results_path(arguments: argparse.Namespace, work: Work) -> Path:
    path: Path = arguments.result or arguments.file.with_suffix(work.ending)
    if path.exists() and path.samefile(arguments.file):
        raise Problem("结果文件不能就是输入文件", "the results file must not be the file to import")
    return path


def _options(arguments: argparse.Namespace, work: Work, access: client.Access) -> dict[str, str]:
    """What must be the same for an interrupted import to go on (the names are in results.OPTIONS)."""
    map_ = hashlib.sha256(arguments.map.read_bytes()).hexdigest() if arguments.map else ""
    return {
        "work": work.name,
        "node": access.url,
        "prefix": access.prefix,
        "template": arguments.template or "",
        "map": map_,
        "suffix": arguments.suffix or "",
        "serials": str(arguments.serials),
        "sheet": arguments.sheet or "",
        "encoding": arguments.encoding or "",
    }


def chunks(units: Iterable[Unit | Together]) -> Iterator[list[Unit] | Together]:
    """`units` in lists of at most CHUNK_UNITS whose bodies come to at most CHUNK_OCTETS (or a single unit); those that
    came together and fill at least half of such a list stay so."""
    chunk: list[Unit] = []
    octets = 0
    for each in units:
        if isinstance(each, Together) and _fills(each):
            if chunk:
                yield chunk
                chunk, octets = [], 0
            yield each
            continue
        for unit in (each,) if isinstance(each, Unit) else each.units:
            if chunk and (len(chunk) == CHUNK_UNITS or octets + len(unit.body) > CHUNK_OCTETS):
                yield chunk
                chunk, octets = [], 0
            chunk.append(unit)
            octets += len(unit.body) + 1
    if chunk:
        yield chunk


def _fills(together: Together) -> bool:
    """Whether these make a request that is worth its turn: not too big, and neither a few that broken rows left."""
    units, octets = len(together), len(together.body)
    fit = units <= CHUNK_UNITS and octets <= CHUNK_OCTETS
    return fit and (units >= CHUNK_UNITS // 2 or octets >= CHUNK_OCTETS // 2)


def _array(bodies: list[bytes]) -> bytes:
    """A JSON array of these: megabytes, which are put together once."""
    pieces = [b","] * (2 * len(bodies) + 1)
    pieces[0], pieces[-1] = b"[", b"]"
    pieces[1::2] = bodies
    return b"".join(pieces)


class _Import:
    """One run over a file: asks in chunks, IN_FLIGHT at a time, and writes results in the order of the file."""

    def __init__(
        self, work: Work, node: client.Node, names: Mapping[str, str], kept: Results, shown: progress.Progress
    ) -> None:
        self._work = work
        self._node = node
        self._names = names
        self._kept = kept
        self._shown = shown
        self._tally = Tally()
        self._settled = 0
        self._meant = results.reader(work.table)

    async def run(self, units_of: Callable[[Tally], Iterator[Unit | Together]], about: int) -> None:
        """Does what is left of the units, of which there are `about` so many; what is read is counted."""
        done = self._kept.journal.units
        self._shown.begin(done)
        if self._kept.journal.finished:
            self._shown.say(
                "这次导入上次已经做完，没有再发送任何标识；要重做请加--restart",
                "this was finished before, nothing was sent; add --restart to do it again",
            )
            return
        self._total = about
        units = units_of(self._tally)
        if done:
            self._shown.say(f"接着上次：已完成{done}个", f"going on: {done} were done before")
            units = chain(await self._skip(units, done), units)
        await self._ask_all(units)
        self._kept.append([], self._tally, True)
        await asyncio.to_thread(self._kept.save)
        self._shown.end()

    async def _skip(self, units: Iterator[Unit | Together], done: int) -> list[Unit]:
        """Reads again what was done: repeated identifiers must be known, and a row may come to any number of units.
        Gives what is left to do of those that came together with the last."""
        left: list[Unit] = []
        for turn, each in enumerate(units):
            done -= 1 if isinstance(each, Unit) else len(each)
            if done <= 0:
                left = each.units[done:] if done and isinstance(each, Together) else []
                break
            if isinstance(each, Together) or turn % CHUNK_UNITS == 0:
                await asyncio.sleep(0)
        self._shown.begin(self._kept.journal.units)
        return left

    async def _ask_all(self, units: Iterable[Unit | Together]) -> None:
        # What an interrupted run had under way when its journal stood still, or read answers of, may have been done.
        uncertain = CHUNK_UNITS * (IN_FLIGHT + CHUNKS_SAVED) if self._kept.resumed else 0
        under_way: deque[asyncio.Task[list[Line] | Together]] = deque()
        try:
            for chunk in chunks(units):
                if len(under_way) == IN_FLIGHT:
                    await self._settle(under_way.popleft())
                under_way.append(asyncio.create_task(self._ask(chunk, uncertain)))
                uncertain = max(uncertain - len(chunk), 0)
                await asyncio.sleep(0)
            while under_way:
                await self._settle(under_way.popleft())
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _settle(self, task: asyncio.Task[list[Line] | Together]) -> None:
        self._kept.append(await task, self._tally)
        self._settled += 1
        if self._settled % CHUNKS_SAVED == 0:
            await asyncio.to_thread(self._kept.save)
        self._shown.show(self._kept.journal.units, self._total)

    async def _ask(self, chunk: list[Unit] | Together, uncertain: int) -> list[Line] | Together:
        """What came of the units of `chunk`; itself when they came together and all were registered."""
        first = None
        if isinstance(chunk, Together):
            usual = b"" if self._work.table else results.well(chunk.identifiers)
            first = await self._node.post(self._work.path, chunk.body, usual)
            if first[0] is client.USUAL:
                return chunk
            chunk = chunk.units
        answers = await self._answers([unit for unit in chunk if unit.body], first)
        meant, refused = self._meant, self._work.refused
        lines = []
        for place, unit in enumerate(chunk):
            if unit.body:
                answer, repeated = answers[unit.identifier]
                lines.append(meant(unit, answer, self._names, repeated or place < uncertain))
            else:
                lines.append(Line(unit, refused, unit.refusal))
        return lines

    async def _answers(
        self, asked: list[Unit], first: tuple[Any, bool] | None
    ) -> dict[str, tuple[Mapping[str, Any], bool]]:
        """By identifier: the answer, and whether a sending before it may have been done. Busy ones are asked again.
        `first` is what the node said already."""
        known: dict[str, tuple[Mapping[str, Any], bool]] = {}
        unknown, turns = False, 0
        while asked:
            data, repeated = first or await self._node.post(self._work.path, _array([unit.body for unit in asked]))
            first, unknown = None, unknown or repeated
            handles = [unit.identifier for unit in asked]
            answers = _checked(data["results"] if isinstance(data, dict) else data, handles)
            known.update(zip(handles, zip(answers, repeat(unknown)), strict=True))
            busy = {answer["handle"] for answer in answers if answer.get("msg") == client.BUSY_MESSAGE}
            asked = [unit for unit in asked if unit.identifier in busy] if busy else []
            if asked:
                turns += 1
                await self._node.pause(turns)
        return known


async def finished(work: Awaitable[int], shown: progress.Progress) -> int:
    """What a verb of the shell ends with: what `work` says, or 2 and one sentence why it could not be done."""
    try:
        return await work
    except Problem as problem:
        shown.say(problem.zh, problem.en)
        return 2


def _checked(answers: list[Mapping[str, Any]], handles: list[str]) -> list[Mapping[str, Any]]:
    """`answers`, once they are seen to be one an identifier, in the order sent."""
    if [answer["handle"] for answer in answers] != handles:
        raise Problem("节点的答复与所发的标识对不上", "the node's answers are not for the identifiers sent")
    return answers


def _summary(work: Work, kept: Results, shown: progress.Progress, chinese: bool) -> str:
    journal, seconds = kept.journal, shown.seconds
    count = sum(journal.counts.values())
    rows = [("行数", "rows", journal.rows), ("空行（已跳过）", "empty rows (skipped)", journal.empty)]
    rows += [("标识", "identifiers", count)]
    rows += [(result.value, ENGLISH[result], journal.counts.get(result, 0)) for result in work.counted]
    if journal.confirmed:
        rows.append(("  其中重发后确认", "  of these confirmed by asking again", journal.confirmed))
    listed = [(zh if chinese else en, f"{number:,}") for zh, en, number in rows]
    listed.append(("本次用时（秒）" if chinese else "seconds (this run)", f"{seconds:.1f}"))
    speed = (count - shown.done_before) / seconds if seconds > 0 else 0.0
    listed.append(("标识/秒" if chinese else "identifiers/s", f"{speed:,.0f}"))
    return f"{progress.table(listed)}\n{'结果文件' if chinese else 'results'}: {kept.path}"
