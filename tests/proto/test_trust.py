"""Proves proto/trust.py: chains of certificates that hold, and everything that breaks them."""

from dataclasses import replace

import pytest

from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.keys.public import fingerprint
from proto.trust import CHAIN_MOST, SIGNATURES_MOST, Finding, Root, Trust, best, issuer_of, judge, permits, signatures
from proto.value import Reference, Value
from proto.values.claims import Certificate, Signature, Term, certificate, signature
from tests.proto.keys.made import private

COUNTRY, NODE, ENTERPRISE = private("rsa"), private("ec"), private("dsa")
ROOT, ABOVE, HERE = Reference("88/ROOT", 300), Reference("88.1/NODE", 300), Reference("88.1.2/ADMIN", 301)
NAME = Identifier.parse("88.1.2/甲")
TERM, NOW = Term(1000, 2000), 1500
ALL = (("everything", ""),)
VALUES = (Value(1, "URL", b"http://x/"), Value(2, "DESC", b"x"))


def cert(issuer=ROOT, subject=ABOVE, key=NODE, permissions=ALL, term=TERM, signer=COUNTRY) -> Value:
    return Value(400, "HS_CERT", certificate(issuer, subject, key.public(), permissions, term, signer))


def sign(issuer=HERE, subject=NAME, values=VALUES, term=TERM, signer=ENTERPRISE) -> Signature:
    return Signature.from_octets(signature(issuer, subject, values, term, signer))


def read(value: Value) -> Certificate:
    return Certificate.from_octets(value.data)


SELF = cert(ROOT, ROOT, COUNTRY)
MIDDLE = cert()
LOWEST = cert(ABOVE, HERE, ENTERPRISE, (("handlesUnderThisPrefix", "0.NA/88.1.2"),), signer=NODE)
CHAIN = [read(LOWEST), read(MIDDLE), read(SELF)]
ROOTS = {Root("88/ROOT", fingerprint(COUNTRY.public()))}


def found(claim=None, values=VALUES, chain=None, roots=ROOTS, now=NOW, name=NAME) -> Finding:
    return judge(name, values, claim or sign(), CHAIN if chain is None else chain, roots, now)


def test_a_chain_to_a_root():
    finding = found()
    assert (finding, finding.trust, finding.word) == (Finding.PROVEN, Trust.TRUSTED, "proven")
    assert found(values=VALUES[:1]) is Finding.PROVEN, "what is told is covered, what is left out is no matter"
    assert found(values=(*VALUES, MIDDLE)) is Finding.PROVEN, "certificates are no part of what is signed"
    node = {Root("88.1/NODE", fingerprint(NODE.public()))}
    assert found(chain=CHAIN[:2], roots=node) is Finding.PROVEN, "it ends where somebody is trusted"


@pytest.mark.parametrize(
    ("finding", "trust", "case"),
    [
        (Finding.NOT_COVERED, Trust.UNKNOWN, {"values": (*VALUES, Value(3, "URL", b"y"))}),
        (Finding.CHAIN_INCOMPLETE, Trust.UNKNOWN, {"chain": []}),
        (Finding.CHAIN_INCOMPLETE, Trust.UNKNOWN, {"chain": CHAIN[:2]}),
        (Finding.OTHER_IDENTIFIER, Trust.UNTRUSTED, {"name": Identifier.parse("88.1.2/乙")}),
        (Finding.CHANGED, Trust.UNTRUSTED, {"values": (replace(VALUES[0], data=b"http://y/"),)}),
        (Finding.OUT_OF_TERM, Trust.UNTRUSTED, {"now": 999}),
        (Finding.OUT_OF_TERM, Trust.UNTRUSTED, {"now": 2000}),
        (Finding.OUT_OF_TERM, Trust.UNTRUSTED, {"claim": sign(term=Term(0, 1))}),
        (Finding.OUT_OF_TERM, Trust.UNTRUSTED, {"chain": [read(cert(ABOVE, HERE, ENTERPRISE, ALL, Term(0, 1), NODE))]}),
        (Finding.WRONG_SIGNATURE, Trust.UNTRUSTED, {"claim": sign(signer=NODE)}),
        (Finding.WRONG_SIGNATURE, Trust.UNTRUSTED, {"claim": sign(issuer=ABOVE)}),
        (Finding.WRONG_SIGNATURE, Trust.UNTRUSTED, {"chain": CHAIN[:1] + CHAIN[2:]}),
        (Finding.NOT_PERMITTED, Trust.UNTRUSTED, {"chain": [read(cert(ABOVE, HERE, ENTERPRISE, (), TERM, NODE))]}),
        (Finding.OTHER_ROOT, Trust.UNTRUSTED, {"roots": ()}),
        (Finding.OTHER_ROOT, Trust.UNTRUSTED, {"roots": {Root("88/ROOT", bytes(32))}}),
        (Finding.OTHER_ROOT, Trust.UNTRUSTED, {"roots": {Root("88/OTHER", fingerprint(COUNTRY.public()))}}),
    ],
)
def test_what_breaks_it(finding: Finding, trust: Trust, case: dict[str, object]):
    assert found(**case) is finding
    assert finding.trust is trust


def test_nothing_is_said_of_what_nobody_signed():
    assert judge(NAME, VALUES, None, [], ROOTS, NOW) is Finding.UNSIGNED
    assert Finding.UNSIGNED.trust is Trust.UNKNOWN


def test_one_signature_that_holds_is_enough():
    assert best([]) is Finding.UNSIGNED
    assert best([Finding.CHANGED, Finding.PROVEN, Finding.NOT_COVERED]) is Finding.PROVEN
    assert best([Finding.NOT_COVERED, Finding.CHANGED]) is Finding.CHANGED
    assert best([Finding.NOT_COVERED, Finding.CHAIN_INCOMPLETE]) is Finding.NOT_COVERED
    assert Finding.NO_ROOTS.trust is Trust.UNKNOWN


def test_a_chain_has_an_end():
    round_and_round = read(cert(HERE, HERE, ENTERPRISE, signer=ENTERPRISE))
    assert found(chain=[round_and_round] * 99) is Finding.OTHER_ROOT
    forwards, back = cert(ABOVE, HERE, ENTERPRISE, signer=NODE), cert(HERE, ABOVE, NODE, signer=ENTERPRISE)
    assert found(chain=[read(forwards), read(back)] * CHAIN_MOST, now=NOW) is Finding.CHAIN_INCOMPLETE


def test_the_next_certificate_is_found_among_others():
    bad = Value(401, "HS_CERT", b"none")
    of_other, by_other_key = cert(subject=ROOT), cert(key=ENTERPRISE)
    claim = read(LOWEST)
    assert issuer_of(claim, (*VALUES, bad, of_other, by_other_key, MIDDLE)) == read(MIDDLE)
    assert issuer_of(claim, (bad, of_other)) is None
    assert issuer_of(claim, (bad, by_other_key, of_other)) == read(by_other_key), "so that it is told to be another's"
    assert issuer_of(claim, (*[bad] * SIGNATURES_MOST, MIDDLE)) is None
    assert issuer_of(sign(), (LOWEST,)) == read(LOWEST)


def test_a_root_as_it_is_set():
    root = Root("88/A=B", bytes(range(32)))
    assert Root.parse(str(root)) == root
    assert Root.parse(f"88.1/x={'AB' * 32}") == Root("88.1/x", b"\xab" * 32)
    for wrong in ("", "88/ROOT", f"={'00' * 32}", f"88/ROOT={'00' * 31}", f"88/ROOT={'0g' * 32}", f"none={'00' * 32}"):
        with pytest.raises(ProtoError):
            Root.parse(wrong)


def test_the_signatures_of_a_record():
    claim = sign()
    good = Value(400, "hs_signature", claim.jws.to_octets())
    assert signatures((*VALUES, Value(401, "HS_SIGNATURE", b"none"), good)) == [claim]
    assert signatures(VALUES) == []


@pytest.mark.parametrize(
    ("what", "of", "name", "permitted"),
    [
        ("everything", "", "88.1/a", True),
        ("everything", "anything", "0.NA/88", True),
        ("thisHandle", "88.1/a", "88.1/a", True),
        ("thisHandle", "88.1/a", "88.1/b", False),
        ("thisHandle", "88.1/a", "88.1/A", False),
        ("thisHandle", "no identifier", "88.1/b", False),
        ("thisHandle", "0.NA/88.1", "88.1/b", True),
        ("thisHandle", "0.na/88.1", "0.NA/88.1", True),
        ("handlesUnderThisPrefix", "0.NA/88.1", "88.1/a", True),
        ("handlesUnderThisPrefix", "0.NA/88.1", "88.1.2/a", False),
        ("handlesUnderThisPrefix", "0.NA/88.1", "88.11/a", False),
        ("handlesUnderThisPrefix", "88.1", "88.1/a", False),
        ("derivedPrefixes", "0.NA/88", "88.1/a", True),
        ("derivedPrefixes", "0.NA/88", "0.NA/88.1", True),
        ("derivedPrefixes", "0.NA/88", "88/a", False),
        ("derivedPrefixes", "0.NA/88", "0.NA/88", False),
        ("derivedPrefixes", "0.NA/88", "889.1/a", False),
        ("whatever", "", "88.1/a", False),
    ],
)
def test_what_a_certificate_permits(what: str, of: str, name: str, permitted: bool):
    assert permits([(what, of)], Identifier.parse(name)) is permitted
    assert permits([], Identifier.parse(name)) is False
