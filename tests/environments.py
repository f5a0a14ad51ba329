"""Environments that the suite makes beside ``.venv``: another machine's packages, from a list of pins.

python tests/environments.py        makes both, side by side; the tests make what is missing by themselves
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYENV = Path(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")) / "versions"
# The list of pins is tests/NAME-pins.txt. The Pythons are tried in this order, and then the one that runs this.
ENVIRONMENTS = {"colab": ("3.13",), "lowest": ("3.11", "3.12")}


class Outdated(Exception):
    """A version of a list can no longer be had; the message names it."""


def version(python: str | Path) -> str:
    """Such as "3.13"; empty for what is there and does not run, as a shim of pyenv may."""
    asked = [str(python), "-c", "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, timeout=60).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def interpreter(*wanted: str) -> Path:
    """A Python of the first version in ``wanted`` that this machine has, else the one that runs this."""
    for each in wanted:
        found = [sys.executable, shutil.which(f"python{each}"), *sorted(PYENV.glob(f"{each}.*/bin/python"))]
        for python in filter(None, found):
            if version(python) == each:
                return Path(python)
    return Path(sys.executable)


def made(name: str) -> Path:
    """The Python of the environment ``.venv-NAME``, made anew unless it was made from the same list.

    Raises
    ------
    Outdated
        If the list names a version that is gone.
    RuntimeError
        If pip fails otherwise, with the end of what it says; or a file is not the one whose hash is listed.
    """
    pins, folder = ROOT / "tests" / f"{name}-pins.txt", ROOT / f".venv-{name}"
    base, python = interpreter(*ENVIRONMENTS[name]), folder / "bin" / "python"
    stamp, wanted = folder / ".complete", f"{ROOT}\n{version(base)}\n{pins.read_text(encoding='utf-8')}"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([base, "-m", "venv", folder], check=True)
    # Most of what is installed is never imported: what is, Python compiles then.
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    report = folder / "report.json"
    done = subprocess.run([*pip, "--report", report, "-r", pins], capture_output=True, text=True)
    if "No matching distribution" in done.stderr:
        raise Outdated(f"{pins.name} is outdated: {done.stderr.strip().splitlines()[-1]}")
    if done.returncode != 0:
        raise RuntimeError(f"pip could not install {pins.name}: {done.stderr.strip()[-1500:]}")
    # Only the files of the list have hashes, not what pip adds to them.
    variables = {name: value for name, value in os.environ.items() if name != "GANLIB_HASHES"}
    check = [python, "-I", "-S", ROOT / "tools" / "pins.py", report]
    checked = subprocess.run(check, env=variables, capture_output=True, text=True)
    if checked.returncode != 0:
        raise RuntimeError(f"{pins.name}: {checked.stderr.strip()[-1500:]}")
    stamp.write_text(wanted, encoding="utf-8")
    return python


def without_checkout() -> dict[str, str]:
    """This process's variables, but for those that would let another Python see the checkout or its environment."""
    ours = ("PYTHON", "VIRTUAL_ENV", "GANLIB_", "PYTEST", "JUPYTER", "IPYTHON", "MPLBACKEND")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "1000"}


def package_tests(python: Path, place: Path) -> subprocess.CompletedProcess[str]:
    """Run `pytest ganlib` with that Python; test packages it lacks come from constraints.txt, into ``place``."""
    wanted = ("hypothesis", "sortedcontainers", "torchmetrics", "lightning_utilities")
    asked = "import importlib.util, sys; print(*[n for n in sys.argv[1:] if importlib.util.find_spec(n) is None])"
    lacking = subprocess.run([python, "-c", asked, *wanted], check=True, capture_output=True, text=True).stdout.split()
    if lacking:
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        constraints = ["-c", ROOT / "constraints.txt"]
        subprocess.run([*pip, *constraints, "--target", place / "extra", *lacking], check=True)
    return subprocess.run(
        [python, "-m", "pytest", "ganlib", "-q", "-p", "no:cacheprovider", "--basetemp", place / "own"],
        cwd=ROOT,
        env=without_checkout() | {"PYTHONPATH": os.pathsep.join([str(place / "extra"), str(ROOT)])},
        capture_output=True,
        text=True,
    )


if __name__ == "__main__":
    with ThreadPoolExecutor() as pool:
        for _python in pool.map(made, ENVIRONMENTS):
            print(_python.parents[1])
