"""The project's files agree with each other, and what `pip install .` installs is whole."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SUPPORTED = ("3.11", "3.12", "3.13")


def pinned() -> dict[str, Version]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {name: Version(version) for name, version in (line.split("==") for line in lines)}


def declared() -> Iterator[Requirement]:
    """Every requirement of the package and of all its extras, the references among extras left out."""
    for line in chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        requirement = Requirement(line)
        if requirement.name != PROJECT["name"]:
            yield requirement


def test_constraints_are_plain_sorted_pins() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines == sorted(set(lines))
    for line in lines:
        # No address, no marker, no local version such as +cpu: any index on any machine can serve it.
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line), line
        assert canonicalize_name(line.partition("==")[0]) == line.partition("==")[0]


@pytest.mark.parametrize("requirement", declared(), ids=str)
def test_every_declared_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    assert requirement.specifier, "a range, so that a version that never worked is not accepted"
    assert requirement.specifier.contains(pinned()[canonicalize_name(requirement.name)])


def lowest() -> dict[str, Version]:
    lines = (ROOT / "tests" / "lowest-pins.txt").read_text().splitlines()
    return {name: Version(version) for name, version in (line.split("==") for line in lines if line[0] != "#")}


def test_the_lowest_versions_declared_are_those_that_are_tested() -> None:
    extras, pins = PROJECT["optional-dependencies"], lowest()
    for line in (*PROJECT["dependencies"], *extras["notebook"], *extras["tensorboard"]):
        requirement = Requirement(line)
        (bound,) = [Version(each.version) for each in requirement.specifier if each.operator == ">="]
        assert pins[requirement.name] == bound, f"{line}: tests/lowest-pins.txt has {pins[requirement.name]}"
    for requirement in map(Requirement, extras["test"]):
        assert requirement.name == PROJECT["name"] or pins[requirement.name] in requirement.specifier, requirement
    assert pins.keys() <= {requirement.name for requirement in declared()}


def installed_needs(environment: dict[str, str]) -> set[str]:
    """The names that `.[dev]` pulls in under ``environment``, found by walking the installed metadata."""
    todo = [(canonicalize_name(requirement.name), frozenset(requirement.extras)) for requirement in declared()]
    seen = set()
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # wanted on another system only: its own needs cannot be seen here
            continue
        for requirement in map(Requirement, lines):
            if requirement.marker is None or any(
                requirement.marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras)
            ):
                todo.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return {name for name, _ in seen}


@pytest.mark.parametrize("python", SUPPORTED)
@pytest.mark.parametrize(
    "system", [("linux", "Linux", "x86_64"), ("linux", "Linux", "aarch64"), ("darwin", "Darwin", "arm64")]
)
def test_everything_installed_transitively_is_pinned(python: str, system: tuple[str, str, str]) -> None:
    platform = dict(zip(("sys_platform", "platform_system", "platform_machine"), system, strict=True))
    environment = {**default_environment(), **platform, "python_version": python, "python_full_version": f"{python}.0"}
    assert installed_needs(environment) <= pinned().keys()


def test_supported_pythons_are_the_same_everywhere() -> None:
    classifiers = {line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)}
    assert classifiers == set(SUPPORTED)
    assert PROJECT["requires-python"] == f">={SUPPORTED[0]}"
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (conda,) = [line for line in dependencies if isinstance(line, str) and line.startswith("python ")]
    accepted = SpecifierSet(conda.removeprefix("python "))
    assert [f"3.{minor}" for minor in range(20) if f"3.{minor}" in accepted] == list(SUPPORTED)


def test_conda_installs_what_make_installs() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    dependencies = environment["dependencies"]
    assert f"`conda activate {environment['name']}`" in (ROOT / "README.md").read_text(encoding="utf-8")
    (pip,) = [entry["pip"] for entry in dependencies if isinstance(entry, dict)]
    assert "pip" in dependencies
    script = (ROOT / "tools" / "environment.sh").read_text()
    for line in pip:
        assert line in script, f"environment.yml passes {line!r} to pip, tools/environment.sh does not"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of this checkout, built and unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    source = folder / "checkout"
    made = (
        ".*",
        "_build",
        "build",
        "dist",
        "results",
        "trained",
        "*.egg-info",
        "__pycache__",
    )  # no part of the sources
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*made))
    hook = "from setuptools.build_meta import build_sdist; build_sdist('..')"
    subprocess.run([sys.executable, "-c", hook], cwd=source, check=True, capture_output=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / f"ganlib-{PROJECT['version']}"


def below(folder: Path) -> set[str]:
    """The files of ``folder``, named from its parent."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder.parent).as_posix() for path in files}


def test_the_source_distribution_holds_what_the_package_is_built_from_and_no_more(unpacked: Path) -> None:
    mine = {"CITATION.cff", "LICENSE", "MANIFEST.in", "README.md", "ganlib", "pyproject.toml"}
    assert {path.name for path in unpacked.iterdir()} == {*mine, "PKG-INFO", "ganlib.egg-info", "setup.cfg"}
    assert below(unpacked / "ganlib") == below(ROOT / "ganlib")


def test_the_tests_in_the_source_distribution_find_all_they_import(unpacked: Path) -> None:
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "ganlib"]
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(collect, cwd=unpacked, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert len(re.findall(r"^ganlib/tests/test_\w+\.py::", done.stdout, re.M)) > 500
    assert "ganlib/theory.py::ganlib.theory.kl" in done.stdout


def test_the_wheel_holds_every_file_of_the_package_and_imports(unpacked: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    offline = ["--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "wheel", *offline, "--no-build-isolation", "-w", tmp_path, unpacked], check=True)
    (wheel,) = tmp_path.glob("ganlib-*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    assert below(ROOT / "ganlib") <= held
    assert {"ganlib/py.typed", "ganlib/tests/__init__.py"} <= held
    assert {name.partition("/")[0] for name in held} == {"ganlib", f"ganlib-{PROJECT['version']}.dist-info"}

    subprocess.run([*pip, "install", *offline, "--target", tmp_path / "site", wheel], check=True)
    program = (
        "import importlib, pathlib, pkgutil, sys; sys.path.insert(0, sys.argv[1]); import ganlib\n"
        "assert pathlib.Path(ganlib.__file__).is_relative_to(sys.argv[1]), ganlib.__file__\n"
        "for module in pkgutil.walk_packages(ganlib.__path__, 'ganlib.'):\n"
        "    if '.tests' not in module.name and not module.name.endswith('__main__'):\n"
        "        importlib.import_module(module.name)\n"
    )
    subprocess.run(
        [sys.executable, "-I", "-c", program, tmp_path / "site"], check=True, cwd=tmp_path, env={**os.environ}
    )


def test_citation_is_valid_and_names_this_version() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.citation-file-format"]
    subprocess.run([*check, ROOT / "CITATION.cff"], check=True, capture_output=True)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    assert (ROOT / "LICENSE").read_text().startswith(f"{PROJECT['license']} License")
