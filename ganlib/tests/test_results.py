"""What a result says about its making: true, complete, and free of this machine's names; files complete or absent."""

import getpass
import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ganlib
from ganlib import data, toys
from ganlib.errors import ResultsError
from ganlib.lab import results, runs

NAMES = st.text("abcdefghij0123456789_", min_size=1, max_size=8)


def test_environment_is_this_process():
    found = results.environment()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert "CPU" in found["device"]
    assert abs(datetime.fromisoformat(found["date"]) - datetime.now(UTC)) < timedelta(minutes=5)


def test_commit_is_that_of_tracked_code_only(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)

    source_code = results.source_code.__wrapped__  # asked anew each time
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(ganlib, "__file__", str(package / "__init__.py"))
    assert source_code() == (None, None)  # no repository
    git("init", "-q")
    (tmp_path / "other.txt").write_text("a")
    git("add", "other.txt")
    git("commit", "-qm", "other")
    assert source_code() == (None, None)  # somebody else's repository
    git("add", ".")
    git("commit", "-qm", "package")
    head = git("rev-parse", "HEAD").stdout.strip()
    assert source_code() == (head, False)
    (tmp_path / "other.txt").write_text("b")
    assert source_code() == (head, False)  # not the package's code
    (package / "new.py").write_text("")
    assert source_code() == (head, True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert source_code() == (head, True)


def test_provenance_is_complete_and_names_no_machine(tmp_path):
    images = data.load("digits").first(10)
    run = runs.get("mnist-paper", {"data": "digits", "k": 1, "m": "50"})
    command = ["reproduce", "mnist-paper", "--set", "m=50", "--out", str(tmp_path), f"--results={tmp_path}/a.json"]
    found = results.provenance(run, (3, 4), "cpu", images, datetime.now(UTC) - timedelta(seconds=5), command)
    assert found["settings"] == runs.as_dict(run)
    assert found["changed"] == {"data": {"named": "mnist", "this": "digits"}, "m": {"named": 100, "this": 50}}
    assert found["seeds"] == [3, 4]
    assert found["data"][0]["sha256"] == images.sha256
    assert found["data"][0]["examples"] == 10
    assert found["wall_seconds"] == pytest.approx(5, abs=1)
    assert found["command"].startswith("python -m ganlib reproduce mnist-paper --set m=50")
    text = json.dumps(found, allow_nan=False)
    for private in (str(tmp_path), str(Path.home()) + "/", os.getcwd(), sys.executable):
        assert private not in text
    if socket.gethostname() not in ("localhost", "linux"):  # a machine may be called like its system
        assert socket.gethostname() not in text
    if getpass.getuser() not in ("root", "data", "torch"):
        assert f"/{getpass.getuser()}" not in text


def test_toy_data_have_no_hash_and_naive_times_are_refused():
    run, mixture = runs.get("ring8"), toys.ring()
    found = results.provenance(run, (0,), "cpu", [mixture], datetime.now(UTC), [])
    assert found["data"] == [
        {"name": "ring of 8", "split": None, "examples": None, "source": "sampled afresh", "sha256": None}
    ]
    with pytest.raises(ValueError, match="time zone"):
        results.provenance(run, (0,), "cpu", mixture, datetime(2026, 1, 1), [])


@given(folders=st.lists(NAMES, min_size=1, max_size=4), name=NAMES, start=st.sampled_from(["/", "~/", "../", "C:\\"]))
def test_folders_leave_every_argument(folders, name, start):
    separator = "\\" if start == "C:\\" else "/"
    path = start + separator.join([*folders, name])
    assert results.without_folder(path) == name
    assert results.without_folder(f"--out={path}") == f"--out={name}"


@given(NAMES, st.one_of(NAMES, st.integers().map(str), st.floats(0, 1).map(repr)))
def test_other_arguments_stay(name, value):
    for argument in (name, f"{name}={value}", f"--{name}={value}", f"results/{name}.json"):
        assert results.without_folder(argument) == argument


def test_a_path_that_is_only_folders_leaves_nothing():
    assert [results.without_folder(path) for path in ("/", "..", "--out=../..")] == [".", ".", "--out=."]


def test_results_are_json_without_nan(tmp_path):
    path = results.write_results(tmp_path / "r.json", {"a": [1, 0.1]})
    assert json.loads(path.read_text()) == {"a": [1, 0.1]}
    with pytest.raises(ValueError, match="JSON"):
        results.write_results(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": [1, 0.1]}


def test_results_made_otherwise_are_not_overwritten(tmp_path):
    path, made = tmp_path / "r.json", {"settings": {"k": 1, "m": 10}, "seeds": [0, 1]}
    results.check_results(path, made)  # not there
    results.write_results(path, {**made, "figures": {}})
    results.check_results(path, made)
    with pytest.raises(ResultsError, match=r"seeds: \[0, 1\] -> \[0\], settings.k: 1 -> 2\)"):
        results.check_results(path, {"settings": {"k": 2, "m": 10}, "seeds": [0]})
    with pytest.raises(ResultsError, match=r"settings\.width: None -> 5"):
        results.check_results(path, {"settings": {**made["settings"], "width": 5}, "seeds": [0, 1]})
    for foreign in (b"{", b"[]", b'{"a": 1}', b"\xff\x00"):
        path.write_bytes(foreign)
        with pytest.raises(ResultsError, match="no results file"):
            results.check_results(path, made)
        assert path.read_bytes() == foreign
