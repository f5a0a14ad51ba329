"""The latent explorer in a browser: every number and pixel against ganlib, moved as a reader would move it."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import safetensors.torch
import torch

pytest.importorskip("anywidget", reason="the widgets need anywidget (pip install 'ganlib[notebook]')")

import traitlets

from ganlib import data
from ganlib.lab import measure, runs
from ganlib.lab.generators import Trained, open_trained
from ganlib.metrics.neighbours import nearest
from ganlib.sampling import interpolate, push
from ganlib.widgets.latent_explorer import RESULT, LatentExplorer, digits, weights, weights_file

from . import pages
from .widget_page import write_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

DEFAULT = {name: trait.default_value for name, trait in LatentExplorer.class_own_traits().items() if name[0] != "_"}
ENDS = {"A": (0, 0), "B": (1, 0), "C": (0, 1)}
TOLERANCE = 2e-5  # of a pixel: torch computes in single precision, the browser in double


def show(page: Page, folder: Path, load: bool = True, **settings: Any) -> None:
    page.goto(write_page(folder, LatentExplorer(**settings)).as_uri())
    page.wait_for_selector("[data-ganlib-widgets]", state="attached")
    if load:
        page.locator('[data-name="load"]').click()
        ready(page)


def ready(page: Page) -> None:
    """Wait until the plane and the line are drawn for the points there are."""
    page.wait_for_function(
        "() => { const { tiles, strip } = document.querySelector('.ganlib-widget').inspect();"
        " return tiles.length === 49 && strip.length === 10; }"
    )


def inspect(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("() => document.querySelector('.ganlib-widget').inspect()")
    return found


def number(page: Page, name: str) -> float:
    return float(page.locator(f'dd[data-name="{name}"]').get_attribute("data-value"))


def slide(page: Page, name: str, value: float) -> None:
    page.locator(f'input[data-name="{name}"]').fill(str(value))


def place(page: Page) -> tuple[float, float]:
    return tuple(float(page.locator(f'input[data-name="{name}"]').input_value()) for name in "st")


@cache
def trained() -> Trained:
    return open_trained(weights_file())[0]


@cache
def training() -> data.Images:
    return data.load("digits")


def generated(z: torch.Tensor) -> torch.Tensor:
    """ganlib's G(z) for z (n, dim), as images in [0, 1], (n, 784)."""
    return measure.to_unit(trained().run, push(trained().generator(), z.float())).flatten(1)


def point(seed: int) -> torch.Tensor:
    """The latent point of a seed: sfc32 written down a second time, with integers cut to 32 bits."""
    a, b, c, count = 0x9E3779B9, 0x243F6A88, seed, 1
    low, high = runs.latent(trained().run).low, runs.latent(trained().run).high
    drawn = []
    for _ in range(15 + trained().run.latent_dim):
        out = (a + b + count) % 2**32
        count = (count + 1) % 2**32
        a, b = b ^ (b >> 9), (c + (c << 3)) % 2**32
        c = (((c << 21) | (c >> 11)) + out) % 2**32
        drawn.append(low + (high - low) * out / 2**32)
    return torch.tensor(drawn[15:], dtype=torch.float64)


def three_nearest(image: torch.Tensor) -> list[tuple[int, float]]:
    """By ganlib's own `nearest`, called again without those found."""
    pixels = training().scaled(0, 1).floats().flatten(1)
    left = torch.arange(len(pixels))
    found = []
    for _ in range(3):
        index, distance = nearest(image[None], pixels[left])
        found.append((int(left[index]), float(distance)))
        left = left[left != left[index]]
    return found


def compare(page: Page, **settings: Any) -> None:
    """Every number, pixel and word on the page is ganlib's for these settings."""
    now = DEFAULT | settings
    page.wait_for_timeout(300)  # said at most so often
    seen, corners = inspect(page), {name: point(now[f"seed_{name.lower()}"]) for name in "ABC"}
    a, b, c = corners.values()
    torch.testing.assert_close(torch.tensor(seen["points"], dtype=torch.float64), torch.stack([a, b, c]))

    z = a + now["s"] * (b - a) + now["t"] * (c - a)
    torch.testing.assert_close(torch.tensor(seen["z"], dtype=torch.float64), z)
    assert number(page, "length") == pytest.approx(float(z.norm()))
    prior = runs.latent(trained().run)
    beyond = int(((z < prior.low) | (z > prior.high)).sum())
    assert number(page, "outside") == beyond

    image = generated(z[None])[0]
    close(seen["image"], image)
    painted(page, "sample", image)
    expected = three_nearest(image)
    words = page.locator('[data-name="words"]').inner_text()
    assert f"s {now['s']:.2f}, t {now['t']:.2f}".replace("-", "\u2212") in words
    assert f"{beyond} of the {len(z)} coordinates" in words
    for i, (index, distance) in enumerate(expected):
        label, shown = int(training().labels[index]), seen["neighbours"][i]
        assert (shown["index"], shown["label"]) == (index, label)
        assert number(page, f"distance-{i + 1}") == shown["distance"] == pytest.approx(distance, abs=1e-4)
        assert f"a {label} (number {index}) at {shown['distance']:.2f}" in words
        painted(page, f"digit-{i + 1}", training().scaled(0, 1).floats(slice(index, index + 1)).flatten())
        caption = page.locator(f'figure:has(> [data-name="digit-{i + 1}"])').inner_text()
        assert f"a {label}, at {shown['distance']:.2f}" in caption

    start, end = (corners[name] for name in now["line"].split(" to "))
    assert number(page, "line-length") == pytest.approx(float((end - start).norm()))
    close(seen["strip"], generated(interpolate(start[None], end[None], 10)[0]))
    grid = [-0.25 + 0.25 * i for i in range(7)]
    plane = torch.stack([a + s * (b - a) + t * (c - a) for t in reversed(grid) for s in grid])
    close(seen["tiles"], generated(plane))


def close(seen: Any, expected: torch.Tensor) -> None:
    torch.testing.assert_close(torch.tensor(seen, dtype=torch.float32), expected, atol=TOLERANCE, rtol=0)


def painted(page: Page, name: str, image: torch.Tensor) -> None:
    """The canvas has the image's grey levels: the nearest of 256, black at 0."""
    levels = page.evaluate(
        """(name) => {
          const canvas = document.querySelector(`canvas[data-name="${name}"]`);
          const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
          copy.drawImage(canvas, 0, 0);
          return [...copy.getImageData(0, 0, canvas.width, canvas.height).data];
        }""",
        name,
    )
    rgba = torch.tensor(levels).reshape(-1, 4)
    assert (rgba[:, 3] == 255).all()
    assert (rgba[:, :1] == rgba[:, :3]).all()
    assert (rgba[:, 0] - 255 * image).abs().max() <= 0.5 + 255 * TOLERANCE


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"s": 0.4, "t": 0.3, "seed_a": 7, "seed_b": 21, "seed_c": 99, "line": "B to C"},
        {"s": 1.25, "t": 1.25, "seed_a": 50, "line": "A to C"},
        {"s": -0.25, "t": 0.5, "seed_a": 5, "seed_b": 5},
    ],
)
def test_every_number_and_pixel_is_ganlibs(page, tmp_path, settings):
    show(page, tmp_path, **settings)
    compare(page, **settings)


def test_the_generator_is_sent_only_when_asked_for(page, tmp_path):
    asked = []
    page.on("request", lambda request: asked.append(Path(request.url).name))
    show(page, tmp_path, load=False)
    assert not {f"{name}.js" for name in LatentExplorer.assets} & set(asked)
    load = page.get_by_role("button", name=re.compile(r"^Load the generator and its training digits \(\d+ kB\)$"))
    kilobytes = int(re.search(r"(\d+) kB", load.inner_text())[1])
    assert kilobytes == round(sum(len(make()) for make in LatentExplorer.assets.values()) / 1000)
    page.wait_for_function("document.querySelector('[data-name=words]').textContent.includes('not loaded')")
    others = page.locator(".ganlib-widget :is(input, select, button:not([data-name=load]))")
    assert others.count() > 8
    assert not any(each.is_enabled() for each in others.all())  # nothing can be moved over empty pictures
    assert page.get_by_role("slider", name="The latent point").count() == 0
    assert page.get_by_text("Nothing is drawn yet").is_visible()
    colours = page.locator("canvas").evaluate_all("(all) => all.map((each) => getComputedStyle(each).backgroundColor)")
    assert not {"rgb(0, 0, 0)", "rgba(0, 0, 0, 0)"} & set(colours)
    load.focus()
    page.keyboard.press("Enter")
    ready(page)
    assert load.count() == 0
    assert page.evaluate("document.activeElement.dataset.name") == "point"  # not lost with the button
    assert all(each.is_enabled() for each in others.all())
    assert page.get_by_text("Nothing is drawn yet").is_hidden()
    slide(page, "s", 0.5)
    assert {f"{name}.js" for name in LatentExplorer.assets} <= set(asked)
    compare(page, s=0.5)


def test_a_reader_moves_by_keyboard_pointer_and_controls(page, tmp_path):
    show(page, tmp_path)
    handle = page.get_by_role("slider", name="The latent point")
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    assert place(page) == (0.05, 0.5)
    assert handle.get_attribute("aria-valuetext") == "s 0.05, t 0.50"
    page.keyboard.press("Shift+ArrowLeft")
    assert place(page) == (-0.25, 0.5)  # no further

    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 120, y + 40, steps=4)
    page.mouse.up()
    s, t = place(page)
    assert s > 0.1
    assert t < 0.45
    compare(page, s=s, t=t)

    page.locator('select[data-name="line"]').select_option("B to C")
    slide(page, "along", 0.25)
    assert place(page) == (0.75, 0.25)
    page.get_by_role("button", name="C", exact=True).click()
    assert place(page) == (0, 1)
    assert page.locator('input[data-name="along"]').input_value() == "1"
    slide(page, "seed_b", 42)
    slide(page, "seed_c", 3)
    ready(page)
    compare(page, t=1, seed_b=42, seed_c=3, line="B to C")
    page.get_by_role("button", name="Reset").click()
    ready(page)
    compare(page)


def test_a_finger_moves_it_too(browser, tmp_path):
    context, record = pages.new_context(browser, pages.View("dark", "phone"))
    with contextlib.closing(context):
        page = context.new_page()
        show(page, tmp_path)
        page.get_by_role("slider", name="The latent point").scroll_into_view_if_needed()
        box = page.get_by_role("slider", name="The latent point").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        session = context.new_cdp_session(page)
        for kind, dx in (("touchStart", 0), ("touchMove", 40), ("touchMove", 80), ("touchEnd", None)):
            points = [] if dx is None else [{"x": x + dx, "y": y - dx}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        s, t = place(page)
        assert s > 0.2
        assert t > 0.2
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        compare(page, s=s, t=t)
        record.assert_clean()


def test_what_cannot_be_loaded_is_said_and_can_be_tried_again(browser, tmp_path):
    context, _ = pages.new_context(browser, pages.View("light", "desktop"))  # a failed request is what is tested
    with contextlib.closing(context):
        page = context.new_page()
        show(page, tmp_path, load=False)
        file = tmp_path / "widgets" / "latent-generator.js"
        kept = file.rename(tmp_path / "kept.js")
        page.locator('[data-name="load"]').click()
        page.get_by_role("alert").filter(has_text="could not be loaded").wait_for()
        kept.rename(file)
        page.locator('[data-name="load"]').click()
        ready(page)
        compare(page)


def test_the_digits_are_the_training_split_the_same_in_every_build():
    packed = digits()
    digits.cache_clear()
    assert digits() == packed
    tensors = safetensors.torch.load(gzip.decompress(packed))
    assert torch.equal(tensors["pixels"], training().pixels.squeeze(1))
    assert torch.equal(tensors["labels"].long(), training().labels)


def test_the_generator_is_the_named_run_trained_to_its_end_on_those_digits():
    assert len(weights()) < 1_000_000
    result = json.loads(RESULT.read_text())
    (described,) = result["weights"].values()
    assert hashlib.sha256(weights()).hexdigest() == described["sha256"]
    assert trained().run == runs.get("dcgan-digits")
    assert trained().iteration == trained().run.iterations
    assert any(each["sha256"] == training().sha256 for each in result["data"])


def test_it_says_what_its_generator_was_trained_on(page, tmp_path):
    show(page, tmp_path, load=False)
    run = trained().run
    said = page.inner_text(".ganlib-help")
    assert f"a small DCGAN, trained for {run.iterations:,} iterations (seed 0)" in said
    assert f"on {len(training().labels):,} images of handwritten digits (5,000 of MNIST)" in said


@pytest.mark.parametrize(
    "wrong",
    [
        {"s": 1.3},
        {"t": -0.3},
        {"s": float("nan")},
        {"seed_a": 100},
        {"line": "C to A"},
        {"kilobytes": 3},
        {"about": ""},
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(traitlets.TraitError):
        LatentExplorer(**wrong)
