"""What the Handle protocol asks of a record without template: the steps of a PUT, and what they make of the values."""

import pytest

from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.value import ADMIN_READ, PUBLIC_READ, Reference, Value
from registry import administration, editing
from registry.administration import Add, Administrator, Create, Delete, Modify, Permitted, Remove
from registry.editing import Edit, Put, keyholder

NOW = 1_795_330_554
THERE = Identifier.parse("88.999.1001/A")
ALL = Administrator("", 0, everywhere=True)
ONE, TWO = Value(1, "URL", b"http://x/", timestamp=7), Value(2, "EMAIL", b"a@example.com", timestamp=8)
OTHER = Value(1, "URL", b"http://y/")
THREE = Value(3, "DESC", b"new")


@pytest.mark.parametrize(
    ("wanted", "record", "values", "overwrites"),
    [
        (Put((OTHER,)), (ONE, TWO), (Value(1, "URL", b"http://y/", timestamp=NOW), TWO), True),
        (Put((THREE,)), (ONE,), (ONE, Value(3, "DESC", b"new", timestamp=NOW)), False),
        (Put((THREE, ONE)), (ONE,), (ONE, Value(3, "DESC", b"new", timestamp=NOW)), True),
        (Put(()), (ONE,), (ONE,), False),
        (Create((THREE,), overwrite=True), (ONE,), (Value(3, "DESC", b"new", timestamp=NOW),), True),
        (Create((ONE,)), None, (Value(1, "URL", b"http://x/", timestamp=NOW),), False),
        (Add((THREE,)), (ONE,), (ONE, Value(3, "DESC", b"new", timestamp=NOW)), False),
        (Remove((1,)), (ONE, TWO), (TWO,), True),
        (Delete(), (ONE,), None, True),
    ],
)
def test_what_is_permitted_is_carried_out_and_the_rest_keeps_its_time(
    wanted: editing.Step | Put,
    record: administration.Values | None,
    values: administration.Values | None,
    overwrites: bool,
) -> None:
    edit = Edit(wanted, ALL)
    assert isinstance(editing.judge(edit, THERE, record), Permitted)
    assert editing.carried_out(edit, record, NOW) == values
    assert editing.overwrites(edit, record) == overwrites


def test_every_step_of_a_put_is_judged() -> None:
    locked = Value(1, "URL", b"x", permissions=ADMIN_READ | PUBLIC_READ)
    refused = editing.judge(Edit(Put((THREE, OTHER)), ALL), THERE, (locked,))
    assert refused == administration.Refused(ResponseCode.INSUFFICIENT_PERMISSIONS, (1,))
    nobody = Edit(Put((THREE,)), Administrator("88.999.1001/ME", 300))
    assert editing.judge(nobody, THERE, (ONE,)) == administration.Refused(ResponseCode.INVALID_ADMIN)
    assert editing.judge(Edit(Put((THREE,)), ALL), THERE, None) == administration.Refused(ResponseCode.HANDLE_NOT_FOUND)
    assert isinstance(editing.judge(Edit(Modify((OTHER,)), ALL), THERE, (ONE,)), Permitted)


def test_a_key_is_named_by_the_value_it_lies_in() -> None:
    assert keyholder("300:88.999.1001/Admin") == Reference("88.999.1001/Admin", 300)
    assert keyholder("0:0.na/88.999") == Reference("0.NA/88.999", 0)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "300",
        "300:",
        ":88.999/A",
        "-1:88.999/A",
        "2147483648:88.999/A",
        "x:88.999/A",
        "٣:88.999/A",
        f"{'0' * 5000}:88.999/A",
    ],
)
def test_all_else_names_none(name: str) -> None:
    with pytest.raises(ProtoError):
        keyholder(name)
