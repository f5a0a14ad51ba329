"""Oracles: scikit-learn's exact nearest neighbours, and sets whose precision and recall are known."""

import math

import pytest
import torch
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from ganlib import toys
from ganlib.metrics import coverage
from ganlib.metrics.coverage import precision_recall


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def reference(real, fake, k):
    """The definition, with scikit-learn's distances; a radius is that of the k-th other point."""

    def inside(points, centres):
        radius = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(centres).kneighbors()[0][:, -1]
        return float((pairwise_distances(points, centres) <= radius).any(1).mean())

    return inside(fake, real), inside(real, fake)


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize(("n", "m", "d"), [(200, 150, 2), (120, 300, 8), (100, 100, 64)])
def test_agrees_with_scikit_learn(n, m, d, k):
    real = torch.randn(n, d, generator=rng(), dtype=torch.float64)
    fake = 0.8 * torch.randn(m, d, generator=rng(1), dtype=torch.float64) + 0.1
    found = precision_recall(real, fake, k)
    assert (found.precision, found.recall) == pytest.approx(reference(real.numpy(), fake.numpy(), k), abs=1e-12)
    assert (found.k, found.real, found.fake) == (k, n, m)
    single = precision_recall(real.float(), fake.float(), k)
    assert (single.precision, single.recall) == pytest.approx((found.precision, found.recall), abs=2 / min(n, m))


def test_tight_fakes_inside_wide_reals_are_precise_and_the_swap_recalls():
    real, fake = torch.randn(2000, 4, generator=rng()), 0.2 * torch.randn(2000, 4, generator=rng(1))
    found, swapped = precision_recall(real, fake), precision_recall(fake, real)
    assert found.precision > 0.8
    assert found.recall < 0.3
    assert (swapped.precision, swapped.recall) == (found.recall, found.precision)


def test_recall_falls_to_the_share_of_the_modes_that_are_left():
    ring = toys.ring()
    three = toys.Mixture("three", ring.centres[:3], ring.std)
    real, fake = ring.minibatch(1600, rng()), three.minibatch(1600, rng(1))
    found = precision_recall(real, fake)
    kept = torch.cdist(real, three.centres).min(1).values < 0.2
    assert found.precision > 0.9
    assert found.recall == pytest.approx(kept.float().mean().item(), abs=0.04)


def test_noise_added_to_good_samples_costs_precision():
    ring = toys.ring()
    real, fake = ring.minibatch(1500, rng()), ring.minibatch(1500, rng(1))
    fake[:750] += 20 + torch.randn(750, 2, generator=rng(2))
    found, clean = precision_recall(real, fake), precision_recall(real, fake[750:])
    assert found.precision == pytest.approx(clean.precision / 2, abs=0.001)
    assert found.recall == pytest.approx(clean.recall, abs=0.001)


def test_equal_sets_are_perfect_in_any_shape_and_sets_apart_have_nothing():
    real = torch.rand(60, 1, 5, 5, generator=rng())
    same, apart = precision_recall(real, real.clone()), precision_recall(real, real + 100)
    assert (same.precision, same.recall) == (1, 1)
    assert (apart.precision, apart.recall) == (0, 0)
    assert "60 real, 60 fake" in str(same)


def test_copies_of_copies_are_inside_balls_of_radius_zero():
    """Four copies of every real make each radius exactly 0; rounding of a matmul would put the fakes outside."""
    real = (1000 + torch.rand(30, 50, generator=rng())).repeat(4, 1)
    found = precision_recall(real, torch.cat([real[:30], real[:30] + 0.01]))
    assert found.precision == 0.5
    assert found.recall == 1


def test_blocks_bound_memory_and_change_nothing(monkeypatch):
    real, fake = torch.randn(100, 3, generator=rng()), torch.randn(70, 3, generator=rng(1))
    whole = precision_recall(real, fake)
    rows, distances = [], coverage._distances
    monkeypatch.setattr(coverage, "BLOCK_BYTES", 4 * 100 * 7)
    monkeypatch.setattr(coverage, "_distances", lambda a, b: rows.append(len(a) * len(b)) or distances(a, b))
    assert precision_recall(real, fake) == whole
    assert max(rows) <= 700
    assert len(rows) > 30


@pytest.mark.parametrize(
    ("real", "fake", "k", "says"),
    [
        (torch.zeros(9, 2), torch.zeros(9, 3), 3, r"\(9, 2\).*\(9, 3\)"),
        (torch.zeros(9, 2), torch.zeros(9, 2), 0, "k is 0"),
        (torch.zeros(9, 2), torch.zeros(3, 2), 3, "k is 3; with 9 real and 3 fake"),
        (torch.zeros(9, 2), torch.full((9, 2), math.nan), 3, "fake holds"),
    ],
)
def test_bad_input_is_refused_by_name(real, fake, k, says):
    with pytest.raises(ValueError, match=says):
        precision_recall(real, fake, k)
