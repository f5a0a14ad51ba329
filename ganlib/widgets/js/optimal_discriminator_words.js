import { shown } from "./lib/numbers.js";
import { GRID, humps } from "./optimal_discriminator_model.js";

/** What the three figures show, and all of it together: { densities, divergence, gradients, all }. */
export function sentences(data, model, values, best, own) {
  const shapes = `p_data: ${form(data)}; p_g: ${form(model)}.`;
  const heights = [data.at, model.at].filter((at, i, all) => all.indexOf(at) === i)
    .map((at) => `${shown(nearest(best, at))} at x = ${shown(at, 2)}`).join(" and ");
  const missing = best.some(Number.isNaN) ? " Where both densities are zero D* is undefined, and not drawn." : "";
  const seen = `D* is ${heights}.${missing}`;
  const line = own.slope === 0
    ? `the constant ${shown(own.level, 2)}` : `${shown(own.level, 2)} at 0, slope of the logit ${shown(own.slope, 2)}`;
  const isSmooth = Number.isFinite(values.minimax);
  const pulls = `${shown(values.minimax)} of log(1 − D*), ${shown(values.other)} of −log D*`;
  return {
    densities: `${shapes} ${seen} Your D: ${line}.`,
    divergence: `JSD over the position of p_g, between 0 and log 2: now ${shown(values.jsd)} at ${shown(model.at, 2)}. `
      + `V of your D is ${shown(values.own)}.`,
    gradients: isSmooth ? `Both generator gradients over the position of p_g: now ${pulls}.`
      : "Generator gradients: none is defined for uniform densities.",
    all: `${shapes} ${seen} C(G) is ${shown(values.cost)}${height(values.jsd)}. V of your D, ${line}, is lower by ${
      shown(values.gap)}. ${infinite(values)}${
      isSmooth ? `Gradients: ${pulls}. ${direction(values)}` : "No gradient is defined."}`,
  };
}

function form(shape) {
  const places = humps(shape).map(([at, weight]) => (
    `${shown(at, 2)}${weight < 1 ? ` (share ${shown(weight, 2)})` : ""}`
  ));
  const name = shape.kind === "uniform" ? "uniform" : "Gaussian";
  return `${name} at ${places.join(" and ")}, width ${shown(shape.width, 2)}`;
}

function nearest(best, x) {
  return best[Math.round((x - GRID[0]) / (GRID[1] - GRID[0]))];
}

function height(jsd) {
  if (jsd < 1e-9) return " = −log 4, as low as it gets: the generator is perfect";
  if (jsd > Math.LN2 - 1e-9) return ", as high as it gets: JSD is log 2, no x is in doubt";
  return `: twice the JSD, ${shown(jsd)}, above −log 4`;
}

function infinite({ forward, backward }) {
  const names = [[forward, "KL(p_data ‖ p_g)"], [backward, "KL(p_g ‖ p_data)"]]
    .filter(([value]) => value === Infinity).map(([, name]) => name);
  return names.length ? `Infinite: ${names.join(" and ")}. ` : "";
}

function direction({ minimax, other }) {
  if (Math.abs(minimax) < 1e-9 && Math.abs(other) < 1e-9) return "A shift gains nothing.";
  if (minimax * other < 0) return "The two losses disagree about the direction.";
  const isSaturated = Math.abs(minimax) < 0.05 * Math.abs(other);
  return `Descent moves p_g to the ${other > 0 ? "left" : "right"}${
    isSaturated ? "; log(1 − D*) has saturated and hardly pulls" : ""}.`;
}
