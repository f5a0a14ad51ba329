import { EDGE } from "./playground_data.js";

/** Cells a side: of the pictures of D, and of the histograms behind the JSD. */
export const FINE = 40;
export const COARSE = 16;
/** Width of the Gaussian kernel through which D* sees p_data and p_g. */
export const KERNEL = 0.1;

/** Middle of the i-th of FINE cells. */
export const middle = (i) => -EDGE + ((i + 0.5) * 2 * EDGE) / FINE;

/** The middles of all cells, row by row from below, as points. */
export const GRID = Float64Array.from({ length: 2 * FINE * FINE }, (_, n) => {
  const cell = n >> 1;
  return middle(n % 2 ? Math.floor(cell / FINE) : cell % FINE);
});

/** Shares of the points in COARSE x COARSE cells, and as the last entry outside of them. */
export function histogram(points) {
  const shares = new Float64Array(COARSE * COARSE + 1);
  const scale = COARSE / (2 * EDGE);
  for (let n = 0; n < points.length; n += 2) {
    const i = Math.floor((points[n] + EDGE) * scale);
    const j = Math.floor((points[n + 1] + EDGE) * scale);
    const inside = i >= 0 && i < COARSE && j >= 0 && j < COARSE;
    shares[inside ? j * COARSE + i : COARSE * COARSE] += 2 / points.length;
  }
  return shares;
}

/** Jensen-Shannon divergence of two distributions over the same cells, in nats; exactly 0 where they are equal. */
export function divergence(p, q) {
  let sum = 0;
  for (let n = 0; n < p.length; n += 1) {
    const m = (p[n] + q[n]) / 2;
    if (p[n] > 0) sum += p[n] * Math.log(p[n] / m);
    if (q[n] > 0) sum += q[n] * Math.log(q[n] / m);
  }
  return Math.min(Math.max(sum / 2, 0), Math.LN2);
}

/** ganlib.metrics.modes.count_modes: a mode counts from a quarter of its fair share of samples within 3 std of it. */
export function countModes(points, { centres, count, std }) {
  const counts = new Float64Array(count);
  let good = 0;
  for (let n = 0; n < points.length; n += 2) {
    let best = Infinity;
    let mode = 0;
    for (let c = 0; c < count; c += 1) {
      const [dx, dy] = [points[n] - centres[2 * c], points[n + 1] - centres[2 * c + 1]];
      const distance = dx * dx + dy * dy;
      if (distance < best) [best, mode] = [distance, c];
    }
    if (Math.sqrt(best) <= 3 * std) {
      counts[mode] += 1;
      good += 1;
    }
  }
  const samples = points.length / 2;
  const shares = counts.map((each) => each / samples);
  return { shares, covered: shares.filter((share) => share >= 1 / (4 * count)).length, quality: good / samples };
}

/**
 * Density on GRID of equally likely Gaussians of one width: a mixture, or a kernel estimate from samples. What lies
 * more than nine widths from a Gaussian's centre along an axis is left out: less than 1e-17 of the density there.
 */
export function density(centres, count, std) {
  const out = new Float64Array(FINE * FINE);
  const along = new Float64Array(FINE);
  const norm = 1 / (count * 2 * Math.PI * std * std);
  const cell = (2 * EDGE) / FINE;
  const reach = (9 * std) / cell;
  for (let c = 0; c < count; c += 1) {
    const [x, y] = [centres[2 * c], centres[2 * c + 1]];
    const [u, v] = [(x + EDGE) / cell - 0.5, (y + EDGE) / cell - 0.5];
    const [left, right] = [Math.max(0, Math.ceil(u - reach)), Math.min(FINE - 1, Math.floor(u + reach))];
    const [low, high] = [Math.max(0, Math.ceil(v - reach)), Math.min(FINE - 1, Math.floor(v + reach))];
    for (let i = left; i <= right; i += 1) along[i] = norm * Math.exp(-((middle(i) - x) ** 2) / (2 * std * std));
    for (let j = low; j <= high; j += 1) {
      const up = Math.exp(-((middle(j) - y) ** 2) / (2 * std * std));
      const row = j * FINE;
      for (let i = left; i <= right; i += 1) out[row + i] += along[i] * up;
    }
  }
  return out;
}

/** Log density and its gradient at a point of equally likely Gaussians of one width: [log p, d/dx, d/dy]. */
export function logDensity(x, y, centres, count, std, work) {
  let top = -Infinity;
  for (let c = 0; c < count; c += 1) {
    work[c] = -((x - centres[2 * c]) ** 2 + (y - centres[2 * c + 1]) ** 2) / (2 * std * std);
    if (work[c] > top) top = work[c];
  }
  let sum = 0;
  let [px, py] = [0, 0];
  for (let c = 0; c < count; c += 1) {
    const weight = Math.exp(work[c] - top);
    sum += weight;
    px += weight * centres[2 * c];
    py += weight * centres[2 * c + 1];
  }
  const variance = std * std;
  return [top + Math.log(sum / (count * 2 * Math.PI * variance)), (px / sum - x) / variance, (py / sum - y) / variance];
}
