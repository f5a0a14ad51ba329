"""Output whose reader goes away, ``| head``, and streams that were closed, ``2>&-``: no reason to lose a training."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from typing import Any, TextIO


def fill() -> None:
    """Give standard streams that were closed the null device.

    What is opened next, such as a checkpoint, would get their number, and be written to by whoever prints.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", closefd=False))


def drop(stream: TextIO) -> None:
    """Let what is left in a stream, and what still comes, go nowhere: Python would complain of it at its end."""
    with suppress(OSError, ValueError), open(os.devnull, "w") as null:  # ValueError: a stream without descriptor
        os.dup2(null.fileno(), stream.fileno())


@contextmanager
def lasting_stderr() -> Iterator[None]:
    """Inside, progress and warnings that nobody can read any more are dropped, and the work goes on."""
    with redirect_stderr(_Lasting(sys.stderr)):
        yield


class _Lasting:
    """A stream whose writes do not fail."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            drop(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            drop(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
