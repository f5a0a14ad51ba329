"""Whether committed results are what they say: `problems` lists what is not, and the tests hold it empty.

A result of a named run must have that run's settings, one of a study the study's defaults. Both must come from
committed code and say what follows from their figures; the generators beside them must be those that were chosen. A
generator may be left out where no page shows it: its result names its hash, and its command makes it again.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from ganlib.lab import measure, results, runs, snapshots, studies
from ganlib.lab.generators import open_trained
from ganlib.lab.runs import Run

RESULTS = "book/results"
LARGEST, TOGETHER = 8_000_000, 40_000_000  # bytes: of one file, and of book/results
SHA256 = re.compile(r"[0-9a-f]{64}")
COMMIT = re.compile(r"(?!0{40})[0-9a-f]{40}")
SOMETHING = re.compile(r"(?!None$|\[\]$|\{\}$).+", re.DOTALL)
# A folder that only one machine has: from the root, a home, or a drive.
FOLDER = re.compile(r"(?:^|[\s='\"(:,])(?:/[\w.-]+/[\w.-]|~\w*/|[A-Za-z]:[\\/]|\\\\\w)|file:/")
OF_ITS_LENGTH = ("source", "iterations", "every")  # a benchmark times an iteration, however many a run has
ELSEWHERE = ("iterations", "pretrained")  # a generator may be a snapshot of a longer run, and its start elsewhere
Claim = tuple[str, Any, Any]  # of what, what the result says, and what it must be: a value, or a pattern
Check = Callable[[Path, Path, dict[str, Any]], Iterator[Claim]]


def folders(root: Path) -> list[Path]:
    """Where results are committed below ``root``."""
    return [root / RESULTS, root / "benchmarks/results", *sorted(root.glob("ganlib/**/assets"))]


def files(root: Path) -> list[Path]:
    """Every committed result below ``root``."""
    return [path for folder in folders(root) for path in sorted(folder.glob("*.json"))]


def problems(root: Path) -> list[str]:
    """What is wrong with the committed results below ``root``: a sentence each, with file, place and remedy."""
    found: dict[str, None] = {}
    named: set[Path] = set()
    checks: tuple[Check, ...] = (_kind, _origin, partial(_data, {}), _files, _generators)
    for path, check in product(files(root), checks):
        where = path.relative_to(root).as_posix()
        try:
            content = results.read_results(path)
            remedy = content.get("command") or f"python -m benchmarks.{content.get('benchmark')}"
            for what, said, wanted in check(root, path, content):
                found |= {f"{where}: {each}; make it again: {remedy}": None for each in _differing(what, said, wanted)}
            named |= {path.with_name(name) for name, _ in _named(content)}
        except (AttributeError, IndexError, KeyError, OSError, TypeError, ValueError) as error:
            found[f"{where}: it is not as python -m ganlib writes it ({type(error).__name__}: {error})"] = None
    return [*found, *_sizes(root, named)]


def _sizes(root: Path, named: set[Path]) -> Iterator[str]:
    """What lies in the folders is small, and belongs to a result."""
    for folder in folders(root):
        sizes = {path: path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}
        for path, size in sizes.items():
            if size > LARGEST:
                yield f"{path.relative_to(root)}: {size:,} bytes; no file may have more than {LARGEST:,}"
            if folder == root / RESULTS and path.suffix in (".safetensors", ".npz") and path not in named:
                yield f"{path.relative_to(root)}: no result beside it names it; remove it"
        if folder == root / RESULTS and sum(sizes.values()) > TOGETHER:
            yield f"{RESULTS}: {sum(sizes.values()):,} bytes together, more than {TOGETHER:,}"


def _differing(what: str, said: Any, wanted: Any) -> Iterator[str]:
    """Where what is said differs from what it must be, in kind or by more than rounding."""
    if isinstance(said, dict) and isinstance(wanted, dict):
        for name in sorted({*said, *wanted}):
            yield from _differing(f"{what}.{name}", said.get(name, "not there"), wanted.get(name, "not there"))
    elif isinstance(said, list) and isinstance(wanted, list) and len(said) == len(wanted):
        for place, (one, other) in enumerate(zip(said, wanted, strict=True)):
            yield from _differing(f"{what}.{place}", one, other)
    elif isinstance(wanted, re.Pattern):
        if not wanted.fullmatch(str(said)):
            yield f"{what} is {said!r:.200}, which cannot be"
    elif type(said) is not type(wanted) or not (
        math.isclose(said, wanted, rel_tol=1e-9, abs_tol=1e-12) if isinstance(said, float) else said == wanted
    ):
        yield f"{what} is {said!r:.200}, and must be {wanted!r:.200}"


def _kind(root: Path, path: Path, content: dict[str, Any]) -> Iterator[Claim]:
    """It is of a named run, a named study or a benchmark, with its settings."""
    kinds = [isinstance(content.get(kind), str) for kind in ("run", "study", "benchmark")]
    yield "of how many runs, studies and benchmarks it is", sum(kinds), 1
    if "benchmark" in content:
        yield "ratios", content["ratios"], SOMETHING
        for part in _objects(content):
            if {"name", "source", "preprocessing", "iterations"} <= part.keys():
                named = runs.as_dict(runs.get(part["name"]))
                yield "settings", _without(part, OF_ITS_LENGTH), _without(named, OF_ITS_LENGTH)
    elif "study" in content:
        wanted = json.loads(json.dumps(asdict(studies.settings(content["study"]))))  # JSON makes a list of a tuple
        yield "settings", content["settings"], wanted
        yield "changed", content["changed"], {}
        yield "figures", content["figures"], SOMETHING
        yield "across_seeds", content.get("across_seeds"), None  # of which seeds?
        yield from _inputs(root, path, content)
    else:
        yield from _run(content, runs.get(content["run"]))


def _run(content: dict[str, Any], run: Run) -> Iterator[Claim]:
    wanted, changed = runs.as_dict(run), dict(content["changed"])
    if content.get("pretrained_sha256"):  # stage 2 starts from a file of one's own, named by its hash
        wanted["pretrained"] = content["settings"]["pretrained"]
        changed.pop("pretrained", None)
    yield "settings", content["settings"], wanted
    yield "changed", changed, {}
    yield "samples", content["samples"], measure.SAMPLES
    splits = sorted(str(each["split"]) for each in content["data"])
    yield "its splits of data", splits, ["test", "train", "valid"] if run.channels else ["None"]
    seeds = sorted(map(str, content["seeds"]))
    yield "seeds", seeds, SOMETHING
    if "sets" in content:  # of `sweep`: of one generator, and of images put in its place
        yield "kernels of its first set", content["sets"][0]["kernels"], content["samples"]
        return
    yield "precision", content["precision"], "fp32"
    averaged = content.get("averaged", {"by_seed": {}, "across_seeds": {}})
    measured = [("", content["figures_by_seed"], content["across_seeds"])]
    if averaged["by_seed"] or averaged["across_seeds"]:
        yield "whether averages are made", snapshots.can_average(run), True
        measured.append(("averaged ", averaged["by_seed"], averaged["across_seeds"]))
    yield "seeds with weights", sorted(content["weights"]), seeds
    for whose, by_seed, across in measured:
        yield f"{whose}seeds with figures", sorted(by_seed), seeds
        yield f"{whose}across_seeds", across, measure.across_seeds(list(by_seed.values()))
        for seed, each in by_seed.items():
            drawn = [each["samples"], each["sampling_seed"]]
            yield f"{whose}samples and sampling_seed of seed {seed}", drawn, [measure.SAMPLES, 0]
    if "snapshots" in content:
        yield from _choices(content, run, seeds)
    for seed, each in averaged["by_seed"].items():
        counts = [count for count in snapshots.AVERAGED if count <= len(snapshots.wanted(run))]
        yield f"averages tried of seed {seed}", [row[0] for row in each["curve"]], counts
        yield _chosen(f"averaged seed {seed}", each, each["curve"])


def _choices(content: dict[str, Any], run: Run, seeds: list[str]) -> Iterator[Claim]:
    """Each seed's generator is the best on the validation images, of all that the run was to leave."""
    yield "snapshots.every", content["snapshots"]["every"], snapshots.spacing(run)
    yield "seeds with snapshots", sorted(content["snapshots"]["by_seed"]), seeds
    for seed, choice in content["snapshots"]["by_seed"].items():
        tried = [row[0] for row in choice["curve"]]
        yield f"snapshots tried of seed {seed}", tried, list(snapshots.wanted(run)) if run.channels else []
        yield f"iteration of seed {seed}", choice["iteration"], _best(choice["curve"])[0] if tried else run.iterations
        if tried:
            yield _chosen(f"seed {seed}", content["figures_by_seed"][seed], choice["curve"])


def _best(curve: list[Any]) -> Any:
    return max(curve, key=lambda row: row[2])  # the first of equals


def _chosen(whose: str, measured: Mapping[str, Any], curve: list[Any]) -> Claim:
    """The generator that was measured has the validation score it was chosen for."""
    there = [measured["figures"]["sigma"]["value"], max(measured["details"]["validation_log_likelihoods"])]
    return f"sigma and validation score of {whose}", there, _best(curve)[1:]


def _origin(root: Path, path: Path, content: dict[str, Any]) -> Iterator[Claim]:
    """Software and hardware are named, the code was committed; seeds put together by `combine` were made one by one."""
    parts = content.get("parts", [content])
    for part in parts:
        environment = part["provenance" if "benchmark" in content else "environment"]
        lacks = sorted(name for name in results.environment() if environment.get(name) in (None, ""))
        yield "what its environment lacks", lacks, []
        for name in ("wall_seconds",) if "benchmark" in content else ("wall_seconds", "started", "command"):
            yield name, part[name], SOMETHING
        spans = part.get("trained_by", [])  # results older than that do not say
        if "trained_by" in part:  # each span goes on where the one before ended
            starts = [*(span["from"] for span in spans), content["settings"]["iterations"]]
            yield "iterations in trained_by", starts, [0, *(span["to"] for span in spans)]
        for code in (environment, *spans):
            yield "dirty", code["dirty"], False
            yield "commit", code["commit"], COMMIT
    if "parts" in content:
        yield "seeds of its parts", sorted(seed for part in parts for seed in part["seeds"]), content["seeds"]


def _data(first: dict[str, Any], root: Path, path: Path, content: dict[str, Any]) -> Iterator[Claim]:
    """Over all results, what is called by one name is one thing: a split of a data set, and a setting's data set."""
    for each in content["data"] if "benchmark" not in content else []:
        what = f"the SHA-256 of {each['name']}, {each['split']}, {each['examples']} examples"
        yield what, each["sha256"], first.setdefault(what, each["sha256"])
        if isinstance(asked := content["settings"].get("data"), str):
            yield (what := f"the name of the data {asked}"), each["name"], first.setdefault(what, each["name"])


def _inputs(root: Path, path: Path, content: dict[str, Any]) -> Iterator[Claim]:
    """What a study read is committed, and all that its settings name was read."""
    left_out = _left_out(path.parent)
    for name, sha256 in content["inputs"].items():
        there = [hashed(each / name) for each in (path.parent, *folders(root)) if (each / name).is_file()]
        there += [said["sha256"] for said in left_out.get(name, [])]
        yield f"{name}, which it read", sha256, sha256 if sha256 in there else " or ".join(there) or "committed"
    for value in content["settings"].values():
        for part in value.split(",") if isinstance(value, str) else ():
            name = f"{part.removesuffix('.safetensors')}.safetensors"
            if path.with_name(name).is_file():
                yield f"{name}, which its settings name, among its inputs", name in content["inputs"], True


def _files(root: Path, path: Path, content: dict[str, Any]) -> Iterator[Claim]:
    """The files that a result names are beside it, are the ones that were measured, and name no folder; nor does it."""
    texts = [*_strings(content)]
    for name, said in _named(content):
        if _is_left_out(path.with_name(name)):
            yield f"{name} sha256", said["sha256"], SHA256
            continue
        there = path.with_name(name).read_bytes()
        size = said.get("bytes", said.get("size", len(there)))
        yield f"{name} sha256 and bytes", [said["sha256"], size], [hashlib.sha256(there).hexdigest(), len(there)]
        if name.endswith(".safetensors"):
            header = there[8 : 8 + int.from_bytes(there[:8], "little")].decode(errors="replace")
            texts.append(header.replace('\\"', '"'))
    for text in texts:
        yield "the folder of one machine that it names", FOLDER.search(text) and text, None


def _named(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The files that must be beside a result, and what it says of each."""
    for part in _objects(content):
        if isinstance(part.get("file"), str) and "sha256" in part:
            yield part["file"], part
    for name, said in content.get("files", {}).items():
        said = said if isinstance(said, dict) else {"sha256": said}
        yield said.get("file", name), said


def _is_left_out(file: Path) -> bool:
    """Whether a file that a result names is a generator that is not in the tree; any other file must be there."""
    return file.suffix == ".safetensors" and not file.exists()


def _left_out(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The generators that the results of runs in a folder name and that are not in it, and what is said of each."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.json")):
        content = results.read_results(path)
        for name, said in _named(content) if "run" in content else ():
            if _is_left_out(folder / name):
                found.setdefault(name, []).append(said)
    return found


def _generators(root: Path, path: Path, content: dict[str, Any]) -> Iterator[Claim]:
    """A run's generators say themselves what they are, whatever the result says."""
    if not isinstance(content.get("run"), str):
        return
    chosen = content.get("snapshots", {}).get("by_seed", {})
    for seed, weights in content.get("weights", {}).items():
        at = chosen[seed]["iteration"] if chosen else content["settings"]["iterations"]
        yield from _generator(path.with_name(weights["file"]), content, [int(seed)], at)
    for seed, each in content.get("averaged", {}).get("by_seed", {}).items():
        file, count = path.with_name(each["weights"]["file"]), _best(each["curve"])[0]
        yield from _generator(file, content, [int(seed)], content["settings"]["iterations"], count)
    if "sets" in content:
        there = {hashed(each): each for each in root.joinpath(RESULTS).glob("*.safetensors")}
        yield from _generator(there[content["checkpoint_sha256"]], content, content["seeds"], content["iteration"])


def _generator(
    file: Path, content: dict[str, Any], seeds: list[int], iteration: int, averaged: int | None = None
) -> Iterator[Claim]:
    if _is_left_out(file):
        return
    trained = open_trained(file)[0]
    own = runs.as_dict(trained.run)
    yield f"{file.name} settings", _without(own, ELSEWHERE), _without(content["settings"], ELSEWHERE)
    count = trained.checkpoint.record.get("snapshots_averaged")
    yield f"{file.name} seeds", list(trained.seeds), seeds
    yield f"{file.name} iteration and snapshots averaged", [trained.iteration, count], [iteration, averaged]


def hashed(path: Path) -> str:
    """A file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _without(settings: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in names}


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(part)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = [*value, *value.values()]
    for part in value if isinstance(value, list) else ():
        yield from _strings(part)
    if isinstance(value, str):
        yield value
