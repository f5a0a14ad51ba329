"""The study of likelihoods on few digits: generators whose density is known, and the form of the result."""

import hashlib
import json
import math
from itertools import pairwise

import pytest
import torch

from ganlib import data
from ganlib.lab import runs, studies
from ganlib.lab.generators import open_trained, save_generator
from ganlib.lab.models import vae
from ganlib.lab.studies import likelihood
from ganlib.metrics import parzen

FEW = {
    "data": "digits",
    "weights": "one-seed0,collapsed-seed0",
    "vae": "",
    "images": 3,
    "valid_images": 4,
    "simulated": 3,
    "chains": 8,
    "temperatures": 60,
    "valid_temperatures": 60,
    "leapfrog": 4,
    "samples": 500,
}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A generator with one latent coordinate, one whose every image is grey, and a VAE's decoder."""
    found = tmp_path_factory.mktemp("results")
    made = runs.get("mnist-paper", {"data": "digits", "width": 16, "units": 8, "latent_dim": 1})
    net = runs.networks(made, 0, runs.load_data(made))[0]
    for layer in (net.hidden1, net.hidden2, net.output):
        layer.weight.data *= 10  # samples of an untrained net are alike
    save_generator(found / "one-seed0.safetensors", made, 0, net, 7)
    for weights in net.parameters():
        weights.data.zero_()
    save_generator(found / "collapsed-seed0.safetensors", made, 0, net, 7)
    (found / "vae.safetensors").write_bytes(vae.decoder_file(vae.VAE(3, 16), 3, data.load("digits").sha256))
    return found


@pytest.fixture(scope="module")
def outcome(folder):
    return likelihood.study(studies.settings("likelihood", FEW), CPU, folder, lambda line: None)


def test_a_generator_of_one_image_has_a_gaussians_density(outcome):
    """Every image is the grey 1/2: both bounds, and Parzen's estimate with the noise's width, are exact."""
    found = outcome.figures["sets"]["collapsed-seed0"]
    s = found["noise"]["value"]
    gaussian = torch.distributions.Normal(torch.tensor(0.5, dtype=torch.float64), s)
    for name, split in (("test", "test"), ("training", "train")):
        x = data.load("digits", split).flattened().first(3).floats().double()
        expected = gaussian.log_prob(x).sum(1)
        assert found[name]["values"] == pytest.approx(expected.tolist(), rel=1e-5)
        mean = found[name]["log_likelihood"]
        assert mean["value"] == pytest.approx(expected.mean().item(), rel=1e-5)
        assert mean["plus_minus"] == pytest.approx(expected.std(correction=0).item() / math.sqrt(3), rel=1e-3)
        assert found[name]["parzen_at_the_noise"]["value"] == pytest.approx(mean["value"], rel=1e-5)
        assert found[name]["effective_chains"]["value"] == pytest.approx(8, rel=1e-4)
    assert found["simulated"]["gap"]["value"] == pytest.approx(0, abs=1e-2)
    # The best width of a Gaussian about 1/2 is the root mean square of what is seen: with most pixels black or white
    # that is beyond the grid, and said.
    valid = data.load("digits", "valid").flattened().first(4).floats().double()
    by_width = [torch.distributions.Normal(0.5, w).log_prob(valid).sum(1).mean().item() for w in likelihood.WIDTHS]
    assert found["validation_lower_bounds"] == pytest.approx(by_width, rel=1e-4)
    assert s == max(likelihood.WIDTHS)
    assert found["noise_at_an_end"]


def test_a_generator_with_one_latent_coordinate_has_the_density_of_an_integral(folder, outcome):
    """The mean over a fine grid of its uniform latent, by the run's own generator."""
    found = outcome.figures["sets"]["one-seed0"]
    s, trained = found["noise"]["value"], open_trained(folder / "one-seed0.safetensors")[0]
    prior = runs.latent(trained.run)
    z = prior.low + (prior.high - prior.low) * (torch.arange(40_000) + 0.5)[:, None] / 40_000
    with torch.no_grad():
        images = trained.generator()(z)
    for name, split in (("test", "test"), ("training", "train")):
        x = data.load("digits", split).flattened().first(3).floats()
        expected = parzen.log_likelihoods(images, x, [s])[0]
        assert found[name]["values"] == pytest.approx(expected.tolist(), abs=1.0)
        assert found[name]["log_likelihood"]["value"] < expected.mean().item() + 0.3  # a lower bound, but for chance
    valid = data.load("digits", "valid").flattened().first(4).floats()
    by_width = parzen.log_likelihoods(images, valid, likelihood.WIDTHS).mean(1)
    assert found["validation_lower_bounds"] == pytest.approx(by_width.tolist(), abs=2.0)
    assert likelihood.WIDTHS.index(s) == by_width.argmax().item()
    simulated = found["simulated"]
    assert simulated["gap"]["value"] == pytest.approx(0, abs=0.5)
    differences = [above - below for above, below in zip(simulated["upper_values"], simulated["values"], strict=True)]
    assert simulated["gap"]["value"] == pytest.approx(sum(differences) / 3)


def test_reverse_runs_start_where_their_images_come_from(folder):
    """Of two temperatures they are log p(x|z) at that z: log N(e; 0, s^2 I) of the noise e, whose mean is known."""
    small = FEW | {"weights": "one-seed0", "temperatures": 2, "valid_temperatures": 2, "simulated": 10}
    found = likelihood.study(studies.settings("likelihood", small), CPU, folder, lambda line: None)
    one = found.figures["sets"]["one-seed0"]
    expected = -784 / 2 - 784 * math.log(one["noise"]["value"] * math.sqrt(2 * math.pi))
    assert one["simulated"]["upper_values"] == pytest.approx([expected] * 10, abs=4 * math.sqrt(784 / 2))
    assert one["simulated"]["upper"]["value"] > one["simulated"]["log_likelihood"]["value"]


def test_the_result_is_fit_for_json_and_names_what_it_read(folder, outcome):
    found = json.loads(json.dumps(outcome.figures, allow_nan=False))["sets"]
    assert list(found) == ["one-seed0", "collapsed-seed0"]
    assert found["one-seed0"]["what"] == "mnist-paper, training seed 0, iteration 7"
    assert [images.split for images in outcome.data] == list(data.SPLITS)
    for name in ("one-seed0", "collapsed-seed0"):
        file = f"{name}.safetensors"
        assert outcome.inputs[file] == hashlib.sha256((folder / file).read_bytes()).hexdigest()
    counts = {"test": (3, "test images"), "training": (3, "training images")}
    counts["simulated"] = (3, "images drawn from the model")
    for each, (n, n_is) in counts.items():
        for name in ("log_likelihood", "effective_chains", "acceptance", "parzen", "parzen_at_the_noise"):
            one = found["one-seed0"][each][name]
            assert (one["n"], one["n_is"], one["plus_minus_is"]) == (n, n_is, "standard error over images")
    assert found["one-seed0"]["noise"]["n"] == 4
    assert found["one-seed0"]["parzen_sigma"]["n"] == 500  # all that there are of its 1,000


def test_a_decoder_is_looked_at_beside_generators_and_order_changes_nothing(folder, outcome):
    small = FEW | {"weights": "collapsed-seed0", "vae": "vae.safetensors", "temperatures": 20}
    said = []
    found = likelihood.study(studies.settings("likelihood", small), CPU, folder, said.append)
    assert list(found.figures["sets"]) == ["collapsed-seed0", "vae"]
    assert said[1].startswith("vae: noise 0.")
    assert found.inputs.keys() == {"collapsed-seed0.safetensors", "vae.safetensors"}
    assert found.figures["sets"]["vae"]["simulated"]["gap"]["value"] == pytest.approx(0, abs=3)
    before = outcome.figures["sets"]["collapsed-seed0"]["validation_lower_bounds"]
    assert found.figures["sets"]["collapsed-seed0"]["validation_lower_bounds"] == before


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"data": "cifar10"}, "data is 'cifar10'; give 'digits' or 'mnist'"),
        ({"weights": "", "vae": ""}, "weights is empty"),
        ({"weights": "a,a"}, "'a,a'.*give different file names"),
        ({"weights": "../a"}, "no folder"),
        ({"temperatures": 1}, "temperatures is 1; give at least 2"),
        ({"valid_temperatures": 1}, "valid_temperatures is 1; give at least 2"),
        ({"images": 1}, "images is 1; give at least 2"),
        ({"simulated": 0}, "simulated is 0; give at least 2"),
        ({"chains": 0}, "chains is 0"),
        ({"leapfrog": 0}, "leapfrog is 0"),
        ({"samples": 0}, "samples is 0"),
    ],
)
def test_impossible_settings_are_refused_by_name(overrides, says):
    with pytest.raises(ValueError, match=says):
        studies.settings("likelihood", FEW | overrides)


def test_missing_generators_and_too_few_images_are_errors_before_any_work(folder):
    for overrides, error, says in (
        ({"weights": "other-seed0"}, FileNotFoundError, r"other-seed0\.safetensors is not there"),
        ({"valid_images": 501}, ValueError, "501 images are asked for, and digits has 500 in valid"),
        ({"images": 501}, ValueError, "501 images are asked for, and digits has 500 in test"),
    ):
        with pytest.raises(error, match=says):
            likelihood.study(studies.settings("likelihood", FEW | {"vae": ""} | overrides), CPU, folder, print)


def test_the_widths_are_the_papers_and_smaller_ones_of_the_same_ratio():
    assert likelihood.WIDTHS[4:] == pytest.approx(parzen.PAPER_SIGMAS[:4])
    ratios = [b / a for a, b in pairwise(likelihood.WIDTHS)]
    assert ratios == pytest.approx([10 ** (1 / 9)] * 7)
