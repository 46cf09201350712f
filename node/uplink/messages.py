"""What comes down: the oldest message is carried out, then acknowledged, then the next one.

What a message means is decided in intake.py; what it does to a prefix is done in filings.py.
"""

from typing import Final

import structlog

from node.uplink import intake
from node.uplink.filings import Filings
from node.uplink.intake import VerifyAgain
from node.uplink.tenure import Tenure
from proto import uplink_pb2 as pb
from registry.filing import Told

POLL_SECONDS: Final = 5.0
"""Pause between two looks into the queue of messages when nothing is expected."""
EXPECT_SECONDS: Final = 0.5
"""The same while a prefix is in review."""
MESSAGES_AT_ONCE: Final = 5000
"""Messages carried out without a pause: all that a large node's filings and an audit of all of them bring. Whoever
sends more of them than that gets one done in EXPECT_SECONDS."""
NO_MESSAGES: Final = 1300
"""Result code (RFC 5730 §3)."""

log = structlog.get_logger("uplink")


class Messages:
    """Empties the queue."""

    def __init__(self, tenure: Tenure, filings: Filings) -> None:
        self._clerk = tenure.clerk
        self._node = tenure.node
        self._filings = filings
        self._taken = 0
        self._in_a_row = 0

    async def poll(self) -> float:
        """Carries out the oldest message and acknowledges it, once this machine's caches know what it changed."""
        reply = await self._node.ask("Poll", pb.PollRequest(), pb.PollResponse)
        if not reply.ok:
            log.warning("poll_refused", code=reply.code, why=reply.en)
            return POLL_SECONDS
        if reply.code == NO_MESSAGES or not reply.message.message.id:
            self._in_a_row = 0
            return EXPECT_SECONDS if self._filings.in_review else POLL_SECONDS
        return await self._carry_out(reply.message.message)

    async def _carry_out(self, given: pb.Message) -> float:
        meant = intake.message(given)
        if isinstance(meant, Told):
            await self._filings.take_in(meant, given.id)
        elif isinstance(meant, VerifyAgain):
            if not await self._clerk.verify_again(meant.ent_id, meant.prefix, given.id):
                log.warning("message_about_nothing_of_ours", id=given.id, prefix=meant.prefix, ent_id=meant.ent_id)
        else:
            log.warning("message_not_understood", id=given.id)
        done = await self._node.ask("Acknowledge", pb.AcknowledgeRequest(id=given.id), pb.AcknowledgeResponse)
        if not done.ok:
            log.warning("acknowledgement_refused", id=given.id, code=done.code, why=done.en)
            return POLL_SECONDS
        log.info("message_acknowledged", id=given.id, meant=type(meant).__name__)
        again, self._taken = given.id == self._taken, given.id
        self._in_a_row += 1
        return EXPECT_SECONDS if again or self._in_a_row > MESSAGES_AT_ONCE else 0.0
