"""How answers are sealed: certified by the site key, or in a session by its key; and encrypted there. What they say is
answers.py's, how it is laid out proto/native/'s.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from node.buckets import Buckets
from node.gather import BusyError
from node.native import answers
from node.native.answers import Asked, Inside, Said
from node.native.sessions import MAC_TYPE
from node.site_key import SiteKey
from proto.keys.session import IV_OCTETS
from proto.native.credential import Credential, signed_octets
from proto.native.envelope import Envelope, Framed
from proto.native.message import CERTIFY, ENCRYPT, Message

UDP_SIGNED: Final = 50
"""Signatures a worker makes a second for who asks by UDP, all of them together: a source proves nothing there, and a
signature takes as long as some hundred answers. It is a twentieth of a processor."""
SIGNED_TYPE: Final = "HS_SIGNED"


class Seals:
    """Seals the answers of one worker. `clock` gives monotonic seconds."""

    def __init__(self, site_key: SiteKey | None, clock: Callable[[], float]) -> None:
        self._site_key = site_key
        self._by_udp = Buckets(UDP_SIGNED, 1.0, clock)

    def wanted(self, asked: Asked) -> bool:
        """Whether the answer to it is to be sealed: without a site key nothing is certified, and does not say it is."""
        return asked.inside is not None or (self._site_key is not None and asked.message.has(CERTIFY))

    async def framed(self, asked: Asked, said: Said, now: int, flags: int, *, authoritative: bool) -> Framed:
        """As answers.framed(), sealed. Raises BusyError when too many signatures are wanted."""
        inside, certified = asked.inside, asked.message.has(CERTIFY)
        if certified and inside is None and asked.by_udp and self._by_udp.draw(""):
            assert self._site_key is not None
            self._site_key.refused()
            raise BusyError
        encrypts = inside is not None and inside.encrypts
        flags |= CERTIFY * certified | ENCRYPT * encrypts
        parts = []
        messages = answers.messages(asked, said, now, flags, authoritative=authoritative)
        for number, (envelope, bare) in enumerate(messages):
            message = bare
            if certified:
                credential = await self._credential(inside, number, envelope, bare)
                message = replace(bare, credential=credential.to_octets())
            parts.append(_encrypted(inside, envelope, message) if encrypts else answers.laid(envelope, message))
        return answers.joined(parts)

    async def _credential(self, inside: Inside | None, number: int, envelope: Envelope, message: Message) -> Credential:
        if inside is not None:
            counter = inside.first + number
            name, mac = inside.key.mac(signed_octets(envelope, message.covered, counter), envelope.version)
            return Credential(MAC_TYPE, name, mac, index=counter)
        assert self._site_key is not None
        name, signature = await self._site_key.sign(signed_octets(envelope, message.covered, 0), envelope.version)
        return Credential(SIGNED_TYPE, name, signature)


def _encrypted(inside: Inside | None, envelope: Envelope, message: Message) -> Framed:
    assert inside is not None
    octets = inside.key.encrypt(message.to_octets(), secrets.token_bytes(IV_OCTETS))
    return Framed(envelope._replace(encrypted=True, length=len(octets)), octets)
