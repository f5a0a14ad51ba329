"""Checkpoints in a run's folder: written so that a kill at any moment leaves a usable one, the newest found again.

Each is a file of `ganlib.nets.weights`, which `load` reads.
"""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from ganlib import limits
from ganlib.data import files
from ganlib.errors import CheckpointError
from ganlib.nets.weights import Checkpoint, load, opened, serialised, verify

__all__ = ["Checkpoint", "check_settings", "load", "newest", "save"]

_NAME = re.compile(r"checkpoint-([0-9]{9,})(?:-([0-9]+))?\.safetensors")


def save(
    folder: str | Path,
    iteration: int,
    tensors: dict[str, Tensor],
    settings: dict[str, Any],
    record: dict[str, Any],
    keep: int = 2,
    *,
    make_folder: bool = True,
) -> Path:
    """Write a checkpoint; when this returns it is on the disk, complete and under its final name.

    One process at a time writes to a folder (`ganlib.lab.lock`). The file is ``checkpoint-<iteration>.safetensors``. A
    complete checkpoint of the same iteration and settings is replaced; anything else under that name is left alone and
    the new file gets the next free one (``checkpoint-<iteration>-1.safetensors``). First goes what killed processes
    left half written, afterwards this run's older complete checkpoints beyond ``keep``. Damaged files and others' are
    never deleted.

    Parameters
    ----------
    folder : where to write.
    iteration : iterations done, at least 0.
    tensors, settings, record : as `ganlib.nets.weights.serialised` takes them.
    keep : complete checkpoints of this run to keep, this one included; at least 1.
    make_folder : make the folder if it is not there; if False, that is a FileNotFoundError.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above (a nan in the settings, a tuple in the record); nothing is written.
    OSError
        If the disk is full or refuses; the folder's checkpoints are as they were.
    """
    for name, value, least in (("iteration", iteration, 0), ("keep", keep, 1)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} is {value!r}; it must be an integer")
        if value < least:
            raise ValueError(f"{name} is {value}; it must be at least {least}")
    pieces = serialised(iteration, tensors, settings, record)

    folder = Path(folder)
    if make_folder:
        folder.mkdir(parents=True, exist_ok=True)
    target = _free_name(folder, iteration, settings)
    files.write(target, pieces, make_folder=False)
    _fsync_folder(folder)
    _prune(folder, iteration, settings, keep)
    return target


def newest(folder: str | Path) -> tuple[Checkpoint | None, list[CheckpointError]]:
    """Load the complete checkpoint of the highest iteration in a folder.

    Parameters
    ----------
    folder : a run's folder; it need not exist.

    Returns
    -------
    Checkpoint or None
        None if the folder has no complete one.
    list of CheckpointError
        Files with newer names that were refused, newest first, with reasons: report them.

    Raises
    ------
    CheckpointError
        If ``folder`` is something else than a folder.
    """
    refused: list[CheckpointError] = []
    for named, path in _listed(Path(folder)):
        try:
            checkpoint = load(path)
            if checkpoint.iteration != named:
                raise CheckpointError(f"{path}: renamed; its content is of iteration {checkpoint.iteration}")
            return checkpoint, refused
        except CheckpointError as error:
            refused.append(error)
    return None, refused


def check_settings(saved: dict[str, Any], asked: dict[str, Any]) -> None:
    """Refuse to go on with other settings than the checkpoint's.

    Parameters
    ----------
    saved, asked : the checkpoint's settings and the ones to resume with.

    Raises
    ------
    CheckpointError
        If they differ; every difference is listed as ``name: saved -> asked``.

    Examples
    --------
    >>> check_settings({"k": 1, "m": 100}, {"k": 2, "m": 100})
    Traceback (most recent call last):
    ...
    ganlib.errors.CheckpointError: the checkpoint was made with other settings (saved -> asked):
      k: 1 -> 2
    Resume with the saved ones, or start afresh in another folder.
    """

    def shown(settings: dict[str, Any], name: str) -> str:
        return limits.shown(settings[name]) if name in settings else "(not set)"

    differing = "\n".join(
        f"  {name}: {shown(saved, name)} -> {shown(asked, name)}"
        for name in sorted({*saved, *asked})
        if name not in saved or name not in asked or saved[name] != asked[name]
    )
    if differing:
        raise CheckpointError(
            f"the checkpoint was made with other settings (saved -> asked):\n{differing}\n"
            "Resume with the saved ones, or start afresh in another folder."
        )


def _listed(folder: Path) -> list[tuple[int, Path]]:
    """Files named like checkpoints with the iterations in their names, newest first."""
    if not os.path.lexists(folder):
        return []
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: not a folder")
    named = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    found = [(int(match[1]), int(match[2] or 0), path) for match, path in named if match]
    return [(iteration, path) for iteration, _, path in sorted(found, reverse=True)]


def _free_name(folder: Path, iteration: int, settings: dict[str, Any]) -> Path:
    copies = 0
    while True:
        path = folder / f"checkpoint-{iteration:09d}{f'-{copies}' if copies else ''}.safetensors"
        if not os.path.lexists(path) or _same_run(path, iteration, settings):
            return path
        copies += 1


def _same_run(path: Path, iteration: int, settings: dict[str, Any]) -> bool:
    try:
        with opened(path) as file:
            info = verify(file)
    except CheckpointError:
        return False
    return bool(info["iteration"] == iteration and info["settings"] == settings)


def _fsync_folder(folder: Path) -> None:
    """Make a rename in the folder last through a power cut, where the system has a way to."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network and FUSE file systems cannot
            raise
    finally:
        os.close(descriptor)


def _prune(folder: Path, iteration: int, settings: dict[str, Any], keep: int) -> None:
    older = [(n, path) for n, path in _listed(folder) if n < iteration]
    if len(older) >= keep:  # only then can there be one too many: checking them reads them
        complete = [path for n, path in older if _same_run(path, n, settings)]
        for path in complete[keep - 1 :]:
            with suppress(OSError):  # the new checkpoint is safe; one that cannot be deleted is no reason to stop
                path.unlink()
