"""What a run reads from outside stays what it was: other data, or another pretrained generator, are refused by hash."""

import hashlib
import json
import shutil
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from scipy.io import savemat

from ganlib import data
from ganlib.errors import CheckpointError, DataError
from ganlib.lab import checkpoint, history, results, runs, snapshots, studies
from ganlib.lab.cli import main
from ganlib.lab.generators import open_trained
from ganlib.lab.models import vae
from ganlib.lab.studies import changes, image_sets
from ganlib.lab.studies.common import check_unchanged
from ganlib.lab.training import Training
from ganlib.tests.folders import tree

SMALL = ["--set", "width=8", "--set", "units=4", "--set", "m=5", "--set", "every=2", "--quiet"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Two editions of the faces, of one name and shape."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANLIB_DEVICE", "cpu")
    for edition, seed in (("one", 1), ("other", 2)):
        rng = np.random.default_rng(seed)
        folds = np.repeat(np.array([[0], [2], [3]], np.uint8), 5, axis=1).repeat(10, axis=0)
        images, labels = rng.integers(0, 256, (30, 48, 48), np.uint8), np.full((30, 1), -1, np.int16)
        (tmp_path / edition).mkdir()
        savemat(tmp_path / edition / data.TFD, {"images": images, "labs_ex": labels, "folds": folds})
    monkeypatch.setenv("GANLIB_DATA", "one")


def sha256(edition, split="train"):
    """Of the training images and their labels, without ganlib's own."""
    images = data.load("tfd", split, edition)
    return hashlib.sha256(images.pixels.numpy().tobytes() + images.labels.numpy().tobytes()).hexdigest()


@pytest.mark.parametrize("iterations", [4, 8])  # the run is done, or is lengthened
@pytest.mark.parametrize("seeds", ["1", "2"])
@pytest.mark.parametrize(
    "command", [["train", "tfd", "--resume"], ["reproduce", "tfd", "--samples", "20"]], ids=["train", "reproduce"]
)
def test_a_run_is_not_resumed_on_other_data(tmp_path, monkeypatch, capsys, command, seeds, iterations):
    command = [*command, *SMALL, "--seeds", seeds, "--out", "run"]
    assert main([*command, "--set", "iterations=4"]) == 0
    monkeypatch.setenv("GANLIB_DATA", "other")
    before, _ = tree(tmp_path / "run"), capsys.readouterr()
    assert main([*command, "--set", f"iterations={iterations}", "--save-every", "2"]) == 5
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    if not (iterations == 8 and command[0] == "reproduce"):  # there the results file is refused before
        for says in (sha256("one"), sha256("other"), "set GANLIB_DATA", "start afresh in another folder", "run/check"):
            assert says in err
    assert tree(tmp_path / "run") == before
    monkeypatch.setenv("GANLIB_DATA", "one")
    if command[0] == "train":
        assert main([*command, "--set", f"iterations={iterations}"]) == 0


def test_a_result_names_the_data_of_every_iteration(capsys):
    assert main(["reproduce", "tfd", *SMALL, "--samples", "20", "--set", "iterations=4", "--out", "run"]) == 0
    with open("run/tfd.json") as file:
        found = json.load(file)
    assert found["data"][0]["sha256"] == sha256("one")
    assert [each["data_sha256"] for each in found["trained_by"]] == [sha256("one")]
    for path in ("run/tfd-seed0.safetensors", "run/tfd-averaged-seed0.safetensors"):
        assert checkpoint.load(path).record["data_sha256"] == sha256("one")


@pytest.mark.parametrize("file", ["run", "run/tfd-seed0.safetensors", "run/tfd-averaged-seed0.safetensors"])
def test_a_generator_is_not_measured_beside_other_data_than_it_was_trained_on(monkeypatch, capsys, file):
    assert main(["reproduce", "tfd", *SMALL, "--samples", "20", "--set", "iterations=4", "--out", "run"]) == 0
    commands = (["evaluate", file, "--samples", "20"], ["sweep", file, "--samples", "10", "--out", "sweep.json"])
    for command in commands:
        assert main(command) == 0
    with open("sweep.json") as found:
        assert json.load(found)["checkpoint_sha256"] == open_trained(file)[0].checkpoint.sha256
    monkeypatch.setenv("GANLIB_DATA", "other")
    capsys.readouterr()
    for command in commands:
        assert main(command) == 5
        err = capsys.readouterr().err
        assert sha256("one") in err
        assert sha256("other") in err
    assert main(["sample", file]) == 0  # takes no data


def test_studies_do_not_compare_a_generator_with_other_data(tmp_path, monkeypatch):
    """Each study that reads a generator; its hash is made wrong, as other data would make it."""
    small = {"data": "digits", "width": 8, "units": 4, "m": 10, "iterations": 2, "every": 2}
    training = Training(runs.get("mnist-paper", small), device="cpu")
    training.advance(2)
    training.inputs = {"data_sha256": "a" * 64, "pretrained_sha256": None}
    snapshots.keep("kept", training)
    shutil.copy("kept/seed-0/iteration-000000002.safetensors", "g.safetensors")
    asked = {
        "chains": {"data": "digits", "generator": "g.safetensors"},
        "samples": {"data": "digits", "weights": "g", "vae": ""},
        "draws": {"data": "digits", "weights": "g", "vae": ""},
        "copying": {"data": "digits", "weights": "g", "images": 100, "samples": 40, "block": 20},
        "figure2": {"weights": "g"},
        "likelihood": {"data": "digits", "weights": "g", "vae": ""},
        "eyes": {
            "data": "digits", "weights": "g", "vae": "", "samples": 100, "sizes": "50", "neighbour_samples": 50,
            "neighbour_images": 100, "two_sample_images": 50, "birthday_batch": 20,
        },
    }  # fmt: skip
    folders = {"cooling", "cooling-simultaneous"}  # of whole runs: test_study_cooling
    readers = {name for name in studies.STUDIES if "open_trained" in vars(studies.module(name))}
    assert readers - folders <= asked.keys()
    assert {name for name in studies.STUDIES if image_sets.generators in vars(studies.module(name)).values()} <= {
        *asked
    }
    for name, settings in asked.items():
        with pytest.raises(CheckpointError, match=f"trained on training images of SHA-256 {'a' * 64}, and here is"):
            studies.module(name).study(studies.settings(name, settings), torch.device("cpu"), tmp_path, print)
    decoder = tmp_path / "v.safetensors"
    for sha256, refused in ((None, False), (data.load("digits").sha256, False), ("a" * 64, True)):
        decoder.write_bytes(vae.decoder_file(vae.VAE(4, 8), 1, sha256))
        settings = studies.settings("samples", {"data": "digits", "weights": "", "vae": decoder.name, "samples": 2})
        with pytest.raises(CheckpointError, match="a" * 64) if refused else nullcontext():
            studies.module("samples").study(settings, torch.device("cpu"), tmp_path, print)


def test_a_study_whose_data_change_under_it_stops():
    training = Training(runs.get("tfd", {"width": 8, "units": 4, "m": 5}), device="cpu")
    check_unchanged(training, sha256("one"))
    with pytest.raises(DataError, match=f"changed while the study.*{sha256('other')}, and now {sha256('one')}"):
        check_unchanged(training, sha256("other"))
    few = {"data": "digits", "width": 8, "units": 4, "iterations": 4, "points": 2, "samples": 10}
    with pytest.raises(DataError, match="changed while the study"):
        changes._train(studies.settings("changes", few), changes.PUBLISHED, 0, "cpu", "a" * 64)


def snapshots_of(folder, iterations, edition, monkeypatch):
    monkeypatch.setenv("GANLIB_DATA", edition)
    settings = {"width": 8, "units": 4, "m": 5, "every": 2, "iterations": 4}
    training = Training(runs.get("tfd", settings), device="cpu")
    for (report,) in training.reports():
        if report.iteration in iterations:
            snapshots.keep(folder, training)
    return training


def test_snapshots_of_other_data_are_not_chosen_from_or_averaged(tmp_path, monkeypatch):
    snapshots_of(tmp_path, (2,), "other", monkeypatch)
    training = snapshots_of(tmp_path, (4,), "one", monkeypatch)
    valid = {"valid": runs.load_data(training.run, split="valid")}
    for inputs in (training.inputs, None):
        for call in (
            lambda inputs=inputs: snapshots.choose(tmp_path, training.run, 0, valid, samples=10, inputs=inputs),
            lambda inputs=inputs: snapshots.choose_average(
                tmp_path, training.run, 0, valid, "x", samples=10, inputs=inputs
            ),
        ):
            with pytest.raises(CheckpointError, match=r"iteration-000000002.* is of another run or of other data"):
                call()
    snapshots_of(tmp_path, (2, 4), "one", monkeypatch)
    shutil.copy(
        tmp_path / "seed-0/iteration-000000002.safetensors", tmp_path / "seed-0/iteration-000000004.safetensors"
    )
    with pytest.raises(CheckpointError, match="another run"):  # a file of another iteration under that name
        snapshots.choose(tmp_path, training.run, 0, valid, samples=10, inputs=training.inputs)


def without_inputs(folder):
    """Make a folder's checkpoint one from before the hashes were noted."""
    found, _ = checkpoint.newest(folder)
    record = {name: value for name, value in found.record.items() if name not in history.INPUTS}
    for span in record["trained_by"]:
        for name in history.INPUTS:
            del span[name]
    found.path.unlink()
    checkpoint.save(folder, found.iteration, found.tensors, found.settings, record)


def test_an_old_checkpoint_is_believed_and_the_result_leaves_open_what_it_was_trained_on(capsys):
    command = [*SMALL, "--out", "run"]
    assert main(["train", "tfd", *command, "--set", "iterations=4"]) == 0
    without_inputs("run")
    capsys.readouterr()
    assert main(["train", "tfd", *command, "--set", "iterations=8", "--resume"]) == 0
    err = capsys.readouterr().err
    assert "does not say on which data it was trained; the run goes on with training images of" in err
    assert sha256("one") in err
    spans = checkpoint.newest("run")[0].record["trained_by"]
    assert [(each["to"], each["data_sha256"]) for each in spans] == [(4, None), (8, sha256("one"))]
    assert main(["evaluate", "run", "--samples", "20"]) == 0


def test_another_pretrained_generator_is_refused_and_a_moved_one_is_not(tmp_path, capsys):
    for name, seed in (("a", "0"), ("b", "1")):
        assert main(["train", "tfd", *SMALL, "--set", "iterations=2", "--seed", seed, "--out", name]) == 0
    first, second = (str(checkpoint.newest(name)[0].path) for name in "ab")
    command = ["reproduce", "tfd-stage2", *SMALL, "--samples", "20", "--set", "iterations=4", "--out", "stage2"]
    shutil.copy(first, "p.safetensors")
    assert main([*command, "--set", "pretrained=p.safetensors", "--results", "x.json"]) == 0
    wanted = hashlib.sha256((tmp_path / "p.safetensors").read_bytes()).hexdigest()
    with open("x.json") as file:
        found = json.load(file)
    assert found["pretrained_sha256"] == found["trained_by"][0]["pretrained_sha256"] == wanted
    shutil.copy(first, "moved.safetensors")
    assert main([*command, "--set", "pretrained=moved.safetensors", "--results", "y.json"]) == 0
    shutil.copy(second, "p.safetensors")
    before, _ = tree(tmp_path / "stage2"), capsys.readouterr()
    assert main([*command, "--set", "pretrained=p.safetensors", "--results", "x.json"]) == 5
    err = capsys.readouterr().err
    for says in (wanted, hashlib.sha256((tmp_path / "p.safetensors").read_bytes()).hexdigest(), "--set pretrained="):
        assert says in err
    assert tree(tmp_path / "stage2") == before
    assert main(["sweep", "stage2/tfd-stage2.json", "--samples", "5"]) == 5  # no checkpoint
    # The published generator knows its pretrained file's hash, not where it was.
    assert main(["sweep", "x-seed0.safetensors", "--samples", "5", "--out", "s.json"]) == 0
    with open("s.json") as file:
        assert json.load(file)["pretrained_sha256"] == wanted


def test_a_result_names_the_pretrained_file_that_was_read_even_if_it_goes_meanwhile(tmp_path, monkeypatch):
    assert main(["train", "tfd", *SMALL, "--set", "iterations=2", "--out", "a"]) == 0
    pretrained = checkpoint.newest("a")[0].path
    wanted, told = hashlib.sha256(pretrained.read_bytes()).hexdigest(), results.provenance

    def meanwhile(*arguments, **keywords):
        pretrained.unlink()
        return told(*arguments, **keywords)

    monkeypatch.setattr(results, "provenance", meanwhile)
    command = ["reproduce", "tfd-stage2", *SMALL, "--samples", "20", "--set", "iterations=2", "--results", "x.json"]
    assert main([*command, "--set", f"pretrained={pretrained}"]) == 0
    with open("x.json") as file:
        assert json.load(file)["pretrained_sha256"] == wanted


def test_a_checkpoint_that_goes_while_it_is_measured_is_still_named(monkeypatch):
    assert main(["train", "tfd", *SMALL, "--set", "iterations=2", "--out", "a"]) == 0
    path = checkpoint.newest("a")[0].path
    wanted, told = hashlib.sha256(path.read_bytes()).hexdigest(), results.provenance

    def meanwhile(*arguments, **keywords):
        path.unlink()
        return told(*arguments, **keywords)

    monkeypatch.setattr(results, "provenance", meanwhile)
    assert main(["sweep", "a", "--samples", "5"]) == 0
    with open("parzen-sweep.json") as file:
        assert json.load(file)["checkpoint_sha256"] == wanted
