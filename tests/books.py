"""Tiny books for the tests of the build and of its extensions."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import local_mathjax
import npm
import yaml

ROOT = Path(__file__).resolve().parents[1]

# By its path: a package of PyPI has the same name.
spec = importlib.util.spec_from_file_location("book_build", ROOT / "book" / "build.py")
book_build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(book_build)
execute = sys.modules["execute"]

FRONT = """\
---
jupytext:
  text_representation:
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A chapter

"""


def cell(code: str, options: str = "") -> str:
    """A code cell; ``options`` are whole lines."""
    return f"```{{code-cell}} ipython3\n{options}{code}\n```\n\n"


def book(root: Path, chapters: dict[str, str], config: str = "execute: {execute_notebooks: cache}\n") -> Path:
    """Write a book of these chapters, each a whole page; returns ``root``."""
    (root / "book").mkdir(parents=True)
    (root / "constraints.txt").write_text("# no pins\n")
    (root / "_config.yml").write_text(f"title: Tiny\n{config}")
    contents(root, *chapters)
    (root / "book" / "index.md").write_text("# Tiny\n")
    for name, text in chapters.items():
        (root / "book" / f"{name}.md").write_text(text)
    return root


def contents(root: Path, *chapters: str) -> None:
    """Write the table of contents."""
    files = [{"file": f"book/{name}"} for name in chapters]
    (root / "_toc.yml").write_text(yaml.safe_dump({"format": "jb-book", "root": "book/index", "chapters": files}))


def stand_in_mathjax(cache: Path) -> Path:
    """A cache of npm packages that holds empty files in place of MathJax; returns ``cache``."""
    folder = npm.place(cache) / "node_modules" / "mathjax"
    for name in local_mathjax.FOLDERS:
        (folder / "es5" / name).mkdir(parents=True)
    for name in local_mathjax.FILES:
        (folder / "es5" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "es5" / name).touch()
    (folder / "LICENSE").touch()
    return cache
