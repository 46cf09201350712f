"""A `Value` as octets, as records travel (RFC 3651 §3.1 as deployed). What its data means is in proto/values/."""

from proto.errors import ProtoError
from proto.limits import VALUES_PER_RECORD
from proto.octets import Reader, data, string
from proto.value import Reference, Value

VALUE_OCTETS = 26
"""The shortest value there can be."""
_PERMISSIONS = 0x0F
"""The bits that mean something; others are passed over."""
_TTL_TYPES = {0: False, 1: True}
REFERENCE_OCTETS = 8
"""The shortest reference to a value of another identifier."""


def read(reader: Reader) -> Value:
    """Takes a value off the front.

    Raises ProtoError, whose field is one of `Value`'s where all of it is there but one thing in it cannot be.
    """
    index, timestamp = reader.unsigned(4, "value"), reader.unsigned(4, "value")
    absolute = _TTL_TYPES.get(reader.unsigned(1, "value"))
    if absolute is None:
        raise ProtoError("ttl", f"索引{index}的TTL类型应为0或1", f"the type of the TTL of index {index} must be 0 or 1")
    ttl = reader.unsigned(4, "value")
    permissions = reader.unsigned(1, "value") & _PERMISSIONS
    type_, octets = reader.string("value"), reader.data("value")
    references = tuple(_reference(reader) for _ in range(reader.count(REFERENCE_OCTETS, "value")))
    return Value(index, type_, octets, ttl, timestamp, permissions, absolute, references)


def _reference(reader: Reader) -> Reference:
    return Reference(reader.string("value"), reader.unsigned(4, "value"))


def to_octets(value: Value) -> bytes:
    """One value. A digest of it leaves out the first 8 octets: where it stands and since when."""
    return b"".join(
        (
            value.index.to_bytes(4),
            value.timestamp.to_bytes(4),
            bytes((value.ttl_absolute,)),
            value.ttl.to_bytes(4),
            bytes((value.permissions,)),
            string(value.type),
            data(value.data),
            len(value.references).to_bytes(4),
            *(string(each.handle) + each.index.to_bytes(4) for each in value.references),
        )
    )


def read_list(reader: Reader) -> tuple[Value, ...]:
    """Takes as many values off the front as the count before them says. Raises ProtoError as `read` does."""
    count = reader.count(VALUE_OCTETS, "values")
    if count > VALUES_PER_RECORD:
        raise ProtoError(
            "values", f"值不能超过{VALUES_PER_RECORD}个", f"a record has at most {VALUES_PER_RECORD} values"
        )
    return tuple(read(reader) for _ in range(count))


def list_octets(values: tuple[Value, ...]) -> bytes:
    """Their count, and the values."""
    return len(values).to_bytes(4) + b"".join(map(to_octets, values))
