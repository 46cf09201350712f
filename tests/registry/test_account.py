"""Proves registry/account.py: who may write, and what proves who somebody is. Where it is kept is proven elsewhere."""

from datetime import date, timedelta
from hashlib import sha256

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from registry.account import (
    SECRET_CHARACTERS,
    TOKEN_SECONDS,
    TOKENS_PER_ACCOUNT,
    USERNAME_CHARACTERS,
    Account,
    Vault,
    application_prefix,
    derived,
    digest_hex,
    hash_of_nobody,
    hash_password,
    is_username,
    new_token,
    password_proves,
    token_digest,
)
from registry.rights import ADMINISTRATORS, OF_ENTERPRISES, Right, Role

TODAY = date(2026, 11, 22)
VAULT = Vault(bytes(range(32)))
SECRETS = st.text(max_size=SECRET_CHARACTERS)


def dated(secret: str, day: date) -> str:
    return sha256(f"{sha256(secret.encode()).hexdigest()}{day.isoformat()}".encode()).hexdigest()


@pytest.mark.parametrize(
    ("account", "of", "may"),
    [
        (Account(1, "a", "person", Role.SYSTEM_ADMIN, None), 3, True),
        (Account(1, "a", "person", Role.SYSTEM_ADMIN, None), None, True),
        (Account(2, "b", "program", Role.ENTERPRISE_ADMIN, 3), 3, True),
        (Account(2, "b", "program", Role.ENTERPRISE_ADMIN, 3), 4, False),
        (Account(2, "b", "program", Role.ENTERPRISE_ADMIN, 3), None, False),
        (Account(2, "b", "person", Role.ENTERPRISE_ADMIN, None), None, False),
    ],
)
def test_who_may_write(account: Account, of: int | None, may: bool):
    assert account.may_write(of) is may


def test_a_right_over_an_enterprise_is_that_of_its_own_people_and_of_the_nodes():
    member = Account(2, "b", "person", Role.ENTERPRISE_USER, 3)
    assert member.may(Right.REGISTER)
    assert not member.may(Right.TEMPLATES)
    assert [member.may_in(Right.REGISTER, of) for of in (3, 4, None)] == [True, False, False]
    applicant = Account(2, "b", "person", Role.ENTERPRISE_ADMIN, None)
    assert not applicant.may_in(Right.TEMPLATES, None)
    verifier = Account(4, "v", "person", Role.VERIFIER, None)
    assert verifier.may_in(Right.VERIFY, 3)
    assert not verifier.may_in(Right.REGISTER, 3)


def test_bounds_of_the_openapi():
    assert (USERNAME_CHARACTERS, SECRET_CHARACTERS, TOKEN_SECONDS, TOKENS_PER_ACCOUNT) == (50, 64, 86_400, 1000)


# --- People ------------------------------------------------------------------------------------------------


def test_a_password_is_proven_by_itself_alone():
    kept = hash_password("correct 马 battery")
    assert password_proves(kept, "correct 马 battery")
    assert not password_proves(kept, "correct 马 batterY")
    assert not password_proves(kept, "")
    assert not password_proves(kept, digest_hex("correct 马 battery"))


def test_what_is_kept_is_argon2id_over_the_digest_that_clients_send():
    kept = hash_password("secret-1")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PasswordHasher().verify(kept, "f7e7c36e458e80e6b6a2c67d0a9ec09bd718dadd7bfa8d6bf6e7ad526e46c2f7")
    assert digest_hex("secret-1") == sha256(b"secret-1").hexdigest()
    assert hash_password("secret-1") != kept


def test_nobody_has_a_hash_that_costs_as_much_and_that_no_password_proves():
    kept = hash_of_nobody()
    assert kept.split("$")[:4] == hash_password("x").split("$")[:4]
    assert hash_of_nobody() == kept
    assert not password_proves(kept, "")


# --- Programs ----------------------------------------------------------------------------------------------


@given(SECRETS, SECRETS)
def test_a_secret_is_proven_by_itself_alone(secret: str, other: str):
    sealed = VAULT.seal("acme", secret)
    assert VAULT.secret_proves("acme", sealed, secret)
    assert VAULT.secret_proves("acme", sealed, other) is (other == secret)
    assert not VAULT.secret_proves("acme2", sealed, secret)


@given(SECRETS, st.integers(-40, 40))
def test_a_dated_digest_is_good_for_its_day_and_the_days_beside_it(secret: str, days: int):
    sealed = VAULT.seal("acme", secret)
    given_ = dated(secret, TODAY + timedelta(days=days))
    assert VAULT.dated_digest_proves("acme", sealed, given_, TODAY) is (abs(days) <= 1)
    assert VAULT.dated_digest_proves("acme", sealed, f" {given_.upper()} \n", TODAY) is (abs(days) <= 1)


def test_a_dated_digest_by_hand():
    # sha256("f7e7c36e…46c2f7" + "2026-11-22"), the inner one being sha256("secret-1")
    inner = "f7e7c36e458e80e6b6a2c67d0a9ec09bd718dadd7bfa8d6bf6e7ad526e46c2f7"
    outer = sha256(f"{inner}2026-11-22".encode()).hexdigest()
    assert VAULT.dated_digest_proves("acme", VAULT.seal("acme", "secret-1"), outer, TODAY)


@pytest.mark.parametrize("given_", ["", "x", "标识", "0" * 64, sha256(b"2026-11-22").hexdigest()])
def test_nothing_else_is_a_dated_digest(given_: str):
    assert not VAULT.dated_digest_proves("acme", VAULT.seal("acme", "secret-1"), given_, TODAY)


def test_a_vault_with_another_key_proves_nothing_not_even_the_empty_secret():
    sealed, other = VAULT.seal("acme", ""), Vault(bytes(32))
    assert not other.secret_proves("acme", sealed, "")
    # What an empty inner digest would give:
    assert not other.dated_digest_proves("acme", sealed, sha256(b"2026-11-22").hexdigest(), TODAY)


def test_what_is_sealed_is_bound_to_its_place_and_never_the_same_twice():
    sealed = VAULT.seal("acme", "secret-1")
    assert VAULT.seal("acme", "secret-1") != sealed
    assert sha256(b"secret-1").digest() not in sealed
    for at in (0, 12, len(sealed) - 1):
        spoilt = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        assert not VAULT.secret_proves("acme", spoilt, "secret-1")


# --- Tokens ------------------------------------------------------------------------------------------------


def test_a_token_is_long_and_kept_as_its_digest():
    token, digest = new_token()
    assert len(token) >= 43
    assert digest == token_digest(token) == sha256(token.encode()).digest()
    assert new_token()[0] != token


@given(st.text(st.characters()))
def test_whatever_a_header_holds_has_a_digest(token: str):
    assert len(token_digest(token)) == 32


def test_a_token_of_octets_that_are_no_text_has_a_digest_of_its_own():
    assert token_digest("\udcff") != token_digest("\udcfe")


def test_a_derived_key_is_one_for_each_purpose_and_tells_nothing_of_another() -> None:
    key = bytes(range(32))
    made = {derived(key, "files"), derived(key, "other"), derived(bytes(32), "files"), key}
    assert len(made) == 4
    assert derived(key, "files").hex() == "303f60a342f97caae08226a5c53cd4b2de3c474950fd94bf3c47c7ef8358314f"


# --- Names, and who manages whom ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("88.999.1001/App_mes", "88.999.1001"),
        ("88.999.1001/App_", None),
        ("88.999/App_mes", None),
        ("88.999.1001/app_mes", None),
        ("88.999.1001/App_mes\n", None),
        ("AK-leather", None),
    ],
)
def test_an_application_identity_bears_its_prefix(name: str, prefix: str | None):
    assert application_prefix(name) == prefix
    assert is_username(name) is (prefix is not None or name == "AK-leather")


def test_who_manages_whom():
    security = Account(1, "s", "person", Role.SECURITY_ADMIN, None)
    system = Account(2, "a", "person", Role.SYSTEM_ADMIN, None)
    firm = Account(3, "f", "person", Role.ENTERPRISE_ADMIN, 3)
    assert {role for role in Role if security.may_manage(role, 4)} == set(Role) - ADMINISTRATORS
    assert {role for role in Role if system.may_manage(role, 4)} == OF_ENTERPRISES
    assert {role for role in Role if firm.may_manage(role, 3)} == OF_ENTERPRISES
    assert not any(firm.may_manage(role, 4) for role in Role)
    for role in (Role.ENTERPRISE_USER, Role.VERIFIER, Role.REVIEWER, Role.AUDIT_ADMIN):
        assert not Account(4, "x", "person", role, None).may_manage(Role.ENTERPRISE_USER, 3)
    assert not Account(5, "p", "program", Role.SECURITY_ADMIN, None).may_manage(Role.ENTERPRISE_USER, 3)
