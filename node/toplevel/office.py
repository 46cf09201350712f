"""`Office`: what the doors of the top-level node are given. Built in server.py; no behaviour here."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import asyncpg
from aiohttp import web

from node.toplevel.faults import Switches


@dataclass(frozen=True, slots=True)
class Office:
    """The pool of its books, its private key, the faults, the clock (milliseconds since 1970 UTC), how long an audit
    takes, and a bell that is rung when one is filed."""

    pool: asyncpg.Pool
    seed: bytes
    switches: Switches
    now: Callable[[], int]
    audit_milliseconds: int
    filed: asyncio.Event
    proving: asyncio.Lock


OFFICE: Final = web.AppKey("office", Office)
