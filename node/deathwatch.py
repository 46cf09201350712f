"""Starts one program so that it ends with its parent, under the account it is told, and steps out of the way.
Here live the few steps between fork and exec. It runs by its path as root or not, so it imports nothing of ours,
knows no server, and holds no loop: what is started and where its data lies is said by `node/embedded.py`."""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def command(program: Sequence[str], uid: int, gid: int, at_parents_death: signal.Signals) -> list[str]:
    """The command line that runs `program` (absolute path first) as uid:gid until the calling process ends.

    The kernel watches the *thread* that starts the command, so start it from one that lives as long as the process.
    """
    watch = (os.getpid(), int(at_parents_death), uid, gid)
    return [sys.executable, "-I", "-S", __file__, *map(str, watch), *program]


def _become(uid: int, gid: int) -> None:
    if (os.geteuid(), os.getegid()) != (uid, gid):
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def _die_with(parent: int, signum: int) -> None:
    """Asks the kernel for `signum` at the parent's death; ends here if the parent is gone already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before the kernel was asked: nobody else will tell us
        sys.exit("deathwatch: the parent is gone")


def main(arguments: list[str]) -> None:
    """`PARENT SIGNAL UID GID PROGRAM ARGUMENT…`; never returns. What cannot be done is one line on stderr, status 1."""
    parent, signum, uid, gid = map(int, arguments[:4])
    program = arguments[4:]
    os.umask(0o077)
    try:
        _become(uid, gid)
        _die_with(parent, signum)  # after setuid, which makes the kernel forget the request
        os.execv(program[0], program)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.exit(f"deathwatch: FATAL: cannot run {program[0]} as user {uid}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
