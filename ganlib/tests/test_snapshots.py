"""Which generator of a run is measured: kept on the way, chosen on validation images, the test images not looked at."""

from dataclasses import replace

import pytest
import torch

from ganlib import data
from ganlib.errors import CheckpointError
from ganlib.lab import measure, runs, snapshots
from ganlib.lab.generators import open_trained, save_generator
from ganlib.lab.runner import Runner
from ganlib.lab.training import Training
from ganlib.metrics import parzen
from ganlib.sampling import sample

DIGITS = {"data": "digits", "width": 16, "units": 8, "m": 10, "iterations": 60, "every": 2}


def trained(folder, seeds=(0,), **settings):
    run = runs.get("mnist-paper", {**DIGITS, **settings})
    runner = Runner(Training(run, seeds=seeds, device="cpu"), folder / "run", snapshots=folder / "kept")
    list(runner.reports())
    return run, runner.training


@pytest.mark.parametrize(
    ("iterations", "every", "apart"), [(125_000, 500, 2500), (60, 2, 2), (100, 1, 2), (101, 1, 3), (10, 4, 4)]
)
def test_about_fifty_snapshots_at_whole_reports(iterations, every, apart):
    run = runs.get("mnist-paper", {"iterations": iterations, "every": every})
    assert snapshots.spacing(run) == apart
    assert apart % every == 0
    assert iterations / apart <= snapshots.SNAPSHOTS
    wanted = snapshots.wanted(run)
    assert wanted == tuple(at for at in range(1, iterations + 1) if at % apart == 0 or at == iterations)


def test_kept_generators_are_those_of_their_iteration_in_half_precision(tmp_path):
    trained(tmp_path, seeds=(3, 1), iterations=12, every=4)
    again = Training(runs.get("mnist-paper", {**DIGITS, "iterations": 12, "every": 4}), seeds=(3, 1), device="cpu")
    for at in (4, 8, 12):
        again.advance(4)
        for seed in (3, 1):
            kept, _ = open_trained(tmp_path / "kept" / f"seed-{seed}" / f"iteration-{at:09}.safetensors")
            assert (kept.iteration, kept.seeds) == (at, (seed,))
            expected = again.networks(seed)[0].state_dict()
            for name, tensor in kept.generator().state_dict().items():
                assert torch.equal(tensor, expected[name].half().float())


def test_the_best_on_validation_images_is_chosen_and_no_test_image_is_needed(tmp_path):
    run, _ = trained(tmp_path)
    valid = {"valid": measure.held_out(run)["valid"]}
    choice = snapshots.choose(tmp_path / "kept", run, 0, valid, samples=200)
    assert [row[0] for row in choice.curve] == list(range(2, 61, 2))
    scores = []
    for at, sigma, score in choice.curve:
        kept, _ = open_trained(tmp_path / "kept" / "seed-0" / f"iteration-{at:09}.safetensors")
        drawn = sample(kept.generator(), runs.latent(run), 200, seed=0)
        images = valid["valid"].floats()
        protocol = parzen.evaluate(drawn, images, images[:10])
        assert (protocol.sigma, max(protocol.sweep)) == (sigma, pytest.approx(score))
        scores.append(score)
    assert choice.iteration == choice.curve[scores.index(max(scores))][0]
    assert choice.path.name == f"iteration-{choice.iteration:09}.safetensors"


def noise(split, seed):
    pixels = torch.randint(0, 256, (40, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return data.Images("noise", split, "test", pixels, torch.zeros(40, dtype=torch.int64)).normalised(55.0).flattened()


@pytest.mark.parametrize(
    ("name", "settings"),
    [("small-mlp", {"data": "digits", "width": 8}), ("cifar10-fc-small", {"width": 8, "units": 4})],
)
def test_contrast_normalised_and_tanh_images_have_a_validation_score(name, settings):
    run = runs.get(name, settings)
    net = runs.networks(run, 0, None)[0].eval()
    splits = measure.held_out(run) if run.data == "digits" else {"valid": noise("valid", 1), "test": noise("test", 2)}
    sigma, score = measure.validation_score(run, net, {"valid": splits["valid"]}, samples=100)
    found = measure.measure(run, net, splits, samples=100)
    assert found["figures"]["sigma"]["value"] == sigma
    assert max(found["details"]["validation_log_likelihoods"]) == pytest.approx(score)


def test_toy_data_keep_the_last_only(tmp_path):
    run = runs.get("ring8", {"width": 8, "m": 8, "iterations": 12, "every": 3})
    list(Runner(Training(run, device="cpu"), tmp_path / "run", snapshots=tmp_path / "kept").reports())
    choice = snapshots.choose(tmp_path / "kept", run, 0, measure.held_out(run))
    assert (choice.iteration, choice.curve) == (12, ())
    assert [path.name for path in (tmp_path / "kept" / "seed-0").iterdir()] == ["iteration-000000012.safetensors"]


def test_an_unfinished_run_and_another_runs_snapshots_are_refused(tmp_path):
    run, _ = trained(tmp_path, iterations=8)
    data = measure.held_out(run)
    with pytest.raises(CheckpointError, match="no snapshot of mnist-paper at iteration 10, seed 0"):
        snapshots.choose(tmp_path / "kept", replace(run, iterations=10), 0, data, samples=10)
    with pytest.raises(CheckpointError, match="is of another run"):
        snapshots.choose(tmp_path / "kept", replace(run, m=20), 0, data, samples=10)


def test_a_longer_run_passes_through_the_shorter_ones_snapshots(tmp_path):
    short, _ = trained(tmp_path / "short", iterations=8)
    long, _ = trained(tmp_path / "long", iterations=12)
    data = measure.held_out(short)
    at_eight = [
        snapshots.choose(tmp_path / name / "kept", short, 0, data, samples=20).curve for name in ("short", "long")
    ]
    assert at_eight[0] == at_eight[1]
    again = Runner(Training(long, device="cpu"), tmp_path / "short" / "run", resume=True)
    assert again.training.iteration == 8
    list(again.reports())
    whole = Training(long, device="cpu")
    list(whole.reports())
    expected = whole.state()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.training.state().items())


def test_the_choice_does_not_depend_on_what_else_the_folder_kept(tmp_path):
    # A run of 102 keeps every third generator; shorter ones had kept every one or every second, longer ones go on.
    settings = {"width": 4, "units": 2, "every": 1}
    run, _ = trained(tmp_path / "once", **settings, iterations=102)
    for at in range(1, 120):
        stray = tmp_path / "once" / "kept" / "seed-0" / f"iteration-{at:09}.safetensors"
        if not stray.exists():
            stray.write_bytes(b"another length's")
    valid = {"valid": measure.held_out(run)["valid"].first(20)}
    choice = snapshots.choose(tmp_path / "once" / "kept", run, 0, valid, samples=10)
    assert [row[0] for row in choice.curve] == list(range(3, 103, 3)) == list(snapshots.wanted(run))
    average = snapshots.choose_average(tmp_path / "once" / "kept", run, 0, valid, tmp_path / "x", samples=10)
    assert [row[0] for row in average.curve] == [1, 2, 5, 10, 20, 30]


def test_the_first_missing_snapshot_is_named_with_the_remedy(tmp_path):
    run, training = trained(tmp_path, seeds=(0, 1), iterations=12, every=4)
    kept, valid = tmp_path / "kept", {"valid": measure.held_out(run)["valid"]}
    says = r"no snapshot of mnist-paper at iteration 8, seed 1: .* empty folder with --out and reproduce again"
    snapshots.check(kept, run, (0, 1), 12)
    for at in (8, 12):
        (kept / "seed-1" / f"iteration-{at:09}.safetensors").unlink()
    snapshots.check(kept, run, (0, 1), 7)
    for call in (
        lambda: snapshots.check(kept, run, (0, 1), 8),
        lambda: snapshots.choose(kept, run, 1, valid, samples=10),
        lambda: snapshots.choose_average(kept, run, 1, valid, tmp_path / "x", samples=10),
    ):
        with pytest.raises(CheckpointError, match=says):
            call()
    assert not (tmp_path / "x").exists()
    # The end's alone is written again by `keep`, from the training itself.
    (kept / "seed-0" / "iteration-000000012.safetensors").unlink()
    snapshots.check(kept, run, (0,), 12)
    snapshots.keep(kept, training)
    assert [row[0] for row in snapshots.choose(kept, run, 0, valid, samples=10).curve] == [4, 8, 12]


def test_a_run_cannot_be_resumed_before_where_it_is(tmp_path):
    trained(tmp_path, iterations=8)
    with pytest.raises(CheckpointError, match="iterations: 8 -> 6"):
        Runner(
            Training(runs.get("mnist-paper", {**DIGITS, "iterations": 6}), device="cpu"), tmp_path / "run", resume=True
        )


def test_averages_are_of_the_last_snapshots_and_the_best_is_kept(tmp_path):
    run, _ = trained(tmp_path, iterations=24)
    # The last two lie on either side of the images' mean, the next three far on one side: the average of two is best.
    for back, path in enumerate(sorted((tmp_path / "kept").rglob("*s"), reverse=True)):
        here, _ = open_trained(path)
        generator = here.generator()
        generator.output.bias.data += (3.0, -3.0, 6.0, 6.0, 6.0, *[0.0] * 7)[back]
        save_generator(path, run, 0, generator, here.iteration)
    valid = {"valid": measure.held_out(run)["valid"]}
    choice = snapshots.choose_average(tmp_path / "kept", run, 0, valid, tmp_path / "mean.safetensors", samples=100)
    kept = [open_trained(path)[0].generator().state_dict() for path in sorted((tmp_path / "kept").rglob("*s"))]
    assert (
        [row[0] for row in choice.curve]
        == [count for count in snapshots.AVERAGED if count <= len(kept)]
        == [1, 2, 5, 10]
    )
    best = max(choice.curve, key=lambda row: row[2])
    assert best[0] == 2
    assert choice.curve[2][2] < choice.curve[3][2] < best[2]
    written, _ = open_trained(choice.path)
    assert (written.iteration, written.checkpoint.record["snapshots_averaged"]) == (24, best[0])
    for name, tensor in written.generator().state_dict().items():
        expected = torch.stack([each[name].double() for each in kept[-best[0] :]]).mean(0).half().float()
        assert torch.equal(tensor, expected)
    sigma, score = measure.validation_score(run, written.generator(), valid, samples=100)
    assert (sigma, score) == (best[1], pytest.approx(best[2]))


def test_averages_leave_out_toys_and_batch_normalisation(tmp_path):
    for name in ("ring8", "dcgan-mnist"):
        run = runs.get(name)
        assert not snapshots.can_average(run)
        with pytest.raises(ValueError, match="left out of averaging; use choose"):
            snapshots.choose_average(tmp_path, run, 0, {}, tmp_path / "x")
