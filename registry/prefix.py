"""`PrefixState`: the life of a prefix, and what each state lets happen. Pure."""

from dataclasses import dataclass
from enum import IntEnum


class PrefixState(IntEnum):
    """States by the numbers and names of the SNMS OpenAPI."""

    STOPPED = 0
    ENABLED = 1
    TO_BE_DELETED = 2
    REFUSED = 3
    PENDING = 4
    IN_REVIEW = 5

    @property
    def zh(self) -> str:
        """The name people know it by."""
        return ("停用", "启用", "待删除", "被驳回", "待审核", "审核中")[self]

    @property
    def open(self) -> bool:
        """Whether identifiers under it are written and answered."""
        return self is PrefixState.ENABLED


@dataclass(frozen=True, slots=True)
class RegisteredPrefix:
    """A prefix as the registry has it; `epoch` grows with every change of its state or owner."""

    number: int
    name: str
    state: PrefixState
    epoch: int
    enterprise: int | None
