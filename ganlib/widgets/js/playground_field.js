import { h, spoken, typeset } from "./lib/dom.js";
import { EDGE } from "./playground_data.js";
import { FINE } from "./playground_measure.js";

const SIZE = 400; // units of the drawing, whatever the canvas has in pixels
const CELL = SIZE / FINE;
/** Arrows: as long as the gradient times this, in units of the data, and never longer than LONGEST. */
export const ARROW = 0.4;
export const LONGEST = 0.45;

const toX = (x) => ((x + EDGE) / (2 * EDGE)) * SIZE;
const toY = (y) => SIZE - toX(y);

/** A square picture of a discriminator over the plane, with points and arrows on it. */
export function field(parent, { name, caption }) {
  const canvas = h("canvas", { role: "img", "aria-label": spoken(caption), "data-name": name, class: "ganlib-field" });
  const holder = h("div", { class: "ganlib-field-holder" }, canvas);
  parent.append(h("figure", {}, holder, h("figcaption", {}, ...typeset(caption))));
  const pen = canvas.getContext("2d");
  const cells = new OffscreenCanvas(FINE, FINE);
  const cellPen = cells.getContext("2d");
  const image = cellPen.createImageData(FINE, FINE);

  function colours() {
    const style = getComputedStyle(canvas);
    const found = (property) => style.getPropertyValue(`--${property}`).trim();
    const channels = (property) => {
      const hex = found(property);
      return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    };
    return {
      ink: found("ink"), paper: found("paper"),
      low: channels("low"), half: channels("half"), high: channels("high"), blank: channels("paper"),
    };
  }

  /** From low over half to high; cells where `values` is not a number stay blank. */
  function paint(values, { low, half, high, blank }) {
    for (let j = 0; j < FINE; j += 1) {
      for (let i = 0; i < FINE; i += 1) {
        const d = values[j * FINE + i];
        const at = 4 * ((FINE - 1 - j) * FINE + i);
        const far = d < 0.5 ? low : high;
        const share = Math.abs(2 * d - 1);
        for (let c = 0; c < 3; c += 1) {
          image.data[at + c] = d === d ? half[c] + share * (far[c] - half[c]) : blank[c];
        }
        image.data[at + 3] = 255;
      }
    }
    cellPen.putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(cells, 0, 0, SIZE, SIZE);
  }

  /** The line D = 1/2, by marching squares between the cells' middles. */
  function contour(values, ink) {
    pen.beginPath();
    for (let j = 0; j + 1 < FINE; j += 1) {
      for (let i = 0; i + 1 < FINE; i += 1) {
        const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
        const levels = corners.map(([a, b]) => values[b * FINE + a] - 0.5);
        if (!levels.every(Number.isFinite)) continue;
        const cuts = [];
        for (let e = 0; e < 4; e += 1) {
          const [u, v] = [levels[e], levels[(e + 1) % 4]];
          if (u < 0 === v < 0) continue;
          const t = u / (u - v);
          const [from, to] = [corners[e], corners[(e + 1) % 4]];
          cuts.push([from[0] + t * (to[0] - from[0]), from[1] + t * (to[1] - from[1])]);
        }
        for (let c = 0; c + 1 < cuts.length; c += 2) {
          pen.moveTo((cuts[c][0] + 0.5) * CELL, SIZE - (cuts[c][1] + 0.5) * CELL);
          pen.lineTo((cuts[c + 1][0] + 0.5) * CELL, SIZE - (cuts[c + 1][1] + 0.5) * CELL);
        }
      }
    }
    pen.strokeStyle = ink;
    pen.lineWidth = 1.6;
    pen.stroke();
  }

  function dots(points, count, ink, paper) {
    pen.beginPath();
    for (let n = 0; n < 2 * count; n += 2) {
      const [x, y] = [toX(points[n]), toY(points[n + 1])];
      pen.moveTo(x + 2.4, y);
      pen.arc(x, y, 2.4, 0, 7);
    }
    pen.strokeStyle = paper;
    pen.lineWidth = 1;
    pen.stroke();
    pen.fillStyle = ink;
    pen.fill();
  }

  /** One after the other, each over those before: a crowd still looks like triangles. */
  function triangles(points, count, ink, paper) {
    pen.fillStyle = paper;
    pen.strokeStyle = ink;
    pen.lineWidth = 1.2;
    for (let n = 0; n < 2 * count; n += 2) {
      const [x, y] = [toX(points[n]), toY(points[n + 1])];
      pen.beginPath();
      pen.moveTo(x, y - 4.6);
      pen.lineTo(x + 4, y + 2.6);
      pen.lineTo(x - 4, y + 2.6);
      pen.closePath();
      pen.fill();
      pen.stroke();
    }
  }

  function arrows(points, slopes, count, ink) {
    pen.beginPath();
    for (let n = 0; n < 2 * count; n += 2) {
      const size = Math.hypot(slopes[n], slopes[n + 1]);
      const length = Math.min(ARROW * size, LONGEST);
      if (!(length > 0.015)) continue;
      const [ux, uy] = [-slopes[n] / size, -slopes[n + 1] / size];
      const [x, y] = [toX(points[n]), toY(points[n + 1])];
      const [tipX, tipY] = [toX(points[n] + length * ux), toY(points[n + 1] + length * uy)];
      pen.moveTo(x, y);
      pen.lineTo(tipX, tipY);
      pen.moveTo(tipX - 5 * ux - 3 * uy, tipY + 5 * uy - 3 * ux);
      pen.lineTo(tipX, tipY);
      pen.lineTo(tipX - 5 * ux + 3 * uy, tipY + 5 * uy + 3 * ux);
    }
    pen.strokeStyle = ink;
    pen.lineWidth = 1.1;
    pen.stroke();
  }

  return {
    canvas,
    holder,
    describe: (text) => canvas.getAttribute("aria-label") !== text && canvas.setAttribute("aria-label", text),
    /** The point of the plane under a pointer event. */
    at(event) {
      const box = canvas.getBoundingClientRect();
      return [
        -EDGE + (2 * EDGE * (event.clientX - box.left)) / box.width,
        EDGE - (2 * EDGE * (event.clientY - box.top)) / box.height,
      ];
    },
    /** Draw all of it. `values` null: no map; names: [[x, y, text], ...]; cursor: [x, y] or null. */
    draw({ values, real, samples, slopes, arrowCount = 0, names = [], cursor = null }) {
      const side = Math.round(SIZE * Math.min(globalThis.devicePixelRatio || 1, 2));
      if (canvas.width !== side) canvas.width = canvas.height = side;
      pen.setTransform(side / SIZE, 0, 0, side / SIZE, 0, 0);
      const palette = colours();
      pen.fillStyle = palette.paper;
      pen.fillRect(0, 0, SIZE, SIZE);
      if (values) paint(values, palette);
      if (real) dots(real, real.length / 2, palette.ink, palette.paper);
      if (values) contour(values, palette.ink);
      if (samples) triangles(samples, samples.length / 2, palette.ink, palette.paper);
      if (arrowCount) arrows(samples, slopes, arrowCount, palette.ink);
      pen.font = "600 12px system-ui, sans-serif";
      pen.textAlign = "center";
      pen.lineWidth = 3;
      pen.strokeStyle = palette.paper;
      pen.fillStyle = palette.ink;
      for (const [x, y, text] of names) {
        pen.strokeText(text, toX(x), toY(y) + 4);
        pen.fillText(text, toX(x), toY(y) + 4);
      }
      if (cursor) {
        const [x, y] = [toX(cursor[0]), toY(cursor[1])];
        pen.beginPath();
        pen.moveTo(x - 9, y);
        pen.lineTo(x + 9, y);
        pen.moveTo(x, y - 9);
        pen.lineTo(x, y + 9);
        pen.strokeStyle = palette.ink;
        pen.lineWidth = 2;
        pen.stroke();
      }
    },
  };
}

/** The key: what colour, line, dot, triangle and arrow are. */
export function legend(parent) {
  const mark = (svg) => {
    const holder = h("span", { class: "ganlib-mark", "aria-hidden": "true" });
    holder.innerHTML = `<svg viewBox="0 0 24 12" width="24" height="12">${svg}</svg>`;
    return holder;
  };
  const ink = "stroke:var(--ink);stroke-width:1.5";
  parent.append(h("ul", { class: "ganlib-key ganlib-field-key" },
    h("li", {}, "D(x): 0", h("span", { class: "ganlib-scale", "aria-hidden": "true" }), "1"),
    h("li", {}, mark(`<path d="M1 6H23" style="${ink};fill:none"/>`), "D = 1/2"),
    h("li", {}, mark(`<circle cx="12" cy="6" r="3" style="fill:var(--ink)"/>`), "real points"),
    h("li", {}, mark(`<path d="M12 1L17 10H7Z" style="${ink};fill:var(--paper)"/>`), "samples G(z)"),
    h("li", {}, mark(`<path d="M2 6H21M16 2L21 6L16 10" style="${ink};fill:none"/>`),
      `where G's loss pushes a sample (length ${ARROW} \u00d7 gradient, at most ${LONGEST})`),
  ));
}
