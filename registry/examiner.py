"""The door of applications: enterprises apply here, two people decide, and what both have passed is handed on.

Rules are those of application.py; what the top-level node makes of it, the clerk keeps.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from registry.account import Account, Vault
from registry.application import BASIC_INFO, Kind, Refusal, decided, files, particulars
from registry.errors import UnknownOutcomeError
from registry.industries import of_division
from registry.postgres import accounts, applications, catalogue, filing
from registry.postgres import files as stored
from registry.postgres.applications import Application
from registry.postgres.connection import BROKEN, Connection, Pool, borrowed, cut
from registry.prefix import LIFE, Event, PrefixState
from registry.rights import OF_ENTERPRISES, Role
from registry.steward import take_up

Form = dict[str, dict[str, Any]]
_NOBODY: Final = Refusal("username", "没有这个用户", "there is no such user")
_WAITING: Final = Refusal(
    "username", "企业已有申请在等待核验或审核", "that enterprise has an application which waits to be decided on"
)


class _RefusedError(Exception):
    """Undoes what a transaction has begun."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.en)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Shown:
    """An application as people see it: its row (registry/postgres/applications.py), form and decisions."""

    row: Any
    form: Form
    decisions: list[Any]


class Examiner:
    """Takes applications in and has them decided. Raises UnavailableError (nothing done) or UnknownOutcomeError."""

    def __init__(self, pool: Pool, vault: Vault) -> None:
        self._pool = pool
        self._vault = vault

    @asynccontextmanager
    async def _change(self) -> AsyncIterator[Connection]:
        async with borrowed(self._pool, "administer") as connection:
            backend = connection.get_server_pid()
            try:
                async with connection.transaction():
                    yield connection
            except BROKEN as error:
                cut(connection)
                raise UnknownOutcomeError(str(error), backend) from error

    async def register(self, given: Mapping[str, Any], password: str) -> Refusal | None:
        """Makes an account for a person who will act for an enterprise; `password` is what is kept of it.

        A Refusal names the field that somebody else has.
        """
        async with self._change() as connection:
            made = await _user(connection, given, password, None)
            return made if isinstance(made, Refusal) else None

    async def apply(self, given: Mapping[str, Any], password: str, form: Form, by: Account) -> Refusal | None:
        """An enterprise applies together with a new person who acts for it; `by` has sent it, and its files.

        A Refusal names the field that is another's already; nothing is done then.
        """
        try:
            async with self._change() as connection:
                await applications.serialise(connection)
                number = await self._enterprise(connection, form, None)
                made = await _user(connection, given, password, number)
                if isinstance(made, Refusal):
                    raise _RefusedError(made)
                await self._add(connection, number, Kind.REGISTRATION, form, by, {})
        except _RefusedError as refused:
            return refused.refusal
        return None

    async def upgrade(self, username: str, form: Form, by: Account) -> Refusal | None:
        """The enterprise of an account applies, for the first time, after a refusal, or for a change."""
        try:
            async with self._change() as connection:
                await applications.serialise(connection)
                account = await accounts.known(connection, username)
                if account is None or account.role not in OF_ENTERPRISES:
                    return _NOBODY
                number = await self._enterprise(connection, form, account.enterprise)
                if account.enterprise is None:
                    await accounts.join(connection, account.number, number)
                last = await applications.latest(connection, number, self._vault)
                if last is not None and last.state not in _ENDED:
                    return _WAITING
                before = files(last.form) if last else {}
                await self._add(connection, number, await _kind(connection, number), form, by, before)
        except _RefusedError as refused:
            return refused.refusal
        return None

    async def _enterprise(self, connection: Connection, form: Form, known: int | None) -> int:
        """The number of the enterprise of a form, registered if it is new; nothing of it is another's."""
        basic = form[BASIC_INFO]
        if refusal := await applications.taken(connection, basic, known or 0):
            raise _RefusedError(refusal)
        if known is not None:
            return known
        name = basic["orgName"]
        return await catalogue.add_enterprise(connection, name, name, of_division(basic["industrySpecific"]))

    async def _add(
        self, connection: Connection, enterprise: int, kind: Kind, form: Form, by: Account, before: Mapping[str, int]
    ) -> None:
        """Keeps the application and links its files; those it had `before` stay its own."""
        number = await applications.add(connection, enterprise, kind, by.number, form, self._vault)
        mine = set(before.values())
        for field, file in files(form).items():
            if file not in mine and not await stored.link(connection, file, by.number, f"application/{number}/{field}"):
                zh = f"参数{field}：文件{file}不存在、不是您上传的或已被使用"
                raise _RefusedError(
                    Refusal(field, zh, f"{field}: file {file} is not there, not yours, or used already")
                )

    async def decide(
        self, number: int, step: str, passed: bool, reason: str, by: Account, *, filed: bool
    ) -> PrefixState | Refusal | None:
        """One of the two decisions on an application; the state it comes into, or why not, None: there is none.

        What both have passed becomes the enterprise's particulars and prefix: to be `filed`, or open at once.
        """
        try:
            async with self._change() as connection:
                await applications.serialise(connection)
                now = await applications.found(connection, number, self._vault)
                if now is None:
                    return None
                then = decided(now.state, now.involved, by, step, passed, reason)
                if isinstance(then, Refusal):
                    return then
                await applications.decide(connection, now, step, by.number, passed, reason, then)
                if then is PrefixState.IN_REVIEW:
                    await self._hand_on(connection, now, filed=filed)
                return then
        except _RefusedError as refused:
            return refused.refusal

    async def _hand_on(self, connection: Connection, passed: Application, *, filed: bool) -> None:
        basic = passed.form[BASIC_INFO]
        if refusal := await applications.taken(connection, basic, passed.enterprise):
            raise _RefusedError(refusal)
        renamed = await catalogue.rename(connection, passed.enterprise, basic["orgName"])
        before = await applications.image_before(connection, passed.enterprise, passed.number)
        wholly = renamed or passed.round > 1 or before not in {None, basic["orgCrtImgRid"]}
        await filing.put_particulars(
            connection, passed.enterprise, particulars(passed.form), self._vault, again=True, wholly=wholly
        )
        await take_up(connection, passed.prefix, passed.enterprise, filed=filed)

    async def listed(self, state: PrefixState | None, below: int, most: int) -> list[Any]:
        """Rows of applications, newest first (registry/postgres/applications.py)."""
        async with borrowed(self._pool, "administer") as connection:
            return await applications.listed(connection, state, below, most)

    async def shown(self, number: int) -> Shown | None:
        """One application with all that was given, for who decides on it; None when there is none."""
        async with borrowed(self._pool, "administer") as connection:
            row = await applications.shown(connection, number)
            if row is None:
                return None
            form = applications.opened(row["form"], row["sealed"], self._vault)
            return Shown(row, form, await applications.decisions(connection, number))


_ENDED: Final = {state for state, row in LIFE.items() if Event.APPLIED in row} | {PrefixState.IN_REVIEW}
"""States in which an application is over, for those here."""


async def _user(
    connection: Connection, given: Mapping[str, Any], password: str, enterprise: int | None
) -> int | Refusal:
    account = Account(0, given["userName"], "person", Role.ENTERPRISE_ADMIN, enterprise)
    made = await accounts.add_user(connection, account, password, given)
    if isinstance(made, int):
        return made
    return Refusal(made, f"参数{made}已被使用：{given[made]}", f"{made} is used already: {given[made]}")


async def _kind(connection: Connection, enterprise: int) -> Kind:
    """A change, once the enterprise has a prefix; its registration until then."""
    return Kind.CHANGE if await catalogue.has_prefix(connection, enterprise) else Kind.REGISTRATION
