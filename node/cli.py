"""The command `idnode`: its verbs, each of which is loaded when it is asked for. No road and no rule lives here."""

import argparse
import asyncio
import sys
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

from node.verbs.shell import CONFIG, DATA, UsageError
from proto.errors import ProtoError
from registry.errors import RegistryError


class Verb(NamedTuple):
    """What it is called, what it does, and the file of `node/verbs/` that knows its options."""

    name: str
    text: str
    file: str


VERBS: Final = (
    Verb("up", "在一台机器上运行全部 · all of it on one machine", "running"),
    Verb("serve", "只运行节点 · the node alone", "running"),
    Verb("toplevel", "只运行模拟的国家顶级节点 · the simulated national top-level node alone", "running"),
    Verb("migrate", "更新数据库结构 · bring the schema up to date", "keeping"),
    Verb("doctor", "检查启动所需 · check what a start needs", "keeping"),
    Verb("resolve", "解析一个标识 · resolve an identifier", "asking"),
    Verb(
        "verify",
        "核验一个标识的签名与证书链 · verify the signature of an identifier and its chain of certificates",
        "asking",
    ),
    Verb("import", "导入CSV、Excel、导出的记录或迁出的前缀 · import CSV, Excel, a dump, or a prefix", "importing"),
    Verb("export", "把停用的前缀连同历史迁出到文件 · pack a stopped prefix with its history", "moving"),
    Verb("reconcile", "对账 · compare a file with the registry", "importing"),
    Verb("forget", "清除标识及其历史中的个人信息 · blank personal data in identifiers and their history", "records"),
    Verb("key", "Handle体系的密钥 · keys of the Handle system", "records"),
    Verb("sign", "为标识的值签名 · sign the values of an identifier (HS_SIGNATURE)", "records"),
    Verb(
        "certify",
        "为他人的密钥作证，或自签为根 · certify a key of another, or one's own as a root (HS_CERT)",
        "records",
    ),
    Verb("user", "账号 · accounts", "administration"),
    Verb("enterprise", "企业 · enterprises", "administration"),
    Verb("uplink", "上报 · the uplink", "administration"),
    Verb("template", "模板 · templates", "administration"),
    Verb("audit", "审计账 · the audit journal", "keeping"),
    Verb("access-log", "访问日志 · the access log", "keeping"),
)


class _Action(argparse.ArgumentParser):
    """What a verb does: its --config and --data may stand behind it, too, where people put them."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        for flag, text in (("--config", CONFIG), ("--data", DATA)):
            self.add_argument(flag, type=Path, default=argparse.SUPPRESS, help=text)


class _Parser(argparse.ArgumentParser):
    """That of a verb, which may have actions; it gets its options from the verb's file when it is to read them."""

    def __init__(self, verb: Verb, **given: Any) -> None:
        super().__init__(**given)
        self._verb = verb

    def add_subparsers(self, **given: Any) -> Any:
        return super().add_subparsers(parser_class=_Action, **given)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        file = import_module(f"node.verbs.{self._verb.file}")
        self.add_argument("--config", type=Path, help=CONFIG)
        self.set_defaults(sentences=file.SENTENCES, around=nullcontext)
        file.VERBS[self._verb.name](self)
        return super().parse_known_args(args, namespace)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="idnode", description="工业互联网标识解析二级节点 · a secondary node of the industrial identifier system"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)
    for verb in VERBS:
        verbs.add_parser(verb.name, help=verb.text, description=verb.text, verb=verb)
    return parser


def main() -> None:
    """The console command. Exit code 2 with one sentence when it cannot be done."""
    arguments = _parser().parse_args()
    try:
        with arguments.around(arguments):
            sys.exit(asyncio.run(arguments.run(arguments)))
    except (UsageError, RegistryError, ProtoError, *arguments.sentences) as error:
        text = f"{error.zh}。 {error.en}." if isinstance(error, ProtoError) else str(error)
        print(f"idnode: {text}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
