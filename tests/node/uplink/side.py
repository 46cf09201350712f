"""A voice in office over a world of its own, speaking to a top-level node that lies: what tests of its steps stand on.

No test lives here.
"""

import random
from dataclasses import dataclass

from node.meter import Totals
from node.uplink.client import TopLevelNode
from node.uplink.filings import Filings
from node.uplink.messages import Messages
from node.uplink.reports import Reports
from node.uplink.streams import Streams
from node.uplink.sync import Sync
from node.uplink.tenure import Around, Tenure
from proto import uplink_pb2 as pb
from registry.clerk import Clerk
from registry.filing import Told
from tests.fakes.top_level_node import Liar
from tests.registry.world import PREFIX, VAULT, World

HUGE = "谎" * 100_000 + "\0\n"


@dataclass
class Side:
    """A voice in office, and the one it speaks to. Steps are done one by one."""

    world: World
    liar: Liar
    node: TopLevelNode
    around: Around
    totals: Totals

    async def take_office(self) -> None:
        """Begins a tenure with the newest fence."""
        self.clerk = Clerk(self.world.pool, await self.world.one("SELECT fence FROM voice"), 300, VAULT)
        tenure = Tenure(self.clerk, self.node, self.around)
        self.mail = tenure.mail
        self.streams = Streams(tenure)
        self.filings = Filings(tenure, self.streams)
        self.messages = Messages(tenure, self.filings)
        self.reports = Reports(tenure)
        self.sync = Sync(tenure, random.Random(1))

    async def standing(self) -> tuple[int, int, bool, str]:
        (row,) = [row for row in await self.world.steward.filings() if row["prefix"] == PREFIX]
        return row["state"], row["filing"], row["suspended"], row["reason_en"]

    async def approve(self) -> None:
        """Has the prefix filed and approved, without the liar."""
        await self.clerk.to_file()
        await self.clerk.in_review(PREFIX)
        await self.clerk.take_in(Told(PREFIX, "approved"))

    def queue(self, *messages: pb.Message) -> None:
        """Shows these one after the other, whatever is acknowledged."""
        left = list(messages)

        def poll(_: pb.PollRequest) -> tuple[int, pb.PollResponse]:
            return (1301, pb.PollResponse(count=1, message=left.pop(0))) if left else (1300, pb.PollResponse())

        self.liar.says |= {"Poll": poll, "Acknowledge": lambda _: (1000, pb.AcknowledgeResponse())}


def audit(number: int, prefix: str = PREFIX, reason: str = "why") -> pb.Message:
    given = pb.AuditResult(prefix=prefix, state=pb.PREFIX_STATE_REFUSED, reason_zh=reason, reason_en=reason)
    return pb.Message(id=number, audit=given)


def order(number: int, prefix: str = PREFIX, kind: pb.OrderKind = pb.ORDER_KIND_SUSPEND_PREFIX) -> pb.Message:
    return pb.Message(id=number, order=pb.Order(kind=kind, prefix=prefix, ent_id=HUGE, reason_zh=HUGE, reason_en=HUGE))
