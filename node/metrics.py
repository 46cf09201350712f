"""What is measured: one table of metrics by name, with the values their labels may have and the bounds of histograms.

docs/metrics.md is made from this table and held to it. Nothing is counted here; the memory is `node/meter.py`'s.

Names are Prometheus's (idnode_…_total, _seconds, _bytes). No label ever holds an identifier, a user or an address:
values are closed sets, or (`OPEN`) bounded by whoever tells them.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Final, Literal

from node.health import CONDITIONS
from node.resolve.answer import Outcome, Where
from proto.codes import ResponseCode
from registry.industries import load
from registry.postgres.connection import PURPOSES
from registry.rules import Rule

Kind = Literal["counter", "gauge", "age", "histogram"]

OPEN: Final[tuple[str, ...]] = ()
"""The values of a label that are no closed set: told by the supervisor, which bounds them."""


@dataclass(frozen=True)
class Metric:
    """One metric. `labels` are pairs of a name and its values; `bounds` the upper bounds of a histogram's buckets.

    An age is kept as the moment something was (seconds since 1970 UTC, 0: never) and told as a gauge of the seconds
    since: it goes on growing when the process that ought to renew it is dead.
    """

    name: str
    kind: Kind
    zh: str
    en: str
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def open(self) -> bool:
        """Whether a label's values are no closed set: then it is not kept in memory but told by the supervisor."""
        return any(values == OPEN for _, values in self.labels)

    @cached_property
    def series(self) -> tuple[tuple[str, ...], ...]:
        """Every combination of label values."""
        return tuple(product(*(values for _, values in self.labels)))

    @property
    def words(self) -> int:
        """Words of memory a series takes: a histogram has one for each bucket, one beyond the last, and the sum."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1


def _counter(name: str, zh: str, en: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(f"idnode_{name}_total", "counter", zh, en, tuple(labels.items()))


def _gauge(name: str, zh: str, en: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(f"idnode_{name}", "gauge", zh, en, tuple(labels.items()))


def _age(name: str, zh: str, en: str) -> Metric:
    return Metric(f"idnode_{name}_seconds", "age", zh, en)


def _histogram(name: str, bounds: tuple[float, ...], zh: str, en: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(f"idnode_{name}", "histogram", zh, en, tuple(labels.items()), bounds)


_FAST: Final = (
    0.000025,
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
)
"""Seconds: a hot answer takes some 10 µs, a question to PostgreSQL may wait 5 s."""
_SLOW: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds: a commit takes some milliseconds, a statement at most 30 s."""
_COUNTS: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0)
"""Identifiers: a batch has at most 2000."""

# -- resolving

NOWHERE: Final = "none"
"""Where a question was answered that could not be."""
UNAVAILABLE: Final = "unavailable"
BUSY: Final = "busy"
FAILED: Final = "failed"
"""An internal error: it stands in the journal."""

WHERES: Final = (*(where.value for where in Where), NOWHERE)
RESOLUTIONS: Final = _counter(
    "resolutions",
    "解析次数，按在何处得到回答与结果",
    "resolutions by where they were answered and by outcome",
    where=WHERES,
    outcome=(*(outcome.name.lower() for outcome in Outcome), UNAVAILABLE, BUSY, FAILED),
)
RESOLUTION_SECONDS: Final = _histogram("resolution_seconds", _FAST, "解析用时", "time a resolution takes", where=WHERES)
PREFIX_RESOLUTIONS: Final = _counter(
    "prefix_resolutions",
    "按企业前缀的解析次数；ok为查到，failed为其余",
    "resolutions by enterprise prefix; ok: found, failed: all else",
    prefix=OPEN,
    outcome=("ok", "failed"),
)
PREFIX_SERIES_MOST: Final = 2000
"""Prefixes that have series of their own, two each: an average node has 1200 enterprises. Later ones are `other`."""
OTHER: Final = "other"

# -- registering

INDUSTRIES: Final = (*(industry.key for industry in load()), OTHER)
WRITTEN: Final = "written"
UNCHANGED: Final = "unchanged"
REFUSED: Final = "refused"
CONTENDED: Final = "contended"
UNKNOWN: Final = "unknown"

REGISTRATIONS: Final = _counter(
    "registrations",
    "登记请求数，按行业、操作与结果，每个标识计一次",
    "identifiers asked to be written, by industry, operation and outcome",
    industry=INDUSTRIES,
    operation=("create", "update", "delete", "revive"),
    outcome=(WRITTEN, UNCHANGED, REFUSED, CONTENDED, BUSY, UNAVAILABLE, UNKNOWN, FAILED),
)
REFUSALS: Final = _counter(
    "registration_refusals",
    "被拒绝的登记，按规则",
    "registrations refused, by rule",
    rule=tuple(rule.value for rule in Rule),
)
REGISTRATION_SECONDS: Final = _histogram(
    "registration_seconds",
    _SLOW,
    "登记请求从到达至有结果的用时，每批计一次",
    "time from a request to write, single or batch, to its outcomes",
)
REGISTRATION_IDENTIFIERS: Final = _histogram(
    "registration_identifiers", _COUNTS, "一次登记请求中的标识数", "identifiers of one request to write"
)

# -- caches

SHELVES: Final = ("found", "absent", "elsewhere")
HOT_ENTRIES: Final = _gauge("hot_entries", "工作进程内缓存的回答数", "answers kept in the workers", shelf=SHELVES)
HOT_EVICTIONS: Final = _counter(
    "hot_evictions", "因容量而丢弃的缓存回答", "kept answers dropped to make room", shelf=SHELVES
)
REDIS_TRUSTED: Final = _gauge(
    "redis_trusted",
    "Redis中没有比PostgreSQL旧的内容时为1；未使用Redis也为1",
    "1 while Redis holds nothing older than PostgreSQL; 1 without Redis, too",
)
REDIS_FAILURES: Final = _counter(
    "redis_failures",
    "Redis没有及时回答的次数，按当时在做什么",
    "times Redis did not answer in time, by what was asked",
    during=("read", "fill", "correct", "ping"),
)
REDIS_FILLS: Final = _counter(
    "redis_fills",
    "写入Redis的回答；dropped为等待过多而放弃",
    "answers sent to Redis; dropped: let go because too many waited",
    outcome=("sent", "dropped"),
)
FOLLOWER_BEHIND: Final = _age(
    "follower_behind",
    "本机跟随进程距上次读完全部变更的秒数；正常低于1",
    "seconds since this machine's follower had last taken in every change; usually below 1",
)
FOLLOWER_CHANGES: Final = _counter(
    "follower_changes", "跟随进程读入的标识变更数", "changes of identifiers the follower took in"
)

# -- PostgreSQL

POOLS: Final = ("readers", "writers", "follower", "uplink")
DATABASE_CONNECTIONS: Final = _gauge(
    "database_connections", "数据库连接数", "connections to PostgreSQL", pool=POOLS, state=("in_use", "idle")
)
DATABASE_WAITING: Final = _gauge(
    "database_waiting", "正在等待数据库连接的请求数", "questions waiting for a connection", pool=POOLS
)
DATABASE_WAIT_SECONDS: Final = _histogram(
    "database_wait_seconds", _SLOW, "等待数据库连接的时间", "time a question waits for a connection", pool=POOLS
)

DATABASE_QUERY_SECONDS: Final = _histogram(
    "database_query_seconds",
    _SLOW,
    "占用数据库连接的时间，按用途",
    "time a question has a connection, by what is asked",
    purpose=PURPOSES,
)

# -- HTTP

FACES: Final = ("snms", "handle", "own", "iiidap", "page")
HTTP_REQUESTS: Final = _counter(
    "http_requests",
    "HTTP请求数，按接口与状态类",
    "HTTP requests by face and class of status",
    face=FACES,
    status=("2xx", "3xx", "4xx", "5xx"),
)
HTTP_REFUSED: Final = _counter(
    "http_refused",
    "未受理的HTTP请求或连接，按原因",
    "HTTP requests or connections turned away, by reason",
    reason=(
        "rate",
        "sign_in",
        "requests",
        "connections",
        "peer_connections",
        "proxy_header",
        "handshake",
        "head_slow",
        "malformed",
        "body_slow",
        "body_bytes",
    ),
)
HTTP_INTERNAL_ERRORS: Final = _counter(
    "http_internal_errors",
    "以内部错误告终的HTTP请求，原因见日志",
    "HTTP requests that ended in an internal error; the journal has the reason",
    face=FACES,
)
HTTP_IN_HAND: Final = _gauge("http_requests_in_hand", "正在处理的HTTP请求数", "HTTP requests in hand")
HTTP_BODIES: Final = _gauge(
    "http_arriving_bytes", "正在接收的请求体已到的字节", "octets here of bodies that are still arriving"
)
HTTP_CONNECTIONS: Final = _gauge("http_connections", "打开的HTTP连接数", "HTTP connections open")

# -- the native face

NATIVE_REQUESTS: Final = _counter(
    "native_requests",
    "Handle协议的请求数，按应答代码",
    "requests of the Handle protocol by response code",
    code=tuple(code.name.lower() for code in ResponseCode),
)
NATIVE_INTERNAL_ERRORS: Final = _counter(
    "native_internal_errors",
    "以内部错误告终的Handle协议请求，原因见日志",
    "requests of the Handle protocol that ended in an internal error; the journal has the reason",
)
NATIVE_PROOFS: Final = _counter(
    "native_proofs",
    "Handle协议的密钥证明次数，按结果；braked为失败过多暂不受理，late为质询不存在或已过期",
    "proofs of keys by the Handle protocol by outcome; braked: too many had failed, late: no such challenge any more",
    outcome=("proven", "failed", "unable", "no_key", "braked", "late"),
)
NATIVE_TRUSTED: Final = _counter(
    "native_trusted_queries",
    "Handle协议的可信查询次数，按结果",
    "trusted queries by the Handle protocol, by outcome",
    outcome=("trusted", "untrusted", "unknown"),
)
NATIVE_SESSIONS: Final = _counter(
    "native_sessions",
    "Handle协议会话的报文数，按结果；unknown为没有这个会话，unproven为MAC缺失或不符，replayed为计数已用过",
    "messages of sessions of the Handle protocol by outcome; unknown: no such session, unproven: its MAC is missing or "
    "wrong, replayed: its counter was used",
    outcome=("begun", "refused", "served", "unknown", "unproven", "replayed", "ended"),
)
SITE_SIGNATURES: Final = _counter(
    "site_signatures",
    "站点私钥的签名次数，按结果；busy为等待过多，refused为UDP上的请求过多",
    "signatures by the site key by outcome; busy: too many waited, refused: too many were wanted by UDP",
    outcome=("made", "busy", "refused"),
)
NATIVE_REFUSED: Final = _counter(
    "native_refused",
    "Handle协议未受理的请求、连接或数据报，按原因",
    "requests, connections or datagrams of the Handle protocol turned away, by reason",
    reason=(
        "rate",
        "requests",
        "connections",
        "peer_connections",
        "proxy_header",
        "slow",
        "idle",
        "malformed",
        "unsent",
    ),
)
NATIVE_CONNECTIONS: Final = _gauge(
    "native_connections", "打开的Handle协议连接数", "connections of the Handle protocol open"
)

UPLOADS: Final = _counter(
    "uploads",
    "上传的文件数，按结果；failed为存储或病毒扫描不可用",
    "files uploaded, by outcome; failed: the disk or clamd was away",
    outcome=("taken", "refused", "failed"),
)

# -- the national node: uplink and forwarding

UPLINK_OLDEST: Final = _age(
    "uplink_oldest_unreceipted",
    "国家顶级节点尚未回执的最早变更距今的秒数；0为全部已回执",
    "age of the oldest change the national node has not receipted; 0: it has all",
)
UPLINK_QUEUE: Final = _gauge("uplink_queue_changes", "等待上报的变更批数", "change rows that wait to be sent up")
UPLINK_BATCHES: Final = _counter(
    "uplink_batches",
    "上报的变更批，按结果",
    "batches of changes sent up, by outcome",
    outcome=("receipted", "refused", "failed"),
)
UPLINK_FAILURES: Final = _counter(
    "uplink_failures",
    "与国家顶级节点通信失败的次数，按原因",
    "failures in speaking to the national node, by reason",
    reason=("unreachable", "timeout", "status", "unreadable", "signature", "gap", "head", "fence"),
)
UPLINK_CHAIN_BROKEN: Final = _gauge(
    "uplink_chain_broken",
    "与国家顶级节点账目链不一致的前缀数",
    "prefixes whose chain does not agree with the national node's",
)
UPLINK_UNREACHABLE: Final = _gauge(
    "uplink_unreachable", "国家顶级节点无法连接时为1", "1 while the national node cannot be reached"
)
UPLINK_NOT_ENROLLED: Final = _gauge(
    "uplink_not_enrolled", "尚未在国家顶级节点注册时为1", "1 while this node is not enrolled with the national node"
)
UPLINK_IS_VOICE: Final = _gauge(
    "uplink_is_voice", "本机负责上报时为1", "1 while this machine speaks to the national node for all"
)
UPLINK_FENCE: Final = _gauge("uplink_fence", "上报的防护编号", "fencing number of the voice")

FOUND: Final = "found"
ABSENT: Final = "absent"
FOREIGN: Final = "foreign"
"""The top-level node knows nobody who is responsible."""
TIMEOUT: Final = "timeout"
UNREACHABLE: Final = "unreachable"
RESTING: Final = "resting"
"""The neighbour failed again and again and was not asked."""
ERROR: Final = "error"
"""The neighbour said that it could not answer."""
TOO_LARGE: Final = "too_large"
UNREADABLE: Final = "unreadable"
"""The neighbour's answer was none, or about something else."""
NOT_RESPONSIBLE: Final = "not_responsible"
NO_SERVER: Final = "no_server"
ADDRESS: Final = "address"
"""The referral named an address that may not be connected to."""
TOO_DEEP: Final = "too_deep"
LOOP: Final = "loop"

FORWARDS: Final = _counter(
    "forwards",
    "向其他节点转发解析的次数，按结果；loop为转回本节点",
    "resolutions asked of other nodes, by outcome; loop: they came back to this node",
    outcome=(
        FOUND,
        ABSENT,
        FOREIGN,
        BUSY,
        TIMEOUT,
        UNREACHABLE,
        RESTING,
        ERROR,
        TOO_LARGE,
        UNREADABLE,
        NOT_RESPONSIBLE,
        NO_SERVER,
        ADDRESS,
        TOO_DEEP,
        LOOP,
    ),
)
FORWARD_SECONDS: Final = _histogram(
    "forward_seconds", _SLOW, "转发解析的用时", "time a resolution by other nodes takes"
)

# -- the audit journal and the access log

AUDIT_BYTES: Final = _gauge("audit_bytes", "审计账占用的容量", "room the audit journal takes")
AUDIT_ROOM_BYTES: Final = _gauge(
    "audit_room_bytes", "审计账的容量，即IDNODE_AUDIT_OCTETS", "room the audit journal has: IDNODE_AUDIT_OCTETS"
)
AUDIT_WAITING: Final = _gauge(
    "audit_waiting", "等待写入审计账的查看记录数", "readings of what is not public that wait to be written there"
)
AUDIT_FULL: Final = _gauge("audit_full", "审计账已写满的工作进程数", "workers that have found the audit journal full")
AUDIT_BROKEN: Final = _gauge(
    "audit_broken",
    "审计账与本机留存的链头不符时为1",
    "1 while the audit journal is not the one whose head is kept on this machine",
)
ACCESS_LOG_ENTRIES: Final = _counter("access_log_entries", "写入访问日志的条数", "entries written to the access log")
ACCESS_LOG_LOST: Final = _counter(
    "access_log_lost",
    "未能写入访问日志的条数，按原因：磁盘太慢，或无法写入",
    "entries the access log has lost, by reason: the disk is too slow, or cannot be written",
    reason=("slow", "disk"),
)

# -- the node itself, told by the supervisor

BUILD_INFO: Final = _gauge("build_info", "恒为1，标签为版本", "1, with the versions", version=OPEN, python=OPEN)
READY: Final = _gauge("ready", "/health/ready为200时为1", "1 while /health/ready says 200")
CONDITION: Final = _gauge(
    "condition",
    "该情况存在时为1，即/health/ready的reasons与warnings",
    "1 while so: the reasons and warnings of /health/ready",
    condition=tuple(condition.code for condition in CONDITIONS),
)
CERTIFICATE_ENDS: Final = _gauge(
    "certificate_not_after_seconds",
    "HTTPS证书的失效时刻（自1970年起的秒数）；0为没有或不可用",
    "when the certificate of HTTPS ends, in seconds since 1970; 0: there is none, or it cannot be used",
)
PROCESS_UP: Final = _gauge("process_up", "进程存活为1", "1 while the process lives", module=OPEN, column=OPEN)
PROCESS_RESTARTS: Final = _counter(
    "process_restarts", "进程死亡并被重新启动的次数", "children that died and were started again", module=OPEN
)
PROCESS_SILENT: Final = _gauge(
    "process_silent_seconds",
    "进程距上次报告存活的秒数；0为尚未报告",
    "seconds since the process said last that it is alive; 0: it has not yet",
    module=OPEN,
    column=OPEN,
)
PROCESS_RESIDENT: Final = _gauge(
    "process_resident_bytes", "进程的常驻内存", "resident memory of a process", module=OPEN, column=OPEN
)
PROCESS_CPU: Final = _counter(
    "process_cpu_seconds", "进程用去的CPU秒数", "CPU seconds a process has used", module=OPEN, column=OPEN
)

COUNTED: Final = (
    RESOLUTIONS,
    RESOLUTION_SECONDS,
    REGISTRATIONS,
    REFUSALS,
    REGISTRATION_SECONDS,
    REGISTRATION_IDENTIFIERS,
    HOT_ENTRIES,
    HOT_EVICTIONS,
    REDIS_FAILURES,
    REDIS_FILLS,
    FOLLOWER_BEHIND,
    FOLLOWER_CHANGES,
    DATABASE_CONNECTIONS,
    DATABASE_WAITING,
    DATABASE_WAIT_SECONDS,
    DATABASE_QUERY_SECONDS,
    HTTP_REQUESTS,
    HTTP_REFUSED,
    HTTP_INTERNAL_ERRORS,
    HTTP_IN_HAND,
    HTTP_BODIES,
    HTTP_CONNECTIONS,
    NATIVE_REQUESTS,
    NATIVE_INTERNAL_ERRORS,
    NATIVE_PROOFS,
    NATIVE_TRUSTED,
    NATIVE_SESSIONS,
    SITE_SIGNATURES,
    NATIVE_REFUSED,
    NATIVE_CONNECTIONS,
    UPLOADS,
    UPLINK_OLDEST,
    UPLINK_QUEUE,
    UPLINK_BATCHES,
    UPLINK_FAILURES,
    UPLINK_CHAIN_BROKEN,
    UPLINK_UNREACHABLE,
    UPLINK_NOT_ENROLLED,
    UPLINK_IS_VOICE,
    UPLINK_FENCE,
    FORWARDS,
    FORWARD_SECONDS,
    AUDIT_BYTES,
    AUDIT_ROOM_BYTES,
    AUDIT_WAITING,
    AUDIT_FULL,
    AUDIT_BROKEN,
    ACCESS_LOG_ENTRIES,
    ACCESS_LOG_LOST,
)
"""What the processes count in their shared memory, in the order it lies there."""
TOLD: Final = (
    PREFIX_RESOLUTIONS,
    REDIS_TRUSTED,
    BUILD_INFO,
    READY,
    CONDITION,
    CERTIFICATE_ENDS,
    PROCESS_UP,
    PROCESS_RESTARTS,
    PROCESS_SILENT,
    PROCESS_RESIDENT,
    PROCESS_CPU,
)
"""What the supervisor works out when it is asked."""
METRICS: Final = (*COUNTED, *TOLD)
