"""The study of changes: each training has the change it is called after, and the best generator is measured."""

import hashlib
import json
import statistics

import pytest
import torch

from ganlib.lab import measure, runs, studies
from ganlib.lab.studies import changes
from ganlib.lab.studies.common import side_by_side
from ganlib.lab.training import Training
from ganlib.metrics.features import ASSETS, WEIGHTS, digit_features
from ganlib.metrics.frechet import frechet_distance
from ganlib.sampling import sample

CPU = torch.device("cpu")
FEW = {"data": "digits", "width": 16, "units": 8, "iterations": 40, "points": 4, "samples": 60, "seeds": 2}


@pytest.fixture(scope="module")
def settings():
    return studies.settings("changes", FEW)


@pytest.fixture(scope="module")
def outcome(settings, tmp_path_factory):
    said = []
    found = changes.study(settings, CPU, tmp_path_factory.mktemp("none"), said.append)
    assert len(said) == 2 * len(settings.changes())
    return found


def test_every_training_has_its_curve_and_figures(outcome, settings):
    json.dumps(outcome.figures, allow_nan=False)
    found = outcome.figures["by_change"]
    assert list(found) == list(settings.changes())
    for name, each in found.items():
        assert each["set"] == settings.changes()[name]
        assert [one["seed"] for one in each["by_seed"]] == [0, 1]
        for one in each["by_seed"]:
            length = 8 if name == changes.LONGER else 4
            assert [row[0] for row in one["curve"]] == [10 * (i + 1) for i in range(length)]
            assert {len(row) for row in one["curve"]} == {len(outcome.figures["columns"])}
            best = max(one["curve"], key=lambda row: row[2])
            assert one["iteration"] == best[0]
            assert one["figures"]["sigma"]["value"] == pytest.approx(best[1])
        scores = [one["figures"]["log_likelihood"]["value"] for one in each["by_seed"]]
        across = each["across_seeds"]["log_likelihood"]
        assert (across["value"], across["n"]) == (pytest.approx(statistics.mean(scores)), 2)
        assert across["plus_minus"] == pytest.approx(statistics.stdev(scores))


def test_the_shorter_training_is_the_first_part_of_the_longer_one(outcome):
    found = outcome.figures["by_change"]
    for short, long in zip(found[changes.ALTERNATING]["by_seed"], found[changes.LONGER]["by_seed"], strict=True):
        assert long["curve"][:4] == short["curve"]
        assert max(row[2] for row in long["curve"]) >= max(row[2] for row in short["curve"])


def test_what_is_measured_is_the_kept_generator_of_that_training(outcome, settings):
    one = outcome.figures["by_change"][changes.PUBLISHED]["by_seed"][1]
    run = settings.changed(changes.PUBLISHED)
    training = Training(run, seeds=[0, 1], device=CPU)
    training.advance(one["iteration"])
    generator = training.networks(1)[0]
    held_out = measure.held_out(run)
    again = measure.measure(run, generator, held_out, samples=60)["figures"]
    assert one["figures"]["log_likelihood"]["value"] == pytest.approx(again["log_likelihood"]["value"])
    drawn = sample(generator, runs.latent(run), 60)
    distance = frechet_distance(digit_features(held_out["test"].flattened().floats()), digit_features(drawn))
    assert one["figures"]["frechet"]["value"] == pytest.approx(distance)


def test_data_and_the_classifier_are_noted(outcome):
    assert [images.split for images in outcome.data] == ["train", "valid", "test"]
    assert outcome.inputs == {WEIGHTS: hashlib.sha256((ASSETS / WEIGHTS).read_bytes()).hexdigest()}


def test_each_training_is_the_published_one_but_for_what_it_is_called_after():
    named = studies.settings("changes")
    narrow = {"width": named.width, "units": named.units, "iterations": named.iterations}
    narrow |= {"every": named.iterations // named.points}
    published = runs.as_dict(runs.get("mnist-paper", narrow))
    differs = {}
    for change in named.changes():
        mine = runs.as_dict(named.changed(change))
        differs[change] = {name for name, value in mine.items() if value != published[name]}
    momentum = {"momentum", "momentum_final", "momentum_epochs"}
    assert differs == {
        changes.PUBLISHED: set(),
        changes.ALTERNATING: {"update"},
        changes.LONGER: {"update", "iterations"},
        f"{changes.ALTERNATING}, rate falls faster": {"update", "lr_decay"},
        f"{changes.ALTERNATING}, Adam": {"update", "optimiser", "d_lr", "g_lr", "beta1", "lr_decay", *momentum},
    }
    decay = named.changed(f"{changes.ALTERNATING}, rate falls faster").lr_decay
    assert decay**-named.iterations == pytest.approx(named.rate_left)
    adam = named.changed(f"{changes.ALTERNATING}, Adam")
    assert (adam.d_lr, adam.g_lr, adam.beta1) == (2e-4, 2e-4, 0.5)  # Radford et al., 2016


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"points": 7}, "iterations is 40, points 7; give points that divide it"),
        ({"seeds": 0}, "seeds is 0"),
        ({"longer": 1}, "longer is 1"),
        ({"samples": 3}, "samples 3"),
        ({"rate_left": 1.0}, "rate_left is 1.0"),
        ({"rate_left": 5e-324, "iterations": 12}, "rate_left is 5e-324"),
        ({"data": "cifar10"}, "data is 'cifar10'"),
        ({"run": "mnist-paper-alternating"}, "the changes are to one like mnist-paper"),
        ({"run": "dcgan-mnist"}, "the changes are to one like mnist-paper"),
        ({"run": "tfd"}, "48 pixels wide"),
        ({"adam_beta1": 1.0}, "beta1 is 1.0"),
    ],
)
def test_impossible_settings_are_refused_by_name(overrides, says):
    with pytest.raises(ValueError, match=says):
        studies.settings("changes", {**FEW, **overrides})


def test_jobs_side_by_side_give_what_they_give_one_after_the_other():
    jobs = [(7,), (3,), (5,)]
    expected = [torch.tensor(n) for (n,) in jobs]
    for device in (CPU, torch.device("meta")):  # processes, and one after the other
        assert list(side_by_side(torch.tensor, jobs, device)) == expected


def test_a_job_that_fails_is_heard_of():
    with pytest.raises(ValueError, match="no run 'nothing'"):
        list(side_by_side(runs.get, [("ring8",), ("nothing",)], CPU))
