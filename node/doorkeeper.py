"""Who is at the door: signs people and programs in, and tells whose token it is. Rights are registry's to judge."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from typing import Final, TypeVar

from node.brake import Brake
from node.gather import BusyError, Gatherer, answered
from registry.account import (
    SECRET_CHARACTERS,
    USERNAME_CHARACTERS,
    Account,
    Due,
    Vault,
    hash_of_nobody,
    hash_password,
    new_token,
    password_proves,
    token_digest,
)
from registry.lookup import Lookup
from registry.postgres.accounts import Credentials
from registry.steward import Steward

T = TypeVar("T")

HASHING_LANES: Final = 1
"""Passwords hashed at once in a worker: each takes a core and 19 MiB for some 15 ms."""
HASHING_WAITING: Final = 64
"""Sign-ins waiting for that: about a second; more are told to come back."""


class DueError(Exception):
    """Whoever asks must first do something else. `account` is who."""

    def __init__(self, account: Account) -> None:
        super().__init__(f"{account.username}: {account.due}")
        self.account = account


class PasswordDueError(DueError):
    """The password is another's choice, and is to be changed first."""


_DUE: Final = {Due.PASSWORD: PasswordDueError}


def _ready(account: Account | None) -> Account | DueError | None:
    return account if account is None or account.due is None else _DUE[account.due](account)


class Doorkeeper:
    """Signs in and recognises. `today` gives the date on the node's calendar."""

    def __init__(self, lookup: Lookup, steward: Steward, vault: Vault, today: Callable[[], date], brake: Brake) -> None:
        self._steward = steward
        self._vault = vault
        self._today = today
        self._brake = brake
        self._hashing = asyncio.Semaphore(HASHING_LANES)
        self._waiting = 0

        async def holders(digests: Sequence[bytes]) -> list[Account | DueError | None]:
            found = await lookup.holders(list(set(digests)))
            return [_ready(found.get(digest)) for digest in digests]

        self._gather = Gatherer(holders, size=500, lanes=2, most=20_000)

    async def account(self, token: str) -> Account | None:
        """Whose live token this is, asked of PostgreSQL each time: a revoked one is worthless at once.

        Raises a DueError for who must do something else first.
        """
        return await answered(partial(self.tell, token))

    async def account_due(self, token: str) -> Account | None:
        """The same for what may be done whatever is due."""
        try:
            return await self.account(token)
        except DueError as error:
            return error.account

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
        return await self._issue(known, peer) if known else None

    async def change_password(self, account: Account, old: str, new: str, peer: str, token: str) -> bool:
        """Gives who knows the old password the new one; False otherwise. All its tokens but `token` are revoked.

        Raises BrakedError and BusyError as `sign_in` does. Whether `new` is good enough is for the caller to ask.
        """
        async with self._brake.trying(account.username, peer) as proven:
            known = await self._credentials(account.username, old)
            if known is None or known.password is None or not await self._hashed(known.password, old):
                return False
            proven()
        kept = await self.hashed(new)
        await self._steward.set_password(account, kept, due=False, keep=token_digest(token))
        return True

    async def _proven(self, username: str, secret: str) -> Credentials | None:
        known = await self._credentials(username, secret)
        if known and known.secret is not None:
            proven = any(self._vault.secret_proves(username, each, secret) for each in known.secrets)
        else:
            kept = known.password if known and known.password else hash_of_nobody()
            proven = await self._hashed(kept, secret)
        return known if proven else None

    async def sign_in_dated(self, username: str, digest: str, peer: str) -> str | None:
        """A fresh token for a program that knows sha256(sha256(secret) ‖ date); None otherwise. Raises BrakedError."""
        async with self._brake.trying(username, peer) as proven:
            known = await self._credentials(username, digest)
            today = self._today()
            if known is None or not any(
                self._vault.dated_digest_proves(username, each, digest, today) for each in known.secrets
            ):
                return None
            proven()
        return await self._issue(known, peer)

    async def _credentials(self, username: str, secret: str) -> Credentials | None:
        if len(username) > USERNAME_CHARACTERS or len(secret) > SECRET_CHARACTERS or "\0" in username:
            return None
        return await self._steward.credentials(username)

    async def _hashed(self, kept: str, secret: str) -> bool:
        return await self._aside(password_proves, kept, secret)

    async def hashed(self, password: str) -> str:
        """What is kept of a person's password. Raises BusyError when too many wait."""
        return await self._aside(hash_password, password)

    def sealed(self, username: str, secret: str) -> bytes:
        """What is kept of a program's secret."""
        return self._vault.seal(username, secret)

    async def _aside(self, work: Callable[..., T], *given: str) -> T:
        if self._waiting >= HASHING_WAITING:
            raise BusyError
        self._waiting += 1
        try:
            async with self._hashing:
                return await asyncio.to_thread(work, *given)
        finally:
            self._waiting -= 1

    async def _issue(self, known: Credentials, peer: str) -> str:
        token, digest = new_token()
        await self._steward.issue_token(known.account.number, digest, peer)
        return token
