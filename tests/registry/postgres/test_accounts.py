"""Proves registry/postgres/accounts.py: accounts by name, and tokens that end, are bounded and can be revoked."""

import asyncio

import asyncpg
import pytest

from registry.account import TOKEN_SECONDS, TOKENS_PER_ACCOUNT, Account, new_token
from registry.postgres import accounts
from registry.postgres.accounts import Credentials
from registry.rights import Role
from tests.registry.world import World


@pytest.fixture
async def connection(world: World):
    async with world.pool.acquire() as borrowed:
        yield borrowed


def digest(n: int) -> bytes:
    return n.to_bytes(32)


async def test_an_account_is_kept_and_changed_by_its_name(world: World, connection: asyncpg.Connection):
    enterprise = world.owner.enterprise
    await accounts.put(
        connection, Account(0, "李工", "person", Role.ENTERPRISE_ADMIN, enterprise), password="$argon2id$1"
    )
    first = await accounts.named(connection, "李工")
    number = first.account.number
    assert first == Credentials(
        Account(number, "李工", "person", Role.ENTERPRISE_ADMIN, enterprise), "$argon2id$1", None
    )
    await accounts.put(connection, Account(99, "李工", "program", Role.SYSTEM_ADMIN, None), secret=b"sealed")
    assert await accounts.named(connection, "李工") == Credentials(
        Account(number, "李工", "program", Role.SYSTEM_ADMIN, None), None, b"sealed"
    )
    assert await accounts.named(connection, "李工 ") is None


NONSENSE = [
    (Account(0, "x", "person", Role.SYSTEM_ADMIN, None), {}),
    (Account(0, "x", "person", Role.SYSTEM_ADMIN, None), {"secret": b"s"}),
    (Account(0, "x", "program", Role.SYSTEM_ADMIN, None), {"password": "p"}),
    (Account(0, "x", "program", Role.SYSTEM_ADMIN, None), {"password": "p", "secret": b"s"}),
    (Account(0, "x", "person", Role.SYSTEM_ADMIN, 1), {"password": "p"}),
]


async def test_an_account_that_makes_no_sense_is_not_kept(connection: asyncpg.Connection):
    for account, proof in NONSENSE:
        with pytest.raises(asyncpg.CheckViolationError):
            await accounts.put(connection, account, **proof)
        assert await accounts.named(connection, "x") is None


async def test_a_disabled_account_is_nobody_until_it_is_put_again(world: World, connection: asyncpg.Connection):
    await accounts.issue(connection, world.owner.number, digest(1))
    assert await accounts.disable(connection, "tianma")
    assert await accounts.named(connection, "tianma") is None
    assert await accounts.holders(connection, [digest(1)]) == {}
    await accounts.issue(connection, world.owner.number, digest(2))  # a sign-in that was under way
    assert await accounts.holders(connection, [digest(2)]) == {}
    await accounts.put(connection, world.owner, secret=b"new")
    assert (await accounts.named(connection, "tianma")).secret == b"new"
    assert await accounts.holders(connection, [digest(1), digest(2)]) == {}
    assert not await accounts.disable(connection, "nobody")


async def test_a_new_proof_revokes_the_tokens_of_that_account_alone(world: World, connection: asyncpg.Connection):
    await accounts.issue(connection, world.owner.number, digest(1))
    await accounts.issue(connection, world.admin.number, digest(2))
    await accounts.put(connection, world.owner, secret=b"new")
    assert await accounts.holders(connection, [digest(1), digest(2)]) == {digest(2): world.admin}


async def test_a_token_lives_a_day(world: World, connection: asyncpg.Connection):
    await accounts.issue(connection, world.owner.number, digest(1))
    life = await connection.fetchval("SELECT extract(epoch FROM expires - issued) FROM token")
    assert life == TOKEN_SECONDS == 24 * 3600
    await connection.execute("UPDATE token SET expires = now() + interval '1 second'")
    assert await accounts.holders(connection, [digest(1)]) == {digest(1): world.owner}
    await connection.execute("UPDATE token SET expires = now()")
    assert await accounts.holders(connection, [digest(1)]) == {}


async def test_what_is_expired_goes_with_the_next_token(world: World, connection: asyncpg.Connection):
    for n, account in enumerate((world.owner, world.owner, world.admin)):
        await accounts.issue(connection, account.number, digest(n))
    await connection.execute("UPDATE token SET expires = now() WHERE digest <> $1", digest(1))
    await accounts.issue(connection, world.owner.number, digest(9))
    kept = await connection.fetch("SELECT digest FROM token ORDER BY 1")
    assert [row[0] for row in kept] == [digest(1), digest(2), digest(9)]


async def test_an_account_has_at_most_a_thousand_tokens_and_the_oldest_goes(
    world: World, connection: asyncpg.Connection
):
    assert TOKENS_PER_ACCOUNT == 1000
    await connection.executemany(
        "INSERT INTO token "
        "VALUES ($1, $2, now() - interval '1 hour' + make_interval(secs => $3), now() + interval '1 hour')",
        [(digest(n), world.owner.number, float(n)) for n in range(TOKENS_PER_ACCOUNT)],
    )
    await accounts.issue(connection, world.admin.number, digest(5000))
    for n in range(3):
        await accounts.issue(connection, world.owner.number, digest(2000 + n))
        kept = {
            row[0]
            for row in await connection.fetch("SELECT digest FROM token WHERE account_no = $1", world.owner.number)
        }
        oldest = {digest(gone) for gone in range(n + 1)}
        assert len(kept) == TOKENS_PER_ACCOUNT
        assert not kept & oldest
        assert digest(n + 1) in kept
    assert digest(5000) in await accounts.holders(connection, [digest(5000)])


async def test_sign_ins_at_once_all_have_their_token(world: World):
    digests = [new_token()[1] for _ in range(12)]
    await asyncio.gather(*(world.steward.issue_token(world.owner.number, each) for each in digests))
    assert set(await world.lookup.holders(digests)) == set(digests)


async def test_tokens_are_revoked_one_or_all(world: World, connection: asyncpg.Connection):
    for n in range(3):
        await accounts.issue(connection, world.owner.number, digest(n))
    await accounts.issue(connection, world.admin.number, digest(3))
    everything = [digest(n) for n in range(4)]
    await accounts.revoke(connection, digest(0))
    await accounts.revoke(connection, digest(77))
    assert set(await accounts.holders(connection, everything)) == set(everything[1:])
    assert await accounts.revoke_all(connection, "tianma") == 2
    assert await accounts.revoke_all(connection, "nobody") == 0
    assert set(await accounts.holders(connection, everything)) == {digest(3)}


async def test_accounts_are_listed_by_name(connection: asyncpg.Connection):
    await accounts.disable(connection, "admin")
    assert await accounts.listed(connection) == [
        ("admin", "person", Role.SYSTEM_ADMIN, None, False, None),
        ("tianma", "program", Role.ENTERPRISE_ADMIN, "天马皮具", True, None),
    ]
