import { shown } from "./lib/numbers.js";
import { direction } from "./dirac_gan_model.js";

const ACROSS = 13; // arrows in each direction

/** Arrows of one length along `direction`, as the path of an SVG element, on axes from -limit to limit. */
export function arrows(fig, limit, gamma) {
  const length = (fig.toX(limit) - fig.toX(-limit)) / ACROSS / 2.6;
  const at = (x, y) => `${x.toFixed(1)} ${y.toFixed(1)}`;
  let d = "";
  for (let i = 0; i < ACROSS * ACROSS; i += 1) {
    const place = [i % ACROSS, Math.floor(i / ACROSS)].map((each) => limit * ((2 * each + 1) / ACROSS - 1));
    const [a, b] = direction(...place, gamma);
    const size = Math.hypot(a, b);
    if (size < 1e-12) continue;
    // On the screen psi points up, against y.
    const [u, v] = [(a / size) * length, (-b / size) * length];
    const [x, y] = [fig.toX(place[0]) + u, fig.toY(place[1]) + v];
    d += `M${at(x - 2 * u, y - 2 * v)}L${at(x, y)}`;
    d += `M${at(x - 0.6 * u - 0.4 * v, y - 0.6 * v + 0.4 * u)}L${at(x, y)}`;
    d += `L${at(x - 0.6 * u + 0.4 * v, y - 0.6 * v - 0.4 * u)}`;
  }
  return d;
}

/** A plus at the equilibrium. */
export function plus(fig) {
  const [x, y] = [fig.toX(0), fig.toY(0)];
  return `M${x - 7} ${y}h14M${x} ${y - 7}v14`;
}

/** A circle for the first run, a square for the second. */
export function marker(i, x, y) {
  const [u, v] = [x.toFixed(2), y.toFixed(2)];
  return i === 0 ? `M${u} ${v}m-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0` : `M${u} ${v}m-5 -5h10v10h-10z`;
}

/** What the largest modulus of the eigenvalues means, in a word. */
export function verdict(modulus) {
  if (Math.abs(modulus - 1) < 1e-12) return "(neither)";
  return modulus > 1 ? "(unstable)" : "(stable)";
}

/** The same in a sentence. */
export function judged({ modulus }) {
  if (Math.abs(modulus - 1) < 1e-12) {
    return "Near the equilibrium a step neither grows nor shrinks a deviation: it keeps circling.";
  }
  return modulus > 1
    ? `Near the equilibrium every step pushes away, by a factor of ${shown(modulus, 5)}: unstable.`
    : `Near the equilibrium every step pulls in, by a factor of ${shown(modulus, 5)}: stable.`;
}
