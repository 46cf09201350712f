"""`Credential`: the section of a message that holds its signature (RFC 3652 §2.2.4 as deployed).

Whether a signature is right is not judged here, only what it is made of.
"""

from dataclasses import dataclass
from typing import Self

from proto.native import versions
from proto.native.envelope import Envelope
from proto.octets import Reader, data, string


@dataclass(frozen=True, slots=True)
class Credential:
    """Who signed, how, and the signature.

    `type` is HS_SIGNED (by a public key), HS_MAC (in a session) or, of old peers, HS_DSAPUBKEY. `index` is that of the
    signer's key; in a session it counts the messages instead, so that none is worth anything twice. `algorithm` is the
    name of a digest, or one octet: the number of it.
    """

    type: str
    algorithm: bytes
    signature: bytes
    signer: str = ""
    index: int = 0
    version: int = 0
    reserved: int = 0
    options: int = 0

    @classmethod
    def from_octets(cls, octets: bytes) -> Self:
        """Reads a credential section without its length; what stands behind the signature is passed over.

        Raises ProtoError.
        """
        reader = Reader(octets)
        version, reserved = reader.unsigned(1, "credential"), reader.unsigned(1, "credential")
        options = reader.unsigned(2, "credential")
        signer, index = reader.string("credential"), reader.unsigned(4, "credential")
        type_ = reader.string("credential")
        signed = Reader(reader.data("credential"))
        algorithm, signature = signed.data("credential"), signed.data("credential")
        return cls(type_, algorithm, signature, signer, index, version, reserved, options)

    def to_octets(self) -> bytes:
        """The section without its length."""
        return b"".join(
            (
                bytes((self.version, self.reserved)),
                self.options.to_bytes(2),
                string(self.signer),
                self.index.to_bytes(4),
                string(self.type),
                data(data(self.algorithm) + data(self.signature)),
            )
        )


def signed_octets(envelope: Envelope, covered: bytes, counter: int) -> bytes:
    """What the signature of a message is made over: `covered` (header and body), in newer versions the envelope's say
    and the `counter` of the session before it.
    """
    if envelope.version < versions.NEW_CODES:
        return covered
    suggested = envelope.suggested if envelope.version >= versions.BOUND_SUGGESTION else ()
    numbers = (envelope.session, envelope.request, counter)
    return bytes((*envelope.version, *suggested)) + b"".join(n.to_bytes(4) for n in numbers) + covered
