"""Show ``name : what it is`` in a docstring as a name and what it is.

Napoleon takes all that follows the colon on the line for a type and puts it in parentheses, even where the sentence
goes on below. The docstrings of ganlib say there what the parameter is; put on a line of its own, it is a description.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

WITH_ENTRIES = ("Parameters", "Attributes")
ENTRY = re.compile(r"(\S.*?) : (.+)")


def apart(lines: list[str]) -> list[str]:
    """The lines of a docstring with each entry's name on a line, and what it is below it."""
    found: list[str] = []
    section = ""
    for i, line in enumerate(lines):
        if re.fullmatch("-{3,}", lines[i + 1] if i + 1 < len(lines) else ""):
            section = line
        entry = ENTRY.fullmatch(line) if section in WITH_ENTRIES else None
        found += [entry[1], f"    {entry[2]}"] if entry else [line]
    return found


def process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = apart(lines)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", process, priority=400)  # before napoleon
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
