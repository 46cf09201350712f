"""The verbs `import` and `reconcile`: files of many rows, which a node is asked about."""

import argparse
from importlib import import_module
from pathlib import Path
from typing import Final

from node.importer import run as importer
from node.verbs.shell import UsageError, Verbs

SENTENCES: Final[tuple[type[Exception], ...]] = ()
FIRST_OCTETS: Final = 1024
"""So much of a file tells whether it may be a prefix that moved out: that begins as an object of JSON."""


async def _import(arguments: argparse.Namespace) -> int:
    """A prefix that moved out of another node is taken into the database; all else goes through the node's doors."""
    if _is_json(arguments.file):
        # Loaded for files like it alone: what it stands on is half of a node.
        moving = import_module("node.verbs.moving")
        if moving.is_parcel(arguments.file):
            try:
                return int(await moving.take_in(arguments))
            except moving.SENTENCES as error:
                raise UsageError(str(error)) from None
    return await importer.run_import(arguments)


def _is_json(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(FIRST_OCTETS).lstrip()[:1] == b"{"
    except OSError:
        return False


def _add_import(made: argparse.ArgumentParser) -> None:
    made.set_defaults(run=_import)
    importer.add_arguments(made, "import")
    made.add_argument("--signed-by", metavar="KEY", help="迁出的前缀由此密钥签名 · who signed a prefix that moved out")


def _add_reconcile(made: argparse.ArgumentParser) -> None:
    made.set_defaults(run=importer.run_reconcile)
    importer.add_arguments(made, "reconcile")


VERBS: Final[Verbs] = {"import": _add_import, "reconcile": _add_reconcile}
