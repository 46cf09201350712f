"""Proves node/listen/multipart.py: the one file of a form, octet for octet, whatever it is called."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.listen.multipart import HEAD_OCTETS, PARTS_MOST, file_in
from registry.file import FileError

TYPE = "multipart/form-data; boundary=xYz"


def part(content: bytes, disposition: str = 'form-data; name="file"; filename="a.pdf"', more: str = "") -> bytes:
    return f"--xYz\r\nContent-Disposition: {disposition}\r\n{more}\r\n".encode() + content + b"\r\n"


END = b"--xYz--\r\n"


@pytest.mark.parametrize(
    "disposition",
    [
        'form-data; name="file"; filename="执照.pdf"',
        "form-data; name=file; filename=a.pdf",
        'form-data; filename="a;b.pdf"; name="file"',
        'FORM-DATA;name="file"',
        r'form-data; name="file"; filename="a; name=b \"; name=c.pdf"',
        "form-data; name=\"file\"; filename*=UTF-8''%e6%89%a7.pdf",
    ],
)
def test_however_the_part_is_named(disposition: str) -> None:
    body = part(b"other", 'form-data; name="note"') + part(b"content", disposition, "Content-Type: text/html\r\n") + END
    assert file_in(TYPE, body) == b"content"


def test_a_part_names_itself_in_any_line_of_its_head() -> None:
    body = b"--xYz\r\nContent-Type: image/png\r\ncontent-disposition: form-data; name=file\r\n\r\nit\r\n--xYz--"
    assert file_in(TYPE, b"a preamble\r\n" + body + b"an epilogue\r\n--xYz") == b"it"
    for type_ in ('Multipart/Form-Data; charset=utf-8; Boundary="xYz"', "multipart/form-data;boundary=xYz "):
        assert file_in(type_, body) == b"it"


@given(st.binary(max_size=60).filter(lambda octets: b"\r\n--xYz" not in b"\r\n" + octets))
def test_every_octet_arrives(content: bytes) -> None:
    assert file_in(TYPE, part(content) + END) == content


@pytest.mark.parametrize(
    ("type_", "body", "en"),
    [
        ("", part(b"x") + END, "must be multipart/form-data with a boundary"),
        ("application/json", b"{}", "must be multipart/form-data with a boundary"),
        ("multipart/form-data", part(b"x") + END, "must be multipart/form-data with a boundary"),
        ("multipart/form-data; boundary=\udc80", part(b"x") + END, "must be multipart/form-data with a boundary"),
        (TYPE, b"", "cut short"),
        (TYPE, part(b"x"), "cut short"),
        (TYPE, part(b"x") * (PARTS_MOST + 1) + END, "more than 16 parts"),
        (TYPE, END, "one file called file"),
        (TYPE, part(b"x") * 2 + END, "one file called file"),
        (TYPE, part(b"x", 'form-data; name="files"') + END, "one file called file"),
        (TYPE, part(b"x", 'form-data; filename="file"') + END, "one file called file"),
        (TYPE, part(b"x", "file") + END, "one file called file"),
        (TYPE, part(b"x", 'form-data; filename="; name=file"') + END, "one file called file"),
        (TYPE, b"--xYz\r\nno head\r\n" + END, "one file called file"),
        (TYPE, part(b"x", more="X: " + "y" * HEAD_OCTETS + "\r\n") + END, "one file called file"),
    ],
)
def test_what_is_wrong_with_a_form_is_a_sentence(type_: str, body: bytes, en: str) -> None:
    with pytest.raises(FileError, match=en):
        file_in(type_, body)


def test_as_many_parts_as_there_may_be() -> None:
    others = part(b"x", 'form-data; name="note"') * (PARTS_MOST - 1)
    assert file_in(TYPE, others + part(b"it") + END) == b"it"


@given(st.binary(max_size=80), st.text(max_size=40))
def test_whatever_comes_is_a_file_or_a_sentence(body: bytes, type_: str) -> None:
    for each in (type_, TYPE):
        with suppress(FileError):
            assert isinstance(file_in(each, body), bytes)
