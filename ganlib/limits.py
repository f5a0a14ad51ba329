"""What a call may be given: counts, numbers, names. Beyond, torch and Python answer with tracebacks or not at all.

`ganlib.tensors` and `ganlib.tensors` ask the same of what holds many numbers.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INTEGRAL: Any = Integral  # for mypy, to which an int is none
REAL: Any = Real
# Of numbers of images, units, rows: no memory holds more, and products of a few of them still fit 64 bits.
SIZE = 10**14
# Of a side in pixels, and of what convolutions count.
SIDE = 2**16
# Of iterations and what counts them: curves keep them in float64, exact up to 2^53.
STEPS = 10**15
# Of seeds trained at once and of repeated trainings or draws: each is a net or a job in memory.
SEEDS = 10_000
# Of CPU threads: beyond some thousands their creation fails, and with it the process.
THREADS = 1024
# Of the command line's and the studies' seeds; torch takes twice as many, and negative ones.
SEED = 2**62 - 1
TORCH_SEEDS = (-(2**63), 2**64 - 1)
# Of numbers that float32 tensors are scaled, shifted or spread by: squares of most of them are still float32.
FLOAT32 = "[-1e30, 1e30]"
POSITIVE32 = "[1e-30, 1e30]"


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
    if getattr(value, "shape", ()) and hasattr(value, "dtype"):  # an array or a tensor
        return f"a {type(value).__name__} of {value.dtype} {tuple(getattr(value, 'shape', ()))}"
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # a list of integers that Python refuses to print
        text = type(value).__name__
    return text if len(text) <= 200 else f"{text[:60]}... (a {type(value).__name__})"


def check(name: str, value: Any, least: int = 1, most: int = SIZE) -> int:
    """A whole number within least..most, as an int.

    Parameters
    ----------
    name, value : of the number, an int or one of numpy's.
    least, most : its range, both ends included.

    Raises
    ------
    TypeError
        Naming the value, if it is no integer: 2.0 and True are none.
    ValueError
        Naming the value and the range.

    Examples
    --------
    >>> check("k", 11, most=10)
    Traceback (most recent call last):
    ValueError: k is 11; it must be from 1 to 10
    """
    if type(value) is int and least <= value <= most:  # first and fast: minibatches ask it too
        return value
    if isinstance(value, bool) or not isinstance(value, INTEGRAL):
        raise TypeError(f"{name} is {shown(value)}; give a whole number, of type int")
    if problem := outside(name, int(value), least, most):
        raise ValueError(problem)
    return int(value)  # torch takes numpy's in some places only


def outside(name: str, value: int, least: int = 1, most: int = SIZE) -> str:
    """What `check` says; empty if the value is within the range."""
    if value < least:
        return f"{name} is {shown(value)}; it must be at least {least}"
    return f"{name} is {shown(value)}; it must be from {least} to {most}" if value > most else ""


def real(name: str, value: Any, within: str = "(-inf, inf)") -> float:
    """A finite number of an interval, as a float.

    Parameters
    ----------
    name, value : of the number, an int, a float or one of numpy's.
    within : the interval as it is printed; a round bracket leaves its end out.

    Raises
    ------
    TypeError
        Naming the value, if it is no number.
    ValueError
        Naming the value and the interval, if it is not finite or lies outside.

    Examples
    --------
    >>> real("share", 1, "(0, 1]")
    1.0
    >>> real("lr", 0, "(0, inf)")
    Traceback (most recent call last):
    ValueError: lr is 0; it must be a finite number in (0, inf)
    """
    if isinstance(value, bool) or not isinstance(value, REAL):
        raise TypeError(f"{name} is {shown(value)}; give a number, of type float or int")
    try:
        number = float(value)
    except OverflowError:  # an integer beyond all floats
        number = math.inf
    least, most = map(float, within[1:-1].split(","))
    above = number > least if within[0] == "(" else number >= least
    below = number < most if within[-1] == ")" else number <= most
    if not (above and below and math.isfinite(number)):
        raise ValueError(f"{name} is {shown(value)}; it must be a finite number in {within}")
    return number


def one_of(name: str, value: Any, choices: Collection[str]) -> None:
    """Refuse what is none of the choices: ValueError, naming it and them.

    Examples
    --------
    >>> one_of("law", "cauchy", ("uniform", "normal"))
    Traceback (most recent call last):
    ValueError: law is 'cauchy'; there are uniform, normal
    """
    if not isinstance(value, str) or value not in choices:  # a list cannot be looked up
        raise ValueError(f"{name} is {shown(value)}; there are {', '.join(choices)}")


def flag(name: str, value: Any) -> None:
    """Refuse what is neither True nor False: TypeError, naming it. The text "no" would count as True."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {shown(value)}; give True or False")


def kind(name: str, value: Any, wanted: Any, remedy: str = "") -> None:
    """Refuse what is not of the type wanted, or of none of these: TypeError, naming both.

    Examples
    --------
    >>> kind("rng", 0, dict)
    Traceback (most recent call last):
    TypeError: rng is 0; give a dict
    """
    if not isinstance(value, wanted):
        names = " or ".join(each.__name__ for each in (wanted if isinstance(wanted, tuple) else (wanted,)))
        raise TypeError(f"{name} is {shown(value)}; give a {names}{remedy and f': {remedy}'}")


def floats(name: str, values: Any, *, finite: bool = True) -> NDArray[np.float64]:
    """Numbers as a float64 array.

    Parameters
    ----------
    name, values : an array, nested lists of numbers, or a tensor on any device, of which only the numbers are taken.
    finite : refuse nan and infinities.

    Raises
    ------
    TypeError
        If they are no real numbers: text, None, complex numbers or masked ones.
    ValueError
        If they are of no one shape, there are none, or one is not finite.

    Examples
    --------
    >>> floats("p", [1, 2])
    array([1., 2.])
    """
    import numpy as np  # here: the command line checks what it was asked for before it imports anything slow

    given = values
    if hasattr(given, "detach"):  # a tensor; torch is not imported for it
        given = given.detach().cpu()
        given = given if given.is_complex() else given.double().numpy()
    if isinstance(given, np.ma.MaskedArray):
        raise TypeError(f"{name} is masked, and a mask means nothing here: give name.filled(0), or what you mean")
    try:
        array = np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name} is no array of one shape ({error}); give rows of one length") from None
    if array.dtype.kind == "O" and array.size and all(isinstance(each, Real) for each in array.flat):
        try:
            array = array.astype(np.float64)  # integers beyond 64 bits
        except OverflowError:
            raise ValueError(f"{name} holds {shown(max(array.flat, key=abs))}; no float is that large") from None
    if array.dtype.kind not in "buif":
        raise TypeError(f"{name} is {shown(values)}; give real numbers: an array or a list of them")
    if array.size == 0:
        raise ValueError(f"{name} is empty; give at least one value")
    with np.errstate(over="ignore"):  # of long doubles
        array = array.astype(np.float64, copy=False)
    bad = ~np.isfinite(array)
    if finite and bad.any():
        raise ValueError(f"{name} holds {array[bad][0]}; give finite numbers")
    return array
