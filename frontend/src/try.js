// Extra trials of a round, run now: more of its design, or configurations typed by the person.
import { fold, h, once, replace } from "./dom.js";
import { Grow } from "./grow.js";

export class Try {
  /** @param {import("./page.js").Page} page */
  constructor(page) {
    this.page = page;
    this.round = null;
    /** @type {Record<string, string>[]} */
    this.rows = [];
    this.list = h("div", {});
    this.addButton = h("button", { type: "button", onclick: () => this.add() }, "add another");
    this.button = h("button", { type: "button", onclick: (event) => once(event, () => this.run()) });
    this.grow = new Grow(page);
    this.own = h("div", { class: "refine-own" }, h("h3", {}, "Configurations of your own"), h("p", { class: "refine-faint" }, "Values between levels or outside the range are allowed."), this.list, h("p", { class: "refine-asking" }, this.addButton, this.button));
    this.element = fold("try", "Add trials", h("span", { class: "refine-faint" }, "run more in this round, without a decision"), this.grow.element, this.own);
  }

  show(round) {
    const another = round.id !== this.round?.id;
    this.round = round;
    this.own.hidden = Object.keys(round.start).length === 0;
    this.grow.show(round, another);
    this.element.hidden = (this.own.hidden && round.grow === null) || this.page.transport.home === "saved";
    if (another) {
      this.rows = [];
      this.add();
    } else this.update();
  }

  add() {
    this.rows.push({ ...(this.rows.at(-1) ?? this.round.start) });
    this.draw();
  }

  draw() {
    replace(this.list, this.rows.map((row, i) => h("div", { class: "refine-tries", role: "group", "aria-label": `configuration ${i + 1}` }, Object.keys(this.round.start).map((name) => this.field(row, name)), this.rows.length > 1 ? h("button", { type: "button", "aria-label": `remove configuration ${i + 1}`, onclick: () => this.remove(i) }, "×") : null)));
    this.update();
  }

  field(row, name) {
    const panel = this.round.review?.panels.find((each) => each.name === name);
    const changed = (event) => {
      row[name] = event.target.value;
      event.target.classList.toggle("changed", row[name] !== this.round.start[name]);
      this.update();
    };
    const kind = row[name] === this.round.start[name] ? null : "changed";
    const field =
      panel?.kind === "choice"
        ? h("select", { onchange: changed, class: kind }, panel.levels.map(({ label }) => h("option", { value: label, selected: label === row[name] }, label)))
        : h("input", { type: "text", value: row[name], oninput: changed, class: kind });
    return h("label", {}, name, field);
  }

  remove(i) {
    this.rows.splice(i, 1);
    this.draw();
  }

  update() {
    const n = this.rows.length;
    this.button.textContent = n === 1 ? "run this configuration" : `run these ${n} configurations`;
    const same = this.rows.every((row) => Object.keys(row).every((name) => row[name] === this.round.start[name]));
    const barred = this.page.transport.home === "browser" ? this.page.runner.barred : "";
    this.button.disabled = same || barred !== "";
    this.grow.update(barred);
    this.button.title = same ? "Change a value first: this configuration has run" : barred;
  }

  async run() {
    const { workers } = this.page.runner.message;
    await this.page.runner.ask({ type: "add", round: this.round.id, rows: this.rows, workers });
  }
}
