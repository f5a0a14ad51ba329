"""Files of data sets, read with every check there is, and files written whole or not at all.

No file is opened as a pickle. A file that is there and is not what its name says is a `DataError`.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import re
import secrets
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["SETS", "DataError", "DataSet", "clear", "idx", "npz", "parsed", "read_json", "records", "there", "write"]

PARTS = {"train": 60_000, "test": 10_000}  # of MNIST and Fashion-MNIST
IDX = {  # file names of their official files, and the shapes in them
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
IDX_TYPES = {8: "uint8", 9: "int8", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}
LARGEST_JSON = 32_000_000  # bytes; the curves of a thousand seeds have as many
DEEPEST = 50  # of lists and objects in a JSON file
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_TEMPORARY = re.compile(r"\..+\.([1-9][0-9]{0,18})-[0-9a-f]+\.tmp")  # of `write`, with its process
_writing: set[str] = set()  # temporary files of this process
RECORDS, RECORD = 10_000, 1 + 3 * 32 * 32  # in a CIFAR-10 file, and bytes of one: a label, then the pixels


class DataError(ValueError):
    """A data file that is there and cannot be used; the message names it and what is wrong with it."""


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


def there(path: Path) -> bool:
    """Whether there is something of that name, be it a folder or out of reach."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # reading it will say why not
    return True


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader]:
    """A file to read that is neither empty nor a web page; what stands against reading it is a DataError."""
    try:
        if path.is_dir():
            raise DataError(f"{path} is a folder, where a file belongs: move it away")
        with open(path, "rb") as file:
            _refuse_foreign(path, file.peek(512)[:512])
            yield file
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from None


def parsed(content: bytes) -> Any:
    """What JSON says, if it says one thing, and that in UTF-8 and of a shape that whoever looks at it survives.

    Parameters
    ----------
    content : the text; its length is for the caller to limit.

    Raises
    ------
    ValueError
        If it is no JSON; or a name is there twice, a number is not finite or an integer beyond 64 bits, a string is no
        text (half a surrogate pair), or lists and objects lie more than ``DEEPEST`` in each other.
    """

    def integer(text: str) -> int:
        if len(text) > 20:
            raise ValueError(f"it holds an integer of {len(text)} digits; none of ganlib's has more than 20")
        return int(text)

    def number(text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(f"it holds {text[:30]}, which is no finite number")
        return value

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            raise ValueError(f"it holds {next(name for name in names if names.count(name) > 1)[:60]!r} twice")
        return found

    text = content.decode("utf-8")
    hooks: dict[str, Any] = {"parse_constant": number, "parse_float": number, "parse_int": integer}
    try:
        value = json.loads(text, object_pairs_hook=once, **hooks)
    except RecursionError:
        raise ValueError("its lists and objects lie too deep in each other") from None
    layer, depth = [value], 0
    while layer := [each for each in layer if isinstance(each, dict | list)]:
        if (depth := depth + 1) > DEEPEST:
            raise ValueError(f"its lists and objects lie more than {DEEPEST} deep in each other")
        layer = [inner for each in layer for inner in (each.values() if isinstance(each, dict) else each)]
    if _SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False).encode()  # a UnicodeEncodeError is a ValueError
    return value


def read_json(path: str | Path) -> Any:
    """What a JSON file says, see `parsed`.

    Raises
    ------
    ValueError
        If it is not there, cannot be read, has more than ``LARGEST_JSON`` bytes, or is not such JSON. The message does
        not name it: the caller's does.
    """
    path = Path(path)
    try:
        if not path.is_file():  # opening a named pipe would wait for ever
            raise ValueError("it is no file" if os.path.lexists(path) else "there is none of that name")
        with open(path, "rb") as file:
            content = file.read(LARGEST_JSON + 1)
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_JSON:
        raise ValueError(f"it has more than {LARGEST_JSON:,} bytes")
    return parsed(content)


def write(path: str | Path, content: bytes | Iterable[bytes | memoryview], *, make_folder: bool = True) -> Path:
    """Write a file so that it is there completely or not at all.

    What killed processes left half written in its folder is cleared away first, see `clear`: it may be what fills the
    disk.

    Parameters
    ----------
    path : the file.
    content : its bytes, whole or in pieces.
    make_folder : make its folder if it is not there; if False, that is a FileNotFoundError.
    """
    path = Path(path)
    if make_folder:
        path.parent.mkdir(parents=True, exist_ok=True)
    clear(path.parent)
    temporary = path.parent / f".{path.name[:50]}.{os.getpid()}-{secrets.token_hex(8)}.tmp"
    _writing.add(temporary.name)
    try:
        with open(temporary, "xb") as file:
            for piece in [content] if isinstance(content, bytes) else content:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())  # the content is on the disk before the name is: never a name without content
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename2 is None and error.filename in (None, str(temporary)):
            error.filename = str(path)  # "No space left on device" should say where
        raise
    finally:
        _writing.discard(temporary.name)
    return path


def clear(folder: str | Path, alone: str = "") -> None:
    """Delete what processes that are no more left half written in a folder by `write`; all else is left alone.

    Of files whose names begin with ``alone``, if it is given, the caller is known to be the only writer: what is half
    written of them goes even if a process of that number is alive. Numbers are used again.
    """
    with suppress(OSError):  # no folder, or none that may be read: whoever writes will say so
        for path in Path(folder).iterdir():
            match = _TEMPORARY.fullmatch(path.name)
            if not match or path.name in _writing:
                continue
            if (alone and path.name.startswith(f".{alone}")) or not _running(int(match[1])):
                with suppress(OSError):
                    path.unlink()


def _running(process: int) -> bool:
    """Whether another process is alive, so that its half-written file is not taken from under it."""
    if process == os.getpid() or os.name != "posix":  # elsewhere an open file cannot be deleted anyway
        return False
    try:
        os.kill(process, 0)
    except PermissionError:  # another user's
        return True
    except (OSError, OverflowError):
        return False
    return True


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
    _refuse_foreign(path, content[:512])
    return content


def _idx_header(content: bytes) -> str | None:
    """What an IDX file says it holds; None if it is none."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in IDX_TYPES or len(content) < 4 + 4 * content[3]:
        return None
    return f"{IDX_TYPES[content[2]]} of shape {tuple(np.frombuffer(content, '>u4', content[3], 4).tolist())}"


def _refuse_foreign(path: Path, head: bytes) -> None:
    if not head:
        raise DataError(f"{path} is empty (0 bytes)")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--")):
        raise DataError(f"{path} is a web page, saved under this name")
    if text.startswith(b"version https://git-lfs"):
        raise DataError(f"{path} is a Git LFS pointer, not the file it stands for")


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
