"""The first samples of trained generators, as pictures: what a page shows of them without their weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ganlib import data
from ganlib.lab.studies.common import (
    Outcome,
    Say,
    check_file_names,
    check_positive,
    check_types,
    listed,
    picture_file,
)
from ganlib.lab.studies.image_sets import generators


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of the pictures.

    Parameters
    ----------
    data : what the generators were trained on.
    weights : generators by ``reproduce``, file names in the folder without
        ".safetensors", separated by commas; may be empty.
    vae : a decoder's file, with its ending, or empty.
    samples : of each.
    seed : of the draw; generators with the same latent are given the same z.

    Raises
    ------
    TypeError, ValueError
        If one is of another type, or impossible.
    """

    data: str = "mnist"
    weights: str = "mnist-paper-seed0,mnist-paper-averaged-seed0"
    vae: str = "vae.safetensors"
    samples: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_positive(self, "samples")
        check_file_names(self.weights, self.vae)


def study(settings: Settings, device: torch.device, folder: Path, say: Say) -> Outcome:
    """Draw; errors as `ganlib.data.load` and `ganlib.lab.studies.image_sets.generators`."""
    trained_on = data.load(settings.data)  # nothing of it is shown: its hash belongs to the pictures
    inputs: dict[str, str] = {}
    names = listed(settings.weights)
    drawing = generators(settings.data, names, settings.vae, settings.samples, [settings.seed], folder, device, inputs)
    pictures, what = {}, {}
    for each in drawing:
        pictures[each.name] = each.draws[0].unflatten(1, (28, 28))
        what[each.name] = each.what
        say(f"{each.name}: {settings.samples} {each.what}")
    figures = {"shown": "the first draws of the seed, none left out, in 256 levels", "sets": what}
    return Outcome(figures, [trained_on], {"samples.npz": picture_file(pictures)}, inputs)
