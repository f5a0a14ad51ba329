"""What every committed result must say of its making: named settings, committed code, software and hardware."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ganlib import provenance

COMMIT = re.compile(r"(?!0{40})[0-9a-f]{40}")
OF_A_MAKING = ("environment", "started", "wall_seconds", "command")
NEVER_EMPTY = ("seeds", "figures", "figures_by_seed", "data")


def making(content: Mapping[str, Any], remedy: str) -> Iterator[str]:
    """How it was made; seeds put together by `combine` were made one by one."""
    parts = content.get("parts", [content])
    for part in parts:
        yield from lacks(part, OF_A_MAKING, remedy)
        yield from origin(part.get("environment"), remedy)
        if "trained_by" in part:  # results older than that do not say
            yield from training(part["trained_by"], content.get("settings"), remedy)
    made = sorted(seed for part in parts for seed in part.get("seeds", []))
    if "parts" in content and made != sorted(content.get("seeds", [])):
        yield f"its parts are of seeds {made}, and it says {content.get('seeds')}; {remedy}"


def lacks(content: Mapping[str, Any], names: Iterable[str], remedy: str) -> Iterator[str]:
    for name in names:
        if content.get(name) in (None, "") or (name in NEVER_EMPTY and not content[name]):
            yield f"it lacks {name}; {remedy}"


def differing(settings: Mapping[str, Any], wanted: Mapping[str, Any], whose: str, remedy: str) -> Iterator[str]:
    for name in sorted({*settings, *wanted}):
        here, there = settings.get(name, "nothing"), wanted.get(name, "nothing")
        if here != there or type(here) is not type(there):
            yield f"its setting {name} is {here!r}, and {whose} has {there!r}; {remedy}"


def origin(environment: Any, remedy: str) -> Iterator[str]:
    """Software and hardware are named, and the code was committed."""
    if not isinstance(environment, dict):
        if environment not in (None, ""):
            yield f"its provenance is {environment!r}, which names no software; {remedy}"
        return
    missing = sorted(name for name in provenance.environment() if environment.get(name) in (None, ""))
    if missing:
        yield f"its provenance lacks {', '.join(missing)}; {remedy} in a git checkout"
    if environment.get("dirty"):
        yield f"dirty is {environment['dirty']!r}: the code was not as committed; commit it, and {remedy}"
    if environment.get("commit") and not COMMIT.fullmatch(str(environment["commit"])):
        yield f"its commit is {environment['commit']!r}, which is no commit; {remedy}"


def training(trained_by: Any, settings: Any, remedy: str) -> Iterator[str]:
    """Every iteration was trained by committed code that is named."""
    spans = trained_by if isinstance(trained_by, list) and all(isinstance(each, dict) for each in trained_by) else []
    ends = [0, *(each.get("to") for each in spans)]
    if (
        [each.get("from") for each in spans] != ends[:-1]
        or not isinstance(settings, dict)
        or ends[-1] != settings.get("iterations")
    ):
        yield f"trained_by is {trained_by!r}, which does not account for every iteration; {remedy}"
    for each in spans:
        if each.get("dirty") is not False or not COMMIT.fullmatch(str(each.get("commit"))):
            code = f"commit {each.get('commit')!r}, dirty {each.get('dirty')!r}"
            span = f"{each.get('from')} to {each.get('to')}"
            yield f"iterations {span} were trained by {code}; {remedy}, with committed code from the first on"


def same(one: Any, other: Any) -> bool:
    """Whether two values of JSON are equal, numbers up to rounding."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if all(isinstance(each, int | float) and not isinstance(each, bool) for each in (one, other)):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return type(one) is type(other) and bool(one == other)
