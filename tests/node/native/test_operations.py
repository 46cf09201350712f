"""Every operation of the Handle protocol by whoever may ask it, and what comes of it: tables, on real sockets.

A new operation is a line in ASKED; a new kind of key one in PROVES, REFUSED or LOGINS, and is tried in all of ASKED;
what comes of one request alone, and in which order things are looked at, is a line in ROWS. `fact` names the paragraph
of the handle reference (of deployed servers) a line proves.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa

from loadtest.native import Connection, Heard
from node import clock
from node.native.answers import COPIED, EXPIRES_SECONDS
from proto.codes import OpCode, ResponseCode
from proto.keys import sm2
from proto.keys.proof import MACS, PBKDF2
from proto.native.bodies import (
    Body,
    Challenge,
    KeyOf,
    Listed,
    Named,
    Nothing,
    Proof,
    Question,
    Removal,
    SessionSetup,
    Valued,
)
from proto.native.message import AUTHORITATIVE, CONTINUOUS, MINT, OVERWRITE, PUBLIC_ONLY, REQUEST_DIGEST, Message
from proto.native.versions import OWN
from proto.octets import data
from proto.value import Reference, Value
from proto.values import value_list
from proto.values.admin import ADMIN_ALL, Admin
from tests.fakes.small_registry import PREFIX
from tests.node.native.administered import (
    ADMIN,
    DSA_KEY,
    HANDLE_NET,
    NOBODYS,
    OTHER,
    OWNER,
    PRIVATE,
    RSA_KEY,
    URL,
    Key,
    World,
    administered,
    asks,
    connected,
    create,
    made,
    private_key,
    proves,
    question,
)
from tests.proto.keys.made import private

one_world = pytest.mark.asyncio(loop_scope="module")

GROUP, NEW = f"{PREFIX}/GROUP", "0.NA/88.999.7001"
BY_GROUP = Value(100, "HS_ADMIN", Admin(ADMIN_ALL, GROUP, 200).to_octets())
FREE = Value(5, "FREE", b"anybody's", permissions=0x0F)
LOCKED = Value(6, "LOCKED", b"for good", permissions=0x0A)
RECORD = (URL, PRIVATE, BY_GROUP)
MAIL, CHANGED = Value(9, "EMAIL", b"a@x"), Value(1, "URL", b"http://changed/")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(module_database: str) -> AsyncIterator[World]:
    """With a record of each kind of value, and a group in a group in which the holder of OTHER is."""
    async with administered(module_database) as made_:
        team, outer = ((Reference(*each),) for each in ((ADMIN, 302), (GROUP, 201)))
        groups = [Value(200 + n, "HS_VLIST", value_list.to_octets(each)) for n, each in enumerate((outer, team))]
        await made(made_, "GROUP", *groups)
        await made(made_, "There", *RECORD, NOBODYS, FREE, LOCKED, Value(7, "URL.MIRROR", b"http://m/"))
        await made(made_, "Mine", URL, PRIVATE)
        await made_.node.create("SHOE-1")
        yield made_


# --- every operation by every kind of key

Asked = Callable[[str], Message]
ASKED: dict[str, tuple[bool, Asked, Body | type | None]] = {
    "create": (False, lambda name: create(name, URL), None),
    "overwrite": (True, lambda name: create(name, URL, flags=OVERWRITE), None),
    "mint": (False, lambda name: create(name, URL, flags=MINT), Named),
    "delete": (True, lambda name: asks(OpCode.DELETE_HANDLE, Named(f"{PREFIX}/{name}")), Nothing()),
    "add": (True, lambda name: asks(OpCode.ADD_VALUE, Valued(f"{PREFIX}/{name}", (MAIL,))), Nothing()),
    "remove": (True, lambda name: asks(OpCode.REMOVE_VALUE, Removal(f"{PREFIX}/{name}", (1,))), Nothing()),
    "modify": (True, lambda name: asks(OpCode.MODIFY_VALUE, Valued(f"{PREFIX}/{name}", (CHANGED,))), Nothing()),
    "read": (True, lambda name: question(name, 2), Valued),
    "list": (False, lambda _: asks(OpCode.LIST_HANDLES, Named(f"0.NA/{PREFIX}")), Listed),
    "prefixes": (False, lambda _: asks(OpCode.LIST_HOMED_PREFIXES, Named("/")), Listed),
    "home": (False, lambda _: asks(OpCode.HOME_PREFIX, Named(NEW)), Nothing()),
    "unhome": (False, lambda _: asks(OpCode.UNHOME_PREFIX, Named(NEW)), Nothing()),
}
"""What takes a key: whether there is a record before, the request, and what is told when it is done."""
OF_A_RECORD = {name for name, (there, *_) in ASKED.items() if there} - {"overwrite"}
"""What the HS_ADMIN of a record may allow; all else is allowed above it."""

RSA = private_key(RSA_KEY)
STRANGER = private_key(rsa.generate_private_key(65537, 2048))
PROVES: dict[str, Key] = {
    **{f"HS_SECKEY {form:02x}": Key(how=form) for form in (*MACS, PBKDF2)},
    "HS_SECKEY of any index": Key(0),
    **{f"RSA {name.decode()}": Key(301, RSA, name) for name in (b"SHA1", b"SHA-1", b"SHA256", b"SHA-256")},
    "DSA SHA1": Key(303, private_key(DSA_KEY), b"SHA1"),
    **({"SM2 SM3": Key(304, private("sm2"), b"SM3")} if sm2.available() else {}),
}
"""Whoever is proven to be a server administrator (§2.8)."""
REFUSED: dict[str, tuple[Key, int]] = {
    "wrong secret": (Key(held=b"wrong", how=2), 403),
    "wrong private key": (Key(301, STRANGER, b"SHA256"), 403),
    "unknown index": (Key(399), 400),
    "unknown identifier": (Key(user=f"{PREFIX}/NOBODY"), 400),
    "elsewhere": (Key(user="99.9/ADMIN"), 400),
    "no identifier": (Key(user="nobody"), 400),
    "key of another type": (Key(type="HS_PUBKEY"), 400),
    "no key": (Key(type="URL"), 400),
    "unknown form": (Key(type="HS_SECKEY", how=-1), 406),
}
"""Who proves nothing, and the code that says so (§2.5)."""
KINDS = [*PROVES, *REFUSED, "by group"]


async def tried(world: World, connection: Connection, what: str, key: Key, name: str) -> tuple[Heard, Heard]:
    """The challenge to a request, and what its answer brought."""
    there, request, _ = ASKED[what]
    if there:
        await made(world, name, *RECORD)
    asked = request(name)
    first = await connection.ask(asked)
    assert isinstance(first.body, Challenge), (what, first)
    assert first.digest is not None
    proof = key.proof(first.body.nonce, first.digest) if key.how != -1 else _unknown_form(key)
    then = await connection.ask(proof, session=first.envelope.session)
    await rest(connection, then)
    for heard, flags in ((first, asked.flags | REQUEST_DIGEST), (then, asked.flags)):
        assert heard.message.op == asked.op, "the answer to an answer is that to the request"
        assert heard.message.flags & ~CONTINUOUS == flags & COPIED | AUTHORITATIVE
        assert clock.seconds() <= heard.message.expiration <= clock.seconds() + EXPIRES_SECONDS
        assert heard.envelope.suggested == OWN
    return first, then


async def rest(connection: Connection, heard: Heard) -> None:
    """Hears a list to its end."""
    while heard.message.has(CONTINUOUS):
        heard = await connection.hear()


def _unknown_form(key: Key) -> Message:
    return Message(OpCode.CHALLENGE_RESPONSE, body=Proof(key.type, key.user, key.index, b"\x7f" * 21).to_octets())


@one_world
@pytest.mark.parametrize("number", range(len(KINDS)), ids=KINDS)
async def test_every_operation_by_every_kind_of_key(world: World, number: int) -> None:
    kind = KINDS[number]
    key, refused = REFUSED.get(kind, (PROVES.get(kind, OTHER), 0))
    for place, (what, (there, _, told)) in enumerate(ASKED.items()):
        name = f"{what}-{number}"
        async with connected(world, f"127.1.{place}.{1 + number}") as connection:  # who guesses is braked by address
            _, then = await tried(world, connection, what, key, name)
            code = refused or (1 if kind != "by group" or what in OF_A_RECORD else 400)
            assert then.message.code == code, (what, then.body)
            if code == 1 and told is not None:
                assert then.body == told if not isinstance(told, type) else isinstance(then.body, told)
            if code != 1:
                assert await public(connection, name) == ([1, 100] if there else []), what


async def public(connection: Connection, name: str) -> list[int]:
    """The indexes everybody sees."""
    heard = await connection.ask(question(name, flags=PUBLIC_ONLY))
    return [value.index for value in heard.body.values] if isinstance(heard.body, Valued) else []


LOGINS: dict[str, tuple[Key | None, int, frozenset[str] | set[str]]] = {
    "nobody": (None, 408, {"read"}),
    "administrator": (Key(301, RSA, b"SHA256"), 1, set(ASKED)),
    "administrator by an old digest": (Key(301, RSA, b"SHA1"), 1, set(ASKED)),
    "administrator by a secret": (OWNER, 1, set(ASKED)),
    **({"administrator by SM2": (PROVES["SM2 SM3"], 1, set(ASKED))} if sm2.available() else {}),
    "by group": (OTHER, 400, OF_A_RECORD),
}
"""Who logged in by 2001 (§2.15): what else than success they get, and for what not."""


@one_world
@pytest.mark.parametrize("who", LOGINS)
async def test_every_operation_by_who_logged_in(world: World, who: str) -> None:
    """Without flags, and so without challenges: before a login 408, and of values what everybody may see."""
    key, otherwise, may = LOGINS[who]
    async with connected(world) as connection:
        if key:
            login = Message(OpCode.LOGIN_BY_KEY, flags=REQUEST_DIGEST, body=KeyOf(ADMIN, key.index).to_octets())
            heard = await proves(connection, replace(login, credential=None), key, (2, 10))
            assert (heard.message.op, heard.message.code) == (2001, 1)
        for what, (there, request, _) in ASKED.items():
            name = f"{what}-{who}"
            if there:
                await made(world, name, *RECORD)
            heard = await connection.ask(replace(request(name), flags=request(name).flags & ~HANDLE_NET))
            await rest(connection, heard)
            code = 1 if what in may else otherwise
            assert heard.message.code == (200 if (who, what) == ("nobody", "read") else code), (what, heard.body)


# --- what comes of one request


class Row(NamedTuple):
    """A request, by whom (None: without proof), whether a challenge comes first, and the code in the end."""

    fact: str
    what: str
    asked: Message
    by: Key | None
    code: int
    told: Body | None = None


def values(op: OpCode, name: str, *given: Value, flags: int = HANDLE_NET) -> Message:
    return asks(op, Valued(f"{PREFIX}/{name}" if "/" not in name else name, given), flags)


def removes(name: str, *indexes: int) -> Message:
    return asks(OpCode.REMOVE_VALUE, Removal(f"{PREFIX}/{name}", indexes))


def asked_for(handle: str, *types: str, indexes: tuple[int, ...] = (), flags: int = PUBLIC_ONLY) -> Message:
    return asks(OpCode.RESOLUTION, Question(handle, indexes, types), flags)


ADD, MODIFY, CREATE = OpCode.ADD_VALUE, OpCode.MODIFY_VALUE, OpCode.CREATE_HANDLE
THERE, ABSENT = f"{PREFIX}/There", f"{PREFIX}/Absent"
ZERO = values(CREATE, "Zero", URL)
ZERO = replace(ZERO, body=ZERO.body.replace(b"\0\0\0\1\0\0\0\1", b"\0\0\0\1\0\0\0\0"))
NOT_UTF8 = b"\0\0\0\2\xff\xff"
ROWS = [
    # resolution
    Row("2.6", "not homed", asked_for("99.9/x"), None, 301),
    Row("2.6", "absent", asked_for(ABSENT), None, 100),
    Row("2.6", "no identifier", asked_for(f"{PREFIX}/\0"), None, 100),
    Row("2.6", "no UTF-8", Message(1, body=NOT_UTF8 + bytes(8)), None, 100),
    Row("2.16", "a heartbeat", asked_for("0"), None, 100),
    Row("2.6", "no such index", asked_for(THERE, indexes=(99,)), None, 200),
    Row("2.6", "no such type", asked_for(THERE, "NONE"), None, 200),
    Row("2.6", "public only, and none is", asked_for(THERE, indexes=(2, 3)), None, 200),
    Row("2.15", "as CAICT asks: not challenged but filtered", asked_for(THERE, indexes=(2, 3), flags=0), None, 200),
    Row("2.6", "nobody may read it", question("There", 3), None, 401),
    Row("2.6", "public values are no secret", question("There", 1), None, 1),
    Row("2.5", "octets to authenticate behind it", Message(1, body=Question("0").to_octets() + data(b"")), None, 100),
    Row("2.6", "proven and may not", question("Mine", 2), OTHER, 400),
    Row("2.6", "a wrong secret", question("There", 2), Key(held=b"wrong"), 403),
    # site info
    Row("2.5", "the site", asks(OpCode.GET_SITE_INFO, Named("/")), None, 1),
    Row("2.5", "the site, as CAICT asks", asks(OpCode.GET_SITE_INFO, Question("/")), None, 1),
    # create
    Row("2.6", "not homed", values(CREATE, "99.9/x", URL), None, 301),
    Row("2.6", "not homed comes before the index", values(CREATE, "99.9/x", URL, URL), None, 301),
    Row("2.6", "no UTF-8", Message(CREATE, flags=HANDLE_NET, body=NOT_UTF8 + bytes(4)), None, 102),
    Row("2.6", "no identifier", asks(CREATE, Valued("none", (URL,))), None, 102),
    Row("2.6", "index 0", ZERO, None, 202),
    Row("2.6", "an index twice", values(CREATE, "Twice", URL, URL), None, 201),
    Row("2.6", "an index twice comes before that it exists", values(CREATE, "There", URL, URL), None, 201),
    Row("2.5", "exists", values(CREATE, "There", URL), None, 101),
    Row("2.6", "overwritten by who may not", create("There", URL, flags=OVERWRITE), OTHER, 400),
    Row("2.15", "not logged in", values(CREATE, "Never", URL, flags=0), None, 408),
    Row("2.15", "exists comes before the login", values(CREATE, "There", URL, flags=0), None, 101),
    # delete
    Row("2.5", "absent, told after the challenge", asks(OpCode.DELETE_HANDLE, Named(ABSENT)), OWNER, 100),
    Row("2.6", "not homed", asks(OpCode.DELETE_HANDLE, Named("99.9/x")), None, 301),
    Row("2.6", "proven and may not", asks(OpCode.DELETE_HANDLE, Named(f"{PREFIX}/Mine")), OTHER, 400),
    # add
    Row("2.6", "absent", values(ADD, "Absent", URL), OWNER, 100),
    Row("2.6", "index taken", values(ADD, "There", URL), OWNER, 201),
    Row("2.6", "proven and may not", values(ADD, "Mine", MAIL), OTHER, 400),
    Row("2.6", "to a template's", values(ADD, "SHOE-1", MAIL), OWNER, 202),
    # modify
    Row("2.5", "index missing, without a challenge", values(MODIFY, "There", Value(99, "URL", b"")), None, 200),
    Row("2.6", "absent", values(MODIFY, "Absent", URL), None, 100),
    Row("7", "no values, without a challenge", values(MODIFY, "There"), None, 1, Nothing()),
    Row("2.6", "everybody may write it", values(MODIFY, "There", replace(FREE, data=b"mine")), None, 1, Nothing()),
    Row("2.6", "nobody may write it", values(MODIFY, "There", replace(LOCKED, data=b"no")), None, 401),
    Row("2.6", "an index twice", values(MODIFY, "There", CHANGED, CHANGED), None, 201),
    Row("2.6", "of a template", values(MODIFY, "SHOE-1", Value(2000, "styleNo", b"S2")), OWNER, 202),
    Row("2.6", "proven and may not", values(MODIFY, "Mine", CHANGED), OTHER, 400),
    # remove
    Row("2.5", "index missing, told after the challenge", removes("There", 99), OWNER, 200),
    Row("2.6", "absent", removes("Absent", 1), OWNER, 100),
    Row("2.6", "nobody may write it", removes("There", 6), OWNER, 401),
    Row("2.6", "of a template", removes("SHOE-1", 2000), OWNER, 202),
    Row("2.6", "proven and may not", removes("Mine", 1), OTHER, 400),
    # lists
    Row("2.6", "not homed", asks(OpCode.LIST_HANDLES, Named("0.NA/99.9")), None, 301),
    Row("2.6", "no prefix", asks(OpCode.LIST_HANDLES, Named(THERE)), None, 301),
    Row("2.6", "no server administrator", asks(OpCode.LIST_HOMED_PREFIXES, Named("/")), OTHER, 400),
    # homing
    Row("2.6", "not below this node's", asks(OpCode.HOME_PREFIX, Named("0.NA/99.9")), OWNER, 301),
    Row("2.6", "no prefix", asks(OpCode.HOME_PREFIX, Named(THERE)), OWNER, 102),
    Row("2.6", "not homed", asks(OpCode.UNHOME_PREFIX, Named("0.NA/99.9")), OWNER, 301),
    # answers to challenges
    Row("7", "to no challenge", Message(200, body=Proof("HS_SECKEY", ADMIN, 300, b"\2").to_octets()), None, 405),
    Row("2.5", "to a login by another key", asks(OpCode.LOGIN_BY_KEY, KeyOf(ADMIN, 302)), OWNER, 400),
    # sessions
    Row("7", "by RSA, as no server of today", asks(OpCode.SESSION_SETUP, SessionSetup(2, 60, "", 0)), None, 501),
    Row("2.9", "in no known way", asks(OpCode.SESSION_SETUP, SessionSetup(9, 60, "", 0)), None, 504),
    Row("2.9", "cut short", Message(400, flags=HANDLE_NET, body=b"\0\4"), None, 4),
    Row("2.9", "ended without one", asks(OpCode.SESSION_TERMINATE, Nothing()), None, 500),
    # what is malformed, or not served
    Row("2.4", "no operation", Message(0), None, 4),
    Row("2.4", "an answer", Message(1, 1), None, 4),
    Row("2.4", "cut short", Message(1, body=b"\0"), None, 4),
    Row("2.4", "cut short where it takes a key", Message(101, flags=HANDLE_NET, body=b"\0\0\0\2"), None, 4),
    *(
        Row("2.3", f"operation {op}", Message(op, flags=HANDLE_NET, body=Named(THERE).to_octets()), None, 5)
        for op in (106, 402, 1000, 1001, 1002, 1003, 2000, 999)
    ),
]


@one_world
@pytest.mark.parametrize("row", ROWS, ids=[f"{row.asked.op} {row.what}" for row in ROWS])
async def test_what_comes_of_a_request(world: World, row: Row) -> None:
    async with connected(world, f"127.0.2.{1 + ROWS.index(row)}") as connection:
        heard = await (proves(connection, row.asked, row.by) if row.by else connection.ask(row.asked))
        assert heard.message.code == row.code, heard.body
        assert heard.message.op == row.asked.op
        assert row.told is None or heard.body == row.told


ELSEWHERE = {
    ResponseCode.ERROR: "test_administration.py",
    ResponseCode.SERVER_BUSY: "test_administration.py",
    ResponseCode.LOGIN_EXPIRED: "test_administration.py",
    ResponseCode.INVALID_SESSION_KEY: "test_sessions.py",
    ResponseCode.SESSION_MESSAGE_REJECTED: "test_sessions.py",
    ResponseCode.INVALID_CREDENTIAL: "test_sessions.py",
    ResponseCode.CREDENTIAL_REFUSED: "test_desk.py",
    ResponseCode.SERVICE_REFERRAL: "../resolve/test_signposts.py",
    ResponseCode.PREFIX_REFERRAL: "../resolve/test_signposts.py",
}
"""Codes that take more than one request to be told, and where they are."""
NEVER = {
    ResponseCode.RECURSION_COUNT_TOO_HIGH: "nothing is asked on by recursion",
    ResponseCode.SERVER_READ_ONLY: "no node is a mirror",
    ResponseCode.EXPIRED_SITE_INFO: "deployed servers never say it (§2.6)",
    ResponseCode.NEED_RSA_KEY: "sessions take no RSA keys of clients",
    ResponseCode.TRYING: "every answer is the last one",
    ResponseCode.FORWARDED: "every answer is the last one",
    ResponseCode.QUEUED: "every answer is the last one",
    ResponseCode.DAILY_REQUEST_LIMIT: "calls of HTTP are counted",
    ResponseCode.REGISTRATION_LIMIT: "HTTP alone has it: clients of the protocol say 601 to 605 to themselves (§2.4)",
    ResponseCode.PREFIX_LIMIT: "HTTP alone has it: clients of the protocol say 601 to 605 to themselves (§2.4)",
}


def test_every_code_is_told_or_named() -> None:
    told = {row.code for row in ROWS} | {code for _, code in REFUSED.values()} | {402, 1}
    assert told | set(ELSEWHERE) | set(NEVER) == set(ResponseCode)
    assert not set(NEVER) & (told | set(ELSEWHERE))


def test_what_is_told_elsewhere_is_told_there() -> None:
    for code, file in ELSEWHERE.items():
        assert f"ResponseCode.{code.name}" in (Path(__file__).parent / file).read_text("utf-8")
