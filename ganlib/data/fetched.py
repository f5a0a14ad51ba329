"""Results committed with the book: found in a checkout, or fetched from the published repository, each once.

The package holds their names, sizes and hashes (``fetched.json``, written by ``tools/list_results.py``), not the
results themselves. So a fetched file is the very one that the page was made from, or it is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from functools import cache
from http.client import HTTPException
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import Request, url2pathname, urlopen

from ganlib.data.files import write

TIMEOUT = 30.0  # seconds without a byte
LIST = "fetched.json"
FOLDERS = ("book/results", "benchmarks/results")
REMEDY = "clone the book's repository and run this notebook in the clone, or set GANLIB_RESULTS to the clone's folder"


def find(name: str) -> Path:
    """The path of a committed result.

    Looked for, in this order: in the folder GANLIB_RESULTS, in a checkout around the working folder, in the checkout
    that ganlib was installed from; then at the address GANLIB_RESULTS, which a notebook on Colab sets. What comes from
    an address is checked by its hash and kept under ``~/.cache/ganlib/results``.

    Parameters
    ----------
    name : from the top of the checkout, such as "book/results/vae.json".

    Raises
    ------
    FileNotFoundError
        If the checkout has no such file, or there is neither a checkout nor an address; the message has the remedy.
    ConnectionError
        If the address cannot be reached.
    ValueError
        If what it sends is another file than the book's.
    """
    asked = os.environ.get("GANLIB_RESULTS", "").strip()
    address = asked if urlsplit(asked).scheme in ("http", "https", "file") else ""
    folders = [Path.cwd(), *Path.cwd().parents, *_installed_from()]
    if asked and not address:
        folders.insert(0, Path(asked).expanduser())
    for folder in folders:
        if folder.joinpath(name).is_file():
            return folder / name
    known = listed().get(name)
    if known is None or not address:
        checkout = next((folder for folder in folders if folder.joinpath(FOLDERS[0]).is_dir()), None)
        where = f"{checkout} has no {name}" if checkout else f"{name} is not here, and no address is known"
        raise FileNotFoundError(
            f"{where}: " + (REMEDY if known else "`python -m ganlib reproduce --help` makes results")
        )
    return _fetched(name, address, *known)


@cache
def listed() -> dict[str, tuple[str, int]]:
    """SHA-256 and bytes of every committed result, by its name from the top of the checkout."""
    found = json.loads(files("ganlib.data").joinpath(LIST).read_text(encoding="utf-8"))
    return {name: (sha256, size) for name, (sha256, size) in found.items()}


def _installed_from() -> list[Path]:
    """The folder that pip installed ganlib from, if it was one (PEP 610)."""
    try:
        record = metadata.distribution("ganlib").read_text("direct_url.json")
        parts = urlsplit(json.loads(record or "{}").get("url", ""))
    except (metadata.PackageNotFoundError, ValueError):
        return []
    return [Path(url2pathname(unquote(parts.path)))] if parts.scheme == "file" else []


def _fetched(name: str, address: str, sha256: str, size: int) -> Path:
    short = name.rpartition("/")[2]
    path = _cache() / sha256[:16] / short
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
        return path
    url = f"{address.rstrip('/')}/{name}"
    print(f"fetching {short}, {_size(size)}, a result committed with the book")
    try:
        with urlopen(Request(url, headers={"User-Agent": "ganlib"}), timeout=TIMEOUT) as response:
            content = response.read(size + 1)  # no more than one byte too many, whatever it sends
    except (OSError, HTTPException) as error:
        raise ConnectionError(f"{url} cannot be fetched ({error}): run this cell again, or {REMEDY}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        says = f"SHA-256 {found}, not {sha256}"
        raise ValueError(f"{url} sent another {short} ({says}): run this cell again, or {REMEDY}")
    write(path, content)
    return path


def _cache() -> Path:
    try:
        return Path.home() / ".cache" / "ganlib" / "results"
    except RuntimeError:  # no home folder
        return Path(tempfile.gettempdir()) / "ganlib-results"


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"
