import { sigmoid, softplus } from "./lib/numbers.js";
import { Adam, Mlp } from "./lib/nets.js";
import { random } from "./lib/random.js";
import { breadth, draw, EDGE, evaluation, latents, mixture, SAMPLES, SEEN, SHOWN } from "./playground_data.js";
import {
  countModes, density, divergence, FINE, GRID, histogram, KERNEL, logDensity, middle,
} from "./playground_measure.js";

/** Samples from which D* knows p_g in a step of G against it. */
const CROWD = 256;

/** Derivative of one sample's generator loss by D's logit. */
const byLogit = { minimax: (t) => -sigmoid(t), "non-saturating": (t) => -sigmoid(-t) };
const generatorLoss = { minimax: (t) => -softplus(t), "non-saturating": (t) => softplus(-t) };

/** Two multilayer perceptrons at Algorithm 1, an update at a time. `settings` are the widget's, read each time. */
export class Game {
  constructor(settings) {
    this.settings = settings;
    this.reset();
  }

  reset() {
    const { seed, hidden, latent } = this.settings;
    this.rng = random(seed);
    this.D = new Mlp([2, hidden, hidden, 1], "tanh", this.rng);
    this.G = new Mlp([latent, hidden, hidden, 2], "tanh", this.rng, { last: 0.5 });
    this.adamD = new Adam(this.D.weights.length);
    this.adamG = new Adam(this.G.weights.length);
    Object.assign(this, { iterations: 0, dUpdates: 0, gUpdates: 0, position: 0, lastD: null, lastG: null });
    this.load();
  }

  /** Other data for the same nets. */
  load() {
    const { data, points, latent, seed } = this.settings;
    this.data = mixture(data, points);
    this.evaluation = evaluation(this.data, latent, seed);
    this.wide = this.data && Math.hypot(this.data.std, KERNEL);
    this.breadth = this.data && breadth(this.data);
    this.truth = this.data && density(this.data.centres, this.data.count, this.wide);
    this.work = new Float64Array(Math.max(SEEN, this.data?.count ?? 0));
  }

  /** The next update of Algorithm 1: k of D, then those of G. False if there are no data or nobody is to move. */
  update() {
    const { k, g_steps: g } = this.settings;
    if (!this.data || k + g === 0) return false;
    if (this.position < k) this.updateD();
    else if (g > 0) this.updateG();
    this.position += 1;
    if (this.position >= k + g) {
      this.position = 0;
      this.iterations += 1;
    }
    return true;
  }

  /** What is left of the iteration that has begun, or a whole one. */
  iterate() {
    const before = this.iterations;
    while (this.iterations === before && this.update());
  }

  buffers(name, sizes) {
    const old = this[name];
    if (old && Object.entries(sizes).every(([key, size]) => old[key].length === size)) return old;
    this[name] = Object.fromEntries(Object.entries(sizes).map(([key, size]) => [key, new Float64Array(size)]));
    return this[name];
  }

  /** `count` samples: EDGE tanh(net / EDGE), so that none leaves the square. */
  generate(z, count) {
    const x = this.G.forward(z, count);
    for (let i = 0; i < x.length; i += 1) x[i] = EDGE * Math.tanh(x[i] / EDGE);
    return x;
  }

  updateD() {
    if (!this.data) return;
    const { m, latent, d_lr: rate, perfect } = this.settings;
    const { real, z, both, slopes } = this.buffers("lastD", { real: 2 * m, z: latent * m, both: 4 * m, slopes: 2 * m });
    draw(this.data, this.rng, real);
    both.set(real);
    if (perfect) draw(this.data, this.rng, both.subarray(2 * m));
    else both.set(this.generate(latents(this.rng, z), m), 2 * m);
    const logits = this.D.forward(both, 2 * m);
    let loss = 0;
    for (let i = 0; i < m; i += 1) {
      slopes[i] = -sigmoid(-logits[i]) / m;
      slopes[m + i] = sigmoid(logits[m + i]) / m;
      loss += (softplus(-logits[i]) + softplus(logits[m + i])) / m;
    }
    this.lossD = loss;
    this.D.gradient.fill(0);
    this.D.backward(slopes, 2 * m, { inputs: false });
    this.adamD.step(this.D.weights, this.D.gradient, rate);
    this.dUpdates += 1;
  }

  updateG() {
    const { m, latent, g_lr: rate, perfect, critic } = this.settings;
    if (!this.data || perfect) return;
    const { z, crowd } = this.buffers("lastG", { z: latent * m, crowd: critic === "optimal" ? latent * CROWD : 0 });
    const known = crowd.length ? this.generate(latents(this.rng, crowd), CROWD).slice() : null;
    const x = this.generate(latents(this.rng, z), m);
    const { loss, slopes } = this.judge(x, m, known, CROWD);
    this.lossG = loss;
    for (let i = 0; i < slopes.length; i += 1) slopes[i] *= (1 - (x[i] / EDGE) ** 2) / m;
    this.G.gradient.fill(0);
    this.G.backward(slopes, m, { inputs: false });
    this.adamG.step(this.G.weights, this.G.gradient, rate);
    this.gUpdates += 1;
  }

  /**
   * The generator's mean loss at `count` samples, and the gradient of each sample's loss by the sample, as the critic
   * in force sees it: the learned D, or D* with p_g known from the samples `known`.
   */
  judge(x, count, known, crowd) {
    const kind = this.settings.loss;
    let loss = 0;
    if (!known) {
      const logits = this.D.forward(x, count);
      const { slopes } = this.buffers("judged", { slopes: count });
      for (let i = 0; i < count; i += 1) {
        loss += generatorLoss[kind](logits[i]) / count;
        slopes[i] = byLogit[kind](logits[i]);
      }
      return { loss, slopes: this.D.backward(slopes, count, { weights: false }) };
    }
    const slopes = new Float64Array(2 * count);
    const { centres, count: modes } = this.data;
    for (let i = 0; i < count; i += 1) {
      const [real, realX, realY] = logDensity(x[2 * i], x[2 * i + 1], centres, modes, this.wide, this.work);
      const [fake, fakeX, fakeY] = logDensity(x[2 * i], x[2 * i + 1], known, crowd, KERNEL, this.work);
      const by = byLogit[kind](real - fake);
      loss += generatorLoss[kind](real - fake) / count;
      slopes[2 * i] = by * (realX - fakeX);
      slopes[2 * i + 1] = by * (realY - fakeY);
    }
    return { loss, slopes };
  }

  /** The first `count` of the generator's fixed samples; the perfect generator returns the data's. */
  samples(count) {
    if (this.settings.perfect) return this.evaluation.real.slice(0, 2 * count);
    return this.generate(this.evaluation.z, count).slice();
  }

  /** What the pictures show: D and D* in every cell, samples, and the generator's gradient at the first of them. */
  look() {
    const samples = this.samples(SEEN);
    const learned = this.D.forward(GRID, FINE * FINE).map(sigmoid);
    const fake = density(samples, SEEN, KERNEL);
    const optimal = this.truth.map((p, n) => p / (p + fake[n]));
    const known = this.settings.critic === "optimal" ? samples : null;
    const { loss, slopes } = this.judge(samples.subarray(0, 2 * SHOWN), SHOWN, known, SEEN);
    return { samples, learned, optimal, fake, loss, slopes: slopes.slice() };
  }

  /** Every number, from the fixed samples. */
  measure({ learned, optimal, fake, slopes, loss, samples: seen }) {
    const samples = this.samples(SAMPLES);
    const { real, other } = this.evaluation;
    const shares = histogram(real);
    const mean = (values) => values.reduce((sum, each) => sum + each, 0) / values.length;
    const onReal = this.D.forward(real, SEEN).slice();
    const onFake = this.D.forward(seen, SEEN).slice();
    let centre = [0, 0];
    for (let n = 0; n < samples.length; n += 2) {
      centre = [centre[0] + samples[n] / SAMPLES, centre[1] + samples[n + 1] / SAMPLES];
    }
    const highest = learned.indexOf(Math.max(...learned));
    const top = [middle(highest % FINE), middle(Math.floor(highest / FINE))];
    let [spread, away, gap, weight, steepness] = [0, 0, 0, 0, 0];
    for (let n = 0; n < samples.length; n += 2) {
      spread += ((samples[n] - centre[0]) ** 2 + (samples[n + 1] - centre[1]) ** 2) / SAMPLES;
      away += Math.hypot(samples[n] - top[0], samples[n + 1] - top[1]) / SAMPLES;
    }
    for (let n = 0; n < learned.length; n += 1) {
      const both = this.truth[n] + fake[n];
      if (!(both > 0)) continue;
      gap += both * Math.abs(learned[n] - optimal[n]);
      weight += both;
    }
    for (let n = 0; n < slopes.length; n += 2) steepness += Math.hypot(slopes[n], slopes[n + 1]) / SHOWN;
    return {
      ...countModes(samples, this.data),
      jsd: divergence(shares, histogram(samples)),
      floor: divergence(shares, histogram(other)),
      value: -mean(onReal.map((t) => softplus(-t))) - mean(onFake.map(softplus)),
      onReal: mean(onReal.map(sigmoid)),
      onFake: mean(onFake.map(sigmoid)),
      highest: learned[highest],
      top,
      spread: Math.sqrt(spread),
      away,
      gap: gap / weight,
      steepness,
      loss,
    };
  }
}
