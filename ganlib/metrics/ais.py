"""Annealed importance sampling (AIS): log p(x) of images under a decoder with noise on its output, and bounds on it.

A generator's images lie on a surface and have no density. With noise on them they have one: z ~ N(0, I),
x ~ N(G(z), s^2 I), p(x) = E_z p(x|z). Wu, Burda, Salakhutdinov & Grosse (2017) estimate it by AIS (Neal, 2001): chains
go from the prior to the posterior through p(z) p(x|z)^beta, beta from 0 to 1, moved by Hamiltonian Monte Carlo (HMC),
and their weights' expectation is p(x). What is to be known of the result:

- The logarithm of the mean weight is a lower bound of log p(x) *in expectation* (Jensen), no matter how few
  temperatures or chains: an estimate that is too low looks like any other. By Markov's inequality it exceeds log p(x)
  by b nats with probability at most exp(-b).
- From an exact posterior sample the same chains run backwards, and give an upper bound in expectation (bidirectional
  Monte Carlo: Grosse, Ghahramani & Adams, 2015). An exact one is known only for an x that the model itself drew: the
  gap between the bounds is that of simulated images, and says nothing for sure about real ones.
- HMC's step sizes are found by a pilot run (`tuned`) with random numbers of its own and then kept. Adapted on the way,
  even by a chain's earlier temperatures alone, they would depend on where the chain is; its weight would no longer have
  expectation p(x), and neither bound would be one. Kept ones, jittered by chance, leave both exact.
- The log-density of a net of rectifiers has kinks. HMC stays valid there, as the acceptance step needs no smoothness
  and the leapfrog steps stay reversible and keep volume; only fewer proposals are accepted than where it is smooth.
- Nats are of a density, in the units of the data: those of pixels in [0, 1] and of pixels in [0, 255] differ by
  D log 255. Another s is another model.

Tensors: n targets (images), chains of each, z in R^d: z is (n, chains, d), and ``log_likelihood`` gives (n, chains) for
it. It is called with any number of chains at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlib import limits, tensors
from ganlib.device import double
from ganlib.sampling import Latent

LogLikelihood = Callable[[Tensor], Tensor]
# Rows of z whose log-likelihoods are computed at once: beyond some hundreds a product of matrices gains no speed.
ROWS = 4096
# The pilot's: first step size, how far one acceptance moves its logarithm, and its range. In N(0, I) the leapfrog steps
# are stable below 2.
START, RATE, RANGE = 0.3, 0.4, (1e-6, 1.0)
# Every transition's step is drawn from this share of the tuned one: a trajectory of fixed length may come back to where
# it began, time and again (Neal, 2011).
JITTER = (0.8, 1.2)
PILOT = 100  # transitions at least
LARGEST = 1e15  # of a pixel or a width: squared distances stay float32


@dataclass(frozen=True)
class Estimate:
    """What a run of AIS found, target by target.

    Parameters
    ----------
    bound : "lower" from `forward`, "upper" from `reverse`: of log p(x), in expectation.
    log_likelihood : (n,) float64, nats.
    log_weights : (n, chains) float64; their exponentials have expectation p(x), in `reverse` their inverses 1 / p(x).
    effective : (n,) float64 from 1 to chains, (sum w)^2 / sum w^2, of the weights or their inverses. Chains that all
        missed the same mode agree with each other: a high one proves nothing.
    acceptance : (n,) float64, the mean probability with which a proposal was accepted; 1 where there was none.
    path : (temperatures, n) float64: the estimate of log E_z p(x|z)^beta at each; None from `reverse`.
    z : (n, chains, d), where the chains ended. From `forward`, with the weights, samples of the posterior.
    """

    bound: str
    log_likelihood: Tensor
    log_weights: Tensor
    effective: Tensor
    acceptance: Tensor
    path: Tensor | None
    z: Tensor

    def __str__(self) -> str:
        n, chains = self.log_weights.shape
        return (
            f"log p(x) {self.log_likelihood.mean():.1f} nats, mean over n = {n:,}, a {self.bound} bound in "
            f"expectation; {self.effective.mean():.1f} of {chains} chains effective, "
            f"{self.acceptance.mean():.0%} of proposals accepted"
        )


def schedule(count: int, spread: float = 4.0) -> Tensor:
    """Inverse temperatures from 0 to 1, close together at both ends: the sigmoid of -spread..spread, rescaled.

    Parameters
    ----------
    count : >= 2. Two are plain importance sampling from the prior.
    spread : in [0.001, 30]; 4 in Wu et al. (2017). Near 0 the temperatures are evenly spaced.

    Returns
    -------
    Tensor
        (count,) float64.

    Examples
    --------
    >>> schedule(5).round(decimals=3)
    tensor([0.0000, 0.1050, 0.5000, 0.8950, 1.0000], dtype=torch.float64)
    """
    count = limits.check("count", count, 2)
    spread = limits.real("spread", spread, "[0.001, 30]")
    raw = torch.linspace(-spread, spread, count, dtype=torch.float64).sigmoid()
    found: Tensor = (raw - raw[0]) / (raw[-1] - raw[0])
    return found


def gaussian(decoder: Callable[[Tensor], Tensor], x: Tensor, s: float) -> LogLikelihood:
    """log N(x; decoder(z), s^2 I) as a function of z, for `forward` and its siblings.

    Parameters
    ----------
    decoder : gives means (m, ...), as many numbers as an image has, for z (m, d).
    x : (n, ...), values in [-1e15, 1e15]; one target each.
    s : standard deviation of every pixel, in the units of x, in [1e-15, 1e15].

    Raises
    ------
    TypeError, ValueError
        If one of them is not as said; at the function's call, if the means' number does not fit.

    Examples
    --------
    >>> f = gaussian(lambda z: z, torch.zeros(2, 1), 1.0)  # x|z ~ N(z, 1)
    >>> f(torch.zeros(2, 3, 1))[0, 0].item()  # log N(0; 0, 1)
    -0.9189385175704956
    """
    if not callable(decoder):
        raise TypeError(f"decoder is {limits.shown(decoder)}; give a function of z (m, d), such as a generator")
    s = limits.real("s", s, f"[{1 / LARGEST:g}, {LARGEST:g}]")
    x = tensors.real("x", x, rank=2).flatten(1)
    if x.abs().max() > LARGEST:
        raise ValueError(
            f"x holds {x.abs().max().item():g}; give values of at most {LARGEST:g}, such as pixels in [0, 1]"
        )
    log_norm = x.shape[1] * math.log(s * math.sqrt(2 * math.pi))

    def log_likelihood(z: Tensor) -> Tensor:
        means = decoder(z.flatten(0, 1))
        if not isinstance(means, Tensor):
            raise TypeError(f"decoder gave {limits.shown(means)}; it must give a tensor of means (m, ...)")
        if z.shape[0] != len(x) or means.numel() != z.shape[0] * z.shape[1] * x.shape[1]:
            raise ValueError(
                f"x is {tuple(x.shape)}, z {tuple(z.shape)}, of which decoder gives {tuple(means.shape)}: give z "
                "(n, chains, d), n as many as x, and a decoder whose outputs have as many numbers as an x"
            )
        apart = (means.reshape(*z.shape[:2], -1) - x.to(means)[:, None]).square().sum(2)
        return apart / (-2 * s**2) - log_norm

    return log_likelihood


def from_normal(latent: Latent, e: Tensor) -> Tensor:
    """The prior's z as a function of e ~ N(0, I): low + (high - low) Phi(e) if it is uniform, e itself if it is normal.

    Exact: z has the prior's distribution, so p(x) is the same whichever of them is integrated over.

    Parameters
    ----------
    latent : the prior.
    e : (..., latent.dim), float32 or float64. Gradients go through.

    Raises
    ------
    TypeError, ValueError
        If ``latent`` is no `ganlib.sampling.Latent`, or e no such tensor.

    Examples
    --------
    >>> from_normal(Latent(3, "uniform", -1.0, 1.0), torch.tensor([-9.0, 0.0, 9.0]))
    tensor([-1.,  0.,  1.])
    """
    limits.kind("latent", latent, Latent)
    if not isinstance(e, Tensor) or e.dtype not in (torch.float32, torch.float64) or e.layout != torch.strided:
        raise TypeError(f"e is {limits.shown(e)}; give a dense tensor of float32 or float64")
    if e.shape[-1:] != (latent.dim,):
        raise ValueError(f"e is {tuple(e.shape)}; the latent has {latent.dim} coordinates: give (..., {latent.dim})")
    if latent.law == "normal":
        return e
    z: Tensor = latent.low + (latent.high - latent.low) * torch.special.ndtr(e)
    return z


def transition(
    log_likelihood: LogLikelihood, z: Tensor, beta: float, step_size: float, *, leapfrog: int = 10, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One HMC transition of every chain, which leaves N(z; 0, I) exp(beta log_likelihood(z)) invariant.

    Momentum from N(0, I), ``leapfrog`` leapfrog steps, accepted or not by the change of energy, whose error is of order
    step_size^2 (Neal, 2011). A proposal where the log-likelihood is not finite is not accepted.

    Parameters
    ----------
    log_likelihood : differentiable, (n, chains) for z (n, chains, d), finite at z.
    z : (n, chains, d), on the generator's device.
    beta : inverse temperature in [0, 1].
    step_size : in (0, 1e6].
    leapfrog : steps, >= 1.

    Returns
    -------
    tuple of Tensor
        The new z, and the probabilities (n, chains) with which proposals were accepted.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as said.
    """
    beta = limits.real("beta", beta, "[0, 1]")
    step_size = limits.real("step_size", step_size, "(0, 1e6]")
    leapfrog = limits.check("leapfrog", leapfrog)
    here = _begin(log_likelihood, z, rng)
    steps = torch.full_like(here.z[..., :1], step_size)
    there, accepted = _move(log_likelihood, here, beta, steps, leapfrog, rng)
    return there.z, accepted


def tuned(
    log_likelihood: LogLikelihood,
    z: Tensor,
    betas: Sequence[float] | Tensor,
    *,
    leapfrog: int = 10,
    target: float = 0.65,
    pilot: int | None = None,
    rng: torch.Generator,
) -> Tensor:
    """HMC step sizes for every temperature and target, by a pilot run that is thrown away.

    Each chain of the pilot moves the logarithm of its step up or down after every transition, by how far the acceptance
    lay from ``target``; what is given is the geometric mean over chains, interpolated between the pilot's temperatures.

    Parameters
    ----------
    log_likelihood : as in `forward`.
    z : (n, chains, d), drawn from N(0, I), other draws than those of the run that is to come.
    betas : inverse temperatures, increasing from 0 to 1.
    leapfrog : steps, as many as the run's.
    target : mean acceptance, in (0, 1); .65 is nearly optimal in many dimensions (Beskos et al., 2013).
    pilot : transitions of the pilot; by default a fifth of the temperatures, 100 at least.

    Returns
    -------
    Tensor
        (temperatures, n) in z's type, in [1e-6, 1].

    Raises
    ------
    TypeError, ValueError
        If an argument is not as said, or the log-likelihood is not finite at z.
    """
    between = _betas(betas)
    leapfrog = limits.check("leapfrog", leapfrog)
    target = limits.real("target", target, "(0, 1)")
    pilot = max(PILOT, len(between) // 5) if pilot is None else limits.check("pilot", pilot)
    here = _begin(log_likelihood, z, rng)
    last = len(between) - 1
    log_steps = torch.full_like(here.z[..., :1], math.log(START))
    found: dict[int, np.ndarray] = {}
    # No chain moves at beta 0 or 1: the first draws are exact, and the last weight is known before the last move.
    for at in np.linspace(1, last - 1, pilot).round().astype(int) if last > 1 else ():
        here, accepted = _move(log_likelihood, here, between[at], log_steps.exp() * _jitter(here, rng), leapfrog, rng)
        log_steps = (log_steps + RATE * (accepted[..., None] - target)).clamp(*map(math.log, RANGE))
        found[int(at)] = double(log_steps)[..., 0].mean(1).cpu().numpy()
    if not found:
        return torch.full((len(between), len(here.z)), START).to(here.z)
    places, rows = list(found), np.stack(list(found.values()))
    logs = np.stack([np.interp(np.arange(last + 1), places, row) for row in rows.T], axis=1)
    return torch.from_numpy(np.exp(logs)).to(here.z.dtype).to(here.z.device)


def forward(
    log_likelihood: LogLikelihood,
    z: Tensor,
    betas: Sequence[float] | Tensor,
    step_sizes: Tensor,
    *,
    leapfrog: int = 10,
    rng: torch.Generator,
) -> Estimate:
    """AIS from the prior to the posterior: estimates of log p(x), lower bounds in expectation.

    Parameters
    ----------
    log_likelihood : log p(x|z), (n, chains) for z (n, chains, d): differentiable in z and finite at the prior's draws.
        See `gaussian`.
    z : (n, chains, d), drawn from N(0, I). For another prior see `from_normal`.
    betas : inverse temperatures, increasing from 0 to 1, at least 2; see `schedule`.
    step_sizes : (temperatures, n), > 0, chosen without looking at this run; see `tuned`.
    leapfrog : steps of a transition, >= 1.
    rng : of momenta, jitter and acceptance, on z's device.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as said.

    Examples
    --------
    x|z ~ N(z, 1), so x ~ N(0, 2), and log p(0) is -log(4 pi) / 2:

    >>> rng = torch.Generator().manual_seed(0)
    >>> def draws():
    ...     return torch.randn(1, 100, 1, generator=rng)
    >>> f = gaussian(lambda z: z, torch.zeros(1, 1), 1.0)
    >>> found = forward(f, draws(), schedule(50), tuned(f, draws(), schedule(50), rng=rng), rng=rng)
    >>> abs(found.log_likelihood.item() + math.log(4 * math.pi) / 2) < 0.05
    True
    """
    between, leapfrog, steps, here = _checked(log_likelihood, z, betas, step_sizes, leapfrog, rng)
    log_weights = torch.zeros_like(double(here.value))
    acceptance, path = torch.zeros_like(log_weights), [log_weights[:, 0]]
    last = len(between) - 1
    for t in range(1, last + 1):
        log_weights = log_weights + (between[t] - between[t - 1]) * double(here.value)
        path.append(_log_mean_exp(log_weights))
        if t < last:
            here, accepted = _move(log_likelihood, here, between[t], steps[t] * _jitter(here, rng), leapfrog, rng)
            acceptance += double(accepted)
    return _estimate("lower", log_weights, acceptance, last - 1, torch.stack(path), here.z)


def reverse(
    log_likelihood: LogLikelihood,
    z: Tensor,
    betas: Sequence[float] | Tensor,
    step_sizes: Tensor,
    *,
    leapfrog: int = 10,
    rng: torch.Generator,
) -> Estimate:
    """AIS from exact posterior samples back to the prior: estimates of log p(x), upper bounds in expectation.

    The transitions are those of `forward`, in the opposite order.

    Parameters
    ----------
    log_likelihood, betas, step_sizes, leapfrog, rng : as `forward`'s.
    z : (n, chains, d), each an exact sample of p(z|x). For simulated data, z ~ N(0, I) and then x ~ p(x|z), that z is
        one; all chains of its x may start there, and are then no independent estimates. From anything else the result
        is no bound.

    Raises
    ------
    TypeError, ValueError
        As `forward`.
    """
    between, leapfrog, steps, here = _checked(log_likelihood, z, betas, step_sizes, leapfrog, rng)
    log_weights = torch.zeros_like(double(here.value))
    acceptance = torch.zeros_like(log_weights)
    last = len(between) - 1
    for t in range(last, 0, -1):
        log_weights = log_weights + (between[t] - between[t - 1]) * double(here.value)
        if t > 1:
            here, accepted = _move(
                log_likelihood, here, between[t - 1], steps[t - 1] * _jitter(here, rng), leapfrog, rng
            )
            acceptance += double(accepted)
    return _estimate("upper", log_weights, acceptance, last - 1, None, here.z)


@dataclass(frozen=True)
class _Point:
    """Where the chains are: z (n, chains, d), the log-likelihoods (n, chains) there and their gradients."""

    z: Tensor
    value: Tensor
    gradient: Tensor

    def log_density(self, beta: float) -> Tensor:
        return beta * self.value - self.z.square().sum(2) / 2

    def slope(self, beta: float) -> Tensor:
        return beta * self.gradient - self.z


def _move(
    log_likelihood: LogLikelihood, here: _Point, beta: float, step: Tensor, leapfrog: int, rng: torch.Generator
) -> tuple[_Point, Tensor]:
    """An HMC transition with step sizes that broadcast to (n, chains, 1), and the probabilities of acceptance."""
    # Random numbers are float32's: the same seed then means the same run in either format.
    momentum = torch.randn(here.z.shape, generator=rng, device=here.z.device, dtype=torch.float32).to(here.z.dtype)
    there, moving = here, momentum + step / 2 * here.slope(beta)
    for left in range(leapfrog - 1, -1, -1):
        there = _at(log_likelihood, there.z + step * moving)
        moving = moving + (step if left else step / 2) * there.slope(beta)
    kinetic = (momentum.square() - moving.square()).sum(2) / 2
    log_ratio = there.log_density(beta) - here.log_density(beta) + kinetic
    # A trajectory that has diverged, to infinity or to no number at all, is a proposal of probability 0.
    good = there.value.isfinite() & log_ratio.isfinite()
    probability = torch.where(good, log_ratio.clamp(max=0).exp(), torch.zeros_like(log_ratio))
    uniform = torch.rand(probability.shape, generator=rng, device=here.z.device, dtype=torch.float32)
    accept = uniform < probability
    new = _Point(
        torch.where(accept[..., None], there.z, here.z),
        torch.where(accept, there.value, here.value),
        torch.where(accept[..., None], there.gradient, here.gradient),
    )
    return new, probability


def _at(log_likelihood: LogLikelihood, z: Tensor) -> _Point:
    values, gradients = [], []
    for part in z.split(max(1, ROWS // len(z)), dim=1):
        with torch.enable_grad():
            part = part.detach().requires_grad_()
            value: Any = log_likelihood(part)
            if not isinstance(value, Tensor) or value.shape != part.shape[:2] or not value.is_floating_point():
                raise ValueError(
                    f"log_likelihood gave {limits.shown(value)} for z {tuple(part.shape)}; it must give one number a "
                    f"chain, a floating-point tensor {tuple(part.shape[:2])}"
                )
            slope = torch.autograd.grad(value.sum(), part, allow_unused=True)[0] if value.requires_grad else None
        if slope is None:
            raise ValueError(
                "log_likelihood gave what has no gradient in z; give a function that torch can differentiate"
            )
        values.append(value.detach())
        gradients.append(slope)
    return _Point(z.detach(), torch.cat(values, 1), torch.cat(gradients, 1))


def _begin(log_likelihood: LogLikelihood, z: Tensor, rng: torch.Generator) -> _Point:
    """The chains' first point, its parts checked."""
    if not callable(log_likelihood):
        raise TypeError(f"log_likelihood is {limits.shown(log_likelihood)}; give a function of z (n, chains, d)")
    tensors.generator("rng", rng)
    z = tensors.real("z", z, rank=3)
    if z.ndim != 3:
        raise ValueError(f"z is {tuple(z.shape)}; give (n, chains, d)")
    if z.device.type != rng.device.type:
        raise ValueError(f"z is on {z.device}, rng on {rng.device}; put both on one device")
    here = _at(log_likelihood, z)
    if not (here.value.isfinite().all() and here.log_density(0).isfinite().all()):
        raise ValueError(
            f"log_likelihood gave values that are not finite, or no finite density, for z {tuple(z.shape)}: it must be "
            "finite at every draw of the prior; look at the decoder's outputs, and at s if they are fine"
        )
    return here


def _checked(
    log_likelihood: LogLikelihood,
    z: Tensor,
    betas: Sequence[float] | Tensor,
    step_sizes: Tensor,
    leapfrog: int,
    rng: torch.Generator,
) -> tuple[list[float], int, Tensor, _Point]:
    """Temperatures, leapfrog steps, step sizes (temperatures, n, 1, 1) and the first point; errors as `forward`."""
    between = _betas(betas)
    leapfrog = limits.check("leapfrog", leapfrog)
    steps = tensors.real("step_sizes", step_sizes)
    here = _begin(log_likelihood, z, rng)
    if steps.shape != (len(between), len(here.z)):
        raise ValueError(
            f"step_sizes is {tuple(steps.shape)}, z {tuple(here.z.shape)}, and there are {len(between)} betas: give "
            f"({len(between)}, {len(here.z)}), as `tuned` does"
        )
    if not ((steps > 0) & (steps <= 1e6)).all():
        raise ValueError(f"step_sizes holds {steps.min().item():g} to {steps.max().item():g}; give numbers in (0, 1e6]")
    return between, leapfrog, steps.to(here.z)[..., None, None], here


def _betas(betas: Sequence[float] | Tensor) -> list[float]:
    found = limits.floats("betas", betas)
    if found.ndim != 1 or len(found) < 2 or found[0] != 0 or found[-1] != 1 or not (np.diff(found) > 0).all():
        raise ValueError(
            f"betas is {limits.shown(betas)}; give at least 2 inverse temperatures that increase from 0 to 1, such as "
            "schedule(1000)"
        )
    numbers: list[float] = found.tolist()
    return numbers


def _jitter(here: _Point, rng: torch.Generator) -> Tensor:
    """Random factors (n, chains, 1) for step sizes."""
    low, high = JITTER
    shape = (*here.z.shape[:2], 1)
    uniform = torch.rand(shape, generator=rng, device=here.z.device, dtype=torch.float32)
    return low + (high - low) * uniform.to(here.z.dtype)


def _log_mean_exp(x: Tensor) -> Tensor:
    return torch.logsumexp(x, 1) - math.log(x.shape[1])


def _estimate(
    bound: str, log_weights: Tensor, acceptance: Tensor, moves: int, path: Tensor | None, z: Tensor
) -> Estimate:
    sign = 1 if bound == "lower" else -1
    signed = sign * log_weights
    effective = (2 * torch.logsumexp(signed, 1) - torch.logsumexp(2 * signed, 1)).exp()
    accepted = (acceptance / moves if moves else torch.ones_like(acceptance)).mean(1)
    return Estimate(bound, sign * _log_mean_exp(signed), log_weights, effective, accepted, path, z)
