"""Proves node/iiidap/register.py: fetched from the top-level node when it has expired, used on while that is away."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from node.iiidap import register
from node.iiidap.register import AGAIN_SECONDS, LIFE_LEAST, LIFE_MOST, PATH, Register
from node.link import Link
from proto.bootstrap import Bootstrap
from registry.errors import UnavailableError
from tests.fakes.other_node import Saying, hangs, other_node, says

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
URL = "http://192.0.2.1:8000/iiidap/"
TOLD = Bootstrap({"88.100": URL}).to_octets("", "")
DATE = "Date: Mon, 23 Nov 2026 06:00:00 GMT"


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    made = Link("localhost")
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("headers", "life"),
    [
        (("Expires: Mon, 23 Nov 2026 08:10:00 GMT",), 600),
        ((DATE, "Expires: Mon, 23 Nov 2026 06:05:00 GMT"), 300),
        (("Expires: Mon, 23 Nov 2026 07:00:00 GMT",), LIFE_LEAST),
        (("Expires: Sat, 01 Jan 2050 00:00:00 GMT",), LIFE_MOST),
        (("Expires: 0",), LIFE_LEAST),
        (("Date: yesterday", "Expires: Mon, 23 Nov 2026 08:10:00 GMT"), LIFE_LEAST),
        (("Expires: Mon, 23 Nov 2026 08:10:00",), LIFE_LEAST),
        ((), LIFE_LEAST),
    ],
)
async def test_a_copy_lives_as_long_as_it_says(link: Link, headers: tuple[str, ...], life: float) -> None:
    clock = [100.0]
    async with other_node(says(200, TOLD, *headers)) as top:
        made = Register(link, top.url + "/", lambda: clock[0], lambda: NOW)
        assert await asyncio.gather(*(made.base("88.100.1") for _ in range(5))) == [URL] * 5
        clock[0] += life - 0.1
        assert await made.base("88.200") is None
        assert top.asked == [PATH], "once, however many ask"
        top.saying = says(200, Bootstrap({}).to_octets("", ""))
        clock[0] += 0.1
        assert await made.base("88.100.1") is None
        assert top.asked == [PATH, PATH]


@pytest.mark.parametrize("trouble", [says(503, TOLD), says(200, b"nonsense"), hangs])
async def test_what_is_known_is_used_on(link: Link, monkeypatch: pytest.MonkeyPatch, trouble: Saying) -> None:
    monkeypatch.setattr(register, "FETCH_SECONDS", 0.2)
    clock = [0.0]
    async with other_node(trouble) as top:
        made = Register(link, top.url, lambda: clock[0], lambda: NOW)
        for _ in range(2):
            with pytest.raises(UnavailableError):
                await made.base("88.100")
        assert len(top.asked) == 1, "it is left in peace for a while"
        top.saying = says(200, TOLD)
        clock[0] += AGAIN_SECONDS
        assert await made.base("88.100") == URL
        top.saying = trouble
        clock[0] += LIFE_LEAST
        assert await made.base("88.100") == URL


async def test_a_node_of_no_country_knows_nobody(link: Link) -> None:
    assert await Register(link, "", lambda: 0.0, lambda: NOW).base("88.100") is None
