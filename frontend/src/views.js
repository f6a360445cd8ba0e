// Views of the whole round, each made when it is first looked at: history, learning curves, pairs, and
// the round beside the one that it came from.
import { curveStepAfter, line } from "d3-shape";
import { pairPicture } from "./checks.js";
import { fold, h, replace, s } from "./dom.js";
import { Dots } from "./dots.js";
import { showFigure } from "./figures.js";
import { sameTrials } from "./hover.js";
import { placed, scaleOf } from "./places.js";

const [LEFT, RIGHT, TOP, TALL, AXIS] = [52, 14, 8, 230, 34]; // pixels of the history

export class Views {
  /** @param {import("./page.js").Page} page */
  constructor(page) {
    this.page = page;
    /** @type {{name: string, title: string, draw: (place: HTMLElement) => any, analysed?: boolean, several?: boolean}[]} */
    this.views = [
      { name: "history", title: "history", draw: (place) => this.drawHistory(place) },
      { name: "curves", title: "learning curves", draw: (place) => showFigure(page, place, { name: "curves" }), analysed: true },
      { name: "pair", title: "two parameters", draw: (place) => this.drawPair(place), analysed: true },
      { name: "beside", title: "beside another round", draw: (place) => this.drawBeside(place), several: true },
    ];
    this.tabs = this.views.map((view, i) =>
      h("button", { type: "button", role: "tab", id: `refine-tab-${view.name}`, "aria-controls": `refine-view-${view.name}`, "aria-selected": "false", tabindex: "-1", onclick: () => this.choose(i), onkeydown: (event) => this.pressed(event, i) }, view.title),
    );
    this.places = this.views.map((view) => h("div", { role: "tabpanel", id: `refine-view-${view.name}`, "aria-labelledby": `refine-tab-${view.name}`, class: "refine-view", tabindex: "0", hidden: true }));
    this.element = fold("views", "Views", h("span", { class: "refine-faint" }, "history, curves, pairs, other rounds"), h("div", { role: "tablist", "aria-label": "Views", class: "refine-tabs" }, this.tabs), this.places);
    this.element.addEventListener("toggle", () => this.draw());
    this.at = 0;
  }

  /** The page shows a round, or the same with other trials. */
  show(round) {
    const same = round.id === this.round?.id && round.version === this.round.version && (round.review === null) === (this.round.review === null);
    this.round = round;
    const alone = round.parent === null && (this.page.tree?.rounds.length ?? 1) < 2;
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
    this.drop("history");
    this.drop("pair");
    this.draw();
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

  /** The page has other colours, another width or another scale. */
  paint() {
    this.layoutHistory();
    this.views.forEach((view, i) => {
      const place = this.places[i];
      if (place.dataset.drawn && view.analysed && view.name !== "pair" && !place.hidden) view.draw(place);
      else if (place.hidden && view.name !== "history" && view.name !== "pair") delete place.dataset.drawn;
    });
  }

  drop(which) {
    if (this[which]) this.page.hover.drop(this[which].chart);
    this[which] = null;
  }

  // The history: every trial in order, and the best so far.

  async drawHistory(place) {
    const { round } = this;
    const [content, buffer] = await Promise.all([this.page.send({ type: "history", round: round.id }), this.page.send({ type: "past", round: round.id })]);
    if (!sameTrials(this.round, round)) return;
    if (content === null || buffer === null || buffer.byteLength !== 17 * content.n) { // trials may come between the two answers
      delete place.dataset.drawn;
      return;
    }
    const { n } = content;
    const trials = { n, values: new Float64Array(buffer, 0, n), best: new Float64Array(buffer, 8 * n, n), flags: new Uint8Array(buffer, 16 * n, n) };
    const canvas = h("canvas", { class: "refine-dots", "aria-hidden": "true" });
    const svg = s("svg", { class: "refine-plot", role: "img", "aria-label": content.text });
    const plot = h("div", { class: "refine-drawing refine-history" }, canvas, svg);
    replace(place, h("p", { class: "refine-faint" }, content.text), plot);
    this.history = { content, trials, canvas, svg, plot, chart: new Dots(plot, canvas, this.page.hover) };
    this.layoutHistory();
  }

  layoutHistory() {
    if (!this.history) return;
    const { content, trials, canvas, svg, plot, chart } = this.history;
    const width = plot.clientWidth;
    if (width === 0) return;
    const height = TOP + TALL + AXIS;
    const scale = scaleOf(content.view, trials, { top: TOP, height: TALL, direction: this.round.direction });
    const x = (i) => LEFT + ((width - LEFT - RIGHT) * i) / Math.max(1, trials.n - 1);
    for (const [name, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, width, height })) svg.setAttribute(name, String(value));
    canvas.style.height = `${height}px`;
    const steps = bestSteps(trials);
    const clamp = (value) => Math.max(TOP, Math.min(TOP + TALL, scale.to(value)));
    replace(
      svg,
      s(
        "g",
        { class: "refine-axis", "aria-hidden": "true" },
        scale.ticks.flatMap(({ y, label }) => [s("path", { d: `M${LEFT} ${y}H${width - RIGHT}`, class: "refine-hair" }), s("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, label)]),
        content.ticks.map(({ value, label }) => s("text", { x: x(value), y: TOP + TALL + 16, "text-anchor": "middle" }, label)),
        s("text", { x: (LEFT + width - RIGHT) / 2, y: height - 3, "text-anchor": "middle" }, "trial"),
      ),
      s("path", {
        class: "refine-best-line",
        d: line()
          .x(([i]) => x(i))
          .y(([, value]) => clamp(value))
          .curve(curveStepAfter)(steps),
      }),
    );
    const flags = trials.flags.map((flag) => flag & 2);
    chart.draw(placed(trials.n, x, scale.place), flags, { colours: this.page.colours, height, beyond: scale.beyond }, { numberOf: (i) => i, indexOf: (number) => (number < trials.n ? number : -1) });
  }

  // Two parameters at every two of their levels.

  drawPair(place) {
    const { review } = this.round;
    const names = review.panels.map((panel) => panel.name);
    if (names.length < 2) {
      replace(place, h("p", {}, "The round varies one parameter alone."));
      return;
    }
    const last = this.looked; // at, before other trials came
    const first = last && names.includes(last.a) && names.includes(last.b) ? last : (review.pairs[0] ?? { a: names[0], b: names[1] });
    const fields = ["a", "b"].map((side) => h("select", { "aria-label": side === "a" ? "across" : "upwards", onchange: () => this.drawCells() }, names.map((name) => h("option", { value: name, selected: name === first[side] }, name))));
    this.pair = { fields, cells: h("div", { class: "refine-cells" }), chart: { nearest: () => null, light: (number) => this.lightCell(number) } };
    replace(place, h("p", {}, fields[0], " × ", fields[1]), this.pair.cells);
    this.page.hover.charts.add(this.pair.chart);
    this.drawCells();
  }

  async drawCells() {
    const { pair } = this;
    const [a, b] = pair.fields.map((field) => field.value);
    this.looked = { a, b };
    if (a === b) {
      replace(pair.cells, h("p", {}, "Choose two different parameters."));
      return;
    }
    const content = await this.page.send({ type: "pair", ...this.page.drawn, a, b });
    if (content === null || this.pair !== pair || pair.fields[0].value !== a || pair.fields[1].value !== b) return;
    pair.content = content;
    pair.picture = pairPicture(content, this.round.metric, this.round.direction);
    replace(pair.cells, h("p", { class: "refine-faint" }, content.about), pair.picture.svg);
    this.lightCell(this.page.hover.number);
  }

  lightCell(number) {
    this.pair?.picture?.light(number === null ? null : this.page.cellOf(number, this.pair.content));
  }

  // The round beside another one: the one that it came from, until somebody chooses.

  drawBeside(place) {
    const { round } = this;
    const others = (this.page.tree?.rounds ?? []).filter(({ id }) => id !== round.id);
    const first = round.parent ?? others.at(-1)?.id;
    const shown = h("div", {});
    const choice = h(
      "select",
      { "aria-label": "the other round", onchange: () => this.drawDifference(shown, choice.value) },
      others.map(({ id, note }) => h("option", { value: id, selected: id === first }, id === round.parent ? `${id}, its parent` : note ? `${id}, ${note.slice(0, 60)}` : id)),
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
    const { head, rows } = found;
    const picture = h("div", {});
    replace(
      place,
      h(
        "div",
        { class: "refine-wide" },
        h("table", { class: "refine-table" }, h("thead", {}, h("tr", {}, head.map((title) => h("th", { scope: "col" }, title)))), h("tbody", {}, rows.map(([first, ...rest]) => h("tr", {}, h("th", { scope: "row" }, first), rest.map((text) => h("td", {}, text)))))),
      ),
      found.texts.map((text) => h("p", {}, text)),
      picture,
    );
    if (round.review !== null && other === round.parent) showFigure(this.page, picture, { name: "edf" });
  }
}

// Where the best value changes, so that a line through 100,000 trials has a few points.
/** @returns {[number, number][]} */
function bestSteps({ n, best }) {
  /** @type {[number, number][]} */
  const steps = [];
  for (let i = 0; i < n; i += 1) {
    if (!Number.isNaN(best[i]) && (steps.length === 0 || best[i] !== steps.at(-1)[1])) steps.push([i, best[i]]);
  }
  if (steps.length) steps.push([n - 1, steps.at(-1)[1]]);
  return steps;
}
