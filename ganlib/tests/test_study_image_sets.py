"""The draws of a set of images are of the seeds asked for, each another, and say whose they are."""

import hashlib

import pytest
import torch

from ganlib import data
from ganlib.lab import runs
from ganlib.lab.generators import open_trained, save_generator
from ganlib.lab.measure import to_unit
from ganlib.lab.models import vae
from ganlib.lab.studies import image_sets
from ganlib.sampling import sample

CPU = torch.device("cpu")
SEEDS = (3, 5, 4)


@pytest.fixture
def folder(tmp_path):
    for name, run, settings in (
        ("flat", "mnist-paper", {"data": "digits", "width": 16, "units": 8}),
        ("tanh", "dcgan-digits", {"width": 4}),
    ):
        made = runs.get(run, settings)
        net = runs.networks(made, 0, runs.load_data(made))[0]
        record = {"snapshots_averaged": 10} if name == "flat" else {}
        save_generator(tmp_path / f"{name}.safetensors", made, 0, net, 1234, record)
    net = vae.VAE(5, 16, data.load("digits").flattened().mean(), outputs=784, seed=0)
    (tmp_path / "vae.safetensors").write_bytes(vae.decoder_file(net, 1))
    return tmp_path


def test_every_draw_of_a_generator_has_its_own_seed(folder):
    inputs = {}
    made = image_sets.generators("digits", ["flat", "tanh"], "vae.safetensors", 6, SEEDS, folder, CPU, inputs)
    files = [f"{name}.safetensors" for name in ("flat", "tanh", "vae")]
    assert inputs == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}
    sets = {each.name: each for each in made}
    assert list(sets) == ["flat", "tanh", "vae"]
    for name in ("flat", "tanh"):
        trained, _ = open_trained(folder / f"{name}.safetensors")
        for seed, drawn in zip(SEEDS, sets[name].draws, strict=True):
            expected = sample(trained.generator(), runs.latent(trained.run), 6, seed=seed)
            assert torch.equal(drawn, to_unit(trained.run, expected).flatten(1))
    decoder = vae.load_decoder(folder / "vae.safetensors")
    for seed, drawn in zip(SEEDS, sets["vae"].draws, strict=True):
        assert torch.equal(drawn, vae.samples(decoder, 6, seed=seed))
    for each in sets.values():
        assert not each.finite
        for i, drawn in enumerate(each.draws):
            assert drawn.shape == (6, 784)
            assert 0 <= drawn.min() < drawn.max() <= 1
            assert not any(torch.equal(drawn, other) for other in each.draws[:i])
    assert sets["flat"].what == (
        "samples of mnist-paper, training seed 0, iteration 1,234, weights averaged over the last 10 snapshots"
    )


def test_baselines_are_disjoint_training_images_centres_of_all_and_validation_images():
    train, valid = (data.load("digits", split).flattened() for split in ("train", "valid"))
    train = train.first(300)
    sets = list(image_sets.baselines(train, valid, 20, SEEDS, 2))
    assert [(each.name, len(each.draws), each.finite) for each in sets] == [
        ("training images", 3, True),
        ("k-means centres", 1, True),
        ("validation images", 1, False),
    ]
    assert torch.equal(torch.cat(sets[0].draws), train.floats()[:60])
    assert torch.equal(sets[2].draws[0], valid.floats()[:20])
    centres = sets[1].draws[0]
    assert centres.shape == (20, 784)
    # Lloyd's centres are means of all images, so they are nearer to them than as many of the images are.
    apart = [
        torch.cdist(train.floats()[60:], each).min(1).values.square().mean() for each in (centres, sets[0].draws[0])
    ]
    assert apart[0] < apart[1]
