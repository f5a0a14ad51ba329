import { h, typeset } from "./lib/dom.js";
import { loop } from "./lib/loop.js";
import { bind, button, panel } from "./lib/panel.js";
import { presetChoice, settingControls } from "./playground_controls.js";
import { EDGE, SAMPLES, SHOWN } from "./playground_data.js";
import { field, legend } from "./playground_field.js";
import { KERNEL } from "./playground_measure.js";
import { Game } from "./playground_model.js";
import { pad } from "./playground_pad.js";
import { report } from "./playground_report.js";

const SETTINGS = [
  "data", "points", "k", "g_steps", "loss", "d_lr", "g_lr", "m", "hidden", "latent", "critic", "perfect", "seed",
];
const FRESH = ["data", "hidden", "latent", "seed"]; // a change of these starts again
const ARROWS = 64;
const EVERY = 50; // ms from picture to picture while playing
const NUMBERS_EVERY = 250;
const FAINT = 0.01; // below this sum of densities D* is left blank: the value function hardly sees D there

function render({ model, el }) {
  const settings = Object.fromEntries(SETTINGS.map((name) => [name, model.get(name)]));
  const p = panel(el, {
    name: "playground",
    title: "A GAN in the plane",
    help: "Two small networks train here, in your browser, by Algorithm 1. Choose a preset or data, then press Play.",
  });
  const game = new Game(settings);
  const learned = field(p.figures, { name: "learned", caption: "The learned D, with samples and gradients" });
  const run = h("div", { class: "ganlib-run" });
  p.figures.append(run);
  const optimal = field(p.figures, {
    name: "optimal",
    caption: `D* = p_data / (p_data + p_g), blurred by a Gaussian of width ${KERNEL}; blank where neither has mass`,
  });
  const key = h("div", {});
  p.figures.after(key);
  legend(key);

  let held = false; // while a preset changes many settings at once
  const changed = (name) => (value) => {
    settings[name] = value;
    if (held) return;
    if (name === "data") drawing.enable(value === "drawn");
    if (FRESH.includes(name)) restart();
    else if (name === "points") {
      game.load();
      drawing.tell();
    }
    preset.tell();
    refresh();
  };
  const more = h("div", { class: "ganlib-controls" });
  p.more("More controls").append(more);
  const steps = p.group("Single steps", more);
  const playButton = button(run, { name: "play", label: "Play", pressed: false, onPress: () => play.toggle() });
  const one = (parent, name, label, act) => button(parent, {
    name, label,
    onPress() {
      play.pause();
      act();
      refresh();
    },
  });
  one(run, "step", "One iteration", () => game.iterate());
  one(run, "reset", "Reset", () => restart());
  button(steps, {
    name: "hundred", label: "100 iterations",
    onPress() {
      play.pause();
      target = game.iterations + 100;
      play.play();
    },
  });
  one(steps, "d-step", "One D update", () => game.updateD());
  one(steps, "g-step", "One G update", () => game.updateG());
  const preset = presetChoice(run, model, {
    before() {
      play.pause();
      held = true;
    },
    done() {
      held = false;
      drawing.enable(false);
      restart();
      refresh();
    },
  });
  const pads = h("div", {});
  settingControls(p, model, changed, { data: run, more });
  run.append(pads);
  const setPoints = bind(model, "points", () => ({ set() {} }), changed("points"));
  const drawing = pad(learned, pads, {
    points: () => settings.points, onPoints: setPoints, onMove: () => refresh(),
  });
  const shown = report(p, { learned, optimal });

  let state = null;
  let drawn = 0;
  let counted = 0;
  let cost = 8;
  let speed = 0;
  let mark = { time: 0, iterations: 0 };
  let target = Infinity; // where to pause

  function restart() {
    game.reset();
    speed = 0;
    mark = { time: 0, iterations: 0 };
  }

  function work(deadline) {
    const start = performance.now();
    if (!mark.time) mark = { time: start, iterations: game.iterations };
    // A frame that also draws trains for less, and one that also counts for least, so that no frame is long.
    const [draws, counts] = [start - drawn > EVERY - 17, start - counted > NUMBERS_EVERY];
    const end = draws ? Math.max(start + 1, deadline - (counts ? 12 : cost)) : deadline;
    do if (!game.update() || game.iterations >= target) return false; while (performance.now() < end);
    const now = performance.now();
    if (now - mark.time > 500) {
      speed = (1000 * (game.iterations - mark.iterations)) / (now - mark.time);
      mark = { time: now, iterations: game.iterations };
    }
    return true;
  }

  function refresh() {
    const now = performance.now();
    const playing = play?.playing ?? false;
    if (playing && now - drawn < EVERY - 17) return;
    drawn = now;
    picture();
    if (!playing || now - counted > NUMBERS_EVERY) {
      counted = now;
      count(playing);
    } else {
      cost = 0.8 * cost + 0.2 * (performance.now() - now);
    }
  }

  function picture() {
    const cursor = drawing.cursor;
    if (!game.data) {
      state = null;
      learned.draw({ values: null, cursor });
      optimal.draw({ values: null });
      return;
    }
    const look = game.look();
    state = { look };
    const { centres, count: modes } = game.data;
    const names = ["ring", "grid"].includes(settings.data)
      ? Array.from({ length: modes }, (_, i) => {
        const far = settings.data === "ring" ? 1.28 : 1;
        return [far * centres[2 * i], far * centres[2 * i + 1] + (far === 1 ? 0.2 : 0), String(i + 1)];
      })
      : [];
    const real = game.evaluation.real.subarray(0, 2 * SHOWN);
    const samples = look.samples.subarray(0, 2 * SHOWN);
    const arrowCount = settings.g_steps > 0 && !settings.perfect ? ARROWS : 0;
    learned.draw({ values: look.learned, real, samples, slopes: look.slopes, arrowCount, names, cursor });
    const values = look.optimal.map((d, n) => (game.truth[n] + look.fake[n] < FAINT ? NaN : d));
    optimal.draw({ values, real, samples });
  }

  function count(playing) {
    if (state) state.found = { ...game.measure(state.look), breadth: game.breadth };
    shown.show(game, state?.found, speed, playing);
  }

  const play = loop({
    element: p.root, work, draw: refresh,
    onChange(playing) {
      mark = { time: 0, iterations: 0 };
      if (!playing) target = Infinity;
      playButton.set(playing ? "Pause" : "Play", playing);
    },
  });
  const themes = new MutationObserver(() => picture());
  for (const node of [document.documentElement, document.body]) {
    themes.observe(node, { attributes: true, attributeFilter: ["data-theme", "theme", "data-jp-theme-light"] });
  }
  drawing.enable(settings.data === "drawn");
  refresh();

  p.root.inspect = () => {
    const list = (values) => (values ? Array.from(values) : null);
    const lists = (buffers, loss) => buffers
      && { ...Object.fromEntries(Object.entries(buffers).map(([name, values]) => [name, list(values)])), loss };
    const adam = ({ mean, square, steps }) => ({ mean: list(mean), square: list(square), steps });
    return {
      settings: { ...settings },
      edge: EDGE,
      d: { weights: list(game.D.weights), gradient: list(game.D.gradient), ...adam(game.adamD) },
      g: { weights: list(game.G.weights), gradient: list(game.G.gradient), ...adam(game.adamG) },
      lastD: lists(game.lastD, game.lossD),
      lastG: lists(game.lastG, game.lossG),
      data: game.data && { centres: list(game.data.centres), std: game.data.std },
      evaluation: Object.fromEntries(Object.entries(game.evaluation).map(([name, values]) => [name, list(values)])),
      samples: game.data && list(game.samples(SAMPLES)),
      look: state && Object.fromEntries(Object.entries(state.look).map(([name, v]) => [name, v.length ? list(v) : v])),
      found: state?.found && { ...state.found, shares: list(state.found.shares) },
    };
  };
  return () => {
    play.stop();
    themes.disconnect();
  };
}

export default { render };
