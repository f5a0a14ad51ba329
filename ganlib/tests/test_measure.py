"""Each kind of data gets its measure, held to a closed form or to the measure itself."""

import json
import math

import pytest
import torch
from torch import nn

from ganlib import data, toys
from ganlib.errors import Diverged
from ganlib.lab import measure, runs
from ganlib.metrics import parzen


class Fixed(nn.Module):
    """A generator that emits given points, row by row."""

    def __init__(self, points):
        super().__init__()
        self.points, self.at = nn.Parameter(points), 0

    def forward(self, z):
        self.at += len(z)
        return self.points[self.at - len(z) : self.at]


def drawn(mixture, n, seed=1):
    return mixture.minibatch(n, torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def digits():
    return {split: data.load("digits", split).flattened() for split in ("valid", "test")}


def test_unit_images_get_the_papers_protocol(digits):
    run = runs.get("mnist-paper", {"data": "digits"})
    samples = data.load("digits").flattened().floats()[:300]
    found = measure.measure(run, Fixed(samples), digits, samples=300)
    expected = parzen.evaluate(samples, digits["valid"].floats(), digits["test"].floats())
    figure = found["figures"]["log_likelihood"]
    # A matrix product may round otherwise where its factors lie elsewhere in memory.
    expected_figures = pytest.approx((expected.mean, expected.standard_error), rel=1e-5)
    assert (figure["value"], figure["plus_minus"]) == expected_figures
    assert figure["n"] == 500
    assert found["figures"]["sigma"]["value"] == expected.sigma
    assert found["samples"] == 300
    json.dumps(found, allow_nan=False)


def test_tanh_images_are_mapped_back_first(digits):
    samples = data.load("digits").flattened().floats()[:200]
    unit = measure.measure(runs.get("mnist-paper", {"data": "digits"}), Fixed(samples), digits, samples=200)
    tanh_run = runs.get("small-mlp", {"data": "digits"})
    scaled = {split: images.scaled(-1, 1) for split, images in digits.items()}
    tanh = measure.measure(tanh_run, Fixed(samples * 2 - 1), scaled, samples=200)
    value = unit["figures"]["log_likelihood"]["value"]
    assert tanh["figures"]["log_likelihood"]["value"] == pytest.approx(value, abs=0.01)
    assert tanh["figures"]["sigma"]["value"] == unit["figures"]["sigma"]["value"]


def test_only_the_first_thousand_validation_images_choose_sigma():
    pixels = torch.randint(0, 256, (1300, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = data.Images("noise", "valid", "test", pixels, torch.zeros(1300, dtype=torch.int64)).flattened()
    found = measure.measure(
        runs.get("mnist-paper"), Fixed(images.floats()[:50]), {"valid": images, "test": images.first(20)}, samples=50
    )
    assert found["figures"]["sigma"]["n"] == 1000
    assert found["figures"]["log_likelihood"]["n"] == 20


def contrast_normalised(n, seed):
    pixels = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    images = data.Images("noise", "test", "test", pixels, torch.zeros(n, dtype=torch.int64))
    return images.normalised(55.0).flattened()


def test_normalised_images_are_measured_in_their_own_space():
    run, test = runs.get("cifar10-fc"), contrast_normalised(60, 0)
    sets = {"valid": contrast_normalised(30, 1), "test": test}
    like = measure.measure(run, Fixed(contrast_normalised(60, 2).floats()), sets, samples=60)
    unlike = measure.measure(run, Fixed(torch.full((60, 3072), 3.0)), sets, samples=60)
    scale = 55 / math.sqrt(3072)
    assert like["details"]["sigmas"][0] == pytest.approx(10**-0.5 * scale)
    assert like["details"]["sigmas"][-1] == pytest.approx(10**0.5 * scale)
    bound = like["details"]["two_sample_bound_95"]
    assert like["figures"]["two_sample_accuracy"]["value"] < bound < unlike["figures"]["two_sample_accuracy"]["value"]
    assert like["figures"]["two_sample_accuracy"]["n"] == 60  # half of 60 real and of 60 generated ones
    assert like["figures"]["log_likelihood"]["value"] > unlike["figures"]["log_likelihood"]["value"]
    assert "not comparable" in like["protocol"]


@pytest.mark.parametrize("name", ["ring8", "grid25"])
def test_modes_and_quality_of_the_data_themselves(name):
    run, mixture = runs.get(name), runs.load_data(runs.get(name))
    found = measure.measure(run, Fixed(drawn(mixture, 20_000)), {"data": mixture}, samples=20_000)["figures"]
    assert found["modes_covered"]["value"] == mixture.modes
    quality = found["high_quality"]
    assert abs(quality["value"] - (1 - math.exp(-4.5))) < 5 * quality["plus_minus"]
    assert quality["plus_minus"] == pytest.approx(math.sqrt(quality["value"] * (1 - quality["value"]) / 20_000))


def test_one_mode_covers_one_mode():
    mixture = toys.ring()
    found = measure.measure(
        runs.get("ring8"), Fixed(mixture.centres[:1].repeat(100, 1)), {"data": mixture}, samples=100
    )
    assert found["figures"]["modes_covered"]["value"] == 1
    assert found["figures"]["high_quality"]["value"] == 1


def test_a_gaussian_has_its_moments_errors_and_divergence():
    run, n = runs.get("figure1"), 20_000
    mixture = runs.load_data(run)
    same = measure.measure(run, Fixed(drawn(mixture, n)), {"data": mixture}, samples=n)
    for name, value, error in (("mean", 0, 1 / math.sqrt(n)), ("standard_deviation", 1, 1 / math.sqrt(2 * n))):
        figure = same["figures"][name]
        assert figure["plus_minus"] == pytest.approx(error, rel=0.05)  # the closed forms for a Gaussian
        assert abs(figure["value"] - value) < 5 * error
    assert same["figures"]["jsd"]["value"] < 5 * same["details"]["jsd_of_data"] < 0.01
    far = measure.measure(run, Fixed(drawn(mixture, 1000) + 20), {"data": mixture}, samples=1000)
    assert far["figures"]["jsd"]["value"] == pytest.approx(math.log(2), abs=1e-3)
    point = measure.measure(run, Fixed(torch.zeros(100, 1)), {"data": mixture}, samples=100)
    assert point["figures"]["standard_deviation"]["plus_minus"] == 0


def test_divergence_on_bins_agrees_with_the_integral():
    """N(1, 1) against N(0, 1): theory's own integral on a fine grid, up to binning and sampling."""
    import numpy as np

    from ganlib import theory

    run, n = runs.get("figure1"), 200_000
    mixture = runs.load_data(run)
    found = measure.measure(run, Fixed(drawn(toys.gaussian(1), n)), {"data": mixture}, samples=n)
    x = np.linspace(-10, 11, 20_001)
    densities = [np.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi) for mean in (0, 1)]
    assert found["figures"]["jsd"]["value"] == pytest.approx(theory.jsd(*densities, cell=x[1] - x[0]), rel=0.02)


def test_bad_samples_are_named():
    run, mixture = runs.get("ring8"), toys.ring()
    with pytest.raises(Diverged, match="not finite"):
        measure.measure(run, Fixed(torch.full((10, 2), math.nan)), {"data": mixture}, samples=10)
    with pytest.raises(ValueError, match="samples is 3"):
        measure.measure(run, Fixed(torch.zeros(10, 2)), {"data": mixture}, samples=3)


def test_spread_across_seeds_is_that_of_the_seeds():
    def one(value):
        return {"figures": {"a": {"value": value, "unit": "nats"}}}

    found = measure.across_seeds([one(1.0), one(2.0), one(6.0)])["a"]
    assert (found["mean"], found["n"], found["values"]) == (3.0, 3, [1.0, 2.0, 6.0])
    assert found["standard_deviation"] == pytest.approx(math.sqrt(7))  # (4 + 1 + 9) / 2
    assert measure.across_seeds([one(1.0)])["a"]["standard_deviation"] is None


@pytest.mark.parametrize("name", ["mnist-paper", "small-mlp", "cifar10-fc"])
def test_display_range_is_the_unit_interval(name):
    run = runs.get(name)
    shape = (2, run.channels, run.image_size, run.image_size)
    low, high = {"unit": (0, 1), "tanh": (-1, 1), "gcn": (-3, 7)}[run.preprocessing]
    samples = torch.linspace(low, high, run.dim).repeat(2, 1)
    shown = measure.to_unit(run, samples)
    assert shown.shape == shape
    torch.testing.assert_close(shown[0].flatten(), torch.linspace(0, 1, run.dim))


def test_display_stretches_normalised_images_one_by_one():
    run = runs.get("cifar10-fc")
    samples = torch.stack([torch.linspace(-1, 1, run.dim), torch.linspace(-9, 1, run.dim)])
    shown = measure.to_unit(run, samples)
    torch.testing.assert_close(shown[0], shown[1])
