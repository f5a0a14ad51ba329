"""`make gpu` on the CPU with small numbers: every part runs and says what it found, and no part stops another.

That it shows on a GPU what it is for cannot be tested without one; that its checks can fail is.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganlib.lab import checkpoint, runs
from ganlib.lab.checkpoint import Checkpoint

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # `pytest`, unlike `python -m pytest`, leaves the checkout off the path

from benchmarks.gpu import __main__ as gpu  # noqa: E402
from benchmarks.gpu import mnist, resume, steps, suite  # noqa: E402
from benchmarks.gpu.record import Record  # noqa: E402

CPU = torch.device("cpu")
# What a machine that only computes need not have.
MISSING = ("anywidget", "mlxtend", "scipy", "tensorboard", "torchmetrics")


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment whose Python has none of those packages, and finds MNIST in an npz file."""
    folder = tmp_path / "bare"
    folder.mkdir()
    refuse = f"import sys\nsys.modules.update(dict.fromkeys({MISSING}))\n"
    (folder / "sitecustomize.py").write_text(refuse)
    variables = {name: value for name, value in os.environ.items() if name != "GANLIB_DEVICE"}
    return variables | {"PYTHONPATH": str(folder), "GANLIB_DATA": str(folder), "OMP_NUM_THREADS": "1"}


def write_mnist(folder: str, *parts: str) -> None:
    """Images of MNIST's shape under Keras's names; few different ones, which is enough to train on."""
    few = np.random.default_rng(0).integers(0, 256, (100, 28, 28), dtype=np.uint8)
    arrays = {}
    for part, n in (("train", 60_000), ("test", 10_000)):
        if part in parts:
            arrays |= {f"x_{part}": np.tile(few, (n // 100, 1, 1)), f"y_{part}": (np.arange(n) % 10).astype(np.uint8)}
    np.savez(Path(folder, "mnist.npz"), **arrays)


def read(out: Path) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")}


def test_every_part_runs_where_optional_packages_are_missing(tmp_path: Path, bare: dict[str, str]) -> None:
    write_mnist(bare["GANLIB_DATA"], "train", "test")
    out = tmp_path / "a folder"
    command = ["make", "gpu", f"PYTHON={sys.executable}", f"OUT={out}"]
    patient = " ".join(f"--limit {name}=400" for name in gpu.LIMITS)  # this machine may have other work to do
    command += [f"GPU=--small --device cpu --commit 0123abc --seconds 2000 {patient}"]
    done = subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = read(out)
    assert set(found) == set(gpu.LIMITS)
    assert len(list(out.iterdir())) == len(gpu.LIMITS) <= 7  # nothing else is left there
    for name, part in found.items():
        assert (part["part"], part["status"], part["reason"], part["small"]) == (name, "done", None, True)
        assert all(check["holds"] for check in part["checks"])
        assert part["environment"]["torch"] == torch.__version__
        assert part["environment"]["device"].startswith("the CPU")
        assert part["environment"]["commit"] or part["environment"]["commit_as_told"] == "0123abc"
        assert part["command"].startswith("python -m benchmarks.gpu --out ")
        assert str(tmp_path) not in json.dumps(part)
        assert 0 < part["wall_seconds"] < part["limit_seconds"]

    tests = found["suite"]["tests"]
    skipped = [test for test, each in tests.items() if each["outcome"] == "skipped"]
    if not torch.cuda.is_available():
        assert any("test_the_captured_graph_computes_what_eager_computes" in test for test in skipped)
    assert found["suite"]["counts"]["passed"] == sum("test_accelerator" in test for test in tests) > 10

    ways = found["steps"]["agreement"]
    assert all(len(each) == steps.STEPS for each in ways.values())
    assert 0 < ways["3 seeds, fp32"][-1]["weights"] < 1e-4
    assert 0 < found["steps"]["gradient_errors"]["fp32, one seed"] < 1e-5
    speeds = found["steps"]["iterations_per_second"]
    assert {"eager, fp32", "3 seeds, fp32"} <= set(speeds)
    assert all(0 < each["min"] <= each["median"] <= each["max"] for each in speeds.values())

    assert found["resume"]["iterations"] == [resume.SMALL["iterations"]] * 2
    assert found["resume"]["differing"] == {}
    assert found["resume"]["tensors"] > 20
    one, two = found["resume"]["killed_at"]
    assert 0 < one < two < resume.SMALL["iterations"]

    assert set(found["lines"]["results"]) == {"seeds"}
    assert found["lines"]["errors"] == {}
    assert all(result["ratios"] for result in found["lines"]["results"].values())

    for name, update in (("mnist", "simultaneous"), ("alternating", "alternating")):
        part = found[name]
        assert part["run"]["update"] == update
        assert "mnist.npz" in part["data"][0]
        assert (part["epochs_done"], part["epochs_planned"], part["shortened"]) == (3, 3, None)
        for seed, rows in part["curves"].items():
            assert [row[0] for row in rows] == [1, 3]
            assert part["chosen"]["by_seed"][seed] == max(rows, key=lambda row: row[1])
        values = [rows[-1][2] for rows in part["curves"].values()]
        assert part["last"]["test_nats"]["mean"] == pytest.approx(np.mean(values))
        assert part["last"]["test_nats"]["standard_deviation"] == pytest.approx(np.std(values, ddof=1))
    assert found["mnist"]["curves"] != found["alternating"]["curves"]


def test_a_part_that_fails_or_takes_too_long_stops_no_other(tmp_path: Path, bare: dict[str, str]) -> None:
    write_mnist(bare["GANLIB_DATA"], "train")  # what only the scores need is not there
    command = [sys.executable, "-m", "benchmarks.gpu", "--small", "--device", "cpu", "--out", str(tmp_path / "out")]
    command += ["--parts", "mnist", "suite", "steps", "--limit", "suite=0.3"]
    done = subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True)
    assert done.returncode == 1
    found = read(tmp_path / "out")
    assert {name: part["status"] for name, part in found.items()} == {
        "suite": "cut short",
        "steps": "done",
        "mnist": "failed",
    }
    assert found["suite"]["reason"] == "its limit of 0.3 s was over"
    assert found["suite"]["environment"]["torch"] == torch.__version__
    assert "mnist.npz holds x_train, y_train, where test_images and test_labels belong" in found["mnist"]["reason"]
    assert "in load" in "\n".join(found["mnist"]["traceback"])
    assert found["steps"]["agreement"]
    for name, part in found.items():
        assert f"{name}: {part['status']}" in done.stdout


HEAD = {"command": "python -m benchmarks.gpu", "device": "cpu", "environment": {}}


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """The parts that `main` started with their limits, in order; they are done at once."""
    started: list[tuple[str, float]] = []

    def run(context: Any, name: str, path: Path, content: dict[str, Any]) -> None:
        assert not path.exists()
        started.append((name, content["limit_seconds"]))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content | {"status": "done", "reason": None, "wall_seconds": 0}))

    monkeypatch.setattr(gpu, "_look", lambda *_: dict(HEAD))
    monkeypatch.setattr(gpu, "_run", run)
    return started


def test_parts_have_their_limits_and_the_last_ones_what_is_left(tmp_path: Path, parts: list[tuple[str, float]]) -> None:
    assert gpu.main(["--out", str(tmp_path), "--limit", "steps=33"]) == 0
    assert [name for name, _ in parts] == list(gpu.LIMITS)
    limits = dict(parts)
    assert limits["steps"] == 33
    assert limits["suite"] == gpu.LIMITS["suite"]
    assert limits["mnist"] == pytest.approx(gpu.TOTAL, abs=5)  # the others took no time
    assert sum(limit for limit in gpu.LIMITS.values() if limit) < gpu.TOTAL - 100  # and leave it some if they do
    assert gpu.TOTAL < 480


def test_what_no_time_is_left_for_is_not_started_and_says_so(tmp_path: Path, parts: list[tuple[str, float]]) -> None:
    (tmp_path / "mnist.json").write_text("an earlier run's")
    assert gpu.main(["--out", str(tmp_path), "--seconds", "20", "--parts", "mnist", "alternating"]) == 0
    assert [name for name, _ in parts] == ["mnist"]
    found = read(tmp_path)["alternating"]
    assert (found["status"], found["reason"]) == ("not started", "20 s were left of 20")
    assert gpu.main(["--out", str(tmp_path), "--seconds", "5", "--parts", "mnist"]) == 1  # that one must run


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--limit", "mnist"], "give PART=SECONDS"),
        (["--limit", "mnist=soon"], "give PART=SECONDS"),
        (["--limit", "mnsit=3"], "give one of suite, steps"),
        (["--limit", "mnist=-3"], "a positive number of seconds"),
        (["--limit", "mnist=nan"], "a positive number of seconds"),
        (["--seconds", "0"], "it must be positive"),
        (["--parts", "mnsit"], "invalid choice: 'mnsit'"),
    ],
)
def test_a_bad_command_line_is_refused_before_any_work(
    arguments: list[str], says: str, parts: list[tuple[str, float]], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        gpu.main(arguments)
    assert stopped.value.code == 2
    assert says in capsys.readouterr().err
    assert parts == []


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_look", lambda *_: "device 'cuda:9' was asked for, but this machine has only: cpu (1)")
    with pytest.raises(SystemExit) as stopped:
        gpu.main(["--device", "cuda:9"])
    assert stopped.value.code == 2


def record(folder: Path, seconds: float = 100) -> Record:
    return Record(folder / "part.json", {"part": "part"}, time.monotonic() + seconds, folder)


def test_a_check_holds_or_fails_the_part(tmp_path: Path) -> None:
    one = record(tmp_path)
    one.check("in time", 1.0, most=2.0, least=1.0)
    one.finish()
    assert one.content["status"] == "done"
    one.check("too far", 2.1, most=2.0)
    one.check("too few", 0, least=1)
    one.check("nothing", math.nan, most=1.0)
    one.finish()
    written = json.loads((tmp_path / "part.json").read_text())
    assert written["status"] == "failed"
    assert written["reason"] == "does not hold: too far; does not hold: too few; does not hold: nothing"
    assert [check["value"] for check in written["checks"]] == [1.0, 2.1, 0, "nan"]


def test_a_way_that_computes_something_else_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here many seeds train at a rate that is one part in fifty too high."""
    right = steps.trajectory
    monkeypatch.setattr(
        steps,
        "trajectory",
        lambda run, device, way: right(replace(run, d_lr=run.d_lr * 1.02) if "seeds" in way else run, device, way),
    )
    run = runs.get("mnist-paper", {"data": "digits", "width": 16, "units": 4, "m": 10, "examples": 100})
    one = record(tmp_path)
    steps.agreement(one, run, CPU, ["fp32"], many=2)
    holds = {check["what"]: check["holds"] for check in one.content["checks"]}
    assert not holds["2 seeds, fp32: distance of the weights"]
    assert holds["eager, twice: distance of the weights"]


def test_a_wrong_gradient_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs.get("mnist-paper", {"data": "digits", "width": 16, "units": 4, "m": 10, "examples": 100})
    right = steps._gradient
    wrong = 1 + 1e-3
    monkeypatch.setattr(
        steps, "_gradient", lambda run, pair, x, z: right(run, pair, x, z) * (wrong if x.dtype == torch.float32 else 1)
    )
    one = record(tmp_path)
    steps.gradients(one, run, CPU, ["fp32"])
    assert [check["holds"] for check in one.content["checks"]] == [False, False]


def test_one_bit_between_two_ends_is_noticed(tmp_path: Path) -> None:
    tensors = {"a": torch.zeros(3), "b": torch.ones(2)}
    other = {"a": torch.tensor([0.0, 0.0, 1e-30]), "c": torch.ones(2)}
    one, same, differing = (Checkpoint(tmp_path, 5, each, {}, {}, "") for each in (tensors, dict(tensors), other))
    fine, wrong = record(tmp_path), record(tmp_path)
    resume.compare(fine, one, same)
    resume.compare(wrong, one, differing)
    assert all(check["holds"] for check in fine.content["checks"])
    assert set(wrong.content["differing"]) == {"a", "b", "c"}
    assert not all(check["holds"] for check in wrong.content["checks"])
    assert isinstance(one, checkpoint.Checkpoint)


def test_a_training_too_long_for_its_time_ends_in_time_with_its_scores(tmp_path: Path) -> None:
    run = runs.get("mnist-paper", {"data": "digits", "width": 8, "units": 2, "m": 10, "examples": 50, "epoch": 5})
    run = replace(run, iterations=1_000_000 * 5, every=5)
    one = record(tmp_path, seconds=mnist.RESERVE + 1.5)
    mnist.Scored(one, run, CPU, seeds=2, samples=20).train()
    assert one.left > mnist.RESERVE / 2
    found = json.loads((tmp_path / "part.json").read_text())
    done = found["epochs_done"]
    assert 1 < done == found["epochs_planned"] < found["epochs_asked"] == 1_000_000
    assert found["shortened"].endswith(f"enough for {done} of 1000000 epochs")
    assert all(rows[-1][0] == done for rows in found["curves"].values())
    assert all(a[0] < b[0] for rows in found["curves"].values() for a, b in pairwise(rows))


def test_the_tests_that_need_cuda_are_found() -> None:
    assert {"ganlib/tests/test_accelerator.py", "ganlib/tests/test_training.py"} <= set(suite.files())
    left_out = [path for path in (ROOT / "ganlib" / "tests").glob("test_*.py") if "needs a CUDA" in path.read_text()]
    assert left_out == []  # a test that skips by itself would not be among them


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_gpu_needs_no_environment() -> None:
    command = ["make", "-n", "gpu", "OUT=there", "PYTHON=this"]
    of_make = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")  # set where `make test` runs this
    variables = {name: value for name, value in os.environ.items() if name not in of_make}
    shown = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert shown.stdout.strip() == 'this -m benchmarks.gpu --out "there"'
