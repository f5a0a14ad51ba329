"""Where a result comes from: settings, data, software and hardware, as JSON that names no machine, user or folder."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import torch

import ganlib
from ganlib.data.files import read_json, write
from ganlib.data.images import Images
from ganlib.device import describe
from ganlib.errors import ResultsError
from ganlib.lab import runs, studies
from ganlib.lab.generators import open_trained as open_trained  # for chapters, whose door this module is
from ganlib.lab.runs import Run
from ganlib.limits import shown
from ganlib.toys import Mixture


def environment(device: torch.device | str = "cpu", *scripts: Path) -> dict[str, Any]:
    """The software and hardware of this process.

    Parameters
    ----------
    device : what is computed on.
    scripts : folders of the same checkout whose code counts as well as ganlib's.

    Returns
    -------
    dict
        Versions of python, torch, numpy and ganlib; device, processor and threads; the date (UTC); the git commit of
        ganlib's code and whether the code was changed since (both None outside a git checkout), see `source_code`.

    Examples
    --------
    >>> sorted(environment())
    ['commit', 'date', 'device', 'dirty', 'ganlib', 'numpy', 'processor', 'python', 'system', 'threads', 'torch']
    """
    commit, dirty = source_code(*scripts)
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "ganlib": ganlib.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "device": describe(torch.device(device)),
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "dirty": dirty,
    }


def provenance(
    run: Run,
    seeds: Sequence[int],
    device: torch.device | str,
    data: Images | Mixture | Sequence[Images | Mixture],
    started: datetime,
    command: Sequence[str],
    pretrained_sha256: str | None = None,
) -> dict[str, Any]:
    """All that a committed result says about how it was made.

    Parameters
    ----------
    run, seeds, device : what was run, and where.
    data : the data used, every split of them.
    started : when the command began, with a time zone; the wall time is counted from it to this call.
    command : the arguments after ``python -m ganlib``; folders in them are left out, see `command_line`.
    pretrained_sha256 : of the pretrained generator's file as the training read it; None if there is none, or nobody
        knows any more.

    Raises
    ------
    ValueError
        If ``started`` has no time zone, or the run has no name in `ganlib.lab.runs.RUNS`.
    """
    changed = {name: {"named": named, "this": this} for name, (named, this) in runs.changed(run).items()}
    found: dict[str, Any] = {
        "run": run.name,
        "settings": runs.as_dict(run),
        "changed": changed,
        "seeds": list(seeds),
        **_made(device, [data] if isinstance(data, Images | Mixture) else data, started, command),
    }
    if run.pretrained:
        found["pretrained_sha256"] = pretrained_sha256
        found["settings"]["pretrained"] = changed["pretrained"]["this"] = without_folder(run.pretrained)
    return found


def of_study(
    name: str,
    settings: Any,
    device: torch.device | str,
    data: Sequence[Images],
    started: datetime,
    command: Sequence[str],
) -> dict[str, Any]:
    """As `provenance`, for a study of `ganlib.lab.studies` and its settings."""
    changed = studies.changed(name, settings)
    return {
        "study": name,
        "settings": asdict(settings),
        "changed": {setting: {"named": named, "this": this} for setting, (named, this) in changed.items()},
        **_made(device, data, started, command),
    }


def _made(
    device: torch.device | str, data: Sequence[Images | Mixture], started: datetime, command: Sequence[str]
) -> dict[str, Any]:
    """With what, where, when and how long."""
    if started.tzinfo is None:
        raise ValueError(f"started is {started.isoformat()}, without a time zone; use datetime.now(UTC)")
    return {
        "data": [_describe(each) for each in data],
        "environment": environment(device),
        "started": started.astimezone(UTC).isoformat(timespec="seconds"),
        "wall_seconds": round((datetime.now(UTC) - started).total_seconds(), 1),
        "command": command_line(command),
    }


def command_line(arguments: Sequence[str]) -> str:
    """A command of the program to type again, with file names for paths: folders may name a user or a machine.

    Examples
    --------
    >>> command_line(["train", "ring8", "--set", "k=2", "--out=/home/me/ring8"])
    'python -m ganlib train ring8 --set k=2 --out=ring8'
    """
    return shlex.join(["python", "-m", "ganlib", *map(without_folder, arguments)])


def without_folder(argument: str) -> str:
    """An argument ``value`` or ``name=value`` whose value, if it is a path from outside, is its last part only."""
    for text in (argument, argument.partition("=")[2]):
        windows = PureWindowsPath(text)
        outside = text.startswith(("/", "~", "..", "\\")) or "/../" in text or windows.drive
        if text and outside:
            name = PurePosixPath(text).name if not windows.drive and "\\" not in text else windows.name
            return argument[: len(argument) - len(text)] + ("." if name in ("", "..") else name)
    return argument


@cache
def source_code(*scripts: Path) -> tuple[str | None, bool | None]:
    """The git commit of ganlib's code, and whether it or ``scripts`` differ from it; None, None outside a checkout.

    As they are when a process asks first, which every program that writes results does as it starts: what is committed
    or changed after that is not what it runs.
    """
    package = Path(ganlib.__file__).parent
    # A package installed inside somebody else's checkout is not that checkout's code: it must be tracked there.
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None, None
    code = [".", *(f"{folder}/*.py" for folder in scripts)]  # a result just written is no change of the code
    commit, changes = _git(package, "rev-parse", "HEAD"), _git(package, "status", "--porcelain", "--", *code)
    return commit, None if changes is None else bool(changes)


def processor() -> str:
    """The processor's model, as the system gives it."""
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    if match:
        return match[1].strip()
    if sys.platform == "darwin":
        return _output(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.machine()
    return platform.processor() or platform.machine()


def write_results(path: str | Path, results: Mapping[str, Any]) -> Path:
    """Write results as JSON; numbers must be finite, for JSON knows no others (ValueError)."""
    return write(path, (json.dumps(results, indent=1, allow_nan=False) + "\n").encode())


def read_results(path: str | Path) -> dict[str, Any]:
    """What a results file holds.

    Raises
    ------
    ResultsError
        If it is not there, is larger than any, or is not JSON as `write_results` writes it.
    """
    try:
        found = read_json(path)
        if not isinstance(found, dict):
            raise ValueError("it holds no object")
    except ValueError as error:
        raise ResultsError(f"{path} is no results file ({error})") from None
    return found


def check_results(path: str | Path, made_with: Mapping[str, Any]) -> None:
    """Refuse to replace a results file by results made otherwise.

    Parameters
    ----------
    path : the file; if it is not there, nothing is refused.
    made_with : what must be the same in it: settings, seeds and the like, by name.

    Raises
    ------
    ResultsError
        If the file is not one of ours, or was made otherwise: what differs is listed as ``name: there -> now``.
    """
    path = Path(path)
    if not os.path.lexists(path):
        return
    try:
        there = read_results(path)
    except ResultsError as error:
        raise ResultsError(f"{error}; give another name") from None
    if not made_with.keys() <= there.keys():
        raise ResultsError(f"{path} is there and is no results file of ganlib's; give another name")
    old, new = _flat(there, made_with), _flat(made_with, made_with)
    differing = [name for name in sorted({*old, *new}) if old.get(name, ...) != new.get(name, ...)]
    if differing:
        listed = ", ".join(f"{name}: {shown(old.get(name))} -> {shown(new.get(name))}" for name in differing)
        raise ResultsError(f"{path} holds results made otherwise ({listed}); give another name, or move it away")


def _flat(results: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """The named entries, those inside settings and the like under their own names."""
    flat: dict[str, Any] = {}
    for name in names:
        value = results[name]
        flat |= {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def _describe(data: Images | Mixture) -> dict[str, Any]:
    if isinstance(data, Mixture):
        return {"name": data.name, "split": None, "examples": None, "source": "sampled afresh", "sha256": None}
    # The hash is of pixels and labels as stored, before any scaling.
    described = {"name": data.name, "split": data.split, "examples": len(data), "source": data.source}
    return described | {"sha256": data.sha256}


def _git(folder: Path, *arguments: str) -> str | None:
    return _output(["git", "-C", str(folder), *arguments])


def _output(command: list[str]) -> str | None:
    """What a command prints, None if it fails or is not there."""
    # Inside a git hook these variables point to the hook's repository, whatever folder is asked about.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=variables, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
