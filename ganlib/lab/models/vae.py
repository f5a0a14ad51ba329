"""A variational autoencoder (Kingma & Welling, 2014) whose decoder is the paper's MNIST generator, to compare with it.

It maximises a lower bound of log p(x), the evidence lower bound (ELBO): E_q(z|x) log p(x|z) - KL(q(z|x) || p(z)), with
prior p(z) = N(0, I) and q(z|x) a Gaussian with independent coordinates. The reconstruction term is the usual one, the
cross-entropy of pixels in [0, 1] with the decoder's sigmoid outputs. Read as a Bernoulli log-likelihood that is a model
of binary pixels. For grey pixels it is no density: the bound's nats compare neither with a Parzen score nor with those
of binarised digits. What is shown as samples, here as commonly, are the decoder's outputs: means of the pixels, without
the noise that p(x|z) would add.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganlib import limits, tensors
from ganlib.data.images import Images
from ganlib.device import double
from ganlib.errors import CheckpointError, Diverged
from ganlib.lab import history
from ganlib.nets import weights
from ganlib.nets.paper import PIXELS, PaperGenerator, start
from ganlib.sampling import Latent, sample


class VAE(nn.Module):
    """Encoder pixels-hidden-hidden-(mean, log variance), decoder `ganlib.nets.PaperGenerator`.

    The defaults are 784-1200-1200-100 and the paper's 100-1200-1200-784. ReLU between layers.

    Parameters
    ----------
    latent_dim, hidden : length of z and width of the hidden layers of both networks, >= 1.
    pixel_means : (outputs,) in [0, 1], where the decoder starts, see `ganlib.nets.PaperGenerator`.
    outputs : pixels of an image, >= 1.
    seed : of the initial weights; torch's global random state is left as it was.

    Raises
    ------
    TypeError, ValueError
        As `ganlib.nets.PaperGenerator`, or if the seed is none of torch's.

    Examples
    --------
    >>> vae = VAE(2, 16, outputs=9)
    >>> vae.elbo(torch.rand(5, 9), torch.randn(5, 2)).shape
    torch.Size([5])
    """

    def __init__(
        self,
        latent_dim: int = 100,
        hidden: int = 1200,
        pixel_means: Tensor | None = None,
        *,
        outputs: int = PIXELS,
        seed: int = 0,
    ) -> None:
        super().__init__()
        seed = limits.check("seed", seed, *limits.TORCH_SEEDS)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.decoder = PaperGenerator(latent_dim, hidden, pixel_means, outputs=outputs)
            layers = nn.Linear(outputs, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 2 * latent_dim)
            for layer in layers:
                start(layer, 0.05)  # as the decoder's
        self.encoder = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each (m, latent_dim), for images x (m, outputs) in [0, 1]."""
        first = self.encoder[0]
        tensors.fits("x", x, first.weight, first.in_features)
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, log_variance

    def logits(self, z: Tensor) -> Tensor:
        """What the decoder's sigmoid is applied to, (m, outputs): the cross-entropy is exact only from here."""
        net = self.decoder
        tensors.fits("z", z, net.hidden1.weight, net.latent_dim)
        pixels: Tensor = net.output(net.second(net.hidden2(functional.relu(net.hidden1(z)))))
        return pixels

    def elbo(self, x: Tensor, noise: Tensor) -> Tensor:
        """`elbo` of images x (m, outputs) in [0, 1], one value each, with noise (m, latent_dim) from N(0, I)."""

        tensors.fits("x", x, self.decoder.output.weight, self.decoder.output.out_features)
        tensors.fits("noise", noise, self.decoder.output.weight, self.decoder.latent_dim)
        if len(x) != len(noise):
            raise ValueError(f"x is {tuple(x.shape)}, noise {tuple(noise.shape)}; give one noise an image")

        def log_likelihood(z: Tensor) -> Tensor:
            return -functional.binary_cross_entropy_with_logits(self.logits(z), x, reduction="none").sum(1)

        return elbo(*self.encode(x), noise, log_likelihood)


def elbo(mean: Tensor, log_variance: Tensor, noise: Tensor, log_likelihood: Callable[[Tensor], Tensor]) -> Tensor:
    """One-sample estimate of the evidence lower bound, differentiable through z = mean + exp(log_variance / 2) noise.

    Parameters
    ----------
    mean, log_variance : (m, d), of q(z|x).
    noise : (m, d), drawn from N(0, I).
    log_likelihood : gives log p(x|z), (m,), for z (m, d).

    Returns
    -------
    Tensor
        (m,), nats; its mean over the noise is the bound. Kingma & Welling (2014), equation 10.

    Raises
    ------
    TypeError, ValueError
        If the three are no float tensors of one shape (m, d), or ``log_likelihood`` no function.

    Examples
    --------
    >>> zero = torch.zeros(1, 2)
    >>> elbo(zero, zero, zero, lambda z: z.sum(1) - 3.0)  # q is the prior: what is left is log p(x|z)
    tensor([-3.])
    """
    _alike(mean=mean, log_variance=log_variance, noise=noise)
    if not callable(log_likelihood):
        raise TypeError(f"log_likelihood is {limits.shown(log_likelihood)}; give a function of z (m, d)")
    z = mean + (log_variance / 2).exp() * noise
    found = log_likelihood(z)
    if not isinstance(found, Tensor) or found.shape != z.shape[:1]:
        raise ValueError(f"log_likelihood gave {limits.shown(found)} for {len(z)} z; it must give a tensor ({len(z)},)")
    return found - kl_to_prior(mean, log_variance)


def kl_to_prior(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, I)) in nats, (m,), in closed form; arguments (m, d)."""
    _alike(mean=mean, log_variance=log_variance)
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2


def train(
    vae: VAE, data: Images, *, iterations: int, every: int, m: int = 100, lr: float = 1e-3, seed: int = 0
) -> Iterator[float]:
    """Climb the bound with Adam; every ``every`` iterations yields its mean over the minibatches since the last yield.

    Minibatches are drawn with replacement, as in `ganlib.algorithm1`. They and the noise come from a generator of their
    own: the same arguments give the same weights.

    Parameters
    ----------
    vae : trained in place, on the data's device.
    data : images in [0, 1], flat.
    iterations, every, m : of Adam, between yields, and images a minibatch, >= 1.
    lr : learning rate, > 0.
    seed : of minibatches and noise.

    Raises
    ------
    ValueError
        If a setting is impossible or the images do not fit; before any work, at the call.
    Diverged
        At the yield after the bound or a weight stopped being finite.
    """
    for name, number in (("iterations", iterations), ("every", every), ("m", m)):
        limits.check(name, number)
    seed = limits.check("seed", seed, *limits.TORCH_SEEDS)
    lr = limits.real("lr", lr, "(0, 1e30]")
    _check_images(vae, data)
    return _iterate(vae, data, iterations, every, m, lr, seed)


def _iterate(vae: VAE, data: Images, iterations: int, every: int, m: int, lr: float, seed: int) -> Iterator[float]:
    device = data.pixels.device
    rng, prior = torch.Generator(device).manual_seed(seed), latent(vae.decoder)
    optimiser = torch.optim.Adam(vae.parameters(), lr=lr, fused=device.type in ("cpu", "cuda"))
    total, since = torch.zeros((), device=device), 0
    for done in range(1, iterations + 1):
        bound = vae.elbo(data.minibatch(m, rng), prior.minibatch(m, rng)).mean()
        optimiser.zero_grad()
        (-bound).backward()
        optimiser.step()
        total, since = total + bound.detach(), since + 1
        if done % every == 0 or done == iterations:
            if not (total.isfinite() and all(weight.isfinite().all() for weight in vae.parameters())):
                raise Diverged(
                    f"the VAE's bound or weights stopped being finite by iteration {done}: lower the learning rate"
                )
            yield total.item() / since
            total, since = torch.zeros_like(total), 0


def bounds(vae: VAE, data: Images, *, seed: int = 0, batch: int = 1000) -> Tensor:
    """One-sample estimates of every image's evidence lower bound, (N,) float64 nats; their mean estimates the data's.

    Errors as `train`. ``seed`` is that of the noise, so that two trainings are compared under the same.
    """
    _check_images(vae, data)
    seed = limits.check("seed", seed, *limits.TORCH_SEEDS)
    batch = limits.check("batch", batch)
    noise = latent(vae.decoder).minibatch(len(data), torch.Generator(data.pixels.device).manual_seed(seed))
    with torch.no_grad():
        parts = enumerate(noise.split(batch))
        return torch.cat([double(vae.elbo(data.floats(slice(i * batch, (i + 1) * batch)), z)) for i, z in parts])


def latent(decoder: PaperGenerator) -> Latent:
    """The prior N(0, I) of a decoder's z."""
    limits.kind("decoder", decoder, PaperGenerator)
    return Latent(decoder.latent_dim, "normal")


def samples(decoder: PaperGenerator, n: int, *, seed: int = 0) -> Tensor:
    """The decoder's means for n draws of z from the prior, (n, outputs) in (0, 1); errors as `sampling.sample`."""
    return sample(decoder, latent(decoder), n, seed=seed)


def decoder_file(vae: VAE, iteration: int, data_sha256: str | None = None) -> bytes:
    """The decoder in half precision (`ganlib.nets.weights.half`) as the bytes of a file that `load_decoder` reads.

    The encoder is left out: samples do not need it. ``iteration`` says how far the training was, ``data_sha256`` on
    which images, see `ganlib.data.images.Images.sha256`.
    """
    limits.kind("vae", vae, VAE)
    iteration = limits.check("iteration", iteration, 0, limits.STEPS)
    if data_sha256 is not None:
        limits.kind("data_sha256", data_sha256, str)
    net = vae.decoder
    sizes = {"latent_dim": net.latent_dim, "hidden": net.hidden1.out_features, "outputs": net.output.out_features}
    record = {} if data_sha256 is None else {"data_sha256": data_sha256}
    return b"".join(
        weights.serialised(iteration, weights.half(net.state_dict()), {"kind": "vae decoder"} | sizes, record)
    )


def load_decoder(path: str | Path, data_sha256: str | None = None) -> PaperGenerator:
    """The decoder that `decoder_file` gave, on the CPU in float32 and evaluation mode.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or no VAE's decoder, or says that it was trained on other images than those of
        ``data_sha256``, if that is given.
    """
    found = weights.load(path)
    if data_sha256 is not None:
        history.check_input(found, "data_sha256", data_sha256)
    sizes: list[Any] = [found.settings.get(name) for name in ("latent_dim", "hidden", "outputs")]
    if found.settings.get("kind") != "vae decoder" or not all(type(size) is int and size > 0 for size in sizes):
        raise CheckpointError(
            f"{path}: holds no decoder of a VAE; give a file that ganlib.lab.models.vae.decoder_file made"
        )
    net = weights.filled(
        lambda: PaperGenerator(sizes[0], sizes[1], outputs=sizes[2]),
        found.tensors,
        found.path,
        f"a decoder of sizes {sizes}",
    )
    assert isinstance(net, PaperGenerator)
    return net.eval()


def _alike(**given: Tensor) -> None:
    for name, x in given.items():
        first = next(iter(given.values()))
        if not isinstance(x, Tensor) or not x.is_floating_point() or x.layout != torch.strided:
            raise TypeError(f"{name} is {limits.shown(x)}; give a dense torch tensor of floats (m, d)")
        if x.ndim != 2 or (x.shape, x.device, x.dtype) != (first.shape, first.device, first.dtype):
            has = ", ".join(f"{each} {tuple(one.shape)} {one.dtype} on {one.device}" for each, one in given.items())
            raise ValueError(f"{name} does not fit: {has}; give one shape (m, d) and type, on one device")


def _check_images(vae: VAE, data: Images) -> None:
    limits.kind("vae", vae, VAE)
    limits.kind("data", data, Images)
    pixels = data.pixels[0].numel() if data.size is None else len(data.pixels[0]) * data.size**2
    wanted = vae.decoder.output.out_features
    if not data.flat or pixels != wanted or data.norm is not None or (data.low, data.high) != (0, 1):
        raise ValueError(f"{data!r} does not fit the VAE; give flat images of {wanted} pixels in [0, 1]")
