/**
 * A large asset by name, as a DataView: asked for when it is needed, from the kernel, or from the page's own loader
 * where there is no kernel. Rejects with the reason if there is none.
 */
export function asset(model, name, patience = 60000) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => finish(reject, new Error(`${name} did not come; is the kernel running?`)), patience);
    function finish(settle, result) {
      clearTimeout(timer);
      model.off("msg:custom", answered);
      settle(result);
    }
    function answered(message, buffers) {
      if (!message || message.have !== name) return;
      if (message.error) finish(reject, new Error(message.error));
      else finish(resolve, toView(buffers[0]));
    }
    model.on("msg:custom", answered);
    model.send({ want: name });
  });
}

/** Front ends differ: some hand over a DataView, some another view of a part of a buffer, some the buffer. */
function toView(bytes) {
  return ArrayBuffer.isView(bytes)
    ? new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new DataView(bytes);
}

/** IEEE half-precision numbers, little-endian, as a Float32Array. */
export function fromHalf(view, offset, count) {
  const out = new Float32Array(count);
  for (let i = 0; i < count; i += 1) {
    const bits = view.getUint16(offset + 2 * i, true);
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const size = exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31 ? (fraction ? NaN : Infinity) : (1 + fraction / 1024) * 2 ** (exponent - 15);
    out[i] = bits & 0x8000 ? -size : size;
  }
  return out;
}
