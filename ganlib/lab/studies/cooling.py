"""What does a falling rate add at the end of a run? Finished runs gone on with at a tenth and at a hundredth of it.

The published rate falls by less than half in 250 epochs, and a generator at such a rate moves about and does not come
to rest. Averaging its weights along the way ends that in one way; a rate that falls to nearly nothing ends it in
another. A run's last checkpoint has the discriminator and the momentum with the generator: training can go on from it.
"""

from __future__ import annotations

import itertools
import re
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ganlib import data, limits
from ganlib.errors import CheckpointError
from ganlib.lab.generators import Trained, open_trained
from ganlib.lab.measure import SAMPLES
from ganlib.lab.studies import judging
from ganlib.lab.studies.common import (
    Outcome,
    Say,
    check_positive,
    check_types,
    check_unchanged,
    listed,
    read,
    side_by_side,
)
from ganlib.lab.studies.judging import Judge
from ganlib.lab.training import Training
from ganlib.metrics.features import ASSETS, WEIGHTS

BEFORE, COOLED, CONTROL = "before", "cooled", "the same rate"
COLUMNS = ("iteration", "sigma", "validation log-likelihood (nats)", "mean D on real images", "mean D on samples")
PROTOCOL = (
    "a finished run is gone on with from its last checkpoint, D and momentum included, once with both rates multiplied "
    "by each factor in turn, and once, as a control, as long at the run's own rates. Nothing is chosen: the generators "
    f"that are measured are those at the end of each part. {judging.SAID}. Mean D is over the iterations since the "
    "last point, with dropout"
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of what is gone on with, and how.

    Parameters
    ----------
    trained : folders, in the study's own, of finished runs like mnist-paper, of one seed each, separated by commas.
    factors : of both rates, one part of training each, in (0, 1), separated by commas.
    epochs : of each part, separated by commas, as many.
    points : epochs between points of the curves; it divides each part.
    samples : drawn from each generator, >= 4.

    Raises
    ------
    TypeError, ValueError
        If one is of another type, or impossible.
    """

    trained: str = "mnist-paper-alternating-seed0"
    factors: str = "0.1,0.01"
    epochs: str = "20,10"
    points: int = 2
    samples: int = SAMPLES

    def __post_init__(self) -> None:
        check_types(self)
        check_positive(self, "points")
        names = listed(self.trained)
        if not names or len(set(names)) < len(names) or not all(re.fullmatch(r"\w[\w.-]*", name) for name in names):
            raise ValueError(f"trained is {self.trained!r}; give different names of folders, as in 'one,other'")
        if self.samples < 4:
            raise ValueError(f"samples is {self.samples}; give at least 4")
        for name, pattern in (("factors", r"[0-9.e-]+"), ("epochs", r"\d+")):
            if not re.fullmatch(f"{pattern}(,{pattern})*", getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)!r}; give numbers, separated by commas")
        if len(self.lengths) != len(self.shares):
            raise ValueError(f"factors is {self.factors!r}, epochs {self.epochs!r}; give as many of both")
        for length in self.lengths:
            limits.check("each of the epochs", length)
            if length % self.points:
                raise ValueError(f"epochs is {self.epochs!r}, points {self.points}; give points that divide each")

    @property
    def shares(self) -> list[float]:
        """The factors as numbers."""
        return [limits.real("each of the factors", float(factor), "(0, 1)") for factor in self.factors.split(",")]

    @property
    def lengths(self) -> list[int]:
        """The epochs as numbers."""
        return [int(length) for length in self.epochs.split(",")]


def study(settings: Settings, device: torch.device, folder: Path, say: Say) -> Outcome:
    """Go on with each run twice, measure at the end of each part.

    Errors as `ganlib.data.load`; CheckpointError if a folder holds no finished run of one seed on such digits, or one
    that was trained on other images than those here; FileNotFoundError if it is not there.
    """
    inputs: dict[str, str] = {}
    read(ASSETS, WEIGHTS, inputs)
    runs = {name: _finished(folder, name) for name in listed(settings.trained)}
    first = next(iter(runs.values())).run
    splits = {split: data.load(first.data, split).flattened().to(device) for split in data.SPLITS}
    jobs = [
        (settings, folder / name, cooled, device.type, splits["train"].sha256)
        for name, cooled in itertools.product(runs, (True, False))
    ]
    found: dict[str, Any] = {}
    for (_, path, cooled, *_), one in zip(jobs, side_by_side(_go_on, jobs, device), strict=True):
        each = found.setdefault(
            path.name,
            {
                "run": runs[path.name].run.name,
                "seed": runs[path.name].seeds[0],
                "iteration": runs[path.name].iteration,
                "checkpoint_sha256": runs[path.name].checkpoint.sha256,
            },
        )
        if cooled:
            each[BEFORE] = one["before"]
        each[COOLED if cooled else CONTROL] = {name: one[name] for name in ("curve", "parts")}
        ends = ", ".join(f"{part['figures']['log_likelihood']['value']:.1f}" for part in one["parts"])
        before = one["before"]["log_likelihood"]["value"]
        say(f"{path.name}, {COOLED if cooled else CONTROL}: {before:.1f}, then {ends} nats on the test images")
    return Outcome(
        {"protocol": PROTOCOL, "columns": list(COLUMNS), "by_run": found}, list(splits.values()), inputs=inputs
    )


def _finished(folder: Path, name: str) -> Trained:
    if not (folder / name).is_dir():
        raise FileNotFoundError(
            f"{folder / name} is not there; give the folder that holds the runs' folders with --folder, and make one "
            f"with `python -m ganlib reproduce {name.partition('-seed')[0]} --out {folder / name}`"
        )
    trained, _ = open_trained(folder / name)
    run, path = trained.run, trained.checkpoint.path
    problem = (
        f"it is of {run.nets!r} nets on {run.data!r}"
        if run.nets != "paper" or run.data not in ("digits", "mnist") or run.optimiser != "sgd"
        else f"it ends at iteration {trained.iteration:,} of {run.iterations:,}"
        if trained.iteration != run.iterations
        else f"it has seeds {', '.join(map(str, trained.seeds))}"
        if len(trained.seeds) > 1
        else "it holds a generator alone"
        if not any(tensor.startswith("discriminator.") for tensor in trained.checkpoint.tensors)
        else ""
    )
    if problem:
        raise CheckpointError(
            f"{path} cannot be gone on with: {problem}; give a finished run of one seed on digits, like mnist-paper's"
        )
    trained.check_data()
    return trained


def _go_on(settings: Settings, path: Path, cooled: bool, device: str, sha256: str) -> dict[str, Any]:
    """A run gone on with, its curve, and the figures before and at the end of each part; in a process of its own."""
    trained, _ = open_trained(path)
    run, seed = trained.run, trained.seeds[0]
    state = {name: tensor for name, tensor in trained.checkpoint.tensors.items() if name != "curves"}
    splits = {split: data.load(run.data, split).flattened().to(device) for split in ("valid", "test")}
    judge = Judge(splits["valid"], splits["test"])
    curve: list[list[float]] = []
    parts: list[dict[str, Any]] = []
    before: dict[str, Any] | None = None
    for factor, epochs in zip(settings.shares, settings.lengths, strict=True):
        factor = factor if cooled else 1.0
        after = curve[-1][0] if curve else trained.iteration
        part = replace(
            run,
            d_lr=run.d_lr * factor,
            g_lr=run.g_lr * factor,
            lr_floor=run.lr_floor * factor,
            iterations=int(after) + epochs * run.epoch_length,
            every=settings.points * run.epoch_length,
        )
        with redirect_stdout(sys.stderr):  # which device it is on
            training = Training(part, seeds=[seed], device=device)
        check_unchanged(training, sha256)
        training.load(state)
        if before is None:
            before = judge.figures(judge.drawn(training, settings.samples))
        for (report,) in training.reports():
            sigma, score = judge.score(judge.drawn(training, settings.samples))
            numbers = [float(f"{number:.7g}") for number in (sigma, score, report.d_real, report.d_fake)]
            curve.append([report.iteration, *numbers])
        state = {name: tensor.clone() for name, tensor in training.state().items()}
        figures = judge.figures(judge.drawn(training, settings.samples))
        parts.append({"factor": factor, "epochs": epochs, "iteration": training.iteration, "figures": figures})
    return {"before": before, "curve": curve, "parts": parts}
