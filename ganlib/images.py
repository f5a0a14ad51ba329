"""A split of an image data set: uint8 on the training device, handed out as float minibatches."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ganlib import limits

OWN_IMAGES = 'Your own images: see "Your own images" in the book\'s chapter DCGAN (book/dcgan.md)'


@dataclass(frozen=True, eq=False)
class Images:
    """A split of an image data set.

    Parameters
    ----------
    name, split, source : what it is and where it came from, for titles and provenance.
    pixels : (N, C, H, W) uint8.
    labels : (N,) int64.
    low, high : range that the uint8 levels 0..255 are scaled to when images are handed out.
    flat : hand images out as (m, C*H*W) instead of (m, C, H, W).
    size : side that images are resized to (bilinear) when they are handed out, or None to leave them.
    norm : None, or global contrast normalisation: each image's mean is subtracted and the rest scaled to this
        Euclidean norm, 55 in the paper's CIFAR-10 experiments. ``low`` and ``high`` then play no part.

    Raises
    ------
    TypeError
        If pixels or labels are no tensors, or a size is no integer.
    ValueError
        If they are not of those types and shapes (labels of any integers), or a range, size or norm is impossible.

    Examples
    --------
    One's own pictures, as uint8 of one shape; labels play no part in training:

    >>> pixels = torch.randint(0, 256, (10, 3, 32, 32), dtype=torch.uint8)
    >>> mine = Images("mine", "train", "made up", pixels, torch.zeros(10, dtype=torch.int64)).scaled(-1, 1)
    >>> mine.minibatch(4, torch.Generator().manual_seed(0)).shape
    torch.Size([4, 3, 32, 32])
    """

    name: str
    split: str
    source: str
    pixels: Tensor
    labels: Tensor
    low: float = 0.0
    high: float = 1.0
    flat: bool = False
    size: int | None = None
    norm: float | None = None

    def __post_init__(self) -> None:
        for name, tensor in (("pixels", self.pixels), ("labels", self.labels)):
            if not isinstance(tensor, Tensor):
                raise TypeError(f"{name} is a {type(tensor).__name__}; it must be a torch.Tensor")
        if self.pixels.ndim != 4 or self.pixels.dtype != torch.uint8 or self.pixels.numel() == 0:
            raise ValueError(f"pixels is {self.pixels.dtype} {tuple(self.pixels.shape)}; it must be uint8 (N, C, H, W)")
        if self.labels.is_floating_point() or self.labels.is_complex() or self.labels.dtype == torch.bool:
            raise ValueError(f"labels is {self.labels.dtype}; it must be of integers, 0s if there are no classes")
        if self.labels.shape != self.pixels.shape[:1]:
            raise ValueError(f"{tuple(self.labels.shape)} labels for {len(self.pixels)} images; give one for each")
        if not -math.inf < self.low < self.high < math.inf:
            raise ValueError(f"range [{self.low}, {self.high}] is empty or endless; low must be below high")
        if self.size is not None:
            if type(self.size) is not int:
                raise TypeError(f"size is {self.size!r}; it must be an integer")
            limits.check("size", self.size, most=2**16)
        if self.norm is not None and not 0 < self.norm < math.inf:
            raise ValueError(f"norm is {self.norm}; images are scaled to a positive, finite Euclidean norm")

    def __len__(self) -> int:
        return len(self.pixels)

    def floats(self, index: Tensor | slice = slice(None)) -> Tensor:
        """Images as float32 in [low, high] or of norm ``norm``, flattened if ``flat``; all of them by default."""
        images = self.pixels[index].float()
        if self.size is not None:
            smaller = self.size < max(self.pixels.shape[2:])  # without antialiasing, a smaller image skips pixels
            images = _resized(images, self.size, smaller)
        if self.norm is None:
            images = images * ((self.high - self.low) / 255) + self.low
        else:
            images = images - images.mean((1, 2, 3), keepdim=True)
            lengths = images.square().sum((1, 2, 3), keepdim=True).sqrt()
            # Below a tenth of a grey level in all, what is left of a constant image is rounding: it becomes 0.
            images = images * torch.where(lengths < 0.1, 0.0, self.norm / lengths.clamp(min=0.1))
        return images.flatten(1) if self.flat else images

    def mean(self) -> Tensor:
        """The mean image as handed out, float32, (C, H, W) or (C*H*W,)."""
        blocks = [self.floats(slice(i, i + 4096)).cpu().double().sum(0) for i in range(0, len(self), 4096)]
        return (torch.stack(blocks).sum(0) / len(self)).float()

    def minibatch(self, m: int, rng: torch.Generator) -> Tensor:
        """Draw m images independently, with replacement: samples of p_data as Algorithm 1 asks."""
        index = torch.randint(len(self), (m,), generator=rng, device=self.pixels.device)
        return self.floats(index)

    def scaled(self, low: float, high: float) -> Images:
        """The same images handed out in [low, high], e.g. (-1, 1) for a Tanh generator; undoes `normalised`."""
        return replace(self, low=low, high=high, norm=None)

    def normalised(self, norm: float = 55.0) -> Images:
        """The same images handed out with global contrast normalisation, see ``norm``; instead of `scaled`."""
        return replace(self, norm=norm)

    def resized(self, size: int) -> Images:
        """The same images handed out as ``size`` x ``size``, by bilinear interpolation on their device."""
        return replace(self, size=size)

    def flattened(self) -> Images:
        """The same images handed out as vectors."""
        return replace(self, flat=True)

    def first(self, n: int) -> Images:
        """The first n images: balanced over the classes for the embedded digits."""
        if not 1 <= n <= len(self):
            raise ValueError(f"asked for the first {limits.shown(n)} of {len(self)} images; give 1 to {len(self)}")
        return replace(self, pixels=self.pixels[:n], labels=self.labels[:n])

    def to(self, device: torch.device | str) -> Images:
        """The same images, stored on ``device``."""
        return replace(self, pixels=self.pixels.to(device), labels=self.labels.to(device))

    @property
    def sha256(self) -> str:
        """Hash of this split's pixels and labels, for provenance."""
        digest = hashlib.sha256(self.pixels.cpu().numpy().tobytes())
        digest.update(self.labels.cpu().numpy().astype(np.int64).tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.pixels.shape[1:]))
        shape += f" resized to {self.size}x{self.size}" if self.size is not None else ""
        shape += " flattened" if self.flat else ""
        levels = f"in [{self.low:g}, {self.high:g}]" if self.norm is None else f"of mean 0 and norm {self.norm:g} each"
        return (
            f"{self.name}, {self.split} split: {len(self):,} images {shape}, float32 {levels} "
            f"(uint8 on {self.pixels.device}); {self.source}; sha256 {self.sha256[:12]}"
        )


def _resized(images: Tensor, size: int, antialias: bool) -> Tensor:
    resize = partial(interpolate, size=(size, size), mode="bilinear", antialias=antialias)
    try:
        return resize(images)
    except NotImplementedError:  # antialiasing on MPS, in torch 2.6
        return resize(images.cpu()).to(images.device)
