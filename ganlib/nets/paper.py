"""The paper's MNIST pair: a rectifier-sigmoid generator and a maxout discriminator with dropout.

Sizes, initialisation and dropout are those of the configuration files published with the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

PIXELS = 28 * 28


class PaperGenerator(nn.Module):
    """G of the paper's MNIST experiment: z -> 1200 ReLU -> 1200 ReLU -> 784 sigmoid.

    Parameters
    ----------
    latent_dim : length of z, 100 in the paper.
    hidden : width of the two hidden layers, 1200 in the paper.
    pixel_means : (784,) training-set pixel means in [0, 1], or None. The original starts the output bias at their
        logit, so that an untrained G already emits the average digit.

    Raises
    ------
    ValueError
        If a size is not positive or ``pixel_means`` has another shape or range.
    """

    def __init__(self, latent_dim: int = 100, hidden: int = 1200, pixel_means: Tensor | None = None) -> None:
        super().__init__()
        _positive(latent_dim=latent_dim, hidden=hidden)
        self.latent_dim = latent_dim
        self.hidden1 = nn.Linear(latent_dim, hidden)
        self.hidden2 = nn.Linear(hidden, hidden)
        self.output = nn.Linear(hidden, PIXELS)
        for layer in (self.hidden1, self.hidden2, self.output):
            nn.init.uniform_(layer.weight, -0.05, 0.05)
            nn.init.zeros_(layer.bias)
        if pixel_means is not None:
            self._start_at(pixel_means)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (m, latent_dim) to images (m, 784) in (0, 1)."""
        h = functional.relu(self.hidden2(functional.relu(self.hidden1(z))))
        return torch.sigmoid(self.output(h))

    def _start_at(self, means: Tensor) -> None:
        if means.shape != (PIXELS,) or means.min() < 0 or means.max() > 1:
            raise ValueError(
                f"pixel_means has shape {tuple(means.shape)} and range [{means.min():g}, {means.max():g}]; "
                f"it must be ({PIXELS},) in [0, 1]"
            )
        # A pixel that is 0 in every image has logit -inf; 1e-4 is far below one grey level in 255.
        self.output.bias.data.copy_(torch.logit(means.float(), eps=1e-4))


class Maxout(nn.Module):
    """Maxout layer: the largest of ``pieces`` affine maps, for each unit (Goodfellow et al., 2013).

    Maps (m, inputs) to (m, units).
    """

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        _positive(inputs=inputs, units=units, pieces=pieces)
        self.pieces = pieces
        self.affine = nn.Linear(inputs, units * pieces)

    def forward(self, x: Tensor) -> Tensor:
        pieces: Tensor = self.affine(x).unflatten(-1, (-1, self.pieces))
        return pieces.amax(-1)


class MaxoutDiscriminator(nn.Module):
    """D of the paper's MNIST experiment: maxout 240x5 -> maxout 240x5 -> one logit, with dropout.

    Dropout keeps .8 of the pixels and .5 of the inputs of every later layer, the output unit's included, and rescales
    by 1/keep. The generator has none. Call ``eval()`` to switch it off.

    Parameters
    ----------
    inputs : number of pixels.
    units, pieces : maxout units a layer and affine maps a unit, 240 and 5 in the paper.
    """

    def __init__(self, inputs: int = PIXELS, units: int = 240, pieces: int = 5) -> None:
        super().__init__()
        self.hidden1 = Maxout(inputs, units, pieces)
        self.hidden2 = Maxout(units, units, pieces)
        self.output = nn.Linear(units, 1)
        for layer in (self.hidden1.affine, self.hidden2.affine, self.output):
            nn.init.uniform_(layer.weight, -0.005, 0.005)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (m, ...) with ``inputs`` pixels each, in [0, 1], to logits (m,)."""
        h = functional.dropout(x.flatten(1), 0.2, self.training)
        h = functional.dropout(self.hidden1(h), 0.5, self.training)
        h = functional.dropout(self.hidden2(h), 0.5, self.training)
        logit: Tensor = self.output(h)
        return logit.squeeze(-1)


def _positive(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} is {size}; it must be at least 1")
