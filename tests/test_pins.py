"""Every pinned file has its hash, and what pip installs is held to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import environments
import pins
import pytest
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).resolve().parents[1]

LISTED = pins.listed((ROOT / "pins.sha256").read_text())


def test_the_list_is_sorted_and_holds_names_and_hashes_only() -> None:
    lines = (ROOT / "pins.sha256").read_text().splitlines()
    assert len(lines) == len(LISTED) == len({*lines})
    assert list(LISTED) == sorted(LISTED)
    assert all(len(sha256) == 64 and int(sha256, 16) for sha256 in LISTED.values())
    assert not any("/" in name or "+" in name or not name.endswith(".whl") for name in LISTED)  # no address, no build


@pytest.mark.parametrize(("file", "python"), [(file, each) for file, all_ in pins.LISTS.items() for each in all_])
def test_every_pin_has_a_file_for_every_python_it_is_installed_with(file: str, python: str) -> None:
    version = tuple(map(int, python.split(".")))
    fits = {*cpython_tags(version, platforms=pins.PLATFORMS)}
    fits |= {*compatible_tags(version, f"cp{version[0]}{version[1]}", pins.PLATFORMS)}
    found = set()
    for name in LISTED:
        project, release, _, tags = parse_wheel_filename(name)
        if tags & fits:
            found.add((project, str(release)))
    for line in (ROOT / file).read_text().splitlines():
        name, _, release = line.partition("==")
        if release and name not in pins.ELSEWHERE:
            assert (canonicalize_name(name), release) in found, line


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with two pinned wheels, and a folder that pip finds them in."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "wheels").mkdir()
    shutil.copy(ROOT / "tools" / "pins.py", tmp_path / "tools")
    for name in ("one", "two"):
        wheel(tmp_path, name, "0")
    sums = [sha256(tmp_path / "wheels" / f"{name}-1.0-py3-none-any.whl") for name in ("one", "two")]
    lines = [f"{each}  {name}-1.0-py3-none-any.whl\n" for each, name in zip(sums, ("one", "two"), strict=True)]
    (tmp_path / "pins.sha256").write_text("".join(lines))
    return tmp_path


def wheel(tree: Path, name: str, value: str, version: str = "1.0") -> None:
    with zipfile.ZipFile(tree / "wheels" / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", f"value = {value}\n")
        info = f"{name}-{version}.dist-info"
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


def sha256(path: Path) -> str:
    return subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout.split()[0]


def installed(tree: Path, *wanted: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """pip's installation of what is ``wanted``, and then what the check says of its report."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    target = ["--find-links", tree / "wheels", "--target", tree / "site", "--upgrade", "--report", tree / "report.json"]
    environment = {name: value for name, value in os.environ.items() if name != "GANLIB_HASHES"} | variables
    subprocess.run([*pip, *target, *wanted], check=True, capture_output=True, env=environment)
    check = [sys.executable, "-I", "-S", tree / "tools" / "pins.py", tree / "report.json"]
    return subprocess.run(check, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("which", ["", "all"])
def test_the_pinned_files_pass(tree: Path, which: str) -> None:
    result = installed(tree, "one==1.0", "two==1.0", GANLIB_HASHES=which)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("which", ["", "all"])
def test_another_file_of_a_pinned_name_is_refused(tree: Path, which: str) -> None:
    wheel(tree, "two", "1")
    result = installed(tree, "one==1.0", "two==1.0", GANLIB_HASHES=which)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: two-1.0-py3-none-any.whl is not the file that was pinned (its SHA-256 is ")
    assert sha256(tree / "wheels" / "two-1.0-py3-none-any.whl") in line


def test_a_file_of_your_own_is_left_alone_unless_all_are_asked_for(tree: Path) -> None:
    """Such as a torch of another index: its version has a local part, and fits the pin."""
    wheel(tree, "two", "1", "1.0+mine")
    assert installed(tree, "two==1.0").returncode == 0
    result = installed(tree, "two==1.0", GANLIB_HASHES="all")
    assert result.returncode == 1
    assert "error: two-1.0+mine-py3-none-any.whl is not among the files that were pinned" in result.stderr


def test_the_tests_own_environments_are_held_to_the_list(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "ROOT", tree)
    monkeypatch.setattr(environments, "ENVIRONMENTS", {"mine": ()})
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tree / "wheels"), "GANLIB_HASHES": "all"}.items():
        monkeypatch.setenv(name, value)
    wheel(tree, "three", "0")  # what pip adds to a list of pins, and what has no hash
    (tree / "tests").mkdir()
    (tree / "tests" / "mine-pins.txt").write_text("one==1.0\nthree==1.0\n")
    python = environments.made("mine")
    assert subprocess.run([python, "-c", "import one, three"]).returncode == 0
    wheel(tree, "one", "1")
    (tree / "tests" / "mine-pins.txt").write_text("one==1.0\n")
    with pytest.raises(RuntimeError, match=r"mine-pins\.txt: error: one-1\.0-py3-none-any\.whl is not the file"):
        environments.made("mine")
    assert not (tree / ".venv-mine" / ".complete").exists()


def test_the_project_itself_is_no_file() -> None:
    editable = {"download_info": {"url": "file:///here", "dir_info": {"editable": True}}, "metadata": {}}
    assert pins.files([editable]) == {}
    assert pins.problems({"x.whl": ""}, {"x.whl": "1"}, every=False) == [
        "x.whl is not the file that was pinned (its SHA-256 is unknown)"
    ]


def test_the_pins_leave_out_the_project_and_refuse_a_local_version() -> None:
    def items(**versions: str) -> list[dict]:
        return [{"metadata": {"name": name, "version": version}} for name, version in versions.items()]

    assert pins.versions(items(zipp="4.1", ganlib="0.1.0", MarkupSafe="3.0", ruamel_yaml="1")) == [
        "markupsafe==3.0",
        "ruamel-yaml==1",
        "zipp==4.1",
    ]
    with pytest.raises(ValueError, match=r"torch resolved to the local version 2\.13\.0\+cpu"):
        pins.versions(items(torch="2.13.0+cpu"))
