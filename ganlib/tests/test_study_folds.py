"""The study of folds: what a fold holds, what each stage trains on, and both meanings of +-, on few digits."""

import json
import math
import statistics

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from ganlib import data
from ganlib.errors import DataError, Diverged
from ganlib.lab import checkpoint, runs, studies
from ganlib.lab.studies import folds
from ganlib.lab.training import Training
from ganlib.metrics import parzen
from ganlib.nets import PaperGenerator, StackedGenerator
from ganlib.sampling import sample

CPU = torch.device("cpu")
FEW = {"data": "digits", "width": 16, "units": 8, "first": 30, "second": 12, "labelled": 200, "samples": 150, "seed": 3}


@pytest.fixture(scope="module")
def settings():
    return studies.settings("folds", FEW)


@pytest.fixture(scope="module")
def outcome(settings, tmp_path_factory):
    said = []
    found = folds.study(settings, CPU, tmp_path_factory.mktemp("none"), said.append)
    assert len(said) == 10 + 6 + 2 * 4
    return found


@pytest.mark.parametrize("n", [20, 200, 4178])
def test_every_image_is_tested_on_in_one_fold_and_no_fold_uses_one_twice(n):
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    dealt = folds.deal(order)
    assert len(dealt) == 5
    assert torch.cat([fold.test for fold in dealt]).tolist() == order.tolist()
    for fold in dealt:
        assert sorted(torch.cat(fold).tolist()) == list(range(n))
        assert [len(part) for part in fold] == pytest.approx([0.7 * n, 0.1 * n, 0.2 * n], abs=1)


def test_the_named_study_has_as_many_labelled_images_and_folds_as_tfd_and_its_48_pixels():
    named = studies.settings("folds")
    assert (named.data, named.labelled, named.samples, folds.FOLDS) == ("mnist", 4178, 10_000, 5)
    assert named.first / named.second == pytest.approx(50 / 22, rel=1e-3)  # epochs in pretrain.yaml and train.yaml
    for stage, name in folds.STAGES.items():
        run = named.run(stage)
        differs = set(runs.changed(run))
        assert differs == {"data", "width", "units", "iterations", "every"}
        assert (run.name, run.stage, run.image_size, run.dim) == (name, stage, 48, 2304)


@pytest.fixture(scope="module")
def by_hand(settings, tmp_path_factory):
    """Samples of both stages, trained again: the second from the first one's weights, both on the training images."""
    drawn = {}
    first = Training(settings.run(1), seeds=[3], device=CPU)
    first.advance(30)
    assert isinstance(first.generator, PaperGenerator)
    state = {f"generator.{name}": tensor for name, tensor in first.generator.state_dict().items()}
    file = checkpoint.save(tmp_path_factory.mktemp("stage1"), 30, state, {}, {})
    second = Training(settings.run(2, str(file)), seeds=[3], device=CPU)
    assert isinstance(second.generator, StackedGenerator)
    second.advance(12)
    for name, training in (("stage 1", first), ("stage 2", second)):
        assert training.data.sha256 == data.load("digits").sha256
        drawn[name] = sample(training.networks()[0], runs.latent(training.run), 150, seed=3)
    return drawn | {"training images": data.load("digits").resized(48).flattened().first(150).floats()}


def orders():
    """The images as each way deals them, and the images."""
    others = data.load("digits", "test")
    order = torch.randperm(500, generator=torch.Generator().manual_seed(3))[:200]
    by_digit = order[torch.from_numpy(np.argsort(others.labels[order].numpy(), kind="stable"))]
    return {folds.SHUFFLED: order, folds.BY_DIGIT: by_digit}, others.resized(48).flattened().floats()


def densities(kernels, points, sigma):
    """Logarithms of the mean of Gaussians of that width, by SciPy."""
    exponents = -cdist(points.double().numpy(), kernels.double().numpy(), "sqeuclidean") / (2 * sigma**2)
    return logsumexp(exponents, axis=1) - math.log(len(kernels)) - 1152 * math.log(2 * math.pi * sigma**2)


@pytest.mark.parametrize("deal", [folds.SHUFFLED, folds.BY_DIGIT])
def test_every_score_is_the_published_measure_of_that_fold(outcome, by_hand, deal):
    dealt, images = orders()
    order = dealt[deal]
    for name, found in outcome.figures["by_deal"][deal].items():
        for i, one in enumerate(found["by_fold"]):
            rest = order.roll(-40 * (i + 1))[:160]
            kernels = images[rest[20:]] if name == folds.OWN else by_hand[name]
            sigma = max(parzen.PAPER_SIGMAS, key=lambda width: densities(kernels, images[rest[:20]], width).mean())
            scores = densities(kernels, images[order[40 * i : 40 * (i + 1)]], sigma)
            score = one["log_likelihood"]
            again = scores.mean(), scores.std() / math.sqrt(40)
            assert (score["value"], score["plus_minus"]) == pytest.approx(again, rel=1e-4)
            assert (one["sigma"], score["n"], one["kernels"]) == (sigma, 40, len(kernels))


def test_both_meanings_of_plus_minus_are_what_they_are_called(outcome, by_hand):
    dealt, images = orders()
    for deal, sets in outcome.figures["by_deal"].items():
        assert list(sets) == ["stage 1", "stage 2", "training images", folds.OWN]
        for found in sets.values():
            values = [one["log_likelihood"]["value"] for one in found["by_fold"]]
            across = found["across_folds"]
            assert (across["value"], across["n"]) == (pytest.approx(statistics.mean(values)), 5)
            assert across["plus_minus"] == pytest.approx(stats.sem(values))
            over = statistics.mean(one["log_likelihood"]["plus_minus"] for one in found["by_fold"])
            assert found["across_folds_by_over_images"] == pytest.approx(across["plus_minus"] / over)
        scores = []
        for i, one in enumerate(sets["stage 2"]["by_fold"]):
            test = images[dealt[deal][40 * i : 40 * (i + 1)]]
            scores.append(parzen.log_likelihoods(by_hand["stage 2"], test, [one["sigma"]])[0])
        together = torch.cat(scores)
        pooled = sets["stage 2"]["all_test_images"]
        assert (pooled["value"], pooled["n"]) == (pytest.approx(together.mean().item()), 200)
        assert pooled["plus_minus"] == pytest.approx(together.std(correction=0).item() / math.sqrt(200))


def scored(levels, noise, seed):
    """Scores of one kernel at 0 on images whose fold's level and own noise are given, in 50 dimensions."""
    rng = torch.Generator().manual_seed(seed)
    level = torch.tensor(levels).repeat_interleave(400)[:, None]
    images = level + noise * torch.rand(2000, 50, generator=rng)
    dealt = folds.deal(torch.arange(2000))
    return folds._scored([torch.zeros(1, 50)] * 5, dealt, images)["across_folds_by_over_images"]


def test_images_dealt_at_random_give_one_over_root_five_and_folds_that_differ_much_more():
    alike = [scored([0.0] * 5, 1.0, seed) for seed in range(60)]
    assert math.sqrt(statistics.mean(x**2 for x in alike)) == pytest.approx(1 / math.sqrt(5), rel=0.2)
    assert scored([0.0, 0.1, 0.2, 0.3, 0.4], 1.0, 0) > 5 / math.sqrt(5)


def test_the_outcome_is_fit_for_json_and_names_the_stand_in(outcome):
    json.dumps(outcome.figures, allow_nan=False)
    assert [(images.name, images.split) for images in outcome.data] == [
        ("digits (5,000 of MNIST)", "train"),
        ("digits (5,000 of MNIST)", "test"),
    ]
    assert outcome.figures["images_a_fold"] == {"train": [140] * 5, "valid": [20] * 5, "test": [40] * 5}
    assert "in place of TFD's faces" in outcome.figures["protocol"]
    assert outcome.inputs == {}


def test_other_training_images_and_samples_that_are_not_finite_are_refused(settings, monkeypatch):
    with pytest.raises(DataError, match="changed while the study was at work"):
        folds._stages(settings, CPU, "a" * 64, print)
    monkeypatch.setattr(folds, "sample", lambda *_, **__: torch.full((150, 2304), math.nan))
    with pytest.raises(Diverged, match="stage 1: the generator's samples are not finite"):
        folds.study(settings, CPU, None, lambda line: None)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"labelled": 19}, "labelled is 19; give at least 20"),
        ({"first": 0}, "first is 0"),
        ({"second": -1}, "second is -1"),
        ({"width": 0, "units": 0}, "width is 0, units is 0"),
        ({"samples": 0}, "samples is 0"),
        ({"data": "tfd"}, "data is 'tfd'; give 'digits' or 'mnist'"),
    ],
)
def test_impossible_settings_are_refused_by_name(overrides, says):
    with pytest.raises(ValueError, match=says):
        studies.settings("folds", {**FEW, **overrides})


def test_more_labelled_images_than_there_are_is_refused_before_any_training(monkeypatch):
    monkeypatch.setattr(folds, "_stages", lambda *_: pytest.fail("a training began"))
    with pytest.raises(ValueError, match=r"labelled is 501; digits .* has 500 test images"):
        folds.study(studies.settings("folds", {**FEW, "labelled": 501}), CPU, None, print)
