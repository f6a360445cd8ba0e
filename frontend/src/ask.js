// Questions about a part of the space: the fields, suggested questions, the answer, and the round that settles it.
import { fold, h, once, replace } from "./dom.js";
import { drawFacts } from "./headline.js";

export class Ask {
  /** @param {import("./page.js").Page} page */
  constructor(page) {
    this.page = page;
    this.round = null;
    this.asked = null; // the last question
    this.box = h("input", { type: "text", maxlength: 2000, spellcheck: "false", "aria-label": "Question: a condition on the parameters" });
    this.given = h("input", { type: "text", maxlength: 2000, spellcheck: "false", placeholder: "given (optional)", "aria-label": "Given: only configurations with this condition are compared" });
    this.tolerance = h("input", { type: "number", min: 0, step: "any", placeholder: "tolerance (optional)", "aria-label": "Tolerance: smaller differences count as ties" });
    this.button = h("button", { type: "submit" }, "ask");
    this.chips = h("div", { class: "refine-asking" });
    this.answer = h("div", { role: "status" });
    const form = h(
      "form",
      {
        class: "refine-asking",
        onsubmit: (event) => {
          event.preventDefault();
          this.ask(this.typed());
        },
      },
      this.box,
      this.given,
      this.tolerance,
      this.button,
    );
    this.element = fold("ask", "Ask", h("span", { class: "refine-faint" }, "is a part of the space as good as the rest?"), form, this.chips, this.answer);
    this.element.addEventListener("toggle", () => this.suggest());
  }

  show(round) {
    const another = round.id !== this.round?.id || round.version !== this.round.version;
    this.round = round;
    this.element.hidden = round.review === null || this.page.transport.home === "saved";
    if (!another) return;
    this.suggested = false;
    replace(this.chips);
    replace(this.answer);
    const first = round.review?.panels[0];
    if (first) this.box.placeholder = `for example ${first.name} ${first.kind === "range" ? `<= ${first.labels[Math.floor(first.labels.length / 2)]}` : `== '${first.levels[0].label}'`}`;
    this.suggest();
  }

  // Suggested questions take as long as a proposal, so they are computed when the fold is opened.
  async suggest() {
    const { round } = this;
    if (!this.element.open || this.element.hidden || this.suggested || !round) return;
    this.suggested = true;
    const found = await this.page.transport.ask({ type: "questions", round: round.id, suggest: true });
    if (found.error || this.round !== round) return;
    const chip = ({ text, reason, ...question }) => h("button", { type: "button", class: "refine-suggestion", title: reason ?? null, onclick: () => this.ask(question) }, text);
    const list = (title, questions) => (questions.length ? [h("span", { class: "refine-faint" }, title), questions.map(chip)].flat() : []);
    replace(this.chips, [...list("worth asking", found.suggested), ...list("asked before", found.asked)]);
  }

  // The question in the fields. The fields have no second region and no tolerances of several goals: a question asked
  // before keeps its own until a field changes.
  typed() {
    const typed = { question: this.box.value, given: this.given.value || null, better: null, epsilon: this.tolerance.value ? Number(this.tolerance.value) : null };
    return this.asked && fieldsOf(typed) === fieldsOf(this.asked) ? this.asked : typed;
  }

  async ask(question) {
    if (!question.question.trim()) return;
    const { round } = this;
    this.asked = question;
    this.box.value = question.question;
    this.given.value = question.given ?? "";
    this.tolerance.value = typeof question.epsilon === "number" ? question.epsilon : "";
    this.button.disabled = true;
    replace(this.answer, h("p", { class: "refine-faint" }, "computing the answer …"));
    const found = await this.page.transport.ask({ type: "ask", round: round.id, ...question });
    this.button.disabled = false;
    if (this.round !== round) return;
    if (found.error) {
      replace(this.answer, h("p", { class: "refine-warning" }, found.error));
      return;
    }
    const facts = h("dl", { class: "refine-facts" });
    drawFacts(facts, found.facts);
    const settle = h("button", { type: "button", onclick: (event) => once(event, () => this.settle(question)) }, `plan ${found.needed} trials near the bests`);
    replace(this.answer, h("div", { class: "refine-answer" }, h("p", {}, found.text), h("p", { class: "refine-faint" }, found.title), facts, found.needed ? settle : null));
  }

  async settle(question) {
    const { page, round } = this;
    const found = await page.send({ type: "settle", round: round.id, ...question });
    if (found === null || page.round !== round) return;
    await page.open(found.round);
    await page.drawTree(found.round);
  }
}

// The text of the three fields for a question.
const fieldsOf = ({ question, given, epsilon }) => JSON.stringify([question, given ?? "", typeof epsilon === "number" ? epsilon : ""]);
