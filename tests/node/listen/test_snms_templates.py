"""Templates as clients say them: what a POST makes, what an incremental PUT changes, what GET shows. Pure."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from node.listen.snms_templates import TemplateIn, changed_template, new_template, shown
from node.listen.snms_words import SnmsError
from registry.template import ITEMS_MOST, Category, Item, Template
from tests.fakes.snms import BAG_TEMPLATE, PREFIX

ITEM: dict[str, Any] = {
    "name": "款号",
    "idType": "styleNo",
    "idIndex": "2000",
    "required": True,
    "metadata": {"type": "string", "minLength": 1, "maxLength": 64},
}
BODY: dict[str, Any] = {
    "prefix": PREFIX,
    **BAG_TEMPLATE,
    "items": [ITEM],
}
KEPT = Template(
    "88.999.1001",
    "bag-v1",
    "手袋",
    "bag",
    "一只包",
    Category("C", "19", "192", "1922"),
    2,
    (
        Item(2000, "styleNo", "款号", "style", required=True, least=1, most=64),
        Item(2003, "weight", "重量", "weight", low=0, high=10, unit="kg", access="partners"),
    ),
    number=7,
    epoch=9,
)


def read(body: dict[str, Any]) -> TemplateIn:
    return msgspec.convert(body, TemplateIn)


def made(**changes: Any) -> Template:
    return new_template(read(BODY | changes))


def item(**changes: Any) -> Template:
    return made(items=[ITEM | changes])


def changed(*items: dict[str, Any], **changes: Any) -> Template:
    return changed_template(KEPT, read({"items": list(items)} | changes))


# -- POST


def test_a_template_as_the_openapi_has_it() -> None:
    assert made() == Template(
        "88.999.1001",
        "bag-v1",
        "bag-v1",
        "bag-v1",
        "一只包",
        Category("C", "19", "192", "1922"),
        2,
        (Item(2000, "styleNo", "款号", required=True, least=1, most=64),),
    )


def test_what_is_left_out_has_its_usual_value() -> None:
    plain = {"name": "颜色", "idType": "colour"}
    template = made(items=[plain, plain | {"idType": "size", "name": "尺寸"}], description=None, name="手袋")
    assert (template.zh, template.description) == ("手袋", "")
    assert template.items == (Item(2000, "colour", "颜色"), Item(2001, "size", "尺寸"))
    assert template.items[0].most == 255


def test_indexes_follow_the_greatest_before_them_and_items_stand_in_their_order() -> None:
    items = [
        {"name": "a", "idType": "a", "idIndex": 2010},
        {"name": "b", "idType": "b"},
        {"name": "c", "idType": "c", "idIndex": "2005"},
    ]
    assert [(i.index, i.name) for i in made(items=items).items] == [(2005, "c"), (2010, "a"), (2011, "b")]


def test_a_group_is_taken_where_the_table_has_none() -> None:
    codes = {"industrySpecific": "13", "industryTrade": "131", "industrySubclass": "1311"}
    assert made(**codes).category == Category("C", "13", "131", "1311")


def test_metadata_may_stand_in_an_array_and_numbers_in_text() -> None:
    metadata = {"type": "string", "minLength": "1", "maxLength": "4096"}
    for given in (metadata, [metadata], [metadata, {"type": "ignored"}]):
        only = item(metadata=given).items[0]
        assert (only.least, only.most) == (1, 4096)
    assert item(metadata=[]).items[0].most == 255
    assert made(type="1").carrier == 1


def test_states_and_classes() -> None:
    assert item().items[0].enabled
    assert not item(state=0).items[0].enabled
    assert item(state="1").items[0].enabled
    assert [item(**{"class": c}).items[0].access for c in ("public", "partners", "internal")] == [
        "public",
        "partners",
        "internal",
    ]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"prefix": None}, "缺少必要的请求参数: prefix"),
        ({"version": ""}, "缺少必要的请求参数: version"),
        ({"version": "x" * 129}, "参数version应为最长128个可打印字符，不含“/”"),
        ({"version": "a/b"}, "参数version应为最长128个可打印字符，不含“/”"),
        ({"version": "a\0b"}, "参数version应为最长128个可打印字符，不含“/”"),
        ({"items": []}, "缺少必要的请求参数: items"),
        ({"items": None}, "缺少必要的请求参数: items"),
        ({"type": None}, "参数type应为1到2之间的整数"),
        ({"type": 3}, "参数type应为1到2之间的整数"),
        ({"type": "two"}, "参数type应为1到2之间的整数"),
        ({"industryCategory": None}, "缺少必要的请求参数: industryCategory"),
        ({"industryCategory": "U"}, "参数industryCategory不正确：门类代码应为A到T的一个字母（GB/T 4754）"),
        ({"industryCategory": "c"}, "参数industryCategory不正确：门类代码应为A到T的一个字母（GB/T 4754）"),
        ({"industrySpecific": "1"}, "参数industrySpecific不正确：大类代码应为两位数字（GB/T 4754）"),
        ({"industryTrade": "19２"}, "参数industryTrade不正确：中类代码应为三位数字（GB/T 4754）"),
        ({"industrySubclass": "192"}, "参数industrySubclass不正确：小类代码应为四位数字（GB/T 4754）"),
        (
            {"industrySubclass": "1932"},
            "参数industrySubclass不正确：小类、中类、大类代码应逐级包含（GB/T 4754）",
        ),
        ({"industrySpecific": "26"}, "参数industrySubclass不正确：小类、中类、大类代码应逐级包含（GB/T 4754）"),
        ({"industryCategory": "A"}, "参数industrySpecific应为GB/T 4754-2017的大类（两位数字），且属于上一级"),
        ({"industrySubclass": "1924"}, "参数industrySubclass应为GB/T 4754-2017的小类（四位数字），且属于上一级"),
    ],
)
def test_what_is_wrong_with_a_template_is_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SnmsError) as caught:
        made(**changes)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"name": None}, "缺少必要的请求参数: name"),
        ({"name": "长" * 129}, "不能超过128个字符"),
        ({"idType": None}, "缺少必要的请求参数: idType"),
        ({"idType": "款号"}, "参数idType不正确：款号"),
        ({"idType": "9lives"}, "参数idType不正确"),
        ({"idType": "two words"}, "参数idType不正确"),
        ({"idType": "x" * 129}, "参数idType不正确"),
        ({"idIndex": 1999}, "参数idIndex应为2000到2147483647之间的整数"),
        ({"idIndex": 1001}, "参数idIndex应为2000到2147483647之间的整数"),
        ({"idIndex": 2**31}, "参数idIndex应为2000到2147483647之间的整数"),
        ({"idIndex": "x"}, "参数idIndex应为2000到2147483647之间的整数"),
        ({"state": 2}, "参数state应为0到1之间的整数"),
        ({"class": "secret"}, "应为public、partners、internal之一"),
        ({"metadata": {"type": "number"}}, "metadata.type只支持string"),
        ({"metadata": {"maxLength": 4097}}, "参数maxLength应为1到4096之间的整数"),
        ({"metadata": {"maxLength": 0}}, "参数maxLength应为1到4096之间的整数"),
        ({"metadata": {"minLength": -1}}, "参数minLength应为0到4096之间的整数"),
        ({"metadata": {"minLength": 9, "maxLength": 8}}, "minLength不能大于maxLength"),
    ],
)
def test_what_is_wrong_with_an_item_is_a_sentence(changes: dict[str, Any], part: str) -> None:
    with pytest.raises(SnmsError) as caught:
        item(**changes)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("again", "label"),
    [
        ({"idIndex": 2000, "idType": "other", "name": "别的"}, "idIndex"),
        ({"idIndex": 2001, "name": "别的"}, "idType"),
        ({"idIndex": 2001, "idType": "other"}, "name"),
    ],
)
def test_indexes_types_and_names_are_unique(again: dict[str, Any], label: str) -> None:
    with pytest.raises(SnmsError, match=f"参数{label}重复"):
        made(items=[ITEM, ITEM | again])


def test_items_are_bounded() -> None:
    def items(count: int) -> list[dict[str, Any]]:
        return [{"name": f"名{n}", "idType": f"n{n}"} for n in range(count)]

    assert len(made(items=items(ITEMS_MOST)).items) == ITEMS_MOST
    with pytest.raises(SnmsError, match=str(ITEMS_MOST)):
        made(items=items(ITEMS_MOST + 1))


# -- PUT


def test_an_empty_put_changes_nothing() -> None:
    assert changed() == KEPT
    assert changed_template(KEPT, TemplateIn()) == KEPT


def test_what_is_not_mentioned_stays_and_what_is_disabled_stays_too() -> None:
    template = changed({"idType": "styleNo", "idIndex": "2000", "state": 0})
    assert template.items[0] == replace(KEPT.items[0], enabled=False)
    assert template.items[1] == KEPT.items[1]
    assert template.required == ()
    again = changed_template(template, read({"items": [{"idType": "styleNo", "idIndex": 2000, "state": 1}]}))
    assert again == KEPT


def test_what_is_given_is_changed_and_what_only_we_know_is_kept() -> None:
    template = changed(
        {
            "idType": "weight",
            "idIndex": 2003,
            "name": "净重",
            "required": True,
            "class": "public",
            "metadata": {"type": "string", "minLength": 1, "maxLength": 9},
        },
        name="女包",
        description="",
        type=1,
    )
    assert template.items[1] == Item(
        2003,
        "weight",
        "净重",
        "weight",
        required=True,
        least=1,
        most=9,
        low=0,
        high=10,
        unit="kg",
    )
    assert (template.zh, template.description, template.carrier) == ("女包", "", 1)
    assert (template.number, template.epoch, template.category) == (KEPT.number, KEPT.epoch, KEPT.category)


def test_metadata_that_gives_one_bound_keeps_the_other() -> None:
    template = changed({"idType": "styleNo", "idIndex": 2000, "metadata": {"maxLength": 100}})
    assert (template.items[0].least, template.items[0].most) == (1, 100)


def test_an_index_not_known_or_none_is_a_new_item() -> None:
    template = changed({"idType": "colour", "name": "颜色"}, {"idType": "size", "name": "尺寸", "idIndex": "2002"})
    assert [(i.index, i.name) for i in template.items] == [
        (2000, "styleNo"),
        (2002, "size"),
        (2003, "weight"),
        (2004, "colour"),
    ]


def test_an_index_left_out_means_a_new_item_even_if_the_type_is_known() -> None:
    with pytest.raises(SnmsError, match="参数idType重复：styleNo"):
        changed({"idType": "styleNo", "name": "新款号"})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"idType": "other", "name": "别的", "idIndex": 2000}, "索引2000已用于属性styleNo，不能改为other"),
        ({"idType": "weight", "name": "别的", "idIndex": 2009}, "参数idType重复：weight"),
        ({"idType": "other", "name": "重量", "idIndex": 2009}, "参数name重复：重量"),
        ({"idType": "other", "idIndex": 2009}, "缺少必要的请求参数: name"),
        ({"idType": "weight", "idIndex": 2003, "state": 7}, "参数state应为0到1之间的整数"),
    ],
)
def test_what_a_put_cannot_do_is_a_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SnmsError) as caught:
        changed(given)
    assert str(caught.value) == sentence


# -- GET


def test_a_template_is_shown_as_each_version_of_the_openapi_has_it() -> None:
    old, new = shown(KEPT, v5=False), shown(KEPT, v5=True)
    assert old == {
        "prefix": PREFIX,
        **BAG_TEMPLATE,
        "items": [
            {
                "name": "款号",
                "idType": "styleNo",
                "idIndex": 2000,
                "required": True,
                "metadata": {"type": "string", "minLength": 1, "maxLength": 64},
                "class": "public",
            },
            {
                "name": "重量",
                "idType": "weight",
                "idIndex": 2003,
                "required": False,
                "metadata": {"type": "string", "minLength": 0, "maxLength": 255},
                "class": "partners",
            },
        ],
    }
    assert (new["id"], new["handle"], new["name"]) == (7, "88.999.1001/META_bag-v1", "手袋")
    assert [(i["state"], i["metadataId"]) for i in new["items"]] == [(1, 2000), (1, 2003)]


def test_what_is_shown_can_be_sent_back() -> None:
    assert changed_template(KEPT, read(shown(KEPT, v5=True))) == KEPT
    again = new_template(read(shown(KEPT, v5=True)))
    assert [(i.index, i.name, i.zh, i.access) for i in again.items] == [
        (i.index, i.name, i.zh, i.access) for i in KEPT.items
    ]
