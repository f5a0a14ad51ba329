"""How far a Parzen score moves when the same generator draws other samples.

Table 1's score is of one draw. Its +- is the standard error over test images and knows nothing of the draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ganlib import data
from ganlib.lab.measure import VALIDATION_IMAGES
from ganlib.lab.studies.common import (
    Outcome,
    Say,
    check_digits,
    check_file_names,
    check_positive,
    check_types,
    figure,
    listed,
)
from ganlib.lab.studies.image_sets import generators
from ganlib.metrics import parzen

PROTOCOL = (
    "the paper's: sigma chosen on the first validation images for every draw anew, the mean log-likelihood of the test "
    "images, pixels in [0, 1]"
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of the draws.

    Parameters
    ----------
    data : "mnist", or "digits" for a quick look.
    weights : generators by ``reproduce``, file names in the folder without ".safetensors", separated by commas; may be
        empty.
    vae : a decoder's file, with its ending, or empty.
    samples : images a draw.
    draws : of every generator, at least 2.
    seed : of the first draw; the i-th has seed + i.

    Raises
    ------
    TypeError, ValueError
        If one is of another type, or impossible.
    """

    data: str = "mnist"
    weights: str = "mnist-paper-seed0,mnist-paper-seed1,mnist-paper-averaged-seed0,mnist-paper-averaged-seed1"
    vae: str = "vae.safetensors"
    samples: int = 10_000
    draws: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_positive(self, "samples")
        check_file_names(self.weights, self.vae)
        check_digits(self.data)
        if self.draws < 2:
            raise ValueError(f"draws is {self.draws}; a standard deviation over draws needs at least 2")


def study(settings: Settings, device: torch.device, folder: Path, say: Say) -> Outcome:
    """Score every draw; errors as `ganlib.data.load` and `ganlib.lab.studies.image_sets.generators`."""
    inputs: dict[str, str] = {}
    seeds = range(settings.seed, settings.seed + settings.draws)
    names = listed(settings.weights)
    drawing = generators(settings.data, names, settings.vae, settings.samples, seeds, folder, device, inputs)
    splits = {name: data.load(settings.data, name).flattened().to(device) for name in ("valid", "test")}
    valid, test = (each.floats() for each in splits.values())
    sets = {}
    for each in drawing:
        found = [parzen.evaluate(images, valid[:VALIDATION_IMAGES], test) for images in each.draws]
        values = [one.mean for one in found]
        mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
        counted = f"draws of {settings.samples:,} samples"
        sets[each.name] = {
            "what": each.what,
            "log_likelihood": figure(mean, "nats", len(values), counted, spread, "standard deviation over draws"),
            "values": values,
            "standard_errors_over_test_images": [one.standard_error for one in found],
            "sigmas": [one.sigma for one in found],
        }
        remarks = [f". {one.remark}" for one in found if one.remark][:1]
        say(f"{each.name}: {mean:.1f} nats, standard deviation over {counted} {spread:.2f}{''.join(remarks)}")
    figures = {"protocol": PROTOCOL, "sampling_seeds": list(seeds), "sets": sets}
    return Outcome(figures, list(splits.values()), inputs=inputs)
