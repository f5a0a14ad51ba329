"""Runs killed by SIGKILL at random moments and resumed end with the bits of a run never stopped. Real processes."""

import multiprocessing
import random
import signal
import sys
import time

import pytest
import torch

from ganlib.lab import checkpoint, cli, lock

KILLS = 20
# Dropout, maxout, momentum and schedules on real digits; a checkpoint every few iterations, so that kills hit writes.
TRAIN = ["train", "mnist-paper", "--device", "cpu", "--quiet", "--resume"]
ITERATIONS = 2_500
SETTINGS = {"data": "digits", "width": 64, "units": 16, "m": 10, "every": 8, "momentum_epochs": 5, "epoch": 500}
SETTINGS["iterations"] = ITERATIONS


# Each run is a process of its own, forked from one that has imported ganlib and done nothing else.
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["ganlib.lab.cli.commands", "torch._dynamo"])  # which training imports


def start(folder, save_every=8):
    settings = [f"--set={name}={value}" for name, value in SETTINGS.items()]
    process = FORKED.Process(
        target=run, args=([*TRAIN, "--threads", "1", "--out", str(folder), f"--save-every={save_every}", *settings],)
    )
    process.start()
    return process


def run(arguments):
    sys.exit(cli.main(arguments))


def finish(folder):
    process = start(folder, save_every=ITERATIONS)
    process.join()
    assert process.exitcode == 0


def newest(folder):
    found, refused = checkpoint.newest(folder)
    assert refused == []
    return found


def files(folder):
    return set(folder.glob("*.safetensors")) if folder.exists() else set()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run, never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    finish(folder)
    return newest(folder)


def test_a_run_killed_twenty_times_ends_with_the_bits_of_one_never_stopped(tmp_path, whole):
    chance = random.Random(20140610)
    folder, at = tmp_path / "killed", []
    for _ in range(KILLS):
        before = files(folder)
        process = start(folder)
        while process.is_alive() and files(folder) == before:  # until this process has written something itself
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.05))
        assert process.is_alive(), f"the run ended before kill {len(at)}"
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        at.append(newest(folder).iteration)  # whatever was under way, a complete checkpoint is there
    assert at == sorted(set(at))  # every process made progress
    finish(folder)
    ended = newest(folder)
    assert ended.iteration == whole.iteration == ITERATIONS
    assert ended.tensors.keys() == whole.tensors.keys()
    assert all(torch.equal(ended.tensors[name], whole.tensors[name]) for name in whole.tensors)
    left = [path.name for path in folder.glob(".*")]
    assert left in ([], [lock.NAME]), "temporary files of killed processes are cleared away"
