"""The other benchmarks on this device, shortened; each one's result whole, those that fail or find no time named."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.gpu.record import CUT_SHORT, FAILED, Record

# In this order, with the seconds that each is given, and its own arguments.
LINES: dict[str, tuple[float, list[str]]] = {
    "seeds": (20, []),
    "conventional": (30, ["--workers", "0"]),
    "dcgan": (20, ["--workers", "0"]),
    "parzen": (20, []),
    "floor": (15, []),  # last: it starts torch's profiler, which slows down what comes after it in the same process
}
IN_SMALL = ("seeds",)  # the others start processes, or compare with slow ones; the test suite runs them


def run(record: Record, device: torch.device, small: bool) -> None:
    """Run each in turn in this process; a result is written as soon as it is there."""
    results: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    late: list[str] = []
    shorter = ["--smoke", "--rounds", "1", "--seconds", "0.01"] if small else ["--rounds", "3", "--seconds", "0.4"]
    for name, (seconds, own) in LINES.items():
        if small and name not in IN_SMALL:
            continue
        if record.left < (0 if small else seconds):
            late.append(name)
            continue
        arguments = ["--device", str(device), "--output", str(record.scratch), *shorter, *own]
        try:
            main: Callable[[list[str]], dict[str, Any]] = importlib.import_module(f"benchmarks.{name}").main
            results[name] = main(arguments)
        except (Exception, SystemExit):
            errors[name] = traceback.format_exc().splitlines()[-20:]
        if device.type == "cuda":
            torch.cuda.empty_cache()
        record.put(results=results, errors=errors)
    record.put(results=results, errors=errors)
    if errors:
        record.finish(f"failed: {', '.join(errors)}", FAILED)
    elif late:
        record.finish(f"no time was left for {', '.join(late)}", CUT_SHORT)
