"""What the tests of proto/native/ share: the vectors, and strategies for whatever a message may hold."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from proto.native import bodies
from proto.native.digest import RequestDigest
from proto.value import Reference, Value

FOLDER = Path(__file__).parent / "vectors"


def vectors(name: str) -> dict[str, dict[str, Any]]:
    """Those of one file, by name: octets of our own making, and what they mean."""
    lines = (FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return {each["name"]: each for each in found}


def digest_of(said: Any) -> RequestDigest | None:
    return said and RequestDigest(said["algorithm"], bytes.fromhex(said["octets"]))


def value_of(said: Any) -> Value:
    references = tuple(Reference(*each) for each in said["references"])
    return Value(**said | {"data": bytes.fromhex(said["data"]), "references": references})


_MEANT = {
    "values": lambda said: tuple(map(value_of, said)),
    "indexes": tuple,
    "types": tuple,
    "names": tuple,
    "exchange": lambda said: said and Reference(*said),
} | dict.fromkeys(("nonce", "digest", "signed", "octets", "public_key"), bytes.fromhex)


def body_of(said: dict[str, Any]) -> bodies.Body:
    """The body a vector means."""
    kind = getattr(bodies, said["is"])
    given = {name: _MEANT.get(name, lambda same: same)(each) for name, each in said.items() if name != "is"}
    return kind(**given)


TEXTS = st.text(max_size=40)
OCTETS = st.binary(max_size=80)
U32 = st.integers(0, 2**32 - 1)
INDEXES = st.lists(U32, max_size=5).map(tuple)
NAMES = st.lists(TEXTS, max_size=5).map(tuple)
REFERENCES = st.builds(Reference, TEXTS, U32)
VALUES = st.builds(
    Value,
    st.integers(1, 2**31 - 1),
    TEXTS,
    OCTETS,
    U32,
    U32,
    st.integers(0, 15),
    st.booleans(),
    st.lists(REFERENCES, max_size=3).map(tuple),
)
RECORDS = st.lists(VALUES, max_size=4).map(tuple)
DIGESTS = st.one_of(
    st.builds(RequestDigest, st.just(0), OCTETS),
    *(st.builds(RequestDigest, st.just(n), st.binary(min_size=s, max_size=s)) for n, s in ((1, 16), (2, 20), (3, 32))),
)
