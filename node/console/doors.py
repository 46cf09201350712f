"""The doors to the pages: what is asked of the road, in which words it is answered, and how long a browser keeps it.

How a page is made stands in pages.py; what programs get, in node/listen/.
"""

import asyncio
from functools import cache
from typing import Final

import structlog
from aiohttp import web

from node.console.pages import (
    ABSENT_ELSEWHERE,
    BUSY,
    EDITION,
    MALFORMED,
    NOBODY_S,
    NOTICES,
    STATIC,
    STRANGER,
    TYPES,
    Look,
    Notice,
    found_page,
    landing_page,
    notice_page,
    page_path,
    shared_template,
    wants_page,
)
from node.gather import BusyError
from node.house import House
from node.hypertext import LANGUAGES, SAFE, language
from node.listen import handle_api, replies
from node.listen.http import HOUSE, onward
from node.listen.http import keeping as keeping_for
from node.resolve.answer import Answer, Outcome
from node.samples import ENTERPRISES, sample_records
from proto.errors import ProtoError
from proto.identifier import Identifier
from registry.errors import UnavailableError
from registry.template import Template

STATIC_SECONDS: Final = 365 * 24 * 3600
"""How long files are kept whose address names their edition; one year is the usual most (RFC 9111 sets none)."""

log = structlog.get_logger("pages")

_VARY: Final = "Accept, Accept-Language, Authorization"
_NOT_KEPT: Final = {"Cache-Control": "no-store"}


def _look(request: web.Request) -> Look:
    named = request.query.get("lang")
    lang = language(named, _joined(request, "Accept-Language"))
    return Look(lang, named in LANGUAGES, request.app[HOUSE].config.prefix)


def _joined(request: web.Request, name: str) -> str:
    return ",".join(request.headers.getall(name, ()))


def _page(look: Look, body: str, status: int, keeping: dict[str, str]) -> web.Response:
    headers = SAFE | {"Vary": _VARY, "Content-Language": look.lang} | keeping
    return web.Response(text=body, status=status, headers=headers, content_type="text/html")


async def identifier(request: web.Request) -> web.StreamResponse:
    """GET /{identifier}: a page, or to whoever does not like pages better (`wants_page`) what GET /api/handles/ gives.

    Outcomes and their statuses: 200, those of NOTICES, 400 for what is no identifier, 503 with Retry-After.
    """
    raw = handle_api.raw_path(request)[1:]
    if not wants_page(_joined(request, "Accept")):
        return await _json(request, raw)
    look, further = _look(request), onward(request)
    asked = raw
    try:
        asked = handle_api.asked_for(raw)
        wanted = Identifier.parse(asked)
        answer, private = await handle_api.ask(request, wanted, further=further)
    except handle_api.NotSignedInError:
        return _page(look, notice_page(look, STRANGER, asked), STRANGER.status, _NOT_KEPT | replies.CHALLENGE)
    except ProtoError as error:
        return _page(look, notice_page(look, MALFORMED, asked, look.sentence(error)), MALFORMED.status, _NOT_KEPT)
    except (BusyError, UnavailableError) as error:
        log.warning("troubled", path=request.path, status=BUSY.status, error=str(error))
        keeping = _NOT_KEPT | {"Retry-After": str(replies.BUSY_RETRY_SECONDS)}
        return _page(look, notice_page(look, BUSY, asked), BUSY.status, keeping)
    if answer.outcome is Outcome.FOUND:
        return await _found(request, look, wanted, answer, private=private)
    others_asked = bool(request.app[HOUSE].config.toplevel_url) and further
    notice = _notice(answer, others_asked=others_asked)
    return _page(look, notice_page(look, notice, asked), notice.status, _NOT_KEPT)


def _notice(answer: Answer, *, others_asked: bool) -> Notice:
    if answer.outcome is Outcome.FOREIGN and others_asked:
        return NOBODY_S
    if answer.outcome is Outcome.ABSENT and answer.elsewhere:
        return ABSENT_ELSEWHERE
    return NOTICES[answer.outcome]


async def _json(request: web.Request, raw: str) -> web.Response:
    url = request.rel_url.with_path(handle_api.PATH + raw, encoded=True, keep_query=True)
    response = await handle_api.get(request.clone(rel_url=url))
    response.headers["Vary"] = _VARY
    return response


async def _found(
    request: web.Request, look: Look, wanted: Identifier, answer: Answer, *, private: bool
) -> web.Response:
    config = request.app[HOUSE].config
    tag = f"{answer.tag[1:-1]}.{look.lang}.{EDITION}"
    keeping = {"ETag": f'"{tag}"', "Cache-Control": keeping_for(request.app[HOUSE], answer)}
    if not private and any(each.value in {tag, "*"} for each in request.if_none_match or ()):
        return web.Response(status=304, headers={"Vary": _VARY} | keeping)
    template = await _template(request.app[HOUSE], answer)
    if private or (answer.template and template is None):
        keeping = _NOT_KEPT
    page = found_page(look, wanted, answer.shown, template, config.zone, elsewhere=answer.elsewhere)
    return _page(look, page, 200, keeping)


async def _template(house: House, answer: Answer) -> Template | None:
    """None when there is none, or when PostgreSQL is away: then a kept answer is still shown, with bare names."""
    if answer.outcome is not Outcome.FOUND:
        return None
    if answer.elsewhere:
        return shared_template(answer.shown)
    if not answer.template:
        return None
    try:
        return await house.lookup.template(answer.template, answer.template_epoch)
    except UnavailableError as error:
        log.warning("labels_missing", template=answer.template, error=str(error))
        return None


@cache
def _sample_identifiers() -> tuple[Identifier, ...]:
    """Of each sample enterprise the last thing it made: it stands at the end of a chain."""
    return tuple(Identifier.parse(sample_records(each.prefix)[-1].identifier) for each in ENTERPRISES)


async def _samples(house: House, look: Look) -> list[tuple[str, str]]:
    """Kind and identifier of those samples this node really has."""
    wanted = _sample_identifiers()
    try:
        answers = await asyncio.gather(*(house.hot.ask(each, onward=False) for each in wanted))
    except (BusyError, UnavailableError) as error:
        log.warning("samples_missing", error=str(error))
        return []
    held = [pair for pair in zip(wanted, answers, strict=True) if pair[1].outcome is Outcome.FOUND]
    kinds = [(each, await _template(house, answer)) for each, answer in held]
    return [(look.say((kind.zh, kind.en or kind.version)), str(each)) for each, kind in kinds if kind is not None]


async def landing(request: web.Request) -> web.StreamResponse:
    """GET /: what this is and a field; with `?identifier=` on to its page, or what is wrong with it."""
    look, house = _look(request), request.app[HOUSE]
    asked = request.query.get("identifier", "").strip()
    if not asked:
        keeping = {"Cache-Control": f"public, max-age={house.config.cache_seconds}"}
        return _page(look, landing_page(look, samples=await _samples(house, look)), 200, keeping)
    try:
        path = page_path(str(Identifier.parse(asked)))
    except ProtoError as error:
        return _page(look, landing_page(look, asked, look.sentence(error)), MALFORMED.status, _NOT_KEPT)
    return web.Response(status=303, headers={"Location": path + look.query} | _NOT_KEPT)


async def static(request: web.Request) -> web.StreamResponse:
    """GET /static/{name}: kept for a year under the address pages use, a minute under any other."""
    name = request.match_info["name"]
    if name not in STATIC:
        raise web.HTTPNotFound
    seconds = STATIC_SECONDS if request.query.get("v") == EDITION else 60
    return _file(name, f"public, max-age={seconds}")


async def favicon(_: web.Request) -> web.StreamResponse:
    """GET /favicon.ico: the mark, for browsers that ask unbidden."""
    return _file("mark.svg", "public, max-age=86400")


def _file(name: str, keeping: str) -> web.Response:
    headers = SAFE | {"Content-Type": TYPES[name.rpartition(".")[2]], "Cache-Control": keeping}
    return web.Response(body=STATIC[name], headers=headers)


def add_routes(app: web.Application) -> None:
    """The routes of this face. To be added last: the last of them takes whatever path is left."""
    app.router.add_get("/", landing)
    app.router.add_get("/static/{name}", static)
    app.router.add_get("/favicon.ico", favicon)
    app.router.add_get("/{identifier:(?s:.+)}", identifier)
