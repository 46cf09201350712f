"""`RedisAddress`: what the URL of Redis or Valkey says, in the words of redis-py. Nothing is connected here.

redis-py itself is not asked: it takes 6 MB of each process for what stands here.
"""

import ssl
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

PORT: Final = 6379
"""Where Redis listens if nothing else is said."""

_VERIFY: Final = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_NO: Final = frozenset({"0", "f", "false", "n", "no"})


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A server and who we are there. `path` is that of its socket, empty for `host` and `port`.

    `tls` holds `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_cert_reqs` (none, optional, required) and
    `ssl_check_hostname` of a `rediss` URL; None for others.
    """

    path: str
    host: str
    port: int
    username: str
    password: str
    database: int
    tls: dict[str, str] | None

    @classmethod
    def parse(cls, url: str) -> Self:
        """From `redis://`, `rediss://` or `unix://`. Raises ValueError."""
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query))
        unix = parts.scheme == "unix"
        database = given.get("db") or ("" if unix else parts.path.strip("/"))
        return cls(
            unquote(parts.path) if unix else "",
            unquote(parts.hostname or "localhost"),
            parts.port or PORT,
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            int(database or 0),
            given if parts.scheme == "rediss" else None,
        )

    @property
    def context(self) -> ssl.SSLContext | None:
        """How TLS is spoken there; None: not at all. Raises OSError when a file cannot be used."""
        if self.tls is None:
            return None
        context = ssl.create_default_context()
        verify = _VERIFY.get(self.tls.get("ssl_cert_reqs", ""), ssl.CERT_REQUIRED)
        named = self.tls.get("ssl_check_hostname", "").lower() not in _NO
        context.check_hostname = named and verify is not ssl.CERT_NONE
        context.verify_mode = verify
        if "ssl_certfile" in self.tls:
            context.load_cert_chain(self.tls["ssl_certfile"], self.tls.get("ssl_keyfile"))
        if "ssl_ca_certs" in self.tls:
            context.load_verify_locations(self.tls["ssl_ca_certs"])
        return context
