"""Oracles: scikit-learn's kernel in a plain loop, moments in closed form, enumeration, simulation, torchmetrics."""

import math
from itertools import product
from statistics import mean, stdev

import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel
from torch import nn

from ganlib.metrics import kid
from ganlib.metrics.kid import kernel_distance


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(n, d, seed, scale=1.0, shift=0.0):
    return scale * torch.randn(n, d, generator=rng(seed), dtype=torch.float64) + shift


def in_a_loop(x, y):
    """The mean over pairs of different points, by scikit-learn's kernel (gamma is 1 / d, coef0 is 1 by default)."""
    xx, yy, xy = (polynomial_kernel(a.numpy(), b.numpy(), degree=3) for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    within_x = mean(float(xx[i, j]) for i in range(n) for j in range(n) if i != j)
    within_y = mean(float(yy[i, j]) for i in range(m) for j in range(m) if i != j)
    return within_x + within_y - 2 * mean(float(xy[i, j]) for i in range(n) for j in range(m))


@pytest.mark.parametrize(("n", "m", "d"), [(4, 4, 1), (30, 17, 5), (9, 40, 64)])
def test_agrees_with_a_plain_loop_over_scikit_learns_kernel(n, m, d):
    x, y = normal(n, d, 0), normal(m, d, 1, 1.5, 0.5)
    found = kernel_distance(x, y)
    assert found.value == pytest.approx(in_a_loop(x, y), rel=1e-10)
    assert (found.real, found.fake) == (n, m)


def test_agrees_with_torchmetrics_where_one_subset_is_the_whole_set():
    image = pytest.importorskip("torchmetrics.image.kid")

    class Features(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :6]

    x, y = normal(40, 6, 0, 3), normal(40, 6, 1, 2, 1)
    metric = image.KernelInceptionDistance(feature=Features(), subsets=1, subset_size=40)
    metric.update(x[:, :, None, None], real=True)
    metric.update(y[:, :, None, None], real=False)
    assert kernel_distance(x, y).value == pytest.approx(metric.compute()[0].item(), rel=1e-5)


def test_blocks_do_not_change_what_is_found(monkeypatch):
    x, y = normal(23, 3, 0), normal(31, 3, 1, 2)
    whole = kernel_distance(x, y)
    monkeypatch.setattr(kid, "BLOCK_BYTES", 8 * 31 * 5)
    parts = kernel_distance(x, y)
    assert parts.value == pytest.approx(whole.value, rel=1e-12)
    assert parts.standard_error == pytest.approx(whole.standard_error, rel=1e-12)


def test_neither_order_nor_which_set_is_first_matters():
    x, y = normal(50, 4, 0), normal(35, 4, 1, 2)
    found = kernel_distance(x, y)
    for other in (
        kernel_distance(x[torch.randperm(50, generator=rng())], y[torch.randperm(35, generator=rng(1))]),
        kernel_distance(y, x),
    ):
        assert other.value == pytest.approx(found.value, rel=1e-10)
        assert other.standard_error == pytest.approx(found.standard_error, rel=1e-10)


# In one dimension the distance is 3 (m1 - m1')^2 + 3 (m2 - m2')^2 + (m3 - m3')^2 of the moments about 0.
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.5, 1.0), (0.0, 1.5), (-0.3, 0.6)])
def test_mean_over_draws_is_the_closed_form_for_normal_distributions(shift, scale):
    moments = (shift, shift**2 + scale**2, shift**3 + 3 * shift * scale**2)
    known = sum(w * (a - b) ** 2 for w, a, b in zip((3, 3, 1), moments, (0, 1, 0), strict=True))
    values = [kernel_distance(normal(30, 1, s), normal(20, 1, s + 5000, scale, shift)).value for s in range(1500)]
    assert mean(values) == pytest.approx(known, abs=4 * stdev(values) / math.sqrt(len(values)))
    if known == 0:  # and half of an unbiased estimate's values may be below it
        assert 0.3 < mean(value < 0 for value in values) < 0.9


def discrete(points, weights, n, seed):
    return points[torch.multinomial(weights, n, replacement=True, generator=rng(seed))]


POINTS = torch.tensor([[0.0, 1.0], [2.0, -1.0], [1.0, 3.0]], dtype=torch.float64)
ONE, OTHER = (torch.tensor(w, dtype=torch.float64) for w in ([0.5, 0.3, 0.2], [0.2, 0.2, 0.6]))


def all_draws(n, weights):
    """Every sample of n points, and its probability."""
    for places in product(range(3), repeat=n):
        yield POINTS[list(places)], math.prod(weights[i].item() for i in places)


@pytest.mark.parametrize("other", [ONE, OTHER])
def test_every_draw_of_four_and_five_points_together_has_the_known_mean_and_variance(other, monkeypatch):
    """The mean of all 3^9 is the distance of the distributions, the mean of the unclamped variances their variance.

    Nothing is left to chance. Order does not matter, so that 15 * 21 pairs of draws stand for all.
    """

    def classes(n, weights):
        found = {}
        for draw, p in all_draws(n, weights):
            key = tuple(sorted(map(tuple, draw.tolist())))
            found[key] = found.get(key, 0.0) + p
        return [(torch.tensor(key, dtype=torch.float64), p) for key, p in found.items()]

    monkeypatch.setattr(torch.Tensor, "clamp", lambda self, **_: self)  # what is clamped is no longer unbiased
    monkeypatch.setattr(kid.math, "sqrt", lambda x: x)
    values, variances, weights = [], [], []
    for (x, p), (y, q) in product(classes(4, ONE), classes(5, other)):
        found = kernel_distance(x, y)
        values.append(found.value)
        variances.append(found.standard_error)
        weights.append(p * q)
    assert sum(weights) == pytest.approx(1)
    kernel = torch.from_numpy(polynomial_kernel(POINTS.numpy(), degree=3))
    known = ((ONE - other) @ kernel @ (ONE - other)).item()
    first = sum(w * v for w, v in zip(weights, values, strict=True))
    assert first == pytest.approx(known, abs=1e-9)
    variance = sum(w * (v - known) ** 2 for w, v in zip(weights, values, strict=True))
    assert sum(w * v for w, v in zip(weights, variances, strict=True)) == pytest.approx(variance, rel=1e-9)


@pytest.mark.parametrize(
    ("shift", "scale", "n", "m", "low", "high"),
    [(1.0, 1.0, 100, 60, 0.92, 0.97), (0.0, 1.4, 80, 120, 0.90, 0.97), (0.0, 1.0, 80, 80, 0.93, 0.999)],
    ids=["shifted", "wider", "equal"],
)
def test_1_96_standard_errors_cover_the_distance_about_95_times_in_100(shift, scale, n, m, low, high):
    """Eight features, standard normal and otherwise: (x.y / d + 1)^3 compares moments of each order, in closed form."""
    d, draws = 8, 1200
    eye, mu = torch.eye(d, dtype=torch.float64), torch.full((d,), shift, dtype=torch.float64)

    def moments(mean_, std):
        cov = std**2 * eye
        second = cov + torch.outer(mean_, mean_)
        third = torch.einsum("i,j,k->ijk", mean_, mean_, mean_)
        for axes in ("i,jk->ijk", "j,ik->ijk", "k,ij->ijk"):
            third = third + torch.einsum(axes, mean_, cov)
        return mean_ * math.sqrt(3 / d), second * math.sqrt(3) / d, third / d**1.5

    apart = [(a - b).square().sum() for a, b in zip(moments(mu, scale), moments(0 * mu, 1.0), strict=True)]
    known = sum(apart).item()
    found = [kernel_distance(normal(n, d, s), normal(m, d, s + 7000, scale, shift)) for s in range(draws)]
    values = [each.value for each in found]
    assert mean(values) == pytest.approx(known, abs=4 * stdev(values) / math.sqrt(draws))
    inside = mean(abs(each.value - known) <= 1.96 * each.standard_error for each in found)
    assert low <= inside <= high
    if shift or scale != 1:  # where nothing is clamped the mean variance is the variance
        assert math.sqrt(mean(each.standard_error**2 for each in found)) == pytest.approx(stdev(values), rel=0.06)


def test_the_error_halves_with_four_times_the_samples():
    few, many = (kernel_distance(normal(n, 3, n), normal(n, 3, n + 1, 1.5, 1)).standard_error for n in (500, 2000))
    assert few / many == pytest.approx(2, rel=0.15)


def test_a_set_of_one_point_is_at_its_distance_without_error():
    x, y = torch.zeros(5, 2), torch.full((6, 2), 2.0)
    found = kernel_distance(x, y)
    assert (found.value, found.standard_error) == (pytest.approx(1 + 125 - 2), pytest.approx(0, abs=1e-5))
    assert kernel_distance(x, x[:4]).value == 0


def test_it_does_see_a_third_moment_where_the_frechet_distance_does_not():
    """-1 twice as likely as 2, and its mirror image: one mean and one variance, two third moments, 2 and -2."""
    points = torch.tensor([[-1.0], [-1.0], [2.0]]).repeat(2000, 1)
    found = kernel_distance(points, -points)
    assert found.value == pytest.approx((2 + 2) ** 2, rel=0.01)


def test_float32_features_far_from_the_origin_keep_their_digits():
    x, y = normal(300, 4, 0).float() + 300, normal(200, 4, 1, 1.2).float() + 300
    assert kernel_distance(x, y).value == pytest.approx(in_a_loop(x.double(), y.double()), rel=1e-6)


@pytest.mark.parametrize(
    ("real", "fake", "says"),
    [
        (torch.zeros(3, 3), torch.zeros(5, 3), r"real is \(3, 3\); give features \(n >= 4"),
        (torch.zeros(5, 3), torch.zeros(5, 1, 3), r"fake is \(5, 1, 3\)"),
        (torch.zeros(5), torch.zeros(5), r"real is \(5,\)"),
        (torch.zeros(5, 0), torch.zeros(5, 0), r"real is \(5, 0\)"),
        (torch.zeros(5, 3), torch.zeros(5, 4), r"\(5, 3\).*\(5, 4\)"),
        (torch.zeros(5, 3), torch.full((5, 3), math.nan), "fake holds"),
        (torch.full((5, 3), math.inf), torch.zeros(5, 3), "real holds"),
        (torch.full((5, 3), 1e21), torch.zeros(5, 3), "real has features as large as 1e"),
    ],
)
def test_bad_input_is_refused_by_name(real, fake, says):
    with pytest.raises(ValueError, match=says):
        kernel_distance(real, fake)


def test_the_largest_features_allowed_give_numbers():
    x, y = (1e20 * normal(300, 2, seed).clamp(-1, 1) for seed in (0, 1))
    found = kernel_distance(x, y)
    assert math.isfinite(found.value)
    assert 0 < found.standard_error < math.inf
