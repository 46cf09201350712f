"""The site key: `up`'s own is made once, deployed sites bring theirs, and no more than its bound waits for it."""

import asyncio
import stat
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from node import site_key
from node.config import Config
from node.gather import BusyError
from node.site_key import SiteKey, SiteKeyError
from proto.keys import public, session
from tests.proto.keys.made import private


class Counted:
    """A meter that counts one metric."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def count(self, _: object, outcome: str) -> None:
        self.outcomes.append(outcome)


def pem(key: rsa.RSAPrivateKey | dsa.DSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_the_own_one_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = site_key.own(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made = site_key.read(str(path)).public()
    assert isinstance(made, rsa.RSAPublicKey)
    assert made.key_size == 2048
    before = path.read_bytes()
    assert site_key.own(tmp_path) == path
    assert path.read_bytes() == before, "clients know it"


def test_keys_clients_cannot_read_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    good = pem(rsa.generate_private_key(65537, 1024))
    file.write_bytes(good)
    site_key.read(str(file))
    for content in (pem(ec.generate_private_key(ec.SECP256R1())), good[:100], b""):
        file.write_bytes(content)
        with pytest.raises(SiteKeyError, match="cannot be used"):
            site_key.read(str(file))
    with pytest.raises(SiteKeyError, match="nowhere"):
        site_key.read(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(("name", "version", "digest"), [("rsa", (2, 6), b"SHA1"), ("dsa", (2, 11), b"SHA-256")])
async def test_what_it_signs_is_verified_by_what_the_site_shows(name: str, version: Any, digest: bytes) -> None:
    counted = Counted()
    key = SiteKey(private(name), counted)  # type: ignore[arg-type]
    said, signature = await key.sign(b"covered", version)
    assert said == digest
    assert session.signed(key.public, said, signature, b"covered")
    assert public.kind(public.load(key.public)) == name.upper()
    key.refused()
    assert counted.outcomes == ["made", "refused"]


async def test_so_many_wait_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_key, "WAITING_MOST", 2)
    counted, held = Counted(), threading.Event()
    key = SiteKey(SimpleNamespace(public=private("rsa").public, sign=lambda *_: held.wait(9)), counted)  # type: ignore[arg-type]
    waiting = [asyncio.create_task(key.sign(b"", (2, 11))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(BusyError):
        await key.sign(b"", (2, 11))
    held.set()
    await asyncio.gather(*waiting)
    await key.sign(b"", (2, 11))
    assert counted.outcomes == ["busy", "made", "made", "made"]


def test_without_a_setting_there_is_none() -> None:
    assert SiteKey.of(Config(), Counted()) is None  # type: ignore[arg-type]
