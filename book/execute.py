"""Execute every chapter without stored outputs, side by side, each as a reader on Colab would.

Left to itself, Jupyter Book executes one chapter after the other, in the folder of the sources. Here each has an empty
folder (in the checkout: committed results are found), one thread, and a kernel that has ganlib but refuses the tools
that make the book, which Colab does not have. So what is on a page also runs in the notebook exported from it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import psutil
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from silent import COLOUR, unheard
from sphinx_external_toc.parsing import parse_toc_yaml

LOST = "its kernel died, or did not start (is memory full? the lines above say more)"
KERNEL_BYTES = 2 * 2**30  # the largest kernel of a chapter took 1.33 GiB on a CPU


def kernel_environment(profile: Path) -> dict[str, str]:
    """The variables of a kernel like Colab's; writes into the empty folder ``profile`` what the kernel runs first.

    One thread, whatever runs beside it: what a page shows does not depend on how many chapters are executed with it.
    """
    startup = profile / "profile_default" / "startup"
    startup.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("kernel.py"), startup)
    # Every kernel warns that it listens without encryption: on this machine only, as long as its chapter.
    (startup.parent / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 'ERROR'\n")
    return {"OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "1000", **os.environ, "IPYTHONDIR": str(profile)}


def chapters(root: Path) -> dict[str, Path]:
    """The pages of the book that have code, by name, those that train first: they take longest."""
    pages = {page: root / f"{page}.md" for page in parse_toc_yaml(root / "_toc.yml")}
    texts = {page: path.read_text(encoding="utf-8") for page, path in pages.items() if path.is_file()}
    code = [page for page, text in texts.items() if is_myst_markdown_notebook(text) and "{code-cell}" in text]
    return {page: pages[page] for page in sorted(code, key=lambda page: "on_gpu(" not in texts[page])}


def run(notebook: Any, timeout: int, place: Path, variables: dict[str, str]) -> tuple[str, float]:
    """Execute a notebook in an empty folder below ``place``: what went wrong, if anything did, and the seconds."""
    started, failure = time.perf_counter(), ""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        resources = {"metadata": {"path": folder}}
        # No times among the cells' metadata: these are part of the cache's key.
        client = NotebookClient(notebook, timeout=timeout, record_timing=False, resources=resources)
        try:
            client.execute(env=variables)
        except (CellExecutionError, CellTimeoutError) as error:
            failure = str(error)
        except RuntimeError:
            failure = LOST
    text = unheard(notebook, Path(f"{folder}.stderr"))
    return COLOUR.sub("", failure or text).strip(), time.perf_counter() - started


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
    stored = {record.hashkey for record in cache.list_cache_records()}
    waiting, failed = {}, {}
    for name, path in chapters(root).items():
        notebook = read_myst_markdown_notebook(path.read_text(encoding="utf-8"), path=path)
        if cache.create_hashed_notebook(notebook)[1] not in stored:
            waiting[name] = notebook
    if not waiting:
        return {}
    workers = max(1, min(len(waiting), os.cpu_count() or 1, psutil.virtual_memory().available // KERNEL_BYTES))
    print(f"executing {len(waiting)} chapters, {workers} at a time", flush=True)
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # this environment's kernel, whatever the user has installed elsewhere
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as profile, ThreadPoolExecutor(workers) as pool:
        variables = kernel_environment(Path(profile))
        jobs = {
            pool.submit(run, notebook, settings.get("timeout", 30), cache.path, variables): name
            for name, notebook in waiting.items()
        }
        try:
            for job in as_completed(jobs):
                name, (failure, seconds) = jobs[job], job.result()
                if failure:
                    failed[name] = failure
                else:
                    data = {"execution_seconds": seconds}
                    bundle = CacheBundleIn(waiting[name], str(root / f"{name}.md"), data=data)
                    cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
                what = "FAILED" if failure else "executed"
                print(f"{name}: {what} ({time.perf_counter() - started:.0f} s after the start)", flush=True)
        except BaseException:  # an interruption, a full disk: the kernels, each on its own, would go on
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(job.done() for job in jobs):
                for child in psutil.Process().children(recursive=True):
                    child.kill()
                time.sleep(0.1)
            raise
    return failed
