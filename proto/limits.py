"""The bounds the standards set, each with its source. Bounds of our own are settings (node/config.py)."""

from typing import Final

IDENTIFIER_CHARACTERS: Final = 255
"""Longest identifier, prefix and slash included (IIIDAP query draft §3.1.1; SNMS OpenAPI, `handle`)."""

PREFIX_CHARACTERS: Final = 64
"""Longest prefix (SNMS OpenAPI, `entPrefix`)."""

TYPE_CHARACTERS: Final = 128
"""Longest type of a value (SNMS OpenAPI, `type`)."""

VALUES_PER_RECORD: Final = 2048
"""Most values another node's answer may carry (the hard limit of the CAICT client library)."""

INDEX_LAST: Final = 2**31 - 1
"""Indexes from 2^31 on must not be used, 0 is reserved (errata of RFC 3651)."""

TTL_DEFAULT: Final = 86_400
"""Seconds a value may be kept by whoever asked, unless it says otherwise (RFC 3651 §3.1)."""

DATA_OCTETS: Final = 65_536
"""Most octets of one value's data: far above the 4096 characters templates allow, far below a body's bound."""

RECORD_OCTETS: Final = 1024 * 1024
"""Most octets of all data of a record that moves in: a sixteenth of the longest message of the Handle protocol, and ten
times what the largest template can hold in practice."""
