"""The audit journal: who did what, to what, from where; how its entries are chained, and proven. Pure.

What an action may show of itself is a closed list, `SHOWN`. There is no secret on it and no personal data: nothing is
ever taken out of this journal again.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec

from registry.account import Account
from registry.filing import Standing
from registry.prefix import PrefixState
from registry.template import Template

OBJECTS_MOST: Final = 500
"""Objects one entry names: a batch of 2000 identifiers read is four entries."""
DETAIL_OCTETS: Final = 8192
"""Longest `before` or `after`; of what is longer, fields beyond FIELD_OCTETS are told by their digest, or all is."""
FIELD_OCTETS: Final = 256
"""Longest field that is always told: names, states and reasons are shorter, the items of a template are not."""
OCTETS_MOST: Final = 4 * 1024**3
"""Room of the journal unless it is set otherwise: some ten million entries."""
RESERVE_OCTETS: Final = 1024**2
"""Beyond a full journal there is room for so much of the audit role's own reading: it must be able to look."""
ROW_OCTETS: Final = 250
OBJECT_OCTETS: Final = 70
"""What an entry takes beside its own words: the row, its digest, its places in the indexes; and each of its objects."""
FIRST: Final = bytes(32)
"""The digest before the first entry."""


class Action(StrEnum):
    """What can be done that is written down. The words are stored: never change one."""

    ENTERPRISE_ENROLLED = "enterprise_enrolled"
    ENTERPRISE_RENAMED = "enterprise_renamed"
    ENTERPRISE_FILED = "enterprise_filed"
    ENTERPRISE_REFUSED = "enterprise_refused"
    ENTERPRISE_VERIFY_AGAIN = "enterprise_verify_again"
    PREFIX_ADDED = "prefix_added"
    PREFIX_CHANGED = "prefix_changed"
    PREFIX_MOVED_OUT = "prefix_moved_out"
    PREFIX_MOVED_IN = "prefix_moved_in"
    PREFIX_ERASED = "prefix_erased"
    HOSTING_CHANGED = "hosting_changed"
    APPLICATION_MADE = "application_made"
    APPLICATION_DECIDED = "application_decided"
    QUOTA_SET = "quota_set"
    VALUES_BLANKED = "values_blanked"
    TEMPLATE_ADDED = "template_added"
    TEMPLATE_CHANGED = "template_changed"
    TEMPLATE_REMOVED = "template_removed"
    ACCOUNT_PUT = "account_put"
    ACCOUNT_CHANGED = "account_changed"
    PASSWORD_SET = "password_set"  # noqa: S105 - a word
    KEY_SET = "key_set"
    TOTP_SET = "totp_set"
    TOTP_REMOVED = "totp_removed"
    SECRET_ROTATED = "secret_rotated"  # noqa: S105 - a word
    DISCLOSURE_CHANGED = "disclosure_changed"
    ACCOUNT_DISABLED = "account_disabled"
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - a word
    TOKENS_REVOKED = "tokens_revoked"
    GROUP_ADDED = "group_added"
    GROUP_CHANGED = "group_changed"
    GROUP_REMOVED = "group_removed"
    GROUP_IMPORTED = "group_imported"
    GROUP_DROPPED = "group_dropped"
    GRANT_ADDED = "grant_added"
    GRANT_CHANGED = "grant_changed"
    GRANT_REMOVED = "grant_removed"
    SETTINGS_CHANGED = "settings_changed"
    NODE_KEY_MADE = "node_key_made"
    TOPLEVEL_PINNED = "toplevel_pinned"
    TOPLEVEL_FORGOTTEN = "toplevel_forgotten"
    DATA_READ = "data_read"
    AUDIT_READ = "audit_read"
    ACCESS_LOG_READ = "access_log_read"


_NONE: Final = frozenset[str]()
_TEMPLATE: Final = frozenset(entry.name for entry in fields(Template)) - {
    "prefix",
    "version",
    "number",
    "epoch",
    "updated",
}
_GRANT: Final = frozenset({"number", "to", "attributes", "edit", "until"})
_ACCOUNT: Final = frozenset({"kind", "role", "enterprise", "enabled"})
_READING: Final = frozenset({"since", "until", "actor", "action", "object", "identifier", "account", "format"})
SHOWN: Final[dict[Action, frozenset[str]]] = {
    Action.ENTERPRISE_ENROLLED: frozenset({"number", "industry", "ent_crt_code", "particulars"}),
    Action.ENTERPRISE_RENAMED: frozenset({"number", "name"}),
    Action.ENTERPRISE_FILED: frozenset({"ent_id", "revision"}),
    Action.ENTERPRISE_REFUSED: frozenset({"revision", "reason"}),
    Action.ENTERPRISE_VERIFY_AGAIN: frozenset({"message"}),
    Action.PREFIX_ADDED: frozenset({"enterprise", "state"}),
    Action.PREFIX_CHANGED: frozenset({"state", "filing", "suspended", "stopped_here", "elsewhere", "reason"}),
    Action.PREFIX_MOVED_OUT: frozenset({"number", "to"}),
    Action.PREFIX_MOVED_IN: frozenset({"enterprise", "number", "node"}),
    Action.PREFIX_ERASED: _NONE,
    Action.HOSTING_CHANGED: frozenset({"proxy", "site", "reason", "by"}),
    Action.APPLICATION_MADE: frozenset({"enterprise", "occasion", "prefix"}),
    Action.APPLICATION_DECIDED: frozenset({"state", "step", "passed", "reason", "by"}),
    Action.QUOTA_SET: frozenset({"identifiers", "calls", "room"}),
    Action.VALUES_BLANKED: frozenset({"attributes", "versions", "reason"}),
    Action.TEMPLATE_ADDED: _TEMPLATE,
    Action.TEMPLATE_CHANGED: _TEMPLATE,
    Action.TEMPLATE_REMOVED: _NONE,
    Action.ACCOUNT_PUT: _ACCOUNT,
    Action.ACCOUNT_CHANGED: _ACCOUNT,
    Action.PASSWORD_SET: frozenset({"due"}),
    Action.KEY_SET: frozenset({"given"}),
    Action.TOTP_SET: _NONE,
    Action.TOTP_REMOVED: _NONE,
    Action.SECRET_ROTATED: frozenset({"overlap"}),
    Action.DISCLOSURE_CHANGED: frozenset({"chosen"}),
    Action.ACCOUNT_DISABLED: _ACCOUNT,
    Action.TOKEN_REVOKED: _NONE,
    Action.TOKENS_REVOKED: frozenset({"count"}),
    Action.GROUP_ADDED: _NONE,
    Action.GROUP_CHANGED: frozenset({"members"}),
    Action.GROUP_REMOVED: frozenset({"members"}),
    Action.GROUP_IMPORTED: frozenset({"enterprise"}),
    Action.GROUP_DROPPED: frozenset({"enterprise"}),
    Action.GRANT_ADDED: _GRANT,
    Action.GRANT_CHANGED: _GRANT,
    Action.GRANT_REMOVED: _GRANT,
    Action.SETTINGS_CHANGED: frozenset({"settings"}),
    Action.NODE_KEY_MADE: _NONE,
    Action.TOPLEVEL_PINNED: _NONE,
    Action.TOPLEVEL_FORGOTTEN: _NONE,
    Action.DATA_READ: frozenset({"as"}),
    Action.AUDIT_READ: _READING,
    Action.ACCESS_LOG_READ: _READING,
}
"""The fields of `before` and `after` that an action has."""
OF_AUDITORS: Final = frozenset({Action.AUDIT_READ, Action.ACCESS_LOG_READ})
"""What is written into the reserve of a full journal."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: an account with the role it has at that time, or one without an account (number 0).

    `peer` is the address it asks from; of people at the shell the name of the machine.
    """

    number: int
    name: str
    role: str
    peer: str = ""

    @classmethod
    def of(cls, account: Account, peer: str) -> "Actor":
        """The account, asking from the address `peer`."""
        return cls(account.number, account.username, account.role, peer)


NODE: Final = Actor(0, "idnode", "node")
"""The node by itself."""
TOPLEVEL: Final = Actor(0, "toplevel", "toplevel")
"""The national top-level node, whose orders and answers the uplink carries out."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be written down. `objects` name what it concerns; `before` and `after` show what SHOWN lets."""

    actor: Actor
    action: Action
    objects: tuple[str, ...]
    before: Mapping[str, object]
    after: Mapping[str, object]

    def __post_init__(self) -> None:
        assert len(self.objects) <= OBJECTS_MOST
        assert self.before.keys() | self.after.keys() <= SHOWN[self.action], (self.action, self.before, self.after)

    @property
    def octets(self) -> bytes:
        """What the chain is made of, beside number and time."""
        who = self.actor
        detail = detail_text(self.before), detail_text(self.after)
        return canonical(who.number, who.name, who.role, who.peer, self.action, self.objects, *detail)

    @property
    def room(self) -> int:
        """Octets it is counted with."""
        objects = sum(len(each.encode()) + OBJECT_OCTETS for each in self.objects)
        return ROW_OCTETS + len(self.octets) + objects


class Minutes:
    """What is to be written down of a change that is being made, in the name of `actor`."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor
        self.entries: list[Entry] = []

    def __call__(
        self,
        action: Action,
        object_: str,
        before: Mapping[str, object] | None = None,
        after: Mapping[str, object] | None = None,
    ) -> None:
        """It is done to that object; `before` and `after` as registry/audit.py shows them."""
        self.entries.append(Entry(self._actor, action, (object_,), before or {}, after or {}))


def detail_text(shown: Mapping[str, object]) -> str:
    """`before` or `after` as canonical JSON: no spaces, names in order, at most DETAIL_OCTETS."""
    whole = _encoded(shown)
    if len(whole) <= DETAIL_OCTETS:
        return whole.decode()
    fields = {name: msgspec.Raw(_digested(_encoded(value), FIELD_OCTETS)) for name, value in shown.items()}
    shorter = _encoded(fields)
    return (shorter if len(shorter) <= DETAIL_OCTETS else _digested(whole, DETAIL_OCTETS)).decode()


def _encoded(value: object) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


def _digested(octets: bytes, most: int) -> bytes:
    """`octets`, or what stands for them when they are more than `most`."""
    if len(octets) <= most:
        return octets
    return _encoded({"octets": len(octets), "sha256": sha256(octets).hexdigest()})


def canonical(
    number: int, name: str, role: str, peer: str, action: str, objects: Sequence[str], before: str, after: str
) -> bytes:
    """An entry in the one form its digest is made of."""
    detail = msgspec.Raw(before.encode()), msgspec.Raw(after.encode())
    return msgspec.json.encode([number, name, role, peer, action, objects, *detail])


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields in which the two differ."""
    names = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    return {n: before[n] for n in names if n in before}, {n: after[n] for n in names if n in after}


# -- what is shown of things


def of_account(known: tuple[Account, bool] | None) -> dict[str, object]:
    """An account, and whether it is enabled, without what proves it."""
    if known is None:
        return {}
    account, enabled = known
    return {"kind": account.kind, "role": account.role, "enterprise": account.enterprise, "enabled": enabled}


def of_state(state: PrefixState) -> dict[str, object]:
    """The state of a prefix or an application, by its name."""
    return {"state": state.name.lower()}


def of_standings(before: Standing, after: Standing, reason: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """How a prefix stood and stands here and with the top-level node, as far as it differs, and the reason told."""
    old, new = differing(_standing(before), _standing(after))
    return old, new | ({"reason": reason} if reason else {})


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "state": standing.state.name.lower(),
        "filing": standing.filing.name.lower(),
        "suspended": standing.suspended,
        "stopped_here": standing.stopped_here,
    }


def of_templates(before: Template | None, after: Template) -> tuple[dict[str, object], dict[str, object]]:
    """What a template says before and after, as far as it differs: of its items, too, only those that do."""
    was, is_ = _said(before), _said(after)
    old, new = differing(was, is_)
    if "items" in new:
        old["items"], new["items"] = differing(was.get("items", {}), is_["items"])
    return old, new


def _said(template: Template | None) -> dict[str, Any]:
    if template is None:
        return {}
    said = {name: value for name, value in msgspec.to_builtins(template).items() if name in _TEMPLATE}
    return said | {"state": template.state.name.lower(), "items": {item["name"]: item for item in said["items"]}}


# -- the chain


class Head(NamedTuple):
    """How far the journal goes: the number and digest of its last entry."""

    number: int
    digest: bytes


EMPTY: Final = Head(0, FIRST)


class Kept(NamedTuple):
    """A head as it is kept elsewhere, and the digest of the journal's first entry, by which the journal is known."""

    head: Head = EMPTY
    first: bytes = b""


class Row(NamedTuple):
    """An entry as it is kept. `at` is in milliseconds since 1970 UTC; `before` and `after` are canonical JSON."""

    number: int
    at: int
    account: int
    actor: str
    role: str
    peer: str
    action: str
    objects: list[str]
    before: str
    after: str
    digest: bytes

    @property
    def shown(self) -> dict[str, object]:
        """What is told of it, digest included."""
        told: dict[str, object] = dict(zip(self._fields, self, strict=True))
        detail = {"before": msgspec.Raw(self.before.encode()), "after": msgspec.Raw(self.after.encode())}
        return told | detail | {"digest": self.digest.hex()}


def next_digest(before: bytes, row: Row) -> bytes:
    """The digest of `row` behind the one with the digest `before`: sha256(before ‖ number ‖ time ‖ entry)."""
    return sha256(before + f"{row.number} {row.at} ".encode() + canonical(*row[2:10])).digest()


@dataclass(frozen=True, slots=True)
class Broken:
    """The journal is not what was written, from the entry `number` on; 0: it is not the one it should be."""

    number: int
    zh: str
    en: str

    @property
    def told(self) -> str:
        """What is wrong, and where."""
        if not self.number:
            return f"{self.zh} · {self.en}"
        return f"第{self.number}条：{self.zh} · entry {self.number}: {self.en}"


def prove(head: Head, rows: Iterable[Row], kept: Head = EMPTY) -> Head | Broken:
    """The head after `rows`, which follow `head`, if their chain holds and goes through `kept`, noted elsewhere."""
    for row in rows:
        if row.number != head.number + 1:
            return Broken(head.number + 1, "缺少该条", "the entry is missing")
        head = Head(row.number, next_digest(head.digest, row))
        if head.digest != row.digest:
            return Broken(row.number, "内容与摘要不符", "the entry does not match its digest")
        if head.number == kept.number and head.digest != kept.digest:
            return Broken(row.number, "与别处留存的摘要不符", "it is another one than what was kept elsewhere")
    return head


def ended(proven: Head, head: Head, kept: Head = EMPTY) -> Head | Broken:
    """`proven`, the head after all rows, if that is what the journal calls its `head`, and not before `kept`."""
    if proven.number < max(head.number, kept.number):
        return Broken(proven.number + 1, "末尾被截去", "the end is cut off")
    if proven != head:
        return Broken(head.number, "与账目链头不符", "it is not what the head of the journal says")
    return proven


class Seal:
    """Proves that a head was written down by who has the node's key (32 octets)."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, b"idnode audit head", "sha256")

    def written(self, kept: Kept) -> str:
        """The head as a line of text."""
        said = f"{kept.head.number} {kept.head.digest.hex()} {kept.first.hex()}".rstrip()
        return f"{said} {self._mark(said)}"

    def read(self, line: str) -> Kept | None:
        """The head a line holds; None if it is none, or was written with another key. Lines of earlier editions do not
        say which journal it is of.
        """
        said, _, mark = line.strip().rpartition(" ")
        if not hmac.compare_digest(self._mark(said).encode(), mark.encode()):
            return None
        number, digest, *first = said.split()
        return Kept(Head(int(number), bytes.fromhex(digest)), bytes.fromhex("".join(first)))

    def _mark(self, said: str) -> str:
        return hmac.new(self._key, said.encode(), sha256).hexdigest()
