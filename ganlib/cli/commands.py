"""The commands themselves, one function each; they take what `ganlib.cli.arguments` has read."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ganlib import (
    checkpoint,
    distributed,
    evaluation,
    parzen_sweep,
    precision,
    provenance,
    runs,
    sampling,
    settings,
    snapshots,
    studies,
)
from ganlib import combine as combining
from ganlib.cli import pictures
from ganlib.cli.arguments import DIVERGED, REFUSED, USAGE, Stop
from ganlib.cli.errors import refusing
from ganlib.cli.training import chosen, folder_of, overrides_of, pick, run_of, train_to_the_end
from ganlib.features import FeaturesError
from ganlib.runs import Run
from ganlib.trained import Trained, open_trained


def show(args: argparse.Namespace) -> None:
    """List the named runs, or one's settings."""
    if args.name is None:
        if args.set:
            raise Stop(USAGE, "--set needs the name of a run")
        listed = {name: run.source for name, run in runs.RUNS.items()}
        if args.json:
            print(json.dumps({name: runs.as_dict(run) for name, run in runs.RUNS.items()}, indent=1))
        else:
            print("\n".join(f"{name:<{max(map(len, listed))}}  {source}" for name, source in listed.items()))
        return
    run = run_of(args)
    if args.json:
        print(json.dumps(runs.as_dict(run), indent=1))
        return
    changed = runs.changed(run)
    values = {name: str(value) if value != "" else "(none)" for name, value in runs.as_dict(run).items()}
    width, says = max(map(len, values)), settings.describe()
    short = max(len(value) for name, value in values.items() if name != "source")
    for name, value in values.items():
        was = f" (the named run has {changed[name][0]!r})" if name in changed else ""
        print(
            f"{name:<{width}}  {value}" if name == "source" else f"{name:<{width}}  {value:<{short}}  {says[name]}{was}"
        )


def train(args: argparse.Namespace) -> None:
    """Train a named run."""
    runner, _ = train_to_the_end(args, run_of(args), resume=args.resume)
    if runner.training.processes.first:
        found, _ = checkpoint.newest(folder_of(args))
        print(found.path if found else folder_of(args))


def sample(args: argparse.Namespace) -> None:
    """Draw samples into a file."""
    out: Path = args.out
    if out.suffix not in (".png", ".npz"):
        raise Stop(USAGE, f"--out is {out}; give a name that ends in .png or .npz")
    trained = _open(args)

    with refusing(USAGE):
        generator = trained.generator(args.member, pick(args))
    samples = sampling.sample(generator, runs.latent(trained.run), args.n, seed=args.seed).cpu()
    if not samples.isfinite().all():
        raise Stop(DIVERGED, f"{trained.checkpoint.path}: the generator's samples are not finite")
    content = pictures.npz(samples) if out.suffix == ".npz" else pictures.picture(trained.run, samples)
    print(provenance.write(out, content))


def evaluate(args: argparse.Namespace) -> None:
    """Measure trained generators."""
    trained = _open(args)

    device = pick(args)
    seeds = trained.seeds if args.member is None else (args.member,)
    with refusing(USAGE):
        generators = {seed: trained.generator(seed, device) for seed in seeds}
    data = evaluation.held_out(trained.run, device)
    with refusing(USAGE):
        found = {
            seed: evaluation.evaluate(trained.run, generator, data, samples=args.samples)
            for seed, generator in generators.items()
        }
    across = evaluation.across_seeds(list(found.values()))
    if args.json:
        by_seed = {str(seed): each for seed, each in found.items()}
        found_all = {"run": trained.run.name, "iteration": trained.iteration, "figures_by_seed": by_seed}
        print(json.dumps(found_all | {"across_seeds": across}, indent=1))
        return
    print(f"{trained.run.name} at iteration {trained.iteration}, {args.samples:,} samples")
    print(found[seeds[0]]["protocol"])
    for seed, each in found.items():
        for name, figure in each["figures"].items():
            print(f"seed {seed}: {name} {_shown(figure)}")
    for name, each in across.items():
        if each["n"] > 1:
            spread = f"standard deviation {each['standard_deviation']:.4g} over {each['n']} seeds"
            print(f"all seeds: {name} mean {each['mean']:.5g} {each['unit']}, {spread}")


def reproduce(args: argparse.Namespace) -> None:
    """Train, measure every seed, write the results."""
    run, folder, started = run_of(args), folder_of(args), datetime.now(UTC)
    path = args.results or folder / f"{run.name}.json"

    device = distributed.local_device(pick(args))
    with refusing(USAGE):
        policy = precision.choose(args.precision, device)
        if args.samples < 4:
            raise ValueError(f"samples is {args.samples}; a measurement needs at least 4")
    asked = runs.as_dict(run) | {"pretrained": provenance.without_folder(run.pretrained)}
    same = {
        "run": run.name,
        "settings": asked,
        "seeds": list(chosen(args)),
        "precision": policy,
        "samples": args.samples,
    }
    provenance.check_results(path, same)
    held_out = evaluation.held_out(run, device)  # before hours of training, not after
    kept = folder / "snapshots"
    _check_snapshots(folder, kept, run, chosen(args))
    runner, start = train_to_the_end(args, run, resume=True, snapshots=kept)
    training = runner.training
    if not training.processes.first:
        return
    snapshots.keep(kept, training)  # a finished run's end may have none yet
    found, weights, chosen_at, averaged = {}, {}, {}, {}
    for seed in training.seeds:
        choice = snapshots.choose(kept, run, seed, held_out, device=device, samples=args.samples)
        chosen_at[str(seed)] = {"iteration": choice.iteration, "curve": choice.curve}
        trained, _ = open_trained(choice.path)
        found[str(seed)] = evaluation.evaluate(run, trained.generator(seed, device), held_out, samples=args.samples)
        file = provenance.write(path.with_name(f"{path.stem}-seed{seed}.safetensors"), choice.path.read_bytes())
        weights[str(seed)] = _weights(file)
        if snapshots.can_average(run) and not args.no_average:
            file = path.with_name(f"{path.stem}-averaged-seed{seed}.safetensors")
            choice = snapshots.choose_average(kept, run, seed, held_out, file, device=device, samples=args.samples)
            trained, _ = open_trained(file)
            generator = trained.generator(seed, device)
            averaged[str(seed)] = {
                "curve": choice.curve,
                **evaluation.evaluate(run, generator, held_out, samples=args.samples),
                "weights": _weights(file),
            }
    used = held_out.values() if run.channels == 0 else [training.data, *held_out.values()]
    described = provenance.provenance(run, training.seeds, training.device, list(used), started, args.argv)
    columns = ["iteration", "d_loss", "g_loss", "d_real", "d_fake"]
    curves = {
        str(seed): [[float(f"{getattr(each[i], name):.7g}") for name in columns] for each in runner.curves]
        for i, seed in enumerate(training.seeds)
    }
    results = described | {
        "processes": training.processes.world,
        "precision": training.precision,
        "samples": args.samples,
        "iterations_of_this_command": training.iteration - start,
        "trained_by": runner.trained_by,
        "figures_by_seed": found,
        "across_seeds": evaluation.across_seeds(list(found.values())),
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
            "across_seeds": evaluation.across_seeds(list(averaged.values())) if averaged else {},
        },
    }
    print(provenance.write_results(path, results))


def combine(args: argparse.Namespace) -> None:
    """Put results of the same run with other seeds together."""
    parts = []
    for path in args.parts:
        try:
            parts.append(json.loads(path.read_text()))
        except (OSError, ValueError) as error:
            raise Stop(REFUSED, f"{path} is no results file ({error})") from error
    found = combining.combine(parts)
    provenance.check_results(args.results, {name: found[name] for name in ("run", "settings", "precision", "samples")})
    if args.results.exists():
        lost = sorted({*json.loads(args.results.read_text()).get("seeds", [])} - {*found["seeds"]})
        if lost:
            raise Stop(
                REFUSED,
                f"{args.results} holds seeds {lost}, which are not among those combined ({found['seeds']}); name a "
                "result with them as well, or give another name with --results",
            )
    sources = {seed: path for path, part in zip(args.parts, parts, strict=True) for seed in part["weights"]}
    files: dict[str, bytes] = {}
    for seed, source in sources.items():
        averaged = found["averaged"]["by_seed"].get(seed, {})
        for which, holder in (("", found["weights"][seed]), ("-averaged", averaged.get("weights"))):
            if holder is not None:
                file = source.with_name(holder["file"])
                if _weights(file)["sha256"] != holder["sha256"]:
                    raise Stop(REFUSED, f"{file} is not the file that {source} names; reproduce it again")
                holder["file"] = f"{args.results.stem}{which}-seed{seed}.safetensors"
                files[holder["file"]] = file.read_bytes()
    for name, content in files.items():
        provenance.write(args.results.with_name(name), content)
    print(provenance.write_results(args.results, found))


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
    provenance.check_results(path, same)
    say = (lambda line: None) if args.quiet else (lambda line: print(line, file=sys.stderr, flush=True))
    with redirect_stdout(sys.stderr):  # what a training says of its device; stdout has the result's path alone
        try:
            outcome = studies.module(args.name).study(asked, device, args.folder, say)
        except FeaturesError as error:
            raise Stop(REFUSED, str(error)) from error
        except ValueError as error:  # settings that do not fit the data, or earlier results
            if type(error) is not ValueError:  # a refused checkpoint has its own code; a library's own is a fault
                raise
            raise Stop(USAGE, str(error)) from error
    described = provenance.of_study(args.name, asked, device, outcome.data, started, args.argv)
    files = {}
    for name, content in outcome.files.items():
        provenance.write(args.folder / name, content)
        files[name] = {"sha256": hashlib.sha256(content).hexdigest()}
    results = described | {"inputs": outcome.inputs, "figures": outcome.figures, "files": files}
    print(provenance.write_results(path, results))


def sweep(args: argparse.Namespace) -> None:
    """Write the Parzen scores of one generator, of training images and of k-means centres, under every width."""
    started, trained = datetime.now(UTC), _open(args)
    seed = trained.seeds[0] if args.member is None else args.member
    with refusing(USAGE):
        parzen_sweep.check(trained.run)
        generator = trained.generator(seed, pick(args))
    same = {"run": trained.run.name, "seeds": [seed], "samples": args.samples}
    provenance.check_results(args.out, same)
    with refusing(USAGE):
        found, used = parzen_sweep.sweep_run(trained.run, generator, args.samples)
    device = next(generator.parameters()).device
    described = provenance.provenance(trained.run, [seed], device, used, started, args.argv)
    results = described | {
        "iteration": trained.iteration,
        "checkpoint_sha256": hashlib.sha256(trained.checkpoint.path.read_bytes()).hexdigest(),
        "samples": args.samples,
        **found,
    }
    print(provenance.write_results(args.out, results))


def _check_snapshots(folder: Path, kept: Path, run: Run, seeds: tuple[int, ...]) -> None:
    """Refuse, before hours of training, a folder whose run so far has not kept the snapshots that will be needed."""
    if os.environ.get("RANK", "0") != "0":  # the first process keeps them, perhaps on another machine
        return
    try:
        trained, _ = open_trained(folder)
    except checkpoint.CheckpointError:  # there is none, or resuming says what is wrong with it
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


def _open(args: argparse.Namespace) -> Trained:
    trained, refused = open_trained(args.path)
    for error in refused:
        print(f"warning: {error}; an older checkpoint is used", file=sys.stderr)
    return trained


def _shown(figure: dict[str, Any]) -> str:
    error = "" if figure["plus_minus"] is None else f" +- {figure['plus_minus']:.2g}"
    means = "" if figure["plus_minus"] is None else f"; +- is the {figure['plus_minus_is']}"
    return f"{figure['value']:.5g}{error} {figure['unit']} ({figure['n']:,} {figure['n_is']}{means})"


COMMANDS = {
    "runs": show,
    "train": train,
    "sample": sample,
    "evaluate": evaluate,
    "reproduce": reproduce,
    "combine": combine,
    "study": study,
    "sweep": sweep,
}
