import { h, put, s, typeset } from "./lib/dom.js";
import { autoplay } from "./lib/autoplay.js";
import { shown } from "./lib/numbers.js";
import { bind, button, choice, panel, slider, tick } from "./lib/panel.js";
import { key, plot } from "./lib/plot.js";
import { loop } from "./lib/loop.js";
import { GRID, LAWS } from "./figure1_live_model.js";
import { PANELS, PANEL_SETTINGS, Session } from "./figure1_live_run.js";

const ARROWS = Array.from({ length: 15 }, (_, i) => (i + 0.5) / 15);
const HEIGHT = 105; // of the picture of z and x
const [LINE_X, LINE_Z] = [16, 76];
const WIDTH = 420;
const MEASURED = ["value", "cost", "jsd", "distance", "dReal", "dFake", "mean", "std"];

function render({ model, el }) {
  const p = panel(el, {
    name: "figure1-live",
    title: "Figure 1, live",
    help: "A generator and a discriminator of one-dimensional data, trained in this page. Make single steps and watch "
      + "which curve moves, or play Algorithm 1. New data or a new seed start a new pair.",
  });
  const figures = [h("figure"), h("figure")];
  p.figures.append(...figures);
  const densities = plot(figures[0], {
    name: "densities", width: WIDTH, height: 240, label: "Densities and D over x",
    x: { range: [-5, 5], label: "x" }, y: { range: [0, 1.1], label: "density, D(x)" },
  });
  const curves = {
    dStar: densities.curve("third thin"),
    pData: densities.curve("data"),
    pG: densities.curve("model"),
    d: densities.curve("critic"),
  };
  const arrows = mapping(figures[0], densities);
  key(figures[0], [["data", "p_data"], ["model", "p_g"], ["critic", "D"], ["third thin", "D*, best for this G"]]);
  figures[0].append(h("figcaption", {}, "Arrows: where G sends 15 evenly spaced z. Densities above 1.1 are cut off."));

  const values = plot(figures[1], {
    name: "values", width: WIDTH, height: 240, label: "V and C over steps",
    x: { range: [0, 100], label: "steps of D and of G" }, y: { range: [-3, 0.2], label: "nats" },
  });
  values.level(-Math.log(4), "");
  const over = { cost: values.curve("first"), value: values.curve("second") };
  key(figures[1], [["first", "C(G), the maximum of V over D"], ["second", "V(D, G)"]]);
  figures[1].append(h("figcaption", {}, ...typeset("Steps of D lift V towards C(G). Steps of G seek a lower C(G), "
    + "which ends at \u2212log 4 (dashed level) when p_g = p_data. The gap between the curves is what D lacks.")));

  const control = {};
  const change = {};
  let auto = null;
  const settings = () => Object.fromEntries(["k", "m", "loss", "d_lr", "g_lr"].map((name) => [name, model.get(name)]));
  let session = new Session(model.get("seed"), model.get("data"));

  function setting(name, make, after) {
    change[name] = bind(model, name, () => control[name], after);
    control[name] = make((value) => change[name](value));
  }
  function reset() {
    player.pause();
    session = new Session(model.get("seed"), model.get("data"));
    draw();
  }
  function single(kind) {
    player.pause();
    session.single(kind, settings());
    draw();
  }
  function goTo(index) {
    player.pause();
    for (const [name, value] of Object.entries(PANEL_SETTINGS)) {
      if (model.get(name) === value) continue;
      control[name].set(value);
      change[name](value);
    }
    if (session.reached === index) return;
    if (!session.headFor(index)) {
      session = new Session(model.get("seed"), model.get("data"));
      session.headFor(index);
    }
    player.play();
  }

  const training = p.group("Train", figures[0]);
  const play = button(training, { name: "play", label: "Play", pressed: false, onPress: () => player.toggle() });
  button(training, { name: "d-step", label: "One step of D", onPress: () => single("d") });
  button(training, { name: "g-step", label: "One step of G", onPress: () => single("g") });
  button(training, { name: "iteration", label: "One iteration", onPress: () => single("iteration") });
  button(training, { name: "reset", label: "Reset", onPress: () => reset() });
  const panels = p.group("The panels of Figure 1", figures[1]);
  PANELS.forEach(({ name, label }, i) => button(panels, { name: `panel-${name}`, label, onPress: () => goTo(i) }));

  const leave = () => {
    session.leave();
    draw();
  };
  const more = h("div", { class: "ganlib-controls" });
  p.more("More controls").append(more);
  const algorithm = p.group("Algorithm 1", more);
  setting("k", (onInput) => slider(algorithm, {
    name: "k", label: "k, D steps per iteration", min: 1, max: 10, step: 1, digits: 0, value: model.get("k"), onInput,
  }), leave);
  setting("m", (onInput) => slider(algorithm, {
    name: "m", label: "m, minibatch", min: 8, max: 512, step: 8, digits: 0, value: model.get("m"), onInput,
  }), leave);
  setting("loss", (onInput) => choice(algorithm, {
    name: "loss", label: "Loss of G", value: model.get("loss"), onInput,
    options: [["non-saturating", "\u2212log D, non-saturating"], ["minimax", "log(1 \u2212 D), minimax"]],
  }), leave);
  for (const [name, label] of [["d_lr", "Learning rate of D"], ["g_lr", "Learning rate of G"]]) {
    setting(name, (onInput) => slider(algorithm, {
      name, label, min: 1e-4, max: 1e-1, step: 0.05, digits: 4, log: true, value: model.get(name), onInput,
    }), leave);
  }
  const start = p.group("Data and start", more);
  setting("data", (onInput) => choice(start, {
    name: "data", label: "Data, p_data", value: model.get("data"), onInput,
    options: Object.entries(LAWS).map(([name, { text }]) => [name, text]),
  }), reset);
  setting("seed", (onInput) => slider(start, {
    name: "seed", label: "Seed", min: 0, max: 99, step: 1, digits: 0, value: model.get("seed"), onInput,
  }), reset);
  const view = p.group("View", more);
  setting("pace", (onInput) => choice(view, {
    name: "pace", label: "Pace of play", value: model.get("pace"), onInput,
    options: [["slow", "slow, one iteration a frame"], ["fast", "fast, as many as fit"]],
  }), () => {});
  setting("optimum", (onInput) => tick(view, {
    name: "optimum", label: "Show D*", value: model.get("optimum"), onInput,
  }), () => draw());

  const number = (name, label, digits = 3, unit = "") => p.number(name, label, { digits, unit });
  const numbers = {
    iterations: number("iterations", "Iterations", 0),
    dSteps: number("d-steps", "Steps of D", 0),
    gSteps: number("g-steps", "Steps of G", 0),
    value: number("value", "V(D, G)", 3, "nats"),
    cost: number("cost", "C(G) = V(D*, G)", 3, "nats"),
    jsd: number("jsd", "JSD(p_data, p_g)", 4, "nats"),
    distance: number("distance", "mean |D \u2212 D*|"),
    dReal: number("d-real", "mean D(x) on data"),
    dFake: number("d-fake", "mean D(G(z))"),
    mean: number("mean", "mean of p_g"),
    std: number("std", "std of p_g"),
  };
  p.root.append(h("p", { class: "ganlib-help" }, ...typeset("p_g is computed, not sampled: G at 1,001 z, straight between "
    + "neighbours. V, C, JSD and the means of D are sums over 100 cells on [\u22125, 5]; what lies beyond counts in "
    + "the outermost cells.")));

  function draw() {
    const { pair, now, history } = session;
    curves.pData.set(GRID, now.pData);
    curves.pG.set(GRID, now.pG);
    curves.d.set(GRID, now.d);
    curves.dStar.set(GRID, model.get("optimum") ? now.dStar : []);
    arrows.set(ARROWS, pair.images(ARROWS));
    let end = 100;
    while (end < session.updates) end *= 2;
    if (values.end !== end) values.limits([0, end]);
    values.end = end;
    const at = history.map((point) => point.at);
    for (const name of ["cost", "value"]) over[name].set(at, history.map((point) => point[name]));
    for (const name of ["iterations", "dSteps", "gSteps"]) numbers[name].set(pair[name]);
    for (const name of MEASURED) numbers[name].set(now[name]);
    describe(pair, now);
  }

  function describe(pair, now) {
    const law = pair.data;
    const where = player.playing ? "" : session.updates === 0 ? "Before training. " : session.said;
    const shapes = `p_g has mean ${shown(now.mean, 2)} and standard deviation ${shown(now.std, 2)}, p_data `
      + `${shown(law.mean, 2)} and ${shown(law.std, 2)}; their JSD is ${shown(now.jsd)} nats`;
    const critic = `D is ${shown(now.distance)} away from D* on average: it gives ${shown(now.dReal, 2)} to data and `
      + `${shown(now.dFake, 2)} to samples of G`;
    const [v, c] = [shown(now.value), shown(now.cost)];
    const unasked = player.playing || Boolean(auto?.own);
    p.say(`${where}${shapes}. ${critic}. V is ${v}; the best D would reach ${c}.`, unasked);
    densities.describe(`p_data (dotted), p_g (solid) and D (dashed) over x from minus 5 to 5. ${shapes}. ${critic}.`);
    values.describe(`V(D, G) and C(G) over ${session.updates} steps: V is now ${v} nats, C(G) ${c}.`);
  }

  const player = loop({
    element: p.root,
    work(deadline) {
      const slow = model.get("pace") === "slow" && !session.jobs.length;
      do {
        if (!session.advance(settings())) return false;
      } while (!slow && performance.now() < deadline);
      session.now = session.pair.measure();
      return true;
    },
    draw,
    onChange: (playing) => {
      play.set(playing ? "Pause" : "Play", playing);
      if (!playing) session.record();
    },
  });
  p.root.inspect = () => ({
    ...session.pair.inspect(),
    grid: Object.fromEntries(
      ["pData", "pG", "d", "dStar", "logits"].map((name) => [name, [...session.now[name]]]),
    ),
    x: [...GRID],
    arrows: { z: ARROWS, x: [...session.pair.images(ARROWS)] },
    history: session.history,
    jobs: session.jobs.length,
  });
  draw();
  if (model.get("autoplay")) auto = autoplay({ element: p.root, picture: figures[0], player });
  return () => {
    auto?.stop();
    player.stop();
  };
}

/** The z line below, the x line above, and arrows between them, in step with the x axis of `figure`. */
function mapping(parent, figure) {
  const [low, high] = [figure.toX(-5), figure.toX(5)];
  const lines = s("path", { class: "ganlib-arrows" });
  const root = s(
    "svg",
    { class: "ganlib-plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "", "data-name": "arrows" },
    s("path", { class: "ganlib-arrows", d: `M${low} ${LINE_X}H${high}M${low} ${LINE_Z}H${high}` }),
    s("text", { x: low - 10, y: LINE_X + 4, "text-anchor": "end" }, "x"),
    s("text", { x: low - 10, y: LINE_Z + 4, "text-anchor": "end" }, "z"),
    ...[0, 0.5, 1].map((z) => s("text", {
      x: low + z * (high - low), y: LINE_Z + 18, "text-anchor": "middle",
    }, String(z))),
    lines,
  );
  parent.append(root);
  return {
    set(zs, xs) {
      let d = "";
      zs.forEach((z, i) => {
        const [from, to] = [low + z * (high - low), figure.toX(Math.max(-5, Math.min(5, xs[i])))];
        const length = Math.hypot(to - from, LINE_X - LINE_Z);
        const [u, v] = [(to - from) / length, (LINE_X - LINE_Z) / length];
        const barb = (side) => `M${to.toFixed(2)} ${LINE_X}l${(-6 * u + side * 3 * v).toFixed(2)} `
          + `${(-6 * v - side * 3 * u).toFixed(2)}`;
        d += `M${from.toFixed(2)} ${LINE_Z}L${to.toFixed(2)} ${LINE_X}${barb(1)}${barb(-1)}`;
      });
      put(lines, "d", d);
      put(root, "aria-label", `Arrows from evenly spaced z to x = G(z): G sends the middle z to ${shown(xs[7], 2)}, `
        + `the lowest shown to ${shown(xs[0], 2)}, the highest shown to ${shown(xs[14], 2)}.`);
    },
  };
}

export default { render };
