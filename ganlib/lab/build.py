"""What a run is made of: its data, its noise prior and its two networks. Import them from `ganlib.lab.runs`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ganlib import nets
from ganlib.data import Images, load
from ganlib.lab.settings import TOYS, Run
from ganlib.nets import weights
from ganlib.sampling import Latent
from ganlib.toys import Mixture


def load_data(
    run: Run,
    device: torch.device | str = "cpu",
    *,
    split: str = "train",
    root: str | Path | None = None,
    download: bool = False,
) -> Images | Mixture:
    """The run's data on a device, handed out as its networks take them.

    ``root`` and ``download`` are those of `ganlib.data.load`, and so are the errors. ``examples`` shortens the training
    split only. Toy data have no splits: they are sampled afresh.
    """
    if run.data in TOYS:
        return TOYS[run.data]().to(device)
    images = load(run.data, split, root, download=download)
    if run.examples and split == "train":
        images = images.first(run.examples)
    images = images.to(device)
    if run.image_size != images.pixels.shape[-1]:
        images = images.resized(run.image_size)
    if run.preprocessing == "gcn":
        images = images.normalised(55.0)
    elif run.preprocessing == "tanh":
        images = images.scaled(-1, 1)
    return images.flattened() if run.flat else images


def latent(run: Run) -> Latent:
    """The run's noise prior p_z."""
    if run.latent_law == "normal":
        return Latent(run.latent_dim, "normal")
    return Latent(run.latent_dim, "uniform", run.latent_low, run.latent_high)


def networks(run: Run, seed: int, data: Images | Mixture | None) -> tuple[nn.Module, nn.Module]:
    """The run's generator and discriminator on the CPU, initialised from ``seed``.

    torch's global random state is left as it was. ``data`` is what `load_data` returned: the paper's MNIST and TFD
    generators start at its mean image. None leaves out what is taken from data and from other files, for networks whose
    every weight is about to be replaced by a checkpoint's.

    Raises
    ------
    ValueError
        If TFD's stage 2 has no ``pretrained`` checkpoint.
    CheckpointError
        A ValueError, if that is missing or damaged, or holds another generator than stage 1's.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed the GPUs as well
        return _networks(run, data)


def _networks(run: Run, data: Images | Mixture | None) -> tuple[nn.Module, nn.Module]:
    z, width, pixels = run.latent_dim, run.width, run.dim
    if run.nets == "mlp":
        hidden = [width] * run.depth
        generator = nets.MLP((z, *hidden, pixels), run.activation, squeeze=False)
        return generator, nets.MLP((pixels, *hidden, 1), run.activation)
    if run.nets == "small-mlp":
        return nets.BatchNormGenerator(z, pixels, width), nets.MLP((pixels, 4 * width, 2 * width, 1), "leaky_relu")
    if run.nets == "dcgan":
        size, channels = run.image_size, run.channels
        return nets.DCGANGenerator(size, channels, width, z), nets.DCGANDiscriminator(size, channels, width)
    if run.nets == "cifar-conv":
        d = nets.MaxoutConvDiscriminator(run.units, run.pieces, run.channels)
        return nets.DeconvGenerator(z, width, run.channels), d
    discriminator = nets.MaxoutDiscriminator(pixels, run.units, run.pieces)
    if run.nets == "cifar-fc":
        linear = nets.PaperGenerator(z, width, outputs=pixels, second="sigmoid", output="linear", output_range=0.5)
        return linear, discriminator
    means = data.mean().cpu() if isinstance(data, Images) else None
    if run.nets == "paper":
        return nets.PaperGenerator(z, width, means, outputs=pixels), discriminator
    if run.stage == 1:
        return _face_generator(run, means), discriminator
    if data is not None and not run.pretrained:
        raise ValueError(
            "stage 2 trains on top of stage 1's generator: set pretrained to a checkpoint of the run 'tfd'"
        )
    back = _face_generator(replace(run, latent_dim=100), None)
    if data is not None:
        _fill(back, Path(run.pretrained))
    return nets.StackedGenerator(back, z, width), discriminator


def _face_generator(run: Run, pixel_means: Tensor | None) -> nets.PaperGenerator:
    return nets.PaperGenerator(
        run.latent_dim,
        run.width,
        pixel_means,
        outputs=run.dim,
        second="sigmoid",
        second_bias=-2.0,
        nonzero=min(100, run.width),
    )


def _fill(generator: nn.Module, path: Path) -> None:
    """Give a generator the weights that a checkpoint holds for one."""
    saved = {
        name.removeprefix("generator."): tensor
        for name, tensor in weights.load(path).tensors.items()
        if name.startswith("generator.")
    }
    weights.check(generator, saved, path, "stage 1's generator")
    generator.load_state_dict(saved)
