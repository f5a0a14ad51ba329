import { h, put, s } from "./lib/dom.js";
import { shown, softplus } from "./lib/numbers.js";
import { bind, button, choice, panel, slider } from "./lib/panel.js";
import { key, plot } from "./lib/plot.js";
import { handle } from "./lib/handle.js";
import { loop } from "./lib/loop.js";
import { arrows, judged, marker, plus, verdict } from "./dirac_gan_marks.js";
import { largestModulus, slope, span, trajectory } from "./dirac_gan_model.js";

const STEPS = 2000;
const STEPS_A_SECOND = 100;
const STYLES = ["first", "second"];
const NAMES = ["First run", "Second run"];
const START = {
  theta: 1, psi: 1, lr: 0.1, method: "simultaneous", gamma: 0, other: "alternating", other_gamma: 0, step: 1200,
};
const PRESETS = [
  ["both", "Simultaneous and alternating", {}],
  ["r1", "Alternating, without and with R1", { method: "alternating", other_gamma: 0.3 }],
  ["little", "Too little R1", { lr: 0.5, gamma: 0.1, other: "simultaneous", other_gamma: 0.2 }],
  ["far", "From far away", { theta: 3, psi: -3, gamma: 0.3, other_gamma: 0.3 }],
];
const METHODS = [["simultaneous", "simultaneous"], ["alternating", "alternating"]];

function render({ model, el }) {
  const p = panel(el, {
    name: "dirac-gan",
    title: "The Dirac-GAN, step by step",
    help: "The generator puts a point at θ, the data are a point at 0, and ψ is the slope of the discriminator. Drag "
      + "the start (the triangle), or take it with the keyboard and press the arrow keys.",
  });
  const figures = [h("figure"), h("figure")];
  const along = h("div", { class: "ganlib-run" });
  p.figures.append(figures[0], along, figures[1]);
  const portrait = plot(figures[0], {
    name: "portrait", width: 420, height: 410, label: "Phase portrait",
    x: { range: [-3.5, 3.5], label: "θ, the generator’s point" },
    y: { range: [-3.5, 3.5], label: "ψ, the discriminator’s slope" },
  });
  const field = s("path", { class: "ganlib-arrows" });
  const cross = s("path", { class: "ganlib-mark" });
  portrait.inside.append(field, cross);
  const radii = plot(figures[1], {
    name: "radii", width: 420, height: 300, label: "Radius over steps",
    x: { range: [0, STEPS], label: "step" }, y: { range: [0, 3.5], label: "radius, the distance from (0, 0)" },
  });
  const now = s("path", { class: "ganlib-level" });
  radii.inside.append(now);
  key(figures[1], STYLES.map((style, i) => [style, NAMES[i]]));
  figures[0].append(h("figcaption", {}, "Arrows: where both players want to go, with the first run’s γ. Plus: the "
    + "equilibrium (0, 0). Circle and square: the two runs at the step shown."));
  figures[1].append(h("figcaption", {}, "Circle and square: the step shown. Neither is a loss: the radius says how far "
    + "both players are from the equilibrium."));

  const walk = p.group("Along the paths", along);
  const presets = p.group("Presets", along);

  const paths = STYLES.map((style) => portrait.curve(style));
  const markers = STYLES.map(() => [portrait, radii].map((fig) => s("path", { class: "ganlib-mark" })));
  const curves = STYLES.map((style) => radii.curve(style));
  STYLES.forEach((style, i) => [portrait, radii].forEach((fig, f) => {
    markers[i][f].setAttribute("class", `ganlib-mark ${style}`);
    (f === 0 ? fig.inside : fig.root).append(markers[i][f]); // not clipped at the ends of the steps
  }));

  let runs = [];
  let queued = false;
  const control = {};
  const change = {};
  const get = (name) => model.get(name);
  const grip = handle(portrait, {
    name: "start", label: "Start of both runs: theta with the left and right arrow keys, psi with up and down",
    limits: [-3, 3], onMove: (theta, psi) => apply({ theta, psi }), onEnd: () => update(),
  });

  function update() {
    if (queued) return;
    queued = true;
    queueMicrotask(() => {
      queued = false;
      compute();
      draw();
    });
  }
  function setting(name, make, after = update) {
    change[name] = bind(model, name, () => control[name], after);
    control[name] = make((value) => change[name](value));
  }
  function apply(values) {
    for (const [name, value] of Object.entries(values)) {
      control[name].set(value);
      change[name](value);
    }
  }

  const groups = NAMES.map((name) => p.group(name));
  const start = p.group("Both runs");
  const gammaSlider = (parent, name, label) => setting(name, (onInput) => slider(parent, {
    name, label, min: 0, max: 3, step: 0.05, value: get(name), onInput,
  }));
  setting("method", (onInput) => choice(groups[0], {
    name: "method", label: "Updates", options: METHODS, value: get("method"), onInput,
  }));
  gammaSlider(groups[0], "gamma", "γ of R1");
  setting("other", (onInput) => choice(groups[1], {
    name: "other", label: "Updates", options: [["none", "none"], ...METHODS], value: get("other"), onInput,
  }));
  gammaSlider(groups[1], "other_gamma", "γ of R1");
  setting("lr", (onInput) => slider(start, {
    name: "lr", label: "Step size h", min: 0.01, max: 0.5, step: 0.01, value: get("lr"), onInput,
  }));
  for (const [name, letter] of [["theta", "θ"], ["psi", "ψ"]]) {
    setting(name, (onInput) => slider(start, {
      name, label: `${letter} at the start`, min: -3, max: 3, step: 0.05, value: get(name), onInput,
    }));
  }
  const atStep = (wanted) => {
    walked = wanted;
    draw();
  };
  setting("step", (onInput) => slider(walk, {
    name: "step", label: "Step", min: 0, max: STEPS, step: 1, digits: 0, value: get("step"), onInput,
  }), atStep);
  const play = button(walk, { name: "play", label: "Play", pressed: false, onPress: () => {
    if (!player.playing && walked >= STEPS) {
      control.step.set(0);
      change.step(0);
    }
    last = performance.now();
    player.toggle();
  } });
  for (const [name, label, values] of PRESETS) {
    button(presets, { name, label, onPress: () => {
      player.pause();
      apply({ ...START, ...values });
    } });
  }
  button(presets, { name: "reset", label: "Reset", onPress: () => {
    player.pause();
    apply(START);
  } });

  const numbers = NAMES.map((name, i) => {
    const list = h("dl", { class: "ganlib-numbers" });
    const title = h("p", { class: "ganlib-card-title" }, name);
    const box = h("div", { class: "ganlib-card" }, title, list);
    const number = (id, label, digits = 3) => p.number(`${STYLES[i]}-${id}`, label, { digits, parent: list });
    return {
      box,
      title,
      theta: number("theta", "θ now"),
      psi: number("psi", "ψ now"),
      d: number("d", "D(θ) now"),
      value: number("value", "V now"),
      radius: number("radius", "Radius now"),
      first: number("radius-start", "Radius at the start"),
      end: number("radius-end", `Radius at step ${STEPS}`),
      modulus: number("modulus", "Growth per step near (0, 0)", 5),
    };
  });
  p.numbers.replaceWith(h("div", { class: "ganlib-cards" }, ...numbers.map((each) => each.box)));

  let walked = get("step");
  let last = 0;
  const player = loop({
    element: p.root,
    work() {
      const time = performance.now();
      walked = Math.min(STEPS, walked + (STEPS_A_SECOND * Math.min(250, time - last)) / 1000);
      last = time;
      return walked < STEPS;
    },
    draw: () => {
      control.step.set(Math.floor(walked));
      draw();
    },
    onChange(playing) {
      play.set(playing ? "Pause" : "Play", playing);
      if (playing) return;
      walked = Math.floor(walked);
      control.step.set(walked);
      change.step(walked);
    },
  });

  function compute() {
    const shared = { start: [get("theta"), get("psi")], lr: get("lr") };
    runs = [["method", "gamma"], ["other", "other_gamma"]]
      .filter(([method]) => get(method) !== "none")
      .map(([method, gamma]) => {
        const options = { ...shared, gamma: get(gamma), alternating: get(method) === "alternating" };
        const path = trajectory(STEPS, options);
        const name = `${get(method)}${get(gamma) > 0 ? ` with R1, γ ${shown(get(gamma), 2)}` : ""}`;
        return { ...path, name, modulus: largestModulus(options) };
      });
    if (!grip.dragging) {
      const far = Math.max(...runs.flatMap(({ theta, psi }) => [...theta, ...psi].map(Math.abs)));
      const limit = span(far * 1.04);
      portrait.limits([-limit, limit], [-limit, limit]);
      radii.limits(null, [0, span(Math.max(...runs.map(({ radius }) => Math.max(...radius))) * 1.04)]);
      put(field, "d", arrows(portrait, limit, get("gamma")));
      put(cross, "d", plus(portrait));
    }
    numbers[1].box.hidden = runs.length < 2;
  }

  function draw() {
    const n = Math.floor(walked);
    const steps = Float64Array.from({ length: STEPS + 1 }, (_, i) => i);
    put(now, "d", `M${radii.toX(n).toFixed(2)} ${radii.toY(0)}V${radii.toY(1e3)}`);
    STYLES.forEach((style, i) => {
      const run = runs[i];
      paths[i].set(run ? run.theta.subarray(0, n + 1) : [], run ? run.psi.subarray(0, n + 1) : []);
      curves[i].set(run ? steps : [], run ? run.radius : []);
      put(markers[i][0], "d", run ? marker(i, portrait.toX(run.theta[n]), portrait.toY(run.psi[n])) : "");
      put(markers[i][1], "d", run ? marker(i, radii.toX(n), radii.toY(run.radius[n])) : "");
      if (!run) return;
      const t = run.psi[n] * run.theta[n];
      numbers[i].title.textContent = `${NAMES[i]}: ${run.name}`;
      numbers[i].theta.set(run.theta[n]);
      numbers[i].psi.set(run.psi[n]);
      numbers[i].d.set(slope(t));
      numbers[i].value.set(-softplus(-t) - Math.LN2);
      numbers[i].radius.set(run.radius[n]);
      numbers[i].first.set(run.radius[0]);
      numbers[i].end.set(run.radius[STEPS]);
      numbers[i].modulus.set(run.modulus, verdict(run.modulus));
    });
    const [theta, psi] = [get("theta"), get("psi")];
    grip.set(theta, psi, `theta ${shown(theta, 2)}, psi ${shown(psi, 2)}`);
    const said = runs.map((run, i) => `${NAMES[i]}, ${run.name}: at step ${n} (θ, ψ) is (${shown(run.theta[n])}, `
      + `${shown(run.psi[n])}), radius ${shown(run.radius[n])}.`);
    portrait.describe(`Phase portrait from ${shown(theta, 2)}, ${shown(psi, 2)}. ${said.join(" ")}`);
    radii.describe(`Radius over ${STEPS} steps. ${runs.map((run, i) => `${NAMES[i]}: from ${shown(run.radius[0])} to `
      + `${shown(run.radius[STEPS])}.`).join(" ")}`);
    const places = [0, n, STEPS].filter((step, i, all) => all.indexOf(step) === i);
    const radiiOf = (run) => places.map((step) => `${shown(run.radius[step])} at step ${step}`).join(", ");
    p.say(
      runs.map((run, i) => `${NAMES[i]}, ${run.name}: radius ${radiiOf(run)}. ${judged(run)}`).join(" "),
      player.playing,
    );
  }

  p.root.inspect = () => ({ step: Math.floor(walked), runs });
  compute();
  draw();
  return () => player.stop();
}

export default { render };
