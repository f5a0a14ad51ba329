"""The SHA-256 of every file that the pins name, and whether pip installed those files.

    python3.11 tools/hashes.py               writes pins.sha256 (part of `make constraints`)
    python tools/hashes.py REPORT...         checks pip's reports of installations against it

A file of a listed name must have the listed hash. One of another name (for another system, a torch of your own) is left
alone, unless GANLIB_HASHES is "all", as in CI. docs/decisions/0009 says why pip's own --require-hashes is not used.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "pins.sha256"
# Each list of pins, and the Pythons it is installed with. Their files are those for Linux on x86-64, where CI runs.
LISTS = {
    "constraints.txt": ("3.11", "3.12", "3.13"),
    "tests/colab-pins.txt": ("3.13",),
    "tests/lowest-pins.txt": ("3.11",),  # on 3.12 some of these are built from source
}
ELSEWHERE = ("appnope",)  # not for Linux
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(39, 4, -1)]
PLATFORMS += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]


def files(report: dict[str, Any]) -> dict[str, str]:
    """The files in a pip installation report, by name, with their SHA-256; the project itself is no file."""
    found = {}
    for item in report["install"]:
        archive = item["download_info"].get("archive_info")
        if archive is not None:
            name = unquote(urlsplit(item["download_info"]["url"]).path).rpartition("/")[2]
            found[name] = archive.get("hashes", {}).get("sha256", "")
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
    with tempfile.TemporaryDirectory() as folder:
        wanted, report = Path(folder, "pins.txt"), Path(folder, "report.json")
        wanted.write_text("\n".join(lines))
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--no-deps"]
        command += [
            "--only-binary",
            ":all:",
            "--implementation",
            "cp",
            "--python-version",
            f"{python}.99",
        ]  # the last of them
        command += [word for platform in PLATFORMS for word in ("--platform", platform)]
        subprocess.run([*command, "--target", folder, "--report", str(report), "-r", str(wanted)], check=True)
        return files(json.loads(report.read_text()))


def write() -> None:
    """Write pins.sha256 anew.

    Raises
    ------
    ValueError
        If pip chose a file that only this machine has, such as a local version.
    """
    wanted = [(ROOT / pins, python) for pins, pythons in LISTS.items() for python in pythons]
    found: dict[str, str] = {}
    with ThreadPoolExecutor(3) as pool:  # it waits for the index most of the time
        for some in pool.map(lambda one: resolve(*one), wanted):
            found |= some
    if strange := [name for name, sha256 in found.items() if not sha256 or "+" in name]:
        raise ValueError(f"{', '.join(strange)}: remove them from pip's sources (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL)")
    FILE.write_text("".join(f"{sha256}  {name}\n" for name, sha256 in sorted(found.items())))


def check(reports: list[str]) -> None:
    """Exit with a line on stderr if a file in one of pip's reports is not the one that was pinned."""
    pinned = listed(FILE.read_text(encoding="utf-8"))
    found: dict[str, str] = {}
    for report in reports:
        found |= files(json.loads(Path(report).read_text(encoding="utf-8")))
    if wrong := problems(found, pinned, every=os.environ.get("GANLIB_HASHES") == "all"):
        more = f" and {len(wrong) - 1} more" * (len(wrong) > 1)
        sys.exit(f"error: {wrong[0]}{more}: do not use it; look at pip's sources (pip config list) and try again")


if __name__ == "__main__":
    check(sys.argv[1:]) if sys.argv[1:] else write()
