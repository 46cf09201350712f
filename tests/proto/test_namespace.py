"""Proves proto/values/namespace.py by XML written out, some of it malicious."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.values.namespace import DEPTH_MOST, ELEMENTS_MOST, Namespace, parse
from tests.proto.keys.made import told

FULL = """<?xml version="1.0" encoding="UTF-8"?>
<namespace>
  <status> inactive </status><statusmsg>已停用</statusmsg><contact>a@example.com</contact>
  <template delimiter="@"><foreach><if value="type" test="equals" expression="URL"><value data="${data}?x=1"/></if>
  </foreach></template>
</namespace>""".encode()


def test_what_a_namespace_says():
    read = Namespace.from_octets(FULL)
    assert (read.active, read.message, read.contact, read.delimiter) == (False, "已停用", "a@example.com", "@")
    template = read.elements.find("template")
    assert template is not None
    assert template.children[0].children[0].attributes["expression"] == "URL"


def test_what_it_need_not_say():
    read = Namespace.from_octets(b"<namespace/>")
    assert (read.active, read.message, read.contact, read.delimiter) == (True, "", "", None)
    assert Namespace.from_octets(b"<namespace><template/></namespace>").delimiter == ""


BOMB = b'<!DOCTYPE namespace [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><namespace>&b;</namespace>'
FILE = b'<!DOCTYPE namespace SYSTEM "file:///etc/passwd"><namespace/>'


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"", "no well-formed"),
        (b"<namespace>", "no well-formed"),
        (b"<namespace>&b;</namespace>", "no well-formed"),
        (b"<namespace>\xff</namespace>", "no well-formed"),
        (b"<?xml version='1.0' encoding='gb2312'?><namespace>\xb1\xea</namespace>", "no well-formed"),
        (b"<other/>", "root element namespace"),
        (BOMB, "no DTD"),
        (FILE, "no DTD"),
        (b"<namespace>" * (DEPTH_MOST + 1), "too many elements or too deep"),
        (b"<namespace>" + b"<a/>" * ELEMENTS_MOST + b"</namespace>", "too many elements or too deep"),
    ],
)
def test_what_is_none_is_a_sentence(octets: bytes, said: str):
    with pytest.raises(ProtoError, match=said) as refused:
        Namespace.from_octets(octets)
    assert refused.value.field == "HS_NAMESPACE"


@pytest.mark.parametrize("coding", ["x-unknown", "gb2312", "utf-7", "idna"])
def test_a_coding_it_declares_is_not_looked_for(coding: str):
    octets = f'<?xml version="1.0" encoding="{coding}"?><namespace><contact>标</contact></namespace>'
    assert Namespace.from_octets(octets.encode()).contact == "标"


def test_as_many_elements_as_there_may_be():
    deep = b"<a>" * DEPTH_MOST + b"</a>" * DEPTH_MOST
    assert parse(deep, "a").name == "a"
    assert len(parse(b"<a>" + b"<b/>" * (ELEMENTS_MOST - 1) + b"</a>", "a").children) == ELEMENTS_MOST - 1


@given(st.binary(max_size=60) | st.text("<>/namespace &;!\"'", max_size=60).map(str.encode))
def test_whatever_octets_it_is_a_namespace_or_a_sentence(octets: bytes):
    read = told(lambda: Namespace.from_octets(octets))
    assert isinstance(read, Namespace) or read.field == "HS_NAMESPACE"
