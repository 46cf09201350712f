"""The Handle protocol inside HTTP, for clients that reach no other port: POST / of a message (handle reference §2.12).

What the octets mean is proto/native/'s, what is answered the desk's (node/native/desk.py).
"""

from functools import partial

from aiohttp import web

from node import clock
from node.gather import answered
from node.house import House
from node.listen.bodies import BODIES, BodyError
from node.listen.http import source
from node.native import answers
from node.native.desk import Desk
from node.native.tcp import MESSAGE_OCTETS
from node.resolve.forwarded import MESSAGE_TYPE
from proto.errors import ProtoError
from proto.native.envelope import ENVELOPE_OCTETS, Framed
from proto.native.stream import Stream


async def _post(desk: Desk, request: web.Request) -> web.Response:
    if request.content_type != MESSAGE_TYPE:
        raise BodyError(415, f"Content-Type应为{MESSAGE_TYPE}", f"Content-Type must be {MESSAGE_TYPE}")
    stream = Stream(MESSAGE_OCTETS)
    stream.feed(await request.app[BODIES].of_stranger(request, ENVELOPE_OCTETS + MESSAGE_OCTETS))
    try:
        message = stream.take()
    except ProtoError as error:
        assert stream.broken is not None
        return _told(answers.broken(stream.broken, error, clock.seconds()))
    if message is None:
        raise BodyError(400, "请求体不是完整的Handle报文", "The body is no whole message of the Handle protocol")
    reached = request.transport.get_extra_info("sockname") if request.transport else None
    address = str(reached[0]) if isinstance(reached, tuple) else ""
    # Nobody stays logged in here: whose request comes next over a connection of HTTP, its proxies alone know.
    take = partial(desk.take, message, source(request), reached=address, standing=answers.Standing(), admitted=True)
    return _told(await answered(take))


def _told(answer: Framed) -> web.Response:
    return web.Response(body=answer.to_octets(), content_type=MESSAGE_TYPE)


def add_routes(app: web.Application, house: House) -> None:
    """The one route of this face."""
    app.router.add_post("/", partial(_post, Desk(house, clock.monotonic, clock.seconds)))
