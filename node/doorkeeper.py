"""Who is at the door: signs people and programs in, and tells whose token it is. Rights are registry's to judge."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date
from functools import partial
from typing import Final, Self, TypeVar

from node import clock
from node.brake import Brake
from node.calls import Calls
from node.config import Config
from node.gather import BusyError, Gatherer, answered
from proto.forwarded_for import end_site
from registry import totp
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
from registry.audit import Actor
from registry.challenge import CHALLENGE_OCTETS
from registry.challenge import answered as answered_challenge
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


class SecondFactorDueError(DueError):
    """An administrator without a second factor, where it must have one."""


_DUE: Final = {Due.PASSWORD: PasswordDueError, Due.SECOND_FACTOR: SecondFactorDueError}


def _totp_name(username: str) -> str:
    """What a key of one-time codes is sealed under: nothing else that is kept of the account fits there."""
    return f"totp:{username}"


class Doorkeeper:
    """Signs in and recognises. `today` gives the date on the node's calendar, `now` seconds since 1970 UTC; who is
    recognised counts with `calls`.

    With `second_factor`, administrators must have one before they may do anything else.
    """

    def __init__(
        self,
        lookup: Lookup,
        steward: Steward,
        vault: Vault,
        today: Callable[[], date],
        brake: Brake,
        now: Callable[[], int],
        calls: Calls,
        *,
        second_factor: bool,
    ) -> None:
        self._steward = steward
        self._vault = vault
        self.today = today
        self._brake = brake
        self._now = now
        self._errors = {due: error for due, error in _DUE.items() if second_factor or due is not Due.SECOND_FACTOR}
        self.calls = calls
        self._hashing = asyncio.Semaphore(HASHING_LANES)
        self._waiting = 0

        async def holders(digests: Sequence[bytes]) -> list[Account | DueError | None]:
            found = await lookup.holders(list(set(digests)))
            return [self._ready(found.get(digest)) for digest in digests]

        self._gather = Gatherer(holders, size=500, lanes=2, most=20_000)

    @classmethod
    def of(cls, config: Config, lookup: Lookup, steward: Steward) -> Self:
        """The one the settings ask for."""
        return cls(
            lookup,
            steward,
            Vault(config.key()),
            partial(clock.today, config.zone),
            Brake(clock.monotonic),
            clock.seconds,
            Calls(steward, partial(clock.local, config.zone)),
            second_factor=config.second_factor != "enrolled",
        )

    def _ready(self, account: Account | None) -> Account | DueError | None:
        error = self._errors.get(account.due) if account is not None and account.due is not None else None
        return account if account is None or error is None else error(account)

    async def account(self, token: str, *, counted: bool = True) -> Account | None:
        """Whose live token this is, asked of PostgreSQL each time: a revoked one is worthless at once.

        Raises a DueError for who must do something else first, and CallsSpentError if its enterprise may make no more
        calls today, unless this is not to be `counted`.
        """
        return await answered(partial(self.tell if counted else self._tell, token))

    async def account_due(self, token: str) -> Account | None:
        """The same for what may be done whatever is due."""
        try:
            return await self.account(token)
        except DueError as error:
            return error.account

    def tell(self, token: str, then: Callable[[Account | Exception | None], None]) -> None:
        """Tells `then` what `account` answers or raises, at once if there is no token."""
        self._tell(token, lambda found: then(self.calls.counted(found)))

    def _tell(self, token: str, then: Callable[[Account | Exception | None], None]) -> None:
        if not token:
            then(None)
            return
        self._gather.ask([token_digest(token)], lambda _, found: then(found))

    async def sign_in(self, username: str, secret: str, peer: str) -> str | None:
        """A fresh token for who, at the address `peer`, knows the password or secret; None otherwise.

        Raises BrakedError when too many have failed, BusyError when too many wait.
        """
        async with self._trying(username, peer) as proven:
            known = await self._proven(username, secret)
            if known:
                proven()
        return await self._issue(known, peer) if known else None

    async def change_password(self, account: Account, old: str, new: str, peer: str, token: str) -> bool:
        """Gives who knows the old password the new one; False otherwise. All its tokens but `token` are revoked.

        Raises BrakedError and BusyError as `sign_in` does. Whether `new` is good enough is for the caller to ask.
        """
        async with self._trying(account.username, peer) as proven:
            known = await self._credentials(account.username, old)
            if known is None or known.password is None or not await self._hashed(known.password, old):
                return False
            proven()
        kept = await self.hashed(new)
        mine = self._steward.by(Actor.of(account, peer))
        await mine.set_password(account, kept, due=False, keep=token_digest(token))
        return True

    async def offer_second_factor(self, account: Account, secret: str, peer: str) -> bytes | None:
        """A fresh key of one-time codes for who knows the secret it signs in with; None otherwise. It is asked for
        codes of it once it has confirmed one. Raises BrakedError and BusyError as `sign_in` does.
        """
        async with self._trying(account.username, peer) as proven:
            if await self._proven(account.username, secret) is None:
                return None
            proven()
        key = secrets.token_bytes(totp.KEY_OCTETS)
        await self._steward.offer_totp(account, self._vault.close(_totp_name(account.username), key))
        return key

    async def confirm_second_factor(self, account: Account, code: str, token: str, peer: str) -> bool:
        """Asks for codes of the key that was offered from now on, if `code` is one; all tokens but `token` are
        revoked.
        """
        known = await self._steward.credentials(account.username)
        if known is None or known.totp_offered is None:
            return False
        step = totp.matching(self._totp_key(account.username, known.totp_offered), code, self._now(), 0)
        if step is None:
            return False
        mine = self._steward.by(Actor.of(account, peer))
        return await mine.confirm_totp(account, known.totp_offered, step, token_digest(token))

    async def _proven(self, username: str, secret: str) -> Credentials | None:
        known = await self._credentials(username, secret)
        if known and known.secret is not None:
            proven = any(self._vault.secret_proves(username, each, secret) for each in known.secrets)
        elif known and known.totp is not None:
            proven = await self._both(known, known.totp, *totp.parted(secret))
        else:
            kept = known.password if known and known.password else hash_of_nobody()
            proven = await self._hashed(kept, secret)
        return known if proven else None

    async def _both(self, known: Credentials, sealed: bytes, password: str, code: str) -> bool:
        """Whether password and one-time code are right; no code is looked at behind a wrong password."""
        if not await self._hashed(known.password or hash_of_nobody(), password):
            return False
        key = self._totp_key(known.account.username, sealed)
        step = totp.matching(key, code, self._now(), known.totp_step) if key else None
        return await self._steward.take_totp(known.account, step)

    def _totp_key(self, username: str, sealed: bytes) -> bytes:
        return self._vault.open(_totp_name(username), sealed)

    async def sign_in_dated(self, username: str, digest: str, peer: str) -> str | None:
        """A fresh token for a program that knows sha256(sha256(secret) ‖ date); None otherwise. Raises BrakedError."""
        async with self._trying(username, peer) as proven:
            known = await self._credentials(username, digest)
            today = self.today()
            if known is None or not any(
                self._vault.dated_digest_proves(username, each, digest, today) for each in known.secrets
            ):
                return None
            proven()
        return await self._issue(known, peer)

    async def challenge(self, username: str) -> str:
        """What a program shall sign; nothing is kept of it where there is no such program, or it has no key."""
        text = secrets.token_urlsafe(CHALLENGE_OCTETS)
        known = await self._credentials(username, "")
        return await self._steward.challenge(known.account, text) if known and known.public_key else text

    async def sign_in_signed(self, username: str, signature: str, peer: str) -> str | None:
        """A fresh token for a program whose key signed one of its challenges, each good once; None otherwise.

        Raises BrakedError and BusyError as `sign_in` does.
        """
        async with self._trying(username, peer) as proven:
            known = await self._credentials(username, "")
            if known is None or known.public_key is None:
                return None
            text = answered_challenge(known.public_key, await self._steward.challenges(known.account), signature)
            if text is None or not await self._steward.take_challenge(known.account, text):
                return None
            proven()
        return await self._issue(known, peer)

    @asynccontextmanager
    async def _trying(self, username: str, peer: str) -> AsyncIterator[Callable[[], None]]:
        """The brake around one try, which is told, when it matters, where the account has signed in at other workers
        or before a restart: nobody's guesses keep an owner out at its own address.
        """
        if self._brake.keeps_out(username, peer) and "\0" not in username:
            places = await self._steward.places(username)
            if end_site(peer) in map(end_site, places):
                self._brake.known(username, peer)
        async with self._brake.trying(username, peer) as proven:
            yield proven

    async def program(self, username: str, secret: str, peer: str) -> Account | None:
        """The program that knows its secret, without a token; None for all others. Raises as `sign_in` does.

        People have to sign in: more than a password may be asked of them then.
        """
        async with self._trying(username, peer) as proven:
            known = await self._proven(username, secret)
            if known is None or known.secret is None:
                return None
            proven()
        return known.account

    async def _credentials(self, username: str, secret: str) -> Credentials | None:
        longest = SECRET_CHARACTERS + totp.DIGITS
        if len(username) > USERNAME_CHARACTERS or len(secret) > longest or "\0" in username:
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
