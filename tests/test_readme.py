"""What the README shows works as it is shown for one who ran ``pip install .`` and is in another folder.

Its own lines are run. What takes minutes is made small: numbers of iterations, samples and units differ.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S)
SHOWN = [
    line for block in re.findall(r"^```console\n(.*?)^```$", README, re.M | re.S) for line in block.splitlines() if line
]
LINES = [shlex.split(line.removeprefix("$ "), comments=True) for line in SHOWN]
SMALL = ["--set", "iterations=4", "--set", "every=2", "--set", "width=8", "--quiet"]
SMALLER = {"train": SMALL, "reproduce": [*SMALL, "--samples", "50"], "evaluate": ["--samples", "50"]}
# One process, which imports torch once.
COMMANDS = """
import json, sys
from ganlib.lab.cli import main
for arguments in json.loads(sys.argv[1]):
    print("$", *arguments)
    code = main(arguments)
    assert code == 0, (arguments, code)
"""
# Python runs it when it starts. What is not to be there is not found; an error would be more than that.
WITHOUT = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {names!r} else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Without, sys.meta_path)
"""


def brought() -> set[str]:
    """The distributions that `pip install .` installs, by the metadata of those installed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    todo, found = list(project["dependencies"]), {"pip", "setuptools"}
    while todo:
        requirement = Requirement(todo.pop())
        name = canonicalize_name(requirement.name)
        if name not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            found.add(name)
            todo += metadata.requires(name) or []
    return found


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "ganlib", site / "ganlib", ignore=shutil.ignore_patterns("__pycache__"))
    return site


def variables(*paths: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GANLIB_")}
    return {
        **kept, "PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1", "GANLIB_DEVICE": "cpu"
    }  # fmt: skip


@pytest.fixture(scope="module")
def installed(package: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables of a process that finds the package with what `pip install .` brings, and nothing else."""
    core = {"ganlib", *brought()}
    others = {
        module
        for module, distributions in metadata.packages_distributions().items()
        if not core & {canonicalize_name(name) for name in distributions}
    }
    assert "pytest" in others
    first = tmp_path_factory.mktemp("first")
    (first / "sitecustomize.py").write_text(WITHOUT.format(names=others))
    return variables(first, package)


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def smaller(line: list[str]) -> list[str]:
    """What a line passes to ganlib's command line, made small."""
    given = line[line.index("ganlib") + 1 :]
    if given[:2] == ["data", "get"]:  # these need no download; test_downloads.py has those that do
        return ["data", "get", "digits"]
    return [*given, *SMALLER.get(given[0], [])]


def test_no_line_is_left_out() -> None:
    assert all(line.startswith("$ ") for line in SHOWN)
    for line in LINES:
        # The first two have tests of their own: test_make.py, test_packaging.py.
        known = (["make"], ["pip", "install"], ["pytest", "--pyargs"], ["python", "-m", "ganlib"], ["torchrun"])
        assert any(line[: len(start)] == start for start in known), line


def test_the_example_runs_from_any_folder(tmp_path: Path, package: Path, installed: dict[str, str]) -> None:
    quick = EXAMPLE.replace("iterations=1000, every=100", "iterations=4, every=2")
    assert quick != EXAMPLE
    checks = "\nimport ganlib, sys\nassert ganlib.__file__.startswith(sys.argv[1])\nprint(images.shape)\n"
    said = run([sys.executable, "-c", quick + checks, str(package)], tmp_path, installed).splitlines()
    assert [line.partition(",")[0] for line in said[-3:-1]] == ["Report(iteration=2", "Report(iteration=4"]
    assert said[-1] == "torch.Size([100, 784])"


def test_the_commands_run_one_after_the_other_in_one_folder(tmp_path: Path, installed: dict[str, str]) -> None:
    alone = [smaller(line) for line in LINES if line[:3] == ["python", "-m", "ganlib"]]
    alone += [shlex.split(command) for command in re.findall(r"`(runs [\w-]+)`", "\n".join(SHOWN))]
    assert {each[0] for each in alone} == {"runs", "data", "train", "evaluate", "sample", "reproduce", "study"}
    said = run([sys.executable, "-c", COMMANDS, json.dumps(alone)], tmp_path, installed)
    assert said.count("\n$ ") == len(alone) - 1
    (together,) = [line for line in LINES if line[0] == "torchrun"]
    launched = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        *together[1 : together.index("ganlib") + 1],
    ]
    run([*launched, *smaller(together)], tmp_path, installed)
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {"ring.png", "trained/five/ring8.json", "trained/two/checkpoint-000000004.safetensors"} <= made


def test_the_tests_of_the_package_run_from_any_folder(tmp_path: Path, package: Path) -> None:
    (line,) = [line for line in LINES if line[0] == "pytest"]
    assert line == ["pytest", "--pyargs", "ganlib"]
    said = run([sys.executable, "-m", *line[:-1], "ganlib.tests.test_losses"], tmp_path, variables(package))
    assert f"rootdir: {tmp_path}" in said
    assert re.search(r"^=+ \d+ passed", said.splitlines()[-1])
