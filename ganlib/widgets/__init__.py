"""Widgets of the book: they compute in the browser, so that a page without a kernel is alive.

They need the package anywidget (``pip install 'ganlib[notebook]'``); nothing else in ganlib does. Where it is missing
each name is a stand-in that says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = [
    "DiracGan",
    "Figure1Live",
    "LatentExplorer",
    "OptimalDiscriminator",
    "ParzenExplorer",
    "Playground",
    "Widget",
]

try:
    import anywidget  # noqa: F401

    missing = False
except ModuleNotFoundError as error:
    if error.name and error.name != "anywidget":  # one that it needs itself
        raise
    missing = True

if TYPE_CHECKING or not missing:
    from ganlib.widgets.base import Widget
    from ganlib.widgets.dirac_gan import DiracGan
    from ganlib.widgets.figure1_live import Figure1Live
    from ganlib.widgets.latent_explorer import LatentExplorer
    from ganlib.widgets.optimal_discriminator import OptimalDiscriminator
    from ganlib.widgets.parzen_explorer import ParzenExplorer
    from ganlib.widgets.playground import Playground
else:
    from ganlib.widgets.absent import stand_in

    globals().update({name: stand_in(name) for name in __all__})
