// More trials in a round: the typed number, drawn by the round's design or chosen by the model.
import { h, once } from "./dom.js";

export class Grow {
  /** @param {import("./page.js").Page} page */
  constructor(page) {
    this.page = page;
    this.n = h("input", { type: "number", min: 1, step: 1, "aria-label": "Number of trials to add to this round", oninput: () => this.name() });
    this.chosen = h("select", { "aria-label": "How the added trials are chosen" }, h("option", { value: "" }, "drawn as in this round"), h("option", { value: "1" }, "chosen by the model"));
    this.button = h("button", { type: "button", onclick: (event) => once(event, () => this.run()) });
    this.budget = h("span", { class: "refine-faint" });
    this.element = h("p", { class: "refine-asking refine-grow" }, h("label", {}, this.n, " more trials"), this.chosen, this.button, this.budget);
  }

  show(round, another) {
    const { grow } = round;
    this.round = round;
    this.element.hidden = grow === null;
    if (grow === null) return;
    if (another || this.n.value === "") this.n.value = String(grow.n);
    this.chosen.hidden = !grow.chooses;
    this.budget.textContent = grow.text;
    this.name();
  }

  name() {
    this.button.textContent = this.n.value ? `run ${this.n.value} more` : "run more";
  }

  /** @param {string} barred the reason why nothing can be started now */
  update(barred) {
    this.button.disabled = barred !== "";
    this.button.title = barred;
  }

  async run() {
    const { page, round } = this;
    if (!this.n.validity.valid || this.n.value === "") {
      page.say("The number of trials to add must be a whole number >= 1.", "bad");
      return;
    }
    const exploit = this.chosen.hidden || this.chosen.value === "" ? null : Number(this.chosen.value);
    const answer = await page.runner.ask({ type: "add", round: round.id, n: Number(this.n.value), exploit, workers: page.runner.message.workers });
    if (answer !== null) page.header.scrollIntoView({ block: "start" });
  }
}
