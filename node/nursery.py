"""The nursery: a process that has everything loaded, of which a node's other processes are forked within milliseconds.

Loading takes a second of a core. Done once, whoever dies is replaced before anybody waits for long, all share the
memory of what was loaded, and all are of the program that lay on the disk when the node was started.

    node ── control: a module, with the child's line and descriptors ─→ nursery ── fork ─→ child
    node ── line: its order ─────────────────────────────────────────────────────────────→ child
    node ←─ line: its number, and how it ended ──────────────────────── nursery
"""

import asyncio
import gc
import os
import selectors
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Final, NoReturn

from node import process
from node.config import Config
from node.process import Place

REQUEST_OCTETS: Final = 256
"""Longest request: the name of a module."""
DESCRIPTORS_MOST: Final = 16
"""Descriptors of a request: the line, and those of a Place."""


class NurseryError(Exception):
    """The nursery is gone, and with it all that were born there; one sentence, Chinese and English."""


class Born:
    """A process that was born in the nursery. `returncode` is None while it runs, then its exit code, or minus the
    signal that ended it."""

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._reader, self._writer = reader, writer
        self._handle = -1  # once it has ended its number may be another's: signals go by the handle
        with suppress(ProcessLookupError):
            self._handle = os.pidfd_open(pid)
        self._ending = asyncio.ensure_future(self._end())

    async def wait(self) -> int:
        """Its `returncode`, when it has ended."""
        return await asyncio.shield(self._ending)

    def send_signal(self, number: int) -> None:
        """Does nothing to one that has ended."""
        if self._handle >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    async def _end(self) -> int:
        # No word of its end: the nursery was killed, and the kernel then kills whom it bore.
        self.returncode = int(await _line(self._reader) or -signal.SIGKILL)
        self._writer.close()
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        return self.returncode


class Nursery:
    """The nursery as its parent sees it: `control` leads to it, `pid` is its number. It dies with its parent."""

    def __init__(self, control: socket.socket, pid: int) -> None:
        control.setblocking(False)
        self._control, self.pid = control, pid

    @classmethod
    @contextmanager
    def opened(cls, *modules: str) -> Iterator["Nursery"]:
        """One that loads `modules` and can be asked at once. With the block it ends, and whoever is left of its own.

        It is forked of this process, which must not have begun a loop or a thread yet, and has what that has loaded.
        """
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            control.close()
            _stand_apart(parent, theirs, modules)
        theirs.close()
        try:
            yield cls(control, pid)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            control.close()

    async def fork(self, module: str, config: Config, place: Place) -> Born:
        """A child that does what `module`'s `run` does, at `place`. Raises OSError where none can be had just now."""
        ours, line = socket.socketpair()
        with line:
            try:
                socket.send_fds(self._control, [module.encode()], [line.fileno(), *place.handed])
            except OSError:
                ours.close()
                raise
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(process.order(config, place))
        writer.write_eof()
        pid = 0
        try:
            pid = int(await _line(reader) or 0)
        finally:
            if pid <= 0:  # there is none, or whoever waited for it does no longer: it ends with the nursery
                writer.close()
        if pid <= 0:
            raise OSError(-pid, os.strerror(-pid) if pid else "the nursery is gone")
        return Born(pid, reader, writer)

    async def watch(self) -> NoReturn:
        """Raises NurseryError when it has ended."""
        handle, ended = os.pidfd_open(self.pid), asyncio.Event()
        asyncio.get_running_loop().add_reader(handle, ended.set)
        try:
            await ended.wait()
        finally:
            asyncio.get_running_loop().remove_reader(handle)
            os.close(handle)
        raise NurseryError(
            "进程node.nursery已结束，其他进程随之结束：请重新启动节点。 "
            "The process node.nursery has ended, and all others with it: start the node again."
        )


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line; empty where nobody is there to say one."""
    try:
        return await reader.readline()
    except OSError:
        return b""


class _Cradle:
    """What the nursery does when everything is loaded: bears whom it is asked for, and tells how they ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._watched = selectors.DefaultSelector()
        self._watched.register(control, selectors.EVENT_READ)

    def stand(self) -> NoReturn:
        """For ever: the kernel ends it with its parent."""
        while True:
            for key, _ in self._watched.select():
                if key.fileobj is self._control:
                    self._bear()
                else:
                    self._tell(key)

    def _bear(self) -> None:
        asked, received, _, _ = socket.recv_fds(self._control, REQUEST_OCTETS, DESCRIPTORS_MOST)
        if not asked:
            sys.exit()  # the parent has ended, and the kernel is about to say so
        line, nursery = socket.socket(fileno=received.pop(0)), os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            _say(line, -(error.errno or 1))
            line.close()
        else:
            if not pid:
                self._leave()
                _live(asked.decode(), nursery, line, received)
            _say(line, pid)
            self._watched.register(os.pidfd_open(pid), selectors.EVENT_READ, line)
        for descriptor in received:
            os.close(descriptor)

    def _tell(self, key: selectors.SelectorKey) -> None:
        handle, line = key.fd, key.data
        self._watched.unregister(handle)
        ended = os.waitid(os.P_PIDFD, handle, os.WEXITED)
        assert ended is not None
        _say(line, ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status)
        line.close()
        os.close(handle)

    def _leave(self) -> None:
        """In a child: lets go of what is the nursery's and its other children's."""
        for key in list(self._watched.get_map().values()):
            if key.fileobj is not self._control:
                key.data.close()
                os.close(key.fd)
        self._watched.close()
        self._control.close()


def _say(line: socket.socket, number: int) -> None:
    with suppress(OSError):  # nobody waits for it any more
        line.sendall(b"%d\n" % number)


def _live(module: str, parent: int, line: socket.socket, received: Sequence[int]) -> NoReturn:
    """A child's life. Nothing of the nursery's is tidied up at its end: that is the nursery's."""
    code = 1
    try:
        process.enter(module, import_module(module).run, parent, line, received)
        code = 0
    except SystemExit as told:
        code = told.code if isinstance(told.code, int) else int(told.code is not None)
    except BaseException:  # noqa: BLE001 - Python's own last word on it, as in any process
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, OSError):  # where it was started without one, or nobody reads
                stream.flush()
        os._exit(code)


def stand(parent: int, control: socket.socket, modules: Sequence[str]) -> NoReturn:
    """What the nursery of process `parent` does: loads `modules`, then bears whom `control` asks for."""
    process.die_with(parent)
    process.titled("nursery")
    for module in modules:
        import_module(module)
    # What is loaded stays: children shall not copy the pages it lies on by looking through it for what may go.
    gc.collect()
    gc.freeze()
    _Cradle(control).stand()


def _stand_apart(parent: int, control: socket.socket, modules: Sequence[str]) -> NoReturn:
    """`stand`, in a process that was forked of the parent: nothing of the parent's is tidied up at its end."""
    try:
        os.setsid()  # Ctrl-C at the terminal is for the parent alone; children are told when it is their turn
        stand(parent, control, modules)
    except Exception:  # noqa: BLE001 - Python's own last word on it, as in any process
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(1)
