"""What every widget has: its module, the common style, and large assets sent only when they are asked for."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import anywidget
import traitlets

from ganlib.widgets.bundle import FOLDER, bundle

if TYPE_CHECKING:
    Float = traitlets.Float[float, int | float]
    Enum = traitlets.Enum[Any]
else:  # traitlets 5.7, which Colab has, knows no subscript
    Float = traitlets.Float
    Enum = traitlets.Enum


LARGEST = sys.float_info.max


class Finite(Float):
    """A finite number within limits.

    A page's state is JSON, which has neither nan nor infinity. nan passes a comparison with limits.

    Raises
    ------
    traitlets.TraitError
        On assignment, if the value is no number, not finite or beyond ``min`` or ``max``; it names trait and value.
    """

    def info(self) -> str:
        limited = math.isfinite(self.min) or math.isfinite(self.max)
        return f"a finite number in [{self.min:g}, {self.max:g}]" if limited else "a finite number"

    def validate(self, obj: Any, value: Any) -> float:
        # Not `math.isfinite`, which an integer beyond all floats makes fail.
        if not isinstance(value, int | float) or not max(self.min, -LARGEST) <= value <= min(self.max, LARGEST):
            self.error(obj, value)
        return float(value)


class Choice(Enum):
    """One of several texts or numbers. Other types are refused before they are compared: an array equals nothing.

    Raises
    ------
    traitlets.TraitError
        On assignment, if the value is none of them; it names trait and value.
    """

    def validate(self, obj: Any, value: Any) -> Any:
        if type(value) not in (str, int):
            self.error(obj, value)
        return super().validate(obj, value)


class Widget(anywidget.AnyWidget):
    """A widget that computes in the browser; the same object in JupyterLab, Colab and the book's pages.

    A subclass has its settings as synchronised traits, and large assets, if any, as functions that return their bytes.
    A setting changed in the page is the trait's new value in Python, and the other way round.

    ``module`` is the file name of its ES module; no class keyword, which traitlets refuses before 5.12.
    ``assets`` has by name what the browser may ask for. The kernel answers; on a page without a kernel the page's own
    loader does, with files the book's build wrote from the same functions.
    """

    module: ClassVar[str] = ""
    assets: ClassVar[dict[str, Callable[[], bytes]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        if "module" in vars(cls):
            cls._esm = bundle(cls.module)
            cls._css = (FOLDER / "widgets.css").read_text(encoding="utf-8")
        super().__init_subclass__(**options)

    def __init__(self, **settings: Any) -> None:
        unknown = sorted(set(settings) - set(self.trait_names()))
        if unknown:
            own = [name for name in self.class_own_traits() if not name.startswith("_")]
            raise TypeError(
                f"{type(self).__name__} has no setting {unknown[0]!r}; there are {', '.join(own) or 'none'}"
            )
        super().__init__(**settings)
        self.on_msg(self._answer)

    def _answer(self, _: Any, content: Any, __: Any) -> None:
        """Send an asset the browser asks for, or the reason why there is none."""
        name = content.get("want") if isinstance(content, dict) else None
        if not isinstance(name, str):
            return
        try:
            if name not in self.assets:
                raise ValueError(f"no asset {name!r}")
            found = self.assets[name]()
        except (OSError, ValueError, ImportError) as error:
            self.send({"have": name, "error": str(error)})
        else:
            self.send({"have": name}, buffers=[found])
