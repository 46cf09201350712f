"""Proves proto/values/admin.py against octets written out by hand (handle reference §1.3), both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.values.admin import ADMIN_ALL, Admin, Permission

OCTETS = bytes.fromhex("07f3 0000000e 38382e3130302e312f41444d494e 0000012d")
ADMINS = st.builds(Admin, st.integers(0, 2**16 - 1), st.text(max_size=60), st.integers(0, 2**32 - 1))


def test_the_recorded_octets():
    admin = Admin(0x07F3, "88.100.1/ADMIN", 301)
    assert Admin.from_octets(OCTETS) == admin
    assert admin.to_octets() == OCTETS
    assert ADMIN_ALL == 0b1111_1111_1111 == sum(Permission)
    # As text, the first of twelve characters to the last.
    assert " ".join(str(each.name) for each in reversed(Permission)) == (
        "LIST_HANDLES READ_VALUE ADD_ADMIN REMOVE_ADMIN MODIFY_ADMIN ADD_VALUE REMOVE_VALUE MODIFY_VALUE "
        "DELETE_DERIVED_PREFIX ADD_DERIVED_PREFIX DELETE_HANDLE ADD_HANDLE"
    )


@given(ADMINS)
def test_octets_come_back(admin: Admin):
    assert Admin.from_octets(admin.to_octets()) == admin


@given(ADMINS, st.binary(min_size=1, max_size=9))
def test_what_old_writers_append_is_counted_and_left_out(admin: Admin, more: bytes):
    read = Admin.from_octets(admin.to_octets() + more)
    assert read.legacy_octets == len(more)
    assert read.to_octets() == admin.to_octets()


@given(ADMINS, st.data())
def test_what_is_cut_short_is_refused(admin: Admin, data: st.DataObject):
    octets = admin.to_octets()
    with pytest.raises(ProtoError) as refused:
        Admin.from_octets(octets[: data.draw(st.integers(0, len(octets) - 1))])
    assert refused.value.field == "HS_ADMIN"


def _read(octets: bytes) -> Admin | ProtoError:
    try:
        return Admin.from_octets(octets)
    except ProtoError as error:
        return error


@given(st.binary(max_size=200))
def test_whatever_octets_it_is_an_admin_or_a_sentence(octets: bytes):
    read = _read(octets)
    if isinstance(read, ProtoError):
        assert (read.field, bool(read.zh)) == ("HS_ADMIN", True)
    else:
        assert octets.startswith(read.to_octets())
        assert len(octets) == len(read.to_octets()) + read.legacy_octets
