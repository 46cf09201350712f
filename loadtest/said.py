"""How the crowd signs in and describes a template: requests of the SNMS OpenAPI that every program here makes.

Pure. What each program asks besides is said in its own room.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

JSON: Final = {"Content-Type": "application/json"}
"""The header of a body of JSON."""


class Said(NamedTuple):
    """One HTTP request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Item:
    """One attribute of a template; `access` is who may see it (public, partners, internal), `most` in characters."""

    index: int
    name: str
    zh: str
    required: bool
    most: int
    access: str = "public"


def body(document: Any) -> bytes:
    """`document` as JSON."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def token(username: str, password: str) -> Said:
    """Signs in."""
    return Said("POST", "/identity/token", JSON, body({"username": username, "password": password}))


def template(prefix: str, version: str, description: str, items: Sequence[Item]) -> Said:
    """Creates a template under `prefix`, of leather goods (GB/T 4754 class 1922)."""
    document = {
        "prefix": prefix,
        "version": version,
        "description": description,
        "industryCategory": "C",
        "industrySpecific": "19",
        "industryTrade": "192",
        "industrySubclass": "1922",
        "type": 2,
        "items": [
            {
                "name": item.zh,
                "idType": item.name,
                "idIndex": item.index,
                "required": item.required,
                "state": 1,
                "class": item.access,
                "metadata": {"type": "string", "minLength": 0, "maxLength": item.most},
            }
            for item in items
        ],
    }
    return Said("POST", "/snms/api/v5/template", JSON, body(document))
