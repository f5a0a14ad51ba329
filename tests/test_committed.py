"""Committed results are what they say: of named settings and committed code, with the files that were measured.

Each check has a change of a true result here that nothing else finds.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ganlib.lab import committed, runs, studies
from ganlib.lab.generators import save_generator

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "ganlib" / "widgets" / "assets"
WHOLE = "latent-explorer.json"  # of `reproduce`, with weights beside it
WEIGHTS = "latent-explorer-seed0.safetensors"
PAPER = "mnist-paper.json"  # of `combine`, with snapshots and averages
SWEEP = "parzen-sweep.json"  # of one of its generators
Mutation = Callable[[dict[str, Any]], object]


def test_every_committed_result_is_what_it_says() -> None:
    assert {path.parent.name for path in committed.files(ROOT)} == {"results", "assets"}
    assert committed.problems(ROOT) == []


def tree(root: Path, *results: Path) -> Path:
    """A tree with these results, to be changed, and links to the weights beside them."""
    folder = root / committed.RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    for path in results:
        shutil.copy(path, folder)
        for weights in path.parent.glob(f"{path.stem}*.safetensors"):
            (folder / weights.name).symlink_to(weights)
    return folder


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return tree(tmp_path, ASSETS / WHOLE)


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    return tree(tmp_path, ROOT / committed.RESULTS / PAPER, ASSETS / SWEEP)


@pytest.mark.parametrize("results", ["whole", "paper", "study"])
def test_nothing_is_found_in_what_the_other_tests_change(results: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(results)
    assert committed.problems(request.getfixturevalue("tmp_path")) == []


def change(path: Path, mutate: Mutation) -> list[str]:
    """What is found once a result is changed."""
    content = json.loads(path.read_text())
    mutate(content)
    path.write_text(json.dumps(content, indent=1))
    return committed.problems(path.parents[2])


def assert_found(path: Path, mutate: Mutation, says: str) -> None:
    found = change(path, mutate)
    assert any(problem.startswith(f"{committed.RESULTS}/{path.name}: ") and says in problem for problem in found), found


def put(value: Any, *where: str | int) -> Mutation:
    """Set what is at a place, or take it away (...)."""

    def mutate(content: Any) -> None:
        for name in where[:-1]:
            content = content[name]
        if value is ...:
            del content[where[-1]]
        else:
            content[where[-1]] = value

    return mutate


def span(start: int, end: int, *, commit: str | None = "a" * 40, dirty: bool = False) -> dict[str, Any]:
    return {"from": start, "to": end, "commit": commit, "dirty": dirty, "threads": 1, "torch": "2"}


FIGURE = ("across_seeds", "log_likelihood")


@pytest.mark.parametrize(
    ("mutate", "says"),
    [
        (put(0.0003, "settings", "d_lr"), "settings.d_lr is 0.0003, and must be 0.0002; make it again: python -m gan"),
        (put(1.0, "settings", "k"), "settings.k is 1.0, and must be 1"),
        (put(..., "settings", "m"), "settings.m is 'not there', and must be 64"),
        (put(3, "settings", "layers"), "settings.layers is 3, and must be 'not there'"),
        (put({"named": 1, "this": 2}, "changed", "k"), "changed.k is {'named': 1, 'this': 2}, and must be 'not there'"),
        (put("dcgan-digit", "run"), "no run 'dcgan-digit', did you mean dcgan-digits"),
        (put("vae", "study"), "of how many runs, studies and benchmarks it is is 2"),
        (put(..., "run"), "of how many runs, studies and benchmarks it is is 0"),
        # its making
        (put(True, "environment", "dirty"), "dirty is True, and must be False"),
        (put(None, "environment", "dirty"), "dirty is None"),
        (put(..., "environment", "processor"), "what its environment lacks is ['processor']"),
        (put("0" * 40, "environment", "commit"), f"commit is '{'0' * 40}', which cannot be"),
        (put("main", "environment", "commit"), "commit is 'main', which cannot be"),
        (put("clean", "environment"), "it is not as python -m ganlib writes it (AttributeError: "),
        (put(..., "command"), "it is not as python -m ganlib writes it (KeyError: 'command')"),
        (put([span(0, 6199)], "trained_by"), "iterations in trained_by.1 is 6200, and must be 6199"),
        (put([span(0, 9), span(20, 6200)], "trained_by"), "iterations in trained_by"),
        (put([span(0, 6200, dirty=True)], "trained_by"), "dirty is True"),
        (put([span(0, 6200, commit=None)], "trained_by"), "commit is None"),
        # what was measured, and on what
        (put("bf16", "precision"), "precision is 'bf16', and must be 'fp32'"),
        (put(100, "samples"), "samples is 100, and must be 10000"),
        (put(100, "figures_by_seed", "0", "samples"), "samples and sampling_seed of seed 0.0 is 100"),
        (put(7, "figures_by_seed", "0", "sampling_seed"), "samples and sampling_seed of seed 0.1 is 7"),
        (put(..., "data", 2), "its splits of data is ['train', 'valid'], and must be ['test', "),
        (put([], "seeds"), "seeds is [], which cannot be"),
        (put([0, 1], "seeds"), "seeds with figures is ['0'], and must be ['0', '1']"),
        (put({}, "weights"), "seeds with weights is [], and must be ['0']"),
        # across seeds
        (put(..., "figures_by_seed"), "(KeyError: 'figures_by_seed')"),
        (put(99.0, *FIGURE, "mean"), "across_seeds.log_likelihood.mean is 99.0, and must be"),
        (put([99.0], *FIGURE, "values"), "across_seeds.log_likelihood.values.0 is 99.0, and must be"),
        (put("bits", *FIGURE, "unit"), "across_seeds.log_likelihood.unit is 'bits', and must be 'nats'"),
        (put(2.0, *FIGURE, "standard_error"), "log_likelihood.standard_error is 2.0, and must be 'not there'"),
        (put({"mean": 9.0}, "across_seeds", "fid"), "across_seeds.fid is {'mean': 9.0}, and must be 'not there'"),
        (put({"by_seed": {}, "across_seeds": {"sigma": {}}}, "averaged"), "averaged seeds with figures is []"),
        # files
        (put("0" * 64, "weights", "0", "sha256"), f"{WEIGHTS} sha256 and bytes.0 is '{'0' * 64}'"),
        (put(17, "weights", "0", "bytes"), f"{WEIGHTS} sha256 and bytes.1 is 17"),
        (put("gone.npz", "weights", "0", "file"), "No such file or directory"),
        (put({"by_seed": {"0": {"iteration": 62}}}, "snapshots"), f"{WEIGHTS} iteration and snapshots averaged.0"),
        (put("python train.py --out /home/me/x", "command"), "the folder of one machine that it names"),
        (put("read from C:\\data", "data", 0, "source"), "the folder of one machine that it names"),
        (put(float("nan"), "wall_seconds"), "it holds NaN, which is no finite number"),
    ],
)  # fmt: skip
def test_a_changed_result_of_a_run_is_found(whole: Path, mutate: Mutation, says: str) -> None:
    assert_found(whole / WHOLE, mutate, says)


def test_a_training_in_two_parts_by_committed_code_is_allowed(whole: Path) -> None:
    assert change(whole / WHOLE, put([span(0, 9), span(9, 6200, commit="b" * 40)], "trained_by")) == []


@pytest.mark.parametrize(
    ("rate", "record", "says"),
    [
        (0.01, {}, "settings.d_lr is 0.01, and must be 0.0002"),
        (0.0002, {"from": "/home/me/x"}, "the folder of one machine that it names"),
    ],
)
def test_weights_of_another_run_are_found_though_their_hash_is_named(
    whole: Path, rate: float, record: dict[str, str], says: str
) -> None:
    path, run = whole / WEIGHTS, runs.get("dcgan-digits", {"d_lr": rate})
    path.unlink()
    save_generator(path, run, 0, runs.networks(run, 0, None)[0], 6200, record)

    def named(content: dict[str, Any]) -> None:
        content["weights"]["0"] |= {"sha256": committed.hashed(path), "bytes": path.stat().st_size}

    (found,) = change(whole / WHOLE, named)
    assert says in found


def test_files_too_large_or_named_by_no_result_are_found(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (committed.LARGEST, committed.TOGETHER) == (8_000_000, 40_000_000)
    (whole / "left-over.npz").write_bytes(b"x" * 100)
    (found,) = committed.problems(whole.parents[1])
    assert found == "book/results/left-over.npz: no result beside it names it; remove it"
    monkeypatch.setattr(committed, "LARGEST", 50)
    monkeypatch.setattr(committed, "TOGETHER", 1000)
    found = committed.problems(whole.parents[1])
    assert "book/results/left-over.npz: 100 bytes; no file may have more than 50" in found
    assert any(problem.startswith("book/results: ") and "more than 1,000" in problem for problem in found)


@pytest.fixture
def study(whole: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study with settings, and a committed result of it that read the run's weights and a network of ganlib's."""

    @dataclass(frozen=True, kw_only=True)
    class Settings:
        widths: tuple[float, ...] = (0.1, 0.2)
        weights: str = "latent-explorer-seed0,another"

    module = ModuleType(f"{studies.__name__}.trial")
    module.Settings = Settings  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(studies.STUDIES, "trial", "a trial")
    network = whole.parents[1] / "ganlib" / "assets" / "network.safetensors"
    network.parent.mkdir(parents=True)
    network.write_bytes(b"a network")
    run = json.loads((whole / WHOLE).read_text())
    content = {name: run[name] for name in ("data", "environment", "started", "wall_seconds", "command")}
    content |= {"study": "trial", "settings": {"widths": [0.1, 0.2], "weights": "latent-explorer-seed0,another"}}
    content |= {"changed": {}, "figures": {"share": {"value": 0.5}}}
    content["inputs"] = {WEIGHTS: run["weights"]["0"]["sha256"], network.name: committed.hashed(network)}
    path = whole / "trial.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("mutate", "says"),
    [
        (put([0.1], "settings", "widths"), "settings.widths is [0.1], and must be [0.1, 0.2]"),
        (put(True, "environment", "dirty"), "dirty is True"),
        (put("trail", "study"), "no study 'trail'"),
        (put(..., "changed"), "(KeyError: 'changed')"),
        (put({}, "figures"), "figures is {}, which cannot be"),
        (put({"sigma": {"mean": 9.0}}, "across_seeds"), "across_seeds is {'sigma': {'mean': 9.0}}, and must be None"),
        (put("1" * 64, "inputs", WEIGHTS), f"{WEIGHTS}, which it read is '1111"),
        (put("1" * 64, "inputs", "network.safetensors"), "network.safetensors, which it read is '1111"),
        (put("1" * 64, "inputs", "elsewhere.npz"), "elsewhere.npz, which it read is '1111"),
        (put(..., "inputs", WEIGHTS), f"{WEIGHTS}, which its settings name, among its inputs is False"),
        (put({"trial.npz": "1" * 64}, "files"), "No such file or directory"),
    ],
)
def test_a_changed_result_of_a_study_is_found(study: Path, mutate: Mutation, says: str) -> None:
    assert_found(study, mutate, says)


def test_a_generator_may_be_left_out_and_is_known_by_its_hash(study: Path) -> None:
    (study.parent / WEIGHTS).unlink()
    assert committed.problems(study.parents[2]) == []
    assert_found(study, put("1" * 64, "inputs", WEIGHTS), f"{WEIGHTS}, which it read is '1111")


def test_a_generator_left_out_has_a_hash_at_least(whole: Path) -> None:
    (whole / WEIGHTS).unlink()
    assert_found(whole / WHOLE, put("0x", "weights", "0", "sha256"), f"{WEIGHTS} sha256 is '0x'")


@pytest.mark.parametrize(
    ("mutate", "says"),
    [
        (put(7, "run", "width"), "settings.width is 7, and must be 1200; make it again: python -m benchmarks.floor"),
        (put("mine", "run", "name"), "no run 'mine'"),
        (put(True, "provenance", "dirty"), "dirty is True"),
        (put({}, "ratios"), "ratios is {}, which cannot be"),
    ],
)
def test_a_changed_result_of_a_benchmark_is_found(tmp_path: Path, mutate: Mutation, says: str) -> None:
    assert_found(tree(tmp_path, ROOT / "benchmarks" / "results" / "floor.json") / "floor.json", mutate, says)


def choice(mutate: Mutation, *where: str) -> Mutation:
    """A change of the first seed's choice among its snapshots, or their averages."""

    def change_it(content: dict[str, Any]) -> None:
        for name in (*where, "by_seed", "0"):
            content = content[name]
        mutate(content)

    return change_it


def best_at(place: int) -> Mutation:
    return put(9999.0, "curve", place, 2)


@pytest.mark.parametrize(
    ("mutate", "says"),
    [
        # seeds put together
        (put(True, "parts", 0, "environment", "dirty"), "dirty is True"),
        (put(..., "parts", 0, "command"), "(KeyError: 'command')"),
        (put([2], "parts", 0, "seeds"), "seeds of its parts"),
        (put(..., "weights", "1"), "seeds with weights is ['0'], and must be ['0', '1']"),
        (lambda content: content["weights"].update({"1": content["weights"]["0"]}), "safetensors seeds.0 is 0"),
        # the choice among snapshots
        (choice(lambda each: each["curve"].pop(0), "snapshots"), "snapshots tried of seed 0"),
        (choice(put(9999, "curve", 3, 0), "snapshots"), "snapshots tried of seed 0.3 is 9999, and must be 10000"),
        (choice(best_at(0), "snapshots"), "iteration of seed 0 is 120000, and must be 2500"),
        (choice(put(2500, "iteration"), "snapshots"), "iteration of seed 0 is 2500, and must be 120000"),
        (choice(best_at(47), "snapshots"), "sigma and validation score of seed 0.1"),
        (put(5000, "snapshots", "every"), "snapshots.every is 5000, and must be 2500"),
        (put(..., "snapshots", "by_seed", "1"), "seeds with snapshots is ['0'], and must be ['0', '1']"),
        (put(..., "snapshots"), "seed0.safetensors iteration and snapshots averaged.0 is 120000, and must be 125000"),
        # averages
        (put(99.0, "averaged", *FIGURE, "mean"), "averaged across_seeds.log_likelihood.mean is 99.0"),
        (put("0" * 64, "averaged", "by_seed", "0", "weights", "sha256"), "averaged-seed0.safetensors sha256 and bytes"),
        (put(..., "averaged", "by_seed", "0", "weights"), "(KeyError: 'weights')"),
        (put(100, "averaged", "by_seed", "0", "samples"), "averaged samples and sampling_seed of seed 0.0 is 100"),
        (choice(lambda each: each["curve"].pop(), "averaged"), "averages tried of seed 0"),
        (choice(best_at(0), "averaged"), "averaged-seed0.safetensors iteration and snapshots averaged.1 is 50"),
        (choice(best_at(-1), "averaged"), "sigma and validation score of averaged seed 0.1"),
    ],
)
def test_seeds_put_together_their_choices_and_averages_are_checked(paper: Path, mutate: Mutation, says: str) -> None:
    assert_found(paper / PAPER, mutate, says)


@pytest.mark.parametrize(
    ("mutate", "says"),
    [
        (put(5, "samples"), "samples is 5, and must be 10000"),
        (put(..., "checkpoint_sha256"), "(KeyError: 'checkpoint_sha256')"),
        (put("0" * 64, "checkpoint_sha256"), "(KeyError: '0000"),  # made from no committed generator
        (put(125_000, "iteration"), "seed0.safetensors iteration and snapshots averaged.0 is 120000"),
        (put([1], "seeds"), "seed0.safetensors seeds.0 is 0, and must be 1"),
        (put(5, "sets", 0, "kernels"), "kernels of its first set is 5, and must be 10000"),
        (put("0" * 64, "data", 0, "sha256"), "the SHA-256 of MNIST, train, 50000 examples is '0"),
        (put("CIFAR-10", "data", 0, "name"), "the name of the data mnist is 'CIFAR-10', and must be 'MNIST'"),
    ],
)
def test_a_changed_sweep_is_found(paper: Path, mutate: Mutation, says: str) -> None:
    assert_found(paper / SWEEP, mutate, says)


def test_toy_data_have_no_choice(tmp_path: Path) -> None:
    path = tree(tmp_path, ROOT / committed.RESULTS / "ring8.json") / "ring8.json"
    found = change(path, choice(put([[8000, 0.1, 1.0]], "curve"), "snapshots"))
    assert any("snapshots tried of seed 0 is [8000], and must be []" in problem for problem in found)
