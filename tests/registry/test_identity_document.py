"""Proves registry/identity_document.py: numbers of documents with all that can be known of them."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from registry.identity_document import DocumentKind, check_digit, check_document

TODAY = date(2026, 11, 23)


def refused(kind: DocumentKind, number: str) -> bool:
    try:
        check_document(kind, number, "legalCrtNo", TODAY)
    except ProtoError as error:
        return error.field == "legalCrtNo"
    return False


@pytest.mark.parametrize("first", ["11010519491231002", "44011420001109123", "83010019880229001"])
def test_a_resident_number_is_taken_with_its_check_digit_alone(first: str):
    taken = [last for last in "0123456789Xx" if not refused(DocumentKind.RESIDENT, first + last)]
    assert taken == [check_digit(first)]


def test_the_example_of_the_standard():
    assert check_digit("11010519491231002") == "X"
    assert check_digit("44052418800101001") == "4"


@pytest.mark.parametrize(
    "first",
    [
        "99010519491231002",  # no such province
        "11010519490230002",  # no such day
        "11010520261124002",  # tomorrow
        "11010518791231002",
        "1101051949123100",
    ],
)
def test_a_resident_number_of_nobody_is_refused(first: str):
    assert refused(DocumentKind.RESIDENT, first + check_digit(first))


@given(st.text(max_size=40), st.sampled_from(DocumentKind))
def test_whatever_is_given_is_judged(number: str, kind: DocumentKind):
    refused(kind, number)


@pytest.mark.parametrize(
    ("kind", "number", "wrong"),
    [
        (DocumentKind.PASSPORT, "E00000001", False),
        (DocumentKind.PASSPORT, "EA1234567", False),
        (DocumentKind.PASSPORT, "E0000", True),
        (DocumentKind.PASSPORT, "e00000001", True),
        (DocumentKind.PASSPORT, "ABCDEFGH", True),
        (DocumentKind.OTHER, "H12345678", False),
        (DocumentKind.OTHER, "", True),
        (DocumentKind.OTHER, " H1", True),
        (DocumentKind.OTHER, "x" * 33, True),
    ],
)
def test_other_documents_have_a_shape(kind: DocumentKind, number: str, wrong: bool):
    assert refused(kind, number) is wrong
