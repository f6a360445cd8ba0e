// Views of the whole round, each created when first opened: history, learning curves, pairs, and
// the comparison of the round with its parent.
import { fold, h, replace, reveal } from "./dom.js";
import { showFigure } from "./figures.js";
import { sameTrials } from "./hover.js";
import { idOf } from "./transport.js";

/** The differences of two rounds: a table with sentences. */
export function differenceTable({ head, rows, texts }) {
  const table = h("table", { class: "refine-table" }, h("thead", {}, h("tr", {}, head.map((title) => h("th", { scope: "col" }, title)))), h("tbody", {}, rows.map(([first, ...rest]) => h("tr", {}, h("th", { scope: "row" }, first), rest.map((text) => h("td", {}, text))))));
  return [h("div", { class: "refine-wide" }, table), ...texts.map((text) => h("p", {}, text))];
}

export class Views {
  /** @param {import("./page.js").Page} page */
  constructor(page) {
    this.page = page;
    /** @type {{name: string, title: string, draw: (place: HTMLElement) => any, analysed?: boolean, several?: boolean}[]} */
    this.views = [
      { name: "history", title: "history", draw: (place) => showFigure(page, place, { name: "best_so_far" }) },
      { name: "curves", title: "learning curves", draw: (place) => showFigure(page, place, { name: "curves" }), analysed: true },
      { name: "pair", title: "two parameters", draw: (place) => this.drawPair(place), analysed: true },
      { name: "beside", title: "compare with another round", draw: (place) => this.drawBeside(place), several: true },
    ];
    this.tabs = this.views.map((view, i) =>
      h("button", { type: "button", role: "tab", id: `refine-tab-${view.name}`, "aria-controls": `refine-view-${view.name}`, "aria-selected": "false", tabindex: "-1", onclick: () => this.choose(i), onkeydown: (event) => this.pressed(event, i) }, view.title),
    );
    this.places = this.views.map((view) => h("div", { role: "tabpanel", id: `refine-view-${view.name}`, "aria-labelledby": `refine-tab-${view.name}`, class: "refine-view", tabindex: "0", hidden: true }));
    this.element = fold("views", "Views", h("span", { class: "refine-faint" }, "history, curves, pairs, other rounds"), h("div", { role: "tablist", "aria-label": "Views", class: "refine-tabs" }, this.tabs), this.places);
    this.element.addEventListener("toggle", () => this.draw());
    this.at = 0;
  }

  /** The page shows a round, or the same round with other trials. */
  show(round) {
    const same = round.id === this.round?.id && round.version === this.round.version && (round.review === null) === (this.round.review === null);
    this.round = round;
    const alone = round.parent === null && (this.page.own?.rounds.length ?? 1) < 2;
    const fits = (/** @type {{analysed?: boolean, several?: boolean}} */ { analysed, several }) => !(analysed && round.review === null) && !(several && alone);
    this.views.forEach((view, i) => {
      this.tabs[i].hidden = !fits(view);
    });
    if (this.tabs[this.at].hidden) this.at = 0;
    if (same) return;
    for (const place of this.places) {
      replace(place);
      delete place.dataset.drawn;
      delete place.dataset.figure;
    }
    this.draw();
  }

  /** Opens a view and scrolls to it. */
  open(name) {
    this.choose(this.views.findIndex((view) => view.name === name));
    reveal(this.element, "start");
  }

  choose(i) {
    this.at = i;
    this.draw();
  }

  pressed(event, i) {
    const shown = this.tabs.map((_, k) => k).filter((k) => !this.tabs[k].hidden);
    const at = shown.indexOf(i);
    const steps = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: shown.length - 1 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.choose(shown[(steps[event.key] + shown.length) % shown.length]);
    this.tabs[this.at].focus();
  }

  draw() {
    this.views.forEach((view, i) => {
      const chosen = i === this.at;
      this.tabs[i].setAttribute("aria-selected", String(chosen));
      this.tabs[i].setAttribute("tabindex", chosen ? "0" : "-1");
      this.places[i].hidden = !chosen;
    });
    const place = this.places[this.at];
    if (!this.element.open || !this.round || place.dataset.drawn) return;
    place.dataset.drawn = "yes";
    this.views[this.at].draw(place);
  }

  /** The colours of the page have changed. */
  paint() {
    this.views.forEach((view, i) => {
      const place = this.places[i];
      if (!place.dataset.drawn || view.name === "beside") return;
      if (place.hidden) delete place.dataset.drawn;
      else view.draw(place);
    });
  }

  // The values at each pair of levels of two parameters.
  drawPair(place) {
    const { review } = this.round;
    const names = review.panels.map((panel) => panel.name);
    if (names.length < 2) {
      replace(place, h("p", {}, "This round varies only one parameter."));
      return;
    }
    const coupled = review.pairs.map(({ a, b }) => [a, b]);
    const first = [this.looked ?? [], ...coupled, names.slice(0, 2)].find((pair) => pair.length === 2 && pair.every((name) => names.includes(name)));
    const picture = h("div", {});
    const fields = first.map((name, side) => h("select", { "aria-label": side ? "upwards" : "across", onchange: () => show() }, names.map((each) => h("option", { value: each, selected: each === name }, each))));
    const show = () => {
      this.looked = fields.map((field) => field.value);
      showFigure(this.page, picture, { name: "pair", about: this.looked });
    };
    replace(place, h("p", {}, fields[0], " × ", fields[1]), picture);
    show();
  }

  // The comparison with another round, by default the parent.

  drawBeside(place) {
    const { round } = this;
    const others = (this.page.own?.rounds ?? []).filter(({ id }) => id !== round.id);
    const first = round.parent ?? others.at(-1)?.id;
    const shown = h("div", {});
    const choice = h(
      "select",
      { "aria-label": "the other round", onchange: () => this.drawDifference(shown, choice.value) },
      others.map(({ id, note }) => h("option", { value: id, selected: id === first }, [idOf(id), id === round.parent ? "its parent" : note.slice(0, 60)].filter(Boolean).join(", "))),
    );
    replace(place, h("p", {}, choice), shown);
    this.drawDifference(shown, first);
  }

  async drawDifference(place, other) {
    const { round } = this;
    place.dataset.other = other;
    const found = await this.page.send({ type: "beside", round: round.id, other });
    if (!sameTrials(this.round, round) || place.dataset.other !== other) return;
    if (found === null) {
      delete place.parentElement?.dataset.drawn;
      return;
    }
    const picture = h("div", {});
    replace(place, differenceTable(found), picture);
    if (round.review !== null && other === round.parent) showFigure(this.page, picture, { name: "edf" });
  }
}
