"""The one file in a body of multipart/form-data (RFC 7578). Pure: the body is here as a whole, within its bound.

What the file is called and said to be is passed over: neither is believed.
"""

import re
from typing import Final

from registry.file import FileError

PARTS_MOST: Final = 16
"""Parts of a form; clients send one or two."""
HEAD_OCTETS: Final = 4096
"""Largest head of a part: a name of 255 characters, every one escaped, and then some."""
FORM_OCTETS: Final = 64 * 1024
"""What a form may have beside its file."""
_TYPE: Final = "multipart/form-data"
_PARAMETER: Final = re.compile(r';\s*([\w*-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;"]*)', re.ASCII)
"""A parameter of Content-Disposition; a semicolon within quotes begins none."""


def file_in(content_type: str, body: bytes, name: str = "file") -> bytes:
    """The content of the part called `name`. Raises FileError when there is none, or more than one."""
    found = [content for part in _parts(content_type, body) if (content := _content(part, name)) is not None]
    if len(found) != 1:
        raise FileError(
            f"缺少必要的请求参数: {name}" if not found else f"参数{name}只能有一个文件",
            f"the form must have one file called {name}",
        )
    return found[0]


def _parts(content_type: str, body: bytes) -> list[bytes]:
    """What stands between the delimiters; its preamble and whatever follows the last one are left out."""
    kind, _, parameters = content_type.partition(";")
    boundary = next((b for each in parameters.split(";") if (b := _boundary(each))), "")
    if kind.strip().lower() != _TYPE or not boundary or not boundary.isascii():
        raise FileError(f"Content-Type应为{_TYPE}，并有boundary", f"Content-Type must be {_TYPE} with a boundary")
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(), PARTS_MOST + 2)[1:]
    whole = [n for n, part in enumerate(parts) if part.startswith(b"--")]
    if not whole or whole[0] > PARTS_MOST:
        raise FileError(
            f"表单不完整，或多于{PARTS_MOST}项", f"the form is cut short, or has more than {PARTS_MOST} parts"
        )
    return parts[: whole[0]]


def _boundary(parameter: str) -> str:
    name, _, value = parameter.partition("=")
    return value.strip().strip('"') if name.strip().lower() == "boundary" else ""


def _content(part: bytes, name: str) -> bytes | None:
    """What is in a part, if it bears that name."""
    head, blank, content = part.partition(b"\r\n\r\n")
    if not blank or len(head) > HEAD_OCTETS:
        return None
    return content if name in map(_name, head.decode(errors="replace").split("\r\n")) else None


def _name(line: str) -> str | None:
    """The name that a line of a part's head gives it, if it is the one that does."""
    field, _, value = line.partition(":")
    if field.strip().lower() != "content-disposition" or value.partition(";")[0].strip().lower() != "form-data":
        return None
    return next((text.strip().strip('"') for key, text in _PARAMETER.findall(value) if key.lower() == "name"), None)
