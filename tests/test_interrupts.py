"""SIGTERM and Ctrl-C at chosen moments of every long command: exit code 130, nothing half written. Real processes."""

import importlib
import multiprocessing
import os
import runpy
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from scipy.io import savemat

from ganlib.lab import cli
from ganlib.lab.studies.common import side_by_side

SIGNALS = [signal.SIGTERM, signal.SIGINT]
SMALL = ["--set=iterations=4", "--set=every=2", "--quiet", "--device", "cpu"]
IMAGES = ["tfd", "--set=width=8", "--set=units=4", "--set=m=5", *SMALL]

# A process that signals itself as it begins to import a module, and is the program otherwise.
AT_IMPORT = """
import os, runpy, sys
module, number, *sys.argv[1:] = sys.argv[1:]
class Finder:
    def find_spec(self, name, path, target=None):
        if name == module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(number))
sys.meta_path.insert(0, Finder())
runpy.run_module("ganlib", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("module", ["ganlib.lab.cli", "argparse", "numpy", "torch", "torch._C", "ganlib.lab.training"])
def test_a_signal_while_modules_are_imported(tmp_path, module, number):
    command = [sys.executable, "-c", AT_IMPORT, module, str(int(number)), "train", *IMAGES]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "RANK": "0"})
    assert (done.returncode, done.stdout) == (130, "")
    lines = done.stderr.splitlines()
    assert lines[0] == "interrupted"
    if module not in ("ganlib.lab.cli", "argparse"):  # from when it is known what was asked for
        assert lines[1:] == [f"resume with: python -m ganlib train {' '.join(IMAGES)} --resume"]
    assert not list(tmp_path.iterdir())


def test_a_signal_that_is_to_be_ignored_is(tmp_path):
    ignoring = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{AT_IMPORT}"
    command = [sys.executable, "-c", ignoring, "argparse", str(int(signal.SIGINT)), "--help"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0


# Later moments: processes forked from one that has imported ganlib and done nothing else.
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["ganlib.lab.cli.commands", "scipy.io", "torch._dynamo"])  # a training imports these too


def signalled(moment, number, arguments, folder, turn):
    """The program, which signals itself at the ``turn``-th call of a function, named as "module:function"."""
    os.chdir(folder)
    os.environ["GANLIB_DATA"] = "data"
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    module, _, name = moment.partition(":")
    module = importlib.import_module(module)
    original, calls = getattr(module, name), []

    def call(*given, **named):
        calls.append(1)
        if len(calls) == turn:
            os.kill(os.getpid(), number)
        return original(*given, **named)

    setattr(module, name, call)
    sys.argv = ["ganlib", *arguments]
    runpy.run_module("ganlib", run_name="__main__", alter_sys=True)


def ended(moment, number, arguments, folder, turn=1):
    process = FORKED.Process(target=signalled, args=(moment, number, arguments, str(folder), turn))
    process.start()
    process.join()
    return process.exitcode, (folder / "out").read_text(), (folder / "err").read_text()


TRAIN, REPRODUCE = ["train", *IMAGES], ["reproduce", *IMAGES, "--samples", "20"]
SWEEP = ["sweep", "there", "--samples", "10"]
STUDY = ["study", "memorisation", "--device", "cpu", *(
    f"--set={each}" for each in ("data=tfd", "sizes=10", "seeds=1", "width=8", "units=4", "iterations=4", "points=2",
                                 "samples=20", "held_out=10")
)]  # fmt: skip
MOMENTS = [
    ("ganlib.lab.results:source_code", TRAIN, 1),
    ("ganlib.lab.runs:load_data", TRAIN, 1),  # no iteration is made
    ("ganlib.lab.runs:networks", TRAIN, 1),
    ("ganlib.lab.lock:take", TRAIN, 1),
    ("ganlib.lab.measure:held_out", REPRODUCE, 1),
    ("ganlib.lab.snapshots:choose", REPRODUCE, 1),  # trained to the end, now measured
    ("ganlib.lab.measure:measure", REPRODUCE, 2),
    ("ganlib.lab.results:provenance", REPRODUCE, 1),
    ("ganlib.lab.results:write_results", REPRODUCE, 1),
    ("ganlib.lab.parzen_sweep:sweep", SWEEP, 1),
    ("ganlib.lab.results:write_results", SWEEP, 1),
    ("ganlib.data:load", STUDY, 1),
    ("ganlib.lab.runs:load_data", STUDY, 1),
    ("ganlib.lab.cli.results:write", STUDY, 1),
    ("ganlib.data.downloads:get", ["data", "get", "mnist"], 1),
    ("urllib.request:urlopen", ["data", "get", "cifar10"], 1),
]


@pytest.fixture
def faces(tmp_path, monkeypatch):
    """Thirty images of noise in the place of TFD: they are read in no time."""
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    folds = np.repeat(np.array([[0], [2], [3]], np.uint8), 5, axis=1).repeat(10, axis=0)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 48, 48), np.uint8)
    arrays = {"images": pixels, "labs_ex": np.full((30, 1), -1, np.int16), "folds": folds}
    savemat(tmp_path / "data" / "TFD_48x48.mat", arrays)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(("moment", "arguments", "turn"), MOMENTS)
def test_a_signal_while_a_command_works(tmp_path, faces, moment, arguments, turn, number):
    if "there" in arguments:
        assert cli.main(["train", *IMAGES, "--out", str(tmp_path / "there")]) == 0
    code, out, err = ended(moment, number, arguments, tmp_path, turn)
    assert (code, out) == (130, ""), err
    assert "Traceback" not in err
    assert "\ninterrupted" in f"\n{err}"
    assert ("resume with: python -m ganlib " in err) == (arguments[0] not in ("sweep", "study"))
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.name not in ("out", "err", "TFD_48x48.mat")]
    assert not [path for path in left if path.name.endswith(".tmp") or path.suffix == ".json"]
    if arguments[0] in ("data", "study"):
        assert left == []
    if arguments[0] in ("train", "reproduce"):  # what it says resumes it, and ends as if nothing had been
        resume = shlex.split(err.rpartition("python -m ganlib ")[2])
        code, _, err = ended(moment, number, resume, tmp_path, turn=0)
        assert code == 0, err


def test_a_signal_after_the_work_changes_nothing(tmp_path):
    """While the interpreter shuts down: the code is that of the command."""
    script = (
        "import atexit, os, runpy, signal, sys\n"
        "sys.argv = ['ganlib', 'runs', 'nobody']\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGTERM))\n"
        "runpy.run_module('ganlib', run_name='__main__', alter_sys=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def waits(path):
    """A job: says who does it, and goes on until it is ended."""
    Path(path).write_text(str(os.getpid()))
    signal.pause()


def fails(path):
    while not Path(path).exists() or not Path(path).read_text():
        pass
    raise ValueError("a job of its own")


@pytest.mark.parametrize("why", ["an interruption", "a job's error", "a reader that leaves"])
def test_jobs_side_by_side_are_not_waited_for(tmp_path, why):
    """Each may take hours."""
    path = tmp_path / "worker"
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first = np.sqrt if why == "a reader that leaves" else fails if why == "a job's error" else waits
        given = 4.0 if first is np.sqrt else str(path if first is fails else tmp_path / "first")
        results = side_by_side(call, [(first, given), (waits, str(path))], torch.device("cpu"))
        if why == "a reader that leaves":
            assert next(results) == 2.0
            while not path.exists() or not path.read_text():
                pass
            results.close()
        elif why == "a job's error":
            with pytest.raises(ValueError, match="a job of its own"):
                list(results)
        else:

            def interrupt():
                while not path.exists() or not path.read_text():
                    pass
                os.kill(os.getpid(), signal.SIGINT)

            threading.Thread(target=interrupt).start()
            with pytest.raises(KeyboardInterrupt):
                list(results)
    finally:
        torch.set_num_threads(threads)
    assert not psutil.pid_exists(int(path.read_text()))


def call(work, given):
    return work(given)
