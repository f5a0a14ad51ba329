"""Checkpoints give back their generators; one generator alone is saved in half precision; what is no run is refused."""

from types import SimpleNamespace

import pytest
import torch

from ganlib.errors import CheckpointError
from ganlib.lab import checkpoint, runs
from ganlib.lab.generators import open_trained, save_generator
from ganlib.lab.training import Training
from ganlib.sampling import sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two seeds trained a little, saved; and the training they come from."""
    training = Training(runs.get("ring8", {"iterations": 4, "every": 2}), seeds=(5, 7), device="cpu")
    training.advance(4)
    path = tmp_path_factory.mktemp("run")
    settings = runs.as_dict(training.run) | {"seeds": [5, 7], "precision": "fp32", "device": "cpu"}
    checkpoint.save(path, 4, training.state(), settings, {})
    return SimpleNamespace(path=path, training=training, settings=settings)


def test_every_member_comes_back(folder):
    trained, refused = open_trained(folder.path)
    assert (trained.run, trained.seeds, trained.iteration, refused) == (folder.training.run, (5, 7), 4, [])
    latent = runs.latent(trained.run)
    outputs = [sample(trained.generator(seed), latent, 10) for seed in (5, 7)]
    for seed, output in zip((5, 7), outputs, strict=True):
        assert torch.equal(output, sample(folder.training.networks(seed)[0], latent, 10))
    assert not torch.equal(*outputs)
    with pytest.raises(ValueError, match="no seed 6"):
        trained.generator(6)


def test_a_saved_generator_is_the_generator_in_half_precision(folder, tmp_path):
    generator = folder.training.networks(7)[0]
    path = save_generator(tmp_path / "new" / "g.safetensors", folder.training.run, 7, generator, 4)
    assert [each.name for each in path.parent.iterdir()] == ["g.safetensors"]
    trained, _ = open_trained(path)
    assert (trained.seeds, trained.iteration) == ((7,), 4)
    saved = trained.checkpoint.tensors
    assert {tensor.dtype for tensor in saved.values()} == {torch.float16}
    again = trained.generator().state_dict()
    for name, weight in generator.state_dict().items():
        assert torch.equal(again[name], saved[f"generator.{name}"].float())
        torch.testing.assert_close(again[name], weight, atol=1e-7, rtol=2**-11)  # half an ulp
    with torch.no_grad():
        next(generator.parameters()).view(-1)[0] = 1e6  # beyond half precision
    path = save_generator(path, folder.training.run, 7, generator, 4)
    first = next(open_trained(path)[0].generator().parameters())
    assert first.view(-1)[0].item() == 1e6


def test_what_is_no_run_is_refused_by_name(folder, tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint in this folder"):
        open_trained(tmp_path)
    (tmp_path / "checkpoint-000000001.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="checkpoint-000000001"):
        open_trained(tmp_path)
    state = folder.training.state()
    for name, settings, says in (
        ("old", {"k": 1}, "not a run of this version"),
        ("strange", folder.settings | {"colour": "red"}, "colour"),
        ("impossible", folder.settings | {"k": 0}, "k is 0"),
        ("no seeds", folder.settings | {"seeds": []}, "seeds"),
    ):
        checkpoint.save(tmp_path / name, 4, state, settings, {})
        with pytest.raises(CheckpointError, match=says):
            open_trained(tmp_path / name)
    wider = folder.settings | {"width": 64}
    checkpoint.save(tmp_path / "wider", 4, state, wider, {})
    with pytest.raises(CheckpointError, match="weights"):
        open_trained(tmp_path / "wider")[0].generator()
