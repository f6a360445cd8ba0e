// The slider along proposals by increasing risk, with a stop per distinct proposal.
import { h } from "./dom.js";

const PAUSE = 150; // milliseconds without a move before the page asks the session

export class RiskSlider {
  // `moved` is called with the option at every step, `settled` when the slider rests.
  constructor(moved, settled) {
    this.options = [];
    this.risk = null;
    this.input = h("input", {
      type: "range",
      min: 0,
      step: 1,
      "aria-label": "Accepted risk of the proposal",
      oninput: () => {
        const option = this.options[Number(this.input.value)];
        this.risk = this.riskOf(option);
        this.say(option);
        moved(option);
        clearTimeout(this.timer);
        this.timer = setTimeout(settled, PAUSE);
      },
    });
    this.name = h("output", {});
    this.element = h("label", { class: "refine-risk" }, "risk ", this.input, this.name);
    this.leaves = h("p", { class: "refine-leaves" });
  }

  begin(risk, meaning) {
    this.asked = risk;
    this.risk = risk;
    this.element.title = meaning;
  }

  close() {
    clearTimeout(this.timer);
  }

  // The risk asked first if it gives this option, else the smallest risk that does.
  riskOf(option) {
    return option.risk <= this.asked && this.asked <= option.up_to ? this.asked : option.risk;
  }

  show(options, at) {
    this.options = options;
    this.input.max = String(options.length - 1);
    this.input.value = String(at);
    this.input.disabled = options.length < 2;
    this.say(options[at]);
  }

  say(option) {
    this.input.setAttribute("aria-valuetext", option.text);
    this.name.textContent = option.name;
    this.leaves.textContent = `Dropped: ${option.leaves}`;
    this.leaves.title = option.text;
  }
}
