import { freshId, h, put, s, spoken, typeset } from "./dom.js";
import { shown, ticks } from "./numbers.js";

const SPACE = { left: 44, right: 12, top: 12, bottom: 34 };

/**
 * Axes in SVG, `width` by `height` units, scaled to the room there is. x and y are { range: [low, high], label, ticks }
 * (ticks: false for none, or [[value, text], ...]). `label` names the figure; keep it true with `describe`. Curves are
 * told apart by dash as well as by colour: pass class names of widgets.css (data, model, critic, first, second, third).
 */
export function plot(parent, { name, width = 420, height = 260, left = SPACE.left, x, y, label }) {
  const right = width - SPACE.right;
  const bottom = height - SPACE.bottom;
  const toX = (value) => left + ((value - x.range[0]) / (x.range[1] - x.range[0])) * (right - left);
  const toY = (value) => bottom - ((value - y.range[0]) / (y.range[1] - y.range[0])) * (bottom - SPACE.top);
  const clip = freshId("clip");
  const frame = s("g", { class: "ganlib-axes", "aria-hidden": "true" });
  const inside = s("g", { "clip-path": `url(#${clip})` });
  const root = s(
    "svg",
    { class: "ganlib-plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, "data-name": name },
    s("defs", {}, s("clipPath", { id: clip }, s("rect", {
      x: left, y: SPACE.top, width: right - left, height: bottom - SPACE.top,
    }))),
    frame,
    inside,
  );
  parent.append(root);

  function drawAxes() {
    frame.replaceChildren(
      s("path", { d: `M${left} ${SPACE.top}V${bottom}H${right}` }),
      ...(places(x, 6).flatMap(([value, text]) => [
        s("path", { d: `M${toX(value)} ${bottom}v4` }),
        s("text", { x: toX(value), y: bottom + 16, "text-anchor": "middle" }, text),
      ])),
      ...(places(y, 5).flatMap(([value, text]) => [
        s("path", { d: `M${left} ${toY(value)}h-4` }),
        s("text", { x: left - 7, y: toY(value) + 4, "text-anchor": "end" }, text),
      ])),
      s("text", { x: (left + right) / 2, y: height - 3, "text-anchor": "middle" }, ...typeset(x.label ?? "", s)),
      s("text", {
        transform: `translate(11 ${(SPACE.top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle",
      }, ...typeset(y.label ?? "", s)),
    );
  }
  drawAxes();

  return {
    root,
    inside,
    toX,
    toY,
    /** The x and y of a pointer event, in the units of the axes. */
    at(event) {
      const box = root.getBoundingClientRect();
      const u = ((event.clientX - box.left) / box.width) * width;
      const v = ((event.clientY - box.top) / box.height) * height;
      return [
        x.range[0] + ((u - left) / (right - left)) * (x.range[1] - x.range[0]),
        y.range[0] + ((bottom - v) / (bottom - SPACE.top)) * (y.range[1] - y.range[0]),
      ];
    },
    /** Other limits of the axes; redraw what is inside afterwards. */
    limits(xRange, yRange) {
      x.range = xRange ?? x.range;
      y.range = yRange ?? y.range;
      drawAxes();
    },
    /** The text alternative of the figure. */
    describe: (text) => put(root, "aria-label", spoken(text)),
    /** A curve: set(xs, ys); values that are not finite break it. `fill` closes it down to y = 0. */
    curve(style, { fill = false } = {}) {
      const path = s("path", { class: `ganlib-curve ${style}${fill ? " filled" : ""}` });
      inside.append(path);
      return {
        set(xs, ys) {
          let d = "";
          let open = false;
          for (let i = 0; i < xs.length; i += 1) {
            const drawable = Number.isFinite(ys[i]);
            // Far outside, coordinates are cut: browsers draw huge ones wrongly.
            const v = Math.max(-9 * height, Math.min(9 * height, toY(ys[i])));
            if (drawable) d += `${open ? "L" : "M"}${toX(xs[i]).toFixed(2)} ${v.toFixed(2)}`;
            open = drawable;
          }
          if (fill && d) d += `V${toY(0)}H${toX(xs[0])}Z`;
          put(path, "d", d);
        },
      };
    },
    /** Dots: set([[x, y], ...]). */
    dots(style, radius = 3) {
      const group = s("g", { class: `ganlib-dots ${style}` });
      inside.append(group);
      return {
        set(points) {
          while (group.childElementCount < points.length) group.append(s("circle", { r: radius }));
          while (group.childElementCount > points.length) group.lastChild.remove();
          points.forEach(([px, py], i) => {
            put(group.children[i], "cx", toX(px).toFixed(2));
            put(group.children[i], "cy", toY(py).toFixed(2));
          });
        },
      };
    },
    /** A dashed level with its name at the right end: a constant such as log 2. */
    level(value, text) {
      inside.append(
        s("path", { class: "ganlib-level", d: `M${left} ${toY(value)}H${right}` }),
        s("text", { class: "ganlib-level-text", x: right - 4, y: toY(value) - 4, "text-anchor": "end" }, text),
      );
    },
  };
}

function places(axis, count) {
  if (Array.isArray(axis.ticks)) return axis.ticks;
  return axis.ticks === false ? [] : ticks(axis.range[0], axis.range[1], count).map((value) => [value, tickText(value)]);
}

function tickText(value) {
  return shown(value, Math.max(0, Math.min(4, (String(value).split(".")[1] ?? "").length)));
}

/** A key to the curves of a figure: entries are [style, text]; the line drawn is the curve's own. */
export function key(parent, entries) {
  const list = document.createElement("ul");
  list.className = "ganlib-key";
  for (const [style, text] of entries) {
    const item = document.createElement("li");
    item.append(
      s("svg", { viewBox: "0 0 28 10", width: 28, height: 10, "aria-hidden": "true" },
        s("path", { class: `ganlib-curve ${style}`, d: "M1 5H27" })),
      h("span", {}, ...typeset(text)),
    );
    list.append(item);
  }
  parent.append(list);
}
