// @ts-check
// Runs the shown round, or repeats its best trials, in the background of the server: progress, pause, log.
import { h, once } from "./dom.js";

/** @typedef {{round: string, running: boolean, pausing: boolean, text: string, log: string}} Job */
/** @typedef {{able: boolean, why: string, objective: string, command: string, left: number}} Runnable */

export class Runner {
  /**
   * @param {(message: import("./transport.js").Message) => Promise<any>} send
   * @param {() => void} changed Called when the budget has changed.
   * @param {() => void} moved Called when a run has begun or ended.
   * @param {(id: string) => string} named The name of a round by its id.
   */
  constructor(send, changed, moved, named) {
    this.send = send;
    this.moved = moved;
    this.named = named;
    /** @type {Job | null} */
    this.job = null;
    /** @type {Runnable | null} */
    this.runnable = null;
    this.round = "";
    this.progressed = false;
    this.needed = false; // true if the next step of the round is to run
    this.asking = false;
    this.workers = this.input(changed, { value: "1", step: 1, "aria-label": "Workers: number of trials that run at a time" });
    this.hours = this.input(changed, { step: "any", placeholder: "no limit", "aria-label": "Hours after which no new trial starts" });
    this.trials = this.input(changed, { step: 1, placeholder: "all", "aria-label": "Trials after which the run pauses" });
    this.button = h("button", { type: "button", class: "refine-run", onclick: (event) => once(event, () => this.press()) });
    this.text = h("span", { class: "refine-runs", role: "status" });
    this.because = h("span", {});
    this.command = h("code", {});
    this.why = h("p", { class: "refine-cannot" }, this.because, " ", this.command);
    this.log = h("pre", { tabindex: "0", "aria-label": "Output of the run" });
    this.logged = h("details", { class: "refine-log", hidden: true }, h("summary", {}, "log"), this.log);
    this.element = h(
      "div",
      { class: "refine-running", role: "group", "aria-label": "Running" },
      this.button,
      this.text,
      this.why,
      this.logged,
    );
    this.budget = h(
      "span",
      { class: "refine-budget" },
      h("label", { title: "Number of trials that run at a time" }, "workers ", this.workers),
      h("label", { title: "Start no new trials after this many hours" }, "hours ", this.hours),
      h("label", { title: "Pause after this many trials; run again to resume" }, "trials ", this.trials),
    );
  }

  input(changed, attributes) {
    return h("input", { type: "number", min: attributes.step === 1 ? 1 : 0, oninput: changed, ...attributes });
  }

  // The budget as a part of messages.
  get message() {
    const number = (/** @type {HTMLInputElement} */ input) => (input.value === "" ? null : Number(input.value));
    return { workers: number(this.workers), hours: number(this.hours), trials: number(this.trials) };
  }

  get runs() {
    return this.job !== null && this.job.running;
  }

  /** @param {{id: string, run: Runnable, progress: {ended: number}}} round */
  show(round) {
    this.round = round.id;
    this.runnable = round.run;
    this.progressed = round.progress.ended > 0;
    this.update();
  }

  /** The shown round has other numbers of trials. @param {{imported: boolean}} round @param {{ended: number, planned: number}} progress */
  progress({ imported }, { ended, planned }) {
    if (this.runnable === null || imported || this.runs) return;
    this.runnable.left = Math.max(0, planned - ended);
    this.update();
  }

  /** @param {Job | null} job */
  hear(job) {
    this.job = job;
    this.update();
  }

  async press() {
    if (this.runs) await this.ask({ type: "pause" });
    else await this.start(this.round, {});
  }

  /**
   * @param {string} round
   * @param {{n?: number}} how
   */
  async start(round, how) {
    const { workers, hours, trials } = this.message;
    return this.ask({ type: "run", round, workers, hours, trials, ...how });
  }

  async ask(message) {
    this.asking = true;
    this.update();
    const answer = await this.send(message);
    this.asking = false;
    if (answer !== null) this.job = answer.job;
    this.update();
    return answer;
  }

  // The reason why nothing can be started now; empty if a run can start.
  get barred() {
    if (!this.runnable?.able) return this.runnable?.why ?? "";
    if (this.asking) return "Starting";
    return this.runs ? `Round ${this.named(this.job?.round ?? "")} is running` : "";
  }

  update() {
    const { runnable, job } = this;
    this.button.disabled = this.asking;
    this.button.classList.toggle("main", this.needed && !this.runs);
    this.button.hidden = !(this.runs || (runnable?.able && runnable.left > 0));
    if (this.runs) {
      this.button.textContent = job?.pausing ? "stop now" : "pause";
      this.button.title = job?.pausing ? "Stop at once; finished trials are stored" : "Finish running trials, then pause; run again to resume";
    } else if (runnable) {
      const left = runnable.left.toLocaleString("en");
      this.button.textContent = this.progressed ? `run the remaining ${left}` : `run ${left} configurations`;
      this.button.title = `Call ${runnable.objective} in the background, as: ${runnable.command}`;
    }
    const last = job === null || job.running ? "" : (job.log.split("\n").at(-1) ?? "");
    this.budget.hidden = this.runs; // the budget is for the next run
    this.text.textContent = job === null ? "" : `Round ${this.named(job.round)}: ${[job.text, last].filter(Boolean).join("; ")}`;
    this.why.hidden = runnable === null || runnable.able || !(this.needed || runnable.left);
    this.because.textContent = runnable?.why ?? "";
    this.command.textContent = runnable?.command ?? "";
    this.logged.hidden = job === null || job.log === "";
    const { scrollTop, scrollHeight, clientHeight } = this.log;
    const below = scrollTop + clientHeight >= scrollHeight - 4;
    if (this.log.textContent !== (job?.log ?? "")) this.log.textContent = job?.log ?? "";
    if (below) this.log.scrollTop = this.log.scrollHeight;
    this.moved();
  }
}
