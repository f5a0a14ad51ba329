"""A whole iteration as one captured CUDA graph: D's k steps and G's, sampling, schedules and optimisers included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

# Iterations run eagerly on a side stream before the capture, as torch asks: they allocate momentum and let libraries
# choose their kernels. They are iterations of the run like any other.
WARM_UP = 3


class Captured:
    """Call it instead of ``iterate``: the first `WARM_UP` calls run it, the next captures it, all later ones replay it.

    Parameters
    ----------
    iterate : one iteration, device work only; returns its statistics.
    generators : every torch generator it draws from. The graph advances them as the eager iteration would.
    device : the networks' device; it need not be the current one.
    """

    def __init__(
        self, iterate: Callable[[], Tensor], generators: Sequence[torch.Generator], device: torch.device
    ) -> None:
        self.iterate, self.generators, self.device = iterate, generators, device
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.stream = torch.cuda.Stream(device)

    def __call__(self) -> Tensor:
        # A stream of another device than the networks' would capture nothing, and replay nothing, without a word.
        with torch.cuda.device(self.device):
            return self._next()

    def forget(self) -> None:
        """Capture anew: for when tensors of the iteration were replaced."""
        self.calls, self.graph = 0, None

    def _next(self) -> Tensor:
        if self.graph is None:
            if self.calls < WARM_UP:
                self.calls += 1
                return self._eager()
            self._capture()
        assert self.graph is not None
        self.graph.replay()
        return self.statistics

    def _eager(self) -> Tensor:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            statistics = self.iterate()
        torch.cuda.current_stream().wait_stream(self.stream)
        return statistics

    def _capture(self) -> None:
        graph = torch.cuda.CUDAGraph()
        for generator in self.generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph, stream=self.stream):
            self.statistics = self.iterate()
        self.graph = graph


class Moving:
    """Learning rates and momenta as device tensors that a table moves, one row an iteration, without the host.

    A captured graph replays its kernels with the numbers it was captured with. So the numbers live in a tensor: `plan`
    uploads their values for the coming iterations, and `advance`, captured with the iteration, takes the next row.
    SGD's momentum is a plain number in torch's fused kernel. There the kernel keeps the momentum it was built with, and
    the momentum buffers are scaled by the ratio of the wanted one to it before each step, which is the same update.

    Parameters
    ----------
    optimisers : those of the game, with at most one parameter group each.
    schedule : sets them as plain numbers, as `ganlib.lab.optimisers.schedule` gives it.
    rows : the most iterations planned at once.
    device : the networks' device.
    """

    def __init__(
        self, optimisers: tuple[Optimizer, ...], schedule: Callable[[int], None], rows: int, device: torch.device
    ) -> None:
        self.optimisers, self.schedule = optimisers, schedule
        self.fixed = [group.get("momentum", 0.0) for group in self._groups()]
        self.now = torch.zeros(2 * len(self.fixed), device=device)
        self.table = torch.zeros(rows, 2 * len(self.fixed), device=device)
        self.row = torch.zeros(1, dtype=torch.int64, device=device)
        for i, optimiser in enumerate(optimisers):
            if self.fixed[i]:
                optimiser.register_step_pre_hook(lambda one, *_, i=i: self._scale_momentum(one, self.now[2 * i + 1]))

    def plan(self, start: int, rows: int) -> None:
        """Upload the values of iterations start, start + 1, ..., as many as ``rows``."""
        values: list[list[float]] = []
        for done in range(start, start + rows):
            self.schedule(done)
            values.append(
                [
                    number
                    for group, fixed in zip(self._groups(), self.fixed, strict=True)
                    for number in (group["lr"], group["momentum"] / fixed if fixed else 1.0)
                ]
            )
        self.table[:rows] = torch.tensor(values, dtype=torch.float32).view(rows, -1) if rows else 0.0
        self.row.zero_()
        for i, (group, fixed) in enumerate(zip(self._groups(), self.fixed, strict=True)):
            group["lr"] = self.now[2 * i]
            if fixed:
                group["momentum"] = fixed

    def advance(self) -> None:
        """Take the next row. Device work only, to be captured with the iteration it precedes."""
        self.now.copy_(self.table.index_select(0, self.row)[0])
        self.row += 1

    def _groups(self) -> list[dict[str, Any]]:
        return [optimiser.param_groups[0] for optimiser in self.optimisers]

    @staticmethod
    def _scale_momentum(optimiser: Optimizer, ratio: Tensor) -> None:
        buffers = [state["momentum_buffer"] for state in optimiser.state.values() if "momentum_buffer" in state]
        if buffers:
            torch._foreach_mul_(buffers, ratio)
