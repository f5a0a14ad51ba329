"""Oracles: the plain sums, a chain whose correlations are known, and the variance of the mean over many runs."""

import math

import pytest
import torch
from scipy.signal import lfilter

from ganlib.metrics import autocorrelation as module
from ganlib.metrics.autocorrelation import autocorrelation, effective_samples


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def ar1(rho, n, dim=1, seed=0):
    """x_t = rho x_(t-1) + noise, from its stationary law N(0, 1): c(h) = rho^h, n (1 - rho) / (1 + rho) effective."""
    noise = torch.randn(n, dim, generator=rng(seed), dtype=torch.float64)
    noise[1:] *= math.sqrt(1 - rho**2)
    return torch.from_numpy(lfilter([1.0], [1.0, -rho], noise.numpy(), axis=0))


@pytest.mark.parametrize("shape", [(2,), (50,), (51, 3), (64, 1, 4, 4)])
def test_agrees_with_the_plain_sums(shape):
    x = torch.randn(shape, generator=rng()).cumsum(0) + 100
    centred = (x - x.mean(0)).reshape(len(x), -1).double()
    scale = centred.square().sum(1).mean()
    expected = [((centred[: len(x) - h] * centred[h:]).sum(1).mean() / scale).item() for h in range(len(x))]
    assert autocorrelation(x, range(len(x))) == pytest.approx(expected, abs=1e-5)
    assert autocorrelation(x, [0]) == [1.0]


def test_a_chain_that_forgets_geometrically():
    lags = [1, 2, 5, 10]
    for rho in (0.9, 0.5, -0.5):
        x = ar1(rho, 20_000, dim=20)
        assert autocorrelation(x, lags) == pytest.approx([rho**h for h in lags], abs=0.01)


@pytest.mark.parametrize("rho", [0.95, 0.8, 0.3, -0.3, -0.6])
def test_effective_samples_of_a_chain_that_forgets_geometrically(rho):
    n = 20_000
    assert effective_samples(ar1(rho, n, dim=30)) == pytest.approx(n * (1 - rho) / (1 + rho), rel=0.08)
    one = sum(effective_samples(ar1(rho, n, seed=s)) for s in range(4)) / 4
    assert one == pytest.approx(n * (1 - rho) / (1 + rho), rel=0.25)


def test_effective_samples_predict_the_error_of_the_mean():
    """What the number is for: over many runs the mean varies as that many independent draws' would."""
    runs = ar1(0.8, 1000, dim=2000, seed=3)
    assert effective_samples(runs) == pytest.approx(1 / runs.mean(0).square().mean().item(), rel=0.12)


@pytest.mark.parametrize("shape", [(5000,), (2000, 1, 8, 8)])
def test_independent_samples_are_worth_themselves(shape):
    x = torch.rand(shape, generator=rng(1))
    assert effective_samples(x) == pytest.approx(len(x), rel=0.1)
    assert max(abs(c) for c in autocorrelation(x, range(1, 50))) < 4 / math.sqrt(len(x))


def test_a_sequence_repeated_sample_by_sample_is_worth_no_more():
    x = torch.randn(2000, 10, generator=rng(2))
    assert effective_samples(x.repeat_interleave(5, 0)) == pytest.approx(2000, rel=0.1)


def test_scale_shift_and_order_of_coordinates_change_nothing_and_reversal_neither():
    x = ar1(0.7, 500, dim=4)
    found = effective_samples(x)
    for same in (3 * x - 7, x[:, [2, 0, 3, 1]], x.flip(0), x.reshape(500, 2, 2)):
        assert effective_samples(same) == pytest.approx(found, rel=1e-9)
    assert autocorrelation(x.flip(0), [1, 7]) == pytest.approx(autocorrelation(x, [1, 7]))


def test_the_coordinate_that_varies_more_weighs_more():
    slow, fast = ar1(0.95, 5000), ar1(0.0, 5000, seed=1)
    assert autocorrelation(torch.cat([10 * slow, fast], 1), [1])[0] > 0.9
    assert autocorrelation(torch.cat([slow, 10 * fast], 1), [1])[0] < 0.1


def test_blocks_bound_memory_and_change_nothing(monkeypatch):
    x = ar1(0.5, 100, dim=9)
    whole = autocorrelation(x, range(100))
    monkeypatch.setattr(module, "BLOCK_BYTES", 1)  # one column at a time
    assert autocorrelation(x, range(100)) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("measure", [lambda x: autocorrelation(x, [1]), effective_samples])
@pytest.mark.parametrize(
    ("x", "says"),
    [
        (torch.full((50, 3), 0.1), "x is constant"),
        (torch.zeros(1, 3), r"x is \(1, 3\)"),
        (torch.zeros(9, 0), r"x is \(9, 0\)"),
        (torch.full((9, 3), math.nan), "not finite"),
    ],
)
def test_bad_input_is_refused_by_name(measure, x, says):
    with pytest.raises(ValueError, match=says):
        measure(x)


def test_lags_beyond_the_sequence_and_sequences_without_a_size_are_refused():
    x = torch.arange(6.0)
    for lag in (6, -1):
        with pytest.raises(ValueError, match=f"lag {lag} is out of range.*0 to 5"):
            autocorrelation(x, [1, lag])
    with pytest.raises(ValueError, match=r"x is \(3,\)"):
        effective_samples(x[:3])
    with pytest.raises(ValueError, match="alternates"):
        effective_samples(torch.tensor([1.0, -1.0]).repeat(50))
