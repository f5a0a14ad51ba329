"""The Dirac-GAN widget in a browser: every number against `ganlib.dirac`, moved as a reader would move it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="the widgets need anywidget (pip install 'ganlib[notebook]')")

import traitlets

from ganlib import dirac
from ganlib.widgets.dirac_gan import STEPS, DiracGan

from . import pages
from .widget_page import write_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

DEFAULT = {name: trait.default_value for name, trait in DiracGan.class_own_traits().items() if name[0] != "_"}
COUNT = """() => {
  globalThis.drawn = 0;
  const seen = new MutationObserver(() => { drawn += 1; });
  seen.observe(document.querySelector('dd[data-name="first-theta"]'), { attributes: true });
}"""


def show(page: Page, folder: Any, **settings: Any) -> None:
    page.goto(write_page(folder, DiracGan(**settings)).as_uri())
    page.wait_for_selector("[data-ganlib-widgets]", state="attached")


def number(page: Page, name: str) -> float:
    return float(page.locator(f'dd[data-name="{name}"]').get_attribute("data-value"))


def words(page: Page) -> str:
    page.wait_for_timeout(300)  # said at most so often
    return page.locator('[data-name="words"]').inner_text()


def slide(page: Page, name: str, value: float) -> None:
    page.locator(f'input[data-name="{name}"]').fill(str(value))


def modulus(lr: float, gamma: float, alternating: bool) -> float:
    """Largest modulus of the eigenvalues of one step's Jacobian at (0, 0), by differences of ganlib's own step."""
    h = 1e-4
    ends = [
        [
            dirac.trajectory(1, lr=lr, gamma=gamma, alternating=alternating, start=start)[1]
            for start in ((s * h, 0.0), (0.0, s * h))
        ]
        for s in (1, -1)
    ]
    return np.abs(np.linalg.eigvals((np.array(ends[0]) - np.array(ends[1])).T / (2 * h))).max()


def compare(page: Page, **settings: Any) -> None:
    """Every number on the page is ganlib's for these settings."""
    s = DEFAULT | settings
    runs = [("first", s["method"], s["gamma"]), ("second", s["other"], s["other_gamma"])]
    for style, method, gamma in runs:
        if method == "none":
            assert page.locator(f'dd[data-name="{style}-theta"]').is_hidden()
            continue
        path = dirac.trajectory(
            STEPS, lr=s["lr"], gamma=gamma, alternating=method == "alternating", start=(s["theta"], s["psi"])
        )
        radius, (theta, psi) = np.hypot(*path.T), path[s["step"]]
        d = 1 / (1 + math.exp(psi * theta))  # D(x) = sigmoid(-psi x)
        expected = {
            "theta": theta,
            "psi": psi,
            "d": d,
            "value": math.log(0.5) + math.log1p(-d),
            "radius": radius[s["step"]],
            "radius-start": radius[0],
            "radius-end": radius[-1],
        }
        for name, value in expected.items():
            # Far in, where R1 has brought both, rounding is relative to where they came from.
            assert number(page, f"{style}-{name}") == pytest.approx(value, rel=1e-9, abs=1e-15), (style, name)
        assert number(page, f"{style}-modulus") == pytest.approx(
            modulus(s["lr"], gamma, method == "alternating"), abs=1e-6
        )


SETTINGS = [
    {},
    {"step": 0},
    {"step": STEPS},
    {"method": "alternating", "gamma": 0.3, "other": "simultaneous", "other_gamma": 0.3, "step": 137},
    {"theta": 3.0, "psi": -3.0, "lr": 0.5, "step": 999},
    {"theta": -3.0, "psi": -3.0, "lr": 0.01, "gamma": 3.0, "other": "none"},
    {"theta": 0.0, "psi": 0.0, "lr": 0.5, "gamma": 3.0, "other_gamma": 3.0},
    {"theta": 0.05, "psi": -2.5, "lr": 0.33, "gamma": 0.1, "other": "simultaneous", "other_gamma": 0.05, "step": 1},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_numbers_are_ganlibs_for_settings_made_in_python(page, tmp_path, settings):
    show(page, tmp_path, **settings)
    compare(page, **settings)


def test_whole_paths_are_ganlibs(page, tmp_path):
    show(page, tmp_path, gamma=0.1, lr=0.2)
    seen = page.evaluate(
        "document.querySelector('[data-widget]').inspect().runs.map((r) => [[...r.theta], [...r.psi]])"
    )
    for got, options in zip(seen, [{"gamma": 0.1}, {"alternating": True}], strict=True):
        np.testing.assert_allclose(np.array(got).T, dirac.trajectory(STEPS, lr=0.2, **options), rtol=1e-9, atol=1e-12)


def test_sliders_and_choices_move_it(page, tmp_path):
    show(page, tmp_path)
    moved = {"lr": 0.27, "theta": -1.35, "psi": 0.8, "gamma": 0.45, "other_gamma": 1.2, "step": 321}
    for name, value in moved.items():
        slide(page, name, value)
    compare(page, **moved)
    page.locator('select[data-name="method"]').select_option("alternating")
    page.locator('select[data-name="other"]').select_option("simultaneous")
    compare(page, **moved, method="alternating", other="simultaneous")
    page.locator('select[data-name="other"]').select_option("none")
    compare(page, **moved, method="alternating", other="none")


def test_the_keyboard_moves_sliders_and_the_start(page, tmp_path):
    show(page, tmp_path)
    page.locator('input[data-name="step"]').focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    compare(page, step=1197)
    start = page.locator('[data-name="start"]')
    start.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    compare(page, step=1197, theta=0.6, psi=0.95)
    assert start.get_attribute("aria-valuetext") == "theta 0.60, psi 0.95"
    assert start.get_attribute("role") == "slider"
    for _ in range(20):
        page.keyboard.press("Shift+ArrowUp")
    compare(page, step=1197, theta=0.6, psi=3.0)  # the end of its range


def test_the_start_is_dragged_by_mouse(page, tmp_path):
    show(page, tmp_path)
    box = page.locator('[data-name="start"]').bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y + 40, steps=4)
    page.mouse.up()
    theta, psi = (float(page.locator(f'input[data-name="{name}"]').input_value()) for name in ("theta", "psi"))
    assert theta < 0.7
    assert psi < 0.9
    compare(page, theta=theta, psi=psi)


def test_the_start_is_dragged_by_touch_on_a_phone_and_the_page_still_scrolls(browser, tmp_path):
    context, record = pages.new_context(browser, pages.View("dark", "phone"))
    page = context.new_page()
    show(page, tmp_path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    start = page.locator('[data-name="start"]')
    assert start.evaluate("(node) => getComputedStyle(node).touchAction") == "none"
    assert page.locator('[data-name="portrait"]').evaluate("(node) => getComputedStyle(node).touchAction") == "auto"
    assert min(start.bounding_box()[side] for side in ("width", "height")) >= 24
    box = start.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = context.new_cdp_session(page)
    for kind, points in (
        ("touchStart", [{"x": x, "y": y}]),
        ("touchMove", [{"x": x + 20, "y": y + 20}]),
        ("touchMove", [{"x": x + 30, "y": y + 50}]),
        ("touchEnd", []),
    ):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    theta, psi = (float(page.locator(f'input[data-name="{name}"]').input_value()) for name in ("theta", "psi"))
    assert theta > 1.2
    assert psi < 0.6
    compare(page, theta=theta, psi=psi)
    record.assert_clean()
    context.close()


PRESETS = {
    "both": {},
    "r1": {"method": "alternating", "other_gamma": 0.3},
    "little": {"lr": 0.5, "gamma": 0.1, "other": "simultaneous", "other_gamma": 0.2},
    "far": {"theta": 3.0, "psi": -3.0, "gamma": 0.3, "other_gamma": 0.3},
    "reset": {},
}


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_and_reset(page, tmp_path, preset):
    show(page, tmp_path, theta=-2.0, lr=0.4, gamma=2.0, other="none", step=5)
    page.locator(f'button[data-name="{preset}"]').click()
    compare(page, **PRESETS[preset])


def test_on_a_phone_play_and_presets_stand_below_the_first_picture(browser, tmp_path):
    context, record = pages.new_context(browser, pages.View("light", "phone"))
    page = context.new_page()
    show(page, tmp_path)
    names = ("portrait", "play", "both", "reset", "radii")
    tops = [page.locator(f'.ganlib-widget [data-name="{name}"]').bounding_box()["y"] for name in names]
    assert tops == sorted(tops)
    assert tops[3] - tops[0] < pages.View("light", "phone").size["height"]
    record.assert_clean()
    context.close()


def test_the_words_say_which_methods_are_stable(page, tmp_path):
    show(page, tmp_path)
    said = words(page)
    assert "First run, simultaneous: radius 1.414 at step 0" in said
    assert "3.101 at step 2000" in said
    assert said.count("unstable") == 1
    assert "it keeps circling" in said
    page.locator('button[data-name="little"]').click()
    said = words(page)
    assert "First run, simultaneous with R1, γ 0.10" in said
    assert ": unstable." in said
    assert ": stable." in said
    assert page.locator('dd[data-name="first-modulus"]').inner_text().endswith("(unstable)")
    assert page.locator('dd[data-name="second-modulus"]').inner_text().endswith("(stable)")
    for figure in ("portrait", "radii"):
        name = page.locator(f'[data-name="{figure}"]').get_attribute("aria-label")
        assert "First run" in name
        assert "Second run" in name


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_play_walks_along_the_paths_and_stops_at_the_end(browser, tmp_path, motion):
    context, record = pages.new_context(browser, pages.View("light", "desktop"), reduced_motion=motion)
    page = context.new_page()
    show(page, tmp_path, step=100)
    play, step = page.locator('button[data-name="play"]'), page.locator('input[data-name="step"]')
    page.wait_for_timeout(200)
    assert step.input_value() == "100"  # nothing plays by itself
    page.evaluate(COUNT)
    play.click()
    assert play.get_attribute("aria-pressed") == "true"
    page.wait_for_function("Number(document.querySelector('input[data-name=step]').value) >= 160")
    drawn = page.evaluate("drawn")
    play.click()
    assert play.inner_text() == "Play"
    at = int(step.input_value())
    assert drawn < 10 if motion == "reduce" else drawn > 0
    compare(page, step=at)
    slide(page, "step", 1990)
    play.click()
    page.wait_for_function("document.querySelector('button[data-name=play]').ariaPressed === 'false'")
    compare(page, step=STEPS)
    play.click()  # from the end it begins again
    page.wait_for_function("Number(document.querySelector('input[data-name=step]').value) < 1000")
    play.click()
    compare(page, step=int(step.input_value()))
    record.assert_clean()
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(page, tmp_path, axe, theme):
    from .test_access import violations

    page.goto(write_page(tmp_path, DiracGan(), theme).as_uri())
    page.wait_for_selector("[data-ganlib-widgets]", state="attached")
    page.wait_for_selector('[data-name="words"]:not(:empty)')
    # The heading is the test page's own.
    assert [each for each in violations(page, axe) if "at h1" not in each] == []


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"theta": 3.1}, "theta.*3.1"),
        ({"psi": math.nan}, r"psi.*\[-3, 3\].*nan"),
        ({"lr": 0.0}, "lr.*0.0"),
        ({"gamma": -1.0}, "gamma.*-1.0"),
        ({"method": "both"}, "method.*both"),
        ({"step": 2001}, "step.*2001"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings, says):
    with pytest.raises(traitlets.TraitError, match=f"(?s){says}"):
        DiracGan(**settings)
