"""What trains and measures, on a device without float64: the same numbers as on the CPU. See `no_float64`."""

import math

import pytest
import torch

from ganlib import data, figures, toys
from ganlib.device import double, pick_device
from ganlib.lab import generators, measure, parzen_sweep, runs, snapshots
from ganlib.lab.models import rbm, vae
from ganlib.lab.runner import Runner
from ganlib.lab.studies import chains, measures, memorisation, mixing
from ganlib.lab.training import Training
from ganlib.metrics import (
    autocorrelation,
    birthday,
    coverage,
    features,
    frechet,
    kmeans,
    modes,
    neighbours,
    parzen,
    two_sample,
)
from ganlib.nets import MLP
from ganlib.sampling import Latent, interpolate, sample
from ganlib.tests.no_float64 import OnMPS, standing_in

TINY = {"data": "digits", "width": 16, "units": 8, "m": 10, "examples": 100, "iterations": 4, "every": 2}


@pytest.fixture
def mps():
    with standing_in() as device:
        yield device


def points(n, dim=4, seed=0):
    return torch.rand(n, dim, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "asked",
    [
        lambda x: x.double(),
        lambda x: x.to(torch.float64),
        lambda x: x.sum(dtype=torch.float64),
        lambda x: torch.zeros(2, dtype=torch.float64, device=x.device),
        lambda x: torch.tensor([0.1], dtype=torch.float64, device=x.device),
        lambda x: torch.zeros(2, dtype=torch.float64).to(x.device),
        lambda x: torch.zeros_like(x, dtype=torch.float64),
    ],
)
def test_the_device_refuses_float64_and_the_cpu_does_not(mps, asked):
    x = torch.ones(2).to(mps)
    with pytest.raises(TypeError, match="Cannot convert a MPS Tensor to float64"):
        asked(x)
    assert double(x).dtype == x.cpu().double().dtype == torch.float64
    assert double(x).device.type == "cpu"


def log_likelihoods(to):
    return parzen.log_likelihoods(to(points(40)), to(points(30, seed=1)), [0.1, 0.5])


def both_protocols(to):
    sets = [to(points(n, seed=n)) for n in (40, 20, 30)]
    return [(found.mean, found.standard_error, found.sigma) for found in (
        parzen.evaluate(*sets, [0.1, 0.5]), parzen.evaluate_original(*sets, [0.1, 0.5])
    )]  # fmt: skip


def two_samples(to):
    torch.manual_seed(0)
    critic = MLP((4, 8, 1)).to(to(points(1)).device)
    found = two_sample.classifier_test(critic, to(points(30)), to(points(30, seed=1)), steps=3)
    return found.accuracy, found.mean_fake


def encoder(to):
    device = to(points(1)).device
    images = data.load().flattened().first(60).to(device)
    net = vae.VAE(3, 8).to(device)
    reached = list(vae.train(net, images, iterations=4, every=2, m=5))
    return reached, vae.bounds(net, images), vae.load_decoder, vae.samples(net.decoder, 5)


def machine(to):
    states = to((points(60, 6) > 0.5).float())
    net = rbm.RBM(6, 3).to(states.device)
    reached = list(rbm.train(net, states, iterations=4, every=2, m=5))
    return reached, rbm.file(net, 4), chains._free_energies(net, states.unflatten(0, (6, 10)), states)["test images"]


def one_set(to):
    labels = torch.arange(20) % 10
    near = measures.neighbours(to(points(20)), to(points(10, seed=1)), to(points(10, seed=2)), "")
    shares = measures.classes([to(labels)])
    nearness = memorisation._nearness(to(points(20)), to(points(10, seed=1)), to(points(10, seed=2)))
    return near, shares["shares"], nearness, mixing.between(to((points(30, 8) > 0.5).float().unflatten(0, (3, 10))))


MEASURES = {
    "parzen": log_likelihoods,
    "parzen, both protocols": both_protocols,
    "k-means": lambda to: kmeans.kmeans(to(points(50)), 5),
    "coverage": lambda to: coverage.precision_recall(to(points(30)), to(points(25, seed=1))),
    "neighbours": lambda to: neighbours.nearest(to(points(30)), to(points(25, seed=1))),
    "copies": lambda to: neighbours.copy_threshold(to(points(30, 1)[:, 0]), 0.1),
    "birthday": lambda to: birthday.birthday_test(to(points(40)), 10, 0.1),
    "birthday's threshold": lambda to: birthday.calibrate_threshold(to(points(40)), 10, 0.2),
    "autocorrelation": lambda to: autocorrelation.autocorrelation(to(points(40)), [0, 1, 3]),
    "effective samples": lambda to: autocorrelation.effective_samples(to(points(40))),
    "frechet": lambda to: frechet.frechet_distance(to(points(40)), to(points(30, seed=1))),
    "frechet's floor": lambda to: frechet.real_floor(to(points(40)), 20, splits=2),
    "modes": lambda to: modes.count_modes(to(points(40, 2)), toys.ring()),
    "two samples": two_samples,
    "sweep": lambda to: parzen_sweep.sweep({"a": to(points(20))}, to(points(9, seed=1)), to(points(8, seed=2))),
    "features": lambda to: features.digit_features(to(points(4, 784))),
    "classes": lambda to: features.digit_classes(to(points(4, 784))),
    "tiles": lambda to: figures.as_tiles(to(points(4, 784))),
    "lines": lambda to: interpolate(to(points(3)), to(points(3, seed=1)), 4),
    "studies": one_set,
    "vae": encoder,
    "rbm": machine,
}


def plain(found):
    """Tensors, arrays and results as numbers, wherever they are."""
    if isinstance(found, torch.Tensor) or hasattr(found, "tolist"):
        return plain(found.tolist())
    if isinstance(found, dict):
        return {name: plain(each) for name, each in found.items()}
    if isinstance(found, list | tuple):
        return [plain(each) for each in found]
    return plain(vars(found)) if hasattr(found, "__dataclass_fields__") else found


def alike(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            alike(a, b)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-6, nan_ok=True)
    else:
        assert one == other


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_is_what_it_is_on_the_cpu(name):
    expected = MEASURES[name](lambda x: x)
    with standing_in() as mps:
        moved = []

        def to(x):
            moved.append(x.to(mps))
            assert isinstance(moved[-1], OnMPS)
            return moved[-1]

        found = plain(MEASURES[name](to))
    assert moved
    alike(found, plain(expected))


@pytest.mark.parametrize("name", ["ring8", "figure1", "mnist-paper", "dcgan-digits"])
def test_a_run_is_trained_kept_resumed_and_measured(tmp_path, name):
    images = {} if name in ("ring8", "figure1") else TINY
    settings = {"width": 8, "m": 8, "iterations": 4, "every": 2} | images
    if name == "dcgan-digits":
        settings = {"width": 4, "m": 8, "iterations": 4, "every": 2, "examples": 64}
    run = runs.get(name, settings)

    def whole(folder):
        device = pick_device(report=False)
        runner = Runner(Training(run), folder / "run", save_every=2, snapshots=folder / "kept")
        reports = []
        for each in runner.reports():
            reports.append(each)
            break
        resumed = Runner(Training(run), folder / "run", resume=True, snapshots=folder / "kept")
        reports += resumed.reports()
        held_out = measure.held_out(run, device)
        chosen = snapshots.choose(folder / "kept", run, 0, held_out, device=device, samples=20)
        generator = generators.open_trained(chosen.path)[0].generator(0, device)
        found = [reports, chosen.curve, measure.measure(run, generator, held_out, samples=20)]
        if snapshots.can_average(run):
            to = folder / "mean.safetensors"
            found.append(
                snapshots.choose_average(folder / "kept", run, 0, held_out, to, device=device, samples=20).curve
            )
        drawn = sample(generator, runs.latent(run), 4)
        if name == "mnist-paper":
            figures.image_grid(drawn)
        if name == "ring8":
            _, axis = figures.plt.subplots()
            figures.scatter(axis, drawn, runs.load_data(run, device).minibatch(5, torch.Generator(device)))
        figures.training_curves([each[0] for each in reports])
        figures.plt.close("all")
        assert drawn.device.type == device.type
        return plain(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANLIB_DEVICE", "cpu")
        expected = whole(tmp_path / "cpu")
    with standing_in():
        alike(whole(tmp_path / "mps"), expected)


def test_many_seeds_and_every_kind_of_source(mps):
    run = runs.get("mnist-paper", TINY)
    for reports in Training(run, seeds=[0, 3]).reports():
        assert all(math.isfinite(each.d_loss) for each in reports)
    images = data.load().first(30).to(mps)
    rng = torch.Generator(mps).manual_seed(0)
    for each in (images, images.resized(14), images.normalised(), images.scaled(-1, 1), toys.grid().to(mps), Latent(3)):
        assert each.minibatch(4, rng).device == torch.device("mps", 0)
    assert images.mean().dtype == torch.float32
