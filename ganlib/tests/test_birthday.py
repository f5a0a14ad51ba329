"""Oracles: the exact birthday probability, scikit-learn's distances, and laws whose support is known."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from scipy.stats import binomtest

from ganlib import data
from ganlib.metrics import birthday
from ganlib.metrics.birthday import birthday_test


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def uniform(support, n, seed=0, dim=3):
    """n draws from ``support`` equally likely random points."""
    points = torch.rand(support, dim, generator=rng(seed + 1000))
    return points[torch.randint(support, (n,), generator=rng(seed))]


@pytest.mark.parametrize(("batch", "support"), [(2, 1), (2, 7), (23, 365), (30, 40), (41, 40)])
def test_duplicate_probability_is_the_product_of_fractions(batch, support):
    distinct = Fraction(1)
    for i in range(batch):
        distinct *= max(Fraction(0), 1 - Fraction(i, support))
    assert birthday.duplicate_probability(batch, support) == pytest.approx(float(1 - distinct), rel=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 300), st.floats(1.0, 1e4))
def test_support_size_inverts_the_probability(batch, times):
    support = batch * times
    share = birthday.duplicate_probability(batch, support)
    if share < 1 - 1e-6:  # beyond, the last digits of the share hold the whole answer
        assert birthday.support_size(share, batch) == pytest.approx(support, rel=1e-6)


def test_half_of_the_batches_means_about_1_18_roots_of_the_support():
    for support in (1e3, 1e5, 1e7):
        batch = round(1.18 * math.sqrt(support))
        assert birthday.duplicate_probability(batch, support) == pytest.approx(0.5, abs=0.01)
    assert birthday.support_size(0, 50) == math.inf
    assert birthday.support_size(1, 50) == 49


@pytest.mark.parametrize(("hits", "trials"), [(0, 20), (1, 20), (10, 20), (20, 20), (137, 1000)])
def test_wilson_interval_agrees_with_scipy(hits, trials):
    expected = binomtest(hits, trials).proportion_ci(method="wilson")
    assert birthday.wilson_interval(hits, trials) == pytest.approx((expected.low, expected.high), abs=1e-7)


@pytest.mark.parametrize(("support", "batch"), [(100, 12), (1000, 38), (5000, 60)])
def test_a_uniform_law_gives_its_support_back(support, batch):
    inside = 0
    for seed in range(8):
        found = birthday_test(uniform(support, 500 * batch, seed), batch, 0, pairs=0, seed=seed)
        assert found.batches == 500
        assert found.support == pytest.approx(support, rel=0.35)  # four standard errors of the share
        assert found.share == pytest.approx(birthday.duplicate_probability(batch, support), abs=0.1)
        inside += found.support_low <= support <= found.support_high
    assert inside >= 6  # 95 % of 8 is 7.6; fewer than 6 happens once in 170


def test_a_continuous_law_has_no_duplicates_and_no_bound_on_its_support():
    found = birthday_test(torch.randn(5000, 3, generator=rng()), 50, 0)
    assert found.share == found.low == 0
    assert found.support == found.support_high == math.inf
    assert 0.03 < found.high < 0.04
    assert found.support_low > 30_000
    assert "inf" in str(found)


def test_unequal_weights_make_more_duplicates_than_the_support_would():
    samples = uniform(10_000, 20_000)
    samples[torch.rand(len(samples), generator=rng(3)) < 0.5] = 7.0
    found = birthday_test(samples, 20, 0)
    assert found.share > 0.99
    assert found.support < 100


def test_the_closest_pairs_are_the_closest_ones_and_point_into_the_samples():
    samples = torch.rand(60, 2, 2, generator=rng(), dtype=torch.float64)
    samples[41] = samples[17] + 1e-3
    index, distance = birthday.closest_pairs(samples, 60)
    expected = pdist(samples.flatten(1).numpy())
    assert sorted(index[0].tolist()) == [17, 41]
    assert distance.item() == pytest.approx(expected.min())
    found = birthday_test(samples, 12, 0.01, pairs=4)
    assert (found.batches, len(found.pairs)) == (5, 4)
    assert [d for *_, d in found.pairs] == sorted(d for *_, d in found.pairs)
    for i, j, d in found.pairs:
        assert (samples[i] - samples[j]).norm().item() == pytest.approx(d)


@pytest.mark.parametrize("batch", [2, 3, 7, 40])
def test_every_batch_names_its_own_closest_pair(batch):
    """All pairs of a batch are possible answers, first and last rows of the triangle included."""
    seen = set()
    for seed in range(30):
        samples = torch.rand(batch, 1, generator=rng(seed), dtype=torch.float64)
        ((i, j),), distance = birthday.closest_pairs(samples, batch, seed=seed)
        assert i != j
        assert abs(samples[i] - samples[j]).item() == distance.item() == pytest.approx(pdist(samples.numpy()).min())
        seen.add((int(i), int(j)))
    assert len(seen) > 1


def test_batches_are_disjoint_and_dealt_at_random():
    samples = torch.arange(100.0)[:, None]  # in order: a batch of neighbours would always hold a pair 1 apart
    index, distance = birthday.closest_pairs(samples, 5)
    assert len(set(index.flatten().tolist())) == 40
    assert (distance > 1).any()


def test_a_calibrated_threshold_gives_held_out_reals_the_stated_share():
    digits = data.load("digits", "train").flattened().floats()
    first, second = digits[torch.randperm(len(digits), generator=rng(1))].chunk(2)
    threshold = birthday.calibrate_threshold(first, 20, 0.2)
    found = birthday_test(second, 20, threshold)
    assert found.low <= 0.2 <= found.high
    copies = birthday_test(first[torch.randint(60, (len(second),), generator=rng())], 20, threshold)
    assert copies.low > found.high
    assert copies.support_high < 150


def test_the_threshold_is_the_quantile_of_the_closest_distance():
    real = torch.rand(200, 2, generator=rng())
    closest = torch.cat([birthday.closest_pairs(real, 10, seed=4 + turn)[1] for turn in range(5)])
    threshold = birthday.calibrate_threshold(real, 10, 0.1, shuffles=5, seed=4)
    assert (closest < threshold).sum() < 10 <= (closest <= threshold).sum()  # a pair may be dealt together twice
    once = birthday.calibrate_threshold(real, 10, 0.1, shuffles=1, seed=4)
    assert (birthday.closest_pairs(real, 10, seed=4)[1] <= once).sum() == 2  # of 20
    with pytest.raises(ValueError, match=r"20 batches are too few for a share of 0\.01"):
        birthday.calibrate_threshold(real, 10, 0.01, shuffles=1)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: birthday_test(torch.zeros(9, 2), 1, 0), "batch is 1"),
        (lambda: birthday_test(torch.zeros(9, 2), 10, 0), r"batch is 10 and samples \(9, 2\)"),
        (lambda: birthday_test(torch.zeros(9), 3, 0), r"samples is \(9,\)"),
        (lambda: birthday_test(torch.zeros(9, 2), 3, -1.0), "threshold is -1"),
        (lambda: birthday_test(torch.zeros(9, 2), 3, math.nan), "threshold is nan"),
        (lambda: birthday_test(torch.zeros(9, 2), 3, 0, pairs=-1), "pairs is -1"),
        (lambda: birthday_test(torch.full((9, 2), math.nan), 3, 0), "not finite"),
        (lambda: birthday.calibrate_threshold(torch.zeros(9, 2), 3, 1.0), "share is 1"),
        (lambda: birthday.calibrate_threshold(torch.zeros(9, 2), 3, 0.0), "share is 0"),
        (lambda: birthday.calibrate_threshold(torch.zeros(9, 2), 3, -0.5), "share is -0.5"),
        (lambda: birthday.calibrate_threshold(torch.zeros(9, 2), 3, shuffles=0), "shuffles is 0"),
        (lambda: birthday.duplicate_probability(1, 10), "batch is 1"),
        (lambda: birthday.support_size(1.5, 10), "share is 1.5"),
        (lambda: birthday.wilson_interval(3, 2), "hits is 3; it must be from 0 to 2"),
    ],
)
def test_bad_input_is_refused_by_name(call, says):
    with pytest.raises(ValueError, match=says):
        call()
