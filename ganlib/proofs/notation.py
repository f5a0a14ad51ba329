"""The symbols, functions and defined terms of the proofs, and the LaTeX they print as.

Densities are arbitrary: ``p_data(x)`` is an undefined SymPy function about which only positivity is known. A *defined
term* (``KL``, ``JSD``, ``Criterion``, ...) keeps its name in a formula until `unfold` replaces it by its definition.
"""

from __future__ import annotations

from typing import Any

from sympy import Derivative, Expr, Function, Integral, Mul, Pow, Rational, Subs, Symbol, fraction, log, oo
from sympy.core.function import AppliedUndef
from sympy.printing.latex import LatexPrinter

x, z = Symbol("x", real=True), Symbol("z", real=True)
theta, theta_0 = Symbol("theta", real=True), Symbol("theta_0", real=True)
a, b = Symbol("a", positive=True), Symbol("b", positive=True)
t = Symbol("t", positive=True)
y = Symbol("y", positive=True)
# Two density values at one fixed x, for statements that are pointwise and need a limit in one of them.
p_point = Symbol(r"p_{\mathrm{data}}", positive=True)
q_point = Symbol("p_g", positive=True)

p_data, p_g = Function("p_data", positive=True), Function("p_g", positive=True)
p_z, p_theta = Function("p_z", positive=True), Function("p_theta", positive=True)
D, G = Function("D", positive=True), Function("G", real=True)

NAMES = {"p_data": r"p_{\mathrm{data}}", "p_g": "p_g", "p_z": "p_z", "D": "D", "G": "G"}


def integral(integrand: Any, variable: Any = x) -> Any:
    """The integral over the whole space of `variable` (a sum, when the space is discrete)."""
    return Integral(integrand, (variable, -oo, oo))


def in_unit_interval(expr: Any) -> bool:
    """True for the atoms that live in the open interval (0, 1): the lemma's y and every value D(.)."""
    return bool(expr == y or (isinstance(expr, AppliedUndef) and expr.func == D))


def density_name(density: Any) -> str:
    r"""The LaTeX name of a density, without its argument.

    Examples
    --------
    >>> density_name(p_data(x))
    'p_{\\mathrm{data}}'
    """
    if isinstance(density, Mixture):
        return "m"
    if isinstance(density, AppliedUndef) and density.func == p_theta:
        return rf"p_{{{to_latex(density.args[1])}}}"
    if isinstance(density, AppliedUndef):
        return str(NAMES.get(density.func.__name__, density.func.__name__))
    return to_latex(density)


class Defined(Function):  # type: ignore[misc]  # sympy is untyped
    """A term with a name and a definition. Subclasses say both."""

    def unfold(self) -> Any:
        """The definition, one level deep."""
        raise NotImplementedError


class Expect(Defined):
    """``Expect(p(x), f)``: the expectation of f under the density p, the integral of p f."""

    def unfold(self) -> Any:
        density, integrand = self.args
        return integral(density * integrand, z if density.has(z) else x)

    def _latex(self, printer: Any) -> str:
        density, integrand = self.args
        variable = printer._print(z if density.has(z) else x)
        return rf"\mathbb{{E}}_{{{variable} \sim {density_name(density)}}}\left[{printer._print(integrand)}\right]"


class Mixture(Defined):
    """``Mixture(p, q)``: the mixture m = (p + q) / 2."""

    def unfold(self) -> Any:
        return (self.args[0] + self.args[1]) / 2

    def _eval_is_positive(self) -> bool:
        return True

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return f"m({printer._print(self.args[0].args[0])})" + (f"^{{{exp}}}" if exp else "")


class OptimalD(Defined):
    """``OptimalD(p, q)``: the discriminator D* = p / (p + q) of Proposition 1."""

    def unfold(self) -> Any:
        return self.args[0] / (self.args[0] + self.args[1])

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        generated = self.args[1]
        frozen = r"_{\theta_0}" if generated.func == p_theta else ""
        body = rf"D^{{*}}{frozen}({printer._print(generated.args[0])})"
        return rf"\left({body}\right)^{{{exp}}}" if exp else body


class KL(Defined):
    """``KL(p, q)``: the Kullback-Leibler divergence, the integral of p log(p / q)."""

    def unfold(self) -> Any:
        p, q = self.args
        return integral(p * log(p / q))

    def _latex(self, printer: Any) -> str:
        return rf"\operatorname{{KL}}\left({density_name(self.args[0])} \,\|\, {density_name(self.args[1])}\right)"


class JSD(Defined):
    """``JSD(p, q)``: the Jensen-Shannon divergence, half of KL(p, m) plus half of KL(q, m)."""

    def unfold(self) -> Any:
        p, q = self.args
        m = Mixture(p, q)
        return Rational(1, 2) * KL(p, m) + Rational(1, 2) * KL(q, m)

    def _latex(self, printer: Any) -> str:
        return rf"\operatorname{{JSD}}\left({density_name(self.args[0])} \,\|\, {density_name(self.args[1])}\right)"


class Value(Defined):
    """``Value(p_data(x), p_z(z), D(x), D(G(z)))``: the value function V of the paper's equation 1."""

    def unfold(self) -> Any:
        data, noise, on_data, on_noise = self.args
        return Expect(data, log(on_data)) + Expect(noise, log(1 - on_noise))

    def _latex(self, printer: Any) -> str:
        return "V(G, D^{*})" if isinstance(self.args[2], OptimalD) else "V(G, D)"


class StationaryPoint(Function):  # type: ignore[misc]  # sympy is untyped
    """``StationaryPoint(f, y)``: the one y at which f' vanishes. `rules.Root` says where that is."""

    def _eval_is_real(self) -> bool:
        return True

    def _latex(self, printer: Any) -> str:
        return f"{printer._print(self.args[1])}^{{*}}"


class Criterion(Defined):
    """``Criterion(p, q)``: C(G), the value function at the optimal discriminator (equation 4)."""

    def unfold(self) -> Any:
        p, q = self.args
        return Expect(p, log(p / (p + q))) + Expect(q, log(q / (p + q)))

    def _latex(self, printer: Any) -> str:
        same = self.args[0] == self.args[1]
        return r"C(G)\big|_{p_g = p_{\mathrm{data}}}" if same else "C(G)"


class Gradient(Defined):
    """``Gradient(E)``: the derivative of E in theta, taken at theta_0, under the integral sign."""

    def unfold(self) -> Any:
        return unfold(self.args[0]).diff(theta).subs(theta, theta_0)

    def _latex(self, printer: Any) -> str:
        body = printer._print(self.args[0])
        body = rf"\left({body}\right)" if self.args[0].is_Add else body
        return rf"\nabla_{{\theta}}\,{body}\Big|_{{\theta = \theta_0}}"


def unfold(expr: Any) -> Any:
    """Replace every defined term by its definition, and carry out explicit derivatives and substitutions.

    Examples
    --------
    >>> unfold(OptimalD(p_data(x), p_g(x)))
    p_data(x)/(p_data(x) + p_g(x))
    """

    def explicit(node: Any) -> bool:
        return isinstance(node, Derivative | Subs) and not isinstance(node.expr, AppliedUndef)

    while expr.has(Defined):
        expr = expr.replace(lambda node: isinstance(node, Defined), lambda node: node.unfold())
    return expr.replace(explicit, lambda node: node.doit(integrals=False))  # finding an antiderivative takes minutes


# What stands for one number: an integral, or a term defined by one.
TOTALS = (Integral, Expect, KL, JSD, Value, Criterion, Gradient)


class _Printer(LatexPrinter):  # type: ignore[misc]  # sympy is untyped
    """LaTeX as the paper writes it: densities by name, integrals without limits, logarithms without clutter."""

    def _print_Function(self, expr: Any, exp: str | None = None) -> str:
        if not isinstance(expr, AppliedUndef):
            return str(super()._print_Function(expr, exp=exp))
        body = f"{density_name(expr)}({self._print(expr.args[0])})"
        return rf"{body}^{{{exp}}}" if exp else body

    def _print_Integral(self, expr: Any) -> str:
        # The limits are always the whole space, so the printed integral leaves them out, as the paper does.
        body = self._print(expr.function)
        body = rf"\left({body}\right)" if expr.function.is_Add else body
        return rf"\int {body} \, d{self._print(expr.variables[0])}"

    def _print_Derivative(self, expr: Any) -> str:
        if isinstance(expr.expr, AppliedUndef) and expr.expr.func == p_theta:
            return rf"\partial_{{\theta}} {self._print(expr.expr)}"
        return str(super()._print_Derivative(expr))

    def _as_ordered_terms(self, expr: Any, order: Any = None) -> Any:
        # As the paper writes sums: a constant before integrals and divergences (-log 4 + 2 JSD), and apart from that
        # no leading minus sign where another term can lead.
        def rank(term: Any) -> tuple[bool, bool]:
            constant = not term.free_symbols and not term.has(*TOTALS)
            return not (constant and expr.has(*TOTALS)), bool(term.could_extract_minus_sign())

        return sorted(super()._as_ordered_terms(expr, order=order), key=rank)

    def _print_Mul(self, expr: Any) -> str:
        number, rest = expr.as_coeff_Mul()
        if not number.is_Integer and rest.has(*TOTALS):
            return f"{self._print(number)} {self._print(rest)}"
        # A density before its logarithm or bracket, as in p(x) log D(x).
        last = [factor for factor in expr.args if factor.is_Add or isinstance(factor, log)]
        first = Mul(*[factor for factor in expr.args if factor not in last])
        if len(last) != 1 or first.is_number or fraction(expr)[1] != 1 or isinstance(first, Integral):
            return str(super()._print_Mul(expr))
        body = self._print(last[0])
        return rf"{self._print(first)} " + (rf"\left({body}\right)" if last[0].is_Add else body)

    def _print_Subs(self, expr: Any) -> str:
        values = ",".join(rf"\,{self._print(old)}={self._print(new)}" for old, new in zip(*expr.args[1:], strict=True))
        return rf"\left({self._print(expr.expr)}\right)\Big|_{{{values}}}"

    def _print_log(self, expr: Any, exp: str | None = None) -> str:
        argument = expr.args[0]
        power = rf"^{{{exp}}}" if exp else ""
        body = self._print(argument)
        if argument.is_Atom or isinstance(argument, AppliedUndef | Defined):
            return rf"\log{power} {body}"
        if argument.has(Pow):
            return rf"\log{power}\left({body}\right)"
        return rf"\log{power}({body})"


def to_latex(expr: Expr | Any) -> str:
    r"""The LaTeX of an expression or relation, in the paper's notation.

    Examples
    --------
    >>> to_latex(KL(p_data(x), Mixture(p_data(x), p_g(x))))
    '\\operatorname{KL}\\left(p_{\\mathrm{data}} \\,\\|\\, m\\right)'
    """
    return str(_Printer().doprint(expr))
