"""What another node replies to GET /api/handles/{identifier}: read from octets nobody vouches for, or refused. Pure.

Whom to ask, whether to believe it, and how often, is the node's business.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import Identifier, fold, is_prefix_handle, prefix_named
from proto.limits import TTL_DEFAULT, VALUES_PER_RECORD
from proto.value import Value
from proto.values.site import Site
from proto.web_json import value_from_json

SITES_MOST: Final = 16
"""Sites read out of one referral: a primary one and its mirrors; deployed prefixes have one to three."""


@dataclass(frozen=True, slots=True)
class Told:
    """The public values of the identifier, perhaps none."""

    values: tuple[Value, ...]

    def until(self, now: int) -> int:
        """Seconds since 1970 UTC from which on it may not be given any more, heard at `now`: the first TTL to end."""
        return min(_ends(self.values, now), default=now + TTL_DEFAULT)


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no such identifier."""


@dataclass(frozen=True, slots=True)
class NotResponsible:
    """Whoever was asked knows nothing of that prefix."""


@dataclass(frozen=True, slots=True)
class Referral:
    """Others are to be asked: one of `sites`, the first the best.

    `prefix`: it holds for every identifier under this prefix, not only for the one asked for. `ttl` in seconds.
    """

    sites: tuple[Site, ...]
    ttl: int
    prefix: str | None


Reply = Told | Missing | NotResponsible | Referral

_STATUS: Final = {
    ResponseCode.SUCCESS: 200,
    ResponseCode.VALUES_NOT_FOUND: 200,
    ResponseCode.HANDLE_NOT_FOUND: 404,
    ResponseCode.SERVER_NOT_RESPONSIBLE: 400,
    ResponseCode.SERVICE_REFERRAL: 300,
    ResponseCode.PREFIX_REFERRAL: 300,
}
"""The HTTP status that goes with each response code this node understands (handle reference §3.2)."""


def read(status: int, octets: bytes, identifier: Identifier) -> Reply:
    """The reply of HTTP status `status` and body `octets` to a question for `identifier`, public values only.

    Raises ProtoError naming what is wrong with it: JSON that is none, has a name twice in an object or a number that
    is none; a code that is unknown or at odds with the status; another identifier's answer; a value that breaks a rule.
    """
    body = _decoded(octets)
    code = _code(body.get("responseCode"), status)
    return _READERS[code](body, identifier)


def _wrong(field: str, zh: str, en: str) -> ProtoError:
    return ProtoError(field, f"{field}{zh}", f"{field} {en}")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _wrong("body", "中有重复的名称", "has a name twice in one object")
    return found


def _no_number(text: str) -> Any:
    raise _wrong("body", f"中的{text}不是数", f"holds {text}, which is no number")


def _decoded(octets: bytes) -> dict[str, Any]:
    try:
        body = json.loads(octets.decode(), object_pairs_hook=_distinct, parse_constant=_no_number)
    except ProtoError:
        raise
    except (ValueError, RecursionError):
        raise _wrong("body", "不是JSON", "is not JSON") from None
    if not isinstance(body, dict):
        raise _wrong("body", "应为对象", "must be an object")
    return body


def _code(given: Any, status: int) -> ResponseCode:
    code = next((each for each in _STATUS if type(given) is int and each == given), None)
    if code is None or _STATUS[code] != status:
        raise _wrong("responseCode", f"与HTTP状态{status}不符", f"does not go with HTTP status {status}")
    return code


def _check_handle(body: dict[str, Any], identifier: Identifier) -> None:
    given = body.get("handle")
    if not isinstance(given, str) or Identifier.parse(given) != identifier:
        raise _wrong("handle", "不是所问的标识", "is not the identifier asked for")


def _values(body: dict[str, Any]) -> list[Any]:
    values = body.get("values")
    if not isinstance(values, list) or len(values) > VALUES_PER_RECORD:
        raise _wrong("values", f"应为至多{VALUES_PER_RECORD}个值的数组", f"must be an array of ≤ {VALUES_PER_RECORD}")
    return values


def _told(body: dict[str, Any], identifier: Identifier) -> Told:
    _check_handle(body, identifier)
    values = tuple(value_from_json(each) for each in _values(body))
    if len({value.index for value in values}) != len(values):
        raise _wrong("values", "中有重复的索引", "has an index twice")
    return Told(tuple(value for value in values if value.public))


def _missing(body: dict[str, Any], identifier: Identifier) -> Missing:
    _check_handle(body, identifier)
    return Missing()


def _not_responsible(_: dict[str, Any], __: Identifier) -> NotResponsible:
    return NotResponsible()


def _service_referral(body: dict[str, Any], identifier: Identifier) -> Referral:
    _check_handle(body, identifier)
    return _referral(body, None)


def _prefix_referral(body: dict[str, Any], identifier: Identifier) -> Referral:
    return _referral(body, _covered(body.get("handle"), identifier))


def _covered(given: Any, identifier: Identifier) -> str | None:
    """The prefix a referral is for: the one it names, which must be that of the identifier or one above it."""
    prefix = identifier.prefix_key
    if isinstance(given, str) and is_prefix_handle(fold(given)):
        named = prefix_named(given)
        if prefix == named or prefix.startswith(f"{named}."):
            return named
    _check_handle({"handle": given}, identifier)
    # What is asked for under 0.NA is each about a prefix of its own.
    return None if prefix.startswith("0.") else prefix


_SITE_TYPES: Final = {"HS_SITE", "HS_SITE.6", "HS_SITE.PREFIX", "HS_NA_DELEGATE"}


def _referral(body: dict[str, Any], prefix: str | None) -> Referral:
    values = [v for v in map(value_from_json, _values(body)[:SITES_MOST]) if fold(v.type) in _SITE_TYPES]
    if not values:
        raise _wrong("values", "中没有HS_SITE", "holds no HS_SITE")
    ttl = min(0 if value.ttl_absolute else value.ttl for value in values)
    return Referral(tuple(Site.from_octets(value.data) for value in values), ttl, prefix)


_READERS: Final[dict[ResponseCode, Callable[[dict[str, Any], Identifier], Reply]]] = {
    ResponseCode.SUCCESS: _told,
    ResponseCode.VALUES_NOT_FOUND: _told,
    ResponseCode.HANDLE_NOT_FOUND: _missing,
    ResponseCode.SERVER_NOT_RESPONSIBLE: _not_responsible,
    ResponseCode.SERVICE_REFERRAL: _service_referral,
    ResponseCode.PREFIX_REFERRAL: _prefix_referral,
}


def _ends(values: Iterable[Value], now: int) -> Iterable[int]:
    return (value.ttl if value.ttl_absolute else now + value.ttl for value in values)
