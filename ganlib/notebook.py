"""What a chapter's first cell calls, and how a chapter hands a computed number to its prose.

Works alike in Jupyter, in Colab and in the rendered book, and needs nothing of the book's tool chain.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from ganlib import figures
from ganlib.data import fetched
from ganlib.data.files import read_json
from ganlib.device import asked_for, describe, pick_device


def setup(device: str | None = None) -> torch.device:
    """Prepare a chapter: the book's figure style, sharp inline figures, and the device; a GPU is named in one line.

    Returns
    -------
    torch.device
        As `ganlib.device.pick_device` picks it; pass "cpu" to force the CPU.
    """
    figures.use_style()
    if _in_ipython():  # elsewhere the call would start a shell, and figures are shown by whatever backend there is
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("retina")
    picked = pick_device(device, report=False)
    return pick_device(device) if on_gpu(picked) else picked  # on a page, "runs on the CPU" tells a reader nothing


def on_gpu(device: torch.device) -> bool:
    """Whether there is a GPU to spend a full budget on; chapters choose their budget by it and say so."""
    return device.type != "cpu"


def gpu_check(chapter: str) -> None:
    """Say what there is to run on, and what the chapter will therefore run; an exported notebook calls it first.

    Parameters
    ----------
    chapter : "budgets" if the chapter has a small budget for a CPU and a full one for a GPU, "complete" if it runs the
        same on both, "cpu" if it asks for the CPU.

    Raises
    ------
    ValueError
        If ``chapter`` is none of these.
    """
    if chapter not in ("budgets", "complete", "cpu"):
        raise ValueError(f"gpu_check got {chapter!r}; pass 'budgets', 'complete' or 'cpu'")
    device = pick_device(report=False)
    found = on_gpu(device)
    print(f"GPU found: {describe(device)}." if found else f"No GPU in use: {describe(device)}.")
    if chapter == "cpu":
        print("This chapter asks for the CPU, with a GPU or without. It runs all it has.")
    elif chapter == "complete":
        print("This chapter has one budget, the same on a CPU and a GPU. It runs all it has.")
    elif found:
        print("This chapter runs its full budget on it.")
    else:
        print("This chapter runs its small budget, made for two CPU cores.")
        if asked_for():
            print("The environment variable GANLIB_DEVICE asks for this device; without it ganlib looks for a GPU.")
        else:
            print("For the full one choose a GPU (in Colab: Runtime, Change runtime type), then run all cells again.")


def committed(name: str) -> Path:
    """The path of a result committed with the book: in a checkout, else fetched once from the published repository.

    Parameters
    ----------
    name : of a file of ``book/results``, or with its folder: "benchmarks/results/floor.json".

    Raises
    ------
    FileNotFoundError, ConnectionError, ValueError
        As `ganlib.data.fetched.find`.
    """
    return fetched.find(name if "/" in name else f"book/results/{name}")


def committed_result(name: str) -> Any:
    """The content of the committed result ``name``.json. Parameters and errors as `committed`."""
    path = committed(f"{name}.json")
    try:
        return read_json(path)
    except ValueError as error:
        raise ValueError(f"{path} is no result as they are committed ({error}): get it anew") from None


def glue(name: str, value: Any) -> None:
    """Store a computed value under a name, for the page's prose to quote with the role ``{glue:text}``.

    The same output the book's renderer (myst-nb) stores, so that a chapter runs where that package is not installed.
    Outside a notebook it does nothing.

    Parameters
    ----------
    name : unique in the book.
    value : number or string; a number is formatted where it is quoted.

    Raises
    ------
    TypeError
        If the value is a tensor or an array: convert it to a number first.
    """
    if hasattr(value, "shape") and not isinstance(value, int | float):
        raise TypeError(f"glue({name!r}) got a {type(value).__name__}; pass a plain number (.item()) or a string")
    if not _in_ipython():
        return
    from IPython.display import display

    prefix = "application/papermill.record/"
    metadata = {"scrapbook": {"name": name, "mime_prefix": prefix}}
    display({f"{prefix}text/plain": repr(value)}, raw=True, metadata=metadata)


def _in_ipython() -> bool:
    """Whether this is a notebook or another IPython shell; where it is not imported, none runs."""
    if sys.modules.get("IPython") is None:
        return False
    from IPython.core.getipython import get_ipython

    return get_ipython() is not None
