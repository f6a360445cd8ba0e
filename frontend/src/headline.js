// What to do next, with a button that does it; what is claimed folds below.
import { h, once } from "./dom.js";

export class Headline {
  // `act` is called with what the button stands for: {do, n, top, seeds}.
  constructor(act) {
    this.text = h("span", { class: "refine-next" });
    this.button = h("button", { type: "button", class: "refine-do", hidden: true, onclick: (event) => once(event, () => act(this.step)) });
    this.call = h("code", { class: "refine-call" });
    this.element = h("div", { class: "refine-headline" }, this.text, this.call, this.button);
    this.claim = h("p", { class: "refine-claim" });
    this.about = h("details", { class: "refine-claimed" }, h("summary", {}, "What is claimed, and on what it rests"), this.claim);
    this.step = null;
    this.why = "";
  }

  show({ next, step, claim, call }) {
    this.step = step;
    this.text.textContent = next;
    this.text.title = next;
    this.claim.textContent = claim;
    this.call.textContent = step.do ? "" : call; // what no button does is for a script to do
  }

  // `changed` says whether the person has edited what is proposed; `why` why the button can't be used now.
  update(changed, why) {
    const { step } = this;
    this.button.hidden = !step?.do;
    if (this.button.hidden) return;
    this.button.textContent = step.do === "accept" && changed ? `${step.label}, with your edits` : step.label;
    this.button.disabled = why !== "";
    this.button.title = why || step.title;
  }
}
