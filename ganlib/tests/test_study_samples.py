"""The pictures are the first draws of each generator, in 256 levels, the same z for the same latent."""

import io

import numpy as np
import pytest
import torch

from ganlib.lab import runs, studies
from ganlib.lab.generators import save_generator
from ganlib.lab.studies import samples

CPU = torch.device("cpu")
NARROW = {"data": "digits", "width": 16, "units": 8}


@pytest.fixture
def nets(tmp_path):
    made = runs.get("mnist-paper", NARROW)
    nets = [runs.networks(made, seed, runs.load_data(made))[0] for seed in (0, 1)]
    for seed, net in enumerate(nets):
        save_generator(tmp_path / f"g{seed}.safetensors", made, seed, net.half().float(), 7)
    return nets


def test_pictures_are_the_generators_first_draws(nets, tmp_path):
    asked = {"data": "digits", "weights": "g0,g1", "vae": "", "samples": 12, "seed": 3}
    outcome = samples.study(studies.settings("samples", asked), CPU, tmp_path, lambda line: None)
    with np.load(io.BytesIO(outcome.files["samples.npz"]), allow_pickle=False) as pictures:
        found = {name: pictures[name] for name in ("g0", "g1")}
    z = runs.latent(runs.get("mnist-paper", NARROW)).minibatch(12, torch.Generator().manual_seed(3))
    for net, drawn in zip(nets, found.values(), strict=True):
        expected = (net.eval()(z).detach() * 255).round().byte().numpy().reshape(12, 28, 28)
        assert np.array_equal(drawn, expected)
    assert not np.array_equal(found["g0"], found["g1"])
    assert sorted(outcome.inputs) == ["g0.safetensors", "g1.safetensors"]


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"weights": "", "vae": ""}, {"weights": "a,a"}, {"seed": "x"}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        studies.settings("samples", wrong)
