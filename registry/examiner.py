"""The door of enterprises: they apply here, two people decide, what both have passed is handed on; who they are.

Rules are those of application.py; what the top-level node makes of it, the clerk keeps.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import msgspec

from registry.account import Account, Vault
from registry.application import (
    BASIC_INFO,
    SEALED,
    Occasion,
    Refusal,
    basic_of,
    decided,
    files,
    may_decide,
    ordered,
    particulars,
)
from registry.audit import NODE, OCTETS_MOST, Action, Actor, Minutes, of_account, of_state, of_templates
from registry.auditor import audited
from registry.hosting import ProxyState, Site
from registry.industries import of_division, templates_for
from registry.postgres import accounts, applications, catalogue, enterprises, filing, hosting, templates
from registry.postgres import files as stored
from registry.postgres.applications import Application
from registry.postgres.connection import Connection, Pool, borrowed
from registry.postgres.enterprises import Wanted
from registry.prefix import LIFE, Event, PrefixState
from registry.rights import OF_ENTERPRISES, Right, Role
from registry.steward import take_up
from registry.template import State

Form = dict[str, dict[str, Any]]
_NOBODY: Final = Refusal("username", "没有这个用户", "there is no such user")
_WAITING: Final = Refusal(
    "username", "企业已有申请在等待核验或审核", "that enterprise has an application which waits to be decided on"
)


_SEALED_OTHERWISE: Final = Refusal(
    "form",
    "证件号码是用另一个IDNODE_SECRET_KEY加密的",
    "its numbers of documents were sealed with another IDNODE_SECRET_KEY",
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


@dataclass(frozen=True, slots=True)
class Enterprise:
    """An enterprise, or a prefix of one: its row (registry/postgres/enterprises.py) and what it gave."""

    row: Any
    form: Form


class Examiner:
    """Takes applications in and has them decided, in the name of `actor`; the journal takes `audit_octets` at most.

    Raises UnavailableError or AuditFullError (nothing done) or UnknownOutcomeError.
    """

    def __init__(self, pool: Pool, vault: Vault, actor: Actor = NODE, audit_octets: int = OCTETS_MOST) -> None:
        self._pool = pool
        self._vault = vault
        self._actor = actor
        self._audit_octets = audit_octets

    def by(self, actor: Actor) -> "Examiner":
        """The same door, opened by somebody else."""
        return Examiner(self._pool, self._vault, actor, self._audit_octets)

    def _audited(self) -> AbstractAsyncContextManager[tuple[Connection, Minutes]]:
        return audited(self._pool, self._actor, self._audit_octets)

    async def register(self, given: Mapping[str, Any], password: str) -> Refusal | None:
        """Makes an account for a person who will act for an enterprise; `password` is what is kept of it.

        A Refusal names the field that somebody else has.
        """
        async with self._audited() as (connection, note):
            made = await _user(connection, note, given, password, None)
            return made if isinstance(made, Refusal) else None

    async def apply(self, given: Mapping[str, Any], password: str, form: Form, by: Account) -> Refusal | None:
        """An enterprise applies together with a new person who acts for it; `by` has sent it, and its files.

        A Refusal names the field that is another's already; nothing is done then.
        """
        try:
            async with self._audited() as (connection, note):
                await applications.serialise(connection)
                number = await self._enterprise(connection, note, form, None)
                made = await _user(connection, note, given, password, number)
                if isinstance(made, Refusal):
                    raise _RefusedError(made)
                await self._add(connection, note, number, Occasion.REGISTRATION, form, [by], {})
        except _RefusedError as refused:
            return refused.refusal
        return None

    async def upgrade(self, username: str, form: Form, by: Account) -> Refusal | None:
        """The enterprise of an account applies, for the first time, after a refusal, or for a change."""
        try:
            async with self._audited() as (connection, note):
                await applications.serialise(connection)
                account = await accounts.known(connection, username)
                if account is None or account.role not in OF_ENTERPRISES:
                    return _NOBODY
                number = await self._enterprise(connection, note, form, account.enterprise)
                if account.enterprise is None:
                    await accounts.join(connection, account.number, number)
                    note(Action.ACCOUNT_CHANGED, username, {"enterprise": None}, {"enterprise": number})
                last = await applications.latest(connection, number, self._vault)
                if last is not None and last.state not in _ENDED:
                    return _WAITING
                before = files(last.form) if last else {}
                kind = await _kind(connection, number)
                await self._add(connection, note, number, kind, form, [by, account], before)
        except _RefusedError as refused:
            return refused.refusal
        return None

    async def _enterprise(self, connection: Connection, note: Minutes, form: Form, known: int | None) -> int:
        """The number of the enterprise of a form, registered if it is new; nothing of it is another's."""
        basic = form[BASIC_INFO]
        await _all_free(connection, note, basic, known or 0)
        if known is not None:
            return known
        name, industry = basic["orgName"], of_division(basic["industrySpecific"])
        number, new = await catalogue.add_enterprise(connection, name, name, industry)
        if new:
            note(Action.ENTERPRISE_ENROLLED, name, after={"number": number, "industry": industry})
        return number

    async def _add(
        self,
        connection: Connection,
        note: Minutes,
        enterprise: int,
        kind: Occasion,
        form: Form,
        owners: Sequence[Account],
        before: Mapping[str, int],
    ) -> None:
        """Keeps the application of the first of `owners` and links its files, which may be any of theirs; those it had
        `before` stay its own.
        """
        number = await applications.add(connection, enterprise, kind, owners[0].number, form, self._vault)
        asked = {"enterprise": enterprise, "occasion": kind.name.lower(), "prefix": form[BASIC_INFO]["entPrefix"]}
        note(Action.APPLICATION_MADE, f"application {number}", after=asked)
        mine = set(before.values())
        for field, file in files(form).items():
            purpose = f"application/{number}/{field}"
            if file in mine or await _linked(connection, file, owners, purpose):
                continue
            zh = f"参数{field}：文件{file}不存在、不是您上传的或已被使用"
            raise _RefusedError(Refusal(field, zh, f"{field}: file {file} is not there, not yours, or used already"))

    async def decide(
        self, number: int, step: str, passed: bool, reason: str, by: Account, *, filed: bool
    ) -> PrefixState | Refusal | None:
        """One of the two decisions on an application; the state it comes into, or why not, None: there is none.

        What both have passed becomes the enterprise's particulars and prefix: to be `filed`, or open at once.
        """
        try:
            async with self._audited() as (connection, note):
                await applications.serialise(connection)
                now = await applications.found(connection, number, self._vault)
                if now is None:
                    return None
                involved = await accounts.of_same_people(connection, now.involved)
                then = decided(now.state, involved, by, step, passed, reason)
                if isinstance(then, Refusal):
                    return then
                await applications.decide(connection, now, step, by.number, passed, reason, then)
                shown = {"step": step, "passed": passed, "reason": reason, "by": by.username}
                note(Action.APPLICATION_DECIDED, f"application {number}", of_state(now.state), of_state(then) | shown)
                if then is PrefixState.IN_REVIEW:
                    await self._hand_on(connection, note, now, filed=filed)
                return then
        except _RefusedError as refused:
            return refused.refusal

    async def _hand_on(self, connection: Connection, note: Minutes, passed: Application, *, filed: bool) -> None:
        basic = passed.form[BASIC_INFO]
        await _all_free(connection, note, basic, passed.enterprise)
        if not basic.keys() >= set(SEALED):
            raise _RefusedError(_SEALED_OTHERWISE)
        named = await catalogue.rename(connection, passed.enterprise, basic["orgName"])
        if named is not None:
            _renamed(note, passed.enterprise, named, basic["orgName"])
        before = await applications.image_before(connection, passed.enterprise, passed.number)
        wholly = named is not None or passed.round > 1 or before not in {None, basic["orgCrtImgRid"]}
        given = particulars(passed.form)
        revision = await filing.put_particulars(
            connection, passed.enterprise, given, self._vault, again=True, wholly=wholly
        )
        shown = {"number": passed.enterprise, "ent_crt_code": given.ent_crt_code, "particulars": revision}
        note(Action.ENTERPRISE_ENROLLED, basic["orgName"], after=shown)
        fresh = await catalogue.prefix(connection, passed.prefix) is None
        await take_up(connection, note, passed.prefix, passed.enterprise, filed=filed)
        if fresh:
            await _draft(connection, note, passed.prefix, of_division(basic["industrySpecific"]))

    async def listed(
        self, state: PrefixState | None, below: int, most: int, enterprise: int | None = None
    ) -> list[Any]:
        """Rows of applications, newest first (registry/postgres/applications.py)."""
        async with borrowed(self._pool, "administer") as connection:
            return await applications.listed(connection, state, below, most, enterprise)

    async def shown(self, number: int) -> Shown | None:
        """One application with all that was given, for who decides on it; None when there is none."""
        async with borrowed(self._pool, "administer") as connection:
            found = await applications.shown(connection, number, self._vault)
            if found is None:
                return None
            row, form = found
            return Shown(row, ordered(form), await applications.decisions(connection, number))

    # -- what is known of enterprises

    async def enterprises(self, wanted: Wanted) -> tuple[int, list[Enterprise]]:
        """How many there are as wanted, and those of the page."""
        async with borrowed(self._pool, "administer") as connection:
            total, rows = await enterprises.page(connection, wanted)
        return total, [self._shown(row) for row in rows]

    async def enterprise(self, number: int) -> Enterprise | None:
        """One enterprise; None when there is none."""
        async with borrowed(self._pool, "administer") as connection:
            row = await enterprises.found(connection, number)
        return self._shown(row) if row else None

    def _shown(self, row: Any) -> Enterprise:
        return Enterprise(row, _form(row, self._vault))

    async def prefixes(self, wanted: Wanted) -> tuple[int, list[Any]]:
        """How many prefixes there are as wanted, and the rows of the page (registry/postgres/enterprises.py)."""
        async with borrowed(self._pool, "administer") as connection:
            return await enterprises.prefixes(connection, wanted)

    async def prefix(self, name: str) -> Enterprise | None:
        """A prefix, registered or applied for, with whose it is; None when it is neither."""
        async with borrowed(self._pool, "administer") as connection:
            row = await enterprises.prefix(connection, name)
        return Enterprise(row, _form(row, None)) if row else None

    # -- where prefixes are resolved

    async def configure(self, prefix: str, site: Site | None, by: Account) -> Refusal | None:
        """The prefix is resolved at the enterprise's own node `site`, or (None) is to be hosted here.

        A Refusal when it is not approved, or not one `by` has a right to.
        """
        async with self._audited() as (connection, note):
            known = await catalogue.prefix(connection, prefix, held=True)
            if known is None or not by.may_in(Right.ROUTES, known.enterprise):
                return Refusal("entPrefix", f"没有前缀{prefix}或其操作权限", f"no prefix {prefix}, or no right to it")
            if not known.state.open:
                zh = f"前缀{prefix}未审核通过或已停用：{known.state.zh}"
                return Refusal("entPrefix", zh, f"prefix {prefix} is not approved, or is stopped")
            before = await hosting.found(connection, known.number)
            if site is None:
                await hosting.apply(connection, known.number, by.number)
            else:
                await hosting.own(connection, known.number, by.number, site)
            was = _proxy(before.state) if before else {}
            now = _proxy(ProxyState.OWN) | {"site": asdict(site)} if site else _proxy(ProxyState.APPLIED)
            note(Action.HOSTING_CHANGED, prefix, was, now)
        return None

    async def decide_hosting(self, prefix: str, passed: bool, reason: str, by: Account) -> ProxyState | Refusal | None:
        """Whether a prefix is hosted here; None when nobody has applied for that."""
        async with self._audited() as (connection, note):
            known = await catalogue.prefix(connection, prefix, held=True)
            found = await hosting.found(connection, known.number) if known else None
            if known is None or found is None or found.state is not ProxyState.APPLIED:
                return None
            involved = await accounts.of_same_people(connection, [found.applicant])
            if refusal := may_decide(involved, by, Right.REVIEW, passed, reason):
                return refusal
            then = ProxyState.HOSTED if passed else ProxyState.REFUSED
            await hosting.decide(connection, known.number, then, reason)
            if passed:
                await catalogue.set_elsewhere(connection, known, False)
            shown = _proxy(then) | {"reason": reason, "by": by.username}
            note(Action.HOSTING_CHANGED, prefix, _proxy(found.state), shown)
            return then

    async def hostings(self, enterprise: int | None = None) -> list[Any]:
        """What waits to be decided on, or how it stands for an enterprise (registry/postgres/hosting.py)."""
        async with borrowed(self._pool, "administer") as connection:
            return await hosting.listed(connection, enterprise)


def _form(row: Any, vault: Vault | None) -> Form:
    """What an enterprise gave, or what is filed of it; numbers of documents only with the `vault`."""
    if row["form"] is None:
        given = msgspec.json.decode(row["given"]) if row["given"] else {}
        return {BASIC_INFO: basic_of(row["name" if vault else "entity"] or "", given)}
    if vault is None:
        plain: Form = msgspec.json.decode(row["form"])
        return plain
    return applications.opened(row["form"], row["sealed"], vault)


_ENDED: Final = {state for state, row in LIFE.items() if Event.APPLIED in row} | {PrefixState.IN_REVIEW}
"""States in which an application is over, for those here."""


def _proxy(state: ProxyState) -> dict[str, object]:
    return {"proxy": state.name.lower()}


async def _user(
    connection: Connection, note: Minutes, given: Mapping[str, Any], password: str, enterprise: int | None
) -> int | Refusal:
    account = Account(0, given["userName"], "person", Role.ENTERPRISE_ADMIN, enterprise)
    made = await accounts.add_user(connection, account, password, given)
    if isinstance(made, int):
        note(Action.ACCOUNT_PUT, account.username, after=of_account((account, True)))
        return made
    return Refusal(made, f"参数{made}已被使用：{given[made]}", f"{made} is used already: {given[made]}")


async def _all_free(connection: Connection, note: Minutes, basic: Mapping[str, Any], enterprise: int) -> None:
    """Returns when name, certificate and prefix are no other enterprise's."""
    name = basic["orgName"]
    if freed := await applications.free_name(connection, name, enterprise):
        _renamed(note, freed[0], name, freed[1])
    if refusal := await applications.taken(connection, basic, enterprise):
        raise _RefusedError(refusal)


def _renamed(note: Minutes, number: int, before: str, after: str) -> None:
    note(Action.ENTERPRISE_RENAMED, before, {"name": before, "number": number}, {"name": after, "number": number})


async def _draft(connection: Connection, note: Minutes, prefix: str, industry: str) -> None:
    """Lays the templates of an industry ready under a new prefix. Drafts: a division says less than what a firm makes,
    and what it does not publish nobody else sees.
    """
    for template in templates_for(industry, prefix) if industry else ():
        draft = replace(template, state=State.DRAFT)
        if await templates.add(connection, draft):
            note(Action.TEMPLATE_ADDED, draft.handle, *of_templates(None, draft))


async def _linked(connection: Connection, file: int, owners: Sequence[Account], purpose: str) -> bool:
    for owner in owners:
        if await stored.link(connection, file, owner.number, purpose):
            return True
    return False


async def _kind(connection: Connection, enterprise: int) -> Occasion:
    """A change, once the enterprise has a prefix; its registration until then."""
    return Occasion.CHANGE if await catalogue.has_prefix(connection, enterprise) else Occasion.REGISTRATION
