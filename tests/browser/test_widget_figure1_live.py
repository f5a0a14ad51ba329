"""Figure 1, live, in a browser: losses, gradients and steps against torch, the numbers against `ganlib.theory`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

pytest.importorskip("anywidget", reason="the widgets need anywidget (pip install 'ganlib[notebook]')")

import traitlets

from ganlib import losses, nets, theory, toys
from ganlib.widgets.figure1_live import Figure1Live

from . import pages
from .widget_page import write_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

DEFAULT = {name: trait.default_value for name, trait in Figure1Live.class_own_traits().items() if name[0] != "_"}
EDGES = np.linspace(-5, 5, 101)
X = (EDGES[1:] + EDGES[:-1]) / 2
CELL = 0.1
MIXTURES = {"gaussian": toys.gaussian(), "two gaussians": toys.Mixture("two", torch.tensor([[-2.0], [2.0]]), 0.6)}
DENSITIES = {name: mixture.density for name, mixture in MIXTURES.items()} | {"uniform": lambda x: (abs(x) < 2) / 4}
NUMBERS = ("value", "cost", "jsd", "distance", "d-real", "d-fake", "mean", "std")


def show(page: Page, folder: Any, **settings: Any) -> None:
    page.goto(write_page(folder, Figure1Live(**settings)).as_uri())
    page.wait_for_selector("[data-ganlib-widgets]", state="attached")
    page.locator(".ganlib-more > summary").click()


def number(page: Page, name: str) -> float:
    return float(page.locator(f'dd[data-name="{name}"]').get_attribute("data-value"))


def numbers(page: Page) -> list[float]:
    return [number(page, name) for name in NUMBERS]


def counts(page: Page) -> tuple[int, int, int]:
    return tuple(int(number(page, name)) for name in ("iterations", "d-steps", "g-steps"))


def words(page: Page) -> str:
    page.wait_for_timeout(300)  # said at most so often
    return page.locator('[data-name="words"]').inner_text()


def press(page: Page, name: str, times: int = 1) -> None:
    for _ in range(times):
        page.locator(f'button[data-name="{name}"]').click()


def to_panel(page: Page, name: str) -> None:
    press(page, f"panel-{name}")
    page.locator('button[data-name="play"][aria-pressed="false"]').wait_for()
    assert words(page).startswith(f"Panel ({name})")


def inspect(page: Page) -> dict[str, Any]:
    return page.evaluate("document.querySelector('[data-widget]').inspect()")


def network(state: dict[str, Any]) -> nets.MLP:
    """The browser's network as ganlib's."""
    net = nets.MLP(state["sizes"], "tanh", squeeze=False).double()
    torch.nn.utils.vector_to_parameters(torch.tensor(state["weights"], dtype=torch.float64), net.parameters())
    return net


def column(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def generate(generator: nets.MLP, z: torch.Tensor) -> torch.Tensor:
    return generator(torch.logit(z, eps=1e-6))


def law(generator: nets.MLP) -> tuple[np.ndarray, float, float]:
    """p_g on the grid, and its moments, by the distribution function of G linear between the z the widget uses."""
    edge = math.log((1 - 1e-6) / 1e-6)
    z = torch.sigmoid(torch.linspace(-edge, edge, 1001, dtype=torch.float64))
    g = generator(torch.logit(z)[:, None]).detach().squeeze(1).numpy()
    low, high, mass = np.minimum(g[1:], g[:-1]), np.maximum(g[1:], g[:-1]), np.diff(z.numpy())
    share = np.clip((EDGES[1:-1, None] - low) / np.maximum(high - low, 1e-300), 0, 1)
    below = share @ mass + 1e-6 * ((g[0] < EDGES[1:-1]).astype(float) + (g[-1] < EDGES[1:-1]))
    density = np.diff(np.concatenate([[0.0], below, [mass.sum() + 2e-6]])) / CELL
    mean = (mass * (low + high) / 2).sum() + 1e-6 * (g[0] + g[-1])
    square = (mass * (low**2 + low * high + high**2) / 3).sum() + 1e-6 * (g[0] ** 2 + g[-1] ** 2)
    return theory.normalise(np.maximum(density, 0), CELL), mean, math.sqrt(square - mean**2)


def compare(page: Page, data: str = "gaussian") -> None:
    """Every number on the page is what ganlib makes of the browser's weights."""
    state = inspect(page)
    p_data = theory.normalise(DENSITIES[data](X), CELL)
    p_g, mean, std = law(network(state["generator"]))
    logits = network(state["discriminator"])(torch.tensor(X)[:, None]).detach().squeeze(1)
    d = logits.sigmoid().numpy()
    d_star = theory.optimal_discriminator(p_data, p_g, off_support=0.5)
    log_d, log_not_d = -torch.nn.functional.softplus(-logits).numpy(), -torch.nn.functional.softplus(logits).numpy()
    expected = {
        "value": ((p_data * log_d + p_g * log_not_d) * CELL).sum(),
        "cost": theory.cost(p_data, p_g, CELL),
        "jsd": theory.jsd(p_data, p_g, CELL),
        "distance": (np.abs(d - d_star) * (p_data + p_g)).sum() * CELL / 2,
        "d-real": (d * p_data).sum() * CELL,
        "d-fake": (d * p_g).sum() * CELL,
        "mean": mean,
        "std": std,
    }
    for name, value in expected.items():
        assert number(page, name) == pytest.approx(value, rel=1e-9, abs=1e-12), name
    assert expected["value"] == pytest.approx(theory.value(np.clip(d, 1e-15, 1 - 1e-15), p_data, p_g, CELL), rel=1e-6)
    np.testing.assert_allclose(state["x"], X, atol=1e-12)
    for name, values in {"pData": p_data, "pG": p_g, "d": d}.items():
        np.testing.assert_allclose(state["grid"][name], values, rtol=1e-9, atol=1e-11)
    seen = p_data + p_g > 0
    drawn = np.array(state["grid"]["dStar"], dtype=float)
    np.testing.assert_allclose(drawn[seen & (p_g > 1e-9)], d_star[seen & (p_g > 1e-9)], atol=1e-7)
    np.testing.assert_allclose(
        state["arrows"]["x"],
        generate(network(state["generator"]), column(state["arrows"]["z"])).detach().squeeze(1),
        rtol=1e-9,
        atol=1e-12,
    )


def check_step(before: dict[str, Any], after: dict[str, Any], player: str, loss: str, lr: float) -> None:
    """One step of `player`, "d" or "g", is torch's: loss, gradient and Adam, from the same weights and minibatch."""
    G, D = network(before["generator"]), network(before["discriminator"])
    last = after["last"][player]
    z = column(last["z"])
    if player == "d":
        fake = generate(G, z).detach()
        value = losses.discriminator_loss(D(column(last["x"])).squeeze(1), D(fake).squeeze(1))
        net, mine, other = D, "discriminator", "generator"
    else:
        value = losses.generator_loss(loss)(D(generate(G, z)).squeeze(1))
        net, mine, other = G, "generator", "discriminator"
    assert last["loss"] == pytest.approx(value.item(), rel=1e-9)
    gradients = torch.autograd.grad(value, list(net.parameters()))
    gradient = torch.cat([g.flatten() for g in gradients])
    np.testing.assert_allclose(after[mine]["gradient"], gradient, rtol=1e-9, atol=1e-12)

    weights = torch.tensor(before[mine]["weights"], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([weights], lr=lr, betas=(0.5, 0.999))
    adam = before[mine]["adam"]
    if adam["steps"]:
        optimiser.state[weights] = {
            "step": torch.tensor(float(adam["steps"])),
            "exp_avg": torch.tensor(adam["mean"], dtype=torch.float64),
            "exp_avg_sq": torch.tensor(adam["square"], dtype=torch.float64),
        }
    weights.grad = torch.tensor(after[mine]["gradient"], dtype=torch.float64)
    optimiser.step()
    np.testing.assert_allclose(after[mine]["weights"], weights.detach(), rtol=1e-9, atol=1e-12)
    assert after[other]["weights"] == before[other]["weights"], "only the player whose turn it is learns"


SETTINGS = [
    {},
    {"data": "two gaussians", "loss": "minimax", "seed": 7, "m": 32},
    {"data": "uniform", "seed": 99, "m": 512, "d_lr": 1e-4, "g_lr": 1e-4},
    {"d_lr": 0.1, "g_lr": 0.1, "loss": "minimax", "m": 8, "seed": 3},
    {"data": "uniform", "d_lr": 0.1, "g_lr": 0.1, "m": 8, "k": 10},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_steps_are_torchs_and_numbers_ganlibs(page, tmp_path, settings):
    show(page, tmp_path, **settings)
    s = DEFAULT | settings
    compare(page, s["data"])
    press(page, "iteration", 3)
    assert counts(page) == (3, 3 * s["k"], 3)
    for button, player in (("d-step", "d"), ("g-step", "g"), ("d-step", "d"), ("g-step", "g")):
        before = inspect(page)
        press(page, button)
        after = inspect(page)
        assert len(after["last"][player]["z"]) == s["m"]
        check_step(before, after, player, s["loss"], s[f"{player}_lr"])
        compare(page, s["data"])
    assert counts(page) == (3, 3 * s["k"] + 2, 5)


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 99])
def test_p_g_begins_as_one_bell_away_from_the_data(page, tmp_path, seed):
    show(page, tmp_path, seed=seed)
    p_g = np.array(inspect(page)["grid"]["pG"])
    top = int(p_g.argmax())
    assert X[top] == pytest.approx(2, abs=0.1)
    assert (np.diff(p_g[: top + 1]) >= -1e-9).all()
    assert (np.diff(p_g[top:]) <= 1e-9).all()
    assert (number(page, "mean"), number(page, "std")) == pytest.approx((2, 0.7), abs=1e-3)


def test_an_iteration_is_k_steps_of_d_and_one_of_g(page, tmp_path):
    show(page, tmp_path, k=3)
    press(page, "iteration", 2)
    whole = numbers(page)
    press(page, "reset")
    assert counts(page) == (0, 0, 0)
    for _ in range(2):
        press(page, "d-step", 3)
        press(page, "g-step")
    assert numbers(page) == whole
    assert counts(page) == (0, 6, 2)


@pytest.mark.parametrize("data", ["gaussian", "two gaussians", "uniform"])
def test_minibatches_come_from_the_data_and_the_prior(page, tmp_path, data):
    show(page, tmp_path, data=data, m=512)
    x, z = [], []
    for _ in range(8):
        press(page, "d-step")
        last = inspect(page)["last"]["d"]
        x += last["x"]
        z += last["z"]
    assert 0 <= min(z) < 0.01
    assert 0.99 < max(z) < 1
    # Kolmogorov-Smirnov distances; 1.95 / sqrt(n) is exceeded once in a thousand.
    fine = np.linspace(-6, 6, 12001)
    cdf = np.cumsum(DENSITIES[data](fine)) * (fine[1] - fine[0])
    for sample, distribution in ((x, lambda t: np.interp(t, fine, cdf)), (z, lambda t: t)):
        at = np.sort(sample)
        assert np.abs(distribution(at) - (np.arange(len(at)) + 0.5) / len(at)).max() < 1.95 / math.sqrt(len(at))


def test_the_law_of_g_is_what_its_samples_have(page, tmp_path):
    show(page, tmp_path)
    press(page, "iteration", 5)
    state = inspect(page)
    z = (torch.arange(200_000, dtype=torch.float64) + 0.5)[:, None] / 200_000
    landed = generate(network(state["generator"]), z).detach().squeeze(1).numpy()
    counted = np.histogram(np.clip(landed, -5, 5), EDGES)[0] / (len(landed) * CELL)
    np.testing.assert_allclose(state["grid"]["pG"], counted, atol=5e-4)
    assert number(page, "mean") == pytest.approx(landed.mean(), abs=1e-4)
    assert number(page, "std") == pytest.approx(landed.std(), abs=1e-4)


def test_a_seed_decides_everything(page, tmp_path):
    show(page, tmp_path, seed=4)
    press(page, "iteration", 3)
    first = numbers(page)
    seed = page.locator('input[data-name="seed"]')
    seed.focus()
    page.keyboard.press("ArrowRight")
    assert counts(page) == (0, 0, 0)
    press(page, "iteration", 3)
    assert numbers(page) != first
    seed.focus()
    page.keyboard.press("ArrowLeft")
    press(page, "iteration", 3)
    assert numbers(page) == first


def test_controls_by_keyboard_take_effect_at_the_next_step(page, tmp_path):
    show(page, tmp_path)
    for name, key in (("k", "End"), ("m", "Home"), ("d_lr", "End"), ("g_lr", "Home")):
        page.locator(f'input[data-name="{name}"]').focus()
        page.keyboard.press(key)
    page.locator('select[data-name="loss"]').select_option("minimax")
    page.locator('button[data-name="iteration"]').focus()
    page.keyboard.press("Enter")
    assert counts(page) == (1, 10, 1)
    for button, player, lr in (("d-step", "d", 0.1), ("g-step", "g", 1e-4)):
        before = inspect(page)
        page.locator(f'button[data-name="{button}"]').focus()
        page.keyboard.press("Space")
        after = inspect(page)
        assert len(after["last"][player]["z"]) == 8
        check_step(before, after, player, "minimax", lr)
    compare(page)
    page.locator('select[data-name="data"]').select_option("two gaussians")
    assert counts(page) == (0, 0, 0)
    compare(page, "two gaussians")


def test_playing_is_algorithm_1_and_starts_only_when_asked(page, tmp_path):
    show(page, tmp_path, seed=1)
    page.wait_for_timeout(200)
    assert counts(page) == (0, 0, 0)
    play = page.locator('button[data-name="play"]')
    play.click()
    page.wait_for_function("Number(document.querySelector('dd[data-name=iterations]').dataset.value) >= 20")
    assert play.get_attribute("aria-pressed") == "true"
    play.click()
    assert play.inner_text() == "Play"
    done = counts(page)
    assert done[0] == done[1] == done[2] >= 20
    played = numbers(page)
    compare(page)
    press(page, "reset")
    page.evaluate(f"for (let i = 0; i < {done[0]}; i += 1) document.querySelector('[data-name=iteration]').click()")
    assert numbers(page) == played


def test_the_four_panels_tell_the_papers_story(page, tmp_path):
    show(page, tmp_path, m=64, d_lr=0.02)  # the panels have settings of their own
    to_panel(page, "a")
    assert counts(page)[0] % 10 == 0
    assert number(page, "jsd") < 0.1
    a = dict(zip(NUMBERS, numbers(page), strict=True)) | {"counts": counts(page)}
    to_panel(page, "b")
    b = dict(zip(NUMBERS, numbers(page), strict=True))
    assert counts(page) == (a["counts"][0], a["counts"][1] + 600, a["counts"][2])
    assert (b["jsd"], b["mean"]) == (a["jsd"], a["mean"]), "G is frozen"
    assert b["distance"] < 0.6 * a["distance"]
    assert b["cost"] - b["value"] < 0.03
    compare(page)
    to_panel(page, "c")
    c = dict(zip(NUMBERS, numbers(page), strict=True))
    assert counts(page) == (a["counts"][0], a["counts"][1] + 600, a["counts"][2] + 12)
    assert c["d-fake"] > b["d-fake"], "G went where this D says data"
    assert "G has made 12 steps" in words(page)

    press(page, "reset")
    to_panel(page, "c")  # at once, from a new pair
    assert dict(zip(NUMBERS, numbers(page), strict=True)) == c
    to_panel(page, "d")
    assert number(page, "jsd") < 0.02
    assert number(page, "d-real") == pytest.approx(0.5, abs=0.05)
    assert number(page, "d-fake") == pytest.approx(0.5, abs=0.05)
    assert number(page, "cost") == pytest.approx(-theory.LOG4, abs=0.04)
    compare(page)


def test_the_words_and_the_figures_names_state_the_numbers(page, tmp_path):
    show(page, tmp_path)
    assert words(page).startswith("Before training. pg has mean 2.00 and standard deviation 0.70")
    press(page, "iteration")
    said = words(page)
    for name in ("value", "cost", "jsd", "distance"):
        assert f"{abs(number(page, name)):.3f}" in said, name
    figure = page.locator('[data-name="densities"]')
    assert figure.get_attribute("role") == "img"
    assert f"{number(page, 'jsd'):.3f}" in figure.get_attribute("aria-label")
    assert f"{number(page, 'cost'):.3f}".lstrip("-") in page.locator('[data-name="values"]').get_attribute("aria-label")
    assert "G sends the middle z to" in page.locator('[data-name="arrows"]').get_attribute("aria-label")
    history = inspect(page)["history"]
    assert [point["at"] for point in history] == [0, 2]
    assert history[-1]["value"] == number(page, "value")


def test_d_star_is_drawn_when_asked(page, tmp_path):
    show(page, tmp_path, optimum=False)
    curve = page.locator('[data-name="densities"] path.third')
    assert not curve.get_attribute("d")
    page.locator('input[data-name="optimum"]').check()
    assert len(curve.get_attribute("d")) > 500


def test_on_a_phone_by_touch(browser, tmp_path):
    context, record = pages.new_context(browser, pages.View("dark", "phone"))
    page = context.new_page()
    show(page, tmp_path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    before = inspect(page)
    page.locator('button[data-name="d-step"]').tap()
    check_step(before, inspect(page), "d", "non-saturating", 5e-3)
    page.locator('button[data-name="g-step"]').tap()
    assert counts(page) == (0, 1, 1)
    compare(page)
    record.assert_clean()
    context.close()


STARTED = "document.querySelector('[data-name=play]').ariaPressed === 'true'"
STOPPED = "document.querySelector('[data-name=play]').ariaPressed === 'false'"
# A minute is a second.
HASTE = """
const wait = globalThis.setTimeout;
globalThis.setTimeout = (act, ms, ...rest) => wait(act, ms > 5000 ? ms / 60 : ms, ...rest);
"""


def test_played_by_itself_it_stops_out_of_view_and_after_its_time(page, tmp_path):
    show(page, tmp_path, autoplay=True)
    page.evaluate("document.body.style.paddingBottom = '3000px'")
    page.wait_for_function(STARTED)
    pause = page.get_by_role("button", name="Pause")
    assert pause.is_visible()
    page.wait_for_function("Number(document.querySelector('dd[data-name=iterations]').dataset.value) > 5")
    assert page.locator('[data-name="words"]').get_attribute("aria-live") == "off"
    page.evaluate("scrollTo(0, 3000)")
    page.wait_for_function(STOPPED)
    done = counts(page)
    page.wait_for_timeout(300)
    assert counts(page) == done
    assert page.locator('[data-name="words"]').get_attribute("aria-live") == "off"  # nor is its end read out
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function(STARTED)
    page.get_by_role("button", name="Pause").click()
    assert page.locator('[data-name="play"]').inner_text() == "Play"
    page.evaluate("scrollTo(0, 3000)")
    page.wait_for_timeout(200)
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(300)
    assert page.evaluate(STOPPED)  # the reader has stopped it for good


def test_played_by_itself_it_ends_and_leaves_the_rest_to_the_reader(page, tmp_path):
    page.add_init_script(HASTE)
    show(page, tmp_path, autoplay=True)
    page.wait_for_function(STARTED)
    page.wait_for_function(STOPPED, timeout=10_000)
    page.wait_for_timeout(300)
    assert page.evaluate(STOPPED)
    press(page, "play")
    page.wait_for_timeout(1500)
    assert page.evaluate(STARTED)  # what a reader starts goes on


@pytest.mark.parametrize(("autoplay", "motion"), [(True, "reduce"), (False, "no-preference")])
def test_nothing_plays_by_itself_where_it_should_not(browser, tmp_path, autoplay, motion):
    context, record = pages.new_context(browser, pages.View("light", "desktop"), reduced_motion=motion)
    page = context.new_page()
    show(page, tmp_path, autoplay=autoplay)
    page.wait_for_timeout(700)
    assert counts(page) == (0, 0, 0)
    assert page.evaluate(STOPPED)
    record.assert_clean()
    context.close()


def test_reduced_motion_draws_twice_a_second(browser, tmp_path):
    context, record = pages.new_context(browser, pages.View("light", "desktop"), reduced_motion="reduce")
    page = context.new_page()
    show(page, tmp_path, pace="fast")
    page.evaluate("""() => {
      globalThis.changes = [];
      new MutationObserver(() => globalThis.changes.push(document.timeline.currentTime))
        .observe(document.querySelector('[data-name=densities] path.model'), { attributes: true });
    }""")
    press(page, "play")
    page.wait_for_function("changes.length >= 4")
    gaps = np.diff(page.evaluate("changes"))
    assert gaps.min() >= 499  # by the frames' own clock: on a busy machine a frame is served late, the next in time
    press(page, "play")
    record.assert_clean()
    context.close()


@pytest.mark.parametrize(
    "settings",
    [{"k": 0}, {"k": 11}, {"m": 7}, {"d_lr": 0.2}, {"g_lr": math.nan}, {"seed": 100}, {"loss": "hinge"}],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings):
    (name,) = settings
    with pytest.raises(traitlets.TraitError, match=name):
        Figure1Live(**settings)
