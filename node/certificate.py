"""What the HTTPS port proves itself by: when a certificate ends and whether its key is with it, and `up`'s own one.

How it is shown to clients is the business of `node/listen/https.py`.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from node import clock
from node.config import Config
from node.tls import context

LIFE: Final = timedelta(days=397)
"""How long an own certificate is good: browsers take none that is good for more than 398 days."""
LEEWAY: Final = timedelta(days=1)
"""It begins so long before it is made: clocks of clients are behind."""
RENEWED_BEFORE: Final = timedelta(days=30)
"""So long before its end an own certificate is made anew."""
WARNED_BEFORE: Final = timedelta(days=14)
"""So long before the end of any certificate operators are warned: whoever renews them by a timer does so earlier."""
KEEP_SECONDS: Final = 3600.0
"""Pause between two looks at whether the own one is to be renewed: it is about days."""
_NOBODYS: Final = ("", "0.0.0.0", "::")  # noqa: S104 - addresses that stand for all, and name none

log = structlog.get_logger("certificate")


class CertificateError(Exception):
    """A certificate or key that cannot be used; one sentence, Chinese and English."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is known of a certificate: its last moment, and the names and addresses it is for."""

    ends: datetime
    names: frozenset[str]


def read(config: Config) -> Certificate:
    """The certificate that is set, its key tried. Raises CertificateError."""
    try:
        context(config.certificate, config.certificate_key)
        return _known(Path(config.certificate))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        said = error.reason if isinstance(error, ssl.SSLError) else error
        files = " + ".join(filter(None, (config.certificate, config.certificate_key)))
        raise CertificateError(
            f"证书或其私钥不可用：{files}（{said}）。 The certificate or its key cannot be used: {files} ({said})."
        ) from None


def _known(path: Path) -> Certificate:
    """Raises OSError or ValueError."""
    found = x509.load_pem_x509_certificate(path.read_bytes())
    try:
        named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return Certificate(found.not_valid_after_utc, frozenset())
    addresses = map(str, named.get_values_for_type(x509.IPAddress))
    return Certificate(found.not_valid_after_utc, frozenset([*named.get_values_for_type(x509.DNSName), *addresses]))


def vouched(config: Config, address: str) -> str:
    """What strangers reach a node at `address` over HTTPS by, sure of whom they reach: that address where the
    certificate is for it, else the first name it is for. Empty without HTTPS, and by a certificate that signed itself:
    strangers have no copy of it.
    """
    try:
        found = x509.load_pem_x509_certificate(Path(config.certificate).read_bytes())
        named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return ""
    if found.issuer == found.subject:
        return ""
    if address in map(str, named.get_values_for_type(x509.IPAddress)):
        return address
    return next((name for name in named.get_values_for_type(x509.DNSName) if "*" not in name), "")


def names(config: Config) -> frozenset[str]:
    """The names and addresses clients may reach a node of these settings by."""
    found = {"localhost", "127.0.0.1", "::1", config.host, urlsplit(config.public_url).hostname or ""}
    if config.host in _NOBODYS:
        found |= {socket.gethostname().lower(), _outward()}
    return frozenset(filter(None, (_spelt(name) for name in found if name not in _NOBODYS)))


def _outward() -> str:
    """This machine's address on the way to others; empty: there is no way. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # an address of documentation (RFC 5737)
            return str(sock.getsockname()[0])
        except OSError:
            return ""


def _spelt(name: str) -> str:
    """A name or address as certificates have it (RFC 5280 §4.2.1.6, §7.2); empty for what is none."""
    try:
        return str(ip_address(name))
    except ValueError:
        with suppress(UnicodeError):
            return name.encode("idna").decode()
        return ""


def own(folder: Path, wanted: frozenset[str], now: datetime) -> tuple[Path, Path]:
    """The files of a certificate of its own making, and of its key, for a node served under `wanted` at `now`.

    Made once; made anew, of the same key, when it ends soon or lacks a name. Readable by their owner only. Raises
    OSError.
    """
    certificate, key = folder / "https.crt", folder / "https.key"
    try:
        context(str(certificate), str(key))
        known = _known(certificate)
        good = known.ends - RENEWED_BEFORE > now and known.names >= wanted
    except (OSError, ValueError):  # there is none yet, or it was spoilt
        good = False
    if not good:
        write_private(certificate, _signed(_key(key), sorted(wanted), now).public_bytes(Encoding.PEM))
    return certificate, key


async def keep(folder: Path, wanted: frozenset[str]) -> None:
    """Renews the own one in time, for ever."""
    while True:
        await asyncio.sleep(KEEP_SECONDS)
        try:
            own(folder, wanted, clock.utc())
        except OSError as error:
            log.warning("certificate_not_renewed", error=str(error))


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        known = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError):  # there is none yet, it was spoilt, or is locked
        known = None
    if isinstance(known, ec.EllipticCurvePrivateKey):
        return known
    made = ec.generate_private_key(ec.SECP256R1())
    write_private(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made


def _signed(key: ec.EllipticCurvePrivateKey, wanted: Iterable[str], now: datetime) -> x509.Certificate:
    """A certificate as strict clients take it (RFC 5280 §4.2), signed by its own key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idnode")])
    public = key.public_key()
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"),
        False,
    )
    return (
        x509.CertificateBuilder(name, name, public, x509.random_serial_number())
        .not_valid_before(now - LEEWAY)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([_general(each) for each in wanted]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, encipher_only=False, decipher_only=False, **usage), critical=True
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def write_private(path: Path, octets: bytes) -> None:
    """Writes a file its owner alone may read, all of it or nothing."""
    draft = path.with_name(f"{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
