"""What is filed of an enterprise with the national top-level node, and what comes of it. Pure: no database, no wire.

Names are those of the top-level interface drafts (ent_crt_code and so on); `Filing` says how far a prefix has come.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from proto.credit_code import check_credit_code
from proto.errors import ProtoError
from registry.prefix import LIFE, Event, PrefixState

TEXT_MOST: Final = 255
"""Longest name or address (SNMS OpenAPI, `orgName`, `orgAddr`)."""
DESCRIPTION_MOST: Final = 1024
"""Longest description (SNMS OpenAPI, `orgDesc`)."""
PHONE_MOST: Final = 16
"""Longest telephone number (SNMS OpenAPI, `contactPhone`)."""

_DISTRICT: Final = re.compile(r"[1-9][0-9]{5}", re.ASCII)
"""A district (GB/T 2260)."""
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+", re.ASCII)
_PHONE: Final = re.compile(rf"[0-9+() -]{{5,{PHONE_MOST}}}", re.ASCII)


CREDIT_CODE: Final = 1
OTHER_CODE: Final = 3
"""Kinds of `ent_crt_code` (top-level interface draft, `entCrtType`)."""


class ParticularsError(ValueError):
    """A field that cannot be filed; the text is one sentence, Chinese and English."""


class Filing(IntEnum):
    """How far a prefix has come with the top-level node. Numbers are stored."""

    WAITING = 0
    IN_REVIEW = 1
    APPROVED = 2
    REFUSED = 3
    MOVED = 4

    @property
    def zh(self) -> str:
        """The name people know it by."""
        return ("待报送", "审核中", "已通过", "被驳回", "已迁出")[self]

    @property
    def en(self) -> str:
        """The same in English."""
        return ("to be filed", "in review", "approved", "refused", "moved away")[self]


@dataclass(frozen=True, slots=True)
class Particulars:
    """What the top-level node wants to know of an enterprise beside its names; names as on the wire.

    Raises ParticularsError naming the field and its rule.
    """

    ent_crt_code: str
    ent_type: int
    ent_province_code: str
    ent_city_code: str
    ent_addr_cn: str
    contact_name: str
    contact_email: str
    contact_phone: str
    legal_name: str
    legal_id_type: int
    legal_id_no: str
    ent_county_code: str = ""
    ent_addr_en: str = ""
    ent_web_site: str = ""
    ent_desc: str = ""
    ent_crt_type: int = CREDIT_CODE

    def __post_init__(self) -> None:
        if self.ent_crt_type == CREDIT_CODE:
            _credit_code(self.ent_crt_code)
        for field, (holds, zh, en) in _RULES.items():
            if not holds(getattr(self, field)):
                raise ParticularsError(f"{field}{zh}。 {field} {en}.")
        if not _within(self.ent_city_code, self.ent_province_code, 2):
            raise ParticularsError("ent_city_code不在省份之内。 ent_city_code is not within the province.")
        if self.ent_county_code and not _within(self.ent_county_code, self.ent_city_code, 4):
            raise ParticularsError("ent_county_code不在城市之内。 ent_county_code is not within the city.")


def _credit_code(text: str) -> None:
    try:
        check_credit_code(text, "ent_crt_code")
    except ProtoError as error:
        raise ParticularsError(f"{error.zh}。 {error.en}.") from None


def _text(most: int, least: int = 1) -> Callable[[str], object]:
    return lambda text: least <= len(text) <= most and text == text.strip() and text.isprintable()


def _within(inner: str, outer: str, digits: int) -> bool:
    return inner[:digits] == outer[:digits]


_LONG: Final = (_text(TEXT_MOST), f"应为1到{TEXT_MOST}个字符", f"has 1 to {TEXT_MOST} characters")
_LONG_OR_NONE: Final = (_text(TEXT_MOST, 0), f"最多{TEXT_MOST}个字符", f"has at most {TEXT_MOST} characters")
_CODE: Final = (_DISTRICT.fullmatch, "应为6位行政区划代码（GB/T 2260）", "must be a district of 6 digits (GB/T 2260)")
_RULES: Final[dict[str, tuple[Callable[..., object], str, str]]] = {
    "ent_crt_type": ({CREDIT_CODE, OTHER_CODE}.__contains__, "应为1或3", "must be 1 or 3"),
    "ent_crt_code": (_text(32), "应为1到32个字符", "has 1 to 32 characters"),
    "ent_type": (range(1, 6).__contains__, "应为1到5", "must be within 1…5"),
    "ent_province_code": _CODE,
    "ent_city_code": _CODE,
    "ent_county_code": (lambda code: not code or _DISTRICT.fullmatch(code), *_CODE[1:]),
    "ent_addr_cn": _LONG,
    "ent_addr_en": _LONG_OR_NONE,
    "ent_web_site": _LONG_OR_NONE,
    "ent_desc": (
        _text(DESCRIPTION_MOST, 0),
        f"最多{DESCRIPTION_MOST}个字符",
        f"has at most {DESCRIPTION_MOST} characters",
    ),
    "contact_name": _LONG,
    "contact_email": (_EMAIL.fullmatch, "应为电子邮箱", "must be an e-mail address"),
    "contact_phone": (
        _PHONE.fullmatch,
        f"应为电话号码，最多{PHONE_MOST}个字符",
        f"must be a telephone number of at most {PHONE_MOST} characters",
    ),
    "legal_name": _LONG,
    "legal_id_type": (range(1, 7).__contains__, "应为1到6", "must be within 1…6"),
    "legal_id_no": (_text(32), "应为1到32个字符", "has 1 to 32 characters"),
}


WHOLE: Final = frozenset({"ent_type", "ent_crt_type", "ent_crt_code", "legal_name", "legal_id_type", "legal_id_no"})
"""What cannot be changed in part: beside the Chinese name, a change of these is filed whole (`chgAll`, top-level
interface draft, update ent)."""


def whole(before: Particulars, after: Particulars) -> bool:
    """Whether this change is to be filed whole."""
    return any(getattr(before, field) != getattr(after, field) for field in WHOLE)


def check_names(name: str, name_en: str) -> None:
    """Raises ParticularsError naming the field and its rule for names of an enterprise that could not be filed."""
    holds, zh, en = _LONG
    for field, text in (("ent_name_cn", name), ("ent_name_en", name_en)):
        if not holds(text):
            raise ParticularsError(f"{field}{zh}。 {field} {en}.")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a prefix stands here and with the top-level node.

    `suspended`: stopped by its order; `stopped_here`: and by its own operator, who opens it when that order is lifted.
    """

    state: PrefixState
    filing: Filing
    suspended: bool = False
    stopped_here: bool = False

    def __post_init__(self) -> None:
        assert self.suspended or not self.stopped_here
        assert self.filing is not Filing.MOVED or not self.state.open


@dataclass(frozen=True, slots=True)
class Told:
    """What the top-level node says of a prefix. `nonce` names the filing it answers; empty: it answers none."""

    prefix: str
    word: str
    nonce: bytes = b""
    zh: str = ""
    en: str = ""

    def __post_init__(self) -> None:
        assert self.word in WORDS


_UNDECIDED: Final = frozenset({PrefixState.UNVERIFIED, PrefixState.PENDING, PrefixState.IN_REVIEW})


def _becomes(now: Standing, event: Event) -> PrefixState:
    return LIFE[now.state].get(event, now.state)


def _approved(now: Standing) -> Standing:
    state = _becomes(now, Event.APPROVED)
    opens = state.open and not now.state.open
    return replace(now, state=PrefixState.STOPPED if opens and now.suspended else state, filing=Filing.APPROVED)


def _refused(now: Standing) -> Standing:
    return replace(now, state=_becomes(now, Event.REFUSED), filing=Filing.REFUSED)


def _suspended(now: Standing) -> Standing:
    # Only what has passed its audit is suspended: where we have not heard of that, we hear of it now.
    passed = _approved(now)
    return replace(
        passed,
        state=_becomes(passed, Event.SUSPENDED),
        suspended=True,
        stopped_here=passed.stopped_here if passed.suspended else passed.state is PrefixState.STOPPED,
    )


def _resumed(now: Standing) -> Standing:
    closed_by_it = now.suspended and not now.stopped_here and now.state is PrefixState.STOPPED
    opens = closed_by_it and now.filing is Filing.APPROVED
    return Standing(_becomes(now, Event.RESUMED) if opens else now.state, now.filing)


def _moved(now: Standing) -> Standing:
    """Another node answers for it from now on; here it is closed for good."""
    return Standing(_becomes(now, Event.STOPPED), Filing.MOVED)


def in_review(now: Standing) -> Standing:
    """How a prefix that was to be filed stands once the top-level node has taken its filing."""
    if now.filing is not Filing.WAITING:
        return now
    return replace(now, state=_becomes(now, Event.FILED), filing=Filing.IN_REVIEW)


WORDS: Final[dict[str, Callable[[Standing], Standing]]] = {
    "approved": _approved,
    "refused": _refused,
    "suspended": _suspended,
    "resumed": _resumed,
    "moved": _moved,
}
"""What each word of the top-level node does to a prefix. Said twice, it does no more than said once."""


def after(now: Standing, told: Told, nonce: bytes) -> Standing:
    """How a prefix stands after the top-level node has `told` something; `nonce` is that of the filing that stands.

    What answers an earlier filing, or is about what has moved away, changes nothing.
    """
    if now.filing is Filing.MOVED or (told.nonce and nonce and told.nonce != nonce):
        return now
    return WORDS[told.word](now)


def may_open(now: Standing) -> bool:
    """Whether an administrator may enable the prefix: not against what the top-level node has decided, or will."""
    return not now.suspended and now.filing not in {Filing.REFUSED, Filing.MOVED} and now.state not in _UNDECIDED
