"""Neighbours, modes and the two-sample test, on cases whose answer is known."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from ganlib import toys
from ganlib.metrics.modes import count_modes
from ganlib.metrics.neighbours import copy_threshold, nearest
from ganlib.metrics.two_sample import classifier_test
from ganlib.nets import MLP


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_nearest_agrees_with_scipy_and_a_copy_is_at_distance_zero():
    training, samples = torch.rand(200, 1, 6, 6, generator=rng()), torch.rand(37, 1, 6, 6, generator=rng(1))
    samples[5] = training[123]
    index, distance = nearest(samples, training, batch=10)
    expected = cdist(samples.flatten(1).double(), training.flatten(1).double())
    assert index.tolist() == expected.argmin(1).tolist()
    np.testing.assert_allclose(distance, expected.min(1), atol=1e-6)
    assert distance[5] == 0
    with pytest.raises(ValueError, match=r"\(37, 1, 6, 6\)"):
        nearest(samples, training[:, :, :3])


def test_the_copy_threshold_lets_a_stated_share_of_new_images_pass():
    training, new = torch.rand(300, 3, generator=rng()), torch.rand(1000, 3, generator=rng(1))
    threshold = copy_threshold(nearest(new, training)[1], 0.05)
    assert (cdist(new, training).min(1) < threshold).mean() == pytest.approx(0.05)
    for share in (5, 1, 0, -0.1):
        with pytest.raises(ValueError, match=f"share is {share}"):
            copy_threshold(nearest(new, training)[1], share)


def test_mode_counts_of_known_samples():
    ring = toys.ring()
    everything = count_modes(ring.minibatch(4000, rng()), ring)
    assert everything.covered == 8
    assert sum(everything.shares) == pytest.approx(everything.high_quality)
    three = toys.Mixture("three", ring.centres[:3], ring.std)
    assert count_modes(three.minibatch(4000, rng()), ring).covered == 3
    assert count_modes(torch.zeros(10, 2), ring).high_quality == 0


def test_one_broad_gaussian_covers_no_mode():
    """The trap: with no minimum share it would hit all eight."""
    ring, blob = toys.ring(), toys.gaussian((0.0, 0.0), 0.71).minibatch(20_000, rng())
    assert count_modes(blob, ring).covered == 0
    assert count_modes(blob, ring, minimum_share=1e-4).covered == 8
    assert count_modes(blob, ring).high_quality < 0.02


def test_equal_distributions_pass_the_two_sample_test_about_as_often_as_the_bound_says():
    data, passed = toys.ring(), 0
    for seed in range(12):
        torch.manual_seed(seed)
        result = classifier_test(MLP((2, 16, 1)), data.minibatch(500, rng(seed)), data.minibatch(500, rng(seed + 100)),
                                 steps=30, seed=seed)  # fmt: skip
        passed += not result.distinguishable
    assert passed >= 9  # 95 % of 12 is 11.4; fewer than 9 happens once in 400


def test_different_distributions_fail_it():
    torch.manual_seed(0)
    real, fake = toys.gaussian(0.0).minibatch(1000, rng()), toys.gaussian(2.0).minibatch(1000, rng(1))
    result = classifier_test(MLP((1, 16, 1)), real, fake, steps=200)
    assert result.distinguishable
    assert result.accuracy == pytest.approx(0.841, abs=0.03)  # the best possible, Phi(1)
    assert result.n == 1000
    assert result.bound == pytest.approx(0.526, abs=5e-4)


def test_four_of_each_are_enough_for_the_two_sample_test():
    real, fake = torch.zeros(4, 1), torch.ones(4, 1)
    assert classifier_test(MLP((1, 8, 1)), real, fake, steps=100).accuracy == 1.0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: classifier_test(MLP((1, 1)), torch.zeros(9, 1), torch.zeros(8, 1)), r"\(9, 1\)"),
        (lambda: classifier_test(MLP((1, 1)), torch.zeros(9, 1), torch.zeros(9, 1), steps=0), "steps is 0"),
        (lambda: classifier_test(MLP((1, 1)), torch.zeros(3, 1), torch.zeros(3, 1)), r"\(3, 1\).*at least 4"),
        (lambda: classifier_test(MLP((1, 1)), torch.zeros(9, 1), torch.zeros(9, 1), lr=-1.0), "lr is -1.0"),
        (lambda: classifier_test(MLP((1, 1)), torch.zeros(9, 1), torch.zeros(9, 1), lr=0.0), "lr is 0.0"),
        (lambda: nearest(torch.zeros(0, 1), torch.zeros(9, 1)), r"\(0, 1\)"),
        (lambda: nearest(torch.zeros(9, 1), torch.zeros(0, 1)), r"\(0, 1\)"),
        (lambda: count_modes(torch.zeros(9, 3), toys.ring()), r"\(9, 3\)"),
        (lambda: count_modes(torch.zeros(0, 2), toys.ring()), r"\(0, 2\)"),
        (lambda: count_modes(torch.zeros(9, 2), toys.ring(), 0), "minimum_share is 0"),
    ],
)
def test_bad_input_is_refused_by_name(call, says):
    with pytest.raises(ValueError, match=says):
        call()
