"""What a checkpoint says of the run up to it: curves, data, what trained which iterations. Read with every check."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ganlib import limits
from ganlib.algorithm1 import Report
from ganlib.errors import CheckpointError
from ganlib.nets.weights import Checkpoint

INPUTS = {  # of a training, see `ganlib.lab.training.Training`: what each is, and what to do where it is another
    "data_sha256": ("training images", "set GANLIB_DATA to the folder of the data it was trained on"),
    "pretrained_sha256": ("a pretrained generator", "give that file with --set pretrained=FILE"),
}
COLUMNS = ("iteration", "d_loss", "g_loss", "d_real", "d_fake")


def as_tensor(curves: list[list[Report]], seeds: int) -> Tensor:
    """Reports of ``seeds`` seeds each, as (reports, seeds, `COLUMNS`) float64: JSON should not hold so many."""
    rows = [[[getattr(report, name) for name in COLUMNS] for report in each] for each in curves]
    return torch.tensor(rows, dtype=torch.float64).reshape(len(rows), seeds, len(COLUMNS))


def curves(found: Checkpoint, seeds: int) -> list[list[Report]]:
    """The reports that `as_tensor` made a tensor of.

    Raises
    ------
    ValueError
        If there are none, or they cannot be those of the iterations done.
    """
    saved = found.tensors.get("curves")
    if saved is None or saved.dtype != torch.float64 or saved.ndim != 3 or saved.shape[1:] != (seeds, len(COLUMNS)):
        held = "nothing" if saved is None else f"{saved.dtype} {tuple(saved.shape)}"
        raise ValueError(f"its curves are {held}; they must be float64 (reports, {seeds}, {len(COLUMNS)})")
    at = saved[:, :, 0]
    if not saved.isfinite().all() or (at != at.round()).any() or (at < 1).any() or (at > found.iteration).any():
        raise ValueError(f"its curves have values that are not finite, or iterations not among 1 to {found.iteration}")
    if (at != at[:, :1]).any() or (at[1:] <= at[:-1]).any():
        raise ValueError("the iterations of its curves do not rise, or differ from seed to seed")
    rows: list[list[list[float]]] = saved.tolist()
    return [[Report(int(row[0]), *row[1:]) for row in each] for each in rows]


def spans(found: Checkpoint) -> list[dict[str, Any]]:
    """What trained which iterations, see `ganlib.lab.runner.Runner.trained_by`; None for what an old one leaves out.

    Raises
    ------
    ValueError
        If it does not account for the iterations done, one span after the other.
    """
    unknown = dict.fromkeys(("commit", "dirty", "threads", "torch"))
    whole = {"from": 0, "to": found.iteration}
    said = {what: found.record[what] for what in ("threads", "torch") if what in found.record}
    listed = found.record.get("trained_by", [whole | unknown | said] if found.iteration else [])
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise ValueError(f"its trained_by is {limits.shown(listed)}; it must be a list of objects")
    ends = [0, *(each.get("to") for each in listed)]
    if (
        not all(type(end) is int for end in ends)
        or [each.get("from") for each in listed] != ends[:-1]
        or any(one >= other for one, other in pairwise(ends))
        or ends[-1] != found.iteration
    ):
        raise ValueError(f"its trained_by, {limits.shown(listed)}, does not account for {found.iteration} iterations")
    return [dict.fromkeys(INPUTS) | each for each in listed]


def check_inputs(found: Checkpoint, here: Mapping[str, str | None]) -> None:
    """Refuse to go on with other data or another pretrained generator than the checkpoint's.

    One from before these were noted is believed, and what it is gone on with is said on stderr.

    Raises
    ------
    CheckpointError
        Naming the file, both hashes and the remedy.
    """
    for name, (what, _) in INPUTS.items():
        if name in found.record:
            check_input(found, name, here[name], ", or start afresh in another folder")
        elif here[name] is not None:
            print(
                f"note: {found.path.name} does not say on which data it was trained; the run goes on with {what} of "
                f"SHA-256 {here[name]}",
                file=sys.stderr,
            )


def check_input(found: Checkpoint, name: str, here: str | None, otherwise: str = "") -> None:
    """Refuse what is here if a checkpoint says that it was trained on something else; ``otherwise`` ends the remedy.

    Raises
    ------
    CheckpointError
        Naming the file, both hashes and the remedy.
    """
    what, remedy = INPUTS[name]
    if name in found.record and found.record[name] != here:
        raise CheckpointError(
            f"{found.path} was trained on {what} of SHA-256 {_said(found.record[name])}, and here is {here}: "
            f"{remedy}{otherwise}"
        )


def note_differences(found: Checkpoint) -> None:
    """Other versions or threads still train, but sums may be added in another order."""
    for what, now in (("threads", torch.get_num_threads()), ("torch", torch.__version__)):
        if found.record.get(what) != now:
            print(
                f"note: {found.path.name} was made with {what} {_said(found.record.get(what))}, this is {now}: "
                "the run goes on, but not to the same bits",
                file=sys.stderr,
            )


def _said(value: Any) -> str:
    """A value of the record as a message names it: short strings as they are."""
    return value if isinstance(value, str) and len(value) <= 64 else limits.shown(value)
