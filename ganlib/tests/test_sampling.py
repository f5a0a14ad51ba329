"""Sampling leaves the generator as it was, does not depend on the batch, and interpolates in straight lines."""

import pytest
import torch
from torch import nn

from ganlib.lab.randomness import Randomness
from ganlib.lab.speed.ensembles import Ensemble
from ganlib.nets import MLP, DCGANGenerator
from ganlib.nets.layers import Dropout
from ganlib.sampling import Latent, evaluating, interpolate, push, sample


def test_samples_do_not_depend_on_the_batch_nor_on_each_other():
    torch.manual_seed(0)
    generator, latent = DCGANGenerator(28, width=4), Latent(100, "normal")
    generator(torch.randn(64, 100))  # move the running statistics away from their start
    whole = sample(generator, latent, 20, seed=3)
    torch.testing.assert_close(sample(generator, latent, 20, seed=3, batch=7), whole, atol=1e-6, rtol=1e-5)
    assert not whole.requires_grad
    assert generator.training  # left as it was found
    generator.eval()
    sample(generator, latent, 2)
    assert not generator.training


def test_a_frozen_layer_stays_frozen_in_a_net_that_trains():
    generator = DCGANGenerator(28, width=4)
    frozen = next(layer for layer in generator.modules() if isinstance(layer, nn.BatchNorm2d)).eval()
    modes = [layer.training for layer in generator.modules()]
    sample(generator, Latent(100, "normal"), 2)
    assert [layer.training for layer in generator.modules()] == modes
    assert generator.training
    assert not frozen.training
    with evaluating(generator):
        assert not any(layer.training for layer in generator.modules())
    assert [layer.training for layer in generator.modules()] == modes


def test_an_ensemble_trains_on_after_it_was_looked_at():
    """What it computes with has modes of its own, which `modules` does not list."""
    both = Ensemble([nn.Sequential(nn.Linear(2, 2), Dropout(0.5)) for _ in range(2)])
    x = torch.ones(2, 500, 2)
    with evaluating(both):
        assert torch.equal(both(x)[:, 0], both(x)[:, 1])  # no dropout
    with Randomness([0, 1], torch.device("cpu")):
        assert (both(x) == 0).double().mean().item() == pytest.approx(0.5, abs=0.1)


def test_a_net_without_weights_is_sampled_on_the_cpu():
    z = Latent(3).minibatch(4, torch.Generator().manual_seed(5))
    assert torch.equal(sample(nn.Identity(), Latent(3), 4, seed=5), z)


def test_seeds_choose_the_samples():
    generator, latent = MLP((3, 2)), Latent(3)
    assert torch.equal(sample(generator, latent, 5, seed=1), sample(generator, latent, 5, seed=1))
    assert not torch.equal(sample(generator, latent, 5, seed=1), sample(generator, latent, 5, seed=2))


def test_interpolation_is_even_and_keeps_both_ends():
    start, end = torch.randn(4, 10), torch.randn(4, 10)
    line = interpolate(start, end, 9)
    assert torch.equal(line[:, 0], start)
    assert torch.equal(line[:, -1], end)
    torch.testing.assert_close(line.diff(dim=1), ((end - start) / 8)[:, None].expand(-1, 8, -1))


def test_push_is_the_generator():
    generator, z = MLP((3, 4, 2)), torch.randn(10, 3)
    torch.testing.assert_close(push(generator, z, batch=3), generator(z).detach())


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match="n is 0"):
        sample(MLP((3, 2)), Latent(3), 0)
    with pytest.raises(ValueError, match="steps is 1"):
        interpolate(torch.zeros(1, 2), torch.zeros(1, 2), 1)
    with pytest.raises(ValueError, match=r"\(1, 3\)"):
        interpolate(torch.zeros(1, 2), torch.zeros(1, 3), 4)
