"""Proves registry/disclosure.py: nobody sees more than an enterprise lets them, and what is withheld is named."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proto.errors import ProtoError
from registry.disclosure import DEFAULTS, Choice, Disclosure, Entry, Filed, from_json, shown, to_json
from registry.prefix import PrefixState

FILED = Filed(
    ent_crt_code="91440114MAE9X8K18E",
    ent_type=2,
    ent_addr_cn="广州市花都区狮岭镇合成路1号",
    ent_desc="手袋",
    contact_name="张三",
    contact_email="zhang@example.com",
    contact_phone="020-12345678",
    legal_name="李四",
    legal_id_type=6,
)
ENTRY = Entry(
    prefix="88.999.1001",
    state=PrefixState.ENABLED,
    registered="2026-11-23T08:00:00Z",
    enterprise=1,
    name="云岫皮具",
    name_en="Yunxiu",
    industry="leather",
    filed=FILED,
    disclosure=Disclosure(),
)
FULL = {
    "name": "云岫皮具",
    "type": "enterprise",
    "introduce": "手袋",
    "nature": "民营控股",
    "subType": "皮具",
    "address": "广州市花都区狮岭镇合成路1号",
    "idType": "统一社会信用代码",
    "idNumber": "91440114MAE9X8K18E",
    "legalPerson": [{"name": "李四", "idType": "护照"}],
    "contact": [{"name": "张三", "email": "zhang@example.com", "phone": "020-12345678"}],
}


def with_(**chosen: str) -> Entry:
    return replace(ENTRY, disclosure=Disclosure(chosen))


def test_the_picture_of_a_certificate_is_for_who_may_see_all() -> None:
    entry, photo = replace(ENTRY, photo=7), {"mime": "image/png", "data": "AA=="}
    assert shown(entry, full=True, photo=photo)["node"] == FULL | {"idPhoto": photo}
    assert "idPhoto" not in shown(entry, full=True)["node"]
    told = shown(entry, full=False, photo=photo)
    assert "idPhoto" not in told["node"]
    (private,) = [each["description"] for each in told["remarks"] if each["title"] == "private"]
    assert "idPhoto" in private
    with pytest.raises(ProtoError):
        Disclosure({"idPhoto": "public"})


def test_who_may_see_all_sees_all() -> None:
    entry = with_(**dict.fromkeys(DEFAULTS, "removed"))
    assert shown(entry, full=True) == {
        "identifier": "88.999.1001",
        "regTime": "2026-11-23T08:00:00Z",
        "status": "ok",
        "country": "CN",
        "node": FULL,
        "remarks": [],
    }


def test_persons_are_not_shown_unless_their_enterprise_says_so() -> None:
    told = shown(ENTRY, full=False)
    withheld = {"idNumber": "91**************8E"}
    assert told["node"] == {k: v for k, v in FULL.items() if k not in {"legalPerson", "contact"}} | withheld
    assert told["remarks"] == [
        {"title": "obscured", "description": ["idNumber"]},
        {"title": "private", "description": ["legalPerson", "contact"]},
    ]


def test_what_is_masked_cannot_be_read() -> None:
    node = shown(with_(legalPerson="obscured", contact="obscured"), full=False)["node"]
    assert node["legalPerson"] == [{"name": "**", "idType": "**"}]
    assert node["contact"] == [{"name": "**", "email": "zh*************om", "phone": "02********78"}]


def texts(value: Any) -> set[str]:
    if isinstance(value, list):
        return {text for each in value for text in each.values()}
    return {value}


@given(st.dictionaries(st.sampled_from(sorted(DEFAULTS)), st.sampled_from(list(Choice))))
def test_only_what_is_public_is_told(chosen: dict[str, Choice]) -> None:
    told = shown(with_(**chosen), full=False)
    named = {name for remark in told["remarks"] for name in remark["description"]}
    for name in DEFAULTS:
        choice = Disclosure(chosen).of(name)
        assert (name in named) == (choice is not Choice.PUBLIC)
        assert (name in told["node"]) == (choice in {Choice.PUBLIC, Choice.OBSCURED})
        if choice is Choice.OBSCURED:
            assert not texts(told["node"][name]) & texts(FULL[name])
    assert {k: told["node"][k] for k in ("name", "type", "introduce")} == {
        k: FULL[k] for k in ("name", "type", "introduce")
    }


def test_an_enterprise_without_particulars() -> None:
    told = shown(replace(ENTRY, filed=None), full=True)
    assert told["node"] == {"name": "云岫皮具", "type": "enterprise", "introduce": "", "subType": "皮具"}


@pytest.mark.parametrize(
    ("state", "status"),
    [(PrefixState.ENABLED, "ok"), (PrefixState.STOPPED, "hold"), (PrefixState.TO_BE_DELETED, "hold")],
)
def test_how_a_prefix_stands(state: PrefixState, status: str) -> None:
    assert shown(replace(ENTRY, state=state), full=False)["status"] == status


def test_a_code_that_is_no_credit_code_is_another() -> None:
    filed = structs.replace(FILED, ent_crt_type=3)
    assert shown(replace(ENTRY, filed=filed), full=True)["node"]["idType"] == "其他"


def test_what_is_chosen_is_kept_and_read_again() -> None:
    chosen = Disclosure({"contact": "public", "address": "removed"})
    assert from_json(to_json(chosen)) == chosen
    assert (chosen.of("contact"), chosen.of("idNumber")) == (Choice.PUBLIC, Choice.OBSCURED)


@pytest.mark.parametrize(
    ("sent", "en"),
    [
        ("", "JSON object"),
        ("[]", "JSON object"),
        ('{"contact":7}', "JSON object"),
        ("[" * 9999, "JSON object"),
        ('{"name":"private"}', "fields are nature"),
        ('{"contact":"shown"}', "contact must be one of public, private, removed, obscured"),
    ],
)
def test_what_cannot_be_chosen(sent: str, en: str) -> None:
    with pytest.raises(ProtoError, match=en):
        from_json(sent.encode())
    assert json.loads(to_json(Disclosure())) == {}
