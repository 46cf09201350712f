"""Proves node/importer/client.py: where the node is, what answers mean, and asking until the outcome is known."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from node.importer import client, results
from node.importer.client import Access, Again, Done, Node, SignIn, Stop, from_options, from_ready, verdict
from node.importer.problem import Problem
from tests.fakes.certificate import own_certificate
from tests.fakes.snms import PASSWORD, PREFIX, TEMPLATE, USERNAME, FakeNode, running

BATCH = "/identityv2/data/batchCreate"
BODY = json.dumps(
    [
        {
            "handle": f"{PREFIX}/B-1",
            "templateVersion": TEMPLATE,
            "value": [
                {"index": 2000, "type": "styleNo", "data": {"format": "string", "value": "S"}},
                {"index": 2001, "type": "colour", "data": {"format": "string", "value": "red"}},
            ],
        }
    ]
).encode()


class Time:
    """A clock that jumps when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        await asyncio.sleep(0)


@asynccontextmanager
async def asking(*faults: str, password: str = PASSWORD) -> AsyncIterator[tuple[Node, FakeNode, Time, list[str]]]:
    fake, time, said = FakeNode(), Time(), list[str]()
    fake.faults.extend(faults)
    async with running(fake), aiohttp.ClientSession() as session:
        access = Access(fake.url, USERNAME, password, PREFIX)
        yield Node(session, access, lambda zh, en: said.append(en), time.sleep, time), fake, time, said


READY = {
    "http": "http://127.0.0.1:8000/",
    "enterprises": [
        {
            "name": "广州皮具",
            "industry": "leather",
            "prefix": PREFIX,
            "username": "leather-clerk",
            "password": "p",
            "access_key": "a",
            "secret_key": "s",
        },
        {
            "name": "Motor Works",
            "industry": "automotive",
            "prefix": "88.999.2001",
            "username": "auto",
            "password": "q",
            "access_key": "a",
            "secret_key": "s",
        },
    ],
}


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    path = tmp_path / "ready.json"
    path.write_text(json.dumps(READY), "utf-8")
    return path


@pytest.mark.parametrize("name", ["广州皮具", "leather", "LEATHER", PREFIX, "leather-clerk"])
def test_an_enterprise_is_found_by_any_of_its_names(ready: Path, name: str) -> None:
    assert from_ready(ready, name) == Access("http://127.0.0.1:8000", "leather-clerk", "p", PREFIX)


def test_an_unknown_enterprise_is_told_who_is_there(ready: Path) -> None:
    with pytest.raises(Problem, match=r"88\.999\.1001（广州皮具）、88\.999\.2001（Motor Works）"):
        from_ready(ready, "nobody")


def test_an_ambiguous_enterprise_is_refused(ready: Path) -> None:
    ready.write_text(json.dumps(READY).replace("automotive", "leather"), "utf-8")
    with pytest.raises(Problem, match="more than one"):
        from_ready(ready, "leather")


@pytest.mark.parametrize("text", ["{", "[]", '{"http":null}', "{}"])
def test_a_ready_file_nobody_understands_gets_a_sentence(ready: Path, text: str) -> None:
    ready.write_text(text)
    with pytest.raises(Problem, match="cannot be understood"):
        from_ready(ready, "leather")


def test_a_node_that_is_not_ready_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="not ready"):
        from_ready(tmp_path / "ready.json", "leather")


def test_an_address_needs_prefix_and_credentials(ready: Path) -> None:
    assert from_options("http://n/", "u", "p", PREFIX, ready) == Access("http://n", "u", "p", PREFIX)
    with pytest.raises(Problem, match="must be the prefix"):
        from_options("http://n", "u", "p", "leather", ready)
    for username, password in ((None, "p"), ("u", None), ("u", "")):
        with pytest.raises(Problem, match="IDNODE_PASSWORD"):
            from_options("http://n", username, password, PREFIX, ready)


def test_an_enterprise_that_joined_later_signs_in_at_the_node_that_runs(ready: Path) -> None:
    wanted = Access("http://127.0.0.1:8000", "lingnan", "p", "88.999.1008")
    assert from_options(None, "lingnan", "p", "88.999.1008", ready) == wanted
    with pytest.raises(Problem, match="for others add --username"):
        from_ready(ready, "88.999.1008")


@pytest.mark.parametrize(
    ("status", "body", "wanted"),
    [
        (200, b'{"status":1,"message":"success","data":[1]}', Done([1])),
        (200, b'{"results":[]}', Done({"results": []})),
        (200, '{"status":-1,"message":"未登录","data":null}'.encode(), SignIn()),
        (401, b"", SignIn()),
        (200, '{"status":-1,"message":"系统繁忙","data":null}'.encode(), client._BUSY),
        (503, b"", client._TROUBLED),
        (429, b"whatever", client._BUSY),
        (200, b'{"status":-4,"message":"x","data":null}', client._LOST),
        (500, b"", client._LOST),
        (502, b"<html>", client._LOST),
        (504, b"", client._LOST),
        (200, '{"status":-2,"message":"模板不存在","data":null}'.encode(), Stop("节点拒绝：模板不存在", "")),
        (200, '{"status":-3,"message":"没有权限"}'.encode(), Stop("节点拒绝：没有权限", "")),
        (403, '{"error":{"field":"token","message":"无权"}}'.encode(), Stop("节点拒绝：无权", "")),
        (400, b"{}", Stop("节点拒绝：400", "")),
        (413, b"too large", Stop("节点的答复读不懂", "")),
        (302, b"", Stop("节点的答复读不懂", "")),
        (200, b"[]", Stop("节点的答复读不懂", "")),
        (200, b'{"status":1,', Stop("节点的答复读不懂", "")),
    ],
)
def test_what_an_answer_means(status: int, body: bytes, wanted: client.Verdict) -> None:
    found = verdict(status, {}, body)
    assert (type(found), found[0] if found else None) == (type(wanted), wanted[0] if wanted else None)


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7.0), ("3600", 60.0), ("", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None)]
)
def test_retry_after_is_obeyed_within_bounds(text: str, seconds: float | None) -> None:
    found = verdict(503, {"Retry-After": text}, b"")
    assert isinstance(found, Again)
    assert (found.seconds, found.unknown) == (seconds, True)
    assert verdict(429, {"Retry-After": text}, b"") == found._replace(unknown=False)


async def test_busy_is_asked_again_and_nothing_was_done_meanwhile() -> None:
    async with asking("limited", "limited") as (node, fake, time, said):
        await node.sign_in()
        data, repeated = await node.post(BATCH, BODY)
        assert (data, repeated) == ([{"handle": f"{PREFIX}/B-1", "msg": "success"}], False)
        assert (time.slept, fake.batches) == ([0.5, 1.0], [1])
        assert said == ["the node is busy, asking again in 0.5 s", "the node is busy, asking again in 1 s"]


async def test_only_an_answer_that_is_octet_for_octet_as_expected_is_not_read() -> None:
    async with asking() as (node, _, _, _):
        await node.sign_in()
        usual = results.well([f"{PREFIX}/B-1"])
        assert await node.post(BATCH, BODY, usual) == (client.USUAL, False)
        data, _ = await node.post(BATCH, BODY, usual)
        assert data == [{"handle": f"{PREFIX}/B-1", "msg": "标识已存在", "differs": []}]


@pytest.mark.parametrize("fault", ["lost", "dropped"])
async def test_a_lost_answer_is_asked_for_until_it_is_known(fault: str) -> None:
    async with asking(fault, "limited") as (node, fake, _, said):
        await node.sign_in()
        data, repeated = await node.post(BATCH, BODY)
        assert (data, repeated) == ([{"handle": f"{PREFIX}/B-1", "msg": "标识已存在", "differs": []}], True)
        assert (len(fake.created), fake.batches) == (1, [1, 1])
        assert said == ["no answer from the node, asking again in 0.5 s", "the node is busy, asking again in 1 s"]


async def test_an_expired_token_is_renewed_once_for_all_who_wait() -> None:
    async with asking("expired") as (node, fake, time, _):
        await node.sign_in()
        answers = await asyncio.gather(*(node.post(BATCH, BODY) for _ in range(4)))
        assert sum(data[0]["msg"] == "success" for data, _ in answers) == 1
        assert not any(repeated for _, repeated in answers)
        assert (fake.tokens, time.slept) == (3, [])


async def test_a_token_that_is_never_taken_stops_it() -> None:
    async with asking("expired", "expired", "expired", "expired") as (node, _, _, _):
        await node.sign_in()
        with pytest.raises(Problem, match="does not take the sign-in"):
            await node.post(BATCH, BODY)


async def test_a_wrong_password_stops_it() -> None:
    async with asking(password="wrong") as (node, _, _, _):
        with pytest.raises(Problem, match="the node refuses: 用户名/密码错误！"):
            await node.sign_in()


async def test_what_is_refused_is_not_asked_again() -> None:
    async with asking("refused") as (node, fake, time, _):
        await node.sign_in()
        with pytest.raises(Problem, match="没有权限"):
            await node.post(BATCH, BODY)
        assert (fake.batches, time.slept) == ([], [])


async def test_patience_ends() -> None:
    async with asking(*["internal"] * 99) as (node, _, time, _):
        await node.sign_in()
        with pytest.raises(Problem, match="repeated for 600 s; run the same command later"):
            await node.post(BATCH, BODY)
        assert max(time.slept) == client.WAIT_MOST_SECONDS
        assert 600 - client.WAIT_MOST_SECONDS < time.now <= 600


async def test_a_node_gone_in_the_middle_is_waited_for() -> None:
    fake, time = FakeNode(), Time()
    async with aiohttp.ClientSession() as session:
        async with running(fake):
            node = Node(session, Access(fake.url, USERNAME, PASSWORD, PREFIX), lambda *_: None, time.sleep, time)
            await node.reach()
            await node.sign_in()
        with pytest.raises(Problem, match="no answer from the node"):
            await node.post(BATCH, BODY)
        assert len(time.slept) > 10
        with pytest.raises(Problem, match="cannot reach"):
            await node.reach()


@pytest.mark.parametrize("url", ["nonsense", "http://[", "ftp://127.0.0.1/"])
async def test_an_address_that_is_none_gets_a_sentence(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(Problem, match="cannot reach"):
            await Node(session, Access(url, "u", "p", PREFIX), lambda *_: None).reach()


async def test_a_certificate_nobody_here_trusts_is_told_apart_from_silence(tmp_path: Path) -> None:
    shown = own_certificate(tmp_path / "own.pem")
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=shown)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, aiohttp.ClientSession() as session:
        with pytest.raises(Problem, match=f"the certificate of {url} is not trusted here: .*SSL_CERT_FILE"):
            await Node(session, Access(url, "u", "p", PREFIX), lambda *_: None).reach()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (100, "no such identifier"),
        (301, "its prefix does not live there, or is stopped"),
        (400, "whoever signed in may not do that"),
        (3001, "code 3001"),
    ],
)
def test_a_refusal_without_words_is_told_in_words(code: int, said: str) -> None:
    found = verdict(403, {}, json.dumps({"responseCode": code}).encode())
    assert isinstance(found, Stop)
    assert (found.en, found.code) == (f"the node refuses: {said}", code)


async def test_an_endless_answer_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ANSWER_OCTETS", 10)
    async with asking() as (node, _, _, _):
        with pytest.raises(Problem, match="cannot be understood"):
            await node.sign_in()


def test_what_aiohttp_repeats_by_itself_can_be_read_again() -> None:
    # A stream would be at its end the second time, and an empty body be sent.
    assert isinstance(client._sent("POST", b"x"), io.BytesIO)
    assert "POST" not in aiohttp.client.IDEMPOTENT_METHODS
    assert (client._sent("PUT", b"x"), client._sent("GET", b"")) == (b"x", None)


async def test_pauses_are_bounded() -> None:
    async with asking() as (node, _, time, _):
        await node.pause(1)
        await node.pause(client.TURNS_MOST)
        assert time.slept == [0.5, 15.0]
        with pytest.raises(Problem, match="stays busy"):
            await node.pause(client.TURNS_MOST + 1)
