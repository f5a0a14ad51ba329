import { button } from "./lib/panel.js";
import { h } from "./lib/dom.js";
import { EDGE } from "./playground_data.js";

const MOST = 150;
const APART = 0.08; // a stroke drops a point this far from the one before
const STEP = 0.1;

/**
 * Drawing data on a field: strokes by mouse, pen or finger; or, with the picture in focus, arrow keys to move a cursor,
 * space to drop a point, Backspace to take the last away. `onPoints` is called with the new list of [x, y]; call `tell`
 * when the points are others, so that their number is the one shown.
 */
export function pad({ holder, canvas, at }, parent, { points, onPoints, onMove }) {
  let on = false;
  let cursor = [0, 0];
  let stroke = null;
  const where = h("output", { "data-name": "cursor", "aria-live": "polite" });
  const row = h("div", { class: "ganlib-pad", hidden: true }, where);
  parent.append(row);
  button(row, { name: "clear", label: "Clear the drawing", onPress: () => put([]) });

  const inside = (value) => Math.round(1000 * Math.min(Math.max(value, -EDGE), EDGE)) / 1000;
  const put = (list) => onPoints(list.slice(-MOST));
  function tell() {
    const count = points().length;
    where.textContent = `${count} point${count === 1 ? "" : "s"} of at most ${MOST}, cursor at `
      + `(${cursor[0].toFixed(1)}, ${cursor[1].toFixed(1)})`;
  }

  function extend(event) {
    const [x, y] = at(event).map(inside);
    const last = stroke[stroke.length - 1];
    if (last && Math.hypot(x - last[0], y - last[1]) < APART) return;
    if (points().length >= MOST) return;
    stroke.push([x, y]);
    put([...points(), [x, y]]);
  }
  canvas.addEventListener("pointerdown", (event) => {
    if (!on || event.button > 0) return;
    canvas.setPointerCapture(event.pointerId);
    stroke = [];
    extend(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (on && stroke) extend(event);
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { stroke = null; });

  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  holder.addEventListener("keydown", (event) => {
    if (!on || event.ctrlKey || event.metaKey || event.altKey) return;
    if (MOVES[event.key]) {
      const size = event.shiftKey ? STEP / 5 : STEP;
      cursor = cursor.map((value, i) => inside(value + size * MOVES[event.key][i]));
      tell();
      onMove();
    } else if (event.key === " " || event.key === "Enter") {
      if (points().length < MOST) put([...points(), cursor]);
    } else if (event.key === "Backspace" || event.key === "Delete") {
      put(points().slice(0, -1));
    } else {
      return;
    }
    event.preventDefault();
  });
  for (const each of ["focus", "blur"]) holder.addEventListener(each, () => onMove());

  return {
    get cursor() {
      return on && document.activeElement === holder ? cursor : null;
    },
    tell,
    enable(wanted) {
      on = wanted;
      row.hidden = !on;
      // Only while a finger draws must it not scroll the page.
      canvas.style.touchAction = on ? "none" : "auto";
      canvas.style.cursor = on ? "crosshair" : "";
      if (on) {
        holder.tabIndex = 0;
        holder.setAttribute("role", "application");
        holder.setAttribute("aria-label", "Drawing area: arrow keys move the cursor, with Shift less; space drops a "
          + "point, Backspace removes the last");
      } else {
        for (const name of ["tabindex", "role", "aria-label"]) holder.removeAttribute(name);
      }
      tell();
    },
  };
}
