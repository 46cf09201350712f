"""The page of the top-level node: what its books hold, for people. No script, nothing from elsewhere, it renews itself.

It looks like the pages of the node because it uses their style sheet; it shows no particulars of persons.
"""

from datetime import datetime
from importlib import resources
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog
from aiohttp import web

from node.hypertext import LANGUAGES, SAFE, environment, language
from node.toplevel import books, rules
from node.toplevel.office import OFFICE, Office
from node.toplevel.service import unheard
from proto import uplink_pb2 as pb
from proto.chain import Kind
from registry.errors import UnavailableError
from registry.postgres.connection import borrowed

REFRESH_SECONDS: Final = 5
"""How often a page that is looked at renews itself."""
SILENT_SECONDS: Final = 90
"""A node unheard for so long is shown as silent: three heartbeats (secondary-node facts §4.5)."""
HEAD_SHOWN: Final = 12
"""Characters shown of a head: enough to compare by eye."""

WORDS: Final = {
    "title": ("国家顶级节点（模拟）", "National top-level node (simulated)"),
    "what": (
        "收到了什么，链是否完整。这里只有摘要，没有标识的值。",
        "What has come up, and whether the chains are whole. Digests only: no value of an identifier ever comes here.",
    ),
    "nodes": ("二级节点", "Secondary nodes"),
    "prefixes": ("前缀", "Prefixes"),
    "changes": ("变更", "Changes"),
    "newest": ("最新变更", "Newest changes"),
    "messages": ("消息队列", "Messages"),
    "faults": ("已开启的故障", "Faults that are on"),
    "live": ("有效标识", "Live identifiers"),
    "number": ("序号", "Number"),
    "waiting": ("待取消息", "Messages waiting"),
    "none": ("还没有。", "None yet."),
    "no_faults": ("没有。", "None."),
    "fence": ("代表序号", "Fence"),
    "heard": ("最近心跳", "Last heartbeat"),
    "silent": ("无心跳", "silent"),
    "never": ("从未", "never"),
    "machine": ("机器", "Machine"),
    "version": ("版本", "Version"),
    "oldest": ("心跳时最早未回执", "Oldest without receipt then"),
    "unreceipted": ("心跳时未回执变更", "Changes without receipt then"),
    "entries": ("新增 / 更新 / 注销 / 恢复", "Created / updated / deleted / revived"),
    "reported": ("节点所报有效标识", "Live identifiers as reported"),
    "whole": ("链完整", "chain whole"),
    "running": ("逐批验证，尚未整链复算", "verified batch by batch, not yet recomputed as a whole"),
    "broken": ("链不完整", "chain broken"),
    "proven": ("复算至第{}号", "recomputed up to number {}"),
    "prove": ("整链复算", "Recompute"),
    "head": ("链头", "Head"),
    "acknowledged": ("已确认", "acknowledged"),
    "queued": ("等待", "waiting"),
    "again": ("重复投递", "delivered twice"),
    "and_more": ("只列出前{}行", "only the first {} rows are listed"),
    "templates": ("数据模板", "Templates"),
    "revision": ("第{}版，{}个属性", "revision {}, {} attributes"),
    "others": ("等{}条", "({} in all)"),
}
FAULTS: Final = {
    "delay_seconds": ("应答延迟（秒）", "Delay of answers (s)"),
    "refusal_rate": ("前缀驳回率", "Share of prefixes refused"),
    "refused_prefixes": ("指定驳回的前缀", "Prefixes to be refused"),
    "lost_receipt_rate": ("回执丢失率", "Share of receipts lost"),
    "duplicate_rate": ("消息重复率", "Share of messages delivered twice"),
    "outage": ("全部中断", "Outage"),
}
KINDS: Final = {
    Kind.CREATED: ("新增", "created"),
    Kind.UPDATED: ("更新", "updated"),
    Kind.DELETED: ("注销", "deleted"),
    Kind.REVIVED: ("恢复", "revived"),
    Kind.PREFIX_ENABLED: ("前缀启用", "prefix enabled"),
    Kind.PREFIX_STOPPED: ("前缀停用", "prefix stopped"),
}
TEMPLATE_STATES: Final = {
    pb.TEMPLATE_STATE_PUBLISHED: ("已发布", "published"),
    pb.TEMPLATE_STATE_WITHDRAWN: ("已撤回", "withdrawn"),
}
ORDERS: Final = {
    pb.ORDER_KIND_SUSPEND_PREFIX: ("停用", "suspend"),
    pb.ORDER_KIND_RESUME_PREFIX: ("恢复", "resume"),
    pb.ORDER_KIND_VERIFY_ENTERPRISE: ("重新核验", "verify again"),
    pb.ORDER_KIND_RELEASE_PREFIX: ("已迁出", "moved away"),
}

log = structlog.get_logger("page")


def _moment(milliseconds: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, zone).isoformat(" ", "seconds")


def _ago(milliseconds: int) -> str:
    """How long ago, in the largest unit that is whole: 3 s, 12 min, 5 h, 2 d."""
    seconds = max(0, milliseconds) // 1000
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _told(body: bytes) -> tuple[str, str, str]:
    """What a message says: the prefix, and in Chinese and English what becomes of it."""
    message = pb.Message.FromString(body)
    if message.HasField("order"):
        return (message.order.prefix, *ORDERS[message.order.kind])
    return (message.audit.prefix, *rules.STATE_NAMES[message.audit.state])


_templates: Final = environment("node.toplevel")
_templates.filters |= {"ago": _ago, "told": _told, "grouped": lambda number: f"{number:,}"}
_template: Final = _templates.get_template("books.html")
STATIC: Final = {
    "page.css": resources.files("node.console").joinpath("static", "page.css").read_bytes(),
    "books.css": resources.files("node.toplevel").joinpath("static", "books.css").read_bytes(),
}


def render(lang: str, shown: dict[str, list[dict[str, Any]]], on: dict[str, object], now: int, zone: ZoneInfo) -> str:
    """The page in `lang` of LANGUAGES, times in `zone`; `shown` comes from the books, `on` are faults that are on."""

    def say(pair: tuple[str, str]) -> str:
        return pair[LANGUAGES.index(lang)]

    return _template.render(
        lang=lang,
        other=LANGUAGES[1 - LANGUAGES.index(lang)],
        w={word: say(pair) for word, pair in WORDS.items()},
        say=say,
        moment=lambda milliseconds: _moment(milliseconds, zone),
        now=now,
        refresh=REFRESH_SECONDS,
        silent=SILENT_SECONDS * 1000,
        head_shown=HEAD_SHOWN,
        listed_most=books.LISTED_MOST,
        states=rules.STATE_NAMES,
        normal=pb.PREFIX_STATE_NORMAL,
        kinds=KINDS,
        template_states=TEMPLATE_STATES,
        faults=[(say(FAULTS[name]), value) for name, value in on.items()],
        totals=shown["totals"][0],
        **{name: shown[name] for name in ("nodes", "prefixes", "templates", "changes", "messages")},
    )


async def get(request: web.Request) -> web.Response:
    """GET /: the page; 503 while the books cannot be read."""
    office: Office = request.app[OFFICE]
    try:
        async with (
            borrowed(office.pool) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            shown = await books.shown(connection)
    except UnavailableError as error:
        log.warning("books_unreachable", error=str(error))
        return unheard(503, "账簿暂时不可用", "The books cannot be reached")
    lang = language(request.query.get("lang"), request.headers.get("Accept-Language", ""))
    text = render(lang, shown, office.switches.faults.on, office.now(), office.zone)
    headers = SAFE | {"Vary": "Accept-Language", "Content-Language": lang}
    return web.Response(text=text, content_type="text/html", headers=headers)


async def get_static(request: web.Request) -> web.Response:
    """GET /static/{name}: the style sheets, nothing else."""
    octets = STATIC.get(request.match_info["name"])
    if octets is None:
        raise web.HTTPNotFound
    return web.Response(body=octets, content_type="text/css", charset="utf-8", headers={"Cache-Control": "max-age=300"})


ROUTES: Final = (web.get("/", get), web.get("/static/{name}", get_static))
