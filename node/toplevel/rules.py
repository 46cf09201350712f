"""What the top-level node accepts, and the sentence that says why it does not. Pure: what is known is given.

No SQL, no socket, no clock. A judgement is a value: a `Refusal`, or None; of a stream, a `Judgement`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import ip_address
from typing import Any, Final

from proto import signed
from proto import uplink_pb2 as pb
from proto.bootstrap import is_base
from proto.chain import HEAD_FIRST, Kind, entry_digests, next_head
from proto.credit_code import check_credit_code
from proto.errors import ProtoError
from proto.identifier import Prefix, are_keys
from proto.signed import KEY_OCTETS
from proto.values.site import Interface, Protocol, Server, Site

ENTRIES_MOST: Final = 20_000
"""Entries of one request: what `signed.MESSAGE_OCTETS` holds when they are long, and a second's work."""
STREAMS_MOST: Final = 1000
"""Streams of one request, and places of one answer to Standing: an average node's enterprises (uplink.proto)."""
WINDOWS_MOST: Final = 2000
"""Windows of one request (uplink.proto)."""
TEMPLATE_CHARACTERS: Final = 128
"""Longest version name of a template (SNMS OpenAPI, `version`)."""
TEMPLATES_MOST: Final = 200
"""Templates of one request (uplink.proto)."""
ITEMS_MOST: Final = 500
"""Attributes of a template."""
DIGEST_OCTETS: Final = 32
MOMENT_LAST: Final = 253_402_300_799_999
"""The last millisecond of the year 9999: what pages can show."""
NUMBER_LAST: Final = 2**63 - 1
SUB_LAST: Final = 2**31 - 1
WINDOW_SECONDS_MOST: Final = 86_400
"""Longest window: a day (daily statistics are the longest anybody sends)."""


class Code(IntEnum):
    """Result codes of EPP (RFC 5730 §3) as far as they are said here."""

    DONE = 1000
    PENDING = 1001
    NO_MESSAGES = 1300
    MESSAGE = 1301
    MISSING = 2003
    RANGE = 2004
    SYNTAX = 2005
    NOT_AUTHENTICATED = 2200
    NOT_AUTHORISED = 2201
    EXISTS = 2302
    UNKNOWN = 2303
    PROHIBITED = 2304
    POLICY = 2306
    FAILED = 2400


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something is not accepted: a code of EPP and one sentence in each language."""

    code: Code
    zh: str
    en: str


# -- filing


@dataclass(frozen=True, slots=True)
class _Text:
    """The rule of a text: `field` as in uplink.proto, at most `most` characters, `form` and what it is called."""

    field: str
    most: int
    required: bool = True
    form: re.Pattern[str] | None = None
    zh: str = ""
    en: str = ""


_DISTRICT: Final = re.compile(r"[1-9][0-9]{5}", re.ASCII)
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_PHONE: Final = re.compile(r"[0-9+() -]+", re.ASCII)
_WEB: Final = re.compile(r"\S+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

_OF_DISTRICT: Final = (_DISTRICT, "应为6位行政区划代码（GB/T 2260）", "must be a district of 6 digits (GB/T 2260)")
_TEXTS: Final = (
    _Text("ent_crt_code", 32),
    _Text("ent_name_cn", 255),
    _Text("ent_name_en", 255, required=False),
    _Text("ent_province_code", 6, True, *_OF_DISTRICT),
    _Text("ent_city_code", 6, True, *_OF_DISTRICT),
    _Text("ent_county_code", 6, False, *_OF_DISTRICT),
    _Text("ent_addr_cn", 255),
    _Text("ent_addr_en", 255, required=False),
    _Text("ent_web_site", 255, False, _WEB, "不能含空格", "must hold no space"),
    _Text("ent_desc", 1024, required=False),
    _Text("contact.name", 255),
    _Text("contact.email", 255, True, _EMAIL, "应为电子邮箱", "must be an e-mail address"),
    _Text("contact.phone", 16, True, _PHONE, "应为电话号码", "must be a telephone number"),
    _Text("legal_person.name", 255),
    _Text("legal_person.id_no", 32),
)
"""Lengths as in the SNMS OpenAPI, which takes the same particulars from enterprises (secondary-node facts §2.2)."""
_CHOICES: Final = (("ent_type", 5), ("legal_person.id_type", 6))
"""Fields that are a number from 1 on (secondary-node facts §2.2, §4.1)."""


def enterprise(given: pb.Enterprise) -> Refusal | None:
    """Whether the particulars of an enterprise can be filed, field by field."""
    for field, last in _CHOICES:
        if refusal := _choice(field, _field(given, field), last):
            return refusal
    for rule in _TEXTS:
        if refusal := _text(rule, _field(given, rule.field)):
            return refusal
    if given.ent_crt_type not in {0, 1, 3}:
        return Refusal(Code.RANGE, "ent_crt_type应为1或3", "ent_crt_type must be 1 or 3")
    try:
        if given.ent_crt_type != 3:
            check_credit_code(given.ent_crt_code, "ent_crt_code")
    except ProtoError as error:
        return Refusal(Code.SYNTAX, error.zh, error.en)
    return _nested(given)


_WHOLE: Final = ("ent_type", "ent_crt_type", "ent_crt_code", "ent_name_cn", "legal_person")
"""What needs all of an enterprise to be filed again (`chgAll`, top-level interface draft)."""


def in_part(given: pb.Enterprise) -> Refusal | None:
    """Whether this may be changed in part."""
    for field, _ in given.ListFields():
        if field.name in _WHOLE:
            return Refusal(
                Code.RANGE, f"{field.name}的变更应全量报送（chgAll）", f"{field.name} is changed by filing all of it"
            )
    return None


def changed(kept: pb.Enterprise, given: pb.Enterprise) -> pb.Enterprise:
    """`kept` with all that may be changed in part as `given`."""
    made = pb.Enterprise()
    made.CopyFrom(given)
    for name in _WHOLE:
        if name == "legal_person":
            made.legal_person.CopyFrom(kept.legal_person)
        else:
            setattr(made, name, getattr(kept, name))
    return made


def _field(given: pb.Enterprise, path: str) -> Any:
    value: Any = given
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _choice(field: str, value: int, last: int) -> Refusal | None:
    if value == 0:
        return _missing(field)
    if not 1 <= value <= last:
        return Refusal(Code.RANGE, f"{field}应在1到{last}之间", f"{field} must be within 1…{last}")
    return None


def _text(rule: _Text, value: str) -> Refusal | None:
    if not value:
        return _missing(rule.field) if rule.required else None
    if len(value) > rule.most:
        return Refusal(
            Code.RANGE, f"{rule.field}最多{rule.most}个字符", f"{rule.field} has at most {rule.most} characters"
        )
    if _CONTROL.search(value):
        return Refusal(Code.SYNTAX, f"{rule.field}不能含控制字符", f"{rule.field} must hold no control character")
    if rule.form and not rule.form.fullmatch(value):
        return Refusal(Code.SYNTAX, f"{rule.field}{rule.zh}", f"{rule.field} {rule.en}")
    return None


def _missing(field: str) -> Refusal:
    return Refusal(Code.MISSING, f"缺少{field}", f"{field} is missing")


def _nested(given: pb.Enterprise) -> Refusal | None:
    """A city lies in its province, a county in its city: so say the first digits of their codes (GB/T 2260)."""
    if given.ent_city_code[:2] != given.ent_province_code[:2]:
        return Refusal(Code.RANGE, "ent_city_code不在该省内", "ent_city_code is not within the province")
    if given.ent_county_code and given.ent_county_code[:4] != given.ent_city_code[:4]:
        return Refusal(Code.RANGE, "ent_county_code不在该市内", "ent_county_code is not within the city")
    return None


def enrolment(shr_prefix: str, given: pb.EnrolRequest, known: bytes | None) -> Refusal | None:
    """Whether a node may make its key known; `known` is the key this prefix has already."""
    if refusal := allocated("shr_prefix", shr_prefix, labels=2):
        return refusal
    if len(given.public_key) != KEY_OCTETS:
        return Refusal(Code.SYNTAX, f"public_key应为{KEY_OCTETS}字节", f"public_key must be {KEY_OCTETS} octets")
    for rule in (_Text("name_zh", 255), _Text("name_en", 255, required=False)):
        if refusal := _text(rule, getattr(given, rule.field)):
            return refusal
    if known is not None and known != given.public_key:
        return Refusal(
            Code.NOT_AUTHORISED,
            f"节点{shr_prefix}已登记了另一把密钥",
            f"node {shr_prefix} has enrolled with another key",
        )
    return None


def allocated(field: str, name: str, labels: int) -> Refusal | None:
    """Whether `name` is a prefix of so many labels: 2 for a secondary node, 3 for an enterprise."""
    try:
        Prefix(name)
    except ProtoError:
        name = ""
    if name.count(".") != labels - 1:
        shape = "88.999" if labels == 2 else "88.999.1001"
        return Refusal(
            Code.SYNTAX,
            f"{field}应为{labels}段数字，例如{shape}",
            f"{field} must be {labels} labels of digits such as {shape}",
        )
    return None


@dataclass(frozen=True, slots=True)
class Filed:
    """A prefix in the books: whose it is, its state, to whom it is on its way, when it last came from another node, and
    the code of its enterprise.
    """

    number: int
    node: int
    state: int
    heir: int | None = None
    released: int = 0
    ent_crt_code: str = ""


def filing(shr_prefix: str, node: int, prefix: str, owner: int | None, known: Filed | None) -> Refusal | None:
    """Whether node `node`, which is `shr_prefix`, may file `prefix` for an enterprise filed by `owner` (None: nobody).

    A prefix that was refused may be filed again, by the same node.
    """
    if refusal := allocated("prefix", prefix, labels=3):
        return refusal
    if Prefix(prefix).parent != shr_prefix and (known is None or known.node != node):
        return Refusal(
            Code.NOT_AUTHORISED,
            f"prefix应在{shr_prefix}之下，{prefix}不是",
            f"prefix must be under {shr_prefix}; {prefix} is not",
        )
    if refusal := _of_enterprise(node, owner):
        return refusal
    if known is not None and known.state != pb.PREFIX_STATE_REFUSED:
        return Refusal(Code.EXISTS, f"前缀{prefix}已报送", f"prefix {prefix} has been filed already")
    return None


def _of_enterprise(node: int, owner: int | None) -> Refusal | None:
    if owner is None:
        return Refusal(Code.UNKNOWN, "没有这个ent_id", "there is no such ent_id")
    if owner != node:
        return Refusal(Code.NOT_AUTHORISED, "这个ent_id由另一节点报送", "that ent_id was filed by another node")
    return None


def of_speaker(node: int, owner: int | None, zh: str, en: str) -> Refusal | None:
    """Whether what is called `zh` and `en` is known (`owner` filed it) and belongs to the node that speaks."""
    if owner is None:
        return Refusal(Code.UNKNOWN, f"没有{zh}", f"there is no {en}")
    if owner != node:
        return Refusal(Code.NOT_AUTHORISED, f"{zh}由另一节点报送", f"{en} was filed by another node")
    return None


def audited(state: int) -> Refusal | None:
    """Whether a prefix has passed its audit, suspended since or not."""
    if state in {pb.PREFIX_STATE_NORMAL, pb.PREFIX_STATE_SUSPENDED}:
        return None
    zh, en = STATE_NAMES[state]
    return Refusal(Code.PROHIBITED, f"前缀的状态为{zh}", f"the prefix is {en}")


# -- orders


_ORDERED: Final = {
    "suspend": (pb.PREFIX_STATE_NORMAL, pb.PREFIX_STATE_SUSPENDED),
    "resume": (pb.PREFIX_STATE_SUSPENDED, pb.PREFIX_STATE_NORMAL),
}
ORDER_KINDS: Final = {
    "suspend": pb.ORDER_KIND_SUSPEND_PREFIX,
    "resume": pb.ORDER_KIND_RESUME_PREFIX,
    "verify": pb.ORDER_KIND_VERIFY_ENTERPRISE,
}
STATE_NAMES: Final[dict[int, tuple[str, str]]] = {
    pb.PREFIX_STATE_PENDING: ("待审核", "pending"),
    pb.PREFIX_STATE_NORMAL: ("正常", "normal"),
    pb.PREFIX_STATE_REFUSED: ("被驳回", "refused"),
    pb.PREFIX_STATE_SUSPENDED: ("已停用", "suspended"),
}


def order(kind: str, state: int) -> int | Refusal:
    """The state a prefix in `state` is brought into by an order of that kind; `verify` leaves it as it is."""
    if kind not in _ORDERED:
        return state
    wanted, after = _ORDERED[kind]
    if state != wanted:
        zh, en = STATE_NAMES[state]
        return Refusal(Code.PROHIBITED, f"前缀的状态为{zh}，不能{kind}", f"the prefix is {en}: it cannot {kind}")
    return after


# -- who speaks


def fence(given: int, highest: int) -> Refusal | None:
    """Whether a voice with the number `given` is the node's present one; `highest` was heard already."""
    if given < highest:
        return Refusal(
            Code.NOT_AUTHORISED,
            f"fence应不小于{highest}，实为{given}：这个进程已不是该节点的代表",
            f"fence must be at least {highest}, not {given}: this process is no longer the voice of the node",
        )
    return None


def heartbeat(given: pb.HeartbeatRequest) -> Refusal | None:
    """Whether what a voice tells of itself can be kept."""
    for field in ("version", "machine"):
        if refusal := _text(_Text(field, 64), getattr(given, field)):
            return refusal
    if given.iiidap and not (given.iiidap.startswith("https://") and is_base(given.iiidap)):
        return Refusal(Code.SYNTAX, "iiidap应为以/结尾的HTTPS地址", "iiidap must be an HTTPS URL that ends with /")
    for field in ("started", "oldest_unreceipted"):
        if refusal := _within(field, getattr(given, field), MOMENT_LAST):
            return refusal
    return _within("unreceipted", given.unreceipted, NUMBER_LAST)


def _within(field: str, value: int, last: int, first: int = 0) -> Refusal | None:
    if first <= value <= last:
        return None
    return Refusal(Code.RANGE, f"{field}应在{first}到{last}之间", f"{field} must be within {first}…{last}")


# -- routes


_PORTS: Final = ("tcp_port", "udp_port", "http_port")


def route(given: pb.Route, known: pb.Route | None) -> Refusal | None:
    """Whether a route follows the one `known` of its prefix."""
    for field in _PORTS:
        if refusal := _within(field, getattr(given, field), 65_535):
            return refusal
    if not any(getattr(given, field) for field in _PORTS):
        return Refusal(
            Code.MISSING, "tcp_port、udp_port、http_port至少要有一个", f"one of {', '.join(_PORTS)} is needed"
        )
    if refusal := _address(given.address) or _within("serial", given.serial, NUMBER_LAST, 1):
        return refusal
    try:
        site(given)
    except ProtoError as error:
        return Refusal(Code.RANGE, error.zh, error.en)
    if known is None or given.serial > known.serial or given == known:
        return None
    return Refusal(
        Code.RANGE,
        f"serial应大于{known.serial}，因为路由有变化",
        f"serial must be greater than {known.serial}, for the route has changed",
    )


_SITE_VERSION: Final = (2, 11)
"""The version of the protocol in the sites of deployed servers (handle reference §3.4)."""


def site(given: pb.Route) -> Site:
    """The HS_SITE of a route. Raises ProtoError for what a site cannot hold."""
    ports = ((Protocol.TCP, given.tcp_port), (Protocol.UDP, given.udp_port), (Protocol.HTTP, given.http_port))
    ways = tuple(
        Interface(protocol, port, query=True, admin=protocol is not Protocol.UDP) for protocol, port in ports if port
    )
    server = Server(1, ip_address(given.address), b"", ways)
    return Site(_SITE_VERSION, given.serial & 0xFFFF, primary=True, multi_primary=False, servers=(server,))


def _address(text: str) -> Refusal | None:
    if not text:
        return _missing("address")
    try:
        address = ip_address(text)
    except ValueError:
        return Refusal(Code.SYNTAX, "address应为IPv4或IPv6地址", "address must be an IPv4 or IPv6 address")
    if address.is_unspecified or address.is_multicast or "%" in text:
        return Refusal(Code.RANGE, "address应是一台服务器的地址", "address must be that of one server")
    return None


# -- statistics


_COUNTS: Final = ("registered_total", "registered", "updated", "deleted", "resolved", "resolve_failed")


def window(given: pb.Window) -> Refusal | None:
    """Whether the counts of one window can be kept."""
    if refusal := _within("start", given.start, MOMENT_LAST) or _within(
        "seconds", given.seconds, WINDOW_SECONDS_MOST, 1
    ):
        return refusal
    for field in _COUNTS:
        if refusal := _within(field, getattr(given, field), NUMBER_LAST):
            return refusal
    return None


# -- templates


def template(given: pb.Template) -> Refusal | None:
    """Whether a template can be kept."""
    if refusal := _within("epoch", given.epoch, NUMBER_LAST, 1) or too_many("items", len(given.items), ITEMS_MOST):
        return refusal
    if given.state not in {pb.TEMPLATE_STATE_PUBLISHED, pb.TEMPLATE_STATE_WITHDRAWN}:
        return Refusal(Code.RANGE, "state应为已发布或已撤回", "state must be published or withdrawn")
    for rule, value in zip(_TEMPLATE_TEXTS, (given.version, given.name_zh, given.name_en), strict=True):
        if refusal := _text(rule, value):
            return refusal
    return _within("revision", given.revision, SUB_LAST, 1)


_TEMPLATE_TEXTS: Final = (
    _Text("version", TEMPLATE_CHARACTERS),
    _Text("name_zh", TEMPLATE_CHARACTERS),
    _Text("name_en", TEMPLATE_CHARACTERS, required=False),
)


def too_many(field: str, count: int, most: int) -> Refusal | None:
    """Whether a list is longer than it may be."""
    if count <= most:
        return None
    return Refusal(
        Code.RANGE, f"{field}最多{most}项，实为{count}项", f"{field} has at most {most} entries, not {count}"
    )


# -- streams


@dataclass(frozen=True, slots=True)
class Change:
    """A change in columns, as it is kept: one item of each for every entry, `digests` 32 octets each."""

    number: int
    made: int
    head: bytes
    suffixes: list[str]
    versions: list[int]
    kinds: list[int]
    templates: list[str]
    digests: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a stream is known."""

    number: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Judgement:
    """What comes of a stream: `accepted` changes are new, all that came before the first one with a fault."""

    verdict: int
    zh: str
    en: str
    standing: Standing
    accepted: tuple[Change, ...]


class _FaultError(Exception):
    """Why a change is not accepted; never leaves this module."""

    def __init__(self, verdict: int, zh: str, en: str) -> None:
        super().__init__(en)
        self.verdict, self.zh, self.en = verdict, zh, en


def stream(prefix: str, at: Standing, known: Mapping[int, bytes], changes: Iterable[pb.Change]) -> Judgement:
    """Judges consecutive changes of the stream of `prefix` that is known as far as `at`.

    `known` are heads by number, those before and at each change that is in the books already. A change repeated alike
    is accepted and not kept twice; the first one with a fault ends it, what came before stays accepted.
    """
    heads = {0: HEAD_FIRST, **known, at.number: at.head}
    accepted: list[Change] = []
    try:
        for each in changes:
            change = _columns(prefix, each)
            _follows(change, at, heads)
            if next_head(heads[change.number - 1], _digests(prefix, change)) != change.head:
                raise _FaultError(
                    pb.VERDICT_WRONG_HEAD,
                    f"第{change.number}号变更的head与其条目不符",
                    f"the head of change {change.number} is not that of its entries",
                )
            if change.number > at.number:
                at = Standing(change.number, change.head)
                heads[change.number] = change.head
                accepted.append(change)
    except _FaultError as fault:
        return Judgement(fault.verdict, fault.zh, fault.en, at, tuple(accepted))
    return Judgement(pb.VERDICT_ACCEPTED, "", "", at, tuple(accepted))


def _follows(change: Change, at: Standing, heads: Mapping[int, bytes]) -> None:
    if change.number > at.number + 1:
        raise _FaultError(
            pb.VERDICT_GAP,
            f"已知到第{at.number}号，缺少第{at.number + 1}号",
            f"known as far as {at.number}: number {at.number + 1} is missing",
        )
    if change.number <= at.number and heads[change.number] != change.head:
        raise _FaultError(
            pb.VERDICT_DIVERGED,
            f"第{change.number}号变更与已知的不同",
            f"change {change.number} is not the one known under that number",
        )


def _columns(prefix: str, given: pb.Change) -> Change:
    """Raises _FaultError for what is malformed."""
    entries = given.entries
    if not 1 <= given.number <= NUMBER_LAST or not 0 <= given.made <= MOMENT_LAST or not entries:
        raise _malformed(given.number, "的number、made或entries超出范围", "has number, made or entries out of range")
    suffixes, versions, kinds, templates, digests = map(
        list,
        zip(*[(each.suffix, each.version, each.kind, each.template, each.digest) for each in entries], strict=True),
    )
    change = Change(given.number, given.made, given.head, suffixes, versions, kinds, templates, b"".join(digests))
    if len(change.head) != DIGEST_OCTETS or not {DIGEST_OCTETS}.issuperset(map(len, digests)):
        raise _malformed(given.number, "的head和digest应为32字节", "must have a head and digests of 32 octets")
    if min(change.versions) < 1:
        raise _malformed(given.number, "的version应从1开始", "must have versions from 1 on")
    _check_kinds(change)
    _check_names(prefix, change)
    return change


_KINDS: Final = frozenset(map(int, Kind))
OF_PREFIX: Final = frozenset({int(Kind.PREFIX_ENABLED), int(Kind.PREFIX_STOPPED)})
"""Kinds of what happens to a prefix itself."""


def _check_kinds(change: Change) -> None:
    if not _KINDS.issuperset(change.kinds):
        raise _malformed(change.number, "的kind不认识", "has a kind that is not known")
    if OF_PREFIX.isdisjoint(change.kinds) and all(change.suffixes):
        return
    if any((kind in OF_PREFIX) == bool(suffix) for kind, suffix in zip(change.kinds, change.suffixes, strict=True)):
        raise _malformed(change.number, "的kind与suffix不符", "has a kind that does not fit its suffix")


def _check_names(prefix: str, change: Change) -> None:
    for template in set(change.templates):
        if len(template) > TEMPLATE_CHARACTERS or _CONTROL.search(template):
            raise _malformed(
                change.number,
                f"的template最多{TEMPLATE_CHARACTERS}个字符，不含控制字符",
                f"has templates of at most {TEMPLATE_CHARACTERS} characters without control characters",
            )
    try:
        alike = are_keys(prefix + "/", list(filter(None, change.suffixes)))
    except ProtoError as error:
        raise _malformed(change.number, f"的suffix不可用：{error.zh}", f"has a suffix of no use: {error.en}") from None
    if not alike:
        raise _malformed(change.number, "的suffix不是所存的写法", "has a suffix that is not spelt as it is kept")


def _malformed(number: int, zh: str, en: str) -> _FaultError:
    return _FaultError(pb.VERDICT_MALFORMED, f"第{number}号变更{zh}", f"change {number} {en}")


def _digests(prefix: str, change: Change) -> list[bytes]:
    start = prefix + "/"
    keys = [start + suffix if suffix else prefix for suffix in change.suffixes]
    return entry_digests(keys, change.versions, change.kinds, change.templates, change.digests)


def counted(changes: Sequence[Change], kind: Kind) -> int:
    """Entries of that kind."""
    number = int(kind)  # equal to those looked at without a question to its class
    return sum(change.kinds.count(number) for change in changes)


# -- moving


@dataclass(frozen=True, slots=True)
class Mover:
    """The node that takes a prefix over, and for whom: who filed that enterprise (None: nobody), and its code."""

    shr_prefix: str
    number: int
    owner: int | None
    ent_crt_code: str


def moving(
    mover: Mover,
    given: pb.CreatePrefixRequest,
    known: Filed | None,
    leaver: tuple[int, bytes] | None,
    at: Sequence[Standing],
) -> Refusal | None:
    """Whether the prefix `known`, whose streams stand at `at`, may go to another node. `leaver`: number and public key
    of the node that lets it go. These books may be younger than the move: then it is filed anew.
    """
    prefix, release = given.prefix, given.release
    if refusal := allocated("prefix", prefix, labels=3) or _of_enterprise(mover.number, mover.owner):
        return refusal
    theirs = known.node == leaver[0] if known and leaver else Prefix(prefix).parent == release.node
    if leaver is None or not theirs:
        zh, en = f"前缀{prefix}不是节点{release.node[:64]}的", f"prefix {prefix} is not one of node {release.node[:64]}"
        return Refusal(Code.NOT_AUTHORISED, zh, en)
    try:
        signed.lets_go(prefix, mover.shr_prefix, release, leaver[1])
    except ProtoError as error:
        return Refusal(Code.NOT_AUTHENTICATED, f"release的{error.zh}", f"of the release, {error.en}")
    if known is None:
        return None
    if mover.ent_crt_code != known.ent_crt_code:
        return Refusal(Code.NOT_AUTHORISED, f"前缀{prefix}属于另一企业", f"prefix {prefix} is another enterprise's")
    if known.heir is not None:
        return Refusal(Code.EXISTS, f"前缀{prefix}正在迁移", f"prefix {prefix} is on its way already")
    return moves(prefix, known, release, at)


def moves(prefix: str, known: Filed, release: pb.Release, at: Sequence[Standing]) -> Refusal | None:
    """Whether a release takes effect: the prefix is in force, no stream goes beyond it, no later one took effect."""
    if known.state != pb.PREFIX_STATE_NORMAL:
        zh, en = STATE_NAMES[known.state]
        return Refusal(Code.PROHIBITED, f"前缀的状态为{zh}，不能迁移", f"the prefix is {en} and cannot move")
    ends = all(
        (each.number, each.head) == (release.number, release.head) or each.number < release.number for each in at
    )
    if ends and release.made > known.released:
        return None
    return Refusal(
        Code.PROHIBITED,
        f"前缀{prefix}的变更不止于release所述，应重新迁出",
        f"the stream of {prefix} does not end where the release says: it must be packed anew",
    )


# -- proof


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with kept changes."""

    zh: str
    en: str


def walk(prefix: str, at: Standing, kept: Change) -> Standing | Flaw:
    """One step of a proof: the standing after a kept change, if it follows `at` and its head is that of its entries."""
    if kept.number != at.number + 1:
        return Flaw(f"缺少第{at.number + 1}号变更", f"change {at.number + 1} is missing")
    if len(kept.digests) != DIGEST_OCTETS * len(kept.suffixes):
        return Flaw(f"第{kept.number}号变更不完整", f"change {kept.number} is not whole")
    if next_head(at.head, _digests(prefix, kept)) != kept.head:
        return Flaw(f"第{kept.number}号变更的head不符", f"the head of change {kept.number} is not that of its entries")
    return Standing(kept.number, kept.head)


def agrees(told: Standing, live: int, walked: Standing | Flaw, counted: int, astray: str) -> Flaw | None:
    """Whether what a stream says of itself, `told` and `live`, is what its changes say: walked and counted.

    `astray` is an identifier whose versions do not follow one another, or empty.
    """
    if walked != told:
        return Flaw(f"变更不到第{told.number}号", f"the changes do not lead to number {told.number}")
    if astray:
        return Flaw(f"标识{astray}的版本不连续", f"the versions of {astray} do not follow one another")
    if live != counted:
        return Flaw(f"有效标识应为{counted}个，记为{live}个", f"{counted} identifiers live, {live} were counted")
    return None
