// The trial under the pointer: highlighted in every chart, with a card of its configuration and result.
import { line } from "d3-shape";
import { h, replace, s } from "./dom.js";

const PAUSE = 40; // milliseconds over a dot before the page asks the session
const KEPT = 400; // number of trials whose content is cached
const AWAY = 14; // pixels between a dot and the card

export class Hover {
  /** @param {import("./page.js").Page} page */
  constructor(page) {
    this.page = page;
    this.charts = new Set();
    this.known = new Map();
    this.number = null;
    this.pinned = null;
    this.card = h("div", { class: "refine-card", popover: "manual" });
    this.escape = (event) => {
      if (event.key === "Escape" && this.pinned !== null) this.unpin();
    };
    this.outside = (event) => {
      if (this.pinned !== null && !event.composedPath().some((part) => part === this.card || part === this.plotPressed)) this.unpin(false);
      this.plotPressed = null;
    };
    document.addEventListener("keydown", this.escape);
    document.addEventListener("pointerdown", this.outside);
  }

  close() {
    document.removeEventListener("keydown", this.escape);
    document.removeEventListener("pointerdown", this.outside);
    clearTimeout(this.timer);
  }

  /** The page draws other trials: clears the cached content. */
  forget() {
    this.known.clear();
    this.unpin(false);
  }

  /** Follows the pointer over a chart with `nearest(event)` and `light(number)`. */
  watch(plot, chart) {
    this.charts.add(chart);
    plot.addEventListener("pointermove", (event) => {
      if (event.buttons || event.target.closest(".refine-handle")) this.leave();
      else this.over(chart.nearest(event), { x: event.clientX, y: event.clientY });
    });
    plot.addEventListener("pointerleave", () => this.leave());
    plot.addEventListener("pointerdown", (event) => {
      this.plotPressed = plot;
      this.pressed = { x: event.clientX, y: event.clientY };
    });
    plot.addEventListener("click", (event) => {
      if (event.target.closest(".refine-handle") || Math.hypot(event.clientX - this.pressed?.x, event.clientY - this.pressed?.y) > 3) return;
      const number = chart.nearest(event);
      if (number === null) this.unpin(false);
      else this.pin(number, { x: event.clientX, y: event.clientY });
    });
  }

  /** Stops following a removed chart. */
  drop(chart) {
    this.charts.delete(chart);
  }

  /** Highlights a trial in every chart, or none. */
  light(number) {
    if (number === this.number) return;
    this.number = number;
    for (const chart of this.charts) chart.light(number);
  }

  over(number, place) {
    if (this.pinned !== null) return;
    if (number === null) {
      this.leave();
      return;
    }
    this.place = place;
    if (number === this.number) return;
    this.light(number);
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      const content = await this.ask(number);
      if (this.number === number && this.pinned === null && content) this.show(content, this.place);
    }, this.known.has(number) ? 0 : PAUSE);
  }

  leave() {
    if (this.pinned !== null) return;
    clearTimeout(this.timer);
    this.light(null);
    this.hide();
  }

  /** Keeps the card of a trial open until Escape or a click elsewhere, and moves the keyboard focus to the card. */
  async pin(number, place, opener = null) {
    clearTimeout(this.timer);
    this.pinned = number;
    this.opener = opener;
    this.light(number);
    const content = await this.ask(number);
    if (this.pinned !== number) return;
    if (!content) {
      this.unpin();
      return;
    }
    this.show(content, place);
    this.card.focus({ preventScroll: true });
  }

  unpin(back = true) {
    if (this.pinned === null) return;
    this.pinned = null;
    this.hide();
    this.light(null);
    if (back) this.opener?.focus({ preventScroll: true });
    this.opener = null;
  }

  async ask(number) {
    if (this.known.has(number)) return this.known.get(number);
    const { round } = this.page;
    const answer = await this.page.transport.ask({ type: "trial", round: round.id, number });
    if (answer?.error || !sameTrials(this.page.round, round)) return null;
    if (this.known.size >= KEPT) this.known.delete(this.known.keys().next().value);
    this.known.set(number, answer);
    return answer;
  }

  show(content, { x, y }) {
    const pinned = this.pinned !== null;
    this.card.classList.toggle("pinned", pinned);
    for (const [name, value] of Object.entries({ role: pinned ? "dialog" : "tooltip", tabindex: pinned ? "-1" : null, "aria-label": pinned ? content.title : null })) {
      if (value === null) this.card.removeAttribute(name);
      else this.card.setAttribute(name, value);
    }
    replace(this.card, ...cardOf(content, pinned), pinned && this.page.transport.home !== "saved" ? this.tools(content) : null, pinned ? h("button", { type: "button", class: "refine-close", "aria-label": "close", onclick: () => this.unpin() }, "×") : h("p", { class: "refine-faint" }, "Click to keep this open."));
    this.open();
    const { offsetWidth: wide, offsetHeight: tall } = this.card;
    const [right, bottom] = [document.documentElement.clientWidth, window.innerHeight];
    const left = x + AWAY + wide < right ? x + AWAY : x - AWAY - wide;
    this.card.style.left = `${Math.max(4, left)}px`;
    this.card.style.top = `${Math.max(4, Math.min(bottom - tall - 4, y - tall / 3))}px`;
  }

  // Excludes a trial, or includes the trial again.

  tools(content) {
    const reason = h("input", { type: "text", required: true, maxlength: 10000, placeholder: "Reason", title: "A bad value alone is not a reason.", "aria-label": "Reason to exclude the trial" });
    this.refused = h("p", { class: "refine-card-error", role: "status" });
    const leave = h(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          this.exclude(content, true, reason.value);
        },
      },
      reason,
      h("button", { type: "submit" }, "exclude"),
    );
    return h(
      "div",
      { class: "refine-card-tools" },
      content.excluded
        ? h("button", { type: "button", onclick: () => this.exclude(content, false) }, "include again")
        : h("details", {}, h("summary", {}, "exclude from every analysis"), leave),
      this.refused,
    );
  }

  async exclude(content, excluded, reason = "") {
    const { number, key } = content;
    const { round } = this.page;
    const answer = await this.page.transport.ask({ type: "exclude", round: round.id, number, key, excluded, reason });
    if (this.page.round.id !== round.id) return;
    if (answer.error) {
      if (this.pinned === number && this.refused) this.refused.textContent = answer.error;
      else this.page.say(answer.error, "bad");
      return;
    }
    this.known.set(number, answer);
    this.unpin();
    this.page.say(`${answer.said} Analysing again …`);
    await this.page.open(round.id);
    if (this.page.round.id === round.id) this.page.say(answer.said, "good");
  }

  // The card lies above everything as a popover; older browsers show the card in place.
  open() {
    if (!this.shown) this.card.showPopover?.();
    this.shown = true;
    this.card.classList.add("shown");
  }

  hide() {
    if (this.shown) this.card.hidePopover?.();
    this.shown = false;
    this.card.classList.remove("shown");
  }
}

/** True if the numbers of trials are the same in both answers about a round. */
export function sameTrials(a, b) {
  return a?.id === b?.id && a?.version === b?.version;
}

function cardOf(content, whole) {
  const list = (facts, kind) =>
    facts.length ? h("dl", { class: kind }, facts.map(({ name, text, title }) => h("div", { title: title || null }, h("dt", {}, name), h("dd", {}, text)))) : null;
  return [
    h("p", { class: "refine-card-head" }, h("strong", {}, content.title), h("span", { class: "refine-faint" }, content.rank)),
    h("p", { class: content.usable ? "refine-card-value" : "refine-card-value bad" }, content.value),
    content.failure ? h("p", { class: "refine-card-error" }, content.failure) : null,
    content.curve ? sparkline(content.curve) : null,
    list(content.configuration, "refine-configuration"),
    whole ? list(content.metrics, "refine-metrics") : null,
    h("p", { class: "refine-card-facts" }, content.facts.filter(({ text }) => text).map(({ text, title }, i) => [i ? " · " : "", h("span", { title: title || null }, text)]).flat()),
  ];
}

/** A learning curve as large as a word. */
function sparkline(curve) {
  const [width, height] = [232, 40];
  const { values, low, high } = curve;
  const x = (_, i) => 2 + ((width - 4) * i) / (values.length - 1);
  const y = (value) => height - 3 - ((height - 6) * (value - low)) / (high - low || 1);
  const path = line().defined((value) => value !== null).x(x).y(y)(values);
  return h(
    "div",
    { class: "refine-spark" },
    s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": curve.text }, s("path", { d: path })),
    h("p", { class: "refine-faint" }, curve.short),
  );
}
