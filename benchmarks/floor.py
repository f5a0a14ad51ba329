"""Share of the floor: how near an iteration of the paper's MNIST pair comes to the time its matrix products alone need.

  floor   FLOPs of one iteration (torch.utils.flop_counter) / FLOPs a second of a large product (2048 x 2048 twice)
  share   floor / measured time of an iteration; 1 would mean that everything but the products is free

On the CPU there are two float32 rates: torch's own `@`, and oneDNN's product where torch offers it, often the faster
one. Each gives a share. All rates and iterations are timed in turns in one run. bf16 is compared with fp32 likewise.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import common
from benchmarks.loop import available
from ganlib.lab import runs
from ganlib.lab.runs import Run
from ganlib.lab.speed import onednn, precision
from ganlib.lab.training import Training

SIDE = 2048


def flops(run: Run) -> dict[str, int]:
    """FLOPs of one iteration by operator, counted on the CPU, eagerly and with torch's own operators."""
    training = Training(run, device="cpu", precision="fp32")
    with onednn.plain():  # the counter does not know oneDNN's operator
        training.advance(1)
        with FlopCounterMode(display=False) as counter:
            training.advance(1)
    return {str(operator): int(count) for operator, count in counter.get_flop_counts()["Global"].items()}


def products(side: int, device: torch.device) -> dict[str, Callable[[], Tensor]]:
    """The matrix products that this device offers, by name."""
    a, b = torch.randn(2, side, side, device=device)
    found: dict[str, Callable[[], Tensor]] = {"torch fp32": lambda: a @ b}
    if device.type == "cpu":
        product = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if hasattr(torch.ops, "mkldnn") else None
        if product is not None:
            found["oneDNN fp32"] = lambda: product(a, b, None, "none", [], "")
    if precision.has_bf16(device):
        low, high = a.bfloat16(), b.bfloat16()
        found["torch bf16"] = lambda: low @ high
    return found


def shares(training: Training, iterations: int = 20) -> dict[str, float]:
    """Each operator's share of the time an iteration takes on the host, the eight largest."""
    training.advance(5)  # allocates; on CUDA, captures
    with torch.profiler.profile() as profiler:
        training.advance(iterations)
    events = profiler.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    largest = sorted(events, key=lambda event: -event.self_cpu_time_total)[:8]
    return {event.key: round(event.self_cpu_time_total / total, 3) for event in largest}


def plainly(training: Training) -> common.Steps:
    """Its iterations with torch's own float32 product, which on this device is another library's."""

    def advance(n: int) -> None:
        with onednn.plain():
            training.advance(n)

    return advance


def measure(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    side = 64 if options.smoke else SIDE
    overrides = {"width": 32, "units": 8, "examples": 4000} if options.smoke else {}
    with available("mnist-paper", overrides) as (run, source):
        counted = flops(run)
        candidates: dict[str, common.Steps] = {
            f"product, {name}": common.repeat(function) for name, function in products(side, device).items()
        }
        policies = ["fp32", *["bf16"] * precision.has_bf16(device)]
        for policy in policies:
            candidates[f"iteration, {policy}"] = common.iterations(Training(run, device=device, precision=policy))
        if device.type == "cpu" and onednn.onednn_is_faster():
            candidates["iteration, fp32 by torch's own product"] = plainly(
                Training(run, device=device, precision="fp32")
            )
        times = common.interleave(candidates, rounds=options.rounds, seconds=options.seconds, device=device)

    total = sum(counted.values())
    rates = {
        name.removeprefix("product, "): [2 * side**3 / t for t in values]
        for name, values in times.items()
        if name.startswith("product, ")
    }
    ratios, target = {}, 0.7 if device.type == "cpu" else None
    for name, rate in rates.items():
        iteration = times[f"iteration, {name.split()[-1]}"]
        floor = [total / r for r in rate]
        ratios[f"share of the floor, {name}"] = common.ratio(
            floor, iteration, target=target if "fp32" in name else None
        )
    profile = {policy: shares(Training(run, device=device, precision=policy)) for policy in policies}
    notes = []
    if "bf16" in policies:
        fp32, bf16 = (times[f"iteration, {policy}"] for policy in policies)
        ratios["fp32 / bf16"] = common.ratio(fp32, bf16, target=1.5 if device.type == "cpu" else None)
        if "iteration, fp32 by torch's own product" in times:
            own = times["iteration, fp32 by torch's own product"]
            ratios["fp32 by torch's own product / bf16"] = common.ratio(own, bf16, target=1.5)
            ratios["fp32 by torch's own product / fp32"] = common.ratio(own, fp32)
    else:
        notes.append("bf16 was left out: this device does not compute it in hardware")
    return {
        "data": source,
        "run": runs.as_dict(run),
        "flops": {"total": total, "by_operator": counted},
        "ratios": ratios,
        "flops_per_second": {name: common.spread(rate) for name, rate in rates.items()},
        "seconds": {name: common.spread(values) for name, values in times.items()},
        "profile": profile,
        "product_side": side,
        "rounds": times,
        "notes": notes,
    }


main = partial(common.run, "floor", common.parser(__doc__ or "", seconds=1.0), measure)

if __name__ == "__main__":
    main(sys.argv[1:])
