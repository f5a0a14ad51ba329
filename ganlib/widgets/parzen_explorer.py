"""The Parzen score over its width: a model's samples, training images and k-means centres, and what each would draw."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import traitlets

from ganlib.data.files import read_json
from ganlib.widgets.base import Choice, Finite, Widget

SWEEP = Path(__file__).parent / "assets" / "parzen-sweep.json"
# What the browser needs; the file's settings and provenance stay behind.
WANTED = ("sigmas", "valid", "test", "shape", "published", "run", "iteration")
STYLES = 4  # curves that can be told apart


class ParzenExplorer(Widget):
    """Parzen log-likelihood of test images over sigma, for several sets of kernels, with draws from each estimate.

    The slider moves over the widths of the sweep; nothing is interpolated. Shown for the width chosen: every set's mean
    log-likelihood with its standard error, the width that validation images choose for it and the value there, and
    draws "kernel + sigma * noise", with the same noise for every set.

    Parameters
    ----------
    sigma : the width, in pixels of [0, 1]; the nearest one of the sweep is taken.
    widths : which widths the validation images may choose from: "all" of the sweep, or the "paper"'s ten.
    seed : of the noise, >= 0.
    sweep : what `ganlib.lab.parzen_sweep` made: a dict, or its JSON's path; default the one that comes with ganlib, of
        the run mnist-paper. It cannot be changed later.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If ``sweep`` is neither dict nor path.
    ValueError
        If ``sweep`` is not such a result.
    traitlets.TraitError
        If a setting is out of its range.

    Notes
    -----
    The protocol: Goodfellow et al. (2014), section 5. Why not to trust it: Theis, van den Oord & Bethge (2016).
    """

    module: ClassVar[str] = "parzen_explorer.js"
    sigma = Finite(help="width of the kernels").tag(sync=True)
    widths = Choice(("all", "paper"), "all", help="widths to choose from").tag(sync=True)
    seed = traitlets.Int(0, min=0, max=2**31 - 1, help="of the noise").tag(sync=True)
    sweep = traitlets.Dict(read_only=True, help="scores and example kernels").tag(sync=True)

    def __init__(self, sweep: Mapping[str, Any] | str | Path | None = None, **settings: Any) -> None:
        if not isinstance(sweep, Mapping | str | Path | None):
            raise TypeError(f"sweep is {sweep!r}; give the dict or the path of the JSON made by python -m ganlib sweep")
        found = sweep if isinstance(sweep, Mapping) else _read(SWEEP if sweep is None else Path(sweep))
        _check(found)
        # First: sigma is checked against it.
        self.set_trait("sweep", {name: found[name] for name in (*WANTED, "sets") if name in found})
        if "sigma" not in settings:
            settings["sigma"] = found["sigmas"][found["sets"][0]["chosen"]]
        super().__init__(**settings)

    @traitlets.validate("sigma")
    def _nearest(self, proposal: Any) -> float:
        """The width of the sweep nearest on a logarithmic scale."""
        sigmas, asked = self.sweep["sigmas"], proposal["value"]
        if not 0.999 * sigmas[0] <= asked <= 1.001 * sigmas[-1]:
            raise traitlets.TraitError(f"sigma is {asked}; the sweep goes from {sigmas[0]:.4g} to {sigmas[-1]:.4g}")
        return float(min(sigmas, key=lambda each: abs(math.log(each / asked))))


def _read(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"no {path.name}: make one with python -m ganlib sweep FOLDER --out {path.name}")
    try:
        return read_json(path)
    except ValueError as error:
        raise ValueError(f"{path} is no sweep ({error}); give a result of python -m ganlib sweep") from None


def _check(sweep: Any) -> None:
    """Refuse what is not a sweep, naming what is wrong."""
    if not isinstance(sweep, Mapping):
        raise ValueError(f"the sweep is a {type(sweep).__name__}; give a result of python -m ganlib sweep")
    missing = [name for name in ("sigmas", "valid", "test", "shape", "sets") if name not in sweep]
    if missing:
        raise ValueError(f"the sweep has no {missing[0]!r}; give a result of python -m ganlib sweep")
    sigmas, sets = sweep["sigmas"], sweep["sets"]
    if len(sigmas) < 2 or sorted(set(sigmas)) != sigmas or not 0 < sigmas[0] <= sigmas[-1] < math.inf:
        raise ValueError(f"the sweep's sigmas are {sigmas}; they must be positive and rise")
    if not 1 <= len(sets) <= STYLES:
        raise ValueError(f"the sweep has {len(sets)} sets of kernels; 1 to {STYLES} can be shown")
    height, width = sweep["shape"]
    for each in sets:
        for curve in ("valid", "test", "standard_error"):
            if len(each[curve]) != len(sigmas):
                raise ValueError(f"{each['name']!r} has {len(each[curve])} {curve} values for {len(sigmas)} sigmas")
            if bad := [score for score in each[curve] if not math.isfinite(score)]:
                raise ValueError(f"{each['name']!r} has {bad[0]} among its {curve} values; they must be finite")
        pixels = len(base64.b64decode(each["examples"]))
        if not pixels or pixels % (height * width):
            raise ValueError(f"{each['name']!r} has examples of {pixels} bytes; images are {height} x {width}")
