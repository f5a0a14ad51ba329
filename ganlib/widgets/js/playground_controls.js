import { bind, choice, slider, tick } from "./lib/panel.js";

const USUAL = {
  data: "ring", k: 1, g_steps: 1, loss: "non-saturating", d_lr: 0.005, g_lr: 0.002, m: 128, hidden: 16, latent: 2,
  critic: "learned", perfect: false,
};
const PRESETS = [
  ["balanced", "Balanced", {}],
  ["helvetica", "Helvetica: 50 steps of G a step of D", { g_steps: 50 }],
  ["strong-d", "D too strong", { k: 20, d_lr: 0.01, g_lr: 0.0005, loss: "minimax" }],
  ["strong-g", "G too strong", { d_lr: 0.001, g_lr: 0.02 }],
  ["d-alone", "G held still: D \u2192 D*", { k: 5, g_steps: 0 }],
  ["perfect", "Perfect generator", { perfect: true }],
];

/**
 * The presets as one choice: each sets many settings at once, then `done` is called once. `tell` shows which preset the
 * settings are, or that they are none.
 */
export function presetChoice(parent, model, { before, done }) {
  const settingsOf = (own) => Object.entries({ ...USUAL, ...own });
  const present = () => (
    PRESETS.find(([, , own]) => settingsOf(own).every(([each, value]) => model.get(each) === value))?.[0] ?? "own"
  );
  const control = choice(parent, {
    name: "preset", label: "Preset", value: present(),
    options: [...PRESETS.map(([name, label]) => [name, label]), ["own", "Settings of your own"]],
    onInput(wanted) {
      const found = PRESETS.find(([name]) => name === wanted);
      if (found) {
        before();
        for (const [each, value] of settingsOf(found[2])) model.set(each, value);
        model.save_changes();
        done();
      }
      control.set(present());
    },
  });
  return { tell: () => control.set(present()) };
}

/**
 * Controls of all settings but the drawing, each tied to its trait; `changed(name)` is the function called with its new
 * value. That of the data goes to where `data` says, the others into groups below `more`.
 */
export function settingControls(p, model, changed, { data, more }) {
  const controls = {};
  const tie = (name) => bind(model, name, () => controls[name], changed(name));
  const range = (parent, name, label, min, max, step, more = { digits: 0 }) => {
    const value = model.get(name);
    controls[name] = slider(parent, { name, label, min, max, step, value, onInput: tie(name), ...more });
  };
  const pick = (parent, name, label, options) => {
    const pass = tie(name);
    const number = typeof model.get(name) === "number";
    controls[name] = choice(parent, {
      name, label, value: String(model.get(name)), options: options.map(([each, text]) => [String(each), text]),
      onInput: (value) => pass(number ? Number(value) : value),
    });
  };
  pick(data, "data", "Data, p_data", [
    ["ring", "Ring of 8"], ["grid", "Grid of 25"], ["spiral", "Spiral"], ["moons", "Two moons"],
    ["drawn", "Draw your own"],
  ]);
  const players = p.group("Algorithm 1", more);
  range(players, "k", "k: D updates an iteration", 0, 20, 1);
  range(players, "g_steps", "G updates an iteration", 0, 50, 1);
  range(players, "d_lr", "Learning rate of D", 1e-4, 0.1, 0.01, { log: true, digits: 4 });
  range(players, "g_lr", "Learning rate of G", 1e-4, 0.1, 0.01, { log: true, digits: 4 });
  pick(players, "loss", "Loss of G", [
    ["non-saturating", "\u2212log D (non-saturating)"], ["minimax", "log(1 \u2212 D) (minimax)"],
  ]);
  pick(players, "critic", "G learns from", [["learned", "the learned D"], ["optimal", "D*"]]);
  pick(players, "m", "Minibatch m", [16, 32, 64, 128, 256, 512].map((n) => [n, n]));
  const nets = p.group("Networks and seed", more);
  pick(nets, "hidden", "Hidden units (2 layers)", [8, 16, 32].map((n) => [n, `2 \u00d7 ${n}`]));
  pick(nets, "latent", "Dimensions of z", [1, 2, 4, 8].map((n) => [n, n]));
  range(nets, "seed", "Seed", 0, 99, 1);
  controls.perfect = tick(nets, {
    name: "perfect", label: "Perfect generator: G is the data", value: model.get("perfect"), onInput: tie("perfect"),
  });
}
