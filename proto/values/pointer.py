"""HS_ALIAS, HS_SERV and HS_SERV.PREFIX: the data is the name of another identifier (RFC 3651 §3.2.3, §3.2.5).

How often an alias is followed is for whoever resolves.
"""

from typing import Final

from proto.errors import ProtoError
from proto.identifier import Identifier

TYPES: Final = frozenset({"HS_ALIAS", "HS_SERV", "HS_SERV.PREFIX"})
"""The types whose data is a name."""


def from_octets(octets: bytes, type_: str) -> Identifier:
    """The identifier a value of `type_` points at. Raises ProtoError naming the type."""
    try:
        return Identifier.parse(octets.decode())
    except UnicodeDecodeError:
        raise ProtoError(type_, f"{type_}不是UTF-8", f"{type_} is not UTF-8") from None
    except ProtoError as wrong:
        raise ProtoError(type_, f"{type_}不是标识：{wrong.zh}", f"{type_} is no identifier: {wrong.en}") from None


def to_octets(identifier: Identifier) -> bytes:
    """The data of such a value."""
    return str(identifier).encode()
