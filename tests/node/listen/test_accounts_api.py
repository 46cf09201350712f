"""Accounts over HTTP: who manages whom, what is drawn and told once, secrets that overlap, tokens one by one."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from node.listen import replies
from registry import totp
from registry.account import Account, new_token
from registry.postgres import accounts
from registry.rights import Role
from tests.fakes.in_process import NOW, PASSWORD, PREFIX, SECRET, STRANGER_PREFIX, Node, node

ACCOUNTS = "/api/v1/accounts"
NEW = "correct horse battery"


@pytest.fixture
async def made(database: str) -> AsyncIterator[Node]:
    async with node(database) as running:
        for role in (Role.SECURITY_ADMIN, Role.AUDIT_ADMIN):
            await running.house.steward.put_account(Account(0, role, "person", role, None), password="$kept")
            known, (token, digest) = await running.house.steward.account(role), new_token()
            assert known is not None
            await running.house.steward.issue_token(known.number, digest)
            running.tokens[role] = token
        yield running


SECURITY = str(Role.SECURITY_ADMIN)


async def signed_in(running: Node, username: str, secret: str) -> bool:
    """Signs in at the door; the token is kept under the user name."""
    body = {"username": username, "password": secret}
    _, told = await running.call("POST", "/identity/token", body, who=None)
    if told["status"] != replies.SNMS_OK:
        return False
    running.tokens[username] = told["data"]["token"]
    return True


async def new(running: Node, who: str, **given: Any) -> tuple[int, Any]:
    return await running.call("POST", ACCOUNTS, given, who=who)


async def test_who_makes_which_accounts(made: Node) -> None:
    table = [
        (SECURITY, {"role": "reviewer"}, 200),
        (SECURITY, {"role": "audit_admin"}, 403),
        (SECURITY, {"role": "enterprise_user", "prefix": PREFIX}, 200),
        (SECURITY, {"role": "enterprise_user"}, 400),
        (SECURITY, {"role": "reviewer", "prefix": PREFIX}, 400),
        ("admin", {"role": "enterprise_admin", "prefix": PREFIX}, 200),
        ("admin", {"role": "enterprise_admin", "prefix": "77.1.1"}, 400),
        ("admin", {"role": "system_admin"}, 403),
        ("admin", {"role": "security_admin"}, 403),
        ("leather", {"role": "enterprise_user"}, 200),
        ("leather", {"role": "enterprise_user", "prefix": PREFIX}, 200),
        ("leather", {"role": "enterprise_user", "prefix": STRANGER_PREFIX}, 400),
        ("leather", {"role": "verifier"}, 403),
        ("program", {"role": "enterprise_user"}, 403),
        (str(Role.AUDIT_ADMIN), {"role": "audit_admin"}, 403),
        (SECURITY, {"role": "emperor"}, 400),
        (SECURITY, {"role": "reviewer", "kind": "ghost"}, 400),
    ]
    told = [(await new(made, who, username=f"n{n}", **given))[0] for n, (who, given, _) in enumerate(table)]
    assert told == [status for *_, status in table]
    member = await made.house.steward.account("n9")
    leather = await made.house.steward.account("leather")
    assert member is not None
    assert leather is not None
    assert (member.role, member.enterprise) == (Role.ENTERPRISE_USER, leather.enterprise)


async def test_names_that_no_account_may_have_or_somebody_has(made: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("", "x" * 51, "a b", "a/b", "this", "a%b", "\0", f"{PREFIX}/App_person", "\u202e"):
        status, told = await new(made, SECURITY, username=name, role="reviewer")
        assert (status, told["error"]["field"]) == (400, "username"), name
    status, told = await new(made, SECURITY, username="leather", role="reviewer")
    assert (status, told["error"]["field"]) == (409, "username")
    assert await signed_in(made, "leather", PASSWORD), "it is as it was"
    monkeypatch.setattr(accounts, "ACCOUNTS_MOST", 3)
    told = [(await new(made, "leather", username=f"n{n}", role="enterprise_user"))[0] for n in range(2)]
    assert told == [200, 409], "an enterprise has so many"
    assert (await new(made, SECURITY, username="v", role="verifier"))[0] == 200


async def test_an_application_identity_is_a_program_of_the_enterprise_whose_prefix_it_bears(made: Node) -> None:
    app = {"username": f"{PREFIX}/App_mes", "kind": "program", "role": "enterprise_user"}
    assert (await new(made, "leather", **app, prefix=STRANGER_PREFIX))[0] == 400
    assert (await new(made, "stranger", **app))[0] == 400
    assert (await new(made, SECURITY, **(app | {"role": "system_admin"})))[0] == 400
    status, told = await new(made, "leather", **app)
    assert status == 200
    assert await signed_in(made, f"{PREFIX}/App_mes", told["secret"])
    path = f"{ACCOUNTS}/{PREFIX}%2FApp_mes"
    assert (await made.call("PUT", path, {"enabled": False}, who="leather"))[0] == 204
    assert not await signed_in(made, f"{PREFIX}/App_mes", told["secret"])


async def test_who_is_handed_a_password_changes_it_before_anything_else(made: Node) -> None:
    _, told = await new(made, "leather", username="li", role="enterprise_user")
    first = told["password"]
    assert await signed_in(made, "li", first)
    _, snms = await made.call("GET", f"/identityv2/data/detail?handle={PREFIX}/A", who="li")
    assert (snms["status"], snms["message"]) == (-3, "请先修改初始密码：PUT /api/v1/accounts/this/password")
    _, snms = await made.call("POST", "/identityv2/data", {"handle": f"{PREFIX}/A"}, who="li")
    assert snms["status"] == -3, "the lane says so, too"
    status, handle = await made.call("GET", f"/api/handles/{PREFIX}/A", who="li")
    assert (status, handle["responseCode"]) == (403, 402)
    made.tokens["gone"] = made.tokens["li"]
    assert await signed_in(made, "li", first)
    sent = {"Authorization": f"Bearer {made.tokens['gone']}"}
    async with made.client.delete("/api/v1/tokens/this", headers=sent) as response:
        assert response.status == 204, "who is told so may leave"
    status, own = await made.call("GET", "/api/v1/batches", who="li")
    assert (status, "initial password" in own["error"]["message"]) == (403, True)

    change = f"{ACCOUNTS}/this/password"
    for given, field in (
        ({"password": first, "new": "short"}, "new"),
        ({"password": first, "new": first}, "new"),
        ({"password": "wrong", "new": NEW}, "password"),
    ):
        status, told = await made.call("PUT", change, given, who="li")
        assert (status, told["error"]["field"]) == (400, field)
    earlier = made.tokens["li"]
    assert await signed_in(made, "li", first)
    made.tokens["earlier"] = earlier
    async with made.client.put(
        change, json={"password": first, "new": NEW}, headers={"Authorization": f"Bearer {made.tokens['li']}"}
    ) as response:
        assert response.status == 204
    assert (await made.call("GET", "/api/v1/batches", who="li"))[0] == 200
    assert (await made.call("GET", "/api/v1/batches", who="earlier"))[0] == 401, "its other tokens are gone"
    assert not await signed_in(made, "li", first)
    assert await signed_in(made, "li", NEW)


async def test_a_password_is_drawn_anew_by_who_manages_it(made: Node) -> None:
    path = f"{ACCOUNTS}/leather/password"
    assert (await made.call("POST", path, who="stranger"))[0] == 403
    assert (await made.call("POST", f"{ACCOUNTS}/AK-leather/password", who="admin"))[0] == 400
    status, told = await made.call("POST", path, who="admin")
    assert status == 200
    assert (await made.call("GET", "/api/v1/batches"))[0] == 401
    assert not await signed_in(made, "leather", PASSWORD)
    assert await signed_in(made, "leather", told["password"])
    assert (await made.call("GET", "/api/v1/batches"))[0] == 403, "it is to be changed first"
    status, _ = await made.call("PUT", f"{ACCOUNTS}/this/password", {"password": "x", "new": NEW}, who="program")
    assert status == 400


async def test_roles_are_changed_by_the_security_administrator_and_by_nobody_for_itself(made: Node) -> None:
    assert (await new(made, SECURITY, username="v0", role="verifier"))[0] == 200
    assert (await made.call("PUT", f"{ACCOUNTS}/v0", {"role": "reviewer"}, who=SECURITY))[0] == 204
    for who, whom, role, status in [
        ("admin", "v0", "verifier", 403),
        ("leather", "leather", "enterprise_user", 403),
        (SECURITY, SECURITY, "system_admin", 403),
        (SECURITY, "this", "system_admin", 403),
        (SECURITY, "v0", "system_admin", 403),
        (SECURITY, "audit_admin", "system_admin", 403),
        (SECURITY, "leather", "system_admin", 400),
        (SECURITY, "v0", "enterprise_user", 400),
        (SECURITY, "nobody", "verifier", 404),
        ("leather", "nobody", "enterprise_user", 403),
        ("leather", "stranger", "enterprise_user", 403),
        (SECURITY, "v0", None, 400),
    ]:
        assert (await made.call("PUT", f"{ACCOUNTS}/{whom}", {"role": role}, who=who))[0] == status, (who, whom)
    known = await made.house.steward.account("v0")
    assert known is not None
    assert known.role is Role.REVIEWER


async def test_nobody_gets_at_an_administrators_account_but_to_shut_it(made: Node) -> None:
    """Who could make one, or reset its password and second factor, would have its rights."""
    for method, path in (("POST", "admin/password"), ("DELETE", "admin/second-factor"), ("PUT", "admin/key")):
        status, told = await made.call(method, f"{ACCOUNTS}/{path}", who=SECURITY)
        assert (status, "服务器" in told["error"]["message"]) == (403, True)
    for enabled, status in ((False, 401), (True, 200)):
        assert (await made.call("PUT", f"{ACCOUNTS}/admin", {"enabled": enabled}, who=SECURITY))[0] == 204
        assert await signed_in(made, "admin", PASSWORD) is enabled
        assert (await made.call("GET", "/api/v1/batches", who="admin"))[0] == status
    assert (await made.call("PUT", f"{ACCOUNTS}/{SECURITY}", {"enabled": False}, who="admin"))[0] == 403
    assert (await made.call("PUT", f"{ACCOUNTS}/audit_admin", {"role": "verifier"}, who=SECURITY))[0] == 403
    for who, status in (("admin", 403), (SECURITY, 200)):
        for method in ("GET", "DELETE"):
            assert (await made.call(method, f"{ACCOUNTS}/audit_admin/tokens", who=who))[0] == status, (who, method)


async def test_a_shut_account_is_out_at_once_and_comes_back_when_opened(made: Node) -> None:
    assert (await made.call("PUT", f"{ACCOUNTS}/leather", {"enabled": False}, who="admin"))[0] == 204
    assert (await made.call("GET", "/api/v1/batches"))[0] == 401
    assert not await signed_in(made, "leather", PASSWORD)
    assert (await made.call("PUT", f"{ACCOUNTS}/leather", {"enabled": True}, who="admin"))[0] == 204
    assert await signed_in(made, "leather", PASSWORD)


async def test_an_enterprise_opens_what_it_has_shut_itself_and_not_what_the_node_has(made: Node) -> None:
    path = f"{ACCOUNTS}/AK-leather"
    for who, enabled, status in [
        ("leather", False, 204),
        ("leather", True, 204),
        ("admin", False, 204),
        ("leather", False, 204),
        ("leather", True, 403),
        ("admin", True, 204),
        ("leather", False, 204),
        ("leather", True, 204),
    ]:
        assert (await made.call("PUT", path, {"enabled": enabled}, who=who))[0] == status, (who, enabled)
        opened = enabled and status == 204
        assert await signed_in(made, "AK-leather", SECRET) is opened
    await made.house.steward.disable_account("AK-leather")
    assert (await made.call("PUT", path, {"role": "enterprise_user"}, who="leather"))[0] == 204
    assert (await made.call("PUT", path, {"enabled": True}, who="leather"))[0] == 403


async def test_two_secrets_at_most_and_the_older_one_ends(made: Node) -> None:
    path = f"{ACCOUNTS}/AK-leather/secret"
    status, first = await made.call("POST", path)
    assert (status, first["olderSecretUntil"] is not None) == (200, True)
    assert await signed_in(made, "AK-leather", SECRET)
    assert await signed_in(made, "AK-leather", first["secret"])
    made.tokens["old"] = made.tokens["AK-leather"]
    assert (await made.call("POST", f"{ACCOUNTS}/this/secret", who="AK-leather"))[0] == 403, "a stolen token is no key"
    _, second = await made.call("POST", path, {"overlap": 60})
    assert not await signed_in(made, "AK-leather", SECRET), "the oldest is gone"
    assert await signed_in(made, "AK-leather", first["secret"])
    async with made.registry.pool.acquire() as connection:
        await connection.execute("UPDATE account SET older_until = now() WHERE username = 'AK-leather'")
    assert not await signed_in(made, "AK-leather", first["secret"])
    _, third = await made.call("POST", path, {"overlap": 0})
    assert third["olderSecretUntil"] is None
    assert (await made.call("GET", "/api/v1/batches", who="old"))[0] == 401
    assert not await signed_in(made, "AK-leather", second["secret"])
    assert await signed_in(made, "AK-leather", third["secret"])
    for overlap in (-1, 90 * 86400 + 1, "x"):
        assert (await made.call("POST", path, {"overlap": overlap}))[0] == 400
    assert (await made.call("POST", f"{ACCOUNTS}/leather/secret", who="admin"))[0] == 400, "people have none"
    assert (await made.call("POST", path, who="stranger"))[0] == 403


async def test_tokens_are_listed_and_revoked_one_by_one(made: Node) -> None:
    assert await signed_in(made, "leather", PASSWORD)
    status, told = await made.call("GET", f"{ACCOUNTS}/this/tokens")
    assert status == 200
    assert [(each["this"], each["peer"]) for each in told["tokens"]] == [(True, "127.0.0.1"), (False, "192.0.2.1")]
    assert all(each["issued"] < each["expires"] for each in told["tokens"])
    assert not any(token in str(told) for token in made.tokens.values())
    other = told["tokens"][1]["id"]
    for who, status in (("stranger", 403), ("program", 403), ("admin", 204), ("admin", 404)):
        said = await made.client.delete(
            f"{ACCOUNTS}/leather/tokens/{other}", headers={"Authorization": f"Bearer {made.tokens[who]}"}
        )
        assert said.status == status
    _, told = await made.call("GET", f"{ACCOUNTS}/leather/tokens", who=SECURITY)
    assert len(told["tokens"]) == 1
    assert (await made.call("GET", "/api/v1/batches"))[0] == 200
    assert await made.call("DELETE", f"{ACCOUNTS}/AK-leather/tokens", who="admin") == (200, {"revoked": 1})
    assert (await made.call("GET", "/api/v1/batches", who="program"))[0] == 401
    for whom, who, status in (("nobody", "admin", 404), ("%00", "admin", 400), ("admin", "leather", 403)):
        assert (await made.call("DELETE", f"{ACCOUNTS}/{whom}/tokens", who=who))[0] == status


async def test_everybody_sees_the_accounts_it_manages(made: Node) -> None:
    async def names(who: str, query: str = "") -> list[str]:
        status, told = await made.call("GET", ACCOUNTS + query, who=who)
        assert status == 200
        return [each["username"] for each in told["accounts"]]

    everybody = ["AK-leather", "admin", "audit_admin", "leather", "security_admin", "stranger", "visitor"]
    assert await names(SECURITY) == everybody
    assert await names(SECURITY, "?after=admin&size=2") == ["audit_admin", "leather"]
    assert await names("admin") == ["AK-leather", "leather", "stranger", "visitor"]
    assert await names("leather") == ["AK-leather", "leather"]
    assert (await made.call("GET", ACCOUNTS, who="program"))[0] == 403
    assert (await made.call("GET", f"{ACCOUNTS}?after=%00", who=SECURITY))[0] == 400
    _, told = await made.call("GET", f"{ACCOUNTS}?size=1", who="leather")
    (first,) = told["accounts"]
    assert [first[name] for name in ("role", "enabled", "tokens", "passwordDue")] == [
        "enterprise_admin",
        True,
        1,
        False,
    ]


# --- The second factor -------------------------------------------------------------------------------------

STEP = NOW // totp.STEP_SECONDS
FACTOR = f"{ACCOUNTS}/this/second-factor"


async def enrolled(running: Node, who: str, password: str) -> bytes:
    """The key of one-time codes that `who` has enrolled, with the code of the step before now."""
    status, told = await running.call("POST", FACTOR, {"password": password}, who=who)
    assert status == 200
    key = base64.b32decode(told["secret"])
    assert told["uri"].startswith(f"otpauth://totp/idnode%2088.999:{who}?secret={told['secret']}&")
    async with running.client.put(
        FACTOR,
        json={"code": totp.hotp(key, STEP - 1)},
        headers={"Authorization": f"Bearer {running.tokens[who]}"},
    ) as response:
        assert response.status == 204
    return key


async def test_who_has_enrolled_types_a_code_behind_the_password_and_each_once(made: Node) -> None:
    assert await signed_in(made, "admin", PASSWORD)
    made.tokens["earlier"] = made.tokens["admin"]
    assert await signed_in(made, "admin", PASSWORD)
    key = await enrolled(made, "admin", PASSWORD)
    assert (await made.call("GET", "/api/v1/batches", who="earlier"))[0] == 401
    assert (await made.call("GET", "/api/v1/batches", who="admin"))[0] == 200
    now, later = totp.hotp(key, STEP), totp.hotp(key, STEP + 1)
    wrong = f"{(int(now) + 1) % 10**6:06}"
    tries = [PASSWORD, PASSWORD + totp.hotp(key, STEP - 1), PASSWORD + wrong, now, f"x{now}"]
    assert [await signed_in(made, "admin", each) for each in tries] == [False] * len(tries)
    assert await signed_in(made, "admin", PASSWORD + now)
    assert not await signed_in(made, "admin", PASSWORD + now), "each is good once"
    assert await signed_in(made, "admin", PASSWORD + later)
    assert (await made.call("POST", FACTOR, {"password": PASSWORD}, who="admin"))[0] == 400
    change = {"password": PASSWORD, "new": NEW}
    async with made.client.put(
        f"{ACCOUNTS}/this/password", json=change, headers={"Authorization": f"Bearer {made.tokens['admin']}"}
    ) as response:
        assert response.status == 204, "who is signed in has shown its second factor"


async def test_a_key_counts_once_it_is_confirmed(made: Node) -> None:
    assert (await made.call("PUT", FACTOR, {"code": "123456"}))[0] == 400
    assert (await made.call("POST", FACTOR, {"password": "wrong"}))[0] == 400
    _, told = await made.call("POST", FACTOR, {"password": PASSWORD})
    key = base64.b32decode(told["secret"])
    for code in ("", "12345", totp.hotp(key, STEP + 2), "标识标识标识"):
        assert (await made.call("PUT", FACTOR, {"code": code}))[0] == 400
    assert await signed_in(made, "leather", PASSWORD), "it is not asked for yet"
    assert (await made.call("POST", FACTOR, {"password": PASSWORD}, who="program"))[0] == 400
    async with made.registry.pool.acquire() as connection:
        kept = await connection.fetchval("SELECT totp_offered FROM account WHERE username = 'leather'")
    assert key not in kept, "it is sealed"


async def test_who_guesses_codes_with_the_right_password_is_stopped_and_nobody_else_is(made: Node) -> None:
    key = await enrolled(made, "leather", PASSWORD)
    right = PASSWORD + totp.hotp(key, STEP)
    wrong = PASSWORD + f"{(int(totp.hotp(key, STEP)) + 1) % 10**6:06}"
    keeper = made.house.doorkeeper
    for n in range(totp.WRONG_MOST + 3):
        assert await keeper.sign_in("leather", f"wrong{n}23456", f"192.0.2.{n}") is None
    assert await keeper.sign_in("leather", right, "192.0.2.77") is not None, "without the password no code is looked at"
    for n in range(totp.WRONG_MOST):
        assert await keeper.sign_in("leather", wrong, f"192.0.2.{n}") is None
    next_one = PASSWORD + totp.hotp(key, STEP + 1)
    assert await keeper.sign_in("leather", next_one, "192.0.2.78") is None
    async with made.registry.pool.acquire() as connection:
        await connection.execute(
            "UPDATE account SET totp_tried = totp_tried - make_interval(secs => $1)", float(totp.WRONG_SECONDS)
        )
    assert await keeper.sign_in("leather", next_one, "192.0.2.78") is not None


async def test_who_lost_its_telephone_is_helped_by_who_manages_it(made: Node) -> None:
    await enrolled(made, "leather", PASSWORD)
    path = f"{ACCOUNTS}/leather/second-factor"
    _, told = await made.call("GET", ACCOUNTS, who="admin")
    assert [each["username"] for each in told["accounts"] if each["secondFactor"]] == ["leather"]
    for who in ("leather", "stranger", "program"):
        assert (await made.call("DELETE", path, who=who))[0] == 403
    async with made.client.delete(path, headers={"Authorization": f"Bearer {made.tokens['admin']}"}) as response:
        assert response.status == 204
    assert (await made.call("DELETE", path, who="admin"))[0] == 404
    assert (await made.call("GET", "/api/v1/batches"))[0] == 401
    assert await signed_in(made, "leather", PASSWORD)


async def test_where_administrators_must_have_one_they_enrol_it_before_anything_else(database: str) -> None:
    async with node(database, second_factor="required") as running:
        status, told = await running.call("GET", "/api/v1/batches", who="admin")
        assert (status, FACTOR in told["error"]["message"]) == (403, True)
        _, told = await running.call("DELETE", "/identityv2/data", {"handle": f"{PREFIX}/A"}, who="admin")
        assert (told["status"], told["message"]) == (-3, f"管理员请先登记动态口令：POST {FACTOR}")
        assert (await running.call("GET", "/api/v1/batches"))[0] == 200, "others need none"
        key = await enrolled(running, "admin", PASSWORD)
        assert (await running.call("GET", "/api/v1/batches", who="admin"))[0] == 200
        assert not await signed_in(running, "admin", PASSWORD)
        assert await signed_in(running, "admin", PASSWORD + totp.hotp(key, STEP))
