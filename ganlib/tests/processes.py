"""Processes for tests that need one of their own, forked from one that has imported torch: none imports it again.

Where a system has no such server, each is a new interpreter.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

FORKED: Any = multiprocessing.get_context("forkserver" if sys.platform != "win32" else "spawn")
if sys.platform != "win32":
    FORKED.set_forkserver_preload(["ganlib.lab.cli.commands", "torch._dynamo"])  # which training imports


def command(*arguments: str, folder: Path, nobody_reads: bool = False) -> tuple[int, str, str]:
    """What `python -m ganlib` with these arguments does in ``folder``: its exit code, and its two streams.

    Parameters
    ----------
    nobody_reads : its output is a pipe whose other end is closed.
    """
    process = FORKED.Process(target=_command, args=(arguments, str(folder), nobody_reads))
    process.start()
    process.join(120)
    return process.exitcode, *((folder / name).read_text() for name in ("out", "err"))


def _command(arguments: tuple[str, ...], folder: str, nobody_reads: bool) -> None:
    os.chdir(folder)
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), descriptor)
    if nobody_reads:
        reader, writer = os.pipe()
        os.close(reader)
        os.dup2(writer, 1)
    sys.argv = ["ganlib", *arguments]
    runpy.run_module("ganlib", run_name="__main__", alter_sys=True)


class Trainer:
    """A process that trains ring8 in ``folder``: to its first report, and on once `go_on` is called.

    Parameters
    ----------
    folder, resume : as in `Runner`.
    settings : of the run.
    """

    def __init__(self, folder: Path, settings: dict[str, int], resume: bool = False) -> None:
        self.pipe, theirs = FORKED.Pipe()
        self.process = FORKED.Process(target=_train, args=(theirs, folder, settings, resume))
        self.process.start()
        theirs.close()
        try:
            self.first: int | str | None = self.pipe.recv()  # the iteration, or why it may not train
        except EOFError:
            self.first = None  # nothing was left to train

    def go_on(self) -> int:
        """Let it train to the end; its exit code."""
        self.pipe.close()
        self.process.join(120)
        return int(self.process.exitcode)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.join()


def _train(pipe: Any, folder: Path, settings: dict[str, int], resume: bool) -> None:
    from ganlib.errors import CheckpointError
    from ganlib.lab import runs
    from ganlib.lab.runner import Runner
    from ganlib.lab.training import Training

    try:
        run = Runner(Training(runs.get("ring8", settings), device="cpu"), folder, resume=resume)
    except CheckpointError as error:
        pipe.send(str(error))
        sys.exit(5)
    for reports in run.reports():
        with suppress(OSError, EOFError):
            pipe.send(reports[0].iteration)
            pipe.recv()
