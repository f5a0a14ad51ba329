"""A proof as plain Markdown with LaTeX, readable in JupyterLab, Colab and a Sphinx page alike."""

from __future__ import annotations

from ganlib.proofs.kernel import Proof, Step
from ganlib.proofs.notation import to_latex

_SYMBOL = {"==": "=", "<=": r"\leq", "<": "<", ">=": r"\geq", ">": ">"}
_ONE_LINE = 60  # printed symbols that fit on one line of a page
_SHORT = 14  # a left side so short that a line of its own would gain nothing


def _width(latex: str) -> int:
    """A rough count of the symbols that `latex` puts on the page: commands count once, braces not at all."""
    count, position = 0, 0
    while position < len(latex):
        if latex[position] == "\\":
            position += 1
            while position < len(latex) and latex[position].isalpha():
                position += 1
        elif latex[position] in "{} ^_":
            position += 1
            continue
        else:
            position += 1
        count += 1
    return count


def claim_to_latex(step: Step) -> str:
    """The step's claim as display math: one line if it fits, else aligned at the relation."""
    relation = getattr(step.claim, "rel_op", None)
    if relation not in _SYMBOL:
        return to_latex(step.claim)
    left, right, symbol = to_latex(step.claim.lhs), to_latex(step.claim.rhs), _SYMBOL[relation]
    if _width(left) <= _SHORT or _width(left) + _width(right) <= _ONE_LINE:
        return f"{left} {symbol} {right}"
    return rf"\begin{{aligned}} & {left} \\ & \quad {symbol} {right} \end{{aligned}}"


def to_markdown(proof: Proof) -> str:
    """The statement and the numbered steps, each with its assumptions and how it is checked."""
    blocks = [f"**{proof.title}**", proof.statement]
    for number, step in enumerate(proof.steps, 1):
        blocks.append(f"**{number}. {step.name.replace('-', ' ').capitalize()}.** {step.text}")
        blocks.append(f"$$\n{claim_to_latex(step)}\n$$")
        notes = [f"*Assumes:* {assumption}" for assumption in step.assumes]
        blocks.append("  \n".join([*notes, f"*Checked:* {step.how}."]))
    return "\n\n".join(blocks) + "\n"
