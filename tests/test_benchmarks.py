"""The benchmarks: their arithmetic on a clock that we turn, and that each runs and writes its result; none is timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganlib.lab import runs
from ganlib.lab.results import environment, write_results

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # `pytest`, unlike `python -m pytest`, leaves the checkout off the path

from benchmarks import __main__ as everything  # noqa: E402
from benchmarks import common, conventional, dcgan, floor, loop, parzen, playground, seeds  # noqa: E402

CPU = torch.device("cpu")
MAINS: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    "parzen": parzen.main,
    "conventional": conventional.main,
    "floor": floor.main,
    "seeds": seeds.main,
    "dcgan": dcgan.main,
    "playground": playground.main,
}


class Clock:
    """Time that passes only when a candidate says so."""

    def __init__(self) -> None:
        self.now, self.slowness, self.turns = 0.0, 1.0, []

    def __call__(self) -> float:
        return self.now

    def candidate(self, name: str, cost: float) -> common.Steps:
        def step(n: int) -> None:
            self.turns.append((name, n))
            self.now += n * cost * self.slowness

        return step


def test_interleave_finds_known_costs_in_turns_of_the_asked_length() -> None:
    clock = Clock()
    candidates = {"slow": clock.candidate("slow", 0.5), "fast": clock.candidate("fast", 0.002)}
    times = common.interleave(candidates, rounds=3, seconds=1.0, clock=clock)
    assert times["slow"] == pytest.approx([0.5] * 3)
    assert times["fast"] == pytest.approx([0.002] * 3)
    assert clock.turns[-6:] == [("slow", 2), ("fast", 500)] * 3  # A B A B A B, a second each
    assert common.ratio(times["slow"], times["fast"]) == pytest.approx({"median": 250, "min": 250, "max": 250})


def test_interleave_makes_one_step_of_what_takes_longer_than_a_turn() -> None:
    clock = Clock()
    times = common.interleave({"long": clock.candidate("long", 30)}, rounds=2, seconds=1.0, clock=clock)
    assert times["long"] == [30, 30]
    assert {n for _, n in clock.turns} == {1}


def test_interleave_leaves_the_first_step_out() -> None:
    clock = Clock()

    def compiles_first(n: int) -> None:
        clock.now += n + (100 if not clock.turns else 0)
        clock.turns.append(("compiled", n))

    assert common.interleave({"compiled": compiles_first}, rounds=2, seconds=4.0, clock=clock)["compiled"] == [1, 1]


def test_a_machine_that_slows_down_between_rounds_changes_no_ratio() -> None:
    clock = Clock()
    a, b = clock.candidate("a", 0.3), clock.candidate("b", 0.1)

    def slower_after(n: int) -> None:
        b(n)
        clock.slowness *= 1.5

    times = common.interleave({"a": a, "b": slower_after}, rounds=4, seconds=1.0, clock=clock)
    assert times["a"][-1] > 3 * times["a"][0]
    assert common.ratio(times["a"], times["b"]) == pytest.approx({"median": 3, "min": 3, "max": 3})


@pytest.mark.parametrize(("rounds", "seconds"), [(0, 1.0), (1, 0.0), (1, float("nan"))])
def test_interleave_refuses_what_it_cannot_time(rounds: int, seconds: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        common.interleave({"a": lambda n: None}, rounds=rounds, seconds=seconds)


def test_ratio_takes_rounds_pairwise_and_keeps_what_is_asked() -> None:
    found = common.ratio([2, 9, 4], [1, 3, 1], target=1.5, limit=3)
    assert found == {"median": 3, "min": 2, "max": 4, "target": 1.5, "limit": 3}


def test_provenance_has_every_field() -> None:
    found = common.provenance("floor", ["--rounds", "2"], CPU, {"rounds": 2})
    assert set(found) == {*environment(), "script", "command", "cpu_capability", "gomp_spincount", "settings"}
    assert (ROOT / found["script"]).exists()
    assert found["command"] == "python -m benchmarks.floor --rounds 2"
    assert found["gomp_spincount"] == os.environ.get("GOMP_SPINCOUNT")
    assert found["threads"] == torch.get_num_threads()
    assert found["settings"] == {"rounds": 2}
    assert all(found[key] for key in ("date", "python", "torch", "ganlib", "system", "device", "processor"))


def browser_at_hand() -> bool:
    from playwright.sync_api import sync_playwright

    from tests.browser.pages import find_chromium

    with sync_playwright() as playwright:
        return find_chromium(playwright) is not None


def check(result: dict[str, Any], name: str) -> None:
    assert result["benchmark"] == name
    assert result["provenance"]["script"] == f"benchmarks/{name}.py"
    assert result["ratios"]
    for label, found in result["ratios"].items():
        assert 0 <= found["min"] <= found["median"] <= found["max"]
        assert found["min"] > 0 or "longest task" in label  # there may be none


@pytest.mark.parametrize("name", MAINS)
def test_smoke_run_writes_its_result(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--device", "cpu", "--smoke", "--rounds", "2", "--seconds", ".001", "--output", str(tmp_path)]
    arguments += ["--workers", "0"] if name in ("conventional", "dcgan") else []
    if name == "playground" and not browser_at_hand():
        pytest.skip("there is no Chromium: run make browser, or set GANLIB_CHROMIUM to the path of one")
    returned = MAINS[name](arguments)
    written = json.loads((tmp_path / f"{name}.json").read_text())
    check(written, name)
    assert written == returned
    assert written["provenance"]["settings"]["smoke"] is True
    printed = capsys.readouterr().out
    assert all(label in printed for label in written["ratios"])
    assert "its figures mean nothing" in printed


@pytest.mark.parametrize("path", sorted(common.RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_committed_result_is_a_full_run_of_its_script(path: Path) -> None:
    result = json.loads(path.read_text())
    check(result, path.stem)
    assert path.stem in MAINS
    assert result["provenance"]["settings"]["smoke"] is False


def test_every_script_is_known_and_documented() -> None:
    assert set(everything.NAMES) == set(MAINS)
    readme = (ROOT / "benchmarks" / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in MAINS)


@pytest.mark.parametrize("name", [*MAINS, "all"])
def test_help_says_what_is_measured(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        {**MAINS, "all": everything.main}[name](["--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert all(option in printed for option in ("--device", "--rounds", "--seconds", "--output", "--smoke"))
    assert len(printed.split("\n\n")[1]) > 60
    assert "None)" not in printed


@pytest.mark.parametrize("module", ["benchmarks", "benchmarks.floor"])
def test_runs_as_a_module(module: str) -> None:
    result = subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("usage:")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--smoke"], "--output"),
        (["--rounds", "0"], "--rounds 0"),
        (["--device", "abacus"], "'abacus' is not a device"),
    ],
)
def test_bad_command_line_is_refused_before_any_work(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        common.run("floor", common.parser("text"), lambda *_: pytest.fail("measured"), arguments)
    assert stopped.value.code == 2
    assert says in capsys.readouterr().err


def test_everything_names_the_benchmark_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        everything.main(["flour"])
    assert "no benchmark flour; there are parzen" in capsys.readouterr().err


def test_everything_runs_what_is_named_and_says_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_results(tmp_path / "floor.json", {"ratios": {"a / b": {"median": 2.5, "min": 2, "max": 3}}})
    calls: list[list[str]] = []

    def run(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        calls.append(command[1:])
        return subprocess.CompletedProcess(command, 1 if "benchmarks.dcgan" in command else 0)

    monkeypatch.setattr(everything.subprocess, "run", run)
    assert everything.main(["dcgan", "floor", "--rounds", "3", "--output", str(tmp_path)]) == 1
    passed = ["--rounds", "3", "--output", str(tmp_path)]
    assert calls == [["-m", "benchmarks.floor", *passed], ["-m", "benchmarks.dcgan", *passed]]
    out, err = capsys.readouterr()
    assert "2.50" in out
    assert "failed: dcgan" in err


@pytest.mark.parametrize("name", loop.PAIRS)
def test_conventional_nets_compute_what_the_engines_do(name: str) -> None:
    """The same weights give the same D(G(z)) and D(x): same layers in the same order, not only as many parameters."""
    with loop.available(name, {"width": 8} if name == "dcgan-64" else {"data": "digits"}) as (run, _):
        plain = loop.Loop(run, CPU)
        loop.same_nets(run, plain)
        engine = runs.networks(run, 0, runs.load_data(run, CPU))
        x = next(plain.batches)[:4]
    for ours, theirs in zip(engine, (plain.generator, plain.discriminator), strict=True):
        for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            # The engine's maxout keeps its pieces in rows of units, the plain one side by side.
            value = parameter.data
            if name == "mnist-paper" and ours is engine[1] and len(value) == 1200:
                value = value.unflatten(0, (5, 240)).transpose(0, 1).flatten(0, 1)
            other.data.copy_(value)
        ours.eval()
        theirs.eval()
    z = torch.randn(4, 100, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        fake, plain_fake = engine[0](z), plain.generator(z)
        torch.testing.assert_close(plain_fake.flatten(1), fake.flatten(1), atol=1e-5, rtol=1e-4)
        for images in (x, fake):
            images = images.view(4, *x.shape[1:])
            ours = engine[1](images if name == "dcgan-64" else images.flatten(1)).sigmoid()
            torch.testing.assert_close(plain.discriminator(images).flatten(), ours, atol=1e-5, rtol=1e-4)


def test_conventional_loop_trains_both_nets() -> None:
    run = runs.get("small-mlp", {"data": "digits"})
    plain = loop.Loop(run, CPU)
    before = [[p.clone() for p in net.parameters()] for net in (plain.generator, plain.discriminator)]
    plain(2)
    assert all(0 < loss < 5 for loss in plain.losses)
    for net, old in zip((plain.generator, plain.discriminator), before, strict=True):
        assert all(not torch.equal(p, q) for p, q in zip(net.parameters(), old, strict=True))


def test_missing_data_have_a_stand_in_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    with loop.available("mnist-paper", {}) as (run, source):
        assert run.data == "digits"
        assert source.startswith("MNIST is not here; instead digits")
    with loop.available("dcgan-64", {}) as (run, source):
        assert runs.load_data(run, CPU).minibatch(2, torch.Generator()).shape == (2, 3, 64, 64)
        assert source.startswith("cifar10 is not here")
    assert os.environ["GANLIB_DATA"] == str(tmp_path)


def test_flops_of_an_iteration_are_those_of_its_products() -> None:
    """The simultaneous update: G once, D once on real and fake, gradients of both, all of them matrix products."""
    run = runs.get("mnist-paper", {"data": "digits"})
    m, g, d = run.m, [100 * 1200, 1200 * 1200, 1200 * 784], [784 * 1200, 240 * 1200, 240]
    forward = m * sum(g) + 2 * m * sum(d)
    weights = forward
    # Gradients of inputs: G's but the first; D's but the first for its own loss, all of D's for G's loss.
    inputs = m * sum(g[1:]) + 2 * m * sum(d[1:]) + 2 * m * sum(d)
    assert sum(floor.flops(run).values()) == 2 * (forward + weights + inputs)


def test_products_are_products() -> None:
    for name, product in floor.products(32, CPU).items():
        assert product().shape == (32, 32), name
