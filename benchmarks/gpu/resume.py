"""Runs killed by SIGKILL at random moments and resumed end with the bits of one never stopped: real processes.

They are forked from this one, which therefore uses neither the accelerator nor a second thread.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.record import Record
from benchmarks.loop import available
from ganlib.lab import checkpoint, cli

# Two seeds at once, with dropout, maxout, momentum and schedules; checkpoints close together, so that kills hit writes.
FULL = {"iterations": 8000, "every": 100, "momentum_epochs": 5}
SMALL = {"iterations": 120, "every": 8, "momentum_epochs": 5, "epoch": 20, "width": 64, "units": 16, "m": 10}
SMALL |= {"examples": 1000}
FORKED = multiprocessing.get_context("fork")


def run(record: Record, device: torch.device, small: bool) -> None:
    """Train once without a stop, once with kills; compare every tensor of the two last checkpoints."""
    torch.set_num_threads(1)
    settings, kills, save_every = (SMALL, 2, 8) if small else (FULL, 3, 200)
    with available("mnist-paper", settings) as (named, source):
        chosen = settings | {"data": named.data}
    words = ["train", "mnist-paper", "--device", str(device), "--seeds", "2", "--quiet", "--resume", "--threads", "1"]
    words += [f"--set={name}={value}" for name, value in chosen.items()]
    whole, killed = record.scratch / "whole", record.scratch / "killed"
    record.put(data=source, train=shlex.join(["python", "-m", "ganlib", *words]), save_every=save_every, killed_at=[])
    never = _start(words, whole, named.iterations)
    chance, at = random.Random(20140610), []
    for _ in range(kills):
        before = _files(killed)
        process = _start(words, killed, save_every)
        while process.is_alive() and _files(killed) == before:  # until this process has written something itself
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.03 if small else 0.3))
        if not process.is_alive():
            raise RuntimeError(f"the run to be killed ended by itself, with exit code {process.exitcode}")
        process.kill()
        process.join()
        at.append(_newest(killed).iteration)  # whatever was under way, a complete checkpoint is there
        record.put(killed_at=at)
    for process in (never, _start(words, killed, named.iterations)):
        process.join()
        if process.exitcode:
            raise RuntimeError(f"a run ended with exit code {process.exitcode}")
    compare(record, _newest(whole), _newest(killed))
    record.check("kills after which the run had come further", len(set(at)), least=kills)


def compare(record: Record, one: checkpoint.Checkpoint, other: checkpoint.Checkpoint) -> None:
    """How many tensors of two checkpoints differ in a bit, and by how much."""
    names = sorted(one.tensors.keys() | other.tensors.keys())
    differing: dict[str, Any] = {}
    for name in names:
        a, b = one.tensors.get(name), other.tensors.get(name)
        if a is None or b is None or a.shape != b.shape:
            differing[name] = "only in one of them, or of another shape"
        elif not torch.equal(a, b):
            differing[name] = (a.double() - b.double()).abs().max().item()
    record.put(iterations=[one.iteration, other.iteration], tensors=len(names), differing=differing)
    record.check("iterations between the two ends", abs(one.iteration - other.iteration), most=0)
    record.check("tensors compared", len(names), least=1)
    record.check("tensors that differ in a bit", len(differing), most=0)


def _start(words: list[str], folder: Path, save_every: int) -> Any:
    arguments = [*words, "--out", str(folder), "--save-every", str(save_every)]
    process = FORKED.Process(target=_train, args=(arguments, os.getpgrp()))
    process.start()
    return process


def _train(arguments: list[str], group: int) -> None:
    os.setpgid(0, group)  # it ends with the part that started it
    sys.exit(cli.main(arguments))


def _files(folder: Path) -> set[Path]:
    return set(folder.glob("*.safetensors")) if folder.exists() else set()


def _newest(folder: Path) -> checkpoint.Checkpoint:
    found, refused = checkpoint.newest(folder)
    if found is None or refused:
        raise RuntimeError(f"after a kill {folder.name} holds no complete checkpoint: {refused}")
    return found
