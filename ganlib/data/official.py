"""The official files of MNIST, Fashion-MNIST and CIFAR-10, and .npz files of the same, read with every check there is.

No file is opened as a pickle. A file that is there and is not what its name says is a `DataError`.
"""

from __future__ import annotations

import gzip
import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganlib.data.files import opened, refuse_foreign, there
from ganlib.errors import DataError

__all__ = ["SETS", "DataSet", "idx", "npz", "records"]

PARTS = {"train": 60_000, "test": 10_000}  # of MNIST and Fashion-MNIST
IDX = {  # file names of their official files, and the shapes in them
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
IDX_TYPES = {8: "uint8", 9: "int8", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}
RECORDS, RECORD = 10_000, 1 + 3 * 32 * 32  # in a CIFAR-10 file, and bytes of one: a label, then the pixels


@dataclass(frozen=True)
class DataSet:
    """Files of a data set with ten classes, under a root folder: the official ones, or else one .npz file.

    Parameters
    ----------
    title : the name to show.
    folder, npz : the official files' folder, and the .npz file's name.
    official : names of the official files, by part, "train" or "test".
    shape : (H, W, C) of an image.
    sizes : images in each part.
    """

    title: str
    folder: str
    npz: str
    official: dict[str, tuple[str, ...]]
    shape: tuple[int, int, int]
    sizes: dict[str, int]

    def paths(self, root: Path, part: str = "") -> list[Path]:
        """The official files of a part, or all; where only the gzip of one is there, that."""
        paths = [root / self.folder / name for of in self.official for name in self.official[of] if part in ("", of)]
        return [
            zipped if not there(path) and there(zipped := path.with_name(f"{path.name}.gz")) else path for path in paths
        ]

    def read(self, part: str, root: Path) -> tuple[np.ndarray, np.ndarray, str]:
        """Pixels (N, C, H, W) uint8 and labels (N,) of a part, and what they were read from.

        Raises
        ------
        FileNotFoundError
            If neither all official files of the part nor the .npz are there.
        DataError
            If a file that is read cannot be used.
        """
        paths, archive = self.paths(root, part), root / self.npz
        missing = [path.name for path in paths if not there(path)]
        if missing and not there(archive):
            lacks = f" ({self.folder} lacks {', '.join(missing)})" if there(root / self.folder) else ""
            raise FileNotFoundError(f"no {self.title} under {root}{lacks}")
        if missing:
            return *npz(archive, part, (self.sizes[part], *self.shape)), self.npz
        arrays = [self.check(path) for path in paths]
        if self.shape[2] == 1:
            return arrays[0][:, None], arrays[1], self.folder
        held = np.concatenate(arrays)
        return held[:, 1:].reshape(-1, 3, 32, 32), held[:, 0], self.folder

    def check(self, path: Path) -> np.ndarray:
        """What one of the official files holds; DataError if it is another file."""
        name = path.name.removesuffix(".gz")
        return idx(path, IDX[name]) if name in IDX else records(path)


def _idx_set(title: str, folder: str, archive: str) -> DataSet:
    names = list(IDX)
    return DataSet(title, folder, archive, {"train": tuple(names[:2]), "test": tuple(names[2:])}, (28, 28, 1), PARTS)


SETS = {
    "mnist": _idx_set("MNIST", "MNIST/raw", "mnist.npz"),
    "fashion-mnist": _idx_set("Fashion-MNIST", "FashionMNIST/raw", "fashion-mnist.npz"),
    "cifar10": DataSet(
        "CIFAR-10",
        "cifar-10-batches-bin",
        "cifar10.npz",
        {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)},
        (32, 32, 3),
        {"train": 50_000, "test": 10_000},
    ),
}


def idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The array of an IDX file, MNIST's format, gzipped or not.

    Parameters
    ----------
    path : the file.
    shape : of the uint8 array that it must hold: images, or labels, each of 0 to 9 among them.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    DataError
        If it is something else, damaged, or cannot be read.
    """
    header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
    content = _content(path, len(header) + math.prod(shape))
    if not header.startswith(content[: len(header)]):
        held = _idx_header(content)
        if held is None:
            raise DataError(f"{path} is no IDX file: it begins with {content[:16]!r}")
        raise DataError(f"{path} holds {held}, where uint8 of shape {shape} belongs")
    _check_size(path, len(content), len(header) + math.prod(shape))
    array = np.frombuffer(bytearray(content), np.uint8, offset=len(header)).reshape(shape)
    if len(shape) == 1:
        _check_labels(path, array)
    return array


def records(path: Path) -> np.ndarray:
    """The 10,000 records of a file of CIFAR-10's binary version, uint8 (10000, 3073): a label, then the pixels.

    Errors as `idx`.
    """
    content = _content(path, RECORDS * RECORD)
    _check_size(path, len(content), RECORDS * RECORD)
    array = np.frombuffer(bytearray(content), np.uint8).reshape(RECORDS, RECORD)
    _check_labels(path, array[:, 0])
    return array


def npz(path: Path, part: str, shape: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, C, H, W) uint8 and labels (N,) of one part of an .npz file.

    Parameters
    ----------
    path : a file with the arrays train_images, train_labels, test_images and test_labels, or, as Keras names them,
        x_train, y_train, x_test and y_test.
    part : "train" or "test".
    shape : (N, H, W, C) of its images; with C = 1, (N, H, W) is taken as well.

    Raises
    ------
    FileNotFoundError, DataError
        As `idx`.
    """
    ours, keras = (f"{part}_images", f"{part}_labels"), (f"x_{part}", f"y_{part}")
    with opened(path) as file:
        if not zipfile.is_zipfile(file):
            raise DataError(f"{path} is no .npz file, or is cut short")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as held:
                names = list(held)
                wanted = keras if set(keras) <= set(names) else ours
                found = [np.asarray(held[name]) for name in wanted if name in names]
        except MemoryError:
            raise
        except Exception as error:  # a damaged zip raises whatever it comes to
            raise DataError(f"{path} is damaged, or holds what is no array ({error})") from None
    if len(found) < 2:
        raise DataError(f"{path} holds {', '.join(names) or 'nothing'}, where {' and '.join(wanted)} belong")
    pixels, labels = found
    if shape[3] == 1 and pixels.shape == shape[:3]:
        pixels = pixels[..., None]
    if pixels.dtype != np.uint8 or pixels.shape != shape:
        held_ = f"{pixels.dtype} of shape {pixels.shape}"
        raise DataError(f"{path}: {wanted[0]} is {held_}, where uint8 of shape {shape} belongs")
    if labels.dtype.kind not in "iu" or labels.shape != shape[:1]:
        held_ = f"{labels.dtype} of shape {labels.shape}"
        raise DataError(f"{path}: {wanted[1]} is {held_}, where integers of shape {shape[:1]} belong")
    _check_labels(path, labels)
    return pixels.transpose(0, 3, 1, 2), labels


def _content(path: Path, size: int) -> bytes:
    """The bytes of a file, unzipped if they are gzip's; at most one more than ``size``."""
    with opened(path) as file:
        if file.peek(2)[:2] != b"\x1f\x8b":
            return file.read(size + 1)
        try:
            with gzip.open(file) as unzipped:
                content = unzipped.read(size + 1)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(f"{path} is damaged gzip, or is cut short ({error})") from None
    refuse_foreign(path, content[:512])
    return content


def _idx_header(content: bytes) -> str | None:
    """What an IDX file says it holds; None if it is none."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in IDX_TYPES or len(content) < 4 + 4 * content[3]:
        return None
    return f"{IDX_TYPES[content[2]]} of shape {tuple(np.frombuffer(content, '>u4', content[3], 4).tolist())}"


def _check_size(path: Path, found: int, size: int) -> None:
    if found < size:
        raise DataError(f"{path} is cut short: {found:,} bytes of {size:,}")
    if found > size:
        raise DataError(f"{path} is longer than the {size:,} bytes that belong there")


def _check_labels(path: Path, labels: np.ndarray) -> None:
    found = np.unique(labels)
    if found.tolist() != list(range(10)):
        says = ", ".join(map(str, found[:10].tolist())) + (", ..." if len(found) > 10 else "")
        raise DataError(f"{path} has the labels {says}, where each of 0 to 9 belongs")
