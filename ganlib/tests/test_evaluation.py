"""Each kind of data gets its measure, held to a closed form or to the measure itself; checkpoints give generators."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ganlib import checkpoint, data, evaluation, runs, toys
from ganlib.checkpoint import CheckpointError
from ganlib.metrics import parzen
from ganlib.sampling import sample
from ganlib.training import Diverged, Training


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
    found = evaluation.evaluate(run, Fixed(samples), digits, samples=300)
    expected = parzen.evaluate(samples, digits["valid"].floats(), digits["test"].floats())
    figure = found["figures"]["log_likelihood"]
    assert (figure["value"], figure["plus_minus"], figure["n"]) == (expected.mean, expected.standard_error, 500)
    assert found["figures"]["sigma"]["value"] == expected.sigma
    assert found["samples"] == 300
    json.dumps(found, allow_nan=False)


def test_tanh_images_are_mapped_back_first(digits):
    samples = data.load("digits").flattened().floats()[:200]
    unit = evaluation.evaluate(runs.get("mnist-paper", {"data": "digits"}), Fixed(samples), digits, samples=200)
    tanh_run = runs.get("small-mlp", {"data": "digits"})
    scaled = {split: images.scaled(-1, 1) for split, images in digits.items()}
    tanh = evaluation.evaluate(tanh_run, Fixed(samples * 2 - 1), scaled, samples=200)
    value = unit["figures"]["log_likelihood"]["value"]
    assert tanh["figures"]["log_likelihood"]["value"] == pytest.approx(value, abs=0.01)
    assert tanh["figures"]["sigma"]["value"] == unit["figures"]["sigma"]["value"]


def test_only_the_first_thousand_validation_images_choose_sigma():
    pixels = torch.randint(0, 256, (1300, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = data.Images("noise", "valid", "test", pixels, torch.zeros(1300, dtype=torch.int64)).flattened()
    found = evaluation.evaluate(
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
    like = evaluation.evaluate(run, Fixed(contrast_normalised(60, 2).floats()), sets, samples=60)
    unlike = evaluation.evaluate(run, Fixed(torch.full((60, 3072), 3.0)), sets, samples=60)
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
    found = evaluation.evaluate(run, Fixed(drawn(mixture, 20_000)), {"data": mixture}, samples=20_000)["figures"]
    assert found["modes_covered"]["value"] == mixture.modes
    quality = found["high_quality"]
    assert abs(quality["value"] - (1 - math.exp(-4.5))) < 5 * quality["plus_minus"]
    assert quality["plus_minus"] == pytest.approx(math.sqrt(quality["value"] * (1 - quality["value"]) / 20_000))


def test_one_mode_covers_one_mode():
    mixture = toys.ring()
    found = evaluation.evaluate(
        runs.get("ring8"), Fixed(mixture.centres[:1].repeat(100, 1)), {"data": mixture}, samples=100
    )
    assert found["figures"]["modes_covered"]["value"] == 1
    assert found["figures"]["high_quality"]["value"] == 1


def test_a_gaussian_has_its_moments_errors_and_divergence():
    run, n = runs.get("figure1"), 20_000
    mixture = runs.load_data(run)
    same = evaluation.evaluate(run, Fixed(drawn(mixture, n)), {"data": mixture}, samples=n)
    for name, value, error in (("mean", 0, 1 / math.sqrt(n)), ("standard_deviation", 1, 1 / math.sqrt(2 * n))):
        figure = same["figures"][name]
        assert figure["plus_minus"] == pytest.approx(error, rel=0.05)  # the closed forms for a Gaussian
        assert abs(figure["value"] - value) < 5 * error
    assert same["figures"]["jsd"]["value"] < 5 * same["details"]["jsd_of_data"] < 0.01
    far = evaluation.evaluate(run, Fixed(drawn(mixture, 1000) + 20), {"data": mixture}, samples=1000)
    assert far["figures"]["jsd"]["value"] == pytest.approx(math.log(2), abs=1e-3)
    point = evaluation.evaluate(run, Fixed(torch.zeros(100, 1)), {"data": mixture}, samples=100)
    assert point["figures"]["standard_deviation"]["plus_minus"] == 0


def test_divergence_on_bins_agrees_with_the_integral():
    """N(1, 1) against N(0, 1): theory's own integral on a fine grid, up to binning and sampling."""
    import numpy as np

    from ganlib import theory

    run, n = runs.get("figure1"), 200_000
    mixture = runs.load_data(run)
    found = evaluation.evaluate(run, Fixed(drawn(toys.gaussian(1), n)), {"data": mixture}, samples=n)
    x = np.linspace(-10, 11, 20_001)
    densities = [np.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi) for mean in (0, 1)]
    assert found["figures"]["jsd"]["value"] == pytest.approx(theory.jsd(*densities, cell=x[1] - x[0]), rel=0.02)


def test_bad_samples_are_named():
    run, mixture = runs.get("ring8"), toys.ring()
    with pytest.raises(Diverged, match="not finite"):
        evaluation.evaluate(run, Fixed(torch.full((10, 2), math.nan)), {"data": mixture}, samples=10)
    with pytest.raises(ValueError, match="samples is 3"):
        evaluation.evaluate(run, Fixed(torch.zeros(10, 2)), {"data": mixture}, samples=3)


def test_spread_across_seeds_is_that_of_the_seeds():
    def one(value):
        return {"figures": {"a": {"value": value, "unit": "nats"}}}

    found = evaluation.across_seeds([one(1.0), one(2.0), one(6.0)])["a"]
    assert (found["mean"], found["n"], found["values"]) == (3.0, 3, [1.0, 2.0, 6.0])
    assert found["standard_deviation"] == pytest.approx(math.sqrt(7))  # (4 + 1 + 9) / 2
    assert evaluation.across_seeds([one(1.0)])["a"]["standard_deviation"] is None


@pytest.mark.parametrize("name", ["mnist-paper", "small-mlp", "cifar10-fc"])
def test_display_range_is_the_unit_interval(name):
    run = runs.get(name)
    shape = (2, run.channels, run.image_size, run.image_size)
    low, high = {"unit": (0, 1), "tanh": (-1, 1), "gcn": (-3, 7)}[run.preprocessing]
    samples = torch.linspace(low, high, run.dim).repeat(2, 1)
    shown = evaluation.to_unit(run, samples)
    assert shown.shape == shape
    torch.testing.assert_close(shown[0].flatten(), torch.linspace(0, 1, run.dim))


def test_display_stretches_normalised_images_one_by_one():
    run = runs.get("cifar10-fc")
    samples = torch.stack([torch.linspace(-1, 1, run.dim), torch.linspace(-9, 1, run.dim)])
    shown = evaluation.to_unit(run, samples)
    torch.testing.assert_close(shown[0], shown[1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two seeds trained a little, saved; and the training they come from."""
    training = Training(runs.get("ring8", {"iterations": 4, "every": 2}), seeds=(5, 7), device="cpu")
    training.advance(4)
    path = tmp_path_factory.mktemp("run")
    settings = runs.as_dict(training.run) | {"seeds": [5, 7], "precision": "fp32", "device": "cpu"}
    checkpoint.save(path, 4, training.state(), settings, {})
    return SimpleNamespace(path=path, training=training, settings=settings)


def test_every_member_comes_back(folder):
    trained, refused = evaluation.open_trained(folder.path)
    assert (trained.run, trained.seeds, trained.iteration, refused) == (folder.training.run, (5, 7), 4, [])
    latent = runs.latent(trained.run)
    outputs = [sample(trained.generator(seed), latent, 10) for seed in (5, 7)]
    for seed, output in zip((5, 7), outputs, strict=True):
        assert torch.equal(output, sample(folder.training.networks(seed)[0], latent, 10))
    assert not torch.equal(*outputs)
    with pytest.raises(ValueError, match="no seed 6"):
        trained.generator(6)


def test_a_saved_generator_is_the_generator_in_half_precision(folder, tmp_path):
    generator = folder.training.networks(7)[0]
    path = evaluation.save_generator(tmp_path / "new" / "g.safetensors", folder.training.run, 7, generator, 4)
    assert [each.name for each in path.parent.iterdir()] == ["g.safetensors"]
    trained, _ = evaluation.open_trained(path)
    assert (trained.seeds, trained.iteration) == ((7,), 4)
    saved = trained.checkpoint.tensors
    assert {tensor.dtype for tensor in saved.values()} == {torch.float16}
    again = trained.generator().state_dict()
    for name, weight in generator.state_dict().items():
        assert torch.equal(again[name], saved[f"generator.{name}"].float())
        torch.testing.assert_close(again[name], weight, atol=1e-7, rtol=2**-11)  # half an ulp
    with torch.no_grad():
        next(generator.parameters()).view(-1)[0] = 1e6  # beyond half precision
    path = evaluation.save_generator(path, folder.training.run, 7, generator, 4)
    first = next(evaluation.open_trained(path)[0].generator().parameters())
    assert first.view(-1)[0].item() == 1e6


def test_what_is_no_run_is_refused_by_name(folder, tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint in this folder"):
        evaluation.open_trained(tmp_path)
    (tmp_path / "checkpoint-000000001.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="checkpoint-000000001"):
        evaluation.open_trained(tmp_path)
    state = folder.training.state()
    for name, settings, says in (
        ("old", {"k": 1}, "not a run of this version"),
        ("strange", folder.settings | {"colour": "red"}, "colour"),
        ("impossible", folder.settings | {"k": 0}, "k is 0"),
        ("no seeds", folder.settings | {"seeds": []}, "seeds"),
    ):
        checkpoint.save(tmp_path / name, 4, state, settings, {})
        with pytest.raises(CheckpointError, match=says):
            evaluation.open_trained(tmp_path / name)
    wider = folder.settings | {"width": 64}
    checkpoint.save(tmp_path / "wider", 4, state, wider, {})
    with pytest.raises(CheckpointError, match="weights"):
        evaluation.open_trained(tmp_path / "wider")[0].generator()
