import { h, put, spoken } from "./dom.js";

/**
 * A point of a figure to drag, in both directions: by pointer, by touch, or by arrow keys (Shift: ten times as far). It
 * lies over the figure: what is inside an image is not announced. `fig` is a `plot`; `limits` are those of both
 * coordinates. set(x, y, text) moves it; `onMove(x, y)` is called when the reader does, `onEnd()` when they let go.
 */
export function handle(fig, { name, label, limits: [low, high], step = 0.05, onMove, onEnd = () => {} }) {
  const [, , width, height] = fig.root.getAttribute("viewBox").split(" ").map(Number);
  const node = h("div", {
    class: "ganlib-handle", role: "slider", tabindex: 0, "aria-label": spoken(label), "data-name": name,
    "aria-valuemin": low, "aria-valuemax": high,
  });
  const stage = h("div", { class: "ganlib-stage" });
  fig.root.replaceWith(stage);
  stage.append(fig.root, node);
  let [x, y] = [0, 0];
  let grip = null;

  const inside = (value) => Math.min(high, Math.max(low, Number(value.toFixed(6))));
  const move = (toX, toY) => onMove(inside(toX), inside(toY));
  node.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const [px, py] = fig.at(event);
    grip = [x - px, y - py]; // where it was taken hold of, so that it does not jump
    node.setPointerCapture(event.pointerId);
  });
  node.addEventListener("pointermove", (event) => {
    if (!grip) return;
    const [px, py] = fig.at(event);
    move(Math.round((px + grip[0]) / step) * step, Math.round((py + grip[1]) / step) * step);
  });
  function drop() {
    if (!grip) return;
    grip = null;
    onEnd();
  }
  node.addEventListener("pointerup", drop);
  node.addEventListener("pointercancel", drop);
  node.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!by) return;
    event.preventDefault();
    const size = event.shiftKey ? 10 * step : step;
    move(x + by[0] * size, y + by[1] * size);
    onEnd();
  });

  return {
    node,
    get dragging() {
      return grip !== null;
    },
    set(toX, toY, text) {
      [x, y] = [toX, toY];
      node.style.left = `${(100 * fig.toX(x)) / width}%`;
      node.style.top = `${(100 * fig.toY(y)) / height}%`;
      put(node, "aria-valuenow", x);
      put(node, "aria-valuetext", spoken(text));
    },
  };
}
