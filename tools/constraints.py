"""Write constraints.txt: the exact version of everything `.[dev]` installs, on Linux and macOS; then pins.sha256.

    python3.11 tools/constraints.py        (`make constraints`)

pip resolves the ranges of pyproject.toml without installing anything, and its report becomes the pins. Only the
oldest supported Python will do: what it resolves to serves the newer ones too, seldom the other way round.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = ("appnope",)  # what only macOS installs, pinned from here too
HEADER = """\
# The exact versions the book is built and tested with, on Python 3.11, 3.12 and 3.13. pyproject.toml holds the
# ranges; this file narrows them and installs nothing by itself (pip install -c constraints.txt -e .[dev]).
# Written by `make constraints`; do not edit.
"""


def canonical(name: str) -> str:
    """The normalized package name: lower case, runs of ``-_.`` as one hyphen (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(report: dict[str, Any]) -> list[str]:
    """The sorted ``name==version`` lines of a pip installation report, without the project itself.

    Raises
    ------
    ValueError
        If pip chose a local version (such as 2.13.0+cpu): another machine could not install it.
    """
    lines = []
    for item in report["install"]:
        name, version = canonical(item["metadata"]["name"]), item["metadata"]["version"]
        if name == "ganlib":
            continue
        if "+" in version:
            raise ValueError(f"{name} resolved to the local version {version}: remove that wheel from pip's sources")
        lines.append(f"{name}=={version}")
    return sorted(lines)


def resolve() -> dict[str, Any]:
    """pip's installation report for ``.[dev]`` as if nothing were installed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        subprocess.run([*command, "--report", str(path), f"{ROOT}[dev]", *ELSEWHERE], check=True)
        report: dict[str, Any] = json.loads(path.read_text())
        return report


if __name__ == "__main__":
    if sys.version_info[:2] != (3, 11):
        sys.exit(f"error: this is Python {sys.version.split()[0]}: run python3.11 tools/constraints.py")
    import hashes

    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(pins(resolve())) + "\n")
    hashes.write()
