"""A whole iteration as one captured CUDA graph: D's k steps and G's, sampling, schedules and optimisers included."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

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
