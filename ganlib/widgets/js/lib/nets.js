// exp(t) as an entry of a table times a short series: as exact as Math.exp to the last digit or two, in half the time.
const PARTS = 64 / Math.LN2;
const LARGEST = 40;
const CENTRE = Math.ceil(LARGEST * PARTS);
const POWERS = Float64Array.from({ length: 2 * CENTRE + 1 }, (_, n) => Math.exp((n - CENTRE) / PARTS));

/** Activations, in place, and their slopes, multiplied into `errors`, as functions of the activations' values. */
const ACTIVATIONS = {
  tanh: {
    apply(values, count) {
      for (let n = 0; n < count; n += 1) {
        const t = 2 * values[n];
        const cut = t > LARGEST ? LARGEST : t < -LARGEST ? -LARGEST : t; // tanh(20) is 1 in double precision
        const part = (cut * PARTS + CENTRE + 0.5) | 0;
        const r = cut - (part - CENTRE) / PARTS;
        const series = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r / 120))));
        values[n] = t === t ? 1 - 2 / (1 + POWERS[part] * series) : t;
      }
    },
    slope(errors, values, count) {
      for (let n = 0; n < count; n += 1) errors[n] *= 1 - values[n] * values[n];
    },
  },
  relu: {
    apply(values, count) {
      for (let n = 0; n < count; n += 1) if (values[n] < 0) values[n] = 0;
    },
    slope(errors, values, count) {
      for (let n = 0; n < count; n += 1) if (!(values[n] > 0)) errors[n] = 0;
    },
  },
  softplus: {
    apply(values, count) {
      for (let n = 0; n < count; n += 1) {
        const t = values[n];
        values[n] = Math.max(t, 0) + Math.log1p(Math.exp(-Math.abs(t)));
      }
    },
    slope(errors, values, count) {
      for (let n = 0; n < count; n += 1) errors[n] *= 1 - Math.exp(-values[n]);
    },
  },
};

/**
 * A multilayer perceptron with linear outputs. `sizes` are the units of every layer, input and output included; weights
 * start at N(0, gain / inputs), biases at 0. All parameters lie in one array `weights`, layer after layer, each as
 * (outputs, inputs) row by row and then its biases: the order of torch's Linear. `gradient` has the same layout.
 *
 * Inside, a layer's values lie unit by unit, not row by row: the inner loops then run over rows, and no sum has to wait
 * for the one before it.
 */
export class Mlp {
  constructor(sizes, activation, rng, { gain = 1, last = 1 } = {}) {
    this.sizes = sizes;
    this.activation = ACTIVATIONS[activation];
    this.layers = [];
    let offset = 0;
    for (let l = 1; l < sizes.length; l += 1) {
      const [inputs, outputs] = [sizes[l - 1], sizes[l]];
      this.layers.push({ inputs, outputs, weight: offset, bias: offset + inputs * outputs });
      offset += (inputs + 1) * outputs;
    }
    this.weights = new Float64Array(offset);
    this.gradient = new Float64Array(offset);
    this.layers.forEach(({ inputs, outputs, weight }, l) => {
      const scale = Math.sqrt(gain / inputs) * (l === this.layers.length - 1 ? last : 1);
      for (let i = 0; i < inputs * outputs; i += 1) this.weights[weight + i] = scale * rng.normal();
    });
    this.rows = 0;
  }

  room(rows) {
    if (rows <= this.rows) return;
    this.rows = rows;
    const make = () => this.sizes.map((size) => new Float64Array(rows * size));
    this.values = make();
    this.errors = make();
    this.outputs = new Float64Array(rows * this.sizes.at(-1));
    this.inputs = new Float64Array(rows * this.sizes[0]);
  }

  /** Outputs of `rows` rows of input, one after another in the array returned, which the next call reuses. */
  forward(input, rows) {
    this.room(rows);
    turn(input, rows, this.sizes[0], this.values[0]);
    this.layers.forEach(({ inputs, outputs, weight, bias }, l) => {
      const [from, to] = [this.values[l], this.values[l + 1]];
      for (let j = 0; j < outputs; j += 1) {
        to.fill(this.weights[bias + j], j * rows, (j + 1) * rows);
        combine(this.weights, weight + j * inputs, 1, inputs, from, rows, to, j * rows);
      }
      if (l < this.layers.length - 1) this.activation.apply(to, rows * outputs);
    });
    const count = this.sizes.at(-1);
    turn(this.values.at(-1), count, rows, this.outputs);
    return this.outputs.subarray(0, rows * count);
  }

  /**
   * The gradient of a sum of losses, given its gradient `outputs` by the outputs of the last `forward`, whose `rows` it
   * takes. Added to `this.gradient` unless `weights` is false; returns the gradient by the inputs, unless `inputs` is
   * false, in an array that the next call reuses.
   */
  backward(outputs, rows, { weights: wanted = true, inputs: below = true } = {}) {
    turn(outputs, rows, this.sizes.at(-1), this.errors.at(-1));
    for (let l = this.layers.length - 1; l >= 0; l -= 1) {
      const { inputs, outputs: count, weight, bias } = this.layers[l];
      const [from, errors, lower] = [this.values[l], this.errors[l + 1], this.errors[l]];
      if (wanted) {
        for (let j = 0; j < count; j += 1) {
          let sum = 0;
          for (let r = j * rows; r < (j + 1) * rows; r += 1) sum += errors[r];
          this.gradient[bias + j] += sum;
          products(errors, j * rows, from, inputs, rows, this.gradient, weight + j * inputs);
        }
      }
      if (l === 0 && !below) return null;
      for (let i = 0; i < inputs; i += 1) {
        lower.fill(0, i * rows, (i + 1) * rows);
        combine(this.weights, weight + i, inputs, count, errors, rows, lower, i * rows);
      }
      if (l > 0) this.activation.slope(lower, from, rows * inputs);
    }
    turn(this.errors[0], this.sizes[0], rows, this.inputs);
    return this.inputs.subarray(0, rows * this.sizes[0]);
  }
}

/** A matrix of `rows` by `columns` to its transpose. */
function turn(from, rows, columns, to) {
  for (let r = 0; r < rows; r += 1) for (let c = 0; c < columns; c += 1) to[c * rows + r] = from[r * columns + c];
}

/** Add to the `rows` entries of `to` from `at` the `count` lines of `from`, each times its weight: w, w + step, ... */
function combine(weights, w, step, count, from, rows, to, at) {
  let i = 0;
  for (; i + 7 < count; i += 8) {
    const v = w + i * step;
    const w0 = weights[v];
    const w1 = weights[v + step];
    const w2 = weights[v + 2 * step];
    const w3 = weights[v + 3 * step];
    const w4 = weights[v + 4 * step];
    const w5 = weights[v + 5 * step];
    const w6 = weights[v + 6 * step];
    const w7 = weights[v + 7 * step];
    const a = i * rows;
    const b = a + rows;
    const c = b + rows;
    const d = c + rows;
    const e = d + rows;
    const f = e + rows;
    const g = f + rows;
    const h = g + rows;
    for (let r = 0; r < rows; r += 1) {
      to[at + r] += w0 * from[a + r] + w1 * from[b + r] + w2 * from[c + r] + w3 * from[d + r]
        + w4 * from[e + r] + w5 * from[f + r] + w6 * from[g + r] + w7 * from[h + r];
    }
  }
  for (; i < count; i += 1) {
    const v = weights[w + i * step];
    const a = i * rows;
    for (let r = 0; r < rows; r += 1) to[at + r] += v * from[a + r];
  }
}

/** Add to `to` from `at` the inner products of one line of `errors`, from `e`, with each of the `count` of `from`. */
function products(errors, e, from, count, rows, to, at) {
  let i = 0;
  for (; i + 3 < count; i += 4) {
    const a = i * rows;
    const b = a + rows;
    const c = b + rows;
    const d = c + rows;
    let p = 0;
    let q = 0;
    let s = 0;
    let t = 0;
    for (let r = 0; r < rows; r += 1) {
      const error = errors[e + r];
      p += error * from[a + r];
      q += error * from[b + r];
      s += error * from[c + r];
      t += error * from[d + r];
    }
    to[at + i] += p;
    to[at + i + 1] += q;
    to[at + i + 2] += s;
    to[at + i + 3] += t;
  }
  for (; i < count; i += 1) {
    let p = 0;
    for (let r = 0; r < rows; r += 1) p += errors[e + r] * from[i * rows + r];
    to[at + i] += p;
  }
}

/** Adam (Kingma & Ba, 2015), torch's own form: step(weights, gradient, rate) moves the weights down the gradient. */
export class Adam {
  constructor(count, { beta1 = 0.5, beta2 = 0.999, epsilon = 1e-8 } = {}) {
    Object.assign(this, { beta1, beta2, epsilon, steps: 0 });
    this.mean = new Float64Array(count);
    this.square = new Float64Array(count);
  }

  step(weights, gradient, rate) {
    const { beta1, beta2, epsilon, mean, square } = this;
    this.steps += 1;
    const size = rate / (1 - beta1 ** this.steps);
    const root = Math.sqrt(1 - beta2 ** this.steps);
    for (let i = 0; i < weights.length; i += 1) {
      const g = gradient[i];
      mean[i] += (1 - beta1) * (g - mean[i]);
      square[i] = beta2 * square[i] + (1 - beta2) * g * g;
      weights[i] -= (size * mean[i]) / (Math.sqrt(square[i]) / root + epsilon);
    }
  }
}
