"""A run with a folder: what it keeps, refuses and resumes. Kills by real signals are in tests/test_kill.py."""

import errno
import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch

from ganlib.errors import CheckpointError, Diverged, Interrupted
from ganlib.lab import checkpoint, results, runs
from ganlib.lab.runner import Runner, tensorboard
from ganlib.lab.training import Training
from ganlib.tests.folders import tree
from ganlib.tests.processes import Trainer

SETTINGS = {"width": 8, "m": 8, "iterations": 12, "every": 3}


def runner(folder, *, resume=False, save_every=0, seeds=(0,), **overrides):
    training = Training(runs.get("ring8", {**SETTINGS, **overrides}), seeds=seeds, device="cpu")
    return Runner(training, folder, resume=resume, save_every=save_every)


def test_saves_as_often_as_asked_and_at_the_end(tmp_path):
    run = runner(tmp_path, save_every=6)
    kept = []
    for _ in run.reports():
        found, _ = checkpoint.newest(tmp_path) if tmp_path.exists() else (None, [])
        kept.append(found and found.iteration)
    assert kept == [None, 6, 6, 12]


@pytest.mark.parametrize("seeds", [(0,), (3, 1)])
def test_goes_on_where_the_newest_checkpoint_is(tmp_path, seeds):
    whole = runner(None, seeds=seeds)
    list(whole.reports())
    first = runner(tmp_path, save_every=3, seeds=seeds)
    for reports in first.reports():
        if reports[0].iteration == 6:
            break
    second = runner(tmp_path, resume=True, seeds=seeds)
    assert second.training.iteration == 6
    list(second.reports())
    assert second.curves == whole.curves
    expected = whole.training.state()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in second.training.state().items())


def test_a_run_says_which_code_trained_which_iterations(tmp_path, monkeypatch):
    for commit, iterations in (("a", 3), ("b", 6), ("b", 9), ("a", 12)):
        monkeypatch.setattr(results, "source_code", lambda commit=commit: (commit, False))
        run = runner(tmp_path, resume=True, iterations=iterations)
        list(run.reports())
    spans = [(each["from"], each["to"], each["commit"]) for each in run.trained_by]
    assert spans == [(0, 3, "a"), (3, 9, "b"), (9, 12, "a")]
    assert runner(tmp_path, resume=True).trained_by == run.trained_by
    assert {each["threads"] for each in run.trained_by} == {torch.get_num_threads()}


def test_a_checkpoint_that_does_not_say_what_trained_it_leaves_that_open(tmp_path):
    settings = runner(None, iterations=3).settings()
    trained = Training(runs.get("ring8", {**SETTINGS, "iterations": 3}), seeds=(0,), device="cpu")
    trained.advance(3)
    checkpoint.save(
        tmp_path, 3, trained.state() | {"curves": torch.zeros(0, 1, 5, dtype=torch.float64)}, settings, {"threads": 1}
    )
    run = runner(tmp_path, resume=True, iterations=6)
    list(run.reports())
    said = {"from": 0, "to": 3, "threads": 1}
    unknown = ("commit", "dirty", "torch", "data_sha256", "pretrained_sha256")
    assert run.trained_by[0] == said | dict.fromkeys(unknown)
    assert run.trained_by[1]["commit"] == results.source_code()[0]


def test_a_finished_run_resumed_does_nothing(tmp_path):
    list(runner(tmp_path).reports())
    before = tree(tmp_path)
    again = runner(tmp_path, resume=True)
    assert list(again.reports()) == []
    assert len(again.curves) == 4
    assert tree(tmp_path) == before


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path):
    list(runner(tmp_path).reports())
    with pytest.raises(CheckpointError, match="holds a run at iteration 12: resume it, or choose another folder"):
        runner(tmp_path)


@pytest.mark.parametrize("at_once", [1, 2])  # the other process has made the folder, or the one around it as well
def test_a_folder_that_another_process_makes_at_the_same_moment_is_used(tmp_path, monkeypatch, at_once):
    folder, mkdir, raced = tmp_path / "trained" / "run", os.mkdir, []
    if at_once == 1:
        folder.parent.mkdir()

    def slower(path, *args, **kwargs):
        if str(path).startswith(str(tmp_path)) and len(raced) < at_once:
            raced.append(path)
            os.makedirs(path, exist_ok=True) if at_once == 1 else mkdir(folder.parent) if len(raced) == 1 else None
        return mkdir(path, *args, **kwargs)

    monkeypatch.setattr(os, "mkdir", slower)
    run = runner(folder)
    assert raced
    list(run.reports())
    assert checkpoint.newest(folder)[0].iteration == 12


def test_what_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link"):
        with pytest.raises(CheckpointError, match=f"{name}: not a folder"):
            runner(tmp_path / name)


TRAINED = {"width": 8, "m": 8, "iterations": 12, "every": 3}


def test_a_folder_in_which_another_process_trains_is_refused_until_it_ends(tmp_path):
    for end in ("itself", "killed"):
        folder = tmp_path / end
        other = Trainer(folder, TRAINED)
        assert other.first == 3
        before = set(folder.iterdir())
        named = f"process {other.process.pid}" if sys.platform == "linux" else "another process"
        with pytest.raises(CheckpointError, match=rf"{named} trains in .*: let it end or stop it"):
            runner(folder, resume=True)
        assert set(folder.iterdir()) == before
        other.kill() if end == "killed" else other.go_on()
        resumed = runner(folder, resume=True)
        assert list(resumed.reports()) == [] if end == "itself" else resumed.training.iteration < 12


def test_a_finished_run_gives_its_folder_back_to_other_processes(tmp_path):
    done = runner(tmp_path)
    refused = Trainer(tmp_path, TRAINED, resume=True)
    assert "trains in" in refused.first
    assert refused.go_on() != 0
    list(done.reports())
    assert Trainer(tmp_path, TRAINED, resume=True).go_on() == 0


def gone(folder):
    shutil.rmtree(folder)


def renamed(folder):
    folder.rename(folder.with_name("elsewhere"))


def replaced(folder):
    renamed(folder)
    list(runner(folder, iterations=3).reports())  # another run, under that name


@pytest.mark.parametrize("kept", [False, True])  # snapshots
@pytest.mark.parametrize("moment", ["report", "end", "interruption", "before the first iteration"])
@pytest.mark.parametrize("how", [gone, renamed, replaced])
def test_a_folder_that_goes_away_under_a_run_ends_it_and_is_not_made_again(tmp_path, how, moment, kept):
    folder = tmp_path / "run"
    training = Training(runs.get("ring8", SETTINGS), device="cpu")
    run = Runner(training, folder, save_every=3, snapshots=folder / "snapshots" if kept else None)
    first = run.reports()
    if moment != "before the first iteration":
        next(first)
        next(first)
    if moment == "end":
        next(first)
    how(folder)
    before = tree(tmp_path)
    if moment == "interruption":
        iterate = training._iterate
        training._iterate = lambda: (os.kill(os.getpid(), signal.SIGTERM), iterate())[1]
    with pytest.raises(CheckpointError, match=f"{folder} was deleted, renamed or replaced .*give it its name back"):
        list(first)
    assert tree(tmp_path) == before
    assert folder.exists() == (how is replaced)
    if how is renamed and moment != "before the first iteration":
        (tmp_path / "elsewhere").rename(folder)
        again = runner(folder, resume=True)
        assert again.training.iteration == {"report": 6, "interruption": 6, "end": 9}[moment]


def test_a_run_that_was_left_saves_only_while_nobody_else_has_its_folder(tmp_path):
    run = runner(tmp_path, save_every=100)
    next(reports := run.reports())
    reports.close()  # the loop over them was left
    other = Trainer(tmp_path, TRAINED)
    assert other.first == 3
    with pytest.raises(CheckpointError, match=r"trains in .*: let it end or stop it"):
        run.save()
    other.kill()
    run.save()
    assert checkpoint.newest(tmp_path)[0].iteration == 3
    assert Trainer(tmp_path, TRAINED, resume=True).go_on() == 0


def test_a_full_disk_and_a_kill_do_not_stop_a_run_for_good(tmp_path, monkeypatch):
    """As long as what was left half written fills the disk, nothing else fits."""
    list(runner(tmp_path, iterations=3).reports())
    (tmp_path / "snapshots" / "seed-0").mkdir(parents=True)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = [
        tmp_path / f".checkpoint-000000006.{dead.pid}-0123abcd.tmp",  # as versions before this one call it
        tmp_path / f".checkpoint-000000006.safetensors.{dead.pid}-0123abcd.tmp",
        tmp_path / f".checkpoint-000000006.safetensors.{os.getppid()}-0123abcd.tmp",  # the number is used again
        tmp_path / "snapshots" / "seed-0" / f".iteration-000000012.safetensors.{dead.pid}-0123abcd.tmp",
    ]
    strangers = [tmp_path / ".notes.tmp", tmp_path / f".ring8.json.{os.getppid()}-0123abcd.tmp"]
    for path in (*left, *strangers):
        path.write_bytes(b"half")
    fsync = os.fsync

    def full(descriptor):
        if any(path.exists() for path in left):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    training = Training(runs.get("ring8", {**SETTINGS, "iterations": 6}), device="cpu")
    list(Runner(training, tmp_path, resume=True, snapshots=tmp_path / "snapshots").reports())
    assert checkpoint.newest(tmp_path)[0].iteration == 6
    assert all(path.exists() for path in strangers)


def test_resuming_with_other_settings_is_refused_and_lists_them(tmp_path):
    list(runner(tmp_path).reports())
    before = tree(tmp_path)
    with pytest.raises(CheckpointError) as refusal:
        runner(tmp_path, resume=True, d_lr=0.5, k=2, seeds=(0, 1))
    for difference in (f"d_lr: {runs.get('ring8').d_lr} -> 0.5", "k: 1 -> 2", "seeds: [0] -> [0, 1]"):
        assert difference in str(refusal.value)
    assert "g_lr" not in str(refusal.value)
    assert tree(tmp_path) == before


def test_a_truncated_newest_checkpoint_is_named_left_alone_and_passed_over(tmp_path, capsys):
    list(runner(tmp_path, save_every=3).reports())
    _, newest = sorted(tmp_path.glob("checkpoint-*.safetensors"))
    newest.write_bytes(damaged := newest.read_bytes()[:-7])
    run = runner(tmp_path, resume=True)
    assert newest.name in capsys.readouterr().err
    assert run.training.iteration == 9
    list(run.reports())
    assert newest.read_bytes() == damaged
    assert checkpoint.newest(tmp_path)[0].iteration == 12


def test_only_damaged_checkpoints_stop_a_resume(tmp_path):
    list(runner(tmp_path).reports())
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"checkpoint-0000000"):
        runner(tmp_path, resume=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_iteration_saves_and_says_where(tmp_path, number):
    whole = runner(None)
    list(whole.reports())
    run = runner(tmp_path, save_every=100)
    iterate, calls = run.training._iterate, []

    def interrupted():
        calls.append(1)
        if len(calls) == 5:  # in the middle of an iteration between two reports
            os.kill(os.getpid(), number)
        return iterate()

    run.training._iterate = interrupted
    handler = signal.getsignal(number)
    with pytest.raises(Interrupted, match="stopped after iteration 5, saved in"):
        list(run.reports())
    assert signal.getsignal(number) is handler
    again = runner(tmp_path, resume=True)
    assert again.training.iteration == 5
    list(again.reports())
    assert again.curves == whole.curves


def test_a_run_that_diverges_keeps_its_last_good_checkpoint(tmp_path):
    run = runner(tmp_path, save_every=3)
    iterate, calls = run.training._iterate, []

    def diverging():
        calls.append(1)
        return iterate() * (float("nan") if len(calls) == 8 else 1)

    run.training._iterate = diverging
    with pytest.raises(Diverged, match="between iterations 7 and 9"):
        list(run.reports())
    assert checkpoint.newest(tmp_path)[0].iteration == 6


def test_tensorboard_logs_every_report(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = runner(None, seeds=(0, 4))
    log = tensorboard(tmp_path, run.training.seeds)
    for reports in run.reports():
        log(reports)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    logged = events.Scalars("seed 4/g_loss")
    assert [event.step for event in logged] == [3, 6, 9, 12]
    assert [event.value for event in logged] == pytest.approx([each[1].g_loss for each in run.curves], rel=1e-6)


def test_an_interruption_does_not_save_what_can_only_diverge(tmp_path):
    run = runner(tmp_path, save_every=3)
    iterate, calls = run.training._iterate, []

    def failing():
        calls.append(1)
        if len(calls) == 8:
            os.kill(os.getpid(), signal.SIGINT)
        return iterate() * (float("nan") if len(calls) == 7 else 1)

    run.training._iterate = failing
    with pytest.raises(Diverged):
        list(run.reports())
    assert checkpoint.newest(tmp_path)[0].iteration == 6


def test_a_folder_that_cannot_be_written_is_found_out_before_the_first_iteration(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        runner(tmp_path / "file" / "run")
