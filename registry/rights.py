"""`Role` and `Right`: who may do what, in one table. Pure; whose enterprise it is about is judged in account.py."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal

Kind = Literal["person", "program"]


class Role(StrEnum):
    """What an account is. One role an account: the three administrators exclude each other."""

    SYSTEM_ADMIN = "system_admin"
    SECURITY_ADMIN = "security_admin"
    AUDIT_ADMIN = "audit_admin"
    VERIFIER = "verifier"
    REVIEWER = "reviewer"
    ENTERPRISE_ADMIN = "enterprise_admin"
    ENTERPRISE_USER = "enterprise_user"

    @property
    def zh(self) -> str:
        """The name people know it by."""
        return _ROLES_ZH[self]


_ROLES_ZH: Final = {
    Role.SYSTEM_ADMIN: "系统管理员",
    Role.SECURITY_ADMIN: "安全管理员",
    Role.AUDIT_ADMIN: "审计管理员",
    Role.VERIFIER: "核验员",
    Role.REVIEWER: "审核员",
    Role.ENTERPRISE_ADMIN: "企业管理员",
    Role.ENTERPRISE_USER: "企业用户",
}

ADMINISTRATORS: Final = frozenset({Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN, Role.AUDIT_ADMIN})
"""Three powers that are never one person's: who runs the node, who says what others may, who sees what both did."""
OF_ENTERPRISES: Final = frozenset({Role.ENTERPRISE_ADMIN, Role.ENTERPRISE_USER})
"""Roles that reach no further than their own enterprise; all others are the node's."""


class Right(StrEnum):
    """What can be allowed. A right of an enterprise's role holds for what is that enterprise's."""

    REGISTER = "register"
    READ_RECORDS = "read_records"
    TEMPLATES = "templates"
    GRANTS = "grants"
    BLANK = "blank"
    MOVE = "move"
    UPLOAD = "upload"
    APPLY = "apply"
    READ_ENTERPRISES = "read_enterprises"
    VERIFY = "verify"
    REVIEW = "review"
    FILE = "file"
    ROUTES = "routes"
    PREFIXES = "prefixes"
    QUOTAS = "quotas"
    READ_BATCHES = "read_batches"
    OPERATE = "operate"
    MEMBERS = "members"
    REVOKE_TOKENS = "revoke_tokens"
    ACCOUNTS = "accounts"
    READ_AUDIT = "read_audit"
    EXPORT_AUDIT = "export_audit"
    READ_ACCESS_LOG = "read_access_log"


_SYSTEM, _SECURITY, _AUDIT = Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN, Role.AUDIT_ADMIN
_VERIFIER, _REVIEWER = Role.VERIFIER, Role.REVIEWER
_FIRM, _USER = Role.ENTERPRISE_ADMIN, Role.ENTERPRISE_USER

MEANINGS: Final[Mapping[Right, tuple[str, str]]] = {
    Right.REGISTER: ("注册、变更、删除标识", "register, change and delete identifiers"),
    Right.READ_RECORDS: (
        "查看标识的全部属性与历史、查看模板",
        "read all of an identifier with its history, and templates",
    ),
    Right.TEMPLATES: ("管理数据模板", "manage templates"),
    Right.GRANTS: ("授权他人查看或编辑", "say who else sees or edits values"),
    Right.BLANK: ("清除个人信息", "blank personal data"),
    Right.MOVE: ("迁入迁出前缀", "move a prefix in or out"),
    Right.UPLOAD: ("上传文件", "upload files"),
    Right.APPLY: (
        "登记企业及其首个用户",
        "register an enterprise with its first user",
    ),
    Right.READ_ENTERPRISES: ("查看企业资料与前缀", "read particulars and prefixes of enterprises"),
    Right.VERIFY: ("核验企业", "verify an enterprise"),
    Right.REVIEW: ("审核企业", "review an enterprise"),
    Right.FILE: ("向国家顶级节点报送", "file with the national top-level node"),
    Right.ROUTES: ("申请托管、设置解析路由", "hosting, and where a prefix is resolved"),
    Right.PREFIXES: ("启用、停用前缀", "enable and stop prefixes"),
    Right.QUOTAS: ("设置配额", "set quotas"),
    Right.READ_BATCHES: ("查看他人的批次记录", "read the records of others' batches"),
    Right.OPERATE: ("运行维护", "run the node"),
    Right.MEMBERS: ("管理企业账号", "manage accounts of enterprises"),
    Right.REVOKE_TOKENS: ("查看、撤销他人的令牌", "list and revoke tokens of others"),
    Right.ACCOUNTS: ("管理所有账号、授予角色", "manage all accounts and give roles"),
    Right.READ_AUDIT: ("查看审计日志", "read the audit journal"),
    Right.EXPORT_AUDIT: ("导出审计日志", "export the audit journal"),
    Right.READ_ACCESS_LOG: ("查看访问日志", "read the access log"),
}
"""What each right is for, Chinese and English."""

HOLDERS: Final[Mapping[Right, frozenset[Role]]] = {
    Right.REGISTER: frozenset({_SYSTEM, _FIRM, _USER}),  # SNMS OpenAPI, identifiers: "admin" under any prefix
    Right.READ_RECORDS: frozenset({_SYSTEM, _FIRM, _USER}),
    Right.TEMPLATES: frozenset({_SYSTEM, _FIRM}),
    Right.GRANTS: frozenset({_FIRM}),  # data are their enterprise's to give; the node cannot give them to itself
    Right.BLANK: frozenset({_SYSTEM, _FIRM}),
    Right.MOVE: frozenset({_SYSTEM, _FIRM}),
    Right.UPLOAD: frozenset({_SYSTEM, _FIRM, _USER}),
    Right.APPLY: frozenset({_SYSTEM, _FIRM}),
    Right.READ_ENTERPRISES: frozenset({_SYSTEM, _SECURITY, _VERIFIER, _REVIEWER, _FIRM, _USER}),
    Right.VERIFY: frozenset({_VERIFIER}),
    Right.REVIEW: frozenset({_REVIEWER}),
    Right.FILE: frozenset({_SYSTEM, _REVIEWER}),
    Right.ROUTES: frozenset({_SYSTEM, _FIRM}),
    Right.PREFIXES: frozenset({_SYSTEM}),
    Right.QUOTAS: frozenset({_SYSTEM}),
    Right.READ_BATCHES: frozenset({_SYSTEM}),
    Right.OPERATE: frozenset({_SYSTEM}),
    Right.MEMBERS: frozenset({_SYSTEM, _SECURITY, _FIRM}),
    Right.REVOKE_TOKENS: frozenset({_SYSTEM, _SECURITY, _FIRM}),
    Right.ACCOUNTS: frozenset({_SECURITY}),
    Right.READ_AUDIT: frozenset({_AUDIT}),
    Right.EXPORT_AUDIT: frozenset({_AUDIT}),
    Right.READ_ACCESS_LOG: frozenset({_AUDIT}),
}
"""The one table: which roles have a right."""

OF_PROGRAMS: Final = frozenset(
    {
        Right.REGISTER,
        Right.READ_RECORDS,
        Right.TEMPLATES,
        Right.GRANTS,
        Right.UPLOAD,
        Right.APPLY,
        Right.READ_ENTERPRISES,
        Right.ROUTES,
        Right.READ_BATCHES,
    }
)
"""What a program may do if its role has the right; all else is for people, who answer for it."""

HELD: Final[Mapping[tuple[Kind, Role], frozenset[Right]]] = {
    (kind, role): frozenset(
        right for right, roles in HOLDERS.items() if role in roles and (kind == "person" or right in OF_PROGRAMS)
    )
    for kind in ("person", "program")
    for role in Role
}
"""The same table, from the account's side."""
