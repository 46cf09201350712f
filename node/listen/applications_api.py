"""The node's own API for who decides: what enterprises have applied for, the two decisions, and hosting."""

from contextlib import nullcontext
from typing import Any, Final

import msgspec
from aiohttp import web

from node.listen.bodies import body as read_body
from node.listen.http import HOUSE, encoded, examiner, witnessed
from node.listen.own_door import OwnError, decoded, explained, signed_in, whole_number
from registry import application
from registry.account import Account
from registry.application import STEPS, Occasion, Refusal
from registry.hosting import ProxyState
from registry.postgres import applications
from registry.prefix import PrefixState
from registry.rights import Right

BASE: Final = "/api/v1/applications"
PAGE_SIZE: Final = 20
"""Applications of a list when it is not said how many."""

_STATES: Final = {
    "unverified": PrefixState.UNVERIFIED,
    "unreviewed": PrefixState.PENDING,
    "passed": PrefixState.IN_REVIEW,
    "refused": PrefixState.REFUSED,
}
"""States of applications by the names of this face."""


class _DecisionIn(msgspec.Struct, forbid_unknown_fields=True):
    passed: bool
    reason: str = ""


async def _examining(request: web.Request) -> int | None:
    """Whose applications may be seen: None: everybody's, else those of that enterprise, which is the asker's (0: none
    yet).
    """
    account = await signed_in(request)
    if account.may(Right.VERIFY) or account.may(Right.REVIEW) or account.may_in(Right.APPLY, None):
        return None
    if not account.may(Right.APPLY):
        zh = "只有核验员、审核员、系统管理员和申请的企业可以查看"
        raise OwnError(
            403, None, zh, "only verifiers, reviewers, system administrators and the enterprise that applies"
        )
    return account.enterprise or 0


def _row(row: Any) -> dict[str, Any]:
    state = applications.standing(row)
    waiting = STEPS.get(PrefixState(row["state"]))
    return {
        "number": row["number"],
        "kind": Occasion(row["kind"]).zh,
        "state": state.zh,
        "waits_for": waiting.word if waiting else None,
        "enterprise": row["enterprise_no"],
        "prefix": row["prefix"],
        "orgName": row["org_name"],
        "orgCrtType": str(row["org_crt_type"]),
        "orgCrtCode": row["org_crt_code"],
        "applicant": row["applicant"],
        "applied": row["applied"].isoformat(timespec="seconds"),
        "updated": row["updated"].isoformat(timespec="seconds"),
        "reason": {"zh": row["reason_zh"], "en": row["reason_en"]} if state is PrefixState.REFUSED else None,
    }


@explained
async def listed(request: web.Request) -> web.Response:
    """GET /api/v1/applications?state=&below=&size=: applications, newest first; an enterprise sees its own."""
    mine = await _examining(request)
    state = request.query.get("state", "")
    if state and state not in _STATES:
        names = "、".join(_STATES)
        raise OwnError(400, "state", f"state应为{names}之一", f"state must be one of {', '.join(_STATES)}")
    below = min(whole_number(request, "below", 2**31 - 1), 2**31 - 1)
    size = whole_number(request, "size", PAGE_SIZE)
    rows = await request.app[HOUSE].examiner.listed(_STATES.get(state), below, size, mine)
    witnessed(request, "application", [f"application {row['number']}" for row in rows])
    return encoded({"applications": [_row(row) for row in rows]})


@explained
async def shown(request: web.Request) -> web.Response:
    """GET /api/v1/applications/{number}: all that was given, what to look at, and the decisions so far; whose they
    are, an enterprise is not told.
    """
    mine = await _examining(request)
    found = await request.app[HOUSE].examiner.shown(_asked(request))
    if found is None or mine not in {None, found.row["enterprise_no"]}:
        raise _missing(request)
    witnessed(request, "application", [f"application {found.row['number']}"])
    return encoded(
        _row(found.row)
        | {
            "form": found.form,
            "remarks": [{"zh": zh, "en": en} for zh, en in application.remarks(found.form)],
            "decisions": [
                {
                    "round": each["round"],
                    "step": each["step"],
                    "by": each["username"] if mine is None else None,
                    "passed": each["passed"],
                    "reason": each["reason"],
                    "made": each["made"].isoformat(timespec="seconds"),
                }
                for each in found.decisions
            ],
        }
    )


def _asked(request: web.Request) -> int:
    return min(int(request.match_info["number"]), 2**31 - 1)


def _missing(request: web.Request) -> OwnError:
    number = request.match_info["number"]
    return OwnError(404, "number", f"没有编号为{number}的申请", f"there is no application {number}")


def _refused(refusal: Refusal) -> OwnError:
    return OwnError(409 if refusal.field != "reason" else 400, refusal.field, refusal.zh, refusal.en)


async def _allowed(request: web.Request, right: Right) -> Account:
    account = await signed_in(request)
    if not account.may(right):
        raise OwnError(403, "step", "没有操作权限", f"this account has no right to {right}")
    return account


_RIGHTS: Final = {step.word: step.right for step in STEPS.values()}


@explained
async def decide(request: web.Request) -> web.Response:
    """PUT /api/v1/applications/{number}/{verification|review} {"passed", "reason"}: one of the two decisions."""
    step, house = request.match_info["step"], request.app[HOUSE]
    account = await _allowed(request, _RIGHTS[step])
    given = decoded(await read_body(request), _DecisionIn)
    filed = bool(house.config.toplevel_url)
    opens = step == "review" and given.passed
    change = house.announcer.catalogue_change(house.steward.catalogue_number) if opens else nullcontext()
    async with change:
        then = await examiner(request).decide(_asked(request), step, given.passed, given.reason, account, filed=filed)
    if then is None:
        raise _missing(request)
    if isinstance(then, Refusal):
        raise _refused(then)
    return encoded({"number": _asked(request), "state": then.zh})


@explained
async def hostings(request: web.Request) -> web.Response:
    """GET /api/v1/hostings: prefixes that are to be hosted here, the oldest wish first; an enterprise sees how its own
    stand, and why one was refused.
    """
    rows = await request.app[HOUSE].examiner.hostings(await _examining(request))
    told = [
        {name: row[name] for name in ("prefix", "enterprise", "applicant", "reason")}
        | {"state": ProxyState(row["state"]).zh, "applied": row["updated"].isoformat(timespec="seconds")}
        for row in rows
    ]
    return encoded({"hostings": told})


@explained
async def decide_hosting(request: web.Request) -> web.Response:
    """PUT /api/v1/hostings/{prefix} {"passed", "reason"}: whether it is hosted here."""
    account = await _allowed(request, Right.REVIEW)
    given, prefix = decoded(await read_body(request), _DecisionIn), request.match_info["prefix"]
    house = request.app[HOUSE]
    async with house.announcer.catalogue_change(house.steward.catalogue_number):
        then = await examiner(request).decide_hosting(prefix, given.passed, given.reason, account)
    if then is None:
        raise OwnError(404, "prefix", f"前缀{prefix}没有托管申请", f"nobody applied for hosting {prefix}")
    if isinstance(then, Refusal):
        raise _refused(then)
    assert isinstance(then, ProxyState)
    return encoded({"prefix": prefix, "state": then.zh})


def add_routes(app: web.Application) -> None:
    """The routes of these calls."""
    number = f"{BASE}/{{number:[0-9]{{1,18}}}}"
    app.router.add_get(BASE, listed)
    app.router.add_get(number, shown)
    app.router.add_put(f"{number}/{{step:verification|review}}", decide)
    app.router.add_get("/api/v1/hostings", hostings)
    app.router.add_put("/api/v1/hostings/{prefix}", decide_hosting)
