"""The study of other eyes: each measure on a case whose answer is known, and the whole of it on few digits."""

import dataclasses
import hashlib
import io
import json
import math

import numpy as np
import pytest
import torch

from ganlib import data
from ganlib.errors import CheckpointError
from ganlib.lab import runs, studies
from ganlib.lab.generators import save_generator
from ganlib.lab.models import vae
from ganlib.lab.studies import eyes, image_sets, measures
from ganlib.metrics.features import digit_features
from ganlib.metrics.frechet import frechet_distance
from ganlib.metrics.kid import kernel_distance
from ganlib.metrics.neighbours import copy_threshold, nearest
from ganlib.nets import MLP

FEW = {
    "data": "digits",
    "weights": "untrained-seed0",
    "samples": 200,
    "draws": 2,
    "sizes": "50,200",
    "neighbour_samples": 100,
    "neighbour_images": 400,
    "two_sample_images": 200,
    "two_sample_steps": 15,
    "birthday_batch": 20,
    "kmeans_rounds": 2,
}
CPU = torch.device("cpu")


def normal(n, seed, dim=8):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def turns(real, fake, count=8):
    made = []
    for turn in range(count):
        torch.manual_seed(turn)
        made.append((real(turn), fake(turn), MLP((8, 16, 1))))
    return made


def test_a_critic_is_inside_its_bound_on_one_law_and_outside_on_two():
    null = measures.two_samples(turns(lambda t: normal(500, t), lambda t: normal(500, 100 + t)), 50)
    assert sum(null["told_apart"]) <= 2  # three of eight happen once in 170
    assert (null["n"], null["bound_95"]) == (500, pytest.approx(0.5 + 1.645 / math.sqrt(2000)))
    assert null["value"] == pytest.approx(np.mean(null["draws"]))
    assert null["plus_minus"] == pytest.approx(np.std(null["draws"], ddof=1))
    other = measures.two_samples(turns(lambda t: normal(500, t), lambda t: normal(500, 100 + t) + 0.5), 50)
    assert all(other["told_apart"])


def test_a_collapsed_generator_has_high_precision_and_low_recall():
    real = normal(800, 0)
    found = measures.coverage(real, [0.05 * normal(400, 1), 0.05 * normal(400, 2)], 3)
    assert found["precision"]["value"] > 0.99
    assert found["recall"]["value"] < 0.01
    same = measures.coverage(real, [normal(400, 3)], 3)
    assert min(same["precision"]["value"], same["recall"]["value"]) > 0.6
    assert same["precision"]["plus_minus"] is None
    assert found["recall"]["n"] == 400


def test_a_memoriser_is_nearer_to_its_training_images_and_a_fresh_sample_to_neither():
    training, held_out = normal(500, 0), normal(500, 1)
    copies = measures.neighbours(training[:200], training, held_out, "units")
    assert copies["training"]["value"] == 0
    assert copies["held_out"]["value"] > 0
    assert copies["nearer_to_training"]["value"] == 1
    assert copies["nearer_to_training"]["plus_minus"] > 0  # 200 of 200 prove no share of exactly 1
    fresh = measures.neighbours(normal(1000, 2), training, held_out, "units")["nearer_to_training"]
    assert abs(fresh["value"] - 0.5) < 4 * math.sqrt(0.25 / 1000)
    ties = measures.neighbours(normal(50, 2), training, training, "units")["nearer_to_training"]
    assert ties["value"] == 0.5
    with pytest.raises(ValueError, match="500 training images and 499 held out"):
        measures.neighbours(training, training, held_out[1:], "units")


def test_copies_are_counted_among_new_samples():
    training, new = normal(500, 0), normal(1000, 1)
    threshold = copy_threshold(nearest(new, training)[1], 0.05)
    fresh = measures.copies(normal(1000, 2), training, threshold, 1000, "units")
    assert fresh["share"]["low"] < 0.05 < fresh["share"]["high"]
    mixed = torch.cat([normal(700, 3), training[:300]])
    found = measures.copies(mixed, training, threshold, 1000, "units")
    assert found["share"]["value"] == pytest.approx(0.3 + 0.7 * 0.05, abs=4 * math.sqrt(0.7 * 0.05 * 0.95 / 1000))
    assert 0 < found["distance"]["value"] < fresh["distance"]["value"]
    assert found["threshold"] == threshold


def test_the_interval_of_a_median_holds_the_true_one_about_as_often_as_it_says():
    held = 0
    for seed in range(200):
        points = torch.rand(101, 1, generator=torch.Generator().manual_seed(seed))
        far = torch.tensor([[-5.0]])  # distances from here: 5 + U(0, 1), median 5.5
        found = measures.neighbours(points, far, far, "units")["training"]
        assert found["value"] == pytest.approx(5 + points.median().item())
        held += abs(found["value"] - 5.5) <= found["plus_minus"]
    assert 180 <= held <= 200


def test_frechet_knows_a_shift_and_falls_with_n():
    real = normal(4000, 0)
    shifted = measures.frechet(real, [normal(4000, 1) + 3, normal(4000, 2) + 3])
    assert shifted["value"] == pytest.approx(8 * 9, rel=0.05)
    assert len(shifted["draws"]) == 2
    by_n = measures.frechet_by_n(real, normal(4000, 3), [50, 500, 4000], seed=0)
    assert [each["n"] for each in by_n] == [50, 500, 4000]
    assert [len(each["draws"]) for each in by_n] == [measures.SUBSETS, measures.SUBSETS, 1]
    assert by_n[0]["value"] > 3 * by_n[1]["value"] > 3 * by_n[2]["value"]  # the same law: all of it is bias
    assert by_n[2]["plus_minus"] is None


def test_the_kernel_distance_of_each_draw_has_its_own_standard_error():
    real, draws = normal(300, 0), [normal(200, 1) + 1, normal(200, 2) + 1]
    found = measures.kernel(real, draws)
    each = [kernel_distance(real, drawn) for drawn in draws]
    assert found["draws"] == [one.value for one in each]
    assert found["standard_errors"] == [one.standard_error for one in each]
    assert found["plus_minus"] == pytest.approx(np.std(found["draws"], ddof=1))
    assert found["n_is"] == "images a draw, against 300 test images"
    # 3 |shift|^2 / d and what moments of order two and three add; without a shift nothing is left.
    assert found["value"] > 3 > 5 * abs(measures.kernel(real, [normal(200, 3)])["value"])
    json.dumps(found, allow_nan=False)


def test_the_birthday_test_finds_how_many_images_there_are():
    images = torch.rand(300, 784, generator=torch.Generator().manual_seed(0))
    pick = torch.randint(300, (4000,), generator=torch.Generator().manual_seed(1))

    def name(drawn):  # the class of an image is told by its first pixel
        return (drawn[:, 0] * 10).long()

    found, pairs = measures.birthday(images[pick], 20, 1e-3, 8, name)
    assert found["support"]["low"] < 300 < found["support"]["high"]
    assert pairs.shape == (8, 2, 784)
    assert torch.equal(pairs[:, 0], pairs[:, 1])
    duplicates = found["duplicates"]
    assert sum(duplicates["of_class"]) == round(found["share_with_a_duplicate"]["value"] * 200)
    assert min(duplicates["of_class"]) > 0
    assert duplicates["of_two_classes"] == 0
    apart, _ = measures.birthday(images[pick], 20, 1e-3, 8, lambda drawn: (torch.arange(len(drawn)) * 2) // len(drawn))
    assert apart["duplicates"]["of_two_classes"] == sum(duplicates["of_class"])
    none, _ = measures.birthday(images, 20, 1e-3, 8, name)
    assert sum(none["duplicates"]["of_class"]) == none["duplicates"]["of_two_classes"] == 0
    assert none["share_with_a_duplicate"]["value"] == 0
    assert none["support"]["value"] is None
    assert none["support"]["low"] > 300 / 2
    json.dumps(none, allow_nan=False)


def test_classes_are_counted():
    found = measures.classes([torch.arange(10).repeat(5), torch.tensor([3]).repeat(50)])
    assert found["shares"] == pytest.approx([0.05] * 3 + [0.55] + [0.05] * 6)
    assert found["n"] == 100
    assert found["entropy"]["draws"] == pytest.approx([math.log(10), 0])
    assert found["plus_minus"][3] == pytest.approx(math.sqrt(0.55 * 0.45 / 100))


def test_grey_levels_are_those_of_real_images():
    digits = data.load("digits", "test").floats()
    torch.testing.assert_close(measures.grey_levels(digits), digits, rtol=0, atol=1e-7)
    assert measures.grey_levels(torch.rand(999)).unique().numel() <= 256


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"data": "cifar10"}, "data is 'cifar10'"),
        ({"weights": "a,a"}, "weights is 'a,a'"),
        ({"weights": "../a"}, "no folder"),
        ({"weights": "a,"}, "weights is 'a,'"),
        ({"vae": "x/vae.safetensors"}, "no folder"),
        ({"draws": 0}, "draws is 0"),
        ({"sizes": "500,many"}, "sizes is '500,many'"),
        ({"sizes": "1,500"}, "numbers from 2"),
        ({"sizes": "20000"}, "to samples = 10000"),
        ({"samples": 3, "sizes": "2"}, "samples is 3; need 4"),
        ({"birthday_batch": 1}, "birthday_batch is 1"),
        ({"neighbour_samples": 20_000}, "neighbour_samples is 20000"),
        ({"two_sample_images": 3}, "two_sample_images is 3"),
        ({"k": "three"}, "k is 'three'"),
    ],
)
def test_impossible_settings_are_refused_by_name(overrides, says):
    with pytest.raises(ValueError, match=says):
        studies.settings("eyes", overrides)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    run = runs.get("mnist-paper", {"data": "digits", "width": 16, "units": 8})
    generator = runs.networks(run, 0, None)[0]
    save_generator(folder / "untrained-seed0.safetensors", run, 0, generator, 7)
    (folder / "vae.safetensors").write_bytes(vae.decoder_file(vae.VAE(5, 16), 3))
    return folder


@pytest.fixture(scope="module")
def outcome(folder):
    return eyes.study(studies.settings("eyes", FEW), CPU, folder, lambda line: None)


def test_every_set_is_looked_at_and_the_result_is_fit_for_json(folder, outcome):
    found = json.loads(json.dumps(outcome.figures, allow_nan=False))["sets"]
    real = ["training images", "k-means centres", "validation images"]
    assert list(found) == ["untrained-seed0", "vae", *real]
    assert [images.split for images in outcome.data] == list(data.SPLITS)
    for name in ("untrained-seed0.safetensors", "vae.safetensors"):
        assert outcome.inputs[name] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert "digit-classifier.safetensors" in outcome.inputs
    with np.load(io.BytesIO(outcome.files["eyes-pairs.npz"]), allow_pickle=False) as pictures:
        assert list(pictures) == list(found)
        assert {(each.shape, each.dtype.name) for each in pictures.values()} == {((8, 2, 28, 28), "uint8")}
    assert "iteration 7" in found["untrained-seed0"]["is"]


def test_every_figure_says_its_n_and_what_its_uncertainty_is(outcome):
    def visit(node):
        if isinstance(node, dict) and "n_is" in node:
            assert {"value", "unit", "n", "n_is", "plus_minus", "plus_minus_is"} <= node.keys()
            assert node["n"] > 0
            assert (node["plus_minus"] is None) == node["plus_minus_is"].startswith("none is given")
            return 1
        below = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        return sum(map(visit, below))

    assert visit(outcome.figures) > 80


def test_the_measures_rank_what_must_be_ranked(outcome):
    found, floor = outcome.figures["sets"], outcome.figures["reference"]
    noise, memoriser, fresh = (found[name] for name in ("untrained-seed0", "training images", "validation images"))
    assert noise["frechet"]["value"] > 10 * fresh["frechet"]["value"]
    assert noise["precision"]["value"] < 0.2 < 0.7 < fresh["precision"]["value"]
    assert all(noise["two_samples"]["pixels"]["told_apart"])
    # Two turns of 200 held-out images under the null: both outside happens once in 400.
    assert not all(floor["two_samples"]["pixels"]["told_apart"])
    assert not all(floor["two_samples"]["features"]["told_apart"])
    for space in ("pixels", "features"):
        assert memoriser["neighbours"][space]["nearer_to_training"]["value"] == 1
        share = fresh["neighbours"][space]["nearer_to_training"]
        assert abs(share["value"] - 0.5) < 0.2
        assert share["n"] == 100
        other = floor["neighbours_of_other_training_images"][space]
        assert other["nearer_to_training"]["value"] < 0.8
        assert other["training"]["value"] > 0  # they are not among those they are compared with
    # 400 draws from 200 images, in 20 batches of 20: a batch holds a duplicate with probability .62.
    assert (
        memoriser["birthday"]["share_with_a_duplicate"]["low"]
        < 0.62
        < memoriser["birthday"]["share_with_a_duplicate"]["high"]
    )
    assert memoriser["birthday"]["closest_distances"][0] == 0
    assert memoriser["copies"]["share"]["value"] == 1
    assert fresh["copies"]["share"]["value"] < 0.1
    assert floor["copies"]["share"]["value"] < 0.1
    assert noise["classes"]["entropy"]["value"] < 1.5 < 2.25 < fresh["classes"]["entropy"]["value"]
    assert floor["labels"]["shares"] == pytest.approx([0.1] * 10)


def test_the_figures_are_those_of_the_images_named(outcome):
    valid, test = (digit_features(data.load("digits", split).floats()) for split in ("valid", "test"))
    fresh = outcome.figures["sets"]["validation images"]
    assert fresh["frechet"]["value"] == pytest.approx(frechet_distance(test, valid[:200]), rel=1e-3)
    assert fresh["frechet"]["n"] == fresh["frechet_by_n"][-1]["n"] == 200
    assert fresh["frechet_by_n"][-1]["value"] == pytest.approx(fresh["frechet"]["value"], rel=1e-6)
    train = data.load("digits", "train").floats().flatten(1)
    splits = [data.load("digits", split).flattened() for split in ("train", "valid")]
    sets = {each.name: each for each in image_sets.baselines(*splits, 200, range(2), 1)}
    assert torch.equal(torch.cat(sets["training images"].draws), train[:400])
    assert sets["training images"].finite
    assert not sets["validation images"].finite


def test_generators_of_other_data_or_none_are_refused(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent-seed0\.safetensors is not there"):
        eyes.study(studies.settings("eyes", FEW | {"weights": "absent-seed0"}), CPU, folder, print)
    with pytest.raises(ValueError, match="is of mnist-paper on 'digits'; give generators of 'mnist' images"):
        image_sets.generators("mnist", ["untrained-seed0"], "", 10, [0], folder, CPU, {})
    run = runs.get("mnist-paper", {"data": "digits", "width": 16, "units": 8})
    generator = runs.networks(run, 0, None)[0]
    torch.nn.init.constant_(next(generator.parameters()), torch.nan)
    save_generator(tmp_path / "broken.safetensors", run, 0, generator, 7)
    with pytest.raises(CheckpointError, match=r"broken\.safetensors: its weights are not finite"):
        list(image_sets.generators("digits", ["broken"], "", 10, [0], tmp_path, CPU, {}))


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"draws": 30}, r"draws \* samples is 6000; .* 4000 images in its train split"),
        ({"samples": 600}, "samples is 600; .* 500 images in its valid split"),
        ({"neighbour_images": 501}, "neighbour_images is 501; .* test split"),
        ({"samples": 300, "two_sample_images": 300}, r"2 \* two_sample_images is 600"),
    ],
)
def test_too_few_images_are_an_error_before_any_work(folder, overrides, says):
    with pytest.raises(ValueError, match=says):
        eyes.study(studies.settings("eyes", FEW | overrides), CPU, folder, print)


def test_the_named_study_fits_full_mnist():
    settings = eyes.Settings()
    sizes = {"train": 50_000, "valid": 10_000, "test": 10_000}
    splits = [dataclasses.replace(_blank(n), split=split) for split, n in sizes.items()]
    eyes._check(settings, *splits)
    assert settings.ns[-1] == settings.samples


def _blank(n):
    pixels = torch.zeros(1, dtype=torch.uint8).expand(n, 1, 28, 28)
    return data.Images("blank", "train", "nowhere", pixels, torch.zeros(n, dtype=torch.int64))
