"""The writing door for what records stand on: enterprises, prefixes, templates, accounts, tokens, batch records.

Whatever changes a right leaves its entry in the audit journal in the same transaction.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date, datetime
from typing import Any, Final, Literal

import msgspec
from asyncpg import UniqueViolationError

from registry.account import Account, Vault
from registry.audit import NODE, OCTETS_MOST, Action, Actor, Minutes, differing, of_account, of_state, of_templates
from registry.auditor import audited
from registry.disclosure import Disclosure
from registry.errors import NotApprovedError, TakenError, UnknownOutcomeError
from registry.file import StoredFile
from registry.filing import Filing, Particulars, check_names, may_open
from registry.granting import Grantee, Kind, Names, Object, Wishes, gains, plan
from registry.native_challenge import NativeChallenge
from registry.native_session import NativeSession, Used
from registry.postgres import (
    accounts,
    audit,
    batches,
    catalogue,
    disclosures,
    files,
    filing,
    grants,
    holdings,
    key_sessions,
    native_challenges,
    native_logins,
    native_sessions,
    quota,
    templates,
    uplink,
)
from registry.postgres.accounts import Credentials
from registry.postgres.batches import Batch
from registry.postgres.connection import BROKEN, Connection, borrowed, cut
from registry.postgres.grants import Given
from registry.prefix import ASKED, LIFE, PrefixState, RegisteredPrefix
from registry.quota import Quota, Usage
from registry.record import unpack
from registry.reference import Link, links
from registry.rights import OF_ENTERPRISES, Role
from registry.sight import NO_NAMES
from registry.template import Template

GROUPS_MOST: Final = 1000
"""Identity groups of one enterprise: one for each of the partners it may have."""
GRANTS_MOST: Final = 100
"""Grants on one template or one identifier: every read of a partner looks through both."""
NO_INDUSTRY: Final = "other"
"""That of an enterprise of which nothing is known."""
REFER_MOST: Final = 1000
"""Records whose references are noted in one transaction: no writer waits long for one of them."""


def _linked(row: Any, known: Mapping[int, Template]) -> list[tuple[int, str, int, Link]]:
    template = known[row["template_no"]]
    values = unpack(row["body"], {item.index: item.name for item in template.items}, row["updated"])
    return [(row["prefix_no"], row["suffix"], row["version"], link) for link in links(template, values)]


def _another_administrator(username: str, role: Role) -> TakenError:
    return TakenError(
        f"账号{username}已是另一类管理员，不能改为{role.zh}。 "
        f"Account {username} is an administrator of another kind and cannot become {role}."
    )


@asynccontextmanager
async def _one_power(username: str) -> AsyncIterator[None]:
    """Raises TakenError when whoever stands behind an account is an administrator already."""
    try:
        yield
    except UniqueViolationError:
        raise TakenError(
            f"账号{username}的本人已持有一个管理员账号，三类管理员不得兼任。 "
            f"Whoever stands behind {username} is an administrator already: nobody holds two of these powers."
        ) from None


class Steward:
    """Changes what is rarely changed, in the name of `actor`; the journal takes `audit_octets` at most.

    Raises UnavailableError or AuditFullError (nothing done) or UnknownOutcomeError (maybe done).
    Who gives particulars of enterprises gives the `vault` that seals the numbers of documents in them.
    """

    def __init__(
        self, pool: Any, vault: Vault | None = None, actor: Actor = NODE, audit_octets: int = OCTETS_MOST
    ) -> None:
        self.pool = pool
        self._vault = vault
        self._actor = actor
        self._audit_octets = audit_octets

    def by(self, actor: Actor) -> "Steward":
        """The same door, opened by somebody else."""
        return Steward(self.pool, self._vault, actor, self._audit_octets)

    @asynccontextmanager
    async def _change(self) -> AsyncIterator[Connection]:
        """A change the journal is not told of."""
        async with borrowed(self.pool, "administer") as connection:
            backend = connection.get_server_pid()
            try:
                yield connection
            except BROKEN as error:
                cut(connection)
                raise UnknownOutcomeError(str(error), backend) from error

    def _audited(self) -> AbstractAsyncContextManager[tuple[Connection, Minutes]]:
        return audited(self.pool, self._actor, self._audit_octets)

    async def catalogue_number(self) -> int:
        """The number that grows with every change of a prefix or template."""
        async with borrowed(self.pool, "administer") as connection:
            return await catalogue.number(connection)

    async def enrol(
        self,
        name: str,
        name_en: str,
        industry: str,
        prefix: str,
        particulars: Particulars | None = None,
        *,
        filed: bool = False,
    ) -> int:
        """Registers an enterprise with its prefix and particulars, if they are new; the enterprise's number.

        `filed`: the prefix is pending until the top-level node has approved it, one that was refused is filed again;
        otherwise it is enabled, also if it waited for a top-level node that is no longer asked. Raises TakenError, and
        registers nothing, when the prefix or the credit code is another enterprise's; ParticularsError for names that
        could not be filed.
        """
        check_names(name, name_en)
        async with self._audited() as (connection, note):
            number, new = await catalogue.add_enterprise(connection, name, name_en, industry)
            shown: dict[str, object] = {"number": number, "industry": industry}
            revision: int | None = 0
            if particulars is not None:
                assert self._vault is not None
                revision = await filing.put_particulars(connection, number, particulars, self._vault)
                if revision is None:
                    raise TakenError(
                        f"统一社会信用代码{particulars.ent_crt_code}已属于别的企业。 "
                        f"The credit code {particulars.ent_crt_code} belongs to another enterprise."
                    )
                shown |= {"ent_crt_code": particulars.ent_crt_code, "particulars": revision}
            if new or revision:
                note(Action.ENTERPRISE_ENROLLED, name, after=shown)
            await take_up(connection, note, prefix, number, filed=filed)
            return number

    async def enterprises(self) -> list[Any]:
        """Rows of (number, name, name_en, industry, prefix, state)."""
        async with borrowed(self.pool, "administer") as connection:
            return await catalogue.enterprises(connection)

    async def enterprise_of(self, name: str) -> int | None:
        """The number of the enterprise called `name`, or whose prefix is."""
        async with borrowed(self.pool, "administer") as connection:
            return await quota.enterprise_of(connection, name)

    async def set_quota(self, enterprise: int, wanted: Mapping[str, int | None]) -> None:
        """Sets what an enterprise may have, by fields of Quota; what is not named stays. Workers know within a second
        of calls, and of the others at once.
        """
        async with self._audited() as (connection, note):
            name, before, after = await quota.put(connection, enterprise, wanted)
            if before != after:
                note(Action.QUOTA_SET, name, *differing(before._asdict(), after._asdict()))

    async def quota(self, enterprise: int, day: date) -> tuple[str, Quota, Usage]:
        """The name of an enterprise, what it may have, and what it has, with its calls of `day`."""
        async with borrowed(self.pool, "administer") as connection:
            return await quota.of(connection, enterprise, day)

    async def count_calls(self, day: date, made: dict[int, int], *, new_day: bool) -> dict[int, int]:
        """Adds calls to those of `day`, by enterprise; what is left then to each that has a quota of them.

        `new_day`: what is too old is forgotten.
        """
        async with self._change() as connection, connection.transaction():
            if made:
                await quota.add_calls(connection, day, made)
            if new_day:
                await quota.forget_calls(connection, day)
            return await quota.calls_left(connection, day)

    async def filings(self) -> list[Any]:
        """How each prefix stands with the top-level node (registry/postgres/filing.py)."""
        async with borrowed(self.pool, "administer") as connection:
            return await filing.filings(connection)

    async def forget_toplevel(self) -> None:
        """Forgets whom the node enrolled with: everything is told anew, to whoever answers then."""
        async with self._audited() as (connection, note):
            await uplink.forget_toplevel(connection)
            note(Action.TOPLEVEL_FORGOTTEN, "toplevel")

    async def set_prefix_state(self, prefix: str, state: PrefixState) -> int | None:
        """An operator wants a prefix in `state`; its epoch, None when it is unknown. What is stopped so, only this
        opens again.

        Raises NotApprovedError when its life does not go that way, and for one that would be enabled against what the
        top-level node has decided.
        """
        async with self._audited() as (connection, note):
            now = await catalogue.prefix(connection, prefix, held=True)
            if now is None:
                return None
            known = await filing.filed(connection, prefix)
            if now.state is not state and LIFE[now.state].get(ASKED[state]) is not state:
                zh = f"前缀{prefix}的状态为{now.state.zh}，不能变为{state.zh}"
                raise NotApprovedError(zh, f"Prefix {prefix} is {now.state.zh}, which cannot become {state.zh}")
            if known is not None and known.standing.filing is Filing.MOVED:
                raise NotApprovedError(f"前缀{prefix}已迁出", f"Prefix {prefix} has moved to another node")
            if known is not None and state.open and not may_open(known.standing):
                raise NotApprovedError(
                    f"前缀{prefix}未获国家顶级节点批准或已被其停用",
                    f"Prefix {prefix} is not approved, or is suspended, by the national top-level node",
                )
            if known is not None and state is PrefixState.STOPPED:
                await filing.stop_here(connection, known.prefix_no)
            if now.state is not state:
                note(Action.PREFIX_CHANGED, prefix, of_state(now.state), of_state(state))
            return await catalogue.set_state(connection, prefix, state)

    async def home(self, prefix: str, *, filed: bool) -> None:
        """Lets a prefix live here: one that was stopped opens, a new one is registered, open at once, to an enterprise
        that is called as the prefix is, for nobody says whose it is.

        `filed`: prefixes are filed with the national top-level node, and a new one cannot be without its enterprise.
        Raises NotApprovedError as `set_prefix_state` does, and where that is so; TakenError as `enrol` does.
        """
        async with borrowed(self.pool, "administer") as connection:
            known = await catalogue.prefix(connection, prefix)
        if known is None and filed:
            raise NotApprovedError(
                f"前缀{prefix}须随其企业向国家顶级节点报送，请先登记企业",
                f"Prefix {prefix} is filed with the national top-level node with its enterprise: enrol that first",
            )
        if known is None:
            await self.enrol(prefix, prefix, NO_INDUSTRY, prefix)
        elif known.elsewhere and known.state.open:
            raise NotApprovedError(
                f"前缀{prefix}由其企业自己的节点解析", f"Prefix {prefix} lives at its enterprise's own node"
            )
        else:
            await self.set_prefix_state(prefix, PrefixState.ENABLED)

    async def add_template(self, template: Template) -> bool:
        """Keeps a new template; False when that version exists under its prefix."""
        async with self._audited() as (connection, note):
            added = await templates.add(connection, template)
            if added:
                note(Action.TEMPLATE_ADDED, template.handle, *of_templates(None, template))
            return added

    async def replace_template(self, template: Template) -> bool:
        """Keeps a changed template; False when somebody else changed it meanwhile."""
        async with self._audited() as (connection, note):
            before = await templates.by_numbers(connection, [template.number])
            replaced = await templates.replace(connection, template)
            if replaced:
                note(Action.TEMPLATE_CHANGED, template.handle, *of_templates(before[0], template))
            return replaced

    async def remove_template(self, number: int) -> bool:
        """Forgets a template; False when an identifier was ever made with it."""
        async with self._audited() as (connection, note):
            before = await templates.by_numbers(connection, [number])
            removed = await templates.remove(connection, number)
            if removed:
                note(Action.TEMPLATE_REMOVED, before[0].handle)
            return removed

    async def refer(self) -> AsyncIterator[int]:
        """Notes the references of all records anew, those from before they were noted included; how many records were
        looked at, page by page. Others may write meanwhile.
        """
        async with borrowed(self.pool, "administer") as connection:
            known = {each.number: each for each in await templates.with_references(connection)}
        after, count = (0, ""), 0
        while True:
            async with self._change() as connection:
                rows = await holdings.pointing(connection, list(known), after, REFER_MOST)
                await holdings.refer(connection, [each for row in rows for each in _linked(row, known)])
            count += len(rows)
            yield count
            if len(rows) < REFER_MOST:
                return
            after = rows[-1]["prefix_no"], rows[-1]["suffix"]

    async def credentials(self, username: str) -> Credentials | None:
        """The enabled account called `username`, with what proves it."""
        async with borrowed(self.pool, "administer") as connection:
            return await accounts.named(connection, username)

    async def account(self, username: str) -> Account | None:
        """The account called `username`, enabled or not."""
        async with borrowed(self.pool, "administer") as connection:
            return await accounts.known(connection, username)

    async def put_account(
        self,
        account: Account,
        *,
        password: str | None = None,
        secret: bytes | None = None,
        due: bool = False,
        person: str | None = None,
    ) -> None:
        """Keeps an account or changes it; its tokens are revoked. `due`: its password is to be changed first. `person`
        is who stands behind it, None leaves that as it is.

        Raises TakenError, and changes nothing, when an administrator of one kind would become one of another: what
        somebody did with one power is not to be covered up with another. So when `person` is an administrator by
        another account.
        """
        async with self._audited() as (connection, note), _one_power(account.username):
            before = await accounts.standing(connection, account.username)
            if not await accounts.put(connection, account, password=password, secret=secret, due=due, person=person):
                raise _another_administrator(account.username, account.role)
            note(Action.ACCOUNT_PUT, account.username, of_account(before), of_account((account, True)))

    async def add_account(self, account: Account, *, password: str | None = None, secret: bytes | None = None) -> bool:
        """Keeps a new account, whose password is to be changed first; False when the user name is taken, or the
        enterprise has too many (ACCOUNTS_MOST).
        """
        async with self._audited() as (connection, note):
            added = await accounts.add(connection, account, password=password, secret=secret)
            if added:
                note(Action.ACCOUNT_PUT, account.username, after=of_account((account, True)))
            return added

    async def change_account(self, account: Account, role: Role | None, enabled: bool | None) -> bool:
        """Gives an account another role, shuts it or opens it again; its tokens are revoked. False, and nothing is
        done, when an enterprise would open what the node has shut. Raises TakenError as `put_account` does.
        """
        by_node = self._actor.role not in OF_ENTERPRISES
        async with self._audited() as (connection, note), _one_power(account.username):
            before = await accounts.standing(connection, account.username)
            if enabled and not by_node and await accounts.shut_by_node(connection, account.number):
                return False
            if not await accounts.change(connection, account.number, role, enabled, by_node=by_node):
                raise _another_administrator(account.username, role or account.role)
            after = await accounts.standing(connection, account.username)
            note(Action.ACCOUNT_CHANGED, account.username, *differing(of_account(before), of_account(after)))
            return True

    async def set_password(self, account: Account, password: str, *, due: bool, keep: bytes | None = None) -> None:
        """Gives a person another password; its tokens are revoked, but for the one with the digest `keep`."""
        async with self._audited() as (connection, note):
            await accounts.set_password(connection, account.number, password, due=due, keep=keep)
            note(Action.PASSWORD_SET, account.username, after={"due": due})

    async def set_key(self, account: Account, key: bytes | None) -> None:
        """Gives a program another public key, or none; its tokens are revoked."""
        async with self._audited() as (connection, note):
            await accounts.set_key(connection, account.number, key)
            note(Action.KEY_SET, account.username, after={"given": key is not None})

    async def challenge(self, account: Account, text: str) -> str:
        """What the account is to sign: `text`, or what it was asked before (registry/postgres/accounts.py)."""
        async with self._change() as connection:
            return await accounts.challenge(connection, account.number, text)

    async def challenges(self, account: Account) -> list[str]:
        """The live challenges to an account, newest first."""
        async with borrowed(self.pool, "administer") as connection:
            return await accounts.challenges(connection, account.number)

    async def take_challenge(self, account: Account, text: str) -> bool:
        """Uses a challenge up; False when it was, or has ended."""
        async with self._change() as connection:
            return await accounts.take_challenge(connection, account.number, text)

    async def begin_key_session(self, digest: bytes, name: str, key_digest: bytes) -> bool:
        """Keeps a session of the Handle HTTP API (registry/postgres/key_sessions.py); False when it had begun."""
        async with self._change() as connection:
            return await key_sessions.begin(connection, digest, name, key_digest)

    async def key_session(self, digest: bytes) -> tuple[str, bytes] | None:
        """The key a live session was begun with, by name and digest."""
        async with borrowed(self.pool, "administer") as connection:
            return await key_sessions.used(connection, digest)

    async def end_key_session(self, digest: bytes) -> None:
        """Ends a session."""
        async with self._change() as connection:
            await key_sessions.end(connection, digest)

    async def keep_native_challenge(self, challenge: NativeChallenge, peer: str, most: int) -> bool:
        """Keeps a request until its key is proven from the address `peer`; False when too much waits."""
        async with self._change() as connection:
            return await native_challenges.keep(connection, challenge, peer, most)

    async def take_native_challenge(self, number: int, peer: str) -> NativeChallenge | None:
        """Uses a live challenge to the address `peer` up; None when there is none."""
        async with self._change() as connection:
            return await native_challenges.take(connection, number, peer)

    async def begin_native_session(self, session: NativeSession, peer: str) -> bool:
        """Keeps a session of the Handle protocol that `peer` set up; False when there are too many."""
        async with self._change() as connection:
            return await native_sessions.begin(connection, session, peer)

    async def native_session(self, number: int) -> NativeSession | None:
        """A live session."""
        async with borrowed(self.pool, "administer") as connection:
            return await native_sessions.live(connection, number)

    async def use_native_session(self, number: int, counter: int, answers: int) -> Used | None:
        """Notes that the message with that counter was heard, and takes numbers for so many answers; None for one that
        was heard before.
        """
        async with self._change() as connection:
            return await native_sessions.use(connection, number, counter, answers)

    async def prove_native_session(self, number: int, name: str, key: bytes) -> None:
        """Who goes on in a session has proven the key of that name and digest, if it is not another's."""
        async with self._change() as connection:
            await native_sessions.prove(connection, number, name, key)

    async def end_native_session(self, number: int) -> None:
        """Ends a session."""
        async with self._change() as connection:
            await native_sessions.end(connection, number)

    async def keep_native_login(self, peer: str, port: int, name: str, key: bytes) -> bool:
        """Keeps that a key logged in by UDP from that address; False when there are too many."""
        async with self._change() as connection:
            return await native_logins.keep(connection, peer, port, name, key)

    async def native_login(self, peer: str, port: int) -> tuple[str, bytes] | None:
        """The key that logged in by UDP from that address, by name and digest."""
        async with self._change() as connection:
            return await native_logins.used(connection, peer, port)

    async def end_native_login(self, peer: str, port: int) -> None:
        """Ends a login by UDP."""
        async with self._change() as connection:
            await native_logins.end(connection, peer, port)

    async def offer_totp(self, account: Account, sealed: bytes) -> None:
        """Keeps a key of one-time codes until it is confirmed."""
        async with self._change() as connection:
            await accounts.offer_totp(connection, account.number, sealed)

    async def confirm_totp(self, account: Account, offered: bytes, step: int, keep: bytes) -> bool:
        """Asks the account for codes of the key `offered` from now on; False when another was offered meanwhile."""
        async with self._audited() as (connection, note):
            confirmed = await accounts.confirm_totp(connection, account.number, offered, step, keep)
            if confirmed:
                note(Action.TOTP_SET, account.username)
            return confirmed

    async def remove_totp(self, account: Account) -> bool:
        """Asks the account for no codes any more; its tokens are revoked. False when none were asked for."""
        async with self._audited() as (connection, note):
            removed = await accounts.remove_totp(connection, account.number)
            if removed:
                note(Action.TOTP_REMOVED, account.username)
            return removed

    async def take_totp(self, account: Account, step: int | None) -> bool:
        """Whether a code of `step` is taken, None being a wrong one (registry/postgres/accounts.py)."""
        async with self._change() as connection:
            return await accounts.take_totp(connection, account.number, step)

    async def rotate_secret(self, account: Account, secret: bytes, overlap: int) -> datetime | None:
        """Gives a program another secret; when the one before ends, which is `overlap` seconds from now."""
        async with self._audited() as (connection, note):
            ends = await accounts.rotate(connection, account.number, secret, overlap)
            note(Action.SECRET_ROTATED, account.username, after={"overlap": overlap})
            return ends

    async def account_page(self, enterprise: int | None, after: str, most: int, *, firms: bool) -> list[dict[str, Any]]:
        """Accounts in the order of their user names (registry/postgres/accounts.py)."""
        async with borrowed(self.pool, "administer") as connection:
            return await accounts.page(connection, enterprise, after, most, firms=firms)

    async def tokens(self, account: Account) -> list[dict[str, Any]]:
        """The live tokens of an account, newest first."""
        async with borrowed(self.pool, "administer") as connection:
            return await accounts.tokens(connection, account.number)

    async def places(self, username: str) -> list[str]:
        """The addresses an account was given tokens at, of late."""
        async with borrowed(self.pool, "administer") as connection:
            return await accounts.places(connection, username)

    async def revoke_token_of(self, account: Account, digest: bytes) -> bool:
        """Makes one token of an account worthless; False when it has none with that digest."""
        async with self._audited() as (connection, note):
            revoked = await accounts.revoke_of(connection, account.number, digest)
            if revoked:
                note(Action.TOKEN_REVOKED, account.username)
            return revoked

    async def disable_account(self, username: str) -> bool:
        """Shuts an account; False when there is none."""
        async with self._audited() as (connection, note):
            before = await accounts.standing(connection, username)
            if before is None:
                return False
            note(Action.ACCOUNT_DISABLED, username, of_account(before), of_account((before[0], False)))
            return await accounts.disable(connection, username)

    async def accounts(self) -> list[tuple[str, str, str, str | None, bool, str | None]]:
        """(username, kind, role, enterprise, enabled, person) of every account."""
        async with borrowed(self.pool, "administer") as connection:
            return await accounts.listed(connection)

    async def issue_token(self, account: int, digest: bytes, peer: str = "") -> None:
        """Keeps a token, asked for from the address `peer`."""
        async with self._change() as connection:
            await accounts.issue(connection, account, digest, peer)

    async def revoke_token(self, digest: bytes) -> None:
        """Makes one token worthless."""
        async with self._audited() as (connection, note):
            if (owner := await accounts.revoke(connection, digest)) is not None:
                note(Action.TOKEN_REVOKED, owner)

    async def revoke_tokens(self, username: str) -> int:
        """Makes every token of an account worthless; how many there were."""
        async with self._audited() as (connection, note):
            count = await accounts.revoke_all(connection, username)
            if count:
                note(Action.TOKENS_REVOKED, username, after={"count": count})
            return count

    async def add_group(self, prefix: RegisteredPrefix, name: str) -> bool | None:
        """Makes an identity group of the prefix's enterprise; False when there is one called so, None when it has
        GROUPS_MOST.
        """
        assert prefix.enterprise is not None
        async with self._audited() as (connection, note):
            await catalogue.prefix(connection, prefix.name, held=True)
            added = await grants.add_group(connection, prefix.number, prefix.enterprise, name, GROUPS_MOST)
            if added:
                note(Action.GROUP_ADDED, grants.group_handle(prefix.name, name))
            return added

    async def remove_group(self, number: int) -> None:
        """Removes an identity group, and all that was granted to it."""
        async with self._audited() as (connection, note):
            before = await grants.known(connection, number)
            await grants.remove_group(connection, number)
            if before is not None:
                note(Action.GROUP_REMOVED, before.handle, {"members": before.members})

    async def set_members(self, number: int, enterprise: int, usernames: Sequence[str]) -> list[str]:
        """Makes identities of an enterprise the members of its group; those it does not have: then nothing is done."""
        async with self._audited() as (connection, note):
            before = await grants.known(connection, number)
            missing = await grants.set_members(connection, number, enterprise, usernames)
            after = sorted(set(usernames))
            if before is not None and not missing and before.members != after:
                note(Action.GROUP_CHANGED, before.handle, {"members": before.members}, {"members": after})
            return missing

    async def import_group(self, number: int, enterprise: int) -> None:
        """Lets an enterprise grant to the group of another one."""
        async with self._audited() as (connection, note):
            known = await grants.known(connection, number)
            if await grants.import_group(connection, number, enterprise) and known is not None:
                note(Action.GROUP_IMPORTED, known.handle, after={"enterprise": enterprise})

    async def drop_import(self, number: int, enterprise: int) -> None:
        """Ends that, and what the enterprise has granted to the group."""
        async with self._audited() as (connection, note):
            known = await grants.known(connection, number)
            if await grants.drop_import(connection, number, enterprise) and known is not None:
                note(Action.GROUP_DROPPED, known.handle, {"enterprise": enterprise})

    async def group(self, prefix: str, name: str) -> tuple[int, int] | None:
        """(number, number of its enterprise) of an identity group."""
        async with borrowed(self.pool, "administer") as connection:
            return await grants.group(connection, prefix, name)

    async def add_grant(
        self, prefix: RegisteredPrefix, given: Given, username: str = ""
    ) -> int | Literal["unreachable", "full"]:
        """Keeps a grant, to the identity called `username` or to `given.group`; its number.

        "unreachable": neither is the enterprise's own or comes with a group it has imported; "full": GRANTS_MOST.
        """
        assert prefix.enterprise is not None
        async with self._audited() as (connection, note):
            await catalogue.prefix(connection, prefix.name, held=True)
            if username:
                account = await grants.reachable(connection, username, prefix.enterprise)
                given = given._replace(account=account)
            elif given.group is None or not await grants.imported(connection, given.group, prefix.enterprise):
                given = given._replace(group=None)
            if given.account is None and given.group is None:
                return "unreachable"
            return await _add_grant(connection, note, given) or "full"

    async def remove_grant(self, number: int, enterprise: int) -> bool:
        """Takes a grant back; False when that enterprise has given none of that number."""
        async with self._audited() as (connection, note):
            return await _take_back(connection, note, number, enterprise)

    async def regrant(self, on: Object, wishes: Wishes, made_by: int) -> Literal["done", "full"] | Grantee:
        """Makes what is granted on an object as it is wished, all of it or nothing.

        A grantee that is neither the enterprise's own nor comes with a group it has imported; "full": GRANTS_MOST.
        """
        assert on.prefix.enterprise is not None
        async with self._audited() as (connection, note):
            await catalogue.prefix(connection, on.prefix.name, held=True)
            kept = await grants.on(connection, on.prefix.number, on.template, on.suffix)
            planned = plan(kept, wishes, on.names)
            for (to, _), wish in wishes.items():
                if wish.add != NO_NAMES and not await grants.within_reach(connection, to, on.prefix.enterprise):
                    return to
            if len(kept) + planned.more > GRANTS_MOST:
                return "full"
            for number in planned.gone:
                await _take_back(connection, note, number, on.prefix.enterprise)
            for number, names in planned.changed.items():
                await _alter_grant(connection, note, number, names, made_by)
            for made in planned.made:
                await _add_grant(connection, note, _given(on, made, made_by))
            return "done"

    async def remove_single_grants(self, prefix: RegisteredPrefix, suffix: str) -> int:
        """Takes back all that was granted on one identifier, which goes by the grants of its template again; how many
        grants that were.
        """
        assert prefix.enterprise is not None
        async with self._audited() as (connection, note):
            await catalogue.prefix(connection, prefix.name, held=True)
            kept = await grants.on(connection, prefix.number, None, suffix)
            for each in kept:
                await _take_back(connection, note, each.number, prefix.enterprise)
            return len(kept)

    async def note_settings(self, machine: str, settings: Mapping[str, object]) -> None:
        """Tells the audit journal what of a machine's `settings`, none of them secret, differs from its last start."""
        async with self._audited() as (connection, note):
            kept = await audit.keep_settings(connection, machine, msgspec.json.encode(settings).decode())
            before, after = differing(msgspec.json.decode(kept) if kept else {}, settings)
            if before or after:
                note(Action.SETTINGS_CHANGED, machine, {"settings": before}, {"settings": after})

    async def record_batch(self, batch: Batch, made: datetime) -> int:
        """Keeps the record of a batch; its number."""
        async with self._change() as connection:
            return await batches.add(connection, batch, made)

    async def reserve_file(self, account: int) -> int | None:
        """The number of a file that is about to be kept; None when the account has too many without link."""
        async with self._change() as connection:
            return await files.reserve(connection, account)

    async def add_file(self, file: StoredFile, created: datetime) -> None:
        """Keeps what is known of a file, which is in its place already."""
        async with self._change() as connection:
            await files.add(connection, file, created)

    async def remove_unlinked_files(self, now: datetime) -> list[int]:
        """Forgets files that were not linked in time; the numbers of some of them, none when there are no more."""
        async with self._change() as connection:
            return await files.remove_unlinked(connection, now)

    async def disclose(self, enterprise: int, disclosure: Disclosure) -> None:
        """Keeps what an enterprise lets everybody see."""
        async with self._audited() as (connection, note):
            before = await disclosures.chosen(connection, enterprise)
            await disclosures.choose(connection, enterprise, disclosure)
            shown = {"chosen": dict(before.chosen)}, {"chosen": dict(disclosure.chosen)}
            note(Action.DISCLOSURE_CHANGED, str(enterprise), *differing(*shown))


async def _add_grant(connection: Connection, note: Minutes, given: Given) -> int | None:
    added = await grants.add(connection, given, GRANTS_MOST)
    if added is not None:
        on, shown = await grants.shown(connection, added)
        note(Action.GRANT_ADDED, on, after=shown)
    return added


async def _alter_grant(
    connection: Connection, note: Minutes, number: int, names: tuple[Names, Names], made_by: int
) -> None:
    on, shown = await grants.shown(connection, number)
    more, less = gains(*names), gains(*names[::-1])
    await grants.alter(connection, number, _listed(names[1]), made_by, more=more, less=less)
    note(Action.GRANT_CHANGED, on, shown, (await grants.shown(connection, number))[1])


async def _take_back(connection: Connection, note: Minutes, number: int, enterprise: int) -> bool:
    on, shown = await grants.shown(connection, number)
    removed = await grants.remove(connection, number, enterprise)
    if removed:
        note(Action.GRANT_REMOVED, on, shown)
    return removed


def _given(on: Object, made: tuple[Grantee, Kind, Names], made_by: int) -> Given:
    to, kind, names = made
    listed = [] if kind == "itself" else _listed(names)
    return Given(on.prefix.number, on.template, on.suffix, *to, listed, kind == "edit", None, made_by)


def _listed(names: Names) -> list[str] | None:
    return None if names is None else sorted(names)


async def take_up(connection: Connection, note: Minutes, prefix: str, enterprise: int, *, filed: bool) -> None:
    """Gives a prefix to an enterprise, to be filed or, if it is not `filed`, open at once. Raises TakenError."""
    state = PrefixState.PENDING if filed else PrefixState.ENABLED
    if await catalogue.add_prefix(connection, prefix, enterprise, state):
        note(Action.PREFIX_ADDED, prefix, after={"enterprise": enterprise} | of_state(state))
    standing = await catalogue.prefix(connection, prefix, held=True)
    if standing is None or standing.enterprise != enterprise:
        raise TakenError(f"前缀{prefix}已属于别的企业。 Prefix {prefix} belongs to another enterprise.")
    again = filed and await filing.file_prefix(connection, standing.number) and not standing.state.open
    if standing.state is not state and (again or (not filed and standing.state is PrefixState.PENDING)):
        await catalogue.set_state(connection, prefix, state)
        note(Action.PREFIX_CHANGED, prefix, of_state(standing.state), of_state(state))
