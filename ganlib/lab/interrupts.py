"""SIGTERM and Ctrl-C from a process's first moment on, for ``python -m ganlib``. Imports nothing slow.

Until a command works there is nothing to save, and libraries are being imported, some of which make another error of an
exception in their midst: the process ends at once. While it works, either signal is a `KeyboardInterrupt`, but for a
training's iterations, which end and are saved first (`ganlib.lab.runner`). When its work is done, it ends as it would
have.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType

CODE = 130
working = False
ended: int | None = None  # the exit code of a command that is done
says = "interrupted\n"


def catch() -> None:
    """From now on; a signal that whoever started the process has it ignore stays ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    if working and ended is None:
        raise KeyboardInterrupt
    if ended is None and os.environ.get("RANK", "0") == "0":
        with suppress(OSError):
            os.write(2, says.encode(errors="replace"))
    os._exit(CODE if ended is None else ended)
