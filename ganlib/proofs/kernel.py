"""Proofs as checked sequences of steps.

A step never stores whether it holds. `Proof.check` hands each step's claim to its rule, which decides it anew, so an
altered claim is found out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sympy import Basic, Eq, Ge, Gt, Le, Lt

from ganlib.proofs.algebra import Failed
from ganlib.proofs.families import Family, require_on
from ganlib.proofs.notation import to_latex

RELATIONS = (Eq, Le, Lt, Ge, Gt)


class ProofError(Exception):
    """A step that does not hold. The message names the proof and the step, and says what differs."""


class Rule(Protocol):
    """How a step is decided. A rule holds no verdict, only the method."""

    @property
    def how(self) -> str:
        """The method in one phrase; empty when the step rests on its families alone."""

    def confirm(self, claim: Any, earlier: Mapping[str, Step]) -> None:
        """Raise `Failed` unless the claim holds, given the earlier steps."""


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
        What is assumed because SymPy cannot carry it; empty when SymPy carries everything.
    after
        The step whose right side is this claim's left side, in a chain of rewritings.
    families
        Concrete distributions on which both sides are also computed.

    Raises
    ------
    TypeError
        If the claim is no SymPy object.
    ValueError
        If the name or text is empty, or nothing at all would check the step.
    """

    name: str
    text: str
    claim: Any
    by: Rule
    assumes: tuple[str, ...] = ()
    after: str | None = None
    families: tuple[Family, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.claim, Basic):
            raise TypeError(f"claim must be a SymPy relation such as Eq(lhs, rhs), got {self.claim!r}")
        if not self.name or not self.text:
            raise ValueError(f"a step needs a name and a text, got name={self.name!r}, text={self.text!r}")
        if not self.by.how and not self.families:
            raise ValueError(f"step {self.name!r} is checked by nothing: give it families")

    @property
    def how(self) -> str:
        """How the step is checked, in words."""
        ways = [self.by.how] if self.by.how else []
        for method in dict.fromkeys(family.method for family in self.families):
            names = "; ".join(family.name for family in self.families if family.method == method)
            ways.append(f"{method} on families: {names}")
        return "; ".join(ways)

    def confirm(self, earlier: Mapping[str, Step]) -> None:
        """Decide the claim, given the earlier steps by name; raise `Failed` with the reason if it does not hold."""
        if not isinstance(self.claim, RELATIONS):
            raise Failed(f"the claim is {self.claim}, not an equation or inequality with two sides")
        if self.after is not None:
            if self.after not in earlier:
                raise Failed(f"it continues {self.after!r}, which is not an earlier step")
            previous = earlier[self.after].claim.rhs
            if self.claim.lhs != previous:
                raise Failed(
                    f"its left side is not the right side of {self.after!r}: "
                    f"{to_latex(self.claim.lhs)} against {to_latex(previous)}"
                )
        self.by.confirm(self.claim, earlier)
        for family in self.families:
            require_on(self.claim, family)


@dataclass(frozen=True)
class Report:
    """What `Proof.check` found: for every step, how it was checked and what it assumes."""

    title: str
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]

    def __str__(self) -> str:
        width = max(len(name) for name, _, _ in self.rows)
        lines = [f"{self.title}: all {len(self.rows)} steps hold"]
        for number, (name, how, assumes) in enumerate(self.rows, 1):
            lines.append(f"{number:3}. {name:{width}}  {how}")
            lines.extend(f"     {'':{width}}  assuming {assumption}" for assumption in assumes)
        return "\n".join(lines)

    def _repr_markdown_(self) -> str:
        lines = [f"**{self.title}**: all {len(self.rows)} steps hold", ""]
        lines += ["| | Step | How it was checked | Assuming |", "|---|---|---|---|"]
        for number, (name, how, assumes) in enumerate(self.rows, 1):
            lines.append(f"| {number} | {name} | {how} | {' '.join(assumes)} |")
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

    Raises
    ------
    ValueError
        If there is no step, or two steps share a name.

    Examples
    --------
    >>> from ganlib.proofs import lemma
    >>> from sympy import Eq
    >>> proof = lemma()
    >>> print(str(proof.check()).splitlines()[1])
      1. derivative          symbolic
    >>> claim = proof.step("derivative").claim
    >>> proof.with_step("derivative", claim=Eq(claim.lhs, 2 * claim.rhs)).check()
    Traceback (most recent call last):
      ...
    ganlib.proofs.kernel.ProofError: lemma, step 'derivative': ...
    """

    name: str
    title: str
    statement: str
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        if not names:
            raise ValueError(f"proof {self.name!r} has no steps")
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
            At the first step that does not hold.
        """
        earlier: dict[str, Step] = {}
        for step in self.steps:
            try:
                step.confirm(earlier)
            except Failed as failure:
                raise ProofError(f"{self.name}, step {step.name!r}: {failure}") from failure
            except Exception as error:  # SymPy gives up on a malformed claim in many ways; none of them is a proof
                reason = f"the claim could not be decided ({type(error).__name__}: {error})"
                raise ProofError(f"{self.name}, step {step.name!r}: {reason}") from error
            earlier[step.name] = step
        return Report(self.title, tuple((step.name, step.how, step.assumes) for step in self.steps))

    def with_step(self, name: str, **changes: Any) -> Proof:
        """A copy in which step `name` is altered: ``proof.with_step("mixture", claim=Eq(lhs, -rhs))``."""
        altered = replace(self.step(name), **changes)
        return replace(self, steps=tuple(altered if step.name == name else step for step in self.steps))

    def _repr_markdown_(self) -> str:
        from ganlib.proofs.rendering import to_markdown  # rendering imports this module

        return to_markdown(self)
