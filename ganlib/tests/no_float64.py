"""A device without float64, for machines that have none: tensors that say they are on MPS and refuse what MPS refuses.

`standing_in` makes it ganlib's device. Its tensors hold their content on the CPU. What MPS does is imitated where code
could tell: no float64, however it is asked for; no mixing of devices; generators of its own; none of the operators it
lacks (`LACKING`). `used` collects the operators that ran on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_flatten, tree_map

MPS = torch.device("mps", 0)
REFUSAL = (
    "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64. "
    "Please use float32 instead."
)
LACKING = {"_pdist_forward", "_upsample_bilinear2d_aa"}  # in torch 2.6, by its native_functions.yaml
WIDE = (torch.float64, torch.complex128)
MAKERS = (
    "arange",
    "empty",
    "eye",
    "full",
    "linspace",
    "ones",
    "rand",
    "randint",
    "randn",
    "randperm",
    "tensor",
    "zeros",
)
DRAWS = ("bernoulli_", "multinomial", "normal_", "random_", "uniform_")
used: set[str] = set()
_Generator, _to = torch.Generator, torch.Tensor.to


class OnMPS(torch.Tensor):
    """A tensor that says it is on MPS; to torch itself, which knows no MPS without a Mac, it is one of the CPU's."""

    held: torch.Tensor
    device = MPS  # type: ignore[assignment]
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnMPS:
        if held.dtype in WIDE:
            raise TypeError(REFUSAL)
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        made = torch.Tensor._make_wrapper_subclass(cls, held.shape, **layout)
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, flat = func.overloadpacket.__name__, tree_flatten((args, kwargs))[0]
        # The rules of derivatives make tensors of their own, on what they take for the device.
        others = [x for x in flat if isinstance(x, torch.Tensor) and not isinstance(x, OnMPS) and x.ndim]
        between = name == "copy_" or (name.startswith("index") and isinstance(args[0], OnMPS))
        if others and not between and torch._C._current_graph_task_id() == -1:
            raise RuntimeError(f"{func}: expected all tensors to be on the same device, but found mps:0 and cpu")
        if name in LACKING:
            raise NotImplementedError(f"The operator 'aten::{name}' is not currently implemented for the MPS device.")
        if name == "copy_" and not isinstance(args[0], OnMPS) and args[0].dtype in WIDE:
            raise TypeError(REFUSAL)  # what MPS does on the way to the CPU is not promised
        used.add(str(func))
        wrapped = {id(x.held): x for x in flat if isinstance(x, OnMPS)}

        def on_mps(x: Any) -> Any:
            if not isinstance(x, torch.Tensor) or any(x is other for other in others):
                return x
            return wrapped[id(x)] if id(x) in wrapped else OnMPS(x)

        args, kwargs = tree_map(lambda x: x.held if isinstance(x, OnMPS) else x, (args, kwargs or {}))
        return tree_map(on_mps, func(*args, **kwargs))

    def __repr__(self, **_: Any) -> str:
        return f"{self.held!r} on mps"


class _GeneratorOnMPS(_Generator):
    device = MPS


class Generator(_Generator):
    """torch.Generator, which makes those of MPS too."""

    def __new__(cls, device: Any = "cpu") -> Any:
        return _GeneratorOnMPS() if torch.device(device).type == "mps" else _Generator(device)


def _check(generator: Any, on_mps: bool) -> None:
    if generator is not None and isinstance(generator, _GeneratorOnMPS) != on_mps:
        where = "mps" if on_mps else "cpu"
        raise RuntimeError(f"Expected a '{where}' device type for generator but found '{generator.device}'")


def _maker(real: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(real)
    def make(*args: Any, **kwargs: Any) -> Any:
        device = kwargs.get("device")
        here = device is not None and torch.device(device).type == "mps"
        _check(kwargs.get("generator"), here)
        if here and kwargs.get("dtype") in WIDE:
            raise TypeError(REFUSAL)
        return OnMPS(real(*args, **{**kwargs, "device": "cpu"})) if here else real(*args, **kwargs)

    return make


def _draw(real: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(real)
    def draw(self: torch.Tensor, *args: Any, generator: Any = None, **kwargs: Any) -> Any:
        _check(generator, isinstance(self, OnMPS))
        return real(self, *args, generator=generator, **kwargs)

    return draw


def _move(self: torch.Tensor, *args: Any, copy: bool = False, **kwargs: Any) -> torch.Tensor:
    """torch.Tensor.to; a copy from one device to the other has no history here."""
    if args and isinstance(args[0], torch.Tensor):
        device, dtype = args[0].device, args[0].dtype
    else:
        device, dtype, *_ = torch._C._nn._parse_to(*args, **kwargs)
    was, dtype = isinstance(self, OnMPS), dtype or self.dtype
    will = was if device is None else device.type == "mps"
    if not was and not will:
        return _to(self, *args, copy=copy, **kwargs)
    if dtype in WIDE:
        raise TypeError(REFUSAL)
    if was and will:
        return _to(self, dtype, copy=copy)
    held = self.held if isinstance(self, OnMPS) else self.detach()
    return OnMPS(_to(held, dtype, copy=True)) if will else _to(held, device, dtype, copy=True)


@contextmanager
def standing_in() -> Iterator[torch.device]:
    """Inside, this device is there, and `ganlib.device.pick_device` picks it."""

    def there() -> bool:
        return True

    there.__wrapped__ = there  # torch looks behind its own cache
    to_list = torch.Tensor.tolist  # torch has none for subclasses
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "Generator", Generator)
        for name in MAKERS:
            patch.setattr(torch, name, _maker(getattr(torch, name)))
        for name in DRAWS:
            patch.setattr(torch.Tensor, name, _draw(getattr(torch.Tensor, name)))
        patch.setattr(torch, "multinomial", torch.Tensor.multinomial)
        patch.setattr(torch.Tensor, "to", _move)
        patch.setattr(torch.Tensor, "cpu", lambda self: _move(self, "cpu"))
        patch.setattr(torch.Tensor, "tolist", lambda self: to_list(_move(self, "cpu")))
        # Else Module.to would put what is on MPS into the shell of what was on the CPU.
        patch.setattr(torch.__future__, "get_overwrite_module_params_on_conversion", there)
        patch.setattr(torch.backends.mps, "is_available", there)
        patch.setenv("GANLIB_DEVICE", "mps")
        yield torch.device("mps")
