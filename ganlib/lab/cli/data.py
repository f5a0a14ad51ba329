"""The command ``data``: what data sets are here, and getting one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ganlib import data
from ganlib.data import downloads
from ganlib.data.images import OWN_IMAGES
from ganlib.data.official import SETS
from ganlib.errors import DataError
from ganlib.lab.cli.arguments import USAGE, Stop


def data_sets(args: argparse.Namespace) -> None:
    """List the data sets, or get one."""
    if args.action is None:
        if args.again or args.quiet:
            raise Stop(USAGE, "--again and --quiet belong to `data get NAME`")
        _list(args.root)
    elif args.dataset is None:
        raise Stop(USAGE, f"`data get` needs the name of a data set: {', '.join(SETS)}")
    elif args.dataset not in data.LOADERS:
        raise Stop(USAGE, f"no data set {args.dataset!r}; there are {', '.join(data.LOADERS)}. {OWN_IMAGES}")
    else:
        _get(args)


def _get(args: argparse.Namespace) -> None:
    """Download a data set, or say that it is here; what it is read from goes to stdout."""
    name, said = args.dataset, f"{args.dataset} is here and sound: there is nothing to download"
    if name in SETS and downloads.get(name, data.where(args.root), again=args.again, quiet=args.quiet):
        said = ""
    source = data.load(name, "test", args.root).source
    if said and not args.quiet:
        print(said, file=sys.stderr)
    print(source if name == "digits" else data.where(args.root) / source)


def _list(root: Path | None) -> None:
    print(f"looked for in {data.where(root)} (--root, else GANLIB_DATA, else ~/.cache/ganlib)")
    width = max(map(len, data.LOADERS))
    for name in data.LOADERS:
        state, says = _state(name, root)
        print(f"{name:<{width}}  {state:<8}  {says}", flush=True)


def _state(name: str, root: Path | None) -> tuple[str, str]:
    """Whether a data set is here and sound, and what it is read from or what is wrong."""
    try:
        parts = [data.load(name, split, root) for split in data.SPLITS]
    except DataError as error:
        return "unusable", str(error)
    except (FileNotFoundError, ModuleNotFoundError) as error:
        return "missing", str(error)
    return "sound", f"{' / '.join(f'{len(part):,}' for part in parts)} images; {parts[0].source}"
