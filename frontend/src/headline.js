// The proposal in one sentence, or another next step, with its button.
import { h, once, replace } from "./dom.js";

export class Headline {
  // `act` is called with the step of the button: {do, n, top, seeds}.
  constructor(act) {
    this.text = h("p", { class: "refine-next" });
    this.button = h("button", { type: "button", class: "refine-do", hidden: true, onclick: (event) => once(event, () => act(this.step)) });
    this.call = h("code", { class: "refine-call" });
    this.outlook = h("p", { class: "refine-outlook", "data-fact": "Recommendation" });
    this.element = h("div", { class: "refine-headline" }, this.text, this.call, this.button, this.outlook);
    this.step = null;
  }

  // There is no step if the round cannot be analysed yet, or if the step is to accept. An advice comes first, and the text
  // after it is smaller.
  show(text, step = null, call = "", advice = "") {
    this.step = step;
    replace(this.text, advice ? [h("strong", {}, `${advice}.`), " ", h("span", {}, text)] : text);
    this.call.textContent = step?.do === "" ? call : ""; // the call of a step without a button
    this.button.hidden = !step?.do;
    this.button.textContent = step?.label ?? "";
  }

  // The recommendation on another round; null while it is computed. An advice in the headline is not repeated.
  recommend(outlook, leads) {
    const full = outlook?.fact?.text ?? "";
    this.outlook.classList.toggle("pending", outlook === null);
    this.outlook.textContent = outlook === null ? "Another round: computing for your edits …" : leads ? outlook.text : full;
    this.outlook.title = full;
    this.outlook.hidden = outlook !== null && full === "";
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
    tiles.map(({ name, about, number, text, full, tone }) => h("div", { class: tone || null, "data-fact": about ?? name, title: full ?? null }, h("dt", {}, name), h("dd", {}, number), h("dd", { class: "refine-faint" }, text))),
  );
}

// Facts, one per line: {name, text, tone}, with the advised call if any.
export function drawFacts(list, facts) {
  replace(
    list,
    facts.map(({ name, text, tone, call }) => h("div", { class: tone || null, "data-fact": name }, h("dt", {}, name), h("dd", {}, text), call ? h("code", { class: "refine-call" }, call) : null)),
  );
}
