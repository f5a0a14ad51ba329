"""Whether a committed result of a named run is that run's: of `reproduce`, of `combine`, or of `sweep`.

The figures are of as many samples as every other result's, in full precision, and of the generators beside them; the
generators were chosen on validation images among all that the run was to leave; what is said across seeds follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from committed_results import near
from result_origins import differing, lacks, making, same

from ganlib import checkpoint, evaluation, runs, snapshots
from ganlib.runs import Run
from ganlib.trained import open_trained

PRECISION = "fp32"  # no named run asks for another
SAID = {"samples": evaluation.SAMPLES, "sampling_seed": 0}  # of every measurement


def run(content: dict[str, Any]) -> Iterator[str]:
    name, made = content["run"], str(content.get("command", ""))
    remedy = f"run {made}" if made and "figures_by_seed" not in content else f"run python -m ganlib reproduce {name}"
    yield from lacks(content, ("settings", "data", "changed", "seeds", "samples"), remedy)
    yield from making(content, remedy)
    if name not in runs.RUNS:
        yield f"no run is called {name!r}; {near(name, runs.RUNS)}"
        return
    wanted, settings = runs.as_dict(runs.RUNS[name]), dict(content.get("settings", {}))
    changed = dict(content.get("changed", {}))
    if content.get("pretrained_sha256"):  # stage 2 starts from a file of one's own, named by its hash
        wanted["pretrained"] = settings.get("pretrained", "")
        changed.pop("pretrained", None)
    yield from differing(settings, wanted, f"the run {name}", remedy)
    for setting in changed:
        yield f"changed names the setting {setting}: it is not the run {name}; {remedy}"
    yield from _data(content, runs.RUNS[name], remedy)
    yield from _said(content, "it", ("samples",), remedy)
    if "sets" in content and "figures_by_seed" not in content:
        yield from lacks(content, ("checkpoint_sha256", "iteration"), remedy)
        if content["sets"][0]["kernels"] != content.get("samples"):
            yield f"its first set has {content['sets'][0]['kernels']} kernels, not its samples; {remedy}"
    else:
        yield from _reproduced(content, runs.RUNS[name], remedy)


def _data(content: Mapping[str, Any], named: Run, remedy: str) -> Iterator[str]:
    splits = {each["split"] for each in content.get("data", [])}
    wanted = {"train", "valid", "test"} if named.channels else {None}
    if splits != wanted:
        yield f"its data are the splits {sorted(map(str, splits))}, not {sorted(map(str, wanted))}; {remedy}"


def _said(content: Mapping[str, Any], whose: str, names: tuple[str, ...], remedy: str) -> Iterator[str]:
    for name in names:
        if not same(content.get(name), SAID[name]):
            yield f"{whose} has {name} {content.get(name)!r}, and every result has {SAID[name]}; {remedy}"


def _reproduced(content: dict[str, Any], named: Run, remedy: str) -> Iterator[str]:
    yield from lacks(content, ("figures_by_seed", "across_seeds", "precision", "weights"), remedy)
    if content.get("precision") not in (None, "", PRECISION):
        yield f"its precision is {content['precision']!r}, and a named run's is {PRECISION}; {remedy}"
    averaged = content.get("averaged", {})
    own = {seed: each.get("weights", {}) for seed, each in averaged.get("by_seed", {}).items()}
    for whose, by_seed, summary, weights in (
        ("", content.get("figures_by_seed", {}), content.get("across_seeds", {}), content.get("weights", {})),
        ("averaged ", averaged.get("by_seed", {}), averaged.get("across_seeds", {}), own),
    ):
        if whose and not by_seed and not summary:
            continue  # no averages were made
        seeds = sorted(map(str, content.get("seeds", [])))
        for what, there in (("figures", by_seed), ("weights", weights)):
            if sorted(there) != seeds:
                of = ", ".join(there) or "none"
                yield f"its seeds are {content.get('seeds')}, and it has {whose}{what} of {of}; {remedy}"
        for seed, each in by_seed.items():
            yield from _said(each, f"{whose}seed {seed}", ("samples", "sampling_seed"), remedy)
        for seed, each in weights.items():
            yield from (f"{whose}weights of seed {seed}: {says}" for says in lacks(each, ("file", "sha256"), remedy))
        yield from _summary(by_seed, summary, remedy)
    if averaged.get("by_seed") and not snapshots.can_average(named):
        yield f"it has averages, which are not made of {named.name}; {remedy}"
    if "snapshots" in content:
        yield from _choices(content, named, remedy)
    for seed, each in averaged.get("by_seed", {}).items():
        wanted = [count for count in snapshots.AVERAGED if count <= len(snapshots.wanted(named))]
        if [row[0] for row in each["curve"]] != wanted:
            yield f"averaged seed {seed} has a curve that is not of {wanted} snapshots; {remedy}"
        else:
            yield from _best(each, f"averaged seed {seed}", each["curve"], remedy)


def _summary(by_seed: Mapping[str, Any], summary: Mapping[str, Any], remedy: str) -> Iterator[str]:
    """What is said across seeds follows from them, and nothing else is said."""
    across = evaluation.across_seeds(list(by_seed.values())) if by_seed else {}
    for figure in sorted({*across, *summary}):
        if figure not in across:
            yield f"across_seeds has {figure}, of which its seeds have no figures; {remedy}"
            continue
        said = summary.get(figure, {})
        for name in sorted({*said, *across[figure]}):
            here, there = said.get(name), across[figure].get(name)
            if not same(here, there) or (name in said) != (name in across[figure]):
                yield f"across_seeds has {figure}.{name} {here!r}, its seeds give {there!r}; {remedy}"


def _choices(content: Mapping[str, Any], named: Run, remedy: str) -> Iterator[str]:
    """Each seed's generator is the best on the validation images, of all that the run was to leave."""
    kept = content["snapshots"]
    chosen, wanted = kept.get("by_seed", {}), list(snapshots.wanted(named))
    if kept.get("every") != snapshots.spacing(named):
        yield f"its snapshots are every {kept.get('every')} iterations, not {snapshots.spacing(named)}; {remedy}"
    if sorted(chosen) != sorted(map(str, content.get("seeds", []))):
        yield f"its seeds are {content.get('seeds')}, and it has snapshots of {', '.join(chosen) or 'none'}; {remedy}"
    for seed, choice in chosen.items():
        curve = choice.get("curve", [])
        tried = [row[0] for row in curve]
        if tried != (wanted if named.channels else []):
            of = f"its {len(wanted)} snapshots, every {snapshots.spacing(named)}" if named.channels else "none"
            yield f"seed {seed}'s validation curve is of {len(tried)} snapshots, and {named.name}'s of {of}; {remedy}"
            continue
        best = max(curve, key=lambda row: row[2])[0] if curve else named.iterations  # the first of equals
        if choice["iteration"] != best:
            yield f"seed {seed}'s generator is of iteration {choice['iteration']}, and the best is {best}; {remedy}"
        elif curve:
            yield from _best(content["figures_by_seed"][seed], f"seed {seed}", curve, remedy)


def _best(measured: Mapping[str, Any], whose: str, curve: list[Any], remedy: str) -> Iterator[str]:
    """The generator that was measured has the validation score it was chosen for."""
    _, sigma, score = max(curve, key=lambda row: row[2])
    there = [measured["figures"]["sigma"]["value"], max(measured["details"]["validation_log_likelihoods"])]
    if not same([sigma, score], there):
        yield f"{whose} was chosen for sigma and score {[sigma, score]}, and measured with {there}; {remedy}"


def generators(path: Path, content: Mapping[str, Any]) -> Iterator[str]:
    """The generators' files beside a result hold what it says of them."""
    chosen = content.get("snapshots", {}).get("by_seed", {})
    for seed, weights in content.get("weights", {}).items():
        if "file" in weights:
            at = chosen.get(seed, {}).get("iteration")
            yield from generator(path.with_name(str(weights["file"])), content, path.name, str(seed), at)
    for seed, averaged in content.get("averaged", {}).get("by_seed", {}).items():
        if "file" in averaged.get("weights", {}):
            file = path.with_name(str(averaged["weights"]["file"]))
            best = max(averaged["curve"], key=lambda row: row[2])[0]
            yield from generator(file, content, path.name, str(seed), None, best)


def generator(
    file: Path, content: Mapping[str, Any], whose: str, seed: str, chosen: int | None, averaged: int | None = None
) -> Iterator[str]:
    """A generator's file says itself what it is: run, settings, seed, iteration, snapshots averaged."""
    if not file.is_file():
        return
    try:
        trained, _ = open_trained(file)
    except checkpoint.CheckpointError as error:
        yield f"{file.name} cannot be read ({error}); make it again"
        return
    settings, said = runs.as_dict(trained.run), dict(content.get("settings", {}))
    for each in (settings, said):
        for free in ("iterations", "pretrained"):  # a snapshot may be of a longer run, and its start elsewhere
            each.pop(free, None)
    yield from differing(settings, said, f"{whose}, which names {file.name},", "make it again")
    if list(map(str, trained.seeds)) != [seed]:
        yield f"{file.name} is of seed {trained.seeds}, not {seed}; make it again"
    wanted = content["settings"]["iterations"] if chosen is None else chosen
    if trained.iteration != wanted:
        yield f"{file.name} is of iteration {trained.iteration}, not {wanted} as it says; make it again"
    count = trained.checkpoint.record.get("snapshots_averaged")
    if count != averaged:
        yield f"{file.name} is an average of {count} snapshots, not {averaged} as it says; make it again"
