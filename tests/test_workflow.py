"""The GitHub workflow is valid, tests what pyproject.toml promises, and publishes only what passed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PATH = ROOT / ".github" / "workflows" / "book.yml"
WORKFLOW = yaml.safe_load(PATH.read_text())
TRIGGERS = WORKFLOW[True]  # YAML 1.1 reads the key `on` as a boolean
JOBS = WORKFLOW["jobs"]


def commands(job: str) -> list[str]:
    return [step["run"] for step in JOBS[job]["steps"] if "run" in step]


def check(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_schema_accepts_it() -> None:
    result = check(PATH)
    assert result.returncode == 0, result.stdout


def test_the_schema_check_can_fail(tmp_path: Path) -> None:
    broken = tmp_path / "book.yml"
    broken.write_text(PATH.read_text().replace("runs-on:", "runs-at:"))
    assert check(broken).returncode != 0


def test_every_change_is_tested_on_every_supported_python() -> None:
    assert {"push", "pull_request"} <= TRIGGERS.keys()
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    supported = [line.rpartition(" ")[2] for line in classifiers if re.search(r":: 3\.\d+$", line)]
    assert JOBS["test"]["strategy"]["matrix"]["python"] == supported
    assert commands("test") == [".ci/run test"]
    # setup-python puts the chosen one first on PATH as `python`; the image has others under other names.
    only = {"PYTHON": "python", "GANLIB_HASHES": "all"}
    assert all(step["env"] == only for step in JOBS["test"]["steps"] if "run" in step)


def test_the_book_is_built_strictly_and_only_main_publishes_it() -> None:
    assert commands("book") == [".ci/run"]  # all stages: only here is there a book for the browser tests to look at
    upload = JOBS["book"]["steps"][-1]
    assert upload["uses"].startswith("actions/upload-pages-artifact@")
    assert upload["with"]["path"] == "_build/html"
    deploy = JOBS["deploy"]
    assert set(deploy["needs"]) == {"test", "book"}
    assert "github.ref == 'refs/heads/main'" in deploy["if"]
    assert "github.event_name == 'push'" in deploy["if"]


def test_only_the_deploying_job_may_write() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    permissions = {name: job["permissions"] for name, job in JOBS.items() if "permissions" in job}
    assert permissions.pop("deploy") == {"pages": "write", "id-token": "write"}
    assert permissions == {"notebooks": {"contents": "write"}}
    assert JOBS["notebooks"]["if"] == JOBS["deploy"]["if"]
    assert set(JOBS["notebooks"]["needs"]) == {"test", "book"}
    assert TRIGGERS["push"] == {"branches-ignore": ["notebooks"]}  # its push starts nothing again


def test_the_published_notebooks_are_those_of_the_tested_book() -> None:
    upload = next(step for step in JOBS["book"]["steps"] if "upload-artifact@" in step.get("uses", ""))
    download = next(step for step in JOBS["notebooks"]["steps"] if "download-artifact@" in step.get("uses", ""))
    assert upload["with"]["path"] == "_build/html/_notebooks"
    assert upload["with"]["name"] == download["with"]["name"]


def test_a_published_wheel_stays_and_a_notebook_that_is_gone_does_not(tmp_path: Path) -> None:
    """The publishing step itself, twice, against a repository of its own."""
    (script,) = [step["run"] for step in JOBS["notebooks"]["steps"] if "run" in step]
    remote, work = tmp_path / "remote.git", tmp_path / "work"

    def git(*words: str, folder: Path = work) -> str:
        user = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(["git", *user, *words], cwd=folder, check=True, capture_output=True, text=True).stdout

    git("init", "--quiet", "--bare", "--initial-branch=main", str(remote), folder=tmp_path)
    for book, wheel in (("one", "a"), ("two", "b")):
        shutil.rmtree(work, ignore_errors=True)
        git("clone", "--quiet", str(remote), str(work), folder=tmp_path)
        (work / "source.md").write_text(book)
        git("add", ".")
        git("commit", "--quiet", "-m", book)
        git("push", "--quiet", "origin", "HEAD:main")
        notebooks = tmp_path / book / "notebooks"
        (notebooks / "wheels" / wheel).mkdir(parents=True)
        (notebooks / f"{book}.ipynb").write_text("{}")
        (notebooks / "wheels" / wheel / "ganlib.whl").write_text(wheel)
        environment = {**os.environ, "RUNNER_TEMP": str(tmp_path / book), "GITHUB_SHA": book}
        subprocess.run(["bash", "-e", "-c", script], cwd=work, env=environment, check=True, capture_output=True)
    published = git("ls-tree", "-r", "--name-only", "notebooks", folder=remote).split()
    assert published == [f"_notebooks/{name}" for name in ("two.ipynb", "wheels/a/ganlib.whl", "wheels/b/ganlib.whl")]
    assert git("rev-list", "--count", "notebooks", folder=remote).strip() == "1"


def test_every_action_is_named_by_commit_with_its_version_beside_it() -> None:
    """In every workflow; a commit has one version, and an action one commit."""
    named = {}
    for path in PATH.parent.glob("*.y*ml"):
        for line in path.read_text().splitlines():
            if re.match(r"\s*(?:- )?uses:", line):
                found = re.fullmatch(r"\s*(?:- )?uses: ([\w.-]+/[\w./-]+)@([0-9a-f]{40})  # (v\d+\.\d+\.\d+)", line)
                assert found, line
                assert named.setdefault(found[1], found.groups()) == found.groups(), line
    assert named


@pytest.mark.parametrize(
    "stage", sorted({word for job in ("test", "book") for line in commands(job) for word in line.split()[1:]})
)
def test_the_stages_it_names_exist(stage: str) -> None:
    assert f"[{stage}]=" in (ROOT / ".ci" / "run").read_text()


def test_ci_run_can_be_executed() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
