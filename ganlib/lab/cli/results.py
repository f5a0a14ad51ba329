"""The commands that write results: of a named run, of several together, and of a study."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ganlib.data.files import write
from ganlib.errors import CheckpointError, FeaturesError
from ganlib.lab import combine as combining
from ganlib.lab import history, measure, results, runs, snapshots, studies
from ganlib.lab.cli.arguments import REFUSED, USAGE, Stop
from ganlib.lab.cli.errors import refusing
from ganlib.lab.cli.training import chosen, folder_of, overrides_of, pick, run_of, train_to_the_end
from ganlib.lab.generators import open_trained
from ganlib.lab.runs import Run
from ganlib.lab.speed import distributed, onednn, precision
from ganlib.limits import shown


def reproduce(args: argparse.Namespace) -> None:
    """Train, measure every seed, write the results."""
    run, folder, started = run_of(args), folder_of(args), datetime.now(UTC)
    path = args.results or folder / f"{run.name}.json"

    device = distributed.local_device(pick(args))
    with refusing(USAGE):
        policy = precision.choose(args.precision, device)
        if args.samples < 4:
            raise ValueError(f"samples is {args.samples}; a measurement needs at least 4")
    asked = runs.as_dict(run) | {"pretrained": results.without_folder(run.pretrained)}
    same = {
        "run": run.name,
        "settings": asked,
        "seeds": list(chosen(args)),
        "precision": policy,
        "samples": args.samples,
    }
    results.check_results(path, same)
    held_out = measure.held_out(run, device)  # before hours of training, not after
    kept = folder / "snapshots"
    _check_snapshots(folder, kept, run, chosen(args))
    runner, start = train_to_the_end(args, run, resume=True, snapshots=kept)
    training = runner.training
    if not training.processes.first:
        return
    runner.keep_snapshot()  # a finished run's end may have none yet
    how: dict[str, Any] = {"device": device, "samples": args.samples, "inputs": training.inputs}
    found, weights, chosen_at, averaged = {}, {}, {}, {}
    for seed in training.seeds:
        choice = snapshots.choose(kept, run, seed, held_out, **how)
        chosen_at[str(seed)] = {"iteration": choice.iteration, "curve": choice.curve}
        trained, _ = open_trained(choice.path)
        found[str(seed)] = measure.measure(run, trained.generator(seed, device), held_out, samples=args.samples)
        file = write(path.with_name(f"{path.stem}-seed{seed}.safetensors"), choice.path.read_bytes())
        weights[str(seed)] = _weights(file)
        if snapshots.can_average(run) and not args.no_average:
            file = path.with_name(f"{path.stem}-averaged-seed{seed}.safetensors")
            choice = snapshots.choose_average(kept, run, seed, held_out, file, **how)
            trained, _ = open_trained(file)
            generator = trained.generator(seed, device)
            averaged[str(seed)] = {
                "curve": choice.curve,
                **measure.measure(run, generator, held_out, samples=args.samples),
                "weights": _weights(file),
            }
    used = held_out.values() if run.channels == 0 else [training.data, *held_out.values()]
    pretrained = training.inputs["pretrained_sha256"]
    described = results.provenance(
        run, training.seeds, training.device, list(used), started, args.argv, pretrained_sha256=pretrained
    )
    columns = list(history.COLUMNS)
    curves = {
        str(seed): [[float(f"{getattr(each[i], name):.7g}") for name in columns] for each in runner.curves]
        for i, seed in enumerate(training.seeds)
    }
    report = described | {
        "processes": training.processes.world,
        "precision": training.precision,
        "samples": args.samples,
        "iterations_of_this_command": training.iteration - start,
        "trained_by": runner.trained_by,
        "figures_by_seed": found,
        "across_seeds": measure.across_seeds(list(found.values())),
        "curves": {"columns": columns, "by_seed": curves},
        "snapshots": {
            "every": snapshots.spacing(run),
            "columns": ["iteration", "sigma", "validation log-likelihood (nats)"],
            "chosen": _chosen_how(run, averaged),
            "by_seed": chosen_at,
        },
        "weights": weights,
        "averaged": {
            "of": "the generator's weights, over the last snapshots: the number that is best on validation images",
            "columns": ["snapshots", "sigma", "validation log-likelihood (nats)"],
            "by_seed": averaged,
            "across_seeds": measure.across_seeds(list(averaged.values())) if averaged else {},
        },
    }
    print(results.write_results(path, report))
    _remark(report)


def combine(args: argparse.Namespace) -> None:
    """Put results of the same run with other seeds together."""
    parts = [results.read_results(path) for path in args.parts]
    found = combining.combine(parts, [str(path) for path in args.parts])
    results.check_results(args.results, {name: found[name] for name in ("run", "settings", "precision", "samples")})
    if args.results.exists():
        held = results.read_results(args.results).get("seeds")
        lost = [seed for seed in held if seed not in found["seeds"]] if isinstance(held, list) else held
        if lost:
            raise Stop(
                REFUSED,
                f"{args.results} holds seeds {shown(lost)}, which are not among those combined ({found['seeds']}); "
                "name a result with them as well, or give another name with --results",
            )
    sources = {seed: path for path, part in zip(args.parts, parts, strict=True) for seed in part["weights"]}
    files: dict[str, bytes] = {}
    for seed, source in sources.items():
        averaged = found["averaged"]["by_seed"].get(seed, {})
        for which, holder in (("", found["weights"][seed]), ("-averaged", averaged.get("weights"))):
            if holder is not None:
                file = source.with_name(holder["file"])
                content = file.read_bytes() if file.is_file() else b""
                if hashlib.sha256(content).hexdigest() != holder["sha256"]:
                    raise Stop(REFUSED, f"{file} is not the file that {source} names; reproduce it again")
                holder["file"] = f"{args.results.stem}{which}-seed{seed}.safetensors"
                files[holder["file"]] = content
    for name, content in files.items():
        write(args.results.with_name(name), content)
    print(results.write_results(args.results, found))
    _remark(found)


def study(args: argparse.Namespace) -> None:
    """Answer a study, write its result."""
    if args.name is None:
        print("\n".join(f"{name:<{max(map(len, studies.STUDIES))}}  {says}" for name, says in studies.STUDIES.items()))
        return
    started, path = datetime.now(UTC), args.folder / f"{args.name}.json"
    with refusing(USAGE):
        asked = studies.settings(args.name, overrides_of(args))
        device = pick(args)
    same = {"study": args.name, "settings": asdict(asked)}
    results.check_results(path, same)
    say = (lambda line: None) if args.quiet else (lambda line: print(line, file=sys.stderr, flush=True))
    try:
        with onednn.products():
            outcome = studies.module(args.name).study(asked, device, args.folder, say)
    except FeaturesError as error:
        raise Stop(REFUSED, str(error)) from error
    except ValueError as error:  # settings that do not fit the data, or earlier results
        if type(error) is not ValueError:  # a refused checkpoint has its own code; a library's own is a fault
            raise
        raise Stop(USAGE, str(error)) from error
    described = results.of_study(args.name, asked, device, outcome.data, started, args.argv)
    files = {}
    for name, content in outcome.files.items():
        write(args.folder / name, content)
        files[name] = {"sha256": hashlib.sha256(content).hexdigest()}
    report = described | {"inputs": outcome.inputs, "figures": outcome.figures, "files": files}
    print(results.write_results(path, report))


def _remark(report: dict[str, Any]) -> None:
    """Say on stderr what is to be said beside a result's figures."""
    for what, by_seed in (("", report["figures_by_seed"]), (", averaged", report["averaged"]["by_seed"])):
        for seed, each in by_seed.items():
            if says := measure.remark(each):
                print(f"warning: {report['run']}, seed {seed}{what}: {says}", file=sys.stderr)


def _check_snapshots(folder: Path, kept: Path, run: Run, seeds: tuple[int, ...]) -> None:
    """Refuse, before hours of training, a folder whose run so far has not kept the snapshots that will be needed."""
    if os.environ.get("RANK", "0") != "0":  # the first process keeps them, perhaps on another machine
        return
    try:
        trained, _ = open_trained(folder)
    except CheckpointError:  # there is none, or resuming says what is wrong with it
        return
    fits = trained.seeds == seeds and trained.iteration <= run.iterations and snapshots.same(trained.run, run)
    if fits:  # if not, resuming says what differs
        snapshots.check(kept, run, seeds, trained.iteration)


def _chosen_how(run: Run, averaged: dict[str, Any]) -> str:
    if run.channels == 0:
        return "the last"
    own = "no other snapshot of the run, only the average below" if averaged else "no other"
    return f"the best on the validation images; the test images have seen {own}"


def _weights(file: Path) -> dict[str, str]:
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return {"file": file.name, "sha256": sha256, "format": "half precision"}
