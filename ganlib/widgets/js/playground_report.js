import { h } from "./lib/dom.js";
import { shown } from "./lib/numbers.js";
import { plot } from "./lib/plot.js";
import { SAMPLES, SEEN, SHOWN } from "./playground_data.js";
import { COARSE } from "./playground_measure.js";

const UNITS = {
  ring: "modes", grid: "modes", spiral: "pieces of the spiral", moons: "pieces of the moons", drawn: "points",
};
const COUNTS = [
  ["iterations", "Iterations", 0], ["d-updates", "Updates of D", 0], ["g-updates", "Updates of G", 0],
  ["speed", "Iterations a second", 0],
];
// Name in the page, label, digits, and what Game.measure calls it.
const MEASURED = [
  ["covered", "Covered", 0, "covered"], ["quality", "High quality: within 3 std of one", 3, "quality"],
  ["jsd", "JSD of samples and data (nats)", 4, "jsd"], ["floor", "JSD of two sets of data (floor)", 4, "floor"],
  ["value", "V(D, G) (nats)", 3, "value"], ["loss", "Loss of G (nats)", 3, "loss"],
  ["on-real", "Mean D(x)", 3, "onReal"], ["on-fake", "Mean D(G(z))", 3, "onFake"],
  ["gap", "Mean |D \u2212 D*|", 3, "gap"], ["gradient", "Mean size of G's gradient", 4, "steepness"],
  ["spread", "Spread of the samples", 3, "spread"], ["breadth", "Spread of the data", 3, "breadth"],
  ["highest", "Largest D in the picture", 3, "highest"], ["away", "Mean distance of samples from there", 3, "away"],
];

const IN_VIEW = ["iterations", "covered", "jsd", "floor"];

/** Shares of the modes as bars, all numbers, and the words; `show` brings them up to date. */
export function report(p, { learned, optimal }) {
  const folded = p.more("More numbers", p.root);
  p.words.before(folded);
  const rest = h("dl", { class: "ganlib-numbers" });
  const numbers = Object.fromEntries([...COUNTS, ...MEASURED].map(([name, label, digits]) => (
    [name, p.number(name, label, { digits, parent: IN_VIEW.includes(name) ? p.numbers : rest })])));
  const holder = h("div", { class: "ganlib-shares" });
  folded.append(rest, holder, h("p", { class: "ganlib-help" },
    `Numbers come from ${SAMPLES} samples that the seed fixes (mean D, V, |D \u2212 D*| from the first ${SEEN}; loss `
    + `and gradient, each sample's own, from the first ${SHOWN}). JSD: shares of as many stored data points and `
    + `samples in ${COARSE} \u00d7 ${COARSE} cells and outside. It is 0 when these agree; two sets of data differ by `
    + "the floor. A mode is covered when a quarter of its fair share of the samples lies within 3 std of it."));
  const bars = plot(holder, {
    name: "shares", width: 420, height: 120, label: "", x: { range: [0.5, 8.5], label: "mode" },
    y: { range: [0, 0.3], label: "share" },
  });
  const bar = bars.curve("model", { fill: true });
  const least = bars.curve("second");
  let limits = "";

  function showShares(shares, modes, unit) {
    const most = Math.max(...shares, 2 / modes);
    const top = [0.1, 0.2, 0.3, 0.5, 1].find((each) => each >= most) ?? 1;
    if (limits !== `${modes} ${top}`) bars.limits([0.5, modes + 0.5], [0, top]);
    limits = `${modes} ${top}`;
    const at = Array.from({ length: modes }, (_, i) => [i + 0.6, i + 0.6, i + 1.4, i + 1.4]).flat();
    bar.set(at, Array.from(shares).flatMap((share) => [0, share, share, 0]));
    least.set([0.5, modes + 0.5], [1 / (4 * modes), 1 / (4 * modes)]);
    const list = modes <= 25 ? `: ${Array.from(shares, (share) => shown(share, 3)).join(", ")}` : "";
    bars.describe(`Share of the samples in each of ${modes} ${unit}, from ${shown(Math.min(...shares), 3)} to `
      + `${shown(Math.max(...shares), 3)}${list}. Dashed: ${shown(1 / (4 * modes), 4)}, the least that counts.`);
  }

  function empty(playing) {
    for (const [name] of MEASURED) numbers[name].set(NaN);
    learned.describe("Empty: nothing is drawn yet.");
    optimal.describe("Empty: there is no data.");
    bars.describe("Empty: there is no data.");
    bar.set([], []);
    least.set([], []);
    p.say("Nothing is drawn yet. Draw on the first picture, or focus it: arrows move, space drops a point.", playing);
  }

  return {
    /** `found` is what the game measured, null where there is no data. */
    show(game, found, speed, playing) {
      const { settings } = game;
      numbers.iterations.set(game.iterations);
      numbers["d-updates"].set(game.dUpdates);
      numbers["g-updates"].set(game.gUpdates);
      numbers.speed.set(speed);
      if (!found) {
        empty(playing);
        return;
      }
      const unit = UNITS[settings.data];
      const modes = game.data.count;
      for (const [name, , , each] of MEASURED) {
        numbers[name].set(found[each], name === "covered" ? `of ${modes} ${unit}` : "");
      }
      showShares(found.shares, modes, unit);
      const [onReal, onFake] = [shown(found.onReal, 2), shown(found.onFake, 2)];
      learned.describe(`Map of D over the plane: mean ${onReal} at real points and ${onFake} at samples; largest, `
        + `${shown(found.highest, 2)}, at (${shown(found.top[0], 1)}, ${shown(found.top[1], 1)}). Real points are `
        + `dots, samples triangles with arrows; the mean gradient is ${shown(found.steepness, 3)}.`);
      optimal.describe("Map of D* for the same samples. The learned D differs from it by "
        + `${shown(found.gap, 2)} on average.`);
      p.say(`After ${game.iterations} iterations (${game.dUpdates} updates of D, ${game.gUpdates} of G) the samples `
        + `cover ${found.covered} of ${modes} ${unit}; ${shown(100 * found.quality, 0)} % lie within 3 std of one. `
        + `Mean D is ${onReal} on data and ${onFake} on samples. JSD ${shown(found.jsd, 4)}; between two sets of data `
        + `it is ${shown(found.floor, 4)}.${remark(game, found)}`, playing);
    },
  };
}

/** What the numbers mean, where they mean something in particular. */
function remark({ settings, gUpdates, dUpdates, iterations, data }, found) {
  const { covered, spread, breadth: wide, onFake, onReal, steepness, jsd } = found;
  if (settings.perfect) return ` G is the data itself: the JSD is ${shown(jsd, 4)}, and D can do no better than 1/2.`;
  if (gUpdates === 0) return dUpdates ? " G has not moved." : "";
  if (onFake < 0.05 && onReal > 0.9) {
    return settings.loss === "minimax"
      ? ` D rejects the samples, where log(1 \u2212 D) is flat: the mean gradient is ${shown(steepness, 4)}.`
      : ` D rejects the samples, but \u2212log D is steep there: the mean gradient is ${shown(steepness, 2)}.`;
  }
  if (spread < wide / 2) return " The samples crowd together, many z with nearly one x: the Helvetica scenario.";
  return covered < data.count / 2 && iterations > 500 ? " Whole modes are missing." : "";
}
