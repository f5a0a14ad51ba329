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
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "ganlib")


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
        source.mkdir()
        for name in SOURCES:
            copy = shutil.copytree if (root / name).is_dir() else shutil.copy
            copy(root / name, source / name)
        for stale in [*source.rglob("__pycache__")]:
            shutil.rmtree(stale)
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-index",
        ]
        done = subprocess.run(
            [*pip, "--no-build-isolation", "--wheel-dir", temporary, str(source)],
            env={**os.environ, "SOURCE_DATE_EPOCH": "1402444800"},  # the paper's day; any will do
            capture_output=True,
            text=True,
        )
        built = list(Path(temporary).glob("ganlib-*.whl"))
        if done.returncode != 0 or len(built) != 1:
            raise ExtensionError(f"ganlib's wheel could not be built: {done.stderr.strip()[-500:]}")
        sha256 = hashlib.sha256(built[0].read_bytes()).hexdigest()
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
        place = folder / FOLDER / sha256[:16]
        place.mkdir(parents=True)
        shutil.copyfile(built[0], place / built[0].name)
        return Wheel(built[0].name, f"{FOLDER}/{sha256[:16]}/{built[0].name}#sha256={sha256}")
