"""Show what only an accelerator can show: each part in a process of its own, with its own time limit and its own JSON.

A part that fails or takes too long stops no other. Where there is no accelerator the parts run on the CPU with small
numbers, which shows that they run and nothing else. Exit code 0 if every part is done, else 1.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from benchmarks.gpu import child

ROOT = Path(__file__).resolve().parents[2]
TOTAL = 470.0
# In this order, with each one's limit in seconds; what has none may take all that is left.
LIMITS: dict[str, float | None] = {
    "suite": 90,
    "steps": 70,
    "resume": 60,
    "lines": 120,
    "mnist": None,
    "alternating": None,
}
LEAST = 10.0  # seconds left below which no part is started
OPTIONAL = {"alternating": 60.0}  # left out, without a complaint, when less than this is left
# Imported once, by the process that all others are forked from; none of it may start an accelerator.
PRELOADED = ["ganlib.lab.cli.commands", "benchmarks.loop", "pytest"]


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 if every part is done or was left out for want of time, 1 if not, 2 for a wrong command line."""
    started = time.monotonic()
    line = _line()
    options = line.parse_args(arguments)
    limits = LIMITS | _limits(line, options.limit)
    if not options.seconds > 0:
        line.error(f"--seconds is {options.seconds:g}; it must be positive")
    signal.signal(signal.SIGTERM, _interrupt)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    head = _look(context, options, arguments)
    if isinstance(head, str):
        line.error(head)
    small = options.small or head["device"] == "cpu"
    head |= {"small": small, "total_limit_seconds": options.seconds}
    if small:
        print("small numbers: they show that the parts run, and nothing else", flush=True)
    names = [name for name in LIMITS if name in (options.parts or LIMITS)]
    out: Path = options.out
    for name in names:
        (out / f"{name}.json").unlink(missing_ok=True)  # an earlier run's would be taken for this one's
    ends = {}
    for name in names:
        left = started + options.seconds - time.monotonic()
        content = {"part": name, **head, "limit_seconds": round(min(limits[name] or left, left), 1)}
        path = out / f"{name}.json"
        if left < OPTIONAL.get(name, LEAST):
            _end(path, content, "not started", f"{max(left, 0):.0f} s were left of {options.seconds:g}")
        else:
            print(f"--- {name}, at most {content['limit_seconds']:.0f} s", flush=True)
            _run(context, name, path, content)
        ends[name] = json.loads(path.read_text())
        _say(name, ends[name])
    print(f"written to {out}, after {time.monotonic() - started:.0f} s")
    for name, end in ends.items():
        _say(name, end)
    fine = [
        end["status"] == "done" or (name in OPTIONAL and end["status"] == "not started") for name, end in ends.items()
    ]
    return 0 if all(fine) else 1


def _line() -> argparse.ArgumentParser:
    line = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    line.add_argument("--out", type=Path, default=ROOT / "_build" / "gpu", help="folder for the files (_build/gpu)")
    line.add_argument("--parts", nargs="+", choices=LIMITS, metavar="PART", help=f"of {', '.join(LIMITS)} (all)")
    line.add_argument("--seconds", type=float, default=TOTAL, help=f"for all parts together ({TOTAL:g})")
    line.add_argument("--limit", action="append", default=[], metavar="PART=SECONDS", help="for one part; repeatable")
    line.add_argument("--device", help="cuda, cuda:1, mps, xpu or cpu (the accelerator torch finds, else the CPU)")
    line.add_argument("--small", action="store_true", help="small numbers, as on the CPU")
    line.add_argument("--commit", help="the source's commit, where git cannot tell: in a copy without history")
    return line


def _limits(line: argparse.ArgumentParser, given: Sequence[str]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for each in given:
        name, _, text = each.partition("=")
        try:
            found[name] = float(text)
        except ValueError:
            line.error(f"--limit {each}: give PART=SECONDS, such as --limit mnist=300")
        if name not in LIMITS or not float(text) > 0:
            line.error(f"--limit {each}: give one of {', '.join(LIMITS)}, and a positive number of seconds")
    return found


def _look(context: Any, options: argparse.Namespace, arguments: Sequence[str]) -> dict[str, Any] | str:
    """What every file begins with, or what is wrong with the device asked for."""
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=child.look, args=(there, options.device, list(arguments), options.commit))
    process.start()
    there.close()
    try:
        found: dict[str, Any] | str = here.recv()
    except EOFError:
        sys.exit("error: torch or ganlib cannot be imported by this Python, see above; another: make gpu PYTHON=...")
    process.join()
    return found


def _run(context: Any, name: str, path: Path, content: dict[str, Any]) -> None:
    """Run a part to its end or to its limit, and see to it that its file says how it ended."""
    limit = content["limit_seconds"]
    with TemporaryDirectory(prefix="ganlib-gpu-") as scratch:
        until = time.monotonic() + limit
        process = context.Process(target=child.work, args=(name, path, content, until, Path(scratch)))
        process.start()
        reason = f"its limit of {limit:g} s was over"
        try:
            process.join(limit)
        except KeyboardInterrupt:
            reason = "it was interrupted"
            raise
        finally:
            if over := process.is_alive():
                _kill(process)
            for left in path.parent.glob(f".{path.name}.*.tmp"):  # of a write it was killed in
                left.unlink()
            if not path.exists() or json.loads(path.read_text())["status"] == "running":
                ended = f"its process ended with exit code {process.exitcode}"
                took = time.monotonic() - until + limit
                _end(path, content, *(("cut short", reason) if over else ("failed", ended)), took)


def _kill(process: Any) -> None:
    """End a part's process and all that it started."""
    with suppress(ProcessLookupError):  # its group is not there in its first moment
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def _end(path: Path, content: Mapping[str, Any], status: str, reason: str, seconds: float = 0.0) -> None:
    """Write how a part ended that could not say so itself; what it had found stays."""
    from ganlib.lab.results import write_results  # slow to import, and seldom needed here

    found = json.loads(path.read_text()) if path.exists() else dict(content)
    write_results(path, found | {"status": status, "reason": reason, "wall_seconds": round(seconds, 1)})


def _say(name: str, end: Mapping[str, Any]) -> None:
    reason = f": {end['reason']}" if end["reason"] else ""
    print(f"{name}: {end['status']}, {end['wall_seconds']:.0f} s{reason}", flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
