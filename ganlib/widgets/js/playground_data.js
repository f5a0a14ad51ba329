import { random } from "./lib/random.js";

/** Everything happens in the square from -EDGE to EDGE. */
export const EDGE = 1.8;
/** How many samples numbers are computed from; how many of them D* and mean D see; how many are drawn. */
export const SAMPLES = 4096;
export const SEEN = 1024;
export const SHOWN = 256;

const STD = { ring: 0.08, grid: 0.06, spiral: 0.06, moons: 0.07, drawn: 0.06 };

// Single precision, like the centres of ganlib.toys: both then have the same distribution.
const CENTRES = {
  ring: () => Array.from({ length: 8 }, (_, i) => [Math.cos((Math.PI * i) / 4), Math.sin((Math.PI * i) / 4)]),
  grid: () => Array.from({ length: 25 }, (_, i) => [(Math.floor(i / 5) - 2) / 2, ((i % 5) - 2) / 2]),
  spiral: () => Array.from({ length: 48 }, (_, i) => {
    const radius = 0.15 + (1.05 * i) / 47;
    const angle = (3.5 * Math.PI * i) / 47;
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  }),
  moons: () => Array.from({ length: 32 }, (_, i) => {
    const angle = (Math.PI * (i % 16)) / 15;
    const [x, y] = [0.8 * Math.cos(angle), 0.8 * Math.sin(angle)];
    return i < 16 ? [x - 0.4, y - 0.2] : [0.4 - x, 0.2 - y];
  }),
};

/**
 * The data: a mixture of equally likely Gaussians of one width, { centres, count, std }. Its density is known, so D*
 * can be computed. Drawn points are centres as well. Null while nothing is drawn.
 */
export function mixture(name, points) {
  const centres = Float64Array.from((name === "drawn" ? points : CENTRES[name]()).flat(), Math.fround);
  return centres.length ? { centres, count: centres.length / 2, std: STD[name] } : null;
}

/** Root mean square distance of the mixture from its mean. */
export function breadth({ centres, count, std }) {
  let [x, y, square] = [0, 0, 0];
  for (let c = 0; c < 2 * count; c += 2) {
    x += centres[c] / count;
    y += centres[c + 1] / count;
    square += (centres[c] ** 2 + centres[c + 1] ** 2) / count;
  }
  return Math.sqrt(Math.max(0, square - x * x - y * y) + 2 * std * std);
}

/** Fill `out` with samples of the mixture. */
export function draw({ centres, count, std }, rng, out) {
  for (let i = 0; i < out.length; i += 2) {
    const mode = 2 * rng.integer(count);
    out[i] = centres[mode] + std * rng.normal();
    out[i + 1] = centres[mode + 1] + std * rng.normal();
  }
  return out;
}

/** Standard normal latents in an array of this length. */
export function latents(rng, out) {
  for (let i = 0; i < out.length; i += 1) out[i] = rng.normal();
  return out;
}

/** What numbers are computed from, fixed by the seed: two sets of data, and the latents of the generator's samples. */
export function evaluation(data, latent, seed) {
  const rng = random(seed + 0x10000);
  const z = latents(rng, new Float64Array(SAMPLES * latent));
  const fresh = () => draw(data, rng, new Float64Array(2 * SAMPLES));
  return { z, real: data && fresh(), other: data && fresh() };
}
