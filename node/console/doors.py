"""The doors to the pages: what is asked of the road, in which words it is answered, and how long a browser keeps it.

How a page is made stands in pages.py; what programs get, in node/listen/.
"""

import asyncio
from functools import cache
from typing import Final
from urllib.parse import urlencode

import structlog
from aiohttp import web

from node.console.pages import (
    ABSENT_ELSEWHERE,
    BUSY,
    CIRCLE,
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
    other_types,
    page_path,
    shared_template,
    wants_page,
)
from node.console.redirects import (
    NOT_KEPT,
    VARY,
    Trail,
    Wish,
    follow,
    is_templated,
    negotiates,
    redirect,
    target,
    values,
)
from node.gather import BusyError
from node.house import House
from node.hypertext import LANGUAGES, SAFE, language
from node.listen import handle_api, replies
from node.listen.http import HOUSE, onward
from node.resolve.answer import Answer, Outcome
from node.samples import ENTERPRISES, sample_records
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.proxy import listed
from registry.errors import UnavailableError
from registry.template import Template

STATIC_SECONDS: Final = 365 * 24 * 3600
"""How long files are kept whose address names their edition; one year is the usual most (RFC 9111 sets none)."""

_POLICY: Final = "Content-Security-Policy"
_SAFE: Final = SAFE | {_POLICY: SAFE[_POLICY].replace("form-action 'self'", "form-action *")}
"""Browsers hold a form to where its page lets forms go, redirects included; ours ends where the record says."""

log = structlog.get_logger("pages")


def _look(request: web.Request) -> Look:
    named = request.query.get("lang")
    lang = language(named, _joined(request, "Accept-Language"))
    rest = "".join(f"{urlencode([each])}&" for each in request.query.items() if each[0] != "lang")
    return Look(lang, named in LANGUAGES, request.app[HOUSE].config.prefix, rest)


def _joined(request: web.Request, name: str) -> str:
    return ",".join(request.headers.getall(name, ()))


def _page(look: Look, body: str, status: int, keeping: dict[str, str]) -> web.Response:
    headers = _SAFE | VARY | {"Content-Language": look.lang} | keeping
    return web.Response(text=body, status=status, headers=headers, content_type="text/html")


async def identifier(request: web.Request) -> web.StreamResponse:
    """GET /{identifier}: a page, or to whoever does not like pages better (`wants_page`) what GET /api/handles/ gives.

    Without template a browser is sent where the record says (redirects.py), with one where its template says so.
    Outcomes and their statuses: 200, those of a redirect, those of NOTICES, 404 for aliases without an end, 400 for
    what is no identifier, 503 with Retry-After.
    """
    raw = handle_api.raw_path(request)[1:]
    accept = _joined(request, "Accept")
    media_types = other_types(accept)
    if request.query.get("action", "").lower() == "api":
        return await _json(request, raw)
    if not wants_page(accept) and not (media_types and await negotiates(request, raw, media_types)):
        return await _json(request, raw)
    look = _look(request)
    asked = raw
    try:
        asked = handle_api.asked_for(raw)
        wish = Wish.of(request, media_types)
        trail = await follow(request, Identifier.parse(asked), aliases=wish.aliases)
    except handle_api.NotSignedInError:
        return _page(look, notice_page(look, STRANGER, asked), STRANGER.status, NOT_KEPT | replies.CHALLENGE)
    except ProtoError as error:
        return _page(look, notice_page(look, MALFORMED, asked, look.sentence(error)), MALFORMED.status, NOT_KEPT)
    except (BusyError, UnavailableError) as error:
        log.warning("troubled", path=request.path, status=BUSY.status, error=str(error))
        keeping = NOT_KEPT | {"Retry-After": str(replies.BUSY_RETRY_SECONDS)}
        return _page(look, notice_page(look, BUSY, asked), BUSY.status, keeping)
    if trail.answer.outcome is Outcome.FOUND and not trail.circle:
        return await _found(request, look, wish, trail)
    others_asked = bool(request.app[HOUSE].config.toplevel_url) and onward(request)
    notice = CIRCLE if trail.circle else _notice(trail.answer, others_asked=others_asked)
    return _page(look, notice_page(look, notice, str(trail.identifier)), notice.status, NOT_KEPT)


def _notice(answer: Answer, *, others_asked: bool) -> Notice:
    if answer.outcome is Outcome.FOREIGN and others_asked:
        return NOBODY_S
    if answer.outcome is Outcome.ABSENT and answer.elsewhere:
        return ABSENT_ELSEWHERE
    return NOTICES[answer.outcome]


async def _json(request: web.Request, raw: str) -> web.Response:
    url = request.rel_url.with_path(handle_api.PATH + raw, encoded=True, keep_query=True)
    response = await handle_api.get(request.clone(rel_url=url))
    response.headers.update(VARY)
    return response


async def _found(request: web.Request, look: Look, wish: Wish, trail: Trail) -> web.Response:
    house, answer = request.app[HOUSE], trail.answer
    template, templated = await _template(house, answer), is_templated(answer)
    attribute = template.redirect.index if template and template.redirect else 0
    if (attribute or not templated) and (to := target(trail, wish, attribute)):
        return redirect(request, trail, to)
    tag = f"{trail.tag}.{look.lang}.{EDITION}"
    keeping = {"ETag": f'"{tag}"', "Cache-Control": f"public, max-age={trail.seconds(house.config.cache_seconds)}"}
    if not trail.private and any(each.value in {tag, "*"} for each in request.if_none_match or ()):
        return web.Response(status=304, headers=VARY | keeping)
    if trail.private or (answer.template and template is None):
        keeping = NOT_KEPT
    shown = wish.of_shown(answer.shown)
    if wish.action == "showurls":
        return web.Response(
            body=listed(values(shown), attribute), headers=SAFE | VARY | keeping, content_type="application/xml"
        )
    bare = wish.action == "showvalues" or not templated
    zone = house.config.zone
    page = found_page(look, trail.identifier, shown, template, zone, elsewhere=answer.elsewhere, bare=bare)
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
        return _page(look, landing_page(look, asked, look.sentence(error)), MALFORMED.status, NOT_KEPT)
    return web.Response(status=303, headers={"Location": path + look.query} | NOT_KEPT)


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
