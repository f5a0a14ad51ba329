"""The book's face elsewhere: an icon for the tab, a card for links that are shared, and the tags that name both.

Both pictures are drawn while the book is built, from the curves of the paper's Figure 1; none is committed.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ganlib import figures

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ICON, CARD = "favicon.png", "social-card.png"
CARD_SIZE = (1200, 630)  # pixels; what sites that show such cards ask for
GROUND = {"light": "#ffffff", "dark": "#14181e"}  # the theme's own backgrounds
PARAGRAPH = re.compile(r"<p>(.*?)</p>", re.DOTALL)
LONGEST = 200  # characters of a description; more is cut off where it is shown


def curves() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Figure 1 (b): a grid, p_data, p_g and D = p_data / (p_data + p_g), each (n,); the densities' peaks at 0.8."""
    x = np.linspace(-3.2, 3.6, 400)
    p_data, p_g = np.exp(-(x**2) / 2), np.exp(-((x - 0.9) ** 2) / 2)
    return x, 0.8 * p_data, 0.8 * p_g, p_data / (p_data + p_g)


def draw_icon() -> Figure:
    """The two densities and D between them, on a dark square that stands out on light and dark tabs."""
    x, p_data, p_g, d = curves()
    figure = Figure(figsize=(1.8, 1.8), dpi=100, facecolor=GROUND["dark"])
    axis = figure.add_axes((0.06, 0.12, 0.88, 0.76))
    axis.plot(x, p_data, color="white", linewidth=7)
    axis.plot(x, p_g, color=figures.GREEN, linewidth=9)
    axis.plot(x, d, color=figures.SKY, linewidth=7, linestyle=(0, (1.6, 0.9)))
    axis.set(xlim=(x[0], x[-1]), ylim=(-0.05, 1.05))
    axis.set_axis_off()
    return figure


def draw_card(title: str, subtitle: str = "") -> Figure:
    """Title and subtitle over Figure 1's curves, 1200 by 630 pixels."""
    x, p_data, p_g, d = curves()
    figure = Figure(figsize=(CARD_SIZE[0] / 100, CARD_SIZE[1] / 100), dpi=100, facecolor="white")
    figure.text(0.06, 0.84, title, fontsize=38, fontweight="bold", va="center", color="#14181e")
    figure.text(0.06, 0.73, subtitle, fontsize=24, va="center", color="#48566b")
    axis = figure.add_axes((0.06, 0.08, 0.88, 0.56))
    axis.plot(x, p_data, label=r"$p_\mathrm{data}$", **figures.DATA | {"linewidth": 5})
    axis.plot(x, p_g, label=r"$p_g$", **figures.MODEL | {"linewidth": 5})
    axis.plot(x, d, label="$D$", **figures.CRITIC | {"linewidth": 4.5})
    axis.set(xlim=(x[0], x[-1]), ylim=(0, 1.05), xticks=[], yticks=[])
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.legend(frameon=False, fontsize=24, loc="center right", handlelength=2.2)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG, the same bytes on every run."""
    FigureCanvasAgg(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor=figure.get_facecolor(), metadata={"Software": None})


def description(body: str) -> str:
    """The first plain paragraph of a page, as text of at most 200 characters; empty if there is none.

    Paragraphs with mathematics are passed over: a description cannot show it.
    """
    for paragraph in PARAGRAPH.findall(body):
        text = " ".join(html.unescape(re.sub(r"<[^>]+>", "", paragraph)).split())
        whole = text[:1].isupper() and text.endswith((".", "?", "!"))  # an item of a list may be no sentence
        if 'class="math' in paragraph or len(text) < 60 or not whole:
            continue
        return text if len(text) <= LONGEST else text[: LONGEST - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"
    return ""


def tags(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Add the tags of icon and card to a page's head; addresses are absolute once ``html_baseurl`` is set."""
    book = str(app.config.html_title)
    title = html.unescape(re.sub(r"<[^>]+>", "", str(context.get("title", "")))) or book
    about = description(str(context.get("body", ""))) or book
    base = str(app.config.html_baseurl or "")
    static = context["pathto"]("_static/", 1)
    properties = {
        "og:type": "article",
        "og:site_name": book,
        "og:title": title,
        "og:description": about,
        "og:image": f"{base.rstrip('/')}/_static/{CARD}" if base else f"{static}{CARD}",
        "og:image:width": str(CARD_SIZE[0]),
        "og:image:height": str(CARD_SIZE[1]),
        "og:image:alt": "Figure 1 of the paper: a dotted and a solid density, the dashed discriminator between them.",
    }
    if base:
        properties["og:url"] = f"{base.rstrip('/')}/{pagename}.html"
    lines = [f'<link rel="icon" type="image/png" href="{static}{ICON}" />']
    lines += [f'<meta property="{name}" content="{html.escape(text)}" />' for name, text in properties.items()]
    lines += [f'<meta name="description" content="{html.escape(about)}" />']
    lines += ['<meta name="twitter:card" content="summary_large_image" />']
    lines += [
        f'<meta name="theme-color" media="(prefers-color-scheme: {scheme})" content="{colour}" />'
        for scheme, colour in GROUND.items()
    ]
    context["metatags"] = "\n".join([str(context.get("metatags", "")), *(f"    {line}" for line in lines), ""])


def draw(app: Sphinx, exception: Exception | None) -> None:
    """After the pages are written: the icon, once more where browsers look unasked, and the card."""
    if exception is not None or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    save(draw_icon(), static / ICON)
    with Image.open(static / ICON) as icon:
        icon.save(Path(app.outdir) / "favicon.ico", sizes=[(32, 32)])
    title, _, rest = str(app.config.html_title).partition(", ")
    save(draw_card(title, rest), static / CARD)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", tags)
    app.connect("build-finished", draw)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
