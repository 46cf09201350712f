"""Where the node is and who asks it: from ready.json, or from the command line."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class TargetError(Exception):
    """The node cannot be found; the text is for people."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        """As a Host header says it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Of a plain `http://host:port`, path or not. Raises TargetError."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = None
        if host is None or parts.scheme != "http":
            raise TargetError(f"地址应形如http://主机:端口：{url}。 An address must be like http://host:port: {url}.")
        return cls(host, 80 if port is None else port)


@dataclass(frozen=True, slots=True)
class Target:
    """A node, who signs in, the prefixes to register under, and its operator port, if it is known."""

    node: Address
    username: str
    password: str
    prefixes: tuple[str, ...]
    operator: Address | None


def from_ready(file: Path) -> Target:
    """The node that wrote `file`, as its administrator, under all its enterprises' prefixes. Raises TargetError."""
    try:
        ready: Any = json.loads(file.read_text(encoding="utf-8"))
        admin, prefixes = ready["admin"], sorted(enterprise["prefix"] for enterprise in ready["enterprises"])
        operator = Address.parse(ready["operator"]) if ready["operator"] else None
        return Target(Address.parse(ready["http"]), admin["username"], admin["password"], tuple(prefixes), operator)
    except OSError:
        raise TargetError(
            f"找不到{file}：节点没有就绪；先运行./idnode up，或用--url指明节点。 "
            f"No {file}: the node is not ready; run ./idnode up, or name a node by --url."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise TargetError(f"{file}的内容读不懂。 {file} cannot be understood.") from None
