"""A named run on a device: one seed or many, in a chosen precision, eagerly or as a CUDA graph, alone or distributed.

`Training` puts the pieces together and iterates. `ganlib.lab.runner` adds what a long run needs around it: checkpoints,
resuming, interruption, progress.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganlib.algorithm1 import Report, iteration, simultaneous_iteration
from ganlib.data.images import Images
from ganlib.device import is_memory_full, memory, pick_device
from ganlib.errors import DataError, Diverged, OutOfMemory
from ganlib.lab import optimisers, runs, state
from ganlib.lab.randomness import Randomness
from ganlib.lab.runs import Run
from ganlib.lab.speed import distributed, graphs, onednn, precision
from ganlib.lab.speed.distributed import Processes
from ganlib.lab.speed.ensembles import Ensemble, ManySeeds
from ganlib.lab.speed.game import FastGame
from ganlib.lab.speed.graphs import Captured
from ganlib.metrics.watch import Watch
from ganlib.nets import weights
from ganlib.toys import Mixture


class Training:
    """A run in progress.

    Parameters
    ----------
    run : its settings, see `ganlib.lab.runs.get`.
    seeds : one or more; S seeds train S independent pairs as one batched computation.
    device : see `ganlib.device.pick_device`.
    precision : see `ganlib.lab.speed.precision`.
    graph : capture the whole iteration as a CUDA graph: None does where it can, False never.
    processes : this process's place among several, from `ganlib.lab.speed.distributed.start`.
    iterate : an iteration of (game, rng) in place of the one that ``run.update`` names, as in `ganlib.algorithm1`.

    Raises
    ------
    ValueError
        If a setting or a combination is impossible; before any data are read.
    ganlib.errors.DataError
        A ValueError, as `ganlib.data.load`, or if several processes have other data each.

    Notes
    -----
    ``inputs`` says what it reads from outside: "data_sha256", of the training images, None for toy data, which are
    sampled afresh; "pretrained_sha256", of the file, None without one.

    Examples
    --------
    >>> training = Training(runs.get("ring8", {"iterations": 4, "every": 2}), seeds=[0, 1], device="cpu")
    >>> [[report.iteration for report in each] for each in training.reports()]
    [[2, 2], [4, 4]]
    """

    def __init__(
        self,
        run: Run,
        *,
        seeds: Sequence[int] = (0,),
        device: str | torch.device | None = None,
        precision: str = "auto",
        graph: bool | None = None,
        processes: Processes | None = None,
        iterate: Callable[[FastGame, Any], Tensor] | None = None,
    ) -> None:
        self.run, self.seeds, self.processes = run, tuple(seeds), processes or Processes()
        self.device = distributed.local_device(pick_device(device, report=False))
        self.precision = _check(run, self.seeds, self.device, precision, graph, self.processes)
        self.randomness = Randomness(self.seeds, self.device, self.processes.rank, self.processes.world)
        self.data = runs.load_data(run, self.device)
        self.inputs = _inputs(run, self.data)
        if not distributed.agreed(tuple(self.inputs.values())):
            raise DataError(
                f"{run.data} is not the same for every process (here: {self.inputs}); give all of them the same files"
            )
        pairs = self._pairs()
        self.generator, self.discriminator = (self._net(list(nets)) for nets in zip(*pairs, strict=True))
        captured = self.device.type == "cuda" and graph is not False and self.processes.world == 1
        self.game = self._game(captured)
        self.watch = Watch(self.game, run.iterations, len(self.seeds) if self.many else 0)
        self.schedule = optimisers.schedule(run, self.game.d_optimiser, self.game.g_optimiser)
        self.iteration = self.reported = 0
        self.statistics = torch.zeros(4, *[len(self.seeds)] * self.many, device=self.device)
        self._moving: graphs.Moving | None = None
        named = simultaneous_iteration if run.update == "simultaneous" else iteration
        rng = self.randomness.generators if self.many else self.randomness.generators[0]
        self._iterate: Callable[[], Tensor] = partial(iterate or named, self.game, rng)
        if captured:
            self._iterate = self._captured_iteration()

    @property
    def many(self) -> bool:
        """Whether several seeds are trained at once."""
        return len(self.seeds) > 1

    def advance(self, iterations: int, stop: Callable[[], bool] = lambda: False) -> None:
        """Make iterations without waiting for the device; ``stop`` is asked before each, and ends them early.

        Raises
        ------
        OutOfMemory
            If the device's memory does not suffice; says which minibatch size to try.
        """
        if self._moving is not None:
            self._moving.plan(self.iteration, min(iterations, self._table))
        try:
            with self.randomness, precision.active(self.precision, self.device), self._products():
                for done in range(iterations):
                    if stop():
                        return
                    if self._moving is not None and done and done % self._table == 0:
                        self._moving.plan(self.iteration, min(iterations - done, self._table))
                    if self._moving is None and self.schedule is not None:
                        self.schedule(self.iteration)
                    self.statistics += self._iterate()
                    self.iteration += 1
        except RuntimeError as error:
            if not is_memory_full(error):
                raise
            raise OutOfMemory(self._smaller()) from error

    def reports(self, stop: Callable[[], bool] = lambda: False) -> Iterator[list[Report]]:
        """Iterate to the run's end, yielding every ``run.every`` iterations one report a seed.

        Raises
        ------
        Diverged
            At the report after a loss or a weight stopped being finite; names it, the seed and the iterations between.
        """
        while self.iteration < self.run.iterations:
            target = min((self.iteration // self.run.every + 1) * self.run.every, self.run.iterations)
            self.advance(target - self.iteration, stop)
            if self.iteration < target:
                return
            yield self._report()

    def check_finite(self) -> None:
        """Look at the losses since the last report and at the weights; `Diverged` if one is not finite."""
        self._means()

    def state(self) -> dict[str, Tensor]:
        """All that the future of the run depends on, tensors by name: weights, optimisers, random numbers, means."""
        return state.take(self)

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Go on from a `state` of the same run: afterwards every step is as it would have been without the stop.

        Raises
        ------
        ValueError
            If the state has other tensors than this run; nothing is changed then.
        """
        state.put(self, saved)
        self.watch.begin(self.iteration)
        if isinstance(self._iterate, Captured):
            self._iterate.forget()  # its kernels write to the optimisers' old tensors

    def networks(self, seed: int | None = None) -> tuple[nn.Module, nn.Module]:
        """The generator and the discriminator of one seed (the first by default), as plain nets."""
        if seed is not None and seed not in self.seeds:
            raise ValueError(f"no seed {seed} in this training; it has {', '.join(map(str, self.seeds))}")
        index = 0 if seed is None else self.seeds.index(seed)
        if not self.many:
            return self.generator, self.discriminator
        assert isinstance(self.generator, Ensemble)
        assert isinstance(self.discriminator, Ensemble)
        return self.generator.member(index), self.discriminator.member(index)

    def _pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Every seed's nets, on the CPU; refused before the second where all of them are more than its memory."""
        first = runs.networks(self.run, self.seeds[0], self.data)
        size, there = sum(p.nbytes for net in first for p in net.parameters()), memory(torch.device("cpu"))
        if there is not None and size * len(self.seeds) > there:
            raise OutOfMemory(self._smaller())
        return [first, *(runs.networks(self.run, seed, self.data) for seed in self.seeds[1:])]

    def _net(self, nets: list[nn.Module]) -> nn.Module:
        nets = [net.to(self.device) for net in nets]
        if self.device.type == "cpu":
            # Convolutions on the CPU compute with channels last; kept otherwise, they reorder at every layer.
            nets = [net.to(memory_format=torch.channels_last) for net in nets]
        if self.many:
            return Ensemble(nets, torch.bfloat16 if self.precision == "bf16" else None)
        if self.processes.world > 1:
            distributed.same_weights(nets[0])
            return distributed.synchronised(nets[0])
        return nets[0]

    def _game(self, captured: bool) -> FastGame:
        run = self.run
        data: Any = self.data
        latent: Any = runs.latent(run)
        generator, discriminator = self.generator, self.discriminator
        if self.many:
            data, latent = ManySeeds(data), ManySeeds(latent)
        elif self.precision == "bf16":
            generator, discriminator = map(precision.InBfloat16, (generator, discriminator))
        d_optimiser = optimisers.build(run, self.discriminator, run.d_lr, captured=captured)
        g_optimiser = optimisers.build(run, self.generator, run.g_lr, captured=captured)
        m = run.m
        if self.processes.world > 1:
            data, latent = distributed.Rows(data, self.processes), distributed.Rows(latent, self.processes)
            m //= self.processes.world
            distributed.average_gradients(d_optimiser)
            distributed.average_gradients(g_optimiser)
        return FastGame(
            generator,
            discriminator,
            data,
            latent,
            d_optimiser,
            g_optimiser,
            k=run.k,
            m=m,
            loss=run.loss,
            reduction=run.reduction,
            side_by_side=self.many,
        )

    def _products(self) -> AbstractContextManager[Any]:
        if self.device.type != "cpu" or self.precision == "bf16":
            return nullcontext()
        return onednn.products(self.generator, self.discriminator, rows=2 * self.game.m)

    def _captured_iteration(self) -> Callable[[], Tensor]:
        eager = self._iterate
        self._table = min(self.run.every, self.run.iterations)
        if self.schedule is not None:
            players = (self.game.d_optimiser, self.game.g_optimiser)
            self._moving = graphs.Moving(players, self.schedule, self._table, self.device)

        def iterate() -> Tensor:
            if self._moving is not None:
                self._moving.advance()
            return eager()

        return Captured(iterate, self.randomness.generators, self.device)

    def _report(self) -> list[Report]:
        rows = self._means()
        self.statistics.zero_()
        self.reported = self.iteration
        return self.watch.remarked([Report(self.iteration, *row) for row in rows])

    def _means(self) -> list[list[float]]:
        means = distributed.mean(self.statistics / max(self.iteration - self.reported, 1))
        rows: list[list[float]] = means.reshape(4, -1).T.tolist()
        between = f"between iterations {self.reported + 1} and {self.iteration}"
        for seed, (d_loss, g_loss, *_) in zip(self.seeds, rows, strict=True):
            for name, loss in (("D's loss", d_loss), ("G's loss", g_loss)):
                if not abs(loss) < float("inf"):
                    raise Diverged(
                        f"{self.run.name}, seed {seed}: {name} became {loss} {between}: lower the learning rate"
                    )
        self._check_weights(between)
        return rows

    def _check_weights(self, between: str) -> None:
        named = [(f"{net}.{n}", t) for net, module in self.nets() for n, t in module.state_dict().items()]
        finite = torch.stack([t.isfinite().all() for _, t in named]).tolist()  # one wait for all of them
        for (name, tensor), good in zip(named, finite, strict=True):
            if not good:
                seed = (
                    self.seeds[int((~tensor.isfinite()).flatten(1).any(1).nonzero()[0])] if self.many else self.seeds[0]
                )
                raise Diverged(
                    f"{self.run.name}, seed {seed}: {name} stopped being finite {between}: lower the learning rate"
                )

    def _smaller(self) -> str:
        half, least = self.run.m // 2, 2 if self.run.batch_norm else 1
        remedies = [f"m = {half}"] if half >= least else ["narrower networks"]
        if self.many:
            remedies.append(f"fewer than {len(self.seeds)} seeds at once")
        return (
            f"{self.run.name} does not fit the memory of {self.device} with m = {self.run.m}: "
            f"try {' or '.join(remedies)}"
        )

    def nets(self) -> list[tuple[str, nn.Module]]:
        """Both networks by name; of many seeds, the stacked ones."""
        return [
            (name, net.members if isinstance(net, Ensemble) else net)
            for name, net in (("generator", self.generator), ("discriminator", self.discriminator))
        ]

    def optimisers(self) -> list[tuple[str, Optimizer]]:
        """Both optimisers by name."""
        return [("d_optimiser", self.game.d_optimiser), ("g_optimiser", self.game.g_optimiser)]


def _inputs(run: Run, data: Images | Mixture) -> dict[str, str | None]:
    pretrained = weights.load(run.pretrained).sha256 if run.pretrained else None
    return {"data_sha256": data.sha256 if isinstance(data, Images) else None, "pretrained_sha256": pretrained}


def _check(
    run: Run, seeds: tuple[int, ...], device: torch.device, policy: str, graph: bool | None, processes: Processes
) -> str:
    if processes.world > 1 and len(seeds) > 1:
        raise ValueError(
            f"{len(seeds)} seeds on {processes.world} processes: train many seeds on one, or one seed on many"
        )
    if run.m % processes.world:
        raise ValueError(f"m = {run.m} does not divide among {processes.world} processes; take a multiple")
    if graph and (device.type != "cuda" or processes.world > 1):
        raise ValueError(
            f"a CUDA graph was asked for on {device} with {processes.world} process(es); it needs one CUDA device"
        )
    return precision.choose(policy, device)
