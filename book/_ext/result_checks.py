"""Whether each committed result is what it says.

A result of a named run must have that run's settings, one of a study the study's defaults; both must come from
committed code, and the weights beside them must be the ones that were measured.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from committed_results import FOLDERS, RESULTS, files, near, read

from ganlib import checkpoint, evaluation, provenance, runs, studies
from ganlib.trained import open_trained

LARGEST, TOGETHER = 8_000_000, 40_000_000  # bytes: of one file, and of book/results
WEIGHTS = (".safetensors", ".npz")
COMMIT = re.compile(r"[0-9a-f]{40}")
# A folder that only one machine has: from the root, a home, or a drive.
FOLDER = re.compile(r"(?:^|[\s='\"(:,])(?:/[\w.-]+/[\w.-]|~\w*/|[A-Za-z]:[\\/]|\\\\\w)|file:/")
OF_ITS_LENGTH = ("source", "iterations", "every")  # a benchmark times an iteration, however many a run has
OF_A_MAKING = ("environment", "started", "wall_seconds", "command")
OF_A_RUN = ("settings", "data")


def problems(root: Path) -> list[str]:
    """What is wrong with the committed results below ``root``: a sentence each, naming file, reason and remedy."""
    found: list[str] = []
    named: dict[Path, set[str]] = {root / folder: set() for folder in FOLDERS}
    for path in files(root):
        where = path.relative_to(root).as_posix()
        try:
            content = read(path)
        except ValueError as error:
            found.append(f"{where}: not JSON as results are written ({error}); make it again")
            continue
        if isinstance(content, dict):
            if path.parent != root / RESULTS and "checkpoint_sha256" in content:
                found += [f"{where}: {problem}" for problem in _made_from(root, content)]
            named[path.parent] |= {each.name for each, *_ in _files_named(path, content)}
        found += [f"{where}: {problem}" for problem in _problems(path, content)]
    for folder in FOLDERS:
        there = [
            path for path in root.joinpath(folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts
        ]
        for path in sorted(there):
            where, size = path.relative_to(root).as_posix(), path.stat().st_size
            if size > LARGEST:
                found.append(f"{where}: {size:,} bytes, and no file may have more than {LARGEST:,}; make it smaller")
            if folder == RESULTS and path.suffix in WEIGHTS and path.name not in named[path.parent]:
                found.append(f"{where}: no result beside it names it; remove it, or commit the result it belongs to")
        total = sum(path.stat().st_size for path in there)
        if folder == RESULTS and total > TOGETHER:
            found.append(f"{folder}: {total:,} bytes together, more than {TOGETHER:,}; commit fewer or smaller files")
    return found


def _made_from(root: Path, content: Mapping[str, Any]) -> Iterator[str]:
    """What was computed from a generator was computed from a committed one."""
    weights = root.joinpath(RESULTS).glob("*.safetensors")
    if content["checkpoint_sha256"] not in {hashlib.sha256(path.read_bytes()).hexdigest() for path in weights}:
        yield (
            f"it was made from a checkpoint that is none of {RESULTS}; make it again from one that is: "
            f"{content.get('command', '')}"
        )


def _problems(path: Path, content: Any) -> Iterator[str]:
    if not isinstance(content, dict):
        yield "a result is an object with its provenance; write it with python -m ganlib"
        return
    if path.parent.name == "assets" and not content.keys() & {"run", "study"}:
        return  # data of another kind
    for text in _strings(content):
        if FOLDER.search(text):
            yield f"{text!r} names a folder of one machine; make it again, with relative paths"
    if "benchmark" in content:
        yield from _benchmark(content)
    elif "study" in content:
        yield from _study(content)
    elif "run" in content:
        yield from _run(content)
    else:
        yield "it names no run, no study and no benchmark; write it with python -m ganlib"
    yield from _weights(path, content)


def _run(content: dict[str, Any]) -> Iterator[str]:
    name, made = content["run"], str(content.get("command", ""))
    remedy = f"run {made}" if made and "figures_by_seed" not in content else f"run python -m ganlib reproduce {name}"
    yield from _lacks(content, (*OF_A_RUN, "changed", "seeds"), remedy)
    yield from _making(content, remedy)
    if name not in runs.RUNS:
        yield f"no run is called {name!r}; {near(name, runs.RUNS)}"
        return
    wanted, settings = runs.as_dict(runs.RUNS[name]), dict(content.get("settings", {}))
    changed = dict(content.get("changed", {}))
    if content.get("pretrained_sha256"):  # stage 2 starts from a file of one's own, named by its hash
        wanted["pretrained"] = settings.get("pretrained", "")
        changed.pop("pretrained", None)
    yield from _differing(settings, wanted, f"the run {name}", remedy)
    for setting in changed:
        yield f"changed names the setting {setting}: it is not the run {name}; {remedy}"
    if "figures_by_seed" in content:
        yield from _summary(content, remedy)


def _study(content: dict[str, Any]) -> Iterator[str]:
    name, made = str(content["study"]), str(content.get("command", ""))
    remedy = f"run {made if made.startswith('python -m ganlib study') else f'python -m ganlib study {name}'}"
    yield from _lacks(content, OF_A_RUN, remedy)
    yield from _making(content, remedy)
    if name not in studies.STUDIES:
        yield f"no study is called {name!r}; {near(name, studies.STUDIES)}"
        return
    wanted = json.loads(json.dumps(asdict(studies.settings(name))))  # what JSON makes of a tuple is a list
    yield from _differing(content.get("settings", {}), wanted, f"the study {name}", remedy)
    for setting in content.get("changed", {}):
        yield f"changed names the setting {setting}: it is not the study {name} as named; {remedy}"


def _benchmark(content: dict[str, Any]) -> Iterator[str]:
    remedy = f"run python -m benchmarks.{content['benchmark']}"
    yield from _lacks(content, ("provenance", "ratios", "wall_seconds"), remedy)
    yield from _origin(content.get("provenance"), remedy)
    for part in _objects(content):
        if {"name", "source", "preprocessing", "iterations"} <= part.keys() and part["name"] in runs.RUNS:
            wanted = runs.as_dict(runs.RUNS[part["name"]])
            this, named = ({k: v for k, v in each.items() if k not in OF_ITS_LENGTH} for each in (part, wanted))
            yield from _differing(this, named, f"the run {part['name']}", remedy)


def _making(content: Mapping[str, Any], remedy: str) -> Iterator[str]:
    """How it was made; seeds put together by `combine` were made one by one."""
    parts = content.get("parts", [content])
    for part in parts:
        yield from _lacks(part, OF_A_MAKING, remedy)
        yield from _origin(part.get("environment"), remedy)
    made = sorted(seed for part in parts for seed in part.get("seeds", []))
    if "parts" in content and made != sorted(content.get("seeds", [])):
        yield f"its parts are of seeds {made}, and it says {content.get('seeds')}; {remedy}"


def _lacks(content: Mapping[str, Any], names: Iterable[str], remedy: str) -> Iterator[str]:
    for name in names:
        if content.get(name) in (None, "") or (name == "seeds" and not content[name]):
            yield f"it lacks {name}; {remedy}"


def _differing(settings: Mapping[str, Any], wanted: Mapping[str, Any], whose: str, remedy: str) -> Iterator[str]:
    for name in sorted({*settings, *wanted}):
        here, there = settings.get(name, "nothing"), wanted.get(name, "nothing")
        if here != there or type(here) is not type(there):
            yield f"its setting {name} is {here!r}, and {whose} has {there!r}; {remedy}"


def _origin(environment: Any, remedy: str) -> Iterator[str]:
    """Software and hardware are named, and the code was committed."""
    if not isinstance(environment, dict):
        return
    missing = sorted(name for name in provenance.environment() if environment.get(name) in (None, ""))
    if missing:
        yield f"its provenance lacks {', '.join(missing)}; {remedy} in a git checkout"
    if environment.get("dirty"):
        yield f"dirty is {environment['dirty']!r}: the code was not as committed; commit it, and {remedy}"
    if environment.get("commit") and not COMMIT.fullmatch(str(environment["commit"])):
        yield f"its commit is {environment['commit']!r}, which is no commit; {remedy}"


def _summary(content: dict[str, Any], remedy: str) -> Iterator[str]:
    """The figures are of the seeds named, and what is said across seeds follows from them."""
    averaged = content.get("averaged", {})
    for by_seed, summary in (
        (content["figures_by_seed"], content.get("across_seeds", {})),
        (averaged.get("by_seed"), averaged.get("across_seeds", {})),
    ):
        if not by_seed:
            continue
        if sorted(by_seed) != sorted(map(str, content.get("seeds", []))):
            yield f"its seeds are {content.get('seeds')}, and it has figures of {', '.join(by_seed)}; {remedy}"
        for figure, across in evaluation.across_seeds(list(by_seed.values())).items():
            said = summary.get(figure, {})
            for name in ("n", "mean", "standard_deviation"):
                if not _close(said.get(name), across[name]):
                    given = f"its seeds give {across[name]!r}"
                    yield f"across_seeds has {figure}.{name} {said.get(name)!r}, {given}; {remedy}"


def _close(one: Any, other: Any) -> bool:
    if None in (one, other):
        return one is other
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)


def _weights(path: Path, content: dict[str, Any]) -> Iterator[str]:
    """The files named are there, are the ones that were measured, and hold what the result says."""
    for file, sha256, size, needed in _files_named(path, content):
        if not file.is_file():
            if needed:
                yield f"it names {file.name}, which is not beside it; commit the file, or make the result again"
            continue
        if file.stat().st_size > LARGEST:
            continue  # reported by itself
        found = file.read_bytes()
        if hashlib.sha256(found).hexdigest() != sha256:
            yield f"{file.name} is another file than the one it names: its SHA-256 is not {sha256}; make it again"
        elif size is not None and len(found) != size:
            yield f"{file.name} has {len(found):,} bytes, not {size:,} as it says; make it again"
        elif file.suffix == ".safetensors":
            header = found[8 : 8 + int.from_bytes(found[:8], "little")].decode(errors="replace")
            if FOLDER.search(header.replace('\\"', '"')):
                yield f"the header of {file.name} names a folder of one machine; write it again"
    if "run" not in content:
        return
    chosen = content.get("snapshots", {}).get("by_seed", {})
    for seed, weights in content.get("weights", {}).items():
        yield from _generator(path, content, str(seed), weights, chosen.get(seed, {}).get("iteration"))
    for seed, averaged in content.get("averaged", {}).get("by_seed", {}).items():
        yield from _generator(path, content, str(seed), averaged["weights"], None)


def _generator(
    path: Path, content: dict[str, Any], seed: str, weights: Mapping[str, Any], chosen: int | None
) -> Iterator[str]:
    """A generator's file says itself what it is: run, settings, seed, iteration."""
    file = path.with_name(str(weights["file"]))
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
    yield from _differing(settings, said, f"{path.name}, which names {file.name},", "make it again")
    if list(map(str, trained.seeds)) != [seed]:
        yield f"{file.name} is of seed {trained.seeds}, not {seed}; make it again"
    wanted = content["settings"]["iterations"] if chosen is None else chosen
    if trained.iteration != wanted:
        yield f"{file.name} is of iteration {trained.iteration}, not {wanted} as it says; make it again"


def _files_named(path: Path, content: dict[str, Any]) -> Iterator[tuple[Path, str, int | None, bool]]:
    """The files a result names: path, SHA-256, bytes if it says how many, and whether the file must be there."""
    for part in _objects(content):
        if isinstance(part.get("file"), str) and "sha256" in part:
            yield path.with_name(part["file"]), part["sha256"], part.get("bytes", part.get("size")), True
    for group, needed in (("files", True), ("inputs", False)):
        named = content.get(group, {})
        for name, said in named.items() if isinstance(named, dict) else ():
            if isinstance(said, str):
                yield path.with_name(name), said, None, needed
            elif isinstance(said, dict) and "sha256" in said and "file" not in said:
                yield path.with_name(name), said["sha256"], said.get("bytes", said.get("size")), needed


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(part)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _strings(name)
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)
