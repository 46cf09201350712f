"""An enterprise's application: its form, field by field as the SNMS OpenAPI takes it, and who decides on it. Pure.

A form that was read holds every rule of `ent/apply`; what it alone cannot tell, people who verify it are told.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from ipaddress import ip_address
from typing import Any, Final

from proto.credit_code import check_credit_code
from proto.errors import ProtoError
from proto.identifier import Prefix
from proto.limits import PREFIX_CHARACTERS
from registry.account import Account
from registry.filing import CREDIT_CODE, OTHER_CODE, Particulars
from registry.gbt2260 import check_region, names
from registry.gbt4754 import check_industry
from registry.identity_document import NUMBER_MOST, DocumentKind, check_document
from registry.prefix import LIFE, Event, PrefixState
from registry.rights import MEANINGS, Right

SYSTEMS_MOST: Final = 50
"""Systems, industries or licences one form lists: ten times the kinds there are of each."""
REASON_MOST: Final = 255
"""Longest reason of a refusal: it is shown wherever the state is."""
SEALED: Final = ("legalCrtNo", "contactCrtNo")
"""Numbers of people's documents, which are kept sealed."""

Given = Mapping[str, Any]
Read = Callable[[Any, str], Any]


# -- how fields are read


def _wrong(path: str, zh: str, en: str) -> ProtoError:
    return ProtoError(path, f"参数{path}{zh}", f"{path} {en}")


def _missing(path: str) -> ProtoError:
    return ProtoError(path, f"缺少必要的请求参数: {path}", f"{path} is missing")


def _text(most: int, form: str = r".*", zh: str = "", en: str = "") -> Read:
    pattern = re.compile(form, re.ASCII)

    def read(value: Any, path: str) -> str:
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise _wrong(path, "应为文本", "must be text")
        text = " ".join(str(value).split())
        if len(text) > most or not text.isprintable():
            raise _wrong(path, f"最长{most}个可打印字符", f"has at most {most} printable characters")
        if not pattern.fullmatch(text):
            raise _wrong(path, zh, en)
        return text

    return read


def _whole(low: int, high: int) -> Read:
    def read(value: Any, path: str) -> int:
        text = str(value).strip()
        if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,19}", text, re.ASCII) or not low <= int(text) <= high:
            raise _wrong(path, f"应为{low}到{high}的整数", f"must be a whole number from {low} to {high}")
        return int(text)

    return read


def _choice(last: int) -> Read:
    """One of the numbers from 1 on which the OpenAPI keeps as text."""
    number = _whole(1, last)
    return lambda value, path: str(number(value, path))


def _day(value: Any, path: str) -> str:
    """A date, whatever time follows it."""
    try:
        return date.fromisoformat(str(value).strip()[:10]).isoformat()
    except ValueError:
        raise _wrong(path, "应为yyyy-MM-dd的日期", "must be a date, yyyy-MM-dd") from None


def _addresses(value: Any, path: str) -> str:
    text = str(_text(255)(value, path))
    try:
        return ";".join(str(ip_address(each.strip())) for each in text.strip(";").split(";"))
    except ValueError:
        raise _wrong(path, "应为IPv4或IPv6地址，以英文分号分隔", "must be IP addresses joined by ;") from None


def _sockets(value: Any, path: str) -> str:
    """`[ip]:port`, several joined by semicolons."""
    text = str(_text(255)(value, path)).strip(";")
    for each in text.split(";"):
        found = re.fullmatch(r"\s*\[([0-9A-Fa-f:.]+)\]:([0-9]{1,5})\s*", each, re.ASCII)
        try:
            whole = found is not None and bool(ip_address(found[1])) and 1 <= int(found[2]) <= 65_535
        except ValueError:
            whole = False
        if not whole:
            raise _wrong(path, "应为[IP]:端口，以英文分号分隔", "must be [address]:port, joined by ;")
    return text


def _list(fields: "tuple[_Field, ...]") -> Read:
    def read(value: Any, path: str) -> list[Given]:
        if not isinstance(value, list) or len(value) > SYSTEMS_MOST:
            raise _wrong(path, f"应为最多{SYSTEMS_MOST}项的数组", f"must be an array of at most {SYSTEMS_MOST}")
        return [_group(fields, each, f"{path}[{n}]") for n, each in enumerate(value)]

    return read


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    read: Read
    required: bool = False


def _group(fields: tuple[_Field, ...], given: Any, path: str) -> dict[str, Any]:
    """What is given of these fields, as they are kept; all else is left out."""
    if not isinstance(given, dict):
        raise _wrong(path, "应为对象", "must be an object")
    kept: dict[str, Any] = {}
    for field in fields:
        value, place = given.get(field.name), f"{path}.{field.name}" if path else field.name
        if value is not None and value != "" and not (isinstance(value, str) and not value.strip()):
            kept[field.name] = field.read(value, place)
        elif field.required:
            raise _missing(place)
    return kept


def _document(value: Any, path: str) -> str:
    """The number of a document; small letters are taken for capitals, as people type them."""
    return str(_text(NUMBER_MOST)(value, path)).upper()


_FILE: Final = _whole(1, 2**63 - 1)
_EMAIL: Final = (r"[^@\s]+@[^@\s]+", "应为电子邮箱", "must be an e-mail address")
_PHONE: Final = (r"[0-9+() -]{5,}", "应为电话号码", "must be a telephone number")
_WEB: Final = (r"\S*", "不能含空格", "must hold no space")
_DIGEST: Final = (r"[0-9A-Fa-f]{64}", "应为口令的sha256（64位十六进制）", "must be the sha256 of the password, in hex")
_KINDS: Final = len(DocumentKind)

USER: Final = (
    _Field("userName", _text(50, r"[^\s/]+", "不能含空格和“/”", "must hold no space and no slash"), True),
    _Field("password", _text(64, *_DIGEST), True),
    _Field("email", _text(50, *_EMAIL), True),
    _Field("mobile", _text(50, *_PHONE), True),
    _Field("remarks", _text(1024)),
)
"""`sysUser`: who acts for the enterprise."""
REGISTRY_USER: Final = (
    *USER[:2],
    _Field("email", _text(255, *_EMAIL), True),
    _Field("mobile", _text(255, *_PHONE), True),
    _Field("openId", _text(64)),
    _Field("openUserName", _text(255)),
    *USER[4:],
)
"""The body of `/identity/registry`."""
_BASIC: Final = (
    _Field("orgName", _text(255), True),
    _Field("orgNature", _choice(5), True),
    _Field("orgAddr", _text(255), True),
    _Field("orgAddrProvince", _text(8), True),
    _Field("orgAddrCity", _text(8), True),
    _Field("orgAddrCounty", _text(8)),
    _Field("orgCrtType", _choice(2), True),
    _Field("orgCrtCode", _text(32), True),
    _Field("orgCrtImgRid", _FILE, True),
    _Field("orgDesc", _text(1024)),
    _Field("industryCategory", _text(8), True),
    _Field("industrySpecific", _text(8), True),
    _Field("website", _text(255, *_WEB)),
    _Field("regAuthority", _text(255)),
    _Field("regCapital", _whole(0, 2**63 - 1)),
    _Field("establishDate", _day),
    _Field("periodValidity", _day),
    _Field("contactName", _text(128), True),
    _Field("contactCrtType", _whole(1, _KINDS), True),
    _Field("contactCrtNo", _document, True),
    _Field("contactCrtFrontImgRid", _FILE),
    _Field("contactCrtBackImgRid", _FILE),
    _Field("contactEmail", _text(128, *_EMAIL), True),
    _Field("contactPhone", _text(16, *_PHONE), True),
    _Field("legalName", _text(128), True),
    _Field("legalCrtType", _choice(_KINDS), True),
    _Field("legalCrtNo", _document, True),
    _Field("legalCrtFrontImgRid", _FILE, True),
    _Field("legalCrtBackImgRid", _FILE, True),
    _Field("legalEmail", _text(128, *_EMAIL)),
    _Field("legalFax", _text(255)),
    _Field("legalPhone", _text(16, *_PHONE)),
    _Field("entPrefix", _text(PREFIX_CHARACTERS), True),
)
_SYSTEM: Final = (
    _Field("sysType", _whole(1, 5), True),
    _Field("deployMode", _whole(1, 2), True),
    _Field("deployAddrProvince", _text(8)),
    _Field("deployAddrCity", _text(8)),
    _Field("deployAddrCounty", _text(8)),
    _Field("deployAddr", _text(255)),
    _Field("ipPort", _sockets),
    _Field("name", _text(255)),
)
_MANAGE: Final = (
    _Field("entInfoSyses", _list(_SYSTEM), True),
    _Field("servSysBuildType", _whole(1, 2), True),
    _Field("servSysBuildName", _text(255)),
    _Field("servSysBuildContractFileRid", _FILE),
    _Field("servSysOperType", _whole(1, 2), True),
    _Field("servSysOperName", _text(255)),
    _Field("servSysOperContractFileRid", _FILE),
)
INDUSTRY: Final = ("industryCategory", "industrySpecific", "industryTrade", "industrySubclass")
_SERVICE: Final = (
    _Field("extWebName", _text(255)),
    _Field("extDomain", _text(255, *_WEB)),
    _Field("extIpAddr", _addresses),
    _Field("dataHostingOrg", _text(255)),
    _Field("dataHostingContractFileRid", _FILE),
    _Field("servHostingOrg", _text(255)),
    _Field("servHostingContractFileRid", _FILE),
    _Field("entInfoSerIndustries", _list(tuple(_Field(name, _text(8), name in INDUSTRY[:2]) for name in INDUSTRY))),
    _Field(
        "entInfoLicenses", _list((_Field("licenceNo", _text(255), True), _Field("licenceType", _whole(1, 4), True)))
    ),
)
BASIC_INFO: Final = "entBasicInfo"
_GROUPS: Final = (
    (BASIC_INFO, _BASIC, True),
    ("entRegisterManageInfo", _MANAGE, True),
    ("entHostingAndIdentifyServeInfo", _SERVICE, False),
)
_SYSTEMS_NEEDED: Final = {1: "标识注册系统", 2: "标识注册数据", 3: "注册数据备份", 4: "解析服务器"}
_LOCAL, _CLOUD, _REGISTERING, _ENTRUSTED = 1, 2, 1, 2


def user(given: Any, fields: tuple[_Field, ...] = USER, path: str = "sysUser") -> dict[str, Any]:
    """A user as it is given. Raises ProtoError naming the field and its rule."""
    return _group(fields, given, path)


def form(given: Any, today: date, node: str) -> dict[str, dict[str, Any]]:
    """The form of an application to the node whose prefix is `node`, as it is kept: what is known of it, and no more.

    Raises ProtoError naming the first field that is missing or breaks its rule (SNMS OpenAPI v3, `ent/apply`).
    """
    kept = {
        name: _group(fields, given.get(name), name)
        for name, fields, required in _GROUPS
        if required or given.get(name) is not None
    }
    _check_basic(kept[BASIC_INFO], today, node)
    _check_manage(kept["entRegisterManageInfo"])
    for _, codes, fields in _regions(kept):
        for place, (code, level) in enumerate(zip(codes, ("province", "city", "county"), strict=False)):
            check_region(code, fields[place], level, codes[place - 1] if place else "")  # type: ignore[arg-type]
    for codes, fields in _industries(kept):
        check_industry(codes, fields)
    return kept


def _check_basic(basic: Given, today: date, node: str) -> None:
    path = f"{BASIC_INFO}."
    if basic["orgCrtType"] == "1":
        check_credit_code(basic["orgCrtCode"], f"{path}orgCrtCode")
    for who in ("legal", "contact"):
        kind = DocumentKind(int(basic[f"{who}CrtType"]))
        check_document(kind, basic[f"{who}CrtNo"], f"{path}{who}CrtNo", today)
    if not _legal_kind(basic):
        raise _wrong(
            f"{path}legalCrtNo",
            "应为港澳台通行证、居住证或外国人永久居留证的号码",
            "must be of a permit for Hong Kong, Macao or Taiwan residents, or for foreigners' permanent residence",
        )
    try:
        under = Prefix(basic["entPrefix"]).parent == node
    except ProtoError:
        under = False
    if not under:
        raise _wrong(
            f"{path}entPrefix", f"应为本节点之下的前缀，例如{node}.1001", f"must be under {node}, {node}.1001 for one"
        )


def _check_manage(manage: Given) -> None:
    path = "entRegisterManageInfo"
    missing = _SYSTEMS_NEEDED.keys() - {system["sysType"] for system in manage["entInfoSyses"]}
    if missing:
        kind = min(missing)
        raise _wrong(
            f"{path}.entInfoSyses",
            f"缺少sysType={kind}（{_SYSTEMS_NEEDED[kind]}）",
            f"lacks the system of sysType {kind}",
        )
    for n, system in enumerate(manage["entInfoSyses"]):
        _check_system(system, f"{path}.entInfoSyses[{n}]")
    for what in ("servSysBuild", "servSysOper"):
        if manage[f"{what}Type"] == _ENTRUSTED:
            _need(manage, path, f"{what}Name", f"{what}ContractFileRid")


def _check_system(system: Given, path: str) -> None:
    if system["deployMode"] == _CLOUD:
        _need(system, path, "name")
    else:
        county = () if _without_counties(system.get("deployAddrCity", "")) else ("deployAddrCounty",)
        _need(system, path, "deployAddrProvince", "deployAddrCity", *county, "deployAddr")
    if "ipPort" in system and system["sysType"] != _REGISTERING:
        raise _wrong(f"{path}.ipPort", "只有标识注册系统（sysType=1）可填", "is for the system of sysType 1 alone")


def _without_counties(city: str) -> bool:
    """Whether a city of the table has no counties in it (Dongguan, for one)."""
    return city in names() and not any(code[:4] == city[:4] and code != city for code in names())


def _need(given: Given, path: str, *fields: str) -> None:
    for name in fields:
        if name not in given:
            raise _missing(f"{path}.{name}")


def _regions(kept: Mapping[str, Given]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Where things are: what, its codes from the province down, and their fields."""
    places = [(BASIC_INFO, "orgAddr", kept[BASIC_INFO])]
    systems = kept["entRegisterManageInfo"]["entInfoSyses"]
    places += [(f"entRegisterManageInfo.entInfoSyses[{n}]", "deployAddr", each) for n, each in enumerate(systems)]
    for path, name, given in places:
        fields = [f"{name}{level}" for level in ("Province", "City", "County") if f"{name}{level}" in given]
        yield path, [given[field] for field in fields], [f"{path}.{field}" for field in fields]


def _industries(kept: Mapping[str, Given]) -> Iterator[tuple[list[str], list[str]]]:
    served = kept.get("entHostingAndIdentifyServeInfo", {}).get("entInfoSerIndustries", ())
    yield [kept[BASIC_INFO][name] for name in INDUSTRY[:2]], [f"{BASIC_INFO}.{name}" for name in INDUSTRY[:2]]
    for n, each in enumerate(served):
        path = f"entHostingAndIdentifyServeInfo.entInfoSerIndustries[{n}]"
        if INDUSTRY[3] in each:
            _need(each, path, INDUSTRY[2])
        given = [name for name in INDUSTRY if name in each]
        yield [each[name] for name in given], [f"{path}.{name}" for name in given]


def remarks(kept: Mapping[str, Given]) -> list[tuple[str, str]]:
    """What whoever verifies must look at, Chinese and English: codes that may be right but are in no table of ours."""
    told = [
        (field, code, "行政区划（GB/T 2260）", "divisions (GB/T 2260)")
        for _, codes, fields in _regions(kept)
        for field, code in zip(fields, codes, strict=True)
        if code not in names()
    ]
    told += [
        (fields[0], "/".join(codes), "行业分类（GB/T 4754）", "industries (GB/T 4754)")
        for codes, fields in _industries(kept)
        if not check_industry(codes, fields)
    ]
    return [
        (
            f"{field}的{code}不在本节点的{zh}表中，请核对",
            f"{field}: {code} is not in this node's table of {en}; look it up",
        )
        for field, code, zh, en in told
    ]


def whole(kept: Mapping[str, Given]) -> dict[str, dict[str, Any]]:
    """The form with every field there is, None where nothing was given."""
    return {name: {field.name: kept.get(name, {}).get(field.name) for field in fields} for name, fields, _ in _GROUPS}


def ordered(kept: Mapping[str, Given]) -> dict[str, dict[str, Any]]:
    """What was given, in the order of the form, as people read it: the database keeps none."""
    told = {name: group for name, group in whole(kept).items() if name in kept}
    return {name: {field: value for field, value in group.items() if value is not None} for name, group in told.items()}


def files(kept: Mapping[str, Given]) -> dict[str, int]:
    """The numbers of the uploaded files by the field that names them."""
    return {
        field: number
        for group in kept.values()
        for field, number in group.items()
        if field.endswith("Rid") and isinstance(number, int)
    }


# -- what is told the top-level node

_LEGAL_KINDS: Final = (
    (2, re.compile(r"[HM][0-9]{8}(?:[0-9]{2})?", re.ASCII)),
    (3, re.compile(r"[0-9]{8}", re.ASCII)),
    (4, re.compile(r"[A-Z]{3}[0-9]{12}|9[0-9]{16}[0-9X]", re.ASCII)),
    (5, re.compile(r"8[123][0-9]{15}[0-9X]", re.ASCII)),
)
"""Kinds of other documents as the top-level interface draft numbers them, by the form of their numbers: permits for
residents of Hong Kong and Macao, of Taiwan, permanent residence of foreigners, residence permits."""


def _legal_kind(basic: Given) -> int:
    """The kind of the legal person's document (top-level interface draft: 1 to 6); 0 when it cannot be told."""
    kind = DocumentKind(int(basic["legalCrtType"]))
    if kind is not DocumentKind.OTHER:
        return 1 if kind is DocumentKind.RESIDENT else 6
    return next((number for number, shape in _LEGAL_KINDS if shape.fullmatch(basic["legalCrtNo"])), 0)


def particulars(kept: Mapping[str, Given]) -> Particulars:
    """What is filed of the enterprise that gave this form."""
    basic = kept[BASIC_INFO]
    return Particulars(
        ent_crt_code=basic["orgCrtCode"],
        ent_crt_type=CREDIT_CODE if basic["orgCrtType"] == "1" else OTHER_CODE,
        ent_type=int(basic["orgNature"]),
        ent_province_code=basic["orgAddrProvince"],
        ent_city_code=basic["orgAddrCity"],
        ent_county_code=basic.get("orgAddrCounty", ""),
        ent_addr_cn=basic["orgAddr"],
        ent_web_site=basic.get("website", ""),
        ent_desc=basic.get("orgDesc", ""),
        contact_name=basic["contactName"],
        contact_email=basic["contactEmail"],
        contact_phone=basic["contactPhone"],
        legal_name=basic["legalName"],
        legal_id_type=_legal_kind(basic),
        legal_id_no=basic["legalCrtNo"],
    )


def basic_of(name: str, filed: Given) -> dict[str, Any]:
    """`entBasicInfo` of an enterprise that never applied, as far as what is filed of it tells."""
    given = {field: filed.get(theirs) for field, theirs in _FILED_AS.items()}
    kept = {field: value for field, value in given.items() if value}
    return {"orgName": name, "orgNature": str(filed.get("ent_type", "")), "orgCrtType": "1"} | kept


_FILED_AS: Final = {
    "orgCrtCode": "ent_crt_code",
    "orgAddr": "ent_addr_cn",
    "orgAddrProvince": "ent_province_code",
    "orgAddrCity": "ent_city_code",
    "orgAddrCounty": "ent_county_code",
    "website": "ent_web_site",
    "orgDesc": "ent_desc",
    "contactName": "contact_name",
    "contactEmail": "contact_email",
    "contactPhone": "contact_phone",
    "legalName": "legal_name",
}


def masked(number: str) -> str:
    """The number of a document for who need not know it."""
    return f"{number[:1]}{'*' * max(1, len(number) - 2)}{number[-1:]}"


# -- who decides


class Occasion(IntEnum):
    """What is applied for. Numbers are stored."""

    REGISTRATION = 1
    CHANGE = 2

    @property
    def zh(self) -> str:
        """The name people know it by."""
        return ("", "注册", "修改")[self]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something is not done: the field it is about and a sentence, Chinese and English."""

    field: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Step:
    """One of the two decisions: the right it takes and what comes of it."""

    word: str
    zh: str
    right: Right
    passed: Event
    refused: Event


STEPS: Final[Mapping[PrefixState, Step]] = {
    PrefixState.UNVERIFIED: Step("verification", "核验", Right.VERIFY, Event.VERIFIED, Event.NOT_VERIFIED),
    PrefixState.PENDING: Step("review", "审核", Right.REVIEW, Event.REVIEWED, Event.NOT_REVIEWED),
}
"""What an application in that state waits for."""


def decided(
    state: PrefixState, involved: frozenset[int], by: Account, step: str, passed: bool, reason: str
) -> PrefixState | Refusal:
    """The state an application comes into when `by` decides so; `involved` are who applied and decided before.

    Two people who did not apply: nobody decides twice, nor on what is their own.
    """
    waiting = STEPS.get(state)
    if waiting is None or waiting.word != step:
        zh = f"申请不在等待{'核验' if step == 'verification' else '审核'}：{state.zh}"
        return Refusal("step", zh, f"the application does not wait for {step}: it is {state.zh}")
    if refusal := may_decide(involved, by, waiting.right, passed, reason):
        return refusal
    return LIFE[state][waiting.passed if passed else waiting.refused]


def may_decide(involved: frozenset[int], by: Account, right: Right, passed: bool, reason: str) -> Refusal | None:
    """Why `by` may not decide so with that right; nobody decides on what is their own, nor refuses without reason."""
    if not by.may(right):
        zh, en = MEANINGS[right]
        return Refusal("step", f"没有操作权限：{zh}", f"this account has no right to {en}")
    if by.number in involved:
        return Refusal(
            "step", "申请、核验、审核应由不同的人进行", "who applies, verifies and reviews are different people"
        )
    if len(reason) > REASON_MOST or not reason.isprintable():
        return Refusal("reason", f"理由最长{REASON_MOST}个字符", f"a reason has at most {REASON_MOST} characters")
    if not passed and not reason.strip():
        return Refusal("reason", "驳回应说明理由", "a refusal gives its reason")
    return None
