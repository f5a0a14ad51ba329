"""Whether each committed result is what it says.

A result of a named run must have that run's settings, one of a study the study's defaults; both must come from
committed code, and the weights beside them, and the files they read, must be the ones that were measured.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import result_runs
from committed_results import FOLDERS, RESULTS, files, near, read
from result_origins import differing, lacks, making, origin

from ganlib import runs, studies

LARGEST, TOGETHER = 8_000_000, 40_000_000  # bytes: of one file, and of book/results
WEIGHTS = (".safetensors", ".npz")
# A folder that only one machine has: from the root, a home, or a drive.
FOLDER = re.compile(r"(?:^|[\s='\"(:,])(?:/[\w.-]+/[\w.-]|~\w*/|[A-Za-z]:[\\/]|\\\\\w)|file:/")
OF_ITS_LENGTH = ("source", "iterations", "every")  # a benchmark times an iteration, however many a run has
KINDS = ("run", "study", "benchmark")
MISSHAPEN = (AttributeError, IndexError, KeyError, TypeError, ValueError)


def problems(root: Path) -> list[str]:
    """What is wrong with the committed results below ``root``: a sentence each, naming file, reason and remedy."""
    found: list[str] = []
    named: set[Path] = set()
    contents: dict[str, dict[str, Any]] = {}
    for path in files(root):
        where = path.relative_to(root).as_posix()
        try:
            content = read(path)
        except ValueError as error:
            found.append(f"{where}: not JSON as results are written ({error}); make it again")
            continue
        if not isinstance(content, dict):
            found.append(f"{where}: a result is an object with its provenance; write it with python -m ganlib")
            continue
        contents[where] = content
        for check in (_folders, _kind, _made_from, _files, _generators):
            try:
                for problem in check(root, path, content):
                    found.append(f"{where}: {problem}")
            except MISSHAPEN as error:
                says = f"it is not as python -m ganlib writes it ({type(error).__name__}: {error}); make it again"
                found.append(f"{where}: {says}")
        with suppress(*MISSHAPEN):  # said above
            named |= {each for each, *_ in _files_named(path, content)}
    found += _one_hash(contents)
    for folder in FOLDERS:
        there = [
            path for path in root.joinpath(folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts
        ]
        for path in sorted(there):
            where, size = path.relative_to(root).as_posix(), path.stat().st_size
            if size > LARGEST:
                found.append(f"{where}: {size:,} bytes, and no file may have more than {LARGEST:,}; make it smaller")
            if folder == RESULTS and path.suffix in WEIGHTS and path not in named:
                found.append(f"{where}: no result beside it names it; remove it, or commit the result it belongs to")
        total = sum(path.stat().st_size for path in there)
        if folder == RESULTS and total > TOGETHER:
            found.append(f"{folder}: {total:,} bytes together, more than {TOGETHER:,}; commit fewer or smaller files")
    return found


def _folders(root: Path, path: Path, content: dict[str, Any]) -> Iterator[str]:
    for text in _strings(content):
        if FOLDER.search(text):
            yield f"{text!r} names a folder of one machine; make it again, with relative paths"


def _kind(root: Path, path: Path, content: dict[str, Any]) -> Iterator[str]:
    kinds = [kind for kind in KINDS if isinstance(content.get(kind), str)]  # a benchmark's run has settings here
    if len(kinds) > 1:
        yield f"it says that it is a {' and a '.join(kinds)}; write it with python -m ganlib"
    elif not kinds:
        yield "it names no run, no study and no benchmark; write it with python -m ganlib"
    elif kinds == ["benchmark"]:
        yield from _benchmark(content)
    elif kinds == ["study"]:
        yield from _study(root, path, content)
    else:
        yield from result_runs.run(content)
    if "across_seeds" in content and (kinds != ["run"] or "figures_by_seed" not in content):
        yield "it has across_seeds, and no figures_by_seed of a run to compute it from; make it again"


def _made_from(root: Path, path: Path, content: dict[str, Any]) -> Iterator[str]:
    """What was computed from a generator was computed from a committed one, the one it says."""
    if "checkpoint_sha256" not in content:
        return
    weights = sorted(root.joinpath(RESULTS).glob("*.safetensors"))
    file = {hashlib.sha256(each.read_bytes()).hexdigest(): each for each in weights}.get(content["checkpoint_sha256"])
    if file is None:
        made = content.get("command", "")
        yield f"it was made from a checkpoint that is none of {RESULTS}; make it again from one that is: {made}"
    else:
        seeds = ", ".join(map(str, content["seeds"]))
        yield from result_runs.generator(file, content, path.name, seeds, content["iteration"])


def _study(root: Path, path: Path, content: dict[str, Any]) -> Iterator[str]:
    name, made = str(content["study"]), str(content.get("command", ""))
    remedy = f"run {made if made.startswith('python -m ganlib study') else f'python -m ganlib study {name}'}"
    yield from lacks(content, ("settings", "data", "changed", "inputs", "figures"), remedy)
    yield from making(content, remedy)
    if name not in studies.STUDIES:
        yield f"no study is called {name!r}; {near(name, studies.STUDIES)}"
        return
    wanted = json.loads(json.dumps(asdict(studies.settings(name))))  # what JSON makes of a tuple is a list
    yield from differing(content.get("settings", {}), wanted, f"the study {name}", remedy)
    for setting in content.get("changed") or {}:
        yield f"changed names the setting {setting}: it is not the study {name} as named; {remedy}"
    yield from _inputs(root, path, content, remedy)


def _inputs(root: Path, path: Path, content: dict[str, Any], remedy: str) -> Iterator[str]:
    """What a study read is committed, and all that its settings name was read."""
    inputs = content.get("inputs") or {}
    for name, sha256 in inputs.items():
        places = (path.with_name(name), *(root / folder / name for folder in FOLDERS))
        there = [each for each in places if each.is_file()]
        if not there:
            yield f"it read {name}, which is in none of {', '.join(FOLDERS)}; commit the file, or {remedy}"
        elif sha256 not in {hashlib.sha256(each.read_bytes()).hexdigest() for each in there}:
            yield f"{name} is another file than the one it names: its SHA-256 is not {sha256}; {remedy}"
    settings = content.get("settings", {}).values()
    for part in (part for value in settings if isinstance(value, str) for part in value.split(",")):
        name = f"{part.removesuffix('.safetensors')}.safetensors"
        if part and name not in inputs and path.with_name(name).is_file():
            yield f"its settings name {name}, which is not among its inputs; {remedy}"


def _benchmark(content: dict[str, Any]) -> Iterator[str]:
    remedy = f"run python -m benchmarks.{content['benchmark']}"
    yield from lacks(content, ("provenance", "ratios", "wall_seconds"), remedy)
    yield from origin(content.get("provenance"), remedy)
    for part in _objects(content):
        if not {"name", "source", "preprocessing", "iterations"} <= part.keys():
            continue
        if part["name"] not in runs.RUNS:
            yield f"no run is called {part['name']!r}; {near(part['name'], runs.RUNS)}"
            continue
        wanted = runs.as_dict(runs.RUNS[part["name"]])
        this, named = ({k: v for k, v in each.items() if k not in OF_ITS_LENGTH} for each in (part, wanted))
        yield from differing(this, named, f"the run {part['name']}", remedy)


def _one_hash(contents: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Over all results, what is called by one name is one thing: a split of a data set, and a setting's data set."""
    first: dict[Any, tuple[Any, str]] = {}
    for where, content in contents.items():
        data = content.get("data")
        described = [each for each in data if isinstance(each, dict)] if isinstance(data, list) else []
        settings = content.get("settings")
        asked = settings.get("data") if isinstance(settings, dict) else None
        for each in described:
            name, split, examples = (each.get(key) for key in ("name", "split", "examples"))
            told = [(f"the sha256 of {name}, {split}, {examples} examples", each.get("sha256"))]
            told += [(f"the name of the data {asked}", name)] if isinstance(asked, str) else []
            for what, said in told:
                there, other = first.setdefault(what, (said, where))
                if said != there:
                    yield f"{where}: {what} is {said!r}, and in {other} {there!r}; make the wrong one again"


def _files(root: Path, path: Path, content: dict[str, Any]) -> Iterator[str]:
    """The files a result names are there, and are the ones that were measured."""
    for file, sha256, size in _files_named(path, content):
        if not file.is_file():
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


def _generators(root: Path, path: Path, content: dict[str, Any]) -> Iterator[str]:
    if "run" in content:
        yield from result_runs.generators(path, content)


def _files_named(path: Path, content: dict[str, Any]) -> Iterator[tuple[Path, str, int | None]]:
    """The files a result names, which must be beside it: path, SHA-256, and bytes if it says how many."""
    for part in _objects(content):
        if isinstance(part.get("file"), str) and "sha256" in part:
            yield path.with_name(part["file"]), part["sha256"], part.get("bytes", part.get("size"))
    named = content.get("files", {})
    for name, said in named.items() if isinstance(named, dict) else ():
        if isinstance(said, str):
            yield path.with_name(name), said, None
        elif isinstance(said, dict) and "sha256" in said and "file" not in said:
            yield path.with_name(name), said["sha256"], said.get("bytes", said.get("size"))


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
