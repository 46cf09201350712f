"""HS_NAMESPACE: XML that says of a prefix whether it is in use and how its identifiers are made (handle manual §11).

XML of strangers is read without entities, without DTD, and within bounds. Nothing in it is carried out here.
"""

from dataclasses import dataclass, field
from typing import Final, Self
from xml.parsers import expat

from proto.errors import ProtoError

DEPTH_MOST: Final = 16
"""Elements within each other: templates nest a foreach, some ifs and a value."""
ELEMENTS_MOST: Final = 1024
"""Elements in all: deployed ones have up to thirty."""


def _wrong(zh: str, en: str) -> ProtoError:
    return ProtoError("HS_NAMESPACE", f"HS_NAMESPACE{zh}", f"HS_NAMESPACE {en}")


@dataclass(slots=True)
class Element:
    """One element: its attributes, what is in it, and the text in it that no other element holds."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def find(self, name: str) -> "Element | None":
        """The first child of this name."""
        return next((each for each in self.children if each.name == name), None)


def parse(octets: bytes, root: str) -> Element:
    """The element `root` that `octets` are. Raises ProtoError unless they are well-formed, without DTD, and bounded."""
    # Data of values is UTF-8 whatever it declares: other codings would be looked for among Python's.
    parser, open_ = expat.ParserCreate("UTF-8"), [Element("", {})]
    count = 0

    def opened(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(open_) > DEPTH_MOST or count > ELEMENTS_MOST:
            raise _wrong("的元素过多或过深", "has too many elements or too deep ones")
        element = Element(name, attributes)
        open_[-1].children.append(element)
        open_.append(element)

    def text(more: str) -> None:
        open_[-1].text += more

    def declared(*_: object) -> None:
        raise _wrong("不能含DTD", "must hold no DTD")

    parser.StartElementHandler = opened
    parser.EndElementHandler = lambda _: open_.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = declared
    parser.buffer_text = True
    try:
        parser.Parse(octets, True)
    except expat.ExpatError:
        raise _wrong("不是格式正确的XML", "is no well-formed XML") from None
    found = open_[0].children[0]
    if found.name != root:
        raise _wrong(f"的根元素应为{root}", f"must have the root element {root}")
    return found


@dataclass(frozen=True, slots=True)
class Namespace:
    """What an HS_NAMESPACE says: whether the prefix is in use, a message and a contact for people, and by which
    `delimiter` its template (`elements`) takes suffixes apart; None without template.
    """

    active: bool
    message: str
    contact: str
    delimiter: str | None
    elements: Element

    @classmethod
    def from_octets(cls, octets: bytes) -> Self:
        """Reads the data of an HS_NAMESPACE value. Raises ProtoError."""
        root = parse(octets, "namespace")
        template = root.find("template")
        delimiter = None if template is None else template.attributes.get("delimiter", "")
        active = _said(root, "status").lower() in {"", "active"}
        return cls(active, _said(root, "statusmsg"), _said(root, "contact"), delimiter, root)


def _said(root: Element, name: str) -> str:
    found = root.find(name)
    return found.text.strip() if found else ""
