"""The road to the node: finds it, signs in, asks, and asks again until the outcome is known.

What is asked and what answers mean is said in run.py and results.py.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import msgspec

from node.clock import monotonic
from node.importer.problem import Problem
from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import Prefix, fold

REQUEST_SECONDS: Final = 60.0
"""Longest wait for one answer: a batch takes well under a second; what takes longer is taken for lost."""
PATIENCE_SECONDS: Final = 600.0
"""How long one question is repeated before the import stops: longer than a node takes to be started again.
Nothing is lost by stopping: the same command goes on."""
WAIT_FIRST_SECONDS: Final = 0.5
WAIT_MOST_SECONDS: Final = 15.0
"""Waits between repetitions double from the first to the most: soon back after a hiccup, no hammering."""
RETRY_AFTER_MOST_SECONDS: Final = 60.0
"""Longest Retry-After obeyed; more is asked for by nobody we know."""
SIGN_INS_MOST: Final = 3
"""Tokens in a row that may be refused for one question: one expires, a second may be revoked, a third is a fault."""
TURNS_MOST: Final = 20
"""How often identifiers the node is busy with (others keep changing them) are asked about: some four minutes."""
ANSWER_OCTETS: Final = 16 << 20
"""Longest answer read: 1000 results with reasons come to well under a megabyte."""

_REQUEST: Final = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
_CONNECTION_LOST: Final = (aiohttp.ClientError, TimeoutError, ConnectionError)


class Access(NamedTuple):
    """Where the node is, who signs in, and under which prefix identifiers go."""

    url: str
    username: str
    password: str
    prefix: str


def _world(ready: Path) -> tuple[str, list[dict[str, str]]]:
    """The address of the node that wrote `ready` (DIR/ready.json), and the enterprises it has accounts of."""
    try:
        world = msgspec.json.decode(ready.read_bytes())
        return str(world["http"]).rstrip("/"), list(world["enterprises"])
    except OSError:
        raise Problem(
            f"找不到{ready}：节点还没有就绪；请先运行idnode up，或用--data、--url指明节点",
            f"no {ready}: the node is not ready; run idnode up, or name it by --data or --url",
        ) from None
    except (msgspec.DecodeError, KeyError, TypeError):
        raise Problem(f"{ready}的内容读不懂", f"{ready} cannot be understood") from None


def from_ready(ready: Path, enterprise: str) -> Access:
    """Access to the node that wrote `ready`, for the enterprise named by name, industry, prefix or username.

    Raises Problem.
    """
    url, enterprises = _world(ready)
    names = ("name", "industry", "prefix", "username")
    found = [e for e in enterprises if fold(enterprise) in {fold(str(e.get(name, ""))) for name in names}]
    if len(found) != 1:
        listed = "、".join(f"{e['prefix']}（{e['name']}）" for e in enterprises)
        raise Problem(
            f"{ready}中{'没有' if not found else '不止一个'}企业“{enterprise}”的账号；其中有：{listed}。"
            "其他企业请加--username和口令",
            f"{ready} has {'no' if not found else 'more than one'} account of “{enterprise}”; it has: {listed}; "
            "for others add --username and a password",
        )
    return Access(url, found[0]["username"], found[0]["password"], found[0]["prefix"])


def from_options(url: str | None, username: str | None, password: str | None, enterprise: str, ready: Path) -> Access:
    """Access as given on the command line; then the enterprise must be named by its prefix.

    Without `url` it is the node that wrote `ready`. Raises Problem.
    """
    try:
        prefix = Prefix(enterprise).name
    except ProtoError:
        raise Problem(
            "用--url或--username时，--enterprise要写企业前缀，例如88.999.1001",
            "with --url or --username, --enterprise must be the prefix, such as 88.999.1001",
        ) from None
    if not username or not password:
        raise Problem(
            "用--url时要有--username，以及--password或环境变量IDNODE_PASSWORD",
            "with --url give --username, and --password or the environment's IDNODE_PASSWORD",
        )
    return Access(url.rstrip("/") if url else _world(ready)[0], username, password, prefix)


class Done(NamedTuple):
    """The node has answered."""

    data: Any


USUAL: Final = object()
"""Stands for the data of an answer that is octet for octet what was to be expected."""
_AS_USUAL: Final = Done(USUAL)


class Again(NamedTuple):
    """Ask again, after `seconds` if the node said so; `unknown` when it may have been done all the same."""

    zh: str
    en: str
    unknown: bool
    seconds: float | None = None


class SignIn(NamedTuple):
    """The token is no longer taken."""


class Stop(NamedTuple):
    """Asking again would not help; `code` as in Problem."""

    zh: str
    en: str
    code: int = 0


Verdict = Done | Again | SignIn | Stop

BUSY_MESSAGE: Final = "系统繁忙"
_BUSY: Final = Again("节点繁忙", "the node is busy", unknown=False)
# A batch of several transactions answered 503 may be done in part: it is repeated as a whole.
_TROUBLED: Final = _BUSY._replace(unknown=True)
_LOST: Final = Again("没有收到节点的答复", "no answer from the node", unknown=True)
_MAY_NOT: Final = ("登录者无权这样做", "whoever signed in may not do that")
_SAID: Final[Mapping[int, tuple[str, str]]] = {
    ResponseCode.HANDLE_NOT_FOUND: ("没有这个标识", "no such identifier"),
    ResponseCode.SERVER_NOT_RESPONSIBLE: (
        "前缀不在该节点，或已停用",
        "its prefix does not live there, or is stopped",
    ),
    ResponseCode.INVALID_ADMIN: _MAY_NOT,
    ResponseCode.INSUFFICIENT_PERMISSIONS: _MAY_NOT,
}
"""What refusals of the Handle HTTP API mean that come without a sentence."""
_NOT_UNDERSTOOD: Final = Stop("节点的答复读不懂", "the node's answer cannot be understood")


def verdict(status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
    """What an HTTP answer means for the question it answers (SNMS envelope, or the node's own API)."""
    if status in (429, 503):
        busy = _BUSY if status == 429 else _TROUBLED
        return busy._replace(seconds=_retry_after(headers.get("Retry-After", "")))
    if status >= 500:
        return _LOST
    if status == 401:
        return SignIn()
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return _NOT_UNDERSTOOD
    if not isinstance(answer, dict):
        return _NOT_UNDERSTOOD
    if status >= 400:
        code = answer.get("responseCode")
        code = code if isinstance(code, int) else 0
        message = (answer.get("error") or {}).get("message") or answer.get("message")
        zh, en = (message, message) if message else _said(code, status)
        return Stop(f"节点拒绝：{zh}", f"the node refuses: {en}", code)
    return _of_envelope(answer) if "status" in answer else Done(answer)


def _said(code: int, status: int) -> tuple[str, str]:
    return _SAID.get(code, (f"代码{code}", f"code {code}") if code else (str(status), str(status)))


def _of_envelope(answer: dict[str, Any]) -> Verdict:
    message = answer.get("message")
    if answer["status"] == 1:
        return Done(answer.get("data"))
    if answer["status"] == -1:
        return _BUSY if message == BUSY_MESSAGE else SignIn()
    if answer["status"] == -4:
        return _LOST
    return Stop(f"节点拒绝：{message}", f"the node refuses: {message}")


def _retry_after(text: str) -> float | None:
    return min(float(text), RETRY_AFTER_MOST_SECONDS) if text.isdecimal() else None


class Node:
    """A node that is asked and asked again. `say` is told, in Chinese and English, while an answer is waited for.

    `clock` gives seconds that only grow and `sleep` waits: arguments, so that tests need not wait.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        access: Access,
        say: Callable[[str, str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._session = session
        self._access = access
        self._say = say
        self._sleep = sleep
        self._clock = clock
        self._token = ""
        self._signing_in = asyncio.Lock()

    async def reach(self) -> None:
        """Raises Problem at once when nobody is there: a wrong address is not worth ten minutes of patience."""
        try:
            async with self._session.get(self._access.url, timeout=_REQUEST, allow_redirects=False):
                pass
        except aiohttp.ClientConnectorCertificateError as error:
            why = error.certificate_error
            raise Problem(
                f"此处不信任{self._access.url}的证书：{why}；可用环境变量SSL_CERT_FILE指明签发者的证书",
                f"the certificate of {self._access.url} is not trusted here: {why}; name the file of who signed it by "
                "the environment's SSL_CERT_FILE",
            ) from None
        except _CONNECTION_LOST:
            raise Problem(
                f"连不上节点{self._access.url}；请确认它在运行", f"cannot reach {self._access.url}; is it running?"
            ) from None

    async def sign_in(self) -> None:
        """Gets a token. Raises Problem."""
        self._token = ""
        body = msgspec.json.encode({"username": self._access.username, "password": self._access.password})
        data, _ = await self._repeat("POST", "/identity/token", {}, body)
        self._token = data["token"]

    async def get(self, path: str, params: Mapping[str, str]) -> Any:
        """The data of GET `path`. Raises Problem."""
        return (await self._repeat("GET", path, params, b""))[0]

    async def post(self, path: str, body: bytes, usual: bytes = b"") -> tuple[Any, bool]:
        """The data of POST `path`, and whether an earlier sending of it may have been done too; USUAL instead of the
        data of an answer that is octet for octet `usual`. Raises Problem.
        """
        return await self._repeat("POST", path, {}, body, usual)

    async def put(self, path: str, params: Mapping[str, str], body: bytes) -> Any:
        """The data of PUT `path`, which may be done twice. Raises Problem."""
        return (await self._repeat("PUT", path, params, body))[0]

    async def pause(self, turns: int) -> None:
        """Waits before what was busy is asked about for the `turns`th time again. Raises Problem after TURNS_MOST."""
        if turns > TURNS_MOST:
            raise Problem(
                "有些标识节点一直繁忙；请稍后再运行同一命令，会从停下的地方继续",
                "the node stays busy with some identifiers; run the same command later, it goes on from here",
            )
        await self._sleep(_backoff(turns))

    async def _repeat(
        self, method: str, path: str, params: Mapping[str, str], body: bytes, usual: bytes = b""
    ) -> tuple[Any, bool]:
        unknown, refused, waits = False, 0, 0
        until = self._clock() + PATIENCE_SECONDS
        while True:
            token = self._token
            answer = await self._ask(method, path, params, body, usual)
            match answer:
                case Done(data):
                    return data, unknown
                case Stop(zh, en, code):
                    raise Problem(zh, en, code)
                case SignIn():
                    refused += 1
                    if refused == SIGN_INS_MOST or not token:
                        raise Problem("节点不接受登录", "the node does not take the sign-in")
                    await self._renew(token)
                case Again(zh, en, maybe_done, seconds):
                    unknown = unknown or maybe_done
                    waits += 1
                    await self._wait(zh, en, seconds or _backoff(waits), until)

    async def _wait(self, zh: str, en: str, seconds: float, until: float) -> None:
        if self._clock() + seconds > until:
            raise Problem(
                f"{zh}，已重试{PATIENCE_SECONDS:.0f}秒；请稍后再运行同一命令，会从停下的地方继续",
                f"{en}, repeated for {PATIENCE_SECONDS:.0f} s; run the same command later, it goes on from here",
            )
        self._say(f"{zh}，{seconds:g}秒后重试", f"{en}, asking again in {seconds:g} s")
        await self._sleep(seconds)

    async def _renew(self, refused: str) -> None:
        async with self._signing_in:
            if self._token == refused:
                await self.sign_in()

    async def _ask(self, method: str, path: str, params: Mapping[str, str], body: bytes, usual: bytes) -> Verdict:
        headers = {"Content-Type": "application/json", "Accept-Language": "zh"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            async with self._session.request(
                method,
                self._access.url + path,
                params=params,
                data=_sent(method, body),
                headers=headers,
                timeout=_REQUEST,
                allow_redirects=False,
            ) as response:
                octets = await _bounded(response)
                if usual and response.status == 200 and octets == usual:
                    return _AS_USUAL
                return verdict(response.status, response.headers, octets)
        except _CONNECTION_LOST:
            return _LOST


def _sent(method: str, body: bytes) -> bytes | io.BytesIO | None:
    """A body that is sent portion by portion where aiohttp would copy it as a whole, page by fresh page.

    Only of a POST, which aiohttp never repeats by itself: a second time there would be nothing left to read.
    """
    return io.BytesIO(body) if method == "POST" else body or None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    octets = bytearray()
    async for part in response.content.iter_any():
        octets += part
        if len(octets) > ANSWER_OCTETS:
            # Nothing is no JSON, and is told to be not understood.
            return b""
    return bytes(octets)


def _backoff(waits: int) -> float:
    return min(WAIT_FIRST_SECONDS * float(1 << min(waits - 1, 10)), WAIT_MOST_SECONDS)
