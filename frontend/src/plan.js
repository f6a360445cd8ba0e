// @ts-check
// The shares of exploit and audit trials in the next round: as advised, or as typed by the person.
import { h } from "./dom.js";

const NAMES = ["exploit", "audit"];

export class Plan {
  /** @param {() => void} changed Called after each change by the person. */
  constructor(changed) {
    /** @type {Record<string, string>} */
    this.typed = {};
    /** @type {Record<string, string>} */
    this.advised = {};
    /** @type {Record<string, HTMLInputElement>} */
    this.inputs = Object.fromEntries(NAMES.map((name) => [name, this.input(name, changed)]));
    this.labels = NAMES.map((name) => h("label", { class: "refine-share" }, `${name} `, this.inputs[name], " %"));
  }

  input(name, changed) {
    const oninput = (event) => {
      this.typed[name] = event.target.value;
      if (event.target.value === "") delete this.typed[name];
      changed();
    };
    return h("input", { type: "number", min: 0, max: 99, step: "any", "aria-label": `Share of ${name} trials in the next round, in percent`, oninput });
  }

  /** @param {Record<string, string>} terms */
  begin(terms) {
    this.terms = terms;
  }

  /**
   * Shows a round, with the shares that the person typed for the round, if any.
   * @param {Record<string, string> | undefined} typed
   */
  show(typed) {
    this.typed = { ...typed };
    this.update();
  }

  /**
   * The advice for the edited space, in percent.
   * @param {Record<string, string>} shares
   */
  advise(shares) {
    this.advised = shares;
    this.update();
  }

  update() {
    NAMES.forEach((name, i) => {
      const input = this.inputs[name];
      input.placeholder = this.advised[name] ?? "";
      const focused = /** @type {Document | ShadowRoot} */ (input.getRootNode()).activeElement === input;
      if (!focused) input.value = this.typed[name] ?? this.advised[name] ?? "";
      this.labels[i].title = this.terms?.[name] ?? "";
    });
  }

  get state() {
    return { ...this.typed };
  }

  // The typed shares; null stands for the advised share.
  get message() {
    const share = (/** @type {string} */ name) => (name in this.typed ? Number((Number(this.typed[name]) / 100).toPrecision(12)) : null);
    return { exploit: share("exploit"), audit: share("audit") };
  }
}
