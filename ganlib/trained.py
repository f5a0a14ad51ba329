"""A trained generator as a file: read back from a run's checkpoint, or written alone in half precision."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlib import checkpoint, runs
from ganlib.checkpoint import Checkpoint, CheckpointError
from ganlib.runs import Run


@dataclass(frozen=True)
class Trained:
    """A run read back from a checkpoint.

    Parameters
    ----------
    run, seeds : what was trained.
    iteration : how far.
    checkpoint : the file's content.
    """

    run: Run
    seeds: tuple[int, ...]
    iteration: int
    checkpoint: Checkpoint

    def generator(self, seed: int | None = None, device: torch.device | str = "cpu") -> nn.Module:
        """The generator of one seed, the first by default, in evaluation mode.

        Raises
        ------
        ValueError
            If the run was not trained with that seed.
        CheckpointError
            If the weights are not those of the run's generator.
        """
        seed = self.seeds[0] if seed is None else seed
        if seed not in self.seeds:
            raise ValueError(f"no seed {seed} in {self.checkpoint.path}; it has {', '.join(map(str, self.seeds))}")
        net = runs.networks(self.run, seed, None)[0]  # every weight is replaced below
        saved = {
            n.removeprefix("generator."): t for n, t in self.checkpoint.tensors.items() if n.startswith("generator.")
        }
        if len(self.seeds) > 1:
            saved = {name: tensor[self.seeds.index(seed)] for name, tensor in saved.items()}
        wanted = net.state_dict()
        if {n: t.shape for n, t in saved.items()} != {n: t.shape for n, t in wanted.items()}:
            raise CheckpointError(f"{self.checkpoint.path}: its weights are not those of {self.run.name}'s generator")
        net.load_state_dict(saved)  # copies, so half precision becomes the net's float32
        return net.to(device).eval()


def open_trained(path: str | Path) -> tuple[Trained, list[CheckpointError]]:
    """Read a trained run from a checkpoint, or from the newest complete one in a folder.

    Returns
    -------
    Trained
        Of every seed.
    list of CheckpointError
        Newer files in the folder that were refused: report them.

    Raises
    ------
    CheckpointError
        If there is none, it cannot be used, or its settings are not a run of this version.
    """
    refused: list[CheckpointError] = []
    if Path(path).is_dir():
        found, refused = checkpoint.newest(path)
        if found is None:
            raise refused[0] if refused else CheckpointError(f"{path}: no checkpoint in this folder")
    else:
        found = checkpoint.load(path)
    settings = dict(found.settings)
    seeds = settings.pop("seeds", None)
    own = {each.name for each in fields(Run)}
    try:
        run = Run(**{name: value for name, value in settings.items() if name not in ("precision", "device")})
        if own - settings.keys() or not seeds or not all(type(seed) is int for seed in seeds):
            raise ValueError(f"it lacks {', '.join(sorted(own - settings.keys())) or 'seeds'}")
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{found.path}: its settings are not a run of this version of ganlib ({error})"
        ) from error
    return Trained(run, tuple(seeds), found.iteration, found), refused


def save_generator(
    path: str | Path, run: Run, seed: int, generator: nn.Module, iteration: int, record: Mapping[str, Any] | None = None
) -> Path:
    """Write one seed's generator in half precision, as a checkpoint that `open_trained` reads.

    A tensor beyond half precision's range keeps its own. Training cannot go on from it: optimiser and discriminator
    are not in it. ``record`` is kept with it, fit for JSON.
    """
    path = Path(path)
    tensors = {f"generator.{name}": _half(tensor) for name, tensor in generator.state_dict().items()}
    settings = runs.as_dict(run) | {"seeds": [seed]}
    if run.pretrained:
        settings["pretrained"] = Path(run.pretrained).name  # no folder of this machine
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".generator-", dir=path.parent) as folder:
        os.replace(checkpoint.save(folder, iteration, tensors, settings, {"only": "generator", **(record or {})}), path)
    return path


def _half(tensor: Tensor) -> Tensor:
    half = tensor.detach().half() if tensor.dtype == torch.float32 else tensor.detach()
    return half if half.isfinite().all() else tensor.detach()
