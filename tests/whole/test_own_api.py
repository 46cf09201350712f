"""The node's own API on a whole node: what one worker is told, every worker knows at once.

What each call says is proven in tests/node/listen/test_own_api.py.
"""

import itertools
from typing import Any

import pytest

from tests.whole.calls import Caller

PREFIX = "88.999.2001"
WORKERS_MET = 8
"""Calls on connections of their own, so that both workers are met but once in a hundred runs."""
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def admin(world: Any) -> Caller:
    known = world.ready["admin"]
    return Caller(world.http).signed(known["username"], known["password"])


@pytest.fixture
def mine(world: Any) -> Caller:
    known = world.ready["enterprises"][1]
    return Caller(world.http).signed(known["access_key"], known["secret_key"])


@pytest.fixture(scope="session")
def template(admin: Caller) -> str:
    body = {"prefix": PREFIX, "version": "own", "type": 2, "industryCategory": "C", "industrySpecific": "36"}
    body |= {"industryTrade": "367", "industrySubclass": "3670", "items": [{"name": "件号", "idType": "partNo"}]}
    assert admin.call("POST", "/snms/api/v5/template", body).json["message"] == "success"
    return "own"


@pytest.fixture
def row(template: str) -> dict[str, Any]:
    value = [{"index": 2000, "type": "partNo", "data": {"format": "string", "value": "P1"}}]
    return {"handle": f"{PREFIX}/OWN-{next(_numbers)}", "templateVersion": template, "value": value}


def test_a_revoked_token_is_worthless_to_every_worker(mine: Caller, admin: Caller) -> None:
    assert [mine.call("GET", "/api/v1/batches").status for _ in range(WORKERS_MET)] == [200] * WORKERS_MET
    assert mine.call("DELETE", "/api/v1/tokens/this").status == 204
    assert [mine.call("GET", "/api/v1/batches").status for _ in range(WORKERS_MET)] == [401] * WORKERS_MET
    assert admin.call("DELETE", "/api/v1/accounts/nobody/tokens").status == 404


def test_every_worker_sees_every_change_at_once(mine: Caller, row: dict[str, Any]) -> None:
    def codes() -> set[tuple[int, str]]:
        answers = [mine.call("GET", f"/api/handles/{row['handle']}?index=2000").json for _ in range(WORKERS_MET)]
        return {(a["responseCode"], "".join(v["data"]["value"] for v in a.get("values", []))) for a in answers}

    assert codes() == {(100, "")}
    for n in range(5):
        row["value"][0]["data"]["value"] = f"P{n}"
        method = "POST" if n == 0 else "PUT"
        assert mine.call(method, "/identityv2/data", row).json["message"] == "success"
        assert codes() == {(1, f"P{n}")}
    assert mine.call("DELETE", "/identityv2/data", {"handle": row["handle"]}).json["message"] == "success"
    assert codes() == {(100, "")}
    assert mine.call("POST", "/identityv2/data", row).json["message"] == "success"
    assert codes() == {(1, "P4")}
    told = mine.call("GET", f"/api/v1/history/{row['handle']}").json["versions"]
    assert [each["version"] for each in told] == [7, 6, 5, 4, 3, 2, 1]


def test_a_stopped_prefix_is_stopped_for_every_worker(mine: Caller, admin: Caller, row: dict[str, Any]) -> None:
    assert mine.call("POST", "/identityv2/data", row).json["message"] == "success"
    for state, code in (("stopped", 301), ("enabled", 1), ("stopped", 301), ("enabled", 1)):
        assert admin.call("PUT", f"/api/v1/prefixes/{PREFIX}", {"state": state}).status == 200
        answers = [mine.call("GET", f"/api/handles/{row['handle']}").json for _ in range(WORKERS_MET)]
        assert {answer["responseCode"] for answer in answers} == {code}, state


def test_a_file_is_compared_with_what_is_registered(mine: Caller, row: dict[str, Any]) -> None:
    assert mine.call("POST", "/identityv2/data", row).json["message"] == "success"
    changed = row | {"value": [row["value"][0] | {"data": {"value": "other"}}]}
    missing = row | {"handle": f"{PREFIX}/OWN-nothing"}
    results = mine.call("POST", "/api/v1/reconcile", [row, changed, missing]).json["results"]
    assert [(each["result"], each["differs"]) for each in results] == [
        ("same", []),
        ("different", ["partNo"]),
        ("missing", []),
    ]
