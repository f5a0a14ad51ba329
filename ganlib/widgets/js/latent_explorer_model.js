import { fromHalf } from "./lib/assets.js";
import { random } from "./lib/random.js";

const EPSILON = 1e-5; // torch's batch normalisation
const READERS = {
  F16: (view, at, count) => Float64Array.from(fromHalf(view, at, count)),
  F32: (view, at, count) => Float64Array.from({ length: count }, (_, i) => view.getFloat32(at + 4 * i, true)),
  U8: (view, at, count) => new Uint8Array(view.buffer, view.byteOffset + at, count),
};

/** A safetensors file: { metadata, tensors }, tensors by name as { shape, values }. Other types are left out. */
export function readTensors(view) {
  const start = 8 + Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + 8, start - 8)));
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: range }] of Object.entries(header)) {
    if (!READERS[dtype]) continue;
    tensors[name] = { shape, values: READERS[dtype](view, start + range[0], shape.reduce((a, b) => a * b, 1)) };
  }
  return { metadata: header.__metadata__ ?? {}, tensors };
}

/** What gzip packed. */
export async function unzip(view) {
  const stream = new Blob([view]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new DataView(await new Response(stream).arrayBuffer());
}

/**
 * The generator of a run with DCGAN's networks, from the weights that ganlib saved: z -> image in [0, 1]. Batch
 * normalisation, with its running statistics, is folded into the weights before it.
 */
export class DcganGenerator {
  constructor(view) {
    const { metadata, tensors } = readTensors(view);
    const { settings, iteration } = JSON.parse(metadata.ganlib);
    const { nets, latent_law: law } = settings;
    if (nets !== "dcgan" || law !== "uniform") throw new Error(`nets=${nets} with a ${law} prior is not known here`);
    this.run = settings.name;
    this.iteration = iteration;
    this.low = settings.latent_low;
    this.high = settings.latent_high;
    this.layers = [];
    const get = (name) => tensors[`generator.layers.${name}`];
    for (let n = 0; get(`${n}.weight`); n += 3) this.layers.push(folded(get, n));
    this.dim = this.layers[0].inputs;
    this.side = this.layers.reduce((side, layer, i) => (i === 0 ? layer.kernel : 2 * side), 1);
  }

  /** z, `dim` numbers, as an image of side * side pixels in [0, 1], row by row. */
  image(z) {
    let x = z;
    let side = 1;
    this.layers.forEach((layer, i) => {
      x = i === 0 ? spread(x, layer) : doubled(x, side, layer);
      side = i === 0 ? layer.kernel : 2 * side;
      if (i < this.layers.length - 1) for (let j = 0; j < x.length; j += 1) if (x[j] < 0) x[j] = 0;
    });
    return x.map((value) => Math.tanh(value) / 2 + 0.5);
  }

  /** A latent point from a seed, uniform on the prior's cube. */
  point(seed) {
    const rng = random(seed);
    return Float64Array.from({ length: this.dim }, () => this.low + (this.high - this.low) * rng.uniform());
  }
}

/** The transposed convolution at `n`, with the batch normalisation behind it, if there is one. */
function folded(get, n) {
  const { shape: [inputs, outputs, kernel], values } = get(`${n}.weight`);
  const weights = Float64Array.from(values);
  const bias = new Float64Array(outputs);
  const area = kernel * kernel;
  const norm = (name) => get(`${n + 1}.${name}`)?.values;
  if (norm("running_mean")) {
    for (let c = 0; c < outputs; c += 1) {
      const scale = norm("weight")[c] / Math.sqrt(norm("running_var")[c] + EPSILON);
      bias[c] = norm("bias")[c] - norm("running_mean")[c] * scale;
      for (let i = 0; i < inputs; i += 1) {
        for (let k = 0; k < area; k += 1) weights[(i * outputs + c) * area + k] *= scale;
      }
    }
  }
  return { inputs, outputs, kernel, weights, bias };
}

/** The first layer: every number of z spreads over whole feature maps. */
function spread(z, { inputs, outputs, kernel, weights, bias }) {
  const area = kernel * kernel;
  const size = outputs * area;
  const out = Float64Array.from({ length: size }, (_, j) => bias[Math.floor(j / area)]);
  for (let i = 0; i < inputs; i += 1) {
    const [value, at] = [z[i], i * size];
    for (let j = 0; j < size; j += 1) out[j] += value * weights[at + j];
  }
  return out;
}

/** A transposed convolution with kernel 4, stride 2 and padding 1: the side doubles. */
function doubled(x, side, { inputs, outputs, kernel, weights, bias }) {
  const wide = 2 * side;
  const out = Float64Array.from({ length: outputs * wide * wide }, (_, j) => bias[Math.floor(j / (wide * wide))]);
  for (let i = 0; i < inputs; i += 1) {
    for (let c = 0; c < outputs; c += 1) {
      for (let k = 0; k < kernel * kernel; k += 1) {
        const weight = weights[(i * outputs + c) * kernel * kernel + k];
        const down = Math.floor(k / kernel) - 1;
        const right = (k % kernel) - 1;
        const first = right < 0 ? 1 : 0; // the padding cuts what would lie outside
        const last = 2 * (side - 1) + right < wide ? side : side - 1;
        for (let row = 0; row < side; row += 1) {
          const to = 2 * row + down;
          if (to < 0 || to >= wide) continue;
          const from = (i * side + row) * side;
          const target = (c * wide + to) * wide + right;
          for (let column = first; column < last; column += 1) out[target + 2 * column] += weight * x[from + column];
        }
      }
    }
  }
  return out;
}

/** The point a + s (b - a) + t (c - a) of the plane through three points. */
export function inPlane([a, b, c], s, t) {
  return a.map((value, i) => value + s * (b[i] - value) + t * (c[i] - value));
}

/** How many numbers of z lie outside [low, high]. */
export function outside(z, low, high) {
  return z.reduce((count, value) => count + (value < low || value > high ? 1 : 0), 0);
}

/** The Euclidean distance of two points. */
export function distanceOf(a, b) {
  return Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0));
}

/**
 * The `count` examples nearest to an image in pixel space, nearest first: [{ index, distance }]. `pixels` are bytes,
 * example after example; 255 is white.
 */
export function nearest(image, pixels, count) {
  const size = image.length;
  const scaled = image.map((value) => 255 * value);
  const best = [];
  let limit = Infinity;
  for (let index = 0; index * size < pixels.length; index += 1) {
    const at = index * size;
    let sum = 0;
    for (let j = 0; j < size && sum < limit;) {
      for (const end = Math.min(size, j + 56); j < end; j += 1) {
        const difference = scaled[j] - pixels[at + j];
        sum += difference * difference;
      }
    }
    if (sum >= limit) continue;
    let place = best.length;
    while (place > 0 && best[place - 1].sum > sum) place -= 1;
    best.splice(place, 0, { index, sum });
    best.length = Math.min(best.length, count);
    if (best.length === count) limit = best[count - 1].sum;
  }
  return best.map(({ index, sum }) => ({ index, distance: Math.sqrt(sum) / 255 }));
}
