"""Proves registry/rules.py: every rule by a literal case with its sentence in both languages, and every acceptance.

Nothing here touches a database; Rule.CONTENDED, which needs a race, is reached in test_registrar.py.
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.chain import Kind
from proto.identifier import Identifier
from proto.value import Reference, Value
from proto.values.admin import ADMIN_ALL, Admin
from registry.account import Account
from registry.administration import Add, Administrator, Create, Delete, Remove
from registry.editing import Edit, Put, Step
from registry.kinds import as_number
from registry.prefix import PrefixState, RegisteredPrefix
from registry.record import Record
from registry.rights import Role
from registry.rules import (
    Accepted,
    Judgement,
    Refused,
    Request,
    Rule,
    Unchanged,
    differences,
    edited,
    judge,
)
from registry.suffix import Segment, SuffixRule
from registry.template import Category, Item, Template

BEFORE, NOW = 1_795_000_000, 1_795_330_554
OWNER = Account(5, "tianma", "program", Role.ENTERPRISE_ADMIN, 3)
STRANGER = Account(6, "other", "person", Role.ENTERPRISE_ADMIN, 4)
ADMIN = Account(1, "admin", "person", Role.SYSTEM_ADMIN, None)
NOBODY = Account(7, "lost", "person", Role.ENTERPRISE_ADMIN, None)
PREFIX = RegisteredPrefix(9, "88.999.1001", PrefixState.ENABLED, 12, 3)
SUFFIX = SuffixRule((Segment("const", "手袋", "bag", "BAG-"), Segment("serial", "序列号", "serial", "", 6, 9)))
ITEMS = (
    Item(2000, "productName", "产品名称", required=True, least=1, most=20),
    Item(2001, "weight", "重量", low=0, high=100),
    Item(2002, "oldCode", "旧编码", enabled=False),
    Item(2003, "temperature", "温度", low=-40.5),
    Item(2004, "load", "载荷", high=12_345_678),
    Item(2005, "colour", "颜色", least=2, most=4),
    Item(2006, "careInfo", "保养说明", most=4096),
)
BAG = Template("88.999.1001", "bag", "手袋", "Bag", "", Category("C", "19", "192", "1922"), 2, ITEMS, SUFFIX, 21, 13)
LOOSE = replace(BAG, version="loose", suffix=SuffixRule(), number=22, items=ITEMS[:2])
NAMES = {item.index: item.name for item in ITEMS}


def value(index: int, text: str | bytes, at: int = 0, type_: str | None = None) -> Value:
    data = text if isinstance(text, bytes) else text.encode()
    return Value(index, NAMES.get(index, "?") if type_ is None else type_, data, timestamp=at)


NAME = value(2000, "挎包")
LIVE = Record(4, True, 21, BEFORE, (value(2000, "挎包", BEFORE), value(2001, "1.5", BEFORE)))
GONE = Record(5, False, 21, BEFORE, ())


def create(*values: Value, suffix: str = "BAG-000017") -> Request:
    parts = "88.999.1001", suffix
    return Request("create", Identifier("/".join(parts), *parts, "/".join(parts), *parts), "bag", values)


def update(*values: Value) -> Request:
    return create(*values)._replace(operation="update")


DELETE = create()._replace(operation="delete", template="")


def judged(request: Request, record: Record | None = None, **given: object) -> Judgement:
    usual = {"who": OWNER, "prefix": PREFIX, "template": BAG, "now": NOW}
    return judge(record, request, **(usual | given))  # type: ignore[arg-type]


def at_state(state: PrefixState) -> dict[str, object]:
    return {"prefix": replace(PREFIX, state=state)}


TOO_LONG = "长" * 21

REFUSALS = [
    # rule, field, request, record, given, sentences
    (
        Rule.FOREIGN_PREFIX,
        "handle",
        create(NAME),
        None,
        {"prefix": None},
        "前缀88.999.1001不属于本节点",
        "does not live at this node",
    ),
    (
        Rule.PERMISSION,
        "handle",
        create(NAME),
        None,
        {"who": STRANGER},
        "没有前缀88.999.1001的操作权限",
        "may not write under prefix 88.999.1001",
    ),
    (Rule.PERMISSION, "handle", create(NAME), None, {"who": NOBODY}, "没有前缀88.999.1001的操作权限", "may not write"),
    (
        Rule.PERMISSION,
        "handle",
        create(NAME),
        None,
        {"who": NOBODY, "prefix": replace(PREFIX, enterprise=None)},
        "没有前缀",
        "may not write",
    ),
    (
        Rule.PERMISSION,
        "handle",
        DELETE,
        LIVE,
        {"who": STRANGER} | at_state(PrefixState.STOPPED),
        "没有前缀",
        "may not write",
    ),
    (
        Rule.PREFIX_CLOSED,
        "handle",
        create(NAME),
        None,
        at_state(PrefixState.STOPPED),
        "前缀88.999.1001已停用，不能写入",
        "is stopped and takes no writes",
    ),
    (
        Rule.PREFIX_CLOSED,
        "handle",
        update(NAME),
        LIVE,
        at_state(PrefixState.IN_REVIEW),
        "已审核中，不能写入",
        "is in review and takes no writes",
    ),
    (
        Rule.PREFIX_CLOSED,
        "handle",
        DELETE,
        LIVE,
        at_state(PrefixState.TO_BE_DELETED),
        "已待删除，不能写入",
        "is to be deleted and takes no writes",
    ),
    (
        Rule.PREFIX_CLOSED,
        "handle",
        create(NAME),
        None,
        at_state(PrefixState.REFUSED),
        "已被驳回，不能写入",
        "is refused and takes no writes",
    ),
    (
        Rule.PREFIX_CLOSED,
        "handle",
        create(NAME),
        None,
        at_state(PrefixState.PENDING),
        "已待审核，不能写入",
        "is pending and takes no writes",
    ),
    (
        Rule.PREFIX_CLOSED,
        "handle",
        create(NAME),
        None,
        {"who": ADMIN} | at_state(PrefixState.STOPPED),
        "已停用",
        "is stopped",
    ),
    (Rule.EXISTS, "handle", create(NAME), LIVE, {}, "标识已存在", "the identifier exists already"),
    (Rule.EXISTS, "handle", create(NAME), LIVE, {"template": None}, "标识已存在", "exists already"),
    (
        Rule.DELETED,
        "handle",
        create(NAME),
        GONE,
        {"reuse_deleted": False},
        "标识已被删除，不能重新注册",
        "was deleted and may not be used again",
    ),
    (Rule.ABSENT, "handle", update(NAME), None, {}, "标识不存在", "the identifier does not exist"),
    (Rule.ABSENT, "handle", update(NAME), GONE, {}, "标识不存在", "does not exist"),
    (Rule.ABSENT, "handle", DELETE, None, {}, "标识不存在", "does not exist"),
    (Rule.ABSENT, "handle", DELETE, GONE, {}, "标识不存在", "does not exist"),
    (
        Rule.TEMPLATE,
        "templateVersion",
        create(NAME),
        None,
        {"template": None},
        "模板bag不存在",
        "template bag does not exist under this prefix",
    ),
    (
        Rule.TEMPLATE,
        "templateVersion",
        update(NAME),
        LIVE,
        {"template": None},
        "模板bag不存在",
        "template bag does not exist",
    ),
    (
        Rule.SUFFIX,
        "handle",
        create(NAME, suffix="META_bag"),
        None,
        {},
        "META_开头的标识保留给模板",
        "beginning with META_ are reserved",
    ),
    (
        Rule.SUFFIX,
        "handle",
        create(NAME, suffix="BAG-17"),
        None,
        {},
        "后缀BAG-17不符合模板bag的编码规则BAG-{序列号}",
        "suffix BAG-17 is not made as template bag says: BAG-{serial}",
    ),
    (
        Rule.INDEX,
        "index",
        create(NAME, value(1000, "x", type_="TEMPLATE_ID")),
        None,
        {},
        "非法操作，索引1000在模板中不存在",
        "index 1000 does not exist in the template",
    ),
    (
        Rule.INDEX,
        "index",
        create(NAME, value(2999, "x")),
        None,
        {},
        "索引2999在模板中不存在",
        "index 2999 does not exist",
    ),
    (Rule.INDEX, "index", create(NAME, NAME), None, {}, "索引2000重复", "index 2000 is given twice"),
    (
        Rule.INDEX,
        "index",
        update(value(2002, "A1")),
        LIVE,
        {},
        "旧编码（oldCode）已禁用，不能写入",
        "oldCode is disabled in the template",
    ),
    (
        Rule.INDEX,
        "templateVersion",
        update(value(2000, "包")),
        LIVE._replace(values=(value(2000, "挎包"), value(2006, "x"))),
        {"template": LOOSE},
        "已有的索引2006在模板loose中不存在",
        "index 2006, which the record has, does not exist in template loose",
    ),
    (
        Rule.INDEX,
        "templateVersion",
        update(NAME),
        LIVE._replace(values=(NAME, value(2001, "1", type_="size"))),
        {},
        "已有的索引2001在模板bag中不存在",
        "index 2001, which the record has",
    ),
    (
        Rule.TYPE,
        "type",
        create(NAME, value(2001, "1", type_="Weight")),
        None,
        {},
        "索引2001的类型应为weight，实为Weight",
        "type of index 2001 must be weight, not Weight",
    ),
    (
        Rule.VALUE,
        "productName",
        create(value(2000, TOO_LONG)),
        None,
        {},
        "产品名称（productName）长度应在1到20之间，实为21",
        "productName must have 1 to 20 characters, not 21",
    ),
    (
        Rule.VALUE,
        "productName",
        create(value(2000, "")),
        None,
        {},
        "长度应在1到20之间，实为0",
        "must have 1 to 20 characters, not 0",
    ),
    (
        Rule.VALUE,
        "colour",
        create(NAME, value(2005, "红")),
        None,
        {},
        "颜色（colour）长度应在2到4之间，实为1",
        "colour must have 2 to 4 characters, not 1",
    ),
    (
        Rule.VALUE,
        "weight",
        create(NAME, value(2001, "100.1")),
        None,
        {},
        "重量（weight）应为0到100之间的数字，实为100.1",
        "weight must be a number from 0 to 100, not 100.1",
    ),
    (Rule.VALUE, "weight", create(NAME, value(2001, "-0.1")), None, {}, "应为0到100之间的数字", "from 0 to 100"),
    (
        Rule.VALUE,
        "temperature",
        create(NAME, value(2003, "-41")),
        None,
        {},
        "温度（temperature）应为不小于-40.5的数字，实为-41",
        "temperature must be a number of at least -40.5, not -41",
    ),
    (
        Rule.VALUE,
        "load",
        create(NAME, value(2004, "12345679")),
        None,
        {},
        "载荷（load）应为不大于12345678的数字，实为12345679",
        "load must be a number of at most 12345678, not 12345679",
    ),
    (
        Rule.VALUE,
        "careInfo",
        create(NAME, value(2006, b"\xff\xfe")),
        None,
        {},
        "保养说明（careInfo）应为UTF-8文本",
        "careInfo must be text in UTF-8",
    ),
    (
        Rule.REQUIRED,
        "productName",
        create(),
        None,
        {},
        "缺少必填属性产品名称（productName）",
        "productName is required by the template",
    ),
    (
        Rule.REQUIRED,
        "productName",
        create(value(2001, "1")),
        None,
        {},
        "缺少必填属性产品名称",
        "productName is required",
    ),
    (
        Rule.REQUIRED,
        "productName",
        update(),
        LIVE._replace(values=(value(2001, "1"),)),
        {},
        "缺少必填属性产品名称",
        "productName is required",
    ),
]


@pytest.mark.parametrize(
    ("rule", "field", "request_", "record", "given", "zh", "en"),
    REFUSALS,
    ids=[f"{n} {r[0].value}" for n, r in enumerate(REFUSALS)],
)
def test_a_refusal_names_rule_and_field_in_both_languages(rule, field, request_, record, given, zh, en):
    refused = judged(request_, record, **given)
    assert isinstance(refused, Refused)
    assert (refused.rule, refused.field) == (rule, field)
    assert zh in refused.zh
    assert en in refused.en


def test_every_rule_is_reached():
    assert {row[0] for row in REFUSALS} == set(Rule) - {
        Rule.CONTENDED,
        Rule.QUOTA_IDENTIFIERS,
        Rule.QUOTA_ROOM,
        Rule.INDEX_TAKEN,  # these two below, among edits
        Rule.INDEX_ABSENT,
    }


# --- What is accepted --------------------------------------------------------------------------------------


def test_a_creation_is_version_one_with_todays_timestamps_in_the_order_of_indexes():
    made = judged(create(value(2006, ""), value(2001, "99"), NAME))
    values = (value(2000, "挎包", NOW), value(2001, "99", NOW), value(2006, "", NOW))
    assert made == Accepted(Kind.CREATED, Record(1, True, 21, NOW, values))


@pytest.mark.parametrize("who", [OWNER, ADMIN])
def test_the_owner_and_administrators_may_write(who: Account):
    assert isinstance(judged(create(NAME), who=who), Accepted)


def test_under_the_nodes_own_prefix_administrators_may_write():
    assert isinstance(judged(create(NAME), who=ADMIN, prefix=replace(PREFIX, enterprise=None)), Accepted)


def test_an_update_is_incremental_and_keeps_the_timestamps_of_what_it_leaves():
    made = judged(update(value(2001, "2"), value(2005, "深棕")), LIVE)
    values = (value(2000, "挎包", BEFORE), value(2001, "2", NOW), value(2005, "深棕", NOW))
    assert made == Accepted(Kind.UPDATED, Record(5, True, 21, NOW, values))


def test_what_is_given_again_unchanged_keeps_its_timestamp():
    made = judged(update(NAME, value(2001, "2")), LIVE)
    assert isinstance(made, Accepted)
    assert [v.timestamp for v in made.record.values] == [BEFORE, NOW]


@pytest.mark.parametrize("values", [(), (NAME,), (value(2001, "1.5"),), (value(2001, "1.5"), NAME)])
def test_an_update_that_changes_nothing_makes_no_version(values: tuple[Value, ...]):
    assert judged(update(*values), LIVE) == Unchanged(4)


def test_another_template_alone_is_a_change():
    made = judged(update(), LIVE, template=LOOSE)
    assert made == Accepted(Kind.UPDATED, LIVE._replace(version=5, template=22, updated=NOW))


def test_an_optional_attribute_can_be_emptied_and_a_disabled_one_stays_as_it_is():
    kept = LIVE._replace(values=(*LIVE.values, value(2002, "A1", BEFORE), value(2006, "擦", BEFORE)))
    made = judged(update(value(2006, "")), kept)
    assert isinstance(made, Accepted)
    assert made.record.values[2:] == (value(2002, "A1", BEFORE), value(2006, "", NOW))


def test_a_number_may_be_left_empty():
    assert isinstance(judged(create(NAME, value(2001, ""))), Accepted)


def test_a_disabled_attribute_is_not_required():
    template = replace(BAG, items=(*ITEMS, Item(2007, "legacy", "旧", required=True, enabled=False)))
    assert isinstance(judged(create(NAME), template=template), Accepted)


def test_an_update_of_a_suffix_made_before_the_rule_is_not_held_to_it():
    request = update(value(2001, "3"))._replace(identifier=create(suffix="旧-1").identifier)
    assert isinstance(judged(request, LIVE), Accepted)


def test_a_deletion_is_a_version_without_values():
    assert judged(DELETE, LIVE) == Accepted(Kind.DELETED, Record(5, False, 21, NOW, ()))


def test_a_deletion_needs_no_template():
    assert isinstance(judged(DELETE, LIVE, template=None), Accepted)


def test_a_deleted_identifier_comes_back_as_the_next_version_with_nothing_of_the_old():
    made = judged(create(NAME), GONE)
    assert made == Accepted(Kind.REVIVED, Record(6, True, 21, NOW, (value(2000, "挎包", NOW),)))


def test_whether_deleted_identifiers_come_back_matters_to_them_alone():
    assert isinstance(judged(create(NAME), None, reuse_deleted=False), Accepted)
    assert isinstance(judged(update(value(2001, "2")), LIVE, reuse_deleted=False), Accepted)


def test_what_a_value_carries_beside_its_data_is_kept():
    rich = Value(2000, "productName", "挎包".encode(), 60, 0, 0b1100, False, (Reference("88.1/a", 1),))
    made = judged(create(rich))
    assert isinstance(made, Accepted)
    assert made.record.values == (replace(rich, timestamp=NOW),)


# --- Exists, and in what it differs ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "differs"),
    [
        ((NAME, value(2001, "1.5")), ()),
        ((NAME,), ("weight",)),
        ((NAME, value(2001, "1.50")), ("weight",)),
        ((value(2006, "擦"), value(2000, "包"), value(2001, "1.5")), ("productName", "careInfo")),
        ((), ("productName", "weight")),
    ],
)
def test_who_creates_what_exists_is_told_what_differs(values: tuple[Value, ...], differs: tuple[str, ...]):
    refused = judged(create(*values), LIVE)
    assert isinstance(refused, Refused)
    assert (refused.rule, refused.differs) == (Rule.EXISTS, differs)


def test_differences_look_at_type_and_data_only():
    kept = (value(1, "a", BEFORE, "t"), value(2, "b", BEFORE, "t"))
    given = (replace(kept[0], timestamp=NOW, ttl=1), replace(kept[1], type="u"))
    assert differences(kept, given) == ("t",)
    assert differences(kept, kept) == ()


# --- Numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["0", "100", "99.99", "+1", "007", ".5", "5.", "-0", "1" + "0" * 2, "0." + "1" * 100])
def test_numbers_in_range(text: str):
    assert isinstance(judged(create(NAME, value(2001, text))), Accepted)


@pytest.mark.parametrize(
    "text",
    [
        "1e1",
        "1E1",
        "inf",
        "-inf",
        "Infinity",
        "nan",
        "NaN",
        "１２",
        "十二",
        "٣",
        "1_0",
        "0x1",
        " 1",
        "1 ",
        "1,5",
        "1.2.3",
        "--1",
        "+",
        "-",
        ".",
        "1-2",
        "1-",
        "½",
        "1\n",
        "9" * 255,
    ],
)
def test_what_is_no_number_in_range(text: str):
    refused = judged(create(NAME, value(2001, text)))
    assert isinstance(refused, Refused)
    assert (refused.rule, refused.field) == (Rule.VALUE, "weight")


@given(st.text(max_size=12) | st.text("0123456789.+-einfa", max_size=12))
def test_whatever_text_it_is_a_plain_decimal_number_or_none(text: str):
    number = as_number(text)
    if number is None:
        assert not text.isdecimal() or not text.isascii()
    else:
        assert number == float(text)
        assert set(text) <= set("0123456789.+-")


@given(st.decimals(-(10**9), 10**9, places=3))
def test_plain_decimal_numbers_are_read(number):
    assert as_number(f"{number:f}") == float(number)


# --- Whatever is asked -------------------------------------------------------------------------------------

VALUES = st.lists(
    st.builds(
        Value,
        st.sampled_from([1, 1000, 2000, 2001, 2002, 2003, 2005, 2006, 2007]),
        st.sampled_from([*NAMES.values(), "?"]),
        st.binary(max_size=6) | st.text(max_size=25).map(str.encode),
    ),
    max_size=4,
).map(tuple)


@given(
    st.sampled_from(["create", "update", "delete"]),
    VALUES,
    st.sampled_from([None, LIVE, GONE]),
    st.sampled_from([OWNER, STRANGER, ADMIN]),
    st.sampled_from([PREFIX, None, replace(PREFIX, state=PrefixState.STOPPED)]),
    st.sampled_from([BAG, LOOSE, None]),
    st.booleans(),
)
def test_whatever_is_asked_versions_grow_by_one_and_a_refusal_explains_itself(
    operation, values, record, who, prefix, template, reuse
):
    request = create(*values)._replace(operation=operation)
    judgement = judged(request, record, who=who, prefix=prefix, template=template, reuse_deleted=reuse)
    if isinstance(judgement, Refused):
        assert judgement.field
        assert judgement.zh
        assert judgement.en
    elif isinstance(judgement, Unchanged):
        assert record is not None
        assert judgement.version == record.version
    else:
        made = judgement.record
        assert made.version == (record.version if record else 0) + 1
        assert made.live is (operation != "delete")
        assert [v.index for v in made.values] == sorted({v.index for v in made.values})
        again = judged(request._replace(operation="update"), made, who=who, prefix=prefix, template=template)
        assert again == Unchanged(made.version) or not made.live


# --- Moving in ---------------------------------------------------------------------------------------------

MOVER = replace(OWNER, kind="person")
RAW = (
    Value(100, "HS_ADMIN", b"\xff", ttl=60, timestamp=7, permissions=0, references=(Reference("0.NA/88", 3),)),
    Value(1, "URL", b"u", ttl=BEFORE, ttl_absolute=True),
    Value(2000, "", b""),
)


def moving(*values: Value, suffix: str = "any 形式") -> Request:
    return Request("create", create(suffix=suffix).identifier, values=values or RAW, moved=True)


def test_what_moves_in_is_kept_with_every_field_and_without_template():
    expected = (replace(RAW[1], timestamp=NOW), RAW[0], replace(RAW[2], timestamp=NOW))
    for template in (None, BAG):
        assert judged(moving(), who=MOVER, template=template) == Accepted(
            Kind.CREATED, Record(1, True, 0, NOW, expected)
        )
    assert judged(moving(), GONE, who=MOVER) == Accepted(Kind.REVIVED, Record(6, True, 0, NOW, expected))


def test_who_may_register_may_not_therefore_move_in():
    for who, prefix in ((OWNER, PREFIX), (STRANGER, PREFIX), (MOVER, replace(PREFIX, state=PrefixState.STOPPED))):
        refused = judged(moving(), who=who, prefix=prefix)
        assert isinstance(refused, Refused)
        assert refused.rule in {Rule.PERMISSION, Rule.PREFIX_CLOSED}


@pytest.mark.parametrize(
    ("values", "rule", "said"),
    [
        ((RAW[0], RAW[1], RAW[0]), Rule.INDEX, "100"),
        ([Value(n, "BIN", bytes(65_536)) for n in range(1, 18)], Rule.VALUE, "1048576"),
    ],
)
def test_values_that_are_no_record_do_not_move_in(values: tuple[Value, ...], rule: Rule, said: str):
    refused = judged(moving(*values), who=MOVER)
    assert isinstance(refused, Refused)
    assert (refused.rule, said in refused.zh, said in refused.en) == (rule, True, True)
    assert judged(moving()._replace(values=()), who=MOVER).rule is Rule.VALUE  # type: ignore[union-attr]


def test_what_exists_differs_from_what_moves_in_by_any_field_but_the_time():
    kept = Record(1, True, 0, BEFORE, (RAW[1], RAW[0]))
    for changed, differs in (
        (replace(RAW[0], timestamp=9), ()),
        (replace(RAW[0], permissions=2), ("HS_ADMIN",)),
        (replace(RAW[0], ttl=61), ("HS_ADMIN",)),
        (replace(RAW[0], references=()), ("HS_ADMIN",)),
    ):
        refused = judged(moving(changed, RAW[1]), kept, who=MOVER)
        assert isinstance(refused, Refused)
        assert (refused.rule, refused.differs) == (Rule.EXISTS, differs)


# --- Edits of the Handle protocol --------------------------------------------------------------------------

URL = Value(1, "URL", b"http://x/")
ANYTHING = Administrator("", 0, everywhere=True)


def asking(wanted: Step | Put, by: Administrator = ANYTHING, suffix: str = "any 形式") -> Request:
    return edited(create(suffix=suffix).identifier, Edit(wanted, by))


def bare(*values: Value) -> Record:
    return Record(3, True, 0, BEFORE, values)


def test_an_edit_is_judged_by_the_handle_system_s_rules_and_not_by_rights_of_accounts():
    new = replace(URL, timestamp=NOW)
    for who in (NOBODY, STRANGER):
        assert judged(asking(Create((URL,))), who=who) == Accepted(Kind.CREATED, Record(1, True, 0, NOW, (new,)))
    assert judged(asking(Create((URL,))), GONE, who=NOBODY) == Accepted(Kind.REVIVED, Record(6, True, 0, NOW, (new,)))
    over = judged(asking(Create((URL,), overwrite=True)), bare(replace(URL, data=b"y")), who=NOBODY)
    assert over == Accepted(Kind.UPDATED, Record(4, True, 0, NOW, (new,)))
    assert judged(asking(Put((URL,))), bare(new), who=NOBODY) == Unchanged(3)
    assert judged(asking(Remove((1,))), bare(new), who=NOBODY) == Accepted(Kind.UPDATED, Record(4, True, 0, NOW, ()))
    assert judged(asking(Delete()), bare(new), who=NOBODY) == Accepted(Kind.DELETED, Record(4, False, 0, NOW, ()))
    gone = judged(asking(Delete()), LIVE, who=NOBODY)
    assert isinstance(gone, Accepted)
    assert gone.kind is Kind.DELETED, "with a template, too"


@pytest.mark.parametrize(
    ("request_", "record", "more", "rule"),
    [
        (asking(Create((URL,))), bare(URL), {}, Rule.EXISTS),
        (asking(Create((URL,))), GONE, {"reuse_deleted": False}, Rule.DELETED),
        (asking(Create((URL,)), suffix="META_bag"), None, {}, Rule.SUFFIX),
        (asking(Create((URL,), overwrite=True)), LIVE, {}, Rule.TEMPLATE),
        (asking(Put((URL,))), None, {}, Rule.ABSENT),
        (asking(Put((URL,))), GONE, {}, Rule.ABSENT),
        (asking(Put((URL,))), LIVE, {}, Rule.TEMPLATE),
        (asking(Delete()), GONE, {}, Rule.ABSENT),
        (asking(Add((URL,))), bare(URL), {}, Rule.INDEX_TAKEN),
        (asking(Remove((2,))), bare(URL), {}, Rule.INDEX_ABSENT),
        (asking(Delete(), Administrator("88.999.1001/ME", 300)), bare(URL), {}, Rule.PERMISSION),
        (asking(Delete()), bare(URL), {"prefix": None}, Rule.FOREIGN_PREFIX),
        (asking(Delete()), bare(URL), {"prefix": replace(PREFIX, state=PrefixState.STOPPED)}, Rule.PREFIX_CLOSED),
        (asking(Put(tuple(Value(n, "", bytes(65_536)) for n in range(2, 20)))), bare(URL), {}, Rule.VALUE),
        (asking(Put(tuple(Value(n, "", b"") for n in range(2, 2050)))), bare(URL), {}, Rule.VALUE),
    ],
)
def test_why_an_edit_is_refused(request_: Request, record: Record | None, more: dict[str, Any], rule: Rule):
    refused = judged(request_, record, **{"who": NOBODY} | more)
    assert isinstance(refused, Refused)
    assert refused.rule is rule
    assert refused.zh
    assert refused.en


def test_an_edit_whose_record_names_a_group_since_is_to_be_asked_again():
    group = Value(100, "HS_ADMIN", Admin(ADMIN_ALL, "88.999.1001/GROUP", 200).to_octets())
    refused = judged(asking(Delete(), Administrator("88.999.1001/ME", 300)), bare(group), who=NOBODY)
    assert isinstance(refused, Refused)
    assert refused.rule is Rule.CONTENDED
