"""One result from several of one run: its seeds trained one after another, or on several machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ganlib.evaluation import across_seeds
from ganlib.provenance import ResultsError

SAME = ("run", "settings", "changed", "data", "precision", "processes", "samples")
BY_SEED = ("figures_by_seed", "curves", "snapshots", "weights", "averaged")
OWN = ("seeds", "environment", "started", "wall_seconds", "command", "iterations_of_this_command")
LATER = ("trained_by",)  # older results do not say it


def combine(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One result from several of ``python -m ganlib reproduce``.

    Parameters
    ----------
    parts : the results, each with other seeds and everything else alike; the result has their seeds in order.

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
    for part in parts:
        missing = [name for name in (*SAME, *OWN, *BY_SEED) if name not in part]
        if missing:
            raise ResultsError(f"one of them is no result of reproduce: it lacks {', '.join(missing)}")
    for name in SAME:
        if any(_compared(name, part) != _compared(name, parts[0]) for part in parts):
            there = "; ".join(f"seeds {part['seeds']}: {_differing(parts[0][name], part[name])}" for part in parts[1:])
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
        return ", ".join(f"{name} {one.get(name)!r} and {other.get(name)!r}" for name in names) or "nothing"
    return f"{one!r} and {other!r}"
