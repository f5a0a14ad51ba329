"""The study of Table 1's other rows: trained as asked, stopped and gone on with, scored twice, by their chains."""

import io
import json

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from ganlib import data
from ganlib.errors import CheckpointError
from ganlib.lab import checkpoint, studies
from ganlib.lab.studies import rows
from ganlib.metrics import parzen

CPU = torch.device("cpu")
FEW = {"data": "digits", "points": 1, "m": 400, "steps": 12, "long": 2, "chains": 5, "burn_in": 10, "apart": 2}
FEW |= {"samples": 20}
SMALL = {
    "dbn": {"hidden": "8,6", "epochs": "1,2"},
    "cae": {"hidden": "8,6", "epochs": "1,2", "noises": "0.1,1"},
    "dae": {"hidden": "8", "epochs": "2"},
    "gsn": {"hidden": "8,6", "epochs": "2"},
}


def settings(which, **changed):
    return studies.settings(f"row-{which}", {**FEW, **SMALL[which], **changed})


@pytest.fixture(scope="module", params=SMALL)
def answered(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, rows.study(settings(request.param), CPU, folder, lambda _: None), folder


def trained(row, folder):
    """The model out of its checkpoints."""
    ask, images = settings(row), data.load("digits", "train").flattened().floats()
    model = rows.build(ask, images)
    for layer, learning in enumerate(rows.trainings(ask, model, images)):
        learning.load(checkpoint.newest(folder / f"row-{row}-training" / f"layer-{layer}")[0].tensors)
    return model


def test_every_row_is_trained_and_looked_at(answered):
    row, outcome, _ = answered
    figures = outcome.figures
    json.dumps(figures, allow_nan=False)
    points = {"dbn": [(0, 1), (1, 2)], "cae": [(0, 1), (1, 2)], "dae": [(0, 2)], "gsn": [(0, 2)]}
    assert [(layer, epoch) for layer, epoch, *_ in figures["curve"]] == points[row]
    assert [score is None for *_, score in figures["curve"]] == [layer < points[row][-1][0] for layer, _ in points[row]]
    assert len(figures["noises_tried"]) == (2 if row == "cae" else 0)
    assert figures["authors"]["sigma"]["value"] == 0.2
    assert {"log_likelihood", "log_likelihood_fine", "frechet", "kernel", "precision", "recall"} <= set(
        figures["paper"]
    )
    with np.load(io.BytesIO(outcome.files[f"row-{row}.npz"])) as pictures:
        assert pictures["samples"].shape == (20, 28, 28)
        assert pictures["chain"].shape == (5, 28, 28)


def test_the_authors_score_is_that_of_one_chain_from_the_first_test_image(answered):
    """Against the definition in NumPy, on kernels drawn here."""
    row, outcome, folder = answered
    test = data.load("digits", "test").flattened().floats()
    model = trained(row, folder)
    if row == "cae":
        best = max(outcome.figures["noises_tried"], key=lambda each: each["score"])["noise"]
        walk = lambda start, steps, rng: model.chain(start, steps, rng, sigma=best)  # noqa: E731
    else:
        walk = model.chain
    means = torch.stack(list(walk(test[:2], 11, torch.Generator().manual_seed(1))))
    chain = torch.cat([test[:1], means[:, 0]]).double().numpy()
    squares = ((test.double().numpy()[:, None] - chain[None]) ** 2).sum(2)
    densities = logsumexp(-squares / (2 * 0.2**2), axis=1) - np.log(12) - 784 / 2 * np.log(2 * np.pi * 0.2**2)
    assert outcome.figures["authors"]["log_likelihood"]["value"] == pytest.approx(densities.mean(), abs=0.02)


def test_the_papers_score_is_of_many_chains_after_their_burn_in(answered):
    row, outcome, folder = answered
    images = data.load("digits", "train").flattened().floats()
    best = max(outcome.figures["noises_tried"], key=lambda each: each["score"])["noise"] if row == "cae" else None
    model, rng = trained(row, folder), torch.Generator().manual_seed(0)
    walk = model.chain(images[:5], 18, rng, **({"sigma": best} if best else {}))
    means = torch.stack(list(walk))[[11, 13, 15, 17]]  # ten left out, then every second
    valid, test = (data.load("digits", split).flattened().floats() for split in ("valid", "test"))
    found = parzen.evaluate(means.flatten(0, 1), valid[:1000], test)
    assert outcome.figures["paper"]["log_likelihood"]["value"] == pytest.approx(found.mean, abs=0.02)
    assert outcome.figures["paper"]["sigma"]["value"] == found.sigma


def test_stopped_and_gone_on_with_it_comes_out_the_same(tmp_path, monkeypatch):
    ask = settings("gsn", points=2)
    whole = rows.study(ask, CPU, tmp_path / "whole", lambda _: None).figures
    save, saved = checkpoint.save, []

    def stop(*args, **kwargs):
        saved.append(save(*args, **kwargs))
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        rows.study(ask, CPU, tmp_path / "parts", lambda _: None)
    monkeypatch.undo()
    parts = rows.study(ask, CPU, tmp_path / "parts", lambda _: None).figures
    assert len(saved) == 1
    assert parts == whole


def test_a_training_of_other_settings_is_not_gone_on_with(answered):
    row, _, folder = answered
    with pytest.raises(CheckpointError, match=r"lr: .* -> 0\.01"):
        rows.study(settings(row, lr=0.01), CPU, folder, lambda _: None)


@pytest.mark.parametrize(
    ("row", "overrides", "says"),
    [
        ("gsn", {"row": "gan"}, "row is 'gan'"),
        ("gsn", {"hidden": "8"}, "2 layer"),
        ("dae", {"hidden": "8,6"}, "1 layer"),
        ("dbn", {"epochs": "2"}, r"2 training\(s\)"),
        ("gsn", {"hidden": "8,x"}, "hidden is '8,x'"),
        ("gsn", {"epochs": "3", "points": 2}, "points that divide each"),
        ("gsn", {"samples": 21}, "that chains divides"),
        ("gsn", {"long": 1}, "2 long chains"),
        ("gsn", {"noises": "1"}, "no use for them"),
        ("cae", {"noises": ""}, "a CAE's walk needs some"),
        ("cae", {"noises": "0,1"}, "each of the noises"),
        ("gsn", {"sigma": 0.0}, "sigma is 0.0"),
        ("gsn", {"data": "cifar10"}, "data is 'cifar10'"),
    ],
)
def test_impossible_settings_are_refused_by_name(row, overrides, says):
    with pytest.raises(ValueError, match=says):
        settings(row, **overrides)


def test_more_chains_than_images_are_refused_before_any_training(tmp_path):
    with pytest.raises(ValueError, match="images to start them at"):
        rows.study(settings("gsn", chains=5000, samples=5000), CPU, tmp_path, print)
    assert not list(tmp_path.iterdir())
