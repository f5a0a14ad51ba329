"""The study of copying: a copier is told from new images, and each block's share is the one counted by hand."""

import hashlib
import json

import numpy as np
import pytest
import torch

from ganlib import data, sampling
from ganlib.lab import runs, studies
from ganlib.lab.generators import open_trained, save_generator
from ganlib.lab.studies import copying, measures
from ganlib.metrics.neighbours import nearest

FEW = {"data": "digits", "weights": "some-seed0", "images": 400, "samples": 100, "block": 50}
CPU = torch.device("cpu")


def normal(n, seed, dim=8):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def test_blocks_are_counted_each_and_what_is_left_over_is_not():
    training, held_out, new = normal(500, 0), normal(500, 1), normal(1050, 2)
    found = copying.nearer_by_block(new, 200, training, held_out)
    each = [measures.neighbours(part, training, held_out, "units") for part in new[:1000].split(200)]
    assert found["blocks"] == [one["nearer_to_training"]["value"] for one in each]
    assert found["n"] == 5
    assert found["value"] == pytest.approx(np.mean(found["blocks"]))
    assert found["plus_minus"] == pytest.approx(np.std(found["blocks"], ddof=1))


def test_a_copier_is_nearer_and_ties_count_half():
    training, held_out = normal(500, 0), normal(500, 1)
    assert copying.nearer_by_block(training[:200] + 1e-4, 100, training, held_out)["value"] == 1
    assert copying.nearer_by_block(normal(200, 2), 100, training, training)["blocks"] == [0.5, 0.5]
    part = torch.cat([normal(1000, 3), training[:200]])[
        torch.randperm(1200, generator=torch.Generator().manual_seed(4))
    ]
    mixed = copying.nearer_by_block(part, 400, training, held_out)
    assert mixed["value"] == pytest.approx(1 / 6 + 5 / 6 / 2, abs=0.05)  # one in six is a copy


def test_unequal_numbers_and_a_single_block_are_refused():
    training = normal(50, 0)
    with pytest.raises(ValueError, match="50 training images, 49 held out"):
        copying.nearer_by_block(training, 10, training, training[1:])
    with pytest.raises(ValueError, match="and 1 blocks"):
        copying.nearer_by_block(training, 26, training, training)


def test_every_set_has_as_many_of_each_class_the_first_of_them():
    images = torch.arange(8.0)[:, None]
    sets = [(images, torch.tensor([1, 0, 1, 1, 0, 0, 1, 0])), (-images, torch.tensor([0, 0, 0, 0, 0, 1, 0, 1]))]
    first, second = (each.flatten().tolist() for each in copying.class_matched(sets))
    assert first == [1, 4, 5, 7, 0, 2]
    assert second == [0, -1, -2, -3, -5, -7]


def to_sets(images, sets):
    return torch.stack([nearest(images, each)[1] for each in sets])


def test_shares_are_over_the_sets_of_training_images_and_the_excess_over_new_images():
    sets = [normal(500, seed) for seed in range(5)]  # three of training images, validation and test images
    new = {"test images": to_sets(normal(800, 5), sets), "validation images": to_sets(normal(800, 6), sets)}
    copies = to_sets(torch.cat([normal(600, 7), sets[0][:200]]), sets)  # a quarter, and of one set in three
    found = copying.lean(copies, new)
    for name, place in (("test images", 4), ("validation images", 3)):
        of_copies, of_new = (
            torch.stack([each[i] < each[place] for i in range(3)]).double().mean(0) for each in (copies, new[name])
        )
        assert found[name]["value"] == pytest.approx((of_copies.mean() - of_new.mean()).item())
        assert found[name]["value"] == pytest.approx(0.25 * 0.5 / 3, abs=3 * found[name]["plus_minus"])
        assert found[name]["plus_minus"] == pytest.approx(((of_copies.var() + of_new.var()) / 800).sqrt().item())
        assert found[name]["n"] == 800
    assert copying.lean(new["validation images"], new)["validation images"]["value"] == 0
    apart = copying.lean(to_sets(normal(800, 8), sets), new)["sets of real images"]
    assert apart["n"] == 3
    assert 0 < apart["value"] < 0.05 < found["sets of real images"]["value"]  # a set that was copied stands out


def test_products_give_the_distances():
    images, sets = normal(30, 0), [normal(50, 1), normal(60, 2)]
    torch.testing.assert_close(copying._distances(images, sets), to_sets(images, sets).square(), rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("weights")
    run = runs.get("mnist-paper", {"data": "digits", "width": 16, "units": 8})
    save_generator(made / "some-seed0.safetensors", run, 0, runs.networks(run, 0, runs.load_data(run))[0], 7)
    return made


def test_the_whole_of_it_on_few_digits(folder):
    outcome = copying.study(studies.settings("copying", FEW), CPU, folder, lambda line: None)
    found = json.loads(json.dumps(outcome.figures, allow_nan=False))
    train, valid, test = (data.load("digits", split).flattened().floats() for split in data.SPLITS)
    trained = open_trained(folder / "some-seed0.safetensors")[0]
    drawn = sampling.sample(trained.generator(), runs.latent(trained.run), 100, seed=0)
    for name, images, blocks in (
        (copying.OTHERS, train[400:], 72),
        (copying.VALIDATION, valid, 10),
        ("some-seed0", drawn, 2),
    ):
        share = found["sets"][name]["nearer_to_training"] if name in found["sets"] else found["new images"][name]
        first = images[:50]
        nearer = nearest(first, train[:400])[1] < nearest(first, test[:400])[1]
        assert share["blocks"][0] == pytest.approx(nearer.double().mean().item())
        assert share["n"] == blocks
    assert found["lean"]["sets of training images"] == 10
    assert found["lean"]["images a set"] <= 400
    for name in ("test images", "validation images"):
        assert abs(found["lean"]["share of new images"][name] - 0.5) < 0.1
        lean = found["sets"]["some-seed0"]["lean"][name]
        assert lean["n"] == 100
        assert abs(lean["value"]) < 0.5
    for share in found["new images"].values():
        assert abs(share["value"] - 0.5) < 0.1
    sha256 = hashlib.sha256((folder / "some-seed0.safetensors").read_bytes()).hexdigest()
    assert outcome.inputs == {"some-seed0.safetensors": sha256}
    assert [images.split for images in outcome.data] == list(data.SPLITS)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"images": 3950}, "that takes 7900 images of the train split of .*, which has 4000"),
        ({"images": 501}, "that takes 501 images of the test split"),
        ({"samples": 600, "block": 260}, "that takes 520 images of the valid split"),
        ({"samples": 99}, "samples is 99; a spread over blocks of 50 needs two"),
        ({"block": 0}, "block is 0"),
        ({"weights": ""}, "weights is empty"),
        ({"weights": "a,a"}, "give different file names"),
        ({"data": "cifar10"}, "data is 'cifar10'"),
    ],
)
def test_impossible_settings_are_refused_by_name(folder, overrides, says):
    with pytest.raises(ValueError, match=says):
        copying.study(studies.settings("copying", {**FEW, **overrides}), CPU, folder, lambda line: None)
