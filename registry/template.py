"""`Template` and its items: which attributes a record of a kind has. Frozen; the rules over them are pure.

Where templates come from (industries, the SNMS OpenAPI) and where they are kept is said elsewhere.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Final, Literal

from registry import kinds
from registry.form import Form
from registry.kinds import Kind
from registry.suffix import SuffixRule
from registry.upkeep import Cycle, Level, Sharing

Access = Literal["public", "partners", "internal"]
ACCESSES: Final[tuple[Access, ...]] = ("public", "partners", "internal")

ITEM_INDEX_FIRST: Final = 2000
"""Indexes of attributes begin here (SNMS OpenAPI v5, `idIndex`)."""
ITEMS_MOST: Final = 500
"""Most items of a template: ten times the richest template seen, small enough to check a batch of 2000 quickly."""
LENGTH_DEFAULT: Final = 255
"""Longest text of an attribute where its template says nothing (SNMS OpenAPI, `value`)."""
LENGTH_MOST: Final = 4096
"""Longest text a template may allow."""

RESERVED_SUFFIX: Final = "META_"
"""Suffixes beginning so belong to templates (`Template.handle`)."""


@dataclass(frozen=True, slots=True)
class Item:
    """One attribute.

    `name` is the English name and the type of the handle value; `zh` the Chinese and `en` the English label.
    `least` and `most` bound the text in characters. `kind` is its type; what each takes is said in kinds.py: `low`,
    `high` and `accuracy` (digits after the point) are of numbers, `since` and `until` of dates, `extensions` of files
    and pictures, `choices` of texts and numbers; `count` values may be joined. `unit` is written beside the value
    (`mm`, `kWh`), `reference` is the template version a reference points to, `existing`: if it is to live here it must.
    `unique`: no two live records of the template have the same. `redirect`: it holds the address at which browsers are
    shown the thing, instead of the node's own page.
    `sharing`, `level`, `responsible`, `cycle` and `upkept` are for the catalogue (upkeep.py).
    What is bounded as a number is one. What points to a template is a reference, and to several where no more is said:
    both were so before there were types.
    """

    index: int
    name: str
    zh: str
    en: str = ""
    required: bool = False
    enabled: bool = True
    least: int = 0
    most: int = LENGTH_DEFAULT
    low: float | None = None
    high: float | None = None
    unit: str = ""
    access: Access = "public"
    reference: str = ""
    kind: Kind = "text"
    accuracy: int | None = None
    since: str = ""
    until: str = ""
    choices: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    count: int = 1
    existing: bool = False
    unique: bool = False
    sharing: Sharing | Literal[""] = ""
    level: Level = "general"
    responsible: str = ""
    cycle: Cycle = "irregular"
    upkept: str = ""
    redirect: bool = False

    def __post_init__(self) -> None:
        if self.kind == "text" and (self.low is not None or self.high is not None):
            object.__setattr__(self, "kind", "number")
        elif self.kind == "text" and self.reference:
            object.__setattr__(self, "kind", "reference")
            object.__setattr__(self, "count", kinds.COUNT_MOST)

    def takes(self, text: str) -> bool:
        """Whether `text`, which is not empty, is as its type says."""
        takes = kinds.taker(self)
        return takes is None or takes(text)


@dataclass(frozen=True, slots=True)
class Category:
    """Where the kind stands in GB/T 4754: 门类, 大类, 中类, 小类, as codes."""

    category: str
    specific: str
    trade: str
    subclass: str


class State(IntEnum):
    """The life of a template; what each lets happen is said in drafting.py and rules.py."""

    DRAFT = 0
    PUBLISHED = 1
    WITHDRAWN = 2

    @property
    def zh(self) -> str:
        """The name people know it by."""
        return ("草稿", "已发布", "已撤回")[self]

    @property
    def en(self) -> str:
        """The same in English, which is also how clients say it."""
        return self.name.lower()


@dataclass(frozen=True)
class Template:
    """The attributes of one kind of thing under one prefix.

    `number` is its key in the registry (0 before it is kept), `epoch` grows with every change of it.
    `carrier` is 1 for 主动标识载体 and 2 for others (SNMS OpenAPI, `type`). `revision` counts the templates of its line
    from 1, `lineage` is the number of the first of them (0: this one), `origin` the identifier of what it was copied
    from; `created` and `updated` are seconds since 1970 UTC. `meta` is JSON: what the calls of IDHub say of it beyond
    all that.
    """

    prefix: str
    version: str
    zh: str
    en: str
    description: str
    category: Category
    carrier: int
    items: tuple[Item, ...]
    suffix: SuffixRule = field(default_factory=SuffixRule)
    number: int = 0
    epoch: int = 0
    state: State = State.PUBLISHED
    revision: int = 1
    lineage: int = 0
    origin: str = ""
    updated: int = field(default=0, compare=False)
    created: int = field(default=0, compare=False)
    meta: str = ""

    @property
    def line(self) -> int:
        """The number of the first template of its line."""
        return self.lineage or self.number

    @cached_property
    def by_index(self) -> dict[int, Item]:
        """Items by their index."""
        return {item.index: item for item in self.items}

    @cached_property
    def required(self) -> tuple[Item, ...]:
        """The items a record must have."""
        return tuple(item for item in self.items if item.required and item.enabled)

    @cached_property
    def references(self) -> dict[int, Item]:
        """The items that hold identifiers, by index; disabled ones, too: records may have them."""
        return {item.index: item for item in self.items if item.kind == "reference"}

    @cached_property
    def unique(self) -> dict[int, Item]:
        """The items of which no two live records have the same, by index; disabled ones, too: records may have them."""
        return {item.index: item for item in self.items if item.unique}

    @cached_property
    def redirect(self) -> Item | None:
        """The item that holds where browsers are sent, if one does."""
        return next((item for item in self.items if item.redirect and item.enabled), None)

    @cached_property
    def holds(self) -> bool:
        """Whether its records hold anything beyond themselves."""
        return bool(self.references or self.unique)

    @cached_property
    def strict(self) -> bool:
        """Whether some of what it points to must be there."""
        return any(item.existing for item in self.references.values())

    @cached_property
    def form(self) -> Form:
        """The items compiled, for what is as they say."""
        return Form(self.items)

    @property
    def handle(self) -> str:
        """The template's own identifier; its suffix is reserved for it."""
        return f"{self.prefix}/{RESERVED_SUFFIX}{self.version}"
