// The person's edits and rejections of a proposal, with undo. No DOM.
//
// An edit is `{bounds}` or `{keep}`. If the page began with an edit that neither can express, it has `as` and `text`.

export class Choices {
  constructor(panels, edits = {}, rejected = [], history = []) {
    this.panels = new Map(panels.map((panel) => [panel.name, panel]));
    this.edits = { ...edits };
    this.rejected = new Set(rejected);
    this.history = [...history];
  }

  get changed() {
    return Object.keys(this.edits).length > 0 || this.rejected.size > 0;
  }

  // The present value of a parameter: its bounds, or the numbers of its kept levels.
  current(name) {
    const panel = this.panels.get(name);
    const edit = this.edits[name];
    if (panel.kind === "range") {
      if (edit?.bounds) return edit.bounds;
      return this.rejected.has(name) || panel.proposed === null ? now(panel) : panel.proposed;
    }
    if (edit?.keep) return edit.keep;
    return this.rejected.has(name) ? now(panel) : panel.proposed;
  }

  // The source of the value: "proposed", "kept" (nothing is proposed), "edited" or "rejected".
  source(name) {
    if (this.rejected.has(name)) return "rejected";
    if (Object.hasOwn(this.edits, name)) return "edited";
    return proposes(this.panels.get(name)) ? "proposed" : "kept";
  }

  remember() {
    this.history.push([{ ...this.edits }, new Set(this.rejected)]);
    if (this.history.length > 200) this.history.shift();
  }

  // A drag calls `remember` once, and this function at every step.
  put(name, value) {
    const panel = this.panels.get(name);
    delete this.edits[name];
    this.rejected.delete(name);
    const proposed = panel.proposed ?? now(panel);
    if (same(value, proposed)) return;
    if (same(value, now(panel))) this.rejected.add(name);
    else this.edits[name] = panel.kind === "range" ? { bounds: [...value] } : { keep: [...value] };
  }

  set(name, value) {
    this.remember();
    this.put(name, value);
  }

  // Typed values need not be on a stop and are not rounded.
  typed(name, edit) {
    this.remember();
    this.rejected.delete(name);
    this.edits[name] = edit;
  }

  reject(name) {
    this.set(name, now(this.panels.get(name)));
  }

  accept(name) {
    this.remember();
    delete this.edits[name];
    this.rejected.delete(name);
  }

  reset() {
    this.remember();
    this.edits = {};
    this.rejected = new Set();
  }

  undo() {
    const before = this.history.pop();
    if (before === undefined) return false;
    [this.edits, this.rejected] = before;
    return true;
  }
}

// True if a change of the parameter is proposed.
export function proposes(panel) {
  return panel.change !== "keep" || panel.proposed === null || !same(panel.proposed, now(panel));
}

export function now(panel) {
  return panel.kind === "range" ? [panel.grid[0], panel.grid.at(-1)] : panel.levels.map((_, i) => i);
}

export function same(a, b) {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
