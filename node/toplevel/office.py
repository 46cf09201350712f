"""`Office`: what the doors of the top-level node are given. Built in server.py; no behaviour here."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import asyncpg
from aiohttp import web

from node.toplevel.faults import Switches


@dataclass(frozen=True, slots=True)
class Office:
    """The pool of its books, its private key, the faults, the clock (milliseconds since 1970 UTC), the zone of the
    page, how long an audit takes, a bell that is rung when one is filed, and who holds `proving` proves alone."""

    pool: asyncpg.Pool
    seed: bytes
    switches: Switches
    now: Callable[[], int]
    zone: ZoneInfo
    audit_milliseconds: int
    filed: asyncio.Event
    proving: asyncio.Lock


OFFICE: Final = web.AppKey("office", Office)
