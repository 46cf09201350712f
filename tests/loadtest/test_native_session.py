"""Proves loadtest/native_session.py: it believes no answer that is not proven to be of its session."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from loadtest.native import AskError, Heard
from loadtest.native_session import Session, certified
from proto.keys import public
from proto.keys.session import SessionKey
from proto.native.credential import Credential
from proto.native.envelope import Envelope, Framed
from proto.native.message import CERTIFY, ENCRYPT, Message
from tests.proto.keys.made import private

KEY, OTHER = SessionKey(bytes(range(32))), SessionKey(bytes(32))
NUMBER = 2**30 + 7
ASKED = Message(302, flags=CERTIFY, body=b"\0\0\0\1/")
Say = Callable[[Framed], Framed]


class Line:
    """A connection on which each request is answered by what `say` makes of it."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._last = 0
        self._said: list[Framed] = []

    def number(self) -> int:
        self._last += 1
        return self._last

    async def send(self, octets: bytes) -> None:
        self._said.append(self._say(Framed(Envelope.from_octets(octets), octets[20:])))

    async def take(self) -> Framed:
        return self._said.pop(0)


def says(key: SessionKey = KEY, number: int = NUMBER, counter: int = 0, **more: Any) -> Say:
    """Answers by the rules, but for what is given."""

    def say(asked: Framed) -> Framed:
        teller = Session(number, key)
        message = Message(302, 1, **{"flags": CERTIFY} | more)
        return teller.framed(message, asked.envelope.request, encrypted=message.has(ENCRYPT), counter=counter)

    return say


async def test_what_is_proven_is_heard() -> None:
    session = Session(NUMBER, KEY)
    for counter, flags in ((1, CERTIFY), (2, CERTIFY | ENCRYPT)):
        line: Any = Line(says(counter=counter, flags=flags))
        heard = await session.ask(line, replace(ASKED, flags=flags))
        assert (heard.message.code, session.counter) == (1, counter)


@pytest.mark.parametrize(
    "say",
    [says(OTHER), says(number=NUMBER + 1), says(flags=CERTIFY | ENCRYPT), says(OTHER, flags=CERTIFY | ENCRYPT)],
    ids=["another key", "another session", "encrypted though nobody asked", "encrypted by another key"],
)
async def test_what_is_not_is_refused(say: Say) -> None:
    line: Any = Line(say)
    with pytest.raises(AskError):
        await Session(NUMBER, KEY).ask(line, ASKED)


async def test_an_answer_is_heard_once() -> None:
    session, line = Session(NUMBER, KEY), Line(says(counter=5))
    again: Any = line
    await session.ask(again, ASKED)
    with pytest.raises(AskError, match="before"):
        await session.ask(again, ASKED)


def test_a_certificate_is_of_one_answer_and_of_the_key_that_is_known() -> None:
    key, envelope, message = private("rsa"), Envelope((2, 3), (2, 11), 1, 0), Message(1, 100, CERTIFY)
    signature = key.sign("SHA1", message.covered)
    signed = replace(message, credential=Credential("HS_SIGNED", b"SHA1", signature).to_octets())
    shown = public.to_octets(key.public())
    assert certified(Heard(envelope, signed), shown)
    assert not certified(Heard(envelope, replace(signed, code=1)), shown)
    assert not certified(Heard(envelope, signed), public.to_octets(private("dsa").public()))
    of_session = Credential("HS_MAC", b"SHA1", signature).to_octets()
    assert not certified(Heard(envelope, replace(message, credential=of_session)), shown)
