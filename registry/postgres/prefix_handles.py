"""What is kept at the handle of a prefix, in the database, when the prefix goes to another node."""

from hashlib import sha256

from proto.chain import Kind, entry_digest
from proto.identifier import PREFIX_HANDLES
from registry.postgres import records
from registry.postgres.connection import Connection
from registry.postgres.records import Change, Share
from registry.prefix import PREFIX_HANDLES_NUMBER
from registry.record import pack


async def drop(connection: Connection, prefix: str) -> None:
    """Deletes it, if there is anything: the keys of who had the prefix here shall not hold for who has it next.

    To be called once the prefix has its new epoch: nobody writes there any more then.
    """
    row = await connection.fetchrow(
        "SELECT version, extract(epoch FROM now())::bigint, (SELECT prefix_epoch FROM stream WHERE prefix_no = $1) "
        "FROM record WHERE prefix_no = $1 AND suffix = $2 AND body IS NOT NULL FOR UPDATE",
        PREFIX_HANDLES_NUMBER,
        prefix,
    )
    if row is None:
        return
    version, now, epoch = row
    digest = sha256(pack((), {}, now)).digest()
    entry = entry_digest(f"{PREFIX_HANDLES}/{prefix}", version + 1, Kind.DELETED, "", digest)
    gone = Change(PREFIX_HANDLES_NUMBER, prefix, version, Kind.DELETED, 0, 0, None, digest, entry)
    await records.commit(connection, Share(PREFIX_HANDLES_NUMBER, epoch, 1), now, [gone])
