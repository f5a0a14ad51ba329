let lastId = 0;

/** An id no other element of the page has. */
export function freshId(stem) {
  lastId += 1;
  return `ganlib-${stem}-${lastId}-${Math.random().toString(36).slice(2, 8)}`;
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** An HTML element: h("p", { class: "note", onclick: f }, "text", another). */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element, written as `h` writes HTML. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/** A text in which p_g and p_data are written as in formulas: nodes of HTML, or with `make` set to `s` of SVG. */
export function typeset(text, make = h) {
  return text.split(/\b(p_(?:data|g))\b/).filter(Boolean).flatMap((part) => {
    const [letter, index] = part.split("_");
    if (letter !== "p" || !index) return [part];
    if (make === h) return [letter, h("sub", {}, index)];
    return [letter, s("tspan", { class: "ganlib-index", dy: 3 }, index), s("tspan", { dy: -3 }, "\u200b")];
  });
}

/** The same as it is said: in names that are read out and never seen. */
export function spoken(text) {
  return text.replace(/\bp_(data|g)\b/g, "p $1");
}

/** Set an attribute only where it changes: the browser then has nothing to lay out again. */
export function put(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}
