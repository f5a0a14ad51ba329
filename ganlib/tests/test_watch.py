"""A run says in words, once, that D has won, that G's gradient is gone or that nothing moves; a sound one is silent."""

import json
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from ganlib import toys
from ganlib.algorithm1 import Game, Report, algorithm1
from ganlib.lab import runs
from ganlib.lab.training import Training
from ganlib.metrics.watch import Watch
from ganlib.nets import MLP
from ganlib.sampling import Latent

FAR = toys.gaussian(8.0, 0.5)
RESULTS = Path(__file__).parents[2] / "book" / "results"


def reports(iterations=120, every=10, d_lr=0.01, g_lr=0.01, loss="non-saturating", rule=torch.optim.SGD, end=None):
    """A small pair on data far away, where D wins if it may learn."""
    torch.manual_seed(0)
    generator, discriminator = MLP((2, 8, 1), squeeze=False), MLP((1, 16, 1))
    generator = generator if end is None else nn.Sequential(generator, end)
    return list(algorithm1(
        generator, discriminator, FAR, Latent(2), iterations=iterations, every=every, m=8, loss=loss,
        d_optimiser=torch.optim.Adam(discriminator.parameters(), d_lr), g_optimiser=rule(generator.parameters(), g_lr),
    ))  # fmt: skip


class Rounded(nn.Module):
    def forward(self, x):
        return x.round()


@pytest.mark.parametrize(
    ("settings", "says", "others"),
    [
        ({"d_lr": 0.1, "g_lr": 1e-5}, "D has won", "stopped moving|gradient is gone"),
        (
            {"d_lr": 0.1, "g_lr": 1e-5, "loss": "minimax"},
            "D has won.*G's gradient is gone: the minimax loss",
            "stopped",
        ),
        ({"d_lr": 1e-3, "end": Rounded()}, "G has stopped moving", "has won"),
        ({"d_lr": 0.0, "g_lr": 0.0}, r"G and D have stopped moving, with a mean D\(G\(z\)\) of 0\.\d{3}", "has won"),
        ({"d_lr": 1e-12, "g_lr": 1e-12}, "G and D have stopped moving", "has won"),
        ({"d_lr": 0.0, "g_lr": 1e-3}, "D has stopped moving", "has won|G has"),
    ],
)
def test_trouble_is_said_once_in_words_with_a_remedy_and_a_page(settings, says, others):
    found = [report for report in reports(**settings) if report.remark]
    text = " ".join(report.remark for report in found)
    assert re.search(says, text)
    assert not re.search(others, text)
    for sentence in ("D has won", "stopped moving", "gradient is gone: the minimax"):
        assert text.count(sentence) <= 1
    for report in found:
        assert str(report) == f"{report!r}\n{report.remark}"
        assert "remark" not in repr(report)
        assert re.search(r"chapter [a-z0-9-]+ explains it under", report.remark)


def test_a_sound_run_says_nothing_and_its_reports_read_as_before():
    torch.manual_seed(0)
    generator, discriminator = MLP((2, 16, 1), squeeze=False), MLP((1, 16, 1))
    players = {
        "d_optimiser": torch.optim.Adam(discriminator.parameters(), 2e-3, betas=(0.5, 0.999)),
        "g_optimiser": torch.optim.Adam(generator.parameters(), 1e-3, betas=(0.5, 0.999)),
    }
    for report in algorithm1(generator, discriminator, toys.gaussian(), Latent(2), **players, iterations=100, every=10):
        assert report.remark == ""
        assert str(report) == repr(report)
        assert str(report).startswith(f"Report(iteration={report.iteration}, d_loss=")


def test_a_slow_start_is_no_stop():
    """The paper's D begins with weights so small that its G hardly moves, by parts in a billion, while D learns."""
    small = {"data": "digits", "width": 16, "units": 8, "m": 20, "iterations": 20, "every": 5}
    training = Training(runs.get("mnist-paper", small), device="cpu")
    before = [parameter.clone() for parameter in training.generator.parameters()]
    assert [report.remark for (report,) in training.reports()] == [""] * 4
    moved = sum((p - q).square().sum() for p, q in zip(training.generator.parameters(), before, strict=True)).sqrt()
    assert 0 < moved < 1e-7 * sum(p.square().sum() for p in before).sqrt()


def test_adam_undoes_the_factor_of_the_minimax_loss():
    found = " ".join(report.remark for report in reports(d_lr=0.1, g_lr=1e-5, loss="minimax", rule=torch.optim.Adam))
    assert "D has won" in found
    assert "minimax" not in found


def test_a_moment_is_not_enough():
    """With reports at every iteration, D's first confident ones are not a win: it must last."""
    found = reports(iterations=200, every=1, d_lr=0.1, g_lr=1e-5)
    confident = [r.iteration for r in found if r.d_real > 0.999 and r.d_fake < 1e-3]
    said = [r.iteration for r in found if "D has won" in r.remark]
    assert len(said) == 1
    assert said[0] >= confident[0] + 99


def test_each_seed_of_many_has_its_own_words():
    training = Training(
        runs.get("ring8", {"width": 16, "m": 16, "iterations": 40, "every": 10, "d_lr": 1e-30, "g_lr": 1e-30}),
        seeds=[3, 5],
        device="cpu",
    )
    generator = training.generator.members
    found = []
    for each in training.reports():
        found.append([report.remark for report in each])
        with torch.no_grad():
            next(generator.parameters())[1] += 0.1  # the second seed's G moves after all
    first, second = (" ".join(words) for words in zip(*found, strict=True))
    assert first.count("G and D have stopped moving") == 1
    assert second.count("D has stopped moving") == 1
    assert "G and D" not in second


def test_a_resumed_run_is_watched_from_where_it_goes_on():
    run = runs.get("ring8", {"width": 8, "m": 8, "iterations": 200, "every": 25, "d_lr": 1e-12, "g_lr": 1e-12})
    first = Training(run, device="cpu")
    first.advance(50)
    second = Training(run, device="cpu")
    second.load(first.state())
    said = [report.iteration for (report,) in second.reports() if report.remark]
    assert said == [150]


def spoken(curve):
    """At which iterations a committed curve would have been remarked on."""
    generator, discriminator = nn.Linear(1, 1), nn.Linear(1, 1)
    optimisers = [torch.optim.SGD(net.parameters(), 0.1) for net in (discriminator, generator)]
    watch, said = Watch(Game(generator, discriminator, Latent(1), Latent(1), *optimisers), int(curve[-1][0])), []
    for at, *figures in curve:
        with torch.no_grad():
            generator.weight += 1  # both move
            discriminator.weight += 1
        (report,) = watch.remarked([Report(int(at), *figures)])
        if report.remark:
            said.append(report.iteration)
    return said


@pytest.mark.skipif(not RESULTS.is_dir(), reason="needs the book's results")
def test_the_committed_runs_speak_once_and_rightly():
    """mnist-paper's seed 1, whose D had D(x) above .999 for 28 epochs, and no other of fourteen."""
    found = {}
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        for seed, curve in result.get("curves", {}).get("by_seed", {}).items():
            found[path.stem, seed] = spoken(curve)
    assert len(found) >= 14
    assert {name: said for name, said in found.items() if said} == {("mnist-paper", "1"): [8000]}
