import { h, put, s } from "./lib/dom.js";
import { shown } from "./lib/numbers.js";
import { bind, button, choice, panel, slider } from "./lib/panel.js";
import { plot } from "./lib/plot.js";
import { random } from "./lib/random.js";

const CURVES = ["model", "second", "third", "data"];
const LOWEST = -400; // nats; below it the curves of narrow widths leave the figure
const GAP = 2;

function render({ model, el }) {
  const sweep = model.get("sweep");
  const { sigmas, sets, shape: [height, width] } = sweep;
  const top = 50 * Math.ceil((Math.max(...sets.flatMap((each) => each.test)) + 20) / 50);
  const kernels = sets.map((each) => Uint8Array.from(atob(each.examples), (letter) => letter.charCodeAt(0)));
  const pixels = Math.max(...kernels.map((each) => each.length));
  const p = panel(el, {
    name: "parzen-explorer",
    title: "The Parzen score over its width σ",
    help: "A Gaussian of width σ sits on every kernel; the score is the mean log-density of the test images under the "
      + "mean of all Gaussians. Move σ, and look at what such a density draws.",
  });

  const figure = h("figure");
  p.figures.append(figure, p.controls);
  const fig = plot(figure, {
    name: "curves", width: 420, height: 330, left: 54, label: "Log-likelihood over sigma",
    x: {
      range: [Math.log10(sigmas[0]) - 0.02, Math.log10(sigmas[sigmas.length - 1]) + 0.02],
      label: "σ, logarithmic (pixels in [0, 1])",
      ticks: [0.05, 0.1, 0.2, 0.5, 1].filter((each) => each >= sigmas[0] && each <= sigmas[sigmas.length - 1] * 1.001)
        .map((each) => [Math.log10(each), String(each)]),
    },
    y: { range: [LOWEST, top], label: "test log-likelihood (nats)" },
  });
  const published = sweep.published && `${sweep.published.mean} ± ${sweep.published.standard_error}`;
  const trained = sweep.run && ` The model is the run ${sweep.run} after ${count(sweep.iteration)} iterations.`;
  figure.append(h("figcaption", {}, `Mean over ${count(sweep.test)} test images, computed at the small dots. Large `
    + `dots: the σ of the slider; arrows at the lower edge: the value lies below the figure. Rings: the σ that ${count(sweep.valid)} validation images choose.`
    + `${published ? ` Dashed level: the published ${published}.` : ""}${trained ?? ""}`));
  if (sweep.published) fig.level(sweep.published.mean, `published: ${sweep.published.mean}`);
  const x = sigmas.map(Math.log10);
  sets.forEach((each, i) => {
    fig.curve(CURVES[i]).set(x, each.test);
    fig.dots(CURVES[i], 1.8).set(x.map((at, j) => [at, each.test[j]]));
  });
  const line = s("path", { class: "ganlib-level" });
  fig.inside.append(line);
  const rings = sets.map((_, i) => s("circle", { class: `ganlib-ring ${CURVES[i]}`, r: 6 }));
  fig.inside.append(...rings);
  const dots = sets.map((_, i) => fig.dots(CURVES[i], 4));
  // What lies below the figure stands at its lower edge, side by side, as arrows that point there.
  const below = sets.map((_, i) => s("path", { class: `ganlib-dots ${CURVES[i]}` }));
  fig.inside.append(...below);

  const control = {};
  const change = {};
  const nearest = (sigma) => sigmas.reduce(
    (best, each, i) => (Math.abs(Math.log(each / sigma)) < Math.abs(Math.log(sigmas[best] / sigma)) ? i : best), 0,
  );
  const index = slider(p.controls, {
    name: "sigma", label: "Width σ", min: 0, max: sigmas.length - 1, step: 1, value: nearest(model.get("sigma")),
    text: (i) => shown(sigmas[i], 3), onInput: (i) => change.sigma(sigmas[i]),
  });
  control.sigma = { set: (sigma) => index.set(nearest(sigma)) };
  change.sigma = bind(model, "sigma", () => control.sigma, draw);
  control.widths = choice(p.controls, {
    name: "widths", label: "σ is chosen from", value: model.get("widths"), onInput: (value) => change.widths(value),
    options: [["all", `all ${sigmas.length} widths`], ["paper", "the paper’s ten"]],
  });
  change.widths = bind(model, "widths", () => control.widths, draw);
  control.seed = { set() {} };
  change.seed = bind(model, "seed", () => control.seed, () => {
    noise = noiseOf(model.get("seed"));
    draw();
  });
  button(p.controls, { name: "noise", label: "New noise", onPress: () => change.seed(model.get("seed") + 1) });
  const presets = p.group("σ chosen for");
  const go = (i) => {
    index.set(i);
    change.sigma(sigmas[i]);
  };
  sets.forEach((each, i) => {
    button(presets, { name: `chosen-${i}`, label: each.name, onPress: () => go(chosenOf(each)) });
  });
  const others = p.group("Or");
  button(others, { name: "narrowest", label: "the narrowest", onPress: () => go(0) });
  button(others, { name: "widest", label: "the widest", onPress: () => go(sigmas.length - 1) });
  button(others, { name: "reset", label: "Reset", onPress: () => {
    control.widths.set("all");
    change.widths("all");
    change.seed(0);
    go(sets[0].chosen);
  } });

  const cards = sets.map((each, i) => {
    const across = kernels[i].length / (height * width);
    const canvas = h("canvas", {
      class: "ganlib-pixels", width: across * (width + GAP) - GAP, height: 2 * height + GAP, role: "img",
      "data-name": `draws-${i}`,
    });
    const list = h("dl", { class: "ganlib-numbers" });
    const number = (name, label, digits = 1, unit = "") => p.number(
      `${name}-${i}`, label, { digits, unit, parent: list },
    );
    const swatch = s("svg", { viewBox: "0 0 28 10", width: 28, height: 10, "aria-hidden": "true" },
      s("path", { class: `ganlib-curve ${CURVES[i]}`, d: "M1 5H27" }));
    const card = h("div", { class: "ganlib-card" },
      h("p", { class: "ganlib-card-title" }, swatch, `${each.name}: ${count(each.kernels)}`), canvas, list);
    return {
      card,
      canvas,
      value: number("value", "Log-likelihood", 1, "nats"),
      error: number("error", "Standard error", 2, "nats"),
      sigma: number("chosen-sigma", "Chosen σ", 3),
      best: number("chosen-value", "With chosen σ", 1),
    };
  });
  const length = p.number("noise-length", `Length of the noise, σ√${height * width}`, { digits: 2 });
  p.numbers.before(
    h("p", { class: "ganlib-help" }, "Upper rows: kernels. Lower rows: a draw from each, kernel + σ × noise, cut to "
      + "[0, 1] for the picture. The noise is the same in every set."),
    h("div", { class: "ganlib-cards" }, ...cards.map((each) => each.card)),
  );

  let noise = noiseOf(model.get("seed"));
  function noiseOf(seed) {
    const rng = random(seed);
    return Float64Array.from({ length: pixels }, () => rng.normal());
  }
  function chosenOf(each) {
    return model.get("widths") === "paper" && each.chosen_of_papers !== null ? each.chosen_of_papers : each.chosen;
  }
  function drawn(i, sigma) {
    return Float64Array.from(kernels[i], (level, at) => level / 255 + sigma * noise[at]);
  }

  function draw() {
    const at = nearest(model.get("sigma"));
    const sigma = sigmas[at];
    put(line, "d", `M${fig.toX(x[at])} ${fig.toY(LOWEST)}V${fig.toY(top)}`);
    const low = sets.map((_, i) => i).filter((i) => sets[i].test[at] < LOWEST);
    const [first, last] = [fig.toX(x[0]) + 7, fig.toX(x[x.length - 1]) - 7 - 15 * (low.length - 1)];
    const from = Math.min(last, Math.max(first, fig.toX(x[at]) - 7.5 * (low.length - 1)));
    const arrow = (place) => `M${(from + 15 * place).toFixed(2)} ${fig.toY(LOWEST) - 2}l-6 -11h12Z`;
    sets.forEach((each, i) => {
      const chosen = chosenOf(each);
      put(rings[i], "cx", fig.toX(x[chosen]));
      put(rings[i], "cy", fig.toY(each.test[chosen]));
      const seen = each.test[at] >= LOWEST;
      dots[i].set(seen ? [[x[at], each.test[at]]] : []);
      put(below[i], "d", seen ? "" : arrow(low.indexOf(i)));
      cards[i].value.set(each.test[at]);
      cards[i].error.set(each.standard_error[at]);
      cards[i].sigma.set(sigmas[chosen]);
      cards[i].best.set(each.test[chosen], `± ${shown(each.standard_error[chosen], 1)} nats`);
      paint(cards[i].canvas, kernels[i], drawn(i, sigma));
      put(cards[i].canvas, "aria-label", `${kernels[i].length / (height * width)} of the ${each.name} above, each with `
        + `noise of width ${shown(sigma)} below.`);
    });
    length.set(sigma * Math.sqrt(height * width));
    const order = sets.map((_, i) => i).sort((a, b) => sets[b].test[at] - sets[a].test[at]);
    fig.describe(`Test log-likelihood over sigma from ${shown(sigmas[0])} to ${shown(sigmas[sigmas.length - 1])}. At `
      + `${shown(sigma)}: ${order.map((i) => `${sets[i].name} ${shown(sets[i].test[at], 1)}`).join(", ")} nats.`);
    const ranking = order.map((i) => `${sets[i].name} (${shown(sets[i].test[at], 1)} nats)`).join(", ");
    const scores = order.map((i) => {
      const chosen = chosenOf(sets[i]);
      return `${sets[i].name} ${shown(sets[i].test[chosen], 1)} at σ ${shown(sigmas[chosen])}`;
    });
    p.say(`At σ = ${shown(sigma)} the order is ${ranking}. With the σ chosen on validation images: `
      + `${scores.join(", ")}.`);
  }

  function paint(canvas, levels, samples) {
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    const across = levels.length / (height * width);
    for (let k = 0; k < across; k += 1) {
      for (const [row, value] of [[0, (at) => levels[at]], [1, (at) => 255 * samples[at]]]) {
        for (let j = 0; j < height * width; j += 1) {
          const level = Math.max(0, Math.min(255, Math.round(value(k * height * width + j))));
          image.data.set([level, level, level, 255], 4 * j);
        }
        context.putImageData(image, k * (width + GAP), row * (height + GAP));
      }
    }
  }

  p.root.inspect = () => ({
    noise: [...noise],
    kernels: kernels.map((each) => [...each]),
    draws: sets.map((_, i) => [...drawn(i, sigmas[nearest(model.get("sigma"))])]),
  });
  draw();
}

function count(n) {
  return n.toLocaleString("en-US");
}

export default { render };
