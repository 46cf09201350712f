"""Who is at the door: signs people and programs in, and tells whose token it is. Rights are registry's to judge."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from typing import Final

from node.brake import Brake
from node.gather import BusyError, Gatherer, answered
from registry.account import (
    SECRET_CHARACTERS,
    USERNAME_CHARACTERS,
    Account,
    Vault,
    hash_of_nobody,
    new_token,
    password_proves,
    token_digest,
)
from registry.lookup import Lookup
from registry.postgres.accounts import Credentials
from registry.steward import Steward

HASHING_LANES: Final = 1
"""Passwords hashed at once in a worker: each takes a core and 19 MiB for some 15 ms."""
HASHING_WAITING: Final = 64
"""Sign-ins waiting for that: about a second; more are told to come back."""


class Doorkeeper:
    """Signs in and recognises. `today` gives the date on the node's calendar."""

    def __init__(self, lookup: Lookup, steward: Steward, vault: Vault, today: Callable[[], date], brake: Brake) -> None:
        self._steward = steward
        self._vault = vault
        self._today = today
        self._brake = brake
        self._hashing = asyncio.Semaphore(HASHING_LANES)
        self._waiting = 0

        async def holders(digests: Sequence[bytes]) -> list[Account | None]:
            found = await lookup.holders(list(set(digests)))
            return [found.get(digest) for digest in digests]

        self._gather = Gatherer(holders, size=500, lanes=2, most=20_000)

    async def account(self, token: str) -> Account | None:
        """Whose live token this is, asked of PostgreSQL each time: a revoked one is worthless at once."""
        return await answered(partial(self.tell, token))

    def tell(self, token: str, then: Callable[[Account | Exception | None], None]) -> None:
        """Tells `then` what `account` answers or raises, at once if there is no token."""
        if not token:
            then(None)
            return
        self._gather.ask([token_digest(token)], lambda _, found: then(found))

    async def sign_in(self, username: str, secret: str, peer: str) -> str | None:
        """A fresh token for who, at the address `peer`, knows the password or secret; None otherwise.

        Raises BrakedError when too many have failed, BusyError when too many wait.
        """
        async with self._brake.trying(username, peer) as proven:
            known = await self._proven(username, secret)
            if known:
                proven()
        return await self._issue(known) if known else None

    async def _proven(self, username: str, secret: str) -> Credentials | None:
        known = await self._credentials(username, secret)
        if known and known.secret is not None:
            proven = self._vault.secret_proves(username, known.secret, secret)
        else:
            kept = known.password if known and known.password else hash_of_nobody()
            proven = await self._hashed(kept, secret)
        return known if proven else None

    async def sign_in_dated(self, username: str, digest: str, peer: str) -> str | None:
        """A fresh token for a program that knows sha256(sha256(secret) ‖ date); None otherwise. Raises BrakedError."""
        async with self._brake.trying(username, peer) as proven:
            known = await self._credentials(username, digest)
            if known is None or known.secret is None:
                return None
            if not self._vault.dated_digest_proves(username, known.secret, digest, self._today()):
                return None
            proven()
        return await self._issue(known)

    async def program(self, username: str, secret: str, peer: str) -> Account | None:
        """The program that knows its secret, without a token; None for all others. Raises as `sign_in` does.

        People have to sign in: more than a password may be asked of them then.
        """
        async with self._brake.trying(username, peer) as proven:
            known = await self._proven(username, secret)
            if known is None or known.secret is None:
                return None
            proven()
        return known.account

    async def _credentials(self, username: str, secret: str) -> Credentials | None:
        if len(username) > USERNAME_CHARACTERS or len(secret) > SECRET_CHARACTERS or "\0" in username:
            return None
        return await self._steward.credentials(username)

    async def _hashed(self, kept: str, secret: str) -> bool:
        if self._waiting >= HASHING_WAITING:
            raise BusyError
        self._waiting += 1
        try:
            async with self._hashing:
                return await asyncio.to_thread(password_proves, kept, secret)
        finally:
            self._waiting -= 1

    async def _issue(self, known: Credentials) -> str:
        token, digest = new_token()
        await self._steward.issue_token(known.account.number, digest)
        return token
