"""A trained generator as a file: read back from a run's checkpoint, or written alone in half precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ganlib import limits
from ganlib.data import files
from ganlib.data.images import Images
from ganlib.errors import CheckpointError
from ganlib.lab import checkpoint, history, runs
from ganlib.lab.runs import Run
from ganlib.nets import weights
from ganlib.nets.weights import Checkpoint


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
        saved = {
            n.removeprefix("generator."): t for n, t in self.checkpoint.tensors.items() if n.startswith("generator.")
        }
        if len(self.seeds) > 1:
            count, index = len(self.seeds), self.seeds.index(seed)
            if wrong := [name for name, tensor in saved.items() if tensor.shape[:1] != (count,)]:
                raise CheckpointError(f"{self.checkpoint.path}: {', '.join(wrong[:5])} is not of {count} seeds")
            saved = {name: tensor[index] for name, tensor in saved.items()}
        whose = f"{self.run.name}'s generator"
        return (
            weights.filled(lambda: runs.networks(self.run, 0, None)[0], saved, self.checkpoint.path, whose)
            .to(device)
            .eval()
        )

    def check_data(self) -> None:
        """Refuse data to measure by if the training images among them are not those that it was trained on.

        A checkpoint that does not say on which it was is believed; toy data are sampled afresh.

        Raises
        ------
        CheckpointError
            Naming the file, both hashes and the remedy.
        """
        if self.checkpoint.record.get("data_sha256") is not None:
            data = runs.load_data(self.run)
            history.check_input(self.checkpoint, "data_sha256", data.sha256 if isinstance(data, Images) else None)


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
        found = weights.load(path)
    settings = dict(found.settings)
    seeds = settings.pop("seeds", None)
    own = {each.name for each in fields(Run)}
    try:
        run = Run(**{name: value for name, value in settings.items() if name not in ("precision", "device")})
        if own - settings.keys() or not seeds or not isinstance(seeds, list):
            raise ValueError(f"it lacks {', '.join(sorted(own - settings.keys())) or 'seeds'}")
        if not all(type(seed) is int for seed in seeds) or len(set(seeds)) < len(seeds):
            raise ValueError(f"its seeds are {limits.shown(seeds)}; they must be different integers")
        for seed in seeds:
            limits.check("seed", seed, *limits.TORCH_SEEDS)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{found.path}: its settings are not a run of this version of ganlib ({error})"
        ) from error
    return Trained(run, tuple(seeds), found.iteration, found), refused


def save_generator(
    path: str | Path, run: Run, seed: int, generator: nn.Module, iteration: int, record: Mapping[str, Any] | None = None
) -> Path:
    """Write one seed's generator in half precision, as a checkpoint that `open_trained` reads.

    Training cannot go on from it: optimiser and discriminator are not in it. ``record`` is kept with it, fit for JSON.
    """
    tensors = {f"generator.{name}": tensor for name, tensor in weights.half(generator.state_dict()).items()}
    settings = runs.as_dict(run) | {"seeds": [seed]}
    if run.pretrained:
        settings["pretrained"] = Path(run.pretrained).name  # no folder of this machine
    return files.write(path, weights.serialised(iteration, tensors, settings, {"only": "generator", **(record or {})}))
