"""A record to be shown, a page as a browser would see it, and rooms to ask: what tests of the pages and of their doors
stand on.

No test lives here.
"""

from collections.abc import Awaitable, Callable
from html.parser import HTMLParser
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from node.config import Config
from node.console.pages import Look
from node.gather import BusyError
from node.resolve.answer import Answer, Outcome
from proto.identifier import Identifier
from registry.access_log import NOWHERE, Source
from registry.errors import UnavailableError
from registry.template import Category, Item, Template

ZH, EN = Look("zh", False, "88.999"), Look("en", False, "88.999")
ZONE = ZoneInfo("Asia/Shanghai")
BAG = Identifier.parse("88.999.1001/BAG-2026-000017")
MOMENT = "2026-11-22T22:55:54Z"
TEMPLATE = Template(
    "88.999.1001",
    "leather-handbag",
    "手袋",
    "Handbag",
    "",
    Category("C", "19", "192", "1922"),
    2,
    (
        Item(2000, "productName", "产品名称", "Product name"),
        Item(2001, "colour", "颜色", "Colour"),
        Item(2002, "weight", "重量", unit="g"),
        Item(2003, "warrantyMonths", "质保期", "Warranty", unit="month"),
        Item(2004, "leatherBatch", "皮料批次", "Leather batch", reference="leather-batch"),
        Item(2005, "manual", "说明书", "Manual"),
    ),
    number=7,
    epoch=3,
)


class Page(HTMLParser):
    """What a browser would see: elements with attributes, and the text of each."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[int] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        if tag not in {"meta", "link", "input", "col", "wbr", "path", "rect"}:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"path", "rect"}:
            return
        assert self.elements[self._open.pop()][0] == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        for number in self._open:
            self.texts[number] += data

    def all(self, tag: str) -> list[str]:
        return [text for (name, _), text in zip(self.elements, self.texts, strict=True) if name == tag]

    def attributes(self, tag: str, name: str) -> list[str | None]:
        return [attrs[name] for each, attrs in self.elements if each == tag and name in attrs]

    def rows(self) -> dict[str, str]:
        labels = [
            text
            for (tag, attrs), text in zip(self.elements, self.texts, strict=True)
            if tag == "th" and attrs["scope"] == "row"
        ]
        return dict(zip(labels, self.all("td"), strict=True))

    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]


def shown(*values: tuple[int, str, object], format: str = "string") -> bytes:
    reserved = [(1000, "TEMPLATE_ID", "88.999.1001/META_leather-handbag"), (1001, "TEMPLATE", "leather-handbag")]
    return msgspec.json.encode(
        [
            {"index": 1000 + n, "type": t, "data": {"format": "string", "value": v}, "ttl": 86400, "timestamp": MOMENT}
            for n, (_, t, v) in enumerate(reserved)
        ]
        + [
            {"index": i, "type": t, "data": {"format": format, "value": v}, "ttl": 86400, "timestamp": MOMENT}
            for i, t, v in values
        ]
    )


WHOLE = shown(
    (2000, "productName", "云岫望舒托特包"),
    (2001, "colour", "曜石黑"),
    (2002, "weight", "856"),
    (2003, "warrantyMonths", "24"),
    (2004, "leatherBatch", "88.999.1001/LB-20260108-01; 88.999.1001/LB-20260109-01"),
    (2005, "manual", "https://example.com/a?b=1&c=2"),
    (9000, "extra", "没有模板项"),
)

Ask = Callable[..., Awaitable[web.Response]]


class Rooms:
    """What stands behind the doors here: answers by key, templates by number, and whether PostgreSQL is there."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer | Exception] = {
            str(BAG): Answer(Outcome.FOUND, 5, 1, 2, TEMPLATE.number, TEMPLATE.epoch, WHOLE),
            "88.999.1001/a/../b?c#d%": Answer(Outcome.FOUND, 1, 1, 2, 0, 0, b"[]"),
            "88.999.1001/GONE": Answer(Outcome.GONE, 2, 1, 2),
            "88.999.5001/X": Answer(Outcome.STOPPED, 1, 2, 2),
            "88.777.1/FOUND": Answer(Outcome.FOUND, 0, 0, 2, shown=shown((1, "productName", "别处的包")), until=2**40),
            "88.777.1/NEVER": Answer(Outcome.ABSENT, 0, 0, 2, until=2**40),
            "88.777.1/AWAY": Answer(Outcome.UNREACHABLE, 0, 0, 2, until=2**40),
            "88.999.1001/BUSY": BusyError("full"),
            "88.999.1001/AWAY": UnavailableError("gone"),
        }
        self.house = SimpleNamespace(config=Config(), hot=self, road=self, lookup=self)
        self.kind = TEMPLATE
        self.away = False
        self.onward = True

    async def ask(self, identifier: Identifier, *, onward: bool = True, source: Source = NOWHERE) -> Answer:
        self.onward = onward
        ours = identifier.prefix.startswith("88.999.")
        answer = self.answers.get(identifier.key, Answer(Outcome.ABSENT if ours else Outcome.FOREIGN, 0, 1, 2))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def template(self, number: int, epoch: int) -> Template | None:
        if self.away:
            raise UnavailableError("gone")
        return self.kind if (number, epoch) == (TEMPLATE.number, TEMPLATE.epoch) else None
