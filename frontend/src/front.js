// @ts-check
// The front of several goals: the trials that no other trial beats. The person can choose one.
import { axisBottom, axisLeft } from "d3-axis";
import { scaleLinear } from "d3-scale";
import { select } from "d3-selection";
import { line, curveStepAfter, curveStepBefore } from "d3-shape";
import { h, replace, s } from "./dom.js";

/** @typedef {{label: number, values: number[], text: string, configuration: string, chosen: boolean}} FrontPoint */
/** @typedef {{goals: {name: string, direction: string}[], points: FrontPoint[], others: number[][], infeasible: number[][], about: string}} FrontAnswer */

const WIDTH = 420;
const HEIGHT = 250;
const LEFT = 62;
const BELOW = 40;
const EDGE = 12;

export class Front {
  /**
   * @param {(message: import("./transport.js").Message) => Promise<any>} send
   * @param {(text: string, tone?: string) => void} say
   */
  constructor(send, say) {
    this.send = send;
    this.say = say;
    this.round = "";
    this.turn = 0;
    /** @type {FrontAnswer | null} */
    this.content = null;
    /** @type {FrontPoint | null} */
    this.picked = null;
    this.plots = h("div", { class: "refine-fronts" });
    this.said = h("p", { class: "refine-picked", role: "status" });
    this.note = h("input", { type: "text", maxlength: 10000, placeholder: "Reason for this point", "aria-label": "Reason for this point" });
    this.button = h("button", { type: "button", onclick: () => this.choose() }, "choose this point");
    this.form = h("div", { class: "refine-choose" }, this.said, this.note, this.button);
    this.title = h("h2", {});
    this.about = h("p", { class: "refine-faint" });
    this.element = h("section", { class: "refine-front", hidden: true }, this.title, this.about, this.plots, this.form);
  }

  /** @param {{id: string, goals: number}} round */
  async show(round) {
    if (this.round !== round.id) this.picked = null;
    this.round = round.id;
    this.turn += 1;
    const { turn } = this;
    this.element.hidden = round.goals < 2;
    if (this.element.hidden) return;
    const content = await this.send({ type: "front", round: round.id });
    if (content === null || turn !== this.turn) return;
    this.content = content;
    this.draw();
  }

  draw() {
    const content = /** @type {FrontAnswer} */ (this.content);
    const [first, ...others] = content.goals;
    this.title.textContent = `The front of ${[first, ...others].map((goal) => goal.name).join(" and ")}`;
    this.about.textContent = content.about;
    const label = this.picked?.label ?? content.points.find((point) => point.chosen)?.label;
    this.picked = content.points.find((point) => point.label === label) ?? null;
    replace(this.plots, others.map((_, i) => this.plot(content, i + 1)));
    this.update();
  }

  // The first goal is the vertical axis, another goal the horizontal one; labels name the better direction.
  plot(content, across) {
    const all = [...content.points.map((point) => point.values), ...content.others, ...content.infeasible];
    const scale = (k, range) => {
      const values = all.map((row) => row[k]);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const room = high > low ? 0.04 * (high - low) : Math.abs(high) || 1;
      return scaleLinear().domain([low - room, high + room]).range(range).nice(6);
    };
    const x = scale(across, [LEFT, WIDTH - EDGE]);
    const y = scale(0, [HEIGHT - BELOW, EDGE]);
    /** @returns {[number, number]} */
    const at = (row) => [x(row[across]), y(row[0])];
    const down = s("g", { class: "refine-axis", transform: `translate(0,${HEIGHT - BELOW})`, "aria-hidden": "true" });
    const left = s("g", { class: "refine-axis", transform: `translate(${LEFT},0)`, "aria-hidden": "true" });
    select(down).call(axisBottom(x).ticks(5).tickSize(4));
    select(left).call(axisLeft(y).ticks(5).tickSize(4));
    const goal = content.goals[across];
    const words = (g) => `${g.name} (${g.direction})`;
    const svg = s(
      "svg",
      { class: "refine-scatter", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: "group", "aria-label": `${words(content.goals[0])} against ${words(goal)}` },
      down,
      left,
      s("text", { x: (LEFT + WIDTH) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, words(goal)),
      s("text", { transform: `translate(13,${(HEIGHT - BELOW) / 2}) rotate(-90)`, "text-anchor": "middle" }, words(content.goals[0])),
      s("g", { "aria-hidden": "true" }, content.others.map((row) => s("circle", { class: "refine-other", cx: at(row)[0], cy: at(row)[1], r: 2 }))),
      s("path", { class: "refine-broken", "aria-hidden": "true", d: content.infeasible.map((row) => { const [cx, cy] = at(row); return `M${cx - 2.8} ${cy - 2.2}h5.6l-2.8 5Z`; }).join("") }),
      content.goals.length === 2 ? this.steps(content, at, goal) : null,
      content.points.map((point) => this.point(point, at(point.values))),
    );
    return svg;
  }

  steps(content, at, goal) {
    const points = content.points.map((point) => at(point.values)).sort((a, b) => a[0] - b[0]);
    const curve = goal.direction === "minimize" ? curveStepAfter : curveStepBefore;
    return s("path", { class: "refine-steps", "aria-hidden": "true", d: line().curve(curve)(points) });
  }

  point(point, [cx, cy]) {
    const pick = () => {
      this.picked = point;
      this.update();
    };
    const element = s(
      "g",
      { class: "refine-point", role: "button", tabindex: "0", "aria-pressed": "false", "aria-label": `${point.text}: ${point.configuration}`, "data-label": point.label },
      s("circle", { cx, cy, r: 10, class: "refine-near" }),
      s("circle", { cx, cy, r: 4.5 }),
      s("title", {}, `${point.text}\n${point.configuration}`),
    );
    element.addEventListener("click", pick);
    element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      pick();
    });
    return element;
  }

  update() {
    const { picked } = this;
    for (const element of this.plots.querySelectorAll(".refine-point")) {
      element.setAttribute("aria-pressed", String(Number(/** @type {SVGElement} */ (element).dataset.label) === picked?.label));
    }
    this.button.disabled = picked === null;
    this.note.disabled = picked === null;
    if (picked === null) this.said.textContent = "Select a point to choose it.";
    else replace(this.said, h("strong", {}, picked.text), ` with ${picked.configuration}`, picked.chosen ? " (chosen)" : "");
  }

  async choose() {
    const { picked, round } = this;
    if (picked === null) return;
    this.button.disabled = true;
    const answer = await this.send({ type: "choose", round, point: picked.label, note: this.note.value });
    this.update();
    if (answer === null || this.round !== round) return;
    for (const point of /** @type {FrontAnswer} */ (this.content).points) point.chosen = point.label === picked.label;
    this.note.value = "";
    this.update();
    this.say(answer.text, "good");
  }
}
