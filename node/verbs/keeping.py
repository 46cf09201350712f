"""The verbs of who keeps a node: `migrate`, `doctor`, `audit`, `access-log`."""

import argparse
from contextlib import suppress
from typing import Final

from node import audit_verbs, doctor
from node.certificate import CertificateError
from node.site_key import SiteKeyError
from node.supervisor import PortTakenError
from node.verbs import given
from node.verbs.shell import UsageError, Verbs, say, with_data
from registry.postgres.connection import connect
from registry.postgres.migrate import migrate

SENTENCES: Final = (*given.SENTENCES, CertificateError, SiteKeyError, PortTakenError)


async def _migrate(arguments: argparse.Namespace) -> int:
    connection = await connect(given.with_servers(arguments).database_url, "idnode-migrate", None)
    try:
        taken = await migrate(connection)
    finally:
        await connection.close()
    for step in taken:
        say(f"{step.number:04d} {step.name}")
    say("数据库结构已是最新 · the schema is up to date")
    return 0


async def _doctor(arguments: argparse.Namespace) -> int:
    wanted = config = given.config(arguments)
    with suppress(UsageError):
        config = given.with_servers(arguments)
    findings = await doctor.examine(config, ports=config == wanted)
    for each in findings:
        say(f"{'✘' if each.mend else '✔'} {each.name:<14} {each.state}{'  → ' + each.mend if each.mend else ''}")
    return int(any(each.mend for each in findings))


async def _audit(arguments: argparse.Namespace) -> int:
    return await audit_verbs.run(given.with_servers(arguments), arguments, say)


def _add_migrate(made: argparse.ArgumentParser) -> None:
    with_data(made).set_defaults(run=_migrate)


def _add_doctor(made: argparse.ArgumentParser) -> None:
    with_data(made).set_defaults(run=_doctor)


def _add_audit(made: argparse.ArgumentParser) -> None:
    made.set_defaults(run=_audit)
    audit_verbs.add_audit_arguments(with_data(made))


def _add_access_log(made: argparse.ArgumentParser) -> None:
    made.set_defaults(run=_audit)
    audit_verbs.add_access_arguments(with_data(made))


VERBS: Final[Verbs] = {
    "migrate": _add_migrate,
    "doctor": _add_doctor,
    "audit": _add_audit,
    "access-log": _add_access_log,
}
