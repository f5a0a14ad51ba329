"""Layers of the paper's networks: affine maps on the fastest float32 product, dropout with the run's masks, maxout.

On x86 processors torch computes float32 matrix products with MKL, which leaves AVX-512 unused where the processor is
not Intel's; oneDNN, which torch ships too, does not. `Affine` takes oneDNN's product where it is there and worth
its call (benchmarks/floor.py measures both; docs/decisions/0003 says why). Results agree to float32 rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganlib import limits, randomness, tensors

# Multiply-adds from which oneDNN's faster product pays for its longer call.
WORTH_A_CALL = 2**22
_plain = False


class Affine(nn.Linear):
    """``torch.nn.Linear`` (same parameters, same initialisation) computed by `affine`."""

    def forward(self, x: Tensor) -> Tensor:
        return affine(x, self.weight, self.bias)


def affine(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x (m, inputs) times weight (outputs, inputs) transposed, plus bias (outputs,): (m, outputs)."""
    if (
        x.ndim == 2
        and x.shape[0] * weight.numel() >= WORTH_A_CALL
        and not _plain
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and onednn_is_faster()
    ):
        if torch._C._are_functorch_transforms_active():  # vmap: many nets at once
            batched: Tensor = _BatchedOneDNN.apply(x, weight, bias)
            return batched
        y: Tensor = _OneDNN.apply(x, weight, bias) if torch.is_grad_enabled() else _onednn(x, weight, bias)
        return y
    return functional.linear(x, weight, bias)


@cache
def onednn_is_faster() -> bool:
    """Whether this torch offers oneDNN's float32 product and this processor has the AVX-512 it uses."""
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    x, w = torch.arange(6.0).view(2, 3), torch.arange(12.0).view(4, 3)
    try:
        return bool(torch.equal(_onednn(x, w, None), x @ w.t()))
    except (AttributeError, RuntimeError):  # an operator torch does not promise to keep
        return False


@contextmanager
def plain() -> Iterator[None]:
    """Inside, every product is torch's own: to compare with, and where its operators must be counted."""
    global _plain
    before, _plain = _plain, True
    try:
        yield
    finally:
        _plain = before


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return y


class _OneDNN(torch.autograd.Function):
    """x @ weight.t() + bias, and the same product for its gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _onednn(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (g,), (x, weight) = gradients, ctx.saved_tensors
        dx = affine(g, weight.t(), None) if _wanted(ctx, 0) else None
        dw = affine(g.t(), x.t(), None) if _wanted(ctx, 1) else None
        return dx, dw, g.sum(0) if _wanted(ctx, 2) else None


class _BatchedOneDNN(torch.autograd.Function):
    """The same under vmap. Apart from `_OneDNN` because the form torch asks for there costs more at every call."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _onednn(x, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:2])

    backward = _OneDNN.backward

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *tensors: Tensor | None) -> tuple[Tensor, int]:
        # One product a net: batched products go to MKL, and these are large enough one by one.
        one_a_net = [
            [t] * info.batch_size if t is None or d is None else t.unbind(d)
            for t, d in zip(tensors, in_dims, strict=True)
        ]
        return torch.stack([affine(*one) for one in zip(*one_a_net, strict=True)]), 0


def _wanted(ctx: Any, index: int) -> bool:
    """Whether this backward pass asks for an input's gradient: not all that could be computed are."""
    if not ctx.needs_input_grad[index]:
        return False
    node = ctx.next_functions[index][0]
    try:
        return bool(torch._C._will_engine_execute_node(node))
    except (AttributeError, RuntimeError):  # torch cannot say, e.g. under torch.autograd.grad: compute it
        return True


class Dropout(nn.Module):
    """Dropout that keeps each input with probability ``keep`` and rescales it by 1/keep; none in evaluation mode.

    Inside a run the masks come from the run's own generators, one a seed (`ganlib.randomness`), else from torch's
    global one.

    Raises
    ------
    ValueError
        If ``keep`` is not in (0, 1].
    """

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.keep = limits.real("keep", keep, "(0, 1]")  # the probability to keep an input

    def forward(self, x: Tensor) -> Tensor:
        limits.kind("x", x, Tensor)
        if not self.training or self.keep == 1:
            return x
        if torch._C._are_functorch_transforms_active():  # vmap: many nets at once
            masks: Tensor = _KeepMask.apply(x, self.keep)
            return x * masks
        return x * _keep_mask(x, self.keep)

    def extra_repr(self) -> str:
        return f"keep={self.keep}"


def _keep_mask(x: Tensor, keep: float) -> Tensor:
    run = randomness.current()
    if run is None:
        return torch.rand(x.shape, device=x.device).lt_(keep).mul_(1 / keep).to(x.dtype)
    return run.keep_mask(x.shape, keep, x.dtype)


class _KeepMask(torch.autograd.Function):
    """Masks under vmap, where every net gets the mask of its own seed."""

    @staticmethod
    def forward(x: Tensor, keep: float) -> Tensor:
        return _keep_mask(x, keep)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None]:
        return None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, None], x: Tensor, keep: float) -> tuple[Tensor, int]:
        run = randomness.current()
        shape = torch.Size(n for i, n in enumerate(x.shape) if i != in_dims[0])
        if run is None or len(run.generators) != info.batch_size:
            raise RuntimeError("nets trained at once draw dropout masks only inside their run's context")
        return torch.stack([run.keep_mask(shape, keep, x.dtype, i) for i in range(info.batch_size)]), 0


class Maxout(nn.Module):
    """Maxout layer: the largest of ``pieces`` affine maps, for each unit (Goodfellow et al., 2013).

    Maps (m, inputs) to (m, units). The first ``units`` outputs of ``affine`` are every unit's first piece, and so on:
    the maximum then runs over whole rows of units and not over neighbours, which suits vector instructions.

    Raises
    ------
    ValueError
        If a size is not positive.
    """

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        for name, size in {"inputs": inputs, "units": units, "pieces": pieces}.items():
            limits.check(name, size)
        self.pieces = pieces
        self.affine = Affine(inputs, units * pieces)

    def forward(self, x: Tensor) -> Tensor:
        tensors.fits("x", x, self.affine.weight, ..., self.affine.in_features)
        pieces: Tensor = self.affine(x).unflatten(-1, (self.pieces, -1))
        return pieces.amax(-2)
