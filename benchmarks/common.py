"""What every benchmark shares: timing in alternation, provenance, one JSON file a result, one command line.

A ratio is only as good as the moment it was measured in. Candidates are therefore timed in turns, round after round:
what else the machine does hits all of them alike, and the spread over rounds shows how much there was.
"""

from __future__ import annotations

import argparse
import math
import os
import shlex
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from ganlib.device import pick_device
from ganlib.lab.results import environment, without_folder, write_results
from ganlib.lab.speed.graphs import WARM_UP
from ganlib.lab.training import Training

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
Steps = Callable[[int], object]  # makes that many steps
Times = dict[str, list[float]]  # seconds a step by candidate, one entry a round


def interleave(
    candidates: Mapping[str, Steps],
    *,
    rounds: int = 5,
    seconds: float = 1.0,
    device: torch.device | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    """Time candidates in alternation, A B A B ..., each for about ``seconds`` a turn.

    Parameters
    ----------
    candidates : by name; each is called with a number of steps and makes them.
    rounds, seconds : turns of every candidate, and the length of a turn. A turn is at least one step.
    device : waited for before the clock is read; None for the CPU.
    clock : returns seconds.

    Returns
    -------
    dict
        Seconds a step of every candidate, one entry a round. Warm-up is not among them.

    Raises
    ------
    ValueError
        If there is no candidate, or rounds or seconds are not positive.
    """
    if not candidates or rounds < 1 or not seconds > 0:
        raise ValueError(f"{len(candidates)} candidates, {rounds} rounds of {seconds} s: all must be positive")

    def timed(step: Steps, n: int) -> float:
        synchronise(device)
        start = clock()
        step(n)
        synchronise(device)
        return clock() - start

    def turn(step: Steps) -> int:
        step(1)  # the first step compiles, captures and allocates
        n = 1
        while (took := timed(step, n)) < seconds / 2:
            n = min(10 * n, math.ceil(n * seconds / took)) if took > 0 else 10 * n
        return max(1, round(n * seconds / took))

    steps = {name: turn(step) for name, step in candidates.items()}
    times: Times = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, step in candidates.items():
            times[name].append(timed(step, steps[name]) / steps[name])
    return times


def repeat(function: Callable[[], object]) -> Steps:
    """A candidate whose step is one call."""

    def steps(n: int) -> None:
        for _ in range(n):
            function()

    return steps


def iterations(training: Training) -> Steps:
    """A candidate whose step is one iteration; on CUDA its graph is captured before it is timed."""
    training.advance(WARM_UP + 1)
    return training.advance


def synchronise(device: torch.device | None) -> None:
    """Wait until an accelerator has done what it was given; nothing to do on the CPU."""
    if device is not None and device.type != "cpu":
        torch.accelerator.synchronize(device)


def spread(values: Iterable[float]) -> dict[str, float]:
    """Median over the rounds, and the least and the greatest."""
    values = list(values)
    return {"median": median(values), "min": min(values), "max": max(values)}


def ratio(
    slow: Sequence[float], fast: Sequence[float], *, target: float | None = None, limit: float | None = None
) -> dict[str, float]:
    """How many times longer ``slow`` takes, round by round: median, least, greatest.

    ``target`` is what the median should reach, ``limit`` what it should not exceed; kept beside it where given.
    """
    found = spread(a / b for a, b in zip(slow, fast, strict=True))
    return found | {k: v for k, v in (("target", target), ("limit", limit)) if v is not None}


def provenance(
    name: str, arguments: Sequence[str], device: torch.device, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Where a result comes from: enough to make it again."""
    return {
        "script": f"benchmarks/{name}.py",
        "command": shlex.join(["python", "-m", f"benchmarks.{name}", *map(without_folder, arguments)]),
        **environment(device, ROOT / "benchmarks"),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gomp_spincount": os.environ.get("GOMP_SPINCOUNT"),
        "settings": dict(settings),
    }


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Every ratio of the results by name, as text: median, spread over rounds, and what is asked of it, if anything."""
    rows = [("benchmark", "ratio", "median", "min", "max", "asked")]
    for name, result in results.items():
        for what, found in result["ratios"].items():
            target = (
                f">= {found['target']:g}" if "target" in found else f"<= {found['limit']:g}" if "limit" in found else ""
            )
            rows.append((name, what, *(f"{found[key]:.2f}" for key in ("median", "min", "max")), target))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def parser(doc: str, rounds: int | None = 5, seconds: float | None = 2.0) -> argparse.ArgumentParser:
    """The command line that all benchmarks have in common; ``doc`` is the script's docstring.

    A default of None leaves the choice to each benchmark.
    """
    defaults = {"rounds": rounds or "each benchmark's own", "seconds": seconds or "each benchmark's own"}
    line = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    line.add_argument("--device", help="cuda, cuda:1, mps, xpu or cpu (default: the accelerator torch finds)")
    line.add_argument(
        "--rounds", type=int, default=rounds, help=f"turns of every candidate (default: {defaults['rounds']})"
    )
    line.add_argument(
        "--seconds", type=float, default=seconds, help=f"length of a turn (default: {defaults['seconds']})"
    )
    line.add_argument("--output", type=Path, help=f"folder for the JSON file (default: {RESULTS.relative_to(ROOT)})")
    line.add_argument(
        "--smoke", action="store_true", help="tiny sizes that only show that the script runs; needs --output"
    )
    return line


def run(
    name: str,
    line: argparse.ArgumentParser,
    measure: Callable[[argparse.Namespace, torch.device], Mapping[str, Any]],
    arguments: Sequence[str],
) -> dict[str, Any]:
    """Parse, measure, write, print. ``measure`` returns "ratios" and whatever else belongs in the file."""
    options = line.parse_args(arguments)
    if options.smoke and options.output is None:
        line.error("--smoke measures nothing: give it an --output of its own")
    if options.rounds < 1 or not options.seconds > 0:
        line.error(f"--rounds {options.rounds} --seconds {options.seconds:g}: both must be positive")
    try:
        device = pick_device(options.device)
    except ValueError as error:
        line.error(str(error))
    settings = {key: value for key, value in vars(options).items() if key not in ("output", "device")}
    origin = provenance(name, arguments, device, settings)
    start = time.perf_counter()
    result = {"benchmark": name, "provenance": origin, **measure(options, device)}
    result["wall_seconds"] = round(time.perf_counter() - start, 1)
    path = (options.output or RESULTS) / f"{name}.json"
    write_results(path, result)
    print(table({name: result}))
    for note in [*result.get("notes", []), *["a smoke run: its figures mean nothing"] * options.smoke]:
        print(f"note: {note}")
    print(f"written to {path}")
    return result
