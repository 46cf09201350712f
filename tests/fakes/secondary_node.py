"""A secondary node as the top-level node sees it: signs what it is told to say, and keeps chains to push."""

import itertools
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from io import BytesIO
from typing import Any

import aiohttp
from google.protobuf.message import Message

from proto import signed
from proto import uplink_pb2 as pb
from proto.chain import HEAD_FIRST, Kind, entry_digest, next_head
from proto.credit_code import check_character

FIRM = "9144011500000000"
"""The first 16 characters of the codes of firms nobody founded."""


def enterprise(number: int = 1, **changed: Any) -> pb.Enterprise:
    """Particulars that can be filed."""
    first = f"{FIRM}{number}"
    given = pb.Enterprise(
        ent_type=2,
        ent_crt_code=first + check_character(first),
        ent_name_cn=f"广州市第{number}皮具有限公司",
        ent_province_code="440000",
        ent_city_code="440100",
        ent_county_code="440114",
        ent_addr_cn="广州市花都区狮岭镇1号",
        contact=pb.Contact(name="陈工", email="chen@leather.example", phone="020-00000000"),
        legal_person=pb.LegalPerson(name="陈某", id_type=1, id_no="440114000000000000"),
    )
    for name, value in changed.items():
        setattr(given, name, value)
    return given


def entry(suffix: str, version: int = 1, kind: int = Kind.CREATED, template: str = "leather-handbag") -> pb.Entry:
    """What happened to one identifier."""
    digest = sha256(f"{suffix} {version}".encode()).digest()
    return pb.Entry(suffix=suffix, version=version, kind=kind, template=template, digest=digest)


def link(prefix: str, head: bytes, entries: Iterable[pb.Entry]) -> bytes:
    """The head after `entries`."""
    return next_head(
        head,
        [
            entry_digest(f"{prefix}/{e.suffix}" if e.suffix else prefix, e.version, e.kind, e.template, e.digest)
            for e in entries
        ],
    )


@dataclass
class Chain:
    """The stream of a prefix as its node has it: every change that was made."""

    prefix: str
    changes: list[pb.Change] = field(default_factory=list)

    @property
    def head(self) -> bytes:
        """Of the last change."""
        return self.changes[-1].head if self.changes else HEAD_FIRST

    def add(self, *entries: pb.Entry) -> pb.Change:
        """One change more."""
        number = len(self.changes) + 1
        change = pb.Change(
            number=number, made=1_795_000_000_000 + number, head=link(self.prefix, self.head, entries), entries=entries
        )
        self.changes.append(change)
        return change

    def stream(self, first: int = 1, last: int | None = None) -> pb.Stream:
        """The changes `first` to `last` as they travel."""
        return pb.Stream(prefix=self.prefix, changes=self.changes[first - 1 : last])


@dataclass
class SecondaryNode:
    """Speaks for `prefix` at `url`. `now` gives milliseconds since 1970 UTC."""

    session: aiohttp.ClientSession
    url: str
    now: Callable[[], int]
    prefix: str = "88.999"
    seed: bytes = bytes([7]) * 32
    fence: int = 1
    key: bytes = b""

    def request(self, method: str, message: Message, **changed: Any) -> tuple[bytes, bytes]:
        """The octets of a request and its nonce."""
        asked = signed.Asked(
            method, self.prefix, self.now(), secrets.token_bytes(16), self.fence, message.SerializeToString()
        )
        asked = replace(asked, **changed)
        return signed.ask(asked, self.seed), asked.nonce

    async def send(self, method: str, octets: bytes) -> tuple[int, bytes]:
        """HTTP status and body."""
        async with self.session.post(f"{self.url}/uplink/v1/{method}", data=BytesIO(octets)) as response:
            return response.status, await response.read()

    async def ask(self, method: str, message: Message, **changed: Any) -> signed.Answered:
        """The answer, its signature verified."""
        octets, nonce = self.request(method, message, **changed)
        status, answer = await self.send(method, octets)
        assert status == 200, answer
        return signed.answered(answer, self.key, nonce)

    async def enrol(self) -> None:
        """Makes its key known and pins that of the top-level node."""
        octets, nonce = self.request("Enrol", pb.EnrolRequest(public_key=signed.public_key(self.seed), name_zh="节点"))
        status, answer = await self.send("Enrol", octets)
        assert status == 200, answer
        self.key = signed.introduced(answer, nonce)

    async def file(self, prefix: str, number: int = 1) -> str:
        """Files an enterprise, unless it is filed, and a prefix for it, which is then pending; the ent_id."""
        given = enterprise(number)
        check = await self.ask("CheckEnterprise", pb.CheckEnterpriseRequest(ent_crt_code=given.ent_crt_code))
        ent_id = pb.CheckEnterpriseResponse.FromString(check.response).ent_id
        if not ent_id:
            made = await self.ask("CreateEnterprise", pb.CreateEnterpriseRequest(enterprise=given))
            ent_id = pb.CreateEnterpriseResponse.FromString(made.response).ent_id
        pending = await self.ask("CreatePrefix", pb.CreatePrefixRequest(ent_id=ent_id, prefix=prefix))
        assert pending.code == 1001, pending
        return ent_id

    async def push(self, *streams: pb.Stream) -> list[pb.Receipt]:
        """The receipts of what is pushed."""
        answer = await self.ask("PushChanges", pb.PushChangesRequest(streams=streams))
        assert answer.code == 1000, answer
        return list(pb.PushChangesResponse.FromString(answer.response).receipts)

    async def places(self) -> dict[str, pb.Place]:
        """Where the streams of this node stand, by prefix."""
        answer = await self.ask("Standing", pb.StandingRequest())
        return {place.prefix: place for place in pb.StandingResponse.FromString(answer.response).places}

    async def poll(self) -> pb.PollResponse:
        """What waits."""
        answer = await self.ask("Poll", pb.PollRequest())
        assert answer.code in {1300, 1301}, answer
        return pb.PollResponse.FromString(answer.response)


def batches(prefix: str, count: int, size: int) -> Sequence[pb.Change]:
    """A chain of `count` changes that create `size` identifiers each."""
    chain = Chain(prefix)
    for number in itertools.count():
        if number == count:
            return chain.changes
        chain.add(*(entry(f"BAG-{number * size + n:08d}") for n in range(size)))
    raise AssertionError
