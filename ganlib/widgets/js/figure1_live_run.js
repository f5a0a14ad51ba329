import { Pair } from "./figure1_live_model.js";

/** The settings with which the four panels are made; data and seed stay the reader's. */
export const PANEL_SETTINGS = { k: 1, m: 128, loss: "non-saturating", d_lr: 5e-3, g_lr: 1e-3 };
const NEAR = 0.1; // nats: where the chapter on Algorithm 1 calls the pair near convergence
const PATIENCE = 3000; // iterations
/** The panels of Figure 1, in order: each starts from the one before. */
export const PANELS = [
  { name: "a", label: "(a) Near convergence" },
  { name: "b", label: "(b) D to its optimum", said: "G is frozen and D has made 600 more steps", d: 600 },
  { name: "c", label: "(c) G follows D", said: "D is frozen and G has made 12 steps", g: 12 },
  { name: "d", label: "(d) The end", said: "2,500 more iterations with falling learning rates", falling: 2500 },
];
const ROOM = 400; // points of the curves over updates

/** A pair in training: its history and the way to the panels of Figure 1. */
export class Session {
  constructor(seed, data) {
    this.pair = new Pair(seed, data);
    this.jobs = [];
    this.reached = -1; // the panel the pair is at, if nothing happened since
    this.done = 0; // steps of the present job
    this.found = false; // whether the first panel's end was found
    this.stride = 10;
    this.history = [];
    this.record();
  }

  get updates() {
    return this.pair.dSteps + this.pair.gSteps;
  }

  record() {
    this.now = this.pair.measure();
    const { value, cost } = this.now;
    if (this.history.length && this.history.at(-1).at === this.updates) return;
    this.history.push({ at: this.updates, value, cost });
    if (this.history.length <= ROOM) return;
    this.history = this.history.filter((_, i) => i % 2 === 0);
    this.stride *= 2;
  }

  /** A step the reader makes: "d", "g" or "iteration". */
  single(kind, settings) {
    this.leave();
    this.step(kind, settings);
    this.record();
  }

  step(kind, settings) {
    if (kind === "d") this.pair.dStep(settings);
    else if (kind === "g") this.pair.gStep(settings);
    else this.pair.iteration(settings);
  }

  /** How the panel the pair is at was made; empty if it is at none. */
  get said() {
    if (this.reached < 0) return "";
    const near = this.found ? `Algorithm 1 until the JSD was below ${NEAR} nats` : `${PATIENCE} iterations, and the `
      + `JSD is still ${NEAR} nats or more: this pair is not near convergence`;
    return `Panel (${PANELS[this.reached].name}): ${PANELS[this.reached].said ?? near}. `;
  }

  /** Give up the way to a panel. */
  leave() {
    this.jobs = [];
    this.reached = -1;
    this.done = 0;
  }

  /** Set out for a panel. False if that takes a new pair, because this one is not at an earlier panel. */
  headFor(panel) {
    if (this.reached < 0 && this.updates > 0) return false;
    if (this.reached >= panel) return false;
    this.jobs = Array.from({ length: panel - this.reached }, (_, i) => this.reached + 1 + i);
    this.done = 0;
    return true;
  }

  /** One step of what is going on; false at the end of the way to a panel. */
  advance(settings) {
    if (this.jobs.length) {
      const { d, g, falling } = PANELS[this.jobs[0]];
      const left = falling ? 1 - this.done / falling : 1;
      const kind = d ? "d" : g ? "g" : "iteration";
      this.step(kind, { ...settings, d_lr: settings.d_lr * left, g_lr: settings.g_lr * left });
      this.done += 1;
      if (this.jobs[0] === 0 && this.done % 10 === 0) this.found = this.pair.measure().jsd < NEAR;
      if (this.done === (d ?? g ?? falling ?? PATIENCE) || (this.jobs[0] === 0 && this.found)) {
        this.reached = this.jobs.shift();
        this.done = 0;
        if (!this.jobs.length) {
          this.record();
          return false;
        }
      }
    } else {
      this.reached = -1;
      this.step("iteration", settings);
    }
    if (this.updates - this.history.at(-1).at >= this.stride) this.record();
    return true;
  }
}
