"""Figure 2's samples are the first draws, its neighbours the nearest training examples, as pictures say."""

import io

import numpy as np
import pytest
import torch

from ganlib import data
from ganlib.lab import measure, runs, studies
from ganlib.lab.generators import open_trained, save_generator
from ganlib.lab.studies import figure2
from ganlib.sampling import sample

SMALL = {
    "digits-seed0": ("mnist-paper", {"data": "digits", "width": 16, "units": 8}),
    "tanh-seed0": ("dcgan-digits", {"width": 4}),
}


@pytest.fixture
def folder(tmp_path):
    for name, (run, settings) in SMALL.items():
        made = runs.get(run, settings)
        net = runs.networks(made, 0, runs.load_data(made))[0]
        last = next(tensor for tensor in reversed(list(net.parameters())) if tensor.ndim > 1)
        last.data *= 1000  # an untrained net's samples are alike, and so are their neighbours
        save_generator(tmp_path / f"{name}.safetensors", made, 0, net, 7)
    ring = runs.get("ring8")
    save_generator(tmp_path / "ring.safetensors", ring, 0, runs.networks(ring, 0, None)[0], 7)
    return tmp_path


def test_samples_are_the_first_draws_and_neighbours_the_nearest(folder):
    settings = studies.settings("figure2", {"weights": ",".join(SMALL), "rows": 3, "columns": 4, "seed": 5})
    outcome = figure2.study(settings, torch.device("cpu"), folder, lambda line: None)
    pictures = np.load(io.BytesIO(outcome.files["figure2.npz"]), allow_pickle=False)
    assert sorted(pictures.files) == sorted(f"{name}_{kind}" for name in SMALL for kind in ("samples", "neighbours"))
    train = data.load("digits").pixels.numpy().reshape(4000, -1).astype(float)
    for name in SMALL:
        trained, _ = open_trained(folder / f"{name}.safetensors")
        drawn = sample(trained.generator(), runs.latent(trained.run), 12, seed=5)
        expected = (measure.to_unit(trained.run, drawn) * 255).round().byte().numpy()
        assert np.array_equal(pictures[f"{name}_samples"], expected)
        assert pictures[f"{name}_neighbours"].shape == (3, 1, 28, 28)
        first, last = (pictures[f"{name}_samples"].reshape(3, 4, -1)[:, column].astype(float) for column in (0, 3))
        near = [[np.square(train - each).sum(1).argmin() for each in column] for column in (first, last)]
        assert all(one != other for one, other in zip(*near, strict=True))
        assert outcome.figures["sets"][name]["neighbours"] == near[1]
        for row, found in enumerate(pictures[f"{name}_neighbours"]):
            last = pictures[f"{name}_samples"][4 * row + 3].reshape(-1).astype(float)
            apart = np.sqrt(np.square(train - last).sum(1))
            assert np.sqrt(np.square(found.reshape(-1) - last).sum()) == pytest.approx(apart.min(), rel=0.01)
            distance = outcome.figures["sets"][name]["distances"][row] / (2 if name.startswith("tanh") else 1)
            assert distance == pytest.approx(apart.min() / 255, rel=0.01)  # [-1, 1] is twice as wide as [0, 1]
    assert sorted(outcome.inputs) == sorted(f"{name}.safetensors" for name in SMALL)


def test_missing_weights_toys_and_doubled_names_are_refused(folder):
    def look(weights):
        figure2.study(studies.settings("figure2", {"weights": weights}), torch.device("cpu"), folder, print)

    with pytest.raises(FileNotFoundError, match=r"nothing\.safetensors is not there; .*python -m ganlib reproduce"):
        look("nothing")
    with pytest.raises(ValueError, match="ring is of ring8, which has no pictures"):
        look("ring")
    with pytest.raises(ValueError, match="give different file names"):
        look("a,a")
