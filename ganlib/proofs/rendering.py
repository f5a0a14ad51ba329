"""A proof as plain Markdown with LaTeX, readable in JupyterLab, Colab and a Sphinx page alike."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any

from ganlib.proofs.hypotheses import Hypothesis
from ganlib.proofs.notation import to_latex

_SYMBOL = {"==": "=", "<=": r"\leq", "<": "<", ">=": r"\geq", ">": ">"}
_ACRONYMS = {"jsd": "JSD", "kl": "KL"}
_LINE = 17.5  # the width of a telephone, in ems
_INDENT = 2.0  # what a line that goes on is moved in by, the relation before it included
_SHORT = 6.5  # a left side so short that a line of its own would gain nothing
# Widths in ems of what formulas are made of, each sign with the space around it; anything else is a letter.
_NAMES = {r"\log": "L", r"\lim": "L", r"\int": "S", r"\leq": "=", r"\geq": "=", r"\neq": "=", r"\to": "="}
_WIDTHS = {"L": 1.6, "S": 1.1, "=": 1.35, "<": 1.35, ">": 1.35, "+": 1.2, "-": 1.2, "B": 0.7, "i": 0.38}
_WIDTHS |= dict.fromkeys("()[]|,!", 0.38) | {"Q": 1.0, "&": 0.0}
_LETTER = 0.52


def _width(latex: str) -> float:
    """Roughly how many ems wide `latex` is on the page; a fraction is as wide as its longer half."""
    latex = re.sub(r"\\left[(\[]|\\right[)\]]|\\biggl\(|\\biggr\)", "B", latex)
    latex = re.sub(r"\\(?:[Bb]ig|[,;])", "", latex).replace(r"\|", "!").replace(r"\qquad", "QQ").replace(r"\quad", "Q")
    latex = re.sub(r"\\(?:mathrm|operatorname|mathbb)\{(\w+)\}", r"\1", latex)
    latex = re.sub(r"\\[a-z]+", lambda name: name[0] if name[0] == r"\frac" else _NAMES.get(name[0], "o"), latex)
    latex = re.sub(r"\s", "", latex)
    while (shorter := re.sub(r"[_^]\{([^{}]*)\}|[_^](\w)", _script, latex)) != latex:
        latex = shorter
    while (shorter := re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", _longer_half, latex)) != latex:
        latex = shorter
    return sum(_WIDTHS.get(character, _LETTER) for character in re.sub(r"[{}]", "", latex))


def _script(match: re.Match[str]) -> str:
    return "i" * len((match[1] or match[2]).replace("B", ""))


def _longer_half(match: re.Match[str]) -> str:
    return max(match.groups(), key=_width)


def _terms(latex: str) -> list[str]:
    """The terms of a sum with their signs, split at the top level only: the brackets that are open are counted."""
    depth, terms = 0, [""]
    for token in re.split(r"(\\left|\\right|[{}()\[\]]| [+-] )", latex):
        if token in ("{", "(", "["):
            depth += 1
        elif token in ("}", ")", "]"):
            depth -= 1
        if depth == 0 and token in (" + ", " - "):
            terms.append("")
        terms[-1] += token
    return terms


def _filled(terms: list[str], room: float) -> list[str]:
    """The terms on lines, as many on each as have room."""
    lines = terms[:1]
    for term in terms[1:]:
        if _width(lines[-1] + term) <= room:
            lines[-1] += term
        else:
            lines.append(term.strip())
    return lines


def _lines(expr: Any, room: float = _LINE) -> list[str]:
    """The LaTeX of `expr`; what is wider than `room` is broken before a plus or minus, if need be under an integral."""
    lines = []
    for line in _filled(_terms(to_latex(expr)), room):
        under = re.fullmatch(r"(.*?\\int )\\left\((.*)\\right\)( \\, d[xz])", line)
        if under is None or _width(line) <= room:
            lines.append(line)
            continue
        # A bracket that opens on one line and closes on another needs one size for both.
        first, *rest = _filled(_terms(under[2]), room - _INDENT)
        broken = [f"{under[1]}\\biggl({first}", *(rf"\quad {line}" for line in rest)]
        lines += [*broken[:-1], rf"{broken[-1]}\biggr){under[3]}"]
    return lines


def claim_to_latex(step: Any) -> str:
    """The claim of a `ganlib.proofs.kernel.Step` as display math, aligned at the relation where it is long."""
    relation = getattr(step.claim, "rel_op", None)
    if relation not in _SYMBOL:
        return to_latex(step.claim)
    symbol, left, right = _SYMBOL[relation], to_latex(step.claim.lhs), to_latex(step.claim.rhs)
    whole, taken = f"{left} {symbol} {right}", _width(f"{left} {symbol}")
    if _width(whole) <= _LINE:
        return whole
    first, *rest = _lines(step.claim.rhs, _LINE - taken)
    if taken <= _SHORT and all(_width(rf"\quad {line}") <= _LINE - taken for line in (first, *rest)):
        rows = [f"{left} & {symbol} {first}", *(rf"& \quad {line}" for line in rest)]
    else:
        above, *more = _lines(step.claim.lhs)
        first, *rest = _lines(step.claim.rhs, _LINE - _INDENT)
        rows = [f"& {above}", *(rf"& \quad {line}" for line in more)]
        rows += [rf"& \quad {symbol} {first}", *(rf"& \qquad {line}" for line in rest)]
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def heading(name: str) -> str:
    """A step's name as a heading: words instead of hyphens.

    Examples
    --------
    >>> heading("jsd-gradient")
    'JSD gradient'
    """
    words = [_ACRONYMS.get(word, word) for word in name.split("-")]
    return " ".join([words[0][0].upper() + words[0][1:], *words[1:]])


def assumptions(proof: Any) -> list[tuple[str, ...]]:
    """For each step of a `ganlib.proofs.kernel.Proof` what it assumes, as Markdown.

    Each hypothesis stands in full once, and then by the step that made it.

    Examples
    --------
    >>> from ganlib.proofs import global_optimum
    >>> assumptions(global_optimum())[9]
    ('What step 7 assumes.',)
    """
    first: dict[Hypothesis, int] = {}
    told = []
    for number, step in enumerate(proof.steps, 1):
        again = sorted({first[one] for one in step.assumes if one in first})
        new = [one for one in step.assumes if one not in first]
        first |= dict.fromkeys(new, number)
        steps = " and ".join(f"step {earlier}" for earlier in again)
        old = [f"{'Also what' if new else 'What'} {steps} assume{'' if again[1:] else 's'}."] if again else []
        told.append((*(one.text for one in new), *old))
    return told


def to_markdown(proof: Any) -> str:
    """The statement of a `ganlib.proofs.kernel.Proof` and its numbered steps, each with what it assumes."""
    blocks = [f"**{proof.title}**", proof.statement]
    blocks.append("*SymPy decides every step for arbitrary densities. Each is also computed on concrete ones.*")
    for number, (step, assumes) in enumerate(zip(proof.steps, assumptions(proof), strict=True), 1):
        blocks.append(f"**{number}. {heading(step.name)}.** {step.text}")
        blocks.append(f"$$\n{claim_to_latex(step)}\n$$")
        if assumes:
            blocks.append(f"*Assumes:* {' '.join(assumes)}")
    return "\n\n".join(blocks) + "\n"


@dataclass(frozen=True)
class Folded:
    """Markdown behind one line that opens on a click, in a notebook as on a page."""

    summary: str
    text: str

    def __str__(self) -> str:
        return f"{self.summary}\n\n{self.text}"

    def _repr_markdown_(self) -> str:
        return f'<details class="folded">\n<summary>{html.escape(self.summary)}</summary>\n\n{self.text}\n</details>\n'


def folded(proof: Any) -> Folded:
    """Check a `ganlib.proofs.kernel.Proof`; the result shows its steps behind one line.

    Raises
    ------
    ProofError
        At the first step that does not hold: a proof with a mistake is not shown.

    Examples
    --------
    >>> from ganlib.proofs import lemma
    >>> folded(lemma()).summary
    'Lemma: the pointwise maximum. All 16 steps, each of them checked'
    """
    worlds = [count for _, count in proof.check().rows]
    few, many = min(worlds), max(worlds)
    each = f"{few} small examples" if few == many else f"{few} to {many} small examples"
    end = f"*Each step was also computed on {each} that meet what it assumes.*\n"
    return Folded(f"{proof.title}. All {len(proof.steps)} steps, each of them checked", f"{to_markdown(proof)}\n{end}")
