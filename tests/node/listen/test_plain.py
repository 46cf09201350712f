"""How lanes read headers and say what time it is; that they answer as the door does is test_lane.py's and
test_singles.py's.
"""

from email.utils import formatdate

import pytest
from aiohttp import web

from node.listen.plain import HEADERS_MOST, TICK_SECONDS, Dates, headers, rendered

NOW = 1_795_000_000


def test_headers_are_read_in_order_with_names_in_lower_case() -> None:
    assert headers(b"\r\n") == []
    assert headers(b"Host: x\r\nACCEPT: a, b\r\nEmpty:\r\nTight:1\r\n\r\n") == [
        (b"host", b"x"),
        (b"accept", b"a, b"),
        (b"empty", b""),
        (b"tight", b"1"),
    ]


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"Host: x\r\n",
        b"Host: x\r\n\r\nmore",
        b"Host : x\r\n\r\n",
        b"Host: x\n\r\n",
        b"Host: x\r\n folded\r\n\r\n",
        b"Host:  x\r\n\r\n",
        b"Host: x \r\n\r\n",
        b"Host: a\tb\r\n\r\n",
        b"Host: \xc3\xbc\r\n\r\n",
        b": x\r\n\r\n",
        b"Sec-WebSocket-Key1: x\r\n\r\n",
        b"A: 1\r\n" * (HEADERS_MOST + 1) + b"\r\n",
    ],
)
def test_what_is_spelt_in_no_everyday_way_is_not_read(octets: bytes) -> None:
    assert headers(octets) is None


def test_as_many_lines_as_aiohttp_takes_are_read() -> None:
    assert len(headers(b"A: 1\r\n" * HEADERS_MOST + b"\r\n") or ()) == HEADERS_MOST


def test_the_date_is_made_once_a_second_and_is_never_older_than_a_tick() -> None:
    passed, now = [5.0], [NOW]
    dates = Dates(lambda: passed[0], lambda: now[0], "X: 1\r\n")
    assert dates.stale <= passed[0], "nothing is said before it was made"
    dates.tick()
    assert dates.lines == f"Date: {formatdate(NOW, usegmt=True)}\r\nServer: idnode\r\nX: 1\r\n".encode()
    assert dates.stale == passed[0] + TICK_SECONDS
    made = dates.lines
    passed[0] += TICK_SECONDS
    dates.tick()
    assert dates.lines is made
    now[0] += 1
    dates.tick()
    assert dates.lines.startswith(f"Date: {formatdate(NOW + 1, usegmt=True)}\r\n".encode())


def test_an_answer_nobody_calls_public_is_private() -> None:
    private = rendered(web.Response(body=b"abc", status=404), b"Date: x\r\n")
    assert private == (
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nDate: x\r\nCache-Control: private, no-store\r\n\r\nabc"
    )
    public = rendered(web.Response(body=b"", headers={"Cache-Control": "public"}), b"")
    assert public.endswith(b"Cache-Control: public\r\nContent-Length: 0\r\n\r\n")
