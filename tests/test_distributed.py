"""Two gloo processes, those of torchrun or forked, train what one process trains on the same minibatch."""

import copy
import json
import os
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
import torch.distributed as dist
from scipy.io import savemat
from torch import nn

from ganlib.lab import checkpoint, cli, results
from ganlib.lab.speed import distributed, precision
from ganlib.tests.processes import FORKED

ROOT = Path(__file__).resolve().parents[1]
RUNS = {
    "mnist-paper": {"data": "digits", "width": 24, "units": 6, "m": 12},  # dropout, one pass, simultaneous update
    "mnist-paper-alternating": {"data": "digits", "width": 24, "units": 6, "m": 12, "k": 2},
    "small-mlp": {"data": "digits", "width": 8, "m": 12},  # batch normalisation over vectors, Adam
    "dcgan-mnist": {"data": "digits", "width": 4, "m": 12},  # batch normalisation over feature maps
}


def command(name, folder, processes, settings, *more):
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"] if processes > 1 else []
    start = [sys.executable, *launcher, "-m", "ganlib", "train", name, "--device", "cpu", "--quiet", "--threads", "1"]
    return [*start, "--out", str(folder), "--seed", "4", *more, *(f"--set={k}={v}" for k, v in settings.items())]


def environment():
    return {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}


def train(*what):
    return subprocess.run(command(*what), cwd=ROOT, capture_output=True, text=True, timeout=300, env=environment())


def in_a_process(arguments, variables, errors):
    os.environ.update(variables)
    sys.stderr = open(errors, "w", buffering=1)  # noqa: SIM115  # until the process ends
    sys.exit(cli.main(arguments))


def train_forked(name, folder, settings, *more):
    """As two processes of torchrun, which import nothing: their exit codes, and what rank 0 says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    errors = [folder.with_name(f"{folder.name}-{rank}") for rank in range(2)]
    processes = []
    for rank, said in enumerate(errors):
        variables = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        variables |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        arguments = command(name, folder, 1, settings, *more)[3:]
        processes.append(FORKED.Process(target=in_a_process, args=(arguments, variables, said)))
        processes[-1].start()
    for process in processes:
        process.join(300)
    return [process.exitcode for process in processes], errors[0].read_text()


def runs(process):
    """Whether a process, not a child of ours, is alive: one that nobody waits for stays as a zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_match_one(name, tmp_path):
    settings = {**RUNS[name], "iterations": 10, "every": 5}
    assert cli.main(command(name, tmp_path / "1", 1, settings)[3:]) == 0
    codes, said = train_forked(name, tmp_path / "2", settings)
    assert codes == [0, 0], said
    one, two = (checkpoint.newest(tmp_path / processes)[0] for processes in "12")
    assert one.iteration == two.iteration == 10
    for key, tensor in one.tensors.items():
        if key.startswith(("generator.", "discriminator.")):
            torch.testing.assert_close(two.tensors[key], tensor, atol=2e-4, rtol=2e-3, msg=key)
    torch.testing.assert_close(two.tensors["curves"], one.tensors["curves"], atol=2e-3, rtol=0)
    assert all(torch.equal(two.tensors[k], t) for k, t in one.tensors.items() if k.startswith("random.")), (
        "both drew the numbers of the whole minibatch"
    )


def test_a_minibatch_that_does_not_divide_is_refused(tmp_path):
    done = train("ring8", tmp_path / "run", 2, {"m": 17, "iterations": 4, "every": 2})
    assert done.returncode != 0
    assert "m = 17 does not divide among 2 processes" in done.stderr
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_folder_that_holds_a_run_is_not_overwritten_by_two_processes_either(tmp_path):
    settings = {**RUNS["small-mlp"], "iterations": 8, "every": 4}
    codes, said = train_forked("small-mlp", tmp_path / "run", settings)
    assert codes == [0, 0], said
    again = train("small-mlp", tmp_path / "run", 2, settings)
    assert again.returncode != 0
    assert "resume" in again.stderr


def test_two_processes_go_on_from_a_checkpoint_to_the_same_bits(tmp_path):
    """The run stops after its first checkpoint: torchrun is killed, then its processes, and the run is resumed.

    They are sessions of their own and outlive a torchrun that could not stop them: while they do, nothing may resume.
    """
    settings = {**RUNS["dcgan-mnist"], "iterations": 60, "every": 4}
    whole = train("dcgan-mnist", tmp_path / "whole", 2, settings, "--save-every", "4")
    assert whole.returncode == 0, whole.stderr
    folder = tmp_path / "killed"
    process = subprocess.Popen(
        command("dcgan-mnist", folder, 2, settings, "--save-every", "4"), cwd=ROOT, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None and not list(folder.glob("*.safetensors")):
        time.sleep(0.01)
    assert process.poll() is None, "the run ended before it was killed"
    workers = psutil.Process(process.pid).children(recursive=True)
    try:
        for worker in workers:
            worker.suspend()
        process.kill()
        process.wait()
        early = train("dcgan-mnist", folder, 2, settings, "--save-every", "4", "--resume")
    finally:
        for worker in workers:
            worker.kill()
    assert early.returncode != 0
    assert f"trains in {folder}: let it end or stop it" in early.stderr
    while any(runs(worker) for worker in workers):
        time.sleep(0.01)
    stopped = checkpoint.newest(folder)[0]
    assert 0 < stopped.iteration < 60
    done = train("dcgan-mnist", folder, 2, settings, "--save-every", "4", "--resume")
    assert done.returncode == 0, done.stderr
    ended, expected = checkpoint.newest(folder)[0], checkpoint.newest(tmp_path / "whole")[0]
    assert ended.iteration == expected.iteration == 60
    assert all(torch.equal(ended.tensors[name], expected.tensors[name]) for name in expected.tensors)


def test_processes_with_other_data_each_are_refused(tmp_path):
    """As on two machines, each with a folder of its own; the networks would see a minibatch half of either."""
    for rank in "01":
        (tmp_path / rank).mkdir()
        pixels = np.random.default_rng(int(rank)).integers(0, 256, (30, 48, 48), np.uint8)
        arrays = {"images": pixels, "labs_ex": np.zeros((30, 1)), "folds": np.zeros((30, 5))}
        savemat(tmp_path / rank / "TFD_48x48.mat", arrays)
    settings = {"width": 8, "units": 4, "m": 4, "iterations": 2, "every": 2}
    whole = command("tfd", tmp_path / "run", 2, settings)
    at = whole.index("-m", 3)  # what torchrun starts
    script = f"GANLIB_DATA={tmp_path}/$RANK exec {shlex.join([sys.executable, *whole[at:]])}"
    done = subprocess.run(
        [*whole[:at], "--no-python", "sh", "-c", script],
        cwd=ROOT, capture_output=True, text=True, timeout=300, env=environment(),
    )  # fmt: skip
    assert done.returncode != 0
    assert "tfd is not the same for every process" in done.stderr
    assert not list(tmp_path.glob("run/*"))


@pytest.mark.skipif(not precision.has_bf16(torch.device("cpu")), reason="needs bfloat16 in hardware")
def test_two_processes_compute_batch_norm_in_bfloat16(tmp_path):
    settings = {**RUNS["small-mlp"], "iterations": 4, "every": 4}
    codes, said = train_forked("small-mlp", tmp_path / "run", settings, "--precision", "bf16")
    assert codes == [0, 0], said


def test_two_processes_write_one_result(tmp_path):
    small = ["reproduce", "ring8", "--set", "iterations=4", "--set", "every=2", "--samples", "50"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "ganlib"]
    variables = environment() | {"GANLIB_DEVICE": "cpu", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*launcher, *small], cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "trained/ring8/ring8.json\n"  # rank 0's, once
    found = json.loads((tmp_path / "trained/ring8/ring8.json").read_text())
    assert found["processes"] == 2
    assert found["command"] == results.command_line(small)


@pytest.fixture
def alone():
    """A group of one process, in this one."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize("shape", [(12, 5), (6, 5, 4, 4)])
@pytest.mark.parametrize(("mean", "spread"), [(0, 1), (100, 0.1)])
def test_batch_norm_over_processes_is_torchs(alone, shape, mean, spread):
    """Forward, backward and running statistics; also where the mean is far larger than the spread."""
    torch.manual_seed(0)
    theirs = nn.BatchNorm1d(5) if len(shape) == 2 else nn.BatchNorm2d(5)
    ours = distributed.synchronised(nn.Sequential(copy.deepcopy(theirs)))
    x = mean + spread * torch.randn(shape, dtype=torch.float64).float()
    weights = torch.randn(shape)
    found = []
    for net in (theirs, ours):
        given = x.clone().requires_grad_()
        y = net(given)
        (y * weights).sum().backward()
        found.append((y.detach(), given.grad * spread, *net.state_dict().values()))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, atol=2e-3, rtol=2e-3)
