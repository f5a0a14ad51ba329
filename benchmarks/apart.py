"""A candidate in a process of its own, so that what one does to its process is not done to the other.

The engine, for instance, keeps freed memory (`ganlib.device.keep_freed_memory`): in one process with the conventional
loop it would speed that up as well. The processes wait while it is not their turn.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch

from benchmarks import common


class Apart:
    """Call it with a number of steps: they are made in the other process, and this one waits.

    Parameters
    ----------
    make : called with ``arguments`` in the other process, returns the candidate. A function of a module.

    Raises
    ------
    RuntimeError
        If the candidate fails; the message is its error.
    """

    def __init__(self, make: Callable[..., common.Steps], *arguments: Any, device: torch.device) -> None:
        # Spawned, not forked: a fork inherits torch's threads in a state that nobody promises.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, make, arguments, device))
        self.process.start()
        theirs.close()
        self._answer()

    def __call__(self, steps: int) -> None:
        self.pipe.send(steps)
        self._answer()

    def close(self) -> None:
        """End the other process."""
        self.pipe.close()
        self.process.join()

    def __enter__(self) -> Apart:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self) -> None:
        try:
            error = self.pipe.recv()
        except EOFError:
            error = f"the process ended with {self.process.exitcode}"
        if error is not None:
            raise RuntimeError(f"the candidate failed: {error}")


def _serve(
    pipe: Connection, make: Callable[..., common.Steps], arguments: tuple[Any, ...], device: torch.device
) -> None:
    try:
        candidate = make(*arguments)
        pipe.send(None)
        while True:
            candidate(pipe.recv())
            common.synchronise(device)
            pipe.send(None)
    except EOFError:  # the other side has closed
        return
    except Exception as error:
        pipe.send(repr(error))
