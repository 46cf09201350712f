from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PrefixState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PREFIX_STATE_UNSPECIFIED: _ClassVar[PrefixState]
    PREFIX_STATE_PENDING: _ClassVar[PrefixState]
    PREFIX_STATE_NORMAL: _ClassVar[PrefixState]
    PREFIX_STATE_REFUSED: _ClassVar[PrefixState]
    PREFIX_STATE_SUSPENDED: _ClassVar[PrefixState]

class OrderKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_KIND_UNSPECIFIED: _ClassVar[OrderKind]
    ORDER_KIND_SUSPEND_PREFIX: _ClassVar[OrderKind]
    ORDER_KIND_RESUME_PREFIX: _ClassVar[OrderKind]
    ORDER_KIND_VERIFY_ENTERPRISE: _ClassVar[OrderKind]
    ORDER_KIND_RELEASE_PREFIX: _ClassVar[OrderKind]

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_ACCEPTED: _ClassVar[Verdict]
    VERDICT_GAP: _ClassVar[Verdict]
    VERDICT_WRONG_HEAD: _ClassVar[Verdict]
    VERDICT_DIVERGED: _ClassVar[Verdict]
    VERDICT_NOT_YOURS: _ClassVar[Verdict]
    VERDICT_MALFORMED: _ClassVar[Verdict]

class TemplateState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TEMPLATE_STATE_UNSPECIFIED: _ClassVar[TemplateState]
    TEMPLATE_STATE_PUBLISHED: _ClassVar[TemplateState]
    TEMPLATE_STATE_WITHDRAWN: _ClassVar[TemplateState]
PREFIX_STATE_UNSPECIFIED: PrefixState
PREFIX_STATE_PENDING: PrefixState
PREFIX_STATE_NORMAL: PrefixState
PREFIX_STATE_REFUSED: PrefixState
PREFIX_STATE_SUSPENDED: PrefixState
ORDER_KIND_UNSPECIFIED: OrderKind
ORDER_KIND_SUSPEND_PREFIX: OrderKind
ORDER_KIND_RESUME_PREFIX: OrderKind
ORDER_KIND_VERIFY_ENTERPRISE: OrderKind
ORDER_KIND_RELEASE_PREFIX: OrderKind
VERDICT_UNSPECIFIED: Verdict
VERDICT_ACCEPTED: Verdict
VERDICT_GAP: Verdict
VERDICT_WRONG_HEAD: Verdict
VERDICT_DIVERGED: Verdict
VERDICT_NOT_YOURS: Verdict
VERDICT_MALFORMED: Verdict
TEMPLATE_STATE_UNSPECIFIED: TemplateState
TEMPLATE_STATE_PUBLISHED: TemplateState
TEMPLATE_STATE_WITHDRAWN: TemplateState

class SignedRequest(_message.Message):
    __slots__ = ("payload", "signature")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    signature: bytes
    def __init__(self, payload: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class RequestPayload(_message.Message):
    __slots__ = ("method", "shr_prefix", "made", "nonce", "fence", "request")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    SHR_PREFIX_FIELD_NUMBER: _ClassVar[int]
    MADE_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    method: str
    shr_prefix: str
    made: int
    nonce: bytes
    fence: int
    request: bytes
    def __init__(self, method: _Optional[str] = ..., shr_prefix: _Optional[str] = ..., made: _Optional[int] = ..., nonce: _Optional[bytes] = ..., fence: _Optional[int] = ..., request: _Optional[bytes] = ...) -> None: ...

class SignedResponse(_message.Message):
    __slots__ = ("payload", "signature")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    signature: bytes
    def __init__(self, payload: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class ResponsePayload(_message.Message):
    __slots__ = ("nonce", "result", "response")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    result: Result
    response: bytes
    def __init__(self, nonce: _Optional[bytes] = ..., result: _Optional[_Union[Result, _Mapping]] = ..., response: _Optional[bytes] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("code", "zh", "en")
    CODE_FIELD_NUMBER: _ClassVar[int]
    ZH_FIELD_NUMBER: _ClassVar[int]
    EN_FIELD_NUMBER: _ClassVar[int]
    code: int
    zh: str
    en: str
    def __init__(self, code: _Optional[int] = ..., zh: _Optional[str] = ..., en: _Optional[str] = ...) -> None: ...

class EnrolRequest(_message.Message):
    __slots__ = ("public_key", "name_zh", "name_en")
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_ZH_FIELD_NUMBER: _ClassVar[int]
    NAME_EN_FIELD_NUMBER: _ClassVar[int]
    public_key: bytes
    name_zh: str
    name_en: str
    def __init__(self, public_key: _Optional[bytes] = ..., name_zh: _Optional[str] = ..., name_en: _Optional[str] = ...) -> None: ...

class EnrolResponse(_message.Message):
    __slots__ = ("public_key",)
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    public_key: bytes
    def __init__(self, public_key: _Optional[bytes] = ...) -> None: ...

class Contact(_message.Message):
    __slots__ = ("name", "email", "phone")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    PHONE_FIELD_NUMBER: _ClassVar[int]
    name: str
    email: str
    phone: str
    def __init__(self, name: _Optional[str] = ..., email: _Optional[str] = ..., phone: _Optional[str] = ...) -> None: ...

class LegalPerson(_message.Message):
    __slots__ = ("name", "id_type", "id_no")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ID_TYPE_FIELD_NUMBER: _ClassVar[int]
    ID_NO_FIELD_NUMBER: _ClassVar[int]
    name: str
    id_type: int
    id_no: str
    def __init__(self, name: _Optional[str] = ..., id_type: _Optional[int] = ..., id_no: _Optional[str] = ...) -> None: ...

class Enterprise(_message.Message):
    __slots__ = ("ent_type", "ent_crt_code", "ent_name_cn", "ent_name_en", "ent_province_code", "ent_city_code", "ent_county_code", "ent_addr_cn", "ent_addr_en", "ent_web_site", "ent_desc", "contact", "legal_person", "ent_crt_type")
    ENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    ENT_CRT_CODE_FIELD_NUMBER: _ClassVar[int]
    ENT_NAME_CN_FIELD_NUMBER: _ClassVar[int]
    ENT_NAME_EN_FIELD_NUMBER: _ClassVar[int]
    ENT_PROVINCE_CODE_FIELD_NUMBER: _ClassVar[int]
    ENT_CITY_CODE_FIELD_NUMBER: _ClassVar[int]
    ENT_COUNTY_CODE_FIELD_NUMBER: _ClassVar[int]
    ENT_ADDR_CN_FIELD_NUMBER: _ClassVar[int]
    ENT_ADDR_EN_FIELD_NUMBER: _ClassVar[int]
    ENT_WEB_SITE_FIELD_NUMBER: _ClassVar[int]
    ENT_DESC_FIELD_NUMBER: _ClassVar[int]
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    LEGAL_PERSON_FIELD_NUMBER: _ClassVar[int]
    ENT_CRT_TYPE_FIELD_NUMBER: _ClassVar[int]
    ent_type: int
    ent_crt_code: str
    ent_name_cn: str
    ent_name_en: str
    ent_province_code: str
    ent_city_code: str
    ent_county_code: str
    ent_addr_cn: str
    ent_addr_en: str
    ent_web_site: str
    ent_desc: str
    contact: Contact
    legal_person: LegalPerson
    ent_crt_type: int
    def __init__(self, ent_type: _Optional[int] = ..., ent_crt_code: _Optional[str] = ..., ent_name_cn: _Optional[str] = ..., ent_name_en: _Optional[str] = ..., ent_province_code: _Optional[str] = ..., ent_city_code: _Optional[str] = ..., ent_county_code: _Optional[str] = ..., ent_addr_cn: _Optional[str] = ..., ent_addr_en: _Optional[str] = ..., ent_web_site: _Optional[str] = ..., ent_desc: _Optional[str] = ..., contact: _Optional[_Union[Contact, _Mapping]] = ..., legal_person: _Optional[_Union[LegalPerson, _Mapping]] = ..., ent_crt_type: _Optional[int] = ...) -> None: ...

class CheckEnterpriseRequest(_message.Message):
    __slots__ = ("ent_crt_code",)
    ENT_CRT_CODE_FIELD_NUMBER: _ClassVar[int]
    ent_crt_code: str
    def __init__(self, ent_crt_code: _Optional[str] = ...) -> None: ...

class CheckEnterpriseResponse(_message.Message):
    __slots__ = ("ent_id",)
    ENT_ID_FIELD_NUMBER: _ClassVar[int]
    ent_id: str
    def __init__(self, ent_id: _Optional[str] = ...) -> None: ...

class CreateEnterpriseRequest(_message.Message):
    __slots__ = ("enterprise",)
    ENTERPRISE_FIELD_NUMBER: _ClassVar[int]
    enterprise: Enterprise
    def __init__(self, enterprise: _Optional[_Union[Enterprise, _Mapping]] = ...) -> None: ...

class CreateEnterpriseResponse(_message.Message):
    __slots__ = ("ent_id",)
    ENT_ID_FIELD_NUMBER: _ClassVar[int]
    ent_id: str
    def __init__(self, ent_id: _Optional[str] = ...) -> None: ...

class UpdateEnterpriseRequest(_message.Message):
    __slots__ = ("ent_id", "enterprise", "partial")
    ENT_ID_FIELD_NUMBER: _ClassVar[int]
    ENTERPRISE_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    ent_id: str
    enterprise: Enterprise
    partial: bool
    def __init__(self, ent_id: _Optional[str] = ..., enterprise: _Optional[_Union[Enterprise, _Mapping]] = ..., partial: _Optional[bool] = ...) -> None: ...

class UpdateEnterpriseResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CheckPrefixRequest(_message.Message):
    __slots__ = ("prefix",)
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    def __init__(self, prefix: _Optional[str] = ...) -> None: ...

class CheckPrefixResponse(_message.Message):
    __slots__ = ("available", "yours", "state")
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    YOURS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    available: bool
    yours: bool
    state: PrefixState
    def __init__(self, available: _Optional[bool] = ..., yours: _Optional[bool] = ..., state: _Optional[_Union[PrefixState, str]] = ...) -> None: ...

class CreatePrefixRequest(_message.Message):
    __slots__ = ("ent_id", "prefix", "release")
    ENT_ID_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    ent_id: str
    prefix: str
    release: Release
    def __init__(self, ent_id: _Optional[str] = ..., prefix: _Optional[str] = ..., release: _Optional[_Union[Release, _Mapping]] = ...) -> None: ...

class Release(_message.Message):
    __slots__ = ("node", "number", "head", "made", "signature")
    NODE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    MADE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    node: str
    number: int
    head: bytes
    made: int
    signature: bytes
    def __init__(self, node: _Optional[str] = ..., number: _Optional[int] = ..., head: _Optional[bytes] = ..., made: _Optional[int] = ..., signature: _Optional[bytes] = ...) -> None: ...

class CreatePrefixResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PollRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PollResponse(_message.Message):
    __slots__ = ("count", "message")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    count: int
    message: Message
    def __init__(self, count: _Optional[int] = ..., message: _Optional[_Union[Message, _Mapping]] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("id", "made", "audit", "order")
    ID_FIELD_NUMBER: _ClassVar[int]
    MADE_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    id: int
    made: int
    audit: AuditResult
    order: Order
    def __init__(self, id: _Optional[int] = ..., made: _Optional[int] = ..., audit: _Optional[_Union[AuditResult, _Mapping]] = ..., order: _Optional[_Union[Order, _Mapping]] = ...) -> None: ...

class AuditResult(_message.Message):
    __slots__ = ("nonce", "ent_id", "prefix", "state", "reason_zh", "reason_en")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    ENT_ID_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_ZH_FIELD_NUMBER: _ClassVar[int]
    REASON_EN_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    ent_id: str
    prefix: str
    state: PrefixState
    reason_zh: str
    reason_en: str
    def __init__(self, nonce: _Optional[bytes] = ..., ent_id: _Optional[str] = ..., prefix: _Optional[str] = ..., state: _Optional[_Union[PrefixState, str]] = ..., reason_zh: _Optional[str] = ..., reason_en: _Optional[str] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("kind", "prefix", "ent_id", "reason_zh", "reason_en")
    KIND_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    ENT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_ZH_FIELD_NUMBER: _ClassVar[int]
    REASON_EN_FIELD_NUMBER: _ClassVar[int]
    kind: OrderKind
    prefix: str
    ent_id: str
    reason_zh: str
    reason_en: str
    def __init__(self, kind: _Optional[_Union[OrderKind, str]] = ..., prefix: _Optional[str] = ..., ent_id: _Optional[str] = ..., reason_zh: _Optional[str] = ..., reason_en: _Optional[str] = ...) -> None: ...

class AcknowledgeRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class AcknowledgeResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class Route(_message.Message):
    __slots__ = ("prefix", "serial", "address", "tcp_port", "udp_port", "http_port")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TCP_PORT_FIELD_NUMBER: _ClassVar[int]
    UDP_PORT_FIELD_NUMBER: _ClassVar[int]
    HTTP_PORT_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    serial: int
    address: str
    tcp_port: int
    udp_port: int
    http_port: int
    def __init__(self, prefix: _Optional[str] = ..., serial: _Optional[int] = ..., address: _Optional[str] = ..., tcp_port: _Optional[int] = ..., udp_port: _Optional[int] = ..., http_port: _Optional[int] = ...) -> None: ...

class PutRouteRequest(_message.Message):
    __slots__ = ("route",)
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    route: Route
    def __init__(self, route: _Optional[_Union[Route, _Mapping]] = ...) -> None: ...

class PutRouteResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StandingRequest(_message.Message):
    __slots__ = ("after",)
    AFTER_FIELD_NUMBER: _ClassVar[int]
    after: str
    def __init__(self, after: _Optional[str] = ...) -> None: ...

class StandingResponse(_message.Message):
    __slots__ = ("places",)
    PLACES_FIELD_NUMBER: _ClassVar[int]
    places: _containers.RepeatedCompositeFieldContainer[Place]
    def __init__(self, places: _Optional[_Iterable[_Union[Place, _Mapping]]] = ...) -> None: ...

class Place(_message.Message):
    __slots__ = ("prefix", "sub", "number", "head")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    SUB_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    sub: int
    number: int
    head: bytes
    def __init__(self, prefix: _Optional[str] = ..., sub: _Optional[int] = ..., number: _Optional[int] = ..., head: _Optional[bytes] = ...) -> None: ...

class PushChangesRequest(_message.Message):
    __slots__ = ("streams",)
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    streams: _containers.RepeatedCompositeFieldContainer[Stream]
    def __init__(self, streams: _Optional[_Iterable[_Union[Stream, _Mapping]]] = ...) -> None: ...

class Stream(_message.Message):
    __slots__ = ("prefix", "sub", "changes")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    SUB_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    sub: int
    changes: _containers.RepeatedCompositeFieldContainer[Change]
    def __init__(self, prefix: _Optional[str] = ..., sub: _Optional[int] = ..., changes: _Optional[_Iterable[_Union[Change, _Mapping]]] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("number", "made", "head", "entries")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    MADE_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    number: int
    made: int
    head: bytes
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    def __init__(self, number: _Optional[int] = ..., made: _Optional[int] = ..., head: _Optional[bytes] = ..., entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ...) -> None: ...

class Entry(_message.Message):
    __slots__ = ("suffix", "version", "kind", "template", "digest")
    SUFFIX_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    suffix: str
    version: int
    kind: int
    template: str
    digest: bytes
    def __init__(self, suffix: _Optional[str] = ..., version: _Optional[int] = ..., kind: _Optional[int] = ..., template: _Optional[str] = ..., digest: _Optional[bytes] = ...) -> None: ...

class PushChangesResponse(_message.Message):
    __slots__ = ("receipts",)
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    receipts: _containers.RepeatedCompositeFieldContainer[Receipt]
    def __init__(self, receipts: _Optional[_Iterable[_Union[Receipt, _Mapping]]] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("place", "verdict", "zh", "en")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    ZH_FIELD_NUMBER: _ClassVar[int]
    EN_FIELD_NUMBER: _ClassVar[int]
    place: Place
    verdict: Verdict
    zh: str
    en: str
    def __init__(self, place: _Optional[_Union[Place, _Mapping]] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., zh: _Optional[str] = ..., en: _Optional[str] = ...) -> None: ...

class Template(_message.Message):
    __slots__ = ("prefix", "version", "epoch", "state", "revision", "line", "origin", "name_zh", "name_en", "description", "category", "carrier", "items")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    NAME_ZH_FIELD_NUMBER: _ClassVar[int]
    NAME_EN_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    CARRIER_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    version: str
    epoch: int
    state: TemplateState
    revision: int
    line: str
    origin: str
    name_zh: str
    name_en: str
    description: str
    category: _containers.RepeatedScalarFieldContainer[str]
    carrier: int
    items: _containers.RepeatedCompositeFieldContainer[TemplateItem]
    def __init__(self, prefix: _Optional[str] = ..., version: _Optional[str] = ..., epoch: _Optional[int] = ..., state: _Optional[_Union[TemplateState, str]] = ..., revision: _Optional[int] = ..., line: _Optional[str] = ..., origin: _Optional[str] = ..., name_zh: _Optional[str] = ..., name_en: _Optional[str] = ..., description: _Optional[str] = ..., category: _Optional[_Iterable[str]] = ..., carrier: _Optional[int] = ..., items: _Optional[_Iterable[_Union[TemplateItem, _Mapping]]] = ...) -> None: ...

class TemplateItem(_message.Message):
    __slots__ = ("index", "name", "zh", "en", "kind", "required", "enabled", "access", "rules")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ZH_FIELD_NUMBER: _ClassVar[int]
    EN_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    index: int
    name: str
    zh: str
    en: str
    kind: str
    required: bool
    enabled: bool
    access: str
    rules: str
    def __init__(self, index: _Optional[int] = ..., name: _Optional[str] = ..., zh: _Optional[str] = ..., en: _Optional[str] = ..., kind: _Optional[str] = ..., required: _Optional[bool] = ..., enabled: _Optional[bool] = ..., access: _Optional[str] = ..., rules: _Optional[str] = ...) -> None: ...

class PushTemplatesRequest(_message.Message):
    __slots__ = ("templates",)
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    templates: _containers.RepeatedCompositeFieldContainer[Template]
    def __init__(self, templates: _Optional[_Iterable[_Union[Template, _Mapping]]] = ...) -> None: ...

class PushTemplatesResponse(_message.Message):
    __slots__ = ("refused",)
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    refused: _containers.RepeatedCompositeFieldContainer[RefusedTemplate]
    def __init__(self, refused: _Optional[_Iterable[_Union[RefusedTemplate, _Mapping]]] = ...) -> None: ...

class RefusedTemplate(_message.Message):
    __slots__ = ("place", "zh", "en")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    ZH_FIELD_NUMBER: _ClassVar[int]
    EN_FIELD_NUMBER: _ClassVar[int]
    place: int
    zh: str
    en: str
    def __init__(self, place: _Optional[int] = ..., zh: _Optional[str] = ..., en: _Optional[str] = ...) -> None: ...

class Window(_message.Message):
    __slots__ = ("prefix", "start", "seconds", "registered_total", "registered", "updated", "deleted", "resolved", "resolve_failed")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_FIELD_NUMBER: _ClassVar[int]
    UPDATED_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_FIELD_NUMBER: _ClassVar[int]
    RESOLVE_FAILED_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    start: int
    seconds: int
    registered_total: int
    registered: int
    updated: int
    deleted: int
    resolved: int
    resolve_failed: int
    def __init__(self, prefix: _Optional[str] = ..., start: _Optional[int] = ..., seconds: _Optional[int] = ..., registered_total: _Optional[int] = ..., registered: _Optional[int] = ..., updated: _Optional[int] = ..., deleted: _Optional[int] = ..., resolved: _Optional[int] = ..., resolve_failed: _Optional[int] = ...) -> None: ...

class ReportStatisticsRequest(_message.Message):
    __slots__ = ("windows",)
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    windows: _containers.RepeatedCompositeFieldContainer[Window]
    def __init__(self, windows: _Optional[_Iterable[_Union[Window, _Mapping]]] = ...) -> None: ...

class ReportStatisticsResponse(_message.Message):
    __slots__ = ("refused",)
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    refused: _containers.RepeatedCompositeFieldContainer[RefusedWindow]
    def __init__(self, refused: _Optional[_Iterable[_Union[RefusedWindow, _Mapping]]] = ...) -> None: ...

class RefusedWindow(_message.Message):
    __slots__ = ("place", "zh", "en")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    ZH_FIELD_NUMBER: _ClassVar[int]
    EN_FIELD_NUMBER: _ClassVar[int]
    place: int
    zh: str
    en: str
    def __init__(self, place: _Optional[int] = ..., zh: _Optional[str] = ..., en: _Optional[str] = ...) -> None: ...

class HeartbeatRequest(_message.Message):
    __slots__ = ("version", "machine", "started", "oldest_unreceipted", "unreceipted", "iiidap")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    OLDEST_UNRECEIPTED_FIELD_NUMBER: _ClassVar[int]
    UNRECEIPTED_FIELD_NUMBER: _ClassVar[int]
    IIIDAP_FIELD_NUMBER: _ClassVar[int]
    version: str
    machine: str
    started: int
    oldest_unreceipted: int
    unreceipted: int
    iiidap: str
    def __init__(self, version: _Optional[str] = ..., machine: _Optional[str] = ..., started: _Optional[int] = ..., oldest_unreceipted: _Optional[int] = ..., unreceipted: _Optional[int] = ..., iiidap: _Optional[str] = ...) -> None: ...

class HeartbeatResponse(_message.Message):
    __slots__ = ("messages",)
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    messages: int
    def __init__(self, messages: _Optional[int] = ...) -> None: ...
