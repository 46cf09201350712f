"""What a URL of Redis says: the same that redis-py reads from it."""

import ssl
from pathlib import Path

import pytest
from redis.asyncio.connection import ConnectionPool

from node.redis_address import RedisAddress
from tests.fakes.certificate import own_certificate


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://cache.example",
        "redis://:s%40cret@127.0.0.1:7000/3",
        "redis://node:secret@[::1]:7000/?db=2",
        "rediss://node:a%2Fb@cache.example/0",
        "unix:///run/valkey/v.sock",
        "unix://node:secret@/run/my%20valkey/v.sock?db=4",
    ],
)
def test_it_is_read_as_redis_py_reads_it(url: str) -> None:
    address, theirs = RedisAddress.parse(url), ConnectionPool.from_url(url).connection_kwargs
    assert address.path == theirs.get("path", "")
    if not address.path:
        assert (address.host, address.port) == (theirs.get("host", "localhost"), theirs.get("port", 6379))
    assert (address.username, address.password) == (theirs.get("username", ""), theirs.get("password", ""))
    assert address.database == int(theirs.get("db", 0))
    assert (address.tls is not None) == url.startswith("rediss")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:seven/", "redis://127.0.0.1/first", "unix:///v.sock?db=x"])
def test_what_is_no_number_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - its text is int()'s
        RedisAddress.parse(url)


@pytest.mark.parametrize(
    ("asked", "named", "verify"),
    [
        ("", True, ssl.CERT_REQUIRED),
        ("?ssl_cert_reqs=nonsense", True, ssl.CERT_REQUIRED),
        ("?ssl_cert_reqs=none", False, ssl.CERT_NONE),
        ("?ssl_cert_reqs=optional", True, ssl.CERT_OPTIONAL),
        ("?ssl_check_hostname=False", False, ssl.CERT_REQUIRED),
    ],
)
def test_who_is_believed_over_tls(asked: str, named: bool, verify: ssl.VerifyMode) -> None:
    context = RedisAddress.parse(f"rediss://cache.example/{asked}").context
    assert context is not None
    assert (context.check_hostname, context.verify_mode) == (named, verify)
    assert RedisAddress.parse(f"redis://cache.example/{asked}").context is None


def test_certificates_are_taken_from_files(tmp_path: Path) -> None:
    own_certificate(tmp_path / "both.pem")
    mine = f"ssl_certfile={tmp_path}/both.pem&ssl_ca_certs={tmp_path}/both.pem"
    assert RedisAddress.parse(f"rediss://cache.example/?{mine}").context is not None
    with pytest.raises(OSError, match="No such file"):
        _ = RedisAddress.parse(f"rediss://cache.example/?ssl_ca_certs={tmp_path}/none.pem").context
