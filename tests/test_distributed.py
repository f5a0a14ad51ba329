"""Two gloo processes started by torchrun train what one process trains on the same minibatch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ganlib import checkpoint

ROOT = Path(__file__).resolve().parents[1]
RUNS = {
    "mnist-paper": {"data": "digits", "width": 24, "units": 6, "m": 12},  # dropout, one pass, simultaneous update
    "mnist-paper-alternating": {"data": "digits", "width": 24, "units": 6, "m": 12, "k": 2},
    "small-mlp": {"data": "digits", "width": 8, "m": 12},  # batch normalisation over vectors, Adam
    "dcgan-mnist": {"data": "digits", "width": 4, "m": 12},  # batch normalisation over feature maps
}


def train(name, folder, processes, settings):
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"] if processes > 1 else []
    command = [sys.executable, *launcher, "-m", "ganlib", "train", name, "--device", "cpu", "--quiet", "--threads", "1"]
    command += ["--out", str(folder), "--seed", "4", *(f"--set={k}={v}" for k, v in settings.items())]
    environment = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, env=environment)


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_match_one(name, tmp_path):
    settings = {**RUNS[name], "iterations": 10, "every": 5}
    results = []
    for processes in (1, 2):
        done = train(name, tmp_path / str(processes), processes, settings)
        assert done.returncode == 0, done.stderr
        results.append(checkpoint.newest(tmp_path / str(processes))[0])
    one, two = results
    assert one.iteration == two.iteration == 10
    for key, tensor in one.tensors.items():
        if key.startswith(("generator.", "discriminator.")):
            torch.testing.assert_close(two.tensors[key], tensor, atol=2e-4, rtol=2e-3, msg=key)
    for mine, theirs in zip(one.record["curves"], two.record["curves"], strict=True):
        assert theirs[0] == pytest.approx(mine[0], abs=2e-3)
    assert all(torch.equal(two.tensors[k], t) for k, t in one.tensors.items() if k.startswith("random.")), (
        "both drew the numbers of the whole minibatch"
    )


def test_a_minibatch_that_does_not_divide_is_refused(tmp_path):
    done = train("ring8", tmp_path / "run", 2, {"m": 17, "iterations": 4, "every": 2})
    assert done.returncode != 0
    assert "m = 17 does not divide among 2 processes" in done.stderr
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_run_of_two_processes_resumes(tmp_path):
    settings = {**RUNS["small-mlp"], "iterations": 8, "every": 4}
    done = train("small-mlp", tmp_path / "run", 2, settings)
    assert done.returncode == 0, done.stderr
    again = train("small-mlp", tmp_path / "run", 2, settings)
    assert again.returncode != 0  # a folder that holds a run is not overwritten
    assert "resume" in again.stderr
