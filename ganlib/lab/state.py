"""All that the future of a training depends on, as tensors by name: taken, checked, and put back whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganlib import limits
from ganlib.lab import optimisers
from ganlib.lab.randomness import Randomness
from ganlib.lab.settings import Run

# What torch's optimisers keep of each parameter.
KEPT = {"adam": {"exp_avg", "exp_avg_sq", "step"}, "sgd": {"momentum_buffer"}}


class Stateful(Protocol):
    """What a state is taken of: a `ganlib.lab.training.Training`."""

    run: Run
    randomness: Randomness
    statistics: Tensor
    iteration: int
    reported: int

    def nets(self) -> list[tuple[str, nn.Module]]: ...

    def optimisers(self) -> list[tuple[str, Optimizer]]: ...


def take(training: Stateful) -> dict[str, Tensor]:
    """Weights, optimisers, random numbers, means and counters; the tensors are the training's own, not copies."""
    state = {f"{net}.{name}": t for net, module in training.nets() for name, t in module.state_dict().items()}
    for name, optimiser in training.optimisers():
        for i, parameter in enumerate(optimiser.param_groups[0]["params"]):
            state |= {f"{name}.{i}.{key}": t for key, t in optimiser.state[parameter].items() if t is not None}
    state |= {f"random.{name}": t for name, t in training.randomness.state().items()}
    progress = torch.tensor([training.iteration, training.reported])
    return state | {"statistics": training.statistics, "progress": progress}


def put(training: Stateful, state: Mapping[str, Tensor]) -> None:
    """Make a training what it was when ``state`` was taken.

    Raises
    ------
    ValueError
        If the state is another training's or lacks something; nothing is changed then.
    """
    by_parameter = _check(training, state)
    # First, for it checks too.
    training.randomness.load({n.removeprefix("random."): t for n, t in state.items() if n.startswith("random.")})
    for net, module in training.nets():
        for name, tensor in module.state_dict().items():
            tensor.copy_(state[f"{net}.{name}"])
    for name, optimiser in training.optimisers():
        for i, parameter in enumerate(optimiser.param_groups[0]["params"]):
            optimiser.state[parameter] = optimisers.restored(by_parameter[name, i], parameter)
    training.statistics.copy_(state["statistics"])
    training.iteration, training.reported = state["progress"].tolist()


def _check(training: Stateful, state: Mapping[str, Tensor]) -> dict[tuple[str, int], dict[str, Tensor]]:
    """What each optimiser kept of each of its parameters, once everything is known to be there and to fit."""
    known = {"statistics", "progress", *(name for name in state if name.startswith("random."))}
    for net, module in training.nets():
        expected = {f"{net}.{name}": _kind(t) for name, t in module.state_dict().items()}
        found = {name: _kind(t) for name, t in state.items() if name.startswith(f"{net}.")}
        if found != expected:
            differing = sorted(dict(found.items() ^ expected.items()))
            raise ValueError(f"the saved {net} is another one; these tensors differ: {', '.join(differing[:5])}")
        wild = [name for name in expected if not state[name].isfinite().all()]
        if wild:
            raise ValueError(f"the saved {net} is not finite in {', '.join(wild[:5])}")
        known |= expected.keys()
    lacking = [name for name in ("statistics", "progress") if name not in state]
    if lacking:
        raise ValueError(f"the state lacks {', '.join(lacking)}; it is not a training's")
    if _kind(state["statistics"]) != _kind(training.statistics):
        raise ValueError(f"its statistics are {_kind(state['statistics'])}, not {_kind(training.statistics)}")
    progress = state["progress"].tolist() if state["progress"].dtype == torch.int64 else []
    if not isinstance(progress, list) or len(progress) != 2 or not 0 <= progress[1] <= progress[0] <= limits.STEPS:
        raise ValueError(f"its progress is {limits.shown(progress)}, no iteration and one reported before it")
    by_parameter: dict[tuple[str, int], dict[str, Tensor]] = {}
    # Before the first step an optimiser keeps nothing, and SGD without momentum never does.
    run, started = training.run, progress[0] > 0
    keeps = run.optimiser == "adam" or bool(run.momentum or run.momentum_final)
    wanted = KEPT[run.optimiser] if started and keeps else set()
    wrong = []
    for name, optimiser in training.optimisers():
        for i, parameter in enumerate(optimiser.param_groups[0]["params"]):
            prefix = f"{name}.{i}."
            kept = {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
            if kept.keys() != wanted or not all(_fits(key, t, parameter) for key, t in kept.items()):
                wrong.append(f"{name}.{i}")
            known |= {f"{prefix}{key}" for key in kept}
            by_parameter[name, i] = kept
    if wrong:
        raise ValueError(f"the state is of another optimiser; these parameters' differ: {', '.join(wrong[:5])}")
    if foreign := sorted(state.keys() - known):
        raise ValueError(f"the state holds {', '.join(foreign[:5])}, which no training of {run.name} has")
    return by_parameter


def _kind(tensor: Tensor) -> tuple[torch.Size, torch.dtype]:
    return tensor.shape, tensor.dtype


def _fits(key: str, kept: Tensor, parameter: Tensor) -> bool:
    """Whether an optimiser can have kept this of a parameter."""
    if key != "step":
        return _kind(kept) == _kind(parameter)
    return kept.shape == () and kept.dtype == torch.float32 and bool(0 <= kept < torch.inf)
