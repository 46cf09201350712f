"""The register of who answers IIIDAP for whom, published: every node that has told where it is found (IIIDAP-A)."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

import structlog
from aiohttp import web

from node.toplevel import books
from node.toplevel.office import OFFICE
from node.toplevel.service import cut
from proto.bootstrap import Bootstrap
from registry.errors import UnavailableError
from registry.postgres.connection import borrowed

PATH: Final = "/bootstrap/iiidap.json"
KEPT_SECONDS: Final = 3600
"""How long a copy may be kept: a node that moves is found an hour later."""
_DESCRIPTION: Final = "IIIDAP：各前缀由哪个节点回答（模拟） who answers for which prefixes (simulated)"

log = structlog.get_logger("bootstrap")


async def get(request: web.Request) -> web.StreamResponse:
    """GET /bootstrap/iiidap.json, with Expires."""
    office = request.app[OFFICE]
    if office.switches.faults.outage:
        return cut(request)
    try:
        async with borrowed(office.pool) as connection:
            doors, changed = await books.doors(connection)
    except UnavailableError as error:
        log.warning("books_unreachable", error=str(error))
        return web.Response(status=503)
    register = Bootstrap(
        {prefix: base or f"http://{_host(address)}:{port}/iiidap/" for prefix, address, port, base in doors}
    )
    body = register.to_octets(_moment(changed).isoformat(timespec="seconds").replace("+00:00", "Z"), _DESCRIPTION)
    expires = _moment(office.now() + KEPT_SECONDS * 1000)
    headers = {
        "Date": format_datetime(_moment(office.now()), usegmt=True),
        "Expires": format_datetime(expires, usegmt=True),
        "Cache-Control": f"public, max-age={KEPT_SECONDS}",
    }
    return web.Response(body=body, content_type="application/json", headers=headers)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds // 1000, UTC)


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


ROUTES: Final = (web.get(PATH, get),)
