"""The settings of a run, checked when they are made. The named runs themselves are in `ganlib.lab.runs`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from ganlib import limits, toys
from ganlib.data.images import OWN_IMAGES
from ganlib.losses import GENERATOR_LOSSES
from ganlib.nets.mlp import ACTIVATIONS
from ganlib.toys import Mixture

# Image data: channels, side and size of the training split.
DATA = {
    "digits": (1, 28, 4_000),
    "mnist": (1, 28, 50_000),
    "fashion-mnist": (1, 28, 50_000),
    "cifar10": (3, 32, 40_000),
    "tfd": (1, 48, 98_058),
}
TOYS: dict[str, Callable[[], Mixture]] = {"gaussian": toys.gaussian, "ring8": toys.ring, "grid25": toys.grid}
TOY_DIM = {"gaussian": 1, "ring8": 2, "grid25": 2}


class Family(NamedTuple):
    """What a pair of networks takes: preprocessing its generator can match, and the settings of its own it has."""

    preprocessing: tuple[str, ...]
    settings: tuple[str, ...] = ()
    flat: bool = True
    batch_norm: bool = False


_MAXOUT = ("units", "pieces")
FAMILIES = {
    "paper": Family(("unit",), _MAXOUT),
    "tfd": Family(("unit",), (*_MAXOUT, "stage", "pretrained")),
    "cifar-fc": Family(("gcn", "tanh", "unit"), _MAXOUT),
    "cifar-conv": Family(("gcn", "tanh", "unit"), _MAXOUT, flat=False),
    "dcgan": Family(("tanh",), flat=False, batch_norm=True),
    "small-mlp": Family(("tanh",), batch_norm=True),
    "mlp": Family(("none", "gcn", "tanh", "unit"), ("depth", "activation")),
}
CHOICES: dict[str, tuple[str, ...]] = {
    "data": (*DATA, *TOYS),
    "preprocessing": ("unit", "tanh", "gcn", "none"),
    "nets": tuple(FAMILIES),
    "activation": tuple(ACTIVATIONS),
    "latent_law": ("uniform", "normal"),
    "update": ("alternating", "simultaneous"),
    "loss": tuple(GENERATOR_LOSSES),
    "reduction": ("sum", "mean"),
    "optimiser": ("sgd", "adam"),
}
# Settings that only one value of another has a use for: elsewhere they stay as they are by default.
OWNERS = {
    **dict.fromkeys(("momentum", "momentum_final", "momentum_epochs", "lr_decay", "lr_floor"), ("optimiser", "sgd")),
    **dict.fromkeys(("beta1", "beta2"), ("optimiser", "adam")),
    **dict.fromkeys(("latent_low", "latent_high"), ("latent_law", "uniform")),
    "pretrained": ("stage", 2),
}
# Of the integers: least and most. Those that end at 1,000 layers, 10,000 pieces and 65,536 pixels multiply others.
RANGES = {
    **dict.fromkeys(("width", "units", "latent_dim", "m"), (1, limits.SIZE)),
    **dict.fromkeys(("k", "momentum_epochs", "iterations", "every"), (1, limits.STEPS)),
    "depth": (1, 1_000),
    "pieces": (1, 10_000),
    "image_size": (0, 2**16),
    "examples": (0, limits.SIZE),
    "epoch": (0, limits.STEPS),
}


def _setting(default: Any, says: str) -> Any:
    return field(default=default, metadata={"says": says})


@dataclass(frozen=True, kw_only=True)
class Run:
    """The settings of a run: flat, typed, frozen, and checked when it is made.

    Every field says what it is; `describe` lists that. A setting that a run has no use for stays at its default: one
    that would be accepted and ignored is refused.

    Raises
    ------
    TypeError
        If a value is not of its setting's type.
    ValueError
        If values are impossible or do not fit together; the message says which, why, and what to give.
    """

    name: str = _setting("", "name of the run")
    source: str = _setting("", "where the settings come from")

    data: str = _setting("mnist", "data set, see ganlib.data.load, or toy data: gaussian, ring8, grid25")
    preprocessing: str = _setting(
        "unit", "unit: [0, 1]; tanh: [-1, 1]; gcn: mean 0 and norm 55 an image; none: toy data"
    )
    image_size: int = _setting(0, "side of the images; 0: as the data have it; toy data have none")
    examples: int = _setting(0, "training examples used, the first ones; 0: all")

    nets: str = _setting("paper", "pair of networks: " + ", ".join(FAMILIES))
    width: int = _setting(128, "hidden units a layer of G (mlp: of both; dcgan: maps of the widest layer's image)")
    depth: int = _setting(2, "hidden layers (mlp)")
    activation: str = _setting("relu", "between layers (mlp): " + ", ".join(ACTIVATIONS))
    units: int = _setting(240, "maxout units a fully connected layer of D")
    pieces: int = _setting(5, "affine maps a maxout unit")
    stage: int = _setting(1, "of the TFD experiment: 1, or 2 on top of stage 1's generator")
    pretrained: str = _setting("", "checkpoint file of stage 1, for stage 2")

    latent_dim: int = _setting(100, "length of z")
    latent_law: str = _setting("uniform", "law of each coordinate of z: uniform or normal")
    latent_low: float = _setting(-math.sqrt(3), "lower end of the uniform law")
    latent_high: float = _setting(math.sqrt(3), "upper end of the uniform law")

    update: str = _setting(
        "alternating", "alternating: Algorithm 1; simultaneous: both from the same parameters, k = 1"
    )
    k: int = _setting(1, "discriminator steps an iteration")
    m: int = _setting(100, "minibatch size")
    loss: str = _setting("non-saturating", "the generator's loss: " + ", ".join(GENERATOR_LOSSES))
    reduction: str = _setting("sum", "of D's two loss terms: sum is -V(D, G); mean has the original's factor 1/2")

    optimiser: str = _setting("sgd", "sgd (with momentum) or adam")
    d_lr: float = _setting(0.1, "learning rate of D at the start")
    g_lr: float = _setting(0.1, "learning rate of G at the start")
    beta1: float = _setting(0.9, "adam's decay of the mean gradient, in [0, 1)")
    beta2: float = _setting(0.999, "adam's decay of the mean square, in [0, 1)")
    momentum: float = _setting(0.0, "sgd's momentum in the first epoch, in [0, 1)")
    momentum_final: float = _setting(0.0, "sgd's momentum from epoch momentum_epochs on, reached linearly")
    momentum_epochs: int = _setting(1, "epochs over which the momentum changes")
    lr_decay: float = _setting(1.0, "sgd's learning rates are divided by this after each update, >= 1")
    lr_floor: float = _setting(1e-6, "sgd's learning rates never fall below this")
    max_norm: float = _setting(
        0.0, "largest Euclidean norm of a unit's incoming weights, set after each update; 0: none"
    )

    iterations: int = _setting(1, "generator steps in all")
    epoch: int = _setting(0, "iterations that count as an epoch; 0: training examples // m")
    every: int = _setting(100, "iterations between reports")

    def __post_init__(self) -> None:
        for each in fields(self):
            _check_type(self, each.name, str(each.type))
        problems = list(_choices(self)) or list(_ranges(self))
        if not problems:
            if self.image_size == 0 and self.data in DATA:
                object.__setattr__(self, "image_size", DATA[self.data][1])
            problems = list(_misfits(self))
        if problems:
            raise ValueError(f"run {self.name!r}: " + "; ".join(problems))

    @property
    def channels(self) -> int:
        """Image channels of the data; 0 for toy data."""
        return DATA[self.data][0] if self.data in DATA else 0

    @property
    def dim(self) -> int:
        """Numbers a data point has: pixels of an image as the networks see it, or coordinates."""
        return self.channels * self.image_size**2 if self.data in DATA else TOY_DIM[self.data]

    @property
    def flat(self) -> bool:
        """Whether the networks take a data point as a vector."""
        return FAMILIES[self.nets].flat

    @property
    def batch_norm(self) -> bool:
        """Whether the networks have batch normalisation."""
        return FAMILIES[self.nets].batch_norm

    @property
    def epoch_length(self) -> int:
        """Iterations that count as an epoch, >= 1; 1 for toy data, which have no epochs, unless ``epoch`` says more."""
        examples = self.examples or (DATA[self.data][2] if self.data in DATA else 0)
        return self.epoch or max(examples // self.m, 1)


def describe() -> dict[str, str]:
    """What each setting is, by name."""
    return {each.name: each.metadata["says"] for each in fields(Run)}


def read(setting: str, text: str, kind: str, says: str = "") -> str | int | float:
    """A string, from a command line, as a setting's type.

    Parameters
    ----------
    setting, text : the setting's name and the string.
    kind : "str", "int" or "float".
    says : what the setting is.

    Raises
    ------
    ValueError
        If the string is not of that type.
    """
    try:
        return int(text) if kind == "int" else float(text) if kind == "float" else text
    except ValueError:
        wanted = {"int": "an integer", "float": "a number"}[kind]
        given = limits.shown(text)
        raise ValueError(f"{setting} is {given}; it must be {wanted}{f' ({says})' if says else ''}") from None


def _check_type(run: Run, name: str, kind: str) -> None:
    value = getattr(run, name)
    if kind == "float" and type(value) is int:
        try:
            object.__setattr__(run, name, float(value))
        except OverflowError:
            raise ValueError(f"run {run.name!r}: {name} is {limits.shown(value)}; no float is that large") from None
    elif type(value).__name__ != kind:
        raise TypeError(f"run {run.name!r}: {name} is {value!r}, of type {type(value).__name__}; it must be {kind}")


def _choices(run: Run) -> Iterator[str]:
    for name, choices in CHOICES.items():
        if getattr(run, name) not in choices:
            own = f". {OWN_IMAGES}" if name == "data" else ""
            yield f"{name} is {getattr(run, name)!r}; use one of {', '.join(choices)}{own}"


def _ranges(run: Run) -> Iterator[str]:
    for name, (least, most) in RANGES.items():
        if problem := limits.outside(name, getattr(run, name), least, most):
            yield problem
    for name in ("d_lr", "g_lr", "lr_floor"):
        if not 0 < getattr(run, name) < math.inf:
            yield f"{name} is {getattr(run, name)}; it must be positive and finite"
    for name in ("beta1", "beta2", "momentum", "momentum_final"):
        if not 0 <= getattr(run, name) < 1:
            yield f"{name} is {getattr(run, name)}; it must lie in [0, 1)"
    if not 1 <= run.lr_decay < math.inf:
        yield f"lr_decay is {run.lr_decay}; the learning rate is divided by it: it must be at least 1 and finite"
    if not 0 <= run.max_norm < math.inf:
        yield f"max_norm is {run.max_norm}; it must be finite and positive, or 0 for none"
    if not -math.inf < run.latent_low < run.latent_high < math.inf:
        yield f"latent_low {run.latent_low} and latent_high {run.latent_high} must be finite and ascend"
    if run.stage not in (1, 2):
        yield f"stage is {limits.shown(run.stage)}; the TFD experiment has 1 and 2"


def _misfits(run: Run) -> Iterator[str]:
    """Values that are possible each, but not together."""
    family, image, size = FAMILIES[run.nets], run.data in DATA, run.image_size
    if run.update == "simultaneous" and run.k != 1:
        yield f"k is {run.k} with the simultaneous update, which makes one step of each: use k=1 or update=alternating"
    if run.preprocessing not in family.preprocessing:
        fitting = ", ".join(family.preprocessing)
        yield f"preprocessing is {run.preprocessing!r}, but the output of nets={run.nets} needs one of {fitting}"
    if image and run.preprocessing == "none":
        yield f"preprocessing is 'none', which is for toy data; {run.data} needs unit, tanh or gcn"
    if not image and (run.preprocessing != "none" or run.nets != "mlp" or size or run.examples):
        yield f"data={run.data} is no image data: use nets=mlp, preprocessing=none, image_size=0 and examples=0"
    if image and run.examples > DATA[run.data][2]:
        yield f"examples is {run.examples}; the training split of {run.data} has {DATA[run.data][2]}"
    if run.nets == "dcgan" and size != 28 and (size < 8 or size & (size - 1)):
        yield f"image_size is {size}; dcgan is built for 28 or a power of two from 8 up"
    if run.nets == "cifar-conv" and size != 32:
        yield f"image_size is {size}; cifar-conv is built for 32"
    if run.nets == "cifar-conv" and run.width % 100:
        yield f"width is {run.width}; cifar-conv makes maps of 10 x 10 of it: give a multiple of 100"
    if family.batch_norm and run.m < 2:
        yield f"m is {run.m}; batch normalisation needs at least 2 examples"
    if run.max_norm and (not family.flat or family.batch_norm):
        yield f"max_norm is {run.max_norm}; it is defined for fully connected layers, not for nets={run.nets}: use 0"
    if run.optimiser == "sgd" and run.lr_floor > min(run.d_lr, run.g_lr):
        yield f"lr_floor is {run.lr_floor}, above a learning rate ({run.d_lr} of D, {run.g_lr} of G): lower it"
    defaults = {each.name: each.default for each in fields(Run)}
    own = {name for other in FAMILIES.values() for name in other.settings} - set(family.settings)
    for name in defaults:
        setting, owner = ("nets", None) if name in own else OWNERS.get(name, ("", None))
        if setting and getattr(run, setting) != owner and getattr(run, name) != defaults[name]:
            yield (
                f"{name} is {getattr(run, name)!r}, but {setting}={getattr(run, setting)} has no use for it: "
                f"set {name}={defaults[name]}"
            )
