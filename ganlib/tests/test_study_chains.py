"""Sequences of known correlation are worth what theory says; both studies run small, and refuse what they must."""

import hashlib
import io
import json
import math

import numpy as np
import pytest
import torch

from ganlib import data
from ganlib.errors import CheckpointError
from ganlib.lab import runs
from ganlib.lab.generators import save_generator
from ganlib.lab.models import rbm, vae
from ganlib.lab.studies import chains, mixing
from ganlib.lab.studies import vae as vae_study
from ganlib.metrics import parzen

GENERATOR = "mnist-paper-seed0.safetensors"
SMALL = {"data": "digits", "hidden": 16, "iterations": 20, "every": 10, "m": 20}
CPU = torch.device("cpu")


def sticky(stay, sequences, n, pixels, seed=0):
    """Fair coins that are thrown again with probability 1 - stay: correlation stay^h, pixels independent."""
    rng = torch.Generator().manual_seed(seed)
    fresh = torch.rand(n, sequences, pixels, generator=rng) < 0.5
    again = torch.rand(n, sequences, pixels, generator=rng) >= stay
    for t in range(1, n):
        fresh[t] = torch.where(again[t], fresh[t], fresh[t - 1])
    return fresh.transpose(0, 1).to(torch.uint8)


@pytest.mark.parametrize("stay", [0.0, 0.8])
def test_sequences_of_known_correlation_get_their_effective_samples(stay):
    found = mixing.correlation(sticky(stay, 8, 2000, 60), [0, 1, 5])
    curve = found["autocorrelation"]
    for lag, value, error in zip((0, 1, 5), curve["values"], curve["plus_minus"], strict=True):
        assert value == pytest.approx(0.0**lag if stay == 0 else stay**lag, abs=5 * error + 0.005)
    expected = 10_000 * (1 - stay) / (1 + stay)
    both = (found["effective_samples_per_10000"], found["effective_samples_per_10000_between"])
    for figure, tolerance in zip(both, (0.05, 0.3), strict=True):
        assert figure["value"] == pytest.approx(expected, rel=tolerance)
        assert 0 < figure["plus_minus"] < tolerance * expected
        assert figure["n"] == curve["n"] == 8


def test_only_the_between_estimate_sees_chains_that_stay_where_they_started():
    # Each chain has a pattern of its own, with a little noise that is new at every step.
    rng = torch.Generator().manual_seed(0)
    own = torch.rand(10, 1, 50, generator=rng) < 0.5
    states = (own ^ (torch.rand(10, 500, 50, generator=rng) < 0.1)).to(torch.uint8)
    found = mixing.correlation(states, [1])
    assert found["effective_samples_per_10000"]["value"] > 9000
    assert found["effective_samples_per_10000_between"]["value"] < 100


def test_between_is_the_variance_of_the_samples_over_that_of_the_means():
    states = sticky(0.5, 4, 40, 7)
    means, everything = states.float().mean(1), states.reshape(-1, 7).float()
    expected = everything.var(0, correction=0).sum() / means.var(0).sum()
    found = mixing.between(states)
    assert found[0] == pytest.approx(expected.item())
    assert found[2] == pytest.approx(mixing.between(states[[0, 2, 3]])[0])
    with pytest.raises(ValueError, match="there are 2 sequences"):
        mixing.between(states[:2])


def test_samplers_are_timed_in_turn_on_one_thread_and_the_first_round_is_left_out():
    calls, threads = [], torch.get_num_threads()

    def sampler(name):
        def work():
            calls.append((name, torch.get_num_threads()))
            return torch.ones(3)

        return work

    seconds = mixing.in_turn({"a": sampler("a"), "b": sampler("b")}, 2)
    assert calls == [("a", 1), ("b", 1)] * 3
    assert {name: len(each) for name, each in seconds.items()} == {"a": 2, "b": 2}
    assert torch.get_num_threads() == threads
    with pytest.raises(ZeroDivisionError):
        mixing.in_turn({"a": lambda: torch.ones(1 // 0)}, 1)
    assert torch.get_num_threads() == threads


def test_median_says_how_far_rounds_lie():
    assert mixing.median([3.0, 1.0, 8.0], "x")["value"] == 3
    assert mixing.median([3.0, 1.0, 8.0], "x")["plus_minus"] == 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A generator under the name of a trained one: an untrained one, but that its left half is always white."""
    found = tmp_path_factory.mktemp("results")
    run = runs.get("mnist-paper", {"data": "digits", "width": 600, "iterations": 1})
    net = runs.networks(run, 0, runs.load_data(run))[0]
    net.output.bias.data.view(28, 28)[:, :14] = 50.0
    save_generator(found / GENERATOR, run, 0, net, 1)
    return found


@pytest.fixture(scope="module")
def outcome(folder):
    settings = chains.Settings(**SMALL, chains=4, burn_in=5, steps=120, rounds=2, block=3)
    said = []
    found = chains.study(settings, CPU, folder, said.append)
    assert len(said) >= 4
    return found


def test_study_of_chains_is_json_with_its_inputs_and_data(outcome, folder):
    json.dumps(outcome.figures, allow_nan=False)
    assert outcome.inputs == {GENERATOR: hashlib.sha256((folder / GENERATOR).read_bytes()).hexdigest()}
    assert [images.split for images in outcome.data] == ["train", "test"]
    assert outcome.figures["lags"] == [0, 1, 2, 5, 10, 20, 50, 100]
    for name in ("gibbs chain", "generator", "untrained generator"):
        assert outcome.figures[name]["autocorrelation"]["values"][0] == pytest.approx(1)


def test_generator_is_the_one_of_the_folder(outcome):
    with np.load(io.BytesIO(outcome.files["chains.npz"]), allow_pickle=False) as file:
        assert sorted(file.files) == ["chain", "generator", "steps"]
        assert (file["generator"][:, :, :14] == 255).all()
        assert (file["generator"][:, :, 14:] == 0).any()
        assert (file["chain"][:, :, :14] == 0).any()
    assert outcome.figures["generator"]["effective_samples_per_10000"]["value"] > 5000
    first, second = (outcome.figures[name]["autocorrelation"] for name in ("generator", "untrained generator"))
    assert first["values"] != second["values"]  # of other draws


def test_effective_samples_a_second_are_states_a_second_times_their_worth(outcome):
    worth = outcome.figures["gibbs chain"]["effective_samples_per_10000_between"]["value"] / 10_000
    for how, width in (("one_at_a_time", 1), ("in_parallel", 4)):
        found = outcome.figures["time"][how]
        assert found["width"] == width
        states, effective = found["states_a_second"], found["effective_a_second"]
        assert effective["gibbs chain"]["value"] == pytest.approx(states["gibbs chain"]["value"] * worth)
        assert effective["generator"]["value"] == states["generator"]["value"] > 0
        assert found["ratio"]["n"] == 2


class Counter:
    """In place of a machine: a state says how many steps were made from its start."""

    def gibbs(self, v, steps, rng):
        return v + steps


@pytest.mark.parametrize("burn_in", [0, 7])
def test_chains_start_at_images_and_at_coins_and_are_kept_after_the_burn_in(burn_in):
    images = torch.tensor([[False], [True]]).expand(2, 1000)
    settings = chains.Settings(chains=8, burn_in=burn_in, steps=5)
    states = chains._chains(Counter(), images, settings, torch.Generator().manual_seed(0))
    assert (states.shape, states.dtype) == ((8, 5, 1000), torch.uint8)
    assert (states.diff(dim=1) == 1).all()
    starts = states[:, 0] - burn_in - 1
    assert set(starts.unique().tolist()) == {0, 1}
    shares = starts.float().mean(1)
    assert set(shares[:4].tolist()) <= {0.0, 1.0}
    assert ((shares[4:] - 0.5).abs() < 0.1).all()
    assert len(starts[4:].unique(dim=0)) == 4


def test_free_energies_are_those_of_the_committed_machine(outcome, tmp_path):
    (tmp_path / "rbm").write_bytes(outcome.files["rbm.safetensors"])
    machine = rbm.load(tmp_path / "rbm")
    assert machine.weight.shape == (784, 16)
    test = (data.load("digits", "test").pixels.flatten(1) > 127).float()
    found = outcome.figures["free energy"]["test images"]
    assert found["value"] == pytest.approx(machine.free_energy(test).mean().item(), rel=1e-4)
    assert found["n"] == 500
    assert outcome.figures["free energy"]["started at fair coins"]["n"] == 2


def test_pictures_are_binary_and_numbered_by_step(outcome):
    with np.load(io.BytesIO(outcome.files["chains.npz"]), allow_pickle=False) as file:
        held = dict(file)
    assert held["steps"].tolist() == [0, 1, 2, 5, 10, 20, 50, 100]
    for name in ("chain", "generator"):
        assert held[name].shape == (8, 28, 28)
        assert held[name].dtype == np.uint8
        assert set(np.unique(held[name])) <= {0, 255}
    assert len(np.unique(held["chain"])) == 2


def test_chains_and_samples_do_not_depend_on_the_clock_or_the_global_generator(outcome, folder):
    torch.rand(1)
    settings = chains.Settings(**SMALL, chains=4, burn_in=5, steps=120, rounds=1, block=3)
    again = chains.study(settings, CPU, folder, lambda line: None)
    assert again.files == outcome.files
    timeless = [{k: v for k, v in found.figures.items() if k != "time"} for found in (outcome, again)]
    assert timeless[0] == timeless[1]


def test_chains_refuse_a_missing_or_other_generator(folder, tmp_path):
    settings = chains.Settings(**SMALL)
    with pytest.raises(FileNotFoundError, match=GENERATOR):
        chains.study(settings, CPU, tmp_path, print)
    (tmp_path / GENERATOR).write_bytes(b"no generator")
    with pytest.raises(CheckpointError):
        chains.study(settings, CPU, tmp_path, print)
    run = runs.get("mnist-paper", {"data": "digits", "width": 8, "image_size": 14})
    save_generator(tmp_path / GENERATOR, run, 0, runs.networks(run, 0, runs.load_data(run))[0], 1)
    with pytest.raises(ValueError, match="one trained on digits"):
        chains.study(settings, CPU, tmp_path, print)


@pytest.mark.parametrize(
    ("module", "changed", "says"),
    [
        (chains, {"data": "cifar10"}, "data is 'cifar10'"),
        (chains, {"hidden": 0}, "hidden is 0"),
        (chains, {"chains": 5}, "chains is 5"),
        (chains, {"chains": 2}, "chains is 2"),
        (chains, {"steps": 3}, "steps 3"),
        (chains, {"burn_in": -1}, "burn_in -1"),
        (chains, {"rounds": 0}, "rounds is 0"),
        (chains, {"lr": math.inf}, "lr inf"),
        (vae_study, {"data": "ring8"}, "data is 'ring8'"),
        (vae_study, {"samples": 0}, "samples is 0"),
        (vae_study, {"lr": 0.0}, r"lr is 0.0"),
        (vae_study, {"lr": math.inf}, "lr is inf"),
    ],
)
def test_impossible_settings_are_refused(module, changed, says):
    with pytest.raises(ValueError, match=says):
        module.Settings(**changed)
    with pytest.raises(TypeError, match="seed is '3'"):
        module.Settings(seed="3")


def test_study_of_the_vae_measures_the_weights_it_gives(tmp_path):
    settings = vae_study.Settings(
        data="digits", latent_dim=20, hidden=64, iterations=25, every=10, samples=300, validation_images=100
    )
    found = vae_study.study(settings, CPU, tmp_path, lambda line: None)
    figures = json.loads(json.dumps(found.figures, allow_nan=False))
    (tmp_path / "vae").write_bytes(found.files["vae.safetensors"])
    drawn = vae.samples(vae.load_decoder(tmp_path / "vae"), 300)
    valid, test = (data.load("digits", split).flattened().floats() for split in ("valid", "test"))
    expected = parzen.evaluate(drawn, valid[:100], test)
    score = figures["log_likelihood"]
    assert (score["value"], score["plus_minus"], score["n"]) == (expected.mean, expected.standard_error, 500)
    assert (figures["sigma"]["value"], figures["sigma"]["n"]) == (expected.sigma, 100)
    assert [images.split for images in found.data] == ["train", "valid", "test"]


def test_vae_snapshot_is_the_one_with_the_best_validation_bound(tmp_path, monkeypatch):
    # Validation scores that rise and fall; the test split must not be asked for a bound before the choice is made.
    scores, asked = {10: -3.0, 20: -1.0, 30: -2.0}, []

    def bounds(net, images, **_):
        asked.append(images.split)
        return torch.tensor([scores[10 * len(asked)] if len(asked) <= 3 else -1.0])

    monkeypatch.setattr(vae, "bounds", bounds)
    settings = vae_study.Settings(data="digits", latent_dim=5, hidden=16, iterations=30, every=10, m=10, samples=10)
    found = vae_study.study(settings, CPU, tmp_path, lambda line: None)
    figures = found.figures
    assert asked[:3] == ["valid"] * 3
    assert figures["chosen_iteration"] == 20
    assert [point["validation"] for point in figures["curve"]] == [-3.0, -1.0, -2.0]
    assert [point["iteration"] for point in figures["curve"]] == [10, 20, 30]
    # The file has the weights of that moment, not the last ones.
    train = data.load("digits").flattened()
    net = vae.VAE(5, 16, train.mean(), outputs=784, seed=0)
    (tmp_path / "vae").write_bytes(found.files["vae.safetensors"])
    weights = vae.load_decoder(tmp_path / "vae").state_dict()
    same = []
    for _ in vae.train(net, train, iterations=30, every=10, m=10, lr=settings.lr, seed=0):
        expected = net.decoder.state_dict()
        same.append(all(torch.equal(tensor, expected[name].half().float()) for name, tensor in weights.items()))
    assert same == [False, True, False]
