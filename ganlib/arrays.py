"""What a function of numpy arrays asks of them, before any work; `ganlib.tensors` asks it of torch's."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganlib.limits import shown


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
