"""What is asked, and what an answer must be: the classes of the mix in one table. Pure; chance is an argument."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, count
from random import Random
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from loadtest.population import CHECKED, ITEMS, TEMPLATE, Population, texts
from loadtest.response import Response

DRAWN: Final = 1024
"""Choices drawn from the seed at a time: one by one costs five times as much."""
ROWS_MOST: Final = 2000
"""Most rows of a batch (SNMS OpenAPI)."""
SHOWN: Final = 200
"""Octets of a wrong answer that are told."""
HEADS: Final = (
    "User-Agent: curl/7.88.1\r\nAccept: */*\r\n",
    "User-Agent: okhttp/4.12.0\r\nAccept: application/json\r\nConnection: Keep-Alive\r\n",
    "User-Agent: python-requests/2.32.5\r\nAccept-Encoding: identity\r\nAccept: */*\r\nConnection: keep-alive\r\n",
)
"""What three kinds of client say beside the host: a shell's, a phone's and a program's. Each member has its kind."""

T = TypeVar("T")


class Ask(NamedTuple):
    """One request: its class, its octets, and what its answer must speak of: the identifiers, and the serial number."""

    name: str
    octets: bytes
    handles: Sequence[str]
    serial: str = ""


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of the classes by name, in any unit; none is negative, one is positive."""

    shares: Mapping[str, float]

    @classmethod
    def parse(cls, text: str) -> "Mix":
        """`warm=70,cold=20,absent=10` as on the command line. Raises ValueError with a sentence."""
        shares: dict[str, float] = {}
        for part in text.split(","):
            name, _, share = part.strip().partition("=")
            if name not in CLASSES:
                raise ValueError(f"没有“{name}”一类。 There is no class “{name}”: {', '.join(CLASSES)}.")
            if name in shares:
                raise ValueError(f"{name}写了两次。 {name} stands there twice.")
            if not share.replace(".", "", 1).isdecimal():
                raise ValueError(f"{name}的份额应为数，如{name}=10。 The share of {name} must be a number: {name}=10.")
            shares[name] = float(share)
        if not sum(shares.values()):
            raise ValueError("份额全为零。 All shares are zero.")
        return cls({name: share for name, share in shares.items() if share})


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process stands among the others: what only one may ask belongs to one place.

    `round` counts the runs of one command, `of` the processes of a round; `run` names the command among all others,
    `cold_from` is the first rank of the seeded order that no earlier round asked for.
    """

    run: str
    round: int
    number: int
    of: int
    cold_from: int


@dataclass(frozen=True, slots=True)
class World:
    """What there is to ask for, and how. `hot` members are asked for again and again, the `size - hot` others at most
    once; `rows` is the length of a batch; `foreign` is a prefix of another node, empty without one; `token` signs
    batches and `signed` reads; `host` is what the Host header says.
    """

    population: Population
    hot: int
    zipf: float
    rows: int
    foreign: str
    token: str
    host: str


class Questions:
    """The requests of one place, from the seed alone: the same every time but for the names of new registrations."""

    def __init__(self, world: World, mix: Mix, place: Place) -> None:
        self._world, self._place = world, place
        seed = f"{world.population.seed}/{place.round}/{place.number}"
        self._classes = drawn(Random(f"{seed}/mix"), list(mix.shares), list(mix.shares.values()))
        self._ranks = drawn(Random(f"{seed}/warm"), range(world.hot), zipf(world.hot, world.zipf))
        self._never, self._members = Random(f"{seed}/absent"), Random(f"{seed}/foreign")
        self._warm: dict[int, Ask] = {}
        self._batches = count()
        self._singles = count()
        head = f"Host: {world.host}\r\n"
        self._gets = [f" HTTP/1.1\r\n{head}{kind}\r\n".encode() for kind in HEADS]
        signed = f"Authorization: Bearer {world.token}\r\n"
        self._signed = f" HTTP/1.1\r\n{head}{HEADS[-1]}{signed}\r\n".encode()
        self._post = f" HTTP/1.1\r\n{head}{HEADS[-1]}{signed}Content-Type: application/json\r\nContent-Length: "
        self._cold = place.cold_from + place.number
        self.cold_reached = place.cold_from
        """One more than the highest rank among the cold members this place has asked for; every `of`-th is its own."""

    def next_class(self) -> str:
        """The class of the next request."""
        return next(self._classes)

    def ask(self, name: str) -> Ask:
        """The next request of a class."""
        return CLASSES[name].make(self)

    def _read(self, name: str, prefix: str, suffix: str, head: bytes) -> Ask:
        identifier = f"{prefix}/{suffix}"
        return Ask(name, b"GET /api/handles/" + identifier.encode() + head, (identifier,), suffix)

    def _member(self, name: str, rank: int, head: bytes | None = None) -> Ask:
        population = self._world.population
        number = population.member(rank)
        head = head or self._gets[number % len(HEADS)]
        return self._read(name, population.prefix(number), population.serial(number), head)

    def warm(self) -> Ask:
        """A member of the hot set, some far oftener than others."""
        rank = next(self._ranks)
        ask = self._warm.get(rank)
        if ask is None:
            ask = self._warm[rank] = self._member("warm", rank)
        return ask

    def signed(self) -> Ask:
        """A member of the hot set, asked for by someone who is signed in."""
        return self._member("signed", next(self._ranks), self._signed)

    def cold(self) -> Ask:
        """The next member outside the hot set; after the last one, the first again."""
        world, rank = self._world, self._cold
        self._cold += self._place.of
        self.cold_reached = rank + 1
        return self._member("cold", world.hot + rank % (world.population.size - world.hot))

    def absent(self) -> Ask:
        """A name that was never registered, and is asked for once."""
        population = self._world.population
        prefix = population.prefixes[self._never.randrange(len(population.prefixes))]
        drawn = self._never.getrandbits(64)
        return self._read("absent", prefix, f"NONE-{population.seed}-{drawn:016x}", self._gets[drawn % len(HEADS)])

    def foreign(self) -> Ask:
        """A name under the foreign prefix: of the population another node would have from the same seed."""
        population = self._world.population
        number = self._members.randrange(population.size)
        return self._read("foreign", self._world.foreign, population.serial(number), self._gets[number % len(HEADS)])

    def batch(self) -> Ask:
        """The registration of identifiers nobody registered before."""
        world, place = self._world, self._place
        number = next(self._batches)
        prefix = world.population.prefixes[number % len(world.population.prefixes)]
        serials = [f"NEW-{place.run}-{place.round}-{place.number}-{number}-{row}" for row in range(world.rows)]
        handles = [f"{prefix}/{serial}" for serial in serials]
        octets = rows_body(handles, serials, range(number * world.rows, (number + 1) * world.rows))
        return Ask("batch", self._posted("/identityv2/data/batchCreate", octets), handles)

    def single(self) -> Ask:
        """The registration of one identifier nobody registered before."""
        world, place = self._world, self._place
        number = next(self._singles)
        serial = f"ONE-{place.run}-{place.round}-{place.number}-{number}"
        handle = f"{world.population.prefixes[number % len(world.population.prefixes)]}/{serial}"
        octets = rows_body((handle,), (serial,), (number,))[1:-1]
        return Ask("single", self._posted("/identityv2/data", octets), (handle,), serial)

    def _posted(self, path: str, octets: bytes) -> bytes:
        return f"POST {path}{self._post}{len(octets)}\r\n\r\n".encode() + octets


def rows_body(handles: Sequence[str], serials: Sequence[str], numbers: Sequence[int]) -> bytes:
    """The body that registers `handles`, each with its serial number and the other texts of its number."""
    rows = [
        {
            "handle": handle,
            "templateVersion": TEMPLATE,
            "value": [
                {"index": item.index, "type": item.name, "data": {"format": "string", "value": text}}
                for item, text in zip(ITEMS, texts(serial, number), strict=True)
            ],
        }
        for handle, serial, number in zip(handles, serials, numbers, strict=True)
    ]
    return msgspec.json.encode(rows)


def drawn(random: Random, among: Sequence[T], weights: Sequence[float]) -> Iterator[T]:
    """Without end, each of `among` as often as its weight tells."""
    sums = list(accumulate(weights))
    while True:
        yield from random.choices(among, cum_weights=sums, k=DRAWN)


def zipf(count: int, exponent: float) -> list[float]:
    """Weights of ranks 1 … `count`: 1 / rank^exponent (Zipf's law; 0 makes all alike)."""
    return [(rank + 1) ** -exponent for rank in range(count)]


# --- What an answer must be: each judge says what is wrong with it, or nothing -------------------------------------


class _Data(msgspec.Struct):
    value: Any


class _Value(msgspec.Struct):
    type: str
    data: _Data


class _Resolved(msgspec.Struct):
    """An answer of the Handle HTTP API."""

    response_code: int = msgspec.field(name="responseCode")
    handle: str = ""
    values: list[_Value] = []


class _Row(msgspec.Struct):
    handle: str
    msg: str


class _Envelope(msgspec.Struct):
    """An answer of the SNMS OpenAPI to a batch."""

    status: int
    data: list[_Row] | None = None


class _Success(msgspec.Struct):
    """An answer of the SNMS OpenAPI to one registration."""

    status: int


_resolved: Final = msgspec.json.Decoder(_Resolved).decode
_envelope: Final = msgspec.json.Decoder(_Envelope).decode
_success: Final = msgspec.json.Decoder(_Success).decode


def _found(ask: Ask, response: Response) -> str:
    answer = _resolved(response.body)
    if response.status != 200 or answer.response_code != 1:
        return "not found"
    if answer.handle != ask.handles[0]:
        return "of another identifier"
    if not any(value.type == CHECKED and value.data.value == ask.serial for value in answer.values):
        return f"without its {CHECKED}"
    return ""


def _absent(ask: Ask, response: Response) -> str:
    answer = _resolved(response.body)
    if response.status != 404 or answer.response_code != 100:
        return "not absent"
    return "" if answer.handle == ask.handles[0] else "of another identifier"


_ELSEWHERE: Final = {(200, 1), (404, 100), (400, 301)}
"""Status and response code of what lives elsewhere: found there, absent there, or not ours to answer."""


def _elsewhere(ask: Ask, response: Response) -> str:
    answer = _resolved(response.body)
    if (response.status, answer.response_code) not in _ELSEWHERE:
        return "neither found nor absent nor elsewhere"
    return "" if answer.handle == ask.handles[0] else "of another identifier"


def _registered(ask: Ask, response: Response) -> str:
    answer = _envelope(response.body)
    if response.status != 200 or answer.status != 1 or answer.data is None:
        return "not taken"
    if [row.handle for row in answer.data] != ask.handles:
        return "rows of other identifiers"
    return next((f"row {row.handle}: {row.msg}" for row in answer.data if row.msg != "success"), "")


def _taken(_: Ask, response: Response) -> str:
    return "" if response.status == 200 and _success(response.body).status == 1 else "not taken"


class Class(NamedTuple):
    """One class of the mix: what it is called for people, how it is asked, what its answer must be."""

    zh: str
    en: str
    make: Callable[[Questions], Ask]
    judge: Callable[[Ask, Response], str]


CLASSES: Final[Mapping[str, Class]] = {
    "warm": Class("热：常被问的", "a hot set, asked for again and again", Questions.warm, _found),
    "signed": Class("签：登录后读热的", "of the hot set, by someone signed in", Questions.signed, _found),
    "cold": Class("冷：每个至多问一次", "each at most once", Questions.cold, _found),
    "absent": Class("无：从未注册的", "never registered", Questions.absent, _absent),
    "foreign": Class("外：别的节点的", "of another node", Questions.foreign, _elsewhere),
    "batch": Class("批：批量注册", "batch registration", Questions.batch, _registered),
    "single": Class("单：逐个注册", "registration, one by one", Questions.single, _taken),
}
"""The classes by the names of the mix."""


def wrong(ask: Ask, response: Response) -> str:
    """What is wrong with an answer, with its beginning; empty when it is what it must be."""
    try:
        said = CLASSES[ask.name].judge(ask, response)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = "unreadable"
    if not said:
        return ""
    return f"{ask.handles[0]}: {said}: HTTP {response.status} {response.body[:SHOWN].decode(errors='replace')}"


def readable(_: Ask, response: Response) -> str:
    """What is wrong with the answer of a yardstick, which answers everything alike."""
    return "" if response.status == 200 else f"HTTP {response.status}"
