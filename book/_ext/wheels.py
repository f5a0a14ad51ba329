"""ganlib as a wheel beside the exported notebooks: what their install cell brings, without the book and its results."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sphinx.errors import ExtensionError

FOLDER = "wheels"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps", "--no-index"]


@dataclass(frozen=True)
class Wheel:
    """name : the file's. place : where it is below the folder of the notebooks, with its hash for pip."""

    name: str
    place: str


def build_wheel(root: Path, folder: Path) -> Wheel:
    """Build the wheel of the sources in ``root`` into ``folder``/wheels, in place of one that lies there.

    The same sources give the same bytes. The sources are copied first, because a build leaves files among them.

    Raises
    ------
    ExtensionError
        If pip cannot build it; with the end of what it says.
    """
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary, "source")
        shutil.copytree(root / "ganlib", source / "ganlib", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(root / name, source)
        command = [*PIP, "--no-build-isolation", "--wheel-dir", temporary, str(source)]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1402444800"}  # the paper's day; any will do
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        built = list(Path(temporary).glob("ganlib-*.whl"))
        if done.returncode != 0 or len(built) != 1:
            raise ExtensionError(f"ganlib's wheel could not be built: {done.stderr.strip()[-500:]}")
        sha256 = hashlib.sha256(built[0].read_bytes()).hexdigest()
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
        place = folder / FOLDER / sha256[:16]
        place.mkdir(parents=True)
        shutil.copy(built[0], place)
        return Wheel(built[0].name, f"{FOLDER}/{place.name}/{built[0].name}#sha256={sha256}")
