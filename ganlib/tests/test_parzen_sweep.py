"""The sweep against the protocol's own functions and scikit-learn; k-means against scikit-learn's."""

import base64
import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import KernelDensity

from ganlib import data, widgets
from ganlib.errors import Diverged
from ganlib.lab import parzen_sweep, runs
from ganlib.lab.cli import main
from ganlib.metrics import parzen
from ganlib.metrics.kmeans import kmeans, lloyd

COMMITTED = Path(widgets.__file__).parent / "assets" / "parzen-sweep.json"
# 32-bit distances: the error of a log density grows with 1 / sigma^2.
TOLERANCE = 2e-4


@pytest.fixture(scope="module")
def digits():
    return [data.load("digits", split).flattened().floats() for split in ("train", "valid", "test")]


@pytest.fixture(scope="module")
def found(digits):
    train, valid, test = digits
    kernels = {"few": train[:60], "averages": kmeans(train[:300], 60)}
    return kernels, parzen_sweep.sweep(kernels, valid[:40], test[:50])


def test_the_widths_hold_the_papers_ten_and_have_equal_ratios():
    assert len(parzen_sweep.SIGMAS) == 25
    assert set(parzen.PAPER_SIGMAS) <= set(parzen_sweep.SIGMAS)
    assert parzen_sweep.SIGMAS[0] < 0.05
    assert parzen_sweep.SIGMAS[-1] == 1
    np.testing.assert_allclose(np.diff(np.log10(parzen_sweep.SIGMAS)), 1 / 18)


@pytest.mark.parametrize("at", [0, 6, 12, 24])
def test_every_value_agrees_with_scikit_learn(digits, found, at):
    _, valid, test = digits
    kernels, result = found
    sigma = result["sigmas"][at]
    for each in result["sets"]:
        centres = kernels[each["name"]].double().numpy()
        density = KernelDensity(bandwidth=sigma, leaf_size=len(centres)).fit(centres)
        scores = density.score_samples(test[:50].double().numpy())
        assert each["test"][at] == pytest.approx(scores.mean(), rel=TOLERANCE, abs=0.01)
        assert each["standard_error"][at] == pytest.approx(scores.std() / math.sqrt(50), rel=1e-3, abs=0.01)
        on_valid = density.score_samples(valid[:40].double().numpy()).mean()
        assert each["valid"][at] == pytest.approx(on_valid, rel=TOLERANCE, abs=0.01)


def test_the_choice_among_the_papers_ten_is_the_protocols(digits, found):
    _, valid, test = digits
    kernels, result = found
    assert [each["name"] for each in result["sets"]] == ["few", "averages"]
    for each in result["sets"]:
        protocol = parzen.evaluate(kernels[each["name"]], valid[:40], test[:50])
        at = each["chosen_of_papers"]
        assert result["sigmas"][at] == pytest.approx(protocol.sigma)
        assert each["test"][at] == pytest.approx(protocol.mean, rel=1e-5)
        assert each["standard_error"][at] == pytest.approx(protocol.standard_error, rel=1e-4)
        assert each["valid"][each["chosen"]] == max(each["valid"])
        assert (each["kernels"], result["valid"], result["test"]) == (60, 40, 50)


def test_examples_are_kernels_in_grey_levels(found):
    kernels, result = found
    for each in result["sets"]:
        pixels = np.frombuffer(base64.b64decode(each["examples"]), np.uint8).reshape(-1, 784)
        assert len(pixels) == parzen_sweep.EXAMPLES
        levels = (kernels[each["name"]] * 255).round().byte().numpy()
        assert all((levels == row).all(1).any() for row in pixels)
        assert len({row.tobytes() for row in pixels}) == len(pixels)


def test_without_the_papers_widths_nothing_is_chosen_among_them(digits):
    train, valid, test = digits
    result = parzen_sweep.sweep({"few": train[:5]}, valid[:3], test[:3], [0.15, 0.3], examples=2)
    assert result["sets"][0]["chosen_of_papers"] is None


@pytest.mark.parametrize(
    ("kernels", "sigmas", "says"),
    [
        (torch.full((3, 4), 1.5), [1.0], r"'a' is empty or leaves \[0, 1\]"),
        (torch.full((3, 4), math.nan), [1.0], "'a' holds values that are not finite"),
        (torch.zeros(0, 4), [1.0], r"'a' is \(0, 4\)"),
        (torch.zeros(3, 5), [1.0], r"\(3, 5\)"),
        (torch.zeros(3, 4), [0.0], "sigmas"),
    ],
)
def test_bad_kernels_are_refused_by_name(kernels, sigmas, says):
    with pytest.raises(ValueError, match=says):
        parzen_sweep.sweep({"a": kernels}, torch.zeros(2, 4), torch.zeros(2, 4), sigmas)


@pytest.mark.parametrize("name", [name for name, run in runs.RUNS.items() if run.channels != 1])
def test_runs_without_grey_images_have_no_sweep(name):
    with pytest.raises(ValueError, match=f"{name} has no grey images"):
        parzen_sweep.check(runs.get(name))


def test_a_diverged_generator_is_not_measured():
    run = runs.get("mnist-paper", {"data": "digits", "examples": "50"})
    generator = runs.networks(run, 0, None)[0]
    with torch.no_grad():
        next(generator.parameters()).fill_(math.nan)
    with pytest.raises(Diverged, match="not finite"):
        parzen_sweep.sweep_run(run, generator, 10)


@pytest.mark.parametrize("rounds", [1, 3, 8])
def test_k_means_is_scikit_learns_from_the_same_start(digits, rounds):
    points = digits[0][:400]
    start = points[torch.randperm(400, generator=torch.Generator().manual_seed(0))[:12]]
    theirs = KMeans(12, init=start.numpy(), n_init=1, max_iter=rounds, tol=0, algorithm="lloyd")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected = theirs.fit(points.numpy()).cluster_centers_
    torch.testing.assert_close(kmeans(points, 12, rounds=rounds), torch.from_numpy(expected), atol=1e-5, rtol=0)


def test_blocks_change_nothing_and_a_lonely_centre_stays(digits, monkeypatch):
    points = digits[0][:100]
    whole = kmeans(points, 10)
    monkeypatch.setattr("ganlib.metrics.kmeans.BLOCK_BYTES", 4 * 10 * 7)  # seven points a block
    torch.testing.assert_close(kmeans(points, 10), whole)
    monkeypatch.setattr("ganlib.metrics.kmeans.BLOCK_BYTES", 1)  # less than one point
    torch.testing.assert_close(kmeans(points, 10), whole)
    far = torch.cat([points[:3], torch.full((1, 784), 50.0)])
    assert torch.equal(lloyd(points, far, 4)[3], far[3])


def test_a_centre_moves_to_the_mean_of_its_points_even_of_one():
    points = torch.tensor([[0.0], [1.0], [9.0]])
    assert lloyd(points, torch.tensor([[0.4], [7.0]]), 1).flatten().tolist() == [0.5, 9.0]


@pytest.mark.parametrize(
    ("points", "centres"),
    [
        (torch.zeros(5, 2), torch.zeros(0, 2)),
        (torch.zeros(5, 2), torch.zeros(3, 1)),
        (torch.full((5, 2), torch.nan), torch.zeros(3, 2)),
    ],
)
def test_points_and_centres_that_do_not_fit_are_refused(points, centres):
    with pytest.raises(ValueError, match=r"points|centres"):
        lloyd(points, centres, 1)


@pytest.mark.parametrize(("k", "rounds", "says"), [(0, 1, "k is 0"), (6, 1, "k is 6"), (2, -1, "rounds is -1")])
def test_impossible_clusters_are_refused(k, rounds, says):
    with pytest.raises(ValueError, match=says):
        kmeans(torch.zeros(5, 2), k, rounds=rounds)


def test_the_command_writes_a_sweep_with_its_provenance(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = ["data=digits", "examples=200", "width=16", "units=8", "m=20", "iterations=2", "every=1"]
    train = ["train", "mnist-paper", "--device", "cpu", "--quiet", "--out", "d"]
    assert main(train + [part for each in small for part in ("--set", each)]) == 0
    assert main(["sweep", "d", "--samples", "50", "--device", "cpu", "--out", "s.json"]) == 0
    assert capsys.readouterr().out.endswith("s.json\n")
    found = json.loads(Path("s.json").read_text())
    assert found["command"] == "python -m ganlib sweep d --samples 50 --device cpu --out s.json"
    assert [each["kernels"] for each in found["sets"]] == [50, 50, 200, 50]
    assert (found["run"], found["iteration"], found["valid"], found["test"]) == ("mnist-paper", 2, 500, 500)
    assert found["published"] is None  # the embedded digits are no full MNIST
    train_images, valid, test = (data.load("digits", split).flattened().floats() for split in data.SPLITS)
    protocol = parzen.evaluate(train_images[:50], valid, test)
    shown = found["sets"][1]
    assert shown["test"][shown["chosen_of_papers"]] == pytest.approx(protocol.mean, rel=1e-5)
    assert main(["sweep", "d", "--samples", "40", "--device", "cpu", "--out", "s.json"]) == 5
    assert "samples: 50 -> 40" in capsys.readouterr().err
    assert main(["sweep", "d", "--samples", "201", "--device", "cpu", "--out", "t.json"]) == 2
    assert "200 training images" in capsys.readouterr().err


def test_the_committed_sweep_is_the_papers_protocol_and_small():
    found = json.loads(COMMITTED.read_text())
    assert COMMITTED.stat().st_size < 100_000
    assert found["sigmas"] == list(parzen_sweep.SIGMAS)
    assert (found["run"], found["valid"], found["test"], found["shape"]) == ("mnist-paper", 1000, 10_000, [28, 28])
    assert [each["kernels"] for each in found["sets"]] == [10_000, 10_000, 50_000, 10_000]
    assert found["published"] == parzen_sweep.PUBLISHED
    assert found["changed"] == {}
    for each in found["sets"]:
        assert each["chosen"] == each["valid"].index(max(each["valid"]))
        papers = range(6, 25, 2)
        assert each["chosen_of_papers"] == max(papers, key=each["valid"].__getitem__)
        assert len(base64.b64decode(each["examples"])) == parzen_sweep.EXAMPLES * 784
