"""Accounts and tokens in the database."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from registry.account import ACCOUNTS_MOST, TOKEN_SECONDS, TOKENS_PER_ACCOUNT, Account, Due
from registry.challenge import CHALLENGE_SECONDS, CHALLENGES_MOST
from registry.postgres.connection import Connection
from registry.rights import ADMINISTRATORS, OF_ENTERPRISES, Role
from registry.totp import WRONG_MOST, WRONG_SECONDS


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account with what proves it."""

    account: Account
    password: str | None
    secret: bytes | None
    older: bytes | None = None
    """The secret before, while it is still good."""
    totp: bytes | None = None
    """The key of one-time codes, sealed; None if it is not asked for any."""
    totp_offered: bytes | None = None
    """A key that is not confirmed yet, sealed."""
    totp_step: int = 0
    """The step of the last code that was taken."""
    public_key: bytes | None = None
    """The key a program may sign in with (registry/challenge.py)."""

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """A program's secrets, sealed, the newest first."""
        return tuple(each for each in (self.secret, self.older) if each is not None)


def _account(
    number: int, username: str, kind: Any, role: str, enterprise: int | None, due: str | None = None
) -> Account:
    return Account(number, username, kind, Role(role), enterprise, Due(due) if due else None)


async def named(connection: Connection, username: str) -> Credentials | None:
    """The enabled account called `username`."""
    row = await connection.fetchrow(
        "SELECT number, username, kind, role, enterprise_no, password, secret, "
        "CASE WHEN older_until > now() THEN older_secret END AS older, totp, totp_offered, totp_step, "
        "public_key FROM account WHERE username = $1 AND enabled",
        username,
    )
    return Credentials(_account(*row[:5]), *row[5:]) if row else None


async def put(
    connection: Connection,
    account: Account,
    *,
    password: str | None = None,
    secret: bytes | None = None,
    due: bool = False,
    person: str | None = None,
) -> bool:
    """Keeps an account (`account.number` is ignored), or gives a known user name new rights and a new proof.

    `due`: the password is to be changed first. Its tokens are revoked then: who holds the old proof is out. False, and
    nothing is done, when an administrator of one kind would become one of another. `person` is who stands behind it,
    None leaves that as it is. Raises UniqueViolationError when that person is an administrator already.
    """
    async with connection.transaction():
        number = await connection.fetchval(
            """
            INSERT INTO account (username, kind, role, enterprise_no, password, secret, password_due, person)
            VALUES ($1, $2, $3, $4, $5, $6, $8, $9)
            ON CONFLICT (username) DO UPDATE SET kind = excluded.kind, role = excluded.role,
                enterprise_no = excluded.enterprise_no, password = excluded.password, secret = excluded.secret,
                password_due = excluded.password_due, older_secret = NULL, older_until = NULL, enabled = true,
                shut_by_node = false, person = coalesce(excluded.person, account.person),
                totp = CASE WHEN excluded.kind = 'person' THEN account.totp END, totp_offered = NULL,
                public_key = CASE WHEN excluded.kind = 'program' THEN account.public_key END
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
            due,
            person,
        )
        await connection.execute("DELETE FROM token WHERE account_no = $1", number)
    return number is not None


async def add_user(connection: Connection, account: Account, password: str, given: Mapping[str, Any]) -> int | str:
    """Keeps a new person with what is `given` of it (SNMS OpenAPI, `sysUser`); its number, or the field another has."""
    number = await connection.fetchval(
        """
        INSERT INTO account (username, kind, role, enterprise_no, password, email, mobile, open_id, open_user_name,
            remarks)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING number
        """,
        account.username,
        account.kind,
        account.role,
        account.enterprise,
        password,
        given["email"],
        given["mobile"],
        given.get("openId"),
        given.get("openUserName"),
        given.get("remarks", ""),
    )
    if number is not None:
        return int(number)
    return str(
        await connection.fetchval(
            "SELECT CASE WHEN username = $1 THEN 'userName' WHEN email = $2 THEN 'email' ELSE 'mobile' END "
            "FROM account WHERE username = $1 OR email = $2 OR mobile = $3 "
            "ORDER BY username <> $1, email <> $2 LIMIT 1",
            account.username,
            given["email"],
            given["mobile"],
        )
    )


async def join(connection: Connection, account: int, enterprise: int) -> None:
    """An account that waited for its enterprise belongs to it now."""
    await connection.execute("UPDATE account SET enterprise_no = $2 WHERE number = $1", account, enterprise)


async def disable(connection: Connection, username: str) -> bool:
    """Shuts an account, for the node, and revokes its tokens; False when there is none."""
    async with connection.transaction():
        number = await connection.fetchval(
            "UPDATE account SET enabled = false, shut_by_node = true WHERE username = $1 RETURNING number", username
        )
        await connection.execute("DELETE FROM token WHERE account_no = $1", number)
    return number is not None


async def standing(connection: Connection, username: str) -> tuple[Account, bool] | None:
    """The account called `username`, held until the transaction ends, and whether it is enabled."""
    row = await connection.fetchrow(
        "SELECT number, username, kind, role, enterprise_no, enabled FROM account WHERE username = $1 FOR UPDATE",
        username,
    )
    return (_account(*row[:5]), row[5]) if row else None


async def known(connection: Connection, username: str) -> Account | None:
    """The account called `username`, enabled or not."""
    row = await connection.fetchrow(
        "SELECT number, username, kind, role, enterprise_no FROM account WHERE username = $1", username
    )
    return _account(*row) if row else None


async def of_same_people(connection: Connection, numbers: Iterable[int]) -> frozenset[int]:
    """Those accounts, and all others behind which, as far as is known, the same people stand."""
    rows = await connection.fetch(
        "SELECT number FROM account WHERE number = ANY ($1) "
        "OR person IN (SELECT person FROM account WHERE number = ANY ($1))",
        list(numbers),
    )
    return frozenset(row[0] for row in rows)


async def listed(connection: Connection) -> list[tuple[str, str, str, str | None, bool, str | None]]:
    """(username, kind, role, enterprise name, enabled, person) of every account."""
    rows = await connection.fetch(
        "SELECT a.username, a.kind, a.role, e.name, a.enabled, a.person FROM account a "
        "LEFT JOIN enterprise e ON e.number = a.enterprise_no ORDER BY 1"
    )
    return [tuple(row) for row in rows]


async def add(
    connection: Connection, account: Account, *, password: str | None = None, secret: bytes | None = None
) -> bool:
    """Keeps a new account (`account.number` is ignored), whose password is to be changed first; False when the user
    name is taken, or the enterprise has ACCOUNTS_MOST.
    """
    number = await connection.fetchval(
        "INSERT INTO account (username, kind, role, enterprise_no, password, secret, password_due) "
        "SELECT $1, $2, $3, $4, $5, $6, $7 WHERE (SELECT count(*) FROM account WHERE enterprise_no = $4) < $8 "
        "ON CONFLICT (username) DO NOTHING RETURNING number",
        account.username,
        account.kind,
        account.role,
        account.enterprise,
        password,
        secret,
        password is not None,
        ACCOUNTS_MOST,
    )
    return number is not None


async def shut_by_node(connection: Connection, number: int) -> bool:
    """Whether it was the node that shut an account."""
    return bool(await connection.fetchval("SELECT shut_by_node FROM account WHERE number = $1", number))


async def change(
    connection: Connection, number: int, role: Role | None, enabled: bool | None, *, by_node: bool
) -> bool:
    """Gives an account another role, shuts it or opens it again, and revokes its tokens; None leaves a thing as it is.
    What the node has shut stays its to open, whoever shuts it once more.

    False, and nothing is done, when an administrator of one kind would become one of another. Raises as `put` does.
    """
    async with connection.transaction():
        changed = await connection.fetchval(
            "UPDATE account SET role = coalesce($2, role), enabled = coalesce($3, enabled), "
            "shut_by_node = CASE $3 WHEN true THEN false WHEN false THEN shut_by_node OR $5 ELSE shut_by_node END "
            "WHERE number = $1 AND ($2::text IS NULL OR role = $2 OR NOT ARRAY[role, $2] <@ $4::text[]) "
            "RETURNING number",
            number,
            role,
            enabled,
            list(ADMINISTRATORS),
            by_node,
        )
        await connection.execute("DELETE FROM token WHERE account_no = $1", changed)
    return changed is not None


async def set_password(
    connection: Connection, number: int, password: str, *, due: bool, keep: bytes | None = None
) -> None:
    """Gives a person another password; its tokens are revoked, but for the one with the digest `keep`."""
    async with connection.transaction():
        await connection.execute(
            "UPDATE account SET password = $2, password_due = $3 WHERE number = $1", number, password, due
        )
        await connection.execute("DELETE FROM token WHERE account_no = $1 AND digest IS DISTINCT FROM $2", number, keep)


async def set_key(connection: Connection, number: int, key: bytes | None) -> None:
    """Gives a program another public key, or none; its tokens are revoked: who holds the old one is out."""
    await connection.execute("UPDATE account SET public_key = $2 WHERE number = $1", number, key)
    await connection.execute("DELETE FROM token WHERE account_no = $1", number)


async def challenge(connection: Connection, number: int, text: str) -> str:
    """Keeps `text` as a challenge to the account for CHALLENGE_SECONDS; what it is to sign, which is the newest one
    that is kept if it has CHALLENGES_MOST.
    """
    return str(
        await connection.fetchval(
            """
            WITH gone AS (DELETE FROM challenge WHERE account_no = $1 AND expires <= now()),
            live AS (SELECT text, expires FROM challenge WHERE account_no = $1 AND expires > now()),
            made AS (
                INSERT INTO challenge SELECT $1, $2, now() + $3 WHERE (SELECT count(*) FROM live) < $4 RETURNING text
            )
            SELECT coalesce((SELECT text FROM made), (SELECT text FROM live ORDER BY expires DESC LIMIT 1))
            """,
            number,
            text,
            timedelta(seconds=CHALLENGE_SECONDS),
            CHALLENGES_MOST,
        )
    )


async def challenges(connection: Connection, number: int) -> list[str]:
    """The live challenges to an account, newest first."""
    rows = await connection.fetch(
        "SELECT text FROM challenge WHERE account_no = $1 AND expires > now() ORDER BY expires DESC", number
    )
    return [row[0] for row in rows]


async def take_challenge(connection: Connection, number: int, text: str) -> bool:
    """Uses a challenge up; False when it was, or has ended."""
    done = await connection.execute(
        "DELETE FROM challenge WHERE account_no = $1 AND text = $2 AND expires > now()", number, text
    )
    return bool(done == "DELETE 1")


async def offer_totp(connection: Connection, number: int, sealed: bytes) -> None:
    """Keeps a key of one-time codes until it is confirmed."""
    await connection.execute("UPDATE account SET totp_offered = $2 WHERE number = $1", number, sealed)


async def confirm_totp(connection: Connection, number: int, offered: bytes, step: int, keep: bytes) -> bool:
    """Asks for codes of the key `offered` from now on, for those after `step`; revokes all tokens but that with the
    digest `keep`. False when another key was offered meanwhile.
    """
    async with connection.transaction():
        confirmed = await connection.fetchval(
            "UPDATE account SET totp = totp_offered, totp_offered = NULL, totp_step = $3, totp_wrong = 0 "
            "WHERE number = $1 AND totp_offered = $2 RETURNING number",
            number,
            offered,
            step,
        )
        await connection.execute("DELETE FROM token WHERE account_no = $1 AND digest <> $2", confirmed, keep)
    return confirmed is not None


async def remove_totp(connection: Connection, number: int) -> bool:
    """Asks for no codes any more, and revokes the tokens; False when none were asked for."""
    async with connection.transaction():
        removed = await connection.fetchval(
            "UPDATE account SET totp = NULL, totp_offered = NULL WHERE number = $1 AND totp IS NOT NULL "
            "RETURNING number",
            number,
        )
        await connection.execute("DELETE FROM token WHERE account_no = $1", removed)
    return removed is not None


async def take_totp(connection: Connection, number: int, step: int | None) -> bool:
    """Takes a code, of `step`, or None for a wrong one, which is counted.

    False when it is wrong, was taken before, or too many were wrong of late (registry/totp.py).
    """
    if step is None:
        await connection.execute(
            "UPDATE account SET totp_tried = now(), totp_wrong = "
            "CASE WHEN totp_tried > now() - $2::interval THEN least(totp_wrong + 1, $3) ELSE 1 END WHERE number = $1",
            number,
            timedelta(seconds=WRONG_SECONDS),
            WRONG_MOST,
        )
        return False
    taken = await connection.fetchval(
        "UPDATE account SET totp_step = $2, totp_wrong = 0 WHERE number = $1 AND totp_step < $2 "
        "AND (totp_wrong < $4 OR totp_tried <= now() - $3::interval) RETURNING number",
        number,
        step,
        timedelta(seconds=WRONG_SECONDS),
        WRONG_MOST,
    )
    return taken is not None


async def rotate(connection: Connection, number: int, secret: bytes, overlap: int) -> datetime | None:
    """Gives a program another secret; when the one before ends, `overlap` seconds from now, which None is when it is 0.

    The one before that ends at once: a program has two at most. With no overlap its tokens are revoked, too.
    """
    async with connection.transaction():
        until = await connection.fetchval(
            "UPDATE account SET older_secret = CASE WHEN $3 > interval '0' THEN secret END, "
            "older_until = CASE WHEN $3 > interval '0' THEN now() + $3 END, secret = $2 "
            "WHERE number = $1 RETURNING older_until",
            number,
            secret,
            timedelta(seconds=overlap),
        )
        if until is None:
            await connection.execute("DELETE FROM token WHERE account_no = $1", number)
    return cast("datetime | None", until)


async def page(
    connection: Connection, enterprise: int | None, after: str, most: int, *, firms: bool
) -> list[dict[str, Any]]:
    """Accounts behind the user name `after`; of one enterprise, unless None; with `firms` of enterprises alone."""
    rows = await connection.fetch(
        """
        SELECT a.username, a.person, a.kind, a.role, e.name AS enterprise, a.enabled, a.created,
               a.password_due AS "passwordDue", a.totp IS NOT NULL AS "secondFactor",
               a.public_key IS NOT NULL AS "publicKey",
               CASE WHEN a.older_until > now() THEN a.older_until END AS "olderSecretUntil",
               (SELECT count(*) FROM token t WHERE t.account_no = a.number AND t.expires > now()) AS tokens
        FROM account a LEFT JOIN enterprise e ON e.number = a.enterprise_no
        WHERE a.username > $1 AND ($2::integer IS NULL OR a.enterprise_no = $2)
          AND (NOT $3 OR a.role = ANY ($4)) ORDER BY a.username LIMIT $5
        """,
        after,
        enterprise,
        firms,
        list(OF_ENTERPRISES),
        most,
    )
    return [dict(row) for row in rows]


async def tokens(connection: Connection, number: int) -> list[dict[str, Any]]:
    """The live tokens of an account, newest first: when each was given and ends, and where it was asked for."""
    rows = await connection.fetch(
        "SELECT encode(digest, 'hex') AS id, issued, expires, peer FROM token "
        "WHERE account_no = $1 AND expires > now() ORDER BY issued DESC",
        number,
    )
    return [dict(row) for row in rows]


async def places(connection: Connection, username: str) -> list[str]:
    """The addresses tokens of an account were asked for from, of the last day at least: it has TOKENS_PER_ACCOUNT."""
    rows = await connection.fetch(
        "SELECT DISTINCT peer FROM token WHERE account_no = (SELECT number FROM account WHERE username = $1)", username
    )
    return [row[0] for row in rows]


async def revoke_of(connection: Connection, number: int, digest: bytes) -> bool:
    """Makes one token of an account worthless; False when it has none with that digest."""
    done = await connection.execute("DELETE FROM token WHERE account_no = $1 AND digest = $2", number, digest)
    return bool(done == "DELETE 1")


async def issue(connection: Connection, account: int, digest: bytes, peer: str = "") -> None:
    """Keeps a token of `account`, asked for from the address `peer`, for TOKEN_SECONDS; what is expired or beyond
    TOKENS_PER_ACCOUNT goes.
    """
    await connection.execute(
        """
        WITH gone AS (
            DELETE FROM token WHERE account_no = $1 AND (expires <= now() OR digest IN (
                SELECT digest FROM token WHERE account_no = $1 ORDER BY issued DESC OFFSET $4 - 1))
        )
        INSERT INTO token (digest, account_no, issued, expires, peer) VALUES ($2, $1, now(), now() + $3, $5)
        """,
        account,
        digest,
        timedelta(seconds=TOKEN_SECONDS),
        TOKENS_PER_ACCOUNT,
        peer,
    )


async def revoke(connection: Connection, digest: bytes) -> str | None:
    """Makes one token worthless; whose it was, None when there is none."""
    owner = await connection.fetchval(
        "DELETE FROM token t USING account a WHERE t.digest = $1 AND a.number = t.account_no RETURNING a.username",
        digest,
    )
    return str(owner) if owner is not None else None


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
        SELECT t.digest, a.number, a.username, a.kind, a.role, a.enterprise_no,
               CASE WHEN a.password_due THEN 'password'
                    WHEN a.totp IS NULL AND a.kind = 'person' AND a.role = ANY ($2) THEN 'second_factor' END
        FROM token t JOIN account a ON a.number = t.account_no
        WHERE t.digest = ANY ($1) AND t.expires > now() AND a.enabled
        """,
        digests,
        list(ADMINISTRATORS),
    )
    return {row[0]: _account(*row[1:]) for row in rows}
