"""How the node speaks TLS to its clients: versions, and the files of a certificate and its key."""

import ssl


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
