"""A certificate of a test's own, for servers on 127.0.0.1 that speak TLS."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def own_certificate(file: Path, days: int = 8) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that nobody but its owner has signed, good for so many days, left with its key in
    `file`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    begins = datetime.now(UTC) - timedelta(days=99)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=99 + days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()) + made.public_bytes(pem)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def spoilt_certificate(file: Path, holder: str) -> None:
    """A certificate of a client whose version is one there is not, left with its key in `file`."""
    client_certificate(file, holder)
    key, begin, certificate = file.read_bytes().partition(b"-----BEGIN CERTIFICATE")
    der = ssl.PEM_cert_to_DER_cert((begin + certificate).decode())
    spoilt = der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a00302012a"), 1)
    file.write_bytes(key + ssl.DER_cert_to_PEM_cert(spoilt).encode())


def signed_certificate(file: Path, *names: str) -> None:
    """A certificate for these names and addresses that somebody else has signed, left in `file`."""
    key, signer = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    subject, issuer = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("node", "a firm"))
    begins = datetime.now(UTC) - timedelta(days=1)
    made = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=9))
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
    file.write_bytes(made.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


ClientKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def client_certificate(
    file: Path,
    holder: str,
    key: ClientKey | None = None,
    *,
    named_by: x509.ObjectIdentifier = x509.NameOID.COMMON_NAME,
    days: int = 8,
    signer: ClientKey | None = None,
) -> ClientKey:
    """A certificate of a client, whose subject says `holder` (nothing if that is empty), signed by its own key or by
    that of a `signer`, good for so many days, left with its key in `file`. Returns the key.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(named_by, holder)] if holder else [])
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a firm")]) if signer else name
    begins = datetime.now(UTC) - timedelta(days=99)
    made = (
        x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=99 + days))
        .sign(signer or key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()) + made.public_bytes(pem)
    )
    return key
