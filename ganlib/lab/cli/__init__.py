"""The command line, ``python -m ganlib``: list, train, sample, measure and reproduce named runs."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence

from ganlib.lab import interrupts
from ganlib.lab.cli import streams
from ganlib.lab.cli.arguments import DONE, INTERRUPTED, MEMORY, UNEXPECTED, UNREAD, Stop, parser

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code that ``--help`` documents.

    An expected error is one line on stderr. An unexpected one is raised, so that its traceback is seen.

    Parameters
    ----------
    argv : the arguments; default those of the process.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    streams.fill()
    try:
        with streams.lasting_stderr():
            code = _run(argv)
            sys.stdout.flush()  # here, not at the end of the process, where nobody catches
        return code
    except BrokenPipeError:  # whoever read the output has seen enough
        streams.drop(sys.stdout)
        return UNREAD
    except OSError as error:
        streams.drop(sys.stdout)
        print(f"error: {error}", file=sys.stderr)
        return UNEXPECTED


def _run(argv: list[str]) -> int:
    try:
        args = parser().parse_args(argv)
    except SystemExit as leaving:
        return int(leaving.code or 0)
    args.argv = argv
    resume = f"resume with: {_resuming(argv)}\n" if hasattr(args, "resumes") else ""
    interrupts.says = f"interrupted\n{resume}"
    try:
        from ganlib.lab import results
        from ganlib.lab.cli.commands import COMMANDS
        from ganlib.lab.cli.errors import expected_errors

        results.source_code()  # before any work: the checkout may be another by its end
        interrupts.working = True
        with expected_errors():
            COMMANDS[args.command](args)
        return DONE
    except Stop as stop:
        message = re.sub(r"\s*\n\s*", "; ", re.sub(r":\s*\n\s*", ": ", str(stop).strip()))
        # What every process of a distributed run finds is said once; a full memory may be one process's own.
        if _first() or stop.code in (UNEXPECTED, MEMORY):
            print(f"error: {message}", file=sys.stderr)
        return stop.code
    except KeyboardInterrupt as interrupt:
        if _first():
            print(f"interrupted: {interrupt}" if str(interrupt) else "interrupted", file=sys.stderr)
            print(resume, end="", file=sys.stderr)
        return INTERRUPTED
    finally:
        if "torch.distributed" in sys.modules and "RANK" in os.environ:
            from ganlib.lab.speed import distributed

            distributed.stop()


def _resuming(argv: Sequence[str]) -> str:
    world = os.environ.get("LOCAL_WORLD_SIZE")
    launcher = ["torchrun", f"--nproc_per_node={world}"] if world else ["python"]
    resume = ["--resume"] * (argv[0] == "train" and "--resume" not in argv)
    return shlex.join([*launcher, "-m", "ganlib", *argv, *resume])


def _first() -> bool:
    return os.environ.get("RANK", "0") == "0"
