"""The page that carries the whole paper: it is short, and its loop is the package's Algorithm 1, step for step."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from ganlib.algorithm1 import algorithm1

PAGE = (Path(__file__).parents[1] / "book" / "fifteen-minutes.md").read_text(encoding="utf-8")
CELLS = re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", PAGE, re.M | re.S)


class Replayed:
    """A source that hands out recorded minibatches in turn."""

    def __init__(self, minibatches: list[torch.Tensor]) -> None:
        self.minibatches = iter(minibatches)

    def minibatch(self, m: int, rng: torch.Generator) -> torch.Tensor:
        return next(self.minibatches)


def test_it_is_short() -> None:
    prose = re.sub(r"^```\{code-cell\}.*?^```$", "", PAGE.split("---\n", 2)[2], flags=re.M | re.S)
    assert 500 < len(re.findall(r"[A-Za-z]{2,}", prose)) < 1500


def test_it_leads_to_every_chapter_of_the_walk() -> None:
    contents = (Path(__file__).parents[1] / "_toc.yml").read_text(encoding="utf-8")
    walk = re.findall(r"file: book/(\S+)", contents.split("caption: The walk")[1].split("caption:")[0])
    assert walk
    assert set(walk) <= set(re.findall(r"\{doc\}`([a-z0-9-]+)`", PAGE))


@pytest.mark.parametrize("k", [1, 3])
def test_its_loop_does_what_the_packages_algorithm_1_does(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    [loop] = [cell for cell in CELLS if "for iteration in range(2000)" in cell]
    loop = loop.replace("range(2000)", "range(4)").replace("k, m, log = 1, 128", f"k, m, log = {k}, 16")
    drawn: list[torch.Tensor] = []
    draw = torch.randn

    def recorded(*size: int) -> torch.Tensor:
        drawn.append(draw(*size))
        return drawn[-1]

    monkeypatch.setattr(torch, "randn", recorded)
    names: dict = {"torch": torch, "nn": nn}
    exec(loop, names)
    monkeypatch.undo()
    # The same first weights, and the noise and data the page drew, in its order: k times z and x, then z once more.
    turns = [drawn[at : at + 2 * k + 1] for at in range(0, 4 * (2 * k + 1), 2 * k + 1)]
    z = [batch for turn in turns for batch in [*turn[0:-1:2], turn[-1]]]
    x = [3 + 0.5 * batch for turn in turns for batch in turn[1::2]]
    torch.manual_seed(0)
    G, D = (nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 1)) for _ in range(2))
    D.append(nn.Flatten(0))  # one logit an example
    optimisers = [torch.optim.Adam(net.parameters(), rate, betas=(0.5, 0.999)) for net, rate in ((D, 5e-3), (G, 1e-3))]
    reports = algorithm1(
        G, D, Replayed(x), Replayed(z), iterations=4, k=k, m=16, d_optimiser=optimisers[0], g_optimiser=optimisers[1]
    )
    assert len(list(reports)) > 0
    for page, package in ((names["G"], G), (names["D"], D)):
        for one, other in zip(page.parameters(), package.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
