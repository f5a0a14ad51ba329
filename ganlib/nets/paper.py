"""The paper's fully connected networks: rectifier and sigmoid generators, maxout discriminators with dropout.

Sizes, initialisation, dropout and the schedule of learning rate and momentum are those of the configuration files
published with the paper, for MNIST, the Toronto Face Database (TFD) in its two stages, and fully connected CIFAR-10.
The convolutional pair is in `ganlib.nets.cifar`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from ganlib import limits, tensors
from ganlib.nets.layers import Dropout, Maxout

PIXELS = 28 * 28
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "sigmoid": torch.sigmoid,
    "linear": lambda x: x,
}


class PaperGenerator(nn.Module):
    """G of the paper's experiments: z -> ReLU layer -> ReLU or sigmoid layer -> sigmoid or linear pixels.

    The defaults are MNIST's 100-1200-1200-784. Weights start at U(-.05, .05), biases at 0 unless said otherwise.

    Parameters
    ----------
    latent_dim : length of z, 100 in the paper.
    hidden : width of the two hidden layers: 1200 for MNIST, 8000 for TFD and CIFAR-10.
    pixel_means : (outputs,) training-set pixel means in [0, 1], or None. The original starts the output bias at their
        logit, so that an untrained G already emits the average image. Sigmoid outputs only.
    outputs : pixels of an image.
    second : activation of the second hidden layer: "relu" for MNIST, "sigmoid" for TFD and CIFAR-10.
    second_bias : where its bias starts: -2 for TFD.
    output : "sigmoid" for images in [0, 1], "linear" for normalised ones.
    output_range : output weights start at U(-output_range, output_range): .05, or .5 for CIFAR-10.
    nonzero : if positive, output weights start sparse instead: each unit has this many incoming weights drawn from
        N(0, 1), the others 0. 100 for TFD.

    Raises
    ------
    ValueError
        If a size is not positive, an activation is unknown, ``nonzero`` is not in [0, hidden], or ``pixel_means`` has
        another shape or range or comes with a linear output.

    Examples
    --------
    >>> PaperGenerator(hidden=16, outputs=9, second="sigmoid", output="linear")(torch.zeros(2, 100)).shape
    torch.Size([2, 9])
    """

    def __init__(
        self,
        latent_dim: int = 100,
        hidden: int = 1200,
        pixel_means: Tensor | None = None,
        *,
        outputs: int = PIXELS,
        second: str = "relu",
        second_bias: float = 0.0,
        output: str = "sigmoid",
        output_range: float = 0.05,
        nonzero: int = 0,
    ) -> None:
        super().__init__()
        _positive(latent_dim=latent_dim, hidden=hidden, outputs=outputs)
        for name, activation in (("second", second), ("output", output)):
            limits.one_of(name, activation, ACTIVATIONS)
        second_bias = limits.real("second_bias", second_bias, limits.FLOAT32)
        output_range = limits.real("output_range", output_range, "[0, 1e30]")
        limits.check("nonzero", nonzero, 0)
        if not 0 <= nonzero <= hidden:
            raise ValueError(f"nonzero is {nonzero}; an output unit has {hidden} incoming weights: give 0 to {hidden}")
        if pixel_means is not None:
            pixel_means = _checked(pixel_means, outputs)
        if pixel_means is not None and output != "sigmoid":
            raise ValueError(f"pixel_means start the bias of a sigmoid output, not of a {output} one; leave them out")
        self.latent_dim = latent_dim
        self.second, self.last = ACTIVATIONS[second], ACTIVATIONS[output]
        self.hidden1 = nn.Linear(latent_dim, hidden)
        self.hidden2 = nn.Linear(hidden, hidden)
        self.output = nn.Linear(hidden, outputs)
        start(self.hidden1, 0.05)
        start(self.hidden2, 0.05, second_bias)
        start(self.output, output_range)
        if nonzero:
            _sparse(self.output, nonzero)
        if pixel_means is not None:
            # A pixel that is 0 in every image has logit -inf; the original clips the means at 1e-7 too.
            self.output.bias.data.copy_(torch.logit(pixel_means, eps=1e-7))

    def forward(self, z: Tensor) -> Tensor:
        """Map z (m, latent_dim) to images (m, outputs), in (0, 1) for sigmoid outputs."""
        tensors.fits("z", z, self.hidden1.weight, ..., self.latent_dim)
        h = self.second(self.hidden2(functional.relu(self.hidden1(z))))
        return self.last(self.output(h))


class StackedGenerator(nn.Module):
    """G of the paper's TFD experiment, stage 2: z -> 8000 ReLU -> sigmoid layer -> the generator trained in stage 1.

    The new front emits what the trained generator took as its latent, now in (0, 1). All of it trains.

    Parameters
    ----------
    back : the generator of stage 1; its ``latent_dim`` is the width of the front's sigmoid layer (bias -2 at first).
    latent_dim, hidden : length of z and width of the front's hidden layer, 100 and 8000 in the paper.
    """

    def __init__(self, back: PaperGenerator, latent_dim: int = 100, hidden: int = 8000) -> None:
        super().__init__()
        _positive(latent_dim=latent_dim, hidden=hidden)
        limits.kind("back", back, PaperGenerator)
        self.latent_dim = latent_dim
        self.hidden1 = nn.Linear(latent_dim, hidden)
        self.hidden2 = nn.Linear(hidden, back.latent_dim)
        self.back = back
        start(self.hidden1, 0.05)
        start(self.hidden2, 0.05, -2.0)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (m, latent_dim) to images (m, outputs) of the generator behind."""
        tensors.fits("z", z, self.hidden1.weight, ..., self.latent_dim)
        h = torch.sigmoid(self.hidden2(functional.relu(self.hidden1(z))))
        x: Tensor = self.back(h)
        return x


class MaxoutDiscriminator(nn.Module):
    """D of the paper's experiments: maxout layer -> maxout layer -> one logit, with dropout.

    Dropout keeps .8 of the pixels and .5 of the inputs of every later layer, the output unit's included, and rescales
    by 1/keep. The generator has none. Call ``eval()`` to switch it off. Weights start at U(-.005, .005), biases at 0.

    Parameters
    ----------
    inputs : number of pixels.
    units, pieces : maxout units a layer and affine maps a unit: 240 and 5 for MNIST, 1200 and 5 for TFD, 1600 and 5
        for CIFAR-10.

    Raises
    ------
    ValueError
        If a size is not positive.
    """

    def __init__(self, inputs: int = PIXELS, units: int = 240, pieces: int = 5) -> None:
        super().__init__()
        _positive(inputs=inputs, units=units, pieces=pieces)
        self.pixels = Dropout(0.8)
        self.hidden1 = Maxout(inputs, units, pieces)
        self.dropout1 = Dropout(0.5)
        self.hidden2 = Maxout(units, units, pieces)
        self.dropout2 = Dropout(0.5)
        self.output = nn.Linear(units, 1)
        for layer in (self.hidden1.affine, self.hidden2.affine, self.output):
            start(layer, 0.005)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (m, ...) with ``inputs`` pixels each to logits (m,)."""
        tensors.fits("x", x, self.output.weight)
        flat = x.flatten(1)
        tensors.fits("x as vectors", flat, self.output.weight, self.hidden1.affine.in_features)
        h = self.dropout1(self.hidden1(self.pixels(flat)))
        logit: Tensor = self.output(self.dropout2(self.hidden2(h)))
        return logit.squeeze(-1)


def paper_schedule(
    *optimisers: Optimizer,
    lr: float = 0.1,
    decay: float = 1.000004,
    floor: float = 1e-6,
    momentum: tuple[float, float] = (0.5, 0.7),
    ramp_epochs: int = 250,
    iterations_per_epoch: int = 500,
) -> Callable[[int], None]:
    """The published MNIST schedule, to pass as `ganlib.algorithm1.algorithm1`'s ``schedule``.

    lr_t = max(lr / decay^t, floor) after t updates; momentum rises linearly from the first value to the second over
    epochs 1 to ``ramp_epochs`` and stays there. An epoch is ``iterations_per_epoch`` updates (50,000 / 100 on MNIST).

    Raises
    ------
    TypeError, ValueError
        If a rate is not positive and finite, decay is below 1, momentum no pair in [0, 1) or a count is below 1.
    """
    for optimiser in optimisers:
        limits.kind("an optimiser", optimiser, Optimizer)
    lr, floor = limits.real("lr", lr, "(0, inf)"), limits.real("floor", floor, "(0, inf)")
    decay = limits.real("decay", decay, "[1, inf)")
    if not isinstance(momentum, tuple | list) or len(momentum) != 2:
        raise ValueError(f"momentum is {limits.shown(momentum)}; give its first and its last value")
    first, last = (limits.real("momentum", value, "[0, 1)") for value in momentum)
    limits.check("ramp_epochs", ramp_epochs, most=limits.STEPS)
    limits.check("iterations_per_epoch", iterations_per_epoch, most=limits.STEPS)

    def apply(done: int) -> None:
        epoch = done // iterations_per_epoch
        # The power may be no float any more; the rate is its floor long before.
        rate = max(lr / decay**done, floor) if done * math.log(decay) < 700 else floor
        speed = first + (last - first) * min(epoch / max(ramp_epochs - 1, 1), 1.0)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"], group["momentum"] = rate, speed

    return apply


def start(layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, weight_range: float, bias: float = 0.0) -> None:
    """Initialise a layer as the original did: weights U(-weight_range, weight_range), one value for every bias."""
    limits.kind("layer", layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))
    weight_range = limits.real("weight_range", weight_range, "[0, 1e30]")
    bias = limits.real("bias", bias, limits.FLOAT32)
    nn.init.uniform_(layer.weight, -weight_range, weight_range)
    if layer.bias is not None:
        nn.init.constant_(layer.bias, bias)


def _sparse(layer: nn.Linear, nonzero: int) -> None:
    """Weights 0 except ``nonzero`` distinct ones into each unit, drawn from N(0, 1)."""
    weight = layer.weight.data
    inputs = torch.rand_like(weight).topk(nonzero, dim=1).indices
    weight.zero_().scatter_(1, inputs, torch.randn(inputs.shape, device=weight.device))


def _positive(**sizes: int) -> None:
    for name, size in sizes.items():
        limits.check(name, size)


def _checked(means: Tensor, pixels: int) -> Tensor:
    found = tensors.real("pixel_means", means).float()
    low, high = found.min(), found.max()
    if found.shape != (pixels,) or low < 0 or high > 1:
        has = f"shape {tuple(found.shape)} and range [{low:g}, {high:g}]"
        raise ValueError(f"pixel_means has {has}; it must be ({pixels},) in [0, 1]")
    return found
