import { freshId, h, typeset } from "./dom.js";
import { shown } from "./numbers.js";

/**
 * A widget's frame: title, figures, controls, numbers, and the same said in words. Everything a reader sees goes in
 * here; `say` is the text alternative of the figures, read out politely when it changes while nothing is playing.
 * Controls and numbers carry their name as data-name; a number its full precision as data-value.
 */
export function panel(el, { name, title, help }) {
  const heading = freshId("title");
  const parts = {
    figures: h("div", { class: "ganlib-figures" }),
    controls: h("div", { class: "ganlib-controls" }),
    numbers: h("dl", { class: "ganlib-numbers" }),
    words: h("p", { class: "ganlib-words", "data-name": "words", "aria-live": "polite" }),
  };
  const root = h(
    "section",
    { class: "ganlib-widget", "data-widget": name, "aria-labelledby": heading },
    h("p", { class: "ganlib-title", id: heading }, title),
    help ? h("p", { class: "ganlib-help" }, ...typeset(help)) : null,
    parts.figures,
    parts.controls,
    parts.numbers,
    parts.words,
  );
  el.append(root);
  let pending = 0;
  let said = "";

  return {
    root,
    ...parts,
    /** Say in words what the figures show; set often, spoken at most once a second. */
    say(text, quiet = false) {
      clearTimeout(pending);
      if (said === text) return;
      parts.words.setAttribute("aria-live", quiet ? "off" : "polite");
      pending = setTimeout(() => {
        said = text;
        parts.words.replaceChildren(...typeset(text));
      }, parts.words.textContent && !quiet ? 250 : 0);
    },
    /** A group of controls under a common label. */
    group(label, parent = parts.controls) {
      const group = h("fieldset", { class: "ganlib-group" }, h("legend", {}, ...typeset(label)));
      parent.append(group);
      return group;
    },
    /** What stays folded until a reader opens it. */
    more(label, parent = parts.controls) {
      const box = h("details", { class: "ganlib-more" }, h("summary", {}, label));
      parent.append(box);
      return box;
    },
    /** A number the widget computes: set(value). Its full precision is in data-value. */
    number(name, label, { digits = 3, unit = "", parent = parts.numbers } = {}) {
      const output = h("dd", { "data-name": name });
      parent.append(h("div", { class: "ganlib-number" }, h("dt", {}, ...typeset(label)), output));
      return {
        set(value, note = "") {
          if (output.dataset.value === String(value) && output.dataset.note === note) return;
          output.dataset.value = String(value);
          output.dataset.note = note;
          output.textContent = `${shown(value, digits)}${unit ? ` ${unit}` : ""}${note ? ` ${note}` : ""}`;
        },
      };
    },
  };
}

/**
 * A slider with label and value: { input, value, set }. `onInput(value)` is called when the reader moves it. `text`
 * writes the value in another way than with `digits`.
 */
export function slider(
  parent,
  { name, label, min, max, step, value, digits = 2, log = false, text: write, onInput = () => {} },
) {
  // A logarithmic slider moves in powers of ten; its value is the number itself.
  const inner = (x) => (log ? Math.log10(x) : x);
  const outer = (x) => (log ? 10 ** x : x);
  const id = freshId(name);
  const input = h("input", {
    type: "range", id, "data-name": name, min: inner(min), max: inner(max), step, value: inner(value),
  });
  const output = h("output", { for: id });
  // A value set from Python may lie between two steps: the input rounds it, what is computed and shown does not.
  let current = value;
  function show() {
    const text = write ? write(current) : shown(current, digits);
    output.textContent = text;
    input.setAttribute("aria-valuetext", text);
  }
  input.addEventListener("input", () => {
    current = outer(Number(input.value));
    show();
    onInput(current);
  });
  show();
  parent.append(h("div", { class: "ganlib-slider" }, h("label", { for: id }, ...typeset(label)), input, output));
  return {
    input,
    get value() {
      return current;
    },
    set(wanted) {
      if (wanted === current) return;
      current = wanted;
      input.value = inner(wanted);
      show();
    },
  };
}

/** A choice from a list: options are [value, text] pairs. */
export function choice(parent, { name, label, options, value, onInput = () => {} }) {
  const id = freshId(name);
  const input = h(
    "select",
    { id, "data-name": name },
    ...options.map(([each, text]) => h("option", { value: each, selected: each === value }, text)),
  );
  input.addEventListener("change", () => onInput(input.value));
  parent.append(h("div", { class: "ganlib-choice" }, h("label", { for: id }, ...typeset(label)), input));
  return {
    input,
    get value() {
      return input.value;
    },
    set(wanted) {
      input.value = wanted;
    },
  };
}

/** A box to tick. */
export function tick(parent, { name, label, value = false, onInput = () => {} }) {
  const id = freshId(name);
  const input = h("input", { type: "checkbox", id, "data-name": name });
  input.checked = value;
  input.addEventListener("change", () => onInput(input.checked));
  parent.append(h("div", { class: "ganlib-tick" }, input, h("label", { for: id }, label)));
  return {
    input,
    get value() {
      return input.checked;
    },
    set(wanted) {
      input.checked = wanted;
    },
  };
}

/** A button; `pressed` (true or false) makes it a toggle whose state assistive technology is told. */
export function button(parent, { name, label, pressed, onPress }) {
  const node = h("button", { type: "button", class: "ganlib-button", "data-name": name, "aria-pressed": pressed }, label);
  if (pressed !== undefined) node.setAttribute("aria-pressed", String(pressed));
  node.addEventListener("click", () => onPress());
  parent.append(node);
  return {
    node,
    set(text, down) {
      if (text !== undefined && node.textContent !== text) node.textContent = text;
      if (down !== undefined) node.setAttribute("aria-pressed", String(down));
    },
  };
}

/**
 * Tie a setting of the Python object to a control: the reader's change becomes the trait's value, the trait's change
 * moves the control. `changed(value)` is called for both. Returns the function for the control's `onInput`.
 */
export function bind(model, trait, control, changed) {
  let own = false;
  model.on(`change:${trait}`, () => {
    if (own) return;
    control().set(model.get(trait));
    changed(model.get(trait));
  });
  return (value) => {
    own = true;
    model.set(trait, value);
    own = false;
    model.save_changes();
    changed(value);
  };
}
