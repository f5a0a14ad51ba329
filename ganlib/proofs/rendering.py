"""A proof as plain Markdown with LaTeX, readable in JupyterLab, Colab and a Sphinx page alike."""

from __future__ import annotations

import re
from typing import Any

from sympy import Add

from ganlib.proofs.hypotheses import Hypothesis
from ganlib.proofs.notation import to_latex

_SYMBOL = {"==": "=", "<=": r"\leq", "<": "<", ">=": r"\geq", ">": ">"}
_ACRONYMS = {"jsd": "JSD", "kl": "KL"}
_LINE = 70  # printed characters that fit on one line of a page
_SHORT = 14  # a left side so short that a line of its own would gain nothing


def _width(latex: str) -> int:
    """Roughly how many characters wide `latex` is on the page; a fraction is as wide as its longer half."""
    latex = re.sub(r"\\(left|right|[Bb]ig|quad|[,;|])", "", latex)
    latex = re.sub(r"\\(mathrm|operatorname|mathbb)\{(\w+)\}", r"\2", latex)
    latex = re.sub(r"[_^]\{?([^{}]*?)\}", lambda script: "i" * ((len(script[1]) + 1) // 2), latex)
    latex = re.sub(r"[_^]\w", "i", latex)
    while (shorter := re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", _longer_half, latex)) != latex:
        latex = shorter
    latex = re.sub(r"\\(theta|partial|nabla|mathbb|int|to|sim)", "o", latex)
    return len(re.sub(r"[{}\s]", "", re.sub(r"\\[a-zA-Z]+", "log", latex)))


def _longer_half(match: re.Match[str]) -> str:
    return max(match.groups(), key=len)


def _lines(expr: Any, room: int = _LINE) -> list[str]:
    """The LaTeX of `expr`, a sum wider than `room` broken before a plus or minus."""
    latex = to_latex(expr)
    if not isinstance(expr, Add) or _width(latex) <= room:
        return [latex]
    # Break at the signs of the top level only: count the brackets that are open.
    depth, pieces = 0, [""]
    for token in re.split(r"(\\left|\\right|[{}()\[\]]| [+-] )", latex):
        if token in ("{", "(", "["):
            depth += 1
        elif token in ("}", ")", "]"):
            depth -= 1
        if depth == 0 and token in (" + ", " - "):
            pieces.append("")
        pieces[-1] += token
    lines = pieces[:1]
    for piece in pieces[1:]:
        if _width(lines[-1] + piece) <= room:
            lines[-1] += piece
        else:
            lines.append(piece.strip())
    return lines


def claim_to_latex(step: Any) -> str:
    """The claim of a `ganlib.proofs.kernel.Step` as display math, aligned at the relation where it is long."""
    relation = getattr(step.claim, "rel_op", None)
    if relation not in _SYMBOL:
        return to_latex(step.claim)
    symbol, left = _SYMBOL[relation], _lines(step.claim.lhs)
    taken = _width(left[0])
    right = _lines(step.claim.rhs, _LINE - taken)
    if len(left) == 1 and taken <= _SHORT and _width(right[0]) <= _LINE - taken:
        rows = [f"{left[0]} & {symbol} {right[0]}", *(rf"& \quad {line}" for line in right[1:])]
    else:
        right = _lines(step.claim.rhs)
        rows = [f"& {left[0]}", *(rf"& \qquad {line}" for line in left[1:])]
        rows += [rf"& \quad {symbol} {right[0]}", *(rf"& \qquad {line}" for line in right[1:])]
    if len(left) == len(right) == 1 and taken + _width(right[0]) <= _LINE:
        return f"{left[0]} {symbol} {right[0]}"
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
