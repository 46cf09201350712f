"""Prefixes that server administrators of the Handle system let live here, or no longer."""

from node.house import House
from node.listen import replies
from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import PREFIX_HANDLES, Prefix, prefix_named
from registry.audit import Actor
from registry.errors import NotApprovedError, TakenError
from registry.prefix import PrefixState

Said = tuple[ResponseCode, str]
"""What came of it: the code, and why it was not done."""

_DONE: Said = (ResponseCode.SUCCESS, "")
_NOT_HERE: Said = (ResponseCode.SERVER_NOT_RESPONSIBLE, replies.NOT_HERE)


async def homed(house: House) -> list[str]:
    """The handles of the prefixes that are open here, in order."""
    rows = await house.steward.filings()
    return sorted(
        f"{PREFIX_HANDLES}/{row['prefix']}" for row in rows if row["prefix"] and PrefixState(row["state"]).open
    )


async def home(house: House, actor: Actor, handle: str) -> Said:
    """Lets the prefix of a prefix handle live here: one below the node's own, or one that is here and stopped."""
    return await _changed(house, actor, handle, here=True)


async def unhome(house: House, actor: Actor, handle: str) -> Said:
    """Stops the prefix of a prefix handle."""
    return await _changed(house, actor, handle, here=False)


async def _changed(house: House, actor: Actor, handle: str, *, here: bool) -> Said:
    """Raises UnavailableError or UnknownOutcomeError. The audit journal tells it in the name of `actor`."""
    try:
        prefix = Prefix(prefix_named(handle))
    except ProtoError as error:
        return ResponseCode.INVALID_HANDLE, f"{error.zh}。 {error.en}."
    below = prefix.parent == house.config.prefix
    if await house.lookup.prefix(prefix.name, anywhere=True) is None and not (below and here):
        return _NOT_HERE
    steward = house.steward.by(actor)
    try:
        async with house.announcer.catalogue_change(steward.catalogue_number):
            if here:
                await steward.home(prefix.name, filed=bool(house.config.toplevel_url))
            else:
                await steward.set_prefix_state(prefix.name, PrefixState.STOPPED)
    except (NotApprovedError, TakenError) as error:
        return ResponseCode.INSUFFICIENT_PERMISSIONS, str(error)
    return _DONE
