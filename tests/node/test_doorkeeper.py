"""Who is at the door: people and programs, tokens and their end. On real PostgreSQL."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from node import doorkeeper as keeping
from node.brake import FAILURES_OF_ACCOUNT, FAILURES_OF_PAIR, Brake, BrakedError
from node.gather import BusyError
from registry.account import SECRET_CHARACTERS, Account, hash_password, token_digest
from registry.rights import Role
from tests.fakes.in_process import PASSWORD, SECRET, TODAY, Node, node

PEER = "192.0.2.7"


@pytest.fixture
async def made(database: str) -> AsyncIterator[Node]:
    async with node(database) as running:
        yield running


def dated(secret: str, days: int = 0) -> str:
    inner = hashlib.sha256(secret.encode()).hexdigest()
    return hashlib.sha256(f"{inner}{TODAY + timedelta(days=days):%Y-%m-%d}".encode()).hexdigest()


async def test_who_knows_the_secret_gets_a_token_that_tells_who_it_is(made: Node) -> None:
    keeper = made.house.doorkeeper
    for name, secret in (("leather", PASSWORD), ("AK-leather", SECRET), ("admin", PASSWORD)):
        token = await keeper.sign_in(name, secret, PEER)
        assert token is not None
        account = await keeper.account(token)
        assert account is not None
        assert account.username == name


async def test_who_does_not_gets_none(made: Node) -> None:
    strangers = [
        ("leather", "wrong"),
        ("leather", ""),
        ("AK-leather", "wrong"),
        ("AK-leather", SECRET.upper()),
        ("nobody", PASSWORD),
        ("", PASSWORD),
        ("Leather", PASSWORD),
        ("x" * 51, PASSWORD),
        ("leather", PASSWORD + "x" * SECRET_CHARACTERS),
        ("lea\0ther", PASSWORD),
        ("leather", hashlib.sha256(PASSWORD.encode()).hexdigest()),
    ]
    tokens = [await made.house.doorkeeper.sign_in(*each, PEER) for each in strangers]
    assert tokens == [None] * len(strangers)


async def test_the_longest_secret_the_openapi_allows_works(made: Node) -> None:
    secret = "长" * SECRET_CHARACTERS
    account = Account(0, "x" * 50, "person", Role.SYSTEM_ADMIN, None)
    await made.house.steward.put_account(account, password=hash_password(secret))
    assert await made.house.doorkeeper.sign_in("x" * 50, secret, PEER) is not None


async def test_programs_may_sign_in_with_a_digest_of_the_day_or_its_neighbours(made: Node) -> None:
    for given in (dated(SECRET, -1), dated(SECRET), dated(SECRET, 1), dated(SECRET).upper()):
        assert await made.house.doorkeeper.sign_in_dated("AK-leather", given, PEER) is not None


async def test_nobody_else_may(made: Node) -> None:
    keeper = made.house.doorkeeper
    refused = [
        ("AK-leather", dated(SECRET, -2)),
        ("AK-leather", dated(SECRET, 2)),
        ("AK-leather", dated("wrong")),
        ("AK-leather", SECRET),
        ("AK-leather", ""),
        ("AK-leather", "标识"),
        ("nobody", dated(SECRET)),
        ("leather", dated(PASSWORD)),
    ]
    assert [await keeper.sign_in_dated(*each, PEER) for each in refused] == [None] * len(refused)


async def test_only_programs_are_known_without_signing_in(made: Node) -> None:
    keeper = made.house.doorkeeper
    known = await keeper.program("AK-leather", SECRET, PEER)
    assert known is not None
    assert known.username == "AK-leather"
    refused = [("leather", PASSWORD), ("AK-leather", "wrong"), ("AK-leather", dated(SECRET)), ("nobody", SECRET)]
    assert [await keeper.program(*each, PEER) for each in refused] == [None] * len(refused)


async def test_a_digest_is_no_secret_at_the_other_door(made: Node) -> None:
    assert await made.house.doorkeeper.sign_in("AK-leather", dated(SECRET), PEER) is None


async def test_what_is_no_token_of_ours_is_nobody(made: Node) -> None:
    for token in ("", "garbage", "标识", "\udc80", "a" * 10_000, "eyJhbGciOiJIUzI1NiJ9.e30.x"):
        assert await made.house.doorkeeper.account(token) is None


async def test_a_token_ends_at_once_when_it_is_revoked_expires_or_its_account_is_shut(made: Node) -> None:
    keeper, steward = made.house.doorkeeper, made.house.steward

    async def fresh() -> str:
        token = await keeper.sign_in("leather", PASSWORD, PEER)
        assert token is not None
        return token

    first, second = await fresh(), await fresh()
    await steward.revoke_token(token_digest(first))
    assert await keeper.account(first) is None
    assert await keeper.account(second) is not None
    async with made.registry.pool.acquire() as connection:
        await connection.execute("UPDATE token SET expires = now() WHERE digest = $1", token_digest(second))
    assert await keeper.account(second) is None
    third = await fresh()
    await steward.disable_account("leather")
    assert await keeper.account(third) is None
    assert await keeper.sign_in("leather", PASSWORD, PEER) is None


async def test_tokens_are_looked_up_many_at_a_time(made: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    holders = made.registry.lookup.holders

    async def counted(digests: list[bytes]) -> Any:
        asked.append(len(digests))
        return await holders(digests)

    monkeypatch.setattr(made.registry.lookup, "holders", counted)
    tokens = [*made.tokens.values(), *(f"garbage {n}" for n in range(30))]
    found = await asyncio.gather(*(made.house.doorkeeper.account(token) for token in tokens))
    assert sum(account is not None for account in found) == len(made.tokens)
    assert asked == [len(tokens)]


async def test_a_flood_of_sign_ins_is_told_to_come_back(made: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "HASHING_WAITING", 3)
    gate = asyncio.Event()

    async def held(*_: object) -> bool:
        await gate.wait()
        return True

    with monkeypatch.context() as patch:
        patch.setattr(keeping.asyncio, "to_thread", held)
        asking = [asyncio.create_task(made.house.doorkeeper.sign_in("leather", PASSWORD, PEER)) for _ in range(6)]
        refused, waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_EXCEPTION)
        while len(refused) < 3:
            more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            refused |= more
        assert {type(task.exception()) for task in refused} == {BusyError}
        gate.set()
        assert None not in await asyncio.gather(*waiting)
    assert await made.house.doorkeeper.sign_in("leather", PASSWORD, PEER) is not None


async def test_passwords_are_hashed_off_the_loop_and_so_few_at_a_time(
    made: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, most = 0, 0
    to_thread = asyncio.to_thread

    async def counted(*arguments: Any) -> Any:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        try:
            return await to_thread(*arguments)
        finally:
            inside -= 1

    monkeypatch.setattr(keeping.asyncio, "to_thread", counted)
    results: Sequence[str | None] = await asyncio.gather(
        *(made.house.doorkeeper.sign_in("leather", PASSWORD, PEER) for _ in range(5))
    )
    assert None not in results
    assert len(set(results)) == 5
    assert most == keeping.HASHING_LANES


async def test_an_unknown_name_costs_as_much_as_a_wrong_password(made: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    proves = keeping.password_proves

    def noted(kept: str, secret: str) -> bool:
        hashed.append(kept[:30])
        return proves(kept, secret)

    monkeypatch.setattr(keeping, "password_proves", noted)
    account = Account(0, "somebody", "person", Role.SYSTEM_ADMIN, None)
    await made.house.steward.put_account(account, password=hash_password("right"))
    for name in ("nobody", "somebody"):
        await made.house.doorkeeper.sign_in(name, "wrong", PEER)
    assert len(hashed) == 2
    assert hashed[0] == hashed[1], "the same costs"


async def test_who_guesses_is_braked_at_both_doors_and_only_where_it_guesses(made: Node) -> None:
    keeper = made.house.doorkeeper
    for _ in range(FAILURES_OF_PAIR):
        assert await keeper.sign_in("AK-leather", "wrong", PEER) is None
    for sign_in, given in ((keeper.sign_in, SECRET), (keeper.sign_in_dated, dated(SECRET))):
        with pytest.raises(BrakedError):
            await sign_in("AK-leather", given, PEER)
        assert await sign_in("AK-leather", given, "192.0.2.8") is not None
    assert await keeper.sign_in("leather", PASSWORD, PEER) is not None


async def test_guesses_from_everywhere_keep_nobody_out_at_its_own_address_at_any_worker(made: Node) -> None:
    """What this worker saw is gone with a new brake, as at another worker or after a restart; the tokens are there."""
    keeper = made.house.doorkeeper
    assert await keeper.sign_in("AK-leather", SECRET, "2001:db8:1:2::7") is not None
    keeper._brake = Brake(lambda: 0.0)
    for n in range(FAILURES_OF_ACCOUNT):
        assert await keeper.sign_in("AK-leather", "wrong", f"198.51.{n % 100}.1") is None
    with pytest.raises(BrakedError):
        await keeper.sign_in("AK-leather", SECRET, "192.0.2.99")
    assert await keeper.program("AK-leather", SECRET, "2001:db8:1:2::9") is not None, "of one end site"
    assert await keeper.sign_in("AK-leather", SECRET, "2001:db8:1:2::8") is not None
    for name in ("\0", "nobody"):
        for n in range(FAILURES_OF_ACCOUNT):
            await keeper.sign_in_dated(name, "wrong", f"198.52.{n}.1")
        with pytest.raises(BrakedError):
            await keeper.sign_in(name, SECRET, "192.0.2.99")
