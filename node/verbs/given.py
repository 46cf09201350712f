"""The settings a verb goes by: from the environment, the command line, and a running `up`."""

import argparse
import json
from dataclasses import replace
from typing import Final

from node import config as settings
from node.config import Config, ConfigError
from node.verbs.shell import UsageError

NODE_FLAGS: Final = (
    "http_port",
    "https_port",
    "client_cert_port",
    "native_port",
    "host",
    "operator_port",
    "operator_host",
    "public_url",
    "workers",
)
SETTING_FLAGS: Final = {
    "up": (*NODE_FLAGS, "toplevel_port"),
    "serve": NODE_FLAGS,
    "toplevel": ("host", "toplevel_port"),
}
"""Settings that may be given on the command line, by verb."""
FROM_UP: Final = ("log_folder", "audit_octets", "files", "certificate", "certificate_key", "site_key")
"""Settings of a running `up` that other commands go by, where it has said them."""
SENTENCES: Final = (ConfigError,)


def config(arguments: argparse.Namespace) -> Config:
    """Settings of the environment, overruled by the command line. Raises ConfigError."""
    given = {name: getattr(arguments, name) for name in SETTING_FLAGS.get(arguments.verb, ())}
    return settings.from_environment(arguments.config, given)


def with_servers(arguments: argparse.Namespace) -> Config:
    """Settings, with the servers of a running `up` where none are given."""
    found = config(arguments)
    if found.database_url:
        return found
    path = arguments.data / "servers.json"
    try:
        running = json.loads(path.read_text(encoding="utf-8"))
        servers = {name: running[name] for name in ("database_url", "redis_url", "secret_key")}
        servers["toplevel_url"] = found.toplevel_url or running.get("toplevel_url", "")
        servers |= {name: running.get(name, getattr(found, name)) for name in FROM_UP}
    except (OSError, ValueError, LookupError, TypeError):
        raise UsageError(
            f"没有IDNODE_DATABASE_URL，{path}也不可读：请先运行idnode up，或设置该变量。 "
            f"There is no IDNODE_DATABASE_URL and {path} cannot be read: run `idnode up` first, or set it."
        ) from None
    return replace(found, **servers)
