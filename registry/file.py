"""What a file that is sent to the node may be, told by its content alone; its bounds. Pure: nothing is decoded here.

Neither its name nor what its sender calls it counts. Pictures are opened in node/files/pictures.py.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

PICTURE_OCTETS: Final = 1024 * 1024
"""Largest picture (SNMS OpenAPI, /snms/api/file/upload)."""
PDF_OCTETS: Final = 5 * 1024 * 1024
"""Largest PDF (same place)."""
UNLINKED_MOST: Final = 50
"""Files of one account that are not linked yet. An application names nine; five goes at it fit, of 250 MB at most."""
UNLINKED_LIFE: Final = timedelta(days=1)
"""A file that nothing was linked with is kept so long: nobody is half-way through an application the next day."""
UNRECORDED_LIFE: Final = timedelta(days=7)
"""A file of which there is no record is kept so long: who restores an older database has a week to find out."""


class FileError(ValueError):
    """A file that is not taken; `zh` and `en` say why in one sentence each."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh = zh
        self.en = en


class Kind(StrEnum):
    """What a file is. Names are stored; BMP is never kept, it becomes PNG."""

    JPEG = "jpeg"
    PNG = "png"
    BMP = "bmp"
    PDF = "pdf"

    @property
    def media_type(self) -> str:
        """Its media type."""
        return "application/pdf" if self is Kind.PDF else f"image/{self}"


_BEGINNINGS: Final = {
    Kind.JPEG: b"\xff\xd8\xff",
    Kind.PNG: b"\x89PNG\r\n\x1a\n",
    Kind.BMP: b"BM",
    Kind.PDF: b"%PDF-",
}


def kind_of(octets: bytes) -> Kind:
    """What `octets` are. Raises FileError for what is not taken, or is too large for what it is."""
    kind = next((kind for kind, beginning in _BEGINNINGS.items() if octets.startswith(beginning)), None)
    if kind is None:
        raise FileError(
            "文件应为JPEG、PNG、BMP图片或PDF（以内容为准）",
            "a file must be a JPEG, PNG or BMP picture or a PDF (its content decides)",
        )
    name, most = ("PDF", PDF_OCTETS) if kind is Kind.PDF else ("图片", PICTURE_OCTETS)
    if len(octets) > most:
        megabytes = most // 1024**2
        raise FileError(f"{name}不能超过{megabytes} MB", f"a {kind.name} file may have at most {megabytes} MB")
    return kind


_PDF_HEADER: Final = re.compile(rb"%PDF-(?:1\.[0-7]|2\.0)\s")
_PDF_END: Final = re.compile(rb"startxref\s{1,9}([0-9]{1,9})\s{1,9}%%EOF")
_PDF_XREF: Final = re.compile(rb"\s{0,9}(?:xref\s|[0-9]{1,9}\s{1,9}[0-9]{1,9}\s{1,9}obj\b)")
_PDF_END_WITHIN: Final = 1024
"""Octets before the end in which readers look for %%EOF (ISO 32000-1, implementation note 18 of annex H)."""


def check_pdf(octets: bytes) -> None:
    """Raises FileError for what only begins like a PDF: it must have a version, and end by saying where its
    cross-reference table or stream is (ISO 32000-1 §7.5). What is in it is not judged.
    """
    ends = _PDF_END.findall(octets[-_PDF_END_WITHIN:])
    if not _PDF_HEADER.match(octets) or not ends or not _PDF_XREF.match(octets, int(ends[-1])):
        raise FileError("文件不是完整的PDF", "the file is no whole PDF")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file the node has. `octets` and `sha256` are those of what is kept, before it is encrypted."""

    number: int
    account: int
    kind: Kind
    octets: int
    sha256: bytes
