"""The site key: the node's own key of the Handle system. HS_SITE shows its public half, certified answers are signed
by it (handle reference §2.10). Whoever may ask for signatures is known to who answers.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from node.certificate import write_private
from node.config import Config
from node.gather import BusyError
from node.meter import Meter
from node.metrics import SITE_SIGNATURES
from proto.errors import ProtoError
from proto.keys import public, session
from proto.keys.private import PrivateKey
from proto.keys.session import Version

FILE: Final = "site.key"
"""What `up` keeps its own in, beside its certificate."""
BITS: Final = 2048
"""Of a key made here: what deployed servers make. A signature takes some 1 ms."""
KINDS: Final = frozenset({"RSA", "DSA"})
"""Keys that clients can read out of HS_SITE; older sites of Handle.Net have DSA."""
WAITING_MOST: Final = 64
"""Signatures that wait in a worker, some 0.1 s; whoever wants more is told that it is busy."""


class SiteKeyError(Exception):
    """A site key that cannot be used; one sentence, Chinese and English."""


def own(folder: Path) -> Path:
    """The file of a key of `up`'s own in its data folder, made once: clients know the key by it. Readable by its owner
    only. Raises OSError.
    """
    path = folder / FILE
    if not path.exists():
        made = rsa.generate_private_key(65537, BITS)
        write_private(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def read(path: str) -> PrivateKey:
    """The key in a file. Raises SiteKeyError."""
    try:
        key = PrivateKey.read(Path(path).read_bytes())
        said = "" if public.kind(key.public()) in KINDS else "RSA, DSA"
    except (OSError, ProtoError) as error:
        said = str(error)
    if said:
        raise SiteKeyError(f"站点私钥{path}不可用（{said}）。 The site key {path} cannot be used ({said}).")
    return key


class SiteKey:
    """Signs for one worker, one at a time and aside: OpenSSL lets the loop go on meanwhile."""

    def __init__(self, key: PrivateKey, meter: Meter) -> None:
        self._key = key
        self.public = public.to_octets(key.public())
        """The data of an HS_PUBKEY value."""
        self._counted = partial(meter.count, SITE_SIGNATURES)
        self._aside = ThreadPoolExecutor(1, "site-key")
        self._waiting = 0

    @classmethod
    def of(cls, config: Config, meter: Meter) -> Self | None:
        """The one that is set. Raises SiteKeyError."""
        return cls(read(config.site_key), meter) if config.site_key else None

    async def sign(self, covered: bytes, version: Version) -> tuple[bytes, bytes]:
        """The name of the digest `version` goes by, and the signature. Raises BusyError when too many wait."""
        if self._waiting >= WAITING_MOST:
            self._counted("busy")
            raise BusyError
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            signed = await loop.run_in_executor(self._aside, session.sign, self._key, covered, version)
        finally:
            self._waiting -= 1
        self._counted("made")
        return signed

    def refused(self) -> None:
        """Counts one that was not even begun: its asker may be anybody (node/native/seals.py)."""
        self._counted("refused")
