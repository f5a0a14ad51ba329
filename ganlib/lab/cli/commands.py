"""The commands themselves, one function each; they take what `ganlib.lab.cli.arguments` has read.

Those that train to write a result are in `ganlib.lab.cli.results`.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ganlib import sampling
from ganlib.data.files import write
from ganlib.lab import checkpoint, measure, parzen_sweep, results, runs, settings
from ganlib.lab.cli.arguments import DIVERGED, USAGE, Stop
from ganlib.lab.cli.data import data_sets
from ganlib.lab.cli.errors import refusing
from ganlib.lab.cli.results import combine, reproduce, study
from ganlib.lab.cli.training import folder_of, pick, run_of, train_to_the_end
from ganlib.lab.generators import Trained, open_trained


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
    from ganlib.lab.cli import pictures  # here: Matplotlib takes a second, and no other command draws

    content = pictures.npz(samples) if out.suffix == ".npz" else pictures.picture(trained.run, samples)
    print(write(out, content))


def evaluate(args: argparse.Namespace) -> None:
    """Measure trained generators."""
    trained = _open(args)

    device = pick(args)
    seeds = trained.seeds if args.member is None else (args.member,)
    with refusing(USAGE):
        generators = {seed: trained.generator(seed, device) for seed in seeds}
    trained.check_data()
    data = measure.held_out(trained.run, device)
    with refusing(USAGE):
        found = {
            seed: measure.measure(trained.run, generator, data, samples=args.samples)
            for seed, generator in generators.items()
        }
    across = measure.across_seeds(list(found.values()))
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
        if says := measure.remark(each):
            print(f"seed {seed}: {says}")
    for name, each in across.items():
        if each["n"] > 1:
            spread = f"standard deviation {each['standard_deviation']:.4g} over {each['n']} seeds"
            print(f"all seeds: {name} mean {each['mean']:.5g} {each['unit']}, {spread}")


def sweep(args: argparse.Namespace) -> None:
    """Write the Parzen scores of one generator, of training images and of k-means centres, under every width."""
    started, trained = datetime.now(UTC), _open(args)
    seed = trained.seeds[0] if args.member is None else args.member
    with refusing(USAGE):
        parzen_sweep.check(trained.run)
        runs.changed(trained.run)
        generator = trained.generator(seed, pick(args))
    trained.check_data()
    same = {"run": trained.run.name, "seeds": [seed], "samples": args.samples}
    results.check_results(args.out, same)
    with refusing(USAGE):
        found, used = parzen_sweep.sweep_run(trained.run, generator, args.samples)
    device = next(generator.parameters()).device
    pretrained = trained.checkpoint.record.get("pretrained_sha256")
    described = results.provenance(trained.run, [seed], device, used, started, args.argv, pretrained)
    report = described | {
        "iteration": trained.iteration,
        "checkpoint_sha256": trained.checkpoint.sha256,
        "samples": args.samples,
        **found,
    }
    print(results.write_results(args.out, report))
    for says in parzen_sweep.remarks(found):
        print(f"warning: {says}", file=sys.stderr)


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
    "data": data_sets,
}
