/** f'(t) = sigmoid(-t) for f(t) = -log(1 + exp(-t)). */
export function slope(t) {
  return t < 500 ? 1 / (1 + Math.exp(t)) : Math.exp(-t);
}

/** The updates of ganlib.dirac.trajectory: { theta, psi, radius }, each of steps + 1 numbers, the start first. */
export function trajectory(steps, { start, lr, gamma, alternating }) {
  const theta = new Float64Array(steps + 1);
  const psi = new Float64Array(steps + 1);
  [theta[0], psi[0]] = start;
  for (let i = 0; i < steps; i += 1) {
    const next = psi[i] + lr * (slope(theta[i] * psi[i]) * theta[i] - gamma * psi[i]);
    const seen = alternating ? next : psi[i];
    theta[i + 1] = theta[i] - lr * slope(theta[i] * seen) * seen;
    psi[i + 1] = next;
  }
  return { theta, psi, radius: theta.map((each, i) => Math.hypot(each, psi[i])) };
}

/** Largest modulus of the eigenvalues of one step's Jacobian at the equilibrium, where f' is 1/2. */
export function largestModulus({ lr, gamma, alternating }) {
  const determinant = 1 - lr * gamma + (alternating ? 0 : (lr * lr) / 4);
  const half = (2 - lr * gamma - (alternating ? (lr * lr) / 4 : 0)) / 2;
  const under = half * half - determinant;
  // A complex pair has the determinant as the square of its modulus.
  return under < 0 ? Math.sqrt(determinant) : Math.abs(half) + Math.sqrt(under);
}

/** Where both players want to go from (theta, psi), as they would in very small steps. */
export function direction(theta, psi, gamma) {
  const s = slope(theta * psi);
  return [-s * psi, s * theta - gamma * psi];
}

/** The next round limit of an axis above `value`, at least the first. */
export function span(value) {
  const limits = [3.5, 5, 7, 10, 15, 20, 30, 50, 70, 100, 200, 500, 1000];
  return limits.find((each) => each >= value) ?? 10 ** Math.ceil(Math.log10(value));
}
