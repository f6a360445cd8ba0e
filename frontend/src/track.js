// The track record: the claims that held so far, in this study and in the benchmarks.
import { fold, h, replace } from "./dom.js";
import { drawFacts } from "./headline.js";

export class Track {
  /** @param {import("./page.js").Page} page */
  constructor(page) {
    this.page = page;
    this.key = "";
    this.facts = h("dl", { class: "refine-facts refine-numbers" });
    this.table = h("div", { class: "refine-wide" });
    this.elsewhere = h("p", { class: "refine-faint" });
    this.fold = fold("track", "Track record", (this.about = h("span", { class: "refine-faint" })), this.facts, this.table, this.elsewhere);
    this.fold.hidden = true;
  }

  /** Asks again if the rounds of the study, or their trials, have changed. */
  async update() {
    const { page } = this;
    const key = JSON.stringify(page.own?.rounds ?? null);
    if (key === this.key || !page.round) return;
    this.key = key;
    const found = await page.transport.ask({ type: "track", round: page.round.id });
    if (found.error || key !== this.key) return;
    const text = [found.text ? `this study: ${found.text}` : "", `benchmarks: ${found.elsewhere} held`].filter(Boolean).join("; ");
    this.about.textContent = text;
    this.fold.hidden = false;
    drawFacts(this.facts, found.facts);
    replace(this.table, found.rows.length ? table(found) : null);
    this.elsewhere.textContent = `${found.elsewhere} claims at a risk of 5 % held in the benchmarks, on tables whose best configuration is known.`;
  }
}

function table({ head, rows }) {
  return h(
    "table",
    { class: "refine-table" },
    h("thead", {}, h("tr", {}, head.map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((text) => h("td", {}, text))))),
  );
}
