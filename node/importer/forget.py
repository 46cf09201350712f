"""The verb `forget`: values of identifiers are blanked by the node's own API; what came of each is printed.

No value is read or shown here, only the names of attributes.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from node.clock import monotonic
from node.importer import client, run
from node.importer.problem import Problem, speaks_chinese
from node.importer.progress import Progress
from proto.identifier import Identifier

CALL_IDENTIFIERS: Final = 200
"""Identifiers of one call: a second or two of the node's work."""
_PATH: Final = "/api/v1/forget"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `idnode forget` to `parser`."""
    add = parser.add_argument
    add("identifiers", nargs="*", metavar="IDENTIFIER", help="标识 · identifiers")
    add("--file", type=Path, help="标识清单，每行一个，UTF-8 · a list of identifiers, one a line")
    add(
        "--attribute",
        action="append",
        required=True,
        metavar="NAME",
        help="要清除的属性（英文名），可重复 · repeatable",
    )
    add("--reason", required=True, help="原因，会留存；不要写个人信息 · is kept: name nobody in it")
    add("--enterprise", help="企业；省略则取第一个标识的前缀 · default: the prefix of the first identifier")
    run.add_access(parser)


async def run_forget(arguments: argparse.Namespace) -> int:
    """`idnode forget`. Returns 0 when nothing is left of the values, 1 when an identifier was refused, 2 when it could
    not run or go on: the same command goes on then."""
    shown = Progress(sys.stderr, speaks_chinese(), monotonic)
    return await run.finished(_carry_out(arguments, shown), shown)


async def _carry_out(arguments: argparse.Namespace, shown: Progress) -> int:
    identifiers = [*arguments.identifiers, *(_listed(arguments.file) if arguments.file else ())]
    if not identifiers:
        raise Problem("没有给出标识", "no identifier is given")
    arguments.enterprise = arguments.enterprise or Identifier.parse(identifiers[0]).prefix_key
    fine = True
    async with aiohttp.ClientSession() as session:
        node = client.Node(session, run.access_of(arguments), shown.say)
        await node.reach()
        await node.sign_in()
        for start in range(0, len(identifiers), CALL_IDENTIFIERS):
            some = identifiers[start : start + CALL_IDENTIFIERS]
            asked = {"identifiers": some, "attributes": arguments.attribute, "reason": arguments.reason}
            answer, _ = await node.post(_PATH, msgspec.json.encode(asked))
            for result in answer["results"]:
                fine = fine and result["result"] in {"blanked", "nothing"}
                print(_told(result))
    return 0 if fine else 1


def _listed(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"读不了文件{path}：{error}", f"cannot read {path}: {error}") from None


def _told(result: dict[str, object]) -> str:
    versions = result.get("versions")
    return f"{result['handle']}\t{result['result']}\t{result.get('message') or versions or ''}"
