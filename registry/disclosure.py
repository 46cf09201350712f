"""`Disclosure`: what everybody may see of an enterprise by IIIDAP, field by field, as it has chosen. Pure.

Always public: its prefix, name, type and introduction (facts §4.4).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import msgspec

from proto.errors import ProtoError
from registry.industries import load
from registry.prefix import PrefixState


class Choice(StrEnum):
    """What is done with a field for whoever may not see all. What is not public is named in a remark."""

    PUBLIC = "public"
    PRIVATE = "private"
    REMOVED = "removed"
    OBSCURED = "obscured"


DEFAULTS: Final[Mapping[str, Choice]] = {
    "nature": Choice.PUBLIC,
    "subType": Choice.PUBLIC,
    "address": Choice.PUBLIC,
    "idType": Choice.PUBLIC,
    "idNumber": Choice.OBSCURED,
    "legalPerson": Choice.PRIVATE,
    "contact": Choice.PRIVATE,
}
"""The fields there is a choice about, and what holds until one is made: persons are nobody's business."""
PHOTO: Final = "idPhoto"
"""The picture of the certificate: private, and no choice. Whoever has it can pass for the enterprise elsewhere."""

NATURES: Final = ("国有控股", "民营控股", "外商控股", "事业单位", "民营非盈利组织")
"""`ent_type` from 1 (SNMS OpenAPI, `orgNature`)."""
PERSON_IDS: Final = (
    "居民身份证",
    "港澳居民来往内地通行证",
    "台湾居民来往大陆通行证",
    "外国人永久居留身份证",
    "港澳台居民居住证",
    "护照",
)
"""`legal_id_type` from 1 (top-level interface draft)."""
SHOWN: Final = {PrefixState.ENABLED: "ok", PrefixState.STOPPED: "hold", PrefixState.TO_BE_DELETED: "hold"}
"""The IIIDAP status of a prefix; one that is not allocated yet has none, and is not told of."""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What an enterprise has chosen; fields it has said nothing about follow DEFAULTS.

    Raises ProtoError for a field or a choice there is not.
    """

    chosen: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fields, choices = "、".join(DEFAULTS), "、".join(Choice)
        for name, choice in self.chosen.items():
            if name not in DEFAULTS:
                raise ProtoError("disclosure", f"字段应为{fields}之一", f"fields are {', '.join(DEFAULTS)}")
            if choice not in set(Choice):
                raise ProtoError(name, f"{name}应为{choices}之一", f"{name} must be one of {', '.join(Choice)}")

    def of(self, name: str) -> Choice:
        """What is done with a field."""
        return Choice.PRIVATE if name == PHOTO else Choice(self.chosen.get(name, DEFAULTS[name]))


class Filed(msgspec.Struct, frozen=True):
    """What is told of the particulars of an enterprise (registry/filing.py), to whomever: never the number of a
    person's document.
    """

    ent_crt_code: str
    ent_type: int
    ent_addr_cn: str
    contact_name: str
    contact_email: str
    contact_phone: str
    legal_name: str
    legal_id_type: int
    ent_desc: str = ""
    ent_crt_type: int = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A prefix and the enterprise it is allocated to. `registered` is RFC 3339; `filed` None: nothing is known; `photo`
    is the number of the file that shows its certificate, None where it never sent one.
    """

    prefix: str
    state: PrefixState
    registered: str
    enterprise: int
    name: str
    name_en: str
    industry: str
    filed: Filed | None
    disclosure: Disclosure
    photo: int | None = None


def shown(entry: Entry, *, full: bool, photo: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The IIIDAP object of an entry: all of it if `full`, else what its enterprise lets everybody see.

    `photo` is what is in the file `entry.photo`, as `idPhoto` shows it; None: it is not told this time.
    """
    introduction = entry.filed.ent_desc if entry.filed else ""
    node: dict[str, Any] = {"name": entry.name, "type": "enterprise", "introduce": introduction}
    marks: dict[Choice, list[str]] = {}
    for name, value in (_optional(entry) | ({PHOTO: photo} if entry.photo else {})).items():
        choice = Choice.PUBLIC if full else entry.disclosure.of(name)
        if choice is not Choice.PUBLIC:
            marks.setdefault(choice, []).append(name)
        if choice is Choice.PUBLIC and value is not None:
            node[name] = value
        elif choice is Choice.OBSCURED:
            node[name] = _obscured(value)
    return {
        "identifier": entry.prefix,
        "regTime": entry.registered,
        "status": SHOWN[entry.state],
        "country": "CN",
        "node": node,
        "remarks": [{"title": choice, "description": names} for choice, names in marks.items()],
    }


def _optional(entry: Entry) -> dict[str, Any]:
    """The fields there is a choice about, as far as they are known."""
    known = entry.filed
    if known is None:
        return {"subType": _industry(entry.industry)}
    return {
        "nature": NATURES[known.ent_type - 1],
        "subType": _industry(entry.industry),
        "address": known.ent_addr_cn,
        "idType": "统一社会信用代码" if known.ent_crt_type == 1 else "其他",
        "idNumber": known.ent_crt_code,
        "legalPerson": [{"name": known.legal_name, "idType": PERSON_IDS[known.legal_id_type - 1]}],
        "contact": [{"name": known.contact_name, "email": known.contact_email, "phone": known.contact_phone}],
    }


def _industry(key: str) -> str:
    """What an industry is called, if it is one of ours."""
    return next((each.zh for each in load() if each.key == key), key)


def _obscured(value: Any) -> Any:
    """`value` with every text in it masked but for two characters at each end, one or none of a short one."""
    if isinstance(value, list):
        return [{name: _obscured(text) for name, text in each.items()} for each in value]
    kept = min(2, len(value) // 3)
    return value[:kept] + "*" * (len(value) - 2 * kept) + value[len(value) - kept :]


def from_json(octets: bytes) -> Disclosure:
    """What was chosen, as `to_json` wrote it or a client sends it. Raises ProtoError."""
    try:
        return Disclosure(msgspec.json.decode(octets, type=dict[str, str]))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ProtoError(
            "disclosure", "应为字段到选择的JSON对象", "a JSON object of fields and their choices is wanted"
        ) from None


def to_json(disclosure: Disclosure) -> bytes:
    """What was chosen, as it is kept."""
    return msgspec.json.encode(disclosure.chosen)
