/**
 * A seeded source of random numbers (sfc32, by Chris Doty-Humphrey): uniform() in [0, 1), normal(), integer(n).
 * The same seed gives the same numbers in every browser.
 */
export function random(seed) {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = seed >>> 0;
  let count = 1;
  let spare = null;
  function next() {
    const t = (((a + b) | 0) + count) | 0;
    count = (count + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  }
  for (let i = 0; i < 15; i += 1) next();
  const source = {
    uniform: () => next() / 4294967296,
    /** Standard normal, by the polar method. */
    normal() {
      if (spare !== null) {
        const kept = spare;
        spare = null;
        return kept;
      }
      let x;
      let y;
      let r;
      do {
        x = 2 * source.uniform() - 1;
        y = 2 * source.uniform() - 1;
        r = x * x + y * y;
      } while (r >= 1 || r === 0);
      const scale = Math.sqrt((-2 * Math.log(r)) / r);
      spare = y * scale;
      return x * scale;
    },
    integer: (n) => Math.floor(source.uniform() * n),
  };
  return source;
}
