import { linspace, softplus } from "./lib/numbers.js";

export const LIMIT = 5; // of every position
export const GRID = linspace(-16, 16, 3201);
export const CELL = 0.01;
const ROOT = Math.sqrt(2 * Math.PI);
// An interval's ends lie on grid points: which side they belong to must not depend on rounding.
const NUDGE = 1e-9;

/**
 * A density on the grid, summing (times the cell) to one: { p, log, slope, lost }, with its logarithm, the logarithm's
 * slope and the mass that the grid cut off. shape: { kind, at, width, share, second }.
 */
export function density(shape) {
  const { kind, width } = shape;
  const parts = humps(shape);
  const p = new Float64Array(GRID.length);
  const slope = new Float64Array(GRID.length);
  for (let i = 0; i < p.length; i += 1) {
    let change = 0;
    for (const [at, weight] of parts) {
      const far = GRID[i] - at;
      if (kind === "uniform") {
        if (far >= -width - NUDGE && far < width - NUDGE) p[i] += weight / (2 * width);
      } else {
        const term = (weight / (width * ROOT)) * Math.exp((-0.5 * far * far) / (width * width));
        p[i] += term;
        change -= (term * far) / (width * width);
      }
    }
    slope[i] = p[i] > 0 && kind === "gaussian" ? change / p[i] : NaN;
  }
  const mass = p.reduce((sum, each) => sum + each, 0) * CELL;
  for (let i = 0; i < p.length; i += 1) p[i] /= mass;
  return { p, log: p.map(Math.log), slope, lost: 1 - mass };
}

/** Positions and weights of a density's humps. */
export function humps({ at, share, second }) {
  return share > 0 ? [[at, 1 - share], [second, share]] : [[at, 1]];
}

/** Height of the first hump alone, by its width: the top of a handle, and back again (it is its own inverse). */
export const peak = (kind, width) => (kind === "uniform" ? 0.5 / width : 1 / (width * ROOT));

/** D* on the grid; not a number where both densities are zero. */
export function optimal(data, model) {
  return data.p.map((p, i) => (p + model.p[i] > 0 ? p / (p + model.p[i]) : NaN));
}

/** KL(p || q), infinite where q has no mass and p has. */
export function klDivergence(p, q) {
  return Math.max(0, CELL * total((i) => (p.p[i] > 0 ? p.p[i] * (p.log[i] - q.log[i]) : 0)));
}

/** JSD(p || q), in [0, log 2]. */
export function jsDivergence(p, q) {
  let [first, second] = [0, 0];
  for (let i = 0; i < GRID.length; i += 1) {
    const log = Math.log((p.p[i] + q.p[i]) / 2);
    if (p.p[i] > 0) first += p.p[i] * (p.log[i] - log);
    if (q.p[i] > 0) second += q.p[i] * (q.log[i] - log);
  }
  return Math.min(Math.LN2, Math.max(0, (CELL * (first + second)) / 2));
}

/** C(G) = V(D*, G), from the definition; the logarithms are the densities', because D* itself rounds to 1. */
export function bestValue(data, model) {
  const sum = total((i) => {
    const log = Math.log(data.p[i] + model.p[i]);
    return (data.p[i] > 0 ? data.p[i] * (data.log[i] - log) : 0)
      + (model.p[i] > 0 ? model.p[i] * (model.log[i] - log) : 0);
  });
  return Math.min(0, CELL * sum);
}

/** The logit at x of D(x) = sigmoid(logit(level) + slope x). */
export const ownLogit = ({ level, slope }, x) => Math.log(level) - Math.log1p(-level) + slope * x;

/** V(D, G) of that D. */
export function ownValue(own, data, model) {
  return -CELL * total((i) => {
    const t = ownLogit(own, GRID[i]);
    return data.p[i] * softplus(-t) + model.p[i] * softplus(t);
  });
}

/**
 * d/ds at s = 0 of E log(1 - D*(x)) and of E[-log D*(x)] over x ~ p_g(x - s), D* held fixed: { minimax, other }. Not
 * numbers for uniform densities, whose D* has no slope.
 */
export function gradients(data, model) {
  let [minimax, other, minimaxSize, otherSize] = [0, 0, 0, 0];
  for (let i = 0; i < GRID.length; i += 1) {
    const pull = (-model.p[i] * (data.slope[i] - model.slope[i])) / (data.p[i] + model.p[i]);
    minimax += data.p[i] * pull;
    other += model.p[i] * pull;
    minimaxSize += Math.abs(data.p[i] * pull);
    otherSize += Math.abs(model.p[i] * pull);
  }
  // Where left and right balance, what is left is rounding.
  const settle = (sum, size) => (Math.abs(sum) < 1e-13 * size ? 0 : sum * CELL);
  return { minimax: settle(minimax, minimaxSize), other: settle(other, otherSize) };
}

/**
 * JSD and gradients over the position of p_g's first hump: { at, jsd, minimax, other }. p_g is shifted as a whole; what
 * would bring its second hump out of [-5, 5] is left out (not a number).
 */
export function sweep(data, shape, count = 81) {
  const at = linspace(-LIMIT, LIMIT, count);
  const found = { at, jsd: at.map(() => NaN), minimax: at.map(() => NaN), other: at.map(() => NaN) };
  at.forEach((place, n) => {
    const second = shape.second + place - shape.at;
    if (shape.share > 0 && Math.abs(second) > LIMIT + NUDGE) return;
    const model = density({ ...shape, at: place, second });
    found.jsd[n] = jsDivergence(data, model);
    if (shape.kind === "uniform") return;
    const { minimax, other } = gradients(data, model);
    found.minimax[n] = minimax;
    found.other[n] = other;
  });
  return found;
}

function total(term) {
  let sum = 0;
  for (let i = 0; i < GRID.length; i += 1) sum += term(i);
  return sum;
}
