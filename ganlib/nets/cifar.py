"""The paper's convolutional CIFAR-10 pair: a "deconvolutional" generator and a convolutional maxout discriminator.

Geometry, initialisation and dropout are those of the configuration file published with the paper. The fully connected
CIFAR-10 pair is `ganlib.nets.paper`'s classes at other sizes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganlib import limits, tensors
from ganlib.nets.layers import Dropout, Maxout
from ganlib.nets.paper import start


class DeconvGenerator(nn.Module):
    """G of the paper's convolutional CIFAR-10 experiment: z -> 8000 ReLU -> 8000 sigmoid = 80x10x10 -> 3x32x32.

    The last step is one transposed convolution, kernel 5, stride 3, linear, with a bias of its own for every output
    pixel. Weights start at U(-.05, .05), biases at 0.

    Parameters
    ----------
    latent_dim : length of z, 100 in the paper.
    hidden : width of the hidden layers, a multiple of 100: hidden / 100 feature maps of 10 x 10. 8000 in the paper.
    channels : image channels.

    Raises
    ------
    ValueError
        If a size is not positive or ``hidden`` is not a multiple of 100.

    Examples
    --------
    >>> DeconvGenerator(hidden=100)(torch.zeros(2, 100)).shape
    torch.Size([2, 3, 32, 32])
    """

    def __init__(self, latent_dim: int = 100, hidden: int = 8000, channels: int = 3) -> None:
        super().__init__()
        for name, size in {"latent_dim": latent_dim, "hidden": hidden, "channels": channels}.items():
            limits.check(name, size)
        if hidden % 100:
            raise ValueError(f"hidden is {hidden}; it becomes maps of 10 x 10: give a multiple of 100")
        self.latent_dim = latent_dim
        self.hidden1 = nn.Linear(latent_dim, hidden)
        self.hidden2 = nn.Linear(hidden, hidden)
        self.output = nn.ConvTranspose2d(hidden // 100, channels, 5, 3, bias=False)
        self.bias = nn.Parameter(torch.zeros(channels, 32, 32))
        for layer in (self.hidden1, self.hidden2, self.output):
            start(layer, 0.05)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (m, latent_dim) to images (m, channels, 32, 32), unbounded."""
        tensors.fits("z", z, self.bias, self.latent_dim)
        h = torch.sigmoid(self.hidden2(functional.relu(self.hidden1(z))))
        x: Tensor = self.output(h.unflatten(1, (-1, 10, 10))) + self.bias
        return x


class MaxoutConv(nn.Module):
    """Convolution, maxout over ``pieces`` feature maps, then max pooling (Goodfellow et al., 2013).

    Maps (m, inputs, H, W) to (m, channels, H', W'). The first ``channels`` maps of ``convolution`` are every channel's
    first piece, and so on. Pooling windows may overhang the border (sizes round up), as they did in cuda-convnet.

    Raises
    ------
    ValueError
        If a size is not positive.
    """

    def __init__(
        self, inputs: int, channels: int, pieces: int, kernel: int, padding: int, pool: int, stride: int
    ) -> None:
        super().__init__()
        sizes = {"inputs": inputs, "channels": channels, "pieces": pieces, "kernel": kernel, "stride": stride}
        for name, size in sizes.items():
            limits.check(name, size, most=limits.SIDE)
        limits.check("padding", padding, 0, limits.SIDE)
        limits.check("pool", pool, most=kernel)
        self.pieces = pieces
        self.convolution = nn.Conv2d(inputs, channels * pieces, kernel, padding=padding)
        self.pool = nn.MaxPool2d(pool, stride, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        weight, padding = self.convolution.weight, int(self.convolution.padding[0])
        tensors.fits("x", x, weight)
        if x.ndim != 4 or x.shape[1] != weight.shape[1] or min(x.shape[2:]) + 2 * padding < weight.shape[2]:
            says = f"(m, {weight.shape[1]}, H, W), sides of {weight.shape[2] - 2 * padding} or more"
            raise ValueError(f"x is {tuple(x.shape)}; the layer takes {says}")
        maps: Tensor = self.convolution(x).unflatten(1, (self.pieces, -1)).amax(1)
        pooled: Tensor = self.pool(maps)
        return pooled


class MaxoutConvDiscriminator(nn.Module):
    """D of the paper's convolutional CIFAR-10 experiment: three maxout convolutions, a maxout layer, one logit.

    3x32x32 -> 32x16x16 -> 32x7x7 -> 192x5x5 -> maxout ``units`` x ``pieces`` -> logit. Dropout keeps .8 of the pixels
    and .5 of the inputs of every later layer, the output unit's included. Weights start at U(-.005, .005), biases at 0.

    Parameters
    ----------
    units, pieces : of the fully connected maxout layer, 500 and 5 in the paper.
    channels : image channels.

    Raises
    ------
    ValueError
        If a size is not positive.
    """

    def __init__(self, units: int = 500, pieces: int = 5, channels: int = 3) -> None:
        super().__init__()
        limits.check("units", units)
        limits.check("pieces", pieces)
        self.channels = channels
        convolutions = (
            MaxoutConv(channels, 32, 2, kernel=8, padding=4, pool=4, stride=2),
            MaxoutConv(32, 32, 2, kernel=8, padding=3, pool=4, stride=2),
            MaxoutConv(32, 192, 2, kernel=5, padding=3, pool=2, stride=2),
        )
        dense, output = Maxout(192 * 5 * 5, units, pieces), nn.Linear(units, 1)
        first, second, third = convolutions
        self.layers = nn.Sequential(
            *(Dropout(0.8), first, Dropout(0.5), second, Dropout(0.5), third),
            *(Dropout(0.5), nn.Flatten(), dense, Dropout(0.5), output),
        )
        for convolution in convolutions:
            start(convolution.convolution, 0.005)
        start(dense.affine, 0.005)
        start(output, 0.005)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (m, channels, 32, 32) to logits (m,)."""
        tensors.fits("x", x, self.layers[-1].weight, self.channels, 32, 32)
        logit: Tensor = self.layers(x)
        return logit.squeeze(-1)
