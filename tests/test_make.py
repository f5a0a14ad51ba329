"""`make` and .ci/run, run with stand-ins on PATH: what a reader sees when the machine is not as it should be."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("awk", "bash", "cat", "cp", "df", "dirname", "grep", "make", "mkdir", "rm", "sh", "tail")

# A Python as tools/environment.sh sees one: it tells its version, makes an environment, and has a pip.
PYTHON = """\
#!/bin/sh
case "$*" in
*version_info*) echo {version} ;;
*"import venv"*) {venv} ;;
*"import pip"*) exit 0 ;;
"-m venv "*) echo venv >>"{log}"; mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; : >"$3/pyvenv.cfg" ;;
"-m pip install "*) echo "$*" >>"{log}"; {pip} ;;
*" tools/pins.py "*) {check} ;;
*) echo "ran $*" ;;
esac
"""


class Machine:
    """A copy of the checkout and a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.tree, self.bin, self.log = folder / "a checkout", folder / "bin", folder / "log"
        self.tree.mkdir()
        self.bin.mkdir()
        self.log.touch()
        for name in ("Makefile", "pyproject.toml", "constraints.txt", "pins.sha256"):
            shutil.copy(ROOT / name, self.tree)
        for name in ("tools", ".ci"):
            shutil.copytree(ROOT / name, self.tree / name)
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name) or "")

    def python(
        self, name: str, version: str, *, venv: str = "exit 0", pip: str = "exit 0", check: str = "exit 0"
    ) -> Path:
        path = self.bin / name
        path.write_text(PYTHON.format(version=version, venv=venv, pip=pip, check=check, log=self.log))
        path.chmod(0o755)
        return path

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin), "HOME": str(self.tree), **variables}
        return subprocess.run(command, cwd=self.tree, env=environment, capture_output=True, text=True)

    def make(self, target: str = "environment", **variables: str) -> subprocess.CompletedProcess[str]:
        return self.run("make", target, **variables)

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def the_error(result: subprocess.CompletedProcess[str]) -> str:
    """The only line on stderr, make's own remark left out."""
    assert result.returncode != 0
    assert "Traceback" not in result.stdout + result.stderr
    (line,) = [line for line in result.stderr.splitlines() if not line.startswith("make: ***")]
    assert line.startswith("error: ")
    return line


def test_help_lists_every_target(machine: Machine) -> None:
    result = machine.run("make")
    assert result.returncode == 0
    listed = re.findall(r"^make (\w+) +\S", result.stdout, flags=re.MULTILINE)
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert sorted(listed) == sorted(phony.split())
    assert machine.calls == []


def test_the_commands_make_the_environment_first(machine: Machine) -> None:
    machine.python("python3.12", "3.12")
    assert machine.make("book").stdout.splitlines()[-1] == "ran book/build.py"
    assert machine.make("test").stdout.splitlines()[-1] == (
        "ran -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder"
    )
    assert machine.make("strict").stdout.splitlines()[-1] == "ran book/build.py --strict"
    venv, setuptools, project = machine.calls  # once for all three
    assert venv == "venv"
    assert setuptools.endswith("-c constraints.txt setuptools")
    assert project.endswith("-c constraints.txt -e .[dev]")


@pytest.mark.parametrize("target", ["book", "test", "check"])
def test_without_python(machine: Machine, target: str) -> None:
    assert "no Python found: install Python 3.11" in the_error(machine.make(target))
    assert not (machine.tree / ".venv").exists()


@pytest.mark.parametrize("version", ["3.10", "3.9", "2.7"])
def test_python_too_old(machine: Machine, version: str) -> None:
    machine.python("python3", version)
    error = the_error(machine.make())
    assert f"python3 is Python {version}, too old: install Python 3.11" in error
    assert not (machine.tree / ".venv").exists()


def test_python_without_venv(machine: Machine) -> None:
    machine.python("python3", "3.11", venv="exit 1")
    assert "python3 has no venv module" in the_error(machine.make())
    assert "apt install python3.11-venv" in the_error(machine.make())
    # Another one that has it is taken instead.
    machine.python("python3.12", "3.12")
    assert machine.make().returncode == 0


def test_a_shim_that_does_not_run_is_passed_over(machine: Machine) -> None:
    shim = machine.bin / "python3.13"
    shim.write_text("#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    machine.python("python3.12", "3.12")
    assert "Making .venv with python3.12 (Python 3.12)" in machine.make().stdout


def test_a_tested_python_is_preferred_to_a_newer_one(machine: Machine) -> None:
    machine.python("python3", "3.15")
    result = machine.make()
    assert result.returncode == 0
    assert result.stderr == "warning: python3 is Python 3.15; the book is tested with Python 3.11 to 3.13\n"
    shutil.rmtree(machine.tree / ".venv")
    machine.python("python", "3.12")
    assert "Making .venv with python (Python 3.12)" in machine.make().stdout


def test_python_can_be_chosen(machine: Machine) -> None:
    machine.python("python3.13", "3.13")
    (machine.bin / "my tools").mkdir()
    mine = str(machine.python("my tools/python", "3.11"))
    assert f"Making .venv with {mine} (Python 3.11)" in machine.make(PYTHON=mine).stdout
    # The choice holds until another version is asked for.
    assert machine.make().stdout == ""
    assert "Making .venv with python3.13 (Python 3.13)" in machine.make(PYTHON="python3.13").stdout
    assert "PYTHON=/nowhere/python does not run" in the_error(machine.make(PYTHON="/nowhere/python"))


def test_the_real_pip_without_a_network(machine: Machine) -> None:
    unreachable = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1"}
    error = the_error(machine.make(PYTHON=sys.executable, **unreachable))
    assert "the package index cannot be reached; check the network" in error
    assert not (machine.tree / ".venv" / ".complete").exists()


def test_full_disk(machine: Machine) -> None:
    words = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    machine.python("python3", "3.11", pip=f'echo "{words}" >&2; exit 1')
    assert "the disk is full; free some space" in the_error(machine.make("book"))
    # `python -m venv` does not say why its own command failed; the space left does.
    (machine.bin / "df").unlink()
    (machine.bin / "df").write_text("#!/bin/sh\necho header\necho tmpfs 5120 5120 0 100% /\n")
    (machine.bin / "df").chmod(0o755)
    machine.python("python3", "3.11", pip='echo "Error: returned non-zero exit status 1" >&2; exit 1')
    assert "the disk is full; free some space" in the_error(machine.make("book"))


def test_any_other_failure_of_pip_is_quoted(machine: Machine) -> None:
    pip = 'echo "WARNING: one" >&2; echo "ERROR: No matching distribution found for torch" >&2; echo hint >&2; exit 1'
    machine.python("python3", "3.11", pip=pip)
    assert "installing into .venv: ERROR: No matching distribution found for torch" in the_error(machine.make())


def test_a_file_that_is_not_the_pinned_one_leaves_no_environment(machine: Machine) -> None:
    """The check has pip's report, and an interpreter that runs nothing of what was installed."""
    check = f'echo "$*" >>"{machine.log}"; echo "error: x.whl is not the file that was pinned" >&2; exit 1'
    machine.python("python3", "3.11", check=check)
    assert "checking what pip installed: error: x.whl is not the file" in the_error(machine.make("book"))
    *_, pip, ran = machine.calls
    assert ran == "-I -S tools/pins.py .venv/.report.json"
    assert "--report .venv/.report.json" in pip
    machine.python("python3", "3.11")
    assert "Making .venv" in machine.make().stdout  # and not what is there once more


def test_a_folder_that_is_no_environment_is_left_alone(machine: Machine) -> None:
    machine.python("python3", "3.11")
    (machine.tree / ".venv").mkdir()
    (machine.tree / ".venv" / "thesis.tex").touch()
    assert ".venv is not a virtual environment" in the_error(machine.make())
    assert (machine.tree / ".venv" / "thesis.tex").exists()


def test_repeated_runs_do_only_what_changed(machine: Machine) -> None:
    machine.python("python3", "3.11")
    assert machine.make().returncode == 0
    first = machine.calls
    assert machine.make().stdout == ""
    assert machine.calls == first
    with (machine.tree / "constraints.txt").open("a") as file:
        file.write("zzz==1\n")
    assert "Installing the pinned dependencies" in machine.make().stdout
    assert machine.calls == [*first, *first[1:]]  # pip again, in the same environment
    assert machine.make().stdout == ""


@pytest.mark.parametrize("end", ["exit 1", "kill -9 $PPID; exit 1"], ids=["failed", "killed"])
def test_an_installation_cut_off_is_started_anew(machine: Machine, end: str) -> None:
    machine.python("python3", "3.11", pip=f'case "$*" in *"-e "*) {end} ;; esac')
    assert machine.make().returncode != 0
    machine.log.write_text("")
    machine.python("python3", "3.11")
    result = machine.make()
    assert result.returncode == 0
    assert "Making .venv" in result.stdout
    assert len(machine.calls) == 3
    assert machine.make().stdout == ""


def test_an_environment_whose_python_is_gone_is_made_anew(machine: Machine) -> None:
    machine.python("python3", "3.11")
    machine.make()
    (machine.tree / ".venv" / "bin" / "python").unlink()
    assert "Making .venv" in machine.make().stdout


FAKE_MAKE = """\
#!/bin/sh
echo "make $1" >>"{log}"
[ "$1" != "{failing}" ]
"""


@pytest.mark.parametrize(
    ("failing", "arguments", "ran"),
    [
        ("none", [], ["environment", "browser", "strict", "test", "check"]),
        ("none", ["check", "book"], ["environment", "check", "strict"]),
        ("browser", [], ["environment", "browser", "strict", "test", "check"]),
        ("test", [], ["environment", "browser", "strict", "test", "check"]),
        ("strict", [], ["environment", "browser", "strict", "test", "check"]),
        ("environment", [], ["environment"]),
    ],
)
def test_ci_runs_every_stage_and_fails_if_one_did(
    machine: Machine, failing: str, arguments: list[str], ran: list[str]
) -> None:
    (machine.bin / "make").unlink()
    (machine.bin / "make").write_text(textwrap.dedent(FAKE_MAKE).format(log=machine.log, failing=failing))
    (machine.bin / "make").chmod(0o755)
    result = machine.run("bash", ".ci/run", *arguments)
    assert machine.calls == [f"make {stage}" for stage in ran]
    assert (result.returncode == 0) == (failing == "none")
    assert len(re.findall(r"^=== \w+: \d+ s$", result.stdout, flags=re.MULTILINE)) == len(ran)  # each one's wall time


def test_ci_refuses_a_stage_that_does_not_exist(machine: Machine) -> None:
    machine.python("python3", "3.11")
    result = machine.run("bash", ".ci/run", "tset")
    assert result.returncode != 0
    assert "no such stage" in result.stderr


# A browser as tools/browser.sh sees one, and an apt-get that brings it, each noting that it was asked.
RUNS = "#!/bin/sh\necho Chromium 1\n"
BROKEN = "#!/bin/sh\necho 'install the snap instead' >&2\nexit 1\n"
APT = """\
#!/bin/sh
echo "apt-get $*" >>"{log}"
case "$*" in update) touch "{bin}/updated" ;; *" chromium") [ -e "{bin}/updated" ] || exit 100; {install} ;; esac
"""
PLAYWRIGHT = """\
#!/bin/sh
case "$*" in
"-m playwright install chromium") echo "$*" >>"{log}"; {install} ;;
*) echo "{own}" ;;
esac
"""


class Browsers(Machine):
    """A machine with an environment, no browser, and an apt-get that fails or not."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self.tree / ".venv" / "bin").mkdir(parents=True)
        (self.bin / "env").symlink_to(shutil.which("env") or "")
        (self.bin / "touch").symlink_to(shutil.which("touch") or "")
        self.own = folder / "playwright" / "chrome"
        self.own.parent.mkdir()
        self.playwright("exit 1")
        self.program("id", "#!/bin/sh\necho 0\n")

    def program(self, name: str, text: str) -> Path:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def playwright(self, install: str) -> None:
        path = self.tree / ".venv" / "bin" / "python"
        path.write_text(PLAYWRIGHT.format(log=self.log, own=self.own, install=install))
        path.chmod(0o755)

    def apt(self, install: str) -> None:
        self.program("apt-get", APT.format(log=self.log, bin=self.bin, install=install))

    def install(self, **variables: str) -> str:
        """What tools/browser.sh says; whatever happens it goes on."""
        result = self.run("sh", "tools/browser.sh", **variables)
        assert result.returncode == 0
        return result.stdout + result.stderr


@pytest.fixture
def browsers(tmp_path: Path) -> Browsers:
    return Browsers(tmp_path)


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome", "my browser"])
def test_a_browser_that_is_there_is_used(browsers: Browsers, name: str) -> None:
    browsers.apt("exit 1")
    path = browsers.program(name, RUNS)
    chosen = {"GANLIB_CHROMIUM": str(path)} if name == "my browser" else {}
    assert browsers.install(**chosen) == f"The browser tests will use {path}\n"
    assert browsers.calls == []


def test_debians_browser_is_installed_by_root(browsers: Browsers) -> None:
    browsers.program("chromium-browser", BROKEN)
    browsers.apt(f'cp "{browsers.program("elsewhere", RUNS)}" "{browsers.bin}/chromium"')
    said = browsers.install()
    assert said == f"Installing Chromium with apt-get\nThe browser tests will use {browsers.bin}/chromium\n"
    first, update, second = browsers.calls
    assert first == second == "apt-get install -y --no-install-recommends chromium"
    assert update == "apt-get update"


@pytest.mark.parametrize("may", [True, False])
def test_another_user_needs_sudo_without_a_password(browsers: Browsers, may: bool) -> None:
    browsers.program("id", "#!/bin/sh\necho 1000\n")
    browsers.program("sudo", '#!/bin/sh\n[ "$1" = -n ] || exit 9\nshift\n' + ('"$@"\n' if may else "exit 1\n"))
    (browsers.bin / "true").symlink_to(shutil.which("true") or "")
    browsers.apt(f'cp "{browsers.program("elsewhere", RUNS)}" "{browsers.bin}/chromium"')
    said = browsers.install()
    assert (f"The browser tests will use {browsers.bin}/chromium" in said) == may
    assert any(call.startswith("apt-get") for call in browsers.calls) == may


def test_without_apt_playwrights_browser_is_installed(browsers: Browsers) -> None:
    browsers.playwright(f'cp "{browsers.program("elsewhere", RUNS)}" "{browsers.own}"')
    said = browsers.install()
    assert said == f"Installing Playwright's Chromium\nThe browser tests will use {browsers.own}\n"


def test_without_any_browser_one_line_says_what_is_skipped(browsers: Browsers) -> None:
    browsers.apt("exit 100")
    *_, said = browsers.install().splitlines()
    assert said.startswith("warning: no browser could be installed")
    assert said.endswith("or set GANLIB_CHROMIUM to the path of one")
    assert browsers.calls[-1] == "-m playwright install chromium"


def test_the_tests_look_for_the_browsers_that_the_script_looks_for() -> None:
    text = (ROOT / "tests" / "browser" / "pages.py").read_text()
    (names,) = re.findall(r"^BROWSERS = \((.*)\)", text, flags=re.MULTILINE)
    wanted = " ".join(re.findall(r'"(.*?)"', names))
    assert f'{wanted} "$(own_browser)"' in (ROOT / "tools" / "browser.sh").read_text()
