"""What the Handle protocol asks of a record without template: its steps, whether they are permitted, what they make.

Who may do what is said in `administration.py`. Pure.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.limits import INDEX_LAST
from proto.value import Reference
from registry import administration
from registry.administration import (
    Add,
    Administrator,
    Create,
    Delete,
    Groups,
    Modify,
    Outcome,
    Permitted,
    Place,
    Remove,
    Values,
)


def keyholder(name: str) -> Reference:
    """The value a key lies in, as administrators are named: `300:88.999.1001/ADMIN`. Raises ProtoError."""
    index, colon, handle = name.partition(":")
    if not (colon and index.isascii() and index.isdigit() and len(index) <= 10 and int(index) <= INDEX_LAST):
        raise ProtoError("index", "应形如300:88.999.1001/ADMIN", "must look like 300:88.999.1001/ADMIN")
    return Reference(Identifier.parse(handle).key, int(index))


class Put(NamedTuple):
    """Values shall be there, whether their indexes are or not."""

    values: Values


Step = Create | Delete | Add | Modify | Remove

NO_GROUPS: Final[Mapping[Reference, tuple[Reference, ...]]] = {}


class Edit(NamedTuple):
    """What is `wanted` by whom; `above` are the values of the prefix over it, `groups` those that were looked up."""

    wanted: Step | Put
    by: Administrator
    above: Values = ()
    groups: Groups = NO_GROUPS


def _steps(wanted: Step | Put, record: Values | None) -> tuple[Step, ...]:
    if not isinstance(wanted, Put):
        return (wanted,)
    there = {value.index for value in record or ()}
    changed = tuple(value for value in wanted.values if value.index in there)
    added = tuple(value for value in wanted.values if value.index not in there)
    return (Modify(changed), Add(added)) if changed and added else (Modify(changed),) if changed else (Add(added),)


def judge(edit: Edit, identifier: Identifier, record: Values | None) -> Outcome:
    """Whether all of it is permitted, given the values of the record (None: there is none)."""
    outcome: Outcome = Permitted()
    for step in _steps(edit.wanted, record):
        outcome = administration.judge(step, Place(identifier, record, edit.above), edit.by, edit.groups)
        if not isinstance(outcome, Permitted):
            return outcome
    return outcome


def carried_out(edit: Edit, record: Values | None, now: int) -> Values | None:
    """The values after what was permitted at `now`, seconds since 1970 UTC; None: the record is gone."""
    for step in _steps(edit.wanted, record):
        if isinstance(step, Delete):
            return None
        record = administration.carried_out(step, record, now)
    return record


def overwrites(edit: Edit, record: Values | None) -> bool:
    """Whether something of it is there already, as deployed servers tell it."""
    if isinstance(edit.wanted, Put):
        return any(isinstance(step, Modify) for step in _steps(edit.wanted, record))
    return record is not None and not isinstance(edit.wanted, Add)
