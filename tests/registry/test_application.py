"""Proves registry/application.py: the form of the OpenAPI field by field, and who may decide on it."""

import json
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from registry import application
from registry.account import Account, digest_hex
from registry.application import STEPS, Refusal, decided, files, form, particulars, remarks
from registry.filing import OTHER_CODE
from registry.prefix import PrefixState
from registry.rights import Role
from tests.fakes import applicant

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "application.json"
TODAY = date(2026, 11, 23)
NODE = "88.999"
SERVED = {"industryCategory": "C", "industrySpecific": "19"}
BASIC, MANAGE, SERVICE = "entBasicInfo", "entRegisterManageInfo", "entHostingAndIdentifyServeInfo"


def read(given: Any) -> dict[str, dict[str, Any]]:
    return form(given, TODAY, NODE)


def refusal(given: Any) -> str:
    with pytest.raises(ProtoError) as refused:
        read(given)
    assert refused.value.zh
    return refused.value.field


def test_a_whole_form_is_kept_as_it_is_meant_and_reading_it_again_changes_nothing():
    kept = read(applicant.applicant(periodValidity="2032-01-05 00:00:00", whatever="else"))
    assert kept[BASIC]["orgNature"] == "2"
    assert kept[BASIC]["legalCrtBackImgRid"] == 13
    assert kept[BASIC]["orgDesc"] == "示例企业 纯属虚构"
    assert kept[BASIC]["periodValidity"] == "2032-01-05"
    assert "whatever" not in kept[BASIC]
    assert kept[MANAGE]["entInfoSyses"][3]["sysType"] == 4
    assert read(kept) == kept


def test_the_example_of_the_documents_is_a_whole_form():
    given = json.loads(EXAMPLE.read_text("utf-8"))
    assert {name: set(group) for name, group in given.items() if name != "sysUser"} == {
        name: {field.name for field in fields} for name, fields, _ in application._GROUPS
    }
    assert remarks(read(given)) == []
    assert application.user(given["sysUser"])["password"] == digest_hex("lingnan-2026")
    assert files(read(given)) == {"orgCrtImgRid": 1, "legalCrtFrontImgRid": 2, "legalCrtBackImgRid": 3}


REQUIRED = [(group, field.name) for group, fields, _ in application._GROUPS[:2] for field in fields if field.required]


@pytest.mark.parametrize(("group", "name"), REQUIRED)
def test_what_is_required_is_named_when_it_is_missing(group: str, name: str):
    for nothing in (None, "", " "):
        assert refusal(changed(group, name, nothing)) == f"{group}.{name}"


def changed(group: str, name: str, value: Any) -> dict[str, Any]:
    made = applicant.form()
    made[group][name] = value
    return made


LONGEST = {
    "orgName": 255,
    "orgAddr": 255,
    "orgDesc": 1024,
    "website": 255,
    "regAuthority": 255,
    "contactName": 128,
    "legalName": 128,
    "legalFax": 255,
}


@pytest.mark.parametrize(("name", "most"), LONGEST.items())
def test_a_text_has_its_length(name: str, most: int):
    assert read(changed(BASIC, name, "字" * most))[BASIC][name] == "字" * most
    assert refusal(changed(BASIC, name, "字" * (most + 1))) == f"{BASIC}.{name}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("orgNature", 0),
        ("orgNature", "6"),
        ("orgNature", True),
        ("orgName", ["x"]),
        ("orgName", "a\0b"),
        ("orgCrtType", 3),
        ("orgCrtCode", "91440114MA0000001X"),
        ("orgCrtImgRid", -1),
        ("orgCrtImgRid", "x"),
        ("orgCrtImgRid", 2**63),
        ("orgAddrProvince", "45"),
        ("orgAddrCity", "450100"),
        ("orgAddrCounty", "440304"),
        ("industryCategory", "U"),
        ("industrySpecific", "51"),
        ("regCapital", "12.5"),
        ("establishDate", "2012-02-30"),
        ("contactCrtNo", "440114200011091235"),
        ("contactCrtType", 4),
        ("contactEmail", "nobody"),
        ("contactPhone", "1" * 17),
        ("legalCrtNo", "e1"),
        ("legalPhone", "abc"),
        ("website", "a b"),
    ],
)
def test_a_field_that_breaks_its_rule_is_named(name: str, value: Any):
    assert refusal(changed(BASIC, name, value)) == f"{BASIC}.{name}"


@pytest.mark.parametrize("value", ["88.998.1", "88.999", "88.999.1.2"])
def test_a_prefix_is_one_under_this_node(value: str):
    assert refusal(changed(BASIC, "entPrefix", value)) == f"{BASIC}.entPrefix"
    assert refusal(changed(BASIC, "entPrefix", "no prefix"))


SYSTEMS = [
    ([], "entInfoSyses"),
    ([applicant.local(n) for n in (1, 2, 3)], "entInfoSyses"),
    ([applicant.local(n) for n in (1, 2, 3, 4, 6)], "entInfoSyses[4].sysType"),
    ([applicant.local(n) for n in (1, 2, 3, 4)] * 20, "entInfoSyses"),
    ([applicant.local(n, deployAddr="") for n in (1, 2, 3, 4)], "entInfoSyses[0].deployAddr"),
    ([applicant.local(n, deployAddrCounty=None) for n in (1, 2, 3, 4)], "entInfoSyses[0].deployAddrCounty"),
    ([applicant.local(n, deployMode=2) for n in (1, 2, 3, 4)], "entInfoSyses[0].name"),
    ([applicant.local(n, deployAddrCity="450100") for n in (1, 2, 3, 4)], "entInfoSyses[0].deployAddrCity"),
    ([applicant.local(n, ipPort="[127.0.0.1]:80") for n in (1, 2, 3, 4)], "entInfoSyses[1].ipPort"),
    ([applicant.local(1, ipPort="127.0.0.1:80")], "entInfoSyses[0].ipPort"),
    ([applicant.local(1, ipPort="[127.0.0.1]:0")], "entInfoSyses[0].ipPort"),
    ([applicant.local(1, ipPort="[1:2]:80")], "entInfoSyses[0].ipPort"),
    ("none", "entInfoSyses"),
    (["none"], "entInfoSyses[0]"),
]


@pytest.mark.parametrize(("systems", "field"), SYSTEMS)
def test_systems_are_whole(systems: Any, field: str):
    assert refusal(changed(MANAGE, "entInfoSyses", systems)) == f"{MANAGE}.{field}"


def test_a_city_without_counties_needs_none():
    systems = [applicant.local(n, deployAddrCity="441900", deployAddrCounty="", ipPort="") for n in (1, 2, 3, 4)]
    assert read(changed(MANAGE, "entInfoSyses", systems))


@pytest.mark.parametrize("what", ["Build", "Oper"])
def test_whom_it_is_entrusted_to_is_told(what: str):
    made = changed(MANAGE, f"servSys{what}Type", 2)
    assert refusal(made) == f"{MANAGE}.servSys{what}Name"
    made[MANAGE][f"servSys{what}Name"] = "某云"
    assert refusal(made) == f"{MANAGE}.servSys{what}ContractFileRid"
    made[MANAGE][f"servSys{what}ContractFileRid"] = 99
    assert files(read(made))[f"servSys{what}ContractFileRid"] == 99


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("extIpAddr", "1.2.3", "extIpAddr"),
        ("entInfoLicenses", [{"licenceNo": "1", "licenceType": 5}], "entInfoLicenses[0].licenceType"),
        ("entInfoLicenses", [{"licenceType": 1}], "entInfoLicenses[0].licenceNo"),
        ("entInfoSerIndustries", [{"industryCategory": "A"}], "entInfoSerIndustries[0].industrySpecific"),
        ("entInfoSerIndustries", [SERVED | {"industrySubclass": "1922"}], "entInfoSerIndustries[0].industryTrade"),
        ("entInfoSerIndustries", [SERVED | {"industryTrade": "999"}], "entInfoSerIndustries[0].industryTrade"),
    ],
)
def test_what_may_be_left_out_is_checked_when_it_is_not(name: str, value: Any, field: str):
    assert refusal(changed(SERVICE, name, value)) == f"{SERVICE}.{field}"
    made = applicant.form()
    del made[SERVICE]
    assert SERVICE not in read(made)


def test_an_industry_that_is_served_need_not_be_told_to_the_class():
    assert read(changed(SERVICE, "entInfoSerIndustries", [SERVED]))[SERVICE]["entInfoSerIndustries"] == [SERVED]


def test_a_form_names_its_files():
    assert files(read(applicant.form())) == {"orgCrtImgRid": 11, "legalCrtFrontImgRid": 12, "legalCrtBackImgRid": 13}


def test_what_no_table_has_is_told_to_whoever_verifies():
    told = [zh for zh, _ in remarks(read(applicant.form(orgAddrCounty="440199")))]
    assert len(told) == 2
    assert "440199" in told[0]
    assert "6513" in told[1]


@pytest.mark.parametrize(
    ("kind", "number", "told"),
    [
        ("1", "11010519491231002x", 1),
        ("2", "E00000001", 6),
        ("3", "H1234567800", 2),
        ("3", "12345678", 3),
        ("3", "USA110000000001", 4),
        ("3", "810000199408230021", 5),
    ],
)
def test_the_document_of_the_legal_person_is_told_by_its_kind(kind: str, number: str, told: int):
    filed = particulars(read(applicant.form(legalCrtType=kind, legalCrtNo=number)))
    assert (filed.legal_id_type, filed.legal_id_no) == (told, number.upper())


def test_a_document_the_top_level_node_knows_no_kind_of_is_refused():
    assert refusal(applicant.form(legalCrtType=3, legalCrtNo="驾驶证1")) == f"{BASIC}.legalCrtNo"


def test_an_enterprise_without_credit_code_is_filed_under_its_other_one():
    filed = particulars(read(applicant.form(orgCrtType=2, orgCrtCode="社证字第1号")))
    assert (filed.ent_crt_type, filed.ent_crt_code) == (OTHER_CODE, "社证字第1号")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("userName", "88.999.1/App_x"),  # programs are called so
        ("userName", "a b"),
        ("userName", "x" * 51),
        ("password", "123456"),
        ("email", "x"),
        ("mobile", ""),
    ],
)
def test_a_user_has_its_rules_too(name: str, value: Any):
    with pytest.raises(ProtoError) as refused:
        application.user(applicant.user("firm1") | {name: value})
    assert refused.value.field == f"sysUser.{name}"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from([(group, field.name) for group, fields, _ in application._GROUPS for field in fields])


@given(FIELDS, ANYTHING)
def test_whatever_a_field_holds_the_form_is_refused_by_name_or_can_be_filed(where: tuple[str, str], value: Any):
    try:
        kept = read(changed(*where, value))
    except ProtoError as error:
        assert error.field.startswith(where[0])  # noqa: PT017 - either way is right
    else:
        assert particulars(kept).ent_crt_code == kept[BASIC]["orgCrtCode"]
        assert read(kept) == kept


def account(number: int, role: Role, kind: Any = "person") -> Account:
    return Account(number, f"u{number}", kind, role, None)


VERIFIER, REVIEWER = account(2, Role.VERIFIER), account(3, Role.REVIEWER)
INVOLVED = frozenset({1})


def test_two_people_decide_one_after_the_other():
    state = decided(PrefixState.UNVERIFIED, INVOLVED, VERIFIER, "verification", True, "")
    assert state is PrefixState.PENDING
    assert decided(state, INVOLVED | {2}, REVIEWER, "review", True, "") is PrefixState.IN_REVIEW


@pytest.mark.parametrize(("state", "step"), list(product(PrefixState, ["verification", "review"])))
def test_nobody_decides_what_does_not_wait_for_it(state: PrefixState, step: str):
    waiting = state in STEPS and STEPS[state].word == step
    by = VERIFIER if step == "verification" else REVIEWER
    assert isinstance(decided(state, INVOLVED, by, step, True, ""), PrefixState) is waiting


@pytest.mark.parametrize(
    ("by", "involved", "passed", "reason", "field"),
    [
        (REVIEWER, INVOLVED, True, "", "step"),
        (account(4, Role.SYSTEM_ADMIN), INVOLVED, True, "", "step"),
        (account(2, Role.VERIFIER, "program"), INVOLVED, True, "", "step"),
        (VERIFIER, frozenset({1, 2}), True, "", "step"),
        (VERIFIER, INVOLVED, False, "", "reason"),
        (VERIFIER, INVOLVED, False, " ", "reason"),
        (VERIFIER, INVOLVED, False, "x" * 256, "reason"),
        (VERIFIER, INVOLVED, False, "a\0", "reason"),
    ],
)
def test_who_may_not_decide_is_told_why(by: Account, involved: frozenset[int], passed: bool, reason: str, field: str):
    refused = decided(PrefixState.UNVERIFIED, involved, by, "verification", passed, reason)
    assert isinstance(refused, Refusal)
    assert refused.field == field


def test_a_refusal_has_a_reason_and_ends_it():
    for state, by in ((PrefixState.UNVERIFIED, VERIFIER), (PrefixState.PENDING, REVIEWER)):
        assert decided(state, INVOLVED, by, STEPS[state].word, False, "证照不清") is PrefixState.REFUSED
