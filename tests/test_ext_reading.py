"""Reading times are counted from the pages: what counts, how a time is said, and that a wrong name is complained of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sphinx_pages import build, extension

reading = extension("reading")
CONF = """\
extensions = ["myst_nb", "sphinx_external_toc", "sphinx_togglebutton", "reading"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "colon_fence"]
exclude_patterns = ["_build", "README.md"]
"""
TOC = """\
root: index
subtrees:
  - caption: The walk
    entries: [{file: one}, {file: two}]
  - caption: Behind
    entries: [{file: three}]
"""
FRONT = """\
---
jupytext:
  text_representation: {format_name: myst}
kernelspec: {display_name: P, language: python, name: python3}
---

"""
UNCOUNTED = """
| a | table |
|---|---|
| of | words |

```{admonition} More
:class: dropdown
Folded words, all of them.
```

```{code-cell} ipython3
:tags: [hide-input]
hidden = "code"
```

% a comment
"""


def pages(folder: Path, **texts: str) -> tuple[dict[str, str], str]:
    """Build these pages; the paragraph of each that starts with "Time:", and what Sphinx complained of."""
    (folder / "_toc.yml").write_text(TOC)
    for name in ("index", "one", "two", "three"):
        (folder / f"{name}.md").write_text(texts.get(name, f"# {name}\n"))
    place, complained = build(folder, CONF)
    found = {name: re.findall(r"<p>Time: (.*?)\.</p>", (place / f"{name}.html").read_text()) for name in texts}
    return {name: times[0] for name, times in found.items() if times}, complained


def test_words_and_open_things_count_and_what_is_folded_does_not(tmp_path: Path) -> None:
    words = "word " * 259  # and the title's one: 260 of them are two minutes
    things = "$$ x = 1 $$\n\n" * 4 + "```{code-cell} ipython3\nx = 1\n```\n\n" * 2 + "```python\ny = 2\n```\n\n" * 2
    ask = "# Index\n\nTime: {reading-time}`one`.\n"
    shown, complained = pages(tmp_path, index=ask, one=FRONT + "# One\n\n" + words + UNCOUNTED)
    assert shown == {"index": "2 minutes"}
    assert complained == ""
    shown, _ = pages(tmp_path, index=ask, one=FRONT + "# One\n\n" + words + UNCOUNTED + things)
    assert shown == {"index": "6 minutes"}  # eight things more; the page that asks was not touched


def test_a_part_is_the_sum_of_its_pages_and_a_page_is_named_from_where_one_stands(tmp_path: Path) -> None:
    texts = {"one": "# One\n\n" + "word " * 649, "two": "# Two\n\n" + "word " * 1299, "three": "# Three\n"}
    texts["index"] = "# Index\n\nTime: {reading-time}`The walk`.\n"
    assert pages(tmp_path, **texts)[0] == {"index": "15 minutes"}


@pytest.mark.parametrize("name", ["nobody", "the walk", "../index", ""])
def test_a_name_that_nothing_has_is_complained_of_in_a_way_that_fails_the_build(tmp_path: Path, name: str) -> None:
    _, complained = pages(tmp_path, index=f"# Index\n\nTime: {{reading-time}}`{name or ' '}`.\n")
    assert "no page and no part" in complained
    assert complained.rstrip().endswith("[ganlib.results]")


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (0, "1 minute"),
        (1.4, "1 minute"),
        (1.6, "2 minutes"),
        (14.4, "14 minutes"),
        (22.6, "25 minutes"),
        (88, "90 minutes"),
        (95, "1½ hours"),
        (130, "2 hours"),
        (251, "4 hours"),
    ],
)
def test_a_time_is_said_as_one_says_it(minutes: float, said: str) -> None:
    assert reading.in_words(minutes) == said
