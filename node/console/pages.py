"""The page a person sees after a scan, the landing page, and the few files both need: pure rendering, then the doors.

Nothing here decides who may see what: an answer is public before it comes. No script, nothing from elsewhere.
"""

import asyncio
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

import jinja2
import msgspec
import structlog
from aiohttp import web

from node.gather import BusyError
from node.house import House
from node.listen import handle_api, replies
from node.listen.http import HOUSE, onward
from node.listen.http import keeping as keeping_for
from node.resolve.answer import Answer, Outcome
from node.samples import ENTERPRISES, sample_records
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.value import TEMPLATE_ID_INDEX, TEMPLATE_INDEX
from registry import industries
from registry.errors import UnavailableError
from registry.template import Item, Template

Pair = tuple[str, str]
"""The same said in Chinese and in English."""

LANGUAGES: Final = ("zh", "en")
REFLECTED_MOST: Final = 300
"""Characters shown of what is no identifier: more than the longest identifier, far less than the longest path."""
LISTED_MOST: Final = 6
"""A reference to more identifiers than this is folded up, so that a phone still shows what comes after it."""
STATIC_SECONDS: Final = 365 * 24 * 3600
"""How long files are kept whose address names their edition; one year is the usual most (RFC 9111 sets none)."""

log = structlog.get_logger("pages")

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
MALFORMED: Final = Notice(400, ("这不是标识", "Not an identifier"), ("", ""))
BUSY: Final = Notice(
    503,
    ("系统繁忙", "Busy at the moment"),
    ("暂时查询不到，请稍后再试。", "It cannot be looked up just now; please try again shortly."),
)

# -- what is asked for


def _weighed(header: str) -> Iterator[tuple[str, float]]:
    """The entries of an Accept or Accept-Language header with their weights (RFC 9110 §12.4.2)."""
    for entry in header.lower().split(","):
        name, _, parameters = entry.partition(";")
        weight = re.search(r"(?:^|;)\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*(?:;|$)", parameters)
        yield name.strip(), float(weight[1]) if weight else 1.0


def wants_page(accept: str) -> bool:
    """Whether who sends this Accept header is shown a page: only if it likes text/html better than JSON.

    Browsers name text/html and are shown one; `*/*` alone, an equal liking or an empty header get JSON.
    """
    weights = dict(_weighed(accept))

    def liking(kind: str) -> float:
        ranges = (kind, kind.partition("/")[0] + "/*", "*/*")
        return next((weights[each] for each in ranges if each in weights), 0.0)

    return liking("text/html") > liking("application/json")


def language(named: str | None, accepted: str) -> str:
    """The language of a page: the one the address names, else the best liked of LANGUAGES, else Chinese."""
    if named in LANGUAGES:
        return named
    likings = sorted(_weighed(accepted), key=lambda entry: -entry[1])
    primaries = (name.partition("-")[0] for name, weight in likings if weight > 0)
    return next((primary for primary in primaries if primary in LANGUAGES), LANGUAGES[0])


@dataclass(frozen=True, slots=True)
class Look:
    """How pages are shown: `lang` of LANGUAGES, `named` when the address asked for it, `node` this node's prefix."""

    lang: str
    named: bool
    node: str

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
    """A line of the table."""

    label: str
    parts: tuple[Part, ...]
    unit: str

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


_values: Final = msgspec.json.Decoder(list[_Shown]).decode
_URL: Final = re.compile(r"https?://[^\s/?#]\S*", re.IGNORECASE)


def _text(data: _Data, look: Look) -> str:
    if data.format == "string":
        return str(data.value)
    if data.format == "base64":
        octets = len(data.value) * 3 // 4 - data.value.count("=")
        return f"{octets} {look.say(WORDS['binary'])}"
    return msgspec.json.encode(data.value).decode()


def _reference(text: str, look: Look) -> Part:
    try:
        return Part(text, page_path(str(Identifier.parse(text))) + look.query)
    except ProtoError:
        return Part(text)


def _parts(text: str, item: Item | None, look: Look) -> tuple[Part, ...]:
    if item is not None and item.reference:
        return tuple(_reference(each.strip(), look) for each in text.split(";") if each.strip())
    if _URL.fullmatch(text):
        return (Part(text, text, outside=True),)
    return (Part(text),) if text else ()


def _row(value: _Shown, item: Item | None, look: Look) -> Row:
    parts = _parts(_text(value.data, look), item, look)
    if item is None:
        return Row(value.type, parts, "")
    unit = look.say(UNITS.get(item.unit, (item.unit, item.unit)))
    return Row(look.say((item.zh, item.en or item.name)), parts, unit)


def _moment(values: Iterable[_Shown], zone: ZoneInfo) -> datetime | None:
    """The last change; the reserved values bear that of the record."""
    latest = max((value.timestamp for value in values), default="")
    return datetime.fromisoformat(latest).astimezone(zone) if latest else None


def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("node.console"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["page"] = page_path
    made.tests["han"] = _is_han
    return made


_HERE: Final = resources.files("node.console")
_TYPES: Final = {"css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
STATIC: Final = {
    file.name: file.read_bytes()
    for file in _HERE.joinpath("static").iterdir()
    if file.name.rpartition(".")[2] in _TYPES
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

_templates: Final = _environment()


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
) -> str:
    """The page of a record whose public values are `shown` (the JSON array of an answer), times in `zone`.

    `elsewhere`: another node has answered.
    """
    values = _values(shown)
    names = {value.type: _text(value.data, look) for value in values}
    kind = look.say((template.zh, template.en or template.version)) if template else ""
    items = template.by_index if template else {}
    own = (value for value in values if value.index not in {TEMPLATE_ID_INDEX, TEMPLATE_INDEX})
    return _render(
        "found.html",
        look,
        identifier=identifier,
        kind=kind,
        name=next((names[each] for each in NAMES if names.get(each)), kind),
        rows=[_row(value, items.get(value.index), look) for value in own],
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


# -- the doors

_SAFE: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_VARY: Final = "Accept, Accept-Language"
_NOT_KEPT: Final = {"Cache-Control": "no-store"}


def _look(request: web.Request) -> Look:
    named = request.query.get("lang")
    lang = language(named, _joined(request, "Accept-Language"))
    return Look(lang, named in LANGUAGES, request.app[HOUSE].config.prefix)


def _joined(request: web.Request, name: str) -> str:
    return ",".join(request.headers.getall(name, ()))


def _page(look: Look, body: str, status: int, keeping: dict[str, str]) -> web.Response:
    headers = _SAFE | {"Vary": _VARY, "Content-Language": look.lang} | keeping
    return web.Response(text=body, status=status, headers=headers, content_type="text/html")


async def identifier(request: web.Request) -> web.StreamResponse:
    """GET /{identifier}: a page, or to whoever does not like pages better (`wants_page`) what GET /api/handles/ gives.

    Outcomes and their statuses: 200, those of NOTICES, 400 for what is no identifier, 503 with Retry-After.
    """
    raw = handle_api.raw_path(request)[1:]
    if not wants_page(_joined(request, "Accept")):
        return await _json(request, raw)
    look, further = _look(request), onward(request)
    asked = raw
    try:
        asked = handle_api.asked_for(raw)
        wanted = Identifier.parse(asked)
        answer = await request.app[HOUSE].road.ask(wanted, onward=further)
    except ProtoError as error:
        return _page(look, notice_page(look, MALFORMED, asked, look.sentence(error)), MALFORMED.status, _NOT_KEPT)
    except (BusyError, UnavailableError) as error:
        log.warning("troubled", path=request.path, status=BUSY.status, error=str(error))
        keeping = _NOT_KEPT | {"Retry-After": str(replies.BUSY_RETRY_SECONDS)}
        return _page(look, notice_page(look, BUSY, asked), BUSY.status, keeping)
    if answer.outcome is Outcome.FOUND:
        return await _found(request, look, wanted, answer)
    others_asked = bool(request.app[HOUSE].config.toplevel_url) and further
    notice = _notice(answer, others_asked=others_asked)
    return _page(look, notice_page(look, notice, asked), notice.status, _NOT_KEPT)


def _notice(answer: Answer, *, others_asked: bool) -> Notice:
    if answer.outcome is Outcome.FOREIGN and others_asked:
        return NOBODY_S
    if answer.outcome is Outcome.ABSENT and answer.elsewhere:
        return ABSENT_ELSEWHERE
    return NOTICES[answer.outcome]


async def _json(request: web.Request, raw: str) -> web.Response:
    url = request.rel_url.with_path(handle_api.PATH + raw, encoded=True, keep_query=True)
    response = await handle_api.get(request.clone(rel_url=url))
    response.headers["Vary"] = _VARY
    return response


async def _found(request: web.Request, look: Look, wanted: Identifier, answer: Answer) -> web.Response:
    config = request.app[HOUSE].config
    tag = f"{answer.tag[1:-1]}.{look.lang}.{EDITION}"
    keeping = {"ETag": f'"{tag}"', "Cache-Control": keeping_for(request.app[HOUSE], answer)}
    if any(each.value in {tag, "*"} for each in request.if_none_match or ()):
        return web.Response(status=304, headers={"Vary": _VARY} | keeping)
    template = await _template(request.app[HOUSE], answer)
    if answer.template and template is None:
        keeping = _NOT_KEPT
    page = found_page(look, wanted, answer.shown, template, config.zone, elsewhere=answer.elsewhere)
    return _page(look, page, 200, keeping)


async def _template(house: House, answer: Answer) -> Template | None:
    """None when there is none, or when PostgreSQL is away: then a kept answer is still shown, with bare names."""
    if answer.outcome is not Outcome.FOUND:
        return None
    if answer.elsewhere:
        return _shared_template(answer.shown)
    if not answer.template:
        return None
    try:
        return await house.lookup.template(answer.template, answer.template_epoch)
    except UnavailableError as error:
        log.warning("labels_missing", template=answer.template, error=str(error))
        return None


@cache
def _shared_templates() -> dict[str, Template]:
    return {each.version: each for industry in industries.load() for each in industry.templates}


def _shared_template(shown: bytes) -> Template | None:
    """That of an industry which a record of another node says it has, as far as its values bear that out."""
    values = {value.index: value for value in _values(shown)}
    named = values.get(TEMPLATE_INDEX)
    template = _shared_templates().get(str(named.data.value)) if named is not None else None
    if template is None:
        return None
    items = (each for each in template.items if each.index in values and values[each.index].type == each.name)
    return replace(template, items=tuple(items))


@cache
def _sample_identifiers() -> tuple[Identifier, ...]:
    """Of each sample enterprise the last thing it made: it stands at the end of a chain."""
    return tuple(Identifier.parse(sample_records(each.prefix)[-1].identifier) for each in ENTERPRISES)


async def _samples(house: House, look: Look) -> list[tuple[str, str]]:
    """Kind and identifier of those samples this node really has."""
    wanted = _sample_identifiers()
    try:
        answers = await asyncio.gather(*(house.hot.ask(each, onward=False) for each in wanted))
    except (BusyError, UnavailableError) as error:
        log.warning("samples_missing", error=str(error))
        return []
    held = [pair for pair in zip(wanted, answers, strict=True) if pair[1].outcome is Outcome.FOUND]
    kinds = [(each, await _template(house, answer)) for each, answer in held]
    return [(look.say((kind.zh, kind.en or kind.version)), str(each)) for each, kind in kinds if kind is not None]


async def landing(request: web.Request) -> web.StreamResponse:
    """GET /: what this is and a field; with `?identifier=` on to its page, or what is wrong with it."""
    look, house = _look(request), request.app[HOUSE]
    asked = request.query.get("identifier", "").strip()
    if not asked:
        keeping = {"Cache-Control": f"public, max-age={house.config.cache_seconds}"}
        return _page(look, landing_page(look, samples=await _samples(house, look)), 200, keeping)
    try:
        path = page_path(str(Identifier.parse(asked)))
    except ProtoError as error:
        return _page(look, landing_page(look, asked, look.sentence(error)), MALFORMED.status, _NOT_KEPT)
    return web.Response(status=303, headers={"Location": path + look.query} | _NOT_KEPT)


async def static(request: web.Request) -> web.StreamResponse:
    """GET /static/{name}: kept for a year under the address pages use, a minute under any other."""
    name = request.match_info["name"]
    if name not in STATIC:
        raise web.HTTPNotFound
    seconds = STATIC_SECONDS if request.query.get("v") == EDITION else 60
    return _file(name, f"public, max-age={seconds}")


async def favicon(_: web.Request) -> web.StreamResponse:
    """GET /favicon.ico: the mark, for browsers that ask unbidden."""
    return _file("mark.svg", "public, max-age=86400")


def _file(name: str, keeping: str) -> web.Response:
    headers = _SAFE | {"Content-Type": _TYPES[name.rpartition(".")[2]], "Cache-Control": keeping}
    return web.Response(body=STATIC[name], headers=headers)


def add_routes(app: web.Application) -> None:
    """The routes of this face. To be added last: the last of them takes whatever path is left."""
    app.router.add_get("/", landing)
    app.router.add_get("/static/{name}", static)
    app.router.add_get("/favicon.ico", favicon)
    app.router.add_get("/{identifier:(?s:.+)}", identifier)
