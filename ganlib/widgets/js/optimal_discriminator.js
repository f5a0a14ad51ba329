import { h, put, s, typeset } from "./lib/dom.js";
import { shown, sigmoid } from "./lib/numbers.js";
import { bind, button, choice, panel, slider } from "./lib/panel.js";
import { key, plot } from "./lib/plot.js";
import { handle } from "./lib/handle.js";
import {
  GRID, LIMIT, bestValue, density, gradients, jsDivergence, klDivergence, optimal, ownLogit, ownValue, peak, sweep,
} from "./optimal_discriminator_model.js";
import { sentences } from "./optimal_discriminator_words.js";

const SEEN = 7; // half the x axis
const [NARROW, WIDE] = [0.6, 2];
const SHAPES = {
  kind: "gaussian",
  data_at: -1, data_width: 1, data_share: 0, data_second: 2,
  model_at: 1, model_width: 1, model_share: 0, model_second: 3,
};
const START = { ...SHAPES, level: 0.5, slope: 0 };
const PRESETS = [
  ["equal", "Equal", { data_at: 0, model_at: 0 }],
  ["shifted", "Shifted", {}],
  ["far", "Far apart", { data_at: -4, model_at: 4 }],
  ["widths", "Other width", { data_at: 0, data_width: 0.6, model_at: 0, model_width: 1.8 }],
  ["missed", "One mode missed", { data_at: -2, data_width: 0.6, data_share: 0.5, model_at: -2, model_width: 0.6 }],
  ["overlap", "Intervals that overlap", { kind: "uniform", data_at: -0.5, model_at: 0.5 }],
  ["disjoint", "Disjoint supports", { kind: "uniform", data_at: -2, model_at: 2 }],
];
const SIDES = [["data", "p_data"], ["model", "p_g"]];

function render({ model, el }) {
  const get = (name) => model.get(name);
  const p = panel(el, {
    name: "optimal-discriminator",
    title: "The optimal discriminator D* between two densities",
    help: "Drag a triangle: sideways it moves the density, up and down it changes the width. Or take it with the "
      + "keyboard and press the arrow keys. The width is σ, or half an interval. Your D is logistic; with slope 0 it "
      + "is constant.",
  });
  p.figures.classList.add("ganlib-pairs");
  const figures = [h("figure"), h("figure"), h("figure")];
  const beside = h("div", { class: "ganlib-controls" });
  p.figures.append(figures[0], beside, figures[1], figures[2]);
  const top = plot(figures[0], {
    name: "densities", width: 420, height: 290, label: "Densities",
    x: { range: [-SEEN, SEEN], label: "x" }, y: { range: [-0.03, 1.08], label: "density, D(x)" },
  });
  const middle = plot(figures[1], {
    name: "divergence", width: 420, height: 230, left: 70, label: "JSD",
    x: { range: [-LIMIT, LIMIT], label: "position of p_g" },
    y: {
      range: [-0.12, 0.78], label: "JSD",
      ticks: [[0, "0"], [Math.LN2 / 2, "½ log 2"], [Math.LN2, "log 2"]],
    },
  });
  const bottom = plot(figures[2], {
    name: "gradients", width: 420, height: 230, label: "Gradients",
    x: { range: [-LIMIT, LIMIT], label: "position of p_g" }, y: { range: [-8, 8], label: "gradient" },
  });
  const curves = {
    data: top.curve("data"), model: top.curve("model"), best: top.curve("critic"), own: top.curve("third thin"),
    jsd: middle.curve("first"), minimax: bottom.curve("first"), other: bottom.curve("second"),
  };
  middle.level(Math.LN2, "C(G) = 0");
  middle.level(0, "");
  middle.inside.append(s("text", { x: 404, y: middle.toY(0) + 15, "text-anchor": "end" }, "C(G) = −log 4"));
  bottom.level(0, "");
  const dot = { jsd: middle.dots("first", 5), minimax: bottom.dots("first", 5), other: bottom.dots("second", 5) };
  const ring = s("circle", { class: "ganlib-ring third", r: 6 });
  middle.inside.append(ring);
  key(figures[0], [["data", "p_data"], ["model", "p_g"], ["critic", "D*"], ["third thin", "your D"]]);
  figures[1].append(h("figcaption", {}, "Dot: JSD now, and with it C(G) = 2 JSD − log 4. Ring: V of your D on the same "
    + "scale, never above the dot; it leaves the figure when V is below −log 4."));
  key(figures[2], [["first", "of log(1 − D*), saturating"], ["second", "of −log D*, non-saturating"]]);
  const noGradient = h("figcaption");
  figures[2].append(noGradient);

  const control = {};
  const change = {};
  let queued = false;
  function update() {
    if (queued) return;
    queued = true;
    queueMicrotask(() => {
      queued = false;
      draw();
    });
  }
  function setting(name, make) {
    change[name] = bind(model, name, () => control[name], update);
    control[name] = make((value) => change[name](value));
  }
  function apply(values) {
    for (const [name, value] of Object.entries(values)) {
      control[name].set(value);
      change[name](value);
    }
  }
  const number = (parent, name, label, min, max, step = 0.05) => setting(name, (onInput) => slider(parent, {
    name, label, min, max, step, value: get(name), onInput,
  }));

  const presets = p.group("Presets", beside);
  for (const [name, label, values] of PRESETS) {
    button(presets, { name, label, onPress: () => apply({ ...SHAPES, ...values }) });
  }
  button(presets, { name: "reset", label: "Reset", onPress: () => apply(START) });
  setting("kind", (onInput) => choice(beside, {
    name: "kind", label: "Densities", value: get("kind"), onInput,
    options: [["gaussian", "Gaussian"], ["uniform", "uniform on intervals"]],
  }));
  p.controls.classList.add("ganlib-even");
  const grips = {};
  for (const [side, name] of SIDES) {
    const group = p.group(name);
    number(group, `${side}_at`, "Position", -LIMIT, LIMIT);
    number(group, `${side}_width`, "Width", NARROW, WIDE);
    number(group, `${side}_share`, "Second hump’s share", 0, 0.9);
    number(group, `${side}_second`, "Its position", -LIMIT, LIMIT);
  }
  const own = p.group("Your D");
  number(own, "level", "D(0)", 0.01, 0.99, 0.01);
  number(own, "slope", "Slope of its logit", -4, 4);
  for (const [side, name] of [...SIDES].reverse()) { // the first one made lies on top
    // The handle's height is the hump's: its second coordinate is minus the width, so that up is up.
    const share = () => 1 - get(`${side}_share`);
    const axes = {
      root: top.root, toX: top.toX, toY: (y) => top.toY(share() * peak(get("kind"), -y)),
      at: (event) => {
        const [x, y] = top.at(event);
        return [x, -peak(get("kind"), Math.max(0.01, y / share()))];
      },
    };
    grips[side] = handle(axes, {
      name: `${side}-handle`, limits: [-LIMIT, LIMIT],
      label: `${name}: position with the left and right arrow keys, narrower with up, wider with down`,
      onMove: (x, y) => apply({
        [`${side}_at`]: x, [`${side}_width`]: Math.min(WIDE, Math.max(NARROW, Number((-y).toFixed(6)))),
      }),
    });
    grips[side].node.classList.add(side);
  }
  const numbers = {
    cost: p.number("cost", "C(G) = V(D*, G)", { digits: 4 }),
    own: p.number("own", "V of your D", { digits: 4 }),
    gap: p.number("gap", "D* has more by", { digits: 4 }),
    jsd: p.number("jsd", "JSD", { digits: 4 }),
    forward: p.number("kl-data-model", "KL(p_data ‖ p_g)", { digits: 4 }),
    backward: p.number("kl-model-data", "KL(p_g ‖ p_data)", { digits: 4 }),
    minimax: p.number("minimax", "Gradient of log(1 − D*)", { digits: 4 }),
    other: p.number("non-saturating", "Gradient of −log D*", { digits: 4 }),
  };
  p.words.before(h("p", { class: "ganlib-help" }, ...typeset("All in nats; gradients per unit of x, by a shift "
    + "of p_g to the right with D* held fixed. Integrals are sums over 3201 points of [−16, 16], a cell of 0.01.")));

  const shapeOf = (side) => ({
    kind: get("kind"), at: get(`${side}_at`), width: get(`${side}_width`), share: get(`${side}_share`),
    second: get(`${side}_second`),
  });
  let swept = "";
  let over = null;
  let state = null;

  function draw() {
    const [dataShape, modelShape] = SIDES.map(([side]) => shapeOf(side));
    const [data, made] = [density(dataShape), density(modelShape)];
    const best = optimal(data, made);
    const mine = { level: get("level"), slope: get("slope") };
    const values = {
      cost: bestValue(data, made), own: ownValue(mine, data, made), jsd: jsDivergence(data, made),
      forward: klDivergence(data, made), backward: klDivergence(made, data),
      ...(dataShape.kind === "uniform" ? { minimax: NaN, other: NaN } : gradients(data, made)),
    };
    const gap = values.cost - values.own;
    values.gap = gap < 1e-12 ? 0 : gap; // what is left where your D is D* is rounding
    // The curves stay as they are while p_g is only moved.
    const apart = modelShape.share > 0 ? (modelShape.second - modelShape.at).toFixed(9) : "";
    const wanted = JSON.stringify([dataShape, modelShape.width, modelShape.share, apart]);
    if (wanted !== swept) over = sweep(data, modelShape);
    swept = wanted;
    state = { x: GRID, data: data.p, model: made.p, best, over, lost: [data.lost, made.lost] };
    for (const [name, value] of Object.entries(values)) numbers[name].set(value);
    paint(data, made, best, mine);
    mark(modelShape.at, values);
    for (const [side, name] of SIDES) {
      const [at, width] = [get(`${side}_at`), get(`${side}_width`)];
      grips[side].set(at, -width, `${name} at ${shown(at, 2)}, width ${shown(width, 2)}`);
      control[`${side}_second`].input.parentElement.hidden = get(`${side}_share`) === 0;
    }
    tell(dataShape, modelShape, values, best, mine);
  }

  function paint(data, made, best, mine) {
    const from = GRID.findIndex((x) => x >= -SEEN);
    const to = GRID.length - from;
    const x = GRID.subarray(from, to);
    // No line along the axis where a density is zero: D* may be zero there, and would be hidden.
    const drawn = ({ p: all }) => all.map((y, i) => (y || all[i - 1] || all[i + 1] ? y : NaN)).subarray(from, to);
    curves.data.set(x, drawn(data));
    curves.model.set(x, drawn(made));
    curves.best.set(x, best.subarray(from, to));
    curves.own.set(x, x.map((each) => sigmoid(ownLogit(mine, each))));
    curves.jsd.set(over.at, over.jsd);
    const steepest = Math.max(1, ...[...over.minimax, ...over.other].filter(Number.isFinite).map(Math.abs));
    bottom.limits(null, [-1.1 * steepest, 1.1 * steepest]);
    curves.minimax.set(over.at, over.minimax);
    curves.other.set(over.at, over.other);
  }

  function mark(at, values) {
    dot.jsd.set([[at, values.jsd]]);
    const isSmooth = Number.isFinite(values.minimax);
    dot.minimax.set(isSmooth ? [[at, values.minimax]] : []);
    dot.other.set(isSmooth ? [[at, values.other]] : []);
    put(ring, "cx", middle.toX(at).toFixed(2));
    put(ring, "cy", Math.min(9999, middle.toY(values.own / 2 + Math.LN2)).toFixed(2));
    noGradient.replaceChildren(...typeset(isSmooth
      ? "Dots: where p_g is now. Gradient descent moves p_g against the sign of the gradient."
      : "No curve: between uniform densities D* jumps at the ends of the intervals, is flat inside, and is undefined "
        + "outside. It gives the generator no direction."));
  }

  function tell(dataShape, modelShape, values, best, mine) {
    const said = sentences(dataShape, modelShape, values, best, mine);
    top.describe(said.densities);
    middle.describe(said.divergence);
    bottom.describe(said.gradients);
    p.say(said.all);
  }

  p.root.inspect = () => state;
  draw();
}

export default { render };
