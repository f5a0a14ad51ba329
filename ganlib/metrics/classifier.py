"""A small convolutional classifier of digits: its last hidden layer gives the features that other measures look at."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganlib import limits, tensors

SIDE = 28
CLASSES = 10


class DigitClassifier(nn.Module):
    """Images of 28 x 28 pixels -> 10 logits, by two strided convolutions and one hidden layer, ReLU after each.

    Parameters
    ----------
    width : feature maps of the first convolution; the second has twice as many. >= 1.
    hidden : units of the hidden layer, whose outputs are the features. >= 1.
    seed : one of torch's, of the initial weights (torch's default ones); torch's global random state is left as it was.

    Raises
    ------
    ValueError
        If a size is not positive.

    Examples
    --------
    >>> from ganlib.nets import count_parameters
    >>> net = DigitClassifier()
    >>> net.features(torch.zeros(2, 1, 28, 28)).shape, count_parameters(net)
    (torch.Size([2, 64]), 253514)
    """

    def __init__(self, width: int = 32, hidden: int = 64, *, seed: int = 0) -> None:
        super().__init__()
        for name, size in {"width": width, "hidden": hidden}.items():
            limits.check(name, size)
        seed = limits.check("seed", seed, *limits.TORCH_SEEDS)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.conv1 = nn.Conv2d(1, width, 5, 2, 2)
            self.conv2 = nn.Conv2d(width, 2 * width, 5, 2, 2)
            self.hidden = nn.Linear(2 * width * (SIDE // 4) ** 2, hidden)
            self.output = nn.Linear(hidden, CLASSES)

    def features(self, x: Tensor) -> Tensor:
        """The hidden layer's outputs, (m, hidden) and >= 0, for images (m, 1, 28, 28) or (m, 784) in [0, 1].

        Raises ValueError if the images have another shape.
        """
        tensors.fits("x", x, self.output.weight)
        if x.shape[1:] not in ((1, SIDE, SIDE), (SIDE * SIDE,)):
            raise ValueError(f"images are {tuple(x.shape)}; give (m, 1, {SIDE}, {SIDE}) or (m, {SIDE * SIDE})")
        maps = self.conv2(self.conv1(x.reshape(-1, 1, SIDE, SIDE)).relu()).relu()
        found: Tensor = self.hidden(maps.flatten(1)).relu()
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Logits (m, 10) of the digits 0 to 9; images and errors as `features`."""
        logits: Tensor = self.output(self.features(x))
        return logits
