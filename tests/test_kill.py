"""Runs killed by SIGKILL at random moments and resumed end with the bits of a run never stopped. Real processes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ganlib import checkpoint

ROOT = Path(__file__).resolve().parents[1]
KILLS = 20
# Dropout, maxout, momentum and schedules on real digits; a checkpoint every few iterations, so that kills hit writes.
TRAIN = ["train", "mnist-paper", "--device", "cpu", "--quiet", "--resume", "--save-every", "8"]
ITERATIONS = 6_000
SETTINGS = {"data": "digits", "width": 64, "units": 16, "m": 10, "every": 8, "momentum_epochs": 5, "epoch": 500}
SETTINGS["iterations"] = ITERATIONS


def command(folder):
    settings = [f"--set={name}={value}" for name, value in SETTINGS.items()]
    return [sys.executable, "-m", "ganlib", *TRAIN, "--threads", "1", "--out", str(folder), *settings]


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
    subprocess.run(command(folder), cwd=ROOT, check=True, capture_output=True)
    return newest(folder)


def test_a_run_killed_twenty_times_ends_with_the_bits_of_one_never_stopped(tmp_path, whole):
    chance = random.Random(20140610)
    folder, at = tmp_path / "killed", []
    for _ in range(KILLS):
        process = subprocess.Popen(command(folder), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        before = files(folder)
        while process.poll() is None and files(folder) == before:  # until this process has written something itself
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.15))
        assert process.poll() is None, f"the run ended before kill {len(at)}: {process.stderr.read()}"
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.stderr.close()
        at.append(newest(folder).iteration)  # whatever was under way, a complete checkpoint is there
    assert at == sorted(set(at))  # every process made progress
    subprocess.run(command(folder), cwd=ROOT, check=True, capture_output=True)
    ended = newest(folder)
    assert ended.iteration == whole.iteration == ITERATIONS
    assert ended.tensors.keys() == whole.tensors.keys()
    assert all(torch.equal(ended.tensors[name], whole.tensors[name]) for name in whole.tensors)
    assert not list(folder.glob(".*")), "temporary files of killed processes are cleared away"
