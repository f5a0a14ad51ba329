"""Many seeds at once: S independent nets as one batched computation."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from ganlib import limits, tensors
from ganlib.algorithm1 import Source


class Ensemble(nn.Module):
    """S nets of one architecture, side by side: maps (S, m, ...) to (S, m, ...), each net its own batch.

    Parameters
    ----------
    nets : at least one; they differ in their weights only. Theirs are copied.
    dtype : compute in this type, with the weights kept as they are; None for the weights' own.

    Raises
    ------
    TypeError, ValueError
        If there is no net, they are no modules of one architecture, or ``dtype`` is no floating type.

    Notes
    -----
    ``members`` holds the weights stacked along a first axis of length S, under the names they have in one net, so an
    optimiser that works element by element (SGD, Adam) trains S nets without knowing.

    Examples
    --------
    >>> both = Ensemble([nn.Linear(3, 1), nn.Linear(3, 1)])
    >>> both(torch.zeros(2, 5, 3)).shape
    torch.Size([2, 5, 1])
    """

    def __init__(self, nets: Sequence[nn.Module], dtype: torch.dtype | None = None) -> None:
        super().__init__()
        limits.kind("nets", nets, Sequence)
        if not nets:
            raise ValueError(f"nets is {nets!r}; an ensemble needs at least one net")
        for net in nets:
            limits.kind("each of the nets", net, nn.Module)
        shapes = [{name: tensor.shape for name, tensor in net.state_dict().items()} for net in nets]
        if any(each != shapes[0] for each in shapes):
            raise ValueError("nets have weights of different names or shapes; give nets of one architecture")
        if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise TypeError(f"dtype is {limits.shown(dtype)}; give a floating type, such as torch.bfloat16, or None")
        parameters, buffers = stack_module_state(list(nets))
        self.size, self.dtype = len(nets), dtype
        self.members = _with_tensors(copy.deepcopy(nets[0]), parameters, buffers)
        # What is computed, without weights. Not a submodule: its parameters are nobody's.
        skeleton = copy.deepcopy(nets[0]).to("meta")
        self._skeleton = (skeleton,)
        self._normal = {
            n for n, module in skeleton.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)
        }
        if dtype is not None:
            for name in self._normal:  # batch normalisation averages in float32, as under autocast
                layer = skeleton.get_submodule(name)
                layer.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
                layer.register_forward_hook(lambda _, inputs, output: output.to(dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Map batches (S, m, ...), one a net, to the nets' outputs."""
        if not isinstance(x, Tensor) or x.layout != torch.strided:
            raise TypeError(f"x is {limits.shown(x)}; give a dense torch tensor")
        if x.ndim < 2 or len(x) != self.size:
            raise ValueError(f"x is {tuple(x.shape)}; {self.size} nets take ({self.size}, m, ...), each its own batch")
        parameters: dict[str, Tensor] = dict(self.members.named_parameters())
        if self.dtype is not None:
            x = x.to(self.dtype)
            parameters = {
                name: p if name.rpartition(".")[0] in self._normal else p.to(self.dtype)
                for name, p in parameters.items()
            }
        y: Tensor = vmap(self._one)(parameters, dict(self.members.named_buffers()), x)
        return y if self.dtype is None else y.float()  # so that losses are in float32

    def _one(self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        y: Tensor = functional_call(self._skeleton[0], (parameters, buffers), (x,))
        return y

    def modules(self) -> Iterator[nn.Module]:  # type: ignore[override]
        """All layers, with those that it computes with: whoever changes their modes changes all of them."""
        yield from super().modules()
        yield from self._skeleton[0].modules()

    def train(self, mode: bool = True) -> Ensemble:
        self._skeleton[0].train(mode)
        super().train(mode)
        return self

    def member(self, index: int) -> nn.Module:
        """A copy of one net, to use by itself; the first is 0."""
        limits.check("index", index, 0, self.size - 1)
        parameters = {name: p[index].detach().clone() for name, p in self.members.named_parameters()}
        buffers = {name: b[index].clone() for name, b in self.members.named_buffers()}
        return _with_tensors(copy.deepcopy(self.members), parameters, buffers)


class ManySeeds:
    """A source that draws a minibatch for every seed from that seed's generator: (S, m, ...)."""

    def __init__(self, source: Source) -> None:
        if not callable(getattr(source, "minibatch", None)):
            raise TypeError(f"source is {limits.shown(source)}; give a source of minibatches, such as Latent(100)")
        self.source = source

    def minibatch(self, m: int, rngs: Sequence[torch.Generator]) -> Tensor:
        limits.kind("rngs", rngs, (list, tuple))
        for rng in rngs:
            tensors.generator("each of the rngs", rng)
        if not rngs:
            raise ValueError("rngs is empty; give one generator a seed")
        return torch.stack([self.source.minibatch(m, rng) for rng in rngs])


def _with_tensors(net: nn.Module, parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> nn.Module:
    """The net with other tensors under its names, of any shape."""
    for name, parameter in parameters.items():
        owner, _, leaf = name.rpartition(".")
        old = net.get_parameter(name)
        new = nn.Parameter(parameter.detach(), requires_grad=old.requires_grad)
        setattr(net.get_submodule(owner), leaf, new)
    for name, buffer in buffers.items():
        owner, _, leaf = name.rpartition(".")
        setattr(net.get_submodule(owner), leaf, buffer)
    return net
