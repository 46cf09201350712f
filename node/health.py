"""Every condition of a node that its operator is told of: code, both languages, and whether it serves nevertheless.

The table is part of docs/operations.md. Who finds a condition is the supervisor; what it means stands here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. A reason makes /health/ready say 503; a warning does not: local resolution goes on."""

    code: str
    zh: str
    en: str
    reason: bool = False


DATABASE_UNREACHABLE: Final = Condition(
    "database_unreachable", "PostgreSQL无法连接", "PostgreSQL cannot be reached", reason=True
)
FOLLOWER_NOT_CAUGHT_UP: Final = Condition(
    "follower_not_caught_up",
    "跟随进程尚未读完变更，缓存停用",
    "the follower has not taken in all changes yet; no cache is used",
    reason=True,
)
WORKER_SILENT: Final = Condition("worker_silent", "有工作进程没有响应", "a worker process says nothing", reason=True)
DATABASE_READ_ONLY: Final = Condition(
    "database_read_only", "PostgreSQL只读，登记得到503", "PostgreSQL is read-only; writes get 503"
)
REDIS_UNREACHABLE: Final = Condition(
    "redis_unreachable", "Redis无法连接，直接询问PostgreSQL", "Redis cannot be reached; PostgreSQL is asked instead"
)
REDIS_DISTRUSTED: Final = Condition(
    "redis_distrusted",
    "Redis中可能有旧内容，在重放完成前停用",
    "Redis may hold something old; it is not used until all changes are replayed",
)
UPLINK_NOT_ENROLLED: Final = Condition(
    "uplink_not_enrolled", "尚未在国家顶级节点注册", "this node is not enrolled with the national node"
)
UPLINK_UNREACHABLE: Final = Condition(
    "uplink_unreachable",
    "国家顶级节点无法连接，变更等待上报",
    "the national node cannot be reached; changes wait to be sent up",
)
UPLINK_CHAIN_BROKEN: Final = Condition(
    "uplink_chain_broken",
    "有前缀的变更链与国家顶级节点不一致",
    "the chain of a prefix does not agree with the national node's",
)
AUDIT_FULL: Final = Condition(
    "audit_full",
    "审计账已写满，变更与非公开数据的查看停止，公开解析照常",
    "the audit journal is full; changes and reading what is not public are stopped, public resolving goes on",
)
AUDIT_BROKEN: Final = Condition(
    "audit_broken",
    "审计账与本机留存的链头不符",
    "the audit journal is not the one whose head is kept on this machine",
)
CERTIFICATE_ENDS: Final = Condition(
    "certificate_ends",
    "HTTPS证书不足14天即将失效，或已失效",
    "the certificate of HTTPS ends within 14 days, or has ended",
)
CERTIFICATE_UNUSABLE: Final = Condition(
    "certificate_unusable",
    "HTTPS证书或其私钥不可用，继续使用先前的证书",
    "the certificate of HTTPS or its key cannot be used; the one before is shown on",
)

CONDITIONS: Final = (
    DATABASE_UNREACHABLE,
    FOLLOWER_NOT_CAUGHT_UP,
    WORKER_SILENT,
    DATABASE_READ_ONLY,
    REDIS_UNREACHABLE,
    REDIS_DISTRUSTED,
    UPLINK_NOT_ENROLLED,
    UPLINK_UNREACHABLE,
    UPLINK_CHAIN_BROKEN,
    AUDIT_FULL,
    AUDIT_BROKEN,
    CERTIFICATE_ENDS,
    CERTIFICATE_UNUSABLE,
)


def explained(conditions: Iterable[Condition]) -> list[dict[str, str]]:
    """The conditions as /health/ready tells them."""
    return [{"code": each.code, "zh": each.zh, "en": each.en} for each in conditions]
