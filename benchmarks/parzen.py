"""Table 1's Parzen protocol: ganlib.metrics.parzen.evaluate against other ways to compute it.

Ten widths on 1,000 validation images, the best on 10,000 test images, 10,000 samples, 784 dimensions. Against:

  kernel_density   scikit-learn's KernelDensity, fitted for every width, with one leaf (its default leaf size is
                   wrong in 784 dimensions, see docs/decisions/0001); it runs on one core
  each_sigma       our own estimate, its distances computed afresh for every width
  original         ganlib's float64 mirror of the original code (explicit differences)

The first and the last are too slow to run in full. They are timed on a part of the evaluation images and scaled: every
image costs the same, which is checked with two sizes in the same run ("linearity" in the file, 1 if exact).
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from statistics import median
from typing import Any

import torch
from sklearn.neighbors import KernelDensity
from torch import Tensor

from benchmarks import common
from ganlib import data
from ganlib.metrics import parzen

SIZES = {"samples": 10_000, "valid": 1_000, "test": 10_000}
# Validation images of the smaller part, with ten times as many test images; the larger part is twice that.
PARTS = {"kernel_density": 10, "original": 1}
TOLERANCE = 0.01  # nats, as documented for `parzen.log_likelihoods`


def images(sizes: dict[str, int]) -> tuple[dict[str, Tensor], str]:
    """MNIST's own images as samples, validation and test, (n, 784) in [0, 1]; and what they are."""
    splits = {"samples": "train", "valid": "valid", "test": "test"}
    try:
        parts = {k: data.load("mnist", split).flattened().first(sizes[k]).floats() for k, split in splits.items()}
        return parts, "MNIST: training images as samples, first validation images, test images"
    except FileNotFoundError:
        rng = torch.Generator().manual_seed(0)

        def enough(split: str, n: int) -> Tensor:
            digits = data.load("digits", split).flattened()
            many = digits.floats(torch.arange(n) % len(digits))
            return (many * 255 + torch.rand(many.shape, generator=rng)) / 256

        parts = {k: enough(split, sizes[k]) for k, split in splits.items()}
        return parts, "MNIST is not here: embedded digits, repeated, plus uniform noise of one grey level"


def kernel_density(samples: Tensor, valid: Tensor, test: Tensor) -> float:
    """The protocol by scikit-learn, float64: mean over the test images, nats. Empty tensors time the fits alone."""
    x, v, t = (part.double().numpy() for part in (samples, valid, test))
    fitted = [KernelDensity(bandwidth=sigma, leaf_size=len(x)).fit(x) for sigma in parzen.PAPER_SIGMAS]
    if not len(v):
        return 0.0
    best = max(fitted, key=lambda estimate: estimate.score(v))
    return float(best.score(t)) / len(t)


def each_sigma(samples: Tensor, valid: Tensor, test: Tensor) -> float:
    """The protocol by our own estimate, one width at a time."""
    best = max(parzen.PAPER_SIGMAS, key=lambda sigma: parzen.log_likelihoods(samples, valid, [sigma]).mean().item())
    return parzen.log_likelihoods(samples, test, [best]).mean().item()


def evaluate(samples: Tensor, valid: Tensor, test: Tensor) -> parzen.ParzenResult:
    """The protocol as ganlib computes it."""
    return parzen.evaluate(samples, valid, test)


def measure(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    sizes = {name: size // 50 for name, size in SIZES.items()} if options.smoke else SIZES
    whole, source = images(sizes)
    here = {name: part.to(device) for name, part in whole.items()}

    def part(name: str, times: int) -> dict[str, Tensor]:
        n = PARTS[name] * times
        return {"samples": whole["samples"], "valid": whole["valid"][:n], "test": whole["test"][: 10 * n]}

    def original(times: int) -> float:
        few = part("original", times)
        return parzen.evaluate_original(few["samples"], few["valid"], few["test"], batch=2).mean

    small = part("kernel_density", 1)
    on_device = {name: tensor.to(device) for name, tensor in small.items()}
    expected = kernel_density(**small)
    found = {"evaluate": evaluate(**on_device).mean, "each_sigma": each_sigma(**on_device)}
    apart = max(abs(mean - expected) for mean in found.values())
    if apart > TOLERANCE:
        raise AssertionError(f"evaluate and KernelDensity are {apart} nats apart: there is no point in timing them")

    none = {"samples": whole["samples"], "valid": whole["valid"][:0], "test": whole["test"][:0]}
    times = common.interleave(
        {
            "evaluate": common.repeat(lambda: evaluate(**here)),
            "each_sigma": common.repeat(lambda: each_sigma(**here)),
            "kernel_density fits": common.repeat(lambda: kernel_density(**none)),
            "kernel_density 1": common.repeat(lambda: kernel_density(**part("kernel_density", 1))),
            "kernel_density 2": common.repeat(lambda: kernel_density(**part("kernel_density", 2))),
            "original 1": common.repeat(lambda: original(1)),
            "original 2": common.repeat(lambda: original(2)),
        },
        rounds=options.rounds,
        seconds=options.seconds,
        device=device,
    )
    full, scaled = {}, {}
    for name, n in PARTS.items():
        fixed = times.get(f"{name} fits", [0.0] * options.rounds)
        one, two = ([a - b for a, b in zip(times[f"{name} {i}"], fixed, strict=True)] for i in (1, 2))
        factor = sizes["valid"] / (2 * n)
        full[name] = [f + factor * t for f, t in zip(fixed, two, strict=True)]
        scaled[name] = {
            "timed_on": {"valid": [n, 2 * n], "test": [10 * n, 20 * n]},
            "linearity": median(two) / (2 * median(one)),
            "full_seconds": common.spread(full[name]),
        }
    ours, threads = times["evaluate"], torch.get_num_threads()
    ratios = {
        "kernel_density / evaluate": common.ratio(full["kernel_density"], ours, target=30),
        "each_sigma / evaluate": common.ratio(times["each_sigma"], ours),
        "original / evaluate": common.ratio(full["original"], ours),
    }
    notes = [f"kernel_density and original were timed on a part of the images and scaled to {sizes['valid']:,}"]
    if device.type == "cpu" and threads > 1:
        shared = common.ratio([t / threads for t in full["kernel_density"]], ours)
        ratios[f"kernel_density / evaluate, were it spread over {threads} cores without loss"] = shared
    return {
        "data": source,
        "sizes": {**sizes, "sigmas": len(parzen.PAPER_SIGMAS), "dimensions": here["samples"].shape[1]},
        "ratios": ratios,
        "seconds": {name: common.spread(values) for name, values in times.items()},
        "scaled": scaled,
        "greatest_difference_nats": apart,
        "result": str(evaluate(**here)),
        "rounds": times,
        "notes": notes,
    }


main = partial(common.run, "parzen", common.parser(__doc__ or "", seconds=1.0), measure)


if __name__ == "__main__":
    main(sys.argv[1:])
