"""Names and nonces of sessions: they follow from the node's key, are good for a minute, and nobody makes one up."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.key_session import CHANCE_OCTETS, NONCE_SECONDS, challenge, digest, key_of, nonce_of

KEY, OTHER = key_of(bytes(32)), key_of(b"\1" * 32)
NOW = 1_795_330_554
CHANCE = bytes(range(CHANCE_OCTETS))


def test_every_worker_knows_the_nonce_of_a_session_for_a_minute() -> None:
    session, nonce = challenge(KEY, NOW, CHANCE)
    assert len(nonce) == 16
    for later in (0, 1, NONCE_SECONDS):
        assert nonce_of(KEY, session, NOW + later) == nonce
    for later in (-1, NONCE_SECONDS + 1, 10**9):
        assert nonce_of(KEY, session, NOW + later) is None
    assert nonce_of(OTHER, session, NOW) is None


def test_sessions_are_told_apart_and_no_name_tells_its_nonce() -> None:
    made = {challenge(KEY, NOW + n, bytes((n,)) * CHANCE_OCTETS) for n in range(20)}
    assert len({each.session for each in made}) == len({each.nonce for each in made}) == 20
    assert len({digest(each.session) for each in made}) == 20
    session, nonce = challenge(KEY, NOW, CHANCE)
    assert nonce not in base64.urlsafe_b64decode(session)


@given(st.integers(0, 47), st.sampled_from("AZaz09-_=+/ é"))
def test_a_name_that_was_changed_is_no_session(at: int, character: str) -> None:
    session, nonce = challenge(KEY, NOW, CHANCE)
    changed = session[:at] + character + session[at + 1 :]
    assert nonce_of(KEY, changed, NOW) == (nonce if changed == session else None)


@pytest.mark.parametrize("name", ["", "=", "a", "标识", "A" * 48, "A" * 10_000, "node0abc"])
def test_what_is_no_name_is_no_session(name: str) -> None:
    assert nonce_of(KEY, name, NOW) is None
