"""The playground in a browser: every number against ganlib, training against torch, and the presets' promises."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("anywidget", reason="the widgets need anywidget (pip install 'ganlib[notebook]')")

import traitlets

from ganlib import losses, theory
from ganlib.metrics.modes import count_modes
from ganlib.toys import Mixture
from ganlib.widgets.playground import EDGE, Playground

from .pages import View, new_context
from .widget_page import write_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CELLS, KERNEL = 40, 0.1
SMILE = [[round(0.8 * np.cos(a), 3), round(0.8 * np.sin(a), 3)] for a in np.linspace(3.4, 6.0, 12)]
# The extremes of every range at least once.
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "grid": {"data": "grid", "k": 2, "hidden": 32, "latent": 8, "m": 16, "seed": 99, "loss": "minimax"},
    "spiral": {"data": "spiral", "hidden": 8, "latent": 1, "g_steps": 3, "m": 512, "g_lr": 0.1, "d_lr": 0.1},
    "moons": {"data": "moons", "k": 20, "critic": "optimal", "d_lr": 1e-4, "g_lr": 1e-4, "latent": 4, "seed": 7},
    "drawn": {"data": "drawn", "points": SMILE, "critic": "optimal", "loss": "minimax", "m": 32},
    "one point": {"data": "drawn", "points": [[EDGE, -EDGE]], "m": 64},
    "perfect": {"perfect": True, "seed": 3, "m": 256},
    "still": {"k": 0, "g_steps": 50, "seed": 5, "hidden": 8, "m": 16},
}
Show = Callable[..., Playground]


@pytest.fixture
def show(page: Page, tmp_path: Path) -> Show:
    """Show a widget with these settings on the page."""

    def show(theme: str = "light", **settings: Any) -> Playground:
        widget = Playground(**settings)
        page.goto(write_page(tmp_path, widget, theme).as_uri())
        page.wait_for_selector("[data-ganlib-widgets]", state="attached")
        for folded in page.locator(".ganlib-more > summary").all():
            folded.click()
        return widget

    return show


def inspect(page: Page) -> dict[str, Any]:
    return page.evaluate("document.querySelector('[data-widget=playground]').inspect()")


def number(page: Page, name: str) -> float:
    return float(page.get_attribute(f"dd[data-name={name}]", "data-value"))


def press(page: Page, name: str) -> None:
    page.click(f"button[data-name={name}]")


def preset(page: Page, name: str) -> None:
    page.select_option("select[data-name=preset]", name)


def iterate(page: Page, count: int) -> None:
    """Some iterations, by the buttons for a hundred of them and for one."""
    for _ in range(count // 100):
        press(page, "hundred")
        page.wait_for_selector("button[data-name=play][aria-pressed=false]")
    for _ in range(count % 100):
        press(page, "step")


def words(page: Page) -> str:
    page.wait_for_timeout(300)  # said at most once in 250 ms
    return page.inner_text("[data-name=words]")


def points(flat: list[float], columns: int = 2) -> Tensor:
    return torch.tensor(flat, dtype=torch.float64).reshape(-1, columns)


def net(weights: list[float], sizes: list[int]) -> nn.Sequential:
    """The same multilayer perceptron in torch, in double precision."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs, dtype=torch.float64), nn.Tanh()]
    model = nn.Sequential(*layers[:-1])
    nn.utils.vector_to_parameters(torch.tensor(weights, dtype=torch.float64), model.parameters())
    return model


class Nets:
    """Both nets as the page has them."""

    def __init__(self, state: dict[str, Any]) -> None:
        hidden, self.latent = state["settings"]["hidden"], state["settings"]["latent"]
        self.d = net(state["d"]["weights"], [2, hidden, hidden, 1])
        self.g = net(state["g"]["weights"], [self.latent, hidden, hidden, 2])

    def logit(self, x: Tensor) -> Tensor:
        return self.d(x)[:, 0]

    def sample(self, z: list[float]) -> Tensor:
        return EDGE * torch.tanh(self.g(points(z, self.latent)) / EDGE)


def blurred(centres: Tensor, std: float) -> Mixture:
    """With its weights in double precision; by default they are in single."""
    return Mixture("blurred", centres, std, torch.full((len(centres),), 1 / len(centres), dtype=torch.float64))


def optimal_logit(x: Tensor, data: Mixture, samples: Tensor) -> Tensor:
    """The logit of D* through the kernel, differentiable: log p_data - log p_g, each a mixture of Gaussians."""

    def log_density(centres: Tensor, std: float) -> Tensor:
        squared = ((x[:, None] - centres) ** 2).sum(-1)
        return torch.logsumexp(-squared / (2 * std**2), 1) - np.log(len(centres) * 2 * np.pi * std**2)

    return log_density(data.centres.double(), float(np.hypot(data.std, KERNEL))) - log_density(samples, KERNEL)


def close(found: Any, expected: Any, **tolerance: float) -> None:
    np.testing.assert_allclose(found, expected, **({"rtol": 1e-9, "atol": 1e-12} | tolerance))


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_every_number_is_ganlibs(page: Page, show: Show, settings: dict[str, Any]) -> None:
    data = show(**settings).mixture
    iterate(page, 3)
    state = inspect(page)
    look, found, chosen = state["look"], state["found"], state["settings"]
    nets = Nets(state)
    close(state["data"]["centres"], data.centres.double().flatten(), rtol=1e-7)
    assert state["data"]["std"] == data.std
    exact = Mixture(data.name, points(state["data"]["centres"]), data.std)
    real, other = points(state["evaluation"]["real"]), points(state["evaluation"]["other"])
    samples = real if chosen["perfect"] else nets.sample(state["evaluation"]["z"]).detach()
    assert len(samples) == len(real) == len(other) == 4096
    close(points(state["samples"]), samples)
    samples = points(state["samples"])  # counts are to see the very same numbers

    axis = np.linspace(-EDGE, EDGE, CELLS + 1)[:-1] + EDGE / CELLS
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    learned = torch.sigmoid(nets.logit(torch.from_numpy(grid))).detach().numpy()
    close(look["learned"], learned)
    p_data = blurred(exact.centres, float(np.hypot(exact.std, KERNEL))).density(grid)
    p_g = blurred(samples[:1024], KERNEL).density(grid)
    seen = p_data + p_g > 1e-5  # far tails are left out
    optimal = theory.optimal_discriminator(p_data, p_g)
    close(np.array(look["optimal"], float)[seen], optimal[seen])
    weight = p_data + p_g
    gap = (weight * np.nan_to_num(np.abs(learned - optimal))).sum() / weight.sum()
    close(number(page, "gap"), gap)

    def shares(x: Tensor) -> np.ndarray:
        edges = np.linspace(-EDGE, EDGE, 17)
        inside = np.histogram2d(*x.numpy().T, bins=[edges, edges])[0].flatten() / len(x)
        return np.append(inside, max(0.0, 1 - inside.sum()))

    close(number(page, "jsd"), theory.jsd(shares(real), shares(samples)), atol=1e-12)
    close(number(page, "floor"), theory.jsd(shares(real), shares(other)), atol=1e-12)
    modes = count_modes(samples, exact)
    assert number(page, "covered") == modes.covered
    close(number(page, "quality"), modes.high_quality, rtol=1e-6)  # ganlib's mean is in single precision
    close(found["shares"], modes.shares, atol=1e-6)

    with torch.no_grad():
        on_real, on_fake = nets.logit(real[:1024]), nets.logit(samples[:1024])
    close(number(page, "value"), -losses.discriminator_loss(on_real, on_fake))
    close(number(page, "on-real"), torch.sigmoid(on_real).mean())
    close(number(page, "on-fake"), torch.sigmoid(on_fake).mean())
    shown = samples[:256].clone().requires_grad_()
    logits = nets.logit(shown) if chosen["critic"] == "learned" else optimal_logit(shown, exact, samples[:1024])
    loss = losses.generator_loss(chosen["loss"])(logits)
    (slopes,) = torch.autograd.grad(len(shown) * loss, shown)
    close(number(page, "loss"), loss.item())
    close(points(look["slopes"]), slopes, rtol=1e-8, atol=1e-11)
    close(number(page, "gradient"), slopes.norm(dim=1).mean(), rtol=1e-8)
    close(number(page, "spread"), (samples - samples.mean(0)).square().sum(1).mean().sqrt())
    breadth = exact.centres.var(0, correction=0).sum() + 2 * exact.std**2
    close(number(page, "breadth"), breadth.sqrt(), rtol=1e-8)
    top = int(learned.argmax())
    close(number(page, "highest"), learned[top])
    close(number(page, "away"), (samples - torch.from_numpy(grid[top])).norm(dim=1).mean())


def adam(model: nn.Module, before: dict[str, Any], rate: float) -> torch.optim.Adam:
    """torch's Adam where the page's stood."""
    optimiser = torch.optim.Adam(model.parameters(), lr=rate, betas=(0.5, 0.999))
    parameters = list(model.parameters())
    sizes = [p.numel() for p in parameters]
    if before["steps"]:
        for p, mean, square in zip(
            parameters, points(before["mean"], 1).split(sizes), points(before["square"], 1).split(sizes), strict=True
        ):
            optimiser.state[p] = {
                "step": torch.tensor(float(before["steps"])),
                "exp_avg": mean.view_as(p).clone(),
                "exp_avg_sq": square.view_as(p).clone(),
            }
    return optimiser


@pytest.mark.parametrize("settings", [s for s in SETTINGS.values() if not s.get("perfect")])
def test_an_update_is_torchs(page: Page, show: Show, settings: dict[str, Any]) -> None:
    widget = show(**settings)
    iterate(page, 2)
    before = inspect(page)
    nets = Nets(before)
    press(page, "d-step")
    after = inspect(page)
    last, m = after["lastD"], after["settings"]["m"]
    real, fake = points(last["real"]), nets.sample(last["z"]).detach()
    assert len(real) == len(fake) == m
    close(points(last["both"]), torch.cat([real, fake]))
    loss = losses.discriminator_loss(nets.logit(real), nets.logit(fake))
    optimiser = adam(nets.d, before["d"], widget.d_lr)
    loss.backward()
    optimiser.step()
    close(last["loss"], loss.item())
    close(after["d"]["gradient"], torch.cat([p.grad.flatten() for p in nets.d.parameters()]), atol=1e-13)
    close(after["d"]["weights"], nn.utils.parameters_to_vector(nets.d.parameters()).detach())
    assert after["g"] == before["g"]

    before, nets = after, Nets(after)
    press(page, "g-step")
    after = inspect(page)
    x = nets.sample(after["lastG"]["z"])
    if widget.critic == "learned":
        logits = nets.logit(x)
    else:
        crowd = nets.sample(after["lastG"]["crowd"]).detach()
        assert len(crowd) == 256
        logits = optimal_logit(x, widget.mixture, crowd)
    loss = losses.generator_loss(widget.loss)(logits)
    optimiser = adam(nets.g, before["g"], widget.g_lr)
    loss.backward()
    optimiser.step()
    # Centres that both sides rounded to single precision differ by 1e-7 where the cosine does not round alike.
    loose = {"rtol": 1e-6, "atol": 1e-9} if widget.critic == "optimal" else {}
    close(after["lastG"]["loss"], loss.item(), **loose)
    gradient = torch.cat([p.grad.flatten() for p in nets.g.parameters()])
    close(after["g"]["gradient"], gradient, **(loose or {"atol": 1e-13}))
    close(after["g"]["weights"], nn.utils.parameters_to_vector(nets.g.parameters()).detach(), **loose)
    assert after["d"] == before["d"]


def test_samples_of_the_data_have_its_law(page: Page, show: Show) -> None:
    data = show(data="grid", seed=2).mixture
    real = points(inspect(page)["evaluation"]["real"])
    modes = count_modes(real, Mixture("grid", data.centres.double(), data.std))
    assert modes.covered == 25
    # 1 - exp(-9/2) of a Gaussian lies within 3 std; 4 standard errors of 4,096 draws.
    assert modes.high_quality == pytest.approx(1 - np.exp(-4.5), abs=4 * 0.0017)
    assert max(abs(s - modes.high_quality / 25) for s in modes.shares) < 4 * (0.04 * 0.96 / 4096) ** 0.5


def test_the_perfect_generator_has_no_distance(page: Page, show: Show) -> None:
    show()
    assert number(page, "jsd") > 0.1
    preset(page, "perfect")
    assert number(page, "jsd") == 0
    iterate(page, 200)
    assert number(page, "jsd") == 0
    assert number(page, "covered") == 8
    assert number(page, "g-updates") == 0
    assert 0 < number(page, "floor") < 0.01
    assert number(page, "on-real") == pytest.approx(0.5, abs=0.03)
    assert number(page, "value") == pytest.approx(-theory.LOG4, abs=0.01)
    assert "G is the data itself: the JSD is 0.0000" in words(page)


@pytest.mark.parametrize("seed", [0, 2, 4])
def test_balanced_covers_all_modes(page: Page, show: Show, seed: int) -> None:
    show(seed=seed)
    preset(page, "balanced")
    iterate(page, 1500)
    assert number(page, "covered") == 8
    assert number(page, "quality") > 0.75
    assert number(page, "jsd") < 0.2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_helvetica_collapses(page: Page, show: Show, seed: int) -> None:
    """Mostly, all samples are close together, where D is above its mean on data; they cover few modes."""
    show(seed=seed)
    preset(page, "helvetica")
    seen = []
    for _ in range(16):
        iterate(page, 2)
        seen.append([number(page, name) for name in ("spread", "covered", "on-fake", "on-real")])
    spread, covered, on_fake, on_real = np.array(seen[4:]).T
    assert np.median(spread) < 0.5
    assert covered.max() <= 3
    assert np.mean(on_fake > on_real) >= 0.5
    assert number(page, "g-updates") == 50 * number(page, "d-updates") == 50 * 32


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_too_strong_a_d_saturates_the_minimax_loss(page: Page, show: Show, seed: int) -> None:
    show(seed=seed)
    preset(page, "strong-d")
    iterate(page, 25)
    assert number(page, "on-real") > 0.97
    assert number(page, "on-fake") < 0.03
    flat, covered = number(page, "gradient"), number(page, "covered")
    assert flat < 0.1
    assert covered == 0
    assert "log(1 − D) is flat" in words(page)
    page.select_option("select[data-name=loss]", "non-saturating")
    assert number(page, "gradient") > 30 * flat  # the same nets, the other loss


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_too_strong_a_g_misses_modes(page: Page, show: Show, seed: int) -> None:
    show(seed=seed)
    preset(page, "strong-g")
    covered, jsd = [], []
    for _ in range(5):
        iterate(page, 100)
        covered.append(number(page, "covered"))
        jsd.append(number(page, "jsd"))
    assert max(covered) <= 4
    assert min(jsd) > 0.3


def test_d_alone_comes_near_the_optimal_one(page: Page, show: Show) -> None:
    show()
    preset(page, "d-alone")
    start, still = number(page, "gap"), inspect(page)["g"]["weights"]
    iterate(page, 200)
    assert number(page, "gap") < 0.2 * start
    assert number(page, "iterations") == 200
    assert inspect(page)["g"]["weights"] == still


def test_the_same_seed_gives_the_same_numbers(page: Page, show: Show) -> None:
    show(seed=11)
    iterate(page, 5)
    first = inspect(page)
    iterate(page, 3)
    assert inspect(page)["g"]["weights"] != first["g"]["weights"]
    press(page, "reset")
    assert number(page, "iterations") == 0
    iterate(page, 5)
    assert inspect(page) == first
    page.focus("input[data-name=seed]")
    page.keyboard.press("ArrowRight")
    assert inspect(page)["settings"]["seed"] == 12
    iterate(page, 5)
    assert inspect(page)["g"]["weights"] != first["g"]["weights"]


def test_controls_by_keyboard_change_the_training(page: Page, show: Show) -> None:
    show()
    page.focus("input[data-name=k]")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.focus("input[data-name=g_steps]")
    page.keyboard.press("End")
    page.focus("button[data-name=step]")
    page.keyboard.press("Enter")
    assert [number(page, name) for name in ("iterations", "d-updates", "g-updates")] == [1, 3, 50]
    page.select_option("select[data-name=m]", "32")
    page.select_option("select[data-name=latent]", "4")
    assert number(page, "iterations") == 0  # other networks start again
    page.check("input[data-name=perfect]")
    chosen = inspect(page)["settings"]
    assert (chosen["m"], chosen["latent"], chosen["k"], chosen["perfect"]) == (32, 4, 3, True)
    preset(page, "balanced")
    assert page.input_value("select[data-name=latent]") == "2"
    assert not page.is_checked("input[data-name=perfect]")


def test_the_preset_shown_is_what_the_settings_are(page: Page, show: Show) -> None:
    show()
    shown = page.locator("select[data-name=preset]")
    assert shown.input_value() == "balanced"
    preset(page, "helvetica")
    assert inspect(page)["settings"]["g_steps"] == 50
    page.fill("input[data-name=g_steps]", "49")
    assert shown.input_value() == "own"
    page.fill("input[data-name=g_steps]", "50")
    assert shown.input_value() == "helvetica"
    page.fill("input[data-name=seed]", "7")  # a preset leaves the seed
    assert shown.input_value() == "helvetica"
    show(k=3)
    assert shown.input_value() == "own"


def test_five_controls_are_in_view_and_play_is_below_the_picture_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    context, record = new_context(browser, View("light", "phone"))
    with contextlib.closing(context):
        page = context.new_page()
        page.goto(write_page(tmp_path, Playground()).as_uri())
        page.wait_for_selector("[data-ganlib-widgets]", state="attached")
        controls = page.locator(".ganlib-widget :is(button, input, select)")
        in_view = [each.get_attribute("data-name") for each in controls.all() if each.is_visible()]
        assert in_view == ["play", "step", "reset", "preset", "data"]
        assert [each.is_visible() for each in page.locator("dd[data-name]").all()].count(True) == 4
        picture, play, data, optimal = (
            page.locator(f".ganlib-widget [data-name={name}]").bounding_box()
            for name in ("learned", "play", "data", "optimal")
        )
        assert picture["y"] + picture["height"] < play["y"] < data["y"] < optimal["y"]
        assert play["y"] + play["height"] - picture["y"] < View("light", "phone").size["height"]  # both at once
        for folded in page.locator(".ganlib-more > summary").all():
            folded.press("Enter")
        assert all(each.is_visible() for each in page.locator("dd[data-name]").all())
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        record.assert_clean()


def test_p_g_and_p_data_are_written_as_in_formulas(page: Page, show: Show) -> None:
    show()
    assert "p_" not in page.inner_text(".ganlib-widget")
    assert page.locator("figcaption sub").all_inner_texts() == ["data", "data", "g"]


def test_play_and_pause(page: Page, show: Show) -> None:
    show()
    assert number(page, "iterations") == 0  # nothing plays by itself
    page.focus("button[data-name=play]")
    page.keyboard.press("Space")
    assert page.get_attribute("button[data-name=play]", "aria-pressed") == "true"
    page.wait_for_function("Number(document.querySelector('dd[data-name=speed]').dataset.value) > 0")
    page.keyboard.press("Space")
    stopped = number(page, "iterations")
    assert stopped > 1
    assert number(page, "speed") > 0
    page.wait_for_timeout(200)
    assert number(page, "iterations") == stopped
    assert f"After {stopped:.0f} iterations" in words(page)
    assert page.get_attribute("canvas[data-name=learned]", "aria-label").startswith("Map of D over the plane: mean ")
    # The picture is no empty box.
    colours = page.evaluate("""() => new Set(document.querySelector("canvas[data-name=learned]").getContext("2d")
      .getImageData(0, 0, 300, 300).data).size""")
    assert colours > 20
    press(page, "reset")
    assert number(page, "iterations") == number(page, "speed") == 0  # what was, is over


def test_reduced_motion_draws_twice_a_second(browser: Browser, tmp_path: Path) -> None:
    context, record = new_context(browser, View("light", "desktop"), reduced_motion="reduce")
    page = context.new_page()
    page.goto(write_page(tmp_path, Playground()).as_uri())
    page.wait_for_selector("[data-ganlib-widgets]", state="attached")
    times = page.evaluate("""async () => {
      const times = [];
      const clear = CanvasRenderingContext2D.prototype.fillRect;
      const canvas = document.querySelector("canvas[data-name=learned]");
      CanvasRenderingContext2D.prototype.fillRect = function (...box) {
        if (this.canvas === canvas) times.push(document.timeline.currentTime);
        return clear.apply(this, box);
      };
      document.querySelector("[data-name=play]").click();
      await new Promise((resolve) => setTimeout(resolve, 2600));
      return times;
    }""")
    gaps = np.diff(times)  # by the frames' own clock: on a busy machine a frame is served late, the next in time
    assert len(gaps) >= 1
    assert gaps.min() >= 499
    context.close()
    record.assert_clean()


def test_drawing_by_touch(browser: Browser, tmp_path: Path) -> None:
    context, record = new_context(browser, View("dark", "phone"))
    page = context.new_page()
    page.goto(write_page(tmp_path, Playground(), "dark").as_uri())
    page.wait_for_selector("[data-ganlib-widgets]", state="attached")
    canvas = "canvas[data-name=learned]"
    scroll = f"getComputedStyle(document.querySelector('{canvas}')).touchAction"
    assert page.evaluate(scroll) == "auto"  # the page scrolls under a finger
    page.select_option("select[data-name=data]", "drawn")
    assert page.evaluate(scroll) == "none"
    assert inspect(page)["data"] is None
    assert "Nothing is drawn yet" in words(page)
    page.locator(canvas).scroll_into_view_if_needed()
    box = page.locator(canvas).bounding_box()
    places = [(0.25 + 0.05 * i, 0.75) for i in range(10)]
    client = context.new_cdp_session(page)
    for n, (u, v) in enumerate(places):
        at = {"x": box["x"] + u * box["width"], "y": box["y"] + v * box["height"]}
        kind = "touchMove" if n else "touchStart"
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [at]})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    drawn = np.array(inspect(page)["settings"]["points"])
    assert len(drawn) == 10
    np.testing.assert_allclose(drawn, [[EDGE * (2 * u - 1), EDGE * (1 - 2 * v)] for u, v in places], atol=0.03)
    page.click("button[data-name=step]")
    assert number(page, "iterations") == 1
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.click("button[data-name=clear]")
    assert inspect(page)["settings"]["points"] == []
    context.close()
    record.assert_clean()


def test_drawing_by_keyboard(page: Page, show: Show) -> None:
    show(data="drawn", points=[[0.5, 0.5]])
    assert page.get_attribute(".ganlib-field-holder[role=application]", "tabindex") == "0"
    page.focus(".ganlib-field-holder[role=application]")
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", " ", "Shift+ArrowLeft", "Enter"):
        page.keyboard.press(key)
    assert inspect(page)["settings"]["points"] == [[0.5, 0.5], [0.2, 0.1], [0.18, 0.1]]
    page.keyboard.press("Backspace")
    assert inspect(page)["settings"]["points"] == [[0.5, 0.5], [0.2, 0.1]]
    assert "2 points of at most 150, cursor at (0.2, 0.1)" in page.inner_text("[data-name=cursor]")
    samples = points(inspect(page)["samples"])
    drawing = Mixture("drawing", torch.tensor([[0.5, 0.5], [0.2, 0.1]], dtype=torch.float64), 0.06)
    assert number(page, "covered") == count_modes(samples, drawing).covered
    preset(page, "balanced")
    assert page.locator(".ganlib-field-holder[role=application]").count() == 0


def test_the_count_of_points_follows_the_setting(page: Page, tmp_path: Path) -> None:
    written = write_page(tmp_path, Playground(data="drawn", points=[[0.5, 0.5]]))
    html = written.read_text()
    # Two views of one model; a cell that runs later sets the trait in the same way.
    view = html[html.index("<script type") : html.index("</main>")]
    written.write_text(html.replace("</main>", view + "</main>"))
    page.goto(written.as_uri())
    page.wait_for_selector("[data-ganlib-widgets]", state="attached")
    told = page.locator("[data-name=cursor]")
    assert ["1 point of" in text for text in told.all_inner_texts()] == [True, True]
    page.locator(".ganlib-field-holder[role=application]").first.focus()
    for key in ("ArrowUp", " ", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    assert ["3 points of" in text for text in told.all_inner_texts()] == [True, True]
    page.locator("button[data-name=clear]").last.click()
    assert ["0 points of" in text for text in told.all_inner_texts()] == [True, True]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 21}, "'k'.*20.*21"),
        ({"d_lr": 0.0}, "'d_lr'.*0.0001"),
        ({"m": 100}, "'m'.*100"),
        ({"data": "square"}, "'data'.*square"),
        ({"seed": -1}, "'seed'.*-1"),
        ({"points": [[2.0, 0.0]]}, r"'points'.*1\.8.*2\.0"),
        ({"points": [[0.0, float("nan")]]}, r"'points'.*1\.8.*nan"),
        ({"d_lr": float("nan")}, "'d_lr'.*0.0001.*nan"),
        ({"points": [[0.0, 0.0]] * 151}, "'points'.*150"),
    ],
)
def test_what_cannot_be_set_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(traitlets.TraitError, match=message):
        Playground(**settings)


def test_a_drawing_without_points_has_no_density() -> None:
    with pytest.raises(ValueError, match="nothing is drawn"):
        _ = Playground(data="drawn").mixture
