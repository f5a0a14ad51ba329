"""How much the samples of several sequences are worth, and how fast two samplers make them, side by side."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlib.device import double
from ganlib.lab.studies.common import figure
from ganlib.metrics.autocorrelation import autocorrelation, effective_samples

OVER_SEQUENCES = "standard error over sequences"


def correlation(states: Tensor, lags: list[int]) -> dict[str, Any]:
    """Autocorrelation and effective samples of sequences of binary states.

    Parameters
    ----------
    states : (sequences, n, pixels) of 0 and 1, n >= 4, three sequences or more.
    lags : each below n.

    Returns
    -------
    dict
        "autocorrelation" ("values" by lag, each the mean over sequences), "effective_samples_per_10000" and
        "effective_samples_per_10000_between" (figures, see `between`), each with its +- over sequences.

    Raises
    ------
    ValueError
        As `ganlib.metrics.autocorrelation`, and `between`.
    """
    count, n, _ = states.shape
    curves = np.array([autocorrelation(sequence.float(), lags) for sequence in states])
    worth = np.array([effective_samples(sequence.float()) for sequence in states]) * 10_000 / n
    pooled = between(states) * 10_000 / n
    n_is, unit = f"sequences of {n:,} samples", "independent samples"
    spread = math.sqrt((count - 1) / count * ((pooled[1:] - pooled[1:].mean()) ** 2).sum().item())
    return {
        "autocorrelation": {
            "values": curves.mean(0).tolist(),
            "plus_minus": standard_error(curves),
            "plus_minus_is": OVER_SEQUENCES,
            "n": count,
            "n_is": n_is,
        },
        "effective_samples_per_10000": figure(
            worth.mean().item(), unit, count, n_is, standard_error(worth), OVER_SEQUENCES
        ),
        "effective_samples_per_10000_between": figure(
            pooled[0].item(), unit, count, n_is, spread, f"jackknife {OVER_SEQUENCES}"
        ),
    }


def between(states: Tensor) -> np.ndarray:
    """Effective samples of one of several sequences: the variance of its samples over that of its mean.

    Both variances are taken about the mean of all sequences, so a chain that stays where it started is not taken for
    one that mixes, as it is where each sequence is centred by itself.

    Parameters
    ----------
    states : (sequences, n, pixels) of 0 and 1, of independent starts; three sequences or more.

    Returns
    -------
    ndarray
        (1 + sequences,): of all sequences, then with each one left out.

    Raises
    ------
    ValueError
        If there are fewer than three sequences.
    """
    if len(states) < 3:
        raise ValueError(
            f"there are {len(states)} sequences; their means' variance takes at least 3, one of them left out"
        )
    means = double(torch.stack([sequence.float().mean(0) for sequence in states]))
    found = []
    for left_out in (None, *range(len(states))):
        kept = means if left_out is None else torch.cat([means[:left_out], means[left_out + 1 :]])
        pooled = kept.mean(0)
        found.append((pooled * (1 - pooled)).sum() / kept.var(0).sum())  # states are 0 or 1
    values: np.ndarray = torch.stack(found).cpu().numpy()
    return values


def in_turn(samplers: Mapping[str, Callable[[], Tensor]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each sampler in each round, on one thread, one after the other; a first round is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in samplers}
    with _one_thread():
        for again in range(rounds + 1):
            for name, work in samplers.items():
                begun = time.perf_counter()
                work().sum().item()  # the number is on the CPU only when the work is done
                if again:
                    seconds[name].append(time.perf_counter() - begun)
    return seconds


def median(values: list[float], unit: str) -> dict[str, Any]:
    """A figure: the median of timed rounds, +- the round farthest from it."""
    middle = statistics.median(values)
    spread = max(max(values) - middle, middle - min(values))
    return figure(
        middle, unit, len(values), "timed rounds (median)", spread, "the round farthest from it: timing alone"
    )


def standard_error(values: np.ndarray) -> Any:
    """Standard error of the mean over the first axis: a number, or a list of them."""
    return (values.std(0, ddof=1) / math.sqrt(len(values))).tolist()


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
