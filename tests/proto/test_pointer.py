"""Proves proto/values/pointer.py both ways."""

import pytest

from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.values import pointer


@pytest.mark.parametrize("type_", sorted(pointer.TYPES))
@pytest.mark.parametrize("name", ["0.SERV/88", "88.100.1/别名"])
def test_names_come_back(name: str, type_: str):
    read = pointer.from_octets(name.encode(), type_)
    assert read == Identifier.parse(name)
    assert pointer.to_octets(read) == name.encode()


@pytest.mark.parametrize("octets", [b"", b"\xff", b"no slash", b"88.1/" + bytes(1), b"88.1/" + b"x" * 300])
def test_what_is_no_name_is_a_sentence_of_its_type(octets: bytes):
    with pytest.raises(ProtoError, match="HS_ALIAS is") as refused:
        pointer.from_octets(octets, "HS_ALIAS")
    assert (refused.value.field, refused.value.zh[:8]) == ("HS_ALIAS", "HS_ALIAS")
