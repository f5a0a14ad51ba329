"""LaTeX as every notebook renders it: no macro of the book, no label, no environment that only works outside ``$$``."""

from __future__ import annotations

import re
from typing import Any

LONGEST = 10_000  # macros in one formula


def argument(text: str, start: int) -> tuple[str, int]:
    """The macro argument at ``start`` (a group in braces, a command, or one character) and where it ends."""
    start += len(text[start:]) - len(text[start:].lstrip())
    if start >= len(text):
        return "", start
    if text[start] != "{":
        end = start + len(re.match(r"\\[A-Za-z]+|\\?.", text[start:], re.S)[0])  # type: ignore[index]
        return text[start:end], end
    depth, place = 0, start
    while place < len(text):
        if text[place] == "\\":
            place += 2
            continue
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        place += 1
        if depth == 0:
            break
    return text[start + 1 : place - 1], place


def expand(text: str, macros: dict[str, Any]) -> str:
    """``text`` with each of ``macros`` replaced by what it stands for, as TeX would do it.

    Raises
    ------
    ValueError
        If a macro takes optional arguments, or stands for itself.
    """
    if not macros:
        return text
    pattern = re.compile(
        r"(?<!\\)((?:\\\\)*)\\(" + "|".join(sorted(map(re.escape, macros), reverse=True)) + r")(?![A-Za-z])"
    )
    for _ in range(LONGEST):
        match = pattern.search(text)
        if match is None:
            return text
        name, end = match[2], match.end()
        body, count, *rest = macros[name] if isinstance(macros[name], list | tuple) else (macros[name], 0)
        if rest:
            raise ValueError(f"the macro \\{name} has optional arguments, which an exported notebook cannot expand")
        values = []
        for _ in range(int(count)):
            value, end = argument(text, end)
            values.append(value)
        body = re.sub(r"#(\d)", lambda place, values=values: values[int(place[1]) - 1], body)  # type: ignore[misc]
        if re.search(r"\\[A-Za-z]+$", body) and text[end : end + 1].isalpha():
            body += " "
        text = text[: match.start()] + match[1] + body + text[end:]
    raise ValueError(f"the macros stand for each other without an end: {text[:100]}")


def safe(code: str, *, table: bool = False) -> str:
    """``code`` without what Markdown would take for itself: a tag, or (in a table) the end of a cell."""
    code = re.sub(r"<(?=[A-Za-z/!])", "< ", code)
    if table:
        code = re.sub(r"\\\|", r"\\Vert ", code)
        code = re.sub(r"\|", r"\\vert ", code)
    return code


def inline(code: str, macros: dict[str, Any], *, table: bool = False) -> str:
    """A formula within a line, between dollars that touch it (Markdown asks for that)."""
    code = re.sub(r"(?<!\\)%.*", "", code)
    code = " ".join(safe(expand(code, macros), table=table).split())
    if not code:
        return ""
    # A control space at the end would otherwise escape the dollar.
    return "$" + code + (" {}$" if code.endswith("\\") else "$")


def display(code: str, macros: dict[str, Any], number: str = "", *, one_line: bool = False) -> str:
    """A formula on lines of its own, with ``number`` as its tag.

    ``one_line`` writes no line break: a quote's or a list's margin would end up in the formula.
    """
    code = re.sub(r"\\label\{[^}]*\}", "", re.sub(r"(?<!\\)%.*", "", code))
    parts = [part.strip() for part in re.split(r"\n\s*\n", code) if part.strip()]
    parts = [rf"\begin{{aligned}}{part}\end{{aligned}}" if breaks(part) else part for part in parts]
    code = parts[0] if len(parts) == 1 else r"\begin{gathered}" + r" \\ ".join(parts) + r"\end{gathered}"
    lines = [line.rstrip() for line in safe(expand(code, macros)).strip().splitlines() if line.strip()]
    if number:
        lines.append(rf"\tag{{{number}}}")
    return f"$${' '.join(line.strip() for line in lines)}$$" if one_line else "\n".join(["$$", *lines, "$$"])


def breaks(code: str) -> bool:
    """Whether lines are broken outside every environment, which Sphinx allows and LaTeX does not."""
    while (smaller := re.sub(r"\\begin\{(\w+\*?)\}(?:(?!\\begin\{).)*?\\end\{\1\}", "", code, flags=re.S)) != code:
        code = smaller
    return r"\\" in code
