// What is proposed, in one sentence, or what else to do next, with the button that does it.
import { h, once, replace } from "./dom.js";

export class Headline {
  // `act` is called with what the button stands for: {do, n, top, seeds}.
  constructor(act) {
    this.text = h("p", { class: "refine-next" });
    this.button = h("button", { type: "button", class: "refine-do", hidden: true, onclick: (event) => once(event, () => act(this.step)) });
    this.call = h("code", { class: "refine-call" });
    this.outlook = h("p", { class: "refine-outlook", "data-fact": "Recommendation" });
    this.element = h("div", { class: "refine-headline" }, this.text, this.call, this.button, this.outlook);
    this.step = null;
  }

  // The step is none where the round can't be analysed yet, or where accepting is the step. An advice leads, and the text
  // after it is smaller.
  show(text, step = null, call = "", advice = "") {
    this.step = step;
    replace(this.text, advice ? [h("strong", {}, `${advice}.`), " ", h("span", {}, text)] : text);
    this.call.textContent = step?.do === "" ? call : ""; // what no button does is for a script to do
    this.button.hidden = !step?.do;
    this.button.textContent = step?.label ?? "";
  }

  // The recommendation on another round; null while it is computed. An advice that leads is not said twice.
  recommend(outlook, leads) {
    const forecast = outlook?.text ?? "";
    const full = outlook?.fact?.text ?? "";
    this.outlook.classList.toggle("pending", outlook === null);
    this.outlook.textContent = outlook === null ? "Another round: computing for your edits …" : leads ? `${forecast.slice(0, 1).toUpperCase()}${forecast.slice(1)}.` : full;
    this.outlook.title = full;
    this.outlook.hidden = outlook !== null && full === "";
  }

  // `why` says why nothing can be started now.
  update(why) {
    const barred = this.step?.do === "winner" ? "" : why;
    this.button.disabled = barred !== "";
    this.button.title = barred || (this.step?.title ?? "");
  }
}

// Numbers with a name above and words below: {name, about, number, text, full, tone}.
export function drawTiles(list, tiles) {
  replace(
    list,
    tiles.map(({ name, about, number, text, full, tone }) => h("div", { class: tone || null, "data-fact": about ?? name, title: full ?? null }, h("dt", {}, name), h("dd", {}, number), h("dd", { class: "refine-faint" }, text))),
  );
}

// Facts that decide, one below the other: {name, text, tone}, and the call that one advises.
export function drawFacts(list, facts) {
  replace(
    list,
    facts.map(({ name, text, tone, call }) => h("div", { class: tone || null, "data-fact": name }, h("dt", {}, name), h("dd", {}, text), call ? h("code", { class: "refine-call" }, call) : null)),
  );
}
