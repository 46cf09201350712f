"""Files as enterprises send them: a PDF and pictures, made here and small."""

import io

from PIL import Image

_OBJECTS = (
    b"1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n",
    b"2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n",
    b"3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>\nendobj\n",
)
_BODY = b"%PDF-1.4\n" + b"".join(_OBJECTS)
PDF = _BODY + (
    b"xref\n0 4\n0000000000 65535 f \n%s"
    b"trailer\n<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
    % (b"".join(b"%010d 00000 n \n" % _BODY.index(each) for each in _OBJECTS), len(_BODY))
)


def picture(form: str = "JPEG", mode: str = "RGB", size: tuple[int, int] = (24, 16), **saving: object) -> bytes:
    """A picture, its left half dark, its right half bright."""
    drawn = Image.new("L", size, 255)
    drawn.paste(0, (0, 0, size[0] // 2, size[1]))
    written = io.BytesIO()
    drawn.convert(mode).save(written, form, **saving)
    return written.getvalue()
