"""Enterprises and prefixes on their way to approval: each is filed, and what is told of it is carried out.

What becomes of a prefix is decided in registry/filing.py.
"""

import asyncio
from dataclasses import replace
from typing import Any, Final

import structlog

from node import clock
from node.uplink import intake
from node.uplink.client import Reply
from node.uplink.streams import Streams
from node.uplink.tenure import Tenure
from proto import uplink_pb2 as pb
from proto.signed import sentence
from registry.errors import UnavailableError
from registry.filing import Particulars, Told
from registry.postgres.filing import EnterpriseToFile

LOOK_SECONDS: Final = 1.0
"""Pause between two looks whether there is something to be filed."""
FOLLOW_SECONDS: Final = 0.01
"""Pause between two looks whether the follower knows a change of a prefix."""
FOLLOW_PATIENCE: Final = 10.0
"""How long an acknowledgement waits for that; the message is delivered again otherwise."""
EXISTS: Final = 2302
UNKNOWN: Final = 2303
"""Result codes (RFC 5730 §3)."""
WHOLE_FIELDS: Final = ("ent_type", "ent_crt_type", "ent_crt_code", "ent_name_cn", "legal_person")
"""What no update in part may hold (uplink.proto)."""

log = structlog.get_logger("uplink")


class Filings:
    """Files them. `in_review` are the prefixes of which news is expected."""

    def __init__(self, tenure: Tenure, streams: Streams) -> None:
        self._clerk = tenure.clerk
        self._node = tenure.node
        self._around = tenure.around
        self._mail = tenure.mail
        self._streams = streams
        self.in_review: set[str] = set()

    async def file(self) -> float:
        """Files what is to be filed: enterprises, then prefixes of those that are."""
        enterprises, prefixes = await self._clerk.to_file()
        for enterprise in enterprises:
            await self._file_enterprise(enterprise)
        for row in prefixes:
            await self._file_prefix(row)
        return 0.0 if enterprises or prefixes else LOOK_SECONDS

    async def _file_enterprise(self, given: EnterpriseToFile) -> None:
        ent_id = given.ent_id or await self._known_as(given)
        done = await self._tell(given, ent_id)
        if done.code == UNKNOWN:  # its books are not those we filed in
            ent_id = await self._known_as(given)
            done = await self._tell(replace(given, whole=True), ent_id)
        ent_id = ent_id or sentence(getattr(done.message, "ent_id", ""))
        if done.ok and ent_id:
            await self._clerk.enterprise_filed(given, ent_id)
            log.info("enterprise_filed", ent_id=ent_id, revision=given.revision, whole=given.whole)
        else:
            await self._clerk.enterprise_refused(given, done.zh, done.en)
            log.warning("enterprise_refused", enterprise=given.name, code=done.code, why=done.en)

    async def _known_as(self, given: EnterpriseToFile) -> str:
        """The filing number it has there; empty if it has none."""
        check = pb.CheckEnterpriseRequest(ent_crt_code=given.particulars.ent_crt_code)
        found = await self._node.ask_about("CheckEnterprise", check, pb.CheckEnterpriseResponse)
        return sentence(found.message.ent_id)

    async def _tell(self, given: EnterpriseToFile, ent_id: str) -> Reply[Any]:
        """Files it: for the first time, whole (chgAll), or what may be changed in part (chg)."""
        message = enterprise(given)
        if not ent_id:
            create = pb.CreateEnterpriseRequest(enterprise=message)
            return await self._node.ask_about("CreateEnterprise", create, pb.CreateEnterpriseResponse)
        partial = ent_id == given.ent_id and not given.whole
        if partial:
            for name in WHOLE_FIELDS:
                message.ClearField(name)
        update = pb.UpdateEnterpriseRequest(ent_id=ent_id, enterprise=message, partial=partial)
        return await self._node.ask_about("UpdateEnterprise", update, pb.UpdateEnterpriseResponse)

    async def _file_prefix(self, row: Any) -> None:
        prefix = row["prefix"]
        if row["nonce"] and await self._filed_before(prefix):
            return
        nonce = self._node.nonce()
        await self._clerk.keep_nonce(row["prefix_no"], nonce)
        request = pb.CreatePrefixRequest(ent_id=row["ent_id"], prefix=prefix)
        if row["node"] is not None:
            request.release.CopyFrom(pb.Release(**{name: row[name] for name in _RELEASE}))
        reply = await self._node.ask_about("CreatePrefix", request, pb.CreatePrefixResponse, nonce)
        if reply.ok:
            await self._reviewing(prefix)
        elif reply.code != EXISTS or not await self._filed_before(prefix):
            await self.take_in(Told(prefix, "refused", b"", reply.zh, reply.en))

    async def _filed_before(self, prefix: str) -> bool:
        """Whether the top-level node has this filing already: its answer was lost, or an earlier life filed it."""
        check = pb.CheckPrefixRequest(prefix=prefix)
        reply = await self._node.ask_about("CheckPrefix", check, pb.CheckPrefixResponse)
        # What was refused may have been refused before this filing: it is filed, and its reason told, anew.
        if not reply.ok or not reply.message.yours or reply.message.state == pb.PREFIX_STATE_REFUSED:
            return False
        told = intake.state(prefix, reply.message.state)
        if told is None:
            await self._reviewing(prefix)
        else:
            await self.take_in(told)
        return True

    async def _reviewing(self, prefix: str) -> None:
        await self._clerk.in_review(prefix)
        self.in_review.add(prefix)
        self._streams.look_at_all()
        self._around.ring.ring()
        self._mail.set()
        log.info("prefix_in_review", prefix=prefix)

    async def take_in(self, told: Told, number: int | None = None) -> None:
        """Carries out what is `told`, once a message of that number, and returns when this machine's caches know.

        Raises UnavailableError when they do not for long.
        """
        new = await self._clerk.take_in(told, number)
        if new is None:
            log.warning("message_about_nothing_of_ours", id=number, prefix=told.prefix, word=told.word)
            return
        if new:
            log.info("prefix_told", prefix=told.prefix, word=told.word, why=told.en)
            self._streams.look_at_all()
        self.in_review.discard(told.prefix)
        self._around.ring.ring()
        target = await self._clerk.catalogue_number()
        patience = clock.monotonic() + FOLLOW_PATIENCE
        while self._around.shared.followed < target:  # another process's word, no event tells of it
            if clock.monotonic() > patience:
                raise UnavailableError("the follower of this machine does not follow")
            await asyncio.sleep(FOLLOW_SECONDS)


def enterprise(given: EnterpriseToFile) -> pb.Enterprise:
    """The message of an enterprise."""
    told = given.particulars
    plain = {name: getattr(told, name) for name in _PLAIN}
    return pb.Enterprise(
        ent_name_cn=given.name,
        ent_name_en=given.name_en,
        contact=pb.Contact(name=told.contact_name, email=told.contact_email, phone=told.contact_phone),
        legal_person=pb.LegalPerson(name=told.legal_name, id_type=told.legal_id_type, id_no=told.legal_id_no),
        **plain,
    )


_RELEASE: Final = ("node", "number", "head", "made", "signature")
_PLAIN: Final = pb.Enterprise.DESCRIPTOR.fields_by_name.keys() & Particulars.__dataclass_fields__.keys()
"""Particulars that stand in the message as they are named here."""
