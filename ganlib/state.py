"""All that the future of a training depends on, as tensors by name: taken, checked, and put back whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ganlib import optimisers

if TYPE_CHECKING:
    from ganlib.training import Training

# What torch's optimisers keep of each parameter.
KEPT = {"adam": {"exp_avg", "exp_avg_sq", "step"}, "sgd": {"momentum_buffer"}}


def take(training: Training) -> dict[str, Tensor]:
    """Weights, optimisers, random numbers, means and counters; the tensors are the training's own, not copies."""
    state = {f"{net}.{name}": t for net, module in training.nets() for name, t in module.state_dict().items()}
    for name, optimiser in training.optimisers():
        for i, parameter in enumerate(optimiser.param_groups[0]["params"]):
            state |= {f"{name}.{i}.{key}": t for key, t in optimiser.state[parameter].items() if t is not None}
    state |= {f"random.{name}": t for name, t in training.randomness.state().items()}
    progress = torch.tensor([training.iteration, training.reported])
    return state | {"statistics": training.statistics, "progress": progress}


def put(training: Training, state: Mapping[str, Tensor]) -> None:
    """Make a training what it was when ``state`` was taken.

    Raises
    ------
    ValueError
        If the state is another training's or lacks something; nothing is changed then.
    """
    by_parameter = _check(training, state)
    training.randomness.load({n.removeprefix("random."): t for n, t in state.items() if n.startswith("random.")})
    for net, module in training.nets():
        for name, tensor in module.state_dict().items():
            tensor.copy_(state[f"{net}.{name}"])
    for name, optimiser in training.optimisers():
        for i, parameter in enumerate(optimiser.param_groups[0]["params"]):
            optimiser.state[parameter] = optimisers.restored(by_parameter[name, i], parameter)
    training.statistics.copy_(state["statistics"])
    training.iteration, training.reported = state["progress"].tolist()


def _check(training: Training, state: Mapping[str, Tensor]) -> dict[tuple[str, int], dict[str, Tensor]]:
    """What each optimiser kept of each of its parameters, once everything is known to be there."""
    for net, module in training.nets():
        expected = {f"{net}.{name}": t.shape for name, t in module.state_dict().items()}
        found = {name: t.shape for name, t in state.items() if name.startswith(f"{net}.")}
        if found != expected:
            differing = sorted(dict(found.items() ^ expected.items()))
            raise ValueError(f"the saved {net} is another one; these tensors differ: {', '.join(differing[:5])}")
    lacking = [name for name in ("statistics", "progress") if name not in state]
    if lacking:
        raise ValueError(f"the state lacks {', '.join(lacking)}; it is not a training's")
    by_parameter = {
        (name, i): {n.removeprefix(f"{name}.{i}."): t for n, t in state.items() if n.startswith(f"{name}.{i}.")}
        for name, optimiser in training.optimisers()
        for i in range(len(optimiser.param_groups[0]["params"]))
    }
    # Before the first step an optimiser keeps nothing, and SGD without momentum never does.
    run, started = training.run, bool(state["progress"][0] > 0)
    keeps = run.optimiser == "adam" or bool(run.momentum or run.momentum_final)
    wanted = KEPT[run.optimiser] if started and keeps else set()
    wrong = [f"{name}.{i}" for (name, i), kept in by_parameter.items() if kept.keys() != wanted]
    if wrong:
        raise ValueError(f"the state is of another optimiser; these parameters' differ: {', '.join(wrong[:5])}")
    return by_parameter
