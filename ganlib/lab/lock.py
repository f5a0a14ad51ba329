"""One process at a time trains in a folder: filelock's lock, which the system takes back however the process ends.

Within one process it can be taken again: in a notebook, the objects of a cell that failed live on. The lock's file may
stay in the folder, empty, and stands in nobody's way. File systems without locks have none.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from weakref import WeakValueDictionary

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

NAME = ".ganlib.lock"


class Held(Exception):
    """Another process has the folder; the message names it where the system does."""


_held: WeakValueDictionary[tuple[int, int], BaseFileLock] = WeakValueDictionary()


def identity(folder: Path) -> tuple[int, int] | None:
    """What a folder is under whatever name, None if it is not there: another one of its name is another."""
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def take(folder: Path) -> BaseFileLock | None:
    """Hold a folder that is there while any reference to this lock is left; None where there are no locks.

    Raises
    ------
    Held
        If another process does.
    """
    key = identity(folder)
    if key and (held := _held.get(key)):
        return held
    lock: BaseFileLock = FileLock(folder / NAME, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise Held(f"process {number}" if (number := _holder(folder / NAME)) else "another process") from None
    except (OSError, NotImplementedError):  # no locks here, or nothing that may be written: whoever writes will say so
        return None
    if isinstance(lock, SoftFileLock):  # what newer versions make of it there: a file that would outlive a kill
        lock.release()
        return None
    if key:
        _held[key] = lock
    return lock


def _holder(file: Path) -> int | None:
    """The process that has the lock, where Linux says so and it can be seen from here."""
    with suppress(OSError, ValueError):
        inode = file.stat().st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()  # 1: FLOCK ADVISORY WRITE 1234 08:01:5678 0 EOF
            if fields[1] == "FLOCK" and int(fields[5].rpartition(":")[2]) == inode and int(fields[4]) > 0:
                return int(fields[4])
    return None
