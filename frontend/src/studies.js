// A comparison of two studies: their results, the values that each would keep, and the trials of both on shared axes.
// The study of the page has filled dots, the other study hollow diamonds.
import { axisBottom } from "d3-axis";
import { scaleLinear, scaleLog } from "d3-scale";
import { select } from "d3-selection";
import { axisOf } from "./axis.js";
import { now, proposes, same } from "./choices.js";
import { fold, h, replace, s } from "./dom.js";
import { BAD, columnsOf, INFEASIBLE, OTHER, jitter, MISSING, scaleOf } from "./places.js";
import { idOf } from "./transport.js";
import { differenceTable } from "./views.js";

const [WIDTH, LEFT, RIGHT, PAD] = [310, 48, 4, 8]; // the marks of the best trials are as wide as the pad
const [TOP, DOTS, AXIS] = [26, 104, 24];
const MOST = 1000; // largest number of dots of a study; of more trials, an even selection and the best are drawn
export const MARKS = ["●", "◇"];

export class Studies {
  /** @param {import("./page.js").Page} page */
  constructor(page) {
    this.page = page;
    /** @type {(string | null)[]} */
    this.ids = [null, null]; // ids of the compared rounds
    /** @type {{round: any, trials: any, facts: {name: string, text: string}[]}[]} */
    this.pair = [];
    this.about = h("span", { class: "refine-faint" });
    this.table = h("div", { class: "refine-wide" });
    this.plots = h("div", { class: "refine-grid" });
    this.legend = h("p", { class: "refine-faint" });
    this.full = h("div", {});
    this.whole = h("p", {});
    this.fuller = h("details", {}, h("summary", {}, "all differences"), this.full);
    this.element = fold("studies", "Two studies", this.about, this.table, this.whole, this.plots, this.legend, this.fuller);
    this.element.open = true;
    this.element.hidden = true;
  }

  get trees() {
    const { tree } = this.page;
    return tree?.other ? [tree, tree.other] : [];
  }

  /** The page shows a round, or has new data on its trees. */
  async show() {
    this.element.hidden = this.trees.length < 2 || this.trees.some(({ rounds }) => rounds.length === 0);
    this.again = true;
    if (this.asking) return; // one comparison at a time, because trials may end faster than a round is analysed
    this.asking = true;
    try {
      while (this.again) {
        this.again = false;
        await this.compare();
      }
    } finally {
      this.asking = false;
    }
  }

  async compare() {
    const { page, trees } = this;
    if (this.element.hidden || page.round === null) return;
    const { round } = page;
    const at = idOf(round.id) === round.id ? 0 : 1; // number of the shown study
    trees.forEach(({ rounds }, i) => {
      if (!rounds.some(({ id }) => id === this.ids[i])) this.ids[i] = rounds.at(-1)?.id ?? null;
    });
    this.ids[at] = round.id;
    const other = this.ids[1 - at];
    const key = JSON.stringify([this.ids, round.version, round.review?.proposal, page.versions?.[other], trees]);
    if (key === this.key) return;
    this.key = key;
    const [mine, theirs] = await Promise.all([this.claimed(round, null), this.read(other)]);
    if (theirs === null) this.key = null; // asked again after the next change
    if (theirs === null || page.round.id !== round.id || this.ids[1 - at] !== other) return;
    if (this.pair.some((one, i) => one.round.id !== this.ids[i])) this.whole.textContent = ""; // the text is about other rounds
    this.pair = at ? [theirs, mine] : [mine, theirs];
    this.draw();
    await this.differ();
  }

  // The round of the other study, with its trials.
  async read(id) {
    const { transport, slider } = this.page;
    const round = await transport.ask({ type: "round", round: id, risk: slider.asked });
    if (round.error) {
      this.about.textContent = round.error;
      return null;
    }
    const { review } = round;
    const buffer = review && (await transport.ask({ type: "trials", round: id, risk: review.risk, proposal: review.proposal }));
    return this.claimed(round, !buffer || buffer.error ? null : columnsOf(buffer, review.panels.map(({ name }) => name), review.trials));
  }

  // The facts of a round, with the claim of its proposal.
  async claimed(round, trials) {
    const { review, id } = round;
    const none = { edits: {}, rejected: [], note: "" };
    const preview = review && (await this.page.transport.ask({ type: "preview", round: id, risk: review.risk, proposal: review.proposal, ...none }));
    const recommended = review ? [{ name: "Recommendation", text: `${review.outlook.text}. ${review.outlook.reason}` }] : [];
    return { round, trials, facts: [...recommended, ...(preview?.risks ?? []), ...(review?.facts ?? [])] };
  }

  draw() {
    const { pair, trees, page } = this;
    this.about.textContent = trees.map(({ title }) => title).join(" and ");
    const heads = trees.map((tree, i) =>
      h(
        "th",
        { scope: "col" },
        h("span", { class: `refine-study refine-study-${i}` }, tree.title),
        " ",
        h(
          "select",
          { "aria-label": `round of ${tree.title}`, onchange: (event) => this.choose(i, event.target.value) },
          tree.rounds.map(({ id, note }) => h("option", { value: id, selected: id === this.ids[i] }, [idOf(id), note.slice(0, 60)].filter(Boolean).join(", "))),
        ),
      ),
    );
    const facts = pair.map((one) => new Map(one.facts.map(({ name, text }) => [name, text])));
    const line = ([name, [first, second]]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, first), h("td", {}, second), h("td", {}));
    const said = [
      ["trials", pair.map(({ round: { progress } }) => (progress.ended < progress.planned ? `${progress.ended.toLocaleString("en")} of ${progress.planned.toLocaleString("en")}` : progress.ended.toLocaleString("en")))],
      ["best", pair.map(({ round }) => round.review?.best_value ?? round.why)],
      ["kept", pair.map(({ round }) => (round.parent ? `${round.kept} of its first space` : "its first space"))],
    ];
    const claims = [...new Set(facts.flatMap((of) => [...of.keys()]))].map((name) => [name, facts.map((of) => of.get(name) ?? "–")]);
    const parameters = pair.map(({ round }) => parametersOf(round));
    const names = [...new Set(parameters.flatMap((of) => [...of.keys()]))];
    const rows = names.map((name) => {
      const both = parameters.map((of) => of.get(name));
      const [text, tone] = agreed(both[0], both[1]);
      return h("tr", {}, h("th", { scope: "row", class: "refine-name" }, name), both.map((one) => h("td", {}, spelt(one))), h("td", { class: tone }, text));
    });
    replace(
      this.table,
      h(
        "table",
        { class: "refine-table refine-studies" },
        h("thead", {}, h("tr", {}, h("td", {}), heads, h("th", { scope: "col" }, "kept by both"))),
        h("tbody", {}, said.map(line), rows, claims.map(line)),
      ),
    );
    this.paint();
  }

  choose(i, id) {
    const at = this.ids.indexOf(this.page.round.id);
    this.ids[i] = id;
    if (i === at) this.page.choose(id);
    else this.show();
  }

  // All differences of the two rounds, and the study with the better trials.
  async differ() {
    const { ids, trees } = this;
    const [round, other] = ids;
    const found = await this.page.transport.ask({ type: "beside", round, other, across: true });
    if (ids[0] !== round || ids[1] !== other) return;
    this.fuller.hidden = Boolean(found.error); // a saved page has the comparison of some rounds only
    this.whole.textContent = found.texts?.join(" ") ?? "";
    const [first, , , last] = found.head ?? [];
    if (!found.error) replace(this.full, differenceTable({ rows: found.rows, head: [first, ...trees.map(({ title }) => title), last], texts: [] }));
  }

  /** Draws the trials of both studies; the trials of the shown round arrive later. */
  paint() {
    const { page, pair } = this;
    if (pair.length < 2 || this.element.hidden) return;
    const { id, version } = page.round;
    for (const one of pair) if (one.round.id === id && one.round.version === version) one.trials = page.trials ?? one.trials;
    // Another root of a tree may have another metric.
    const alike = ["metric", "direction"].every((name) => pair[0].round[name] === pair[1].round[name]);
    const ready = alike && pair.every(({ trials }) => trials !== null);
    const names = ready ? pair[0].round.review.panels.map(({ name }) => name) : [];
    const scale = ready ? valuesOf(pair) : null;
    const panels = names.map((name) => pair.map(({ round }) => round.review.panels.find((panel) => panel.name === name)));
    const shared = panels.filter(([first, second]) => second && first.kind === second.kind);
    replace(this.plots, shared.map((both) => this.plot(both, scale)));
    const some = pair.map(({ trials }, i) => (trials && trials.n > MOST ? `; of ${trials.n.toLocaleString("en")} trials of ${MARKS[i]} about ${MOST.toLocaleString("en")} are drawn` : ""));
    this.legend.textContent = shared.length ? `Trials of both rounds: the better half to scale, the worse half by rank, failed or unusable ones left out${some.join("")}. Above them: the range searched and, thick, the range kept.` : alike ? "" : "These rounds use different metrics, so their trials cannot share an axis.";
  }

  plot([first, second], { place, ticks }) {
    const both = [first, second];
    const x = acrossOf(first, second);
    const bottom = TOP + DOTS;
    const axis = s("g", { class: "refine-axis", transform: `translate(0,${bottom})`, "aria-hidden": "true" });
    x.draw(axis);
    const bar = (panel, i) => {
      const y = 6 + 9 * i;
      return [...x.spans(panel, now(panel)).map(([from, to]) => s("path", { class: `refine-study-${i} refine-searched`, d: `M${from} ${y}H${to}` })), ...x.spans(panel, keptOf(panel)).map(([from, to]) => s("path", { class: `refine-study-${i} refine-stays`, d: `M${from} ${y}H${to}` }))];
    };
    const dots = (i) => {
      const { trials, round } = this.pair[i];
      const column = trials.columns.get(both[i].name);
      const sign = round.direction === "maximize" ? 1 : -1;
      const step = Math.ceil(trials.n / MOST);
      let [d, best] = ["", -1];
      for (let k = 0; k < trials.n; k += 1) {
        const y = place[i](k);
        if (column[k] === MISSING || Number.isNaN(y) || trials.flags[k] & (BAD | INFEASIBLE | OTHER)) continue;
        if (best < 0 || sign * trials.values[k] > sign * trials.values[best]) best = k;
        if (k % step === 0) d += markAt(i, x.at(both[i], column[k], k), y, i ? 2.6 : 1.7);
      }
      const top = best < 0 ? null : s("path", { class: `refine-study-${i} refine-top`, d: markAt(i, x.at(both[i], column[best], best), place[i](best), i ? 6 : 4.5) }, s("title", {}, round.review.best));
      return [s("path", { class: `refine-study-${i} refine-marks`, d }), top];
    };
    const svg = s(
      "svg",
      { class: "refine-plot", viewBox: `0 0 ${WIDTH} ${bottom + AXIS}`, width: WIDTH, height: bottom + AXIS, role: "img", "aria-label": `${first.name}: trials of both studies by their values` },
      s("g", { class: "refine-axis" }, ticks.flatMap(({ y, label }) => [s("path", { class: "refine-hair", d: `M${LEFT} ${y}H${WIDTH - RIGHT}` }), s("text", { x: LEFT - 6, y: y + 3.5, "text-anchor": "end" }, label)])),
      axis,
      both.flatMap(bar),
      [0, 1].sort((i, j) => this.pair[j].trials.n - this.pair[i].trials.n).map(dots).flat(), // the study with fewer trials lies on top
    );
    return h("figure", { class: "refine-panel" }, h("figcaption", { class: "refine-name" }, h("strong", {}, first.name)), svg);
  }
}

// The panel of each parameter of a round; fixed parameters have none.
function parametersOf({ review, space }) {
  const said = (kind) => (/** @type {{name: string, value: string}} */ { name, value }) => [name, { kind, name, now: value }];
  if (review === null) return new Map(space.map(said("unknown")));
  return new Map([...review.panels.map((panel) => [panel.name, panel]), ...review.fixed.map(said("fixed"))]);
}

// The bounds, or the numbers of the levels, that the proposal keeps.
const keptOf = (panel) => panel.proposed ?? now(panel);

const worded = (panel, kept) => (panel.kind === "range" ? kept.map((value) => panel.labels[panel.stops.indexOf(value)] ?? String(value)).join(" to ") : kept.map((i) => panel.levels[i].label).join(", "));

function spelt(panel) {
  if (panel === undefined) return "–";
  if (!panel.badge) return panel.now;
  const kept = keptOf(panel);
  return [proposes(panel) && !same(kept, now(panel)) ? `${panel.now} → ${worded(panel, kept)} ` : `${panel.now} `, panel.badge.text ? h("span", { class: `refine-badge ${panel.badge.tone}`, title: panel.badge.title }, panel.badge.text) : ""];
}

// Labels of the kept choices, or the only value.
const labelsOf = (panel) => (panel.kind === "fixed" ? [panel.now] : keptOf(panel).map((i) => panel.levels[i].label));

// The values that both proposals keep, and the tone.
function agreed(first, second) {
  if (first === undefined || second === undefined) return [`only ${MARKS[first === undefined ? 1 : 0]}`, "refine-faint"];
  const both = [first, second];
  const kinds = both.map(({ kind }) => kind);
  if (first.now === second.now && kinds.some((kind) => kind === "fixed" || kind === "unknown")) return ["the same", "good"];
  if (kinds.includes("unknown")) return ["", ""];
  const kept = both.map((panel) => (panel.kind === "fixed" ? [] : keptOf(panel)));
  if (kinds[0] === kinds[1] && kinds[0] !== "fixed") {
    const texts = both.map((panel, i) => worded(panel, kept[i]));
    if (texts[0] === texts[1]) return [texts[0] === first.now && texts[0] === second.now ? "the same" : `the same: ${texts[0]}`, "good"];
  }
  if (kinds.every((kind) => kind === "range")) {
    const [low, high] = [0, 1].map((side) => {
      const inner = side ? kept[0][1] <= kept[1][1] : kept[0][0] >= kept[1][0];
      return inner ? [kept[0][side], first] : [kept[1][side], second];
    });
    if (low[0] > high[0]) return ["nothing", "warn"];
    const ends = [low, high].map(([value, panel]) => worded(panel, [value]));
    return [ends[0] === ends[1] ? ends[0] : ends.join(" to "), ""];
  }
  // A list of values, and a list or a range.
  const range = both.find(({ kind }) => kind === "range");
  const [labels, others] = both.filter((panel) => panel !== range).map(labelsOf);
  const [low, high] = range ? keptOf(range) : [];
  const common = labels.filter((label) => (range ? low <= Number(label) && Number(label) <= high : others.includes(label)));
  return common.length ? [common.join(", "), ""] : ["nothing", "warn"];
}

// A shared axis: converts positions on a study's own panel, and has the range of each study.
function acrossOf(first, second) {
  const range = [LEFT + PAD, WIDTH - RIGHT - PAD];
  if (first.kind === "range") {
    const log = first.log && second.log;
    const edges = [first, second].flatMap(({ edges: [low, high] }) => [low, high]);
    const scale = (log ? scaleLog() : scaleLinear()).domain([Math.min(...edges), Math.max(...edges)]).range(range);
    const axes = new Map([first, second].map((panel) => [panel, axisOf(panel).scale]));
    return {
      // Next to each other if both are at one level.
      at: (panel, position, k) => scale(axes.get(panel).invert(position / (MISSING - 1))) + (panel === first ? -2.5 : 2.5) + 2 * (jitter(k) - 0.5),
      spans: (_, [low, high]) => [[scale(low), Math.max(scale(high), scale(low) + 2)]],
      draw: (axis) => {
        const width = ({ edges: [low, high] }) => scale(high) - scale(low);
        const ticks = [first, second].sort((a, b) => width(b) - width(a)).flatMap(({ ticks }) => [ticks[0], ticks.at(-1), ...ticks]);
        const shown = apart(ticks, ({ value }) => scale(value), ({ label }) => 8 + 6.2 * label.length);
        const labels = new Map(shown.map(({ value, label }) => [value, label]));
        select(axis).call(axisBottom(scale).tickValues([...labels.keys()]).tickFormat((value) => labels.get(value)).tickSize(4));
      },
    };
  }
  const labels = [...new Set([first, second].flatMap(({ levels }) => levels.map(({ label }) => label)))];
  const scale = scaleLinear().domain([0, labels.length]).range(range);
  const of = (panel, level) => labels.indexOf(panel.levels[level].label);
  const room = (range[1] - range[0]) / labels.length / 6.5;
  return {
    at: (panel, position, k) => scale(of(panel, Math.min(panel.levels.length - 1, Math.floor((position / (MISSING - 1)) * panel.levels.length))) + 0.5 + (panel === first ? -0.15 : 0.15) + 0.22 * (jitter(k) - 0.5)),
    spans: (panel, kept) => kept.map((level) => [scale(of(panel, level) + 0.1), scale(of(panel, level) + 0.9)]),
    draw: (axis) => axis.append(...labels.map((label, i) => s("text", { x: scale(i + 0.5), y: 16, "text-anchor": "middle" }, label.length > room ? `${label.slice(0, Math.max(1, Math.floor(room) - 1))}…` : label, s("title", {}, label)))),
  };
}

// The vertical scale over the trials of both studies, as on a card.
function valuesOf(pair) {
  const views = pair.map(({ round }) => round.review.view);
  const { direction } = pair[0].round;
  const values = Float64Array.from(pair.flatMap(({ trials }) => [...trials.values]));
  const flags = Uint8Array.from(pair.flatMap(({ trials }) => [...trials.flags]));
  const usable = [...values.keys()].filter((i) => !Number.isNaN(values[i]) && !(flags[i] & (BAD | INFEASIBLE))).sort((i, j) => values[i] - values[j]);
  const ranks = new Uint16Array(values.length).fill(MISSING);
  usable.forEach((i, rank) => {
    ranks[i] = Math.round(((rank + 0.5) / usable.length) * (MISSING - 1));
  });
  const [low, high] = [Math.min(...views.map((view) => view.low)), Math.max(...views.map((view) => view.high))];
  const median = values[usable[Math.floor(usable.length / 2)]];
  const log = views.every((view) => view.log);
  const middle = low < median && median < high ? median : null;
  const ticks = views.flatMap((view) => [...view.middle_ticks, ...view.ticks]).filter(({ value }) => low <= value && value <= high);
  const better = ticks.filter(({ value }) => (direction === "maximize" ? value >= median : value <= median));
  const scale = scaleOf({ low, high, log, beyond: 0, middle, ticks, middle_ticks: better }, { values, ranks, flags }, { top: TOP, height: DOTS, direction });
  const { n } = pair[0].trials;
  return { place: [(k) => scale.place(k), (k) => scale.place(n + k)], ticks: apart(scale.ticks.toReversed(), ({ y }) => y, () => 14) };
}

// The labels that fit; earlier labels take precedence.
function apart(ticks, place, room) {
  const shown = [];
  for (const tick of ticks) if (shown.every((other) => Math.abs(place(other) - place(tick)) >= (room(other) + room(tick)) / 2)) shown.push(tick);
  return shown;
}

const markAt = (i, x, y, r) => (i ? `M${x} ${y - r}L${x + r} ${y}L${x} ${y + r}L${x - r} ${y}Z` : `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`);
