"""Ranges of counts and seeds. Beyond them torch and Python answer with tracebacks or not at all, so they come first."""

from __future__ import annotations

# Of numbers of images, units, rows: no memory holds more, and products of a few of them still fit 64 bits.
SIZE = 10**14
# Of iterations and what counts them: curves keep them in float64, exact up to 2^53.
STEPS = 10**15
# Of seeds trained at once and of repeated trainings or draws: each is a net or a job in memory.
SEEDS = 10_000
# Of CPU threads: beyond some thousands their creation fails, and with it the process.
THREADS = 1024
# Of the command line's and the studies' seeds; torch takes twice as many, and negative ones.
SEED = 2**62 - 1
TORCH_SEEDS = (-(2**63), 2**64 - 1)


def shown(value: object) -> str:
    """A value as a message names it: an endless one is cut, an integer that Python refuses to print is measured.

    Examples
    --------
    >>> shown(12), shown("9" * 100), shown(10**5000)
    ('12', "'999999999999999999999999999999...' (100 characters)", 'an integer of 16610 bits')
    """
    if isinstance(value, int) and value.bit_length() > 200:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, str) and len(value) > 60:
        return f"{value[:30] + '...'!r} ({len(value)} characters)"
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}..."


def check(name: str, value: int, least: int = 1, most: int = SIZE) -> None:
    """Refuse a number outside least..most.

    Parameters
    ----------
    name, value : of the number.
    least, most : its range, both ends included.

    Raises
    ------
    ValueError
        Naming the value and the range.

    Examples
    --------
    >>> check("k", 11, most=10)
    Traceback (most recent call last):
    ValueError: k is 11; it must be from 1 to 10
    """
    if problem := outside(name, value, least, most):
        raise ValueError(problem)


def outside(name: str, value: int, least: int = 1, most: int = SIZE) -> str:
    """What `check` says; empty if the value is within the range."""
    if value < least:
        return f"{name} is {shown(value)}; it must be at least {least}"
    return f"{name} is {shown(value)}; it must be from {least} to {most}" if value > most else ""
