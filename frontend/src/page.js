// The page: asks the session, keeps the person's choices, and draws the consequences.
import { Ask } from "./ask.js";
import { drawChecks, drawPairs } from "./checks.js";
import { Choices, proposes } from "./choices.js";
import { fold, h, link, once, replace, reveal, seen } from "./dom.js";
import { Front } from "./front.js";
import { drawFacts, drawTiles, Headline } from "./headline.js";
import { Hover } from "./hover.js";
import { Live } from "./live.js";
import { Panel } from "./panel.js";
import { BAD, columnsOf, INFEASIBLE } from "./places.js";
import { Plan } from "./plan.js";
import { RiskSlider } from "./risk.js";
import { Runner } from "./runner.js";
import { MARKS, Studies } from "./studies.js";
import { drawSuggestions, takeOver } from "./suggestions.js";
import { Track } from "./track.js";
import { Try } from "./try.js";
import { idOf } from "./transport.js";
import { drawTree } from "./tree.js";
import { TrialList } from "./trials.js";
import { Views } from "./views.js";
import { Winner } from "./winner.js";

const PULSE = 2000; // milliseconds between two checks for new trials and rounds
const NEWS = 8000; // milliseconds for which a success message is shown
const LONG = 400; // milliseconds after which the page says that it is computing

const MORE_RISK = "more risk, smaller space";
const STOPS = ["STOP", "CONFIRM"]; // verdicts against another round
const UNJUDGED = "of the proposal, without your edits";

const NO_OUTLOOK = { verdict: "" };

const WIDE = 380; // smallest width of a card with a change, in pixels
const NARROW = 330; // smallest width of a card of an unchanged parameter

// As few rows as possible, with equal numbers of cards.
function rowsOf(grid, least) {
  const n = grid.children.length;
  const rows = Math.ceil(n / Math.max(1, Math.floor(grid.clientWidth / least))) || 1;
  return { n, rows, across: Math.ceil(n / rows) || 1 };
}

// Cards fill their rows; some rows have one card less.
function fillRows(grid, least) {
  const { n, rows, across } = rowsOf(grid, least);
  const full = n - rows * (across - 1); // rows with one card more
  const cells = across * Math.max(1, across - 1);
  grid.style.gridTemplateColumns = `repeat(${cells}, minmax(0, 1fr))`;
  [...grid.children].forEach((card, i) => {
    const inRow = i < full * across ? across : across - 1;
    card.style.gridColumn = `span ${cells / inRow}`;
  });
}

export class Page {
  /** @param {HTMLElement} element @param {import("./transport.js").Transport} transport */
  constructor(element, transport) {
    this.transport = transport;
    this.round = null;
    this.review = null;
    this.trials = null;
    this.panels = [];
    this.choices = new Choices([]);
    this.preview = null;
    this.left = new Map(); // unfinished choices on rounds that are not shown
    this.turn = 0;
    /** @type {Map<string, any>} */
    this.outlooks = new Map(); // key -> recommendation for a space and plan
    this.outlook = ""; // key of the present choices
    this.asking = false;
    this.again = false;
    this.seen = "";
    this.hover = new Hover(this);
    this.list = new TrialList(this);
    this.views = new Views(this);
    this.studies = new Studies(this);
    this.build(element);
    this.observer = new ResizeObserver(() => this.layout());
    this.observer.observe(this.main);
    this.dark = window.matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.paint();
    this.printed = window.matchMedia("print");
    this.printed.addEventListener("change", this.relayout);
    this.dark.addEventListener("change", this.redraw);
    this.ready = this.start();
  }

  // Cards have another width on paper, so they are drawn again before printing.
  relayout = () => {
    this.layout();
    this.paint();
  };

  close() {
    clearTimeout(this.timer);
    clearTimeout(this.saying);
    this.slider.close();
    this.hover.close();
    this.list.close();
    this.closed = true;
    this.observer.disconnect();
    this.dark.removeEventListener("change", this.redraw);
    this.printed.removeEventListener("change", this.relayout);
    this.small.removeEventListener("change", this.placeNote);
    this.transport.close();
  }

  build(element) {
    this.side = h("nav", { class: "refine-side", "aria-label": "Rounds of the tree" });
    this.title = h("h1", {}, "refine");
    this.hash = h("code", { class: "refine-faint" });
    this.study = h("span", { class: "refine-study-name" });
    this.about = h("p", { class: "refine-faint refine-about" });
    this.fresh = h("div", { class: "refine-fresh", role: "status" });
    this.headline = new Headline((step) => this.act(step));
    this.unjudged = h("p", { class: "refine-unjudged", role: "status", hidden: true }, "For the proposal, without your edits (not judged here).");
    this.facts = h("dl", { class: "refine-facts" });
    this.tiles = h("dl", { class: "refine-tiles refine-strip" });
    this.track = new Track(this);
    this.failing = link(() => this.openChecks());
    this.failed = h("dl", { class: "refine-facts refine-failing", hidden: true }, h("div", { class: "bad" }, h("dt", {}, "Checks"), h("dd", {}, this.failing)));
    this.header = h(
      "header",
      { class: "refine-header" },
      h("div", { class: "refine-head" }, this.study, this.title, this.about, this.hash),
      this.unjudged,
      this.headline.element,
      this.failed,
      this.facts,
      this.tiles,
      this.fresh,
    );
    this.suggested = h("section", { "aria-label": "Suggestions" });

    // Changed parameters have a card; the cards of the others are in a fold.
    this.grid = h("div", { class: "refine-grid" });
    this.otherGrid = h("div", { class: "refine-grid" });
    this.otherNames = h("span", { class: "refine-faint" });
    this.others = fold("others", "Unchanged parameters", this.otherNames, this.otherGrid);

    this.slider = new RiskSlider((option) => this.slide(option), () => this.propose());
    this.epsilon = h("input", { type: "number", min: 0, step: "any", class: "refine-epsilon", onchange: () => this.sayEpsilon() });
    this.epsilonLabel = h("label", {}, "tolerance (epsilon) ", this.epsilon);
    this.numbers = h("dl", { class: "refine-facts refine-numbers", "aria-live": "off" });
    this.claim = h("p", { class: "refine-claim" });
    this.sure = fold("sure", "Risk level", (this.sureAbout = h("span", { class: "refine-faint" }, MORE_RISK)), h("div", { class: "refine-tools" }, this.slider.element, this.epsilonLabel), this.slider.leaves, this.numbers, this.claim);

    this.scale = h("span", {});
    this.legend = h(
      "p",
      { class: "refine-legend refine-faint" },
      (this.bestKey = h("span", { class: "refine-key best" }, "top 20 % of trials")),
      h("span", { class: "refine-key everyone" }, "all trials"),
      (this.otherKey = h("span", { class: "refine-key others" })),
      (this.badKey = h("span", { class: "refine-key bad" }, "failed or unusable")),
      (this.brokenKey = h("span", { class: "refine-key broken" })),
      (this.keptKey = h("span", { class: "refine-key kept" }, "kept")),
      (this.nowKey = h("span", { class: "refine-key now" }, "range now")),
      (this.hatchKey = h("span", { class: "refine-key hatch" }, "not tried yet")),
      (this.proposedKey = h("span", { class: "refine-key proposed" }, "proposed")),
      this.scale,
      h("span", { class: "refine-tap" }, "tap a dot for details"),
    );
    this.pairs = h("section", {});
    this.pairNames = h("span", { class: "refine-faint" });
    this.coupled = fold("coupled", "Coupled parameters", this.pairNames, this.pairs);
    this.checks = h("section", {});
    this.checksText = h("span", { class: "refine-faint" });
    this.checked = fold("checks", "Checks", this.checksText, this.checks);

    this.warning = h("p", { class: "refine-warning", role: "status" });
    this.note = h("textarea", { rows: 1, maxlength: 10000, placeholder: "Your reason (optional)", "aria-label": "Note", oninput: () => this.ask() });
    this.size = h("input", {
      type: "number",
      min: 1,
      step: 1,
      "aria-label": "Configurations of the next round",
      oninput: () => {
        this.sized = this.size.value !== ""; // typed by the person, so kept even if too large
        this.ask();
      },
    });
    this.takes = h("span", { class: "refine-takes refine-faint" });
    this.chance = h("p", { class: "refine-chance" });
    this.acceptButton = h("button", { type: "button", class: "refine-accept", onclick: (event) => once(event, () => this.decide("accept")) }, "accept");
    this.declineButton = h("button", { type: "button", onclick: (event) => once(event, () => this.decide("decline")) }, "decline");
    this.undoButton = h("button", { type: "button", title: "undo the last edit", onclick: () => this.undo() }, "undo");
    this.resetButton = h("button", { type: "button", class: "refine-reset", title: "back to the proposal", onclick: () => this.change(() => this.choices.reset()) }, "reset to proposal");
    this.said = h("p", { class: "refine-said", role: "status", "aria-live": "polite" });
    this.decideRow = h(
      "div",
      { class: "refine-decide" },
      h("label", { class: "refine-size" }, this.size, h("span", {}, " trials"), this.takes),
      h("div", { class: "refine-state" }, this.chance, this.warning),
      this.note,
      this.undoButton,
      this.resetButton,
      this.declineButton,
      this.acceptButton,
    );
    this.plan = new Plan(() => this.ask());
    this.pruner = h("input", { type: "checkbox", checked: true, onchange: () => this.ask() });
    this.prunerLabel = h("label", {}, this.pruner, " stop poor trials early, as in this round");
    this.runner = new Runner((message) => this.send(message), () => this.ask(), () => this.moved(), (id) => this.named(id));
    this.front = new Front((message) => this.send(message), (text, tone) => this.say(text, tone));
    this.code = h("pre", { tabindex: "0", "aria-label": "The same in Python" });
    this.copyButton = h("button", { type: "button", onclick: () => this.copy() }, "copy Python");
    this.python = h("div", { class: "refine-python" }, this.code, this.copyButton);
    this.planning = h("span", { class: "refine-planning" }, ...this.plan.labels, this.prunerLabel);
    this.moreAbout = h("span", { class: "refine-faint" }, "how trials run, the same in Python");
    this.more = fold("more", "More", this.moreAbout, (this.options = h("div", { class: "refine-options" }, this.planning)), this.python);
    this.live = new Live(this);
    this.questions = new Ask(this);
    this.attempts = new Try(this);
    this.winner = new Winner(this);
    this.evidence = fold("evidence", "Evidence and risk", h("span", { class: "refine-faint" }, "risk level, checks, track record"), this.sure, this.checked, this.coupled, this.track.fold);
    const explored = [this.questions, this.attempts, this.views, this.list, this.winner].map(({ element }) => element);
    this.explore = fold("explore", "Trials and questions", h("span", { class: "refine-faint" }, "ask, add trials, views, every trial, the winner"), ...explored);
    this.bar = h("footer", { class: "refine-bar" }, this.said, this.decideRow);
    // On a small screen the note is in the page, so the foot is one line.
    this.small = window.matchMedia("screen and (max-width: 900px), screen and (max-height: 540px)");
    this.placeNote = () => {
      (this.small.matches ? this.others : this.undoButton).before(this.note);
    };
    this.small.addEventListener("change", this.placeNote);
    this.main = h(
      "main",
      { class: "refine-main" },
      ...[this.header, this.live.element, this.suggested, this.studies.element, h("h2", { class: "refine-unseen" }, "Parameters, the most important first"), this.legend, this.grid, this.front.element, this.others],
      ...[this.evidence, this.explore, this.more, this.bar],
    );
    this.placeNote();
    this.main.classList.add("waiting"); // nothing to press before the first round is drawn
    this.headline.show({ text: "Analysing the round …" });
    this.root = h("div", { class: `refine refine-${this.transport.home}` }, this.side, this.main, this.hover.card);
    if (this.transport.home === "saved") {
      // A saved page is read-only and ends with the Python code to type.
      for (const part of [this.acceptButton, this.declineButton, this.options, this.runner.element, this.runner.budget, this.epsilonLabel, this.front.note, this.front.button]) part.remove();
      this.moreAbout.textContent = "the same in Python";
      this.more.open = true;
      this.decideRow.append(this.copyButton);
    }
    seen(this.root);
    element.append(this.root);
  }

  openChecks() {
    reveal(this.checked);
  }

  // Messages to the session.

  /** @param {import("./transport.js").Message} message @returns {Promise<any>} */
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
    this.terms = found.terms;
    this.slider.begin(found.risk, this.terms.risk);
    this.epsilonLabel.title = this.terms.epsilon;
    this.bestKey.title = this.terms.best;
    this.claim.title = this.terms.claim;
    this.checked.title = this.terms.checks;
    this.coupled.title = this.terms.coupled;
    this.plan.begin(this.terms);
    // Later trials and rounds are new.
    const pulse = await this.send({ type: "pulse" });
    this.hear(pulse);
    // A reload shows the same round again.
    const before = this.transport.home === "browser" ? decodeURIComponent(location.hash.slice(1)) : "";
    const first = before !== found.shown && before in pulse.versions ? [before] : [found.shown, { edits: found.edits, rejected: found.rejected }];
    await Promise.all([this.open(...first), this.drawTree(first[0])]);
    this.beat();
  }

  async drawTree(shown) {
    const tree = await this.send({ type: "tree" });
    if (tree === null) return;
    const trees = tree.other ? [tree, tree.other] : [tree];
    const alike = trees.length > 1 && tree.name === tree.other.name;
    const files = trees.map(({ store }) => store.split("/").at(-1));
    trees.forEach((each, i) => {
      each.title = `${tree.other ? `${MARKS[i]} ` : ""}${each.name}${alike ? ` (${files[0] === files[1] ? each.store : files[i]})` : ""}`;
    });
    this.tree = tree;
    if (this.transport.home === "browser") document.title = `${trees.map(({ name }) => name).join(" and ")} · refine`;
    drawTree(this.side, trees, shown ?? this.round?.id, (id) => this.choose(id));
    if (this.round) this.drawTitle();
    this.runner.update();
    this.studies.show();
    this.track.update();
    this.winner.update();
  }

  // The tree of the shown round.
  get own() {
    return this.treeOf(this.round?.id ?? "");
  }

  treeOf(id) {
    const { tree } = this;
    return tree?.other && idOf(id) !== id ? tree.other : tree;
  }

  // The name of a round: its tag or its place in the tree, with the study if two are shown.
  named(id) {
    const name = this.treeOf(id)?.rounds.find((round) => round.id === id)?.name ?? idOf(id);
    return `${name}${this.tree?.other ? ` of ${this.treeOf(id).title}` : ""}`;
  }

  async choose(id) {
    if (id === this.round?.id) return;
    await this.open(id);
    if (this.round?.id !== id) return; // another round was chosen meanwhile, or this one was deleted
    await this.drawTree(id);
    /** @type {HTMLElement | null} */ (this.side.querySelector(`[data-round="${id}"]`))?.focus();
  }

  // Unfinished choices on the shown round are kept while another round or proposal is shown.
  get begun() {
    const { edits, rejected, history } = this.choices;
    return { edits, rejected: [...rejected], history, size: this.sized ? this.size.value : null, note: this.note.value, plan: this.plan.state };
  }

  async open(id, begun, followed = false) {
    this.turn += 1;
    const { turn } = this;
    const waiting = followed ? null : setTimeout(() => this.say(`Analysing round ${this.named(id)} …`), LONG);
    const round = await this.send({ type: "round", round: id, risk: this.slider.risk });
    clearTimeout(waiting);
    if (round === null || turn !== this.turn) return;
    if (followed && this.busy) {
      this.offer(round.progress.ended - this.round.progress.ended);
      return;
    }
    if (!followed) this.say(""); // a message stays if the page only follows a change
    this.draw(round, begun);
    await this.fetchTrials();
  }

  draw(round, begun) {
    if (this.review !== null) this.left.set(this.round.id, this.begun);
    const was = begun ?? this.left.get(round.id) ?? {};
    const another = round.id !== this.round?.id;
    const sameTrials = !another && round.version === this.round.version && round.review !== null;
    const unfolded = new Set(another ? [] : this.panels.filter((panel) => panel.why.open).map((panel) => panel.panel.name));
    this.round = round;
    this.review = round.review;
    this.preview = null;
    this.main.classList.remove("waiting");
    if (this.transport.home === "browser") history.replaceState(null, "", `#${round.id}`);
    if (!sameTrials) this.trials = null;
    if (!sameTrials) this.hover.forget();
    for (const panel of this.panels) this.hover.drop(panel.cloud);
    this.views.show(round);
    this.list.show(round);
    this.sliding = false;
    this.drawHead();
    const panels = this.review?.panels ?? [];
    this.plan.show(was.plan);
    this.runner.show(round);
    this.live.show(round);
    this.questions.show(round);
    this.attempts.show(round);
    this.track.update();
    this.winner.update();
    this.front.show(round);
    this.studies.show();
    this.choices = new Choices(panels, was.edits, was.rejected, was.history);
    this.panels = panels.map((panel) => new Panel(panel, this));
    for (const panel of this.panels) panel.why.open = unfolded.has(panel.panel.name);
    const nothing = this.review === null;
    for (const part of [this.others, this.legend, this.evidence, this.coupled, this.facts, this.tiles, this.decideRow, this.note, this.planning, this.python, this.suggested]) part.hidden = nothing;
    this.place();
    this.bar.classList.toggle("empty", nothing);
    this.failed.hidden = nothing || this.review.failed === "";
    if (this.transport.home !== "saved") {
      if (nothing) this.runner.element.after(this.runner.budget);
      else this.options.append(this.runner.budget);
    }
    this.more.hidden = nothing;
    this.runner.needed = nothing || ["run", "repeat"].includes(this.review.outlook.step.do);
    if (nothing) {
      this.headline.show({ text: this.waiting });
      this.runner.update();
      return;
    }
    const { review } = this;
    this.view = review.view;
    this.slider.show(review.options, review.option);
    this.epsilon.value = review.epsilon_given ?? "";
    this.epsilon.placeholder = review.epsilon_text;
    this.advised = review.outlook;
    this.claim.textContent = review.claim;
    this.prunerLabel.hidden = !review.pruner;
    if (another) this.pruner.checked = true;
    this.scale.className = review.view.middle === null ? "" : "refine-key strip";
    this.scale.textContent = review.view.middle === null ? review.view.text : review.view.middle_text;
    const ranges = panels.filter(({ kind }) => kind === "range");
    this.hatchKey.hidden = !ranges.some(({ proposed, grid }) => proposed && (proposed[0] < grid[0] || proposed[1] > grid.at(-1)));
    this.nowKey.hidden = ranges.length === 0;
    this.brokenKey.hidden = review.constraints.length === 0;
    this.otherKey.hidden = review.others === 0;
    this.otherKey.textContent = `${review.others.toLocaleString("en")} more as evidence, fainter`;
    this.brokenKey.textContent = `infeasible: not ${review.constraints.join(" and ")}`;
    drawSuggestions(this.suggested, review.suggestions, (edits) => this.change(() => takeOver(this.choices, edits)));
    drawChecks(this.checks, review.checks, this);
    this.checksText.textContent = review.checks_text;
    this.failing.textContent = review.failed;
    this.failed.firstElementChild.className = review.failed.includes("failed") ? "bad" : "warn";
    drawPairs(this.pairs, review.pairs, this);
    this.pairNames.textContent = review.pairs.map(({ a, b }) => `${a} × ${b}`).join(", ");
    this.coupled.hidden = review.pairs.length === 0;
    this.outlooks = new Map([[review.outlook.key, review.outlook]]);
    this.outlook = review.outlook.key;
    this.sized = (was.size ?? null) !== null;
    this.size.value = this.sized ? was.size : String(review.plan.n);
    this.plan.advise(review.plan.percent);
    if (another) this.note.value = was.note ?? "";
    this.layout();
    this.changed();
  }

  // Cards with changes come first; without a change, all cards do.
  place() {
    const changes = ({ panel }) => proposes(panel) || this.choices.source(panel.name) !== "kept";
    const first = this.panels.some(changes) ? this.panels.filter(changes) : this.panels;
    const rest = this.panels.filter((panel) => !first.includes(panel));
    replace(this.grid, first.map((panel) => panel.element));
    replace(this.otherGrid, rest.map((panel) => panel.element));
    const fixed = ({ name, value }) => `${name} = ${value}${Object.hasOwn(this.choices.edits, name) ? ` → ${this.choices.edits[name].text}` : ""}`;
    const names = [...rest.map(({ panel }) => (panel.unused ? `${panel.name} (no longer used)` : panel.name)), ...(this.review?.fixed ?? []).map(fixed)];
    this.otherNames.textContent = names.join(" · ");
    this.others.hidden = names.length === 0;
  }

  async fetchTrials() {
    const { round, review } = this;
    if (review === null) return;
    if (this.trials === null) {
      const buffer = await this.send({ type: "trials", ...this.drawn });
      if (buffer === null || this.round !== round) return;
      this.trials = columnsOf(buffer, review.panels.map((panel) => panel.name), review.trials);
      this.badKey.hidden = !this.trials.flags.some((flag) => flag & BAD && !(flag & INFEASIBLE));
      this.paint();
    }
    if (!this.trials.numbers) await this.fetchNumbers(this.trials);
  }

  // The trial of each dot, requested after the dots because a large round takes a moment.
  async fetchNumbers(trials) {
    const buffer = await this.transport.ask({ type: "numbers", ...this.drawn });
    if (this.trials !== trials || buffer.error) return; // a proposal at another risk uses the same trials
    trials.numbers = new Uint32Array(buffer);
    trials.rows = new Map();
    trials.numbers.forEach((number, i) => trials.rows.set(number, i));
  }

  propose() {
    if (this.round) this.open(this.round.id);
  }

  // While the slider moves, the proposal at its risk is drawn at once, and the reasons after the session's answer.
  slide(option) {
    this.turn += 1; // the answer is for a risk that the slider has left
    this.sliding = true;
    this.acceptButton.disabled = true;
    this.declineButton.disabled = true;
    this.bar.classList.add("stale");
    for (const panel of this.panels) {
      panel.panel.proposed = option.proposed[panel.panel.name];
      panel.update();
    }
  }

  async sayEpsilon() {
    const { round } = this;
    if (!this.epsilon.validity.valid) {
      this.say("The tolerance must be a number >= 0; leave the field empty to derive it from the noise.", "bad");
      return;
    }
    this.turn += 1;
    const { turn } = this;
    const value = this.epsilon.value === "" ? null : Number(this.epsilon.value);
    const found = await this.send({ type: "epsilon", round: round.id, risk: this.slider.risk, value });
    if (found === null || turn !== this.turn) return;
    this.say("");
    this.draw(found);
    await this.fetchTrials();
  }

  // Changes by other people and processes.

  beat() {
    if (this.closed) return;
    this.timer = setTimeout(async () => {
      if (!document.hidden) await this.look();
      this.beat();
    }, PULSE);
  }

  async look() {
    const pulse = await this.transport.ask({ type: "pulse" });
    const lost = pulse.error ?? pulse.lost; // all studies, or one of two
    const changed = lost !== this.lost;
    this.lost = lost;
    if (changed) this.say(lost, "bad");
    if (changed && !lost) this.studies.show();
    if (pulse.error) return;
    const news = this.hear(pulse);
    if (!news) return;
    await this.drawTree();
    const { round } = this;
    if (round === null) return;
    const version = pulse.versions[round.id];
    if (version === undefined) {
      this.gone();
      return;
    }
    this.runner.progress(round, pulse.progress[round.id]);
    this.live.progress(pulse.progress[round.id]);
    await this.live.look();
    if (version === round.version) return;
    if (this.runner.runs && this.runner.job.round === round.id) return; // the other parts are drawn again at the end
    if (this.busy) this.offer(pulse.progress[round.id].ended - round.progress.ended);
    else await this.open(round.id, undefined, true);
  }

  // Stores a pulse; true if it has new trials or rounds.
  hear({ job, progress, versions }) {
    this.versions = versions;
    this.runner.hear(job);
    const seen = JSON.stringify([progress, versions, job?.running]);
    const news = seen !== this.seen;
    this.seen = seen;
    return news;
  }

  // Charts do not move while the person uses them, even if they are outdated.
  get busy() {
    if (this.review === null) return false;
    const { activeElement } = /** @type {Document | ShadowRoot} */ (this.root.getRootNode());
    const held = (part) => part.contains(activeElement) || part.querySelector("details[open]") !== null;
    return this.choices.changed || this.hover.pinned !== null || [this.grid, this.otherGrid, this.pairs, this.checks].some(held);
  }

  offer(count) {
    const news = count > 0 ? `${count} new ${count === 1 ? "trial" : "trials"}. ` : "The round has changed. ";
    replace(this.fresh, news, h("button", { type: "button", onclick: () => this.open(this.round.id) }, "Refresh (keeps your edits)"));
  }

  gone() {
    this.acceptButton.disabled = true;
    this.declineButton.disabled = true;
    this.say(`Round ${this.named(this.round?.id ?? "")} was deleted. Select another round in the sidebar.`, "bad");
    this.drawTree();
  }

  // Choices of the person.

  change(how) {
    how();
    this.changed();
  }

  undo() {
    if (this.choices.undo()) this.changed();
  }

  changed() {
    for (const panel of this.panels) panel.update();
    // The buttons keep their places, so an edit moves nothing.
    this.undoButton.disabled = this.choices.history.length === 0;
    this.resetButton.disabled = !this.choices.changed;
    const nothing = this.panels.every(({ panel }) => !proposes(panel));
    this.keptKey.hidden = nothing && !this.choices.changed;
    this.proposedKey.hidden = nothing || !this.choices.changed;
    this.same = nothing && !this.choices.changed;
    this.acceptButton.textContent = this.same ? "next round, same space" : this.choices.changed ? "accept edited space" : "accept";
    this.ask();
  }

  // The data behind the drawn page.
  get drawn() {
    return { round: this.round.id, risk: this.review.risk, proposal: this.review.proposal };
  }

  message() {
    const n = Number(this.size.value);
    return {
      ...this.drawn,
      edits: this.choices.edits,
      rejected: [...this.choices.rejected],
      n: this.sized ? n : null, // null for the advised number for the edited space
      sized: this.sized,
      note: this.note.value,
      ...this.plan.message,
      ...this.runner.message,
      pruner: this.review.pruner && this.pruner.checked,
    };
  }

  // One request at a time: the newest choice waits for the answer, and older choices are skipped.
  ask() {
    this.again = true;
    if (!this.asking) this.asked = this.answers();
  }

  async answers() {
    this.asking = true;
    this.bar.classList.add("stale");
    try {
      while (this.again && this.review !== null) {
        this.again = false;
        const { round } = this;
        const answer = await this.transport.ask({ type: "preview", ...this.message() });
        if (this.round === round && !this.sliding) this.show(answer);
      }
    } finally {
      this.asking = false;
      if (!this.sliding) this.bar.classList.remove("stale");
    }
  }

  show(answer) {
    this.refused = Boolean(answer.error) || answer.refused;
    this.acceptButton.disabled = this.refused || this.sliding;
    this.declineButton.disabled = false;
    this.warn(answer.error ?? answer.warning);
    if (answer.error) {
      if (answer.gone) this.gone();
      return;
    }
    this.preview = answer;
    if (!this.sized) this.size.value = String(answer.plan.n);
    this.size.max = Math.max(1, answer.left);
    this.code.textContent = answer.code;
    this.takes.textContent = answer.takes;
    this.plan.advise(answer.plan.percent);
    this.outlook = answer.outlook;
    this.drawDecision();
    this.recommend();
    drawFacts(this.numbers, [...answer.risks, ...answer.facts]);
  }

  // The recommendation and the numbers. A recommendation for other bounds is never shown next to the risk
  // of these bounds.
  drawDecision() {
    const { tiles, risks, chance: chanceText } = this.preview;
    const outlook = this.outlooks.get(this.outlook);
    const advised = outlook === undefined || !STOPS.includes(outlook.verdict);
    this.unjudged.hidden = !this.preview.unjudged;
    this.sureAbout.textContent = this.preview.unjudged ? UNJUDGED : MORE_RISK;
    this.drawHeadline(outlook);
    this.acceptButton.classList.toggle("plain", !advised || this.same);
    drawTiles(this.tiles, tiles);
    const stated = ["Risk", "Kept", "Blind spot", "Noise"];
    drawFacts(this.facts, [...risks.filter(({ name }) => !stated.includes(name)), ...this.review.facts]);
    const [chance, kept] = tiles;
    this.chance.textContent = chanceText;
    this.chance.title = `${chance.full}. Kept: ${kept.full}`;
    this.chance.className = `refine-chance ${chance.tone}`;
    if (!this.preview.unjudged) return;
    this.chance.textContent = "Edits are not judged here.";
    this.chance.className = "refine-chance";
  }

  // While the recommendation is computed, the headline names the edited round, unless the last advice was to stop.
  drawHeadline(outlook) {
    const known = outlook?.text ? outlook : null;
    if (known) this.advised = known;
    const held = STOPS.includes(this.advised.verdict) ? this.advised : { text: this.preview.pending };
    const { text, reason, call, step } = known ?? held;
    this.headline.show({ text, reason, call, step: this.allowed(step) }, outlook === undefined);
    this.headline.update(this.runner.barred);
  }

  // Asks for the recommendation after the risk, because its simulation takes seconds. One request at a time.
  async recommend() {
    if (this.recommending) return;
    this.recommending = true;
    try {
      while (this.review !== null && this.outlook !== "" && !this.outlooks.has(this.outlook)) {
        const { outlook, outlooks } = this;
        const answer = await this.transport.ask({ type: "outlook", ...this.message() });
        // The answer is about the newest choices and has their key.
        outlooks.set(answer.error ? outlook : answer.key, answer.error ? NO_OUTLOOK : answer);
        await this.asked;
        if (this.preview !== null && !this.preview.error) this.drawDecision();
      }
    } finally {
      this.recommending = false;
    }
  }

  warn(text) {
    this.warning.textContent = text;
    this.warning.title = text;
    this.warning.hidden = text === "";
  }

  // The headline of a round without a proposal.
  get waiting() {
    const { round, runner } = this;
    return runner.runs && runner.job.round === round.id ? "Running: the proposal comes when enough trials have ended." : round.why;
  }

  // A run has started, progressed or ended.
  moved() {
    this.headline.update(this.runner.barred);
    this.attempts.update();
    if (this.round === null || this.review !== null) return;
    this.headline.text.textContent = this.waiting;
    if (this.live.round === this.round) this.live.progress(this.live.last);
  }

  // The step with a button in the headline: a saved page can only show the winner, and the foot accepts.
  allowed(step) {
    if (!step || step.do === "accept") return null;
    return step.do === "winner" || this.transport.home === "browser" ? step : { do: "" };
  }

  // The action of the headline's button.
  async act({ do: call, n, repeat, seeds, budget }) {
    if (call === "winner") {
      this.winner.open();
      return;
    }
    if (call === "confirm") {
      this.say("Repeating the plausible winners: progress is at the top of the page.");
      await this.runner.ask({ type: "confirm", round: this.round.id, budget: budget ?? null, workers: this.runner.message.workers });
      return;
    }
    if (call === "repeat") {
      await this.runner.ask({ type: "add", round: this.round.id, repeat, seeds, workers: this.runner.message.workers });
      return;
    }
    await this.runner.start(this.round.id, { n });
  }

  async decide(kind) {
    const { round } = this;
    this.acceptButton.disabled = true;
    this.declineButton.disabled = true;
    await this.asked; // the decision is the one in the header
    if (this.round !== round) {
      this.say(`Not saved: round ${this.named(round.id)} was closed or reloaded before its preview was ready.`, "bad");
      this.ask();
      return;
    }
    if (kind === "accept" && this.refused) {
      this.declineButton.disabled = false;
      return;
    }
    this.say(kind === "accept" ? "Creating the next round …" : "");
    const answer = await this.send({ type: "decide", kind, ...this.message(), n: this.preview?.n ?? null });
    this.ask();
    if (answer === null) return;
    const { child } = answer;
    // Opens the child, unless another round is shown by now.
    if (this.round === round) await this.open(child ?? round.id);
    if (child !== null && this.round?.id === child) this.left.delete(round.id);
    this.say(`${answer.text} ${answer.warning}`.trim(), answer.warning ? "" : "good");
    await this.drawTree();
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.code.textContent);
      this.say("Copied.", "good");
    } catch {
      window.getSelection().selectAllChildren(this.code);
      this.code.scrollIntoView({ block: "center" });
      this.say("Selected: press Ctrl+C to copy.");
    }
  }

  // A success message disappears by itself.
  say(text, tone = "") {
    clearTimeout(this.saying);
    this.said.textContent = text ?? "";
    this.said.className = `refine-said ${tone}`;
    if (tone === "good") this.saying = setTimeout(() => this.say(""), NEWS);
  }

  // Drawing.

  // The tree has the names of the rounds.
  drawTitle() {
    const { round } = this;
    this.study.textContent = this.own?.title ?? "";
    this.title.textContent = `Round ${this.named(round.id)}`;
    this.hash.textContent = idOf(round.id);
    const parts = [round.review?.best, round.about].filter(Boolean).map((text) => [text]);
    for (const { text, child } of round.decided) {
      const to = link(() => this.choose(child));
      to.textContent = this.named(child ?? "");
      parts.push(child ? [`${text} → `, to] : [text]);
    }
    replace(this.about, parts.flatMap((part, i) => (i ? [" · ", ...part] : part)));
  }

  drawHead() {
    this.drawTitle();
    this.warn("");
    replace(this.fresh);
  }

  layout() {
    const panels = new Map(this.panels.map((panel) => [panel.element, panel]));
    fillRows(this.grid, WIDE);
    this.otherGrid.style.gridTemplateColumns = `repeat(${rowsOf(this.otherGrid, NARROW).across}, minmax(0, 1fr))`;
    const tall = this.grid.children.length * WIDE <= this.grid.clientWidth;
    for (const grid of [this.grid, this.otherGrid]) {
      let row = -1;
      for (const element of /** @type {HTMLElement[]} */ ([...grid.children])) {
        const panel = panels.get(element);
        const leads = element.offsetTop !== row;
        row = element.offsetTop;
        const taller = tall && grid === this.grid;
        if (panel.leads !== leads || panel.tall !== taller) panel.width = 0; // drawn again
        panel.leads = leads;
        panel.tall = taller;
      }
    }
    for (const panel of this.panels) {
      if (panel.plot.clientWidth !== panel.width) panel.layout();
    }
  }

  paint() {
    const style = getComputedStyle(this.root);
    const colour = (name) => style.getPropertyValue(name).trim();
    this.colours = { good: colour("--best"), all: colour("--dot"), bad: colour("--bad"), ground: colour("--ground") };
    for (const panel of this.panels) {
      if (panel.width) panel.dots();
      else panel.layout();
    }
    this.views.paint();
    this.studies.paint();
  }
}
