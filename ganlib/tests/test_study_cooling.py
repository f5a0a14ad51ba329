"""The study of falling rates: what is gone on with is the finished run, and only the rates differ."""

import hashlib
import json
from dataclasses import replace

import pytest
import torch

from ganlib import data
from ganlib.errors import CheckpointError
from ganlib.lab import measure, runs, studies
from ganlib.lab.generators import open_trained
from ganlib.lab.runner import Runner
from ganlib.lab.studies import cooling
from ganlib.lab.training import Training
from ganlib.metrics.features import digit_features
from ganlib.metrics.frechet import frechet_distance
from ganlib.sampling import sample

CPU = torch.device("cpu")
TINY = {"data": "digits", "width": 16, "units": 8, "m": 400, "iterations": 20, "every": 10}
FEW = {"trained": "one", "factors": "0.1,0.01", "epochs": "4,2", "points": 2, "samples": 60}


def trained(folder, name="mnist-paper", seeds=(3,), **changed):
    training = Training(runs.get(name, {**TINY, **changed}), seeds=seeds, device="cpu")
    return Runner(training, folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    list(trained(root / "one").reports())
    return root


@pytest.fixture(scope="module")
def outcome(folder):
    said = []
    found = cooling.study(studies.settings("cooling", FEW), CPU, folder, said.append)
    assert len(said) == 2
    return found


def test_both_ways_on_have_their_curves_and_parts(outcome, folder):
    json.dumps(outcome.figures, allow_nan=False)
    found = outcome.figures["by_run"]["one"]
    assert (found["run"], found["seed"], found["iteration"]) == ("mnist-paper", 3, 20)
    for way, factors in ((cooling.COOLED, [0.1, 0.01]), (cooling.CONTROL, [1.0, 1.0])):
        assert [row[0] for row in found[way]["curve"]] == [40, 60, 80]  # an epoch is ten minibatches of 400
        assert [part["factor"] for part in found[way]["parts"]] == factors
        assert [part["iteration"] for part in found[way]["parts"]] == [60, 80]
    (path,) = (folder / "one").glob("checkpoint-000000020.*")
    assert found["checkpoint_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_control_is_the_run_had_it_been_longer(outcome, tmp_path):
    longer = trained(tmp_path, iterations=80)
    list(longer.reports())
    assert_measured(outcome.figures["by_run"]["one"][cooling.CONTROL]["parts"][1], longer.training)


def test_the_cooled_one_has_the_rates_by_hand(outcome, folder):
    """The run's own, times the factor, in torch's optimisers: no setting of a run."""
    found, _ = open_trained(folder / "one")
    training = Training(replace(found.run, iterations=80, every=80), seeds=[3], device="cpu")
    training.load({name: tensor for name, tensor in found.checkpoint.tensors.items() if name != "curves"})
    for factor, end in ((0.1, 60), (0.01, 80)):
        published = training.schedule

        def slower(done, factor=factor, published=published):
            published(done)
            for optimiser in (training.game.d_optimiser, training.game.g_optimiser):
                for group in optimiser.param_groups:
                    group["lr"] = factor * 0.1 / 1.000004**done

        training.schedule = slower
        training.advance(end - training.iteration)
        training.schedule = published
    assert_measured(outcome.figures["by_run"]["one"][cooling.COOLED]["parts"][1], training)


def test_before_is_what_the_run_left(outcome, folder):
    found, _ = open_trained(folder / "one")
    training = Training(found.run, seeds=[3], device="cpu")
    training.load({name: tensor for name, tensor in found.checkpoint.tensors.items() if name != "curves"})
    assert_measured({"figures": outcome.figures["by_run"]["one"][cooling.BEFORE]}, training)


def assert_measured(part, training):
    run, generator = training.run, training.networks()[0]
    held_out = measure.held_out(run)
    again = measure.measure(run, generator, held_out, samples=60)["figures"]
    assert part["figures"]["log_likelihood"]["value"] == pytest.approx(again["log_likelihood"]["value"], abs=2e-3)
    assert part["figures"]["sigma"]["value"] == again["sigma"]["value"]
    assert part["figures"]["log_likelihood_fine"]["value"] > again["log_likelihood"]["value"] - 5
    features = digit_features(data.load("digits", "test").flattened().floats())
    distance = frechet_distance(features, digit_features(sample(generator, runs.latent(run), 60)))
    assert part["figures"]["frechet"]["value"] == pytest.approx(distance, rel=1e-4)
    assert 0 <= part["figures"]["precision"]["value"] <= 1


def test_the_second_study_is_the_first_on_another_run():
    one, other = studies.settings("cooling"), studies.settings("cooling-simultaneous")
    assert studies.module("cooling-simultaneous") is cooling
    assert replace(other, trained=one.trained) == one != other
    assert studies.changed("cooling-simultaneous", other) == {}
    assert studies.changed("cooling-simultaneous", one) == {"trained": (other.trained, one.trained)}


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"trained": ""}, "trained is ''"),
        ({"trained": "a,a"}, "different names"),
        ({"trained": "../a"}, "trained is '../a'"),
        ({"factors": "0.1"}, "as many of both"),
        ({"factors": "0.1,2"}, "each of the factors"),
        ({"factors": "0.1,zero"}, "factors is"),
        ({"epochs": "4,3"}, "points that divide each"),
        ({"epochs": "0,2"}, "each of the epochs"),
        ({"points": 0}, "points is 0"),
        ({"samples": 3}, "samples is 3"),
    ],
)
def test_impossible_settings_are_refused_by_name(overrides, says):
    with pytest.raises(ValueError, match=says):
        studies.settings("cooling", {**FEW, **overrides})


def test_what_cannot_be_gone_on_with_is_said_before_any_training(tmp_path, folder):
    def study(name):
        cooling.study(studies.settings("cooling", {**FEW, "trained": name}), CPU, tmp_path, print)

    with pytest.raises(FileNotFoundError, match=r"reproduce mnist-paper-alternating --out .*alternating-seed0`"):
        study("mnist-paper-alternating-seed0")  # named after its run: the command that makes it
    half = trained(tmp_path / "half")
    next(half.reports())
    half.save()
    with pytest.raises(CheckpointError, match="ends at iteration 10 of 20"):
        study("half")
    list(trained(tmp_path / "two", seeds=(0, 1)).reports())
    with pytest.raises(CheckpointError, match="it has seeds 0, 1"):
        study("two")
    list(trained(tmp_path / "other", name="small-mlp", units=240).reports())
    with pytest.raises(CheckpointError, match="'small-mlp' nets"):
        study("other")
    other = trained(tmp_path / "data")
    other.training.inputs["data_sha256"] = "a" * 64
    list(other.reports())
    with pytest.raises(CheckpointError, match=f"trained on training images of SHA-256 {'a' * 64}, and here is"):
        study("data")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="no checkpoint in this folder"):
        study("empty")
