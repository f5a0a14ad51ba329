"""Seeds trained apart give one result: every figure kept, the spread across all seeds, nothing else mixed."""

import copy
import json

import numpy as np
import pytest

from ganlib.errors import ResultsError
from ganlib.lab.cli import main
from ganlib.lab.combine import combine

SMALL = ["--set", "iterations=4", "--set", "every=2", "--samples", "50", "--quiet"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    for name, seed in (("one", "0"), ("two", "3"), ("again", "3")):
        out = ["--seed", seed, "--out", str(folder / name), "--results", str(folder / f"{name}.json")]
        assert main(["reproduce", "ring8", *SMALL, *out]) == 0
    return folder


def read(folder, *names):
    return [json.loads((folder / f"{name}.json").read_text()) for name in names]


def test_combined_seeds_keep_their_figures_and_give_the_spread(folder):
    one, two = read(folder, "one", "two")
    found = combine([two, one])
    assert found["seeds"] == [0, 3]
    assert found["figures_by_seed"] == {**one["figures_by_seed"], **two["figures_by_seed"]}
    for name, across in found["across_seeds"].items():
        values = [part["figures_by_seed"][seed]["figures"][name]["value"] for part, seed in ((one, "0"), (two, "3"))]
        assert across["values"] == values
        assert across["standard_deviation"] == pytest.approx(np.std(values, ddof=1))
    assert [part["environment"] for part in found["parts"]] == [two["environment"], one["environment"]]
    for name in ("curves", "snapshots"):
        assert found[name]["by_seed"] == {**one[name]["by_seed"], **two[name]["by_seed"]}


def test_the_command_writes_one_file_with_all_weights(folder, capsys):
    capsys.readouterr()
    parts = [str(folder / "one.json"), str(folder / "two.json")]
    assert main(["combine", *parts, "--results", str(folder / "new" / "both.json")]) == 0
    found = json.loads((folder / "new" / "both.json").read_text())
    for seed, source in (("0", "one-seed0"), ("3", "two-seed3")):
        file = folder / "new" / found["weights"][seed]["file"]
        assert file.name == f"both-seed{seed}.safetensors"
        assert file.read_bytes() == (folder / f"{source}.safetensors").read_bytes()


def test_other_weights_than_the_result_names_are_refused(folder, tmp_path, capsys):
    for name in ("one", "two"):
        for path in folder.glob(f"{name}*.*"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "two-seed3.safetensors").write_bytes((folder / "one-seed0.safetensors").read_bytes())
    parts = [str(tmp_path / "one.json"), str(tmp_path / "two.json")]
    assert main(["combine", *parts, "--results", str(tmp_path / "both.json")]) == 5
    assert "is not the file that" in capsys.readouterr().err
    assert not (tmp_path / "both.json").exists()
    assert main(["combine", str(tmp_path / "none.json"), parts[0], "--results", "x.json"]) == 5


def test_averages_are_combined_too(tmp_path):
    small = ["--set", "data=digits", "--set", "width=8", "--set", "units=4", "--set", "m=10", *SMALL]
    for seed in "01":
        out = ["--seed", seed, "--out", str(tmp_path / f"run{seed}"), "--results", str(tmp_path / f"part{seed}.json")]
        assert main(["reproduce", "mnist-paper", *small, *out]) == 0
    parts = [str(tmp_path / f"part{seed}.json") for seed in "01"]
    assert main(["combine", *parts, "--results", str(tmp_path / "digits.json")]) == 0
    found = json.loads((tmp_path / "digits.json").read_text())["averaged"]
    for seed in "01":
        name = found["by_seed"][seed]["weights"]["file"]
        assert name == f"digits-averaged-seed{seed}.safetensors"
        assert (tmp_path / name).read_bytes() == (tmp_path / f"part{seed}-averaged-seed{seed}.safetensors").read_bytes()
    values = [found["by_seed"][seed]["figures"]["log_likelihood"]["value"] for seed in "01"]
    assert found["across_seeds"]["log_likelihood"]["values"] == values


def test_each_part_keeps_what_it_says_of_its_training():
    said = [{"from": 0, "to": 4, "commit": "a"}]
    first, second = combine([part(0) | {"trained_by": said}, part(1)])["parts"]
    assert first["trained_by"] == said
    assert "trained_by" not in second  # an older result does not say


def part(seed, *, average=True, pretrained="a" * 64):
    """A result of one seed on top of a pretrained generator, with invented figures."""
    found = {"figures": {"log_likelihood": {"value": float(seed), "unit": "nats"}}, "details": {}}
    weights = {"file": f"tfd-seed{seed}.safetensors", "sha256": "c" * 64}
    return {
        "run": "tfd-stage2",
        "settings": {"pretrained": "tfd-seed0.safetensors"},
        "changed": {},
        "data": [{"name": "TFD", "split": "train", "source": "TFD_48x48.mat", "sha256": "d" * 64}],
        "precision": "fp32",
        "processes": 1,
        "samples": 10,
        "seeds": [seed],
        "environment": {"threads": 1},
        "started": "2026-01-01T00:00:00+00:00",
        "wall_seconds": 1.0,
        "command": "python -m ganlib reproduce tfd-stage2",
        "iterations_of_this_command": 1,
        "figures_by_seed": {str(seed): found},
        "curves": {"columns": [], "by_seed": {str(seed): []}},
        "snapshots": {"by_seed": {str(seed): {}}},
        "weights": {str(seed): weights},
        "averaged": {"by_seed": {str(seed): found | {"weights": weights}} if average else {}, "across_seeds": {}},
        "pretrained_sha256": pretrained,
    }


def test_the_same_images_from_another_file_are_the_same_data():
    moved, other = part(1), part(2)
    moved["data"][0]["source"] = "faces.mat"
    assert combine([part(0), moved])["data"] == part(0)["data"]
    other["data"][0]["sha256"] = "e" * 64
    with pytest.raises(ResultsError, match="they differ in data"):
        combine([part(0), other])


def test_averages_are_of_all_seeds_or_of_none():
    for parts in ([part(0), part(1, average=False), part(2)], [part(1, average=False), part(0)]):
        with pytest.raises(
            ResultsError, match=r"seeds \[1\] have no averages and others have: .* without --no-average"
        ):
            combine(parts)
    assert combine([part(0), part(1)])["averaged"]["across_seeds"]["log_likelihood"]["values"] == [0, 1]
    none = combine([part(0, average=False), part(1, average=False)])["averaged"]
    assert none == {"by_seed": {}, "across_seeds": {}}


def test_the_pretrained_generator_is_one_and_is_kept():
    assert combine([part(0), part(1)])["pretrained_sha256"] == "a" * 64
    for other in ("b" * 64, None):
        with pytest.raises(ResultsError, match=r"seeds \[0\] and \[2\] were trained on top of different pretrained"):
            combine([part(0), part(1), part(2, pretrained=other)])
    plain = [{name: each for name, each in part(seed).items() if name != "pretrained_sha256"} for seed in (0, 1)]
    assert "pretrained_sha256" not in combine(plain)


def test_a_file_that_holds_further_seeds_is_not_replaced(folder, tmp_path, capsys):
    three = tmp_path / "three.json"
    out = ["--seed", "5", "--out", str(tmp_path / "run"), "--results", str(tmp_path / "five.json")]
    assert main(["reproduce", "ring8", *SMALL, *out]) == 0
    parts = [str(folder / "one.json"), str(folder / "two.json")]
    assert main(["combine", *parts, str(tmp_path / "five.json"), "--results", str(three)]) == 0
    before = {path: path.read_bytes() for path in tmp_path.glob("three*")}
    assert len(before) == 4
    capsys.readouterr()
    assert main(["combine", *parts, "--results", str(three)]) == 5
    assert "three.json holds seeds [5], which are not among those combined ([0, 3])" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.glob("three*")} == before
    two = tmp_path / "five.json"  # one of the parts themselves may be replaced by all of them
    assert main(["combine", parts[0], str(two), "--results", str(two)]) == 0
    assert json.loads(two.read_text())["seeds"] == [0, 5]


def test_another_kind_of_result_is_not_replaced(folder, tmp_path, capsys):
    """As of `sweep`, which has run, settings, seeds and samples too."""
    (one,) = read(folder, "one")
    other = {name: one[name] for name in ("run", "settings", "seeds", "samples")}
    (tmp_path / "sweep.json").write_text(json.dumps(other))
    parts = [str(folder / "one.json"), str(folder / "two.json")]
    assert main(["combine", *parts, "--results", str(tmp_path / "sweep.json")]) == 5
    assert "is no results file of ganlib's" in capsys.readouterr().err


def test_only_seeds_may_differ(folder):
    one, two, again = read(folder, "one", "two", "again")
    with pytest.raises(ResultsError, match=r"a seed is in two of them: \[3, 3\]"):
        combine([two, again])
    with pytest.raises(ResultsError, match="1 result; combining takes two"):
        combine([one])
    other = copy.deepcopy(two)
    other["settings"]["k"] = 2
    with pytest.raises(ResultsError, match=r"they differ in settings \(seeds \[3\]: k 1 and 2\)"):
        combine([one, other])
    with pytest.raises(ResultsError, match="they differ in samples"):
        combine([one, {**two, "samples": 60}])
    with pytest.raises(ResultsError, match="no result of reproduce: it lacks run"):
        combine([one, {"seeds": [1]}])
