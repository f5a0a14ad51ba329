"""Figure 2: random samples of trained generators, and the training example nearest to the last one of each row.

The samples are the first draws of a seed, none left out. Nearest is in the space the networks see: pixels, or
contrast-normalised pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganlib.data.images import Images
from ganlib.lab import runs
from ganlib.lab.generators import open_trained
from ganlib.lab.measure import to_unit
from ganlib.lab.studies.common import Outcome, Say, check_positive, check_types, picture_file, read
from ganlib.metrics.neighbours import nearest
from ganlib.sampling import sample


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of the pictures.

    Parameters
    ----------
    weights : generators by ``reproduce``, file names in the folder without ".safetensors", separated by commas.
    rows, columns : of samples.
    seed : of the draw.

    Raises
    ------
    TypeError, ValueError
        If one is of another type, or impossible.
    """

    weights: str = "mnist-paper-seed0,cifar10-fc-small-seed0,cifar10-conv-small-seed0"
    rows: int = 5
    columns: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_positive(self, "rows", "columns")
        if not all(self.names) or len(set(self.names)) < len(self.names):
            raise ValueError(f"weights is {self.weights!r}; give different file names without their ending")

    @property
    def names(self) -> list[str]:
        """The generators' names."""
        return self.weights.split(",")


def study(settings: Settings, device: torch.device, folder: Path, say: Say) -> Outcome:
    """Draw and look for neighbours; see `ganlib.lab.studies`."""
    inputs: dict[str, str] = {}
    paths = {name: read(folder, f"{name}.safetensors", inputs) for name in settings.names}
    trained = {name: open_trained(path)[0] for name, path in paths.items()}
    for name, each in trained.items():
        if each.run.channels == 0:
            raise ValueError(f"{name} is of {each.run.data}, which has no pictures; leave it out of weights")
        each.check_data()
    splits: dict[str, Images] = {}
    pictures: dict[str, Tensor] = {}
    found: dict[str, Any] = {}
    for name, each in trained.items():
        run = each.run
        training = runs.load_data(run, device)
        assert isinstance(training, Images)
        generator, count = each.generator(device=device), settings.rows * settings.columns
        drawn = sample(generator, runs.latent(run), count, seed=settings.seed)
        beside = drawn[settings.columns - 1 :: settings.columns]
        index, distance = nearest(beside.flatten(1), training.floats().flatten(1))
        pictures[f"{name}_samples"] = to_unit(run, drawn)
        pictures[f"{name}_neighbours"] = training.pixels[index].float() / 255
        splits[training.name] = training
        found[name] = {
            "run": run.name,
            "iteration": each.iteration,
            "neighbours": index.tolist(),
            "distances": [float(f"{value:.6g}") for value in distance.tolist()],
        }
        say(f"{name}: {len(drawn)} samples, the nearest of {len(training):,} training images beside each row")
    shown = "samples of contrast-normalised images are stretched to [0, 1] one by one"
    nearness = "Euclidean, in the space the networks see; columns count from the left, rows from the top"
    figures = {"shown": shown, "distance_is": nearness, "sets": found}
    return Outcome(figures, list(splits.values()), {"figure2.npz": picture_file(pictures)}, inputs)
