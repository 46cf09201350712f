"""A yardstick for UDP: NSD, a name server in C, with a zone of ours on the loopback, while it is wanted."""

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from loadtest.ports import free_ports
from loadtest.target import Address
from loadtest.yardstick import GLANCE, START_SECONDS, Standing, YardstickError, dies_with_us, ended

_HELLO: Final = bytes.fromhex("0001 0000 0001 0000 0000 0000 00 0006 0001")
"""Asks for the SOA record of the root: whoever is there answers, if only by a refusal."""


def configuration(folder: Path, port: int, zone: str) -> str:
    """What NSD is told: one process that answers, without limits for each source, and nothing but the zone."""
    return f"""server:
  ip-address: 127.0.0.1@{port}
  server-count: 1
  username: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  xfrdir: "{folder}"
  logfile: "{folder}/log"
  rrl-ratelimit: 0
  tcp-count: 1000
remote-control:
  control-enable: no
zone:
  name: {zone}
  zonefile: zone
"""


@asynccontextmanager
async def nsd(zone: str, text: str) -> AsyncIterator[Standing]:
    """Debian's NSD with the `text` of a `zone` until the block ends. Raises YardstickError."""
    program = shutil.which("nsd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise YardstickError("没有nsd：apt-get install nsd。 There is no nsd: apt-get install nsd.")
    address = Address("127.0.0.1", free_ports(1)[0])
    with tempfile.TemporaryDirectory(prefix="idnode-nsd-") as name:
        folder = Path(name)
        (folder / "zone").write_text(text, encoding="ascii")
        (folder / "nsd.conf").write_text(configuration(folder, address.port, zone), encoding="ascii")
        process = await asyncio.create_subprocess_exec(
            *(program, "-d", "-c", str(folder / "nsd.conf")),
            stderr=asyncio.subprocess.DEVNULL,
            preexec_fn=dies_with_us,
            # As workers of the node are: Linux divides a busy machine between sessions (autogroup, sched(7)).
            start_new_session=True,
        )
        try:
            await _listening(process, address)
            yield Standing(address, process.pid)
        finally:
            await ended(process)


async def _listening(process: asyncio.subprocess.Process, address: Address) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            while not _answers(address):
                if process.returncode is not None:
                    raise YardstickError(f"nsd已结束：{process.returncode}。 nsd ended with {process.returncode}.")
                await asyncio.sleep(GLANCE)
    except TimeoutError:
        raise YardstickError(f"nsd没有在{address}监听。 nsd does not listen at {address}.") from None


def _answers(address: Address) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(GLANCE)
        try:
            sock.connect((address.host, address.port))
            sock.send(_HELLO)
            return bool(sock.recv(512))
        except OSError:
            return False
