const SLICE_MS = 8; // of computing at a time; the page answers in between

/** Make `count` images a few milliseconds at a time, then call `done(images)`. Returns a function that stops it. */
export function gradually(count, make, done) {
  const made = [];
  let timer = 0;
  (function some() {
    const end = performance.now() + SLICE_MS;
    while (made.length < count && performance.now() < end) made.push(make(made.length));
    if (made.length < count) timer = setTimeout(some);
    else done(made);
  })();
  return () => clearTimeout(timer);
}

/** An image in [0, 1] as grey pixels of a canvas, white on black as the digits are. */
export function paint(canvas, values, side, x = 0, y = 0) {
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(side, side);
  values.forEach((value, j) => pixels.data.fill(Math.round(255 * value), 4 * j, 4 * j + 3));
  for (let j = 3; j < pixels.data.length; j += 4) pixels.data[j] = 255;
  context.putImageData(pixels, x, y);
}
