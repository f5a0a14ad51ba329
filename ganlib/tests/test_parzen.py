"""Oracles: scikit-learn's KernelDensity, and the original protocol in float64.

KernelDensity keeps its samples in a tree and bounds far nodes in logarithms. In 784 dimensions those bounds swamp the
answer: with its default leaf size it is off by up to thousands of nats (scikit-learn issues 7492 and 25799). With one
leaf it sums every kernel exactly, and that is the oracle used here.
"""

import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KernelDensity

from ganlib import data
from ganlib.metrics import parzen


@pytest.fixture(scope="module")
def digits():
    return [data.load("digits", split).flattened().floats() for split in ("train", "valid", "test")]


def kernel_density(samples, points, sigma):
    one_leaf = KernelDensity(bandwidth=sigma, leaf_size=len(samples)).fit(samples.double().numpy())
    return torch.from_numpy(one_leaf.score_samples(points.double().numpy()))


@pytest.mark.parametrize("sigma", [0.1, 0.2154, 1.0])
def test_log_density_agrees_with_scikit_learn_on_digits(digits, sigma):
    samples, valid, _ = digits
    expected = kernel_density(samples[:500], valid[:50], sigma)
    found = parzen.log_likelihoods(samples[:500], valid[:50], [sigma])[0]
    assert (found - expected).abs().max() < 0.01


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 40), st.floats(0.05, 3), st.floats(-50, 50), st.integers(0, 10**6))
def test_log_density_agrees_with_scikit_learn_anywhere(dim, n, sigma, shift, seed):
    rng = torch.Generator().manual_seed(seed)
    samples = torch.randn(n, dim, generator=rng) + shift
    points = torch.randn(5, dim, generator=rng) + shift
    found = parzen.log_likelihoods(samples, points, [sigma])[0]
    torch.testing.assert_close(found, kernel_density(samples, points, sigma), atol=0.01, rtol=1e-4)


def test_fast_protocol_is_the_original_one(digits):
    train, valid, test = (part[:n] for part, n in zip(digits, (400, 60, 80), strict=True))
    fast, slow = parzen.evaluate(train, valid, test), parzen.evaluate_original(train, valid, test)
    assert fast.sigma == slow.sigma
    assert fast.mean == pytest.approx(slow.mean, abs=0.01)
    assert fast.standard_error == pytest.approx(slow.standard_error, abs=0.01)
    assert fast.sweep == pytest.approx(slow.sweep, abs=0.01)
    assert (fast.samples, fast.valid, fast.test) == (400, 60, 80)


@pytest.mark.parametrize("way", [parzen.evaluate, parzen.evaluate_original])
def test_the_standard_error_is_the_originals(way):
    """Of n scores, sqrt(sum (s - mean)^2 / n) / sqrt(n), as numpy's std has it: of five, 11 % less than with n - 1."""
    test = torch.tensor([[0.0], [1.0], [2.0], [4.0], [8.0]])
    result = way(torch.zeros(3, 1), torch.zeros(2, 1), test, [2.0])
    scores = [-(t**2) / 8 - math.log(2 * math.sqrt(2 * math.pi)) for t in (0, 1, 2, 4, 8)]
    mean = sum(scores) / 5
    assert result.mean == pytest.approx(mean, abs=1e-5)
    assert result.standard_error == pytest.approx(math.sqrt(sum((s - mean) ** 2 for s in scores)) / 5, rel=1e-5)


def test_paper_sigmas_are_ten_log_spaced_from_a_tenth_to_one():
    assert len(parzen.PAPER_SIGMAS) == 10
    assert parzen.PAPER_SIGMAS[0] == pytest.approx(0.1)
    assert parzen.PAPER_SIGMAS[-1] == pytest.approx(1.0)
    ratios = [b / a for a, b in zip(parzen.PAPER_SIGMAS[:-1], parzen.PAPER_SIGMAS[1:], strict=True)]
    assert max(ratios) == pytest.approx(min(ratios))


def test_blocks_bound_memory_and_change_nothing(digits, monkeypatch):
    train, valid, _ = digits
    whole = parzen.log_likelihoods(train[:300], valid[:50], [0.2])
    monkeypatch.setattr(parzen, "BLOCK_BYTES", 4 * 300 * 7)  # seven points a block
    torch.testing.assert_close(parzen.log_likelihoods(train[:300], valid[:50], [0.2]), whole, atol=1e-3, rtol=0)


def test_one_kernel_is_a_gaussian_even_far_in_its_tail():
    far = parzen.log_likelihoods(torch.zeros(1, 2), torch.tensor([[300.0, 400.0]]), [1.0]).item()
    assert far == pytest.approx(-125_000 - math.log(2 * math.pi), rel=1e-6)


def test_a_tiny_sigma_is_a_disaster_and_is_reported_not_hidden(digits):
    train, valid, _ = digits
    assert parzen.log_likelihoods(train, valid[:50], [0.01]).mean() < -100_000


@pytest.mark.parametrize(
    ("samples", "points", "sigmas", "says"),
    [
        (torch.zeros(0, 2), torch.zeros(1, 2), [1.0], "one or more"),
        (torch.zeros(3, 2), torch.zeros(3, 4), [1.0], r"\(3, 2\).*\(3, 4\)"),
        (torch.zeros(3, 2), torch.zeros(3, 2), [0.0], "sigmas"),
        (torch.zeros(3, 2), torch.zeros(3, 2), [], "sigmas"),
        (torch.full((3, 2), math.nan), torch.zeros(3, 2), [1.0], "samples hold"),
    ],
)
def test_bad_input_is_refused_by_name(samples, points, sigmas, says):
    with pytest.raises(ValueError, match=says):
        parzen.log_likelihoods(samples, points, sigmas)


def test_a_misshapen_test_set_is_refused_before_the_sweep(monkeypatch):
    monkeypatch.setattr(parzen, "log_likelihoods", lambda *_: pytest.fail("the sweep was started"))
    with pytest.raises(ValueError, match=r"\(3, 2\).*\(3, 4\)"):
        parzen.evaluate(torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(3, 4))


@pytest.mark.parametrize("way", [parzen.evaluate, parzen.evaluate_original])
@pytest.mark.parametrize(
    ("samples", "images", "end", "ranges"),
    [
        (lambda x: 255 * x, lambda x: 255 * x, "largest", r"samples lie in \[0, 255\], images in \[0, 255\]"),
        (lambda x: 2 * x - 1, lambda x: x, "largest", r"samples lie in \[-1, 1\], images in \[0, 1\]"),
        (lambda x: x / 255, lambda x: x / 255, "smallest", r"\[0, 0.003922\], images in \[0, 0.003922\]"),
    ],
)
def test_a_width_at_an_end_is_remarked_on_with_the_ranges_wherever_the_result_is_said(
    digits, way, samples, images, end, ranges
):
    train, valid, test = (part[:n] for part, n in zip(digits, (40, 30, 30), strict=True))
    result = way(samples(train), images(valid), images(test))
    sigma = {"largest": 1, "smallest": 0.1}[end]
    assert re.match(rf"sigma {sigma} is the {end} of the 10 widths tried, and a (larg|small)er one may", result.remark)
    assert re.search(ranges, result.remark)
    assert str(result).endswith(result.remark)
    assert result.remark in f"{result}"


def test_a_width_between_the_ends_or_the_only_one_is_not_remarked_on(digits):
    train, valid, test = (part[:n] for part, n in zip(digits, (400, 60, 80), strict=True))
    for sigmas in (parzen.PAPER_SIGMAS, [0.01], [1.0]):
        result = parzen.evaluate(train, valid, test, sigmas)
        assert result.remark == ""
        assert str(result).endswith("+- is the standard error over test images)")


def test_the_end_of_the_grid_is_found_in_any_order():
    for sigmas in ((0.1, 0.5, 1.0), (1.0, 0.1, 0.5)):
        assert "largest of the 3" in parzen.end_of_grid(1.0, sigmas)
        assert "smallest of the 3" in parzen.end_of_grid(0.1, sigmas)
        assert parzen.end_of_grid(0.5, sigmas) == ""
