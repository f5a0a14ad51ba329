"""The generators that a run leaves on its way, the choice of one of them on validation images, and their average.

The original's MNIST run was stopped by hand, so when to stop is a choice, and it must not be made on test images. A run
that is reproduced keeps about fifty generators, in the half precision in which one of them will be published; the one
with the best validation score is measured on the test images, once.

A generator at a constant learning rate moves about and does not come to rest. The average of its weights along the way
(Polyak and Juditsky, 1992; for GANs Yazici et al., 2019) is a second generator from the same training, at no cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from ganlib.data import files
from ganlib.data.images import Images
from ganlib.errors import CheckpointError
from ganlib.lab import measure
from ganlib.lab.generators import open_trained, save_generator
from ganlib.lab.history import INPUTS
from ganlib.lab.runs import Run
from ganlib.lab.settings import FAMILIES
from ganlib.lab.training import Training
from ganlib.toys import Mixture

SNAPSHOTS = 50
# The last so many snapshots are tried as an average; which number, the validation images say.
AVERAGED = (1, 2, 5, 10, 20, 30, 40, 50)


@dataclass(frozen=True)
class Choice:
    """A seed's snapshots: the one to measure, and the scores it was chosen by.

    Parameters
    ----------
    path, iteration : the chosen file and how far it was trained.
    curve : (iteration, sigma, validation score) of each snapshot, in order; empty for toy data, whose last is taken.
    """

    path: Path
    iteration: int
    curve: tuple[tuple[int, float, float], ...]


def spacing(run: Run) -> int:
    """Iterations between a run's snapshots: a fiftieth of the run, in whole reports; toy data keep the last only.

    Examples
    --------
    >>> from ganlib.lab import runs
    >>> spacing(runs.get("mnist-paper", {"iterations": 125_000}))
    2500
    """
    if run.channels == 0:
        return run.iterations
    return -(-run.iterations // (SNAPSHOTS * run.every)) * run.every


def wanted(run: Run) -> tuple[int, ...]:
    """The iterations of a run's snapshots: every `spacing`, and its end. Others in the folder do not count.

    Examples
    --------
    >>> from ganlib.lab import runs
    >>> wanted(runs.get("mnist-paper", {"iterations": 101, "every": 25}))
    (25, 50, 75, 100, 101)
    """
    return (*range(spacing(run), run.iterations, spacing(run)), run.iterations)


def same(one: Run, other: Run) -> bool:
    """Whether two runs are one but for their length: what a run does at an iteration, those that follow do not change.

    Where a pretrained generator is kept, and what is said of the settings' source, do not count either.
    """
    return replace(one, iterations=other.iterations, pretrained=other.pretrained, source=other.source) == other


def keep(folder: str | Path, training: Training) -> None:
    """Write every seed's generator under ``folder``, if the run is at one of the `wanted` iterations."""
    run, at = training.run, training.iteration
    if at not in wanted(run):
        return
    for seed in training.seeds:
        save_generator(_path(folder, seed, at), run, seed, training.networks(seed)[0], at, training.inputs)


def clear(folder: str | Path, seeds: Iterable[int]) -> None:
    """Delete what killed processes left half written among the snapshots of these seeds."""
    for seed in seeds:
        files.clear(_path(folder, seed, 0).parent)


def check(folder: str | Path, run: Run, seeds: Iterable[int], done: int) -> None:
    """Refuse a run that cannot have all its snapshots at its end, because some up to iteration ``done`` are not there.

    The end's own is not asked for: `keep` can still write it. Without this, which snapshots there are to choose from
    would depend on what happened to the folder before.

    Raises
    ------
    CheckpointError
        Naming the first one that is missing, and the remedy.
    """
    for seed in seeds:
        for at in wanted(run):
            if at <= done and at != run.iterations and not _path(folder, seed, at).is_file():
                raise _missing(folder, run, seed, at)


def choose(
    folder: str | Path,
    run: Run,
    seed: int,
    data: Mapping[str, Images | Mixture],
    *,
    device: torch.device | str = "cpu",
    samples: int = measure.SAMPLES,
    inputs: Mapping[str, str | None] | None = None,
) -> Choice:
    """The snapshot of a seed with the best score on validation images; of toy data the last.

    Parameters
    ----------
    folder : where `keep` wrote.
    run, seed : whose.
    data : from `ganlib.lab.measure.held_out`; "test" is not looked at.
    device : where ``data`` are.
    samples : drawn from each generator, with seed 0.
    inputs : `Training.inputs` of the run: snapshots trained on other data are refused. None asks of each that it is of
        the same as the last one.

    Raises
    ------
    CheckpointError
        If one of the `wanted` snapshots is not there, or is not of this run and these data.
    Diverged
        If a sample is not finite.
    """
    found = _found(folder, run, seed)
    inputs = _inputs(found[-1][1]) if inputs is None else inputs
    if run.channels == 0:
        _generator(found[-1][1], run, seed, run.iterations, inputs)
        return Choice(found[-1][1], found[-1][0], ())
    curve = []
    for at, path in found:
        generator = _generator(path, run, seed, at, inputs).to(device)
        sigma, score = measure.validation_score(run, generator, data, samples=samples)
        curve.append((at, sigma, score))
    best = max(range(len(curve)), key=lambda i: curve[i][2])  # the first of equals
    return Choice(found[best][1], found[best][0], tuple(curve))


def can_average(run: Run) -> bool:
    """Whether averages are made: of images, and without batch normalisation, whose statistics are no weights."""
    return run.channels > 0 and not FAMILIES[run.nets].batch_norm


def choose_average(
    folder: str | Path,
    run: Run,
    seed: int,
    data: Mapping[str, Images | Mixture],
    to: str | Path,
    *,
    device: torch.device | str = "cpu",
    samples: int = measure.SAMPLES,
    inputs: Mapping[str, str | None] | None = None,
) -> Choice:
    """Average the weights of the last snapshots, of as many as the validation images like best, into the file ``to``.

    Returns
    -------
    Choice
        Of ``to`` and the run's last iteration; its curve has the numbers of snapshots averaged, from `AVERAGED`, in
        place of iterations.

    Raises
    ------
    ValueError
        If averages are not made of this run's generators, see `can_average`.
    CheckpointError, Diverged
        As `choose`.
    """
    if not can_average(run):
        raise ValueError(f"{run.name}: toy data and batch normalisation are left out of averaging; use choose")
    found = _found(folder, run, seed)
    inputs = _inputs(found[-1][1]) if inputs is None else inputs
    curve: list[tuple[int, float, float]] = []
    best, mean = None, _generator(found[-1][1], run, seed, run.iterations, inputs).to(device)
    # On the CPU, where the files are read: not every device has float64.
    total = {name: torch.zeros(tensor.shape, dtype=torch.float64) for name, tensor in mean.state_dict().items()}
    for count, (at, path) in enumerate(reversed(found), 1):
        for name, tensor in _generator(path, run, seed, at, inputs).state_dict().items():
            total[name] += tensor
        if count not in AVERAGED:
            continue
        mean.load_state_dict({name: (tensor / count).half().float() for name, tensor in total.items()})
        sigma, score = measure.validation_score(run, mean, data, samples=samples)
        if not curve or score > max(each[2] for each in curve):
            best = {name: tensor.clone() for name, tensor in mean.state_dict().items()}
            record = {"snapshots_averaged": count, **inputs}
        curve.append((count, sigma, score))
    assert best is not None
    mean.load_state_dict(best)
    save_generator(to, run, seed, mean, run.iterations, record)
    return Choice(Path(to), run.iterations, tuple(curve))


def _found(folder: str | Path, run: Run, seed: int) -> list[tuple[int, Path]]:
    """A seed's snapshots, in order: those `wanted`, whatever else lies in the folder."""
    found = [(at, _path(folder, seed, at)) for at in wanted(run)]
    for at, path in found:
        if not path.is_file():
            raise _missing(folder, run, seed, at)
    return found


def _inputs(path: Path) -> dict[str, str | None]:
    """What a snapshot says that its run read; nothing of it if it is older than that."""
    record = open_trained(path)[0].checkpoint.record
    return {name: record[name] for name in INPUTS if name in record}


def _path(folder: str | Path, seed: int, at: int) -> Path:
    return Path(folder, f"seed-{seed}", f"iteration-{at:09}.safetensors")


def _missing(folder: str | Path, run: Run, seed: int, at: int) -> CheckpointError:
    every = f"every {spacing(run):,} iterations" if run.channels else "at its end"
    return CheckpointError(
        f"{folder} has no snapshot of {run.name} at iteration {at}, seed {seed}: a run of {run.iterations} keeps one "
        f"{every}, but this one was trained without them, or was shorter. Give an empty folder with --out and "
        "reproduce again"
    )


def _generator(path: Path, run: Run, seed: int, at: int, inputs: Mapping[str, str | None]) -> nn.Module:
    """What a snapshot holds, once it is known to be this run's at that iteration, on those data if it says on which."""
    trained, _ = open_trained(path)
    said = {name: trained.checkpoint.record.get(name, inputs[name]) for name in inputs}
    if trained.seeds != (seed,) or trained.iteration != at or not same(trained.run, run) or said != inputs:
        raise CheckpointError(f"{path} is of another run or of other data; remove the folder and train again")
    return trained.generator(seed)
