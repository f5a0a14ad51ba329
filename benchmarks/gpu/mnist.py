"""Seeds of the paper's MNIST run trained at once, scored by the paper's Parzen protocol on the way.

How many epochs fit the time is found by measuring, and found again at every score. A run cut short is the beginning of
the run asked for: what happens at an iteration does not depend on how many follow.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from statistics import median
from typing import Any

import torch

from benchmarks.gpu.record import Record, memory
from benchmarks.loop import available
from ganlib.algorithm1 import Report
from ganlib.lab import measure, runs
from ganlib.lab.runs import Run
from ganlib.lab.training import Training

EPOCHS, SEEDS, SCORED_EVERY = 500, 10, 25
SMALL = {"width": 64, "units": 16, "m": 50, "examples": 1000}
RESERVE = 8.0  # seconds kept for the last score and the file
COLUMNS = ["epoch", "validation_nats", "test_nats", "test_standard_error", "sigma", "d_loss", "g_loss"]


def run(record: Record, device: torch.device, small: bool, name: str = "mnist-paper") -> None:
    """Train all seeds side by side; only small numbers may stand on other data than MNIST."""
    here = available(name, SMALL) if small else nullcontext((runs.get(name), ""))
    with here as (named, _):
        length = named.epoch_length
        asked = replace(named, iterations=(3 if small else EPOCHS) * length, every=length)
        Scored(record, asked, device, seeds=2 if small else SEEDS, samples=200 if small else measure.SAMPLES).train()


class Scored:
    """The training, its scores by seed, and what is known of its speed."""

    def __init__(self, record: Record, run: Run, device: torch.device, seeds: int, samples: int) -> None:
        self.record, self.run, self.samples = record, run, samples
        self.epochs = run.iterations // run.every
        self.scored_every = min(SCORED_EVERY, self.epochs)
        self.training = Training(run, seeds=range(seeds), device=device)
        self.data = measure.held_out(run, device)
        self.curves: dict[str, list[list[float]]] = {str(seed): [] for seed in self.training.seeds}
        self.seconds: list[float] = []  # of every epoch
        self.scoring: list[float] = []  # of every score of all seeds
        record.put(
            run=runs.as_dict(run),
            data=[repr(each) for each in (self.training.data, *self.data.values())],
            seeds=list(self.training.seeds),
            precision=self.training.precision,
            samples=samples,
            epochs_asked=self.epochs,
            protocol="sigma chosen among the paper's ten widths on the first 1,000 validation images, nats on the test "
            "images; weights in float32. chosen: the epoch that is best on the validation images",
            columns=COLUMNS,
        )

    def train(self) -> None:
        """To the last epoch that fits the time, scoring after the first, every few, and the last."""
        last, before = self.epochs, time.monotonic()
        for reports in self.training.reports():  # it waits for the device
            epoch, now = self.training.iteration // self.run.every, time.monotonic()
            self.seconds.append(now - before)
            if epoch in (1, last) or epoch % self.scored_every == 0 or self._must_stop():
                self._score(epoch, reports)
                last = self._plan(epoch)
                self._put(epoch, last)
            if epoch >= last:
                break
            before = time.monotonic()

    def _must_stop(self) -> bool:
        return self.record.left < RESERVE + max(self.scoring) + self.seconds[-1]

    def _plan(self, epoch: int) -> int:
        """The last epoch: the one asked for, or as many more as the time is enough for."""
        recent = self.seconds[1:][-self.scored_every :] or self.seconds  # the first one captures
        each = median(recent) + median(self.scoring[-3:]) / self.scored_every
        left = self.record.left - RESERVE - max(self.scoring)
        return min(self.epochs, epoch + max(int(left / each), 0))

    def _score(self, epoch: int, reports: list[Report]) -> None:
        start = time.monotonic()
        for seed, report in zip(self.training.seeds, reports, strict=True):
            found = measure.measure(self.run, self.training.networks(seed)[0], self.data, samples=self.samples)
            score, sigma = (found["figures"][name] for name in ("log_likelihood", "sigma"))
            on_validation = max(found["details"]["validation_log_likelihoods"])
            row = [epoch, on_validation, score["value"], score["plus_minus"], sigma["value"]]
            self.curves[str(seed)].append([*row, report.d_loss, report.g_loss])
        self.scoring.append(time.monotonic() - start)

    def _put(self, epoch: int, last: int) -> None:
        chosen = {seed: max(rows, key=lambda row: row[1]) for seed, rows in self.curves.items()}
        ends = {seed: rows[-1] for seed, rows in self.curves.items()}
        trained = self.seconds[1:] or self.seconds
        shortened = None
        if last < self.epochs:
            shortened = f"at {median(trained):.3g} s an epoch the time was enough for {last} of {self.epochs} epochs"
        self.record.put(
            epochs_done=epoch,
            epochs_planned=last,
            shortened=shortened,
            iterations_per_second=self.run.every / median(trained),
            seconds_of_scoring=sum(self.scoring),
            bytes_held_at_most=memory(self.training.device),
            curves=self.curves,
            chosen={"by_seed": chosen, "test_nats": across(chosen)},
            last={"by_seed": ends, "test_nats": across(ends)},
        )


def across(rows: dict[str, list[float]]) -> dict[str, Any]:
    """Mean and standard deviation over seeds of the score on test images."""
    figures = [
        {"figures": {"nats": {"value": row[COLUMNS.index("test_nats")], "unit": "nats"}}} for row in rows.values()
    ]
    return measure.across_seeds(figures)["nats"]
