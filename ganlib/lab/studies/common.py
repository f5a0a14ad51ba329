"""What every study is made of, and how its result is put together."""

from __future__ import annotations

import hashlib
import io
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from ganlib import limits
from ganlib.data.images import Images
from ganlib.errors import DataError
from ganlib.lab.measure import figure
from ganlib.lab.training import Training

__all__ = [
    "Outcome",
    "Say",
    "Study",
    "check_file_names",
    "check_positive",
    "check_types",
    "check_unchanged",
    "figure",
    "listed",
    "picture_file",
    "read",
    "side_by_side",
]

T = TypeVar("T")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a study found.

    Parameters
    ----------
    figures : fit for JSON; every measured number is a `figure`, or stands in a table whose columns say what they are.
    data : the splits used.
    files : written beside the result, under these names.
    inputs : sha256 of each file that was read, by name; see `read`.
    """

    figures: dict[str, Any]
    data: list[Images]
    files: dict[str, bytes] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)


class Study(Protocol):
    """A module of `ganlib.lab.studies`: what it asks, its settings, and the function that answers."""

    Settings: type[Any]

    def study(self, settings: Any, device: torch.device, folder: Path, say: Say) -> Outcome:
        """Answer; ``folder`` holds earlier results, ``say`` shows progress."""


def read(folder: Path, name: str, inputs: dict[str, str]) -> Path:
    """The path of an earlier result, its sha256 noted in ``inputs``.

    Raises
    ------
    FileNotFoundError
        If it is not there; the message says how it is made.
    """
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there; this study looks at earlier results: give their folder with --folder, or make them "
            "with `python -m ganlib reproduce` or `python -m ganlib study` and --results in that folder"
        )
    inputs[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return path


def picture_file(pictures: Mapping[str, Tensor]) -> bytes:
    """Images in [0, 1], by name, as the bytes of an .npz file of uint8 arrays."""
    buffer = io.BytesIO()
    grey = {name: (x.clamp(0, 1) * 255).round().to(torch.uint8) for name, x in pictures.items()}
    arrays: dict[str, Any] = {name: x.cpu().numpy() for name, x in grey.items()}
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def check_unchanged(training: Training, sha256: str) -> None:
    """Refuse a training on other images than those of that hash, which the study measures by: their file has changed.

    Raises
    ------
    ganlib.errors.DataError
        A ValueError, naming both hashes.
    """
    found = training.inputs["data_sha256"]
    if found != sha256:
        raise DataError(
            f"the files of {training.run.data} changed while the study was at work: its training images had SHA-256 "
            f"{sha256}, and now {found}; leave them alone and begin again"
        )


def check_positive(settings: Any, *names: str) -> None:
    """Refuse settings that are not above 0 (ValueError, naming each)."""
    wrong = [f"{name} is {getattr(settings, name)!r}" for name in names if not getattr(settings, name) > 0]
    if wrong:
        raise ValueError(f"{', '.join(wrong)}; give a number above 0")


def listed(names: str) -> list[str]:
    """The names in a setting that holds several, separated by commas, or none."""
    return names.split(",") if names else []


def check_file_names(weights: str, vae: str, *, empty: bool = False) -> None:
    """Refuse no names if not ``empty``, doubled ones, and those that are no file's in one folder (ValueError)."""
    names = [*listed(weights), *([vae] if vae else [])]
    if not names and not empty:
        raise ValueError("weights is empty; name a generator")
    if not all(re.fullmatch(r"\w[\w.-]*", name) for name in names) or len(set(names)) < len(names):
        raise ValueError(f"weights is {weights!r} and vae {vae!r}; give different file names, no folder")


def check_digits(data: str) -> None:
    """Refuse data that are not digits (ValueError)."""
    if data not in ("digits", "mnist"):
        raise ValueError(f"data is {data!r}; give 'digits' or 'mnist'")


def check_types(settings: Any) -> None:
    """Refuse settings of another type than they are declared with (TypeError), and endless integers (ValueError)."""
    kinds = {"int": int, "float": (int, float), "str": str}
    for each in fields(settings):
        value, kind = getattr(settings, each.name), str(each.type)
        if isinstance(value, bool) or not isinstance(value, kinds[kind]):  # type: ignore[arg-type]
            raise TypeError(f"{each.name} is {value!r}; it must be {kind}")
        if isinstance(value, int) and kind == "int":
            seed, several = each.name.endswith("seed"), each.name in ("seeds", "draws")
            most = limits.SEED if seed else limits.SEEDS if several else limits.SIZE
            limits.check(each.name, value, 0 if seed else -most, most)


def side_by_side(work: Callable[..., T], jobs: Sequence[tuple[Any, ...]], device: torch.device) -> Iterator[T]:
    """What ``work(*job)`` gives for each job, in order.

    On the CPU there are as many processes as torch has threads here, one thread each: small networks gain little from
    a second thread, and what a job gives does not depend on how many others run. Elsewhere one job follows the other.

    Parameters
    ----------
    work : a module's function.
    jobs : its arguments; they, and what it gives, are sent between processes, so tensors are better sent as numpy
        arrays.
    """
    others = {*active_children()}
    workers = min(len(jobs), torch.get_num_threads()) if device.type == "cpu" else 0
    if workers == 0:
        yield from (work(*job) for job in jobs)
        return
    spawned = get_context("spawn")  # a fork would inherit torch's threads in whatever state they are in
    with ProcessPoolExecutor(workers, spawned, initializer=_begin_work) as pool:
        waiting = [pool.submit(work, *job) for job in jobs]
        try:
            for each in waiting:
                yield each.result()
        except BaseException:  # a job's error, an interruption, a reader that leaves: the other jobs may take hours
            for process in {*active_children()} - others:
                process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _begin_work() -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal's Ctrl-C; the process that waits for this one ends it
