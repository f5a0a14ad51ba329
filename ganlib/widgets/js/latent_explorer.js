import { asset } from "./lib/assets.js";
import { h, put, s } from "./lib/dom.js";
import { handle } from "./lib/handle.js";
import { linspace, shown } from "./lib/numbers.js";
import { bind, button, choice, panel, slider } from "./lib/panel.js";
import { plot } from "./lib/plot.js";
import { gradually, paint } from "./latent_explorer_pictures.js";
import { DcganGenerator, distanceOf, inPlane, nearest, outside, readTensors, unzip } from "./latent_explorer_model.js";

const ASSETS = ["latent-generator", "training-digits"];
const LOW = -0.25;
const HIGH = 1.25;
const TILES = 7; // along each side of the plane, a quarter apart
const STRIP = 10;
const NEIGHBOURS = 3;
const GAP = 2;
const CORNERS = { A: [0, 0], B: [1, 0], C: [0, 1] };
const LINES = ["A to B", "A to C", "B to C"];
const ORDER = ["Nearest", "2nd nearest", "3rd nearest"];
const PRESETS = { ...CORNERS, "the middle": [1 / 3, 1 / 3] };
// On the black of the digits, in both themes.
const ON_BLACK = "--ink: #ffd23f; --paper: #000000; --accent: #6cc1ff; --warm: #ff9e5c";

function render({ model, el }) {
  const get = (name) => model.get(name);
  const p = panel(el, {
    name: "latent-explorer",
    title: "A generator’s latent space",
    help: `${get("about")} Three latent points A, B and C span a plane. Drag the triangle, or take it with the keyboard `
      + "and press the arrow keys: the generator draws G(z) for the z it stands on. The first three points were chosen "
      + "by eye; the seeds give others.",
  });
  const loading = h("div", { class: "ganlib-controls" });
  p.figures.before(loading);
  const [plane, right] = [h("figure"), h("div")];
  p.figures.append(plane, right);
  p.numbers.hidden = true;

  const edge = (HIGH - LOW) / (TILES - 1) / 2;
  const fig = plot(plane, {
    name: "plane", width: 420, height: 410, label: "The plane through three latent points",
    x: { range: [LOW - edge, HIGH + edge], label: "s, from A towards B" },
    y: { range: [LOW - edge, HIGH + edge], label: "t, from A towards C" },
  });
  const [left, top] = [fig.toX(LOW - edge), fig.toY(HIGH + edge)];
  const area = { x: left, y: top, width: fig.toX(HIGH + edge) - left, height: fig.toY(LOW - edge) - top };
  const mosaic = s("image", { ...area, preserveAspectRatio: "none", style: "image-rendering: pixelated" });
  const line = s("path", { class: "ganlib-curve second", style: ON_BLACK });
  const ground = s("rect", { ...area, class: "ganlib-waiting" });
  const middle = { x: area.x + area.width / 2, "text-anchor": "middle" };
  const waiting = s("g", {}, ...["Nothing is drawn yet:", "load the generator first"].map((text, i) => (
    s("text", { ...middle, y: area.y + area.height / 2 - 8 + 18 * i }, text))));
  fig.inside.append(ground, mosaic, waiting, line);
  const corners = s("g", { style: ON_BLACK });
  fig.inside.append(corners);
  for (const [name, [u, v]] of Object.entries(CORNERS)) {
    const [x, y] = [fig.toX(u - edge), fig.toY(v + edge)];
    const side = fig.toX(u + edge) - x;
    corners.append(s("rect", { class: "ganlib-mark", x, y, width: side, height: side }),
      s("text", { x: x + 4, y: y + 14, style: "font-weight: 700" }, name));
  }
  plane.append(h("figcaption", {}, "z = A + s (B − A) + t (C − A). Behind: G(z) on a grid of "
    + `${TILES} by ${TILES} points. Dashed: the line of the strip.`));
  const grip = handle(fig, {
    name: "point", label: "The latent point: s with the left and right arrow keys, t with up and down",
    limits: [LOW, HIGH], onMove: (u, v) => go(u, v), onEnd: () => update(),
  });

  grip.node.setAttribute("style", ON_BLACK);

  const cells = ["The sample G(z)", ...ORDER].map((title, i) => {
    const canvas = h("canvas", {
      class: "ganlib-pixels", width: 28, height: 28, role: "img", "data-name": i ? `digit-${i}` : "sample",
    });
    const text = h("span");
    return { canvas, text, node: h("figure", {}, canvas, h("figcaption", {}, title, text)) };
  });
  right.append(h("div", {
    style: `display: grid; gap: 0.5rem; grid-template-columns: repeat(${NEIGHBOURS + 1}, minmax(0, 1fr))`,
  }, ...cells.map((each) => each.node)));
  const strip = h("canvas", {
    class: "ganlib-pixels", width: STRIP * (28 + GAP) - GAP, height: 28, role: "img", "data-name": "strip",
    style: "margin-top: 0.5rem",
  });
  const walk = h("div", { class: "ganlib-controls" });
  right.append(h("figure", {}, strip, h("figcaption", {}, `${STRIP} images along a straight line in z, evenly `
    + "spaced, as in Figure 3 of the paper.")), walk);

  let generator = null;
  let digits = null;
  let points = [];
  let z = null;
  let image = null;
  let found = [];
  let stripImages = [];
  let tiles = [];
  const cancel = {};
  let queued = false;

  const control = {};
  const change = {};
  const along = slider(walk, {
    name: "along", label: "Along the line", min: 0, max: 1, step: 0.01, value: 0,
    onInput(share) {
      const [[u0, v0], [u1, v1]] = ends();
      go(u0 + share * (u1 - u0), v0 + share * (v1 - v0));
    },
  });
  function setting(name, make, after) {
    change[name] = bind(model, name, () => control[name], after);
    control[name] = make((value) => change[name](value));
  }
  setting("line", (onInput) => choice(walk, {
    name: "line", label: "Line from", options: LINES.map((each) => [each, each]), value: get("line"), onInput,
  }), () => {
    drawStrip();
    update();
  });
  const place = p.group("Place in the plane");
  for (const [name, towards] of [["s", "B"], ["t", "C"]]) {
    setting(name, (onInput) => slider(place, {
      name, label: `${name}, towards ${towards}`, min: LOW, max: HIGH, step: 0.01, value: get(name), onInput,
    }), () => update());
  }
  const presets = p.group("Go to", walk);
  for (const [name, at] of Object.entries(PRESETS)) {
    button(presets, { name: `go-${name.split(" ").pop()}`, label: name, onPress: () => go(...at) });
  }
  const seeds = p.group("Seeds of the points");
  const names = Object.keys(CORNERS);
  for (const name of names) {
    setting(`seed_${name.toLowerCase()}`, (onInput) => slider(seeds, {
      name: `seed_${name.toLowerCase()}`, label: name, min: 0, max: 99, step: 1, digits: 0,
      value: get(`seed_${name.toLowerCase()}`), onInput,
    }), () => newPoints());
  }

  const first = Object.fromEntries(Object.keys(control).map((name) => [name, get(name)]));
  button(seeds, { name: "reset", label: "Reset", onPress: () => {
    for (const [name, value] of Object.entries(first)) {
      control[name].set(value);
      change[name](value);
    }
  } });

  const numbers = {
    length: p.number("length", "Length of z"),
    outside: p.number("outside", "Coordinates outside the prior", { digits: 0 }),
    line: p.number("line-length", "Length of the line in z"),
    distances: ORDER.map((label, i) => p.number(`distance-${i + 1}`, `${label} digit, distance`, { digits: 2 })),
  };

  const load = button(loading, {
    name: "load", label: `Load the generator and its training digits (${shown(get("kilobytes"), 0)} kB)`,
    async onPress() {
      if (load.node.getAttribute("aria-busy") === "true") return;
      load.node.setAttribute("aria-busy", "true");
      p.say("Loading the generator and the digits.");
      try {
        const [weights, packed] = await Promise.all(ASSETS.map((name) => asset(model, name)));
        generator = new DcganGenerator(weights);
        const { pixels, labels } = readTensors(await unzip(packed)).tensors;
        digits = { pixels: pixels.values, labels: labels.values };
      } catch (error) {
        load.node.setAttribute("aria-busy", "false");
        failed.textContent = `The generator could not be loaded: ${error.message}. Try again.`;
        return;
      }
      const held = document.activeElement === load.node;
      loading.remove();
      enable(true);
      newPoints();
      if (held) grip.node.focus({ preventScroll: true });
    },
  });
  /** Before the generator is there nothing can be moved, and every picture says that it is empty. */
  function enable(on) {
    p.numbers.hidden = !on;
    for (const node of p.root.querySelectorAll("input, select, button:not([data-name=load])")) node.disabled = !on;
    for (const node of [grip.node, line, corners]) node.toggleAttribute("hidden", !on);
    for (const node of [strip, ...cells.map((each) => each.canvas)]) node.classList.toggle("ganlib-waiting", !on);
    waiting.toggleAttribute("hidden", on);
    put(ground, "class", on ? "ganlib-black" : "ganlib-waiting");
  }
  const failed = h("p", { class: "ganlib-error", role: "alert" });
  loading.append(failed);

  function ends() {
    return get("line").split(" to ").map((name) => CORNERS[name]);
  }
  function go(u, v) {
    for (const [name, value] of [["s", u], ["t", v]]) {
      const kept = Number(Math.min(HIGH, Math.max(LOW, value)).toFixed(6));
      control[name].set(kept);
      model.set(name, kept);
    }
    model.save_changes();
    update();
  }

  function newPoints() {
    if (generator) points = names.map((name) => generator.point(get(`seed_${name.toLowerCase()}`)));
    drawTiles();
    drawStrip();
    update();
  }

  function drawTiles() {
    if (!generator) return;
    const shares = linspace(LOW, HIGH, TILES);
    const { side } = generator;
    cancel.tiles?.();
    tiles = [];
    cancel.tiles = gradually(TILES * TILES, (i) => (
      generator.image(inPlane(points, shares[i % TILES], shares[TILES - 1 - Math.floor(i / TILES)]))
    ), (made) => {
      tiles = made;
      const canvas = h("canvas", { width: TILES * side, height: TILES * side });
      made.forEach((each, i) => paint(canvas, each, side, (i % TILES) * side, Math.floor(i / TILES) * side));
      put(mosaic, "href", canvas.toDataURL());
    });
  }

  function drawStrip() {
    const [from, to] = ends();
    put(line, "d", `M${fig.toX(from[0])} ${fig.toY(from[1])}L${fig.toX(to[0])} ${fig.toY(to[1])}`);
    if (!generator) return;
    const [a, b] = [from, to].map((corner) => inPlane(points, ...corner));
    const shares = linspace(0, 1, STRIP);
    cancel.strip?.();
    stripImages = [];
    cancel.strip = gradually(STRIP, (i) => generator.image(inPlane([a, b, a], shares[i], 0)), (made) => {
      stripImages = made;
      strip.getContext("2d").clearRect(0, 0, strip.width, strip.height);
      made.forEach((each, i) => paint(strip, each, generator.side, i * (generator.side + GAP), 0));
      put(strip, "aria-label", `${STRIP} samples along the straight line from ${get("line")}; seeds ${seedsText()}.`);
    });
    numbers.line.set(distanceOf(a, b));
  }

  /** Show the point's new place; once, however many settings have changed. */
  function update() {
    if (queued) return;
    queued = true;
    queueMicrotask(() => {
      queued = false;
      drawPoint();
    });
  }

  function drawPoint() {
    const [u, v] = [get("s"), get("t")];
    const spot = `s ${shown(u, 2)}, t ${shown(v, 2)}`;
    grip.set(u, v, spot);
    const [[u0, v0], [u1, v1]] = ends();
    const share = ((u - u0) * (u1 - u0) + (v - v0) * (v1 - v0)) / ((u1 - u0) ** 2 + (v1 - v0) ** 2);
    along.set(Math.min(1, Math.max(0, share)));
    if (!generator) {
      fig.describe(`The plane through the latent points A, B and C, empty: the generator is not loaded. At ${spot}.`);
      for (const canvas of [...cells.map((each) => each.canvas), strip]) {
        put(canvas, "aria-label", "Empty: the generator is not loaded");
      }
      p.say("The generator is not loaded yet: nothing is drawn, and nothing can be moved.");
      return;
    }
    z = inPlane(points, u, v);
    image = generator.image(z);
    found = nearest(image, digits.pixels, NEIGHBOURS).map((each) => ({ ...each, label: digits.labels[each.index] }));
    const size = image.length;
    cells.forEach(({ canvas, text }, i) => {
      const { index, distance, label } = found[i - 1] ?? {};
      const values = i
        ? Float64Array.from(digits.pixels.subarray(index * size, (index + 1) * size), (level) => level / 255)
        : image;
      paint(canvas, values, generator.side, 0, 0);
      text.textContent = i ? `: a ${label}, at ${shown(distance, 2)}` : "";
      put(canvas, "aria-label", i ? `Training digit ${index}, a ${label}, at distance ${shown(distance, 2)}`
        : `The sample at ${spot}; its nearest training digit is a ${found[0].label}`);
      if (i) numbers.distances[i - 1].set(distance, `(a ${label})`);
    });
    const beyond = outside(z, generator.low, generator.high);
    numbers.length.set(Math.sqrt(z.reduce((sum, value) => sum + value * value, 0)));
    numbers.outside.set(beyond, `of ${generator.dim}`);
    fig.describe(`The plane through the latent points A, B and C (seeds ${seedsText()}): ${TILES} by ${TILES} samples, `
      + `s and t from ${shown(LOW, 2)} to ${shown(HIGH, 2)}. The point stands at ${spot}.`);
    const count = digits.labels.length.toLocaleString("en-US");
    const near = found.map(({ label, distance, index }) => `a ${label} (number ${index}) at ${shown(distance, 2)}`);
    p.say(
      `At ${spot}, seeds ${seedsText()}: ${beyond} of the ${generator.dim} coordinates of z lie outside the prior’s `
        + `range, ${shown(generator.low, 2)} to ${shown(generator.high, 2)}. Nearest to the sample among the ${count} `
        + `training digits, by Euclidean distance of pixels from 0 to 1: ${near.join(", ")}.`,
      grip.dragging,
    );
  }

  function seedsText() {
    return names.map((name) => `${name} ${get(`seed_${name.toLowerCase()}`)}`).join(", ");
  }

  p.root.inspect = () => ({
    iteration: generator?.iteration,
    points: points.map((each) => [...each]),
    z: z && [...z],
    image: image && [...image],
    neighbours: found,
    strip: stripImages.map((each) => [...each]),
    tiles: tiles.map((each) => [...each]),
  });
  enable(false);
  drawStrip();
  drawPoint();
  return () => Object.values(cancel).forEach((stop) => stop());
}

export default { render };
