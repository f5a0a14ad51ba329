"""Typed self-checks: what the directive makes, what it refuses, and that every answer of the book is right."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pytest
import sympy
import torch
import yaml
from bs4 import BeautifulSoup
from scipy.optimize import brentq
from scipy.stats import norm
from sphinx_pages import build, extension

from ganlib import dirac, losses, nets, sampling, theory
from ganlib.algorithm1 import algorithm1
from ganlib.lab import runs
from ganlib.metrics.frechet import frechet_distance

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "book").glob("*.md"))
[WALK] = [
    [Path(chapter["file"]).name for chapter in part["chapters"]]
    for part in yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
    if part["caption"] == "The walk"
]
CHECK = re.compile(r"^(?P<fence>`{3,}|:{3,})\{self-check\} (?P<name>\S+)\n(?P<body>.*?)^(?P=fence)$", re.M | re.S)
OPTION = re.compile(r"^:(answer|tolerance|hint):[ ]*(.*)$", re.M)
AT_LEAST = 10  # of them in the walk

checks = extension("self_checks")
CONF = """\
extensions = ["myst_nb", "self_checks", "notebooks", "typed_numbers"]
exclude_patterns = ["_build"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "colon_fence"]
"""
QUESTION = """\
# Page

```{self-check} sc-quarter
:answer: 1/4
:tolerance: 0.01
:hint: Divide by $p + q$.
At a point where $p = 1$ and $q = 3$: what is $D^*$?

It is a *number*.
```
"""


def derivative(function: Callable[[float], float], x: float, step: float = 1e-5) -> float:
    return (function(x + step) - function(x - step)) / (2 * step)


def slope(loss: Callable[[torch.Tensor], torch.Tensor], d: float) -> float:
    """The derivative of a generator's loss in the logit of a fake that D gives the probability ``d``."""
    logit = torch.tensor([math.log(d / (1 - d))], dtype=torch.float64, requires_grad=True)
    loss(logit).backward()
    return logit.grad.item()


def iterations_of_an_epoch() -> float:
    """10,000 by the examples that one iteration of the package draws, with k = 2 and m = 64."""
    drawn = []

    class Ones:
        def minibatch(self, m: int, rng: torch.Generator) -> torch.Tensor:
            drawn.append(m)
            return torch.ones(m, 2)

    G, D = nets.MLP((1, 4, 2)), nets.MLP((2, 4, 1))
    optimisers = [torch.optim.SGD(net.parameters(), 0.1) for net in (D, G)]
    steps = {"d_optimiser": optimisers[0], "g_optimiser": optimisers[1]}
    list(algorithm1(G, D, Ones(), sampling.Latent(1), iterations=1, k=2, m=64, **steps))
    return 10_000 / sum(drawn)


def penalty_that_brings_the_dirac_gan_in() -> float:
    """Where the larger eigenvalue of one simultaneous step of size .1, near the solution, is 1 in size."""

    def excess(gamma: float) -> float:
        steps = [
            dirac.trajectory(1, lr=0.1, start=at, gamma=gamma, alternating=False)[-1] for at in ((1e-6, 0), (0, 1e-6))
        ]
        return max(abs(np.linalg.eigvals(np.array(steps).T / 1e-6))) - 1

    return brentq(excess, 0, 0.5)


def of_moments(mean: float, deviation: float) -> torch.Tensor:
    """Samples in one dimension with exactly this mean and standard deviation, as the Fréchet distance counts them."""
    samples = torch.randn(1000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return mean + deviation * (samples - samples.mean()) / samples.std()


def at_a_point(p: float, q: float) -> float:
    """p log D* + q log(1 - D*) for densities p and q at one point."""
    return p * math.log(p / (p + q)) + q * math.log(q / (p + q))


# Each answer once more, computed another way, from what the package or a closed form says.
ORACLES: dict[str, Callable[[], float]] = {
    "sc-why-stretch": lambda: 1 / derivative(lambda z: 3 * z, 1 / 3),
    "sc-why-square": lambda: 1 / derivative(lambda z: z**2, 1 / 2),
    "sc-value-logit": lambda: slope(losses.minimax, 0.2),
    "sc-value-logit-other": lambda: slope(losses.non_saturating, 0.2),
    "sc-value-batch": lambda: brentq(lambda m: 0.1 * math.sqrt(100 / m) - 0.01, 100, 1e6),
    "sc-dstar-at-a-point": lambda: theory.optimal_discriminator([1.0], [3.0])[0],
    "sc-dstar-gaussians": lambda: brentq(lambda x: norm.pdf(x) - norm.pdf(x, 3), 0, 3),
    "sc-jsd-coins": lambda: theory.jsd([1.0, 0.0], [0.5, 0.5]),
    "sc-lower-bound": lambda: brentq(lambda jsd: -math.log(4) + 2 * jsd + 0.5, 0, math.log(2)),
    "sc-epoch": iterations_of_an_epoch,
    "sc-same-slope": lambda: slope(losses.non_saturating, 0.01) / slope(losses.minimax, 0.01),
    "sc-gradient-c": lambda: derivative(lambda q: at_a_point(1, q), 3),
    "sc-r1": penalty_that_brings_the_dirac_gan_in,
    "sc-exp-iterations": lambda: runs.get("mnist-paper").iterations,
    "sc-exp-tfd": lambda: 53 / np.hypot(50, 26),
    "sc-parzen-unit": lambda: 784 * (norm.logpdf(0, scale=0.2) - norm.logpdf(0, scale=0.2 * 255)),
    # Each of n training and n held-out images is as likely to be the nearest to a new sample; a copy's is its original.
    "sc-copies-share": lambda: np.mean([i < 50 for i in range(100)] * 9 + [True] * 100),
    "sc-copies-worth": lambda: 10_000 / (1 + 2 * sum(0.99**h for h in range(1, 10_000))),
    "sc-measuring-frechet": lambda: frechet_distance(of_moments(0, 1), of_moments(3, 2)),
    "sc-measuring-tv": lambda: sum(abs(p - q) for p, q in ((0.75, 0.25), (0.25, 0.75))) / 2,
    "sc-dcgan-size": lambda: torch.nn.ConvTranspose1d(1, 1, 5, 2, 2)(torch.zeros(1, 1, 7)).shape[-1],
    "sc-dcgan-mean": lambda: np.linalg.norm([1 / 3] * 3),
    "sc-wca-fold": lambda: np.mean([1.5, -1.5]),
    "sc-wca-conditional": lambda: theory.cost([1.0, 0.0], [0.5, 0.5]),
}


def of_the_book() -> dict[str, tuple[str, dict[str, str]]]:
    """The page and the options of every check, by its name."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for page in PAGES:
        for match in CHECK.finditer(page.read_text()):
            assert match["name"] not in found, f"two self-checks are called {match['name']}"
            found[match["name"]] = (page.stem, dict(OPTION.findall(match["body"])))
    return found


def test_every_chapter_of_the_walk_has_one_and_there_are_enough() -> None:
    pages = [page for page, _ in of_the_book().values()]
    assert [page for page in WALK if page not in pages] == []
    assert sum(page in WALK for page in pages) >= AT_LEAST


def test_every_answer_is_that_of_its_oracle() -> None:
    found = of_the_book()
    assert sorted(found) == sorted(ORACLES), "each self-check has an oracle in this file, and each oracle a self-check"
    for name, (page, options) in found.items():
        value, oracle = float(checks.evaluate(options["answer"])), float(ORACLES[name]())
        tolerance = float(checks.evaluate(options.get("tolerance", str(checks.TOLERANCE))))
        assert math.isclose(value, oracle, rel_tol=1e-9, abs_tol=tolerance / 4), (
            f"{page}, {name}: {value}, not {oracle}"
        )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1/4", sympy.Rational(1, 4)),
        (" -log(4) ", -sympy.log(4)),
        ("2*0.1", sympy.Rational(1, 5)),
        ("1e-3", sympy.Rational(1, 1000)),
        ("sqrt(2)**2 + exp(0) - E**0", sympy.Integer(2)),
        ("Rational(1, 3) + binomial(4, 2)", sympy.Rational(19, 3)),
    ],
)
def test_answers_are_exact(text: str, value: sympy.Expr) -> None:
    assert checks.evaluate(text) == value


REFUSED = {
    "": "cannot be read",
    "1/": "cannot be read",
    "log()": "cannot be read",
    "1/0": "no finite real number",
    "log(0)": "no finite real number",
    "1e999": "no finite real number",
    "1e300 * 1e300": "no finite real number",
    "sqrt(-1)": "no finite real number",
    "x": "'x' is not allowed",
    "True": "'True' is not allowed",
    "'1'": "is not allowed",
    "[1][0]": "is not allowed",
    "(1).real": "is not allowed",
    "__import__('os').getcwd()": "is not allowed",
    "exit()": "is not allowed",
    "log(4, evaluate=False)": "is not allowed",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_number_is_refused_and_never_executed(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(REFUSED[text])):
        checks.evaluate(text)


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("3", "3"),
        ("0.5", "0.5"),
        ("1/4", r"\frac{1}{4} = 0.25"),
        ("1/3", r"\frac{1}{3} \approx 0.3333"),
        ("-log(4)", r"- \log{\left(4 \right)} \approx -1.386"),
        ("exp(-20)", r"e^{-20} \approx 2.061 \cdot 10^{-9}"),
        ("784*240", "188160"),
    ],
)
def test_the_answer_is_shown_exactly_and_as_a_decimal(text: str, latex: str) -> None:
    assert checks.shown(text, checks.evaluate(text)) == latex


def test_page_has_question_field_hint_and_answer(tmp_path: Path) -> None:
    (tmp_path / "index.md").write_text(f"{QUESTION}\n```{{toctree}}\nother\n```\n")
    (tmp_path / "other.md").write_text("# Other\n\nNo question.\n")
    pages, warnings = build(tmp_path, CONF)
    assert warnings == ""
    soup = BeautifulSoup((pages / "index.html").read_text(), "html.parser")
    [check] = soup.select("div.self-check#sc-quarter")
    assert float(str(check["data-value"])) == 0.25
    assert float(str(check["data-tolerance"])) == 0.01
    assert check.select_one(f"#{check['aria-labelledby']}").text == "Check yourself"
    assert "what is" in check.select_one(".self-check-question").text
    assert check.select_one("label")["for"] == check.select_one("input")["id"]
    assert check.select_one("input")["aria-describedby"] == check.select_one("[role=status]")["id"]
    assert check.select_one("form").has_attr("hidden")  # until the script is there
    assert r"\frac{1}{4} = 0.25" in check.select_one("details.self-check-answer .math").text
    assert check.select_one("details.self-check-hint .math") is not None
    assert soup.select_one("script[src*='self-checks.js']") is not None
    other = BeautifulSoup((pages / "other.html").read_text(), "html.parser")
    assert other.select_one("script[src*='self-checks.js']") is None


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("1/4", "one quarter"), "index: the self-check sc-quarter with the answer 'one quarter': it cannot be read"),
        (("1/4", "log(0)"), "sc-quarter with the answer 'log(0)': it is zoo, no finite real number"),
        ((":answer: 1/4\n", ""), "sc-quarter with the answer ''"),
        (("0.01", "-1"), "its tolerance is -1.0"),
        (("0.01", "a bit"), "it cannot be read"),
    ],
)
def test_what_cannot_be_judged_fails_the_build(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    (tmp_path / "index.md").write_text(QUESTION.replace(*change))
    for _ in range(2):  # a page that is not read again is complained of again
        pages, warnings = build(tmp_path, CONF)
        [line] = warnings.splitlines()
        assert complaint in line
        assert re.search(r"index\.md:3: WARNING: .*\[ganlib\.checks\]", line)
    soup = BeautifulSoup((pages / "index.html").read_text(), "html.parser")
    assert soup.select_one(".self-check[data-value]") is None
    assert soup.select_one(".self-check form") is None


def test_exported_notebook_has_the_question_and_folds_the_answer(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_markdown_cell(QUESTION), nbformat.v4.new_code_cell("1")]
    metadata = {"language_info": {"name": "python"}}
    (tmp_path / "index.ipynb").write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=metadata)))
    pages, warnings = build(tmp_path, CONF)
    assert warnings == ""
    notebook = json.loads((pages / "_notebooks" / "index.ipynb").read_text())
    text = "\n".join(cell["source"] for cell in notebook["cells"])
    assert "**Check yourself**\n\nAt a point where $p = 1$ and $q = 3$: what is $D^*$?\n\nIt is a *number*." in text
    assert "<details>\n<summary>Hint</summary>\n\nDivide by $p + q$.\n\n</details>" in text
    assert "<details>\n<summary>Answer</summary>\n\n$\\frac{1}{4} = 0.25$\n\n</details>" in text


def test_the_book_is_built_with_self_checks() -> None:
    sphinx = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]
    assert sphinx["local_extensions"]["self_checks"] == "book/_ext"
    assert "self_checks" in sphinx["config"]["extensions"]
