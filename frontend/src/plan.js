// @ts-check
// How the next round draws its trials beside its bounds and its size: the shares that exploit and audit.
import { h } from "./dom.js";

export class Plan {
  /** @param {() => void} changed Called after every change of the person's. */
  constructor(changed) {
    /** @type {Record<string, number>} */
    this.shares = {};
    this.inputs = { exploit: this.input("exploit", changed), audit: this.input("audit", changed) };
    this.labels = Object.entries(this.inputs).map(([name, input]) => h("label", { class: "refine-share" }, `${name} `, input, " %"));
  }

  input(name, changed) {
    return h("input", { type: "number", min: 0, max: 99, step: "any", "aria-label": `Share of ${name} trials in the next round, in percent`, oninput: changed });
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

  /** A round is shown: with what was begun on it, if anything was. */
  show(was) {
    for (const [name, input] of Object.entries(this.inputs)) input.value = was?.[name] ?? percent(this.shares[name]);
  }

  get state() {
    return { exploit: this.inputs.exploit.value, audit: this.inputs.audit.value };
  }

  get message() {
    const share = (value) => (value === "" ? null : Number((Number(value) / 100).toPrecision(12)));
    return { exploit: share(this.inputs.exploit.value), audit: share(this.inputs.audit.value) };
  }
}

/** @param {number} share */
export function percent(share) {
  return String(Number((100 * share).toPrecision(6)));
}
