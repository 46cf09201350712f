"""Public keys as JSON Web Keys (RFC 7517), as certificates carry them: RSA, P-256, and DSA and SM2 in forms in use."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey, EllipticCurvePublicNumbers

from proto.errors import ProtoError
from proto.keys import public, sm2
from proto.keys.jws import decoded, encoded
from proto.values.public_key import PublicKey
from proto.web_json import jwk_of_numbers, octets_from_jwk


def to_json(key: public.Key) -> dict[str, str]:
    """The key as certificates show it."""
    if isinstance(key, sm2.Public):
        return {"kty": "SM2", "d": encoded(key.to_der()).decode()}
    if isinstance(key, EllipticCurvePublicKey):
        point = key.public_numbers()
        x, y = (encoded(number.to_bytes(32)).decode() for number in (point.x, point.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    return jwk_of_numbers(PublicKey.from_octets(public.to_octets(key)))


def from_json(given: Any) -> public.Key:
    """The key shown so. Raises ProtoError for none that can be used."""
    if not isinstance(given, dict) or given.get("kty") != "EC":
        return public.load(octets_from_jwk(given))
    try:
        x, y = (int.from_bytes(decoded(given[name])) for name in ("x", "y"))
        if given.get("crv") != "P-256":
            raise ValueError("another curve")
        return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
    except (KeyError, TypeError, ValueError):
        raise ProtoError("key", "密钥不是P-256曲线上的点", "the key is no point of P-256") from None
