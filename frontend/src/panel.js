// The card of a parameter: density of good trials, every trial as a dot, and bounds to drag or choices to switch.
import { axisBottom } from "d3-axis";
import { scaleLinear } from "d3-scale";
import { select } from "d3-selection";
import { area, line } from "d3-shape";
import { axisOf, moved } from "./axis.js";
import { now, proposes, same } from "./choices.js";
import { h, replace, s } from "./dom.js";
import { Dots } from "./dots.js";
import { jitter, MISSING, placed, scaleOf } from "./places.js";

const HEAD = 10; // pixels above the curves, for the bar of the proposal
const LEFT = 77; // room for the vertical axis, on the first card of a row
const SIDE = 14; // room for handles at the ends
const BEYOND = 20; // room beyond an end, where a bound may be dragged
const WIDENED = 0.3; // largest share of the axis for values where nothing was tried
const AXIS = 22;
const GRIP = 16; // top of the grip of a handle: above the dots
const CHIP = 46; // smallest width of a choice below the axis, in pixels
const TICK = 38; // smallest width of an axis label, in pixels
const LETTER = 6.2; // width of its letters, in pixels
const LONGEST = 40; // letters of a list of choices

export class Panel {
  constructor(panel, page) {
    this.panel = panel;
    this.page = page;
    this.axis = panel.kind === "range" ? axisOf(panel) : null;
    this.leads = true; // the first card of its row, which has the vertical axis
    this.tall = false; // true if all cards are in one row, so a high plot fits
    this.status = h("span", { class: "refine-status" });
    this.bounds = h("span", { class: "refine-bounds" });
    this.canvas = h("canvas", { class: "refine-dots", "aria-hidden": "true" });
    this.svg = s("svg", { class: "refine-plot", role: "group", "aria-label": `${panel.name}: densities and bounds` });
    this.plot = h("div", { class: "refine-drawing" }, this.canvas, this.svg);
    this.cloud = new Dots(this.plot, this.canvas, page.hover);
    this.controls = h("div", { class: "refine-controls" });
    this.why = h("details", { class: "refine-why" }, h("summary", {}, panel.summary), numbersRow(panel.numbers), h("p", {}, panel.reason));
    this.element = h(
      "section",
      { class: "refine-panel", "data-parameter": panel.name, "aria-label": panel.name },
      h(
        "header",
        { class: "refine-panel-head" },
        h("h3", {}, h("span", { class: "refine-name" }, panel.name), (this.risk = badge(panel.badge)), this.status),
        (this.actions = h("span", { class: "refine-actions" })),
      ),
      (this.line = h("div", { class: "refine-line" })),
      panel.when ? h("p", { class: "refine-when refine-faint" }, panel.when) : null,
      this.plot,
      panel.kind === "choice" ? this.controls : null,
      this.why,
    );
    this.build();
  }

  build() {
    const { panel } = this;
    this.accept = h("button", { type: "button", onclick: () => this.page.change(() => this.choices.accept(panel.name)) }, "use proposal");
    this.reject = h("button", { type: "button", onclick: () => this.page.change(() => this.choices.reject(panel.name)) }, "leave unchanged");
    this.actions.append(this.accept, this.reject);
    if (panel.kind === "range") {
      this.inputs = [0, 1].map((side) =>
        h("input", {
          type: "number",
          step: "any",
          "aria-label": `${panel.name}, ${side ? "upper" : "lower"} bound, typed`,
          onchange: () => this.typed(side),
        }),
      );
      replace(this.line, this.bounds, h("span", {}, this.inputs[0], " to ", this.inputs[1]));
    } else {
      this.chips = panel.levels.map((level, i) =>
        h("button", { type: "button", class: "refine-chip", "aria-pressed": "true", title: level.label, onclick: () => this.toggle(i) }, level.label),
      );
      replace(this.line, this.bounds);
      this.chipGroup = h("div", { class: "refine-chips", role: "group", "aria-label": `${panel.name}: choices that are kept` }, this.chips);
      replace(this.controls, this.chipGroup);
    }
    this.handles = [0, 1].map((side) => this.handle(side));
  }

  // A bound in Python's spelling; a typed bound keeps its spelling.
  label(value) {
    const at = this.axis.stops.indexOf(value);
    return at < 0 ? String(value) : this.panel.labels[at];
  }

  get choices() {
    return this.page.choices;
  }

  // Pixels of the densities at the top of the plot.
  get curved() {
    return this.tall ? 76 : 58;
  }

  // Pixels of the dots below.
  get dotted() {
    return this.tall ? 150 : 104;
  }

  get bottom() {
    return this.curved + this.dotted;
  }

  // The parts that depend on the width, drawn again when it changes.
  layout() {
    const { panel } = this;
    const width = this.plot.clientWidth;
    if (width === 0) return;
    this.width = width;
    this.left = this.leads ? LEFT : SIDE;
    this.right = width - SIDE;
    const inner = this.right - this.left;
    this.chipped = this.placeChips(inner);
    this.span = this.spanned();
    this.x = this.across(this.span);
    const height = this.bottom + (this.chipped ? 2 : AXIS);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("width", String(width));
    this.svg.setAttribute("height", String(height));
    this.canvas.style.top = `${this.curved}px`;
    this.canvas.style.height = `${this.dotted}px`;
    for (const handle of this.handles) handle.querySelector("line").setAttribute("y2", String(this.bottom));
    this.shade = s("g", {});
    const parts = [...this.rooms(), this.shade, ...this.hatches(), ...(this.axis ? this.curves() : this.bars())];
    this.values = s("g", { class: "refine-axis", "aria-hidden": "true" });
    const axis = s("g", { class: "refine-axis", transform: `translate(0,${this.bottom})`, "aria-hidden": "true" });
    this.ticks(axis, inner);
    const { activeElement } = /** @type {Document | ShadowRoot} */ (this.svg.getRootNode());
    replace(this.svg, this.values, ...parts, axis, ...(this.axis ? this.handles : []));
    if (this.handles.includes(/** @type {any} */ (activeElement))) /** @type {any} */ (activeElement).focus({ preventScroll: true }); // the element was removed and added again
    this.dots();
    this.update();
  }

  // Choices are below their bars if all names fit, in small letters if necessary; otherwise on lines of their own.
  placeChips(inner) {
    const { panel, chipGroup } = this;
    if (!chipGroup) return false;
    const cut = () => {
      chipGroup.classList.add("measured"); // the width of each chip when pressed, with its mark
      const found = this.chips.some((chip) => chip.scrollWidth > chip.clientWidth);
      chipGroup.classList.remove("measured");
      return found;
    };
    const place = (below, tight) => {
      chipGroup.classList.toggle("below", below);
      chipGroup.classList.toggle("tight", tight);
      chipGroup.style.cssText = below ? `margin-left:${this.left}px;margin-right:${SIDE}px;grid-template-columns:repeat(${panel.levels.length},minmax(0,1fr))` : "";
      return !below || !cut();
    };
    if (inner / panel.levels.length >= CHIP && (place(true, false) || place(true, true))) return true;
    place(false, false);
    return false;
  }

  // The values on the axis: the range, and bounds beyond it if any.
  /** @returns {[number, number]} */
  spanned() {
    if (!this.axis) return [0, 1];
    const { panel, choices } = this;
    // A typed bound that the axis cannot show, for example -1 on a logarithmic one, is an error and moves nothing.
    const at = [...choices.current(panel.name), ...(panel.proposed ?? [])].map(this.axis.scale).filter(Number.isFinite);
    const [low, high] = this.axis.ends;
    return [Math.max(low, Math.min(0, ...at)), Math.min(high, Math.max(1, ...at))];
  }

  // The range of the round takes most of the axis, a widened end less. The axis is compressed further out, so the person
  // can drag a bound there while the axis stays in place.
  across([first, last]) {
    const { left, right } = this;
    const [low, high] = this.axis ? this.axis.ends : [first, last];
    const inside = [low < first ? left + BEYOND : left, high > last ? right - BEYOND : right];
    const beyond = [Math.max(0, -first), Math.max(0, last - 1)];
    const total = beyond[0] + beyond[1];
    const share = total > 0 ? Math.min(WIDENED, total / (1 + total)) / total : 0;
    const room = inside[1] - inside[0];
    const stops = [[low, left], [first, inside[0]], [0, inside[0] + beyond[0] * share * room], [1, inside[1] - beyond[1] * share * room], [last, inside[1]], [high, right]];
    const used = stops.filter(([at], i) => i === 0 || at > stops[i - 1][0]);
    return scaleLinear().domain(used.map(([at]) => at)).range(used.map(([, place]) => place));
  }

  // Hatching over values where no trial was run.
  hatches() {
    if (!this.axis) return [];
    const [first, last] = this.span;
    const areas = [[first, 0], [1, last]].filter(([from, to]) => to - from > 1e-9);
    return areas.map(([from, to]) => {
      const [low, high] = [this.x(from), this.x(to)];
      let d = "";
      for (let x = low - this.curved - this.dotted; x < high; x += 7) {
        const enter = Math.max(x, low);
        const leave = Math.min(x + this.bottom, high);
        if (leave > enter) d += `M${enter} ${this.bottom - (enter - x)}L${leave} ${this.bottom - (leave - x)}`;
      }
      return s("path", { class: "refine-hatch", d }, s("title", {}, "no trial was run here"));
    });
  }

  // The room to widen the range, drawn while a bound is dragged.
  rooms() {
    const ends = this.axis?.ends ?? this.span;
    return [0, 1].filter((side) => ends[side] !== this.span[side]).map((side) => {
      const [from, to] = [this.x(ends[side]), this.x(this.span[side])].sort((a, b) => a - b);
      return s("rect", { class: "refine-room", x: from, width: to - from, y: 0, height: this.bottom });
    });
  }

  curves() {
    const { everyone, best } = this.panel.density;
    if (best.every((v) => v === 0)) return []; // no trial has a value
    const y = scaleLinear()
      .domain([0, 1.08 * Math.max(1, ...everyone, ...best)])
      .range([this.curved - 1, HEAD]);
    const at = (_, i) => this.x(i / (everyone.length - 1));
    return [
      s("path", { class: "refine-everyone", d: /** @type {any} */ (area()).x(at).y0(y(0)).y1((v) => y(v))(everyone) }),
      s("path", { class: "refine-best-area", d: /** @type {any} */ (area()).x(at).y0(y(0)).y1((v) => y(v))(best) }),
      s("path", { class: "refine-best", d: /** @type {any} */ (line()).x(at).y((v) => y(v))(best) }),
    ];
  }

  // Choices: the share of each among the good trials next to its share among all.
  bars() {
    const { levels } = this.panel;
    const y = scaleLinear()
      .domain([0, 1.08 * Math.max(0.01, ...levels.flatMap((level) => [level.share, level.good]))])
      .range([this.curved - 1, HEAD]);
    const band = (this.x(1) - this.x(0)) / levels.length;
    const wide = Math.min(26, 0.3 * band);
    return levels.flatMap(({ share, good, text }, i) => {
      const middle = this.x((i + 0.5) / levels.length);
      return [
        s("rect", { class: "refine-everyone", x: middle - wide, width: wide, y: y(share), height: y(0) - y(share), rx: 1.5 }),
        s("rect", { class: "refine-best-bar", x: middle, width: wide, y: y(good), height: y(0) - y(good), rx: 1.5 }, s("title", {}, text)),
      ];
    });
  }

  ticks(axis, inner) {
    const { panel } = this;
    const most = Math.max(2, Math.floor(inner / TICK));
    if (this.chipped) return;
    if (panel.kind === "choice") {
      const step = Math.ceil(panel.levels.length / most);
      panel.levels.forEach((level, i) => {
        if (i % step) return;
        const text = s("text", { x: this.x((i + 0.5) / panel.levels.length), y: 14, "text-anchor": "middle" });
        text.textContent = level.label.length > 12 ? `${level.label.slice(0, 11)}…` : level.label;
        axis.append(text);
      });
      return;
    }
    const place = (value) => this.x(this.axis.scale(value));
    const values = panel.ticks.map(({ value }) => value);
    const labels = new Map(panel.ticks.map(({ value, label }) => [value, label]));
    // A range has a tick at each end, and a widened range at each new end too.
    const widened = this.span.map((at, side) => (at === side ? [] : this.axis.stops.filter((stop) => Math.abs(this.axis.scale(stop) - at) < 1e-9))).flat();
    const ends = [...widened, ...now(panel)];
    for (const end of ends) if (!labels.has(end)) labels.set(end, this.label(end));
    const room = (value) => Math.max(TICK, LETTER * labels.get(value).length + 8);
    const shown = [];
    for (const value of [...ends, ...[...values].sort((a, b) => rank(values, a) - rank(values, b))]) {
      if (shown.every((other) => Math.abs(place(other) - place(value)) >= (room(other) + room(value)) / 2)) shown.push(value);
    }
    const scale = Object.assign((value) => place(value), {
      copy: () => scale,
      domain: () => panel.edges,
      range: () => [this.x(0), this.x(1)],
    });
    select(axis).call(axisBottom(scale).tickValues(shown).tickFormat((value) => labels.get(value)).tickSize(4));
  }

  dots() {
    const { trials, view, round } = this.page;
    if (trials === null || !this.width) return;
    const levels = this.panel.kind === "range" ? this.panel.grid.length : this.panel.levels.length;
    const share = Math.min(0.5, 8 / Math.sqrt(levels)) * ((this.x(1) - this.x(0)) / levels);
    const spread = this.panel.kind === "choice" ? 1.2 * share : Math.min(2 * SIDE - 6, 0.7 * share); // dots stay next to the labels of the axis
    const column = trials.columns.get(this.panel.name);
    const scale = scaleOf(view, trials, { top: this.curved, height: this.dotted, direction: round.direction });
    const ends = this.panel.kind === "choice" ? [-Infinity, Infinity] : [this.x(0), this.x(1)];
    const within = (x) => (x < ends[0] ? 2 * ends[0] - x : x > ends[1] ? 2 * ends[1] - x : x); // no dot looks like a value outside
    const x = (i) => (column[i] === MISSING ? Number.NaN : within(this.x(column[i] / (MISSING - 1)) + spread * (jitter(i) - 0.5)));
    const names = { numberOf: (i) => trials.numbers?.[i] ?? null, indexOf: (number) => trials.rows?.get(number) ?? -1 };
    this.cloud.draw(placed(trials.n, x, scale.place), trials.flags, { colours: this.page.colours, top: this.curved, height: this.dotted, beyond: scale.beyond }, names);
    const { left, right } = this;
    const squeezed = scale.squeezed ? s("rect", { class: "refine-squeezed", x: left, width: right - left, y: scale.squeezed[0], height: this.bottom - scale.squeezed[0] }, s("title", {}, "the worse half of the trials: by rank, not to scale")) : null;
    const lines = scale.ticks.map(({ y, label }) => s("path", { class: label === "median" ? "refine-hair median" : "refine-hair", d: `M${left} ${y}H${right}` }));
    const labels = scale.ticks.map(({ y, label }) => s("text", { x: left - 16, y: y + 3.5, "text-anchor": "end", class: label === "median" ? "refine-median" : null }, label));
    const middle = this.curved + this.dotted / 2;
    const title = s("text", { class: "refine-axis-title", transform: `translate(10,${middle}) rotate(-90)`, "text-anchor": "middle" }, `${cut(view.title, 14)} (best up)`);
    replace(this.values, squeezed, lines, this.leads ? [...labels, title] : []);
  }

  handle(side) {
    const { panel } = this;
    const word = side ? "upper" : "lower";
    const element = s(
      "g",
      { class: "refine-handle", role: "slider", tabindex: "0", "aria-label": `${panel.name}, ${word} bound`, "data-side": word },
      s("line", { y1: 0 }),
      s("rect", { x: -6, y: GRIP, width: 12, height: 28, rx: 4 }),
      s("path", { d: `M-2 ${GRIP + 8}v12M2 ${GRIP + 8}v12` }),
    );
    let begun = false;
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      element.focus();
      element.setPointerCapture(event.pointerId);
      this.dragging = true;
      begun = false;
      this.element.classList.add("dragging");
    });
    element.addEventListener("pointermove", (event) => {
      if (!this.dragging) return;
      const left = this.svg.getBoundingClientRect();
      const at = this.x.invert(((event.clientX - left.left) * this.width) / left.width);
      begun = this.move(side, this.axis.nearest(this.axis.scale.invert(at)), !begun) || begun;
    });
    const end = () => {
      this.dragging = false;
      this.element.classList.remove("dragging");
      this.update();
    };
    element.addEventListener("pointerup", end);
    element.addEventListener("pointercancel", end);
    element.addEventListener("keydown", (event) => this.pressed(event, side));
    return element;
  }

  pressed(event, side) {
    const { stops } = this.axis;
    const at = stops.indexOf(this.snapped()[side]);
    const steps = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - 3, PageUp: at + 3, Home: 0, End: stops.length - 1 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.move(side, steps[event.key], true);
  }

  // The bounds at their nearest stops; a typed bound need not be on a stop.
  snapped() {
    const { stops } = this.axis;
    const [low, high] = this.choices.current(this.panel.name).map((value) => this.axis.nearest(value));
    return low < high ? [stops[low], stops[high]] : [stops[Math.min(low, stops.length - 2)], stops[Math.min(low, stops.length - 2) + 1]];
  }

  // True if the bound moved. Undo returns to the state before `first`, the first step of a drag.
  move(side, to, first) {
    const before = this.snapped();
    const bounds = moved(this.axis.stops, before, side, to);
    if (same(bounds, before)) return false;
    if (first) this.choices.remember();
    this.page.change(() => this.choices.put(this.panel.name, bounds));
    return true;
  }

  typed(side) {
    const value = Number.parseFloat(this.inputs[side].value);
    if (Number.isNaN(value)) {
      this.update();
      return;
    }
    const bounds = [...this.choices.current(this.panel.name)];
    bounds[side] = value;
    this.page.change(() => this.choices.typed(this.panel.name, { bounds }));
  }

  toggle(i) {
    const kept = this.choices.current(this.panel.name);
    const next = kept.includes(i) ? kept.filter((other) => other !== i) : [...kept, i].sort((a, b) => a - b);
    if (next.length === 0) {
      this.page.say(`${this.panel.name}: keep at least one choice`);
      return;
    }
    this.page.change(() => this.choices.set(this.panel.name, next));
  }

  // The parts that change with the person's choices.
  update() {
    const { panel, choices } = this;
    const source = choices.source(panel.name);
    const words = { proposed: "", kept: "", edited: "edited by you", rejected: "left unchanged by you" };
    const decided = source === "edited" || source === "rejected";
    this.element.dataset.source = source;
    this.status.textContent = words[source];
    if (this.risk) this.risk.hidden = decided; // the foot states the risk of all edits together
    // One button at a time in one place, so an edit moves nothing.
    this.accept.hidden = !decided;
    this.reject.hidden = source !== "proposed";
    if (panel.kind === "choice") this.updateChoices();
    else this.updateBounds();
  }

  updateBounds() {
    const { panel, choices } = this;
    const bounds = choices.current(panel.name);
    const said = choices.edits[panel.name]?.text;
    const text = said ?? bounds.map((value) => this.label(value)).join(" to ");
    this.bounds.textContent = said ? `${panel.now} → ${text}` : same(bounds, now(panel)) ? "" : `${panel.now} →`;
    this.inputs.forEach((input, side) => {
      if (/** @type {Document | ShadowRoot} */ (input.getRootNode()).activeElement !== input) input.value = this.label(bounds[side]);
      input.style.width = `calc(${input.value.length}ch + 1.1rem)`; // a truncated bound would read as another number
    });
    if (!this.shade) return;
    if (!this.dragging && !same(this.span, this.spanned())) {
      this.layout();
      return;
    }
    const place = (value) => this.x(Math.min(this.axis.ends[1], Math.max(this.axis.ends[0], this.axis.scale(value))));
    const [low, high] = bounds.map(place);
    const [first, last] = now(panel).map(place);
    const proposed = (panel.proposed ?? now(panel)).map(place);
    // Without a proposal or a choice nothing changes, so no proposal is drawn.
    const kept = choices.source(panel.name) === "kept";
    replace(
      this.shade,
      kept ? null : s("rect", { class: "refine-kept", x: low, width: Math.max(0, high - low), y: 0, height: this.bottom }),
      s("path", { class: "refine-now", d: `M${first} 0V${this.bottom}M${last} 0V${this.bottom}` }),
      proposes(panel) && choices.source(panel.name) !== "proposed" ? s("path", { class: "refine-proposed", d: `M${proposed[0]} 3H${proposed[1]}` }) : null,
    );
    const least = this.axis.stops[0];
    const most = this.axis.stops.at(-1);
    this.handles.forEach((handle, side) => {
      handle.setAttribute("transform", `translate(${[low, high][side]},0)`);
      handle.setAttribute("aria-valuemin", decimal(least));
      handle.setAttribute("aria-valuemax", decimal(most));
      handle.setAttribute("aria-valuenow", decimal(bounds[side]));
      handle.setAttribute("aria-valuetext", this.label(bounds[side]));
    });
  }

  updateChoices() {
    const { panel, choices } = this;
    const kept = choices.current(panel.name);
    const text = choices.edits[panel.name]?.text;
    this.bounds.textContent = text ? `${panel.now} → ${text}` : keptText(panel.levels.map(({ label }) => label), kept) || "all kept";
    this.bounds.classList.toggle("refine-faint", this.bounds.textContent === "all kept");
    this.chips.forEach((chip, i) => chip.setAttribute("aria-pressed", String(kept.includes(i))));
    if (!this.shade) return;
    const band = (this.x(1) - this.x(0)) / panel.levels.length;
    replace(
      this.shade,
      choices.source(panel.name) === "kept" ? [] : kept.map((i) => s("rect", { class: "refine-kept", x: this.x(i / panel.levels.length), width: band, y: 0, height: this.bottom })),
    );
  }
}

// The kept choices by name: `only Adam`, `without SGD`, `Adam, Nadam`; empty if all are kept.
/** @param {string[]} labels @param {number[]} kept */
export function keptText(labels, kept) {
  if (kept.length === labels.length) return "";
  const names = kept.map((i) => labels[i]).join(", ");
  const dropped = labels.filter((_, i) => !kept.includes(i)).join(", ");
  const text = kept.length === 1 ? `only ${names}` : dropped.length < names.length ? `without ${dropped}` : names;
  return text.length <= LONGEST ? text : `${kept.length} of ${labels.length} kept`;
}

// A number without an exponent, because screen readers misread exponents.
const decimal = (value) => (String(value).includes("e") ? value.toLocaleString("en", { useGrouping: false, maximumSignificantDigits: 15 }) : String(value));

// The order of labels if room is short: ends, middle, then the values between.
function rank(grid, value) {
  const i = grid.indexOf(value);
  if (i === 0 || i === grid.length - 1) return 0;
  return 1 + Math.abs(i - (grid.length - 1) / 2) / grid.length + (i % 2 ? 0.5 : 0);
}

const cut = (text, most) => (text.length <= most ? text : `${text.slice(0, most - 1)}…`);

/** The numbers behind a change, in a row. @param {{name: string, text: string, note: string}[]} numbers */
function numbersRow(numbers) {
  if (numbers.length === 0) return null;
  return h("dl", { class: "refine-tiles small" }, numbers.map(({ name, text, note }) => h("div", {}, h("dt", {}, name), h("dd", {}, text), note ? h("dd", { class: "refine-faint" }, note) : null)));
}

/** @param {{tone: string, title: string, text: string}} content */
function badge({ tone, title, text }) {
  return text ? h("span", { class: `refine-badge ${tone}`, title }, text) : null;
}
