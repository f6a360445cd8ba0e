// @ts-check
// What is believed of a parameter: a bell to drag along the axis of its card, or a weight per choice.
import { line } from "d3-shape";
import { centred, first, height, shoulder, widened } from "./bell.js";
import { h, replace, s } from "./dom.js";
import { percent } from "./plan.js";

/** @typedef {import("./messages.js").BeliefForm} BeliefForm */

const TALL = 34;
const POINTS = 90;
const STEP = 0.01; // of the axis, by one press of an arrow

export class BeliefStrip {
  /** @param {any} card The parameter's card: its panel, its page and, for a range, its axis. */
  constructor(card) {
    this.card = card;
    this.name = card.panel.name;
    this.range = card.panel.kind === "range";
    this.numeric = this.range;
    this.toggle = h("button", { type: "button", class: "refine-believe", "aria-expanded": "false", title: card.page.terms?.belief ?? null, onclick: () => this.open(this.body.hidden) }, "belief");
    this.none = h("button", { type: "button", onclick: () => this.set(null) }, "none");
    this.body = h("div", { class: "refine-belief", hidden: true, role: "group", "aria-label": `${this.name}: what is believed` });
    this.said = h("p", { class: "refine-faint" });
    this.ends = h("div", { class: "refine-believed-as" }, this.said, this.none);
    if (this.range) this.buildBell();
    else this.buildWeights();
    this.element = this.body;
    if (this.plan.stored.has(this.name) || this.plan.beliefs.has(this.name)) this.open(true, false);
  }

  get plan() {
    return this.card.page.plan;
  }

  /** @returns {BeliefForm | null} */
  get form() {
    return this.plan.beliefs.get(this.name) ?? null;
  }

  open(shown, begin = true) {
    this.body.hidden = !shown;
    this.toggle.setAttribute("aria-expanded", String(shown));
    if (shown && begin && this.range && this.form === null) this.set(first(this.card.panel));
    else this.layout();
  }

  set(form) {
    this.plan.believe(this.name, form);
    this.layout();
  }

  // A bell.

  buildBell() {
    this.near = this.input("near", () => this.typed());
    this.width = this.input("width", () => this.typed());
    this.kind = h("select", { "aria-label": `${this.name}: how the width is meant`, onchange: () => this.turn() }, h("option", { value: "within_factor" }, "within ×"), h("option", { value: "within" }, "within ±"));
    this.svg = s("svg", { class: "refine-bell", role: "group", "aria-label": `${this.name}: the belief along its axis` });
    this.handles = ["centre", "width"].map((part) => this.handle(part));
    replace(this.body, this.svg, h("div", { class: "refine-controls" }, h("label", {}, "near ", this.near), this.kind, this.width), this.ends);
  }

  input(part, onchange) {
    return h("input", { type: "number", step: "any", "aria-label": `${this.name}: ${part === "near" ? "the best value is near" : "and lies within"}`, onchange });
  }

  typed() {
    const [near, width] = [this.near, this.width].map((input) => Number.parseFloat(input.value));
    if (Number.isNaN(near) || Number.isNaN(width)) return this.layout();
    return this.set({ near, [this.kind.value]: width });
  }

  // The same shoulder, said the other way.
  turn() {
    const form = this.form ?? first(this.card.panel);
    const to = shoulder(form);
    const near = form.near ?? 0;
    if (this.kind.value === "within") this.set(widened({ near, within: Math.abs(near) || 1 }, to));
    else if (near > 0) this.set(widened({ near, within_factor: 2 }, to));
    else {
      this.card.page.say(`${this.name}: a factor needs a value above 0`);
      this.layout();
    }
  }

  handle(part) {
    const element = s("g", { class: "refine-bell-handle", role: "slider", tabindex: "0", "aria-label": `${this.name}: ${part === "centre" ? "belief, its centre" : "belief, its width"}`, "data-part": part },
      part === "centre" ? s("path", { d: "M0 -7L7 0L0 7L-7 0Z" }) : s("rect", { x: -3.5, y: -7, width: 7, height: 14, rx: 2 }));
    let dragging = false;
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      element.focus();
      element.setPointerCapture(event.pointerId);
      dragging = true;
    });
    element.addEventListener("pointermove", (event) => {
      if (!dragging) return;
      const box = this.svg.getBoundingClientRect();
      this.move(part, this.card.x.invert(((event.clientX - box.left) * this.card.width) / box.width));
    });
    const end = () => {
      dragging = false;
    };
    element.addEventListener("pointerup", end);
    element.addEventListener("pointercancel", end);
    element.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
      if (!(event.key in steps) || this.form === null) return;
      event.preventDefault();
      const value = part === "centre" ? (this.form.near ?? 0) : shoulder(this.form);
      this.move(part, this.card.axis.scale(value) + STEP * steps[event.key]);
    });
    return element;
  }

  // To a position along the axis, which belief and range share.
  move(part, position) {
    if (this.form === null) return;
    const { axis } = this.card;
    const value = axis.scale.invert(part === "centre" ? Math.min(1, Math.max(0, position)) : position);
    const [low, high] = [this.card.panel.grid[0], this.card.panel.grid.at(-1)];
    this.set(part === "centre" ? centred(this.form, Math.min(high, Math.max(low, value))) : widened(this.form, value));
  }

  // Weights.

  buildWeights() {
    const { levels } = this.card.panel;
    this.weights = levels.map((level) => h("input", { type: "number", min: 0, max: 100, step: "any", placeholder: "rest", "aria-label": `${this.name}: probability in percent that ${level.label} is best`, onchange: () => this.weighed() }));
    replace(this.body, h("div", { class: "refine-controls refine-weights" }, levels.map((level, i) => h("label", {}, `${level.label} `, this.weights[i], " %"))), this.ends);
  }

  weighed() {
    const weights = this.weights.map((input) => (input.value === "" ? null : Number((Number(input.value) / 100).toPrecision(12))));
    this.set(weights.every((weight) => weight === null) ? null : { weights });
  }

  // What depends on width and belief.
  layout() {
    const { form } = this;
    this.toggle.classList.toggle("said", form !== null);
    this.none.disabled = form === null;
    const stored = this.plan.stored.has(this.name);
    const anew = JSON.stringify(this.plan.stored.get(this.name) ?? null) !== JSON.stringify(form);
    this.said.textContent = [
      stored && anew ? "Dashed: what was believed of this round." : "",
      form !== null && !anew ? "Believed of this round; it goes on." : "",
      form !== null && this.plan.idle ? "A belief chooses exploit trials: give them a share below." : "",
    ].filter(Boolean).join(" ");
    if (!this.range) {
      const active = /** @type {Document | ShadowRoot} */ (this.body.getRootNode()).activeElement;
      this.weights.forEach((input, i) => {
        const weight = form?.weights?.[i] ?? null;
        if (input !== active) input.value = weight === null ? "" : percent(weight);
      });
      return;
    }
    for (const input of [this.near, this.width, this.kind]) input.disabled = form === null;
    if (form !== null) {
      this.kind.value = form.within === undefined ? "within_factor" : "within";
      this.near.value = String(form.near);
      this.width.value = String(form.within ?? form.within_factor);
    }
    if (!this.card.x || this.body.hidden) return;
    this.draw(form);
  }

  draw(form) {
    const { card } = this;
    const { width } = card;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${TALL}`);
    this.svg.setAttribute("width", width);
    this.svg.setAttribute("height", String(TALL));
    const [from, to] = [Math.max(0, card.axis.ends[0]), Math.min(1, card.axis.ends[1])];
    const bell = (said) => line()(Array.from({ length: POINTS }, (_, i) => {
      const at = from + ((to - from) * i) / (POINTS - 1);
      return [card.x(at), TALL - 3 - (TALL - 8) * height(said, card.axis.scale.invert(at))];
    }));
    const before = this.plan.stored.get(this.name);
    const ends = card.axis.ends.map((end) => card.x(end));
    replace(
      this.svg,
      s("path", { class: "refine-ground", d: `M${ends[0]} ${TALL - 3}H${ends[1]}` }),
      before ? s("path", { class: "refine-believed", d: bell(before) }) : null,
      form === null ? null : [s("path", { class: "refine-bell-line", d: bell(form) }), ...this.handles],
    );
    if (form === null) return;
    const place = (value) => Math.min(ends[1], Math.max(ends[0], card.x(card.axis.scale(value))));
    const values = [form.near ?? 0, shoulder(form)];
    const high = [4, TALL - 3 - (TALL - 8) * Math.exp(-0.5)];
    this.handles.forEach((handle, i) => {
      handle.setAttribute("transform", `translate(${place(values[i])},${high[i] + 2})`);
      handle.setAttribute("aria-valuenow", String(values[i]));
      handle.setAttribute("aria-valuemin", String(card.panel.grid[0]));
      handle.setAttribute("aria-valuemax", String(card.panel.grid.at(-1)));
      handle.setAttribute("aria-valuetext", i === 0 ? `near ${form.near}` : form.within === undefined ? `within a factor of ${form.within_factor}` : `within ${form.within}`);
    });
  }
}
