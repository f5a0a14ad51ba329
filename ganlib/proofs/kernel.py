"""Proofs as checked sequences of steps.

What is trusted: SymPy's algebra (`algebra`), the rules (`rules`), the definitions (`notation`), and that every integral
written down is finite. A step never stores whether it holds. `Proof.check` hands each claim to its rule, which decides
it anew and says which hypotheses it needs; the step must make those and no others, and hold in every world
(`worlds`) that meets them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sympy import Basic, Derivative, Eq, Ge, Gt, Le, Lt, Poly, Symbol, true
from sympy.core.function import AppliedUndef

from ganlib.errors import ProofError
from ganlib.proofs.algebra import Failed
from ganlib.proofs.hypotheses import Hypothesis, Smooth, known_integrals, positive, require_compatible
from ganlib.proofs.notation import TOTALS, Gradient, p_theta, theta, to_latex, x
from ganlib.proofs.rendering import assumptions, to_markdown
from ganlib.proofs.substitution import bound_variables
from ganlib.proofs.worlds import require_in_worlds

RELATIONS = (Eq, Le, Lt, Ge, Gt)
STRICT = (Lt, Gt)


class Rule(Protocol):
    """How a step is decided. A rule holds no verdict, only the method."""

    @property
    def premises(self) -> tuple[str, ...]:
        """The names of the earlier steps that it uses."""

    def confirm(self, claim: Any, context: Context) -> frozenset[Hypothesis]:
        """The hypotheses that the claim needs; raise `Failed` if it does not hold under those that the step makes."""


@dataclass(frozen=True)
class Context:
    """What a rule may lean on: the earlier steps by name, and the hypotheses that the step makes."""

    earlier: Mapping[str, Step]
    assumes: frozenset[Hypothesis] = frozenset()

    def source(self, name: str) -> Step:
        """The earlier step called `name`; `Failed` if there is none."""
        if name not in self.earlier:
            raise Failed(f"it uses {name!r}, which is not an earlier step")
        return self.earlier[name]

    def known(self) -> frozenset[tuple[Any, Any]]:
        """The integrals whose value the hypotheses give."""
        return frozenset((total, value) for total, (value, _) in known_integrals(self.assumes).items())

    def behind(self, totals: Iterable[Any]) -> frozenset[Hypothesis]:
        """The hypotheses that give the values of these integrals."""
        known = known_integrals(self.assumes)
        return frozenset[Hypothesis]().union(*(known[total][1] for total in totals))


@dataclass(frozen=True)
class Step:
    """One step of a proof.

    Parameters
    ----------
    name
        Short identifier, unique in its proof.
    text
        Why the step holds: one or two sentences of Markdown.
    claim
        A SymPy ``Eq`` or inequality. Checked anew every time.
    by
        The rule that decides the claim.
    assumes
        The hypotheses under which the claim holds: exactly those that the rule and the steps it uses need.
    after
        The step whose right side is this claim's left side, in a chain of rewritings.

    Raises
    ------
    TypeError
        If the claim is no SymPy object, or an assumption is no `Hypothesis`.
    ValueError
        If the name or text is empty.
    """

    name: str
    text: str
    claim: Any
    by: Rule
    assumes: tuple[Hypothesis, ...] = ()
    after: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.claim, Basic):
            raise TypeError(f"claim must be a SymPy relation such as Eq(lhs, rhs), got {self.claim!r}")
        if not self.name or not self.text:
            raise ValueError(f"a step needs a name and a text, got name={self.name!r}, text={self.text!r}")
        if strange := [one for one in self.assumes if not isinstance(one, Hypothesis)]:
            raise TypeError(f"assumes must hold hypotheses such as Normalised(p_data(x)), got {strange[0]!r}")

    @property
    def assumed(self) -> frozenset[Hypothesis]:
        """The hypotheses, as a set."""
        return frozenset(self.assumes)

    def needs(self, earlier: Mapping[str, Step]) -> frozenset[Hypothesis]:
        """The hypotheses without which the claim does not follow; `Failed`, with the reason, if it never does."""
        if not isinstance(self.claim, RELATIONS):
            raise Failed(f"the claim is {self.claim}, not an equation or inequality with two sides")
        _refuse_trivial(self.claim)
        if strange := [variable for variable in bound_variables(self.claim) if not isinstance(variable, Symbol)]:
            raise Failed(f"{to_latex(strange[0])} is no variable")
        context = Context(earlier, self.assumed)
        needed = self.by.confirm(self.claim, context)
        if self.after is not None:
            previous = context.source(self.after)
            if self.claim.lhs != previous.claim.rhs:
                raise Failed(
                    f"its left side is not the right side of {self.after!r}: "
                    f"{to_latex(self.claim.lhs)} against {to_latex(previous.claim.rhs)}"
                )
        if isinstance(self.claim, STRICT):  # equal sides are excluded only where there is mass
            needed |= positive(self.claim.lhs - self.claim.rhs)
        if self.claim.has(Gradient) or any(node.expr.has(*TOTALS) for node in self.claim.atoms(Derivative)):
            needed |= {Smooth(p_theta(x, theta))}
        require_compatible(needed)
        return needed

    def confirm(self, earlier: Mapping[str, Step]) -> int:
        """Decide the claim, given the earlier steps; return in how many worlds it was computed, or raise `Failed`."""
        for other in earlier.values():
            if _same(self.claim, other.claim):
                raise Failed(f"it repeats the step {other.name!r}")
        needed = self.needs(earlier)
        assumed = self.assumed
        if missing := needed - assumed:
            raise Failed(f"it needs a hypothesis that it does not make: {_listed(missing)}")
        if idle := assumed - needed:
            raise Failed(f"it makes a hypothesis that it does not need: {_listed(idle)}")
        if len(assumed) != len(self.assumes):
            raise Failed("it makes one hypothesis twice")
        return require_in_worlds(self.claim, assumed)


def _listed(hypotheses: Iterable[Hypothesis]) -> str:
    return "; ".join(sorted(str(one) for one in hypotheses))


def _refuse_trivial(claim: Any) -> None:
    """A claim about numbers alone, or one that SymPy sees to be true as it stands, says nothing."""
    left, right = claim.args
    difference = left - right
    values = difference.atoms(Symbol, AppliedUndef)
    # SymPy would try to compare integrals by quadrature, for ever where one is infinite.
    plain = not difference.has(*TOTALS)
    # A linear inequality follows from the ranges of its values alone, as y < 2.
    linear = plain and values and not isinstance(claim, Eq) and _is_linear(difference, values)
    if not values or linear or (plain and claim.func(left, right) == true):
        raise Failed(f"the claim {to_latex(claim)} says nothing about what the proof is about")


def _is_linear(expr: Any, values: set[Any]) -> bool:
    outer = {value for value in values if not any(value in other.args for other in values)}
    return bool(expr.is_polynomial(*outer) and Poly(expr, *outer).total_degree() <= 1)


def _same(one: Any, other: Any) -> bool:
    """Whether two claims state one relation between the same two sides."""
    if isinstance(one, Eq) and isinstance(other, Eq):
        return set(one.args) == set(other.args)
    return bool(one in (other, other.reversed))


@dataclass(frozen=True)
class Report:
    """What `Proof.check` found: for every step, how it was checked, in how many worlds, and what it assumes."""

    title: str
    rows: tuple[tuple[str, int], ...]
    assumes: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.rows)
        lines = [f"{self.title}: all {len(self.rows)} steps hold"]
        for number, ((name, worlds), assumes) in enumerate(zip(self.rows, self.assumes, strict=True), 1):
            lines.append(f"{number:3}. {name:{width}}  symbolic, and in {worlds} world{'s' * (worlds > 1)}")
            lines.extend(f"     {'':{width}}  assuming {one[0].lower()}{one[1:]}" for one in assumes)
        return "\n".join(lines)

    def _repr_markdown_(self) -> str:
        lines = [f"**{self.title}**: all {len(self.rows)} steps hold", ""]
        lines += ["| | Step | Worlds | Assuming |", "|---|---|---|---|"]
        for number, ((name, worlds), assumes) in enumerate(zip(self.rows, self.assumes, strict=True), 1):
            lines.append(f"| {number} | {name} | {worlds} | {' '.join(assumes)} |")
        return "\n".join(lines)


@dataclass(frozen=True)
class Proof:
    """A statement and the steps that prove it.

    Parameters
    ----------
    name, title
        Identifier and heading.
    statement
        What is proved, as Markdown with LaTeX.
    steps
        The steps, in order.
    results
        The names of the steps that state what is proved or defined. Every other step must be used by a later one.

    Raises
    ------
    ValueError
        If there is no step or no result, or two steps share a name.

    Examples
    --------
    >>> from ganlib.proofs import lemma
    >>> from sympy import Eq
    >>> proof = lemma()
    >>> print(str(proof.check()).splitlines()[1])
      1. derivative            symbolic, and in 24 worlds
    >>> claim = proof.step("derivative").claim
    >>> proof.with_step("derivative", claim=Eq(claim.lhs, 2 * claim.rhs)).check()
    Traceback (most recent call last):
      ...
    ganlib.errors.ProofError: lemma, step 'derivative': ...
    """

    name: str
    title: str
    statement: str
    steps: tuple[Step, ...]
    results: tuple[str, ...]

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        if not names or not self.results:
            raise ValueError(f"proof {self.name!r} has no {'results' if names else 'steps'}")
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"proof {self.name!r} has two steps called {sorted(repeated)[0]!r}")

    def step(self, name: str) -> Step:
        """The step called `name`; ValueError, listing the names, if there is none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise ValueError(f"no step {name!r} in {self.name}; its steps are {[s.name for s in self.steps]}")

    def check(self) -> Report:
        """Check every step in order.

        Returns
        -------
        Report
            How each step was checked.

        Raises
        ------
        ProofError
            At the first step that does not hold, or that nothing uses; or if a result is not among the steps.
        """
        earlier: dict[str, Step] = {}
        rows = []
        for step in self.steps:
            try:
                worlds = step.confirm(earlier)
            except Failed as failure:
                raise ProofError(f"{self.name}, step {step.name!r}: {failure}") from failure
            except Exception as error:  # SymPy gives up on a malformed claim in many ways; none of them is a proof
                reason = f"the claim could not be decided ({type(error).__name__}: {error})"
                raise ProofError(f"{self.name}, step {step.name!r}: {reason}") from error
            earlier[step.name] = step
            rows.append((step.name, worlds))
        if missing := [name for name in self.results if name not in earlier]:
            raise ProofError(
                f"{self.name}, step {missing[0]!r}: it is a result of the proof, and there is no such step"
            )
        used = {name for step in self.steps for name in step.by.premises}
        for step in reversed(self.steps):  # a link of a chain is used if what continues it is
            if step.name in used and step.after:
                used.add(step.after)
        if idle := [name for name in earlier if name not in used and name not in self.results]:
            raise ProofError(f"{self.name}, step {idle[0]!r}: nothing uses it, and it is not a result")
        return Report(self.title, tuple(rows), tuple(assumptions(self)))

    def with_step(self, name: str, **changes: Any) -> Proof:
        """A copy in which step `name` is altered: ``proof.with_step("mixture", claim=Eq(lhs, -rhs))``."""
        altered = replace(self.step(name), **changes)
        return replace(self, steps=tuple(altered if step.name == name else step for step in self.steps))

    def _repr_markdown_(self) -> str:
        return to_markdown(self)
