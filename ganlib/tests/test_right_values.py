"""Measures where arithmetic is hard: far from the origin, very large, very small. Oracles are float64 or exact.

What is moved and scaled by powers of two has the same numbers, so the measures must have the same answers, moved and
scaled likewise.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from scipy.special import gammaln, logsumexp
from sklearn.cluster import KMeans
from sklearn.neighbors import KernelDensity

from ganlib import data, theory, toys
from ganlib.metrics.autocorrelation import autocorrelation, effective_samples
from ganlib.metrics.birthday import birthday_test, closest_pairs, duplicate_probability, support_size
from ganlib.metrics.coverage import precision_recall
from ganlib.metrics.frechet import frechet_distance
from ganlib.metrics.kmeans import kmeans, lloyd
from ganlib.metrics.modes import count_modes
from ganlib.metrics.neighbours import copy_threshold, nearest
from ganlib.metrics.parzen import evaluate, evaluate_original, log_likelihoods

# Shift and scale; all of them leave float32 points on a grid of 1/64 exact.
PLACES = [(0.0, 1.0), (4096.0, 1.0), (-65536.0, 1.0), (0.0, 2.0**60), (0.0, 2.0**-60), (2.0**72, 2.0**60)]
EXTREME = [*PLACES, (0.0, 2.0**900), (0.0, 2.0**-900)]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def points(n, dim, seed=0):
    return torch.randint(-64, 64, (n, dim), generator=rng(seed)).double() / 64


def placed(x, shift, scale):
    """The points elsewhere, in float32 where that has the range."""
    moved = x * scale + shift
    return moved.float() if abs(math.log2(scale)) < 100 else moved


def gaussian_kernels(samples, at, sigma):
    """Parzen log densities by plain loops over float64 differences."""
    samples, at = samples.double().numpy(), at.double().numpy()
    norm = math.log(len(samples)) + samples.shape[1] * math.log(sigma * math.sqrt(2 * math.pi))
    return [logsumexp([-0.5 * sum(((x - y) / sigma) ** 2) for y in samples]) - norm for x in at]


@pytest.mark.parametrize(("shift", "scale"), EXTREME)
@pytest.mark.parametrize("width", [1e-4, 0.01, 0.3, 5.0])
def test_parzen_agrees_with_plain_loops_anywhere(shift, scale, width):
    samples, at = (placed(points(n, 3, seed), shift, scale) for n, seed in ((20, 0), (6, 1)))
    found = log_likelihoods(samples, at, [width * scale])[0]
    expected = np.array(gaussian_kernels(points(20, 3), points(6, 3, 1), width)) - 3 * math.log(scale)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=0.01)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 20.0])
def test_parzen_agrees_with_scikit_learn_on_pixels_from_0_to_255(sigma):
    """With products in float32 it was 65 nats off."""
    samples, at = (255 * data.load("digits", split).flattened().first(60).floats() for split in ("train", "valid"))
    one_leaf = KernelDensity(bandwidth=sigma, leaf_size=60).fit(samples.double().numpy())
    expected = one_leaf.score_samples(at.double().numpy())
    np.testing.assert_allclose(log_likelihoods(samples, at, [sigma])[0], expected, rtol=1e-9, atol=0.01)


@pytest.mark.parametrize("sigma", [1e-3, 1e-8, 1e-30])
def test_a_tiny_sigma_has_a_density_and_a_copy_a_high_one(sigma):
    samples = points(5, 2)
    found = log_likelihoods(samples, torch.cat([samples[:1], samples[:1] + 1]), [sigma])[0]
    copies = (samples == samples[0]).all(1).sum().item()
    assert found[0].item() == pytest.approx(math.log(copies / 5) - 2 * math.log(sigma * math.sqrt(2 * math.pi)))
    assert found[1].item() == pytest.approx(gaussian_kernels(samples, samples[:1] + 1, sigma)[0])


def test_a_sigma_beside_which_no_density_is_a_float_is_refused():
    with pytest.raises(ValueError, match=r"sigmas holds 1e-300, and values of samples and points lie in \[0, 1\]"):
        log_likelihoods(torch.zeros(3, 2), torch.ones(3, 2), [1e-300])


@pytest.mark.parametrize("factor", [255.0, 1e-3, 2.0**40])
def test_the_fast_protocol_is_the_original_one_at_any_scale(factor):
    sets = [factor * data.load("digits", s).flattened().first(30).floats() for s in ("train", "valid", "test")]
    widths = [factor * 0.1, factor * 0.01, factor]
    fast, slow = evaluate(*sets, widths), evaluate_original(*sets, widths)
    assert fast.sigma == slow.sigma
    assert fast.mean == pytest.approx(slow.mean, rel=1e-7, abs=0.01)
    assert fast.sweep == pytest.approx(slow.sweep, rel=1e-7, abs=0.01)


@pytest.mark.parametrize(("shift", "scale"), EXTREME)
def test_nearest_neighbours_agree_with_scipy_anywhere(shift, scale):
    samples, training = points(40, 3), points(30, 3, 1)
    index, distance = nearest(placed(samples, shift, scale), placed(training, shift, scale), batch=7)
    expected = cdist(samples, training)
    np.testing.assert_allclose(expected[range(40), index], expected.min(1), rtol=1e-6)
    np.testing.assert_allclose(distance.double() / scale, expected.min(1), rtol=1e-6)


def test_nearest_takes_pixels_as_they_are():
    samples = torch.randint(0, 256, (9, 1, 4, 4), dtype=torch.uint8, generator=rng())
    training = torch.randint(0, 256, (8, 1, 4, 4), dtype=torch.uint8, generator=rng(1))
    index, distance = nearest(samples, training)
    expected = cdist(samples.flatten(1).double(), training.flatten(1).double())
    assert index.tolist() == expected.argmin(1).tolist()
    np.testing.assert_allclose(distance, expected.min(1))


def test_the_copy_threshold_is_the_quantile_also_of_more_values_than_torch_ranks():
    n = 2**24 + 3  # torch's quantile ends at 2^24
    assert copy_threshold(torch.arange(n, dtype=torch.float64), 0.3) == pytest.approx(0.3 * (n - 1))
    few = torch.rand(37, generator=rng(1))
    for share in (0.01, 0.5, 0.99):
        assert copy_threshold(few, share) == few.double().quantile(share).item()


@pytest.mark.parametrize(("shift", "scale"), EXTREME)
def test_lloyd_agrees_with_scikit_learn_anywhere(shift, scale):
    x, first = points(200, 2), points(5, 2, 1)
    found = lloyd(placed(x, shift, scale), placed(first, shift, scale), 4)
    oracle = KMeans(5, init=first.numpy(), n_init=1, max_iter=4, tol=0, algorithm="lloyd").fit(x.numpy())
    # float32 holds a centre to 24 bits of its place.
    rounding = scale * 1e-6 + abs(shift) * 2**-23
    np.testing.assert_allclose(found.double() - shift, scale * oracle.cluster_centers_, atol=rounding, rtol=1e-6)


def test_kmeans_finds_clusters_that_are_small_beside_their_distance():
    corners = torch.tensor([[0.0, 0.0], [1e4, 0.0], [0.0, 1e4]])
    pairs = torch.cat([corners, corners + torch.tensor([0.0, 0.25])])
    x = pairs.repeat_interleave(20, 0) + 1e-3 * torch.randn(120, 2, generator=rng()).double().float()
    found = lloyd(x, pairs + 0.05, 3)
    np.testing.assert_allclose(found, pairs, atol=2e-3)


@pytest.mark.parametrize(("shift", "scale"), PLACES)
def test_kmeans_starts_at_the_same_points_anywhere(shift, scale):
    x = points(50, 2)
    moved = kmeans(placed(x, shift, scale), 4, rounds=0, seed=3).double()
    assert torch.equal((moved - shift) / scale, kmeans(x.float(), 4, rounds=0, seed=3).double())


@pytest.mark.parametrize("radius", [1.0, 1000.0, 1e6])
def test_modes_are_counted_as_plain_loops_count_them(radius):
    ring = toys.ring(8, radius, 0.02 if radius < 1e4 else 20.0)
    samples = ring.minibatch(400, rng())
    samples[::7] += 5 * ring.std
    away = cdist(samples.double(), ring.centres.double())
    shares = [
        sum(bool(d[mode] <= 3 * ring.std and mode == d.argmin()) for d in away) / len(samples) for mode in range(8)
    ]
    found = count_modes(samples, ring)
    assert list(found.shares) == pytest.approx(shares)
    assert found.covered == 8
    assert found.high_quality == pytest.approx(sum(shares))


@pytest.mark.parametrize(("shift", "scale"), EXTREME)
def test_precision_and_recall_agree_with_plain_loops_anywhere(shift, scale):
    real, fake = points(40, 2), points(30, 2, 1) + 0.25

    def inside(x, centres, k):
        radius = np.sort(cdist(centres, centres), 1)[:, k]
        return (cdist(x, centres) <= radius * (1 + 1e-9)).any(1).mean()

    found = precision_recall(placed(real, shift, scale), placed(fake, shift, scale), 3)
    assert found.precision == pytest.approx(inside(fake, real, 3))
    assert found.recall == pytest.approx(inside(real, fake, 3))


@pytest.mark.parametrize(("shift", "scale"), [*PLACES, (0.0, 2.0**480), (0.0, 2.0**-480)])
def test_the_frechet_distance_scales_with_the_square_and_does_not_move(shift, scale):
    real, fake = points(60, 3), 2 * points(50, 3, 1) + 0.5
    (mu1, mu2), (s1, s2) = zip(*((x.numpy().mean(0), np.cov(x.numpy().T)) for x in (real, fake)), strict=True)
    expected = ((mu1 - mu2) ** 2).sum() + np.trace(s1 + s2 - 2 * sqrtm(s1 @ s2).real)
    found = frechet_distance(placed(real, shift, scale), placed(fake, shift, scale))
    assert found / scale / scale == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("shift", "scale"), [*EXTREME, (0.0, 2.0**1016), (0.0, 2.0**-1060)])
def test_autocorrelation_agrees_with_its_definition_anywhere(shift, scale):
    steps = points(64, 2).cumsum(0)
    d = (steps - steps.mean(0)).numpy()
    expected = [np.mean((d[: 64 - h] * d[h:]).sum(1)) / np.mean((d * d).sum(1)) for h in range(5)]
    x = placed(steps, shift, scale)
    assert autocorrelation(x, range(5)) == pytest.approx(expected, abs=1e-5)
    assert effective_samples(x) == pytest.approx(effective_samples(steps), rel=1e-4)


@pytest.mark.parametrize(("shift", "scale"), EXTREME)
def test_closest_pairs_agree_with_scipy_anywhere(shift, scale):
    x = points(40, 3)
    index, distance = closest_pairs(placed(x, shift, scale), 20, seed=1)
    for (i, j), found in zip(index.tolist(), (distance.double() / scale).tolist(), strict=True):
        assert found == pytest.approx(torch.dist(x[i], x[j]).item(), rel=1e-6)
    batches = torch.randperm(40, generator=rng(1)).split(20)
    closest = [cdist(x[b], x[b])[np.triu_indices(20, 1)].min() for b in batches]
    np.testing.assert_allclose(distance.double() / scale, closest, rtol=1e-6)
    assert birthday_test(placed(x, shift, scale), 20, scale * max(closest) * 1.001, seed=1).share == 1


@pytest.mark.parametrize(("batch", "support"), [(23, 365), (400, 10**6), (9_000, 10**8), (20_000, 10**9)])
def test_the_probability_of_a_duplicate_is_the_exact_product(batch, support):
    different = Fraction(1)
    if batch <= 400:
        for i in range(batch):
            different *= Fraction(support - i, support)
        assert duplicate_probability(batch, support) == pytest.approx(float(1 - different), rel=1e-12)
    log = math.fsum(math.log1p(-i / support) for i in range(batch))
    assert duplicate_probability(batch, support) == pytest.approx(-math.expm1(log), rel=1e-12)


def test_large_batches_and_supports_have_an_answer():
    """A product of so many factors never ended; by logarithms of factorials where they have the digits for it."""
    n, s = 1e7, 20_000
    by_factorials = -math.expm1(gammaln(n + 1) - gammaln(n - s + 1) - s * math.log(n))
    assert duplicate_probability(s, n) == pytest.approx(by_factorials, rel=1e-6)
    assert duplicate_probability(10**14, 10**28) == pytest.approx(-math.expm1(-0.5), rel=1e-9)
    assert duplicate_probability(10**6, 2 * 10**6) == 1
    assert duplicate_probability(23, math.inf) == 0
    for share in (1e-12, 0.3, 0.999):
        assert duplicate_probability(10**9, support_size(share, 10**9)) == pytest.approx(share, rel=1e-9)
    assert support_size(5e-324, 10**14) == math.inf


def test_weights_of_any_size_are_normalised():
    assert theory.normalise([1e308, 1e308]).tolist() == [0.5, 0.5]
    assert theory.normalise([5e-324, 15e-324]).tolist() == [0.25, 0.75]
    assert theory.normalise([1e308, 0.0], 1e-200).tolist() == pytest.approx([1e200, 0.0])
    assert theory.normalise([3e-310, 1e-310], 1e300).tolist() == pytest.approx([0.75e-300, 0.25e-300])
    assert theory.normalise([10**200, 3 * 10**200]).tolist() == [0.25, 0.75]
    assert theory.optimal_discriminator([1e308, 1.7e308], [1e308, 0.0]).tolist() == [0.5, 1.0]
    with pytest.raises(ValueError, match=r"cell is 1e-305"):
        theory.normalise([1.0, 1.0], 1e-305)


def test_a_tensor_with_a_graph_has_its_numbers_divergence():
    p = torch.tensor([0.5, 0.5], dtype=torch.float64, requires_grad=True)
    assert theory.kl(p, [0.25, 0.75]) == theory.kl([0.5, 0.5], [0.25, 0.75])


def test_a_grid_finer_than_numpys_tolerance_must_be_uniform_too():
    x = np.array([0.0, 1e-9, 5e-9])
    with pytest.raises(ValueError, match="not a uniform"):
        theory.generator_gradient([1e9] * 3, [1e9] * 3, x)
    fine = 1e-10 * np.linspace(-8, 8, 1601)

    def normal(m):
        return theory.normalise(np.exp(-((fine * 1e10 - m) ** 2) / 2), fine[1] - fine[0])

    expected = theory.generator_gradient(normal(0) * 1e-10, normal(1) * 1e-10, fine * 1e10)
    assert theory.generator_gradient(normal(0), normal(1), fine) == pytest.approx(expected * 1e10, rel=1e-6)


def test_the_density_keeps_the_shape_of_its_points():
    one, plane = toys.gaussian(), toys.gaussian((0.0, 0.0))
    for shape in ((), (1,), (5,), (2, 3)):
        assert one.density(np.zeros(shape)).shape == shape
    assert one.density(np.zeros((5, 1))).shape == (5,)  # what minibatch gives
    assert plane.density(np.zeros((1, 2))).shape == (1,)
    assert plane.density(np.zeros(2)).shape == ()
    assert one.density([0.0]).tolist() == pytest.approx([1 / math.sqrt(2 * math.pi)])
    assert one.density([1e308]).tolist() == [0.0]


@pytest.mark.parametrize(("dim", "std"), [(1, 0.5), (2, 1e-30), (40, 1e-12), (400, 0.01), (400, 10.0)])
def test_the_density_is_the_normal_laws_in_any_dimension(dim, std):
    law = toys.gaussian((0.0,) * dim, std)
    r = math.sqrt(2 * dim * max(0.0, -math.log(std * math.sqrt(2 * math.pi))))  # where it is about 1
    at = np.zeros((2, dim))
    at[1, 0] = r * std
    log = -0.5 * np.array([0.0, r * r]) - dim * math.log(std * math.sqrt(2 * math.pi))
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(law.density(at), np.exp(log), rtol=1e-6 * max(1.0, r * r))


def test_widths_may_be_an_array():
    x = points(4, 2)
    expected = log_likelihoods(x, x, [0.5, 1.0])
    assert torch.equal(log_likelihoods(x, x, np.array([0.5, 1.0])), expected)
    assert torch.equal(log_likelihoods(x, x, torch.tensor([0.5, 1.0])), expected)
