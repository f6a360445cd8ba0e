import assert from "node:assert/strict";
import { test } from "node:test";
import { Choices, proposes } from "../src/choices.js";

const range = { name: "lr", kind: "range", change: "narrow", grid: [1, 2, 3, 4], proposed: [2, 3] };
const choice = { name: "opt", kind: "choice", change: "keep", levels: [{}, {}, {}], proposed: [0, 1, 2] };

test("what is put back where it was is a rejection, and as proposed nothing at all", () => {
  const choices = new Choices([range, choice]);
  assert.equal(choices.source("lr"), "proposed");
  assert.equal(choices.source("opt"), "kept");
  choices.set("lr", [2, 4]);
  assert.deepEqual(choices.edits, { lr: { bounds: [2, 4] } });
  choices.set("lr", [1, 4]);
  assert.deepEqual([choices.source("lr"), choices.edits], ["rejected", {}]);
  choices.set("lr", [2, 3]);
  assert.equal(choices.changed, false);
  choices.set("opt", [0, 2]);
  assert.deepEqual([choices.source("opt"), choices.current("opt")], ["edited", [0, 2]]);
});

test("undo takes back one step, of a drag the whole of it", () => {
  const choices = new Choices([range, choice]);
  choices.set("opt", [1]);
  choices.remember();
  for (const high of [4, 3, 4]) choices.put("lr", [1, high]);
  assert.equal(choices.source("lr"), "rejected");
  assert.ok(choices.undo());
  assert.deepEqual([choices.source("lr"), choices.edits], ["proposed", { opt: { keep: [1] } }]);
  assert.ok(choices.undo());
  assert.equal(choices.changed, false);
  assert.equal(choices.undo(), false);
});

test("nothing proposed is no proposal, wherever the slider of risks stands", () => {
  assert.equal(proposes(choice), false);
  assert.equal(proposes({ ...choice, proposed: [0] }), true);
  assert.equal(proposes({ ...range, change: "keep", proposed: [1, 4] }), false);
  assert.equal(proposes({ ...range, change: "fix", proposed: null }), true);
});
