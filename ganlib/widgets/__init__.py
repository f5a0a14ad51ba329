"""Widgets of the book: they compute in the browser, so that a page without a kernel is alive.

Needs the package anywidget (``pip install 'ganlib[notebook]'``); nothing else in ganlib does.
"""

from __future__ import annotations

try:
    import anywidget  # noqa: F401
except ImportError as error:
    raise ImportError("ganlib.widgets needs the package anywidget: pip install 'ganlib[notebook]'") from error

from ganlib.widgets.base import Widget
from ganlib.widgets.dirac_gan import DiracGan
from ganlib.widgets.figure1_live import Figure1Live
from ganlib.widgets.latent_explorer import LatentExplorer
from ganlib.widgets.optimal_discriminator import OptimalDiscriminator
from ganlib.widgets.parzen_explorer import ParzenExplorer
from ganlib.widgets.playground import Playground

__all__ = [
    "DiracGan",
    "Figure1Live",
    "LatentExplorer",
    "OptimalDiscriminator",
    "ParzenExplorer",
    "Playground",
    "Widget",
]
