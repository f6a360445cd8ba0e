// The page: asks the session, keeps what the person has chosen, and draws what follows from it.
import { Card } from "./card.js";
import { Choices } from "./choice.js";
import { h, replace } from "./dom.js";
import { columnsOf, viewOf } from "./dots.js";
import { drawGate, drawPairs, pairDialog } from "./gate.js";
import { drawTree } from "./tree.js";
import { duration, percent, score, states, total } from "./words.js";

const PULSE = 2000; // milliseconds between looks for new trials and rounds
const RISKS = [0.01, 0.05, 0.1, 0.2];

export class Page {
  constructor(element, transport) {
    this.transport = transport;
    this.round = null;
    this.review = null;
    this.trials = null;
    this.cards = [];
    this.choices = new Choices([]);
    this.preview = null;
    this.asking = false;
    this.again = false;
    this.seen = "";
    this.build(element);
    this.observer = new ResizeObserver(() => this.layout());
    this.observer.observe(this.main);
    this.dark = window.matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.paint();
    this.dark.addEventListener("change", this.redraw);
    this.ready = this.start();
  }

  close() {
    clearTimeout(this.timer);
    this.closed = true;
    this.observer.disconnect();
    this.dark.removeEventListener("change", this.redraw);
    this.transport.close();
  }

  build(element) {
    this.side = h("nav", { class: "refine-side", "aria-label": "Rounds of the tree" });
    this.title = h("h1", {}, "refine");
    this.about = h("p", { class: "refine-faint" });
    this.progress = h("progress", { max: 1, value: 0, hidden: true, "aria-label": "Trials that have ended" });
    this.fresh = h("div", { class: "refine-fresh", role: "status" });
    this.numbers = h("dl", { class: "refine-numbers", "aria-live": "off" });
    this.warning = h("p", { class: "refine-warning", role: "status" });
    this.undoButton = h("button", { type: "button", onclick: () => this.undo() }, "undo");
    this.resetButton = h("button", { type: "button", onclick: () => this.change(() => this.choices.reset()) }, "back to the proposal");
    this.risk = h(
      "select",
      { "aria-label": "Accepted risk of the proposal", onchange: () => this.propose() },
      RISKS.map((risk) => h("option", { value: risk }, percent(risk))),
    );
    this.header = h(
      "header",
      { class: "refine-header" },
      h("div", { class: "refine-head" }, h("div", {}, this.title, this.about), h("div", { class: "refine-tools" }, h("label", {}, "risk ", this.risk), this.undoButton, this.resetButton)),
      this.progress,
      this.fresh,
      this.numbers,
      this.warning,
    );
    this.claim = h("p", { class: "refine-claim" });
    this.grid = h("div", { class: "refine-grid" });
    this.legend = h(
      "p",
      { class: "refine-legend refine-faint" },
      h("span", { class: "refine-key best" }, "the best fifth"),
      h("span", { class: "refine-key everyone" }, "all trials"),
      h("span", { class: "refine-key bad" }, "without a usable model"),
      h("span", { class: "refine-key kept" }, "what would stay"),
      h("span", { class: "refine-key proposed" }, "proposed"),
    );
    this.fixed = h("p", { class: "refine-faint" });
    this.pairs = h("section", {});
    this.gate = h("section", {});
    this.note = h("textarea", { rows: 2, maxlength: 10000, placeholder: "Why? A note for whoever reads the tree", "aria-label": "Note", oninput: () => this.ask() });
    this.size = h("input", {
      type: "number",
      min: 1,
      step: 1,
      "aria-label": "Permutations of the next round",
      oninput: () => {
        this.sized = true; // by the person: then it stays, even where it is too large
        this.ask();
      },
    });
    this.acceptButton = h("button", { type: "button", class: "refine-accept", onclick: () => this.decide("accept") }, "accept");
    this.declineButton = h("button", { type: "button", onclick: () => this.decide("decline") }, "decline");
    this.code = h("pre", { tabindex: "0", "aria-label": "The same in Python" });
    this.copyButton = h("button", { type: "button", onclick: () => this.copy() }, "copy Python");
    this.said = h("p", { class: "refine-said", role: "status", "aria-live": "polite" });
    this.bar = h(
      "footer",
      { class: "refine-bar" },
      h("div", { class: "refine-decide" }, this.note, h("label", {}, "permutations ", this.size), this.acceptButton, this.declineButton),
      h("details", {}, h("summary", {}, "The same in Python"), this.code, this.copyButton),
      this.said,
    );
    this.main = h("main", { class: "refine-main" }, this.header, this.claim, h("h2", { class: "refine-unseen" }, "Parameters, the most important first"), this.legend, this.grid, this.fixed, this.pairs, this.gate, this.bar);
    this.root = h("div", { class: `refine refine-${this.transport.home}` }, this.side, this.main);
    element.append(this.root);
  }

  // Talking to the session.

  async send(message) {
    const answer = await this.transport.ask(message);
    if (answer?.error) {
      this.say(answer.error, "bad");
      if (answer.gone) this.gone();
      return null;
    }
    return answer;
  }

  async start() {
    const found = await this.send({ type: "start" });
    if (found === null) return;
    if (!RISKS.includes(found.risk)) this.risk.append(h("option", { value: found.risk }, percent(found.risk)));
    this.risk.value = String(found.risk);
    // What comes after this moment is news.
    const pulse = await this.send({ type: "pulse" });
    this.seen = JSON.stringify(pulse?.states);
    await Promise.all([this.open(found.shown, found.edits, found.rejected), this.drawTree(found.shown)]);
    this.beat();
  }

  async drawTree(shown) {
    const tree = await this.send({ type: "tree" });
    if (tree === null) return;
    this.tree = tree;
    drawTree(this.side, tree, shown ?? this.round?.id, (id) => this.choose(id));
  }

  async choose(id) {
    if (id === this.round?.id) return;
    await this.open(id);
    await this.drawTree(id);
    this.side.querySelector(`[data-round="${id}"]`)?.focus();
  }

  async open(id, edits = {}, rejected = []) {
    const round = await this.send({ type: "round", round: id, risk: Number(this.risk.value) });
    if (round === null) return;
    this.round = round;
    this.review = round.review;
    this.preview = null;
    this.trials = null;
    this.drawHead();
    const cards = this.review?.cards ?? [];
    this.choices = new Choices(cards, edits, rejected);
    this.cards = cards.map((card) => new Card(card, this));
    replace(this.grid, this.cards.map((card) => card.element));
    for (const part of [this.legend, this.numbers, this.bar, this.gate, this.pairs, this.claim]) part.hidden = this.review === null;
    replace(this.fixed);
    if (this.review === null) {
      this.say(round.why);
      return;
    }
    const { review } = this;
    this.claim.textContent = review.caution ? `${review.claim} Caution: ${review.caution}` : review.claim;
    this.fixed.textContent = review.fixed.length ? `Fixed: ${review.fixed.map((p) => `${p.name} = ${p.value}`).join(", ")}` : "";
    drawGate(this.gate, review.gate);
    drawPairs(this.pairs, review.pairs, (pair, opener) => this.openPair(pair, opener));
    this.advised = review.advice?.n || round.n;
    this.sized = false;
    this.size.value = String(this.advised);
    this.layout();
    this.changed();
    const buffer = await this.send({ type: "trials", round: id, risk: Number(this.risk.value) });
    if (buffer === null || this.round !== round) return;
    this.trials = columnsOf(buffer, review.cards.map((card) => card.name), review.trials);
    this.view = viewOf(this.trials.values, review.direction);
    this.paint();
  }

  async openPair(pair, opener) {
    const content = await this.send({ type: "pair", round: this.round.id, risk: Number(this.risk.value), a: pair.a, b: pair.b });
    if (content === null) return;
    const dialog = pairDialog(content, this.review.metric, this.review.direction, opener);
    this.root.append(dialog);
    dialog.showModal();
  }

  propose() {
    if (this.round) this.open(this.round.id);
  }

  // Following what goes on elsewhere.

  beat() {
    if (this.closed) return;
    this.timer = setTimeout(async () => {
      if (!document.hidden) await this.look();
      this.beat();
    }, PULSE);
  }

  async look() {
    const pulse = await this.transport.ask({ type: "pulse" });
    if (pulse?.error) {
      if (!this.away) this.say(pulse.error, "bad");
      this.away = true;
      return;
    }
    if (this.away) this.say("");
    this.away = false;
    const seen = JSON.stringify(pulse.states);
    if (seen === this.seen) return;
    this.seen = seen;
    await this.drawTree();
    const mine = pulse.states[this.round?.id];
    if (this.round === null) return;
    if (mine === undefined) {
      this.gone();
      return;
    }
    if (total(mine) === total(this.round.states)) return;
    this.progressTo(mine);
    // Charts that move under the person's hand are worse than old ones.
    if (this.choices.changed) this.offer(total(mine) - total(this.round.states));
    else await this.open(this.round.id);
  }

  offer(count) {
    replace(
      this.fresh,
      `${count} more ${count === 1 ? "trial has" : "trials have"} ended since this was drawn. `,
      h("button", { type: "button", onclick: () => this.open(this.round.id, this.choices.edits, [...this.choices.rejected]) }, "look again, with your edits"),
    );
  }

  gone() {
    this.acceptButton.disabled = true;
    this.declineButton.disabled = true;
    this.say(`Round ${this.round?.id ?? ""} is no longer in the store. Choose another one at the side.`, "bad");
    this.drawTree();
  }

  // What the person chooses.

  change(how) {
    how();
    this.changed();
  }

  undo() {
    if (this.choices.undo()) this.changed();
  }

  changed() {
    for (const card of this.cards) card.update();
    this.undoButton.disabled = this.choices.history.length === 0;
    this.resetButton.disabled = !this.choices.changed;
    this.acceptButton.textContent = this.choices.changed ? "accept with edits" : "accept all";
    this.ask();
  }

  message(more = {}) {
    const n = Number.parseInt(this.size.value, 10);
    return {
      round: this.round.id,
      risk: Number(this.risk.value),
      proposal: this.review.proposal,
      edits: this.choices.edits,
      rejected: [...this.choices.rejected],
      n: Number.isNaN(n) ? null : this.sized ? n : Math.min(n, this.preview?.left || n),
      note: this.note.value,
      ...more,
    };
  }

  // One question at a time: while it is answered the newest choice waits, and older ones are passed over.
  async ask() {
    if (this.review === null) return;
    if (this.asking) {
      this.again = true;
      return;
    }
    this.asking = true;
    this.header.classList.add("stale");
    const round = this.round;
    do {
      this.again = false;
      const answer = await this.transport.ask({ type: "preview", ...this.message() });
      if (this.round !== round) break;
      this.told(answer);
    } while (this.again);
    this.asking = false;
    this.header.classList.remove("stale");
    if (this.round !== round) this.ask();
  }

  told(answer) {
    if (answer.error) {
      this.warning.textContent = answer.error;
      this.acceptButton.disabled = true;
      if (answer.gone) this.gone();
      return;
    }
    this.preview = answer;
    const asked = Number.parseInt(this.size.value, 10);
    if (!this.sized && this.advised) this.size.value = String(Math.max(1, Math.min(this.advised, answer.left)));
    this.size.max = Math.max(1, answer.left);
    const beyond = this.sized && asked > answer.left;
    this.acceptButton.disabled = beyond || answer.left === 0;
    this.declineButton.disabled = false;
    const few = answer.left === 0 ? "Nothing is left to run there." : beyond ? `Only ${answer.left} are left to run there.` : "";
    this.warning.textContent = [few, answer.warning].filter(Boolean).join(" ");
    this.code.textContent = answer.code;
    const was = (mine, proposed) => (mine === proposed || proposed === null ? "" : ` (proposed ${proposed})`);
    const risk = answer.retention === null ? "can't be told" : answer.retention.toFixed(2);
    const rows = [
      ["top trials kept", `${answer.top_kept} of ${answer.top}`, answer.throws ? "bad" : ""],
      ["volume kept", percent(answer.kept) + was(percent(answer.kept), percent(answer.proposed_kept))],
      ["P(regret ≤ ε)", risk + was(risk, answer.proposed_retention?.toFixed(2) ?? null), "", `Probability that the best value inside is within ${score(this.review.epsilon)} of the best in the present space`],
      ["density", `${answer.n.toLocaleString("en")} of ${answer.left.toLocaleString("en")} left to run, hits the best 5 % with ${percent(answer.hit)}`],
      ["time", answer.seconds === null ? "not known" : `about ${duration(answer.seconds)}`],
    ];
    replace(
      this.numbers,
      rows.map(([name, value, tone, title]) => h("div", { class: tone || null, title: title ?? null, "data-number": name }, h("dt", {}, name), h("dd", {}, value))),
    );
  }

  async decide(kind) {
    this.acceptButton.disabled = true;
    this.declineButton.disabled = true;
    const answer = await this.send({ type: "decide", kind, ...this.message() });
    this.acceptButton.disabled = false;
    this.declineButton.disabled = false;
    if (answer === null) return;
    if (answer.child === null) {
      this.say("Declined. The space stays as it is.", "good");
      return;
    }
    this.say(`Accepted: round ${answer.child} was made, with ${answer.n} permutations. Run it: tree["${answer.child}"].run(workers=2)`, "good");
    await this.drawTree();
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.code.textContent);
      this.say("Copied.", "good");
    } catch {
      window.getSelection().selectAllChildren(this.code);
      this.say("Selected: copy it with the keyboard.");
    }
  }

  say(text, tone = "") {
    this.said.textContent = text ?? "";
    this.said.className = `refine-said ${tone}`;
    this.bar.hidden = false;
  }

  // Drawing.

  drawHead() {
    const { round } = this;
    this.title.textContent = `Round ${round.id}`;
    const decided = round.decisions.map((d) => `${d.kind} by ${d.author}${d.child ? `: ${d.child}` : ""}`).join("; ");
    this.about.textContent = [`${round.metric}, ${round.direction}`, round.note && `“${round.note}”`, decided].filter(Boolean).join(" · ");
    this.said.textContent = "";
    this.warning.textContent = "";
    replace(this.fresh);
    this.progressTo(round.states);
  }

  progressTo(counts) {
    const { round } = this;
    this.progress.hidden = round.imported || total(counts) >= round.n;
    this.progress.max = round.n;
    this.progress.value = total(counts);
    this.progress.title = `${total(counts)} of ${round.n}: ${states(counts)}`;
  }

  layout() {
    for (const card of this.cards) {
      if (card.plot.clientWidth !== card.width) card.layout();
    }
  }

  paint() {
    const style = getComputedStyle(this.root);
    const colour = (name) => style.getPropertyValue(name).trim();
    this.colours = { good: colour("--best"), all: colour("--dot"), bad: colour("--bad") };
    for (const card of this.cards) {
      if (card.width) card.dots();
      else card.layout();
    }
  }
}
