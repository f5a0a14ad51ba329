"""On the accelerator found, measures and networks are what they are on the CPU; without one, the CPU stands in for it.

`make gpu` runs these where there is a GPU. Inputs are drawn on the CPU: each device has random numbers of its own.
"""

import pytest
import torch

from ganlib import data
from ganlib.algorithm1 import algorithm1
from ganlib.device import pick_device
from ganlib.lab import measure, runs
from ganlib.lab.generators import open_trained
from ganlib.lab.snapshots import keep
from ganlib.lab.speed import precision
from ganlib.lab.speed.ensembles import Ensemble
from ganlib.lab.training import Training
from ganlib.metrics import birthday, coverage, kmeans, modes, neighbours, parzen
from ganlib.metrics.features import digit_features
from ganlib.sampling import Latent, push, sample
from ganlib.toys import ring

pytestmark = pytest.mark.accelerator
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def device():
    return pick_device(report=False)


def points(n, dim=784, seed=0):
    return torch.rand(n, dim, generator=torch.Generator().manual_seed(seed))


def images(n, side=28):
    pixels = torch.randint(256, (n, 1, side, side), generator=torch.Generator().manual_seed(n), dtype=torch.uint8)
    return data.Images("noise", "train", "random", pixels, torch.zeros(n, dtype=torch.int64))


# Each takes two sets of points and returns numbers; the third entry is how far a device may be from the CPU.
MEASURES = {
    "parzen": (lambda a, b: parzen.log_likelihoods(a, b, parzen.PAPER_SIGMAS), 0.02),
    "parzen's protocol": (lambda a, b: [parzen.evaluate(a, b[:40], b[40:]).mean], 0.02),
    "precision and recall": (lambda a, b: [(c := coverage.precision_recall(a, b)).precision, c.recall], 0.01),
    "k-means": (lambda a, b: kmeans.kmeans(torch.cat([a, b]), 5, rounds=3), 1e-4),
    "nearest": (lambda a, b: torch.cat(neighbours.nearest(a, b)), 1e-4),
    "birthday": (lambda a, b: [p[2] for p in birthday.birthday_test(torch.cat([a, b[:3], b]), 30, 1.0).pairs], 1e-3),
    "modes": (lambda a, b: modes.count_modes(a[:, :2] * 4 - 2, ring()).shares, 1e-6),
    "digit features": (lambda a, b: digit_features(a.view(-1, 1, 28, 28)), 1e-3),
}


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_is_what_it_is_on_the_cpu(device, name):
    metric, tolerance = MEASURES[name]
    sets = points(100), points(120, seed=1)
    with precision.active("fp32", device):  # convolutions on CUDA round to tf32 unless told not to
        there, here = (torch.as_tensor(metric(*(each.to(at) for each in sets))) for at in (device, CPU))
    assert here.isfinite().all()
    torch.testing.assert_close(there.cpu(), here, atol=tolerance, rtol=1e-4)


@pytest.mark.parametrize("change", ["scaled", "normalised", "resized"])
def test_images_are_handed_out_alike(device, change):
    arguments = {"scaled": (-1, 1), "normalised": (55.0,), "resized": (20,)}[change]
    here = getattr(images(30), change)(*arguments).flattened()
    there = here.to(device)
    torch.testing.assert_close(there.floats().cpu(), here.floats(), atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(there.mean(), here.mean(), atol=1e-4, rtol=1e-5)
    batch = there.minibatch(7, torch.Generator(device).manual_seed(0)).cpu()
    distance = neighbours.nearest(batch.contiguous(), here.floats())[1]
    assert distance.max() < 1e-2  # each is one of them


@pytest.mark.parametrize("name", ["mnist-paper", "dcgan-mnist", "small-mlp", "cifar10-conv-small", "grid25"])
def test_networks_and_their_gradients_are_those_of_the_cpu_in_float64(device, name):
    run = runs.get(
        name, {"grid25": {"width": 16}, "cifar10-conv-small": {"width": 100, "units": 4}}.get(name, {"width": 8})
    )
    generator, discriminator = (net.eval() for net in runs.networks(run, 0, None))
    z = Latent(run.latent_dim).minibatch(4, torch.Generator().manual_seed(0))

    def gradients(at, dtype):
        G, D = (net.to(at, dtype) for net in (generator, discriminator))
        for parameter in (parameters := [*G.parameters(), *D.parameters()]):
            parameter.grad = None
        fake = G(z.to(at, dtype))
        D(fake).sum().backward()
        return torch.cat([p.grad.double().flatten().cpu() for p in parameters])

    with precision.active("fp32", device):
        there = gradients(device, torch.float32)
    exact = gradients(CPU, torch.float64)
    assert ((there - exact).norm() / exact.norm()).item() < 1e-3
    assert exact.norm() > 0


def test_an_ensembles_members_compute_what_each_computes_alone(device):
    run = runs.get("mnist-paper", {"width": 32, "units": 8})
    nets = [runs.networks(run, seed, None)[0] for seed in (1, 2)]
    z = torch.randn(2, 9, run.latent_dim, generator=torch.Generator().manual_seed(0))
    together = Ensemble([net.to(device) for net in nets])(z.to(device)).cpu()
    alone = torch.stack([net.cpu()(each) for net, each in zip(nets, z, strict=True)])
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-3)


def test_algorithm_1_trains_on_it(device):
    run = runs.get("ring8", {"width": 16})
    G, D = (net.to(device) for net in runs.networks(run, 0, None))
    before = [p.detach().clone() for net in (G, D) for p in net.parameters()]
    optimisers = {f"{name}_optimiser": torch.optim.Adam(net.parameters(), 1e-3) for name, net in (("g", G), ("d", D))}
    reports = list(algorithm1(G, D, ring().to(device), runs.latent(run), **optimisers, iterations=6, every=3, m=16))
    assert [report.iteration for report in reports] == [3, 6]
    assert all(0 < report.d_loss < 5 for report in reports)
    assert all(not torch.equal(p, q) for p, q in zip([*G.parameters(), *D.parameters()], before, strict=True))


def test_a_trained_generator_is_scored_and_read_back_as_it_was(device, tmp_path):
    run = runs.get("ring8", {"width": 16, "iterations": 8, "every": 4})
    training = Training(run, seeds=[0, 1], device=device)
    list(training.reports())
    keep(tmp_path, training)
    generator = training.networks(1)[0]
    assert measure.measure(run, generator, measure.held_out(run, device), samples=200)["figures"]
    read, refused = open_trained(next((tmp_path / "seed-1").iterdir()))
    z = torch.randn(10, run.latent_dim, generator=torch.Generator().manual_seed(0))
    half = read.generator(1, device)  # it is kept in half precision
    torch.testing.assert_close(push(half, z.to(device)), push(generator, z.to(device)), atol=0.02, rtol=0.02)
    assert refused == []
    assert sample(half, runs.latent(run), 5).device.type == device.type
