"""A long run and what it needs around it: checkpoints, exact resuming, interruption, curves and logs.

A run keeps a folder. Its newest checkpoint holds everything its future depends on, so a run stopped at any moment, even
by SIGKILL, and resumed ends with the bits of one never stopped (on the same device, with as many threads; on CUDA but
for overlapping max pooling, in cifar10-conv, whose gradient torch adds up in no fixed order).
"""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from filelock import BaseFileLock

from ganlib.algorithm1 import Report
from ganlib.data import files
from ganlib.errors import CheckpointError, Interrupted
from ganlib.lab import checkpoint, history, lock, results, runs, snapshots
from ganlib.lab.speed import distributed
from ganlib.lab.training import Training


class Runner:
    """A training with a folder.

    Parameters
    ----------
    training : what to run.
    folder : where its checkpoints are; None keeps none.
    resume : go on from the folder's newest complete checkpoint if there is one.
    save_every : iterations between checkpoints, rounded up to whole reports; 0 makes about a hundred a run. The end and
        an interruption are always saved.
    snapshots : where generators are kept on the way, see `ganlib.lab.snapshots`; None keeps none.

    Raises
    ------
    CheckpointError
        If the folder holds a run and ``resume`` is not asked for, if that run has other settings (they are listed; only
        ``iterations`` may differ, for a run may be lengthened) or was trained on other data or another pretrained
        generator, if no checkpoint in it can be read, or if another process trains in it.
    """

    def __init__(
        self,
        training: Training,
        folder: str | Path | None = None,
        *,
        resume: bool = False,
        save_every: int = 0,
        snapshots: str | Path | None = None,
    ):
        self.training = training
        self.snapshots = snapshots
        self.folder = None if folder is None else Path(folder)
        self.save_every = save_every or max(training.run.every, training.run.iterations // 100)
        self.curves: list[list[Report]] = []
        self.saved = 0
        self._earlier: list[dict[str, Any]] = []
        commit, dirty = results.source_code()
        self._here = {"commit": commit, "dirty": dirty, "threads": torch.get_num_threads(), "torch": torch.__version__}
        self._here |= training.inputs
        self._lock: BaseFileLock | None = None
        self._reserved = False
        self._held: tuple[int, int] | None = None  # what the folder is, whatever its name comes to mean
        if self.folder is not None:
            self._reserve(self.folder)
            self._take_up(self.folder, resume)
            if training.processes.first:
                self._clear()
                _check_writable(self.folder)
        if not distributed.agreed(training.iteration):
            raise CheckpointError(
                f"{self.folder} does not hold the same checkpoint for every process (here: iteration "
                f"{training.iteration}); give all of them one shared folder, or copy the newest checkpoint to each"
            )

    @property
    def trained_by(self) -> list[dict[str, Any]]:
        """What trained which iterations, in order: "from" (excluded), "to", "commit", "dirty", "threads", "torch".

        And on what: `Training.inputs`. A checkpoint taken up says it of its own iterations; None stands for what an old
        one does not say.
        """
        start = self._earlier[-1]["to"] if self._earlier else 0
        if start == self.training.iteration:
            return self._earlier
        if self._earlier and self._here.items() <= self._earlier[-1].items():
            return [*self._earlier[:-1], self._earlier[-1] | {"to": self.training.iteration}]
        return [*self._earlier, {"from": start, "to": self.training.iteration, **self._here}]

    def reports(self) -> Iterator[list[Report]]:
        """Run to the end, saving on the way; yields one report a seed every ``run.every`` iterations.

        Raises
        ------
        Interrupted
            After Ctrl-C or SIGTERM, once the iteration under way is done and saved. A second Ctrl-C stops at once.
        Diverged, OutOfMemory
            As `Training.reports`; the last checkpoint stays.
        CheckpointError
            If the folder is no longer the one that this process holds: it was deleted, renamed or replaced.
        """
        if self.folder is not None:
            self._reserve(self.folder)
        try:
            yield from self._reports()
        finally:
            self._release()

    def _reports(self) -> Iterator[list[Report]]:
        alone = self.training.processes.world == 1
        with _stop_on_signals() as asked:
            # Several processes must stop at the same iteration, so they agree at reports only.
            for reports in self.training.reports(stop=lambda: alone and bool(asked)):
                self.curves.append(reports)
                self.keep_snapshot()
                stopping = not alone and distributed.any_of(bool(asked), self.training.device)
                done = self.training.iteration == self.training.run.iterations
                if done or stopping or self.training.iteration - self.saved >= self.save_every:
                    self.save()
                yield reports
                if stopping:
                    break
            if self.training.iteration < self.training.run.iterations:
                self.training.check_finite()  # a checkpoint that can only diverge again is of no use
                self.save()
                where = f", saved in {self.folder}" if self.folder else ", not saved: no folder was given"
                raise Interrupted(f"stopped after iteration {self.training.iteration}{where}")

    def save(self) -> None:
        """Write a checkpoint of this moment, if there is a folder and this process is the one that writes."""
        if self.folder is None or self.saved == self.training.iteration > 0:
            return
        if not self._reserved:  # the reports have ended, and given the folder back
            self._reserve(self.folder)
            try:
                self.save()
            finally:
                self._release()
            return
        if self.training.processes.first:
            self.check_folder()
            curves = history.as_tensor(self.curves, len(self.training.seeds))
            record = {
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "trained_by": self.trained_by,
                **self.training.inputs,
            }
            tensors = self.training.state() | {"curves": curves}
            settings, at = self.settings(), self.training.iteration
            checkpoint.save(self.folder, at, tensors, settings, record, make_folder=False)
        self.saved = self.training.iteration

    def keep_snapshot(self) -> None:
        """Write every seed's generator, if the run keeps them and this is the moment; see `snapshots.keep`."""
        if self.snapshots is not None and self.training.processes.first:
            self.check_folder()
            snapshots.keep(self.snapshots, self.training)

    def check_folder(self) -> None:
        """Refuse a folder that is not the one this run began in: made anew, nobody else would be kept out of it.

        Raises
        ------
        CheckpointError
            Naming it, and what to do.
        """
        if self._held is not None and self.folder is not None and lock.identity(self.folder) != self._held:
            raise CheckpointError(
                f"{self.folder} was deleted, renamed or replaced while this run used it, and nothing is written there "
                f"any more: give it its name back and resume, or train anew. Iteration {self.saved} was the last saved"
            )

    def settings(self) -> dict[str, Any]:
        """Everything that must be the same for a resumed run to be the same run."""
        training = self.training
        return runs.as_dict(training.run) | {
            "seeds": list(training.seeds),
            "precision": training.precision,
            "device": training.device.type,
        }

    def _reserve(self, folder: Path) -> None:
        """Keep other processes out until the reports end: two would read and delete each other's checkpoints."""
        holder = ""
        if self.training.processes.first:
            self.check_folder()
            with suppress(FileExistsError):  # no folder: `_take_up` says so
                folder.mkdir(parents=True, exist_ok=True)
            if folder.is_dir():
                try:
                    self._lock = lock.take(folder)
                except lock.Held as error:
                    holder = str(error)
                else:
                    self._held = lock.identity(folder)
        if distributed.any_of(bool(holder), self.training.device):
            raise CheckpointError(
                f"{holder or 'another process'} trains in {folder}: let it end or stop it, or choose another folder"
            )
        self._reserved = True

    def _release(self) -> None:
        self._lock, self._reserved = None, False

    def _clear(self) -> None:
        """Delete what killed processes left half written: on a full disk nothing else would give it back."""
        assert self.folder is not None
        files.clear(self.folder, alone="checkpoint-" if self._lock is not None else "")
        if self.snapshots is not None:
            snapshots.clear(self.snapshots, self.training.seeds)

    def _take_up(self, folder: Path, resume: bool) -> None:
        found, refused = checkpoint.newest(folder)
        if not resume and (found or refused):
            what = f"a run at iteration {found.iteration}" if found else f"a damaged checkpoint ({refused[0]})"
            raise CheckpointError(f"{folder} holds {what}: resume it, or choose another folder")
        for error in refused:
            print(f"warning: {error}; it is left alone, an older checkpoint is used", file=sys.stderr)
        if found is None:
            if refused:
                raise refused[0]
            return
        asked = self.settings()
        asked["source"] = found.settings.get("source")  # says where the others come from, does nothing itself
        if found.iteration <= self.training.run.iterations:
            asked["iterations"] = found.settings.get("iterations")  # what an iteration does, no later one changes
        if found.record.get("pretrained_sha256") is not None:
            asked["pretrained"] = found.settings.get("pretrained")  # what it holds counts, and is looked at below
        checkpoint.check_settings(found.settings, asked)
        history.check_inputs(found, self.training.inputs)
        try:
            self._earlier, self.curves = history.spans(found), history.curves(found, len(self.training.seeds))
            self.training.load({name: tensor for name, tensor in found.tensors.items() if name != "curves"})
            if self.training.iteration != found.iteration:
                raise ValueError(f"it is of iteration {found.iteration}, its state of {self.training.iteration}")
        except ValueError as error:
            raise CheckpointError(f"{found.path}: {error}") from error
        history.note_differences(found)
        self.saved = found.iteration


def _check_writable(folder: Path) -> None:
    """Find out before hours of training, not after, that nothing can be written."""
    with tempfile.TemporaryFile(dir=folder):
        pass


@contextmanager
def _stop_on_signals() -> Iterator[list[int]]:
    """A list that stays empty until Ctrl-C or SIGTERM; a second signal does what it always does."""
    asked: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)

    try:
        before = {number: signal.signal(number, stop) for number in numbers}
    except ValueError:  # not the main thread, where Python delivers no signals
        yield asked
        return
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tensorboard(folder: str | Path, seeds: Sequence[int], resumed_at: int = 0) -> Any:
    """A function that logs a list of reports for TensorBoard under ``folder``.

    Raises
    ------
    ModuleNotFoundError
        If the package tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] != "tensorboard":  # one that it needs itself
            raise
        raise ModuleNotFoundError("TensorBoard logs need the package tensorboard: pip install tensorboard") from None
    writer = SummaryWriter(str(folder), purge_step=resumed_at + 1 if resumed_at else None)

    def log(reports: list[Report]) -> None:
        for seed, report in zip(seeds, reports, strict=True):
            for name in ("d_loss", "g_loss", "d_real", "d_fake"):
                writer.add_scalar(f"seed {seed}/{name}", getattr(report, name), report.iteration)
        writer.flush()

    return log
