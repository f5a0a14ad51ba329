"""What would let a cell fail and its page be built all the same: refused in the sources, looked for afterwards.

Jupyter's tools skip cells with one tag, let them raise with another, and leave whole pages unexecuted on one line of
their front matter. Other failures raise nothing where the cell is: an exception in a thread, in a task that nobody
waits for. Python prints these on stderr, which no page shows, and which kernel.py keeps a copy of. (Of a child process
that fails nothing is known but what it printed while its cell ran.)
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
from sphinx_external_toc.parsing import parse_toc_yaml

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
REMOVED = "remove-cell"  # the cell runs, and is neither on the page nor in its notebook
TAGS = ("hide-input", "remove-output", "scroll-output", REMOVED)  # any other may skip a cell or let it raise
# A page's front matter could switch its execution off, let its cells raise, or take other outputs for its own.
REFUSED_FRONT = ("execution", "mystnb")
REFUSED_CONFIG = re.compile("(?:nb_)?execution_|jupyter_execute")
TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?:\s.*\n|\n)*(.+)")  # and what was raised


def refused(root: Path, config: dict[str, Any]) -> Iterator[str]:
    """What the book in ``root``, with the settings ``config`` of ``_config.yml``, says that the build refuses."""
    execute = config.get("execute", {})
    wrong = {name: execute[name] for name in ("allow_errors", "exclude_patterns") if execute.get(name)}
    if execute.get("execute_notebooks", "cache") != "cache":
        wrong["execute_notebooks"] = execute["execute_notebooks"]
    settings = config.get("sphinx", {}).get("config") or {}
    wrong |= {name: value for name, value in settings.items() if REFUSED_CONFIG.match(name)}
    for name, value in wrong.items():
        yield f"_config.yml: {name} is {value!r}, and a cell could fail unseen: leave it out"
    for page in parse_toc_yaml(root / "_toc.yml"):
        path = root / f"{page}.md"
        if path.is_file():
            yield from refused_page(page, path)
        elif path.with_suffix(".ipynb").is_file():
            yield f"{page}.ipynb: its cells are not executed with the others: write it as MyST Markdown, {page}.md"


def names(code: str, context: type[ast.expr_context]) -> set[str]:
    """The names that a cell reads (``ast.Load``) or binds (``ast.Store``, imports and definitions among them)."""
    with suppress(SyntaxError):  # which fails the build where the cell runs
        nodes = list(ast.walk(ast.parse(code)))
        found = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, context)}
        if context is ast.Store:
            found |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
            found |= {(node.asname or node.name).partition(".")[0] for node in nodes if isinstance(node, ast.alias)}
        return found
    return set()


def refused_page(page: str, path: Path) -> Iterator[str]:
    """What a page's source says that the build refuses, with its name, the cell's number and its line."""
    text = path.read_text(encoding="utf-8")
    if not is_myst_markdown_notebook(text):
        return
    notebook = read_myst_markdown_notebook(text, add_source_map=True, path=path)
    for name in REFUSED_FRONT:
        if name in notebook.metadata:
            yield f"{page}: its front matter has {name!r}, and a cell could fail unseen: leave it out"
    cells = zip(notebook.cells, notebook.metadata["source_map"], strict=True)
    code = [each for each in cells if each[0].cell_type == "code"]
    for number, (cell, line) in enumerate(code, 1):
        if wrong := sorted(set(cell.metadata.get("tags", [])) - {*TAGS}):
            yield (
                f"{page}: code cell {number} (line {line}) has the tag {', '.join(wrong)}: a cell runs, fails the "
                f"build where it raises, and is shown; allowed are {', '.join(TAGS)}"
            )
    removed = [REMOVED in cell.metadata.get("tags", []) for cell, _ in code]
    for number, (cell, line) in enumerate(code, 1):
        if removed[number - 1]:
            others = [names(each.source, ast.Load) for (each, _), gone in zip(code, removed, strict=True) if not gone]
            if wanted := sorted(names(cell.source, ast.Store) & set().union(*others)):
                yield (
                    f"{page}: code cell {number} (line {line}) has the tag {REMOVED}, and is not in the notebook, "
                    f"whose other cells use its {', '.join(wanted)}: use other names, or hide-input"
                )
            if "glue" not in names(cell.source, ast.Load):
                yield (
                    f"{page}: code cell {number} (line {line}) has the tag {REMOVED}, and glues nothing: "
                    "what a reader may not see is only what puts numbers into the text"
                )


def unheard(notebook: Any, record: Path) -> str:
    """What went wrong in an executed notebook without failing a cell, its last line naming the cell; else nothing.

    ``record`` is the kernel's copy of stderr; it is removed.
    """
    printed: dict[tuple[int, bool], str] = {}
    for line in record.read_text(encoding="utf-8").splitlines() if record.is_file() else ():
        number, ending, text = json.loads(line)
        printed[number, ending] = printed.get((number, ending), "") + text
    record.unlink(missing_ok=True)
    found = []
    for (number, ending), text in printed.items():
        raised = TRACEBACK.search(COLOUR.sub("", text))
        # What other packages do while Python ends is not the book's.
        if raised and (not ending or "ipykernel_" in text or "ganlib" in text):
            found.append(f"{text}\non stderr, by code cell {number}: {raised[1]}")
    for number, cell in enumerate([cell for cell in notebook.cells if cell.cell_type == "code"], 1):
        for output in cell.outputs:
            if output.output_type == "error":
                text = "\n".join(output.traceback)
                found.append(f"{text}\nshown by code cell {number}: {output.ename}: {output.evalue}")
    return "\n".join(found).strip()
