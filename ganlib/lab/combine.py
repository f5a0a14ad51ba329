"""One result from several of one run: its seeds trained one after another, or on several machines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ganlib.errors import ResultsError
from ganlib.lab.measure import across_seeds
from ganlib.limits import shown

SAME = ("run", "settings", "changed", "data", "precision", "processes", "samples")
BY_SEED = ("figures_by_seed", "curves", "snapshots", "weights", "averaged")
OWN = ("seeds", "environment", "started", "wall_seconds", "command", "iterations_of_this_command")
LATER = ("trained_by",)  # older results do not say it

# What is asked of a part: an object's names, ... for all others; a list's elements; a type; a pattern.
_NUMBER = (int, float)
_ANY = (dict, list, str, int, float, bool, type(None))
_SHA256 = re.compile("[0-9a-f]{64}")
_WEIGHTS = {"file": re.compile(r"(?!\.)[^/\\\0]{1,200}"), "sha256": _SHA256}
_MEASURED = {"figures": {...: {"value": _NUMBER, "unit": str}}, "details": {...: _ANY}}
_PART: dict[Any, Any] = {
    "run": str,
    "settings": {...: (str, int, float)},
    "changed": {...: dict},
    "data": [{...: (str, int, type(None))}],
    "precision": str,
    "processes": int,
    "samples": int,
    "seeds": [int],
    "environment": {...: _ANY},
    "started": str,
    "wall_seconds": _NUMBER,
    "command": str,
    "iterations_of_this_command": int,
    "figures_by_seed": {...: _MEASURED},
    "curves": {"columns": [str], "by_seed": {...: [[_NUMBER]]}},
    "snapshots": {"by_seed": {...: dict}},
    "weights": {...: _WEIGHTS},
    "averaged": {"by_seed": {...: _MEASURED | {"weights": _WEIGHTS}}},
}


def combine(parts: Sequence[dict[str, Any]], names: Sequence[str] = ()) -> dict[str, Any]:
    """One result from several of ``python -m ganlib reproduce``.

    Parameters
    ----------
    parts : the results, each with other seeds and everything else alike; the result has their seeds in order.
    names : what messages call them, such as the files' names.

    Returns
    -------
    dict
        As one of them, with the spread across all seeds; "parts" has each one's environment, time and command. The
        files under "weights" still have the names they have there.

    Raises
    ------
    ResultsError
        If there are fewer than two parts, one is no such result, they differ in a setting or in the pretrained
        generator, share a seed, or only some of them have averages.
    """
    if len(parts) < 2:
        raise ResultsError(f"{len(parts)} result; combining takes two or more, each of other seeds")
    for part, name in zip(parts, names or [f"result {i + 1}" for i in range(len(parts))], strict=True):
        if problem := _problem(part):
            raise ResultsError(f"{name} is no result of reproduce: {problem}")
    for part in parts[1:]:
        for seed, other in part["figures_by_seed"].items():
            if other["figures"].keys() != _figures(parts[0]):
                raise ResultsError(f"seed {seed} has other figures than the first: {shown(sorted(other['figures']))}")
    for name in SAME:
        if any(_compared(name, part) != _compared(name, parts[0]) for part in parts):
            there = "; ".join(
                f"seeds {shown(part['seeds'])}: {_differing(parts[0][name], part[name])}" for part in parts[1:]
            )
            raise ResultsError(f"they differ in {name} ({there}); only seeds may differ")
    pretrained = parts[0].get("pretrained_sha256")
    for part in parts[1:]:
        if part.get("pretrained_sha256") != pretrained:
            raise ResultsError(
                f"seeds {parts[0]['seeds']} and {part['seeds']} were trained on top of different pretrained generators "
                f"(SHA-256 {pretrained} and {part.get('pretrained_sha256')}); only seeds may differ"
            )
    without = sorted(seed for part in parts for seed in part["seeds"] if str(seed) not in part["averaged"]["by_seed"])
    if without and any(part["averaged"]["by_seed"] for part in parts):
        raise ResultsError(
            f"seeds {without} have no averages and others have: reproduce those again without --no-average (a finished "
            "run is not trained again), or all others with it"
        )
    seeds = sorted(seed for part in parts for seed in part["seeds"])
    if len(set(seeds)) < len(seeds):
        raise ResultsError(f"a seed is in two of them: {seeds}")

    def by_seed(of: Any) -> dict[str, Any]:
        found = {seed: each for part in parts for seed, each in of(part).items()}
        return {str(seed): found[str(seed)] for seed in seeds} if found else {}

    figures = by_seed(lambda part: part["figures_by_seed"])
    first = parts[0]
    return {
        **{name: first[name] for name in SAME},
        **({} if pretrained is None else {"pretrained_sha256": pretrained}),
        "seeds": seeds,
        "parts": [{name: part[name] for name in (*OWN, *LATER) if name in part} for part in parts],
        "figures_by_seed": figures,
        "across_seeds": across_seeds(list(figures.values())),
        "curves": {"columns": first["curves"]["columns"], "by_seed": by_seed(lambda part: part["curves"]["by_seed"])},
        "snapshots": {**first["snapshots"], "by_seed": by_seed(lambda part: part["snapshots"]["by_seed"])},
        "weights": by_seed(lambda part: part["weights"]),
        "averaged": {
            **first["averaged"],
            "by_seed": (averaged := by_seed(lambda part: part["averaged"]["by_seed"])),
            "across_seeds": across_seeds(list(averaged.values())) if averaged else {},
        },
    }


def _compared(name: str, part: dict[str, Any]) -> Any:
    """What must be the same: of data, not the file that they were read from, since their hash is there."""
    if name != "data":
        return part[name]
    return [{key: value for key, value in split.items() if key != "source"} for split in part[name]]


def _differing(one: Any, other: Any) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
        return ", ".join(f"{name} {shown(one.get(name))} and {shown(other.get(name))}" for name in names) or "nothing"
    return f"{shown(one)} and {shown(other)}"


def _figures(part: dict[str, Any]) -> Any:
    return next(iter(part["figures_by_seed"].values()))["figures"].keys()


def _problem(part: Any) -> str:
    """What stands against taking a part for a result of reproduce, "" if nothing does."""
    missing = [name for name in (*SAME, *OWN, *BY_SEED) if name not in part]
    if missing:
        return f"it lacks {', '.join(missing)}"
    if problem := _misshapen(part, _PART, "it"):
        return problem
    seeds, figures = [str(seed) for seed in part["seeds"]], _figures(part) if part["figures_by_seed"] else {}
    if not seeds or len(set(seeds)) < len(seeds):
        return f"its seeds are {shown(part['seeds'])}; there must be one, and none twice"
    averaged = part["averaged"]["by_seed"]
    kept = [part["figures_by_seed"], part["weights"], *(part[name]["by_seed"] for name in ("curves", "snapshots"))]
    for by_seed in [*kept, *([averaged] if averaged else [])]:
        if by_seed.keys() != {*seeds}:
            return f"its seeds are {shown(part['seeds'])}, and it has something of {shown(sorted(by_seed))}"
    for each in [*part["figures_by_seed"].values(), *averaged.values()]:
        sigmas = each["details"].get("sigmas", [])
        if each["figures"].keys() != figures or not figures:
            return f"its seeds have different figures, or none: {shown(sorted(each['figures']))}"
        if _misshapen(sigmas, [_NUMBER], "") or (sigmas and "sigma" not in figures):
            return f"its sigmas are {shown(sigmas)}; they must be numbers, with a figure of the chosen one"
    if _misshapen(part.get("pretrained_sha256"), (str, type(None)), "") or not isinstance(
        part.get("trained_by", []), list
    ):
        return "its pretrained_sha256 is no string, or its trained_by no list"
    return ""


def _misshapen(value: Any, shape: Any, where: str) -> str:
    """Where a value is not as a shape asks, and what is there; "" if it is."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{where} is {shown(value)}; it must be an object"
        for name in shape.keys() - {...} - value.keys():
            return f"{where} has no {name}"
        inner = [(f"{where}.{name}", each, shape.get(name, shape.get(..., _ANY))) for name, each in value.items()]
    elif isinstance(shape, list):
        if not isinstance(value, list):
            return f"{where} is {shown(value)}; it must be a list"
        inner = [(f"{where}.{i}", each, shape[0]) for i, each in enumerate(value)]
    elif isinstance(shape, re.Pattern):
        fits = isinstance(value, str) and shape.fullmatch(value)
        return "" if fits else f"{where} is {shown(value)}; it must be like {shape.pattern}"
    else:
        kinds = shape if isinstance(shape, tuple) else (shape,)
        # The squares of larger numbers are beyond every float.
        if type(value) not in kinds or (type(value) in _NUMBER and not abs(value) < 1e150):
            return f"{where} is {shown(value)}; it must be {' or '.join(kind.__name__ for kind in kinds)}"
        return ""
    return next((problem for name, each, asked in inner if (problem := _misshapen(each, asked, name))), "")
