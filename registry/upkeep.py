"""What the catalogue of data resources (数据资源目录) says of an attribute: how it is shared, how much it matters, who
keeps it up, how often, and whether that is overdue. Pure.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, Literal

from registry.kinds import is_date

if TYPE_CHECKING:
    from registry.template import Access, Item

Sharing = Literal["unconditional", "conditional", "none"]
Level = Literal["general", "important", "core"]
Cycle = Literal["irregular", "daily", "weekly", "monthly", "quarterly", "yearly"]

SHARINGS: Final[dict[Sharing, tuple[str, str]]] = {
    "unconditional": ("无条件共享", "shared unconditionally"),
    "conditional": ("有条件共享", "shared on conditions"),
    "none": ("不予共享", "not shared"),
}
LEVELS: Final[dict[Level, tuple[str, str]]] = {
    "general": ("一般", "general"),
    "important": ("重要", "important"),
    "core": ("核心", "core"),
}
CYCLES: Final[dict[Cycle, tuple[str, str]]] = {
    "irregular": ("不定期", "irregular"),
    "daily": ("每日", "daily"),
    "weekly": ("每周", "weekly"),
    "monthly": ("每月", "monthly"),
    "quarterly": ("每季度", "quarterly"),
    "yearly": ("每年", "yearly"),
}
ACCESS_WORDS: Final[dict["Access", tuple[str, str]]] = {
    "public": ("公开", "public"),
    "partners": ("伙伴", "partners"),
    "internal": ("内部", "internal"),
}
_DAYS: Final[dict[Cycle, int]] = {"daily": 1, "weekly": 7, "monthly": 31, "quarterly": 92, "yearly": 366}
"""Days after which what is kept up in such a cycle is overdue: the longest such a span is."""
_USUAL: Final[dict["Access", Sharing]] = {"public": "unconditional", "partners": "conditional", "internal": "none"}
RESPONSIBLE_CHARACTERS: Final = 128


def sharing(item: "Item") -> Sharing:
    """How an attribute is shared: as it says, else as its class of access lets expect."""
    return item.sharing or _USUAL[item.access]


def upkept(item: "Item", changed: date) -> date:
    """When it was last kept up: as it says, else when its template was `changed`."""
    return date.fromisoformat(item.upkept) if item.upkept else changed


def overdue(item: "Item", changed: date, today: date) -> bool:
    """Whether its upkeep is overdue."""
    days = _DAYS.get(item.cycle)
    return days is not None and upkept(item, changed) < today - timedelta(days)


def flaws(item: "Item") -> Iterable[tuple[str, str, str]]:
    """What is wrong with what an attribute says of this: field, and the rule it breaks in Chinese and English."""
    among = (
        ("sharing", item.sharing, ("", *SHARINGS)),
        ("level", item.level, tuple(LEVELS)),
        ("cycle", item.cycle, tuple(CYCLES)),
    )
    rows = (
        *(
            (
                name,
                said in known,
                f"应为{'、'.join(filter(None, known))}之一",
                f"must be one of {', '.join(filter(None, known))}",
            )
            for name, said, known in among
        ),
        (
            "sharing",
            not (item.sharing == "none" and item.access == "public"),
            "为none（不予共享）的属性不能公开",
            "none cannot be said of a public attribute",
        ),
        (
            "level",
            not (item.level == "core" and item.access == "public"),
            "为core（核心）的属性不能公开",
            "core cannot be said of a public attribute",
        ),
        (
            "responsible",
            len(item.responsible) <= RESPONSIBLE_CHARACTERS
            and (not item.responsible or item.responsible.isprintable()),
            f"最长{RESPONSIBLE_CHARACTERS}个可打印字符",
            f"must have at most {RESPONSIBLE_CHARACTERS} printable characters",
        ),
        (
            "upkept",
            not item.upkept or is_date(item.upkept),
            "应为写作yyyy-MM-dd的日期",
            "must be a date written yyyy-MM-dd",
        ),
    )
    return ((field, zh, en) for field, kept, zh, en in rows if not kept)
