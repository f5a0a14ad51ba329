"""What a step may assume. A hypothesis is an object: the rules carry it on, and a world knows whether it meets it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sympy import Derivative, S, sympify
from sympy.core.function import AppliedUndef

from ganlib.proofs.algebra import Failed, difference
from ganlib.proofs.notation import (
    TOTALS,
    D,
    G,
    Mixture,
    integral,
    p_data,
    p_g,
    p_theta,
    p_z,
    theta,
    theta_0,
    to_latex,
    unfold,
    x,
    z,
)
from ganlib.proofs.substitution import Substitution

DENSITIES = (p_data(x), p_g(x), p_theta(x, theta), p_theta(x, theta_0), p_z(z))


class Hypothesis:
    """Base of the hypotheses. Two are equal if they say the same, however they are written."""

    @property
    def key(self) -> Any:
        """What it says, in one form for all ways to write it."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """What it says, as Markdown."""
        raise NotImplementedError

    def moved(self, put: Substitution) -> frozenset[Hypothesis]:
        """What it becomes under a substitution; `Failed` if that is never true, or not a hypothesis of this kind."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.key == other.key

    def __hash__(self) -> int:
        return hash((type(self), self.key))

    def __str__(self) -> str:
        return self.text


def _of_densities(kind: str, densities: Iterable[Any]) -> None:
    for density in densities:
        if density not in DENSITIES:
            raise Failed(f"{to_latex(density)} is not a density: it cannot be {kind}")


@dataclass(frozen=True, eq=False)
class Normalised(Hypothesis):
    """The density integrates to 1."""

    density: Any

    def __post_init__(self) -> None:
        _of_densities("normalised", [self.density])

    @property
    def key(self) -> Any:
        return self.density.xreplace({theta: theta_0})

    @property
    def text(self) -> str:
        return rf"$\int {to_latex(self.density)} \, d{'z' if self.density.has(z) else 'x'} = 1$."

    def moved(self, put: Substitution) -> frozenset[Hypothesis]:
        new = put(self.density)
        return frozenset(map(Normalised, new.args if isinstance(new, Mixture) else [new]))


@dataclass(frozen=True, eq=False)
class Smooth(Hypothesis):
    """The density may be differentiated in theta under the integral sign."""

    density: Any

    def __post_init__(self) -> None:
        if self.density.func != p_theta:
            raise Failed(f"{to_latex(self.density)} does not depend on a parameter: it cannot be smooth in one")

    @property
    def key(self) -> Any:
        return self.density.func

    @property
    def text(self) -> str:
        return "$p_{\\theta}$ is smooth enough in $\\theta$ to differentiate under the integral sign."

    def moved(self, put: Substitution) -> frozenset[Hypothesis]:
        return frozenset({self})


@dataclass(frozen=True, eq=False)
class _Unequal(Hypothesis):
    left: Any
    right: Any

    def __post_init__(self) -> None:
        for side in ("left", "right"):
            object.__setattr__(self, side, sympify(getattr(self, side)))
        if unfold(self.left - self.right).has(*TOTALS):
            raise Failed(f"{to_latex(self.left)} and {to_latex(self.right)} must be values at one point")
        if self.key in (0, 1):
            never = "never" if self.key == 0 else "always"
            raise Failed(f"{to_latex(self.left)} and {to_latex(self.right)} {never} differ: there is nothing to assume")

    @property
    def key(self) -> Any:
        return difference(self.left, self.right)

    def moved(self, put: Substitution) -> frozenset[Hypothesis]:
        left, right = put(self.left), put(self.right)
        match difference(left, right):
            case S.Zero:
                raise Failed(f"it excludes the hypothesis {self.text} of the step it uses: they would be equal")
            case S.One:
                return frozenset()  # always true: discharged
        return frozenset({type(self)(left, right)})


class Apart(_Unequal):
    """``Apart(u, v)``: the two values differ (at this point, where they are functions of x)."""

    @property
    def text(self) -> str:
        return rf"${to_latex(self.left)} \neq {to_latex(self.right)}$."


class Differ(_Unequal):
    """``Differ(u, v)``: the two functions of x differ on a set that has mass under one of the densities."""

    @property
    def text(self) -> str:
        return rf"${to_latex(self.left)} \neq {to_latex(self.right)}$ on a set of positive measure."


@dataclass(frozen=True, eq=False)
class Positive(Hypothesis):
    """The density is positive at this x."""

    density: Any

    def __post_init__(self) -> None:
        _of_densities("positive at a point", [self.density])

    @property
    def key(self) -> Any:
        return self.density

    @property
    def text(self) -> str:
        return rf"${to_latex(self.density)} > 0$."

    def moved(self, put: Substitution) -> frozenset[Hypothesis]:
        return positive(put(self.density))


def positive(value: Any) -> frozenset[Hypothesis]:
    """The hypotheses that the densities in `value`, outside integrals, are positive."""
    atoms = {atom for atom in outside_integrals(value) if atom.func not in (D, G)}
    return frozenset(Positive(atom) for atom in atoms)


def outside_integrals(expr: Any) -> set[Any]:
    """The function values in `expr` that stand at one point: those outside every integral."""
    bare = unfold(expr)
    bare = bare.xreplace(dict.fromkeys(bare.atoms(*TOTALS), S.Zero))
    return set(bare.atoms(AppliedUndef))


@dataclass(frozen=True, eq=False)
class _Pair(Hypothesis):
    p: Any
    q: Any

    def __post_init__(self) -> None:
        _of_densities("compared by its support", [self.p, self.q])
        if self.p == self.q:
            raise Failed(f"{to_latex(self.p)} cannot be compared with itself")

    @property
    def key(self) -> Any:
        return frozenset({self.p, self.q})

    def moved(self, put: Substitution) -> frozenset[Hypothesis]:
        return frozenset({type(self)(put(self.p), put(self.q))})


class Overlap(_Pair):
    """``Overlap(p, q)``: both densities are positive on a set of positive measure."""

    @property
    def text(self) -> str:
        return rf"${to_latex(self.p)}\, {to_latex(self.q)} > 0$ on a set of positive measure."


class Disjoint(_Pair):
    """``Disjoint(p, q)``: the densities are never positive at the same x."""

    @property
    def text(self) -> str:
        return rf"${to_latex(self.p)}\, {to_latex(self.q)} = 0$ for almost every $x$."


@dataclass(frozen=True, eq=False)
class Pushforward(Hypothesis):
    """p_g is the density of G(z) when z has the density p_z."""

    noise: Any
    generated: Any

    def __post_init__(self) -> None:
        _of_densities("pushed forward", [self.noise, self.generated])
        if self.noise != p_z(z) or self.generated == self.noise:
            raise Failed(f"a generator takes {to_latex(p_z(z))} to a density of x, not {to_latex(self.generated)}")

    @property
    def key(self) -> Any:
        return self.noise, self.generated

    @property
    def text(self) -> str:
        return rf"${to_latex(self.generated)}$ is the density of $G(z)$ when $z \sim p_z$."

    def moved(self, put: Substitution) -> frozenset[Hypothesis]:
        return frozenset({Pushforward(put(self.noise), put(self.generated))})


@dataclass(frozen=True, eq=False)
class UnitNormals(Hypothesis):
    """The data are N(0, 1), and p_theta is N(theta, 1)."""

    @property
    def key(self) -> Any:
        return p_data(x), p_theta(x, theta)

    @property
    def text(self) -> str:
        return "data $N(0, 1)$, generator $N(\\theta, 1)$; the boundary term of the integration by parts vanishes."

    def moved(self, put: Substitution) -> frozenset[Hypothesis]:
        if tuple(map(put, self.key)) != self.key:
            raise Failed(f"it excludes the hypothesis {self.text} of the step it uses")
        return frozenset({self})


def require_compatible(hypotheses: Iterable[Hypothesis]) -> None:
    """Refuse the one pair of hypotheses that can never hold together; the worlds find what else cannot."""
    overlapping = {one.key for one in hypotheses if isinstance(one, Overlap)}
    for one in hypotheses:
        if isinstance(one, Disjoint) and one.key in overlapping:
            raise Failed(f"its hypotheses exclude each other: {one.text} {Overlap(one.p, one.q).text}")


def known_integrals(hypotheses: Iterable[Hypothesis]) -> dict[Any, tuple[Any, frozenset[Hypothesis]]]:
    """The integrals that the hypotheses give: for each its value, and the hypotheses that it rests on."""
    known: dict[Any, tuple[Any, frozenset[Hypothesis]]] = {}
    hypotheses = frozenset(hypotheses)
    for one in hypotheses:
        if isinstance(one, Normalised):
            variable = z if one.density.has(z) else x
            known[integral(one.key, variable)] = S.One, frozenset({one})
            smooth = Smooth(p_theta(x, theta))
            if one.key.func == p_theta and smooth in hypotheses:
                # The derivative of 1, taken under the integral sign: a density moves mass and makes none.
                known[integral(Derivative(one.key, theta_0))] = S.Zero, frozenset({one, smooth})
    return known
