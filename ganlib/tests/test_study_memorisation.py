"""The study of memorisation: its controls tell a copy from new images, and its small run has every number it names."""

import io
import json

import numpy as np
import pytest
import torch

from ganlib import data
from ganlib.lab import studies
from ganlib.lab.studies import memorisation


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    small = {"data": "digits", "sizes": "10,100", "iterations": 40, "points": 2, "samples": 20, "held_out": 200}
    settings = studies.settings("memorisation", small | {"width": 16, "units": 8})
    said = []
    found = memorisation.study(settings, torch.device("cpu"), tmp_path_factory.mktemp("none"), said.append)
    assert len(said) == 4
    return found


def test_every_size_and_seed_has_its_curve_and_figures(outcome):
    json.dumps(outcome.figures, allow_nan=False)
    assert list(outcome.figures["by_size"]) == ["10", "100"]
    for size in outcome.figures["by_size"].values():
        assert [[row[0] for row in each["curve"]] for each in size["by_seed"]] == [[20, 40], [20, 40]]
        values = [each["curve"][-1][4] for each in size["by_seed"]]
        assert size["final_v_train"]["value"] == pytest.approx(np.mean(values))
        assert size["final_v_train"]["plus_minus"] == pytest.approx(np.std(values, ddof=1))
        for each in size["by_seed"]:
            for _, d_train, d_held_out, d_fake, v_train, v_held_out in each["curve"]:
                assert 0 < min(d_train, d_held_out, d_fake) <= max(d_train, d_held_out, d_fake) < 1
                assert max(v_train, v_held_out) < 0


def test_pictures_are_samples_beside_their_nearest_training_images(outcome):
    pictures = np.load(io.BytesIO(outcome.files["memorisation-samples.npz"]), allow_pickle=False)
    train = (data.load("digits").first(10).flattened().floats() * 255).round().byte().numpy()
    for sample, neighbour in zip(pictures["samples_10"], pictures["neighbours_10"], strict=True):
        apart = np.square(train.astype(float) - sample).sum(1)
        assert np.square(neighbour.astype(float) - sample).sum() <= apart.min() * 1.01


def test_each_size_is_of_the_first_training_images_and_held_out_are_validation_images(outcome):
    # How far new images lie depends on the data alone.
    train, valid = (data.load("digits", split).flattened().floats() for split in ("train", "valid"))
    for size, found in outcome.figures["by_size"].items():
        apart = torch.cdist(valid[:200], train[: int(size)]).min(1).values
        expected = apart.median().item()
        assert [each["distance_of_new_images"] for each in found["by_seed"]] == pytest.approx([expected] * 2, rel=1e-4)
        assert found["compared"] == int(size)
    assert [images.split for images in outcome.data] == ["train", "valid"]


def test_samples_are_compared_with_equal_numbers_of_either_kind():
    digits = data.load("digits").flattened().floats()
    for seen, unseen in ((digits[:400], digits[400:500]), (digits[:100], digits[100:500])):
        # Copies of what lies beyond the first 100 of either kind: they count as new.
        drawn = torch.cat([seen[100:], unseen[100:]]) + 0.001
        to_seen, to_unseen = (torch.cdist(drawn, each[:100]).min(1).values for each in (seen, unseen))
        expected = (to_seen < to_unseen).double().mean().item()
        assert 0.2 < expected < 0.8
        found = memorisation._nearness(drawn, seen, unseen)
        assert found["nearer_to_training"] == pytest.approx(expected, abs=0.01)


def test_a_copier_and_new_images_are_told_apart():
    digits = data.load("digits")
    digits = digits.flattened().floats()[torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))]
    seen, unseen, fresh = digits[:500], digits[500:1000], digits[1000:1500]
    copies = memorisation._nearness(seen[:200] + 0.001, seen, unseen)
    assert copies["nearer_to_training"] == 1
    assert copies["copies"] == 1
    new = memorisation._nearness(fresh, seen, unseen)
    assert 0.4 < new["nearer_to_training"] < 0.6
    assert new["copies"] < 0.05
    assert new["distance_to_training"] == pytest.approx(new["distance_of_new_images"], rel=0.1)


def test_values_are_the_value_function_on_each_kind():
    discriminator = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
    seen, unseen, drawn = torch.randn(3, 7, 2).unbind()
    d = [discriminator(x).sigmoid() for x in (seen, unseen, drawn)]
    expected = [each.mean() for each in d]
    expected += [each.log().mean() + (1 - d[2]).log().mean() for each in d[:2]]
    torch.testing.assert_close(
        torch.tensor(memorisation._values(discriminator, seen, unseen, drawn)),
        torch.stack(expected),
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"sizes": "50;500"}, "sizes is '50;500'; give numbers of images"),
        ({"points": 7}, "points that divide it"),
        ({"seeds": 0}, "seeds is 0"),
        ({"run": "nothing"}, "no run 'nothing'"),
        ({"sizes": "50,0"}, "sizes is '50,0'"),
        ({"sizes": "50,500,50"}, "sizes is '50,500,50'; give different numbers"),
        ({"data": "digits", "run": "dcgan-digits", "units": 240}, "'dcgan-digits', .* as 'tanh' and not flat; give"),
        ({"data": "digits", "run": "small-mlp", "units": 240}, "'small-mlp', .* as 'tanh' and flat; give"),
        ({"data": "cifar10", "run": "cifar10-fc"}, "'cifar10-fc', .* as 'gcn' and flat"),
        ({"data": "digits", "sizes": "50,4001"}, "the training split of digits has 4000"),
    ],
)
def test_impossible_settings_are_refused(overrides, says):
    with pytest.raises(ValueError, match=says):
        studies.settings("memorisation", overrides)
