"""The official files of data sets, downloaded to where `ganlib.data.official` reads them, or not at all.

A download is an unnamed file until its MD5 is the published one, and what is unpacked from it appears whole. Whatever
ends it, a kill as well, files that were there stay as they were.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from tqdm import tqdm

from ganlib.data import files
from ganlib.data.official import SETS, DataSet
from ganlib.errors import DataError, DownloadError

__all__ = ["DownloadError", "get"]

TIMEOUT = 30.0  # seconds without a byte
IDX_SETS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}  # as torchvision calls them
CIFAR10_BINARY = (
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "c32a1d4ab5d03f1284b67883e8d87530",
)


def get(name: str, root: str | Path, *, again: bool = False, quiet: bool = False) -> list[Path]:
    """Download the official files of a data set that are missing or damaged.

    Parameters
    ----------
    name : "mnist", "fashion-mnist" or "cifar10".
    root : the folder, as in `ganlib.data.load`; made if it is not there.
    again : replace files that look sound as well. What is looked at is their form: sizes, types, labels.
    quiet : show no progress. It goes to stderr: for each file a bar on a terminal, a line elsewhere.

    Returns
    -------
    list of Path
        The files written; none if all of them, or an .npz file of the data set, were there and sound.

    Raises
    ------
    ValueError
        If ``name`` is none of these.
    DownloadError
        If ``root`` cannot be written to, or no address gave a file with the published MD5.
    DataError
        If a folder is where a file belongs.
    OSError
        If the disk is full.
    """
    if name not in SETS:
        raise ValueError(f"{name!r} is no data set to download; {', '.join(SETS)} are")
    root, held = Path(root), SETS[name]
    wanted = [
        path.with_name(path.name.removesuffix(".gz")) for path in held.paths(root) if again or not _sound(held, path)
    ]
    if not wanted or (not again and _whole(held, root)):
        return []
    for path in wanted:
        if os.path.isdir(path):  # False, too, where one may not look
            raise DataError(f"{path} is a folder, where a file belongs: move it away")
    folder = root / held.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.clear(folder)  # before anything is fetched: on a full disk nothing else would fit
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise DownloadError(
            f"cannot write to {folder} ({error.strerror}): choose another folder with --root or GANLIB_DATA"
        ) from None
    if name in IDX_SETS:
        for path in wanted:
            _get_idx(name, path, quiet)
    else:
        _get_cifar10(wanted, quiet)
    return wanted


def _whole(held: DataSet, root: Path) -> bool:
    try:
        for part in held.official:
            held.read(part, root)
    except (FileNotFoundError, DataError):
        return False
    return True


def _sound(held: DataSet, path: Path) -> bool:
    try:
        held.check(path)
    except (FileNotFoundError, NotADirectoryError, DataError):
        return False
    return True


def _get_idx(name: str, path: Path, quiet: bool) -> None:
    """One file of MNIST's kind: torchvision knows its mirrors and the MD5 of its gzip."""
    from torchvision import datasets  # here: importing it takes longer than importing torch

    official, zipped = getattr(datasets, IDX_SETS[name]), f"{path.name}.gz"
    urls = [mirror + zipped for mirror in official.mirrors]
    with tempfile.TemporaryFile(dir=path.parent) as file:
        _download(urls, dict(official.resources)[zipped], file, path.parent, quiet)
        files.write(path, gzip.decompress(file.read()))


def _get_cifar10(wanted: Sequence[Path], quiet: bool) -> None:
    """CIFAR-10's files, out of one archive; nothing else in it is unpacked."""
    (url, md5), folder = CIFAR10_BINARY, wanted[0].parent
    with tempfile.TemporaryFile(dir=folder) as file:
        _download([url], md5, file, folder, quiet)
        with tarfile.open(fileobj=file) as archive:
            for path in wanted:
                member = archive.extractfile(f"{folder.name}/{path.name}")
                assert member is not None  # the MD5 is that of the archive with these files
                files.write(path, member.read())


def _download(urls: Sequence[str], md5: str, file: IO[bytes], folder: Path, quiet: bool) -> None:
    """Fill ``file`` from the first address that gives bytes of this MD5; ``folder`` is for the message."""
    tried = []
    for url in urls:
        file.seek(0)
        file.truncate()
        digest = hashlib.md5(usedforsecurity=False)
        try:
            for chunk in _chunks(url, quiet):
                file.write(chunk)
                digest.update(chunk)
        except DownloadError as error:
            tried.append(f"{url} {error}")
            continue
        file.seek(0)
        if digest.hexdigest() == md5:
            return
        tried.append(f"{url} gave other bytes than the published ones (MD5 {digest.hexdigest()}, not {md5})")
    raise DownloadError(
        f"not downloaded: {'; '.join(tried)}. Try again later, or bring the files into {folder} from elsewhere"
    )


def _chunks(url: str, quiet: bool) -> Iterator[bytes]:
    """The bytes at an address; DownloadError if they do not come, or do not all come."""
    name, done, bar_wanted = Path(urlsplit(url).path).name, 0, not quiet and sys.stderr.isatty()
    if not quiet and not bar_wanted:
        print(f"{name} from {urlsplit(url).netloc}", file=sys.stderr, flush=True)
    request = urllib.request.Request(url, headers={"User-Agent": "ganlib"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            total = response.length
            with tqdm(total=total, unit="B", unit_scale=True, desc=name, disable=not bar_wanted) as bar:
                while chunk := response.read(1 << 16):
                    done += len(chunk)
                    bar.update(len(chunk))
                    yield chunk
    except urllib.error.HTTPError as error:
        raise DownloadError(f"answers {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise DownloadError(f"is out of reach ({_reason(error.reason)})") from None
    except (OSError, HTTPException) as error:
        raise DownloadError(f"broke off after {done:,} bytes ({_reason(error)})") from None
    if total is not None and done < total:
        raise DownloadError(f"broke off after {done:,} bytes of {total:,}")


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer for {TIMEOUT:g} seconds"
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
