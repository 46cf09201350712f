"""`judge`: may this be written, and what is the record then? The heart of registering; pure.

No database, no clock: everything it looks at is an argument, everything it decides is its result.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise
from operator import attrgetter
from typing import Final, Literal, NamedTuple

from proto.chain import Kind
from proto.codes import ResponseCode
from proto.identifier import Identifier, is_prefix_handle
from proto.limits import RECORD_OCTETS, VALUES_PER_RECORD
from proto.value import Value
from registry import administration, claim, editing, kinds, reference
from registry.account import Account
from registry.administration import Create, Delete, Permitted, Wanted
from registry.claim import Claim
from registry.editing import Edit
from registry.prefix import PREFIX_HANDLES_NUMBER, RegisteredPrefix
from registry.record import Record, Texts
from registry.rights import Right
from registry.sight import NOTHING, Reach
from registry.template import RESERVED_SUFFIX, Item, State, Template

Operation = Literal["create", "update", "delete"]
TEXT_SHOWN: Final = 100
"""Characters of a refused text that its sentence repeats."""


class Rule(Enum):
    """The rule a refusal comes from; a door may map it to a code."""

    EXISTS = "exists"
    ABSENT = "absent"
    FOREIGN_PREFIX = "foreign_prefix"
    PREFIX_CLOSED = "prefix_closed"
    PERMISSION = "permission"
    TEMPLATE = "template"
    SUFFIX = "suffix"
    INDEX = "index"
    TYPE = "type"
    VALUE = "value"
    REQUIRED = "required"
    DELETED = "deleted"
    INDEX_TAKEN = "index_taken"
    INDEX_ABSENT = "index_absent"
    CONTENDED = "contended"
    QUOTA_IDENTIFIERS = "quota_identifiers"
    QUOTA_ROOM = "quota_room"


class Request(NamedTuple):
    """One change somebody wants. `template` is the version name it gives; values have index, type and data.

    `moved`: a record that moves in from elsewhere is created, without template, and its values have all their fields.
    `edit`: what the Handle protocol asks of a record without template, by whom: rights of accounts do not matter then.
    """

    operation: Operation
    identifier: Identifier
    template: str = ""
    values: Sequence[Value] = ()
    moved: bool = False
    edit: Edit | None = None


def edited(identifier: Identifier, edit: Edit) -> Request:
    """What the Handle protocol asks, as a request."""
    operation = _OPERATIONS.get(type(edit.wanted), "update")
    return Request(operation, identifier, moved=True, edit=edit)


_OPERATIONS: Final[dict[type, Operation]] = {Create: "create", Delete: "delete"}


class Accepted(NamedTuple):
    """It may be written: `record` as the version after the one judged, and `body`, its packed form, if that is known.

    Values of a record whose body is known may lack their timestamp: it is the record's.
    """

    kind: Kind
    record: Record
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """It is so already: nothing is written, no version made."""

    version: int


@dataclass(frozen=True, slots=True)
class Refused:
    """It may not be written. `zh` and `en` are one sentence each; `differs` the types in which what exists differs."""

    rule: Rule
    field: str
    zh: str
    en: str
    differs: tuple[str, ...] = ()


class Around(NamedTuple):
    """What other identifiers are to those judged: keys of what would live here but does not, and which suffixes of the
    same prefix hold values that must be unique.
    """

    absent: set[str]
    holders: dict[Claim, str]


ALONE: Final = Around(set(), {})
"""Where nothing else matters, as for nearly every template. Nobody changes it."""

Judgement = Accepted | Unchanged | Refused

EXISTS_ZH: Final = "标识已存在"
ABSENT_ZH: Final = "标识不存在"


def judge(
    record: Record | None,
    request: Request,
    who: Account,
    prefix: RegisteredPrefix | None,
    template: Template | None,
    now: int,
    reuse_deleted: bool = True,
    far: Reach = NOTHING,
    around: Around = ALONE,
) -> Judgement:
    """What comes of `request`, asked by `who`, given what is registered and how `far` they were let in.

    `record` is the identifier's newest version (a tombstone included), `template` the one the request names
    under its prefix, `now` seconds since 1970 UTC; with `reuse_deleted` a deleted identifier may be created again.
    `around` is what other identifiers are to this one.
    """
    granted = bool(far.grants) and _edits(far, record, request, template)
    refusal = closed(request, who, prefix, granted) or _STATE_RULES[request.operation](record, request, reuse_deleted)
    if refusal:
        return _with_differences(refusal, record, request)
    if request.moved:
        if request.edit is not None:
            return _judge_edit(record, request.identifier, request.edit, now)
        assert prefix is not None
        return _judge_moved(record, request, who.may_in(Right.MOVE, prefix.enterprise), now)
    if request.operation == "delete":
        assert record is not None
        return _gone(record, now)
    if template is None:
        return _refuse(
            Rule.TEMPLATE,
            "templateVersion",
            f"模板{request.template}不存在",
            f"template {request.template} does not exist under this prefix",
        )
    if template.state is not State.PUBLISHED and (refusal := _unpublished(record, template)):
        return refusal
    if around is not ALONE and (refusal := _beside(request, template, around)):
        return refusal
    return _judge_values(record, request, template, now)


def opens(
    request: Request, who: Account, prefix: RegisteredPrefix | None, template: Template | None, around: Around
) -> bool:
    """Whether all that `judge` could say against what is new, and asked by `who` under that prefix and template as this
    is, lies in its suffix and its values: rows of a batch have the rest in common. Those `new_body` takes are accepted.
    """
    published = template is not None and template.state is State.PUBLISHED
    return published and around is ALONE and request.edit is None and closed(request, who, prefix) is None


def new_body(request: Request, template: Template) -> bytes | None:
    """The packed form of what is new and has an everyday suffix and everyday values; None: `judge` looks closer."""
    values, suffix = request.values, request.identifier.suffix
    if type(values) is not Texts or request.operation != "create" or request.moved:
        return None
    if suffix.startswith(RESERVED_SUFFIX) or not template.suffix.admits(suffix) or not template.form.takes(values):
        return None
    return values.pack()


def _beside(request: Request, template: Template, around: Around) -> Refused | None:
    if gone := reference.missing(template, request.values, around.absent):
        item, target = gone
        return _refuse(
            Rule.VALUE,
            item.name,
            f"{item.zh}（{item.name}）引用的标识{target}不存在",
            f"{item.name} points to {target}, which does not exist",
        )
    if twice := claim.taken(template, request.values, request.identifier.suffix_key, around.holders):
        return _refuse(
            Rule.VALUE,
            twice.name,
            f"{twice.zh}（{twice.name}）的值已被模板{template.version}的另一个标识使用",
            f"another identifier of template {template.version} has the same {twice.name}",
        )
    return None


def _unpublished(record: Record | None, template: Template) -> Refused | None:
    """A draft takes nothing; what was withdrawn takes changes of the records it has."""
    if template.state is State.WITHDRAWN and record is not None and record.live and record.template == template.number:
        return None
    return _refuse(
        Rule.TEMPLATE,
        "templateVersion",
        f"模板{template.version}{'尚未发布' if template.state is State.DRAFT else '已撤回，不能再注册新标识'}",
        f"template {template.version} is {'not published yet' if template.state is State.DRAFT else 'withdrawn'}",
    )


def _gone(record: Record, now: int) -> Accepted:
    return Accepted(Kind.DELETED, Record(record.version + 1, False, record.template, now, ()))


def _judge_edit(record: Record | None, identifier: Identifier, edit: Edit, now: int) -> Judgement:
    """By the Handle system's own rules. A record may be left without values."""
    kept = record if record is not None and record.live else None
    before = tuple(kept.values) if kept else None
    outcome = editing.judge(edit, identifier, before)
    if not isinstance(outcome, Permitted):
        return _not_permitted(outcome)
    values = editing.carried_out(edit, before, now)
    if values is None:
        assert record is not None
        return _gone(record, now)
    if kept and kept.template:
        return _refuse(
            Rule.TEMPLATE,
            "handle",
            "该标识有数据模板，请按模板修改",
            "this identifier has a template and is changed by what it says",
        )
    if len(values) > VALUES_PER_RECORD or sum(len(v.data) for v in values) > RECORD_OCTETS:
        return _refuse(
            Rule.VALUE,
            "values",
            f"记录至多{VALUES_PER_RECORD}个值，全部数据不超过{RECORD_OCTETS}字节",
            f"a record has at most {VALUES_PER_RECORD} values, of {RECORD_OCTETS} octets together at most",
        )
    if kept and before == values:
        return Unchanged(kept.version)
    return Accepted(_kind(record), Record(record.version + 1 if record else 1, True, 0, now, values))


_NOT_PERMITTED: Final = {
    ResponseCode.HANDLE_ALREADY_EXISTS: Refused(Rule.EXISTS, "handle", EXISTS_ZH, "the identifier exists already"),
    ResponseCode.VALUE_ALREADY_EXISTS: Refused(Rule.INDEX_TAKEN, "index", "索引已存在", "an index is taken already"),
    ResponseCode.VALUES_NOT_FOUND: Refused(Rule.INDEX_ABSENT, "index", "索引不存在", "an index is not there"),
}
_NO_RIGHT: Final = Refused(Rule.PERMISSION, "handle", "没有操作权限", "the record says nothing that permits it")
_ANOTHER: Final = Refused(Rule.CONTENDED, "handle", "系统繁忙", "others keep changing this identifier; try again")


def _not_permitted(outcome: administration.Refused | Wanted) -> Refused:
    """Groups that are wanted now were not when it was judged first: the record is another one since."""
    return _ANOTHER if isinstance(outcome, Wanted) else _NOT_PERMITTED.get(outcome.code, _NO_RIGHT)


def _judge_moved(record: Record | None, request: Request, may_move: bool, now: int) -> Judgement:
    """Of a record without template only the form of its values is judged, which they were born with."""
    if not may_move:
        name = request.identifier.prefix
        return _refuse(
            Rule.PERMISSION, "handle", f"没有向前缀{name}迁入的权限", f"this account may not move into prefix {name}"
        )
    values = tuple(sorted((v if v.timestamp else replace(v, timestamp=now) for v in request.values), key=_INDEX))
    for before, value in pairwise(values):
        if before.index == value.index:
            return _twice(value.index)
    if not values or sum(len(v.data) for v in values) > RECORD_OCTETS:
        return _refuse(
            Rule.VALUE,
            "values",
            f"记录应有值，全部数据不超过{RECORD_OCTETS}字节",
            f"a record has values, of {RECORD_OCTETS} octets together at most",
        )
    return Accepted(_kind(record), Record(record.version + 1 if record else 1, True, 0, now, values))


_INDEX: Final = attrgetter("index")


def _twice(index: int) -> Refused:
    return _refuse(Rule.INDEX, "index", f"索引{index}重复", f"index {index} is given twice")


def _refuse(rule: Rule, field: str, zh: str, en: str) -> Refused:
    return Refused(rule, field, zh, en)


def _edits(far: Reach, record: Record | None, request: Request, template: Template | None) -> bool:
    """Whether editing was granted of all that the request changes: values of a record, and not its template."""
    if request.operation != "update" or record is None or template is None or record.template != template.number:
        return False
    items = [template.by_index.get(value.index) for value in request.values]
    return all(item is not None and far.edits(item) for item in items)


def closed(request: Request, who: Account, prefix: RegisteredPrefix | None, granted: bool = False) -> Refused | None:
    """Why `who` may write nothing under the prefix of the request; `granted`: what it changes was let to them. The
    handles of prefixes are written by the Handle system's own rules alone.
    """
    name = request.identifier.prefix
    if prefix is None or (prefix.number == PREFIX_HANDLES_NUMBER and request.edit is None):
        return _refuse(
            Rule.FOREIGN_PREFIX, "handle", f"前缀{name}不属于本节点", f"prefix {name} does not live at this node"
        )
    if not granted and not who.may_write(prefix.enterprise) and request.edit is None:
        return _refuse(
            Rule.PERMISSION, "handle", f"没有前缀{name}的操作权限", f"this account may not write under prefix {name}"
        )
    if not prefix.state.open:
        return _refuse(
            Rule.PREFIX_CLOSED,
            "handle",
            f"前缀{name}已{prefix.state.zh}，不能写入",
            f"prefix {name} is {prefix.state.name.lower().replace('_', ' ')} and takes no writes",
        )
    return None


def _may_create(record: Record | None, request: Request, reuse_deleted: bool) -> Refused | None:
    suffix = request.identifier.suffix
    if suffix.startswith(RESERVED_SUFFIX):
        return _refuse(
            Rule.SUFFIX,
            "handle",
            f"后缀以{RESERVED_SUFFIX}开头的标识保留给模板",
            f"suffixes beginning with {RESERVED_SUFFIX} are reserved for templates",
        )
    if record is None:
        return None
    if record.live:
        if request.edit is not None:
            return None
        return _refuse(Rule.EXISTS, "handle", EXISTS_ZH, "the identifier exists already")
    if not reuse_deleted and not is_prefix_handle(request.identifier.key):
        return _refuse(
            Rule.DELETED, "handle", "标识已被删除，不能重新注册", "the identifier was deleted and may not be used again"
        )
    return None


def _may_update(record: Record | None, request: Request, reuse_deleted: bool) -> Refused | None:
    """The handle of a prefix is there whenever the prefix is."""
    if request.edit is not None and is_prefix_handle(request.identifier.key):
        return None
    return _must_exist(record, request, reuse_deleted)


def _must_exist(record: Record | None, request: Request, reuse_deleted: bool) -> Refused | None:
    if record is None or not record.live:
        return _refuse(Rule.ABSENT, "handle", ABSENT_ZH, "the identifier does not exist")
    return None


_STATE_RULES: Final = {"create": _may_create, "update": _may_update, "delete": _must_exist}


def _with_differences(refusal: Refused, record: Record | None, request: Request) -> Refused:
    if refusal.rule is not Rule.EXISTS or record is None:
        return refusal
    differs = differences(record.values, request.values, whole=request.moved)
    return Refused(refusal.rule, refusal.field, refusal.zh, refusal.en, differs)


def differences(kept: Iterable[Value], given: Iterable[Value], *, whole: bool = False) -> tuple[str, ...]:
    """The types in which what is kept and what is given differ, in the order of their indexes: in type and data, or,
    `whole`, in any field but the time.
    """
    fields = _FIELDS if whole else _TEXT
    mine = {v.index: v for v in kept}
    theirs = {v.index: v for v in given}
    return tuple(
        (mine.get(index) or theirs[index]).type
        for index in sorted(mine.keys() | theirs.keys())
        if index not in mine or index not in theirs or fields(mine[index]) != fields(theirs[index])
    )


_TEXT: Final = attrgetter("type", "data")
_FIELDS: Final = attrgetter("type", "data", "ttl", "ttl_absolute", "permissions", "references")


def _judge_values(record: Record | None, request: Request, template: Template, now: int) -> Judgement:
    if request.operation == "create" and not template.suffix.admits(request.identifier.suffix):
        zh, en = template.suffix.shape
        return _refuse(
            Rule.SUFFIX,
            "handle",
            f"后缀{request.identifier.suffix}不符合模板{template.version}的编码规则{zh}",
            f"suffix {request.identifier.suffix} is not made as template {template.version} says: {en}",
        )
    if record is None and (body := new_body(request, template)) is not None:
        return Accepted(Kind.CREATED, Record(1, True, template.number, now, request.values), body)
    seen: set[int] = set()
    for value in request.values:
        problem = _check(value, template.by_index.get(value.index), seen)
        if problem:
            return problem
        seen.add(value.index)
    kept = record if record is not None and record.live else None
    merged = _merge(kept.values if kept else (), request.values, now)
    problem = _check_whole(merged, template)
    if problem:
        return problem
    if kept and kept.values == merged and kept.template == template.number:
        return Unchanged(kept.version)
    version = record.version + 1 if record else 1
    return Accepted(_kind(record), Record(version, True, template.number, now, merged))


def _kind(record: Record | None) -> Kind:
    if record is None:
        return Kind.CREATED
    return Kind.UPDATED if record.live else Kind.REVIVED


def _merge(kept: Sequence[Value], given: Sequence[Value], now: int) -> tuple[Value, ...]:
    merged = {v.index: v for v in kept}
    for value in given:
        old = merged.get(value.index)
        if old is None or (old.type, old.data) != (value.type, value.data):
            merged[value.index] = Value(
                value.index,
                value.type,
                value.data,
                value.ttl,
                now,
                value.permissions,
                value.ttl_absolute,
                value.references,
            )
    return tuple(merged[index] for index in sorted(merged))


def _check(value: Value, item: Item | None, seen: set[int]) -> Refused | None:
    index = value.index
    if item is None:
        return _refuse(
            Rule.INDEX,
            "index",
            f"非法操作，索引{index}在模板中不存在",
            f"index {index} does not exist in the template",
        )
    if index in seen:
        return _twice(index)
    if value.type != item.name:
        return _refuse(
            Rule.TYPE,
            "type",
            f"索引{index}的类型应为{item.name}，实为{value.type}",
            f"type of index {index} must be {item.name}, not {value.type}",
        )
    if not item.enabled:
        return _refuse(
            Rule.INDEX, "index", f"{item.zh}（{item.name}）已禁用，不能写入", f"{item.name} is disabled in the template"
        )
    try:
        text = value.data.decode()
    except UnicodeDecodeError:
        return _refuse(
            Rule.VALUE, item.name, f"{item.zh}（{item.name}）应为UTF-8文本", f"{item.name} must be text in UTF-8"
        )
    return unfit(text, item)


def unfit(text: str, item: Item) -> Refused | None:
    """Why an attribute cannot hold `text`, if so."""
    if not item.least <= len(text) <= item.most:
        return _refuse(
            Rule.VALUE,
            item.name,
            f"{item.zh}（{item.name}）长度应在{item.least}到{item.most}之间，实为{len(text)}",
            f"{item.name} must have {item.least} to {item.most} characters, not {len(text)}",
        )
    if not text or item.takes(text):
        return None
    zh, en = kinds.said(item)
    shown = text if len(text) <= TEXT_SHOWN else f"{text[:TEXT_SHOWN]}…"
    return _refuse(
        Rule.VALUE,
        item.name,
        f"{item.zh}（{item.name}）应为{zh}，实为{shown}",
        f"{item.name} must be {en}, not {shown}",
    )


def _check_whole(values: tuple[Value, ...], template: Template) -> Refused | None:
    have = {v.index for v in values if v.data}
    for item in template.required:
        if item.index not in have:
            return _refuse(
                Rule.REQUIRED,
                item.name,
                f"缺少必填属性{item.zh}（{item.name}）",
                f"{item.name} is required by the template",
            )
    for value in values:
        item_ = template.by_index.get(value.index)
        if item_ is None or item_.name != value.type:
            return _refuse(
                Rule.INDEX,
                "templateVersion",
                f"已有的索引{value.index}在模板{template.version}中不存在",
                f"index {value.index}, which the record has, does not exist in template {template.version}",
            )
    return None
