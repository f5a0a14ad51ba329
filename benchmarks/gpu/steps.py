"""One run computed in every way the engine has, step by step: how far each is from the plain one, and how fast.

The plain one is eager, in float32, one seed. Distances are between weights, as a share of the way that the plain one's
have come: 0 if alike, about 1 if they have nothing in common. Gradients are compared with float64 on the CPU. The
paper's D starts so flat that for a while nothing moves and everything agrees: here it starts with larger weights.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import common
from benchmarks.gpu.record import Record, memory
from benchmarks.loop import available
from ganlib.lab import runs
from ganlib.lab.runs import Run
from ganlib.lab.speed import precision
from ganlib.lab.speed.ensembles import Ensemble
from ganlib.lab.training import Training
from ganlib.losses import discriminator_loss, generator_loss

SMALL = {"width": 64, "units": 16, "m": 20, "examples": 1000}
STEEPER = 20.0  # D's weights are multiplied by it
STEPS = 12  # more than a graph's warm-up: most of them are replayed
# A float32 product keeps 24 bits of mantissa, tf32 11 and bf16 8. An error grows from step to step.
GRADIENTS = {"fp32": 1e-5, "tf32": 1e-2, "bf16": 0.1}
WEIGHTS = {"fp32": 1e-3, "tf32": 0.05, "bf16": 0.2}
LOSSES = {"fp32": 1e-4, "tf32": 1e-2, "bf16": 5e-2}  # nats


def run(record: Record, device: torch.device, small: bool) -> None:
    """Compare, then time."""
    policies = ["fp32", *(p for p in ("tf32", "bf16") if _has(p, device))]
    with available("mnist-paper", SMALL if small else {}) as (named, source):
        record.put(run=runs.as_dict(named), data=source, precisions=policies, steps_compared=STEPS)
        gradients(record, named, device, policies)
        agreement(record, named, device, policies, many=3 if small else 10)
        speed(record, named, device, policies, many=3 if small else 10, seconds=0.02 if small else 0.5)


def gradients(record: Record, run: Run, device: torch.device, policies: Sequence[str]) -> None:
    """Relative error of both losses' gradients without dropout, alone and two seeds at once."""
    data = runs.load_data(run)
    nets = tuple(net.eval() for net in runs.networks(run, 0, data))
    steepen(nets[1])
    x = data.minibatch(run.m, torch.Generator().manual_seed(1))
    z = runs.latent(run).minibatch(run.m, torch.Generator().manual_seed(2))
    exact = _gradient(run, tuple(copy.deepcopy(net).double() for net in nets), x.double(), z.double())
    errors: dict[str, float] = {}
    for policy in policies:
        here = tuple(copy.deepcopy(net).to(device) for net in nets)
        dtype = torch.bfloat16 if policy == "bf16" else None
        kinds: dict[str, tuple[nn.Module, ...]] = {
            "one seed": here if dtype is None else tuple(map(precision.InBfloat16, here)),
            "two at once": tuple(Ensemble([net, net], dtype).eval() for net in here),
        }
        for kind, pair in kinds.items():
            twice = kind == "two at once"
            inputs = (each.to(device).expand(2, *each.shape) if twice else each.to(device) for each in (x, z))
            with precision.active(policy, device):
                found = _gradient(run, pair, *inputs).double().cpu()
            if twice:
                found = found / 2  # of the sum of two equal losses, in equal weights, summed below
            error = ((found - exact).norm() / exact.norm()).item()
            errors[f"{policy}, {kind}"] = error
            record.check(f"relative error of the gradient, {policy}, {kind}", error, most=GRADIENTS[policy])
    for policy in policies[1:]:
        what = f"error of {policy} over that of fp32: it is not float32 after all"
        record.check(what, errors[f"{policy}, one seed"] / errors["fp32, one seed"], least=3)
    record.put(gradient_errors=errors)


def agreement(record: Record, run: Run, device: torch.device, policies: Sequence[str], many: int) -> None:
    """Each way's weights and losses against the plain one's, after every step."""
    cuda, seeds = device.type == "cuda", tuple(range(many))
    ways: dict[str, dict[str, Any]] = {"eager, again": {"precision": "fp32", "graph": False}}
    for policy in policies:
        if cuda:
            ways[f"graph, {policy}"] = {"precision": policy}
        ways[f"{many} seeds, {policy}"] = {"precision": policy, "seeds": seeds}
        if policy != "fp32":
            ways[f"eager, {policy}"] = {"precision": policy, "graph": False}
    if cuda:
        ways[f"{many} seeds, eager, fp32"] = {"precision": "fp32", "seeds": seeds, "graph": False}
    start, plain = trajectory(run, device, {"precision": "fp32", "graph": False})
    found: dict[str, Any] = {}
    for name, settings in ways.items():
        _, steps = trajectory(run, device, settings)
        policy = settings["precision"]
        apart = [
            {"weights": ((w - v).norm() / (v - start).norm()).item(), "losses": (a - b).abs().max().item()}
            for (w, a), (v, b) in zip(steps, plain, strict=True)
        ]
        found[name] = apart
        if name == "eager, again":
            record.check("eager, twice: distance of the weights", apart[-1]["weights"], most=0)
            continue
        record.check(f"{name}: distance of the weights", apart[-1]["weights"], most=WEIGHTS[policy])
        record.check(f"{name}: distance of the losses, nats", max(s["losses"] for s in apart), most=LOSSES[policy])
        record.put(agreement=found)
    fast = {"precision": "fp32", "seeds": seeds}
    one, two = (trajectory(run, device, fast)[1][-1][0] for _ in range(2))
    record.check(f"{many} seeds, twice: distance of the weights", (one - two).norm().item(), most=0)
    # Without these, agreement could be that of a run in which nothing happens.
    record.check("the plain one's weights have moved", (plain[-1][0] - start).abs().max().item(), least=1e-3)
    losses = torch.stack([loss for _, loss in plain])
    record.check("the plain one's losses have moved, nats", (losses.amax(0) - losses.amin(0))[0].item(), least=1e-2)


@torch.no_grad()
def steepen(discriminator: nn.Module) -> None:
    """Multiply D's weights, of one net or many."""
    for parameter in discriminator.parameters():
        parameter.mul_(STEEPER)  # its biases are 0


def trajectory(run: Run, device: torch.device, settings: dict[str, Any]) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """The first seed's weights at the start; after each step its weights and its four statistics, on the CPU."""
    training = Training(replace(run, iterations=STEPS, every=1), device=device, **settings)
    steepen(training.discriminator)

    def weights() -> Tensor:
        pair = training.networks(training.seeds[0])
        return torch.cat([p.detach().flatten() for net in pair for p in net.parameters()]).double().cpu()

    start, steps = weights(), []
    for reports in training.reports():
        one = reports[0]
        steps.append((weights(), torch.tensor([one.d_loss, one.g_loss, one.d_real, one.d_fake])))
    return start, steps


def speed(record: Record, run: Run, device: torch.device, policies: Sequence[str], many: int, seconds: float) -> None:
    """Iterations a second of every way, in turns."""
    ways: dict[str, dict[str, Any]] = {"eager, fp32": {"precision": "fp32", "graph": False}}
    for policy in policies:
        ways[_one(policy, device)] = {"precision": policy}
        ways[f"{many} seeds, {policy}"] = {"precision": policy, "seeds": range(many)}
    candidates = {name: common.iterations(Training(run, device=device, **settings)) for name, settings in ways.items()}
    times = common.interleave(candidates, rounds=3, seconds=seconds, device=device)
    record.put(
        iterations_per_second={name: common.spread(1 / t for t in each) for name, each in times.items()},
        times_faster_than_eager_fp32={
            name: common.ratio(times["eager, fp32"], each) for name, each in times.items() if "seeds" not in name
        },
        pairs_per_second_over_one={
            policy: common.ratio([many * t for t in times[_one(policy, device)]], times[f"{many} seeds, {policy}"])
            for policy in policies
        },
        rounds=times,
        bytes_held_at_most=memory(device),
    )


def _one(policy: str, device: torch.device) -> str:
    """How one seed is trained where nothing else is asked for."""
    return f"{'graph' if device.type == 'cuda' else 'eager'}, {policy}"


def _has(policy: str, device: torch.device) -> bool:
    try:
        return precision.choose(policy, device) == policy
    except ValueError:
        return False


def _gradient(run: Run, pair: Sequence[nn.Module], x: Tensor, z: Tensor) -> Tensor:
    """Of D's loss in D's weights and of G's in G's, as one vector; of many nets, summed over them."""
    G, D = pair
    fake = G(z)
    of_d: Callable[..., Tensor] = partial(discriminator_loss, reduction=run.reduction)
    of_g: Callable[..., Tensor] = generator_loss(run.loss)
    if isinstance(D, Ensemble):  # each of the nets has its own loss
        of_d, of_g = torch.vmap(of_d), torch.vmap(of_g)
    d_loss, g_loss = of_d(D(x), D(fake.detach())).sum(), of_g(D(fake)).sum()
    parts = []
    for loss, net in ((d_loss, D), (g_loss, G)):
        for gradient in torch.autograd.grad(loss, list(net.parameters())):
            parts.append(gradient.sum(0).flatten() if isinstance(net, Ensemble) else gradient.flatten())
    return torch.cat(parts)
