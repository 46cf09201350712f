"""One TCP connection for long, as Java clients of the identifier system hold it: logged in once, never opened again.

It outlives a restart of the cache and a new certificate, through thousands of requests of all kinds.
"""

import asyncio
import base64
import itertools
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from loadtest.native import Connection, Heard, framed
from node import clock
from proto.codes import OpCode
from proto.keys import public
from proto.keys.private import PrivateKey
from proto.keys.proof import KeyAnswer
from proto.native.bodies import Body, Challenge, KeyOf, Listed, Named, Proof, Question, Removal, Valued
from proto.native.message import CONTINUOUS, REQUEST_DIGEST, Message
from proto.octets import data
from proto.value import Value
from tests.fakes.certificate import own_certificate
from tests.fakes.valkey import OwnValkey, own_valkey
from tests.waiting import until, wait_until
from tests.whole.calls import Caller, free_port
from tests.whole.serving import command, readiness, serving

PREFIX = "88.999.1001"
ADMIN, INDEX = f"{PREFIX}/ADMIN", 301
REQUESTS = 2000
CAICT, TELEINFO = ((2, 3), (2, 10)), ((2, 10), (2, 11))
"""Version and suggested version of the two clients."""
UNDERSTOOD = {1, 2, 3, 4, 5, 100, 101, 102, 200, 201, 202, 302, 303, 400, 401, 402, 403, 404, 405, 407, 408, 3001}
"""Codes CAICT's client takes for an answer (handle reference §2.15)."""
KEY = rsa.generate_private_key(65537, 2048)
READ = PrivateKey.read(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
URL, MAIL = Value(1, "URL", b"http://a/"), Value(2, "EMAIL", b"a@x")
HIDDEN = Value(3, "NOTE", b"its owner's", permissions=0x0C)


class Client:
    """Says all on one connection with its own versions and session numbers, and believes no answer unseen."""

    def __init__(self, connection: Connection, versions: tuple[tuple[int, int], tuple[int, int]], session: int) -> None:
        self.connection, self.asked = connection, 0
        self._versions, self._session = versions, session

    async def ask_many(self, messages: Iterable[Message], session: int | None = None) -> list[Heard]:
        """The answers to requests that are sent in one piece, in their order; lists in all their parts."""
        said = self._session if session is None else session
        sent = [framed(each, self.asked + n, *self._versions, said) for n, each in enumerate(messages, 1)]
        await self.connection.send(b"".join(each.to_octets() for each in sent))
        heard: dict[int, Heard] = {}
        while len(heard) < len(sent):
            answer = await self.connection.hear()
            assert answer.message.code in UNDERSTOOD
            assert answer.message.expiration >= clock.seconds()
            assert answer.envelope.version == self._versions[1]
            if not answer.message.has(CONTINUOUS):
                heard[answer.envelope.request] = answer
        numbers = range(self.asked + 1, self.asked + len(sent) + 1)
        self.asked += len(sent)
        return [heard[number] for number in numbers]

    async def ask(self, op: int, body: Body, after: bytes = b"", flags: int = 0, session: int | None = None) -> Heard:
        """The answer to one request; `after` stands behind its body."""
        message = Message(op, flags=flags, body=body.to_octets() + after)
        return (await self.ask_many([message], session))[0]

    async def code(self, op: int, body: Body, after: bytes = b"") -> int:
        heard = await self.ask(op, body, after)
        assert heard.envelope.session == self._session
        return heard.message.code

    async def log_in(self) -> None:
        """As both do: with the digest of the request, and by RSA."""
        heard = await self.ask(OpCode.LOGIN_BY_KEY, KeyOf(ADMIN, INDEX), flags=REQUEST_DIGEST)
        assert isinstance(heard.body, Challenge)
        assert heard.digest is not None
        challenge = heard.body.nonce + heard.digest.octets
        proof = Proof("HS_PUBKEY", ADMIN, INDEX, KeyAnswer.made(READ, challenge, b"SHA256", ADMIN).to_octets())
        heard = await self.ask(OpCode.CHALLENGE_RESPONSE, proof, session=heard.envelope.session)
        assert (heard.message.op, heard.message.code) == (OpCode.LOGIN_BY_KEY, 1)

    async def sees(self, handle: str, *values: Value) -> None:
        """Whether an identifier has these values now, its times aside."""
        heard = await self.ask(OpCode.RESOLUTION, Question(handle), data(b""))
        told = heard.body.values if isinstance(heard.body, Valued) else ()
        assert [(v.index, v.data) for v in told] == [(v.index, v.data) for v in values], heard.message.code
        assert heard.message.code == (1 if values else 100)

    async def life(self, handle: str) -> None:
        """All that becomes of an identifier, each step seen at once."""
        changed = Value(1, "URL", b"http://b/")
        assert await self.code(OpCode.CREATE_HANDLE, Valued(handle, (URL, HIDDEN))) == 1
        await self.sees(handle, URL, HIDDEN)
        assert await self.code(OpCode.CREATE_HANDLE, Valued(handle, (URL,))) == 101
        assert await self.code(OpCode.ADD_VALUE, Valued(handle, (MAIL,))) == 1
        assert await self.code(OpCode.MODIFY_VALUE, Valued(handle, (changed,))) == 1
        await self.sees(handle, changed, MAIL, HIDDEN)
        assert await self.code(OpCode.GET_SITE_INFO, Question("/")) == 1
        assert await self.code(OpCode.RESOLUTION, Question("0"), data(b"")) == 100
        assert await self.code(OpCode.REMOVE_VALUE, Removal(handle, (2, 3))) == 1
        every = [Question(handle), Question(handle, (1,)), Question(handle, (), ("URL",)), Question(handle, (9,))]
        many = [Message(1, flags=0, body=each.to_octets()) for each in every * 16]
        assert [heard.message.code for heard in await self.ask_many(many)] == [1, 1, 1, 200] * 16
        assert await self.code(OpCode.DELETE_HANDLE, Named(handle)) == 1
        await self.sees(handle)

    async def lists(self) -> None:
        """What lives under the prefix, ended by a message of its own."""
        heard = await self.ask(OpCode.LIST_HANDLES, Named(f"0.NA/{PREFIX}"))
        assert isinstance(heard.body, Listed)
        assert ADMIN in heard.body.names


@asynccontextmanager
async def working(port: int, versions: tuple[tuple[int, int], tuple[int, int]], session: int) -> AsyncIterator[Client]:
    """A client that logged in, and works until it is left; then once more, to see that the connection still stands."""
    client = Client(await Connection.open(port), versions, session)
    assert await client.code(OpCode.GET_SITE_INFO, Question("/")) == 1
    assert await client.code(OpCode.CREATE_HANDLE, Valued(f"{PREFIX}/EARLY", (URL,))) == 408
    await client.log_in()
    left = asyncio.Event()

    async def work() -> None:
        for number in itertools.count():
            if left.is_set():
                return
            await client.life(f"{PREFIX}/LIFE-{session}-{number}")
            if number % 10 == 0:
                await client.lists()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work())
        try:
            yield client
        finally:
            left.set()
    await client.life(f"{PREFIX}/LAST-{session}")
    await client.lists()
    await client.connection.close()


def shown(port: int) -> bytes:
    """The certificate new connections are shown."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 10) as plain, trusting.wrap_socket(plain) as met:
        return met.getpeercert(binary_form=True) or b""


def put_key(anyone: Caller, password: str) -> None:
    """The public key into an identifier, by who administers the enterprise."""
    key = base64.b64encode(public.to_octets(KEY.public_key())).decode()
    value = {"index": INDEX, "type": "HS_PUBKEY", "data": {"format": "base64", "value": key}}
    boss, path = anyone.signed("boss", password), f"/api/handles/{ADMIN}"
    told = boss.call("PUT", path, [value], Content_Type="application/json")
    assert told.status == 201, told.body


def taken(log: Path) -> int:
    """How often workers took a certificate into use."""
    return log.read_text().count("certificate_shown")


async def through_trouble(valkey: OwnValkey, certificate: Path, https: int, log: Path) -> None:
    """The cache dies and comes back empty; the certificate is another, and every worker has told of it."""
    before, by_all = await asyncio.to_thread(shown, https), taken(log)
    await asyncio.to_thread(own_certificate, certificate)
    await asyncio.to_thread(valkey.kill)
    await asyncio.to_thread(valkey.start)
    await until(lambda: taken(log) == 2 * by_all, "another certificate")
    assert await asyncio.to_thread(shown, https) != before


async def test_a_connection_outlives_the_cache_and_the_certificate(folder: Path, database: str) -> None:
    native, https, certificate, password = free_port(), free_port(), folder / "long.pem", "correct horse battery"
    own_certificate(certificate)
    command(database, "enterprise", "add", "甲皮具", "--prefix", PREFIX, "--industry", "leather")
    boss = ("user", "add", "boss", "--person", "周 1001", "--enterprise", PREFIX, "--role", "enterprise_admin")
    command(database, *boss, "--ask-password", typed=f"{password}\n")
    settings = {
        "IDNODE_NATIVE_PORT": str(native),
        "IDNODE_HTTPS_PORT": str(https),
        "IDNODE_CERTIFICATE": str(certificate),
        "IDNODE_SERVER_ADMINS": f"{INDEX}:{ADMIN}",
    }
    log = folder / "long.log"
    with own_valkey() as valkey, serving(log, database, IDNODE_REDIS_URL=valkey.url, **settings) as (_, anyone, node):
        wait_until(lambda: readiness(node)["ready"], "ready")
        await asyncio.to_thread(put_key, anyone, password)
        async with working(native, CAICT, 0) as first, working(native, TELEINFO, 10_001) as second:
            await through_trouble(valkey, certificate, https, log)
            await until(lambda: first.asked + second.asked >= REQUESTS, "thousands of requests")
    assert "Traceback" not in log.read_text()
