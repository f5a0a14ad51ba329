"""The optimal discriminator widget in a browser: every number against `ganlib.theory`, moved as by a reader."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="the widgets need anywidget (pip install 'ganlib[notebook]')")

import torch
import traitlets

from ganlib import theory
from ganlib.widgets.optimal_discriminator import EDGE, LIMIT, POINTS, WIDTHS, OptimalDiscriminator

from . import pages
from .widget_page import write_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

DEFAULT = {
    name: trait.default_value for name, trait in OptimalDiscriminator.class_own_traits().items() if name[0] != "_"
}
X = np.linspace(-EDGE, EDGE, POINTS)
CELL = 0.01
LOSSES = ("minimax", "non-saturating")


def show(page: Page, folder: Any, **settings: Any) -> None:
    page.goto(write_page(folder, OptimalDiscriminator(**settings)).as_uri())
    page.wait_for_selector("[data-ganlib-widgets]", state="attached")


def number(page: Page, name: str) -> float:
    return float(page.locator(f'dd[data-name="{name}"]').get_attribute("data-value"))


def inspect(page: Page) -> dict[str, Any]:
    """What was drawn; what is not a number comes as None."""
    return page.evaluate(
        """() => {
          const { data, model, best, over, lost } = document.querySelector('[data-widget]').inspect();
          const plain = (xs) => [...xs].map((x) => (Number.isNaN(x) ? null : x));
          return { data: plain(data), model: plain(model), best: plain(best), lost: plain(lost),
            ...Object.fromEntries(Object.entries(over).map(([name, xs]) => ['over_' + name, plain(xs)])) };
        }"""
    )


def says(page: Page, *parts: str) -> None:
    """The words come to hold all of these: they are said a moment after the change."""
    page.wait_for_function(
        "(parts) => parts.every((part) => document.querySelector('[data-name=words]').textContent.includes(part))",
        arg=list(parts),
    )


def slide(page: Page, name: str, value: float) -> None:
    page.locator(f'input[data-name="{name}"]').fill(str(value))


def humps(s: dict[str, Any], side: str, shift: float = 0.0) -> list[tuple[float, float]]:
    share = s[f"{side}_share"]
    every = [(s[f"{side}_at"] + shift, 1 - share), (s[f"{side}_second"] + shift, share)]
    return [(at, weight) for at, weight in every if weight > 0]


def density(s: dict[str, Any], side: str, shift: float = 0.0) -> np.ndarray:
    width, p = s[f"{side}_width"], np.zeros_like(X)
    for at, weight in humps(s, side, shift):
        if s["kind"] == "uniform":
            p += weight * ((at - width - 1e-9 <= X) & (at + width - 1e-9 > X)) / (2 * width)
        else:
            p += weight * np.exp(-(((X - at) / width) ** 2) / 2) / (width * math.sqrt(2 * math.pi))
    return theory.normalise(p, CELL)


def logit(s: dict[str, Any], x: torch.Tensor, shift: float = 0.0) -> torch.Tensor:
    """log p_data - log p_g, by torch: p_g, unlike x, is where D* was made and stays."""

    def log_density(side: str, moved: float) -> torch.Tensor:
        width = s[f"{side}_width"]
        parts = [math.log(w) - ((x - at) / width) ** 2 / 2 - math.log(width) for at, w in humps(s, side, moved)]
        return torch.logsumexp(torch.stack(parts), 0)

    return log_density("data", 0.0) - log_density("model", shift)


def gradient(s: dict[str, Any], loss: str, shift: float = 0.0) -> float:
    """d/ds of the generator's loss at samples x + s, x ~ p_g, by autograd: no difference is taken."""
    move = torch.zeros((), dtype=torch.float64, requires_grad=True)
    t = logit(s, torch.tensor(X) + move, shift)
    log_d = torch.nn.functional.logsigmoid(t if loss == "non-saturating" else -t)
    each = -log_d if loss == "non-saturating" else log_d
    (torch.tensor(density(s, "model", shift)) * each).sum().mul(CELL).backward()
    return float(move.grad)


def own(s: dict[str, Any]) -> tuple[np.ndarray, float]:
    """D on the grid, and V of it, with logarithms that do not overflow."""
    t = math.log(s["level"] / (1 - s["level"])) + s["slope"] * X
    p, q = density(s, "data"), density(s, "model")
    return 1 / (1 + np.exp(-t)), float(-(p * np.logaddexp(0, -t) + q * np.logaddexp(0, t)).sum() * CELL)


def compare(page: Page, **settings: Any) -> None:
    """Every number and curve on the page is ganlib's for these settings."""
    s = DEFAULT | settings
    p, q = density(s, "data"), density(s, "model")
    d, value = own(s)
    cost = theory.cost(p, q, CELL)
    expected = {
        "cost": cost,
        "own": value,
        "gap": max(0.0, cost - value),
        "jsd": theory.jsd(p, q, CELL),
        "kl-data-model": theory.kl(p, q, CELL),
        "kl-model-data": theory.kl(q, p, CELL),
    }
    if abs(s["slope"]) <= 0.5:  # where 1 - D keeps its digits
        assert theory.value(d, p, q, CELL) == pytest.approx(value, rel=1e-9)
    for name, each in expected.items():
        assert number(page, name) == pytest.approx(each, rel=1e-9, abs=1e-12), name
    for name in LOSSES:
        if s["kind"] == "uniform":
            assert math.isnan(number(page, name))
            continue
        seen = number(page, name)
        assert seen == pytest.approx(gradient(s, name), rel=1e-9, abs=1e-11), name
        # ganlib differentiates the logit by differences: exact for one hump against one, close to it for two.
        is_quadratic = len(humps(s, "data")) == len(humps(s, "model")) == 1
        tolerance = {"rel": 1e-9, "abs": 1e-9} if is_quadratic else {"rel": 2e-3, "abs": 2e-4}
        assert seen == pytest.approx(theory.generator_gradient(p, q, X, name), **tolerance), name


SETTINGS = [
    {},
    {"data_at": 0.0, "model_at": 0.0},
    {"data_at": -LIMIT, "model_at": LIMIT, "data_width": WIDTHS[0], "model_width": WIDTHS[0]},
    {"data_at": -LIMIT, "model_at": LIMIT, "data_width": WIDTHS[1], "model_width": WIDTHS[1], "slope": -4.0},
    {
        "data_at": LIMIT,
        "model_at": -LIMIT,
        "data_width": WIDTHS[0],
        "model_width": WIDTHS[1],
        "level": 0.01,
        "slope": 4.0,
    },
    {"data_share": 0.5, "data_at": -2.0, "model_at": -2.0, "data_width": 0.6, "model_width": 0.6, "level": 0.99},
    {"data_share": 0.35, "model_share": 0.9, "model_second": -4.0, "data_width": 1.25, "level": 0.3, "slope": -0.45},
    {"kind": "uniform", "data_at": -0.5, "model_at": 0.5},
    {"kind": "uniform", "data_at": -2.0, "model_at": 2.0, "level": 0.9},
    {"kind": "uniform", "data_at": -2.05, "data_width": 0.65, "data_share": 0.4, "data_second": 2.0, "model_at": 2.0},
    {"kind": "uniform", "data_at": 0.0, "model_at": 0.3, "data_width": 2.0, "model_width": 0.6},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_numbers_are_ganlibs_for_settings_made_in_python(page, tmp_path, settings):
    show(page, tmp_path, **settings)
    compare(page, **settings)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_densities_and_d_star_are_ganlibs_and_the_grid_loses_no_mass(page, tmp_path, settings):
    show(page, tmp_path, **settings)
    s, seen = DEFAULT | settings, inspect(page)
    p, q = density(s, "data"), density(s, "model")
    np.testing.assert_allclose(seen["data"], p, rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(seen["model"], q, rtol=1e-9, atol=1e-300)
    best = np.array(seen["best"], dtype=float)
    np.testing.assert_allclose(best, theory.optimal_discriminator(p, q), rtol=1e-9, atol=1e-300)
    assert np.isnan(best).any() == (s["kind"] == "uniform")
    assert np.abs(seen["lost"]).max() < 1e-7


@pytest.mark.parametrize("settings", [SETTINGS[0], SETTINGS[6], SETTINGS[9]], ids=str)
def test_the_curves_over_the_position_are_ganlibs(page, tmp_path, settings):
    show(page, tmp_path, **settings)
    s, seen = DEFAULT | settings, inspect(page)
    assert seen["over_at"][0] == -LIMIT
    assert seen["over_at"][-1] == LIMIT
    p = density(s, "data")
    for n in range(0, len(seen["over_at"]), 8):
        shift = seen["over_at"][n] - s["model_at"]
        inside = all(abs(at) <= LIMIT + 1e-9 for at, _ in humps(s, "model", shift))
        assert (seen["over_jsd"][n] is not None) == inside
        assert (seen["over_minimax"][n] is not None) == (inside and s["kind"] == "gaussian")
        if inside:
            assert seen["over_jsd"][n] == pytest.approx(theory.jsd(p, density(s, "model", shift), CELL), abs=1e-12)
        if seen["over_minimax"][n] is not None:
            assert seen["over_minimax"][n] == pytest.approx(gradient(s, "minimax", shift), rel=1e-9, abs=1e-11)
            assert seen["over_other"][n] == pytest.approx(gradient(s, "non-saturating", shift), rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("m", [1, 2, 4, 8])
def test_the_gradients_saturate_as_the_distance_grows(page, tmp_path, m):
    show(page, tmp_path, data_at=-m / 2, model_at=m / 2)
    minimax, other = number(page, "minimax"), number(page, "non-saturating")
    x = np.linspace(-18, 18, 28801)  # another grid, finer and wider
    pair = [theory.normalise(np.exp(-((x - at) ** 2) / 2), x[1] - x[0]) for at in (-m / 2, m / 2)]
    assert minimax == pytest.approx(theory.generator_gradient(*pair, x), rel=1e-9)
    # The logit's slope is -m everywhere, so the two add up to m.
    assert minimax + other == pytest.approx(m, rel=1e-9)
    says(page, "hardly pulls" if m >= 4 else "to the left.")


def test_a_logistic_d_of_ones_own_reaches_d_star_between_equal_widths(page, tmp_path):
    show(page, tmp_path)  # the logit of D* is -2 x
    gaps = []
    for slope in (0, -1, -2, -3):
        slide(page, "slope", slope)
        compare(page, slope=float(slope))
        gaps.append(number(page, "gap"))
    assert gaps[2] == pytest.approx(0, abs=1e-12)
    assert min(gaps[0], gaps[1], gaps[3]) > 1e-2


def test_the_theorems_ends(page, tmp_path):
    show(page, tmp_path, data_at=0.0, model_at=0.0)
    assert number(page, "cost") == pytest.approx(-math.log(4), rel=1e-12)
    assert number(page, "jsd") == 0
    page.locator('button[data-name="disjoint"]').click()
    assert number(page, "cost") == 0
    assert number(page, "jsd") == pytest.approx(math.log(2), rel=1e-12)
    assert number(page, "kl-data-model") == math.inf
    page.locator('button[data-name="overlap"]').click()
    assert number(page, "jsd") == pytest.approx(math.log(2) / 2, rel=1e-12)


def test_sliders_and_the_choice_move_it(page, tmp_path):
    show(page, tmp_path)
    moved = {"data_at": -1.35, "data_width": 0.75, "data_share": 0.2, "data_second": 3.3, "level": 0.37, "slope": -0.4}
    moved |= {"model_at": 0.4, "model_width": 1.7, "model_share": 0.45, "model_second": -2.2}
    hidden = page.locator('input[data-name="data_second"]')
    assert hidden.is_hidden()
    slide(page, "data_share", 0.2)
    slide(page, "model_share", 0.45)
    for name, value in moved.items():
        slide(page, name, value)
    compare(page, **moved)
    page.locator('select[data-name="kind"]').select_option("uniform")
    compare(page, **moved, kind="uniform")
    slide(page, "data_share", 0)
    assert hidden.is_hidden()


def test_the_keyboard_moves_sliders_and_handles(page, tmp_path):
    show(page, tmp_path)
    page.locator('input[data-name="slope"]').focus()
    page.keyboard.press("ArrowLeft")
    grip = page.locator('[data-name="model-handle"]')
    grip.focus()
    for key in ("ArrowRight", "Shift+ArrowRight", "ArrowDown", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    compare(page, slope=-0.05, model_at=1.55, model_width=1.05)
    assert grip.get_attribute("role") == "slider"
    assert grip.get_attribute("aria-valuetext") == "p g at 1.55, width 1.05"
    page.locator('[data-name="data-handle"]').focus()
    for _ in range(12):
        page.keyboard.press("Shift+ArrowLeft")
        page.keyboard.press("Shift+ArrowUp")
    compare(page, slope=-0.05, model_at=1.55, model_width=1.05, data_at=-LIMIT, data_width=WIDTHS[0])


def settled(page: Page) -> dict[str, float]:
    names = ("data_at", "data_width", "model_at", "model_width")
    return {name: float(page.locator(f'input[data-name="{name}"]').input_value()) for name in names}


@pytest.mark.parametrize("side", ["data", "model"])
@pytest.mark.parametrize(("share", "down"), [(0, 50), (0.4, 20)])
def test_a_handle_is_dragged_by_mouse(page, tmp_path, side, share, down):
    second = {f"{side}_share": share, f"{side}_second": -4.5}
    show(page, tmp_path, data_at=-2.0, model_at=2.0, **second)
    grip = page.locator(f'[data-name="{side}-handle"]')
    box = grip.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + down, steps=4)
    page.mouse.up()
    found = settled(page)
    start = {"data": -2.0, "model": 2.0}
    assert found[f"{side}_at"] > start[side] + 1
    assert found[f"{side}_width"] > 1.2
    other = "model" if side == "data" else "data"
    assert (found[f"{other}_at"], found[f"{other}_width"]) == (start[other], 1.0)
    compare(page, **(second | found))
    after = grip.bounding_box()  # it stays under the pointer, to the step of the settings
    assert after["x"] + after["width"] / 2 == pytest.approx(x + 60, abs=3)
    assert after["y"] + after["height"] / 2 == pytest.approx(y + down, abs=8)


def test_a_handle_is_dragged_by_touch_on_a_phone_and_the_page_still_scrolls(browser, tmp_path):
    context, record = pages.new_context(browser, pages.View("dark", "phone"))
    page = context.new_page()
    show(page, tmp_path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    grip = page.locator('[data-name="model-handle"]')
    grip.scroll_into_view_if_needed()
    assert grip.evaluate("(node) => getComputedStyle(node).touchAction") == "none"
    assert page.locator('[data-name="densities"]').evaluate("(node) => getComputedStyle(node).touchAction") == "auto"
    box = grip.bounding_box()
    assert min(box["width"], box["height"]) >= 24
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = context.new_cdp_session(page)
    for kind, points in (
        ("touchStart", [{"x": x, "y": y}]),
        ("touchMove", [{"x": x + 20, "y": y - 5}]),
        ("touchMove", [{"x": x + 40, "y": y - 15}]),
        ("touchEnd", []),
    ):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    found = settled(page)
    assert found["model_at"] > 1.5
    assert found["model_width"] < 1
    compare(page, **found)
    record.assert_clean()
    context.close()


PRESETS = {
    "equal": {"data_at": 0.0, "model_at": 0.0},
    "shifted": {},
    "far": {"data_at": -4.0, "model_at": 4.0},
    "widths": {"data_at": 0.0, "data_width": 0.6, "model_at": 0.0, "model_width": 1.8},
    "missed": {"data_at": -2.0, "data_width": 0.6, "data_share": 0.5, "model_at": -2.0, "model_width": 0.6},
    "overlap": {"kind": "uniform", "data_at": -0.5, "model_at": 0.5},
    "disjoint": {"kind": "uniform", "data_at": -2.0, "model_at": 2.0},
    "reset": {},
}


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_keep_the_own_d_and_reset_does_not(page, tmp_path, preset):
    mine = {"level": 0.2, "slope": 0.4}
    show(page, tmp_path, kind="uniform", data_at=3.0, model_share=0.3, model_second=-1.0, data_width=1.4, **mine)
    page.locator(f'button[data-name="{preset}"]').click()
    compare(page, **PRESETS[preset], **({} if preset == "reset" else mine))


def test_the_words_say_what_is_shown(page, tmp_path):
    show(page, tmp_path)
    says(
        page,
        "pdata: Gaussian at −1.00, width 1.00; pg: Gaussian at 1.00, width 1.00.",
        "D* is 0.881 at x = −1.00 and 0.119 at x = 1.00.",
        "C(G) is −0.713: twice the JSD, 0.337, above −log 4.",
        "the constant 0.50, is lower by 0.674",
        "0.450 of log(1 − D*), 1.550 of −log D*. Descent moves pg to the left.",
    )
    page.locator('button[data-name="equal"]').click()
    says(page, "the generator is perfect", "is lower by 0.000.", "A shift gains nothing.")
    page.locator('button[data-name="widths"]').click()
    says(page, "Gradients: 0.000 of log(1 − D*), 0.000 of −log D*. A shift gains nothing.")
    page.locator('button[data-name="disjoint"]').click()
    says(
        page,
        "Where both densities are zero D* is undefined, and not drawn.",
        "as high as it gets: JSD is log 2",
        "Infinite: KL(pdata ‖ pg) and KL(pg ‖ pdata).",
        "No gradient is defined.",
    )
    for figure, part in {"densities": "undefined", "divergence": "now 0.693", "gradients": "none is defined"}.items():
        assert part in page.locator(f'[data-name="{figure}"]').get_attribute("aria-label")
    assert page.locator('dd[data-name="minimax"]').inner_text() == "undefined"
    # One stretch of D* over each interval, and nothing between; nothing lies over it where it is zero.
    assert page.locator('[data-name="densities"] .critic').get_attribute("d").count("M") == 2
    assert page.locator('[data-name="densities"] .ganlib-curve.model').get_attribute("d").count("M") == 1


def test_nothing_changes_by_itself(browser, tmp_path):
    context, record = pages.new_context(browser, pages.View("light", "desktop"), reduced_motion="reduce")
    page = context.new_page()
    show(page, tmp_path)
    says(page, "Descent moves")
    before = page.locator("[data-widget]").evaluate("(node) => node.outerHTML")
    page.wait_for_timeout(400)
    assert page.locator("[data-widget]").evaluate("(node) => node.outerHTML") == before
    record.assert_clean()
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(page, tmp_path, axe, theme):
    from .test_access import violations

    widget = OptimalDiscriminator(data_share=0.3)
    page.goto(write_page(tmp_path, widget, theme).as_uri())
    page.wait_for_selector("[data-ganlib-widgets]", state="attached")
    page.wait_for_selector('[data-name="words"]:not(:empty)')
    # The heading is the test page's own.
    assert [each for each in violations(page, axe) if "at h1" not in each] == []


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"data_at": 5.1}, "data_at.*5.1"),
        ({"model_at": math.nan}, r"model_at.*\[-5, 5\].*nan"),
        ({"data_width": 0.5}, "data_width.*0.5"),
        ({"model_share": 1.0}, "model_share.*1.0"),
        ({"level": 1.0}, "level.*1.0"),
        ({"slope": math.inf}, "slope.*inf"),
        ({"kind": "laplace"}, "kind.*laplace"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings, says):
    with pytest.raises(traitlets.TraitError, match=f"(?s){says}"):
        OptimalDiscriminator(**settings)
