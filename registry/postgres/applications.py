"""Applications of enterprises and the decisions on them, in the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from registry.account import Vault
from registry.application import BASIC_INFO, SEALED, Occasion, Refusal
from registry.postgres.connection import Connection
from registry.prefix import LIFE, Event, PrefixState

PAGE_MOST: Final = 100
"""Most applications one list shows."""

Form = Mapping[str, Mapping[str, Any]]
_AGAIN: Final = [state for state, row in LIFE.items() if Event.VERIFY_AGAIN in row]


async def serialise(connection: Connection) -> None:
    """Nobody else makes an application before the caller's transaction ends: what is unique stays so."""
    await connection.execute("LOCK TABLE application IN SHARE ROW EXCLUSIVE MODE")


_TAKEN: Final = """
    SELECT CASE
        WHEN EXISTS (SELECT 1 FROM enterprise WHERE name = g.given ->> 'orgName' AND number <> $2) THEN 'orgName'
        WHEN EXISTS (
            SELECT 1 FROM application WHERE org_crt_code = g.given ->> 'orgCrtCode' AND enterprise_no <> $2
                AND org_crt_type = (g.given ->> 'orgCrtType')::smallint AND state <> 3
            UNION ALL SELECT 1 FROM particulars WHERE ent_crt_code = g.given ->> 'orgCrtCode' AND enterprise_no <> $2
        ) THEN 'orgCrtCode'
        WHEN EXISTS (
            SELECT 1 FROM application WHERE prefix = g.given ->> 'entPrefix' AND enterprise_no <> $2 AND state <> 3
            UNION ALL SELECT 1 FROM prefix WHERE name = g.given ->> 'entPrefix' AND enterprise_no IS DISTINCT FROM $2
        ) THEN 'entPrefix'
    END FROM (SELECT $1::text::jsonb AS given) g
"""


async def free_name(connection: Connection, name: str, enterprise: int) -> tuple[int, str] | None:
    """Another enterprise of which nothing is left but refused applications gives that name up: which one, and what it
    is called now.
    """
    row = await connection.fetchrow(
        """
        UPDATE enterprise e SET name = name || '#' || number WHERE name = $1 AND number <> $2
            AND EXISTS (SELECT 1 FROM application WHERE enterprise_no = e.number)
            AND NOT EXISTS (SELECT 1 FROM application WHERE enterprise_no = e.number AND state <> 3)
            AND NOT EXISTS (SELECT 1 FROM prefix WHERE enterprise_no = e.number)
        RETURNING number, name
        """,
        name,
        enterprise,
    )
    return (row[0], row[1]) if row else None


async def taken(connection: Connection, basic: Mapping[str, Any], enterprise: int) -> Refusal | None:
    """Which of an enterprise's name, certificate and prefix is another's, if one is; 0: it is not registered yet.

    What is applied for counts as taken until it is refused.
    """
    field = await connection.fetchval(_TAKEN, msgspec.json.encode(basic).decode(), enterprise)
    if field is None:
        return None
    text = basic[field]
    return Refusal(
        f"{BASIC_INFO}.{field}", f"参数{field}已属于别的企业：{text}", f"{field} is another enterprise's: {text}"
    )


def _bound(form: Form) -> str:
    """What the numbers of documents are sealed to."""
    basic = form[BASIC_INFO]
    return f"application/{basic['orgCrtType']}/{basic['orgCrtCode']}"


async def add(connection: Connection, enterprise: int, kind: Occasion, applicant: int, form: Form, vault: Vault) -> int:
    """Keeps an application, which waits for its verification; its number."""
    basic = form[BASIC_INFO]
    plain = {**form, BASIC_INFO: {name: value for name, value in basic.items() if name not in SEALED}}
    number = await connection.fetchval(
        """
        INSERT INTO application (enterprise_no, kind, state, prefix, org_crt_type, org_crt_code, form, sealed,
            applicant_no)
        VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9) RETURNING number
        """,
        enterprise,
        kind,
        PrefixState.UNVERIFIED,
        basic["entPrefix"],
        int(basic["orgCrtType"]),
        basic["orgCrtCode"],
        msgspec.json.encode(plain).decode(),
        vault.close(_bound(form), msgspec.json.encode({name: basic[name] for name in SEALED})),
        applicant,
    )
    return int(number)


@dataclass(frozen=True, slots=True)
class Application:
    """One application. `involved` are the accounts that applied and decided in this round."""

    number: int
    enterprise: int
    kind: Occasion
    state: PrefixState
    round: int
    prefix: str
    form: dict[str, dict[str, Any]]
    involved: frozenset[int]


async def found(connection: Connection, number: int, vault: Vault) -> Application | None:
    """That application, held until the transaction ends."""
    row = await connection.fetchrow(
        """
        SELECT number, enterprise_no, kind, state, round, prefix, form::text, sealed, applicant_no, ARRAY(
            SELECT account_no FROM decision d WHERE d.application_no = a.number AND d.round = a.round) AS decided
        FROM application a WHERE number = $1 FOR UPDATE
        """,
        number,
    )
    if row is None:
        return None
    state, involved = PrefixState(row["state"]), frozenset([row["applicant_no"], *row["decided"]])
    form = opened(row["form"], row["sealed"], vault)
    return Application(row[0], row[1], Occasion(row[2]), state, row[4], row[5], form, involved)


def opened(form: str, sealed: bytes, vault: Vault) -> dict[str, dict[str, Any]]:
    """The whole form; without the numbers of documents when the node's key is another one."""
    plain: dict[str, dict[str, Any]] = msgspec.json.decode(form)
    octets = vault.open(_bound(plain), sealed)
    plain[BASIC_INFO] |= msgspec.json.decode(octets) if octets else {}
    return plain


async def latest(connection: Connection, enterprise: int, vault: Vault) -> Application | None:
    """The newest application of an enterprise."""
    number = await connection.fetchval("SELECT max(number) FROM application WHERE enterprise_no = $1", enterprise)
    return await found(connection, number, vault) if number else None


async def image_before(connection: Connection, enterprise: int, number: int) -> int | None:
    """The file of the certificate that the last application handed on before this one showed; None: there was none."""
    found = await connection.fetchval(
        "SELECT (form -> 'entBasicInfo' ->> 'orgCrtImgRid')::bigint FROM application "
        "WHERE enterprise_no = $1 AND number < $2 AND state = $3 ORDER BY number DESC LIMIT 1",
        enterprise,
        number,
        PrefixState.IN_REVIEW,
    )
    return None if found is None else int(found)


async def decide(
    connection: Connection, now: Application, step: str, account: int, passed: bool, reason: str, then: PrefixState
) -> None:
    """Keeps a decision and what it makes of the application."""
    await connection.execute(
        "INSERT INTO decision (application_no, round, step, account_no, passed, reason) "
        "VALUES ($1, $2, $3, $4, $5, $6)",
        now.number,
        now.round,
        step,
        account,
        passed,
        reason,
    )
    await connection.execute("UPDATE application SET state = $2, updated = now() WHERE number = $1", now.number, then)


async def verify_again(connection: Connection, enterprise: int) -> bool:
    """Both decisions on what this enterprise applied for are to be taken anew; False: nothing of it was ever passed."""
    number = await connection.fetchval(
        "SELECT number FROM application WHERE enterprise_no = $1 AND state IN (4, 5, 6) "
        "ORDER BY state = 5, number DESC LIMIT 1 FOR UPDATE",
        enterprise,
    )
    await connection.execute(
        "UPDATE application SET state = $2, round = round + 1, updated = now() WHERE number = $1 AND state = ANY ($3)",
        number,
        PrefixState.UNVERIFIED,
        _AGAIN,
    )
    return number is not None


_LISTED: Final = """
    SELECT a.number, a.kind, a.state, a.round, a.prefix, a.enterprise_no, a.org_crt_type, a.org_crt_code, a.applied,
        a.updated, a.form -> 'entBasicInfo' ->> 'orgName' AS org_name, u.username AS applicant, p.state AS prefix_state,
        coalesce(d.refused = d.revision AND d.filed < d.revision, false) AS not_filed,
        CASE a.state WHEN 3 THEN n.reason ELSE coalesce(nullif(f.reason_zh, ''), d.reason_zh, '') END AS reason_zh,
        CASE a.state WHEN 3 THEN n.reason ELSE coalesce(nullif(f.reason_en, ''), d.reason_en, '') END AS reason_en
    FROM application a
    LEFT JOIN decision n ON n.application_no = a.number AND n.round = a.round AND NOT n.passed
    JOIN account u ON u.number = a.applicant_no
    LEFT JOIN prefix p ON p.name = a.prefix AND p.enterprise_no = a.enterprise_no
    LEFT JOIN filing f ON f.prefix_no = p.number
    LEFT JOIN particulars d ON d.enterprise_no = a.enterprise_no
"""


async def listed(
    connection: Connection, state: PrefixState | None, below: int, most: int, enterprise: int | None = None
) -> list[Any]:
    """Rows of applications in that state, of that enterprise (None: any), numbered below `below`, newest first, at most
    PAGE_MOST.
    """
    return list(
        await connection.fetch(
            f"{_LISTED} WHERE ($1::smallint IS NULL OR a.state = $1) AND a.number < $2 "
            "AND ($4::integer IS NULL OR a.enterprise_no = $4) ORDER BY a.number DESC LIMIT $3",
            state,
            below,
            min(most, PAGE_MOST),
            enterprise,
        )
    )


async def shown(connection: Connection, number: int, vault: Vault) -> tuple[Any, dict[str, dict[str, Any]]] | None:
    """The row of that application, as `listed` tells, and the whole form; None when there is none."""
    row = await connection.fetchrow(f"{_LISTED} WHERE a.number = $1", number)
    kept = await connection.fetchrow("SELECT form::text, sealed FROM application WHERE number = $1", number)
    return (row, opened(kept[0], kept[1], vault)) if row else None


async def decisions(connection: Connection, number: int) -> list[Any]:
    """Rows of (round, step, username, passed, reason, made) of an application, in order."""
    return list(
        await connection.fetch(
            "SELECT d.round, d.step, u.username, d.passed, d.reason, d.made FROM decision d "
            "JOIN account u ON u.number = d.account_no WHERE d.application_no = $1 ORDER BY d.made, d.step DESC",
            number,
        )
    )


def standing(row: Any) -> PrefixState:
    """How what was applied for stands: by the decisions here, then by what became of it with the top-level node."""
    state = PrefixState(row["state"])
    if state is not PrefixState.IN_REVIEW or row["prefix_state"] is None:
        return state
    if row["not_filed"]:
        return PrefixState.REFUSED
    prefix = PrefixState(row["prefix_state"])
    return state if prefix is PrefixState.PENDING else prefix


def prefix_standing(row: Any) -> PrefixState:
    """How a prefix stands: as itself once it was open, as what was applied for before."""
    if row["prefix_state"] is None:
        return standing(row)
    state = PrefixState(row["prefix_state"])
    return standing(row) if row["state"] is not None and state in _BEFORE else state


_BEFORE: Final = {PrefixState.PENDING, PrefixState.REFUSED}
"""States of a registered prefix in which a new application for it says more."""
