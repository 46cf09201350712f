"""Proves registry/file.py: files are told by content, bounded by kind, and a PDF must be one from end to end."""

import pytest

from registry.file import PDF_OCTETS, PICTURE_OCTETS, FileError, Kind, check_pdf, kind_of
from tests.fakes.papers import PDF


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (b"\xff\xd8\xff\xe0 and more", Kind.JPEG),
        (b"\x89PNG\r\n\x1a\n and more", Kind.PNG),
        (b"BM and more", Kind.BMP),
        (PDF, Kind.PDF),
    ],
)
def test_content_tells_what_a_file_is(octets: bytes, kind: Kind) -> None:
    assert kind_of(octets) is kind


@pytest.mark.parametrize(
    "octets", [b"", b"\xff\xd8", b"GIF89a", b"<svg/>", b"<html>", b"MZ", b"PK\x03\x04", b" %PDF-1.4", b"\x89PNG\n"]
)
def test_all_else_is_refused(octets: bytes) -> None:
    with pytest.raises(FileError) as refused:
        kind_of(octets)
    assert refused.value.zh == "文件应为JPEG、PNG、BMP图片或PDF（以内容为准）"


@pytest.mark.parametrize(
    ("beginning", "most", "zh"),
    [(b"BM", PICTURE_OCTETS, "图片不能超过1 MB"), (b"%PDF-", PDF_OCTETS, "PDF不能超过5 MB")],
)
def test_each_kind_has_its_bound(beginning: bytes, most: int, zh: str) -> None:
    kind_of(beginning.ljust(most))
    with pytest.raises(FileError) as refused:
        kind_of(beginning.ljust(most + 1))
    assert refused.value.zh == zh


def test_how_a_kind_is_served() -> None:
    assert [kind.media_type for kind in Kind] == ["image/jpeg", "image/png", "image/bmp", "application/pdf"]


def test_a_pdf_is_one_from_end_to_end() -> None:
    check_pdf(PDF)
    check_pdf(PDF.replace(b"%PDF-1.4", b"%PDF-2.0") + b"\r\n\0\0")
    stream = b"%PDF-1.5\n12 0 obj\n<</Type/XRef>>"
    check_pdf(stream + b"\nstartxref\n9\n%%EOF")
    check_pdf(stream + b"\nstartxref\n0\n%%EOF\nan update\nstartxref\n9\n%%EOF"), "the last one counts"


@pytest.mark.parametrize(
    "octets",
    [
        b"%PDF-1.4\n",
        PDF[:-8],
        PDF + b" " * 2000,
        PDF.replace(b"%PDF-1.4", b"%PDF-9.9"),
        PDF.replace(b"startxref\n", b"startxref\n9"),
        PDF.replace(b"xref\n0", b"yref\n0"),
        b"%PDF-1.4\nstartxref\n0\n%%EOF",
        b"%PDF-1.4\nstartxref\n999999999\n%%EOF",
    ],
)
def test_what_only_begins_like_a_pdf_is_refused(octets: bytes) -> None:
    with pytest.raises(FileError, match="no whole PDF"):
        check_pdf(octets)
