"""The Parzen explorer in a browser: every number is the sweep's, every draw is kernel + sigma * noise."""

from __future__ import annotations

import base64
import itertools
import json
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="the widgets need anywidget (pip install 'ganlib[notebook]')")

import torch
import traitlets
from scipy import stats

from ganlib import data
from ganlib.lab import parzen_sweep
from ganlib.metrics import parzen
from ganlib.widgets.parzen_explorer import SWEEP, ParzenExplorer

from . import pages
from .widget_page import write_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOUND = json.loads(SWEEP.read_text())
SIGMAS, SETS = FOUND["sigmas"], FOUND["sets"]
DEFAULT = SETS[0]["chosen"]
SLIDER = 'input[data-name="sigma"]'


def show(page: Page, folder: Any, **settings: Any) -> None:
    page.goto(write_page(folder, ParzenExplorer(**settings)).as_uri())
    page.wait_for_selector("[data-ganlib-widgets]", state="attached")


def number(page: Page, name: str) -> float:
    return float(page.locator(f'dd[data-name="{name}"]').get_attribute("data-value"))


def inspect(page: Page) -> dict[str, Any]:
    return page.evaluate("document.querySelector('[data-widget]').inspect()")


def compare(page: Page, at: int, choice: str = "chosen", found: dict[str, Any] = FOUND) -> None:
    """Every number on the page is the sweep's at width number ``at``."""
    sigmas = found["sigmas"]
    assert page.locator(SLIDER).input_value() == str(at)
    assert page.locator(SLIDER).get_attribute("aria-valuetext") == f"{sigmas[at]:.3f}"
    for i, each in enumerate(found["sets"]):
        chosen = each[choice]
        expected = {
            "value": each["test"][at],
            "error": each["standard_error"][at],
            "chosen-sigma": sigmas[chosen],
            "chosen-value": each["test"][chosen],
        }
        assert {name: number(page, f"{name}-{i}") for name in expected} == expected
        note = page.locator(f'dd[data-name="chosen-value-{i}"]').inner_text()
        assert note.endswith(f"± {each['standard_error'][chosen]:.1f} nats")
    assert number(page, "noise-length") == pytest.approx(sigmas[at] * math.sqrt(math.prod(found["shape"])), rel=1e-12)


@pytest.mark.parametrize("at", [0, 6, DEFAULT, 18, 24])
def test_numbers_are_the_sweeps_at_a_width_made_in_python(page, tmp_path, at):
    show(page, tmp_path, sigma=SIGMAS[at])
    compare(page, at)


def test_the_slider_moves_over_the_sweeps_own_widths(page, tmp_path):
    show(page, tmp_path)
    compare(page, DEFAULT)
    slider = page.locator(SLIDER)
    slider.focus()
    page.keyboard.press("ArrowRight")
    compare(page, DEFAULT + 1)
    page.keyboard.press("Home")
    compare(page, 0)
    page.keyboard.press("End")
    compare(page, len(SIGMAS) - 1)
    slider.fill("9")
    compare(page, 9)
    page.locator('select[data-name="widths"]').select_option("paper")
    compare(page, 9, "chosen_of_papers")


def test_presets_and_reset(page, tmp_path):
    show(page, tmp_path, sigma=SIGMAS[3], seed=5, widths="paper")
    before = inspect(page)["noise"]
    for i, each in enumerate(SETS):
        page.locator(f'button[data-name="chosen-{i}"]').click()
        compare(page, each["chosen_of_papers"], "chosen_of_papers")
    page.locator('button[data-name="narrowest"]').click()
    compare(page, 0, "chosen_of_papers")
    page.locator('button[data-name="widest"]').click()
    compare(page, len(SIGMAS) - 1, "chosen_of_papers")
    page.locator('button[data-name="reset"]').click()
    compare(page, DEFAULT)
    assert inspect(page)["noise"] != before


@pytest.mark.parametrize("at", [0, 2, 4, 6, 24])
def test_every_set_has_its_mark_at_every_width(page, tmp_path, at):
    """A dot at the value, or an arrow at the lower edge for one below it; no two arrows on the same spot."""
    show(page, tmp_path, sigma=SIGMAS[at])
    figure = page.locator('[data-name="curves"]')
    frame = figure.locator("clipPath rect")
    left, top, width, height = (float(frame.get_attribute(name)) for name in ("x", "y", "width", "height"))
    dots = figure.locator('circle[r="4"]').count()
    arrows = [d for each in figure.locator("path.ganlib-dots").all() if (d := each.get_attribute("d"))]
    assert dots == sum(each["test"][at] >= -400 for each in SETS)
    assert dots + len(arrows) == len(SETS)
    tips = [tuple(map(float, re.match(r"M(\S+) (\S+)l", d).groups())) for d in arrows]
    assert all(left <= x - 6 and x + 6 <= left + width and top < y <= top + height for x, y in tips)
    assert all(b - a >= 12 for (a, _), (b, _) in itertools.pairwise(sorted(tips)))


def test_draws_are_kernels_plus_sigma_times_noise_and_so_are_the_pictures(page, tmp_path):
    show(page, tmp_path, sigma=SIGMAS[13], seed=3)
    seen = inspect(page)
    noise = np.array(seen["noise"])
    for i, each in enumerate(SETS):
        kernels = np.frombuffer(base64.b64decode(each["examples"]), np.uint8)
        assert seen["kernels"][i] == kernels.tolist()
        draws = kernels / 255 + SIGMAS[13] * noise
        np.testing.assert_allclose(seen["draws"][i], draws, rtol=0, atol=1e-12)
        picture = page.locator(f'[data-name="draws-{i}"]').evaluate(
            "(c) => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((_, i) => i % 4 === 0)"
        )
        picture = np.array(picture).reshape(28 + 2 + 28, -1)
        assert picture.shape[1] == 8 * 30 - 2
        for k in range(8):
            tile = picture[:, 30 * k : 30 * k + 28]
            np.testing.assert_array_equal(tile[:28].ravel(), kernels[784 * k : 784 * (k + 1)])
            shown = 255 * draws[784 * k : 784 * (k + 1)].clip(0, 1)
            assert np.abs(tile[30:].ravel() - shown).max() <= 0.5 + 1e-9


def test_the_noise_is_standard_normal_and_its_seed_decides_it(page, tmp_path):
    show(page, tmp_path, seed=3)
    noise = inspect(page)["noise"]
    assert stats.kstest(noise, "norm").pvalue > 1e-3
    page.locator('button[data-name="noise"]').click()
    assert inspect(page)["noise"] != noise
    show(page, tmp_path, seed=3)
    assert inspect(page)["noise"] == noise
    show(page, tmp_path, seed=4)
    assert inspect(page)["noise"] != noise


def test_another_sweep_can_be_shown(page, tmp_path):
    train, valid, test = (data.load("digits", split).flattened().floats() for split in data.SPLITS)
    kernels = {"real digits": train[:30], "one average": train.mean(0, keepdim=True)}
    result = parzen_sweep.sweep(kernels, valid[:20], test[:20], [0.2, 0.4, 0.8], examples=3)
    result["shape"] = [28, 28]
    (tmp_path / "own.json").write_text(json.dumps(result))
    show(page, tmp_path, sweep=tmp_path / "own.json", sigma=0.41)
    compare(page, 1, found=result)
    expected = parzen.log_likelihoods(kernels["real digits"], test[:20], [0.4]).mean().item()
    assert number(page, "value-0") == pytest.approx(expected, rel=1e-6)
    assert torch.equal(torch.tensor(inspect(page)["kernels"][1]), (kernels["one average"] * 255).round().int()[0])


def test_the_words_and_the_figures_names_say_what_is_shown(page, tmp_path):
    show(page, tmp_path, sigma=SIGMAS[9])
    page.wait_for_selector('[data-name="words"]:not(:empty)')
    said = page.locator('[data-name="words"]').inner_text().replace("−", "-")
    order = sorted(SETS, key=lambda each: -each["test"][9])
    places = [said.index(f"{each['name']} ({each['test'][9]:.1f} nats)") for each in order]
    assert places == sorted(places)
    for each in SETS:
        assert f"{each['name']} {each['test'][each['chosen']]:.1f} at σ {SIGMAS[each['chosen']]:.3f}" in said
    label = page.locator('[data-name="curves"]').get_attribute("aria-label").replace("−", "-")
    assert all(f"{each['name']} {each['test'][9]:.1f}" in label for each in SETS)
    assert (
        page.locator('[data-name="draws-3"]').get_attribute("aria-label").startswith("8 of the k-means centres above")
    )
    assert page.get_by_text("published: 225").is_visible()
    assert page.get_by_text(f"the run mnist-paper after {FOUND['iteration']:,} iterations").is_visible()


def test_a_phone_has_room_and_touch_moves_the_slider(browser, tmp_path):
    context, record = pages.new_context(browser, pages.View("dark", "phone"), reduced_motion="reduce")
    page = context.new_page()
    show(page, tmp_path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # The pictures do not hold a finger that scrolls the page.
    assert page.locator('[data-name="draws-0"]').evaluate("(node) => getComputedStyle(node).touchAction") == "auto"
    box = page.locator(SLIDER).bounding_box()
    page.touchscreen.tap(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
    at = int(page.locator(SLIDER).input_value())
    assert at > DEFAULT
    compare(page, at)
    record.assert_clean()
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(page, tmp_path, axe, theme):
    from .test_access import violations

    page.goto(write_page(tmp_path, ParzenExplorer(), theme).as_uri())
    page.wait_for_selector("[data-ganlib-widgets]", state="attached")
    page.wait_for_selector('[data-name="words"]:not(:empty)')
    # The heading is the test page's own.
    assert [each for each in violations(page, axe) if "at h1" not in each] == []


def test_sigma_is_taken_to_the_nearest_width():
    assert ParzenExplorer(sigma=0.2).sigma == pytest.approx(0.1895735652)
    assert ParzenExplorer(sigma=1).sigma == 1
    widget = ParzenExplorer()
    widget.sigma = 0.101
    assert widget.sigma == 0.1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"sigma": 0.01}, "sigma is 0.01"),
        ({"sigma": 2.0}, "sigma is 2.0"),
        ({"sigma": math.nan}, "sigma.*finite.*nan"),
        ({"seed": -1}, "seed.*-1"),
        ({"widths": 3}, "3"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings, says):
    with pytest.raises(traitlets.TraitError, match=f"(?s){says}"):
        ParzenExplorer(**settings)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sigmas": None}, "no 'sigmas'"),
        ({"sigmas": [0.2, 0.1]}, "must be positive and rise"),
        ({"sets": []}, "0 sets"),
        ({"sets": 5 * SETS[:1]}, "5 sets"),
        ({"sigmas": SIGMAS[1:]}, "'model samples' has 25 valid values for 24 sigmas"),
        ({"shape": [28, 27]}, "images are 28 x 27"),
        ({"sigmas": [*SIGMAS[:-1], math.inf]}, "must be positive and rise"),
        ({"sets": [SETS[0] | {"test": [math.nan] * len(SIGMAS)}]}, "has nan among its test values"),
    ],
)
def test_what_is_no_sweep_is_refused(change, says):
    sweep = {name: value for name, value in (FOUND | change).items() if value is not None}
    with pytest.raises(ValueError, match=says):
        ParzenExplorer(sweep=sweep)


@pytest.mark.parametrize("sweep", [5, [1, 2]])
def test_a_sweep_is_a_dict_or_a_path(sweep):
    with pytest.raises(TypeError, match=re.escape(f"sweep is {sweep}; give the dict or the path")):
        ParzenExplorer(sweep=sweep)


def test_a_file_that_holds_no_dict_is_refused(tmp_path):
    (tmp_path / "own.json").write_text("[1]")
    with pytest.raises(ValueError, match="the sweep is a list"):
        ParzenExplorer(sweep=tmp_path / "own.json")


def test_the_sweep_cannot_be_changed_under_the_page():
    widget = ParzenExplorer()
    with pytest.raises(traitlets.TraitError, match=r"sweep.*read-only"):
        widget.sweep = FOUND
    assert widget.get_state()["sweep"]["sigmas"] == SIGMAS


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no gone\.json: make one with python -m ganlib sweep"):
        ParzenExplorer(sweep=tmp_path / "gone.json")
