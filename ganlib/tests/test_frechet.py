"""Oracles: closed forms, SciPy's matrix square root, and singular values instead of eigenvalues."""

import builtins
import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from ganlib import toys
from ganlib.metrics import frechet
from ganlib.metrics.frechet import frechet_distance, real_floor

pytest.importorskip("torchmetrics", reason="the Frechet distance needs torchmetrics (pip install 'ganlib[notebook]')")


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def features(n, d, seed):
    """Correlated features away from the origin."""
    draw = rng(seed)
    mixing = torch.randn(d, d, generator=draw, dtype=torch.float64)
    return torch.randn(n, d, generator=draw, dtype=torch.float64) @ mixing + torch.randn(
        d, generator=draw, dtype=torch.float64
    )


def with_singular_values(x, y):
    """Tr (S1 S2)^(1/2) is the sum of the singular values of Xc Yc^T / (n - 1): no eigenvalue is taken."""
    xc, yc = x - x.mean(0), y - y.mean(0)
    cross = torch.linalg.matrix_norm(xc @ yc.T, ord="nuc") / (len(x) - 1)
    spread = (xc.square().sum() + yc.square().sum()) / (len(x) - 1)
    return ((x.mean(0) - y.mean(0)).square().sum() + spread - 2 * cross).item()


@pytest.mark.parametrize(("n", "d"), [(200, 1), (200, 7), (300, 32), (20, 32)])
def test_agrees_with_singular_values_also_with_fewer_samples_than_features(n, d):
    x, y = features(n, d, 0), features(n, d, 1)
    assert frechet_distance(x, y) == pytest.approx(with_singular_values(x, y), rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_scipy(seed):
    x, y = features(150, 12, seed).numpy(), features(260, 12, seed + 50).numpy()
    s1, s2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s1 + s2 - 2 * sqrtm(s1 @ s2).real)
    assert frechet_distance(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (50, 80)])
def test_in_one_dimension_it_is_the_distance_of_means_and_of_standard_deviations(n, m):
    x, y = features(n, 1, 2), 3 * features(m, 1, 3) - 5
    expected = (x.mean() - y.mean()) ** 2 + (x.std() - y.std()) ** 2
    assert frechet_distance(x, y) == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.parametrize(("n", "expected"), [(100, 22.5), (500, 4.43), (2000, 1.09)])
def test_bias_of_equal_laws_is_the_known_one(n, expected):
    """N(0, I) in 64 dimensions against itself: the distance is not 0, and falls about as 1 / n."""
    runs = [
        frechet_distance(torch.randn(n, 64, generator=rng(seed)), torch.randn(n, 64, generator=rng(seed + 100)))
        for seed in range(4)
    ]
    assert sum(runs) / len(runs) == pytest.approx(expected, rel=0.03)


def test_it_does_not_see_that_half_of_the_modes_are_lost():
    """Why raw points in the plane are no use: means and covariances agree."""
    ring = toys.ring()
    half = toys.Mixture("half", ring.centres[::2], ring.std)
    assert abs(frechet_distance(ring.minibatch(200_000, rng()), half.minibatch(200_000, rng(1)))) < 1e-3


@pytest.mark.parametrize("seed", range(6))
def test_symmetric_and_blind_to_rotation_and_shift(seed):
    x, y = features(90, 8, seed), features(120, 8, seed + 10)
    rotation = torch.linalg.qr(torch.randn(8, 8, generator=rng(seed), dtype=torch.float64)).Q
    shift = 1e6 * torch.randn(8, generator=rng(seed + 1), dtype=torch.float64)
    found = frechet_distance(x, y)
    assert found > 0
    assert frechet_distance(y, x) == pytest.approx(found, rel=1e-8)
    assert frechet_distance(x @ rotation + shift, y @ rotation + shift) == pytest.approx(found, rel=1e-6)
    assert frechet_distance(3 * x, 3 * y) == pytest.approx(9 * found, rel=1e-8)


def test_equal_sets_are_at_no_distance_and_dead_features_are_harmless():
    x, y = features(100, 6, 4), features(100, 6, 5)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    dead = torch.zeros(100, 3, dtype=torch.float64)
    assert frechet_distance(torch.cat([x, dead], 1), torch.cat([y, dead], 1)) == pytest.approx(frechet_distance(x, y))


def test_float32_features_far_from_the_origin_keep_their_digits():
    x, y = torch.randn(400, 5, generator=rng()) + 1000, 2 * torch.randn(400, 5, generator=rng(1)) + 1000
    assert frechet_distance(x, y) == pytest.approx(with_singular_values(x.double(), y.double()), rel=1e-6)


def test_floor_of_a_law_is_its_bias_and_a_worse_law_lies_above_it():
    real = torch.randn(4000, 16, generator=rng())
    floor = real_floor(real, 500, splits=6)
    assert (floor.n, floor.splits) == (500, 6)
    fresh = [
        frechet_distance(torch.randn(500, 16, generator=rng(s)), torch.randn(500, 16, generator=rng(s + 50)))
        for s in range(1, 7)
    ]
    assert floor.mean == pytest.approx(sum(fresh) / 6, abs=4 * floor.std)
    assert 0 < floor.std < floor.mean
    assert frechet_distance(real[:500], 1.2 * real[500:1000]) > floor.mean + 5 * floor.std
    assert real_floor(real, 500, splits=6) == floor
    assert real_floor(real, 500, splits=6, seed=1) != floor


def test_spread_of_a_floor_is_that_of_its_distances(monkeypatch):
    distances = iter([1.0, 2.0, 6.0])
    monkeypatch.setattr(frechet, "frechet_distance", lambda *_: next(distances))
    assert real_floor(torch.zeros(9, 1), 3, splits=3) == frechet.Floor(3.0, math.sqrt(7), 3, 3)


def test_the_sets_of_a_split_are_disjoint():
    """With 2 n features each split deals all of them: equal sets would be at distance 0."""
    points = torch.arange(20.0)[:, None]
    floor = real_floor(points, 10, splits=5)
    assert floor.mean > 0
    with pytest.raises(ValueError, match="n is 11"):
        real_floor(points, 11)


@pytest.mark.parametrize(
    ("real", "fake", "says"),
    [
        (torch.zeros(1, 3), torch.zeros(5, 3), r"real is \(1, 3\)"),
        (torch.zeros(5, 3), torch.zeros(5, 1, 3), r"fake is \(5, 1, 3\)"),
        (torch.zeros(5), torch.zeros(5), r"real is \(5,\)"),
        (torch.zeros(5, 0), torch.zeros(5, 0), r"real is \(5, 0\)"),
        (torch.zeros(5, 3), torch.zeros(5, 4), r"\(5, 3\).*\(5, 4\)"),
        (torch.zeros(5, 3), torch.full((5, 3), math.nan), "fake holds"),
        (torch.full((5, 3), math.inf), torch.zeros(5, 3), "real holds"),
    ],
)
def test_bad_input_is_refused_by_name(real, fake, says):
    with pytest.raises(ValueError, match=says):
        frechet_distance(real, fake)


@pytest.mark.parametrize("change", [{"n": 1}, {"splits": 1}])
def test_a_floor_of_nothing_is_refused(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))} is 1|{next(iter(change))} 1"):
        real_floor(torch.zeros(9, 2), **{"n": 2, **change})


@pytest.mark.parametrize("missing", ["torchvision", "lightning_utilities.core"])
def test_a_package_that_torchmetrics_misses_is_not_called_torchmetrics(monkeypatch, missing):
    import_ = builtins.__import__

    def without(name, *rest):
        if name.startswith("torchmetrics"):
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return import_(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=missing) as error:
        frechet_distance(torch.zeros(5, 3), torch.zeros(5, 3))
    assert error.value.name == missing
    assert "not installed" not in str(error.value)


def test_without_torchmetrics_the_message_says_what_to_install(monkeypatch):
    import_ = builtins.__import__

    def without(name, *rest):
        if name.startswith("torchmetrics"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return import_(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match="pip install torchmetrics"):
        frechet_distance(torch.zeros(5, 3), torch.zeros(5, 3))
