// The list of all trials of a round. The session sorts, filters and sends the rows in view.
import { fold, h, replace } from "./dom.js";
import { sameTrials } from "./hover.js";

const ROW = 28; // pixels, as in the style sheet
const PART = 100; // rows per request
const PAUSE = 250; // milliseconds after a typed letter before the page asks
const TAKES = { number: ["low", "high"], choice: ["is"], text: ["holds"] };

export class TrialList {
  /** @param {import("./page.js").Page} page */
  constructor(page) {
    this.page = page;
    this.round = null;
    this.filters = {};
    this.said = h("span", { class: "refine-faint", role: "status" });
    this.clearButton = h("button", { type: "button", hidden: true, onclick: () => this.clear() }, "clear filters");
    this.filterButton = h("button", { type: "button", "aria-expanded": "false", onclick: () => this.showFilters(!this.filtering) }, "filter");
    this.sideways = h("span", { class: "refine-faint" });
    this.head = h("thead", {});
    this.body = h("tbody", {});
    this.table = h("table", {}, h("caption", { class: "refine-unseen" }, "Trials of the round"), this.head, this.body);
    this.scroller = h("div", { class: "refine-list", tabindex: "-1", onscroll: () => this.scrolled(), onkeydown: (event) => this.pressed(event) }, this.table);
    this.element = fold("trials", "Trials", h("span", { class: "refine-faint" }, "sort, filter, look at any"), h("p", { class: "refine-list-line" }, this.said, this.filterButton, this.clearButton, this.sideways), this.scroller);
    this.element.addEventListener("toggle", () => this.open());
    this.body.addEventListener("pointerover", (event) => this.hovered(event));
    this.body.addEventListener("pointerleave", () => this.page.hover.leave());
    this.body.addEventListener("focusin", (event) => this.hovered(event));
    this.body.addEventListener("focusout", () => this.page.hover.leave());
    this.body.addEventListener("click", (event) => this.chosen(event));
    page.hover.charts.add(this);
  }

  close() {
    clearTimeout(this.timer);
  }

  showFilters(shown) {
    this.filtering = shown;
    this.filterButton.setAttribute("aria-expanded", String(shown));
    this.table.classList.toggle("filtering", shown);
  }

  scrolled() {
    this.paint();
    this.hint();
  }

  // Names the columns beyond the right edge, because a truncated table looks complete.
  hint() {
    const { scrollLeft, clientWidth, scrollWidth } = this.scroller;
    const right = scrollLeft + clientWidth;
    const hidden = /** @type {HTMLElement[]} */ ([...this.head.querySelectorAll("th")]).filter((cell) => cell.offsetLeft + cell.offsetWidth > right + 4).length;
    this.sideways.textContent = hidden ? `${hidden} more ${hidden === 1 ? "column" : "columns"}: scroll sideways →` : "";
    this.scroller.classList.toggle("more", scrollWidth - right > 4);
  }

  /** The page shows a round, or the same round with other trials. */
  show(round) {
    const another = round.id !== this.round?.id;
    const same = sameTrials(round, this.round);
    this.round = round;
    if (same) return;
    if (another) {
      clearTimeout(this.timer);
      // Rows of the round before would stand below the columns of this one until its rows arrive.
      this.listed = undefined;
      replace(this.body);
      this.columns = null;
      this.order = null;
      this.filters = {};
    }
    if (this.columns) this.renew();
    else this.open();
  }

  // New trials may bring new columns, or new levels to filter by.
  async renew() {
    if (this.element.open) {
      if (await this.readHead()) await this.ask(true);
    } else this.columns = null;
  }

  async open() {
    if (!this.element.open || this.round === null) return;
    if (this.columns) {
      await this.ask();
      return;
    }
    if (await this.readHead()) await this.ask();
  }

  // Reads the columns and draws changed ones; order and filters of remaining columns are kept. True on success.
  async readHead() {
    const { round } = this;
    const found = await this.page.send({ type: "list", round: round.id });
    if (found === null || !sameTrials(this.round, round)) return false;
    const columns = [{ name: "number", title: "trial", kind: "none", levels: [] }, ...found.columns];
    if (JSON.stringify(columns) === JSON.stringify(this.columns)) return true;
    this.columns = columns;
    const known = new Map(columns.map((column) => [column.name, column]));
    if (!known.has(this.order?.by)) this.order = found.order;
    this.filters = Object.fromEntries(Object.entries(this.filters).filter(([name, filter]) => fits(known.get(name), filter)));
    this.drawHead();
    return true;
  }

  // Requests.

  get query() {
    return { type: /** @type {const} */ ("part"), round: this.round.id, by: this.order.by, descending: this.order.descending, filters: this.filters };
  }

  /** Asks again, for the first rows or for the rows in view. */
  async ask(stay = false) {
    const query = {};
    this.asked = query;
    this.parts = new Map();
    if (!stay) this.active = 0;
    const found = await this.part(stay ? Math.floor((this.first ?? 0) / PART) : 0);
    if (found === null || this.asked !== query) return;
    this.listed = found.listed;
    this.said.textContent = found.text;
    this.table.setAttribute("aria-rowcount", found.listed + 2);
    this.clearButton.hidden = Object.keys(this.filters).length === 0;
    if (!stay) this.scroller.scrollTop = 0;
    this.first = null;
    this.paint();
  }

  async part(number) {
    if (this.parts.has(number)) return this.parts.get(number);
    const { parts } = this;
    parts.set(number, null);
    const found = await this.page.send({ ...this.query, offset: number * PART });
    if (found === null) parts.delete(number);
    else parts.set(number, found);
    if (parts === this.parts && found !== null) {
      this.first = null;
      this.paint();
    }
    return found;
  }

  sort(name) {
    const descending = this.order.by === name ? !this.order.descending : false;
    this.order = { by: name, descending };
    for (const cell of /** @type {NodeListOf<HTMLElement>} */ (this.head.querySelectorAll("[data-column]"))) cell.setAttribute("aria-sort", this.sorted(cell.dataset.column));
    this.ask();
  }

  sorted(name) {
    if (this.order.by !== name) return "none";
    return this.order.descending ? "descending" : "ascending";
  }

  filter(name, key, value) {
    const mine = { ...this.filters[name] };
    if (value === "" || value === null) delete mine[key];
    else mine[key] = value;
    this.filters = { ...this.filters, [name]: mine };
    if (Object.keys(mine).length === 0) delete this.filters[name];
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), PAUSE);
  }

  clear() {
    this.showFilters(false);
    this.filters = {};
    for (const field of /** @type {NodeListOf<HTMLInputElement>} */ (this.head.querySelectorAll("input, select"))) field.value = "";
    this.ask();
    this.filterButton.focus();
  }

  // Drawing.

  drawHead() {
    const titles = this.columns.map(({ name, title, kind }) =>
      h("th", { scope: "col", class: kind === "choice" || kind === "text" ? null : "right", "data-column": name, "aria-sort": this.sorted(name) }, h("button", { type: "button", title, onclick: () => this.sort(name) }, title)),
    );
    const fields = this.columns.map((column) => h("td", {}, this.fields(column)));
    replace(this.head, h("tr", { "aria-rowindex": 1 }, titles), h("tr", { class: "refine-filters", "aria-rowindex": 2 }, fields));
  }

  fields({ name, title, kind, levels }) {
    if (kind === "number") {
      return ["low", "high"].map((end) =>
        h("input", {
          type: "number",
          step: "any",
          placeholder: end === "low" ? "min" : "max",
          "aria-label": `${title}, ${end === "low" ? "at least" : "at most"}`,
          value: this.filters[name]?.[end],
          oninput: (event) => this.filter(name, end, Number.isNaN(event.target.valueAsNumber) ? null : event.target.valueAsNumber),
        }),
      );
    }
    if (kind === "choice") {
      const options = ["", ...levels].map((level) => h("option", { value: level, selected: level === (this.filters[name]?.is ?? "") }, level || "all"));
      return [h("select", { "aria-label": `${title}, which`, onchange: (event) => this.filter(name, "is", event.target.value) }, options)];
    }
    if (kind === "text") return [h("input", { type: "text", placeholder: "holds", value: this.filters[name]?.holds, "aria-label": `${title}, holds`, oninput: (event) => this.filter(name, "holds", event.target.value) })];
    return [];
  }

  /** Draws the rows in view, and asks for missing ones. */
  paint() {
    if (!this.columns || this.listed === undefined) return;
    const seen = Math.ceil(this.scroller.clientHeight / ROW);
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / ROW) - 6);
    if (first === this.first) return;
    this.first = first;
    const last = Math.min(this.listed, first + seen + 12);
    const focused = /** @type {Document} */ (this.body.getRootNode()).activeElement;
    const held = focused === this.scroller || this.body.contains(focused);
    const rows = [];
    for (let at = first; at < last; at += 1) rows.push(this.row(at));
    const gap = (height) => (height > 0 ? h("tr", { "aria-hidden": "true", class: "refine-gap", style: `height:${height}px` }) : null);
    replace(this.body, gap(first * ROW), rows, gap((this.listed - last) * ROW));
    // The keyboard focus stays in the list while its row is missing.
    if (held) (this.button(this.active) ?? this.scroller).focus({ preventScroll: true });
    this.light(this.page.hover.number);
    this.hint();
  }

  row(at) {
    const part = this.parts.get(Math.floor(at / PART));
    if (part === undefined) this.part(Math.floor(at / PART));
    const row = part?.rows[at % PART];
    const attributes = { "aria-rowindex": at + 3, "data-at": at };
    if (!row) return h("tr", attributes, h("td", { colspan: this.columns.length, class: "refine-faint" }, "…"));
    const cells = row.cells.map((text, i) => h("td", { class: this.columns[i + 1]?.kind === "number" ? "right" : null, title: text.length > 18 ? text : null }, text));
    const number = h("button", { type: "button", tabindex: at === this.active ? "0" : "-1", "aria-label": `trial ${row.number}` }, String(row.number));
    return h("tr", { ...attributes, "data-number": row.number, class: row.usable ? null : "unusable" }, h("th", { scope: "row", class: "right" }, number), cells);
  }

  /** @returns {HTMLElement | null} */
  button(at) {
    return this.body.querySelector(`[data-at="${at}"] button`);
  }

  // Highlights a trial here and in the charts.

  light(number) {
    for (const row of this.body.querySelectorAll("tr.lit")) row.classList.remove("lit");
    if (number !== null) this.body.querySelector(`tr[data-number="${number}"]`)?.classList.add("lit");
  }

  hovered(event) {
    const row = event.target.closest("tr[data-number]");
    if (this.page.hover.pinned === null) this.page.hover.light(row ? Number(row.dataset.number) : null);
  }

  chosen(event) {
    const row = event.target.closest("tr[data-number]");
    if (!row) return;
    this.move(Number(row.dataset.at), false);
    const box = row.getBoundingClientRect();
    this.page.hover.pin(Number(row.dataset.number), { x: event.clientX || box.left + 60, y: box.bottom }, this.button(this.active));
  }

  pressed(event) {
    if (event.target.closest("thead")) return;
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / ROW) - 4);
    const steps = { ArrowDown: this.active + 1, ArrowUp: this.active - 1, PageDown: this.active + page, PageUp: this.active - page, Home: 0, End: this.listed - 1 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.move(steps[event.key]);
  }

  move(to, focus = true) {
    this.button(this.active)?.setAttribute("tabindex", "-1");
    this.active = Math.max(0, Math.min(this.listed - 1, to));
    const { clientHeight: tall, scrollTop } = this.scroller;
    const top = this.active * ROW;
    const room = tall - this.head.offsetHeight - ROW;
    if (focus && (top < scrollTop || top > scrollTop + room)) this.scroller.scrollTop = top < scrollTop ? top : top - room;
    this.paint();
    this.button(this.active)?.setAttribute("tabindex", "0");
    if (focus) (this.button(this.active) ?? this.scroller).focus({ preventScroll: true });
  }
}

// True if a column has this kind of filter.
function fits(column, filter) {
  const takes = column ? (TAKES[column.kind] ?? []) : [];
  return Object.keys(filter).every((key) => takes.includes(key)) && (filter.is === undefined || column.levels.includes(filter.is));
}
