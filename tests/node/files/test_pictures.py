"""Proves node/files/pictures.py: pixels stay, all else goes; bombs and broken pictures are refused with a sentence."""

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from node.files.pictures import PIXELS_MOST, drawn_anew
from registry.file import FileError, Kind
from tests.fakes.papers import picture

SECRET = b"31.2304N 121.4737E"


def opened(octets: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(octets))
    image.load()
    return image


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """A black and white PNG of that size; its pixels are `data`, compressed."""
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize(
    ("form", "mode", "becomes", "as_mode"),
    [
        ("JPEG", "RGB", Kind.JPEG, "RGB"),
        ("JPEG", "L", Kind.JPEG, "L"),
        ("JPEG", "CMYK", Kind.JPEG, "RGB"),
        ("PNG", "RGBA", Kind.PNG, "RGBA"),
        ("PNG", "P", Kind.PNG, "P"),
        ("PNG", "1", Kind.PNG, "1"),
        ("PNG", "I;16", Kind.PNG, "I;16"),
        ("BMP", "RGB", Kind.PNG, "RGB"),
    ],
)
def test_every_form_stays_the_picture_it_was(form: str, mode: str, becomes: Kind, as_mode: str) -> None:
    kind, octets = drawn_anew(picture(form, mode), Kind[form])
    again = opened(octets)
    assert (kind, again.format, again.mode, again.size) == (becomes, becomes.name, as_mode, (24, 16))
    before, after = opened(picture(form, mode)).convert("F"), again.convert("F")
    for place in ((3, 8), (20, 8)):
        assert before.getpixel(place) == pytest.approx(after.getpixel(place), abs=6)
    assert before.getpixel((3, 8)) < before.getpixel((20, 8))


def test_nothing_else_that_came_with_a_picture_is_kept() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x8825] = SECRET.decode(), {1: "N", 2: (31.0, 13.0, 49.0)}
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", SECRET.decode())
    jpeg = picture(exif=exif, comment=SECRET, icc_profile=SECRET)
    for sent, kind in ((jpeg, Kind.JPEG), (picture("PNG", pnginfo=text, exif=exif, icc_profile=SECRET), Kind.PNG)):
        assert SECRET in sent or SECRET in zlib_free(sent)
        _, kept = drawn_anew(sent + b"and a tail: " + SECRET, kind)
        again = opened(kept)
        assert SECRET not in kept
        assert dict(again.getexif()) == {}
        assert not {"icc_profile", "comment", "Comment", "exif"} & set(again.info)


def zlib_free(octets: bytes) -> bytes:
    """`octets` as Pillow reads what is said in them beside pixels."""
    return repr(opened(octets).info).encode()


def test_a_picture_that_lies_on_its_side_is_stood_up() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    again = opened(drawn_anew(picture(exif=exif), Kind.JPEG)[1]).convert("L")
    assert again.size == (16, 24)
    assert again.getpixel((8, 3)) < 30
    assert again.getpixel((8, 20)) > 220


def test_what_is_transparent_stays_so() -> None:
    again = opened(drawn_anew(picture("PNG", "P", transparency=0), Kind.PNG)[1])
    assert again.info["transparency"] is not None


def test_a_bomb_does_not_go_off() -> None:
    side = 5000
    assert side * side == PIXELS_MOST
    row = (side + 7) // 8 + 1
    assert drawn_anew(png(side, side, bytes(row * side)), Kind.PNG)[0] is Kind.PNG
    for width, height in ((side, side + 1), (200_000, 200_000), (2**31 - 1, 1)):
        bomb = png(width, height)
        assert len(bomb) < 100
        with pytest.raises(FileError) as refused:
            drawn_anew(bomb, Kind.PNG)
        assert refused.value.zh == "图片不能超过25000000像素"


def test_a_broken_picture_is_refused() -> None:
    whole = picture(size=(400, 300))
    for sent, kind in (
        (whole[:-200], Kind.JPEG),
        (whole[:4], Kind.JPEG),
        (whole, Kind.PNG),
        (picture("PNG")[:-30], Kind.PNG),
        (picture("BMP")[:60], Kind.BMP),
        (png(0, 0), Kind.PNG),
    ):
        with pytest.raises(FileError, match="broken"):
            drawn_anew(sent, kind)


PICTURES = [
    (picture(form, mode), Kind[form])
    for form, mode in (("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "P"), ("PNG", "RGBA"), ("BMP", "RGB"), ("BMP", "P"))
]


@given(st.sampled_from(PICTURES), st.lists(st.tuples(st.integers(0, 999), st.binary(max_size=6)), max_size=4))
def test_whatever_is_sent_is_drawn_or_refused(sent: tuple[bytes, Kind], changes: list[tuple[int, bytes]]) -> None:
    octets = bytearray(sent[0])
    for at, new in changes:
        octets[at : at + len(new)] = new
    try:
        kind, kept = drawn_anew(bytes(octets), sent[1])
    except FileError:
        return
    assert opened(kept).format == kind.name
