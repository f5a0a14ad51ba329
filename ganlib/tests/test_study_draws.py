"""Scores of several draws are what the evaluation gives with those sampling seeds, and their spread is theirs."""

import hashlib
import statistics

import pytest
import torch

from ganlib.lab import measure, runs, studies
from ganlib.lab.generators import open_trained, save_generator
from ganlib.lab.models import vae
from ganlib.lab.studies import draws
from ganlib.metrics import parzen

FEW = {"data": "digits", "weights": "some-seed0", "vae": "", "samples": 200, "draws": 3, "seed": 4}
CPU = torch.device("cpu")


def look(folder, **overrides):
    return draws.study(studies.settings("draws", {**FEW, **overrides}), CPU, folder, lambda line: None)


@pytest.fixture
def folder(tmp_path):
    made = runs.get("mnist-paper", {"data": "digits", "width": 16, "units": 8})
    net = runs.networks(made, 0, runs.load_data(made))[0]
    for weights in net.parameters():
        weights.data *= 20  # samples of an untrained net are alike
    save_generator(tmp_path / "some-seed0.safetensors", made, 0, net, 7)
    for weights in net.parameters():
        weights.data.zero_()
    save_generator(tmp_path / "collapsed-seed0.safetensors", made, 0, net, 7)
    return tmp_path


def test_each_value_is_the_evaluation_of_that_draw(folder):
    outcome = look(folder)
    found, trained = outcome.figures["sets"]["some-seed0"], open_trained(folder / "some-seed0.safetensors")[0]
    held_out = measure.held_out(trained.run)
    expected = [
        measure.measure(trained.run, trained.generator(), held_out, samples=200, seed=seed)["figures"]
        for seed in (4, 5, 6)
    ]
    scores = [each["log_likelihood"]["value"] for each in expected]
    assert len(set(scores)) == 3
    assert found["values"] == pytest.approx(scores)
    assert found["sigmas"] == [each["sigma"]["value"] for each in expected]
    errors = [each["log_likelihood"]["plus_minus"] for each in expected]
    assert found["standard_errors_over_test_images"] == pytest.approx(errors)
    mean = found["log_likelihood"]
    assert (mean["value"], mean["plus_minus"]) == pytest.approx((statistics.mean(scores), statistics.stdev(scores)))
    assert (mean["n"], mean["n_is"]) == (3, "draws of 200 samples")
    assert outcome.figures["sampling_seeds"] == [4, 5, 6]
    sha256 = hashlib.sha256((folder / "some-seed0.safetensors").read_bytes()).hexdigest()
    assert outcome.inputs == {"some-seed0.safetensors": sha256}
    assert [split.split for split in outcome.data] == ["valid", "test"]


def test_a_generator_of_one_image_scores_the_same_in_every_draw(folder):
    found = look(folder, weights="collapsed-seed0").figures["sets"]["collapsed-seed0"]
    assert found["log_likelihood"]["plus_minus"] == 0
    # Every kernel is the grey image 1/2: a Gaussian, so the score is known.
    run = open_trained(folder / "collapsed-seed0.safetensors")[0].run
    test, sigma = measure.held_out(run)["test"].flattened().floats().double(), found["sigmas"][0]
    gaussian = torch.distributions.Normal(torch.tensor(0.5, dtype=torch.float64), sigma)
    assert found["values"][0] == pytest.approx(gaussian.log_prob(test).sum(1).mean().item(), rel=1e-5)


def test_a_decoder_is_scored_as_its_own_study_scores_it(folder):
    settings = {"data": "digits", "hidden": 20, "iterations": 40, "every": 20, "samples": 200, "sampling_seed": 5}
    made = studies.module("vae").study(studies.settings("vae", settings), CPU, folder, lambda line: None)
    (folder / "small.safetensors").write_bytes(made.files["vae.safetensors"])
    assert vae.load_decoder(folder / "small.safetensors")
    found = look(folder, weights="", vae="small.safetensors").figures["sets"]["small"]
    assert found["values"][1] == pytest.approx(made.figures["log_likelihood"]["value"])


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"draws": 1}, "draws is 1; a standard deviation"),
        ({"samples": 0}, "samples is 0"),
        ({"weights": ""}, "weights is empty"),
        ({"weights": "a,a"}, "'a,a'.*give different file names"),
        ({"weights": "../a"}, "no folder"),
        ({"data": "cifar10"}, "data is 'cifar10'; give 'digits' or 'mnist'"),
    ],
)
def test_impossible_settings_are_refused_by_name(overrides, says):
    with pytest.raises(ValueError, match=says):
        studies.settings("draws", {**FEW, **overrides})


def test_a_missing_generator_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r"other-seed0\.safetensors is not there"):
        look(folder, weights="some-seed0,other-seed0")


def test_the_named_study_draws_as_the_published_code_does():
    named = studies.settings("draws")
    assert (named.samples, measure.VALIDATION_IMAGES, len(parzen.PAPER_SIGMAS)) == (10_000, 1000, 10)
