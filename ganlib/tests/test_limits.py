"""Counts and seeds that no machine has: refused by name and range before any work, not by a traceback or a kill."""

import pytest
import torch

from ganlib import data, device, limits, sampling
from ganlib.algorithm1 import algorithm1
from ganlib.lab import runs, studies, training
from ganlib.lab.models import rbm, vae
from ganlib.lab.randomness import Randomness
from ganlib.lab.settings import RANGES, Run
from ganlib.lab.training import Training
from ganlib.nets import MLP
from ganlib.sampling import Latent

HUGE = (10**20, 10**400, 10**5000)  # beyond 64 bits, beyond floats, beyond what Python prints


def play(**settings):
    nets = MLP((2, 4, 2), squeeze=False), MLP((2, 4, 1))
    optimisers = [torch.optim.SGD(net.parameters(), 0.1) for net in nets]
    g, d = optimisers
    return algorithm1(*nets, Latent(2), Latent(2), g_optimiser=g, d_optimiser=d, **{"iterations": 1, **settings})


def train_vae(**settings):
    images = data.load().flattened().first(10)
    return vae.train(vae.VAE(2, 4), images, **{"iterations": 1, "every": 1, **settings})


def train_rbm(**settings):
    return rbm.train(rbm.RBM(4, 3), torch.zeros(5, 4), **{"iterations": 1, "every": 1, **settings})


CALLS = {
    "latent dim": lambda n: Latent(n),
    "first": lambda n: data.load().first(n),
    "k": lambda n: play(k=n),
    "m": lambda n: play(m=n),
    "iterations": lambda n: play(iterations=n),
    "every": lambda n: play(every=n),
    "seed": lambda n: play(seed=n),
    "a run's seed": lambda n: Randomness([n], torch.device("cpu")),
    "a negative seed": lambda n: Randomness([-n], torch.device("cpu")),
    "a training's seed": lambda n: Training(runs.get("ring8"), seeds=[0, n], device="cpu"),
    "n": lambda n: sampling.sample(MLP((2, 4, 2), squeeze=False), Latent(2), n),
    "batch": lambda n: sampling.sample(MLP((2, 4, 2), squeeze=False), Latent(2), 4, batch=n),
    "a sampling seed": lambda n: sampling.sample(MLP((2, 4, 2), squeeze=False), Latent(2), 4, seed=n),
    "vae m": lambda n: train_vae(m=n),
    "vae seed": lambda n: train_vae(seed=n),
    "rbm iterations": lambda n: train_rbm(iterations=n),
    "rbm seed": lambda n: train_rbm(seed=n),
    "a float": lambda n: runs.get("ring8", {"latent_dim": 2, "d_lr": n * 10**400}),
}


@pytest.mark.parametrize("number", HUGE, ids=["64 bits", "floats", "digits"])
@pytest.mark.parametrize("what", CALLS)
def test_a_number_beyond_any_machine_is_a_value_error_that_names_it(what, number):
    with pytest.raises(ValueError, match=r"(?s)(is|first) (-?1000|an integer of \d+ bits)|seed is") as refusal:
        CALLS[what](number)
    assert len(str(refusal.value)) < 600


def test_every_integer_setting_has_a_range_and_is_held_to_it():
    integers = {field for field, kind in Run.__annotations__.items() if kind == "int"}
    assert set(RANGES) == integers - {"stage"}
    for name, (least, most) in RANGES.items():
        with pytest.raises(ValueError, match=f"{name} is {least - 1}; it must be at least {least}"):
            runs.get("mnist-paper", {name: least - 1})
        with pytest.raises(ValueError, match=f"{name} is {most + 1}; it must be from {least} to {most}"):
            runs.get("mnist-paper", {name: str(most + 1)})
    with pytest.raises(ValueError, match="stage is 100000000000000000000;"):
        runs.get("tfd", {"stage": 10**20})
    # No product of sizes leaves the 64 bits in which torch counts.
    assert RANGES["units"][1] * RANGES["pieces"][1] < 2**63
    assert RANGES["width"][1] * RANGES["image_size"][1] < 2**63


@pytest.mark.parametrize("name", studies.STUDIES)
def test_every_integer_of_a_study_has_a_range(name):
    settings = type(studies.settings(name))
    for field, kind in settings.__annotations__.items():
        if kind == "int":
            with pytest.raises(ValueError, match=rf"{field} is 100000000000000000000; it must be from -?\d+ to \d+"):
                studies.settings(name, {field: str(10**20)})
            if field in ("seeds", "draws"):
                with pytest.raises(ValueError, match=f"{field} is {limits.SEEDS + 1}"):
                    studies.settings(name, {field: limits.SEEDS + 1})


def test_the_seeds_that_torch_takes_are_taken():
    for seed in limits.TORCH_SEEDS:
        Randomness([seed], torch.device("cpu"))
    assert studies.settings("vae", {"seed": limits.SEED}).seed == limits.SEED


def test_more_samples_than_memory_are_refused_and_fewer_drawn(monkeypatch):
    net, z = MLP((2, 4, 3), squeeze=False), Latent(2)
    whole = sampling.sample(net, z, 20, batch=8)
    each = 4 * 2 + 2 * 4 * 3  # noise; samples in batches, then all of them in one
    monkeypatch.setattr(sampling, "memory", lambda device: 20 * each)
    assert torch.equal(sampling.sample(net, z, 20, batch=8), whole)
    with pytest.raises(MemoryError, match=r"n is 21: .* draw at most 20 at once"):
        sampling.sample(net, z, 21, batch=8)
    monkeypatch.setattr(sampling, "memory", lambda device: 20 * 8 - 1)
    with pytest.raises(MemoryError, match="n is 20"):  # before the noise is drawn
        sampling.sample(net, z, 20)
    monkeypatch.setattr(sampling, "memory", lambda device: None)
    assert torch.equal(sampling.sample(net, z, 20, batch=8), whole)


def test_more_nets_than_memory_are_refused_after_the_first(monkeypatch):
    run, made = runs.get("ring8", {"width": 8}), []
    networks = runs.networks
    monkeypatch.setattr(runs, "networks", lambda *args: made.append(args[1]) or networks(*args))
    monkeypatch.setattr(training, "memory", lambda device: 10_000)
    with pytest.raises(training.OutOfMemory, match="fewer than 1000 seeds at once"):
        Training(run, seeds=range(1000), device="cpu")
    assert made == [0]


def test_the_machines_memory_is_known_here():
    found = device.memory(torch.device("cpu"))
    assert found is None or 2**28 < found < 2**50


@pytest.mark.parametrize("shape", [(10**14, 16), (2**62, 16), (10**9, 10**9)])
def test_torchs_own_words_for_a_full_memory_are_known(shape):
    with pytest.raises(RuntimeError) as error:
        torch.empty(shape)
    assert device.is_memory_full(error.value)
    assert not device.is_memory_full(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
