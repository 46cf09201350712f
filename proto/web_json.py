"""The JSON of the Handle HTTP API (Handle.Net 8 and 9): values and answers, both ways.

Which HTTP status goes with it is a door's business. Keys other than RSA and DSA are base64; SM2 may come in as a JWK.
"""

import base64
import re
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final

import msgspec

from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import fold
from proto.limits import TTL_DEFAULT
from proto.value import PERMISSIONS_DEFAULT, Reference, Value, names
from proto.values import value_list
from proto.values.admin import ADMIN_ALL, Admin
from proto.values.public_key import FIELDS as KEY_FIELDS
from proto.values.public_key import SM2, PublicKey, TextKey, pem
from proto.values.site import FORMAT_VERSION, Address, HashOption, Interface, Protocol, Server, Site

_encode: Final = msgspec.json.Encoder().encode
_decode_values: Final = msgspec.json.Decoder(list[dict[str, Any]]).decode
_TEXT_CONTROLS: Final = frozenset(range(0x09, 0x14))
"""The control octets deployed servers still call text."""


def looks_binary(data: bytes) -> bool:
    """Whether `data` is shown as base64: not UTF-8, or holding octets deployed servers do not call text."""
    if data.isascii() and data.decode("ascii").isprintable():
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return True
    return any((octet < 0x20 and octet not in _TEXT_CONTROLS) or octet == 0x7F for octet in data)


def _data_to_json(value: Value) -> dict[str, Any]:
    reader = _SPECIAL.get(fold(value.type)) if value.type.startswith(("H", "h")) else None
    if reader is not None:
        with suppress(ProtoError):  # data that is not what its type says is shown as any other
            return reader(value.data)
    if looks_binary(value.data):
        return {"format": "base64", "value": base64.b64encode(value.data).decode()}
    return {"format": "string", "value": value.data.decode()}


def _admin_to_json(data: bytes) -> dict[str, Any]:
    admin = Admin.from_octets(data)
    shown: dict[str, Any] = {
        "handle": admin.handle,
        "index": _signed(admin.index, 32),
        "permissions": f"{admin.permissions & ADMIN_ALL:012b}",
    }
    if admin.legacy_octets:
        shown["legacyByteLength"] = True
    return {"format": "admin", "value": shown}


def _value_list_to_json(data: bytes) -> dict[str, Any]:
    return {"format": "vlist", "value": _references_to_json(value_list.from_octets(data))}


def _references_to_json(references: tuple[Reference, ...]) -> list[dict[str, Any]]:
    return [{"handle": each.handle, "index": _signed(each.index, 32)} for each in references]


_LEGACY_TAIL: Final = bytes(2)
"""What old writers append to an HS_ADMIN."""
_KEY_KINDS: Final = {"RSA_PUB_KEY": ("RSA", "n", "e"), "DSA_PUB_KEY": ("DSA", "y", "p", "q", "g")}
"""Kind of a key to its `kty` and the order in which deployed servers show its numbers."""


def _key_to_json(data: bytes) -> dict[str, Any]:
    return {"format": "key", "value": jwk_of_numbers(PublicKey.from_octets(data))}


def jwk_of_numbers(key: PublicKey) -> dict[str, str]:
    """An RSA or DSA key as a JSON Web Key; raises ProtoError for another."""
    if key.kind not in _KEY_KINDS:
        raise _wrong("HS_PUBKEY", "HS_PUBKEY不是RSA或DSA公钥", "HS_PUBKEY is no RSA or DSA public key")
    numbers = dict(zip(KEY_FIELDS[key.kind], key.numbers, strict=True))
    kty, *order = _KEY_KINDS[key.kind]
    return {"kty": kty} | {name: _base64url(numbers[name]) for name in order}


def _base64url(number: int) -> str:
    octets = number.to_bytes(max(1, (number.bit_length() + 7) // 8))
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _signed(number: int, bits: int) -> int:
    """What deployed servers print for an unsigned number: theirs have a sign."""
    return number - (1 << bits) if number >> (bits - 1) else number


def address_text(address: Address) -> str:
    """`address` as deployed servers write it, IPv4 inside IPv6 in hexadecimal too."""
    mapped = address.ipv4_mapped if address.version == 6 else None
    if mapped is None:
        return str(address)
    number = int(mapped)
    return f"::ffff:{number >> 16:x}:{number & 0xFFFF:x}"


def _server_to_json(server: Server) -> dict[str, Any]:
    key: dict[str, Any] = {"format": "base64", "value": base64.b64encode(server.public_key).decode()}
    with suppress(ProtoError):
        key = _key_to_json(server.public_key)
    interfaces = [
        {"query": each.query, "admin": each.admin, "protocol": each.protocol.name, "port": each.port}
        for each in server.interfaces
    ]
    return {
        "serverId": _signed(server.number, 32),
        "address": address_text(server.address),
        "publicKey": key,
        "interfaces": interfaces,
    }


def site_to_json(site: Site) -> dict[str, Any]:
    """A site as the API shows it (handle reference §3.4): what is usual is left out as deployed servers do."""
    shown: dict[str, Any] = {
        "version": FORMAT_VERSION,
        "protocolVersion": f"{site.version[0]}.{site.version[1]}",
        "serialNumber": _signed(site.serial, 16),
        "primarySite": site.primary,
        "multiPrimary": site.multi_primary,
    }
    if site.hash_option is not HashOption.WHOLE:
        shown["hashOption"] = int(site.hash_option)
    if site.hash_filter:
        shown["hashFilter"] = site.hash_filter
    shown["attributes"] = [{"name": name, "value": value} for name, value in site.attributes]
    shown["servers"] = [_server_to_json(server) for server in site.servers]
    return shown


def _site_to_json(data: bytes) -> dict[str, Any]:
    return {"format": "site", "value": site_to_json(Site.from_octets(data))}


_SPECIAL: Final = {
    "HS_ADMIN": _admin_to_json,
    "HS_VLIST": _value_list_to_json,
    "HS_PUBKEY": _key_to_json,
} | dict.fromkeys(("HS_SITE", "HS_SITE.6", "HS_SITE.PREFIX", "HS_NA_DELEGATE"), _site_to_json)


@lru_cache(maxsize=1024)
def _day(days: int) -> str:
    return datetime.fromtimestamp(days * 86_400, UTC).strftime("%Y-%m-%d")


def moment(seconds: int) -> str:
    """Seconds since 1970 as `2026-11-22T06:55:54Z`."""
    days, rest = divmod(seconds, 86_400)
    return f"{_day(days)}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"


def value_to_json(value: Value) -> dict[str, Any]:
    """One value as the API shows it; keys in the order deployed servers give them."""
    shown: dict[str, Any] = {"index": value.index, "type": value.type, "data": _data_to_json(value)}
    if value.permissions != PERMISSIONS_DEFAULT:
        shown["permissions"] = f"{value.permissions:04b}"
    shown["ttl"] = moment(value.ttl) if value.ttl_absolute else value.ttl
    if value.timestamp:
        shown["timestamp"] = moment(value.timestamp)
    if value.references:
        shown["references"] = _references_to_json(value.references)
    return shown


def array(values: tuple[Value, ...]) -> bytes:
    """`values` as the array an answer shows: the part that is the same however the identifier was spelt."""
    return _encode([value_to_json(v) for v in values])


def opening(index: int, type_: str) -> bytes | None:
    """What stands before the text of a value; None for types that are shown in a form of their own."""
    if fold(type_) in _SPECIAL:
        return None
    return b'{"index":%d,"type":%b,"data":{"format":"string","value":"' % (index, _encode(type_))


def inside(text: str) -> bytes | None:
    """`text` as it stands between `opening` and `closing`; None for what is shown in a form of its own."""
    return None if looks_binary(text.encode()) else _encode(text)[1:-1]


@lru_cache(maxsize=4096)
def closing(timestamp: int) -> bytes:
    """What stands behind the text of a value with the usual TTL and permissions."""
    said = b',"timestamp":"%b"' % moment(timestamp).encode() if timestamp else b""
    return b'"},"ttl":%d%b}' % (TTL_DEFAULT, said)


def found(handle: str, shown: bytes) -> bytes:
    """The answer for a record whose `array` is `shown`: code 1, or 200 when nothing of it may be shown."""
    if shown == b"[]":
        return b'{"responseCode":200,"values":[],"handle":' + _encode(handle) + b"}"
    return b'{"responseCode":1,"handle":' + _encode(handle) + b',"values":' + shown + b"}"


def referred(handle: str, shown: bytes, code: ResponseCode = ResponseCode.PREFIX_REFERRAL) -> bytes:
    """The answer that sends whoever asks to the sites in the `array` `shown`: who answers for the prefix, or (code 302)
    the services that do.
    """
    return b'{"responseCode":%d,"handle":%b,"values":%b}' % (code, _encode(handle), shown)


def selected(shown: bytes, indexes: frozenset[int], types: tuple[str, ...]) -> bytes:
    """Of the `array` `shown`, the values whose index is listed or whose type matches."""
    wanted = frozenset(map(fold, types))  # whoever asks may name a thousand types, and a record have as many
    values = _decode_values(shown)
    return _encode([v for v in values if v["index"] in indexes or not wanted.isdisjoint(names(v["type"]))])


def values_of(shown: bytes) -> tuple[Value, ...]:
    """The values in the `array` `shown`. Raises ProtoError."""
    return tuple(map(value_from_json, _decode_values(shown)))


def pretty(answer: bytes) -> bytes:
    """`answer` laid out for people, two spaces a level."""
    return msgspec.json.format(answer, indent=2)


def failed(code: ResponseCode, handle: str | None = None, message: str | None = None) -> bytes:
    """The answer for whatever else came of it."""
    answer: dict[str, Any] = {"responseCode": int(code)}
    if message is not None:
        answer["message"] = message
    if handle is not None:
        answer["handle"] = handle
    return _encode(answer)


def _wrong(field: str, zh: str, en: str) -> ProtoError:
    return ProtoError(field, zh, en)


def _integer(given: Any, field: str) -> int:
    if isinstance(given, bool) or not isinstance(given, int):
        raise _wrong(field, f"{field}应为整数", f"{field} must be a whole number")
    return given


def _text(given: Any, field: str) -> str:
    if not isinstance(given, str):
        raise _wrong(field, f"{field}应为字符串", f"{field} must be a string")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise _wrong(field, f"{field}含有无效字符", f"{field} holds a lone surrogate") from None
    return given


def _object(given: Any, field: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise _wrong(field, f"{field}应为对象", f"{field} must be an object")
    return given


def _list(given: Any, field: str) -> list[Any]:
    if not isinstance(given, list):
        raise _wrong(field, f"{field}应为数组", f"{field} must be an array")
    return given


def _bits(given: Any, width: int, field: str) -> int:
    text = _text(given, field)
    if text == "*":
        return (1 << width) - 1
    if len(text) != width or set(text) - {"0", "1"}:
        raise _wrong(field, f"{field}应为{width}位0或1", f"{field} must be {width} characters, each 0 or 1")
    return int(text, 2)


_NUMBER: Final = re.compile(r"[0-9]{1,10}", re.ASCII)


def _reference(given: Any, field: str) -> Reference:
    entry = _object(given, field)
    said = entry.get("index")
    if isinstance(said, str) and _NUMBER.fullmatch(said):  # pyhandle writes it so, and deployed servers take it
        said = int(said)
    index = _unsigned(_integer(said, field), 32)
    if not 0 <= index < 2**32:
        raise _wrong(field, f"{field}的索引超出范围", f"index in {field} is out of range")
    return Reference(_text(entry.get("handle"), field), index)


def _octets_from_base64(given: Any) -> bytes:
    text = _text(given, "data")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # binascii.Error is one; text that is not ASCII raises the bare one
        raise _wrong("data", "data不是有效的base64", "data is not valid base64") from None


def _octets_from_hex(given: Any) -> bytes:
    text = _text(given, "data")
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise _wrong("data", "data不是有效的十六进制", "data is not valid hexadecimal") from None


def _octets_from_admin(given: Any) -> bytes:
    entry = _object(given, "data")
    reference = _reference(entry, "data")
    admin = Admin(_bits(entry.get("permissions"), 12, "permissions"), reference.handle, reference.index)
    return admin.to_octets() + (_LEGACY_TAIL if entry.get("legacyByteLength") is True else b"")


def _octets_from_value_list(given: Any) -> bytes:
    return value_list.to_octets(tuple(_reference(e, "data") for e in _list(given, "data")))


def _flag(given: Any, field: str) -> bool:
    if not isinstance(given, bool):
        raise _wrong(field, f"{field}应为true或false", f"{field} must be true or false")
    return given


def octets_from_jwk(given: Any) -> bytes:
    """The data of an HS_PUBKEY value for a JSON Web Key of RSA, DSA or SM2, whose SubjectPublicKeyInfo is `d`."""
    entry = _object(given, "key")
    if entry.get("kty") == "SM2":
        return TextKey(SM2, pem(_from_base64url(entry.get("d"), "d"))).to_octets()
    kind = next((kind for kind, (kty, *_) in _KEY_KINDS.items() if kty == entry.get("kty")), None)
    if kind is None:
        raise _wrong("kty", "kty应为RSA、DSA或SM2", "kty must be RSA, DSA or SM2")
    numbers = (int.from_bytes(_from_base64url(entry.get(name), name)) for name in KEY_FIELDS[kind])
    return PublicKey(kind, tuple(numbers)).to_octets()


def _from_base64url(given: Any, field: str) -> bytes:
    text = _text(given, field)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise _wrong(field, f"{field}不是有效的base64url", f"{field} is not valid base64url") from None


def _address_from_json(given: Any) -> Address:
    text = _text(given, "address")
    try:
        if "%" in text:
            raise ValueError("a zone means nothing on another machine")
        return ip_address(text)
    except ValueError:
        raise _wrong("address", "address应为IP地址", "address must be an IP address") from None


def _interface_from_json(given: Any) -> Interface:
    entry = _object(given, "interfaces")
    name = _text(entry.get("protocol"), "protocol")
    if name not in Protocol.__members__:
        raise _wrong("protocol", "protocol应为UDP、TCP、HTTP或HTTPS", "protocol must be UDP, TCP, HTTP or HTTPS")
    query, admin = (_flag(entry.get(each), each) for each in ("query", "admin"))
    return Interface(Protocol[name], _integer(entry.get("port"), "port"), query, admin)


_SERVER_KEYS: Final = {"key": octets_from_jwk, "base64": _octets_from_base64, "hex": _octets_from_hex}


def _server_from_json(given: Any) -> Server:
    entry = _object(given, "servers")
    key = _object(entry.get("publicKey", {"format": "base64", "value": ""}), "publicKey")
    read = _SERVER_KEYS.get(_text(key.get("format"), "publicKey.format"))
    if read is None:
        raise _wrong("publicKey.format", "publicKey.format应为key或base64", "publicKey.format must be key or base64")
    return Server(
        _unsigned(_integer(entry.get("serverId"), "serverId"), 32),
        _address_from_json(entry.get("address")),
        read(key.get("value")),
        tuple(_interface_from_json(each) for each in _list(entry.get("interfaces"), "interfaces")),
    )


def _unsigned(number: int, bits: int) -> int:
    """What deployed servers mean by a number printed with a sign; others out of bounds stay so and are refused."""
    return number + (1 << bits) if -(1 << (bits - 1)) <= number < 0 else number


def _version_from_json(given: Any) -> tuple[int, int]:
    major, dot, minor = _text(given, "protocolVersion").partition(".")
    if not (dot and major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit() and len(given) <= 7):
        raise _wrong("protocolVersion", "protocolVersion应形如2.11", "protocolVersion must look like 2.11")
    return int(major), int(minor)


def _attribute_from_json(given: Any) -> tuple[str, str]:
    entry = _object(given, "attributes")
    return _text(entry.get("name"), "attributes"), _text(entry.get("value"), "attributes")


def _hash_option_from_json(given: Any) -> HashOption:
    if _integer(given, "hashOption") not in set(HashOption):
        raise _wrong("hashOption", "hashOption应为0、1或2", "hashOption must be 0, 1 or 2")
    return HashOption(given)


def site_from_json(given: Any) -> Site:
    """A site as deployed servers and `site_to_json` show it. Raises ProtoError naming the first field that is wrong."""
    entry = _object(given, "site")
    if entry.get("version", FORMAT_VERSION) != FORMAT_VERSION:
        raise _wrong("version", "version应为1", "version must be 1")
    return Site(
        version=_version_from_json(entry.get("protocolVersion")),
        serial=_unsigned(_integer(entry.get("serialNumber"), "serialNumber"), 16),
        primary=_flag(entry.get("primarySite"), "primarySite"),
        multi_primary=_flag(entry.get("multiPrimary"), "multiPrimary"),
        hash_option=_hash_option_from_json(entry.get("hashOption", int(HashOption.WHOLE))),
        hash_filter=_text(entry.get("hashFilter", ""), "hashFilter"),
        attributes=tuple(_attribute_from_json(each) for each in _list(entry.get("attributes", []), "attributes")),
        servers=tuple(_server_from_json(each) for each in _list(entry.get("servers"), "servers")),
    )


def _octets_from_site(given: Any) -> bytes:
    return site_from_json(given).to_octets()


_FORMATS: Final = {
    "string": lambda given: _text(given, "data").encode(),
    "base64": _octets_from_base64,
    "hex": _octets_from_hex,
    "admin": _octets_from_admin,
    "vlist": _octets_from_value_list,
    "key": octets_from_jwk,
    "site": _octets_from_site,
}


def _data_from_json(given: Any) -> bytes:
    if isinstance(given, str):
        return _text(given, "data").encode()
    data = _object(given, "data")
    read = _FORMATS.get(_text(data.get("format"), "data.format"))
    if read is None:
        raise _wrong(
            "data.format",
            "data.format应为string、base64、hex、admin、vlist、key或site之一",
            "data.format must be one of string, base64, hex, admin, vlist, key, site",
        )
    return read(data.get("value"))


def _ttl_from_json(given: Any) -> tuple[int, bool]:
    if isinstance(given, str):
        return _moment_from_json(given, "ttl"), True
    return _integer(given, "ttl"), False


_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def _moment_from_json(given: Any, field: str) -> int:
    text = _text(given, field)
    try:
        if not _MOMENT.fullmatch(text):
            raise ValueError("some other form of ISO 8601")
        at = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong(
            field, f"{field}应为2026-11-22T06:55:54Z格式", f"{field} must look like 2026-11-22T06:55:54Z"
        ) from None
    return int(at.timestamp())


def value_from_json(given: Any) -> Value:
    """One value as clients send it; `ttl`, `permissions`, `timestamp`, `references` may be left out.

    Raises ProtoError naming the first field that is wrong.
    """
    entry = _object(given, "value")
    ttl, absolute = _ttl_from_json(entry.get("ttl", TTL_DEFAULT))
    timestamp = entry.get("timestamp")
    permissions = entry.get("permissions")
    return Value(
        index=_integer(entry.get("index"), "index"),
        type=_text(entry.get("type"), "type"),
        data=_data_from_json(entry.get("data")),
        ttl=ttl,
        ttl_absolute=absolute,
        timestamp=0 if timestamp is None else _moment_from_json(timestamp, "timestamp"),
        permissions=PERMISSIONS_DEFAULT if permissions is None else _bits(permissions, 4, "permissions"),
        references=tuple(_reference(r, "references") for r in _list(entry.get("references", []), "references")),
    )
