"""How the node speaks TLS to its clients: versions, the files of a certificate and its key, certificates of clients."""

import ssl
from contextlib import suppress
from typing import Final

from proto.errors import ProtoError
from proto.keys import public

CERTIFICATES_MOST: Final = 32
"""Certificates of clients a context takes before it is full. Each stays in it, some 4 kB, as long as any connection
that began with it: whoever holds all connections of a worker open has 130 kB kept for each."""
_NO_COMPRESSED_CERTIFICATES: Final = 1 << 33
"""OpenSSL's SSL_OP_NO_RX_CERTIFICATE_COMPRESSION, from 3.2 on, which Python has no name for: one that is compressed
(RFC 8879) comes in another message."""
_HANDSHAKE: Final = 22
_CERTIFICATE: Final = 11
"""The content type and the message in which clients show theirs (RFC 8446 §4, §5.1)."""


def context(certificate: str, key: str = "") -> ssl.SSLContext:
    """TLS by who shows this certificate, PEM with its chain; `key` is empty where it is in the same file.

    TLS 1.2 at least (RFC 8996). Raises OSError for files that cannot be used, or not together; a key that is locked by
    a password is one of them.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_RENEGOTIATION  # a client could have us agree on keys again and again on one connection
    made.set_alpn_protocols(["http/1.1"])
    # The password is asked of whoever sits at the terminal, unless one is given.
    made.load_cert_chain(certificate, key or None, password="")
    return made


def asking(certificate: str, key: str = "") -> ssl.SSLContext:
    """The same, and clients may show a certificate, too, whoever signed it: themselves, as a rule.

    That they hold its key is proven by the handshake. Whose key that is, is not: who goes by it must find it where its
    subject says. Raises as `context` does.
    """
    made = context(certificate, key)
    made.options |= _NO_COMPRESSED_CERTIFICATES
    made.verify_mode = ssl.CERT_OPTIONAL
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # one that another has signed stands for itself
    # OpenSSL ends a handshake with a certificate that its store does not lead to, and Python's ssl has no word for
    # leaving that to us. So each is put there as it comes in, before OpenSSL looks. What Python calls for this is meant
    # for debugging; were it not called any more, all would be refused.
    made._msg_callback = _take  # type: ignore[attr-defined]
    return made


def is_full(of: ssl.SSLContext) -> bool:
    """Whether a context takes no more certificates of clients."""
    return of.cert_store_stats()["x509"] >= CERTIFICATES_MOST


def _take(of: ssl.SSLObject, direction: str, version: int, content: int, message: int, data: bytes) -> None:
    """Has a client's certificate accepted whose key and subject could be somebody's; called for each message."""
    to = of.context  # not kept in here: a context that is nobody's any more would wait for the collector
    if direction != "read" or (content, message) != (_HANDSHAKE, _CERTIFICATE) or is_full(to):
        return
    shown = _first(data, version)
    with suppress(ProtoError, ssl.SSLError):
        if public.of_certificate(shown)[1]:
            to.load_verify_locations(cadata=shown)


def _first(message: bytes, version: int) -> bytes:
    """The first certificate in such a message, DER (RFC 5246 §7.4.2; RFC 8446 §4.4.2 puts a context before the list).

    Empty: there is none, or it is cut short. OpenSSL has not read it yet.
    """
    rest = message[4:]
    if version == ssl.TLSVersion.TLSv1_3:
        rest = rest[1 + int.from_bytes(rest[:1]) :]
    length = int.from_bytes(rest[3:6])
    found = rest[6 : 6 + length]
    return found if len(found) == length else b""
