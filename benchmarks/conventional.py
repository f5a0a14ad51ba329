"""The engine against the conventional loop: the paper's MNIST pair and a small pair, same nets, batch and precision.

The conventional loop (benchmarks/loop.py) is written as most repositories write it. It is timed with the DataLoader's
default of no worker process, and with two; each against the engine in turns of its own. A ratio of 2 means that the
engine makes two iterations in the time of the other's one. Both compute in float32; TF32 is off. Each side has a
process of its own.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import Any

import torch

from benchmarks import common
from benchmarks.apart import Apart
from benchmarks.loop import Loop, available, same_nets
from ganlib.lab import runs
from ganlib.lab.training import Training

TARGETS = {"mnist-paper": {"cpu": 1.5, "cuda": 50}, "small-mlp": {"cpu": 2.2, "cuda": 50}}


def engine(run: runs.Run, device: torch.device) -> common.Steps:
    """The engine's iterations, in float32."""
    return common.iterations(Training(run, device=device, precision="fp32"))


def compare(
    name: str,
    options: argparse.Namespace,
    device: torch.device,
    target: float | None,
    overrides: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Times, ratios and images a second for one named run."""
    result: dict[str, Any] = {"ratios": {}, "images_per_second": {}, "rounds": {}}
    with available(name, overrides or {}) as (run, source):
        result["parameters"] = same_nets(run, Loop(run, torch.device("cpu")))
        for workers in options.workers:
            with (
                Apart(engine, run, device, device=device) as ours,
                Apart(Loop, run, device, workers, device=device) as theirs,
            ):
                times = common.interleave(
                    {"engine": ours, "conventional": theirs}, rounds=options.rounds, seconds=options.seconds
                )
            label = f"{name}, {workers} workers"
            # The target is set against the DataLoader's default.
            result["ratios"][label] = common.ratio(
                times["conventional"], times["engine"], target=None if workers else target
            )
            result["rounds"][label] = times
            result["images_per_second"][label] = {
                side: common.spread(run.m / t for t in values) for side, values in times.items()
            }
    return {"data": source, "run": runs.as_dict(run), "precision": "fp32", **result}


def line(doc: str, **defaults: Any) -> argparse.ArgumentParser:
    """The common command line, and the DataLoader's workers."""
    parser = common.parser(doc, **defaults)
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[0, 2], help="DataLoader processes to time with (default: 0 2)"
    )
    return parser


def measure(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    overrides = {"data": "digits"} if options.smoke else {}
    found = {
        name: compare(name, options, device, targets.get(device.type), overrides) for name, targets in TARGETS.items()
    }
    ratios = {label: ratio for each in found.values() for label, ratio in each.pop("ratios").items()}
    return {"ratios": ratios, "runs": found}


main = partial(common.run, "conventional", line(__doc__ or ""), measure)

if __name__ == "__main__":
    main(sys.argv[1:])
