"""Large float32 products by oneDNN, where torch's own leave half of the processor idle.

On x86 processors torch computes float32 matrix products with MKL, which leaves AVX-512 unused where the processor is
not Intel's; oneDNN, which torch ships too, does not. `products` hands the layers' and measures' products to it while it
lasts, if that is worth its call (benchmarks/floor.py measures both; docs/decisions/0003 says why). Results agree to
float32 rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

# Multiply-adds from which oneDNN's faster product pays for its longer call.
WORTH_A_CALL = 2**22
_plain = False


def products(*nets: nn.Module, rows: int = 0) -> AbstractContextManager[Any]:
    """Inside, every large ``torch.nn.functional.linear`` in float32 on the CPU is oneDNN's, if that is the faster here.

    Parameters
    ----------
    nets, rows : what is computed, and the rows of a minibatch of all nets together: without one layer that is large
        enough nothing is done, for each call of torch costs a little more inside. No nets: always.
    """
    if _plain or not onednn_is_faster():
        return nullcontext()
    sizes = (layer.weight.numel() for net in nets for layer in net.modules() if isinstance(layer, nn.Linear))
    return nullcontext() if nets and rows * max(sizes, default=0) < WORTH_A_CALL else _Products()


@contextmanager
def plain() -> Iterator[None]:
    """Inside, `products` changes nothing: to compare with, and where torch's own operators must be counted."""
    global _plain
    before, _plain = _plain, True
    try:
        yield
    finally:
        _plain = before


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


class _Products(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is functional.linear:
            return linear(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (m, inputs) times weight (outputs, inputs) transposed, plus bias (outputs,): (m, outputs), by oneDNN if large.

    The names are those of ``torch.nn.functional.linear``, in whose place it is called.
    """
    x = input
    if not (
        x.ndim == 2
        and x.shape[0] * weight.numel() >= WORTH_A_CALL
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
    ):
        return functional.linear(x, weight, bias)
    if torch._C._are_functorch_transforms_active():  # vmap: many nets at once
        batched: Tensor = _BatchedOneDNN.apply(x, weight, bias)
        return batched
    y: Tensor = _OneDNN.apply(x, weight, bias) if torch.is_grad_enabled() else _onednn(x, weight, bias)
    return y


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
        dx = linear(g, weight.t(), None) if _wanted(ctx, 0) else None
        dw = linear(g.t(), x.t(), None) if _wanted(ctx, 1) else None
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
        return torch.stack([linear(*one) for one in zip(*one_a_net, strict=True)]), 0


def _wanted(ctx: Any, index: int) -> bool:
    """Whether this backward pass asks for an input's gradient: not all that could be computed are."""
    if not ctx.needs_input_grad[index]:
        return False
    node = ctx.next_functions[index][0]
    try:
        return bool(torch._C._will_engine_execute_node(node))
    except (AttributeError, RuntimeError):  # torch cannot say, e.g. under torch.autograd.grad: compute it
        return True
