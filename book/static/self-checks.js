/* Typed answers, judged in the page: right if within the tolerance of the value that the build computed. */

const NUMBER = String.raw`(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?`;
const FRACTION = new RegExp(String.raw`^([+-]?)(${NUMBER})(?:/([+-]?)(${NUMBER}))?$`, "i");
const GROUPED = /^[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?$/;
const UNREADABLE = "This is no number that can be read here. Type it as in −1.5 or 1/4.";

/** The numbers that a text may stand for: none if it cannot be read, two where a comma may be of either kind. */
function readings(text) {
  const plain = text
    .trim()
    .replace(/[\u2212\u2012\u2013\uFE63\uFF0D]/g, "-")
    .replace(/[\u2044\u2215\u00F7]/g, "/")
    .replace(/\s*\/\s*/g, "/")
    .replace(/^([+-])\s+/, "$1");
  const found = [];
  const parts = FRACTION.exec(plain);
  if (parts) {
    const read = (sign, digits) => (sign === "-" ? -1 : 1) * Number(digits.replace(",", "."));
    found.push(read(parts[1], parts[2]) / (parts[4] ? read(parts[3], parts[4]) : 1));
  }
  if (GROUPED.test(plain)) found.push(Number(plain.replaceAll(",", "")));
  return found.filter(Number.isFinite);
}

function judge(check) {
  const form = check.querySelector(".self-check-form");
  const typed = form.querySelector("input");
  const status = check.querySelector(".self-check-status");
  const answer = check.querySelector(".self-check-answer");
  const hint = check.querySelector(".self-check-hint");
  const [value, tolerance] = [Number(check.dataset.value), Number(check.dataset.tolerance)];
  let tries = 0;

  function say(verdict, text) {
    check.dataset.verdict = verdict;
    typed.setAttribute("aria-invalid", verdict !== "right");
    status.textContent = text;
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const found = readings(typed.value);
    if (!found.length) return say("unreadable", UNREADABLE);
    if (found.some((each) => Math.abs(each - value) <= tolerance + 1e-12 * Math.abs(value))) {
      answer.open = true;
      return say("right", "Right.");
    }
    tries += 1;
    if (tries > 1) answer.open = true;
    else if (hint) hint.open = true;
    say("wrong", tries > 1 ? "Not yet. The answer is below." : hint ? "Not yet. A hint is below." : "Not yet. Try again.");
  });
  typed.addEventListener("input", () => {
    delete check.dataset.verdict;
    typed.removeAttribute("aria-invalid");
    status.textContent = "";
  });
  form.hidden = false;
}

document.querySelectorAll(".self-check[data-value]").forEach(judge);
