"""`Value`: one element of a record, frozen and born valid (RFC 3651 §3.1 as deployed).

Data is kept as octets; what they mean by type is said in proto/values/.
"""

from dataclasses import dataclass
from typing import Final

from proto.errors import ProtoError
from proto.identifier import fold
from proto.limits import DATA_OCTETS, INDEX_LAST, TTL_DEFAULT, TYPE_CHARACTERS

ADMIN_READ: Final = 0x08
ADMIN_WRITE: Final = 0x04
PUBLIC_READ: Final = 0x02
PUBLIC_WRITE: Final = 0x01
PERMISSIONS_DEFAULT: Final = ADMIN_READ | ADMIN_WRITE | PUBLIC_READ

TEMPLATE_ID_INDEX: Final = 1000
"""Reserved: the identifier of the record's template (`TEMPLATE_ID`)."""
TEMPLATE_INDEX: Final = 1001
"""Reserved: the version name of the record's template (`TEMPLATE`)."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A pointer to one value of another identifier, written `index:handle`."""

    handle: str
    index: int


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a record.

    `ttl` is seconds from being answered, or seconds since 1970 UTC when `ttl_absolute`.
    `timestamp` is seconds since 1970 UTC of the last change of this value.
    `permissions` is a sum of ADMIN_READ … PUBLIC_WRITE.
    """

    index: int
    type: str
    data: bytes
    ttl: int = TTL_DEFAULT
    timestamp: int = 0
    permissions: int = PERMISSIONS_DEFAULT
    ttl_absolute: bool = False
    references: tuple[Reference, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.index <= INDEX_LAST:
            raise ProtoError(
                "index",
                f"索引应在1到{INDEX_LAST}之间",
                f"index must be from 1 to {INDEX_LAST}",
            )
        if len(self.type) > TYPE_CHARACTERS:
            raise ProtoError(
                "type",
                f"索引{self.index}的类型不能超过{TYPE_CHARACTERS}个字符",
                f"type of index {self.index} has at most {TYPE_CHARACTERS} characters",
            )
        if len(self.data) > DATA_OCTETS:
            raise ProtoError(
                "data",
                f"索引{self.index}的数据不能超过{DATA_OCTETS}字节",
                f"data of index {self.index} has at most {DATA_OCTETS} octets",
            )
        if not (0 <= self.permissions <= 0x0F and 0 <= self.ttl < 2**32 and 0 <= self.timestamp < 2**32):
            raise ProtoError(
                "value",
                f"索引{self.index}的权限、TTL或时间超出范围",
                f"permissions, ttl or timestamp of index {self.index} is out of range",
            )

    @property
    def public(self) -> bool:
        """Whether its own bits let anybody read it."""
        return bool(self.permissions & PUBLIC_READ)


def type_matches(asked: str, type_: str) -> bool:
    """Whether a value of `type_` answers a question for `asked`.

    ASCII letters compare case-insensitively; `URL.` asks for URL and every dotted sub-type of it.
    """
    wanted, given = fold(asked), fold(type_)
    if wanted.endswith("."):
        return given == wanted or given == wanted[:-1] or given.startswith(wanted)
    return given == wanted


def names(type_: str) -> list[str]:
    """Everything, folded, that may be asked for to be answered with a value of `type_` (`type_matches`)."""
    given = fold(type_)
    return [given, f"{given}.", *(given[: at + 1] for at, character in enumerate(given) if character == ".")]
