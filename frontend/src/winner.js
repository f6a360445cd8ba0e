// The winner, requested when its fold is opened, because the posterior takes a moment.
import { fold, h, once, replace, reveal } from "./dom.js";
import { drawFacts } from "./headline.js";

export class Winner {
  /** @param {import("./page.js").Page} page */
  constructor(page) {
    this.page = page;
    this.key = "";
    this.asking = false;
    this.about = h("span", { class: "refine-faint" }, "the configuration to use so far");
    this.shown = h("div", { role: "status" });
    this.element = fold("winner", "Winner", this.about, this.shown);
    this.element.addEventListener("toggle", () => this.update());
  }

  open() {
    reveal(this.element);
  }

  /** Asks again if the trials of the study have changed; waits while trials run. */
  async update() {
    const { page } = this;
    const key = JSON.stringify([page.own?.name, page.versions]);
    if (!this.element.open || !page.round || key === this.key || this.asking) return;
    if (page.runner.runs && this.key !== "") return;
    this.key = key;
    this.asking = true;
    if (!this.shown.hasChildNodes()) replace(this.shown, h("p", { class: "refine-faint" }, "computing the winner …"));
    const found = await page.transport.ask({ type: "winner", round: page.round.id });
    this.asking = false;
    if (found.about) this.about.textContent = found.about;
    replace(this.shown, ...(found.error ? [h("p", { class: "refine-faint" }, found.error)] : this.parts(found)));
    await this.update(); // the trials may have changed meanwhile
  }

  parts({ title, values, facts, code, step }) {
    const { page } = this;
    const list = h("dl", { class: "refine-facts refine-numbers" });
    drawFacts(list, facts);
    const able = step.do && page.transport.home === "browser";
    const confirm = h("button", { type: "button", disabled: page.runner.barred !== "", title: page.runner.barred || step.title, onclick: (event) => once(event, () => page.act(step)) }, step.label);
    return [
      h("p", { class: "refine-faint" }, title),
      h("dl", { class: "refine-values" }, values.map(({ name, value }) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
      list,
      able ? confirm : null,
      h("div", { class: "refine-python" }, h("pre", { tabindex: "0", "aria-label": "The winner in Python" }, code)),
    ];
  }
}
