"""Loaded in a nursery, it makes the machine one that has no more processes to give."""

import errno
import os


def _fork() -> int:
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


os.fork = _fork
