"""A split of an image data set: uint8 on the training device, handed out as float minibatches."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ganlib import limits, tensors
from ganlib.device import pick_device

OWN_IMAGES = 'Your own images: see "Your own images" in the book\'s chapter DCGAN (book/dcgan.md)'
# Of places in an index; uint8 would be read as booleans.
PLACES = (torch.int64, torch.int32)


@dataclass(frozen=True, eq=False)
class Images:
    """A split of an image data set.

    Parameters
    ----------
    name, split, source : what it is and where it came from, for titles and provenance.
    pixels : (N, C, H, W) uint8.
    labels : (N,) integers, on the pixels' device.
    low, high : range that the uint8 levels 0..255 are scaled to when images are handed out, in [-1e30, 1e30].
    flat : hand images out as (m, C*H*W) instead of (m, C, H, W).
    size : side that images are resized to (bilinear) when they are handed out, or None to leave them.
    norm : None, or global contrast normalisation: each image's mean is subtracted and the rest scaled to this
        Euclidean norm, 55 in the paper's CIFAR-10 experiments. ``low`` and ``high`` then play no part.

    Raises
    ------
    TypeError, ValueError
        If pixels or labels are not of those types and shapes, or a range, size or norm is impossible.

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
        for name in ("pixels", "labels"):
            limits.kind(name, getattr(self, name), Tensor, "torch.from_numpy(array)")
        if self.pixels.ndim != 4 or self.pixels.dtype != torch.uint8 or not self.pixels.numel():
            raise ValueError(f"pixels is {self.pixels.dtype} {tuple(self.pixels.shape)}; it must be uint8 (N, C, H, W)")
        if self.labels.shape != self.pixels.shape[:1]:
            says = f"{tuple(self.labels.shape)} labels for {len(self.pixels)} images"
            raise ValueError(f"{says}; give labels and pixels of one number")
        if self.labels.is_floating_point() or self.labels.is_complex() or self.labels.dtype == torch.bool:
            raise TypeError(f"labels is {self.labels.dtype}; give integers, 0s if there are no classes: labels.long()")
        for name in ("pixels", "labels"):
            if (each := getattr(self, name)).layout != torch.strided or each.device.type == "meta":
                raise ValueError(f"{name} is {each.layout} on {each.device}; give a dense tensor that has values")
        if self.labels.device != self.pixels.device:
            raise ValueError(f"labels are on {self.labels.device}, pixels on {self.pixels.device}: put both on one")
        for name in ("low", "high"):
            object.__setattr__(self, name, limits.real(name, getattr(self, name), limits.FLOAT32))
        limits.flag("flat", self.flat)
        if not self.low < self.high:
            raise ValueError(f"range [{self.low:g}, {self.high:g}] is empty; low must be below high")
        if self.size is not None:
            limits.check("size", self.size, most=limits.SIDE)
        if self.norm is not None:  # the Euclidean norm that images are scaled to
            object.__setattr__(self, "norm", limits.real("norm", self.norm, limits.POSITIVE32))

    def __len__(self) -> int:
        return len(self.pixels)

    def floats(self, index: Tensor | slice = slice(None)) -> Tensor:
        """Images as float32 in [low, high] or of norm ``norm``, flattened if ``flat``; all of them by default.

        Parameters
        ----------
        index : a slice, or a 1-D tensor of places (integers from 0) or of N booleans.

        Raises
        ------
        TypeError, ValueError
            If it is neither, or a place is out of range.
        """
        limits.kind("index", index, (slice, Tensor))
        if isinstance(index, slice):
            for end in (index.start, index.stop, index.step):
                if end is not None:
                    limits.check("index", end, 1 if end is index.step else -limits.SIZE)
        elif index.dtype == torch.bool:
            if index.shape != self.labels.shape:
                raise ValueError(f"index is {tuple(index.shape)} booleans for {len(self)} images; give one for each")
        elif index.ndim != 1 or index.dtype not in PLACES or index.is_sparse or index.is_meta:
            raise TypeError(f"index is {index.dtype} {tuple(index.shape)}; give 1-D int64, or a slice")
        elif index.numel() and not 0 <= index.min() <= index.max() < len(self):
            raise ValueError(f"index leaves 0 to {len(self) - 1}, the places of the {len(self)} images")
        return self._floats(index)

    def _floats(self, index: Tensor | slice) -> Tensor:
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
        tensors.drawing(m, rng, self.pixels.device)
        index = torch.randint(len(self), (m,), generator=rng, device=self.pixels.device)
        return self._floats(index)  # no look at the index, which would wait for the device

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
        limits.kind("n", n, (int, np.integer), "how many images")
        if isinstance(n, bool) or not 1 <= n <= len(self):
            raise ValueError(f"asked for the first {limits.shown(n)} of {len(self)} images; give 1 to {len(self)}")
        return replace(self, pixels=self.pixels[:n], labels=self.labels[:n])

    def to(self, device: torch.device | str) -> Images:
        """The same images, stored on ``device``."""
        device = pick_device(device, report=False)
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
