"""The commands end to end, what they refuse and in which words, exit codes, and Ctrl-C on a real process."""

import hashlib
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st

from ganlib import limits
from ganlib.lab import checkpoint, measure, parzen_sweep, results, runs, studies
from ganlib.lab.cli import main, streams
from ganlib.lab.cli.arguments import EPILOG, parser
from ganlib.lab.cli.commands import COMMANDS
from ganlib.lab.generators import open_trained
from ganlib.metrics import features, parzen
from ganlib.tests.folders import tree
from ganlib.tests.processes import command

SMALL = ["--set", "iterations=4", "--set", "every=2"]
TINY = ["--set", "data=digits", "--set", "width=8", "--set", "units=4", "--set", "m=10", "--quiet"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Every test in its own folder, on the CPU, with the threads it found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANLIB_DEVICE", "cpu")
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def run(capsys):
    """Run a command; its exit code, stdout and stderr."""

    def call(*arguments):
        code = main([str(each) for each in arguments])
        return code, *capsys.readouterr()

    return call


def refused(run, code, *arguments):
    """The one line of stderr of a command that ends with ``code``."""
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert re.fullmatch(r"error: [^\n]+\n", err), err
    return err


def process(*arguments, **settings):
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "1000"}
    words = [sys.executable, "-m", "ganlib", *arguments]
    return subprocess.Popen(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables, **settings)


def test_help_imports_no_torch_and_documents_every_exit_code():
    code = "import sys; from ganlib.lab.cli import main; main(['train', '--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
    for code in ("0", "1", "2", "3", "4", "5", "6", "130", "141"):
        assert re.search(rf"^  {code}  \S", EPILOG, re.MULTILINE)


def test_the_examples_in_help_are_commands():
    lines = re.findall(r"-m ganlib (.*?)(?:  +.*)?$", EPILOG, re.MULTILINE)
    assert len(lines) == 13
    for line in lines:
        args = parser().parse_args(shlex.split(line))
        if args.command == "study":
            studies.settings(args.name)
        elif hasattr(args, "name") and args.name:
            runs.get(args.name, dict(each.split("=") for each in args.set))


@pytest.mark.parametrize(
    "command", ["runs", "train", "sample", "evaluate", "reproduce", "combine", "study", "sweep", "data"]
)
def test_every_command_has_help(run, command):
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: python -m ganlib {command}")


def test_runs_lists_and_shows(run):
    code, out, _ = run("runs")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(runs.RUNS)
    assert list(json.loads(run("runs", "--json")[1])) == list(runs.RUNS)
    code, out, _ = run("runs", "ring8", "--set", "k=3")
    shown = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert list(shown) == list(runs.as_dict(runs.get("ring8")))
    assert shown["k"].startswith("3 ")
    assert "the named run has 1" in shown["k"]
    assert json.loads(run("runs", "ring8", "--set", "k=3", "--json")[1]) == runs.as_dict(runs.get("ring8", {"k": 3}))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["runs", "ring9"], "did you mean ring8"),
        (["train", "mnist-papr"], "did you mean mnist-paper"),
        (["train", "ring8", "--set", "latent_dimm=2"], "did you mean latent_dim"),
        (["train", "ring8", "--set", "k=two"], "k is 'two'"),
        (
            ["train", "dcgan-64", "--set", "data=faces"],
            r"data is 'faces'; .*\. Your own images.* DCGAN \(book/dcgan\.md",
        ),
        (["train", "ring8", "--set", "k=0"], "k is 0"),
        (["train", "ring8", "--set", "k"], "SETTING=VALUE"),
        (["train", "ring8", "--set", "k=1", "--set", "k=2"], "twice"),
        (["train", "ring8", "--device", "abacus"], "abacus"),
        (["train", "ring8", "--precision", "tf32"], "no tf32"),
        (["train", "ring8", "--seeds", "0"], "'0' is not a number"),
        (["train", "ring8", "--seeds", "1,x"], "'x' is no seed"),
        (["train", "ring8", "--seeds", "1,1"], "twice"),
        (["train", "ring8", "--seed", "-1"], "no seed|expected one argument"),
        (["train", "ring8", "--seed", "1", "--seeds", "2"], "not allowed with"),
        (["train", "ring8", "--save-every", "0"], "'0' is not"),
        (["train", "ring8", "--save-every", "9" * 20], f"'{'9' * 20}' is not a number from 1 to {limits.STEPS}"),
        (["train", "ring8", "--threads", "999999999"], "'999999999' is not a number from 1 to 1024"),
        (["train", "ring8", "--seeds", "9" * 5000], r"9\.\.\.' \(5000 characters\) is not a number from 1 to 10000"),
        (["train", "ring8", "--seeds", "10001"], "'10001' is not a number from 1 to 10000"),
        (["train", "ring8", "--seeds", f"1,{'9' * 20}"], f"'{'9' * 20}' is no seed; give an integer from 0 to"),
        (["train", "ring8", "--seed", "9" * 20], f"'{'9' * 20}' is no seed"),
        (["train", "ring8", "--set", f"width={'9' * 20}"], f"width is {'9' * 20}; it must be from 1 to {limits.SIZE}"),
        (["train", "ring8", "--set", f"k={'9' * 5000}"], r"k is '9+\.\.\.' \(5000 characters\); it must be an integer"),
        (["train", "ring8", "--set", "depth=1000000000"], "depth is 1000000000; it must be from 1 to 1000"),
        (["sample", "x", "-n", "9" * 20], f"'{'9' * 20}' is not a number from 1 to {limits.SIZE}"),
        (["sample", "x", "--seed", "9" * 20], "is no seed"),
        (["evaluate", "x", "--samples", "9" * 20], "is not a number from 1 to"),
        (["evaluate", "x", "--member", "9" * 20], "is no seed"),
        (["sweep", "x", "--samples", "9" * 20], "is not a number from 1 to"),
        (["study", "vae", "--set", f"hidden={'9' * 20}"], f"hidden is {'9' * 20}; it must be from"),
        (["study", "changes", "--set", "seeds=1000000000"], "seeds is 1000000000; it must be from"),
        (["train", "ring8", "--device", "cuda:300"], "'cuda:300' is not a device"),
        (["train"], "required: name"),
        (["walk"], "invalid choice: 'walk'"),
        ([], "required: command"),
        (["runs", "--set", "k=2"], "needs the name"),
        (["sample", "x", "--out", "a.gif"], r"\.png or \.npz"),
        (["reproduce", "ring8", "--samples", "3"], "samples is 3"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(run, tmp_path, arguments, says):
    assert re.search(says, refused(run, 2, *arguments))
    assert not list(tmp_path.iterdir())


@given(st.lists(st.integers(0, 2**63 - 1), min_size=2, unique=True))
def test_seeds_are_those_listed(seeds):
    assert parser().parse_args(["train", "x", "--seeds", ",".join(map(str, seeds))]).seeds == tuple(seeds)


def test_seeds_are_counted_or_single():
    for given_, seeds in (
        (["--seeds", "3"], (0, 1, 2)),
        (["--seeds", "3,"], (3,)),
        (["--seed", "3"], (3,)),
        ([], None),
    ):
        assert parser().parse_args(["train", "x", *given_]).seeds == seeds


def test_train_sample_evaluate(run, tmp_path):
    code, out, err = run("train", "ring8", *SMALL, "--seeds", "5,7", "--threads", 1)
    assert code == 0
    assert out == "trained/ring8/checkpoint-000000004.safetensors\n"
    progress = [line for line in err.splitlines() if "iteration" in line]
    number = r"\d+\.\d+"
    pattern = (
        rf"mean of 2 seeds: iteration {{}}/4, {number} steps/s, D loss {number}, G loss {number}, D\(real\) .*D\(fake\)"
    )
    assert len(progress) == 2
    assert re.search(pattern.format(2), progress[0])
    assert re.search(pattern.format(4), progress[1])

    for file in ("a.npz", "b.npz"):
        assert run("sample", "trained/ring8", "-n", 10, "--member", 7, "--out", file)[:2] == (0, f"{file}\n")
    run("sample", "trained/ring8", "-n", 10, "--out", "c.npz")
    a, b, c = (np.load(tmp_path / f"{name}.npz", allow_pickle=False)["samples"] for name in "abc")
    assert a.shape == (10, 2)
    assert (a == b).all()
    assert (a != c).any()  # seed 5, the first
    assert run("sample", "trained/ring8/checkpoint-000000004.safetensors")[1] == "samples.png\n"
    assert torchvision.io.read_image("samples.png").shape[1:] == (550, 550)
    assert "has 5, 7" in refused(run, 2, "sample", "trained/ring8", "--member", 6)

    code, out, _ = run("evaluate", "trained/ring8", "--samples", 200, "--json")
    found = json.loads(out)
    assert code == 0
    assert list(found["figures_by_seed"]) == ["5", "7"]
    expected = measure.measure(
        runs.get("ring8"),
        open_trained("trained/ring8")[0].generator(7),
        {"data": runs.load_data(runs.get("ring8"))},
        samples=200,
    )
    assert found["figures_by_seed"]["7"] == json.loads(json.dumps(expected))
    assert found["across_seeds"]["high_quality"]["n"] == 2
    code, out, _ = run("evaluate", "trained/ring8", "--samples", 200)
    assert "standard deviation" in out
    assert "+- is the standard error over samples" in out


STILL = ["--set", "iterations=8", "--set", "every=2", "--set", "d_lr=1e-12", "--set", "g_lr=1e-12", "--set", "width=8"]


@pytest.mark.parametrize("command", ["train", "reproduce"])
@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_a_run_in_trouble_says_so_once_on_stderr_and_ends_with_0(run, command, quiet):
    samples = ["--samples", "50"] if command == "reproduce" else []
    code, out, err = run(command, "ring8", *STILL, "--seeds", "4,6", *quiet, *samples)
    assert (code, out.count("\n")) == (0, 1)
    said = [line for line in err.splitlines() if "stopped moving" in line]
    assert len(said) == 2  # their D(G(z)) differ
    for seed, line in zip((4, 6), said, strict=True):
        assert line.startswith(f"warning: ring8, seed {seed}, iteration 4: G and D have stopped moving")
        assert 'The chapter algorithm-1 explains it under "One half is not success"' in line


def test_a_resumed_run_in_trouble_says_so_again_and_a_bar_is_not_torn(run, monkeypatch):
    run("train", "ring8", *STILL)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    longer = [each.replace("iterations=8", "iterations=16") for each in STILL]
    code, _, err = run("train", "ring8", *longer, "--resume")
    assert code == 0
    (said,) = (line for line in re.split(r"[\r\n]", err) if "stopped moving" in line)
    assert said.startswith("warning: ring8, seed 0, iteration 16: ")


def test_a_sound_run_has_no_warning(run):
    assert "warning" not in run("train", "ring8", *SMALL)[2]


def test_a_width_at_an_end_of_its_grid_is_said_beside_the_score(run, monkeypatch):
    small = ["--set", "data=digits", "--set", "width=16", "--set", "units=8", "--set", "examples=200"]
    monkeypatch.setattr(parzen, "PAPER_SIGMAS", (0.01, 0.02))
    monkeypatch.setattr(parzen_sweep, "SIGMAS", (0.01, 0.02))
    monkeypatch.setattr(parzen_sweep.sweep, "__defaults__", ((0.01, 0.02),))
    for seed in (0, 1):
        out = ["--out", f"run{seed}", "--results", f"{seed}.json", "--seed", seed]
        code, _, err = run("reproduce", "mnist-paper", *small, *SMALL, "--samples", 50, "--quiet", *out)
        says = "sigma 0.02 is the largest of the 2 widths tried"
        assert code == 0
        assert [line.partition(": sigma")[0] for line in err.splitlines()] == [
            f"warning: mnist-paper, seed {seed}",
            f"warning: mnist-paper, seed {seed}, averaged",
        ]
        assert err.count(says) == 2
    assert run("combine", "0.json", "1.json", "--results", "both.json")[2].count(says) == 4
    code, out, _ = run("evaluate", "run0", "--samples", 50)
    assert re.search(rf"seed 0: log_likelihood .*\n.*\nseed 0: {says}", out)
    code, _, err = run("sweep", "run0", "--samples", 50)
    assert code == 0
    assert f"warning: model samples: {says}" in err


def test_a_terminal_gets_one_bar(run, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "200")  # whatever the terminal around the tests is: a narrow one cuts the bar
    monkeypatch.setenv("LINES", "50")
    code, _, err = run("train", "ring8", *SMALL)
    assert code == 0
    bar = err.rstrip().split("\r")[-1]
    assert re.search(r"ring8: 100%.* 4/4 .*steps/s, D loss .*, G loss .*, D\(real\) .*, D\(fake\) ", bar)


def test_images_make_a_grid_in_the_unit_interval(run):
    small = ["--set", "data=digits", "--set", "examples=200", "--set", "width=16", "--set", "units=8", "--set", "m=20"]
    assert run("train", "mnist-paper", *small, *SMALL, "--quiet", "--out", "d")[2] == ""
    run("sample", "d", "-n", 5, "--out", "d.png")
    run("sample", "d", "-n", 5, "--out", "d.npz")
    picture = torchvision.io.read_image("d.png").float() / 255
    samples = torch.from_numpy(np.load("d.npz")["samples"]).view(5, 28, 28)
    assert picture.shape == (3, 2 + 2 * 30, 2 + 3 * 30)  # two rows of three, two pixels between them
    torch.testing.assert_close(picture[0, 2:30, 2:30], samples[0], atol=0.5 / 255 + 1e-6, rtol=0)
    torch.testing.assert_close(picture[2, 32:60, 32:60], samples[4], atol=0.5 / 255 + 1e-6, rtol=0)


def test_one_dimensional_samples_are_drawn_too(run):
    run("train", "figure1", *SMALL, "--quiet", "--seed", 3)
    assert run("sample", "trained/figure1")[0] == 0
    assert run("evaluate", "trained/figure1", "--samples", 100)[1].count("seed 3: ") == 3


def test_other_settings_do_not_resume_and_a_run_is_not_overwritten(run):
    assert run("train", "ring8", *SMALL, "--quiet")[0] == 0
    kept = checkpoint.newest("trained/ring8")[0].path.read_bytes()
    said = refused(run, 5, "train", "ring8", "--set", "every=3", "--resume", "--quiet", "--seed", 1)
    assert f"every: {SMALL[-1].partition('=')[2]} -> 3; seeds: [0] -> [1]" in said
    assert "resume it" in refused(run, 5, "train", "ring8", *SMALL)
    assert checkpoint.newest("trained/ring8")[0].path.read_bytes() == kept


def test_refused_checkpoints_and_missing_data_have_their_codes(run, tmp_path, monkeypatch):
    assert "no such file" in refused(run, 5, "sample", "nowhere")
    (tmp_path / "empty").mkdir()
    assert "no checkpoint" in refused(run, 5, "evaluate", "empty")
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    assert "Toronto Face Database" in refused(run, 6, "train", "tfd", "--quiet")
    assert "CIFAR-10" in refused(run, 6, "reproduce", "cifar10-fc", "--quiet")
    assert not (tmp_path / "trained").exists()


def test_divergence_has_its_code_and_keeps_the_checkpoint(run):
    said = refused(
        run, 3, "train", "ring8", "--quiet", "--set", "optimiser=sgd", "--set", "beta1=0.9",
        "--set", "d_lr=1e30", "--set", "g_lr=1e30", "--set", "iterations=20", "--set", "every=5",
    )  # fmt: skip
    assert re.search(r"ring8, seed 0: .* between iterations 1 and 5: .*; no checkpoint was made yet", said)


@pytest.mark.parametrize("setting", ["m=100000000000000", "width=100000000000000"])  # refused at once, nowhere tried
def test_full_memory_has_its_code(run, setting):
    said = refused(run, 4, "train", "ring8", *SMALL, "--set", setting, "--quiet")
    assert ("try m = 50000000000000" if setting[0] == "m" else "try smaller nets") in said


@pytest.mark.parametrize("number", ["900000000000", limits.SIZE])
def test_more_samples_than_memory_have_its_code(run, number):
    run("train", "ring8", *SMALL, "--quiet")
    assert f"n is {number}: that many samples take" in refused(run, 4, "sample", "trained/ring8", "-n", number)
    assert "draw at most" in refused(run, 4, "evaluate", "trained/ring8", "--samples", number)


class Unread(io.StringIO):
    """A stream whose reader has gone after so many lines."""

    def __init__(self, lines=0):
        super().__init__()
        self.lines = lines

    def write(self, text):
        if self.getvalue().count("\n") >= self.lines:
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(text)

    def flush(self):
        if self.getvalue().count("\n") >= self.lines:
            raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("terminal", [False, True])
def test_a_training_whose_progress_nobody_reads_goes_on_and_is_saved(run, monkeypatch, terminal):
    monkeypatch.setattr(sys, "stderr", unread := Unread(lines=1))
    monkeypatch.setattr(unread, "isatty", lambda: terminal)
    code, out, _ = run("train", "ring8", *SMALL)
    assert (code, out) == (0, "trained/ring8/checkpoint-000000004.safetensors\n")
    assert unread.getvalue().startswith("ring8 on the CPU")
    assert checkpoint.newest("trained/ring8")[0].iteration == 4
    assert sys.stderr is unread


def test_output_that_nobody_reads_ends_quietly_with_its_code(run, monkeypatch, capsys):
    """In a process of its own it is told apart from the pipe's end, below; here which commands are meant."""
    run("train", "ring8", *SMALL, "--quiet")
    for arguments in (["runs"], ["runs", "ring8"], ["study"], ["evaluate", "trained/ring8", "--samples", "10"]):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", Unread())
            assert main(arguments) == 141
        assert capsys.readouterr().err == ""


posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX streams")


def ended(*arguments, before="pass", **streams):
    """A process that has ended; ``before`` is Python that runs first."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    variables |= {"OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "1000"}
    run_ = f"{before}; import sys; from ganlib.lab.cli import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", run_, *arguments], env=variables, text=True, **streams)


@posix
def test_a_pipe_that_has_ended_ends_the_program_without_a_word(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = ended("--help", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
    assert command("runs", folder=tmp_path, nobody_reads=True) == (141, "", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_one_line():
    with open("/dev/full", "w") as full:
        done = ended("runs", "--help", stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*No space left on device\n", done.stderr)


@posix
def test_closed_streams_get_nobody_elses_files(tmp_path):
    """A checkpoint opened as descriptor 2 would be written to by whoever prints to stderr."""
    closed = {"stdin": subprocess.DEVNULL, "preexec_fn": lambda: [os.close(number) for number in (0, 1, 2)]}
    assert ended("train", "ring8", *SMALL, **closed).returncode == 0
    assert checkpoint.newest(tmp_path / "trained" / "ring8")[0].iteration == 4
    look = "from ganlib.lab.cli import streams; streams.fill(); print(1); open('f', 'w').fileno() == 3 or exit(9)"
    assert ended("--help", before=look, **closed).returncode == 0


def test_a_lasting_stream_is_the_stream_it_stands_for(capsys):
    with streams.lasting_stderr():
        print("read", file=sys.stderr)
        assert sys.stderr.isatty() is False
    assert capsys.readouterr().err == "read\n"


def test_a_full_disk_is_one_line(run, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(checkpoint, "save", full)
    assert "No space left on device" in refused(run, 1, "train", "ring8", *SMALL, "--quiet")


def test_faults_of_the_program_keep_their_traceback(run, monkeypatch):
    def fault(*_, **__):
        raise ValueError("a fault")

    run("train", "ring8", *SMALL, "--quiet")
    monkeypatch.setattr(measure, "held_out", fault)
    with pytest.raises(ValueError, match="a fault"):
        run("evaluate", "trained/ring8")


def test_reproduce_writes_all_of_it_and_can_be_repeated(run, tmp_path):
    command = ["reproduce", "ring8", *SMALL, "--seeds", 2, "--samples", 100, "--results", tmp_path / "r" / "ring.json"]
    code, out, _ = run(*command)
    assert (code, out.strip()) == (0, str(tmp_path / "r" / "ring.json"))
    found = json.loads((tmp_path / "r" / "ring.json").read_text())
    assert str(tmp_path) not in (tmp_path / "r" / "ring.json").read_text()
    run_ = runs.get("ring8", {"iterations": 4, "every": 2})
    assert found["settings"] == runs.as_dict(run_)
    assert found["changed"]["iterations"]["this"] == 4
    assert (found["seeds"], found["samples"], found["iterations_of_this_command"]) == ([0, 1], 100, 4)
    assert found["command"].endswith("--results ring.json")
    assert [row[0] for row in found["curves"]["by_seed"]["1"]] == [2, 4]
    assert found["snapshots"]["by_seed"]["1"] == {"iteration": 4, "curve": []}
    whole, _ = checkpoint.newest("trained/ring8")
    assert found["curves"]["by_seed"]["1"][1] == pytest.approx(whole.tensors["curves"][1, 1].tolist(), rel=1e-6)
    values = found["across_seeds"]["high_quality"]["values"]
    assert values == [found["figures_by_seed"][seed]["figures"]["high_quality"]["value"] for seed in "01"]
    for seed, weights in found["weights"].items():
        file = tmp_path / "r" / weights["file"]
        again = json.loads(run("evaluate", file, "--samples", 100, "--json")[1])
        full = json.loads(run("evaluate", "trained/ring8", "--member", seed, "--samples", 100, "--json")[1])
        for name, figure in full["across_seeds"].items():  # half precision moves few of 100 samples
            assert again["across_seeds"][name]["mean"] == pytest.approx(figure["mean"], abs=0.05)

    code, _, err = run(*command)  # the run is finished: measured again, not trained again
    assert code == 0
    assert "resumes after iteration 4 of 4" in err
    again = json.loads((tmp_path / "r" / "ring.json").read_text())
    assert again["iterations_of_this_command"] == 0
    assert [(each["from"], each["to"]) for each in again["trained_by"]] == [(0, 4)]
    for name in ("trained_by", "settings", "figures_by_seed", "across_seeds", "curves", "snapshots", "weights"):
        assert again[name] == found[name]

    before = (tmp_path / "r" / "ring.json").read_bytes()
    other = [*command, "--set", "k=2", "--out", "other"]
    assert "settings.k: 1 -> 2" in refused(run, 5, *other)
    assert (tmp_path / "r" / "ring.json").read_bytes() == before
    assert not (tmp_path / "other").exists()  # refused before any training


def test_reproduce_of_images_names_every_split(run):
    small = ["--set", "data=digits", "--set", "width=16", "--set", "units=8"]
    assert run("reproduce", "mnist-paper", *small, *SMALL, "--samples", 50, "--quiet")[0] == 0
    with open("trained/mnist-paper/mnist-paper.json") as file:
        found = json.load(file)
    assert [each["split"] for each in found["data"]] == ["train", "valid", "test"]
    figure = found["figures_by_seed"]["0"]["figures"]["log_likelihood"]
    assert (figure["n"], figure["plus_minus_is"]) == (500, "standard error over test images")
    # What is measured are the weights beside the result, chosen on the validation images.
    kept = found["snapshots"]["by_seed"]["0"]
    assert [at for at, _, _ in kept["curve"]] == [2, 4]
    assert kept["iteration"] == max(kept["curve"], key=lambda row: row[2])[0]
    again = json.loads(
        run("evaluate", "trained/mnist-paper/mnist-paper-seed0.safetensors", "--samples", 50, "--json")[1]
    )
    assert again["iteration"] == kept["iteration"]
    assert again["figures_by_seed"]["0"]["figures"] == found["figures_by_seed"]["0"]["figures"]


def test_a_study_writes_its_result_with_provenance_and_its_files(run, tmp_path):
    small = {"data": "digits", "sizes": 10, "iterations": 4, "points": 2, "samples": 5, "held_out": 20, "seeds": 1}
    command = ["study", "memorisation", "--folder", tmp_path / "r", "--device", "cpu"]
    for name, value in (small | {"width": 8, "units": 4}).items():
        command += ["--set", f"{name}={value}"]
    code, out, _ = run(*command)
    assert (code, out.strip()) == (0, str(tmp_path / "r" / "memorisation.json"))
    text = (tmp_path / "r" / "memorisation.json").read_text()
    assert str(tmp_path) not in text
    found = json.loads(text)
    assert (found["study"], found["settings"]["iterations"], found["inputs"]) == ("memorisation", 4, {})
    assert found["changed"]["iterations"] == {"named": studies.settings("memorisation").iterations, "this": 4}
    assert [each["split"] for each in found["data"]] == ["train", "valid"]
    assert {"commit", "dirty", "device", "torch"} <= found["environment"].keys()
    for name, file in found["files"].items():
        assert hashlib.sha256((tmp_path / "r" / name).read_bytes()).hexdigest() == file["sha256"]
    assert "settings.seeds: 1 -> 2" in refused(run, 5, *["seeds=2" if each == "seeds=1" else each for each in command])
    assert (tmp_path / "r" / "memorisation.json").read_text() == text


@pytest.fixture
def checkout(monkeypatch):
    """What git says of ganlib's code: commit and changes, to be written to. Asked as in a process that begins."""
    says = {"ls-files": "__init__.py", "rev-parse": "a" * 40, "status": ""}
    monkeypatch.setattr(results, "_git", lambda folder, *arguments: says[arguments[0]])
    results.source_code.cache_clear()
    yield says
    results.source_code.cache_clear()


GENERATOR = ["mnist-paper", *TINY, *SMALL, "--quiet"]
WRITE = {
    "reproduce": ["reproduce", *GENERATOR, "--samples", "20", "--results", "found.json"],
    "sweep": ["sweep", "trained/mnist-paper", "--samples", "20", "--out", "found.json"],
    "study": ["study", "samples", "--folder", "g", "--set", "weights=g", "--set", "vae=", "--set", "data=digits"],
    "train": ["train", *GENERATOR, "--out", "other"],
}


@pytest.mark.parametrize("command", WRITE)
def test_what_is_written_names_the_code_that_the_process_began_with(run, monkeypatch, checkout, command):
    """Whoever commits, or changes a file, while it is at work changes nothing of what it runs."""
    assert run(*WRITE["reproduce"])[0] == 0
    Path("g").mkdir()
    Path("found-seed0.safetensors").rename("g/g.safetensors")
    Path("found.json").unlink()
    results.source_code.cache_clear()
    work = COMMANDS[command]

    def meanwhile(args):
        checkout.update({"rev-parse": "b" * 40, "status": " M ganlib/lab/models/rbm.py"})
        work(args)

    monkeypatch.setitem(COMMANDS, command, meanwhile)
    code, out, _ = run(*WRITE[command])
    assert code == 0
    if command == "train":
        (said,) = checkpoint.load(out.strip()).record["trained_by"]
    else:
        said = json.loads(Path(out.strip()).read_text())["environment"]
    assert (said["commit"], said["dirty"]) == ("a" * 40, False)


def test_studies_are_listed_and_wrong_ones_refused_before_any_work(run, tmp_path):
    assert run("study")[1].count("\n") == len(studies.STUDIES)
    assert "no study 'vea'" in refused(run, 2, "study", "vea")
    assert "has no setting 'lrs'" in refused(run, 2, "study", "vae", "--set", "lrs=1")
    assert "m is 'two'; it must be an integer" in refused(run, 2, "study", "vae", "--set", "m=two")
    assert "is not there; this study looks at earlier results" in refused(run, 6, "study", "figure2", "--quiet")


def test_what_a_study_refuses_is_one_line_and_its_faults_keep_their_traceback(run, tmp_path, monkeypatch):
    small = ["--set", "data=digits", "--quiet", "--device", "cpu", "--folder", tmp_path]
    # Found out only with the data at hand: 30 draws of 10,000 are more than there are digits.
    said = refused(run, 2, "study", "eyes", "--set", "draws=30", *small)
    assert "draws * samples is 300000; digits (5,000 of MNIST) has 4000 images in its train split" in said

    def failing(error):
        def study(*_):
            raise error

        monkeypatch.setattr(studies.module("vae"), "study", study)
        return ["study", "vae", *small]

    assert "of other data" in refused(run, 2, *failing(ValueError("of other data")))
    assert "damaged" in refused(run, 5, *failing(checkpoint.CheckpointError("damaged")))
    assert "no weights" in refused(run, 5, *failing(features.FeaturesError("no weights")))
    for fault in (TypeError("a fault"), KeyError("a fault"), np.linalg.LinAlgError("a fault")):
        with pytest.raises(type(fault), match="a fault"):
            run(*failing(fault))
    assert not list(tmp_path.iterdir())


def test_averages_can_be_left_out(run):
    small = ["--set", "data=digits", "--set", "width=16", "--set", "units=8"]
    assert run("reproduce", "mnist-paper", *small, *SMALL, "--samples", 50, "--quiet", "--no-average")[0] == 0
    with open("trained/mnist-paper/mnist-paper.json") as file:
        assert json.load(file)["averaged"]["by_seed"] == {}
    assert not list(Path("trained").rglob("*averaged*"))


def test_reproduce_measures_a_run_that_train_finished(run):
    assert run("train", "ring8", *SMALL, "--quiet")[0] == 0
    assert run("reproduce", "ring8", *SMALL, "--samples", 50, "--quiet")[0] == 0  # toys: only the end is kept


def test_reproduce_refuses_a_run_of_images_that_train_began(run, tmp_path):
    """Which snapshots there are to choose from must not depend on what else was done in the folder."""
    assert run("train", "mnist-paper", *TINY, "--set", "iterations=4", "--set", "every=2")[0] == 0
    before = tree("trained")
    command = ["reproduce", "mnist-paper", *TINY, "--set", "every=2", "--samples", 50]
    for iterations in (4, 6):  # finished, and begun
        said = refused(run, 5, *command, "--set", f"iterations={iterations}")
        assert "has no snapshot of mnist-paper at iteration 2, seed 0" in said
        assert "empty folder with --out and reproduce again" in said
    assert tree("trained") == before
    other = refused(run, 5, *command, "--set", "iterations=4", "--set", "d_lr=0.5")
    assert "d_lr: 0.1 -> 0.5" in other  # another run's folder is refused as such


def test_reproduce_refuses_a_longer_run_whose_snapshots_lay_elsewhere(run):
    command = ["reproduce", "mnist-paper", *TINY, "--set", "every=1", "--samples", 10, "--no-average"]
    assert run(*command, "--set", "iterations=52", "--results", "short.json")[0] == 0  # every second
    said = refused(run, 5, *command, "--set", "iterations=102", "--results", "long.json")
    assert "at iteration 3, seed 0: a run of 102 keeps one every 3 iterations" in said
    assert checkpoint.newest("trained/mnist-paper")[0].iteration == 52  # refused before any training
    assert run(*command, "--set", "iterations=54", "--results", "long.json")[0] == 0  # every second as well
    with open("long.json") as file:
        curve = json.load(file)["snapshots"]["by_seed"]["0"]["curve"]
    assert [row[0] for row in curve] == list(range(2, 55, 2))


def test_the_sentence_on_test_images_counts_the_average(run):
    for average, says in (
        ([], "no other snapshot of the run, only the average below"),
        (["--no-average"], "no other"),
    ):
        out = ["--out", f"run{len(average)}", "--results", "found.json", *average]
        assert run("reproduce", "mnist-paper", *TINY, *SMALL, "--samples", 50, *out)[0] == 0
        with open("found.json") as file:
            found = json.load(file)
        assert found["snapshots"]["chosen"] == f"the best on the validation images; the test images have seen {says}"
        assert bool(found["averaged"]["by_seed"]) == (not average)


def test_tensorboard_is_asked_for_before_any_work(run, tmp_path, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install tensorboard" in refused(run, 2, "train", "ring8", *SMALL, "--tensorboard", "logs")
    assert not list(tmp_path.iterdir())


def test_ctrl_c_keeps_a_checkpoint_and_the_printed_command_finishes_the_run(run, tmp_path):
    words = ["train", "ring8", "--set", "iterations=400", "--set", "every=20", "--save-every", "20"]
    words += ["--set", "m=16", "--set", "width=16", "--threads", "1", "--out", "stopped"]
    started = process(*words, cwd=tmp_path)
    for line in started.stderr:
        if "iteration 20/" in line:
            break
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=120)
    assert (started.returncode, out) == (130, "")
    assert "Traceback" not in err
    at = int(re.search(r"interrupted: stopped after iteration (\d+), saved in stopped", err)[1])
    assert checkpoint.newest("stopped")[0].iteration == at < 400
    resume = shlex.split(re.search(r"resume with: python -m ganlib (.*)", err)[1])
    assert resume == [*words, "--resume"]
    code, out, err = run(*resume)
    assert code == 0
    assert f"resumes after iteration {at} of 400" in err
    run("train", *words[1:-2], "--out", "never-stopped", "--quiet")
    stopped, never = (checkpoint.newest(folder)[0] for folder in ("stopped", "never-stopped"))
    assert stopped.iteration == never.iteration == 400
    assert torch.equal(stopped.tensors["curves"], never.tensors["curves"])
    assert all(torch.equal(stopped.tensors[name], tensor) for name, tensor in never.tensors.items())


def test_ctrl_c_outside_training_has_its_code_too(run, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "load_data", interrupt)
    code, out, err = run("train", "ring8", "--quiet")
    assert (code, out) == (130, "")
    assert err == "interrupted\nresume with: python -m ganlib train ring8 --quiet --resume\n"
    run_reproduce = run("reproduce", "ring8", "--quiet")
    assert run_reproduce[0] == 130
    assert run_reproduce[2].endswith("resume with: python -m ganlib reproduce ring8 --quiet\n")  # it resumes anyway


@pytest.mark.parametrize(("arguments", "code"), [(["runs"], 0), (["runs", "x"], 2), (["sample", "nowhere"], 5)])
def test_exit_codes_of_real_processes(tmp_path, arguments, code):
    found, _, err = command(*arguments, folder=tmp_path)
    assert found == code
    assert err.count("\n") == (code != 0)
