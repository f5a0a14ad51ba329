"""Training under the command line: folder, progress, logs."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from tqdm import tqdm

from ganlib.algorithm1 import Report
from ganlib.device import describe, keep_freed_memory, pick_device
from ganlib.errors import Diverged, OutOfMemory
from ganlib.lab import runs
from ganlib.lab.cli.arguments import DIVERGED, FOLDER, MEMORY, REFUSED, USAGE, Stop
from ganlib.lab.cli.errors import refusing
from ganlib.lab.runner import Runner, tensorboard
from ganlib.lab.runs import Run
from ganlib.lab.speed import distributed
from ganlib.lab.training import Training


def train_to_the_end(
    args: argparse.Namespace, run: Run, *, resume: bool, snapshots: Path | None = None
) -> tuple[Runner, int]:
    """Train to the end, with checkpoints, progress and logs; returns the runner and the iteration it began at."""
    if args.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise Stop(USAGE, "TensorBoard logs need the package tensorboard: pip install tensorboard")

    device = distributed.local_device(pick(args))
    processes = distributed.start(device)
    say = processes.first and not args.quiet
    with refusing(USAGE):
        training = Training(
            run,
            seeds=chosen(args),
            device=device,
            precision=args.precision,
            graph=False if args.eager else None,
            processes=processes,
        )
    with refusing(REFUSED):
        runner = Runner(training, folder_of(args), resume=resume, save_every=args.save_every, snapshots=snapshots)
    start = training.iteration
    if say:
        where = describe(device) + (f", {processes.world} processes" if processes.world > 1 else "")
        print(f"{run.name} on {where}, {training.precision}, into {folder_of(args)}", file=sys.stderr)
        if start:
            print(f"resumes after iteration {start} of {run.iterations}", file=sys.stderr)
    log = tensorboard(args.tensorboard, training.seeds, start) if args.tensorboard and processes.first else None
    try:
        with _progress(run, training.seeds, start, say) as show:
            for reports in runner.reports():
                show(reports)
                if processes.first:
                    _remark(run, training.seeds, reports)
                if log:
                    log(reports)
    except (Diverged, OutOfMemory) as error:
        kept = f"the checkpoint of iteration {runner.saved} is kept" if runner.saved else "no checkpoint was made yet"
        raise Stop(DIVERGED if isinstance(error, Diverged) else MEMORY, f"{error}; {kept}") from error
    return runner, start


def _remark(run: Run, seeds: Sequence[int], reports: list[Report]) -> None:
    """Say what a run's reports remark on, on stderr, --quiet or not: a line for the seeds that it is true of."""
    for remark in dict.fromkeys(report.remark for report in reports if report.remark):
        its = [str(seed) for seed, report in zip(seeds, reports, strict=True) if report.remark == remark]
        who = f", seed {its[0]}" if len(its) == 1 else f", seeds {', '.join(its)}"
        tqdm.write(f"warning: {run.name}{who}, iteration {reports[0].iteration}: {remark}", file=sys.stderr)


@contextmanager
def _progress(run: Run, seeds: Sequence[int], start: int, wanted: bool) -> Iterator[Callable[[list[Report]], None]]:
    """Show reports on stderr: a bar on a terminal, lines elsewhere. Of many seeds, their means."""
    if not wanted:
        yield lambda reports: None
        return
    label = run.name if len(seeds) == 1 else f"{run.name}, mean of {len(seeds)} seeds"
    before = [start, time.perf_counter()]

    def figures(reports: list[Report]) -> str:
        names = {"d_loss": "D loss", "g_loss": "G loss", "d_real": "D(real)", "d_fake": "D(fake)"}
        means = {name: sum(getattr(report, name) for report in reports) / len(reports) for name in names}
        return ", ".join(f"{says} {means[name]:.3f}" for name, says in names.items())

    def line(reports: list[Report]) -> None:
        done, now = reports[0].iteration, time.perf_counter()
        rate = (done - before[0]) / max(now - before[1], 1e-9)
        before[:] = [done, now]
        print(
            f"{label}: iteration {done}/{run.iterations}, {rate:.1f} steps/s, {figures(reports)}",
            file=sys.stderr,
            flush=True,
        )

    if not sys.stderr.isatty():
        yield line
        return

    with tqdm(total=run.iterations, initial=start, desc=label, unit=" steps", dynamic_ncols=True) as bar:

        def advance(reports: list[Report]) -> None:
            bar.set_postfix_str(figures(reports), refresh=False)
            bar.update(reports[0].iteration - bar.n)

        yield advance


def run_of(args: argparse.Namespace) -> Run:
    """The named run with the settings asked for."""
    with refusing(USAGE):
        return runs.get(args.name, overrides_of(args))


def overrides_of(args: argparse.Namespace) -> dict[str, str]:
    """The settings asked for, as they were typed."""
    overrides: dict[str, str] = {}
    for each in args.set:
        name, equals, value = each.partition("=")
        if not equals:
            raise Stop(USAGE, f"--set {each}: give SETTING=VALUE, such as --set k=2")
        if name in overrides:
            raise Stop(USAGE, f"--set {name} was given twice")
        overrides[name] = value
    return overrides


def pick(args: argparse.Namespace) -> torch.device:
    """The device asked for, with as many threads as asked for; on the CPU this process keeps the memory it frees."""
    if args.threads:
        torch.set_num_threads(args.threads)
    with refusing(USAGE):
        device = pick_device(args.device, report=False)
    if device.type == "cpu":
        keep_freed_memory()
    return device


def folder_of(args: argparse.Namespace) -> Path:
    """Where the run's checkpoints are."""
    folder: Path = args.out or FOLDER / args.name
    return folder


def chosen(args: argparse.Namespace) -> tuple[int, ...]:
    """The seeds to train."""
    seeds: tuple[int, ...] = args.seeds or (0,)
    return seeds
