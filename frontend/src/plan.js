// @ts-check
// How the next round draws its trials beside its bounds and its size: the shares that exploit and audit, and what is believed.
import { h } from "./dom.js";

/** @typedef {import("./messages.js").BeliefForm} BeliefForm */

export class Plan {
  /** @param {() => void} changed Called after every change of the person's. */
  constructor(changed) {
    this.changed = changed;
    /** @type {Record<string, number>} */
    this.shares = {};
    /** @type {Map<string, BeliefForm>} What is stored with the round. */
    this.stored = new Map();
    /** @type {Map<string, BeliefForm>} */
    this.beliefs = new Map();
    this.inputs = { exploit: this.input("exploit"), audit: this.input("audit") };
    this.labels = Object.entries(this.inputs).map(([name, input]) => h("label", { class: "refine-share" }, `${name} `, input, " %"));
  }

  input(name) {
    return h("input", { type: "number", min: 0, max: 99, step: "any", "aria-label": `Share of ${name} trials in the next round, in percent`, oninput: () => this.changed() });
  }

  /**
   * @param {Record<string, number>} shares What accepting takes where nothing is said.
   * @param {Record<string, string>} terms
   */
  begin(shares, terms) {
    this.shares = shares;
    this.labels.forEach((label, i) => {
      const name = Object.keys(this.inputs)[i];
      label.title = `${terms[name]} Usual: ${percent(shares[name])} %.`;
    });
  }

  /**
   * A round is shown: with what was begun on it, if anything was.
   * @param {Array<{name: string, belief: BeliefForm | null}>} panels
   * @param {{exploit: string, audit: string, beliefs: Array<[string, BeliefForm]>} | undefined} was
   */
  show(panels, was) {
    this.stored = new Map(panels.filter((panel) => panel.belief !== null).map((panel) => [panel.name, /** @type {BeliefForm} */ (panel.belief)]));
    this.beliefs = new Map(was?.beliefs ?? this.stored);
    for (const [name, input] of Object.entries(this.inputs)) input.value = was?.[name] ?? percent(this.shares[name]);
  }

  get state() {
    return { exploit: this.inputs.exploit.value, audit: this.inputs.audit.value, beliefs: [...this.beliefs] };
  }

  /** @param {string} name @param {BeliefForm | null} form */
  believe(name, form) {
    if (form === null) this.beliefs.delete(name);
    else this.beliefs.set(name, form);
    this.changed();
  }

  // Whether somebody believes something else than what is stored: then all of it is sent.
  get believesAnew() {
    return !sameForms(this.beliefs, this.stored);
  }

  get message() {
    const share = (/** @type {"exploit" | "audit"} */ name) => {
      const { value } = this.inputs[name];
      return value === "" ? null : Number((Number(value) / 100).toPrecision(12));
    };
    return { exploit: share("exploit"), audit: share("audit"), belief: this.believesAnew ? Object.fromEntries(this.beliefs) : null };
  }

  // A belief chooses exploit trials: without any it only shapes what is proposed later.
  get idle() {
    return this.beliefs.size > 0 && !(Number(this.inputs.exploit.value) > 0);
  }
}

/** @param {number} share */
export function percent(share) {
  return String(Number((100 * share).toPrecision(6)));
}

/** @param {Map<string, BeliefForm>} a @param {Map<string, BeliefForm>} b */
export function sameForms(a, b) {
  const text = (/** @type {Map<string, BeliefForm>} */ forms) =>
    JSON.stringify([...forms].sort(([x], [y]) => (x < y ? -1 : 1)).map(([name, form]) => [name, Object.entries(form).sort()]));
  return text(a) === text(b);
}
