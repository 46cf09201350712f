"""What IDHub's clients send and are told of templates (元数据) and values, in its own field names. Pure.

Its documents and samples differ in places; both are read (docs/idhub.md).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from node.listen.replies import Idhub
from node.listen.snms_words import UNREADABLE, sentence
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.value import Value
from registry.kinds import SEPARATOR, Kind, parts
from registry.template import RESERVED_SUFFIX, Item, State, Template

FILES_MOST: Final = 50
"""Files of one attribute; who says more gets so many (IDHub, `maxFileCount`)."""
TEXT_LENGTH: Final = 4000
NUMBER_LENGTH: Final = 38
"""Longest text and number where nothing is said (IDHub, `maxLength`)."""
DATE_FORMAT: Final = "YYYY-MM-DD"

AUDIO: Final = ("mp3", "wav", "wma", "aac", "flac", "ogg", "m4a")
VIDEO: Final = ("mp4", "avi", "mov", "wmv", "flv", "mkv", "webm", "mpeg", "mpg")
TYPES: Final[dict[int, tuple[str, Kind]]] = {
    1: ("字符型", "text"),
    2: ("数值型", "number"),
    3: ("日期型", "date"),
    4: ("文件型", "file"),
    5: ("引用类型", "reference"),
    6: ("音频", "file"),
    7: ("视频", "file"),
    8: ("图片", "picture"),
}
"""`dataType`; 6 and 7 are files that end as AUDIO and VIDEO say."""
_MEDIA: Final = {6: AUDIO, 7: VIDEO}
_NUMBERS: Final = {kind: number for number, (_, kind) in TYPES.items() if number not in _MEDIA}
FILE_TYPES: Final = {
    "1": ("txt",),
    "2": ("doc", "docx", "xps", "dot"),
    "3": ("xls", "xlsx", "xlsb", "xlsm", "csv"),
    "4": ("pdf",),
    "5": ("zip", "rar"),
}
"""`fileType`: groups of endings."""
OWN_SUFFIX: Final = "6"
"""The `fileType` of the endings named in `selfDefFileSuffix`."""
_ENDINGS: Final = re.compile(r"[;,，；\s]+")
_RANGE: Final = re.compile(r"\s*\[([^,\[\]]*),([^,\[\]]*)\]\s*")

ENABLED, DISABLED = 0, 1
"""`itemState`, the other way round than SNMS has it; 2 (not in force yet) counts as DISABLED."""


class IdhubError(Exception):
    """What a client is refused, with its code, sentence and data."""

    def __init__(self, code: Idhub, zh: str = "", data: Any = None) -> None:
        super().__init__(zh or code.zh)
        self.code = code
        self.data = data


def bound(name: str, zh: str) -> IdhubError:
    """The refusal of one field, in the form the documents show."""
    return IdhubError(Idhub.BIND, data={"errors": [{"name": name, "errorMsg": zh}]})


def decoded(body: bytes, kind: Any) -> Any:
    """The body as a `kind`. Raises IdhubError."""
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE as error:
        raise bound("body", sentence(error)) from None


def identifier(text: str | None, name: str) -> Identifier:
    """The identifier a client names as `name`. Quotation marks around it, as in a sample, are passed over."""
    try:
        return Identifier.parse((text or "").strip('"'))
    except ProtoError as error:
        raise IdhubError(Idhub.PARAMETERS, f"请求入参错误：{name}：{error.zh}") from None


def meta_key(text: str | None, name: str = "metaHandle") -> tuple[str, str]:
    """Prefix and version of the template whose own identifier is `text`."""
    named = identifier(text, name)
    if not named.suffix.startswith(RESERVED_SUFFIX):
        raise IdhubError(Idhub.META_ABSENT, f"{named}不是元数据标识：后缀应以{RESERVED_SUFFIX}开头")
    return named.prefix_key, named.suffix_key.removeprefix(RESERVED_SUFFIX)


# -- values of instances


class Attributes(msgspec.Struct):
    """`attributes` of an instance: texts, numbers or arrays of them by the English names of attributes."""

    content: dict[str, msgspec.Raw] = {}


class InstanceIn(msgspec.Struct, rename="camel"):
    """The body of /api/v1/doip; what it asks for may stand here instead of in the query."""

    target_id: str | None = None
    operation_id: str | None = None
    type: str | None = None
    attributes: Attributes = msgspec.field(default_factory=Attributes)


def _text(name: str, raw: msgspec.Raw) -> str:
    """What is written, as it is written: a number keeps its digits."""
    value = msgspec.json.decode(raw)
    if isinstance(value, list) and all(isinstance(each, str) and SEPARATOR not in each for each in value):
        return SEPARATOR.join(value)
    if isinstance(value, bool | list | dict):
        raise IdhubError(Idhub.META_INPUT, f"元数据输入项错误：{name}应为文本、数值或不含“{SEPARATOR}”的文本数组")
    return value if isinstance(value, str) else "" if value is None else bytes(raw).decode().strip()


def values(template: Template, content: Mapping[str, msgspec.Raw]) -> tuple[Value, ...]:
    """The values `content` gives under a template. Raises IdhubError for what its attributes do not allow at all."""
    items, given = {item.name: item for item in template.items}, []
    for name, raw in content.items():
        item = items.get(name)
        if item is None:
            raise IdhubError(Idhub.ITEM_FOREIGN, f"实体{name[:50]}不属于该元数据")
        if not item.enabled:
            raise IdhubError(Idhub.ITEM_DISABLED, f"实体{name}已禁用")
        try:
            given.append(Value(item.index, name, _text(name, raw).encode()))
        except (ProtoError, *UNREADABLE) as error:
            zh = error.zh if isinstance(error, ProtoError) else "不是有效的JSON"
            raise IdhubError(Idhub.META_INPUT, f"元数据输入项错误：{name}：{zh}") from None
    return tuple(given)


def elements(template: Template | None, shown: Sequence[Value]) -> list[dict[str, Any]]:
    """`attributes.elements` of an instance; one without value has no `data`, one that may have several an array."""
    items = template.by_index if template else {}
    return [_element(value, items.get(value.index)) for value in shown]


def _element(value: Value, item: Item | None) -> dict[str, Any]:
    text = value.data.decode(errors="replace")
    data: Any = parts(item, text) if item and item.count > 1 else text
    told = {"index": value.index, "type": value.type, "name": item.zh if item else value.type}
    return told | ({"data": data} if text else {}) | {"dataType": data_type(item) if item else 1}


# -- attributes, shown


def data_type(item: Item) -> int:
    """`dataType` of an attribute."""
    for number, endings in _MEDIA.items():
        if item.kind == "file" and item.extensions and set(item.extensions) <= set(endings):
            return number
    return _NUMBERS[item.kind]


def _schema(item: Item, said: Mapping[str, Any]) -> dict[str, Any]:
    number = data_type(item)
    shown: dict[str, Any] = {"dataType": number}
    if item.kind in {"text", "number"}:
        shown |= {"minLength": item.least, "maxLength": item.most}
    if item.kind == "text" and (wanted := said.get("charRange") or ",".join(item.choices)):
        shown["charRange"] = wanted
    if item.kind == "number":
        low, high = ("" if end is None else f"{end:.15g}" for end in (item.low, item.high))
        shown |= {"accuracy": item.accuracy} if item.accuracy is not None else {}
        shown |= {"numberRange": f"[{low},{high}]"} if low or high else {}
    if item.kind == "date":
        shown["dateFormat"] = DATE_FORMAT
    if item.kind in {"file", "picture"}:
        shown |= {"maxFileCount": item.count} | _file_types(item, number)
    if item.kind == "reference":
        shown["referenceType"] = 1 if item.count == 1 else 2
    return shown


def _file_types(item: Item, number: int) -> dict[str, Any]:
    if number in _MEDIA or not item.extensions:
        return {"fileRange": 1}
    groups = [code for code, endings in FILE_TYPES.items() if set(endings) <= set(item.extensions)]
    covered = {ending for code in groups for ending in FILE_TYPES[code]}
    own = [ending for ending in item.extensions if ending not in covered]
    shown = {"fileRange": 2, "fileType": ",".join(groups + [OWN_SUFFIX] * bool(own))}
    return shown | ({"selfDefFileSuffix": ";".join(own)} if own else {})


def _said(template: Template) -> dict[str, Any]:
    """What is kept of a template for this face alone: `code`, `classify`, `standard`, and of `items` by index."""
    found: dict[str, Any] = msgspec.json.decode(template.meta) if template.meta else {}
    return found


def _of_item(template: Template, item: Item) -> dict[str, Any]:
    kept: dict[str, Any] = _said(template).get("items", {}).get(str(item.index), {})
    return {"itemCode": item.name, "inputNecessary": 1, "listItemNecessary": 0} | kept


def _reference(template: Template, item: Item) -> dict[str, Any]:
    if not item.reference:
        return {}
    handle = _of_item(template, item).get("referenceMetaHandle")
    return {"referenceMetaHandle": handle or f"{template.prefix}/{RESERVED_SUFFIX}{item.reference}"}


def basic(template: Template) -> dict[str, Any]:
    """What IDHub tells of a template apart from its attributes; times are added by who knows the zone."""
    said, category = _said(template), template.category
    return {
        "metaName": template.zh,
        "metaCode": said.get("code") or template.version,
        "industry": "/".join((category.category, category.specific, category.trade, category.subclass)),
        "industryCategory": category.category,
        "industrySpecific": category.specific,
        "industryTrade": category.trade,
        "industrySubclass": category.subclass,
        "metaState": int(template.state is State.PUBLISHED),
        "metaContributor": template.prefix,
        "standard": said.get("standard", ""),
        "metaDesc": template.description,
        "isQuote": int(bool(template.origin)),
    }


def classify(template: Template) -> str:
    """`classifyCode` of a template."""
    return str(_said(template).get("classify") or UNCLASSIFIED)


UNCLASSIFIED: Final = "UN_CLASSIFIED"
"""The class of templates that say none (IDHub, 未分类)."""


def info(template: Template) -> dict[str, Any]:
    """`data` of /meta/info."""
    code = classify(template)
    return (
        {"classifyCode": code, "classifyName": class_name(code), "metaHandle": template.handle}
        | basic(template)
        | {"itemVOS": [_item_vo(template, item) for item in template.items]}
    )


def class_name(code: str) -> str:
    """What a class is called: as its code says, but for the one of those that have none."""
    return "未分类" if code == UNCLASSIFIED else code


def _item_vo(template: Template, item: Item) -> dict[str, Any]:
    said = _of_item(template, item)
    reference = _reference(template, item)
    return {
        "itemIndex": item.index,
        "itemCode": said["itemCode"],
        "englishName": item.name,
        "chineseName": item.zh,
        "itemState": ENABLED if item.enabled else DISABLED,
        "definition": said.get("definition", ""),
        "inputNecessary": said["inputNecessary"],
        "listItemNecessary": said["listItemNecessary"],
        "required": int(item.required),
        "uniqueField": int(item.unique),
        "comment": said.get("comment", ""),
        "itemSchemaVO": _schema(item, said),
    } | ({"itemReferenceVO": reference} if reference else {})


def retrieved(template: Template) -> dict[str, Any]:
    """`attributes.content` of a template that is retrieved."""
    said = {item.index: _of_item(template, item) for item in template.items}
    return {
        "basicInfo": basic(template),
        "itemInfos": [_item_info(template, item, said[item.index]) for item in template.items],
        "required": [item.name for item in template.required],
        "uniqueness": [item.name for item in template.unique.values()],
        "inputItem": [item.name for item in template.items if said[item.index]["inputNecessary"]],
        "listItem": [item.name for item in template.items if said[item.index]["listItemNecessary"]],
    }


def _item_info(template: Template, item: Item, said: Mapping[str, Any]) -> dict[str, Any]:
    schema, reference = _schema(item, said), _reference(template, item)
    return {
        "itemBasicInfo": {
            "itemIndex": item.index,
            "itemCode": said["itemCode"],
            "enName": item.name,
            "cnName": item.zh,
            "state": ENABLED if item.enabled else DISABLED,
        },
        "itemSchemaInfo": schema | {"dataTypeString": TYPES[schema["dataType"]][0]},
    } | ({"itemReferenceInfo": reference} if reference else {})
