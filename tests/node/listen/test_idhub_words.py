"""Templates and values as IDHub's clients write and read them, defects of its documents included. No door."""

from dataclasses import replace

import msgspec
import pytest

from node.listen import idhub_words as words
from node.listen.idhub_words import IdhubError, InstanceIn
from node.listen.replies import IDHUB_REFUSED, Idhub
from registry.rules import Rule
from registry.template import Category, Item, Template

META = Template("88.1.1", "bag", "手袋", "", "", Category("C", "19", "192", "1922"), 2, (Item(2000, "en1", "一"),))


def given(text: str) -> dict[str, str]:
    """What the content `text` gives of three attributes, of which one may have several values."""
    items = (Item(2000, "a", "甲"), Item(2001, "b", "乙", kind="file", count=3), Item(2002, "c", "丙", kind="number"))
    body = words.decoded(f'{{"attributes":{{"content":{text}}}}}'.encode(), InstanceIn)
    read = words.values(replace(META, items=items), body.attributes.content)
    return {value.type: value.data.decode() for value in read}


def test_what_is_written_is_kept_as_it_is_written() -> None:
    assert given('{"a":"\\u4e2d;x","c":1.50}') == {"a": "中;x", "c": "1.50"}
    assert given('{"b":["x.pdf","y.pdf"],"c":null}') == {"b": "x.pdf;y.pdf", "c": ""}
    assert given('{"c": 12345678901234567890123 }') == {"c": "12345678901234567890123"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('{"a":true}', Idhub.META_INPUT),
        ('{"a":{}}', Idhub.META_INPUT),
        ('{"b":["x;y"]}', Idhub.META_INPUT),
        ('{"b":[1]}', Idhub.META_INPUT),
        ('{"none":"x"}', Idhub.ITEM_FOREIGN),
        ("[]", Idhub.BIND),
        ("[" * 2000, Idhub.BIND),
    ],
)
def test_what_no_attribute_can_hold_is_refused(content: str, code: Idhub) -> None:
    with pytest.raises(IdhubError) as refused:
        given(content)
    assert refused.value.code is code
    assert str(refused.value)


@pytest.mark.parametrize(("text", "code"), [("88.1.1/bag", 604), ("", 106), ("x", 106), ("88.1.1/META_\0", 106)])
def test_a_template_is_named_by_its_own_identifier(text: str, code: int) -> None:
    assert words.meta_key('"88.1.1/META_bag"') == ("88.1.1", "bag"), "as a sample has it, in quotation marks"
    with pytest.raises(IdhubError) as refused:
        words.meta_key(text)
    assert refused.value.code == code


def test_every_type_has_its_number() -> None:
    items = [
        Item(2000, "a", "a"),
        Item(2001, "b", "b", kind="number", low=1, high=10, accuracy=1),
        Item(2002, "c", "c", kind="date"),
        Item(2003, "d", "d", kind="file", extensions=("pdf", "zip", "rar", "pem")),
        Item(2004, "e", "e", kind="reference", reference="tannery"),
        Item(2005, "f", "f", kind="file", extensions=("mp3",)),
        Item(2006, "g", "g", kind="file", extensions=words.VIDEO),
        Item(2007, "h", "h", kind="picture", count=2),
    ]
    shown = words.info(replace(META, items=tuple(items)))["itemVOS"]
    assert [each["itemSchemaVO"]["dataType"] for each in shown] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert shown[1]["itemSchemaVO"]["numberRange"] == "[1,10]"
    assert (shown[3]["itemSchemaVO"]["fileType"], shown[3]["itemSchemaVO"]["selfDefFileSuffix"]) == ("4,5,6", "pem")
    assert shown[4]["itemReferenceVO"] == {"referenceMetaHandle": "88.1.1/META_tannery"}
    assert shown[7]["itemSchemaVO"] == {"dataType": 8, "maxFileCount": 2, "fileRange": 1}


def test_an_element_without_value_has_no_data() -> None:
    value = words.values(META, {"en1": msgspec.Raw(b'""')})
    assert words.elements(META, value) == [{"index": 2000, "type": "en1", "name": "一", "dataType": 1}]


def test_every_refusal_of_a_write_has_a_code() -> None:
    assert set(Rule) - IDHUB_REFUSED.keys() == {Rule.PERMISSION, Rule.CONTENDED}
