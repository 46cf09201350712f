"""Accounts and tokens in the database."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from registry.account import TOKEN_SECONDS, TOKENS_PER_ACCOUNT, Account
from registry.postgres.connection import Connection
from registry.rights import ADMINISTRATORS, Role


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account with what proves it."""

    account: Account
    password: str | None
    secret: bytes | None


def _account(number: int, username: str, kind: Any, role: str, enterprise: int | None) -> Account:
    return Account(number, username, kind, Role(role), enterprise)


async def named(connection: Connection, username: str) -> Credentials | None:
    """The enabled account called `username`."""
    row = await connection.fetchrow(
        "SELECT number, username, kind, role, enterprise_no, password, secret FROM account "
        "WHERE username = $1 AND enabled",
        username,
    )
    return Credentials(_account(*row[:5]), row["password"], row["secret"]) if row else None


async def put(
    connection: Connection,
    account: Account,
    *,
    password: str | None = None,
    secret: bytes | None = None,
) -> bool:
    """Keeps an account (`account.number` is ignored), or gives a known user name new rights and a new proof.

    Its tokens are revoked then: who holds the old proof is out. False, and nothing is done, when an administrator of
    one kind would become one of another.
    """
    async with connection.transaction():
        number = await connection.fetchval(
            """
            INSERT INTO account (username, kind, role, enterprise_no, password, secret) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (username) DO UPDATE SET kind = excluded.kind, role = excluded.role,
                enterprise_no = excluded.enterprise_no, password = excluded.password, secret = excluded.secret,
                enabled = true
            WHERE account.role = excluded.role OR NOT ARRAY[account.role, excluded.role] <@ $7::text[]
            RETURNING number
            """,
            account.username,
            account.kind,
            account.role,
            account.enterprise,
            password,
            secret,
            list(ADMINISTRATORS),
        )
        await connection.execute("DELETE FROM token WHERE account_no = $1", number)
    return number is not None


async def disable(connection: Connection, username: str) -> bool:
    """Shuts an account and revokes its tokens; False when there is none."""
    async with connection.transaction():
        number = await connection.fetchval(
            "UPDATE account SET enabled = false WHERE username = $1 RETURNING number", username
        )
        await connection.execute("DELETE FROM token WHERE account_no = $1", number)
    return number is not None


async def known(connection: Connection, username: str) -> Account | None:
    """The account called `username`, enabled or not."""
    row = await connection.fetchrow(
        "SELECT number, username, kind, role, enterprise_no FROM account WHERE username = $1", username
    )
    return _account(*row) if row else None


async def listed(connection: Connection) -> list[tuple[str, str, str, str | None, bool]]:
    """(username, kind, role, enterprise name, enabled) of every account."""
    rows = await connection.fetch(
        "SELECT a.username, a.kind, a.role, e.name, a.enabled FROM account a "
        "LEFT JOIN enterprise e ON e.number = a.enterprise_no ORDER BY 1"
    )
    return [tuple(row) for row in rows]


async def issue(connection: Connection, account: int, digest: bytes) -> None:
    """Keeps a token of `account` for TOKEN_SECONDS; what is expired or beyond TOKENS_PER_ACCOUNT goes."""
    await connection.execute(
        """
        WITH gone AS (
            DELETE FROM token WHERE account_no = $1 AND (expires <= now() OR digest IN (
                SELECT digest FROM token WHERE account_no = $1 ORDER BY issued DESC OFFSET $4 - 1))
        )
        INSERT INTO token (digest, account_no, issued, expires) VALUES ($2, $1, now(), now() + $3)
        """,
        account,
        digest,
        timedelta(seconds=TOKEN_SECONDS),
        TOKENS_PER_ACCOUNT,
    )


async def revoke(connection: Connection, digest: bytes) -> None:
    """Makes one token worthless."""
    await connection.execute("DELETE FROM token WHERE digest = $1", digest)


async def revoke_all(connection: Connection, username: str) -> int:
    """Makes every token of an account worthless; how many there were."""
    done = await connection.execute(
        "DELETE FROM token WHERE account_no = (SELECT number FROM account WHERE username = $1)", username
    )
    return int(done.rpartition(" ")[2])


async def holders(connection: Connection, digests: list[bytes]) -> dict[bytes, Account]:
    """The accounts that hold live tokens with these digests; what is expired, revoked or unknown is left out."""
    rows = await connection.fetch(
        """
        SELECT t.digest, a.number, a.username, a.kind, a.role, a.enterprise_no
        FROM token t JOIN account a ON a.number = t.account_no
        WHERE t.digest = ANY ($1) AND t.expires > now() AND a.enabled
        """,
        digests,
    )
    return {row[0]: _account(*row[1:]) for row in rows}
