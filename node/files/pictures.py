"""Pictures are decoded and drawn anew: pixels are kept, and nothing else that came with them. The room of Pillow.

What a picture may be is registry/file.py's; decoding takes time and memory, so nobody does it on the loop.
"""

import io
import struct
import warnings
import zlib
from typing import Final

from PIL import Image, ImageOps

from registry.file import FileError, Kind

PIXELS_MOST: Final = 25_000_000
"""Largest picture: a page of A4 at 500 dpi. It takes 100 MB when it is decoded, and as much again when it is turned."""
JPEG_QUALITY: Final = 90
"""What is drawn anew should be read as well as before; Pillow's own 75 shows in small print."""
_MODES: Final = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}
"""How pixels may be kept; all else, such as the CMYK of printers, becomes RGB."""

_UNREADABLE: Final = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    struct.error,
    zlib.error,
)
"""What Pillow raises for octets that are no picture."""

Image.MAX_IMAGE_PIXELS = PIXELS_MOST
warnings.simplefilter("error", Image.DecompressionBombWarning)  # Pillow itself only refuses from twice the bound


def drawn_anew(octets: bytes, kind: Kind) -> tuple[Kind, bytes]:
    """A JPEG as JPEG, a PNG or BMP as PNG: upright as its orientation says, without place, time, maker or comment.

    The first picture of several. Raises FileError for a broken one, and for one of more than PIXELS_MOST, which is
    found before it is decoded. Takes up to a second: call it in a thread, one at a time.
    """
    try:
        with Image.open(io.BytesIO(octets), formats=(kind.name,)) as picture:
            picture.load()
            upright = ImageOps.exif_transpose(picture)
        return _drawn(upright, Kind.JPEG if kind is Kind.JPEG else Kind.PNG)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise FileError(f"图片不能超过{PIXELS_MOST}像素", f"a picture may have at most {PIXELS_MOST} pixels") from None
    except _UNREADABLE:
        raise FileError("图片已损坏，无法读取", "the picture is broken and cannot be read") from None


def _drawn(picture: Image.Image, kind: Kind) -> tuple[Kind, bytes]:
    kept = picture if picture.mode in _MODES else picture.convert("RGB")
    if kind is Kind.JPEG and kept.mode not in {"L", "RGB"}:
        kept = kept.convert("RGB")
    transparent = kept.info.get("transparency")
    kept.info = {} if transparent is None else {"transparency": transparent}  # Pillow writes what it finds there
    written = io.BytesIO()
    kept.save(written, kind.name, quality=JPEG_QUALITY)
    return kind, written.getvalue()
