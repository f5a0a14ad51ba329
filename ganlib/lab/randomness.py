"""The random numbers of a run: minibatches, noise and dropout from generators of its own, and nobody else's.

A run owns one torch generator a seed. Minibatches and noise are drawn from it directly. Inside the run's context the
masks of `ganlib.nets.layers.Dropout` come from the same generators: a net trained beside others, or in several
processes, drops what it would drop alone. Other layers, such as ``torch.nn.Dropout``, draw from torch's global
generator, and that one is the run's own as well (`ganlib.device.GlobalNumbers`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ganlib import limits
from ganlib.device import GlobalNumbers
from ganlib.nets.layers import Dropout

_running: list[Randomness] = []
_alone = Dropout.mask


class Randomness:
    """Generators of a run, one a seed, to use as a context manager around its iterations.

    Parameters
    ----------
    seeds : one integer a generative adversarial net trained at once; distinct.
    device : where the random numbers are drawn, the networks' device.
    rank, world : this process and their number under `ganlib.lab.speed.distributed`: every process draws the numbers of
        the whole minibatch and keeps its own rows, so that the run is the same for any number of processes.

    Raises
    ------
    TypeError, ValueError
        If there is no seed, one is given twice or is none of torch's 64-bit seeds, or rank is not in 0..world - 1.

    Examples
    --------
    >>> with Randomness([0], torch.device("cpu")) as run:
    ...     first = run.keep_mask(torch.Size([4]), 0.5, torch.float32)
    >>> first.shape
    torch.Size([4])
    """

    def __init__(self, seeds: Sequence[int], device: torch.device, rank: int = 0, world: int = 1) -> None:
        limits.kind("seeds", seeds, Sequence)
        seeds = [limits.check("each of the seeds", seed, *limits.TORCH_SEEDS) for seed in seeds]
        if not seeds or len(set(seeds)) != len(seeds):
            raise ValueError(f"seeds are {seeds}; give at least one, and none twice")
        limits.kind("device", device, torch.device, "torch.device('cpu')")
        limits.check("world", world, most=limits.SEEDS)
        limits.check("rank", rank, 0, world - 1)
        self.device, self.rank, self.world = device, rank, world
        self.parts = 1
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self._global = GlobalNumbers(seeds[0], device)

    def __enter__(self) -> Randomness:
        self._global.__enter__()
        _running.append(self)
        Dropout.mask = _masks  # type: ignore[method-assign, assignment]
        return self

    def __exit__(self, *_: object) -> None:
        _running.remove(self)
        if not _running:
            Dropout.mask = _alone  # type: ignore[method-assign]
        self._global.__exit__()

    def keep_mask(self, shape: torch.Size, keep: float, dtype: torch.dtype, which: int = 0) -> Tensor:
        """Dropout mask for one seed: 1/keep with probability ``keep``, else 0, over ``shape`` (rows, ...).

        Parameters
        ----------
        shape : of this process's rows, a multiple of the batch's parts.
        keep : in (0, 1].
        dtype : of the mask, floating.
        which : of the seeds, counted from 0.
        """
        rows, rest = shape[0], shape[1:]
        whole = torch.rand(
            (self.parts, self.world, rows // self.parts, *rest), generator=self.generators[which], device=self.device
        )
        mask = whole[:, self.rank].reshape(shape).lt_(keep).mul_(1 / keep)  # in place: 1 where below, else 0
        return mask.to(dtype)

    @contextmanager
    def in_parts(self, parts: int) -> Iterator[None]:
        """Batches inside are ``parts`` minibatches one after the other, such as real and generated samples."""
        self.parts = parts
        try:
            yield
        finally:
            self.parts = 1

    def state(self) -> dict[str, Tensor]:
        """Everything needed to go on with exactly the same numbers: uint8 tensors by name."""
        own = {f"seed.{i}": generator.get_state() for i, generator in enumerate(self.generators)}
        return own | {f"global.{i}": state.clone() for i, state in enumerate(self._global.state)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take up a `state` of a run with as many seeds on the same kind of device; `check` refuses others first."""
        limits.kind("state", state, Mapping)
        self.check(state)
        for i, generator in enumerate(self.generators):
            generator.set_state(state[f"seed.{i}"].cpu())
        self._global.state = [state[f"global.{i}"].cpu() for i in range(len(self._global.state))]

    def check(self, state: Mapping[str, Tensor]) -> None:
        """Refuse a state that is none of this run's (ValueError, naming what is wrong); nothing is changed."""
        own = self.state()
        if set(state) != set(own):
            lacks, foreign = sorted(set(own) - set(state))[:5], sorted(set(state) - set(own))[:5]
            raise ValueError(f"the random state lacks {lacks} and has {foreign} of another run's")
        devices = {"global.0": torch.device("cpu")}
        for name, tensor in state.items():
            if (tensor.shape, tensor.dtype) != (own[name].shape, own[name].dtype):
                raise ValueError(
                    f"the random state {name} is {tensor.dtype} {tuple(tensor.shape)}; it must be {own[name].dtype} "
                    f"{tuple(own[name].shape)}"
                )
            try:
                torch.Generator(devices.get(name, self.device)).set_state(tensor.cpu())
            except RuntimeError as error:
                raise ValueError(f"the random state {name} is none of torch's ({error})") from None


def current() -> Randomness | None:
    """The run whose context we are in, or None outside any."""
    return _running[-1] if _running else None


def _masks(layer: Dropout, x: Tensor) -> Tensor:
    """`Dropout.mask` inside a run: drawn from the generator of the seed whose net it is."""
    if torch._C._are_functorch_transforms_active():  # vmap: many nets at once
        masks: Tensor = _MaskOfEach.apply(x, layer.keep)
        return masks
    return _running[-1].keep_mask(x.shape, layer.keep, x.dtype)


class _MaskOfEach(torch.autograd.Function):
    """Masks under vmap, where every net gets the mask of its own seed."""

    @staticmethod
    def forward(x: Tensor, keep: float) -> Tensor:
        raise RuntimeError("nets trained at once draw their masks under torch.vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None]:
        return None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, None], x: Tensor, keep: float) -> tuple[Tensor, int]:
        run = _running[-1]
        shape = torch.Size(n for i, n in enumerate(x.shape) if i != in_dims[0])
        if len(run.generators) != info.batch_size:
            raise RuntimeError(f"{info.batch_size} nets at once in a run of {len(run.generators)} seeds")
        return torch.stack([run.keep_mask(shape, keep, x.dtype, i) for i in range(info.batch_size)]), 0
