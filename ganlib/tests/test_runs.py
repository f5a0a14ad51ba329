"""The named runs are the published settings; impossible ones are refused before any work."""

import dataclasses
import json
import math

import pytest
import scipy.io
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganlib import data
from ganlib.lab import checkpoint, runs, settings
from ganlib.nets import BatchNormGenerator, MaxoutDiscriminator, StackedGenerator, count_parameters
from ganlib.toys import Mixture

# The published configuration files: data, preprocessing, G and D parameters, latent law, learning rate, m, max_norm.
PUBLISHED = {
    "mnist-paper": ("mnist", "unit", 2_503_984, 1_231_441, "uniform", 0.1, 100, 0.0),
    "mnist-paper-alternating": ("mnist", "unit", 2_503_984, 1_231_441, "uniform", 0.1, 100, 0.0),
    "tfd": ("tfd", "unit", 83_250_304, 21_037_201, "normal", 0.05, 100, 1.9365),
    "tfd-stage2": ("tfd", "unit", 84_858_404, 21_037_201, "normal", 0.05, 100, 1.9365),
    "cifar10-fc": ("cifar10", "gcn", 89_395_072, 37_393_601, "normal", 0.025, 100, 0.0),
    "cifar10-conv": ("cifar10", "gcn", 64_825_072, 12_454_073, "normal", 0.004, 128, 0.0),
}


@pytest.fixture
def any_checkpoint(monkeypatch):
    """Networks are counted on the meta device; stage 2 then takes any weights."""
    monkeypatch.setattr("ganlib.lab.build._fill", lambda generator, path: None)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_papers_runs_are_its_configuration_files(name, any_checkpoint):
    source, preprocessing, g, d, law, lr, m, max_norm = PUBLISHED[name]
    run = runs.get(name, {"pretrained": "stage1.safetensors"} if name == "tfd-stage2" else {})
    assert (run.data, run.preprocessing, run.latent_law, run.latent_dim) == (source, preprocessing, law, 100)
    assert (run.d_lr, run.g_lr, run.m, run.k, run.max_norm) == (lr, lr, m, 1, max_norm)
    assert (run.optimiser, run.lr_decay, run.lr_floor) == ("sgd", 1.000004, 1e-6)
    assert (run.momentum, run.momentum_final, run.momentum_epochs) == (0.5, 0.7, 250)
    assert (run.loss, run.reduction) == ("non-saturating", "mean")
    with torch.device("meta"):
        assert tuple(map(count_parameters, runs.networks(run, 0, None))) == (g, d)


def test_the_two_mnist_runs_differ_in_the_update_only():
    one, two = (runs.as_dict(runs.RUNS[name]) for name in ("mnist-paper", "mnist-paper-alternating"))
    assert {key for key in one if one[key] != two[key]} == {"name", "source", "update"}
    assert (one["update"], two["update"]) == ("simultaneous", "alternating")


def test_lengths_are_whole_epochs_of_the_training_splits():
    epochs = {"mnist-paper": 250, "tfd": 50, "tfd-stage2": 22, "cifar10-fc": 500, "cifar10-conv": 500, "small-mlp": 200}
    for name, count in epochs.items():
        run = runs.RUNS[name]
        assert run.iterations == count * run.epoch_length
    assert runs.RUNS["mnist-paper"].iterations == 125_000
    assert (runs.RUNS["dcgan-digits"].iterations, runs.RUNS["dcgan-digits"].epoch_length) == (6_200, 62)
    assert runs.get("mnist-paper", {"examples": 4000}).epoch_length == 40
    assert runs.get("mnist-paper", {"data": "digits"}).epoch_length == 40
    assert runs.get("mnist-paper", {"epoch": 7}).epoch_length == 7


@pytest.mark.parametrize("name", runs.RUNS)
def test_every_run_says_where_it_comes_from_and_all_its_settings(name):
    run = runs.get(name)
    assert run == runs.RUNS[name]
    assert run.name == name
    assert run.source
    assert runs.changed(run) == {}
    said = runs.as_dict(run)
    assert list(said) == list(settings.describe())
    assert all(settings.describe().values())
    assert all(type(value) in (str, int, float) for value in said.values())
    assert runs.Run(**json.loads(json.dumps(said))) == run
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.k = 2


SMALL = {
    "mnist-paper": {"data": "digits", "width": 12, "units": 4},
    "mnist-paper-alternating": {"data": "digits", "width": 12, "units": 4},
    "cifar10-fc": {"data": "digits", "width": 12, "units": 4},
    "cifar10-conv": {"data": "digits", "width": 100, "units": 4, "image_size": 32},
    "tfd": {"data": "digits", "width": 12, "units": 4},
    "dcgan-mnist": {"data": "digits", "width": 2},
    "dcgan-64": {"data": "digits", "width": 2},
    "dcgan-digits": {"width": 2},
    "small-mlp": {"data": "digits", "width": 4},
    "ring8": {},
    "grid25": {},
    "figure1": {},
}


@pytest.mark.parametrize("name", SMALL)
def test_a_runs_parts_fit_together(name):
    run = runs.get(name, SMALL[name])
    source, prior = runs.load_data(run), runs.latent(run)
    generator, discriminator = runs.networks(run, 0, source)
    rng = torch.Generator().manual_seed(0)
    real, fake = source.minibatch(6, rng), generator(prior.minibatch(6, rng))
    assert fake.shape == real.shape
    assert real[0].numel() == run.dim
    assert discriminator(real).shape == discriminator(fake).shape == (6,)
    if run.preprocessing in ("unit", "tanh"):
        low = {"unit": 0, "tanh": -1}[run.preprocessing]
        assert low <= fake.min() < fake.max() <= 1
        assert low == real.min()
        assert 0.9 < real.max() <= 1
    if run.preprocessing == "gcn":
        torch.testing.assert_close(real.flatten(1).norm(dim=1), torch.full((6,), 55.0))
    assert run.batch_norm == any(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in generator.modules())


def test_initialisation_depends_on_the_seed_alone():
    run = runs.get("mnist-paper", SMALL["mnist-paper"])
    digits = runs.load_data(run)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = [net.state_dict() for net in runs.networks(run, 3, digits)]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = ([net.state_dict() for net in runs.networks(run, seed, digits)] for seed in (3, 4))
    for one, same, different in zip(first, again, other, strict=True):
        assert all(torch.equal(one[name], same[name]) for name in one)
        weights = [name for name in one if name.endswith("weight")]
        assert weights
        assert not any(torch.equal(one[name], different[name]) for name in weights)


def test_sigmoid_generators_start_at_the_mean_of_the_images_the_run_uses():
    run = runs.get("mnist-paper", SMALL["mnist-paper"] | {"examples": 100})
    digits = runs.load_data(run)
    assert len(digits) == 100
    assert len(runs.load_data(run, split="test")) == 500  # only training is shortened
    generator, _ = runs.networks(run, 0, digits)
    with torch.no_grad():
        emitted = generator(torch.zeros(1, 100))[0]
    torch.testing.assert_close(emitted, digits.floats().mean(0), atol=1e-6, rtol=1e-5)


def test_preprocessing_and_size_are_the_runs():
    digits = data.load("digits")
    run = runs.get("dcgan-64", {"data": "digits", "width": 2})
    assert run.image_size == 64
    assert torch.equal(runs.load_data(run).floats(slice(5)), digits.resized(64).scaled(-1, 1).floats(slice(5)))
    small = runs.get("small-mlp", {"data": "cifar10"})
    assert (small.image_size, small.dim) == (32, 3072)  # the new data's own size, for a run that does not resize
    ring = runs.load_data(runs.get("ring8"))
    assert isinstance(ring, Mixture)
    assert (ring.modes, ring.dim) == (8, 2)
    prior = runs.latent(runs.get("dcgan-mnist"))
    assert (prior.law, prior.low, prior.high) == ("uniform", -1, 1)


def test_teaching_pair_is_the_small_one():
    generator, discriminator = runs.networks(runs.get("small-mlp"), 0, None)
    assert isinstance(generator, BatchNormGenerator)
    widths = [layer.out_features for layer in discriminator.layers if isinstance(layer, torch.nn.Linear)]
    assert widths == [512, 256, 1]
    run = runs.get("small-mlp")
    assert (run.m, run.d_lr, run.g_lr, run.beta1, run.optimiser) == (64, 2e-4, 2e-4, 0.5, "adam")


@pytest.fixture
def faces(tmp_path, monkeypatch):
    g = torch.Generator().manual_seed(0)
    scipy.io.savemat(
        tmp_path / "TFD_48x48.mat",
        {
            "images": torch.randint(0, 256, (30, 48, 48), generator=g, dtype=torch.uint8).numpy(),
            "labs_ex": -torch.ones(30, 1).int().numpy(),
            "labs_id": -torch.ones(30, 1).int().numpy(),
            "folds": torch.zeros(30, 5, dtype=torch.uint8).numpy(),
        },
    )
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))


def test_stage_2_goes_on_from_the_generator_that_stage_1_saved(faces, tmp_path):
    small = {"width": 120, "units": 4}
    first = runs.get("tfd", small)
    images = runs.load_data(first)
    trained, _ = runs.networks(first, 5, images)
    assert ((trained.output.weight != 0).sum(1) == 100).all()
    state = {f"generator.{name}": tensor for name, tensor in trained.state_dict().items()}
    saved = checkpoint.save(tmp_path / "run", 1, state | {"other": torch.ones(2)}, runs.as_dict(first), {})
    second = runs.get("tfd-stage2", small | {"pretrained": str(saved)})
    generator, discriminator = runs.networks(second, 0, images)
    assert isinstance(generator, StackedGenerator)
    assert isinstance(discriminator, MaxoutDiscriminator)
    h = torch.rand(3, 100)
    assert torch.equal(generator.back(h), trained(h))
    assert generator(runs.latent(second).minibatch(2, torch.Generator())).shape == (2, 2304)

    with pytest.raises(ValueError, match="set pretrained to a checkpoint"):
        runs.networks(runs.get("tfd-stage2", small), 0, images)
    with pytest.raises(ValueError, match=r"stage 1's generator.*hidden1\.weight"):
        runs.networks(runs.get("tfd-stage2", {"width": 50, "units": 4, "pretrained": str(saved)}), 0, images)
    with pytest.raises(checkpoint.CheckpointError, match=r"none\.safetensors"):
        runs.networks(runs.get("tfd-stage2", {"pretrained": str(tmp_path / "none.safetensors")}), 0, images)


def test_overrides_are_read_from_strings_and_listed():
    run = runs.get("mnist-paper-alternating", {"k": "3", "d_lr": "5e-2", "g_lr": 1, "data": "fashion-mnist"})
    assert (run.k, run.d_lr, run.g_lr, run.data) == (3, 0.05, 1.0, "fashion-mnist")
    assert type(run.g_lr) is float
    assert runs.changed(run) == {
        "k": (1, 3),
        "d_lr": (0.1, 0.05),
        "g_lr": (0.1, 1.0),
        "data": ("mnist", "fashion-mnist"),
    }


@given(st.integers(1, 10**9), st.floats(1e-6, 1e3))
def test_what_a_number_prints_as_is_read_back_exactly(k, lr):
    run = runs.get("ring8", {"k": str(k), "d_lr": repr(lr)})
    assert (run.k, run.d_lr) == (k, lr)


@given(st.text(max_size=30))
def test_any_other_name_or_value_is_a_clear_error(text):
    if text not in runs.RUNS:
        with pytest.raises(ValueError, match="no run"):
            runs.get(text)
    if text not in settings.describe():
        with pytest.raises(ValueError, match="no setting"):
            runs.get("ring8", {text: "1"})
    for setting, choices in settings.CHOICES.items():
        if text not in choices:
            with pytest.raises(ValueError, match=f"{setting} is .*; use one of"):
                runs.get("ring8", {setting: text})


IMPOSSIBLE = [
    ("mnist-papr", {}, r"no run 'mnist-papr', did you mean mnist-paper.*; there are mnist-paper, .*figure1"),
    ("ring8", {"dlr": 1}, r"no setting 'dlr', did you mean d_lr.*; there are data, .*every"),
    ("ring8", {"name": "mine"}, "no setting 'name'"),
    ("ring8", {"k": "two"}, r"k is 'two'; it must be an integer \(discriminator steps"),
    ("ring8", {"k": "1.5"}, "k is '1.5'; it must be an integer"),
    ("ring8", {"d_lr": "fast"}, "d_lr is 'fast'; it must be a number"),
    ("ring8", {"k": 0}, "k is 0; it must be at least 1"),
    ("ring8", {"m": -3, "every": 0}, "m is -3.*; every is 0"),  # all that is wrong is said at once
    ("ring8", {"iterations": 0}, "iterations is 0"),
    ("ring8", {"epoch": -1}, "epoch is -1; it must be at least 0"),
    ("ring8", {"loss": "wasserstein"}, "loss is 'wasserstein'; use one of minimax, non-saturating"),
    ("ring8", {"reduction": "total"}, "reduction is 'total'"),
    ("ring8", {"d_lr": 0.0}, "d_lr is 0.0; it must be positive and finite"),
    ("ring8", {"g_lr": "nan"}, "g_lr is nan"),
    ("ring8", {"g_lr": "inf"}, "g_lr is inf"),
    ("ring8", {"beta1": 1.0}, r"beta1 is 1.0; it must lie in \[0, 1\)"),
    ("mnist-paper", {"momentum": 1.0}, r"momentum is 1.0; it must lie in \[0, 1\)"),
    ("mnist-paper", {"lr_decay": 0.9}, "lr_decay is 0.9"),
    ("mnist-paper", {"d_lr": 1e-7}, "lr_floor is 1e-06, above a learning rate"),
    ("mnist-paper", {"max_norm": -1.0}, "max_norm is -1.0"),
    ("mnist-paper", {"k": 2}, "k is 2 with the simultaneous update.*use k=1 or update=alternating"),
    ("mnist-paper", {"preprocessing": "gcn"}, "preprocessing is 'gcn', but the output of nets=paper needs one of unit"),
    ("mnist-paper", {"data": "ring8"}, "data=ring8 is no image data: use nets=mlp"),
    ("mnist-paper", {"examples": 50_001}, "examples is 50001; the training split of mnist has 50000"),
    (
        "mnist-paper",
        {"activation": "tanh"},
        "activation is 'tanh', but nets=paper has no use for it: set activation=relu",
    ),
    ("mnist-paper", {"beta1": 0.5}, "beta1 is 0.5, but optimiser=sgd has no use for it"),
    ("mnist-paper", {"optimiser": "adam"}, "momentum is 0.5, but optimiser=adam has no use for it: set momentum=0.0"),
    (
        "mnist-paper",
        {"latent_law": "normal", "latent_low": -1.0},
        "latent_low is -1.0, but latent_law=normal has no use",
    ),
    ("mnist-paper", {"latent_low": 2.0}, "latent_low 2.0 and latent_high 1.7.* must be finite and ascend"),
    ("mnist-paper", {"pretrained": "x"}, "pretrained is 'x', but nets=paper has no use for it"),
    ("tfd", {"pretrained": "x"}, "pretrained is 'x', but stage=1 has no use for it"),
    ("tfd", {"stage": 3}, "stage is 3"),
    ("dcgan-mnist", {"m": 1}, "m is 1; batch normalisation needs at least 2"),
    ("dcgan-mnist", {"max_norm": 2.0}, "max_norm is 2.0; it is defined for fully connected layers"),
    ("dcgan-mnist", {"image_size": 30}, "image_size is 30; dcgan is built for 28 or a power of two"),
    ("dcgan-mnist", {"data": "tfd"}, "image_size is 48; dcgan"),
    ("cifar10-conv", {"image_size": 64}, "image_size is 64; cifar-conv is built for 32"),
    ("cifar10-conv", {"width": 150}, "width is 150.*multiple of 100"),
    ("cifar10-fc", {"preprocessing": "none"}, "preprocessing is 'none', which is for toy data"),
    ("ring8", {"nets": "dcgan", "preprocessing": "tanh"}, "data=ring8 is no image data"),
    ("ring8", {"image_size": 28}, "data=ring8 is no image data"),
]


@pytest.mark.parametrize(("name", "overrides", "says"), IMPOSSIBLE)
def test_impossible_settings_are_refused_with_the_value_and_the_remedy(name, overrides, says):
    with pytest.raises(ValueError, match=says):
        runs.get(name, overrides)


@pytest.mark.parametrize("wrong", [{"k": 1.0}, {"k": True}, {"d_lr": None}, {"loss": 3}, {"pretrained": b"x"}])
def test_values_of_another_type_are_refused(wrong):
    (setting,) = wrong
    with pytest.raises(TypeError, match=f"{setting} is .*; it must be"):
        runs.get("ring8", wrong)


def test_every_remedy_for_an_unused_setting_works():
    """Following the message's `set x=y`, one after another, ends in a run."""
    overrides = {"optimiser": "adam"}
    for _ in range(10):
        try:
            run = runs.get("mnist-paper", overrides)
            break
        except ValueError as error:
            remedies = [part.split("set ")[1] for part in str(error).split("; ") if "set " in part]
            assert remedies
            overrides |= dict(remedy.split("=") for remedy in remedies)
    assert run.optimiser == "adam"
    assert run.momentum == 0


def test_a_run_of_another_name_has_no_changes_to_list():
    with pytest.raises(ValueError, match="no run 'mine'"):
        runs.changed(dataclasses.replace(runs.get("ring8"), name="mine"))


def test_sizes_of_the_data_are_those_that_load():
    channels, side, examples = settings.DATA["digits"]
    assert data.load("digits").pixels.shape == (examples, channels, side, side)
    for name, build in settings.TOYS.items():
        assert build().dim == settings.TOY_DIM[name]
    assert math.isclose(settings.Run.latent_high, math.sqrt(3))
    assert set(settings.DATA) == set(data.LOADERS)
