"""The way out to other nodes: what is sent, what is taken, and where it ends. Hostile answers: test_forwarded.py."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.link import BODY_MOST, CONNECTIONS_EACH, Link, LinkError
from tests.fakes.other_node import OtherNode, hangs, octets, other_node, says
from tests.waiting import until


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    made = Link("localhost")
    yield made
    await made.close()


@pytest.fixture
async def node() -> AsyncIterator[OtherNode]:
    async with other_node(says(200, b"hello")) as made:
        yield made


async def test_status_and_body_whatever_they_are(link: Link, node: OtherNode) -> None:
    assert await link.get(node.url + "/api/handles/a%2Fb", {"CDN-Loop": "88.999"}) == (200, b"hello")
    node.saying = says(300, b"\xff" * BODY_MOST)
    assert await link.get(node.url, {}) == (300, b"\xff" * BODY_MOST)
    (head, _) = node.heads
    assert head.startswith("GET /api/handles/a%2Fb HTTP/1.1\r\n")
    assert "\r\nCDN-Loop: 88.999\r\n" in head
    assert "\r\nUser-Agent: idnode\r\n" in head


async def test_the_headers_of_an_answer(link: Link, node: OtherNode) -> None:
    node.saying = says(200, b"hello", "Expires: soon")
    status, body, headers = await link.fetch(node.url, {})
    assert (status, body, headers["expires"]) == (200, b"hello", "soon")


async def test_what_is_posted(link: Link, node: OtherNode) -> None:
    node.replying = bytes.upper
    assert await link.post(node.url + "/", {"Content-Type": "text/plain"}, b"hello") == (200, b"HELLO")
    (head,) = node.heads
    assert head.startswith("POST / HTTP/1.1\r\n")


async def test_connections_are_used_again_and_bounded(link: Link, node: OtherNode) -> None:
    for _ in range(3):
        await link.get(node.url, {})
    assert node.connections == 1
    node.saying = hangs
    asking = [asyncio.create_task(link.get(node.url, {})) for _ in range(CONNECTIONS_EACH + 20)]
    await until(lambda: len(node.asked) == 3 + CONNECTIONS_EACH)
    assert node.connections == CONNECTIONS_EACH
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    node.saying = says(200, b"again")
    assert await link.get(node.url, {}) == (200, b"again")


async def test_redirections_and_cookies_are_nobody_s_business_here(link: Link, node: OtherNode) -> None:
    async with other_node(says(200, b"trap")) as trap:
        node.saying = says(302, b"", f"Location: {trap.url}/", "Set-Cookie: a=b")
        assert await link.get(node.url, {}) == (302, b"")
        await link.get(node.url, {})
        assert trap.asked == []
    assert "Cookie:" not in node.heads[1]


async def test_one_name_is_resolved_and_no_other(link: Link, node: OtherNode) -> None:
    assert await link.get(f"http://localhost:{node.port}/", {}) == (200, b"hello")
    with pytest.raises(LinkError, match=r"elsewhere\.example"):
        await link.get("http://elsewhere.example/", {})


async def test_proxies_of_the_environment_are_not_used(
    link: Link, node: OtherNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert await link.get(node.url, {}) == (200, b"hello")


async def test_what_is_too_large_is_told_apart_and_the_connection_cut(link: Link, node: OtherNode) -> None:
    async def more(writer: asyncio.StreamWriter, _: str) -> None:
        writer.write(octets(200, b"x" * (2 * BODY_MOST))[: -BODY_MOST // 2])

    node.saying = more
    with pytest.raises(LinkError) as large:
        await link.get(node.url, {})
    assert large.value.too_large
    await until(lambda: node.connections == 0)
    with pytest.raises(LinkError) as gone:
        await link.get("http://127.0.0.1:1/", {})
    assert not gone.value.too_large


NOISE = st.one_of(
    st.binary(max_size=200),
    st.tuples(
        st.sampled_from(
            [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 300\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/9 1 1\r\n"]
        ),
        st.lists(
            st.sampled_from(
                [
                    b"Content-Length: 5\r\n",
                    b"Content-Length: 99999999999999999999\r\n",
                    b"Transfer-Encoding: chunked\r\n",
                    b"Content-Encoding: gzip\r\n",
                    b"Connection: upgrade\r\n",
                    b"Set-Cookie: \xff=\x00\r\n",
                    b"Location: ://\r\n",
                    b": \r\n",
                    b"\r\n",
                    b"5\r\nhello\r\n0\r\n\r\n",
                    b"ffffffffffffffffffff\r\n",
                    b"HTTP/1.1 200 OK\r\n\r\n",
                ]
            )
            | st.binary(max_size=20),
            max_size=6,
        ),
    ).map(lambda parts: parts[0] + b"".join(parts[1])),
)


@given(st.lists(NOISE, min_size=20, max_size=20))
@settings(max_examples=20, deadline=None)
async def test_whatever_octets_come_back_it_is_a_reply_or_a_link_error(responses: list[bytes]) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    left = iter(responses)

    async def saying(writer: asyncio.StreamWriter, _: str) -> None:
        writer.write(next(left, b""))
        writer.close()

    link = Link("")
    async with other_node(saying) as node:
        for _ in responses:
            try:
                status, body = await link.get(node.url, {})
            except LinkError:
                continue
            assert 100 <= status <= 999
            assert isinstance(body, bytes)
    await link.close()
    assert not complaints
