"""Many seeds at once: S independent pairs trained as one batched computation, against one pair.

For each run and each S, two ratios from the same turns: "S times one / S at once" is what training together saves, and
"S at once / one" how much longer S pairs take than one.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import Any

import torch

from benchmarks import common
from benchmarks.loop import available
from ganlib.lab import runs
from ganlib.lab.training import Training

# The runs, and the sizes of a smoke run.
RUNS: dict[str, dict[str, Any]] = {
    "mnist-paper": {"width": 32, "units": 8, "examples": 4000},
    "ring8": {"width": 8, "m": 16},
}


def measure(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    result: dict[str, Any] = {"ratios": {}, "seconds": {}, "rounds": {}, "runs": {}}
    for name, tiny in RUNS.items():
        with available(name, tiny if options.smoke else {}) as (run, source):
            candidates = {
                str(s): common.iterations(Training(run, seeds=range(s), device=device, precision="fp32"))
                for s in sorted({1, *options.seeds})
            }
            times = common.interleave(candidates, rounds=options.rounds, seconds=options.seconds, device=device)
        for s in sorted({*options.seeds} - {1}):
            together, one = times[str(s)], times["1"]
            # What is asked of a GPU; two cores have nothing idle that a second pair could use.
            limit = 3 if (name, s, device.type) == ("mnist-paper", 10, "cuda") else None
            result["ratios"][f"{name}, {s} seeds: {s} x one / at once"] = common.ratio([s * t for t in one], together)
            result["ratios"][f"{name}, {s} seeds: at once / one"] = common.ratio(together, one, limit=limit)
        result["runs"][name] = {"data": source, "run": runs.as_dict(run), "precision": "fp32"}
        result["seconds"][name] = {s: common.spread(values) for s, values in times.items()}
        result["rounds"][name] = times
    return result


line = common.parser(__doc__ or "", seconds=1.0)
line.add_argument("--seeds", type=int, nargs="+", default=[4, 10], help="pairs to train at once (default: 4 10)")
main = partial(common.run, "seeds", line, measure)

if __name__ == "__main__":
    main(sys.argv[1:])
