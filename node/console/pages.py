"""The page a person sees after a scan, the landing page, and the few files both need, made of what is given.

Nothing is asked for here (doors.py does that) and nobody judged: an answer is public before it comes. No script,
nothing from elsewhere.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

import msgspec

from node.hypertext import LANGUAGES, environment, weighed
from node.resolve.answer import Outcome
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.limits import TTL_DEFAULT
from proto.value import PERMISSIONS_DEFAULT, TEMPLATE_ID_INDEX, TEMPLATE_INDEX
from registry import industries, kinds
from registry.drafting import ITEM_TYPE
from registry.kinds import KIND_WORDS
from registry.template import Item, State, Template
from registry.upkeep import ACCESS_WORDS

Pair = tuple[str, str]
"""The same said in Chinese and in English."""

REFLECTED_MOST: Final = 300
"""Characters shown of what is no identifier: more than the longest identifier, far less than the longest path."""
MEDIA_TYPES_MOST: Final = 16
"""Media types that are looked for among a thousand locations; who asks for data names two or three."""
LISTED_MOST: Final = 6
"""A reference to more identifiers than this is folded up, so that a phone still shows what comes after it."""

# -- words

WORDS: Final[dict[str, Pair]] = {
    "banner": ("工业互联网标识", "Industrial Internet Identifier"),
    "node": ("二级节点", "Secondary node"),
    "home": ("首页", "Home"),
    "identifier": ("标识", "Identifier"),
    "state": ("状态", "State"),
    "registered": ("已登记", "Registered"),
    "prefix": ("登记前缀", "Issuing prefix"),
    "answered": ("回答来自", "Answered by"),
    "another": ("另一个节点", "another node"),
    "updated": ("最近更新", "Last updated"),
    "public": ("公开信息", "Public information"),
    "attribute": ("项目", "Attribute"),
    "content": ("内容", "Content"),
    "nothing": ("登记方没有公开更多信息。", "Its owner has made nothing else public."),
    "several": ("个标识", "identifiers"),
    "binary": ("字节的二进制数据", "octets of binary data"),
    "json": ("机器可读数据（JSON）", "Machine-readable data (JSON)"),
    "look_up": ("查询标识", "Look up an identifier"),
    "go": ("查询", "Look up"),
    "again": ("重试", "Try again"),
    "for_example": ("例如", "For example"),
    "what": (
        "每个标识代表一件实物：一只手袋、一节电池、一台设备。这里可以看到登记方为它公开的信息。",
        "Every identifier stands for one real thing: a bag, a battery, a machine. "
        "Here is what its owner has made public about it.",
    ),
    "how": ("标识怎么读", "How to read an identifier"),
    "how_prefix": ("前缀：由谁登记", "Prefix: who registered it"),
    "how_suffix": ("后缀：是哪一件", "Suffix: which thing it is"),
    "programs": ("程序请用", "For programs"),
}

UNITS: Final[dict[str, Pair]] = {
    "CNY": ("元", "CNY"),
    "h": ("小时", "h"),
    "month": ("个月", "months"),
}
"""Units that are words; all others are written the same in every language."""

REQUIRED: Final = ("必填", "required")
UNIQUE: Final = ("不重复", "unique")
REDIRECT: Final = ("浏览器转到此网址", "browsers are sent there")
TEMPLATE_WORDS: Final[dict[str, Pair]] = {
    "TEMPLATE_NAME": ("模板名称", "Name"),
    "TEMPLATE_NAME_EN": ("英文名称", "Name in English"),
    "DESCRIPTION": ("说明", "Description"),
    "INDUSTRY": ("行业（GB/T 4754）", "Industry (GB/T 4754)"),
    "STATE": ("状态", "State"),
    "REVISION": ("第几版", "Revision"),
    "ORIGIN": ("复制自", "Copied from"),
    "SUFFIX": ("后缀写法", "Suffix"),
}
"""What a template's own identifier says of it, by type."""

NAMES: Final = ("productName", "equipName", "partName")
"""Attributes that hold what a thing is called, by the names the industries share."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What is said where no record is shown: HTTP status, headline, one or two sentences."""

    status: int
    title: Pair
    text: Pair


NOTICES: Final = {
    Outcome.ABSENT: Notice(
        404,
        ("没有登记过", "Never registered"),
        (
            "本节点从未登记过这个标识。请核对拼写，斜杠之后区分大小写；如果它印在商品上，请向商家核实。",
            "This node has never registered this identifier. Check the spelling: what follows the slash is "
            "case-sensitive. If it is printed on a product, ask the seller.",
        ),
    ),
    Outcome.GONE: Notice(
        410,
        ("已注销", "Withdrawn"),
        (
            "这个标识曾经登记过，现已由登记方注销。",
            "This identifier was registered once; its owner has withdrawn it.",
        ),
    ),
    Outcome.STOPPED: Notice(
        403,
        ("前缀已停用", "Prefix suspended"),
        (
            "登记这个标识的前缀目前停用，其下的信息暂不提供。",
            "The prefix of this identifier is suspended; what was registered under it is not shown for now.",
        ),
    ),
    Outcome.FOREIGN: Notice(
        404,
        ("不属于本节点", "Not of this node"),
        (
            "这个标识的前缀不由本节点管理，请向它所属的二级节点查询。",
            "The prefix of this identifier does not live here; ask the secondary node it belongs to.",
        ),
    ),
    Outcome.UNREACHABLE: Notice(
        502,
        ("暂时查不到", "Out of reach"),
        (
            "这个标识由另一个节点管理，该节点现在没有给出可用的回答，请稍后再试。",
            "This identifier lives on another node, which gives no usable answer just now; please try again shortly.",
        ),
    ),
}
"""HTTP status and words of a page by outcome; the JSON of the same address keeps those of the Handle HTTP API."""

ABSENT_ELSEWHERE: Final = Notice(
    404,
    ("没有登记过", "Never registered"),
    (
        "这个标识的前缀不由本节点管理，所问的其他节点都没有登记过它。请核对拼写，斜杠之后区分大小写；如果它印在商品上，"
        "请向商家核实。",
        "Its prefix does not live here, and no node that was asked has ever registered it. Check the spelling: what "
        "follows the slash is case-sensitive. If it is printed on a product, ask the seller.",
    ),
)
"""ABSENT, said by another node."""
NOBODY_S: Final = Notice(
    404,
    ("前缀未启用", "Prefix not in use"),
    (
        "这个标识的前缀不由本节点管理，也没有其他节点负责它。请核对拼写；如果它印在商品上，请向商家核实。",
        "Its prefix does not live here, and no other node answers for it. Check the spelling; if it is printed on a "
        "product, ask the seller.",
    ),
)
"""FOREIGN, where the top-level node was asked."""
CIRCLE: Final = Notice(
    404,
    ("别名循环", "Aliases without an end"),
    (
        "这个标识是另一个标识的别名，沿着别名找不到尽头，请联系登记方更正。",
        "This identifier is an alias of another, and the aliases have no end; its owner would have to correct that.",
    ),
)
STRANGER: Final = Notice(
    401,
    ("登录已过期", "Signed out"),
    (
        "请求所带的令牌不存在、已过期或已撤销。不带令牌也可以查看公开的信息。",
        "The token that came with the request is unknown, expired or revoked. What is public is shown without one.",
    ),
)
MALFORMED: Final = Notice(400, ("这不是标识", "Not an identifier"), ("", ""))
BUSY: Final = Notice(
    503,
    ("系统繁忙", "Busy at the moment"),
    ("暂时查询不到，请稍后再试。", "It cannot be looked up just now; please try again shortly."),
)

# -- what is asked for


def wants_page(accept: str) -> bool:
    """Whether who sends this Accept header is shown a page: only if it likes text/html better than JSON.

    Browsers name text/html and are shown one; `*/*` alone, an equal liking or an empty header get JSON.
    """
    weights = dict(weighed(accept))
    return _liking(weights, "text/html") > _liking(weights, "application/json")


def _liking(weights: dict[str, float], kind: str) -> float:
    ranges = (kind, kind.partition("/")[0] + "/*", "*/*")
    return next((weights[each] for each in ranges if each in weights), 0.0)


def other_types(accept: str) -> tuple[str, ...]:
    """The media types who sends this Accept header names and likes better than a page and than JSON, best first,
    MEDIA_TYPES_MOST at most.
    """
    weights = dict(weighed(accept))
    usual = max(_liking(weights, "text/html"), _liking(weights, "application/json"))
    liked = (kind for kind, weight in weights.items() if weight > usual and "/" in kind and "*" not in kind)
    return tuple(sorted(liked, key=lambda kind: -weights[kind])[:MEDIA_TYPES_MOST])


@dataclass(frozen=True, slots=True)
class Look:
    """How pages are shown: `lang` of LANGUAGES, `named` when the address asked for it, `node` this node's prefix, and
    `rest`, what else the address asked for.
    """

    lang: str
    named: bool
    node: str
    rest: str = ""

    @property
    def query(self) -> str:
        """What links to other pages carry so that a language chosen by hand stays."""
        return f"?lang={self.lang}" if self.named else ""

    def say(self, pair: Pair) -> str:
        """The half of `pair` in this language."""
        return pair[LANGUAGES.index(self.lang)]

    def sentence(self, error: ProtoError) -> str:
        """What is wrong, as a sentence with a capital and an end."""
        text = self.say((error.zh, error.en))
        return text[:1].upper() + text[1:] + self.say(("。", "."))


# -- what is shown


def page_path(identifier: str) -> str:
    """The path of an identifier's page; percent-decoded once, it is `/` and the identifier.

    A segment `.` or `..` would be resolved by browsers, encoded or not, so then the slashes are encoded as well.
    """
    dotted = not {".", ".."}.isdisjoint(identifier.split("/"))
    return "/" + quote(identifier, safe="" if dotted else "/:@!$&'()*+,=")


_HAN: Final = re.compile("[\u3400-\u9fff]")


def _is_han(text: str) -> bool:
    return _HAN.search(text) is not None


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a value, with what it links to; `outside` the node or to a page of it."""

    text: str
    href: str = ""
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `index` and `note` where the value is shown as such."""

    label: str
    parts: tuple[Part, ...]
    unit: str
    index: int = 0
    note: str = ""

    @property
    def han(self) -> bool:
        """Whether it holds Chinese, which a page in English says to fonts and voices."""
        return any(_is_han(part.text) for part in self.parts)


class _Data(msgspec.Struct):
    format: str
    value: Any


class _Shown(msgspec.Struct):
    index: int
    type: str
    data: _Data
    timestamp: str = ""
    ttl: int | str = TTL_DEFAULT
    permissions: str = f"{PERMISSIONS_DEFAULT:04b}"


_values: Final = msgspec.json.Decoder(list[_Shown]).decode
_URL: Final = re.compile(r"https?://[^\s/?#]\S*", re.IGNORECASE)


def _text(data: _Data, look: Look) -> str:
    if data.format == "string":
        return str(data.value)
    if data.format == "base64":
        octets = len(data.value) * 3 // 4 - data.value.count("=")
        return f"{octets} {look.say(WORDS['binary'])}"
    return msgspec.json.encode(data.value).decode()


class _Entry(msgspec.Struct):
    handle: str
    index: int
    permissions: str = ""


class _Interface(msgspec.Struct):
    protocol: str
    port: int


class _Server(msgspec.Struct):
    address: str
    interfaces: list[_Interface]


class _Site(msgspec.Struct):
    servers: list[_Server]


class _Key(msgspec.Struct):
    kty: str
    n: str = ""
    p: str = ""


def _entry(entry: _Entry, look: Look) -> Part:
    return Part(f"{entry.index}:{entry.handle}", _reference(entry.handle, look).href)


def _admin(value: Any, look: Look) -> tuple[Part, ...]:
    entry = msgspec.convert(value, _Entry)
    return _entry(entry, look), Part(entry.permissions)


def _list(value: Any, look: Look) -> tuple[Part, ...]:
    return tuple(_entry(each, look) for each in msgspec.convert(value, list[_Entry]))


def _site(value: Any, look: Look) -> tuple[Part, ...]:
    """A line for each server: its address, and where it listens."""
    servers = msgspec.convert(value, _Site).servers
    ports = [" · ".join(f"{each.protocol} {each.port}" for each in server.interfaces) for server in servers]
    return tuple(Part(f"{server.address}  {text}") for server, text in zip(servers, ports, strict=True))


def _key(value: Any, look: Look) -> tuple[Part, ...]:
    """Its kind and how long it is: four characters hold three octets."""
    key = msgspec.convert(value, _Key)
    return (Part(f"{key.kty} {len(key.n or key.p) * 6 // 64 * 64} bit"),)


_STRUCTURED: Final = {"admin": _admin, "vlist": _list, "site": _site, "key": _key}
"""What people are shown of data that is no text, by its format."""


def _told(value: _Shown, look: Look) -> tuple[Part, ...]:
    """A value as the Handle system knows it; one of another node that is not what its format says, as it is."""
    if value.data.format in _STRUCTURED:
        with suppress(msgspec.ValidationError):
            return _STRUCTURED[value.data.format](value.data.value, look)
    text = _text(value.data, look)
    return (_reference(text, look),) if value.type == "HS_ALIAS" else _parts(text, None, look)


def _reference(text: str, look: Look) -> Part:
    try:
        return Part(text, page_path(str(Identifier.parse(text))) + look.query)
    except ProtoError:
        return Part(text)


def _parts(text: str, item: Item | None, look: Look) -> tuple[Part, ...]:
    if item is not None and item.kind == "reference":
        return tuple(_reference(each.strip(), look) for each in text.split(";") if each.strip())
    if _URL.fullmatch(text):
        return (Part(text, text, outside=True),)
    return (Part(text),) if text else ()


def _row(value: _Shown, item: Item | None, look: Look) -> Row:
    if item is None:
        return Row(value.type, _told(value, look), "")
    parts = _parts(_text(value.data, look), item, look)
    unit = look.say(UNITS.get(item.unit, (item.unit, item.unit)))
    return Row(look.say((item.zh, item.en or item.name)), parts, unit)


def _value(value: _Shown, look: Look, zone: ZoneInfo) -> Row:
    """A value as the Handle system knows it."""
    latest = _moment([value], zone)
    told = f"TTL {value.ttl} · {value.permissions}" + (f" · {latest:%Y-%m-%d %H:%M}" if latest else "")
    return Row(value.type, _told(value, look), "", value.index, told)


def _line_of_template(value: _Shown, look: Look) -> Row:
    """A line of what a template's own identifier stands for (drafting.py)."""
    text = _text(value.data, look)
    label, told = TEMPLATE_WORDS.get(value.type, (value.type, value.type)), (text, text)
    if value.type == "ORIGIN":
        return Row(look.say(label), (_reference(text, look),), "")
    if value.type == "STATE":
        told = next(((each.zh, each.en) for each in State if each.en == text), told)
    if value.type == ITEM_TYPE:
        with suppress(msgspec.DecodeError, UnicodeError):
            item = msgspec.json.decode(text, type=Item)
            label, told = (item.zh, item.en or item.name), _rules(item)
    return Row(look.say(label), (Part(look.say(told)),), "")


def _rules(item: Item) -> Pair:
    """What an attribute is, in words."""
    kind, rule = KIND_WORDS[item.kind], kinds.said(item)
    pairs = [kind, *([rule] if rule != kind else []), (item.unit, item.unit)]
    flags = ((REQUIRED, item.required), (UNIQUE, item.unique), (REDIRECT, item.redirect))
    pairs += [pair for pair, holds in flags if holds]
    pairs += [ACCESS_WORDS[item.access]] if item.access != "public" else []
    zh, en = ([words for words in each if words] for each in zip(*pairs, strict=True))
    return "；".join(zh), "; ".join(en)


def _moment(values: Iterable[_Shown], zone: ZoneInfo) -> datetime | None:
    """The last change; the reserved values bear that of the record."""
    latest = max((value.timestamp for value in values), default="")
    return datetime.fromisoformat(latest).astimezone(zone) if latest else None


_HERE: Final = resources.files("node.console")
TYPES: Final = {"css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
STATIC: Final = {
    file.name: file.read_bytes() for file in _HERE.joinpath("static").iterdir() if file.name.rpartition(".")[2] in TYPES
}
"""The files pages need, by name; nothing else is ever served."""


def _edition() -> str:
    digest = hashlib.sha256()
    for folder in (_HERE, _HERE.joinpath("static"), _HERE.joinpath("templates"), resources.files(industries)):
        for file in sorted(folder.iterdir(), key=lambda each: each.name):
            if file.is_file():
                digest.update(file.read_bytes())
    return digest.hexdigest()[:8]


EDITION: Final = _edition()
"""Of everything pages are made of but the data: with a new one, pages and files kept by browsers are out of date."""

_templates: Final = environment("node.console")
_templates.filters["page"] = page_path
_templates.tests["han"] = _is_han


def _render(page: str, look: Look, **data: Any) -> str:
    words = {word: look.say(pair) for word, pair in WORDS.items()}
    other = LANGUAGES[1 - LANGUAGES.index(look.lang)]
    return _templates.get_template(page).render(
        look=look, w=words, other=other, banner=WORDS["banner"], edition=EDITION, **data
    )


def found_page(
    look: Look,
    identifier: Identifier,
    shown: bytes,
    template: Template | None,
    zone: ZoneInfo,
    *,
    elsewhere: bool = False,
    bare: bool = False,
) -> str:
    """The page of a record whose public values are `shown` (the JSON array of an answer), times in `zone`.

    `elsewhere`: another node has answered. `bare`: as values, with their indexes and all that belongs to them.
    """
    values = _values(shown)
    names = {value.type: _text(value.data, look) for value in values}
    kind = look.say((template.zh, template.en or template.version)) if template else ""
    items = template.by_index if template else {}
    own = [value for value in values if value.index not in {TEMPLATE_ID_INDEX, TEMPLATE_INDEX}]
    if bare:
        rows = [_value(value, look, zone) for value in values]
    elif any(value.type == ITEM_TYPE for value in own):
        rows = [_line_of_template(value, look) for value in own]
    else:
        rows = [_row(value, items.get(value.index), look) for value in own]
    return _render(
        "found.html",
        look,
        identifier=identifier,
        kind=kind,
        name=next((names[each] for each in NAMES if names.get(each)), kind),
        rows=rows,
        updated=_moment(values, zone),
        elsewhere=elsewhere,
        listed_most=LISTED_MOST,
    )


def notice_page(look: Look, notice: Notice, asked: str, text: str = "") -> str:
    """The page that says why no record is shown for `asked`; `text` where the notice has no sentence of its own."""
    return _render(
        "notice.html",
        look,
        title=look.say(notice.title),
        text=text or look.say(notice.text),
        asked=asked[:REFLECTED_MOST],
        again=notice in {BUSY, NOTICES[Outcome.UNREACHABLE]},
    )


def landing_page(look: Look, asked: str = "", wrong: str = "", samples: Sequence[tuple[str, str]] = ()) -> str:
    """The page at `/`: `wrong` says what is the matter with `asked`; `samples` are kinds with an identifier each."""
    return _render("landing.html", look, asked=asked[:REFLECTED_MOST], wrong=wrong, samples=samples)


@cache
def _shared_templates() -> dict[str, Template]:
    return {each.version: each for industry in industries.load() for each in industry.templates}


def shared_template(shown: bytes) -> Template | None:
    """That of an industry which a record of another node says it has, as far as its values bear that out."""
    values = {value.index: value for value in _values(shown)}
    named = values.get(TEMPLATE_INDEX)
    template = _shared_templates().get(str(named.data.value)) if named is not None else None
    if template is None:
        return None
    items = (each for each in template.items if each.index in values and values[each.index].type == each.name)
    return replace(template, items=tuple(items))
