"""The bound against exact log-likelihoods, by quadrature over z; training, its determinism, and the decoder's file."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from ganlib import data
from ganlib.data.images import Images
from ganlib.errors import CheckpointError, Diverged
from ganlib.lab import checkpoint
from ganlib.lab.models import vae
from ganlib.nets import PaperGenerator

# Gauss-Hermite nodes for the standard normal: sums over them are expectations over z.
NODES, WEIGHTS = (torch.from_numpy(each) for each in np.polynomial.hermite_e.hermegauss(80))
WEIGHTS = WEIGHTS / WEIGHTS.sum()


@pytest.fixture(scope="module")
def digits():
    return {split: data.load("digits", split).flattened() for split in data.SPLITS}


def small(seed=0, **sizes):
    """One latent coordinate and four pixels, with weights large enough to matter, in float64."""
    net = vae.VAE(**({"latent_dim": 1, "hidden": 6, "outputs": 4} | sizes), seed=seed).double()
    for parameter in net.parameters():
        parameter.data.mul_(20)
    return net


def exact(net, x):
    """log p(x) and its integrand at the nodes, for rows of binary pixels."""
    log_p = torch.distributions.Bernoulli(logits=net.logits(NODES[:, None])).log_prob(x[:, None]).sum(-1)
    return torch.logsumexp(log_p + WEIGHTS.log(), dim=1)


def expected_bound(net, x):
    """The bound averaged over its noise by quadrature."""
    rows = [net.elbo(x, noise.expand(len(x), 1)) for noise in NODES]
    return (torch.stack(rows) * WEIGHTS[:, None]).sum(0)


def test_the_decoder_is_the_papers_generator():
    net = vae.VAE()
    assert isinstance(net.decoder, PaperGenerator)
    assert sum(weight.numel() for weight in net.decoder.parameters()) == 2_503_984
    shapes = {name: weight.shape for name, weight in PaperGenerator().state_dict().items()}
    assert {name: weight.shape for name, weight in net.decoder.state_dict().items()} == shapes
    assert [layer.weight.shape for layer in net.encoder[::2]] == [(1200, 784), (1200, 1200), (200, 1200)]


def test_logits_are_those_of_the_decoder():
    net, z = small(), torch.linspace(-3, 3, 9, dtype=torch.float64)[:, None]
    torch.testing.assert_close(torch.sigmoid(net.logits(z)), net.decoder(z))


def test_kl_is_torchs():
    rng = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(2, 7, 5, generator=rng, dtype=torch.float64)
    q, prior = Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros(5).double(), torch.ones(5).double())
    torch.testing.assert_close(vae.kl_to_prior(mean, log_variance), kl_divergence(q, prior).sum(1))


def test_bound_plus_gap_is_the_exact_log_likelihood():
    # log p(x) - ELBO = KL(q(z|x) || p(z|x)), for every one of the 16 binary images.
    net, x = small(), torch.tensor(list(product((0.0, 1.0), repeat=4)), dtype=torch.float64)
    with torch.no_grad():
        log_p, bound = exact(net, x), expected_bound(net, x)
        assert log_p.logsumexp(0).item() == pytest.approx(0, abs=1e-6)  # the 16 probabilities add up to one
        mean, log_variance = net.encode(x)
        std = (log_variance / 2).exp()
        z = mean + std * NODES  # (16, nodes), where q's expectation is taken
        pixels = net.logits(z.reshape(-1, 1)).reshape(16, len(NODES), 4)
        joint = torch.distributions.Bernoulli(logits=pixels).log_prob(x[:, None]).sum(-1) + Normal(0, 1).log_prob(z)
        gap = (WEIGHTS * (Normal(mean, std).log_prob(z) - (joint - log_p[:, None]))).sum(1)
    assert (gap > 1e-3).all()
    torch.testing.assert_close(bound + gap, log_p)


@pytest.mark.parametrize(("shift", "widen"), [(0.0, 1.0), (0.7, 1.0), (0.0, 3.0)])
def test_bound_of_a_linear_gaussian_model_is_tight_at_the_posterior_only(shift, widen):
    # z ~ N(0, 1), x | z ~ N(2 z, .25): x ~ N(0, 4.25), and the posterior is N(8 x / 17, 1 / 17).
    x = torch.tensor([-1.0, 0.3, 2.5], dtype=torch.float64)
    mean, variance = 8 * x / 17 + shift, torch.full_like(x, widen / 17)

    def bound(noise):
        args = mean[:, None], variance.log()[:, None], noise.expand(3, 1)
        return vae.elbo(*args, lambda z: Normal(2 * z[:, 0], 0.5).log_prob(x))

    found = (torch.stack([bound(noise) for noise in NODES]) * WEIGHTS[:, None]).sum(0)
    gap = kl_divergence(Normal(mean, variance.sqrt()), Normal(8 * x / 17, math.sqrt(1 / 17)))
    torch.testing.assert_close(found + gap, Normal(0, math.sqrt(4.25)).log_prob(x))
    assert (gap.max() < 1e-12) == (shift == 0 and widen == 1)


def test_gradient_goes_through_the_reparametrisation():
    # log p(x|z) = -z^2 / 2 and q = N(a, s^2): the bound is 1/2 + log s - a^2 - s^2.
    mean = torch.tensor([[0.8]], dtype=torch.float64, requires_grad=True)
    log_variance = torch.tensor([[-0.6]], dtype=torch.float64, requires_grad=True)
    bounds = [vae.elbo(mean, log_variance, noise.expand(1, 1), lambda z: -z.square().sum(1) / 2) for noise in NODES]
    found = (torch.cat(bounds) * WEIGHTS).sum()
    variance = math.exp(-0.6)
    assert found.item() == pytest.approx(-(0.64 + variance) + -0.3 + 0.5)
    by_mean, by_log_variance = torch.autograd.grad(found, (mean, log_variance))
    assert by_mean.item() == pytest.approx(-1.6)
    assert by_log_variance.item() == pytest.approx(0.5 - variance)


def test_grey_pixels_are_measured_by_cross_entropy():
    net = small()
    for parameter in net.parameters():
        parameter.data.zero_()  # q is the prior, and every pixel of the decoder 1/2
    x = torch.tensor([[0.0, 0.2, 0.5, 1.0]], dtype=torch.float64)
    assert net.elbo(x, torch.randn(1, 1).double()).item() == pytest.approx(-4 * math.log(2))


def test_training_raises_the_bound_on_held_out_digits(digits):
    net = vae.VAE(pixel_means=digits["train"].mean())
    before = vae.bounds(net, digits["valid"]).mean()
    reached = list(vae.train(net, digits["train"], iterations=61, every=30))
    assert len(reached) == 3  # the last one short
    assert reached[0] + 5 < reached[1]
    assert vae.bounds(net, digits["valid"]).mean() > before + 10


def trained(digits, seed):
    net = vae.VAE(5, 16, seed=seed)
    torch.rand(seed + 1)  # the global generator's state has no say
    reached = list(vae.train(net, digits["train"], iterations=6, every=3, m=20, seed=seed))
    return reached, net.state_dict()


def test_training_is_deterministic_and_leaves_the_global_generator_alone(digits):
    (once, first), (again, second) = trained(digits, 3), trained(digits, 3)
    assert once == again
    assert all(torch.equal(weight, second[name]) for name, weight in first.items())
    other = trained(digits, 4)
    assert other[0] != once
    state = torch.get_rng_state()
    list(vae.train(vae.VAE(5, 16), digits["train"], iterations=1, every=1))
    vae.bounds(vae.VAE(5, 16), digits["valid"])
    assert torch.equal(torch.get_rng_state(), state)


def test_bounds_are_one_a_image_under_the_same_noise(digits):
    net = vae.VAE(5, 16)
    found = vae.bounds(net, digits["valid"])
    assert found.shape == (500,)
    assert torch.equal(found, vae.bounds(net, digits["valid"]))
    torch.testing.assert_close(found, vae.bounds(net, digits["valid"], batch=70), rtol=1e-5, atol=0)
    assert not torch.equal(found, vae.bounds(net, digits["valid"], seed=1))


def test_decoder_survives_its_file_in_half_precision(tmp_path):
    net = vae.VAE(5, 16, outputs=9)
    path = tmp_path / "vae.safetensors"
    path.write_bytes(vae.decoder_file(net, 7))
    state = torch.get_rng_state()
    decoder = vae.load_decoder(path)
    assert torch.equal(torch.get_rng_state(), state)
    assert not decoder.training
    for name, weight in net.decoder.state_dict().items():
        assert torch.equal(decoder.state_dict()[name], weight.half().float())
    drawn = vae.samples(decoder, 50, seed=2)
    torch.testing.assert_close(drawn, vae.samples(net.decoder, 50, seed=2), atol=1e-3, rtol=0)
    z = torch.randn(50, 5, generator=torch.Generator().manual_seed(2))  # the prior is N(0, I)
    torch.testing.assert_close(drawn, decoder(z).detach())


def test_full_decoder_file_is_small_enough_to_commit():
    assert len(vae.decoder_file(vae.VAE(), 0)) < 8e6


def test_files_that_are_no_decoder_are_refused(tmp_path):
    path = tmp_path / "vae.safetensors"
    with pytest.raises(CheckpointError, match=r"vae\.safetensors"):
        vae.load_decoder(path)
    content = vae.decoder_file(vae.VAE(5, 16, outputs=9), 7)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="does not match its SHA-256"):
        vae.load_decoder(path)
    tensors = {name: weight.half() for name, weight in PaperGenerator(5, 16, outputs=9).state_dict().items()}
    other = checkpoint.save(tmp_path / "a", 0, tensors, {"kind": "another"}, {})
    with pytest.raises(CheckpointError, match="holds no decoder of a VAE"):
        vae.load_decoder(other)
    sizes = {"kind": "vae decoder", "latent_dim": 5, "hidden": 17, "outputs": 9}
    with pytest.raises(CheckpointError, match=r"sizes \[5, 17, 9\]"):
        vae.load_decoder(checkpoint.save(tmp_path / "b", 0, tensors, sizes, {}))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"iterations": 0}, "iterations is 0"),
        ({"every": 0}, "every is 0"),
        ({"m": -1}, "m is -1"),
        ({"lr": 0.0}, r"lr is 0.0"),
        ({"lr": math.inf}, r"lr is inf"),
    ],
)
def test_impossible_settings_are_refused_at_the_call(digits, changed, says):
    with pytest.raises(ValueError, match=says):
        vae.train(vae.VAE(5, 16), digits["train"], **({"iterations": 1, "every": 1} | changed))


@pytest.mark.parametrize(
    "change",
    [lambda images: images.scaled(-1, 1), lambda images: images.resized(14), lambda images: images.normalised()],
)
def test_other_images_are_refused(digits, change):
    with pytest.raises(ValueError, match=r"give flat images of 784 pixels in \[0, 1\]"):
        vae.bounds(vae.VAE(5, 16), change(digits["valid"]))
    with pytest.raises(ValueError, match="give flat images"):
        vae.train(vae.VAE(5, 16), data.load("digits"), iterations=1, every=1)


def test_divergence_is_reported(digits):
    net = vae.VAE(5, 16)
    net.encoder[0].weight.data.fill_(math.nan)
    with pytest.raises(Diverged, match="by iteration 2"):
        list(vae.train(net, digits["train"], iterations=2, every=2))


def test_weights_beyond_half_precision_keep_their_own(tmp_path):
    net = vae.VAE(5, 16)
    net.decoder.output.weight.data.fill_(1e5)
    (tmp_path / "vae").write_bytes(vae.decoder_file(net, 0))
    assert torch.equal(vae.load_decoder(tmp_path / "vae").output.weight, net.decoder.output.weight)


def test_resized_images_fit_a_smaller_vae(digits):
    images: Images = digits["valid"].resized(14)
    assert vae.bounds(vae.VAE(5, 16, outputs=196), images).shape == (500,)
