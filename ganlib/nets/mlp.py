"""A small multilayer perceptron, for the 1-D and 2-D experiments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from ganlib import limits, tensors

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
}


class MLP(nn.Module):
    """Affine layers with one activation between them and none at the end.

    With one output unit it is a discriminator and returns logits of shape (m,) unless ``squeeze`` is False; otherwise
    it returns (m, outputs).

    Parameters
    ----------
    sizes : layer widths from input to output, at least two, e.g. ``(2, 128, 128, 1)``.
    activation : "relu", "leaky_relu" (slope .2), "tanh" or "softplus".
    squeeze : drop the last axis when there is one output. A generator of 1-D data sets it to False.

    Raises
    ------
    ValueError
        If there are fewer than two sizes, one is not positive, or the activation is unknown.

    Examples
    --------
    >>> import torch
    >>> MLP((2, 16, 1))(torch.zeros(5, 2)).shape
    torch.Size([5])
    """

    def __init__(self, sizes: Sequence[int], activation: str = "relu", squeeze: bool | None = None) -> None:
        super().__init__()
        limits.kind("sizes", sizes, (tuple, list))
        sizes = tuple(sizes)
        if len(sizes) < 2:
            raise ValueError(f"sizes is {sizes}; give at least two positive widths, input first")
        for size in sizes:
            limits.check("each of the sizes", size)
        limits.one_of("activation", activation, ACTIVATIONS)
        if squeeze is not None:
            limits.flag("squeeze", squeeze)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), ACTIVATIONS[activation]()]
        self.layers = nn.Sequential(*layers[:-1])
        self.inputs = sizes[0]
        self.squeeze = sizes[-1] == 1 if squeeze is None else squeeze

    def forward(self, x: Tensor) -> Tensor:
        """Map (m, sizes[0]) to (m, sizes[-1]), or to (m,) for one squeezed output."""
        tensors.fits("x", x, self.layers[0].weight, ..., self.inputs)
        y: Tensor = self.layers(x)
        return y.squeeze(-1) if self.squeeze else y
