"""Training a model on minibatches of shuffled images, so that it can be stopped and gone on with to the same bits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ganlib import limits, tensors
from ganlib.errors import Diverged


class Learning(ABC):
    """A model in training: each epoch goes once through all images, in a new order, m at a time.

    A last minibatch that would be smaller than m is left out. All random numbers, of the order and of what `update`
    draws, come from one generator.

    Parameters
    ----------
    model : trained in place.
    data : (n, visible) in [0, 1], in the model's number format and on its device, n >= m.
    m : images an update, >= 1.
    seed : of the order and of what an update draws.

    Raises
    ------
    TypeError, ValueError
        If a number is impossible or the data do not fit.
    """

    def __init__(self, model: nn.Module, data: Tensor, *, m: int = 100, seed: int = 0) -> None:
        limits.kind("model", model, nn.Module)
        limits.check("m", m)
        seed = limits.check("seed", seed, *limits.TORCH_SEEDS)
        tensors.real("data", data, rank=2)
        if data.ndim != 2 or len(data) < m:
            raise ValueError(f"data is {tuple(data.shape)}; give (n, visible) with n >= m = {m}")
        if not (data.min() >= 0 and data.max() <= 1):
            raise ValueError(f"data lies in [{data.min():.4g}, {data.max():.4g}]; give images in [0, 1]")
        self.model, self.data, self.m, self.done = model, data, m, 0
        self.rng = torch.Generator(data.device).manual_seed(seed)
        self._order = torch.empty(0, dtype=torch.int64, device=data.device)

    @property
    def epoch_length(self) -> int:
        """Updates in an epoch."""
        return len(self.data) // self.m

    def advance(self, updates: int) -> float:
        """Make updates; the mean of what they return, a loss or whatever `update` says.

        Raises
        ------
        Diverged
            If afterwards the mean or a weight is not finite.
        """
        limits.check("updates", updates)
        total = torch.zeros((), device=self.data.device)
        for _ in range(updates):
            place = self.done % self.epoch_length
            if place == 0:
                self._order = torch.randperm(len(self.data), generator=self.rng, device=self.data.device)
            total += self.update(self.data[self._order[place * self.m : (place + 1) * self.m]])
            self.done += 1
        mean = total.item() / updates
        if not all(tensor.isfinite().all() for tensor in (total, *self.model.state_dict().values())):
            raise Diverged(
                f"{type(self.model).__name__}: the loss or a weight stopped being finite by update {self.done}; "
                "lower the learning rate"
            )
        return mean

    @abstractmethod
    def update(self, batch: Tensor) -> Tensor:
        """Change the model by one minibatch (m, visible); what it returns, a scalar without a graph, is averaged."""

    def own(self) -> dict[str, Tensor]:
        """What else than the model's tensors the future depends on, the training's own tensors, by name."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """All that the future depends on, tensors by name, not copies."""
        state = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        state |= {f"own.{name}": tensor for name, tensor in self.own().items()}
        return state | {"order": self._order, "random": self.rng.get_state(), "done": torch.tensor(self.done)}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state` of the same training.

        Raises
        ------
        ValueError
            If the state has other tensors than this training; nothing is changed then.
        """
        now = self.state()
        wrong = [name for name in now.keys() | state.keys() if not _alike(name, now.get(name), state.get(name))]
        if wrong:
            raise ValueError(
                f"the state is another training's: {', '.join(sorted(wrong))} differ in shape or are amiss"
            )
        self.rng.set_state(state["random"].cpu())
        self.done = int(state["done"])
        self._order = state["order"].to(self.data.device, copy=True)
        for name, tensor in now.items():
            if name.startswith(("model.", "own.")):
                tensor.copy_(state[name])


class Descent(Learning):
    """Stochastic gradient descent with momentum on a loss, its rate falling from epoch to epoch.

    The velocity is momentum times itself less rate times gradient, and is what a parameter moves by: the form of the
    2014 codes, in which a falling rate does not reach back (torch's multiplies the whole past by today's rate).

    Parameters
    ----------
    loss : gives the loss of a minibatch, a scalar; it is called with the minibatch and the generator.
    lr, lr_decay : the rate of the first epoch, in (0, 1e30], and what each further epoch multiplies it by, in (0, 1].
    momentum : in [0, 1).
    model, data, m, seed : as `Learning`.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Tensor,
        loss: Callable[[Tensor, torch.Generator], Tensor],
        *,
        lr: float,
        lr_decay: float = 1.0,
        momentum: float = 0.0,
        m: int = 100,
        seed: int = 0,
    ) -> None:
        super().__init__(model, data, m=m, seed=seed)
        self.lr = limits.real("lr", lr, "(0, 1e30]")
        self.lr_decay = limits.real("lr_decay", lr_decay, "(0, 1]")
        self.momentum = limits.real("momentum", momentum, "[0, 1)")
        if not callable(loss):
            raise TypeError(f"loss is {limits.shown(loss)}; give a function of a minibatch and a generator")
        self.loss = loss
        self._parameters = dict(model.named_parameters())
        self._velocity = {name: torch.zeros_like(parameter) for name, parameter in self._parameters.items()}

    def update(self, batch: Tensor) -> Tensor:
        """One step down the gradient of the minibatch's loss; gives that loss."""
        tensors.fits("batch", batch, self.data, *self.data.shape[1:])
        loss = self.loss(batch, self.rng)
        gradients = torch.autograd.grad(loss, list(self._parameters.values()))
        rate = self.lr * self.lr_decay ** (self.done // self.epoch_length)
        with torch.no_grad():
            for (name, parameter), gradient in zip(self._parameters.items(), gradients, strict=True):
                parameter.add_(self._velocity[name].mul_(self.momentum).sub_(gradient, alpha=rate))
        return loss.detach()

    def own(self) -> dict[str, Tensor]:
        """The velocities."""
        return self._velocity


def _alike(name: str, one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return False
    return name == "order" or (one.shape, one.dtype) == (other.shape, other.dtype)
