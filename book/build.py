"""Build the book: execute every chapter whose code changed, render the pages, and fail when anything failed.

    python book/build.py             what `make book` runs
    python book/build.py --strict    what CI runs: from nothing, and every warning is an error

It adds to `jupyter-book build` what that leaves out. Jupyter Book keys a chapter's stored outputs on the chapter
alone, so an edited ganlib would leave old outputs; it executes one chapter after the other, and exits with 0 when a
cell raised (see execute.py); and it does not always rewrite a page when only its configuration changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import yaml
from execute import COLOUR, execute
from silent import refused

ROOT = Path(__file__).resolve().parents[1]
# `jupyter-book` without the console script, whose first line breaks when an environment is moved.
JUPYTER_BOOK = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
COMPLAINT = re.compile(r"\b(WARNING|ERROR|SEVERE|CRITICAL): ")
# Of the book's own extensions: a number without a source, a committed result that is not what it says.
UNFOUNDED = re.compile(r"\[ganlib\.(?:numbers|results)\]\s*$")
# Of myst_nb: cells that are not among those executed, or that raised when Sphinx executed them.
UNRUN = re.compile("Found an unexpected `code-cell`|Executing notebook failed")
# Where the book, its notebooks and MathJax come from: in the pages, not in what the chapters compute.
ADDRESSES = ("GANLIB_REPOSITORY", "GANLIB_BRANCH", "GANLIB_BOOK_URL", "GANLIB_MATHJAX")
TESTS_ONLY = ("GANLIB_TEST_", "GANLIB_CHROMIUM", "GANLIB_HASHES")  # no cell reads them
FULL_DISK = ("No space left on device", "[Errno 28]", "Disk quota exceeded")


class BuildError(Exception):
    """The build failed; the message is the one line to show, naming the remedy."""


def digest(root: Path, files: Iterable[Path], *facts: str) -> str:
    """A hash of the names and contents of ``files`` below ``root`` and of ``facts``."""
    sha = hashlib.sha256(json.dumps(facts).encode())
    for path in sorted(set(files)):
        sha.update(f"\0{path.relative_to(root)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
    return sha.hexdigest()


def below(folder: Path) -> Iterator[Path]:
    """Every file below ``folder`` that a person or a program wrote on purpose."""
    return (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def keys(root: Path) -> dict[str, str]:
    """What stored work depends on, besides the chapters: ``outputs`` of cells, and ``pages`` made from them."""
    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        torch = "none"
    settings = {name: value for name, value in sorted(os.environ.items()) if value.strip()}  # blank is not set
    named = {name: f"{name}={value}" for name, value in settings.items() if name.startswith("GANLIB_")}
    named = {name: text for name, text in named.items() if not name.startswith(TESTS_ONLY)}
    addresses = [named.pop(name) for name in ADDRESSES if name in named]
    code = [
        root / "constraints.txt",
        *(f for f in below(root / "ganlib") if "tests" not in f.parts),
        *below(root / "book" / "results"),
        *below(root / "benchmarks" / "results"),
        root / "book" / "execute.py",
        root / "book" / "silent.py",
    ]
    looks = [root / "_config.yml", root / "_toc.yml", *below(root / "book" / "_ext"), *below(root / "book" / "static")]
    return {
        "outputs": digest(root, filter(Path.is_file, code), platform.python_version(), torch, *named.values()),
        "pages": digest(root, filter(Path.is_file, looks), *addresses),
    }


def drop_stale(build: Path, now: dict[str, str]) -> None:
    """Remove from ``build`` the outputs and pages that no longer follow from their sources."""
    record = build / "keys.json"
    try:
        before = json.loads(record.read_text())
    except (OSError, ValueError):
        before = {}
    if before.get("outputs") != now["outputs"]:
        shutil.rmtree(build / ".jupyter_cache", ignore_errors=True)
    if before != now:
        shutil.rmtree(build / ".doctrees", ignore_errors=True)
        shutil.rmtree(build / "html", ignore_errors=True)
    build.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(now))


def run_jupyter_book(root: Path, *, strict: bool) -> None:
    """Run Jupyter Book on ``root``, its output passed on line by line; if it fails, what it complained of once more.

    Raises
    ------
    BuildError
        If it exits with anything but 0, a number on a page has nothing behind it, or a cell did not run.
    """
    command = [*JUPYTER_BOOK, "build", str(root), *(["-W", "--keep-going"] if strict else [])]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    full, complaints = False, []
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line if sys.stdout.isatty() else COLOUR.sub("", line), end="", flush=True)
            full = full or any(sign in line for sign in FULL_DISK)
            if COMPLAINT.search(plain := COLOUR.sub("", line)):  # a colour in front would hide the word
                complaints.append(plain)
    if full:
        raise BuildError(f"the disk is full: free some space (df -h {root} {tempfile.gettempdir()}) and build again")
    if process.returncode != 0:
        print(*complaints, sep="", end="", file=sys.stderr)
        what = f"{len(complaints)} warnings or errors (repeated above)" if complaints else f"code {process.returncode}"
        raise BuildError(f"Jupyter Book failed with {what}")
    if unfounded := [line for line in complaints if UNFOUNDED.search(line)]:
        print(*unfounded, sep="", end="", file=sys.stderr)
        raise BuildError(f"{len(unfounded)} numbers on pages have nothing behind them (listed above)")
    if unrun := [line for line in complaints if UNRUN.search(line)]:
        print(*unrun, sep="", end="", file=sys.stderr)
        raise BuildError(f"cells did not run in {len(unrun)} places (listed above); none may stand in a box or a list")


def build(root: Path, *, strict: bool = False) -> Path:
    """Build the book in ``root`` into ``root/_build/html``; returns the path of the first page.

    Parameters
    ----------
    root
        The folder with ``_config.yml`` and ``_toc.yml``.
    strict
        Start from nothing and take every warning for an error.

    Raises
    ------
    BuildError
        If a cell raised or could fail unseen, Sphinx failed, a number has nothing behind it, or (``strict``) anything
        warned.
    """
    folder = root / "_build"
    if found := list(refused(root, yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8")))):
        raise BuildError("\n".join(found))
    if strict:
        shutil.rmtree(folder, ignore_errors=True)
    drop_stale(folder, keys(root))
    mark = folder / "failed"  # the pages of the last build are left as they are: who looks at them must know
    mark.unlink(missing_ok=True)
    if failed := execute(root):
        for traceback in failed.values():
            print(f"\n{traceback}\n", file=sys.stderr)
        what = "; ".join(f"{chapter}: {traceback.splitlines()[-1]}" for chapter, traceback in failed.items())
        mark.write_text(f"a cell raised in {what}")
        raise BuildError(f"a cell raised in {what} (traceback above)")
    run_jupyter_book(root, strict=strict)
    index = folder / "html" / "index.html"
    if not index.is_file():
        raise BuildError(f"{index} was not written: is the root page of _toc.yml there?")
    return index


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--strict", action="store_true", help="from nothing, and every warning is an error")
    options = parser.parse_args(arguments)
    try:
        print(build(ROOT, strict=options.strict))
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        remedy = "is the disk full, or the folder read-only?"
        print(f"error: {error.filename or ROOT}: {error.strerror}; {remedy}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted; the chapters executed so far are kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
