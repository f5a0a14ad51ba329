"""What the chapters say of committed results is what those results say: a sentence with a ranking has a test here.

The numbers themselves are quoted from the files, so they cannot be wrong; the words around them could.
"""

from __future__ import annotations

import hashlib
import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganlib import data, sampling
from ganlib.data import fetched
from ganlib.data.images import Images
from ganlib.lab import runs
from ganlib.lab.generators import open_trained
from ganlib.lab.measure import to_unit
from ganlib.lab.models import vae

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "book" / "results"


def result(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def test_the_package_lists_every_result_as_it_is() -> None:
    """A notebook outside a checkout fetches by this list."""
    found = {
        path.relative_to(ROOT).as_posix(): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
        for folder in (RESULTS, ROOT / "benchmarks" / "results")
        for path in folder.iterdir()
    }
    assert fetched.listed() == found, "run `python tools/list_results.py`"
    tool = runpy.run_path(str(ROOT / "tools" / "list_results.py"))
    assert tool["PLACE"].read_text(encoding="utf-8") == tool["listing"](ROOT)  # it writes what the package reads


def value(figure: dict[str, Any]) -> float:
    return float(figure["value"])


@pytest.fixture(scope="module")
def eyes() -> dict[str, Any]:
    """The sets of images that the study looked at, by name."""
    sets: dict[str, Any] = result("eyes")["figures"]["sets"]
    return sets


@pytest.fixture(scope="module")
def seeds() -> list[str]:
    found = list(result("mnist-paper")["figures_by_seed"])
    assert len(found) >= 2  # the chapters speak of seeds
    return found


def test_eyes_looked_at_every_committed_generator(eyes: dict[str, Any], seeds: list[str]) -> None:
    """(measuring, sec-all-eyes) The table has every seed, chosen and averaged, the VAE and the sets to know them by."""
    wanted = {f"mnist-paper{how}-seed{seed}" for seed in seeds for how in ("", "-averaged")}
    assert set(eyes) == wanted | {"vae", "training images", "k-means centres", "validation images"}
    assert {each["frechet"]["n"] for each in eyes.values()} == {10_000}  # compared at one n


def test_parzen_and_frechet_disagree_about_averages_of_images(eyes: dict[str, Any]) -> None:
    """(measuring, sec-all-eyes) Parzen puts k-means centres above training images, the Frechet distance below."""
    sweep = json.loads((ROOT / "ganlib/widgets/assets/parzen-sweep.json").read_text(encoding="utf-8"))
    rows = {each["name"]: each for each in sweep["sets"] if each["kernels"] == 10_000}
    score, error = (
        {name: rows[name][column][rows[name]["chosen_of_papers"]] for name in ("training images", "k-means centres")}
        for column in ("test", "standard_error")
    )
    assert score["k-means centres"] - score["training images"] > 4 * (
        error["k-means centres"] + error["training images"]
    )
    training, spread = eyes["training images"]["frechet"], eyes["training images"]["frechet"]["plus_minus"]
    assert value(eyes["k-means centres"]["frechet"]) > value(training) + 4 * spread
    # "at the floor"
    assert abs(value(training) - value(eyes["validation images"]["frechet"])) < 4 * spread
    worst = max(value(eyes[name]["frechet"]) for name in ("k-means centres", "training images"))
    assert all(value(each["frechet"]) > worst for name, each in eyes.items() if "seed" in name)


def test_precision_prefers_averages_to_real_images(eyes: dict[str, Any]) -> None:
    """(measuring, sec-all-eyes) Centres of k-means have a higher precision than validation images, and lower recall."""
    centres, real = eyes["k-means centres"], eyes["validation images"]
    assert value(centres["precision"]) > value(real["precision"]) + 0.01
    assert value(centres["recall"]) < value(real["recall"]) - 0.01


def test_only_neighbours_and_duplicates_see_memorised_images(eyes: dict[str, Any]) -> None:
    """(measuring, sec-all-eyes) To all other measures training images are as good as validation images."""
    copies, real = eyes["training images"], eyes["validation images"]
    for measure in ("precision", "recall"):
        assert value(copies[measure]) > value(real[measure]) - 0.02
    for critic in ("pixels", "features"):
        assert value(copies["two_samples"][critic]) < value(real["two_samples"][critic]) + 0.03
    for space in ("pixels", "features"):
        assert value(copies["neighbours"][space]["nearer_to_training"]) == 1
        assert abs(value(real["neighbours"][space]["nearer_to_training"]) - 0.5) < 0.05
    assert copies["birthday"]["share_with_a_duplicate"]["low"] > 0.5
    assert real["birthday"]["share_with_a_duplicate"]["high"] < 0.5
    support = copies["birthday"]["support"]
    assert support["low"] < 10_000 * 1.2
    assert support["high"] > 10_000 * 0.8


def test_the_critic_on_pixels_tells_every_generator(eyes: dict[str, Any]) -> None:
    """(measuring, sec-all-eyes)"""
    for name, each in eyes.items():
        if "seed" in name or name == "vae":
            assert all(each["two_samples"]["pixels"]["told_apart"]), name


def test_averaged_weights_raise_the_score_and_lower_what_other_measures_see(
    eyes: dict[str, Any], seeds: list[str]
) -> None:
    """(measuring, sec-averaged-weights) For every seed: Parzen, precision, a critic of pixels like it, others not."""
    gan = result("mnist-paper")
    for seed in seeds:
        before = gan["figures_by_seed"][seed]["figures"]["log_likelihood"]
        after = gan["averaged"]["by_seed"][seed]["figures"]["log_likelihood"]
        assert value(after) - value(before) > 4 * (before["plus_minus"] + after["plus_minus"])
        assert value(before) < 225 < value(after)  # "rises above the paper's"
        chosen, averaged = eyes[f"mnist-paper-seed{seed}"], eyes[f"mnist-paper-averaged-seed{seed}"]
        spread = chosen["frechet"]["plus_minus"] + averaged["frechet"]["plus_minus"]
        assert value(averaged["frechet"]) > value(chosen["frechet"]) + 2 * spread
        assert value(averaged["precision"]) > value(chosen["precision"])
        assert value(averaged["recall"]) < value(chosen["recall"])
        assert value(averaged["classes"]["entropy"]) < value(chosen["classes"]["entropy"])
        assert value(averaged["two_samples"]["pixels"]) < value(chosen["two_samples"]["pixels"]) - 0.05
        # "by about as much as its turns differ"
        features = [each["two_samples"]["features"] for each in (chosen, averaged)]
        assert 0 < value(features[1]) - value(features[0]) < 2 * sum(each["plus_minus"] for each in features)


def test_near_duplicates_of_digits_are_ones_and_generators_have_no_more_copies_than_new_images(
    eyes: dict[str, Any],
) -> None:
    """(measures, sec-birthday; measuring, sec-all-eyes; copies, sec-memorise-full)"""
    drawn = [name for name in eyes if name not in ("training images", "k-means centres")]
    for name in drawn:
        duplicates = eyes[name]["birthday"]["duplicates"]
        assert duplicates["of_class"][1] >= 0.95 * sum(duplicates["of_class"]) > 0
        assert duplicates["of_two_classes"] == 0
        assert value(eyes[name]["copies"]["share"]) < 0.02
    for name in ("mnist-paper-seed0", "mnist-paper-seed1"):
        assert value(eyes[name]["copies"]["share"]) < value(eyes["validation images"]["copies"]["share"])
    assert value(eyes["training images"]["copies"]["share"]) == 1
    assert sum(count > 0 for count in eyes["training images"]["birthday"]["duplicates"]["of_class"]) == 10


def test_the_frechet_distance_of_averages_is_below_every_generators(eyes: dict[str, Any]) -> None:
    """(measuring, sec-all-eyes) Behind real images, ahead of what was generated."""
    centres = value(eyes["k-means centres"]["frechet"])
    generated = [name for name in eyes if name.startswith("mnist-paper") or name == "vae"]
    assert value(eyes["validation images"]["frechet"]) < centres < min(value(eyes[n]["frechet"]) for n in generated)


def grey(images: torch.Tensor) -> float:
    """Share of the inked pixels that are grey, as the chapter counts it."""
    return ((images > 0.1) & (images < 0.9)).sum().item() / (images > 0.1).sum().item()


def digits() -> Images:
    return data.load("digits", "train").flattened()


def test_the_vae_is_blurrier_than_real_digits_and_the_gan_is_not(seeds: list[str]) -> None:
    """(measuring, sec-vae-gan) By the share of grey among the inked pixels; and Parzen prefers the VAE to every GAN."""
    real = grey(digits().first(1000).floats())
    of_vae = grey(vae.samples(vae.load_decoder(RESULTS / "vae.safetensors"), 500))
    assert of_vae > real + 0.1
    gan, score = result("mnist-paper"), result("vae")["figures"]["log_likelihood"]
    trained = open_trained(RESULTS / "mnist-paper-seed0.safetensors")[0]  # the one that the page shows
    drawn = to_unit(trained.run, sampling.sample(trained.generator(), runs.latent(trained.run), 500))
    assert grey(drawn) < real - 0.02
    for seed in seeds:
        for each in (gan["figures_by_seed"][seed], gan["averaged"]["by_seed"][seed]):
            other = each["figures"]["log_likelihood"]
            assert value(score) - value(other) > 4 * (score["plus_minus"] + other["plus_minus"])


def test_precision_prefers_the_vae_and_the_frechet_distance_the_gan(eyes: dict[str, Any], seeds: list[str]) -> None:
    """(measuring, sec-vae-gan) Against the generators as they were chosen, for every seed."""
    for seed in seeds:
        gan, spread = eyes[f"mnist-paper-seed{seed}"], eyes[f"mnist-paper-seed{seed}"]["frechet"]["plus_minus"]
        assert value(eyes["vae"]["frechet"]) > value(gan["frechet"]) + 4 * spread
        assert value(eyes["vae"]["precision"]) > value(gan["precision"])


def test_vae_and_gan_have_one_network_from_z_to_pixels() -> None:
    """(measuring, sec-vae-gan) "layer for layer" the same sizes, and both trained on the same images."""
    gan, of_vae = result("mnist-paper"), result("vae")
    trained = open_trained(RESULTS / "mnist-paper-seed0.safetensors")[0]
    decoder = vae.load_decoder(RESULTS / "vae.safetensors")
    shapes = [[tuple(w.shape) for w in net.parameters()] for net in (trained.generator(), decoder)]
    assert shapes[0] == shapes[1]
    assert gan["data"][0]["sha256"] == of_vae["data"][0]["sha256"]


def test_published_settings_stop_short_of_the_paper_and_averages_are_above_it(seeds: list[str]) -> None:
    """(experiments, sec-full-run) Every seed, on the test images, and the rise slows down."""
    full = result("mnist-paper")
    own, averaged = (each["across_seeds"]["log_likelihood"]["values"] for each in (full, full["averaged"]))
    assert len(own) == len(averaged) == len(seeds)
    assert max(own) < 225 - 2
    assert min(averaged) > 225 + 2
    for run in full["snapshots"]["by_seed"].values():
        best = {e: max(score for at, _, score in run["curve"] if at <= 500 * e) for e in (50, 100, 200, 250)}
        assert best[250] - best[200] < (best[100] - best[50]) / 2


def test_the_order_of_updates_decides_in_the_narrower_pair() -> None:
    """(studies, sec-changes) Alternating updates alone get past D; so far nothing else does."""
    trainings = result("changes")["figures"]["by_change"]
    score, distance = (
        {name: [value(one["figures"][figure]) for one in found["by_seed"]] for name, found in trainings.items()}
        for figure in ("log_likelihood", "frechet")
    )
    learns = ("alternating updates", "alternating updates, longer")
    for name, found in trainings.items():
        ends = [one["curve"][-1] for one in found["by_seed"]]
        if name in learns:
            assert min(score[name]) > 0
            assert all(d_real < 0.7 and d_fake > 0.3 for *_, d_real, d_fake in ends)
        else:
            assert max(score[name]) < 0
            assert min(distance[name]) > 4 * max(distance["alternating updates"])  # "agrees with all of this"
            assert all(d_real > 0.95 and d_fake < 0.05 for *_, d_real, d_fake in ends)
            assert all(one["iteration"] <= 4 * 500 for one in found["by_seed"])  # "an early one"
    assert min(score[learns[1]]) > max(score[learns[0]])
    assert max(distance[learns[1]]) < min(distance[learns[0]])
    assert all(one["iteration"] == one["curve"][-1][0] for one in trainings[learns[0]]["by_seed"])  # "still rose"


def test_both_seeds_lean_towards_training_images_against_validation_images() -> None:
    """(copies, sec-memorise-full) Against test images only seed 0; copies there are none."""
    figures = result("copying")["figures"]
    new = np.concatenate([each["blocks"] for each in figures["new images"].values()])
    assert max(abs(new - 0.5)) < 0.05
    assert figures["lean"]["sets of training images"] == 5
    eyes = result("eyes")["figures"]["sets"]
    for seed in (0, 1):
        name = f"mnist-paper-seed{seed}"
        # The study of eyes looked at the first block of the same draw.
        same = eyes[name]["neighbours"]["pixels"]["nearer_to_training"]
        assert value(same) == pytest.approx(figures["sets"][name]["nearer_to_training"]["blocks"][0], abs=2e-3)
        assert eyes[name]["copies"]["share"]["high"] < value(eyes["validation images"]["copies"]["share"])
        lean = figures["sets"][name]["lean"]
        against = {held: value(lean[held]) / lean[held]["plus_minus"] for held in ("validation images", "test images")}
        assert against["validation images"] > 4
        assert value(lean["validation images"]) > 3 * value(lean["sets of real images"])
        assert against["test images"] > 2 if seed == 0 else abs(against["test images"]) < 2
        apart = value(lean["validation images"]) - value(lean["test images"])
        assert apart > lean["test images"]["plus_minus"]  # "by more than the +- of either number"


def test_a_draw_moves_the_score_as_much_as_the_training_seed(seeds: list[str]) -> None:
    """(experiments, sec-full-run) The first draw is the one reported; the distance to the paper is far larger."""
    gan, drawn = result("mnist-paper"), result("draws")["figures"]["sets"]
    over_seeds = gan["across_seeds"]["log_likelihood"]["standard_deviation"]
    scores = []
    for seed in seeds:
        for name, found in (("", gan["figures_by_seed"]), ("-averaged", gan["averaged"]["by_seed"])):
            reported = found[seed]["figures"]["log_likelihood"]
            again = drawn[f"mnist-paper{name}-seed{seed}"]
            assert again["values"][0] == pytest.approx(value(reported), abs=1e-3)
            assert again["standard_errors_over_test_images"][0] == pytest.approx(reported["plus_minus"], abs=1e-3)
        scores.append(drawn[f"mnist-paper-seed{seed}"])
        spread = scores[-1]["log_likelihood"]["plus_minus"]
        assert over_seeds / 2 < spread < over_seeds * 2  # "about as much"
        assert 225 - max(scores[-1]["values"]) > 20 * spread  # "little"
    spreads = [each["log_likelihood"]["plus_minus"] for each in scores]
    firsts = [each["values"][0] for each in scores]
    assert abs(firsts[0] - firsts[1]) < 2 * np.hypot(*spreads)  # "does not tell them apart"
    vae = result("vae")["figures"]["log_likelihood"]
    assert drawn["vae"]["values"][0] == pytest.approx(value(vae), abs=1e-3)
    for each in drawn.values():
        mean = each["log_likelihood"]
        assert value(mean) == pytest.approx(np.mean(each["values"]), abs=1e-9)
        assert mean["plus_minus"] == pytest.approx(np.std(each["values"], ddof=1), abs=1e-9)


def test_memorised_images_beat_the_paper_and_averages_beat_reality_on_all_of_mnist() -> None:
    """(parzen, sec-parzen-table)"""
    sweep = json.loads((ROOT / "ganlib/widgets/assets/parzen-sweep.json").read_text(encoding="utf-8"))
    score = {each["name"]: each["test"][each["chosen_of_papers"]] for each in sweep["sets"]}
    assert 225 + 2 < score["training images"] < score["all training images"] < score["k-means centres"]


def test_a_gibbs_chains_samples_are_worth_fewer_than_a_generators() -> None:
    """(copies, sec-real-chain) By both ways to count them, trained or not, one chain or many."""
    chains = result("chains")["figures"]
    for end in ("", "_between"):
        kinds = ("gibbs chain", "generator", "untrained generator")
        worth = {kind: value(chains[kind][f"effective_samples_per_10000{end}"]) for kind in kinds}
        assert worth["gibbs chain"] < min(worth["generator"], worth["untrained generator"]) / 2
    assert all(value(chains["time"][how]["ratio"]) > 1 for how in ("one_at_a_time", "in_parallel"))


def test_figure_2_has_its_thirty_draws_and_five_neighbours() -> None:
    """(experiments)"""
    with np.load(RESULTS / "figure2.npz", allow_pickle=False) as found:
        for name in result("figure2")["figures"]["sets"]:
            assert len(found[f"{name}_samples"]) == 30
            assert len(found[f"{name}_neighbours"]) == 5


def test_a_critic_tells_every_sample_of_the_narrow_cifar_pairs() -> None:
    """(experiments) "It never errs", on as many held-out images of either panel."""
    for name in ("cifar10-fc-small", "cifar10-conv-small"):
        found = result(name)["figures_by_seed"]["0"]["figures"]["two_sample_accuracy"]
        assert (value(found), found["n"]) == (1, 2000)


def test_the_order_of_updates_moves_the_rise_and_not_much_the_end() -> None:
    """(studies, sec-order-full) At full width; and what was expected of it in docs/predictions/table-1.md, 1 and 2."""
    alternating, published = result("mnist-paper-alternating"), result("mnist-paper")
    rises = {}
    for order, found in (("alternating", alternating), ("simultaneous", published)):
        for seed, each in found["snapshots"]["by_seed"].items():
            rises[order, seed] = next(at for at, _, score in each["curve"] if score >= 150) // 500
    assert max(at for (order, _), at in rises.items() if order == "alternating") < 75
    assert min(at for (order, _), at in rises.items() if order == "simultaneous") > 100
    for part, low, high in (("figures_by_seed", 165, 180), ("averaged", 225, 245)):
        by_seed = alternating[part] if part == "figures_by_seed" else alternating[part]["by_seed"]
        scores = [value(each["figures"]["log_likelihood"]) for each in by_seed.values()]
        across = published["across_seeds"] if part == "figures_by_seed" else published[part]["across_seeds"]
        assert all(low < score < high for score in scores)
        assert all(abs(score - across["log_likelihood"]["mean"]) < 10 for score in scores)


def test_cooling_adds_more_than_going_on_and_does_not_reach_the_paper() -> None:
    """(studies, sec-cooling) And which of docs/predictions/table-1.md, 3 and 5, held: the cooled parts did."""
    (found,) = result("cooling")["figures"]["by_run"].values()
    score = lambda figures, name="log_likelihood": value(figures[name])  # noqa: E731
    before, (first, second), (_, held) = (
        found["before"],
        [part["figures"] for part in found["cooled"]["parts"]],
        [part["figures"] for part in found["the same rate"]["parts"]],
    )
    assert 15 < score(first) - score(before) < 30
    assert 0 < score(second) - score(first) < 5
    assert score(held) - score(before) > 5  # not as expected
    assert score(second) - score(held) > 10
    for figures in (before, first, second, held):
        assert score(figures) < score(figures, "log_likelihood_fine") < 225 - 2
    assert score(before, "log_likelihood_fine") - score(before) > 12  # not as expected either
    assert score(held, "frechet") < score(second, "frechet") < score(before, "frechet")
