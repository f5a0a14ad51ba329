"""The book's extensions, and Sphinx with them, for tests."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

from sphinx.testing.util import SphinxTestApp

EXTENSIONS = Path(__file__).resolve().parents[1] / "book" / "_ext"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def extension(name: str) -> ModuleType:
    """A module of the book's extensions, as Sphinx imports it."""
    sys.path.insert(0, str(EXTENSIONS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(EXTENSIONS))


def build(folder: Path, conf: str = "", **settings: object) -> tuple[Path, str]:
    """Build the pages in ``folder`` with this conf.py, if one is given; where they lie, and what Sphinx warned of."""
    if conf:
        (folder / "conf.py").write_text(f"import sys\nsys.path.insert(0, {str(EXTENSIONS)!r})\n{conf}")
    app = SphinxTestApp("html", srcdir=folder, confoverrides=settings)
    try:
        app.build()
        return Path(app.outdir), COLOUR.sub("", app.warning.getvalue())
    finally:
        app.cleanup()
