"""Fifteen misreadings of the paper, each settled by a check. The list in book/misreadings.md names them."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ganlib import data, dirac, losses, nets, sampling, theory, toys
from ganlib.algorithm1 import algorithm1
from ganlib.metrics import parzen, two_sample
from ganlib.metrics.modes import count_modes
from ganlib.nets.paper import paper_schedule
from ganlib.sampling import Latent

BOOK = Path(__file__).parents[1] / "book"


class Logistic(nn.Module):
    """Logistic regression on features of x: a critic that sees exactly what the features show."""

    def __init__(self, features, count: int) -> None:
        super().__init__()
        self.features, self.layer = features, nn.Linear(count, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.features(x)).squeeze(-1)


class Counting:
    """A source that records the minibatches asked of it."""

    def __init__(self, source) -> None:
        self.source, self.sizes = source, []

    def minibatch(self, m: int, rng: torch.Generator) -> Tensor:
        self.sizes.append(m)
        return self.source.minibatch(m, rng)


def fit(parameters, loss_of) -> None:
    """Run L-BFGS to convergence on a smooth, deterministic loss."""
    optimiser = torch.optim.LBFGS(parameters, max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = loss_of()
        loss.backward()
        return loss

    optimiser.step(closure)


def modes_after(ratio: int, seed: int, g_steps: int = 1000) -> int:
    """Modes of the ring that G covers after ``g_steps`` steps, with one step of D before every ``ratio`` of them."""
    ring, latent, draw = toys.ring(std=0.05), Latent(8, "normal"), torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    generator, discriminator = nets.MLP((8, 64, 64, 2)), nets.MLP((2, 64, 64, 1))
    g_optimiser = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    d_optimiser = torch.optim.Adam(discriminator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    for step in range(g_steps):
        if step % ratio == 0:
            fake = generator(latent.minibatch(128, draw)).detach()
            d_optimiser.zero_grad()
            losses.discriminator_loss(discriminator(ring.minibatch(128, draw)), discriminator(fake)).backward()
            d_optimiser.step()
        g_optimiser.zero_grad()
        losses.non_saturating(discriminator(generator(latent.minibatch(128, draw)))).backward()
        g_optimiser.step()
    return count_modes(sampling.sample(generator, latent, 2000), ring).covered


def random_pairs(count: int, size: int = 6) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [tuple(rng.dirichlet(np.full(size, 0.5), 2)) for _ in range(count)]


def test_iteration_is_not_an_epoch() -> None:
    """You may read: "One pass of the discriminator is an epoch." (algorithm-1, sec-iteration-epoch)

    An iteration is k minibatches for D and one for G. How many make an epoch depends on the size of the data set.
    """
    k, m, iterations = 3, 5, 4
    x, z = Counting(toys.gaussian()), Counting(Latent(1))
    generator, discriminator = nets.MLP((1, 4, 1), squeeze=False), nets.MLP((1, 4, 1))
    players = {"d_optimiser": torch.optim.SGD(discriminator.parameters(), lr=0.1)}
    players["g_optimiser"] = torch.optim.SGD(generator.parameters(), lr=0.1)
    reports = list(algorithm1(generator, discriminator, x, z, **players, iterations=iterations, k=k, m=m, every=1))

    assert [r.iteration for r in reports] == [1, 2, 3, 4]
    assert x.sizes == [m] * (k * iterations)  # D's data: k minibatches an iteration; this source has no size at all
    assert z.sizes == [m] * ((k + 1) * iterations)  # noise for each D step, and fresh noise for G

    # The published MNIST schedule counts epochs of 50,000 images in minibatches of 100: its momentum stands still for
    # that many iterations, and then moves.
    epoch = 50_000 // 100
    optimiser = torch.optim.SGD(generator.parameters(), lr=0.1, momentum=0.5)
    schedule = paper_schedule(optimiser)
    momentum = []
    for done in (0, epoch - 1, epoch):
        schedule(done)
        momentum.append(optimiser.param_groups[0]["momentum"])
    assert momentum[0] == momentum[1] < momentum[2]


@pytest.mark.parametrize(("a", "b"), [(0.3, 0.9), (1.0, 1.0), (2.0, 0.5), (0.0, 1.0), (1.0, 0.0)])
def test_bracket_is_maximised_not_minimised(a: float, b: float) -> None:
    """You may read: "a log y + b log(1 - y) is minimised at a / (a + b)." (optimal-discriminator, sec-one-point)

    For a, b >= 0 it is maximised there. For a = b = -1, which the paper's wording allows, the point is a minimum.
    """

    def bracket(y: np.ndarray, a: float, b: float) -> np.ndarray:
        return (a * np.log(y) if a else 0 * y) + (b * np.log1p(-y) if b else 0 * y)

    y = np.linspace(0, 1, 4001)[1:-1]
    values = bracket(y, a, b)
    top = theory.optimal_discriminator([a], [b])[0]
    assert top == pytest.approx(a / (a + b))
    assert y[values.argmax()] == pytest.approx(top, abs=3e-4)
    assert values.min() < values.max() - 1  # far from constant: the minimum is elsewhere, at an end
    assert y[values.argmin()] in (y[0], y[-1])
    assert y[bracket(y, -1, -1).argmin()] == pytest.approx(0.5)


def test_jsd_is_zero_when_equal_and_log_two_when_disjoint() -> None:
    """You may read: "The JSD is symmetric and always non-zero." (global-optimum, sec-jsd-metric)

    It is symmetric and never negative: 0 exactly when the two are equal, log 2 when their supports are disjoint.
    """
    for p, q in random_pairs(200):
        assert theory.jsd(p, p) == 0.0
        assert 0 < theory.jsd(p, q) < math.log(2)
        assert theory.jsd(p, q) == pytest.approx(theory.jsd(q, p), abs=1e-12)
        assert theory.jsd(p, q) == pytest.approx(jensenshannon(p, q) ** 2, abs=1e-10)
        disjoint = theory.jsd(np.concatenate([p, 0 * p]), np.concatenate([0 * q, q]))
        assert disjoint == pytest.approx(math.log(2), abs=1e-12)


def test_halving_gives_two_kls_to_the_mixture_not_a_reverse_kl() -> None:
    """You may read: "Dividing numerator and denominator by 2 makes it a reverse KL divergence."
    (global-optimum, sec-no-reverse-kl)

    It makes two KL divergences to the mixture m = (p + q) / 2. Neither is KL(q || p), which may even be infinite.
    """
    for p, q in random_pairs(100):
        m = (p + q) / 2
        undivided = (p * np.log(p / (p + q))).sum() + (q * np.log(q / (p + q))).sum()
        divided = theory.kl(p, m) + theory.kl(q, m)
        assert theory.cost(p, q) == pytest.approx(undivided, abs=1e-12)
        assert undivided + math.log(4) == pytest.approx(divided, abs=1e-12)
        assert divided == pytest.approx(2 * theory.jsd(p, q), abs=1e-12)
        assert abs(divided - theory.kl(q, p)) > 1e-3
        assert abs(divided - theory.kl(p, q)) > 1e-3
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.0, 0.5, 0.5])
    assert theory.kl(p, q) == theory.kl(q, p) == math.inf
    assert theory.cost(p, q) + math.log(4) == pytest.approx(math.log(2))


def test_convergence_is_not_guaranteed_dirac_gan_circles() -> None:
    """You may read: "Proposition 2: G always converges." (convergence, sec-prop2-hypotheses and sec-dirac)

    It has three hypotheses, which gradient steps do not meet: on two parameters they spiral out, or circle.
    """

    def radii(**options) -> np.ndarray:
        return np.hypot(*dirac.trajectory(2000, lr=0.1, **options).T)

    simultaneous, alternating = radii(), radii(alternating=True)
    assert simultaneous[0] == pytest.approx(math.sqrt(2))
    assert simultaneous[-1] == pytest.approx(3.10, abs=0.005)
    assert (np.diff(simultaneous) > 0).all()  # away from the equilibrium at every single step
    assert alternating.min() > 1.409
    assert alternating.max() < 1.452
    assert radii(gamma=0.3)[-1] < 1e-6
    assert radii(gamma=0.3, alternating=True)[-1] < 1e-6


def test_half_is_necessary_not_sufficient() -> None:
    """You may read: "When D(G(z)) reaches 1/2 the generator has succeeded." (algorithm-1, sec-half-is-not-success)

    Necessary: the best D has mean 1/2 on the fakes only if p_g = p_data. Not sufficient: a weak D says 1/2, too. A ring
    of 8 against one broad Gaussian with its mean: a linear critic is at chance, one that sees the radius is not.
    """
    for p, q in random_pairs(50):
        assert p @ theory.optimal_discriminator(p, p) == pytest.approx(0.5, abs=1e-12)
        assert q @ theory.optimal_discriminator(p, q) < 0.5 - 1e-3

    rng = torch.Generator().manual_seed(0)
    real, fake = toys.ring().minibatch(4000, rng), toys.gaussian((0.0, 0.0), math.sqrt(0.5)).minibatch(4000, rng)
    assert count_modes(fake, toys.ring()).high_quality < 0.05  # this generator is bad

    def radial(x: Tensor) -> Tensor:
        radius = x.norm(dim=1, keepdim=True)
        return torch.cat([x, radius, radius**2], 1)

    torch.manual_seed(0)
    linear = two_sample.classifier_test(Logistic(lambda x: x, 2), real, fake, steps=300)
    seeing = two_sample.classifier_test(Logistic(radial, 4), real, fake, steps=300, lr=0.05)
    assert linear.mean_fake == pytest.approx(0.5, abs=0.01)
    assert linear.accuracy == pytest.approx(0.5, abs=0.03)
    assert seeing.accuracy > seeing.bound + 0.2


def test_equilibrium_loss_depends_on_the_factor_half() -> None:
    """You may read: "At the equilibrium the loss must be 1.386 (or: must be 0.693)." (value-function, sec-factor-half)

    It is log 4 with equation 1 as printed and log 2 with the original code's factor 1/2; the game is the same.
    """
    half = torch.zeros(16)  # the logit of D = 1/2
    assert losses.discriminator_loss(half, half, "sum").item() == pytest.approx(math.log(4))
    assert losses.discriminator_loss(half, half, "mean").item() == pytest.approx(math.log(2))

    gradients = {}
    for reduction in ("sum", "mean"):
        real, fake = torch.linspace(-2, 3, 7, requires_grad=True), torch.linspace(-3, 1, 7, requires_grad=True)
        losses.discriminator_loss(real, fake, reduction).backward()
        gradients[reduction] = torch.cat([real.grad, fake.grad])
    torch.testing.assert_close(gradients["sum"], 2 * gradients["mean"])  # one direction, hence one optimum

    for p, q in random_pairs(50):  # and it is no goal for D: the best D's loss is lower against any other generator
        assert -theory.cost(p, q) < -theory.cost(p, p) == pytest.approx(math.log(4))


def test_discriminator_is_a_density_ratio_not_a_label() -> None:
    """You may read: "D is a classifier: its output is 0 or 1." (optimal-discriminator, sec-density-ratio)

    Its labels are 0 and 1. Trained on samples of N(0, 1) and N(1, 1), its output is p / (p + q), strictly between.
    """
    rng = torch.Generator().manual_seed(0)
    data_law, model_law = toys.gaussian(0.0), toys.gaussian(1.0)
    real, fake = data_law.minibatch(50_000, rng), model_law.minibatch(50_000, rng)
    torch.manual_seed(0)
    critic = Logistic(lambda x: x, 1)  # the log ratio of these two is a straight line, so this critic can be optimal
    fit(critic.parameters(), lambda: losses.discriminator_loss(critic(real), critic(fake)))

    x = np.linspace(-2, 3, 101)
    p, q = data_law.density(x), model_law.density(x)
    with torch.no_grad():
        logit = critic(torch.tensor(x, dtype=torch.float32)[:, None]).double().numpy()
    output = 1 / (1 + np.exp(-logit))
    np.testing.assert_allclose(output, theory.optimal_discriminator(p, q), atol=0.01)
    np.testing.assert_allclose(logit, np.log(p / q), atol=0.1)
    assert (output > 0.05).all()
    assert (output < 0.95).all()


def test_nce_fits_the_model_inside_the_discriminator() -> None:
    """You may read: "NCE is the same thing as a GAN." (neighbours, sec-nce)

    NCE fixes the noise and puts an unnormalised density into D's logit: it ends with a density and its normaliser and
    trains no sampler. A GAN trains the sampler and ends without a density.
    """
    rng = torch.Generator().manual_seed(0)
    noise_law = toys.gaussian(0.0, 2.0)
    x = toys.gaussian(1.0, 0.5).minibatch(20_000, rng).double()[:, 0]
    noise = noise_law.minibatch(20_000, rng).double()[:, 0]  # drawn once, before training; nothing changes its law
    mean, log_std, log_c = (torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in range(3))

    def logit(u: Tensor) -> Tensor:
        log_model = log_c - (u - mean) ** 2 / (2 * torch.exp(2 * log_std))  # c is free: nothing is normalised
        return log_model - torch.from_numpy(np.log(noise_law.density(u.numpy())))

    fit([mean, log_std, log_c], lambda: losses.discriminator_loss(logit(x), logit(noise)))
    std = log_std.exp().item()
    assert mean.item() == pytest.approx(1.0, abs=0.03)
    assert std == pytest.approx(0.5, abs=0.03)
    assert log_c.item() == pytest.approx(-math.log(std * math.sqrt(2 * math.pi)), abs=0.03)

    # Algorithm 1 on the same data, for contrast: what moves is the sampler, and it starts at the noise's own law.
    torch.manual_seed(0)
    generator, discriminator = nets.MLP((1, 1), squeeze=False), nets.MLP((1, 32, 1), "tanh")
    with torch.no_grad():
        generator.layers[0].weight.fill_(2.0)
        generator.layers[0].bias.zero_()
    latent = Latent(1, "normal")
    before = sampling.sample(generator, latent, 4000).mean().item()
    players = {"d_optimiser": torch.optim.Adam(discriminator.parameters(), lr=5e-3)}
    players["g_optimiser"] = torch.optim.Adam(generator.parameters(), lr=5e-3)
    list(algorithm1(generator, discriminator, toys.gaussian(1.0, 0.5), latent, **players, iterations=600, k=2))
    after = sampling.sample(generator, latent, 4000).mean().item()
    assert abs(before) < 0.1
    assert abs(after - 1) < 0.4


def test_memorising_discriminator_drives_value_to_zero() -> None:
    """You may read: "A GAN cannot overfit." (studies, sec-memorising-d)

    Take the perfect generator: 100 real digits against 100 other real digits. In the limit V should be -log 4. A D that
    memorises drives V on these two sets to 0 and knows nothing about new digits.
    """
    digits = data.load("digits").flattened().floats()
    digits = digits[torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))]
    real, fake, new_real, new_fake = digits[:100], digits[100:200], digits[2000:3000], digits[3000:]
    torch.manual_seed(0)
    discriminator = nets.MLP((784, 128, 1), "leaky_relu")
    optimiser = torch.optim.Adam(discriminator.parameters(), lr=1e-3)
    for _ in range(300):
        optimiser.zero_grad()
        losses.discriminator_loss(discriminator(real), discriminator(fake)).backward()
        optimiser.step()
    with torch.no_grad():
        seen = -losses.discriminator_loss(discriminator(real), discriminator(fake)).item()
        unseen = -losses.discriminator_loss(discriminator(new_real), discriminator(new_fake)).item()
        right = (discriminator(new_real) > 0).float().mean() + (discriminator(new_fake) <= 0).float().mean()
    assert seen > -0.05
    assert unseen < -math.log(4)
    assert right.item() / 2 == pytest.approx(0.5, abs=0.06)
    # In a game: the paper's pair on 50, 500 and 5,000 images. The fewer, the nearer V is to 0 on them, and the more of
    # the samples are nearer to them than to held-out images.
    study = json.loads((BOOK / "results" / "memorisation.json").read_text(encoding="utf-8"))["figures"]["by_size"]
    few, some, many = (study[size] for size in ("50", "500", "5000"))
    for name, bound in (("final_v_train", -math.log(4)), ("nearer_to_training", 0.5)):
        assert few[name]["value"] > some[name]["value"] > many[name]["value"] > bound
    for size in (few, some, many):
        assert size["final_d_train"]["value"] > size["final_d_held_out"]["value"]
        assert size["final_v_train"]["value"] > size["final_v_held_out"]["value"]
    # The arithmetic behind it: two finite sets without a common point are disjoint distributions.
    everywhere = np.full(200, 1 / 100)
    assert theory.cost(everywhere * (np.arange(200) < 100), everywhere * (np.arange(200) >= 100)) == 0.0


def test_parzen_prefers_memorised_images_and_centroids() -> None:
    """You may read: "The Parzen score is the likelihood; a low score means bad pictures."
    (parzen, sec-parzen-misleads)

    With equal numbers of kernels, blurred k-means centroids beat real digits by far. The same real digits score more
    only because there are more of them. The pictures are perfect every time.
    """
    train, valid, test = (data.load("digits", split).flattened().floats() for split in ("train", "valid", "test"))
    count, rng = 200, torch.Generator().manual_seed(0)
    centroids = train[torch.randperm(len(train), generator=rng)[:count]].clone()
    for _ in range(5):  # Lloyd's iterations
        nearest = torch.cdist(train, centroids).argmin(1)
        members = torch.bincount(nearest, minlength=count)[:, None]
        sums = torch.zeros_like(centroids).index_add_(0, nearest, train)
        centroids = torch.where(members > 0, sums / members.clamp(min=1), centroids)
    crude = (train.mean(0) + train.std(0) * torch.randn(count, 784, generator=rng)).clamp(0, 1)

    real, blurred, more, noise = (
        parzen.evaluate(kernels, valid, test) for kernels in (train[:count], centroids, train[: 5 * count], crude)
    )
    for better, worse in ((blurred, real), (blurred, more), (more, real), (real, noise)):
        assert better.mean - worse.mean > 4 * math.hypot(better.standard_error, worse.standard_error)


def test_fid_was_published_after_the_paper() -> None:
    """You may read: "Why did the authors not use FID?" (measuring, sec-why-no-fid)

    Because it was published three years later.
    """
    entries = re.split(r"(?m)^@", (BOOK / "references.bib").read_text(encoding="utf-8"))
    year = {
        key.group(1): int(found.group(1))
        for entry in entries
        if (key := re.match(r"\w+\{([^,]+),", entry)) and (found := re.search(r"year\s*=\s*\{?(\d{4})", entry))
    }
    paper = next(entry for entry in entries if "goodfellow2014," in entry)
    fid = next(entry for entry in entries if "heusel2017," in entry)
    assert "Generative Adversarial Nets" in paper
    assert "Two Time-Scale Update Rule" in fid
    assert (year["goodfellow2014"], year["heusel2017"]) == (2014, 2017)
    assert year["theis2016"] > year["goodfellow2014"]  # the warning about Parzen windows is later, too


def test_frozen_discriminator_collapses_the_generator() -> None:
    """You may read: "What if G is trained too much? Does that happen?" (algorithm-1, sec-too-much-g and sec-helvetica)

    Yes: against a frozen D the best response is all mass at argmax D. Here G has so far missed one mode of the ring,
    and D knows which. G, trained on alone, collapses from every start, there or at a lesser peak of D: Helvetica.
    """
    rng = np.random.default_rng(0)
    d = rng.uniform(0.01, 0.99, 8)
    at_argmax = np.log(1 - d)[d.argmax()]  # E log(1 - D) is linear in p_g: its minimum over the simplex is at a corner
    assert all(q @ np.log(1 - d) > at_argmax for q in rng.dirichlet(np.ones(8), 500))

    ring, broad = toys.ring(std=0.1), toys.gaussian((0.0, 0.0), 1.0)
    seven = toys.Mixture("seven of the eight modes", ring.centres[1:], ring.std)
    torch.manual_seed(0)
    draw = torch.Generator().manual_seed(0)
    discriminator = nets.MLP((2, 64, 64, 1), "tanh")
    optimiser = torch.optim.Adam(discriminator.parameters(), lr=5e-3)
    for _ in range(400):
        fake = torch.cat([seven.minibatch(128, draw), broad.minibatch(128, draw)])
        optimiser.zero_grad()
        losses.discriminator_loss(discriminator(ring.minibatch(256, draw)), discriminator(fake)).backward()
        optimiser.step()
    discriminator.requires_grad_(False)

    axis = torch.linspace(-2, 2, 201)
    points = torch.cartesian_prod(axis, axis)
    best = points[discriminator(points).argmax()]
    assert torch.cdist(best[None], ring.centres).argmin().item() == 0  # D's favourite is the mode that G missed

    latent, ends = Latent(2, "normal"), []
    for seed in range(4):
        torch.manual_seed(seed)
        generator = nets.MLP((2, 64, 2))
        optimiser = torch.optim.Adam(generator.parameters(), lr=5e-3)
        for _ in range(400):
            optimiser.zero_grad()
            losses.minimax(discriminator(generator(latent.minibatch(128, draw)))).backward()
            optimiser.step()
        samples = sampling.sample(generator, latent, 1000)
        assert samples.std(0).norm() < 0.1 * ring.minibatch(1000, draw).std(0).norm()  # many z, nearly one x
        ends.append((discriminator(samples).sigmoid().mean().item(), samples))
    value, samples = max(ends, key=lambda end: end[0])
    assert value == pytest.approx(discriminator(best[None]).sigmoid().item(), abs=0.01)
    assert (samples.mean(0) - best).norm() < 0.15
    assert count_modes(samples, ring).covered == 1

    # A D that does learn, but too seldom: the same 1,000 steps of G, with 1, 5 and 50 of them for each of D.
    modes = {ratio: [modes_after(ratio, seed) for seed in range(2)] for ratio in (1, 5, 50)}
    assert min(modes[1]) >= 7
    assert max(modes[5] + modes[50]) <= 2


def test_gradient_vanishes_for_minimax_not_for_non_saturating() -> None:
    """You may read: "If D catches every fake, G cannot know what to fix." (value-function, sec-saturation)

    True of log(1 - D(G(z))), whose gradient in the logit is -D; not of -log D(G(z)), whose gradient is D - 1.
    """
    for logit in (-20.0, -10.0, -5.0, 0.0, 5.0):
        d = 1 / (1 + math.exp(-logit))
        for loss, expected in ((losses.minimax, -d), (losses.non_saturating, d - 1)):
            t = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
            loss(t).backward()
            assert t.grad.item() == pytest.approx(expected, rel=1e-9)

    x = np.linspace(-12, 20, 16001)
    cell = x[1] - x[0]
    pairs = {m: [theory.normalise(np.exp(-((x - c) ** 2) / 2), cell) for c in (0, m)] for m in (1, 2, 4, 8)}
    minimax = {m: theory.generator_gradient(*pair, x, "minimax") for m, pair in pairs.items()}
    non_saturating = {m: theory.generator_gradient(*pair, x, "non-saturating") for m, pair in pairs.items()}
    assert minimax[8] == pytest.approx(0.000393, abs=1e-5)
    assert non_saturating[8] == pytest.approx(7.99961, abs=1e-4)
    assert minimax[8] < minimax[4] < minimax[1]  # further away, less to hear
    assert non_saturating[8] > non_saturating[4] > non_saturating[1]


def test_textbook_sentences_that_are_backwards() -> None:
    """You may read: "log(1 - D(G(z))) and cross-entropy with target 1 are the same"; "-log(1 - D) is near 0 when D is
    near 1"; a readout of the JSD that never reaches 0. (value-function, sec-saturation; global-optimum, sec-jsd-metric)

    The gradients differ, the loss is large there, and the JSD of equal distributions is 0.
    """
    logit = torch.tensor([-4.0, 0.0, 4.0], dtype=torch.float64)
    gradients = []
    for loss in (losses.minimax, lambda t: binary_cross_entropy_with_logits(t, torch.ones_like(t))):
        t = logit.clone().requires_grad_()
        loss(t).backward()
        gradients.append(3 * t.grad)  # undo the mean
    torch.testing.assert_close(gradients[0], -torch.sigmoid(logit))
    torch.testing.assert_close(gradients[1], torch.sigmoid(logit) - 1)
    assert (gradients[0] - gradients[1]).abs()[[0, 2]].min() > 0.9  # equal at D = 1/2 only

    def loss_on_fake(d: float) -> float:
        return -losses.minimax(torch.logit(torch.tensor([d], dtype=torch.float64))).item()

    assert loss_on_fake(0.999) == pytest.approx(-math.log(0.001))  # D is wrong about a fake: a large loss
    assert loss_on_fake(0.001) == pytest.approx(-math.log(0.999))  # D is right: a loss near 0

    x = np.linspace(-6, 6, 1201)
    p = theory.normalise(np.exp(-(x**2) / 2), 0.01)
    assert theory.jsd(p, p, 0.01) == 0.0
    rng = np.random.default_rng(0)
    counts = [np.histogram(rng.standard_normal(500), 40, (-5, 5))[0] for _ in range(2)]
    assert theory.jsd(*map(theory.normalise, counts)) > 0.001  # what a readout of two finite sets of samples shows


def table_rows() -> dict[str, str]:
    """Each line of the book's list of misreadings, by the test that it names."""
    page = (BOOK / "misreadings.md").read_text(encoding="utf-8")
    table = page.split("(sec-misreadings)=\n")[1].split("\n## ")[0]
    rows = re.split(r"(?m)^(?=\d+\. )", table)[1:]
    return {re.search(r"`(test_\w+)`", row)[1]: row for row in rows}


def places(test: str) -> list[tuple[str, list[str]]]:
    """Chapters, and labels in them, that a test's docstring names: "(chapter, sec-a and sec-b; chapter, sec-c)"."""
    named = re.search(r"\(([a-z0-9-]+, sec-[^()]*)\)\n", globals()[test].__doc__)[1]
    return [(part.split(",")[0].strip(), re.findall(r"sec-[a-z0-9-]+", part)) for part in named.split(";")]


@pytest.mark.parametrize("test", table_rows())
def test_misreading_and_chapter_name_each_other(test: str) -> None:
    """The test names chapters and labels; the table links those labels; each has them; the map names the test."""
    linked = re.findall(r"\{ref\}`[^`]*?<?(sec-[a-z0-9-]+)>?`", table_rows()[test])
    assert linked == [label for _, labels in places(test) for label in labels]
    guards = (BOOK / "map.md").read_text(encoding="utf-8")
    for chapter, labels in places(test):
        page = (BOOK / f"{chapter}.md").read_text(encoding="utf-8")
        assert labels
        for label in labels:
            assert f"\n({label})=\n#" in page, f"{chapter} has no section {label}"
        assert (
            f"\n- `tests/test_misreadings.py::{test}`" in guards.split(f"(tests-{chapter})=")[1].split("\n(tests-")[0]
        )


def test_the_table_names_every_test_once() -> None:
    """The table of misreadings in the book and the tests above are the same fifteen, each named once."""
    page = (BOOK / "misreadings.md").read_text(encoding="utf-8")
    table = page.split("(sec-misreadings)=\n")[1].split("\n## ")[0]
    named = Counter(re.findall(r"`(test_\w+)`", table))
    here = {name for name, thing in globals().items() if name.startswith("test_") and callable(thing)}
    assert named == Counter(
        here - {"test_the_table_names_every_test_once", "test_misreading_and_chapter_name_each_other"}
    )
    assert len(named) == 15
