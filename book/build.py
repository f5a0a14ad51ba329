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
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import yaml
from execute import execute
from silent import COLOUR, refused
from sqlalchemy.exc import SQLAlchemyError

ROOT = Path(__file__).resolve().parents[1]
# `jupyter-book` without the console script, whose first line breaks when an environment is moved.
JUPYTER_BOOK = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
COMPLAINT = re.compile(r"\b(WARNING|ERROR|SEVERE|CRITICAL): ")
# What fails the plain build too: a number or committed result with nothing behind it; cells that did not run.
FATAL = {
    r"\[ganlib\.(?:checks|numbers|results)\]\s*$": "{} numbers on pages have nothing behind them (listed above)",
    "Found an unexpected `code-cell`|Executing notebook failed": (
        "cells did not run in {} places (listed above); none may stand in a box or a list"
    ),
}
# Where the book, its notebooks and MathJax come from: in the pages, not in what the chapters compute.
ADDRESSES = ("GANLIB_REPOSITORY", "GANLIB_BRANCH", "GANLIB_BOOK_URL", "GANLIB_MATHJAX")
TESTS_ONLY = ("GANLIB_TEST_", "GANLIB_CHROMIUM", "GANLIB_HASHES")  # no cell reads them


class BuildError(Exception):
    """The build failed; the message is the one line to show, naming the remedy."""


def below(*folders: Path) -> Iterator[Path]:
    """Every file below ``folders`` that a person or a program wrote on purpose."""
    for folder in folders:
        yield from (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def digest(root: Path, files: Iterable[Path], facts: Iterable[str]) -> str:
    """A hash of the names and contents of those ``files`` below ``root`` that exist, and of ``facts``."""
    sha = hashlib.sha256(json.dumps([*facts]).encode())
    for path in sorted(filter(Path.is_file, files)):
        sha.update(f"\0{path.relative_to(root)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
    return sha.hexdigest()


def keys(root: Path) -> dict[str, str]:
    """What stored work depends on, besides the chapters: ``outputs`` of cells, and ``pages`` made from them."""
    versions = [platform.python_version(), metadata.version("torch")]
    given = {name: value for name, value in sorted(os.environ.items()) if name.startswith("GANLIB_") and value.strip()}
    cells = [f"{name}={value}" for name, value in given.items() if not name.startswith((*ADDRESSES, *TESTS_ONLY))]
    addresses = [f"{name}={value}" for name, value in given.items() if name in ADDRESSES]
    book = root / "book"
    code = [path for path in below(root / "ganlib") if "tests" not in path.parts]
    code += below(book / "results", root / "benchmarks" / "results")
    code += [root / "constraints.txt", *(book / name for name in ("execute.py", "kernel.py", "silent.py"))]
    looks = [root / "_config.yml", root / "_toc.yml", *below(book / "_ext", book / "static")]
    return {"outputs": digest(root, code, versions + cells), "pages": digest(root, looks, addresses)}


def drop_stale(build: Path, now: dict[str, str]) -> None:
    """Remove from ``build`` the outputs and pages that no longer follow from their sources."""
    record, before = build / "keys.json", {}
    with suppress(OSError, ValueError):
        before = json.loads(record.read_text())
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
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    complaints = []
    with subprocess.Popen(command, env=environment, **pipes) as process:
        for line in process.stdout or ():
            plain = COLOUR.sub("", line)  # a colour in front would hide the word
            print(line if sys.stdout.isatty() else plain, end="", flush=True)
            complaints += [plain] if COMPLAINT.search(plain) else []
    if process.returncode != 0:
        what = f"{len(complaints)} warnings or errors (repeated above)" if complaints else f"code {process.returncode}"
        fail(complaints, f"Jupyter Book failed with {what}")
    for sign, message in FATAL.items():
        if found := [line for line in complaints if re.search(sign, line)]:
            fail(found, message.format(len(found)))


def fail(lines: Iterable[str], message: str) -> NoReturn:
    """Print lines of output once more, on stderr, and raise `BuildError`."""
    print(*lines, sep="", end="", file=sys.stderr)
    raise BuildError(message)


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
        what = "; ".join(f"{chapter}: {traceback.splitlines()[-1]}" for chapter, traceback in failed.items())
        mark.write_text(f"a cell raised in {what}")
        fail([f"\n{traceback}\n\n" for traceback in failed.values()], f"a cell raised in {what} (traceback above)")
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
    except (OSError, SQLAlchemyError) as error:
        where, what = getattr(error, "filename", None) or ROOT, getattr(error, "strerror", None) or error
        print(f"error: {where}: {what}; is the disk full, or the folder read-only?", file=sys.stderr)
    except KeyboardInterrupt:
        print("error: interrupted; the chapters executed so far are kept", file=sys.stderr)
        return 130
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
