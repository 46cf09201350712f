"""`Template` and its items: which attributes a record of a kind has. Frozen; the rules over them are pure.

Where templates come from (industries, the SNMS OpenAPI) and where they are kept is said elsewhere.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

from registry import kinds
from registry.form import Form
from registry.kinds import Kind
from registry.suffix import SuffixRule

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


@dataclass(frozen=True, slots=True)
class Item:
    """One attribute.

    `name` is the English name and the type of the handle value; `zh` the Chinese and `en` the English label.
    `least` and `most` bound the text in characters. `kind` is its type; what each takes is said in kinds.py: `low`,
    `high` and `accuracy` (digits after the point) are of numbers, `since` and `until` of dates, `extensions` of files
    and pictures, `choices` of texts and numbers; `count` values may be joined. `unit` is written beside the value
    (`mm`, `kWh`), `reference` is the template version a reference points to, `existing`: if it is to live here it must.
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


@dataclass(frozen=True)
class Template:
    """The attributes of one kind of thing under one prefix.

    `number` is its key in the registry (0 before it is kept), `epoch` grows with every change of it.
    `carrier` is 1 for 主动标识载体 and 2 for others (SNMS OpenAPI, `type`).
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

    @cached_property
    def by_index(self) -> dict[int, Item]:
        """Items by their index."""
        return {item.index: item for item in self.items}

    @cached_property
    def required(self) -> tuple[Item, ...]:
        """The items a record must have."""
        return tuple(item for item in self.items if item.required and item.enabled)

    @cached_property
    def form(self) -> Form:
        """The items compiled, for what is as they say."""
        return Form(self.items)

    @property
    def handle(self) -> str:
        """The template's own identifier; its suffix is reserved for it."""
        return f"{self.prefix}/META_{self.version}"
