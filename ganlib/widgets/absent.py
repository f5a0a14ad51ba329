"""What stands in a widget's place where the package anywidget is missing, so that a chapter's other cells still run."""

from __future__ import annotations

from typing import Any


def stand_in(name: str) -> type:
    """A class that takes the settings of the widget ``name``, and shows what to install instead of it.

    Examples
    --------
    >>> stand_in("DiracGan")(lr=0.1)
    DiracGan is a widget and needs the package anywidget: pip install anywidget, then run this cell again
    """
    says = f"{name} is a widget and needs the package anywidget: pip install anywidget, then run this cell again"

    class Absent:
        def __init__(self, **settings: Any) -> None:
            pass

        def __repr__(self) -> str:
            return says

    Absent.__name__ = Absent.__qualname__ = name
    return Absent
