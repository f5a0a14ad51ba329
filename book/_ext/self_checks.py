"""Questions whose answer is a number that the reader types, judged in the page without a kernel.

    ```{self-check} sc-NAME
    :answer: 1/4
    :tolerance: 0.01
    :hint: Divide one density by the sum of both.
    At a point where $p = 1$ and $q = 3$: what is $D^*$?
    ```

The answer is arithmetic as SymPy writes it, the tolerance absolute. book/static/self-checks.js judges; it is on pages
with a check only. Without scripts, hint and answer open on a click. In a notebook the question stands as text.
"""

from __future__ import annotations

import ast
import html
import math
import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import sympy
from complaints import look
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SCRIPT = "self-checks.js"
TOLERANCE = 0.01
CONSTANTS = {"pi": sympy.pi, "E": sympy.E}
FUNCTIONS = {
    name: getattr(sympy, name)
    for name in ("Abs", "Rational", "binomial", "erf", "exp", "factorial", "log", "sqrt", "tanh")
}
ARITHMETIC: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
KNOWN = ", ".join([*CONSTANTS, *FUNCTIONS])


def evaluate(text: str) -> sympy.Expr:
    """What an answer stands for; decimals are exact. Nothing is executed but what is listed above.

    Raises
    ------
    ValueError
        If it is anything else, or no finite real number.

    Examples
    --------
    >>> evaluate("log(2) - 0.25 + 1/4")
    log(2)
    """

    def value(node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return sympy.Rational(ast.get_source_segment(text, node)) if math.isfinite(number) else sympy.oo
            case ast.Name(id=name) if name in CONSTANTS:
                return CONSTANTS[name]
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
                return FUNCTIONS[name](*map(value, arguments))
            case ast.UnaryOp(op=op, operand=operand) if type(op) in ARITHMETIC:
                return ARITHMETIC[type(op)](value(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
                return ARITHMETIC[type(op)](value(left), value(right))
        raise ValueError(f"{ast.unparse(node)!r} is not allowed: write numbers, + - * / **, and of SymPy {KNOWN}")

    text = text.strip()
    try:
        found = value(ast.parse(text, mode="eval").body)
    except (SyntaxError, TypeError) as error:
        raise ValueError(f"it cannot be read ({error})") from None
    if not (found.is_real and found.is_finite and math.isfinite(float(found))):
        raise ValueError(f"it is {found}, no finite real number")
    return found


def decimal(value: float) -> str:
    """A number to four digits, in LaTeX."""
    digits, _, power = f"{value:.4g}".partition("e")
    return rf"{digits} \cdot 10^{{{int(power)}}}" if power else digits


def shown(text: str, value: sympy.Expr) -> str:
    """The answer in LaTeX: as it was meant, and as a decimal where that is something else.

    Examples
    --------
    >>> shown("1/4", evaluate("1/4")), shown("0.5", evaluate("0.5")), shown("exp(-1)", evaluate("exp(-1)"))
    ('\\\\frac{1}{4} = 0.25', '0.5', 'e^{-1} \\\\approx 0.3679')
    """
    exact, short = sympy.latex(value), decimal(float(value))
    same = value.is_Rational and value == sympy.Rational(f"{float(value):.4g}")
    if value.is_Integer or ("." in text and same):
        return exact if value.is_Integer else short
    return f"{exact} {'=' if same else chr(92) + 'approx'} {short}"


class self_check(nodes.General, nodes.Element):  # type: ignore[misc]
    """A question with "value" and "tolerance", or with a "complaint"; its children are its parts."""


class self_check_part(nodes.General, nodes.Element):  # type: ignore[misc]
    """The question, the hint or the answer, by its "part"."""


class SelfCheck(SphinxDirective):
    """The directive ``self-check``."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {
        "answer": directives.unchanged_required,
        "tolerance": directives.unchanged_required,
        "hint": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        name, text = self.arguments[0], self.options.get("answer", "")
        check = self_check(ids=[name], names=[name])
        self.set_source_info(check)
        question = self_check_part(part="question")
        self.state.nested_parse(self.content, self.content_offset, question)
        check += question
        try:
            value, tolerance = evaluate(text), float(evaluate(self.options.get("tolerance", str(TOLERANCE))))
            if tolerance < 0 or not self.content:
                raise ValueError(f"its tolerance is {tolerance}" if self.content else "it asks nothing")
        except ValueError as error:
            check["complaint"] = f"{self.env.docname}: the self-check {name} with the answer {text!r}: {error}"
            return [check]
        check["value"], check["tolerance"] = float(value), tolerance
        if "hint" in self.options:
            words, messages = self.state.inline_text(self.options["hint"], self.lineno)
            check += self_check_part("", nodes.paragraph("", "", *words, *messages), part="hint")
        check += self_check_part("", nodes.paragraph("", "", nodes.math("", shown(text, value))), part="answer")
        return [check]


FORM = """\
<form class="self-check-form" hidden><label for="{name}-typed">Your number</label>
<input id="{name}-typed" type="text" autocomplete="off" autocapitalize="off" spellcheck="false" \
aria-describedby="{name}-status"/>
<button type="submit">Check</button></form>
<p class="self-check-status" id="{name}-status" role="status"></p>
"""


def visit(self: Any, node: nodes.Element) -> None:
    data = f' data-value="{node["value"]!r}" data-tolerance="{node["tolerance"]!r}"' if "value" in node else ""
    name = html.escape(node["ids"][0])
    self.body.append(f'<div class="self-check" id="{name}" role="group" aria-labelledby="{name}-title"{data}>\n')
    self.body.append(f'<p class="self-check-title" id="{name}-title">Check yourself</p>\n')


def visit_part(self: Any, node: nodes.Element) -> None:
    part = node["part"]
    head = "<div" if part == "question" else "<details"
    summary = "" if part == "question" else f"<summary>{part.title()}</summary>"
    self.body.append(f'{head} class="self-check-{part}">{summary}\n')


def depart_part(self: Any, node: nodes.Element) -> None:
    self.body.append("</div>\n" if node["part"] == "question" else "</details>\n")
    if node["part"] == "question" and "value" in node.parent:
        self.body.append(FORM.format(name=html.escape(node.parent["ids"][0])))


def depart(self: Any, node: nodes.Element) -> None:
    self.body.append("</div>\n")


def wrong(document: nodes.document) -> Iterator[tuple[nodes.Node, str]]:
    return ((node, node["complaint"]) for node in document.findall(self_check) if "complaint" in node)


def bring_script(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put the script on pages that need it."""
    if doctree is not None and next(doctree.findall(self_check), None) is not None:
        app.add_js_file(SCRIPT, loading_method="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    look(app, "checks", wrong)
    app.add_node(self_check, html=(visit, depart))
    app.add_node(self_check_part, html=(visit_part, depart_part))
    app.add_directive("self-check", SelfCheck)
    app.connect("html-page-context", bring_script)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
