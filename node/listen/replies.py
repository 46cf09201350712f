"""The one table of what each outcome is called on each face: HTTP status, response code, sentence.

Nothing is decided here; whoever wonders which status a client sees looks here only.
"""

from enum import IntEnum
from typing import Final

from node.resolve.answer import Answer, Outcome
from proto.codes import ResponseCode
from proto.web_json import failed, found
from registry.rules import Rule

HANDLE_STATUS: Final = {
    Outcome.FOUND: 200,
    Outcome.ABSENT: 404,
    Outcome.GONE: 404,
    Outcome.STOPPED: 400,
    Outcome.FOREIGN: 400,
    Outcome.UNREACHABLE: 502,
}
"""HTTP status of the Handle HTTP API and of the JSON of /{identifier}."""

REFUSED_CODE: Final[dict[Rule, ResponseCode]] = {
    Rule.EXISTS: ResponseCode.HANDLE_ALREADY_EXISTS,
    Rule.ABSENT: ResponseCode.HANDLE_NOT_FOUND,
    Rule.FOREIGN_PREFIX: ResponseCode.SERVER_NOT_RESPONSIBLE,
    Rule.PREFIX_CLOSED: ResponseCode.SERVER_NOT_RESPONSIBLE,
    Rule.PERMISSION: ResponseCode.INSUFFICIENT_PERMISSIONS,
    Rule.TEMPLATE: ResponseCode.INVALID_VALUE,
    Rule.SUFFIX: ResponseCode.INVALID_HANDLE,
    Rule.INDEX: ResponseCode.INVALID_VALUE,
    Rule.TYPE: ResponseCode.INVALID_VALUE,
    Rule.VALUE: ResponseCode.INVALID_VALUE,
    Rule.REQUIRED: ResponseCode.INVALID_VALUE,
    Rule.DELETED: ResponseCode.INVALID_HANDLE,
    Rule.INDEX_TAKEN: ResponseCode.VALUE_ALREADY_EXISTS,
    Rule.INDEX_ABSENT: ResponseCode.VALUES_NOT_FOUND,
    Rule.CONTENDED: ResponseCode.SERVER_BUSY,
    Rule.QUOTA_IDENTIFIERS: ResponseCode.REGISTRATION_LIMIT,
    Rule.QUOTA_ROOM: ResponseCode.PREFIX_LIMIT,
}
"""The response code of a write that is refused, by the rule it comes from."""

CODE_STATUS: Final = (
    {
        ResponseCode.SUCCESS: 200,
        ResponseCode.SERVER_BUSY: 503,
        ResponseCode.OPERATION_NOT_SUPPORTED: 501,
        ResponseCode.HANDLE_NOT_FOUND: 404,
        ResponseCode.AUTHENTICATION_NEEDED: 401,
    }
    | dict.fromkeys((ResponseCode.SERVICE_REFERRAL, ResponseCode.PREFIX_REFERRAL), 300)
    | dict.fromkeys((ResponseCode.HANDLE_ALREADY_EXISTS, ResponseCode.VALUE_ALREADY_EXISTS), 409)
    | dict.fromkeys(
        (
            ResponseCode.PROTOCOL_ERROR,
            ResponseCode.INVALID_HANDLE,
            ResponseCode.INVALID_VALUE,
            ResponseCode.VALUES_NOT_FOUND,
            ResponseCode.SERVER_NOT_RESPONSIBLE,
        ),
        400,
    )
    | dict.fromkeys(
        (
            ResponseCode.INVALID_ADMIN,
            ResponseCode.INSUFFICIENT_PERMISSIONS,
            ResponseCode.REGISTRATION_LIMIT,
            ResponseCode.PREFIX_LIMIT,
        ),
        403,
    )
)
"""HTTP status of what came of a request, by its code, as deployed servers have it; a quota is as no right."""

NOT_HERE: Final = "That prefix doesn't live here"
"""Word for word what deployed Handle servers say with code 301."""

JSON_TYPE: Final = "application/json;charset=utf-8"
SCRIPT_TYPE: Final = "application/javascript;charset=utf-8"

UNREACHABLE_TEXT: Final = (
    "这个前缀所在的节点没有给出可用的回答。 The node that prefix lives on gave no answer that can be used."
)
"""What is said when another node was asked in vain."""

BUSY_RETRY_SECONDS: Final = 1
"""What Retry-After says with 429 and 503."""

# SNMS OpenAPI: status numbers and the sentences its clients know.
SNMS_OK: Final = 1
SNMS_NOT_SIGNED_IN: Final = -1
SNMS_REFUSED: Final = -2
SNMS_NO_PERMISSION: Final = -3
SNMS_INTERNAL: Final = -4

SNMS_SUCCESS_TEXT: Final = "success"
SNMS_BUSY_TEXT: Final = "系统繁忙"
SNMS_NOT_SIGNED_IN_TEXT: Final = "未登录或登录已过期"
SNMS_NO_PERMISSION_TEXT: Final = "没有操作权限"
SNMS_WRONG_SECRET_TEXT: Final = "用户名/密码错误！"  # noqa: S105 - a sentence
SNMS_NOT_FOUND_TEXT: Final = "没有找到标识"
SNMS_MISSING_TEXT: Final = "缺少必要的请求参数: {}"

SNMS_BUSY: Final = f'{{"status":{SNMS_NOT_SIGNED_IN},"message":"{SNMS_BUSY_TEXT}","data":null}}'.encode()
"""The body of 429, 503 and 504, as its clients know it."""

AUDIT_FULL: Final = ("审计账已写满，变更停止", "The audit journal is full: changes are stopped")
SNMS_AUDIT_FULL: Final = f'{{"status":{SNMS_NOT_SIGNED_IN},"message":"{AUDIT_FULL[0]}","data":null}}'.encode()
"""And that of 503 when it is for this reason."""


class Idhub(IntEnum):
    """The codes of the IDHub calls (state-code of its API, DoipClientCodeEnum of its SDK), as far as they are used."""

    DONE = 1
    INVALID_TOKEN = 101
    NOT_SIGNED_IN = 102
    NO_RIGHT = 103
    ABSENT = 104
    EXISTS = 105
    PARAMETERS = 106
    DECLINED = 200
    NOT_PROVEN = 401
    NO_VIEW = 403
    NO_OPERATION = 404
    UNSUPPORTED = 405
    NO_EDIT = 406
    OTHER = 500
    WRONG_IDENTITY = 501
    META_UNPUBLISHED = 600
    META_INPUT = 601
    ITEM_DISABLED = 602
    ITEM_FOREIGN = 603
    META_ABSENT = 604
    META_NO_RIGHT = 605
    META_FAILED = 606
    NO_DELETE = 700
    FOREIGN = 701
    NOT_ALLOWED = 702
    META_CODE = 808
    AUTH_TYPE = 900
    NOT_AN_APPLICATION = 901
    CLASS_GRANT = 902
    READER_SCOPE = 903
    BIND = 30000
    HANDLE_FORM = 40508

    @property
    def zh(self) -> str:
        """What its table says, where there is nothing better to say."""
        return _IDHUB_ZH[self]


_IDHUB_ZH: Final = {
    Idhub.DONE: "operation was successfully processed",
    Idhub.INVALID_TOKEN: "无效的token",
    Idhub.NOT_SIGNED_IN: "客户端认证失败：请先登录",
    Idhub.NO_RIGHT: "客户端认证成功，但未被授权",
    Idhub.ABSENT: "标识对象不存在",
    Idhub.EXISTS: "标识对象已存在",
    Idhub.NO_VIEW: "没有权限查看数据",
    Idhub.NO_OPERATION: "操作类型不存在",
    Idhub.UNSUPPORTED: "不支持的操作类型",
    Idhub.WRONG_IDENTITY: "身份有误",
    Idhub.META_ABSENT: "元数据不存在",
    Idhub.META_NO_RIGHT: "暂无当前元数据的管理权限",
    Idhub.FOREIGN: "非本企业标识",
    Idhub.CLASS_GRANT: "标识已经为同类授权",
    Idhub.BIND: "validate.bind.error",
    Idhub.HANDLE_FORM: "标识格式异常",
}

IDHUB_REFUSED: Final[dict[Rule, Idhub]] = {
    Rule.EXISTS: Idhub.EXISTS,
    Rule.ABSENT: Idhub.ABSENT,
    Rule.FOREIGN_PREFIX: Idhub.FOREIGN,
    Rule.PREFIX_CLOSED: Idhub.NOT_ALLOWED,
    Rule.TEMPLATE: Idhub.META_UNPUBLISHED,
    Rule.SUFFIX: Idhub.PARAMETERS,
    Rule.INDEX: Idhub.ITEM_FOREIGN,
    Rule.TYPE: Idhub.ITEM_FOREIGN,
    Rule.VALUE: Idhub.META_INPUT,
    Rule.REQUIRED: Idhub.META_INPUT,
    Rule.DELETED: Idhub.NOT_ALLOWED,
    Rule.INDEX_TAKEN: Idhub.EXISTS,
    Rule.INDEX_ABSENT: Idhub.ABSENT,
    Rule.QUOTA_IDENTIFIERS: Idhub.DECLINED,
    Rule.QUOTA_ROOM: Idhub.DECLINED,
}
"""The code of a write that is refused, by the rule it comes from."""
IDHUB_NOT_YOURS: Final = {"create": Idhub.FOREIGN, "update": Idhub.NO_EDIT, "delete": Idhub.NO_DELETE}
"""That of a write whose prefix is another enterprise's (`Rule.PERMISSION`)."""
IDHUB_TROUBLE: Final = {500: Idhub.OTHER, 504: Idhub.OTHER, 403: Idhub.NO_RIGHT} | dict.fromkeys(
    (404, 405), Idhub.NO_OPERATION
)
"""What it calls trouble of an HTTP status; 429 and 503 are DECLINED, all else is PARAMETERS."""
IDHUB_BUSY: Final = frozenset({429, 503})

HANDLE_NOT_SIGNED_IN: Final = failed(
    ResponseCode.AUTHENTICATION_NEEDED, message=f"{SNMS_NOT_SIGNED_IN_TEXT}。 The token is unknown, expired or revoked."
)
"""The body of 401, on the Handle HTTP API and of the JSON of /{identifier}."""
CHALLENGE: Final = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
"""What goes with it (RFC 6750 section 3)."""


def handle_body(handle: str, answer: Answer) -> bytes:
    """The JSON of the Handle HTTP API for an answer, echoing the spelling that was asked for."""
    if answer.outcome is Outcome.FOUND:
        return found(handle, answer.shown)
    if answer.outcome is Outcome.FOREIGN:
        return failed(ResponseCode.SERVER_NOT_RESPONSIBLE, handle, NOT_HERE)
    if answer.outcome is Outcome.UNREACHABLE:
        return failed(ResponseCode.ERROR, handle, UNREACHABLE_TEXT)
    if answer.outcome is Outcome.STOPPED:
        prefix = handle.partition("/")[0]
        return failed(ResponseCode.SERVER_NOT_RESPONSIBLE, handle, f"前缀{prefix}已停用。 Prefix {prefix} is stopped.")
    return failed(ResponseCode.HANDLE_NOT_FOUND, handle)
