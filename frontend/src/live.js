// A running or waiting round: progress, time left, best value so far, finished trials, and the space.
import { scaleLinear } from "d3-scale";
import { h, replace, s } from "./dom.js";
import { drawTiles } from "./headline.js";

const HEIGHT = 190;
const [NARROWEST, WIDEST] = [320, 900];
const [LEFT, RIGHT, TOP, BOTTOM] = [62, 12, 10, 24];
const SHOWN = 0.9; // share of the values that the axis shows; worse values are drawn at its lower end

export class Live {
  /** @param {import("./page.js").Page} page */
  constructor(page) {
    this.page = page;
    this.round = null;
    this.started = null;
    this.tiles = h("dl", { class: "refine-tiles" });
    this.bar = h("progress", { max: 1, value: 0, "aria-label": "Trials that have ended" });
    this.said = h("p", { class: "refine-unseen", role: "status" });
    this.chart = h("div", { class: "refine-live-chart" });
    this.space = h("div", { class: "refine-wide" });
    this.going = h("div", { class: "refine-going" }, this.tiles, this.bar, this.said);
    this.element = h("section", { class: "refine-live", "aria-label": "Progress" }, h("div", { class: "refine-live-main" }, this.going, page.runner.element, this.chart), this.space);
  }

  /** The page shows a round, or the same round with other trials. */
  show(round) {
    if (round.id !== this.round?.id) this.started = null;
    this.round = round;
    const waiting = round.review === null;
    this.element.classList.toggle("waiting", waiting);
    this.space.hidden = !waiting;
    replace(this.space, waiting ? spaceTable(round.space, round.parent !== null) : null);
    this.progress(round.progress);
    this.drawn = null;
    this.look();
  }

  progress(progress) {
    const { ended, planned, text, best } = progress;
    const { round } = this;
    this.last = progress;
    this.ended = ended;
    this.going.hidden = round.imported || ended >= planned || (ended === 0 && round.review !== null);
    this.chart.hidden = this.going.hidden || ended === 0;
    this.bar.max = planned;
    this.bar.value = ended;
    this.said.textContent = text;
    const count = (number) => number.toLocaleString("en");
    const { runs } = this.page.runner;
    const left = this.timeLeft(ended, planned);
    const { forecast, text: expected } = round.expected;
    drawTiles(this.tiles, [
      { name: "Trials", number: `${count(ended)} of ${count(planned)}`, text: runs ? "" : "waiting" },
      ...(runs ? [{ name: "Time left", number: left, text: "at the present pace" }] : []),
      ...(best ? [{ name: "Best so far", number: best, text: expected }] : []),
      ...(!best && forecast ? [{ name: "Best value forecast", ...forecast }] : []),
    ]);
  }

  // Estimated from the pace since the page began to watch.
  timeLeft(ended, planned) {
    if (!this.page.runner.runs) {
      this.started = null;
      return "";
    }
    this.started ??= { time: performance.now(), ended };
    const done = ended - this.started.ended;
    if (done === 0) return "…";
    return spelt(((performance.now() - this.started.time) / 1000 / done) * (planned - ended));
  }

  /** Draws the trials that have ended since the last call. */
  async look() {
    const { round } = this;
    const width = Math.min(WIDEST, Math.max(NARROWEST, this.chart.clientWidth));
    const key = `${round?.id} ${this.ended} ${width}`;
    if (!round || this.chart.hidden || key === this.drawn) return;
    this.drawn = key;
    const found = await this.page.transport.ask({ type: "points", round: round.id });
    if (found.error || this.round !== round) return;
    replace(this.chart, chartOf(found, round, width));
  }
}

const spelt = (seconds) => {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
};

// Trials in the order of their end, the best value so far as steps, and the forecast of the best value as a band.
function chartOf({ values, usable, sign }, { progress, expected, metric }, width) {
  const goodness = values.map((value, i) => (value === null || !usable[i] ? Number.NaN : sign * value));
  const sorted = goodness.filter((value) => !Number.isNaN(value)).sort((a, b) => b - a);
  if (sorted.length === 0) return h("p", { class: "refine-faint" }, "No trial has a value yet.");
  const marks = [expected.low, expected.high, expected.before].filter((value) => value !== null).map((value) => sign * value);
  const top = Math.max(sorted[0], ...marks);
  const low = Math.min(sorted[Math.min(sorted.length - 1, Math.floor(SHOWN * sorted.length))], ...marks);
  const bottom = low === top ? top - Math.abs(top || 1) : low;
  const x = (i) => LEFT + ((width - LEFT - RIGHT) * (i + 0.5)) / Math.max(progress.planned, values.length);
  const y = (value) => TOP + ((HEIGHT - TOP - BOTTOM) * (top - Math.max(value, bottom))) / (top - bottom);
  let best = Number.NEGATIVE_INFINITY;
  let bestTrial = 0;
  let steps = "";
  goodness.forEach((value, i) => {
    if (!(value > best)) return;
    best = value;
    bestTrial = i;
    steps += steps ? `H${x(i)}V${y(value)}` : `M${x(i)} ${y(value)}`;
  });
  steps += `H${x(values.length - 1)}`;
  const right = width - RIGHT;
  const band = expected.low === null ? null : [y(sign * expected.low), y(sign * expected.high)].sort((a, b) => a - b);
  const before = expected.before === null ? null : y(sign * expected.before);
  const round = scaleLinear().domain([sign * bottom, sign * top]);
  const format = round.tickFormat(4);
  const ticks = round.ticks(4).map((value) => s("text", { x: LEFT - 8, y: y(sign * value) + 3.5, "text-anchor": "end" }, format(value)));
  return [
    s(
      "svg",
      { class: "refine-scatter", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `${metric} of the trials so far, the best at the top` },
      band ? s("rect", { class: "refine-forecast", x: LEFT, width: right - LEFT, y: band[0], height: Math.max(2, band[1] - band[0]) }) : null,
      before === null ? null : s("path", { class: "refine-now", d: `M${LEFT} ${before}H${right}` }),
      s("g", { "aria-hidden": "true" }, goodness.map((value, i) => (Number.isNaN(value) ? s("text", { x: x(i), y: HEIGHT - BOTTOM, class: "refine-failed", "text-anchor": "middle" }, "×") : s("circle", { class: "refine-other", cx: x(i), cy: y(value), r: 2.6 })))),
      s("path", { class: "refine-steps", d: steps }),
      s("circle", { class: "refine-winner", cx: x(bestTrial), cy: y(best), r: 4 }),
      ticks,
      s("text", { class: "refine-axis-title", transform: `translate(11,${(HEIGHT - BOTTOM) / 2}) rotate(-90)`, "text-anchor": "middle" }, `${metric} (best up)`),
      s("text", { x: right, y: HEIGHT - 6, "text-anchor": "end" }, "trials in the order of their end"),
    ),
    h("p", { class: "refine-legend refine-faint" }, h("span", { class: "refine-key best" }, "best so far"), h("span", { class: "refine-key winner" }, "best trial"), h("span", { class: "refine-key everyone" }, "trial"), band ? h("span", { class: "refine-key forecast" }, "best value forecast") : null, before === null ? null : h("span", { class: "refine-key now" }, "best of its parent")),
  ];
}

// The space of a round next to its parent's.
function spaceTable(space, child) {
  const head = ["parameter", "searched", ...(child ? ["in its parent"] : [])];
  return h(
    "table",
    { class: "refine-table refine-space" },
    h("caption", {}, "Space of this round"),
    h("thead", {}, h("tr", {}, head.map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, space.map(({ name, value, before, fixed }) => h("tr", { class: before ? "changed" : null }, h("th", { scope: "row" }, name), h("td", {}, fixed ? `${value} (fixed)` : value), child ? h("td", { class: "refine-faint" }, before || "the same") : null))),
  );
}
