"""One process at a time trains in a folder: a lock that the system takes back however the process ends.

It is a lock on the folder itself, so nothing is left behind after a kill. Within one process it can be taken again: in
a notebook, the objects of a cell that failed live on. On Windows, and on file systems without such locks, nothing is
locked.
"""

from __future__ import annotations

import os
import sys
import weakref
from contextlib import suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl


class Held(Exception):
    """Another process has the folder; the message names it where the system does."""


class Lock:
    """A folder this process holds while any reference to this object is left. Made by `take`.

    ``sure`` : whether the system keeps other processes out; not everywhere can it.
    """

    def __init__(self, descriptor: int | None) -> None:
        self.sure = descriptor is not None
        if descriptor is not None:
            weakref.finalize(self, os.close, descriptor)


_held: weakref.WeakValueDictionary[tuple[int, int], Lock] = weakref.WeakValueDictionary()


def identity(folder: Path) -> tuple[int, int] | None:
    """What a folder is under whatever name, None if it is not there: another one of its name is another."""
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def take(folder: Path) -> Lock:
    """Hold a folder that is there.

    Raises
    ------
    Held
        If another process does.
    """
    if sys.platform == "win32":
        return Lock(None)
    descriptor = os.open(folder, os.O_RDONLY)
    status = os.fstat(descriptor)
    key = (status.st_dev, status.st_ino)
    if lock := _held.get(key):
        os.close(descriptor)
        return lock
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Held(f"process {number}" if (number := _holder(status.st_ino)) else "another process") from None
    except OSError:  # some network and FUSE file systems have none
        os.close(descriptor)
        return Lock(None)
    lock = _held[key] = Lock(descriptor)
    return lock


def _holder(inode: int) -> int | None:
    """The process that has the lock on an inode, where Linux says so and it can be seen from here."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()  # 1: FLOCK ADVISORY WRITE 1234 08:01:5678 0 EOF
            if fields[1] == "FLOCK" and int(fields[5].rpartition(":")[2]) == inode and int(fields[4]) > 0:
                return int(fields[4])
    return None
