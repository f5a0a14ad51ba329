/* Boxes that scroll sideways: reachable by keyboard, and seen to go on. And paper: light, with the solutions open. */

const MATHEMATICS = ".bd-article mjx-container";
const BOXES = [
  ".bd-article mjx-container[display='true']",
  ".bd-article mjx-container.wide",
  ".bd-article pre",
  ".bd-article .pst-scrollable-table-container",
  ".bd-article .cell_output > .output",
].join(", ");

/** A formula in a sentence that is wider than its line gets a line, and a box, of its own. */
function widen(formula) {
  if (formula.getAttribute("display") === "true") return;
  formula.classList.remove("wide");
  const line = formula.closest("p, li, dd, td, th, figcaption, summary") ?? formula.parentElement;
  if (formula.getBoundingClientRect().width > line.clientWidth + 1) formula.classList.add("wide");
}

/** Mark on which sides a box goes on; what scrolls can be reached with Tab. */
function mark(box) {
  const rest = box.scrollWidth - box.clientWidth;
  box.classList.toggle("more-left", rest > 2 && box.scrollLeft > 2);
  box.classList.toggle("more-right", rest > 2 && box.scrollLeft < rest - 2);
  if (rest > 0 && box.matches("mjx-container")) box.tabIndex = 0;
}

const known = new WeakSet();

function look() {
  document.querySelectorAll(MATHEMATICS).forEach(widen);
  for (const box of document.querySelectorAll(BOXES)) {
    mark(box);
    if (known.has(box)) continue;
    known.add(box);
    box.addEventListener("scroll", () => mark(box), { passive: true });
  }
}

let waiting;
function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(look, 100);
}

document.addEventListener("DOMContentLoaded", look);
window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  look();
});
window.addEventListener("resize", soon);
// What was hidden has no width yet: a solution that is opened is looked at again.
document.addEventListener("toggle", soon, true);
document.addEventListener("click", soon);

// Paper is white. What a reader had chosen, and had closed, comes back afterwards.
const root = document.documentElement;
let before = null;
window.addEventListener("beforeprint", () => {
  const closed = [...document.querySelectorAll(".bd-article details:not([open]):not(.hide)")];
  before = { theme: root.dataset.theme, closed };
  root.dataset.theme = "light";
  for (const details of closed) details.open = true;
});
window.addEventListener("afterprint", () => {
  if (before === null) return;
  root.dataset.theme = before.theme;
  for (const details of before.closed) details.open = false;
  before = null;
});
