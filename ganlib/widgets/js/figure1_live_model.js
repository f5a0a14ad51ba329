import { Adam, Mlp } from "./lib/nets.js";
import { linspace, sigmoid, softplus } from "./lib/numbers.js";
import { random } from "./lib/random.js";

// The grid of the chapter on Algorithm 1: 100 cells on [-5, 5], each represented by its midpoint.
const EDGE = 5;
const CELLS = 100;
const CELL = (2 * EDGE) / CELLS;
/** Midpoints of the cells. */
export const GRID = linspace(-EDGE + CELL / 2, EDGE - CELL / 2, CELLS);
const TINY_Z = 1e-6; // z is kept this far from 0 and 1, where its logit is infinite
const LATENTS = 1001;
const LATENT_EDGE = Math.log((1 - TINY_Z) / TINY_Z);
const LOGITS = linspace(-LATENT_EDGE, LATENT_EDGE, LATENTS);
const LOG4 = Math.log(4);

const bell = (x, centre, std) => Math.exp(-(((x - centre) / std) ** 2) / 2) / (std * Math.sqrt(2 * Math.PI));

/** What there is to learn: densities and how to draw from them. */
export const LAWS = {
  gaussian: {
    text: "N(0, 1)",
    density: (x) => bell(x, 0, 1),
    draw: (rng) => rng.normal(),
    mean: 0,
    std: 1,
  },
  "two gaussians": {
    text: "two Gaussians, at \u22122 and 2",
    density: (x) => (bell(x, -2, 0.6) + bell(x, 2, 0.6)) / 2,
    draw: (rng) => (rng.uniform() < 0.5 ? -2 : 2) + 0.6 * rng.normal(),
    mean: 0,
    std: Math.sqrt(4.36),
  },
  uniform: {
    text: "uniform on (\u22122, 2)",
    density: (x) => (Math.abs(x) < 2 ? 1 / 4 : 0),
    draw: (rng) => 4 * rng.uniform() - 2,
    mean: 0,
    std: Math.sqrt(4 / 3),
  },
};

/** log z - log(1 - z), with z kept 1e-6 away from 0 and 1. */
export function logit(z) {
  const inside = Math.min(Math.max(z, TINY_Z), 1 - TINY_Z);
  return Math.log(inside / (1 - inside));
}

/** A generator G(z) = g(logit z) and a discriminator of one-dimensional data, trained by Algorithm 1 with Adam. */
export class Pair {
  constructor(seed, data) {
    this.rng = random(seed);
    this.data = LAWS[data];
    this.generator = new Mlp([1, 16, 16, 1], "tanh", this.rng, { gain: 0.06 });
    this.discriminator = new Mlp([1, 16, 16, 1], "tanh", this.rng, { last: 0.1 });
    this.begin(2, 0.7);
    this.gRule = new Adam(this.generator.weights.length);
    this.dRule = new Adam(this.discriminator.weights.length);
    this.iterations = 0;
    this.dSteps = 0;
    this.gSteps = 0;
    this.last = { d: null, g: null };
    const weights = GRID.map(this.data.density);
    const mass = weights.reduce((sum, p) => sum + p, 0) * CELL;
    this.pData = weights.map((p) => p / mass);
  }

  /** Make G increase in z, as in the paper's figure, with G(1/2) = `centre` and this standard deviation. */
  begin(centre, std) {
    const { layers, weights } = this.generator;
    for (const { inputs, outputs, weight } of layers) {
      for (let i = weight; i < weight + inputs * outputs; i += 1) weights[i] = Math.abs(weights[i]);
    }
    const top = layers[layers.length - 1];
    const scale = std / this.law().std;
    for (let i = top.weight; i < top.bias; i += 1) weights[i] *= scale;
    weights[top.bias] = centre - this.images([0.5])[0];
  }

  latents(m) {
    return Float64Array.from({ length: m }, () => this.rng.uniform());
  }

  /** One step of D up the gradient of V on a fresh minibatch. */
  dStep({ m, d_lr: rate }) {
    const { generator: G, discriminator: D } = this;
    const z = this.latents(m);
    const x = Float64Array.from({ length: m }, () => this.data.draw(this.rng));
    const both = new Float64Array(2 * m);
    both.set(x);
    both.set(G.forward(z.map(logit), m), m);
    const logits = D.forward(both, 2 * m);
    const slopes = new Float64Array(2 * m);
    let loss = 0;
    for (let i = 0; i < m; i += 1) {
      loss += (softplus(-logits[i]) + softplus(logits[m + i])) / m;
      slopes[i] = -sigmoid(-logits[i]) / m;
      slopes[m + i] = sigmoid(logits[m + i]) / m;
    }
    D.gradient.fill(0);
    D.backward(slopes, 2 * m);
    this.dRule.step(D.weights, D.gradient, rate);
    this.dSteps += 1;
    this.last.d = { z, x, loss };
  }

  /** One step of G down the gradient of its loss on a fresh minibatch; D does not move. */
  gStep({ m, g_lr: rate, loss: kind }) {
    const { generator: G, discriminator: D } = this;
    const z = this.latents(m);
    const logits = D.forward(G.forward(z.map(logit), m), m);
    const slopes = new Float64Array(m);
    let loss = 0;
    for (let i = 0; i < m; i += 1) {
      loss += (kind === "minimax" ? -softplus(logits[i]) : softplus(-logits[i])) / m;
      slopes[i] = -sigmoid(kind === "minimax" ? logits[i] : -logits[i]) / m;
    }
    G.gradient.fill(0);
    G.backward(D.backward(slopes, m, { weights: false }), m);
    this.gRule.step(G.weights, G.gradient, rate);
    this.gSteps += 1;
    this.last.g = { z, loss };
  }

  /** One iteration of Algorithm 1: k steps of D, then one of G. */
  iteration(settings) {
    for (let i = 0; i < settings.k; i += 1) this.dStep(settings);
    this.gStep(settings);
    this.iterations += 1;
  }

  /** G at each z, as an array of its own. */
  images(z) {
    return this.generator.forward(Float64Array.from(z, logit), z.length).slice();
  }

  /**
   * The law of G(z) with its mean and standard deviation, computed, not sampled: G at 1,001 z evenly spaced in logit z,
   * straight between neighbours. Mass beyond the grid counts in its outermost cells.
   */
  law() {
    const images = this.generator.forward(LOGITS, LATENTS);
    const density = new Float64Array(CELLS);
    let mean = 0;
    let square = 0;
    const spread = (from, to, mass) => {
      mean += (mass * (from + to)) / 2;
      square += (mass * (from * from + from * to + to * to)) / 3;
      deposit(density, Math.min(from, to), Math.max(from, to), mass / CELL);
    };
    // All z nearer to 0 than 1e-6 have one image, and so have those near 1.
    spread(images[0], images[0], TINY_Z);
    spread(images[LATENTS - 1], images[LATENTS - 1], TINY_Z);
    for (let i = 1; i < LATENTS; i += 1) spread(images[i - 1], images[i], sigmoid(LOGITS[i]) - sigmoid(LOGITS[i - 1]));
    return { density, mean, std: Math.sqrt(Math.max(0, square - mean * mean)) };
  }

  /** Everything there is to show: densities, D and D* on the grid, and the paper's quantities as Riemann sums on it. */
  measure() {
    const { density: pG, mean, std } = this.law();
    const { pData } = this;
    const logits = this.discriminator.forward(GRID, CELLS).slice();
    const d = logits.map(sigmoid);
    const dStar = pData.map((p, i) => (p + pG[i] > 0 ? p / (p + pG[i]) : NaN));
    const sums = { value: 0, cost: 0, dReal: 0, dFake: 0, distance: 0 };
    for (let i = 0; i < CELLS; i += 1) {
      const [p, q] = [pData[i], pG[i]];
      sums.value -= p * softplus(-logits[i]) + q * softplus(logits[i]);
      sums.cost += (p > 0 ? p * Math.log(p / (p + q)) : 0) + (q > 0 ? q * Math.log(q / (p + q)) : 0);
      sums.dReal += p * d[i];
      sums.dFake += q * d[i];
      if (p + q > 0) sums.distance += (Math.abs(d[i] - dStar[i]) * (p + q)) / 2;
    }
    for (const name of Object.keys(sums)) sums[name] *= CELL;
    return { ...sums, jsd: Math.max(0, (sums.cost + LOG4) / 2), mean, std, pData, pG, d, dStar, logits };
  }

  /** What a reader cannot see and a test wants to: weights, optimisers, the last minibatches and gradients. */
  inspect() {
    const player = (net, rule) => ({
      sizes: net.sizes,
      weights: [...net.weights],
      gradient: [...net.gradient],
      adam: { steps: rule.steps, mean: [...rule.mean], square: [...rule.square] },
    });
    const plain = (batch) => batch && Object.fromEntries(
      Object.entries(batch).map(([name, value]) => [name, typeof value === "number" ? value : [...value]]),
    );
    return {
      generator: player(this.generator, this.gRule),
      discriminator: player(this.discriminator, this.dRule),
      last: { d: plain(this.last.d), g: plain(this.last.g) },
    };
  }
}

/** Add `density` over [low, high] to the cells, evenly; what lies beyond the grid to the outermost ones. */
function deposit(cells, low, high, density) {
  const cellOf = (x) => Math.min(Math.max(Math.floor((x + EDGE) / CELL), 0), CELLS - 1);
  const [first, last] = [cellOf(low), cellOf(high)];
  if (first === last) {
    cells[first] += density;
    return;
  }
  for (let i = first; i <= last; i += 1) {
    const from = i === first ? low : -EDGE + i * CELL;
    const to = i === last ? high : -EDGE + (i + 1) * CELL;
    cells[i] += (density * (to - from)) / (high - low);
  }
}
