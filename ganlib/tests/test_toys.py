"""Toy densities integrate to one, samples follow them, and the ring has as many modes as it says."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest, multivariate_normal, norm

from ganlib import toys
from ganlib.metrics.modes import count_modes
from ganlib.sampling import Latent


def test_ring_has_eight_distinct_modes_on_its_circle():
    ring = toys.ring()
    distances = torch.cdist(ring.centres, ring.centres) + 10 * torch.eye(8)
    assert distances.min().item() == pytest.approx(2 * math.sin(math.pi / 8), abs=1e-6)  # neighbours, none doubled
    torch.testing.assert_close(ring.centres.norm(dim=1), torch.ones(8))


def test_grid_has_the_25_published_modes():
    expected = {(float(i), float(j)) for i in (-4, -2, 0, 2, 4) for j in (-4, -2, 0, 2, 4)}
    assert {tuple(c) for c in toys.grid().centres.tolist()} == expected
    assert toys.grid().std == 0.05


def test_densities_are_scipys():
    x = np.linspace(-3, 9, 50)
    np.testing.assert_allclose(toys.gaussian(4, 0.5).density(x), norm.pdf(x, 4, 0.5))
    np.testing.assert_allclose(toys.gaussian(4, 0.5).density(x[:, None]), norm.pdf(x, 4, 0.5))
    points = np.random.default_rng(0).normal(size=(5, 7, 2))
    two = multivariate_normal((1, -1), 0.09 * np.eye(2))
    np.testing.assert_allclose(toys.gaussian((1.0, -1.0), 0.3).density(points), two.pdf(points))
    weighted = toys.Mixture("two", torch.tensor([[0.0], [3.0]]), 1.0, torch.tensor([0.25, 0.75]))
    np.testing.assert_allclose(weighted.density(x), 0.25 * norm.pdf(x) + 0.75 * norm.pdf(x, 3))


def test_samples_follow_the_density():
    rng = torch.Generator().manual_seed(0)
    assert kstest(toys.gaussian(4, 0.5).minibatch(5000, rng)[:, 0], norm(4, 0.5).cdf).pvalue > 1e-3
    weighted = toys.Mixture("two", torch.tensor([[0.0], [30.0]]), 1.0, torch.tensor([0.25, 0.75]))
    assert (weighted.minibatch(20_000, rng) > 15).float().mean().item() == pytest.approx(0.75, abs=0.015)
    found = count_modes(toys.grid().minibatch(20_000, rng), toys.grid())
    assert found.covered == 25
    assert found.high_quality == pytest.approx(1 - math.exp(-4.5), abs=0.005)  # within 3 std in two dimensions


def test_latents_have_their_law_and_say_it():
    rng = torch.Generator().manual_seed(0)
    z = Latent(100).minibatch(2000, rng)
    assert z.abs().max() <= math.sqrt(3)
    assert z.var().item() == pytest.approx(1, abs=0.01)
    assert str(Latent(100)) == "z in R^100, each coordinate U(-1.732, 1.732)"
    assert kstest(Latent(3, "normal").minibatch(2000, rng).flatten(), norm.cdf).pvalue > 1e-3
    assert Latent(4, low=-1, high=1).minibatch(5, rng).shape == (5, 4)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: toys.ring(0), "modes is 0"),
        (lambda: toys.grid(5, -1), "spacing is -1"),
        (lambda: toys.gaussian(0, 0), "std is 0"),
        (lambda: toys.ring().density(np.zeros((3, 3))), "3 coordinates"),
        (lambda: toys.Mixture("x", torch.zeros(2, 1), 1.0, torch.tensor([0.5, 0.6])), "weights"),
        (lambda: toys.Mixture("x", torch.zeros(2), 1.0), r"\(2,\)"),
        (lambda: Latent(0), "dim is 0"),
        (lambda: Latent(2, "cauchy"), "'cauchy'"),
        (lambda: Latent(2, low=1, high=1), r"\(1, 1\)"),
    ],
)
def test_bad_input_is_refused_by_name(call, says):
    with pytest.raises(ValueError, match=says):
        call()
