"""DCGAN (Radford, Metz & Chintala, 2016): the convolutional pair, its five guidelines marked where they are obeyed.

1. no pooling: strided convolutions in D, fractional-strided ones in G;
2. batch normalisation in both, but not on G's output nor on D's input;
3. no fully connected hidden layer;
4. ReLU in G, Tanh at its output;
5. LeakyReLU (slope .2) in D.
"""

from __future__ import annotations

from torch import Tensor, nn

from ganlib import limits, tensors


class DCGANGenerator(nn.Module):
    """G of DCGAN: z -> images in (-1, 1) by fractional-strided convolutions.

    Parameters
    ----------
    size : side of the square image: a power of two, at least 8, or 28.
    channels : image channels.
    width : feature maps of the last hidden layer; each earlier layer has twice as many, at most 8 x width.
    latent_dim : length of z, 100 in the paper.

    Raises
    ------
    ValueError
        If ``size`` is neither 28 nor a power of two from 8 up, or another argument is not positive.

    Examples
    --------
    >>> from ganlib.nets import count_parameters
    >>> count_parameters(DCGANGenerator(64, channels=3))
    3576704
    """

    def __init__(self, size: int = 28, channels: int = 1, width: int = 64, latent_dim: int = 100) -> None:
        super().__init__()
        start, widths = _plan(size, channels, width, latent_dim)
        self.latent_dim = latent_dim
        # Guideline 3: z becomes the first maps by a transposed convolution of a 1 x 1 image.
        first = nn.ConvTranspose2d(latent_dim, widths[0], start, 1, 0, bias=False)
        layers: list[nn.Module] = [first]
        for inputs, outputs in zip(widths, [*widths[1:], channels], strict=True):
            # Guidelines 2 and 4: batchnorm and ReLU after every layer but the last.
            layers += [nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)]
            # Guideline 1: stride 2 doubles the side; no upsampling layer.
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)]
        self.layers = nn.Sequential(*layers, nn.Tanh())
        _initialise(self)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (m, latent_dim) to images (m, channels, size, size) in (-1, 1)."""
        tensors.fits("z", z, self.layers[0].weight, self.latent_dim)
        images: Tensor = self.layers(z[:, :, None, None])
        return images


class DCGANDiscriminator(nn.Module):
    """D of DCGAN: images in [-1, 1] -> one logit, by strided convolutions. Arguments and errors as for G.

    Examples
    --------
    >>> from ganlib.nets import count_parameters
    >>> count_parameters(DCGANDiscriminator(64, channels=3))
    2765568
    """

    def __init__(self, size: int = 28, channels: int = 1, width: int = 64) -> None:
        super().__init__()
        start, widths = _plan(size, channels, width)
        self.shape = channels, size, size
        widths = widths[::-1]
        layers: list[nn.Module] = []
        pairs = zip([channels, *widths[:-1]], widths, strict=True)
        for depth, (inputs, outputs) in enumerate(pairs):
            # Guideline 1: stride 2 halves the side; no pooling.
            layers.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False))
            if depth > 0:
                layers.append(nn.BatchNorm2d(outputs))  # guideline 2, but not on D's input layer
            layers.append(nn.LeakyReLU(0.2, inplace=True))  # guideline 5
        # Guideline 3: a convolution over the whole last map is the output unit, and no hidden
        # layer is fully connected.
        last = nn.Conv2d(widths[-1], 1, start, 1, 0, bias=False)
        self.layers = nn.Sequential(*layers, last)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (m, channels, size, size) in [-1, 1] to logits (m,)."""
        tensors.fits("x", x, self.layers[0].weight, *self.shape)
        logits: Tensor = self.layers(x)
        return logits.flatten()


def _plan(size: int, channels: int, width: int, latent_dim: int = 1) -> tuple[int, list[int]]:
    """Side of the smallest feature map, and the widths of G's hidden layers from that map up."""
    for name, n in (("channels", channels), ("width", width), ("latent_dim", latent_dim)):
        limits.check(name, n)
    size = limits.check("size", size, most=limits.SIDE)
    if size == 28:
        start = 7
    elif size >= 8 and size & (size - 1) == 0:
        start = 4
    else:
        raise ValueError(f"size is {size}; DCGAN is built for 28 or a power of two from 8 up: resize the images")
    doublings = (size // start).bit_length() - 1
    return start, [width * min(2**i, 8) for i in reversed(range(doublings))]


def _initialise(net: nn.Module) -> None:
    """Weights N(0, .02), batchnorm scales N(1, .02), as the paper's section 4 and the usual code have them."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
