"""What would let a cell fail and its page be built all the same: refused in the sources, looked for afterwards.

Jupyter's tools skip cells with one tag, let them raise with another, and leave whole pages unexecuted on one line of
their front matter. Other failures raise nothing where the cell is: an exception in a thread, in a task that nobody
waits for. Python prints these on stderr, which no page shows. (Of a child process that fails nothing is known but what
it printed while its cell ran.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
from sphinx_external_toc.parsing import parse_toc_yaml

TAGS = ("hide-input", "remove-output", "scroll-output")  # any other may skip a cell, let it raise, or hide it
# A page's front matter could switch its execution off, let its cells raise, or take other outputs for its own.
REFUSED_FRONT = ("execution", "mystnb")
REFUSED_CONFIG = re.compile("(?:nb_)?execution_|jupyter_execute")
TRACEBACK = "Traceback (most recent call last)"
RECORD = ".unheard"  # beside the folder that the kernel starts in
# IPython runs it in the kernel before the first cell, whose names it leaves alone.
LISTEN = f"""
def listen(shell=get_ipython()):
    import asyncio, atexit, gc, os, sys, threading, traceback

    record, begun = os.getcwd() + {RECORD!r}, []
    shell.events.register("pre_run_cell", begun.append)  # versions of IPython count at different times

    def note(where, error):
        first = (str(error).splitlines() or [""])[0]
        with open(record, "a", encoding="utf-8") as file:
            file.writelines(traceback.format_exception(error))
            file.write(f"{{where}}, by code cell {{len(begun)}}: {{type(error).__name__}}: {{first}}\\n")

    in_thread, in_loop = threading.excepthook, asyncio.BaseEventLoop.default_exception_handler
    elsewhere = sys.unraisablehook

    def thread(arguments):
        if not issubclass(arguments.exc_type, SystemExit):
            note("in a thread", arguments.exc_value or arguments.exc_type())
        in_thread(arguments)

    def task(loop, context):
        if context.get("exception") is not None:
            note("in a task", context["exception"])
        in_loop(loop, context)

    def unraisable(arguments):
        # Of a cell or of ganlib: what other packages do while Python ends is not the book's.
        files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(arguments.exc_traceback)]
        if any("ipykernel_" in file or "ganlib" in file for file in files):
            note("in a finaliser", arguments.exc_value or arguments.exc_type())
        elsewhere(arguments)

    def unasked():
        for each in gc.get_objects():
            if issubclass(type(each), asyncio.Future) and getattr(each, "_log_traceback", False):
                note("in a task", each.exception())

    threading.excepthook, asyncio.BaseEventLoop.default_exception_handler = thread, task
    sys.unraisablehook = unraisable
    atexit.register(unasked)


listen()
del listen
"""


class Silent(Exception):
    """Something went wrong in a chapter, and no cell failed."""


def refused(root: Path, config: dict[str, Any]) -> Iterator[str]:
    """What the book in ``root``, with the settings ``config`` of ``_config.yml``, says that the build refuses."""
    execute = config.get("execute", {})
    if (mode := execute.get("execute_notebooks", "cache")) != "cache":
        yield f"_config.yml: execute_notebooks is {mode!r}: write cache, so that every cell runs"
    for name in ("allow_errors", "exclude_patterns"):
        if execute.get(name):
            yield f"_config.yml: {name} is {execute[name]!r}, and a cell could fail unseen: leave it out"
    for name in config.get("sphinx", {}).get("config") or {}:
        if REFUSED_CONFIG.match(name):
            yield f"_config.yml: {name} is set, and a cell could fail unseen: leave it out"
    for page in parse_toc_yaml(root / "_toc.yml"):
        path = root / f"{page}.md"
        if path.is_file():
            yield from refused_page(page, path)
        elif path.with_suffix(".ipynb").is_file():
            yield f"{page}.ipynb: its cells are not executed with the others: write it as MyST Markdown, {page}.md"


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
    code = [(cell, line) for cell, line in cells if cell.cell_type == "code"]
    for number, (cell, line) in enumerate(code, 1):
        if wrong := sorted(set(cell.metadata.get("tags", [])) - {*TAGS}):
            yield (
                f"{page}: code cell {number} (line {line}) has the tag {', '.join(wrong)}: a cell runs, fails the "
                f"build where it raises, and is shown; allowed are {', '.join(TAGS)}"
            )


def unheard(notebook: Any, record: Path) -> str:
    """What went wrong in an executed notebook without failing a cell, its last line naming the cell; else nothing.

    ``record`` is the file that the kernel kept; it is removed.
    """
    found = [record.read_text(encoding="utf-8")] if record.is_file() else []
    record.unlink(missing_ok=True)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(cells, 1):
        for output in cell.outputs:
            if output.output_type == "error":
                text = "\n".join(output.traceback)
                found.append(f"{text}\nshown by code cell {number}: {output.ename}: {output.evalue}")
        printed = "".join(output.text for output in cell.outputs if output.get("name") == "stderr")
        if TRACEBACK in printed and not found:
            found.append(f"{printed}\non stderr, by code cell {number}: {printed.strip().splitlines()[-1]}")
    return "\n".join(found).strip()
