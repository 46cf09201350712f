"""What IDHub's clients send and are told of templates (元数据) and values, in its own field names. Pure.

Its documents and samples differ in places; both are read (docs/idhub.md).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from node.listen.replies import Idhub
from node.listen.snms_words import UNREADABLE, sentence
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.value import Value
from registry.granting import TAKEN_BACK, Notice
from registry.kinds import COUNT_MOST, SEPARATOR, Kind, as_number, parts
from registry.rules import Refused
from registry.template import ITEM_INDEX_FIRST, LENGTH_MOST, RESERVED_SUFFIX, Category, Item, State, Template

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

    content: dict[str, msgspec.Raw] | None = None


class InstanceIn(msgspec.Struct, rename="camel"):
    """The body of /api/v1/doip; what it asks for may stand here instead of in the query.

    The SDK writes null where it has nothing to say.
    """

    target_id: str | None = None
    operation_id: str | None = None
    type: str | None = None
    attributes: Attributes | None = None

    @property
    def content(self) -> Mapping[str, msgspec.Raw]:
        """The values that are given, by the English names of attributes."""
        return (self.attributes and self.attributes.content) or {}


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


def outward(template: Template) -> Template:
    """What is left for strangers of what is kept for this face: as drafting.outward, of public attributes alone."""
    if not template.meta:
        return template
    said = _said(template)
    public = {str(item.index) for item in template.items if item.access == "public"}
    said["items"] = {index: of_item for index, of_item in said.get("items", {}).items() if index in public}
    return replace(template, meta=_kept(said))


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


# -- notices of grants

_SUBJECTS: Final = ("元数据", "实例数据", "同类数据")
"""Of `messageTitleType` 1, 2, 3."""


def notice(told: Notice) -> dict[str, Any]:
    """A notice of /message/appMessage; its time is added by who knows the zone."""
    back = told.title > TAKEN_BACK
    subject = _SUBJECTS[told.title - 1 - TAKEN_BACK * back]
    done = f"移除了向您授权的{subject}" if back else f"已向您授权{subject}"
    return {
        "id": told.number,
        "messageTitleType": told.title,
        "messageType": 2 if back else 1,
        "messageDetail": f"{told.enterprise}{done}：{told.handle}的{'编辑' if told.edit else '查看'}权限。",
    }


# -- attributes, read

Number = int | str | None
"""A whole number; samples write some of them as strings."""


class SchemaIn(msgspec.Struct, rename="camel"):
    """What the values of an attribute are."""

    data_type: Number = None
    min_length: Number = None
    max_length: Number = None
    char_range: str | None = None
    accuracy: Number = None
    number_range: str | None = None
    date_format: str | None = None
    max_file_count: Number = None
    file_range: Number = None
    file_type: str | None = None
    self_def_file_suffix: str | None = None
    reference_type: Number = None


class ReferenceIn(msgspec.Struct, rename="camel"):
    """What a reference points to."""

    reference_meta_handle: str | None = None


class ItemIn(msgspec.Struct, rename="camel"):
    """One attribute."""

    item_index: Number = None
    item_code: str | None = None
    english_name: str | None = None
    chinese_name: str | None = None
    definition: str | None = None
    input_necessary: Number = None
    list_item_necessary: Number = None
    required: Number = None
    unique_field: Number = None
    comment: str | None = None
    item_state: Number = None
    schema: SchemaIn = msgspec.field(default_factory=SchemaIn, name="itemSchemaCreateDTO")
    reference: ReferenceIn | None = msgspec.field(default=None, name="itemReferenceDTO")


class MetaIn(msgspec.Struct, rename="camel"):
    """A template, or what is to be changed of it; `metaHanlde` is how a table spells it."""

    classify_code: str | None = None
    meta_handle: str | None = None
    meta_hanlde: str | None = None
    meta_name: str | None = None
    meta_code: str | None = None
    industry_category: str | None = None
    industry_specific: str | None = None
    industry_trade: str | None = None
    industry_subclass: str | None = None
    standard: str | None = None
    meta_desc: str | None = None
    items: list[ItemIn] | None = msgspec.field(default=None, name="metaItemCreateDTOS")
    changed: list[ItemIn] | None = msgspec.field(default=None, name="metaItemDTOS")


TEXTS: Final = {
    "classify_code": ("classifyCode", 100),
    "meta_name": ("metaName", 100),
    "meta_code": ("metaCode", 100),
    "standard": ("standard", 200),
    "meta_desc": ("metaDesc", 1000),
    "item_code": ("itemCode", 50),
    "english_name": ("englishName", 50),
    "chinese_name": ("chineseName", 50),
    "definition": ("definition", 200),
    "comment": ("comment", 200),
}
"""Fields that are text: what clients call them, and the longest there may be."""
NEEDED: Final = frozenset({"classify_code", "meta_name", "meta_code", "item_code", "english_name", "chinese_name"})


def _text_of(given: Any, field: str, where: str = "") -> str:
    name, most = TEXTS[field]
    text = str(getattr(given, field) or "")
    if field in NEEDED and not text:
        raise bound(where + name, f"{name}不能为空")
    if len(text) > most or "\0" in text:
        raise bound(where + name, f"{name}最长{most}个字符，不含U+0000")
    return text


def whole(given: Number, name: str, low: int, high: int, usual: int | None = None) -> int:
    """A whole number of a request. Raises IdhubError."""
    if given is None or given == "":
        if usual is None:
            raise bound(name, f"{name}不能为空")
        return usual
    try:
        number = int(given)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise bound(name, f"{name}应为{low}到{high}之间的整数")
    return number


def _lengths(schema: SchemaIn, where: str, most: int) -> dict[str, Any]:
    return {
        "least": whole(schema.min_length, f"{where}minLength", 0, LENGTH_MOST, 0),
        "most": whole(schema.max_length, f"{where}maxLength", 1, LENGTH_MOST, most),
    }


def _texts(schema: SchemaIn, where: str) -> dict[str, Any]:
    return _lengths(schema, where, TEXT_LENGTH)


def _numbers(schema: SchemaIn, where: str) -> dict[str, Any]:
    accuracy = None if schema.accuracy in {None, ""} else whole(schema.accuracy, f"{where}accuracy", 0, 15)
    low = high = None
    if schema.number_range:
        ends = _RANGE.fullmatch(schema.number_range)
        low, high = (as_number(end.strip()) for end in ends.groups()) if ends else (None, None)
        if ends is None or any(end.strip() and as_number(end.strip()) is None for end in ends.groups()):
            raise bound(f"{where}numberRange", "numberRange应写作[1,10]，两端都包含，一端可空")
    return _lengths(schema, where, NUMBER_LENGTH) | {"accuracy": accuracy, "low": low, "high": high}


def _dates(schema: SchemaIn, where: str) -> dict[str, Any]:
    if (schema.date_format or DATE_FORMAT).upper() != DATE_FORMAT:
        raise bound(f"{where}dateFormat", f"dateFormat只支持{DATE_FORMAT}")
    return {}


def _files(schema: SchemaIn, where: str) -> dict[str, Any]:
    endings: list[str] = []
    for code in _ENDINGS.split(schema.file_type or ""):
        if code and code != OWN_SUFFIX and code not in FILE_TYPES:
            raise bound(f"{where}fileType", f"fileType应为{'、'.join(FILE_TYPES)}、{OWN_SUFFIX}中的若干个，以逗号分隔")
        endings += FILE_TYPES.get(code, ())
    endings += [ending.lower().lstrip(".") for ending in _ENDINGS.split(schema.self_def_file_suffix or "") if ending]
    anything = whole(schema.file_range, f"{where}fileRange", 1, 2, 2) == 1
    count = min(whole(schema.max_file_count, f"{where}maxFileCount", 1, 2**31, 1), FILES_MOST)
    return {"extensions": () if anything else tuple(dict.fromkeys(endings)), "count": count, "most": LENGTH_MOST}


def _references(schema: SchemaIn, where: str) -> dict[str, Any]:
    several = whole(schema.reference_type, f"{where}referenceType", 1, 2, 1) == 2
    return {"count": COUNT_MOST if several else 1, "most": LENGTH_MOST}


_SCHEMAS: Final[dict[Kind, Callable[[SchemaIn, str], dict[str, Any]]]] = {
    "text": _texts,
    "number": _numbers,
    "date": _dates,
    "file": _files,
    "picture": _files,
    "reference": _references,
}


def _item(given: ItemIn, index: int, old: Item | None, where: str) -> tuple[Item, dict[str, Any]]:
    """An attribute, and what of it is kept for this face alone. What we know of an older one beyond this, stays."""
    schema = f"{where}itemSchemaCreateDTO."
    number = whole(given.schema.data_type, f"{schema}dataType", 1, 8)
    kind = TYPES[number][1]
    fields = _SCHEMAS[kind](given.schema, schema)
    if number in _MEDIA:
        fields["extensions"] = _MEDIA[number]
    said: dict[str, Any] = {
        "itemCode": _text_of(given, "item_code", where),
        "definition": _text_of(given, "definition", where),
        "comment": _text_of(given, "comment", where),
        "inputNecessary": whole(given.input_necessary, f"{where}inputNecessary", 0, 1, 1),
        "listItemNecessary": whole(given.list_item_necessary, f"{where}listItemNecessary", 0, 1, 0),
        "charRange": (given.schema.char_range or "")[:LENGTH_MOST],
    }
    if kind == "reference":
        target = given.reference.reference_meta_handle if given.reference else None
        fields["reference"] = meta_key(target, f"{where}itemReferenceDTO.referenceMetaHandle")[1]
        said["referenceMetaHandle"] = target
    base = (
        old if old is not None and old.kind == kind else Item(index, "", "", access=old.access if old else "partners")
    )
    return replace(
        base,
        name=_text_of(given, "english_name", where),
        zh=_text_of(given, "chinese_name", where),
        required=bool(whole(given.required, f"{where}required", 0, 1, 0)),
        unique=bool(whole(given.unique_field, f"{where}uniqueField", 0, 1, 0)),
        enabled=whole(given.item_state, f"{where}itemState", 0, 2, ENABLED) == ENABLED,
        kind=kind,
        **fields,
    ), {name: value for name, value in said.items() if value != ""}


def with_items(kept: Template, given: Sequence[ItemIn], field: str) -> Template:
    """`kept` with these attributes: each takes the place of that of its index, else of its name, else is new."""
    items, said = dict(kept.by_index), _said(kept)
    of_items = said.setdefault("items", {})
    for n, entry in enumerate(given):
        where = f"{field}[{n}]."
        same = next((item.index for item in items.values() if item.name == entry.english_name), None)
        after = max(items, default=ITEM_INDEX_FIRST - 1) + 1
        index = whole(entry.item_index, f"{where}itemIndex", ITEM_INDEX_FIRST, 2**31 - 1, same or after)
        items[index], of_items[str(index)] = _item(entry, index, items.get(index), where)
    return replace(kept, items=tuple(items[index] for index in sorted(items)), meta=_kept(said))


def _kept(said: Mapping[str, Any]) -> str:
    return msgspec.json.encode(said).decode()


def with_basics(kept: Template, given: MetaIn) -> Template:
    """`kept` with the particulars `given` has. Raises IdhubError."""
    codes = (given.industry_category, given.industry_specific, given.industry_trade, given.industry_subclass)
    said = _said(kept) | {
        "code": _text_of(given, "meta_code"),
        "classify": _class_of(given),
        "standard": _text_of(given, "standard"),
    }
    return replace(
        kept,
        zh=_text_of(given, "meta_name"),
        description=_text_of(given, "meta_desc"),
        category=Category(*(code or "" for code in codes)),
        meta=_kept(said),
    )


def _class_of(given: MetaIn) -> str:
    code = _text_of(given, "classify_code")
    return "" if code == UNCLASSIFIED else code


def created(given: MetaIn, prefix: str) -> Template:
    """The template, still a draft, that `given` describes: called as its metaHandle says, else its metaCode."""
    version = _text_of(given, "meta_code")
    if given.meta_handle:
        prefix, version = meta_key(given.meta_handle)
    blank = Template(prefix, version, "", "", "", Category("", "", "", ""), 2, (), state=State.DRAFT)
    return with_items(with_basics(blank, given), given.items or (), "metaItemCreateDTOS")


def copied(copy: Template, given: MetaIn) -> Template:
    """A copy with its own code and class."""
    said = _said(copy) | {"code": _text_of(given, "meta_code"), "classify": _class_of(given)}
    return replace(copy, meta=_kept(said))


_FIELDS: Final = (
    ("items", "metaItemCreateDTOS"),
    (".name", ".englishName"),
    (".zh", ".chineseName"),
    ("category.category", "industryCategory"),
    ("category.specific", "industrySpecific"),
    ("category.trade", "industryTrade"),
    ("category.subclass", "industrySubclass"),
    ("version", "metaCode"),
    ("zh", "metaName"),
    ("description", "metaDesc"),
)


def refused(refusal: Refused, code: Idhub = Idhub.BIND) -> IdhubError:
    """A refusal of drafting.py; that of a field under the name the client knows it by."""
    if code is not Idhub.BIND:
        return IdhubError(code, refusal.zh)
    name = refusal.field
    for ours, theirs in _FIELDS:
        name = name.replace(ours, theirs) if ours in name else name
    return bound(name, refusal.zh)
