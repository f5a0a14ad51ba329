"""The exact version of everything `.[dev]` installs, the SHA-256 of every file so pinned, and whether pip took these.

    python3.11 tools/pins.py           writes constraints.txt and pins.sha256 (`make constraints`)
    python tools/pins.py REPORT...     checks pip's reports of installations against pins.sha256

pip resolves the ranges of pyproject.toml without installing anything, and its report becomes the pins. Only the oldest
supported Python will do: what it resolves to serves the newer ones too, seldom the other way round.

A file of a listed name must have the listed hash. One of another name (for another system, a torch of your own) is left
alone, unless GANLIB_HASHES is "all", as in CI. docs/decisions/0009 says why pip's own --require-hashes is not used.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "pins.sha256"
HEADER = """\
# The exact versions the book is built and tested with, on Python 3.11, 3.12 and 3.13. pyproject.toml holds the
# ranges; this file narrows them and installs nothing by itself (pip install -c constraints.txt -e .[dev]).
# Written by `make constraints`; do not edit.
"""
# Each list of pins, and the Pythons it is installed with. Their files are those for Linux on x86-64, where CI runs.
LISTS = {
    "constraints.txt": ("3.11", "3.12", "3.13"),
    "tests/colab-pins.txt": ("3.13",),
    "tests/lowest-pins.txt": ("3.11",),  # on 3.12 some of these are built from source
}
ELSEWHERE = ("appnope",)  # what only macOS installs, pinned from here too
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(39, 4, -1)]
PLATFORMS += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]


def dry_run(*words: str) -> list[dict[str, Any]]:
    """What pip's report says it would install for these words, as if nothing were installed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        subprocess.run([*command, "--target", folder, "--report", str(report), *words], check=True)
        items: list[dict[str, Any]] = json.loads(report.read_text())["install"]
        return items


def versions(items: list[dict[str, Any]]) -> list[str]:
    """The sorted ``name==version`` lines of a report's items, names normalized (PEP 503), without the project itself.

    Raises
    ------
    ValueError
        If pip chose a local version (such as 2.13.0+cpu): another machine could not install it.
    """
    found = {re.sub(r"[-_.]+", "-", each["metadata"]["name"]).lower(): each["metadata"]["version"] for each in items}
    found.pop("ganlib", None)
    for name, version in found.items():
        if "+" in version:
            raise ValueError(f"{name} resolved to the local version {version}: remove that wheel from pip's sources")
    return sorted(f"{name}=={version}" for name, version in found.items())


def files(items: list[dict[str, Any]]) -> dict[str, str]:
    """The files in a report's items, by name, with their SHA-256; the project itself is no file."""
    found = {}
    for info in (item["download_info"] for item in items):
        if "archive_info" in info:
            name = unquote(urlsplit(info["url"]).path).rpartition("/")[2]
            found[name] = info["archive_info"].get("hashes", {}).get("sha256", "")
    return found


def listed(text: str) -> dict[str, str]:
    """The content of pins.sha256, in the form of sha256sum: names of files with their hashes."""
    return {name: sha256 for sha256, name in (line.split("  ", 1) for line in text.splitlines() if line)}


def problems(found: dict[str, str], pinned: dict[str, str], *, every: bool) -> list[str]:
    """What is wrong with installed files: another hash than the listed one, or (``every``) none listed."""
    wrong = []
    for name, sha256 in sorted(found.items()):
        if name in pinned and sha256 != pinned[name]:
            wrong.append(f"{name} is not the file that was pinned (its SHA-256 is {sha256 or 'unknown'})")
        elif name not in pinned and every:
            wrong.append(f"{name} is not among the files that were pinned")
    return wrong


def resolve(pins: Path, python: str) -> dict[str, str]:
    """The files that pip would install for exactly these pins on Linux with this version of Python."""
    lines = [line for line in pins.read_text(encoding="utf-8").splitlines() if not line.startswith(("#", *ELSEWHERE))]
    words = ["--no-deps", "--only-binary=:all:", "--implementation=cp", f"--python-version={python}.99"]
    return files(dry_run(*words, *(f"--platform={platform}" for platform in PLATFORMS), *lines))


def write() -> None:
    """Write constraints.txt and pins.sha256 anew.

    Raises
    ------
    ValueError
        If pip chose a file that only this machine has, such as a local version.
    """
    lines = versions(dry_run(f"{ROOT}[dev]", *ELSEWHERE))
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(lines) + "\n")
    found: dict[str, str] = {}
    with ThreadPoolExecutor(3) as pool:  # it waits for the index most of the time
        wanted = [(ROOT / pins, python) for pins, pythons in LISTS.items() for python in pythons]
        for some in pool.map(resolve, *zip(*wanted, strict=True)):
            found |= some
    if strange := [name for name, sha256 in found.items() if not sha256 or "+" in name]:
        raise ValueError(f"{', '.join(strange)}: remove them from pip's sources (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL)")
    FILE.write_text("".join(f"{sha256}  {name}\n" for name, sha256 in sorted(found.items())))


def check(reports: list[str]) -> None:
    """Exit with a line on stderr if a file in one of pip's reports is not the one that was pinned."""
    items = [item for report in reports for item in json.loads(Path(report).read_text(encoding="utf-8"))["install"]]
    pinned, every = listed(FILE.read_text(encoding="utf-8")), os.environ.get("GANLIB_HASHES") == "all"
    if wrong := problems(files(items), pinned, every=every):
        more = f" and {len(wrong) - 1} more" * (len(wrong) > 1)
        sys.exit(f"error: {wrong[0]}{more}: do not use it; look at pip's sources (pip config list) and try again")


if __name__ == "__main__":
    if sys.argv[1:]:
        check(sys.argv[1:])
    elif sys.version_info[:2] != (3, 11):
        sys.exit(f"error: this is Python {sys.version.split()[0]}: run python3.11 tools/pins.py")
    else:
        write()
