// The next thing to do in a few words, the reason below, and the button that does it.
import { h, once, replace } from "./dom.js";

export class Headline {
  // `act` is called with the step of the button: {do, n, top, seeds}.
  constructor(act) {
    this.text = h("p", { class: "refine-next" });
    this.button = h("button", { type: "button", class: "refine-do", hidden: true, onclick: (event) => once(event, () => act(this.step)) });
    this.call = h("code", { class: "refine-call" });
    this.reason = h("p", { class: "refine-outlook", "data-fact": "Recommendation" });
    this.element = h("div", { class: "refine-headline" }, this.text, this.call, this.button, this.reason);
    this.step = null;
  }

  // There is no step if the round cannot be analysed yet, or if the foot's button accepts.
  show({ text, reason = "", step = null, call = "" }, pending = false) {
    this.step = step;
    this.text.textContent = text;
    this.reason.textContent = pending ? "computing for your edits …" : reason;
    this.reason.classList.toggle("pending", pending);
    this.call.textContent = step?.do === "" ? call : ""; // the call of a step without a button
    this.button.hidden = !step?.do;
    this.button.textContent = step?.label ?? "";
  }

  // `why` is the reason why nothing can be started now.
  update(why) {
    const barred = this.step?.do === "winner" ? "" : why;
    this.button.disabled = barred !== "";
    this.button.title = barred || (this.step?.title ?? "");
  }
}

// Tiles, a number with its name above and a text below: {name, about, number, text, full, tone}.
export function drawTiles(list, tiles) {
  replace(
    list,
    tiles.map(({ name, about, number, text, full, tone }) => h("div", { class: tone || null, "data-fact": about ?? name, title: full ?? null }, name ? h("dt", {}, name) : null, h("dd", {}, number), h("dd", { class: "refine-faint" }, text))),
  );
}

// Facts, one per line: {name, text, tone}, with the advised call if any.
export function drawFacts(list, facts) {
  replace(
    list,
    facts.map(({ name, text, tone, call }) => h("div", { class: tone || null, "data-fact": name }, name ? h("dt", {}, name) : null, h("dd", {}, text), call ? h("code", { class: "refine-call" }, call) : null)),
  );
}
