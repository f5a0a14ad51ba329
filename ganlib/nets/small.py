"""The small fully connected pair of the widespread teaching code, for comparison with the paper's."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from ganlib import limits, tensors


class BatchNormGenerator(nn.Module):
    """G of the teaching pair: z -> width -> 2 width -> 4 width -> 8 width -> Tanh outputs, LeakyReLU(.2) in between.

    Batch normalisation after every hidden layer but the first, with torch's eps 1e-5 and momentum .1. (Much of that
    code passes .8 for what it takes to be the momentum; the second argument is eps.) Its discriminator is
    ``MLP((outputs, 4 * width, 2 * width, 1), "leaky_relu")``.

    Parameters
    ----------
    latent_dim : length of z.
    outputs : pixels of an image.
    width : of the first hidden layer; 128 in that code.

    Raises
    ------
    ValueError
        If a size is not positive.

    Examples
    --------
    >>> import torch
    >>> BatchNormGenerator(width=8)(torch.zeros(2, 100)).shape
    torch.Size([2, 784])
    """

    def __init__(self, latent_dim: int = 100, outputs: int = 784, width: int = 128) -> None:
        super().__init__()
        for name, size in {"latent_dim": latent_dim, "outputs": outputs, "width": width}.items():
            limits.check(name, size)
        self.latent_dim = latent_dim
        widths = [width * 2**i for i in range(4)]
        layers: list[nn.Module] = [nn.Linear(latent_dim, width), nn.LeakyReLU(0.2)]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], outputs), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        """Map z (m, latent_dim), m >= 2 in training mode, to images (m, outputs) in (-1, 1)."""
        tensors.fits("z", z, self.layers[0].weight, self.latent_dim)
        if self.training and len(z) < 2:
            raise ValueError("z is one latent, and batch normalisation would make 0 of it: give two, or call .eval()")
        x: Tensor = self.layers(z)
        return x
