"""What a function of tensors asks of them, before any work; `ganlib.limits` asks it of single numbers.

Looking at values waits for the device, so nothing here but `fits` and `drawing` belongs into a training's loop.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ganlib import limits
from ganlib.device import double

EXACT = "donot_use_mm_for_euclid_dist"  # of torch.cdist: differences, not the products that cancel


def real(name: str, x: Any, *, rank: int = 1, finite: bool = True) -> Tensor:
    """The tensor's numbers in floating point and without their graph: halves as float32, integers as float64.

    Parameters
    ----------
    name, x : a tensor of real numbers of any type, with ``rank`` axes or more.
    finite : refuse values that are not.

    Raises
    ------
    TypeError
        If it is no tensor, a sparse one, or of complex numbers.
    ValueError
        If it has fewer axes, holds no value, or one that is not finite.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} is {limits.shown(x)}; give a torch tensor, such as torch.tensor(values)")
    if x.layout != torch.strided or x.is_quantized or x.is_complex():
        raise TypeError(f"{name} is {x.dtype}, {x.layout}; give a dense tensor of real numbers")
    if x.device.type == "meta" or x.ndim < rank or not x.numel():
        axes = ", ".join(["n >= 1", "...", "..."][:rank])
        raise ValueError(f"{name} is {tuple(x.shape)} on {x.device}; give one or more, ({axes}), with values")
    found: Tensor = x.detach()
    if found.dtype not in (torch.float32, torch.float64):
        found = found.float() if found.is_floating_point() else double(found)
    # In one pass, without a tensor of booleans: not-a-number is an extreme too.
    if finite and not all(math.isfinite(extreme) for extreme in torch.aminmax(found)):
        raise ValueError(f"{name} holds values that are not finite; a diverged generator cannot be scored")
    return found


def points(**sets: Tensor) -> list[Tensor]:
    """Sets of points as matrices (n, d) of one width, type and device, finite; see `real`.

    Raises
    ------
    TypeError, ValueError
        As `real`, for (n, ...) of at least two axes; ValueError if their trailing shapes or their devices differ.
    """
    found = [real(name, x, rank=2) for name, x in sets.items()]
    for name, x in list(sets.items())[1:]:
        first, other = next(iter(sets.items()))
        if other.shape[1:] != x.shape[1:]:
            raise ValueError(
                f"{first} is {tuple(other.shape)}, {name} {tuple(x.shape)}: give one or more of each, in one shape"
            )
        if other.device != x.device:
            raise ValueError(f"{first} is on {other.device}, {name} on {x.device}: put both on one device")
    wide = any(x.dtype == torch.float64 for x in found)
    return [(double(x) if wide else x).flatten(1) for x in found]


def scaled(*tensors: Tensor) -> tuple[list[Tensor], float]:
    """The tensors divided by one power of two, and that power: 1 unless their squares would leave the number format.

    A length computed from them and multiplied by the power is the same to the last bit, only not infinite or 0.
    """
    power = unit(max(x.abs().max().item() for x in tensors), tensors[0].dtype)
    return ([x / power for x in tensors] if power != 1 else list(tensors)), power


def unit(largest: float, dtype: torch.dtype = torch.float64) -> float:
    """The power of two to divide numbers of this size by; see `scaled`."""
    safe, most = (300, 1000) if dtype == torch.float64 else (40, 120)
    exponent = math.frexp(largest)[1]
    return 1.0 if not largest or abs(exponent) <= safe else 2.0 ** max(-most, min(most, exponent))


def fits(name: str, x: Any, weight: Any, *shape: Any) -> None:
    """Refuse a net's input that is not of m rows of a shape, in the weight's number format and on its device.

    Compared on the host alone. Without a shape any (m, ...) will do; one that begins with ... may have any axes in
    front of its last, or none, as a single latent has. Under autocast the number formats may differ.

    Raises
    ------
    TypeError
        If it is no tensor or in another number format.
    ValueError
        If it has another shape or is on another device.
    """
    if not isinstance(x, Tensor) or x.layout != torch.strided:
        raise TypeError(f"{name} is {limits.shown(x)}; give a dense torch tensor")
    if x.shape[-1:] != shape[1:] if shape[:1] == (...,) else x.ndim < 2 or (shape and x.shape[1:] != shape):
        wanted = ", ".join("..." if each is ... else str(each) for each in shape) or "..."
        raise ValueError(f"{name} is {tuple(x.shape)}; the net takes ({'' if shape[:1] == (...,) else 'm, '}{wanted})")
    if x.device != weight.device:
        raise ValueError(f"{name} is on {x.device}, the net on {weight.device}; move one of them with .to(device)")
    if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
        raise TypeError(f"{name} is {x.dtype}, the net {weight.dtype}; give {name}.to({weight.dtype})")


def drawing(m: Any, rng: Any, device: torch.device | None = None) -> None:
    """Refuse a minibatch of m drawn with rng where m is no count, or rng no generator, or not one of the device."""
    limits.check("m", m)
    if not isinstance(rng, torch.Generator):
        generator("rng", rng)
    if device is not None and rng.device.type != device.type:
        raise ValueError(f"rng is on {rng.device}, the data on {device}; give torch.Generator({str(device)!r})")


def generator(name: str, rng: Any) -> None:
    """Refuse what is no generator of random numbers, told by its device and its seed: TypeError, naming it."""
    if not isinstance(getattr(rng, "device", None), torch.device) or not hasattr(rng, "manual_seed"):
        raise TypeError(f"{name} is {limits.shown(rng)}; give a torch.Generator")


def device_of(net: nn.Module) -> torch.device:
    """Where a net computes: its first weight's device, or the CPU for a net without."""
    limits.kind("net", net, nn.Module)
    for weight in (*net.parameters(), *net.buffers()):
        return weight.device
    return torch.device("cpu")
