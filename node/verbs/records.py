"""The verbs that change identifiers through a node's doors: `forget`, `key add`, `sign`, `certify`."""

import argparse
from typing import Final

from node.importer import claims, forget, key
from node.verbs.shell import Verbs, with_data

SENTENCES: Final[tuple[type[Exception], ...]] = ()


def _add_forget(made: argparse.ArgumentParser) -> None:
    made.set_defaults(run=forget.run_forget)
    forget.add_arguments(made)


def _add_key(made: argparse.ArgumentParser) -> None:
    with_data(made).set_defaults(run=key.run_add)
    text = "把公钥放入标识 · put a public key into an identifier"
    key.add_arguments(made.add_subparsers(required=True, metavar="ACTION").add_parser("add", help=text))


def _add_sign(made: argparse.ArgumentParser) -> None:
    made.set_defaults(run=claims.run_sign)
    claims.add_sign_arguments(with_data(made))


def _add_certify(made: argparse.ArgumentParser) -> None:
    made.set_defaults(run=claims.run_certify)
    claims.add_certify_arguments(with_data(made))


VERBS: Final[Verbs] = {"forget": _add_forget, "key": _add_key, "sign": _add_sign, "certify": _add_certify}
