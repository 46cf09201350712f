"""Every setting: name, unit, default, bound, meaning. docs/settings.md is made from this table and held to it.

They come from IDNODE_… in the environment, or from a TOML file; the environment wins. They are passed, not imported.
"""

import base64
import binascii
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from proto.errors import ProtoError
from proto.forwarded_for import TrustedProxies
from proto.identifier import Prefix
from proto.trust import Root
from proto.value import Reference
from registry.editing import keyholder

WORKERS_MOST: Final = 64
"""Columns of the stamp table grow with workers; beyond this, run another machine."""


class ConfigError(Exception):
    """A setting that cannot be used; the text is one sentence, Chinese and English."""


def _setting(
    default: Any,
    zh: str,
    en: str,
    *,
    unit: str = "",
    low: int | None = None,
    high: int | None = None,
    among: tuple[str, ...] = (),
    schemes: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    notes = {"zh": zh, "en": en, "unit": unit, "low": low, "high": high, "among": among, "secret": secret}
    return field(default=default, metadata=notes | {"schemes": schemes})


@dataclass(frozen=True)
class Config:
    """The settings of one start."""

    database_url: str = _setting(
        "", "PostgreSQL地址", "where PostgreSQL is", schemes=("postgresql://", "postgres://"), secret=True
    )
    redis_url: str = _setting(
        "",
        "Redis或Valkey地址；留空则不用",
        "where Redis or Valkey is; empty: none",
        schemes=("redis://", "rediss://", "unix://"),
        secret=True,
    )
    toplevel_url: str = _setting(
        "",
        "国家顶级节点地址；留空则不上报，也不转发其他节点前缀下的标识",
        "where the national top-level node is; empty: nothing is told there, and identifiers under prefixes of other "
        "nodes are not forwarded",
        schemes=("http://", "https://"),
    )
    secret_key: str = _setting(
        "",
        "节点密钥（32字节的base64），保护程序账号的密钥；同一数据库的各节点须相同",
        "the node's key (base64 of 32 octets) that seals the secrets of program accounts; "
        "the same on every node of one database",
        secret=True,
    )
    files: str = _setting(
        "",
        "上传文件的存放目录（加密）；up默认用数据目录下的files；留空则不接收文件；同一数据库的各节点须用同一（共享）目录",
        "folder of uploaded files, which are encrypted; `up`: files in its data folder; empty: none are taken; "
        "the same, shared folder on every node of one database",
    )
    clamd: str = _setting(
        "",
        "ClamAV的clamd套接字路径，例如/run/clamav/clamd.ctl；留空则不扫描",
        "path of the socket of ClamAV's clamd, such as /run/clamav/clamd.ctl; empty: files are not scanned",
        schemes=("/",),
    )
    prefix: str = _setting("88.999", "本二级节点的前缀", "the prefix of this secondary node")
    host: str = _setting("127.0.0.1", "对外服务的监听地址", "address the public doors listen on")
    http_port: int = _setting(8000, "HTTP端口", "HTTP port", low=1, high=65535)
    native_port: int = _setting(
        2641,
        "Handle协议端口（TCP与UDP）；0为不提供",
        "port of the Handle protocol, TCP and UDP; 0: not served",
        low=0,
        high=65535,
    )
    https_port: int = _setting(
        8443, "HTTPS端口；有证书时才使用", "HTTPS port; used when there is a certificate", low=1, high=65535
    )
    client_cert_port: int = _setting(
        0,
        "客户端证书所用的HTTPS端口；有证书时才使用；0为不提供",
        "port of HTTPS on which clients may show certificates; used when there is a certificate; 0: not served",
        low=0,
        high=65535,
    )
    certificate: str = _setting(
        "",
        "HTTPS证书文件（PEM，含证书链）；留空则serve不提供HTTPS，up自行制作；文件更换后自动启用",
        "file of the certificate of HTTPS, PEM with its chain; empty: `serve` has no HTTPS, `up` makes one of its own; "
        "shown when it was replaced",
    )
    certificate_key: str = _setting(
        "",
        "证书私钥文件（PEM，无口令）；留空则私钥在证书文件内",
        "file of the certificate's private key, PEM without a password; empty: it is in the file of the certificate",
    )
    site_key: str = _setting(
        "",
        "站点私钥文件（RSA或DSA，PEM或Handle.Net格式，无口令），用于签署Handle协议的应答；留空则serve不签署，up自行制作；"
        "同一数据库的各节点须相同",
        "file of the site's private key (RSA or DSA, PEM or as Handle.Net writes it, without a password) that signs "
        "answers of the Handle protocol; empty: `serve` signs none, `up` makes one of its own; the same on every node "
        "of one database",
    )
    udp_logins: str = _setting(
        "off",
        "是否允许经UDP以密钥登录并管理（CAICT客户端）；UDP的来源地址可以伪造，仅在可信网络中开启",
        "whether keys may log in and administer by UDP, as clients of CAICT do; addresses can be forged there: only in "
        "networks that are trusted",
        among=("on", "off"),
    )
    operator_host: str = _setting("127.0.0.1", "运维端口的监听地址", "address the operator port listens on")
    operator_port: int = _setting(
        9600, "运维端口：/metrics与/health", "operator port: /metrics and /health", low=1, high=65535
    )
    workers: int = _setting(2, "工作进程数", "worker processes", low=1, high=WORKERS_MOST)
    public_url: str = _setting("", "标签与页面使用的公开地址", "the address labels and pages carry")
    route_address: str = _setting(
        "",
        "上报给国家顶级节点的解析路由地址（IPv4或IPv6）；留空则为IDNODE_HOST，通配地址除外",
        "address (IPv4 or IPv6) the national top-level node is told others resolve our identifiers at; empty: "
        "IDNODE_HOST unless that stands for all addresses",
    )
    statistics_seconds: int = _setting(
        300,
        "上报统计的时间窗长度；同一数据库的各节点须相同",
        "length of a window of the statistics told upwards; the same on every node of one database",
        unit="s",
        low=10,
        high=86_400,
    )
    server_admins: str = _setting(
        "",
        "Handle协议的服务器管理员（索引:标识，以逗号分隔），可经该协议修改全部无模板的记录",
        "server administrators of the Handle protocol (index:identifier, with commas between them), who may change all "
        "records without template by it",
    )
    trust_roots: str = _setting(
        "",
        "受信的根（标识=公钥指纹，即SubjectPublicKeyInfo的SHA-256，以逗号分隔）；留空则可信查询一律为未知",
        "roots that are trusted (identifier=fingerprint of its key, the SHA-256 of its SubjectPublicKeyInfo, with "
        "commas between them); empty: trusted queries are answered as unknown",
    )
    second_factor: str = _setting(
        "auto",
        "三类管理员是否必须登记动态口令：必须，或只在登记后使用；auto在up下为enrolled，否则为required",
        "whether the three administrators must have a second factor, or are asked for it once they have; auto is "
        "enrolled under `up`, required otherwise",
        among=("auto", "required", "enrolled"),
    )
    timezone: str = _setting("Asia/Shanghai", "日期与页面所用时区", "time zone of dates and pages")
    reuse_deleted: str = _setting(
        "allow",
        "已删除的标识能否由其所有者重新注册",
        "whether an owner may register a deleted identifier again",
        among=("allow", "refuse"),
    )
    cache_seconds: int = _setting(
        60, "缓存的回答最长存活时间", "longest life of a cached answer", unit="s", low=1, high=3600
    )
    hot_entries: int = _setting(
        100_000,
        "每个工作进程缓存的回答数；0为不缓存",
        "answers each worker keeps; 0: none",
        low=0,
        high=10_000_000,
    )
    lane: str = _setting(
        "on",
        "普通的解析GET与逐个注册是否走快速通道；回答与普通通道逐字节相同",
        "whether plain GETs and single registrations take the fast lane; answers are the same, octet for octet",
        among=("on", "off"),
    )
    body_bytes: int = _setting(
        32 * 1024 * 1024,
        "请求体上限；2000个15属性的标识约4 MB",
        "largest request body; a batch of 2000 with 15 attributes takes some 4 MB",
        unit="B",
        low=65_536,
        high=1024 * 1024 * 1024,
    )
    connections: int = _setting(
        4096,
        "每个工作进程的连接数上限，HTTP与Handle协议各计",
        "most connections of a worker, of HTTP and of the Handle protocol each",
        low=16,
        high=100_000,
    )
    requests: int = _setting(
        1024, "每个工作进程同时处理的请求数上限", "most requests a worker has in hand", low=8, high=100_000
    )
    write_rows: int = _setting(
        20_000,
        "每个工作进程等待写入的标识数上限",
        "most identifiers waiting to be written in a worker",
        low=2000,
        high=1_000_000,
    )
    peer_rate: int = _setting(
        0,
        "每个来源地址（IPv6为其/64网段）每秒请求数上限；0为不限",
        "most requests a second from one address (of IPv6: from its /64); 0: no limit",
        unit="1/s",
        low=0,
        high=1_000_000,
    )
    trusted_proxies: str = _setting(
        "",
        "可信代理的地址或网段，以逗号分隔；只相信它们的X-Forwarded-For与PROXY协议",
        "addresses or networks of proxies, with commas between them; only their X-Forwarded-For and PROXY protocol "
        "are believed",
    )
    toplevel_port: int = _setting(
        8100, "模拟国家顶级节点的端口", "port of the simulated national top-level node", low=1, high=65535
    )
    toplevel_database_url: str = _setting(
        "",
        "模拟国家顶级节点的PostgreSQL地址；留空则用IDNODE_DATABASE_URL（各自的schema）",
        "where the PostgreSQL of the simulated national top-level node is; empty: IDNODE_DATABASE_URL, in a schema of "
        "its own",
        schemes=("postgresql://", "postgres://"),
        secret=True,
    )
    audit_seconds: float = _setting(
        0.5,
        "模拟国家顶级节点审核一个前缀所用的时间",
        "how long the simulated national top-level node takes to audit a prefix",
        unit="s",
        low=0,
        high=86_400,
    )
    audit_octets: int = _setting(
        4 * 1024**3,
        "审计账的容量；写满后变更停止，公开解析照常；同一数据库的各节点须相同",
        "room for the audit journal; once it is full changes stop, public resolving goes on; the same on every node of "
        "one database",
        unit="B",
        low=65_536,
        high=1024**4,
    )
    access_log: str = _setting(
        "on",
        "是否记录每次解析与登记（来源、账号、标识、结果）",
        "whether every resolution and registration is noted: source, account, identifier, outcome",
        among=("on", "off"),
    )
    access_log_days: int = _setting(
        180, "访问日志保存的天数", "how long the access log is kept", unit="d", low=1, high=3650
    )
    log_folder: str = _setting(
        ".idnode/log",
        "访问日志与审计链头所在的文件夹，每个数据库各用一个；up默认用数据目录下的log",
        "folder of the access log and of the kept head of the audit journal, one for each database; `up`: log in the "
        "data folder by default",
    )
    forward_networks: str = _setting(
        "",
        "转发时允许连接的非公网地址段，以逗号分隔；其余非公网地址一律拒绝",
        "networks that are not public but may be connected to when forwarding, with commas between them; "
        "all others are refused",
    )
    log_level: str = _setting(
        "info", "日志级别", "least level that is logged", among=("debug", "info", "warning", "error")
    )

    def __post_init__(self) -> None:
        for entry in fields(self):
            _check(entry.name, getattr(self, entry.name), entry.metadata)
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones, or too long a name
            raise _wrong("timezone", "不是有效的时区名", "is not the name of a time zone") from None
        try:
            Prefix(self.prefix)
        except ProtoError:
            raise _wrong("prefix", "应为前缀，例如88.999", "must be a prefix such as 88.999") from None
        try:
            TrustedProxies.parse(self.trusted_proxies)
        except ProtoError as error:
            raise _wrong("trusted_proxies", error.zh, error.en) from None
        try:
            self.networks  # noqa: B018 - read for its errors
        except ValueError:
            raise _wrong(
                "forward_networks",
                "应为以逗号分隔的网段，例如10.0.0.0/8,fd00::/8",
                "must be networks with commas between them, such as 10.0.0.0/8,fd00::/8",
            ) from None
        if self.toplevel_url and not _names_a_host(self.toplevel_url):
            # Shown by `up`, `doctor` and the journal; the node proves itself by its signature.
            raise _wrong(
                "toplevel_url",
                "应形如http://主机:8100，不含用户名和密码",
                "must look like http://host:8100, without a user name or password",
            )
        if self.certificate_key and not self.certificate:
            raise _wrong("certificate_key", "需与IDNODE_CERTIFICATE一同设置", "needs IDNODE_CERTIFICATE")
        if self.route_address:
            _check_address(self.route_address)
        try:
            self.administrators  # noqa: B018 - read for its errors
        except ProtoError:
            raise _wrong(
                "server_admins", "应形如300:88.999.1001/ADMIN", "must look like 300:88.999.1001/ADMIN"
            ) from None
        try:
            self.roots  # noqa: B018 - read for its errors
        except ProtoError:
            raise _wrong(
                "trust_roots",
                "应形如88/ROOT=64个十六进制字符",
                "must look like 88/ROOT=… with 64 hexadecimal characters",
            ) from None
        if self.secret_key:
            self.key()

    def key(self) -> bytes:
        """The node's key, 32 octets."""
        try:
            key = base64.b64decode(self.secret_key, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != 32:
            raise _wrong("secret_key", "应为32字节的base64", "must be base64 of 32 octets")
        return key

    @property
    def shown(self) -> dict[str, object]:
        """The settings that are no secrets, by name."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self) if not entry.metadata["secret"]}

    @property
    def proxies(self) -> TrustedProxies:
        """The proxies whose word about others is taken."""
        return TrustedProxies.parse(self.trusted_proxies)

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks that may be connected to though not public."""
        return tuple(ip_network(text.strip()) for text in self.forward_networks.split(",") if text.strip())

    @property
    def administrators(self) -> frozenset[Reference]:
        """The server administrators of the Handle protocol, settled."""
        return frozenset(keyholder(text.strip()) for text in self.server_admins.split(",") if text.strip())

    @property
    def roots(self) -> frozenset[Root]:
        """Whom HS_SIGNATURE and HS_CERT must lead to."""
        return frozenset(Root.parse(text.strip()) for text in self.trust_roots.split(",") if text.strip())

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of dates and pages."""
        return ZoneInfo(self.timezone)


def _names_a_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:  # a port that is no number, half an IPv6 address
        return False


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"IDNODE_{name.upper()}"


def _wrong(name: str, zh: str, en: str) -> ConfigError:
    return ConfigError(f"设置{variable(name)}{zh}。 Setting {variable(name)} {en}.")


def _check(name: str, value: Any, notes: Mapping[str, Any]) -> None:
    if notes["among"] and value not in notes["among"]:
        choices = "、".join(notes["among"])
        raise _wrong(name, f"应为{choices}之一", f"must be one of {', '.join(notes['among'])}")
    if value and notes["schemes"] and not value.startswith(notes["schemes"]):
        choices = notes["schemes"]
        raise _wrong(name, f"应以{'、'.join(choices)}之一开头", f"must begin with one of {', '.join(choices)}")
    if notes["low"] is not None and not notes["low"] <= value <= notes["high"]:
        bounds = f"{notes['low']}…{notes['high']}"
        raise _wrong(name, f"应在{bounds}之间", f"must be within {bounds}")


def _check_address(text: str) -> None:
    try:
        usable = not ip_address(text).is_unspecified
    except ValueError:
        usable = False
    if not usable:
        raise _wrong(
            "route_address", "应为一台服务器的IPv4或IPv6地址", "must be the IPv4 or IPv6 address of one server"
        )


def _converted(name: str, given: Any, kind: type) -> Any:
    zh, en = _KINDS[kind]
    try:
        return kind(str(given))
    except ValueError:
        raise _wrong(name, f"应为{zh}，实为{given}", f"must be {en}, not {given}") from None


_KINDS: Final = {str: ("文字", "text"), int: ("整数", "a whole number"), float: ("数", "a number")}


PASSED_OVER: Final = ("IDNODE_TEST_", "IDNODE_PASSWORD")
"""Variables that are no settings: the test suite's own, and the password `import` may be given."""


def load(environment: Mapping[str, str], file: Path | None = None, given: Mapping[str, Any] | None = None) -> Config:
    """The settings of this start: `given` on the command line, then the environment, then `file`, then defaults.

    Raises ConfigError for a setting that is unknown or out of bounds, and for a file that cannot be read.
    """
    kinds = {entry.name: type(entry.default) for entry in fields(Config)}
    found: dict[str, Any] = {}
    for name, value in _from_file(file).items():
        if name not in kinds:
            raise ConfigError(f"{file}中的设置{name}不认识。 {file} holds the unknown setting {name}.")
        found[name] = value
    for key, value in environment.items():
        if not key.startswith("IDNODE_") or key.startswith(PASSED_OVER):
            continue
        name = key.removeprefix("IDNODE_").lower()
        if name not in kinds:
            raise ConfigError(f"环境变量{key}不是已知的设置。 The environment holds the unknown setting {key}.")
        found[name] = value
    found |= {name: value for name, value in (given or {}).items() if value is not None}
    return Config(**{name: _converted(name, value, kinds[name]) for name, value in found.items()})


def _from_file(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"设置文件{file}无法读取。 The settings file {file} cannot be read: {error}") from None


def from_environment(file: Path | None = None, given: Mapping[str, Any] | None = None) -> Config:
    """`load` with this process's environment."""
    return load(os.environ, file, given)
